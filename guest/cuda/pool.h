/* SPDX-License-Identifier: MIT */
/* What others ask of pools. */
#ifndef CUDA_GUEST_POOL_H
#define CUDA_GUEST_POOL_H

#include "context.h"

/** The pool that the range of kind POOLED is from; NULL: it cannot be told. */
CUmemoryPool cuda_guest_pool_of(const struct cuda_guest_range *range);

struct cuda_guest_pool {
    struct cuda_guest_object object;
    int device;
    bool lasting; /* the device's own */
};

#endif
