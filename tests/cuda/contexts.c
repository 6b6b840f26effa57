/* SPDX-License-Identifier: MIT */
/* Contexts: stacks of threads, primary contexts, ends. */
#include <pthread.h>

#include "test.h"

static CUcontext shared;

static CUcontext
current(void)
{
    CUcontext context = NULL;

    NEED(cuCtxGetCurrent(&context));
    return context;
}

static void *
other_thread(void *argument)
{
    CUdeviceptr memory;

    (void)argument;
    ok(current() == NULL, "a thread begins without a context");
    GIVES(CUDA_ERROR_INVALID_CONTEXT, cuMemAlloc_v2(&memory, 4));
    GIVES(CUDA_SUCCESS, cuCtxSetCurrent(shared));
    ok(current() == shared, "and takes another thread's");
    GIVES(CUDA_SUCCESS, cuMemAlloc_v2(&memory, 4));
    GIVES(CUDA_SUCCESS, cuMemFree_v2(memory));
    return NULL;
}

static void
stacks(CUcontext first)
{
    CUcontext second, popped = NULL;
    CUdevice device = -1;

    GIVES(CUDA_SUCCESS, cuCtxCreate_v2(&second, CU_CTX_SCHED_YIELD, 0));
    ok(current() == second, "a new context is current");
    GIVES(CUDA_SUCCESS, cuCtxPushCurrent_v2(first));
    ok(current() == first, "and the one that is pushed over it");
    GIVES(CUDA_SUCCESS, cuCtxPopCurrent_v2(&popped));
    ok(popped == first && current() == second, "popping gives back the former");
    GIVES(CUDA_SUCCESS, cuCtxSetCurrent(first));
    ok(current() == first, "setting replaces the top");
    GIVES(CUDA_SUCCESS, cuCtxGetDevice(&device));
    ok(device == 0, "its device is the first");
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(second));
    ok(current() == first, "destroying another leaves the current one");
    NEED(cuCtxPopCurrent_v2(NULL));
    ok(current() == first, "the first is below it");
}

static void
flags(void)
{
    unsigned found = 99;
    CUcontext context;

    GIVES(CUDA_SUCCESS, cuCtxCreate_v2(&context, CU_CTX_SCHED_BLOCKING_SYNC, 0));
    GIVES(CUDA_SUCCESS, cuCtxGetFlags(&found));
    ok(found == CU_CTX_SCHED_BLOCKING_SYNC, "flags are kept");
    GIVES(CUDA_SUCCESS, cuCtxSynchronize());
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuCtxCreate_v2(&context, 0x8000, 0));
    GIVES(CUDA_ERROR_INVALID_DEVICE, cuCtxCreate_v2(&context, 0, 99));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuCtxCreate_v2(NULL, 0, 0));
}

static void
primaries(void)
{
    CUcontext first, second;
    unsigned set = 99;
    int active = 99;
    CUdeviceptr memory;

    GIVES(CUDA_ERROR_INVALID_CONTEXT, cuDevicePrimaryCtxRelease_v2(0));
    NEED(cuDevicePrimaryCtxGetState(0, &set, &active));
    ok(!active, "nobody has retained the primary context");
    GIVES(CUDA_SUCCESS, cuDevicePrimaryCtxRetain(&first, 0));
    GIVES(CUDA_SUCCESS, cuDevicePrimaryCtxRetain(&second, 0));
    ok(first == second, "it is one for all");
    NEED(cuDevicePrimaryCtxGetState(0, &set, &active));
    ok(active == 1, "and active");
    GIVES(CUDA_SUCCESS, cuCtxPushCurrent_v2(first));
    GIVES(CUDA_SUCCESS, cuMemAlloc_v2(&memory, 100));
    GIVES(CUDA_SUCCESS, cuDevicePrimaryCtxRelease_v2(0));
    GIVES(CUDA_SUCCESS, cuMemFree_v2(memory));
    GIVES(CUDA_SUCCESS, cuDevicePrimaryCtxRelease_v2(0));
    GIVES(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuMemAlloc_v2(&memory, 100));
    GIVES(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuCtxSynchronize());
    GIVES(CUDA_SUCCESS, cuCtxPopCurrent_v2(NULL));
    GIVES(CUDA_ERROR_INVALID_CONTEXT, cuDevicePrimaryCtxRelease_v2(0));
    GIVES(CUDA_SUCCESS, cuDevicePrimaryCtxRetain(&first, 0));
    GIVES(CUDA_SUCCESS, cuCtxPushCurrent_v2(first));
    GIVES(CUDA_SUCCESS, cuMemAlloc_v2(&memory, 100));
    GIVES(CUDA_SUCCESS, cuDevicePrimaryCtxReset_v2(0));
    GIVES(CUDA_SUCCESS, cuCtxPopCurrent_v2(NULL));
}

/* What was in a context is gone with it, and new things work in a new one. */
static void
ends(void)
{
    CUcontext context;
    CUmodule module;
    CUstream stream;
    CUevent event;
    CUdeviceptr memory;
    void *pinned;

    for (int i = 0; i < 3; i++) {
        NEED(cuCtxCreate_v2(&context, 0, 0));
        NEED(cuModuleLoadData(&module, kernels));
        NEED(cuStreamCreate(&stream, 0));
        NEED(cuEventCreate(&event, 0));
        NEED(cuEventRecord(event, stream));
        NEED(cuMemAlloc_v2(&memory, 1000));
        NEED(cuMemHostAlloc(&pinned, 1000, 0));
        ok(cuCtxDestroy_v2(context) == CUDA_SUCCESS, "a context with things in it goes, %d", i);
    }
}

int
main(void)
{
    CUcontext context = test_begin();
    pthread_t thread;
    CUcontext popped;
    CUdeviceptr memory;

    shared = context;
    stacks(context);
    flags();
    primaries();
    ends();
    pthread_create(&thread, NULL, other_thread, NULL);
    pthread_join(thread, NULL);
    ok(current() == context, "this thread's is as it was");
    GIVES(CUDA_SUCCESS, cuCtxPopCurrent_v2(&popped));
    GIVES(CUDA_ERROR_INVALID_CONTEXT, cuCtxPopCurrent_v2(&popped));
    GIVES(CUDA_ERROR_INVALID_CONTEXT, cuMemAlloc_v2(&memory, 4));
    GIVES(CUDA_ERROR_INVALID_CONTEXT, cuCtxSynchronize());
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
