/* SPDX-License-Identifier: MIT */
/*
 * Names of objects: which are taken, and what is known of some of them.
 *
 * Design notes: a bit per name, in memory that the system gives page by page as it is touched. The lowest free one is
 * given next, so that names stay small. Threads of a share group take and give back under its lock; asking needs none.
 */
#include <pthread.h>
#include <stdlib.h>

#include "gl_guest.h"

#define WORDS (GL_NAMES_MAX / 64)

struct space {
    _Atomic(_Atomic uint64_t *) taken; /* WORDS of them */
    uint32_t free;                     /* no word before has a free name */
};

struct gl_names {
    pthread_mutex_t lock;
    struct space spaces[GL_SPACES];
};

struct gl_share {
    atomic_uint references;
    struct gl_names *names;
    struct gl_table buffers;
};

struct gl_names *
gl_names_create(void)
{
    struct gl_names *names = calloc(1, sizeof(*names));

    if (names)
        pthread_mutex_init(&names->lock, NULL);
    return names;
}

void
gl_names_destroy(struct gl_names *names)
{
    if (!names)
        return;
    for (unsigned i = 0; i < GL_SPACES; i++)
        free(names->spaces[i].taken);
    pthread_mutex_destroy(&names->lock);
    free(names);
}

static struct gl_names *
names_of(const struct gl_context *gl, enum gl_space space)
{
    return space < GL_SPACE_SHARED ? gl->share->names : gl->state->names;
}

/* With the lock. */
static _Atomic uint64_t *
words(struct space *space)
{
    _Atomic uint64_t *taken = space->taken;

    if (!taken) {
        taken = calloc(WORDS, sizeof(*taken));
        if (!taken)
            return NULL;
        taken[0] = 1; /* 0 is no name */
        atomic_store_explicit(&space->taken, taken, memory_order_release);
    }
    return taken;
}

static bool
is_taken(const struct space *space, uint32_t name)
{
    _Atomic uint64_t *taken = atomic_load_explicit(&space->taken, memory_order_acquire);

    return taken && name < GL_NAMES_MAX &&
           (atomic_load_explicit(&taken[name / 64], memory_order_relaxed) >> name % 64 & 1);
}

bool
gl_names_taken(const struct gl_context *gl, enum gl_space space, uint32_t name)
{
    return is_taken(&names_of(gl, space)->spaces[space], name);
}

/* One name, or 0. With the lock. */
static uint32_t
take(struct space *space)
{
    _Atomic uint64_t *taken = words(space);

    for (uint32_t word = space->free; taken && word < WORDS; word++) {
        uint64_t bits = taken[word];

        space->free = word;
        if (~bits != 0) {
            uint32_t bit = (uint32_t)__builtin_ctzll(~bits);

            taken[word] = bits | 1ull << bit;
            return word * 64 + bit;
        }
    }
    return 0;
}

static void
release(struct space *space, uint32_t name)
{
    if (name == 0 || !is_taken(space, name))
        return;
    space->taken[name / 64] &= ~(1ull << name % 64);
    if (name / 64 < space->free)
        space->free = name / 64;
}

bool
gl_names_gen(struct gl_context *gl, enum gl_space space, int32_t n, uint32_t *out)
{
    struct gl_names *names = names_of(gl, space);
    int32_t made = 0;

    pthread_mutex_lock(&names->lock);
    while (made < n && (out[made] = take(&names->spaces[space])) != 0)
        made++;
    for (int32_t i = 0; made < n && i < made; i++)
        release(&names->spaces[space], out[i]);
    pthread_mutex_unlock(&names->lock);
    if (made < n)
        gl_error_set(GL_OUT_OF_MEMORY);
    return made == n;
}

uint32_t
gl_names_gen_range(struct gl_context *gl, enum gl_space space, uint32_t n)
{
    struct gl_names *names = names_of(gl, space);
    struct space *at = &names->spaces[space];
    uint32_t first = 1, length = 0;

    pthread_mutex_lock(&names->lock);
    if (!words(at))
        n = 0;
    for (uint32_t name = 1; name < GL_NAMES_MAX && length < n; name++) {
        if (is_taken(at, name)) {
            first = name + 1;
            length = 0;
        } else {
            length++;
        }
    }
    if (length < n)
        n = 0;
    for (uint32_t i = 0; i < n; i++)
        at->taken[(first + i) / 64] |= 1ull << (first + i) % 64;
    pthread_mutex_unlock(&names->lock);
    if (n == 0)
        gl_error_set(GL_OUT_OF_MEMORY);
    return n == 0 ? 0 : first;
}

void
gl_names_free(struct gl_context *gl, enum gl_space space, int32_t n, const uint32_t *gone)
{
    struct gl_names *names = names_of(gl, space);

    pthread_mutex_lock(&names->lock);
    for (int32_t i = 0; i < n; i++)
        release(&names->spaces[space], gone[i]);
    pthread_mutex_unlock(&names->lock);
}

void
gl_names_mark(struct gl_context *gl, enum gl_space space, uint32_t name)
{
    struct gl_names *names = names_of(gl, space);

    if (name >= GL_NAMES_MAX || is_taken(&names->spaces[space], name))
        return;
    pthread_mutex_lock(&names->lock);
    if (words(&names->spaces[space]))
        names->spaces[space].taken[name / 64] |= 1ull << name % 64;
    pthread_mutex_unlock(&names->lock);
}

/* ---- Tables ---------------------------------------------------------------------------------- */

void *
gl_table_find(const struct gl_table *table, uint32_t name)
{
    _Atomic(void *) *node;

    if (name >= GL_NAMES_MAX)
        return NULL;
    node = atomic_load_explicit(&table->nodes[name / GL_TABLE_NODES], memory_order_acquire);
    return node ? atomic_load_explicit(&node[name % GL_TABLE_NODES], memory_order_acquire) : NULL;
}

bool
gl_table_set(struct gl_table *table, uint32_t name, void *object)
{
    _Atomic(_Atomic(void *) *) *at;
    _Atomic(void *) *node, *fresh;

    if (name >= GL_NAMES_MAX)
        return false;
    at = &table->nodes[name / GL_TABLE_NODES];
    node = atomic_load_explicit(at, memory_order_acquire);
    if (!node) {
        fresh = calloc(GL_TABLE_NODES, sizeof(*fresh));
        if (!fresh)
            return false;
        if (atomic_compare_exchange_strong(at, &node, fresh))
            node = fresh;
        else
            free(fresh); /* another thread was first */
    }
    atomic_store_explicit(&node[name % GL_TABLE_NODES], object, memory_order_release);
    return true;
}

void
gl_table_finish(struct gl_table *table, void (*finish)(void *object))
{
    for (unsigned i = 0; i < GL_TABLE_NODES; i++) {
        _Atomic(void *) *node = table->nodes[i];

        for (unsigned k = 0; node && k < GL_TABLE_NODES; k++)
            if (node[k])
                finish(node[k]);
        free(node);
    }
}

/* ---- Share groups ---------------------------------------------------------------------------- */

struct gl_share *
gl_share_create(void)
{
    struct gl_share *share = calloc(1, sizeof(*share));

    if (!share)
        return NULL;
    atomic_init(&share->references, 1);
    share->names = gl_names_create();
    if (share->names)
        return share;
    free(share);
    return NULL;
}

struct gl_share *
gl_share_ref(struct gl_share *share)
{
    atomic_fetch_add(&share->references, 1);
    return share;
}

static void
finish_buffer(void *object)
{
    struct gl_buffer *buffer = object;

    gpuvchan_buffer_destroy(buffer->mapping);
    free(buffer->map_sent);
    free(buffer);
}

void
gl_share_unref(struct gl_share *share)
{
    if (!share || atomic_fetch_sub(&share->references, 1) != 1)
        return;
    gl_table_finish(&share->buffers, finish_buffer);
    gl_names_destroy(share->names);
    free(share);
}

struct gl_table *
gl_share_buffers(struct gl_share *share)
{
    return &share->buffers;
}
