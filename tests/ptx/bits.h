/* SPDX-License-Identifier: MIT */
/* Instructions that C has no operator for: bit fields, permutations, carries. */
#include "common.h"

#define BITS_RESULTS 64

#ifdef __CUDACC__
#define ASM3(name, text)                                                 \
    DEVICE uint32_t name(uint32_t a, uint32_t b, uint32_t c)             \
    {                                                                    \
        uint32_t d;                                                      \
        asm(text " %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c)); \
        return d;                                                        \
    }
#define MODEL(name, expr)
#else
#define ASM3(name, text)
#define MODEL(name, expr)                                    \
    DEVICE uint32_t name(uint32_t a, uint32_t b, uint32_t c) \
    {                                                        \
        (void)c;                                             \
        return (uint32_t)(expr);                             \
    }

static uint32_t
model_bfe(uint32_t a, uint32_t b, uint32_t c, int with_sign)
{
    uint32_t position = b & 0xff, length = c & 0xff, d = 0, i, sign = 0;

    if (with_sign && length)
        sign = a >> (position + length - 1 < 31 ? position + length - 1 : 31) & 1;
    for (i = 0; i < 32; i++) {
        uint32_t bit = i < length && position + i <= 31 ? a >> (position + i) & 1 : sign;

        d |= bit << i;
    }
    return d;
}

static uint32_t
model_prmt(uint32_t a, uint32_t b, uint32_t c)
{
    uint64_t bytes = (uint64_t)b << 32 | a;
    uint32_t d = 0, i;

    for (i = 0; i < 4; i++) {
        uint32_t s = c >> 4 * i & 15, byte = (uint32_t)(bytes >> 8 * (s & 7)) & 0xff;

        d |= (s & 8 ? (byte >> 7) * 0xff : byte) << 8 * i;
    }
    return d;
}

static uint32_t
model_lop3(uint32_t a, uint32_t b, uint32_t c, uint32_t table)
{
    uint32_t d = 0, i;

    for (i = 0; i < 32; i++)
        d |= (table >> ((a >> i & 1) << 2 | (b >> i & 1) << 1 | (c >> i & 1)) & 1) << i;
    return d;
}

static uint32_t
model_dot(uint32_t a, uint32_t b, uint32_t c, int sa, int sb)
{
    int i;

    for (i = 0; i < 4; i++) {
        int32_t x = (int32_t)(a >> 8 * i & 0xff), y = (int32_t)(b >> 8 * i & 0xff);

        x = sa ? (int8_t)x : x;
        y = sb ? (int8_t)y : y;
        c += (uint32_t)(x * y);
    }
    return c;
}

static uint32_t
model_dot2(uint32_t a, uint32_t b, uint32_t c, int high)
{
    int i;

    for (i = 0; i < 2; i++)
        c += (uint32_t)((int32_t)(int16_t)(a >> 16 * i) * (int32_t)(int8_t)(b >> 8 * (i + (high ? 2 : 0))));
    return c;
}
#endif

ASM3(bfe_u, "bfe.u32")
MODEL(bfe_u, model_bfe(a, b, c, 0)) ASM3(bfe_s, "bfe.s32") MODEL(bfe_s, model_bfe(a, b, c, 1)) ASM3(prmt, "prmt.b32")
    MODEL(prmt, model_prmt(a, b, c)) ASM3(prmt_f4e, "prmt.b32.f4e") MODEL(prmt_f4e,
                                                                          model_prmt(a, b, 0x3210 + 0x1111 * (c & 3)))
        ASM3(prmt_rc16, "prmt.b32.rc16") MODEL(prmt_rc16,
                                               model_prmt(a, b, c & 1 ? 0x3232 : 0x1010)) ASM3(shf_l, "shf.l.wrap.b32")
            MODEL(shf_l, (((uint64_t)b << 32 | a) << (c & 31)) >>
                             32) ASM3(shf_r, "shf.r.wrap.b32") MODEL(shf_r, ((uint64_t)b << 32 | a) >> (c & 31))
                ASM3(shf_lc, "shf.l.clamp.b32") MODEL(shf_lc, c > 31 ? a : (((uint64_t)b << 32 | a) << c) >> 32)
                    ASM3(shf_rc, "shf.r.clamp.b32") MODEL(shf_rc, c > 31 ? b : ((uint64_t)b << 32 | a) >> c)
                        ASM3(sad_u, "sad.u32") MODEL(sad_u, c + (a < b ? b - a : a - b)) ASM3(sad_s, "sad.s32")
                            MODEL(sad_s, c + ((int32_t)a < (int32_t)b ? b - a : a - b)) ASM3(dp4a_uu, "dp4a.u32.u32")
                                MODEL(dp4a_uu, model_dot(a, b, c, 0, 0)) ASM3(dp4a_ss, "dp4a.s32.s32")
                                    MODEL(dp4a_ss, model_dot(a, b, c, 1, 1)) ASM3(dp4a_us, "dp4a.u32.s32")
                                        MODEL(dp4a_us, model_dot(a, b, c, 0, 1)) ASM3(dp2a_lo, "dp2a.lo.s32.s32")
                                            MODEL(dp2a_lo, model_dot2(a, b, c, 0)) ASM3(dp2a_hi, "dp2a.hi.s32.s32")
                                                MODEL(dp2a_hi, model_dot2(a, b, c, 1)) ASM3(mad_hi_u, "mad.hi.u32")
                                                    MODEL(mad_hi_u, ((uint64_t)a * b >> 32) + c) ASM3(mad_hi_s,
                                                                                                      "mad.hi.s32")
                                                        MODEL(mad_hi_s,
                                                              (uint32_t)((int64_t)(int32_t)a *(int32_t)b >> 32) +
                                                                  c) ASM3(mad24, "mad24.lo.u32")
                                                            MODEL(mad24, (a & 0xffffff) * (uint64_t)(b & 0xffffff) + c)
                                                                ASM3(mad24_s, "mad24.hi.s32")
                                                                    MODEL(mad24_s,
                                                                          (uint32_t)((int64_t)((int32_t)(a << 8) >> 8) *
                                                                                         ((int32_t)(b << 8) >> 8) >>
                                                                                     16) +
                                                                              c)

#ifdef __CUDACC__
#define LOP3(table)                                                                     \
    DEVICE uint32_t lop3_##table(uint32_t a, uint32_t b, uint32_t c)                    \
    {                                                                                   \
        uint32_t d;                                                                     \
        asm("lop3.b32 %0, %1, %2, %3, " #table ";" : "=r"(d) : "r"(a), "r"(b), "r"(c)); \
        return d;                                                                       \
    }
                                                                        DEVICE uint32_t popcount(uint32_t a)
{
    return __popc(a);
}
DEVICE uint32_t
popcount64(uint64_t a)
{
    return __popcll(a);
}
DEVICE uint32_t
leading(uint32_t a)
{
    return __clz(a);
}
DEVICE uint32_t
leading64(uint64_t a)
{
    return __clzll(a);
}
DEVICE uint32_t
reversed(uint32_t a)
{
    return __brev(a);
}
DEVICE uint64_t
reversed64(uint64_t a)
{
    return __brevll(a);
}

DEVICE uint32_t
find_u(uint32_t a)
{
    uint32_t d;

    asm("bfind.u32 %0, %1;" : "=r"(d) : "r"(a));
    return d;
}

DEVICE uint32_t
find_s(uint64_t a)
{
    uint32_t d;

    asm("bfind.shiftamt.s64 %0, %1;" : "=r"(d) : "l"(a));
    return d;
}

DEVICE uint32_t
insert(uint32_t a, uint32_t b, uint32_t c, uint32_t n)
{
    uint32_t d;

    asm("bfi.b32 %0, %1, %2, %3, %4;" : "=r"(d) : "r"(a), "r"(b), "r"(c), "r"(n));
    return d;
}

DEVICE uint64_t
extract64(uint64_t a, uint32_t b, uint32_t c)
{
    uint64_t d;

    asm("bfe.s64 %0, %1, %2, %3;" : "=l"(d) : "l"(a), "r"(b), "r"(c));
    return d;
}

/* 128-bit sums through the carry. */
DEVICE void
add128(const uint32_t *a, const uint32_t *b, uint32_t *d)
{
    asm("add.cc.u32 %0, %4, %8;\n\taddc.cc.u32 %1, %5, %9;\n\t"
        "addc.cc.u32 %2, %6, %10;\n\taddc.u32 %3, %7, %11;"
        : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(b[2]), "r"(b[3]));
}

DEVICE void
sub128(const uint32_t *a, const uint32_t *b, uint32_t *d)
{
    asm("sub.cc.u32 %0, %4, %8;\n\tsubc.cc.u32 %1, %5, %9;\n\t"
        "subc.cc.u32 %2, %6, %10;\n\tsubc.u32 %3, %7, %11;"
        : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(b[2]), "r"(b[3]));
}

DEVICE uint64_t
mul64(uint32_t a, uint32_t b, uint32_t c, uint32_t e)
{
    uint32_t low, high;

    asm("mad.lo.cc.u32 %0, %2, %3, %4;\n\tmadc.hi.u32 %1, %2, %3, %5;"
        : "=r"(low), "=r"(high)
        : "r"(a), "r"(b), "r"(c), "r"(e));
    return (uint64_t)high << 32 | low;
}

DEVICE uint32_t
saturated(uint32_t a, uint32_t b)
{
    uint32_t d;

    asm("add.sat.s32 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
    return d;
}

DEVICE uint64_t
clamped(uint64_t a)
{
    uint16_t d;
    int32_t e;

    asm("cvt.sat.u8.s64 %0, %1;" : "=h"(d) : "l"(a));
    asm("cvt.sat.s32.u64 %0, %1;" : "=r"(e) : "l"(a));
    return (uint64_t)(uint32_t)e << 32 | d;
}

/* Shifts by more than the width. */
DEVICE uint64_t
overshift(uint32_t a, uint64_t b, uint32_t n)
{
    uint32_t x, y;
    uint64_t z;

    asm("shl.b32 %0, %1, %2;" : "=r"(x) : "r"(a), "r"(n));
    asm("shr.s32 %0, %1, %2;" : "=r"(y) : "r"(a), "r"(n));
    asm("shr.u64 %0, %1, %2;" : "=l"(z) : "l"(b), "r"(n));
    return x ^ (uint64_t)y << 32 ^ z;
}

DEVICE uint64_t
high64(uint64_t a, uint64_t b)
{
    return __umul64hi(a, b) ^ (uint64_t)__mul64hi((long long)a, (long long)b);
}
#else
#define LOP3(table)                                                  \
    DEVICE uint32_t lop3_##table(uint32_t a, uint32_t b, uint32_t c) \
    {                                                                \
        return model_lop3(a, b, c, table);                           \
    }
                                                                        DEVICE uint32_t popcount(uint32_t a)
{
    return (uint32_t)__builtin_popcount(a);
}
DEVICE uint32_t
popcount64(uint64_t a)
{
    return (uint32_t)__builtin_popcountll(a);
}
DEVICE uint32_t
leading(uint32_t a)
{
    return a ? (uint32_t)__builtin_clz(a) : 32;
}
DEVICE uint32_t
leading64(uint64_t a)
{
    return a ? (uint32_t)__builtin_clzll(a) : 64;
}

DEVICE uint64_t
reversed64(uint64_t a)
{
    uint64_t d = 0;
    int i;

    for (i = 0; i < 64; i++)
        d |= (a >> i & 1) << (63 - i);
    return d;
}

DEVICE uint32_t
reversed(uint32_t a)
{
    return (uint32_t)(reversed64(a) >> 32);
}
DEVICE uint32_t
find_u(uint32_t a)
{
    return a ? 31 - leading(a) : UINT32_MAX;
}

DEVICE uint32_t
find_s(uint64_t a)
{
    uint64_t b = (int64_t)a < 0 ? ~a : a;

    return b ? leading64(b) : UINT32_MAX;
}

DEVICE uint32_t
insert(uint32_t a, uint32_t b, uint32_t c, uint32_t n)
{
    uint32_t position = c & 0xff, length = n & 0xff, i;

    for (i = 0; i < length && position + i < 32; i++)
        b = (b & ~(1u << (position + i))) | (i < 32 ? (a >> i & 1) : 0) << (position + i);
    return b;
}

DEVICE uint64_t
extract64(uint64_t a, uint32_t b, uint32_t c)
{
    uint32_t position = b & 0xff, length = c & 0xff, i;
    uint64_t d = 0, sign = 0;

    if (length)
        sign = a >> (position + length - 1 < 63 ? position + length - 1 : 63) & 1;
    for (i = 0; i < 64; i++)
        d |= (i < length && position + i <= 63 ? a >> (position + i) & 1 : sign) << i;
    return d;
}

static void
long_add(const uint32_t *a, const uint32_t *b, uint32_t *d, uint32_t flip, uint64_t carry)
{
    int i;

    for (i = 0; i < 4; i++) {
        carry += (uint64_t)a[i] + (b[i] ^ flip);
        d[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

DEVICE void
add128(const uint32_t *a, const uint32_t *b, uint32_t *d)
{
    long_add(a, b, d, 0, 0);
}
DEVICE void
sub128(const uint32_t *a, const uint32_t *b, uint32_t *d)
{
    long_add(a, b, d, ~0u, 1);
}

DEVICE uint64_t
mul64(uint32_t a, uint32_t b, uint32_t c, uint32_t e)
{
    return (uint64_t)a * b + c + ((uint64_t)e << 32);
}

DEVICE uint32_t
saturated(uint32_t a, uint32_t b)
{
    int64_t sum = (int64_t)(int32_t)a + (int32_t)b;

    return sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? 0x80000000u : (uint32_t)sum;
}

DEVICE uint64_t
clamped(uint64_t a)
{
    uint64_t byte = (int64_t)a < 0 ? 0 : a > 255 ? 255 : a;

    return (a > INT32_MAX ? (uint64_t)INT32_MAX : a) << 32 | byte;
}

DEVICE uint64_t
overshift(uint32_t a, uint64_t b, uint32_t n)
{
    uint32_t x = n > 31 ? 0 : a << n, y = (uint32_t)((int32_t)a >> (n > 31 ? 31 : n));

    return x ^ (uint64_t)y << 32 ^ (n > 63 ? 0 : b >> n);
}

DEVICE uint64_t
high64(uint64_t a, uint64_t b)
{
    return (uint64_t)((unsigned __int128)a * b >> 64) ^ (uint64_t)((__int128)(int64_t)a * (int64_t)b >> 64);
}
#endif

LOP3(0x96)
LOP3(0xe8)
LOP3(0x1b)
LOP3(0xfe)

DEVICE void
bits(const uint32_t *in, uint64_t *out)
{
    uint32_t a = in[0], b = in[1], c = in[2], n = in[3], sum[4], e[4] = {n, b, c, a};
    uint64_t la = (uint64_t)a << 32 | b;
    int i = 0, j;

    out[i++] = bfe_u(a, b & 63, c & 63);
    out[i++] = bfe_s(a, b & 63, c & 63);
    out[i++] = bfe_s(a, n & 7, c & 15);
    out[i++] = prmt(a, b, c);
    out[i++] = prmt_f4e(a, b, c);
    out[i++] = prmt_rc16(a, b, c);
    out[i++] = shf_l(a, b, c);
    out[i++] = shf_r(a, b, c);
    out[i++] = shf_lc(a, b, c & 63);
    out[i++] = shf_rc(a, b, c & 63);
    out[i++] = sad_u(a, b, c);
    out[i++] = sad_s(a, b, c);
    out[i++] = dp4a_uu(a, b, c);
    out[i++] = dp4a_ss(a, b, c);
    out[i++] = dp4a_us(a, b, c);
    out[i++] = dp2a_lo(a, b, c);
    out[i++] = dp2a_hi(a, b, c);
    out[i++] = mad_hi_u(a, b, c);
    out[i++] = mad_hi_s(a, b, c);
    out[i++] = mad24(a, b, c);
    out[i++] = mad24_s(a, b, c);
    out[i++] = lop3_0x96(a, b, c);
    out[i++] = lop3_0xe8(a, b, c);
    out[i++] = lop3_0x1b(a, b, c);
    out[i++] = lop3_0xfe(a, b, c);
    out[i++] = popcount(a);
    out[i++] = popcount64(la);
    out[i++] = leading(a);
    out[i++] = leading(a >> (n & 31));
    out[i++] = leading64(la >> (n & 63));
    out[i++] = reversed(a);
    out[i++] = reversed64(la);
    out[i++] = find_u(a >> (n & 31));
    out[i++] = find_s(la);
    out[i++] = find_s(la >> (n & 63));
    out[i++] = insert(a, b, c & 63, n & 63);
    out[i++] = insert(a, b, n & 15, c & 15);
    out[i++] = extract64(la, c & 127, n & 127);
    out[i++] = extract64(la, n & 31, c & 31);
    add128(in, e, sum);
    for (j = 0; j < 4; j++)
        out[i++] = sum[j];
    sub128(in, e, sum);
    for (j = 0; j < 4; j++)
        out[i++] = sum[j];
    out[i++] = mul64(a, b, c, n);
    out[i++] = saturated(a, b);
    out[i++] = clamped(la);
    out[i++] = clamped(c & 511);
    out[i++] = overshift(a, la, c & 127);
    out[i++] = high64(la, (uint64_t)c << 32 | n);
    while (i < BITS_RESULTS)
        out[i++] = 0;
}
