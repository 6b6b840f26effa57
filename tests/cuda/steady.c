/* SPDX-License-Identifier: MIT */
/*
 * A program in its steady state: it launches, copies, fills and records events over and over. Says how many rounds it
 * does, and has the library print what these have sent. Memory is what it has: freeing some waits for the device.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_api.h"

#define ROUNDS 100
#define BYTES 4096u

static const char ptx[] = ".version 6.0\n"
                          ".target sm_52\n"
                          ".address_size 64\n"
                          ".visible .entry nothing(.param .u64 a)\n"
                          "{\n"
                          "    ret;\n"
                          "}\n";

static CUdeviceptr memory, more;
static CUfunction nothing;
static CUevent event;
static CUstream stream;
static unsigned char data[BYTES];

static void
check(CUresult result, const char *what)
{
    if (result == CUDA_SUCCESS)
        return;
    printf("%s: %d\n", what, result);
    exit(1);
}
#define CHECK(call) check(call, #call)

static void
prepare(void)
{
    CUcontext context;
    CUdevice device;
    CUmodule module;

    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuDevicePrimaryCtxRetain(&context, device));
    CHECK(cuCtxSetCurrent(context));
    CHECK(cuModuleLoadData(&module, ptx));
    CHECK(cuModuleGetFunction(&nothing, module, "nothing"));
    CHECK(cuMemAlloc_v2(&memory, BYTES));
    CHECK(cuMemAlloc_v2(&more, BYTES));
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CHECK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
}

static void
one_round(void)
{
    void *parameters[] = {&memory};
    CUcontext current;

    CHECK(cuCtxGetCurrent(&current));
    CHECK(cuMemcpyHtoDAsync_v2(memory, data, 64, stream));
    CHECK(cuLaunchKernel(nothing, 1, 1, 1, 32, 1, 1, 0, stream, parameters, NULL));
    CHECK(cuMemsetD8Async(memory, 0, BYTES, stream));
    CHECK(cuEventRecord(event, stream));
    CHECK(cuStreamWaitEvent(NULL, event, 0));
    CHECK(cuMemcpyDtoDAsync_v2(more, memory, BYTES, NULL));
}

int
main(void)
{
    void (*print)(void);
    void *library;

    prepare();
    one_round();
    CHECK(cuCtxSynchronize());
    library = dlopen("libgpuvchan.so.0", RTLD_NOW | RTLD_NOLOAD);
    *(void **)&print = library ? dlsym(library, "gpuvchan_stats_print") : NULL;
    if (!print)
        return 1;
    print();
    for (int i = 0; i < ROUNDS; i++)
        one_round();
    fprintf(stderr, "steady: driver API, %d\n", ROUNDS);
    print();
    CHECK(cuCtxSynchronize());
    return 0;
}
