/* SPDX-License-Identifier: MIT */
/*
 * own_client.h - the guest's side of what measures libgpuvchan: a channel, and
 * the jobs of mechanism.h over it.
 *
 * Bulk goes through windows of slots in the arena; a slot is used again when its
 * completion number has come. A window is larger than a core's own cache and
 * smaller than the one that cores share.
 */
#ifndef BENCH_OWN_CLIENT_H
#define BENCH_OWN_CLIENT_H

#include <gpuvchan/gpuvchan.h>

#include "mechanism.h"

struct bench_window {
    struct gpuvchan_buffer *buffer;
    size_t bytes;      /* of the buffer that are its */
    size_t slot_bytes; /* largest; smaller messages have smaller slots, and more of them */
    uint32_t index;    /* completion word */
    uint64_t filled;   /* slots, ever */
};

/* Zeroed before it is opened. */
struct bench_own_client {
    struct gpuvchan_channel *channel;
    struct gpuvchan_client client;
    struct gpuvchan_lane *lane;
    struct bench_window slots, pieces, wholes;
};

/* All return 0 or -errno; where the library failed, its error's text says more. */

int bench_own_client_open(struct bench_own_client *own, const char *address,
                          const struct gpuvchan_channel_options *options);

/* Without the windows it has no jobs with bulk data; with wholes all share one buffer. */
int bench_own_client_windows(struct bench_own_client *own, bool wholes);

/* The job's calls alone. */
int bench_own_client_calls(struct bench_own_client *own, const struct bench_job *job);

/* Any other job, until the host has it all and it was all right. */
int bench_own_client_send(struct bench_own_client *own, const struct bench_job *job);

/* Is all that was sent executed, and was so much of it right? */
int bench_own_client_finish(struct bench_own_client *own, uint64_t expected);

void bench_own_client_close(struct bench_own_client *own);

#endif
