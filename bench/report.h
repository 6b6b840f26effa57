/* SPDX-License-Identifier: MIT */
/*
 * report.h - results: the table, the JSON file and the plot.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define BENCH_REFERENCES_MAX 3

struct bench_ratio {
    char reference[24]; /* "" : there is none */
    double ratio;       /* to the reference's value; NAN where that is 0 */
};

/* One value. Strings are copied, except mode and unit, which must last. */
struct bench_result {
    char test[32];      /* "call-64" */
    char mechanism[32]; /* "pipe"; "libgpuvchan" for our own */
    bool own;           /* named by the test alone in JSON */
    bool lower_is_better;
    const char *mode; /* which of its modes it was, or NULL */
    const char *unit;
    const char *trouble; /* not NULL: no value, for this reason */
    double value;        /* median */
    double low, high;    /* quartiles */
    const char *placement;
    struct bench_ratio ratio[BENCH_REFERENCES_MAX];
};

struct bench_report {
    FILE *out;
    struct bench_result *results;
    unsigned nresults;
    unsigned printed;
};

void bench_report_init(struct bench_report *report, FILE *out);

void bench_report_finish(struct bench_report *report);

/* 0 or -ENOMEM. */
int bench_report_add(struct bench_report *report, const struct bench_result *result);

/* Prints what was added since the last call, under a title and a line on how
 * it was measured. */
void bench_report_print(struct bench_report *report, const char *title, const char *how);

/* Results that have a value; a result with several references is written once
 * for each. 0 or -errno. */
int bench_report_write_json(const struct bench_report *report, FILE *file);

/* A file name that ends in .svg or .png. */
bool bench_plot_can_write(const char *path);

/* What rsvg-convert or the file system lacks for that, or NULL. */
const char *bench_plot_check(const char *path);

/* 0 or -errno. */
int bench_plot_write(const struct bench_report *report, const char *heading, const char *path);

#endif
