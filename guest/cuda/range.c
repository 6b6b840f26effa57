/* SPDX-License-Identifier: MIT */
/*
 * The ranges of addresses that the application has been given: allocations, variables, pinned memory.
 *
 * Design notes: a red-black tree from the C library, in which two ranges compare as equal if they overlap; looking
 * an address up is looking for a range of one byte. Readers copy out what they find, so nothing of
 * it can go away under them. A list beside it finds all ranges of a context.
 */
#include <search.h>
#include <stdlib.h>

#include "guest.h"

struct node {
    struct cuda_guest_range range; /* first */
    struct node *newer, *older;
};

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static void *tree;
static struct node *newest;
static uint64_t ids;

static int
compare(const void *left, const void *right)
{
    const struct cuda_guest_range *a = left, *b = right;

    if (a->start + a->bytes <= b->start)
        return -1;
    return a->start >= b->start + b->bytes;
}

static struct node *
find(uint64_t address)
{
    struct cuda_guest_range key = {.start = address, .bytes = 1};
    struct node **found = tfind(&key, &tree, compare);

    return found ? *found : NULL;
}

/* With the lock. */
static void
take_out(struct node *node)
{
    tdelete(&node->range, &tree, compare);
    if (node->newer)
        node->newer->older = node->older;
    else
        newest = node->older;
    if (node->older)
        node->older->newer = node->newer;
}

/* With the lock. */
static CUresult
put_in(struct node *node)
{
    struct node **at = tsearch(&node->range, &tree, compare);

    if (!at)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (*at != node)
        return CUDA_ERROR_ALREADY_MAPPED;
    node->range.id = ++ids;
    node->older = newest;
    if (newest)
        newest->newer = node;
    newest = node;
    return CUDA_SUCCESS;
}

/* A graph that had the address is gone, of which the host tells later. With the lock. */
static void
forget_stale(const struct cuda_guest_range *range)
{
    struct node **found, *node;

    while ((found = tfind(range, &tree, compare)) && (node = *found)->range.kind == CUDA_GUEST_GRAPH) {
        take_out(node);
        free(node);
    }
}

CUresult
cuda_guest_range_add(const struct cuda_guest_range *range)
{
    struct node *node = malloc(sizeof(*node));
    CUresult result;

    if (!node)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *node = (struct node){.range = *range};
    pthread_rwlock_wrlock(&lock);
    result = put_in(node);
    if (result == CUDA_ERROR_ALREADY_MAPPED) {
        forget_stale(range);
        result = put_in(node);
    }
    pthread_rwlock_unlock(&lock);
    if (result != CUDA_SUCCESS)
        free(node);
    return result;
}

/* Takes out all of a graph's that overlap @p range, which grows to hold them. With the lock. */
static void
swallow(struct cuda_guest_range *range)
{
    struct node **found, *node;

    while ((found = tfind(range, &tree, compare)) && (node = *found)->range.kind == CUDA_GUEST_GRAPH) {
        uint64_t end = range->start + range->bytes, its_end = node->range.start + node->range.bytes;

        range->others += 1 + node->range.others;
        if (node->range.start < range->start)
            range->start = node->range.start;
        range->bytes = (its_end > end ? its_end : end) - range->start;
        take_out(node);
        free(node);
    }
}

CUresult
cuda_guest_range_join(const struct cuda_guest_range *range)
{
    struct node *node = malloc(sizeof(*node));
    CUresult result;

    if (!node)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *node = (struct node){.range = *range};
    pthread_rwlock_wrlock(&lock);
    swallow(&node->range);
    result = put_in(node);
    pthread_rwlock_unlock(&lock);
    if (result != CUDA_SUCCESS)
        free(node);
    return result;
}

void
cuda_guest_range_leave(uint64_t address)
{
    struct node *node;

    pthread_rwlock_wrlock(&lock);
    node = find(address);
    if (node && (node->range.kind != CUDA_GUEST_GRAPH || node->range.others != 0)) {
        node->range.others -= node->range.kind == CUDA_GUEST_GRAPH;
        node = NULL;
    }
    if (node)
        take_out(node);
    pthread_rwlock_unlock(&lock);
    free(node);
}

bool
cuda_guest_range_find(uint64_t address, struct cuda_guest_range *out)
{
    struct node *node;

    pthread_rwlock_rdlock(&lock);
    node = find(address);
    if (node)
        *out = node->range;
    pthread_rwlock_unlock(&lock);
    return node != NULL;
}

bool
cuda_guest_range_take(uint64_t address, enum cuda_guest_range_kind kind, struct cuda_guest_range *out)
{
    struct node *node;

    pthread_rwlock_wrlock(&lock);
    node = find(address);
    if (node && (node->range.start != address || node->range.kind != kind))
        node = NULL;
    if (node) {
        take_out(node);
        *out = node->range;
    }
    pthread_rwlock_unlock(&lock);
    free(node);
    return node != NULL;
}

bool
cuda_guest_range_touches(uint64_t address, uint64_t bytes, enum cuda_guest_range_kind kind)
{
    struct cuda_guest_range key = {.start = address, .bytes = bytes};
    struct node **found;
    bool touches;

    pthread_rwlock_rdlock(&lock);
    found = tfind(&key, &tree, compare);
    touches = found && (*found)->range.kind == kind;
    pthread_rwlock_unlock(&lock);
    return touches;
}

bool
cuda_guest_range_touched(uint64_t address, uint64_t bytes)
{
    struct cuda_guest_range key = {.start = address, .bytes = bytes};
    bool touched;

    pthread_rwlock_rdlock(&lock);
    touched = tfind(&key, &tree, compare) != NULL;
    pthread_rwlock_unlock(&lock);
    return touched;
}

bool
cuda_guest_range_take_of(const struct cuda_guest_context *context, const struct cuda_guest_module *module,
                         struct cuda_guest_range *out)
{
    struct node *node;

    pthread_rwlock_wrlock(&lock);
    for (node = newest; node; node = node->older)
        if (module ? node->range.module == module : node->range.context == context)
            break;
    if (node) {
        take_out(node);
        *out = node->range;
    }
    pthread_rwlock_unlock(&lock);
    free(node);
    return node != NULL;
}

bool
cuda_guest_range_holds(const struct cuda_guest_range *range, uint64_t address, uint64_t bytes)
{
    struct cuda_guest_range last = *range;

    while (bytes > last.start + last.bytes - address) {
        uint64_t end = last.start + last.bytes;

        if (last.kind != CUDA_GUEST_MAPPED || !cuda_guest_range_find(end, &last) || last.start != end ||
            last.kind != CUDA_GUEST_MAPPED)
            return false;
    }
    return true;
}

CUresult
cuda_guest_range_check(uint64_t address, uint64_t bytes)
{
    struct cuda_guest_range range;

    if (!cuda_guest_range_find(address, &range))
        return CUDA_ERROR_INVALID_VALUE;
    if (cuda_guest_range_is_pinned(&range) && range.kind != CUDA_GUEST_ALIAS &&
        range.device != range.start) /* the device knows it by its alias */
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_range_holds(&range, address, bytes) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
