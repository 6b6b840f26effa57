/* SPDX-License-Identifier: MIT */
/*
 * Warps and blocks in motion; exec.h says how lanes are grouped.
 *
 * Progress: a warp runs for a slice, then the next warp of the block, then the
 * next resident block. Within a warp the preference for low program counters
 * turns round after each slice, so that a lane that spins on a lock cannot
 * starve the lane that holds it. When no resident block ends in a round, one
 * more block becomes resident, for kernels whose blocks wait for each other.
 */
#include "exec.h"
#include "memory.h"
#include "ops.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SLICE 8192
#define MAX_RESIDENT 64

void
warp_fault(struct warp *w, const struct op *op, unsigned int lane, CUresult code, const char *format, ...)
{
    struct exec *exec = w->exec;
    const struct block *block = w->block;
    char what[128];
    va_list args;

    if (exec->fault)
        return;
    exec->fault = code;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    snprintf(exec->message, sizeof exec->message,
             "simulated device: %s: line %u: %s, block (%u,%u,%u), thread (%u,%u,%u)", exec->launch->kernel->name,
             op ? op->line : 0, what, block->ctaid[0], block->ctaid[1], block->ctaid[2], w->tid[0][lane],
             w->tid[1][lane], w->tid[2][lane]);
}

/* Memory. */

static void *
window_pointer(struct warp *w, const struct op *op, unsigned int lane, unsigned char *start, uint64_t limit,
               uint64_t offset, unsigned int size)
{
    if (offset <= limit && limit - offset >= size)
        return start + offset;
    warp_fault(w, op, lane, CUDA_ERROR_ILLEGAL_ADDRESS, "%u bytes at offset %#llx of %llu", size,
               (unsigned long long)offset, (unsigned long long)limit);
    return NULL;
}

static void *
global_pointer(struct warp *w, const struct op *op, unsigned int lane, uint64_t address, unsigned int size)
{
    const struct launch *launch = w->exec->launch;
    struct exec *exec = w->exec;
    struct range range;

    if (sim_memory_find(launch->memory, address, size, &exec->range_start, &exec->range_size) &&
        (!launch->reaches || (sim_memory_range(launch->memory, address, &range) && launch->reaches(launch, &range))))
        return (void *)(uintptr_t)address;
    exec->range_size = 0;
    warp_fault(w, op, lane, CUDA_ERROR_ILLEGAL_ADDRESS, "no memory at %#llx for device %d", (unsigned long long)address,
               launch->ordinal);
    return NULL;
}

void *
warp_pointer_slow(struct warp *w, const struct op *op, unsigned int lane, unsigned int space, uint64_t address,
                  unsigned int size)
{
    struct launch *launch = w->block->launch;
    uint64_t window = address >> SIM_WINDOW_SHIFT, offset = address & SIM_WINDOW_MASK;

    /* first alignment: of everything but packed bytes */
    if (size && address & (size - 1)) {
        warp_fault(w, op, lane, CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned address %#llx", (unsigned long long)address);
        return NULL;
    }
    if (space == PTX_GENERIC && window)
        space = window == 1 ? PTX_SHARED : window == 2 ? PTX_LOCAL : window == 3 ? PTX_PARAM : PTX_GLOBAL;
    switch (space) {
    case PTX_SHARED:
        return window_pointer(w, op, lane, w->block->shared, w->block->shared_size, offset, size);
    case PTX_LOCAL:
        return window_pointer(w, op, lane, w->local + (size_t)lane * w->local_size, w->local_size, offset, size);
    case PTX_PARAM:
        return window_pointer(w, op, lane, launch->params, launch->param_bytes, offset, size);
    default:
        return global_pointer(w, op, lane, address, size);
    }
}

const char *
warp_string(struct warp *w, const struct op *op, unsigned int lane, uint64_t address)
{
    uint64_t at = address;
    const char *byte;

    do {
        byte = warp_pointer_slow(w, op, lane, PTX_GENERIC, at++, 1);
        if (!byte)
            return NULL;
        if (at - address > 65536) {
            warp_fault(w, op, lane, CUDA_ERROR_ILLEGAL_ADDRESS, "endless string");
            return NULL;
        }
    } while (*byte);
    return warp_pointer_slow(w, op, lane, PTX_GENERIC, address, 1);
}

/* Frames. */

static struct frame *
frame_create(struct warp *w, const struct sim_function *function)
{
    size_t size = sizeof(struct frame) + (size_t)function->slots * SIM_LANES * 8;
    struct frame *frame, **link;
    uint32_t i, l;

    for (link = &w->spare; *link; link = &(*link)->parent)
        if ((*link)->function == function)
            break;
    frame = *link;
    if (frame) {
        *link = frame->parent;
    } else {
        if (w->frame_bytes + size > SIM_MAX_FRAMES)
            return NULL;
        frame = calloc(1, size);
        if (!frame)
            return NULL;
        w->frame_bytes += size;
        for (i = 0; i < function->constant_count; i++)
            for (l = 0; l < SIM_LANES; l++)
                frame->regs[function->constants[i].slot + l] = function->constants[i].value;
    }
    frame->function = function;
    frame->parent = NULL;
    return frame;
}

/* Lanes end here and in every frame below that only they kept. */
static void
frame_leave(struct warp *w, struct frame *frame, uint32_t lanes, bool all)
{
    while (frame) {
        struct frame *parent = frame->parent;

        frame->lanes &= ~lanes;
        if (!frame->lanes) {
            frame->parent = w->spare;
            w->spare = frame;
        }
        frame = all ? parent : NULL;
    }
}

static bool
local_reserve(struct warp *w, uint64_t size)
{
    uint32_t grown = w->local_size ? w->local_size : 256, l;
    unsigned char *local;

    if (size <= w->local_size)
        return true;
    if (size > SIM_MAX_LOCAL)
        return false;
    while (grown < size)
        grown *= 2;
    local = aligned_alloc(64, (size_t)grown * SIM_LANES);
    if (!local)
        return false;
    memset(local, 0, (size_t)grown * SIM_LANES);
    for (l = 0; l < SIM_LANES && w->local_size; l++)
        memcpy(local + (size_t)l * grown, w->local + (size_t)l * w->local_size, w->local_size);
    free(w->local);
    w->local = local;
    w->local_size = grown;
    return true;
}

/* The caller's parameters into the callee's frame, and results back. */
static void
copy_params(struct warp *w, uint32_t lanes, const struct sim_param *to, uint64_t to_base, const uint32_t *from,
            uint64_t from_base, uint32_t count, bool back)
{
    uint32_t i;

    LANES(lanes, {
        unsigned char *local = w->local + (size_t)l * w->local_size;

        for (i = 0; i < count; i++) {
            unsigned char *theirs = local + to_base + to[i].offset;
            unsigned char *ours = local + from_base + from[2 * i];
            uint32_t size = to[i].size < from[2 * i + 1] ? to[i].size : from[2 * i + 1];

            memcpy(back ? ours : theirs, back ? theirs : ours, size);
        }
    });
}

/*
 * A call's list holds: number of results, of parameters, then offset and size
 * in the caller's frame of each, results first.
 */
bool
warp_call(struct warp *w, const struct op *op, uint32_t lanes, uint32_t index)
{
    const struct sim_code *code = w->exec->launch->code;
    const struct sim_function *function = &code->functions[index];
    const uint32_t *list = w->lists + op->list;
    struct frame *caller = w->frame, *frame;
    unsigned int first = (unsigned int)__builtin_ctz(lanes);
    uint64_t base = caller->local_base + caller->function->local_size;

    if (list[1] != function->param_count || list[0] > function->return_count) {
        warp_fault(w, op, first, CUDA_ERROR_INVALID_PC, "call of '%s' with %u parameters", function->name, list[1]);
        return false;
    }
    if (caller->depth >= SIM_MAX_DEPTH || !local_reserve(w, base + function->local_size) ||
        !(frame = frame_create(w, function))) {
        warp_fault(w, op, first, CUDA_ERROR_HARDWARE_STACK_ERROR, "stack overflow");
        return false;
    }
    frame->parent = caller;
    frame->call = op;
    frame->lanes = lanes;
    frame->depth = caller->depth + 1;
    frame->local_base = base;
    copy_params(w, lanes, function->params, base, list + 2 + 2 * list[0], caller->local_base, list[1], false);
    LANES(lanes, w->lane_frame[l] = frame;);
    warp_split(w, lanes, function->start);
    return true;
}

void
warp_return(struct warp *w, uint32_t lanes)
{
    struct frame *frame = w->frame;
    const struct op *call = frame->call;
    const uint32_t *list;
    uint32_t pc;

    if (!frame->parent) {
        warp_exit(w, lanes);
        return;
    }
    list = w->lists + call->list;
    copy_params(w, lanes, frame->function->returns, frame->local_base, list + 2, frame->parent->local_base, list[0],
                true);
    pc = (uint32_t)(call - w->ops) + 1;
    LANES(lanes, w->lane_frame[l] = frame->parent;);
    warp_split(w, lanes, pc);
    frame_leave(w, frame, lanes, false);
}

/* Groups. */

void
warp_split(struct warp *w, uint32_t lanes, uint32_t pc)
{
    LANES(w->mask, w->lane_pc[l] = lanes >> l & 1 ? pc : w->pc;);
    w->moved = true;
}

static void barrier_check(struct block *block, uint32_t id);

void
warp_exit(struct warp *w, uint32_t lanes)
{
    uint32_t id;

    warp_split(w, lanes, w->pc);
    w->alive &= ~lanes;
    w->block->alive -= (uint32_t)__builtin_popcount(lanes);
    frame_leave(w, w->frame, lanes, true);
    for (id = 0; id < SIM_BARRIERS; id++)
        if (w->block->barriers[id].arrived)
            barrier_check(w->block, id);
}

uint32_t
warp_meet(struct warp *w, uint32_t lanes, uint32_t members)
{
    uint32_t waiting = w->sync, here = 0, pc = w->pc - 1;

    LANES(waiting, {
        if (w->lane_pc[l] == pc && w->lane_frame[l] == w->frame)
            here |= 1u << l;
    });
    if (((lanes | here) & members & w->alive) == (members & w->alive)) {
        w->sync &= ~here;
        w->mask |= here;
        return lanes | here;
    }
    warp_split(w, lanes, pc);
    LANES(lanes, w->members[l] = members;);
    w->sync |= lanes;
    return 0;
}

/*
 * Nobody in the warp can run. Lanes whose fellow members have exited, or wait
 * in another .sync operation, go on with those that stand at the same place.
 */
static uint32_t
release_sync(struct warp *w)
{
    uint32_t free_lanes = 0;

    LANES(w->sync, {
        if (!(w->members[l] & w->alive & ~w->sync))
            free_lanes |= 1u << l;
    });
    LANES(free_lanes, w->members[l] = 0;);
    w->sync &= ~free_lanes;
    return free_lanes;
}

/* Picks the lanes to run next. False when none can. */
static bool
warp_select(struct warp *w, uint32_t *limit)
{
    uint32_t ready = w->alive & ~w->sync & ~w->barred, mask = 0;
    struct frame *frame = NULL;
    uint32_t pc = 0, next = UINT32_MAX;

    if (!ready)
        ready = release_sync(w);
    if (!ready)
        return false;
    LANES(ready, {
        struct frame *f = w->lane_frame[l];
        uint32_t p = w->lane_pc[l];
        bool deeper = !frame || f->depth > frame->depth;
        bool before = frame && f->depth == frame->depth && (w->highest ? p > pc : p < pc);

        if (deeper || before) {
            frame = f;
            pc = p;
        }
    });
    LANES(ready, {
        if (w->lane_frame[l] != frame)
            continue;
        if (w->lane_pc[l] == pc)
            mask |= 1u << l;
        else if (w->lane_pc[l] > pc && w->lane_pc[l] < next)
            next = w->lane_pc[l];
    });
    w->frame = frame;
    w->regs = frame->regs;
    w->pc = pc;
    w->mask = mask;
    w->moved = false;
    *limit = next;
    return true;
}

static inline uint32_t
guarded(const struct warp *w, const struct op *op)
{
    uint32_t p;

    if (op->guard == SIM_NO_SLOT)
        return w->mask;
    p = get_predicate(w, op->guard);
    return w->mask & (op->flags & OP_GUARD_NOT ? ~p : p);
}

/* Runs the group until it meets others, comes apart, or its slice ends. */
static void
group_run(struct warp *w, uint32_t limit)
{
    const struct op *ops = w->ops;
    struct exec *exec = w->exec;

    while (w->slice > 0) {
        const struct op *op = &ops[w->pc++];
        uint32_t m = guarded(w, op);

        w->slice--;
        if (m) {
            op->fn(w, op, m);
            if (exec->fault || w->moved)
                return;
        }
        if (w->pc >= limit)
            break;
    }
    LANES(w->mask, w->lane_pc[l] = w->pc;);
}

/* True while the warp can go on. */
static bool
warp_run(struct warp *w)
{
    uint32_t limit = UINT32_MAX;

    w->slice = SLICE;
    while (w->slice > 0) {
        if (!warp_select(w, &limit))
            return false;
        group_run(w, limit);
        if (w->exec->fault)
            return false;
    }
    /* only a warp that is apart can starve its own lanes */
    w->highest = !w->highest && limit != UINT32_MAX;
    w->exec->steps += SLICE;
    if (w->exec->step_limit && w->exec->steps > w->exec->step_limit) {
        warp_fault(w, NULL, 0, CUDA_ERROR_LAUNCH_TIMEOUT, "more than %llu operations",
                   (unsigned long long)w->exec->step_limit);
        return false;
    }
    return true;
}

/* Barriers. */

static void
barrier_release(struct block *block, uint32_t id)
{
    struct barrier *barrier = &block->barriers[id];
    uint32_t i;

    for (i = 0; i < block->warp_count; i++) {
        struct warp *w = &block->warps[i];

        LANES(w->barred, {
            if (w->barrier[l] != id)
                continue;
            w->barred &= ~(1u << l);
            if (w->result[l] == SIM_NO_SLOT)
                continue;
            uint64_t *slot = &w->lane_frame[l]->regs[w->result[l]];
            bool p = w->result_mode[l] == MOD_AND ? barrier->all : barrier->any;

            if (w->result_mode[l] == MOD_POPC)
                slot[l] = barrier->popcount;
            else
                *slot = (*slot & ~(1ull << l)) | (uint64_t)p << l;
        });
    }
    memset(barrier, 0, sizeof *barrier);
}

static void
barrier_check(struct block *block, uint32_t id)
{
    const struct barrier *barrier = &block->barriers[id];
    uint32_t expected = barrier->expected ? barrier->expected : block->alive;

    if (barrier->arrived >= expected)
        barrier_release(block, id);
}

void
warp_barrier(struct warp *w, const struct op *op, uint32_t lanes, uint32_t id, uint32_t count, bool waits)
{
    struct barrier *barrier;
    unsigned int first = (unsigned int)__builtin_ctz(lanes);
    uint32_t p = 0;

    if (id >= SIM_BARRIERS || count > SIM_MAX_THREADS) {
        warp_fault(w, op, first, CUDA_ERROR_ILLEGAL_INSTRUCTION, "barrier %u for %u threads", id, count);
        return;
    }
    barrier = &w->block->barriers[id];
    if (!barrier->arrived) {
        barrier->all = true;
        barrier->expected = count;
    }
    if (op->mode) {
        p = get_predicate(w, op->c) & lanes;
        barrier->popcount += (uint32_t)__builtin_popcount(p);
        barrier->all &= p == lanes;
        barrier->any |= p != 0;
    }
    barrier->arrived += (uint32_t)__builtin_popcount(lanes);
    if (waits) {
        warp_split(w, lanes, w->pc);
        w->barred |= lanes;
        LANES(lanes, {
            w->barrier[l] = (uint8_t)id;
            w->result[l] = op->mode ? op->d : SIM_NO_SLOT;
            w->result_mode[l] = op->mode;
        });
    }
    barrier_check(w->block, id);
}

/* Blocks. */

static bool
warp_init(struct warp *w, struct block *block, uint32_t index)
{
    struct launch *launch = block->launch;
    uint32_t threads = launch->block[0] * launch->block[1] * launch->block[2], l;
    struct frame *frame;

    w->block = block;
    w->exec = block->exec;
    w->ops = launch->code->ops;
    w->lists = launch->code->lists;
    w->index = index;
    frame = frame_create(w, launch->kernel);
    if (!frame || !local_reserve(w, launch->kernel->local_size))
        return false;
    for (l = 0; l < SIM_LANES; l++) {
        uint32_t thread = index * SIM_LANES + l;

        if (thread < threads)
            w->alive |= 1u << l;
        w->tid[0][l] = thread % launch->block[0];
        w->tid[1][l] = thread / launch->block[0] % launch->block[1];
        w->tid[2][l] = thread / launch->block[0] / launch->block[1];
        w->lane_pc[l] = launch->kernel->start;
        w->lane_frame[l] = frame;
    }
    frame->lanes = w->alive;
    frame->depth = 0;
    frame->local_base = 0;
    block->alive += (uint32_t)__builtin_popcount(w->alive);
    return true;
}

static void
warp_finish(struct warp *w)
{
    uint32_t l;

    for (l = 0; l < SIM_LANES; l++)
        if (w->lane_frame[l] && w->alive >> l & 1)
            frame_leave(w, w->lane_frame[l], 1u << l, true);
    while (w->spare) {
        struct frame *next = w->spare->parent;

        free(w->spare);
        w->spare = next;
    }
    free(w->local);
}

static void
block_destroy(struct block *block)
{
    uint32_t i;

    if (!block)
        return;
    for (i = 0; i < block->warp_count; i++)
        warp_finish(&block->warps[i]);
    free(block->warps);
    free(block->shared);
    free(block);
}

static struct block *
block_create(struct exec *exec, uint64_t number)
{
    struct launch *launch = exec->launch;
    uint32_t threads = launch->block[0] * launch->block[1] * launch->block[2], i;
    struct block *block = calloc(1, sizeof *block);

    if (!block)
        return NULL;
    block->launch = launch;
    block->exec = exec;
    block->ctaid[0] = (uint32_t)(number % launch->grid[0]);
    block->ctaid[1] = (uint32_t)(number / launch->grid[0] % launch->grid[1]);
    block->ctaid[2] = (uint32_t)(number / launch->grid[0] / launch->grid[1]);
    block->shared_size = launch->kernel->shared_bytes + launch->dynamic_shared;
    block->shared = calloc(1, block->shared_size + 64);
    block->warps = calloc((threads + SIM_LANES - 1) / SIM_LANES, sizeof *block->warps);
    if (!block->shared || !block->warps)
        goto destroy;
    for (i = 0; i < (threads + SIM_LANES - 1) / SIM_LANES; i++) {
        block->warp_count++;
        if (!warp_init(&block->warps[i], block, i))
            goto destroy;
    }
    return block;

destroy:
    block_destroy(block);
    return NULL;
}

static void
block_deadlock(struct block *block)
{
    struct warp *w = block->warps;

    while (!w->alive)
        w++;
    warp_fault(w, NULL, (unsigned int)__builtin_ctz(w->alive), CUDA_ERROR_LAUNCH_TIMEOUT,
               "deadlock: threads wait for others that never come");
}

/* One slice for each warp. False when the block has ended, or on a fault. */
static bool
block_run(struct block *block)
{
    bool progress = false;
    uint32_t i;

    for (i = 0; i < block->warp_count && block->alive; i++) {
        struct warp *w = &block->warps[i];
        uint64_t before = block->alive;
        uint32_t barred = w->barred, sync = w->sync;

        if (!(w->alive & ~w->barred))
            continue;
        if (warp_run(w) || block->alive != before || w->barred != barred || w->sync != sync)
            progress = true;
        if (block->exec->fault)
            return false;
    }
    if (block->alive && !progress) {
        /* a barrier may have let go a warp before this round's last look */
        for (i = 0; i < block->warp_count; i++)
            if (block->warps[i].alive & ~block->warps[i].barred & ~block->warps[i].sync)
                return true;
        block_deadlock(block);
        return false;
    }
    return block->alive != 0;
}

static CUresult
run_blocks(struct exec *exec)
{
    struct launch *launch = exec->launch;
    uint64_t total = (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2];
    uint64_t next = 0, resident = 0, room = launch->cooperative ? total : 1, i;
    uint64_t most = room > MAX_RESIDENT ? room : MAX_RESIDENT;
    struct block **blocks = calloc(most, sizeof *blocks);

    if (!blocks)
        return CUDA_ERROR_OUT_OF_MEMORY;
    while ((next < total || resident) && !exec->fault) {
        uint64_t before = resident;

        while (resident < room && next < total) {
            blocks[resident] = block_create(exec, next);
            if (!blocks[resident]) {
                exec->fault = CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
                break;
            }
            resident++;
            next++;
        }
        before = resident;
        for (i = 0; i < resident && !exec->fault;)
            if (block_run(blocks[i])) {
                i++;
            } else if (!exec->fault) {
                block_destroy(blocks[i]);
                memmove(&blocks[i], &blocks[i + 1], (--resident - i) * sizeof *blocks);
            }
        if (resident == before && room < most)
            room++;
    }
    for (i = 0; i < resident; i++)
        block_destroy(blocks[i]);
    free(blocks);
    return exec->fault;
}

CUresult
sim_launch_run(struct launch *launch, char *message, size_t size)
{
    struct exec exec = {.launch = launch};
    const char *limit = getenv("GPUVCHAN_SIM_MAX_STEPS");
    CUresult result;

    if (limit)
        exec.step_limit = strtoull(limit, NULL, 10);
    result = run_blocks(&exec);
    snprintf(message, size, "%s", exec.message);
    return result;
}
