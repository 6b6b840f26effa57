/* SPDX-License-Identifier: MIT */
/*
 * The device addresses that a guest process may name: its allocations, its modules' globals, and the
 * parts of the arena that it has registered.
 *
 * Design notes: with unified addressing the driver takes a host address where a device address belongs,
 * and would read or write the worker's own memory for the guest. So each address in a record must lie,
 * with all the bytes that are touched, in one of these ranges before the driver sees it.
 *
 * The ranges lie sorted in an array: looking up is a binary search under a read lock. Inserting moves what lies
 * behind, which for a hundred thousand allocations still takes less time than the driver's own part.
 */
#ifndef CUDA_RANGES_H
#define CUDA_RANGES_H

#include <pthread.h>
#include <stddef.h>

#include <gpuvchan/plugin.h>

#include "cuda_api.h"
#include "object.h"

enum cuda_range_use {
    CUDA_RANGE_ALLOCATION,
    CUDA_RANGE_CHUNK,       /* of which the guest allocates by itself */
    CUDA_RANGE_POOLED,      /* of no context */
    CUDA_RANGE_GLOBAL,      /* owned by a module */
    CUDA_RANGE_GRAPH,       /* allocated by a node, as long as its graph has the address */
    CUDA_RANGE_REGISTERED,  /* part of the arena */
    CUDA_RANGE_MAPPED,      /* owned by its reservation */
    CUDA_RANGE_RESERVED,    /* address space: in no table */
    CUDA_RANGE_IPC,         /* another process's, opened here */
    CUDA_RANGE_COMPLETIONS, /* the completion page: no guest's address */
};

struct cuda_range {
    struct cuda_object object; /* first */
    enum cuda_range_use use;
    CUdeviceptr start;
    uint64_t bytes;
    _Atomic uint32_t opened;   /* so often more than once: another process's, or a graph's by several nodes */
    unsigned char *memory;     /* registered: where it lies in this process */
    bool ordered;              /* copies wait for all of it: CU_POINTER_ATTRIBUTE_SYNC_MEMOPS */
    uint32_t physical;         /* mapped: the guest's handle of the memory */
    uint64_t offset;           /* and what of it */
    uint32_t pool;             /* pooled: handle of the one that was named; 0: none */
    struct cuda_place *placed; /* that its memory is in; NULL: it is the driver's own */
    struct cuda_range *next;   /* registered, reserved, or chunks */
    bool offered;              /* a chunk, to other processes, with this token */
    struct gpuvchan_session_token token;
};

struct cuda_ranges {
    pthread_rwlock_t lock;
    struct cuda_range **items; /* by start, none overlaps another */
    size_t count, room;
};

void cuda_ranges_init(struct cuda_ranges *ranges);
void cuda_ranges_finish(struct cuda_ranges *ranges);

/** @return 0; CUDA_ERROR_OUT_OF_MEMORY; CUDA_ERROR_ALREADY_MAPPED: it overlaps another. */
int cuda_ranges_insert(struct cuda_ranges *ranges, struct cuda_range *range);
/** False if it is not in there. */
bool cuda_ranges_remove(struct cuda_ranges *ranges, const struct cuda_range *range);

/** Takes out the first range that has a byte of [@p address, +@p bytes), if it is of that use; or NULL. */
struct cuda_range *
cuda_ranges_take(struct cuda_ranges *ranges, CUdeviceptr address, uint64_t bytes, enum cuda_range_use use);

/** What a record that names the range uses. With the table's lock. */
static inline struct cuda_object *
cuda_range_used(struct cuda_range *range)
{
    /* Of mappings side by side one record may name several. */
    if (range->use == CUDA_RANGE_MAPPED)
        return atomic_load_explicit(&range->object.owner, memory_order_relaxed);
    return &range->object;
}

/**
 * The live range that holds [@p address, +@p bytes) wholly, or the first of the mappings that do so together, or NULL.
 * With the lock.
 */
struct cuda_range *cuda_ranges_find(const struct cuda_ranges *ranges, CUdeviceptr address, uint64_t bytes);

/**
 * Bytes from the first to the last of @p height rows of @p width bytes, @p pitch apart.
 * False if that overflows or rows overlap.
 */
bool cuda_rows_extent(uint64_t pitch, uint64_t width, uint64_t height, uint64_t *extent);

#endif
