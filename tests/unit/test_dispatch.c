/* SPDX-License-Identifier: MIT */
/*
 * What gpuvchan-scanner generates from dispatch.gpv, driven without a library: the services that it calls
 * are those of dispatch_fakes.h, so link this with cmocka alone.
 *
 * Design notes: a good payload is taken from a guest stub; a malformed one is a good one with something
 * changed. Payloads are executed from memory of exactly their size, so that a sanitizer sees a read beyond.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dispatch-guest.h"
#include "dispatch-host.c"
#include "dispatch-exports.c"

#include "dispatch_fakes.h"

/* ---- Setting up ------------------------------------------------------------------------------- */

static int
setup(void **state)
{
    (void)state;
    memset(&handles, 0, sizeof(handles));
    gpuvchan_handles_insert(&handles, STREAM, DISPATCH_HANDLE_STREAM, &stream_object);
    gpuvchan_handles_insert(&handles, EVENT, DISPATCH_HANDLE_EVENT, &event_object);
    gpuvchan_handles_insert(&handles, OTHER_EVENT, DISPATCH_HANDLE_EVENT, &other_event_object);
    memset(&got, 0, sizeof(got));
    memset(ring, 0, sizeof(ring));
    memset(slot, 0, sizeof(slot));
    front = (struct gpuvchan_lane_front){
        .ring = ring,
        .slot = slot,
        .mask = RING - 1,
        .limit = RING,
        .peer_asleep = &asleep,
        .clock = &ticket_clock,
        .ordered = &ordered,
    };
    executed = 0;
    reply_limit = 16384;
    reply_cut = UINT32_MAX;
    reply_lie = reply_add = 0;
    calls = corruptions = errors_logged = discarded = stub_corruptions = give_back = 0;
    capture_only = false;
    corruption[0] = '\0';
    return 0;
}

static int
run_posted(void)
{
    struct payload payload = take();
    int result = execute(payload.opcode, payload.data, payload.bytes);

    free(payload.data);
    return result;
}

/* The payload of what @post has just published; for calls set capture_only before. */
#define CAPTURE(call) (setup(NULL), capture_only = true, (void)(call), capture_only = false, take())

static const test_box boxes[3] = {{{1}}, {{2}}, {{3, [12] = 4}}};
static const test_pair pair = {5, 6, 7};

/* A good payload of each entry that has one. */
static struct payload
good(uint16_t opcode)
{
    static const uint16_t values[] = {1, 2, 3};
    static const test_pair pairs[] = {{1, 2, 3}, {4, 5, 6}};
    static const uint32_t events[] = {EVENT, OTHER_EVENT}, streams[] = {0, STREAM};
    static const uint32_t numbers[] = {1, 2, 3};
    struct gpuvchan_reference text = {16, 32}, extra = {0, 0};
    char greeting[17], farewell[13];
    uint64_t items[4];
    uint16_t small[3];
    uint32_t u32, few[4];
    int32_t level = 1;
    uint8_t u8, data[5];
    bool flag = true, odd;
    double half;
    test_pointer where;
    struct test_point point;
    test_pair both = pair;
    size_t four = 4, five = 5, three = 3;

    switch (opcode) {
    case DISPATCH_OPCODE_NOTHING:
        return CAPTURE(dispatch_nothing(&client));
    case DISPATCH_OPCODE_SCALARS:
        return CAPTURE(dispatch_scalars(&client, 1, 2, 3, 4, true, 5, 6, 7, 8, 9, 10, 11, TEST_SOME));
    case DISPATCH_OPCODE_NUMBERS:
        return CAPTURE(dispatch_numbers(&client, 1, &level, &flag, &u8, &odd, &half, &where));
    case DISPATCH_OPCODE_GREET:
        return CAPTURE(dispatch_greet(&client, "Noether", "Dr", greeting, 17, farewell, 13));
    case DISPATCH_OPCODE_STORE:
        return CAPTURE(dispatch_store(&client, 9, values, 3, "abcde", 5, pairs, 2));
    case DISPATCH_OPCODE_HEAD:
        return CAPTURE(dispatch_head(&client, 9, items, &four, data, &five, small, &three));
    case DISPATCH_OPCODE_STRUCTS:
        return CAPTURE(dispatch_structs(&client, &pair, 1, &boxes[2], 2, 3, &point, &both, boxes, 3, &u32));
    case DISPATCH_OPCODE_UPPER:
        return CAPTURE(dispatch_upper(&client, text, extra));
    case DISPATCH_OPCODE_WORK:
        return CAPTURE(dispatch_work(&client, 1, STREAM, EVENT));
    case DISPATCH_OPCODE_WAIT_ALL:
        return CAPTURE(dispatch_wait_all(&client, events, 2, streams, 2, &u32));
    case DISPATCH_OPCODE_STREAM_CREATE:
        return CAPTURE(dispatch_stream_create(&client, 300, 0));
    case DISPATCH_OPCODE_EVENT_CREATE:
        return CAPTURE(dispatch_event_create(&client, 301, "name", &u32));
    case DISPATCH_OPCODE_STREAM_DESTROY:
        return CAPTURE(dispatch_stream_destroy(&client, STREAM, "why"));
    case DISPATCH_OPCODE_DIRECT:
        return CAPTURE(dispatch_direct(&client, 1ull << 40, 2, STREAM, numbers, 3));
    case DISPATCH_OPCODE_DIRECT_OUT:
        return CAPTURE(dispatch_direct_out(&client, 3, 302, &odd, few, &four));
    default:
        return (struct payload){0};
    }
}

static void
assert_refused(const struct payload *payload, uint32_t bytes)
{
    calls = corruptions = 0;
    assert_int_equal(execute(payload->opcode, payload->data, bytes), -EPROTO);
    assert_int_equal(corruptions, 1);
    assert_int_equal(calls, 0);
    /* The report begins with the entry's name and has a value in it. */
    assert_memory_equal(corruption, dispatch_dispatch.entries[payload->opcode].name,
                        strlen(dispatch_dispatch.entries[payload->opcode].name));
    assert_non_null(strpbrk(corruption, "0123456789"));
}

/* A good payload of @entry with @member set to @value is refused. */
#define REFUSED_WITH(entry, opcode, member, value)                                      \
    do {                                                                                \
        struct payload payload_ = good(opcode);                                         \
        ((struct dispatch_##entry##_request *)(void *)payload_.data)->member = (value); \
        assert_refused(&payload_, payload_.bytes);                                      \
        free(payload_.data);                                                            \
    } while (0)

/* ---- Tests: malformed payloads ---------------------------------------------------------------- */

static void
test_good_payloads_are_executed(void **state)
{
    (void)state;
    for (uint16_t opcode = 1; opcode < DISPATCH_OPCODES; opcode++) {
        const struct gpuvchan_entry *entry = &dispatch_dispatch.entries[opcode];
        struct payload payload = good(opcode);

        assert_int_equal(payload.data != NULL, entry->execute != NULL);
        if (!payload.data)
            continue;
        assert_int_equal(execute(opcode, payload.data, payload.bytes), 0);
        assert_int_equal(calls, 1);
        assert_int_equal(corruptions, 0);
        assert_true(payload.bytes >= entry->bytes_min && payload.bytes <= entry->bytes_max);
        free(payload.data);
    }
}

static void
test_wrong_sizes_are_refused(void **state)
{
    (void)state;
    for (uint16_t opcode = 1; opcode < DISPATCH_OPCODES; opcode++) {
        struct payload payload = good(opcode);
        unsigned char *longer;

        if (!payload.data)
            continue;
        longer = calloc(1, payload.bytes + 512);
        memcpy(longer, payload.data, payload.bytes);
        free(payload.data);
        payload.data = longer;
        for (uint32_t bytes = 0; payload.bytes >= 16 && bytes <= payload.bytes - 16; bytes++)
            assert_refused(&payload, bytes);
        for (uint32_t bytes = payload.bytes + 16; bytes <= payload.bytes + 512; bytes++)
            assert_refused(&payload, bytes);
        free(longer);
    }
}

static void
test_counts_are_refused(void **state)
{
    (void)state;
    REFUSED_WITH(store, DISPATCH_OPCODE_STORE, values_count, 6);
    REFUSED_WITH(store, DISPATCH_OPCODE_STORE, values_count, 0x80000003u);
    REFUSED_WITH(store, DISPATCH_OPCODE_STORE, values_count, UINT32_MAX);
    REFUSED_WITH(store, DISPATCH_OPCODE_STORE, data_bytes, 8);
    REFUSED_WITH(store, DISPATCH_OPCODE_STORE, data_bytes, UINT32_MAX - 6);
    REFUSED_WITH(store, DISPATCH_OPCODE_STORE, pairs_count, 3);
    REFUSED_WITH(store, DISPATCH_OPCODE_STORE, pairs_count, 0x15555557u); /* times 12 is 2^32 + 20 */
    REFUSED_WITH(store, DISPATCH_OPCODE_STORE, pairs_count, 0);           /* fits max, not the payload */
    REFUSED_WITH(structs, DISPATCH_OPCODE_STRUCTS, boxes_count, 4);
    REFUSED_WITH(wait_all, DISPATCH_OPCODE_WAIT_ALL, events_count, 5);
    REFUSED_WITH(wait_all, DISPATCH_OPCODE_WAIT_ALL, events_count, 0x40000002u);
    REFUSED_WITH(wait_all, DISPATCH_OPCODE_WAIT_ALL, streams_count, 3);
    REFUSED_WITH(direct, DISPATCH_OPCODE_DIRECT, unused_count, 4);
}

/* More than max, in a payload that is as long as it says. */
static void
test_longer_arrays_are_refused(void **state)
{
    static const struct {
        uint16_t opcode;
        size_t count_at;
        uint32_t count;
        size_t bytes;
    } cases[] = {
        {DISPATCH_OPCODE_STORE, offsetof(struct dispatch_store_request, values_count), 9, 16 + 24 + 8 + 24},
        {DISPATCH_OPCODE_STORE, offsetof(struct dispatch_store_request, data_bytes), 9, 16 + 8 + 16 + 24},
        {DISPATCH_OPCODE_STORE, offsetof(struct dispatch_store_request, pairs_count), 3, 16 + 8 + 8 + 36},
        {DISPATCH_OPCODE_WAIT_ALL, offsetof(struct dispatch_wait_all_request, events_count), 5, 8 + 24 + 8},
        {DISPATCH_OPCODE_WAIT_ALL, offsetof(struct dispatch_wait_all_request, streams_count), 3, 8 + 8 + 12},
        {DISPATCH_OPCODE_DIRECT, offsetof(struct dispatch_direct_request, unused_count), 4, 24 + 16},
        {DISPATCH_OPCODE_GREET, offsetof(struct dispatch_greet_request, title_length), 5, 16 + 8 + 6},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct payload payload = good(cases[i].opcode);
        unsigned char longer[128] = {0};

        memcpy(longer, payload.data, payload.bytes);
        memcpy(longer + cases[i].count_at, &cases[i].count, 4);
        if (cases[i].opcode == DISPATCH_OPCODE_GREET)
            memcpy(longer + 24, "title", 6);
        free(payload.data);
        payload.data = longer;
        assert_refused(&payload, (uint32_t)cases[i].bytes);
    }
}

static void
test_rooms_are_refused(void **state)
{
    (void)state;
    REFUSED_WITH(greet, DISPATCH_OPCODE_GREET, greeting_room, 0);
    REFUSED_WITH(greet, DISPATCH_OPCODE_GREET, greeting_room, 18);
    REFUSED_WITH(greet, DISPATCH_OPCODE_GREET, farewell_room, UINT32_MAX);
    REFUSED_WITH(head, DISPATCH_OPCODE_HEAD, items_room, 5);
    REFUSED_WITH(head, DISPATCH_OPCODE_HEAD, items_room, 0x20000001u);
    REFUSED_WITH(head, DISPATCH_OPCODE_HEAD, data_room, 6);
    REFUSED_WITH(head, DISPATCH_OPCODE_HEAD, small_room, 4);
}

static void
test_strings_are_refused(void **state)
{
    struct payload payload = good(DISPATCH_OPCODE_GREET);
    size_t name = sizeof(struct dispatch_greet_request), title = name + 8;

    (void)state;
    assert_string_equal((char *)payload.data + name, "Noether");
    assert_string_equal((char *)payload.data + title, "Dr");
    payload.data[name + 3] = '\0'; /* a NUL inside */
    assert_refused(&payload, payload.bytes);
    payload.data[name + 3] = 't';
    payload.data[name + 7] = 'x'; /* none at the end; the next part follows at once */
    assert_refused(&payload, payload.bytes);
    payload.data[name + 7] = '\0';
    memset(payload.data + title, 'x', payload.bytes - title); /* none up to the end of the record */
    assert_refused(&payload, payload.bytes);
    free(payload.data);
    REFUSED_WITH(greet, DISPATCH_OPCODE_GREET, name_length, 9);
    REFUSED_WITH(greet, DISPATCH_OPCODE_GREET, name_length, UINT32_MAX); /* + 1 is 0 */
    REFUSED_WITH(greet, DISPATCH_OPCODE_GREET, title_length, 5);
    REFUSED_WITH(greet, DISPATCH_OPCODE_GREET, title_length, 1);
    REFUSED_WITH(stream_destroy, DISPATCH_OPCODE_STREAM_DESTROY, why_length, 5);
}

static void
test_references_are_refused(void **state)
{
    const struct gpuvchan_reference bad[] = {
        {ARENA, 1}, {ARENA + 1, 0}, {0, ARENA + 1}, {UINT64_MAX, 1}, {UINT64_MAX, 2}, {1, UINT64_MAX}, {16, ARENA - 15},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        REFUSED_WITH(upper, DISPATCH_OPCODE_UPPER, text, bad[i]);
        REFUSED_WITH(upper, DISPATCH_OPCODE_UPPER, extra, bad[i]);
    }
}

static void
test_bools_are_refused(void **state)
{
    (void)state;
    REFUSED_WITH(scalars, DISPATCH_OPCODE_SCALARS, e, 2);
    REFUSED_WITH(scalars, DISPATCH_OPCODE_SCALARS, e, 255);
    REFUSED_WITH(numbers, DISPATCH_OPCODE_NUMBERS, flag, 128);
}

/* ---- Tests: handles --------------------------------------------------------------------------- */

static void
assert_status(int status, int handler_calls)
{
    assert_int_equal(run_posted(), status);
    assert_int_equal(calls, handler_calls);
    assert_int_equal(corruptions, 0);
    calls = 0;
}

static void
test_bad_handles_are_a_status(void **state)
{
    static const uint32_t bad[] = {UINT32_MAX, STREAM + 1, STREAM | 1u << 20, EVENT, 1};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(dispatch_work(&client, 1, bad[i], EVENT), 0);
        assert_status(400, 0);
        assert_int_equal(dispatch_stream_destroy(&client, bad[i], ""), 0);
        assert_status(400, 0);
    }
    assert_int_equal(dispatch_work(&client, 1, STREAM, STREAM), 0); /* of another kind */
    assert_status(TEST_INVALID_EVENT, 0);
    assert_int_equal(dispatch_work(&client, 1, STREAM, 0), 0); /* null is not ok here */
    assert_status(TEST_INVALID_EVENT, 0);
    assert_int_equal(dispatch_work(&client, 1, 0, EVENT), 0); /* and here it is */
    assert_status(0, 1);
    assert_null(got.stream);
    assert_ptr_equal(got.event, EVENT_OBJECT);
    assert_int_equal(dispatch_direct(&client, 1, 1, 0, NULL, 0), 0); /* with an expression */
    assert_status(400, 0);
}

static void
test_arrays_of_handles(void **state)
{
    uint32_t events[] = {EVENT, OTHER_EVENT, EVENT, OTHER_EVENT}, streams[] = {0, STREAM}, count = 0;

    (void)state;
    assert_int_equal(dispatch_wait_all(&client, events, 4, streams, 2, &count), 0);
    assert_int_equal(count, 6);
    assert_ptr_equal(got.events[0], EVENT_OBJECT);
    assert_ptr_equal(got.events[3], OTHER_EVENT_OBJECT);
    assert_null(got.streams[0]);
    assert_ptr_equal(got.streams[1], STREAM_OBJECT);
    events[2] = STREAM;
    assert_int_equal(dispatch_wait_all(&client, events, 4, streams, 2, &count), TEST_INVALID_EVENT);
    events[2] = 0;
    assert_int_equal(dispatch_wait_all(&client, events, 4, streams, 2, &count), TEST_INVALID_EVENT);
    assert_int_equal(calls, 1);
    assert_int_equal(dispatch_wait_all(&client, NULL, 0, NULL, 0, &count), 0);
    assert_int_equal(count, 0);
}

static void
test_create(void **state)
{
    uint32_t number = 0;

    (void)state;
    assert_int_equal(dispatch_stream_create(&client, 300, 1), 0);
    assert_status(0, 1);
    assert_ptr_equal(gpuvchan_handles_lookup(&handles, 300, DISPATCH_HANDLE_STREAM), &new_object);
    assert_int_equal(dispatch_event_create(&client, 301, "four", &number), 0);
    assert_int_equal(number, 4);
    assert_ptr_equal(gpuvchan_handles_lookup(&handles, 301, DISPATCH_HANDLE_EVENT), &new_object);
    assert_int_equal(discarded, 0);
}

static void
test_create_that_fails(void **state)
{
    (void)state;
    give_back = 3; /* the handler's own failure: nothing to insert, nothing to discard */
    assert_int_equal(dispatch_stream_create(&client, 300, 1), 0);
    assert_status(3, 1);
    assert_null(gpuvchan_handles_lookup(&handles, 300, DISPATCH_HANDLE_STREAM));
    give_back = 0;

    handles.insert_error = -ENOMEM;
    assert_int_equal(dispatch_stream_create(&client, 300, 1), 0);
    assert_status(-ENOMEM, 1);
    assert_int_equal(discarded, 1);
    handles.insert_error = 0;

    assert_int_equal(dispatch_stream_create(&client, 300, 7), 0);
    assert_status(-EINVAL, 1);
    assert_int_equal(errors_logged, 1);

    assert_int_equal(dispatch_stream_create(&client, STREAM, 1), 0); /* in use already */
    assert_int_equal(run_posted(), -EPROTO);
    assert_int_equal(corruptions, 1);
    assert_int_equal(discarded, 2);
    assert_ptr_equal(gpuvchan_handles_lookup(&handles, STREAM, DISPATCH_HANDLE_STREAM), STREAM_OBJECT);
}

static void
test_create_of_reserved_handles_is_refused(void **state)
{
    (void)state;
    for (uint32_t index = 0; index < GPUVCHAN_HANDLES_RESERVED; index++) {
        REFUSED_WITH(stream_create, DISPATCH_OPCODE_STREAM_CREATE, made, index);
        REFUSED_WITH(event_create, DISPATCH_OPCODE_EVENT_CREATE, made, index | 0xfff00000u);
    }
}

static void
test_destroy(void **state)
{
    struct payload payload = good(DISPATCH_OPCODE_STREAM_DESTROY);

    (void)state;
    payload.data[sizeof(struct dispatch_stream_destroy_request)] = '\0'; /* malformed: the object must stay */
    assert_refused(&payload, payload.bytes);
    free(payload.data);
    calls = corruptions = 0;
    assert_int_equal(dispatch_stream_destroy(&client, STREAM, "why"), 0);
    assert_status(0, 1);
    assert_ptr_equal(got.stream, STREAM_OBJECT);
    assert_int_equal(dispatch_stream_destroy(&client, STREAM, "why"), 0);
    assert_status(400, 0);
}

/* ---- Tests: good arguments arrive intact ------------------------------------------------------- */

static void
test_scalars_arrive(void **state)
{
    (void)state;
    assert_int_equal(testScalars(200, 60000, -100, 4000000000u, true, 1ull << 63, -30000, 1.5f, INT64_MIN, INT32_MIN,
                                 -2.25, ~0ull, TEST_SOME),
                     0);
    assert_status(0, 1);
    assert_int_equal(got_scalars.a, 200);
    assert_int_equal(got_scalars.b, 60000);
    assert_int_equal(got_scalars.c, -100);
    assert_true(got_scalars.d == 4000000000u);
    assert_int_equal(got_scalars.e, 1);
    assert_true(got_scalars.f == 1ull << 63);
    assert_int_equal(got_scalars.g, -30000);
    assert_true(got_scalars.h == 1.5f);
    assert_true(got_scalars.k == INT64_MIN);
    assert_true(got_scalars.l == INT32_MIN);
    assert_true(got_scalars.m == -2.25);
    assert_true(got_scalars.n == ~0ull);
    assert_int_equal(got_scalars.o, TEST_SOME);
}

static void
test_scalars_come_back(void **state)
{
    int32_t level = -5;
    bool flag = true, odd = false;
    uint8_t small = 0;
    double half = 0;
    test_pointer where = 0;

    (void)state;
    assert_int_equal(dispatch_numbers(&client, 7, &level, &flag, &small, &odd, &half, &where), 0);
    assert_int_equal(level, -6);
    assert_false(flag);
    assert_int_equal(small, 7);
    assert_true(odd);
    assert_true(half == 3.5);
    assert_true(where == ~0ull - 7);
}

static void
test_strings_arrive_and_come_back(void **state)
{
    char greeting[32], farewell[32];

    (void)state;
    assert_int_equal(dispatch_greet(&client, "12345678", "", greeting, 32, farewell, 32), 0);
    assert_string_equal(greeting, " 12345678");
    assert_string_equal(farewell, "xxxxxxxxxxxx"); /* 12, the protocol's limit, and a NUL */
    assert_int_equal(testGreet("Noether", "Dr.", greeting, 6, farewell, 1), 0);
    assert_string_equal(greeting, "Dr. N"); /* cut to the caller's room */
    assert_string_equal(farewell, "");
}

static void
test_arrays_arrive(void **state)
{
    static const uint16_t values[] = {1, 2, 3, 4, 5};
    static const test_pair pairs[] = {{1, 2, 3}, {4, 5, 6}};

    (void)state;
    for (size_t v = 0; v <= 5; v++)
        for (size_t d = 0; d <= 7; d++)
            for (size_t p = 0; p <= 2; p++) {
                memset(&got, 0, sizeof(got));
                assert_int_equal(dispatch_store(&client, (uint32_t)d, v ? values : NULL, v, d ? "abcdefg" : NULL, d,
                                                p ? pairs : NULL, p),
                                 0);
                assert_status(0, 1);
                assert_int_equal(got.tag, d);
                assert_int_equal(got.values_count, v);
                assert_memory_equal(got.values, values, v * 2);
                assert_int_equal(got.data_bytes, d);
                assert_memory_equal(got.data, "abcdefg", d);
                assert_int_equal(got.pairs_count, p);
                for (size_t i = 0; i < p; i++)
                    assert_int_equal(got.pairs[i].third, pairs[i].third);
            }
}

static void
test_arrays_come_back(void **state)
{
    (void)state;
    for (size_t i = 0; i <= 6; i++)
        for (size_t d = 0; d <= 6; d++)
            for (size_t s = 0; s <= 4; s++) {
                uint64_t items[6];
                unsigned char data[6], want[6];
                uint16_t small[4];
                size_t items_count = i, data_bytes = d, small_count = s;

                memset(data, 0, 6);
                assert_int_equal(dispatch_head(&client, 50, i ? items : NULL, &items_count, d ? data : NULL,
                                               &data_bytes, s ? small : NULL, &small_count),
                                 0);
                assert_int_equal(items_count, i < 4 ? i : 4);
                assert_int_equal(data_bytes, d < 3 ? d : 3);
                assert_int_equal(small_count, s < 3 ? s : 3);
                for (size_t n = 0; n < items_count; n++)
                    assert_int_equal(items[n], 50 + n);
                memset(want, 0xda, 6);
                assert_memory_equal(data, want, data_bytes);
                for (size_t n = 0; n < small_count; n++)
                    assert_int_equal(small[n], 100 + n);
                setup(NULL);
            }
}

static void
test_structs(void **state)
{
    struct test_point point = {0};
    test_pair both = {1, 2, 3};
    uint32_t total = 0;

    (void)state;
    assert_int_equal(dispatch_structs(&client, &pair, 10, &boxes[2], 20, 30000, &point, &both, boxes, 3, &total), 0);
    assert_int_equal(total, 5 + 10 + 4 + 20 + 30000 + 1 + 2 + 3 + 4);
    assert_true(point.x == 6 && point.y == 7);
    assert_int_equal(both.first, 2);
    assert_int_equal(both.third, 3);
}

static void
test_references(void **state)
{
    const struct gpuvchan_reference last = {ARENA - 8, 8}, all = {0, ARENA}, none = {0, 0}, empty = {4, 0};

    (void)state;
    assert_int_equal(dispatch_upper(&client, last, none), 0);
    assert_status(0, 1);
    assert_ptr_equal(got.text, arena + ARENA - 8);
    assert_int_equal(got.text_bytes, 8);
    assert_null(got.extra);
    assert_int_equal(dispatch_upper(&client, all, empty), 0);
    assert_status(0, 1);
    assert_ptr_equal(got.extra, arena + 4);
}

static void
test_expressions(void **state)
{
    uint32_t items[5] = {0};
    size_t items_count = 5;
    bool odd = false;

    (void)state;
    assert_int_equal(dispatch_direct(&client, 1ull << 40, 250, STREAM, NULL, 0), 0);
    assert_status(0, 1);
    assert_true(got.dst == 1ull << 40);
    assert_int_equal(got.value, 250);
    assert_ptr_equal(got.stream, STREAM_OBJECT);
    assert_int_equal(dispatch_direct_out(&client, 9, 300, &odd, items, &items_count), 0);
    assert_true(odd);
    assert_int_equal(items_count, 4);
    assert_int_equal(items[3], 9);
    assert_ptr_equal(gpuvchan_handles_lookup(&handles, 300, DISPATCH_HANDLE_STREAM), &new_object);
}

static void
test_exports(void **state)
{
    (void)state;
    assert_int_equal(testWork(4, NULL, EVENT_OBJECT), 0); /* null ok: handle 0, not asked for */
    assert_status(0, 1);
    assert_null(got.stream);
    assert_int_equal(testWork(4, STREAM_OBJECT, EVENT_OBJECT), 0);
    assert_status(0, 1);
    assert_ptr_equal(got.stream, STREAM_OBJECT);
    assert_int_equal(testWork(4, STREAM_OBJECT, NULL), TEST_INVALID_EVENT); /* refused by the macro */
    assert_int_equal(testGreet("longer than 8", "", NULL, 0, NULL, 0), 999);
    assert_true(executed == front.tail);
}

/* ---- Tests: the guest's own checks, failures --------------------------------------------------- */

static void
test_guest_refuses_locally(void **state)
{
    static const uint16_t values[6];
    uint32_t count;
    char text[4];

    (void)state;
    assert_int_equal(dispatch_greet(&client, "123456789", "", text, 4, text, 4), -E2BIG);
    assert_int_equal(dispatch_greet(&client, NULL, "", text, 4, text, 4), -EINVAL);
    assert_int_equal(dispatch_greet(&client, "", "", text, 0, text, 4), -EINVAL);
    assert_int_equal(dispatch_greet(&client, "", "", text, 4, NULL, 4), -EINVAL);
    assert_int_equal(dispatch_store(&client, 0, values, 6, NULL, 0, NULL, 0), -E2BIG);
    assert_int_equal(dispatch_store(&client, 0, values, SIZE_MAX, NULL, 0, NULL, 0), -E2BIG);
    assert_int_equal(dispatch_store(&client, 0, NULL, 1, NULL, 0, NULL, 0), -EINVAL);
    assert_int_equal(dispatch_wait_all(&client, NULL, 1, NULL, 0, &count), -EINVAL);
    assert_int_equal(dispatch_wait_all(&client, NULL, 0, NULL, 0, NULL), -EINVAL);
    assert_int_equal(front.tail, 0);
    front.limit = 0; /* no room, and none to come */
    assert_int_equal(dispatch_nothing(&client), -EPIPE);
    assert_int_equal(dispatch_wait_all(&client, NULL, 0, NULL, 0, &count), -EPIPE);
    assert_int_equal(calls, 0);
}

static void
test_outputs_stay_when_a_call_fails(void **state)
{
    int32_t level = 1;
    bool flag = true, odd = true;
    uint8_t small = 9;
    double half = 9;
    test_pointer where = 9;

    (void)state;
    give_back = 42;
    assert_int_equal(dispatch_numbers(&client, 7, &level, &flag, &small, &odd, &half, &where), 42);
    assert_int_equal(reply_bytes, 0);
    give_back = 0;
    reply_limit = 8;
    assert_int_equal(dispatch_numbers(&client, 7, &level, &flag, &small, &odd, &half, &where), -EMSGSIZE);
    assert_int_equal(calls, 1);
    assert_int_equal(level, 1);
    assert_true(flag && odd && small == 9 && half == 9 && where == 9);
}

static void
test_short_replies_are_corrupt(void **state)
{
    (void)state;
    for (reply_cut = 0; reply_cut < 60; reply_cut++) {
        uint64_t items[4] = {1};
        unsigned char data[5] = {1};
        uint16_t small[3] = {1};
        size_t four = 4, five = 5, three = 3;
        uint32_t want = (uint32_t)(sizeof(struct dispatch_head_reply) + 32 + 8 + 6);
        int result = dispatch_head(&client, 50, items, &four, data, &five, small, &three);

        assert_int_equal(result, reply_cut < want ? -EPROTO : 0);
        assert_int_equal(items[0], reply_cut < want ? 1 : 50);
        assert_int_equal(stub_corruptions, reply_cut < want ? reply_cut + 1 : want);
    }
}

static void
test_lying_replies_are_corrupt(void **state)
{
    uint64_t items[4];
    unsigned char data[5];
    uint16_t small[3];
    size_t four = 4, five = 5, three = 3;
    char greeting[17], farewell[13];
    int32_t level = 1;
    bool flag = true, odd = true;
    uint8_t u8;
    double half;
    test_pointer where;

    (void)state;
    for (size_t count = 1; count < 3; count++) { /* data's, then small's; counts of other arguments stay good */
        reply_lie = count * 4;
        assert_int_equal(dispatch_head(&client, 50, items, &four, data, &five, small, &three), -EPROTO);
    }
    reply_lie = offsetof(struct dispatch_head_reply, items_count) + 1; /* 99 << 8 */
    assert_int_equal(dispatch_head(&client, 50, items, &four, data, &five, small, &three), -EPROTO);
    reply_lie = offsetof(struct dispatch_greet_reply, farewell_length);
    assert_int_equal(dispatch_greet(&client, "a", "b", greeting, 17, farewell, 13), -EPROTO);
    reply_lie = offsetof(struct dispatch_numbers_reply, odd);
    assert_int_equal(dispatch_numbers(&client, 7, &level, &flag, &u8, &odd, &half, &where), -EPROTO);
    reply_lie = offsetof(struct dispatch_numbers_reply, flag);
    assert_int_equal(dispatch_numbers(&client, 7, &level, &flag, &u8, &odd, &half, &where), -EPROTO);
    assert_int_equal(stub_corruptions, 6);
    assert_int_equal(level, 1);
}

/* A count beyond the caller's room, in a reply that is long enough for it, must not be copied. */
static void
test_replies_beyond_the_room_are_corrupt(void **state)
{
    uint32_t items[1] = {1};
    size_t one = 1;
    bool odd = false;

    (void)state;
    reply_lie = offsetof(struct dispatch_direct_out_reply, items_count);
    reply_add = 99 * sizeof(items[0]);
    assert_int_equal(dispatch_direct_out(&client, 9, 300, &odd, items, &one), -EPROTO);
    assert_int_equal(one, 1);
    assert_int_equal(items[0], 1);
}

static void
test_a_handler_that_returns_too_much(void **state)
{
    uint16_t small[2];
    size_t zero = 0, none = 0, two = 2;

    (void)state;
    assert_int_equal(dispatch_head(&client, 1000, NULL, &zero, NULL, &none, small, &two), -EOVERFLOW);
    assert_int_equal(errors_logged, 1);
    assert_int_equal(two, 2);
}

static void
test_synchronous_posts(void **state)
{
    (void)state;
    front.special = GPUVCHAN_LANE_SYNCHRONOUS;
    give_back = 5;
    assert_int_equal(dispatch_nothing(&client), 5);
    assert_int_equal(calls, 1);
}

static void
test_protocol(void **state)
{
    (void)state;
    assert_string_equal(dispatch_protocol.name, "dispatch");
    assert_int_equal(dispatch_protocol.version, 7);
    assert_int_equal(dispatch_protocol.entries, DISPATCH_OPCODE_DIRECT_OUT + 1);
    assert_int_equal(DISPATCH_OPCODE_EVENT_CREATE, 32);
    assert_true(dispatch_protocol.hash == dispatch_dispatch.protocol.hash);
    assert_int_equal(dispatch_protocol.entries, dispatch_dispatch.protocol.entries);
    assert_null(dispatch_dispatch.entries[0].execute);
}

/* Whatever arrives, handlers get only what they may rely on, and a sanitizer sees nothing. */
static void
test_random_payloads(void **state)
{
    uint32_t seed = 12345, ran = 0;

    (void)state;
    for (uint16_t opcode = 1; opcode < DISPATCH_OPCODES; opcode++) {
        struct payload payload = good(opcode);

        for (int round = 0; payload.data && round < 20000; round++) {
            unsigned char bytes[256];
            uint32_t size = payload.bytes;

            memcpy(bytes, payload.data, payload.bytes);
            for (int change = round % 4; change >= 0 && size > 0; change--) {
                seed = seed * 1664525u + 1013904223u;
                bytes[(seed >> 8) % size] = (seed >> 4) % 3 ? (unsigned char)(seed >> 24) : (unsigned char)(seed >> 28);
            }
            if (round % 5 == 0)
                size = (seed >> 9) % (size + 1);
            execute(opcode, bytes, size);
            if (round % 64 == 0) {
                ran += (uint32_t)calls;
                setup(NULL);
            }
        }
        free(payload.data);
    }
    assert_true(ran > 100);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(test_##name, setup)
    const struct CMUnitTest tests[] = {
        TEST(protocol),
        TEST(good_payloads_are_executed),
        TEST(wrong_sizes_are_refused),
        TEST(counts_are_refused),
        TEST(longer_arrays_are_refused),
        TEST(rooms_are_refused),
        TEST(strings_are_refused),
        TEST(references_are_refused),
        TEST(bools_are_refused),
        TEST(bad_handles_are_a_status),
        TEST(arrays_of_handles),
        TEST(create),
        TEST(create_that_fails),
        TEST(create_of_reserved_handles_is_refused),
        TEST(destroy),
        TEST(scalars_arrive),
        TEST(scalars_come_back),
        TEST(strings_arrive_and_come_back),
        TEST(arrays_arrive),
        TEST(arrays_come_back),
        TEST(structs),
        TEST(references),
        TEST(expressions),
        TEST(exports),
        TEST(guest_refuses_locally),
        TEST(outputs_stay_when_a_call_fails),
        TEST(short_replies_are_corrupt),
        TEST(lying_replies_are_corrupt),
        TEST(replies_beyond_the_room_are_corrupt),
        TEST(a_handler_that_returns_too_much),
        TEST(synchronous_posts),
        TEST(random_payloads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
