/* SPDX-License-Identifier: MIT */
/* A ring whose other end lies: every header and position that cannot be is refused, in words. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "error.h"
#include "pair.h"

#define BYTES 4096u
#define UNITS (BYTES / 16)

static const struct gpuvchan_record good = {.units = 2, .opcode = 5, .slot = 1, .sequence = 1};

/* Puts @p record where the host's reader, brought to @p offset of its lap, reads next. */
static struct pair *
with_record(uint64_t offset, struct gpuvchan_record record)
{
    struct pair *pair = pair_create(BYTES, 0, true, 0);

    pair->host_reader.head = pair->host_reader.belled = BYTES + offset;
    pair->host_reader.tell_at = BYTES + offset + BYTES / 8;
    memcpy(pair->command + offset, &record, sizeof(record));
    return pair;
}

static int
peek(struct pair *pair)
{
    struct gpuvchan_record record = {0};

    return gpuvchan__reader_peek(&pair->host_reader, &record);
}

static void
refused(uint64_t offset, struct gpuvchan_record record, const char *words)
{
    struct pair *pair = with_record(offset, record);

    gpuvchan__error(0, "%s", "");
    assert_int_equal(peek(pair), -EPROTO);
    if (!strstr(gpuvchan_error_text(), words))
        print_message("# %s\n", gpuvchan_error_text());
    assert_non_null(strstr(gpuvchan_error_text(), words));
    assert_non_null(strstr(gpuvchan_error_text(), "lane 0"));
    assert_true(pair->host_reader.head == BYTES + offset); /* not moved */
    pair_destroy(pair);
}

static void
accepted(uint64_t offset, struct gpuvchan_record record)
{
    struct pair *pair = with_record(offset, record);

    assert_int_equal(peek(pair), 1);
    pair_destroy(pair);
}

static void
sizes(void **state)
{
    (void)state;
    for (uint64_t offset = 0; offset < BYTES; offset += 16) {
        struct gpuvchan_record record = good;
        uint64_t left = (BYTES - offset) / 16;

        for (uint32_t units = 1; units <= 65535; units += units < 300 ? 1 : 997) {
            record.units = (uint16_t)units;
            if (units <= left && units <= UNITS / 4)
                accepted(offset, record);
            else
                refused(offset, record, "are possible");
            if (offset % 256 != 0 && units > 300)
                break;
        }
        /* Units 0, but something in the other fields of the first word. */
        record.units = 0;
        refused(offset, record, "record of 0 bytes");
        refused(offset, (struct gpuvchan_record){.sequence = 1}, "record of 0 bytes");
        refused(offset, (struct gpuvchan_record){.flags = GPUVCHAN_RECORD_CALL}, "record of 0 bytes");
        refused(offset, (struct gpuvchan_record){.slot = 255}, "record of 0 bytes");
        refused(offset, (struct gpuvchan_record){.opcode = 0x8000}, "record of 0 bytes");
    }
}

static void
flags(void **state)
{
    (void)state;
    for (unsigned value = 0; value < 256; value++) {
        struct gpuvchan_record record = good;

        record.flags = (uint8_t)value;
        if (value <= GPUVCHAN_RECORD_CALL)
            accepted(64, record);
        else
            refused(64, record, value == GPUVCHAN_RECORD_SKIP ? "skip" : "flags");
    }
}

static void
sequences(void **state)
{
    (void)state;
    for (unsigned last = 0; last < 65536; last += 4369)
        for (unsigned offered = 0; offered < 65536; offered += offered % 5 ? 1 : 257) {
            struct gpuvchan_record record = good;
            struct pair *pair;
            int expected = offered == ((last + 1) & 0xffff) ? 1 : -EPROTO;

            record.sequence = (uint16_t)offered;
            pair = with_record(0, record);
            pair->host_reader.sequence = (uint16_t)last;
            assert_int_equal(peek(pair), expected);
            if (expected != 1)
                assert_non_null(strstr(gpuvchan_error_text(), "repeated or lost"));
            pair_destroy(pair);
        }
}

/* A record taken is not taken again when it stays where the next lap begins. */
static void
replay(void **state)
{
    struct pair *pair = pair_create(BYTES, 0, true, 0);
    struct gpuvchan_record record = {0};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct gpuvchan_record one = {.units = UNITS / 4, .opcode = 5, .slot = 1, .sequence = (uint16_t)(i + 1)};

        memcpy(pair->command + i * (BYTES / 4), &one, sizeof(one));
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(gpuvchan__reader_peek(&pair->host_reader, &record), 1);
        gpuvchan__reader_advance(&pair->host_reader, &record);
    }
    assert_int_equal(peek(pair), -EPROTO);
    assert_non_null(strstr(gpuvchan_error_text(), "record 1 where 5 was due: repeated or lost"));
    pair_destroy(pair);
}

static void
skips(void **state)
{
    struct gpuvchan_record skip = {.flags = GPUVCHAN_RECORD_SKIP};

    (void)state;
    for (uint64_t offset = 0; offset < BYTES; offset += 16) {
        uint64_t left = (BYTES - offset) / 16;

        for (uint32_t units = 1; units <= UNITS + 1; units++) {
            struct pair *pair;

            skip.units = (uint16_t)units;
            if (units != left || units > UNITS / 4) {
                refused(offset, skip, units > left || units > UNITS / 4 ? "are possible" : "does not end the lap");
                continue;
            }
            pair = with_record(offset, skip);
            assert_int_equal(peek(pair), 0);
            assert_true(pair->host_reader.head == 2 * BYTES);
            pair_destroy(pair);
        }
    }
    skip.flags |= GPUVCHAN_RECORD_CALL;
    skip.units = 1;
    skip.sequence = 1;
    refused(BYTES - 16, skip, "flags");
}

/* Skips alone do not keep a reader busy for ever: it comes back at the latest after one. */
static void
skips_for_ever(void **state)
{
    struct gpuvchan_record whole = {.units = UNITS, .flags = GPUVCHAN_RECORD_SKIP};
    struct pair *pair;

    (void)state;
    for (uint64_t offset = 0; offset < BYTES; offset += BYTES / 4) {
        struct gpuvchan_record end = {.units = (uint16_t)(UNITS - offset / 16), .flags = GPUVCHAN_RECORD_SKIP};

        pair = with_record(offset, end);
        memcpy(pair->command, offset == 0 ? &end : &whole, sizeof(whole));
        assert_int_equal(peek(pair), -EPROTO);
        pair_destroy(pair);
    }
}

/* ---- The slot -------------------------------------------------------------------------------- */

static struct pair *
with_slot(struct gpuvchan_record record)
{
    struct pair *pair = pair_create(BYTES, 0, true, 0);

    memcpy(pair->shared->slot, &record, sizeof(record));
    return pair;
}

static void
slots(void **state)
{
    const uint8_t first = GPUVCHAN_RECORD_CALL | GPUVCHAN_RECORD_FLIP;

    (void)state;
    for (unsigned value = 0; value < 256; value++)
        for (uint32_t units = 0; units <= 40; units++) {
            struct gpuvchan_record record = {
                .units = (uint16_t)units, .slot = 1, .flags = (uint8_t)value, .sequence = 1};
            struct pair *pair = with_slot(record);
            int expected = -EPROTO;

            if ((value & first) != first)
                expected = 0; /* an old one, or a reply */
            else if (value == first && units >= 1 && units <= GPUVCHAN_SLOT_BYTES / 16)
                expected = 1;
            assert_int_equal(peek(pair), expected);
            pair_destroy(pair);
        }
}

static void
slot_sequence(void **state)
{
    struct gpuvchan_record record = {
        .units = 1,
        .flags = GPUVCHAN_RECORD_CALL | GPUVCHAN_RECORD_FLIP,
        .sequence = 2,
    };
    struct pair *pair = with_slot(record);

    (void)state;
    assert_int_equal(peek(pair), -EPROTO);
    pair_destroy(pair);
    record.sequence = 1;
    pair = with_slot(record);
    assert_int_equal(gpuvchan__reader_peek(&pair->host_reader, &record), 1);
    gpuvchan__reader_advance(&pair->host_reader, &record);
    assert_int_equal(peek(pair), 0); /* the same again is no new one */
    record.flags ^= GPUVCHAN_RECORD_FLIP;
    memcpy(pair->shared->slot, &record, sizeof(record));
    assert_int_equal(peek(pair), -EPROTO); /* flipped, but with the old number */
    pair_destroy(pair);
}

/* The guest's side: a reply may have any number, but no impossible size or flags. */
static void
replies(void **state)
{
    struct gpuvchan_record record = {0};

    (void)state;
    for (uint32_t units = 0; units <= 600; units++)
        for (unsigned value = 0; value < 16; value++) {
            struct gpuvchan_record reply = {.units = (uint16_t)units, .flags = (uint8_t)value, .sequence = 77};
            struct pair *pair = pair_create(BYTES, 0, true, 0);
            int expected = units >= 1 && units <= UNITS / 4 && value <= 1 ? 1 : -EPROTO;

            memcpy(pair->reply, &reply, sizeof(reply));
            assert_int_equal(gpuvchan__reader_peek(&pair->guest.reader, &record), expected);
            memset(pair->reply, 0, 16);
            memcpy(pair->shared->slot, &reply, sizeof(reply));
            expected = (value & 5) != GPUVCHAN_RECORD_FLIP                          ? 0
                       : value == GPUVCHAN_RECORD_FLIP && units >= 1 && units <= 16 ? 1
                                                                                    : -EPROTO;
            assert_int_equal(gpuvchan__reader_peek(&pair->guest.reader, &record), expected);
            pair_destroy(pair);
        }
}

/* ---- Positions ------------------------------------------------------------------------------- */

static int
no_wait(struct pair *pair)
{
    (void)pair;
    return -EPIPE;
}

/* Posts until the writer looks at the reader's position; returns what the look says. */
static int
look(uint64_t head)
{
    struct pair *pair = pair_create(BYTES, 0, true, 0);
    int error = 0;

    pair->guest_end.wait = no_wait;
    pair->guest.writer.front.tail = BYTES;
    pair->guest.writer.front.limit = BYTES;
    pair->guest.writer.cleared = BYTES + 16;
    pair->guest.writer.head = 512;
    atomic_store(&pair->shared->command.head, head);
    while (error == 0) {
        if (!pair_reserve(pair, 0, &error))
            break;
        gpuvchan_publish(&pair->guest, 1, 1, 0, 0);
    }
    /* Whatever it says: nothing behind the ring was written, and no more was published than there is room. */
    assert_true(pair->guest.writer.front.tail <= BYTES + head || error == -EPROTO);
    pair_destroy(pair);
    return error;
}

static void
positions(void **state)
{
    (void)state;
    assert_int_equal(look(512), -EPIPE);
    assert_int_equal(look(BYTES), -EPIPE);
    assert_int_equal(look(1024), -EPIPE);
    assert_int_equal(look(0), -EPROTO);
    assert_int_equal(look(496), -EPROTO); /* backwards */
    assert_non_null(strstr(gpuvchan_error_text(), "the peer's position 496 is impossible"));
    assert_int_equal(look(BYTES + BYTES), -EPROTO); /* beyond what was written */
    assert_int_equal(look(UINT64_MAX), -EPROTO);
    assert_int_equal(look(UINT64_MAX - 15), -EPROTO);
    assert_int_equal(look(1ull << 63), -EPROTO);
    for (uint64_t odd = 1; odd < 16; odd++)
        assert_int_equal(look(512 + odd), -EPROTO);
}

static uint64_t moves[8];
static unsigned moved;

static int
moving_head(struct pair *pair)
{
    atomic_store(&pair->shared->command.head, moves[moved++]);
    return 0;
}

/* While the writer waits, the position goes forth and then back. */
static void
moving_back(void **state)
{
    struct pair *pair = pair_create(BYTES, 0, true, 0);
    int error;

    (void)state;
    pair->guest_end.wait = moving_head;
    moved = 0;
    moves[0] = 0;
    moves[1] = 16;
    moves[2] = 32;
    moves[3] = 16;
    while (pair_reserve(pair, 0, &error))
        gpuvchan_publish(&pair->guest, 1, 1, 0, 0);
    assert_int_equal(error, -EPROTO);
    assert_int_equal(moved, 4);
    assert_true(pair->guest.writer.front.tail == BYTES + 16);
    pair_destroy(pair);
}

/* ---- Anything ------------------------------------------------------------------------------- */

/* Random bytes, changing while they are read: a reader gives 0, 1 or -EPROTO, and stays inside. */
static void
noise(void **state)
{
    uint64_t seed = 0x6e6f697365;

    (void)state;
    for (unsigned round = 0; round < check_rounds(3000); round++) {
        struct pair *pair = pair_create(BYTES, 0, true, 0);
        unsigned char *copy = malloc(pair->host_reader.record_max);

        assert_non_null(copy);
        for (unsigned step = 0; step < 200; step++) {
            struct gpuvchan_record record = {0};
            uint64_t place = pair->host_reader.head & (BYTES - 1);
            int found;

            record.units = (uint16_t)(check_random(&seed) % (step % 4 ? 40 : 400));
            record.sequence = (uint16_t)(pair->host_reader.sequence + (check_random(&seed) % 9 != 0));
            record.flags = check_random(&seed) % 6 ? 0 : (uint8_t)check_random(&seed);
            if (check_random(&seed) % 7 == 0) {
                record.units = (uint16_t)((BYTES - place) / 16);
                record.flags = GPUVCHAN_RECORD_SKIP;
            }
            memcpy(pair->command + place, &record, sizeof(record));
            memcpy(pair->shared->slot, &record, sizeof(record));
            found = gpuvchan__reader_peek(&pair->host_reader, &record);
            if (found == 1) {
                assert_true(record.units >= 1 && record.units * 16u <= pair->host_reader.record_max);
                gpuvchan__reader_copy(&pair->host_reader, &record, copy);
                gpuvchan__reader_advance(&pair->host_reader, &record);
            } else {
                assert_true(found == 0 || found == -EPROTO);
            }
        }
        free(copy);
        pair_destroy(pair);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),     cmocka_unit_test(flags),         cmocka_unit_test(sequences),
        cmocka_unit_test(replay),    cmocka_unit_test(skips),         cmocka_unit_test(skips_for_ever),
        cmocka_unit_test(slots),     cmocka_unit_test(slot_sequence), cmocka_unit_test(replies),
        cmocka_unit_test(positions), cmocka_unit_test(moving_back),   cmocka_unit_test(noise),
    };

    check_begin();
    return cmocka_run_group_tests_name("hostile ring", tests, NULL, NULL);
}
