/* SPDX-License-Identifier: MIT */
/* What guest and host both know of a device's memory without an address. */
#ifndef GPUVCHAN_CUDA_PHYSICAL_H
#define GPUVCHAN_CUDA_PHYSICAL_H

/** What is wanted of it besides its size. */
enum cuda_physical_wants {
    CUDA_PHYSICAL_COMPRESSIBLE = 1, /* if the driver can */
    CUDA_PHYSICAL_TILES = 2,        /* for arrays, and for nothing else */
    CUDA_PHYSICAL_SHAREABLE = 4,    /* with other processes of the guest */
};

#endif
