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
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gpuvchan/gpuvchan.h>

#include "cuda_side.h"
#include "cuda_start.h"
#include "own.h"
#include "progress.h"

#define ROUNDS_QUICK 5
#define ROUNDS 15
#define REST_MS 1200

struct cuda_bench {
    pid_t host;
    char address[64];
    char here[256]; /* the folder of this program's folder: PREFIX or build */
    struct bench_cuda_side forwarded, native;
    bool native_too;
};

/* ---- Where things are, and the host ------------------------------------------------------------ */

static int
find_here(struct cuda_bench *bench)
{
    ssize_t n = readlink("/proc/self/exe", bench->here, sizeof(bench->here) - 1);

    if (n < 0)
        return -errno;
    bench->here[n] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(bench->here, '/');

        if (!slash)
            return -ENOENT;
        *slash = '\0';
    }
    return 0;
}

/* A library of ours: in the tree beside this program, else where it is installed. */
static const char *
find_library(const struct cuda_bench *bench, const char *kind, char *room, size_t size)
{
    snprintf(room, size, "%s/lib/gpuvchan/%s/libcuda.so.1", bench->here, kind);
    if (access(room, R_OK) != 0)
        snprintf(room, size, "%s/gpuvchan/%s/libcuda.so.1", GPUVCHAN_LIBDIR, kind);
    return room;
}

static int
start_host(struct cuda_bench *bench)
{
    struct gpuvchan_channel *channel = NULL;
    char program[300];
    int error = 0;

    if (getenv("GPUVCHAN_ADDRESS")) {
        snprintf(bench->address, sizeof(bench->address), "%s", getenv("GPUVCHAN_ADDRESS"));
        return 0;
    }
    snprintf(bench->address, sizeof(bench->address), "/tmp/gpuvchan-bench-%ld.sock", (long)getpid());
    snprintf(program, sizeof(program), "%s/bin/gpuvchan-host", bench->here);
    bench->host = fork();
    if (bench->host < 0)
        return -errno;
    if (bench->host == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        execl(program, "gpuvchan-host", "--address", bench->address, "--plugins", "cuda", (char *)NULL);
        fprintf(stderr, "gpuvchan-bench: cannot start %s: %s\n", program, strerror(errno));
        _exit(127);
    }
    for (int tries = 0; tries < 500; tries++) {
        error = gpuvchan_channel_connect(bench->address, NULL, &channel);
        if (error == 0 || waitpid(bench->host, NULL, WNOHANG) != 0)
            break;
        poll(NULL, 0, 10);
    }
    gpuvchan_channel_close(channel);
    if (error != 0)
        fprintf(stderr, "gpuvchan-bench: %s\n", gpuvchan_error_text());
    return error;
}

static void
stop(struct cuda_bench *bench)
{
    bench_cuda_side_stop(&bench->forwarded);
    bench_cuda_side_stop(&bench->native);
    if (bench->host > 0) {
        kill(bench->host, SIGTERM);
        waitpid(bench->host, NULL, 0);
    }
}

static int
start_native(struct cuda_bench *bench)
{
    char room[320];

    /* The same kind of device on both sides, or the ratio means nothing. */
    if (strstr(bench->forwarded.device, "simulated"))
        return bench_cuda_side_start(&bench->native, find_library(bench, "sim", room, sizeof(room)), NULL);
    return bench_cuda_side_start(&bench->native, "libcuda.so.1", NULL);
}

static int
start(struct cuda_bench *bench, const struct bench_options *options)
{
    char room[320];
    int error = find_here(bench);

    if (error == 0)
        error = start_host(bench);
    if (error == 0)
        error =
            bench_cuda_side_start(&bench->forwarded, find_library(bench, "guest", room, sizeof(room)), bench->address);
    if (error == 0 && options->native_too)
        error = start_native(bench);
    return error;
}

/* ---- Rounds ------------------------------------------------------------------------------------ */

static void
fill_result(struct bench_result *result, const struct bench_cuda_test *test, const char *mechanism, double *values,
            unsigned n)
{
    memset(result, 0, sizeof(*result));
    snprintf(result->test, sizeof(result->test), "%s", test->name);
    snprintf(result->mechanism, sizeof(result->mechanism), "%s", mechanism);
    result->own = strcmp(mechanism, "libgpuvchan") == 0;
    result->lower_is_better = test->lower_is_better;
    result->unit = test->unit;
    result->placement = "any";
    result->value = bench_quantile(values, n, 0.5);
    result->low = bench_quantile(values, n, 0.25);
    result->high = bench_quantile(values, n, 0.75);
}

/* @p native is NULL where it was not measured. */
static int
add_results(struct bench_report *report, const struct bench_cuda_test *test, double *forwarded, double *native,
            double *ratio, unsigned rounds)
{
    struct bench_result result;
    int error;

    fill_result(&result, test, "libgpuvchan", forwarded, rounds);
    if (native) {
        snprintf(result.ratio[0].reference, sizeof(result.ratio[0].reference), "native");
        result.ratio[0].ratio = bench_quantile(ratio, rounds, 0.5);
    }
    error = bench_report_add(report, &result);
    if (error == 0 && native) {
        fill_result(&result, test, "native", native, rounds);
        error = bench_report_add(report, &result);
    }
    return error;
}

static int
run_test(struct cuda_bench *bench, const struct bench_cuda_test *test, bool quick, struct bench_report *report)
{
    double forwarded[ROUNDS], native[ROUNDS], ratio[ROUNDS];
    unsigned rounds = quick ? ROUNDS_QUICK : ROUNDS;
    char problem[160] = "";
    int error = 0;

    for (unsigned i = 0; i < rounds && error == 0; i++) {
        error = bench_cuda_side_run(&bench->forwarded, test, quick, &forwarded[i], problem, sizeof(problem));
        if (error == 0 && bench->native.pid > 0)
            error = bench_cuda_side_run(&bench->native, test, quick, &native[i], problem, sizeof(problem));
        if (error == 0 && bench->native.pid > 0)
            ratio[i] = forwarded[i] / native[i];
    }
    if (error != 0) {
        fprintf(stderr, "gpuvchan-bench: %s: %s\n", test->name, problem);
        return error;
    }
    return add_results(report, test, forwarded, bench->native.pid > 0 ? native : NULL, ratio, rounds);
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
    static const struct bench_cuda_test more = {.name = "program-start-more", .unit = "ms", .lower_is_better = true};
    double forwarded[ROUNDS], native[ROUNDS], ratio[ROUNDS], difference[ROUNDS];
    unsigned rounds = quick ? ROUNDS_QUICK : ROUNDS;
    bool both = bench->native.pid > 0;
    struct bench_result result;
    int error = 0;

    for (unsigned i = 0; i < rounds && error == 0; i++) {
        error = rest_and_start(&bench->forwarded, bench->address, &forwarded[i]);
        if (error == 0 && both)
            error = rest_and_start(&bench->native, NULL, &native[i]);
        ratio[i] = error == 0 && both ? forwarded[i] / native[i] : 0;
        difference[i] = error == 0 && both ? forwarded[i] - native[i] : 0;
    }
    if (error == 0)
        error = add_results(report, &test, forwarded, both ? native : NULL, ratio, rounds);
    if (error == 0 && both) {
        fill_result(&result, &more, "libgpuvchan", difference, rounds);
        error = bench_report_add(report, &result);
    }
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
