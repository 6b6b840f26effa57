/* SPDX-License-Identifier: MIT */
/* Launches of the first generation, which the simulated driver has not. */
#include <dlfcn.h>

#include "test.h"

static __typeof__(cuFuncSetBlockShape) *set_block_shape;
static __typeof__(cuFuncSetSharedSize) *set_shared_size;
static __typeof__(cuParamSetSize) *set_size;
static __typeof__(cuParamSeti) *set_i;
static __typeof__(cuParamSetv) *set_v;
static __typeof__(cuLaunch) *launch;
static __typeof__(cuLaunchGrid) *launch_grid;
static __typeof__(cuLaunchGridAsync) *launch_grid_async;

static void
find(const char *name, void *function)
{
    void *address = dlsym(RTLD_DEFAULT, name);

    ok(address != NULL, "there is %s", name);
    if (!address)
        exit(1);
    memcpy(function, &address, sizeof(address));
}

static unsigned
first_word(CUdeviceptr data)
{
    unsigned value = 0;

    NEED(cuMemcpyDtoH_v2(&value, data, 4));
    return value;
}

int
main(void)
{
    CUcontext context = test_begin();
    CUfunction add = test_kernel("add");
    CUstream stream;
    CUdeviceptr data;

    find("cuFuncSetBlockShape", &set_block_shape);
    find("cuFuncSetSharedSize", &set_shared_size);
    find("cuParamSetSize", &set_size);
    find("cuParamSeti", &set_i);
    find("cuParamSetv", &set_v);
    find("cuLaunch", &launch);
    find("cuLaunchGrid", &launch_grid);
    find("cuLaunchGridAsync", &launch_grid_async);
    NEED(cuMemAlloc_v2(&data, 64 * 4));
    NEED(cuMemsetD32_v2(data, 0, 64));
    NEED(cuStreamCreate(&stream, 0));
    GIVES(CUDA_ERROR_INVALID_VALUE, launch(add));
    GIVES(CUDA_SUCCESS, set_block_shape(add, 32, 1, 1));
    GIVES(CUDA_SUCCESS, set_shared_size(add, 0));
    GIVES(CUDA_SUCCESS, set_v(add, 0, &data, sizeof(data)));
    GIVES(CUDA_SUCCESS, set_i(add, 8, 64));
    GIVES(CUDA_SUCCESS, set_i(add, 12, 5));
    GIVES(CUDA_SUCCESS, set_size(add, 16));
    GIVES(CUDA_SUCCESS, launch(add));
    ok(first_word(data) == 5 && first_word(data + 32 * 4) == 0, "one block runs");
    GIVES(CUDA_SUCCESS, launch_grid(add, 2, 1));
    ok(first_word(data) == 10 && first_word(data + 32 * 4) == 5, "or two");
    GIVES(CUDA_SUCCESS, set_i(add, 12, 1));
    GIVES(CUDA_SUCCESS, launch_grid_async(add, 2, 1, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    ok(first_word(data) == 11 && first_word(data + 32 * 4) == 6, "with a parameter changed, in a stream");
    GIVES(CUDA_ERROR_INVALID_VALUE, set_block_shape(add, 0, 1, 1));
    GIVES(CUDA_ERROR_INVALID_VALUE, set_v(add, -1, &data, sizeof(data)));
    GIVES(CUDA_ERROR_INVALID_VALUE, set_v(add, 4092, &data, sizeof(data)));
    GIVES(CUDA_ERROR_INVALID_HANDLE, set_i((CUfunction)context, 0, 0));
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
