/* SPDX-License-Identifier: MIT */
/*
 * Arrays in the program's memory, for a draw.
 *
 * Design notes: what the draw reads is copied to a buffer object of our own, and the driver's arrays are pointed there,
 * by ordinary commands. Arrays that lie interleaved are copied once. The buffer is written from the start to the end,
 * so that what earlier draws still read stays; then it begins anew with new storage. A vertex's offset must not be
 * negative where vertex 0 is not sent: so data that begins with vertex N lies at least N strides from the start.
 */
#include <string.h>

#include "gl_guest.h"

#define STREAM_BYTES (4u << 20)
#define ALIGN 64u

static uint64_t
aligned(uint64_t value)
{
    return (value + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
}

static unsigned
type_bytes(const struct gl_attrib *attrib)
{
    bool packed;
    unsigned bytes = gl_type_bytes(attrib->type, &packed);
    unsigned size = attrib->size == GL_BGRA ? 4 : (unsigned)gl_count(attrib->size);

    return packed ? bytes : bytes * size;
}

/* Arrays that lie in one stretch of memory. */
struct group {
    uint32_t members; /* a bit each */
    const char *start;
    uint64_t stride, bytes; /* of an element, from the first member's start to the last one's end */
    int64_t first, count;
    uint64_t at; /* in the stream */
};

static uint64_t
group_bytes(const struct group *group)
{
    return group->count > 0 ? (uint64_t)(group->count - 1) * group->stride + group->bytes : 0;
}

static uint64_t
stride_of(const struct gl_attrib *attrib)
{
    return attrib->stride > 0 ? (uint64_t)attrib->stride : type_bytes(attrib);
}

/* The group of the lowest pointer in @p left. */
static struct group
next_group(const struct gl_arrays *arrays, uint32_t left, int64_t first, int64_t count, int64_t instances)
{
    const struct gl_attrib *lowest = NULL;
    struct group group = {0};

    for (unsigned i = 0; i < GL_ATTRIBS; i++)
        if (left >> i & 1 && (!lowest || arrays->attribs[i].pointer < lowest->pointer))
            lowest = &arrays->attribs[i];
    group.start = lowest->pointer;
    group.stride = stride_of(lowest);
    for (unsigned i = 0; i < GL_ATTRIBS; i++) {
        const struct gl_attrib *attrib = &arrays->attribs[i];
        uint64_t distance = (uint64_t)((const char *)attrib->pointer - group.start);

        if (!(left >> i & 1) || stride_of(attrib) != group.stride || attrib->divisor != lowest->divisor ||
            (attrib != lowest && distance >= group.stride))
            continue;
        group.members |= 1u << i;
        if (distance + type_bytes(attrib) > group.bytes)
            group.bytes = distance + type_bytes(attrib);
    }
    group.first = lowest->divisor == 0 ? first : 0;
    group.count = lowest->divisor == 0 ? count : (instances + lowest->divisor - 1) / lowest->divisor;
    return group;
}

/* ---- The stream ------------------------------------------------------------------------------ */

static int
bind(struct gl_context *gl, uint32_t target, uint32_t buffer)
{
    return gl_bind_buffer_on(&gl->client, gl->lane, target, buffer);
}

/* Binds the stream, with room for @p bytes from @p least on at the earliest. Sets at. */
static bool
make_room(struct gl_context *gl, struct gl_stream *stream, uint32_t target, uint64_t least, uint64_t bytes)
{
    uint64_t at = aligned(stream->at > least ? stream->at : least);
    struct gpuvchan_reference none = {0, 0};
    int status;

    if (stream->buffer == 0) {
        if (!gl_names_gen(gl, GL_SPACE_BUFFER, 1, &stream->buffer))
            return false;
        status = gl_gen_buffers_on(&gl->client, gl->lane, 1, &stream->buffer, 1);
        if (status != 0)
            goto failed;
    }
    status = bind(gl, target, stream->buffer);
    if (status == 0 && at + bytes > stream->bytes) {
        at = aligned(least);
        stream->bytes = at + bytes > STREAM_BYTES ? aligned(at + bytes) : STREAM_BYTES;
        status = gl_buffer_data_on(&gl->client, gl->lane, target, (int64_t)stream->bytes, GL_SOURCE_NULL, 0, none,
                                   GL_STREAM_DRAW);
    }
    stream->at = at;
    if (status == 0)
        return true;
failed:
    gl_failed(gl, "a draw's arrays", status);
    return false;
}

static bool
write(struct gl_context *gl, struct gl_stream *stream, uint32_t target, const void *data, uint64_t bytes, uint64_t *at)
{
    struct gpuvchan_reference memory;
    void *to = gl_pool_take(gl, bytes, &memory);
    int status;

    if (!to)
        return false;
    gpuvchan_arena_write(gl->lane, to, data, bytes);
    *at = stream->at;
    stream->at = aligned(stream->at + bytes);
    status = gl_stream_write_on(&gl->client, gl->lane, target, *at, memory);
    if (status != 0)
        gl_failed(gl, "a draw's arrays", status);
    return status == 0;
}

/* ---- Vertices -------------------------------------------------------------------------------- */

static int
point(struct gl_context *gl, unsigned number, const struct gl_attrib *attrib, uint64_t offset)
{
    const struct gpuvchan_client *client = &gl->client;
    struct gpuvchan_lane *lane = gl->lane;
    int32_t size = attrib->size, stride = attrib->stride;
    uint32_t type = attrib->type;
    int status;

    switch (number) {
    case GL_ARRAY_VERTEX:
        return gl_vertex_pointer_on(client, lane, size, type, stride, offset);
    case GL_ARRAY_NORMAL:
        return gl_normal_pointer_on(client, lane, type, stride, offset);
    case GL_ARRAY_COLOR:
        return gl_color_pointer_on(client, lane, size, type, stride, offset);
    case GL_ARRAY_INDEX:
        return gl_index_pointer_on(client, lane, type, stride, offset);
    case GL_ARRAY_EDGE_FLAG:
        return gl_edge_flag_pointer_on(client, lane, stride, offset);
    case GL_ARRAY_FOG_COORD:
        return gl_fog_coord_pointer_on(client, lane, type, stride, offset);
    case GL_ARRAY_SECONDARY_COLOR:
        return gl_secondary_color_pointer_on(client, lane, size, type, stride, offset);
    default:
        break;
    }
    if (number < GL_GENERIC) {
        if (attrib->kind == GL_ATTRIB_INTEGER)
            return gl_vertex_attrib_ipointer_on(client, lane, number, size, type, stride, offset);
        if (attrib->kind == GL_ATTRIB_DOUBLE)
            return gl_vertex_attrib_lpointer_on(client, lane, number, size, type, stride, offset);
        return gl_vertex_attrib_pointer_on(client, lane, number, size, type, attrib->normalized, stride, offset);
    }
    status = gl_client_active_texture_on(client, lane, GL_TEXTURE0 + number - GL_ARRAY_TEX_COORD);
    if (status == 0)
        status = gl_tex_coord_pointer_on(client, lane, size, type, stride, offset);
    if (status == 0)
        status = gl_client_active_texture_on(client, lane, GL_TEXTURE0 + gl->state->client_texture);
    return status;
}

static bool
send_group(struct gl_context *gl, const struct gl_arrays *arrays, struct group *group)
{
    if (group->count <= 0)
        return true;
    if (!write(gl, &gl->state->vertices, GL_ARRAY_BUFFER, group->start + group->first * (int64_t)group->stride,
               group_bytes(group), &group->at))
        return false;
    for (unsigned i = 0; i < GL_ATTRIBS; i++) {
        const struct gl_attrib *attrib = &arrays->attribs[i];
        int status = 0;

        if (group->members >> i & 1)
            status = point(gl, i, attrib,
                           group->at - (uint64_t)group->first * group->stride +
                               (uint64_t)((const char *)attrib->pointer - group->start));
        if (status != 0) {
            gl_failed(gl, "a draw's arrays", status);
            return false;
        }
    }
    return true;
}

bool
gl_arrays_send(struct gl_context *gl, int64_t first, int64_t count, int64_t instances)
{
    struct gl_state *state = gl->state;
    const struct gl_arrays *arrays = state->arrays;
    struct group groups[GL_ATTRIBS];
    unsigned group_count = 0;
    uint64_t bytes = 0, least = 0;
    bool good;

    if (first < 0 || count < 0)
        return true; /* the driver says what is wrong */
    for (uint32_t left = state->from_memory; left != 0; left &= ~groups[group_count++].members) {
        struct group *group = &groups[group_count];

        *group = next_group(arrays, left, first, count, instances);
        bytes += aligned(group_bytes(group));
        if ((uint64_t)group->first * group->stride > least)
            least = (uint64_t)group->first * group->stride;
    }
    good = make_room(gl, &state->vertices, GL_ARRAY_BUFFER, least, bytes);
    for (unsigned i = 0; i < group_count && good; i++)
        good = send_group(gl, arrays, &groups[i]);
    if (bind(gl, GL_ARRAY_BUFFER, state->bound[GL_BOUND_ARRAY]) != 0)
        good = false;
    return good;
}

bool
gl_indices_send(struct gl_context *gl, const void *indices, size_t bytes, uint64_t *offset)
{
    return make_room(gl, &gl->state->indices, GL_ELEMENT_ARRAY_BUFFER, 0, bytes) &&
           write(gl, &gl->state->indices, GL_ELEMENT_ARRAY_BUFFER, indices, bytes, offset);
}
