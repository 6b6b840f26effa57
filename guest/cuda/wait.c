/* SPDX-License-Identifier: MIT */
/*
 * Waiting for the device: a mark behind what was posted, a look at its completion word, and for long waits a
 * call, in which the host's thread sleeps.
 *
 * Design notes: marks in different streams are reached in any order, so a word that had two of them under way
 * could show the later one's value before the earlier one is reached. Each word therefore has one at a time.
 * A mark in a stream that has failed is never reached; the spin is bounded, and the call behind it knows why.
 *
 * What a stream or context was found to be done with is remembered by the number of records published until then. As
 * long as that is the same there is nothing to wait for, and nobody is asked.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "guest.h"

#define SPIN_US 200u
#define SPIN_HALVINGS 5u
#define STAGED_LEFT 65536u      /* up to here the driver leaves a copy to the device */
#define SPIN_BYTES_PER_US 8192u /* a copy that moves more slowly than that is slept for */

static pthread_mutex_t idle_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cuda_guest_bulk *idle;

static void
word_begin(struct cuda_guest_word *word)
{
    word->taken = gpuvchan_completion_create(cuda_guest.channel, &word->index) == 0;
}

struct cuda_guest_bulk *
cuda_guest_bulk(struct cuda_guest_thread *self)
{
    if (self->bulk)
        return self->bulk;
    pthread_mutex_lock(&idle_lock);
    self->bulk = idle;
    if (idle)
        idle = idle->next;
    pthread_mutex_unlock(&idle_lock);
    if (!self->bulk) {
        self->bulk = calloc(1, sizeof(*self->bulk));
        if (self->bulk)
            word_begin(&self->bulk->word);
    }
    return self->bulk;
}

void
cuda_guest_bulk_return(struct cuda_guest_bulk *bulk)
{
    if (!bulk)
        return;
    for (unsigned i = 0; i < CUDA_GUEST_SLOTS; i++)
        bulk->slots[i].orphan |= bulk->slots[i].stream == CUDA_GUEST_WIRE_PER_THREAD;
    pthread_mutex_lock(&idle_lock);
    bulk->next = idle;
    idle = bulk;
    pthread_mutex_unlock(&idle_lock);
}

CUresult
cuda_guest_mark(struct cuda_guest_thread *self, struct cuda_guest_word *word, uint32_t stream)
{
    if (!word->taken)
        return CUDA_SUCCESS;
    return cuda_guest_result(cuda_mark_on(&cuda_guest.client, self->lane, stream, word->index, ++word->marked));
}

/* ---- Nothing to wait for --------------------------------------------------------------------- */

static bool
is_whole(const struct cuda_guest_context *context, uint32_t stream)
{
    /* The legacy stream waits for all others, but for the kind that says it does not. */
    return stream == CUDA_GUEST_WIRE_DEFAULT && !atomic_load_explicit(&context->independent, memory_order_relaxed);
}

/* In a green context, which is waited for by itself, nothing is known of the whole. */
static uint64_t
quiet_of(struct cuda_guest_thread *self)
{
    struct cuda_guest_context *context = cuda_guest_view(self);

    return context == context->root ? atomic_load_explicit(&context->quiet, memory_order_relaxed) : 0;
}

static bool
is_quiet(struct cuda_guest_thread *self, uint32_t stream)
{
    uint64_t published = gpuvchan_lane_published(self->lane);

    return !cuda_guest_capturing() &&
           (published == quiet_of(self) || (stream == self->quiet_stream && published == self->quiet));
}

/* @p published: with the record that found the stream to be done; 0: that cannot be told. */
static void
is_done(struct cuda_guest_thread *self, uint32_t stream, uint64_t published)
{
    struct cuda_guest_context *context = cuda_guest_current(self);

    if (is_whole(context, stream)) {
        atomic_store_explicit(&context->quiet, published, memory_order_relaxed);
    } else {
        self->quiet_stream = stream;
        self->quiet = published;
    }
}

/* What a post of this thread has met. */
static CUresult
at_once(struct cuda_guest_thread *self)
{
    return cuda_guest_result(gpuvchan_lane_take_error(self->lane));
}

CUresult
cuda_guest_query_stream(struct cuda_guest_thread *self, uint32_t stream)
{
    uint64_t before = gpuvchan_lane_published(self->lane);
    CUresult result;

    if (is_quiet(self, stream))
        return at_once(self);
    result = cuda_guest_result(cuda_stream_query_on(&cuda_guest.client, self->lane, stream));
    if (result == CUDA_SUCCESS)
        is_done(self, stream, gpuvchan_lane_published_one(self->lane, before));
    return result;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static uint64_t
now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* Polling in vain halves how long the next poll lasts, until one of full length would have paid. */
static int
wait_asleep(struct cuda_guest_thread *self, uint32_t stream, uint32_t full_us)
{
    uint64_t start = now_us();
    int status = cuda_stream_synchronize_on(&cuda_guest.client, self->lane, stream);

    if (now_us() - start < full_us)
        self->spin_saved = 0;
    else if (self->spin_saved < SPIN_HALVINGS)
        self->spin_saved++;
    return status;
}

static CUresult
wait_word(struct cuda_guest_thread *self, const struct cuda_guest_word *word, uint32_t stream, size_t bytes)
{
    uint32_t full_us = SPIN_US + (uint32_t)(bytes / SPIN_BYTES_PER_US);
    int status = -ETIME;

    if (word->taken)
        status = gpuvchan_completion_spin(cuda_guest.channel, word->index, word->marked, full_us >> self->spin_saved);
    if (status == 0) {
        self->spin_saved -= self->spin_saved > 0;
        status = gpuvchan_lane_take_error(self->lane);
    } else if (status == -ETIME) {
        status = wait_asleep(self, stream, full_us);
    }
    return cuda_guest_result(status);
}

CUresult
cuda_guest_wait_mark(struct cuda_guest_thread *self, const struct cuda_guest_word *word, uint32_t stream)
{
    CUresult result;

    if (!atomic_load_explicit(&cuda_guest_output.waits, memory_order_relaxed))
        return wait_word(self, word, stream, 0);
    result = cuda_guest_result(cuda_stream_synchronize_on(&cuda_guest.client, self->lane, stream));
    return cuda_guest_output_write(self, result);
}

CUresult
cuda_guest_wait_copy(struct cuda_guest_thread *self, uint32_t stream, size_t bytes)
{
    struct cuda_guest_bulk *bulk = cuda_guest_bulk(self);
    uint64_t published = gpuvchan_lane_published(self->lane);
    CUresult result;

    if (is_quiet(self, stream))
        return cuda_guest_output_write(self, at_once(self));
    /* Who asked for blocking waits does not want its processor spun on; a mark would be captured; and the driver prints
     * when it waits itself. */
    if (!bulk || cuda_guest_capturing() || cuda_guest_current(self)->flags & CU_CTX_SCHED_BLOCKING_SYNC ||
        atomic_load_explicit(&cuda_guest_output.waits, memory_order_relaxed)) {
        result = cuda_guest_result(cuda_stream_synchronize_on(&cuda_guest.client, self->lane, stream));
    } else {
        result = cuda_guest_mark(self, &bulk->word, stream);
        published = gpuvchan_lane_published_one(self->lane, published);
        if (result == CUDA_SUCCESS)
            result = wait_word(self, &bulk->word, stream, bytes);
        if (result == CUDA_SUCCESS && bulk->word.taken)
            is_done(self, stream, published);
    }
    return cuda_guest_output_write(self, result);
}

CUresult
cuda_guest_wait_stream(struct cuda_guest_thread *self, uint32_t stream)
{
    return cuda_guest_wait_copy(self, stream, 0);
}

/*
 * Synchronous copies from pageable memory need not end before they return, but programs that go on in a stream which
 * does not wait for the legacy one find the data there with the driver, unless there is little of it.
 */
CUresult
cuda_guest_wait_staged(struct cuda_guest_thread *self, uint32_t stream, size_t bytes)
{
    if (bytes <= STAGED_LEFT || !atomic_load_explicit(&cuda_guest_current(self)->independent, memory_order_relaxed))
        return CUDA_SUCCESS;
    return cuda_guest_wait_stream(self, stream);
}

CUresult
cuda_guest_wait_context(struct cuda_guest_thread *self)
{
    struct cuda_guest_context *context = cuda_guest_current(self);
    uint64_t published = gpuvchan_lane_published(self->lane);
    CUresult result;

    if (is_whole(context, CUDA_GUEST_WIRE_DEFAULT) && !cuda_guest_capturing())
        return cuda_guest_wait_stream(self, CUDA_GUEST_WIRE_DEFAULT);
    if (published == quiet_of(self) && !cuda_guest_capturing())
        return cuda_guest_output_write(self, at_once(self));
    result = cuda_guest_result(cuda_ctx_synchronize_on(&cuda_guest.client, self->lane));
    if (result == CUDA_SUCCESS && context == cuda_guest_view(self))
        atomic_store_explicit(&context->quiet, gpuvchan_lane_published_one(self->lane, published),
                              memory_order_relaxed);
    return cuda_guest_output_write(self, result);
}
