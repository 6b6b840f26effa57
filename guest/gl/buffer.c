/* SPDX-License-Identifier: MIT */
/*
 * Buffer objects: what is bound where, and mapping.
 *
 * Design notes: the program gets memory of the arena. What it may read is fetched first; what it may have written goes
 * to the buffer when it is unmapped or flushed. The driver never maps anything for it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gl_guest.h"

enum gl_binding
gl_binding_of(uint32_t target)
{
    switch (target) {
    case GL_ARRAY_BUFFER:
        return GL_BOUND_ARRAY;
    case GL_ELEMENT_ARRAY_BUFFER:
        return GL_BOUND_ELEMENT;
    case GL_PIXEL_PACK_BUFFER:
        return GL_BOUND_PIXEL_PACK;
    case GL_PIXEL_UNPACK_BUFFER:
        return GL_BOUND_PIXEL_UNPACK;
    case GL_DRAW_INDIRECT_BUFFER:
        return GL_BOUND_DRAW_INDIRECT;
    case GL_DISPATCH_INDIRECT_BUFFER:
        return GL_BOUND_DISPATCH_INDIRECT;
    case GL_COPY_READ_BUFFER:
        return GL_BOUND_COPY_READ;
    case GL_COPY_WRITE_BUFFER:
        return GL_BOUND_COPY_WRITE;
    case GL_UNIFORM_BUFFER:
        return GL_BOUND_UNIFORM;
    case GL_SHADER_STORAGE_BUFFER:
        return GL_BOUND_SHADER_STORAGE;
    case GL_ATOMIC_COUNTER_BUFFER:
        return GL_BOUND_ATOMIC_COUNTER;
    case GL_TRANSFORM_FEEDBACK_BUFFER:
        return GL_BOUND_TRANSFORM_FEEDBACK;
    case GL_TEXTURE_BUFFER:
        return GL_BOUND_TEXTURE;
    case GL_QUERY_BUFFER:
        return GL_BOUND_QUERY;
    case GL_PARAMETER_BUFFER:
        return GL_BOUND_PARAMETER;
    default:
        return GL_BOUND_NONE;
    }
}

uint32_t
gl_bound_buffer(const struct gl_context *gl, uint32_t target)
{
    enum gl_binding binding = gl_binding_of(target);

    return binding == GL_BOUND_NONE      ? 0
           : binding == GL_BOUND_ELEMENT ? gl->state->arrays->element
                                         : gl->state->bound[binding];
}

struct gl_buffer *
gl_buffer_of(struct gl_context *gl, uint32_t name)
{
    struct gl_table *table = gl_share_buffers(gl->share);
    struct gl_buffer *buffer;

    if (name == 0)
        return NULL;
    buffer = gl_table_find(table, name);
    if (buffer)
        return buffer;
    buffer = calloc(1, sizeof(*buffer));
    if (buffer && !gl_table_set(table, name, buffer)) {
        free(buffer);
        buffer = NULL;
    }
    return buffer;
}

static void
set_bound(struct gl_state *state, uint32_t target, uint32_t buffer)
{
    enum gl_binding binding = gl_binding_of(target);

    if (binding == GL_BOUND_ELEMENT)
        state->arrays->element = buffer;
    else if (binding != GL_BOUND_NONE)
        state->bound[binding] = buffer;
}

void
glBindBuffer(uint32_t target, uint32_t buffer)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    if (gl->api == GL_API_CORE && buffer != 0 && !gl_names_taken(gl, GL_SPACE_BUFFER, buffer)) {
        gl_error_set(GL_INVALID_OPERATION);
        return;
    }
    gl_names_use(gl, GL_SPACE_BUFFER, buffer);
    set_bound(gl->state, target, buffer);
    status = gl_bind_buffer_on(&gl->client, gl->lane, target, buffer);
    if (__builtin_expect(status != 0, 0))
        gl_failed(gl, "glBindBuffer", status);
}

void
glBindBufferBase(uint32_t target, uint32_t index_, uint32_t buffer)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    set_bound(gl->state, target, buffer);
    status = gl_bind_buffer_base_on(&gl->client, gl->lane, target, index_, buffer);
    if (status != 0)
        gl_failed(gl, "glBindBufferBase", status);
}

void
glBindBufferRange(uint32_t target, uint32_t index_, uint32_t buffer, int64_t offset, int64_t size)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    set_bound(gl->state, target, buffer);
    status = gl_bind_buffer_range_on(&gl->client, gl->lane, target, index_, buffer, offset, size);
    if (status != 0)
        gl_failed(gl, "glBindBufferRange", status);
}

static void
forget(struct gl_context *gl, uint32_t name)
{
    struct gl_buffer *buffer = gl_table_find(gl_share_buffers(gl->share), name);

    for (unsigned i = 0; i < GL_BINDINGS; i++)
        if (gl->state->bound[i] == name)
            gl->state->bound[i] = 0;
    gl_arrays_forget_buffer(gl->state, name);
    if (buffer) {
        gl_table_set(gl_share_buffers(gl->share), name, NULL);
        gl_maps_forget(gl, name, buffer);
        gpuvchan_buffer_destroy(buffer->mapping);
        free(buffer);
    }
}

void
glDeleteBuffers(int32_t n, const uint32_t *buffers)
{
    struct gl_context *gl = gl_current;
    int32_t done = 0;
    int status;

    if (!gl)
        return;
    for (int32_t i = 0; i < n; i++)
        if (buffers[i] != 0)
            forget(gl, buffers[i]);
    do {
        int32_t portion = n - done > 4096 ? 4096 : n - done;

        status = gl_delete_buffers_on(&gl->client, gl->lane, portion, buffers + done, gl_count(portion));
        if (status != 0)
            gl_failed(gl, "glDeleteBuffers", status);
        done += portion;
    } while (done < n);
    gl_names_free(gl, GL_SPACE_BUFFER, n, buffers);
}

/* ---- Contents -------------------------------------------------------------------------------- */

static void
sized(struct gl_context *gl, uint32_t name, int64_t size)
{
    struct gl_buffer *buffer = gl_buffer_of(gl, name);

    if (!buffer || size < 0)
        return;
    buffer->size = size;
    gl_maps_forget(gl, name, buffer);
    gpuvchan_buffer_destroy(buffer->mapping); /* new contents end a mapping */
    buffer->mapping = NULL;
}

void
glBufferData(uint32_t target, int64_t size, const void *data, uint32_t usage)
{
    struct gl_context *gl = gl_current;
    struct gl_upload upload;
    int status;

    if (!gl || !gl_upload_memory(gl, &upload, data, size))
        return;
    sized(gl, gl_bound_buffer(gl, target), size);
    status = gl_buffer_data_on(&gl->client, gl->lane, target, size, upload.source, upload.offset, upload.memory, usage);
    if (status != 0)
        gl_failed(gl, "glBufferData", status);
}

void
glBufferStorage(uint32_t target, int64_t size, const void *data, uint32_t flags)
{
    struct gl_context *gl = gl_current;
    struct gl_upload upload;
    int status;

    if (!gl || !gl_upload_memory(gl, &upload, data, size))
        return;
    sized(gl, gl_bound_buffer(gl, target), size);
    /* Unmapping writes by glBufferSubData(). */
    if (flags & GL_MAP_WRITE_BIT)
        flags |= GL_DYNAMIC_STORAGE_BIT;
    status =
        gl_buffer_storage_on(&gl->client, gl->lane, target, size, upload.source, upload.offset, upload.memory, flags);
    if (status != 0)
        gl_failed(gl, "glBufferStorage", status);
}

void
glNamedBufferData(uint32_t buffer, int64_t size, const void *data, uint32_t usage)
{
    struct gl_context *gl = gl_current;
    struct gl_upload upload;
    int status;

    if (!gl || !gl_upload_memory(gl, &upload, data, size))
        return;
    sized(gl, buffer, size);
    status = gl_named_buffer_data_on(&gl->client, gl->lane, buffer, size, upload.source, upload.offset, upload.memory,
                                     usage);
    if (status != 0)
        gl_failed(gl, "glNamedBufferData", status);
}

void
glNamedBufferStorage(uint32_t buffer, int64_t size, const void *data, uint32_t flags)
{
    struct gl_context *gl = gl_current;
    struct gl_upload upload;
    int status;

    if (!gl || !gl_upload_memory(gl, &upload, data, size))
        return;
    sized(gl, buffer, size);
    if (flags & GL_MAP_WRITE_BIT)
        flags |= GL_DYNAMIC_STORAGE_BIT;
    status = gl_named_buffer_storage_on(&gl->client, gl->lane, buffer, size, upload.source, upload.offset,
                                        upload.memory, flags);
    if (status != 0)
        gl_failed(gl, "glNamedBufferStorage", status);
}
