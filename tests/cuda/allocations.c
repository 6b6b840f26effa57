/* SPDX-License-Identifier: MIT */
/* Allocations: of many sizes, by several threads, until there is no more, and what is free meanwhile. */
#include <pthread.h>

#include "test.h"

#define THREADS 6u
#define LIVE 24u
#define LARGE ((size_t)96 << 20)

static CUcontext context;

struct live {
    CUdeviceptr address;
    size_t bytes;
    unsigned char filled;
};

static bool
is_right(const struct live *live)
{
    size_t bytes = live->bytes < 70000 ? live->bytes : 70000;
    unsigned char *read = malloc(bytes);
    bool right = true;

    NEED(cuMemcpyDtoH_v2(read, live->address + live->bytes - bytes, bytes));
    for (size_t i = 0; i < bytes; i++)
        right &= read[i] == live->filled;
    free(read);
    return right;
}

/*
 * Fills on a stream of its own that waits for nobody, so memory that came too early to another
 * thread would be found changed.
 */
static void *
churn(void *number)
{
    unsigned seed = (unsigned)(uintptr_t)number * 77 + 1, rounds = test_rounds(400);
    struct live live[LIVE] = {0};
    CUstream stream;
    bool right = true;

    NEED(cuCtxSetCurrent(context));
    NEED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (unsigned i = 0; i < rounds; i++) {
        struct live *one = &live[rand_r(&seed) % LIVE];

        if (one->address) {
            right &= is_right(one);
            NEED(cuMemsetD8Async(one->address, 0xff, one->bytes, stream));
            NEED(cuMemFree_v2(one->address));
            one->address = 0;
            continue;
        }
        one->bytes = 1 + (size_t)rand_r(&seed) % (rand_r(&seed) % 8 ? 5000 : 3000000);
        one->filled = (unsigned char)rand_r(&seed);
        NEED(cuMemAlloc_v2(&one->address, one->bytes));
        right &= one->address % 256 == 0;
        NEED(cuMemsetD8Async(one->address, one->filled, one->bytes, stream));
        NEED(cuStreamSynchronize(stream));
    }
    for (unsigned i = 0; i < LIVE; i++)
        if (live[i].address) {
            right &= is_right(&live[i]);
            NEED(cuMemFree_v2(live[i].address));
        }
    NEED(cuStreamDestroy_v2(stream));
    return (void *)(uintptr_t)right;
}

static void
threads(void)
{
    pthread_t all[THREADS];
    bool right = true;

    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&all[i], NULL, churn, (void *)(uintptr_t)i);
    for (unsigned i = 0; i < THREADS; i++) {
        void *result;

        pthread_join(all[i], &result);
        right &= result != NULL;
    }
    ok(right, "%u threads keep what they have written", THREADS);
}

static size_t
unused(void)
{
    size_t bytes = 0, total = 0;

    NEED(cuMemGetInfo_v2(&bytes, &total));
    return bytes;
}

static void
information(void)
{
    size_t before = unused();
    CUdeviceptr memory, base;
    size_t bytes;

    NEED(cuMemAlloc_v2(&memory, LARGE));
    ok(unused() <= before - LARGE, "what is allocated is no longer free");
    NEED(cuMemGetAddressRange_v2(&base, &bytes, memory + LARGE - 1));
    ok(base == memory && bytes == LARGE, "its range is what was asked for");
    NEED(cuMemFree_v2(memory));
    ok(unused() + ((size_t)4 << 20) >= before, "what is freed is free again");
}

/* Most of the memory in pieces, then in one piece: what was kept for small ones must come back for it. */
static void
exhaustion(void)
{
    size_t piece = unused() / 24, half = unused() / 2;
    CUdeviceptr memory[64], large;
    CUresult result = CUDA_SUCCESS;
    unsigned count = 0;

    while (count < 64 && (result = cuMemAlloc_v2(&memory[count], piece)) == CUDA_SUCCESS)
        count++;
    ok(result == CUDA_ERROR_OUT_OF_MEMORY && count >= 20, "memory ends with CUDA_ERROR_OUT_OF_MEMORY");
    GIVES(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc_v2(&large, half));
    while (count > 0)
        NEED(cuMemFree_v2(memory[--count]));
    GIVES(CUDA_SUCCESS, cuMemAlloc_v2(&large, half));
    GIVES(CUDA_SUCCESS, cuMemsetD8_v2(large + half - 100, 1, 100));
    GIVES(CUDA_SUCCESS, cuMemFree_v2(large));
    GIVES(CUDA_SUCCESS, cuMemAllocAsync(&large, half, NULL));
    GIVES(CUDA_SUCCESS, cuMemFreeAsync(large, NULL));
    GIVES(CUDA_SUCCESS, cuCtxSynchronize());
}

/* A context takes its memory with it. */
static void
generations(void)
{
    size_t part = unused() / 4 * 3;

    for (unsigned i = 0; i < 3; i++) {
        CUcontext other;
        CUdeviceptr memory;

        NEED(cuCtxCreate_v2(&other, 0, 0));
        GIVES(CUDA_SUCCESS, cuMemAlloc_v2(&memory, part));
        GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(other));
        NEED(cuCtxSetCurrent(context));
    }
}

int
main(void)
{
    context = test_begin();
    information();
    threads();
    exhaustion();
    generations();
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
