/* SPDX-License-Identifier: MIT */
/*
 * Integer arithmetic, logic, shifts, bit fields. Overflow wraps: everything is
 * computed in unsigned types.
 */
#include "ops.h"

#define OP1(name, T, R, expr)                                         \
    static void name(struct warp *w, const struct op *op, uint32_t m) \
    {                                                                 \
        uint64_t *d = w->regs + op->d;                                \
        const uint64_t *pa = w->regs + op->a;                         \
        LANES(m, {                                                    \
            const T a = (T)pa[l];                                     \
            d[l] = (R)(expr);                                         \
        });                                                           \
    }
#define OP2X(name, T, U, R, expr)                                     \
    static void name(struct warp *w, const struct op *op, uint32_t m) \
    {                                                                 \
        uint64_t *d = w->regs + op->d;                                \
        const uint64_t *pa = w->regs + op->a, *pb = w->regs + op->b;  \
        LANES(m, {                                                    \
            const T a = (T)pa[l];                                     \
            const U b = (U)pb[l];                                     \
            d[l] = (R)(expr);                                         \
        });                                                           \
    }
#define OP2(name, T, R, expr) OP2X(name, T, T, R, expr)
#define OP3X(name, T, U, V, R, expr)                                  \
    static void name(struct warp *w, const struct op *op, uint32_t m) \
    {                                                                 \
        uint64_t *d = w->regs + op->d;                                \
        const uint64_t *pa = w->regs + op->a, *pb = w->regs + op->b;  \
        const uint64_t *pc = w->regs + op->c;                         \
        LANES(m, {                                                    \
            const T a = (T)pa[l];                                     \
            const U b = (U)pb[l];                                     \
            const V c = (V)pc[l];                                     \
            d[l] = (R)(expr);                                         \
        });                                                           \
    }
#define OP3(name, T, R, expr) OP3X(name, T, T, T, R, expr)

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef unsigned __int128 u128;
typedef __int128 s128;

/* The three widths of what does not care for signs. */
#define WIDTHS2(name, expr) OP2(name##_16, u16, u16, expr) OP2(name##_32, u32, u32, expr) OP2(name##_64, u64, u64, expr)
#define WIDTHS1(name, expr) OP1(name##_16, u16, u16, expr) OP1(name##_32, u32, u32, expr) OP1(name##_64, u64, u64, expr)
#define SIGNED2(name, expr)                                                                         \
    OP2(name##_s16, s16, u16, expr)                                                                 \
    OP2(name##_s32, s32, u32, expr) OP2(name##_s64, s64, u64, expr) OP2(name##_u16, u16, u16, expr) \
        OP2(name##_u32, u32, u32, expr) OP2(name##_u64, u64, u64, expr)

WIDTHS2(add, a + b)
WIDTHS2(sub, a - b)
WIDTHS2(and, a &b)
WIDTHS2(or, a | b)
WIDTHS2(xor, a ^ b)
WIDTHS1(not, ~a)
WIDTHS1(cnot, a == 0)
WIDTHS1(neg, 0 - a)
WIDTHS1(mov, a)
SIGNED2(min, a < b ? a : b)
SIGNED2(max, a > b ? a : b)
OP1(abs_16, s16, u16, a < 0 ? 0 - (u32)a : (u32)a)
OP1(abs_32, s32, u32, a < 0 ? 0 - (u32)a : (u32)a)
OP1(abs_64, s64, u64, a < 0 ? 0 - (u64)a : (u64)a)

static inline u32
saturate32(s64 value)
{
    return value > INT32_MAX ? (u32)INT32_MAX : value < INT32_MIN ? (u32)INT32_MIN : (u32)value;
}

OP2(add_sat_s32, s32, u32, saturate32((s64)a + b))
OP2(sub_sat_s32, s32, u32, saturate32((s64)a - b))
OP3(mad_hi_sat_s32, s32, u32, saturate32(((s64)a * b >> 32) + c))

OP2(mul_lo_16, u16, u16, (u32)a *b)
OP2(mul_lo_32, u32, u32, a *b)
OP2(mul_lo_64, u64, u64, a *b)
OP2(mul_hi_u16, u16, u16, (u32)a *b >> 16)
OP2(mul_hi_s16, s16, u16, (s32)a *b >> 16)
OP2(mul_hi_u32, u32, u32, (u64)a *b >> 32)
OP2(mul_hi_s32, s32, u32, (s64)a *b >> 32)
OP2(mul_hi_u64, u64, u64, (u128)a *b >> 64)
OP2(mul_hi_s64, s64, u64, (u64)((s128)a *b >> 64))
OP2(mul_wide_u16, u16, u32, (u32)a *b)
OP2(mul_wide_s16, s16, u32, (s32)a *b)
OP2(mul_wide_u32, u32, u64, (u64)a *b)
OP2(mul_wide_s32, s32, u64, (s64)a *b)
OP3(mad_lo_16, u16, u16, (u32)a *b + c)
OP3(mad_lo_32, u32, u32, a *b + c)
OP3(mad_lo_64, u64, u64, a *b + c)
OP3(mad_hi_u16, u16, u16, ((u32)a * b >> 16) + c)
OP3(mad_hi_s16, s16, u16, ((s32)a * b >> 16) + c)
OP3(mad_hi_u32, u32, u32, ((u64)a * b >> 32) + c)
OP3(mad_hi_s32, s32, u32, (u64)((s64)a *b >> 32) + (u64)c)
OP3(mad_hi_u64, u64, u64, (u64)((u128)a *b >> 64) + c)
OP3(mad_hi_s64, s64, u64, (u64)((s128)a *b >> 64) + (u64)c)
OP3X(mad_wide_u16, u16, u16, u32, u32, (u32)a *b + c)
OP3X(mad_wide_s16, s16, s16, u32, u32, (u32)((s32)a *b) + c)
OP3X(mad_wide_u32, u32, u32, u64, u64, (u64)a *b + c)
OP3X(mad_wide_s32, s32, s32, u64, u64, (u64)((s64)a *b) + c)

static inline s32
low24(u32 a)
{
    return (s32)(a << 8) >> 8;
}

OP2(mul24_lo_u32, u32, u32, (a & 0xffffff) * (b & 0xffffff))
OP2(mul24_lo_s32, u32, u32, (u64)((s64)low24(a) * low24(b)))
OP2(mul24_hi_u32, u32, u32, (u64)(a & 0xffffff) * (b & 0xffffff) >> 16)
OP2(mul24_hi_s32, u32, u32, (s64)low24(a) * low24(b) >> 16)
OP3(mad24_lo_u32, u32, u32, (a & 0xffffff) * (b & 0xffffff) + c)
OP3(mad24_lo_s32, u32, u32, (u64)((s64)low24(a) * low24(b)) + c)
OP3(mad24_hi_u32, u32, u32, ((u64)(a & 0xffffff) * (b & 0xffffff) >> 16) + c)
OP3(mad24_hi_s32, u32, u32, (u64)((s64)low24(a) * low24(b) >> 16) + c)

/* Division by zero gives all ones, as quotient and as remainder. */
OP2(div_u16, u16, u16, b ? a / b : 0xffff)
OP2(div_u32, u32, u32, b ? a / b : UINT32_MAX)
OP2(div_u64, u64, u64, b ? a / b : UINT64_MAX)
OP2(div_s16, s16, u16, b ? a / b : -1)
OP2(div_s32, s32, u32, b == 0 ? UINT32_MAX : b == -1 ? 0 - (u32)a : (u32)(a / b))
OP2(div_s64, s64, u64, b == 0 ? UINT64_MAX : b == -1 ? 0 - (u64)a : (u64)(a / b))
OP2(rem_u16, u16, u16, b ? a % b : 0xffff)
OP2(rem_u32, u32, u32, b ? a % b : UINT32_MAX)
OP2(rem_u64, u64, u64, b ? a % b : UINT64_MAX)
OP2(rem_s16, s16, u16, b ? a % b : -1)
OP2(rem_s32, s32, u32, b == 0 ? UINT32_MAX : b == -1 ? 0 : (u32)(a % b))
OP2(rem_s64, s64, u64, b == 0 ? UINT64_MAX : b == -1 ? 0 : (u64)(a % b))

/* Shifts by the width or more give zero, or the sign. */
OP2X(shl_16, u16, u32, u16, b > 15 ? 0 : (u32)a << b)
OP2X(shl_32, u32, u32, u32, b > 31 ? 0 : a << b)
OP2X(shl_64, u64, u32, u64, b > 63 ? 0 : a << b)
OP2X(shr_u16, u16, u32, u16, b > 15 ? 0 : a >> b)
OP2X(shr_u32, u32, u32, u32, b > 31 ? 0 : a >> b)
OP2X(shr_u64, u64, u32, u64, b > 63 ? 0 : a >> b)
OP2X(shr_s16, s16, u32, u16, a >> (b > 15 ? 15 : b))
OP2X(shr_s32, s32, u32, u32, a >> (b > 31 ? 31 : b))
OP2X(shr_s64, s64, u32, u64, a >> (b > 63 ? 63 : b))

static inline u32
funnel_left(u32 low, u32 high, u32 n)
{
    return (u32)(((u64)high << 32 | low) << n >> 32);
}

static inline u32
funnel_right(u32 low, u32 high, u32 n)
{
    return (u32)(((u64)high << 32 | low) >> n);
}

OP3(shf_l_wrap, u32, u32, funnel_left(a, b, c & 31))
OP3(shf_l_clamp, u32, u32, c > 31 ? a : funnel_left(a, b, c))
OP3(shf_r_wrap, u32, u32, funnel_right(a, b, c & 31))
OP3(shf_r_clamp, u32, u32, c > 31 ? b : funnel_right(a, b, c))

OP1(popc_32, u32, u32, __builtin_popcount(a))
OP1(popc_64, u64, u32, __builtin_popcountll(a))
OP1(clz_32, u32, u32, a ? __builtin_clz(a) : 32)
OP1(clz_64, u64, u32, a ? __builtin_clzll(a) : 64)

static inline u64
reverse(u64 a, unsigned int width)
{
    u64 r = __builtin_bswap64(a);

    r = (r >> 4 & 0x0f0f0f0f0f0f0f0full) | (r & 0x0f0f0f0f0f0f0f0full) << 4;
    r = (r >> 2 & 0x3333333333333333ull) | (r & 0x3333333333333333ull) << 2;
    r = (r >> 1 & 0x5555555555555555ull) | (r & 0x5555555555555555ull) << 1;
    return r >> (64 - width);
}

OP1(brev_32, u32, u32, reverse(a, 32))
OP1(brev_64, u64, u64, reverse(a, 64))

static inline u32
find_bit(u64 a, bool shift, unsigned int width)
{
    u32 at;

    if (!a)
        return UINT32_MAX;
    at = 63 - (u32)__builtin_clzll(a);
    return shift ? width - 1 - at : at;
}

OP1(bfind_u32, u32, u32, find_bit(a, false, 32))
OP1(bfind_u64, u64, u32, find_bit(a, false, 64))
OP1(bfind_s32, s32, u32, find_bit((u32)(a < 0 ? ~a : a), false, 32))
OP1(bfind_s64, s64, u32, find_bit((u64)(a < 0 ? ~a : a), false, 64))
OP1(bfind_shift_u32, u32, u32, find_bit(a, true, 32))
OP1(bfind_shift_u64, u64, u32, find_bit(a, true, 64))
OP1(bfind_shift_s32, s32, u32, find_bit((u32)(a < 0 ? ~a : a), true, 32))
OP1(bfind_shift_s64, s64, u32, find_bit((u64)(a < 0 ? ~a : a), true, 64))

static inline u64
extract(u64 a, u32 position, u32 length, unsigned int width, bool with_sign)
{
    u32 start = position & 0xff, n = length & 0xff, sign_at;
    u64 mask, field, sign;

    if (n == 0)
        return 0;
    sign_at = start + n - 1 < width - 1 ? start + n - 1 : width - 1;
    sign = with_sign && (a >> sign_at & 1) ? UINT64_MAX : 0;
    mask = n > 63 ? UINT64_MAX : (1ull << n) - 1;
    field = start >= width ? 0 : a >> start & mask;
    /* bits beyond the top of a, or of the field, are copies of the sign */
    if (start + n > width)
        n = start >= width ? 0 : width - start;
    return n > 63 ? field : (field & ((1ull << n) - 1)) | sign << n;
}

OP3X(bfe_u32, u32, u32, u32, u32, extract(a, b, c, 32, false))
OP3X(bfe_s32, u32, u32, u32, u32, extract(a, b, c, 32, true))
OP3X(bfe_u64, u64, u32, u32, u64, extract(a, b, c, 64, false))
OP3X(bfe_s64, u64, u32, u32, u64, extract(a, b, c, 64, true))

static inline u64
insert(u64 a, u64 b, u32 position, u32 length, unsigned int width)
{
    u32 start = position & 0xff, n = length & 0xff;
    u64 mask;

    if (n == 0 || start >= width)
        return b;
    mask = (n > 63 ? UINT64_MAX : (1ull << n) - 1) << start;
    return (b & ~mask) | (a << start & mask);
}

#define OP_BFI(name, T)                                                                                               \
    static void name(struct warp *w, const struct op *op, uint32_t m)                                                 \
    {                                                                                                                 \
        const uint64_t *r = w->regs;                                                                                  \
        uint64_t *d = w->regs + op->d;                                                                                \
        LANES(m, {                                                                                                    \
            d[l] = (T)insert((T)r[op->a + l], (T)r[op->b + l], (u32)r[op->c + l], (u32)r[op->d2 + l], 8 * sizeof(T)); \
        });                                                                                                           \
    }
OP_BFI(bfi_32, u32)
OP_BFI(bfi_64, u64)

OP2(bmsk_clamp, u32, u32, a > 31 ? 0 : insert(UINT32_MAX, 0, a, b > 32 ? 32 : b, 32))
OP2(bmsk_wrap, u32, u32, insert(UINT32_MAX, 0, a & 31, b & 31, 32))
OP2X(szext_clamp_u32, u32, u32, u32, b > 31 ? a : extract(a, 0, b, 32, false))
OP2X(szext_clamp_s32, u32, u32, u32, b > 31 ? a : extract(a, 0, b, 32, true))
OP2X(szext_wrap_u32, u32, u32, u32, extract(a, 0, b & 31, 32, false))
OP2X(szext_wrap_s32, u32, u32, u32, extract(a, 0, b & 31, 32, true))

OP3(sad_u16, u16, u16, c + (a < b ? b - a : a - b))
OP3(sad_u32, u32, u32, c + (a < b ? b - a : a - b))
OP3(sad_u64, u64, u64, c + (a < b ? b - a : a - b))
OP3(sad_s16, s16, u16, (u32)c + (u32)(a < b ? b - a : a - b))
OP3(sad_s32, s32, u32, (u32)c + (a < b ? (u32)b - (u32)a : (u32)a - (u32)b))
OP3(sad_s64, s64, u64, (u64)c + (a < b ? (u64)b - (u64)a : (u64)a - (u64)b))

/* Permute bytes: the default mode takes a selector of four nibbles. */
static inline u32
permute_byte(u64 bytes, u32 selector)
{
    u32 byte = (u32)(bytes >> 8 * (selector & 7)) & 0xff;

    return selector & 8 ? (byte & 0x80 ? 0xff : 0) : byte;
}

static inline u32
permute(u32 a, u32 b, u32 c)
{
    u64 bytes = (u64)b << 32 | a;

    return permute_byte(bytes, c & 15) | permute_byte(bytes, c >> 4 & 15) << 8 |
           permute_byte(bytes, c >> 8 & 15) << 16 | permute_byte(bytes, c >> 12 & 15) << 24;
}

static const u16 permute_modes[6][4] = {
    {0x3210, 0x4321, 0x5432, 0x6543}, /* f4e */
    {0x5670, 0x6701, 0x7012, 0x0123}, /* b4e */
    {0x0000, 0x1111, 0x2222, 0x3333}, /* rc8 */
    {0x3210, 0x3211, 0x3222, 0x3333}, /* ecl */
    {0x0000, 0x1110, 0x2210, 0x3210}, /* ecr */
    {0x1010, 0x3232, 0x1010, 0x3232}, /* rc16 */
};

OP3(prmt, u32, u32, permute(a, b, c))
OP3(prmt_f4e, u32, u32, permute(a, b, permute_modes[0][c & 3]))
OP3(prmt_b4e, u32, u32, permute(a, b, permute_modes[1][c & 3]))
OP3(prmt_rc8, u32, u32, permute(a, b, permute_modes[2][c & 3]))
OP3(prmt_ecl, u32, u32, permute(a, b, permute_modes[3][c & 3]))
OP3(prmt_ecr, u32, u32, permute(a, b, permute_modes[4][c & 3]))
OP3(prmt_rc16, u32, u32, permute(a, b, permute_modes[5][c & 3]))

/* Dot products of bytes and halves; op->type is a's, op->type2 b's. */
static inline s32
part(u32 value, unsigned int at, unsigned int width, bool with_sign)
{
    u32 field = value >> at * width & ((1u << width) - 1);

    return with_sign && field >> (width - 1) ? (s32)field - (s32)(1u << width) : (s32)field;
}

static void
dp4a(struct warp *w, const struct op *op, uint32_t m)
{
    bool sa = op->type == PTX_S32, sb = op->type2 == PTX_S32;

    LANES(m, {
        u32 a = (u32)w->regs[op->a + l];
        u32 b = (u32)w->regs[op->b + l];
        u32 sum = (u32)w->regs[op->c + l];
        unsigned int i;

        for (i = 0; i < 4; i++)
            sum += (u32)(part(a, i, 8, sa) * part(b, i, 8, sb));
        w->regs[op->d + l] = sum;
    });
}

static void
dp2a(struct warp *w, const struct op *op, uint32_t m)
{
    bool sa = op->type == PTX_S32, sb = op->type2 == PTX_S32;

    LANES(m, {
        u32 a = (u32)w->regs[op->a + l];
        u32 b = (u32)w->regs[op->b + l];
        u32 sum = (u32)w->regs[op->c + l];
        unsigned int i;

        for (i = 0; i < 2; i++)
            sum += (u32)part(a, i, 16, sa) * (u32)part(b, i + (op->mode ? 2 : 0), 8, sb);
        w->regs[op->d + l] = sum;
    });
}

/* Extended precision: the carry of each lane is a bit of warp->carry. */
#define OP_CARRY(name, T, W, expr, borrow, writes)                                                    \
    static void name(struct warp *w, const struct op *op, uint32_t m)                                 \
    {                                                                                                 \
        LANES(m, {                                                                                    \
            const W a = (T)w->regs[op->a + l];                                                        \
            const W b = (T)w->regs[op->b + l];                                                        \
            const W c = op->c == SIM_NO_SLOT ? 0 : (T)w->regs[op->c + l];                             \
            const W carry = w->carry >> l & 1;                                                        \
            const W r = expr;                                                                         \
            (void)b;                                                                                  \
            (void)c;                                                                                  \
            (void)carry;                                                                              \
            w->regs[op->d + l] = (T)r;                                                                \
            if (writes)                                                                               \
                w->carry = (w->carry & ~(1u << l)) | (u32)((r >> 8 * sizeof(T) & 1) ^ (borrow)) << l; \
        });                                                                                           \
    }
#define CARRY_PAIR(name, T, W, expr, borrow)      \
    OP_CARRY(name##_cc, T, W, expr, borrow, true) \
    OP_CARRY(name, T, W, expr, borrow, false)

OP_CARRY(add_cc_32, u32, u64, a + b, 0, true)
OP_CARRY(add_cc_64, u64, u128, a + b, 0, true)
CARRY_PAIR(addc_32, u32, u64, a + b + carry, 0)
CARRY_PAIR(addc_64, u64, u128, a + b + carry, 0)
/* The device keeps the carry of a + ~b + 1, so a borrow is a clear bit. */
OP_CARRY(sub_cc_32, u32, u64, a + (u32) ~(u32)b + 1, 0, true)
OP_CARRY(sub_cc_64, u64, u128, a + (u64) ~(u64)b + 1, 0, true)
CARRY_PAIR(subc_32, u32, u64, a + (u32) ~(u32)b + carry, 0)
CARRY_PAIR(subc_64, u64, u128, a + (u64) ~(u64)b + carry, 0)
OP_CARRY(mad_lo_cc_32, u32, u64, (u64)(u32)(a *b) + c, 0, true)
OP_CARRY(mad_lo_cc_64, u64, u128, (u128)(u64)(a *b) + c, 0, true)
CARRY_PAIR(madc_lo_32, u32, u64, (u64)(u32)(a *b) + c + carry, 0)
CARRY_PAIR(madc_lo_64, u64, u128, (u128)(u64)(a *b) + c + carry, 0)
OP_CARRY(mad_hi_cc_u32, u32, u64, (a * b >> 32) + c, 0, true)
OP_CARRY(mad_hi_cc_s32, u32, u64, (u64)(u32)((s64)(s32)a *(s32)b >> 32) + c, 0, true)
OP_CARRY(mad_hi_cc_u64, u64, u128, (a * b >> 64) + c, 0, true)
OP_CARRY(mad_hi_cc_s64, u64, u128, (u128)(u64)((s128)(s64)a *(s64)b >> 64) + c, 0, true)
CARRY_PAIR(madc_hi_u32, u32, u64, (a * b >> 32) + c + carry, 0)
CARRY_PAIR(madc_hi_s32, u32, u64, (u64)(u32)((s64)(s32)a *(s32)b >> 32) + c + carry, 0)
CARRY_PAIR(madc_hi_u64, u64, u128, (a * b >> 64) + c + carry, 0)
CARRY_PAIR(madc_hi_s64, u64, u128, (u128)(u64)((s128)(s64)a *(s64)b >> 64) + c + carry, 0)

/* Pairs of 16-bit integers. */
#define OP_PAIR(name, T, expr)              \
    static inline u32 name##_half(T a, T b) \
    {                                       \
        return (u16)(expr);                 \
    }                                       \
    OP2(name, u32, u32, name##_half((T)a, (T)b) | name##_half((T)(a >> 16), (T)(b >> 16)) << 16)
OP_PAIR(add_16x2, u16, a + b)
OP_PAIR(min_u16x2, u16, a < b ? a : b)
OP_PAIR(max_u16x2, u16, a > b ? a : b)
OP_PAIR(min_s16x2, s16, a < b ? a : b)
OP_PAIR(max_s16x2, s16, a > b ? a : b)

/* Predicates are masks: logic on whole warps. */
#define OP_PREDICATE(name, expr)                                               \
    static void name(struct warp *w, const struct op *op, uint32_t m)          \
    {                                                                          \
        const uint32_t a = get_predicate(w, op->a);                            \
        const uint32_t b = op->b == SIM_NO_SLOT ? 0 : get_predicate(w, op->b); \
        (void)b;                                                               \
        set_predicate(w, op->d, m, expr);                                      \
    }
OP_PREDICATE(and_pred, a &b)
OP_PREDICATE(or_pred, a | b)
OP_PREDICATE(xor_pred, a ^ b)
OP_PREDICATE(not_pred, ~a)
OP_PREDICATE(mov_pred, a)

void
op_move_not_predicate(struct warp *w, const struct op *op, uint32_t m)
{
    not_pred(w, op, m);
}

/* Logic by a table of eight results; .BOOL also tests the result. */
static void
lop3(struct warp *w, const struct op *op, uint32_t m)
{
    const uint32_t table = (uint32_t)op->imm;
    uint32_t nonzero = 0, p;

    LANES(m, {
        const u32 a = (u32)w->regs[op->a + l];
        const u32 b = (u32)w->regs[op->b + l];
        const u32 c = (u32)w->regs[op->c + l];
        u32 r = 0;

        if (table & 0x01)
            r |= ~a & ~b & ~c;
        if (table & 0x02)
            r |= ~a & ~b & c;
        if (table & 0x04)
            r |= ~a & b & ~c;
        if (table & 0x08)
            r |= ~a & b & c;
        if (table & 0x10)
            r |= a & ~b & ~c;
        if (table & 0x20)
            r |= a & ~b & c;
        if (table & 0x40)
            r |= a & b & ~c;
        if (table & 0x80)
            r |= a & b & c;
        w->regs[op->d + l] = r;
        nonzero |= (uint32_t)(r != 0) << l;
    });
    if (op->d2 == SIM_NO_SLOT)
        return;
    p = get_predicate(w, op->target);
    set_predicate(w, op->d2, m, op->mode2 == MOD_AND ? nonzero & p : nonzero | p);
}

static bool
decode_lop3(struct decoder *d)
{
    const struct ptx_operand *table;

    d->op.fn = lop3;
    d->op.mode2 = (uint8_t)d->mods.op;
    if (!take_destination(d, &d->op.d))
        return false;
    if (next_is_paired(d) && !take_destination(d, &d->op.d2))
        return false;
    if (!take_source(d, PTX_B32, &d->op.a) || !take_source(d, PTX_B32, &d->op.b) || !take_source(d, PTX_B32, &d->op.c))
        return false;
    table = peek_operand(d);
    if (!table || table->kind != PTX_OPERAND_INTEGER)
        return decode_bad(d, "lop3 wants a constant table");
    d->op.imm = table->value & 0xff;
    d->next++;
    return d->op.d2 == SIM_NO_SLOT || take_predicate(d, &d->op.target);
}

static bool
decode_bfi(struct decoder *d)
{
    enum ptx_type type = d->mods.types[0];

    d->op.fn = ptx_type_size(type) == 8 ? bfi_64 : bfi_32;
    return take_destination(d, &d->op.d) && take_source(d, type, &d->op.a) && take_source(d, type, &d->op.b) &&
           take_source(d, PTX_U32, &d->op.c) && take_source(d, PTX_U32, &d->op.d2);
}

static bool
decode_dp(struct decoder *d)
{
    d->op.fn = d->mods.key[2] == '4' ? dp4a : dp2a;
    d->op.type = (uint8_t)d->mods.types[0];
    d->op.type2 = (uint8_t)d->mods.types[1];
    d->op.mode = mods_has(&d->mods, "hi");
    return take_destination(d, &d->op.d) && take_source(d, PTX_B32, &d->op.a) && take_source(d, PTX_B32, &d->op.b) &&
           take_source(d, PTX_B32, &d->op.c);
}

#define I16 (TYPE_BIT(U16) | TYPE_BIT(S16))
#define I32 (TYPE_BIT(U32) | TYPE_BIT(S32))
#define I64 (TYPE_BIT(U64) | TYPE_BIT(S64))
#define B16 (I16 | TYPE_BIT(B16))
#define B32 (I32 | TYPE_BIT(B32))
#define B64 (I64 | TYPE_BIT(B64))
#define F16S (TYPE_BIT(F16) | TYPE_BIT(BF16))
#define F16X2S (TYPE_BIT(F16X2) | TYPE_BIT(BF16X2) | TYPE_BIT(U16X2) | TYPE_BIT(S16X2))

#define ROWS_WIDTH(key, fn, n)                      \
    {key, B16, fn##_16, n}, {key, B32, fn##_32, n}, \
    {                                               \
        key, B64, fn##_64, n                        \
    }
#define ROWS_SIGN(key, fn, n)                                                                                \
    {key, TYPE_BIT(U16), fn##_u16, n}, {key, TYPE_BIT(S16), fn##_s16, n}, {key, TYPE_BIT(U32), fn##_u32, n}, \
        {key, TYPE_BIT(S32), fn##_s32, n}, {key, TYPE_BIT(U64), fn##_u64, n},                                \
    {                                                                                                        \
        key, TYPE_BIT(S64), fn##_s64, n                                                                      \
    }
#define ROWS_SIGN32(key, fn, n)                        \
    {key, TYPE_BIT(U32) | TYPE_BIT(B32), fn##_u32, n}, \
    {                                                  \
        key, TYPE_BIT(S32), fn##_s32, n                \
    }
#define ROWS_SIGN64(key, fn, n)                        \
    {key, TYPE_BIT(U64) | TYPE_BIT(B64), fn##_u64, n}, \
    {                                                  \
        key, TYPE_BIT(S64), fn##_s64, n                \
    }
#define ROWS_CARRY(key, fn, n) \
    {key, B32, fn##_32, n},    \
    {                          \
        key, B64, fn##_64, n   \
    }

static const struct op_row rows[] = {ROWS_WIDTH("add", add, 2),
                                     ROWS_WIDTH("sub", sub, 2),
                                     {"add", TYPE_BIT(U16X2) | TYPE_BIT(S16X2), add_16x2, 2},
                                     {"min", TYPE_BIT(U16X2), min_u16x2, 2},
                                     {"max", TYPE_BIT(U16X2), max_u16x2, 2},
                                     {"min", TYPE_BIT(S16X2), min_s16x2, 2},
                                     {"max", TYPE_BIT(S16X2), max_s16x2, 2},
                                     {"add.sat", TYPE_BIT(S32), add_sat_s32, 2},
                                     {"sub.sat", TYPE_BIT(S32), sub_sat_s32, 2},
                                     ROWS_WIDTH("mul.lo", mul_lo, 2),
                                     ROWS_SIGN("mul.hi", mul_hi, 2),
                                     {"mul.wide", TYPE_BIT(U16), mul_wide_u16, 2},
                                     {"mul.wide", TYPE_BIT(S16), mul_wide_s16, 2},
                                     {"mul.wide", TYPE_BIT(U32), mul_wide_u32, 2},
                                     {"mul.wide", TYPE_BIT(S32), mul_wide_s32, 2},
                                     ROWS_WIDTH("mad.lo", mad_lo, 3),
                                     ROWS_SIGN("mad.hi", mad_hi, 3),
                                     {"mad.hi.sat", TYPE_BIT(S32), mad_hi_sat_s32, 3},
                                     {"mad.wide", TYPE_BIT(U16), mad_wide_u16, 3},
                                     {"mad.wide", TYPE_BIT(S16), mad_wide_s16, 3},
                                     {"mad.wide", TYPE_BIT(U32), mad_wide_u32, 3},
                                     {"mad.wide", TYPE_BIT(S32), mad_wide_s32, 3},
                                     ROWS_SIGN32("mul24.lo", mul24_lo, 2),
                                     ROWS_SIGN32("mul24.hi", mul24_hi, 2),
                                     ROWS_SIGN32("mad24.lo", mad24_lo, 3),
                                     ROWS_SIGN32("mad24.hi", mad24_hi, 3),
                                     ROWS_SIGN("div", div, 2),
                                     ROWS_SIGN("rem", rem, 2),
                                     ROWS_WIDTH("abs", abs, 1),
                                     ROWS_WIDTH("neg", neg, 1),
                                     ROWS_SIGN("min", min, 2),
                                     ROWS_SIGN("max", max, 2),
                                     ROWS_WIDTH("and", and, 2),
                                     ROWS_WIDTH("or", or, 2),
                                     ROWS_WIDTH("xor", xor, 2),
                                     ROWS_WIDTH("not", not, 1),
                                     ROWS_WIDTH("cnot", cnot, 1),
                                     {"and", TYPE_BIT(PRED), and_pred, 2},
                                     {"or", TYPE_BIT(PRED), or_pred, 2},
                                     {"xor", TYPE_BIT(PRED), xor_pred, 2},
                                     {"not", TYPE_BIT(PRED), not_pred, 1},
                                     {"mov", TYPE_BIT(PRED), mov_pred, 1},
                                     ROWS_WIDTH("shl", shl, 2),
                                     {"shr", TYPE_BIT(U16) | TYPE_BIT(B16), shr_u16, 2},
                                     {"shr", TYPE_BIT(S16), shr_s16, 2},
                                     ROWS_SIGN32("shr", shr, 2),
                                     ROWS_SIGN64("shr", shr, 2),
                                     {"shf.l.wrap", B32, shf_l_wrap, 3},
                                     {"shf.l.clamp", B32, shf_l_clamp, 3},
                                     {"shf.r.wrap", B32, shf_r_wrap, 3},
                                     {"shf.r.clamp", B32, shf_r_clamp, 3},
                                     {"popc", B32, popc_32, 1},
                                     {"popc", B64, popc_64, 1},
                                     {"clz", B32, clz_32, 1},
                                     {"clz", B64, clz_64, 1},
                                     {"brev", B32, brev_32, 1},
                                     {"brev", B64, brev_64, 1},
                                     ROWS_SIGN32("bfind", bfind, 1),
                                     ROWS_SIGN64("bfind", bfind, 1),
                                     ROWS_SIGN32("bfind.shiftamt", bfind_shift, 1),
                                     ROWS_SIGN64("bfind.shiftamt", bfind_shift, 1),
                                     ROWS_SIGN32("bfe", bfe, 3),
                                     ROWS_SIGN64("bfe", bfe, 3),
                                     {"bmsk.clamp", B32, bmsk_clamp, 2},
                                     {"bmsk.wrap", B32, bmsk_wrap, 2},
                                     ROWS_SIGN32("szext.clamp", szext_clamp, 2),
                                     ROWS_SIGN32("szext.wrap", szext_wrap, 2),
                                     ROWS_SIGN("sad", sad, 3),
                                     {"prmt", B32, prmt, 3},
                                     {"prmt.f4e", B32, prmt_f4e, 3},
                                     {"prmt.b4e", B32, prmt_b4e, 3},
                                     {"prmt.rc8", B32, prmt_rc8, 3},
                                     {"prmt.ecl", B32, prmt_ecl, 3},
                                     {"prmt.ecr", B32, prmt_ecr, 3},
                                     {"prmt.rc16", B32, prmt_rc16, 3},
                                     ROWS_CARRY("add.cc", add_cc, 2),
                                     ROWS_CARRY("addc", addc, 2),
                                     {"addc.cc", B32, addc_32_cc, 2},
                                     {"addc.cc", B64, addc_64_cc, 2},
                                     ROWS_CARRY("sub.cc", sub_cc, 2),
                                     ROWS_CARRY("subc", subc, 2),
                                     {"subc.cc", B32, subc_32_cc, 2},
                                     {"subc.cc", B64, subc_64_cc, 2},
                                     ROWS_CARRY("mad.lo.cc", mad_lo_cc, 3),
                                     ROWS_CARRY("madc.lo", madc_lo, 3),
                                     {"madc.lo.cc", B32, madc_lo_32_cc, 3},
                                     {"madc.lo.cc", B64, madc_lo_64_cc, 3},
                                     ROWS_SIGN32("mad.hi.cc", mad_hi_cc, 3),
                                     ROWS_SIGN64("mad.hi.cc", mad_hi_cc, 3),
                                     ROWS_SIGN32("madc.hi", madc_hi, 3),
                                     ROWS_SIGN64("madc.hi", madc_hi, 3),
                                     {"madc.hi.cc", TYPE_BIT(U32), madc_hi_u32_cc, 3},
                                     {"madc.hi.cc", TYPE_BIT(S32), madc_hi_s32_cc, 3},
                                     {"madc.hi.cc", TYPE_BIT(U64), madc_hi_u64_cc, 3},
                                     {"madc.hi.cc", TYPE_BIT(S64), madc_hi_s64_cc, 3},
                                     {"mov", B16 | F16S, mov_16, 1},
                                     {"mov", B32 | TYPE_BIT(F32) | F16X2S, mov_32, 1},
                                     {"mov", B64 | TYPE_BIT(F64), mov_64, 1},
                                     {NULL, 0, NULL, 0}};

static const struct op_family families[] = {
    {"lop3", decode_lop3}, {"bfi", decode_bfi}, {"dp4a", decode_dp}, {"dp2a", decode_dp}, {NULL, NULL}};

const struct op_set ops_int = {rows, families};
