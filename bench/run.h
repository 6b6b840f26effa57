/* SPDX-License-Identifier: MIT */
/*
 * run.h - one command, from its groups of tests to results.
 */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "options.h"
#include "report.h"

/*
 * Measures, adds to the report and prints group by group. Returns 0, or -errno
 * after it has said why: nothing to measure, or no ping-pong. Mechanisms that
 * fail are results with trouble.
 */
int bench_run(const struct bench_options *options, const struct bench_host *host, struct bench_report *report);

#endif
