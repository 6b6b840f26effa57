/* SPDX-License-Identifier: MIT */
/*
 * Pools of device memory, and what is allocated from them in the order of a stream.
 *
 * Design notes: a pool belongs to a device, and what is allocated from it to no context, so neither has an owner
 * here: both last until the guest gives them back, or ends. An allocation that a stream's capture records is a
 * node of the graph, whose memory has its address as long as the graph lasts; see callback.c.
 */
#include "cuda_plugin.h"

/* ---- Pools ----------------------------------------------------------------------------------- */

int
cuda_pool_begin(const struct gpuvchan_request *request, CUmemoryPool native, uint32_t device, bool lasting,
                struct cuda_pool **made)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_pool *pool = (struct cuda_pool *)cuda_object_create(host, CUDA_OBJECT_POOL);

    if (!pool)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pool->native = native;
    pool->device = device;
    pool->lasting = lasting;
    pool->high_before = 0;
    cuda_object_begin(host, &pool->object, NULL, request);
    *made = pool;
    return 0;
}

int
cuda_host_pool_create(struct gpuvchan_request *request, struct cuda_pool **made, uint32_t device, uint64_t most,
                      uint16_t usage, bool shareable)
{
    const struct cuda_driver *native = cuda_native(request);
    CUmemPoolProps properties = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                 .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
                                 .maxSize = most,
                                 .usage = usage,
                                 .handleTypes = shareable && cuda_ipc_allowed()
                                                    ? CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR
                                                    : CU_MEM_HANDLE_TYPE_NONE};
    CUmemoryPool pool;
    int result;

    if (!native->cuMemPoolCreate || !native->cuMemPoolDestroy)
        return cuda_driver_lacks(native, "cuMemPoolCreate");
    result = cuda_device_of(native, device, &properties.location.id);
    if (result == CUDA_SUCCESS)
        result = native->cuMemPoolCreate(&pool, &properties);
    if (result != CUDA_SUCCESS)
        return result;
    result = cuda_pool_begin(request, pool, device, false, made);
    if (result != 0)
        native->cuMemPoolDestroy(pool);
    return result;
}

int
cuda_host_pool_default(struct gpuvchan_request *request, struct cuda_pool **made, uint32_t device)
{
    const struct cuda_driver *native = cuda_native(request);
    CUmemoryPool pool;
    CUdevice number;
    int result;

    if (!native->cuDeviceGetDefaultMemPool)
        return cuda_driver_lacks(native, "cuDeviceGetDefaultMemPool");
    result = cuda_device_of(native, device, &number);
    if (result == CUDA_SUCCESS)
        result = native->cuDeviceGetDefaultMemPool(&pool, number);
    return result == CUDA_SUCCESS ? cuda_pool_begin(request, pool, device, true, made) : result;
}

int
cuda_host_pool_destroy(struct gpuvchan_request *request, struct cuda_pool *gone)
{
    struct cuda_lane *lane = cuda_lane_of(request);

    if (!gone->lasting)
        return cuda_object_close(lane, &gone->object);
    /* Only the guest's name for it goes. */
    cuda_object_end(lane->host, lane, &gone->object);
    cuda_object_destroy(lane->host, &gone->object);
    return CUDA_ERROR_INVALID_VALUE;
}

void
cuda_discard_pool(struct gpuvchan_request *request, struct cuda_pool *object)
{
    cuda_host_pool_destroy(request, object);
}

/* Announces the pool, which needs no context. @return 0, after which cuda_leave() must follow, or a CUresult. */
static int
pool_enter(struct cuda_lane *lane, struct cuda_pool *pool)
{
    if (cuda_lane_announce(lane, CUDA_SLOT_FIRST, &pool->object))
        return 0;
    return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
}

int
cuda_host_pool_choose(struct gpuvchan_request *request, struct cuda_pool *from, uint32_t device)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUdevice number;
    int result;

    if (!native->cuDeviceSetMemPool)
        return cuda_driver_lacks(native, "cuDeviceSetMemPool");
    result = cuda_device_of(native, device, &number);
    if (result == CUDA_SUCCESS)
        result = pool_enter(lane, from);
    return result ? result : cuda_leave(lane, native->cuDeviceSetMemPool(number, from->native));
}

int
cuda_host_pool_trim(struct gpuvchan_request *request, struct cuda_pool *of, uint64_t keep)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!native->cuMemPoolTrimTo)
        return cuda_driver_lacks(native, "cuMemPoolTrimTo");
    result = pool_enter(lane, of);
    return result ? result : cuda_leave(lane, native->cuMemPoolTrimTo(of->native, keep));
}

static bool
is_high(int32_t attribute)
{
    return attribute == CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH || attribute == CU_MEMPOOL_ATTR_USED_MEM_HIGH;
}

/* What is from before the worker was renewed: the driver does not count it any more. */
static uint64_t
placed_bytes(struct cuda_host *host, const struct cuda_pool *pool)
{
    uint64_t bytes = 0;

    pthread_rwlock_rdlock(&host->ranges.lock);
    for (size_t i = 0; i < host->ranges.count && host->places; i++) {
        const struct cuda_range *range = host->ranges.items[i];

        if (range->use == CUDA_RANGE_POOLED && range->placed && range->pool == pool->object.handle)
            bytes += range->bytes;
    }
    pthread_rwlock_unlock(&host->ranges.lock);
    return bytes;
}

static void
count_placed(struct cuda_host *host, const struct cuda_pool *pool, int32_t attribute, uint64_t *value)
{
    if (attribute == CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT || attribute == CU_MEMPOOL_ATTR_USED_MEM_CURRENT ||
        is_high(attribute))
        *value += placed_bytes(host, pool);
    if (is_high(attribute) && *value < pool->high_before)
        *value = pool->high_before;
}

uint64_t
cuda_pool_high(struct cuda_host *host, const struct cuda_pool *pool)
{
    uint64_t high = 0;

    if (!host->native->cuMemPoolGetAttribute ||
        host->native->cuMemPoolGetAttribute(pool->native, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &high) != CUDA_SUCCESS)
        return 0;
    count_placed(host, pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &high);
    return high;
}

/* An attribute is an int or 64 bits; the driver gets memory that holds either. */
int
cuda_host_pool_set_attribute(struct gpuvchan_request *request, struct cuda_pool *of, int32_t attribute, uint64_t value)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!native->cuMemPoolSetAttribute)
        return cuda_driver_lacks(native, "cuMemPoolSetAttribute");
    result = pool_enter(lane, of);
    if (result != 0)
        return result;
    result = native->cuMemPoolSetAttribute(of->native, (CUmemPool_attribute)attribute, &value);
    if (result == CUDA_SUCCESS && is_high(attribute))
        of->high_before = 0;
    return cuda_leave(lane, result);
}

int
cuda_host_pool_get_attribute(struct gpuvchan_request *request, struct cuda_pool *of, int32_t attribute, uint64_t *value)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!native->cuMemPoolGetAttribute)
        return cuda_driver_lacks(native, "cuMemPoolGetAttribute");
    result = pool_enter(lane, of);
    if (result != 0)
        return result;
    result = native->cuMemPoolGetAttribute(of->native, (CUmemPool_attribute)attribute, value);
    if (result == CUDA_SUCCESS)
        count_placed(lane->host, of, attribute, value);
    return cuda_leave(lane, result);
}

int
cuda_host_pool_set_access(struct gpuvchan_request *request, struct cuda_pool *of, const CUmemAccessDesc *grants,
                          size_t grants_count)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUmemAccessDesc wanted[CUDA_POOL_SET_ACCESS_GRANTS_MAX];
    int result;

    if (!native->cuMemPoolSetAccess)
        return cuda_driver_lacks(native, "cuMemPoolSetAccess");
    for (size_t i = 0; i < grants_count; i++) {
        wanted[i] = grants[i];
        if (wanted[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE)
            return CUDA_ERROR_INVALID_VALUE;
        result = cuda_device_of(native, (uint32_t)grants[i].location.id, &wanted[i].location.id);
        if (result != CUDA_SUCCESS)
            return result;
    }
    result = pool_enter(lane, of);
    return result ? result : cuda_leave(lane, native->cuMemPoolSetAccess(of->native, wanted, grants_count));
}

int
cuda_host_pool_get_access(struct gpuvchan_request *request, struct cuda_pool *of, uint32_t device, uint32_t *flags)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUmemLocation location = {.type = CU_MEM_LOCATION_TYPE_DEVICE};
    CUmemAccess_flags got = CU_MEM_ACCESS_FLAGS_PROT_NONE;
    int result;

    if (!native->cuMemPoolGetAccess)
        return cuda_driver_lacks(native, "cuMemPoolGetAccess");
    result = cuda_device_of(native, device, &location.id);
    if (result == CUDA_SUCCESS)
        result = pool_enter(lane, of);
    if (result != 0)
        return result;
    result = native->cuMemPoolGetAccess(&got, of->native, &location);
    *flags = (uint32_t)got;
    return cuda_leave(lane, result);
}

/* ---- Allocations ----------------------------------------------------------------------------- */

static int
allocated(struct cuda_lane *lane, CUgraph graph, uint32_t token, CUdeviceptr at, uint64_t bytes,
          const struct cuda_pool *from, CUstream stream)
{
    struct cuda_range *range;
    int result;

    if (graph)
        return cuda_graph_range_begin(lane, graph, token, at, bytes);
    range = cuda_range_create(lane->host, CUDA_RANGE_POOLED, at, bytes);
    if (range)
        range->pool = from ? from->object.handle : 0;
    result = range ? cuda_range_publish(lane->host, NULL, range) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result != 0)
        lane->host->native->cuMemFreeAsync(at, stream);
    return result;
}

int
cuda_host_pool_alloc(struct gpuvchan_request *request, uint64_t bytes, struct cuda_pool *from, struct cuda_stream *on,
                     uint32_t token, CUdeviceptr *address)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUstream stream = cuda_stream_native(on);
    CUgraph graph;
    CUdeviceptr at = 0;
    int result;

    if (!native->cuMemAllocAsync || !native->cuMemAllocFromPoolAsync || !native->cuMemFreeAsync)
        return cuda_driver_lacks(native, "cuMemAllocAsync");
    result = cuda_enter(lane, from ? &from->object : NULL, on ? &on->object : NULL);
    if (result != 0)
        return result;
    graph = cuda_graph_captured(native, stream);
    if ((graph != NULL) != (token != 0))
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    result = from ? native->cuMemAllocFromPoolAsync(&at, bytes, from->native, stream)
                  : native->cuMemAllocAsync(&at, bytes, stream);
    if (result == CUDA_SUCCESS)
        result = allocated(lane, graph, token, at, bytes, from, stream);
    *address = at;
    return cuda_leave(lane, result);
}

int
cuda_host_pool_free(struct gpuvchan_request *request, CUdeviceptr address, struct cuda_stream *on)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_range *range;
    int result;

    if (!native->cuMemFreeAsync)
        return cuda_driver_lacks(native, "cuMemFreeAsync");
    result = cuda_enter(lane, on ? &on->object : NULL, NULL);
    if (result != 0)
        return result;
    range = cuda_lane_range(lane, 0, address, 1);
    if (range && range->use == CUDA_RANGE_GRAPH) /* the graph allocates it again */
        return cuda_leave(lane, native->cuMemFreeAsync(address, cuda_stream_native(on)));
    range = cuda_allocation_take(lane, address);
    if (!range)
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    if (range->placed) /* not the pool's any more: the memory goes with the range */
        return cuda_allocation_leave(lane, range, native->cuStreamSynchronize(cuda_stream_native(on)));
    return cuda_allocation_leave(lane, range, native->cuMemFreeAsync(address, cuda_stream_native(on)));
}

/* ---- The end --------------------------------------------------------------------------------- */

static void
free_pooled(struct cuda_host *host, struct cuda_object *object)
{
    const struct cuda_range *range = (struct cuda_range *)object;

    if (range->use == CUDA_RANGE_POOLED && !range->placed)
        host->native->cuMemFree(range->start);
}

static void
destroy_pool(struct cuda_host *host, struct cuda_object *object)
{
    const struct cuda_pool *pool = (struct cuda_pool *)object;

    if (!pool->lasting)
        host->native->cuMemPoolDestroy(pool->native);
}

void
cuda_pools_end(struct cuda_host *host)
{
    /* Freeing wants a context, whichever; without one the driver frees when the process ends. */
    if (host->newest && host->native->cuCtxSetCurrent(host->newest->native) == CUDA_SUCCESS)
        cuda_objects_visit(host, CUDA_OBJECT_RANGE, free_pooled);
    cuda_objects_visit(host, CUDA_OBJECT_POOL, destroy_pool);
}
