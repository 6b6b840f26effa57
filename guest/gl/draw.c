/* SPDX-License-Identifier: MIT */
/*
 * Draws. With all arrays in buffers they are posts like others; what lies in the program's memory is sent before: see
 * stream.c.
 */
#include <errno.h>
#include <string.h>

#include "gl_guest.h"

#define REPORT(name, call)                    \
    do {                                      \
        int status = call;                    \
                                              \
        if (__builtin_expect(status != 0, 0)) \
            gl_failed(gl, name, status);      \
    } while (0)

/* Are the arrays where the driver can read them? */
static inline bool
ready(struct gl_context *gl, int64_t first, int64_t count, int64_t instances)
{
    gl_maps_settle(gl);
    return __builtin_expect(gl->state->from_memory == 0, 1) || gl_arrays_send(gl, first, count, instances);
}

void
glDrawArrays(uint32_t mode, int32_t first, int32_t count)
{
    struct gl_context *gl = gl_current;

    if (gl && ready(gl, first, count, 1))
        REPORT("glDrawArrays", gl_draw_arrays_on(&gl->client, gl->lane, mode, first, count));
}

void
glDrawArraysInstanced(uint32_t mode, int32_t first, int32_t count, int32_t instancecount)
{
    struct gl_context *gl = gl_current;

    if (gl && ready(gl, first, count, instancecount))
        REPORT("glDrawArraysInstanced",
               gl_draw_arrays_instanced_on(&gl->client, gl->lane, mode, first, count, instancecount));
}

void
glDrawArraysInstancedBaseInstance(uint32_t mode, int32_t first, int32_t count, int32_t instancecount,
                                  uint32_t baseinstance)
{
    struct gl_context *gl = gl_current;

    if (gl && ready(gl, first, count, (int64_t)instancecount + baseinstance))
        REPORT("glDrawArraysInstancedBaseInstance",
               gl_draw_arrays_instanced_base_instance_on(&gl->client, gl->lane, mode, first, count, instancecount,
                                                         baseinstance));
}

void
glMultiDrawArrays(uint32_t mode, const int32_t *first, const int32_t *count, int32_t drawcount)
{
    struct gl_context *gl = gl_current;

    if (!gl)
        return;
    gl_maps_settle(gl);
    if (gl->state->from_memory != 0) {
        for (int32_t i = 0; i < drawcount; i++)
            if (count[i] > 0)
                glDrawArrays(mode, first[i], count[i]);
        return;
    }
    REPORT("glMultiDrawArrays", gl_multi_draw_arrays_on(&gl->client, gl->lane, mode, first, gl_count(drawcount), count,
                                                        gl_count(drawcount), drawcount));
}

/* ---- By indices ------------------------------------------------------------------------------ */

struct range {
    uint32_t min, max;
};

/* The largest number is most often a mark that restarts primitives: then it is no vertex. */
static struct range
scan(uint32_t type, const void *indices, size_t count)
{
    uint32_t last = type == GL_UNSIGNED_BYTE ? 0xff : type == GL_UNSIGNED_SHORT ? 0xffff : 0xffffffff;
    struct range range = {UINT32_MAX, 0};
    bool marked = false;

    for (size_t i = 0; i < count; i++) {
        uint32_t index = type == GL_UNSIGNED_BYTE    ? ((const uint8_t *)indices)[i]
                         : type == GL_UNSIGNED_SHORT ? ((const uint16_t *)indices)[i]
                                                     : ((const uint32_t *)indices)[i];

        if (index == last) {
            marked = true;
            continue;
        }
        range.min = index < range.min ? index : range.min;
        range.max = index > range.max ? index : range.max;
    }
    if (marked && range.max == last - 1)
        range.max = last;
    return range;
}

struct elements {
    uint64_t offset;
    bool sent; /* our own indices are bound */
};

/* Has indices and arrays where the driver can read them. @return false: nothing can be drawn. */
static bool
begin(struct gl_context *gl, int32_t count, uint32_t type, const void *indices, int32_t base, int64_t instances,
      struct elements *elements)
{
    struct gl_state *state = gl->state;
    unsigned bytes = gl_index_bytes(type);
    bool in_memory = state->arrays->element == 0;
    struct range range;
    int status;

    *elements = (struct elements){.offset = (uintptr_t)indices};
    gl_maps_settle(gl);
    if (count <= 0 || bytes == 0)
        return true; /* the driver says what is wrong */
    if (in_memory && gl->api == GL_API_CORE) {
        gl_error_set(GL_INVALID_OPERATION);
        return false;
    }
    if (in_memory && !indices)
        return false;
    if (state->from_memory != 0) {
        if (in_memory) {
            range = scan(type, indices, gl_count(count));
        } else {
            status = gl_element_range_on(&gl->client, gl->lane, type, count, elements->offset, &range.min, &range.max);
            if (status != 0) {
                gl_failed(gl, "glDrawElements", status);
                return false;
            }
        }
        if (range.min <= range.max &&
            !gl_arrays_send(gl, (int64_t)range.min + base, (int64_t)range.max - range.min + 1, instances))
            return false;
    }
    if (!in_memory)
        return true;
    elements->sent = gl_indices_send(gl, indices, gl_count(count) * bytes, &elements->offset);
    return elements->sent;
}

static void
end(struct gl_context *gl, const struct elements *elements)
{
    if (elements->sent)
        REPORT("glDrawElements", gl_bind_buffer_on(&gl->client, gl->lane, GL_ELEMENT_ARRAY_BUFFER, 0));
}

void
glDrawElements(uint32_t mode, int32_t count, uint32_t type, const void *indices)
{
    struct gl_context *gl = gl_current;
    struct elements elements;

    if (!gl || !begin(gl, count, type, indices, 0, 1, &elements))
        return;
    REPORT("glDrawElements", gl_draw_elements_on(&gl->client, gl->lane, mode, count, type, elements.offset));
    end(gl, &elements);
}

void
glDrawElementsBaseVertex(uint32_t mode, int32_t count, uint32_t type, const void *indices, int32_t basevertex)
{
    struct gl_context *gl = gl_current;
    struct elements elements;

    if (!gl || !begin(gl, count, type, indices, basevertex, 1, &elements))
        return;
    REPORT("glDrawElementsBaseVertex",
           gl_draw_elements_base_vertex_on(&gl->client, gl->lane, mode, count, type, elements.offset, basevertex));
    end(gl, &elements);
}

void
glDrawElementsInstanced(uint32_t mode, int32_t count, uint32_t type, const void *indices, int32_t instancecount)
{
    struct gl_context *gl = gl_current;
    struct elements elements;

    if (!gl || !begin(gl, count, type, indices, 0, instancecount, &elements))
        return;
    REPORT("glDrawElementsInstanced",
           gl_draw_elements_instanced_on(&gl->client, gl->lane, mode, count, type, elements.offset, instancecount));
    end(gl, &elements);
}

void
glDrawElementsInstancedBaseVertex(uint32_t mode, int32_t count, uint32_t type, const void *indices,
                                  int32_t instancecount, int32_t basevertex)
{
    struct gl_context *gl = gl_current;
    struct elements elements;

    if (!gl || !begin(gl, count, type, indices, basevertex, instancecount, &elements))
        return;
    REPORT("glDrawElementsInstancedBaseVertex",
           gl_draw_elements_instanced_base_vertex_on(&gl->client, gl->lane, mode, count, type, elements.offset,
                                                     instancecount, basevertex));
    end(gl, &elements);
}

void
glDrawElementsInstancedBaseInstance(uint32_t mode, int32_t count, uint32_t type, const void *indices,
                                    int32_t instancecount, uint32_t baseinstance)
{
    struct gl_context *gl = gl_current;
    struct elements elements;

    if (!gl || !begin(gl, count, type, indices, 0, (int64_t)instancecount + baseinstance, &elements))
        return;
    REPORT("glDrawElementsInstancedBaseInstance",
           gl_draw_elements_instanced_base_instance_on(&gl->client, gl->lane, mode, count, type, elements.offset,
                                                       instancecount, baseinstance));
    end(gl, &elements);
}

void
glDrawElementsInstancedBaseVertexBaseInstance(uint32_t mode, int32_t count, uint32_t type, const void *indices,
                                              int32_t instancecount, int32_t basevertex, uint32_t baseinstance)
{
    struct gl_context *gl = gl_current;
    struct elements elements;

    if (!gl || !begin(gl, count, type, indices, basevertex, (int64_t)instancecount + baseinstance, &elements))
        return;
    REPORT("glDrawElementsInstancedBaseVertexBaseInstance",
           gl_draw_elements_instanced_base_vertex_base_instance_on(
               &gl->client, gl->lane, mode, count, type, elements.offset, instancecount, basevertex, baseinstance));
    end(gl, &elements);
}

void
glDrawRangeElements(uint32_t mode, uint32_t start, uint32_t end_, int32_t count, uint32_t type, const void *indices)
{
    struct gl_context *gl = gl_current;
    struct elements elements;

    if (!gl || !begin(gl, count, type, indices, 0, 1, &elements))
        return;
    REPORT("glDrawRangeElements",
           gl_draw_range_elements_on(&gl->client, gl->lane, mode, start, end_, count, type, elements.offset));
    end(gl, &elements);
}

void
glDrawRangeElementsBaseVertex(uint32_t mode, uint32_t start, uint32_t end_, int32_t count, uint32_t type,
                              const void *indices, int32_t basevertex)
{
    struct gl_context *gl = gl_current;
    struct elements elements;

    if (!gl || !begin(gl, count, type, indices, basevertex, 1, &elements))
        return;
    REPORT("glDrawRangeElementsBaseVertex",
           gl_draw_range_elements_base_vertex_on(&gl->client, gl->lane, mode, start, end_, count, type, elements.offset,
                                                 basevertex));
    end(gl, &elements);
}

/* ---- Many at once ---------------------------------------------------------------------------- */

static void
multi_elements(const char *command, uint32_t mode, const int32_t *count, uint32_t type, const void *const *indices,
               int32_t drawcount, const int32_t *bases)
{
    struct gl_context *gl = gl_current;

    if (!gl)
        return;
    gl_maps_settle(gl);
    if (gl->state->from_memory == 0 && gl->state->arrays->element != 0 && drawcount <= 4000) {
        uint64_t offsets[4000];

        for (int32_t i = 0; i < drawcount; i++)
            offsets[i] = (uintptr_t)indices[i];
        REPORT(command,
               gl_multi_draw_elements_on(&gl->client, gl->lane, mode, type, count, gl_count(drawcount), offsets,
                                         gl_count(drawcount), bases, bases ? gl_count(drawcount) : 0));
        return;
    }
    for (int32_t i = 0; i < drawcount; i++) {
        if (bases)
            glDrawElementsBaseVertex(mode, count[i], type, indices[i], bases[i]);
        else
            glDrawElements(mode, count[i], type, indices[i]);
    }
}

void
glMultiDrawElements(uint32_t mode, const int32_t *count, uint32_t type, const void *const *indices, int32_t drawcount)
{
    multi_elements("glMultiDrawElements", mode, count, type, indices, drawcount, NULL);
}

void
glMultiDrawElementsBaseVertex(uint32_t mode, const int32_t *count, uint32_t type, const void *const *indices,
                              int32_t drawcount, const int32_t *basevertex)
{
    multi_elements("glMultiDrawElementsBaseVertex", mode, count, type, indices, drawcount, basevertex);
}

/* ---- By what lies in memory ------------------------------------------------------------------ */

struct indirect_arrays {
    uint32_t count, instances, first, base_instance;
};

struct indirect_elements {
    uint32_t count, instances, first;
    int32_t base_vertex;
    uint32_t base_instance;
};

/* In memory of the program, which the core profile and ES do not have. */
static bool
in_memory(struct gl_context *gl)
{
    gl_maps_settle(gl);
    if (gl->state->bound[GL_BOUND_DRAW_INDIRECT] != 0)
        return false;
    if (gl->api != GL_API_COMPAT)
        gl_error_set(GL_INVALID_OPERATION);
    return true;
}

static void
arrays_from(uint32_t mode, const void *indirect)
{
    struct indirect_arrays draw;

    memcpy(&draw, indirect, sizeof(draw));
    glDrawArraysInstancedBaseInstance(mode, (int32_t)draw.first, (int32_t)draw.count, (int32_t)draw.instances,
                                      draw.base_instance);
}

static void
elements_from(uint32_t mode, uint32_t type, const void *indirect)
{
    struct indirect_elements draw;

    memcpy(&draw, indirect, sizeof(draw));
    glDrawElementsInstancedBaseVertexBaseInstance(
        mode, (int32_t)draw.count, type, (const void *)(uintptr_t)((uint64_t)draw.first * gl_index_bytes(type)),
        (int32_t)draw.instances, draw.base_vertex, draw.base_instance);
}

void
glDrawArraysIndirect(uint32_t mode, const void *indirect)
{
    struct gl_context *gl = gl_current;

    if (!gl)
        return;
    if (!in_memory(gl))
        REPORT("glDrawArraysIndirect", gl_draw_arrays_indirect_on(&gl->client, gl->lane, mode, (uintptr_t)indirect));
    else if (gl->api == GL_API_COMPAT && indirect)
        arrays_from(mode, indirect);
}

void
glDrawElementsIndirect(uint32_t mode, uint32_t type, const void *indirect)
{
    struct gl_context *gl = gl_current;

    if (!gl)
        return;
    if (!in_memory(gl))
        REPORT("glDrawElementsIndirect",
               gl_draw_elements_indirect_on(&gl->client, gl->lane, mode, type, (uintptr_t)indirect));
    else if (gl->api == GL_API_COMPAT && indirect)
        elements_from(mode, type, indirect);
}

void
glMultiDrawArraysIndirect(uint32_t mode, const void *indirect, int32_t drawcount, int32_t stride)
{
    struct gl_context *gl = gl_current;

    if (!gl)
        return;
    if (!in_memory(gl)) {
        REPORT("glMultiDrawArraysIndirect",
               gl_multi_draw_arrays_indirect_on(&gl->client, gl->lane, mode, (uintptr_t)indirect, drawcount, stride));
        return;
    }
    if (stride == 0)
        stride = (int32_t)sizeof(struct indirect_arrays);
    for (int32_t i = 0; gl->api == GL_API_COMPAT && i < drawcount; i++)
        arrays_from(mode, (const char *)indirect + (int64_t)i * stride);
}

void
glMultiDrawElementsIndirect(uint32_t mode, uint32_t type, const void *indirect, int32_t drawcount, int32_t stride)
{
    struct gl_context *gl = gl_current;

    if (!gl)
        return;
    if (!in_memory(gl)) {
        REPORT("glMultiDrawElementsIndirect",
               gl_multi_draw_elements_indirect_on(&gl->client, gl->lane, mode, type, (uintptr_t)indirect, drawcount,
                                                  stride));
        return;
    }
    if (stride == 0)
        stride = (int32_t)sizeof(struct indirect_elements);
    for (int32_t i = 0; gl->api == GL_API_COMPAT && i < drawcount; i++)
        elements_from(mode, type, (const char *)indirect + (int64_t)i * stride);
}

void
glArrayElement(int32_t i)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;
    struct gl_context *gl = gl_current;

    if (!gl)
        return;
    if (gl->state->from_memory != 0)
        gl_unserved("glArrayElement of the program's memory", &said);
    else
        REPORT("glArrayElement", gl_array_element_on(&gl->client, gl->lane, i));
}

void
glDispatchCompute(uint32_t num_groups_x, uint32_t num_groups_y, uint32_t num_groups_z)
{
    struct gl_context *gl = gl_current;

    if (!gl)
        return;
    gl_maps_settle(gl);
    REPORT("glDispatchCompute",
           gl_dispatch_compute_on(&gl->client, gl->lane, num_groups_x, num_groups_y, num_groups_z));
}

void
glDispatchComputeIndirect(int64_t indirect)
{
    struct gl_context *gl = gl_current;

    if (!gl)
        return;
    gl_maps_settle(gl);
    REPORT("glDispatchComputeIndirect", gl_dispatch_compute_indirect_on(&gl->client, gl->lane, indirect));
}

void
glCopyBufferSubData(uint32_t readTarget, uint32_t writeTarget, int64_t readOffset, int64_t writeOffset, int64_t size)
{
    struct gl_context *gl = gl_current;

    if (!gl)
        return;
    gl_maps_settle(gl);
    REPORT("glCopyBufferSubData",
           gl_copy_buffer_sub_data_on(&gl->client, gl->lane, readTarget, writeTarget, readOffset, writeOffset, size));
}
