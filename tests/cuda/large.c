/* SPDX-License-Identifier: MIT */
/*
 * Loads a large image, as a library or with "module" as a module, and runs its kernel. large MEBIBYTES SEED [module]:
 * images of one size and seed are the same. Says how long the load took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuda_api.h"

static const char ptx[] = ".version 6.0\n"
                          ".target sm_52\n"
                          ".address_size 64\n"
                          ".visible .entry put(.param .u64 to, .param .u32 what)\n"
                          "{\n"
                          "    .reg .u64 %rd<2>;\n"
                          "    .reg .u32 %r<2>;\n"
                          "    ld.param.u64 %rd1, [to];\n"
                          "    ld.param.u32 %r1, [what];\n"
                          "    st.global.u32 [%rd1], %r1;\n"
                          "    ret;\n"
                          "}\n//";

static void
check(CUresult result, const char *what)
{
    if (result == CUDA_SUCCESS)
        return;
    printf("%s: %d\n", what, result);
    exit(1);
}
#define CHECK(call) check(call, #call)

static double
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static char *
make_image(size_t bytes, unsigned seed)
{
    char *image = malloc(bytes);

    if (!image)
        exit(1);
    memcpy(image, ptx, sizeof(ptx) - 1);
    for (size_t i = sizeof(ptx) - 1; i < bytes - 1; i++)
        image[i] = (char)('a' + (seed = seed * 1103515245u + 12345u) % 26u);
    image[bytes - 1] = '\0';
    return image;
}

int
main(int argc, char **argv)
{
    size_t bytes = argc > 2 ? (size_t)atoi(argv[1]) << 20 : 0;
    unsigned what = 42, have = 0;
    CUdeviceptr memory;
    void *parameters[] = {&memory, &what};
    CUfunction function;
    CUcontext context;
    CUlibrary library;
    CUkernel kernel;
    CUmodule module;
    CUdevice device;
    char *image;
    double begin;

    if (bytes == 0)
        return 2;
    image = make_image(bytes, (unsigned)atoi(argv[2]));
    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuDevicePrimaryCtxRetain(&context, device));
    CHECK(cuCtxSetCurrent(context));
    CHECK(cuMemAlloc_v2(&memory, 4));
    begin = now_ms();
    if (argc > 3) {
        CHECK(cuModuleLoadData(&module, image));
        CHECK(cuModuleGetFunction(&function, module, "put"));
    } else {
        CHECK(cuLibraryLoadData(&library, image, NULL, NULL, 0, NULL, NULL, 0));
        CHECK(cuLibraryGetKernel(&kernel, library, "put"));
        function = (CUfunction)kernel;
    }
    printf("time: load %.1f ms\n", now_ms() - begin);
    CHECK(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, parameters, NULL));
    CHECK(cuMemcpyDtoH_v2(&have, memory, 4));
    free(image);
    puts(have == what ? "right" : "wrong");
    return have != what;
}
