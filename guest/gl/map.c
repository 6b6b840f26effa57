/* SPDX-License-Identifier: MIT */
/* Mapping of buffers: see buffer.c. By target and by name. */
#include <stdlib.h>
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

/* ---- Mappings that persist ------------------------------------------------------------------- */

#define PAGE 4096

/* Remembers what the driver has. @return false: too many, or no memory. */
static bool
persist(struct gl_context *gl, uint32_t name, struct gl_buffer *buffer)
{
    struct gl_state *state = gl->state;

    if (state->persistent_count == GL_PERSISTENT_MAX)
        return false;
    buffer->map_sent = malloc((size_t)buffer->map_length);
    if (!buffer->map_sent)
        return false;
    memcpy(buffer->map_sent, gpuvchan_buffer_data(buffer->mapping), (size_t)buffer->map_length);
    state->persistent[state->persistent_count++] = name;
    return true;
}

void
gl_maps_forget(struct gl_context *gl, uint32_t name, struct gl_buffer *buffer)
{
    struct gl_state *state = gl->state;

    free(buffer->map_sent);
    buffer->map_sent = NULL;
    for (unsigned i = 0; i < state->persistent_count; i++)
        if (state->persistent[i] == name)
            state->persistent[i--] = state->persistent[--state->persistent_count];
}

/* Sends pages that have changed, those that lie together at once. */
static void
send_changes(const struct place *place, struct gl_buffer *buffer)
{
    const char *now = gpuvchan_buffer_data(buffer->mapping);
    char *sent = buffer->map_sent;
    int64_t at = 0, start = -1;

    for (; at < buffer->map_length; at += PAGE) {
        int64_t bytes = buffer->map_length - at < PAGE ? buffer->map_length - at : PAGE;
        bool changed = memcmp(now + at, sent + at, (size_t)bytes) != 0;

        if (changed) {
            memcpy(sent + at, now + at, (size_t)bytes);
            start = start < 0 ? at : start;
        } else if (start >= 0) {
            write_back(place, buffer, start, at - start);
            start = -1;
        }
    }
    if (start >= 0)
        write_back(place, buffer, start, buffer->map_length - start);
}

/* Each with the buffer bound where no command looks; then that is as it was. */
static void
each_persistent(struct gl_context *gl, uint32_t access, void (*act)(const struct place *, struct gl_buffer *))
{
    struct gl_state *state = gl->state;
    int status;

    for (unsigned i = 0; i < state->persistent_count; i++) {
        struct place place = {gl, GL_COPY_WRITE_BUFFER, state->persistent[i]};
        struct gl_buffer *buffer = gl_table_find(gl_share_buffers(gl->share), place.name);

        if (!buffer || !buffer->mapping || !buffer->map_sent || !(buffer->map_access & access))
            continue;
        status = gl_bind_buffer_on(&gl->client, gl->lane, GL_COPY_WRITE_BUFFER, place.name);
        act(&place, buffer);
        if (status == 0)
            status = gl_bind_buffer_on(&gl->client, gl->lane, GL_COPY_WRITE_BUFFER, state->bound[GL_BOUND_COPY_WRITE]);
        if (status != 0)
            gl_failed(gl, "a mapping that persists", status);
    }
}

void
gl_maps_send(struct gl_context *gl)
{
    each_persistent(gl, GL_MAP_WRITE_BIT, send_changes);
}

static void
fetch_again(const struct place *place, struct gl_buffer *buffer)
{
    if (fetch(place, buffer))
        memcpy(buffer->map_sent, gpuvchan_buffer_data(buffer->mapping), (size_t)buffer->map_length);
}

void
gl_maps_fetch(struct gl_context *gl)
{
    gl_maps_settle(gl);
    each_persistent(gl, GL_MAP_READ_BIT, fetch_again);
}

/* ---- Mapping --------------------------------------------------------------------------------- */

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
    if (access & GL_MAP_PERSISTENT_BIT && !persist(place->gl, place->name, buffer)) {
        gpuvchan_buffer_destroy(buffer->mapping);
        buffer->mapping = NULL;
        gl_error_set(GL_OUT_OF_MEMORY);
        return NULL;
    }
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
    gl_maps_forget(place->gl, place->name, buffer);
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
