/* SPDX-License-Identifier: MIT */
/*
 * Completion numbers: the GPU writes them into the page that the guest polls.
 *
 * Design notes: the page is registered with the driver once, in the first context, for all. It belongs to
 * that context, though: before the context goes another one takes the page over. Where the driver cannot write
 * it the lane's thread waits for the stream and writes the number itself, which is right but slow.
 */
#include "cuda_plugin.h"

static struct cuda_range *
register_page(struct cuda_host *host, struct cuda_context *context, enum gpuvchan_log_level level)
{
    const struct cuda_driver *native = host->native;
    size_t bytes;
    void *page = gpuvchan_session_completions(host->session, &bytes);
    struct cuda_range *range = (struct cuda_range *)cuda_object_create(host, CUDA_OBJECT_RANGE);
    CUresult result = range ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;

    if (result == CUDA_SUCCESS)
        result = native->cuMemHostRegister(page, bytes, CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP);
    if (result == CUDA_SUCCESS) {
        result = native->cuMemHostGetDevicePointer(&range->start, page, 0);
        if (result != CUDA_SUCCESS)
            native->cuMemHostUnregister(page);
    }
    if (result == CUDA_SUCCESS) {
        range->use = CUDA_RANGE_COMPLETIONS;
        range->bytes = bytes;
        range->memory = page;
        cuda_object_begin(host, &range->object, &context->object, NULL);
        return range;
    }
    if (range)
        cuda_object_destroy(host, &range->object);
    gpuvchan_log(level, "cuda: the driver does not map the completion page (%s): waits are slower",
                 cuda_driver_error(native, result));
    return NULL;
}

static void
begin(struct cuda_host *host, struct cuda_context *context, enum gpuvchan_log_level level)
{
    struct cuda_range *mine;

    if (!host->native->cuStreamWriteValue64 || atomic_load(&host->completions) ||
        atomic_load(&host->write_value_refused))
        return;
    pthread_mutex_lock(&host->completions_lock);
    if (!atomic_load(&host->completions) && (mine = register_page(host, context, level)))
        atomic_store(&host->completions, mine);
    pthread_mutex_unlock(&host->completions_lock);
}

void
cuda_completions_begin(struct cuda_host *host, struct cuda_context *context)
{
    begin(host, context, GPUVCHAN_LOG_WARNING);
}

/* The next living context behind @p after (NULL: the first), announced by @p lane so that it stays; NULL: no more. */
static struct cuda_context *
next_context(struct cuda_host *host, struct cuda_lane *lane, const struct cuda_context *after)
{
    struct cuda_context *next;

    pthread_mutex_lock(&host->lock);
    next = after ? after->older : host->newest;
    while (next && !cuda_lane_announce(lane, CUDA_SLOT_FIRST, &next->object))
        next = next->older;
    pthread_mutex_unlock(&host->lock);
    return next;
}

/* What the GPU has been told to write must be written before the page is unmapped. */
static void
wait_for_all(struct cuda_host *host, struct cuda_lane *lane)
{
    for (struct cuda_context *other = NULL; (other = next_context(host, lane, other));) {
        host->native->cuCtxSetCurrent(other->native);
        host->native->cuCtxSynchronize();
    }
}

void
cuda_completions_move(struct cuda_host *host, struct cuda_lane *self, struct cuda_context *from)
{
    struct cuda_range *range = atomic_load(&host->completions);
    struct cuda_context *heir;
    CUresult result;

    if (!range || atomic_load(&range->object.owner) != &from->object)
        return;
    atomic_store(&host->completions, NULL);
    if (self)
        wait_for_all(host, self);
    host->native->cuCtxSetCurrent(from->native);
    result = host->native->cuMemHostUnregister(range->memory);
    heir = self ? next_context(host, self, NULL) : NULL; /* without a lane it is the end of all */
    if (heir) {
        host->native->cuCtxSetCurrent(heir->native);
        if (result != CUDA_SUCCESS) /* the old one has had a fault */
            host->native->cuMemHostUnregister(range->memory);
        begin(host, heir, GPUVCHAN_LOG_DEBUG); /* NVIDIA's driver is of no use after a fault, which has been told */
        host->native->cuCtxSetCurrent(from->native);
    }
    if (self)
        cuda_leave(self, 0);
}

/* ---- Marks ----------------------------------------------------------------------------------- */

static bool
is_refusal(CUresult result)
{
    return result == CUDA_ERROR_NOT_SUPPORTED || result == CUDA_ERROR_INVALID_VALUE;
}

/* False: the driver does not write the page. Between enter and leave. */
bool
cuda_completion_write(struct cuda_lane *lane, CUstream stream, uint32_t index, uint64_t value, int *result)
{
    struct cuda_host *host = lane->host;
    struct cuda_range *page = atomic_load_explicit(&host->completions, memory_order_acquire);

    if (atomic_load_explicit(&host->write_value_refused, memory_order_relaxed))
        return false;
    /* Still the page, now that it cannot go any more? */
    if (!page || !cuda_lane_announce(lane, CUDA_SLOT_RANGE, &page->object) || atomic_load(&host->completions) != page)
        return false;
    *result = host->native->cuStreamWriteValue64(stream, page->start + index * sizeof(uint64_t), value, 0);
    if (!is_refusal((CUresult)*result))
        return true;
    if (!atomic_exchange(&host->write_value_refused, true))
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "cuda: the driver does not write completion numbers (%s): waits are slower",
                     cuda_driver_error(host->native, (CUresult)*result));
    return false;
}

int
cuda_host_mark(struct gpuvchan_request *request, struct cuda_stream *on, uint32_t index, uint64_t value)
{
    _Atomic uint64_t *word = gpuvchan_session_completion(request->session, index);
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUstream stream = cuda_stream_native(on);
    int result;

    if (!word)
        return gpuvchan_request_corrupt(request, "mark: there is no completion word %u", index);
    result = cuda_enter(lane, on ? &on->object : NULL, NULL);
    if (result != 0)
        return result;
    if (!cuda_completion_write(lane, stream, index, value, &result)) {
        result = host->native->cuStreamSynchronize(stream);
        if (result == CUDA_SUCCESS)
            gpuvchan_completion_signal(word, value);
    } else {
        gpuvchan_request_linger(request, host->linger_us);
    }
    return cuda_leave(lane, result);
}
