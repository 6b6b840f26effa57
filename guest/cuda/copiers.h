/* SPDX-License-Identifier: MIT */
/* Threads that help to copy large pieces of memory. */
#ifndef CUDA_GUEST_COPIERS_H
#define CUDA_GUEST_COPIERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct gpuvchan_lane;

/** One piece. It and its memory stay until cuda_guest_copier_end(). */
struct cuda_guest_copier_job {
    struct gpuvchan_lane *lane; /* into the arena, as this lane does it; NULL: anywhere */
    unsigned char *to;
    const unsigned char *from;
    size_t bytes;
    _Atomic int state;
    struct cuda_guest_copier_job *newer, *older; /* in the queue */
};

/** Is a copy of @p bytes large enough for helpers, and are there some? Starts them if so. */
bool cuda_guest_copiers_start(size_t bytes);
/** Leaves the job to the helpers. */
void cuda_guest_copier_begin(struct cuda_guest_copier_job *job);
/** Returns when the job is done; the caller helps until then. */
void cuda_guest_copier_end(struct cuda_guest_copier_job *job);
/** Does it here and now. */
void cuda_guest_copier_run(const struct cuda_guest_copier_job *job);

#endif
