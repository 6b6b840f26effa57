/* SPDX-License-Identifier: MIT */
/*
 * Tensor maps: the driver computes 128 bytes from numbers, and follows none of them. How many elements it reads of
 * each array follows from the rank, so the arrays must agree.
 */
#include "cuda_plugin.h"

#include <string.h>

#define MAP_WORDS (sizeof(CUtensorMap) / sizeof(uint64_t))

/* The result for the guest, which has room for it if it asked as its library does. */
static int
give(int result, const CUtensorMap *map, uint64_t *out, size_t *out_count)
{
    if (result != CUDA_SUCCESS)
        return result;
    if (*out_count < MAP_WORDS)
        return CUDA_ERROR_INVALID_VALUE;
    *out_count = MAP_WORDS;
    memcpy(out, map, sizeof(*map));
    return 0;
}

int
cuda_host_tensor_tiled(struct gpuvchan_request *request, int32_t type, uint64_t address, const uint64_t *dimensions,
                       size_t dimensions_count, const uint64_t *strides, size_t strides_count, const uint32_t *box,
                       size_t box_count, const uint32_t *steps, size_t steps_count, int32_t interleave, int32_t swizzle,
                       int32_t promotion, int32_t fill, uint64_t *map, size_t *map_count)
{
    const struct cuda_driver *native = cuda_native(request);
    CUtensorMap made;

    if (!native->cuTensorMapEncodeTiled)
        return cuda_driver_lacks(native, "cuTensorMapEncodeTiled");
    if (dimensions_count == 0 || strides_count != dimensions_count - 1 || box_count != dimensions_count ||
        steps_count != dimensions_count)
        return CUDA_ERROR_INVALID_VALUE;
    return give(native->cuTensorMapEncodeTiled(&made, (CUtensorMapDataType)type, (cuuint32_t)dimensions_count,
                                               (void *)(uintptr_t)address, dimensions, strides, box, steps,
                                               (CUtensorMapInterleave)interleave, (CUtensorMapSwizzle)swizzle,
                                               (CUtensorMapL2promotion)promotion, (CUtensorMapFloatOOBfill)fill),
                &made, map, map_count);
}

int
cuda_host_tensor_im2col(struct gpuvchan_request *request, int32_t type, uint64_t address, const uint64_t *dimensions,
                        size_t dimensions_count, const uint64_t *strides, size_t strides_count, const int32_t *lower,
                        size_t lower_count, const int32_t *upper, size_t upper_count, uint32_t channels,
                        uint32_t pixels, const uint32_t *steps, size_t steps_count, int32_t interleave, int32_t swizzle,
                        int32_t promotion, int32_t fill, uint64_t *map, size_t *map_count)
{
    const struct cuda_driver *native = cuda_native(request);
    CUtensorMap made;

    if (!native->cuTensorMapEncodeIm2col)
        return cuda_driver_lacks(native, "cuTensorMapEncodeIm2col");
    if (dimensions_count < 3 || strides_count != dimensions_count - 1 || lower_count != dimensions_count - 2 ||
        upper_count != lower_count || steps_count != dimensions_count)
        return CUDA_ERROR_INVALID_VALUE;
    return give(native->cuTensorMapEncodeIm2col(
                    &made, (CUtensorMapDataType)type, (cuuint32_t)dimensions_count, (void *)(uintptr_t)address,
                    dimensions, strides, lower, upper, channels, pixels, steps, (CUtensorMapInterleave)interleave,
                    (CUtensorMapSwizzle)swizzle, (CUtensorMapL2promotion)promotion, (CUtensorMapFloatOOBfill)fill),
                &made, map, map_count);
}

int
cuda_host_tensor_im2col_wide(struct gpuvchan_request *request, int32_t type, uint64_t address,
                             const uint64_t *dimensions, size_t dimensions_count, const uint64_t *strides,
                             size_t strides_count, int32_t lower, int32_t upper, uint32_t channels, uint32_t pixels,
                             const uint32_t *steps, size_t steps_count, int32_t interleave, int32_t mode,
                             int32_t swizzle, int32_t promotion, int32_t fill, uint64_t *map, size_t *map_count)
{
    const struct cuda_driver *native = cuda_native(request);
    CUtensorMap made;

    if (!native->cuTensorMapEncodeIm2colWide)
        return cuda_driver_lacks(native, "cuTensorMapEncodeIm2colWide");
    if (dimensions_count < 3 || strides_count != dimensions_count - 1 || steps_count != dimensions_count)
        return CUDA_ERROR_INVALID_VALUE;
    return give(native->cuTensorMapEncodeIm2colWide(&made, (CUtensorMapDataType)type, (cuuint32_t)dimensions_count,
                                                    (void *)(uintptr_t)address, dimensions, strides, lower, upper,
                                                    channels, pixels, steps, (CUtensorMapInterleave)interleave,
                                                    (CUtensorMapIm2ColWideMode)mode, (CUtensorMapSwizzle)swizzle,
                                                    (CUtensorMapL2promotion)promotion, (CUtensorMapFloatOOBfill)fill),
                &made, map, map_count);
}

int
cuda_host_tensor_replace_address(struct gpuvchan_request *request, const uint64_t *before, size_t before_count,
                                 uint64_t address, uint64_t *after, size_t *after_count)
{
    const struct cuda_driver *native = cuda_native(request);
    CUtensorMap map;

    if (!native->cuTensorMapReplaceAddress)
        return cuda_driver_lacks(native, "cuTensorMapReplaceAddress");
    if (before_count != MAP_WORDS)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&map, before, sizeof(map));
    return give(native->cuTensorMapReplaceAddress(&map, (void *)(uintptr_t)address), &map, after, after_count);
}
