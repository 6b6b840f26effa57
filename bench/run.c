/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"

#define MECHANISMS_MAX 32
#define CASES_MAX (BENCH_TESTS_MAX * MECHANISMS_MAX)

struct runner {
    const struct bench_options *options;
    const struct bench_host *host;
    struct bench_report *report;
    struct bench_pair *pingpong;
    struct bench_pair *pair[MECHANISMS_MAX]; /* as in bench_mechanisms */
    int error[MECHANISMS_MAX];               /* why there is none */
    struct bench_case cases[CASES_MAX];      /* of the group at hand */
    unsigned ncases;
    uint64_t end;
};

/* Durations of a whole command stay below what --help's readers expect. */
static uint64_t
budget_ns(const struct bench_options *options)
{
    if (!options->quick)
        return 160000000000u;
    return options->command == BENCH_COMPARE ? 34000000000u : 17000000000u;
}

static struct bench_plan
plan_of(const struct runner *runner, const struct bench_group *group, unsigned groups_left)
{
    bool quick = runner->options->quick;
    bool idle = group->test[0].op == BENCH_IDLE;
    /* Ten seconds each are too long where there are many mechanisms. */
    bool long_idle = !quick && runner->options->command == BENCH_RING;
    uint64_t now = bench_now();
    struct bench_plan plan = {
        .rounds = idle    ? (long_idle ? 1 : 3)
                  : quick ? 15
                          : 45,
        .burst_ns = quick ? 3000000 : 6000000,
        .rest_ms = quick       ? 100
                   : long_idle ? 10000
                               : 400,
        .deadline = now,
    };

    plan.attempts = 4 * plan.rounds;
    if (now < runner->end)
        plan.deadline += (runner->end - now) / groups_left;
    return plan;
}

static enum bench_op
op_of(const struct bench_test *test)
{
    return test->op == BENCH_IDLE ? BENCH_DOORBELL : test->op;
}

static bool
offers(const struct bench_mechanism *mechanism, const struct bench_test *test)
{
    return !mechanism->missing && mechanism->op[op_of(test)][BENCH_CLIENT];
}

static bool
wants_mechanism(const struct runner *runner, const struct bench_mechanism *mechanism)
{
    bool in_command = runner->options->command == BENCH_COMPARE || (mechanism->flags & (BENCH_OWN | BENCH_REFERENCE));

    return in_command && bench_options_want_mechanism(runner->options, mechanism);
}

/* A reference alone is no reason to measure a group, unless it was asked for. */
static bool
is_reason(const struct runner *runner, const struct bench_mechanism *mechanism)
{
    return wants_mechanism(runner, mechanism) &&
           (!(mechanism->flags & BENCH_REFERENCE) || runner->options->only_mechanism[0]);
}

static bool
wants_group(const struct runner *runner, const struct bench_group *group)
{
    if (!(group->commands & runner->options->command))
        return false;
    for (unsigned i = 0; i < BENCH_TESTS_MAX && group->test[i].name; i++) {
        if (!bench_options_want_test(runner->options, group->test[i].name))
            continue;
        for (const struct bench_mechanism **m = bench_mechanisms; *m; m++)
            if (offers(*m, &group->test[i]) && is_reason(runner, *m))
                return true;
    }
    return false;
}

/* Does a wanted test of the group compare itself with this mechanism? */
static bool
is_referred_to(const struct runner *runner, const struct bench_group *group, const char *name)
{
    for (unsigned i = 0; i < BENCH_TESTS_MAX && group->test[i].name; i++) {
        const struct bench_test *test = &group->test[i];

        if (!bench_options_want_test(runner->options, test->name))
            continue;
        for (unsigned k = 0; k < BENCH_TEST_REFERENCES; k++)
            if (test->reference[k] && strcmp(test->reference[k], name) == 0)
                return true;
    }
    return false;
}

static bool
wants_case(const struct runner *runner, const struct bench_group *group, const struct bench_test *test,
           const struct bench_mechanism *mechanism)
{
    bool reference = mechanism->flags & BENCH_REFERENCE;

    if (!offers(mechanism, test) || !(reference || wants_mechanism(runner, mechanism)))
        return false;
    return bench_options_want_test(runner->options, test->name) || is_referred_to(runner, group, mechanism->name);
}

/* The processes are started when they are first needed. */
static void
add_case(struct runner *runner, const struct bench_test *test, unsigned index)
{
    struct bench_case *one = &runner->cases[runner->ncases++];

    if (!runner->pair[index] && !runner->error[index])
        runner->error[index] = bench_pair_create(bench_mechanisms[index], runner->host, &runner->pair[index]);
    *one = (struct bench_case){
        .test = test,
        .mechanism = bench_mechanisms[index],
        .pair = runner->pair[index],
        .error = runner->error[index],
    };
}

static void
collect_cases(struct runner *runner, const struct bench_group *group)
{
    runner->ncases = 0;
    for (unsigned i = 0; i < BENCH_TESTS_MAX && group->test[i].name; i++)
        for (unsigned m = 0; bench_mechanisms[m]; m++)
            if (wants_case(runner, group, &group->test[i], bench_mechanisms[m]))
                add_case(runner, &group->test[i], m);
}

static double
median_of(const double *values, unsigned n)
{
    double sorted[BENCH_ROUNDS_MAX];

    memcpy(sorted, values, n * sizeof(*sorted));
    return bench_quantile(sorted, n, 0.5);
}

/* The best mode of a mechanism in a test; NULL where all failed. */
static const struct bench_case *
best_case(const struct runner *runner, const char *test, const char *mechanism, unsigned rounds)
{
    const struct bench_case *best = NULL;
    double best_value = 0;

    for (unsigned i = 0; i < runner->ncases; i++) {
        const struct bench_case *one = &runner->cases[i];
        double value;

        if (one->error || strcmp(one->test->name, test) != 0 || strcmp(one->mechanism->name, mechanism) != 0)
            continue;
        value = median_of(one->value, rounds);
        if (!best || (one->test->lower_is_better ? value < best_value : value > best_value)) {
            best = one;
            best_value = value;
        }
    }
    return best;
}

/*
 * The reference's values in the unit of the test, round by round. A mechanism
 * that cannot do the test in place is a reference with its copying one.
 */
static bool
reference_values(const struct runner *runner, const struct bench_rounds *rounds, const struct bench_test *test,
                 const char *name, double *values)
{
    const struct bench_case *reference = NULL;

    if (strcmp(name, bench_pingpong.name) == 0) {
        for (unsigned i = 0; i < rounds->kept; i++)
            values[i] = bench_roundtrip_value(test, rounds->pingpong[i]);
        return true;
    }
    reference = best_case(runner, test->name, name, rounds->kept);
    for (unsigned i = 0; i < runner->ncases && !reference; i++)
        if (test->op == BENCH_BULK_ZEROCOPY && runner->cases[i].test->op == BENCH_BULK_COPY)
            reference = best_case(runner, runner->cases[i].test->name, name, rounds->kept);
    if (reference)
        memcpy(values, reference->value, rounds->kept * sizeof(*values));
    return reference != NULL;
}

static void
fill_ratios(const struct runner *runner, const struct bench_rounds *rounds, const struct bench_test *test,
            const double *values, struct bench_result *result)
{
    bool limit = test->reference[0] && strcmp(test->reference[0], result->mechanism) == 0;
    unsigned filled = 0;

    for (unsigned k = 0; k < BENCH_TEST_REFERENCES; k++) {
        double base[BENCH_ROUNDS_MAX], ratio[BENCH_ROUNDS_MAX];
        const char *name = test->reference[k];

        /* The limit is 1 by itself, and nothing else; a peer beside itself
         * says nothing. */
        if (!name || (k > 0 && (limit || strcmp(name, result->mechanism) == 0)) ||
            !reference_values(runner, rounds, test, name, base))
            continue;
        for (unsigned i = 0; i < rounds->kept; i++)
            ratio[i] = base[i] > 0 ? values[i] / base[i] : NAN;
        snprintf(result->ratio[filled].reference, sizeof(result->ratio[filled].reference), "%s", name);
        result->ratio[filled++].ratio = median_of(ratio, rounds->kept);
    }
}

static struct bench_result
result_of(const struct runner *runner, const struct bench_rounds *rounds, const struct bench_test *test,
          const char *mechanism, const double *values)
{
    double sorted[BENCH_ROUNDS_MAX];
    struct bench_result result = {
        .lower_is_better = test->lower_is_better,
        .unit = test->unit,
        .placement = bench_placement_name(rounds->placement),
    };

    snprintf(result.test, sizeof(result.test), "%s", test->name);
    snprintf(result.mechanism, sizeof(result.mechanism), "%s", mechanism);
    if (!values)
        return result;
    memcpy(sorted, values, rounds->kept * sizeof(*sorted));
    result.value = bench_quantile(sorted, rounds->kept, 0.5);
    result.low = bench_quantile(sorted, rounds->kept, 0.25);
    result.high = bench_quantile(sorted, rounds->kept, 0.75);
    fill_ratios(runner, rounds, test, values, &result);
    return result;
}

static int
add_mechanism(struct runner *runner, const struct bench_rounds *rounds, const struct bench_case *first)
{
    const struct bench_case *best = best_case(runner, first->test->name, first->mechanism->name, rounds->kept);
    struct bench_result result =
        result_of(runner, rounds, first->test, first->mechanism->name, best ? best->value : NULL);

    result.own = first->mechanism->flags & BENCH_OWN;
    result.mode = best ? best->mechanism->mode : NULL;
    if (!best)
        result.trouble = first->error == -EPROTO                             ? "failed: messages were lost or damaged"
                         : first->error == -ETIMEDOUT                        ? "failed: it hung"
                         : first->error == -ECHILD || first->error == -EPIPE ? "failed: a side of it crashed"
                                                                             : strerror(-first->error);
    return bench_report_add(runner->report, &result);
}

/* Modes of one mechanism stand together in the list, and so do their cases. */
static bool
begins_mechanism(const struct runner *runner, unsigned i)
{
    const struct bench_case *one = &runner->cases[i];

    return i == 0 || one[-1].test != one->test || strcmp(one[-1].mechanism->name, one->mechanism->name) != 0;
}

static int
add_results(struct runner *runner, const struct bench_rounds *rounds, const struct bench_group *group)
{
    const struct bench_test *test = &group->test[0];
    int err = 0;

    if (test->reference[0] && strcmp(test->reference[0], bench_pingpong.name) == 0) {
        double values[BENCH_ROUNDS_MAX];
        struct bench_result result;

        reference_values(runner, rounds, test, bench_pingpong.name, values);
        result = result_of(runner, rounds, test, bench_pingpong.name, values);
        err = bench_report_add(runner->report, &result);
    }
    for (unsigned i = 0; i < runner->ncases && err == 0; i++)
        if (begins_mechanism(runner, i))
            err = add_mechanism(runner, rounds, &runner->cases[i]);
    return err;
}

static void
print_group(const struct runner *runner, const struct bench_group *group, const struct bench_plan *plan,
            const struct bench_rounds *rounds)
{
    char title[256], how[256];
    double roundtrip = median_of(rounds->pingpong, rounds->kept);
    double burst_ms = group->test[0].op == BENCH_IDLE ? plan->rest_ms : (double)plan->burst_ns / 1e6;

    if (group->test[1].name)
        snprintf(title, sizeof(title), "%s: %s\n%s: %s", group->test[0].name, group->test[0].summary,
                 group->test[1].name, group->test[1].summary);
    else
        snprintf(title, sizeof(title), "%s: %s", group->test[0].name, group->test[0].summary);
    if (rounds->placement == BENCH_MIXED)
        snprintf(how, sizeof(how),
                 "not steady: the CPUs were moved in each of %u rounds, "
                 "the ratios are rough",
                 rounds->made);
    else
        snprintf(how, sizeof(how),
                 "%s, ping-pong %.0f ns; medians of %u of %u rounds "
                 "of %.0f ms each%s",
                 bench_placement_name(rounds->placement), roundtrip, rounds->kept, rounds->made, burst_ms,
                 rounds->kept < (plan->rounds + 2) / 3 ? "; so few stood still that they are rough" : "");
    bench_progress_clear();
    bench_report_print(runner->report, title, how);
}

static int
run_group(struct runner *runner, const struct bench_group *group, unsigned groups_left)
{
    struct bench_rounds rounds;
    struct bench_plan plan;
    int err;

    collect_cases(runner, group);
    plan = plan_of(runner, group, groups_left);
    err = bench_measure(runner->host, runner->pingpong, &plan, runner->cases, runner->ncases, &rounds);
    if (err < 0) {
        bench_progress_clear();
        fprintf(stderr, "gpuvchan-bench: the ping-pong failed: %s\n", strerror(-err));
        return err;
    }
    err = add_results(runner, &rounds, group);
    if (err == 0)
        print_group(runner, group, &plan, &rounds);
    return err;
}

static void
print_missing(const struct runner *runner)
{
    for (const struct bench_mechanism **m = bench_mechanisms; *m; m++)
        if ((*m)->missing && wants_mechanism(runner, *m))
            fprintf(runner->report->out, "skipped: %s: %s\n", (*m)->name, (*m)->missing);
}

static int
run_groups(struct runner *runner)
{
    unsigned groups = 0, done = 0;
    int err = 0;

    for (const struct bench_group *group = bench_groups; group->test[0].name; group++)
        groups += wants_group(runner, group);
    print_missing(runner);
    if (groups == 0) {
        fprintf(stderr,
                "gpuvchan-bench: nothing to measure: no chosen mechanism of "
                "this build has a chosen test of '%s'\n",
                runner->options->command_name);
        return -ENOENT;
    }
    for (const struct bench_group *group = bench_groups; group->test[0].name && err == 0; group++) {
        if (!wants_group(runner, group))
            continue;
        bench_progress(++done, groups, group->test[0].name);
        err = run_group(runner, group, groups - done + 1);
    }
    bench_progress_clear();
    return err;
}

int
bench_run(const struct bench_options *options, const struct bench_host *host, struct bench_report *report)
{
    struct runner *runner = calloc(1, sizeof(*runner));
    int err;

    if (!runner)
        return -ENOMEM;
    runner->options = options;
    runner->host = host;
    runner->report = report;
    runner->end = bench_now() + budget_ns(options);
    err = bench_pair_create(&bench_pingpong, host, &runner->pingpong);
    if (err < 0)
        fprintf(stderr, "gpuvchan-bench: cannot start two processes: %s\n", strerror(-err));
    else
        err = run_groups(runner);
    for (unsigned i = 0; i < MECHANISMS_MAX; i++)
        bench_pair_destroy(runner->pair[i]);
    bench_pair_destroy(runner->pingpong);
    free(runner);
    return err;
}
