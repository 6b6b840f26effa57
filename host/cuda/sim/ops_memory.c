/* SPDX-License-Identifier: MIT */
/*
 * Loads, stores, copies and what concerns addresses. Each lane's address is
 * checked before it is touched. Words are read and written whole (relaxed
 * atomics), so that the host may poll what a kernel writes.
 */
#include "ops.h"

/*
 * One element is the frequent case; an address without a register is the same
 * for all lanes, unless each has a memory of its own there.
 */
#define OP_LOAD(name, T, X)                                                                    \
    static void name##_list(struct warp *w, const struct op *op, uint32_t m)                   \
    {                                                                                          \
        const uint32_t *slots = w->lists + op->list;                                           \
        uint64_t base = address_base(w, op);                                                   \
        unsigned int size = (unsigned int)sizeof(T) * op->count, i;                            \
        LANES(m, {                                                                             \
            const T *p = lane_pointer(w, op, l, lane_address(w, op, base, l), size);           \
            if (!p)                                                                            \
                return;                                                                        \
            for (i = 0; i < op->count; i++)                                                    \
                w->regs[slots[i] + l] = (uint64_t)(X)__atomic_load_n(p + i, __ATOMIC_RELAXED); \
        });                                                                                    \
    }                                                                                          \
    static void name(struct warp *w, const struct op *op, uint32_t m)                          \
    {                                                                                          \
        uint64_t *d = w->regs + op->d, base = address_base(w, op);                             \
        const T *p;                                                                            \
        if (op->count > 1) {                                                                   \
            name##_list(w, op, m);                                                             \
            return;                                                                            \
        }                                                                                      \
        if (op->a == SIM_NO_SLOT && op->space != PTX_LOCAL) {                                  \
            unsigned int first = (unsigned int)__builtin_ctz(m);                               \
            uint64_t value;                                                                    \
            p = lane_pointer(w, op, first, base, sizeof(T));                                   \
            if (!p)                                                                            \
                return;                                                                        \
            value = (uint64_t)(X)__atomic_load_n(p, __ATOMIC_RELAXED);                         \
            LANES(m, d[l] = value;);                                                           \
            return;                                                                            \
        }                                                                                      \
        LANES(m, {                                                                             \
            p = lane_pointer(w, op, l, lane_address(w, op, base, l), sizeof(T));               \
            if (!p)                                                                            \
                return;                                                                        \
            d[l] = (uint64_t)(X)__atomic_load_n(p, __ATOMIC_RELAXED);                          \
        });                                                                                    \
    }
OP_LOAD(load_u8, uint8_t, uint8_t)
OP_LOAD(load_s8, uint8_t, int8_t)
OP_LOAD(load_u16, uint16_t, uint16_t)
OP_LOAD(load_s16, uint16_t, int16_t)
OP_LOAD(load_u32, uint32_t, uint32_t)
OP_LOAD(load_s32, uint32_t, int32_t)
OP_LOAD(load_u64, uint64_t, uint64_t)

#define OP_STORE(name, T)                                                            \
    static void name(struct warp *w, const struct op *op, uint32_t m)                \
    {                                                                                \
        const uint32_t *slots = op->count > 1 ? w->lists + op->list : &op->b;        \
        uint64_t base = address_base(w, op);                                         \
        unsigned int size = (unsigned int)sizeof(T) * op->count, i;                  \
        LANES(m, {                                                                   \
            T *p = lane_pointer(w, op, l, lane_address(w, op, base, l), size);       \
            if (!p)                                                                  \
                return;                                                              \
            for (i = 0; i < op->count; i++)                                          \
                __atomic_store_n(p + i, (T)w->regs[slots[i] + l], __ATOMIC_RELAXED); \
        });                                                                          \
    }
OP_STORE(store_8, uint8_t)
OP_STORE(store_16, uint16_t)
OP_STORE(store_32, uint32_t)
OP_STORE(store_64, uint64_t)

static op_fn
load_for(enum ptx_type type)
{
    switch (type) {
    case PTX_S8:
        return load_s8;
    case PTX_S16:
        return load_s16;
    case PTX_S32:
        return load_s32;
    default:
        break;
    }
    switch (ptx_type_size(type)) {
    case 1:
        return load_u8;
    case 2:
        return load_u16;
    case 4:
        return load_u32;
    case 8:
        return load_u64;
    default:
        return NULL;
    }
}

static op_fn
store_for(enum ptx_type type)
{
    switch (ptx_type_size(type)) {
    case 1:
        return store_8;
    case 2:
        return store_16;
    case 4:
        return store_32;
    case 8:
        return store_64;
    default:
        return NULL;
    }
}

static bool
begin_access(struct decoder *d)
{
    d->op.space = (uint8_t)d->mods.space;
    d->op.count = (uint8_t)(d->mods.vector ? d->mods.vector : 1);
    return d->mods.type_count == 1 && d->mods.types[0] != PTX_PRED;
}

static bool
decode_ld(struct decoder *d)
{
    unsigned int wanted = d->mods.vector ? d->mods.vector : 1;

    if (!begin_access(d))
        return decode_unsupported(d);
    d->op.fn = load_for(d->mods.types[0]);
    if (!d->op.fn)
        return decode_unsupported(d);
    if (d->mods.vector ? !take_destination_list(d) : !take_destination(d, &d->op.d))
        return false;
    if (d->op.count != wanted)
        return decode_bad(d, "vector of another length");
    return take_address(d);
}

static bool
decode_st(struct decoder *d)
{
    unsigned int wanted = d->mods.vector ? d->mods.vector : 1;

    if (!begin_access(d))
        return decode_unsupported(d);
    d->op.fn = store_for(d->mods.types[0]);
    if (!d->op.fn)
        return decode_unsupported(d);
    if (!take_address(d))
        return false;
    if (d->mods.vector ? !take_source_list(d, d->mods.types[0]) : !take_source(d, d->mods.types[0], &d->op.b))
        return false;
    return d->op.count == wanted || decode_bad(d, "vector of another length");
}

/* cp.async: copied at once; the groups then have nothing to wait for. */
static void
copy_async(struct warp *w, const struct op *op, uint32_t m)
{
    uint64_t base = address_base(w, op);

    LANES(m, {
        uint64_t size = op->b == SIM_NO_SLOT ? op->count : (uint32_t)w->regs[op->b + l];
        struct op to = *op;
        unsigned char *target, *source = NULL;

        if (size > op->count)
            size = op->count;
        to.space = PTX_SHARED;
        target = lane_pointer(w, &to, l, (uint32_t)w->regs[op->c + l], op->count);
        if (!target)
            return;
        if (size && !(source = lane_pointer(w, op, l, lane_address(w, op, base, l), op->count)))
            return;
        if (size)
            memcpy(target, source, size);
        memset(target + size, 0, op->count - size);
    });
}

static void
address_of(struct warp *w, const struct op *op, uint32_t m)
{
    uint64_t base = address_base(w, op);

    LANES(m, w->regs[op->d + l] = lane_address(w, op, base, l););
}

static void
nothing(struct warp *w, const struct op *op, uint32_t m)
{
    (void)w;
    (void)op;
    (void)m;
}

static void
fence(struct warp *w, const struct op *op, uint32_t m)
{
    (void)w;
    (void)op;
    (void)m;
    atomic_thread_fence(memory_order_seq_cst);
}

static bool
decode_cp(struct decoder *d)
{
    struct op address;
    const struct ptx_operand *size;

    if (!mods_has(&d->mods, "async") || mods_has(&d->mods, "bulk") || mods_has(&d->mods, "mbarrier"))
        return decode_unsupported(d);
    d->op.fn = nothing;
    if (mods_has(&d->mods, "commit_group") || mods_has(&d->mods, "wait_group") || mods_has(&d->mods, "wait_all")) {
        d->next = d->in->count;
        return true;
    }
    /* the shared address goes to a slot of its own, the global one stays */
    d->op.space = PTX_SHARED;
    if (!take_address(d) || !decode_temporary(d, &d->op.c))
        return false;
    address = d->op;
    address.fn = address_of;
    address.d = d->op.c;
    if (!decode_emit_before(d, &address))
        return false;
    d->op.a = SIM_NO_SLOT;
    d->op.imm = 0;
    d->op.flags &= (uint8_t) ~(OP_ADDRESS32 | OP_FRAME | OP_SHARED_SYMBOL);
    d->op.space = PTX_GLOBAL;
    d->op.fn = copy_async;
    if (!take_address(d))
        return false;
    size = peek_operand(d);
    if (!size || size->kind != PTX_OPERAND_INTEGER || (size->value != 4 && size->value != 8 && size->value != 16))
        return decode_bad(d, "cp.async wants 4, 8 or 16 bytes");
    d->op.count = (uint8_t)size->value;
    d->next++;
    if (!more_operands(d) || mods_has(&d->mods, "L2::cache_hint"))
        return true;
    return take_source(d, PTX_U32, &d->op.b);
}

/* cvta: windows on and off; op->imm is the window. */
static void
to_generic(struct warp *w, const struct op *op, uint32_t m)
{
    LANES(m, w->regs[op->d + l] = (w->regs[op->a + l] & SIM_WINDOW_MASK) | op->imm;);
}

static void
from_generic(struct warp *w, const struct op *op, uint32_t m)
{
    LANES(m, w->regs[op->d + l] = w->regs[op->a + l] & SIM_WINDOW_MASK;);
}

static void
move(struct warp *w, const struct op *op, uint32_t m)
{
    LANES(m, w->regs[op->d + l] = w->regs[op->a + l];);
}

static uint64_t
window_of(const struct decoder *d, enum ptx_space space)
{
    switch (space) {
    case PTX_SHARED:
        return SIM_WINDOW_SHARED;
    case PTX_LOCAL:
        return SIM_WINDOW_LOCAL;
    case PTX_PARAM:
        return decode_in_kernel(d) ? SIM_WINDOW_PARAM : SIM_WINDOW_LOCAL;
    default:
        return 0;
    }
}

static bool
decode_cvta(struct decoder *d)
{
    d->op.imm = window_of(d, d->mods.space);
    d->op.fn = !d->op.imm ? move : mods_has(&d->mods, "to") ? from_generic : to_generic;
    return take_destination(d, &d->op.d) && take_source(d, PTX_U64, &d->op.a);
}

static void
isspacep(struct warp *w, const struct op *op, uint32_t m)
{
    uint32_t r = 0;

    LANES(m, r |= (uint32_t)((w->regs[op->a + l] & ~SIM_WINDOW_MASK) == op->imm) << l;);
    set_predicate(w, op->d, m, op->mode ? 0 : r);
}

static bool
decode_isspacep(struct decoder *d)
{
    d->op.fn = isspacep;
    d->op.imm = window_of(d, d->mods.space);
    d->op.mode = d->mods.space == PTX_CONST; /* constants lie in global memory */
    return take_destination(d, &d->op.d) && take_source(d, PTX_U64, &d->op.a);
}

/* Hints have no effect; their operands are not looked at. */
static bool
decode_hint(struct decoder *d)
{
    d->op.fn = nothing;
    d->next = d->in->count;
    return true;
}

static bool
decode_fence(struct decoder *d)
{
    if (mods_has(&d->mods, "proxy") || mods_has(&d->mods, "mbarrier_init"))
        return decode_hint(d);
    d->op.fn = fence;
    return true;
}

static bool
decode_createpolicy(struct decoder *d)
{
    d->op.fn = move;
    if (!take_destination(d, &d->op.d))
        return false;
    d->next = d->in->count;
    return decode_constant(d, 0, &d->op.a);
}

static const struct op_row rows[] = {{NULL, 0, NULL, 0}};

static const struct op_family families[] = {{"ld", decode_ld},
                                            {"ldu", decode_ld},
                                            {"st", decode_st},
                                            {"cp", decode_cp},
                                            {"cvta", decode_cvta},
                                            {"isspacep", decode_isspacep},
                                            {"prefetch", decode_hint},
                                            {"prefetchu", decode_hint},
                                            {"applypriority", decode_hint},
                                            {"discard", decode_hint},
                                            {"createpolicy", decode_createpolicy},
                                            {"membar", decode_fence},
                                            {"fence", decode_fence},
                                            {NULL, NULL}};

const struct op_set ops_memory = {rows, families};
