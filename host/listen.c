/* SPDX-License-Identifier: MIT */
/* Listening: for a socket in the file system, its folder, its permissions and its group belong to it. */
#include "listen.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "notify.h"
#include "workers.h"

#define PAUSE_MS 200             /* without descriptors or processes, until the next try */
#define COMPLAIN_ACCEPT_MS 10000 /* between two lines about a listener that fails */

/* The path of a local address, or NULL. */
static const char *
socket_path(const char *address)
{
    const char *path = strncmp(address, "local:", 6) == 0 ? address + 6 : address;

    return path[0] == '/' ? path : NULL;
}

static void
make_folder(const char *path)
{
    char folder[256];
    const char *slash = strrchr(path, '/');

    snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
    if (folder[0] && mkdir(folder, geteuid() == 0 ? 0755 : 0700) == 0)
        gpuvchan_log(GPUVCHAN_LOG_DEBUG, "made the folder %s", folder);
}

static int
give_to_group(const char *path, const char *name)
{
    char *end;
    unsigned long id = strtoul(name, &end, 10);
    const struct group *group = *end ? getgrnam(name) : NULL;
    int error;

    if (*end && !group) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "socket-group: there is no group '%s'", name);
        return -EINVAL;
    }
    if (lchown(path, (uid_t)-1, group ? group->gr_gid : (gid_t)id) != 0) {
        error = errno;
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "socket-group: cannot give %s to group '%s': %s", path, name, strerror(error));
        return -error;
    }
    return 0;
}

static int
set_permissions(const char *path, const struct host_options *options)
{
    int result = options->socket_group[0] ? give_to_group(path, options->socket_group) : 0;

    if (result == 0 && chmod(path, (mode_t)options->socket_mode) != 0) {
        result = -errno;
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "socket-mode: %s: %s", path, strerror(-result));
    }
    return result;
}

/* The socket is never open wider than it should be: the mask applies from its first moment. */
static int
open_one(const char *address, bool must, const struct host_options *options, struct gpuvchan_listener **out)
{
    const char *path = socket_path(address);
    mode_t mask;
    int result;

    if (path)
        make_folder(path);
    mask = umask((mode_t)~options->socket_mode & 0777);
    result = gpuvchan_listener_create(address, out);
    umask(mask);
    if (result != 0) {
        gpuvchan_log(must ? GPUVCHAN_LOG_ERROR : GPUVCHAN_LOG_WARNING, "cannot listen at %s: %s", address,
                     gpuvchan_error_text());
        return result;
    }
    if (path && (result = set_permissions(path, options)) != 0) {
        gpuvchan_listener_destroy(*out);
        return result;
    }
    gpuvchan_log(GPUVCHAN_LOG_INFO, "listens at %s", address);
    return 0;
}

static void
add(struct host_listeners *listeners, struct gpuvchan_listener *door, const char *address)
{
    const char *path = socket_path(address);
    char *copy = strdup(path ? path : address);

    if (!copy)
        abort();
    listeners->items[listeners->count++] = (struct host_listener){door, copy, path != NULL, NEVER, 0};
}

/* ---- The service manager's sockets ----------------------------------------------------------- */

static void
name_of_socket(int fd, char *name, size_t bytes)
{
    struct sockaddr_un address = {0};
    socklen_t length = sizeof(address) - 1;

    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0 || address.sun_path[0] != '/')
        snprintf(name, bytes, "/dev/fd/%d", fd);
    else
        snprintf(name, bytes, "%s", address.sun_path);
}

static int
adopt_sockets(struct host_listeners *listeners, int first, int count)
{
    char name[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
    struct gpuvchan_listener *door;

    for (int i = 0; i < count && listeners->count < LISTENERS_MAX; i++) {
        int result;

        name_of_socket(first + i, name, sizeof(name));
        result = gpuvchan_listener_adopt(first + i, &door);
        if (result != 0) {
            gpuvchan_log(GPUVCHAN_LOG_ERROR, "cannot use the service manager's socket %d: %s", i,
                         gpuvchan_error_text());
            return result;
        }
        add(listeners, door, name);
        gpuvchan_log(GPUVCHAN_LOG_INFO, "listens at %s, a socket of the service manager", name);
    }
    return 0;
}

/* ---- All ------------------------------------------------------------------------------------- */

int
listeners_open(struct host_listeners *listeners, const struct text_list *addresses, bool tolerant,
               const struct host_options *options)
{
    int first, given = notify_listen_fds(&first), result = adopt_sockets(listeners, first, given);
    struct gpuvchan_listener *door;

    for (size_t i = 0; result == 0 && i < addresses->count; i++) {
        const char *address = addresses->items[i];
        bool must = !tolerant || i == 0;

        if (given > 0 && socket_path(address))
            continue;
        if (listeners->count == LISTENERS_MAX) {
            gpuvchan_log(GPUVCHAN_LOG_ERROR, "there are more than %d addresses to listen at", LISTENERS_MAX);
            return -E2BIG;
        }
        result = open_one(address, must, options, &door);
        if (result == 0)
            add(listeners, door, address);
        else if (!must)
            result = 0;
    }
    return result;
}

size_t
listeners_find(const struct host_listeners *listeners, const char *address)
{
    size_t i = 0;

    while (i < listeners->count && strcmp(listeners->items[i].address, address) != 0)
        i++;
    return i;
}

/* ---- Watching -------------------------------------------------------------------------------- */

static int
watch(int epoll, const struct host_listeners *listeners, size_t number)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = number};
    int fd = gpuvchan_listener_fd(listeners->items[number].door);

    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int
listeners_watch(struct host_listeners *listeners, int epoll)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < listeners->count; i++)
        result = watch(epoll, listeners, i);
    return result;
}

void
listeners_unwatch(struct host_listeners *listeners, int epoll)
{
    for (size_t i = 0; i < listeners->count; i++) {
        struct host_listener *listener = &listeners->items[i];

        if (listener->resume_at == NEVER)
            epoll_ctl(epoll, EPOLL_CTL_DEL, gpuvchan_listener_fd(listener->door), NULL);
        listener->resume_at = NEVER;
    }
}

void
listener_pause(struct host_listener *listener, int epoll, int64_t now)
{
    if (now >= listener->complain_at) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "cannot accept guests at %s for the moment: %s", listener->address,
                     gpuvchan_error_text());
        listener->complain_at = now + COMPLAIN_ACCEPT_MS;
    }
    epoll_ctl(epoll, EPOLL_CTL_DEL, gpuvchan_listener_fd(listener->door), NULL);
    listener->resume_at = now + PAUSE_MS;
}

void
listeners_resume(struct host_listeners *listeners, int epoll, int64_t now)
{
    for (size_t i = 0; i < listeners->count; i++)
        if (listeners->items[i].resume_at <= now)
            listeners->items[i].resume_at = watch(epoll, listeners, i) == 0 ? NEVER : now + PAUSE_MS;
}

int64_t
listeners_next_resume(const struct host_listeners *listeners)
{
    int64_t next = NEVER;

    for (size_t i = 0; i < listeners->count; i++)
        if (listeners->items[i].resume_at < next)
            next = listeners->items[i].resume_at;
    return next;
}

/* ---- Closing --------------------------------------------------------------------------------- */

static void
close_one(struct host_listener *listener)
{
    gpuvchan_listener_destroy(listener->door);
    listener->door = NULL;
}

void
listeners_close_local(struct host_listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++)
        if (listeners->items[i].local)
            close_one(&listeners->items[i]);
}

void
listeners_close(struct host_listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++) {
        close_one(&listeners->items[i]);
        free(listeners->items[i].address);
    }
    listeners->count = 0;
}

/* ---- Addresses ------------------------------------------------------------------------------- */

/* /run/gpuvchan/host.sock: /run/gpuvchan/workers; a/b.sock: a/b.workers. */
static char *
beside(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t bytes = strlen(path);
    char *folder;
    int length;

    if (strcmp(slash + 1, "host.sock") == 0)
        length = asprintf(&folder, "%.*s/workers", (int)(slash - path), path);
    else if (bytes > 5 && strcmp(path + bytes - 5, ".sock") == 0)
        length = asprintf(&folder, "%.*s.workers", (int)bytes - 5, path);
    else
        length = asprintf(&folder, "%s.workers", path);
    if (length < 0)
        abort();
    return folder;
}

bool
listeners_are_local(const struct host_listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++)
        if (!listeners->items[i].local)
            return false;
    return true;
}

const char *
listeners_first_local(const struct text_list *addresses)
{
    for (size_t i = 0; i < addresses->count; i++)
        if (socket_path(addresses->items[i]))
            return addresses->items[i];
    return addresses->items[0];
}

char *
listeners_state_dir(const struct text_list *addresses)
{
    const char *path = socket_path(listeners_first_local(addresses));

    return beside(path ? path : "/run/gpuvchan/host.sock");
}
