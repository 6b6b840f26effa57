/* SPDX-License-Identifier: MIT */
/*
 * What every transport must do. Usage: conformance [TRANSPORT], a name or an address. A transport is a line in
 * the table below: how to come to a host there that serves the subject's plugins (tests/support). For "local"
 * it is started here; "xen:DOMAIN" and "local:/a/folder" say where tests/helpers/test_host serves.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "check.h"
#include "host.h"
#include "subject.h"

struct transport {
    const char *name; /* with a colon: an address follows */
    /* Fills host->address; the host runs when it returns. Called before the test has threads. */
    int (*start)(struct test_host *host, const char *service, const struct test_host_options *options);
    /* @return 0 if the host has ended by itself, without leaving anything behind. */
    int (*stop)(struct test_host *host);
    const char *nobody; /* what a guest is told where no host is */
};

static const char *prefix; /* of the addresses of hosts that serve elsewhere */

static int
start_here(struct test_host *host, const char *service, const struct test_host_options *options)
{
    (void)service;
    return test_host_start(host, options);
}

/* test_host has the same options for each service. */
static int
find_there(struct test_host *host, const char *service, const struct test_host_options *options)
{
    (void)options;
    return test_host_find(host, prefix, service);
}

static const struct transport transports[] = {
    {.name = "local", .start = start_here, .stop = test_host_stop, .nobody = "no host answers"},
    {.name = "local:", .start = find_there, .stop = test_host_stop, .nobody = "no host answers"},
    {.name = "xen:", .start = find_there, .stop = test_host_stop, .nobody = "no gpuvchan-host serves 'nobody'"},
};
static const struct transport *transport;

/* The hosts of all tests, started first. */
static struct test_host host, limited_host, refusing_host, sleepy_host;

static const struct gpuvchan_channel_options plain = {.size = sizeof(plain), .arena_bytes = 1 << 20, .lanes = 4};

/* ---- Helpers --------------------------------------------------------------------------------- */

/* Those that a test has open: what a failed one leaves is closed behind it. */
static struct gpuvchan_channel *open_now[8];

static void
finish(struct gpuvchan_channel *channel)
{
    for (size_t i = 0; i < sizeof(open_now) / sizeof(open_now[0]); i++)
        if (open_now[i] == channel)
            open_now[i] = NULL;
    gpuvchan_channel_close(channel);
}

static int
open_channel(const struct test_host *at, const struct gpuvchan_channel_options *options,
             struct gpuvchan_channel **channel, struct gpuvchan_client *client)
{
    int error = gpuvchan_channel_connect(at->address, options, channel);
    size_t i = 0;

    if (error != 0)
        return error;
    while (open_now[i])
        i++;
    open_now[i] = *channel;
    return gpuvchan_client_open(*channel, &subject_protocol, client);
}

static void
said(const char *words)
{
    if (!strstr(gpuvchan_error_text(), words))
        print_message("# error text: %s\n", gpuvchan_error_text());
    assert_non_null(strstr(gpuvchan_error_text(), words));
}

struct stage {
    struct gpuvchan_channel *channel;
    struct gpuvchan_client client;
};

static void
begin_at(struct stage *stage, const struct gpuvchan_channel_options *options, const struct test_host *at)
{
    int error = open_channel(at, options, &stage->channel, &stage->client);

    if (error != 0)
        print_message("# %d: %s\n", error, gpuvchan_error_text());
    assert_int_equal(error, 0);
}

static void
begin(struct stage *stage, const struct gpuvchan_channel_options *options)
{
    begin_at(stage, options, &host);
}

static pid_t
worker_of_last_guest(void)
{
    pid_t pids[8];
    int count = test_host_workers(&host, pids, 8);

    return count > 0 && count <= 8 ? pids[count - 1] : 0;
}

/* ---- Connecting ------------------------------------------------------------------------------ */

static void
connect_and_close(void **state)
{
    int descriptors;

    (void)state;
    for (int i = 0; i < 12; i++) {
        struct stage stage;

        if (i == 2)
            descriptors = test_descriptors(getpid());
        begin(&stage, i % 2 ? &plain : NULL);
        assert_int_equal(gpuvchan_channel_error(stage.channel), 0);
        assert_int_equal(subject_call(&stage.client, SUBJECT_NOTE, 1), 0);
        finish(stage.channel);
    }
    assert_int_equal(test_descriptors(getpid()), descriptors);
    gpuvchan_channel_close(NULL);
    assert_int_equal(test_host_quiet(&host, 2000), 0);
}

static void
sessions_have_names(void **state)
{
    static const uint8_t none[16];
    struct stage one, two;

    (void)state;
    begin(&one, &plain);
    begin(&two, &plain);
    assert_memory_not_equal(gpuvchan_channel_session(one.channel), none, 16);
    assert_memory_not_equal(gpuvchan_channel_session(one.channel), gpuvchan_channel_session(two.channel), 16);
    finish(one.channel);
    finish(two.channel);
}

static void
wrong_options(void **state)
{
    static const struct {
        struct gpuvchan_channel_options options;
        const char *words;
    } wrong[] = {
        {{.size = 1}, "set size"},
        {{.size = sizeof(plain), .lanes = 1025}, "at most 1024"},
        {{.size = sizeof(plain), .command_bytes = 4095}, "power of two"},
        {{.size = sizeof(plain), .command_bytes = 2048}, "power of two"},
        {{.size = sizeof(plain), .command_bytes = 12288}, "power of two"},
        {{.size = sizeof(plain), .command_bytes = 32u << 20}, "power of two"},
        {{.size = sizeof(plain), .reply_bytes = 1u << 31}, "power of two"},
        {{.size = sizeof(plain), .arena_bytes = (1ull << 40) + 1}, "too large"},
        {{.size = sizeof(plain), .arena_bytes = UINT64_MAX}, "too large"},
    };
    struct gpuvchan_channel *channel = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(gpuvchan_channel_connect(host.address, &wrong[i].options, &channel), -EINVAL);
        said(wrong[i].words);
    }
    assert_int_equal(gpuvchan_channel_connect("nonsense", &plain, &channel), -EINVAL);
    said("is no address");
    assert_null(channel);
}

static void
right_options(void **state)
{
    static const struct gpuvchan_channel_options right[] = {
        {.size = sizeof(plain), .lanes = 1, .command_bytes = 4096, .reply_bytes = 4096, .arena_bytes = 1},
        {.size = sizeof(plain), .lanes = 64, .command_bytes = 8192, .reply_bytes = 65536, .arena_bytes = 4097},
        {.size = sizeof(plain),
         .lanes = 3,
         .command_bytes = 16u << 20,
         .reply_bytes = 4096,
         .arena_bytes = 1 << 20,
         .spin_us = -1},
        {.size = sizeof(size_t)}, /* an older program, which knows none of the fields */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        struct stage stage;
        struct gpuvchan_buffer *buffer;
        uint64_t all, asked = (right[i].arena_bytes + 4095) / 4096 * 4096;

        /* Where limits count what is shared, that of a channel counts until its worker has ended. */
        assert_int_equal(test_host_quiet(&host, 3000), 0);
        begin(&stage, &right[i]);
        all = gpuvchan_arena_size(stage.channel); /* a default may be lowered by such limits */
        assert_true(asked != 0 ? all == asked : all >= 256 << 10 && all <= 1 << 30);
        assert_int_equal(gpuvchan_buffer_create(stage.channel, all + 1, &buffer), -ENOMEM);
        assert_int_equal(gpuvchan_buffer_create(stage.channel, all, &buffer), 0);
        assert_int_equal(gpuvchan_buffer_size(buffer), all);
        gpuvchan_buffer_destroy(buffer);
        assert_int_equal(subject_call(&stage.client, SUBJECT_NOTE, 1), 0);
        finish(stage.channel);
    }
}

static void
environment(void **state)
{
    static const char *const times[] = {"", "0", "-1", "soon", "10s", "3601", "99999999999999999999"};
    const char *times_named = getenv("GPUVCHAN_TIMEOUT");
    char *times_before = times_named ? strdup(times_named) : NULL;
    struct gpuvchan_channel *channel, *again;
    struct gpuvchan_buffer *buffer;

    (void)state;
    setenv("GPUVCHAN_ADDRESS", host.address, 1);
    setenv("GPUVCHAN_ARENA", "64K", 1);
    assert_int_equal(gpuvchan_channel_shared(&channel), 0);
    assert_int_equal(gpuvchan_channel_shared(&again), 0);
    assert_ptr_equal(channel, again);
    assert_int_equal(gpuvchan_buffer_create(channel, 65537, &buffer), -ENOMEM);
    said("GPUVCHAN_ARENA");
    setenv("GPUVCHAN_ARENA", "64 cats", 1);
    assert_int_equal(gpuvchan_channel_connect(NULL, NULL, &again), -EINVAL);
    said("64 cats");
    unsetenv("GPUVCHAN_ARENA");
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        setenv("GPUVCHAN_TIMEOUT", times[i], 1);
        assert_int_equal(gpuvchan_channel_connect(NULL, NULL, &again), -EINVAL);
        said("GPUVCHAN_TIMEOUT: '");
    }
    setenv("GPUVCHAN_TIMEOUT", "60", 1);
    assert_int_equal(gpuvchan_channel_connect(NULL, &plain, &again), 0);
    gpuvchan_channel_close(again);
    if (times_before)
        setenv("GPUVCHAN_TIMEOUT", times_before, 1);
    else
        unsetenv("GPUVCHAN_TIMEOUT");
    free(times_before);
    unsetenv("GPUVCHAN_ADDRESS");
    finish(channel);
}

static void
limits(void **state)
{
    struct gpuvchan_channel_options options = plain;
    struct gpuvchan_channel *channel = NULL;

    (void)state;
    options.lanes = 5;
    assert_int_equal(gpuvchan_channel_connect(limited_host.address, &options, &channel), -E2BIG);
    said("the host allows 4 lanes, 5 were asked for");
    options.lanes = 4;
    options.arena_bytes = (2 << 20) + 4096;
    assert_int_equal(gpuvchan_channel_connect(limited_host.address, &options, &channel), -E2BIG);
    said("2101248");
    said("2097152");
    assert_null(channel);
    options.arena_bytes = 2 << 20;
    assert_int_equal(gpuvchan_channel_connect(limited_host.address, &options, &channel), 0);
    finish(channel);
}

#define CROWD 40 /* threads besides the main one, which has a lane too */

struct crowd {
    struct stage *stage;
    pthread_barrier_t all_here;
    _Atomic int served, refused;
};

static void *
one_of_a_crowd(void *argument)
{
    struct crowd *crowd = argument;

    if (subject_call(&crowd->stage->client, SUBJECT_NOTE, 1) == 0)
        atomic_fetch_add(&crowd->served, 1);
    else
        atomic_fetch_add(&crowd->refused, strstr(gpuvchan_error_text(), "lanes are taken") != NULL);
    pthread_barrier_wait(&crowd->all_here); /* with its lane, if it has one */
    return NULL;
}

static struct crowd
gather(struct stage *stage)
{
    struct crowd crowd = {.stage = stage};
    pthread_t threads[CROWD];

    pthread_barrier_init(&crowd.all_here, NULL, CROWD);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, one_of_a_crowd, &crowd), 0);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&crowd.all_here);
    return crowd;
}

/* Far more threads than usual, twice: the second ones find the lanes of the first. */
static void
many_threads(void **state)
{
    static const struct gpuvchan_channel_options wide = {
        .size = sizeof(wide), .arena_bytes = 1 << 20, .lanes = CROWD + 1, .command_bytes = 4096, .reply_bytes = 4096};
    struct stage stage;

    (void)state;
    begin(&stage, &wide);
    for (int i = 0; i < 2; i++) {
        struct crowd crowd = gather(&stage);

        assert_int_equal(crowd.served, CROWD);
    }
    finish(stage.channel);
}

/* What nobody asked for may be less. */
static void
lanes_by_the_host(void **state)
{
    static const struct gpuvchan_channel_options usual = {
        .size = sizeof(usual), .arena_bytes = 1 << 20, .command_bytes = 4096, .reply_bytes = 4096};
    struct stage stage;
    struct crowd crowd;

    (void)state;
    begin_at(&stage, &usual, &limited_host);
    crowd = gather(&stage);
    assert_int_equal(crowd.served, 4 - 1);
    assert_int_equal(crowd.refused, CROWD - crowd.served);
    finish(stage.channel);
}

static void
lanes_by_the_environment(void **state)
{
    static const struct gpuvchan_channel_options usual = {.size = sizeof(usual), .arena_bytes = 1 << 20};
    struct gpuvchan_channel *channel = NULL;
    struct stage stage;
    struct crowd crowd;

    (void)state;
    setenv("GPUVCHAN_LANES", "7", 1);
    begin(&stage, &usual);
    crowd = gather(&stage);
    assert_int_equal(crowd.served, 7 - 1);
    assert_int_equal(crowd.refused, CROWD - crowd.served);
    finish(stage.channel);
    setenv("GPUVCHAN_LANES", "many", 1);
    assert_int_equal(gpuvchan_channel_connect(host.address, &usual, &channel), -EINVAL);
    said("GPUVCHAN_LANES: 'many'");
    unsetenv("GPUVCHAN_LANES");
}

static void
refusal(void **state)
{
    struct gpuvchan_channel *channel = NULL;
    int descriptors;

    (void)state;
    for (int i = 0; i < 5; i++) {
        if (i == 1)
            descriptors = test_descriptors(getpid());
        assert_int_equal(gpuvchan_channel_connect(refusing_host.address, &plain, &channel), -EACCES);
        said("closed for the holidays");
    }
    assert_int_equal(test_descriptors(getpid()), descriptors);
    assert_null(channel);
}

/* ---- Protocols ------------------------------------------------------------------------------- */

static void
protocols(void **state)
{
    struct stage stage;
    struct gpuvchan_client again, second, other = {.slot = 99};
    struct gpuvchan_protocol changed = subject_protocol;

    (void)state;
    begin(&stage, &plain);
    assert_int_equal(gpuvchan_client_open(stage.channel, &subject_protocol, &again), 0);
    assert_int_equal(again.slot, stage.client.slot);
    assert_int_equal(gpuvchan_client_open(stage.channel, &second_protocol, &second), 0);
    assert_int_not_equal(second.slot, stage.client.slot);
    changed.version++;
    assert_int_equal(gpuvchan_client_open(stage.channel, &changed, &other), -EPROTONOSUPPORT);
    said("another version of the protocol (3, the guest has 4)");
    changed = subject_protocol;
    changed.hash++;
    assert_int_equal(gpuvchan_client_open(stage.channel, &changed, &other), -EPROTONOSUPPORT);
    changed = subject_protocol;
    changed.entries--;
    assert_int_equal(gpuvchan_client_open(stage.channel, &changed, &other), -EPROTONOSUPPORT);
    changed = subject_protocol;
    changed.name = "unheard-of";
    assert_int_equal(gpuvchan_client_open(stage.channel, &changed, &other), -ENOENT);
    said("unheard-of: this host has no plugin");
    changed.name = "a-name-of-more-than-thirty-one-letters";
    assert_int_equal(gpuvchan_client_open(stage.channel, &changed, &other), -EINVAL);
    assert_int_equal(gpuvchan_client_open(stage.channel, &broken_protocol, &other), -ENODEV);
    said("could not open");
    assert_int_equal(other.slot, 99);
    /* None of that ends the channel, and the two plugins have states of their own. */
    assert_int_equal(subject_call(&stage.client, SUBJECT_NOTE, 1), 0);
    assert_int_equal(subject_notes(&stage.client, 0, NULL, 0), 1);
    assert_int_equal(subject_notes(&second, 0, NULL, 0), 0);
    finish(stage.channel);
}

/* ---- Calls and posts ------------------------------------------------------------------------- */

static void
echoes(const struct gpuvchan_channel_options *options)
{
    static unsigned char text[65536];
    struct stage stage;
    size_t most = options->command_bytes / 4 - 16, most_back = options->reply_bytes / 4 - 16;
    size_t max = most < most_back ? most : most_back;
    const void *reply;
    uint32_t bytes;

    begin(&stage, options);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (unsigned char)(i * 11 + 3);
    for (size_t size = 0; size <= max; size += size < 300 || size + 20 > max ? 1 : size / 3) {
        assert_int_equal(subject_send(&stage.client, SUBJECT_ECHO, true, text, size, &reply, &bytes), 0);
        assert_int_equal(bytes, (size + 15) / 16 * 16);
        assert_memory_equal(reply, text, size);
    }
    assert_int_equal(subject_send(&stage.client, SUBJECT_ECHO, true, text, most + 1, &reply, &bytes), -EMSGSIZE);
    assert_int_equal(subject_send(&stage.client, SUBJECT_ECHO, false, text, most + 1, &reply, &bytes), -EMSGSIZE);
    assert_int_equal(gpuvchan_channel_error(stage.channel), 0);
    for (uint64_t size = 0; size <= most_back; size += 1 + size / 20) {
        struct subject_request request = {.value = size};
        const unsigned char *at;

        assert_int_equal(subject_send(&stage.client, SUBJECT_REPLY, true, &request, sizeof(request), &reply, &bytes),
                         0);
        assert_int_equal(bytes, size);
        at = reply;
        for (uint64_t i = 0; i < size; i++)
            assert_int_equal(at[i], (unsigned char)(i * 7 + size));
    }
    assert_int_equal(subject_call(&stage.client, SUBJECT_REPLY, most_back + 1), -EMSGSIZE);
    assert_int_equal(subject_call(&stage.client, SUBJECT_NOTE, 1), 0);
    finish(stage.channel);
}

static void
calls(void **state)
{
    static const struct gpuvchan_channel_options sizes[] = {
        {.size = sizeof(plain), .arena_bytes = 4096, .command_bytes = 4096, .reply_bytes = 4096},
        {.size = sizeof(plain), .arena_bytes = 4096, .command_bytes = 16384, .reply_bytes = 4096},
        {.size = sizeof(plain), .arena_bytes = 4096, .command_bytes = 131072, .reply_bytes = 262144},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        echoes(&sizes[i]);
}

static void
posts(void **state)
{
    static uint64_t notes[SUBJECT_NOTES_MAX];
    const uint64_t count = check_rounds(100000);
    struct stage stage;

    (void)state;
    begin(&stage, &plain);
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(subject_post(&stage.client, SUBJECT_NOTE, i * 3), 0);
    assert_int_equal(subject_notes(&stage.client, 0, notes, count), count);
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(notes[i], i * 3);
    finish(stage.channel);
}

static void
statuses(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, &plain);
    assert_int_equal(subject_call(&stage.client, SUBJECT_FAIL, 700), 700);
    assert_int_equal(subject_call(&stage.client, SUBJECT_FAIL, (uint64_t)-EIO), -EIO);
    assert_int_equal(subject_call(&stage.client, SUBJECT_FAIL, INT32_MAX), INT32_MAX);
    assert_int_equal(subject_call(&stage.client, SUBJECT_FAIL, 0), 0);
    assert_int_equal(gpuvchan_channel_error(stage.channel), 0);
    finish(stage.channel);
}

/* The first error of a post stays until it is taken; calls take it. */
static void
deferred_errors(void **state)
{
    struct stage stage;
    struct gpuvchan_lane *lane;
    uint32_t ns;

    (void)state;
    begin(&stage, &plain);
    lane = gpuvchan_lane_current(stage.channel);
    assert_int_equal(gpuvchan_lane_take_error(lane), 0);
    for (int round = 1; round < 50; round++) {
        assert_int_equal(subject_post(&stage.client, SUBJECT_FAIL, (uint64_t)round), 0);
        assert_int_equal(subject_post(&stage.client, SUBJECT_FAIL, 1000), 0);
        assert_int_equal(subject_post(&stage.client, SUBJECT_NOTE, 5), 0);
        assert_int_equal(subject_post(&stage.client, SUBJECT_FAIL, 1001), 0);
        assert_int_equal(subject_call(&stage.client, SUBJECT_NOTE, 1), round);
        assert_int_equal(subject_call(&stage.client, SUBJECT_NOTE, 1), 0);
    }
    /* A call's own failure goes first and leaves the other. */
    assert_int_equal(subject_post(&stage.client, SUBJECT_FAIL, 21), 0);
    assert_int_equal(subject_call(&stage.client, SUBJECT_FAIL, 22), 22);
    assert_int_equal(gpuvchan_lane_take_error(lane), 21);
    assert_int_equal(gpuvchan_lane_take_error(lane), 0);
    /* Measuring the distance takes none. */
    assert_int_equal(subject_post(&stage.client, SUBJECT_FAIL, (uint64_t)-ENOSPC), 0);
    assert_int_equal(gpuvchan_lane_distance(lane, &ns), 0);
    assert_true(ns > 0);
    assert_int_equal(gpuvchan_lane_take_error(lane), -ENOSPC);
    finish(stage.channel);
}

static void
synchronous(void **state)
{
    struct stage stage;

    (void)state;
    setenv("GPUVCHAN_SYNC", "1", 1);
    begin(&stage, &plain);
    unsetenv("GPUVCHAN_SYNC");
    assert_int_equal(subject_post(&stage.client, SUBJECT_FAIL, 31), 31);
    assert_int_equal(subject_post(&stage.client, SUBJECT_NOTE, 31), 0);
    assert_int_equal(subject_call(&stage.client, SUBJECT_NOTE, 31), 0);
    finish(stage.channel);
}

/* ---- Full rings, sleeping -------------------------------------------------------------------- */

/* While the host is busy the guest fills its ring and sleeps; then all goes on. */
static void
full_ring(void **state)
{
    static const struct gpuvchan_channel_options tiny = {
        .size = sizeof(tiny), .arena_bytes = 4096, .command_bytes = 4096, .reply_bytes = 4096};
    struct stage stage;

    (void)state;
    for (int spin = -1; spin <= 0; spin++) {
        struct gpuvchan_channel_options options = tiny;
        uint64_t started;

        options.spin_us = spin;
        begin(&stage, &options);
        started = test_now_ms();
        assert_int_equal(subject_post(&stage.client, SUBJECT_SLEEP, 150), 0);
        for (uint64_t i = 0; i < 2000; i++)
            assert_int_equal(subject_post(&stage.client, SUBJECT_NOTE, i), 0);
        assert_true(test_now_ms() - started >= 140);
        assert_int_equal(subject_notes(&stage.client, 0, NULL, 0), 2000);
        finish(stage.channel);
    }
}

/* Both sides sleep between calls; each wakes the other. */
static void
sleep_and_wake(const struct test_host *at, int32_t spin_us)
{
    struct gpuvchan_channel_options options = plain;
    struct stage stage;

    options.spin_us = spin_us;
    assert_int_equal(open_channel(at, &options, &stage.channel, &stage.client), 0);
    for (uint64_t i = 0; i < check_rounds(1500); i++) {
        assert_int_equal(subject_post(&stage.client, SUBJECT_NOTE, i), 0);
        if (i % 100 == 0)
            test_sleep_ms(1);
        assert_int_equal(subject_call(&stage.client, i % 100 == 50 ? SUBJECT_SLEEP : SUBJECT_NOTE, 1), 0);
    }
    finish(stage.channel);
}

static void
doorbells(void **state)
{
    (void)state;
    sleep_and_wake(&sleepy_host, -1);
    sleep_and_wake(&sleepy_host, 0);
    sleep_and_wake(&host, -1);
    sleep_and_wake(&host, 0);
}

static void
idle_costs_nothing(void **state)
{
    struct stage stage;
    uint64_t before;
    pid_t worker;

    (void)state;
    assert_int_equal(test_host_quiet(&host, 2000), 0);
    begin(&stage, &plain);
    assert_int_equal(subject_call(&stage.client, SUBJECT_NOTE, 1), 0);
    worker = worker_of_last_guest();
    assert_true(worker > 0);
    test_sleep_ms(20);
    before = test_host_ticks(&host, worker);
    test_sleep_ms(500);
    assert_true(test_host_ticks(&host, worker) - before <= 1);
    finish(stage.channel);
}

/* ---- Arena and completion words -------------------------------------------------------------- */

static void
buffers(void **state)
{
    struct subject_request request = {0};
    struct gpuvchan_buffer *one, *two;
    struct stage stage;
    uint64_t offset;
    unsigned char *data;

    (void)state;
    begin(&stage, &plain);
    assert_int_equal(gpuvchan_buffer_create(stage.channel, 0, &one), -EINVAL);
    assert_int_equal(gpuvchan_buffer_create(stage.channel, 100, &one), 0);
    assert_int_equal(gpuvchan_buffer_create(stage.channel, 8192, &two), 0);
    data = gpuvchan_buffer_data(two);
    assert_int_equal((uintptr_t)data % 4096, 0);
    assert_true(gpuvchan_arena_locate(stage.channel, data + 5, 8187, &offset));
    assert_true(offset == gpuvchan_buffer_offset(two) + 5);
    assert_true(gpuvchan_arena_locate(stage.channel, data, (1 << 20) - gpuvchan_buffer_offset(two), &offset));
    assert_false(gpuvchan_arena_locate(stage.channel, data, (1 << 20) - gpuvchan_buffer_offset(two) + 1, &offset));
    assert_false(gpuvchan_arena_locate(stage.channel, data - gpuvchan_buffer_offset(two) - 1, 1, &offset));
    assert_false(gpuvchan_arena_locate(stage.channel, &stage, 1, &offset));
    assert_false(gpuvchan_arena_locate(stage.channel, data, SIZE_MAX, &offset));
    memset(gpuvchan_buffer_data(one), 1, 4096);
    memset(data, 2, 8192);
    request.value = 3;
    request.reference = (struct gpuvchan_reference){gpuvchan_buffer_offset(two) + 1, 8190};
    assert_int_equal(subject_send(&stage.client, SUBJECT_FILL, false, &request, sizeof(request), NULL, NULL), 0);
    assert_int_equal(subject_call(&stage.client, SUBJECT_NOTE, 0), 0);
    assert_int_equal(((unsigned char *)gpuvchan_buffer_data(one))[4095], 1);
    assert_int_equal(data[0], 2);
    for (size_t i = 1; i < 8191; i++)
        assert_int_equal(data[i], 3);
    assert_int_equal(data[8191], 2);
    gpuvchan_arena_write(gpuvchan_lane_current(stage.channel), data + 3, "written", 7);
    assert_memory_equal(data + 3, "written", 7);
    gpuvchan_buffer_destroy(one);
    gpuvchan_buffer_destroy(two);
    gpuvchan_buffer_destroy(NULL);
    finish(stage.channel);
}

/* The same memory at a second place, where the transport's can be. */
static void
mapped_again(void **state)
{
    unsigned char *place = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct gpuvchan_buffer *buffer;
    struct stage stage;
    unsigned char *data;
    int error;

    (void)state;
    assert_true(place != MAP_FAILED);
    memset(place, 7, 12288);
    begin(&stage, &plain);
    assert_int_equal(gpuvchan_buffer_create(stage.channel, 8192, &buffer), 0);
    data = gpuvchan_buffer_data(buffer);
    memset(data, 1, 8192);
    assert_int_equal(gpuvchan_buffer_map_over(buffer, 0, 8192, place + 1), -EINVAL);
    assert_int_equal(gpuvchan_buffer_map_over(buffer, 4096, 8192, place), -EINVAL);
    assert_int_equal(gpuvchan_buffer_map_over(buffer, 0, 0, place), -EINVAL);
    error = gpuvchan_buffer_map_over(buffer, 4096, 4096, place + 4096);
    assert_true(error == 0 || error == -EOPNOTSUPP);
    assert_int_equal(place[4096], error == 0 ? 1 : 7);
    data[8191] = 2;
    assert_int_equal(place[8191], error == 0 ? 2 : 7);
    place[4097] = 3;
    assert_int_equal(data[4097], error == 0 ? 3 : 1);
    assert_true(place[4095] == 7 && place[8192] == 7);
    gpuvchan_buffer_destroy(buffer);
    finish(stage.channel);
    munmap(place, 12288);
}

static void
reference_outside(void **state)
{
    static const struct gpuvchan_reference outside[] = {
        {0, (1 << 20) + 1}, {1 << 20, 1},    {(1 << 20) - 1, 2},
        {UINT64_MAX, 1},    {1, UINT64_MAX}, {UINT64_MAX, UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        struct subject_request request = {.reference = outside[i]};
        struct stage stage;
        const void *reply;
        uint32_t bytes;

        begin(&stage, &plain);
        assert_int_equal(subject_send(&stage.client, SUBJECT_FILL, true, &request, sizeof(request), &reply, &bytes),
                         -EPROTO);
        said("are not in the arena");
        finish(stage.channel);
    }
}

static void
completion_words(void **state)
{
    struct subject_request request = {0};
    struct stage stage;
    uint32_t index, first;
    int count = 1;

    (void)state;
    begin(&stage, &plain);
    assert_int_equal(gpuvchan_completion_create(stage.channel, &index), 0);
    assert_true(gpuvchan_completion_read(stage.channel, index) == 0);
    assert_int_equal(gpuvchan_completion_spin(stage.channel, index, 1, 100), -ETIME);
    assert_int_equal(gpuvchan_completion_spin(stage.channel, index, 0, 0), 0);
    request.index = index;
    request.value = 1ull << 40;
    assert_int_equal(subject_send(&stage.client, SUBJECT_SIGNAL, false, &request, sizeof(request), NULL, NULL), 0);
    assert_int_equal(gpuvchan_completion_spin(stage.channel, index, 1ull << 40, (uint32_t)test_ms(1000) * 1000), 0);
    assert_true(gpuvchan_completion_read(stage.channel, index) == 1ull << 40);
    first = index;
    while (gpuvchan_completion_create(stage.channel, &index) == 0)
        count++;
    assert_int_equal(count, 8192);
    said("all 8192 completion words are taken");
    gpuvchan_completion_destroy(stage.channel, first);
    assert_int_equal(gpuvchan_completion_create(stage.channel, &index), 0);
    assert_int_equal(index, first);
    assert_true(gpuvchan_completion_read(stage.channel, index) == 0);
    finish(stage.channel);
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static void
two_guests(void **state)
{
    struct stage one, two;

    (void)state;
    begin(&one, &plain);
    begin(&two, &plain);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(subject_post(&one.client, SUBJECT_NOTE, i), 0);
        if (i % 2)
            assert_int_equal(subject_call(&two.client, SUBJECT_NOTE, i), 0);
    }
    assert_int_equal(subject_notes(&one.client, 0, NULL, 0), 1000);
    assert_int_equal(subject_notes(&two.client, 0, NULL, 0), 500);
    /* One breaks the protocol; the other notices nothing. */
    assert_int_equal(subject_call(&one.client, SUBJECT_CORRUPT, 5), -EPROTO);
    said("the host ended the channel: lane 0, record ");
    said("the subject says so, 5 times");
    assert_int_equal(gpuvchan_channel_error(one.channel), -EPROTO);
    assert_int_equal(subject_call(&one.client, SUBJECT_NOTE, 5), -EPROTO);
    assert_int_equal(subject_call(&two.client, SUBJECT_NOTE, 1), 0);
    assert_true(test_host_said(&host, "broke the protocol: lane 0, record ", 1000));
    finish(one.channel);
    finish(two.channel);
}

/* Records that the protocol does not have, by a guest that otherwise keeps to the rules. */
static void
impossible_records(void **state)
{
    static const struct {
        uint8_t slot;
        uint16_t opcode;
        size_t bytes;
        const char *words;
    } wrong[] = {
        {0, 0, 0, "unknown control record 0"},
        {0, 4, 0, "unknown control record 4"},
        {0, 65535, 0, "unknown control record 65535"},
        {0, 2, 16, "open with 16 bytes"},
        {2, 1, 32, "protocol 2"},
        {15, 1, 32, "protocol 15"},
        {16, 1, 32, "protocol 16"},
        {255, 1, 32, "protocol 255"},
        {1, 0, 32, "no entry 0"},
        {1, SUBJECT_OPCODES, 32, "no entry 14"},
        {1, 65535, 32, "no entry 65535"},
        {1, SUBJECT_FAIL, 16, "fail with 16 bytes"},
        {1, SUBJECT_FAIL, 48, "fail with 48 bytes"},
        {1, SUBJECT_FAIL, 0, "fail with 0 bytes"},
    };
    static const char zeros[64];

    (void)state;
    /* Each as a call and as a post; where time is short, as the one or the other. */
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        for (unsigned kind = 0; kind < check_rounds(2); kind++) {
            bool call = (i + kind) % 2;
            struct stage stage;
            const void *reply;
            uint32_t bytes;
            int error;

            begin(&stage, &plain);
            stage.client.slot = wrong[i].slot;
            error = subject_send(&stage.client, wrong[i].opcode, call, zeros, wrong[i].bytes, &reply, &bytes);
            if (!call) {
                assert_int_equal(error, 0);
                error = gpuvchan_lane_distance(gpuvchan_lane_current(stage.channel), &bytes);
            }
            assert_int_equal(error, -EPROTO);
            said(wrong[i].words);
            finish(stage.channel);
        }
}

static void
guest_leaves_work_behind(void **state)
{
    struct stage stage;
    int status;
    pid_t pid;

    (void)state;
    for (int way = 0; way < 2; way++) {
        pid = fork();
        if (pid == 0) {
            if (open_channel(&host, &plain, &stage.channel, &stage.client) != 0)
                _exit(1);
            subject_post(&stage.client, SUBJECT_SLEEP, 100);
            for (uint64_t i = 0; i < 500; i++)
                subject_post(&stage.client, SUBJECT_NOTE, i);
            if (way == 0)
                finish(stage.channel);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(test_host_quiet(&host, 2000), 0);
    }
}

static void *
call_for_long(void *argument)
{
    struct stage *stage = argument;
    intptr_t error = subject_call(&stage->client, SUBJECT_BLOCK, 99);

    return (void *)error;
}

/* The worker's death ends a call that waits, within a second, and posts when the ring is full. */
static void
worker_dies(void **state)
{
    struct stage stage;
    pthread_t thread;
    uint64_t started;
    void *result;
    int error = 0;

    (void)state;
    assert_int_equal(test_host_quiet(&host, 2000), 0);
    begin(&stage, &plain);
    assert_int_equal(pthread_create(&thread, NULL, call_for_long, &stage), 0);
    test_sleep_ms(30);
    started = test_now_ms();
    assert_int_equal(test_host_kill(&host, worker_of_last_guest(), SIGKILL), 0);
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, -EPIPE);
    for (uint64_t i = 0; error == 0; i++)
        error = subject_post(&stage.client, SUBJECT_NOTE, i);
    assert_int_equal(error, -EPIPE);
    said("the worker on the host has ended"); /* also in this thread, which did not see it happen */
    assert_true(test_now_ms() - started < (uint64_t)test_ms(1000));
    assert_int_equal(gpuvchan_channel_error(stage.channel), -EPIPE);
    assert_null(gpuvchan_reserve(gpuvchan_lane_current(stage.channel), 16));
    finish(stage.channel);
}

static void
worker_dies_in_a_call(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, &plain);
    assert_int_equal(subject_call(&stage.client, SUBJECT_DIE, 0), -EPIPE);
    said("the worker on the host has ended");
    finish(stage.channel);
    /* The host goes on. */
    begin(&stage, &plain);
    assert_int_equal(subject_call(&stage.client, SUBJECT_NOTE, 0), 0);
    finish(stage.channel);
}

/* gpuvchan_session_stop(), here from a signal handler. */
static void
session_is_stopped(void **state)
{
    struct stage stage;
    uint64_t started;

    (void)state;
    assert_int_equal(test_host_quiet(&host, 2000), 0);
    begin(&stage, &plain);
    assert_int_equal(subject_post(&stage.client, SUBJECT_NOTE, 1), 0);
    started = test_now_ms();
    assert_int_equal(test_host_kill(&host, worker_of_last_guest(), SIGTERM), 0);
    assert_int_equal(test_host_quiet(&host, 2000), 0);
    assert_int_equal(subject_call(&stage.client, SUBJECT_NOTE, 1), -EPIPE);
    assert_true(test_now_ms() - started < (uint64_t)test_ms(1000));
    finish(stage.channel);
}

/* A handler that does not return holds the worker for 3 s after its guest's end, no longer. */
static void
stuck_handler(void **state)
{
    struct stage stage;
    uint64_t started = test_now_ms();

    (void)state;
    begin(&stage, &plain);
    assert_int_equal(subject_call(&stage.client, SUBJECT_NOTE, 1), 0); /* its lane is served */
    assert_int_equal(subject_post(&stage.client, SUBJECT_BLOCK, 99), 0);
    test_sleep_ms(test_ms(20));
    finish(stage.channel);
    assert_int_equal(test_host_quiet(&host, 5000), 0);
    assert_true(test_now_ms() - started < (uint64_t)test_ms(5000) + 1000);
    assert_true(test_host_said(&host, "lane 0 does not end", 1000));
}

/* A forked child cannot use the channel, and does not keep it alive when its parent has gone. */
static void
forked_child(void **state)
{
    struct stage stage;
    int status, pipe_ends[2];
    pid_t pid, child;

    (void)state;
    begin(&stage, &plain);
    pid = fork();
    if (pid == 0) {
        const char *words = "belongs to the parent";
        int error = subject_post(&stage.client, SUBJECT_NOTE, 1);
        bool told = strstr(gpuvchan_error_text(), words) != NULL;

        if (error != -ENOTCONN || !told || gpuvchan_channel_error(stage.channel) != -ENOTCONN)
            _exit(1);
        if (subject_call(&stage.client, SUBJECT_NOTE, 1) != -ENOTCONN)
            _exit(2);
        finish(stage.channel);
        if (open_channel(&host, &plain, &stage.channel, &stage.client) != 0)
            _exit(3);
        finish(stage.channel);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(subject_call(&stage.client, SUBJECT_NOTE, 1), 0); /* the parent's goes on */
    finish(stage.channel);
    assert_int_equal(test_host_quiet(&host, 2000), 0);

    assert_int_equal(pipe(pipe_ends), 0);
    pid = fork();
    if (pid == 0) {
        if (open_channel(&host, &plain, &stage.channel, &stage.client) != 0)
            _exit(1);
        child = fork();
        if (child == 0) {
            for (int i = 0; i < 100; i++)
                test_sleep_ms(test_ms(50));
            _exit(0);
        }
        (void)!write(pipe_ends[1], &child, sizeof(child));
        raise(SIGKILL);
    }
    assert_int_equal(read(pipe_ends[0], &child, sizeof(child)), sizeof(child));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(test_host_quiet(&host, 2000), 0);
    assert_int_equal(kill(child, SIGKILL), 0); /* it lived all the time */
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void
nobody_there(void **state)
{
    struct gpuvchan_channel *channel = NULL;
    struct test_host gone;
    uint64_t started = test_now_ms();

    (void)state;
    assert_int_equal(transport->start(&gone, "nobody", NULL), 0);
    assert_int_equal(transport->stop(&gone), 0);
    assert_int_equal(gpuvchan_channel_connect(gone.address, &plain, &channel), -ENOENT);
    said(transport->nobody);
    assert_null(channel);
    assert_true(test_now_ms() - started < (uint64_t)test_ms(2000));
}

/* ---- Run ------------------------------------------------------------------------------------- */

static int
start_hosts(void **state)
{
    struct test_host_options limited = {.limits = {.size = sizeof(limited.limits), .lanes = 4, .arena_bytes = 2 << 20}};
    struct test_host_options refusing = {.refuse = "closed for the holidays"};
    struct test_host_options sleepy = {.limits = {.size = sizeof(sleepy.limits), .spin_us = -1}};

    (void)state;
    return transport->start(&host, "plain", NULL) || transport->start(&limited_host, "limited", &limited) ||
           transport->start(&refusing_host, "refusing", &refusing) || transport->start(&sleepy_host, "sleepy", &sleepy);
}

static int
stop_hosts(void **state)
{
    int failed = 0;

    (void)state;
    failed |= transport->stop(&host);
    failed |= transport->stop(&limited_host);
    failed |= transport->stop(&refusing_host);
    failed |= transport->stop(&sleepy_host);
    return failed;
}

/* No worker stays behind a test. */
static int
all_quiet(void **state)
{
    (void)state;
    check_lap();
    for (size_t i = 0; i < sizeof(open_now) / sizeof(open_now[0]); i++)
        if (open_now[i])
            finish(open_now[i]);
    return test_host_quiet(&host, 3000) | test_host_quiet(&limited_host, 1000) | test_host_quiet(&sleepy_host, 1000);
}

static const struct transport *
transport_find(const char *name)
{
    for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
        const char *known = transports[i].name;

        if (strchr(known, ':') ? strncmp(name, known, strlen(known)) == 0 : strcmp(name, known) == 0)
            return &transports[i];
    }
    return NULL;
}

#define TEST(function) cmocka_unit_test_teardown(function, all_quiet)

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(connect_and_close),
        TEST(sessions_have_names),
        TEST(wrong_options),
        TEST(right_options),
        TEST(environment),
        TEST(limits),
        TEST(many_threads),
        TEST(lanes_by_the_host),
        TEST(lanes_by_the_environment),
        TEST(refusal),
        TEST(protocols),
        TEST(calls),
        TEST(posts),
        TEST(statuses),
        TEST(deferred_errors),
        TEST(synchronous),
        TEST(full_ring),
        TEST(doorbells),
        TEST(idle_costs_nothing),
        TEST(buffers),
        TEST(mapped_again),
        TEST(reference_outside),
        TEST(completion_words),
        TEST(two_guests),
        TEST(impossible_records),
        TEST(guest_leaves_work_behind),
        TEST(worker_dies),
        TEST(worker_dies_in_a_call),
        TEST(session_is_stopped),
        TEST(stuck_handler),
        TEST(forked_child),
        TEST(nobody_there),
    };
    const char *name = argc > 1 ? argv[1] : "local";

    check_begin();
    prefix = name;
    transport = transport_find(name);
    if (!transport) {
        printf("Bail out! there is no transport %s\n", name);
        return 1;
    }
    return cmocka_run_group_tests_name(name, tests, start_hosts, stop_hosts);
}
