/* SPDX-License-Identifier: MIT */
/*
 * peer_xenvchan.c - libxenvchan's own code, over the stand-ins of
 * xen_standin.h, with rings of 1 MiB, which is the most that it can have.
 *
 * Four modes compete: packets (send, recv) and the byte stream (write, read),
 * each blocking and nonblocking. Nonblocking calls are repeated until they
 * move something, with a back-off in one-way tests: each of libxenvchan's
 * failed polls asks the other side for a notification, so that polling
 * eagerly would only slow it down.
 */
#include <errno.h>
#include <stdlib.h>

#include "mechanism.h"

#ifdef HAVE_XENVCHAN

#include <libxenvchan.h>

#include "xen_standin.h"

#define RING_SIZE ((size_t)1 << 20)
#define STORE_PATH "data/vchan/0/bench"

/* Larger messages go in pieces, so that both sides copy at the same time. */
#define PIECE ((size_t)64 << 10)

struct vchan {
    struct xen_world *world;
    struct libxenvchan *control;
    bool blocking;
};

static int
vchan_open(void **state_p, bool blocking)
{
    struct vchan *vchan = calloc(1, sizeof(*vchan));
    int err = vchan ? xen_world_create(&vchan->world) : -ENOMEM;

    if (err < 0) {
        free(vchan);
        return err;
    }
    vchan->blocking = blocking;
    *state_p = vchan;
    return 0;
}

static int
vchan_open_blocking(void **state_p)
{
    return vchan_open(state_p, true);
}

static int
vchan_open_nonblocking(void **state_p)
{
    return vchan_open(state_p, false);
}

static void
vchan_close(void *state)
{
    struct vchan *vchan = state;

    xen_world_destroy(vchan->world);
    free(vchan);
}

/* The client fails until the server has written its keys: it tries again. */
static struct libxenvchan *
connect_to_server(void)
{
    struct bench_spin spin = BENCH_SPIN_INIT;
    struct libxenvchan *control;

    while (!(control = libxenvchan_client_init(NULL, 0, STORE_PATH)))
        if (!bench_backoff(&spin))
            return NULL;
    return control;
}

static int
vchan_start(void *state, enum bench_side side)
{
    struct vchan *vchan = state;

    xen_world_enter(vchan->world);
    vchan->control =
        side == BENCH_CLIENT ? connect_to_server() : libxenvchan_server_init(NULL, 0, STORE_PATH, RING_SIZE, RING_SIZE);
    if (!vchan->control)
        return -ECONNREFUSED;
    /* Neither of the two sets these. */
    vchan->control->blocking = vchan->blocking;
    vchan->control->server_persist = 0;
    return 0;
}

static void
vchan_finish(void *state, enum bench_side side)
{
    struct vchan *vchan = state;

    (void)side;
    libxenvchan_close(vchan->control);
}

typedef bool wait_function(struct bench_spin *spin);

static int
send_packet(struct libxenvchan *control, const char *data, size_t size, wait_function *wait)
{
    struct bench_spin spin = BENCH_SPIN_INIT;
    int n;

    while ((n = libxenvchan_send(control, data, size)) == 0)
        if (!wait(&spin))
            return -ETIMEDOUT;
    return n < 0 ? -EIO : 0;
}

static int
receive_packet(struct libxenvchan *control, char *data, size_t size, wait_function *wait)
{
    struct bench_spin spin = BENCH_SPIN_INIT;
    int n;

    while ((n = libxenvchan_recv(control, data, size)) == 0)
        if (!wait(&spin))
            return -ETIMEDOUT;
    return n < 0 ? -EIO : 0;
}

static int
send_stream(struct libxenvchan *control, const char *data, size_t size, wait_function *wait)
{
    struct bench_spin spin = BENCH_SPIN_INIT;

    while (size > 0) {
        int n = libxenvchan_write(control, data, size < PIECE ? size : PIECE);

        if (n < 0)
            return -EIO;
        if (n == 0 && !wait(&spin))
            return -ETIMEDOUT;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

static int
receive_stream(struct libxenvchan *control, char *data, size_t size, wait_function *wait)
{
    struct bench_spin spin = BENCH_SPIN_INIT;

    while (size > 0) {
        int n = libxenvchan_read(control, data, size < PIECE ? size : PIECE);

        if (n < 0)
            return -EIO;
        if (n == 0 && !wait(&spin))
            return -ETIMEDOUT;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

typedef int send_function(struct libxenvchan *, const char *, size_t, wait_function *);
typedef int receive_function(struct libxenvchan *, char *, size_t, wait_function *);

static int
call(struct vchan *vchan, const struct bench_job *job, send_function *send, receive_function *receive)
{
    for (uint64_t i = 0; i < job->count; i++) {
        int err;

        bench_stamp(job->buffer, job->size, i);
        err = send(vchan->control, job->buffer, job->size, bench_spin);
        if (err == 0)
            err = receive(vchan->control, job->buffer, job->size, bench_spin);
        if (err < 0)
            return err;
        if (!bench_stamped(job->buffer, job->size, ~i))
            return -EPROTO;
    }
    return 0;
}

static int
echo(struct vchan *vchan, const struct bench_job *job, send_function *send, receive_function *receive)
{
    for (uint64_t i = 0; i < job->count; i++) {
        int err = receive(vchan->control, job->buffer, job->size, bench_spin);

        if (err == 0 && !bench_stamped(job->buffer, job->size, i))
            err = -EPROTO;
        if (err < 0)
            return err;
        bench_stamp(job->buffer, job->size, ~i);
        err = send(vchan->control, job->buffer, job->size, bench_spin);
        if (err < 0)
            return err;
    }
    return 0;
}

static int
post(struct vchan *vchan, const struct bench_job *job, send_function *send)
{
    int err = 0;

    for (uint64_t i = 0; i < job->count && err == 0; i++) {
        bench_stamp(job->buffer, job->size, i);
        err = send(vchan->control, job->buffer, job->size, bench_backoff);
    }
    return err;
}

static int
take(struct vchan *vchan, const struct bench_job *job, receive_function *receive)
{
    int err = 0;

    for (uint64_t i = 0; i < job->count && err == 0; i++) {
        err = receive(vchan->control, job->buffer, job->size, bench_backoff);
        if (err == 0 && !bench_stamped(job->buffer, job->size, i))
            err = -EPROTO;
    }
    return err;
}

#define SIDES(kind)                                                  \
    static int kind##_call(void *state, const struct bench_job *job) \
    {                                                                \
        return call(state, job, send_##kind, receive_##kind);        \
    }                                                                \
    static int kind##_echo(void *state, const struct bench_job *job) \
    {                                                                \
        return echo(state, job, send_##kind, receive_##kind);        \
    }                                                                \
    static int kind##_post(void *state, const struct bench_job *job) \
    {                                                                \
        return post(state, job, send_##kind);                        \
    }                                                                \
    static int kind##_take(void *state, const struct bench_job *job) \
    {                                                                \
        return take(state, job, receive_##kind);                     \
    }

SIDES(packet)
SIDES(stream)

/*
 * Two mechanisms: as libxenvchan's users run it, blocking, and as fast as it can be made to go, polling
 * without a sleep (which costs a whole CPU a side, and the writer a system call whenever a poll finds nothing).
 */
#define BLOCKING \
    .name = "libxenvchan", .summary = "libxenvchan's ring code over eventfds instead of event channels, blocking"
#define POLLING .name = "libxenvchan-poll", .summary = "the same, never blocking: both sides poll"

static const struct bench_mechanism packet_blocking = {
    BLOCKING,
    .mode = "send/recv",
    .open = vchan_open_blocking,
    .start = vchan_start,
    .op[BENCH_CALL] = {packet_call, packet_echo},
    .op[BENCH_POST] = {packet_post, packet_take},
    .op[BENCH_DOORBELL] = {packet_call, packet_echo},
    .finish = vchan_finish,
    .close = vchan_close,
};

static const struct bench_mechanism packet_spinning = {
    POLLING,
    .mode = "send/recv",
    .open = vchan_open_nonblocking,
    .start = vchan_start,
    .op[BENCH_CALL] = {packet_call, packet_echo},
    .op[BENCH_POST] = {packet_post, packet_take},
    .finish = vchan_finish,
    .close = vchan_close,
};

static const struct bench_mechanism stream_blocking = {
    BLOCKING,
    .mode = "write/read",
    .open = vchan_open_blocking,
    .start = vchan_start,
    .op[BENCH_CALL] = {stream_call, stream_echo},
    .op[BENCH_POST] = {stream_post, stream_take},
    .op[BENCH_BULK_COPY] = {stream_post, stream_take},
    .op[BENCH_DOORBELL] = {stream_call, stream_echo},
    .finish = vchan_finish,
    .close = vchan_close,
};

static const struct bench_mechanism stream_spinning = {
    POLLING,
    .mode = "write/read",
    .open = vchan_open_nonblocking,
    .start = vchan_start,
    .op[BENCH_CALL] = {stream_call, stream_echo},
    .op[BENCH_POST] = {stream_post, stream_take},
    .op[BENCH_BULK_COPY] = {stream_post, stream_take},
    .finish = vchan_finish,
    .close = vchan_close,
};

const struct bench_mechanism *const bench_xenvchan_mechanisms[] = {
    &packet_blocking, &stream_blocking, &packet_spinning, &stream_spinning, NULL,
};

#else

static const struct bench_mechanism absent = {
    .name = "libxenvchan",
    .summary = "libxenvchan's ring code over eventfds instead of event channels",
    .missing = "libxen-dev was not installed when this was built",
};

const struct bench_mechanism *const bench_xenvchan_mechanisms[] = {&absent, NULL};

#endif
