/* SPDX-License-Identifier: MIT */
/*
 * own.h - libgpuvchan itself, as far as it does not fit mechanism.h.
 */
#ifndef BENCH_OWN_H
#define BENCH_OWN_H

#include "options.h"
#include "report.h"

/*
 * Add their results to the report and print them. Return 0, or -errno after
 * they have said why.
 */
extern int (*const bench_own_cuda)(const struct bench_options *options, const struct bench_host *host,
                                   struct bench_report *report);

extern int (*const bench_own_gl)(const struct bench_options *options, const struct bench_host *host,
                                 struct bench_report *report);

/* Names of OpenGL's tests, for --only and --help; NULL behind the last one. */
const char *bench_gl_test_name(unsigned i);

const char *bench_gl_test_summary(unsigned i);

#endif
