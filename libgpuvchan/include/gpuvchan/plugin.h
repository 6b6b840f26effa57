/* SPDX-License-Identifier: MIT */
/*
 * The host plugin ABI: what serves a protocol inside a worker.
 *
 * A plugin is a shared object NAME.so in the plugin directory. It exports one function,
 * gpuvchan_plugin_entry(), which GPUVCHAN_PLUGIN_REGISTER defines. Its life:
 *
 *      load                     once per process, before anything else
 *      config(key, value) ...   each line of its section [plugin NAME] and of the command line
 *      config_complete          check that all is there
 *      warm                     only in a worker that waits for a guest: what takes long and needs none (optional)
 *        open                   a guest process asks for the protocol: returns its state
 *          lane_open            a guest thread's lane is served: returns the lane's state (optional)
 *            dispatch           through the protocol's generated table, on the lane's own thread
 *          lane_close
 *        close
 *      unload
 *
 * A worker can be renewed under a running guest process: a plugin with suspend and resume moves with it into a
 * fresh address space, that of an upgraded plugin for instance.
 *
 *      suspend                  in the old one: writes what the state and the lanes' states hold. Nothing else is
 *                               called after that, unless the renewal is given up: then all goes on as if
 *                               nothing had been
 *      load ... config_complete in the new one
 *        resume                 instead of open: re-creates the state
 *          lane_open            for each lane that was open, before any handler runs
 *            dispatch ...       as before: handles, addresses and numbers that the guest knows still count
 *
 * Threads: load to warm and unload run on one thread. open, resume, suspend and close run on one thread
 * at a time, and no handler runs during the last three. Handlers, lane_open and lane_close run on their lane's
 * thread, several lanes at once: state that lanes share needs its lock.
 *
 * Errors: functions return 0, a negative errno value, or (handlers) a positive status of the protocol.
 * A handler's status is the call's reply; a post's goes to the guest's lane as a deferred error.
 *
 * Hostile guests: generated code has checked sizes, array counts, strings, arena references and handles
 * before a handler runs, on a private copy of the record. Arena memory itself stays shared: the guest may
 * change it while it is read, so copy what must not change.
 */
#ifndef GPUVCHAN_PLUGIN_H
#define GPUVCHAN_PLUGIN_H

#include <gpuvchan/gpuvchan.h>
#include <gpuvchan/protocol.h>

/** Grows when the meaning of existing fields changes; new fields are only added at the end of structs. */
#define GPUVCHAN_PLUGIN_API 1

struct gpuvchan_session;
struct gpuvchan_snapshot;

/** A record that is being executed; the payload is private to the lane and stays until the handler returns. */
struct gpuvchan_request {
    struct gpuvchan_session *session;
    void *state;         /**< what open returned */
    void *lane_state;    /**< what lane_open returned, or NULL */
    const void *payload; /**< 64-byte aligned */
    uint32_t bytes;      /**< of payload, rounded up to 16 */
    uint16_t opcode;
    uint16_t flags;
    uint32_t lane;        /**< its number */
    uint64_t sequence;    /**< number of this record on its lane, from 1 */
    void *reply;          /**< private to the lane, 64-byte aligned; use gpuvchan_request_reply() */
    uint32_t reply_room;  /**< bytes that a reply may have */
    uint32_t reply_bytes; /**< bytes that it has */
    uint32_t linger_us;   /**< see gpuvchan_request_linger() */
};

/** Smallest and largest payload, and the function that checks the rest and calls the handler. */
struct gpuvchan_entry {
    const char *name; /**< for traces; NULL: no such entry */
    uint32_t bytes_min, bytes_max;
    int (*execute)(struct gpuvchan_request *request);
};

/** Written by the scanner: a protocol's table, indexed by opcode. */
struct gpuvchan_dispatch {
    struct gpuvchan_protocol protocol;
    const struct gpuvchan_entry *entries;
};

/**
 * What a plugin fills in. size and api are set by GPUVCHAN_PLUGIN_REGISTER; a host reads only the bytes
 * that size covers, and treats the rest as NULL.
 */
struct gpuvchan_plugin {
    size_t size;
    uint32_t api;
    const char *name;                         /**< mandatory; [a-z0-9_-], the protocol's name and the file's */
    const char *version;                      /**< of the plugin */
    const char *description;                  /**< one line */
    const char *config_help;                  /**< a line per key, or NULL */
    const struct gpuvchan_dispatch *dispatch; /**< mandatory */

    int (*load)(void);
    int (*config)(const char *key, const char *value);
    int (*config_complete)(void);
    /** Serve a guest process: *@p state is passed to all that follows. Mandatory. */
    int (*open)(struct gpuvchan_session *session, void **state);
    int (*lane_open)(void *state, uint32_t lane, void **lane_state);
    void (*lane_close)(void *state, void *lane_state);
    /**
     * Write all that resume() needs, the states of open lanes too, and change nothing: if this or another plugin
     * fails, the guest is served on with what is there. All handlers have returned; wait for what they have started
     * and cannot be carried over. Optional, with resume: without them a session that uses the plugin is not renewed.
     */
    int (*suspend)(void *state, struct gpuvchan_snapshot *snapshot);
    /** In place of open, in a fresh process, maybe in a later version of the plugin: the state from @p snapshot. */
    int (*resume)(struct gpuvchan_session *session, struct gpuvchan_snapshot *snapshot, void **state);
    /** Drop everything that the guest process had. All lanes are closed. Mandatory. */
    void (*close)(void *state);
    void (*unload)(void);
    /** Prints "key=value" lines about what it found (devices, libraries) to stdout, for --dump-plugin. */
    void (*dump)(void);
    /** The guest process is gone: handlers that block return at once, and no later one blocks. Any thread. Optional. */
    void (*interrupt)(void *state);
    /**
     * Called at most once, before the first open, in a worker that has no guest yet: start what takes long, such as a
     * driver. Nothing of it may show in what guests are answered. A failure is for open to find again. Optional.
     */
    void (*warm)(void);
    /**
     * A renewal begins (@p on), and waits for all handlers: those that only wait for something, and have done nothing
     * yet, return -ERESTART at once, and so do all that would begin to. They are executed again, with the same
     * record, here or in the new process. Until it was given up (not @p on). Any thread. Optional: without
     * it a handler that blocks keeps the session from being renewed.
     */
    void (*pause)(void *state, bool on);
};

/** Defines the entry point; the struct's size and api are filled in. */
#define GPUVCHAN_PLUGIN_REGISTER(plugin_struct)                                \
    GPUVCHAN_EXPORT const struct gpuvchan_plugin *gpuvchan_plugin_entry(void); \
    const struct gpuvchan_plugin *gpuvchan_plugin_entry(void)                  \
    {                                                                          \
        (plugin_struct).size = sizeof(plugin_struct);                          \
        (plugin_struct).api = GPUVCHAN_PLUGIN_API;                             \
        return &(plugin_struct);                                               \
    }

/* ---- Services for plugins -------------------------------------------------------------------- */

/** Start of the arena as the worker sees it, and its size. */
GPUVCHAN_EXPORT void *gpuvchan_session_arena(const struct gpuvchan_session *session, uint64_t *bytes);
/** True if the guest sees the arena at the same address. */
GPUVCHAN_EXPORT bool gpuvchan_session_same_address(const struct gpuvchan_session *session);

/** The memory behind @p reference, or NULL if it leaves the arena. For generated code and handlers. */
GPUVCHAN_EXPORT void *
gpuvchan_session_resolve(const struct gpuvchan_session *session, struct gpuvchan_reference reference);

/**
 * Address of completion word @p index, or NULL if there is none. Write it with
 * gpuvchan_completion_signal() or have the GPU write it; values must only grow.
 */
GPUVCHAN_EXPORT _Atomic uint64_t *gpuvchan_session_completion(struct gpuvchan_session *session, uint32_t index);
/** Writes a completion number after all that this thread wrote before (release). */
GPUVCHAN_EXPORT void gpuvchan_completion_signal(_Atomic uint64_t *word, uint64_t value);
/** The page of completion words as a whole, page-aligned, for registering it with a GPU driver. */
GPUVCHAN_EXPORT void *gpuvchan_session_completions(struct gpuvchan_session *session, size_t *bytes);

/** Bytes of what is shared, at most. */
#define GPUVCHAN_SHARE_BYTES 256u

/** Names something that is shared. A guest may have it: it cannot guess another one, and knows nothing by it. */
struct gpuvchan_session_token {
    unsigned char bytes[32];
};

/**
 * Offers @p bytes of @p data and, unless it is -1, a descriptor (which is duplicated) to the other sessions of the
 * same guest: of the same domain, or of the same user where there are no domains. Until it is taken back or this session
 * ends. The same bytes without a descriptor have the same token again. Any thread. @return 0 or -errno.
 */
GPUVCHAN_EXPORT int gpuvchan_session_share(struct gpuvchan_session *session, const void *data, size_t bytes, int fd,
                                           struct gpuvchan_session_token *token);
/** Takes back what gpuvchan_session_share() has offered; what was taken stays. Does nothing for other tokens. */
GPUVCHAN_EXPORT void
gpuvchan_session_unshare(struct gpuvchan_session *session, const struct gpuvchan_session_token *token);
/**
 * Takes what a session of the same guest offers, this one or another worker's: at most *@p bytes go to @p data, and
 * *@p fd gets a descriptor of the caller's own, or -1. The token may come from the guest. Waits for the other worker, at
 * most some seconds. Any thread. @return 0; -ENOENT: nobody of this guest offers that, or not any more; -errno.
 */
GPUVCHAN_EXPORT int gpuvchan_session_take(struct gpuvchan_session *session, const struct gpuvchan_session_token *token,
                                          void *data, size_t *bytes, int *fd);

/**
 * Room for @p bytes of reply payload, zeroed, sent when the handler returns; NULL if that is more than a
 * reply may have (a quarter of the reply ring). Called once per request by generated code.
 */
static inline void *
gpuvchan_request_reply(struct gpuvchan_request *request, uint32_t bytes)
{
    if (bytes > request->reply_room)
        return NULL;
    memset(request->reply, 0, bytes);
    request->reply_bytes = bytes;
    return request->reply;
}

/** Sends less than was reserved: only the first @p bytes. */
static inline void
gpuvchan_request_trim(struct gpuvchan_request *request, uint32_t bytes)
{
    if (bytes < request->reply_bytes)
        request->reply_bytes = bytes;
}

/**
 * The guest waits for what this record has started and will be back at once when it is done: if the lane
 * finds nothing more to do, have it poll for so long before it sleeps, where that is longer than usual.
 * Saves the guest's next record the time that waking a thread takes; costs the host a processor meanwhile.
 */
static inline void
gpuvchan_request_linger(struct gpuvchan_request *request, uint32_t microseconds)
{
    request->linger_us = microseconds;
}

/**
 * In suspend(): writes @p bytes behind what was written before. Each plugin has a part of its own of the snapshot,
 * which begins empty. An error stays, and fails the whole: looking at the last result is enough.
 * @return 0 or -errno, logged.
 */
GPUVCHAN_EXPORT int gpuvchan_snapshot_write(struct gpuvchan_snapshot *snapshot, const void *data, size_t bytes);
/**
 * In resume(): reads the next @p bytes of what was written, in whatever portions. All of it must be read. What
 * was written by a plugin of another version is the plugin's to tell: begin with a number that says so.
 * @return 0; -ENODATA: not so much was written; or -errno. Logged; an error stays, and @p data then means nothing.
 */
GPUVCHAN_EXPORT int gpuvchan_snapshot_read(struct gpuvchan_snapshot *snapshot, void *data, size_t bytes);

/**
 * The guest broke the protocol in a way that only a broken or hostile guest does: ends the channel with a
 * named error, logged once with the values. Returns -EPROTO, for the handler to return.
 */
GPUVCHAN_EXPORT int
gpuvchan_request_corrupt(struct gpuvchan_request *request, const char *format, ...) GPUVCHAN_PRINTF(2, 3);

/**
 * Does this host keep things of @p bytes for later sessions, of other processes of the same guest domain or, locally, of
 * the same user? Nobody else gets them.
 */
GPUVCHAN_EXPORT bool gpuvchan_session_may_keep(const struct gpuvchan_session *session, uint64_t bytes);
/** Is anything of that size kept? Then a digest is worth while. Waits for another process of the host, briefly. */
GPUVCHAN_EXPORT bool gpuvchan_session_has_kept(struct gpuvchan_session *session, uint64_t bytes);
/**
 * What is kept with that digest: sealed memory of @p bytes, never to be changed; the descriptor is the caller's.
 * -ENOENT: there is none. Waits as above.
 */
GPUVCHAN_EXPORT int
gpuvchan_session_open_kept(struct gpuvchan_session *session, uint64_t bytes, const uint8_t digest[GPUVCHAN_DIGEST]);
/**
 * Has sealed memory (memfd_create(2) with F_SEAL_SEAL, _SHRINK, _GROW and _WRITE) kept; @p fd stays the caller's.
 * @p digest must be that of its contents, never what a guest says. The host may drop it at any time. @return 0 or -errno.
 */
GPUVCHAN_EXPORT int
gpuvchan_session_keep(struct gpuvchan_session *session, uint64_t bytes, const uint8_t digest[GPUVCHAN_DIGEST], int fd);

/** Parses "64M", "1G", "4096"; K, M, G, T are powers of 1024. @return 0 or -EINVAL. */
GPUVCHAN_EXPORT int gpuvchan_parse_size(const char *text, uint64_t *bytes);

#endif
