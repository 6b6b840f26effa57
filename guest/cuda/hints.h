/* SPDX-License-Identifier: MIT */
/* What a program has said about its managed memory, page by page. */
#ifndef CUDA_GUEST_HINTS_H
#define CUDA_GUEST_HINTS_H

#include "guest.h"

/** Of some pages. */
struct cuda_guest_hints {
    bool read_mostly;
    CUmemLocation preferred, prefetched; /* type INVALID: none */
    uint64_t accessed_by;                /* a bit for each device */
    bool accessed_by_host;
};

/** Changes the hints of some pages as @p wanted says. */
typedef void cuda_guest_hints_change(struct cuda_guest_hints *hints, const void *wanted);

/** For a managed allocation that begins and one that ends. */
CUresult cuda_guest_hints_create(uint64_t start, uint64_t bytes);
void cuda_guest_hints_destroy(uint64_t start);
/** Changes the hints of all pages of [@p address, +@p bytes), which lies in one allocation. */
CUresult cuda_guest_hints_set(uint64_t address, uint64_t bytes, cuda_guest_hints_change *change, const void *wanted);
/** What is true of all pages of [@p address, +@p bytes). False: it is not in one managed allocation. */
bool cuda_guest_hints_get(uint64_t address, uint64_t bytes, struct cuda_guest_hints *hints);

#endif
