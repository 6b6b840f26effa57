/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <errno.h>
#include <time.h>

static uint64_t
read_clock(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t
bench_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t
bench_cpu_time(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void
bench_sleep(uint64_t ns)
{
    struct timespec ts = {
        .tv_sec = (time_t)(ns / 1000000000u),
        .tv_nsec = (long)(ns % 1000000000u),
    };

    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
        ;
}
