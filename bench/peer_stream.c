/* SPDX-License-Identifier: MIT */
/*
 * peer_stream.c - the kernel's byte streams: a pipe each way, a Unix stream
 * socket pair, a TCP connection over the loopback interface. One write per
 * message; the reader takes as much of the stream as one message needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mechanism.h"

/* Asked for; the kernel gives what the system's limits allow. */
#define KERNEL_BUFFER (1 << 20)

struct stream {
    int in[2];  /* what each side reads from */
    int out[2]; /* and writes to; may be the same */
    bool tcp;
};

static void
close_all(struct stream *stream)
{
    for (int side = 0; side < 2; side++) {
        if (stream->in[side] >= 0)
            close(stream->in[side]);
        if (stream->out[side] >= 0 && stream->out[side] != stream->in[side])
            close(stream->out[side]);
    }
}

static void
stream_close(void *state)
{
    close_all(state);
    free(state);
}

static int
open_with(void **state_p, int (*make)(struct stream *stream))
{
    struct stream *stream = calloc(1, sizeof(*stream));
    int err;

    if (!stream)
        return -ENOMEM;
    stream->in[0] = stream->in[1] = stream->out[0] = stream->out[1] = -1;
    err = make(stream);
    if (err < 0) {
        stream_close(stream);
        return err;
    }
    *state_p = stream;
    return 0;
}

static int
make_pipes(struct stream *stream)
{
    for (int side = 0; side < 2; side++) {
        int fd[2];

        if (pipe2(fd, O_CLOEXEC) < 0)
            return -errno;
        stream->in[side] = fd[0];
        stream->out[1 - side] = fd[1];
        /* May be refused, then it stays at 64 KiB. */
        fcntl(fd[1], F_SETPIPE_SZ, KERNEL_BUFFER);
    }
    return 0;
}

static void
use_socket(struct stream *stream, int side, int fd)
{
    stream->in[side] = stream->out[side] = fd;
}

static int
make_unix(struct stream *stream)
{
    int size = KERNEL_BUFFER;
    int fd[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
        return -errno;
    for (int side = 0; side < 2; side++) {
        setsockopt(fd[side], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        use_socket(stream, side, fd[side]);
    }
    return 0;
}

static int
listen_on_loopback(struct sockaddr_in *address)
{
    socklen_t size = sizeof(*address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *address = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)address, sizeof(*address)) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, (struct sockaddr *)address, &size) < 0) {
        int err = -errno;

        close(fd);
        return err;
    }
    return fd;
}

static int
make_tcp(struct stream *stream)
{
    struct sockaddr_in address;
    int listener = listen_on_loopback(&address);
    int client, server, err = 0;

    if (listener < 0)
        return listener;
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    use_socket(stream, BENCH_CLIENT, client);
    stream->tcp = true;
    if (client < 0 || connect(client, (struct sockaddr *)&address, sizeof(address)) < 0) {
        err = -errno;
    } else {
        server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (server < 0)
            err = -errno;
        use_socket(stream, BENCH_SERVER, server);
    }
    close(listener);
    return err;
}

static int
pipe_open(void **state_p)
{
    return open_with(state_p, make_pipes);
}

static int
unix_open(void **state_p)
{
    return open_with(state_p, make_unix);
}

static int
tcp_open(void **state_p)
{
    return open_with(state_p, make_tcp);
}

/* Each side keeps its own ends, so that it sees the other one go. */
static int
stream_start(void *state, enum bench_side side)
{
    struct stream *stream = state;
    int other = 1 - (int)side;

    close(stream->in[other]);
    if (stream->out[other] != stream->in[other])
        close(stream->out[other]);
    stream->in[other] = stream->out[other] = -1;
    return 0;
}

static int
write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n < 0)
            return -errno;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

static int
read_all(int fd, char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = read(fd, data, size);

        if (n <= 0)
            return n < 0 ? -errno : -EPIPE;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

/* A round trip wants each message on its way, a stream wants full segments. */
static void
set_delay(const struct stream *stream, int fd, int delay)
{
    int no_delay = !delay;

    if (stream->tcp)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof(no_delay));
}

static int
call(void *state, const struct bench_job *job)
{
    struct stream *stream = state;
    int in = stream->in[BENCH_CLIENT], out = stream->out[BENCH_CLIENT];

    set_delay(stream, out, false);
    for (uint64_t i = 0; i < job->count; i++) {
        int err;

        bench_stamp(job->buffer, job->size, i);
        err = write_all(out, job->buffer, job->size);
        if (err == 0)
            err = read_all(in, job->buffer, job->size);
        if (err < 0)
            return err;
        if (!bench_stamped(job->buffer, job->size, ~i))
            return -EPROTO;
    }
    return 0;
}

static int
echo(void *state, const struct bench_job *job)
{
    struct stream *stream = state;
    int in = stream->in[BENCH_SERVER], out = stream->out[BENCH_SERVER];

    set_delay(stream, out, false);
    for (uint64_t i = 0; i < job->count; i++) {
        int err = read_all(in, job->buffer, job->size);

        if (err == 0 && !bench_stamped(job->buffer, job->size, i))
            err = -EPROTO;
        if (err < 0)
            return err;
        bench_stamp(job->buffer, job->size, ~i);
        err = write_all(out, job->buffer, job->size);
        if (err < 0)
            return err;
    }
    return 0;
}

static int
post(void *state, const struct bench_job *job)
{
    struct stream *stream = state;
    int out = stream->out[BENCH_CLIENT];
    int err = 0;

    set_delay(stream, out, true);
    for (uint64_t i = 0; i < job->count && err == 0; i++) {
        bench_stamp(job->buffer, job->size, i);
        err = write_all(out, job->buffer, job->size);
    }
    /* The last segment leaves at once. */
    set_delay(stream, out, false);
    return err;
}

static int
take(void *state, const struct bench_job *job)
{
    struct stream *stream = state;
    int err = 0;

    for (uint64_t i = 0; i < job->count && err == 0; i++) {
        err = read_all(stream->in[BENCH_SERVER], job->buffer, job->size);
        if (err == 0 && !bench_stamped(job->buffer, job->size, i))
            err = -EPROTO;
    }
    return err;
}

#define STREAM_OPS                                                                         \
    .start = stream_start, .op[BENCH_CALL] = {call, echo}, .op[BENCH_POST] = {post, take}, \
    .op[BENCH_BULK_COPY] = {post, take}, .op[BENCH_DOORBELL] = {call, echo}, .close = stream_close

static const struct bench_mechanism pipe_mechanism = {
    .name = "pipe",
    .summary = "a pipe each way, of 1 MiB where permitted",
    .open = pipe_open,
    STREAM_OPS,
};

static const struct bench_mechanism unix_mechanism = {
    .name = "unix",
    .summary = "a Unix stream socket pair",
    .open = unix_open,
    STREAM_OPS,
};

static const struct bench_mechanism tcp_mechanism = {
    .name = "tcp",
    .summary = "a TCP connection over the loopback interface",
    .open = tcp_open,
    STREAM_OPS,
};

const struct bench_mechanism *const bench_stream_mechanisms[] = {
    &pipe_mechanism,
    &unix_mechanism,
    &tcp_mechanism,
    NULL,
};
