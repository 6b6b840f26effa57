/* SPDX-License-Identifier: MIT */
#include "pair.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* For a start or a job to end; longer than a busy wait inside of one. */
#define JOB_TIMEOUT_NS (BENCH_WAIT_NS + 2000000000ull)

/* For the other side to notice a failure, and for a pair to finish. */
#define GRACE_NS 500000000ull

/*
 * Real-time processes get 95 % of each second. The rest that follows each job
 * keeps below that, or the kernel would stop a side in the middle of one.
 */
#define REST_SHARE 9

struct line {
    _Alignas(64) _Atomic uint64_t number;
};

/* Job numbers; each line has one writer. */
struct meeting {
    struct line arrived[2];
    struct line done[2];
    struct line failed;
};

struct answer {
    int32_t error;
    uint32_t unused;
    struct bench_sample sample;
};

struct bench_pair {
    struct meeting *meeting;
    int fd[2];
    pid_t pid[2];
    bool rest;
    int error;
};

/* The side that this process is: what bench_spin_check() watches. */
static struct meeting *my_meeting;

void *
bench_share(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

void
bench_unshare(void *memory, size_t size)
{
    if (memory)
        munmap(memory, size);
}

bool
bench_spin_check(struct bench_spin *spin)
{
    uint64_t now = bench_now();

    if (bench_one_cpu)
        sched_yield();
    spin->polls = 0;
    if (!spin->deadline)
        spin->deadline = now + BENCH_WAIT_NS;
    if (my_meeting && atomic_load_explicit(&my_meeting->failed.number, memory_order_relaxed))
        return false;
    return now < spin->deadline;
}

static int
wait_for(struct line *line, uint64_t number)
{
    struct bench_spin spin = BENCH_SPIN_INIT;

    /* Acquire: what the other side did before it stored the number. */
    while (atomic_load_explicit(&line->number, memory_order_acquire) != number)
        if (!bench_spin(&spin))
            return -ETIMEDOUT;
    return 0;
}

static int
run_op(const struct bench_mechanism *mechanism, void *state, enum bench_side side, const struct bench_job *job)
{
    struct bench_job one = *job;

    if (job->op != BENCH_IDLE)
        return mechanism->op[job->op][side](state, job);

    one.op = BENCH_DOORBELL;
    one.count = 1;
    if (side == BENCH_CLIENT)
        bench_sleep((uint64_t)job->rest_ms * 1000000u);
    return mechanism->op[BENCH_DOORBELL][side](state, &one);
}

/* Both sides start together, and the client's clock stops after both. */
static int
run_job(struct meeting *meeting, const struct bench_mechanism *mechanism, void *state, enum bench_side side,
        const struct bench_job *job, uint64_t number, struct bench_sample *sample)
{
    enum bench_side other = side == BENCH_CLIENT ? BENCH_SERVER : BENCH_CLIENT;
    uint64_t wall, cpu;
    int err;

    /* Release: pairs with the acquire in the other side's wait_for(). */
    atomic_store_explicit(&meeting->arrived[side].number, number, memory_order_release);
    err = wait_for(&meeting->arrived[other], number);
    if (err < 0)
        return err;

    cpu = bench_cpu_time();
    wall = bench_now();
    err = run_op(mechanism, state, side, job);
    if (err < 0)
        return err;

    atomic_store_explicit(&meeting->done[side].number, number, memory_order_release);
    if (side == BENCH_CLIENT)
        err = wait_for(&meeting->done[other], number);
    sample->wall_ns = bench_now() - wall;
    sample->cpu_ns = bench_cpu_time() - cpu;
    return err;
}

static bool
read_job(int fd, struct bench_job *job)
{
    ssize_t n;

    do {
        n = recv(fd, job, sizeof(*job), 0);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(*job);
}

static int
start_side(const struct bench_mechanism *mechanism, void *state, const struct bench_host *host, enum bench_side side,
           void **buffer_p)
{
    void *buffer;
    int err = bench_host_enter(host, side);

    if (err < 0)
        return err;
    if (posix_memalign(&buffer, 4096, BENCH_SIZE_MAX))
        return -ENOMEM;
    memset(buffer, 0x5a, BENCH_SIZE_MAX);
    *buffer_p = buffer;
    return mechanism->start ? mechanism->start(state, side) : 0;
}

static void
serve(const struct bench_mechanism *mechanism, void *state, const struct bench_host *host, enum bench_side side, int fd)
{
    struct answer answer = {0};
    struct bench_job job;
    void *buffer = NULL;
    uint64_t number = 0;

    answer.error = start_side(mechanism, state, host, side, &buffer);
    while (send(fd, &answer, sizeof(answer), MSG_NOSIGNAL) == (ssize_t)sizeof(answer) && answer.error == 0 &&
           read_job(fd, &job)) {
        job.buffer = buffer;
        answer.error = run_job(my_meeting, mechanism, state, side, &job, ++number, &answer.sample);
        if (answer.error < 0)
            atomic_store(&my_meeting->failed.number, 1);
    }
    if (answer.error == 0 && mechanism->finish)
        mechanism->finish(state, side);
    free(buffer);
    _exit(answer.error ? EXIT_FAILURE : EXIT_SUCCESS);
}

static int
fork_side(struct bench_pair *pair, const struct bench_mechanism *mechanism, void *state, const struct bench_host *host,
          enum bench_side side)
{
    pid_t parent = getpid();
    int fd[2], err;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
        return -errno;
    pair->pid[side] = fork();
    if (pair->pid[side] < 0) {
        err = -errno;
        close(fd[0]);
        close(fd[1]);
        return err;
    }
    if (pair->pid[side] == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(EXIT_FAILURE);
        close(fd[0]);
        my_meeting = pair->meeting;
        serve(mechanism, state, host, side, fd[1]);
    }
    close(fd[1]);
    pair->fd[side] = fd[0];
    return 0;
}

/* -ETIMEDOUT when it is late, -ECHILD when it will never come. */
static int
read_answer(int fd, uint64_t deadline, struct answer *answer)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    uint64_t now;
    ssize_t size;
    int n;

    do {
        now = bench_now();
        if (now >= deadline)
            return -ETIMEDOUT;
        n = poll(&poll_fd, 1, (int)((deadline - now) / 1000000u + 1));
    } while (n == 0 || (n < 0 && errno == EINTR));
    if (n < 0)
        return -errno;
    size = recv(fd, answer, sizeof(*answer), 0);
    return size == (ssize_t)sizeof(*answer) ? answer->error : -ECHILD;
}

static void
stop_side(struct bench_pair *pair, int side, uint64_t deadline)
{
    /* The side sees the end of its socket, finishes and leaves. */
    if (pair->fd[side] >= 0)
        close(pair->fd[side]);
    pair->fd[side] = -1;
    if (pair->pid[side] <= 0)
        return;
    while (waitpid(pair->pid[side], NULL, WNOHANG) == 0) {
        if (bench_now() >= deadline)
            kill(pair->pid[side], SIGKILL);
        bench_sleep(1000000);
    }
    pair->pid[side] = 0;
}

/* The socket of one side is closed before the other side is waited for. */
static void
stop_pair(struct bench_pair *pair, uint64_t grace_ns)
{
    uint64_t deadline = bench_now() + grace_ns;

    for (int side = 0; side < 2; side++) {
        if (pair->fd[side] >= 0)
            shutdown(pair->fd[side], SHUT_RDWR);
    }
    for (int side = 0; side < 2; side++)
        stop_side(pair, side, deadline);
}

/* Both answers, or the error of whichever side told one first. */
static int
read_answers(struct bench_pair *pair, uint32_t rest_ms, struct bench_sample *sample)
{
    uint64_t deadline = bench_now() + JOB_TIMEOUT_NS + (uint64_t)rest_ms * 1000000u;
    struct answer answer[2] = {{0}};
    int err[2];

    err[0] = read_answer(pair->fd[0], deadline, &answer[0]);
    if (err[0] < 0)
        deadline = bench_now() + GRACE_NS;
    err[1] = read_answer(pair->fd[1], deadline, &answer[1]);

    /* A time-out is what the other side's failure looks like. */
    if (err[0] < 0 && err[0] != -ETIMEDOUT)
        return err[0];
    if (err[1] < 0)
        return err[1];
    if (err[0] < 0)
        return err[0];
    sample->wall_ns = answer[BENCH_CLIENT].sample.wall_ns;
    sample->cpu_ns = answer[0].sample.cpu_ns + answer[1].sample.cpu_ns;
    return 0;
}

static int
start_pair(struct bench_pair *pair, const struct bench_mechanism *mechanism, const struct bench_host *host)
{
    struct bench_sample none;
    void *state = NULL;
    int err = mechanism->open ? mechanism->open(&state) : 0;

    if (err < 0)
        return err;
    for (int side = 0; side < 2 && err == 0; side++)
        err = fork_side(pair, mechanism, state, host, side);
    if (mechanism->close)
        mechanism->close(state);
    return err < 0 ? err : read_answers(pair, 0, &none);
}

int
bench_pair_create(const struct bench_mechanism *mechanism, const struct bench_host *host, struct bench_pair **pair_p)
{
    struct bench_pair *pair = calloc(1, sizeof(*pair));
    int err;

    if (!pair)
        return -ENOMEM;
    pair->fd[0] = pair->fd[1] = -1;
    pair->rest = host->fifo;
    pair->meeting = bench_share(sizeof(*pair->meeting));
    err = pair->meeting ? start_pair(pair, mechanism, host) : -ENOMEM;
    if (err < 0) {
        pair->error = err;
        bench_pair_destroy(pair);
        return err;
    }
    *pair_p = pair;
    return 0;
}

void
bench_pair_destroy(struct bench_pair *pair)
{
    if (!pair)
        return;
    stop_pair(pair, pair->error ? 0 : GRACE_NS);
    bench_unshare(pair->meeting, sizeof(*pair->meeting));
    free(pair);
}

int
bench_pair_run(struct bench_pair *pair, const struct bench_job *job, struct bench_sample *sample_p)
{
    struct bench_sample sample = {0, 0};

    for (int side = 0; side < 2 && !pair->error; side++)
        if (send(pair->fd[side], job, sizeof(*job), MSG_NOSIGNAL) < 0)
            pair->error = -ECHILD;
    if (!pair->error) {
        pair->error = read_answers(pair, job->rest_ms, &sample);
        if (pair->error)
            stop_pair(pair, 0);
    }
    if (pair->error)
        return pair->error;
    if (pair->rest)
        bench_sleep(sample.wall_ns / REST_SHARE);
    *sample_p = sample;
    return 0;
}
