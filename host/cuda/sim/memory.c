/* SPDX-License-Identifier: MIT */
/* Device memory; see memory.h. */
#include "memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RESERVE_AT 0x700000000000ull
#define RESERVE_SIZE (256ull << 30)
#define PAGE 4096u
#define GUARD PAGE /* between allocations: an overrun is seen */
#define MAX_DEVICES 8

/* Addresses that allocations must not take. */
struct hole {
    struct hole *next;
    uintptr_t start;
    size_t size;
};

struct sim_memory {
    pthread_rwlock_t lock;
    uintptr_t base;
    size_t reserved;
    size_t total, used[MAX_DEVICES];
    struct range *ranges; /* sorted by start */
    size_t count, capacity;
    struct hole *holes;
    unsigned long long next_id;
};

struct sim_memory *
sim_memory_create(size_t bytes_per_device)
{
    struct sim_memory *memory = calloc(1, sizeof *memory);
    void *base;

    if (!memory)
        return NULL;
    memory->reserved = RESERVE_SIZE;
    base = mmap((void *)(uintptr_t)RESERVE_AT, memory->reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
    if (base == MAP_FAILED) {
        free(memory);
        return NULL;
    }
    memory->base = (uintptr_t)base;
    memory->total = bytes_per_device;
    memory->next_id = 1;
    pthread_rwlock_init(&memory->lock, NULL);
    return memory;
}

void
sim_memory_destroy(struct sim_memory *memory)
{
    if (!memory)
        return;
    munmap((void *)memory->base, memory->reserved);
    pthread_rwlock_destroy(&memory->lock);
    while (memory->holes) {
        struct hole *hole = memory->holes;

        memory->holes = hole->next;
        free(hole);
    }
    free(memory->ranges);
    free(memory);
}

/* Index of the first range that starts beyond the address. */
static size_t
upper_bound(const struct sim_memory *memory, uint64_t address)
{
    size_t low = 0, high = memory->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (memory->ranges[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Does the range, or mappings side by side, reach to the end of this piece? */
static bool
goes_on(const struct sim_memory *memory, size_t at, uint64_t address, uint64_t size)
{
    const struct range *range = &memory->ranges[at];

    while (range->start + range->size - address < size) {
        const struct range *next = at + 1 < memory->count ? &memory->ranges[++at] : NULL;

        if (!next || range->kind != RANGE_MAPPED || next->kind != RANGE_MAPPED ||
            next->start != range->start + range->size)
            return false;
        range = next;
    }
    return true;
}

static struct range *
find(const struct sim_memory *memory, uint64_t address, uint64_t size)
{
    size_t at = upper_bound(memory, address);
    struct range *range;

    if (!at)
        return NULL;
    range = &memory->ranges[at - 1];
    if (address - range->start >= range->size || !goes_on(memory, at - 1, address, size))
        return NULL;
    return range;
}

static bool
add(struct sim_memory *memory, const struct range *range)
{
    size_t at;

    if (memory->count == memory->capacity) {
        size_t capacity = memory->capacity ? memory->capacity * 2 : 64;
        struct range *ranges = realloc(memory->ranges, capacity * sizeof *ranges);

        if (!ranges)
            return false;
        memory->ranges = ranges;
        memory->capacity = capacity;
    }
    at = upper_bound(memory, range->start);
    memmove(&memory->ranges[at + 1], &memory->ranges[at], (memory->count - at) * sizeof *memory->ranges);
    memory->ranges[at] = *range;
    memory->count++;
    return true;
}

static const struct hole *
hole_in(const struct sim_memory *memory, uintptr_t start, size_t size)
{
    const struct hole *hole = memory->holes;

    while (hole && (hole->start >= start + size || start >= hole->start + hole->size))
        hole = hole->next;
    return hole;
}

/* First gap between the ranges from one address to the other that is large enough. */
static uintptr_t
find_gap_between(const struct sim_memory *memory, uintptr_t at, uintptr_t end, size_t mapped)
{
    size_t i = upper_bound(memory, at ? at - 1 : 0);
    const struct hole *hole;

    while (at < end) {
        const struct range *range = i < memory->count && memory->ranges[i].start < end ? &memory->ranges[i] : NULL;

        if (range && range->start < at + mapped + GUARD) {
            at = range->start + range->mapped + GUARD > at ? range->start + range->mapped + GUARD : at;
            i++;
        } else if ((hole = hole_in(memory, at, mapped + GUARD))) {
            at = hole->start + hole->size;
        } else {
            break;
        }
    }
    return at < end && end - at >= mapped + GUARD ? at : 0;
}

/* Code and its variables lie apart from what programs allocate. */
static uintptr_t
find_gap(const struct sim_memory *memory, enum range_kind kind, size_t mapped)
{
    uintptr_t middle = memory->base + memory->reserved / 4 * 3;

    return kind == RANGE_MODULE ? find_gap_between(memory, middle, memory->base + memory->reserved, mapped)
                                : find_gap_between(memory, memory->base, middle, mapped);
}

bool
sim_memory_reserve(struct sim_memory *memory, uintptr_t start, size_t size)
{
    struct hole *hole = malloc(sizeof *hole);
    bool taken;
    size_t at;

    if (!hole)
        return false;
    pthread_rwlock_wrlock(&memory->lock);
    at = upper_bound(memory, start);
    taken = start < memory->base || size > memory->base + memory->reserved - start ||
            (at && memory->ranges[at - 1].start + memory->ranges[at - 1].mapped > start) ||
            (at < memory->count && memory->ranges[at].start < start + size) || hole_in(memory, start, size);
    if (!taken) {
        *hole = (struct hole){memory->holes, start, size};
        memory->holes = hole;
    }
    pthread_rwlock_unlock(&memory->lock);
    if (taken)
        free(hole);
    return !taken;
}

void
sim_memory_unreserve(struct sim_memory *memory, uintptr_t start)
{
    struct hole **at = &memory->holes, *hole;

    pthread_rwlock_wrlock(&memory->lock);
    while (*at && (*at)->start != start)
        at = &(*at)->next;
    hole = *at;
    if (hole)
        *at = hole->next;
    pthread_rwlock_unlock(&memory->lock);
    free(hole);
}

CUresult
sim_memory_alloc(struct sim_memory *memory, enum range_kind kind, int device, struct sim_context *context, size_t size,
                 unsigned int flags, uintptr_t *start)
{
    struct range range = {.size = size, .kind = kind, .device = device, .context = context, .flags = flags};
    bool counted = kind != RANGE_HOST;
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;

    if (size == 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (size > memory->reserved / 2)
        return CUDA_ERROR_OUT_OF_MEMORY;
    range.mapped = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
    pthread_rwlock_wrlock(&memory->lock);
    if (counted && range.mapped > memory->total - memory->used[device])
        goto unlock;
    range.start = find_gap(memory, kind, range.mapped);
    if (!range.start)
        goto unlock;
    if (mmap((void *)range.start, range.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0) == MAP_FAILED)
        goto unlock;
    range.id = memory->next_id++;
    if (!add(memory, &range)) {
        mmap((void *)range.start, range.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
             0);
        goto unlock;
    }
    if (counted)
        memory->used[device] += range.mapped;
    *start = range.start;
    result = CUDA_SUCCESS;

unlock:
    pthread_rwlock_unlock(&memory->lock);
    return result;
}

CUresult
sim_memory_register(struct sim_memory *memory, int device, struct sim_context *context, void *start, size_t size,
                    unsigned int flags)
{
    struct range range = {.start = (uintptr_t)start,
                          .size = size,
                          .kind = RANGE_REGISTERED,
                          .device = device,
                          .context = context,
                          .flags = flags};
    CUresult result = CUDA_SUCCESS;
    size_t at;

    if (!start || !size || size > UINTPTR_MAX - (uintptr_t)start)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_wrlock(&memory->lock);
    at = upper_bound(memory, range.start);
    if ((at && memory->ranges[at - 1].start + memory->ranges[at - 1].size > range.start) ||
        (at < memory->count && memory->ranges[at].start < range.start + size)) {
        result = CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    } else {
        range.id = memory->next_id++;
        if (!add(memory, &range))
            result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_rwlock_unlock(&memory->lock);
    return result;
}

static void
drop(struct sim_memory *memory, size_t at)
{
    struct range *range = &memory->ranges[at];

    if (range->mapped)
        mmap((void *)range->start, range->mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
             -1, 0);
    if (range->kind != RANGE_HOST && range->kind != RANGE_REGISTERED)
        memory->used[range->device] -= range->mapped;
    memory->count--;
    memmove(range, range + 1, (memory->count - at) * sizeof *range);
}

CUresult
sim_memory_add(struct sim_memory *memory, enum range_kind kind, int device, uintptr_t start, size_t size)
{
    struct range range = {.start = start, .size = size, .kind = kind, .device = device};
    bool added;

    pthread_rwlock_wrlock(&memory->lock);
    range.id = memory->next_id++;
    added = add(memory, &range);
    pthread_rwlock_unlock(&memory->lock);
    return added ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

bool
sim_memory_charge(struct sim_memory *memory, int device, size_t bytes)
{
    bool fits;

    pthread_rwlock_wrlock(&memory->lock);
    fits = bytes <= memory->total - memory->used[device];
    if (fits)
        memory->used[device] += bytes;
    pthread_rwlock_unlock(&memory->lock);
    return fits;
}

void
sim_memory_refund(struct sim_memory *memory, int device, size_t bytes)
{
    pthread_rwlock_wrlock(&memory->lock);
    memory->used[device] -= bytes;
    pthread_rwlock_unlock(&memory->lock);
}

void
sim_memory_set_pool(struct sim_memory *memory, uintptr_t start, void *pool)
{
    struct range *range;

    pthread_rwlock_wrlock(&memory->lock);
    range = find(memory, start, 1);
    if (range)
        range->pool = pool;
    pthread_rwlock_unlock(&memory->lock);
}

void
sim_memory_set_reachable(struct sim_memory *memory, uintptr_t start, unsigned int devices)
{
    struct range *range;

    pthread_rwlock_wrlock(&memory->lock);
    range = find(memory, start, 1);
    if (range)
        range->reachable = devices;
    pthread_rwlock_unlock(&memory->lock);
}

CUresult
sim_memory_free(struct sim_memory *memory, enum range_kind kind, uintptr_t start)
{
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    size_t at;

    pthread_rwlock_wrlock(&memory->lock);
    at = upper_bound(memory, start);
    if (at && memory->ranges[at - 1].start == start) {
        enum range_kind found = memory->ranges[at - 1].kind;

        if (found == kind || (kind == RANGE_DEVICE && (found == RANGE_MANAGED || found == RANGE_POOLED))) {
            drop(memory, at - 1);
            result = CUDA_SUCCESS;
        }
    }
    pthread_rwlock_unlock(&memory->lock);
    return result;
}

void
sim_memory_free_context(struct sim_memory *memory, const struct sim_context *context)
{
    size_t i;

    pthread_rwlock_wrlock(&memory->lock);
    for (i = memory->count; i-- > 0;)
        if (memory->ranges[i].context == context)
            drop(memory, i);
    pthread_rwlock_unlock(&memory->lock);
}

bool
sim_memory_find(struct sim_memory *memory, uint64_t address, uint64_t size, uintptr_t *start, size_t *range_size)
{
    struct range *range;

    pthread_rwlock_rdlock(&memory->lock);
    range = find(memory, address, size);
    if (range) {
        *start = range->start;
        *range_size = range->size;
    }
    pthread_rwlock_unlock(&memory->lock);
    return range != NULL;
}

bool
sim_memory_range(struct sim_memory *memory, uint64_t address, struct range *copy)
{
    struct range *range;

    pthread_rwlock_rdlock(&memory->lock);
    range = find(memory, address, 1);
    if (range)
        *copy = *range;
    pthread_rwlock_unlock(&memory->lock);
    return range != NULL;
}

bool
sim_memory_is_foreign(const struct sim_memory *memory, uint64_t address, uint64_t size)
{
    uint64_t end = memory->base + memory->reserved;

    if (size > UINT64_MAX - address)
        return false;
    return address + size <= memory->base || address >= end;
}

size_t
sim_memory_total(const struct sim_memory *memory)
{
    return memory->total;
}

size_t
sim_memory_free_bytes(struct sim_memory *memory, int device)
{
    size_t bytes;

    pthread_rwlock_rdlock(&memory->lock);
    bytes = memory->total - memory->used[device];
    pthread_rwlock_unlock(&memory->lock);
    return bytes;
}
