/* SPDX-License-Identifier: MIT */
#include "ranges.h"

#include <stdlib.h>
#include <string.h>

void
cuda_ranges_init(struct cuda_ranges *ranges)
{
    *ranges = (struct cuda_ranges){0};
    pthread_rwlock_init(&ranges->lock, NULL);
}

void
cuda_ranges_finish(struct cuda_ranges *ranges)
{
    pthread_rwlock_destroy(&ranges->lock);
    free(ranges->items);
}

/* How many ranges start at or before @p address. */
static size_t
count_before(const struct cuda_ranges *ranges, CUdeviceptr address)
{
    size_t low = 0, high = ranges->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (ranges->items[middle]->start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool
make_room(struct cuda_ranges *ranges)
{
    struct cuda_range **grown;
    size_t room;

    if (ranges->count < ranges->room)
        return true;
    room = ranges->room ? ranges->room * 2 : 64;
    grown = realloc(ranges->items, room * sizeof(struct cuda_range *));
    if (!grown)
        return false;
    ranges->items = grown;
    ranges->room = room;
    return true;
}

static int
insert(struct cuda_ranges *ranges, struct cuda_range *range)
{
    size_t at = count_before(ranges, range->start);

    if (range->bytes == 0 || range->bytes > UINT64_MAX - range->start)
        return CUDA_ERROR_INVALID_VALUE;
    if (at > 0 && range->start - ranges->items[at - 1]->start < ranges->items[at - 1]->bytes)
        return CUDA_ERROR_ALREADY_MAPPED;
    if (at < ranges->count && ranges->items[at]->start - range->start < range->bytes)
        return CUDA_ERROR_ALREADY_MAPPED;
    if (!make_room(ranges))
        return CUDA_ERROR_OUT_OF_MEMORY;
    memmove(&ranges->items[at + 1], &ranges->items[at], (ranges->count - at) * sizeof(struct cuda_range *));
    ranges->items[at] = range;
    ranges->count++;
    return 0;
}

int
cuda_ranges_insert(struct cuda_ranges *ranges, struct cuda_range *range)
{
    int result;

    pthread_rwlock_wrlock(&ranges->lock);
    result = insert(ranges, range);
    pthread_rwlock_unlock(&ranges->lock);
    return result;
}

/* With the lock. */
static void
remove_at(struct cuda_ranges *ranges, size_t at)
{
    memmove(&ranges->items[at], &ranges->items[at + 1], (ranges->count - at - 1) * sizeof(struct cuda_range *));
    ranges->count--;
}

bool
cuda_ranges_remove(struct cuda_ranges *ranges, const struct cuda_range *range)
{
    bool found;
    size_t at;

    pthread_rwlock_wrlock(&ranges->lock);
    at = count_before(ranges, range->start);
    found = at > 0 && ranges->items[at - 1] == range;
    if (found)
        remove_at(ranges, at - 1);
    pthread_rwlock_unlock(&ranges->lock);
    return found;
}

struct cuda_range *
cuda_ranges_take(struct cuda_ranges *ranges, CUdeviceptr address, uint64_t bytes, enum cuda_range_use use)
{
    struct cuda_range *range = NULL;
    size_t at;

    pthread_rwlock_wrlock(&ranges->lock);
    at = count_before(ranges, address);
    if (at > 0 && address - ranges->items[at - 1]->start < ranges->items[at - 1]->bytes)
        at--;
    if (at < ranges->count && ranges->items[at]->use == use &&
        (ranges->items[at]->start <= address || ranges->items[at]->start - address < bytes)) {
        range = ranges->items[at];
        remove_at(ranges, at);
    }
    pthread_rwlock_unlock(&ranges->lock);
    return range;
}

/* Do the mappings behind that before @p at go on, side by side in the same reservation, to the end? */
static bool
go_on(const struct cuda_ranges *ranges, size_t at, CUdeviceptr address, uint64_t bytes)
{
    const struct cuda_range *last = ranges->items[at - 1];
    const struct cuda_object *owner = atomic_load_explicit(&last->object.owner, memory_order_relaxed);

    while (last->use == CUDA_RANGE_MAPPED && bytes > last->start - address + last->bytes) {
        const struct cuda_range *next = at < ranges->count ? ranges->items[at++] : NULL;

        if (!next || next->start != last->start + last->bytes ||
            atomic_load_explicit(&next->object.owner, memory_order_relaxed) != owner)
            return false;
        last = next;
    }
    return last->use == CUDA_RANGE_MAPPED;
}

struct cuda_range *
cuda_ranges_find(const struct cuda_ranges *ranges, CUdeviceptr address, uint64_t bytes)
{
    size_t at = count_before(ranges, address);
    struct cuda_range *range = at > 0 ? ranges->items[at - 1] : NULL;

    if (!range || address - range->start >= range->bytes || !cuda_object_alive(&range->object))
        return NULL;
    return bytes <= range->bytes - (address - range->start) || go_on(ranges, at, address, bytes) ? range : NULL;
}

bool
cuda_rows_extent(uint64_t pitch, uint64_t width, uint64_t height, uint64_t *extent)
{
    uint64_t before;

    if (width == 0 || height == 0) {
        *extent = 0;
        return true;
    }
    if (height > 1 && pitch < width)
        return false;
    return !__builtin_mul_overflow(pitch, height - 1, &before) && !__builtin_add_overflow(before, width, extent);
}
