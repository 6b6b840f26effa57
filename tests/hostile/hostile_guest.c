/* SPDX-License-Identifier: MIT */
/*
 * A guest that lies, against the real worker. Usage: hostile_guest [ADDRESS LOG | ADDRESS]. With a log: a
 * gpuvchan-host with the subject's plugin; with an address alone ("xen:DOMAIN"): tests/helpers/test_host there;
 * else a host of its own. Whatever it does, it is told what was wrong within a second, no worker crashes or
 * stays, and a well-behaved guest beside it notices nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "check.h"
#include "host.h"
#include "raw.h"
#include "subject.h"

/* What races on purpose. */
#define NO_TSAN __attribute__((no_sanitize("thread")))

static struct test_host host;
static bool own_host; /* no process but ours has guests there */
static bool by_hand;  /* the transport is the local one */

/* ---- The well-behaved guest ------------------------------------------------------------------ */

static pid_t neighbour;

static _Atomic int neighbour_stop;

static void
on_stop(int number)
{
    (void)number;
    neighbour_stop = 1;
}

/* Calls and posts all the time; none fails, none takes a second. */
static int
neighbour_main(void)
{
    struct gpuvchan_channel_options options = {.size = sizeof(options), .arena_bytes = 1 << 20, .lanes = 2};
    struct gpuvchan_channel *channel;
    struct gpuvchan_client client;
    uint64_t calls = 0, notes = 0;

    signal(SIGTERM, on_stop);
    if (gpuvchan_channel_connect(host.address, &options, &channel) != 0 ||
        gpuvchan_client_open(channel, &subject_protocol, &client) != 0)
        return 2;
    while (!neighbour_stop) {
        uint64_t started = test_now_ms();

        if (subject_post(&client, SUBJECT_NOTE, notes++) != 0 || subject_call(&client, SUBJECT_NOTE, notes++) != 0)
            return 3;
        if (test_now_ms() - started > (uint64_t)test_ms(1000))
            return 4;
        calls++;
        test_sleep_ms(test_ms(1)); /* so that it leaves the processor to others, however slow it is */
    }
    if (subject_notes(&client, 0, NULL, 0) != (int64_t)notes || calls < 10)
        return 5;
    gpuvchan_channel_close(channel);
    return 0;
}

/* ---- Handshake ------------------------------------------------------------------------------- */

static void
told(const struct raw *raw, const char *words)
{
    if (!strstr(raw->welcome.text, words))
        print_message("# status %d: %s\n", raw->welcome.status, raw->welcome.text);
    assert_non_null(strstr(raw->welcome.text, words));
}

/* Sends what raw says; expects a refusal with @p words, or (NULL) a welcome. */
static void
offer(struct raw *raw, const char *words)
{
    uint64_t started = test_now_ms();

    assert_int_equal(raw_offer(raw, 3000), sizeof(raw->welcome));
    assert_true(test_now_ms() - started < (uint64_t)test_ms(1000));
    if (!words) {
        assert_int_equal(raw->welcome.status, 0);
        return;
    }
    assert_true(raw->welcome.status < 0);
    told(raw, words);
    assert_int_equal(raw->bell_count, 0);
    assert_true(raw_closed(raw, 1000));
}

static void
hellos(void **state)
{
    static const struct {
        size_t at, bytes;
        uint64_t value;
        const char *words;
    } wrong[] = {
#define WRONG(field, value, words) \
    {offsetof(struct wire_hello, field), sizeof(((struct wire_hello *)0)->field), value, words}
        WRONG(magic, 0, "magic 0x0"),
        WRONG(magic, 0x314e414843565048ull, "magic"),
        WRONG(major, 0, "version 0"),
        WRONG(major, 2, "version 2"),
        WRONG(major, UINT32_MAX, "version 4294967295"),
        WRONG(lanes, 0, "0 lanes"),
        WRONG(lanes, 1025, "1025 lanes"),
        WRONG(lanes, UINT32_MAX, "4294967295 lanes"),
        WRONG(lanes, 3, "does not fit together"),
        WRONG(command_bytes, 0, "rings of 0"),
        WRONG(command_bytes, 2048, "rings of 2048"),
        WRONG(command_bytes, 4097, "rings of 4097"),
        WRONG(command_bytes, 12288, "rings of 12288"),
        WRONG(command_bytes, 32u << 20, "rings of 33554432"),
        WRONG(command_bytes, 1u << 31, "rings of 2147483648"),
        WRONG(command_bytes, UINT32_MAX, "rings of 4294967295"),
        WRONG(command_bytes, 16u << 20, "does not fit together"),
        WRONG(reply_bytes, 0, "rings of 4096 and 0"),
        WRONG(reply_bytes, 4095, "and 4095"),
        WRONG(reply_bytes, 1u << 31, "and 2147483648"),
        WRONG(reply_bytes, 8192, "does not fit together"),
        WRONG(arena_offset, 0, "does not fit together"),
        WRONG(arena_offset, 4096, "does not fit together"),
        WRONG(arena_offset, UINT64_MAX, "does not fit together"),
        WRONG(arena_offset, UINT64_MAX - 4095, "does not fit together"),
        WRONG(arena_offset, 1ull << 40, "does not fit together"),
        WRONG(arena_bytes, 65537, "does not fit together"),
        WRONG(arena_bytes, 1ull << 41, "an arena of"),
        WRONG(arena_bytes, UINT64_MAX, "an arena of"),
        WRONG(arena_bytes, UINT64_MAX - 4095, "an arena of"),
        WRONG(region_bytes, 0, "does not fit together"),
        WRONG(region_bytes, UINT64_MAX, "does not fit together"),
        WRONG(region_bytes, 4096, "does not fit together"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct raw raw;

        assert_int_equal(raw_connect(&raw, host.address), 0);
        assert_int_equal(raw_region(&raw), 0);
        memcpy((char *)&raw.hello + wrong[i].at, &wrong[i].value, wrong[i].bytes);
        offer(&raw, wrong[i].words);
        raw_close(&raw);
    }
    /* Numbers that fit together only modulo 2^64. */
    for (int i = 0; i < 2; i++) {
        struct raw raw;

        assert_int_equal(raw_connect(&raw, host.address), 0);
        assert_int_equal(raw_region(&raw), 0);
        raw.hello.arena_bytes = i ? UINT64_MAX - 4095 : 65536;
        raw.hello.arena_offset = raw.hello.region_bytes - raw.hello.arena_bytes + (i ? 0 : 0ull - 65536);
        offer(&raw, i ? "an arena of" : "does not fit together");
        raw_close(&raw);
    }
}

static void
lengths(void **state)
{
    static const size_t sizes[] = {1, 8, 100, 255, 257, 512, 4096, 65536};
    static unsigned char data[65536];

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct raw raw;

        assert_int_equal(raw_connect(&raw, host.address), 0);
        assert_int_equal(raw_region(&raw), 0);
        memcpy(data, &raw.hello, sizeof(raw.hello));
        assert_int_equal(raw_send(raw.socket, data, sizes[i], &raw.memfd, 1), 0);
        assert_int_equal(raw_receive(&raw, 1000), sizeof(raw.welcome));
        assert_int_equal(raw.welcome.status, -EPROTO);
        told(&raw, "not a hello");
        raw_close(&raw);
    }
}

static int
make_fd(int kind)
{
    int ends[2], fd = -1;

    switch (kind) {
    case 0:
        if (pipe(ends) == 0) {
            close(ends[1]);
            fd = ends[0];
        }
        return fd;
    case 1:
        return eventfd(0, 0);
    case 2:
        return open("/dev/zero", O_RDWR);
    case 3:
        return open("/tmp", O_RDWR | O_TMPFILE, 0600);
    case 4:
        return open("/", O_RDONLY | O_DIRECTORY);
    case 5:
        return socket(AF_UNIX, SOCK_STREAM, 0);
    case 6:
        return memfd_create("unsealable", 0);
    default:
        return open("/", O_PATH);
    }
}

static void
wrong_descriptors(void **state)
{
    (void)state;
    for (int kind = 0; kind < 8; kind++) {
        struct raw raw;

        assert_int_equal(raw_connect(&raw, host.address), 0);
        raw.memfd = make_fd(kind);
        assert_true(raw.memfd >= 0);
        if (kind == 3 || kind == 6)
            assert_int_equal(ftruncate(raw.memfd, (off_t)raw.hello.region_bytes), 0);
        offer(&raw, "not a memfd with its size sealed");
        raw_close(&raw);
    }
}

static void
numbers_of_descriptors(void **state)
{
    static const size_t counts[] = {0, 2, 3, 127, 128, 129, 200, 253};
    int fds[253];

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct raw raw;

        assert_int_equal(raw_connect(&raw, host.address), 0);
        assert_int_equal(raw_region(&raw), 0);
        for (size_t j = 0; j < counts[i]; j++)
            fds[j] = raw.memfd;
        assert_int_equal(raw_send(raw.socket, &raw.hello, sizeof(raw.hello), fds, counts[i]), 0);
        assert_int_equal(raw_receive(&raw, 1000), sizeof(raw.welcome));
        assert_int_equal(raw.welcome.status, -EPROTO);
        told(&raw, "not a hello with a region");
        raw_close(&raw);
    }
}

static void
regions(void **state)
{
    static const struct {
        int seals;
        int64_t more;
        const char *words;
    } wrong[] = {
        {0, 0, "size sealed"},
        {F_SEAL_SHRINK, 0, "size sealed"},
        {F_SEAL_GROW, 0, "size sealed"},
        {F_SEAL_SEAL, 0, "size sealed"},
        {F_SEAL_SHRINK | F_SEAL_GROW, -1, "the guest's region has"},
        {F_SEAL_SHRINK | F_SEAL_GROW, -4096, "the guest's region has"},
        {F_SEAL_SHRINK | F_SEAL_GROW, 4096, "the guest's region has"},
        {F_SEAL_SHRINK | F_SEAL_GROW, 1ll << 40, "the guest's region has"},
        {F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE, 0, "cannot map"},
        {F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct raw raw;

        assert_int_equal(raw_connect(&raw, host.address), 0);
        raw.memfd = memfd_create("raw", MFD_ALLOW_SEALING);
        assert_int_equal(ftruncate(raw.memfd, (off_t)((int64_t)raw.hello.region_bytes + wrong[i].more)), 0);
        assert_int_equal(fcntl(raw.memfd, F_ADD_SEALS, wrong[i].seals), 0);
        offer(&raw, wrong[i].words);
        if (!wrong[i].words) { /* what was sealed stays so */
            assert_int_equal(ftruncate(raw.memfd, 4096), -1);
            assert_int_equal(errno, EPERM);
        }
        raw_close(&raw);
    }
}

/* A ping in the slot: the session works. */
static bool
pings(struct raw *raw)
{
    struct gpuvchan_record record = {
        .units = 1,
        .opcode = WIRE_CONTROL_PING,
        .flags = GPUVCHAN_RECORD_CALL | GPUVCHAN_RECORD_FLIP,
        .sequence = ++raw->sequence[0],
    };

    memcpy(raw_lane(raw, 0)->slot, &record, sizeof(record));
    raw_open_lane(raw, 0);
    raw_ring_bell(raw, 0);
    return raw_reply(raw, 0, GPUVCHAN_RECORD_FLIP, 1000);
}

/* The guest asks for its region at places that are taken in the worker, or none at all. */
static void
places(void **state)
{
    static int in_data;
    int on_stack = 0;
    void *in_heap = malloc(1);
    const uint64_t bases[] = {
        0,
        4096,
        (uintptr_t)&in_data & ~4095ull,
        (uintptr_t)&on_stack & ~4095ull,
        (uintptr_t)in_heap & ~4095ull,
        (uintptr_t)&places & ~4095ull,
        (uintptr_t)&read & ~4095ull,
        (uintptr_t)&on_stack,
        0x600000000001ull,
        0x600000000000ull,
        0x6efffffff000ull,
        0x7fffffffe000ull,
        1ull << 63,
        UINT64_MAX,
        UINT64_MAX - 4095,
    };

    (void)state;
    free(in_heap);
    for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
        struct raw raw;

        assert_int_equal(raw_connect(&raw, host.address), 0);
        assert_int_equal(raw_region(&raw), 0);
        raw.hello.base = bases[i];
        offer(&raw, NULL);
        assert_int_equal(raw.welcome.flags & ~WIRE_WELCOME_SAME_ADDRESS, 0);
        assert_true(!(raw.welcome.flags & WIRE_WELCOME_SAME_ADDRESS) ||
                    (bases[i] >> 40 >= 0x60 && bases[i] >> 40 < 0x6f));
        assert_int_equal(raw.bell_count, by_hand ? 4 : 0);
        assert_true(pings(&raw));
        raw_close(&raw);
        assert_true(raw_worker_gone(&raw, &host, 2000));
    }
}

static void
features(void **state)
{
    struct raw raw;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(raw_connect(&raw, host.address), 0);
        assert_int_equal(raw_region(&raw), 0);
        raw.hello.features = i ? UINT64_MAX : 0;
        raw.hello.minor = UINT32_MAX;
        memset(raw.hello.program, i ? 0xff : 'x', sizeof(raw.hello.program));
        memset(raw.hello.reserved, 0xee, sizeof(raw.hello.reserved));
        offer(&raw, NULL);
        assert_int_equal(raw.welcome.features & ~(i ? WIRE_FEATURES_KNOWN : 0), 0);
        assert_true(pings(&raw));
        raw_close(&raw);
        assert_true(raw_worker_gone(&raw, &host, 2000));
    }
}

static void
silence(void **state)
{
    struct raw raw[20];

    (void)state;
    for (int i = 0; i < 20; i++) /* nobody waits for them */
        assert_int_equal(raw_connect(&raw[i], host.address), 0);
    for (int i = 0; i < 20; i++) {
        if (by_hand && i % 3 == 0)
            shutdown(raw[i].socket, SHUT_WR);
        if (by_hand && i % 3 == 1)
            send(raw[i].socket, "", 0, MSG_NOSIGNAL);
        raw_close(&raw[i]);
    }
}

/* ---- Records --------------------------------------------------------------------------------- */

static void
greet(struct raw *raw)
{
    assert_int_equal(raw_greet(raw, host.address), 0);
    assert_int_equal(raw->bell_count, by_hand ? 4 : 0);
}

/* Opens the subject: protocol 1 from then on. */
static void
open_subject(struct raw *raw)
{
    struct wire_open open = {
        .version = subject_protocol.version,
        .entries = subject_protocol.entries,
        .hash = subject_protocol.hash,
    };

    memcpy(open.name, "subject", 8);
    raw_open_lane(raw, 0);
    raw_post(raw, 0, 0, WIRE_CONTROL_OPEN, GPUVCHAN_RECORD_CALL, &open, sizeof(open));
    assert_true(raw_reply(raw, 0, GPUVCHAN_RECORD_FLIP, 2000));
}

static void
faults(struct raw *raw, const char *words)
{
    const char *fault = raw_fault(raw, 1000);

    if (!strstr(fault, words))
        print_message("# fault: %s\n", fault);
    assert_non_null(strstr(fault, words));
    assert_true(raw_closed(raw, 1000));
    assert_true(raw_worker_gone(raw, &host, 1000));
    if (own_host)
        assert_true(test_host_said(&host, words, 1000));
    raw_close(raw);
}

static void
headers(void **state)
{
    static const struct {
        struct gpuvchan_record record;
        const char *words;
    } wrong[] = {
        {{.units = 0, .sequence = 1}, "record of 0 bytes"},
        {{.units = 0, .slot = 1}, "record of 0 bytes"},
        {{.units = 65, .sequence = 1}, "record of 1040 bytes"},
        {{.units = 257, .sequence = 1}, "record of 4112 bytes"},
        {{.units = 65535, .sequence = 1}, "record of 1048560 bytes"},
        {{.units = 1, .flags = 4, .sequence = 1}, "flags 0x4"},
        {{.units = 1, .flags = 0x81, .sequence = 1}, "flags 0x81"},
        {{.units = 1, .flags = 3, .sequence = 1}, "flags 0x3"},
        {{.units = 1, .sequence = 0}, "record 0 where 1 was due"},
        {{.units = 1, .sequence = 2}, "record 2 where 1 was due"},
        {{.units = 1, .sequence = 65535}, "record 65535 where 1 was due"},
        {{.units = 1, .flags = GPUVCHAN_RECORD_SKIP}, "does not end the lap"},
        {{.units = 64, .flags = GPUVCHAN_RECORD_SKIP}, "does not end the lap"},
        {{.units = 256, .flags = GPUVCHAN_RECORD_SKIP}, "record of 4096 bytes"},
        {{.units = 1, .opcode = 77, .sequence = 1}, "unknown control record 77"},
        {{.units = 1, .opcode = 2, .sequence = 1}, "open with 0 bytes"},
        {{.units = 1, .slot = 1, .sequence = 1}, "protocol 1"},
        {{.units = 1, .slot = 200, .sequence = 1}, "protocol 200"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct raw raw;

        greet(&raw);
        raw_open_lane(&raw, 0);
        raw_record(&raw, 0, wrong[i].record, NULL, 0);
        memcpy(raw_ring(&raw, 0), &wrong[i].record, 8);
        faults(&raw, wrong[i].words);
    }
}

static void
replay(void **state)
{
    struct subject_request request = {.value = 1};
    struct raw raw;

    (void)state;
    greet(&raw);
    open_subject(&raw);
    raw_post(&raw, 0, 1, SUBJECT_NOTE, 0, &request, sizeof(request));
    raw.sequence[0]--;
    raw_post(&raw, 0, 1, SUBJECT_NOTE, 0, &request, sizeof(request));
    faults(&raw, "record 2 where 3 was due: repeated or lost");
}

/* The host writes replies to a reader whose position is impossible. */
static void
reply_positions(void **state)
{
    static const uint64_t heads[] = {16, 8, 4096, 1ull << 63, UINT64_MAX, UINT64_MAX - 15};

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct subject_request request = {.value = 900};
        struct raw raw;

        greet(&raw);
        open_subject(&raw);
        atomic_store(&raw_lane(&raw, 0)->reply.head, heads[i]);
        for (int j = 0; j < 8; j++)
            raw_post(&raw, 0, 1, SUBJECT_REPLY, GPUVCHAN_RECORD_CALL, &request, sizeof(request));
        /* 16 is possible once a reply is there; later looks find nothing wrong, and the lane waits. */
        if (heads[i] == 16) {
            raw_close(&raw);
            assert_true(raw_worker_gone(&raw, &host, 2000));
            continue;
        }
        faults(&raw, "is impossible");
    }
}

static void
replies_never_read(void **state)
{
    struct subject_request request = {.value = 900};
    struct raw raw;

    (void)state;
    greet(&raw);
    open_subject(&raw);
    for (int i = 0; i < 60; i++)
        raw_post(&raw, 0, 1, SUBJECT_REPLY, GPUVCHAN_RECORD_CALL, &request, sizeof(request));
    test_sleep_ms(200);
    assert_string_equal(raw_fault(&raw, 1), "");
    raw_close(&raw);
    assert_true(raw_worker_gone(&raw, &host, 1500));
}

/* A lane that seems open and has an old ticket in it, but that nobody serves: only this guest waits. */
static void
lying_tickets(void **state)
{
    struct gpuvchan_record record = {.units = 1, .opcode = WIRE_CONTROL_PING, .sequence = 1, .ticket = 1};
    struct raw raw;

    (void)state;
    greet(&raw);
    raw_prepare_lane(&raw, 1);
    atomic_store(&raw_lane(&raw, 1)->guest_state, WIRE_LANE_OPEN);
    record.sequence = 9; /* refused as soon as somebody looks */
    memcpy(raw_ring(&raw, 1), &record, sizeof(record));
    record.sequence = 1;
    record.ticket = UINT64_MAX;
    raw_open_lane(&raw, 0);
    raw_record(&raw, 0, record, NULL, 0);
    faults(&raw, "lane 1: record 9 where 1 was due");
}

struct flip {
    struct raw raw;
    _Atomic int stop;
};

/* Changes sizes, opcodes, flags and contents of records and slot while the host reads them. */
static NO_TSAN void *
flip_bits(void *argument)
{
    struct flip *flip = argument;
    unsigned char *ring = raw_ring(&flip->raw, 0), *slot = raw_lane(&flip->raw, 0)->slot;
    uint64_t seed = 77;

    while (!flip->stop)
        for (int i = 0; i < 64; i++) {
            uint64_t random = check_random(&seed);

            ((volatile unsigned char *)ring)[random % 4096] = (unsigned char)(random >> 32);
            ((volatile unsigned char *)slot)[random >> 16 & 0xff] = (unsigned char)(random >> 40);
        }
    return NULL;
}

static void
changing_records(void **state)
{
    uint64_t seed = 11, until = test_now_ms() + 1500;
    unsigned sessions = 0;

    (void)state;
    while (test_now_ms() < until || sessions < 3) {
        struct subject_request request = {.value = 200, .index = 1, .reference = {64, 4096}};
        struct flip flip = {.stop = 0};
        pthread_t thread;

        greet(&flip.raw);
        open_subject(&flip.raw);
        assert_int_equal(pthread_create(&thread, NULL, flip_bits, &flip), 0);
        for (int i = 0; i < 2000 && !raw_closed(&flip.raw, 0); i++) {
            static const uint16_t kinds[] = {SUBJECT_NOTE, SUBJECT_ECHO, SUBJECT_FILL, SUBJECT_SIGNAL, SUBJECT_REPLY};
            uint64_t random = check_random(&seed);

            raw_post(&flip.raw, 0, 1, kinds[random % 5], random >> 20 & 1, &request, sizeof(request));
            atomic_store(&raw_lane(&flip.raw, 0)->reply.head, raw_lane(&flip.raw, 0)->reply.head);
        }
        flip.stop = 1;
        pthread_join(thread, NULL);
        raw_close(&flip.raw);
        assert_true(raw_worker_gone(&flip.raw, &host, 4500));
        sessions++;
    }
}

/* A well-formed call whose header a second thread changes to and fro between two sizes. */
static NO_TSAN void *
flip_size(void *argument)
{
    struct flip *flip = argument;
    volatile uint16_t *units = (volatile uint16_t *)(void *)raw_ring(&flip->raw, 0);

    while (!flip->stop) {
        *units = 60;
        *units = 3;
    }
    return NULL;
}

static void
changing_size(void **state)
{
    (void)state;
    for (unsigned i = 0; i < check_rounds(30); i++) {
        struct subject_request request = {.value = 5};
        struct flip flip = {.stop = 0};
        pthread_t thread;

        greet(&flip.raw);
        open_subject(&flip.raw);
        /* To the lap's start, where the other thread writes. */
        while ((flip.raw.tail[0] & 4095) != 0)
            raw_post(&flip.raw, 0, 1, SUBJECT_ECHO, 0, NULL, 0);
        assert_int_equal(pthread_create(&thread, NULL, flip_size, &flip), 0);
        raw_post(&flip.raw, 0, 1, SUBJECT_ECHO, 1, &request, sizeof(request));
        test_sleep_ms(5);
        flip.stop = 1;
        pthread_join(thread, NULL);
        raw_close(&flip.raw);
        assert_true(raw_worker_gone(&flip.raw, &host, 2000));
    }
}

/* ---- Doorbells and descriptors ----------------------------------------------------------------- */

static void
doorbells_like_mad(void **state)
{
    uint64_t until = test_now_ms() + 500;
    struct raw raw;

    (void)state;
    greet(&raw);
    raw_open_lane(&raw, 0);
    raw_open_lane(&raw, 1);
    while (test_now_ms() < until)
        for (int i = 0; i < 100; i++) {
            raw_ring_bell(&raw, 0);
            raw_ring_bell(&raw, 1);
            if (by_hand)
                (void)!send(raw.socket, "many bells", 10, MSG_NOSIGNAL | MSG_DONTWAIT);
            else
                raw_ring_main(&raw);
        }
    assert_true(pings(&raw));
    raw_close(&raw);
    assert_true(raw_worker_gone(&raw, &host, 2000));
}

static void
socket_full(void **state)
{
    static const char rubbish[4096];
    int fds[100], before, after;
    struct raw raw;

    (void)state;
    greet(&raw);
    assert_true(pings(&raw));
    before = test_host_descriptors(&host, (pid_t)raw.welcome.worker_pid);
    for (int i = 0; i < 100; i++)
        fds[i] = raw.memfd;
    for (int i = 0; i < 2000; i++) {
        (void)!send(raw.socket, rubbish, 1 + (size_t)i % sizeof(rubbish), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (i % 10 == 0)
            raw_send(raw.socket, "x", 1, fds, 100); /* and descriptors that nobody asked for */
        if (i % 100 == 0)
            send(raw.socket, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    test_sleep_ms(50);
    after = test_host_descriptors(&host, (pid_t)raw.welcome.worker_pid);
    assert_int_equal(before, after);
    memset(raw_lane(&raw, 0)->slot, 0, 16);
    raw_close(&raw);
    assert_true(raw_worker_gone(&raw, &host, 2000));
}

/* The doorbell to the guest is full and blocks: the lane's thread hangs in it, its worker only for 3 s. */
static void
blocking_doorbell(void **state)
{
    uint64_t full = UINT64_MAX - 1;
    struct raw raw;

    (void)state;
    greet(&raw);
    assert_int_equal(write(raw.bells[1], &full, 8), 8);
    assert_int_equal(fcntl(raw.bells[1], F_SETFL, 0), 0);
    atomic_store(&raw_lane(&raw, 0)->reply.consumer_asleep, 1);
    assert_true(pings(&raw)); /* the reply comes, the thread hangs behind it */
    raw_close(&raw);
    assert_true(raw_worker_gone(&raw, &host, 5000));
}

static void
doorbells_closed(void **state)
{
    struct raw raw;

    (void)state;
    greet(&raw);
    for (int i = 0; i < raw.bell_count; i++)
        close(raw.bells[i]);
    raw.bell_count = 0;
    assert_true(pings(&raw)); /* the lane is just opened: nobody sleeps */
    shutdown(raw.socket, SHUT_WR);
    assert_true(raw_worker_gone(&raw, &host, 2000));
    raw_close(&raw);
}

/* Holes in the region read as zeros; the worker lives or ends, but goes with its guest. */
static void
holes(void **state)
{
    struct raw raw;

    (void)state;
    greet(&raw);
    assert_true(pings(&raw));
    for (int i = 0; i < 50; i++)
        assert_int_equal(
            fallocate(raw.memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)raw.hello.region_bytes), 0);
    raw_ring_bell(&raw, 0);
    raw_close(&raw);
    assert_true(raw_worker_gone(&raw, &host, 2000));
}

/* ---- Run ------------------------------------------------------------------------------------- */

static const char *elsewhere; /* prefix of the addresses of a host that runs there */

static int
start(void **state)
{
    (void)state;
    if (own_host && (elsewhere ? test_host_find(&host, elsewhere, "plain") : test_host_start(&host, NULL)) != 0)
        return 1;
    fflush(NULL);
    neighbour = fork();
    if (neighbour == 0)
        _exit(neighbour_main());
    return neighbour < 0;
}

/* No worker may have crashed, whatever it was told. */
static int
nothing_crashed(void **state)
{
    (void)state;
    check_lap();
    if (test_host_said(&host, " signal ", 0) || test_host_said(&host, "Sanitizer", 0)) {
        print_message("# the host's log:\n%s\n", test_host_log(&host));
        return 1;
    }
    return 0;
}

static int
stop(void **state)
{
    int status = -1;

    kill(neighbour, SIGTERM);
    waitpid(neighbour, &status, 0);
    if (status != 0)
        print_message("# the well-behaved guest: status 0x%x\n", status);
    status |= nothing_crashed(state);
    if (own_host)
        status |= test_host_quiet(&host, 4000) | test_host_stop(&host);
    return status != 0;
}

#define TEST(function) cmocka_unit_test_teardown(function, nothing_crashed)

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(hellos),
        TEST(places),
        TEST(features),
        TEST(silence),
        TEST(headers),
        TEST(replay),
        TEST(reply_positions),
        TEST(replies_never_read),
        TEST(lying_tickets),
        TEST(changing_records),
        TEST(changing_size),
        TEST(doorbells_like_mad),
        /* Sockets and descriptors, which no other transport has. */
        TEST(lengths),
        TEST(wrong_descriptors),
        TEST(numbers_of_descriptors),
        TEST(regions),
        TEST(socket_full),
        TEST(blocking_doorbell),
        TEST(doorbells_closed),
        TEST(holes),
    };
    const size_t everywhere = 12, all = sizeof(tests) / sizeof(tests[0]);

    check_begin();
    own_host = argc < 3;
    elsewhere = argc == 2 ? argv[1] : NULL;
    by_hand = !elsewhere || strncmp(elsewhere, "local:", 6) == 0;
    if (!own_host) {
        snprintf(host.address, sizeof(host.address), "%s", argv[1]);
        snprintf(host.log, sizeof(host.log), "%s", argv[2]);
    }
    return _cmocka_run_group_tests("hostile guest", tests, by_hand ? all : everywhere, start, stop);
}
