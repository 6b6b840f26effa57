/* SPDX-License-Identifier: MIT */
/* Client state as a whole: its stack, glInterleavedArrays(), and what is asked of attributes. */
#include <stdlib.h>

#include "gl_guest.h"

void
glPushClientAttrib(uint32_t mask)
{
    struct gl_context *gl = gl_current;
    struct gl_state *state;
    int status;

    if (!gl)
        return;
    state = gl->state;
    if (!state->client_stack)
        state->client_stack = calloc(GL_CLIENT_DEPTH, sizeof(*state->client_stack));
    if (state->client_stack && state->client_depth < GL_CLIENT_DEPTH)
        state->client_stack[state->client_depth++] = (struct gl_client_attribs){
            .mask = mask,
            .pack = state->pack,
            .unpack = state->unpack,
            .arrays = *state->arrays,
            .array = state->bound[GL_BOUND_ARRAY],
            .pack_buffer = state->bound[GL_BOUND_PIXEL_PACK],
            .unpack_buffer = state->bound[GL_BOUND_PIXEL_UNPACK],
            .arrays_name = state->arrays_name,
            .client_texture = state->client_texture,
        };
    status = gl_push_client_attrib_on(&gl->client, gl->lane, mask);
    if (status != 0)
        gl_failed(gl, "glPushClientAttrib", status);
}

static void
pop(struct gl_state *state, const struct gl_client_attribs *saved)
{
    if (saved->mask & GL_CLIENT_PIXEL_STORE_BIT) {
        state->pack = saved->pack;
        state->unpack = saved->unpack;
        state->bound[GL_BOUND_PIXEL_PACK] = saved->pack_buffer;
        state->bound[GL_BOUND_PIXEL_UNPACK] = saved->unpack_buffer;
    }
    if (saved->mask & GL_CLIENT_VERTEX_ARRAY_BIT) {
        struct gl_arrays *arrays =
            saved->arrays_name ? gl_table_find(&state->arrays_table, saved->arrays_name) : &state->arrays_default;

        if (arrays) {
            state->arrays = arrays;
            state->arrays_name = saved->arrays_name;
            *arrays = saved->arrays;
        }
        state->bound[GL_BOUND_ARRAY] = saved->array;
        state->client_texture = saved->client_texture;
        gl_arrays_changed(state);
    }
}

void
glPopClientAttrib(void)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    if (gl->state->client_depth > 0)
        pop(gl->state, &gl->state->client_stack[--gl->state->client_depth]);
    status = gl_pop_client_attrib_on(&gl->client, gl->lane);
    if (status != 0)
        gl_failed(gl, "glPopClientAttrib", status);
}

/* ---- glInterleavedArrays() ------------------------------------------------------------------- */

static const struct interleaved {
    uint32_t format;
    uint8_t texture, color, normal, vertex; /* how many numbers; 0: none */
    uint8_t color_bytes;                    /* colours are bytes */
} interleaved[] = {
    {GL_V2F, 0, 0, 0, 2, 0},
    {GL_V3F, 0, 0, 0, 3, 0},
    {GL_C4UB_V2F, 0, 4, 0, 2, 1},
    {GL_C4UB_V3F, 0, 4, 0, 3, 1},
    {GL_C3F_V3F, 0, 3, 0, 3, 0},
    {GL_N3F_V3F, 0, 0, 3, 3, 0},
    {GL_C4F_N3F_V3F, 0, 4, 3, 3, 0},
    {GL_T2F_V3F, 2, 0, 0, 3, 0},
    {GL_T4F_V4F, 4, 0, 0, 4, 0},
    {GL_T2F_C4UB_V3F, 2, 4, 0, 3, 1},
    {GL_T2F_C3F_V3F, 2, 3, 0, 3, 0},
    {GL_T2F_N3F_V3F, 2, 0, 3, 3, 0},
    {GL_T2F_C4F_N3F_V3F, 2, 4, 3, 3, 0},
    {GL_T4F_C4F_N3F_V4F, 4, 4, 3, 4, 0},
};

void
glInterleavedArrays(uint32_t format, int32_t stride, const void *pointer)
{
    const struct interleaved *at = interleaved, *end = at + sizeof(interleaved) / sizeof(interleaved[0]);
    const char *base = pointer;
    int32_t color;

    if (!gl_current)
        return;
    while (at < end && at->format != format)
        at++;
    if (at == end || stride < 0) {
        gl_error_set(at == end ? GL_INVALID_ENUM : GL_INVALID_VALUE);
        return;
    }
    color = at->color_bytes ? 4 : 4 * at->color;
    if (stride == 0)
        stride = 4 * (at->texture + at->normal + at->vertex) + color;
    glDisableClientState(GL_EDGE_FLAG_ARRAY);
    glDisableClientState(GL_INDEX_ARRAY);
    (at->texture ? glEnableClientState : glDisableClientState)(GL_TEXTURE_COORD_ARRAY);
    if (at->texture)
        glTexCoordPointer(at->texture, GL_FLOAT, stride, base);
    (at->color ? glEnableClientState : glDisableClientState)(GL_COLOR_ARRAY);
    if (at->color)
        glColorPointer(at->color, at->color_bytes ? GL_UNSIGNED_BYTE : GL_FLOAT, stride, base + 4 * at->texture);
    (at->normal ? glEnableClientState : glDisableClientState)(GL_NORMAL_ARRAY);
    if (at->normal)
        glNormalPointer(GL_FLOAT, stride, base + 4 * at->texture + color);
    glEnableClientState(GL_VERTEX_ARRAY);
    glVertexPointer(at->vertex, GL_FLOAT, stride, base + 4 * (at->texture + at->normal) + color);
}

/* ---- Questions ------------------------------------------------------------------------------- */

void
glGetVertexAttribPointerv(uint32_t index_, uint32_t pname, void **pointer)
{
    struct gl_context *gl = gl_current;

    if (!gl)
        return;
    if (pname != GL_VERTEX_ATTRIB_ARRAY_POINTER)
        gl_error_set(GL_INVALID_ENUM);
    else if (index_ >= GL_GENERIC)
        gl_error_set(GL_INVALID_VALUE);
    else
        *pointer = (void *)(uintptr_t)gl->state->arrays->attribs[index_].pointer;
}

static const struct {
    uint32_t pname;
    unsigned attrib;
} pointers[] = {
    {GL_VERTEX_ARRAY_POINTER, GL_ARRAY_VERTEX},
    {GL_NORMAL_ARRAY_POINTER, GL_ARRAY_NORMAL},
    {GL_COLOR_ARRAY_POINTER, GL_ARRAY_COLOR},
    {GL_INDEX_ARRAY_POINTER, GL_ARRAY_INDEX},
    {GL_EDGE_FLAG_ARRAY_POINTER, GL_ARRAY_EDGE_FLAG},
    {GL_FOG_COORD_ARRAY_POINTER, GL_ARRAY_FOG_COORD},
    {GL_SECONDARY_COLOR_ARRAY_POINTER, GL_ARRAY_SECONDARY_COLOR},
};

void
glGetPointerv(uint32_t pname, void **params)
{
    struct gl_context *gl = gl_current;
    struct gl_state *state;

    if (!gl)
        return;
    state = gl->state;
    for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
        if (pointers[i].pname == pname) {
            *params = (void *)(uintptr_t)state->arrays->attribs[pointers[i].attrib].pointer;
            return;
        }
    }
    switch (pname) {
    case GL_TEXTURE_COORD_ARRAY_POINTER:
        *params = (void *)(uintptr_t)state->arrays->attribs[GL_ARRAY_TEX_COORD + state->client_texture].pointer;
        break;
    case GL_FEEDBACK_BUFFER_POINTER:
        *params = state->feedback;
        break;
    case GL_SELECTION_BUFFER_POINTER:
        *params = state->selection;
        break;
    case GL_DEBUG_CALLBACK_FUNCTION:
        *params = state->debug_callback;
        break;
    case GL_DEBUG_CALLBACK_USER_PARAM:
        *params = (void *)(uintptr_t)state->debug_user;
        break;
    default:
        gl_error_set(GL_INVALID_ENUM);
    }
}
