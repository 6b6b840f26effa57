/* SPDX-License-Identifier: MIT */
/*
 * host.h - the machine that is measured: its clock, the two CPUs that the
 * processes are pinned to, how they are scheduled and where they lie.
 */
#ifndef GPUVCHAN_BENCH_HOST_H
#define GPUVCHAN_BENCH_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_host {
    int cpu[2]; /* client's and server's, equal if there is only one */
    bool fifo;  /* SCHED_FIFO is permitted */
};

/*
 * Where the two CPUs lie to each other, by the round trip of a cache line. A
 * hypervisor moves virtual CPUs between these while it runs them.
 */
enum bench_placement {
    BENCH_SMT,      /* two threads of one core */
    BENCH_NEAR,     /* one last-level cache */
    BENCH_FAR,      /* another one, or another socket */
    BENCH_SAME_CPU, /* only one CPU is allowed */
    BENCH_PLACEMENTS,
    BENCH_MIXED = BENCH_PLACEMENTS, /* it never stood still */
};

/* Finds the first two allowed CPUs and tries the scheduling class. */
int bench_host_init(struct bench_host *host);

/* "CPUs 0 and 1, SCHED_FIFO 50" */
void bench_host_describe(const struct bench_host *host, char *text, size_t size);

/* Pins the calling process to its side's CPU and raises it where permitted. */
int bench_host_enter(const struct bench_host *host, int side);

enum bench_placement bench_placement_of(const struct bench_host *host, double roundtrip_ns);

const char *bench_placement_name(enum bench_placement placement);

/* Monotonic time, and CPU time of the calling process, in nanoseconds. */
uint64_t bench_now(void);

uint64_t bench_cpu_time(void);

void bench_sleep(uint64_t ns);

#endif
