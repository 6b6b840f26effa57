/* SPDX-License-Identifier: MIT */
/* Hints about managed memory, which is one memory for all here: they are kept for each page, and told. */
#include "driver.h"

#include <stdlib.h>

#define PAGE 4096u

struct page {
    bool read_mostly;
    int preferred, prefetched; /* a device, CU_DEVICE_CPU, or CU_DEVICE_INVALID */
    unsigned int accessed_by;  /* a bit for each device; bit 31: the processor */
};

static struct hinted {
    struct hinted *next;
    unsigned long long id; /* of the range */
    struct page *pages;
} * all;

static struct page *
pages_create(const struct range *range)
{
    size_t count = (range->size + PAGE - 1) / PAGE;
    struct hinted *hinted = calloc(1, sizeof *hinted);
    struct page *pages = calloc(count, sizeof *pages);

    if (!hinted || !pages) {
        free(hinted);
        free(pages);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        pages[i].preferred = pages[i].prefetched = CU_DEVICE_INVALID;
    *hinted = (struct hinted){.next = all, .id = range->id, .pages = pages};
    all = hinted;
    return pages;
}

/* The pages of a piece of a managed range, with the driver's lock. */
static CUresult
find_pages(CUdeviceptr address, size_t bytes, struct page **first, size_t *count)
{
    struct page *pages = NULL;
    struct range range;

    if (!bytes || !sim_memory_range(sim_driver.memory, address, &range) || range.kind != RANGE_MANAGED ||
        bytes > range.mapped - (address - range.start))
        return CUDA_ERROR_INVALID_VALUE;
    for (struct hinted *hinted = all; hinted && !pages; hinted = hinted->next)
        if (hinted->id == range.id)
            pages = hinted->pages;
    if (!pages)
        pages = pages_create(&range);
    if (!pages)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *first = pages + (address - range.start) / PAGE;
    *count = (address - range.start + bytes + PAGE - 1) / PAGE - (address - range.start) / PAGE;
    return CUDA_SUCCESS;
}

static CUresult
device_of(const CUmemLocation *location, int *device)
{
    if (location->type == CU_MEM_LOCATION_TYPE_DEVICE && location->id >= 0 && location->id < sim_driver.device_count)
        *device = location->id;
    else if (location->type == CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_ERROR_INVALID_DEVICE;
    else if (location->type == CU_MEM_LOCATION_TYPE_INVALID)
        return CUDA_ERROR_INVALID_VALUE;
    else
        *device = CU_DEVICE_CPU;
    return CUDA_SUCCESS;
}

static CUmemLocation
location_of(CUdevice device)
{
    CUmemLocation location = {CU_MEM_LOCATION_TYPE_DEVICE, device};

    if (device == CU_DEVICE_CPU)
        location = (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST, 0};
    return location;
}

SIM_EXPORT CUresult
cuMemPrefetchAsync_v2(CUdeviceptr address, size_t bytes, CUmemLocation location, unsigned int flags, CUstream stream)
{
    struct sim_context *context;
    struct page *pages;
    size_t count;
    int device;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    result = flags ? CUDA_ERROR_INVALID_VALUE : sim_stream_check(stream);
    if (!result)
        result = device_of(&location, &device);
    if (!result)
        result = find_pages(address, bytes, &pages, &count);
    for (size_t i = 0; !result && i < count; i++)
        pages[i].prefetched = device;
    return sim_end(result);
}
SIM_SYNONYM(cuMemPrefetchAsync_v2_ptsz, cuMemPrefetchAsync_v2);

SIM_EXPORT CUresult
cuMemPrefetchAsync(CUdeviceptr address, size_t bytes, CUdevice device, CUstream stream)
{
    return cuMemPrefetchAsync_v2(address, bytes, location_of(device), 0, stream);
}
SIM_SYNONYM(cuMemPrefetchAsync_ptsz, cuMemPrefetchAsync);

SIM_EXPORT CUresult
cuMemAdvise_v2(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUmemLocation location)
{
    bool placed = advice == CU_MEM_ADVISE_SET_PREFERRED_LOCATION || advice == CU_MEM_ADVISE_SET_ACCESSED_BY ||
                  advice == CU_MEM_ADVISE_UNSET_ACCESSED_BY;
    struct page *pages;
    size_t count;
    int device = CU_DEVICE_INVALID;
    CUresult result = sim_begin();

    if (result)
        return result;
    if (advice < CU_MEM_ADVISE_SET_READ_MOSTLY || advice > CU_MEM_ADVISE_UNSET_ACCESSED_BY)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = placed ? device_of(&location, &device) : CUDA_SUCCESS;
    if (!result)
        result = find_pages(address, bytes, &pages, &count);
    for (size_t i = 0; !result && i < count; i++) {
        unsigned int bit = 1u << (device & 31);

        if (advice <= CU_MEM_ADVISE_UNSET_READ_MOSTLY)
            pages[i].read_mostly = advice == CU_MEM_ADVISE_SET_READ_MOSTLY;
        else if (advice <= CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION)
            pages[i].preferred = device;
        else if (advice == CU_MEM_ADVISE_SET_ACCESSED_BY)
            pages[i].accessed_by |= bit;
        else
            pages[i].accessed_by &= ~bit;
    }
    return sim_end(result);
}

SIM_EXPORT CUresult
cuMemAdvise(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUdevice device)
{
    return cuMemAdvise_v2(address, bytes, advice, location_of(device));
}

static void
list_devices(unsigned int bits, int *out, size_t room)
{
    size_t used = 0;

    if (bits >> 31 && used < room)
        out[used++] = CU_DEVICE_CPU;
    for (int i = 0; i < 31; i++)
        if (bits >> i & 1 && used < room)
            out[used++] = i;
    while (used < room)
        out[used++] = CU_DEVICE_INVALID;
}

static CUresult
write_attribute(int *out, size_t room, CUmem_range_attribute attribute, const struct page *pages, size_t count)
{
    struct page same = pages[0];

    for (size_t i = 1; i < count; i++) {
        same.read_mostly &= pages[i].read_mostly;
        same.accessed_by &= pages[i].accessed_by;
        same.preferred = same.preferred == pages[i].preferred ? same.preferred : CU_DEVICE_INVALID;
        same.prefetched = same.prefetched == pages[i].prefetched ? same.prefetched : CU_DEVICE_INVALID;
    }
    switch (attribute) {
    case CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY:
        *out = same.read_mostly;
        break;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION:
        *out = same.preferred;
        break;
    case CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY:
        list_devices(same.accessed_by, out, room);
        break;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION:
        *out = same.prefetched;
        break;
    default:
        return CUDA_ERROR_NOT_SUPPORTED;
    }
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuMemRangeGetAttribute(void *data, size_t data_bytes, CUmem_range_attribute attribute, CUdeviceptr address,
                       size_t bytes)
{
    struct page *pages;
    size_t count;
    CUresult result = sim_begin();

    if (result)
        return result;
    if (!data || !data_bytes || data_bytes % sizeof(int))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = find_pages(address, bytes, &pages, &count);
    return sim_end(result ? result : write_attribute(data, data_bytes / sizeof(int), attribute, pages, count));
}

SIM_EXPORT CUresult
cuMemRangeGetAttributes(void **data, size_t *data_bytes, CUmem_range_attribute *attributes, size_t count,
                        CUdeviceptr address, size_t bytes)
{
    CUresult result = data && data_bytes && attributes && count ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;

    for (size_t i = 0; i < count && !result; i++)
        result = cuMemRangeGetAttribute(data[i], data_bytes[i], attributes[i], address, bytes);
    return result;
}
