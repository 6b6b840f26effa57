/* SPDX-License-Identifier: MIT */
/* The guest's division of device memory, against a map of every grain. */
#include <stdbool.h>
#include <string.h>

#include "check.h"

#include "../../guest/cuda/heap.h"

#define GRAIN CUDA_GUEST_HEAP_GRAIN
#define CHUNKS 6u
#define CHUNK_GRAINS 64u
#define STRIDE 100u /* from one chunk's place to the next, in grains: so that chunks of odd places do not touch */
#define BASE 0x400000000000ull
#define LIVE 256u

enum state {
    NOWHERE,
    UNUSED,
    USED
};

struct live {
    uint64_t address, bytes;
};

static unsigned char map[CHUNKS * STRIDE]; /* enum state of each grain */
static struct live live[LIVE];
static size_t live_count;
static struct cuda_guest_heap heap;

static size_t
grains(uint64_t bytes)
{
    return (size_t)((bytes + GRAIN - 1) / GRAIN);
}

static size_t
count(enum state state)
{
    size_t found = 0;

    for (size_t i = 0; i < sizeof(map); i++)
        found += map[i] == (unsigned char)state;
    return found;
}

/* The lowest grain from which @p wanted are unused in one chunk, or the map's end. */
static size_t
lowest(size_t wanted)
{
    size_t run = 0;

    for (size_t i = 0; i < sizeof(map); i++) {
        run = map[i] == UNUSED && (run == 0 || i % STRIDE != 0) ? run + 1 : map[i] == UNUSED;
        if (run == wanted)
            return i + 1 - wanted;
    }
    return sizeof(map);
}

static void
alloc_some(void)
{
    uint64_t bytes = 1 + (uint64_t)(rand() % (rand() % 4 ? 4 * (int)GRAIN : (int)(CHUNK_GRAINS * GRAIN)));
    size_t wanted = grains(bytes), place = lowest(wanted);
    uint64_t address = 1;
    bool got;

    if (live_count == LIVE)
        return;
    got = cuda_guest_heap_alloc(&heap, bytes, &address);
    assert_int_equal(got, place < sizeof(map));
    if (!got)
        return;
    assert_true(address == BASE + place * GRAIN);
    memset(&map[place], USED, wanted);
    live[live_count++] = (struct live){address, bytes};
}

static void
free_some(void)
{
    struct live gone;
    size_t at;

    if (live_count == 0)
        return;
    at = (size_t)rand() % live_count;
    gone = live[at];
    live[at] = live[--live_count];
    cuda_guest_heap_free(&heap, gone.address, gone.bytes);
    memset(&map[(gone.address - BASE) / GRAIN], UNUSED, grains(gone.bytes));
}

static void
add_some(void)
{
    size_t place = (size_t)rand() % CHUNKS * STRIDE;
    bool is_new = map[place] == NOWHERE;

    assert_int_equal(cuda_guest_heap_add(&heap, BASE + place * GRAIN, CHUNK_GRAINS * GRAIN), is_new);
    if (is_new)
        memset(&map[place], UNUSED, CHUNK_GRAINS);
}

/* The highest chunk of which nothing is used. */
static size_t
highest_empty(void)
{
    for (size_t i = CHUNKS; i-- > 0;)
        if (map[i * STRIDE] == UNUSED && !memchr(&map[i * STRIDE], USED, CHUNK_GRAINS))
            return i * STRIDE;
    return sizeof(map);
}

static void
take_some(void)
{
    size_t place = highest_empty();
    uint64_t start = 0, bytes = 0;
    bool got = cuda_guest_heap_take_unused(&heap, 0, &start, &bytes);

    assert_int_equal(got, place < sizeof(map));
    if (!got)
        return;
    assert_true(start == BASE + place * GRAIN && bytes == CHUNK_GRAINS * GRAIN);
    memset(&map[place], NOWHERE, CHUNK_GRAINS);
}

static void
begin(void)
{
    memset(map, NOWHERE, sizeof(map));
    live_count = 0;
    heap = (struct cuda_guest_heap){0};
}

static void
agrees_with_a_map(void **state)
{
    (void)state;
    for (unsigned round = 0; round < check_rounds(40); round++) {
        begin();
        srand(round);
        for (unsigned step = 0; step < 3000; step++) {
            int what = rand() % 100;

            if (what < 48)
                alloc_some();
            else if (what < 94)
                free_some();
            else if (what < 98)
                add_some();
            else
                take_some();
            assert_true(heap.unused == count(UNUSED) * GRAIN);
        }
        cuda_guest_heap_finish(&heap);
    }
}

static void
keeps_what_it_is_told_to(void **state)
{
    uint64_t start, bytes, address;

    (void)state;
    begin();
    assert_true(cuda_guest_heap_add(&heap, BASE, 4 * GRAIN));
    assert_true(cuda_guest_heap_add(&heap, BASE + 8 * GRAIN, 4 * GRAIN));
    assert_false(cuda_guest_heap_take_unused(&heap, 8 * GRAIN, &start, &bytes));
    assert_true(cuda_guest_heap_take_unused(&heap, 4 * GRAIN, &start, &bytes));
    assert_true(start == BASE + 8 * GRAIN);
    assert_false(cuda_guest_heap_take_unused(&heap, 4 * GRAIN, &start, &bytes));
    assert_true(cuda_guest_heap_alloc(&heap, 1, &address));
    assert_false(cuda_guest_heap_take_unused(&heap, 0, &start, &bytes));
    cuda_guest_heap_free(&heap, address, 1);
    assert_true(cuda_guest_heap_take_unused(&heap, 0, &start, &bytes));
    assert_true(heap.unused == 0);
    cuda_guest_heap_finish(&heap);
}

static void
refuses(void **state)
{
    uint64_t address;

    (void)state;
    begin();
    assert_false(cuda_guest_heap_alloc(&heap, 1, &address));
    assert_false(cuda_guest_heap_add(&heap, BASE, 0));
    assert_true(cuda_guest_heap_add(&heap, BASE, 4 * GRAIN));
    assert_false(cuda_guest_heap_add(&heap, BASE + 3 * GRAIN, 4 * GRAIN));
    assert_false(cuda_guest_heap_add(&heap, BASE - GRAIN, 2 * GRAIN));
    assert_false(cuda_guest_heap_alloc(&heap, 0, &address));
    assert_false(cuda_guest_heap_alloc(&heap, UINT64_MAX, &address));
    assert_false(cuda_guest_heap_alloc(&heap, 4 * GRAIN + 1, &address));
    assert_true(cuda_guest_heap_alloc(&heap, 4 * GRAIN, &address));
    assert_true(address == BASE);
    cuda_guest_heap_finish(&heap);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_map),
        cmocka_unit_test(keeps_what_it_is_told_to),
        cmocka_unit_test(refuses),
    };

    check_begin();
    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
