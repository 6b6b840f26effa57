/* SPDX-License-Identifier: MIT */
/* The guest's allocator of arena extents. Its state is private to the guest: the host only sees offsets. */
#ifndef GPUVCHAN_ARENA_H
#define GPUVCHAN_ARENA_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define ARENA_GRAIN 4096u

struct gpuvchan__extent;

struct gpuvchan__arena {
    pthread_mutex_t lock;
    struct gpuvchan__extent *free; /* by address, never two adjacent ones */
};

int gpuvchan__arena_init(struct gpuvchan__arena *arena, uint64_t bytes);
void gpuvchan__arena_finish(struct gpuvchan__arena *arena);
/** First fit. @p bytes is rounded up to ARENA_GRAIN. @return 0, -ENOMEM. */
int gpuvchan__arena_take(struct gpuvchan__arena *arena, uint64_t *bytes, uint64_t *offset);
/** @return 0, or -ENOMEM: the extent is lost, nothing else. */
int gpuvchan__arena_give(struct gpuvchan__arena *arena, uint64_t offset, uint64_t bytes);

#endif
