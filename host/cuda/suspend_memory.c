/* SPDX-License-Identifier: MIT */
/* Address space and memory, out; see suspend.h. */
#include "suspend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "placed.h"

/* ---- Address space --------------------------------------------------------------------------- */

static int
by_start(const void *a, const void *b)
{
    const struct cuda_range *first = *(struct cuda_range *const *)a, *second = *(struct cuda_range *const *)b;

    return first->start < second->start ? -1 : first->start > second->start;
}

static CUdevice
device_of(struct cuda_host *host, const struct cuda_range *range)
{
    const struct cuda_object *owner = atomic_load(&range->object.owner);
    CUdevice device = 0;

    if (owner)
        return ((const struct cuda_context *)owner)->device;
    if (range->placed)
        return range->placed->device;
    if (host->newest && host->native->cuPointerGetAttribute &&
        host->native->cuPointerGetAttribute(&device, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, range->start) == CUDA_SUCCESS)
        return device;
    return host->newest ? host->newest->device : 0;
}

/* Allocations that lie in the same pages of the device become one place. */
static int
save_places(struct cuda_saving *saving, struct cuda_range *const *ranges, size_t count)
{
    struct suspend_place place = {.bytes = 0};
    int error = 0;

    for (size_t i = 0; i < count && error == 0; i++) {
        uint64_t start = ranges[i]->start / SUSPEND_PAGE * SUSPEND_PAGE;
        uint64_t end = (ranges[i]->start + ranges[i]->bytes + SUSPEND_PAGE - 1) / SUSPEND_PAGE * SUSPEND_PAGE;

        if (place.bytes && start >= place.start + place.bytes) {
            error = cuda_save(saving, SUSPEND_PLACE, &place, sizeof(place), NULL, 0);
            place.bytes = 0;
        }
        if (!place.bytes)
            place = (struct suspend_place){.start = start, .device = (uint32_t)device_of(saving->host, ranges[i])};
        if (end > place.start + place.bytes)
            place.bytes = end - place.start;
    }
    return error == 0 && place.bytes ? cuda_save(saving, SUSPEND_PLACE, &place, sizeof(place), NULL, 0) : error;
}

static size_t
collect_allocations(struct cuda_host *host, struct cuda_range **ranges)
{
    size_t count = 0;

    for (struct cuda_object *object = host->made; object; object = object->next_made) {
        struct cuda_range *range = (struct cuda_range *)object;

        if (object->kind == CUDA_OBJECT_RANGE && cuda_lives(object) &&
            (range->use == CUDA_RANGE_ALLOCATION || range->use == CUDA_RANGE_POOLED))
            ranges[count++] = range;
    }
    if (count > 0)
        qsort(ranges, count, sizeof(*ranges), by_start);
    return count;
}

static int
save_space(struct cuda_saving *saving, struct cuda_range *const *allocations, size_t count)
{
    struct cuda_host *host = saving->host;
    struct suspend_window window = {host->window, host->window_bytes, host->suggested};
    int error = 0;

    if (count > 0 && (!cuda_virtual_known(host->native) || !host->newest))
        return cuda_suspend_refuse(-ENOTSUP, "memory at %#llx cannot be had at that address again",
                                   allocations[0]->start);
    error = cuda_save(saving, SUSPEND_WINDOW, &window, sizeof(window), NULL, 0);
    for (const struct cuda_range *range = host->reserved; range && error == 0; range = range->next) {
        struct suspend_reserved reserved = {range->start, range->bytes};

        error = cuda_save(saving, SUSPEND_RESERVED, &reserved, sizeof(reserved), NULL, 0);
    }
    return error ? error : save_places(saving, allocations, count);
}

int
cuda_save_space(struct cuda_saving *saving)
{
    struct cuda_range **allocations;
    size_t objects = 1;
    int error;

    for (const struct cuda_object *object = saving->host->made; object; object = object->next_made)
        objects++;
    allocations = malloc(objects * sizeof(*allocations));
    if (!allocations)
        return cuda_suspend_refuse(-ENOMEM, "out of memory");
    error = save_space(saving, allocations, collect_allocations(saving->host, allocations));
    free(allocations);
    return error;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static int
save_mapping(struct cuda_saving *saving, const struct cuda_range *range)
{
    struct cuda_host *host = saving->host;
    struct suspend_mapping mapping = {.start = range->start,
                                      .bytes = range->bytes,
                                      .offset = range->offset,
                                      .physical = range->physical,
                                      .devices = (uint32_t)host->native->devices};
    uint32_t access[SUSPEND_DEVICES] = {0};

    if (!gpuvchan_handles_lookup(host->handles, range->physical, CUDA_HANDLE_PHYSICAL))
        return cuda_suspend_refuse(-ENOTSUP, "the memory that is mapped at %#llx has been released", range->start);
    for (uint32_t i = 0; i < mapping.devices; i++) {
        CUmemLocation location = {.type = CU_MEM_LOCATION_TYPE_DEVICE};
        unsigned long long flags = 0;

        if (cuda_device_of(host->native, i, &location.id) == 0 &&
            host->native->cuMemGetAccess(&flags, &location, range->start) == CUDA_SUCCESS)
            access[i] = (uint32_t)flags;
    }
    return cuda_save(saving, SUSPEND_MAPPING, &mapping, sizeof(mapping), access, mapping.devices * sizeof(access[0]));
}

static int
save_registered(struct cuda_saving *saving, const struct cuda_range *range)
{
    uint64_t bytes;
    const unsigned char *arena = gpuvchan_session_arena(saving->host->session, &bytes);
    struct suspend_registered registered = {.start = range->start,
                                            .offset = (uint64_t)(range->memory - arena),
                                            .bytes = range->bytes,
                                            .context = cuda_owner_handle(&range->object)};

    return cuda_save(saving, SUSPEND_REGISTERED, &registered, sizeof(registered), NULL, 0);
}

static int
save_range(struct cuda_saving *saving, const struct cuda_range *range)
{
    struct suspend_chunk chunk = {range->start, range->bytes, cuda_owner_handle(&range->object), range->ordered};
    struct suspend_allocation allocation = {
        range->start, range->bytes, chunk.context, chunk.ordered, range->use == CUDA_RANGE_POOLED ? range->pool : 0, 0};

    switch (range->use) {
    case CUDA_RANGE_CHUNK:
        return cuda_save(saving, SUSPEND_CHUNK, &chunk, sizeof(chunk), NULL, 0);
    case CUDA_RANGE_ALLOCATION:
    case CUDA_RANGE_POOLED:
        return cuda_save(saving, SUSPEND_ALLOCATION, &allocation, sizeof(allocation), NULL, 0);
    case CUDA_RANGE_MAPPED:
        return save_mapping(saving, range);
    case CUDA_RANGE_REGISTERED:
        return save_registered(saving, range);
    default:
        return 0; /* variables go with their modules, the completion page with the first context */
    }
}

int
cuda_save_ranges(struct cuda_saving *saving)
{
    int error = 0;

    for (struct cuda_object *object = saving->host->made; object && error == 0; object = object->next_made)
        if (object->kind == CUDA_OBJECT_RANGE && cuda_lives(object))
            error = save_range(saving, (struct cuda_range *)object);
    return error;
}
