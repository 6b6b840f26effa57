/* SPDX-License-Identifier: MIT */
/*
 * Events.
 *
 * Design notes: what has been reached stays so until the event is recorded again, so an event is asked about until
 * it is there, and never again. Records are counted before they are posted; a host's answer counts for
 * the number from before it was asked. That another lane's record may have come between makes no harm: then
 * the answer was about a newer one.
 *
 * Asking is a call, which waits until the host has come to it. So an event that somebody asks for has the GPU write a
 * completion word behind its next records; what comes and goes is expected to be asked for if the one before it was.
 * Where a stream has failed the word is never written: now and then the host is asked after all.
 */
#include <pthread.h>

#include "guest.h"
#include "word.h"

#define MARK_VALUE_BITS 48
#define MARK_VALUE ((1ull << MARK_VALUE_BITS) - 1)
#define ASK_AFTER 256u /* answers in vain */
#define SPIN_US 200u

static pthread_mutex_t words_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool last_was_asked; /* the event destroyed last */

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
    atomic_store(&event->asked, atomic_load(&last_was_asked));
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
    atomic_store(&last_was_asked, atomic_load(&event->asked));
    cuda_guest_event_drop(event);
    return cuda_guest_result(cuda_event_destroy_on(&cuda_guest.client, self->lane, wire));
}
ENTRY_ALIAS(cuEventDestroy, cuEventDestroy_v2);

void
cuda_guest_event_drop(struct cuda_guest_event *event)
{
    cuda_guest_word_give(&event->word);
    cuda_guest_object_free(&event->object);
}

static CUresult
event_enter(CUevent handle, struct cuda_guest_thread **self, struct cuda_guest_event **event)
{
    CUresult result = cuda_guest_enter(self);

    if (result != CUDA_SUCCESS)
        return result;
    *event = cuda_guest_find(handle, CUDA_HANDLE_EVENT);
    return *event ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* Does this process alone record it, one time after the other? */
static bool
is_plain(const struct cuda_guest_event *event)
{
    return !(event->flags & CU_EVENT_INTERPROCESS) && !cuda_guest_capturing() && !atomic_load(&event->elsewhere);
}

/* What its next record marks: the word's index above its value; 0: nothing. */
static uint64_t
mark_next(struct cuda_guest_event *event)
{
    uint64_t mark = 0;

    if (!atomic_load_explicit(&event->asked, memory_order_relaxed) || !is_plain(event))
        return 0;
    pthread_mutex_lock(&words_lock);
    if (cuda_guest_word_next(&event->word))
        mark = (uint64_t)event->word.index << MARK_VALUE_BITS | event->word.marked;
    pthread_mutex_unlock(&words_lock);
    return mark;
}

/* Nobody may take the mark of one record for that of another: there is none while they change. */
static int
record(struct cuda_guest_thread *self, struct cuda_guest_event *event, uint32_t wire, unsigned flags)
{
    uint64_t mark = mark_next(event);
    int status;

    atomic_store(&event->mark, 0);
    atomic_fetch_add(&event->recorded, 1);
    status = cuda_event_record_on(&cuda_guest.client, self->lane, event->object.handle, wire, flags,
                                  (uint32_t)(mark >> MARK_VALUE_BITS), mark & MARK_VALUE);
    if (status == 0)
        atomic_store(&event->mark, mark);
    return status;
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
    return cuda_guest_result(record(self, event, wire, flags));
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
    return is_plain(event) && atomic_load(&event->reached) == atomic_load(&event->recorded);
}

/*
 * Is the mark of its latest record there, at once or within @p spin_us? -ENOENT: there is none. Somebody asks, so
 * that there will be one.
 */
static int
mark_wait(struct cuda_guest_event *event, unsigned spin_us)
{
    uint32_t recorded = atomic_load(&event->recorded); /* before the mark, see record() */
    uint64_t mark = atomic_load(&event->mark);
    uint32_t index = (uint32_t)(mark >> MARK_VALUE_BITS);
    int error;

    atomic_store_explicit(&event->asked, true, memory_order_relaxed);
    if (mark == 0 || !is_plain(event))
        return -ENOENT;
    if (spin_us > 0)
        error = gpuvchan_completion_spin(cuda_guest.channel, index, mark & MARK_VALUE, spin_us);
    else
        error = gpuvchan_completion_read(cuda_guest.channel, index) >= (mark & MARK_VALUE) ? 0 : -ETIME;
    if (error == 0 && atomic_load(&event->mark) == mark)
        atomic_store(&event->reached, recorded);
    return error;
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
    int there;

    if (result != CUDA_SUCCESS)
        return result;
    if (is_reached(event))
        return cuda_guest_result(gpuvchan_lane_take_error(self->lane));
    there = mark_wait(event, 0);
    if (there == 0 || (there == -ETIME && atomic_fetch_add(&event->in_vain, 1) % ASK_AFTER != ASK_AFTER - 1)) {
        result = cuda_guest_result(gpuvchan_lane_take_error(self->lane));
        return result == CUDA_SUCCESS && there != 0 ? CUDA_ERROR_NOT_READY : result;
    }
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
    if (!(event->flags & CU_EVENT_BLOCKING_SYNC) && mark_wait(event, SPIN_US >> self->spin_saved) == 0)
        return cuda_guest_output_write(self, cuda_guest_result(gpuvchan_lane_take_error(self->lane)));
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
