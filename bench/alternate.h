/* SPDX-License-Identifier: MIT */
/*
 * alternate.h - values of rounds in which sides took turns: ours, and what it is compared with.
 */
#ifndef BENCH_ALTERNATE_H
#define BENCH_ALTERNATE_H

#include <stdbool.h>

#include "report.h"

#define BENCH_SIDES_MAX (1 + BENCH_REFERENCES_MAX)
#define BENCH_TURNS_MAX 15

struct bench_alternate {
    const char *test, *unit;
    bool lower_is_better;
    unsigned turns;
    unsigned sides; /* the first one is ours */
    struct {
        const char *mechanism;
        const char *trouble; /* not NULL: it has no values, for this reason */
        double value[BENCH_TURNS_MAX];
    } side[BENCH_SIDES_MAX];
};

/*
 * A result for each side: the median of its values, and for ours the median of the ratios to each of the others in
 * the same round. 0 or -ENOMEM. Sorts the values.
 */
int bench_alternate_add(struct bench_report *report, struct bench_alternate *what);

#endif
