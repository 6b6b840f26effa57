/* SPDX-License-Identifier: MIT */
/*
 * libgpuvchan: GPU command transport between a guest and the host that owns the GPU.
 *
 *      your program, or a forwarding library such as libcuda.so.1
 *          |  generated stubs (gpuvchan-scanner, <gpuvchan/protocol.h>)
 *      channel     one guest process and its worker process on the host
 *        lanes     one per guest thread: a command ring and a reply ring
 *        arena     shared memory for bulk data, mapped on both sides
 *          |  transport: a Unix socket and a memfd here, grants and vchan on Xen
 *      worker      generated checks, then a plugin (<gpuvchan/plugin.h>)
 *
 * A guest, complete (the protocol "hello" is examples/hello/hello.gpv):
 *
 *      #include <stdio.h>
 *      #include <gpuvchan/gpuvchan.h>
 *      #include "hello-guest.h"                // written by gpuvchan-scanner
 *
 *      int main(void)
 *      {
 *          struct gpuvchan_channel *channel;
 *          struct gpuvchan_client client;
 *          char greeting[64];
 *          int error = gpuvchan_channel_connect(NULL, NULL, &channel);
 *
 *          if (error == 0)
 *              error = gpuvchan_client_open(channel, &hello_protocol, &client);
 *          if (error == 0)
 *              error = hello_greet(&client, "world", greeting, sizeof(greeting));
 *          if (error != 0)
 *              fprintf(stderr, "%s\n", gpuvchan_error_text());
 *          else
 *              puts(greeting);
 *          gpuvchan_channel_close(channel);
 *          return error != 0;
 *      }
 *
 * Errors: functions return 0 or a negative errno value and set their outputs only on success. A
 * positive value is a status of the protocol itself (a CUresult, say). gpuvchan_error_text() says in
 * words what failed last in this thread and what to do about it.
 *
 * Threads: a channel may be used by all threads at once; a lane belongs to one thread. Nothing here
 * may be used in the child of a fork: calls there fail with -ENOTCONN. Connecting anew works.
 */
#ifndef GPUVCHAN_H
#define GPUVCHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GPUVCHAN_VERSION_MAJOR 0
#define GPUVCHAN_VERSION_MINOR 1
#define GPUVCHAN_VERSION_PATCH 0
#define GPUVCHAN_VERSION "0.1.0"

#if defined(__GNUC__)
#define GPUVCHAN_EXPORT __attribute__((visibility("default")))
#define GPUVCHAN_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define GPUVCHAN_EXPORT
#define GPUVCHAN_PRINTF(text, first)
#endif

struct gpuvchan_channel;
struct gpuvchan_lane;
struct gpuvchan_buffer;
struct gpuvchan_protocol;

/** The version of the library that is loaded, "MAJOR.MINOR.PATCH"; static storage. */
GPUVCHAN_EXPORT const char *gpuvchan_version(void);

/**
 * What failed last in the calling thread, in words, with the remedy where there is one.
 * Static per-thread storage, valid until the next failing call of this thread; "" if nothing failed.
 */
GPUVCHAN_EXPORT const char *gpuvchan_error_text(void);

/* ---- Log ------------------------------------------------------------------------------------- */

enum gpuvchan_log_level { /* the values are syslog's */
    GPUVCHAN_LOG_ERROR = 3,
    GPUVCHAN_LOG_WARNING = 4,
    GPUVCHAN_LOG_INFO = 6,
    GPUVCHAN_LOG_DEBUG = 7,
};

typedef void gpuvchan_log_func(enum gpuvchan_log_level level, const char *text);

/**
 * Where the library's messages go: @p func is called from any thread with a line without newline.
 * NULL restores the default, stderr. @p level is the least urgent level that is passed on (default:
 * GPUVCHAN_LOG_WARNING, or what the environment's GPUVCHAN_LOG=error|warning|info|debug says).
 * Not thread-safe against itself: call it at the start.
 */
GPUVCHAN_EXPORT void gpuvchan_log_set(gpuvchan_log_func *func, enum gpuvchan_log_level level);

/** Writes one line to the log; for plugins and forwarding libraries. Thread-safe. */
GPUVCHAN_EXPORT void gpuvchan_log(enum gpuvchan_log_level level, const char *format, ...) GPUVCHAN_PRINTF(2, 3);

/* ---- Guest: channel -------------------------------------------------------------------------- */

#define GPUVCHAN_LANES_MAX 1024u /**< of a channel, at most */

/** Sizes and limits of a channel; zero means the default. Set size to sizeof(struct gpuvchan_channel_options). */
struct gpuvchan_channel_options {
    size_t size;
    uint64_t arena_bytes;   /**< shared memory for bulk data; default 1 GiB, on Xen 64 MiB, or GPUVCHAN_ARENA
                               (accepts K, M, G); Xen may have room for less: see gpuvchan_arena_size() */
    uint32_t lanes;         /**< guest threads that may be there at once; default 256, on Xen 16, or GPUVCHAN_LANES;
                               at most GPUVCHAN_LANES_MAX; fewer than by default, down to 4, where Xen has little
                               room, or where the host allows fewer */
    uint32_t command_bytes; /**< command ring of a lane, a power of two; default 1 MiB, on Xen 256 KiB */
    uint32_t reply_bytes;   /**< reply ring of a lane, a power of two; default 64 KiB */
    uint32_t timeout_ms;    /**< longest wait for the handshake; default 10000, or GPUVCHAN_TIMEOUT (in seconds) */
    int32_t spin_us;        /**< how long a wait spins before it sleeps; default 50, -1: never spin */
};

/**
 * Connects to a host and shares a region with the worker that it starts for this process.
 *
 * @p address is "local:/path/of/socket" or a path, or "xen:", "xen:DOMAIN" or "xen:DOMAIN/SERVICE" for a
 * host in another domain of this Xen system (DOMAIN: its number; else what its administrator wrote to
 * data/gpuvchan/host of this domain in xenstore, else 0). NULL takes the environment's GPUVCHAN_ADDRESS,
 * else the first socket that exists of $XDG_RUNTIME_DIR/gpuvchan/host.sock and /run/gpuvchan/host.sock,
 * else "xen:" in a domain of Xen.
 * The caller owns *@p out and gives it to gpuvchan_channel_close(). Blocks for the handshake, at most
 * options->timeout_ms; fails at once when no host listens.
 *
 * @return 0; -ENOENT or -ECONNREFUSED: no host there; -EACCES: the host refuses (its reason is in
 * gpuvchan_error_text()); -EPROTO: the peer speaks another protocol; -ETIMEDOUT; -ENOMEM; -EINVAL.
 */
GPUVCHAN_EXPORT int gpuvchan_channel_connect(const char *address, const struct gpuvchan_channel_options *options,
                                             struct gpuvchan_channel **out);

/**
 * Closes the channel: the worker drops all that this process had on the host and ends. All threads
 * must have left the channel's functions; buffers and lanes die with it. NULL is allowed. Never blocks.
 */
GPUVCHAN_EXPORT void gpuvchan_channel_close(struct gpuvchan_channel *channel);

/**
 * The channel that all forwarding libraries of this process share: connected by the first call, never
 * closed before the process ends. Same addresses, blocking and errors as gpuvchan_channel_connect().
 * A failure is not remembered: the next call tries again. The child of a fork gets a channel of its own.
 */
GPUVCHAN_EXPORT int gpuvchan_channel_shared(struct gpuvchan_channel **out);

/**
 * 0 while the channel works, else the sticky error that ended it: -EPIPE: the worker or the host has
 * gone; -EPROTO: a corrupt record was seen by this side or the other; -ENOTCONN: child of a fork. On Xen
 * also -EHOSTDOWN: the host's domain has ended; -ESTALE: this domain was saved and restored. Local, never blocks.
 */
GPUVCHAN_EXPORT int gpuvchan_channel_error(struct gpuvchan_channel *channel);

/** Names this channel's session on the host, for logs and tools: 16 random bytes. Static to the channel. */
GPUVCHAN_EXPORT const uint8_t *gpuvchan_channel_session(const struct gpuvchan_channel *channel);

/* ---- Guest: clients and lanes ---------------------------------------------------------------- */

/** A protocol opened on a channel: what generated stubs take as their first argument. Plain data, may be copied. */
struct gpuvchan_client {
    struct gpuvchan_channel *channel;
    uint8_t slot; /**< the protocol's number on this channel, given by the host */
};

/**
 * Asks the worker to open the plugin that serves @p protocol (a struct that the scanner generates).
 * Opening it again gives the same slot. Blocks for one round trip and the plugin's own open.
 * @return 0; -ENOENT: the host has no such plugin; -EACCES: its policy forbids it; -EPROTONOSUPPORT:
 * another version of the protocol; or what the plugin's open failed with.
 */
GPUVCHAN_EXPORT int gpuvchan_client_open(struct gpuvchan_channel *channel, const struct gpuvchan_protocol *protocol,
                                         struct gpuvchan_client *client);

/**
 * The calling thread's lane on this channel, opened at its first use and given back when the thread
 * ends. NULL on failure (see gpuvchan_error_text()): the channel has ended, or all lanes are taken.
 */
GPUVCHAN_EXPORT struct gpuvchan_lane *gpuvchan_lane_current(struct gpuvchan_channel *channel);

/**
 * Takes the error that an earlier post of this lane has failed with: returns its status once (positive:
 * the protocol's own), 0 if there is none. Local, never blocks. Calls take it by themselves: one that
 * succeeds after a failed post returns that post's status.
 */
GPUVCHAN_EXPORT int gpuvchan_lane_take_error(struct gpuvchan_lane *lane);

/**
 * Prints to stderr what the channels of this process have sent since the last time, by kind of record, and for how
 * long the process has waited; for all that began while GPUVCHAN_STATS=1 was in the environment, else nothing.
 */
GPUVCHAN_EXPORT void gpuvchan_stats_print(void);

/** Has each post of this lane wait for the host and return its status, as with GPUVCHAN_SYNC=1; or no longer. */
GPUVCHAN_EXPORT void gpuvchan_lane_set_synchronous(struct gpuvchan_lane *lane, bool on);

/**
 * From now on the records of this lane wait for none of other lanes: for a thread whose calls end what
 * others are blocked in.
 */
GPUVCHAN_EXPORT void gpuvchan_lane_set_unordered(struct gpuvchan_lane *lane);

/**
 * Round trip time of an empty call on this lane in nanoseconds, re-measured when the last measurement
 * is older than 5 ms. Tells how far apart the two sides' cores are. Blocks for a few round trips.
 */
GPUVCHAN_EXPORT int gpuvchan_lane_distance(struct gpuvchan_lane *lane, uint32_t *nanoseconds);

/* ---- Guest: arena ---------------------------------------------------------------------------- */

/**
 * Allocates @p bytes (rounded up to 4096) of the arena: memory that both sides see, for bulk data that
 * records refer to by offset. Owned by the caller until gpuvchan_buffer_destroy(). Contents undefined.
 * Thread-safe; never blocks. @return 0, -ENOMEM when the arena has no such extent free, -EINVAL for 0 bytes.
 */
GPUVCHAN_EXPORT int
gpuvchan_buffer_create(struct gpuvchan_channel *channel, size_t bytes, struct gpuvchan_buffer **out);

/** Gives the memory back. Records in flight must not refer to it any more. NULL is allowed. */
GPUVCHAN_EXPORT void gpuvchan_buffer_destroy(struct gpuvchan_buffer *buffer);

/** Address of the buffer in this process; the worker has it at the same address if gpuvchan_arena_same_address(). */
GPUVCHAN_EXPORT void *gpuvchan_buffer_data(const struct gpuvchan_buffer *buffer);
/** Bytes usable, a multiple of 4096. */
GPUVCHAN_EXPORT size_t gpuvchan_buffer_size(const struct gpuvchan_buffer *buffer);
/** Offset in the arena, as records carry it. */
GPUVCHAN_EXPORT uint64_t gpuvchan_buffer_offset(const struct gpuvchan_buffer *buffer);

/**
 * Maps @p bytes of the buffer from @p offset on, whole pages of 4096, at @p address too, over what is mapped there, which
 * is lost: both places see one memory. They stay mapped when the buffer is destroyed. @return 0, -EINVAL, -ENOMEM;
 * -EOPNOTSUPP where the arena's memory can be mapped only once, as Xen's.
 */
GPUVCHAN_EXPORT int
gpuvchan_buffer_map_over(const struct gpuvchan_buffer *buffer, size_t offset, size_t bytes, void *address);

/** Bytes of the arena, which is smaller than was asked for where Xen's limits leave less (a warning is logged). */
GPUVCHAN_EXPORT uint64_t gpuvchan_arena_size(const struct gpuvchan_channel *channel);

/** True if the worker maps the arena at the guest's addresses, so that pointers into it mean the same on both sides. */
GPUVCHAN_EXPORT bool gpuvchan_arena_same_address(const struct gpuvchan_channel *channel);

/** Is [@p pointer, +@p bytes) wholly inside the arena? If so *@p offset is its place there. Local. */
GPUVCHAN_EXPORT bool
gpuvchan_arena_locate(const struct gpuvchan_channel *channel, const void *pointer, size_t bytes, uint64_t *offset);

/**
 * Copies @p bytes into the arena with the stores that reach the peer's cores fastest: ordinary ones when
 * they share a cache with this core, non-temporal ones when they do not (as gpuvchan_lane_distance() found).
 */
GPUVCHAN_EXPORT void gpuvchan_arena_write(struct gpuvchan_lane *lane, void *to, const void *from, size_t bytes);

/**
 * Copies @p bytes out of the arena, on either side: faster and more steadily than memcpy() for memory that the
 * peer's core has just written.
 */
GPUVCHAN_EXPORT void gpuvchan_arena_read(void *to, const void *from, size_t bytes);

/* ---- Guest: completion numbers --------------------------------------------------------------- */

/**
 * Reserves a word of the completion page: a 64-bit number that only grows, written by the GPU or the
 * worker and read by the guest. Starts at 0. @return 0, -ENOSPC when all are taken.
 */
GPUVCHAN_EXPORT int gpuvchan_completion_create(struct gpuvchan_channel *channel, uint32_t *index);
/** Gives the word back; nothing on the host may write it any more. */
GPUVCHAN_EXPORT void gpuvchan_completion_destroy(struct gpuvchan_channel *channel, uint32_t index);
/** Its value now. Local: one load. */
GPUVCHAN_EXPORT uint64_t gpuvchan_completion_read(const struct gpuvchan_channel *channel, uint32_t index);
/**
 * Waits until the word is at least @p value, spinning for at most @p spin_us microseconds.
 * @return 0; -ETIME: not yet (ask the host by a call, which sleeps); or the channel's error.
 */
GPUVCHAN_EXPORT int
gpuvchan_completion_spin(struct gpuvchan_channel *channel, uint32_t index, uint64_t value, uint32_t spin_us);

/* ---- Host ------------------------------------------------------------------------------------ */

struct gpuvchan_listener;
struct gpuvchan_session;
struct gpuvchan_plugin;

/**
 * Begins to wait for guests at @p address: "local:/path" or a path (the folder must exist; a stale socket
 * of a host that died is replaced, a living host's is not), or "xen:" or "xen:/SERVICE": guests in other
 * domains of this Xen system that look for a host of that name here ("default" unless given).
 * @return 0, -EADDRINUSE, -EACCES, -ENOENT, ...
 */
GPUVCHAN_EXPORT int gpuvchan_listener_create(const char *address, struct gpuvchan_listener **out);
/** Takes over a listening socket that somebody else has bound (systemd's LISTEN_FDS). Owns @p fd on success. */
GPUVCHAN_EXPORT int gpuvchan_listener_adopt(int fd, struct gpuvchan_listener **out);
/** Readable when a guest waits to be accepted, or when it is time to ask gpuvchan_listener_alive() again. */
GPUVCHAN_EXPORT int gpuvchan_listener_fd(const struct gpuvchan_listener *listener);
/** Stops listening; removes the socket if gpuvchan_listener_create() made it. NULL is allowed. */
GPUVCHAN_EXPORT void gpuvchan_listener_destroy(struct gpuvchan_listener *listener);

/** Who connects, as the kernel or Xen vouches for it. Nothing here was said by the guest. Plain data, may be copied. */
struct gpuvchan_peer {
    int32_t domain;    /**< Xen domain, -1 on the local transport */
    uint32_t uid, gid; /**< local: of the guest process; (uint32_t)-1 on Xen */
    int32_t pid;       /**< local: of the guest process; 0 on Xen */
    char name[64];     /**< Xen: the domain's name in the toolstack; "" where a driver domain may not read it */
    char uuid[40];     /**< Xen: the domain's UUID, as the name */
    char node[128];    /**< Xen: where in xenstore it waits; names the connection to the functions below */
};

/**
 * Accepts one waiting guest: *@p fd is its connection, which the caller owns and may hand to a worker
 * process. Nothing that the guest sent has been read. Does not block: -EAGAIN when nobody waits.
 */
GPUVCHAN_EXPORT int gpuvchan_listener_accept(struct gpuvchan_listener *listener, int *fd, struct gpuvchan_peer *peer);

/**
 * False when the domain of an accepted guest is no more, or has crashed: end its worker, since Xen tells
 * nobody else and keeps the domain's memory until the worker unmaps it. Always true on the local
 * transport, where the worker sees its guest die. Does not block. Ask whenever the listener's descriptor
 * was readable.
 */
GPUVCHAN_EXPORT bool gpuvchan_listener_alive(struct gpuvchan_listener *listener, const struct gpuvchan_peer *peer);

/** A worker from before this process serves @p peer: it is not to be accepted again. Before the first accept. */
GPUVCHAN_EXPORT void gpuvchan_listener_claim(struct gpuvchan_listener *listener, const struct gpuvchan_peer *peer);

/** The worker of an accepted guest has ended, or it was refused: clears away what it may have left in xenstore. */
GPUVCHAN_EXPORT void gpuvchan_listener_release(struct gpuvchan_listener *listener, const struct gpuvchan_peer *peer);

/** Tells an accepted guest why it cannot be served, and closes @p fd. Blocks at most 100 ms. */
GPUVCHAN_EXPORT void gpuvchan_session_refuse(int fd, int error, const char *reason);

/** Bytes of gpuvchan_digest(). */
#define GPUVCHAN_DIGEST 32

/**
 * A cryptographic hash of @p bytes at @p data: SHA-256 of the SHA-256 hashes of its pieces of 4 MiB. Up to @p threads
 * threads make it, which end before it returns; 0 is 1.
 */
GPUVCHAN_EXPORT void gpuvchan_digest(const void *data, size_t bytes, unsigned threads, uint8_t digest[GPUVCHAN_DIGEST]);

/**
 * Where a host keeps what sessions of one guest domain, or of one user, leave for each other; see
 * gpuvchan_session_keep(). Set size to sizeof(struct gpuvchan_keeping). Any thread may call these.
 */
struct gpuvchan_keeping {
    size_t size;
    void *user; /**< passed to both */
    /** A descriptor of what is kept, the caller's, or -ENOENT. @p digest NULL: 0 if there is any of that size. */
    int (*find)(void *user, uint64_t bytes, const uint8_t *digest);
    /** Keeps @p fd, which stays the caller's. @return 0 or -errno. */
    int (*keep)(void *user, uint64_t bytes, const uint8_t *digest, int fd);
};

/** What a host allows one guest process. Set size to sizeof(struct gpuvchan_session_limits); zero means the default. */
struct gpuvchan_session_limits {
    size_t size;
    uint64_t arena_bytes;                   /**< largest arena that it may share; default 64 GiB */
    uint32_t lanes;                         /**< default 256, at most GPUVCHAN_LANES_MAX */
    uint32_t timeout_ms;                    /**< for the handshake; default 5000 */
    int32_t spin_us;                        /**< how long an idle lane spins before it sleeps; default 50, -1: never */
    uint32_t trace;                         /**< 1: log every record that is executed, by name */
    const struct gpuvchan_keeping *keeping; /**< NULL: nothing is kept */
    uint64_t keep_bytes;                    /**< most that one thing that is kept may have */
};

/**
 * Worker: reads and checks the guest's hello on @p fd, maps the region. Takes @p fd in any case.
 * Blocks at most limits->timeout_ms. The peer is hostile: sizes, offsets and the region's seals are
 * checked before anything is mapped, and a refusal names what was wrong to both sides.
 */
GPUVCHAN_EXPORT int
gpuvchan_session_accept(int fd, const struct gpuvchan_session_limits *limits, struct gpuvchan_session **out);

/**
 * Gives up, for the whole process and for good, what serving this session needs no more: on Xen, all
 * access to other domains (xentoolcore_restrict_all). Call it before the process drops its privileges
 * and before gpuvchan_session_run(), in a process that was started by exec: handles that a fork has
 * inherited from a process with a listener are that one's, too, and would be restricted there as well.
 * @return 0, or -errno where Xen does not allow it.
 */
GPUVCHAN_EXPORT int gpuvchan_session_restrict(struct gpuvchan_session *session);

/** Offers a plugin to this session; before gpuvchan_session_run(). It is opened when the guest asks for its protocol.
 */
GPUVCHAN_EXPORT int gpuvchan_session_offer(struct gpuvchan_session *session, const struct gpuvchan_plugin *plugin);

/**
 * Serves the session until the guest closes it, dies or breaks the protocol; opens a thread per lane.
 * @return 0: the guest has closed or died; -EPROTO: it broke the protocol (logged with the values);
 * -EINTR: gpuvchan_session_interrupt() was called, and the session goes on, its lanes are served: run it again;
 * -ETIMEDOUT: a handler did not return within 3 s after the end. Then gpuvchan_session_destroy() does
 * nothing, since that thread goes on: end the process.
 */
GPUVCHAN_EXPORT int gpuvchan_session_run(struct gpuvchan_session *session);

/** Makes gpuvchan_session_run() return soon; may be called from a signal handler or another thread. */
GPUVCHAN_EXPORT void gpuvchan_session_stop(struct gpuvchan_session *session);

/** Makes gpuvchan_session_run() return -EINTR soon, once; may be called from a signal handler or another thread. */
GPUVCHAN_EXPORT void gpuvchan_session_interrupt(struct gpuvchan_session *session);

/**
 * Writes to @p fd which protocols the session uses, for gpuvchan_session_foresee() in a program that may take this one's
 * place: what would fail there behind the point of no return is better known before. Nothing stands still for that.
 * @return 0; -ENOTSUP: the transport, or a plugin that is in use, lets no session move; or -errno.
 */
GPUVCHAN_EXPORT int gpuvchan_session_announce(struct gpuvchan_session *session, int fd);

/** Could a program that offers these @p plugins resume such a session? @return 0, or why not: -ENOENT, -ENOTSUP, ... */
GPUVCHAN_EXPORT int gpuvchan_session_foresee(int fd, const struct gpuvchan_plugin *const *plugins, size_t count);

/**
 * Between two runs: waits until no handler runs, and writes to @p fd, from its position on (a memfd, say), what a
 * program needs that goes on in this one's place after exec; gpuvchan_session_pass() passes the guest's connection
 * on. The guest's threads wait meanwhile, and lose nothing. If this fails, or the exec does, run the session again:
 * it goes on as if nothing had been.
 * @return 0: no record is executed any more; -ENOTSUP: a plugin or the transport does not have it; -EBUSY: a handler
 * did not return within @p timeout_ms; -ESHUTDOWN: the session is about to end; or what a plugin failed with.
 */
GPUVCHAN_EXPORT int gpuvchan_session_suspend(struct gpuvchan_session *session, int fd, uint32_t timeout_ms);

/** Lets a suspended session's descriptors pass through exec (@p on), that of its connection too; or no more. */
GPUVCHAN_EXPORT int gpuvchan_session_pass(struct gpuvchan_session *session, bool on);

/**
 * In the new program, instead of gpuvchan_session_accept(): @p fd is the same connection, which it takes in any
 * case, and @p snapshot has what gpuvchan_session_suspend() wrote, from its position on. That is looked through,
 * then the region is mapped. Offer the plugins, and call gpuvchan_session_resume().
 * @return 0; -EBADMSG, -EPROTONOSUPPORT: that is no snapshot that this library reads; or -errno.
 */
GPUVCHAN_EXPORT int gpuvchan_session_reopen(int fd, int snapshot, const struct gpuvchan_session_limits *limits,
                                            struct gpuvchan_session **out);

/**
 * Has the plugins resume, and lanes open; then run the session. If it fails the guest has been told why, and
 * gpuvchan_session_run() returns that error after it has ended what there was. @return 0 or -errno.
 */
GPUVCHAN_EXPORT int gpuvchan_session_resume(struct gpuvchan_session *session);

/** Closes its plugins, unmaps the region. NULL is allowed. */
GPUVCHAN_EXPORT void gpuvchan_session_destroy(struct gpuvchan_session *session);

/** The guest's own name for itself (program name), for logs; it is not verified. */
GPUVCHAN_EXPORT const char *gpuvchan_session_program(const struct gpuvchan_session *session);

#ifdef __cplusplus
}
#endif
#endif
