/* SPDX-License-Identifier: MIT */
/*
 * The plugin's state: of a guest process, of a lane, its contexts and surfaces.
 *
 * Design notes: a lane is a thread of the guest's, and its contexts are current in the lane's thread here. A context
 * or surface that the guest has destroyed lives on where it is current, as EGL has it: each lane that has it current
 * holds a reference.
 */
#ifndef GL_PLUGIN_H
#define GL_PLUGIN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <EGL/egl.h>

#include <gpuvchan/plugin.h>

#include "commands_state.h"
#include "gl_wire.h"

struct gl_names_group;

/** A guest process. */
struct gl_host {
    struct gpuvchan_session *session;
    struct gpuvchan_handles *handles;
    pthread_mutex_t lock;   /* who is current where */
    pthread_cond_t changed; /* a frame is done, or interrupted is set */
    unsigned waiting;       /* for frames */
    bool interrupted;
};

struct gl_context_host {
    atomic_uint references;
    EGLContext native;
    enum gl_api api;
    unsigned version; /* of the driver's context: major << 8 | minor; 0: it has not been current yet */
    uint32_t flags;
    struct gl_names_group *group; /* names that contexts share */
    struct gl_names_group *own;   /* names of this one alone */
    struct gl_commands commands;  /* what their handlers keep */
    struct gl_lane *lane;         /* where it is current, or NULL; with the host's lock */
};

struct gl_surface_host {
    atomic_uint references;
    EGLSurface native;
    EGLConfig config;
    uint32_t width, height;
    struct gl_lane *lane; /* as a context's */
};

struct gl_lane {
    struct gl_host *host;
    struct gl_context_host *current; /* NULL: handlers of commands do nothing */
    struct gl_surface_host *draw, *read;
    EGLContext frames; /* that reads this lane's frames back; see frame.c */
    struct {
        unsigned framebuffer, renderbuffer;
        int width, height;
    } turned;      /* of frames */
    void *scratch; /* for handlers of commands, theirs to allocate; freed with the lane */
    size_t scratch_bytes;
};

static inline struct gl_host *
gl_host_of(struct gpuvchan_request *request)
{
    return request->state;
}

static inline struct gl_lane *
gl_lane_of(struct gpuvchan_request *request)
{
    return request->lane_state;
}

/** One reference less; the last one ends it. NULL is allowed. */
void gl_context_unref(struct gl_context_host *context);
void gl_surface_unref(struct gl_surface_host *surface);

/** May the lane use the surface: does no other one draw on it? */
bool gl_surface_is_ours(struct gl_lane *lane, const struct gl_surface_host *surface);

/** Has the driver use what is current in the lane: again, when something else was, or when a surface is a new one. */
bool gl_lane_make_current(struct gl_lane *lane);

/** Nothing is current any more. */
void gl_lane_leave(struct gl_lane *lane);

/** The driver's function of that name, or NULL: eglGetProcAddress(). After the driver has been loaded. */
void *gl_host_function(const char *name);

#endif
