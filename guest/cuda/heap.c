/* SPDX-License-Identifier: MIT */
/*
 * Design notes: each chunk has its unused extents in an array, by address, no two of them side by side. The lowest
 * that is large enough serves, which keeps the high chunks empty. An upper bound of its largest extent lets a
 * search pass over a chunk. The array has room for the extents that frees can make, so a free cannot fail: between
 * and around n allocations there are at most n + 1.
 */
#include "heap.h"

#include <stdlib.h>
#include <string.h>

struct extent {
    uint64_t start, bytes;
};

struct cuda_guest_heap_chunk {
    uint64_t start, bytes;
    struct extent *unused; /* by address */
    size_t count, room;
    size_t allocations;
    uint64_t largest; /* no unused extent is larger */
};

static uint64_t
rounded(uint64_t bytes)
{
    return (bytes + CUDA_GUEST_HEAP_GRAIN - 1) / CUDA_GUEST_HEAP_GRAIN * CUDA_GUEST_HEAP_GRAIN;
}

void
cuda_guest_heap_finish(struct cuda_guest_heap *heap)
{
    for (size_t i = 0; i < heap->count; i++)
        free(heap->chunks[i].unused);
    free(heap->chunks);
    *heap = (struct cuda_guest_heap){0};
}

/* How many chunks begin at or before @p address. */
static size_t
chunks_before(const struct cuda_guest_heap *heap, uint64_t address)
{
    size_t low = 0, high = heap->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (heap->chunks[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool
chunks_grow(struct cuda_guest_heap *heap)
{
    size_t room = heap->room ? heap->room * 2 : 8;
    struct cuda_guest_heap_chunk *chunks;

    if (heap->count < heap->room)
        return true;
    chunks = realloc(heap->chunks, room * sizeof(*chunks));
    if (!chunks)
        return false;
    heap->chunks = chunks;
    heap->room = room;
    return true;
}

/* Room for @p count unused extents. */
static bool
extents_grow(struct cuda_guest_heap_chunk *chunk, size_t count)
{
    size_t room = chunk->room ? chunk->room * 2 : 4;
    struct extent *unused;

    if (count <= chunk->room)
        return true;
    while (room < count)
        room *= 2;
    unused = realloc(chunk->unused, room * sizeof(*unused));
    if (!unused)
        return false;
    chunk->unused = unused;
    chunk->room = room;
    return true;
}

bool
cuda_guest_heap_add(struct cuda_guest_heap *heap, uint64_t start, uint64_t bytes)
{
    struct cuda_guest_heap_chunk chunk = {.start = start, .bytes = bytes, .count = 1, .largest = bytes};
    size_t at = chunks_before(heap, start);

    if (bytes == 0 || (at > 0 && start - heap->chunks[at - 1].start < heap->chunks[at - 1].bytes) ||
        (at < heap->count && heap->chunks[at].start - start < bytes))
        return false;
    if (!chunks_grow(heap) || !extents_grow(&chunk, 1))
        return false;
    chunk.unused[0] = (struct extent){start, bytes};
    memmove(&heap->chunks[at + 1], &heap->chunks[at], (heap->count - at) * sizeof(chunk));
    heap->chunks[at] = chunk;
    heap->count++;
    heap->unused += bytes;
    return true;
}

/* ---- Within a chunk -------------------------------------------------------------------------- */

static void
extent_remove(struct cuda_guest_heap_chunk *chunk, size_t at)
{
    chunk->count--;
    memmove(&chunk->unused[at], &chunk->unused[at + 1], (chunk->count - at) * sizeof(struct extent));
}

static bool
chunk_alloc(struct cuda_guest_heap_chunk *chunk, uint64_t bytes, uint64_t *address)
{
    uint64_t largest = 0;

    if (bytes > chunk->largest || !extents_grow(chunk, chunk->allocations + 2))
        return false;
    for (size_t i = 0; i < chunk->count; i++) {
        struct extent *extent = &chunk->unused[i];

        if (extent->bytes >= bytes) {
            *address = extent->start;
            extent->start += bytes;
            extent->bytes -= bytes;
            if (extent->bytes == 0)
                extent_remove(chunk, i);
            chunk->allocations++;
            return true;
        }
        largest = extent->bytes > largest ? extent->bytes : largest;
    }
    chunk->largest = largest;
    return false;
}

/* How many unused extents begin before @p address. */
static size_t
extents_before(const struct cuda_guest_heap_chunk *chunk, uint64_t address)
{
    size_t low = 0, high = chunk->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (chunk->unused[middle].start < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Makes it one with the extents that it touches. */
static void
chunk_free(struct cuda_guest_heap_chunk *chunk, uint64_t address, uint64_t bytes)
{
    size_t at = extents_before(chunk, address);
    struct extent *unused = chunk->unused;
    bool before = at > 0 && unused[at - 1].start + unused[at - 1].bytes == address;
    bool behind = at < chunk->count && address + bytes == unused[at].start;

    chunk->allocations--;
    if (before) {
        at--;
        unused[at].bytes += bytes;
        if (behind) {
            unused[at].bytes += unused[at + 1].bytes;
            extent_remove(chunk, at + 1);
        }
    } else if (behind) {
        unused[at].start = address;
        unused[at].bytes += bytes;
    } else {
        memmove(&unused[at + 1], &unused[at], (chunk->count - at) * sizeof(*unused));
        unused[at] = (struct extent){address, bytes};
        chunk->count++;
    }
    if (unused[at].bytes > chunk->largest)
        chunk->largest = unused[at].bytes;
}

/* ---- Over all of them ------------------------------------------------------------------------ */

bool
cuda_guest_heap_alloc(struct cuda_guest_heap *heap, uint64_t bytes, uint64_t *address)
{
    if (bytes == 0 || bytes > heap->unused)
        return false;
    bytes = rounded(bytes);
    for (size_t i = 0; i < heap->count; i++)
        if (chunk_alloc(&heap->chunks[i], bytes, address)) {
            heap->unused -= bytes;
            return true;
        }
    return false;
}

void
cuda_guest_heap_free(struct cuda_guest_heap *heap, uint64_t address, uint64_t bytes)
{
    size_t at = chunks_before(heap, address);

    bytes = rounded(bytes);
    if (at == 0 || address - heap->chunks[at - 1].start >= heap->chunks[at - 1].bytes)
        return;
    chunk_free(&heap->chunks[at - 1], address, bytes);
    heap->unused += bytes;
}

bool
cuda_guest_heap_take_unused(struct cuda_guest_heap *heap, uint64_t keep, uint64_t *start, uint64_t *bytes)
{
    uint64_t empty = 0;
    size_t last = 0;

    for (size_t i = 0; i < heap->count; i++)
        if (heap->chunks[i].allocations == 0) {
            empty += heap->chunks[i].bytes;
            last = i;
        }
    if (empty <= keep)
        return false;
    *start = heap->chunks[last].start;
    *bytes = heap->chunks[last].bytes;
    heap->unused -= *bytes;
    free(heap->chunks[last].unused);
    heap->count--;
    memmove(&heap->chunks[last], &heap->chunks[last + 1], (heap->count - last) * sizeof(*heap->chunks));
    return true;
}
