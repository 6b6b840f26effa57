/* SPDX-License-Identifier: MIT */
/* Streams. The two that CUDA names by numbers have those numbers as handles, from the start. */
#include "cuda_plugin.h"

int
cuda_streams_init(struct cuda_host *host)
{
    static const CUstream natives[] = {CU_STREAM_LEGACY, CU_STREAM_PER_THREAD};
    int error = 0;

    for (uint32_t i = 0; i < 2 && error == 0; i++) {
        struct cuda_stream *stream = &host->special[i];

        stream->object.kind = CUDA_OBJECT_STREAM;
        stream->native = natives[i];
        atomic_store(&stream->object.alive, true); /* of no context: they act in the current one */
        error = gpuvchan_handles_insert(host->handles, i + 1, CUDA_HANDLE_STREAM, stream);
    }
    return error;
}

int
cuda_host_stream_create(struct gpuvchan_request *request, struct cuda_stream **made, uint32_t flags, int32_t priority)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_stream *stream = (struct cuda_stream *)cuda_object_create(host, CUDA_OBJECT_STREAM);
    int result = stream ? cuda_enter(lane, NULL, NULL) : CUDA_ERROR_OUT_OF_MEMORY;

    if (result == 0) {
        result = host->native->cuStreamCreateWithPriority(&stream->native, flags, priority);
        if (result == CUDA_SUCCESS) {
            cuda_object_begin(host, &stream->object, cuda_lane_scope(lane), request);
            *made = stream;
        }
        cuda_leave(lane, 0);
    }
    if (result != 0 && stream)
        cuda_object_destroy(host, &stream->object);
    return result;
}

int
cuda_host_stream_destroy(struct gpuvchan_request *request, struct cuda_stream *gone)
{
    struct cuda_host *host = cuda_host_of(request);

    for (uint32_t i = 0; i < 2; i++)
        if (gone == &host->special[i]) { /* not to be destroyed: its handle comes back */
            gpuvchan_handles_insert(host->handles, i + 1, CUDA_HANDLE_STREAM, gone);
            return CUDA_ERROR_INVALID_HANDLE;
        }
    return cuda_object_close(cuda_lane_of(request), &gone->object);
}

void
cuda_discard_stream(struct gpuvchan_request *request, struct cuda_stream *object)
{
    cuda_object_close(cuda_lane_of(request), &object->object);
}

int
cuda_host_stream_query(struct gpuvchan_request *request, struct cuda_stream *on)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, on ? &on->object : NULL, NULL);

    return result ? result : cuda_leave(lane, cuda_native(request)->cuStreamQuery(cuda_stream_native(on)));
}

int
cuda_host_stream_synchronize(struct gpuvchan_request *request, struct cuda_stream *on)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, on ? &on->object : NULL, NULL);

    if (result != 0)
        return result;
    result = cuda_native(request)->cuStreamSynchronize(cuda_stream_native(on));
    cuda_output_settle(lane->host);
    return cuda_leave(lane, result);
}

int
cuda_host_stream_wait_event(struct gpuvchan_request *request, struct cuda_stream *on, struct cuda_event *after,
                            uint32_t flags)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &after->object, on ? &on->object : NULL);

    if (result != 0)
        return result;
    return cuda_leave(lane, cuda_native(request)->cuStreamWaitEvent(cuda_stream_native(on), after->native, flags));
}

int
cuda_host_stream_write_value(struct gpuvchan_request *request, struct cuda_stream *on, CUdeviceptr to, uint64_t value,
                             bool wide, uint32_t flags)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (wide ? !native->cuStreamWriteValue64 : !native->cuStreamWriteValue32)
        return cuda_driver_lacks(native, "cuStreamWriteValue");
    result = cuda_enter(lane, on ? &on->object : NULL, NULL);
    if (result != 0)
        return result;
    if (!cuda_lane_range(lane, 0, to, wide ? 8 : 4))
        result = CUDA_ERROR_INVALID_VALUE;
    else if (wide)
        result = native->cuStreamWriteValue64(cuda_stream_native(on), to, value, flags);
    else
        result = native->cuStreamWriteValue32(cuda_stream_native(on), to, (uint32_t)value, flags);
    return cuda_leave(lane, result);
}
