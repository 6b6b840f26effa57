/* SPDX-License-Identifier: MIT */
/*
 * Contexts, and which is current in a thread.
 *
 * Design notes: one lock orders who is current where in the process; functions of GL never take it. The host does as
 * it is told by posts, so that what EGL or GLX refuses is found out here. A thread that ends leaves its context.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "gl-guest.h"

#include "process.h"
#include "state.h"
#include "surface.h"

__thread struct gl_context *gl_current __attribute__((tls_model("initial-exec"), visibility("hidden")));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t key;

/* ---- Life ------------------------------------------------------------------------------------ */

static void
context_free(struct gl_context *context)
{
    /* What its commands refer to is freed below: they must have been executed. */
    (void)gl_frame_wait(&context->client, 0, 0);
    gl_state_destroy(context->state);
    gl_share_unref(context->share);
    free(context);
}

static unsigned
api_index(enum gl_api api)
{
    return (unsigned)__builtin_ctz(api);
}

static struct gl_context *
context_make(const struct gl_context_wish *wish)
{
    struct gl_context *context = calloc(1, sizeof(*context));
    unsigned version = gl_process.info.version[api_index(wish->api)], wanted = wish->major << 8 | wish->minor;

    if (!context)
        return NULL;
    context->client = gl_process.client;
    context->api = wish->api;
    context->flags = wish->flags;
    version = wanted > version ? wanted : version;
    context->major = version >> 8;
    context->minor = version & 0xff;
    context->references = 1;
    context->share = wish->share ? gl_share_ref(wish->share->share) : gl_share_create();
    context->state = context->share ? gl_state_create(context) : NULL;
    if (context->state)
        return context;
    gl_share_unref(context->share);
    free(context);
    return NULL;
}

struct gl_context *
gpuvchan_gl_context_create(const struct gl_context_wish *wish, int *status)
{
    struct gl_context *context;

    *status = GL_STATUS_NO_MEMORY;
    if (!gpuvchan_gl_start("OpenGL") || (wish->share && wish->share->client.channel != gl_process.channel))
        return NULL;
    context = context_make(wish);
    if (!context)
        return NULL;
    if (gpuvchan_handles_assign(gl_process.handles, GL_HANDLE_CONTEXT, context, &context->handle) != 0) {
        context_free(context);
        return NULL;
    }
    *status = gl_context_create(&context->client, context->handle, wish->api, wish->major, wish->minor, wish->flags,
                                wish->share ? wish->share->handle : 0);
    if (*status == 0)
        return context;
    gpuvchan_handles_remove(gl_process.handles, context->handle, GL_HANDLE_CONTEXT);
    context_free(context);
    return NULL;
}

/* With the lock: true if nobody has it any more. */
static bool
context_unref(struct gl_context *context)
{
    return context && --context->references == 0;
}

void
gpuvchan_gl_context_destroy(struct gl_context *context)
{
    bool last;

    if (!context || context->client.channel != gl_process.channel)
        return; /* of before a fork */
    gpuvchan_handles_remove(gl_process.handles, context->handle, GL_HANDLE_CONTEXT);
    (void)gl_context_destroy(&context->client, context->handle);
    pthread_mutex_lock(&lock);
    context->destroyed = true;
    last = context_unref(context);
    pthread_mutex_unlock(&lock);
    if (last)
        context_free(context);
}

/* ---- What is current ------------------------------------------------------------------------- */

struct gl_context *
gpuvchan_gl_context_current(void)
{
    return gl_current;
}

/* With the lock. */
static bool
is_free(const struct gl_context *context, const struct gl_surface *draw, const struct gl_surface *read)
{
    const struct gl_context *mine = gl_current;

    return (context == mine || !context->lane) && (!draw || !draw->user || draw->user == mine) &&
           (!read || !read->user || read->user == mine);
}

/* What the thread had; to be given up when the lock is. */
struct left {
    struct gl_context *context;
    struct gl_surface *draw, *read;
};

/* With the lock: nothing is current any more. */
static struct left
leave(struct gl_context *context)
{
    struct left left = {0};

    if (!context)
        return left;
    if (context->draw) {
        context->draw->user = NULL;
        left.draw = gl_surface_unref(context->draw) ? context->draw : NULL;
    }
    if (context->read) {
        context->read->user = NULL;
        left.read = gl_surface_unref(context->read) ? context->read : NULL;
    }
    context->lane = NULL;
    context->draw = context->read = NULL;
    left.context = context_unref(context) ? context : NULL;
    gl_current = NULL;
    return left;
}

/* With the lock. */
static void
take(struct gl_context *context, struct gpuvchan_lane *lane, struct gl_surface *draw, struct gl_surface *read)
{
    context->references++;
    context->lane = lane;
    context->draw = draw;
    context->read = read;
    context->double_buffered = draw && draw->double_buffered;
    if (draw) {
        draw->references++;
        draw->user = context;
    }
    if (read) {
        read->references++;
        read->user = context;
    }
    gl_current = context;
}

static void
give_up(struct left left)
{
    if (left.draw)
        gl_surface_end(left.draw);
    if (left.read)
        gl_surface_end(left.read);
    if (left.context)
        context_free(left.context);
}

/* The thread ends: on the host, too, its context is to be free before its lane goes. */
static void
thread_end(void *user)
{
    struct gl_context *context = user;
    struct left left;

    if (context != gl_current)
        return;
    (void)gl_make_current_on(&context->client, context->lane, 0, 0, 0);
    pthread_mutex_lock(&lock);
    left = leave(context);
    pthread_mutex_unlock(&lock);
    give_up(left);
}

void
gl_contexts_begin(void)
{
    (void)pthread_key_create(&key, thread_end);
}

static void
begin(struct gl_context *context)
{
    uint32_t width, height;

    if (context->draw)
        gl_surface_fit(context->draw, context->lane);
    gl_surface_extent(context, &width, &height);
    gl_state_current(context, width, height);
    if (width)
        context->was_current = true;
}

int
gpuvchan_gl_make_current(struct gl_context *context, struct gl_surface *draw, struct gl_surface *read)
{
    struct gl_context *old = gl_current;
    struct gpuvchan_lane *lane = NULL;
    struct left left;

    if (context == old && (!context || (context->draw == draw && context->read == read)))
        return 0;
    if (context && context->client.channel != gl_process.channel)
        return GL_STATUS_NO_CONTEXT;
    if (context && !(lane = gpuvchan_lane_current(context->client.channel)))
        return GL_STATUS_NO_MEMORY;
    if (old)
        gl_surface_flushed(old);
    pthread_mutex_lock(&lock);
    if (context && !is_free(context, draw, read)) {
        pthread_mutex_unlock(&lock);
        return GL_STATUS_BUSY;
    }
    if (!context)
        lane = old->lane;
    if (context)
        context->references++; /* it may be what is left */
    left = leave(old);
    if (context) {
        context->references--;
        take(context, lane, draw, read);
    }
    pthread_mutex_unlock(&lock);
    (void)pthread_setspecific(key, context);
    (void)gl_make_current_on(&gl_process.client, lane, context ? context->handle : 0, draw ? draw->handle : 0,
                             read ? read->handle : 0);
    if (context)
        begin(context);
    give_up(left);
    return 0;
}

void
gpuvchan_gl_finish(void)
{
    struct gl_context *context = gl_current;

    if (!context)
        return;
    gl_surface_flushed(context);
    (void)gl_frame_wait_on(&context->client, context->lane, 0, 0);
    if (context->draw && context->draw->screen)
        gl_present_finish(context->draw);
}

/* ---- Surfaces' references -------------------------------------------------------------------- */

bool
gl_surface_unref(struct gl_surface *surface)
{
    return surface && --surface->references == 0;
}

void
gpuvchan_gl_surface_destroy(struct gl_surface *surface)
{
    bool last;

    if (surface && surface->client.channel != gl_process.channel)
        return; /* of before a fork */
    pthread_mutex_lock(&lock);
    last = gl_surface_unref(surface);
    pthread_mutex_unlock(&lock);
    if (last)
        gl_surface_end(surface);
}

void
gl_contexts_forget(void)
{
    pthread_mutex_init(&lock, NULL);
    gl_current = NULL;
    gl_process.handles = NULL; /* the parent's objects are in it, */
    gl_process.channel = NULL; /* by which they are known from now on */
}

const struct gl_wire_info *
gl_info(void)
{
    return &gl_process.info;
}
