/* SPDX-License-Identifier: MIT */
/* Many threads at once, each with streams, copies and kernels of its own, all in one context; and threads that end. */
#include <pthread.h>

#include "test.h"

#define THREADS 12
#define BYTES 300000u

static CUcontext context;
static CUfunction add;

struct job {
    pthread_t thread;
    unsigned seed;
    bool good;
};

static bool
round_of(struct job *job, CUstream stream, CUdeviceptr memory, unsigned char *bytes, unsigned round)
{
    unsigned count = BYTES / 4, value = job->seed * 1000 + round;
    void *parameters[] = {&memory, &count, &value};
    uint32_t before[8], after[8];

    test_pattern(bytes, BYTES, job->seed + round);
    memcpy(before, bytes + 40000, sizeof(before));
    if (cuMemcpyHtoDAsync_v2(memory, bytes, BYTES, stream) != CUDA_SUCCESS ||
        cuLaunchKernel(add, (count + 255) / 256, 1, 1, 256, 1, 1, 0, stream, parameters, NULL) != CUDA_SUCCESS ||
        cuMemcpyDtoHAsync_v2(bytes, memory, BYTES, stream) != CUDA_SUCCESS ||
        cuStreamSynchronize(stream) != CUDA_SUCCESS)
        return false;
    memcpy(after, bytes + 40000, sizeof(after));
    for (int i = 0; i < 8; i++)
        if (after[i] != before[i] + value)
            return false;
    return true;
}

static void *
work(void *argument)
{
    struct job *job = argument;
    unsigned char *bytes = malloc(BYTES);
    CUdeviceptr memory;
    CUstream stream;

    job->good = bytes && cuCtxSetCurrent(context) == CUDA_SUCCESS && cuMemAlloc_v2(&memory, BYTES) == CUDA_SUCCESS &&
                cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS;
    for (unsigned round = 0; round < 3 && job->good; round++)
        job->good = round_of(job, round == 1 ? CU_STREAM_PER_THREAD : stream, memory, bytes, round);
    job->good = job->good && cuStreamDestroy_v2(stream) == CUDA_SUCCESS && cuMemFree_v2(memory) == CUDA_SUCCESS;
    free(bytes);
    return NULL;
}

static bool
all_together(unsigned generation)
{
    struct job jobs[THREADS];
    bool good = true;

    for (unsigned i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){.seed = generation * THREADS + i};
        pthread_create(&jobs[i].thread, NULL, work, &jobs[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(jobs[i].thread, NULL);
        good &= jobs[i].good;
    }
    return good;
}

static void *
leave_work_behind(void *argument)
{
    unsigned char *bytes = malloc(BYTES);
    CUdeviceptr memory = *(CUdeviceptr *)argument;

    /* The thread ends before the device has fetched this. */
    test_pattern(bytes, BYTES, 77);
    NEED(cuCtxSetCurrent(context));
    NEED(cuMemcpyHtoDAsync_v2(memory, bytes, BYTES, CU_STREAM_PER_THREAD));
    free(bytes);
    return NULL;
}

int
main(void)
{
    CUdeviceptr memory;
    unsigned char *expected = malloc(BYTES), *got = malloc(BYTES);

    context = test_begin();
    add = test_kernel("add");
    for (unsigned generation = 0; generation < 3; generation++)
        ok(all_together(generation), "%d threads, generation %u", THREADS, generation);

    NEED(cuMemAlloc_v2(&memory, BYTES));
    test_pattern(expected, BYTES, 77);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;

        pthread_create(&thread, NULL, leave_work_behind, &memory);
        pthread_join(thread, NULL);
    }
    NEED(cuCtxSynchronize());
    NEED(cuMemcpyDtoH_v2(got, memory, BYTES));
    ok(memcmp(got, expected, BYTES) == 0, "what a thread has begun is done after its end");
    NEED(cuMemFree_v2(memory));
    free(expected);
    free(got);
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
