/* SPDX-License-Identifier: MIT */
/*
 * Pools of device memory, and what is allocated from them in the order of a stream.
 *
 * Design notes: a device's own pool gets a handle when somebody first asks for it. Which pool a device has
 * chosen is kept here; the host is told. No pool is in host memory, since the host's is not the
 * program's.
 */
#include <string.h>

#include "chunk.h"
#include "device.h"
#include "pool.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cuda_guest_pool *lasting[CUDA_GUEST_DEVICES]; /* with the lock */
static uint32_t chosen[CUDA_GUEST_DEVICES];                 /* with the lock; 0: the device's own */

static CUresult
pool_find(CUmemoryPool handle, struct cuda_guest_pool **pool)
{
    *pool = cuda_guest_find(handle, CUDA_HANDLE_POOL);
    return *pool ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* For what concerns a pool and no context. */
static CUresult
pool_enter(CUmemoryPool handle, struct cuda_guest_thread **self, struct cuda_guest_pool **pool)
{
    CUresult result = cuda_guest_enter_outside(self);

    return result == CUDA_SUCCESS ? pool_find(handle, pool) : result;
}

/* ---- Beginning and end ----------------------------------------------------------------------- */

static CUresult
pool_create(int device, struct cuda_guest_pool **out)
{
    CUresult result = cuda_guest_object_create(CUDA_HANDLE_POOL, sizeof(**out), NULL, out);

    if (result == CUDA_SUCCESS)
        (*out)->device = device;
    return result;
}

ENTRY
cuMemPoolCreate(CUmemoryPool *handle, const CUmemPoolProps *properties)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_pool *pool;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || !properties)
        return CUDA_ERROR_INVALID_VALUE;
    if ((properties->handleTypes & ~CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) != 0 ||
        properties->allocType != CU_MEM_ALLOCATION_TYPE_PINNED ||
        properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!cuda_guest_device(properties->location.id))
        return CUDA_ERROR_INVALID_DEVICE;
    result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = pool_create(properties->location.id, &pool);
    if (result != CUDA_SUCCESS)
        return result;
    result = cuda_guest_result(cuda_pool_create_on(
        &cuda_guest.client, self->lane, pool->object.handle, cuda_guest.device[pool->device].ordinal,
        properties->maxSize, properties->usage, properties->handleTypes != CU_MEM_HANDLE_TYPE_NONE));
    if (result == CUDA_SUCCESS)
        *handle = cuda_guest_handle(&pool->object);
    else
        cuda_guest_object_undo(&pool->object);
    return result;
}

ENTRY
cuMemPoolDestroy(CUmemoryPool handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_pool *pool;
    CUresult result = pool_enter(handle, &self, &pool);
    uint32_t wire;

    if (result != CUDA_SUCCESS)
        return result;
    if (pool->lasting || !cuda_guest_take(handle, CUDA_HANDLE_POOL))
        return CUDA_ERROR_INVALID_VALUE;
    wire = pool->object.handle;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < cuda_guest.devices; i++)
        if (chosen[i] == wire)
            chosen[i] = 0; /* as the driver does */
    pthread_mutex_unlock(&lock);
    cuda_guest_object_free(&pool->object);
    return cuda_guest_result(cuda_pool_destroy_on(&cuda_guest.client, self->lane, wire));
}

/* With the lock: names the device's own pool. */
static CUresult
lasting_create(struct cuda_guest_thread *self, int device)
{
    struct cuda_guest_pool *pool;
    CUresult result = cuda_guest_settle(self);

    if (result == CUDA_SUCCESS)
        result = pool_create(device, &pool);
    if (result != CUDA_SUCCESS)
        return result;
    pool->lasting = true;
    result = cuda_guest_result(
        cuda_pool_default_on(&cuda_guest.client, self->lane, pool->object.handle, cuda_guest.device[device].ordinal));
    if (result == CUDA_SUCCESS)
        lasting[device] = pool;
    else
        cuda_guest_object_undo(&pool->object);
    return result;
}

ENTRY
cuDeviceGetDefaultMemPool(CUmemoryPool *handle, CUdevice device)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    if (!cuda_guest_device(device))
        return CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&lock);
    if (!lasting[device])
        result = lasting_create(self, device);
    if (result == CUDA_SUCCESS)
        *handle = cuda_guest_handle(&lasting[device]->object);
    pthread_mutex_unlock(&lock);
    return result;
}

/* ---- The device's choice --------------------------------------------------------------------- */

ENTRY
cuDeviceSetMemPool(CUdevice device, CUmemoryPool handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_pool *pool;
    CUresult result = pool_enter(handle, &self, &pool);

    if (result != CUDA_SUCCESS)
        return result;
    if (!cuda_guest_device(device))
        return CUDA_ERROR_INVALID_DEVICE;
    if (pool->device != device)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    chosen[device] = pool->lasting ? 0 : pool->object.handle;
    pthread_mutex_unlock(&lock);
    return cuda_guest_result(
        cuda_pool_choose_on(&cuda_guest.client, self->lane, pool->object.handle, cuda_guest.device[device].ordinal));
}

static uint32_t
chosen_by(int device)
{
    uint32_t wire;

    pthread_mutex_lock(&lock);
    wire = chosen[device];
    pthread_mutex_unlock(&lock);
    return wire;
}

ENTRY
cuDeviceGetMemPool(CUmemoryPool *handle, CUdevice device)
{
    CUresult result = cuda_guest_ready();
    uint32_t wire;

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    if (!cuda_guest_device(device))
        return CUDA_ERROR_INVALID_DEVICE;
    wire = chosen_by(device);
    if (wire == 0)
        return cuDeviceGetDefaultMemPool(handle, device);
    *handle = cuda_guest_handle(&(struct cuda_guest_object){.handle = wire});
    return CUDA_SUCCESS;
}

CUmemoryPool
cuda_guest_pool_of(const struct cuda_guest_range *range)
{
    CUmemoryPool pool = NULL;

    if (range->pool != 0)
        return cuda_guest_handle(&(struct cuda_guest_object){.handle = range->pool});
    return cuDeviceGetDefaultMemPool(&pool, range->device_number) == CUDA_SUCCESS ? pool : NULL;
}

/* CUDA 13's names for the same, with places that are not devices. */
static CUresult
place_check(const CUmemLocation *location, CUmemAllocationType type)
{
    if (!location)
        return CUDA_ERROR_INVALID_VALUE;
    if (location->type != CU_MEM_LOCATION_TYPE_DEVICE || type != CU_MEM_ALLOCATION_TYPE_PINNED)
        return CUDA_ERROR_NOT_SUPPORTED;
    return CUDA_SUCCESS;
}

ENTRY
cuMemGetDefaultMemPool(CUmemoryPool *handle, CUmemLocation *location, CUmemAllocationType type)
{
    CUresult result = place_check(location, type);

    return result == CUDA_SUCCESS ? cuDeviceGetDefaultMemPool(handle, location->id) : result;
}

ENTRY
cuMemGetMemPool(CUmemoryPool *handle, CUmemLocation *location, CUmemAllocationType type)
{
    CUresult result = place_check(location, type);

    return result == CUDA_SUCCESS ? cuDeviceGetMemPool(handle, location->id) : result;
}

ENTRY
cuMemSetMemPool(CUmemLocation *location, CUmemAllocationType type, CUmemoryPool handle)
{
    CUresult result = place_check(location, type);

    return result == CUDA_SUCCESS ? cuDeviceSetMemPool(location->id, handle) : result;
}

/* ---- What a pool is like --------------------------------------------------------------------- */

ENTRY
cuMemPoolTrimTo(CUmemoryPool handle, size_t keep)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_pool *pool;
    CUresult result = pool_enter(handle, &self, &pool);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_pool_trim_on(&cuda_guest.client, self->lane, pool->object.handle, keep));
}

/* The bytes of an attribute's value, 0: there is none of that number. */
static size_t
attribute_bytes(CUmemPool_attribute attribute)
{
    if ((int)attribute < CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES || attribute > CU_MEMPOOL_ATTR_USED_MEM_HIGH)
        return 0;
    return attribute <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES ? sizeof(int) : sizeof(cuuint64_t);
}

/* High water marks can be reset and nothing else. */
static bool
may_set(CUmemPool_attribute attribute, uint64_t value)
{
    switch (attribute) {
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
        return false;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
        return value == 0;
    default:
        return true;
    }
}

ENTRY
cuMemPoolSetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void *value)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_pool *pool;
    size_t bytes = attribute_bytes(attribute);
    uint64_t wide = 0;
    CUresult result = pool_enter(handle, &self, &pool);

    if (result != CUDA_SUCCESS)
        return result;
    if (!value || bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&wide, value, bytes);
    if (!may_set(attribute, wide))
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_result(
        cuda_pool_set_attribute_on(&cuda_guest.client, self->lane, pool->object.handle, (int32_t)attribute, wide));
}

ENTRY
cuMemPoolGetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void *value)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_pool *pool;
    size_t bytes = attribute_bytes(attribute);
    uint64_t wide = 0;
    CUresult result = pool_enter(handle, &self, &pool);

    if (result != CUDA_SUCCESS)
        return result;
    if (!value || bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_result(
        cuda_pool_get_attribute_on(&cuda_guest.client, self->lane, pool->object.handle, (int32_t)attribute, &wide));
    if (result == CUDA_SUCCESS)
        memcpy(value, &wide, bytes);
    return result;
}

ENTRY
cuMemPoolSetAccess(CUmemoryPool handle, const CUmemAccessDesc *grants, size_t count)
{
    CUmemAccessDesc wanted[CUDA_POOL_SET_ACCESS_GRANTS_MAX];
    struct cuda_guest_thread *self;
    struct cuda_guest_pool *pool;
    CUresult result = pool_enter(handle, &self, &pool);

    if (result != CUDA_SUCCESS)
        return result;
    if (!grants || count == 0 || count > CUDA_POOL_SET_ACCESS_GRANTS_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count; i++) {
        const struct cuda_guest_device *device = cuda_guest_device(grants[i].location.id);

        if (grants[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE)
            return CUDA_ERROR_INVALID_VALUE;
        if (!device)
            return CUDA_ERROR_INVALID_DEVICE;
        wanted[i] = grants[i];
        wanted[i].location.id = (int)device->ordinal;
    }
    return cuda_guest_result(
        cuda_pool_set_access_on(&cuda_guest.client, self->lane, pool->object.handle, wanted, count));
}

ENTRY
cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool handle, CUmemLocation *location)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_pool *pool;
    uint32_t got = 0;
    CUresult result = pool_enter(handle, &self, &pool);

    if (result != CUDA_SUCCESS)
        return result;
    if (!flags || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_ERROR_INVALID_VALUE;
    if (!cuda_guest_device(location->id))
        return CUDA_ERROR_INVALID_DEVICE;
    result = cuda_guest_result(cuda_pool_get_access_on(&cuda_guest.client, self->lane, pool->object.handle,
                                                       cuda_guest.device[location->id].ordinal, &got));
    if (result == CUDA_SUCCESS)
        *flags = (CUmemAccess_flags)got;
    return result;
}

/* ---- Allocations ----------------------------------------------------------------------------- */

static CUresult
alloc_on_host(struct cuda_guest_thread *self, uint64_t bytes, uint32_t pool, uint32_t stream, uint32_t token,
              CUdeviceptr *address)
{
    CUresult result = cuda_guest_settle(self);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_pool_alloc_on(&cuda_guest.client, self->lane, bytes, pool, stream, token, address));
}

/* A node of the graph, which has this memory in all launches. */
static CUresult
alloc_captured(struct cuda_guest_thread *self, uint64_t bytes, uint32_t pool, uint32_t stream, CUdeviceptr *address)
{
    struct cuda_guest_range range = {.bytes = bytes, .kind = CUDA_GUEST_GRAPH, .context = cuda_guest_current(self)};
    CUdeviceptr found = 0;
    uint32_t token;
    CUresult result = cuda_guest_task_range(&token);

    if (result != CUDA_SUCCESS)
        return result;
    result = alloc_on_host(self, bytes, pool, stream, token, &found);
    if (result != CUDA_SUCCESS) {
        cuda_guest_task_drop(token);
        return result;
    }
    range.start = *address = found;
    return cuda_guest_task_range_begin(token, &range);
}

/* From @p pool, or from the one that the stream's device has chosen. */
static CUresult
pool_alloc(CUdeviceptr *address, size_t bytes, const struct cuda_guest_pool *pool, CUstream stream)
{
    struct cuda_guest_range range = {.bytes = bytes, .kind = CUDA_GUEST_POOLED};
    struct cuda_guest_context *context;
    struct cuda_guest_thread *self;
    uint32_t wire, number = pool ? pool->object.handle : 0;
    CUdeviceptr found = 0;
    bool captured;
    CUresult result = cuda_guest_enter(&self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_stream_wire(self, stream, &wire, &context);
    if (result == CUDA_SUCCESS && (!address || bytes == 0))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = cuda_guest_captured(self, wire, &captured);
    if (result != CUDA_SUCCESS)
        return result;
    if (captured)
        return alloc_captured(self, bytes, number, wire, address);
    if (pool && pool->device < 0) /* imported, of a device that the program does not see */
        return CUDA_ERROR_INVALID_VALUE;
    range.device_number = pool ? pool->device : context->device;
    range.pool = pool ? (pool->lasting ? 0 : pool->object.handle) : chosen_by(range.device_number);
    result = alloc_on_host(self, bytes, number, wire, 0, &found);
    if (result == CUDA_ERROR_OUT_OF_MEMORY && cuda_guest_chunks_trim(self))
        result = alloc_on_host(self, bytes, number, wire, 0, &found);
    if (result != CUDA_SUCCESS)
        return result;
    range.start = found;
    result = cuda_guest_range_add(&range);
    if (result == CUDA_SUCCESS)
        *address = found;
    else
        cuda_pool_free_on(&cuda_guest.client, self->lane, found, wire);
    return result;
}

ENTRY
cuMemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream stream)
{
    return pool_alloc(address, bytes, NULL, stream);
}

ENTRY
cuMemAllocAsync_ptsz(CUdeviceptr *address, size_t bytes, CUstream stream)
{
    return pool_alloc(address, bytes, NULL, cuda_guest_per_thread(stream));
}

ENTRY
cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t bytes, CUmemoryPool handle, CUstream stream)
{
    struct cuda_guest_pool *pool;
    CUresult result = cuda_guest_ready();

    if (result == CUDA_SUCCESS)
        result = pool_find(handle, &pool);
    return result == CUDA_SUCCESS ? pool_alloc(address, bytes, pool, stream) : result;
}

ENTRY
cuMemAllocFromPoolAsync_ptsz(CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream stream)
{
    return cuMemAllocFromPoolAsync(address, bytes, pool, cuda_guest_per_thread(stream));
}

ENTRY
cuMemFreeAsync(CUdeviceptr address, CUstream stream)
{
    struct cuda_guest_range range;
    struct cuda_guest_thread *self;
    uint32_t wire;
    bool captured;
    CUresult result = cuda_guest_enter(&self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_stream_wire(self, stream, &wire, NULL);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_captured(self, wire, &captured);
    if (result != CUDA_SUCCESS || address == 0) /* libraries free what they never had */
        return result;
    /* What a graph has allocated it will allocate again, and nothing else is freed by one. */
    if (!(cuda_guest_range_find(address, &range) && range.kind == CUDA_GUEST_GRAPH) &&
        (captured || (!cuda_guest_range_take(address, CUDA_GUEST_POOLED, &range) &&
                      !cuda_guest_range_take(address, CUDA_GUEST_DEVICE, &range))))
        return CUDA_ERROR_INVALID_VALUE;
    if (range.in_chunk)
        return cuda_guest_chunk_free(self, &range);
    return cuda_guest_result(cuda_pool_free_on(&cuda_guest.client, self->lane, address, wire));
}

ENTRY
cuMemFreeAsync_ptsz(CUdeviceptr address, CUstream stream)
{
    return cuMemFreeAsync(address, cuda_guest_per_thread(stream));
}
