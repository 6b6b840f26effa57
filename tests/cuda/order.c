/* SPDX-License-Identifier: MIT */
/*
 * The litmus test of order across threads: what one thread's call has completed before another thread's call
 * began is executed in that order. Threads take turns; each appends its turn's number to a log on the
 * device, by a launch in the one stream. The log must count up. No thread waits for the device in between.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "test.h"

#define MOST 20000u

static CUcontext context;
static CUfunction append;
static CUdeviceptr log_memory;
static _Atomic unsigned turn;
static unsigned turns, threads;
static _Atomic bool failed;

static void
take_turn(unsigned number)
{
    void *parameters[] = {&log_memory, &number};

    if (cuLaunchKernel(append, 1, 1, 1, 1, 1, 1, 0, NULL, parameters, NULL) != CUDA_SUCCESS)
        atomic_store(&failed, true);
}

static void *
player(void *argument)
{
    unsigned mine = (unsigned)(uintptr_t)argument, spins = 0;

    if (cuCtxSetCurrent(context) != CUDA_SUCCESS)
        atomic_store(&failed, true);
    for (unsigned now; (now = atomic_load(&turn)) < turns;) {
        if (now % threads != mine) {
            if (++spins % 1000 == 0)
                sched_yield();
            continue;
        }
        take_turn(now);
        atomic_store(&turn, now + 1);
    }
    return NULL;
}

static void
play(unsigned count)
{
    static uint32_t log[MOST + 1];
    pthread_t players[16];
    unsigned wrong = 0;

    threads = count;
    atomic_store(&turn, 0);
    NEED(cuMemsetD8_v2(log_memory, 0, sizeof(log)));
    for (unsigned i = 0; i < count; i++)
        pthread_create(&players[i], NULL, player, (void *)(uintptr_t)i);
    for (unsigned i = 0; i < count; i++)
        pthread_join(players[i], NULL);
    NEED(cuMemcpyDtoH_v2(log, log_memory, sizeof(log)));
    for (unsigned i = 0; i < turns; i++)
        wrong += log[i + 1] != i;
    ok(!atomic_load(&failed) && log[0] == turns && wrong == 0, "%u threads take %u turns", count, turns);
}

/* Freed by one thread, allocated and filled by the next: the fill must not be of the former's memory. */
static void *
fill_and_read(void *argument)
{
    unsigned value = (unsigned)(uintptr_t)argument;
    CUdeviceptr memory;
    uint32_t got = 0;

    if (cuCtxSetCurrent(context) != CUDA_SUCCESS || cuMemAlloc_v2(&memory, 65536) != CUDA_SUCCESS ||
        cuMemsetD32_v2(memory, value, 16384) != CUDA_SUCCESS ||
        cuMemcpyDtoH_v2(&got, memory + 4096, 4) != CUDA_SUCCESS || cuMemFree_v2(memory) != CUDA_SUCCESS || got != value)
        atomic_store(&failed, true);
    return NULL;
}

int
main(void)
{
    context = test_begin();
    turns = test_rounds(10000) < MOST ? test_rounds(10000) : MOST;
    append = test_kernel("append");
    NEED(cuMemAlloc_v2(&log_memory, (MOST + 1) * sizeof(uint32_t)));
    play(1);
    play(2);
    play(3);
    play(8);
    for (unsigned i = 0; i < 100; i++) {
        pthread_t thread;

        pthread_create(&thread, NULL, fill_and_read, (void *)(uintptr_t)(i + 1));
        pthread_join(thread, NULL);
    }
    ok(!atomic_load(&failed), "memory that a thread has freed serves the next");
    NEED(cuMemFree_v2(log_memory));
    NEED(cuCtxDestroy_v2(context));
    return test_end();
}
