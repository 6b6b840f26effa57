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

#include "vchan_ops.h"
#include "xen_standin.h"

#define STORE_PATH "data/vchan/0/bench"

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
    vchan->control = side == BENCH_CLIENT
                         ? connect_to_server()
                         : libxenvchan_server_init(NULL, 0, STORE_PATH, BENCH_VCHAN_RING, BENCH_VCHAN_RING);
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

#define SIDES(kind, stream)                                                       \
    static int kind##_client(void *state, const struct bench_job *job)            \
    {                                                                             \
        return bench_vchan_client(((struct vchan *)state)->control, stream, job); \
    }                                                                             \
    static int kind##_server(void *state, const struct bench_job *job)            \
    {                                                                             \
        return bench_vchan_server(((struct vchan *)state)->control, stream, job); \
    }

SIDES(packet, false)
SIDES(stream, true)

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
    .op[BENCH_CALL] = {packet_client, packet_server},
    .op[BENCH_POST] = {packet_client, packet_server},
    .op[BENCH_DOORBELL] = {packet_client, packet_server},
    .finish = vchan_finish,
    .close = vchan_close,
};

static const struct bench_mechanism packet_spinning = {
    POLLING,
    .mode = "send/recv",
    .open = vchan_open_nonblocking,
    .start = vchan_start,
    .op[BENCH_CALL] = {packet_client, packet_server},
    .op[BENCH_POST] = {packet_client, packet_server},
    .finish = vchan_finish,
    .close = vchan_close,
};

static const struct bench_mechanism stream_blocking = {
    BLOCKING,
    .mode = "write/read",
    .open = vchan_open_blocking,
    .start = vchan_start,
    .op[BENCH_CALL] = {stream_client, stream_server},
    .op[BENCH_POST] = {stream_client, stream_server},
    .op[BENCH_BULK_COPY] = {stream_client, stream_server},
    .op[BENCH_DOORBELL] = {stream_client, stream_server},
    .finish = vchan_finish,
    .close = vchan_close,
};

static const struct bench_mechanism stream_spinning = {
    POLLING,
    .mode = "write/read",
    .open = vchan_open_nonblocking,
    .start = vchan_start,
    .op[BENCH_CALL] = {stream_client, stream_server},
    .op[BENCH_POST] = {stream_client, stream_server},
    .op[BENCH_BULK_COPY] = {stream_client, stream_server},
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
