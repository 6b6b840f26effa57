/* SPDX-License-Identifier: MIT */
/*
 * Vertex arrays: which of them lie in the program's memory.
 *
 * Design notes: a pointer into a buffer is sent as it is. One into memory is kept; the driver gets a NULL, so that it
 * knows the rest and finds what is wrong, and never draws from it: see stream.c.
 */
#include <stdlib.h>
#include <string.h>

#include "gl_guest.h"

void
gl_arrays_forget_buffer(struct gl_state *state, uint32_t buffer)
{
    struct gl_arrays *arrays = state->arrays;

    if (arrays->element == buffer)
        arrays->element = 0;
    for (unsigned i = 0; i < GL_ATTRIBS; i++)
        if (arrays->attribs[i].buffer == buffer)
            arrays->attribs[i].buffer = 0;
}

/* Keeps it. @return what the driver gets for a pointer. */
static uint64_t
set(struct gl_context *gl, unsigned number, struct gl_attrib attrib)
{
    struct gl_state *state = gl->state;
    uint32_t bit = 1u << number, divisor = state->arrays->attribs[number].divisor;

    attrib.buffer = state->bound[GL_BOUND_ARRAY];
    attrib.divisor = divisor;
    state->arrays->attribs[number] = attrib;
    if (attrib.buffer == 0 && attrib.pointer) {
        if (gl->api == GL_API_CORE)
            gl_error_set(GL_INVALID_OPERATION);
        else
            state->arrays->in_memory |= bit;
        gl_arrays_changed(state);
        return 0;
    }
    state->arrays->in_memory &= ~bit;
    gl_arrays_changed(state);
    return (uintptr_t)attrib.pointer;
}

/* A pointer's function: keeps it, and sends it. */
#define POINTER(Name, number, attrib, stub, ...)                   \
    do {                                                           \
        struct gl_context *gl = gl_current;                        \
        uint64_t offset;                                           \
        int status;                                                \
                                                                   \
        if (!gl)                                                   \
            return;                                                \
        offset = set(gl, number, (struct gl_attrib)attrib);        \
        status = stub(&gl->client, gl->lane, __VA_ARGS__, offset); \
        if (__builtin_expect(status != 0, 0))                      \
            gl_failed(gl, Name, status);                           \
    } while (0)
#define ATTRIB(...) \
    {               \
        __VA_ARGS__ \
    }

void
glVertexPointer(int32_t size, uint32_t type, int32_t stride, const void *pointer)
{
    POINTER("glVertexPointer", GL_ARRAY_VERTEX,
            ATTRIB(.pointer = pointer, .size = size, .type = type, .stride = stride), gl_vertex_pointer_on, size, type,
            stride);
}

void
glNormalPointer(uint32_t type, int32_t stride, const void *pointer)
{
    POINTER("glNormalPointer", GL_ARRAY_NORMAL, ATTRIB(.pointer = pointer, .size = 3, .type = type, .stride = stride),
            gl_normal_pointer_on, type, stride);
}

void
glColorPointer(int32_t size, uint32_t type, int32_t stride, const void *pointer)
{
    POINTER("glColorPointer", GL_ARRAY_COLOR, ATTRIB(.pointer = pointer, .size = size, .type = type, .stride = stride),
            gl_color_pointer_on, size, type, stride);
}

void
glSecondaryColorPointer(int32_t size, uint32_t type, int32_t stride, const void *pointer)
{
    POINTER("glSecondaryColorPointer", GL_ARRAY_SECONDARY_COLOR,
            ATTRIB(.pointer = pointer, .size = size, .type = type, .stride = stride), gl_secondary_color_pointer_on,
            size, type, stride);
}

void
glIndexPointer(uint32_t type, int32_t stride, const void *pointer)
{
    POINTER("glIndexPointer", GL_ARRAY_INDEX, ATTRIB(.pointer = pointer, .size = 1, .type = type, .stride = stride),
            gl_index_pointer_on, type, stride);
}

void
glEdgeFlagPointer(int32_t stride, const void *pointer)
{
    POINTER("glEdgeFlagPointer", GL_ARRAY_EDGE_FLAG,
            ATTRIB(.pointer = pointer, .size = 1, .type = GL_UNSIGNED_BYTE, .stride = stride), gl_edge_flag_pointer_on,
            stride);
}

void
glFogCoordPointer(uint32_t type, int32_t stride, const void *pointer)
{
    POINTER("glFogCoordPointer", GL_ARRAY_FOG_COORD,
            ATTRIB(.pointer = pointer, .size = 1, .type = type, .stride = stride), gl_fog_coord_pointer_on, type,
            stride);
}

void
glTexCoordPointer(int32_t size, uint32_t type, int32_t stride, const void *pointer)
{
    POINTER("glTexCoordPointer", GL_ARRAY_TEX_COORD + gl->state->client_texture % GL_TEX_COORDS,
            ATTRIB(.pointer = pointer, .size = size, .type = type, .stride = stride), gl_tex_coord_pointer_on, size,
            type, stride);
}

/* Generic attributes: those that we know of. */
static bool
is_generic(uint32_t index)
{
    if (index < GL_GENERIC)
        return true;
    gl_error_set(GL_INVALID_VALUE);
    return false;
}

void
glVertexAttribPointer(uint32_t index_, int32_t size, uint32_t type, uint8_t normalized, int32_t stride,
                      const void *pointer)
{
    if (is_generic(index_))
        POINTER("glVertexAttribPointer", index_,
                ATTRIB(.pointer = pointer, .size = size, .type = type, .normalized = normalized, .stride = stride),
                gl_vertex_attrib_pointer_on, index_, size, type, normalized, stride);
}

void
glVertexAttribIPointer(uint32_t index_, int32_t size, uint32_t type, int32_t stride, const void *pointer)
{
    if (is_generic(index_))
        POINTER("glVertexAttribIPointer", index_,
                ATTRIB(.pointer = pointer, .size = size, .type = type, .stride = stride, .kind = GL_ATTRIB_INTEGER),
                gl_vertex_attrib_ipointer_on, index_, size, type, stride);
}

void
glVertexAttribLPointer(uint32_t index_, int32_t size, uint32_t type, int32_t stride, const void *pointer)
{
    if (is_generic(index_))
        POINTER("glVertexAttribLPointer", index_,
                ATTRIB(.pointer = pointer, .size = size, .type = type, .stride = stride, .kind = GL_ATTRIB_DOUBLE),
                gl_vertex_attrib_lpointer_on, index_, size, type, stride);
}

/* ---- Which are used -------------------------------------------------------------------------- */

static void
enable(struct gl_state *state, unsigned number, bool on)
{
    if (on)
        state->arrays->enabled |= 1u << number;
    else
        state->arrays->enabled &= ~(1u << number);
    gl_arrays_changed(state);
}

static void
enable_client(struct gl_state *state, uint32_t array, bool on)
{
    switch (array) {
    case GL_VERTEX_ARRAY:
        enable(state, GL_ARRAY_VERTEX, on);
        break;
    case GL_NORMAL_ARRAY:
        enable(state, GL_ARRAY_NORMAL, on);
        break;
    case GL_COLOR_ARRAY:
        enable(state, GL_ARRAY_COLOR, on);
        break;
    case GL_INDEX_ARRAY:
        enable(state, GL_ARRAY_INDEX, on);
        break;
    case GL_EDGE_FLAG_ARRAY:
        enable(state, GL_ARRAY_EDGE_FLAG, on);
        break;
    case GL_FOG_COORD_ARRAY:
        enable(state, GL_ARRAY_FOG_COORD, on);
        break;
    case GL_SECONDARY_COLOR_ARRAY:
        enable(state, GL_ARRAY_SECONDARY_COLOR, on);
        break;
    case GL_TEXTURE_COORD_ARRAY:
        enable(state, GL_ARRAY_TEX_COORD + state->client_texture % GL_TEX_COORDS, on);
        break;
    default:
        break;
    }
}

void
glEnableClientState(uint32_t array_)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    enable_client(gl->state, array_, true);
    status = gl_enable_client_state_on(&gl->client, gl->lane, array_);
    if (status != 0)
        gl_failed(gl, "glEnableClientState", status);
}

void
glDisableClientState(uint32_t array_)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    enable_client(gl->state, array_, false);
    status = gl_disable_client_state_on(&gl->client, gl->lane, array_);
    if (status != 0)
        gl_failed(gl, "glDisableClientState", status);
}

void
glClientActiveTexture(uint32_t texture)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    if (texture >= GL_TEXTURE0 && texture < GL_TEXTURE0 + GL_TEX_COORDS)
        gl->state->client_texture = texture - GL_TEXTURE0;
    status = gl_client_active_texture_on(&gl->client, gl->lane, texture);
    if (status != 0)
        gl_failed(gl, "glClientActiveTexture", status);
}

void
glEnableVertexAttribArray(uint32_t index_)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    if (index_ < GL_GENERIC)
        enable(gl->state, index_, true);
    status = gl_enable_vertex_attrib_array_on(&gl->client, gl->lane, index_);
    if (status != 0)
        gl_failed(gl, "glEnableVertexAttribArray", status);
}

void
glDisableVertexAttribArray(uint32_t index_)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    if (index_ < GL_GENERIC)
        enable(gl->state, index_, false);
    status = gl_disable_vertex_attrib_array_on(&gl->client, gl->lane, index_);
    if (status != 0)
        gl_failed(gl, "glDisableVertexAttribArray", status);
}

void
glVertexAttribDivisor(uint32_t index_, uint32_t divisor)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    if (index_ < GL_GENERIC)
        gl->state->arrays->attribs[index_].divisor = divisor;
    status = gl_vertex_attrib_divisor_on(&gl->client, gl->lane, index_, divisor);
    if (status != 0)
        gl_failed(gl, "glVertexAttribDivisor", status);
}

/* ---- Vertex array objects -------------------------------------------------------------------- */

static struct gl_arrays *
arrays_of(struct gl_state *state, uint32_t name)
{
    struct gl_arrays *arrays;

    if (name == 0)
        return &state->arrays_default;
    arrays = gl_table_find(&state->arrays_table, name);
    if (arrays)
        return arrays;
    arrays = calloc(1, sizeof(*arrays));
    if (arrays && !gl_table_set(&state->arrays_table, name, arrays)) {
        free(arrays);
        arrays = NULL;
    }
    return arrays;
}

void
glBindVertexArray(uint32_t array_)
{
    struct gl_context *gl = gl_current;
    struct gl_arrays *arrays;
    int status;

    if (!gl)
        return;
    if (array_ != 0 && !gl_names_taken(gl, GL_SPACE_VERTEX_ARRAY, array_)) {
        gl_error_set(GL_INVALID_OPERATION);
        return;
    }
    arrays = arrays_of(gl->state, array_);
    if (!arrays) {
        gl_error_set(GL_OUT_OF_MEMORY);
        return;
    }
    gl->state->arrays = arrays;
    gl->state->arrays_name = array_;
    gl_arrays_changed(gl->state);
    status = gl_bind_vertex_array_on(&gl->client, gl->lane, array_);
    if (__builtin_expect(status != 0, 0))
        gl_failed(gl, "glBindVertexArray", status);
}

void
glVertexArrayElementBuffer(uint32_t vaobj, uint32_t buffer)
{
    struct gl_context *gl = gl_current;
    struct gl_arrays *arrays;
    int status;

    if (!gl)
        return;
    arrays = gl_names_taken(gl, GL_SPACE_VERTEX_ARRAY, vaobj) ? arrays_of(gl->state, vaobj) : NULL;
    if (arrays)
        arrays->element = buffer;
    status = gl_vertex_array_element_buffer_on(&gl->client, gl->lane, vaobj, buffer);
    if (status != 0)
        gl_failed(gl, "glVertexArrayElementBuffer", status);
}

static void
forget(struct gl_state *state, uint32_t name)
{
    struct gl_arrays *arrays = gl_table_find(&state->arrays_table, name);

    if (name == 0 || !arrays)
        return;
    if (state->arrays == arrays) {
        state->arrays = &state->arrays_default;
        state->arrays_name = 0;
        gl_arrays_changed(state);
    }
    gl_table_set(&state->arrays_table, name, NULL);
    free(arrays);
}

void
glDeleteVertexArrays(int32_t n, const uint32_t *arrays)
{
    struct gl_context *gl = gl_current;
    int32_t done = 0;
    int status;

    if (!gl)
        return;
    for (int32_t i = 0; i < n; i++)
        forget(gl->state, arrays[i]);
    do {
        int32_t portion = n - done > 4096 ? 4096 : n - done;

        status = gl_delete_vertex_arrays_on(&gl->client, gl->lane, portion, arrays + done, gl_count(portion));
        if (status != 0)
            gl_failed(gl, "glDeleteVertexArrays", status);
        done += portion;
    } while (done < n);
    gl_names_free(gl, GL_SPACE_VERTEX_ARRAY, n, arrays);
}
