/* SPDX-License-Identifier: MIT */
/*
 * Xen as gpuvchan-host sees it, without Xen: loaded before libgpuvchan (LD_PRELOAD), it answers for the listener
 * at xen: alone. In the folder that FAKE_XEN names, the guests' socket is door; peer says who they are ("NUMBER
 * NAME UUID", of which a driver domain sees the first word alone); a file gone-NUMBER ends a domain; and log tells
 * what the host has done. FAKE_XEN_RESTRICT: giving up access to other domains fails.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <gpuvchan/gpuvchan.h>

static struct gpuvchan_listener *xen; /* the one at xen: */
static int epoll, notes;

static void
path_of(const char *name, char path[512])
{
    snprintf(path, 512, "%s/%s", getenv("FAKE_XEN"), name);
}

static void
note(const char *what, const struct gpuvchan_peer *peer)
{
    char path[512];
    FILE *file;

    path_of("log", path);
    file = fopen(path, "ae");
    if (!file)
        abort();
    fprintf(file, "%s %s\n", what, peer->node);
    fclose(file);
}

static void
describe(struct gpuvchan_peer *peer)
{
    static unsigned count;
    char path[512], line[256] = "";
    FILE *file;

    path_of("peer", path);
    file = fopen(path, "re");
    if (!file || !fgets(line, sizeof(line), file))
        abort();
    fclose(file);
    *peer = (struct gpuvchan_peer){.uid = (uint32_t)-1, .gid = (uint32_t)-1};
    sscanf(line, "%d %63s %39s", &peer->domain, peer->name, peer->uuid);
    snprintf(peer->node, sizeof(peer->node), "/local/domain/%d/data/gpuvchan/0/default/%d-%u", peer->domain,
             (int)getpid(), count++);
}

int
gpuvchan_listener_create(const char *address, struct gpuvchan_listener **out)
{
    int (*real)(const char *, struct gpuvchan_listener **) =
        (int (*)(const char *, struct gpuvchan_listener **))dlsym(RTLD_NEXT, "gpuvchan_listener_create");
    struct epoll_event event = {.events = EPOLLIN};
    char path[512];
    int error;

    if (strncmp(address, "xen:", 4) != 0)
        return real(address, out);
    path_of("door", path);
    error = real(path, out);
    if (error != 0)
        return error;
    xen = *out;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    notes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    path_of("", path);
    if (inotify_add_watch(notes, path, IN_CREATE) < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, notes, &event) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD,
                  ((int (*)(const struct gpuvchan_listener *))dlsym(RTLD_NEXT, "gpuvchan_listener_fd"))(xen),
                  &event) != 0)
        abort();
    return 0;
}

int
gpuvchan_listener_fd(const struct gpuvchan_listener *listener)
{
    return listener == xen
               ? epoll
               : ((int (*)(const struct gpuvchan_listener *))dlsym(RTLD_NEXT, "gpuvchan_listener_fd"))(listener);
}

void
gpuvchan_listener_destroy(struct gpuvchan_listener *listener)
{
    if (xen && listener == xen) {
        close(epoll);
        close(notes);
        xen = NULL;
    }
    ((void (*)(struct gpuvchan_listener *))dlsym(RTLD_NEXT, "gpuvchan_listener_destroy"))(listener);
}

int
gpuvchan_listener_accept(struct gpuvchan_listener *listener, int *fd, struct gpuvchan_peer *peer)
{
    char events[4096];
    int error;

    while (listener == xen && read(notes, events, sizeof(events)) > 0)
        ;
    error = ((int (*)(struct gpuvchan_listener *, int *, struct gpuvchan_peer *))dlsym(
        RTLD_NEXT, "gpuvchan_listener_accept"))(listener, fd, peer);
    if (error == 0 && listener == xen) {
        describe(peer);
        note("accept", peer);
    }
    return error;
}

bool
gpuvchan_listener_alive(struct gpuvchan_listener *listener, const struct gpuvchan_peer *peer)
{
    char name[32], path[512];

    snprintf(name, sizeof(name), "gone-%d", peer->domain);
    path_of(name, path);
    return listener != xen || access(path, F_OK) != 0;
}

void
gpuvchan_listener_claim(struct gpuvchan_listener *listener, const struct gpuvchan_peer *peer)
{
    if (listener == xen)
        note("claim", peer);
}

void
gpuvchan_listener_release(struct gpuvchan_listener *listener, const struct gpuvchan_peer *peer)
{
    if (listener == xen)
        note("release", peer);
}

int
gpuvchan_session_restrict(struct gpuvchan_session *session)
{
    (void)session;
    return getenv("FAKE_XEN_RESTRICT") ? -ENOTSUP : 0;
}
