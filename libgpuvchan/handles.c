/* SPDX-License-Identifier: MIT */
/*
 * Handle tables.
 *
 * Design notes: entries live in chunks that are allocated when first needed and never move or go away, so
 * that a look-up is a few loads of one line and comparisons, without a lock. An entry's tag (generation and kind) is
 * stored after its object (release) and read before it (acquire); removal clears the tag. Each filling of
 * an entry has a number of its own, which a reader finds the same before and after: so what is found always
 * had this handle and kind, also when a hostile guest binds one handle again and again to other kinds. A
 * reader that loses the race against a removal may still get the object: whoever frees objects orders that
 * himself (records of one lane are in order; across lanes the ticket order holds, unless the guest lies).
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <gpuvchan/protocol.h>

#include "error.h"

#define INDEX_BITS 20u
#define INDEX_COUNT (1u << INDEX_BITS)
#define CHUNK_BITS 10u
#define CHUNK_COUNT (1u << CHUNK_BITS)
#define CHUNKS (INDEX_COUNT / CHUNK_COUNT)

struct entry {
    _Atomic uint32_t tag; /* kind << 16 | generation + 1; 0: empty */
    uint32_t next_free;   /* of the assigning side: list of indices to use again */
    _Atomic(void *) object;
    _Atomic uint64_t born; /* order of creation; never the same again */
    uint16_t generation;
};

struct gpuvchan_handles {
    pthread_mutex_t lock;
    _Atomic(struct entry *) chunks[CHUNKS];
    uint64_t births;
    uint32_t unused; /* lowest index never assigned */
    uint32_t free;   /* head of the list; 0: none */
    uint32_t free_tail;
};

static uint32_t
tag_of(uint32_t handle, uint16_t kind)
{
    return (uint32_t)kind << 16 | ((handle >> INDEX_BITS) + 1);
}

static struct entry *
entry_find(const struct gpuvchan_handles *handles, uint32_t handle)
{
    uint32_t index = handle & (INDEX_COUNT - 1);
    struct entry *chunk = atomic_load_explicit(&handles->chunks[index / CHUNK_COUNT], memory_order_acquire);

    return chunk && index ? &chunk[index % CHUNK_COUNT] : NULL;
}

/* With the lock held. */
static struct entry *
entry_make(struct gpuvchan_handles *handles, uint32_t handle)
{
    uint32_t index = handle & (INDEX_COUNT - 1);
    struct entry *chunk;

    if (!entry_find(handles, index)) {
        chunk = calloc(CHUNK_COUNT, sizeof(*chunk));
        if (!chunk)
            return NULL;
        atomic_store_explicit(&handles->chunks[index / CHUNK_COUNT], chunk, memory_order_release);
    }
    return entry_find(handles, index);
}

static void
entry_fill(struct gpuvchan_handles *handles, struct entry *entry, uint32_t tag, void *object)
{
    /* Pairs with the first load in gpuvchan_handles_lookup(): who sees the number sees the removal's tag 0, or ours. */
    atomic_store_explicit(&entry->born, ++handles->births, memory_order_release);
    atomic_store_explicit(&entry->object, object, memory_order_release);
    atomic_store_explicit(&entry->tag, tag, memory_order_release);
}

int
gpuvchan_handles_create(struct gpuvchan_handles **out)
{
    struct gpuvchan_handles *handles = calloc(1, sizeof(*handles));

    if (!handles)
        return gpuvchan__error(-ENOMEM, "out of memory");
    pthread_mutex_init(&handles->lock, NULL);
    handles->unused = GPUVCHAN_HANDLES_RESERVED;
    *out = handles;
    return 0;
}

void
gpuvchan_handles_destroy(struct gpuvchan_handles *handles)
{
    if (!handles)
        return;
    for (uint32_t i = 0; i < CHUNKS; i++)
        free(atomic_load_explicit(&handles->chunks[i], memory_order_relaxed));
    pthread_mutex_destroy(&handles->lock);
    free(handles);
}

/* Those that were inserted again, in a fresh process, are in use. With the lock held. */
static void
pass_inserted(struct gpuvchan_handles *handles)
{
    const struct entry *entry;

    while (!handles->free && handles->unused < INDEX_COUNT && (entry = entry_find(handles, handles->unused)) &&
           atomic_load_explicit(&entry->tag, memory_order_relaxed) != 0)
        handles->unused++;
}

int
gpuvchan_handles_assign(struct gpuvchan_handles *handles, uint16_t kind, void *object, uint32_t *handle)
{
    struct entry *entry = NULL;
    uint32_t index;
    int error = 0;

    if (!object || kind == 0)
        return gpuvchan__error(-EINVAL, "a handle needs an object and a kind");
    pthread_mutex_lock(&handles->lock);
    pass_inserted(handles);
    index = handles->free ? handles->free : handles->unused;
    if (index >= INDEX_COUNT)
        error = gpuvchan__error(-ENOSPC, "all %u handles are in use", INDEX_COUNT);
    else if (!(entry = entry_make(handles, index)))
        error = gpuvchan__error(-ENOMEM, "out of memory");
    if (error == 0) {
        if (index == handles->unused)
            handles->unused++;
        else
            handles->free = entry->next_free;
        *handle = index | (uint32_t)entry->generation << INDEX_BITS;
        entry_fill(handles, entry, tag_of(*handle, kind), object);
    }
    pthread_mutex_unlock(&handles->lock);
    return error;
}

int
gpuvchan_handles_insert(struct gpuvchan_handles *handles, uint32_t handle, uint16_t kind, void *object)
{
    struct entry *entry;
    int error = 0;

    if (!object || kind == 0 || (handle & (INDEX_COUNT - 1)) == 0)
        return gpuvchan__error(-EINVAL, "handle 0x%x of kind %u cannot be bound", handle, kind);
    pthread_mutex_lock(&handles->lock);
    entry = entry_make(handles, handle);
    if (!entry)
        error = gpuvchan__error(-ENOMEM, "out of memory");
    else if (atomic_load_explicit(&entry->tag, memory_order_relaxed) != 0)
        error = gpuvchan__error(-EEXIST, "handle 0x%x is bound already", handle);
    if (error == 0) {
        entry->generation = (uint16_t)(handle >> INDEX_BITS);
        entry_fill(handles, entry, tag_of(handle, kind), object);
    }
    pthread_mutex_unlock(&handles->lock);
    return error;
}

void *
gpuvchan_handles_lookup(const struct gpuvchan_handles *handles, uint32_t handle, uint16_t kind)
{
    struct entry *entry = entry_find(handles, handle);
    uint64_t born;
    void *object;

    if (!entry)
        return NULL;
    born = atomic_load_explicit(&entry->born, memory_order_acquire);
    if (atomic_load_explicit(&entry->tag, memory_order_acquire) != tag_of(handle, kind))
        return NULL;
    /* Pairs with the release in entry_fill(): an object that came later shows its later number. */
    object = atomic_load_explicit(&entry->object, memory_order_acquire);
    return atomic_load_explicit(&entry->born, memory_order_relaxed) == born ? object : NULL;
}

void *
gpuvchan_handles_remove(struct gpuvchan_handles *handles, uint32_t handle, uint16_t kind)
{
    struct entry *entry;
    void *object = NULL;
    uint32_t index = handle & (INDEX_COUNT - 1);

    pthread_mutex_lock(&handles->lock);
    entry = entry_find(handles, handle);
    if (entry && atomic_load_explicit(&entry->tag, memory_order_relaxed) == tag_of(handle, kind)) {
        object = atomic_load_explicit(&entry->object, memory_order_relaxed);
        atomic_store_explicit(&entry->tag, 0, memory_order_release);
        entry->generation = (entry->generation + 1) & 0xfff;
        if (index >= GPUVCHAN_HANDLES_RESERVED && index < handles->unused) { /* it was assigned here */
            entry->next_free = 0;
            /* First out, last used again: a stale handle stays recognisable for long. */
            struct entry *tail = handles->free ? entry_find(handles, handles->free_tail) : NULL;

            if (tail)
                tail->next_free = index;
            else
                handles->free = index;
            handles->free_tail = index;
        }
    }
    pthread_mutex_unlock(&handles->lock);
    return object;
}

struct birth {
    uint64_t born;
    uint32_t handle;
    uint16_t kind;
    void *object;
};

static int
birth_compare(const void *a, const void *b)
{
    const struct birth *x = a, *y = b;

    return (x->born > y->born) - (x->born < y->born);
}

void
gpuvchan_handles_visit(struct gpuvchan_handles *handles,
                       void (*visit)(void *context, uint32_t handle, uint16_t kind, void *object), void *context)
{
    struct birth *births = NULL;
    size_t count = 0, room = 0;

    for (uint32_t i = 0; i < CHUNKS; i++) {
        struct entry *chunk = atomic_load_explicit(&handles->chunks[i], memory_order_acquire);

        for (uint32_t j = 0; chunk && j < CHUNK_COUNT; j++) {
            uint32_t tag = atomic_load_explicit(&chunk[j].tag, memory_order_acquire);

            if (tag == 0)
                continue;
            if (count == room) {
                struct birth *more = realloc(births, (room = room ? room * 2 : 64) * sizeof(*births));

                if (!more)
                    goto out;
                births = more;
            }
            births[count++] = (struct birth){
                .born = atomic_load_explicit(&chunk[j].born, memory_order_relaxed),
                .handle = (i * CHUNK_COUNT + j) | ((tag & 0xffff) - 1) << INDEX_BITS,
                .kind = (uint16_t)(tag >> 16),
                .object = atomic_load_explicit(&chunk[j].object, memory_order_relaxed),
            };
        }
    }
    if (count > 0)
        qsort(births, count, sizeof(*births), birth_compare);
    for (size_t i = 0; i < count; i++)
        visit(context, births[i].handle, births[i].kind, births[i].object);
out:
    free(births);
}
