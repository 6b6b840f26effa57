/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static bool line_stands;

void
bench_progress(unsigned step, unsigned steps, const char *what)
{
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r\033[K[%u/%u] %s", step, steps, what);
        line_stands = true;
    } else {
        fprintf(stderr, "[%u/%u] %s\n", step, steps, what);
    }
    fflush(stderr);
}

void
bench_progress_clear(void)
{
    if (line_stands)
        fprintf(stderr, "\r\033[K");
    line_stands = false;
}
