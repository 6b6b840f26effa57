/* SPDX-License-Identifier: MIT */
/* What the ways to launch a kernel share. */
#ifndef CUDA_GUEST_LAUNCH_H
#define CUDA_GUEST_LAUNCH_H

#include "device.h"

struct cuda_guest_launch {
    uint32_t grid[3], block[3];
    uint32_t shared_bytes;
    uint32_t stream;
    bool cooperative;
};

/** Parameters in one packed piece, as libraries hand them over. What is missing at its end counts as zero. */
struct cuda_guest_packed {
    const void *data;
    size_t bytes;
};

/**
 * Finds the function and the stream, and refuses what the driver would refuse at once. On success all is known that a
 * record needs; @p packed, all zero before, is filled from @p extra.
 */
CUresult cuda_guest_launch_begin(struct cuda_guest_thread **self, CUfunction handle, struct cuda_guest_launch *launch,
                                 CUstream stream, void *const *parameters, void *const *extra,
                                 struct cuda_guest_function **out, struct cuda_guest_packed *packed);
/** Writes parameter_bytes to @p at, from @p parameters or @p packed. */
void cuda_guest_parameters_write(const struct cuda_guest_function *function, unsigned char *at, void *const *parameters,
                                 const struct cuda_guest_packed *packed);

/** Attributes as they travel. */
struct cuda_guest_launch_attributes {
    uint32_t count;
    uint32_t programmatic, completion; /* events, or 0 */
    bool cooperative;
    CUlaunchAttribute list[CUDA_LAUNCH_KERNEL_EX_ATTRIBUTES_MAX];
};

/** Takes over what @p config has of them. @p plain: nothing but cooperative is in them. */
CUresult cuda_guest_launch_attributes_read(const CUlaunchConfig *config,
                                           struct cuda_guest_launch_attributes *attributes, bool *plain);

#endif
