/* SPDX-License-Identifier: MIT */
/*
 * Rings: the slow paths of writing, and all of reading.
 *
 * Design notes
 *
 * A writer may fill memory from its tail up to front.limit without asking. The limit is where the next
 * of three things ends: the memory known to be consumed, the memory cleared (16 bytes less, so that the
 * word behind a record is always zero when the record is published), and the lap, since records do not
 * wrap. At the end of a lap a SKIP record fills the rest.
 *
 * Sleeping. Reader: set consumer_asleep, fence, look again, sleep. Writer: publish, fence, read
 * consumer_asleep. Writer waiting for room: the same with producer_asleep and head. Rooms are waited for
 * seldom, so there both sides use a full fence; for records the writer's fence is replaced by the
 * reader's fence_peer() where the transport grants it.
 */
#include "ring.h"

#include <errno.h>
#include <sched.h>

#include "error.h"

/* Between two polite polls, about 0.6 us. */
#define POLITE_PAUSES 23
/* Until the processor is given away, and until a polite poll looks at the clock: a hypervisor or an emulator may take
 * 1 us for a pause, and 50 us of polling were 3 ms. */
#define YIELD_LOOKS 64
#define POLITE_LOOKS 4

uint32_t
gpuvchan__ring_record_max(uint64_t bytes)
{
    uint64_t quarter = bytes / 4;

    return quarter < 65536 ? (uint32_t)quarter : 65536;
}

/* ---- Writer ---------------------------------------------------------------------------------- */

void
gpuvchan__writer_init(struct gpuvchan__writer *writer, struct wire_ring *shared, void *slot, void *ring, uint64_t bytes,
                      struct gpuvchan__link *link, uint32_t lane, uint64_t spin_ns)
{
    memset(writer, 0, sizeof(*writer));
    writer->front.slot = slot;
    writer->front.ring = ring;
    writer->front.mask = bytes - 1;
    writer->front.peer_asleep = &shared->consumer_asleep;
    writer->shared = shared;
    writer->bytes = bytes;
    writer->cleared = bytes;
    writer->front.limit = gpuvchan__ring_record_max(bytes);
    writer->link = link;
    writer->lane = lane;
    writer->spin_ns = spin_ns;
}

/* Load the reader's position once, and believe it only if it is possible. */
static int
writer_look(struct gpuvchan__writer *writer)
{
    /* Pairs with the release in gpuvchan__reader_publish(): what it read is free to be overwritten. */
    uint64_t head = atomic_load_explicit(&writer->shared->head, memory_order_acquire);

    if (head < writer->head || head > writer->front.tail || head % GPUVCHAN_RECORD_UNIT != 0)
        return gpuvchan__error(-EPROTO, "lane %u: the peer's position %llu is impossible (last %llu, mine %llu)",
                               writer->lane, (unsigned long long)head, (unsigned long long)writer->head,
                               (unsigned long long)writer->front.tail);
    writer->head = head;
    return 0;
}

/* Zero free memory up to @p end at least, and a good step further if there is room. */
static void
writer_clear(struct gpuvchan__writer *writer, uint64_t end)
{
    uint64_t free_end = writer->head + writer->bytes;
    uint64_t target = end + RING_CLEAR < free_end ? end + RING_CLEAR : free_end;

    while (writer->cleared < target) {
        uint64_t at = writer->cleared & writer->front.mask;
        uint64_t n = target - writer->cleared;

        if (n > writer->bytes - at)
            n = writer->bytes - at;
        memset(writer->front.ring + at, 0, n);
        writer->cleared += n;
    }
}

static int
writer_wait(struct gpuvchan__writer *writer, uint64_t need)
{
    uint64_t give_up = gpuvchan__now_ns() + writer->spin_ns;
    int error = 0;

    while (writer->head < need && gpuvchan__now_ns() < give_up) {
        for (int i = 0; i < 64; i++)
            gpuvchan__pause();
        error = writer_look(writer);
        if (error != 0)
            return error;
    }
    while (writer->head < need) {
        atomic_store_explicit(&writer->shared->producer_asleep, 1, memory_order_relaxed);
        /* Pairs with the fence in gpuvchan__reader_publish(): we see its head, or it sees that we sleep. */
        atomic_thread_fence(memory_order_seq_cst);
        error = writer_look(writer);
        if (error == 0 && writer->head < need)
            error = writer->link->transport->wait(writer->link, writer->lane, 1000);
        atomic_store_explicit(&writer->shared->producer_asleep, 0, memory_order_relaxed);
        if (error == -ETIME)
            error = 0;
        if (error == 0)
            error = writer_look(writer);
        if (error != 0)
            return error;
    }
    return 0;
}

/* Have [tail, end) free, and everything up to 16 bytes behind it free and zero. */
static int
writer_secure(struct gpuvchan__writer *writer, uint64_t end)
{
    uint64_t need = end + GPUVCHAN_RECORD_UNIT;
    int error;

    if (writer->cleared >= need)
        return 0;
    if (writer->head + writer->bytes < need + RING_CLEAR) {
        error = writer_look(writer);
        if (error == 0 && writer->head + writer->bytes < need)
            error = writer_wait(writer, need - writer->bytes);
        if (error != 0)
            return error;
    }
    writer_clear(writer, need);
    return 0;
}

static void
writer_publish(unsigned char *at, uint64_t word, uint64_t ticket)
{
    memcpy(at + 8, &ticket, 8);
    /* Pairs with the acquire in gpuvchan__reader_peek(). */
    atomic_store_explicit((_Atomic uint64_t *)(void *)at, word, memory_order_release);
}

int
gpuvchan__writer_room(struct gpuvchan__writer *writer, uint32_t bytes, unsigned char **payload)
{
    struct gpuvchan_lane_front *front = &writer->front;
    uint64_t lap_end = (front->tail | front->mask) + 1;
    int error;

    if (bytes > gpuvchan__ring_record_max(writer->bytes))
        return gpuvchan__error(-EMSGSIZE, "a record of %u bytes does not fit a ring of %llu: use the arena", bytes,
                               (unsigned long long)writer->bytes);
    if (front->tail + bytes > lap_end) {
        uint32_t units = (uint32_t)((lap_end - front->tail) / GPUVCHAN_RECORD_UNIT);

        error = writer_secure(writer, lap_end);
        if (error != 0)
            return error;
        writer_publish(front->ring + (front->tail & front->mask),
                       gpuvchan_record_word(units, 0, 0, GPUVCHAN_RECORD_SKIP, 0), 0);
        front->tail = lap_end;
        lap_end += writer->bytes;
    }
    error = writer_secure(writer, front->tail + bytes);
    if (error != 0)
        return error;
    front->limit = writer->cleared - GPUVCHAN_RECORD_UNIT;
    if (front->limit > lap_end)
        front->limit = lap_end;
    /* So that gpuvchan_reserve() need not know how large a record may be. */
    if (front->limit > front->tail + gpuvchan__ring_record_max(writer->bytes))
        front->limit = front->tail + gpuvchan__ring_record_max(writer->bytes);
    *payload = front->ring + (front->tail & front->mask) + sizeof(struct gpuvchan_record);
    return 0;
}

int
gpuvchan__writer_reply(struct gpuvchan__writer *writer, const struct gpuvchan_record *call, int32_t status,
                       const void *payload, uint32_t bytes)
{
    uint32_t size = gpuvchan_record_bytes(bytes);
    unsigned char *at = writer->front.slot;
    uint8_t flags = 0;

    if (size <= GPUVCHAN_SLOT_BYTES) {
        flags = writer->front.flip ^= GPUVCHAN_RECORD_FLIP;
    } else {
        unsigned char *room;
        int error = gpuvchan__writer_room(writer, size, &room);

        if (error != 0)
            return error;
        at = room - sizeof(*call);
        writer->front.tail += size;
    }
    copy_units(at + sizeof(*call), payload, size - sizeof(*call));
    writer_publish(at,
                   gpuvchan_record_word(size / GPUVCHAN_RECORD_UNIT, call->opcode, call->slot, flags, call->sequence),
                   (uint32_t)status | (uint64_t)bytes << 32);
    /* As in gpuvchan_publish_at(). */
    if (writer->front.fence)
        atomic_thread_fence(memory_order_seq_cst);
    else
        atomic_signal_fence(memory_order_seq_cst);
    if (atomic_load_explicit(writer->front.peer_asleep, memory_order_relaxed) & 1)
        gpuvchan__writer_wake(writer);
    return 0;
}

void
gpuvchan__writer_wake(struct gpuvchan__writer *writer)
{
    uint32_t sleep = atomic_load_explicit(writer->front.peer_asleep, memory_order_relaxed);

    /* Waking takes a while, and what is published meanwhile needs no other bell. */
    if (!(sleep & 1) || sleep == writer->rung)
        return;
    writer->rung = sleep;
    writer->link->transport->ring(writer->link, writer->lane);
}

void
gpuvchan__writer_leave(const struct gpuvchan__writer *writer, struct gpuvchan__writer_place *place)
{
    *place = (struct gpuvchan__writer_place){
        .tail = writer->front.tail,
        .head = writer->head,
        .cleared = writer->cleared,
        .rung = writer->rung,
        .sequence = writer->front.sequence,
        .flip = writer->front.flip,
    };
}

int
gpuvchan__writer_return(struct gpuvchan__writer *writer, const struct gpuvchan__writer_place *place)
{
    if (place->tail % GPUVCHAN_RECORD_UNIT != 0 || place->head % GPUVCHAN_RECORD_UNIT != 0 ||
        place->head > place->tail || place->tail > place->cleared || place->cleared - place->head > writer->bytes ||
        (place->flip & ~GPUVCHAN_RECORD_FLIP) != 0)
        return gpuvchan__error(-EPROTO, "lane %u: a writer cannot be at %llu of a ring of %llu", writer->lane,
                               (unsigned long long)place->tail, (unsigned long long)writer->bytes);
    writer->front.tail = writer->front.limit = place->tail; /* the limit is asked for anew */
    writer->head = place->head;
    writer->cleared = place->cleared;
    writer->rung = place->rung;
    writer->front.sequence = place->sequence;
    writer->front.flip = place->flip;
    return 0;
}

/* ---- Reader ---------------------------------------------------------------------------------- */

void
gpuvchan__reader_init(struct gpuvchan__reader *reader, struct wire_ring *shared, const void *slot, const void *ring,
                      uint64_t bytes, struct gpuvchan__link *link, uint32_t lane, bool in_order, bool fence)
{
    memset(reader, 0, sizeof(*reader));
    reader->ring = ring;
    reader->slot = slot;
    reader->slot_flags = GPUVCHAN_RECORD_FLIP | (in_order ? GPUVCHAN_RECORD_CALL : 0);
    reader->shared = shared;
    reader->bytes = bytes;
    reader->tell_at = bytes / 8;
    reader->record_max = gpuvchan__ring_record_max(bytes);
    reader->in_order = in_order;
    reader->link = link;
    reader->lane = lane;
    reader->fence = fence;
}

uint64_t
gpuvchan__reader_word(const struct gpuvchan__reader *reader, uint64_t position, uint64_t *ticket)
{
    const unsigned char *at = reader_at(reader, position);
    uint64_t word = load_word(at);

    *ticket = word ? atomic_load_explicit((const _Atomic uint64_t *)(const void *)(at + 8), memory_order_acquire) : 0;
    return word;
}

int
gpuvchan__reader_refuse(const struct gpuvchan__reader *reader, uint64_t word, uint64_t left)
{
    uint64_t size = (word & 0xffff) * GPUVCHAN_RECORD_UNIT;
    uint16_t sequence = (uint16_t)(word >> 48), expected = (uint16_t)(reader->sequence + 1);

    if (size == 0 || size > left)
        return gpuvchan__error(-EPROTO, "lane %u: record of %llu bytes where %llu are possible", reader->lane,
                               (unsigned long long)size, (unsigned long long)left);
    if ((word >> 40 & 0xff) == GPUVCHAN_RECORD_SKIP)
        return gpuvchan__error(-EPROTO, "lane %u: skip of %llu bytes does not end the lap", reader->lane,
                               (unsigned long long)size);
    if (reader->in_order && sequence != expected)
        return gpuvchan__error(-EPROTO, "lane %u: record %u where %u was due: repeated or lost", reader->lane, sequence,
                               expected);
    return gpuvchan__error(-EPROTO, "lane %u: record with impossible flags 0x%x", reader->lane,
                           (unsigned)(word >> 40 & 0xff));
}

void
gpuvchan__reader_publish(struct gpuvchan__reader *reader)
{
    /* Pairs with the acquire in writer_look(). */
    atomic_store_explicit(&reader->shared->head, reader->head, memory_order_release);
    reader->belled = reader->head;
    reader->tell_at = reader->head + reader->bytes / 8;
    /* Pairs with the fence in writer_wait(). */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&reader->shared->producer_asleep, memory_order_relaxed) != 0)
        reader->link->transport->ring(reader->link, reader->lane);
}

/* A writer that were woken for each eighth would fill it and sleep again: a wake-up costs more than an eighth. */
void
gpuvchan__reader_tell(struct gpuvchan__reader *reader)
{
    if (reader->head - reader->belled >= reader->bytes / 2) {
        gpuvchan__reader_publish(reader);
        return;
    }
    /* Pairs with the acquire in writer_look(). */
    atomic_store_explicit(&reader->shared->head, reader->head, memory_order_release);
    reader->tell_at = reader->head + reader->bytes / 8;
}

/*
 * Poll for a while. A polite poll leaves the writer its lines to fill; an eager one takes them at once, but
 * looks a second time only after twice the pause: a look that comes just before the answer costs more than
 * one just after it (measured on cores that share a cache: calls of 64 bytes 110 ns instead of 130).
 */
static bool
reader_spin(struct gpuvchan__reader *reader, uint64_t spin_ns, bool eager)
{
    unsigned looks = eager ? YIELD_LOOKS : POLITE_LOOKS;
    uint64_t give_up = 0;

    for (unsigned round = 1;; round++) {
        uint64_t now;

        for (unsigned i = 0; i < looks; i++) {
            if (reader_ready(reader))
                return true;
            gpuvchan__pause();
            for (int j = !eager ? POLITE_PAUSES : i == 0; j > 0; j--)
                gpuvchan__pause();
        }
        now = gpuvchan__now_ns();
        if (give_up == 0)
            give_up = now + spin_ns;
        else if (now >= give_up)
            return false;
        if (round * looks % YIELD_LOOKS != 0)
            continue;
        /* The writer may wait for room; told only now, since it costs a fence and news are mostly quicker. */
        if (reader->belled != reader->head)
            gpuvchan__reader_publish(reader);
        sched_yield(); /* the peer may be waiting for this very processor */
    }
}

int
gpuvchan__reader_wait(struct gpuvchan__reader *reader, uint64_t spin_ns, bool eager)
{
    int error = 0;

    if (spin_ns > 0 && reader_spin(reader, spin_ns, eager))
        return 0;
    if (reader->belled != reader->head)
        gpuvchan__reader_publish(reader);
    atomic_store_explicit(&reader->shared->consumer_asleep, ++reader->sleeps, memory_order_relaxed);
    /* Pairs with the writer's fence after it published: it sees that we sleep, or we see its record. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!reader->fence)
        reader->link->transport->fence_peer(reader->link);
    if (!reader_ready(reader))
        error = reader->link->transport->wait(reader->link, reader->lane, -1);
    atomic_store_explicit(&reader->shared->consumer_asleep, ++reader->sleeps, memory_order_relaxed);
    return reader_ready(reader) ? 0 : error;
}

void
gpuvchan__reader_leave(const struct gpuvchan__reader *reader, struct gpuvchan__reader_place *place)
{
    *place = (struct gpuvchan__reader_place){
        .head = reader->head,
        .published = reader->tell_at - reader->bytes / 8,
        .belled = reader->belled,
        .sleeps = reader->sleeps,
        .sequence = reader->sequence,
        .slot_flags = reader->slot_flags,
    };
}

int
gpuvchan__reader_return(struct gpuvchan__reader *reader, const struct gpuvchan__reader_place *place)
{
    if (place->head % GPUVCHAN_RECORD_UNIT != 0 || place->published > place->head || place->belled > place->head ||
        (place->sleeps & 1) ||
        (place->slot_flags | GPUVCHAN_RECORD_FLIP) != (reader->slot_flags | GPUVCHAN_RECORD_FLIP))
        return gpuvchan__error(-EPROTO, "lane %u: a reader cannot be at %llu, asleep %u, flags %u", reader->lane,
                               (unsigned long long)place->head, place->sleeps & 1, place->slot_flags);
    reader->head = place->head;
    reader->tell_at = place->published + reader->bytes / 8;
    reader->belled = place->belled;
    reader->sleeps = place->sleeps;
    reader->sequence = place->sequence;
    reader->slot_flags = place->slot_flags;
    return 0;
}
