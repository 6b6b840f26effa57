/* SPDX-License-Identifier: MIT */
/*
 * measure.h - what is measured, and how: bracketed rounds.
 *
 * Design notes
 *
 * A hypervisor moves the two virtual CPUs between places whose distance differs
 * by ten times, some of them several times a second. So nothing is measured on its own:
 *
 *	- All cases of a group run one after the other in each round, a few
 *	  milliseconds each, and there are many rounds.
 *	- A cache-line ping-pong before and one after each round say where the
 *	  CPUs are. Where they disagree the round is thrown away and repeated.
 *	- A ratio is taken within each round, then the median over the rounds.
 *	- Only rounds of one placement count: the one with most rounds, and it is
 *	  stated.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "host.h"
#include "mechanism.h"
#include "pair.h"

#define BENCH_ROUNDS_MAX 192
#define BENCH_TESTS_MAX 2
#define BENCH_TEST_REFERENCES 3

struct bench_test {
    const char *name; /* "call-64" */
    const char *summary;
    const char *unit;
    bool lower_is_better;
    enum bench_op op;
    size_t size;
    const char *reference[BENCH_TEST_REFERENCES]; /* names of mechanisms */
};

/* Tests that are measured in the same rounds. */
struct bench_group {
    unsigned commands;                       /* bits of enum bench_command */
    struct bench_test test[BENCH_TESTS_MAX]; /* name NULL: only one */
};

enum bench_command {
    BENCH_RING = 1,
    BENCH_BULK = 2,
    BENCH_COMPARE = 4,
    BENCH_CUDA = 8,
    BENCH_SERVE = 16,
    BENCH_GL = 32,
};

/* Ends with one whose first test has no name. */
extern const struct bench_group bench_groups[];

/* One mechanism in one test. */
struct bench_case {
    const struct bench_test *test;
    const struct bench_mechanism *mechanism;
    struct bench_pair *pair;
    int error;      /* -errno: it failed, and has no values */
    uint64_t count; /* messages in one burst */
    double value[BENCH_ROUNDS_MAX];
};

struct bench_plan {
    unsigned rounds;   /* to keep, at most BENCH_ROUNDS_MAX */
    unsigned attempts; /* to make for that */
    uint64_t burst_ns; /* length of one case in one round */
    unsigned rest_ms;  /* length of the silence of BENCH_IDLE */
    uint64_t deadline; /* on bench_now(): no round begins after it, save one */
};

struct bench_rounds {
    enum bench_placement placement;
    unsigned kept; /* rounds that count, each with a value per case */
    unsigned made;
    double pingpong[BENCH_ROUNDS_MAX]; /* ns, mean of before and after */
};

/*
 * Measures all the cases in the same rounds. Cases that fail get their error
 * and the others go on. Returns -errno if the ping-pong itself fails. If no
 * round stood still, all count, and the placement is BENCH_MIXED.
 */
int bench_measure(const struct bench_host *host, struct bench_pair *pingpong, const struct bench_plan *plan,
                  struct bench_case *cases, unsigned ncases, struct bench_rounds *rounds_p);

/* Sorts the values. */
double bench_quantile(double *values, unsigned n, double share);

/* A round trip of so many ns in the unit of the test. */
double bench_roundtrip_value(const struct bench_test *test, double roundtrip_ns);

#endif
