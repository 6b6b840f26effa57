/* SPDX-License-Identifier: MIT */
/* Mapping of buffers: see buffer.c. By target and by name. */
#include <string.h>

#include "gl_guest.h"

/* How a buffer is reached: bound to a target, or, with target 0, by its name. */
struct place {
    struct gl_context *gl;
    uint32_t target, name;
};

static struct gl_buffer *
find(const struct place *place)
{
    struct gl_buffer *buffer = place->name ? gl_table_find(gl_share_buffers(place->gl->share), place->name) : NULL;

    if (!buffer)
        gl_error_set(GL_INVALID_OPERATION);
    return buffer;
}

static struct place
by_target(struct gl_context *gl, uint32_t target)
{
    if (gl_binding_of(target) == GL_BOUND_NONE)
        gl_error_set(GL_INVALID_ENUM);
    return (struct place){gl, target, gl_bound_buffer(gl, target)};
}

/* The buffer's contents, as they are when all that was sent is done. */
static bool
fetch(const struct place *place, const struct gl_buffer *buffer)
{
    struct gl_context *gl = place->gl;
    struct gpuvchan_reference memory = {gpuvchan_buffer_offset(buffer->mapping), (uint64_t)buffer->map_length};
    int status;

    if (place->target)
        status = gl_buffer_read_on(&gl->client, gl->lane, place->target, (uint64_t)buffer->map_offset, memory);
    else
        status = gl_get_named_buffer_sub_data_on(&gl->client, gl->lane, place->name, buffer->map_offset,
                                                 buffer->map_length, memory);
    if (status != 0)
        gl_failed(gl, "glMapBufferRange", status);
    return status == 0;
}

/* A part of the mapping, from @p offset on. */
static void
write_back(const struct place *place, const struct gl_buffer *buffer, int64_t offset, int64_t length)
{
    struct gl_context *gl = place->gl;
    struct gl_upload upload;
    int status;

    if (length <= 0 || !gl_upload_memory(gl, &upload, (char *)gpuvchan_buffer_data(buffer->mapping) + offset, length))
        return;
    if (place->target)
        status = gl_buffer_sub_data_on(&gl->client, gl->lane, place->target, buffer->map_offset + offset, length,
                                       upload.source, upload.offset, upload.memory);
    else
        status = gl_named_buffer_sub_data_on(&gl->client, gl->lane, place->name, buffer->map_offset + offset, length,
                                             upload.source, upload.offset, upload.memory);
    if (status != 0)
        gl_failed(gl, "glUnmapBuffer", status);
}

static void *
map(const struct place *place, int64_t offset, int64_t length, uint32_t access)
{
    struct gl_buffer *buffer = find(place);

    if (!buffer)
        return NULL;
    if (offset < 0 || length < 0 || offset > buffer->size || length > buffer->size - offset) {
        gl_error_set(GL_INVALID_VALUE);
        return NULL;
    }
    if (length == 0 || buffer->mapping || !(access & (GL_MAP_READ_BIT | GL_MAP_WRITE_BIT)) ||
        (access & GL_MAP_READ_BIT &&
         access & (GL_MAP_INVALIDATE_RANGE_BIT | GL_MAP_INVALIDATE_BUFFER_BIT | GL_MAP_UNSYNCHRONIZED_BIT)) ||
        (access & GL_MAP_FLUSH_EXPLICIT_BIT && !(access & GL_MAP_WRITE_BIT))) {
        gl_error_set(GL_INVALID_OPERATION);
        return NULL;
    }
    if (gpuvchan_buffer_create(place->gl->client.channel, (size_t)length, &buffer->mapping) != 0) {
        buffer->mapping = NULL;
        gl_error_set(GL_OUT_OF_MEMORY);
        return NULL;
    }
    buffer->map_offset = offset;
    buffer->map_length = length;
    buffer->map_access = access;
    /* What the program does not write goes back as it was. */
    if (!(access & (GL_MAP_INVALIDATE_RANGE_BIT | GL_MAP_INVALIDATE_BUFFER_BIT)))
        fetch(place, buffer);
    return gpuvchan_buffer_data(buffer->mapping);
}

static uint8_t
unmap(const struct place *place)
{
    struct gl_buffer *buffer = find(place);

    if (!buffer)
        return 0;
    if (!buffer->mapping) {
        gl_error_set(GL_INVALID_OPERATION);
        return 0;
    }
    if (buffer->map_access & GL_MAP_WRITE_BIT && !(buffer->map_access & GL_MAP_FLUSH_EXPLICIT_BIT))
        write_back(place, buffer, 0, buffer->map_length);
    gpuvchan_buffer_destroy(buffer->mapping);
    buffer->mapping = NULL;
    return 1;
}

static void
flush(const struct place *place, int64_t offset, int64_t length)
{
    struct gl_buffer *buffer = find(place);

    if (!buffer)
        return;
    if (!buffer->mapping || !(buffer->map_access & GL_MAP_FLUSH_EXPLICIT_BIT))
        gl_error_set(GL_INVALID_OPERATION);
    else if (offset < 0 || length < 0 || offset > buffer->map_length || length > buffer->map_length - offset)
        gl_error_set(GL_INVALID_VALUE);
    else
        write_back(place, buffer, offset, length);
}

/* The access of glMapBuffer(); 0: that is none. */
static uint32_t
access_bits(uint32_t access)
{
    uint32_t bits = access == GL_READ_ONLY    ? GL_MAP_READ_BIT
                    : access == GL_WRITE_ONLY ? GL_MAP_WRITE_BIT
                    : access == GL_READ_WRITE ? GL_MAP_READ_BIT | GL_MAP_WRITE_BIT
                                              : 0;

    if (bits == 0)
        gl_error_set(GL_INVALID_ENUM);
    return bits;
}

static void *
map_whole(const struct place *place, uint32_t access)
{
    const struct gl_buffer *buffer =
        place->name ? gl_table_find(gl_share_buffers(place->gl->share), place->name) : NULL;
    uint32_t bits = access_bits(access);

    return bits ? map(place, 0, buffer ? buffer->size : 0, bits) : NULL;
}

void *
glMapBuffer(uint32_t target, uint32_t access_)
{
    struct place place = {gl_current, 0, 0};

    if (!place.gl)
        return NULL;
    place = by_target(place.gl, target);
    return map_whole(&place, access_);
}

void *
glMapBufferRange(uint32_t target, int64_t offset, int64_t length, uint32_t access_)
{
    struct place place = {gl_current, 0, 0};

    if (!place.gl)
        return NULL;
    place = by_target(place.gl, target);
    return map(&place, offset, length, access_);
}

uint8_t
glUnmapBuffer(uint32_t target)
{
    struct place place = {gl_current, 0, 0};

    if (!place.gl)
        return 0;
    place = by_target(place.gl, target);
    return unmap(&place);
}

void
glFlushMappedBufferRange(uint32_t target, int64_t offset, int64_t length)
{
    struct place place = {gl_current, 0, 0};

    if (!place.gl)
        return;
    place = by_target(place.gl, target);
    flush(&place, offset, length);
}

static void
get_pointer(const struct place *place, uint32_t pname, void **params)
{
    struct gl_buffer *buffer = find(place);

    if (pname != GL_BUFFER_MAP_POINTER)
        gl_error_set(GL_INVALID_ENUM);
    else if (buffer)
        *params = buffer->mapping ? gpuvchan_buffer_data(buffer->mapping) : NULL;
}

void
glGetBufferPointerv(uint32_t target, uint32_t pname, void **params)
{
    struct place place = {gl_current, 0, 0};

    if (!place.gl)
        return;
    place = by_target(place.gl, target);
    get_pointer(&place, pname, params);
}

/* ---- By name --------------------------------------------------------------------------------- */

void *
glMapNamedBuffer(uint32_t buffer, uint32_t access_)
{
    struct place place = {gl_current, 0, buffer};

    return place.gl ? map_whole(&place, access_) : NULL;
}

void *
glMapNamedBufferRange(uint32_t buffer, int64_t offset, int64_t length, uint32_t access_)
{
    struct place place = {gl_current, 0, buffer};

    return place.gl ? map(&place, offset, length, access_) : NULL;
}

uint8_t
glUnmapNamedBuffer(uint32_t buffer)
{
    struct place place = {gl_current, 0, buffer};

    return place.gl ? unmap(&place) : 0;
}

void
glFlushMappedNamedBufferRange(uint32_t buffer, int64_t offset, int64_t length)
{
    struct place place = {gl_current, 0, buffer};

    if (place.gl)
        flush(&place, offset, length);
}

void
glGetNamedBufferPointerv(uint32_t buffer, uint32_t pname, void **params)
{
    struct place place = {gl_current, 0, buffer};

    if (place.gl)
        get_pointer(&place, pname, params);
}
