/* SPDX-License-Identifier: MIT */
/* Fills. All of them are posts, except that a synchronous fill of pinned memory waits, as its caller may look. */
#include "guest.h"

/*
 * cuDNN captures work on pointers that it makes up from NULL, to see what the work is made of, and runs none of it.
 * There is no memory so low, and the driver says what it thinks of that.
 */
static CUresult
range_check(CUdeviceptr to, uint64_t bytes)
{
    if (cuda_guest_capturing() && to < CUDA_LOW_ADDRESSES && bytes <= CUDA_LOW_ADDRESSES - to)
        return CUDA_SUCCESS;
    return cuda_guest_range_check(to, bytes);
}

static CUresult
memset_check(CUdeviceptr to, uint64_t count, unsigned element)
{
    uint64_t bytes;

    if (to % element != 0 || __builtin_mul_overflow(count, element, &bytes))
        return CUDA_ERROR_INVALID_VALUE;
    return range_check(to, bytes);
}

/* What follows the record: nothing, or a wait if the processor can see the memory. */
static CUresult
memset_finish(struct cuda_guest_thread *self, int status, CUdeviceptr to, uint32_t stream, bool wait)
{
    struct cuda_guest_range range;
    CUresult result = cuda_guest_result(status);

    if (result != CUDA_SUCCESS || !wait || !cuda_guest_range_find(to, &range))
        return result;
    if (range.kind != CUDA_GUEST_PINNED && range.kind != CUDA_GUEST_ALIAS)
        return result;
    return cuda_guest_wait_stream(self, stream);
}

static CUresult
fill(CUdeviceptr to, unsigned element, uint32_t value, size_t count, CUstream stream, bool wait)
{
    const struct gpuvchan_client *client = &cuda_guest.client;
    struct cuda_guest_thread *self;
    uint32_t wire;
    int status;
    CUresult result = cuda_guest_enter(&self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_stream_wire(self, stream, &wire, NULL);
    if (result != CUDA_SUCCESS || count == 0)
        return result;
    result = memset_check(to, count, element);
    if (result != CUDA_SUCCESS)
        return result;
    if (element == 1)
        status = cuda_memset_d8_on(client, self->lane, to, (uint8_t)value, count, wire, wait);
    else if (element == 2)
        status = cuda_memset_d16_on(client, self->lane, to, (uint16_t)value, count, wire, wait);
    else
        status = cuda_memset_d32_on(client, self->lane, to, value, count, wire, wait);
    return memset_finish(self, status, to, wire, wait);
}

static CUresult
fill_rows(CUdeviceptr to, size_t pitch, unsigned element, uint32_t value, size_t width, size_t height, CUstream stream,
          bool wait)
{
    struct cuda_guest_thread *self;
    uint64_t bytes, extent;
    uint32_t wire;
    CUresult result = cuda_guest_enter(&self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_stream_wire(self, stream, &wire, NULL);
    if (result != CUDA_SUCCESS || width == 0 || height == 0)
        return result;
    if (__builtin_mul_overflow(width, element, &bytes))
        return CUDA_ERROR_INVALID_VALUE;
    if (height == 1) /* then the pitch is no matter */
        pitch = bytes;
    if (pitch < bytes || pitch % element != 0 || to % element != 0 ||
        __builtin_mul_overflow(pitch, height - 1, &extent) || __builtin_add_overflow(extent, bytes, &extent))
        return CUDA_ERROR_INVALID_VALUE;
    result = range_check(to, extent);
    if (result != CUDA_SUCCESS)
        return result;
    return memset_finish(
        self, cuda_memset_2d_on(&cuda_guest.client, self->lane, to, pitch, element, value, width, height, wire, wait),
        to, wire, wait);
}

/* The entry points, four for each of two shapes and three sizes. */
#define FILLS(bits, type)                                                                                      \
    ENTRY cuMemsetD##bits##_v2(CUdeviceptr to, type value, size_t count)                                       \
    {                                                                                                          \
        return fill(to, bits / 8, value, count, NULL, true);                                                   \
    }                                                                                                          \
    ENTRY cuMemsetD##bits##_v2_ptds(CUdeviceptr to, type value, size_t count)                                  \
    {                                                                                                          \
        return fill(to, bits / 8, value, count, CU_STREAM_PER_THREAD, true);                                   \
    }                                                                                                          \
    ENTRY cuMemsetD##bits##Async(CUdeviceptr to, type value, size_t count, CUstream stream)                    \
    {                                                                                                          \
        return fill(to, bits / 8, value, count, stream, false);                                                \
    }                                                                                                          \
    ENTRY cuMemsetD##bits##Async_ptsz(CUdeviceptr to, type value, size_t count, CUstream stream)               \
    {                                                                                                          \
        return fill(to, bits / 8, value, count, cuda_guest_per_thread(stream), false);                         \
    }                                                                                                          \
    ENTRY cuMemsetD2D##bits##_v2(CUdeviceptr to, size_t pitch, type value, size_t width, size_t height)        \
    {                                                                                                          \
        return fill_rows(to, pitch, bits / 8, value, width, height, NULL, true);                               \
    }                                                                                                          \
    ENTRY cuMemsetD2D##bits##_v2_ptds(CUdeviceptr to, size_t pitch, type value, size_t width, size_t height)   \
    {                                                                                                          \
        return fill_rows(to, pitch, bits / 8, value, width, height, CU_STREAM_PER_THREAD, true);               \
    }                                                                                                          \
    ENTRY cuMemsetD2D##bits##Async(CUdeviceptr to, size_t pitch, type value, size_t width, size_t height,      \
                                   CUstream stream)                                                            \
    {                                                                                                          \
        return fill_rows(to, pitch, bits / 8, value, width, height, stream, false);                            \
    }                                                                                                          \
    ENTRY cuMemsetD2D##bits##Async_ptsz(CUdeviceptr to, size_t pitch, type value, size_t width, size_t height, \
                                        CUstream stream)                                                       \
    {                                                                                                          \
        return fill_rows(to, pitch, bits / 8, value, width, height, cuda_guest_per_thread(stream), false);     \
    }

FILLS(8, unsigned char)
FILLS(16, unsigned short)
FILLS(32, unsigned int)
