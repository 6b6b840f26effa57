/* SPDX-License-Identifier: MIT */
/*
 * Pools of device memory. Every stream is in order with every other here, so an
 * allocation is there and a free is done when the call returns; what is freed
 * goes back to the device at once, and a pool has reserved what is in use.
 */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

struct sim_pool {
    struct object object;
    int device;
    bool lasting, dead; /* a dead one waits for its last allocation */
    size_t most;
    uint64_t used, high, allocations;
    int reuse[3];
    uint64_t threshold;
    unsigned int reachable; /* from these devices besides its own, a bit each */
};

static struct sim_pool lasting[SIM_MAX_DEVICES], *chosen[SIM_MAX_DEVICES];

static void
pool_init(struct sim_pool *pool, int device)
{
    pool->device = device;
    pool->reuse[0] = pool->reuse[1] = pool->reuse[2] = 1;
}

/* With the driver's lock, as all below. */
static struct sim_pool *
pool_of_device(int device)
{
    struct sim_pool *pool = &lasting[device];

    if (!pool->object.kind && sim_object_add(&pool->object, OBJECT_POOL, NULL)) {
        pool_init(pool, device);
        pool->lasting = true;
    }
    return pool;
}

static struct sim_pool *
pool_chosen(int device)
{
    return chosen[device] ? chosen[device] : pool_of_device(device);
}

/* Begins a call about a pool. */
static CUresult
enter_pool(CUmemoryPool handle, struct sim_pool **pool)
{
    CUresult result = sim_begin();

    if (result)
        return result;
    *pool = sim_object_find(handle, OBJECT_POOL);
    return *pool ? CUDA_SUCCESS : sim_end(CUDA_ERROR_INVALID_VALUE);
}

static CUresult
enter_device(const void *out, CUdevice device)
{
    CUresult result = sim_begin();

    if (result)
        return result;
    if (!out)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    return device >= 0 && device < sim_driver.device_count ? CUDA_SUCCESS : sim_end(CUDA_ERROR_INVALID_DEVICE);
}

SIM_EXPORT CUresult
cuDeviceGetDefaultMemPool(CUmemoryPool *handle, CUdevice device)
{
    CUresult result = enter_device(handle, device);

    if (result)
        return result;
    *handle = (CUmemoryPool)pool_of_device(device);
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuDeviceGetMemPool(CUmemoryPool *handle, CUdevice device)
{
    CUresult result = enter_device(handle, device);

    if (result)
        return result;
    *handle = (CUmemoryPool)pool_chosen(device);
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuDeviceSetMemPool(CUdevice device, CUmemoryPool handle)
{
    struct sim_pool *pool;
    CUresult result = enter_device(handle, device);

    if (result)
        return result;
    pool = sim_object_find(handle, OBJECT_POOL);
    if (!pool || pool->device != device)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    chosen[device] = pool;
    return sim_end(CUDA_SUCCESS);
}

static bool
is_device(const CUmemLocation *location, CUmemAllocationType type)
{
    return location && location->type == CU_MEM_LOCATION_TYPE_DEVICE && type == CU_MEM_ALLOCATION_TYPE_PINNED;
}

SIM_EXPORT CUresult
cuMemGetDefaultMemPool(CUmemoryPool *handle, CUmemLocation *location, CUmemAllocationType type)
{
    return is_device(location, type) ? cuDeviceGetDefaultMemPool(handle, location->id) : CUDA_ERROR_NOT_SUPPORTED;
}

SIM_EXPORT CUresult
cuMemGetMemPool(CUmemoryPool *handle, CUmemLocation *location, CUmemAllocationType type)
{
    return is_device(location, type) ? cuDeviceGetMemPool(handle, location->id) : CUDA_ERROR_NOT_SUPPORTED;
}

SIM_EXPORT CUresult
cuMemSetMemPool(CUmemLocation *location, CUmemAllocationType type, CUmemoryPool handle)
{
    return is_device(location, type) ? cuDeviceSetMemPool(location->id, handle) : CUDA_ERROR_NOT_SUPPORTED;
}

SIM_EXPORT CUresult
cuMemPoolCreate(CUmemoryPool *handle, const CUmemPoolProps *properties)
{
    struct sim_pool *pool;
    CUresult result;

    if (!properties)
        return CUDA_ERROR_INVALID_VALUE;
    if (!is_device(&properties->location, properties->allocType) || properties->handleTypes)
        return CUDA_ERROR_NOT_SUPPORTED;
    result = enter_device(handle, properties->location.id);
    if (result)
        return result;
    pool = calloc(1, sizeof *pool);
    if (!pool || !sim_object_add(&pool->object, OBJECT_POOL, NULL)) {
        free(pool);
        return sim_end(CUDA_ERROR_OUT_OF_MEMORY);
    }
    pool_init(pool, properties->location.id);
    pool->most = properties->maxSize;
    *handle = (CUmemoryPool)pool;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuMemPoolDestroy(CUmemoryPool handle)
{
    struct sim_pool *pool;
    CUresult result = enter_pool(handle, &pool);

    if (result)
        return result;
    if (pool->lasting)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    if (chosen[pool->device] == pool)
        chosen[pool->device] = NULL;
    sim_object_remove(&pool->object);
    pool->dead = true;
    if (pool->allocations == 0)
        free(pool);
    return sim_end(CUDA_SUCCESS);
}

/* Attributes. */

SIM_EXPORT CUresult
cuMemPoolTrimTo(CUmemoryPool handle, size_t keep)
{
    struct sim_pool *pool;
    CUresult result = enter_pool(handle, &pool);

    (void)keep; /* nothing unused is kept */
    return result ? result : sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuMemPoolSetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void *value)
{
    struct sim_pool *pool;
    CUresult result = enter_pool(handle, &pool);

    if (result)
        return result;
    if (!value)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
        pool->reuse[attribute - CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES] = *(int *)value;
        break;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
        pool->threshold = *(cuuint64_t *)value;
        break;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
        if (*(cuuint64_t *)value != 0)
            return sim_end(CUDA_ERROR_INVALID_VALUE);
        pool->high = pool->used;
        break;
    default:
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    }
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuMemPoolGetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void *value)
{
    struct sim_pool *pool;
    CUresult result = enter_pool(handle, &pool);

    if (result)
        return result;
    if (!value)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
        *(int *)value = pool->reuse[attribute - CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES];
        break;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
        *(cuuint64_t *)value = pool->threshold;
        break;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
        *(cuuint64_t *)value = pool->used;
        break;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
        *(cuuint64_t *)value = pool->high;
        break;
    default:
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    }
    return sim_end(CUDA_SUCCESS);
}

bool
sim_pool_reachable(const void *pool, int device)
{
    return pool && ((const struct sim_pool *)pool)->reachable >> device & 1;
}

SIM_EXPORT CUresult
cuMemPoolSetAccess(CUmemoryPool handle, const CUmemAccessDesc *grants, size_t count)
{
    struct sim_pool *pool;
    CUresult result = enter_pool(handle, &pool);
    size_t i;

    if (result)
        return result;
    for (i = 0; grants && i < count; i++)
        if (grants[i].location.id < 0 || grants[i].location.id >= sim_driver.device_count ||
            (grants[i].location.id == pool->device && grants[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE))
            return sim_end(CUDA_ERROR_INVALID_VALUE);
    for (i = 0; grants && i < count; i++) {
        pool->reachable &= ~(1u << grants[i].location.id);
        if (grants[i].flags != CU_MEM_ACCESS_FLAGS_PROT_NONE)
            pool->reachable |= 1u << grants[i].location.id;
    }
    return sim_end(grants && count ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}

SIM_EXPORT CUresult
cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool handle, CUmemLocation *location)
{
    struct sim_pool *pool;
    CUresult result = enter_pool(handle, &pool);

    if (result)
        return result;
    if (!flags || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *flags = location->id == pool->device || sim_pool_reachable(pool, location->id) ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE
                                                                                    : CU_MEM_ACCESS_FLAGS_PROT_NONE;
    return sim_end(CUDA_SUCCESS);
}

/* Allocations. */

static CUresult
pool_alloc(struct sim_pool *pool, size_t size, CUdeviceptr *address)
{
    uintptr_t start;
    CUresult result;

    if (pool->most && size > pool->most - (pool->used < pool->most ? pool->used : pool->most))
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = sim_memory_alloc(sim_driver.memory, RANGE_POOLED, pool->device, NULL, size, 0, &start);
    if (result)
        return result;
    sim_memory_set_pool(sim_driver.memory, start, pool);
    pool->allocations++;
    pool->used += size;
    if (pool->high < pool->used)
        pool->high = pool->used;
    *address = start;
    return CUDA_SUCCESS;
}

static CUresult
alloc_on(CUdeviceptr *address, size_t size, CUmemoryPool handle, CUstream stream)
{
    struct sim_context *context;
    struct sim_pool *pool;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    result = sim_stream_check(stream);
    if (result)
        return sim_end(result);
    pool = handle ? sim_object_find(handle, OBJECT_POOL) : pool_chosen(context->device);
    if (address && pool && sim_captured(stream))
        return sim_end(sim_capture_alloc(sim_captured(stream), pool->device, size, address));
    return sim_end(address && pool ? pool_alloc(pool, size, address) : CUDA_ERROR_INVALID_VALUE);
}

SIM_EXPORT CUresult
cuMemAllocAsync(CUdeviceptr *address, size_t size, CUstream stream)
{
    return alloc_on(address, size, NULL, stream);
}
SIM_SYNONYM(cuMemAllocAsync_ptsz, cuMemAllocAsync);

SIM_EXPORT CUresult
cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t size, CUmemoryPool pool, CUstream stream)
{
    return pool ? alloc_on(address, size, pool, stream) : CUDA_ERROR_INVALID_VALUE;
}
SIM_SYNONYM(cuMemAllocFromPoolAsync_ptsz, cuMemAllocFromPoolAsync);

void
sim_pool_forget(CUdeviceptr start)
{
    struct sim_context *context;
    struct sim_pool *pool;
    struct range range;

    if (sim_enter_any(&context))
        return;
    if (sim_memory_range(sim_driver.memory, start, &range) && range.kind == RANGE_POOLED && range.start == start &&
        range.pool) {
        pool = range.pool;
        sim_memory_set_pool(sim_driver.memory, start, NULL);
        pool->used -= range.size;
        if (--pool->allocations == 0 && pool->dead)
            free(pool);
    }
    sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuMemFreeAsync(CUdeviceptr address, CUstream stream)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEM_FREE, .free = {.dptr = address}};
    struct sim_context *context;
    struct sim_track *track;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    result = sim_stream_check(stream);
    if (!result && !address)
        return sim_end(CUDA_SUCCESS);
    track = result ? NULL : sim_captured(stream);
    if (track) /* it frees what a graph has allocated, and nothing else */
        return sim_end(sim_graph_memory(address) ? sim_capture(track, &params) : CUDA_ERROR_INVALID_VALUE);
    if (!result && sim_graph_memory(address)) /* the graph allocates it again */
        return sim_end(CUDA_SUCCESS);
    sim_end(result);
    return result ? result : sim_free(address);
}
SIM_SYNONYM(cuMemFreeAsync_ptsz, cuMemFreeAsync);

/* Pools' memory is that of one process. */

SIM_EXPORT CUresult
cuMemPoolExportToShareableHandle(void *handle, CUmemoryPool pool, CUmemAllocationHandleType type,
                                 unsigned long long flags)
{
    (void)pool;
    (void)type;
    (void)flags;
    return handle ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
}

SIM_EXPORT CUresult
cuMemPoolImportFromShareableHandle(CUmemoryPool *pool, void *descriptor, CUmemAllocationHandleType type,
                                   unsigned long long flags)
{
    (void)descriptor;
    (void)type;
    (void)flags;
    return pool ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
}

SIM_EXPORT CUresult
cuMemPoolExportPointer(CUmemPoolPtrExportData *data, CUdeviceptr address)
{
    (void)address;
    return data ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
}

SIM_EXPORT CUresult
cuMemPoolImportPointer(CUdeviceptr *address, CUmemoryPool pool, CUmemPoolPtrExportData *data)
{
    (void)pool;
    (void)data;
    return address ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
}
