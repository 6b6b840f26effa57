/* SPDX-License-Identifier: MIT */
/* Address space and memory, made again; see resume.c. */
#include "suspend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "placed.h"

/* ---- Address space --------------------------------------------------------------------------- */

int
cuda_load_window(struct cuda_resuming *resuming, const struct suspend_window *item)
{
    struct cuda_host *host = resuming->host;

    host->suggested = item->suggested;
    if (item->bytes == 0)
        return 0;
    if (host->window_bytes != 0)
        return cuda_resume_damaged("a second window");
    if (cuda_reserve_exactly(host->native, item->start, item->bytes) != 0)
        return cuda_resume_differs("window of addresses at %#llx", (unsigned long long)item->start);
    host->window = item->start;
    host->window_bytes = item->bytes;
    return 0;
}

int
cuda_load_reserved(struct cuda_resuming *resuming, const struct suspend_reserved *item)
{
    struct cuda_host *host = resuming->host;
    int result = cuda_reserve_exactly(host->native, item->start, item->bytes);

    if (result != 0)
        return cuda_resume_differs("addresses at %#llx", (unsigned long long)item->start);
    result = cuda_reservation_begin(host, item->start, item->bytes);
    if (result != 0)
        host->native->cuMemAddressFree(item->start, item->bytes);
    return cuda_resume_result(resuming, result, "addresses at %#llx", (unsigned long long)item->start);
}

int
cuda_load_place(struct cuda_resuming *resuming, const struct suspend_place *item)
{
    CUdevice device;

    if (cuda_device_of(resuming->host->native, item->device, &device) != 0)
        return cuda_resume_damaged("memory of a device that is not there");
    if (cuda_place_reserve(resuming->host, item->start, item->bytes, device) != 0)
        return cuda_resume_differs("addresses at %#llx", (unsigned long long)item->start);
    return 0;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void
put_in_order(struct cuda_resuming *resuming, struct cuda_range *range, uint32_t ordered)
{
    const struct cuda_driver *native = resuming->host->native;
    unsigned int yes = 1;

    range->ordered =
        ordered && native->cuPointerSetAttribute &&
        native->cuPointerSetAttribute(&yes, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, range->start) == CUDA_SUCCESS;
}

int
cuda_load_chunk(struct cuda_resuming *resuming, const struct suspend_chunk *item)
{
    struct cuda_range *chunk;
    int result;

    if (item->context == 0 || !cuda_resume_context(resuming, item->context))
        return cuda_resume_damaged("a chunk of no context");
    result = cuda_chunk_again(resuming->lane, item->start, item->bytes, &chunk);
    if (result == 0)
        put_in_order(resuming, chunk, item->ordered);
    return cuda_resume_result(resuming, result, "chunk at %#llx", (unsigned long long)item->start);
}

int
cuda_load_allocation(struct cuda_resuming *resuming, const struct suspend_allocation *item)
{
    enum cuda_range_use use = item->context ? CUDA_RANGE_ALLOCATION : CUDA_RANGE_POOLED;
    struct cuda_host *host = resuming->host;
    struct cuda_range *range;
    int result;

    if (!cuda_resume_context(resuming, item->context))
        return cuda_resume_damaged("an allocation of no context");
    range = cuda_range_create(host, use, item->start, item->bytes);
    if (range)
        range->pool = item->pool;
    result = range ? cuda_place_join(host, range) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result == 0)
        result = cuda_range_publish(host, item->context ? &resuming->lane->current->object : NULL, range);
    else if (range)
        cuda_object_destroy(host, &range->object);
    if (result == 0)
        put_in_order(resuming, range, item->ordered);
    return cuda_resume_result(resuming, result, "memory at %#llx", (unsigned long long)item->start);
}

static struct cuda_range *
reservation_around(struct cuda_host *host, uint64_t start, uint64_t bytes)
{
    struct cuda_range *range = host->reserved;

    while (range && (start - range->start >= range->bytes || bytes > range->bytes - (start - range->start)))
        range = range->next;
    return range;
}

static int
grant_access(struct cuda_resuming *resuming, const struct suspend_mapping *item, const unsigned char *more)
{
    const struct cuda_driver *native = resuming->host->native;
    CUmemAccessDesc grants[SUSPEND_DEVICES];
    size_t count = 0;

    for (uint32_t i = 0; i < item->devices; i++) {
        uint32_t flags;

        memcpy(&flags, more + i * sizeof(flags), sizeof(flags));
        if (flags == CU_MEM_ACCESS_FLAGS_PROT_NONE)
            continue;
        grants[count] = (CUmemAccessDesc){.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}, .flags = flags};
        if (cuda_device_of(native, i, &grants[count].location.id) != 0)
            return CUDA_ERROR_INVALID_DEVICE;
        count++;
    }
    return count ? native->cuMemSetAccess(item->start, item->bytes, grants, count) : 0;
}

int
cuda_load_mapping(struct cuda_resuming *resuming, const struct suspend_mapping *item, const unsigned char *more,
                  size_t bytes)
{
    struct cuda_host *host = resuming->host;
    struct cuda_range *reservation = reservation_around(host, item->start, item->bytes);
    const struct cuda_physical *physical = cuda_resume_find(resuming, CUDA_OBJECT_PHYSICAL, item->physical);
    int result;

    if (!reservation || !physical || item->devices > SUSPEND_DEVICES || bytes != item->devices * sizeof(uint32_t))
        return cuda_resume_damaged("a mapping of nothing");
    result = host->native->cuMemMap(item->start, item->bytes, item->offset, physical->native, 0);
    if (result == CUDA_SUCCESS) {
        result = cuda_mapping_begin(host, &reservation->object, item->start, item->bytes, item->physical, item->offset);
        if (result != 0)
            host->native->cuMemUnmap(item->start, item->bytes);
    }
    if (result == 0)
        result = grant_access(resuming, item, more);
    return cuda_resume_result(resuming, result, "mapping at %#llx", (unsigned long long)item->start);
}

int
cuda_load_registered(struct cuda_resuming *resuming, const struct suspend_registered *item)
{
    struct gpuvchan_reference reference = {.offset = item->offset, .bytes = item->bytes};
    void *memory = gpuvchan_session_resolve(resuming->host->session, reference);
    struct gpuvchan_request request = {
        .session = resuming->host->session, .state = resuming->host, .lane_state = resuming->lane};
    CUdeviceptr at = 0;
    int error;

    if (!memory || item->context == 0 || !cuda_resume_context(resuming, item->context))
        return cuda_resume_damaged("registered memory outside the arena");
    error = cuda_resume_result(resuming, cuda_host_host_register(&request, memory, item->bytes, 0, &at),
                               "registering memory");
    if (error == 0 && at != item->start)
        error = cuda_resume_differs("device address of the arena (%#llx)", (unsigned long long)item->start);
    return error;
}
