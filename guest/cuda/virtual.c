/* SPDX-License-Identifier: MIT */
/*
 * Address space and physical memory of the device, apart.
 *
 * Design notes: what is reserved and mapped is known here, so mapping, unmapping and releasing are checked here and
 * posted. Memory lives as long as it has a handle or a mapping; the host hears of its end when it has neither,
 * and handles that come back through cuMemRetainAllocationHandle() are the same ones. A device's own memory alone can
 * be had.
 */
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "chunk.h"
#include "device.h"
#include "share.h"

struct cuda_guest_physical {
    struct cuda_guest_object object;
    CUmemAllocationProp properties;
    uint64_t bytes;
    uint64_t granularity;
    uint64_t handles, mappings; /* with the lock; neither: it is gone */
};

struct reservation {
    struct reservation *next;
    uint64_t start, bytes;
};

/* Held during the posts as well: they must be in the order of what is kept here. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct reservation *reservations;

/* ---- Address space --------------------------------------------------------------------------- */

/* The place in the list of the reservation that holds these addresses, or of the list's end. With the lock. */
static struct reservation **
reservation_find(uint64_t address, uint64_t bytes)
{
    struct reservation **at = &reservations;

    while (*at && (address - (*at)->start >= (*at)->bytes || bytes > (*at)->bytes - (address - (*at)->start)))
        at = &(*at)->next;
    return at;
}

ENTRY
cuMemAddressReserve(CUdeviceptr *address, size_t bytes, size_t alignment, CUdeviceptr wanted, unsigned long long flags)
{
    struct reservation *reservation;
    struct cuda_guest_thread *self;
    CUdeviceptr found = 0;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!address || bytes == 0 || flags != 0 || (alignment & (alignment - 1)) != 0)
        return CUDA_ERROR_INVALID_VALUE;
    reservation = malloc(sizeof(*reservation));
    if (!reservation)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(
            cuda_virtual_reserve_on(&cuda_guest.client, self->lane, bytes, alignment, wanted, &found));
    if (result != CUDA_SUCCESS) {
        free(reservation);
        return result;
    }
    *reservation = (struct reservation){.start = found, .bytes = bytes};
    pthread_mutex_lock(&lock);
    reservation->next = reservations;
    reservations = reservation;
    pthread_mutex_unlock(&lock);
    *address = found;
    return CUDA_SUCCESS;
}

/* With the lock. */
static CUresult
address_free(struct cuda_guest_thread *self, CUdeviceptr address, uint64_t bytes)
{
    struct reservation **at = reservation_find(address, bytes), *found = *at;

    if (!found || found->start != address || found->bytes != bytes ||
        cuda_guest_range_touches(address, bytes, CUDA_GUEST_MAPPED))
        return CUDA_ERROR_INVALID_VALUE;
    *at = found->next;
    free(found);
    return cuda_guest_result(cuda_virtual_free_on(&cuda_guest.client, self->lane, address, bytes));
}

ENTRY
cuMemAddressFree(CUdeviceptr address, size_t bytes)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&lock);
    result = address_free(self, address, bytes);
    pthread_mutex_unlock(&lock);
    return result;
}

/* ---- Physical memory ------------------------------------------------------------------------- */

static CUresult
properties_check(const CUmemAllocationProp *properties)
{
    if (!properties)
        return CUDA_ERROR_INVALID_VALUE;
    if (properties->type != CU_MEM_ALLOCATION_TYPE_PINNED || properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_ERROR_NOT_SUPPORTED;
    return cuda_guest_device(properties->location.id) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

ENTRY
cuMemGetAllocationGranularity(size_t *granularity, const CUmemAllocationProp *properties,
                              CUmemAllocationGranularity_flags option)
{
    struct cuda_guest_thread *self;
    uint64_t found = 0;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!granularity || (option != CU_MEM_ALLOC_GRANULARITY_MINIMUM && option != CU_MEM_ALLOC_GRANULARITY_RECOMMENDED))
        return CUDA_ERROR_INVALID_VALUE;
    result = properties_check(properties);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_physical_granularity_on(
            &cuda_guest.client, self->lane, cuda_guest.device[properties->location.id].ordinal, option, &found));
    if (result == CUDA_SUCCESS)
        *granularity = found;
    return result;
}

static CUresult
create_on_host(struct cuda_guest_thread *self, struct cuda_guest_physical *physical)
{
    uint32_t device = cuda_guest.device[physical->properties.location.id].ordinal;
    uint32_t wants = 0;
    bool compressed = false;
    CUresult result;

    if (physical->properties.allocFlags.compressionType == CU_MEM_ALLOCATION_COMP_GENERIC)
        wants |= CUDA_PHYSICAL_COMPRESSIBLE;
    if (physical->properties.allocFlags.usage & CU_MEM_CREATE_USAGE_TILE_POOL)
        wants |= CUDA_PHYSICAL_TILES;
    if (physical->properties.requestedHandleTypes != CU_MEM_HANDLE_TYPE_NONE)
        wants |= CUDA_PHYSICAL_SHAREABLE;
    result = cuda_guest_result(cuda_physical_create_on(&cuda_guest.client, self->lane, physical->object.handle, device,
                                                       physical->bytes, wants, &physical->granularity, &compressed));

    if (result == CUDA_SUCCESS) /* the driver may have had none that is */
        physical->properties.allocFlags.compressionType =
            compressed ? CU_MEM_ALLOCATION_COMP_GENERIC : CU_MEM_ALLOCATION_COMP_NONE;
    return result;
}

ENTRY
cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes, const CUmemAllocationProp *properties,
            unsigned long long flags)
{
    struct cuda_guest_physical *physical;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || bytes == 0 || flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    result = properties_check(properties);
    if (result == CUDA_SUCCESS && (properties->requestedHandleTypes & ~CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) != 0)
        result = CUDA_ERROR_NOT_PERMITTED; /* as the driver says of handles that its fabric does not serve */
    if (result == CUDA_SUCCESS)
        result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_object_create(CUDA_HANDLE_PHYSICAL, sizeof(*physical), NULL, &physical);
    if (result != CUDA_SUCCESS)
        return result;
    physical->properties = *properties;
    physical->bytes = bytes;
    physical->handles = 1;
    result = create_on_host(self, physical);
    if (result == CUDA_ERROR_OUT_OF_MEMORY && cuda_guest_chunks_trim(self))
        result = create_on_host(self, physical);
    if (result == CUDA_SUCCESS)
        *handle = (uintptr_t)cuda_guest_handle(&physical->object);
    else
        cuda_guest_object_undo(&physical->object);
    return result;
}

/* With the lock. NULL: the program has no such handle. */
static struct cuda_guest_physical *
physical_find(CUmemGenericAllocationHandle handle)
{
    struct cuda_guest_physical *physical = cuda_guest_find((void *)(uintptr_t)handle, CUDA_HANDLE_PHYSICAL);

    return physical && physical->handles > 0 ? physical : NULL;
}

uint32_t
cuda_guest_physical_wire(CUmemGenericAllocationHandle handle)
{
    const struct cuda_guest_physical *physical;
    uint32_t wire;

    pthread_mutex_lock(&lock);
    physical = physical_find(handle);
    wire = physical ? physical->object.handle : 0;
    pthread_mutex_unlock(&lock);
    return wire;
}

/* Ends it if nothing holds it any more. With the lock. */
static CUresult
physical_drop(struct cuda_guest_thread *self, struct cuda_guest_physical *physical)
{
    uint32_t wire = physical->object.handle;

    if (physical->handles > 0 || physical->mappings > 0)
        return CUDA_SUCCESS;
    cuda_guest_object_undo(&physical->object);
    return cuda_guest_result(cuda_physical_release_on(&cuda_guest.client, self->lane, wire));
}

ENTRY
cuMemRelease(CUmemGenericAllocationHandle handle)
{
    struct cuda_guest_physical *physical;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    cuda_guest_share_sweep(self);
    pthread_mutex_lock(&lock);
    physical = physical_find(handle);
    if (physical) {
        physical->handles--;
        result = physical_drop(self, physical);
    }
    pthread_mutex_unlock(&lock);
    return physical ? result : CUDA_ERROR_INVALID_VALUE;
}

ENTRY
cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *address)
{
    struct cuda_guest_range range;
    CUresult result = cuda_guest_ready();

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    if (cuda_guest_range_find((uintptr_t)address, &range) && range.kind == CUDA_GUEST_MAPPED) {
        range.physical->handles++;
        *handle = (uintptr_t)cuda_guest_handle(&range.physical->object);
    } else {
        result = CUDA_ERROR_INVALID_VALUE;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

ENTRY
cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *properties, CUmemGenericAllocationHandle handle)
{
    const struct cuda_guest_physical *physical;
    CUresult result = cuda_guest_ready();

    if (result != CUDA_SUCCESS)
        return result;
    if (!properties)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    physical = physical_find(handle);
    if (physical)
        *properties = physical->properties;
    pthread_mutex_unlock(&lock);
    return physical ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* ---- Sharing --------------------------------------------------------------------------------- */

ENTRY
cuMemExportToShareableHandle(void *out, CUmemGenericAllocationHandle handle, CUmemAllocationHandleType type,
                             unsigned long long flags)
{
    const struct cuda_guest_physical *physical;
    struct cuda_guest_thread *self;
    uint8_t token[CUDA_GUEST_TOKEN];
    size_t bytes = sizeof(token);
    uint32_t wire = 0;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!out || flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    physical = physical_find(handle);
    if (physical && physical->properties.requestedHandleTypes & type &&
        type == CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
        wire = physical->object.handle;
    pthread_mutex_unlock(&lock);
    if (wire == 0)
        return CUDA_ERROR_INVALID_VALUE;
    cuda_guest_share_sweep(self);
    result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_share_result(
            cuda_guest_result(cuda_physical_export_on(&cuda_guest.client, self->lane, wire, token, &bytes)));
    return result == CUDA_SUCCESS ? cuda_guest_share_descriptor(self, CUDA_GUEST_SHARE_PHYSICAL, token, out) : result;
}

static CUresult
import_from_host(struct cuda_guest_thread *self, const uint8_t token[CUDA_GUEST_TOKEN],
                 struct cuda_guest_physical *physical)
{
    uint32_t device = 0;
    bool compressed = false;
    CUresult result = cuda_guest_share_result(cuda_guest_result(
        cuda_physical_import_on(&cuda_guest.client, self->lane, physical->object.handle, token, CUDA_GUEST_TOKEN,
                                &physical->bytes, &device, &physical->granularity, &compressed)));

    if (result != CUDA_SUCCESS)
        return result;
    physical->properties = (CUmemAllocationProp){
        .type = CU_MEM_ALLOCATION_TYPE_PINNED,
        .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
        .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = cuda_guest_device_number(device)},
        .allocFlags.compressionType = compressed ? CU_MEM_ALLOCATION_COMP_GENERIC : CU_MEM_ALLOCATION_COMP_NONE};
    return CUDA_SUCCESS;
}

ENTRY
cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *descriptor, CUmemAllocationHandleType type)
{
    struct cuda_guest_physical *physical;
    struct cuda_guest_thread *self;
    uint8_t token[CUDA_GUEST_TOKEN];
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_share_token((int)(intptr_t)descriptor, CUDA_GUEST_SHARE_PHYSICAL, token);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_object_create(CUDA_HANDLE_PHYSICAL, sizeof(*physical), NULL, &physical);
    if (result != CUDA_SUCCESS)
        return result;
    result = import_from_host(self, token, physical);
    if (result != CUDA_SUCCESS) {
        cuda_guest_object_undo(&physical->object);
        return result;
    }
    pthread_mutex_lock(&lock);
    physical->handles = 1;
    pthread_mutex_unlock(&lock);
    *handle = (uintptr_t)cuda_guest_handle(&physical->object);
    return CUDA_SUCCESS;
}

/* ---- Mappings -------------------------------------------------------------------------------- */

static bool
may_map(const struct cuda_guest_physical *physical, CUdeviceptr address, uint64_t bytes, uint64_t offset)
{
    uint64_t grain = physical->granularity ? physical->granularity : 1;

    return bytes > 0 && address % grain == 0 && bytes % grain == 0 && offset % grain == 0 &&
           *reservation_find(address, bytes);
}

/* With the lock. */
static CUresult
map(struct cuda_guest_thread *self, CUdeviceptr address, uint64_t bytes, uint64_t offset,
    CUmemGenericAllocationHandle handle)
{
    struct cuda_guest_physical *physical = physical_find(handle);
    struct cuda_guest_range range = {.start = address, .bytes = bytes, .kind = CUDA_GUEST_MAPPED, .physical = physical};
    CUresult result;

    if (!physical || !may_map(physical, address, bytes, offset))
        return CUDA_ERROR_INVALID_VALUE;
    if (offset > physical->bytes || bytes > physical->bytes - offset)
        return CUDA_ERROR_NOT_SUPPORTED;
    range.device_number = physical->properties.location.id;
    result = cuda_guest_range_add(&range);
    if (result != CUDA_SUCCESS)
        return result == CUDA_ERROR_ALREADY_MAPPED ? CUDA_ERROR_INVALID_VALUE : result;
    result = cuda_guest_result(
        cuda_virtual_map_on(&cuda_guest.client, self->lane, physical->object.handle, address, bytes, offset));
    if (result == CUDA_SUCCESS)
        physical->mappings++;
    else
        cuda_guest_range_take(address, CUDA_GUEST_MAPPED, &range);
    return result;
}

ENTRY
cuMemMap(CUdeviceptr address, size_t bytes, size_t offset, CUmemGenericAllocationHandle handle,
         unsigned long long flags)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    result = map(self, address, bytes, offset, handle);
    pthread_mutex_unlock(&lock);
    return result;
}

/* Is all of it mapped, and no mapping cut? With the lock. */
static bool
are_whole_mappings(CUdeviceptr address, uint64_t bytes)
{
    struct cuda_guest_range range;

    if (bytes == 0 || !*reservation_find(address, bytes))
        return false;
    for (; bytes > 0; address += range.bytes, bytes -= range.bytes)
        if (!cuda_guest_range_find(address, &range) || range.kind != CUDA_GUEST_MAPPED || range.start != address ||
            range.bytes > bytes)
            return false;
    return true;
}

/* With the lock. */
static CUresult
unmap(struct cuda_guest_thread *self, CUdeviceptr address, uint64_t bytes)
{
    struct cuda_guest_range range;
    CUresult result;

    if (bytes > 0 && *reservation_find(address, bytes) && !cuda_guest_range_touches(address, bytes, CUDA_GUEST_MAPPED))
        return CUDA_SUCCESS; /* nothing is mapped there, which NVIDIA's driver takes as well */
    if (!are_whole_mappings(address, bytes))
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_result(cuda_virtual_unmap_on(&cuda_guest.client, self->lane, address, bytes));
    while (result == CUDA_SUCCESS && bytes > 0 && cuda_guest_range_take(address, CUDA_GUEST_MAPPED, &range)) {
        address += range.bytes;
        bytes -= range.bytes;
        range.physical->mappings--;
        result = physical_drop(self, range.physical);
    }
    return result;
}

ENTRY
cuMemUnmap(CUdeviceptr address, size_t bytes)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&lock);
    result = unmap(self, address, bytes);
    pthread_mutex_unlock(&lock);
    return result;
}

/* *@p other: a device that is not the memory's own gets access, which it may not be able to have. */
static CUresult
grants_translate(const CUmemAccessDesc *grants, size_t count, int own, CUmemAccessDesc *out, bool *other)
{
    *other = false;
    for (size_t i = 0; i < count; i++) {
        const struct cuda_guest_device *device = cuda_guest_device(grants[i].location.id);

        if (grants[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE)
            return CUDA_ERROR_NOT_SUPPORTED;
        if (!device)
            return CUDA_ERROR_INVALID_DEVICE;
        if (grants[i].flags != CU_MEM_ACCESS_FLAGS_PROT_NONE && grants[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READ &&
            grants[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
            return CUDA_ERROR_INVALID_VALUE;
        *other |= grants[i].location.id != own || grants[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
        out[i] = grants[i];
        out[i].location.id = (int)device->ordinal;
    }
    return CUDA_SUCCESS;
}

ENTRY
cuMemSetAccess(CUdeviceptr address, size_t bytes, const CUmemAccessDesc *grants, size_t count)
{
    CUmemAccessDesc wanted[CUDA_VIRTUAL_SET_ACCESS_GRANTS_MAX];
    struct cuda_guest_thread *self;
    struct cuda_guest_range range;
    bool other;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!grants || count == 0 || count > CUDA_VIRTUAL_SET_ACCESS_GRANTS_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    if (!are_whole_mappings(address, bytes) || !cuda_guest_range_find(address, &range))
        result = CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_unlock(&lock);
    if (result == CUDA_SUCCESS)
        result = grants_translate(grants, count, range.device_number, wanted, &other);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(
            cuda_virtual_set_access_on(&cuda_guest.client, self->lane, address, bytes, wanted, count));
    return result == CUDA_SUCCESS && other ? cuda_guest_settle(self) : result;
}

ENTRY
cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location, CUdeviceptr address)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_range range;
    uint64_t found = 0;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!flags || !location || !cuda_guest_range_find(address, &range) || range.kind != CUDA_GUEST_MAPPED)
        return CUDA_ERROR_INVALID_VALUE;
    if (location->type != CU_MEM_LOCATION_TYPE_DEVICE) {
        *flags = CU_MEM_ACCESS_FLAGS_PROT_NONE;
        return CUDA_SUCCESS;
    }
    if (!cuda_guest_device(location->id))
        return CUDA_ERROR_INVALID_DEVICE;
    result = cuda_guest_result(cuda_virtual_get_access_on(&cuda_guest.client, self->lane, address,
                                                          cuda_guest.device[location->id].ordinal, &found));
    if (result == CUDA_SUCCESS)
        *flags = found;
    return result;
}
