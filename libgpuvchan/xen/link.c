/* SPDX-License-Identifier: MIT */
/* A channel's end, as both sides have it: doorbells, waiting, and the end. */
#include "xen_transport.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "error.h"
#include "ring.h"

#define LOOK_SECONDS 1 /* how long a guest's thread sleeps until it looks whether there is a host at all */

int
xen_link_create(uint32_t domain, bool guest, struct xen_link **out)
{
    struct xen_link *l = calloc(1, sizeof(*l));

    if (!l)
        return gpuvchan__error(-ENOMEM, "out of memory");
    l->link.transport = &gpuvchan__transport_xen;
    l->domain = domain;
    l->guest = guest;
    l->device = l->keeper = -1;
    l->shut = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (l->shut < 0 || l->wake < 0 || l->timer < 0) {
        int error = errno;

        if (l->shut >= 0)
            close(l->shut);
        if (l->wake >= 0)
            close(l->wake);
        free(l);
        return gpuvchan__error(-error, "cannot create eventfds and a timer: %s", strerror(error));
    }
    *out = l;
    return 0;
}

/* ---- Doorbells ------------------------------------------------------------------------------- */

void
xen_nonblocking(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int
xen_event_open(xenevtchn_handle **out)
{
    xenevtchn_handle *handle = xenevtchn_open(NULL, 0);

    if (!handle)
        return gpuvchan__error(-errno, "cannot open /dev/xen/evtchn: %s (see the group gpuvchan in gpuvchan(7))",
                               strerror(errno));
    xen_nonblocking(xenevtchn_fd(handle));
    *out = handle;
    return 0;
}

enum wake {
    WAKE_BELL,
    WAKE_SHUT,
    WAKE_PEER,
    WAKE_TIMER,
};

static bool
wakes_for(int epoll, int fd, enum wake what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = what};

    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/*
 * The timer runs once while anybody sleeps, and is set anew by whoever sleeps after it has run: a time limit
 * of each sleep's own would have the kernel program the clock each time.
 */
static void
timer_set(const struct xen_link *l)
{
    struct itimerspec when = {.it_value.tv_sec = LOOK_SECONDS};

    timerfd_settime(l->timer, 0, &when, NULL);
}

/* In a host's process the main thread sees the peer go, and shuts; nobody needs the time. */
int
xen_bell_open(struct xen_link *l, uint32_t lane)
{
    struct xen_bell *bell = &l->bells[lane];
    int error = xen_event_open(&bell->handle);

    if (error != 0)
        return error;
    bell->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (bell->epoll >= 0 && wakes_for(bell->epoll, xenevtchn_fd(bell->handle), WAKE_BELL) &&
        wakes_for(bell->epoll, l->shut, WAKE_SHUT) &&
        (!l->guest || (wakes_for(bell->epoll, libxenvchan_fd_for_select(l->vchan), WAKE_PEER) &&
                       wakes_for(bell->epoll, l->timer, WAKE_TIMER)))) {
        if (l->guest)
            timer_set(l);
        return 0;
    }
    error = errno;
    xen_bell_close(bell);
    return gpuvchan__error(-error, "cannot wait for event channels: %s", strerror(error));
}

void
xen_bell_close(struct xen_bell *bell)
{
    if (!bell->handle)
        return;
    if (bell->epoll >= 0)
        close(bell->epoll);
    xenevtchn_close(bell->handle);
    bell->handle = NULL;
}

void
xen_ring(struct gpuvchan__link *link, uint32_t lane)
{
    const struct xen_bell *bell = &xen_link(link)->bells[lane];

    xenevtchn_notify(bell->handle, bell->port);
}

void
xen_ring_main(struct gpuvchan__link *link)
{
    struct libxenvchan *vchan = xen_link(link)->vchan;

    xenevtchn_notify(vchan->event, vchan->event_port);
}

void
xen_shut(struct gpuvchan__link *link)
{
    static const uint64_t one = 1;

    (void)!write(xen_link(link)->shut, &one, sizeof(one));
}

void
xen_wake_main(struct gpuvchan__link *link)
{
    static const uint64_t one = 1;

    (void)!write(xen_link(link)->wake, &one, sizeof(one));
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* Anything but "both are there" is the end: after a restore a guest may read all ones. */
bool
xen_peer_closed(const struct xen_link *l)
{
    return libxenvchan_is_open(l->vchan) != 1;
}

/* Both nodes vanish with what they stand for: this domain as it was before a restore, and the host's domain. */
static int
look_around(const struct xen_link *l)
{
    struct xs_handle *store = xs_open(0);
    bool node, host;

    if (!store)
        return 0; /* a program that gave up its rights since: nobody knows */
    node = !xen_store_absent(store, l->node);
    host = !xen_store_absent(store, l->host_node);
    xs_close(store);
    if (!node)
        return gpuvchan__error(-ESTALE, "this domain was saved and restored, or migrated, and the channel to the host "
                                        "did not survive: start the program again");
    if (!host && l->domain != 0)
        return gpuvchan__error(-EHOSTDOWN, "the host's domain %u has ended", l->domain);
    return 0;
}

static void
drain(xenevtchn_handle *handle)
{
    xenevtchn_port_or_error_t port = xenevtchn_pending(handle);

    if (port >= 0)
        xenevtchn_unmask(handle, (evtchn_port_t)port);
}

/* It may have run out long ago: then nobody has slept for so long. */
static bool
timer_over(struct xen_link *l, uint64_t since)
{
    uint64_t count;
    bool slept = gpuvchan__now_ns() - since > LOOK_SECONDS * 900000000ull;

    (void)!read(l->timer, &count, sizeof(count));
    timer_set(l);
    return slept;
}

int
xen_wait(struct gpuvchan__link *link, uint32_t lane, int timeout_ms)
{
    struct xen_link *l = xen_link(link);
    const struct xen_bell *bell = &l->bells[lane];
    uint64_t since = l->guest ? gpuvchan__now_ns() : 0;

    for (;;) {
        struct epoll_event event;
        int ready, error;

        /* Its event may have come together with the welcome's, and was taken with that. */
        if (l->guest && xen_peer_closed(l))
            return -EPIPE;
        ready = epoll_wait(bell->epoll, &event, 1, timeout_ms);
        if (ready == 0)
            return -ETIME;
        if (ready < 0)
            return 0; /* interrupted: look */
        switch ((enum wake)event.data.u32) {
        case WAKE_BELL:
            return drain(bell->handle), 0;
        case WAKE_PEER:
            drain(l->vchan->event);
            return xen_peer_closed(l) ? -EPIPE : 0;
        case WAKE_TIMER:
            error = timer_over(l, since) ? look_around(l) : 0;
            if (error != 0)
                return error;
            break;
        default:
            return -EPIPE;
        }
    }
}

int
xen_wait_main(struct gpuvchan__link *link, int timeout_ms)
{
    struct xen_link *l = xen_link(link);
    struct pollfd waiting[] = {
        {.fd = libxenvchan_fd_for_select(l->vchan), .events = POLLIN},
        {.fd = l->shut, .events = POLLIN},
        {.fd = l->wake, .events = POLLIN},
    };
    uint64_t count;
    int ready;

    if (xen_peer_closed(l)) /* see xen_wait() */
        return -EPIPE;
    ready = poll(waiting, 3, timeout_ms);
    if (ready == 0)
        return -ETIME;
    if (ready < 0)
        return 0;
    if (waiting[1].revents)
        return -EPIPE;
    if (waiting[2].revents)
        (void)!read(l->wake, &count, sizeof(count));
    drain(l->vchan->event);
    return xen_peer_closed(l) ? -EPIPE : 0;
}

/* ---- The end --------------------------------------------------------------------------------- */

/* The kernel rings for a process when its page goes; a child that inherited it would keep it from that. */
void
xen_abandon(struct gpuvchan__link *link)
{
    struct xen_link *l = xen_link(link);

    for (uint32_t i = 0; i < WIRE_LANES_MAX; i++)
        if (l->bells[i].handle) {
            close(xenevtchn_fd(l->bells[i].handle));
            close(l->bells[i].epoll);
        }
    if (l->vchan)
        close(libxenvchan_fd_for_select(l->vchan));
    close(l->shut);
    close(l->wake);
    close(l->timer);
    if (l->keeper >= 0)
        close(l->keeper);
    l->abandoned = true;
}

/* The handles of Xen's libraries are not for a child: their locks may be held for ever. */
static void
close_abandoned(struct xen_link *l)
{
    if (l->base)
        munmap(l->base, l->bytes);
    free(l);
}

void
xen_close(struct gpuvchan__link *link)
{
    struct xen_link *l = xen_link(link);

    if (l->abandoned) {
        close_abandoned(l);
        return;
    }
    /* The host unmaps before it says that it is gone; the guest says that it is gone before it takes its pages back. */
    if (!l->guest && l->base)
        munmap(l->base, l->bytes);
    for (uint32_t i = 0; i < WIRE_LANES_MAX; i++)
        xen_bell_close(&l->bells[i]);
    if (l->vchan && l->guest)
        xen_server_close(l);
    else if (l->vchan)
        libxenvchan_close(l->vchan);
    if (l->guest)
        xen_unshare(l);
    if (l->guest && !l->kept)
        xen_unclaim(l);
    if (l->device >= 0)
        close(l->device);
    if (l->keeper >= 0)
        close(l->keeper);
    close(l->timer);
    close(l->wake);
    close(l->shut);
    free(l);
}
