/* SPDX-License-Identifier: MIT */
/*
 * The host's side of sharpen: filters that add a picture's detail to it, or take it away.
 *
 * The detail is what a picture differs by from its blurred self. The pixels are read and written where
 * the guest has them. It may change them meanwhile: what is computed of them is a colour, never an address.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sharpen-host.h"

#if !defined(__clang__)
#pragma GCC optimize("O3") /* for the loops along a row; clang makes vectors of them anyway */
#endif

#define REACH 2 /* pixels to each side that the blur looks at, and rows above and below */
#define SIDE_MAX 65535u
#define AMOUNT_MAX 20.0f /* 4 * 256 times that, times 255 * 256, stays within an int */

/* The result is picture * keep + detail * amount * share + base. */
static const struct filter {
    const char *name;
    int keep, share, base;
} filters[] = {
    {"sharpen", 1, 1, 0},
    {"blur", 1, -1, 0},
    {"relief", 0, 4, 128},
};

#define FILTERS (sizeof(filters) / sizeof(filters[0]))

int
sharpen_host_filters(struct gpuvchan_request *request, char *names, size_t names_size)
{
    size_t end = 0;

    (void)request;
    for (size_t i = 0; i < FILTERS && end + strlen(filters[i].name) + 2 <= names_size; i++)
        end = (size_t)(stpcpy(stpcpy(names + end, i > 0 ? " " : ""), filters[i].name) - names);
    return 0;
}

/* Five rows with the weights 1 4 6 4 1; at most 16 * 255. */
static void
blur_down(uint16_t *sums, const uint8_t *const rows[2 * REACH + 1], size_t bytes)
{
    const uint8_t *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3], *e = rows[4];

    for (size_t i = 0; i < bytes; i++)
        sums[i] = (uint16_t)(a[i] + e[i] + 4 * (b[i] + d[i]) + 6 * c[i]);
}

/* The same along the row of sums, which gives 256 times the blur; then what the filter makes of it. */
static void
combine(uint8_t *to, const uint8_t *from, const uint16_t *sums, size_t bytes, size_t step, const struct filter *filter,
        int strength)
{
    const uint16_t *a = sums - 2 * step, *b = sums - step, *d = sums + step, *e = sums + 2 * step;
    int keep = filter->keep, base = filter->base;

    for (size_t i = 0; i < bytes; i++) {
        int detail = 256 * from[i] - (a[i] + e[i] + 4 * (b[i] + d[i]) + 6 * sums[i]);
        int value = from[i] * keep + base + ((detail * strength + (1 << 15)) >> 16);

        to[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

/* The first and the last pixel of the row stand for those beyond the edge. */
static void
extend(uint16_t *sums, size_t bytes, size_t step)
{
    for (size_t i = 0; i < REACH * step; i++) {
        sums[-1 - (ptrdiff_t)i] = sums[step - 1 - i % step];
        sums[bytes + i] = sums[bytes - step + i % step];
    }
}

/* A second or fourth channel is transparency, which has no detail. */
static void
keep_transparency(uint8_t *to, const uint8_t *from, size_t bytes, size_t step)
{
    for (size_t i = step - 1; i < bytes; i += step)
        to[i] = from[i];
}

static int
filter_rows(uint8_t *to, const uint8_t *from, size_t bytes, size_t height, size_t step, const struct filter *filter,
            int strength)
{
    uint16_t *room = malloc((bytes + 2 * REACH * step) * sizeof(*room)), *sums = room + REACH * step;
    const uint8_t *rows[2 * REACH + 1];

    if (!room)
        return -ENOMEM;
    for (size_t y = 0; y < height; y++) {
        for (size_t k = 0; k <= 2 * REACH; k++) {
            size_t row = y + k < REACH ? 0 : y + k - REACH;

            rows[k] = from + bytes * (row < height ? row : height - 1);
        }
        blur_down(sums, rows, bytes);
        extend(sums, bytes, step);
        combine(to + bytes * y, from + bytes * y, sums, bytes, step, filter, strength);
        if (step % 2 == 0)
            keep_transparency(to + bytes * y, from + bytes * y, bytes, step);
    }
    free(room);
    return 0;
}

int
sharpen_host_filter(struct gpuvchan_request *request, const char *name, void *from, size_t from_bytes, void *to,
                    size_t to_bytes, uint32_t width, uint32_t height, uint32_t channels, float amount)
{
    const struct filter *filter = filters;
    uint64_t row = (uint64_t)width * channels;
    uintptr_t first = (uintptr_t)from, second = (uintptr_t)to;

    (void)request;
    while (filter < filters + FILTERS && strcmp(filter->name, name) != 0)
        filter++;
    if (filter == filters + FILTERS)
        return -ENOENT;
    if (width - 1 >= SIDE_MAX || height - 1 >= SIDE_MAX || channels - 1 >= 4 || !(amount >= 0 && amount <= AMOUNT_MAX))
        return -EINVAL;
    /* That the two lie in the arena has been checked; that the picture fits into them is for us to see. */
    if (row * height > from_bytes || row * height > to_bytes)
        return -EINVAL;
    if (first < second + to_bytes && second < first + from_bytes)
        return -EINVAL; /* a row would be read that is the result of another */
    return filter_rows(to, from, row, height, channels, filter, (int)(amount * 256) * filter->share);
}

static int
sharpen_open(struct gpuvchan_session *session, void **state)
{
    (void)session;
    *state = NULL; /* there is nothing to remember between two calls */
    return 0;
}

static void
sharpen_close(void *state)
{
    (void)state;
}

static int
sharpen_suspend(void *state, struct gpuvchan_snapshot *snapshot)
{
    (void)state;
    (void)snapshot;
    return 0; /* the pictures are in the guest's memory, which stays */
}

static int
sharpen_resume(struct gpuvchan_session *session, struct gpuvchan_snapshot *snapshot, void **state)
{
    (void)snapshot;
    return sharpen_open(session, state);
}

static struct gpuvchan_plugin sharpen_plugin = {
    .name = "sharpen",
    .version = "1",
    .description = "filters pictures in the guest's own memory",
    .dispatch = &sharpen_dispatch,
    .open = sharpen_open,
    .suspend = sharpen_suspend,
    .resume = sharpen_resume,
    .close = sharpen_close,
};

GPUVCHAN_PLUGIN_REGISTER(sharpen_plugin)
