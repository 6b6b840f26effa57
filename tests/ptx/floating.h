/* SPDX-License-Identifier: MIT */
/* Floating point that must be exact: IEEE operations, conversions, NaN rules. */
#include "common.h"

#define FLOATING_RESULTS 80

#ifdef __CUDACC__
#define FN1(name, T, cuda, host) \
    DEVICE T name(T a)           \
    {                            \
        return cuda;             \
    }
#define FN2(name, T, cuda, host) \
    DEVICE T name(T a, T b)      \
    {                            \
        return cuda;             \
    }
#define TO(name, R, T, cuda, host) \
    DEVICE R name(T a)             \
    {                              \
        return cuda;               \
    }
#else
#include <fenv.h>
#define FN1(name, T, cuda, host) \
    DEVICE T name(T a)           \
    {                            \
        return host;             \
    }
#define FN2(name, T, cuda, host) \
    DEVICE T name(T a, T b)      \
    {                            \
        return host;             \
    }
#define TO(name, R, T, cuda, host) \
    DEVICE R name(T a)             \
    {                              \
        return host;               \
    }

static double
rounded(int direction, int op, double a, double b, int single)
{
    volatile double x = a, y = b, r = 0;
    volatile float fx = (float)a, fy = (float)b, fr = 0;

    fesetround(direction);
    if (single)
        fr = op == '+' ? fx + fy : op == '*' ? fx * fy : op == '/' ? fx / fy : (float)x;
    else
        r = op == '+' ? x + y : op == '*' ? x * y : x / y;
    fesetround(FE_TONEAREST);
    return single ? (double)fr : r;
}

/* Clamped, NaN to zero, or to the top bit where the device does so. */
static int64_t
to_integer(double a, double low, double high, int64_t ilow, int64_t ihigh, int64_t nan)
{
    return a != a ? nan : a <= low ? ilow : a >= high ? ihigh : (int64_t)a;
}

static uint64_t
to_unsigned(double a, double high, uint64_t ihigh, uint64_t nan)
{
    return a != a       ? nan
           : a <= 0     ? 0
           : a >= high  ? ihigh
           : a < 0x1p63 ? (uint64_t)(int64_t)a
                        : (uint64_t)(int64_t)(a - 0x1p63) + (1ull << 63);
}

static float
from_integer(int direction, int64_t a, uint64_t b, int is_unsigned)
{
    volatile int64_t va = a;
    volatile uint64_t vb = b;
    volatile float r;

    fesetround(direction);
    r = is_unsigned ? (float)vb : (float)va;
    fesetround(FE_TONEAREST);
    return r;
}
#endif

FN2(add_rz, float, __fadd_rz(a, b), (float)rounded(FE_TOWARDZERO, '+', a, b, 1))
FN2(add_ru, float, __fadd_ru(a, b), (float)rounded(FE_UPWARD, '+', a, b, 1))
FN2(mul_rd, float, __fmul_rd(a, b), (float)rounded(FE_DOWNWARD, '*', a, b, 1))
FN2(div_rn, float, __fdiv_rn(a, b), a / b)
FN2(div_rz, float, __fdiv_rz(a, b), (float)rounded(FE_TOWARDZERO, '/', a, b, 1))
FN2(dadd_rd, double, __dadd_rd(a, b), rounded(FE_DOWNWARD, '+', a, b, 0))
FN2(dmul_ru, double, __dmul_ru(a, b), rounded(FE_UPWARD, '*', a, b, 0))
FN2(fmin_, float, fminf(a, b), a != a ? b : b != b ? a : a < b || (a == b && signbit(a)) ? a : b)
FN2(fmax_, float, fmaxf(a, b), a != a ? b : b != b ? a : a > b || (a == b && !signbit(a)) ? a : b)
FN2(dmin_, double, fmin(a, b), a != a ? b : b != b ? a : a < b || (a == b && signbit(a)) ? a : b)
FN1(root, float, __fsqrt_rn(a), sqrtf(a))
FN1(droot, double, __dsqrt_rn(a), sqrt(a))
FN1(inverse, float, __frcp_rn(a), 1 / a)
FN1(saturate, float, __saturatef(a), a != a ? 0 : a < 0 ? 0 : a > 1 ? 1 : a + 0.0f)
FN1(down, float, floorf(a), floorf(a))
FN1(up, float, ceilf(a), ceilf(a))
FN1(cut, float, truncf(a), truncf(a))
FN1(even, float, rintf(a), rintf(a))
FN1(ddown, double, floor(a), floor(a))
FN1(deven, double, rint(a), rint(a))
FN2(sign_of, float, copysignf(a, b), copysignf(a, b))
TO(f_to_i, int64_t, float, __float2int_rz(a), to_integer(a, -0x1p31, 0x1p31, INT32_MIN, INT32_MAX, 0))
TO(f_to_i_rn, int64_t, float, __float2int_rn(a), to_integer(rint(a), -0x1p31, 0x1p31, INT32_MIN, INT32_MAX, 0))
TO(f_to_i_ru, int64_t, float, __float2int_ru(a), to_integer(ceil(a), -0x1p31, 0x1p31, INT32_MIN, INT32_MAX, 0))
TO(f_to_u, uint64_t, float, __float2uint_rz(a), to_unsigned(a, 0x1p32, UINT32_MAX, 0))
TO(f_to_l, int64_t, float, __float2ll_rz(a), to_integer(a, -0x1p63, 0x1p63, INT64_MIN, INT64_MAX, INT64_MIN))
TO(f_to_ul, uint64_t, float, __float2ull_rd(a), to_unsigned(floor(a), 0x1p64, UINT64_MAX, 1ull << 63))
TO(d_to_i, int64_t, double, __double2int_rn(a), to_integer(rint(a), -0x1p31, 0x1p31, INT32_MIN, INT32_MAX, INT32_MIN))
TO(d_to_l, int64_t, double, __double2ll_rz(a), to_integer(a, -0x1p63, 0x1p63, INT64_MIN, INT64_MAX, INT64_MIN))
TO(d_to_ul, uint64_t, double, __double2ull_rz(a), to_unsigned(a, 0x1p64, UINT64_MAX, 1ull << 63))
TO(d_to_f_rz, float, double, __double2float_rz(a), (float)rounded(FE_TOWARDZERO, 'c', a, 0, 1))
TO(d_to_f_ru, float, double, __double2float_ru(a), (float)rounded(FE_UPWARD, 'c', a, 0, 1))
TO(i_to_f_rz, float, int32_t, __int2float_rz(a), from_integer(FE_TOWARDZERO, a, 0, 0))
TO(u_to_f_ru, float, uint32_t, __uint2float_ru(a), from_integer(FE_UPWARD, 0, a, 1))
TO(l_to_f, float, int64_t, __ll2float_rn(a), (float)a)
TO(ul_to_f_rd, float, uint64_t, __ull2float_rd(a), from_integer(FE_DOWNWARD, 0, a, 1))

DEVICE void
floating(const uint32_t *in, uint64_t *out)
{
    float a = bits_to_float(in[0]), b = bits_to_float(in[1]), c = bits_to_float(in[2]);
    uint64_t bits = (uint64_t)in[0] << 32 | in[3], more = (uint64_t)in[1] << 32 | in[2];
    double x = bits_to_double(bits), y = bits_to_double(more);
    double s = (double)(int32_t)in[3] / 16;
    float t = (float)(int32_t)in[2] / 8;
    int i = 0;

    out[i++] = float_to_bits(a + b);
    out[i++] = float_to_bits(a - b);
    out[i++] = float_to_bits(a * b);
    out[i++] = float_to_bits(div_rn(a, b));
    out[i++] = float_to_bits(fmaf(a, b, c));
    out[i++] = float_to_bits(t * 3.25f + 1.5f);
    out[i++] = double_to_bits(x + y);
    out[i++] = double_to_bits(x - y);
    out[i++] = double_to_bits(x * y);
    out[i++] = double_to_bits(x / y);
    out[i++] = double_to_bits(fma(x, y, s));
    out[i++] = float_to_bits(add_rz(a, b));
    out[i++] = float_to_bits(add_rz(t, 0.001f));
    out[i++] = float_to_bits(add_ru(t, 0.001f));
    out[i++] = float_to_bits(mul_rd(t, 0.3f));
    out[i++] = float_to_bits(div_rz(t, 3.0f));
    out[i++] = double_to_bits(dadd_rd(s, 1e-9));
    out[i++] = double_to_bits(dmul_ru(s, 1.1));
    out[i++] = float_to_bits(fmin_(a, b));
    out[i++] = float_to_bits(fmax_(a, b));
    out[i++] = double_to_bits(dmin_(x, y));
    out[i++] = float_to_bits(root(fabsf(a)));
    out[i++] = double_to_bits(droot(fabs(x)));
    out[i++] = float_to_bits(inverse(a));
    out[i++] = float_to_bits(saturate(a));
    out[i++] = float_to_bits(saturate(t / 1e9f));
    out[i++] = float_to_bits(down(t));
    out[i++] = float_to_bits(up(t));
    out[i++] = float_to_bits(cut(t));
    out[i++] = float_to_bits(even(t));
    out[i++] = float_to_bits(even(a));
    out[i++] = double_to_bits(ddown(s));
    out[i++] = double_to_bits(deven(s));
    out[i++] = float_to_bits(sign_of(a, b));
    out[i++] = float_to_bits(fabsf(a));
    out[i++] = float_to_bits(-a);
    out[i++] = double_to_bits(-x);
    out[i++] = (uint64_t)f_to_i(a);
    out[i++] = (uint64_t)f_to_i(t);
    out[i++] = (uint64_t)f_to_i_rn(t);
    out[i++] = (uint64_t)f_to_i_ru(t);
    out[i++] = f_to_u(a);
    out[i++] = f_to_u(t);
    out[i++] = (uint64_t)f_to_l(a);
    out[i++] = f_to_ul(a);
    out[i++] = (uint64_t)d_to_i(s);
    out[i++] = (uint64_t)d_to_i(x);
    out[i++] = (uint64_t)d_to_l(x);
    out[i++] = d_to_ul(x);
    out[i++] = d_to_ul(s * 1e12);
    out[i++] = float_to_bits((float)x);
    out[i++] = float_to_bits((float)s);
    out[i++] = float_to_bits(d_to_f_rz(x));
    out[i++] = float_to_bits(d_to_f_ru(s * 1.0000001));
    out[i++] = double_to_bits((double)a);
    out[i++] = float_to_bits((float)(int32_t)in[2]);
    out[i++] = float_to_bits((float)in[2]);
    out[i++] = float_to_bits(i_to_f_rz((int32_t)in[2]));
    out[i++] = float_to_bits(u_to_f_ru(in[2]));
    out[i++] = float_to_bits(l_to_f((int64_t)more));
    out[i++] = float_to_bits(ul_to_f_rd(more));
    out[i++] = double_to_bits((double)(int64_t)more);
    out[i++] = double_to_bits((double)more);
    out[i++] = double_to_bits((double)(int32_t)in[2]);
    out[i++] = float_to_bits((float)(int8_t)in[2]);
    out[i++] = float_to_bits((float)(uint16_t)in[2]);
    out[i++] = (uint64_t)((a < b) | (a <= b) << 1 | (a == b) << 2 | (a != b) << 3 | (a > b) << 4 | (a >= b) << 5 |
                          !(a < b) << 6 | !(a >= b) << 7);
    out[i++] = (uint64_t)((x < y) | (x <= y) << 1 | (x == y) << 2 | (x != y) << 3 | (x > y) << 4 | (x >= y) << 5 |
                          !(x <= y) << 6 | (x != x) << 7);
    out[i++] = (uint64_t)((a != a) | (isinf(a) ? 2 : 0) | (isfinite(a) ? 4 : 0) | (signbit(a) ? 8 : 0));
    while (i < FLOATING_RESULTS)
        out[i++] = 0;
}
