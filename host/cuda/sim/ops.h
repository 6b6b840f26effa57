/* SPDX-License-Identifier: MIT */
/*
 * What the operations are written with. An operation is a function over the
 * lanes of a mask; LANES runs its body for each, without tests when all 32 are
 * there. Registers beyond an operand's width hold anything: every read narrows.
 */
#ifndef SIM_OPS_H
#define SIM_OPS_H

#include "decode.h"

#include <math.h>
#include <string.h>

#define LANES(mask, ...)                                          \
    do {                                                          \
        unsigned int l;                                           \
        if ((mask) == SIM_FULL) {                                 \
            for (l = 0; l < SIM_LANES; l++) {                     \
                __VA_ARGS__                                       \
            }                                                     \
        } else {                                                  \
            uint32_t lanes_;                                      \
            for (lanes_ = (mask); lanes_; lanes_ &= lanes_ - 1) { \
                l = (unsigned int)__builtin_ctz(lanes_);          \
                __VA_ARGS__                                       \
            }                                                     \
        }                                                         \
    } while (0)

static inline float
as_f32(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float value;

    memcpy(&value, &low, 4);
    return value;
}

static inline uint64_t
bits_f32(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, 4);
    return bits;
}

static inline double
as_f64(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, 8);
    return value;
}

static inline uint64_t
bits_f64(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, 8);
    return bits;
}

#define F32_NAN 0x7fffffffu
#define F64_NAN 0xfff8000000000000ull

/* A result of single precision: the machine has one NaN. */
static inline uint64_t
result_f32(float value)
{
    return value != value ? F32_NAN : bits_f32(value);
}

static inline float
flush_f32(float value)
{
    return value != 0 && fabsf(value) < 0x1p-126f ? copysignf(0, value) : value;
}

/* A predicate: lane masks merge, lanes outside m keep theirs. */
static inline uint32_t
get_predicate(const struct warp *w, uint32_t slot)
{
    return (uint32_t)w->regs[slot];
}

static inline void
set_predicate(struct warp *w, uint32_t slot, uint32_t m, uint32_t value)
{
    w->regs[slot] = (w->regs[slot] & ~(uint64_t)m) | (value & m);
}

/* The lanes' address before the register is added. */
static inline uint64_t
address_base(const struct warp *w, const struct op *op)
{
    uint64_t base = op->imm;

    if (op->flags & OP_FRAME)
        base += w->frame->local_base;
    if (op->flags & OP_SHARED_SYMBOL)
        base += w->block->launch->kernel->shared_offsets[op->symbol];
    return base;
}

static inline uint64_t
lane_address(const struct warp *w, const struct op *op, uint64_t base, unsigned int lane)
{
    uint64_t address;

    if (op->a == SIM_NO_SLOT)
        return base;
    address = base + w->regs[op->a + lane];
    return op->flags & OP_ADDRESS32 ? (uint32_t)address : address;
}

/* The common cases: memory that the last access hit, and shared memory. */
static inline void *
lane_pointer(struct warp *w, const struct op *op, unsigned int lane, uint64_t address, unsigned int size)
{
    const struct exec *exec = w->exec;
    const struct block *block = w->block;
    bool aligned = !(address & (size - 1));

    if (op->space <= PTX_GLOBAL) {
        if (aligned && address - exec->range_start < exec->range_size &&
            exec->range_size - (address - exec->range_start) >= size)
            return (void *)(uintptr_t)address;
    } else if (op->space == PTX_SHARED) {
        if (aligned && address < block->shared_size && block->shared_size - address >= size)
            return block->shared + address;
    }
    return warp_pointer_slow(w, op, lane, op->space, address, size);
}

#endif
