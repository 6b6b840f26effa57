/* SPDX-License-Identifier: MIT */
/* What is drawn on: an image on the host, and where it is shown. */
#include <stdlib.h>

#include "gl-guest.h"

#include "gl_guest.h"
#include "process.h"
#include "screen.h"

static struct gpuvchan_lane *
own_lane(const struct gl_surface *surface)
{
    return gpuvchan_lane_current(surface->client.channel);
}

/* Sizes that the host has no image for are cut; nobody has such a window. */
static uint32_t
cut(uint32_t size, uint32_t max)
{
    return size == 0 ? 1 : size > max ? max : size;
}

static void
window_size(const struct gl_surface *surface, uint32_t *width, uint32_t *height)
{
    uint64_t size = atomic_load_explicit(&surface->size, memory_order_relaxed);

    *width = cut((uint32_t)(size >> 32), gl_process.info.max_width);
    *height = cut((uint32_t)size, gl_process.info.max_height);
}

static struct gl_surface *
surface_make(const struct gl_surface_wish *wish)
{
    struct gl_surface *surface = calloc(1, sizeof(*surface));

    if (!surface)
        return NULL;
    surface->client = gl_process.client;
    surface->kind = wish->kind;
    surface->config = wish->config;
    surface->double_buffered = wish->double_buffered;
    surface->screen = wish->screen;
    surface->xid = wish->xid;
    surface->width = cut(wish->width, gl_process.info.max_width);
    surface->height = cut(wish->height, gl_process.info.max_height);
    surface->references = 1;
    return surface;
}

struct gl_surface *
gpuvchan_gl_surface_create(const struct gl_surface_wish *wish)
{
    struct gl_surface *surface = gpuvchan_gl_start("OpenGL") ? surface_make(wish) : NULL;
    struct gpuvchan_lane *lane;

    if (!surface)
        return NULL;
    if (wish->kind != GL_SURFACE_PBUFFER && gl_present_begin(surface) != 0) {
        free(surface);
        return NULL;
    }
    if (wish->kind != GL_SURFACE_PBUFFER)
        window_size(surface, &surface->width, &surface->height);
    lane = own_lane(surface);
    if (lane && gpuvchan_handles_assign(gl_process.handles, GL_HANDLE_SURFACE, surface, &surface->handle) == 0) {
        if (gl_surface_create_on(&surface->client, lane, surface->handle, surface->config.number, surface->width,
                                 surface->height) == 0)
            return surface;
        gpuvchan_handles_remove(gl_process.handles, surface->handle, GL_HANDLE_SURFACE);
    }
    if (surface->screen)
        gl_present_end(surface);
    free(surface);
    return NULL;
}

void
gl_surface_end(struct gl_surface *surface)
{
    if (surface->screen)
        gl_present_end(surface);
    gpuvchan_handles_remove(gl_process.handles, surface->handle, GL_HANDLE_SURFACE);
    (void)gl_surface_destroy(&surface->client, surface->handle);
    free(surface);
}

/* ---- Size ------------------------------------------------------------------------------------ */

void
gl_surface_fit(struct gl_surface *surface, struct gpuvchan_lane *lane)
{
    uint32_t width, height;

    if (surface->kind != GL_SURFACE_WINDOW)
        return;
    window_size(surface, &width, &height);
    if (width == surface->width && height == surface->height)
        return;
    if (gl_surface_resize_on(&surface->client, lane, surface->handle, width, height) != 0)
        return;
    surface->width = width;
    surface->height = height;
    for (size_t i = 0; i < sizeof(surface->looked) / sizeof(surface->looked[0]); i++)
        surface->looked[i] = 0;
}

void
gl_surface_extent(const struct gl_context *context, uint32_t *width, uint32_t *height)
{
    *width = context->draw ? context->draw->width : 0;
    *height = context->draw ? context->draw->height : 0;
}

/* A viewport that is not the window's, as of a part of it: not looked at again until the window changes. */
static bool
is_known(struct gl_surface *surface, uint64_t size)
{
    size_t count = sizeof(surface->looked) / sizeof(surface->looked[0]);

    for (size_t i = 0; i < count; i++)
        if (surface->looked[i] == size)
            return true;
    for (size_t i = count - 1; i > 0; i--)
        surface->looked[i] = surface->looked[i - 1];
    surface->looked[0] = size;
    return false;
}

void
gl_surface_viewport(struct gl_context *context, int32_t width, int32_t height)
{
    struct gl_surface *surface = context->draw;

    if (!surface || surface->kind != GL_SURFACE_WINDOW || width <= 0 || height <= 0 ||
        (surface->width == (uint32_t)width && surface->height == (uint32_t)height) ||
        is_known(surface, (uint64_t)width << 32 | (uint32_t)height))
        return;
    if (gl_screen_look(surface))
        gl_surface_fit(surface, context->lane);
}

bool
gpuvchan_gl_surface_gone(struct gl_surface *surface)
{
    if (!surface->screen)
        return false;
    gl_screen_events(surface->screen);
    return atomic_load(&surface->gone);
}

void
gpuvchan_gl_surface_size(struct gl_surface *surface, uint32_t *width, uint32_t *height)
{
    *width = surface->width;
    *height = surface->height;
    if (surface->kind == GL_SURFACE_WINDOW && gl_screen_look(surface))
        window_size(surface, width, height);
}

/* ---- Showing --------------------------------------------------------------------------------- */

bool
gpuvchan_gl_surface_swap(struct gl_surface *surface)
{
    struct gpuvchan_lane *lane;

    if (surface->kind != GL_SURFACE_WINDOW || !surface->double_buffered)
        return true;
    if (surface->client.channel != gl_process.channel)
        return false;
    lane = own_lane(surface);
    if (!lane || gl_present(surface, lane) != 0)
        return false;
    gl_surface_fit(surface, lane);
    return true;
}

void
gl_surface_flushed(struct gl_context *context)
{
    struct gl_surface *surface = context->draw;

    if (surface && surface->screen && (!surface->double_buffered || context->state->draws_front))
        (void)gl_present(surface, context->lane);
}

void
gpuvchan_gl_surface_set_interval(struct gl_surface *surface, int interval)
{
    atomic_store(&surface->interval, interval);
}

int
gpuvchan_gl_surface_interval(const struct gl_surface *surface)
{
    return atomic_load(&surface->interval);
}
