/* SPDX-License-Identifier: MIT */
/*
 * own.h - libgpuvchan itself, as far as it does not fit mechanism.h.
 */
#ifndef BENCH_OWN_H
#define BENCH_OWN_H

#include "options.h"
#include "report.h"

/*
 * Adds its results to the report and prints them. Returns 0, or -errno after
 * it has said why. NULL: this build has none.
 */
extern int (*const bench_own_cuda)(const struct bench_options *options, const struct bench_host *host,
                                   struct bench_report *report);

#endif
