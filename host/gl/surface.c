/* SPDX-License-Identifier: MIT */
/* What is drawn on: a pbuffer of the driver's, whatever the guest has it for. */
#include <stdlib.h>

#include "gl-host.h"

#include "egl.h"
#include "gl_plugin.h"

void
gl_surface_unref(struct gl_surface_host *surface)
{
    const struct gl_egl *egl;

    if (!surface || atomic_fetch_sub(&surface->references, 1) != 1)
        return;
    egl = gl_egl_start();
    if (surface->native != EGL_NO_SURFACE)
        egl->DestroySurface(egl->display, surface->native);
    free(surface);
}

static bool
is_size(const struct gl_egl *egl, uint32_t width, uint32_t height)
{
    return width > 0 && height > 0 && width <= egl->info.max_width && height <= egl->info.max_height;
}

int
gl_host_surface_create(struct gpuvchan_request *request, gl_surface_object *made, uint32_t config, uint32_t width,
                       uint32_t height)
{
    const struct gl_egl *egl = gl_egl_start();
    struct gl_surface_host *surface;

    (void)request;
    if (config == 0 || config > egl->config_count || !is_size(egl, width, height))
        return GL_STATUS_BAD_CONFIG;
    surface = calloc(1, sizeof(*surface));
    if (!surface)
        return GL_STATUS_NO_MEMORY;
    atomic_init(&surface->references, 1);
    surface->config = egl->native[config - 1];
    surface->width = width;
    surface->height = height;
    surface->native = gl_egl_pbuffer(egl, surface->config, width, height);
    if (surface->native == EGL_NO_SURFACE) {
        gl_surface_unref(surface);
        return GL_STATUS_NO_MEMORY;
    }
    *made = surface;
    return 0;
}

void
gl_discard_surface(struct gpuvchan_request *request, gl_surface_object surface)
{
    (void)request;
    gl_surface_unref(surface);
}

int
gl_host_surface_destroy(struct gpuvchan_request *request, gl_surface_object gone)
{
    (void)request;
    gl_surface_unref(gone);
    return 0;
}

bool
gl_surface_is_ours(struct gl_lane *lane, const struct gl_surface_host *surface)
{
    bool ours;

    pthread_mutex_lock(&lane->host->lock);
    ours = !surface->lane || surface->lane == lane;
    pthread_mutex_unlock(&lane->host->lock);
    return ours;
}

static int
resize(struct gl_lane *lane, struct gl_surface_host *on, uint32_t width, uint32_t height)
{
    const struct gl_egl *egl = gl_egl_start();
    EGLSurface old = on->native, new;

    if (!is_size(egl, width, height))
        return GL_STATUS_BAD_CONFIG;
    if (!gl_surface_is_ours(lane, on))
        return GL_STATUS_BUSY;
    new = gl_egl_pbuffer(egl, on->config, width, height);
    if (new == EGL_NO_SURFACE)
        return GL_STATUS_NO_MEMORY;
    on->native = new;
    on->width = width;
    on->height = height;
    if (lane->current && (lane->draw == on || lane->read == on) && !gl_lane_make_current(lane))
        gl_lane_leave(lane);
    egl->DestroySurface(egl->display, old);
    return 0;
}

int
gl_host_surface_resize(struct gpuvchan_request *request, gl_surface_object on, uint32_t width, uint32_t height)
{
    int status = resize(gl_lane_of(request), on, width, height);

    if (status != 0)
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "gl: an image cannot become %ux%u (status %d)", width, height, status);
    return 0; /* pictures of that size will be black */
}
