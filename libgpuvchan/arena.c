/* SPDX-License-Identifier: MIT */
/*
 * Arena extents: first fit over a list of free extents in order of address. Buffers are few, large and
 * long-lived (pinned memory, staging slots), so a list serves; nothing on a hot path allocates here.
 */
#include "arena.h"

#include <errno.h>
#include <stdlib.h>

#include "error.h"

struct gpuvchan__extent {
    uint64_t offset, bytes;
    struct gpuvchan__extent *next;
};

static struct gpuvchan__extent *
extent_create(uint64_t offset, uint64_t bytes, struct gpuvchan__extent *next)
{
    struct gpuvchan__extent *extent = malloc(sizeof(*extent));

    if (extent)
        *extent = (struct gpuvchan__extent){.offset = offset, .bytes = bytes, .next = next};
    return extent;
}

int
gpuvchan__arena_init(struct gpuvchan__arena *arena, uint64_t bytes)
{
    pthread_mutex_init(&arena->lock, NULL);
    arena->free = extent_create(0, bytes, NULL);
    return arena->free ? 0 : gpuvchan__error(-ENOMEM, "out of memory");
}

void
gpuvchan__arena_finish(struct gpuvchan__arena *arena)
{
    while (arena->free) {
        struct gpuvchan__extent *extent = arena->free;

        arena->free = extent->next;
        free(extent);
    }
    pthread_mutex_destroy(&arena->lock);
}

int
gpuvchan__arena_take(struct gpuvchan__arena *arena, uint64_t *bytes, uint64_t *offset)
{
    uint64_t need = (*bytes + ARENA_GRAIN - 1) & ~(uint64_t)(ARENA_GRAIN - 1);
    int error = -ENOMEM;

    if (need < *bytes)
        return error;
    pthread_mutex_lock(&arena->lock);
    for (struct gpuvchan__extent **at = &arena->free; *at; at = &(*at)->next) {
        struct gpuvchan__extent *extent = *at;

        if (extent->bytes < need)
            continue;
        *offset = extent->offset;
        *bytes = need;
        extent->offset += need;
        extent->bytes -= need;
        if (extent->bytes == 0) {
            *at = extent->next;
            free(extent);
        }
        error = 0;
        break;
    }
    pthread_mutex_unlock(&arena->lock);
    return error;
}

int
gpuvchan__arena_give(struct gpuvchan__arena *arena, uint64_t offset, uint64_t bytes)
{
    struct gpuvchan__extent **at = &arena->free, *before = NULL;
    int error = 0;

    pthread_mutex_lock(&arena->lock);
    while (*at && (*at)->offset < offset) {
        before = *at;
        at = &before->next;
    }
    if (before && before->offset + before->bytes == offset) {
        before->bytes += bytes;
    } else {
        struct gpuvchan__extent *extent = extent_create(offset, bytes, *at);

        if (extent)
            *at = before = extent;
        else
            error = -ENOMEM;
    }
    if (error == 0 && before->next && before->offset + before->bytes == before->next->offset) {
        struct gpuvchan__extent *after = before->next;

        before->bytes += after->bytes;
        before->next = after->next;
        free(after);
    }
    pthread_mutex_unlock(&arena->lock);
    return error;
}
