/* SPDX-License-Identifier: MIT */
/* What guest and host both know of copies of boxes and of the elements of arrays. */
#ifndef GPUVCHAN_CUDA_COPY_H
#define GPUVCHAN_CUDA_COPY_H

#include <stdint.h>

#include "cuda_api.h"

/** Addresses below may be made up from NULL, see the guest's memset.c. The host sees that it has no memory there. */
#define CUDA_LOW_ADDRESSES (1u << 30)

enum cuda_copy_place {
    CUDA_COPY_DEVICE,
    CUDA_COPY_ARENA,
    CUDA_COPY_ARRAY,
};

/** As which of the driver's functions a copy is made. */
enum cuda_copy_form {
    CUDA_COPY_2D,
    CUDA_COPY_3D,
    CUDA_COPY_3D_PEER,
};

/** One end of a copy of a box, as records have it. */
struct cuda_copy_end {
    uint32_t place; /* enum cuda_copy_place */
    uint32_t unused;
    uint64_t address; /* of device memory: that of the box's first byte */
    uint64_t pitch;   /* of memory: bytes from a row to the next, */
    uint64_t height;  /* and rows from a plane to the next */
    uint64_t x, y, z; /* of an array: where the box begins; x in bytes */
};

/** Bytes of one element; 0: the format is packed otherwise, or unknown. */
static inline uint32_t
cuda_element_bytes(CUarray_format format, uint32_t channels)
{
    switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8:
        return channels;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF:
        return 2 * channels;
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
    case CU_AD_FORMAT_FLOAT:
        return 4 * channels;
    case CU_AD_FORMAT_UNORM_INT8X1:
    case CU_AD_FORMAT_SNORM_INT8X1:
        return 1;
    case CU_AD_FORMAT_UNORM_INT8X2:
    case CU_AD_FORMAT_SNORM_INT8X2:
    case CU_AD_FORMAT_UNORM_INT16X1:
    case CU_AD_FORMAT_SNORM_INT16X1:
        return 2;
    case CU_AD_FORMAT_UNORM_INT8X4:
    case CU_AD_FORMAT_SNORM_INT8X4:
    case CU_AD_FORMAT_UNORM_INT16X2:
    case CU_AD_FORMAT_SNORM_INT16X2:
    case CU_AD_FORMAT_UNORM_INT_101010_2:
        return 4;
    case CU_AD_FORMAT_UNORM_INT16X4:
    case CU_AD_FORMAT_SNORM_INT16X4:
        return 8;
    default:
        return 0;
    }
}

#endif
