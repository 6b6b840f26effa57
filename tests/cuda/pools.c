/* SPDX-License-Identifier: MIT */
/* Memory in the order of a stream, and the pools that it comes from. */
#include "test.h"

#define COUNT 5000u

static CUmemPoolProps
properties(void)
{
    CUmemPoolProps wanted = {0};

    wanted.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    wanted.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    return wanted;
}

static uint64_t
attribute(CUmemoryPool pool, CUmemPool_attribute which)
{
    uint64_t value = 0;

    NEED(cuMemPoolGetAttribute(pool, which, &value));
    return value;
}

/* Fills, adds, reads back: all in the stream's order, without waiting. */
static bool
is_usable(CUdeviceptr memory, CUstream stream)
{
    static uint32_t words[COUNT];
    unsigned count = COUNT, value = 5;
    void *parameters[] = {&memory, &count, &value};
    bool right = true;

    NEED(cuMemsetD32Async(memory, 7, COUNT, stream));
    NEED(test_launch(test_kernel("add"), (COUNT + 255) / 256, 256, stream, parameters));
    NEED(cuMemcpyDtoHAsync_v2(words, memory, sizeof(words), stream));
    NEED(cuStreamSynchronize(stream));
    for (unsigned i = 0; i < COUNT; i++)
        right &= words[i] == 12;
    return right;
}

static void
allocations(CUstream stream)
{
    CUdeviceptr memory, other, base;
    size_t bytes;

    GIVES(CUDA_SUCCESS, cuMemAllocAsync(&memory, COUNT * 4, stream));
    ok(is_usable(memory, stream), "memory of a stream is memory");
    GIVES(CUDA_SUCCESS, cuMemAllocAsync(&other, 100, NULL));
    ok(other != memory, "two allocations lie apart");
    GIVES(CUDA_SUCCESS, cuMemGetAddressRange_v2(&base, &bytes, memory + 64));
    ok(base == memory, "the range of an address begins with its allocation");
    GIVES(CUDA_SUCCESS, cuMemFreeAsync(memory, stream));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemFreeAsync(memory, stream));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD_v2(memory, &base, 4));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    GIVES(CUDA_SUCCESS, cuMemFree_v2(other));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemFree_v2(other));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemAllocAsync(NULL, 100, stream));
    GIVES(CUDA_SUCCESS, cuMemFreeAsync(0, stream));
    GIVES(CUDA_ERROR_OUT_OF_MEMORY, cuMemAllocAsync(&memory, (size_t)1 << 46, stream));
    GIVES(CUDA_SUCCESS, cuCtxSynchronize());
}

/* Many, freed in another order, from two streams. */
static void
many(CUstream stream)
{
    CUdeviceptr memory[64];
    bool right = true;

    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 64; i++)
            NEED(cuMemAllocAsync(&memory[i], COUNT * 4, stream));
        for (unsigned i = 0; i < 64; i += 9)
            right &= is_usable(memory[i], stream);
        for (unsigned i = 0; i < 64; i++)
            NEED(cuMemFreeAsync(memory[i * 27 % 64], stream));
    }
    NEED(cuStreamSynchronize(stream));
    ok(right, "many allocations, again and again");
}

static void
own_pool(CUstream stream)
{
    CUmemPoolProps wanted = properties();
    CUmemoryPool pool, preset, found;
    CUdeviceptr memory;
    uint64_t high = 1, zero = 0, threshold = 1 << 20;
    int reuse = 0;

    GIVES(CUDA_SUCCESS, cuMemPoolCreate(&pool, &wanted));
    GIVES(CUDA_SUCCESS, cuDeviceGetDefaultMemPool(&preset, 0));
    GIVES(CUDA_SUCCESS, cuDeviceGetMemPool(&found, 0));
    ok(preset != pool && found == preset, "a device has a pool of its own at first");
    GIVES(CUDA_SUCCESS, cuMemAllocFromPoolAsync(&memory, COUNT * 4, pool, stream));
    ok(is_usable(memory, stream), "memory of a pool is memory");
    GIVES(CUDA_SUCCESS, cuPointerGetAttribute(&found, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, memory));
    ok(found == pool, "which says what pool it is from");
    ok(attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) >= COUNT * 4, "the pool says what is used");
    ok(attribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) >= COUNT * 4, "and what is reserved");
    GIVES(CUDA_SUCCESS, cuMemFreeAsync(memory, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    ok(attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) == 0, "after the last free nothing is used");
    ok(attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH) >= COUNT * 4, "but was");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &high));
    GIVES(CUDA_SUCCESS, cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &zero));
    ok(attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH) == 0, "which can be forgotten");
    GIVES(CUDA_SUCCESS, cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &threshold));
    ok(attribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) == threshold, "an attribute of 64 bits stays");
    GIVES(CUDA_SUCCESS, cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC, &reuse));
    ok(attribute(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC) == 0, "and one of 32");
    GIVES(CUDA_SUCCESS, cuMemPoolTrimTo(pool, 0));

    GIVES(CUDA_SUCCESS, cuDeviceSetMemPool(0, pool));
    GIVES(CUDA_SUCCESS, cuDeviceGetMemPool(&found, 0));
    ok(found == pool, "a device's pool can be chosen");
    NEED(cuMemAllocAsync(&memory, 4096, stream));
    ok(attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) >= 4096, "and is then allocated from");
    NEED(cuMemFreeAsync(memory, stream));
    NEED(cuStreamSynchronize(stream));
    GIVES(CUDA_SUCCESS, cuMemPoolDestroy(pool));
    GIVES(CUDA_SUCCESS, cuDeviceGetMemPool(&found, 0));
    ok(found == preset, "until it is destroyed");
}

static void
reach(void)
{
    CUmemPoolProps wanted = properties();
    CUmemLocation location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    CUmemAccess_flags flags = CU_MEM_ACCESS_FLAGS_PROT_NONE;
    CUmemAccessDesc grant = {location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemoryPool pool;

    NEED(cuMemPoolCreate(&pool, &wanted));
    GIVES(CUDA_SUCCESS, cuMemPoolGetAccess(&flags, pool, &location));
    ok(flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE, "a pool's own device has access");
    GIVES(CUDA_SUCCESS, cuMemPoolSetAccess(pool, &grant, 1));
    GIVES(CUDA_SUCCESS, cuMemPoolDestroy(pool));
    wanted.maxSize = 1 << 26;
    GIVES(CUDA_SUCCESS, cuMemPoolCreate(&pool, &wanted));
    GIVES(CUDA_SUCCESS, cuMemPoolDestroy(pool));
}

int
main(void)
{
    CUcontext context = test_begin();
    CUstream stream;
    int supported = 0;

    NEED(cuDeviceGetAttribute(&supported, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 0));
    ok(supported == 1, "the device has pools");
    NEED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    allocations(stream);
    many(stream);
    own_pool(stream);
    reach();
    NEED(cuStreamDestroy_v2(stream));
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
