/* SPDX-License-Identifier: MIT */
/* The worker's end: attaching to the guest's vchan, mapping what it granted, and the answer. */
#include "xen_transport.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xen/sys/gntdev.h>
#include <xentoolcore.h>

#include "error.h"
#include "ring.h"
#include "window.h"

/* ---- Tickets --------------------------------------------------------------------------------- */

#define TICKET_MAGIC 0x54454b4349545658ull /* "XVTICKET" */
#define TICKET_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

/* What a supervisor hands to a worker. */
struct ticket {
    uint64_t magic;
    uint32_t domain, reserved;
    char node[XEN_NODE];
};

int
xen_ticket_create(uint32_t domain, const char *node)
{
    struct ticket ticket = {.magic = TICKET_MAGIC, .domain = domain};
    int fd = memfd_create("gpuvchan-ticket", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    snprintf(ticket.node, sizeof(ticket.node), "%s", node);
    if (fd < 0 || write(fd, &ticket, sizeof(ticket)) != (ssize_t)sizeof(ticket) ||
        fcntl(fd, F_ADD_SEALS, TICKET_SEALS) != 0) {
        int error = errno ? errno : EIO;

        if (fd >= 0)
            close(fd);
        return gpuvchan__error(-error, "cannot create a memfd: %s", strerror(error));
    }
    return fd;
}

static bool
ticket_read(int fd, struct ticket *ticket)
{
    return fcntl(fd, F_GET_SEALS) == TICKET_SEALS &&
           pread(fd, ticket, sizeof(*ticket), 0) == (ssize_t)sizeof(*ticket) && ticket->magic == TICKET_MAGIC &&
           ticket->node[XEN_NODE - 1] == '\0';
}

bool
xen_is_mine(int fd)
{
    struct ticket ticket;

    return ticket_read(fd, &ticket);
}

/* Through xenstore: nothing of the guest's is mapped for that. */
void
xen_refuse(int fd, const struct wire_welcome *welcome)
{
    struct xs_permissions permissions[2] = {{.perms = XS_PERM_NONE}, {.perms = XS_PERM_READ}};
    char node[XEN_NODE + 16], text[sizeof(welcome->text) + 16];
    struct ticket ticket;
    struct xs_handle *store;

    if (ticket_read(fd, &ticket) && (store = xs_open(0))) {
        snprintf(node, sizeof(node), "%s/refused", ticket.node);
        snprintf(text, sizeof(text), "%d %.*s", welcome->status, (int)sizeof(welcome->text), welcome->text);
        permissions[1].id = ticket.domain;
        if (xen_store_number(store, "domid", &permissions[0].id) && xs_write(store, XBT_NULL, node, "", 0) &&
            xs_set_permissions(store, XBT_NULL, node, permissions, 2))
            xs_write(store, XBT_NULL, node, text, (unsigned)strlen(text));
        xs_close(store);
    }
    close(fd);
}

/* ---- Hello ----------------------------------------------------------------------------------- */

static int
attach(const struct ticket *ticket, struct xen_link *l)
{
    memcpy(l->node, ticket->node, sizeof(l->node));
    errno = 0;
    l->vchan = libxenvchan_client_init(NULL, (int)ticket->domain, ticket->node);
    if (!l->vchan)
        return gpuvchan__error(-ECONNRESET,
                               "cannot attach to the vchan of domain %u at %s: %s (its process has ended, or it wrote "
                               "something else there)",
                               ticket->domain, ticket->node, strerror(errno ? errno : EIO));
    l->vchan->blocking = 0;
    xen_nonblocking(libxenvchan_fd_for_select(l->vchan));
    return 0;
}

static int
await_hello(struct xen_link *l, struct wire_hello *hello, uint32_t timeout_ms)
{
    uint64_t now, give_up = gpuvchan__now_ns() + timeout_ms * 1000000ull;
    struct pollfd waiting = {.fd = libxenvchan_fd_for_select(l->vchan), .events = POLLIN};

    for (;;) {
        bool closed = xen_peer_closed(l);
        int got = libxenvchan_recv(l->vchan, hello, sizeof(*hello));

        if (got == (int)sizeof(*hello))
            return 0;
        if (got < 0 || closed)
            return gpuvchan__error(-ECONNRESET, "the guest closed the connection before its hello");
        now = gpuvchan__now_ns();
        if (now >= give_up)
            return gpuvchan__error(-ETIMEDOUT, "the guest did not say hello within %u ms", timeout_ms);
        if (poll(&waiting, 1, (int)((give_up - now) / 1000000) + 1) > 0)
            libxenvchan_wait(l->vchan);
    }
}

int
xen_receive(int fd, struct wire_hello *hello, uint32_t timeout_ms, struct gpuvchan__link **out)
{
    struct ticket ticket;
    struct xen_link *l;
    bool good = ticket_read(fd, &ticket);
    int error;

    close(fd);
    if (!good)
        return gpuvchan__error(-EINVAL, "this is no connection from a guest on Xen");
    error = xen_link_create(ticket.domain, false, &l);
    if (error == 0)
        error = attach(&ticket, l);
    else
        return error;
    if (error == 0)
        error = await_hello(l, hello, timeout_ms);
    if (error != 0) {
        xen_close(&l->link);
        return error;
    }
    *out = &l->link;
    return 0;
}

/* ---- The region ------------------------------------------------------------------------------ */

/* A private copy of the first @p count references of a page that the guest grants. */
static int
references_copy(xengnttab_handle *grants, uint32_t domain, uint32_t page, uint32_t *references, uint32_t count)
{
    const uint32_t *mapped = xengnttab_map_grant_ref(grants, domain, page, PROT_READ);

    if (!mapped)
        return gpuvchan__error(-EPROTO, "the guest's directory page, grant %u, cannot be mapped: %s", page,
                               strerror(errno));
    memcpy(references, mapped, count * sizeof(*references));
    xengnttab_unmap(grants, (void *)(uintptr_t)mapped, 1);
    return 0;
}

static int
directory_copy(const struct xen_link *l, uint32_t root, uint32_t *references, uint64_t pages)
{
    xengnttab_handle *grants = xengnttab_open(NULL, 0);
    uint32_t directories[XEN_REFS];
    int error;

    if (!grants)
        return gpuvchan__error(-errno, "cannot open /dev/xen/gntdev: %s", strerror(errno));
    error = references_copy(grants, l->domain, root, directories, (uint32_t)((pages + XEN_REFS - 1) / XEN_REFS));
    for (uint64_t at = 0; at < pages && error == 0; at += XEN_REFS) {
        uint32_t count = pages - at < XEN_REFS ? (uint32_t)(pages - at) : XEN_REFS;

        error = references_copy(grants, l->domain, directories[at / XEN_REFS], references + at, count);
    }
    xengnttab_close(grants);
    return error;
}

static int
map_error(const struct xen_link *l, int error, uint64_t at)
{
    const char *text = strerror(error);

    /* The driver reports a bad reference and a full maptrack table alike. */
    return gpuvchan__error(error == ENOMEM ? -ENOMEM : -EINVAL,
                           "cannot map the guest's region of %llu MiB behind %llu MiB of it: %s. Either its grants are "
                           "none, or this domain's maptrack table is full, which holds 262144 entries by default (a PV "
                           "domain takes two for a page: 512 MiB in all): gnttab_max_maptrack_frames=4096 on Xen's "
                           "command line, and for a driver domain max_maptrack_frames= in its xl.cfg, too, raises it; "
                           "max-arena limits what guests may share",
                           (unsigned long long)(l->bytes >> 20), (unsigned long long)(at >> 8), text);
}

/* libxengnttab chooses the address itself; ours is given. */
static int
map_extent(int device, uint32_t domain, unsigned char *at, const uint32_t *references, uint32_t count)
{
    struct ioctl_gntdev_map_grant_ref *map =
        calloc(1, sizeof(*map) + (count - 1) * sizeof(struct ioctl_gntdev_grant_ref));
    int error = 0;

    if (!map)
        return ENOMEM;
    map->count = count;
    for (uint32_t i = 0; i < count; i++)
        map->refs[i] = (struct ioctl_gntdev_grant_ref){.domid = domain, .ref = references[i]};
    if (ioctl(device, IOCTL_GNTDEV_MAP_GRANT_REF, map) != 0) {
        error = errno;
    } else if (mmap(at, (size_t)count * XEN_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, device,
                    (off_t)map->index) != at) {
        struct ioctl_gntdev_unmap_grant_ref unmap = {.index = map->index, .count = count};

        error = errno;
        ioctl(device, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap);
    }
    free(map);
    return error;
}

static int
map_all(struct xen_link *l, const uint32_t *references)
{
    uint64_t pages = l->bytes / XEN_PAGE;
    int device = open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC), error = 0;

    if (device < 0)
        return gpuvchan__error(-errno, "cannot open /dev/xen/gntdev: %s", strerror(errno));
    for (uint64_t at = 0; at < pages && error == 0; at += XEN_REFS) {
        uint32_t count = pages - at < XEN_REFS ? (uint32_t)(pages - at) : XEN_REFS;

        error = map_extent(device, l->domain, l->base + at * XEN_PAGE, references + at, count);
        if (error != 0)
            error = map_error(l, error, at);
    }
    close(device); /* the mappings keep it */
    return error;
}

int
xen_map(struct gpuvchan__link *link, const struct wire_hello *hello, void **base)
{
    struct xen_link *l = xen_link(link);
    uint64_t pages = hello->region_bytes / XEN_PAGE;
    uint32_t *references;
    int error;

    if (pages > (uint64_t)XEN_REFS * XEN_REFS)
        return gpuvchan__error(-E2BIG, "a region of %llu bytes: on Xen at most 4 GiB",
                               (unsigned long long)hello->region_bytes);
    references = calloc(pages, sizeof(*references));
    if (!references)
        return gpuvchan__error(-ENOMEM, "out of memory");
    error = directory_copy(l, hello->directory, references, pages);
    if (error == 0) {
        l->bytes = hello->region_bytes;
        l->base = gpuvchan__window_reserve(hello->base, l->bytes);
        error = l->base ? map_all(l, references) : gpuvchan__error(-ENOMEM, "no addresses are left for a region");
    }
    free(references);
    if (error == 0)
        *base = l->base;
    return error;
}

/* ---- Answer, and later ------------------------------------------------------------------------ */

int
xen_welcome(struct gpuvchan__link *link, const struct wire_hello *hello, const struct wire_welcome *welcome)
{
    struct xen_link *l = xen_link(link);
    int error = 0;

    /* Opened now, while this process may; bound when the guest opens the lane. */
    for (uint32_t i = 0; i < hello->lanes && error == 0 && welcome->status == 0; i++)
        error = xen_bell_open(l, i);
    if (error != 0)
        return error;
    if (libxenvchan_send(l->vchan, welcome, sizeof(*welcome)) != (int)sizeof(*welcome))
        return gpuvchan__error(-ECONNRESET, "cannot answer the guest: it has gone");
    return 0;
}

void
xen_identify(const struct gpuvchan__link *link, char *text, size_t bytes)
{
    snprintf(text, bytes, "domain %u", ((const struct xen_link *)link)->domain);
}

int
xen_restrict_self(struct gpuvchan__link *link)
{
    if (xentoolcore_restrict_all((domid_t)xen_link(link)->domain) != 0)
        return gpuvchan__error(-errno, "this process keeps its access to other domains: xentoolcore_restrict_all: %s",
                               strerror(errno));
    return 0;
}

int
xen_lane_join(struct gpuvchan__link *link, uint32_t lane, uint32_t doorbell)
{
    struct xen_link *l = xen_link(link);
    struct xen_bell *bell = &l->bells[lane];
    xenevtchn_port_or_error_t port = xenevtchn_bind_interdomain(bell->handle, l->domain, doorbell);

    if (port < 0)
        return gpuvchan__error(-EPROTO, "lane %u: event channel %u of domain %u cannot be bound: %s", lane, doorbell,
                               l->domain, strerror(errno));
    bell->port = (evtchn_port_t)port;
    return 0;
}
