/* SPDX-License-Identifier: MIT */
/*
 * What a transport does for a channel: rendezvous, sharing the region, doorbells, and telling whether
 * the peer lives. Everything else is the same on all transports.
 *
 *      door    where a host waits for guests
 *      link    one channel's end, of the guest or of the worker
 *
 * Each side has a doorbell per lane that the other side rings. A channel-wide doorbell at the host wakes
 * its main thread (a lane was opened). Waiting on a doorbell also notices that the peer is gone.
 *
 * A connection on its way from the door to a worker is a file descriptor, which passes through fork and
 * exec: a socket here, a sealed file that says who and where on Xen. Its kind tells the transport.
 */
#ifndef GPUVCHAN_TRANSPORT_H
#define GPUVCHAN_TRANSPORT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include <gpuvchan/gpuvchan.h>

#include "wire.h"

struct gpuvchan__link;
struct gpuvchan__door;
struct gpuvchan_snapshot;

struct gpuvchan__heritage {
    /* Have wait return 0 at once for all lanes (@p on), or no more. Nothing that the guest has a hand in. */
    void (*rouse)(struct gpuvchan__link *link, bool on);
    /* Write what reopen needs. */
    int (*save)(struct gpuvchan__link *link, struct gpuvchan_snapshot *snapshot);
    /* Let its descriptors pass through exec, or no more. @return 0 or -errno. */
    int (*keep)(struct gpuvchan__link *link, bool on);
    /* In the new program: instead of receive. Takes @p fd, which is the same connection, in any case. */
    int (*reopen)(int fd, struct gpuvchan_snapshot *snapshot, struct gpuvchan__link **out);
};

struct gpuvchan__transport {
    const char *name;
    uint64_t arena_bytes;                /* default, */
    uint64_t arena_less;                 /* and what is tried where the host or this process has no room for that */
    uint32_t lanes;                      /* default */
    uint32_t command_bytes, reply_bytes; /* defaults of the rings */
    uint32_t arena_grain;                /* the arena begins at a multiple of it */
    bool remote; /* the peer runs on processors of its own: spinning never keeps it from running */

    /* Guest: find the host. */
    int (*connect)(const char *place, uint32_t timeout_ms, struct gpuvchan__link **out);
    /* Guest: how much of @p wanted can be shared now; @p why names what limits it, with the remedy. */
    uint64_t (*shareable)(struct gpuvchan__link *link, uint64_t wanted, char *why, size_t bytes);
    /* Guest: allocate the region that will be shared, zeroed, and map it. */
    int (*allocate)(struct gpuvchan__link *link, uint64_t bytes, void **base);
    /* Guest: send the hello with the region, receive the welcome. */
    int (*greet)(struct gpuvchan__link *link, struct wire_hello *hello, struct wire_welcome *welcome,
                 uint32_t timeout_ms);
    /* Guest: a doorbell for a lane, before the host hears of it; what the host needs to know goes to @p doorbell. */
    int (*lane_open)(struct gpuvchan__link *link, uint32_t lane, uint32_t *doorbell);

    /* Host: begin to wait for guests. */
    int (*listen)(const char *place, struct gpuvchan__door **out);
    /* Host: has this connection come through a door of this transport? */
    bool (*is_mine)(int fd);
    /* Host: tell a guest that has just been accepted why it cannot stay. Takes fd. Blocks at most 100 ms. */
    void (*refuse)(int fd, const struct wire_welcome *welcome);
    /* Host: receive the hello over an accepted connection. Takes fd in any case. */
    int (*receive)(int fd, struct wire_hello *hello, uint32_t timeout_ms, struct gpuvchan__link **out);
    /* Host: who the guest is, in words that are the same for all its processes and for nobody else. "": nobody knows. */
    void (*identify)(const struct gpuvchan__link *link, char *text, size_t bytes);
    /* Host: map the region; hello has been checked. At the guest's address where that is free here. */
    int (*map)(struct gpuvchan__link *link, const struct wire_hello *hello, void **base);
    /* Host: create the doorbells where the transport needs it, and answer. */
    int (*welcome)(struct gpuvchan__link *link, const struct wire_hello *hello, const struct wire_welcome *welcome);
    /* Host: give up, for good, what a worker that has answered needs no more. */
    int (*restrict_self)(struct gpuvchan__link *link);
    /* Host, main thread: the guest has opened a lane and said @p doorbell. */
    int (*lane_join)(struct gpuvchan__link *link, uint32_t lane, uint32_t doorbell);

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
    /* Host: have wait_main return 0 once, or the next time. Async-signal-safe. */
    void (*wake_main)(struct gpuvchan__link *link);

    /* Host: passing a link to a program that takes this one's place by exec. NULL: it does not outlive this one. */
    const struct gpuvchan__heritage *heritage;
    /* Guest, in the child of a fork: let go of what makes the host believe that the parent lives. */
    void (*abandon)(struct gpuvchan__link *link);
    /* A fence in all running threads of both processes, if the feature was granted. */
    void (*fence_peer)(struct gpuvchan__link *link);
    void (*close)(struct gpuvchan__link *link);
};

struct gpuvchan__link {
    const struct gpuvchan__transport *transport;
};

/* What the functions of gpuvchan.h for listeners do, on one transport. */
struct gpuvchan__door_ops {
    int (*fd)(const struct gpuvchan__door *door);
    int (*accept)(struct gpuvchan__door *door, int *fd, struct gpuvchan_peer *peer);
    bool (*alive)(struct gpuvchan__door *door, const struct gpuvchan_peer *peer);
    void (*claim)(struct gpuvchan__door *door, const struct gpuvchan_peer *peer);
    void (*release)(struct gpuvchan__door *door, const struct gpuvchan_peer *peer);
    void (*close)(struct gpuvchan__door *door);
};

struct gpuvchan__door {
    const struct gpuvchan__door_ops *ops;
};

extern const struct gpuvchan__transport gpuvchan__transport_local;

/** A door made of a listening socket that somebody else has bound. Owns @p fd on success. */
int gpuvchan__local_adopt(int fd, struct gpuvchan__door **out);

/**
 * The transport that @p address is for, and the @p place that it understands. Loads the transport's
 * module where it is one. @return 0; -EINVAL: no address; -ENOENT: this system has no such transport.
 */
int gpuvchan__transport_find(const char *address, const struct gpuvchan__transport **out, const char **place);

/** The transport whose door @p fd has come through; NULL: none of those that this process has loaded or can load. */
const struct gpuvchan__transport *gpuvchan__transport_of(int fd);

/** How long a wait on @p transport may spin; @p spin_us as the options say. */
uint64_t gpuvchan__spin_ns(int32_t spin_us, const struct gpuvchan__transport *transport);

/** Can guests and hosts on this system meet over Xen? */
bool gpuvchan__xen_here(void);

/* ---- Transports that are modules of their own ------------------------------------------------- */

/* What the library offers a module; the module links nothing of it. */
struct gpuvchan__core {
    int (*error)(int error, const char *format, va_list list);
    void (*log)(enum gpuvchan_log_level level, const char *text);
};

/* The module's only symbol, gpuvchan_transport_module. NULL: @p version is not the one that it was built for. */
typedef const struct gpuvchan__transport *gpuvchan__module_func(const char *version, const struct gpuvchan__core *core);
gpuvchan__module_func gpuvchan_transport_module;

#endif
