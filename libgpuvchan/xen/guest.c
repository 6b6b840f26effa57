/* SPDX-License-Identifier: MIT */
/* The guest's end: finding the host, granting the region, and the greeting. */
#include "xen_transport.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "error.h"
#include "limits.h"
#include "ring.h"
#include "window.h"

#define AWAIT_OTHERS_MS 1000
#define GREET_POLL_MS 20 /* a refusal comes through xenstore, which is asked after this, twice this ... */
#define GREET_POLL_MOST_MS 320
#define KNOCK_AGAIN_MS 500

/* ---- Finding the host ------------------------------------------------------------------------ */

#define PUBLISH_TRIES 100 /* others write to xenstore at the same time */

static bool
put(struct xs_handle *store, xs_transaction_t t, const struct xen_link *l, const char *key, const char *value)
{
    char node[XEN_NODE + 16];

    snprintf(node, sizeof(node), "%s/%s", l->node, key);
    return xs_write(store, t, node, value, (unsigned)strlen(value));
}

/* A node of this channel alone, which the host's domain may read and clear away. */
static bool
node_write(struct xs_handle *store, xs_transaction_t t, const struct xen_link *l, uint32_t own, const char *service)
{
    struct xs_permissions all = {.id = own, .perms = XS_PERM_READ};
    char place[XEN_NODE], to[XEN_TO], reference[16], port[16];

    snprintf(place, sizeof(place), "%.*s", (int)(strrchr(l->node, '/') - l->node), l->node);
    xen_to(to, l->domain, service);
    snprintf(reference, sizeof(reference), "%u", l->page_reference);
    snprintf(port, sizeof(port), "%u", l->vchan->event_port);
    return xs_mkdir(store, t, place) && xs_set_permissions(store, t, place, &all, 1) &&
           xen_store_share(store, t, l->node, own, l->domain) && put(store, t, l, "to", to) &&
           put(store, t, l, "ring-ref", reference) && put(store, t, l, "event-channel", port);
}

/* All at once: a program that is killed in the middle leaves nothing that nobody clears away. */
static int
publish(struct xs_handle *store, const struct xen_link *l, uint32_t own, const char *service)
{
    int error = EAGAIN;

    for (int tries = 0; tries < PUBLISH_TRIES && error == EAGAIN; tries++) {
        xs_transaction_t t = xs_transaction_start(store);
        bool written = t != XBT_NULL && node_write(store, t, l, own, service);

        error = written ? 0 : errno;
        if (t != XBT_NULL && !xs_transaction_end(store, t, !written) && written)
            error = errno;
    }
    if (error == 0)
        return 0;
    return gpuvchan__error(-error, "cannot write to this domain's data/gpuvchan in xenstore: %s%s", strerror(error),
                           error == ENOSPC || error == E2BIG ? " (xenstored's quota of nodes is used up)" : "");
}

/* libxenvchan limits the length of its path. */
static int
node_name(struct xen_link *l, uint32_t own)
{
    uint64_t random;

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return gpuvchan__error(-errno, "no random numbers: %s", strerror(errno));
    snprintf(l->node, sizeof(l->node), "/local/domain/%u/data/gpuvchan/%0*llx", own, XEN_NAME,
             (unsigned long long)random >> (64 - 4 * XEN_NAME));
    return 0;
}

/* The link, with its node in xenstore, from which the host learns of it. */
static int
knock(struct xs_handle *store, uint32_t own, uint32_t host, const char *service, struct xen_link **out)
{
    struct xen_link *l;
    char node[XEN_NODE], text[8];
    int error;

    if (host == own)
        return gpuvchan__error(-EINVAL,
                               "domain %u is this one: within a domain use the local transport, a socket's path", own);
    xen_host_node(node, host, service);
    if (!xen_store_read(store, node, text, sizeof(text)))
        return gpuvchan__error(errno == ENOENT || errno == EACCES ? -ENOENT : -errno, /* see xen_store_absent() */
                               "no gpuvchan-host serves '%s' in domain %u (there is no %s in xenstore): start it there "
                               "with --address=xen:, or name another domain with GPUVCHAN_ADDRESS=xen:DOMAIN",
                               service, host, node);
    error = xen_link_create(host, true, &l);
    if (error != 0)
        return error;
    memcpy(l->host_node, node, sizeof(node));
    error = node_name(l, own);
    if (error == 0)
        error = xen_server_create(l);
    if (error == 0)
        error = publish(store, l, own, service);
    if (error != 0) {
        xen_close(&l->link);
        return error;
    }
    *out = l;
    return 0;
}

int
xen_connect(const char *place, uint32_t timeout_ms, struct gpuvchan__link **out)
{
    char service[XEN_SERVICE];
    struct xs_handle *store;
    struct xen_link *l = NULL;
    uint32_t own, host = 0;
    bool named;
    int error = xen_place_parse(place, &host, &named, service);

    (void)timeout_ms; /* nothing here waits */
    if (error != 0)
        return error;
    store = xen_store_open();
    if (!store)
        return -errno;
    if (!xen_store_number(store, "domid", &own))
        error = gpuvchan__error(-errno, "xenstore does not tell this domain's number (domid): %s", strerror(errno));
    if (error == 0 && !named)
        xen_store_number(store, "data/gpuvchan/host", &host);
    if (error == 0)
        error = knock(store, own, host, service, &l);
    xs_close(store);
    if (error == 0)
        *out = &l->link;
    return error;
}

/* ---- The region ------------------------------------------------------------------------------ */

static uint64_t
directory_pages(uint64_t pages)
{
    return 1 + (pages + XEN_REFS - 1) / XEN_REFS;
}

#define CLAIM ".pages"

static void
claim_node(const struct xen_link *l, char node[XEN_NODE])
{
    snprintf(node, XEN_NODE, "%.100s" CLAIM, l->node);
}

/* What nobody gives back any more: its keeper was killed. */
static bool
claim_stale(struct xs_handle *store, const char *node, unsigned pid)
{
    char channel[XEN_NODE];

    snprintf(channel, sizeof(channel), "%.*s", (int)(strlen(node) - strlen(CLAIM)), node);
    return pid != 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH && xen_store_absent(store, channel);
}

/* The grants of this domain's other programs, as they said; until the kernel has them back. */
static uint64_t
claimed_by_others(struct xs_handle *store, const char *own)
{
    char place[XEN_NODE], node[XEN_NODE], text[32];
    uint64_t sum = 0;
    unsigned count = 0;
    char **names;

    snprintf(place, sizeof(place), "%.*s", (int)(strrchr(own, '/') - own), own);
    names = xs_directory(store, XBT_NULL, place, &count);
    for (unsigned i = 0; names && i < count; i++) {
        unsigned pages, pid = 0;

        snprintf(node, sizeof(node), "%.40s/%.30s", place, names[i]);
        if (strlen(names[i]) != XEN_NAME + strlen(CLAIM) || strcmp(node, own) == 0 ||
            !xen_store_read(store, node, text, sizeof(text)) || sscanf(text, "%u %u", &pages, &pid) < 1)
            continue;
        if (claim_stale(store, node, pid))
            xs_rm(store, XBT_NULL, node);
        else
            sum += pages;
    }
    free(names);
    return sum;
}

/* First said, then counted: of two programs that connect at once at least one sees the other. */
static void
claim(struct xs_handle *store, const char *node, uint64_t pages)
{
    char text[40];

    /* The keeper signs it later. */
    snprintf(text, sizeof(text), "%llu %d", (unsigned long long)gpuvchan__xen_grants_for(pages), (int)getpid());
    xs_write(store, XBT_NULL, node, text, (unsigned)strlen(text));
}

void
xen_unclaim(const struct xen_link *l)
{
    struct xs_handle *store = l->node[0] ? xs_open(0) : NULL;
    char node[XEN_NODE];

    claim_node(l, node);
    if (store)
        xs_rm(store, XBT_NULL, node);
    xs_close(store);
}

/* What the grant table still holds: to fill it up would keep all programs of this domain from granting. */
static uint64_t
pages_left(struct xen_link *l, const struct gpuvchan__xen_facts *facts, uint64_t pages, char *why, size_t bytes)
{
    struct xs_handle *store = xs_open(0);
    uint64_t others, safe, needed = gpuvchan__xen_grants_for(pages);
    char node[XEN_NODE];
    unsigned frames;

    if (!store)
        return pages;
    safe = gpuvchan__xen_safe_grants(facts);
    claim_node(l, node);
    claim(store, node, pages);
    others = claimed_by_others(store, node);
    /* A program that has just ended gives its pages back in a moment. */
    for (int tries = 0; tries < AWAIT_OTHERS_MS / 20 && others > 0 && others + needed > safe; tries++) {
        poll(NULL, 0, 20);
        others = claimed_by_others(store, node);
    }
    if (others + needed > safe) {
        frames = gpuvchan__xen_frames_for(facts, others + needed);
        snprintf(why, bytes,
                 "this domain's grant table holds %llu pages for programs, others of them use %llu, and %llu are "
                 "needed. End one of them, or raise the limit: max_grant_frames=%u in this domain's xl.cfg, and "
                 "gnttab_max_frames=%u on Xen's command line",
                 (unsigned long long)safe, (unsigned long long)others, (unsigned long long)needed, frames, frames);
        pages = others < safe ? safe - others : 0;
        needed = gpuvchan__xen_grants_for(pages) - pages;
        pages = pages > needed ? pages - needed : 0;
        claim(store, node, pages);
    }
    xs_close(store);
    return pages;
}

uint64_t
xen_shareable(struct gpuvchan__link *link, uint64_t wanted, char *why, size_t bytes)
{
    const uint64_t most = (uint64_t)XEN_REFS * XEN_REFS * XEN_PAGE; /* what one root page can name */
    uint64_t pages = wanted / XEN_PAGE, granted;
    struct gpuvchan__xen_facts facts;

    if (wanted > most) {
        snprintf(why, bytes, "a channel on Xen shares at most 4 GiB");
        pages = most / XEN_PAGE;
    }
    gpuvchan__xen_facts_read("", &facts);
    granted = gpuvchan__xen_judge(&facts, pages, why, bytes);
    granted = pages_left(xen_link(link), &facts, granted < pages ? granted : pages, why, bytes);
    return granted * XEN_PAGE >= wanted ? wanted : granted * XEN_PAGE;
}

static int
share_region(struct xen_link *l, int device)
{
    uint64_t pages = l->bytes / XEN_PAGE;
    uint32_t *references = l->directory + XEN_REFS; /* behind the root page */
    int error = 0;

    for (uint64_t at = 0; at < pages && error == 0; at += XEN_REFS) {
        uint32_t count = pages - at < XEN_REFS ? (uint32_t)(pages - at) : XEN_REFS;

        error = xen_grant(device, l->domain, l->base + at * XEN_PAGE, count, references + at, NULL);
    }
    return error;
}

static int
share_directory(struct xen_link *l, xengntshr_handle *shares)
{
    uint32_t count = l->directory_pages;
    uint32_t *references = calloc(count, sizeof(*references));

    if (!references)
        return -ENOMEM;
    l->directory = xengntshr_share_pages(shares, l->domain, (int)count, references, 0);
    if (!l->directory) {
        int error = -errno;

        free(references);
        return error;
    }
    l->directory_ref = references[0];
    memcpy(l->directory, references + 1, (count - 1) * sizeof(*references));
    free(references);
    return 0;
}

static void
unshare_directory(struct xen_link *l)
{
    if (l->directory)
        munmap(l->directory, (size_t)l->directory_pages * XEN_PAGE);
    l->directory = NULL;
}

void
xen_unshare(struct xen_link *l)
{
    unshare_directory(l);
    if (l->base)
        munmap(l->base, l->bytes);
    l->base = NULL;
}

static int
share_all(struct xen_link *l)
{
    xengntshr_handle *shares = xengntshr_open(NULL, 0);
    int device = shares ? open("/dev/xen/gntalloc", O_RDWR | O_CLOEXEC) : -1;
    int error = device < 0 ? -errno : share_directory(l, shares);

    if (error == 0)
        error = share_region(l, device);
    if (error == 0)
        l->kept = xen_keep(l, device);
    /* The mappings and the keeper hold the pages, and no child of a fork does. */
    if (device >= 0)
        close(device);
    if (shares)
        xengntshr_close(shares);
    if (error == 0) {
        close(l->device);
        l->device = -1;
    }
    return error;
}

int
xen_allocate(struct gpuvchan__link *link, uint64_t bytes, void **base)
{
    struct xen_link *l = xen_link(link);
    char why[XEN_LIMITS_WHY];
    int error;

    l->bytes = bytes;
    l->directory_pages = (uint32_t)directory_pages(bytes / XEN_PAGE);
    l->base = gpuvchan__window_reserve(0, bytes);
    error = l->base ? share_all(l) : -ENOMEM;
    if (error == 0) {
        *base = l->base;
        return 0;
    }
    xen_unshare(l);
    gpuvchan__xen_grantable("", XEN_LIMITS_ALL, why, sizeof(why));
    return gpuvchan__error(
        error, "cannot grant %llu pages to domain %u: %s. Other programs of this domain may hold the rest. %s",
        (unsigned long long)bytes / XEN_PAGE, l->domain, strerror(-error), why);
}

/* ---- Greeting -------------------------------------------------------------------------------- */

/* The host's supervisor cannot answer by the vchan, which it leaves to workers. */
static bool
refused(struct xs_handle *store, const struct xen_link *l, struct wire_welcome *welcome)
{
    char node[XEN_NODE + 16], text[sizeof(welcome->text) + 16], *words;
    long error;

    snprintf(node, sizeof(node), "%s/refused", l->node);
    if (!xen_store_read(store, node, text, sizeof(text)) || text[0] == '\0')
        return false; /* it is empty until its permissions are set */
    error = strtol(text, &words, 10);
    memset(welcome, 0, sizeof(*welcome));
    welcome->magic = WIRE_MAGIC;
    welcome->major = WIRE_MAJOR;
    welcome->status = error < 0 && error > -4096 ? (int32_t)error : -EACCES;
    snprintf(welcome->text, sizeof(welcome->text), "%s", words + (*words == ' '));
    return true;
}

/*
 * A host in a domain that is not Dom0 may not list the domains, and learns of a node by its change alone: one that
 * starts anew finds who waits by this. Permissions are written as they are, since that creates no node that is gone.
 */
static void
knock_again(struct xs_handle *store, const struct xen_link *l)
{
    unsigned count;
    struct xs_permissions *permissions = xs_get_permissions(store, XBT_NULL, l->node, &count);

    if (permissions)
        xs_set_permissions(store, XBT_NULL, l->node, permissions, count);
    free(permissions);
}

static int
await_welcome(struct xen_link *l, struct xs_handle *store, struct wire_welcome *welcome, uint32_t timeout_ms)
{
    uint64_t now = gpuvchan__now_ns(), knocked = now, give_up = now + timeout_ms * 1000000ull;
    struct pollfd waiting = {.fd = libxenvchan_fd_for_select(l->vchan), .events = POLLIN};
    int pause_ms = GREET_POLL_MS;
    bool quiet = false;

    for (;; now = gpuvchan__now_ns()) {
        bool closed = libxenvchan_is_open(l->vchan) == 0; /* asked first: what it said before is still there */
        int got = libxenvchan_recv(l->vchan, welcome, sizeof(*welcome));

        if (got == (int)sizeof(*welcome))
            return 0;
        if ((quiet || closed || got < 0 || now >= give_up) && refused(store, l, welcome))
            return 0;
        if (got < 0 || closed)
            return gpuvchan__error(-ECONNRESET, "the host closed the connection without an answer: see its log");
        if (now >= give_up)
            return gpuvchan__error(
                -ETIMEDOUT, "the host in domain %u does not answer within %u ms: is gpuvchan-host at work there?",
                l->domain, timeout_ms);
        if (l->domain != 0 && now - knocked >= KNOCK_AGAIN_MS * 1000000ull) {
            knock_again(store, l);
            knocked = now;
        }
        quiet = poll(&waiting, 1, pause_ms) <= 0;
        if (!quiet)
            libxenvchan_wait(l->vchan);
        else if (pause_ms < GREET_POLL_MOST_MS)
            pause_ms *= 2;
    }
}

int
xen_greet(struct gpuvchan__link *link, struct wire_hello *hello, struct wire_welcome *welcome, uint32_t timeout_ms)
{
    struct xen_link *l = xen_link(link);
    struct xs_handle *store = xen_store_open();
    int error;

    if (!store)
        return -errno;
    hello->directory = l->directory_ref;
    if (libxenvchan_send(l->vchan, hello, sizeof(*hello)) != (int)sizeof(*hello))
        error = gpuvchan__error(-EIO, "cannot greet the host in domain %u", l->domain);
    else
        error = await_welcome(l, store, welcome, timeout_ms);
    xs_close(store);
    /* The host has its own copy. */
    unshare_directory(l);
    return error;
}

/* ---- Lanes ----------------------------------------------------------------------------------- */

int
xen_lane_open(struct gpuvchan__link *link, uint32_t lane, uint32_t *doorbell)
{
    struct xen_link *l = xen_link(link);
    struct xen_bell *bell = &l->bells[lane];
    xenevtchn_port_or_error_t port;
    int error = xen_bell_open(l, lane);

    if (error != 0)
        return error;
    port = xenevtchn_bind_unbound_port(bell->handle, l->domain);
    if (port < 0) {
        error = errno;
        xen_bell_close(bell);
        return gpuvchan__error(-error,
                               "no event channel for another thread: %s (each thread that calls has one; "
                               "event_channels= in this domain's xl.cfg limits them, 1023 by default)",
                               strerror(error));
    }
    bell->port = (evtchn_port_t)port;
    *doorbell = (uint32_t)port;
    xen_keep_too(l, xenevtchn_fd(bell->handle));
    return 0;
}
