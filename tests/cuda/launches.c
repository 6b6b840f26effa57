/* SPDX-License-Identifier: MIT */
/* Launches: parameters of all shapes, both ways to pass them, and what is refused at once. */
#include "test.h"

struct many { /* as the kernel's parameters lie */
    uint8_t a;
    uint64_t b;
    uint16_t c;
    uint32_t d;
    float e;
    double f;
    uint32_t g[3];
    CUdeviceptr out;
};

static bool
arrived(CUdeviceptr out)
{
    static const uint64_t wanted[] = {200, 0x123456789abcdef0, 60000, 4000000000, 7, 9, 11, 13};
    uint64_t got[8];

    NEED(cuMemcpyDtoH_v2(got, out, sizeof(got)));
    NEED(cuMemsetD8_v2(out, 0, sizeof(got)));
    return memcmp(got, wanted, sizeof(got)) == 0;
}

static void
parameters(CUdeviceptr out)
{
    struct many many = {
        .a = 200, .b = 0x123456789abcdef0, .c = 60000, .d = 4000000000, .e = 7, .f = 9, .g = {11, 12, 13}, .out = out};
    size_t bytes = sizeof(many), more = sizeof(many) + 8, none = 0;
    void *pointers[] = {&many.a, &many.b, &many.c, &many.d, &many.e, &many.f, many.g, &many.out};
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &many, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, CU_LAUNCH_PARAM_END};
    CUfunction kernel = test_kernel("many");

    GIVES(CUDA_SUCCESS, cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, NULL, pointers, NULL));
    ok(arrived(out), "parameters arrive by pointers");
    GIVES(CUDA_SUCCESS, cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
    ok(arrived(out), "and in one piece");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, NULL, pointers, extra));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    extra[3] = &none;
    GIVES(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
    (void)more;
}

static void
shapes(CUdeviceptr data)
{
    CUfunction add = test_kernel("add"), narrow = test_kernel("narrow");
    unsigned count = 1000, value = 5;
    uint32_t got[1000];
    void *pointers[] = {&data, &count, &value};
    bool right = true;

    NEED(cuMemsetD32_v2(data, 100, count));
    GIVES(CUDA_SUCCESS, test_launch(add, 4, 256, NULL, pointers));
    NEED(cuMemcpyDtoH_v2(got, data, sizeof(got)));
    for (unsigned i = 0; i < count; i++)
        right &= got[i] == 105;
    ok(right, "each of 1000 elements was added to once");

    GIVES(CUDA_ERROR_INVALID_HANDLE, test_launch(NULL, 1, 1, NULL, pointers));
    GIVES(CUDA_ERROR_INVALID_VALUE, test_launch(add, 0, 1, NULL, pointers));
    GIVES(CUDA_ERROR_INVALID_VALUE, test_launch(add, 1, 0, NULL, pointers));
    GIVES(CUDA_ERROR_INVALID_VALUE, test_launch(add, 1, 2048, NULL, pointers));
    GIVES(CUDA_ERROR_INVALID_VALUE, test_launch(narrow, 1, 65, NULL, pointers));
    GIVES(CUDA_SUCCESS, test_launch(narrow, 1, 64, NULL, pointers));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(add, 1, 1, 1, 32, 33, 1, 0, NULL, pointers, NULL));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(add, 1, 1, 1, 1, 1, 65, 0, NULL, pointers, NULL));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(add, 1, 70000, 1, 1, 1, 1, 0, NULL, pointers, NULL));
    GIVES(CUDA_SUCCESS, cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 49152, NULL, pointers, NULL));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 49153, NULL, pointers, NULL));
    GIVES(CUDA_SUCCESS, cuCtxSynchronize());
}

/* More than the ring holds. */
static void
flood(CUdeviceptr data)
{
    CUfunction add = test_kernel("add");
    unsigned count = 1, value = 1, rounds = test_rounds(20000);
    void *pointers[] = {&data, &count, &value};
    uint32_t got = 0;
    bool good = true;

    NEED(cuMemsetD32_v2(data, 0, 1));
    for (unsigned i = 0; i < rounds; i++)
        good &= test_launch(add, 1, 1, NULL, pointers) == CUDA_SUCCESS;
    NEED(cuMemcpyDtoH_v2(&got, data, sizeof(got)));
    ok(good && got == rounds, "a flood of launches: each was executed");
}

int
main(void)
{
    CUcontext context = test_begin();
    CUdeviceptr data;

    NEED(cuMemAlloc_v2(&data, 4096));
    parameters(data);
    shapes(data);
    flood(data);
    GIVES(CUDA_SUCCESS, cuMemFree_v2(data));
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
