/* SPDX-License-Identifier: MIT */
/*
 * mechanism.h - what a way of moving messages between two processes has to
 * offer in order to be measured.
 *
 * Design notes
 *
 * Each mechanism runs in two processes of its own, the client and the server,
 * each pinned to its CPU. The life of one is
 *
 *	open      in the tool's process, before the fork: shared memory, fds
 *	start     in each of the two processes, at the same time: connect
 *	ops       many jobs; both sides run the same job at the same time
 *	finish    in each process, when the tool is done with the pair
 *	close     in the tool's process, directly after the fork: the tool drops
 *	          its copies so that no other pair inherits them
 *
 * An op moves job->count messages of job->size bytes and returns 0 or -errno.
 * The harness starts both sides together and stops the clock when both have
 * returned, so that a one-way test always includes the consumption. The
 * 16-, 64- and 256-byte sizes are the whole message, framing included.
 *
 * Every message is stamped with its number and checked on arrival: a mechanism
 * that loses, reorders or tears messages fails with -EPROTO, it is not timed.
 *
 * Busy waits go through bench_spin() or bench_backoff(), which give up when the
 * other side has failed or nothing moved for BENCH_WAIT_NS. A side that blocks
 * in the kernel needs nothing: the harness ends both processes of a pair that
 * is late.
 */
#ifndef BENCH_MECHANISM_H
#define BENCH_MECHANISM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The largest job->size, and how much room job->buffer has. */
#define BENCH_SIZE_MAX ((size_t)1 << 20)

/* How long a busy wait lasts before it is called a failure. */
#define BENCH_WAIT_NS 3000000000ull

/* Polls between two looks at the clock, and pauses in one polite back-off. */
#define BENCH_SPIN_CHECK 65536u
#define BENCH_BACKOFF 64u

enum bench_side {
    BENCH_CLIENT,
    BENCH_SERVER,
};

enum bench_op {
    BENCH_CALL,          /* a message there and one of the same size back */
    BENCH_POST,          /* one way, as many as go */
    BENCH_BULK_COPY,     /* one way, copied in from a buffer and out into one */
    BENCH_BULK_ZEROCOPY, /* one way, filled in place and read in place */
    BENCH_DOORBELL,      /* as BENCH_CALL, but both sides sleep when they wait */
    BENCH_BULK_PAGES,    /* one way, a word of each page written and read (bulk.h) */
    BENCH_BULK_TOUCHED,  /* one way, every byte written and read */
    BENCH_OP_COUNT,

    /* One BENCH_DOORBELL call after a long silence, for the CPU time that the
     * silence took; the harness makes it, mechanisms have no op for it. */
    BENCH_IDLE,
};

struct bench_job {
    uint32_t op;
    uint32_t rest_ms; /* BENCH_IDLE: the silence */
    uint64_t size;
    uint64_t count;
    void *buffer; /* private, BENCH_SIZE_MAX bytes, page aligned, touched */
};

enum {
    BENCH_OWN = 1,       /* libgpuvchan: its results carry no prefix */
    BENCH_REFERENCE = 2, /* measured whatever --only says */
};

struct bench_mechanism {
    const char *name;    /* "pipe" */
    const char *mode;    /* "spinning", or NULL. Mechanisms of one name compete:
                          * the best mode of each test is reported, and named */
    const char *summary; /* what it is, for the list in --help */
    unsigned flags;
    const char *missing; /* not NULL: why this build cannot measure it */

    int (*open)(void **state_p);
    int (*start)(void *state, enum bench_side side);
    int (*op[BENCH_OP_COUNT][2])(void *state, const struct bench_job *job);
    void (*finish)(void *state, enum bench_side side);
    void (*close)(void *state);
};

/* NULL-terminated lists. */
extern const struct bench_mechanism *const bench_own_mechanisms[];
extern const struct bench_mechanism *const bench_xenvchan_mechanisms[];
extern const struct bench_mechanism *const bench_ck_mechanisms[];
extern const struct bench_mechanism *const bench_stream_mechanisms[];
extern const struct bench_mechanism *const bench_wake_mechanisms[];

/* The two limits of the machine: a cache line there and back, and a copy. */
extern const struct bench_mechanism bench_pingpong;
extern const struct bench_mechanism bench_memcpy;

/* Memory shared by the processes forked later; NULL when there is none left. */
void *bench_share(size_t size);

void bench_unshare(void *memory, size_t size);

/* Start each op with BENCH_SPIN_INIT. */
struct bench_spin {
    uint32_t polls;
    uint64_t deadline;
};
#define BENCH_SPIN_INIT \
    {                   \
        0, 0            \
    }

/* One: both sides share a CPU, so that each poll has to give it away. */
extern bool bench_one_cpu;

bool bench_spin_check(struct bench_spin *spin);

static inline void
bench_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

/* One unsuccessful poll of something that comes soon. False: give up. */
static inline bool
bench_spin(struct bench_spin *spin)
{
    if (++spin->polls < BENCH_SPIN_CHECK && !bench_one_cpu) {
        bench_pause();
        return true;
    }
    return bench_spin_check(spin);
}

/*
 * One unsuccessful poll in a stream of messages: leaves the cache line to the
 * other side for a while, which more than doubles the rate of every ring.
 */
static inline bool
bench_backoff(struct bench_spin *spin)
{
    for (unsigned i = 0; i < BENCH_BACKOFF && !bench_one_cpu; i++)
        bench_pause();
    spin->polls += BENCH_BACKOFF - 1;
    return bench_spin(spin);
}

/* The number at both ends of a message; size is at least 8. */
static inline void
bench_stamp(void *message, size_t size, uint64_t number)
{
    memcpy(message, &number, sizeof(number));
    memcpy((char *)message + size - sizeof(number), &number, sizeof(number));
}

static inline bool
bench_stamped(const void *message, size_t size, uint64_t number)
{
    uint64_t first, last;

    memcpy(&first, message, sizeof(first));
    memcpy(&last, (const char *)message + size - sizeof(last), sizeof(last));
    return first == number && last == number;
}

#endif
