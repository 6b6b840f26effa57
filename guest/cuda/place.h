/* SPDX-License-Identifier: MIT */
/* Where the ends of a copy lie: it decides how the copy is made. */
#ifndef CUDA_GUEST_PLACE_H
#define CUDA_GUEST_PLACE_H

#include "guest.h"

enum cuda_guest_place_kind {
    CUDA_GUEST_AT_DEVICE,
    CUDA_GUEST_AT_ARENA,    /* pinned: by reference */
    CUDA_GUEST_AT_PAGEABLE, /* through slots */
    CUDA_GUEST_AT_ARRAY,
};

struct cuda_guest_place {
    enum cuda_guest_place_kind kind;
    CUdeviceptr device;  /* if at the device */
    unsigned char *host; /* if in the arena or pageable */
    uint64_t offset;     /* if in the arena */
    uint32_t array;      /* if in an array: its handle */
};

/** Finds out where [@p address, +@p bytes) lies. 0, or CUDA_ERROR_INVALID_VALUE: not wholly in one place. */
CUresult cuda_guest_place_find(uint64_t address, uint64_t bytes, struct cuda_guest_place *out);

/** Copies memory that was found so, on a stream. */
CUresult cuda_guest_copy(struct cuda_guest_thread *self, const struct cuda_guest_place *to,
                         const struct cuda_guest_place *from, size_t bytes, uint32_t stream);

/** Does the device reach it without slots? */
static inline bool
cuda_guest_place_reached(const struct cuda_guest_place *place)
{
    return place->kind != CUDA_GUEST_AT_PAGEABLE;
}

/** Is it the device's own, so that nobody waits for a copy to it? */
static inline bool
cuda_guest_place_remote(const struct cuda_guest_place *place)
{
    return place->kind == CUDA_GUEST_AT_DEVICE || place->kind == CUDA_GUEST_AT_ARRAY;
}

#endif
