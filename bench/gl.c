/* SPDX-License-Identifier: MIT */
/*
 * gl.c - OpenGL programs through libgpuvchan, and natively and through virgl beside it.
 *
 * Design notes: each figure is of a program of its own, and the ways take turns with the same program, so that whatever
 * else the machine does falls on all of them. Each draws on an X server that has nobody else. A program that one way
 * cannot run has no figure there, for the reason that is printed, and the others go on.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alternate.h"
#include "gl_place.h"
#include "gl_program.h"
#include "own.h"
#include "process.h"
#include "progress.h"

#define TURNS_QUICK 3
#define TURNS 5
#define WORDS_MAX 8
#define WAYS 3

/* ---- What is measured ------------------------------------------------------------------------- */

struct gl_test {
    const char *name, *summary;
    const char *program; /* NULL: our own */
    const char *words[4];
    const char *unit;
    bool quick; /* part of --quick, unless --only says what is */
};

#define OURS(name, summary, work, size, unit)         \
    {                                                 \
        name, summary, NULL, {work, size}, unit, true \
    }
#define SCENE(scene)                                                                              \
    {                                                                                             \
        "glmark2-" scene, "glmark2's scene", "glmark2", {"-b", scene ":duration=2"}, "fps", false \
    }

static const struct gl_test tests[] = {
    OURS("clear-300x300", "a window is cleared and shown", "clear", "300x300", "fps"),
    OURS("clear-1024x768", "a larger one", "clear", "1024x768", "fps"),
    OURS("clear-1920x1080", "a larger one", "clear", "1920x1080", "fps"),
    {"glxgears", "of mesa-utils, 300x300", "glxgears", {"-info"}, "fps", false},
    {"es2gears", "es2gears_x11 of mesa-utils", "es2gears_x11", {"-info"}, "fps", false},
    SCENE("build"),
    SCENE("texture"),
    SCENE("shading"),
    SCENE("bump"),
    SCENE("effect2d"),
    SCENE("pulsar"),
    SCENE("desktop"),
    SCENE("buffer"),
    SCENE("ideas"),
    SCENE("jellyfish"),
    SCENE("terrain"),
    SCENE("shadow"),
    SCENE("refract"),
    SCENE("conditionals"),
    SCENE("function"),
    SCENE("loop"),
    SCENE("clear"),
    OURS("draws", "changes of state, each with a small draw call, until they are drawn", "draws", "300x300", "M/s"),
    OURS("draws-posted", "the same, as long as they take the program", "posted", "300x300", "M/s"),
};

#define TESTS (sizeof(tests) / sizeof(tests[0]))

const char *
bench_gl_test_name(unsigned i)
{
    return i < TESTS ? tests[i].name : NULL;
}

const char *
bench_gl_test_summary(unsigned i)
{
    return tests[i].summary;
}

static bool
is_wanted(const struct bench_options *options, const struct gl_test *test)
{
    return options->only_test[0] ? bench_options_want_test(options, test->name) : test->quick || !options->quick;
}

/* ---- Rounds ----------------------------------------------------------------------------------- */

struct gl_bench {
    struct bench_gl_place place;
    const struct bench_options *options;
    enum bench_gl_way ways[WAYS];
    unsigned nways;
    char program[300]; /* this one */
    char trouble[TESTS][WAYS][200];
    char renderer[WAYS][128];
};

static const char *const way_names[] = {
    [BENCH_GL_FORWARDED] = "libgpuvchan",
    [BENCH_GL_NATIVE] = "native",
    [BENCH_GL_VIRGL] = "virgl",
};

static void
fill_words(struct gl_bench *bench, const struct gl_test *test, const char **words)
{
    unsigned n = 0;

    words[n++] = test->program ? test->program : bench->program;
    if (!test->program)
        words[n++] = BENCH_GL_PROGRAM;
    for (unsigned i = 0; test->words[i]; i++)
        words[n++] = test->words[i];
    if (!test->program)
        words[n++] = bench->options->quick ? "0.5" : "2";
    words[n] = NULL;
}

/* One side's turn. What failed once is not tried again. */
static void
take_turn(struct gl_bench *bench, unsigned i, unsigned way, struct bench_alternate *what, unsigned turn)
{
    const char *words[WORDS_MAX];
    struct bench_gl_answer answer;

    if (what->side[way].trouble)
        return;
    fill_words(bench, &tests[i], words);
    if (bench_gl_run(&bench->place, bench->ways[way], (char *const *)words, &answer) == 0) {
        what->side[way].value[turn] = answer.value;
        memcpy(bench->renderer[way], answer.renderer, sizeof(answer.renderer));
    } else {
        memcpy(bench->trouble[i][way], answer.problem, sizeof(answer.problem));
        what->side[way].trouble = bench->trouble[i][way];
    }
}

static int
run_test(struct gl_bench *bench, unsigned i, struct bench_report *report)
{
    struct bench_alternate what = {
        .test = tests[i].name,
        .unit = tests[i].unit,
        .turns = bench->options->quick ? TURNS_QUICK : TURNS,
        .sides = bench->nways,
    };

    for (unsigned way = 0; way < bench->nways; way++)
        what.side[way].mechanism = way_names[bench->ways[way]];
    for (unsigned turn = 0; turn < what.turns; turn++)
        for (unsigned way = 0; way < bench->nways; way++)
            take_turn(bench, i, way, &what, turn);
    return bench_alternate_add(report, &what);
}

/* ---- All of them ------------------------------------------------------------------------------ */

/* What is installed of what is wanted, and a line on each program that is not. */
static unsigned
choose(const struct gl_bench *bench, bool *chosen, FILE *out)
{
    const char *missing = "";
    unsigned n = 0;

    for (unsigned i = 0; i < TESTS; i++) {
        const char *program = tests[i].program;

        chosen[i] = is_wanted(bench->options, &tests[i]);
        if (!chosen[i])
            continue;
        chosen[i] = !program || bench_is_installed(program);
        if (!chosen[i] && strcmp(program, missing) != 0)
            fprintf(out, "%s is not installed: left out\n", program);
        if (!chosen[i])
            missing = program;
        n += chosen[i];
    }
    return n;
}

static void
print(struct gl_bench *bench, struct bench_report *report, const struct gl_test *test)
{
    double load[1] = {NAN};
    char how[600];
    int n;

    n = snprintf(how, sizeof(how), "medians of %u alternating rounds", bench->options->quick ? TURNS_QUICK : TURNS);
    for (unsigned way = 0; way < bench->nways; way++)
        if (*bench->renderer[way])
            n += snprintf(how + n, sizeof(how) - (size_t)n, "; %s: %s", way_names[bench->ways[way]],
                          bench->renderer[way]);
    getloadavg(load, 1);
    snprintf(how + n, sizeof(how) - (size_t)n, "; load %.1f", load[0]);
    bench_progress_clear();
    bench_report_print(report, strcmp(test->unit, "fps") == 0 ? "OpenGL: frames per second" : "OpenGL: draw calls",
                       how);
}

static int
run_chosen(struct gl_bench *bench, const bool *chosen, unsigned all, struct bench_report *report)
{
    const struct gl_test *last = NULL;
    unsigned done = 0;
    int error = 0;

    for (unsigned i = 0; i < TESTS && error == 0; i++) {
        if (!chosen[i])
            continue;
        if (last && strcmp(last->unit, tests[i].unit) != 0)
            print(bench, report, last);
        last = &tests[i];
        bench_progress(++done, all, last->name);
        error = run_test(bench, i, report);
    }
    if (last)
        print(bench, report, last);
    return error;
}

/* The sides to be measured: ours is the first one. */
static void
choose_ways(struct gl_bench *bench, FILE *out)
{
    bench->ways[bench->nways++] = BENCH_GL_FORWARDED;
    if (bench->options->native_too)
        bench->ways[bench->nways++] = BENCH_GL_NATIVE;
    if (!bench->options->virgl)
        return;
    if (bench->place.no_virgl)
        fprintf(out, "virgl is left out: %s\n", bench->place.no_virgl);
    else
        bench->ways[bench->nways++] = BENCH_GL_VIRGL;
}

static int
run(const struct bench_options *options, const struct bench_host *host, struct bench_report *report)
{
    static struct gl_bench bench; /* its troubles last */
    bool chosen[TESTS];
    unsigned all;
    int error;

    (void)host; /* no pinning: drivers have threads of their own */
    bench.options = options;
    all = choose(&bench, chosen, report->out);
    if (all == 0) {
        fprintf(stderr, "gpuvchan-bench: nothing is left to measure\n");
        return -ENOENT;
    }
    error = bench_beside("bin/gpuvchan-bench", bench.program, sizeof(bench.program));
    if (error == 0)
        error = bench_gl_place_start(&bench.place, options->virgl);
    if (error == 0) {
        choose_ways(&bench, report->out);
        error = run_chosen(&bench, chosen, all, report);
    }
    bench_progress_clear();
    bench_gl_place_stop(&bench.place);
    return error;
}

int (*const bench_own_gl)(const struct bench_options *options, const struct bench_host *host,
                          struct bench_report *report) = run;
