/* SPDX-License-Identifier: MIT */
/*
 * The first program of every CUDA course, with the driver API: adds two vectors on the GPU and compares with the
 * processor. It knows nothing of gpuvchan.
 *
 *      vectoradd [COUNT]
 */
#include "program.h"

#define BLOCK 256u

static CUdeviceptr
to_device(const float *values, size_t bytes)
{
    CUdeviceptr device;

    CHECK(cuMemAlloc(&device, bytes));
    CHECK(cuMemcpyHtoD(device, values, bytes));
    return device;
}

static int
compare(const float *a, const float *b, const float *sum, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (sum[i] != a[i] + b[i]) {
            printf("FAIL: element %u is %g, not %g\n", i, sum[i], a[i] + b[i]);
            return 1;
        }
    printf("%u elements added\nPASS\n", count);
    return 0;
}

int
main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 50000;
    size_t bytes = (count ? count : 1) * sizeof(float);
    float *a = program_floats(count + 1), *b = program_floats(count + 1), *sum = program_floats(count + 1);
    CUdevice device = program_begin();
    CUmodule module = program_load(argv[0], "vectoradd.ptx");
    CUdeviceptr device_a, device_b, device_sum;
    CUfunction add;
    int failed;

    CHECK(cuModuleGetFunction(&add, module, "vectoradd"));
    program_fill(a, count, 1);
    program_fill(b, count, 5);
    device_a = to_device(a, bytes);
    device_b = to_device(b, bytes);
    CHECK(cuMemAlloc(&device_sum, bytes));

    void *parameters[] = {&device_a, &device_b, &device_sum, &count};

    if (count != 0)
        CHECK(cuLaunchKernel(add, (count + BLOCK - 1) / BLOCK, 1, 1, BLOCK, 1, 1, 0, NULL, parameters, NULL));
    CHECK(cuMemcpyDtoH(sum, device_sum, bytes));
    failed = compare(a, b, sum, count);

    CHECK(cuMemFree(device_a));
    CHECK(cuMemFree(device_b));
    CHECK(cuMemFree(device_sum));
    CHECK(cuModuleUnload(module));
    CHECK(cuDevicePrimaryCtxRelease(device));
    free(a);
    free(b);
    free(sum);
    return failed;
}
