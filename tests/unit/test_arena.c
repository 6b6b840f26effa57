/* SPDX-License-Identifier: MIT */
/* The arena's allocator against a model that marks every grain. */
#include "arena.h"

#include <errno.h>
#include <string.h>

#include "check.h"

#define GRAINS 256u
#define LIVE 64u

struct model {
    unsigned char owner[GRAINS]; /* 0: free */
    uint64_t offset[LIVE], bytes[LIVE];
};

static unsigned
largest_gap(const struct model *model)
{
    unsigned best = 0, run = 0;

    for (unsigned i = 0; i < GRAINS; i++) {
        run = model->owner[i] ? 0 : run + 1;
        best = run > best ? run : best;
    }
    return best;
}

static unsigned
first_gap(const struct model *model, uint64_t grains)
{
    unsigned run = 0;

    for (unsigned i = 0; i < GRAINS; i++) {
        run = model->owner[i] ? 0 : run + 1;
        if (run == grains)
            return i + 1 - run;
    }
    return GRAINS;
}

static void
model_take(struct gpuvchan__arena *arena, struct model *model, unsigned slot, uint64_t want)
{
    uint64_t bytes = want, offset = 12345;
    uint64_t grains = (want + ARENA_GRAIN - 1) / ARENA_GRAIN;
    int error = gpuvchan__arena_take(arena, &bytes, &offset);

    if (grains > largest_gap(model)) {
        assert_int_equal(error, -ENOMEM);
        assert_true(bytes == want && offset == 12345);
        return;
    }
    assert_int_equal(error, 0);
    assert_true(bytes == grains * ARENA_GRAIN);
    assert_true(offset == (uint64_t)first_gap(model, grains) * ARENA_GRAIN);
    for (uint64_t i = offset / ARENA_GRAIN; i < (offset + bytes) / ARENA_GRAIN; i++) {
        assert_int_equal(model->owner[i], 0);
        model->owner[i] = (unsigned char)(slot + 1);
    }
    model->offset[slot] = offset;
    model->bytes[slot] = bytes;
}

static void
model_give(struct gpuvchan__arena *arena, struct model *model, unsigned slot)
{
    assert_int_equal(gpuvchan__arena_give(arena, model->offset[slot], model->bytes[slot]), 0);
    memset(model->owner + model->offset[slot] / ARENA_GRAIN, 0, model->bytes[slot] / ARENA_GRAIN);
    model->bytes[slot] = 0;
}

static void
random_use(void **state)
{
    struct gpuvchan__arena arena;
    struct model model = {0};
    uint64_t seed = 0x6172656e61, bytes = GRAINS * ARENA_GRAIN, offset;

    (void)state;
    assert_int_equal(gpuvchan__arena_init(&arena, bytes), 0);
    for (unsigned round = 0; round < check_rounds(200000); round++) {
        unsigned slot = (unsigned)(check_random(&seed) % LIVE);

        if (model.bytes[slot] != 0)
            model_give(&arena, &model, slot);
        else
            model_take(&arena, &model, slot, 1 + check_random(&seed) % (ARENA_GRAIN * 24));
    }
    for (unsigned slot = 0; slot < LIVE; slot++)
        if (model.bytes[slot] != 0)
            model_give(&arena, &model, slot);
    /* All in one piece again. */
    assert_int_equal(gpuvchan__arena_take(&arena, &bytes, &offset), 0);
    assert_true(offset == 0 && bytes == GRAINS * ARENA_GRAIN);
    gpuvchan__arena_finish(&arena);
}

static void
limits(void **state)
{
    struct gpuvchan__arena arena;
    uint64_t bytes = UINT64_MAX, offset = 1;

    (void)state;
    assert_int_equal(gpuvchan__arena_init(&arena, 8192), 0);
    assert_int_equal(gpuvchan__arena_take(&arena, &bytes, &offset), -ENOMEM);
    assert_true(bytes == UINT64_MAX && offset == 1);
    bytes = 8193;
    assert_int_equal(gpuvchan__arena_take(&arena, &bytes, &offset), -ENOMEM);
    bytes = 8192;
    assert_int_equal(gpuvchan__arena_take(&arena, &bytes, &offset), 0);
    assert_int_equal(offset, 0);
    bytes = 1;
    assert_int_equal(gpuvchan__arena_take(&arena, &bytes, &offset), -ENOMEM);
    gpuvchan__arena_finish(&arena);
}

/* Neighbours before, behind, on both sides and on none. */
static void
joins(void **state)
{
    static const unsigned char orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {0, 2, 1, 3}, {1, 3, 0, 2}, {2, 0, 3, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        struct gpuvchan__arena arena;
        uint64_t bytes, offset;

        assert_int_equal(gpuvchan__arena_init(&arena, 4 * ARENA_GRAIN), 0);
        for (uint64_t j = 0; j < 4; j++) {
            bytes = ARENA_GRAIN;
            assert_int_equal(gpuvchan__arena_take(&arena, &bytes, &offset), 0);
            assert_true(offset == j * ARENA_GRAIN);
        }
        for (size_t j = 0; j < 4; j++)
            assert_int_equal(gpuvchan__arena_give(&arena, (uint64_t)orders[i][j] * ARENA_GRAIN, ARENA_GRAIN), 0);
        bytes = 4 * ARENA_GRAIN;
        assert_int_equal(gpuvchan__arena_take(&arena, &bytes, &offset), 0);
        gpuvchan__arena_finish(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_use),
        cmocka_unit_test(limits),
        cmocka_unit_test(joins),
    };

    check_begin();
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
