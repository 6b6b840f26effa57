/* SPDX-License-Identifier: MIT */
/*
 * Arena memory that records refer to: a ring of segments, and pieces of their own for what is larger.
 *
 * Design notes: memory is given for the very next record, and is free again when the host has executed that. The host
 * says so by a completion word, at which a record behind those that use a segment has it set. So a segment is left, and
 * its number taken, when the next one begins; and a large piece when memory is asked for again.
 */
#include <errno.h>
#include <stdlib.h>

#include "gl_guest.h"

#define SEGMENTS 8u
#define SEGMENT_BYTES (512u << 10)
#define LARGE_PIECES 64u
#define SPIN_US 200u

struct piece {
    struct gpuvchan_buffer *buffer;
    uint64_t number; /* of the word, when it is free; 0: not asked for yet */
};

struct gl_pool {
    struct gpuvchan_channel *channel;
    struct gpuvchan_buffer *ring;
    uint32_t word;
    uint64_t number; /* that has been asked for last */
    uint64_t free_at[SEGMENTS];
    unsigned segment;
    uint32_t used; /* of the segment */
    struct piece large[LARGE_PIECES];
    unsigned large_count;
};

static struct gl_pool *
pool_create(struct gl_context *gl)
{
    struct gl_pool *pool = calloc(1, sizeof(*pool));

    if (!pool)
        return NULL;
    pool->channel = gl->client.channel;
    if (gpuvchan_completion_create(pool->channel, &pool->word) != 0) {
        free(pool);
        return NULL;
    }
    if (gpuvchan_buffer_create(pool->channel, (size_t)SEGMENTS * SEGMENT_BYTES, &pool->ring) != 0) {
        gpuvchan_completion_destroy(pool->channel, pool->word);
        free(pool);
        return NULL;
    }
    return pool;
}

void
gl_pool_destroy(struct gl_pool *pool)
{
    if (!pool)
        return;
    for (unsigned i = 0; i < pool->large_count; i++)
        gpuvchan_buffer_destroy(pool->large[i].buffer);
    gpuvchan_buffer_destroy(pool->ring);
    gpuvchan_completion_destroy(pool->channel, pool->word);
    free(pool);
}

/* Asks for the word to be set behind all that has been sent. */
static uint64_t
ask(struct gl_context *gl, struct gl_pool *pool)
{
    int status = gl_pool_done_on(&gl->client, gl->lane, pool->word, ++pool->number);

    if (status != 0)
        gl_failed(gl, "memory of the arena", status);
    return pool->number;
}

/* @return false: the host is gone. */
static bool
wait_for(struct gl_context *gl, struct gl_pool *pool, uint64_t number)
{
    int status = gpuvchan_completion_spin(pool->channel, pool->word, number, SPIN_US);

    if (status == -ETIME)
        status = gl_pool_wait_on(&gl->client, gl->lane); /* sleeps until all before is done */
    return status == 0;
}

/* Large pieces whose records are executed; all of them, with @p wait. */
static void
reap(struct gl_context *gl, struct gl_pool *pool, bool wait)
{
    uint64_t done;
    unsigned kept = 0;

    if (pool->large_count == 0)
        return;
    if (pool->large[pool->large_count - 1].number == 0) {
        uint64_t number = ask(gl, pool);

        for (unsigned i = 0; i < pool->large_count; i++)
            if (pool->large[i].number == 0)
                pool->large[i].number = number;
    }
    if (wait && !wait_for(gl, pool, pool->large[pool->large_count - 1].number))
        return;
    done = gpuvchan_completion_read(pool->channel, pool->word);
    for (unsigned i = 0; i < pool->large_count; i++) {
        if (pool->large[i].number <= done)
            gpuvchan_buffer_destroy(pool->large[i].buffer);
        else
            pool->large[kept++] = pool->large[i];
    }
    pool->large_count = kept;
}

static void *
refer(struct gpuvchan_buffer *buffer, uint64_t offset, uint64_t bytes, struct gpuvchan_reference *reference)
{
    *reference = (struct gpuvchan_reference){gpuvchan_buffer_offset(buffer) + offset, bytes};
    return (char *)gpuvchan_buffer_data(buffer) + offset;
}

static void *
take_large(struct gl_context *gl, struct gl_pool *pool, uint64_t bytes, struct gpuvchan_reference *reference)
{
    struct gpuvchan_buffer *buffer;

    if (bytes > gpuvchan_arena_size(pool->channel))
        return NULL;
    if (pool->large_count == LARGE_PIECES)
        reap(gl, pool, true);
    if (pool->large_count == LARGE_PIECES)
        return NULL;
    if (gpuvchan_buffer_create(pool->channel, bytes, &buffer) != 0) {
        reap(gl, pool, true);
        if (gpuvchan_buffer_create(pool->channel, bytes, &buffer) != 0)
            return NULL;
    }
    pool->large[pool->large_count++] = (struct piece){buffer, 0};
    return refer(buffer, 0, bytes, reference);
}

static void *
take(struct gl_context *gl, struct gl_pool *pool, uint32_t bytes, struct gpuvchan_reference *reference)
{
    uint32_t offset = pool->segment * SEGMENT_BYTES + pool->used;

    if (bytes > SEGMENT_BYTES - pool->used) {
        pool->free_at[pool->segment] = ask(gl, pool);
        pool->segment = (pool->segment + 1) % SEGMENTS;
        pool->used = 0;
        offset = pool->segment * SEGMENT_BYTES;
        if (pool->free_at[pool->segment] != 0 && !wait_for(gl, pool, pool->free_at[pool->segment]))
            return NULL;
    }
    pool->used += (bytes + 63) & ~63u;
    if (pool->used > SEGMENT_BYTES)
        pool->used = SEGMENT_BYTES;
    return refer(pool->ring, offset, bytes, reference);
}

void *
gl_pool_take(struct gl_context *gl, uint64_t bytes, struct gpuvchan_reference *reference)
{
    struct gl_state *state = gl->state;
    void *memory = NULL;

    if (!state->pool)
        state->pool = pool_create(gl);
    if (bytes == 0)
        bytes = 1;
    if (state->pool) {
        reap(gl, state->pool, false);
        memory = bytes > SEGMENT_BYTES ? take_large(gl, state->pool, bytes, reference)
                                       : take(gl, state->pool, (uint32_t)bytes, reference);
    }
    if (!memory && gpuvchan_channel_error(gl->client.channel) == 0) {
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "gl: %llu bytes do not fit into the arena; GPUVCHAN_ARENA sets its size",
                     (unsigned long long)bytes);
        gl_error_set(GL_OUT_OF_MEMORY);
    }
    return memory;
}
