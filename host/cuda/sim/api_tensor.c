/* SPDX-License-Identifier: MIT */
/*
 * Tensor maps, in a layout of this device's own: only the driver makes them, so
 * programs do not look inside. Its kernels have no instruction that takes one.
 */
#include "driver.h"

#include <string.h>

#define RANK_MOST 5

struct layout {
    uint64_t address; /* first: it can be replaced */
    uint64_t dimensions[RANK_MOST];
    uint64_t strides[RANK_MOST - 1];
    uint16_t box[RANK_MOST], steps[RANK_MOST];
    int8_t lower[RANK_MOST - 2], upper[RANK_MOST - 2];
    uint16_t channels, pixels;
    uint8_t form, rank, type, interleave, swizzle, promotion, fill, mode;
};

_Static_assert(sizeof(struct layout) <= sizeof(CUtensorMap), "a map holds it");

enum form {
    TILED = 1,
    IM2COL,
    IM2COL_WIDE
};

/* What all forms have in common, checked. */
static bool
begin(struct layout *layout, enum form form, CUtensorMapDataType type, cuuint32_t rank, const void *address,
      const cuuint64_t *dimensions, const cuuint64_t *strides, const cuuint32_t *steps)
{
    cuuint32_t i;

    memset(layout, 0, sizeof *layout);
    if (rank < (form == TILED ? 1u : 3u) || rank > RANK_MOST || !dimensions || !steps || (!strides && rank > 1) ||
        (uintptr_t)address % 16)
        return false;
    layout->address = (uintptr_t)address;
    for (i = 0; i < rank; i++) {
        if (dimensions[i] == 0 || dimensions[i] > (1ull << 32) || steps[i] == 0 || steps[i] > 8)
            return false;
        layout->dimensions[i] = dimensions[i];
        layout->steps[i] = (uint16_t)steps[i];
    }
    for (i = 0; i + 1 < rank; i++) {
        if (strides[i] % 16 || strides[i] >= (1ull << 40))
            return false;
        layout->strides[i] = strides[i];
    }
    layout->form = (uint8_t)form;
    layout->rank = (uint8_t)rank;
    layout->type = (uint8_t)type;
    return true;
}

static void
finish(CUtensorMap *map, struct layout *layout, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
       CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
    layout->interleave = (uint8_t)interleave;
    layout->swizzle = (uint8_t)swizzle;
    layout->promotion = (uint8_t)promotion;
    layout->fill = (uint8_t)fill;
    memset(map, 0, sizeof *map);
    memcpy(map, layout, sizeof *layout);
}

SIM_EXPORT CUresult
cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *address,
                       const cuuint64_t *dimensions, const cuuint64_t *strides, const cuuint32_t *box,
                       const cuuint32_t *steps, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                       CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
    struct layout layout;
    cuuint32_t i;

    if (!map || !box || !begin(&layout, TILED, type, rank, address, dimensions, strides, steps))
        return CUDA_ERROR_INVALID_VALUE;
    for (i = 0; i < rank; i++) {
        if (box[i] == 0 || box[i] > 256)
            return CUDA_ERROR_INVALID_VALUE;
        layout.box[i] = (uint16_t)box[i];
    }
    finish(map, &layout, interleave, swizzle, promotion, fill);
    return CUDA_SUCCESS;
}

static bool
set_pixels(struct layout *layout, cuuint32_t channels, cuuint32_t pixels)
{
    if (channels == 0 || channels > 256 || pixels == 0 || pixels > 1024)
        return false;
    layout->channels = (uint16_t)channels;
    layout->pixels = (uint16_t)pixels;
    return true;
}

SIM_EXPORT CUresult
cuTensorMapEncodeIm2col(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *address,
                        const cuuint64_t *dimensions, const cuuint64_t *strides, const int *lower, const int *upper,
                        cuuint32_t channels, cuuint32_t pixels, const cuuint32_t *steps,
                        CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
                        CUtensorMapFloatOOBfill fill)
{
    struct layout layout;
    cuuint32_t i;

    if (!map || !lower || !upper || !begin(&layout, IM2COL, type, rank, address, dimensions, strides, steps) ||
        !set_pixels(&layout, channels, pixels))
        return CUDA_ERROR_INVALID_VALUE;
    for (i = 0; i + 2 < rank; i++) {
        if (lower[i] < INT8_MIN || lower[i] > INT8_MAX || upper[i] < INT8_MIN || upper[i] > INT8_MAX)
            return CUDA_ERROR_INVALID_VALUE;
        layout.lower[i] = (int8_t)lower[i];
        layout.upper[i] = (int8_t)upper[i];
    }
    finish(map, &layout, interleave, swizzle, promotion, fill);
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuTensorMapEncodeIm2colWide(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *address,
                            const cuuint64_t *dimensions, const cuuint64_t *strides, int lower, int upper,
                            cuuint32_t channels, cuuint32_t pixels, const cuuint32_t *steps,
                            CUtensorMapInterleave interleave, CUtensorMapIm2ColWideMode mode,
                            CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
    struct layout layout;

    if (!map || !begin(&layout, IM2COL_WIDE, type, rank, address, dimensions, strides, steps) ||
        !set_pixels(&layout, channels, pixels) || lower < INT8_MIN || lower > INT8_MAX || upper < INT8_MIN ||
        upper > INT8_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    layout.lower[0] = (int8_t)lower;
    layout.upper[0] = (int8_t)upper;
    layout.mode = (uint8_t)mode;
    finish(map, &layout, interleave, swizzle, promotion, fill);
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuTensorMapReplaceAddress(CUtensorMap *map, void *address)
{
    if (!map || (uintptr_t)address % 16)
        return CUDA_ERROR_INVALID_VALUE;
    map->opaque[0] = (uintptr_t)address;
    return CUDA_SUCCESS;
}
