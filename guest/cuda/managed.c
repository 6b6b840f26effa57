/* SPDX-License-Identifier: MIT */
/*
 * Managed memory.
 *
 * Design notes: it lies in the arena, pinned, where the worker maps the arena at the guest's addresses. So the
 * program's processor and the device use the same pages under the same pointer at any time, and nothing
 * migrates: it is slower for the device than its own memory, and coherent without anybody's help. What a program
 * says about where the memory should be is checked, kept and told again, and has no effect. Other memory of the program
 * is out of the device's reach, and hints about it are refused.
 */
#include <string.h>

#include "device.h"
#include "hints.h"

#define HOST_LOCATION ((CUmemLocation){.type = CU_MEM_LOCATION_TYPE_HOST, .id = 0})

/* ---- Allocation ------------------------------------------------------------------------------ */

ENTRY
cuMemAllocManaged(CUdeviceptr *address, size_t bytes, unsigned int flags)
{
    struct cuda_guest_thread *self;
    void *pointer;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!address || bytes == 0 || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
        return CUDA_ERROR_INVALID_VALUE;
    if (!cuda_guest.same_address)
        return CUDA_ERROR_NOT_SUPPORTED;
    result = cuda_guest_arena_alloc(self, CUDA_GUEST_MANAGED, bytes, flags, &pointer);
    if (result != CUDA_SUCCESS)
        return result;
    result = cuda_guest_hints_create((uintptr_t)pointer, bytes);
    if (result == CUDA_SUCCESS)
        *address = (uintptr_t)pointer;
    else
        cuda_guest_managed_free(self, (uintptr_t)pointer);
    return result;
}

CUresult
cuda_guest_managed_free(struct cuda_guest_thread *self, CUdeviceptr address)
{
    struct cuda_guest_range range;

    if (!cuda_guest_range_take(address, CUDA_GUEST_MANAGED, &range))
        return CUDA_ERROR_INVALID_VALUE;
    cuda_guest_hints_destroy(address);
    return cuda_guest_arena_free(self, &range);
}

/* ---- Hints ----------------------------------------------------------------------------------- */

static CUmemLocation
location_of(CUdevice device)
{
    if (device == CU_DEVICE_CPU)
        return HOST_LOCATION;
    return (CUmemLocation){.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device};
}

static CUresult
location_check(const CUmemLocation *location)
{
    switch (location->type) {
    case CU_MEM_LOCATION_TYPE_DEVICE:
        return cuda_guest_device(location->id) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
    case CU_MEM_LOCATION_TYPE_HOST:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

static void
change_prefetched(struct cuda_guest_hints *hints, const void *wanted)
{
    hints->prefetched = *(const CUmemLocation *)wanted;
}

/* Behind all that the stream has: as there is nothing to do, it is done. */
static CUresult
prefetch(CUdeviceptr address, size_t bytes, CUmemLocation location, unsigned flags, CUstream stream)
{
    struct cuda_guest_thread *self;
    uint32_t wire;
    CUresult result = cuda_guest_enter(&self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_stream_wire(self, stream, &wire, NULL);
    if (result != CUDA_SUCCESS)
        return result;
    if (bytes == 0 || flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    result = location_check(&location);
    return result == CUDA_SUCCESS ? cuda_guest_hints_set(address, bytes, change_prefetched, &location) : result;
}

ENTRY
cuMemPrefetchAsync_v2(CUdeviceptr address, size_t bytes, CUmemLocation location, unsigned int flags, CUstream stream)
{
    return prefetch(address, bytes, location, flags, stream);
}

ENTRY
cuMemPrefetchAsync_v2_ptsz(CUdeviceptr address, size_t bytes, CUmemLocation location, unsigned int flags,
                           CUstream stream)
{
    return prefetch(address, bytes, location, flags, cuda_guest_per_thread(stream));
}

ENTRY
cuMemPrefetchAsync(CUdeviceptr address, size_t bytes, CUdevice device, CUstream stream)
{
    return prefetch(address, bytes, location_of(device), 0, stream);
}

ENTRY
cuMemPrefetchAsync_ptsz(CUdeviceptr address, size_t bytes, CUdevice device, CUstream stream)
{
    return prefetch(address, bytes, location_of(device), 0, cuda_guest_per_thread(stream));
}

struct advice {
    CUmem_advise advice;
    CUmemLocation location;
};

static void
change_accessed_by(struct cuda_guest_hints *hints, const CUmemLocation *location, bool set)
{
    uint64_t bit = 1ull << (location->id & 63);

    if (location->type != CU_MEM_LOCATION_TYPE_DEVICE)
        hints->accessed_by_host = set;
    else if (set)
        hints->accessed_by |= bit;
    else
        hints->accessed_by &= ~bit;
}

static void
change_advice(struct cuda_guest_hints *hints, const void *wanted)
{
    const struct advice *advice = wanted;

    switch (advice->advice) {
    case CU_MEM_ADVISE_SET_READ_MOSTLY:
    case CU_MEM_ADVISE_UNSET_READ_MOSTLY:
        hints->read_mostly = advice->advice == CU_MEM_ADVISE_SET_READ_MOSTLY;
        break;
    case CU_MEM_ADVISE_SET_PREFERRED_LOCATION:
        hints->preferred = advice->location;
        break;
    case CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION:
        hints->preferred = (CUmemLocation){.type = CU_MEM_LOCATION_TYPE_INVALID};
        break;
    default:
        change_accessed_by(hints, &advice->location, advice->advice == CU_MEM_ADVISE_SET_ACCESSED_BY);
    }
}

ENTRY
cuMemAdvise_v2(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUmemLocation location)
{
    struct advice wanted = {.advice = advice, .location = location};
    CUresult result = cuda_guest_ready();

    if (result != CUDA_SUCCESS)
        return result;
    if (bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    switch (advice) {
    case CU_MEM_ADVISE_SET_READ_MOSTLY:
    case CU_MEM_ADVISE_UNSET_READ_MOSTLY:
    case CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION:
        break; /* of no place */
    case CU_MEM_ADVISE_SET_PREFERRED_LOCATION:
    case CU_MEM_ADVISE_SET_ACCESSED_BY:
    case CU_MEM_ADVISE_UNSET_ACCESSED_BY:
        result = location_check(&location);
        break;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
    return result == CUDA_SUCCESS ? cuda_guest_hints_set(address, bytes, change_advice, &wanted) : result;
}

ENTRY
cuMemAdvise(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUdevice device)
{
    return cuMemAdvise_v2(address, bytes, advice, location_of(device));
}

/* ---- What was hinted ------------------------------------------------------------------------- */

static int
device_in(const CUmemLocation *location)
{
    switch (location->type) {
    case CU_MEM_LOCATION_TYPE_INVALID:
        return CU_DEVICE_INVALID;
    case CU_MEM_LOCATION_TYPE_DEVICE:
        return location->id;
    default:
        return CU_DEVICE_CPU;
    }
}

/* The devices, and the host; what is left of the array says that there are no more. */
static void
list_accessed_by(const struct cuda_guest_hints *hints, int *devices, size_t room)
{
    size_t used = 0;

    if (hints->accessed_by_host && used < room)
        devices[used++] = CU_DEVICE_CPU;
    for (int i = 0; i < 64; i++)
        if (hints->accessed_by >> i & 1 && used < room)
            devices[used++] = i;
    while (used < room)
        devices[used++] = CU_DEVICE_INVALID;
}

static int
attribute_of(const struct cuda_guest_hints *hints, CUmem_range_attribute attribute)
{
    switch (attribute) {
    case CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY:
        return hints->read_mostly;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION:
        return device_in(&hints->preferred);
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION:
        return device_in(&hints->prefetched);
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE:
        return (int)hints->preferred.type;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_ID:
        return hints->preferred.id;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_TYPE:
        return (int)hints->prefetched.type;
    default:
        return hints->prefetched.id;
    }
}

ENTRY
cuMemRangeGetAttribute(void *data, size_t data_bytes, CUmem_range_attribute attribute, CUdeviceptr address,
                       size_t bytes)
{
    struct cuda_guest_hints hints;
    CUresult result = cuda_guest_ready();
    int value;

    if (result != CUDA_SUCCESS)
        return result;
    if (!data || bytes == 0 || (int)attribute < CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY ||
        attribute > CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_ID || data_bytes == 0 ||
        data_bytes % sizeof(int) != 0 ||
        (attribute != CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY && data_bytes != sizeof(int)) ||
        !cuda_guest_hints_get(address, bytes, &hints))
        return CUDA_ERROR_INVALID_VALUE;
    if (attribute == CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY) {
        list_accessed_by(&hints, data, data_bytes / sizeof(int));
        return CUDA_SUCCESS;
    }
    value = attribute_of(&hints, attribute);
    memcpy(data, &value, sizeof(value));
    return CUDA_SUCCESS;
}

ENTRY
cuMemRangeGetAttributes(void **data, size_t *data_bytes, CUmem_range_attribute *attributes, size_t count,
                        CUdeviceptr address, size_t bytes)
{
    CUresult result = cuda_guest_ready();

    if (result == CUDA_SUCCESS && (!data || !data_bytes || !attributes || count == 0))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++)
        result = cuMemRangeGetAttribute(data[i], data_bytes[i], attributes[i], address, bytes);
    return result;
}

/* ---- Many at once ---------------------------------------------------------------------------- */

struct batch {
    const CUdeviceptr *addresses;
    const size_t *bytes;
    size_t count;
    const CUmemLocation *locations;
    const size_t *firsts; /* the piece from which a location counts */
    size_t location_count;
};

static bool
batch_is_valid(const struct batch *batch, unsigned long long flags)
{
    struct cuda_guest_hints hints;

    if (!batch->addresses || !batch->bytes || batch->count == 0 || flags != 0)
        return false;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->bytes[i] == 0 || !cuda_guest_hints_get(batch->addresses[i], batch->bytes[i], &hints))
            return false;
    return true;
}

static bool
locations_are_valid(const struct batch *batch)
{
    if (!batch->locations || !batch->firsts || batch->location_count == 0 || batch->location_count > batch->count ||
        batch->firsts[0] != 0)
        return false;
    for (size_t i = 0; i < batch->location_count; i++)
        if (location_check(&batch->locations[i]) != CUDA_SUCCESS || batch->firsts[i] >= batch->count ||
            (i > 0 && batch->firsts[i] <= batch->firsts[i - 1]))
            return false;
    return true;
}

static CUresult
batch_prefetch(const struct batch *batch, unsigned long long flags, CUstream stream)
{
    CUresult result = CUDA_SUCCESS;
    size_t at = 0;

    if (!batch_is_valid(batch, flags) || !locations_are_valid(batch))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < batch->count && result == CUDA_SUCCESS; i++) {
        if (at + 1 < batch->location_count && batch->firsts[at + 1] == i)
            at++;
        result = prefetch(batch->addresses[i], batch->bytes[i], batch->locations[at], 0, stream);
    }
    return result;
}

ENTRY
cuMemPrefetchBatchAsync(CUdeviceptr *addresses, size_t *bytes, size_t count, CUmemLocation *locations, size_t *firsts,
                        size_t location_count, unsigned long long flags, CUstream stream)
{
    const struct batch batch = {addresses, bytes, count, locations, firsts, location_count};
    CUresult result = cuda_guest_ready();

    return result == CUDA_SUCCESS ? batch_prefetch(&batch, flags, stream) : result;
}

ENTRY
cuMemPrefetchBatchAsync_ptsz(CUdeviceptr *addresses, size_t *bytes, size_t count, CUmemLocation *locations,
                             size_t *firsts, size_t location_count, unsigned long long flags, CUstream stream)
{
    return cuMemPrefetchBatchAsync(addresses, bytes, count, locations, firsts, location_count, flags,
                                   cuda_guest_per_thread(stream));
}

/* What is discarded may keep its contents. */
ENTRY
cuMemDiscardBatchAsync(CUdeviceptr *addresses, size_t *bytes, size_t count, unsigned long long flags, CUstream stream)
{
    const struct batch batch = {.addresses = addresses, .bytes = bytes, .count = count};
    struct cuda_guest_thread *self;
    uint32_t wire;
    CUresult result = cuda_guest_enter(&self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_stream_wire(self, stream, &wire, NULL);
    if (result == CUDA_SUCCESS && !batch_is_valid(&batch, flags))
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

ENTRY
cuMemDiscardBatchAsync_ptsz(CUdeviceptr *addresses, size_t *bytes, size_t count, unsigned long long flags,
                            CUstream stream)
{
    return cuMemDiscardBatchAsync(addresses, bytes, count, flags, cuda_guest_per_thread(stream));
}

ENTRY
cuMemDiscardAndPrefetchBatchAsync(CUdeviceptr *addresses, size_t *bytes, size_t count, CUmemLocation *locations,
                                  size_t *firsts, size_t location_count, unsigned long long flags, CUstream stream)
{
    return cuMemPrefetchBatchAsync(addresses, bytes, count, locations, firsts, location_count, flags, stream);
}

ENTRY
cuMemDiscardAndPrefetchBatchAsync_ptsz(CUdeviceptr *addresses, size_t *bytes, size_t count, CUmemLocation *locations,
                                       size_t *firsts, size_t location_count, unsigned long long flags, CUstream stream)
{
    return cuMemPrefetchBatchAsync(addresses, bytes, count, locations, firsts, location_count, flags,
                                   cuda_guest_per_thread(stream));
}
