/* SPDX-License-Identifier: MIT */
/* Copies of boxes: rows in planes, of memory or of arrays. */
#ifndef CUDA_GUEST_BOX_H
#define CUDA_GUEST_BOX_H

#include "place.h"

/** One end; of memory the place is that of the box's first byte. */
struct cuda_guest_end {
    struct cuda_guest_place place;
    uint64_t pitch, height; /* of memory */
    uint64_t begin[3];      /* of an array: x in bytes, y, z */
    uint32_t context;       /* of a copy between contexts; 0: none */
};

struct cuda_guest_transfer {
    struct cuda_guest_end to, from;
    size_t width, rows, planes;
    uint8_t form; /* enum cuda_copy_form */
    uint32_t stream;
    bool wait; /* a synchronous function of the API */
};

/** One end as the structs of the API describe it. */
struct cuda_guest_end_description {
    CUmemorytype type;
    uint64_t host, device;
    CUarray array;
    uint64_t x, y, z, pitch, height;
};

/** Reads an end of @p box, whose extent is set. */
CUresult cuda_guest_end_read(struct cuda_guest_end *end, const struct cuda_guest_end_description *said,
                             const struct cuda_guest_transfer *box);
/** What an end in the arena takes up of it. */
struct gpuvchan_reference
cuda_guest_end_reference(const struct cuda_guest_end *end, const struct cuda_guest_transfer *box);
/** Makes the copy. */
CUresult cuda_guest_transfer_run(struct cuda_guest_thread *self, const struct cuda_guest_transfer *box);

#endif
