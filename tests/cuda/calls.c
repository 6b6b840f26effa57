/* SPDX-License-Identifier: MIT */
/*
 * Calls of many kinds, one after the other, for what they become at the host's driver. Run with the recording driver,
 * which computes nothing: what comes back is not looked at. With an argument the kernels come from that file.
 */
#include "test.h"

static CUmodule module;

static CUfunction
kernel(const char *name)
{
    CUfunction function;

    NEED(cuModuleGetFunction(&function, module, name));
    return function;
}

static void
load(const char *path)
{
    CUdeviceptr address;
    size_t bytes;

    if (path)
        NEED(cuModuleLoad(&module, path));
    else
        NEED(cuModuleLoadData(&module, kernels));
    NEED(cuModuleGetGlobal_v2(&address, &bytes, module, "table"));
    NEED(cuMemsetD32_v2(address, 1, 6));
}

static void
launches(CUstream stream)
{
    unsigned char a = 1, g[12] = {7, 0, 0, 0, 8, 0, 0, 0, 9};
    unsigned long long b = 2;
    unsigned short c = 3;
    unsigned count = 100, value = 4, d = 4;
    float e = 5;
    double f = 6;
    CUdeviceptr out;
    CUfunction add = kernel("add");
    struct {
        CUdeviceptr data;
        unsigned count, value;
    } packed;
    size_t packed_bytes = sizeof(packed);
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &packed, CU_LAUNCH_PARAM_BUFFER_SIZE, &packed_bytes,
                     CU_LAUNCH_PARAM_END};

    NEED(cuMemAlloc_v2(&out, 4096));
    NEED(cuLaunchKernel(add, 2, 1, 1, 64, 1, 1, 0, NULL, (void *[]){&out, &count, &value}, NULL));
    packed.data = out + 64;
    packed.count = count;
    packed.value = value;
    NEED(cuLaunchKernel(add, 1, 2, 3, 8, 4, 2, 1024, stream, NULL, extra));
    NEED(cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 0, CU_STREAM_PER_THREAD, NULL, extra));
    NEED(cuLaunchKernel(kernel("tick"), 1, 1, 1, 1, 1, 1, 0, CU_STREAM_LEGACY, NULL, NULL));
    NEED(
        cuLaunchKernel(kernel("many"), 1, 1, 1, 1, 1, 1, 0, stream, (void *[]){&a, &b, &c, &d, &e, &f, g, &out}, NULL));
    NEED(cuLaunchCooperativeKernel(add, 1, 1, 1, 32, 1, 1, 0, stream, (void *[]){&out, &count, &value}));
    NEED(cuFuncSetAttribute(add, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 50));
    NEED(cuFuncSetCacheConfig(add, CU_FUNC_CACHE_PREFER_L1));
    NEED(cuMemFree_v2(out));
}

static void
memory(CUstream stream)
{
    static unsigned char small[256], large[300000];
    CUDA_MEMCPY2D rows = {.srcMemoryType = CU_MEMORYTYPE_DEVICE, .dstMemoryType = CU_MEMORYTYPE_DEVICE};
    CUdeviceptr one, two;
    size_t pitch;
    void *pinned;

    NEED(cuMemAlloc_v2(&one, 1 << 20));
    NEED(cuMemAllocPitch_v2(&two, &pitch, 1000, 100, 4));
    NEED(cuMemHostAlloc(&pinned, 65536, CU_MEMHOSTALLOC_DEVICEMAP));
    NEED(cuMemcpyHtoD_v2(one, small, sizeof(small)));
    NEED(cuMemcpyHtoD_v2(one + 4096, large, sizeof(large)));
    NEED(cuMemcpyHtoDAsync_v2(one + 8192, pinned, 65536, stream));
    NEED(cuMemcpyDtoHAsync_v2(pinned, one, 4096, stream));
    NEED(cuMemcpyDtoD_v2(two, one, 2048));
    NEED(cuMemcpyDtoDAsync_v2(two, one + 1, 2048, stream));
    NEED(cuMemcpy(two, one + 2, 100));
    NEED(cuMemsetD8_v2(one, 0xab, 1000));
    NEED(cuMemsetD16Async(one + 2, 0xabcd, 1000, stream));
    NEED(cuMemsetD2D32_v2(two, pitch, 7, 250, 100));
    rows.srcDevice = one;
    rows.srcPitch = 512;
    rows.dstDevice = two;
    rows.dstPitch = pitch;
    rows.WidthInBytes = 400;
    rows.Height = 50;
    NEED(cuMemcpy2DAsync_v2(&rows, stream));
    NEED(cuStreamSynchronize(stream));
    NEED(cuStreamSynchronize(stream)); /* of these two the driver sees nothing */
    NEED(cuStreamQuery(stream));
    NEED(cuMemFreeHost(pinned));
    NEED(cuMemFree_v2(two));
    NEED(cuMemFree_v2(one));
}

static void
events(CUstream stream)
{
    CUevent event;
    CUstream other;

    NEED(cuStreamCreateWithPriority(&other, CU_STREAM_NON_BLOCKING, -1));
    NEED(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    NEED(cuEventRecord(event, stream));
    NEED(cuStreamWaitEvent(other, event, 0));
    NEED(cuEventSynchronize(event));
    /* It has been asked for: now the driver writes a word, and is not asked any more. */
    NEED(cuEventRecord(event, stream));
    while (cuEventQuery(event) == CUDA_ERROR_NOT_READY)
        ;
    NEED(cuEventDestroy_v2(event));
    NEED(cuStreamDestroy_v2(other));
}

int
main(int count, char **arguments)
{
    CUcontext context = test_begin();
    CUstream stream;

    NEED(cuStreamCreate(&stream, CU_STREAM_DEFAULT));
    load(count > 1 ? arguments[1] : NULL);
    launches(stream);
    memory(stream);
    events(stream);
    NEED(cuStreamDestroy_v2(stream));
    NEED(cuModuleUnload(module));
    NEED(cuCtxDestroy_v2(context));
    return 0;
}
