/* SPDX-License-Identifier: MIT */
#include <time.h>

#include "ring.h"

uint64_t
gpuvchan__now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
