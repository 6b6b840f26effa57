/* SPDX-License-Identifier: MIT */
/*
 * Events.
 *
 * Design notes: what has been reached stays so until the event is recorded again, so an event is asked about until
 * it is there, and never again. Records are counted before they are posted; a host's answer counts for
 * the number from before it was asked. That another lane's record may have come between makes no harm: then
 * the answer was about a newer one.
 */
#include "guest.h"

#define EVENT_FLAGS (CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS)

ENTRY
cuEventCreate(CUevent *handle, unsigned int flags)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_event *event;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || flags & ~(unsigned)EVENT_FLAGS ||
        (flags & CU_EVENT_INTERPROCESS && !(flags & CU_EVENT_DISABLE_TIMING)))
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_object_create(CUDA_HANDLE_EVENT, sizeof(*event), cuda_guest_current(self), &event);
    if (result != CUDA_SUCCESS)
        return result;
    event->flags = flags;
    result = cuda_guest_result(cuda_event_create_on(&cuda_guest.client, self->lane, event->object.handle, flags));
    if (result == CUDA_SUCCESS)
        *handle = cuda_guest_handle(&event->object);
    else
        cuda_guest_object_undo(&event->object);
    return result;
}

ENTRY
cuEventDestroy_v2(CUevent handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_event *event;
    CUresult result = cuda_guest_enter(&self);
    uint32_t wire;

    if (result != CUDA_SUCCESS)
        return result;
    event = cuda_guest_take(handle, CUDA_HANDLE_EVENT);
    if (!event)
        return CUDA_ERROR_INVALID_HANDLE;
    wire = event->object.handle;
    cuda_guest_object_free(&event->object);
    return cuda_guest_result(cuda_event_destroy_on(&cuda_guest.client, self->lane, wire));
}
ENTRY_ALIAS(cuEventDestroy, cuEventDestroy_v2);

static CUresult
event_enter(CUevent handle, struct cuda_guest_thread **self, struct cuda_guest_event **event)
{
    CUresult result = cuda_guest_enter(self);

    if (result != CUDA_SUCCESS)
        return result;
    *event = cuda_guest_find(handle, CUDA_HANDLE_EVENT);
    return *event ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

ENTRY
cuEventRecordWithFlags(CUevent handle, CUstream stream, unsigned int flags)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_event *event;
    struct cuda_guest_context *context;
    uint32_t wire;
    CUresult result = event_enter(handle, &self, &event);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_stream_wire(self, stream, &wire, &context);
    if (result != CUDA_SUCCESS)
        return result;
    if (context != event->object.context)
        return CUDA_ERROR_INVALID_HANDLE;
    if (flags & ~(unsigned)CU_EVENT_RECORD_EXTERNAL)
        return CUDA_ERROR_INVALID_VALUE;
    if (flags != 0 || cuda_guest_capturing())
        cuda_guest_event_elsewhere(event);
    atomic_fetch_add(&event->recorded, 1);
    return cuda_guest_result(cuda_event_record_on(&cuda_guest.client, self->lane, event->object.handle, wire, flags));
}

ENTRY
cuEventRecordWithFlags_ptsz(CUevent event, CUstream stream, unsigned int flags)
{
    return cuEventRecordWithFlags(event, cuda_guest_per_thread(stream), flags);
}

ENTRY
cuEventRecord(CUevent event, CUstream stream)
{
    return cuEventRecordWithFlags(event, stream, 0);
}

ENTRY
cuEventRecord_ptsz(CUevent event, CUstream stream)
{
    return cuEventRecordWithFlags(event, cuda_guest_per_thread(stream), 0);
}

static bool
is_reached(const struct cuda_guest_event *event)
{
    return !(event->flags & CU_EVENT_INTERPROCESS) && !cuda_guest_capturing() && !atomic_load(&event->elsewhere) &&
           atomic_load(&event->reached) == atomic_load(&event->recorded);
}

/* The host's answer, which is remembered if it says that the event is there. */
static CUresult
answered(struct cuda_guest_event *event, uint32_t recorded, int status)
{
    CUresult result = cuda_guest_result(status);

    if (result == CUDA_SUCCESS)
        atomic_store(&event->reached, recorded);
    return result;
}

ENTRY
cuEventQuery(CUevent handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_event *event;
    CUresult result = event_enter(handle, &self, &event);
    uint32_t recorded;

    if (result != CUDA_SUCCESS)
        return result;
    if (is_reached(event))
        return cuda_guest_result(gpuvchan_lane_take_error(self->lane));
    recorded = atomic_load(&event->recorded);
    return answered(event, recorded, cuda_event_query_on(&cuda_guest.client, self->lane, event->object.handle));
}

ENTRY
cuEventSynchronize(CUevent handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_event *event;
    CUresult result = event_enter(handle, &self, &event);
    uint32_t recorded;

    if (result != CUDA_SUCCESS)
        return result;
    if (is_reached(event))
        return cuda_guest_result(gpuvchan_lane_take_error(self->lane));
    recorded = atomic_load(&event->recorded);
    result = answered(event, recorded, cuda_event_synchronize_on(&cuda_guest.client, self->lane, event->object.handle));
    return cuda_guest_output_write(self, result);
}

ENTRY
cuEventElapsedTime_v2(float *milliseconds, CUevent first_handle, CUevent second_handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_event *first, *second;
    CUresult result = event_enter(first_handle, &self, &first);

    if (result == CUDA_SUCCESS)
        result = event_enter(second_handle, &self, &second);
    if (result != CUDA_SUCCESS)
        return result;
    if (first->flags & CU_EVENT_DISABLE_TIMING || second->flags & CU_EVENT_DISABLE_TIMING)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!milliseconds)
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_result(cuda_event_elapsed_on(&cuda_guest.client, self->lane, first->object.handle,
                                                   second->object.handle, milliseconds));
}
ENTRY_ALIAS(cuEventElapsedTime, cuEventElapsedTime_v2);
