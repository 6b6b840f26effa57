/* SPDX-License-Identifier: MIT */
/*
 * Pinned memory: a buffer of the arena that the host has registered with the device. Where the worker maps the
 * arena at the same address, the pointer is the device's address as well, as unified addressing promises.
 */
#include <stdio.h>

#include "guest.h"

#define HOST_ALLOC_FLAGS (CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED)

/* The range for the host's pointer, and another one if the device has an address of its own for it. */
static CUresult
keep(const struct cuda_guest_range *range)
{
    struct cuda_guest_range alias = *range;
    CUresult result = cuda_guest_range_add(range);

    if (result != CUDA_SUCCESS || range->device == range->start)
        return result;
    alias.start = range->device;
    alias.kind = CUDA_GUEST_ALIAS;
    alias.buffer = NULL; /* goes with the other */
    result = cuda_guest_range_add(&alias);
    if (result != CUDA_SUCCESS)
        cuda_guest_range_take(range->start, range->kind, &alias);
    return result;
}

/* @p range says all but where the device sees it. */
static CUresult
pin(struct cuda_guest_thread *self, struct cuda_guest_range *range)
{
    uint64_t inside = range->offset - gpuvchan_buffer_offset(range->buffer);
    struct gpuvchan_reference memory = {.offset = gpuvchan_buffer_offset(range->buffer),
                                        .bytes = gpuvchan_buffer_size(range->buffer)};
    CUdeviceptr address = 0;
    CUresult result = cuda_guest_settle(self);

    if (result == CUDA_SUCCESS)
        result =
            cuda_guest_result(cuda_host_register_on(&cuda_guest.client, self->lane, memory, range->flags, &address));
    if (result != CUDA_SUCCESS)
        return result;
    range->device = address + inside;
    result = range->kind == CUDA_GUEST_MANAGED && address != range->start ? CUDA_ERROR_NOT_SUPPORTED : keep(range);
    if (result != CUDA_SUCCESS)
        cuda_host_unregister_on(&cuda_guest.client, self->lane, memory);
    return result;
}

CUresult
cuda_guest_arena_pin(struct cuda_guest_thread *self, void *pointer, size_t bytes, unsigned flags,
                     struct gpuvchan_buffer *buffer)
{
    struct cuda_guest_range range = {.start = (uintptr_t)pointer,
                                     .bytes = bytes,
                                     .kind = CUDA_GUEST_REGISTERED,
                                     .flags = flags | CU_MEMHOSTREGISTER_DEVICEMAP,
                                     .context = cuda_guest_current(self),
                                     .buffer = buffer,
                                     .host = pointer,
                                     .offset = gpuvchan_buffer_offset(buffer) + (uintptr_t)pointer % 4096};

    return pin(self, &range);
}

CUresult
cuda_guest_arena_exhausted(const char *function, size_t bytes)
{
    static _Atomic bool told;

    if (!atomic_exchange(&told, true))
        fprintf(stderr,
                "gpuvchan's libcuda.so.1: %s: the arena, where such memory lies, has no %zu bytes left: run with a "
                "larger one (GPUVCHAN_ARENA=4G, say)\n",
                function, bytes);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult
cuda_guest_arena_alloc(struct cuda_guest_thread *self, enum cuda_guest_range_kind kind, size_t bytes, unsigned flags,
                       void **pointer)
{
    struct cuda_guest_range range = {
        .bytes = bytes, .kind = kind, .flags = flags | CU_MEMHOSTALLOC_DEVICEMAP, .context = cuda_guest_current(self)};
    CUresult result;

    if (gpuvchan_buffer_create(cuda_guest.channel, bytes, &range.buffer) != 0)
        return cuda_guest_arena_exhausted(kind == CUDA_GUEST_MANAGED ? "cuMemAllocManaged" : "cuMemHostAlloc", bytes);
    range.host = gpuvchan_buffer_data(range.buffer);
    range.start = (uintptr_t)range.host;
    range.offset = gpuvchan_buffer_offset(range.buffer);
    result = pin(self, &range);
    if (result == CUDA_SUCCESS)
        *pointer = range.host;
    else
        gpuvchan_buffer_destroy(range.buffer);
    return result;
}

CUresult
cuda_guest_arena_unpin(struct cuda_guest_thread *self, const struct cuda_guest_range *range)
{
    struct gpuvchan_reference memory = {.offset = gpuvchan_buffer_offset(range->buffer),
                                        .bytes = gpuvchan_buffer_size(range->buffer)};
    struct cuda_guest_range alias;
    CUresult result;

    if (range->device != range->start)
        cuda_guest_range_take(range->device, CUDA_GUEST_ALIAS, &alias);
    /* The driver waits for copies that are under way before it lets go of the memory; only then is it free. */
    result = cuda_guest_result(cuda_host_unregister_on(&cuda_guest.client, self->lane, memory));
    if (result == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)
        keep(range);
    return result;
}

CUresult
cuda_guest_arena_free(struct cuda_guest_thread *self, const struct cuda_guest_range *range)
{
    CUresult result = cuda_guest_arena_unpin(self, range);

    if (result != CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)
        gpuvchan_buffer_destroy(range->buffer);
    return result;
}

ENTRY
cuMemHostAlloc(void **pointer, size_t bytes, unsigned int flags)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!pointer || flags & ~(unsigned)HOST_ALLOC_FLAGS)
        return CUDA_ERROR_INVALID_VALUE;
    *pointer = NULL;
    if (bytes == 0)
        return CUDA_SUCCESS;
    return cuda_guest_arena_alloc(self, CUDA_GUEST_PINNED, bytes, flags, pointer);
}

ENTRY
cuMemAllocHost_v2(void **pointer, size_t bytes)
{
    return cuMemHostAlloc(pointer, bytes, 0);
}

ENTRY
cuMemFreeHost(void *pointer)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_range range;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS || !pointer)
        return result;
    if (!cuda_guest_range_take((uintptr_t)pointer, CUDA_GUEST_PINNED, &range))
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_arena_free(self, &range);
}

/* ---- What is known --------------------------------------------------------------------------- */

static CUresult
pinned_find(const void *pointer, struct cuda_guest_range *range)
{
    if (cuda_guest_range_find((uintptr_t)pointer, range) &&
        (range->kind == CUDA_GUEST_PINNED || range->kind == CUDA_GUEST_REGISTERED))
        return CUDA_SUCCESS;
    return CUDA_ERROR_INVALID_VALUE;
}

ENTRY
cuMemHostGetDevicePointer_v2(CUdeviceptr *address, void *pointer, unsigned int flags)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_range range;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!address || flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    result = pinned_find(pointer, &range);
    if (result == CUDA_SUCCESS)
        *address = range.device + ((uintptr_t)pointer - range.start);
    return result;
}

ENTRY
cuMemHostGetFlags(unsigned int *flags, void *pointer)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_range range;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!flags)
        return CUDA_ERROR_INVALID_VALUE;
    result = pinned_find(pointer, &range);
    if (result == CUDA_SUCCESS)
        *flags = range.flags;
    return result;
}
