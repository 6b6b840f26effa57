/* SPDX-License-Identifier: MIT */
/* A ring's writer and reader, in one process: every size, every place, both ends of every edge. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "pair.h"

#define SMALL 4096u
#define SMALL_MAX (SMALL / 4 - 16) /* payload */
#define FLAGS_NONE 0

/* ---- Writing and reading records that say what they are -------------------------------------- */

static unsigned char
byte_of(uint32_t sequence, size_t i)
{
    return (unsigned char)(sequence * 31 + i * 7 + 1);
}

/* The word behind the newest record is zero, and all that is said to be clear is. */
static void
check_clear(const struct pair *pair)
{
    const struct gpuvchan__writer *writer = &pair->guest.writer;
    uint64_t word;

    memcpy(&word, pair->command + (writer->front.tail & (pair->bytes - 1)), 8);
    assert_true(word == 0);
    assert_true(writer->cleared >= writer->front.tail + 16 && writer->cleared <= writer->head + pair->bytes);
    assert_true(writer->front.limit <= writer->cleared - 16);
}

static int
post(struct pair *pair, size_t payload)
{
    int error;
    unsigned char *room = pair_reserve(pair, payload, &error);
    uint32_t sequence = (uint16_t)(pair->guest.writer.front.sequence + 1);

    if (!room)
        return error;
    assert_int_equal((uintptr_t)room % 16, 0);
    assert_true(room >= pair->command + 16 && room + payload <= pair->command + pair->bytes);
    for (size_t i = 0; i < payload; i++) {
        assert_int_equal(room[i], 0); /* nothing of older records comes along */
        room[i] = byte_of(sequence, i);
    }
    gpuvchan_publish(&pair->guest, 3, (uint16_t)(payload & 0xffff), FLAGS_NONE, payload);
    check_clear(pair);
    return 0;
}

static void
take(struct pair *pair, size_t payload, uint32_t sequence)
{
    struct gpuvchan_record record = {0};
    unsigned char copy[65536];

    assert_int_equal(gpuvchan__reader_peek(&pair->host_reader, &record), 1);
    assert_int_equal(record.units, gpuvchan_record_bytes(payload) / 16);
    assert_int_equal(record.slot, 3);
    assert_int_equal(record.opcode, payload & 0xffff);
    assert_int_equal(record.sequence, sequence & 0xffff);
    gpuvchan__reader_copy(&pair->host_reader, &record, copy);
    for (size_t i = 0; i < payload; i++)
        assert_int_equal(copy[i], byte_of(sequence & 0xffff, i));
    for (size_t i = payload; i < record.units * 16u - 16; i++)
        assert_int_equal(copy[i], 0); /* the rest of the unit */
    gpuvchan__reader_advance(&pair->host_reader, &record);
}

static void
take_none(struct pair *pair)
{
    struct gpuvchan_record record = {0};

    assert_int_equal(gpuvchan__reader_peek(&pair->host_reader, &record), 0);
}

static int
wait_in_vain(struct pair *pair)
{
    (void)pair;
    return -EPIPE;
}

/* What a reader does before it sleeps: tell how far it is. */
static void
tell(struct pair *pair)
{
    gpuvchan__reader_publish(&pair->host_reader);
    assert_true(atomic_load(&pair->shared->command.head) == pair->host_reader.head);
}

/* Bring both ends to @p offset of the lap. */
static void
advance_to(struct pair *pair, uint64_t offset)
{
    struct gpuvchan_lane_front *front = &pair->guest.writer.front;

    while ((front->tail & front->mask) != offset) {
        assert_int_equal(post(pair, 0), 0);
        take(pair, 0, front->sequence);
    }
}

/* ---- One thread ------------------------------------------------------------------------------ */

static void
sizes(void **state)
{
    static const uint64_t rings[] = {4096, 8192, 65536, 262144, 524288};
    uint64_t seed = 1;

    (void)state;
    for (size_t r = 0; r < sizeof(rings) / sizeof(rings[0]); r++) {
        struct pair *pair = pair_create(rings[r], 0, true, 0);
        size_t max = gpuvchan__ring_record_max(rings[r]) - 16;
        uint32_t sequence = 0;

        assert_int_equal(post(pair, max + 1), -EMSGSIZE); /* also in a ring that is empty and clear */

        for (size_t payload = 0; payload <= max; payload += payload < 1100 || payload + 40 > max ? 1 : 1 + seed % 97) {
            check_random(&seed);
            assert_int_equal(post(pair, payload), 0);
            take(pair, payload, ++sequence);
            take_none(pair);
        }
        assert_int_equal(gpuvchan__ring_record_max(rings[r]), rings[r] / 4 < 65536 ? rings[r] / 4 : 65536);
        assert_int_equal(post(pair, max + 1), -EMSGSIZE);
        assert_non_null(strstr(gpuvchan_error_text(), "use the arena"));
        assert_int_equal(post(pair, 5), 0);
        take(pair, 5, ++sequence);
        pair_destroy(pair);
    }
}

/* From every place in the lap a record of every interesting size: it fits, or a skip fills the rest. */
static void
wrap_everywhere(void **state)
{
    static const size_t payloads[] = {0, 1, 16, 17, 100, 496, SMALL_MAX - 16, SMALL_MAX};

    (void)state;
    for (size_t p = 0; p < sizeof(payloads) / sizeof(payloads[0]); p++) {
        struct pair *pair = pair_create(SMALL, 0, true, 0);

        for (uint64_t offset = 0; offset < SMALL; offset += 16) {
            struct gpuvchan_lane_front *front = &pair->guest.writer.front;
            uint64_t size = gpuvchan_record_bytes(payloads[p]), start;
            bool fits = offset + size <= SMALL;

            advance_to(pair, offset);
            start = front->tail;
            assert_int_equal(post(pair, payloads[p]), 0);
            assert_true(front->tail == (fits ? start + size : start - offset + SMALL + size));
            take(pair, payloads[p], front->sequence);
            take_none(pair);
        }
        pair_destroy(pair);
    }
}

/* A full ring holds all but the 16 bytes that stay zero; what is taken out fits in again, and no more. */
static void
exactly_full(void **state)
{
    (void)state;
    for (uint64_t offset = 0; offset < SMALL; offset += 16 * 13) {
        struct pair *pair = pair_create(SMALL, 0, true, 0);
        struct gpuvchan__writer *writer = &pair->guest.writer;
        uint32_t sequence, count = 0;

        advance_to(pair, offset);
        tell(pair);
        sequence = writer->front.sequence;
        pair->guest_end.wait = wait_in_vain;
        while (post(pair, 0) == 0)
            count++;
        assert_int_equal(count, SMALL / 16 - 1);
        assert_int_equal(pair->guest_end.waited, 1);
        assert_int_equal(post(pair, 0), -EPIPE);
        assert_int_equal(atomic_load(&pair->shared->command.producer_asleep), 0);
        /* One record taken: one fits. */
        take(pair, 0, ++sequence);
        tell(pair);
        assert_int_equal(post(pair, 0), 0);
        assert_int_equal(post(pair, 0), -EPIPE);
        /* Two taken: one of double size, when it does not have to wrap. */
        take(pair, 0, ++sequence);
        take(pair, 0, ++sequence);
        tell(pair);
        if ((writer->front.tail & (SMALL - 1)) + 32 <= SMALL) {
            assert_int_equal(post(pair, 17), -EPIPE);
            assert_int_equal(post(pair, 16), 0);
            assert_int_equal(post(pair, 0), -EPIPE);
        }
        pair_destroy(pair);
    }
}

/* With 16 bytes left in the lap, a record of 16 ends it; a larger one leaves a skip of 16. */
static void
last_unit(void **state)
{
    struct pair *pair = pair_create(SMALL, 0, true, 0);
    struct gpuvchan_lane_front *front = &pair->guest.writer.front;
    uint16_t header[2];

    (void)state;
    advance_to(pair, SMALL - 16);
    assert_int_equal(post(pair, 0), 0);
    assert_true(front->tail == SMALL);
    take(pair, 0, front->sequence);
    advance_to(pair, SMALL - 16);
    assert_int_equal(post(pair, 1), 0);
    assert_true(front->tail == 2 * SMALL + 32);
    memcpy(header, pair->command + SMALL - 16, sizeof(header));
    assert_int_equal(header[0], 1); /* unit */
    take(pair, 1, front->sequence);
    take_none(pair);
    pair_destroy(pair);
}

struct queue {
    uint16_t sizes[SMALL];
    unsigned from, to;
    uint32_t next;
};

static struct queue *draining;
static uint64_t drain_seed = 99;

/* The writer waits for room: the reader takes some records, at least one. */
static int
drain(struct pair *pair)
{
    unsigned n = 1 + (unsigned)(check_random(&drain_seed) % 20);

    assert_int_equal(atomic_load(&pair->shared->command.producer_asleep), 1);
    while (n-- > 0 && draining->from != draining->to)
        take(pair, draining->sizes[draining->from++ % SMALL], ++draining->next);
    if (draining->from == draining->to)
        tell(pair);
    return 0;
}

static void
random_use(uint64_t bytes, uint64_t start, unsigned rounds, size_t payload_max)
{
    struct pair *pair = pair_create(bytes, start, true, 0);
    struct queue queue = {0};
    uint64_t seed = bytes + start + 17;

    draining = &queue;
    pair->guest_end.wait = drain;
    for (unsigned i = 0; i < rounds; i++) {
        size_t payload = check_random(&seed) % (check_random(&seed) % 8 == 0 ? payload_max + 1 : 65);

        assert_int_equal(post(pair, payload), 0);
        queue.sizes[queue.to++ % SMALL] = (uint16_t)payload;
        for (unsigned n = (unsigned)(check_random(&seed) % 3); n > 0 && queue.from != queue.to && i % 4096 > 700; n--)
            take(pair, queue.sizes[queue.from++ % SMALL], ++queue.next);
        if (queue.to - queue.from > SMALL - 2)
            drain(pair);
        if (check_random(&seed) % 32 == 0)
            pair_renew_host(pair);
    }
    while (queue.from != queue.to)
        take(pair, queue.sizes[queue.from++ % SMALL], ++queue.next);
    take_none(pair);
    assert_int_equal(pair->guest.writer.front.sequence, rounds & 0xffff);
    assert_true(pair->guest_end.waited > 0);
    pair_destroy(pair);
}

static void
random_small(void **state)
{
    (void)state;
    random_use(SMALL, 0, check_rounds(100000), SMALL_MAX);
}

static void
random_large(void **state)
{
    (void)state;
    random_use(16384, 0, check_rounds(60000), 4096 - 16);
}

/* Positions are 64 bits wide: nothing happens at 2^32 (or when bit 63 is near). */
static void
crossing_4g(void **state)
{
    struct pair *pair;

    (void)state;
    random_use(SMALL, (1ull << 32) - 3 * SMALL, check_rounds(20000), SMALL_MAX);
    random_use(SMALL, (1ull << 62) - 3 * SMALL, check_rounds(5000), SMALL_MAX);
    for (unsigned first = 0; first < 40; first++) {
        pair = pair_create(SMALL, (1ull << 32) - SMALL, true, 0);
        advance_to(pair, SMALL - 16 * 40);
        for (unsigned i = 0; i < 60; i++) {
            assert_int_equal(post(pair, first + i), 0);
            take(pair, first + i, pair->guest.writer.front.sequence);
        }
        assert_true(pair->guest.writer.front.tail > 1ull << 32);
        pair_destroy(pair);
    }
}

static void
sequence_wraps(void **state)
{
    struct pair *pair = pair_create(SMALL, 0, true, 0);

    (void)state;
    for (uint32_t i = 1; i <= 3 * 65536 + 10; i++) {
        assert_int_equal(post(pair, i % 3), 0);
        take(pair, i % 3, i);
    }
    assert_int_equal(pair->guest.writer.front.sequence, 10);
    pair_destroy(pair);
}

/* ---- Doorbells ------------------------------------------------------------------------------- */

static void
doorbells(void **state)
{
    struct pair *pair = pair_create(SMALL, 0, true, 0);

    (void)state;
    assert_int_equal(post(pair, 4), 0);
    assert_int_equal(pair->host_end.rung, 0);
    take(pair, 4, 1);
    atomic_store(&pair->shared->command.consumer_asleep, 1);
    assert_int_equal(post(pair, 4), 0);
    assert_int_equal(pair->host_end.rung, 1);
    /* Once per sleep, however much is published until the reader is awake. */
    assert_int_equal(post(pair, 4), 0);
    assert_int_equal(pair->host_end.rung, 1);
    atomic_store(&pair->shared->command.consumer_asleep, 2);
    assert_int_equal(post(pair, 4), 0);
    assert_int_equal(pair->host_end.rung, 1);
    atomic_store(&pair->shared->command.consumer_asleep, 3);
    assert_int_equal(post(pair, 4), 0);
    assert_int_equal(pair->host_end.rung, 2);
    atomic_store(&pair->shared->command.consumer_asleep, 4);
    for (uint16_t i = 2; i <= 5; i++)
        take(pair, 4, i);
    assert_int_equal(pair->guest_end.rung, 0);
    atomic_store(&pair->shared->command.producer_asleep, 1);
    tell(pair);
    assert_int_equal(pair->guest_end.rung, 1);
    atomic_store(&pair->shared->command.producer_asleep, 0);
    assert_int_equal(atomic_load(&pair->shared->command.consumer_asleep) & 1, 0); /* awake again */
    pair_destroy(pair);
}

static int
record_comes(struct pair *pair)
{
    unsigned rung = pair->host_end.rung;

    assert_int_equal(atomic_load(&pair->shared->command.consumer_asleep) & 1, 1);
    assert_int_equal(post(pair, 9), 0);
    assert_int_equal(pair->host_end.rung, rung + 1);
    return 0;
}

static int
nothing_comes(struct pair *pair)
{
    (void)pair;
    return 0;
}

static void
reader_sleeps(void **state)
{
    struct pair *pair = pair_create(SMALL, 0, true, 0);
    struct gpuvchan_record record = {0};

    (void)state;
    pair->host_end.wait = nothing_comes;
    assert_int_equal(pair_next(&pair->host_reader, &record, 0, true), 0);
    pair->host_end.wait = record_comes;
    assert_int_equal(pair_next(&pair->host_reader, &record, 0, true), 1);
    assert_int_equal(record.opcode, 9);
    assert_int_equal(atomic_load(&pair->shared->command.consumer_asleep) & 1, 0);
    take(pair, 9, 1);
    /* What was published before the peer went is still taken. */
    assert_int_equal(post(pair, 1), 0);
    pair->host_end.wait = wait_in_vain;
    assert_int_equal(pair_next(&pair->host_reader, &record, 0, true), 1);
    take(pair, 1, 2);
    assert_int_equal(pair_next(&pair->host_reader, &record, 0, true), -EPIPE);
    pair_destroy(pair);
}

/* A record that came between the decision to sleep and the sleep is seen without a doorbell. */
static struct pair *late;

static void
late_fence(struct gpuvchan__link *link)
{
    (void)link;
    assert_int_equal(post(late, 2), 0);
}

static void
no_sleep_over_a_record(void **state)
{
    struct pair *pair = pair_create(SMALL, 0, true, 0);
    struct gpuvchan__transport transport = *pair->host_end.link.transport;
    struct gpuvchan_record record = {0};

    (void)state;
    late = pair;
    transport.fence_peer = late_fence;
    pair->host_end.link.transport = &transport;
    pair->host_end.wait = wait_in_vain;
    pair->host_reader.fence = 0;
    assert_int_equal(pair_next(&pair->host_reader, &record, 0, true), 1);
    assert_int_equal(pair->host_end.waited, 0);
    take(pair, 2, 1);
    pair_destroy(pair);
}

/* ---- Slot ------------------------------------------------------------------------------------ */

static void
call_in_slot(struct pair *pair, size_t payload)
{
    struct gpuvchan_lane *guest = &pair->guest;
    unsigned char *room = gpuvchan_reserve_call(guest, payload);

    assert_true(room == pair->shared->slot + 16);
    for (size_t i = 0; i < payload; i++)
        room[i] = byte_of((uint16_t)(guest->writer.front.sequence + 1), i);
    gpuvchan_publish_call(guest, 3, (uint16_t)payload, payload);
}

static void
answer(struct pair *pair, size_t payload, int status, uint32_t bytes)
{
    unsigned char copy[1024], reply[1024];
    struct gpuvchan_record record = {0};
    uint32_t sequence = pair->guest.writer.front.sequence;

    assert_int_equal(gpuvchan__reader_peek(&pair->host_reader, &record), 1);
    assert_int_equal(record.flags & GPUVCHAN_RECORD_CALL, GPUVCHAN_RECORD_CALL);
    assert_int_equal(record.sequence, sequence);
    gpuvchan__reader_copy(&pair->host_reader, &record, copy);
    for (size_t i = 0; i < payload; i++)
        assert_int_equal(copy[i], byte_of(sequence, i));
    gpuvchan__reader_advance(&pair->host_reader, &record);
    assert_int_equal(gpuvchan__reader_peek(&pair->host_reader, &record), 0);
    for (uint32_t i = 0; i < 1024; i++)
        reply[i] = i < bytes ? byte_of(sequence + 5, i) : 0;
    record.sequence = (uint16_t)sequence;
    assert_int_equal(gpuvchan__writer_reply(&pair->host_writer, &record, status, reply, bytes), 0);
    assert_int_equal(gpuvchan__reader_peek(&pair->host_reader, &record), 0); /* its own reply is no call */
}

static void
get_reply(struct pair *pair, int status, uint32_t bytes)
{
    struct gpuvchan_record record = {0};
    unsigned char copy[1024];

    assert_int_equal(gpuvchan__reader_peek(&pair->guest.reader, &record), 1);
    assert_int_equal(record.sequence, pair->guest.writer.front.sequence);
    assert_int_equal((int32_t)(uint32_t)record.ticket, status);
    assert_int_equal(record.ticket >> 32, bytes);
    assert_int_equal(record.units, gpuvchan_record_bytes(bytes) / 16);
    gpuvchan__reader_copy(&pair->guest.reader, &record, copy);
    for (uint32_t i = 0; i < bytes; i++)
        assert_int_equal(copy[i], byte_of(record.sequence + 5, i));
    gpuvchan__reader_advance(&pair->guest.reader, &record);
    assert_int_equal(gpuvchan__reader_peek(&pair->guest.reader, &record), 0);
}

/* Calls and replies of all sizes, in the slot or the rings, mixed with posts. */
static void
calls(void **state)
{
    struct pair *pair = pair_create(SMALL, 0, true, 0);
    uint64_t seed = 5;

    (void)state;
    for (unsigned i = 0; i < check_rounds(20000); i++) {
        size_t payload = check_random(&seed) % 241;
        uint32_t bytes = (uint32_t)(check_random(&seed) % (i % 3 ? 241 : SMALL_MAX));
        int status = (int)(check_random(&seed) % 1000) - 500;

        call_in_slot(pair, payload);
        assert_int_equal(gpuvchan__reader_peek(&pair->guest.reader, &(struct gpuvchan_record){0}), 0);
        if (i % 5 == 0)
            pair_renew_host(pair);
        answer(pair, payload, status, bytes);
        if (i % 7 == 0)
            pair_renew_host(pair);
        get_reply(pair, status, bytes);
    }
    pair_destroy(pair);
}

/* Places that no reader or writer can be at. */
static void
impossible_places(void **state)
{
    struct pair *pair = pair_create(SMALL, 0, true, 0);
    struct gpuvchan__reader_place read;
    struct gpuvchan__writer_place written;

    (void)state;
    gpuvchan__reader_leave(&pair->host_reader, &read);
    gpuvchan__writer_leave(&pair->host_writer, &written);
#define REFUSED(end, place, field, value)                                               \
    do {                                                                                \
        struct gpuvchan__##end##_place wrong = place;                                   \
        wrong.field = (value);                                                          \
        assert_int_equal(gpuvchan__##end##_return(&pair->host_##end, &wrong), -EPROTO); \
        assert_int_equal(gpuvchan__##end##_return(&pair->host_##end, &place), 0);       \
    } while (0)
    REFUSED(reader, read, head, 8);
    REFUSED(reader, read, published, 16);
    REFUSED(reader, read, belled, 16);
    REFUSED(reader, read, sleeps, 1);
    REFUSED(reader, read, slot_flags, GPUVCHAN_RECORD_SKIP);
    REFUSED(reader, read, slot_flags, 0); /* commands in the slot are calls */
    REFUSED(writer, written, tail, 24);
    REFUSED(writer, written, head, 16);
    REFUSED(writer, written, head, 8);
    REFUSED(writer, written, tail, SMALL + 16);
    REFUSED(writer, written, cleared, SMALL + 16);
    REFUSED(writer, written, flip, 1);
#undef REFUSED
    pair_destroy(pair);
}

/* A call in the slot does not overtake the posts in the ring. */
static void
posts_before_calls(void **state)
{
    struct pair *pair = pair_create(SMALL, 0, true, 0);
    uint32_t sequence = 0;

    (void)state;
    for (unsigned round = 0; round < 500; round++) {
        unsigned posts = round % 7;

        for (unsigned i = 0; i < posts; i++)
            assert_int_equal(post(pair, round % 90), 0);
        call_in_slot(pair, 20);
        for (unsigned i = 0; i < posts; i++)
            take(pair, round % 90, ++sequence);
        sequence++;
        pair_renew_host(pair);
        answer(pair, 20, 0, 8);
        get_reply(pair, 0, 8);
    }
    pair_destroy(pair);
}

/* A reservation for a call that was given up does not turn the next record into a call. */
static void
reservation_given_up(void **state)
{
    struct pair *pair = pair_create(SMALL, 0, true, 0);
    struct gpuvchan_record record = {0};
    unsigned char *room;

    (void)state;
    pair->guest.writer.front.special = 0;
    assert_non_null(gpuvchan_reserve_call(&pair->guest, 8));
    assert_int_equal(post(pair, 30), 0);
    take(pair, 30, 1);
    assert_non_null(gpuvchan_reserve_call(&pair->guest, 8));
    room = gpuvchan_reserve_call(&pair->guest, 300);
    assert_true(room >= pair->command && room < pair->command + SMALL);
    gpuvchan_publish_call(&pair->guest, 3, 7, 300);
    assert_int_equal(gpuvchan__reader_peek(&pair->host_reader, &record), 1);
    assert_int_equal(record.opcode, 7);
    assert_int_equal(record.units, gpuvchan_record_bytes(300) / 16);
    pair_destroy(pair);
}

/* ---- Two threads ----------------------------------------------------------------------------- */

struct traffic {
    struct pair *pair;
    unsigned count;
    uint64_t spin_ns;
    _Atomic int failed;
};

static void *
read_all(void *argument)
{
    struct traffic *traffic = argument;
    struct pair *pair = traffic->pair;
    unsigned char copy[SMALL];

    for (uint32_t i = 1; i <= traffic->count && !traffic->failed;) {
        struct gpuvchan_record record = {0};
        int found = pair_next(&pair->host_reader, &record, traffic->spin_ns, i % 2);

        if (found == 0)
            continue;
        if (found < 0 || record.sequence != (i & 0xffff)) {
            traffic->failed = 1;
            break;
        }
        gpuvchan__reader_copy(&pair->host_reader, &record, copy);
        for (size_t j = 0; j < record.opcode; j++)
            if (copy[j] != byte_of(i & 0xffff, j))
                traffic->failed = 2;
        gpuvchan__reader_advance(&pair->host_reader, &record);
        if (record.flags & GPUVCHAN_RECORD_CALL &&
            gpuvchan__writer_reply(&pair->host_writer, &record, (int)(i & 0xff), copy, record.opcode) != 0)
            traffic->failed = 3;
        i++;
    }
    return NULL;
}

/* A wake-up that is lost ends in the time limit: nobody looks without one. */
static void
run_traffic(bool fence, uint64_t spin_ns, unsigned call_every)
{
    struct pair *pair = pair_create(SMALL, 0, fence, spin_ns);
    struct traffic traffic = {.pair = pair, .count = check_rounds(call_every ? 12000 : 60000), .spin_ns = spin_ns};
    uint64_t seed = 3;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, read_all, &traffic), 0);
    for (uint32_t i = 1; i <= traffic.count && !traffic.failed; i++) {
        bool call = call_every && i % call_every == 0;
        size_t payload = check_random(&seed) % 100;
        unsigned char *room;
        int error = 0;

        room = call ? gpuvchan_reserve_call(&pair->guest, payload) : pair_reserve(pair, payload, &error);
        assert_int_equal(error, 0);
        for (size_t j = 0; j < payload; j++)
            room[j] = byte_of(i & 0xffff, j);
        if (call) {
            struct gpuvchan_record record = {0};
            int found;

            gpuvchan_publish_call(&pair->guest, 3, (uint16_t)payload, payload);
            while ((found = pair_next(&pair->guest.reader, &record, spin_ns, true)) == 0)
                ;
            assert_int_equal(found, 1);
            assert_int_equal(record.sequence, i & 0xffff);
            assert_int_equal((uint32_t)record.ticket, i & 0xff);
            gpuvchan__reader_advance(&pair->guest.reader, &record);
        } else {
            gpuvchan_publish(&pair->guest, 3, (uint16_t)payload, 0, payload);
        }
    }
    pthread_join(thread, NULL);
    assert_int_equal(traffic.failed, 0);
    pair_destroy(pair);
}

static void
threads_that_sleep(void **state)
{
    (void)state;
    run_traffic(true, 0, 0);
    run_traffic(true, 0, 3);
    run_traffic(true, 2000, 1);
}

static void
threads_that_sleep_unfenced(void **state)
{
    (void)state;
    run_traffic(false, 0, 0);
    run_traffic(false, 0, 3);
    run_traffic(false, 2000, 1);
}

static void
threads_that_spin(void **state)
{
    (void)state;
    run_traffic(true, 20000, 0);
    run_traffic(false, 20000, 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(wrap_everywhere),
        cmocka_unit_test(exactly_full),
        cmocka_unit_test(last_unit),
        cmocka_unit_test(random_small),
        cmocka_unit_test(random_large),
        cmocka_unit_test(crossing_4g),
        cmocka_unit_test(sequence_wraps),
        cmocka_unit_test(doorbells),
        cmocka_unit_test(reader_sleeps),
        cmocka_unit_test(no_sleep_over_a_record),
        cmocka_unit_test(calls),
        cmocka_unit_test(impossible_places),
        cmocka_unit_test(posts_before_calls),
        cmocka_unit_test(reservation_given_up),
        cmocka_unit_test(threads_that_sleep),
        cmocka_unit_test(threads_that_sleep_unfenced),
        cmocka_unit_test(threads_that_spin),
    };

    check_begin();
    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
