/* SPDX-License-Identifier: MIT */
/*
 * Launches: the one path that must cost next to nothing.
 *
 * Design notes: all that the driver would refuse at once is refused here, from what is kept of the kernel and the
 * device. Then the parameters go from the application's memory straight into the record. No lock, no
 * allocation, no system call, and no waiting unless the ring is full.
 */
#include <errno.h>
#include <string.h>

#include "launch.h"

/* ---- What the driver refuses at once --------------------------------------------------------- */

static bool
grid_fits(const struct cuda_guest_launch *launch, const int *limits)
{
    return launch->grid[0] != 0 && launch->grid[1] != 0 && launch->grid[2] != 0 &&
           launch->grid[0] <= (uint32_t)limits[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X] &&
           launch->grid[1] <= (uint32_t)limits[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y] &&
           launch->grid[2] <= (uint32_t)limits[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z];
}

static bool
block_fits(const struct cuda_guest_launch *launch, const int *limits, const struct cuda_guest_function *function,
           int device)
{
    uint64_t most = (uint32_t)cuda_guest_function_attribute(function, device, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);

    return launch->block[0] != 0 && launch->block[1] != 0 && launch->block[2] != 0 &&
           launch->block[0] <= (uint32_t)limits[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X] &&
           launch->block[1] <= (uint32_t)limits[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y] &&
           launch->block[2] <= (uint32_t)limits[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z] &&
           (uint64_t)launch->block[0] * launch->block[1] * launch->block[2] <= most;
}

static bool
shared_fits(const struct cuda_guest_launch *launch, const struct cuda_guest_function *function, int device)
{
    return launch->shared_bytes <=
           (uint32_t)cuda_guest_function_attribute(function, device, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
}

static CUresult
launch_check(const struct cuda_guest_launch *launch, const struct cuda_guest_function *function, int device)
{
    const int *limits = cuda_guest.device[device].attributes;

    if (grid_fits(launch, limits) && block_fits(launch, limits, function, device) &&
        shared_fits(launch, function, device))
        return CUDA_SUCCESS;
    return CUDA_ERROR_INVALID_VALUE;
}

/* ---- Parameters ------------------------------------------------------------------------------ */

static inline void
copy_parameter(unsigned char *to, const void *from, uint32_t bytes)
{
    if (bytes == 8)
        memcpy(to, from, 8);
    else if (bytes == 4)
        memcpy(to, from, 4);
    else
        memcpy(to, from, bytes);
}

static void
copy_each(const struct cuda_guest_function *function, unsigned char *to, void *const *from)
{
    if (function->gaps)
        memset(to, 0, function->parameter_bytes);
    for (uint32_t i = 0; i < function->parameter_count; i++)
        copy_parameter(to + function->parameters[i].offset, from[i], function->parameters[i].bytes);
}

static CUresult
packed_read(void *const *extra, const struct cuda_guest_function *function, struct cuda_guest_packed *packed)
{
    for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            packed->data = extra[1];
        else if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE && extra[1])
            memcpy(&packed->bytes, extra[1], sizeof(packed->bytes));
        else
            return CUDA_ERROR_INVALID_VALUE;
    }
    if (packed->bytes > function->parameter_bytes)
        return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    if (function->parameter_bytes != 0 && (packed->bytes == 0 || !packed->data))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

static CUresult
parameters_check(const struct cuda_guest_function *function, void *const *parameters, void *const *extra,
                 struct cuda_guest_packed *packed)
{
    if (extra)
        return parameters ? CUDA_ERROR_INVALID_VALUE : packed_read(extra, function, packed);
    return parameters || function->parameter_count == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

void
cuda_guest_parameters_write(const struct cuda_guest_function *function, unsigned char *at, void *const *parameters,
                            const struct cuda_guest_packed *packed)
{
    uint32_t bytes = function->parameter_bytes;

    if (packed->data) {
        memcpy(at, packed->data, packed->bytes);
        memset(at + packed->bytes, 0, bytes - packed->bytes);
    } else if (bytes != 0) {
        copy_each(function, at, parameters);
    }
}

CUresult
cuda_guest_parameters_pack(const struct cuda_guest_function *function, void *const *parameters, void *const *extra,
                           unsigned char *to)
{
    struct cuda_guest_packed packed = {0};
    CUresult result = parameters_check(function, parameters, extra, &packed);

    if (result == CUDA_SUCCESS)
        cuda_guest_parameters_write(function, to, parameters, &packed);
    return result;
}

/* ---- The record ------------------------------------------------------------------------------ */

/* Where the generated stub takes one packed piece, this fills the same record from @p parameters or @p packed. */
static int
launch_post(struct cuda_guest_thread *self, const struct cuda_guest_launch *launch,
            const struct cuda_guest_function *function, void *const *parameters, const struct cuda_guest_packed *packed)
{
    uint32_t bytes = function->parameter_bytes;
    size_t payload = sizeof(struct cuda_launch_kernel_request) + bytes;
    struct cuda_launch_kernel_request *wire = gpuvchan_reserve(self->lane, payload);
    unsigned char *at = (unsigned char *)(wire + 1);

    if (!wire)
        return gpuvchan_stub_error(cuda_guest.channel);
    *wire = (struct cuda_launch_kernel_request){
        .kernel = function->object.handle,
        .on = launch->stream,
        .grid_x = launch->grid[0],
        .grid_y = launch->grid[1],
        .grid_z = launch->grid[2],
        .block_x = launch->block[0],
        .block_y = launch->block[1],
        .block_z = launch->block[2],
        .shared_bytes = launch->shared_bytes,
        .cooperative = launch->cooperative,
        .parameters_bytes = bytes,
    };
    cuda_guest_parameters_write(function, at, parameters, packed);
    return gpuvchan_post(self->lane, cuda_guest.client.slot, CUDA_OPCODE_LAUNCH_KERNEL, payload);
}

CUresult
cuda_guest_launch_begin(struct cuda_guest_thread **self, CUfunction handle, struct cuda_guest_launch *launch,
                        CUstream stream, void *const *parameters, void *const *extra, struct cuda_guest_function **out,
                        struct cuda_guest_packed *packed)
{
    struct cuda_guest_context *context;
    struct cuda_guest_function *function;
    CUresult result = cuda_guest_enter(self);

    if (result != CUDA_SUCCESS)
        return result;
    function = cuda_guest_find(handle, CUDA_HANDLE_FUNCTION);
    if (!function)
        return CUDA_ERROR_INVALID_HANDLE;
    result = cuda_guest_stream_wire(*self, stream, &launch->stream, &context);
    if (result != CUDA_SUCCESS)
        return result;
    if (context != function->object.context && function->object.context)
        return CUDA_ERROR_INVALID_HANDLE;
    result = cuda_guest_function_learn(*self, function, context->device);
    if (result == CUDA_SUCCESS)
        result = launch_check(launch, function, context->device);
    if (result == CUDA_SUCCESS)
        result = parameters_check(function, parameters, extra, packed);
    *out = function;
    return result;
}

static CUresult
launch_kernel(CUfunction handle, struct cuda_guest_launch *launch, CUstream stream, void **parameters, void **extra)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *function;
    struct cuda_guest_packed packed = {0};
    CUresult result = cuda_guest_launch_begin(&self, handle, launch, stream, parameters, extra, &function, &packed);

    if (result != CUDA_SUCCESS)
        return result;
    result = cuda_guest_result(launch_post(self, launch, function, parameters, &packed));
    /* How many blocks fit at once only the driver knows, and it says so at once. */
    if (launch->cooperative && result == CUDA_SUCCESS)
        result = cuda_guest_settle(self);
    return result;
}

/* ---- Entry points ---------------------------------------------------------------------------- */

ENTRY
cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z, unsigned int block_x,
               unsigned int block_y, unsigned int block_z, unsigned int shared_bytes, CUstream stream,
               void **parameters, void **extra)
{
    struct cuda_guest_launch launch = {
        .grid = {grid_x, grid_y, grid_z}, .block = {block_x, block_y, block_z}, .shared_bytes = shared_bytes};

    return launch_kernel(function, &launch, stream, parameters, extra);
}

ENTRY
cuLaunchKernel_ptsz(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                    unsigned int block_x, unsigned int block_y, unsigned int block_z, unsigned int shared_bytes,
                    CUstream stream, void **parameters, void **extra)
{
    return cuLaunchKernel(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes,
                          cuda_guest_per_thread(stream), parameters, extra);
}

ENTRY
cuLaunchCooperativeKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                          unsigned int block_x, unsigned int block_y, unsigned int block_z, unsigned int shared_bytes,
                          CUstream stream, void **parameters)
{
    struct cuda_guest_launch launch = {.grid = {grid_x, grid_y, grid_z},
                                       .block = {block_x, block_y, block_z},
                                       .shared_bytes = shared_bytes,
                                       .cooperative = true};

    return launch_kernel(function, &launch, stream, parameters, NULL);
}

ENTRY
cuLaunchCooperativeKernel_ptsz(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                               unsigned int block_x, unsigned int block_y, unsigned int block_z,
                               unsigned int shared_bytes, CUstream stream, void **parameters)
{
    return cuLaunchCooperativeKernel(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes,
                                     cuda_guest_per_thread(stream), parameters);
}
