/* SPDX-License-Identifier: MIT */
/*
 * Device memory that the host has lent in chunks.
 *
 * Design notes: cuMemFree() waits for the device, as the driver's does. So what is free has no work under way
 * in any stream, and may be allocated by any thread at once; and when the host unmaps a chunk nothing uses it.
 *
 * While something is being captured nothing can wait for the device, as that would end the capture. What is freed
 * then is kept until captures are over, and what is allocated is the driver's own: it knows whether it may.
 *
 * A program that has sent nothing since it last waited for the device need not wait again, which a
 * program with one thread can tell.
 *
 * Growing is a call, because only the host knows whether there is memory. Chunks that have become empty are kept up
 * to a limit, and all of them are given back when an allocation of any kind fails.
 *
 * The memory of a chunk is for one device. Where a program sees several, which may be given access to each
 * other's allocations, the driver's own allocations serve; and where GPUVCHAN_CUDA_ALLOC is "driver", for programs
 * whose allocations are shared with other processes.
 */
#include "chunk.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_GRAIN (2ull << 20)
#define CHUNK_BYTES (32ull << 20) /* for allocations that are smaller */
#define KEEP_BYTES (128ull << 20)
#define MOST_BYTES (1ull << 46)

/* Freed while something was being captured. */
struct cuda_guest_late {
    struct cuda_guest_late *next;
    uint64_t start, bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for all below, and the contexts' heaps */
static struct cuda_guest_context *lenders;               /* that have had chunks */
static _Atomic bool refused;

static void
decide(void)
{
    const char *choice = getenv("GPUVCHAN_CUDA_ALLOC");

    if (cuda_guest.devices > 1 || (choice && strcmp(choice, "driver") == 0))
        atomic_store(&refused, true);
}

static bool
is_refused(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, decide);
    return atomic_load_explicit(&refused, memory_order_relaxed);
}

/* ---- Chunks ---------------------------------------------------------------------------------- */

/* Gives back empty chunks of @p context, but for @p keep bytes of them. With the lock. */
static bool
give_back(struct cuda_guest_thread *self, struct cuda_guest_context *context, uint64_t keep)
{
    uint64_t start, bytes;
    bool some = false;

    for (; cuda_guest_heap_take_unused(&context->heap, keep, &start, &bytes); some = true)
        cuda_chunk_destroy_on(&cuda_guest.client, self->lane, start);
    return some;
}

/* With the lock. */
static bool
give_back_all(struct cuda_guest_thread *self)
{
    bool some = false;

    for (struct cuda_guest_context *context = lenders; context; context = context->next_lender)
        some |= give_back(self, context, 0);
    return some;
}

bool
cuda_guest_chunks_trim(struct cuda_guest_thread *self)
{
    bool some;

    pthread_mutex_lock(&lock);
    some = give_back_all(self);
    pthread_mutex_unlock(&lock);
    return some;
}

static CUresult
ask(struct cuda_guest_thread *self, uint64_t bytes, CUdeviceptr *start)
{
    CUresult result = cuda_guest_settle(self);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_chunk_create_on(&cuda_guest.client, self->lane, bytes, start));
}

/* A chunk with room for @p bytes, or for more; without the lock, since other threads' allocations need not wait. */
static CUresult
ask_enough(struct cuda_guest_thread *self, uint64_t bytes, CUdeviceptr *start, uint64_t *got)
{
    uint64_t least = (bytes + CHUNK_GRAIN - 1) / CHUNK_GRAIN * CHUNK_GRAIN;
    CUresult result;

    *got = least < CHUNK_BYTES ? CHUNK_BYTES : least;
    result = ask(self, *got, start);
    if (result == CUDA_ERROR_OUT_OF_MEMORY && cuda_guest_chunks_trim(self))
        result = ask(self, *got, start);
    if (result == CUDA_ERROR_OUT_OF_MEMORY && *got != least) {
        *got = least;
        result = ask(self, *got, start);
    }
    return result;
}

/* Adds the chunk and allocates from it. With the lock. */
static bool
begin_with(struct cuda_guest_context *context, uint64_t start, uint64_t chunk_bytes, uint64_t bytes, uint64_t *address)
{
    if (!cuda_guest_heap_add(&context->heap, start, chunk_bytes))
        return false;
    if (!context->lends) {
        context->lends = true;
        context->next_lender = lenders;
        lenders = context;
    }
    return cuda_guest_heap_alloc(&context->heap, bytes, address);
}

static CUresult
grow(struct cuda_guest_thread *self, struct cuda_guest_context *context, uint64_t bytes, uint64_t *address)
{
    CUdeviceptr start = 0;
    uint64_t chunk_bytes;
    CUresult result = ask_enough(self, bytes, &start, &chunk_bytes);
    bool begun;

    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&lock);
    begun = begin_with(context, start, chunk_bytes, bytes, address);
    pthread_mutex_unlock(&lock);
    return begun ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* ---- Waiting ----------------------------------------------------------------------------- */

/* Waits until the device is done with what was posted in @p context, and in its green contexts. */
static CUresult
wait_for(struct cuda_guest_thread *self, struct cuda_guest_context *context)
{
    if (context != cuda_guest_view(self))
        return cuCtxSynchronize_v2(cuda_guest_context_handle(context));
    return cuda_guest_wait_context(self);
}

/* ---- Freed late ------------------------------------------------------------------------------ */

static CUresult
free_late(const struct cuda_guest_range *range)
{
    struct cuda_guest_late *late = malloc(sizeof(*late));

    if (!late)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&lock);
    *late = (struct cuda_guest_late){range->context->late, range->start, range->bytes};
    range->context->late = late;
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}

/* @p list: from before the device was last waited for. With the lock. */
static void
late_free(struct cuda_guest_context *context, struct cuda_guest_late *list)
{
    struct cuda_guest_late *late;

    while ((late = list)) {
        list = late->next;
        cuda_guest_heap_free(&context->heap, late->start, late->bytes);
        free(late);
    }
}

/* With the lock. */
static struct cuda_guest_late *
late_take(struct cuda_guest_context *context)
{
    struct cuda_guest_late *list = context->late;

    context->late = NULL;
    return list;
}

/* ---- Allocations ----------------------------------------------------------------------------- */

CUresult
cuda_guest_chunk_alloc(struct cuda_guest_thread *self, uint64_t bytes, CUdeviceptr *address)
{
    struct cuda_guest_context *context = cuda_guest_current(self);
    struct cuda_guest_late *late;
    CUresult result = CUDA_SUCCESS;
    uint64_t start = 0;
    bool found;

    if (is_refused() || cuda_guest_capturing())
        return CUDA_ERROR_NOT_SUPPORTED;
    if (bytes > MOST_BYTES)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&lock);
    found = cuda_guest_heap_alloc(&context->heap, bytes, &start);
    late = found ? NULL : late_take(context);
    pthread_mutex_unlock(&lock);
    if (late) {
        result = wait_for(self, context);
        pthread_mutex_lock(&lock);
        late_free(context, late);
        found = result == CUDA_SUCCESS && cuda_guest_heap_alloc(&context->heap, bytes, &start);
        pthread_mutex_unlock(&lock);
    }
    if (!found && result == CUDA_SUCCESS)
        result = grow(self, context, bytes, &start);
    if (result == CUDA_ERROR_NOT_SUPPORTED)
        atomic_store(&refused, true);
    *address = start;
    return result;
}

CUresult
cuda_guest_chunk_free(struct cuda_guest_thread *self, const struct cuda_guest_range *range)
{
    struct cuda_guest_context *context = range->context;
    struct cuda_guest_late *late;
    CUresult result;

    if (cuda_guest_capturing())
        return free_late(range);
    pthread_mutex_lock(&lock);
    late = late_take(context);
    pthread_mutex_unlock(&lock);
    result = wait_for(self, context);
    pthread_mutex_lock(&lock);
    late_free(context, late);
    cuda_guest_heap_free(&context->heap, range->start, range->bytes);
    give_back(self, context, KEEP_BYTES);
    pthread_mutex_unlock(&lock);
    return result;
}

uint64_t
cuda_guest_chunks_unused(int device)
{
    uint64_t bytes = 0;

    pthread_mutex_lock(&lock);
    for (const struct cuda_guest_context *context = lenders; context; context = context->next_lender)
        if (context->device == device)
            bytes += context->heap.unused;
    pthread_mutex_unlock(&lock);
    return bytes;
}

void
cuda_guest_chunks_forget(struct cuda_guest_context *context)
{
    struct cuda_guest_late *late;

    pthread_mutex_lock(&lock);
    while ((late = context->late)) {
        context->late = late->next;
        free(late);
    }
    cuda_guest_heap_finish(&context->heap);
    pthread_mutex_unlock(&lock);
}
