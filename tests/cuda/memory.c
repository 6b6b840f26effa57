/* SPDX-License-Identifier: MIT */
/* Device memory and copies in every direction, of sizes around every boundary, at odd places. */
#include "test.h"

#define MOST (9u << 20)
#define ODD 13u

static const size_t sizes[] = {
    1,     2,     3,     15,    16,      17,       4095,    4096,           4097,           16383,
    16384, 16385, 65536, 65537, 1000003, 1u << 20, 1048577, (2u << 20) + 5, (8u << 20) + 1, MOST - ODD};

static unsigned char *from, *to;
static CUdeviceptr first, second;
static unsigned char *pinned;

/* Both ways through the device, from @p source to @p target, at the offset ODD on the device. */
static bool
round_trip(unsigned char *target, const unsigned char *source, size_t bytes, CUstream stream, bool wait)
{
    memset(target, 0xee, bytes + 1 < MOST ? bytes + 1 : bytes);
    if (wait) {
        NEED(cuMemcpyHtoD_v2(first + ODD, source, bytes));
        NEED(cuMemcpyDtoD_v2(second, first + ODD, bytes));
        NEED(cuMemcpyDtoH_v2(target, second, bytes));
    } else {
        NEED(cuMemcpyHtoDAsync_v2(first + ODD, source, bytes, stream));
        NEED(cuMemcpyDtoDAsync_v2(second, first + ODD, bytes, stream));
        NEED(cuMemcpyDtoHAsync_v2(target, second, bytes, stream));
        NEED(cuStreamSynchronize(stream));
    }
    return memcmp(target, source, bytes) == 0 && (bytes + 1 >= MOST || target[bytes] == 0xee);
}

static void
directions(void)
{
    CUstream stream;

    NEED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t bytes = sizes[i];

        test_pattern(from, bytes, (unsigned)i);
        test_pattern(pinned, bytes, (unsigned)i + 100);
        ok(round_trip(to, from, bytes, NULL, true), "pageable, %zu bytes", bytes);
        ok(round_trip(to, from, bytes, stream, false), "pageable on a stream, %zu bytes", bytes);
        ok(round_trip(to, pinned, bytes, NULL, true), "from pinned, %zu bytes", bytes);
        ok(round_trip(pinned, from, bytes, NULL, true), "to pinned, %zu bytes", bytes);
        ok(round_trip(pinned, from, bytes, stream, false), "to pinned on a stream, %zu bytes", bytes);
        ok(round_trip(pinned + MOST, pinned, bytes, stream, false), "pinned on a stream, %zu bytes", bytes);
    }
    NEED(cuStreamDestroy_v2(stream));
}

static CUdeviceptr
at(const void *pointer)
{
    return (CUdeviceptr)(uintptr_t)pointer;
}

static void
unified(void)
{
    const size_t bytes = 100001;

    test_pattern(from, bytes, 7);
    memset(to, 0, bytes);
    NEED(cuMemcpy(first, at(from), bytes));
    NEED(cuMemcpy(second, first, bytes));
    NEED(cuMemcpy(at(pinned), second, bytes));
    NEED(cuMemcpy(at(pinned + MOST), at(pinned), bytes));
    NEED(cuMemcpy(at(to), at(pinned + MOST), bytes));
    ok(memcmp(from, to, bytes) == 0, "cuMemcpy knows where addresses are");
    memset(to, 0, bytes);
    NEED(cuMemcpyAsync(second, at(from), bytes, NULL));
    NEED(cuMemcpyAsync(at(to), second, bytes, NULL));
    NEED(cuStreamSynchronize(NULL));
    ok(memcmp(from, to, bytes) == 0, "and so does cuMemcpyAsync");
}

static void
knowledge(void)
{
    CUdeviceptr base = 0, pointer = 0;
    size_t bytes = 0, unused = 0, total = 0;
    unsigned type = 0, flags = 0;

    GIVES(CUDA_SUCCESS, cuMemGetAddressRange_v2(&base, &bytes, first + 100));
    ok(base == first && bytes == MOST, "the range of an address");
    GIVES(CUDA_ERROR_NOT_FOUND, cuMemGetAddressRange_v2(&base, &bytes, 0x1234));
    GIVES(CUDA_SUCCESS, cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, first));
    ok(type == CU_MEMORYTYPE_DEVICE, "device memory is known as such");
    GIVES(CUDA_SUCCESS, cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, at(pinned)));
    ok(type == CU_MEMORYTYPE_HOST, "and pinned memory");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, at(from)));
    GIVES(CUDA_SUCCESS, cuMemHostGetDevicePointer_v2(&pointer, pinned, 0));
    ok(pointer == at(pinned), "pinned memory has one address for both");
    GIVES(CUDA_SUCCESS, cuMemHostGetFlags(&flags, pinned));
    ok(flags & CU_MEMHOSTALLOC_DEVICEMAP, "the device sees it");
    GIVES(CUDA_SUCCESS, cuMemGetInfo_v2(&unused, &total));
    ok(unused > 0 && unused < total, "some memory is left");
}

static void
refused(void)
{
    CUdeviceptr memory;
    void *host;

    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemAlloc_v2(&memory, 0));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemAlloc_v2(NULL, 4));
    GIVES(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc_v2(&memory, (size_t)1 << 50));
    GIVES(CUDA_SUCCESS, cuMemFree_v2(0));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemFree_v2(first + 4));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemFree_v2(0x1234));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemFree_v2(at(pinned)));
    GIVES(CUDA_SUCCESS, cuMemAlloc_v2(&memory, 1000));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD_v2(memory, from, 1001));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH_v2(to, memory, 1001));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD_v2(memory, NULL, 4));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD_v2(0x1234, from, 4));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD_v2(0, from, 4));
    GIVES(CUDA_SUCCESS, cuMemcpyHtoD_v2(memory, from, 0));
    GIVES(CUDA_SUCCESS, cuMemFree_v2(memory));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemFree_v2(memory));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD_v2(memory, from, 4));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemHostAlloc(&host, 64, 64));
    GIVES(CUDA_SUCCESS, cuMemFreeHost(NULL));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(from));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(pinned + 8));
}

/* Kernels reach pinned memory by its address. */
static void
mapped(void)
{
    unsigned count = 500, value = 9;
    CUdeviceptr device = at(pinned);
    uint32_t *words = (uint32_t *)(void *)pinned;
    void *parameters[] = {&device, &count, &value};
    bool right = true;

    for (unsigned i = 0; i < count; i++)
        words[i] = i;
    GIVES(CUDA_SUCCESS, test_launch(test_kernel("add"), 2, 256, NULL, parameters));
    GIVES(CUDA_SUCCESS, cuCtxSynchronize());
    for (unsigned i = 0; i < count; i++)
        right &= words[i] == i + 9;
    ok(right, "a kernel has written pinned memory");
    NEED(cuMemsetD8_v2(device, 0x5a, 1000));
    ok(pinned[0] == 0x5a && pinned[999] == 0x5a, "a fill of pinned memory is there when it returns");
}

int
main(void)
{
    CUcontext context = test_begin();

    from = malloc(MOST);
    to = malloc(MOST);
    NEED(cuMemAlloc_v2(&first, MOST));
    NEED(cuMemAlloc_v2(&second, MOST));
    NEED(cuMemHostAlloc((void **)&pinned, 2 * (size_t)MOST, 0));
    directions();
    unified();
    knowledge();
    refused();
    mapped();
    GIVES(CUDA_SUCCESS, cuMemFreeHost(pinned));
    GIVES(CUDA_SUCCESS, cuMemFree_v2(first));
    GIVES(CUDA_SUCCESS, cuMemFree_v2(second));
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    free(from);
    free(to);
    return test_end();
}
