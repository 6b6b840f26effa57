/* SPDX-License-Identifier: MIT */
/*
 * Events that are asked for again and again: not there while the device is busy, there afterwards, whoever records them
 * in whatever stream, and whatever became of those that were destroyed before.
 */
#include <pthread.h>
#include <sched.h>

#include "test.h"

#define ROUNDS 200u
#define WORDS 65536u
#define BYTES 20000000u

static CUdeviceptr memory, large;
static volatile uint32_t *seen;
static CUstream streams[3];

/* Work that takes a while, and a number that stands for its end. */
static bool
begin(CUstream stream, uint32_t number)
{
    return cuMemsetD8Async(large, (unsigned char)number, BYTES, stream) == CUDA_SUCCESS &&
           cuMemsetD32Async(memory, number, WORDS, stream) == CUDA_SUCCESS;
}

/* By asking, or every third time by waiting. */
static bool
wait_for(CUevent event, unsigned round)
{
    CUresult result;

    if (round % 3 == 0)
        return cuEventSynchronize(event) == CUDA_SUCCESS;
    while ((result = cuEventQuery(event)) == CUDA_ERROR_NOT_READY)
        sched_yield();
    return result == CUDA_SUCCESS;
}

static bool
is_there(uint32_t number)
{
    return seen[0] == number && seen[WORDS - 1] == number;
}

static bool
one_event(void)
{
    CUevent event;
    bool good = cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) == CUDA_SUCCESS;

    for (unsigned round = 1; round <= ROUNDS && good; round++)
        good = begin(streams[round % 3], round) && cuEventRecord(event, streams[round % 3]) == CUDA_SUCCESS &&
               wait_for(event, round) && is_there(round) && cuEventQuery(event) == CUDA_SUCCESS;
    return cuEventDestroy_v2(event) == CUDA_SUCCESS && good;
}

/* The record that counts is the last one; the others may still be under way in other streams. */
static bool
recorded_again(void)
{
    CUevent event;
    bool good = cuEventCreate(&event, 0) == CUDA_SUCCESS;

    for (unsigned round = 1; round <= ROUNDS && good; round++) {
        for (unsigned i = 0; i < 3; i++)
            good &= begin(streams[(round + i) % 3], 1000 * round + i) &&
                    cuEventRecord(event, streams[(round + i) % 3]) == CUDA_SUCCESS;
        good &= wait_for(event, round);
        /* All wrote to the same memory, so the last one's end shows in the order of one stream alone. */
        good &= cuStreamSynchronize(streams[(round + 2) % 3]) == CUDA_SUCCESS;
    }
    NEED(cuCtxSynchronize());
    return cuEventQuery(event) == CUDA_SUCCESS && cuEventDestroy_v2(event) == CUDA_SUCCESS && good;
}

/* Each lives for one record, and goes while it is under way, or afterwards. */
static bool
come_and_go(void)
{
    bool good = true;

    for (unsigned round = 1; round <= ROUNDS && good; round++) {
        CUevent first, second;

        good = cuEventCreate(&first, CU_EVENT_DISABLE_TIMING) == CUDA_SUCCESS && begin(streams[0], round) &&
               cuEventRecord(first, streams[0]) == CUDA_SUCCESS;
        if (round % 2)
            good &= cuEventDestroy_v2(first) == CUDA_SUCCESS;
        good &= cuEventCreate(&second, 0) == CUDA_SUCCESS && begin(streams[0], round + ROUNDS) &&
                cuEventRecord(second, streams[0]) == CUDA_SUCCESS && wait_for(second, round) &&
                is_there(round + ROUNDS) && cuEventDestroy_v2(second) == CUDA_SUCCESS;
        if (round % 2 == 0)
            good &= cuEventQuery(first) == CUDA_SUCCESS && cuEventDestroy_v2(first) == CUDA_SUCCESS;
    }
    return good;
}

static void *
other_thread(void *argument)
{
    CUcontext context = argument;

    return (void *)(uintptr_t)(cuCtxSetCurrent(context) == CUDA_SUCCESS && one_event());
}

int
main(void)
{
    CUcontext context = test_begin();
    pthread_t thread;
    void *pinned, *other;
    CUevent event;

    NEED(cuMemHostAlloc(&pinned, WORDS * 4, CU_MEMHOSTALLOC_DEVICEMAP));
    NEED(cuMemHostGetDevicePointer_v2(&memory, pinned, 0));
    NEED(cuMemAlloc_v2(&large, BYTES));
    seen = pinned;
    NEED(cuStreamCreate(&streams[1], CU_STREAM_NON_BLOCKING));
    NEED(cuStreamCreate(&streams[2], CU_STREAM_DEFAULT));
    ok(one_event(), "an event in three streams, %u times", ROUNDS);
    ok(recorded_again(), "an event that is recorded before it is reached");
    ok(come_and_go(), "events that come and go");
    pthread_create(&thread, NULL, other_thread, context);
    pthread_join(thread, &other);
    ok(other != NULL, "in another thread");
    NEED(cuEventCreate(&event, 0));
    GIVES(CUDA_SUCCESS, cuEventQuery(event));
    GIVES(CUDA_SUCCESS, cuEventDestroy_v2(event));
    GIVES(CUDA_SUCCESS, cuStreamDestroy_v2(streams[1]));
    GIVES(CUDA_SUCCESS, cuStreamDestroy_v2(streams[2]));
    GIVES(CUDA_SUCCESS, cuMemFreeHost(pinned));
    return test_end();
}
