/* SPDX-License-Identifier: MIT */
/* Address space and physical memory, apart: mapped side by side, twice, elsewhere, and in a growing piece. */
#include "test.h"

#define PIECES 4u
#define WORDS 1000u

static size_t grain;
static CUmemAllocationProp properties;
static CUmemAccessDesc grant;

static CUmemGenericAllocationHandle
memory_of(size_t bytes)
{
    CUmemGenericAllocationHandle handle;

    NEED(cuMemCreate(&handle, bytes, &properties, 0));
    return handle;
}

static bool
is_filled(CUdeviceptr at, size_t bytes, unsigned char wanted)
{
    unsigned char *read = malloc(bytes);
    bool right = true;

    NEED(cuMemcpyDtoH_v2(read, at, bytes));
    for (size_t i = 0; i < bytes; i++)
        right &= read[i] == wanted;
    free(read);
    return right;
}

/* As PyTorch's expandable segments: a large reservation whose beginning grows, piece by piece. */
static void
growing(void)
{
    CUmemGenericAllocationHandle handles[PIECES];
    CUdeviceptr start, other;
    unsigned char *source, *target;
    size_t all = PIECES * grain;

    GIVES(CUDA_SUCCESS, cuMemAddressReserve(&start, 64 * grain, 0, 0, 0));
    ok(start % grain == 0, "reserved addresses are aligned");
    for (unsigned i = 0; i < PIECES; i++) {
        handles[i] = memory_of(grain);
        NEED(cuMemMap(start + i * grain, grain, 0, handles[i], 0));
        NEED(cuMemSetAccess(start + i * grain, grain, &grant, 1));
    }
    source = malloc(all);
    target = malloc(all);
    test_pattern(source, all, 3);
    GIVES(CUDA_SUCCESS, cuMemcpyHtoD_v2(start, source, all));
    GIVES(CUDA_SUCCESS, cuMemcpyDtoH_v2(target, start, all));
    ok(memcmp(source, target, all) == 0, "one copy goes over all pieces");
    NEED(cuMemAlloc_v2(&other, all));
    GIVES(CUDA_SUCCESS, cuMemcpyDtoD_v2(other, start, all));
    GIVES(CUDA_SUCCESS, cuMemsetD8_v2(start + grain / 2, 0x11, 2 * grain));
    ok(is_filled(start + grain / 2, 2 * grain, 0x11), "and one fill over some");
    GIVES(CUDA_SUCCESS, cuMemcpyDtoH_v2(target, other, all));
    ok(memcmp(source, target, all) == 0, "what was copied elsewhere stays");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD_v2(start + grain, source, all));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemUnmap(start, grain / 2));
    GIVES(CUDA_SUCCESS, cuMemUnmap(start + 3 * grain, grain));
    GIVES(CUDA_SUCCESS, cuMemRelease(handles[3]));
    GIVES(CUDA_SUCCESS, cuMemUnmap(start, 3 * grain));
    for (unsigned i = 0; i < 3; i++)
        NEED(cuMemRelease(handles[i]));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemRelease(handles[0]));
    GIVES(CUDA_SUCCESS, cuMemAddressFree(start, 64 * grain));
    NEED(cuMemFree_v2(other));
    free(source);
    free(target);
}

static bool
are_all(const uint32_t *words, uint32_t wanted)
{
    bool right = true;

    for (unsigned i = 0; i < WORDS; i++)
        right &= words[i] == wanted;
    return right;
}

/* The same memory at two addresses, which lasts until its last mapping goes. */
static void
twice(void)
{
    CUmemGenericAllocationHandle handle = memory_of(grain), again = 0;
    CUmemAllocationProp found = {0};
    CUdeviceptr first, second, base;
    unsigned long long flags = 0;
    unsigned count = WORDS, value = 3;
    void *parameters[] = {&first, &count, &value};
    uint32_t words[WORDS];
    size_t bytes;

    NEED(cuMemAddressReserve(&first, grain, 0, 0, 0));
    NEED(cuMemAddressReserve(&second, grain, 0, 0, 0));
    GIVES(CUDA_SUCCESS, cuMemMap(first, grain, 0, handle, 0));
    GIVES(CUDA_SUCCESS, cuMemMap(second, grain, 0, handle, 0));
    GIVES(CUDA_SUCCESS, cuMemSetAccess(first, grain, &grant, 1));
    GIVES(CUDA_SUCCESS, cuMemSetAccess(second, grain, &grant, 1));
    GIVES(CUDA_SUCCESS, cuMemGetAccess(&flags, &grant.location, first));
    ok(flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE, "access is as it was set");
    GIVES(CUDA_SUCCESS, cuMemRelease(handle));
    NEED(cuMemsetD32_v2(first, 4, count));
    GIVES(CUDA_SUCCESS, test_launch(test_kernel("add"), 4, 256, NULL, parameters));
    GIVES(CUDA_SUCCESS, cuCtxSynchronize());
    GIVES(CUDA_SUCCESS, cuMemUnmap(first, grain));
    GIVES(CUDA_SUCCESS, cuMemcpyDtoH_v2(words, second, sizeof(words)));
    ok(are_all(words, 7), "a kernel's results are seen through the other mapping");
    GIVES(CUDA_SUCCESS, cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)(second + 100)));
    GIVES(CUDA_SUCCESS, cuMemGetAllocationPropertiesFromHandle(&found, again));
    ok(found.type == properties.type && found.location.id == 0, "a handle says what the memory is like");
    GIVES(CUDA_SUCCESS, cuMemGetAddressRange_v2(&base, &bytes, second + 5));
    ok(base == second, "the range of an address begins with its mapping");
    GIVES(CUDA_SUCCESS, cuMemUnmap(second, grain));
    GIVES(CUDA_SUCCESS, cuMemMap(first, grain, 0, again, 0));
    GIVES(CUDA_SUCCESS, cuMemSetAccess(first, grain, &grant, 1));
    memset(words, 0, sizeof(words));
    GIVES(CUDA_SUCCESS, cuMemcpyDtoH_v2(words, first, sizeof(words)));
    ok(are_all(words, 7), "memory stays while it has a handle");
    GIVES(CUDA_SUCCESS, cuMemUnmap(first, grain));
    GIVES(CUDA_SUCCESS, cuMemRelease(again));
    GIVES(CUDA_SUCCESS, cuMemAddressFree(first, grain));
    GIVES(CUDA_SUCCESS, cuMemAddressFree(second, grain));
}

static void
refused(void)
{
    CUmemGenericAllocationHandle handle = memory_of(grain);
    CUdeviceptr start, wanted, fixed;
    int file;

    NEED(cuMemAddressReserve(&start, 2 * grain, 0, 0, 0));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemMap(start + 5, grain, 0, handle, 0));
    GIVES(CUDA_ERROR_NOT_SUPPORTED, cuMemMap(start, 2 * grain, 0, handle, 0));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemMap(start, grain, 0, handle, 1));
    GIVES(CUDA_SUCCESS, cuMemUnmap(start, grain)); /* nothing is mapped there */
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemSetAccess(start, grain, &grant, 1));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemCreate(&handle, grain, &properties, 1));
    GIVES(CUDA_ERROR_OUT_OF_MEMORY, cuMemCreate(&handle, (size_t)1 << 46, &properties, 0));
    ok(cuMemExportToShareableHandle(&file, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0) != CUDA_SUCCESS,
       "memory that was not made for it cannot be exported");
    GIVES(CUDA_SUCCESS, cuMemAddressFree(start, 2 * grain));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemAddressFree(start, 2 * grain));
    wanted = start;
    GIVES(CUDA_SUCCESS, cuMemAddressReserve(&fixed, 2 * grain, 0, wanted, 0));
    ok(fixed == wanted, "a free address can be wished for");
    NEED(cuMemAddressFree(fixed, 2 * grain));
    GIVES(CUDA_SUCCESS, cuMemRelease(handle));
}

int
main(void)
{
    CUcontext context = test_begin();
    int supported = 0;

    NEED(cuDeviceGetAttribute(&supported, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 0));
    ok(supported == 1, "the device has it");
    properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    grant.location = properties.location;
    grant.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    GIVES(CUDA_SUCCESS, cuMemGetAllocationGranularity(&grain, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    ok(grain > 0 && (grain & (grain - 1)) == 0, "mappings have a granularity");
    growing();
    twice();
    refused();
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
