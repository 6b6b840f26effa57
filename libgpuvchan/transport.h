/* SPDX-License-Identifier: MIT */
/*
 * What a transport does for a channel: rendezvous, sharing the region, doorbells, and telling whether
 * the peer lives. Everything else is the same on all transports.
 *
 * Each side has a doorbell per lane that the other side rings. A channel-wide doorbell at the host wakes
 * its main thread (a lane was opened). Waiting on a doorbell also notices that the peer is gone.
 */
#ifndef GPUVCHAN_TRANSPORT_H
#define GPUVCHAN_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

struct gpuvchan__link;

struct gpuvchan__transport {
    const char *name;

    /* Guest: find the host. */
    int (*connect)(const char *place, uint32_t timeout_ms, struct gpuvchan__link **out);
    /* Guest: allocate the region that will be shared, zeroed, and map it. */
    int (*allocate)(struct gpuvchan__link *link, uint64_t bytes, void **base);
    /* Guest: send the hello with the region, receive the welcome. */
    int (*greet)(struct gpuvchan__link *link, const struct wire_hello *hello, struct wire_welcome *welcome,
                 uint32_t timeout_ms);

    /* Host: receive the hello over an accepted connection. Takes fd in any case. */
    int (*receive)(int fd, struct wire_hello *hello, uint32_t timeout_ms, struct gpuvchan__link **out);
    /* Host: map the region; hello has been checked. At the guest's address where that is free here. */
    int (*map)(struct gpuvchan__link *link, const struct wire_hello *hello, void **base);
    /* Host: create the doorbells where the transport needs it, and answer. */
    int (*welcome)(struct gpuvchan__link *link, const struct wire_hello *hello, const struct wire_welcome *welcome);

    /* Both: feature bits of wire.h that this end can grant. */
    uint64_t (*features)(const struct gpuvchan__link *link);
    /* Ring the peer's doorbell of a lane. Never blocks. */
    void (*ring)(struct gpuvchan__link *link, uint32_t lane);
    /* Wait for mine: 0 rung (or nobody knows: look), -ETIME, -EPIPE the peer is gone. -1: no time limit. */
    int (*wait)(struct gpuvchan__link *link, uint32_t lane, int timeout_ms);
    /* Guest: wake the host's main thread. */
    void (*ring_main)(struct gpuvchan__link *link);
    /* Host, main thread: as wait, for the channel-wide doorbell. */
    int (*wait_main)(struct gpuvchan__link *link, int timeout_ms);
    /* Wake every waiter of this end, main and lanes, for good: they see -EPIPE. Async-signal-safe. */
    void (*shut)(struct gpuvchan__link *link);
    /* Guest, in the child of a fork: let go of what makes the host believe that the parent lives. */
    void (*abandon)(struct gpuvchan__link *link);
    /* A fence in all running threads of both processes, if the feature was granted. */
    void (*fence_peer)(struct gpuvchan__link *link);
    void (*close)(struct gpuvchan__link *link);
};

struct gpuvchan__link {
    const struct gpuvchan__transport *transport;
};

extern const struct gpuvchan__transport gpuvchan__transport_local;

#endif
