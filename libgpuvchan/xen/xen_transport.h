/* SPDX-License-Identifier: MIT */
/*
 * The transport for Xen, a module of its own: guest and host are domains of one Xen system.
 *
 * Design notes
 *
 * The guest is the server of a libxenvchan, whose two small rings carry hello and welcome, whose event
 * channel is the host's channel-wide doorbell, and whose liveness byte the kernel clears when either
 * process dies. The region is memory of the guest's, granted to the host's domain alone: 4 KiB pages, their
 * references in directory pages, and those of the directory pages in one root page, whose reference is in
 * the hello. The host copies the references, maps the region and unmaps the directory before it answers. A
 * lane has an event channel of its own, on a descriptor of its own, so that a thread sleeps and wakes alone.
 *
 * In xenstore, G and H being the domains' numbers:
 *
 *      /local/domain/H/data/gpuvchan/SERVICE     a host listens here; everybody may read it
 *      /local/domain/G/data/gpuvchan/host        where guests of G find their host, if not in 0
 *      /local/domain/G/data/gpuvchan/NAME        a channel, from connecting to closing; 12 hexadecimal digits
 *          to                                    "H/SERVICE"
 *          ring-ref, event-channel               libxenvchan's, which has room for 63 characters of their paths
 *          refused                               the host's reason, as "ERROR TEXT"
 *      /local/domain/G/data/gpuvchan/NAME.pages  how many pages the channel grants, until they are given back
 *      /local/domain/G/data/gpuvchan/frames      size of G's grant table, from Dom0
 *
 * Everything in a guest's nodes is the guest's to write, and the host believes none of it: it uses the
 * path's own domain number, and libxenvchan maps what that domain really granted, or fails.
 *
 * Who maps unmaps first: Linux frees a page that is still mapped elsewhere only by and by. So a process of
 * ours holds a guest's pages until its node is gone (keeper.c), which the host clears away once the worker
 * has ended.
 *
 * What the kernel tells: a process that dies, on either side. What nobody tells: a domain that is destroyed
 * or crashes. The host's supervisor watches for it (door.c); a guest's thread that has slept for a second
 * looks whether its channel's node and its host's node are still there: they are gone after a restore, and
 * when the host's domain is.
 */
#ifndef GPUVCHAN_XEN_TRANSPORT_H
#define GPUVCHAN_XEN_TRANSPORT_H

#include <libxenvchan.h>
#include <xenstore.h>

#include "transport.h"

#define XEN_PAGE 4096u
#define XEN_REFS 1024u /* references in a page */
#define XEN_SERVICE 32u
#define XEN_NODE 128u
#define XEN_NAME 12 /* digits */
#define XEN_TO (XEN_SERVICE + 8)

/* One lane's event channel, and all that its thread wakes up for. */
struct xen_bell {
    xenevtchn_handle *handle;
    evtchn_port_t port;
    int epoll;
};

struct xen_link {
    struct gpuvchan__link link;
    uint32_t domain; /* the peer's */
    bool guest, abandoned, kept;
    char node[XEN_NODE];      /* the channel's */
    char host_node[XEN_NODE]; /* guest: where the host says that it listens */
    struct libxenvchan *vchan;
    int device; /* guest: the vchan's page, until the keeper has it */
    int keeper; /* guest: a socket to it, closed when this program ends */
    uint32_t page_reference;
    uint64_t page_index; /* guest: of the vchan's page on the device */
    int shut;            /* eventfd, readable for good once this end is shut */
    int wake;            /* eventfd that wakes a host's main thread, once */
    int timer;           /* guest: when to look around, for all that sleep */
    unsigned char *base;
    uint64_t bytes;
    uint32_t *directory; /* guest: root page and directory pages, until the host has answered */
    uint32_t directory_pages, directory_ref;
    struct xen_bell bells[WIRE_LANES_MAX];
};

static inline struct xen_link *
xen_link(struct gpuvchan__link *link)
{
    return (struct xen_link *)link;
}

extern const struct gpuvchan__transport gpuvchan__transport_xen;

/* link.c: what both ends share */
int xen_link_create(uint32_t domain, bool guest, struct xen_link **out);
void xen_ring(struct gpuvchan__link *link, uint32_t lane);
int xen_wait(struct gpuvchan__link *link, uint32_t lane, int timeout_ms);
void xen_ring_main(struct gpuvchan__link *link);
int xen_wait_main(struct gpuvchan__link *link, int timeout_ms);
void xen_shut(struct gpuvchan__link *link);
void xen_wake_main(struct gpuvchan__link *link);
void xen_abandon(struct gpuvchan__link *link);
void xen_close(struct gpuvchan__link *link);
/** An event channel's handle whose descriptor does not block. */
int xen_event_open(xenevtchn_handle **out);
void xen_nonblocking(int fd);
int xen_bell_open(struct xen_link *l, uint32_t lane);
void xen_bell_close(struct xen_bell *bell);
/** Has the peer's process closed or died, as its kernel tells? */
bool xen_peer_closed(const struct xen_link *l);

/* guest.c */
int xen_connect(const char *place, uint32_t timeout_ms, struct gpuvchan__link **out);
uint64_t xen_shareable(struct gpuvchan__link *link, uint64_t wanted, char *why, size_t bytes);
/** Unmaps what xen_allocate() has mapped. */
void xen_unshare(struct xen_link *l);
/** Without a keeper: the pages are no longer this program's. */
void xen_unclaim(const struct xen_link *l);
int xen_allocate(struct gpuvchan__link *link, uint64_t bytes, void **base);
int xen_greet(struct gpuvchan__link *link, struct wire_hello *hello, struct wire_welcome *welcome, uint32_t timeout_ms);
int xen_lane_open(struct gpuvchan__link *link, uint32_t lane, uint32_t *doorbell);

/* server.c */
int xen_server_create(struct xen_link *l);
void xen_server_close(struct xen_link *l);
/** Grants pages; mapped at @p at unless that is NULL. The device's file holds them. */
int xen_grant(int device, uint32_t domain, unsigned char *at, uint32_t pages, uint32_t *references, uint64_t *index);

/* keep.c */
/** Starts the keeper, which holds what has been granted, see keeper.c. @p region: the region's file of the device. */
bool xen_keep(struct xen_link *l, int region);
/** Gives it another descriptor to hold. */
void xen_keep_too(const struct xen_link *l, int fd);

/* host.c */
bool xen_is_mine(int fd);
void xen_refuse(int fd, const struct wire_welcome *welcome);
int xen_receive(int fd, struct wire_hello *hello, uint32_t timeout_ms, struct gpuvchan__link **out);
int xen_map(struct gpuvchan__link *link, const struct wire_hello *hello, void **base);
int xen_welcome(struct gpuvchan__link *link, const struct wire_hello *hello, const struct wire_welcome *welcome);
void xen_identify(const struct gpuvchan__link *link, char *text, size_t bytes);
int xen_restrict_self(struct gpuvchan__link *link);
int xen_lane_join(struct gpuvchan__link *link, uint32_t lane, uint32_t doorbell);
/** A connection for a worker: a sealed file that names the guest's domain and node. @return fd or -errno. */
int xen_ticket_create(uint32_t domain, const char *node);

/* door.c */
int xen_listen(const char *place, struct gpuvchan__door **out);

/* store.c */
/** @return the handle, or NULL with the error's text set. */
struct xs_handle *xen_store_open(void);
/** What the node holds, at most @p bytes - 1 of it. */
bool xen_store_read(struct xs_handle *store, const char *node, char *text, size_t bytes);
/** Is there surely no such node, as far as this domain may know? */
bool xen_store_absent(struct xs_handle *store, const char *node);
bool xen_store_number(struct xs_handle *store, const char *node, uint32_t *number);
/** Creates the node if it is not there; @p other may read and write it. */
bool xen_store_share(struct xs_handle *store, xs_transaction_t t, const char *node, uint32_t own, uint32_t other);
/** Splits "[DOMAIN][/SERVICE]"; *@p domain stays as it is without one. */
int xen_place_parse(const char *place, uint32_t *domain, bool *has_domain, char service[XEN_SERVICE]);
/** What a channel's node says of whom it is for. */
void xen_to(char to[XEN_TO], uint32_t host, const char *service);
/** The node by which a host says that it listens. */
void xen_host_node(char node[XEN_NODE], uint32_t host, const char *service);

#endif
