/* SPDX-License-Identifier: MIT */
/*
 * The host's door: which guests wait, and which domains live.
 *
 * Design notes
 *
 * A guest that connects makes a node under its own data/gpuvchan. Dom0 is told of new domains and watches
 * that place in each; another domain cannot be told, and watches /local/domain as a whole, of which it sees
 * only what guests let it read. Either way an event says no more than "look there". Nor may it list the domains:
 * guests that waited before it came are found since they knock again (guest.c).
 *
 * A visit is a node that was seen; it stays in the list until its worker has ended, so that no guest is
 * served twice. What a guest leaves behind when it dies is cleared away by release(); the reason of a
 * refusal stays for a while, for the guest to read.
 */
#include "xen_transport.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>
#include <xenctrl.h>

#include "error.h"
#include "limits.h"
#include "ring.h"

#define VISITS_PER_DOMAIN 256u /* more is rubbish; xenstored's quota is 1000 nodes, of which each visit takes four */
#define EVENTS_AT_ONCE 64
#define TICK_MS 500
#define REFUSED_MS 10000 /* the reason of a refusal stays that long */

enum visit_state {
    VISIT_WAITS,
    VISIT_SERVED,
    VISIT_REFUSED,
};

struct visit {
    char node[XEN_NODE];
    uint32_t domain;
    enum visit_state state;
    uint64_t clear_at; /* refused: when its node is cleared away */
};

struct xen_door {
    struct gpuvchan__door door;
    struct xs_handle *store;
    xc_interface *control; /* NULL: no domain that may ask about others */
    int epoll, timer, lock;
    uint32_t own;
    bool dom0;
    char service[XEN_SERVICE], to[XEN_TO], node[XEN_NODE];
    uint32_t *watched; /* domains, in Dom0 */
    size_t watched_count;
    struct visit *visits;
    size_t visit_count;
};

static struct xen_door *
door_of(const struct gpuvchan__door *door)
{
    return (struct xen_door *)(uintptr_t)door;
}

/* ---- Visits ---------------------------------------------------------------------------------- */

static struct visit *
visit_find(struct xen_door *door, const char *node)
{
    for (size_t i = 0; i < door->visit_count; i++)
        if (strcmp(door->visits[i].node, node) == 0)
            return &door->visits[i];
    return NULL;
}

static void
visit_add(struct xen_door *door, const char *node, uint32_t domain, enum visit_state state)
{
    struct visit *visits = realloc(door->visits, (door->visit_count + 1) * sizeof(*visits));

    if (!visits)
        return; /* it will be seen again */
    door->visits = visits;
    door->visits[door->visit_count] = (struct visit){.domain = domain, .state = state};
    snprintf(door->visits[door->visit_count].node, XEN_NODE, "%s", node);
    door->visit_count++;
}

static void
visit_drop(struct xen_door *door, struct visit *visit)
{
    *visit = door->visits[--door->visit_count];
}

static uint32_t
visits_of(const struct xen_door *door, uint32_t domain)
{
    uint32_t count = 0;

    for (size_t i = 0; i < door->visit_count; i++)
        count += door->visits[i].domain == domain;
    return count;
}

/* The name that a guest of ours gives. */
static bool
name_ok(const char *name)
{
    return strlen(name) == XEN_NAME && strspn(name, "0123456789abcdef") == XEN_NAME;
}

static void
visit_look(struct xen_door *door, uint32_t domain, const char *node)
{
    char key[XEN_NODE + 16], to[XEN_TO];
    uint32_t number;

    if (visit_find(door, node))
        return;
    snprintf(key, sizeof(key), "%s/to", node);
    if (!xen_store_read(door->store, key, to, sizeof(to)) || strcmp(to, door->to) != 0)
        return;
    snprintf(key, sizeof(key), "%s/ring-ref", node);
    if (!xen_store_number(door->store, key, &number))
        return;
    snprintf(key, sizeof(key), "%s/event-channel", node);
    if (!xen_store_number(door->store, key, &number))
        return;
    snprintf(key, sizeof(key), "%s/refused", node);
    if (visits_of(door, domain) >= VISITS_PER_DOMAIN)
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "domain %u has more than %u channels in xenstore: %s is ignored", domain,
                     VISITS_PER_DOMAIN, node);
    else
        visit_add(door, node, domain, xen_store_absent(door->store, key) ? VISIT_WAITS : VISIT_REFUSED);
}

/* ---- Watching -------------------------------------------------------------------------------- */

static void
place_of(uint32_t domain, char node[XEN_NODE])
{
    snprintf(node, XEN_NODE, "/local/domain/%u/data/gpuvchan", domain);
}

static void
look_into(struct xen_door *door, uint32_t domain)
{
    char place[XEN_NODE], node[XEN_NODE];
    unsigned count = 0;
    char **names;

    place_of(domain, place);
    names = xs_directory(door->store, XBT_NULL, place, &count);
    for (unsigned i = 0; names && i < count; i++) {
        if (!name_ok(names[i]))
            continue;
        snprintf(node, sizeof(node), "%.40s/%.*s", place, XEN_NAME, names[i]);
        visit_look(door, domain, node);
    }
    free(names);
}

static bool
is_watched(const struct xen_door *door, uint32_t domain)
{
    for (size_t i = 0; i < door->watched_count; i++)
        if (door->watched[i] == domain)
            return true;
    return false;
}

/* A guest's program may not ask Xen how much it can grant; Dom0 may, and tells it. */
static void
tell_frames(struct xen_door *door, uint32_t domain)
{
    char node[XEN_NODE], text[16];
    uint32_t used, most;

    if (!gpuvchan__xen_frames_of(domain, &used, &most))
        return;
    snprintf(node, sizeof(node), "/local/domain/%u/data/gpuvchan/frames", domain);
    snprintf(text, sizeof(text), "%u", most);
    xs_write(door->store, XBT_NULL, node, text, (unsigned)strlen(text));
}

static void
watch_domain(struct xen_door *door, uint32_t domain)
{
    uint32_t *watched = realloc(door->watched, (door->watched_count + 1) * sizeof(*watched));
    char place[XEN_NODE];

    if (!watched)
        return;
    door->watched = watched;
    place_of(domain, place);
    if (!xs_watch(door->store, place, "guest"))
        return;
    door->watched[door->watched_count++] = domain;
    tell_frames(door, domain);
    look_into(door, domain);
}

/* All domains that are there; Dom0 alone may ask. */
static void
look_for_domains(struct xen_door *door)
{
    unsigned count = 0;
    char **names = xs_directory(door->store, XBT_NULL, "/local/domain", &count);

    for (unsigned i = 0; names && i < count; i++) {
        uint32_t domain = (uint32_t)strtoul(names[i], NULL, 10);

        if (!isdigit((unsigned char)names[i][0]) || domain == door->own)
            continue;
        if (!is_watched(door, domain))
            watch_domain(door, domain);
    }
    free(names);
}

/* A domain that is gone needs no watch; its number is not used again soon. */
static void
forget_domains(struct xen_door *door)
{
    for (size_t i = 0; i < door->watched_count;) {
        char place[XEN_NODE], node[XEN_NODE];

        snprintf(node, sizeof(node), "/local/domain/%u", door->watched[i]);
        if (!xen_store_absent(door->store, node)) {
            i++;
            continue;
        }
        place_of(door->watched[i], place);
        xs_unwatch(door->store, place, "guest");
        door->watched[i] = door->watched[--door->watched_count];
    }
}

/* What a visit is made of, or the visit itself: a guest that knocks again changes that. */
static bool
key_ok(const char *key)
{
    return *key == '\0' || strcmp(key, "/to") == 0 || strcmp(key, "/ring-ref") == 0 ||
           strcmp(key, "/event-channel") == 0;
}

/* @p path is any node that a guest has touched. */
static void
look_at_path(struct xen_door *door, const char *path)
{
    char place[XEN_NODE], node[XEN_NODE], name[XEN_NAME + 2];
    unsigned domain;
    size_t bytes, name_bytes;
    int end = 0;

    if (sscanf(path, "/local/domain/%5u/%n", &domain, &end) != 1 || end == 0 || domain == door->own)
        return;
    place_of(domain, place);
    bytes = strlen(place);
    if (strncmp(path, place, bytes) != 0 || path[bytes] != '/')
        return;
    /* That node alone, and not what else is written there: a guest that writes much is to cost no more than it writes. */
    path += bytes + 1;
    name_bytes = strcspn(path, "/");
    if (!key_ok(path + name_bytes))
        return;
    snprintf(name, sizeof(name), "%.*s", (int)name_bytes, path);
    snprintf(node, sizeof(node), "%.40s/%.*s", place, XEN_NAME, name);
    if (name_ok(name))
        visit_look(door, domain, node);
}

static void
take_events(struct xen_door *door)
{
    char **event;

    /* What is left keeps the descriptor readable: a guest that writes without end keeps nobody out. */
    for (int i = 0; i < EVENTS_AT_ONCE && (event = xs_check_watch(door->store)); i++) {
        if (strcmp(event[XS_WATCH_TOKEN], "guest") == 0)
            look_at_path(door, event[XS_WATCH_PATH]);
        else if (strcmp(event[XS_WATCH_TOKEN], "domain") == 0)
            look_for_domains(door);
        else
            forget_domains(door);
        free(event);
    }
}

/* ---- Time ------------------------------------------------------------------------------------ */

/* A domain other than Dom0 is not told when one ends; and reasons of refusals wait to be cleared away. */
static void
set_timer(struct xen_door *door)
{
    struct itimerspec when = {0};
    bool needed = false;

    for (size_t i = 0; i < door->visit_count && !needed; i++)
        needed = door->visits[i].state == VISIT_REFUSED || !door->dom0;
    if (needed)
        when.it_value.tv_nsec = TICK_MS * 1000000;
    timerfd_settime(door->timer, 0, &when, NULL);
}

static void
clear_refused(struct xen_door *door)
{
    uint64_t now = gpuvchan__now_ns();

    for (size_t i = 0; i < door->visit_count;) {
        struct visit *visit = &door->visits[i];

        if (visit->state == VISIT_REFUSED && visit->clear_at == 0)
            visit->clear_at = now + REFUSED_MS * 1000000ull;
        if (visit->state != VISIT_REFUSED || (visit->clear_at > now && !xen_store_absent(door->store, visit->node))) {
            i++;
            continue;
        }
        xs_rm(door->store, XBT_NULL, visit->node);
        visit_drop(door, visit);
    }
}

/* ---- The door's operations ------------------------------------------------------------------- */

static int
door_fd(const struct gpuvchan__door *door)
{
    return door_of(door)->epoll;
}

static void
peer_describe(struct xen_door *door, uint32_t domain, const char *node, struct gpuvchan_peer *peer)
{
    char path[XEN_NODE], text[80];

    *peer = (struct gpuvchan_peer){.domain = (int32_t)domain, .uid = (uint32_t)-1, .gid = (uint32_t)-1};
    snprintf(peer->node, sizeof(peer->node), "%s", node);
    snprintf(path, sizeof(path), "/local/domain/%u/name", domain);
    if (xen_store_read(door->store, path, text, sizeof(text)))
        gpuvchan__text_from_peer(peer->name, sizeof(peer->name), text, sizeof(text));
    snprintf(path, sizeof(path), "/local/domain/%u/vm", domain);
    if (xen_store_read(door->store, path, text, sizeof(text)) && strncmp(text, "/vm/", 4) == 0)
        gpuvchan__text_from_peer(peer->uuid, sizeof(peer->uuid), text + 4, sizeof(text) - 4);
}

static int
door_accept(struct gpuvchan__door *ops, int *fd, struct gpuvchan_peer *peer)
{
    struct xen_door *door = door_of(ops);
    uint64_t expired;

    (void)!read(door->timer, &expired, sizeof(expired));
    take_events(door);
    clear_refused(door);
    set_timer(door);
    for (size_t i = 0; i < door->visit_count; i++) {
        struct visit *visit = &door->visits[i];
        int ticket;

        if (visit->state != VISIT_WAITS)
            continue;
        ticket = xen_ticket_create(visit->domain, visit->node);
        if (ticket < 0)
            return ticket;
        visit->state = VISIT_SERVED;
        peer_describe(door, visit->domain, visit->node, peer);
        *fd = ticket;
        return 0;
    }
    return -EAGAIN;
}

/* A domain that is being saved has stopped, too: it may go on here, and is destroyed otherwise. */
static bool
domain_runs(const struct xen_door *door, uint32_t domain)
{
    const uint32_t stopped = XEN_DOMINF_dying | XEN_DOMINF_shutdown;
    xc_domaininfo_t info;

    if (xc_domain_getinfolist(door->control, domain, 1, &info) != 1 || info.domain != domain)
        return false;
    if ((info.flags & stopped) == XEN_DOMINF_shutdown)
        return (info.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask) == SHUTDOWN_suspend;
    return !(info.flags & stopped);
}

static bool
door_alive(struct gpuvchan__door *ops, const struct gpuvchan_peer *peer)
{
    struct xen_door *door = door_of(ops);
    char node[XEN_NODE];

    if (door->control)
        return domain_runs(door, (uint32_t)peer->domain);
    /* The toolstack clears the guest's whole tree when it ends; only a peer that can read it notices. */
    place_of((uint32_t)peer->domain, node);
    return !xen_store_absent(door->store, node);
}

static void
door_claim(struct gpuvchan__door *ops, const struct gpuvchan_peer *peer)
{
    struct xen_door *door = door_of(ops);
    struct visit *visit = visit_find(door, peer->node);

    if (visit)
        visit->state = VISIT_SERVED;
    else
        visit_add(door, peer->node, (uint32_t)peer->domain, VISIT_SERVED);
    set_timer(door);
}

static void
door_release(struct gpuvchan__door *ops, const struct gpuvchan_peer *peer)
{
    struct xen_door *door = door_of(ops);
    struct visit *visit = visit_find(door, peer->node);
    char refused[XEN_NODE + 16];

    if (!visit)
        return;
    snprintf(refused, sizeof(refused), "%s/refused", peer->node);
    if (!xen_store_absent(door->store, refused)) {
        visit->state = VISIT_REFUSED;
        set_timer(door);
        return;
    }
    xs_rm(door->store, XBT_NULL, peer->node);
    visit_drop(door, visit);
}

static void
door_close(struct gpuvchan__door *ops)
{
    struct xen_door *door = door_of(ops);

    if (door->store && door->node[0])
        xs_rm(door->store, XBT_NULL, door->node);
    xs_close(door->store);
    if (door->control)
        xc_interface_close(door->control);
    if (door->epoll >= 0)
        close(door->epoll);
    if (door->timer >= 0)
        close(door->timer);
    if (door->lock >= 0)
        close(door->lock);
    free(door->watched);
    free(door->visits);
    free(door);
}

static const struct gpuvchan__door_ops door_ops = {
    .fd = door_fd,
    .accept = door_accept,
    .alive = door_alive,
    .claim = door_claim,
    .release = door_release,
    .close = door_close,
};

/* ---- Opening --------------------------------------------------------------------------------- */

static bool
in_dom0(void)
{
    char text[32];

    return gpuvchan__xen_file_line("", "/proc/xen/capabilities", text, sizeof(text)) == 0 &&
           strstr(text, "control_d") != NULL;
}

/* A socket without messages, whose name only one process of the domain can have, and which dies with it. */
static int
lock_service(struct xen_door *door)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int length = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "gpuvchan-xen/%s", door->service);

    door->lock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (door->lock < 0 ||
        bind(door->lock, (struct sockaddr *)&name, (socklen_t)(sizeof(sa_family_t) + 1 + (size_t)length)) != 0)
        return gpuvchan__error(-errno,
                               "another gpuvchan-host listens at xen:/%s in this domain (%s): stop it, or choose "
                               "another service",
                               door->service, strerror(errno));
    return 0;
}

static int
watch(struct xen_door *door)
{
    struct epoll_event readable = {.events = EPOLLIN};

    door->epoll = epoll_create1(EPOLL_CLOEXEC);
    door->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (door->epoll < 0 || door->timer < 0 || xs_fileno(door->store) < 0 ||
        epoll_ctl(door->epoll, EPOLL_CTL_ADD, xs_fileno(door->store), &readable) != 0 ||
        epoll_ctl(door->epoll, EPOLL_CTL_ADD, door->timer, &readable) != 0)
        return gpuvchan__error(-errno, "cannot wait for events of xenstore: %s", strerror(errno));
    if (door->dom0
            ? !xs_watch(door->store, "@introduceDomain", "domain") || !xs_watch(door->store, "@releaseDomain", "end")
            : !xs_watch(door->store, "/local/domain", "guest"))
        return gpuvchan__error(-errno, "cannot watch xenstore: %s", strerror(errno));
    return 0;
}

/* Everybody may read that a host is here. */
static int
publish(struct xen_door *door)
{
    struct xs_permissions all = {.id = door->own, .perms = XS_PERM_READ};

    xen_host_node(door->node, door->own, door->service);
    if (xs_write(door->store, XBT_NULL, door->node, "1", 1) &&
        xs_set_permissions(door->store, XBT_NULL, door->node, &all, 1))
        return 0;
    return gpuvchan__error(-errno, "cannot write %s in xenstore: %s", door->node, strerror(errno));
}

static int
door_open(struct xen_door *door)
{
    int error = lock_service(door);

    if (error != 0)
        return error;
    door->store = xen_store_open();
    if (!door->store)
        return -errno;
    if (!xen_store_number(door->store, "domid", &door->own))
        return gpuvchan__error(-errno, "xenstore does not tell this domain's number (domid): %s", strerror(errno));
    xen_to(door->to, door->own, door->service);
    door->dom0 = in_dom0();
    if (door->dom0) {
        door->control = xc_interface_open(NULL, NULL, 0);
        if (!door->control)
            return gpuvchan__error(-errno, "cannot open /dev/xen/privcmd, which tells of domains that end: %s",
                                   strerror(errno));
    }
    error = watch(door);
    return error != 0 ? error : publish(door);
}

int
xen_listen(const char *place, struct gpuvchan__door **out)
{
    struct xen_door *door = calloc(1, sizeof(*door));
    uint32_t domain = 0;
    bool named;
    int error;

    if (!door)
        return gpuvchan__error(-ENOMEM, "out of memory");
    door->door.ops = &door_ops;
    door->epoll = door->timer = door->lock = -1;
    error = xen_place_parse(place, &domain, &named, door->service);
    if (error == 0 && named)
        error =
            gpuvchan__error(-EINVAL, "'xen:%s': a host listens in its own domain: write xen: or xen:/SERVICE", place);
    if (error == 0)
        error = door_open(door);
    if (error != 0) {
        door_close(&door->door);
        return error;
    }
    *out = &door->door;
    return 0;
}
