/* SPDX-License-Identifier: MIT */
/*
 * What the CUDA tests share: TAP, and the first steps of each. They are programs of the driver API, and run
 * natively and forwarded with the same output.
 */
#ifndef TEST_H
#define TEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuda_api.h"
#include "kernels.h"

static int test_count, test_failed;

/* Between checks, if TEST_RENEW is a command: has its worker renewed, which must not be noticed. */
static inline void
test_renew(void)
{
    const char *command = getenv("TEST_RENEW");
    int every = getenv("TEST_RENEW_EVERY") ? atoi(getenv("TEST_RENEW_EVERY")) : 1;

    if (command && every > 0 && test_count % every == 0 && system(command) == -1)
        perror(command);
}

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
    test_renew();
    return passed;
}

static inline const char *
error_name(CUresult result)
{
    const char *name = NULL;

    return cuGetErrorName(result, &name) == CUDA_SUCCESS ? name : "unknown";
}

static inline bool
is_result(CUresult got, CUresult wanted, const char *call)
{
    bool passed = ok(got == wanted, "%s: %s", call, error_name(wanted));

    if (!passed)
        printf("# got %s (%d)\n", error_name(got), (int)got);
    return passed;
}

/* A call must give this result. */
#define GIVES(wanted, call) is_result((call), (wanted), #call)

/* A call that the test needs: ends it if it fails. */
#define NEED(call) need((call), #call)

static inline void
need(CUresult result, const char *call)
{
    if (result == CUDA_SUCCESS)
        return;
    printf("Bail out! %s: %s (%d)\n", call, error_name(result), (int)result);
    exit(1);
}

static inline int
test_end(void)
{
    printf("1..%d\n", test_count);
    return test_failed != 0;
}

/* Initialises, with a context of its own that is current. */
static inline CUcontext
test_begin(void)
{
    CUcontext context;

    alarm(getenv("TEST_SECONDS") ? (unsigned)atoi(getenv("TEST_SECONDS")) : 240);
    NEED(cuInit(0));
    NEED(cuCtxCreate_v2(&context, 0, 0));
    return context;
}

static inline CUfunction
test_kernel(const char *name)
{
    static CUmodule module;
    CUfunction function;

    if (!module)
        NEED(cuModuleLoadData(&module, kernels));
    NEED(cuModuleGetFunction(&function, module, name));
    return function;
}

static inline CUresult
test_launch(CUfunction function, unsigned blocks, unsigned threads, CUstream stream, void **parameters)
{
    return cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, 0, stream, parameters, NULL);
}

/* Bytes that tell places and rounds apart. */
static inline void
test_pattern(unsigned char *bytes, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (unsigned char)((i * 131 + i / 251 + seed * 17) & 255);
}

static inline unsigned
test_rounds(unsigned usual)
{
    const char *percent = getenv("TEST_ROUNDS");
    unsigned rounds = percent ? usual * (unsigned)atoi(percent) / 100 : usual;

    return rounds ? rounds : 1;
}

#endif
