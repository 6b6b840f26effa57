/* SPDX-License-Identifier: MIT */
/*
 * reference.c - the limits of the machine, as mechanisms: no message between
 * two processes is faster than one cache line there and back, and none is
 * copied faster than memcpy() copies within one process.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "mechanism.h"

struct ball {
    _Alignas(128) _Atomic uint64_t number; /* odd: the server has it */
    char pad[120];
};

static int
pingpong_open(void **state_p)
{
    *state_p = bench_share(sizeof(struct ball));
    return *state_p ? 0 : -ENOMEM;
}

static void
pingpong_close(void *state)
{
    bench_unshare(state, sizeof(struct ball));
}

/* The pause makes it faster: a line that is asked for less often moves at once. */
static int
play(struct ball *ball, uint64_t count, uint64_t mine)
{
    struct bench_spin spin = BENCH_SPIN_INIT;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t expected = 2 * i + mine;

        while (atomic_load_explicit(&ball->number, memory_order_acquire) != expected)
            if (!bench_spin(&spin))
                return -ETIMEDOUT;
        atomic_store_explicit(&ball->number, expected + 1, memory_order_release);
    }
    return 0;
}

static int
pingpong_client(void *state, const struct bench_job *job)
{
    struct ball *ball = state;
    struct bench_spin spin = BENCH_SPIN_INIT;
    int err = play(ball, job->count, 0);

    if (err < 0)
        return err;
    while (atomic_load_explicit(&ball->number, memory_order_acquire) != 2 * job->count)
        if (!bench_spin(&spin))
            return -ETIMEDOUT;
    /* The next game starts at zero; the server looks only after the next
     * common start. */
    atomic_store_explicit(&ball->number, 0, memory_order_relaxed);
    return 0;
}

static int
pingpong_server(void *state, const struct bench_job *job)
{
    return play(state, job->count, 1);
}

const struct bench_mechanism bench_pingpong = {
    .name = "pingpong",
    .summary = "a cache line there and back: the limit of round trips",
    .flags = BENCH_REFERENCE,
    .open = pingpong_open,
    .op[BENCH_CALL] = {pingpong_client, pingpong_server},
    .close = pingpong_close,
};

static int
memcpy_open(void **state_p)
{
    if (posix_memalign(state_p, 4096, BENCH_SIZE_MAX))
        return -ENOMEM;
    memset(*state_p, 0, BENCH_SIZE_MAX);
    return 0;
}

static void
memcpy_close(void *state)
{
    free(state);
}

/* From one hot buffer to another. */
static int
memcpy_client(void *state, const struct bench_job *job)
{
    for (uint64_t i = 0; i < job->count; i++) {
        bench_stamp(job->buffer, job->size, i);
        memcpy(state, job->buffer, job->size);
        /* The compiler must not drop all copies but the last. */
        __asm__ volatile("" ::"r"(state) : "memory");
        if (!bench_stamped(state, job->size, i))
            return -EPROTO;
    }
    return 0;
}

static int
memcpy_server(void *state, const struct bench_job *job)
{
    (void)state;
    (void)job;
    return 0;
}

const struct bench_mechanism bench_memcpy = {
    .name = "memcpy",
    .summary = "a copy within one process, hot: the limit of copies",
    .flags = BENCH_REFERENCE,
    .open = memcpy_open,
    .op[BENCH_BULK_COPY] = {memcpy_client, memcpy_server},
    .close = memcpy_close,
};
