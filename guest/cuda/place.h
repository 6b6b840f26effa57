/* SPDX-License-Identifier: MIT */
/* Where the memory of a copy lies: it decides how the copy is made. */
#ifndef CUDA_GUEST_PLACE_H
#define CUDA_GUEST_PLACE_H

#include "guest.h"

enum cuda_guest_place_kind {
    CUDA_GUEST_AT_DEVICE,
    CUDA_GUEST_AT_ARENA,    /* pinned: by reference */
    CUDA_GUEST_AT_PAGEABLE, /* through slots */
};

struct cuda_guest_place {
    enum cuda_guest_place_kind kind;
    CUdeviceptr device;  /* if at the device */
    unsigned char *host; /* else */
    uint64_t offset;     /* if in the arena */
};

/** Finds out where [@p address, +@p bytes) lies. 0, or CUDA_ERROR_INVALID_VALUE: not wholly in one place. */
CUresult cuda_guest_place_find(uint64_t address, uint64_t bytes, struct cuda_guest_place *out);

#endif
