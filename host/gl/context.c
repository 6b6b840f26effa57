/* SPDX-License-Identifier: MIT */
/*
 * Contexts, and which is current in a lane.
 *
 * Design notes: a handle holds a reference, and so does each lane where a context or surface is current. What is
 * current elsewhere cannot become so here: EGL says the same, but only of threads, and the guest gets no answer.
 */
#include <errno.h>
#include <stdlib.h>

#include "gl-host.h"

#include "egl.h"
#include "gl_plugin.h"
#include "names.h"

static bool
is_api(uint32_t api)
{
    return api == GL_API_COMPAT || api == GL_API_CORE || api == GL_API_ES1 || api == GL_API_ES2;
}

static struct gl_context_host *
context_make(enum gl_api api, uint32_t flags, struct gl_context_host *share)
{
    struct gl_context_host *context = calloc(1, sizeof(*context));

    if (!context)
        return NULL;
    atomic_init(&context->references, 1);
    context->api = api;
    context->flags = flags;
    context->group = share ? gl_names_ref(share->group) : gl_names_create();
    context->own = gl_names_create();
    if (context->group && context->own)
        return context;
    gl_names_unref(context->group);
    gl_names_unref(context->own);
    free(context);
    return NULL;
}

void
gl_context_unref(struct gl_context_host *context)
{
    const struct gl_egl *egl;

    if (!context || atomic_fetch_sub(&context->references, 1) != 1)
        return;
    egl = gl_egl_start();
    if (context->native != EGL_NO_CONTEXT)
        egl->DestroyContext(egl->display, context->native);
    gl_commands_finish(&context->commands);
    gl_names_unref(context->group);
    gl_names_unref(context->own);
    free(context);
}

int
gl_host_context_create(struct gpuvchan_request *request, gl_context_object *made, uint32_t api, uint32_t major,
                       uint32_t minor, uint32_t flags, gl_context_object share)
{
    const struct gl_egl *egl = gl_egl_start();
    struct gl_context_host *context;

    if (!is_api(api) || major > 99 || minor > 99)
        return gpuvchan_request_corrupt(request, "context_create: API %u, version %u.%u", api, major, minor);
    context = context_make(api, flags, share);
    if (!context)
        return GL_STATUS_NO_MEMORY;
    context->native = gl_egl_context(egl, api, major, minor, flags, share ? share->native : EGL_NO_CONTEXT);
    if (context->native == EGL_NO_CONTEXT) {
        EGLint error = egl->GetError();

        gl_context_unref(context);
        return error == EGL_BAD_ALLOC ? GL_STATUS_NO_MEMORY : share ? GL_STATUS_BAD_SHARE : GL_STATUS_BAD_MATCH;
    }
    *made = context;
    return 0;
}

void
gl_discard_context(struct gpuvchan_request *request, gl_context_object context)
{
    (void)request;
    gl_context_unref(context);
}

int
gl_host_context_destroy(struct gpuvchan_request *request, gl_context_object gone)
{
    (void)request;
    gl_context_unref(gone);
    return 0;
}

/* ---- What is current ------------------------------------------------------------------------- */

/* Could the lane have it? With the host's lock. */
static bool
is_free(const struct gl_lane *lane, const struct gl_lane *taken)
{
    return !taken || taken == lane;
}

static void
leave(struct gl_lane *lane)
{
    struct gl_context_host *context = lane->current;
    struct gl_surface_host *draw = lane->draw, *read = lane->read;

    pthread_mutex_lock(&lane->host->lock);
    if (context)
        context->lane = NULL;
    if (draw)
        draw->lane = NULL;
    if (read)
        read->lane = NULL;
    lane->current = NULL;
    lane->draw = lane->read = NULL;
    pthread_mutex_unlock(&lane->host->lock);
    gl_context_unref(context);
    gl_surface_unref(draw);
    gl_surface_unref(read);
}

static bool
take(struct gl_lane *lane, struct gl_context_host *context, struct gl_surface_host *draw, struct gl_surface_host *read)
{
    bool free;

    pthread_mutex_lock(&lane->host->lock);
    free = is_free(lane, context->lane) && (!draw || is_free(lane, draw->lane)) && (!read || is_free(lane, read->lane));
    if (free) {
        context->lane = lane;
        atomic_fetch_add(&context->references, 1);
        if (draw) {
            draw->lane = lane;
            atomic_fetch_add(&draw->references, 1);
        }
        if (read) {
            read->lane = lane;
            atomic_fetch_add(&read->references, 1);
        }
        lane->current = context;
        lane->draw = draw;
        lane->read = read;
    }
    pthread_mutex_unlock(&lane->host->lock);
    return free;
}

bool
gl_lane_make_current(struct gl_lane *lane)
{
    EGLSurface draw = lane->draw ? lane->draw->native : EGL_NO_SURFACE;
    EGLSurface read = lane->read ? lane->read->native : EGL_NO_SURFACE;

    return gl_egl_current(gl_egl_start(), draw, read, lane->current ? lane->current->native : EGL_NO_CONTEXT);
}

void
gl_lane_leave(struct gl_lane *lane)
{
    gl_egl_current(gl_egl_start(), EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
    leave(lane);
}

int
gl_host_make_current(struct gpuvchan_request *request, gl_context_object to, gl_surface_object draw,
                     gl_surface_object read)
{
    struct gl_lane *lane = gl_lane_of(request);

    /* Those that are no more may be current still: nothing of the guest's to keep them for. */
    if (!to || !draw != !read) {
        gl_lane_leave(lane);
        return 0;
    }
    if (lane->current == to && lane->draw == draw && lane->read == read)
        return 0;
    leave(lane);
    if (!take(lane, to, draw, read) || !gl_lane_make_current(lane)) {
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "gl: a context cannot become current, its commands do nothing");
        gl_lane_leave(lane);
    }
    return 0;
}
