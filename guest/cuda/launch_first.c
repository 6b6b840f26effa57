/* SPDX-License-Identifier: MIT */
/*
 * The first generation's launches: shape and parameters are set one by one, and stay for the launches to come. All
 * of that is kept here; a launch is a cuLaunchKernel().
 */
#include <stdlib.h>
#include <string.h>

#include "launch.h"

#define PARAMETERS_MAX 4096u

struct cuda_guest_first {
    int block[3];
    unsigned shared_bytes;
    unsigned parameter_bytes;
    unsigned char parameters[PARAMETERS_MAX];
};

/* What the function has set so far; these functions are not for several threads at once. */
static CUresult
first_enter(CUfunction handle, struct cuda_guest_first **first)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *function;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    function = cuda_guest_find(handle, CUDA_HANDLE_FUNCTION);
    if (!function)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!function->first)
        function->first = calloc(1, sizeof(*function->first));
    *first = function->first;
    return *first ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

ENTRY
cuFuncSetBlockShape(CUfunction function, int x, int y, int z)
{
    struct cuda_guest_first *first;
    CUresult result = first_enter(function, &first);

    if (result != CUDA_SUCCESS)
        return result;
    if (x <= 0 || y <= 0 || z <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    first->block[0] = x;
    first->block[1] = y;
    first->block[2] = z;
    return CUDA_SUCCESS;
}

ENTRY
cuFuncSetSharedSize(CUfunction function, unsigned int bytes)
{
    struct cuda_guest_first *first;
    CUresult result = first_enter(function, &first);

    if (result == CUDA_SUCCESS)
        first->shared_bytes = bytes;
    return result;
}

ENTRY
cuParamSetSize(CUfunction function, unsigned int bytes)
{
    struct cuda_guest_first *first;
    CUresult result = first_enter(function, &first);

    if (result != CUDA_SUCCESS)
        return result;
    if (bytes > PARAMETERS_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    first->parameter_bytes = bytes;
    return CUDA_SUCCESS;
}

ENTRY
cuParamSetv(CUfunction function, int offset, void *from, unsigned int bytes)
{
    struct cuda_guest_first *first;
    CUresult result = first_enter(function, &first);

    if (result != CUDA_SUCCESS)
        return result;
    if (!from || offset < 0 || (unsigned)offset > PARAMETERS_MAX || bytes > PARAMETERS_MAX - (unsigned)offset)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(first->parameters + offset, from, bytes);
    return CUDA_SUCCESS;
}

ENTRY
cuParamSeti(CUfunction function, int offset, unsigned int value)
{
    return cuParamSetv(function, offset, &value, sizeof(value));
}

ENTRY
cuParamSetf(CUfunction function, int offset, float value)
{
    return cuParamSetv(function, offset, &value, sizeof(value));
}

ENTRY
cuLaunchGridAsync(CUfunction function, int width, int height, CUstream stream)
{
    struct cuda_guest_first *first;
    CUresult result = first_enter(function, &first);
    size_t bytes;

    if (result != CUDA_SUCCESS)
        return result;
    if (width <= 0 || height <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    bytes = first->parameter_bytes;
    return cuLaunchKernel(function, (unsigned)width, (unsigned)height, 1, (unsigned)first->block[0],
                          (unsigned)first->block[1], (unsigned)first->block[2], first->shared_bytes, stream, NULL,
                          (void *[]){CU_LAUNCH_PARAM_BUFFER_POINTER, first->parameters, CU_LAUNCH_PARAM_BUFFER_SIZE,
                                     &bytes, CU_LAUNCH_PARAM_END});
}

ENTRY
cuLaunchGrid(CUfunction function, int width, int height)
{
    return cuLaunchGridAsync(function, width, height, NULL);
}

ENTRY
cuLaunch(CUfunction function)
{
    return cuLaunchGridAsync(function, 1, 1, NULL);
}
