/* SPDX-License-Identifier: MIT */
/*
 * Device memory, and host memory that the device may reach.
 *
 * All devices live in one reserved piece of the process's address space, so a
 * device address is the address itself. Ranges are kept sorted; looking one up
 * is a binary search. The caller holds the driver's lock for everything but
 * sim_memory_find, which running kernels call: ranges change only under the
 * lock, and the lookup takes the memory's own read lock.
 */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include "../../../libgpuvchan/protocol/cuda/cuda_api.h"

#include <stdbool.h>

struct sim_context;
struct sim_memory;

enum range_kind {
    RANGE_DEVICE,
    RANGE_HOST,
    RANGE_REGISTERED,
    RANGE_MANAGED,
    RANGE_MODULE,
    RANGE_POOLED,
    RANGE_MAPPED, /* side by side they count as one */
    RANGE_ARRAY,
    RANGE_HEAP /* malloc of device code */
};

struct range {
    uintptr_t start;
    size_t size;   /* as asked for */
    size_t mapped; /* in whole pages, 0 for registered memory */
    enum range_kind kind;
    int device;
    struct sim_context *context;
    unsigned int flags;
    unsigned long long id;
    void *pool;             /* that it is from */
    unsigned int reachable; /* mapped: from these devices, a bit each */
};

struct sim_memory *sim_memory_create(size_t bytes_per_device);
void sim_memory_destroy(struct sim_memory *memory);

/* Allocates; the memory is zero. CUDA_ERROR_OUT_OF_MEMORY when it is spent. */
CUresult sim_memory_alloc(struct sim_memory *memory, enum range_kind kind, int device, struct sim_context *context,
                          size_t size, unsigned int flags, uintptr_t *start);
CUresult sim_memory_register(struct sim_memory *memory, int device, struct sim_context *context, void *start,
                             size_t size, unsigned int flags);
/* Which devices reach the mapping that starts there. */
void sim_memory_set_reachable(struct sim_memory *memory, uintptr_t start, unsigned int devices);
/* The pool that the range which starts there is from. */
void sim_memory_set_pool(struct sim_memory *memory, uintptr_t start, void *pool);
/* Enters a mapping that the caller has made, of memory that is charged for. */
CUresult sim_memory_add(struct sim_memory *memory, enum range_kind kind, int device, uintptr_t start, size_t size);
/* Keeps allocations out of a part of the address space; false: they have some of it, or it is not all theirs. */
bool sim_memory_reserve(struct sim_memory *memory, uintptr_t start, size_t size);
void sim_memory_unreserve(struct sim_memory *memory, uintptr_t start);
bool sim_memory_charge(struct sim_memory *memory, int device, size_t bytes);
void sim_memory_refund(struct sim_memory *memory, int device, size_t bytes);
/* Frees the range that starts there, when it is of the kind. */
CUresult sim_memory_free(struct sim_memory *memory, enum range_kind kind, uintptr_t start);
void sim_memory_free_context(struct sim_memory *memory, const struct sim_context *context);

/* The range that holds size bytes at the address. */
bool sim_memory_find(struct sim_memory *memory, uint64_t address, uint64_t size, uintptr_t *start, size_t *range_size);
bool sim_memory_range(struct sim_memory *memory, uint64_t address, struct range *range);
/* Whether a whole piece lies outside the devices' address space. */
bool sim_memory_is_foreign(const struct sim_memory *memory, uint64_t address, uint64_t size);

size_t sim_memory_total(const struct sim_memory *memory);
size_t sim_memory_free_bytes(struct sim_memory *memory, int device);

#endif
