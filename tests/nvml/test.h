/* SPDX-License-Identifier: MIT */
/* What the NVML tests share: TAP. They call the library that the loader finds, as any NVML program does. */
#ifndef TEST_H
#define TEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nvml_api.h"

static int test_count, test_failed;

static inline bool __attribute__((format(printf, 2, 3))) ok(bool passed, const char *format, ...)
{
    va_list list;

    printf("%sok %d - ", passed ? "" : "not ", ++test_count);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
    fflush(stdout);
    test_failed += !passed;
    return passed;
}

static inline bool
is_result(nvmlReturn_t got, nvmlReturn_t wanted, const char *call)
{
    bool passed = ok(got == wanted, "%s: %s", call, nvmlErrorString(wanted));

    if (!passed)
        printf("# got %s (%d)\n", nvmlErrorString(got), (int)got);
    return passed;
}

/* A call must give this result. */
#define GIVES(wanted, call) is_result((call), (wanted), #call)

static inline bool
is_text(const char *got, const char *wanted, const char *what)
{
    bool passed = ok(strcmp(got, wanted) == 0, "%s: %s", what, wanted);

    if (!passed)
        printf("# got %s\n", got);
    return passed;
}

static inline int
done(void)
{
    printf("1..%d\n", test_count);
    return test_failed != 0;
}

#endif
