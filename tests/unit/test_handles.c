/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>

#include <gpuvchan/protocol.h>

#include "check.h"

#define INDEX(handle) ((handle)&0xfffffu)
#define GENERATION(handle) ((handle) >> 20)

static int things[4096];

static struct gpuvchan_handles *
table(void)
{
    struct gpuvchan_handles *handles;

    assert_int_equal(gpuvchan_handles_create(&handles), 0);
    return handles;
}

static void
kinds(void **state)
{
    struct gpuvchan_handles *handles = table();
    uint32_t a, b;

    (void)state;
    assert_int_equal(gpuvchan_handles_assign(handles, 1, &things[1], &a), 0);
    assert_int_equal(gpuvchan_handles_assign(handles, 0xffff, &things[2], &b), 0);
    assert_true(INDEX(a) >= GPUVCHAN_HANDLES_RESERVED && a != b);
    assert_ptr_equal(gpuvchan_handles_lookup(handles, a, 1), &things[1]);
    assert_ptr_equal(gpuvchan_handles_lookup(handles, b, 0xffff), &things[2]);
    assert_null(gpuvchan_handles_lookup(handles, a, 2));
    assert_null(gpuvchan_handles_lookup(handles, a, 0));
    assert_null(gpuvchan_handles_lookup(handles, b, 1));
    assert_null(gpuvchan_handles_lookup(handles, 0, 1));
    assert_null(gpuvchan_handles_lookup(handles, 0, 0));
    assert_null(gpuvchan_handles_lookup(handles, UINT32_MAX, 1));
    assert_null(gpuvchan_handles_lookup(handles, a + 2, 0));
    assert_null(gpuvchan_handles_remove(handles, a, 2));
    assert_ptr_equal(gpuvchan_handles_remove(handles, a, 1), &things[1]);
    assert_null(gpuvchan_handles_remove(handles, a, 1));
    assert_null(gpuvchan_handles_lookup(handles, a, 1));
    gpuvchan_handles_destroy(handles);
    gpuvchan_handles_destroy(NULL);
}

/* A fresh process has some of them from the one before. */
static void
inserted_again(void **state)
{
    const uint32_t first = GPUVCHAN_HANDLES_RESERVED;
    struct gpuvchan_handles *handles = table();
    uint32_t given[3];

    (void)state;
    assert_int_equal(gpuvchan_handles_insert(handles, first | 5u << 20, 1, &things[1]), 0);
    assert_int_equal(gpuvchan_handles_insert(handles, first + 2, 1, &things[2]), 0);
    assert_int_equal(gpuvchan_handles_assign(handles, 1, &things[3], &given[0]), 0);
    assert_int_equal(gpuvchan_handles_assign(handles, 1, &things[4], &given[1]), 0);
    assert_true(INDEX(given[0]) == first + 1 && INDEX(given[1]) == first + 3);
    assert_ptr_equal(gpuvchan_handles_lookup(handles, first | 5u << 20, 1), &things[1]);
    assert_ptr_equal(gpuvchan_handles_lookup(handles, first + 2, 1), &things[2]);
    /* What is used again is told from what was before. */
    assert_ptr_equal(gpuvchan_handles_remove(handles, first | 5u << 20, 1), &things[1]);
    assert_int_equal(gpuvchan_handles_assign(handles, 1, &things[5], &given[2]), 0);
    assert_int_equal(given[2], first | 6u << 20);
    gpuvchan_handles_destroy(handles);
}

static void
wrong_arguments(void **state)
{
    struct gpuvchan_handles *handles = table();
    uint32_t handle = 7;

    (void)state;
    assert_int_equal(gpuvchan_handles_assign(handles, 0, &things[0], &handle), -EINVAL);
    assert_int_equal(gpuvchan_handles_assign(handles, 1, NULL, &handle), -EINVAL);
    assert_int_equal(handle, 7);
    assert_int_equal(gpuvchan_handles_insert(handles, 0, 1, &things[0]), -EINVAL);
    assert_int_equal(gpuvchan_handles_insert(handles, 5u << 20, 1, &things[0]), -EINVAL);
    assert_int_equal(gpuvchan_handles_insert(handles, 5, 0, &things[0]), -EINVAL);
    assert_int_equal(gpuvchan_handles_insert(handles, 5, 1, NULL), -EINVAL);
    gpuvchan_handles_destroy(handles);
}

/* A stale handle is not taken for its successor, for all 4096 generations of an index. */
static void
generations(void **state)
{
    struct gpuvchan_handles *handles = table();
    uint32_t handle, first = 0, before = 0;

    (void)state;
    for (unsigned i = 0; i < 4096; i++) {
        assert_int_equal(gpuvchan_handles_assign(handles, 3, &things[i], &handle), 0);
        if (i == 0)
            first = handle;
        else
            assert_null(gpuvchan_handles_lookup(handles, before, 3));
        assert_int_equal(INDEX(handle), INDEX(first));
        assert_int_equal(GENERATION(handle), i);
        assert_ptr_equal(gpuvchan_handles_lookup(handles, handle, 3), &things[i]);
        assert_ptr_equal(gpuvchan_handles_remove(handles, handle, 3), &things[i]);
        before = handle;
    }
    assert_int_equal(gpuvchan_handles_assign(handles, 3, &things[0], &handle), 0);
    assert_int_equal(handle, first);
    gpuvchan_handles_destroy(handles);
}

/* The index given back first is used again first: a stale handle is recognised for long. */
static void
reuse(void **state)
{
    struct gpuvchan_handles *handles = table();
    uint32_t given[100], again;

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(gpuvchan_handles_assign(handles, 1, &things[i], &given[i]), 0);
    for (unsigned i = 0; i < 100; i += 2)
        assert_ptr_equal(gpuvchan_handles_remove(handles, given[i], 1), &things[i]);
    for (unsigned i = 0; i < 100; i += 2) {
        assert_int_equal(gpuvchan_handles_assign(handles, 2, &things[i], &again), 0);
        assert_int_equal(INDEX(again), INDEX(given[i]));
        assert_int_equal(GENERATION(again), 1);
        assert_null(gpuvchan_handles_lookup(handles, given[i], 1));
        assert_null(gpuvchan_handles_lookup(handles, given[i], 2));
        assert_ptr_equal(gpuvchan_handles_lookup(handles, given[i + 1], 1), &things[i + 1]);
    }
    assert_int_equal(gpuvchan_handles_assign(handles, 1, &things[0], &again), 0);
    assert_int_equal(INDEX(again), INDEX(given[99]) + 1);
    gpuvchan_handles_destroy(handles);
}

static void
host_side(void **state)
{
    struct gpuvchan_handles *handles = table();
    static const uint32_t chosen[] = {1, 15, 16, 1023, 1024, 0xfffff, 0xfff00020, 0x12345678};

    (void)state;
    for (unsigned i = 0; i < sizeof(chosen) / sizeof(chosen[0]); i++) {
        assert_int_equal(gpuvchan_handles_insert(handles, chosen[i], 4, &things[i]), 0);
        assert_int_equal(gpuvchan_handles_insert(handles, chosen[i], 4, &things[99]), -EEXIST);
        assert_int_equal(gpuvchan_handles_insert(handles, chosen[i] ^ 0x100000, 5, &things[99]), -EEXIST);
    }
    for (unsigned i = 0; i < sizeof(chosen) / sizeof(chosen[0]); i++) {
        assert_ptr_equal(gpuvchan_handles_lookup(handles, chosen[i], 4), &things[i]);
        assert_null(gpuvchan_handles_lookup(handles, chosen[i] ^ 0x100000, 4));
        assert_ptr_equal(gpuvchan_handles_remove(handles, chosen[i], 4), &things[i]);
        assert_int_equal(gpuvchan_handles_insert(handles, chosen[i], 6, &things[i]), 0);
        assert_null(gpuvchan_handles_lookup(handles, chosen[i], 4));
        assert_ptr_equal(gpuvchan_handles_lookup(handles, chosen[i], 6), &things[i]);
    }
    gpuvchan_handles_destroy(handles);
}

static void
exhaustion(void **state)
{
    struct gpuvchan_handles *handles = table();
    uint32_t handle, count = 0, last = 0;
    int error;

    (void)state;
    while ((error = gpuvchan_handles_assign(handles, 1, &things[0], &handle)) == 0) {
        last = handle;
        count++;
    }
    assert_int_equal(error, -ENOSPC);
    assert_int_equal(count, (1u << 20) - GPUVCHAN_HANDLES_RESERVED);
    assert_int_equal(last, 0xfffff);
    assert_ptr_equal(gpuvchan_handles_remove(handles, last, 1), &things[0]);
    assert_int_equal(gpuvchan_handles_assign(handles, 1, &things[0], &handle), 0);
    assert_int_equal(handle, 0x1fffff);
    gpuvchan_handles_destroy(handles);
}

struct visit {
    unsigned count;
    uint32_t handles[200];
    void *objects[200];
};

static void
visitor(void *context, uint32_t handle, uint16_t kind, void *object)
{
    struct visit *visit = context;

    assert_true(visit->count < 200);
    assert_int_equal(kind, 1 + ((int *)object - things) % 5);
    visit->handles[visit->count] = handle;
    visit->objects[visit->count++] = object;
}

/* In the order of creation, not of handles. */
static void
visits(void **state)
{
    struct gpuvchan_handles *handles = table();
    uint32_t given[150], expected[150];
    struct visit visit = {0};
    unsigned count = 0;

    (void)state;
    gpuvchan_handles_visit(handles, visitor, &visit);
    assert_int_equal(visit.count, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(gpuvchan_handles_assign(handles, (uint16_t)(1 + i % 5), &things[i], &given[i]), 0);
    for (int i = 0; i < 50; i++)
        assert_non_null(gpuvchan_handles_remove(handles, given[i], (uint16_t)(1 + i % 5)));
    for (int i = 149; i >= 100; i--)
        assert_int_equal(gpuvchan_handles_assign(handles, (uint16_t)(1 + i % 5), &things[i], &given[i]), 0);
    gpuvchan_handles_visit(handles, visitor, &visit);
    for (int i = 50; i < 100; i++)
        expected[count++] = given[i];
    for (int i = 149; i >= 100; i--)
        expected[count++] = given[i];
    assert_int_equal(visit.count, count);
    assert_memory_equal(visit.handles, expected, count * sizeof(expected[0]));
    assert_ptr_equal(visit.objects[0], &things[50]);
    assert_ptr_equal(visit.objects[99], &things[100]);
    gpuvchan_handles_destroy(handles);
}

/* ---- Threads --------------------------------------------------------------------------------- */

#define RACERS 2

struct race {
    struct gpuvchan_handles *handles;
    _Atomic int stop;
    _Atomic unsigned wrong, found, removed;
    uint32_t handle;
};

/* Objects of kind 1 are even things, of kind 2 odd ones. */
static void *
look_up(void *argument)
{
    struct race *race = argument;
    unsigned found = 0;

    while (!race->stop)
        for (uint16_t kind = 1; kind <= 2; kind++) {
            int *thing = gpuvchan_handles_lookup(race->handles, race->handle, kind);

            found += thing != NULL;
            if (thing && (thing - things) % 2 != kind - 1)
                race->wrong++;
        }
    race->found += found;
    return NULL;
}

/* One index changes its kind all the time: who looks it up never gets an object of the other kind. */
static void
races_of_kinds(void **state)
{
    struct race race = {.handles = table(), .handle = 77};
    pthread_t threads[RACERS];

    (void)state;
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look_up, &race), 0);
    for (unsigned i = 0; i < check_rounds(2000000); i++) {
        uint16_t kind = (uint16_t)(1 + i % 2);
        int *thing = &things[i % 4096];

        if (gpuvchan_handles_insert(race.handles, race.handle, kind, thing) != 0 ||
            gpuvchan_handles_remove(race.handles, race.handle, kind) != thing)
            race.wrong++;
    }
    race.stop = 1;
    for (int i = 0; i < RACERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(race.wrong, 0);
    gpuvchan_handles_destroy(race.handles);
}

#define SHARED 64

struct many {
    struct gpuvchan_handles *handles;
    uint32_t shared[SHARED];
    _Atomic unsigned removed, wrong;
};

static void *
use_many(void *argument)
{
    struct many *many = argument;
    uint32_t own[32];

    for (unsigned round = 0; round < check_rounds(2000); round++) {
        for (unsigned i = 0; i < 32; i++)
            if (gpuvchan_handles_assign(many->handles, 9, &own[i], &own[i]) != 0)
                many->wrong++;
        for (unsigned i = 0; i < 32; i++)
            if (gpuvchan_handles_lookup(many->handles, own[i], 9) != &own[i] ||
                gpuvchan_handles_remove(many->handles, own[i], 9) != &own[i])
                many->wrong++;
    }
    for (unsigned i = 0; i < SHARED; i++)
        if (gpuvchan_handles_remove(many->handles, many->shared[i], 1))
            many->removed++;
    return NULL;
}

/* Threads assign and remove at once; of several that remove the same handle, one gets it. */
static void
races_of_changes(void **state)
{
    struct many many = {.handles = table()};
    pthread_t threads[4];

    (void)state;
    for (unsigned i = 0; i < SHARED; i++)
        assert_int_equal(gpuvchan_handles_assign(many.handles, 1, &things[i], &many.shared[i]), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_many, &many), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(many.wrong, 0);
    assert_int_equal(many.removed, SHARED);
    gpuvchan_handles_destroy(many.handles);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),           cmocka_unit_test(inserted_again),
        cmocka_unit_test(wrong_arguments), cmocka_unit_test(generations),
        cmocka_unit_test(reuse),           cmocka_unit_test(host_side),
        cmocka_unit_test(exhaustion),      cmocka_unit_test(visits),
        cmocka_unit_test(races_of_kinds),  cmocka_unit_test(races_of_changes),
    };

    check_begin();
    return cmocka_run_group_tests_name("handles", tests, NULL, NULL);
}
