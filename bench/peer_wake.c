/* SPDX-License-Identifier: MIT */
/*
 * peer_wake.c - the kernel's two ways to wake a process that sleeps, without
 * any message: what every doorbell on this machine costs at least.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mechanism.h"

struct bells {
    int fd[2]; /* what each side sleeps on */
};

static void
eventfd_close(void *state)
{
    struct bells *bells = state;

    for (int side = 0; side < 2; side++)
        if (bells->fd[side] >= 0)
            close(bells->fd[side]);
    free(bells);
}

static int
eventfd_open(void **state_p)
{
    struct bells *bells = calloc(1, sizeof(*bells));
    int err;

    if (!bells)
        return -ENOMEM;
    bells->fd[0] = eventfd(0, EFD_CLOEXEC);
    bells->fd[1] = eventfd(0, EFD_CLOEXEC);
    if (bells->fd[0] < 0 || bells->fd[1] < 0) {
        err = -errno;
        eventfd_close(bells);
        return err;
    }
    *state_p = bells;
    return 0;
}

static int
ring_bell(int fd)
{
    uint64_t one = 1;

    return write(fd, &one, sizeof(one)) == sizeof(one) ? 0 : -errno;
}

static int
sleep_on_bell(int fd)
{
    uint64_t times;

    if (read(fd, &times, sizeof(times)) != sizeof(times))
        return -errno;
    return times == 1 ? 0 : -EPROTO;
}

static int
eventfd_client(void *state, const struct bench_job *job)
{
    struct bells *bells = state;
    int err = 0;

    for (uint64_t i = 0; i < job->count && err == 0; i++) {
        err = ring_bell(bells->fd[BENCH_SERVER]);
        if (err == 0)
            err = sleep_on_bell(bells->fd[BENCH_CLIENT]);
    }
    return err;
}

static int
eventfd_server(void *state, const struct bench_job *job)
{
    struct bells *bells = state;
    int err = 0;

    for (uint64_t i = 0; i < job->count && err == 0; i++) {
        err = sleep_on_bell(bells->fd[BENCH_SERVER]);
        if (err == 0)
            err = ring_bell(bells->fd[BENCH_CLIENT]);
    }
    return err;
}

struct words {
    struct {
        _Alignas(64) _Atomic uint32_t value;
    } word[2]; /* what each side sleeps on: how often it was rung */
};

static int
futex_open(void **state_p)
{
    *state_p = bench_share(sizeof(struct words));
    return *state_p ? 0 : -ENOMEM;
}

static void
futex_close(void *state)
{
    bench_unshare(state, sizeof(struct words));
}

static int
ring_word(_Atomic uint32_t *word)
{
    atomic_fetch_add_explicit(word, 1, memory_order_release);
    return syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0) < 0 ? -errno : 0;
}

static int
sleep_on_word(_Atomic uint32_t *word, uint32_t seen)
{
    while (atomic_load_explicit(word, memory_order_acquire) == seen)
        if (syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0) < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
    return 0;
}

static int
futex_client(void *state, const struct bench_job *job)
{
    struct words *words = state;
    int err = 0;

    for (uint64_t i = 0; i < job->count && err == 0; i++) {
        uint32_t seen = atomic_load(&words->word[BENCH_CLIENT].value);

        err = ring_word(&words->word[BENCH_SERVER].value);
        if (err == 0)
            err = sleep_on_word(&words->word[BENCH_CLIENT].value, seen);
    }
    return err;
}

/* The client's first ring may come before we look: rings are counted from what
 * the server itself has answered. */
static int
futex_server(void *state, const struct bench_job *job)
{
    struct words *words = state;
    int err = 0;

    for (uint64_t i = 0; i < job->count && err == 0; i++) {
        uint32_t answered = atomic_load(&words->word[BENCH_CLIENT].value);

        err = sleep_on_word(&words->word[BENCH_SERVER].value, answered);
        if (err == 0)
            err = ring_word(&words->word[BENCH_CLIENT].value);
    }
    return err;
}

static const struct bench_mechanism futex_mechanism = {
    .name = "futex",
    .summary = "a bare futex wake-up each way",
    .open = futex_open,
    .op[BENCH_DOORBELL] = {futex_client, futex_server},
    .close = futex_close,
};

static const struct bench_mechanism eventfd_mechanism = {
    .name = "eventfd",
    .summary = "a bare eventfd wake-up each way",
    .flags = BENCH_REFERENCE,
    .open = eventfd_open,
    .op[BENCH_DOORBELL] = {eventfd_client, eventfd_server},
    .close = eventfd_close,
};

const struct bench_mechanism *const bench_wake_mechanisms[] = {
    &eventfd_mechanism,
    &futex_mechanism,
    NULL,
};
