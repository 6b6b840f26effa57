/* SPDX-License-Identifier: MIT */
/*
 * What generated stubs need: the record header, and the path of a post from reserve to publish, inline.
 *
 * Design notes
 *
 * A guest stub does three things: gpuvchan_reserve() or gpuvchan_reserve_call() gives it room for a
 * record right in shared memory; it fills the payload; gpuvchan_post() or gpuvchan_call() publishes. No
 * allocation, no lock, no system call on that path while the ring has room and the host is awake.
 *
 * Posts go through the ring: each record in fresh cache lines, so that many can be under way. A call
 * waits, so that at most one is: it has a slot, which its reply overwrites. So the same line goes to and
 * fro, which costs what a ping-pong of one cache line costs (measured between cores that share a cache:
 * 70 ns a round trip, two lines of their own for call and reply 100 ns, fresh lines 146 ns; 324, 480 and
 * 546 ns between cores that do not). Calls and replies that do not fit use the rings.
 *
 * Order across lanes. What one thread's call completed before another thread's call began is executed
 * in that order. While a process uses one lane nothing needs to be said: records carry ticket 0. From
 * the moment a second lane opens every record takes a ticket from one counter of the guest process; the
 * host executes a record when no other lane has an unexecuted record with a smaller one. Ticket 0 is
 * smaller than all, and correct: whoever posted without a ticket had not seen the second lane.
 */
#ifndef GPUVCHAN_PROTOCOL_H
#define GPUVCHAN_PROTOCOL_H

#include <stdatomic.h>
#include <string.h>

#include <gpuvchan/gpuvchan.h>

#ifdef __cplusplus
#error "protocol.h is for C"
#endif

/** Records begin at multiples of this, and their sizes are counted in it. */
#define GPUVCHAN_RECORD_UNIT 16u
/** Payload bytes that a record may have at most; a ring may allow less (a quarter of it). */
#define GPUVCHAN_RECORD_MAX (65536u - 16u)
/** Bytes of a lane's slot: calls and replies that fit travel in it instead of the ring. */
#define GPUVCHAN_SLOT_BYTES 256u

/** The first 16 bytes of every record, as they lie in the ring. */
struct gpuvchan_record {
    uint16_t units;    /**< size in units of 16 bytes, header included; 0: not published yet */
    uint16_t opcode;   /**< entry of the protocol */
    uint8_t slot;      /**< which protocol; 0 is the core's own */
    uint8_t flags;     /**< enum gpuvchan_record_flags */
    uint16_t sequence; /**< of this lane and direction, counting from 1, modulo 65536; a reply repeats its call's */
    uint64_t ticket;   /**< command: order across lanes; reply: status, int32_t in the low half */
};
_Static_assert(sizeof(struct gpuvchan_record) == 16, "fixed size");
_Static_assert(offsetof(struct gpuvchan_record, ticket) == 8, "the first 8 bytes are published last");

/** The first 8 bytes of a record as one number: made in a register, since they are stored at once. */
static inline uint64_t
gpuvchan_record_word(uint32_t units, uint16_t opcode, uint8_t slot, uint8_t flags, uint16_t sequence)
{
    return (uint64_t)units | (uint64_t)opcode << 16 | (uint64_t)slot << 32 | (uint64_t)flags << 40 |
           (uint64_t)sequence << 48;
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are little-endian, and made by shifts");

enum gpuvchan_record_flags {
    GPUVCHAN_RECORD_CALL = 1, /**< answer it */
    GPUVCHAN_RECORD_SKIP = 2, /**< nothing in it: fills the end of the ring */
    GPUVCHAN_RECORD_FLIP = 4, /**< in a slot: changes from one call to the next, and from one reply to the next */
};

/** A reference to arena memory inside a record. The host checks both numbers against the arena. */
struct gpuvchan_reference {
    uint64_t offset;
    uint64_t bytes;
};

/** What the guest tells the host when it opens a protocol; the scanner generates one per protocol file. */
struct gpuvchan_protocol {
    const char *name; /**< also the plugin's name */
    uint32_t version;
    uint32_t entries;
    uint64_t hash; /**< over all that shapes records: the two sides must have the same */
};

/**
 * The part of a lane that the inline functions below touch. Private to them and the library: fields may
 * change with the library's major version. All positions count bytes from the start of the ring's life.
 */
struct gpuvchan_lane_front {
    unsigned char *ring;
    uint64_t mask;
    uint64_t tail;  /* next byte to write */
    uint64_t limit; /* a record may end here at most without asking again; always within one lap */
    const _Atomic uint32_t *peer_asleep;
    _Atomic uint64_t *clock;         /* tickets of this process */
    const _Atomic uint32_t *ordered; /* nonzero: more than one lane has been opened */
    unsigned char *slot;
    uint32_t fence;   /* 1: publish needs a full fence before peer_asleep is read */
    uint32_t special; /* enum gpuvchan_lane_special: 0 is what is fast */
    uint16_t sequence;
    uint8_t flip;    /* of the slot's last record: 0 or GPUVCHAN_RECORD_FLIP */
    uint8_t in_slot; /* the record being filled is in the slot */
};

/** How a lane sends records in an unusual way. */
enum gpuvchan_lane_special {
    GPUVCHAN_LANE_SYNCHRONOUS = 1, /**< posts wait: GPUVCHAN_SYNC=1 */
    GPUVCHAN_LANE_COUNTED = 2,     /**< records are counted: GPUVCHAN_STATS=1 */
};

/**
 * Slow path of gpuvchan_reserve(): waits until the ring has room for a record of @p bytes, header included.
 * Returns where its payload goes, or NULL as there.
 */
GPUVCHAN_EXPORT unsigned char *gpuvchan_lane_make_room(struct gpuvchan_lane *lane, uint32_t bytes);
/** Slow path of publishing: wakes the worker's thread of this lane if it sleeps. Does not wait for it. */
GPUVCHAN_EXPORT void gpuvchan_lane_ring_doorbell(struct gpuvchan_lane *lane);
/** Second half of gpuvchan_call(): waits for the reply to the call that was published last. @return as gpuvchan_call(). */
GPUVCHAN_EXPORT int gpuvchan_lane_wait_reply(struct gpuvchan_lane *lane, const void **reply, uint32_t *bytes);
/** gpuvchan_post() of a lane that is special. @return as there. */
GPUVCHAN_EXPORT int
gpuvchan_lane_post_special(struct gpuvchan_lane *lane, uint8_t slot, uint16_t opcode, size_t payload);
/** gpuvchan_call() of such a lane. @return as there. */
GPUVCHAN_EXPORT int gpuvchan_lane_call_special(struct gpuvchan_lane *lane, uint8_t slot, uint16_t opcode,
                                               size_t payload, const void **reply, uint32_t *reply_bytes);

/** Bytes of ring that a record with @p payload bytes takes. */
static inline uint32_t
gpuvchan_record_bytes(size_t payload)
{
    return (uint32_t)((sizeof(struct gpuvchan_record) + payload + GPUVCHAN_RECORD_UNIT - 1) &
                      ~(size_t)(GPUVCHAN_RECORD_UNIT - 1));
}

/**
 * Room for a record with @p payload bytes in the lane's ring: returns where the payload goes, 16-byte
 * aligned, until the next publish. NULL if the channel has ended or the payload is larger than the ring
 * allows (gpuvchan_channel_error() tells; 0 means too large). Waits while the ring is full.
 */
static inline void *
gpuvchan_reserve(struct gpuvchan_lane *lane, size_t payload)
{
    struct gpuvchan_lane_front *front = (struct gpuvchan_lane_front *)lane;
    uint32_t bytes;

    if (__builtin_expect(payload > GPUVCHAN_RECORD_MAX, 0))
        return NULL;
    bytes = gpuvchan_record_bytes(payload);
    if (__builtin_expect(front->tail + bytes > front->limit, 0))
        return gpuvchan_lane_make_room(lane, bytes);
    return front->ring + (front->tail & front->mask) + sizeof(struct gpuvchan_record);
}

/**
 * The same for a record that gpuvchan_call() will publish. NULL also while the channel's error is set.
 */
static inline void *
gpuvchan_reserve_call(struct gpuvchan_lane *lane, size_t payload)
{
    struct gpuvchan_lane_front *front = (struct gpuvchan_lane_front *)lane;

    if (__builtin_expect(payload > GPUVCHAN_SLOT_BYTES - sizeof(struct gpuvchan_record) || front->limit == 0, 0)) {
        front->in_slot = 0;
        return gpuvchan_reserve(lane, payload);
    }
    front->in_slot = 1;
    return front->slot + sizeof(struct gpuvchan_record);
}

/** Publishes the record that has been filled at @p at: the last step of a post and of a call. */
static inline void
gpuvchan_publish_at(struct gpuvchan_lane *lane, unsigned char *at, uint32_t bytes, uint8_t slot, uint16_t opcode,
                    uint8_t flags)
{
    struct gpuvchan_lane_front *front = (struct gpuvchan_lane_front *)lane;
    uint64_t ticket = 0;

    if (atomic_load_explicit(front->ordered, memory_order_acquire))
        ticket = atomic_fetch_add_explicit(front->clock, 1, memory_order_acq_rel);
    memcpy(at + 8, &ticket, 8);
    /* Pairs with the acquire of the reader's poll: it sees the whole record or none of it. */
    atomic_store_explicit((_Atomic uint64_t *)(void *)at,
                          gpuvchan_record_word(bytes / GPUVCHAN_RECORD_UNIT, opcode, slot, flags, ++front->sequence),
                          memory_order_release);
    /*
     * A reader that goes to sleep sets its flag and looks at the ring once more. Between our store above
     * and our load below there must be a full fence, or both may miss each other; on one kernel the
     * reader's membarrier() is that fence, and the fast side pays nothing.
     */
    if (front->fence)
        atomic_thread_fence(memory_order_seq_cst);
    else
        atomic_signal_fence(memory_order_seq_cst);
    if (__builtin_expect(atomic_load_explicit(front->peer_asleep, memory_order_relaxed) & 1, 0))
        gpuvchan_lane_ring_doorbell(lane);
}

/** Publishes the record that gpuvchan_reserve() made room for, with the same @p payload size as there. */
static inline void
gpuvchan_publish(struct gpuvchan_lane *lane, uint8_t slot, uint16_t opcode, uint8_t flags, size_t payload)
{
    struct gpuvchan_lane_front *front = (struct gpuvchan_lane_front *)lane;
    unsigned char *at = front->ring + (front->tail & front->mask);
    uint32_t bytes = gpuvchan_record_bytes(payload);

    front->tail += bytes;
    gpuvchan_publish_at(lane, at, bytes, slot, opcode, flags);
}

/** The same for a call; its reply must be waited for before anything else is published. */
static inline void
gpuvchan_publish_call(struct gpuvchan_lane *lane, uint8_t slot, uint16_t opcode, size_t payload)
{
    struct gpuvchan_lane_front *front = (struct gpuvchan_lane_front *)lane;

    if (front->in_slot) {
        front->in_slot = 0;
        front->flip ^= GPUVCHAN_RECORD_FLIP;
        gpuvchan_publish_at(lane, front->slot, gpuvchan_record_bytes(payload), slot, opcode,
                            GPUVCHAN_RECORD_CALL | front->flip);
    } else {
        gpuvchan_publish(lane, slot, opcode, GPUVCHAN_RECORD_CALL, payload);
    }
}

/**
 * Publishes a call and waits for its reply. On 0, *@p reply are *@p reply_bytes bytes in memory private
 * to the lane, valid until its next call; they may be fewer than the caller hopes for: check.
 * @return 0, the positive status that the plugin gave (reply valid too), or the channel's error.
 */
static inline int
gpuvchan_call(struct gpuvchan_lane *lane, uint8_t slot, uint16_t opcode, size_t payload, const void **reply,
              uint32_t *reply_bytes)
{
    if (__builtin_expect(((struct gpuvchan_lane_front *)lane)->special, 0))
        return gpuvchan_lane_call_special(lane, slot, opcode, payload, reply, reply_bytes);
    gpuvchan_publish_call(lane, slot, opcode, payload);
    return gpuvchan_lane_wait_reply(lane, reply, reply_bytes);
}

/** Publishes a post. @return 0; with GPUVCHAN_SYNC=1 what a call would. */
static inline int
gpuvchan_post(struct gpuvchan_lane *lane, uint8_t slot, uint16_t opcode, size_t payload)
{
    if (__builtin_expect(((struct gpuvchan_lane_front *)lane)->special, 0))
        return gpuvchan_lane_post_special(lane, slot, opcode, payload);
    gpuvchan_publish(lane, slot, opcode, 0, payload);
    return 0;
}

#define GPUVCHAN_PUBLISHED_ORDERED (1ull << 63)

/**
 * A number that changes with each record that the process publishes on any lane, so that who remembers it can tell
 * that nothing has been sent since. Never 0.
 */
static inline uint64_t
gpuvchan_lane_published(const struct gpuvchan_lane *lane)
{
    const struct gpuvchan_lane_front *front = (const struct gpuvchan_lane_front *)lane;

    if (atomic_load_explicit(front->ordered, memory_order_acquire))
        return GPUVCHAN_PUBLISHED_ORDERED | atomic_load_explicit(front->clock, memory_order_acquire);
    return (front->tail / GPUVCHAN_RECORD_UNIT) << 16 | front->sequence;
}

/**
 * The number as this thread's record has left it which it published, as its only one, since the number was @p before.
 * 0: another thread has published, too, so that one cannot tell what came first.
 */
static inline uint64_t
gpuvchan_lane_published_one(const struct gpuvchan_lane *lane, uint64_t before)
{
    uint64_t now = gpuvchan_lane_published(lane);

    return !(now & GPUVCHAN_PUBLISHED_ORDERED) || now == before + 1 ? now : 0;
}

/**
 * Names a protocol's entries for GPUVCHAN_STATS: @p names is by opcode, of protocol->entries, with NULL for none, and
 * stays the caller's. Generated headers have it as NAME_names.
 */
GPUVCHAN_EXPORT void gpuvchan_client_name_entries(const struct gpuvchan_client *client, const char *const *names);

/** For generated stubs: the errno value behind a NULL of gpuvchan_reserve() or gpuvchan_lane_current(). */
GPUVCHAN_EXPORT int gpuvchan_stub_error(struct gpuvchan_channel *channel);
/** For generated stubs: the host's reply has an impossible size. Ends the channel; returns -EPROTO. */
GPUVCHAN_EXPORT int gpuvchan_stub_corrupt(struct gpuvchan_channel *channel, const char *entry, uint32_t bytes);

/* ---- Handles that the guest assigns ---------------------------------------------------------- */

/**
 * A table of objects by handle, for both sides. The guest assigns the handle of a new object, so that
 * creating one needs no reply; the host binds its own object to the same handle and checks every use.
 * A handle is index | generation << 20: index 1 to 2^20 - 1, generation 12 bits; 0 is no handle. An index
 * that is used again has another generation. Look-ups are wait-free; changes take the table's lock. The
 * table never frees objects. Indices below GPUVCHAN_HANDLES_RESERVED are never assigned: a protocol may
 * give them a meaning of its own (CUDA's special streams, say).
 */
struct gpuvchan_handles;

/** The first index that gpuvchan_handles_assign() gives. */
#define GPUVCHAN_HANDLES_RESERVED 16u

/** An empty table, owned by the caller. @return 0, -ENOMEM. */
GPUVCHAN_EXPORT int gpuvchan_handles_create(struct gpuvchan_handles **out);
/** Frees the table, and none of the objects. No other thread may use it any more. NULL is allowed. */
GPUVCHAN_EXPORT void gpuvchan_handles_destroy(struct gpuvchan_handles *handles);
/** Guest: gives @p object (not NULL), of @p kind (nonzero), a handle. @return 0, -ENOMEM, -ENOSPC, -EINVAL. */
GPUVCHAN_EXPORT int
gpuvchan_handles_assign(struct gpuvchan_handles *handles, uint16_t kind, void *object, uint32_t *handle);
/**
 * Host: binds a handle that the guest chose, or one that was assigned in a process before this one and is not
 * assigned again while it is bound. @return 0, -EEXIST, -ENOMEM, -EINVAL.
 */
GPUVCHAN_EXPORT int
gpuvchan_handles_insert(struct gpuvchan_handles *handles, uint32_t handle, uint16_t kind, void *object);
/** The object, or NULL if there is none of that kind and generation. */
GPUVCHAN_EXPORT void *gpuvchan_handles_lookup(const struct gpuvchan_handles *handles, uint32_t handle, uint16_t kind);
/** Takes it out and returns it; NULL as above. Of two that race, one gets it. */
GPUVCHAN_EXPORT void *gpuvchan_handles_remove(struct gpuvchan_handles *handles, uint32_t handle, uint16_t kind);
/** Calls @p visit for each object in the order of creation; the table may not change meanwhile. */
GPUVCHAN_EXPORT void
gpuvchan_handles_visit(struct gpuvchan_handles *handles,
                       void (*visit)(void *context, uint32_t handle, uint16_t kind, void *object), void *context);

#endif
