/* SPDX-License-Identifier: MIT */
/*
 * Branches, calls, barriers, the end of a thread, and special registers.
 * warp->pc already points behind the operation when its function is called.
 */
#include "ops.h"

#include <sched.h>
#include <time.h>

static void
branch(struct warp *w, const struct op *op, uint32_t m)
{
    if (m == w->mask)
        w->pc = op->target;
    else
        warp_split(w, m, op->target);
}

static bool
decode_bra(struct decoder *d)
{
    d->op.fn = branch;
    d->op.flags |= OP_CONTROL;
    return take_label(d);
}

static void
branch_table(struct warp *w, const struct op *op, uint32_t m)
{
    warp_split(w, 0, w->pc);
    LANES(m, {
        uint32_t index = (uint32_t)w->regs[op->a + l];

        if (index >= op->symbol) {
            warp_fault(w, op, l, CUDA_ERROR_INVALID_PC, "branch index %u of %u", index, op->symbol);
            return;
        }
        w->lane_pc[l] = w->lists[op->list + index];
    });
}

static bool
decode_brx(struct decoder *d)
{
    d->op.fn = branch_table;
    d->op.flags |= OP_CONTROL;
    return take_source(d, PTX_U32, &d->op.a) && take_branch_table(d);
}

static void
call(struct warp *w, const struct op *op, uint32_t m)
{
    const struct sim_code *code = w->exec->launch->code;
    const struct sim_function *function;
    uint32_t index = op->symbol, lanes = m;

    if (op->a != SIM_NO_SLOT) {
        /* lanes that call the same function as the first go together */
        unsigned int first = (unsigned int)__builtin_ctz(m);
        uint64_t address = w->regs[op->a + first];

        index = (uint32_t)((address & SIM_WINDOW_MASK) >> 4);
        if ((address & ~SIM_WINDOW_MASK) != SIM_WINDOW_CODE || index >= code->function_count ||
            code->functions[index].entry || (!code->functions[index].defined && !code->functions[index].builtin)) {
            warp_fault(w, op, first, CUDA_ERROR_INVALID_PC, "call of %#llx", (unsigned long long)address);
            return;
        }
        LANES(m, {
            if (w->regs[op->a + l] != address)
                lanes &= ~(1u << l);
        });
    }
    function = &code->functions[index];
    if (function->builtin) {
        function->builtin(w, op, lanes);
        if (lanes != m)
            warp_split(w, m & ~lanes, w->pc - 1);
        return;
    }
    if (!warp_call(w, op, lanes, index))
        return;
    LANES(m & ~lanes, w->lane_pc[l] = w->pc - 1;);
}

static bool
decode_call(struct decoder *d)
{
    d->op.fn = call;
    d->op.flags |= OP_CONTROL;
    return take_call(d);
}

static void
ret(struct warp *w, const struct op *op, uint32_t m)
{
    (void)op;
    warp_return(w, m);
}

static bool
decode_ret(struct decoder *d)
{
    d->op.fn = ret;
    d->op.flags |= OP_CONTROL;
    return true;
}

static void
leave(struct warp *w, const struct op *op, uint32_t m)
{
    (void)op;
    warp_exit(w, m);
}

static bool
decode_exit(struct decoder *d)
{
    d->op.fn = leave;
    d->op.flags |= OP_CONTROL;
    return true;
}

void
op_end(struct warp *w, const struct op *op, uint32_t m)
{
    ret(w, op, m);
}

static void
trap(struct warp *w, const struct op *op, uint32_t m)
{
    warp_fault(w, op, (unsigned int)__builtin_ctz(m), CUDA_ERROR_LAUNCH_FAILED, "trap");
}

static bool
decode_trap(struct decoder *d)
{
    d->op.fn = trap;
    return true;
}

static void
nothing(struct warp *w, const struct op *op, uint32_t m)
{
    (void)w;
    (void)op;
    (void)m;
}

static bool
decode_nothing(struct decoder *d)
{
    d->op.fn = nothing;
    d->next = d->in->count;
    return true;
}

/* The rest of the slice goes to the other warps. */
static void
nanosleep_op(struct warp *w, const struct op *op, uint32_t m)
{
    (void)op;
    (void)m;
    w->slice = 0;
    sched_yield();
}

static bool
decode_nanosleep(struct decoder *d)
{
    d->op.fn = nanosleep_op;
    d->next = d->in->count;
    return true;
}

/* Barriers. */

static void
warp_sync(struct warp *w, const struct op *op, uint32_t m)
{
    warp_meet(w, m, (uint32_t)w->regs[op->a + (unsigned int)__builtin_ctz(m)]);
}

static void
barrier(struct warp *w, const struct op *op, uint32_t m)
{
    unsigned int first = (unsigned int)__builtin_ctz(m);
    uint32_t count = op->b == SIM_NO_SLOT ? 0 : (uint32_t)w->regs[op->b + first];

    warp_barrier(w, op, m, (uint32_t)w->regs[op->a + first], count, !op->mode2);
}

static bool
decode_bar_red(struct decoder *d)
{
    uint32_t left;

    d->op.mode = (uint8_t)d->mods.op;
    if (d->mods.op != MOD_AND && d->mods.op != MOD_OR && d->mods.op != MOD_POPC)
        return decode_unsupported(d);
    if (!take_destination(d, &d->op.d) || !take_source(d, PTX_U32, &d->op.a))
        return false;
    left = d->in->count - d->next;
    if (left == 2 && !take_source(d, PTX_U32, &d->op.b))
        return false;
    return take_predicate(d, &d->op.c);
}

static bool
decode_bar(struct decoder *d)
{
    d->op.flags |= OP_CONTROL;
    if (mods_has(&d->mods, "warp")) {
        d->op.fn = warp_sync;
        return take_source(d, PTX_B32, &d->op.a);
    }
    d->op.fn = barrier;
    if (mods_has(&d->mods, "cluster")) {
        /* a cluster is one block: arriving is free, waiting is the barrier */
        if (mods_has(&d->mods, "arrive"))
            d->op.fn = nothing;
        return decode_constant(d, SIM_BARRIERS - 1, &d->op.a);
    }
    if (mods_has(&d->mods, "red"))
        return decode_bar_red(d);
    d->op.mode2 = mods_has(&d->mods, "arrive");
    if (!more_operands(d))
        return decode_constant(d, 0, &d->op.a);
    if (!take_source(d, PTX_U32, &d->op.a))
        return false;
    return !more_operands(d) || take_source(d, PTX_U32, &d->op.b);
}

/* Special registers: one operation reads any of them, op->symbol says which. */
enum special {
    SPECIAL_TID,
    SPECIAL_NTID = SPECIAL_TID + 3,
    SPECIAL_CTAID = SPECIAL_NTID + 3,
    SPECIAL_NCTAID = SPECIAL_CTAID + 3,
    SPECIAL_LANEID = SPECIAL_NCTAID + 3,
    SPECIAL_WARPID,
    SPECIAL_NWARPID,
    SPECIAL_SMID,
    SPECIAL_NSMID,
    SPECIAL_GRIDID,
    SPECIAL_MASK_EQ,
    SPECIAL_MASK_LE,
    SPECIAL_MASK_LT,
    SPECIAL_MASK_GE,
    SPECIAL_MASK_GT,
    SPECIAL_CLOCK,
    SPECIAL_CLOCK_HI,
    SPECIAL_CLOCK64,
    SPECIAL_TIME,
    SPECIAL_TIME_LO,
    SPECIAL_TIME_HI,
    SPECIAL_DYNAMIC_SHARED,
    SPECIAL_TOTAL_SHARED,
    SPECIAL_WORKSPACE_HI,
    SPECIAL_WORKSPACE_LO,
    SPECIAL_ZERO,
    SPECIAL_ONE
};

static const struct {
    const char *name;
    uint32_t value;
} specials[] = {
    {"%tid.x", SPECIAL_TID},
    {"%tid.y", SPECIAL_TID + 1},
    {"%tid.z", SPECIAL_TID + 2},
    {"%ntid.x", SPECIAL_NTID},
    {"%ntid.y", SPECIAL_NTID + 1},
    {"%ntid.z", SPECIAL_NTID + 2},
    {"%ctaid.x", SPECIAL_CTAID},
    {"%ctaid.y", SPECIAL_CTAID + 1},
    {"%ctaid.z", SPECIAL_CTAID + 2},
    {"%nctaid.x", SPECIAL_NCTAID},
    {"%nctaid.y", SPECIAL_NCTAID + 1},
    {"%nctaid.z", SPECIAL_NCTAID + 2},
    {"%laneid", SPECIAL_LANEID},
    {"%warpid", SPECIAL_WARPID},
    {"%nwarpid", SPECIAL_NWARPID},
    {"%smid", SPECIAL_SMID},
    {"%nsmid", SPECIAL_NSMID},
    {"%gridid", SPECIAL_GRIDID},
    {"%lanemask_eq", SPECIAL_MASK_EQ},
    {"%lanemask_le", SPECIAL_MASK_LE},
    {"%lanemask_lt", SPECIAL_MASK_LT},
    {"%lanemask_ge", SPECIAL_MASK_GE},
    {"%lanemask_gt", SPECIAL_MASK_GT},
    {"%clock", SPECIAL_CLOCK},
    {"%clock_hi", SPECIAL_CLOCK_HI},
    {"%clock64", SPECIAL_CLOCK64},
    {"%globaltimer", SPECIAL_TIME},
    {"%globaltimer_lo", SPECIAL_TIME_LO},
    {"%globaltimer_hi", SPECIAL_TIME_HI},
    {"%dynamic_smem_size", SPECIAL_DYNAMIC_SHARED},
    {"%total_smem_size", SPECIAL_TOTAL_SHARED},
    {"%aggr_smem_size", SPECIAL_TOTAL_SHARED},
    {"%envreg1", SPECIAL_WORKSPACE_HI},
    {"%envreg2", SPECIAL_WORKSPACE_LO},
    /* a cluster is always one block */
    {"%is_explicit_cluster", SPECIAL_ZERO},
    {"%clusterid.x", SPECIAL_CTAID},
    {"%clusterid.y", SPECIAL_CTAID + 1},
    {"%clusterid.z", SPECIAL_CTAID + 2},
    {"%nclusterid.x", SPECIAL_NCTAID},
    {"%nclusterid.y", SPECIAL_NCTAID + 1},
    {"%nclusterid.z", SPECIAL_NCTAID + 2},
    {"%cluster_ctaid.x", SPECIAL_ZERO},
    {"%cluster_ctaid.y", SPECIAL_ZERO},
    {"%cluster_ctaid.z", SPECIAL_ZERO},
    {"%cluster_nctaid.x", SPECIAL_ONE},
    {"%cluster_nctaid.y", SPECIAL_ONE},
    {"%cluster_nctaid.z", SPECIAL_ONE},
    {"%cluster_ctarank", SPECIAL_ZERO},
    {"%cluster_nctarank", SPECIAL_ONE},
};

static uint64_t
nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The registers that are the same for all lanes of the warp. */
static uint64_t
special_uniform(const struct warp *w, uint32_t which)
{
    const struct launch *launch = w->block->launch;

    switch (which) {
    case SPECIAL_NTID ... SPECIAL_NTID + 2:
        return launch->block[which - SPECIAL_NTID];
    case SPECIAL_CTAID ... SPECIAL_CTAID + 2:
        return w->block->ctaid[which - SPECIAL_CTAID];
    case SPECIAL_NCTAID ... SPECIAL_NCTAID + 2:
        return launch->grid[which - SPECIAL_NCTAID];
    case SPECIAL_WARPID:
        return w->index;
    case SPECIAL_NWARPID:
        return SIM_MAX_THREADS * 2 / SIM_LANES;
    case SPECIAL_SMID:
        return launch->first_unit + w->block->ctaid[0] % launch->units;
    case SPECIAL_NSMID:
        return sim_units(launch->ordinal);
    case SPECIAL_GRIDID:
        return launch->grid_id;
    case SPECIAL_CLOCK:
    case SPECIAL_CLOCK64:
        return nanoseconds();
    case SPECIAL_CLOCK_HI:
        return nanoseconds() >> 32;
    case SPECIAL_TIME:
    case SPECIAL_TIME_LO:
        return nanoseconds();
    case SPECIAL_TIME_HI:
        return nanoseconds() >> 32;
    case SPECIAL_DYNAMIC_SHARED:
        return launch->dynamic_shared;
    case SPECIAL_TOTAL_SHARED:
        return w->block->shared_size;
    case SPECIAL_WORKSPACE_HI:
        return launch->workspace >> 32;
    case SPECIAL_WORKSPACE_LO:
        return (uint32_t)launch->workspace;
    case SPECIAL_ONE:
        return 1;
    default:
        return 0;
    }
}

static void
read_special(struct warp *w, const struct op *op, uint32_t m)
{
    uint32_t which = op->symbol;
    uint64_t value;

    if (which < SPECIAL_NTID) {
        LANES(m, w->regs[op->d + l] = w->tid[which][l];);
        return;
    }
    switch (which) {
    case SPECIAL_LANEID:
        LANES(m, w->regs[op->d + l] = l;);
        return;
    case SPECIAL_MASK_EQ:
        LANES(m, w->regs[op->d + l] = 1u << l;);
        return;
    case SPECIAL_MASK_LE:
        LANES(m, w->regs[op->d + l] = (2u << l) - 1;);
        return;
    case SPECIAL_MASK_LT:
        LANES(m, w->regs[op->d + l] = (1u << l) - 1;);
        return;
    case SPECIAL_MASK_GE:
        LANES(m, w->regs[op->d + l] = ~((1u << l) - 1););
        return;
    case SPECIAL_MASK_GT:
        LANES(m, w->regs[op->d + l] = ~((2u << l) - 1););
        return;
    default:
        break;
    }
    value = special_uniform(w, which);
    LANES(m, w->regs[op->d + l] = value;);
}

op_fn
op_special_find(const char *name, uint32_t *symbol)
{
    size_t i;

    for (i = 0; i < sizeof specials / sizeof specials[0]; i++)
        if (strcmp(specials[i].name, name) == 0) {
            *symbol = specials[i].value;
            return read_special;
        }
    return NULL;
}

void
op_shared_address(struct warp *w, const struct op *op, uint32_t m)
{
    uint64_t address = w->block->launch->kernel->shared_offsets[op->symbol] + op->imm;

    LANES(m, w->regs[op->d + l] = address;);
}

void
op_frame_address(struct warp *w, const struct op *op, uint32_t m)
{
    uint64_t address = w->frame->local_base + op->imm;

    LANES(m, w->regs[op->d + l] = address;);
}

static const struct op_row rows[] = {{NULL, 0, NULL, 0}};

static const struct op_family families[] = {{"bra", decode_bra},
                                            {"brx", decode_brx},
                                            {"call", decode_call},
                                            {"ret", decode_ret},
                                            {"exit", decode_exit},
                                            {"trap", decode_trap},
                                            {"brkpt", decode_trap},
                                            {"nanosleep", decode_nanosleep},
                                            {"pmevent", decode_nothing},
                                            {"griddepcontrol", decode_nothing},
                                            {"setmaxnreg", decode_nothing},
                                            {"bar", decode_bar},
                                            {"barrier", decode_bar},
                                            {NULL, NULL}};

const struct op_set ops_control = {rows, families};
