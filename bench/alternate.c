/* SPDX-License-Identifier: MIT */
#include "alternate.h"

#include <stdio.h>
#include <string.h>

#include "measure.h"

static double
median_ratio(const struct bench_alternate *what, unsigned other)
{
    double ratio[BENCH_TURNS_MAX];

    for (unsigned i = 0; i < what->turns; i++)
        ratio[i] = what->side[0].value[i] / what->side[other].value[i];
    return bench_quantile(ratio, what->turns, 0.5);
}

static void
add_ratios(const struct bench_alternate *what, struct bench_result *result)
{
    unsigned n = 0;

    for (unsigned i = 1; i < what->sides; i++) {
        if (what->side[i].trouble)
            continue;
        snprintf(result->ratio[n].reference, sizeof(result->ratio[n].reference), "%s", what->side[i].mechanism);
        result->ratio[n++].ratio = median_ratio(what, i);
    }
}

int
bench_alternate_add(struct bench_report *report, struct bench_alternate *what)
{
    int error = 0;

    for (unsigned i = 0; i < what->sides && error == 0; i++) {
        double *values = what->side[i].value;
        struct bench_result result = {
            .own = i == 0,
            .lower_is_better = what->lower_is_better,
            .unit = what->unit,
            .placement = "any",
            .trouble = what->side[i].trouble,
        };

        snprintf(result.test, sizeof(result.test), "%s", what->test);
        snprintf(result.mechanism, sizeof(result.mechanism), "%s", what->side[i].mechanism);
        if (!result.trouble) {
            if (i == 0)
                add_ratios(what, &result); /* before any is sorted */
            result.value = bench_quantile(values, what->turns, 0.5);
            result.low = bench_quantile(values, what->turns, 0.25);
            result.high = bench_quantile(values, what->turns, 0.75);
        }
        error = bench_report_add(report, &result);
    }
    return error;
}
