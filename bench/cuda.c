/* SPDX-License-Identifier: MIT */
/*
 * cuda.c - CUDA through libgpuvchan, and native CUDA beside it.
 *
 * Design notes: forwarded and native rounds alternate, so that whatever else the machine does falls on
 * both; each value is a median of rounds, each ratio a median of ratios of neighbouring rounds. Without an
 * NVIDIA driver the simulated device takes its place on both sides, and the report says so.
 *
 * A program's start is that of a process of its own. Before each one the machine rests, for the host's next spare
 * worker to get ready: neither a program that starts right behind another one, nor native CUDA beside a driver that
 * is just being started, is what is to be measured.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alternate.h"
#include "cuda_side.h"
#include "cuda_start.h"
#include "daemon.h"
#include "own.h"
#include "process.h"
#include "progress.h"

#define ROUNDS_QUICK 5
#define ROUNDS 15
#define REST_MS 1200

struct cuda_bench {
    struct bench_daemon host;
    struct bench_cuda_side forwarded, native;
};

/* ---- Sides ------------------------------------------------------------------------------------- */

/* A library of ours: in the tree beside this program, else where it is installed. */
static const char *
find_library(const char *kind, char *room, size_t size)
{
    char name[64];

    snprintf(name, sizeof(name), "lib/gpuvchan/%s/libcuda.so.1", kind);
    if (bench_beside(name, room, size) != 0 || access(room, R_OK) != 0)
        snprintf(room, size, "%s/gpuvchan/%s/libcuda.so.1", GPUVCHAN_LIBDIR, kind);
    return room;
}

static void
stop(struct cuda_bench *bench)
{
    bench_cuda_side_stop(&bench->forwarded);
    bench_cuda_side_stop(&bench->native);
    bench_daemon_stop(&bench->host);
}

static int
start_native(struct cuda_bench *bench)
{
    char room[320];

    /* The same kind of device on both sides, or the ratio means nothing. */
    if (strstr(bench->forwarded.device, "simulated"))
        return bench_cuda_side_start(&bench->native, find_library("sim", room, sizeof(room)), NULL);
    return bench_cuda_side_start(&bench->native, "libcuda.so.1", NULL);
}

static int
start(struct cuda_bench *bench, const struct bench_options *options)
{
    char room[320];
    int error = bench_daemon_start(&bench->host, "cuda");

    if (error == 0)
        error =
            bench_cuda_side_start(&bench->forwarded, find_library("guest", room, sizeof(room)), bench->host.address);
    if (error == 0 && options->native_too)
        error = start_native(bench);
    return error;
}

/* ---- Rounds ------------------------------------------------------------------------------------ */

static struct bench_alternate
begin(const struct cuda_bench *bench, const struct bench_cuda_test *test, bool quick)
{
    struct bench_alternate what = {
        .test = test->name,
        .unit = test->unit,
        .lower_is_better = test->lower_is_better,
        .turns = quick ? ROUNDS_QUICK : ROUNDS,
        .sides = bench->native.pid > 0 ? 2 : 1,
        .side = {{.mechanism = "libgpuvchan"}, {.mechanism = "native"}},
    };

    return what;
}

static int
run_test(struct cuda_bench *bench, const struct bench_cuda_test *test, bool quick, struct bench_report *report)
{
    struct bench_alternate what = begin(bench, test, quick);
    struct bench_cuda_side *side[] = {&bench->forwarded, &bench->native};
    char problem[160] = "";
    int error = 0;

    for (unsigned i = 0; i < what.turns; i++)
        for (unsigned k = 0; k < what.sides && error == 0; k++)
            error = bench_cuda_side_run(side[k], test, quick, &what.side[k].value[i], problem, sizeof(problem));
    if (error != 0) {
        fprintf(stderr, "gpuvchan-bench: %s: %s\n", test->name, problem);
        return error;
    }
    return bench_alternate_add(report, &what);
}

/* ---- A program's start ------------------------------------------------------------------------- */

static int
rest_and_start(const struct bench_cuda_side *side, const char *address, double *ms)
{
    poll(NULL, 0, REST_MS);
    return bench_cuda_start(side->library, address, ms);
}

static int
run_start(struct cuda_bench *bench, bool quick, struct bench_report *report)
{
    static const struct bench_cuda_test test = {.name = "program-start", .unit = "ms", .lower_is_better = true};
    static const struct bench_cuda_test test_more = {
        .name = "program-start-more", .unit = "ms", .lower_is_better = true};
    struct bench_alternate what = begin(bench, &test, quick), more = begin(bench, &test_more, quick);
    int error = 0;

    more.sides = 1;
    for (unsigned i = 0; i < what.turns && error == 0; i++) {
        error = rest_and_start(&bench->forwarded, bench->host.address, &what.side[0].value[i]);
        if (error == 0 && what.sides > 1)
            error = rest_and_start(&bench->native, NULL, &what.side[1].value[i]);
        more.side[0].value[i] = what.side[0].value[i] - what.side[1].value[i];
    }
    if (error == 0)
        error = bench_alternate_add(report, &what);
    if (error == 0 && what.sides > 1)
        error = bench_alternate_add(report, &more);
    return error;
}

static int
run(const struct bench_options *options, const struct bench_host *host, struct bench_report *report)
{
    struct cuda_bench bench = {0};
    char how[400];
    unsigned done = 0, all = 1;
    int error;

    (void)host; /* no pinning: drivers have threads of their own */
    error = start(&bench, options);
    for (const struct bench_cuda_test *test = bench_cuda_tests; test->name; test++)
        all += test->quick || !options->quick;
    snprintf(how, sizeof(how), "%s; medians of %u alternating rounds", bench.forwarded.device,
             options->quick ? ROUNDS_QUICK : ROUNDS);
    for (const struct bench_cuda_test *test = bench_cuda_tests; test->name && error == 0; test++) {
        if (test->quick || !options->quick) {
            bench_progress(++done, all, test->name);
            error = run_test(&bench, test, options->quick, report);
        }
        if (error == 0 && (!test[1].name || test->lower_is_better != test[1].lower_is_better)) {
            bench_progress_clear();
            bench_report_print(report, test->lower_is_better ? "CUDA: times" : "CUDA: copies", how);
        }
    }
    if (error == 0) {
        bench_progress(++done, all, "program-start");
        error = run_start(&bench, options->quick, report);
        bench_progress_clear();
        bench_report_print(report, "CUDA: from a program's start to the end of its first kernel", how);
    }
    bench_progress_clear();
    stop(&bench);
    return error;
}

int (*const bench_own_cuda)(const struct bench_options *options, const struct bench_host *host,
                            struct bench_report *report) = run;
