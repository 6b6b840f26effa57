/* SPDX-License-Identifier: MIT */
#include "measure.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* The ping-pong of a bracket: 30000 round trips in games whose median counts,
 * so that one game that the host interrupted does not spoil a round. */
#define GAMES 5
#define GAME_COUNT 6000

#define CALIBRATION_RUNS 3

/* How much two ping-pongs may differ that agree. */
#define TOLERANCE 0.2

/* A burst of a case stays below this whatever the calibration said: see
 * REST_SHARE in pair.c. */
#define COUNT_MAX ((uint64_t)1 << 32)

#define CALL(bytes)                                                        \
    {                                                                      \
        .commands = BENCH_RING | BENCH_COMPARE,                            \
        .test[0] = {                                                       \
            .name = "call-" #bytes,                                        \
            .op = BENCH_CALL,                                              \
            .size = bytes,                                                 \
            .summary = "a message of " #bytes " bytes there and one back", \
            .unit = "ns",                                                  \
            .lower_is_better = true,                                       \
            .reference = {"pingpong", "libxenvchan", "libxenvchan-poll"},  \
        },                                                                 \
    }

#define POST(bytes)                                                       \
    {                                                                     \
        .commands = BENCH_RING | BENCH_COMPARE,                           \
        .test[0] = {                                                      \
            .name = "post-" #bytes,                                       \
            .op = BENCH_POST,                                             \
            .size = bytes,                                                \
            .summary = "messages of " #bytes " bytes, one way",           \
            .unit = "M/s",                                                \
            .reference = {"pingpong", "libxenvchan", "libxenvchan-poll"}, \
        },                                                                \
    }

#define BULK(label, bytes)                                                       \
    {                                                                            \
        .commands = BENCH_BULK | BENCH_COMPARE,                                  \
        .test = {                                                                \
            {                                                                    \
                .name = "bulk-copy-" label,                                      \
                .op = BENCH_BULK_COPY,                                           \
                .size = bytes,                                                   \
                .summary = label "iB a time, copied in and copied out",          \
                .unit = "GB/s",                                                  \
                .reference = {"memcpy", "libxenvchan", "libxenvchan-poll"},      \
            },                                                                   \
            {                                                                    \
                .name = "bulk-zerocopy-" label,                                  \
                .op = BENCH_BULK_ZEROCOPY,                                       \
                .size = bytes,                                                   \
                .summary = label "iB a time, filled in place and read in place", \
                .unit = "GB/s",                                                  \
                .reference = {"memcpy", "libxenvchan", "libxenvchan-poll"},      \
            },                                                                   \
        },                                                                       \
    }

const struct bench_group bench_groups[] = {
    CALL(16),
    CALL(64),
    CALL(256),
    POST(16),
    POST(64),
    POST(256),
    BULK("4K", 4096),
    BULK("64K", 65536),
    BULK("1M", 1048576),
    {
        .commands = BENCH_RING | BENCH_COMPARE,
        .test[0] =
            {
                .name = "doorbell",
                .op = BENCH_DOORBELL,
                .size = 64,
                .summary = "a call between two sides that sleep while they wait",
                .unit = "ns",
                .lower_is_better = true,
                .reference = {"eventfd", "libxenvchan"},
            },
    },
    {
        .commands = BENCH_RING | BENCH_COMPARE,
        .test[0] =
            {
                .name = "idle-cpu",
                .op = BENCH_IDLE,
                .size = 64,
                .summary = "CPU time of both sides of a silent connection, "
                           "one call a silence included",
                .unit = "us/s",
                .lower_is_better = true,
                .reference = {"eventfd", "libxenvchan"},
            },
    },
    {
        .commands = 0,
    },
};

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double
bench_quantile(double *values, unsigned n, double share)
{
    double at = share * (n - 1);
    unsigned below = (unsigned)at;

    if (n == 0)
        return NAN;
    qsort(values, n, sizeof(*values), compare_doubles);
    if (below + 1 >= n)
        return values[n - 1];
    return values[below] + (at - below) * (values[below + 1] - values[below]);
}

double
bench_roundtrip_value(const struct bench_test *test, double roundtrip_ns)
{
    return test->op == BENCH_POST ? 1000 / roundtrip_ns : roundtrip_ns;
}

static double
value_of(const struct bench_case *one, const struct bench_sample *sample)
{
    double wall = sample->wall_ns ? (double)sample->wall_ns : 1;
    double count = (double)one->count;

    switch (one->test->op) {
    case BENCH_POST:
        return count * 1000 / wall;
    case BENCH_BULK_COPY:
    case BENCH_BULK_ZEROCOPY:
        return count * (double)one->test->size / wall;
    case BENCH_IDLE:
        return (double)sample->cpu_ns * 1e6 / wall;
    default:
        return wall / count;
    }
}

static int
run_case(const struct bench_plan *plan, struct bench_case *one, struct bench_sample *sample)
{
    struct bench_job job = {
        .op = one->test->op,
        .rest_ms = plan->rest_ms,
        .size = one->test->size,
        .count = one->count,
    };

    if (!one->error)
        one->error = bench_pair_run(one->pair, &job, sample);
    return one->error;
}

/* The fastest of a few: whatever else the machine does can only add to it. */
static int
run_fastest(const struct bench_plan *plan, struct bench_case *one, uint64_t *wall_ns_p)
{
    *wall_ns_p = UINT64_MAX;
    for (unsigned i = 0; i < CALIBRATION_RUNS; i++) {
        struct bench_sample sample;
        int err = run_case(plan, one, &sample);

        if (err < 0)
            return err;
        if (sample.wall_ns < *wall_ns_p)
            *wall_ns_p = sample.wall_ns ? sample.wall_ns : 1;
    }
    return 0;
}

/* How many messages make a burst; warms everything up as well. */
static void
calibrate(const struct bench_plan *plan, struct bench_case *one)
{
    uint64_t wall_ns;

    one->count = 1;
    if (one->test->op == BENCH_IDLE)
        return;
    while (run_fastest(plan, one, &wall_ns) == 0) {
        double bursts = (double)plan->burst_ns / (double)wall_ns;

        if (bursts < 4 || one->count >= COUNT_MAX) {
            one->count = (uint64_t)fmax((double)one->count * bursts, 1);
            return;
        }
        one->count *= bursts > 64 ? 16 : 4;
    }
}

static int
run_pingpong(struct bench_pair *pair, double *roundtrip_p)
{
    struct bench_job job = {.op = BENCH_CALL, .size = 64, .count = GAME_COUNT};
    double roundtrip[GAMES];

    for (unsigned i = 0; i < GAMES; i++) {
        struct bench_sample sample;
        int err = bench_pair_run(pair, &job, &sample);

        if (err < 0)
            return err;
        roundtrip[i] = (double)sample.wall_ns / GAME_COUNT;
    }
    *roundtrip_p = bench_quantile(roundtrip, GAMES, 0.5);
    return 0;
}

/* What the ping-pongs around a round say. */
struct bracket {
    bool stood_still;
    enum bench_placement placement;
};

static struct bracket
judge(const struct bench_host *host, double before, double after)
{
    struct bracket bracket = {.placement = bench_placement_of(host, after)};

    bracket.stood_still = bracket.placement == bench_placement_of(host, before) &&
                          fabs(before - after) <= TOLERANCE * fmax(before, after);
    return bracket;
}

static void
run_cases(const struct bench_plan *plan, struct bench_case *cases, unsigned ncases, unsigned round)
{
    for (unsigned i = 0; i < ncases; i++) {
        struct bench_sample sample;

        if (run_case(plan, &cases[i], &sample) == 0)
            cases[i].value[round] = value_of(&cases[i], &sample);
        else
            cases[i].value[round] = NAN;
    }
}

/* The placement that most rounds stood still in, and how many these are. */
static unsigned
find_placement(const struct bracket *brackets, unsigned n, enum bench_placement *most_p)
{
    unsigned still[BENCH_PLACEMENTS] = {0};

    *most_p = BENCH_MIXED;
    for (unsigned round = 0; round < n; round++) {
        if (!brackets[round].stood_still)
            continue;
        still[brackets[round].placement]++;
        if (*most_p == BENCH_MIXED || still[brackets[round].placement] > still[*most_p])
            *most_p = brackets[round].placement;
    }
    return *most_p == BENCH_MIXED ? 0 : still[*most_p];
}

/* Moves the rounds that count to the front. */
static void
keep_rounds(struct bench_rounds *rounds, const struct bracket *brackets, struct bench_case *cases, unsigned ncases)
{
    rounds->kept = 0;
    for (unsigned round = 0; round < rounds->made; round++) {
        if (rounds->placement != BENCH_MIXED &&
            (!brackets[round].stood_still || brackets[round].placement != rounds->placement))
            continue;
        for (unsigned i = 0; i < ncases; i++)
            cases[i].value[rounds->kept] = cases[i].value[round];
        rounds->pingpong[rounds->kept++] = rounds->pingpong[round];
    }
}

int
bench_measure(const struct bench_host *host, struct bench_pair *pingpong, const struct bench_plan *plan,
              struct bench_case *cases, unsigned ncases, struct bench_rounds *rounds_p)
{
    struct bracket brackets[BENCH_ROUNDS_MAX];
    struct bench_rounds *rounds = rounds_p;
    unsigned kept = 0;
    double before, after;
    int err = run_pingpong(pingpong, &after);

    if (err < 0)
        return err;
    for (unsigned i = 0; i < ncases; i++)
        calibrate(plan, &cases[i]);
    err = run_pingpong(pingpong, &after);

    rounds->made = 0;
    while (err == 0 && kept < plan->rounds && rounds->made < plan->attempts && rounds->made < BENCH_ROUNDS_MAX &&
           (rounds->made == 0 || bench_now() < plan->deadline)) {
        unsigned round = rounds->made++;

        /* The end of a round is the beginning of the next. */
        before = after;
        run_cases(plan, cases, ncases, round);
        err = run_pingpong(pingpong, &after);
        rounds->pingpong[round] = (before + after) / 2;
        brackets[round] = judge(host, before, after);
        kept = find_placement(brackets, rounds->made, &rounds->placement);
    }
    if (err < 0)
        return err;
    keep_rounds(rounds, brackets, cases, ncases);
    return 0;
}
