/* SPDX-License-Identifier: MIT */
/*
 * Comparison of integers and floats, and selection. A comparison gives a mask
 * of lanes, which goes into predicates or is written out as numbers.
 */
#include "exact.h"

/* Comparison: a mask of lanes where it holds. */
#define COMPARE_CASE(code, T, get, expr)         \
    case code:                                   \
        LANES(m, {                               \
            const T a = get(w->regs[op->a + l]); \
            const T b = get(w->regs[op->b + l]); \
            r |= (uint32_t)(expr) << l;          \
        });                                      \
        break;
#define COMPARE_INT(name, T)                                              \
    static uint32_t name(struct warp *w, const struct op *op, uint32_t m) \
    {                                                                     \
        uint32_t r = 0;                                                   \
        switch (op->mode) {                                               \
            COMPARE_CASE(CMP_EQ, T, (T), a == b)                          \
            COMPARE_CASE(CMP_NE, T, (T), a != b)                          \
            COMPARE_CASE(CMP_LT, T, (T), a < b)                           \
            COMPARE_CASE(CMP_LE, T, (T), a <= b)                          \
            COMPARE_CASE(CMP_GT, T, (T), a > b)                           \
            COMPARE_CASE(CMP_GE, T, (T), a >= b)                          \
        }                                                                 \
        return r;                                                         \
    }
#define COMPARE_FLOAT(name, T, get)                                       \
    static uint32_t name(struct warp *w, const struct op *op, uint32_t m) \
    {                                                                     \
        uint32_t r = 0;                                                   \
        switch (op->mode) {                                               \
            COMPARE_CASE(CMP_EQ, T, get, a == b)                          \
            COMPARE_CASE(CMP_NE, T, get, a<b || a> b)                     \
            COMPARE_CASE(CMP_LT, T, get, a < b)                           \
            COMPARE_CASE(CMP_LE, T, get, a <= b)                          \
            COMPARE_CASE(CMP_GT, T, get, a > b)                           \
            COMPARE_CASE(CMP_GE, T, get, a >= b)                          \
            COMPARE_CASE(CMP_EQU, T, get, !(a < b || a > b))              \
            COMPARE_CASE(CMP_NEU, T, get, a != b)                         \
            COMPARE_CASE(CMP_LTU, T, get, !(a >= b))                      \
            COMPARE_CASE(CMP_LEU, T, get, !(a > b))                       \
            COMPARE_CASE(CMP_GTU, T, get, !(a <= b))                      \
            COMPARE_CASE(CMP_GEU, T, get, !(a < b))                       \
            COMPARE_CASE(CMP_NUM, T, get, a == a && b == b)               \
            COMPARE_CASE(CMP_NAN, T, get, a != a || b != b)               \
        }                                                                 \
        return r;                                                         \
    }
COMPARE_INT(compare_u16, uint16_t)
COMPARE_INT(compare_s16, int16_t)
COMPARE_INT(compare_u32, uint32_t)
COMPARE_INT(compare_s32, int32_t)
COMPARE_INT(compare_u64, uint64_t)
COMPARE_INT(compare_s64, int64_t)
COMPARE_FLOAT(compare_f32, float, as_f32)
COMPARE_FLOAT(compare_f64, double, as_f64)

static inline float
as_f32_flushed(uint64_t bits)
{
    return flush_f32(as_f32(bits));
}
COMPARE_FLOAT(compare_f32_ftz, float, as_f32_flushed)

static inline double
as_f16(uint64_t bits)
{
    return half_to_double(bits, PTX_F16);
}

static inline double
as_bf16(uint64_t bits)
{
    return half_to_double(bits, PTX_BF16);
}
COMPARE_FLOAT(compare_f16, double, as_f16)
COMPARE_FLOAT(compare_bf16, double, as_bf16)

typedef uint32_t (*compare_fn)(struct warp *w, const struct op *op, uint32_t m);

static const compare_fn compares[PTX_TYPES] = {
    [PTX_B16] = compare_u16,   [PTX_B32] = compare_u32,   [PTX_B64] = compare_u64,     [PTX_U16] = compare_u16,
    [PTX_U32] = compare_u32,   [PTX_U64] = compare_u64,   [PTX_S16] = compare_s16,     [PTX_S32] = compare_s32,
    [PTX_S64] = compare_s64,   [PTX_F32] = compare_f32,   [PTX_F64] = compare_f64,     [PTX_F16] = compare_f16,
    [PTX_BF16] = compare_bf16, [PTX_F16X2] = compare_f16, [PTX_BF16X2] = compare_bf16, /* the low half */
};

static uint32_t
compare(struct warp *w, const struct op *op, uint32_t m)
{
    if (op->type == PTX_F32 && op->imm)
        return compare_f32_ftz(w, op, m);
    return compares[op->type](w, op, m);
}

static uint32_t
combine(const struct warp *w, const struct op *op, uint32_t value)
{
    uint32_t c = op->c == SIM_NO_SLOT ? 0 : get_predicate(w, op->c);

    switch (op->mode2) {
    case MOD_AND:
        return value & c;
    case MOD_OR:
        return value | c;
    case MOD_XOR:
        return value ^ c;
    default:
        return value;
    }
}

static void
setp(struct warp *w, const struct op *op, uint32_t m)
{
    uint32_t holds = compare(w, op, m);
    uint32_t first = combine(w, op, holds), second = combine(w, op, ~holds);

    if (op->d2 != SIM_NO_SLOT)
        set_predicate(w, op->d2, m, second);
    set_predicate(w, op->d, m, first);
}

static void
set(struct warp *w, const struct op *op, uint32_t m)
{
    uint32_t holds = combine(w, op, compare(w, op, m));
    uint64_t yes = op->type2 == PTX_F32 ? 0x3f800000 : UINT32_MAX;

    LANES(m, w->regs[op->d + l] = holds >> l & 1 ? yes : 0;);
}

/* Pairs: one result for each half, in p and q, or in the halves of d. */
static uint32_t
compare_high(struct warp *w, const struct op *op, uint32_t m)
{
    uint32_t r = 0;

    LANES(m, {
        struct op lane = *op;
        uint64_t saved[2] = {w->regs[op->a + l], w->regs[op->b + l]};

        w->regs[op->a + l] = saved[0] >> 16;
        w->regs[op->b + l] = saved[1] >> 16;
        r |= compares[lane.type](w, &lane, 1u << l);
        w->regs[op->b + l] = saved[1];
        w->regs[op->a + l] = saved[0];
    });
    return r;
}

static void
setp_pair(struct warp *w, const struct op *op, uint32_t m)
{
    uint32_t low = combine(w, op, compare(w, op, m));
    uint32_t high = combine(w, op, compare_high(w, op, m));

    set_predicate(w, op->d, m, low);
    if (op->d2 != SIM_NO_SLOT)
        set_predicate(w, op->d2, m, high);
}

/* set.f16.f16 and its kin give 1.0, or all ones into an integer. */
static void
set_half(struct warp *w, const struct op *op, uint32_t m)
{
    uint32_t low = combine(w, op, compare(w, op, m)), high = 0;
    uint64_t yes = op->type2 == PTX_F16 || op->type2 == PTX_F16X2     ? 0x3c00
                   : op->type2 == PTX_BF16 || op->type2 == PTX_BF16X2 ? 0x3f80
                                                                      : 0xffff;

    if (op->type == PTX_F16X2 || op->type == PTX_BF16X2)
        high = combine(w, op, compare_high(w, op, m));
    LANES(m, w->regs[op->d + l] = (low >> l & 1 ? yes : 0) | (high >> l & 1 ? yes << 16 : 0););
}

static bool
take_comparison(struct decoder *d)
{
    d->op.mode = (uint8_t)d->mods.cmp;
    d->op.mode2 = (uint8_t)d->mods.op;
    d->op.imm = d->mods.ftz;
    if (d->mods.cmp == CMP_NONE || !compares[d->op.type])
        return decode_unsupported(d);
    if (d->op.type < PTX_F16 && d->mods.cmp > CMP_GE)
        return decode_bad(d, "comparison of integers");
    if (!take_source(d, d->op.type, &d->op.a) || !take_source(d, d->op.type, &d->op.b))
        return false;
    if (d->mods.op == MOD_OP_NONE)
        return true;
    return take_predicate(d, &d->op.c);
}

static bool
decode_setp(struct decoder *d)
{
    d->op.fn = setp;
    d->op.type = (uint8_t)d->mods.types[0];
    if (!take_destination(d, &d->op.d))
        return false;
    if (next_is_paired(d) && !take_destination(d, &d->op.d2))
        return false;
    if (d->op.type == PTX_F16X2 || d->op.type == PTX_BF16X2)
        d->op.fn = setp_pair;
    return take_comparison(d);
}

static bool
decode_set(struct decoder *d)
{
    d->op.fn = set;
    d->op.type2 = (uint8_t)d->mods.types[0];
    d->op.type = (uint8_t)d->mods.types[1];
    if (d->op.type >= PTX_F16 && d->op.type <= PTX_BF16X2)
        d->op.fn = d->op.type2 == PTX_U32 && d->op.type == PTX_F16 ? set : set_half;
    else if (d->op.type2 != PTX_F32 && d->op.type2 != PTX_U32 && d->op.type2 != PTX_S32)
        return decode_unsupported(d);
    return take_destination(d, &d->op.d) && take_comparison(d);
}

static void
selp(struct warp *w, const struct op *op, uint32_t m)
{
    const uint32_t p = get_predicate(w, op->c);

    LANES(m, w->regs[op->d + l] = w->regs[(p >> l & 1 ? op->a : op->b) + l];);
}

static bool
decode_selp(struct decoder *d)
{
    d->op.fn = selp;
    return take_destination(d, &d->op.d) && take_source(d, d->mods.types[0], &d->op.a) &&
           take_source(d, d->mods.types[0], &d->op.b) && take_predicate(d, &d->op.c);
}

static void
slct(struct warp *w, const struct op *op, uint32_t m)
{
    LANES(m, {
        uint64_t c = w->regs[op->c + l];
        bool first = op->type2 == PTX_F32 ? as_f32(c) >= 0 : (int32_t)c >= 0;

        w->regs[op->d + l] = w->regs[(first ? op->a : op->b) + l];
    });
}

static bool
decode_slct(struct decoder *d)
{
    d->op.fn = slct;
    d->op.type2 = (uint8_t)d->mods.types[1];
    return take_destination(d, &d->op.d) && take_source(d, d->mods.types[0], &d->op.a) &&
           take_source(d, d->mods.types[0], &d->op.b) && take_source(d, d->mods.types[1], &d->op.c);
}

static const struct op_row rows[] = {{NULL, 0, NULL, 0}};

static const struct op_family families[] = {
    {"setp", decode_setp}, {"set", decode_set}, {"selp", decode_selp}, {"slct", decode_slct}, {NULL, NULL}};

const struct op_set ops_compare = {rows, families};
