/* SPDX-License-Identifier: MIT */
/* Buffers' contents, as the registry's commands cannot do them, and the draws with many ranges. */
#include <errno.h>
#include <string.h>

#include "gl-host.h"

#include "commands.h"

int
gl_host_stream_write(struct gpuvchan_request *request, uint32_t target, uint64_t offset, void *data, size_t data_bytes)
{
    struct gl_context_host *context = gl_context_of(request);
    void *to;

    if (!context || data_bytes == 0 || offset > INT64_MAX || !GL_HAS(request, BufferSubData))
        return 0;
    to = gl_functions->MapBufferRange && context->version >= (3 << 8)
             ? gl_functions->MapBufferRange(target, (int64_t)offset, (int64_t)data_bytes,
                                            GL_MAP_WRITE_BIT | GL_MAP_UNSYNCHRONIZED_BIT | GL_MAP_INVALIDATE_RANGE_BIT)
             : NULL;
    if (to) {
        memcpy(to, data, data_bytes);
        gl_functions->UnmapBuffer(target);
    } else {
        gl_functions->BufferSubData(target, (int64_t)offset, (int64_t)data_bytes, data);
    }
    return 0;
}

int
gl_host_buffer_read(struct gpuvchan_request *request, uint32_t target, uint64_t offset, void *data, size_t data_bytes)
{
    struct gl_context_host *context = gl_context_of(request);
    const void *from;

    if (!context || offset > INT64_MAX || data_bytes == 0)
        return 0;
    if (context->api == GL_API_COMPAT || context->api == GL_API_CORE) {
        gl_functions->GetBufferSubData(target, (int64_t)offset, (int64_t)data_bytes, data);
        return 0;
    }
    if (!gl_functions->MapBufferRange)
        return 0;
    from = gl_functions->MapBufferRange(target, (int64_t)offset, (int64_t)data_bytes, GL_MAP_READ_BIT);
    if (from) {
        memcpy(data, from, data_bytes);
        gl_functions->UnmapBuffer(target);
    }
    return 0;
}

static void
scan(uint32_t type, const void *indices, size_t count, uint32_t *min, uint32_t *max)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t index = type == GL_UNSIGNED_BYTE    ? ((const uint8_t *)indices)[i]
                         : type == GL_UNSIGNED_SHORT ? ((const uint16_t *)indices)[i]
                                                     : ((const uint32_t *)indices)[i];

        *min = index < *min ? index : *min;
        *max = index > *max ? index : *max;
    }
}

int
gl_host_element_range(struct gpuvchan_request *request, uint32_t type, int32_t count, uint64_t offset, uint32_t *min,
                      uint32_t *max)
{
    struct gl_context_host *context = gl_context_of(request);
    size_t bytes = gl_index_bytes(type), done = 0;
    uint32_t *portion = gl_scratch(request, 0, GL_SCRATCH_BYTES);

    *min = UINT32_MAX;
    *max = 0;
    if (!context || bytes == 0 || offset > INT64_MAX || !portion || !gl_functions->GetBufferSubData ||
        context->api == GL_API_ES1 || context->api == GL_API_ES2)
        return 0;
    while (done < gl_count(count)) {
        size_t next = gl_count(count) - done, most = GL_SCRATCH_BYTES / bytes;

        next = next < most ? next : most;
        memset(portion, 0, next * bytes);
        gl_functions->GetBufferSubData(GL_ELEMENT_ARRAY_BUFFER, (int64_t)(offset + done * bytes),
                                       (int64_t)(next * bytes), portion);
        scan(type, portion, next, min, max);
        done += next;
    }
    return 0;
}

int
gl_host_pool_done(struct gpuvchan_request *request, uint32_t word, uint64_t number)
{
    _Atomic uint64_t *at = gpuvchan_session_completion(request->session, word);

    if (!at)
        return gpuvchan_request_corrupt(request, "pool_done: there is no word %u", word);
    gpuvchan_completion_signal(at, number);
    return 0;
}

int
gl_host_pool_wait(struct gpuvchan_request *request)
{
    (void)request;
    return 0;
}

int
gl_host_multi_draw_elements(struct gpuvchan_request *request, uint32_t mode, uint32_t type, const int32_t *counts,
                            size_t counts_count, const uint64_t *offsets, size_t offsets_count, const int32_t *bases,
                            size_t bases_count)
{
    struct gl_context_host *context = gl_context_of(request);
    const void **pointers = gl_scratch(request, 0, counts_count * sizeof(*pointers));

    if (offsets_count != counts_count || (bases_count != 0 && bases_count != counts_count))
        return gl_short(request, "glMultiDrawElements", offsets_count, counts_count);
    if (!context || !pointers || !GL_HAS(request, MultiDrawElements) || !gl_draw_ready(context) ||
        !gl_element_bound(context))
        return 0;
    for (size_t i = 0; i < counts_count; i++)
        pointers[i] = (const void *)(uintptr_t)offsets[i];
    if (bases_count == 0)
        gl_functions->MultiDrawElements(mode, counts, type, pointers, (int32_t)counts_count);
    else if (GL_HAS(request, MultiDrawElementsBaseVertex))
        gl_functions->MultiDrawElementsBaseVertex(mode, counts, type, pointers, (int32_t)counts_count, bases);
    return 0;
}
