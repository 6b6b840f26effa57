/* SPDX-License-Identifier: MIT */
/*
 * Atomic operations on memory: a compare-and-exchange loop around a function of
 * the old value, which serves every operation and type alike.
 */
#include "exact.h"

static uint64_t
integer_op(const struct op *op, uint64_t old, uint64_t b, uint64_t c)
{
    bool wide = ptx_type_size((enum ptx_type)op->type) == 8;
    bool with_sign = op->type == PTX_S32 || op->type == PTX_S64;
    uint64_t mask = wide ? UINT64_MAX : ptx_type_size((enum ptx_type)op->type) == 4 ? UINT32_MAX : UINT16_MAX;
    int64_t sold = wide ? (int64_t)old : (int32_t)old;
    int64_t sb = wide ? (int64_t)b : (int32_t)b;

    b &= mask;
    switch (op->mode) {
    case MOD_ADD:
        return old + b;
    case MOD_AND:
        return old & b;
    case MOD_OR:
        return old | b;
    case MOD_XOR:
        return old ^ b;
    case MOD_EXCH:
        return b;
    case MOD_CAS:
        return old == b ? c : old;
    case MOD_INC:
        return old >= b ? 0 : old + 1;
    case MOD_DEC:
        return old == 0 || old > b ? b : old - 1;
    case MOD_MIN:
        return (with_sign ? sold < sb : old < b) ? old : b;
    case MOD_MAX:
        return (with_sign ? sold > sb : old > b) ? old : b;
    default:
        return old;
    }
}

static uint64_t
half_op(const struct op *op, enum ptx_type type, uint64_t old, uint64_t b)
{
    double x = half_to_double(old, type), y = half_to_double(b, type);

    switch (op->mode) {
    case MOD_ADD:
        return double_to_half(x + y, type);
    case MOD_MIN:
        return double_to_half(x != x ? y : y < x ? y : x, type);
    case MOD_MAX:
        return double_to_half(x != x ? y : y > x ? y : x, type);
    default:
        return b & 0xffff;
    }
}

static uint64_t
next_value(const struct op *op, uint64_t old, uint64_t b, uint64_t c)
{
    enum ptx_type half;

    switch (op->type) {
    case PTX_F32:
        return result_f32(as_f32(old) + as_f32(b));
    case PTX_F64:
        return bits_f64(as_f64(old) + as_f64(b));
    case PTX_F16:
    case PTX_BF16:
        return half_op(op, (enum ptx_type)op->type, old, b);
    case PTX_F16X2:
    case PTX_BF16X2:
        half = op->type == PTX_F16X2 ? PTX_F16 : PTX_BF16;
        return half_op(op, half, old, b) | half_op(op, half, old >> 16, b >> 16) << 16;
    default:
        return integer_op(op, old, b, c);
    }
}

#define OP_ATOMIC(name, T)                                                                                     \
    static void name(struct warp *w, const struct op *op, uint32_t m)                                          \
    {                                                                                                          \
        uint64_t base = address_base(w, op);                                                                   \
        LANES(m, {                                                                                             \
            T *p = lane_pointer(w, op, l, lane_address(w, op, base, l), sizeof(T));                            \
            uint64_t b = w->regs[op->b + l];                                                                   \
            uint64_t c = op->c == SIM_NO_SLOT ? 0 : w->regs[op->c + l];                                        \
            T old, desired;                                                                                    \
            if (!p)                                                                                            \
                return;                                                                                        \
            old = __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                        \
            do                                                                                                 \
                desired = (T)next_value(op, old, b, c);                                                        \
            while (!__atomic_compare_exchange_n(p, &old, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)); \
            if (op->d != SIM_NO_SLOT)                                                                          \
                w->regs[op->d + l] = old;                                                                      \
        });                                                                                                    \
    }
OP_ATOMIC(atomic_16, uint16_t)
OP_ATOMIC(atomic_32, uint32_t)
OP_ATOMIC(atomic_64, uint64_t)

static bool
is_defined(enum ptx_type type, enum mod_op op)
{
    switch (type) {
    case PTX_B16:
        return op == MOD_CAS || op == MOD_EXCH;
    case PTX_B32:
    case PTX_B64:
        return op == MOD_CAS || op == MOD_EXCH || op == MOD_AND || op == MOD_OR || op == MOD_XOR;
    case PTX_U32:
        return op <= MOD_EXCH;
    case PTX_S32:
    case PTX_U64:
    case PTX_S64:
        return op == MOD_ADD || op == MOD_MIN || op == MOD_MAX || op == MOD_EXCH || op == MOD_CAS;
    case PTX_F32:
    case PTX_F64:
        return op == MOD_ADD;
    case PTX_F16:
    case PTX_BF16:
    case PTX_F16X2:
    case PTX_BF16X2:
        return op == MOD_ADD || op == MOD_MIN || op == MOD_MAX;
    default:
        return false;
    }
}

static bool
decode_atomic(struct decoder *d)
{
    enum ptx_type type = d->mods.types[0];
    unsigned int size = ptx_type_size(type);

    if (d->mods.vector || mods_has(&d->mods, "async") || !d->mods.op || !is_defined(type, d->mods.op))
        return decode_unsupported(d);
    d->op.fn = size == 2 ? atomic_16 : size == 4 ? atomic_32 : atomic_64;
    d->op.type = (uint8_t)type;
    d->op.mode = (uint8_t)d->mods.op;
    d->op.space = (uint8_t)d->mods.space;
    if (d->mods.key[0] == 'a' && !take_destination(d, &d->op.d))
        return false;
    if (!take_address(d) || !take_source(d, type, &d->op.b))
        return false;
    return d->mods.op != MOD_CAS || take_source(d, type, &d->op.c);
}

static const struct op_row rows[] = {{NULL, 0, NULL, 0}};

static const struct op_family families[] = {{"atom", decode_atomic}, {"red", decode_atomic}, {NULL, NULL}};

const struct op_set ops_atomic = {rows, families};
