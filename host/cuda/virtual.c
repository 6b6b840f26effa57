/* SPDX-License-Identifier: MIT */
/*
 * Address space and physical memory of the device, apart.
 *
 * Design notes: a reservation is a range that is in no table, and owns its mappings, which are: only what is mapped
 * may be named by a record. A record that names several mappings that lie side by side uses their reservation, so
 * one of them may be unmapped under it, which the device then answers; but the addresses stay the
 * guest's as long as the record lasts. None of this is part of a context.
 */
#include "cuda_plugin.h"

/* Where a guest that does not care gets addresses, if they are free: the same in every run. */
#define SUGGESTED_START 0x420000000000ull
#define SUGGESTED_END 0x500000000000ull
#define SUGGESTED_ALIGNMENT (2ull << 20)

bool
cuda_virtual_known(const struct cuda_driver *native)
{
    return native->cuMemAddressReserve && native->cuMemAddressFree && native->cuMemCreate && native->cuMemRelease &&
           native->cuMemMap && native->cuMemUnmap && native->cuMemSetAccess && native->cuMemGetAccess &&
           native->cuMemGetAllocationGranularity;
}

/* ---- Address space --------------------------------------------------------------------------- */

int
cuda_reservation_begin(struct cuda_host *host, CUdeviceptr address, uint64_t bytes)
{
    struct cuda_range *range = (struct cuda_range *)cuda_object_create(host, CUDA_OBJECT_RANGE);

    if (!range)
        return CUDA_ERROR_OUT_OF_MEMORY;
    range->use = CUDA_RANGE_RESERVED;
    range->start = address;
    range->bytes = bytes;
    range->memory = NULL;
    cuda_object_begin(host, &range->object, NULL, NULL);
    pthread_mutex_lock(&host->lock);
    range->next = host->reserved;
    host->reserved = range;
    pthread_mutex_unlock(&host->lock);
    return 0;
}

static CUdeviceptr
suggest(struct cuda_host *host, uint64_t bytes, uint64_t alignment)
{
    CUdeviceptr start = 0;

    if (alignment < SUGGESTED_ALIGNMENT)
        alignment = SUGGESTED_ALIGNMENT;
    pthread_mutex_lock(&host->lock);
    if (host->suggested == 0)
        host->suggested = SUGGESTED_START;
    if (alignment < SUGGESTED_START && bytes < SUGGESTED_END - SUGGESTED_START) {
        start = (host->suggested + alignment - 1) / alignment * alignment;
        if (start < SUGGESTED_END && bytes <= SUGGESTED_END - start)
            host->suggested = start + bytes;
        else
            start = 0;
    }
    pthread_mutex_unlock(&host->lock);
    return start;
}

int
cuda_reserve_exactly(const struct cuda_driver *native, CUdeviceptr start, uint64_t bytes)
{
    CUdeviceptr got = 0;
    int result;

    if (!cuda_virtual_known(native))
        return cuda_driver_lacks(native, "cuMemAddressReserve");
    result = native->cuMemAddressReserve(&got, bytes, 0, start, 0);
    if (result != CUDA_SUCCESS || got == start)
        return result;
    native->cuMemAddressFree(got, bytes);
    return CUDA_ERROR_ALREADY_MAPPED;
}

int
cuda_host_virtual_reserve(struct gpuvchan_request *request, uint64_t bytes, uint64_t alignment, CUdeviceptr wanted,
                          CUdeviceptr *address)
{
    const struct cuda_driver *native = cuda_native(request);
    CUdeviceptr at = 0;
    int result;

    if (!cuda_virtual_known(native))
        return cuda_driver_lacks(native, "cuMemAddressReserve");
    if (wanted == 0)
        wanted = suggest(cuda_host_of(request), bytes, alignment);
    result = native->cuMemAddressReserve(&at, bytes, alignment, wanted, 0);
    if (result != CUDA_SUCCESS)
        return result;
    result = cuda_reservation_begin(cuda_host_of(request), at, bytes);
    if (result != 0)
        native->cuMemAddressFree(at, bytes);
    *address = at;
    return result;
}

/* Announces the reservation that holds these addresses. NULL: there is none. */
static struct cuda_range *
reservation_find(struct cuda_lane *lane, CUdeviceptr address, uint64_t bytes)
{
    struct cuda_host *host = lane->host;
    struct cuda_range *range;

    pthread_mutex_lock(&host->lock);
    for (range = host->reserved; range; range = range->next)
        if (address - range->start < range->bytes && bytes <= range->bytes - (address - range->start))
            break;
    if (range && !cuda_lane_announce(lane, CUDA_SLOT_RANGE, &range->object))
        range = NULL;
    pthread_mutex_unlock(&host->lock);
    return range;
}

/* Takes an empty reservation out of the list. */
static bool
reservation_take(struct cuda_host *host, struct cuda_range *range)
{
    struct cuda_range **at = &host->reserved;
    bool taken;

    pthread_mutex_lock(&host->lock);
    while (*at && *at != range)
        at = &(*at)->next;
    taken = *at && !range->object.newest;
    if (taken)
        *at = range->next;
    pthread_mutex_unlock(&host->lock);
    return taken;
}

int
cuda_host_virtual_free(struct gpuvchan_request *request, CUdeviceptr address, uint64_t bytes)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_range *range = reservation_find(lane, address, bytes);
    int result;

    if (!range || range->start != address || range->bytes != bytes || !reservation_take(lane->host, range))
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    cuda_object_end(lane->host, lane, &range->object);
    result = native->cuMemAddressFree(address, bytes);
    cuda_leave(lane, 0);
    cuda_object_destroy(lane->host, &range->object);
    return result;
}

/* ---- Physical memory ------------------------------------------------------------------------- */

CUmemAllocationProp
cuda_physical_properties(CUdevice device)
{
    return (CUmemAllocationProp){.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                 .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device}};
}

int
cuda_host_physical_granularity(struct gpuvchan_request *request, uint32_t device, uint32_t option, uint64_t *bytes)
{
    const struct cuda_driver *native = cuda_native(request);
    CUmemAllocationProp wanted;
    size_t got = 0;
    CUdevice number;
    int result;

    if (!cuda_virtual_known(native))
        return cuda_driver_lacks(native, "cuMemGetAllocationGranularity");
    result = cuda_device_of(native, device, &number);
    if (result != CUDA_SUCCESS)
        return result;
    wanted = cuda_physical_properties(number);
    result = native->cuMemGetAllocationGranularity(&got, &wanted, (CUmemAllocationGranularity_flags)option);
    *bytes = got;
    return result;
}

int
cuda_host_physical_create(struct gpuvchan_request *request, struct cuda_physical **made, uint32_t device,
                          uint64_t bytes, uint32_t wants, uint64_t *granularity, bool *compressed)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_physical *physical;
    CUmemAllocationProp wanted, got = {0};
    CUdevice number;
    int result = cuda_host_physical_granularity(request, device, CU_MEM_ALLOC_GRANULARITY_MINIMUM, granularity);

    if (result == CUDA_SUCCESS)
        result = cuda_device_of(native, device, &number);
    if (result != CUDA_SUCCESS)
        return result;
    physical = (struct cuda_physical *)cuda_object_create(host, CUDA_OBJECT_PHYSICAL);
    if (!physical)
        return CUDA_ERROR_OUT_OF_MEMORY;
    wanted = cuda_physical_properties(number);
    if (wants & CUDA_PHYSICAL_COMPRESSIBLE)
        wanted.allocFlags.compressionType = CU_MEM_ALLOCATION_COMP_GENERIC;
    if (wants & CUDA_PHYSICAL_TILES)
        wanted.allocFlags.usage = CU_MEM_CREATE_USAGE_TILE_POOL;
    /* Programs ask for it that never export. */
    if (wants & CUDA_PHYSICAL_SHAREABLE && cuda_ipc_allowed())
        wanted.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    physical->bytes = bytes;
    result = native->cuMemCreate(&physical->native, bytes, &wanted, 0);
    if (result != CUDA_SUCCESS) {
        cuda_object_destroy(host, &physical->object);
        return result;
    }
    if (wants & CUDA_PHYSICAL_COMPRESSIBLE && native->cuMemGetAllocationPropertiesFromHandle)
        native->cuMemGetAllocationPropertiesFromHandle(&got, physical->native);
    *compressed = got.allocFlags.compressionType == CU_MEM_ALLOCATION_COMP_GENERIC;
    cuda_object_begin(host, &physical->object, NULL, request);
    *made = physical;
    return 0;
}

int
cuda_host_physical_release(struct gpuvchan_request *request, struct cuda_physical *gone)
{
    return cuda_object_close(cuda_lane_of(request), &gone->object);
}

void
cuda_discard_physical(struct gpuvchan_request *request, struct cuda_physical *object)
{
    cuda_object_close(cuda_lane_of(request), &object->object);
}

int
cuda_physical_map(const struct cuda_driver *native, const CUmemAllocationProp *wanted, CUdeviceptr start,
                  uint64_t bytes)
{
    CUmemAccessDesc access = {.location = wanted->location, .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemGenericAllocationHandle memory;
    int result = native->cuMemCreate(&memory, bytes, wanted, 0);

    if (result != CUDA_SUCCESS)
        return result;
    result = native->cuMemMap(start, bytes, 0, memory, 0);
    native->cuMemRelease(memory);
    if (result != CUDA_SUCCESS)
        return result;
    result = native->cuMemSetAccess(start, bytes, &access, 1);
    if (result != CUDA_SUCCESS)
        native->cuMemUnmap(start, bytes);
    return result;
}

/* ---- Mappings -------------------------------------------------------------------------------- */

int
cuda_mapping_begin(struct cuda_host *host, struct cuda_object *reservation, CUdeviceptr address, uint64_t bytes,
                   uint32_t physical, uint64_t offset)
{
    struct cuda_range *range = cuda_range_create(host, CUDA_RANGE_MAPPED, address, bytes);

    if (!range)
        return CUDA_ERROR_OUT_OF_MEMORY;
    range->physical = physical;
    range->offset = offset;
    return cuda_range_publish(host, reservation, range);
}

int
cuda_host_virtual_map(struct gpuvchan_request *request, struct cuda_physical *from, CUdeviceptr address, uint64_t bytes,
                      uint64_t offset)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_range *reservation = reservation_find(lane, address, bytes);
    int result;

    if (!reservation || !cuda_lane_announce(lane, CUDA_SLOT_FIRST, &from->object))
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    result = native->cuMemMap(address, bytes, offset, from->native, 0);
    if (result != CUDA_SUCCESS)
        return cuda_leave(lane, result);
    result = cuda_mapping_begin(lane->host, &reservation->object, address, bytes, from->object.handle, offset);
    if (result != 0)
        native->cuMemUnmap(address, bytes);
    return cuda_leave(lane, result);
}

/* Unmaps the mapping that begins at @p address and ends within @p bytes; *@p unmapped is its size. */
static int
unmap(struct cuda_lane *lane, CUdeviceptr address, uint64_t bytes, uint64_t *unmapped)
{
    struct cuda_ranges *ranges = &lane->host->ranges;
    struct cuda_range *range;
    int result;

    pthread_rwlock_rdlock(&ranges->lock);
    range = cuda_ranges_find(ranges, address, 1);
    if (range && (range->use != CUDA_RANGE_MAPPED || range->start != address || range->bytes > bytes))
        range = NULL;
    if (range)
        atomic_store(&lane->uses[CUDA_SLOT_RANGE + 1], &range->object);
    pthread_rwlock_unlock(&ranges->lock);
    if (!range || !cuda_ranges_remove(ranges, range))
        return CUDA_ERROR_INVALID_VALUE;
    *unmapped = range->bytes;
    cuda_object_end(lane->host, lane, &range->object);
    result = lane->host->native->cuMemUnmap(address, range->bytes);
    cuda_object_destroy(lane->host, &range->object);
    return result;
}

int
cuda_host_virtual_unmap(struct gpuvchan_request *request, CUdeviceptr address, uint64_t bytes)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = reservation_find(lane, address, bytes) ? 0 : CUDA_ERROR_INVALID_VALUE;
    uint64_t unmapped = 0;

    for (; result == 0 && bytes > 0; bytes -= unmapped, address += unmapped)
        result = unmap(lane, address, bytes, &unmapped);
    return cuda_leave(lane, result);
}

int
cuda_host_virtual_set_access(struct gpuvchan_request *request, CUdeviceptr address, uint64_t bytes,
                             const CUmemAccessDesc *grants, size_t grants_count)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUmemAccessDesc wanted[CUDA_VIRTUAL_SET_ACCESS_GRANTS_MAX];

    for (size_t i = 0; i < grants_count; i++) {
        int result;

        wanted[i] = grants[i];
        if (wanted[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE)
            return CUDA_ERROR_INVALID_VALUE;
        result = cuda_device_of(native, (uint32_t)grants[i].location.id, &wanted[i].location.id);
        if (result != CUDA_SUCCESS)
            return result;
    }
    if (!reservation_find(lane, address, bytes) || !cuda_lane_range(lane, 1, address, bytes))
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    return cuda_leave(lane, native->cuMemSetAccess(address, bytes, wanted, grants_count));
}

int
cuda_host_virtual_get_access(struct gpuvchan_request *request, CUdeviceptr address, uint32_t device, uint64_t *flags)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUmemLocation location = {.type = CU_MEM_LOCATION_TYPE_DEVICE};
    unsigned long long got = 0;
    int result = cuda_device_of(native, device, &location.id);

    if (result != CUDA_SUCCESS)
        return result;
    if (!reservation_find(lane, address, 1) || !cuda_lane_range(lane, 1, address, 1))
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    result = native->cuMemGetAccess(&got, &location, address);
    *flags = got;
    return cuda_leave(lane, result);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void
end_mapping(struct cuda_host *host, struct cuda_object *object)
{
    const struct cuda_range *range = (struct cuda_range *)object;

    if (range->use == CUDA_RANGE_MAPPED)
        host->native->cuMemUnmap(range->start, range->bytes);
}

static void
end_physical(struct cuda_host *host, struct cuda_object *object)
{
    host->native->cuMemRelease(((struct cuda_physical *)object)->native);
}

void
cuda_virtual_end(struct cuda_host *host)
{
    cuda_objects_visit(host, CUDA_OBJECT_RANGE, end_mapping);
    cuda_objects_visit(host, CUDA_OBJECT_PHYSICAL, end_physical);
    for (const struct cuda_range *range = host->reserved; range; range = range->next)
        host->native->cuMemAddressFree(range->start, range->bytes);
}
