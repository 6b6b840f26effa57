/* SPDX-License-Identifier: MIT */
/* What lies where between the two sides, in numbers: a change here is a change of WIRE_MAJOR. */
#include "wire.h"

#include "check.h"

#define AT(type, field, offset, bytes)                                         \
    do {                                                                       \
        assert_int_equal(offsetof(struct type, field), offset);                \
        assert_int_equal(sizeof(((const struct type *)NULL)->field), (bytes)); \
    } while (0)

static void
record(void **state)
{
    const struct gpuvchan_record value = {
        .units = 0x1122,
        .opcode = 0x3344,
        .slot = 0x55,
        .flags = 0x66,
        .sequence = 0x7788,
        .ticket = 0x99aabbccddeeff00,
    };
    static const unsigned char bytes[] = {0x22, 0x11, 0x44, 0x33, 0x55, 0x66, 0x88, 0x77,
                                          0x00, 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99};

    (void)state;
    assert_int_equal(sizeof(value), 16);
    assert_memory_equal(&value, bytes, sizeof(bytes));
    assert_int_equal(GPUVCHAN_RECORD_CALL, 1);
    assert_int_equal(GPUVCHAN_RECORD_SKIP, 2);
    assert_int_equal(GPUVCHAN_RECORD_UNIT, 16);
    for (size_t payload = 0; payload < 100; payload++) {
        uint32_t size = gpuvchan_record_bytes(payload);

        assert_true(size % 16 == 0 && size >= 16 + payload && size < 32 + payload);
    }
    assert_int_equal(gpuvchan_record_bytes(GPUVCHAN_RECORD_MAX), 65536);
}

static void
rings(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct wire_ring), 256);
    AT(wire_ring, head, 0, 8);
    AT(wire_ring, consumer_asleep, 64, 4);
    AT(wire_ring, producer_asleep, 128, 4);
    assert_int_equal(sizeof(struct wire_lane), 4096);
    AT(wire_lane, guest_state, 0, 4);
    AT(wire_lane, error_seen, 8, 8);
    AT(wire_lane, host_state, 64, 4);
    AT(wire_lane, error, 72, 8);
    AT(wire_lane, error_seq, 80, 8);
    AT(wire_lane, reserved2, 88, 8);
    AT(wire_lane, command, 256, 256);
    AT(wire_lane, reply, 512, 256);
}

static void
region(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct wire_region), 4096);
    AT(wire_region, magic, 0, 8);
    AT(wire_region, major, 8, 4);
    AT(wire_region, minor, 12, 4);
    AT(wire_region, fault, 64, 4);
    AT(wire_region, fault_text, 72, 240);
    assert_int_equal(WIRE_COMPLETION_BYTES, 65536);
    assert_int_equal(WIRE_COMPLETIONS, 8192);
}

static void
handshake(void **state)
{
    (void)state;
    assert_memory_equal(&(uint64_t){WIRE_MAGIC}, "GPVCHAN1", 8);
    assert_int_equal(WIRE_MAJOR, 1);
    assert_int_equal(sizeof(struct wire_hello), 256);
    AT(wire_hello, magic, 0, 8);
    AT(wire_hello, major, 8, 4);
    AT(wire_hello, minor, 12, 4);
    AT(wire_hello, features, 16, 8);
    AT(wire_hello, session, 24, 16);
    AT(wire_hello, secret, 40, 16);
    AT(wire_hello, region_bytes, 56, 8);
    AT(wire_hello, base, 64, 8);
    AT(wire_hello, arena_offset, 72, 8);
    AT(wire_hello, arena_bytes, 80, 8);
    AT(wire_hello, lanes, 88, 4);
    AT(wire_hello, command_bytes, 92, 4);
    AT(wire_hello, reply_bytes, 96, 4);
    AT(wire_hello, pid, 100, 4);
    AT(wire_hello, program, 104, 64);
    assert_int_equal(sizeof(struct wire_welcome), 256);
    AT(wire_welcome, magic, 0, 8);
    AT(wire_welcome, major, 8, 4);
    AT(wire_welcome, minor, 12, 4);
    AT(wire_welcome, features, 16, 8);
    AT(wire_welcome, status, 24, 4);
    AT(wire_welcome, flags, 28, 4);
    AT(wire_welcome, worker_pid, 32, 4);
    AT(wire_welcome, text, 40, 192);
}

static void
control(void **state)
{
    (void)state;
    assert_int_equal(WIRE_CONTROL_PING, 1);
    assert_int_equal(WIRE_CONTROL_OPEN, 2);
    assert_int_equal(WIRE_CONTROL_RESET, 3);
    assert_int_equal(sizeof(struct wire_open), 48);
    AT(wire_open, name, 0, 32);
    AT(wire_open, version, 32, 4);
    AT(wire_open, entries, 36, 4);
    AT(wire_open, hash, 40, 8);
    assert_int_equal(sizeof(struct wire_opened), 168);
    AT(wire_opened, slot, 0, 4);
    AT(wire_opened, version, 4, 4);
    AT(wire_opened, text, 8, 160);
}

/* Lanes follow each other without gap or overlap, for the smallest and the largest rings. */
static void
layout(void **state)
{
    static const uint32_t sizes[] = {WIRE_RING_MIN, 65536, WIRE_RING_MAX};

    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++) {
            struct wire_hello hello = {.command_bytes = sizes[i], .reply_bytes = sizes[j]};

            assert_int_equal(wire_lane_offset(&hello, 0), 4096 + 65536);
            for (uint32_t lane = 0; lane < WIRE_LANES_MAX; lane++) {
                uint64_t at = wire_lane_offset(&hello, lane);

                assert_int_equal(at % WIRE_PAGE, 0);
                assert_true(wire_lane_offset(&hello, lane + 1) - at == 4096ull + sizes[i] + sizes[j]);
            }
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record),    cmocka_unit_test(rings),   cmocka_unit_test(region),
        cmocka_unit_test(handshake), cmocka_unit_test(control), cmocka_unit_test(layout),
    };

    check_begin();
    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
