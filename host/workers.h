/* SPDX-License-Identifier: MIT */
/* The workers of a supervisor: those that it has started, and those that it has adopted. */
#ifndef HOST_WORKERS_H
#define HOST_WORKERS_H

#include <gpuvchan/gpuvchan.h>

#include "worker_file.h"

#define NEVER INT64_MAX /* as a time */

struct worker {
    pid_t pid;
    int pidfd;    /* readable when it has ended */
    int link;     /* see worker_link.h; -1: an adopted one's, or it is closed */
    bool spare;   /* it has no guest */
    bool ready;   /* nor anything else to do */
    int64_t born; /* of a spare one */
    bool adopted; /* another's child: how it ends is not to be learnt */
    bool told;    /* to end, by this supervisor */
    size_t listener;
    struct gpuvchan_peer peer;
    char program[32]; /* of a local guest */
    int64_t kill_at;  /* NEVER, or when SIGKILL follows the SIGTERM */
};

struct workers {
    struct worker *items;
    size_t count;
    const char *folder_name; /* of their files */
    int folder;              /* -1: there is none */
};

/** @p folder_name is valid until workers_finish(). That it cannot be used is logged, and costs adoption alone. */
void workers_init(struct workers *workers, const char *folder_name);

/**
 * Starts one for the guest on @p connection, which stays the caller's, with configuration @p config. @p address is
 * that of its listener, which has number @p listener. *@p out is valid until the next one is added or removed.
 * @return 0 or -errno, not logged.
 */
int workers_start(struct workers *workers, int connection, int config, const char *address, size_t listener,
                  const struct gpuvchan_peer *peer, struct worker **out);

/**
 * Starts one that waits for a guest, with configuration @p config; @p local: for one that does not come through Xen.
 * *@p out as above. @return 0 or -errno, not logged.
 */
int workers_start_spare(struct workers *workers, int config, bool local, int64_t now, struct worker **out);

/**
 * Hands the guest on @p connection to a spare one, whose descriptor is watched already; parameters as for
 * workers_start(). One that does not get ready is ended. NULL: there is none.
 */
struct worker *workers_take_spare(struct workers *workers, int connection, const char *address, size_t listener,
                                  const struct gpuvchan_peer *peer, int64_t now);

/** Ends those without a guest, by @p kill_at at the latest. */
void workers_end_spares(struct workers *workers, int64_t kill_at);

/** How many wait for a guest, and are not told to end. */
size_t workers_spare(const struct workers *workers);

/** How many have one. */
size_t workers_serving(const struct workers *workers);

/** Takes in one that an earlier supervisor has started. @return 0, or -ESRCH: it has ended. *@p out as above. */
int workers_adopt(struct workers *workers, const struct worker_record *record, size_t listener, struct worker **out);

struct worker *workers_find(const struct workers *workers, pid_t pid);

/** How many serve processes of this domain. */
size_t workers_of_domain(const struct workers *workers, int32_t domain);

/** Nothing more is said to it, or by it. */
void worker_close_link(struct worker *worker);

/** Sends SIGTERM now, and lets worker_kill_late() send SIGKILL at @p kill_at. */
void worker_end(struct worker *worker, int64_t kill_at);

/** SIGKILL for those whose time is up. */
void workers_kill_late(struct workers *workers, int64_t now);

/** When the next one's time is up, or NEVER. */
int64_t workers_next_kill(const struct workers *workers);

/**
 * One's descriptor is readable: logs how it ended, and forgets it. @return false if it has not ended, or
 * true, and *@p crashed.
 */
bool workers_bury(struct workers *workers, struct worker *worker, bool *crashed);

/** Forgets all; they go on. Removes the folder if nobody needs it. */
void workers_finish(struct workers *workers);

/** Words for whom it serves: "program, uid 0", "domain 5 (name)", or "spare". */
void worker_describe(const struct worker *worker, char *text, size_t bytes);

#endif
