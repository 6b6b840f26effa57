/* SPDX-License-Identifier: MIT */
/*
 * Loads every PTX file of this folder through the driver API and compares what
 * its kernels compute with the CPU. Which driver serves the calls is decided by
 * the libcuda.so.1 that the loader finds: the vendor's, the simulated device,
 * or a forwarding one. The output is TAP.
 *
 *	run [folder of the .ptx files]
 */
#include "bits.h"
#include "cuda_api.h"
#include "floating.h"
#include "integer.h"

#include <fenv.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *folder = "tests/ptx";
static bool simulated;
static char reason[4096];

/* A failed check ends its test and says why. */
#define CHECK(condition, ...)                             \
    do {                                                  \
        if (!(condition)) {                               \
            snprintf(reason, sizeof reason, __VA_ARGS__); \
            return false;                                 \
        }                                                 \
    } while (0)
#define CU(call)                                                                                 \
    do {                                                                                         \
        CUresult result_ = (call);                                                               \
        CHECK(result_ == CUDA_SUCCESS, "line %d: %s: %s", __LINE__, #call, error_name(result_)); \
    } while (0)
#define CU_GIVES(call, expected)                                                                            \
    do {                                                                                                    \
        CUresult result_ = (call);                                                                          \
        CHECK(result_ == (expected), "line %d: %s: %s instead of %s", __LINE__, #call, error_name(result_), \
              error_name(expected));                                                                        \
    } while (0)

static const char *
error_name(CUresult error)
{
    const char *name = NULL;

    cuGetErrorName(error, &name);
    return name ? name : "unknown";
}

static bool
load(const char *name, CUmodule *module)
{
    char path[1024], log[2048] = "";
    CUjit_option options[2] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[2] = {log, (void *)(uintptr_t)sizeof log};
    CUresult result;
    FILE *file;
    char *text;
    long size;

    snprintf(path, sizeof path, "%s/%s.ptx", folder, name);
    file = fopen(path, "rb");
    CHECK(file, "cannot open %s", path);
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    text = calloc(1, (size_t)size + 1);
    if (text && fread(text, 1, (size_t)size, file) != (size_t)size)
        text[0] = '\0';
    fclose(file);
    result = cuModuleLoadDataEx(module, text, 2, options, values);
    free(text);
    CHECK(result == CUDA_SUCCESS, "%s: %s: %.300s", path, error_name(result), log);
    return true;
}

static bool
load_function(const char *module_name, const char *name, CUmodule *module, CUfunction *function)
{
    if (!load(module_name, module))
        return false;
    CU(cuModuleGetFunction(function, *module, name));
    return true;
}

/* A fixed sequence, with the values where arithmetic likes to go wrong mixed in. */
static uint64_t seed;

static uint32_t
next_random(void)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(seed >> 32);
}

static uint32_t
next_word(void)
{
    static const uint32_t edges[] = {
        0,          1,          2,          31,         32,         33,         63,         64,
        127,        128,        255,        256,        0x7fff,     0x8000,     0xffff,     0x10000,
        0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0xfffffffe, 0x3f800000, 0xbf800000, 0x7f800000,
        0xff800000, 0x7fc00000, 0x00000001, 0x80000000, 0x00800000, 0x007fffff, 0x7f7fffff, 0x4f000000,
        0xcf000000, 0x5f000000, 0x3fefffff, 0x7ff00000, 0xfff00000, 0x7ff80000, 0x43e00000, 0x41e00000,
    };
    uint32_t kind = next_random() % 8;

    if (kind < 2)
        return edges[next_random() % (sizeof edges / sizeof edges[0])];
    if (kind == 2)
        return next_random() % 1000;
    if (kind == 3) /* a float of moderate size */
        return 0x3a000000 + next_random() % 0x0c000000 + (next_random() & 0x80000000);
    return next_random();
}

static bool
launch(CUfunction f, unsigned int grid, unsigned int block, unsigned int shared, void **params)
{
    CU(cuLaunchKernel(f, grid, 1, 1, block, 1, 1, shared, NULL, params, NULL));
    CU(cuCtxSynchronize());
    return true;
}

/* Functions from four words to many results, the same code on both sides. */

typedef void (*word_function)(const uint32_t *in, uint64_t *out);

#define WORD_CASES 4096u

static bool
compare_words(const char *name, word_function reference, unsigned int results)
{
    static uint32_t in[4 * WORD_CASES];
    unsigned int count = WORD_CASES, i, k;
    size_t bytes = (size_t)WORD_CASES * results * 8;
    uint64_t *out = malloc(bytes), expected[128];
    char kernel[32];
    CUmodule module;
    CUfunction f;
    CUdeviceptr din, dout;
    void *params[] = {&din, &dout, &count};

    snprintf(kernel, sizeof kernel, "run_%s", name);
    seed = 42;
    for (i = 0; i < 4 * WORD_CASES; i++)
        in[i] = next_word();
    if (!load_function(name, kernel, &module, &f))
        return false;
    CU(cuMemAlloc_v2(&din, sizeof in));
    CU(cuMemAlloc_v2(&dout, bytes));
    CU(cuMemcpyHtoD_v2(din, in, sizeof in));
    if (!launch(f, (count + 127) / 128, 128, 0, params))
        return false;
    CU(cuMemcpyDtoH_v2(out, dout, bytes));
    for (i = 0; i < count; i++) {
        memset(expected, 0, sizeof expected);
        reference(in + 4 * i, expected);
        for (k = 0; k < results; k++)
            CHECK(out[(size_t)i * results + k] == expected[k],
                  "case %u (%08x %08x %08x %08x), result %u: %016llx, expected %016llx", i, in[4 * i], in[4 * i + 1],
                  in[4 * i + 2], in[4 * i + 3], k, (unsigned long long)out[(size_t)i * results + k],
                  (unsigned long long)expected[k]);
    }
    CU(cuMemFree_v2(din));
    CU(cuMemFree_v2(dout));
    CU(cuModuleUnload(module));
    free(out);
    return true;
}

static bool
test_integer(void)
{
    return compare_words("integer", integer, INTEGER_RESULTS);
}

static bool
test_bits(void)
{
    return compare_words("bits", bits, BITS_RESULTS);
}

static bool
test_floating(void)
{
    return compare_words("floating", floating, FLOATING_RESULTS);
}

/* Library functions, within a tolerance. */

static bool
is_close(double got, double wanted, double tolerance)
{
    if (got != got || wanted != wanted)
        return got != got && wanted != wanted;
    return fabs(got - wanted) <= tolerance * (1 + fabs(wanted));
}

static bool
test_math(void)
{
    enum {
        COUNT = 512
    };
    static float in[2 * COUNT], out[24 * COUNT];
    unsigned int count = COUNT, i, k;
    CUmodule module;
    CUfunction f;
    CUdeviceptr din, dout;
    void *params[] = {&din, &dout, &count};

    seed = 7;
    for (i = 0; i < COUNT; i++) {
        in[2 * i] = (float)(next_random() % 20001) / 100 - 100;
        in[2 * i + 1] = (float)(next_random() % 1601) / 100 - 8;
    }
    if (!load_function("math", "run_math", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&din, sizeof in));
    CU(cuMemAlloc_v2(&dout, sizeof out));
    CU(cuMemcpyHtoD_v2(din, in, sizeof in));
    if (!launch(f, COUNT / 64, 64, 0, params))
        return false;
    CU(cuMemcpyDtoH_v2(out, dout, sizeof out));
    for (i = 0; i < COUNT; i++) {
        double a = in[2 * i], b = in[2 * i + 1];
        double expected[24] = {sin(a),
                               cos(a),
                               tan(a),
                               exp(b),
                               exp2(b),
                               log(fabs(a) + 1e-3f),
                               log2(fabs(a) + 1e-3f),
                               pow(fabs(a) + 0.1f, b),
                               tanh(b),
                               atan2(a, b),
                               asin(b / 8),
                               erf(b),
                               cbrt(a),
                               1 / sqrt(fabs(a) + 0.5),
                               hypot(a, b),
                               fmod(a, 3.7f),
                               sin(b),
                               exp(b),
                               log(fabs(a) + 1.5),
                               a / (fabs(b) + 1),
                               sqrt(fabs(a)),
                               lgamma(fabs(b) + 1),
                               log1p(fabs(b)),
                               sinh(b)};

        for (k = 0; k < 24; k++)
            CHECK(is_close(out[24 * i + k], expected[k], k == 2 ? 1e-3 : 2e-5),
                  "function %u of (%g, %g): %.9g, expected %.9g", k, a, b, (double)out[24 * i + k], expected[k]);
    }
    CU(cuModuleUnload(module));
    CU(cuMemFree_v2(din));
    CU(cuMemFree_v2(dout));
    return true;
}

static bool
test_math_double(void)
{
    enum {
        COUNT = 512
    };
    static double in[2 * COUNT], out[12 * COUNT];
    unsigned int count = COUNT, i, k;
    CUmodule module;
    CUfunction f;
    CUdeviceptr din, dout;
    void *params[] = {&din, &dout, &count};

    seed = 8;
    for (i = 0; i < COUNT; i++) {
        in[2 * i] = (double)(next_random() % 20001) / 100 - 100;
        in[2 * i + 1] = (double)(next_random() % 1601) / 100 - 8;
    }
    if (!load_function("math", "run_math_double", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&din, sizeof in));
    CU(cuMemAlloc_v2(&dout, sizeof out));
    CU(cuMemcpyHtoD_v2(din, in, sizeof in));
    if (!launch(f, COUNT / 64, 64, 0, params))
        return false;
    CU(cuMemcpyDtoH_v2(out, dout, sizeof out));
    for (i = 0; i < COUNT; i++) {
        double a = in[2 * i], b = in[2 * i + 1];
        double expected[12] = {sin(a),       cos(a),      exp(b), log(fabs(a) + 1e-3),     pow(fabs(a) + 0.1, b),
                               tanh(b),      atan2(a, b), erf(b), 1 / sqrt(fabs(a) + 0.5), cbrt(a),
                               fmod(a, 3.7), a / (b + 10)};

        for (k = 0; k < 12; k++)
            CHECK(is_close(out[12 * i + k], expected[k], 1e-13), "function %u of (%g, %g): %.17g, expected %.17g", k, a,
                  b, out[12 * i + k], expected[k]);
    }
    CU(cuModuleUnload(module));
    CU(cuMemFree_v2(din));
    CU(cuMemFree_v2(dout));
    return true;
}

/* Halves: the exact result in double, rounded once to the format. */

static double
round_to(double a, int bits, int least, double greatest)
{
    int exponent;
    double unit;

    if (a == 0 || !isfinite(a))
        return a;
    frexp(a, &exponent);
    exponent = exponent - bits < least ? least : exponent - bits;
    unit = ldexp(1, exponent);
    a = rint(a / unit) * unit;
    return fabs(a) > greatest ? copysign(INFINITY, a) : a;
}

static double
f16(double a)
{
    return round_to(a, 11, -24, 65504);
}

static double
bf16(double a)
{
    return round_to(a, 8, -133, 3.3895313892515355e38);
}

static bool
half_inputs(float *in, unsigned int count, CUdeviceptr *din)
{
    unsigned int i;

    seed = 9;
    for (i = 0; i < 3 * count; i++)
        in[i] = ((float)(next_random() % 40001) / 20000 - 1) * (float)(1 << next_random() % 12);
    CU(cuMemAlloc_v2(din, 3 * count * sizeof *in));
    CU(cuMemcpyHtoD_v2(*din, in, 3 * count * sizeof *in));
    return true;
}

static bool
half_file(const char *file)
{
    enum {
        COUNT = 1024
    };
    static float in[3 * COUNT], out[16 * COUNT];
    unsigned int count = COUNT, i, k;
    CUmodule module;
    CUfunction f;
    CUdeviceptr din, dout;
    void *params[] = {&din, &dout, &count};

    if (!half_inputs(in, COUNT, &din) || !load_function(file, "run_half", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&dout, sizeof out));
    if (!launch(f, COUNT / 128, 128, 0, params))
        return false;
    CU(cuMemcpyDtoH_v2(out, dout, sizeof out));
    for (i = 0; i < COUNT; i++) {
        double a = f16(in[3 * i]), b = f16(in[3 * i + 1]), c = f16(in[3 * i + 2]);
        double sum = f16(a + b);
        double expected[16] = {a,
                               sum,
                               f16(a - b),
                               f16(a * b),
                               f16(a * b + c),
                               -a,
                               fabs(a),
                               f16(a + c),
                               f16(b * a),
                               f16(b * a + b),
                               a<b, a> c && b > a,
                               trunc(a),
                               f16((int)in[3 * i]),
                               f16(sqrt(fabs(a))),
                               sum < 0   ? 0
                               : sum > 1 ? 1
                                         : sum};

        for (k = 0; k < 16; k++)
            CHECK((double)out[16 * i + k] == expected[k], "result %u of (%g, %g, %g): %.9g, expected %.9g", k, a, b, c,
                  (double)out[16 * i + k], expected[k]);
    }
    CU(cuModuleUnload(module));
    CU(cuMemFree_v2(din));
    CU(cuMemFree_v2(dout));
    return true;
}

static bool
bfloat_file(const char *file, bool has_fma)
{
    enum {
        COUNT = 1024
    };
    static float in[3 * COUNT], out[6 * COUNT];
    unsigned int count = COUNT, i, k;
    CUmodule module;
    CUfunction f;
    CUdeviceptr din, dout;
    void *params[] = {&din, &dout, &count};

    if (!half_inputs(in, COUNT, &din) || !load_function(file, "run_bfloat", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&dout, sizeof out));
    if (!launch(f, COUNT / 128, 128, 0, params))
        return false;
    CU(cuMemcpyDtoH_v2(out, dout, sizeof out));
    for (i = 0; i < COUNT; i++) {
        double a = bf16(in[3 * i]), b = bf16(in[3 * i + 1]), c = bf16(in[3 * i + 2]);
        double expected[6] = {a, bf16(a + b), bf16(a * b), has_fma ? bf16(a * b + c) : 0, a > b ? a : b, a <= b};

        for (k = 0; k < 6; k++)
            CHECK((double)out[6 * i + k] == expected[k], "result %u of (%g, %g, %g): %.9g, expected %.9g", k, a, b, c,
                  (double)out[6 * i + k], expected[k]);
    }
    CU(cuModuleUnload(module));
    CU(cuMemFree_v2(din));
    CU(cuMemFree_v2(dout));
    return true;
}

static bool
test_half(void)
{
    return half_file("half") && bfloat_file("half", false);
}

static bool
test_half90(void)
{
    return half_file("half90") && bfloat_file("half90", true);
}

/* Control flow. */

static int
fibonacci(int n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static int
collatz(unsigned int n)
{
    int steps = 0;

    for (; n != 1 && steps <= 1000; steps++)
        n = n & 1 ? 3 * n + 1 : n >> 1;
    return steps > 1000 ? -1 : steps;
}

static void
expect_control(unsigned int i, int *o)
{
    static const int cases[12] = {17, 7, 99, -3, 4 << 7, 1234, 6 ^ 0x55, 343, 4321, 0, -1, -1};
    char tail[5];
    int sum = 0, buffer[16], k;
    unsigned int u;

    for (k = 0; k < 5; k++)
        tail[k] = (char)(i + (unsigned int)(4 - k));
    o[0] = fibonacci((int)(i % 12));
    o[1] = (int)(i * 2 + 7) + (int)i + tail[0] * 3 + tail[4];
    o[2] = i % 3 == 0 ? (int)(2 * i) : i % 3 == 1 ? (int)(i * i) : -(int)i;
    o[3] = cases[i % 12];
    o[4] = collatz(i + 1);
    for (u = 0; u < i % 37; u++) {
        unsigned int j;

        if (u % 3 == 0)
            continue;
        if (u == 31)
            break;
        for (j = u; j < 5; j++)
            sum += (int)(j * u);
        sum++;
    }
    o[5] = sum;
    o[6] = i % 2 == 0 ? 4 : i % 4 == 1 ? 1 : i % 8 == 3 ? 2 : 3;
    for (k = 0; k < 16; k++)
        buffer[((unsigned int)k * 5 + i) & 15] = k * k;
    o[7] = buffer[i & 15] + buffer[(i >> 4) & 15];
}

static bool
test_control(void)
{
    enum {
        COUNT = 1000
    };
    static int out[8 * COUNT];
    unsigned int count = COUNT, i, k;
    CUmodule module;
    CUfunction f;
    CUdeviceptr dout;
    void *params[] = {&dout, &count};

    if (!load_function("control", "run_control", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&dout, sizeof out));
    if (!launch(f, (COUNT + 95) / 96, 96, 0, params))
        return false;
    CU(cuMemcpyDtoH_v2(out, dout, sizeof out));
    for (i = 0; i < COUNT; i++) {
        int expected[8];

        expect_control(i, expected);
        for (k = 0; k < 8; k++)
            CHECK(out[8 * i + k] == expected[k], "thread %u, result %u: %d, expected %d", i, k, out[8 * i + k],
                  expected[k]);
    }
    CU(cuModuleUnload(module));
    CU(cuMemFree_v2(dout));
    return true;
}

static bool
test_lock(void)
{
    int words[2] = {0, 0};
    CUmodule module;
    CUfunction f;
    CUdeviceptr cells, counter;
    void *params[] = {&cells, &counter};

    if (!load_function("control", "run_lock", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&cells, sizeof words));
    CU(cuMemcpyHtoD_v2(cells, words, sizeof words));
    counter = cells + 4;
    if (!launch(f, 3, 64, 0, params))
        return false;
    CU(cuMemcpyDtoH_v2(words, cells, sizeof words));
    CHECK(words[0] == 0 && words[1] == 192, "lock %d, counter %d", words[0], words[1]);
    CU(cuModuleUnload(module));
    CU(cuMemFree_v2(cells));
    return true;
}

/* Shared memory. */

static bool
test_reduce(void)
{
    enum {
        COUNT = 10000,
        BLOCKS = (COUNT + 255) / 256
    };
    static float in[COUNT], out[BLOCKS];
    unsigned int count = COUNT, i;
    CUmodule module;
    CUfunction f;
    CUdeviceptr din, dout;
    void *params[] = {&din, &dout, &count};

    for (i = 0; i < COUNT; i++)
        in[i] = (float)(i % 17);
    if (!load_function("shared", "run_reduce", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&din, sizeof in));
    CU(cuMemAlloc_v2(&dout, sizeof out));
    CU(cuMemcpyHtoD_v2(din, in, sizeof in));
    if (!launch(f, BLOCKS, 256, 0, params))
        return false;
    CU(cuMemcpyDtoH_v2(out, dout, sizeof out));
    for (i = 0; i < BLOCKS; i++) {
        float sum = 0;
        unsigned int k;

        for (k = 256 * i; k < 256 * i + 256 && k < COUNT; k++)
            sum += in[k];
        CHECK(out[i] == sum, "block %u: %g, expected %g", i, (double)out[i], (double)sum);
    }
    CU(cuModuleUnload(module));
    CU(cuMemFree_v2(din));
    CU(cuMemFree_v2(dout));
    return true;
}

static bool
test_transpose(void)
{
    enum {
        N = 96
    };
    static uint32_t in[N * N], out[N * N];
    unsigned int n = N, i;
    CUmodule module;
    CUfunction f;
    CUdeviceptr din, dout;
    void *params[] = {&din, &dout, &n};

    for (i = 0; i < N * N; i++)
        in[i] = i * 7;
    if (!load_function("shared", "run_transpose", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&din, sizeof in));
    CU(cuMemAlloc_v2(&dout, sizeof out));
    CU(cuMemcpyHtoD_v2(din, in, sizeof in));
    CU(cuLaunchKernel(f, N / 16, N / 16, 1, 16, 16, 1, 16 * 17 * 4, NULL, params, NULL));
    CU(cuMemcpyDtoH_v2(out, dout, sizeof out));
    for (i = 0; i < N * N; i++)
        CHECK(out[i] == in[i % N * N + i / N], "element %u", i);
    CU(cuModuleUnload(module));
    CU(cuMemFree_v2(din));
    CU(cuMemFree_v2(dout));
    return true;
}

static bool
test_barriers(void)
{
    static uint32_t out[4 * 128];
    unsigned int t;
    CUmodule module;
    CUfunction f;
    CUdeviceptr dout;
    void *params[] = {&dout};

    if (!load_function("shared", "run_counts", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&dout, sizeof out));
    if (!launch(f, 1, 128, 400, params))
        return false;
    CU(cuMemcpyDtoH_v2(out, dout, sizeof out));
    for (t = 0; t < 128; t++) {
        CHECK(out[4 * t] == 43, "thread %u counts %u", t, out[4 * t]);
        CHECK(out[4 * t + 1] == 1u << 4, "thread %u: and, or %#x", t, out[4 * t + 1]);
        CHECK(out[4 * t + 2] == 78, "thread %u: consumer %u", t, out[4 * t + 2]);
        CHECK(out[4 * t + 3] == 400, "thread %u: %u bytes", t, out[4 * t + 3]);
    }
    CU(cuModuleGetFunction(&f, module, "run_leavers"));
    if (!launch(f, 1, 128, 0, params))
        return false;
    CU(cuMemcpyDtoH_v2(out, dout, 64 * 4));
    for (t = 0; t < 64; t++)
        CHECK(out[t] == t * 6, "thread %u: %u", t, out[t]);
    CU(cuModuleUnload(module));
    CU(cuMemFree_v2(dout));
    return true;
}

/* Warps. */

static uint32_t
diverged(uint32_t t)
{
    uint32_t x = t * 7 + 3, k;

    for (k = 0; k < t % 32 % 7; k++)
        x = x * 5 + k;
    return x;
}

static void
expect_warp(uint32_t t, bool reduces, uint32_t *o)
{
    uint32_t lane = t & 31, base = t - lane, k, eq = 1u << lane;
    uint32_t lt = eq - 1, le = eq | lt, gt = ~le, ge = ~lt, least = UINT32_MAX, xored = 0;
    int32_t most = INT32_MIN;

#define VALUE(l) ((base + (l)) * 7 + 3)
    memset(o, 0, 24 * sizeof *o);
    o[0] = VALUE(5);
    o[1] = VALUE((lane & 16) | ((lane ^ 9) & 15));
    o[2] = VALUE(lane >= 3 ? lane - 3 : lane);
    o[3] = VALUE(lane % 8 >= 2 ? lane - 2 : lane);
    o[4] = VALUE(lane + 4 <= 31 ? lane + 4 : lane);
    o[5] = VALUE(lane % 4 < 3 ? lane + 1 : lane);
    o[6] = VALUE(lane ^ 16);
    o[7] = VALUE(lane ^ 3);
    for (k = 0; k < 32; k++) {
        o[8] |= (uint32_t)(VALUE(k) % 3 == 0) << k;
        o[10] |= (uint32_t)(k % 5 == lane % 5) << k;
        o[9] |= (uint32_t)(VALUE(k) == 1) << 3;
        o[17] += k;
        o[19] += VALUE(k);
        o[22] |= 1u << k % 9;
        least = VALUE(k) < least ? VALUE(k) : least;
        most = -(int32_t)VALUE(k) > most ? -(int32_t)VALUE(k) : most;
        xored ^= VALUE(k);
    }
    o[9] |= 3;
    o[9] &= VALUE(0) > 2 ? ~0u : ~1u;
    o[11] = 0xfffffffe;
    o[12] = lane < 16 ? VALUE(15) : VALUE(lane ^ 1);
    o[13] = lane < 16 ? 0xaaaau : 0xcccc0000u;
    o[14] = 0xffffffffu;
    o[15] = eq + lt * 3 + le * 5 + gt * 7 + ge * 11 + lane;
    o[16] = diverged(lane < 31 ? t + 1 : t);
    o[18] = (uint32_t)(((uint64_t)VALUE(3) << 33) >> 32);
    o[20] = least;
    o[21] = (uint32_t)most;
    o[23] = xored;
    if (!reduces)
        o[19] = o[20] = o[21] = o[22] = o[23] = 0;
#undef VALUE
}

static bool
warp_file(const char *file, bool reduces)
{
    static uint32_t out[24 * 96];
    uint32_t expected[24], t, k;
    CUmodule module;
    CUfunction f;
    CUdeviceptr dout;
    void *params[] = {&dout};

    if (!load_function(file, "run_warp", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&dout, sizeof out));
    CU(cuMemsetD8_v2(dout, 0, sizeof out));
    if (!launch(f, 1, 96, 0, params))
        return false;
    CU(cuMemcpyDtoH_v2(out, dout, sizeof out));
    for (t = 0; t < 96; t++) {
        expect_warp(t, reduces, expected);
        for (k = 0; k < 24; k++)
            CHECK(out[24 * t + k] == expected[k], "thread %u, result %u: %#x, expected %#x", t, k, out[24 * t + k],
                  expected[k]);
    }
    CU(cuModuleUnload(module));
    CU(cuMemFree_v2(dout));
    return true;
}

static bool
test_warp(void)
{
    return warp_file("warp", false);
}

static bool
test_warp90(void)
{
    return warp_file("warp90", true);
}

/* Atomics. */

struct cells {
    uint32_t add, sub, min_u, max_u, and_, or_, xor_, inc, dec, exch, cas;
    int32_t min_s, max_s;
    float add_f;
    unsigned long long add_l, min_l, max_l, or_l, cas_l;
    long long max_sl;
    double add_d;
};

static void
expect_cells(struct cells *c, uint32_t count)
{
    uint32_t i;

    for (i = 0; i < count; i++) {
        uint32_t h = i * 2654435761u;

        c->add++;
        c->sub -= i;
        c->min_u = h < c->min_u ? h : c->min_u;
        c->max_u = h > c->max_u ? h : c->max_u;
        c->min_s = (int32_t)h < c->min_s ? (int32_t)h : c->min_s;
        c->max_s = (int32_t)h > c->max_s ? (int32_t)h : c->max_s;
        c->and_ &= ~(1u << i % 11);
        c->or_ |= 1u << i % 29;
        c->xor_ ^= i * 77;
        c->inc = c->inc >= 9 ? 0 : c->inc + 1;
        c->dec = c->dec == 0 || c->dec > 12 ? 12 : c->dec - 1;
        c->add_f += 0.5f;
        c->add_l += (unsigned long long)i << 30;
        c->min_l = (i + 5ull) << 33 < c->min_l ? (i + 5ull) << 33 : c->min_l;
        c->max_l = (unsigned long long)i << 40 > c->max_l ? (unsigned long long)i << 40 : c->max_l;
        c->max_sl = (long long)i - 1000 > c->max_sl ? (long long)i - 1000 : c->max_sl;
        c->or_l |= 1ull << i % 61;
        c->add_d += 0.25;
        c->cas += 3;
        c->cas_l = c->cas_l * 3 + 1;
    }
    c->exch = 4711;
}

static bool
test_atomic(void)
{
    enum {
        COUNT = 480
    };
    static uint32_t tickets[COUNT];
    static bool seen[COUNT];
    struct cells start = {.min_u = UINT32_MAX, .and_ = UINT32_MAX, .dec = 3, .min_l = UINT64_MAX, .max_sl = -5000};
    struct cells got, expected = start;
    uint32_t i;
    CUmodule module;
    CUfunction f;
    CUdeviceptr cells, dtickets;
    void *params[] = {&cells, &dtickets};

    if (!load_function("atomic", "run_atomic", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&cells, sizeof start));
    CU(cuMemAlloc_v2(&dtickets, sizeof tickets));
    CU(cuMemcpyHtoD_v2(cells, &start, sizeof start));
    if (!launch(f, COUNT / 96, 96, 0, params))
        return false;
    CU(cuMemcpyDtoH_v2(&got, cells, sizeof got));
    CU(cuMemcpyDtoH_v2(tickets, dtickets, sizeof tickets));
    expect_cells(&expected, COUNT);
#define SAME(field) \
    CHECK(got.field == expected.field, #field ": %g, expected %g", (double)got.field, (double)expected.field)
    SAME(add);
    SAME(sub);
    SAME(min_u);
    SAME(max_u);
    SAME(and_);
    SAME(or_);
    SAME(xor_);
    SAME(inc);
    SAME(dec);
    SAME(exch);
    SAME(cas);
    SAME(min_s);
    SAME(max_s);
    SAME(add_f);
    SAME(add_l);
    SAME(min_l);
    SAME(max_l);
    SAME(or_l);
    SAME(cas_l);
    SAME(max_sl);
    SAME(add_d);
#undef SAME
    for (i = 0; i < COUNT; i++) {
        CHECK(tickets[i] < COUNT && !seen[tickets[i]], "ticket %u twice", tickets[i]);
        seen[tickets[i]] = true;
    }
    CU(cuModuleUnload(module));
    CU(cuMemFree_v2(cells));
    CU(cuMemFree_v2(dtickets));
    return true;
}

static bool
test_histogram(void)
{
    enum {
        COUNT = 50000
    };
    static uint8_t in[COUNT];
    static uint32_t out[256], expected[256];
    uint32_t count = COUNT, i;
    CUmodule module;
    CUfunction f;
    CUdeviceptr din, dout;
    void *params[] = {&din, &dout, &count};

    seed = 3;
    for (i = 0; i < COUNT; i++) {
        in[i] = (uint8_t)(next_random() >> 3 & next_random());
        expected[in[i]]++;
    }
    if (!load_function("atomic", "run_histogram", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&din, sizeof in));
    CU(cuMemAlloc_v2(&dout, sizeof out));
    CU(cuMemcpyHtoD_v2(din, in, sizeof in));
    CU(cuMemsetD32_v2(dout, 0, 256));
    if (!launch(f, 8, 256, 0, params))
        return false;
    CU(cuMemcpyDtoH_v2(out, dout, sizeof out));
    for (i = 0; i < 256; i++)
        CHECK(out[i] == expected[i], "bin %u: %u, expected %u", i, out[i], expected[i]);
    CU(cuModuleUnload(module));
    CU(cuMemFree_v2(din));
    CU(cuMemFree_v2(dout));
    return true;
}

/* Memory. */

struct mixed {
    char a;
    short b;
    int c;
    double d;
    struct {
        _Alignas(16) float x;
        float y, z, w;
    } e;
    uint8_t f[7];
};

static void
expect_memory(uint32_t i, const struct mixed *m, const uint16_t *shorts, uint64_t *o)
{
    static const int primes[10] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29};
    static const int numbers[4] = {10, -20, 30, -40};
    static const char text[] = "text of the device", *words[3] = {"one", "two", text};
    uint16_t local[33];
    uint64_t sum = 0;
    uint32_t k;

    for (k = 0; k < 33; k++)
        local[k] = (uint16_t)(shorts[k] + k * i);
    for (k = 0; k < 33; k++)
        sum = sum * 31 + local[(k * 7 + i) % 33];
    o[0] = sum;
    o[1] = (uint64_t)(int64_t)(m->a + m->b + m->c) + (uint64_t)m->d + (uint64_t)m->e.z + m->f[i % 7];
    o[2] = (uint64_t)(int64_t)(primes[i % 10] + numbers[i % 4] + 30 - 2 + (int)(7 - i % 7)) + 9 + 4;
    o[3] = (uint64_t)words[i % 3][i % 3] + (uint64_t)text[i % 18];
    o[4] = (uint64_t)((i % 2 * 3 + i % 3 + 1) * 100);
    o[5] = 5000 + i + (i % 3 == 2);
    o[6] = i * 3 + 1000 + i + (i % 3 != 2);
    o[7] = i % 3 == 0 ? 2 : i % 3 == 1 ? 1 : 4;
}

static bool
test_memory(void)
{
    struct mixed m = {3, -300, 70000, 1.75, {1, 2, 42, 4}, {1, 2, 3, 4, 5, 6, 7}};
    static uint32_t vectors[64][4], got_vectors[64][4];
    static double doubles[64][2], got_doubles[64][2];
    static uint16_t shorts[33];
    static uint64_t out[64 * 8], expected[8], counter;
    uint32_t i, k;
    size_t size = 0;
    CUmodule module;
    CUfunction f;
    CUdeviceptr dv, dd, ds, dout, global;
    void *params[] = {&m, &dv, &dd, &ds, &dout};

    for (i = 0; i < 64; i++) {
        for (k = 0; k < 4; k++)
            vectors[i][k] = i * 4 + k;
        doubles[i][0] = i;
        doubles[i][1] = i * 0.5;
    }
    for (i = 0; i < 33; i++)
        shorts[i] = (uint16_t)(i * 2000);
    if (!load_function("memory", "run_memory", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&dv, sizeof vectors));
    CU(cuMemAlloc_v2(&dd, sizeof doubles));
    CU(cuMemAlloc_v2(&ds, sizeof shorts));
    CU(cuMemAlloc_v2(&dout, sizeof out));
    CU(cuMemcpyHtoD_v2(dv, vectors, sizeof vectors));
    CU(cuMemcpyHtoD_v2(dd, doubles, sizeof doubles));
    CU(cuMemcpyHtoD_v2(ds, shorts, sizeof shorts));
    if (!launch(f, 1, 64, 0, params) || !launch(f, 1, 64, 0, params))
        return false;
    CU(cuMemcpyDtoH_v2(got_vectors, dv, sizeof vectors));
    CU(cuMemcpyDtoH_v2(got_doubles, dd, sizeof doubles));
    CU(cuMemcpyDtoH_v2(out, dout, sizeof out));
    for (i = 0; i < 64; i++) {
        CHECK(memcmp(got_vectors[i], vectors[i], 16) == 0, "vector %u", i);
        CHECK(got_doubles[i][0] == (doubles[i][0] + 1) * 2 && got_doubles[i][1] == doubles[i][1] * 2 + 1, "doubles %u",
              i);
        expect_memory(i, &m, shorts, expected);
        for (k = 0; k < 8; k++)
            CHECK(out[8 * i + k] == expected[k], "thread %u, result %u: %llu, expected %llu", i, k,
                  (unsigned long long)out[8 * i + k], (unsigned long long)expected[k]);
    }
    CU(cuModuleGetGlobal_v2(&global, &size, module, "counter"));
    CHECK(size == 8, "counter has %zu bytes", size);
    CU(cuMemcpyDtoH_v2(&counter, global, 8));
    CHECK(counter == 10, "counter %llu", (unsigned long long)counter);
    CU(cuModuleUnload(module));
    CU(cuMemFree_v2(dv));
    CU(cuMemFree_v2(dd));
    CU(cuMemFree_v2(ds));
    CU(cuMemFree_v2(dout));
    return true;
}

/* Newer devices. */

static bool
test_async(void)
{
    static uint32_t in[64][4], out[64];
    uint32_t i;
    CUmodule module;
    CUfunction f;
    CUdeviceptr din, dout;
    void *params[] = {&din, &dout};

    for (i = 0; i < 64; i++) {
        in[i][0] = i * 3;
        in[i][3] = 1000 * i;
    }
    if (!load_function("modern", "run_async", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&din, sizeof in));
    CU(cuMemAlloc_v2(&dout, sizeof out));
    CU(cuMemcpyHtoD_v2(din, in, sizeof in));
    if (!launch(f, 1, 64, 0, params))
        return false;
    CU(cuMemcpyDtoH_v2(out, dout, sizeof out));
    for (i = 0; i < 64; i++)
        CHECK(out[i] == (63 - i) * 3 + 1000 * i, "thread %u: %u", i, out[i]);
    CU(cuModuleUnload(module));
    CU(cuMemFree_v2(din));
    CU(cuMemFree_v2(dout));
    return true;
}

static bool
test_grid(void)
{
    enum {
        COUNT = 4 * 64,
        ROUNDS = 5
    };
    static uint32_t got[COUNT], expected[COUNT], before[COUNT];
    uint32_t rounds = ROUNDS, i, k;
    CUmodule module;
    CUfunction f;
    CUdeviceptr cells;
    void *params[] = {&cells, &rounds};

    for (i = 0; i < COUNT; i++)
        expected[i] = i * i;
    if (!load_function("modern", "run_grid", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&cells, sizeof got));
    CU(cuMemcpyHtoD_v2(cells, expected, sizeof expected));
    CU(cuLaunchCooperativeKernel(f, COUNT / 64, 1, 1, 64, 1, 1, 0, NULL, params));
    CU(cuCtxSynchronize());
    CU(cuMemcpyDtoH_v2(got, cells, sizeof got));
    for (k = 0; k < ROUNDS; k++) {
        memcpy(before, expected, sizeof before);
        for (i = 0; i < COUNT; i++)
            expected[i] += before[(i + 1) % COUNT];
    }
    for (i = 0; i < COUNT; i++)
        CHECK(got[i] == expected[i], "cell %u: %u, expected %u", i, got[i], expected[i]);
    CU_GIVES(cuLaunchCooperativeKernel(f, 100000, 1, 1, 64, 1, 1, 0, NULL, params),
             CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
    CU(cuModuleUnload(module));
    CU(cuMemFree_v2(cells));
    return true;
}

static bool
test_tiles(void)
{
    static uint32_t out[64];
    uint32_t i;
    CUmodule module;
    CUfunction f;
    CUdeviceptr dout;
    void *params[] = {&dout};

    if (!load_function("modern", "run_tiles", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&dout, sizeof out));
    if (!launch(f, 1, 64, 0, params))
        return false;
    CU(cuMemcpyDtoH_v2(out, dout, sizeof out));
    for (i = 0; i < 64; i++) {
        uint32_t first = i & ~7u, expected = 8 * first + 28, k, rank = 0, size = 0;

        for (k = i & ~31u; k < (i & ~31u) + 32; k++)
            if (k % 3 == 0) {
                size++;
                rank += k < i;
            }
        if (i % 3 == 0)
            expected += size * 1000 + rank * 100000;
        CHECK(out[i] == expected, "thread %u: %u, expected %u", i, out[i], expected);
    }
    CU(cuModuleUnload(module));
    CU(cuMemFree_v2(dout));
    return true;
}

/*
 * A fault may spoil the driver for the whole process, so such tests run in
 * processes of their own; some can only be survived by the simulated device.
 */
enum {
    APART = 1,
    SIM_ONLY = 2,
    REGISTERS = 4,
    HOST_FUNCTIONS = 8,
    LIBRARIES = 16
};

/* A libcuda.so.1 that forwards may lack these; their tests are skipped then. */
#pragma weak cuLaunchHostFunc
#pragma weak cuStreamWaitValue64_v2
#pragma weak cuLibraryLoadFromFile
#pragma weak cuLibraryGetKernel
#pragma weak cuLibraryUnload
#pragma weak cuKernelGetFunction

#include "run_api.h"

static const struct {
    const char *name;
    bool (*run)(void);
    unsigned int flags;
} tests[] = {{"integer arithmetic", test_integer, 0},
             {"bit fields, permutations, carries", test_bits, 0},
             {"IEEE arithmetic and conversions", test_floating, 0},
             {"functions of single precision", test_math, 0},
             {"functions of double precision", test_math_double, 0},
             {"half precision, sm_75", test_half, 0},
             {"half precision, sm_90", test_half90, 0},
             {"control flow, recursion, function pointers", test_control, 0},
             {"a lock within a warp", test_lock, 0},
             {"reduction in shared memory", test_reduce, 0},
             {"transposition in dynamic shared memory", test_transpose, 0},
             {"barriers", test_barriers, 0},
             {"warp operations, sm_75", test_warp, 0},
             {"warp operations, sm_90", test_warp90, 0},
             {"atomic operations", test_atomic, 0},
             {"histogram", test_histogram, 0},
             {"variables, vectors, structures, address spaces", test_memory, 0},
             {"asynchronous copies", test_async, 0},
             {"a barrier of the whole grid", test_grid, 0},
             {"cooperative groups", test_tiles, 0},
             RUN_API_TESTS};

#define TESTS (sizeof tests / sizeof tests[0])

static bool
run_test(size_t i)
{
    CUcontext context;
    CUdevice device;
    bool ok;

    reason[0] = '\0';
    CU(cuDeviceGet(&device, 0));
    CU(cuCtxCreate_v2(&context, 0, device));
    ok = tests[i].run();
    cuCtxDestroy_v2(context);
    return ok;
}

/* The same program again, for this test alone; it prints its reason itself. */
static bool
run_apart(size_t i)
{
    char number[16];
    int status = 1;
    pid_t child;

    fflush(stdout);
    snprintf(number, sizeof number, "%zu", i);
    child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "run", folder, number, (char *)NULL);
        _exit(127);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static bool
run_and_tell(size_t i)
{
    bool ok = run_test(i);

    if (!ok)
        printf("# %s\n", reason);
    return ok;
}

/* Why a test cannot run here, or NULL. */
static const char *
why_not(unsigned int flags)
{
    int registers = 0;

    cuDeviceGetAttribute(&registers, CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED, 0);
    if ((flags & SIM_ONLY) && !simulated)
        return "only the simulated device survives it, or lacks it";
    if ((flags & REGISTERS) && !registers)
        return "the device says that host memory cannot be registered";
    if ((flags & HOST_FUNCTIONS) && (!cuLaunchHostFunc || !cuStreamWaitValue64_v2))
        return "this libcuda.so.1 has no host functions in streams";
    if ((flags & LIBRARIES) &&
        (!cuLibraryLoadFromFile || !cuLibraryGetKernel || !cuLibraryUnload || !cuKernelGetFunction))
        return "this libcuda.so.1 has no libraries";
    return NULL;
}

int
main(int argc, char **argv)
{
    char name[128] = "";
    unsigned int failures = 0;
    size_t i;

    if (argc > 1)
        folder = argv[1];
    if (cuInit(0) != CUDA_SUCCESS) {
        printf("1..0 # skip no CUDA device\n");
        return 0;
    }
    cuDeviceGetName(name, sizeof name, 0);
    simulated = strstr(name, "simulated") != NULL;
    if (argc > 2) {
        i = strtoul(argv[2], NULL, 10);
        return i < TESTS && run_and_tell(i) ? 0 : 1;
    }
    printf("# %s\n1..%zu\n", name, TESTS);
    for (i = 0; i < TESTS; i++) {
        bool ok;

        const char *why = why_not(tests[i].flags);

        if (why) {
            printf("ok %zu - %s # skip %s\n", i + 1, tests[i].name, why);
            continue;
        }
        ok = tests[i].flags & APART ? run_apart(i) : run_and_tell(i);
        failures += !ok;
        printf("%sok %zu - %s\n", ok ? "" : "not ", i + 1, tests[i].name);
        fflush(stdout);
    }
    return failures ? 1 : 0;
}
