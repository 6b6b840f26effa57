/* SPDX-License-Identifier: MIT */
/*
 * Design notes: an allocation's pages are spans of the same hints, by address; a change splits the spans at its
 * two ends. Programs give hints for whole allocations or a few large parts, so there are few.
 */
#include "hints.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 4096u

struct span {
    uint64_t start; /* to that of the next, or the end */
    struct cuda_guest_hints hints;
};

struct allocation {
    struct allocation *next;
    uint64_t start, end;
    struct span *spans;
    size_t count, room;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct allocation *allocations;

static uint64_t
page_of(uint64_t address)
{
    return address & ~(uint64_t)(PAGE - 1);
}

static uint64_t
pages_end(uint64_t address)
{
    return page_of(address + PAGE - 1);
}

CUresult
cuda_guest_hints_create(uint64_t start, uint64_t bytes)
{
    struct allocation *allocation = calloc(1, sizeof(*allocation));
    struct span *spans = calloc(4, sizeof(*spans));

    if (!allocation || !spans) {
        free(allocation);
        free(spans);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    spans[0].start = start;
    *allocation =
        (struct allocation){.start = start, .end = pages_end(start + bytes), .spans = spans, .count = 1, .room = 4};
    pthread_mutex_lock(&lock);
    allocation->next = allocations;
    allocations = allocation;
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}

void
cuda_guest_hints_destroy(uint64_t start)
{
    struct allocation **at = &allocations, *found;

    pthread_mutex_lock(&lock);
    while (*at && (*at)->start != start)
        at = &(*at)->next;
    found = *at;
    if (found) {
        *at = found->next;
        free(found->spans);
        free(found);
    }
    pthread_mutex_unlock(&lock);
}

/* With the lock. */
static struct allocation *
find(uint64_t address, uint64_t bytes)
{
    struct allocation *allocation = allocations;

    while (allocation &&
           (address < allocation->start || address >= allocation->end || bytes > allocation->end - address))
        allocation = allocation->next;
    return allocation;
}

/* The span that begins at @p address, made if there is none. There is room for it. */
static size_t
split(struct allocation *allocation, uint64_t address)
{
    size_t at = 0;

    while (at < allocation->count && allocation->spans[at].start < address)
        at++;
    if (address >= allocation->end || (at < allocation->count && allocation->spans[at].start == address))
        return at;
    memmove(&allocation->spans[at + 1], &allocation->spans[at], (allocation->count - at) * sizeof(struct span));
    allocation->spans[at] = allocation->spans[at - 1];
    allocation->spans[at].start = address;
    allocation->count++;
    return at;
}

static bool
make_room(struct allocation *allocation)
{
    struct span *spans;

    if (allocation->count + 2 <= allocation->room)
        return true;
    spans = realloc(allocation->spans, allocation->room * 2 * sizeof(*spans));
    if (!spans)
        return false;
    allocation->spans = spans;
    allocation->room *= 2;
    return true;
}

CUresult
cuda_guest_hints_set(uint64_t address, uint64_t bytes, cuda_guest_hints_change *change, const void *wanted)
{
    struct allocation *allocation;
    CUresult result = CUDA_ERROR_INVALID_VALUE;

    pthread_mutex_lock(&lock);
    allocation = find(address, bytes);
    if (allocation && !make_room(allocation)) {
        result = CUDA_ERROR_OUT_OF_MEMORY;
    } else if (allocation) {
        size_t first = split(allocation, page_of(address)), end = split(allocation, pages_end(address + bytes));

        for (size_t i = first; i < end; i++)
            change(&allocation->spans[i].hints, wanted);
        result = CUDA_SUCCESS;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

static void
unite(CUmemLocation *all, const CUmemLocation *one)
{
    if (all->type != one->type || all->id != one->id)
        *all = (CUmemLocation){.type = CU_MEM_LOCATION_TYPE_INVALID};
}

bool
cuda_guest_hints_get(uint64_t address, uint64_t bytes, struct cuda_guest_hints *hints)
{
    const struct allocation *allocation;
    bool first = true;

    pthread_mutex_lock(&lock);
    allocation = find(address, bytes);
    for (size_t i = 0; allocation && i < allocation->count; i++) {
        const struct cuda_guest_hints *span = &allocation->spans[i].hints;
        uint64_t end = i + 1 < allocation->count ? allocation->spans[i + 1].start : allocation->end;

        if (end <= address || allocation->spans[i].start >= address + bytes)
            continue;
        if (first)
            *hints = *span;
        first = false;
        hints->read_mostly &= span->read_mostly;
        hints->accessed_by &= span->accessed_by;
        hints->accessed_by_host &= span->accessed_by_host;
        unite(&hints->preferred, &span->preferred);
        unite(&hints->prefetched, &span->prefetched);
    }
    pthread_mutex_unlock(&lock);
    return !first;
}
