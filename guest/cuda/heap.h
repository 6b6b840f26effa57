/* SPDX-License-Identifier: MIT */
/*
 * Dividing address space: which parts of some chunks are in use. The memory itself is never touched, so the
 * addresses may be a device's. Not thread-safe.
 */
#ifndef CUDA_GUEST_HEAP_H
#define CUDA_GUEST_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What sizes are rounded up to, and allocations begin at a multiple of in their chunk. */
#define CUDA_GUEST_HEAP_GRAIN 512u

struct cuda_guest_heap_chunk;

/** All zero: empty. */
struct cuda_guest_heap {
    struct cuda_guest_heap_chunk *chunks; /* by address */
    size_t count, room;
    uint64_t unused; /* bytes */
};

/** Forgets all chunks. */
void cuda_guest_heap_finish(struct cuda_guest_heap *heap);
/** Adds a chunk, all of it unused. False: out of memory here, or it overlaps another. */
bool cuda_guest_heap_add(struct cuda_guest_heap *heap, uint64_t start, uint64_t bytes);
/** The lowest place where @p bytes are unused, now used. False: there is none. */
bool cuda_guest_heap_alloc(struct cuda_guest_heap *heap, uint64_t bytes, uint64_t *address);
/** @p bytes at @p address were allocated as such, and are unused from now on. */
void cuda_guest_heap_free(struct cuda_guest_heap *heap, uint64_t address, uint64_t bytes);
/**
 * Takes out a chunk in which nothing is used, the highest, if such chunks have more than @p keep bytes together.
 * False: there is none.
 */
bool cuda_guest_heap_take_unused(struct cuda_guest_heap *heap, uint64_t keep, uint64_t *start, uint64_t *bytes);

#endif
