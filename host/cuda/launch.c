/* SPDX-License-Identifier: MIT */
/*
 * Launches. The parameters lie in the record as the kernel's layout has them, and the record is a private copy: the
 * driver reads them from there and has them when it returns.
 */
#include "cuda_plugin.h"

#define PARAMETERS_INLINE 1024u

struct shape {
    uint32_t grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes;
};

static int
launch_plain(const struct cuda_driver *native, const struct cuda_function *kernel, CUstream stream,
             const struct shape *shape, const void *parameters, size_t bytes)
{
    void *extra[] = {
        CU_LAUNCH_PARAM_BUFFER_POINTER,
        (void *)(uintptr_t)parameters,
        CU_LAUNCH_PARAM_BUFFER_SIZE,
        &bytes,
        CU_LAUNCH_PARAM_END,
    };

    return native->cuLaunchKernel(kernel->native, shape->grid_x, shape->grid_y, shape->grid_z, shape->block_x,
                                  shape->block_y, shape->block_z, shape->shared_bytes, stream, NULL,
                                  bytes ? extra : NULL);
}

/* This function of the driver takes a pointer per parameter only. */
static int
launch_cooperative(const struct cuda_driver *native, const struct cuda_function *kernel, CUstream stream,
                   const struct shape *shape, const void *parameters)
{
    void *pointers[PARAMETERS_INLINE];

    if (!native->cuLaunchCooperativeKernel)
        return cuda_driver_lacks(native, "cuLaunchCooperativeKernel");
    if (kernel->parameter_count > PARAMETERS_INLINE)
        return CUDA_ERROR_NOT_SUPPORTED;
    for (uint32_t i = 0; i < kernel->parameter_count; i++)
        pointers[i] = (unsigned char *)(uintptr_t)parameters + kernel->parameter_offsets[i];
    return native->cuLaunchCooperativeKernel(kernel->native, shape->grid_x, shape->grid_y, shape->grid_z,
                                             shape->block_x, shape->block_y, shape->block_z, shape->shared_bytes,
                                             stream, pointers);
}

int
cuda_host_launch_kernel(struct gpuvchan_request *request, struct cuda_function *kernel, struct cuda_stream *on,
                        uint32_t grid_x, uint32_t grid_y, uint32_t grid_z, uint32_t block_x, uint32_t block_y,
                        uint32_t block_z, uint32_t shared_bytes, bool cooperative, const void *parameters,
                        size_t parameters_bytes)
{
    const struct cuda_driver *native = cuda_native(request);
    struct shape shape = {grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes};
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &kernel->object, on ? &on->object : NULL);

    if (result != 0)
        return result;
    /* Fewer, and the driver would read what lies behind them in this process. */
    if (!atomic_load_explicit(&kernel->known, memory_order_acquire) || parameters_bytes != kernel->parameter_bytes)
        result = CUDA_ERROR_INVALID_VALUE;
    else if (cooperative)
        result = launch_cooperative(native, kernel, cuda_stream_native(on), &shape, parameters);
    else
        result = launch_plain(native, kernel, cuda_stream_native(on), &shape, parameters, parameters_bytes);
    return cuda_leave(lane, result);
}
