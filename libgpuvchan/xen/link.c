/* SPDX-License-Identifier: MIT */
/* A channel's end, as both sides have it: doorbells, waiting, and the end. */
#include "xen_transport.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"

#define LOOK_MS 1000 /* how long a guest's thread sleeps until it looks whether there is a host at all */

int
xen_link_create(uint32_t domain, bool guest, struct xen_link **out)
{
    struct xen_link *l = calloc(1, sizeof(*l));

    if (!l)
        return gpuvchan__error(-ENOMEM, "out of memory");
    l->link.transport = &gpuvchan__transport_xen;
    l->domain = domain;
    l->guest = guest;
    l->shut = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->shut < 0) {
        int error = errno;

        free(l);
        return gpuvchan__error(-error, "cannot create an eventfd: %s", strerror(error));
    }
    *out = l;
    return 0;
}

/* ---- Doorbells ------------------------------------------------------------------------------- */

int
xen_bell_open(struct xen_bell *bell)
{
    int fd;

    bell->handle = xenevtchn_open(NULL, 0);
    if (!bell->handle)
        return gpuvchan__error(-errno, "cannot open /dev/xen/evtchn: %s (see the group gpuvchan in gpuvchan(7))",
                               strerror(errno));
    fd = xenevtchn_fd(bell->handle);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return 0;
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
        return gpuvchan__error(-EPIPE, "the host's domain %u has ended", l->domain);
    return 0;
}

static void
drain(xenevtchn_handle *handle)
{
    xenevtchn_port_or_error_t port = xenevtchn_pending(handle);

    if (port >= 0)
        xenevtchn_unmask(handle, (evtchn_port_t)port);
}

int
xen_wait(struct gpuvchan__link *link, uint32_t lane, int timeout_ms)
{
    struct xen_link *l = xen_link(link);
    const struct xen_bell *bell = &l->bells[lane];
    /* In a host's process the main thread sees the peer go, and shuts. */
    struct pollfd waiting[] = {
        {.fd = xenevtchn_fd(bell->handle), .events = POLLIN},
        {.fd = l->shut, .events = POLLIN},
        {.fd = l->guest ? libxenvchan_fd_for_select(l->vchan) : -1, .events = POLLIN},
    };

    for (;;) {
        int slice = l->guest && (timeout_ms < 0 || timeout_ms > LOOK_MS) ? LOOK_MS : timeout_ms;
        int ready = poll(waiting, 3, slice), error = 0;

        if (ready > 0 && waiting[1].revents)
            return -EPIPE;
        if (ready > 0 && waiting[0].revents)
            return drain(bell->handle), 0;
        if (ready > 0 && waiting[2].revents) {
            drain(l->vchan->event);
            return xen_peer_closed(l) ? -EPIPE : 0;
        }
        if (ready == 0 && l->guest)
            error = look_around(l);
        if (error != 0)
            return error;
        if (ready == 0 && slice == timeout_ms)
            return -ETIME;
        if (ready == 0 && timeout_ms > 0)
            timeout_ms -= slice;
        if (ready < 0)
            return 0; /* interrupted: look */
    }
}

int
xen_wait_main(struct gpuvchan__link *link, int timeout_ms)
{
    struct xen_link *l = xen_link(link);
    struct pollfd waiting[] = {
        {.fd = libxenvchan_fd_for_select(l->vchan), .events = POLLIN},
        {.fd = l->shut, .events = POLLIN},
    };
    int ready = poll(waiting, 2, timeout_ms);

    if (ready == 0)
        return -ETIME;
    if (ready < 0)
        return 0;
    if (waiting[1].revents)
        return -EPIPE;
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
        if (l->bells[i].handle)
            close(xenevtchn_fd(l->bells[i].handle));
    if (l->vchan)
        close(libxenvchan_fd_for_select(l->vchan));
    close(l->shut);
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

/*
 * libxenvchan's own close for a server wants its handle on the grant device, which is closed already, so
 * that a child of a fork has none. Page and event are what it would have dealt with.
 */
static void
close_server(struct libxenvchan *vchan)
{
    vchan->ring->srv_live = 0;
    xenevtchn_notify(vchan->event, vchan->event_port);
    munmap(vchan->ring, XEN_PAGE);
    vchan->ring = NULL;
    libxenvchan_close(vchan);
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
        if (l->bells[i].handle)
            xenevtchn_close(l->bells[i].handle);
    if (l->vchan && l->guest)
        close_server(l->vchan);
    else if (l->vchan)
        libxenvchan_close(l->vchan);
    if (l->directory)
        munmap(l->directory, (size_t)l->directory_pages * XEN_PAGE);
    if (l->guest && l->base)
        munmap(l->base, l->bytes);
    close(l->shut);
    free(l);
}
