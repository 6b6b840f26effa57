/* SPDX-License-Identifier: MIT */
#include "xen_standin.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#define PAGE 4096

/* The shared page and two rings of 1 MiB, which is libxenvchan's most. */
#define WORLD_PAGES (1 + 2 * 256)

/* Grant 0 is refused by libxenvchan, so the first page is grant 1. */
#define FIRST_GRANT 1

enum {
    SERVER_PORT = 1,
    CLIENT_PORT = 2
};

#define STORE_KEYS 4

struct store {
    _Atomic unsigned keys;
    struct {
        char path[96];
        char value[32];
    } key[STORE_KEYS];
};

struct xen_world {
    int pages;
    int event[2]; /* [port - 1]: what wakes the holder of that port */
    unsigned granted;
    struct store *store;
};

/* libxenvchan's handles: all of them stand for the world that we are in. */
struct xengntdev_handle {
    char unused;
};
struct xs_handle {
    char unused;
};
struct xenevtchn_handle {
    evtchn_port_t port;
};

static struct xen_world *world;

void
xen_world_destroy(struct xen_world *old)
{
    if (!old)
        return;
    for (int i = 0; i < 2; i++)
        if (old->event[i] >= 0)
            close(old->event[i]);
    if (old->pages >= 0)
        close(old->pages);
    if (old->store)
        munmap(old->store, sizeof(*old->store));
    free(old);
}

int
xen_world_create(struct xen_world **world_p)
{
    struct xen_world *new = calloc(1, sizeof(*new));
    void *store;
    int err;

    if (!new)
        return -ENOMEM;
    new->event[0] = eventfd(0, EFD_CLOEXEC);
    new->event[1] = eventfd(0, EFD_CLOEXEC);
    new->pages = memfd_create("xen-standin", MFD_CLOEXEC);
    store = mmap(NULL, sizeof(*new->store), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    new->store = store == MAP_FAILED ? NULL : store;
    if (new->event[0] < 0 || new->event[1] < 0 || new->pages < 0 || !new->store ||
        ftruncate(new->pages, (off_t)WORLD_PAGES * PAGE) < 0) {
        err = -errno;
        xen_world_destroy(new);
        return err;
    }
    *world_p = new;
    return 0;
}

void
xen_world_enter(struct xen_world *entered)
{
    world = entered;
}

/* Grants: numbers of pages in the memfd. */

static void *
map_pages(uint32_t first, uint32_t count, int protection)
{
    void *memory;

    if (first < FIRST_GRANT || count > WORLD_PAGES || first - FIRST_GRANT > WORLD_PAGES - count) {
        errno = EINVAL;
        return NULL;
    }
    memory = mmap(NULL, (size_t)count * PAGE, protection, MAP_SHARED | MAP_POPULATE, world->pages,
                  (off_t)(first - FIRST_GRANT) * PAGE);
    return memory == MAP_FAILED ? NULL : memory;
}

xengntshr_handle *
xengntshr_open(struct xentoollog_logger *logger, unsigned open_flags)
{
    (void)logger;
    (void)open_flags;
    return calloc(1, sizeof(struct xengntdev_handle));
}

int
xengntshr_close(xengntshr_handle *handle)
{
    free(handle);
    return 0;
}

void *
xengntshr_share_pages(xengntshr_handle *handle, uint32_t domid, int count, uint32_t *refs, int writable)
{
    uint32_t first = FIRST_GRANT + world->granted;
    void *memory;

    (void)handle;
    (void)domid;
    (void)writable;
    memory = map_pages(first, (uint32_t)count, PROT_READ | PROT_WRITE);
    if (!memory)
        return NULL;
    for (int i = 0; i < count; i++)
        refs[i] = first + (uint32_t)i;
    world->granted += (unsigned)count;
    return memory;
}

void *
xengntshr_share_page_notify(xengntshr_handle *handle, uint32_t domid, uint32_t *ref, int writable,
                            uint32_t notify_offset, evtchn_port_t notify_port)
{
    (void)notify_offset;
    (void)notify_port;
    return xengntshr_share_pages(handle, domid, 1, ref, writable);
}

int
xengntshr_unshare(xengntshr_handle *handle, void *start, uint32_t count)
{
    (void)handle;
    return munmap(start, (size_t)count * PAGE);
}

xengnttab_handle *
xengnttab_open(struct xentoollog_logger *logger, unsigned open_flags)
{
    return xengntshr_open(logger, open_flags);
}

int
xengnttab_close(xengnttab_handle *handle)
{
    free(handle);
    return 0;
}

/* The server grants each ring in one piece, so its references are a row. */
void *
xengnttab_map_domain_grant_refs(xengnttab_handle *handle, uint32_t count, uint32_t domid, uint32_t *refs,
                                int protection)
{
    (void)handle;
    (void)domid;
    for (uint32_t i = 1; i < count; i++) {
        if (refs[i] != refs[0] + i) {
            errno = EINVAL;
            return NULL;
        }
    }
    return map_pages(refs[0], count, protection);
}

void *
xengnttab_map_grant_ref_notify(xengnttab_handle *handle, uint32_t domid, uint32_t ref, int protection,
                               uint32_t notify_offset, evtchn_port_t notify_port)
{
    (void)notify_offset;
    (void)notify_port;
    return xengnttab_map_domain_grant_refs(handle, 1, domid, &ref, protection);
}

int
xengnttab_unmap(xengnttab_handle *handle, void *start, uint32_t count)
{
    (void)handle;
    return munmap(start, (size_t)count * PAGE);
}

/* Event channels: an eventfd for each port. */

xenevtchn_handle *
xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
    (void)logger;
    (void)flags;
    return calloc(1, sizeof(struct xenevtchn_handle));
}

int
xenevtchn_close(xenevtchn_handle *handle)
{
    free(handle);
    return 0;
}

int
xenevtchn_fd(xenevtchn_handle *handle)
{
    return handle->port ? world->event[handle->port - 1] : -1;
}

xenevtchn_port_or_error_t
xenevtchn_bind_unbound_port(xenevtchn_handle *handle, uint32_t domid)
{
    (void)domid;
    handle->port = SERVER_PORT;
    return SERVER_PORT;
}

xenevtchn_port_or_error_t
xenevtchn_bind_interdomain(xenevtchn_handle *handle, uint32_t domid, evtchn_port_t remote)
{
    (void)domid;
    if (remote != SERVER_PORT) {
        errno = EINVAL;
        return -1;
    }
    handle->port = CLIENT_PORT;
    return CLIENT_PORT;
}

int
xenevtchn_unbind(xenevtchn_handle *handle, evtchn_port_t port)
{
    (void)port;
    handle->port = 0;
    return 0;
}

int
xenevtchn_notify(xenevtchn_handle *handle, evtchn_port_t port)
{
    uint64_t one = 1;
    int peer = handle->port == SERVER_PORT ? CLIENT_PORT : SERVER_PORT;

    (void)port;
    return write(world->event[peer - 1], &one, sizeof(one)) == sizeof(one) ? 0 : -1;
}

xenevtchn_port_or_error_t
xenevtchn_pending(xenevtchn_handle *handle)
{
    uint64_t times;

    if (read(xenevtchn_fd(handle), &times, sizeof(times)) != sizeof(times))
        return -1;
    return (xenevtchn_port_or_error_t)handle->port;
}

int
xenevtchn_unmask(xenevtchn_handle *handle, evtchn_port_t port)
{
    (void)handle;
    (void)port;
    return 0;
}

/* Xenstore: keys are only ever added, by the server alone. */

struct xs_handle *
xs_open(unsigned long flags)
{
    (void)flags;
    return calloc(1, sizeof(struct xs_handle));
}

void
xs_close(struct xs_handle *handle)
{
    free(handle);
}

xs_transaction_t
xs_transaction_start(struct xs_handle *handle)
{
    (void)handle;
    return 1;
}

bool
xs_transaction_end(struct xs_handle *handle, xs_transaction_t transaction, bool abort)
{
    (void)handle;
    (void)transaction;
    (void)abort;
    return true;
}

bool
xs_write(struct xs_handle *handle, xs_transaction_t transaction, const char *path, const void *data, unsigned int size)
{
    unsigned i = atomic_load(&world->store->keys);

    (void)handle;
    (void)transaction;
    if (i == STORE_KEYS || size >= sizeof(world->store->key[i].value))
        return false;
    snprintf(world->store->key[i].path, sizeof(world->store->key[i].path), "%s", path);
    memcpy(world->store->key[i].value, data, size);
    /* Release, by being sequentially consistent: the key before its count. */
    atomic_store(&world->store->keys, i + 1);
    return true;
}

void *
xs_read(struct xs_handle *handle, xs_transaction_t transaction, const char *path, unsigned int *size)
{
    unsigned keys = atomic_load(&world->store->keys);

    (void)handle;
    (void)transaction;
    /* The server asks which domain it is in, for the permissions of its keys. */
    if (strcmp(path, "domid") == 0)
        return strdup("0");
    for (unsigned i = 0; i < keys; i++) {
        if (strcmp(world->store->key[i].path, path) == 0) {
            if (size)
                *size = (unsigned)strlen(world->store->key[i].value);
            return strdup(world->store->key[i].value);
        }
    }
    errno = ENOENT;
    return NULL;
}

bool
xs_rm(struct xs_handle *handle, xs_transaction_t transaction, const char *path)
{
    (void)handle;
    (void)transaction;
    (void)path;
    return true;
}

bool
xs_set_permissions(struct xs_handle *handle, xs_transaction_t transaction, const char *path,
                   struct xs_permissions *permissions, unsigned int count)
{
    (void)handle;
    (void)transaction;
    (void)path;
    (void)permissions;
    (void)count;
    return true;
}
