/* SPDX-License-Identifier: MIT */
/*
 * Launches with attributes, and questions about them. An attribute is passed on if its kind is one whose value is
 * plain; the pointers in the others are put in here.
 */
#include "cuda_plugin.h"

#include <string.h>

struct attributes {
    CUlaunchAttribute list[CUDA_LAUNCH_KERNEL_EX_ATTRIBUTES_MAX];
    unsigned int count;
};

static int
attribute_take(struct cuda_lane *lane, CUlaunchAttribute *attribute, const struct cuda_event *programmatic,
               const struct cuda_event *completion)
{
    switch (attribute->id) {
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
        attribute->value.programmaticEvent.event = programmatic ? programmatic->native : NULL;
        return programmatic ? 0 : CUDA_ERROR_INVALID_VALUE;
    case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
        attribute->value.launchCompletionEvent.event = completion ? completion->native : NULL;
        return completion ? 0 : CUDA_ERROR_INVALID_VALUE;
    default:
        return cuda_attribute_fits(lane, (int)attribute->id, &attribute->value) ? 0 : CUDA_ERROR_INVALID_VALUE;
    }
}

static int
attributes_take(struct cuda_lane *lane, struct attributes *attributes, const CUlaunchAttribute *from, size_t count,
                const struct cuda_event *programmatic, const struct cuda_event *completion)
{
    int result = 0;

    memcpy(attributes->list, from, count * sizeof(*from));
    attributes->count = (unsigned int)count;
    for (size_t i = 0; i < count && result == 0; i++)
        result = attribute_take(lane, &attributes->list[i], programmatic, completion);
    return result;
}

/* Announces the two as well; between enter and leave. */
static bool
events_alive(struct cuda_lane *lane, struct cuda_event *programmatic, struct cuda_event *completion)
{
    return (!programmatic || cuda_lane_announce(lane, CUDA_SLOT_THIRD, &programmatic->object)) &&
           (!completion || cuda_lane_announce(lane, CUDA_SLOT_FOURTH, &completion->object));
}

static CUresult
launch(const struct cuda_driver *native, const CUlaunchConfig *config, const struct cuda_function *kernel,
       const void *parameters, size_t bytes)
{
    void *extra[] = {
        CU_LAUNCH_PARAM_BUFFER_POINTER,
        (void *)(uintptr_t)parameters,
        CU_LAUNCH_PARAM_BUFFER_SIZE,
        &bytes,
        CU_LAUNCH_PARAM_END,
    };

    return native->cuLaunchKernelEx(config, kernel->native, NULL, bytes ? extra : NULL);
}

int
cuda_host_launch_kernel_ex(struct gpuvchan_request *request, struct cuda_function *kernel, struct cuda_stream *on,
                           struct cuda_event *programmatic, struct cuda_event *completion, uint32_t grid_x,
                           uint32_t grid_y, uint32_t grid_z, uint32_t block_x, uint32_t block_y, uint32_t block_z,
                           uint32_t shared_bytes, const CUlaunchAttribute *attributes, size_t attributes_count,
                           const void *parameters, size_t parameters_bytes)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct attributes own;
    CUlaunchConfig config = {grid_x,   grid_y, grid_z, block_x, block_y, block_z, shared_bytes, cuda_stream_native(on),
                             own.list, 0};
    int result;

    if (!native->cuLaunchKernelEx)
        return cuda_driver_lacks(native, "cuLaunchKernelEx");
    result = cuda_enter(lane, &kernel->object, on ? &on->object : NULL);
    if (result != 0)
        return result;
    if (!events_alive(lane, programmatic, completion))
        return cuda_leave(lane, CUDA_ERROR_INVALID_HANDLE);
    result = attributes_take(lane, &own, attributes, attributes_count, programmatic, completion);
    config.numAttrs = own.count;
    /* Fewer, and the driver would read what lies behind them in this process. */
    if (!atomic_load_explicit(&kernel->known, memory_order_acquire) || parameters_bytes != kernel->parameter_bytes)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == 0)
        result = launch(native, &config, kernel, parameters, parameters_bytes);
    return cuda_leave(lane, result);
}

/* ---- Occupancy ------------------------------------------------------------------------------- */

int
cuda_host_occupancy_dynamic(struct gpuvchan_request *request, struct cuda_function *on, int32_t blocks,
                            int32_t block_size, uint64_t *dynamic_bytes)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    size_t bytes = 0;
    int result;

    if (!native->cuOccupancyAvailableDynamicSMemPerBlock)
        return cuda_driver_lacks(native, "cuOccupancyAvailableDynamicSMemPerBlock");
    result = cuda_enter(lane, &on->object, NULL);
    if (result != 0)
        return result;
    result = native->cuOccupancyAvailableDynamicSMemPerBlock(&bytes, on->native, blocks, block_size);
    *dynamic_bytes = bytes;
    return cuda_leave(lane, result);
}

int
cuda_host_occupancy_clusters(struct gpuvchan_request *request, struct cuda_function *on, struct cuda_stream *stream,
                             uint32_t grid_x, uint32_t grid_y, uint32_t grid_z, uint32_t block_x, uint32_t block_y,
                             uint32_t block_z, uint32_t shared_bytes, const CUlaunchAttribute *attributes,
                             size_t attributes_count, bool most, int32_t *value)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct attributes own;
    CUlaunchConfig config = {
        grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, cuda_stream_native(stream), own.list, 0};
    int result;

    if (!native->cuOccupancyMaxActiveClusters || !native->cuOccupancyMaxPotentialClusterSize)
        return cuda_driver_lacks(native, "cuOccupancyMaxActiveClusters");
    result = cuda_enter(lane, &on->object, stream ? &stream->object : NULL);
    if (result != 0)
        return result;
    result = attributes_take(lane, &own, attributes, attributes_count, NULL, NULL);
    config.numAttrs = own.count;
    if (result == 0)
        result = most ? native->cuOccupancyMaxPotentialClusterSize(value, on->native, &config)
                      : native->cuOccupancyMaxActiveClusters(value, on->native, &config);
    return cuda_leave(lane, result);
}
