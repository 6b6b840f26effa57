/* SPDX-License-Identifier: MIT */
/* Pools that processes of the guest share, and allocations in them. */
#include <string.h>

#include "pool.h"
#include "share.h"

ENTRY
cuMemPoolExportToShareableHandle(void *handle, CUmemoryPool pool_handle, CUmemAllocationHandleType type,
                                 unsigned long long flags)
{
    const struct cuda_guest_pool *pool;
    struct cuda_guest_thread *self;
    uint8_t token[CUDA_GUEST_TOKEN];
    size_t bytes = sizeof(token);
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    pool = cuda_guest_find(pool_handle, CUDA_HANDLE_POOL);
    if (!handle || !pool || pool->lasting || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR || flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    cuda_guest_share_sweep(self);
    result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_share_result(
            cuda_guest_result(cuda_pool_export_on(&cuda_guest.client, self->lane, pool->object.handle, token, &bytes)));
    return result == CUDA_SUCCESS ? cuda_guest_share_descriptor(self, CUDA_GUEST_SHARE_POOL, token, handle) : result;
}

ENTRY
cuMemPoolImportFromShareableHandle(CUmemoryPool *handle, void *descriptor, CUmemAllocationHandleType type,
                                   unsigned long long flags)
{
    uint8_t token[CUDA_GUEST_TOKEN];
    struct cuda_guest_thread *self;
    struct cuda_guest_pool *pool;
    uint32_t device = 0;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR || flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_share_token((int)(intptr_t)descriptor, CUDA_GUEST_SHARE_POOL, token);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_object_create(CUDA_HANDLE_POOL, sizeof(*pool), NULL, &pool);
    if (result != CUDA_SUCCESS)
        return result;
    result = cuda_guest_share_result(cuda_guest_result(
        cuda_pool_import_on(&cuda_guest.client, self->lane, pool->object.handle, token, sizeof(token), &device)));
    if (result == CUDA_SUCCESS) {
        pool->device = cuda_guest_device_number(device);
        *handle = cuda_guest_handle(&pool->object);
    } else {
        cuda_guest_object_undo(&pool->object);
    }
    return result;
}

ENTRY
cuMemPoolExportPointer(CUmemPoolPtrExportData *data, CUdeviceptr address)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_range range;
    uint8_t token[CUDA_GUEST_TOKEN];
    size_t bytes = sizeof(token);
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!data || !cuda_guest_range_find(address, &range) || range.kind != CUDA_GUEST_POOLED || range.start != address)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_share_result(
            cuda_guest_result(cuda_pool_pointer_export_on(&cuda_guest.client, self->lane, address, token, &bytes)));
    if (result != CUDA_SUCCESS)
        return result;
    memset(data, 0, sizeof(*data));
    memcpy(data->reserved, token, sizeof(token));
    return CUDA_SUCCESS;
}

ENTRY
cuMemPoolImportPointer(CUdeviceptr *address, CUmemoryPool pool_handle, CUmemPoolPtrExportData *data)
{
    struct cuda_guest_range range = {.kind = CUDA_GUEST_POOLED};
    const struct cuda_guest_pool *pool;
    CUdeviceptr start = 0;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    pool = cuda_guest_find(pool_handle, CUDA_HANDLE_POOL);
    if (!address || !pool || !data)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_share_result(cuda_guest_result(
            cuda_pool_pointer_import_on(&cuda_guest.client, self->lane, pool->object.handle, (uint8_t *)data->reserved,
                                        CUDA_GUEST_TOKEN, &start, &range.bytes)));
    if (result != CUDA_SUCCESS)
        return result;
    range.start = start;
    range.device_number = pool->device;
    range.pool = pool->object.handle;
    result = cuda_guest_range_add(&range);
    if (result == CUDA_SUCCESS)
        *address = range.start;
    else
        cuda_pool_free_on(&cuda_guest.client, self->lane, range.start, 0);
    return result;
}
