/* SPDX-License-Identifier: MIT */
/*
 * pair.h - the two processes of one mechanism.
 *
 * The tool's process gives jobs to both over a socket and waits for both
 * answers, never longer than a few seconds. Between jobs the processes sleep.
 * A pair that failed once stays failed: its processes are gone.
 */
#ifndef BENCH_PAIR_H
#define BENCH_PAIR_H

#include "host.h"
#include "mechanism.h"

struct bench_pair;

struct bench_sample {
    uint64_t wall_ns; /* from the common start until both sides were done */
    uint64_t cpu_ns;  /* CPU time of both sides in it */
};

/*
 * Forks and starts the two sides. On failure returns -errno and nothing is
 * left behind. The processes end when the pair is destroyed or the tool dies.
 */
int
bench_pair_create(const struct bench_mechanism *mechanism, const struct bench_host *host, struct bench_pair **pair_p);

void bench_pair_destroy(struct bench_pair *pair);

/*
 * Runs the job on both sides. job->buffer is filled in by the sides. Returns
 * the error of the side that failed first, -ETIMEDOUT where a side was late
 * and -ECHILD where one died; the pair then has failed.
 */
int bench_pair_run(struct bench_pair *pair, const struct bench_job *job, struct bench_sample *sample_p);

#endif
