/* SPDX-License-Identifier: MIT */
/* What guest and host both know of texture references. */
#ifndef GPUVCHAN_CUDA_REFERENCE_H
#define GPUVCHAN_CUDA_REFERENCE_H

#include <stdint.h>

#include "cuda_api.h"

#define CUDA_REFERENCE_DIMENSIONS 3u

/** How a texture reference samples what it is bound to. */
struct cuda_reference_state {
    int32_t format, channels; /* CUarray_format */
    int32_t modes[CUDA_REFERENCE_DIMENSIONS];
    int32_t filter, mipmap_filter;
    int32_t anisotropy;
    uint32_t flags;
    float bias;
    float clamp[2];
    float border[4];
};

/** Which function sets it: what of the state is of interest. */
enum cuda_reference_setting {
    CUDA_REFERENCE_FORMAT,
    CUDA_REFERENCE_MODE, /* of the dimension that is this and 1, 2 */
    CUDA_REFERENCE_FILTER = CUDA_REFERENCE_MODE + CUDA_REFERENCE_DIMENSIONS,
    CUDA_REFERENCE_MIPMAP_FILTER,
    CUDA_REFERENCE_BIAS,
    CUDA_REFERENCE_CLAMP,
    CUDA_REFERENCE_ANISOTROPY,
    CUDA_REFERENCE_BORDER,
    CUDA_REFERENCE_FLAGS,
};

#endif
