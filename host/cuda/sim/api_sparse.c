/* SPDX-License-Identifier: MIT */
/*
 * Arrays whose memory is mapped later: in tiles, or as a whole.
 *
 * Rows lie one behind the other as in all arrays here, so a tile is as wide as
 * the array, and as high as fits: rows that do not fill tiles are refused. Where
 * nothing is mapped, zeros are read; what is written there is lost when
 * something is.
 */
#include "driver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define TILE 65536u

static size_t
array_bytes(const struct sim_array *array)
{
    size_t bytes = array->row_bytes * array->rows * array->planes;

    return (bytes + TILE - 1) / TILE * TILE;
}

static void *
map_nothing(uintptr_t at, size_t bytes)
{
    return mmap((void *)at, bytes, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0), -1, 0);
}

CUresult
sim_sparse_begin(struct sim_array *array, int device)
{
    bool tiles = array->desc.Flags & CUDA_ARRAY3D_SPARSE;
    CUresult result;
    void *memory;

    if (tiles && (!array->desc.Height || TILE % array->row_bytes ||
                  (array->planes > 1 && array->row_bytes * array->rows % TILE)))
        return CUDA_ERROR_NOT_SUPPORTED;
    memory = map_nothing(0, array_bytes(array));
    if (memory == MAP_FAILED)
        return CUDA_ERROR_OUT_OF_MEMORY;
    array->memory = (uintptr_t)memory;
    result = sim_memory_add(sim_driver.memory, RANGE_ARRAY, device, array->memory, array_bytes(array));
    if (result)
        munmap(memory, array_bytes(array));
    return result;
}

void
sim_sparse_end(struct sim_array *array)
{
    sim_memory_free(sim_driver.memory, RANGE_ARRAY, array->memory);
    munmap((void *)array->memory, array_bytes(array));
}

/* Lock, and an array with this flag. */
static CUresult
enter(CUarray handle, unsigned int flags, const void *out, struct sim_array **array)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    *array = sim_object_find(handle, OBJECT_ARRAY);
    if (!*array)
        return sim_end(CUDA_ERROR_INVALID_HANDLE);
    return out && (*array)->desc.Flags & flags ? CUDA_SUCCESS : sim_end(CUDA_ERROR_INVALID_VALUE);
}

SIM_EXPORT CUresult
cuArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES *properties, CUarray handle)
{
    struct sim_array *array;
    CUresult result = enter(handle, CUDA_ARRAY3D_SPARSE, properties, &array);

    if (result)
        return result;
    memset(properties, 0, sizeof *properties);
    properties->tileExtent.width = (unsigned int)array->desc.Width;
    properties->tileExtent.height = (unsigned int)(TILE / array->row_bytes);
    properties->tileExtent.depth = 1;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *requirements, CUarray handle, CUdevice device)
{
    struct sim_array *array;
    CUresult result = enter(handle, CUDA_ARRAY3D_DEFERRED_MAPPING, requirements, &array);

    if (result)
        return result;
    if (device != array->object.context->device)
        return sim_end(CUDA_ERROR_INVALID_DEVICE);
    memset(requirements, 0, sizeof *requirements);
    requirements->size = array_bytes(array);
    requirements->alignment = TILE;
    return sim_end(CUDA_SUCCESS);
}

/* The bytes of an array that an entry is about. False: they are not tiles of it. */
static bool
find_piece(const struct sim_array *array, const CUarrayMapInfo *info, size_t *start, size_t *bytes)
{
    size_t high = TILE / array->row_bytes;
    size_t z = info->subresource.sparseLevel.offsetZ + info->subresource.sparseLevel.layer;
    size_t y = info->subresource.sparseLevel.offsetY, height = info->subresource.sparseLevel.extentHeight;

    if (!(array->desc.Flags & CUDA_ARRAY3D_SPARSE)) {
        *start = 0;
        *bytes = array_bytes(array);
        return true;
    }
    if (info->subresourceType != CU_ARRAY_SPARSE_SUBRESOURCE_TYPE_SPARSE_LEVEL || info->subresource.sparseLevel.level ||
        info->subresource.sparseLevel.offsetX || info->subresource.sparseLevel.extentWidth != array->desc.Width ||
        info->subresource.sparseLevel.extentDepth != 1 || z >= array->planes || y % high || !height ||
        y + height > (array->rows + high - 1) / high * high || (height % high && y + height != array->rows))
        return false;
    *start = (z * array->rows + y) * array->row_bytes;
    *bytes = (height + high - 1) / high * TILE;
    return true;
}

static CUresult
map_piece(const CUarrayMapInfo *info)
{
    const struct sim_array *array = sim_object_find(info->resource.array, OBJECT_ARRAY);
    size_t start, bytes, room;
    int file;

    if (info->resourceType != CU_RESOURCE_TYPE_ARRAY || !array ||
        !(array->desc.Flags & (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING)) || info->flags ||
        info->deviceBitMask != 1u << array->object.context->device || info->offset % TILE ||
        !find_piece(array, info, &start, &bytes))
        return CUDA_ERROR_INVALID_VALUE;
    if (info->memOperationType == CU_MEM_OPERATION_TYPE_UNMAP)
        return map_nothing(array->memory + start, bytes) != MAP_FAILED ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    if (info->memOperationType != CU_MEM_OPERATION_TYPE_MAP ||
        !sim_physical_tiles(info->memHandle.memHandle, array->object.context->device, &file, &room) ||
        info->offset > room || bytes > room - info->offset)
        return CUDA_ERROR_INVALID_VALUE;
    return mmap((void *)(array->memory + start), bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file,
                (off_t)info->offset) != MAP_FAILED
               ? CUDA_SUCCESS
               : CUDA_ERROR_OUT_OF_MEMORY;
}

SIM_EXPORT CUresult
cuMemMapArrayAsync(CUarrayMapInfo *list, unsigned int count, CUstream stream)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    result = sim_stream_check(stream);
    if (!result && (!list || !count))
        result = CUDA_ERROR_INVALID_VALUE;
    for (unsigned int i = 0; !result && i < count; i++)
        result = map_piece(&list[i]);
    return sim_end(result);
}
SIM_SYNONYM(cuMemMapArrayAsync_ptsz, cuMemMapArrayAsync);
