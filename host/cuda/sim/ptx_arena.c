/* SPDX-License-Identifier: MIT */
/*
 * Memory, names and maps for the PTX tree. Maps are open addressing with
 * linear probing, at most two thirds full; key ~0 marks a free place and is
 * never asked for.
 */
#include "ptx.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ptx_chunk {
    struct ptx_chunk *next;
    _Alignas(16) unsigned char bytes[];
};

#define CHUNK 65536

void *
ptx_arena_alloc(struct ptx_arena *arena, size_t size)
{
    struct ptx_chunk *chunk;
    size_t want;

    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + 15) & ~(size_t)15;
    if (!arena->chunks || arena->size - arena->used < size) {
        want = size > CHUNK ? size : CHUNK;
        chunk = malloc(sizeof *chunk + want);
        if (!chunk)
            return NULL;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->used = 0;
        arena->size = want;
    }
    void *memory = arena->chunks->bytes + arena->used;
    arena->used += size;
    memset(memory, 0, size);
    return memory;
}

void
ptx_arena_finish(struct ptx_arena *arena)
{
    while (arena->chunks) {
        struct ptx_chunk *next = arena->chunks->next;

        free(arena->chunks);
        arena->chunks = next;
    }
    arena->used = arena->size = 0;
}

void *
ptx_array_add(struct ptx_arena *arena, struct ptx_array *array, size_t element)
{
    if (array->count == array->capacity) {
        uint32_t capacity = array->capacity ? array->capacity * 2 : 8;
        void *data;

        if (array->capacity > UINT32_MAX / 4)
            return NULL;
        data = ptx_arena_alloc(arena, (size_t)capacity * element);
        if (!data)
            return NULL;
        if (array->count)
            memcpy(data, array->data, (size_t)array->count * element);
        array->data = data;
        array->capacity = capacity;
    }
    return (char *)array->data + (size_t)array->count++ * element;
}

static uint64_t
hash64(uint64_t key)
{
    key ^= key >> 31;
    key *= 0x9e3779b97f4a7c15ull;
    return key ^ key >> 29;
}

static uint32_t
map_place(const struct ptx_map *map, uint64_t key)
{
    uint32_t at = (uint32_t)hash64(key) & (map->capacity - 1);

    while (map->keys[at] != UINT64_MAX && map->keys[at] != key)
        at = (at + 1) & (map->capacity - 1);
    return at;
}

uint32_t
ptx_map_get(const struct ptx_map *map, uint64_t key)
{
    uint32_t at;

    if (!map->capacity)
        return PTX_NONE;
    at = map_place(map, key);
    return map->keys[at] == key ? map->values[at] : PTX_NONE;
}

static bool
map_grow(struct ptx_map *map)
{
    struct ptx_map bigger = {.capacity = map->capacity ? map->capacity * 2 : 64};
    uint32_t i;

    if (map->capacity > UINT32_MAX / 4)
        return false;
    bigger.keys = malloc(bigger.capacity * sizeof *bigger.keys);
    bigger.values = malloc(bigger.capacity * sizeof *bigger.values);
    if (!bigger.keys || !bigger.values) {
        ptx_map_finish(&bigger);
        return false;
    }
    memset(bigger.keys, 0xff, bigger.capacity * sizeof *bigger.keys);
    for (i = 0; i < map->capacity; i++)
        if (map->keys[i] != UINT64_MAX) {
            uint32_t at = map_place(&bigger, map->keys[i]);

            bigger.keys[at] = map->keys[i];
            bigger.values[at] = map->values[i];
        }
    bigger.count = map->count;
    ptx_map_finish(map);
    *map = bigger;
    return true;
}

bool
ptx_map_put(struct ptx_map *map, uint64_t key, uint32_t value)
{
    uint32_t at;

    if (map->count >= map->capacity / 3 * 2 && !map_grow(map))
        return false;
    at = map_place(map, key);
    map->count += map->keys[at] != key;
    map->keys[at] = key;
    map->values[at] = value;
    return true;
}

void
ptx_map_finish(struct ptx_map *map)
{
    free(map->keys);
    free(map->values);
    memset(map, 0, sizeof *map);
}

static uint32_t
hash_text(const char *text, size_t length)
{
    uint32_t hash = 2166136261u;
    size_t i;

    for (i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return hash;
}

static bool
names_grow(struct ptx_names *names, struct ptx_arena *arena)
{
    uint32_t capacity = names->capacity ? names->capacity * 2 : 256;
    uint32_t *buckets, i, at;

    if (names->capacity > UINT32_MAX / 4)
        return false;
    buckets = ptx_arena_alloc(arena, capacity * sizeof *buckets);
    if (!buckets)
        return false;
    for (i = 0; i < names->texts.count; i++) {
        const char *text = ptx_names_text(names, i);

        at = hash_text(text, strlen(text)) & (capacity - 1);
        while (buckets[at])
            at = (at + 1) & (capacity - 1);
        buckets[at] = i + 1;
    }
    names->buckets = buckets;
    names->capacity = capacity;
    return true;
}

uint32_t
ptx_names_intern(struct ptx_names *names, struct ptx_arena *arena, const char *text, size_t length)
{
    uint32_t at;
    char *copy;
    const char **place;

    if (names->texts.count >= names->capacity / 3 * 2 && !names_grow(names, arena))
        return PTX_NONE;
    at = hash_text(text, length) & (names->capacity - 1);
    for (; names->buckets[at]; at = (at + 1) & (names->capacity - 1)) {
        const char *known = ptx_names_text(names, names->buckets[at] - 1);

        if (strncmp(known, text, length) == 0 && known[length] == '\0')
            return names->buckets[at] - 1;
    }
    copy = ptx_arena_alloc(arena, length + 1);
    place = copy ? ptx_array_add(arena, &names->texts, sizeof *place) : NULL;
    if (!place)
        return PTX_NONE;
    memcpy(copy, text, length);
    *place = copy;
    names->buckets[at] = names->texts.count;
    return names->texts.count - 1;
}

const char *
ptx_names_text(const struct ptx_names *names, uint32_t name)
{
    return name == PTX_NONE ? "" : ((const char **)names->texts.data)[name];
}

void
ptx_log_set(struct ptx_log *log, bool unsupported, unsigned int line, const char *format, ...)
{
    va_list args;
    int used;

    if (log->text[0])
        return; /* the first fault is the one to tell */
    log->unsupported = unsupported;
    used = snprintf(log->text, sizeof log->text, "line %u: ", line);
    va_start(args, format);
    vsnprintf(log->text + used, sizeof log->text - (size_t)used, format, args);
    va_end(args);
}
