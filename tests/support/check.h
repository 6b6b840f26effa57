/* SPDX-License-Identifier: MIT */
/* cmocka, in TAP and with a time limit for the whole program. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CHECK_SECONDS 60

/* Behind each test: says what the slow ones have taken. */
static inline void
check_lap(void)
{
    static double before;
    struct timespec now;
    double seconds;

    clock_gettime(CLOCK_MONOTONIC, &now);
    seconds = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    if (before > 0 && seconds - before >= 1)
        printf("# that took %.1f s\n", seconds - before);
    before = seconds;
}

/* Slow tools (valgrind, sanitizers on a busy machine) may set more. */
static inline void
check_begin(void)
{
    const char *seconds = getenv("TEST_SECONDS");

    alarm(seconds ? (unsigned)atoi(seconds) : CHECK_SECONDS);
    setenv("GPUVCHAN_LOG", "error", 0);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    setvbuf(stdout, NULL, _IOLBF, 0); /* somebody may look on */
    check_lap();
}

/* Rounds of random and racing tests: TEST_ROUNDS percent of what is usual. */
static inline unsigned
check_rounds(unsigned usual)
{
    const char *percent = getenv("TEST_ROUNDS");
    unsigned rounds = percent ? (unsigned)((uint64_t)usual * (unsigned)atoi(percent) / 100) : usual;

    return rounds > 0 ? rounds : 1;
}

/* xorshift: the same numbers on every machine. */
static inline uint64_t
check_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
