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
 */
#include "own.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "mechanism.h"
#include "own_client.h"
#include "own_server.h"

#define SPIN_DEFAULT 0
#define SPIN_NEVER (-1)

struct own {
    int32_t spin_us;
    char path[64];
    struct bench_own_client client;

    /* server */
    struct gpuvchan_session *session;
    pthread_t thread;
};

/* ---- Server ------------------------------------------------------------------------------------ */

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

    error = bench_server_init();
    if (error == 0)
        error = gpuvchan_listener_create(own->path, &listener);
    if (error != 0)
        return error;
    knock.fd = gpuvchan_listener_fd(listener);
    error = poll(&knock, 1, 2000) == 1 ? gpuvchan_listener_accept(listener, &fd, &peer) : -ETIMEDOUT;
    gpuvchan_listener_destroy(listener);
    if (error == 0)
        error = gpuvchan_session_accept(fd, &limits, &own->session);
    if (error == 0)
        error = gpuvchan_session_offer(own->session, &bench_server_plugin);
    if (error == 0 && pthread_create(&own->thread, NULL, server_thread, own) != 0)
        error = -EAGAIN;
    return error;
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
    return sem_timedwait(&bench_server.wake, &until) == 0 ? 0 : -ETIMEDOUT;
}

/* ---- Client ------------------------------------------------------------------------------------ */

static int
client_start(struct own *own)
{
    struct gpuvchan_channel_options options = {.size = sizeof(options), .spin_us = own->spin_us};
    int error, tries = 0;

    /* Both sides start at the same time. */
    while ((error = bench_own_client_open(&own->client, own->path, &options)) != 0 && !own->client.channel &&
           ++tries < 1000)
        poll(NULL, 0, 2);
    return error ? error : bench_own_client_windows(&own->client, false);
}

static int
client_call(void *state, const struct bench_job *job)
{
    struct own *own = state;
    int error = bench_own_client_calls(&own->client, job);

    return error ? error : bench_own_client_finish(&own->client, job->count);
}

static int
client_send(void *state, const struct bench_job *job)
{
    return bench_own_client_send(&((struct own *)state)->client, job);
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

static void
own_finish(void *state, enum bench_side side)
{
    struct own *own = state;

    if (side == BENCH_CLIENT) {
        bench_own_client_close(&own->client);
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
            [BENCH_CALL] = {client_call, server_wait},
            [BENCH_POST] = {client_send, server_wait},
            [BENCH_BULK_COPY] = {client_send, server_wait},
            [BENCH_BULK_ZEROCOPY] = {client_send, server_wait},
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
    .op = {[BENCH_DOORBELL] = {client_call, server_wait}},
    .finish = own_finish,
    .close = own_close,
};

const struct bench_mechanism *const bench_own_mechanisms[] = {&spinning, &sleeping, NULL};
