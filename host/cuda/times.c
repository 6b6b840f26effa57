/* SPDX-License-Identifier: MIT */
/*
 * Times between events, over the renewal of a worker.
 *
 * Design notes: a driver tells the time between two of its own events only. So the time that has passed since an event
 * is saved, and the event is recorded again, since it has happened. Whether it still is the one from before is told by
 * the driver: as long as it happened when the driver first believed it did. That also finds events which graphs record, and
 * costs nothing where events are recorded. The clock that joins the two times is the system's.
 */
#include "suspend.h"

#include <errno.h>
#include <time.h>

static uint64_t
now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static double
between_ms(uint64_t from, uint64_t to)
{
    return (double)(int64_t)(to - from) / 1e6;
}

static struct cuda_context *
context_of(const struct cuda_event *event)
{
    return (struct cuda_context *)atomic_load_explicit(&event->object.owner, memory_order_relaxed);
}

/* Is it still as it was when the worker was renewed? */
static bool
is_kept(struct cuda_host *host, struct cuda_event *event)
{
    float mark;

    if (!atomic_load_explicit(&event->kept, memory_order_acquire))
        return false;
    if (host->native->cuEventElapsedTime(&mark, context_of(event)->began, event->native) == CUDA_SUCCESS &&
        mark == event->time.mark)
        return true;
    atomic_store(&event->kept, false);
    return false;
}

/* Milliseconds since the moment @p since. */
static CUresult
time_of(struct cuda_host *host, struct cuda_event *event, uint64_t since, double *time)
{
    const struct cuda_context *context = context_of(event);
    CUresult result = CUDA_SUCCESS;
    float passed = 0;

    if (is_kept(host, event)) {
        *time = between_ms(since, event->time.moment) - event->time.since;
    } else {
        result = host->native->cuEventElapsedTime(&passed, context->began, event->native);
        *time = between_ms(since, context->began_at) + (double)passed;
    }
    return result;
}

CUresult
cuda_event_between(struct cuda_host *host, float *milliseconds, struct cuda_event *first, struct cuda_event *second)
{
    double from, to;
    CUresult result;

    if (context_of(first) != context_of(second) || (!is_kept(host, first) && !is_kept(host, second)))
        return host->native->cuEventElapsedTime(milliseconds, first->native, second->native);
    result = time_of(host, first, context_of(first)->began_at, &from);
    if (result == CUDA_SUCCESS)
        result = time_of(host, second, context_of(first)->began_at, &to);
    if (result == CUDA_SUCCESS)
        *milliseconds = (float)(to - from);
    return result;
}

/* ---- Suspending ------------------------------------------------------------------------------ */

/* Another one is recorded right now to measure from; for cuEventDestroy(). NULL: the driver does not. */
static CUevent
mark_now(const struct cuda_driver *native)
{
    CUevent event;

    if (native->cuEventCreate(&event, CU_EVENT_DEFAULT) != CUDA_SUCCESS)
        return NULL;
    if (native->cuEventRecord(event, CU_STREAM_LEGACY) == CUDA_SUCCESS &&
        native->cuEventSynchronize(event) == CUDA_SUCCESS)
        return event;
    native->cuEventDestroy(event);
    return NULL;
}

static int
save_event(struct cuda_saving *saving, struct cuda_event *event, CUevent last, uint64_t moment)
{
    struct suspend_event item = {.moment = moment, .event = event->object.handle};
    float since;

    if (saving->host->native->cuEventElapsedTime(&since, event->native, last) != CUDA_SUCCESS)
        return 0; /* never recorded, or without times: nobody can tell a difference */
    item.since = is_kept(saving->host, event) ? event->time.since + between_ms(event->time.moment, moment) : since;
    return cuda_save(saving, SUSPEND_EVENT, &item, sizeof(item), NULL, 0);
}

static int
save_context(struct cuda_saving *saving, const struct cuda_context *context)
{
    const struct cuda_driver *native = saving->host->native;
    CUevent last = NULL;
    uint64_t moment = 0;
    int error = 0;

    for (struct cuda_object *object = context->object.newest; object && error == 0; object = object->older) {
        if (object->kind != CUDA_OBJECT_EVENT || !cuda_object_alive(object))
            continue;
        if (!last && native->cuCtxSetCurrent(context->native) == CUDA_SUCCESS && (last = mark_now(native)))
            moment = now();
        if (!last)
            return cuda_suspend_refuse(-EIO, "the driver records no event");
        error = save_event(saving, (struct cuda_event *)object, last, moment);
    }
    if (last)
        native->cuEventDestroy(last);
    return error;
}

int
cuda_save_times(struct cuda_saving *saving)
{
    int error = 0;

    for (struct cuda_context *context = saving->host->newest; context && error == 0; context = context->older)
        error = save_context(saving, context);
    return error;
}

/* ---- Resuming -------------------------------------------------------------------------------- */

int
cuda_load_event(struct cuda_resuming *resuming, const struct suspend_event *item)
{
    const struct cuda_driver *native = resuming->host->native;
    struct cuda_event *event = cuda_resume_find(resuming, CUDA_OBJECT_EVENT, item->event);
    struct cuda_context *context = event ? context_of(event) : NULL;
    int result;

    if (!context || !cuda_resume_context(resuming, context->object.handle))
        return cuda_resume_damaged("the time of an event that is not there");
    if (!context->began && (context->began = mark_now(native)))
        context->began_at = now();
    if (!context->began)
        return cuda_resume_result(resuming, CUDA_ERROR_UNKNOWN, "an event's time");
    result = native->cuEventRecord(event->native, CU_STREAM_LEGACY);
    if (result == CUDA_SUCCESS)
        result = native->cuEventSynchronize(event->native);
    if (result == CUDA_SUCCESS)
        result = native->cuEventElapsedTime(&event->time.mark, context->began, event->native);
    if (result == CUDA_SUCCESS) {
        event->time.since = item->since;
        event->time.moment = item->moment;
        atomic_store_explicit(&event->kept, true, memory_order_release);
    }
    return cuda_resume_result(resuming, result, "event %#x", item->event);
}
