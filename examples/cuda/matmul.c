/* SPDX-License-Identifier: MIT */
/*
 * Multiplies two matrices on the GPU, in tiles held in shared memory, and compares with the processor. Uses a
 * stream, events for the time, and pinned memory for the result. It knows nothing of gpuvchan.
 *
 *      matmul [SIZE]           a multiple of 16
 */
#include "program.h"

#define TILE 16u

static CUdeviceptr
to_device(const float *values, size_t bytes)
{
    CUdeviceptr device;

    CHECK(cuMemAlloc(&device, bytes));
    CHECK(cuMemcpyHtoD(device, values, bytes));
    return device;
}

/* On the GPU; returns milliseconds. */
static float
multiply(CUfunction kernel, CUdeviceptr a, CUdeviceptr b, float *product, unsigned size)
{
    size_t bytes = (size_t)size * size * sizeof(float);
    CUevent begin, end;
    CUdeviceptr device;
    CUstream stream;
    float milliseconds;

    CHECK(cuMemAlloc(&device, bytes));
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CHECK(cuEventCreate(&begin, CU_EVENT_DEFAULT));
    CHECK(cuEventCreate(&end, CU_EVENT_DEFAULT));

    void *parameters[] = {&a, &b, &device, &size};

    CHECK(cuEventRecord(begin, stream));
    CHECK(cuLaunchKernel(kernel, size / TILE, size / TILE, 1, TILE, TILE, 1, 0, stream, parameters, NULL));
    CHECK(cuEventRecord(end, stream));
    CHECK(cuMemcpyDtoHAsync(product, device, bytes, stream));
    CHECK(cuStreamSynchronize(stream));
    CHECK(cuEventElapsedTime(&milliseconds, begin, end));

    CHECK(cuEventDestroy(begin));
    CHECK(cuEventDestroy(end));
    CHECK(cuStreamDestroy(stream));
    CHECK(cuMemFree(device));
    return milliseconds;
}

static int
compare(const float *a, const float *b, const float *product, unsigned size)
{
    for (unsigned row = 0; row < size; row++)
        for (unsigned column = 0; column < size; column++) {
            float sum = 0;

            for (unsigned k = 0; k < size; k++)
                sum += a[row * size + k] * b[k * size + column];
            if (product[row * size + column] != sum) {
                printf("FAIL: element %u, %u is %g, not %g\n", row, column, product[row * size + column], sum);
                return 1;
            }
        }
    return 0;
}

int
main(int argc, char **argv)
{
    unsigned size = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) / TILE * TILE : 96;
    size_t count = (size_t)size * size, bytes = count * sizeof(float);
    float *a = program_floats(count), *b = program_floats(count), *product, milliseconds;
    CUdevice device = program_begin();
    CUmodule module = program_load(argv[0], "matmul.ptx");
    CUdeviceptr device_a, device_b;
    CUfunction kernel;
    int failed;

    if (size == 0) {
        fputs("matmul: SIZE is a multiple of 16\n", stderr);
        return 2;
    }
    CHECK(cuModuleGetFunction(&kernel, module, "matmul"));
    CHECK(cuMemAllocHost((void **)&product, bytes));
    program_fill(a, count, 3);
    program_fill(b, count, 11);
    device_a = to_device(a, bytes);
    device_b = to_device(b, bytes);
    milliseconds = multiply(kernel, device_a, device_b, product, size);
    failed = compare(a, b, product, size);
    if (!failed)
        printf("%u x %u multiplied in %.3f ms\nPASS\n", size, size, milliseconds);

    CHECK(cuMemFreeHost(product));
    CHECK(cuMemFree(device_a));
    CHECK(cuMemFree(device_b));
    CHECK(cuModuleUnload(module));
    CHECK(cuDevicePrimaryCtxRelease(device));
    free(a);
    free(b);
    return failed;
}
