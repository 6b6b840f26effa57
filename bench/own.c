/* SPDX-License-Identifier: MIT */
/*
 * own.c - libgpuvchan as a mechanism, through its public interface alone: a real channel, generated stubs,
 * a session with its lane thread, generated checks, and a plugin that counts.
 *
 * Design notes
 *
 * The server's records are executed by the lane's thread; its op only waits, asleep, and only where the
 * clock asks for it (doorbell, idle). All other ops end with a call of the client's, which proves that
 * everything before it was executed and was right.
 *
 * Bulk goes through a window of slots in the arena. The window is larger than a core's own cache and
 * smaller than the one that cores share; a slot is used again when its completion number has come.
 */
#include "own.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gpuvchan/plugin.h>

#include "mechanism.h"

#include "bench-guest.h"
#include "bench-host.h"

#define SLOT_BYTES (64u << 10)
#define SLOTS 64u

/*
 * What is read in place goes in larger pieces through a larger window: a reader that follows closely would
 * fetch each line from the writer's own cache, at a third of the rate of the cache that both share.
 */
#define PIECE_BYTES (1u << 20)
#define PIECES 4u
#define SPIN_DEFAULT 0
#define SPIN_NEVER (-1)

struct window {
    struct gpuvchan_buffer *buffer;
    size_t slot_bytes; /* largest; smaller messages have smaller slots, and more of them */
    uint32_t index;    /* completion word */
    uint64_t filled;   /* slots, ever */
};

struct own {
    int32_t spin_us;
    char path[64];

    /* client */
    struct gpuvchan_channel *channel;
    struct gpuvchan_client client;
    struct gpuvchan_lane *lane;
    struct window slots, pieces;

    /* server */
    struct gpuvchan_session *session;
    pthread_t thread;
};

/* What the server's handlers count; the process has one session. */
static struct {
    uint64_t good; /* messages that were what they should be, since the last finish */
    sem_t wake;    /* posted by each finish */
    unsigned char *private;
} server;

/* ---- Server: the plugin ---------------------------------------------------------------------- */

static int
count(bool right)
{
    server.good += right;
    return right ? 0 : -EPROTO;
}

int
bench_host_call_16(struct gpuvchan_request *request)
{
    (void)request;
    return count(true);
}

int
bench_host_call_64(struct gpuvchan_request *request, const bench_message_64 *sent, bench_message_64 *returned)
{
    (void)request;
    *returned = *sent;
    return count(true);
}

int
bench_host_call_256(struct gpuvchan_request *request, const bench_message_256 *sent, bench_message_256 *returned)
{
    (void)request;
    *returned = *sent;
    return count(true);
}

int
bench_host_post_16(struct gpuvchan_request *request)
{
    (void)request;
    return count(true);
}

int
bench_host_post_64(struct gpuvchan_request *request, const bench_message_64 *sent)
{
    (void)request;
    return count(bench_stamped(sent, sizeof(*sent), server.good));
}

int
bench_host_post_256(struct gpuvchan_request *request, const bench_message_256 *sent)
{
    (void)request;
    return count(bench_stamped(sent, sizeof(*sent), server.good));
}

static int
consumed(struct gpuvchan_request *request, bool right, uint64_t number, uint32_t index)
{
    _Atomic uint64_t *word = gpuvchan_session_completion(request->session, index);

    if (!word)
        return gpuvchan_request_corrupt(request, "completion word %u", index);
    gpuvchan_completion_signal(word, number + 1);
    return count(right);
}

int
bench_host_bulk_copy(struct gpuvchan_request *request, void *data, size_t data_bytes, uint64_t number, uint32_t index)
{
    if (data_bytes < 16 || data_bytes > SLOT_BYTES)
        return -EINVAL;
    gpuvchan_arena_read(server.private, data, data_bytes);
    return consumed(request, bench_stamped(server.private, data_bytes, number), number, index);
}

int
bench_host_bulk_read(struct gpuvchan_request *request, void *data, size_t data_bytes, uint64_t number, uint32_t index)
{
    typedef uint64_t quarter __attribute__((vector_size(16)));
    const quarter *line = data, *end = line + data_bytes / sizeof(*line);
    quarter a = {0}, b = {0}, c = {0}, d = {0};

    if (data_bytes % 64 != 0 || data_bytes == 0 || data_bytes > PIECE_BYTES)
        return -EINVAL;
    for (; line < end; line += 4)
        a ^= line[0], b ^= line[1], c ^= line[2], d ^= line[3];
    a ^= b ^ c ^ d;
    __asm__ volatile("" ::"m"(a)); /* read it all, whatever becomes of the sum */
    return consumed(request, bench_stamped(data, data_bytes, number), number, index);
}

int
bench_host_finish(struct gpuvchan_request *request, uint64_t *total)
{
    (void)request;
    *total = server.good;
    server.good = 0;
    sem_post(&server.wake);
    return 0;
}

static int
plugin_open(struct gpuvchan_session *session, void **state)
{
    (void)session;
    *state = &server;
    return 0;
}

static void
plugin_close(void *state)
{
    (void)state;
}

static const struct gpuvchan_plugin plugin = {
    .size = sizeof(plugin),
    .api = GPUVCHAN_PLUGIN_API,
    .name = "bench",
    .version = GPUVCHAN_VERSION,
    .description = "counts what the benchmark sends",
    .dispatch = &bench_dispatch,
    .open = plugin_open,
    .close = plugin_close,
};

static void *
server_thread(void *argument)
{
    struct own *own = argument;

    gpuvchan_session_run(own->session);
    return NULL;
}

static int
server_start(struct own *own)
{
    struct gpuvchan_session_limits limits = {.size = sizeof(limits), .spin_us = own->spin_us};
    struct gpuvchan_listener *listener;
    struct pollfd knock = {.events = POLLIN};
    struct gpuvchan_peer peer;
    int fd, error;

    server.private = aligned_alloc(4096, SLOT_BYTES);
    if (!server.private || sem_init(&server.wake, 0, 0) != 0)
        return -ENOMEM;
    memset(server.private, 0, SLOT_BYTES);
    error = gpuvchan_listener_create(own->path, &listener);
    if (error != 0)
        return error;
    knock.fd = gpuvchan_listener_fd(listener);
    error = poll(&knock, 1, 2000) == 1 ? gpuvchan_listener_accept(listener, &fd, &peer) : -ETIMEDOUT;
    gpuvchan_listener_destroy(listener);
    if (error == 0)
        error = gpuvchan_session_accept(fd, &limits, &own->session);
    if (error == 0)
        error = gpuvchan_session_offer(own->session, &plugin);
    if (error == 0 && pthread_create(&own->thread, NULL, server_thread, own) != 0)
        error = -EAGAIN;
    return error;
}

/* ---- Client ------------------------------------------------------------------------------------ */

static int
window_create(struct own *own, struct window *window, uint32_t slots, size_t slot_bytes)
{
    int error = gpuvchan_buffer_create(own->channel, slots * slot_bytes, &window->buffer);

    if (error == 0)
        error = gpuvchan_completion_create(own->channel, &window->index);
    if (error != 0)
        return error;
    window->slot_bytes = slot_bytes;
    memset(gpuvchan_buffer_data(window->buffer), 0, slots * slot_bytes);
    return 0;
}

static int
client_start(struct own *own)
{
    struct gpuvchan_channel_options options = {.size = sizeof(options), .spin_us = own->spin_us};
    int error, tries = 0;

    /* Both sides start at the same time. */
    while ((error = gpuvchan_channel_connect(own->path, &options, &own->channel)) != 0 && ++tries < 1000)
        poll(NULL, 0, 2);
    if (error == 0)
        error = gpuvchan_client_open(own->channel, &bench_protocol, &own->client);
    if (error == 0)
        error = window_create(own, &own->slots, SLOTS, SLOT_BYTES);
    if (error == 0)
        error = window_create(own, &own->pieces, PIECES, PIECE_BYTES);
    if (error != 0)
        return error;
    own->lane = gpuvchan_lane_current(own->channel);
    return own->lane ? 0 : -EIO;
}

/* Everything before is executed; was all of it right? */
static int
finish(struct own *own, uint64_t expected)
{
    uint64_t total = 0;
    int error = bench_finish(&own->client, &total);

    if (error != 0)
        return error < 0 ? error : -EPROTO;
    return total == expected ? 0 : -EPROTO;
}

static int
calls(struct own *own, const struct bench_job *job)
{
    bench_message_64 small = {{0}}, small_back;
    bench_message_256 large = {{0}}, large_back;
    int error = 0;

    for (uint64_t i = 0; i < job->count && error == 0; i++) {
        switch (job->size) {
        case 16: /* nothing but the header: the library checks that replies belong to calls */
            error = bench_call_16_on(&own->client, own->lane);
            break;
        case 64:
            bench_stamp(&small, sizeof(small), i);
            error = bench_call_64_on(&own->client, own->lane, &small, &small_back);
            if (error == 0 && !bench_stamped(&small_back, sizeof(small_back), i))
                error = -EPROTO;
            break;
        case 256:
            bench_stamp(&large, sizeof(large), i);
            error = bench_call_256_on(&own->client, own->lane, &large, &large_back);
            if (error == 0 && !bench_stamped(&large_back, sizeof(large_back), i))
                error = -EPROTO;
            break;
        default:
            return -EINVAL;
        }
    }
    return error;
}

static int
call_client(void *state, const struct bench_job *job)
{
    int error = calls(state, job);

    return error ? error : finish(state, job->count);
}

static int
post_client(void *state, const struct bench_job *job)
{
    struct own *own = state;
    bench_message_64 small = {{0}};
    bench_message_256 large = {{0}};
    int error = 0;

    for (uint64_t i = 0; i < job->count && error == 0; i++) {
        switch (job->size) {
        case 16:
            error = bench_post_16_on(&own->client, own->lane);
            break;
        case 64:
            bench_stamp(&small, sizeof(small), i);
            error = bench_post_64_on(&own->client, own->lane, &small);
            break;
        case 256:
            bench_stamp(&large, sizeof(large), i);
            error = bench_post_256_on(&own->client, own->lane, &large);
            break;
        default:
            return -EINVAL;
        }
    }
    return error ? error : finish(own, job->count);
}

/* Where slot @number of this op lies, once the server is done with what was in it. */
static unsigned char *
next_slot(struct own *own, struct window *window, uint64_t number, size_t bytes, uint64_t *offset)
{
    uint64_t slots = gpuvchan_buffer_size(window->buffer) / bytes, at = number % slots * bytes;

    if (number >= slots &&
        gpuvchan_completion_spin(own->channel, window->index, window->filled - slots + 1, 2000000) != 0)
        return NULL;
    *offset = gpuvchan_buffer_offset(window->buffer) + at;
    return (unsigned char *)gpuvchan_buffer_data(window->buffer) + at;
}

static int
bulk_client(struct own *own, const struct bench_job *job, struct window *window)
{
    uint64_t pieces = (job->size + window->slot_bytes - 1) / window->slot_bytes, sent = 0;
    size_t bytes = job->size < window->slot_bytes ? job->size : window->slot_bytes;
    uint32_t distance;
    int error = gpuvchan_lane_distance(own->lane, &distance);

    for (uint64_t i = 0; i < job->count * pieces && error == 0; i++) {
        unsigned char *from = (unsigned char *)job->buffer + i % pieces * bytes;
        struct gpuvchan_reference data = {.bytes = bytes};
        unsigned char *slot = next_slot(own, window, i, bytes, &data.offset);

        if (!slot)
            return -ETIMEDOUT;
        bench_stamp(from, bytes, window->filled);
        gpuvchan_arena_write(own->lane, slot, from, bytes);
        if (window == &own->pieces)
            error = bench_bulk_read_on(&own->client, own->lane, data, window->filled, window->index);
        else
            error = bench_bulk_copy_on(&own->client, own->lane, data, window->filled, window->index);
        window->filled++;
        sent++;
    }
    return error ? error : finish(own, sent);
}

static int
bulk_copy_client(void *state, const struct bench_job *job)
{
    struct own *own = state;

    return bulk_client(own, job, &own->slots);
}

static int
bulk_read_client(void *state, const struct bench_job *job)
{
    struct own *own = state;

    return bulk_client(own, job, &own->pieces);
}

/* ---- Mechanism --------------------------------------------------------------------------------- */

static int
own_open(void **state_p, int32_t spin_us)
{
    static unsigned number;
    struct own *own = calloc(1, sizeof(*own));

    if (!own)
        return -ENOMEM;
    own->spin_us = spin_us;
    snprintf(own->path, sizeof(own->path), "/tmp/gpuvchan-bench-%ld-%u.sock", (long)getpid(), number++);
    *state_p = own;
    return 0;
}

static int
open_spinning(void **state_p)
{
    return own_open(state_p, SPIN_DEFAULT);
}

static int
open_sleeping(void **state_p)
{
    return own_open(state_p, SPIN_NEVER);
}

static int
own_start(void *state, enum bench_side side)
{
    return side == BENCH_CLIENT ? client_start(state) : server_start(state);
}

/* Stays until the client's finish, so that the server's CPU time is all in. */
static int
server_wait(void *state, const struct bench_job *job)
{
    struct timespec until;

    (void)state;
    (void)job;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30;
    return sem_timedwait(&server.wake, &until) == 0 ? 0 : -ETIMEDOUT;
}

static void
own_finish(void *state, enum bench_side side)
{
    struct own *own = state;

    if (side == BENCH_CLIENT) {
        gpuvchan_buffer_destroy(own->slots.buffer);
        gpuvchan_buffer_destroy(own->pieces.buffer);
        gpuvchan_channel_close(own->channel);
        return;
    }
    gpuvchan_session_stop(own->session);
    pthread_join(own->thread, NULL);
    gpuvchan_session_destroy(own->session);
}

static void
own_close(void *state)
{
    free(state);
}

static const struct bench_mechanism spinning = {
    .name = "libgpuvchan",
    .mode = "spinning, then asleep",
    .summary = "this library: a channel's lane and arena",
    .flags = BENCH_OWN,
    .open = open_spinning,
    .start = own_start,
    .op =
        {
            [BENCH_CALL] = {call_client, server_wait},
            [BENCH_POST] = {post_client, server_wait},
            [BENCH_BULK_COPY] = {bulk_copy_client, server_wait},
            [BENCH_BULK_ZEROCOPY] = {bulk_read_client, server_wait},
        },
    .finish = own_finish,
    .close = own_close,
};

static const struct bench_mechanism sleeping = {
    .name = "libgpuvchan",
    .mode = "asleep",
    .summary = "this library: a channel's lane and arena",
    .flags = BENCH_OWN,
    .open = open_sleeping,
    .start = own_start,
    .op = {[BENCH_DOORBELL] = {call_client, server_wait}},
    .finish = own_finish,
    .close = own_close,
};

const struct bench_mechanism *const bench_own_mechanisms[] = {&spinning, &sleeping, NULL};
