/* SPDX-License-Identifier: MIT */
/* The host's end: a session serves one guest process, a thread per lane. */
#ifndef GPUVCHAN_SESSION_H
#define GPUVCHAN_SESSION_H

#include <pthread.h>

#include <gpuvchan/plugin.h>

#include "ring.h"
#include "share.h"
#include "transport.h"

#define SESSION_OFFERS 32u

/* Has it been built with that field, and filled it in? */
#define PLUGIN_HAS(plugin, field) \
    ((plugin)->size >= offsetof(struct gpuvchan_plugin, field) + sizeof((plugin)->field) && (plugin)->field)

/* A protocol that the guest has opened. */
struct session_protocol {
    const struct gpuvchan_plugin *plugin; /* NULL: slot is free */
    void *state;
};

/* The same for one lane, with what a record needs at hand. */
struct session_lane_protocol {
    const struct gpuvchan_entry *entries; /* NULL: the lane has not used it yet */
    uint32_t count;
    void *state;
    void *lane_state; /* what lane_open returned */
};

struct session_lane {
    struct gpuvchan_session *session;
    struct wire_lane *shared;
    struct gpuvchan__reader reader;
    struct gpuvchan__writer writer;
    uint32_t index;
    struct gpuvchan_request request; /* the record being executed */
    uint32_t error_count;
    unsigned char *record; /* private copy of the payload being executed */
    unsigned char *reply;  /* private room for its reply */
    struct session_lane_protocol protocols[WIRE_PROTOCOLS];
    /* What other lanes' threads look at: records before this position need not be waited for. */
    _Atomic uint64_t begun __attribute__((aligned(64)));
    pthread_t thread;
    bool running;
    bool still;      /* under the session's pause_lock: its thread executes nothing */
    uint32_t reopen; /* bits of the slots that the thread opens before anything else */
};

/* What the lanes' threads do between two records. */
enum session_phase {
    SESSION_SERVES, /* go on */
    SESSION_PAUSES, /* stand still */
    SESSION_STOPS,  /* end; stays */
};

struct gpuvchan_session {
    struct gpuvchan__link *link;
    struct gpuvchan__share share;
    struct wire_hello hello;
    struct gpuvchan_session_limits limits;
    unsigned char *base;
    struct wire_region *region;
    unsigned char *arena;
    uint64_t arena_bytes;
    bool same_address;
    bool fence;
    uint64_t spin_ns;
    _Atomic int fault; /* first error that ends the session */
    _Atomic int phase; /* enum session_phase */
    _Atomic bool interrupted;
    bool told_to_pause; /* plugins and the link; main thread */
    pthread_mutex_t pause_lock;
    pthread_cond_t turned; /* the phase, away from a pause, or a lane's `still` */
    bool stuck;            /* a lane's thread did not end */
    pthread_mutex_t lock;  /* opening protocols, the fault's text */
    const struct gpuvchan_plugin *offers[SESSION_OFFERS];
    uint32_t offer_count;
    struct session_protocol protocols[WIRE_PROTOCOLS];
    _Atomic uint32_t protocols_open; /* slots 1..n are valid */
    uint32_t lane_count;             /* of them the guest may open */
    struct session_lane *lanes[WIRE_LANES_MAX];
    struct gpuvchan_snapshot *snapshot; /* between gpuvchan_session_reopen() and gpuvchan_session_resume() */
};

/** Ends the session with a named error, told to the log and the guest once. Returns @p error. */
int gpuvchan__session_fault(struct gpuvchan_session *session, int error, const char *text);
/** The same where it is not the guest's doing. */
int gpuvchan__session_fail(struct gpuvchan_session *session, int error, const char *text);

/** A session over @p fd, which it takes; nothing is received. @return NULL: gpuvchan_error_text() says why. */
struct gpuvchan_session *gpuvchan__session_create(int fd, const struct gpuvchan_session_limits *limits);
/** Checks the hello against the limits, before the region is mapped. @return 0, -EPROTO, -E2BIG. */
int gpuvchan__session_check(const struct gpuvchan_session *session);
/** Maps the region and creates the lanes. */
int gpuvchan__session_map(struct gpuvchan_session *session);

/** The plugin that serves @p open's protocol, or NULL: the reason goes to @p error and @p opened. */
const struct gpuvchan_plugin *
gpuvchan__session_plugin(const struct gpuvchan_session *session, const char *name, const struct wire_open *open,
                         struct wire_opened *opened, int *error);
/** Open @p open's protocol for the guest; the slot or the reason goes to @p opened. */
int gpuvchan__session_open(struct gpuvchan_session *session, const struct wire_open *open, struct wire_opened *opened);

/** Starts a thread for each lane that the guest has opened. Main thread. */
int gpuvchan__session_start_lanes(struct gpuvchan_session *session);

/* session_renew.c */
/** After a pause: lanes go on, or end. */
void gpuvchan__session_go_on(struct gpuvchan_session *session);

/* session_lane.c */
struct session_lane *gpuvchan__session_lane_create(struct gpuvchan_session *session, uint32_t index);
/** Before its thread begins: memory for records. @return 0 or -ENOMEM. */
int gpuvchan__session_lane_begin(struct session_lane *lane);
void gpuvchan__session_lane_destroy(struct session_lane *lane);
/** The lane's thread. */
void *gpuvchan__session_lane_serve(void *lane);
void gpuvchan__session_lane_close_states(struct session_lane *lane);

#endif
