/* SPDX-License-Identifier: MIT */
/* The doctor's lines: one for each check. */
#ifndef GPUVCHAN_CTL_REPORT_H
#define GPUVCHAN_CTL_REPORT_H

#include <stdbool.h>

enum report_level {
    REPORT_OK,
    REPORT_WARN,
    REPORT_FAIL
};

struct report {
    bool colour;
    unsigned count[REPORT_FAIL + 1];
};

void report_init(struct report *report);

/* What was checked, and what came out. When that is not good, it ends with "Do: " and what to do. */
__attribute__((format(printf, 4, 5))) void
report_line(struct report *report, enum report_level level, const char *what, const char *format, ...);

/* The last line. Returns the exit status: 0 if nothing failed. */
int report_end(const struct report *report);

#define report_ok(report, what, ...) report_line(report, REPORT_OK, what, __VA_ARGS__)
#define report_warn(report, what, ...) report_line(report, REPORT_WARN, what, __VA_ARGS__)
#define report_fail(report, what, ...) report_line(report, REPORT_FAIL, what, __VA_ARGS__)

#endif
