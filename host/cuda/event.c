/* SPDX-License-Identifier: MIT */
/* Events. */
#include "cuda_plugin.h"

int
cuda_host_event_create(struct gpuvchan_request *request, struct cuda_event **made, uint32_t flags)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_event *event = (struct cuda_event *)cuda_object_create(host, CUDA_OBJECT_EVENT);
    int result = event ? cuda_enter(lane, NULL, NULL) : CUDA_ERROR_OUT_OF_MEMORY;

    if (result == 0) {
        result = host->native->cuEventCreate(&event->native, flags);
        if (result == CUDA_SUCCESS) {
            atomic_store(&event->kept, false);
            cuda_object_begin(host, &event->object, &lane->current->object, request);
            *made = event;
        }
        cuda_leave(lane, 0);
    }
    if (result != 0 && event)
        cuda_object_destroy(host, &event->object);
    return result;
}

int
cuda_host_event_destroy(struct gpuvchan_request *request, struct cuda_event *gone)
{
    return cuda_object_close(cuda_lane_of(request), &gone->object);
}

void
cuda_discard_event(struct gpuvchan_request *request, struct cuda_event *object)
{
    cuda_object_close(cuda_lane_of(request), &object->object);
}

int
cuda_host_event_record(struct gpuvchan_request *request, struct cuda_event *which, struct cuda_stream *on,
                       uint32_t flags, uint32_t index, uint64_t value)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (value != 0 && !gpuvchan_session_completion(request->session, index))
        return gpuvchan_request_corrupt(request, "event: there is no completion word %u", index);
    result = cuda_enter(lane, &which->object, on ? &on->object : NULL);
    if (result != 0)
        return result;
    if (flags == CU_EVENT_RECORD_DEFAULT)
        result = native->cuEventRecord(which->native, cuda_stream_native(on));
    else if (native->cuEventRecordWithFlags)
        result = native->cuEventRecordWithFlags(which->native, cuda_stream_native(on), flags);
    else
        result = cuda_driver_lacks(native, "cuEventRecordWithFlags");
    /* If the GPU cannot, the guest does not see it there, and asks. */
    if (result == CUDA_SUCCESS && value != 0 &&
        !cuda_completion_write(lane, cuda_stream_native(on), index, value, &result))
        result = CUDA_SUCCESS;
    return cuda_leave(lane, result);
}

int
cuda_host_event_query(struct gpuvchan_request *request, struct cuda_event *which)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &which->object, NULL);

    return result ? result : cuda_leave(lane, cuda_native(request)->cuEventQuery(which->native));
}

int
cuda_host_event_synchronize(struct gpuvchan_request *request, struct cuda_event *which)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &which->object, NULL);

    if (result != 0)
        return result;
    result = cuda_native(request)->cuEventSynchronize(which->native);
    cuda_output_settle(lane->host);
    return cuda_leave(lane, result);
}

int
cuda_host_event_elapsed(struct gpuvchan_request *request, struct cuda_event *first, struct cuda_event *second,
                        float *milliseconds)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &first->object, &second->object);

    if (result != 0)
        return result;
    return cuda_leave(lane, cuda_event_between(lane->host, milliseconds, first, second));
}
