/* SPDX-License-Identifier: MIT */
/* Conversion between all types, and moves that pack and unpack registers. */
#include "exact.h"

static bool
is_float(unsigned int type)
{
    return type >= PTX_F16 && type <= PTX_F64;
}

static bool
is_signed(unsigned int type)
{
    return type >= PTX_S8 && type <= PTX_S64;
}

/* A register narrowed to an integer type, extended by its sign. */
static uint64_t
extend(uint64_t value, unsigned int type)
{
    unsigned int shift = 64 - 8 * ptx_type_size((enum ptx_type)type);

    return is_signed(type) ? (uint64_t)((int64_t)(value << shift) >> shift) : value << shift >> shift;
}

/* The value of a wider or unlike type brought into the range of type. */
static uint64_t
clamp(uint64_t value, bool with_sign, unsigned int type)
{
    unsigned int width = 8 * ptx_type_size((enum ptx_type)type);
    int64_t s = (int64_t)value;

    if (is_signed(type)) {
        int64_t high = (int64_t)(UINT64_MAX >> 1 >> (64 - width));

        if (!with_sign)
            return value > (uint64_t)high ? (uint64_t)high : value;
        return (uint64_t)(s > high ? high : s < -high - 1 ? -high - 1 : s);
    } else {
        uint64_t high = UINT64_MAX >> (64 - width);

        if (with_sign && s < 0)
            return 0;
        return value > high ? high : value;
    }
}

static uint64_t
flush(uint64_t bits)
{
    return bits_f32(flush_f32(as_f32(bits)));
}

static uint64_t
convert_to_float(const struct op *op, struct exact value)
{
    enum sim_round round = (enum sim_round)(op->mode >> FP_ROUND_SHIFT);
    uint64_t bits;

    if ((op->mode & FP_SAT) || (op->mode & FP_RELU)) {
        if (value.class == EXACT_NAN) {
            if (op->mode & FP_SAT)
                return 0;
        } else if (value.negative) {
            return 0;
        } else if ((op->mode & FP_SAT) &&
                   (value.class == EXACT_INFINITE || (value.class == EXACT_FINITE && value.exponent > -64))) {
            value = exact_from_integer(1, false);
        }
    }
    bits = exact_to_float(value, (enum ptx_type)op->type, round);
    return (op->mode & FP_FTZ) && op->type == PTX_F32 ? flush(bits) : bits;
}

/* NaN: zero from narrow sources, the top bit alone from f64 and to 64 bits. */
static uint64_t
convert_to_integer(const struct op *op, struct exact value, enum sim_round round)
{
    unsigned int width = 8 * ptx_type_size((enum ptx_type)op->type);

    if (value.class == EXACT_NAN && (op->type2 == PTX_F64 || width == 64))
        return extend(1ull << (width - 1), op->type);
    return extend(exact_to_integer(value, width, is_signed(op->type), round), op->type);
}

static uint64_t
convert(const struct op *op, uint64_t value)
{
    enum sim_round round = (enum sim_round)(op->mode >> FP_ROUND_SHIFT);
    struct exact exact;

    if (!is_float(op->type2)) {
        value = extend(value, op->type2);
        if (is_float(op->type))
            return convert_to_float(op, exact_from_integer(value, is_signed(op->type2)));
        if (op->mode & FP_SAT)
            value = clamp(value, is_signed(op->type2), op->type);
        return extend(value, op->type);
    }
    if ((op->mode & FP_FTZ) && op->type2 == PTX_F32)
        value = flush(value);
    exact = exact_from_float(value, (enum ptx_type)op->type2);
    if (!is_float(op->type))
        return convert_to_integer(op, exact, round);
    /* between like formats without rounding the bits stay; so does f64's NaN */
    if (op->type == op->type2 && !(op->mode & (FP_SAT | FP_FTZ | FP_RELU)) &&
        (!op->mode2 || (op->type == PTX_F64 && exact.class == EXACT_NAN)))
        return value;
    if (op->mode2)
        exact = exact_to_integral(exact, round);
    return convert_to_float(op, exact);
}

static void
cvt(struct warp *w, const struct op *op, uint32_t m)
{
    LANES(m, w->regs[op->d + l] = convert(op, w->regs[op->a + l]););
}

/* Integer to integer without saturation, the frequent case. */
static void
cvt_integer(struct warp *w, const struct op *op, uint32_t m)
{
    unsigned int type =
        ptx_type_size((enum ptx_type)op->type) <= ptx_type_size((enum ptx_type)op->type2) ? op->type : op->type2;
    unsigned int shift = 64 - 8 * ptx_type_size((enum ptx_type)type);

    if (is_signed(type))
        LANES(m, w->regs[op->d + l] = (uint64_t)((int64_t)(w->regs[op->a + l] << shift) >> shift););
    else
        LANES(m, w->regs[op->d + l] = w->regs[op->a + l] << shift >> shift;);
}

static void
cvt_f32_s32(struct warp *w, const struct op *op, uint32_t m)
{
    LANES(m, w->regs[op->d + l] = bits_f32((float)(int32_t)w->regs[op->a + l]););
}

static void
cvt_f64_f32(struct warp *w, const struct op *op, uint32_t m)
{
    LANES(m, w->regs[op->d + l] = bits_f64((double)as_f32(w->regs[op->a + l])););
}

static void
cvt_f32_f64(struct warp *w, const struct op *op, uint32_t m)
{
    LANES(m, w->regs[op->d + l] = bits_f32((float)as_f64(w->regs[op->a + l])););
}

/* d = { a in the high half, b in the low } */
static void
cvt_pair(struct warp *w, const struct op *op, uint32_t m)
{
    struct op half = *op;

    half.type = op->type == PTX_F16X2 ? PTX_F16 : PTX_BF16;
    LANES(m, {
        uint64_t high = convert(&half, w->regs[op->a + l]);

        w->regs[op->d + l] = high << 16 | convert(&half, w->regs[op->b + l]);
    });
}

static op_fn
choose_cvt(const struct op *op)
{
    if (op->mode & (FP_SAT | FP_RELU | FP_FTZ))
        return cvt;
    if (!is_float(op->type) && !is_float(op->type2))
        return cvt_integer;
    if (op->mode >> FP_ROUND_SHIFT > ROUND_RN || op->mode2)
        return cvt;
    if (op->type == PTX_F32 && op->type2 == PTX_S32)
        return cvt_f32_s32;
    if (op->type == PTX_F32 && op->type2 == PTX_F64)
        return cvt_f32_f64;
    if (op->type == PTX_F64 && op->type2 == PTX_F32)
        return cvt_f64_f32;
    return cvt;
}

static bool
decode_cvt(struct decoder *d)
{
    enum ptx_type to = d->mods.types[0], from = d->mods.types[1];

    d->op.type = (uint8_t)to;
    d->op.type2 = (uint8_t)from;
    d->op.mode = (uint8_t)((d->mods.ftz ? FP_FTZ : 0) | (d->mods.sat ? FP_SAT : 0) | (d->mods.relu ? FP_RELU : 0) |
                           (unsigned int)d->mods.round << FP_ROUND_SHIFT);
    d->op.mode2 = is_float(to) && d->mods.integral;
    if (d->mods.type_count != 2 || to == PTX_PRED || from == PTX_PRED)
        return decode_unsupported(d);
    if (!take_destination(d, &d->op.d) || !take_source(d, from, &d->op.a))
        return false;
    if (to == PTX_F16X2 || to == PTX_BF16X2) {
        d->op.fn = cvt_pair;
        return from == PTX_F32 ? take_source(d, from, &d->op.b) : decode_unsupported(d);
    }
    if (from == PTX_F16X2 || from == PTX_BF16X2 || to == PTX_U16X2 || to == PTX_S16X2 || from == PTX_U16X2 ||
        from == PTX_S16X2 || ptx_type_size(to) > 8 || ptx_type_size(from) > 8)
        return decode_unsupported(d);
    d->op.fn = choose_cvt(&d->op);
    return true;
}

/* mov.b64 d, { a, b } and mov.b64 { a, b }, d */
static void
pack(struct warp *w, const struct op *op, uint32_t m)
{
    const uint32_t *slots = w->lists + op->list;
    uint64_t mask = UINT64_MAX >> (64 - op->bits);

    LANES(m, {
        uint64_t value = 0;
        unsigned int i;

        for (i = 0; i < op->count; i++)
            value |= (w->regs[slots[i] + l] & mask) << i * op->bits;
        w->regs[op->d + l] = value;
    });
}

static void
unpack(struct warp *w, const struct op *op, uint32_t m)
{
    const uint32_t *slots = w->lists + op->list;
    uint64_t mask = UINT64_MAX >> (64 - op->bits);

    LANES(m, {
        uint64_t value = w->regs[op->a + l];
        unsigned int i;

        for (i = 0; i < op->count; i++)
            w->regs[slots[i] + l] = value >> i * op->bits & mask;
    });
}

static bool
check_parts(struct decoder *d, enum ptx_type type)
{
    unsigned int width = 8 * ptx_type_size(type);

    if (type == PTX_B128)
        return decode_unsupported(d);
    if (d->op.count < 2 || width % d->op.count || width / d->op.count < 8)
        return decode_bad(d, "parts do not fill the register");
    d->op.bits = (uint8_t)(width / d->op.count);
    return true;
}

static bool
decode_mov(struct decoder *d)
{
    enum ptx_type type = d->mods.types[0];
    const struct ptx_operand *operand = peek_operand(d);

    if (operand && operand->kind == PTX_OPERAND_LIST) {
        d->op.fn = unpack;
        return take_destination_list(d) && check_parts(d, type) && take_source(d, type, &d->op.a);
    }
    d->op.fn = pack;
    return take_destination(d, &d->op.d) && take_source_list(d, type) && check_parts(d, type);
}

static const struct op_row rows[] = {{NULL, 0, NULL, 0}};

static const struct op_family families[] = {{"cvt", decode_cvt}, {"mov{}", decode_mov}, {NULL, NULL}};

const struct op_set ops_cvt = {rows, families};
