/* SPDX-License-Identifier: MIT */
/* The guest's end: a channel and its lanes. */
#ifndef GPUVCHAN_CHANNEL_H
#define GPUVCHAN_CHANNEL_H

#include <pthread.h>

#include "arena.h"
#include "error.h"
#include "ring.h"
#include "transport.h"

struct gpuvchan_lane {
    struct gpuvchan__writer writer; /* first: its front is what inline code sees */
    struct gpuvchan__reader reader;
    struct gpuvchan_channel *channel;
    struct wire_lane *shared;
    uint32_t index;
    uint64_t error_seen;  /* count of the last deferred error taken */
    unsigned char *reply; /* private copy of the last reply */
    _Atomic uint32_t distance_ns;
    uint64_t distance_at;
    struct gpuvchan_lane *next_idle; /* while no thread has it */
};

struct gpuvchan_channel {
    uint64_t id; /* never used again in this process */
    struct gpuvchan__link *link;
    struct wire_hello hello;
    unsigned char *base;
    struct wire_region *region;
    _Atomic int error;           /* sticky; 0 while it works */
    char error_text[ERROR_TEXT]; /* what it was, for threads that notice later; under the lock */
    _Atomic uint32_t ordered;
    _Atomic uint64_t clock __attribute__((aligned(64)));
    struct gpuvchan__arena arena __attribute__((aligned(64)));
    uint64_t spin_ns;
    bool same_address;
    bool fence;
    bool synchronous;
    struct gpuvchan__stats *stats; /* NULL: nobody counts */
    pthread_mutex_t lock;          /* of the lanes' list and the completion words */
    pthread_key_t key;             /* this thread's lane */
    uint32_t lanes;                /* which the host allows */
    uint32_t lanes_open;
    struct gpuvchan_lane *lane[WIRE_LANES_MAX];
    struct gpuvchan_lane *idle;
    uint64_t completions_used[WIRE_COMPLETIONS / 64];
    struct gpuvchan_channel *next; /* all of this process, for fork */
};

struct gpuvchan_buffer {
    struct gpuvchan_channel *channel;
    uint64_t offset, bytes;
};

/** Ends the channel: the first error stays. Returns it, and makes it this thread's gpuvchan_error_text(). */
int gpuvchan__channel_fail(struct gpuvchan_channel *channel, int error);

/** After -EPIPE from the link: what the host said before it went, as the channel's error. */
int gpuvchan__channel_lost(struct gpuvchan_channel *channel);

/** Waits for the reply to the call just published; leaves deferred errors of posts where they are. */
int gpuvchan__lane_wait(struct gpuvchan_lane *lane, const void **reply, uint32_t *bytes);

void gpuvchan__lane_destroy(struct gpuvchan_lane *lane);
/** Destructor of the thread's key: gives the lane back. */
void gpuvchan__lane_retire(void *lane);

static inline _Atomic uint64_t *
channel_completion(const struct gpuvchan_channel *channel, uint32_t index)
{
    return (_Atomic uint64_t *)(void *)(channel->base + WIRE_PAGE) + index;
}

#endif
