/* SPDX-License-Identifier: MIT */
/*
 * Maps from numbers to numbers: trees of fixed depth, 11, 11 and 10 bits of the key, whose nodes are made at the first
 * use and stay. So look-ups need no lock. A guest that spreads its names widely pays with memory of its own worker.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "names.h"

#define ROOT_BITS 11
#define LEAF_BITS 10
#define ROOT_NODES (1u << ROOT_BITS)
#define LEAF_NUMBERS (1u << LEAF_BITS)

struct leaf {
    _Atomic uint64_t numbers[LEAF_NUMBERS];
};

struct middle {
    _Atomic(struct leaf *) leaves[ROOT_NODES];
};

struct map {
    _Atomic(struct middle *) middles[ROOT_NODES];
};

struct gl_names_group {
    atomic_uint references;
    pthread_mutex_t lock; /* changes */
    _Atomic(struct map *) to_driver[GL_SPACES], to_guest[GL_SPACES];
};

struct gl_names_group *
gl_names_create(void)
{
    struct gl_names_group *names = calloc(1, sizeof(*names));

    if (!names)
        return NULL;
    atomic_init(&names->references, 1);
    pthread_mutex_init(&names->lock, NULL);
    return names;
}

struct gl_names_group *
gl_names_ref(struct gl_names_group *names)
{
    atomic_fetch_add(&names->references, 1);
    return names;
}

static void
free_map(struct map *map)
{
    if (!map)
        return;
    for (unsigned i = 0; i < ROOT_NODES; i++) {
        struct middle *middle = map->middles[i];

        for (unsigned k = 0; middle && k < ROOT_NODES; k++)
            free(middle->leaves[k]);
        free(middle);
    }
    free(map);
}

void
gl_names_unref(struct gl_names_group *names)
{
    if (!names || atomic_fetch_sub(&names->references, 1) != 1)
        return;
    for (unsigned space = 0; space < GL_SPACES; space++) {
        free_map(names->to_driver[space]);
        free_map(names->to_guest[space]);
    }
    pthread_mutex_destroy(&names->lock);
    free(names);
}

static _Atomic uint64_t *
find(_Atomic(struct map *) const *at, uint32_t key)
{
    struct map *map = atomic_load_explicit(at, memory_order_acquire);
    struct middle *middle;
    struct leaf *leaf;

    if (!map)
        return NULL;
    middle = atomic_load_explicit(&map->middles[key >> (32 - ROOT_BITS)], memory_order_acquire);
    if (!middle)
        return NULL;
    leaf = atomic_load_explicit(&middle->leaves[key >> LEAF_BITS & (ROOT_NODES - 1)], memory_order_acquire);
    return leaf ? &leaf->numbers[key & (LEAF_NUMBERS - 1)] : NULL;
}

/* The same, with what is missing made; the lock is held. NULL: no memory. */
static _Atomic uint64_t *
make(_Atomic(struct map *) *at, uint32_t key)
{
    struct map *map = *at;
    struct middle *middle;
    struct leaf *leaf;
    unsigned root = key >> (32 - ROOT_BITS), branch = key >> LEAF_BITS & (ROOT_NODES - 1);

    if (!map) {
        map = calloc(1, sizeof(*map));
        if (!map)
            return NULL;
        atomic_store_explicit(at, map, memory_order_release);
    }
    middle = map->middles[root];
    if (!middle) {
        middle = calloc(1, sizeof(*middle));
        if (!middle)
            return NULL;
        atomic_store_explicit(&map->middles[root], middle, memory_order_release);
    }
    leaf = middle->leaves[branch];
    if (!leaf) {
        leaf = calloc(1, sizeof(*leaf));
        if (!leaf)
            return NULL;
        atomic_store_explicit(&middle->leaves[branch], leaf, memory_order_release);
    }
    return &leaf->numbers[key & (LEAF_NUMBERS - 1)];
}

static uint64_t
number(const _Atomic uint64_t *at)
{
    return at ? atomic_load_explicit(at, memory_order_acquire) : 0;
}

uint32_t
gl_names_find(const struct gl_names_group *names, enum gl_space space, uint32_t name)
{
    return (uint32_t)number(find(&names->to_driver[space], name));
}

uint32_t
gl_names_find_guest(const struct gl_names_group *names, enum gl_space space, uint32_t name)
{
    return (uint32_t)number(find(&names->to_guest[space], name));
}

int
gl_names_insert(struct gl_names_group *names, enum gl_space space, uint32_t name, uint32_t driver)
{
    _Atomic uint64_t *there, *back, *stale;
    int error = 0;

    pthread_mutex_lock(&names->lock);
    there = make(&names->to_driver[space], name);
    back = make(&names->to_guest[space], driver);
    if (!there || !back) {
        error = -ENOMEM;
    } else if (number(there) != 0) {
        error = -EEXIST;
    } else {
        /* The driver gives a name again whose object has ended in a way that we did not see. */
        stale = *back != 0 ? find(&names->to_driver[space], (uint32_t)*back) : NULL;
        if (stale && *stale == driver)
            *stale = 0;
        atomic_store_explicit(back, name, memory_order_release);
        atomic_store_explicit(there, driver, memory_order_release);
    }
    pthread_mutex_unlock(&names->lock);
    return error;
}

uint32_t
gl_names_remove(struct gl_names_group *names, enum gl_space space, uint32_t name)
{
    _Atomic uint64_t *there, *back;
    uint64_t driver = 0;

    pthread_mutex_lock(&names->lock);
    there = find(&names->to_driver[space], name);
    if (there)
        driver = atomic_exchange(there, 0);
    back = driver != 0 ? find(&names->to_guest[space], (uint32_t)driver) : NULL;
    if (back && *back == name)
        *back = 0;
    pthread_mutex_unlock(&names->lock);
    return (uint32_t)driver;
}

int
gl_names_insert_sync(struct gl_names_group *names, uint32_t name, void *sync)
{
    _Atomic uint64_t *there;
    int error = -ENOMEM;

    pthread_mutex_lock(&names->lock);
    there = make(&names->to_driver[GL_SPACE_SYNC], name);
    if (there) {
        error = *there != 0 ? -EEXIST : 0;
        if (error == 0)
            atomic_store_explicit(there, (uintptr_t)sync, memory_order_release);
    }
    pthread_mutex_unlock(&names->lock);
    return error;
}

void *
gl_names_find_sync(const struct gl_names_group *names, uint32_t name)
{
    return (void *)(uintptr_t)number(find(&names->to_driver[GL_SPACE_SYNC], name));
}

void *
gl_names_remove_sync(struct gl_names_group *names, uint32_t name)
{
    _Atomic uint64_t *there = find(&names->to_driver[GL_SPACE_SYNC], name);

    return there ? (void *)(uintptr_t)atomic_exchange(there, 0) : NULL;
}
