/* SPDX-License-Identifier: MIT */
/* The doctor's lines: one for each check. */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *word, *colour;
} levels[] = {
    [REPORT_OK] = {"ok", "\033[32m"},
    [REPORT_WARN] = {"warn", "\033[33m"},
    [REPORT_FAIL] = {"FAIL", "\033[31m"},
};

void
report_init(struct report *report)
{
    const char *terminal = getenv("TERM");

    memset(report, 0, sizeof(*report));
    report->colour = isatty(STDOUT_FILENO) && terminal && strcmp(terminal, "dumb") != 0 && !getenv("NO_COLOR");
}

void
report_line(struct report *report, enum report_level level, const char *what, const char *format, ...)
{
    va_list list;

    report->count[level]++;
    printf("%s%-8s%s%s: ", report->colour ? levels[level].colour : "", levels[level].word,
           report->colour ? "\033[0m" : "", what);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
}

int
report_end(const struct report *report)
{
    printf("%u ok, %u to look at, %u failed\n", report->count[REPORT_OK], report->count[REPORT_WARN],
           report->count[REPORT_FAIL]);
    return report->count[REPORT_FAIL] ? 1 : 0;
}
