/* SPDX-License-Identifier: MIT */
/*
 * gpuvchan-bench - measures libgpuvchan and its peers between two processes.
 *
 * The reader's way in: mechanism.h is what can be measured, measure.h what is
 * measured and how it is kept honest, pair.h the two processes; peer_*.c and
 * own.c are the mechanisms, report.c and plot.c what comes out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "cuda_start.h"
#include "gl_program.h"
#include "own.h"
#include "report.h"
#include "run.h"
#include "serve.h"
#include "xen_peer.h"

/* Opened before anything is measured, emptied when there is something to write. */
static FILE *
open_json(const char *path)
{
    FILE *file;
    int fd;

    if (strcmp(path, "-") == 0)
        return stdout;
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file) {
        fprintf(stderr, "gpuvchan-bench: --json %s: %s\n", path, strerror(errno));
        exit(BENCH_EXIT_FAILED);
    }
    return file;
}

static int
write_json(const struct bench_report *report, const char *path, FILE *file)
{
    int err = 0;

    /* Devices cannot be emptied, and need not be. */
    if (file != stdout && ftruncate(fileno(file), 0) < 0 && errno != EINVAL)
        err = -errno;
    if (err == 0)
        err = bench_report_write_json(report, file);
    if (err < 0)
        fprintf(stderr, "gpuvchan-bench: --json %s: %s\n", path, strerror(-err));
    return err;
}

static int
write_plot(const struct bench_report *report, const struct bench_options *options, const char *host)
{
    char heading[224];
    int err;

    snprintf(heading, sizeof(heading), "gpuvchan-bench %s%s: %s", options->command_name,
             options->quick ? " --quick" : "", host);
    err = bench_plot_write(report, heading, options->plot);
    if (err < 0)
        fprintf(stderr, "gpuvchan-bench: --plot %s: %s\n", options->plot, strerror(-err));
    return err;
}

static int
measure_here(const struct bench_options *options, struct bench_report *report, char *description, size_t size)
{
    struct bench_host host;
    int err = bench_host_init(&host);

    if (err < 0) {
        fprintf(stderr, "gpuvchan-bench: no CPU to measure on: %s\n", strerror(-err));
        return err;
    }
    bench_host_describe(&host, description, size);
    fprintf(report->out, "gpuvchan-bench %s%s: %s\n", options->command_name, options->quick ? " --quick" : "",
            description);
    fflush(report->out);
    if (options->command == BENCH_CUDA)
        return bench_own_cuda(options, &host, report);
    if (options->command == BENCH_GL)
        return bench_own_gl(options, &host, report);
    return bench_run(options, &host, report);
}

static bool
had_trouble(const struct bench_report *report)
{
    for (unsigned i = 0; i < report->nresults; i++)
        if (report->results[i].trouble)
            return true;
    return false;
}

static void
check_plot(const char *path)
{
    const char *problem = bench_plot_check(path);

    if (!problem)
        return;
    fprintf(stderr, "gpuvchan-bench: --plot %s: %s\n", path, problem);
    exit(BENCH_EXIT_FAILED);
}

int
main(int argc, char **argv)
{
    struct bench_options options;
    struct bench_report report;
    char description[160];
    FILE *json = NULL;
    int err;

    if (argc == 3 && strcmp(argv[1], BENCH_CUDA_START) == 0)
        return bench_cuda_start_program(argv[2]);
    if (argc > 1 && strcmp(argv[1], BENCH_GL_PROGRAM) == 0)
        return bench_gl_program(argc - 2, argv + 2);
    bench_mechanisms_collect();
    bench_options_parse(&options, argc, argv);
    if (options.command == BENCH_SERVE)
        return bench_serve(&options);
    if (options.json)
        json = open_json(options.json);
    if (options.plot)
        check_plot(options.plot);
    bench_report_init(&report, json == stdout ? stderr : stdout);
    if (options.has_peer)
        err = bench_peer_run(&options, &report, description, sizeof(description));
    else
        err = measure_here(&options, &report, description, sizeof(description));
    if (err == 0 && json)
        err = write_json(&report, options.json, json);
    if (err == 0 && options.plot)
        err = write_plot(&report, &options, description);
    if (err == 0 && had_trouble(&report))
        err = -EIO;
    if (json && json != stdout)
        fclose(json);
    bench_report_finish(&report);
    return err < 0 ? BENCH_EXIT_FAILED : EXIT_SUCCESS;
}
