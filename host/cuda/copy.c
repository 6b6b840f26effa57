/* SPDX-License-Identifier: MIT */
/*
 * Memsets and copies. Each address is looked up with all the bytes that are touched before the driver sees
 * it; places in the arena have been checked by generated code. No bytes is success, as the driver has it.
 */
#include <stdio.h>

#include "cuda_plugin.h"

/* ---- Memset ---------------------------------------------------------------------------------- */

/* Where this process's memory begins: a program that is loaded anywhere has none so low. */
static uint64_t
lowest_mapping(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    unsigned long lowest = 0;

    if (maps) {
        if (fscanf(maps, "%lx-", &lowest) != 1)
            lowest = 0;
        fclose(maps);
    }
    return lowest;
}

bool
cuda_made_up(CUdeviceptr address, uint64_t bytes)
{
    return address < CUDA_LOW_ADDRESSES && bytes <= CUDA_LOW_ADDRESSES - address && address + bytes <= lowest_mapping();
}

/* In a capture: see the guest's memset.c. What is run of it faults the guest's device. */
static bool
is_made_up(const struct cuda_driver *native, CUstream stream, CUdeviceptr to, uint64_t bytes)
{
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;

    return cuda_made_up(to, bytes) && native->cuStreamIsCapturing &&
           native->cuStreamIsCapturing(stream, &status) == CUDA_SUCCESS && status == CU_STREAM_CAPTURE_STATUS_ACTIVE;
}

/* Enters, and finds the range of @p count elements; NULL: they are made up. 1: nothing to do. */
static int
memset_enter(struct cuda_lane *lane, struct cuda_stream *on, CUdeviceptr to, uint64_t count, unsigned element,
             struct cuda_range **range)
{
    uint64_t bytes;
    int result = cuda_enter(lane, on ? &on->object : NULL, NULL);

    if (result != 0)
        return result;
    if (__builtin_mul_overflow(count, element, &bytes))
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    *range = cuda_lane_range(lane, 0, to, bytes);
    if (!*range && !is_made_up(lane->host->native, cuda_stream_native(on), to, bytes))
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    return 0;
}

/*
 * The synchronous functions of the API wait only if the memory is the host's, because there the program may look
 * at it right away.
 */
static int
memset_leave(struct cuda_lane *lane, int result, const struct cuda_range *range, struct cuda_stream *on, bool wait)
{
    if (result == CUDA_SUCCESS && wait && range && range->use == CUDA_RANGE_REGISTERED)
        result = lane->host->native->cuStreamSynchronize(cuda_stream_native(on));
    return cuda_leave(lane, result);
}

#define MEMSET(name, type, function)                                                                   \
    int cuda_host_##name(struct gpuvchan_request *request, CUdeviceptr to, type value, uint64_t count, \
                         struct cuda_stream *on, bool wait)                                            \
    {                                                                                                  \
        struct cuda_lane *lane = cuda_lane_of(request);                                                \
        struct cuda_range *range;                                                                      \
        int result;                                                                                    \
                                                                                                       \
        if (count == 0)                                                                                \
            return 0;                                                                                  \
        result = memset_enter(lane, on, to, count, sizeof(value), &range);                             \
        if (result != 0)                                                                               \
            return result;                                                                             \
        result = cuda_native(request)->function(to, value, count, cuda_stream_native(on));             \
        return memset_leave(lane, result, range, on, wait);                                            \
    }
MEMSET(memset_d8, uint8_t, cuMemsetD8Async)
MEMSET(memset_d16, uint16_t, cuMemsetD16Async)
MEMSET(memset_d32, uint32_t, cuMemsetD32Async)
#undef MEMSET

int
cuda_host_memset_2d(struct gpuvchan_request *request, CUdeviceptr to, uint64_t pitch, uint32_t element, uint32_t value,
                    uint64_t width, uint64_t height, struct cuda_stream *on, bool wait)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUstream stream = cuda_stream_native(on);
    struct cuda_range *range;
    uint64_t bytes, extent;
    int result;

    if ((element != 1 && element != 2 && element != 4) || __builtin_mul_overflow(width, element, &bytes) ||
        !cuda_rows_extent(pitch, bytes, height, &extent))
        return CUDA_ERROR_INVALID_VALUE;
    if (extent == 0)
        return 0;
    result = memset_enter(lane, on, to, extent, 1, &range);
    if (result != 0)
        return result;
    if (element == 1)
        result = native->cuMemsetD2D8Async(to, pitch, (uint8_t)value, width, height, stream);
    else if (element == 2)
        result = native->cuMemsetD2D16Async(to, pitch, (uint16_t)value, width, height, stream);
    else
        result = native->cuMemsetD2D32Async(to, pitch, value, width, height, stream);
    return memset_leave(lane, result, range, on, wait);
}

/* ---- Copies of one piece --------------------------------------------------------------------- */

/* Enters, and checks the device's side. */
static int
copy_enter(struct cuda_lane *lane, struct cuda_stream *on, CUdeviceptr address, uint64_t bytes)
{
    int result = cuda_enter(lane, on ? &on->object : NULL, NULL);

    if (result == 0 && !cuda_lane_range(lane, 0, address, bytes))
        result = cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    return result;
}

/*
 * The data lies in the lane's record, which the next one overwrites. The driver copies ordinary memory to
 * a buffer of its own before it returns, unless the device can read it by itself (attribute
 * PAGEABLE_MEMORY_ACCESS): then nothing says when it has, and the stream must be waited for. The
 * synchronous function would wait for it always. Copying to pinned memory here instead is no faster up to
 * 1 KiB, and needs an event or a written value to know when that memory is free (H200: 1.6 to 1.8 us as it is,
 * 2.1 and 4.0 us so); neither way waits for a kernel that is running.
 */
int
cuda_host_copy_in_small(struct gpuvchan_request *request, CUdeviceptr to, struct cuda_stream *on, const void *data,
                        size_t data_bytes)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUstream stream = cuda_stream_native(on);
    int result;

    if (data_bytes == 0)
        return 0;
    result = copy_enter(lane, on, to, data_bytes);
    if (result != 0)
        return result;
    result = native->cuMemcpyHtoDAsync(to, data, data_bytes, stream);
    if (result == CUDA_SUCCESS && lane->current->reads_pageable)
        result = native->cuStreamSynchronize(stream);
    return cuda_leave(lane, result);
}

int
cuda_host_copy_out_small(struct gpuvchan_request *request, CUdeviceptr from, struct cuda_stream *on, void *data,
                         size_t *data_bytes)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUstream stream = cuda_stream_native(on);
    int result;

    if (*data_bytes == 0)
        return 0;
    result = copy_enter(lane, on, from, *data_bytes);
    if (result != 0)
        return result;
    result = native->cuMemcpyDtoHAsync(data, from, *data_bytes, stream);
    if (result == CUDA_SUCCESS)
        result = native->cuStreamSynchronize(stream);
    return cuda_leave(lane, result);
}

int
cuda_host_copy_in(struct gpuvchan_request *request, CUdeviceptr to, void *from, size_t from_bytes,
                  struct cuda_stream *on)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (from_bytes == 0)
        return 0;
    result = copy_enter(lane, on, to, from_bytes);
    if (result != 0)
        return result;
    return cuda_leave(lane, cuda_native(request)->cuMemcpyHtoDAsync(to, from, from_bytes, cuda_stream_native(on)));
}

int
cuda_host_copy_out(struct gpuvchan_request *request, CUdeviceptr from, void *to, size_t to_bytes,
                   struct cuda_stream *on)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (to_bytes == 0)
        return 0;
    result = copy_enter(lane, on, from, to_bytes);
    if (result != 0)
        return result;
    return cuda_leave(lane, cuda_native(request)->cuMemcpyDtoHAsync(to, from, to_bytes, cuda_stream_native(on)));
}

int
cuda_host_copy_across(struct gpuvchan_request *request, CUdeviceptr to, CUdeviceptr from, uint64_t bytes,
                      struct cuda_stream *on)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (bytes == 0)
        return 0;
    result = copy_enter(lane, on, to, bytes);
    if (result != 0)
        return result;
    if (!cuda_lane_range(lane, 1, from, bytes))
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    return cuda_leave(lane, cuda_native(request)->cuMemcpyDtoDAsync(to, from, bytes, cuda_stream_native(on)));
}

/* The per-thread default stream is that of the lane's thread, which stands for the guest's. */
int
cuda_host_copy_in_wait(struct gpuvchan_request *request, CUdeviceptr to, void *from, size_t from_bytes, bool per_thread)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (from_bytes == 0)
        return 0;
    result = copy_enter(lane, NULL, to, from_bytes);
    if (result != 0)
        return result;
    if (!per_thread)
        return cuda_leave(lane, native->cuMemcpyHtoD(to, from, from_bytes));
    result = native->cuMemcpyHtoDAsync(to, from, from_bytes, CU_STREAM_PER_THREAD);
    if (result == CUDA_SUCCESS)
        result = native->cuStreamSynchronize(CU_STREAM_PER_THREAD);
    return cuda_leave(lane, result);
}

int
cuda_host_copy_out_wait(struct gpuvchan_request *request, CUdeviceptr from, void *to, size_t to_bytes, bool per_thread)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (to_bytes == 0)
        return 0;
    result = copy_enter(lane, NULL, from, to_bytes);
    if (result != 0)
        return result;
    if (!per_thread)
        return cuda_leave(lane, native->cuMemcpyDtoH(to, from, to_bytes));
    result = native->cuMemcpyDtoHAsync(to, from, to_bytes, CU_STREAM_PER_THREAD);
    if (result == CUDA_SUCCESS)
        result = native->cuStreamSynchronize(CU_STREAM_PER_THREAD);
    return cuda_leave(lane, result);
}
