/* SPDX-License-Identifier: MIT */
/* Fills of all element sizes, in one piece and in rows. */
#include "test.h"

#define BYTES 100000u

static CUdeviceptr memory;
static unsigned char expected[BYTES], got[BYTES];

static void
begin(void)
{
    NEED(cuMemsetD8_v2(memory, 0x11, BYTES));
    memset(expected, 0x11, BYTES);
}

static void
fill(size_t offset, uint32_t value, size_t element, size_t pitch, size_t width, size_t height)
{
    for (size_t row = 0; row < height; row++)
        for (size_t i = 0; i < width; i++)
            memcpy(expected + offset + row * pitch + i * element, &value, element);
}

static void
compare(const char *name)
{
    NEED(cuMemcpyDtoH_v2(got, memory, BYTES));
    ok(memcmp(got, expected, BYTES) == 0, "%s", name);
}

static void
pieces(CUstream stream)
{
    begin();
    GIVES(CUDA_SUCCESS, cuMemsetD8_v2(memory + 3, 0xab, 1001));
    fill(3, 0xab, 1, 0, 1001, 1);
    compare("bytes");
    GIVES(CUDA_SUCCESS, cuMemsetD16_v2(memory + 2, 0xabcd, 333));
    fill(2, 0xabcd, 2, 0, 333, 1);
    compare("halves");
    GIVES(CUDA_SUCCESS, cuMemsetD32_v2(memory + 4, 0xabcdef01, 20000));
    fill(4, 0xabcdef01, 4, 0, 20000, 1);
    compare("words");
    GIVES(CUDA_SUCCESS, cuMemsetD8Async(memory, 1, 10, stream));
    GIVES(CUDA_SUCCESS, cuMemsetD16Async(memory + 10, 2, 10, stream));
    GIVES(CUDA_SUCCESS, cuMemsetD32Async(memory + 32, 3, 10, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    fill(0, 1, 1, 0, 10, 1);
    fill(10, 2, 2, 0, 10, 1);
    fill(32, 3, 4, 0, 10, 1);
    compare("on a stream");
}

static void
rows(CUstream stream)
{
    begin();
    GIVES(CUDA_SUCCESS, cuMemsetD2D8_v2(memory + 1, 100, 7, 33, 50));
    fill(1, 7, 1, 100, 33, 50);
    GIVES(CUDA_SUCCESS, cuMemsetD2D16_v2(memory + 6000, 200, 0x1234, 70, 20));
    fill(6000, 0x1234, 2, 200, 70, 20);
    GIVES(CUDA_SUCCESS, cuMemsetD2D32_v2(memory + 20000, 256, 0x12345678, 64, 30));
    fill(20000, 0x12345678, 4, 256, 64, 30);
    compare("rows");
    GIVES(CUDA_SUCCESS, cuMemsetD2D8Async(memory, 64, 9, 64, 10, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    fill(0, 9, 1, 64, 64, 10);
    compare("rows on a stream");
}

static void
refused(void)
{
    GIVES(CUDA_SUCCESS, cuMemsetD8_v2(memory, 1, 0));
    GIVES(CUDA_SUCCESS, cuMemsetD8_v2(0, 1, 0));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemsetD8_v2(0, 1, 4));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemsetD16_v2(memory + 1, 1, 1));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemsetD32_v2(memory + 2, 1, 1));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemsetD8_v2(memory, 1, BYTES + 1));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemsetD8_v2(0x1234, 1, 1));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemsetD2D8_v2(memory, 4, 1, 8, 2));
    GIVES(CUDA_SUCCESS, cuMemsetD2D8_v2(memory, 0, 1, 8, 1));
    GIVES(CUDA_SUCCESS, cuMemsetD2D8_v2(memory, 0, 1, 8, 0));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemsetD2D32_v2(memory, 16, 1, 4, BYTES));
}

int
main(void)
{
    CUcontext context = test_begin();
    CUstream stream;

    NEED(cuMemAlloc_v2(&memory, BYTES));
    NEED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    pieces(stream);
    rows(stream);
    refused();
    NEED(cuMemFree_v2(memory));
    NEED(cuStreamDestroy_v2(stream));
    NEED(cuCtxDestroy_v2(context));
    return test_end();
}
