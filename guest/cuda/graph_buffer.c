/* SPDX-License-Identifier: MIT */
/*
 * Buffers in the arena, through which graphs copy pageable memory.
 *
 * Design notes: they are pinned, since the host's driver may copy memory that is not when the graph is launched, or
 * through memory of its own, while the guest's part of the copy is done when the graph gets there. Captures forbid to
 * pin, but to threads that say that they know better; and who hears that a graph is gone cannot unpin, which wants a
 * context and may wait for the device. So a buffer is pinned once and serves one graph after the other.
 */
#include <stdlib.h>

#include "graph.h"

#define KEEP_BYTES (16u << 20) /* unused ones */
#define SLACK 65536u           /* no buffer is more than twice as large as what it serves, and this */

struct cuda_guest_graph_buffer {
    struct cuda_guest_graph_buffer *next; /* of the unused ones */
    struct gpuvchan_buffer *memory;
    struct cuda_guest_context *context; /* that it is pinned in, for all */
    uint32_t life;                      /* of that context */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cuda_guest_graph_buffer *unused;

struct gpuvchan_buffer *
cuda_guest_graph_buffer_memory(const struct cuda_guest_graph_buffer *buffer)
{
    return buffer->memory;
}

/* The end of the context that it was pinned in has unpinned it. */
static bool
is_pinned(const struct cuda_guest_graph_buffer *buffer)
{
    return atomic_load(&buffer->context->wire) == buffer->life;
}

static void
buffer_free(struct cuda_guest_graph_buffer *buffer)
{
    gpuvchan_buffer_destroy(buffer->memory);
    free(buffer);
}

static struct gpuvchan_reference
all_of(const struct cuda_guest_graph_buffer *buffer)
{
    return (struct gpuvchan_reference){.offset = gpuvchan_buffer_offset(buffer->memory),
                                       .bytes = gpuvchan_buffer_size(buffer->memory)};
}

/* ---- Pinning --------------------------------------------------------------------------------- */

static CUresult
pin(struct cuda_guest_thread *self, struct cuda_guest_graph_buffer *buffer)
{
    CUdeviceptr address = 0;
    CUresult result = cuda_guest_settle(self), restored;

    if (result == CUDA_SUCCESS)
        result = cuda_guest_capture_relax(self);
    if (result != CUDA_SUCCESS)
        return result;
    buffer->context = cuda_guest_current(self);
    buffer->life = self->told;
    result = cuda_guest_result(
        cuda_host_register_on(&cuda_guest.client, self->lane, all_of(buffer), CU_MEMHOSTALLOC_PORTABLE, &address));
    restored = cuda_guest_capture_restore(self);
    return result == CUDA_SUCCESS ? restored : result;
}

/* What the host cannot unpin stays the arena's loss. */
static void
unpin(struct cuda_guest_thread *self, struct cuda_guest_graph_buffer *buffer)
{
    if (!is_pinned(buffer) || cuda_host_unregister_on(&cuda_guest.client, self->lane, all_of(buffer)) == 0)
        buffer_free(buffer);
}

/* Gives back unused buffers until no more than @p keep bytes are left. */
static bool
trim(struct cuda_guest_thread *self, size_t keep)
{
    struct cuda_guest_graph_buffer *buffer, *list = NULL, **at;
    size_t bytes = 0;
    bool some = false;

    pthread_mutex_lock(&lock);
    for (at = &unused; (buffer = *at);) {
        bytes += gpuvchan_buffer_size(buffer->memory);
        if (bytes <= keep) {
            at = &buffer->next;
            continue;
        }
        *at = buffer->next;
        buffer->next = list;
        list = buffer;
    }
    pthread_mutex_unlock(&lock);
    if (!list || cuda_guest_capture_relax(self) != CUDA_SUCCESS)
        return false;
    for (; (buffer = list); some = true) {
        list = buffer->next;
        unpin(self, buffer);
    }
    return cuda_guest_capture_restore(self) == CUDA_SUCCESS && some;
}

/* ---- Taking and returning -------------------------------------------------------------------- */

static bool
serves(const struct cuda_guest_graph_buffer *buffer, size_t bytes)
{
    size_t size = gpuvchan_buffer_size(buffer->memory);

    return is_pinned(buffer) && size >= bytes && size / 2 <= bytes + SLACK;
}

static struct cuda_guest_graph_buffer *
take_unused(size_t bytes)
{
    struct cuda_guest_graph_buffer *buffer, **at = &unused;

    pthread_mutex_lock(&lock);
    while ((buffer = *at) && !serves(buffer, bytes))
        at = &buffer->next;
    if (buffer)
        *at = buffer->next;
    pthread_mutex_unlock(&lock);
    return buffer;
}

CUresult
cuda_guest_graph_buffer_take(struct cuda_guest_thread *self, size_t bytes, struct cuda_guest_graph_buffer **out)
{
    struct cuda_guest_graph_buffer *buffer = take_unused(bytes);
    CUresult result;

    if (buffer) {
        *out = buffer;
        return CUDA_SUCCESS;
    }
    trim(self, KEEP_BYTES);
    buffer = calloc(1, sizeof(*buffer));
    if (!buffer)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (gpuvchan_buffer_create(cuda_guest.channel, bytes, &buffer->memory) != 0 &&
        (!trim(self, 0) || gpuvchan_buffer_create(cuda_guest.channel, bytes, &buffer->memory) != 0)) {
        free(buffer);
        return cuda_guest_arena_exhausted("a graph's copy of pageable memory", bytes);
    }
    result = pin(self, buffer);
    if (result == CUDA_SUCCESS)
        *out = buffer;
    else
        buffer_free(buffer);
    return result;
}

void
cuda_guest_graph_buffer_return(struct cuda_guest_graph_buffer *buffer)
{
    pthread_mutex_lock(&lock);
    buffer->next = unused;
    unused = buffer;
    pthread_mutex_unlock(&lock);
}
