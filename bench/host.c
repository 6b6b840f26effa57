/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>

#include "mechanism.h"

#define FIFO_PRIORITY 50

/*
 * A process that runs at FIFO priority longer than this without blocking is
 * ended by the kernel: a broken mechanism cannot take the machine along. Jobs
 * last tens of milliseconds.
 */
#define FIFO_LIMIT_US (BENCH_WAIT_NS / 1000 + 1000000)

/* Round trips of a cache line between siblings and within one last-level cache
 * stay below these on the EPYC servers that were looked at: 25 to 50, 65 to
 * 130, and 300 to 560 ns beyond. */
#define SMT_BELOW_NS 57
#define NEAR_BELOW_NS 230

bool bench_one_cpu;

static int
find_cpus(struct bench_host *host)
{
    cpu_set_t allowed;
    int found = 0;

    if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
        return -errno;
    for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
        if (CPU_ISSET(cpu, &allowed))
            host->cpu[found++] = cpu;
    if (found == 1)
        host->cpu[1] = host->cpu[0];
    return found ? 0 : -ENODEV;
}

/* Tries it on the tool itself, for a moment. */
static bool
fifo_is_permitted(void)
{
    struct sched_param fifo = {.sched_priority = FIFO_PRIORITY};
    struct sched_param normal = {.sched_priority = 0};

    if (sched_setscheduler(0, SCHED_FIFO, &fifo) < 0)
        return false;
    sched_setscheduler(0, SCHED_OTHER, &normal);
    return true;
}

int
bench_host_init(struct bench_host *host)
{
    int err = find_cpus(host);

    if (err < 0)
        return err;
    bench_one_cpu = host->cpu[0] == host->cpu[1];
    /* Two processes that take turns on one CPU need the normal scheduler. */
    host->fifo = !bench_one_cpu && fifo_is_permitted();
    return 0;
}

void
bench_host_describe(const struct bench_host *host, char *text, size_t size)
{
    if (bench_one_cpu)
        snprintf(text, size,
                 "only CPU %d is allowed: both sides take turns on it, "
                 "normal scheduling",
                 host->cpu[0]);
    else
        snprintf(text, size, "CPUs %d and %d, %s", host->cpu[0], host->cpu[1],
                 host->fifo ? "SCHED_FIFO 50" : "normal scheduling (SCHED_FIFO is not permitted)");
}

int
bench_host_enter(const struct bench_host *host, int side)
{
    struct sched_param fifo = {.sched_priority = FIFO_PRIORITY};
    struct rlimit limit = {FIFO_LIMIT_US, FIFO_LIMIT_US};
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(host->cpu[side], &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        return -errno;
    if (!host->fifo)
        return 0;
    if (setrlimit(RLIMIT_RTTIME, &limit) < 0)
        return -errno;
    if (sched_setscheduler(0, SCHED_FIFO, &fifo) < 0)
        return -errno;
    return 0;
}

enum bench_placement
bench_placement_of(const struct bench_host *host, double roundtrip_ns)
{
    if (host->cpu[0] == host->cpu[1])
        return BENCH_SAME_CPU;
    if (roundtrip_ns < SMT_BELOW_NS)
        return BENCH_SMT;
    return roundtrip_ns < NEAR_BELOW_NS ? BENCH_NEAR : BENCH_FAR;
}

const char *
bench_placement_name(enum bench_placement placement)
{
    static const char *const names[] = {
        [BENCH_SMT] = "smt",           [BENCH_NEAR] = "near",   [BENCH_FAR] = "far",
        [BENCH_SAME_CPU] = "same-cpu", [BENCH_MIXED] = "mixed",
    };

    return names[placement];
}
