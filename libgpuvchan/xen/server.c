/* SPDX-License-Identifier: MIT */
/*
 * The guest's end of the vchan, as libxenvchan's server makes it (xen/io/libxenvchan.h).
 *
 * libxenvchan's own function has the grant device's file forget the page, which the keeper is to hold, and in
 * Xen 4.17 it may crash when the kernel grants no page. What follows after the set-up is libxenvchan's.
 */
#include "xen_transport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xen/sys/gntalloc.h>

#include "error.h"
#include "limits.h"

/* Rings of these orders lie in the shared page itself, at the offset of their size. */
#define ORDER_SMALL 10
#define ORDER_LARGE 11

int
xen_grant(int device, uint32_t domain, unsigned char *at, uint32_t pages, uint32_t *references, uint64_t *index)
{
    struct ioctl_gntalloc_alloc_gref *grant = calloc(1, sizeof(*grant) + (pages - 1) * sizeof(grant->gref_ids[0]));
    int error = 0;

    if (!grant)
        return -ENOMEM;
    grant->domid = (uint16_t)domain;
    grant->flags = GNTALLOC_FLAG_WRITABLE;
    grant->count = pages;
    if (ioctl(device, IOCTL_GNTALLOC_ALLOC_GREF, grant) != 0 ||
        (at && mmap(at, (size_t)pages * XEN_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, device,
                    (off_t)grant->index) != at))
        error = -errno;
    memcpy(references, grant->gref_ids, pages * sizeof(*references));
    if (index)
        *index = grant->index;
    free(grant);
    return error;
}

static int
no_page(int error)
{
    char why[XEN_LIMITS_WHY];

    gpuvchan__xen_grantable("", XEN_LIMITS_ALL, why, sizeof(why));
    return gpuvchan__error(error,
                           "the kernel grants not even one page: %s. Other programs of this domain have taken all: %s",
                           strerror(-error), why);
}

static int
page_create(struct xen_link *l, struct libxenvchan *vchan)
{
    struct ioctl_gntalloc_unmap_notify notify = {.action = UNMAP_NOTIFY_CLEAR_BYTE | UNMAP_NOTIFY_SEND_EVENT};
    struct vchan_interface *page;
    int error = xen_grant(l->device, l->domain, NULL, 1, &l->page_reference, &l->page_index);

    if (error != 0)
        return no_page(error);
    page = mmap(NULL, XEN_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, l->device, (off_t)l->page_index);
    if (page == MAP_FAILED)
        return gpuvchan__error(-errno, "cannot map a granted page: %s", strerror(errno));
    vchan->ring = page;
    vchan->read = (struct libxenvchan_ring){&page->left, (char *)page + (1 << ORDER_SMALL), ORDER_SMALL};
    vchan->write = (struct libxenvchan_ring){&page->right, (char *)page + (1 << ORDER_LARGE), ORDER_LARGE};
    page->left_order = ORDER_SMALL;
    page->right_order = ORDER_LARGE;
    page->cli_live = 2;
    page->srv_live = 1;
    page->cli_notify = VCHAN_NOTIFY_WRITE;
    /* A child of a fork that kept the page would keep the host from hearing of the program's end. */
    madvise(page, XEN_PAGE, MADV_DONTFORK);
    notify.index = l->page_index + offsetof(struct vchan_interface, srv_live);
    notify.event_channel_port = vchan->event_port;
    if (ioctl(l->device, IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, &notify) != 0)
        return gpuvchan__error(-errno, "the kernel will not tell the host of this program's end: %s", strerror(errno));
    return 0;
}

static int
event_create(struct xen_link *l, struct libxenvchan *vchan)
{
    xenevtchn_port_or_error_t port;
    int error = xen_event_open(&vchan->event);

    if (error != 0)
        return error;
    port = xenevtchn_bind_unbound_port(vchan->event, l->domain);
    if (port < 0)
        return gpuvchan__error(-errno,
                               "cannot create a vchan to domain %u: %s (one grant, one event channel; event_channels= "
                               "in this domain's xl.cfg limits those, 1023 by default)",
                               l->domain, strerror(errno));
    vchan->event_port = (uint32_t)port;
    return 0;
}

int
xen_server_create(struct xen_link *l)
{
    int error;

    l->device = open("/dev/xen/gntalloc", O_RDWR | O_CLOEXEC);
    if (l->device < 0)
        return gpuvchan__error(-errno,
                               "cannot open /dev/xen/gntalloc: %s (modprobe xen-gntalloc; for users that are not root "
                               "see the group gpuvchan in gpuvchan(7))",
                               strerror(errno));
    l->vchan = calloc(1, sizeof(*l->vchan));
    if (!l->vchan)
        return gpuvchan__error(-ENOMEM, "out of memory");
    l->vchan->is_server = 1;
    error = event_create(l, l->vchan);
    return error != 0 ? error : page_create(l, l->vchan);
}

/* The node stays, for the host to clear away when it has unmapped everything, unless the host never came. */
void
xen_server_close(struct xen_link *l)
{
    struct libxenvchan *vchan = l->vchan;
    struct xs_handle *store;

    if (vchan->ring) {
        bool alone = libxenvchan_is_open(vchan) == 2;

        vchan->ring->srv_live = 0;
        xenevtchn_notify(vchan->event, vchan->event_port);
        munmap(vchan->ring, XEN_PAGE);
        store = alone ? xs_open(0) : NULL;
        if (store)
            xs_rm(store, XBT_NULL, l->node);
        xs_close(store);
    }
    if (vchan->event)
        xenevtchn_close(vchan->event);
    free(vchan);
}
