/* SPDX-License-Identifier: MIT */
/*
 * Memory at addresses that a driver of another process has chosen.
 *
 * Design notes: what the driver allocates it puts where it likes, so a fresh worker gets such memory back by reserving
 * the addresses and mapping other memory there. A place is as large as the device's pages, and serves all
 * allocations that lay in them; it goes with the last of these.
 */
#ifndef CUDA_PLACED_H
#define CUDA_PLACED_H

#include <stdbool.h>
#include <stdint.h>

#include "cuda_api.h"

struct cuda_host;
struct cuda_range;

struct cuda_place {
    struct cuda_place *next;
    CUdeviceptr start;
    uint64_t bytes;
    CUdevice device;
    uint32_t users; /* ranges in it */
    bool backed;
};

/** Reserves these addresses, and exactly these. @return a CUresult. */
int cuda_place_reserve(struct cuda_host *host, CUdeviceptr start, uint64_t bytes, CUdevice device);
/** The range, which is not in use yet, gets its memory from the place around it. @return a CUresult. */
int cuda_place_join(struct cuda_host *host, struct cuda_range *range);
/** The range is gone. With the host's lock. */
void cuda_place_leave(struct cuda_host *host, struct cuda_range *range);
/** The guest process ends: what is left of them. */
void cuda_places_end(struct cuda_host *host);

#endif
