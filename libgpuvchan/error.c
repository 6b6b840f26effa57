/* SPDX-License-Identifier: MIT */
/* Error texts of threads, and the log. The function that detects a fault words it, once. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static _Thread_local char error_text[ERROR_TEXT];

static void log_to_stderr(enum gpuvchan_log_level level, const char *text);

static gpuvchan_log_func *log_func = log_to_stderr;
static int log_level = -1; /* not set: ask the environment */

const char *
gpuvchan_error_text(void)
{
    return error_text;
}

int
gpuvchan__error(int error, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(error_text, sizeof(error_text), format, list);
    va_end(list);
    gpuvchan_log(GPUVCHAN_LOG_DEBUG, "%s", error_text);
    return error;
}

static void
log_to_stderr(enum gpuvchan_log_level level, const char *text)
{
    static const char *const names[] = {
        [GPUVCHAN_LOG_ERROR] = "error",
        [GPUVCHAN_LOG_WARNING] = "warning",
        [GPUVCHAN_LOG_INFO] = "info",
        [GPUVCHAN_LOG_DEBUG] = "debug",
    };

    fprintf(stderr, "gpuvchan: %s: %s\n", names[level], text);
}

static int
level_from_environment(void)
{
    static const struct {
        const char *name;
        enum gpuvchan_log_level level;
    } levels[] = {
        {"error", GPUVCHAN_LOG_ERROR},
        {"warning", GPUVCHAN_LOG_WARNING},
        {"info", GPUVCHAN_LOG_INFO},
        {"debug", GPUVCHAN_LOG_DEBUG},
    };
    const char *text = getenv("GPUVCHAN_LOG");

    for (size_t i = 0; text && i < sizeof(levels) / sizeof(levels[0]); i++)
        if (strcasecmp(text, levels[i].name) == 0)
            return levels[i].level;
    return GPUVCHAN_LOG_WARNING;
}

void
gpuvchan_log_set(gpuvchan_log_func *func, enum gpuvchan_log_level level)
{
    log_func = func ? func : log_to_stderr;
    __atomic_store_n(&log_level, (int)level, __ATOMIC_RELAXED);
}

void
gpuvchan_log(enum gpuvchan_log_level level, const char *format, ...)
{
    char text[1024];
    int limit = __atomic_load_n(&log_level, __ATOMIC_RELAXED);
    va_list list;

    if (limit < 0) {
        limit = level_from_environment();
        __atomic_store_n(&log_level, limit, __ATOMIC_RELAXED);
    }
    if ((int)level > limit)
        return;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    log_func(level, text);
}

const char *
gpuvchan_version(void)
{
    return GPUVCHAN_VERSION;
}
