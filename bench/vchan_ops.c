/* SPDX-License-Identifier: MIT */
#include "vchan_ops.h"

#include <errno.h>

#include "bulk.h"

/* Larger messages go in pieces, so that both sides copy at the same time. */
#define PIECE ((size_t)64 << 10)

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
call(struct libxenvchan *control, const struct bench_job *job, send_function *send, receive_function *receive)
{
    for (uint64_t i = 0; i < job->count; i++) {
        int err;

        bench_stamp(job->buffer, job->size, i);
        err = send(control, job->buffer, job->size, bench_spin);
        if (err == 0)
            err = receive(control, job->buffer, job->size, bench_spin);
        if (err < 0)
            return err;
        if (!bench_stamped(job->buffer, job->size, ~i))
            return -EPROTO;
    }
    return 0;
}

static int
echo(struct libxenvchan *control, const struct bench_job *job, send_function *send, receive_function *receive)
{
    for (uint64_t i = 0; i < job->count; i++) {
        int err = receive(control, job->buffer, job->size, bench_spin);

        if (err == 0 && !bench_stamped(job->buffer, job->size, i))
            err = -EPROTO;
        if (err < 0)
            return err;
        bench_stamp(job->buffer, job->size, ~i);
        err = send(control, job->buffer, job->size, bench_spin);
        if (err < 0)
            return err;
    }
    return 0;
}

/* Written and sent, or received and read, piece by piece: that is, while it is in the cache. */
static int
touch(struct libxenvchan *control, char *data, size_t size, uint64_t number, bool sending)
{
    int err = 0;

    for (size_t at = 0; at < size && err == 0; at += PIECE) {
        size_t bytes = size - at < PIECE ? size - at : PIECE;

        if (sending) {
            bench_fill(data + at, bytes, number);
            err = send_stream(control, data + at, bytes, bench_backoff);
        } else {
            err = receive_stream(control, data + at, bytes, bench_backoff);
            bench_read(data + at, bytes);
        }
    }
    return err;
}

static int
post(struct libxenvchan *control, const struct bench_job *job, send_function *send)
{
    int err = 0;

    for (uint64_t i = 0; i < job->count && err == 0; i++) {
        if (job->op == BENCH_BULK_TOUCHED) {
            err = touch(control, job->buffer, job->size, i, true);
            continue;
        }
        if (job->op == BENCH_BULK_PAGES)
            bench_pages_stamp(job->buffer, job->size, i);
        else
            bench_stamp(job->buffer, job->size, i);
        err = send(control, job->buffer, job->size, bench_backoff);
    }
    return err;
}

static int
take(struct libxenvchan *control, const struct bench_job *job, receive_function *receive)
{
    int err = 0;

    for (uint64_t i = 0; i < job->count && err == 0; i++) {
        bool right;

        if (job->op == BENCH_BULK_TOUCHED)
            err = touch(control, job->buffer, job->size, i, false);
        else
            err = receive(control, job->buffer, job->size, bench_backoff);
        if (job->op == BENCH_BULK_PAGES)
            right = bench_pages_stamped(job->buffer, job->size, i);
        else
            right = bench_stamped(job->buffer, job->size, i);
        if (err == 0 && !right)
            err = -EPROTO;
    }
    return err;
}

static bool
is_call(const struct bench_job *job)
{
    return job->op == BENCH_CALL || job->op == BENCH_DOORBELL;
}

int
bench_vchan_client(struct libxenvchan *control, bool stream, const struct bench_job *job)
{
    send_function *send = stream ? send_stream : send_packet;

    return is_call(job) ? call(control, job, send, stream ? receive_stream : receive_packet) : post(control, job, send);
}

int
bench_vchan_server(struct libxenvchan *control, bool stream, const struct bench_job *job)
{
    receive_function *receive = stream ? receive_stream : receive_packet;

    return is_call(job) ? echo(control, job, stream ? send_stream : send_packet, receive) : take(control, job, receive);
}
