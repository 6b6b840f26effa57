/* SPDX-License-Identifier: MIT */
/*
 * The two ends of a ring: a writer and a reader of records. wire.h tells how a ring works.
 *
 * Both ends keep their own position in private memory and only ever publish it; what the peer publishes
 * is loaded once, checked against what is possible, and then used.
 */
#ifndef GPUVCHAN_RING_H
#define GPUVCHAN_RING_H

#include "transport.h"
#include "wire.h"

/* How far ahead of itself a writer clears at a time. Larger: fewer, longer pauses. */
#define RING_CLEAR 4096u

struct gpuvchan__writer {
    struct gpuvchan_lane_front front; /* first: inline code casts a lane to it */
    struct wire_ring *shared;
    uint64_t bytes;   /* of the ring */
    uint64_t head;    /* the reader's position when last looked at */
    uint64_t cleared; /* memory from tail up to here is free and zero */
    struct gpuvchan__link *link;
    uint32_t lane;
    uint32_t rung; /* the reader's sleep that the bell was rung for */
    uint64_t spin_ns;
};

/** @p ring has been zeroed. front's clock, ordered, fence and special are the caller's to set. */
void gpuvchan__writer_init(struct gpuvchan__writer *writer, struct wire_ring *shared, void *slot, void *ring,
                           uint64_t bytes, struct gpuvchan__link *link, uint32_t lane, uint64_t spin_ns);

/**
 * Makes room for a record of @p bytes in all and returns where its payload goes.
 * @return 0; -EMSGSIZE: never fits; -EPROTO: the reader's position is impossible; -EPIPE: the peer is gone.
 */
int gpuvchan__writer_room(struct gpuvchan__writer *writer, uint32_t bytes, unsigned char **payload);

/**
 * Publishes a reply to @p call: in the slot if it fits, else in the ring, waiting for room there. Of
 * @p payload whole units of 16 bytes are read. @return 0, or as gpuvchan__writer_room().
 */
int gpuvchan__writer_reply(struct gpuvchan__writer *writer, const struct gpuvchan_record *call, int32_t status,
                           const void *payload, uint32_t bytes);

/** Rings the reader's doorbell, once per sleep. */
void gpuvchan__writer_wake(struct gpuvchan__writer *writer);

/** What only the writer knows of its ring: another process goes on with that. */
struct gpuvchan__writer_place {
    uint64_t tail, head, cleared;
    uint32_t rung;
    uint16_t sequence;
    uint8_t flip;
    uint8_t reserved;
};

void gpuvchan__writer_leave(const struct gpuvchan__writer *writer, struct gpuvchan__writer_place *place);
/** Goes on there with a writer that was just initialised. @return 0, or -EPROTO: there is no such place. */
int gpuvchan__writer_return(struct gpuvchan__writer *writer, const struct gpuvchan__writer_place *place);

struct gpuvchan__reader {
    const unsigned char *ring;
    const unsigned char *slot;
    const unsigned char *at; /* the record just peeked */
    struct wire_ring *shared;
    uint64_t bytes;
    uint64_t head;    /* next record of the ring */
    uint64_t tell_at; /* the writer is told of a head from here on */
    uint64_t belled;  /* where it was when a writer that sleeps was last looked for */
    uint32_t record_max;
    uint16_t sequence;  /* of the last record taken */
    uint8_t slot_flags; /* what a new record in the slot has */
    bool in_order;      /* records are numbered one after the other (commands) */
    struct gpuvchan__link *link;
    uint32_t lane;
    uint32_t sleeps; /* odd while asleep */
    uint32_t fence;  /* 1: the writer fences by itself; 0: this side fences it before sleeping */
};

void
gpuvchan__reader_init(struct gpuvchan__reader *reader, struct wire_ring *shared, const void *slot, const void *ring,
                      uint64_t bytes, struct gpuvchan__link *link, uint32_t lane, bool in_order, bool fence);

/** Largest record, header included, that a ring of @p bytes carries. */
uint32_t gpuvchan__ring_record_max(uint64_t bytes);

/** The header word at @p position, unchecked: for looking at another lane's reader. 0: nothing there. */
uint64_t gpuvchan__reader_word(const struct gpuvchan__reader *reader, uint64_t position, uint64_t *ticket);

/** Tells the writer how far the reader is; wakes it, if it waits for room, when half of the ring is free. */
void gpuvchan__reader_tell(struct gpuvchan__reader *reader);
/** The same, and wakes it at once: the reader has nothing left to do. */
void gpuvchan__reader_publish(struct gpuvchan__reader *reader);

/** Words what is impossible about a header word where @p left bytes are possible. Returns -EPROTO. */
int gpuvchan__reader_refuse(const struct gpuvchan__reader *reader, uint64_t word, uint64_t left);

/**
 * Waits until there may be something to peek at: polls for @p spin_ns (@p eager: with short pauses, for when
 * the next record is expected at once), then sleeps on the doorbell.
 * @return 0; -EPIPE: the peer is gone and there is nothing more.
 */
int gpuvchan__reader_wait(struct gpuvchan__reader *reader, uint64_t spin_ns, bool eager);

/** What only the reader knows, as of the writer above. Between two records, and not asleep. */
struct gpuvchan__reader_place {
    uint64_t head, published, belled;
    uint32_t sleeps;
    uint16_t sequence;
    uint8_t slot_flags;
    uint8_t reserved;
};

void gpuvchan__reader_leave(const struct gpuvchan__reader *reader, struct gpuvchan__reader_place *place);
int gpuvchan__reader_return(struct gpuvchan__reader *reader, const struct gpuvchan__reader_place *place);

/** Monotonic time. */
uint64_t gpuvchan__now_ns(void);

static inline void
gpuvchan__pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ---- The path of every record, inline: a function call more on each side shows in a round trip ------ */

/* Most records are a line or two: cheaper than a call of memcpy. */
static inline void
copy_units(unsigned char *to, const unsigned char *from, size_t bytes)
{
    if (bytes > 240)
        memcpy(to, from, bytes);
    else
        for (size_t i = 0; i < bytes; i += GPUVCHAN_RECORD_UNIT)
            memcpy(to + i, from + i, GPUVCHAN_RECORD_UNIT);
}

static inline const unsigned char *
reader_at(const struct gpuvchan__reader *reader, uint64_t position)
{
    return reader->ring + (position & (reader->bytes - 1));
}

static inline uint64_t
load_word(const unsigned char *at)
{
    /* Pairs with the release of the publishing store. */
    return atomic_load_explicit((const _Atomic uint64_t *)(const void *)at, memory_order_acquire);
}

static inline bool
slot_new(const struct gpuvchan__reader *reader, uint64_t word)
{
    return (word >> 40 & (GPUVCHAN_RECORD_CALL | GPUVCHAN_RECORD_FLIP)) == reader->slot_flags && word != 0;
}

static inline bool
reader_ready(const struct gpuvchan__reader *reader)
{
    return load_word(reader_at(reader, reader->head)) != 0 || slot_new(reader, load_word(reader->slot));
}

/* Loads a record's header once; what is checked is what is used. */
static inline void
header_take(struct gpuvchan__reader *reader, struct gpuvchan_record *record, uint64_t word, const unsigned char *at)
{
    reader->at = at;
    *record = (struct gpuvchan_record){
        .units = (uint16_t)word,
        .opcode = (uint16_t)(word >> 16),
        .slot = (uint8_t)(word >> 32),
        .flags = (uint8_t)(word >> 40),
        .sequence = (uint16_t)(word >> 48),
        .ticket = atomic_load_explicit((const _Atomic uint64_t *)(const void *)(at + 8), memory_order_relaxed),
    };
}

static inline bool
in_sequence(const struct gpuvchan__reader *reader, const struct gpuvchan_record *record)
{
    return !reader->in_order || record->sequence == (uint16_t)(reader->sequence + 1);
}

/* 1: a record is there; 0: none; -EPROTO. Passes over what fills the end of a lap. */
static inline __attribute__((always_inline)) int
ring_peek(struct gpuvchan__reader *reader, struct gpuvchan_record *record)
{
    for (;;) {
        const unsigned char *at = reader_at(reader, reader->head);
        uint64_t word = load_word(at), left, most, size;

        if (word == 0)
            return 0;
        header_take(reader, record, word, at);
        left = reader->bytes - (reader->head & (reader->bytes - 1));
        most = left < reader->record_max ? left : reader->record_max;
        size = (uint64_t)record->units * GPUVCHAN_RECORD_UNIT;
        if (__builtin_expect(size - 1 < most && record->flags <= GPUVCHAN_RECORD_CALL && in_sequence(reader, record),
                             1))
            return 1;
        /* A skip is smaller than the record that did not fit. Else one of a whole lap would be taken for ever. */
        if (record->flags != GPUVCHAN_RECORD_SKIP || size != left || size > reader->record_max)
            return gpuvchan__reader_refuse(reader, word, most);
        reader->head += size;
    }
}

static inline __attribute__((always_inline)) int
slot_peek(struct gpuvchan__reader *reader, struct gpuvchan_record *record)
{
    uint64_t word = load_word(reader->slot);

    if (!slot_new(reader, word))
        return 0;
    if (reader->in_order) {
        /* What was published before it is visible by now: the ring goes first. */
        int found = ring_peek(reader, record);

        if (found != 0)
            return found;
    }
    header_take(reader, record, word, reader->slot);
    if (__builtin_expect(record->units - 1u < GPUVCHAN_SLOT_BYTES / GPUVCHAN_RECORD_UNIT &&
                             record->flags == reader->slot_flags && in_sequence(reader, record),
                         1))
        return 1;
    return gpuvchan__reader_refuse(reader, word, GPUVCHAN_SLOT_BYTES);
}

/** Is there a record? @return 1 with its header (a private copy, checked), 0, -EPROTO with a text. */
static inline __attribute__((always_inline)) int
gpuvchan__reader_peek(struct gpuvchan__reader *reader, struct gpuvchan_record *record)
{
    int found = ring_peek(reader, record);

    return found != 0 ? found : slot_peek(reader, record);
}

/** Copies the payload of the record just peeked to private memory. */
static inline void
gpuvchan__reader_copy(const struct gpuvchan__reader *reader, const struct gpuvchan_record *record, void *to)
{
    copy_units(to, reader->at + sizeof(*record), (size_t)record->units * GPUVCHAN_RECORD_UNIT - sizeof(*record));
}

/** Done with the record just peeked, which was in the ring, up to @p position; tells the writer now and then. */
static inline void
gpuvchan__reader_advance_to(struct gpuvchan__reader *reader, uint64_t position)
{
    reader->sequence++;
    reader->head = position;
    if (__builtin_expect(position >= reader->tell_at, 0))
        gpuvchan__reader_tell(reader);
}

/** The same for any record. */
static inline void
gpuvchan__reader_advance(struct gpuvchan__reader *reader, const struct gpuvchan_record *record)
{
    if (reader->at != reader->slot) {
        gpuvchan__reader_advance_to(reader, reader->head + (uint64_t)record->units * GPUVCHAN_RECORD_UNIT);
        return;
    }
    reader->sequence++;
    reader->slot_flags ^= GPUVCHAN_RECORD_FLIP;
}

#endif
