/* SPDX-License-Identifier: MIT */
/* Allocations of device memory, and parts of the arena that the GPU reaches. */
#include "cuda_plugin.h"

#include "placed.h"

/* ---- Ranges ---------------------------------------------------------------------------------- */

/* A graph that had the address is gone, of which the driver tells later. */
static void
forget_stale(struct cuda_host *host, const struct cuda_range *range)
{
    struct cuda_range *stale;

    while ((stale = cuda_ranges_take(&host->ranges, range->start, range->bytes, CUDA_RANGE_GRAPH))) {
        cuda_object_end(host, NULL, &stale->object);
        cuda_object_destroy(host, &stale->object);
    }
}

static int
publish(struct cuda_host *host, struct cuda_object *owner, struct cuda_range *range)
{
    int result;

    cuda_object_begin(host, &range->object, owner, NULL);
    result = cuda_ranges_insert(&host->ranges, range);
    if (result == CUDA_ERROR_ALREADY_MAPPED) {
        forget_stale(host, range);
        result = cuda_ranges_insert(&host->ranges, range);
    }
    if (result != 0)
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "cuda: the driver gave %llu bytes at 0x%llx, which cannot be entered (%s)",
                     (unsigned long long)range->bytes, range->start, cuda_driver_error(host->native, (CUresult)result));
    return result;
}

struct cuda_range *
cuda_range_create(struct cuda_host *host, enum cuda_range_use use, CUdeviceptr start, uint64_t bytes)
{
    struct cuda_range *range = (struct cuda_range *)cuda_object_create(host, CUDA_OBJECT_RANGE);

    if (!range)
        return NULL;
    range->use = use;
    range->start = start;
    range->bytes = bytes;
    range->memory = NULL;
    atomic_store(&range->opened, 0);
    return range;
}

void
cuda_range_finish(struct cuda_host *host, struct cuda_range *range)
{
    range->ordered = false;
    if (range->placed)
        cuda_place_leave(host, range);
}

int
cuda_range_publish(struct cuda_host *host, struct cuda_object *owner, struct cuda_range *range)
{
    int result = publish(host, owner, range);

    if (result != 0)
        cuda_object_destroy(host, &range->object);
    return result;
}

int
cuda_range_begin(struct cuda_host *host, struct cuda_object *owner, enum cuda_range_use use, CUdeviceptr start,
                 uint64_t bytes)
{
    struct cuda_range *range = cuda_range_create(host, use, start, bytes);

    return range ? cuda_range_publish(host, owner, range) : CUDA_ERROR_OUT_OF_MEMORY;
}

/* ---- Device memory --------------------------------------------------------------------------- */

static int
allocated(struct cuda_lane *lane, CUdeviceptr address, uint64_t bytes)
{
    int result = cuda_range_begin(lane->host, &lane->current->object, CUDA_RANGE_ALLOCATION, address, bytes);

    if (result != 0)
        lane->host->native->cuMemFree(address);
    return result;
}

int
cuda_host_mem_alloc(struct gpuvchan_request *request, uint64_t bytes, CUdeviceptr *address)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, NULL, NULL);
    CUdeviceptr at = 0;

    if (result != 0)
        return result;
    result = cuda_native(request)->cuMemAlloc(&at, bytes);
    if (result == CUDA_SUCCESS)
        result = allocated(lane, at, bytes);
    *address = at;
    return cuda_leave(lane, result);
}

int
cuda_host_mem_alloc_pitch(struct gpuvchan_request *request, uint64_t width, uint64_t height, uint32_t element,
                          CUdeviceptr *address, uint64_t *pitch)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, NULL, NULL);
    size_t between = 0;
    CUdeviceptr at = 0;

    if (result != 0)
        return result;
    result = cuda_native(request)->cuMemAllocPitch(&at, &between, width, height, element);
    if (result == CUDA_SUCCESS)
        result = allocated(lane, at, (uint64_t)between * height); /* it has that, so this does not overflow */
    *address = at;
    *pitch = between;
    return cuda_leave(lane, result);
}

struct cuda_range *
cuda_allocation_take(struct cuda_lane *lane, CUdeviceptr address)
{
    struct cuda_range *range = cuda_lane_range(lane, 0, address, 1);

    /* Of two lanes that free the same one, one gets it. */
    if (!range || range->start != address || (range->use != CUDA_RANGE_ALLOCATION && range->use != CUDA_RANGE_POOLED) ||
        !cuda_ranges_remove(&lane->host->ranges, range))
        return NULL;
    cuda_object_end(lane->host, lane, &range->object);
    return range;
}

int
cuda_allocation_leave(struct cuda_lane *lane, struct cuda_range *range, int result)
{
    if (result != 0) {
        /* The driver still has it, and so has the guest: after a fault, say. It goes with its context. */
        atomic_store(&range->object.alive, true);
        cuda_ranges_insert(&lane->host->ranges, range);
        return cuda_leave(lane, result);
    }
    cuda_leave(lane, 0);
    cuda_object_destroy(lane->host, &range->object);
    return 0;
}

int
cuda_host_mem_free(struct gpuvchan_request *request, CUdeviceptr address)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = address ? cuda_enter(lane, NULL, NULL) : 0;
    struct cuda_range *range;

    if (result != 0 || !address)
        return result;
    range = cuda_lane_range(lane, 0, address, 1);
    if (range && range->use == CUDA_RANGE_GRAPH) /* the graph allocates it again */
        return cuda_leave(lane, cuda_native(request)->cuMemFree(address));
    range = cuda_allocation_take(lane, address);
    if (!range)
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    if (range->placed) /* waits as the driver's own function does; the memory goes with the range */
        return cuda_allocation_leave(lane, range, cuda_native(request)->cuCtxSynchronize());
    return cuda_allocation_leave(lane, range, cuda_native(request)->cuMemFree(address));
}

int
cuda_host_mem_info(struct gpuvchan_request *request, uint64_t *free_bytes, uint64_t *total_bytes)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, NULL, NULL);
    size_t unused = 0, total = 0;

    if (result != 0)
        return result;
    result = cuda_native(request)->cuMemGetInfo(&unused, &total);
    *free_bytes = unused;
    *total_bytes = total;
    return cuda_leave(lane, result);
}

int
cuda_host_pointer_set_attribute(struct gpuvchan_request *request, CUdeviceptr address, int32_t attribute, bool value)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    unsigned int wanted = value;
    struct cuda_range *range;
    int result;

    if (!native->cuPointerSetAttribute)
        return cuda_driver_lacks(native, "cuPointerSetAttribute");
    result = cuda_enter(lane, NULL, NULL);
    if (result != 0)
        return result;
    /* Of all that can be set, the one that is no more than a number. */
    range = attribute == CU_POINTER_ATTRIBUTE_SYNC_MEMOPS ? cuda_lane_range(lane, 0, address, 1) : NULL;
    if (!range)
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    result = native->cuPointerSetAttribute(&wanted, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, address);
    if (result == CUDA_SUCCESS)
        range->ordered = value;
    return cuda_leave(lane, result);
}

/* ---- The arena ------------------------------------------------------------------------------- */

/* With the lock. */
static bool
overlaps_registered(const struct cuda_host *host, const unsigned char *memory, size_t bytes)
{
    for (const struct cuda_range *range = host->registered; range; range = range->next)
        if (memory < range->memory + range->bytes && range->memory < memory + bytes)
            return true;
    return false;
}

/* Enters what is about to be registered, so that no other lane registers it as well. */
static int
reserve(struct cuda_host *host, unsigned char *memory, size_t bytes, struct cuda_range **out)
{
    struct cuda_range *range = (struct cuda_range *)cuda_object_create(host, CUDA_OBJECT_RANGE);
    bool taken;

    if (!range)
        return CUDA_ERROR_OUT_OF_MEMORY;
    range->use = CUDA_RANGE_REGISTERED;
    range->memory = memory;
    range->bytes = bytes;
    pthread_mutex_lock(&host->lock);
    taken = overlaps_registered(host, memory, bytes);
    if (!taken) {
        range->next = host->registered;
        host->registered = range;
    }
    pthread_mutex_unlock(&host->lock);
    if (taken) {
        cuda_object_destroy(host, &range->object);
        return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    }
    *out = range;
    return 0;
}

/* Takes it out of the list; gives its memory back too. */
static void
release(struct cuda_host *host, struct cuda_range *range)
{
    struct cuda_range **at = &host->registered;

    pthread_mutex_lock(&host->lock);
    while (*at && *at != range)
        at = &(*at)->next;
    if (*at)
        *at = range->next;
    pthread_mutex_unlock(&host->lock);
    cuda_object_destroy(host, &range->object);
}

static int
register_native(struct cuda_lane *lane, struct cuda_range *range)
{
    const struct cuda_driver *native = lane->host->native;
    /* The guest's own flags say how it wants to use the memory; here they have other meanings. */
    int result = native->cuMemHostRegister(range->memory, range->bytes,
                                           CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP);

    if (result != CUDA_SUCCESS)
        return result;
    result = native->cuMemHostGetDevicePointer(&range->start, range->memory, 0);
    if (result == CUDA_SUCCESS)
        result = publish(lane->host, &lane->current->object, range);
    if (result != CUDA_SUCCESS)
        native->cuMemHostUnregister(range->memory);
    return result;
}

int
cuda_host_host_register(struct gpuvchan_request *request, void *memory, size_t memory_bytes, uint32_t flags,
                        CUdeviceptr *address)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_range *range;
    int result;

    (void)flags;
    if (memory_bytes == 0 || memory_bytes % 4096 != 0 || (uintptr_t)memory % 4096 != 0)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_enter(lane, NULL, NULL);
    if (result != 0)
        return result;
    result = reserve(lane->host, memory, memory_bytes, &range);
    if (result == 0) {
        result = register_native(lane, range);
        if (result == 0)
            *address = range->start;
        else
            release(lane->host, range);
    }
    return cuda_leave(lane, result);
}

/* The registration of exactly this memory, announced and out of the table of addresses. */
static struct cuda_range *
take_registration(struct cuda_lane *lane, const unsigned char *memory, size_t bytes)
{
    struct cuda_host *host = lane->host;
    struct cuda_range *range;

    pthread_mutex_lock(&host->lock);
    range = host->registered;
    while (range && (range->memory != memory || range->bytes != bytes))
        range = range->next;
    if (range && !cuda_lane_announce(lane, CUDA_SLOT_RANGE, &range->object))
        range = NULL; /* not registered yet, or no more */
    pthread_mutex_unlock(&host->lock);
    if (!range || !cuda_ranges_remove(&host->ranges, range))
        return NULL;
    cuda_object_end(host, lane, &range->object);
    return range;
}

int
cuda_host_host_unregister(struct gpuvchan_request *request, void *memory, size_t memory_bytes)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, NULL, NULL);
    struct cuda_range *range;

    if (result != 0)
        return result;
    range = take_registration(lane, memory, memory_bytes);
    if (!range)
        return cuda_leave(lane, CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    result = cuda_native(request)->cuMemHostUnregister(memory);
    if (result != CUDA_SUCCESS) {
        atomic_store(&range->object.alive, true);
        cuda_ranges_insert(&lane->host->ranges, range);
        return cuda_leave(lane, result);
    }
    cuda_leave(lane, 0);
    release(lane->host, range);
    return 0;
}
