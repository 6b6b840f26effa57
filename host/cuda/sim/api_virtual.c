/* SPDX-License-Identifier: MIT */
/*
 * Address space and physical memory, apart. Physical memory is a file in memory,
 * which can be mapped more than once. Reserved addresses lie outside the piece
 * that allocations come from, unless one in it is asked for; only what is mapped and may be
 * accessed is in the memory's table.
 */
#include "driver.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define GRANULARITY ((size_t)2 << 20)
#define FILE_NAME "cuda-sim-" /* and the device's number, for who imports it */

#ifdef __has_feature
#define TSAN_CLANG __has_feature(thread_sanitizer)
#else
#define TSAN_CLANG 0
#endif
#if defined(__SANITIZE_THREAD__) || TSAN_CLANG
#define LOWEST 0x7f0000000000u /* ThreadSanitizer ends a process that maps elsewhere */
#else
#define LOWEST 1u
#endif

struct sim_physical {
    struct object object; /* its kind is 0 once it is released */
    CUmemAllocationProp properties;
    size_t size;
    int file;
    bool imported; /* it is charged to the process that made it */
    unsigned int mappings;
};

struct mapping {
    struct mapping *next;
    uintptr_t start;
    size_t size;
    struct sim_physical *physical;
    CUmemAccess_flags access[SIM_MAX_DEVICES];
};

struct reservation {
    struct reservation *next;
    uintptr_t start;
    size_t size;
};

static struct mapping *mappings;
static struct reservation *reservations;

static bool
holds(uintptr_t start, size_t size, uintptr_t address, size_t bytes)
{
    return address - start < size && bytes <= size - (address - start);
}

/* With the driver's lock, as all below. */
static struct reservation **
find_reservation(uintptr_t address, size_t bytes)
{
    struct reservation **at = &reservations;

    while (*at && !holds((*at)->start, (*at)->size, address, bytes))
        at = &(*at)->next;
    return at;
}

static struct mapping **
find_mapping(uintptr_t address)
{
    struct mapping **at = &mappings;

    while (*at && !holds((*at)->start, (*at)->size, address, 1))
        at = &(*at)->next;
    return at;
}

static bool
touches_mapping(uintptr_t address, size_t bytes)
{
    const struct mapping *mapping;

    for (mapping = mappings; mapping; mapping = mapping->next)
        if (address < mapping->start + mapping->size && mapping->start < address + bytes)
            return true;
    return false;
}

/* Address space. */

static void *
reserve(size_t size, size_t alignment, uintptr_t wanted)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    uintptr_t start, aligned;
    void *memory;

    /* A part of what allocations come from is the process's own already. */
    if (wanted && wanted % alignment == 0 && sim_memory_reserve(sim_driver.memory, wanted, size))
        return (void *)wanted;
    if (wanted >= LOWEST && wanted % alignment == 0) {
        memory = mmap((void *)wanted, size, PROT_NONE, flags | MAP_FIXED_NOREPLACE, -1, 0);
        if (memory != MAP_FAILED)
            return memory;
    }
    memory = mmap(NULL, size + alignment, PROT_NONE, flags, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    start = (uintptr_t)memory;
    aligned = (start + alignment - 1) / alignment * alignment;
    if (aligned > start)
        munmap(memory, aligned - start);
    munmap((void *)(aligned + size), start + alignment - aligned);
    return (void *)aligned;
}

SIM_EXPORT CUresult
cuMemAddressReserve(CUdeviceptr *address, size_t size, size_t alignment, CUdeviceptr wanted, unsigned long long flags)
{
    struct reservation *reservation;
    CUresult result = sim_begin();

    if (result)
        return result;
    if (!address || !size || size % GRANULARITY || flags || (alignment & (alignment - 1)))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    reservation = calloc(1, sizeof *reservation);
    if (!reservation)
        return sim_end(CUDA_ERROR_OUT_OF_MEMORY);
    reservation->start = (uintptr_t)reserve(size, alignment > GRANULARITY ? alignment : GRANULARITY, wanted);
    reservation->size = size;
    if (!reservation->start) {
        free(reservation);
        return sim_end(CUDA_ERROR_OUT_OF_MEMORY);
    }
    reservation->next = reservations;
    reservations = reservation;
    *address = reservation->start;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuMemAddressFree(CUdeviceptr address, size_t size)
{
    struct reservation **at, *found;
    CUresult result = sim_begin();

    if (result)
        return result;
    at = find_reservation(address, size);
    found = *at;
    if (!found || found->start != address || found->size != size || touches_mapping(address, size))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *at = found->next;
    if (sim_memory_is_foreign(sim_driver.memory, found->start, found->size))
        munmap((void *)found->start, found->size);
    else
        sim_memory_unreserve(sim_driver.memory, found->start);
    free(found);
    return sim_end(CUDA_SUCCESS);
}

/* Physical memory. */

static CUresult
check_properties(const CUmemAllocationProp *properties)
{
    if (!properties)
        return CUDA_ERROR_INVALID_VALUE;
    if (properties->type != CU_MEM_ALLOCATION_TYPE_PINNED || properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (properties->location.id < 0 || properties->location.id >= sim_driver.device_count)
        return CUDA_ERROR_INVALID_DEVICE;
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuMemGetAllocationGranularity(size_t *granularity, const CUmemAllocationProp *properties,
                              CUmemAllocationGranularity_flags option)
{
    CUresult result = sim_begin();

    if (result)
        return result;
    if (!granularity || (option != CU_MEM_ALLOC_GRANULARITY_MINIMUM && option != CU_MEM_ALLOC_GRANULARITY_RECOMMENDED))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = check_properties(properties);
    if (!result)
        *granularity = GRANULARITY;
    return sim_end(result);
}

static CUresult
create(struct sim_physical **out, size_t size, const CUmemAllocationProp *properties)
{
    struct sim_physical *physical = calloc(1, sizeof *physical);
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;
    char name[32];

    if (!physical)
        return result;
    physical->properties = *properties;
    physical->size = size;
    if (!sim_memory_charge(sim_driver.memory, properties->location.id, size))
        goto free;
    snprintf(name, sizeof name, FILE_NAME "%d", properties->location.id);
    physical->file = memfd_create(name, MFD_CLOEXEC);
    if (physical->file < 0)
        goto refund;
    if (ftruncate(physical->file, (off_t)size) != 0 || !sim_object_add(&physical->object, OBJECT_PHYSICAL, NULL))
        goto close;
    *out = physical;
    return CUDA_SUCCESS;

close:
    close(physical->file);
refund:
    sim_memory_refund(sim_driver.memory, properties->location.id, size);
free:
    free(physical);
    return result;
}

SIM_EXPORT CUresult
cuMemCreate(CUmemGenericAllocationHandle *handle, size_t size, const CUmemAllocationProp *properties,
            unsigned long long flags)
{
    struct sim_physical *physical;
    CUresult result = sim_begin();

    if (result)
        return result;
    if (!handle || !size || size % GRANULARITY || flags)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = check_properties(properties);
    if (!result)
        result = create(&physical, size, properties);
    if (!result)
        *handle = (uintptr_t)physical;
    return sim_end(result);
}

bool
sim_physical_tiles(CUmemGenericAllocationHandle handle, int device, int *file, size_t *size)
{
    const struct sim_physical *physical = sim_object_find((void *)(uintptr_t)handle, OBJECT_PHYSICAL);

    if (!physical || physical->properties.location.id != device ||
        !(physical->properties.allocFlags.usage & CU_MEM_CREATE_USAGE_TILE_POOL))
        return false;
    *file = physical->file;
    *size = physical->size;
    return true;
}

static void
drop(struct sim_physical *physical)
{
    if (physical->object.kind || physical->mappings)
        return;
    if (!physical->imported)
        sim_memory_refund(sim_driver.memory, physical->properties.location.id, physical->size);
    close(physical->file);
    free(physical);
}

SIM_EXPORT CUresult
cuMemRelease(CUmemGenericAllocationHandle handle)
{
    struct sim_physical *physical;
    CUresult result = sim_begin();

    if (result)
        return result;
    physical = sim_object_find((void *)(uintptr_t)handle, OBJECT_PHYSICAL);
    if (!physical)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    sim_object_remove(&physical->object);
    drop(physical);
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *address)
{
    struct mapping *mapping;
    CUresult result = sim_begin();

    if (result)
        return result;
    mapping = *find_mapping((uintptr_t)address);
    if (!handle || !mapping || mapping->physical->object.kind) /* one that is not released has one count only */
        return sim_end(mapping && handle ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE);
    if (!sim_object_add(&mapping->physical->object, OBJECT_PHYSICAL, NULL))
        return sim_end(CUDA_ERROR_OUT_OF_MEMORY);
    *handle = (uintptr_t)mapping->physical;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *properties, CUmemGenericAllocationHandle handle)
{
    struct sim_physical *physical;
    CUresult result = sim_begin();

    if (result)
        return result;
    physical = sim_object_find((void *)(uintptr_t)handle, OBJECT_PHYSICAL);
    if (!physical || !properties)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *properties = physical->properties;
    return sim_end(CUDA_SUCCESS);
}

/* Sharing: the file is the handle. */

SIM_EXPORT CUresult
cuMemExportToShareableHandle(void *out, CUmemGenericAllocationHandle handle, CUmemAllocationHandleType type,
                             unsigned long long flags)
{
    const struct sim_physical *physical;
    CUresult result = sim_begin();
    int file;

    if (result)
        return result;
    physical = sim_object_find((void *)(uintptr_t)handle, OBJECT_PHYSICAL);
    if (!physical || !out || flags || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
        !(physical->properties.requestedHandleTypes & type))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    file = fcntl(physical->file, F_DUPFD_CLOEXEC, 0);
    if (file < 0)
        return sim_end(CUDA_ERROR_OPERATING_SYSTEM);
    *(int *)out = file;
    return sim_end(CUDA_SUCCESS);
}

/* The device and the size of memory that another process has made. */
static bool
read_file(int file, int *device, size_t *size)
{
    char link[32], path[64] = "";
    struct stat status;

    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if (readlink(link, path, sizeof path - 1) < 0 || sscanf(path, "/memfd:" FILE_NAME "%d", device) != 1 ||
        fstat(file, &status) != 0)
        return false;
    *size = (size_t)status.st_size;
    return *device >= 0 && *device < sim_driver.device_count && *size && *size % GRANULARITY == 0;
}

SIM_EXPORT CUresult
cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *descriptor, CUmemAllocationHandleType type)
{
    struct sim_physical *physical;
    CUresult result = sim_begin();
    int given = (int)(intptr_t)descriptor, device;
    size_t size;

    if (result)
        return result;
    if (!handle || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR || !read_file(given, &device, &size))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    physical = calloc(1, sizeof *physical);
    if (!physical)
        return sim_end(CUDA_ERROR_OUT_OF_MEMORY);
    physical->properties = (CUmemAllocationProp){.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                                 .requestedHandleTypes = type,
                                                 .location = {CU_MEM_LOCATION_TYPE_DEVICE, device}};
    physical->size = size;
    physical->imported = true;
    physical->file = fcntl(given, F_DUPFD_CLOEXEC, 0);
    if (physical->file < 0 || !sim_object_add(&physical->object, OBJECT_PHYSICAL, NULL)) {
        if (physical->file >= 0)
            close(physical->file);
        free(physical);
        return sim_end(CUDA_ERROR_OUT_OF_MEMORY);
    }
    *handle = (uintptr_t)physical;
    return sim_end(CUDA_SUCCESS);
}

/* Mappings. */

SIM_EXPORT CUresult
cuMemMap(CUdeviceptr address, size_t size, size_t offset, CUmemGenericAllocationHandle handle, unsigned long long flags)
{
    struct sim_physical *physical;
    struct mapping *mapping;
    CUresult result = sim_begin();

    if (result)
        return result;
    physical = sim_object_find((void *)(uintptr_t)handle, OBJECT_PHYSICAL);
    if (!physical || !size || size % GRANULARITY || address % GRANULARITY || offset % GRANULARITY || flags ||
        !*find_reservation(address, size) || touches_mapping(address, size))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    if (offset > physical->size || size > physical->size - offset)
        return sim_end(CUDA_ERROR_NOT_SUPPORTED);
    mapping = calloc(1, sizeof *mapping);
    if (!mapping || mmap((void *)(uintptr_t)address, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                         physical->file, (off_t)offset) == MAP_FAILED) {
        free(mapping);
        return sim_end(CUDA_ERROR_OUT_OF_MEMORY);
    }
    *mapping = (struct mapping){.next = mappings, .start = address, .size = size, .physical = physical};
    mappings = mapping;
    physical->mappings++;
    return sim_end(CUDA_SUCCESS);
}

/* Is all of it mapped, and no mapping cut? */
static bool
are_whole(uintptr_t address, size_t size)
{
    for (; size; address += (*find_mapping(address))->size) {
        const struct mapping *mapping = *find_mapping(address);

        if (!mapping || mapping->start != address || mapping->size > size)
            return false;
        size -= mapping->size;
    }
    return true;
}

static void
unmap(uintptr_t address)
{
    struct mapping **at = find_mapping(address), *mapping = *at;

    *at = mapping->next;
    sim_memory_free(sim_driver.memory, RANGE_MAPPED, mapping->start);
    mmap((void *)mapping->start, mapping->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
         0);
    mapping->physical->mappings--;
    drop(mapping->physical);
    free(mapping);
}

SIM_EXPORT CUresult
cuMemUnmap(CUdeviceptr address, size_t size)
{
    CUresult result = sim_begin();

    if (result)
        return result;
    if (size && *find_reservation(address, size) && !touches_mapping(address, size))
        return sim_end(CUDA_SUCCESS);
    if (!size || !are_whole(address, size))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    while (size) {
        size_t part = (*find_mapping(address))->size;

        unmap(address);
        address += part;
        size -= part;
    }
    return sim_end(CUDA_SUCCESS);
}

static unsigned int
reachable(const struct mapping *mapping)
{
    unsigned int devices = 0;

    for (int i = 0; i < SIM_MAX_DEVICES; i++)
        if (mapping->access[i] != CU_MEM_ACCESS_FLAGS_PROT_NONE)
            devices |= 1u << i;
    return devices;
}

/* What no device reaches is not there for copies either. */
static CUresult
grant(struct mapping *mapping, int device, CUmemAccess_flags access)
{
    unsigned int before = reachable(mapping), now;
    CUresult result = CUDA_SUCCESS;

    mapping->access[device] = access;
    now = reachable(mapping);
    if (!before && now)
        result = sim_memory_add(sim_driver.memory, RANGE_MAPPED, mapping->physical->properties.location.id,
                                mapping->start, mapping->size);
    else if (before && !now)
        result = sim_memory_free(sim_driver.memory, RANGE_MAPPED, mapping->start);
    if (now)
        sim_memory_set_reachable(sim_driver.memory, mapping->start, now);
    return result;
}

static CUresult
grant_all(struct mapping *mapping, const CUmemAccessDesc *grants, size_t count)
{
    CUresult result = CUDA_SUCCESS;

    for (size_t i = 0; i < count && !result; i++)
        result = grants[i].location.type == CU_MEM_LOCATION_TYPE_DEVICE && grants[i].location.id >= 0 &&
                         grants[i].location.id < sim_driver.device_count
                     ? grant(mapping, grants[i].location.id, grants[i].flags)
                     : CUDA_ERROR_INVALID_VALUE;
    return result;
}

SIM_EXPORT CUresult
cuMemSetAccess(CUdeviceptr address, size_t size, const CUmemAccessDesc *grants, size_t count)
{
    CUresult result = sim_begin();

    if (result)
        return result;
    if (!grants || !count || !size || !are_whole(address, size))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    while (size && !result) {
        struct mapping *mapping = *find_mapping(address);

        result = grant_all(mapping, grants, count);
        address += mapping->size;
        size -= mapping->size;
    }
    return sim_end(result);
}

SIM_EXPORT CUresult
cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location, CUdeviceptr address)
{
    const struct mapping *mapping;
    CUresult result = sim_begin();

    if (result)
        return result;
    mapping = *find_mapping(address);
    if (!flags || !location || !mapping)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *flags = location->type == CU_MEM_LOCATION_TYPE_DEVICE && location->id >= 0 && location->id < SIM_MAX_DEVICES
                 ? mapping->access[location->id]
                 : CU_MEM_ACCESS_FLAGS_PROT_NONE;
    return sim_end(CUDA_SUCCESS);
}
