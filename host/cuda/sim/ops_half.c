/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic of f16 and bf16, alone and in pairs. Each result is computed in
 * double precision and rounded once: sums and products of these formats are
 * exact there, but for sums that span more than 53 bits, which round_odd keeps
 * on the right side of the middle.
 */
#include "exact.h"

/* a + b with the last bit set when the sum is not exact. */
static double
round_odd(double a, double b)
{
    double sum = a + b, b_part, error;
    uint64_t bits;

    if (!isfinite(sum))
        return sum;
    b_part = sum - a;
    error = (a - (sum - b_part)) + (b - b_part);
    bits = bits_f64(sum);
    if (error == 0 || (bits & 1))
        return sum;
    /* towards the error: up or down in magnitude by one */
    return as_f64((error > 0) == (sum > 0) ? bits + 1 : bits - 1);
}

static double
half_add(double a, double b, double c)
{
    (void)c;
    return round_odd(a, b);
}

static double
half_sub(double a, double b, double c)
{
    (void)c;
    return round_odd(a, -b);
}

static double
half_mul(double a, double b, double c)
{
    (void)c;
    return a * b;
}

static double
half_fma(double a, double b, double c)
{
    return round_odd(a * b, c);
}

static double
half_min(double a, double b, double c)
{
    (void)c;
    if (a != a || b != b)
        return a != a ? b : a;
    return a < b || (a == b && signbit(a)) ? a : b;
}

static double
half_max(double a, double b, double c)
{
    (void)c;
    if (a != a || b != b)
        return a != a ? b : a;
    return a > b || (a == b && !signbit(a)) ? a : b;
}

static double
half_min_nan(double a, double b, double c)
{
    return a != a || b != b ? (double)NAN : half_min(a, b, c);
}

static double
half_max_nan(double a, double b, double c)
{
    return a != a || b != b ? (double)NAN : half_max(a, b, c);
}

static double
half_ex2(double a, double b, double c)
{
    (void)b;
    (void)c;
    return exp2(a);
}

static double
half_tanh(double a, double b, double c)
{
    (void)b;
    (void)c;
    return tanh(a);
}

static uint64_t
half_once(const struct op *op, double (*fn)(double, double, double), uint64_t a, uint64_t b, uint64_t c)
{
    enum ptx_type type = op->type == PTX_F16X2 ? PTX_F16 : op->type == PTX_BF16X2 ? PTX_BF16 : (enum ptx_type)op->type;
    double r = fn(half_to_double(a, type), half_to_double(b, type), half_to_double(c, type));

    if (op->mode & FP_SAT)
        r = r > 0 ? (r < 1 ? r : 1) : 0;
    if ((op->mode & FP_RELU) && !(r > 0) && r == r)
        r = 0;
    if ((op->mode & FP_FTZ) && type == PTX_F16 && fabs(r) < 0x1p-14)
        r = copysign(0, r);
    return double_to_half(r, type);
}

static void
half_op(struct warp *w, const struct op *op, uint32_t m, unsigned int sources, double (*fn)(double, double, double))
{
    bool pair = op->type == PTX_F16X2 || op->type == PTX_BF16X2;

    LANES(m, {
        uint64_t a = w->regs[op->a + l];
        uint64_t b = sources > 1 ? w->regs[op->b + l] : 0;
        uint64_t c = sources > 2 ? w->regs[op->c + l] : 0;
        uint64_t r = half_once(op, fn, a, b, c);

        if (pair)
            r |= half_once(op, fn, a >> 16, b >> 16, c >> 16) << 16;
        w->regs[op->d + l] = r;
    });
}

#define HALF_OP(name, sources)                                             \
    static void op_##name(struct warp *w, const struct op *op, uint32_t m) \
    {                                                                      \
        half_op(w, op, m, sources, name);                                  \
    }
HALF_OP(half_add, 2)
HALF_OP(half_sub, 2)
HALF_OP(half_mul, 2)
HALF_OP(half_fma, 3)
HALF_OP(half_min, 2)
HALF_OP(half_max, 2)
HALF_OP(half_min_nan, 2)
HALF_OP(half_max_nan, 2)
HALF_OP(half_ex2, 1)
HALF_OP(half_tanh, 1)

static void
abs_half(struct warp *w, const struct op *op, uint32_t m)
{
    LANES(m, w->regs[op->d + l] = w->regs[op->a + l] & 0x7fff7fffu;);
}

static void
neg_half(struct warp *w, const struct op *op, uint32_t m)
{
    uint32_t sign = op->type == PTX_F16 || op->type == PTX_BF16 ? 0x8000u : 0x80008000u;

    LANES(m, w->regs[op->d + l] = (uint32_t)w->regs[op->a + l] ^ sign;);
}

#define HALVES (TYPE_BIT(F16) | TYPE_BIT(F16X2) | TYPE_BIT(BF16) | TYPE_BIT(BF16X2))

static const struct op_row rows[] = {{"add", HALVES, op_half_add, 2},
                                     {"sub", HALVES, op_half_sub, 2},
                                     {"mul", HALVES, op_half_mul, 2},
                                     {"fma", HALVES, op_half_fma, 3},
                                     {"min", HALVES, op_half_min, 2},
                                     {"max", HALVES, op_half_max, 2},
                                     {"min.NaN", HALVES, op_half_min_nan, 2},
                                     {"max.NaN", HALVES, op_half_max_nan, 2},
                                     {"ex2.approx", HALVES, op_half_ex2, 1},
                                     {"tanh.approx", HALVES, op_half_tanh, 1},
                                     {"abs", HALVES, abs_half, 1},
                                     {"neg", HALVES, neg_half, 1},
                                     {NULL, 0, NULL, 0}};

static const struct op_family families[] = {{NULL, NULL}};

const struct op_set ops_half = {rows, families};
