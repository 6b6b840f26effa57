/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic of single and double precision. Results are those of IEEE 754
 * where PTX demands it; the approximations of the hardware (.approx) are
 * computed exactly instead, within its error bounds.
 */
#include "ops.h"

#include <fenv.h>

/* Rounding other than to nearest is set around each operation. */
static const int directions[] = {
    [ROUND_NONE] = FE_TONEAREST, [ROUND_RN] = FE_TONEAREST, [ROUND_RZ] = FE_TOWARDZERO,
    [ROUND_RM] = FE_DOWNWARD,    [ROUND_RP] = FE_UPWARD,    [ROUND_RNA] = FE_TONEAREST,
};

static float
finish_f32(const struct op *op, float r)
{
    if (op->mode & FP_FTZ)
        r = flush_f32(r);
    if (op->mode & FP_SAT)
        r = r > 0 ? (r < 1 ? r : 1) : 0; /* NaN to 0 */
    return r;
}

#define INPUT_F32(x) ((op->mode & FP_FTZ) ? flush_f32(as_f32(x)) : as_f32(x))

#define FLOAT_SLOW_BEGIN                                    \
    int direction = directions[op->mode >> FP_ROUND_SHIFT]; \
    if (direction != FE_TONEAREST)                          \
        fesetround(direction);
#define FLOAT_SLOW_END             \
    if (direction != FE_TONEAREST) \
        fesetround(FE_TONEAREST);

/* The volatile operands keep the compiler from moving or folding the sum. */
#define F32_OP(name, sources, expr)                                   \
    static void name(struct warp *w, const struct op *op, uint32_t m) \
    {                                                                 \
        uint64_t *d = w->regs + op->d;                                \
        const uint64_t *pa = w->regs + op->a;                         \
        const uint64_t *pb = w->regs + (sources > 1 ? op->b : op->a); \
        const uint64_t *pc = w->regs + (sources > 2 ? op->c : op->a); \
        if (!op->mode) {                                              \
            LANES(m, {                                                \
                const float a = as_f32(pa[l]);                        \
                const float b = as_f32(pb[l]);                        \
                const float c = as_f32(pc[l]);                        \
                (void)b;                                              \
                (void)c;                                              \
                d[l] = result_f32(expr);                              \
            });                                                       \
            return;                                                   \
        }                                                             \
        FLOAT_SLOW_BEGIN                                              \
        LANES(m, {                                                    \
            volatile const float va = INPUT_F32(pa[l]);               \
            volatile const float vb = INPUT_F32(pb[l]);               \
            volatile const float vc = INPUT_F32(pc[l]);               \
            const float a = va;                                       \
            const float b = vb;                                       \
            const float c = vc;                                       \
            volatile float r;                                         \
            (void)b;                                                  \
            (void)c;                                                  \
            r = expr;                                                 \
            d[l] = result_f32(finish_f32(op, r));                     \
        });                                                           \
        FLOAT_SLOW_END                                                \
    }

#define F64_OP(name, sources, expr)                                   \
    static void name(struct warp *w, const struct op *op, uint32_t m) \
    {                                                                 \
        uint64_t *d = w->regs + op->d;                                \
        const uint64_t *pa = w->regs + op->a;                         \
        const uint64_t *pb = w->regs + (sources > 1 ? op->b : op->a); \
        const uint64_t *pc = w->regs + (sources > 2 ? op->c : op->a); \
        FLOAT_SLOW_BEGIN                                              \
        LANES(m, {                                                    \
            const double a = as_f64(pa[l]);                           \
            const double b = as_f64(pb[l]);                           \
            const double c = as_f64(pc[l]);                           \
            volatile double r;                                        \
            (void)b;                                                  \
            (void)c;                                                  \
            r = expr;                                                 \
            d[l] = bits_f64(r);                                       \
        });                                                           \
        FLOAT_SLOW_END                                                \
    }

/* The lesser and greater: a number beats NaN, -0 is less than +0. */
#define MINMAX(T, suffix, sign)                       \
    static inline T minimum##suffix(T a, T b)         \
    {                                                 \
        if (a != a || b != b)                         \
            return a != a ? b : a;                    \
        return a < b || (a == b && sign(a)) ? a : b;  \
    }                                                 \
    static inline T maximum##suffix(T a, T b)         \
    {                                                 \
        if (a != a || b != b)                         \
            return a != a ? b : a;                    \
        return a > b || (a == b && !sign(a)) ? a : b; \
    }
MINMAX(float, f, signbit)
MINMAX(double, d, signbit)

static inline float
tanh_approx(float a)
{
    return tanhf(a);
}

F32_OP(add_f32, 2, a + b)
F32_OP(sub_f32, 2, a - b)
F32_OP(mul_f32, 2, a *b)
F32_OP(div_f32, 2, a / b)
F32_OP(fma_f32, 3, fmaf(a, b, c))
F32_OP(rcp_f32, 1, 1 / a)
F32_OP(sqrt_f32, 1, sqrtf(a))
F32_OP(rsqrt_f32, 1, (float)(1 / sqrt((double)a)))
F32_OP(min_nan_f32, 2, a != a || b != b ? NAN : minimumf(a, b))
F32_OP(max_nan_f32, 2, a != a || b != b ? NAN : maximumf(a, b))
F32_OP(ex2_f32, 1, exp2f(a))
F32_OP(lg2_f32, 1, log2f(a))
F32_OP(sin_f32, 1, sinf(a))
F32_OP(cos_f32, 1, cosf(a))
F32_OP(tanh_f32, 1, tanh_approx(a))
F32_OP(abs_f32, 1, fabsf(a))
F32_OP(neg_f32, 1, -a)
/* Of two NaNs one stays as it is, unlike the results of arithmetic. */
#define F32_MINMAX(name, function)                                    \
    static void name(struct warp *w, const struct op *op, uint32_t m) \
    {                                                                 \
        LANES(m, {                                                    \
            const float a = INPUT_F32(w->regs[op->a + l]);            \
            const float b = INPUT_F32(w->regs[op->b + l]);            \
            w->regs[op->d + l] = bits_f32(function(a, b));            \
        });                                                           \
    }
F32_MINMAX(min_f32, minimumf)
F32_MINMAX(max_f32, maximumf)

F64_OP(add_f64, 2, a + b)
F64_OP(sub_f64, 2, a - b)
F64_OP(mul_f64, 2, a *b)
F64_OP(div_f64, 2, a / b)
F64_OP(fma_f64, 3, fma(a, b, c))
F64_OP(rcp_f64, 1, 1 / a)
F64_OP(sqrt_f64, 1, sqrt(a))
F64_OP(rsqrt_f64, 1, 1 / sqrt(a))
F64_OP(min_f64, 2, minimumd(a, b))
F64_OP(max_f64, 2, maximumd(a, b))

/* The fast forms, .ftz, give the upper half of the bits alone. */
static inline double
approximate(const struct op *op, double a)
{
    return op->mode & FP_FTZ ? as_f64(bits_f64(a) & 0xffffffff00000000ull) : a;
}

F64_OP(rcp_approx_f64, 1, approximate(op, 1 / a))
F64_OP(rsqrt_approx_f64, 1, approximate(op, 1 / sqrt(a)))

static void
abs_f64(struct warp *w, const struct op *op, uint32_t m)
{
    LANES(m, w->regs[op->d + l] = w->regs[op->a + l] & INT64_MAX;);
}

static void
neg_f64(struct warp *w, const struct op *op, uint32_t m)
{
    LANES(m, w->regs[op->d + l] = w->regs[op->a + l] ^ 1ull << 63;);
}

/* d has the sign of a and the magnitude of b. */
static void
copysign_f32(struct warp *w, const struct op *op, uint32_t m)
{
    LANES(m, w->regs[op->d + l] = (w->regs[op->a + l] & 0x80000000u) | (w->regs[op->b + l] & 0x7fffffffu););
}

static void
copysign_f64(struct warp *w, const struct op *op, uint32_t m)
{
    LANES(m, w->regs[op->d + l] = (w->regs[op->a + l] & 1ull << 63) | (w->regs[op->b + l] & INT64_MAX););
}

/* testp: the classes as fpclassify tells them. */
enum {
    TEST_FINITE,
    TEST_INFINITE,
    TEST_NUMBER,
    TEST_NAN,
    TEST_NORMAL,
    TEST_SUBNORMAL
};

static bool
test_class(int class, unsigned int test)
{
    switch (test) {
    case TEST_FINITE:
        return class != FP_NAN && class != FP_INFINITE;
    case TEST_INFINITE:
        return class == FP_INFINITE;
    case TEST_NUMBER:
        return class != FP_NAN;
    case TEST_NAN:
        return class == FP_NAN;
    case TEST_NORMAL:
        return class == FP_NORMAL || class == FP_ZERO;
    default:
        return class == FP_SUBNORMAL;
    }
}

static void
testp(struct warp *w, const struct op *op, uint32_t m)
{
    uint32_t r = 0;

    LANES(m, {
        uint64_t a = w->regs[op->a + l];
        int class = op->type == PTX_F32 ? fpclassify(as_f32(a)) : fpclassify(as_f64(a));

        r |= (uint32_t)test_class(class, op->mode) << l;
    });
    set_predicate(w, op->d, m, r);
}

static bool
decode_testp(struct decoder *d)
{
    static const char *const tests[] = {"finite", "infinite", "number", "notanumber", "normal", "subnormal"};
    unsigned int i;

    d->op.fn = testp;
    d->op.type = (uint8_t)d->mods.types[0];
    for (i = 0; i < 6; i++)
        if (mods_has(&d->mods, tests[i]))
            break;
    if (i == 6)
        return decode_unsupported(d);
    d->op.mode = (uint8_t)i;
    return take_destination(d, &d->op.d) && take_source(d, d->mods.types[0], &d->op.a);
}

#define F32 TYPE_BIT(F32)
#define F64 TYPE_BIT(F64)

static const struct op_row rows[] = {{"add", F32, add_f32, 2},
                                     {"sub", F32, sub_f32, 2},
                                     {"mul", F32, mul_f32, 2},
                                     {"fma", F32, fma_f32, 3},
                                     {"mad", F32, fma_f32, 3},
                                     {"div", F32, div_f32, 2},
                                     {"rcp", F32, rcp_f32, 1},
                                     {"sqrt", F32, sqrt_f32, 1},
                                     {"rsqrt", F32, rsqrt_f32, 1},
                                     {"div.approx", F32, div_f32, 2},
                                     {"div.full", F32, div_f32, 2},
                                     {"rcp.approx", F32, rcp_f32, 1},
                                     {"sqrt.approx", F32, sqrt_f32, 1},
                                     {"rsqrt.approx", F32, rsqrt_f32, 1},
                                     {"min", F32, min_f32, 2},
                                     {"max", F32, max_f32, 2},
                                     {"min.NaN", F32, min_nan_f32, 2},
                                     {"max.NaN", F32, max_nan_f32, 2},
                                     {"abs", F32, abs_f32, 1},
                                     {"neg", F32, neg_f32, 1},
                                     {"ex2.approx", F32, ex2_f32, 1},
                                     {"lg2.approx", F32, lg2_f32, 1},
                                     {"sin.approx", F32, sin_f32, 1},
                                     {"cos.approx", F32, cos_f32, 1},
                                     {"tanh.approx", F32, tanh_f32, 1},
                                     {"copysign", F32, copysign_f32, 2},
                                     {"add", F64, add_f64, 2},
                                     {"sub", F64, sub_f64, 2},
                                     {"mul", F64, mul_f64, 2},
                                     {"fma", F64, fma_f64, 3},
                                     {"mad", F64, fma_f64, 3},
                                     {"div", F64, div_f64, 2},
                                     {"rcp", F64, rcp_f64, 1},
                                     {"sqrt", F64, sqrt_f64, 1},
                                     {"rsqrt", F64, rsqrt_f64, 1},
                                     {"rcp.approx", F64, rcp_approx_f64, 1},
                                     {"rsqrt.approx", F64, rsqrt_approx_f64, 1},
                                     {"min", F64, min_f64, 2},
                                     {"max", F64, max_f64, 2},
                                     {"abs", F64, abs_f64, 1},
                                     {"neg", F64, neg_f64, 1},
                                     {"copysign", F64, copysign_f64, 2},
                                     {NULL, 0, NULL, 0}};

static const struct op_family families[] = {{"testp", decode_testp}, {NULL, NULL}};

const struct op_set ops_float = {rows, families};
