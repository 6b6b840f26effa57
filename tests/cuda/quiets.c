/* SPDX-License-Identifier: MIT */
/*
 * Nothing to wait for: a stream that was waited for is done, as long as nobody gives it more to do, and no longer.
 * Two threads take turns: one has the device write to pinned memory, the other waits and looks.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "test.h"

#define ROUNDS 300u
#define WORDS 4096u

static CUcontext context;
static CUdeviceptr memory;
static volatile uint32_t *seen;
static CUstream streams[4];
static _Atomic unsigned turn; /* even: the writer's */

static void
until(unsigned number)
{
    while (atomic_load(&turn) != number)
        sched_yield();
}

static void *
write_rounds(void *argument)
{
    bool *good = argument;

    *good = cuCtxSetCurrent(context) == CUDA_SUCCESS;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        until(2 * round - 2);
        *good &= cuMemsetD32Async(memory, round, WORDS, streams[round % 4]) == CUDA_SUCCESS;
        atomic_store(&turn, 2 * round - 1);
    }
    return NULL;
}

/* Each way to wait, and then again, when there is nothing left to wait for. */
static bool
wait_by(unsigned way, CUstream stream)
{
    CUresult result;

    switch (way) {
    case 0:
        return cuStreamSynchronize(stream) == CUDA_SUCCESS && cuStreamSynchronize(stream) == CUDA_SUCCESS &&
               cuStreamQuery(stream) == CUDA_SUCCESS;
    case 1:
        return cuCtxSynchronize() == CUDA_SUCCESS && cuCtxSynchronize() == CUDA_SUCCESS &&
               cuStreamQuery(stream) == CUDA_SUCCESS;
    default:
        while ((result = cuStreamQuery(stream)) == CUDA_ERROR_NOT_READY)
            sched_yield();
        return result == CUDA_SUCCESS && cuStreamSynchronize(stream) == CUDA_SUCCESS;
    }
}

static bool
rounds_right(void)
{
    for (unsigned round = 1; round <= ROUNDS; round++) {
        bool waited;

        until(2 * round - 1);
        waited = wait_by(round % 3, streams[round % 4]);
        if (!waited || seen[0] != round || seen[WORDS - 1] != round) {
            printf("# round %u: waited %d, found %u and %u\n", round, waited, seen[0], seen[WORDS - 1]);
            atomic_store(&turn, UINT32_MAX);
            return false;
        }
        atomic_store(&turn, 2 * round);
    }
    return true;
}

/* All by one thread. */
static bool
alone_right(void)
{
    for (unsigned round = 1; round <= ROUNDS; round++) {
        CUstream stream = streams[round % 4];

        if (cuMemsetD32Async(memory, round, WORDS, stream) != CUDA_SUCCESS || !wait_by(round % 3, stream) ||
            seen[0] != round || seen[WORDS - 1] != round)
            return false;
    }
    return true;
}

int
main(void)
{
    pthread_t writer;
    bool written;
    void *pinned;

    context = test_begin();
    NEED(cuMemHostAlloc(&pinned, WORDS * 4, CU_MEMHOSTALLOC_DEVICEMAP));
    NEED(cuMemHostGetDevicePointer_v2(&memory, pinned, 0));
    seen = pinned;
    streams[1] = CU_STREAM_LEGACY;
    NEED(cuStreamCreate(&streams[2], CU_STREAM_DEFAULT));
    ok(alone_right(), "%u rounds by one thread, no stream of which is on its own", ROUNDS);
    NEED(cuStreamCreate(&streams[3], CU_STREAM_NON_BLOCKING));
    ok(alone_right(), "and with a stream that is");
    NEED(cuCtxSynchronize());
    pthread_create(&writer, NULL, write_rounds, &written);
    if (ok(rounds_right(), "%u rounds of two threads", ROUNDS)) {
        pthread_join(writer, NULL);
        ok(written, "the other one could write");
    }
    GIVES(CUDA_SUCCESS, cuStreamDestroy_v2(streams[2]));
    GIVES(CUDA_SUCCESS, cuStreamDestroy_v2(streams[3]));
    GIVES(CUDA_SUCCESS, cuMemFreeHost(pinned));
    return test_end();
}
