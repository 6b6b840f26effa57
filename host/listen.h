/* SPDX-License-Identifier: MIT */
/* Where the host listens: at addresses of its own, and at sockets that the service manager passes. */
#ifndef HOST_LISTEN_H
#define HOST_LISTEN_H

#include <gpuvchan/gpuvchan.h>

#include "options.h"

#define LISTENERS_MAX 8

struct host_listener {
    struct gpuvchan_listener *door; /* NULL: closed */
    char *address;                  /* for one place always the same text */
    bool local;
    int64_t resume_at;   /* when to accept again; NEVER: is accepting */
    int64_t complain_at; /* not before this time */
};

struct host_listeners {
    struct host_listener items[LISTENERS_MAX];
    size_t count;
};

/**
 * Listens at @p addresses, with the permissions and the group that @p options say; sockets of the service manager
 * stand for all local ones. @p tolerant: only the first address has to work. listeners_close() takes it back.
 * @return 0 or -errno, logged.
 */
int listeners_open(struct host_listeners *listeners, const struct text_list *addresses, bool tolerant,
                   const struct host_options *options);

/** The number of the one at @p address, or listeners->count. */
size_t listeners_find(const struct host_listeners *listeners, const char *address);

/** Has @p epoll tell when one has something: data.u64 is its number. @return 0 or -errno. */
int listeners_watch(struct host_listeners *listeners, int epoll);
void listeners_unwatch(struct host_listeners *listeners, int epoll);

/** One cannot accept: logs why, seldom, and does not watch it for a moment. */
void listener_pause(struct host_listener *listener, int epoll, int64_t now);

/** Watches those again whose moment has passed. */
void listeners_resume(struct host_listeners *listeners, int epoll, int64_t now);

/** When that is for the next one, or NEVER. */
int64_t listeners_next_resume(const struct host_listeners *listeners);

/** Stops listening at local addresses; guests that come get an error at once. */
void listeners_close_local(struct host_listeners *listeners);

/** Stops listening. */
void listeners_close(struct host_listeners *listeners);

/** Does no guest come through Xen? */
bool listeners_are_local(const struct host_listeners *listeners);

/** The first local one of them, or the first if there is none. */
const char *listeners_first_local(const struct text_list *addresses);

/**
 * The folder for files about workers unless state-dir says another: beside the first local socket. The caller
 * frees it.
 */
char *listeners_state_dir(const struct text_list *addresses);

#endif
