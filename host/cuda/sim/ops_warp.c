/* SPDX-License-Identifier: MIT */
/*
 * What lanes of a warp do together. Forms with .sync wait until every member
 * has come (warp_meet); without it, the lanes that run now take part.
 */
#include "ops.h"

/* The members named by the first lane; they are the same in all of them. */
static uint32_t
meet(struct warp *w, const struct op *op, uint32_t m)
{
    if (!(op->flags & OP_CONTROL))
        return m;
    return warp_meet(w, m, (uint32_t)w->regs[op->target + (unsigned int)__builtin_ctz(m)]);
}

static bool
take_members(struct decoder *d)
{
    if (!mods_has(&d->mods, "sync"))
        return true;
    d->op.flags |= OP_CONTROL;
    return take_source(d, PTX_B32, &d->op.target);
}

enum {
    SHUFFLE_UP,
    SHUFFLE_DOWN,
    SHUFFLE_BFLY,
    SHUFFLE_IDX
};

static void
shuffle(struct warp *w, const struct op *op, uint32_t m)
{
    uint32_t values[SIM_LANES], inside = 0;

    m = meet(w, op, m);
    LANES(SIM_FULL, values[l] = (uint32_t)w->regs[op->a + l];);
    LANES(m, {
        uint32_t b = (uint32_t)w->regs[op->b + l] & 31;
        uint32_t c = (uint32_t)w->regs[op->c + l];
        uint32_t segment = c >> 8 & 31;
        uint32_t low = l & segment;
        uint32_t high = low | (c & 31 & ~segment);
        int32_t from = (int32_t)l;
        bool valid;

        switch (op->mode) {
        case SHUFFLE_UP:
            from -= (int32_t)b;
            valid = from >= (int32_t)high;
            break;
        case SHUFFLE_DOWN:
            from += (int32_t)b;
            valid = from <= (int32_t)high;
            break;
        case SHUFFLE_BFLY:
            from ^= (int32_t)b;
            valid = from <= (int32_t)high;
            break;
        default:
            from = (int32_t)(low | (b & ~segment));
            valid = from <= (int32_t)high;
        }
        inside |= (uint32_t)valid << l;
        w->regs[op->d + l] = values[valid ? from & 31 : (int32_t)l];
    });
    if (op->d2 != SIM_NO_SLOT)
        set_predicate(w, op->d2, m, inside);
}

static bool
decode_shfl(struct decoder *d)
{
    static const char *const modes[] = {"up", "down", "bfly", "idx"};
    uint8_t i;

    for (i = 0; i < 4; i++)
        if (mods_has(&d->mods, modes[i]))
            break;
    if (i == 4)
        return decode_unsupported(d);
    d->op.fn = shuffle;
    d->op.mode = i;
    if (!take_destination(d, &d->op.d))
        return false;
    if (next_is_paired(d) && !take_destination(d, &d->op.d2))
        return false;
    return take_source(d, PTX_B32, &d->op.a) && take_source(d, PTX_B32, &d->op.b) &&
           take_source(d, PTX_B32, &d->op.c) && take_members(d);
}

enum {
    VOTE_ALL,
    VOTE_ANY,
    VOTE_UNI,
    VOTE_BALLOT
};

static void
vote(struct warp *w, const struct op *op, uint32_t m)
{
    uint32_t p;

    m = meet(w, op, m);
    if (!m)
        return;
    p = get_predicate(w, op->a) & m;
    switch (op->mode) {
    case VOTE_ALL:
        set_predicate(w, op->d, m, p == m ? m : 0);
        break;
    case VOTE_ANY:
        set_predicate(w, op->d, m, p ? m : 0);
        break;
    case VOTE_UNI:
        set_predicate(w, op->d, m, p == m || !p ? m : 0);
        break;
    default:
        LANES(m, w->regs[op->d + l] = p;);
    }
}

static bool
decode_vote(struct decoder *d)
{
    static const char *const modes[] = {"all", "any", "uni", "ballot"};
    uint8_t i;

    for (i = 0; i < 4; i++)
        if (mods_has(&d->mods, modes[i]))
            break;
    if (i == 4)
        return decode_unsupported(d);
    d->op.fn = vote;
    d->op.mode = i;
    return take_destination(d, &d->op.d) && take_predicate(d, &d->op.a) && take_members(d);
}

static uint32_t
lanes_with(const struct warp *w, const struct op *op, uint32_t m, uint64_t value)
{
    uint64_t mask = op->type == PTX_B64 ? UINT64_MAX : UINT32_MAX;
    uint32_t same = 0;

    LANES(m, same |= (uint32_t)((w->regs[op->a + l] & mask) == (value & mask)) << l;);
    return same;
}

static void
match(struct warp *w, const struct op *op, uint32_t m)
{
    uint32_t same[SIM_LANES] = {0}, all = 0;

    m = meet(w, op, m);
    LANES(m, same[l] = lanes_with(w, op, m, w->regs[op->a + l]););
    LANES(m, {
        all |= (uint32_t)(same[l] == m) << l;
        w->regs[op->d + l] = op->mode && same[l] != m ? 0 : same[l];
    });
    if (op->d2 != SIM_NO_SLOT)
        set_predicate(w, op->d2, m, all);
}

static bool
decode_match(struct decoder *d)
{
    d->op.fn = match;
    d->op.mode = mods_has(&d->mods, "all");
    d->op.type = (uint8_t)d->mods.types[0];
    if (!take_destination(d, &d->op.d))
        return false;
    if (next_is_paired(d) && !take_destination(d, &d->op.d2))
        return false;
    return take_source(d, d->mods.types[0], &d->op.a) && take_members(d);
}

static void
reduce(struct warp *w, const struct op *op, uint32_t m)
{
    bool first = true;
    uint32_t r = 0;

    m = meet(w, op, m);
    LANES(m, {
        uint32_t a = (uint32_t)w->regs[op->a + l];
        bool less = op->type == PTX_S32 ? (int32_t)a < (int32_t)r : a < r;

        switch (first ? MOD_OP_NONE : op->mode) {
        case MOD_ADD:
            r += a;
            break;
        case MOD_AND:
            r &= a;
            break;
        case MOD_OR:
            r |= a;
            break;
        case MOD_XOR:
            r ^= a;
            break;
        case MOD_MIN:
            r = less ? a : r;
            break;
        case MOD_MAX:
            r = less ? r : a;
            break;
        default:
            r = a;
        }
        first = false;
    });
    LANES(m, w->regs[op->d + l] = r;);
}

static bool
decode_redux(struct decoder *d)
{
    d->op.fn = reduce;
    d->op.mode = (uint8_t)d->mods.op;
    d->op.type = (uint8_t)d->mods.types[0];
    if (d->mods.types[0] == PTX_F32 || d->mods.op == MOD_OP_NONE)
        return decode_unsupported(d);
    return take_destination(d, &d->op.d) && take_source(d, PTX_B32, &d->op.a) && take_members(d);
}

static void
activemask(struct warp *w, const struct op *op, uint32_t m)
{
    LANES(m, w->regs[op->d + l] = m;);
}

static bool
decode_activemask(struct decoder *d)
{
    d->op.fn = activemask;
    return take_destination(d, &d->op.d);
}

static void
elect(struct warp *w, const struct op *op, uint32_t m)
{
    uint32_t leader;

    m = meet(w, op, m);
    if (!m)
        return;
    leader = m & (0 - m);
    LANES(m, w->regs[op->d + l] = (uint64_t)__builtin_ctz(leader););
    if (op->d2 != SIM_NO_SLOT)
        set_predicate(w, op->d2, m, leader);
}

static bool
decode_elect(struct decoder *d)
{
    d->op.fn = elect;
    if (!take_destination(d, &d->op.d))
        return false;
    if (next_is_paired(d) && !take_destination(d, &d->op.d2))
        return false;
    return take_members(d);
}

static const struct op_row rows[] = {{NULL, 0, NULL, 0}};

static const struct op_family families[] = {{"shfl", decode_shfl},
                                            {"vote", decode_vote},
                                            {"match", decode_match},
                                            {"redux", decode_redux},
                                            {"activemask", decode_activemask},
                                            {"elect", decode_elect},
                                            {NULL, NULL}};

const struct op_set ops_warp = {rows, families};
