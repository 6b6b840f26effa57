/* SPDX-License-Identifier: MIT */
/*
 * Several devices: what they say of each other, access, and copies between contexts. With one device
 * the part for two is left out, but copies between two contexts of it are made.
 */
#include "test.h"

#define BYTES 300000u

static unsigned char source[BYTES], target[BYTES];

static CUdeviceptr
filled(CUcontext context, unsigned seed)
{
    CUdeviceptr memory;

    NEED(cuCtxSetCurrent(context));
    NEED(cuMemAlloc_v2(&memory, BYTES));
    test_pattern(source, BYTES, seed);
    NEED(cuMemcpyHtoD_v2(memory, source, BYTES));
    return memory;
}

/* Does @p memory hold what filled() put for @p seed? */
static bool
holds(CUdeviceptr memory, unsigned seed)
{
    test_pattern(source, BYTES, seed);
    NEED(cuMemcpyDtoH_v2(target, memory, BYTES));
    return memcmp(source, target, BYTES) == 0;
}

/* An int array of 64 x 4 in @p context. */
static CUarray
make_array(CUcontext context)
{
    CUDA_ARRAY_DESCRIPTOR description = {64, 4, CU_AD_FORMAT_SIGNED_INT32, 1};
    CUarray array;

    NEED(cuCtxSetCurrent(context));
    NEED(cuArrayCreate_v2(&array, &description));
    return array;
}

static void
test_boxes(CUcontext contexts[2], CUdeviceptr memory)
{
    CUarray arrays[2] = {make_array(contexts[0]), make_array(contexts[1])};
    CUDA_MEMCPY3D_PEER copy = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                               .srcDevice = memory,
                               .srcContext = contexts[0],
                               .srcPitch = 256,
                               .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                               .dstArray = arrays[0],
                               .dstContext = contexts[0],
                               .WidthInBytes = 256,
                               .Height = 4,
                               .Depth = 1};
    CUstream stream;

    NEED(cuStreamCreate(&stream, 0));
    GIVES(CUDA_SUCCESS, cuMemcpy3DPeer(&copy));
    copy.srcMemoryType = CU_MEMORYTYPE_ARRAY;
    copy.srcArray = arrays[0];
    copy.dstArray = arrays[1];
    copy.dstContext = contexts[1];
    GIVES(CUDA_SUCCESS, cuMemcpy3DPeerAsync(&copy, stream));
    copy.srcArray = arrays[1];
    copy.srcContext = contexts[1];
    copy.dstMemoryType = CU_MEMORYTYPE_HOST;
    copy.dstHost = target;
    copy.dstPitch = 300;
    GIVES(CUDA_SUCCESS, cuMemcpy3DPeerAsync(&copy, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    NEED(cuMemcpyDtoH_v2(source, memory, 1024));
    for (unsigned row = 0; row < 4; row++)
        ok(memcmp(source + row * 256, target + row * 300, 256) == 0, "row %u has come over two arrays", row);
    NEED(cuStreamDestroy_v2(stream));
    NEED(cuArrayDestroy(arrays[1]));
    NEED(cuCtxSetCurrent(contexts[0]));
    NEED(cuArrayDestroy(arrays[0]));
}

static void
test_copies(CUcontext first, CUcontext second)
{
    CUcontext contexts[2] = {first, second};
    CUdeviceptr one = filled(first, 1), two = filled(second, 2);
    CUstream stream;

    NEED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    GIVES(CUDA_SUCCESS, cuMemcpyPeer(two, second, one, first, BYTES));
    ok(holds(two, 1), "all has come to the second context");
    NEED(cuMemcpyHtoD_v2(two, (test_pattern(source, BYTES, 3), source), BYTES));
    GIVES(CUDA_SUCCESS, cuMemcpyPeerAsync(one + 100, first, two, second, BYTES - 100, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    NEED(cuMemcpyDtoH_v2(target, one, BYTES));
    test_pattern(source, BYTES, 3);
    ok(memcmp(target + 100, source, BYTES - 100) == 0, "and back, at another place");
    test_pattern(source, 100, 1);
    ok(memcmp(target, source, 100) == 0, "and nothing before it");
    NEED(cuMemcpyHtoD_v2(one, (test_pattern(source, BYTES, 4), source), BYTES));
    GIVES(CUDA_SUCCESS, cuMemcpyDtoD_v2(two, one, BYTES));
    ok(holds(two, 4), "a plain copy finds both contexts by itself");
    GIVES(CUDA_SUCCESS, cuMemcpyPeer(two, second, one, first, 0));
    test_boxes(contexts, one);
    NEED(cuCtxSetCurrent(second));
    NEED(cuStreamDestroy_v2(stream));
    NEED(cuMemFree_v2(two));
    NEED(cuCtxSetCurrent(first));
    NEED(cuMemFree_v2(one));
}

static void
test_access(CUcontext first, CUcontext second)
{
    int can = -1, supported = -1;

    GIVES(CUDA_SUCCESS, cuDeviceCanAccessPeer(&can, 0, 1));
    GIVES(CUDA_SUCCESS, cuDeviceGetP2PAttribute(&supported, CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED, 0, 1));
    ok(can == supported && can >= 0, "access is possible, or not, by either question");
    NEED(cuCtxSetCurrent(first));
    if (can != 1) {
        GIVES(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, cuCtxEnablePeerAccess(second, 0));
        return;
    }
    GIVES(CUDA_ERROR_PEER_ACCESS_NOT_ENABLED, cuCtxDisablePeerAccess(second));
    GIVES(CUDA_SUCCESS, cuCtxEnablePeerAccess(second, 0));
    GIVES(CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED, cuCtxEnablePeerAccess(second, 0));
    GIVES(CUDA_SUCCESS, cuCtxDisablePeerAccess(second));
    GIVES(CUDA_ERROR_PEER_ACCESS_NOT_ENABLED, cuCtxDisablePeerAccess(second));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuCtxEnablePeerAccess(second, 1));
}

/* A kernel of one device fills the memory of the other. */
static void
test_reach(CUcontext first, CUcontext second)
{
    CUdeviceptr memory = filled(second, 5);
    unsigned value = 77, count = 256, got[256];
    void *parameters[] = {&memory, &count, &value};

    NEED(cuMemsetD32_v2(memory, 0, 256));
    NEED(cuCtxSynchronize());
    NEED(cuCtxSetCurrent(first));
    if (cuCtxEnablePeerAccess(second, 0) != CUDA_SUCCESS)
        return;
    NEED(test_launch(test_kernel("add"), 1, 256, NULL, parameters));
    NEED(cuCtxSynchronize());
    NEED(cuMemcpyDtoH_v2(got, memory, sizeof(got)));
    ok(got[0] == 77 && got[255] == 77, "a kernel reaches the other device's memory");
    NEED(cuCtxDisablePeerAccess(second));
}

static void
test_questions(int count)
{
    CUdevprop properties = {0};
    int value = -1, most = 0;
    size_t width = 0;

    GIVES(CUDA_SUCCESS, cuDeviceGetProperties(&properties, 0));
    NEED(cuDeviceGetAttribute(&most, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 0));
    ok(properties.maxThreadsPerBlock == most && properties.SIMDWidth == 32, "properties are the attributes");
    GIVES(CUDA_ERROR_INVALID_DEVICE, cuDeviceGetProperties(&properties, count));
    GIVES(CUDA_SUCCESS, cuDeviceGetTexture1DLinearMaxWidth(&width, CU_AD_FORMAT_FLOAT, 1, 0));
    ok(width >= 1024, "a linear texture may be wide");
    GIVES(CUDA_ERROR_INVALID_DEVICE, cuDeviceCanAccessPeer(&value, 0, count));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuDeviceCanAccessPeer(NULL, 0, 0));
    GIVES(CUDA_SUCCESS, cuDeviceCanAccessPeer(&value, 0, 0));
    ok(value == 0, "a device is no peer of itself");
    GIVES(CUDA_ERROR_INVALID_DEVICE, cuDeviceGetP2PAttribute(&value, CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED, 0, 0));
}

int
main(void)
{
    CUcontext first = test_begin(), second;
    int count = 0;

    NEED(cuDeviceGetCount(&count));
    test_questions(count);
    NEED(cuCtxCreate_v2(&second, 0, count > 1));
    test_copies(first, second);
    if (count > 1) {
        test_access(first, second);
        test_reach(first, second);
    } else {
        NEED(cuCtxSetCurrent(first));
        ok(cuCtxEnablePeerAccess(second, 0) != CUDA_SUCCESS, "a context is no peer of one of its own device");
    }
    NEED(cuCtxDestroy_v2(second));
    NEED(cuCtxDestroy_v2(first));
    return test_end();
}
