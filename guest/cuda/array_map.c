/* SPDX-License-Identifier: MIT */
/* Memory for arrays that were made without: a part of an array, or all of it, becomes a piece of physical memory. */
#include "array.h"
#include "device.h"

static bool
is_named(const CUarrayMapInfo *info, uint32_t *array, uint32_t *levels)
{
    const struct cuda_guest_mipmap *mipmap;
    const struct cuda_guest_array *plain;

    *array = *levels = 0;
    if (info->resourceType == CU_RESOURCE_TYPE_ARRAY) {
        plain = cuda_guest_array_find(info->resource.array);
        *array = plain && !plain->part ? plain->object.handle : 0;
    } else if (info->resourceType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY) {
        mipmap = cuda_guest_find(info->resource.mipmap, CUDA_HANDLE_MIPMAP);
        *levels = mipmap ? mipmap->object.handle : 0;
    }
    return *array != 0 || *levels != 0;
}

/* The host's number of the one device in the mask. */
static bool
is_one_device(unsigned mask, uint32_t *ordinal)
{
    const struct cuda_guest_device *device = mask != 0 ? cuda_guest_device(__builtin_ctz(mask)) : NULL;

    if (!device || (mask & (mask - 1)) != 0)
        return false;
    *ordinal = device->ordinal;
    return true;
}

static CUresult
map_post(struct cuda_guest_thread *self, const CUarrayMapInfo *info, uint32_t stream)
{
    CUarrayMapInfo entry = *info;
    uint32_t array, levels, device, from = 0;

    if (!is_named(info, &array, &levels) || !is_one_device(info->deviceBitMask, &device) || info->flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (info->memOperationType == CU_MEM_OPERATION_TYPE_MAP) {
        if (info->memHandleType != CU_MEM_HANDLE_TYPE_GENERIC)
            return CUDA_ERROR_INVALID_VALUE;
        from = cuda_guest_physical_wire(info->memHandle.memHandle);
        if (from == 0)
            return CUDA_ERROR_INVALID_VALUE;
    } else if (info->memOperationType != CU_MEM_OPERATION_TYPE_UNMAP) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    entry.resource.array = NULL;
    entry.memHandle.memHandle = 0;
    return cuda_guest_result(
        cuda_array_map_on(&cuda_guest.client, self->lane, &entry, array, levels, from, device, stream));
}

ENTRY
cuMemMapArrayAsync(CUarrayMapInfo *list, unsigned int count, CUstream stream)
{
    struct cuda_guest_thread *self;
    uint32_t wire;
    CUresult result = cuda_guest_stream_enter(stream, &self, &wire);

    if (result != CUDA_SUCCESS)
        return result;
    if (!list || count == 0)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned int i = 0; i < count && result == CUDA_SUCCESS; i++)
        result = map_post(self, &list[i], wire);
    return result;
}

ENTRY
cuMemMapArrayAsync_ptsz(CUarrayMapInfo *list, unsigned int count, CUstream stream)
{
    return cuMemMapArrayAsync(list, count, cuda_guest_per_thread(stream));
}
