/* SPDX-License-Identifier: MIT */
/* Managed memory: one pointer for the processor and the device, and hints that are told again. */
#include "test.h"

#define COUNT (1u << 16)

static CUdeviceptr memory;
static uint32_t *words;

static void
turns(void)
{
    unsigned count = COUNT, value = 10;
    void *parameters[] = {&memory, &count, &value};
    CUfunction add = test_kernel("add");
    CUdeviceptr other;
    bool right = true;

    for (unsigned i = 0; i < COUNT; i++)
        words[i] = i;
    for (unsigned round = 1; round <= 4; round++) {
        NEED(test_launch(add, COUNT / 256, 256, NULL, parameters));
        NEED(cuCtxSynchronize());
        for (unsigned i = 0; i < COUNT; i++)
            right &= words[i]++ == i + round * 10 + (round - 1);
    }
    ok(right, "the processor and the device take turns at it");
    NEED(cuMemAlloc_v2(&other, COUNT * 4));
    NEED(cuMemcpyDtoD_v2(other, memory, COUNT * 4));
    NEED(cuMemsetD32_v2(memory, 5, COUNT));
    NEED(cuCtxSynchronize());
    ok(words[0] == 5 && words[COUNT - 1] == 5, "a fill is seen");
    NEED(cuMemcpy(memory, other, COUNT * 4));
    NEED(cuCtxSynchronize());
    for (unsigned i = 0; i < COUNT; i++)
        right &= words[i] == i + 44;
    ok(right, "and so are copies");
    NEED(cuMemFree_v2(other));
}

static void
pointers(void)
{
    unsigned managed = 0, type = 0;
    CUdeviceptr device = 0;
    void *host = NULL;

    GIVES(CUDA_SUCCESS, cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, memory + 8));
    ok(managed == 1, "it is known as managed");
    GIVES(CUDA_SUCCESS, cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, memory));
    ok(type == CU_MEMORYTYPE_DEVICE, "and as the device's");
    GIVES(CUDA_SUCCESS, cuPointerGetAttribute(&device, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, memory + 8));
    GIVES(CUDA_SUCCESS, cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_HOST_POINTER, memory + 8));
    ok(device == memory + 8 && host == (char *)words + 8, "under one address");
}

static int
attribute(CUmem_range_attribute which, CUdeviceptr at, size_t bytes)
{
    int value = -100;

    NEED(cuMemRangeGetAttribute(&value, sizeof(value), which, at, bytes));
    return value;
}

static void
hints(void)
{
    size_t bytes = COUNT * 4, half = bytes / 2;
    int by[3] = {7, 7, 7}, read_mostly = 7;
    void *data[] = {&read_mostly, by};
    size_t sizes[] = {sizeof(read_mostly), sizeof(by)};
    CUmem_range_attribute wanted[] = {CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY};
    CUmemLocation device = {CU_MEM_LOCATION_TYPE_DEVICE, 0}, host = {CU_MEM_LOCATION_TYPE_HOST, 0};

    ok(attribute(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, memory, bytes) == CU_DEVICE_INVALID, "at first no place");
    GIVES(CUDA_SUCCESS, cuMemAdvise(memory, bytes, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, 0));
    ok(attribute(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, memory, bytes) == 0, "then one is preferred");
    GIVES(CUDA_SUCCESS, cuMemAdvise_v2(memory + half, half, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, host));
    ok(attribute(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, memory, bytes) == CU_DEVICE_INVALID, "not by all of it");
    ok(attribute(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, memory, half) == 0, "one half has one");
    ok(attribute(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, memory + half, half) == CU_DEVICE_CPU, "and the other one");
    GIVES(CUDA_SUCCESS, cuMemAdvise(memory, bytes, CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION, 0));
    GIVES(CUDA_SUCCESS, cuMemAdvise(memory, bytes, CU_MEM_ADVISE_SET_READ_MOSTLY, 0));
    GIVES(CUDA_SUCCESS, cuMemAdvise_v2(memory, bytes, CU_MEM_ADVISE_SET_ACCESSED_BY, device));
    GIVES(CUDA_SUCCESS, cuMemRangeGetAttributes(data, sizes, wanted, 2, memory, bytes));
    ok(read_mostly == 1 && by[0] == 0 && by[1] == CU_DEVICE_INVALID && by[2] == CU_DEVICE_INVALID,
       "who reads and who comes to it");
    GIVES(CUDA_SUCCESS, cuMemAdvise(memory + 4096, 4096, CU_MEM_ADVISE_UNSET_READ_MOSTLY, 0));
    ok(attribute(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, memory, bytes) == 0, "one page is enough");
    ok(attribute(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, memory + 8192, bytes - 8192) == 1, "which is not the others");
    GIVES(CUDA_SUCCESS, cuMemPrefetchAsync(memory, bytes, 0, NULL));
    NEED(cuCtxSynchronize());
    ok(attribute(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, memory, bytes) == 0, "it was fetched to the device");
    GIVES(CUDA_SUCCESS, cuMemPrefetchAsync_v2(memory, half, host, 0, NULL));
    NEED(cuCtxSynchronize());
    ok(attribute(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, memory, half) == CU_DEVICE_CPU, "and half of it back");
    ok(words[3] == 47, "its contents stay");
}

static void
refused(void)
{
    CUdeviceptr plain, nothing;
    int value;

    NEED(cuMemAlloc_v2(&plain, 4096));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemAllocManaged(&nothing, 0, CU_MEM_ATTACH_GLOBAL));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemAllocManaged(&nothing, 100, 7));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemPrefetchAsync(plain, 4096, 0, NULL));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemAdvise(plain, 4096, CU_MEM_ADVISE_SET_READ_MOSTLY, 0));
    GIVES(CUDA_ERROR_INVALID_DEVICE, cuMemPrefetchAsync(memory, 4096, 99, NULL));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemRangeGetAttribute(&value, 3, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, memory, 64));
    NEED(cuMemFree_v2(plain));
}

int
main(void)
{
    CUcontext context = test_begin();
    int managed = 0, concurrent = 0;

    NEED(cuDeviceGetAttribute(&managed, CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 0));
    NEED(cuDeviceGetAttribute(&concurrent, CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS, 0));
    if (!managed) { /* the arena is at different addresses; elsewhere the native run says otherwise */
        ok(!concurrent, "the device does not have it");
        return test_end();
    }
    ok(concurrent, "the device has it, for use at the same time");
    GIVES(CUDA_SUCCESS, cuMemAllocManaged(&memory, COUNT * 4, CU_MEM_ATTACH_GLOBAL));
    words = (uint32_t *)(uintptr_t)memory;
    turns();
    pointers();
    hints();
    refused();
    GIVES(CUDA_SUCCESS, cuMemFree_v2(memory));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemFree_v2(memory));
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
