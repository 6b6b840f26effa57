/* SPDX-License-Identifier: MIT */
/*
 * A rendering context as the guest has it, and the one that is current in a thread.
 *
 * Design notes: functions of GL find their context in gl_current, one word of thread-local storage, and the lane of the
 * thread in it. Without a current context they do nothing, as everywhere.
 */
#ifndef GL_CONTEXT_H
#define GL_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <gpuvchan/gpuvchan.h>

#include "gl_wire.h"

struct gl_share;
struct gl_state;
struct gl_surface;

struct gl_context {
    struct gpuvchan_client client;
    struct gpuvchan_lane *lane; /**< of the thread that it is current in */
    uint32_t handle;            /**< on the host */
    enum gl_api api;
    unsigned major, minor; /**< of the version that the program sees */
    uint32_t flags;        /**< enum gl_context_flags */
    struct gl_share *share;
    struct gl_state *state;
    struct gl_surface *draw, *read; /**< NULL without surfaces */
    bool double_buffered;           /**< the drawing surface has a back buffer, as the program sees it */
    bool was_current;               /**< the viewport has been set from a surface */
    /* With the lock of context.c. */
    unsigned references; /* the program's, and the thread's that it is current in */
    bool destroyed;
};

extern __thread struct gl_context *gl_current __attribute__((tls_model("initial-exec"), visibility("hidden")));

/** What the host has said of itself; valid while there is any context. */
const struct gl_wire_info *gl_info(void);

/**
 * What the program has drawn must be seen, by glFlush() or glFinish(), or something that reads: shows the picture if
 * the context draws to a front buffer. Cheap where it does not.
 */
void gl_surface_flushed(struct gl_context *context);

/** Size of the surface that the context draws to, for the first viewport; 0 x 0 without one. */
void gl_surface_extent(const struct gl_context *context, uint32_t *width, uint32_t *height);

/**
 * The program sets a viewport of that size, which tells of a window whose size has changed: looks, if it is new,
 * whether that is so, and then resizes before anything is drawn.
 */
void gl_surface_viewport(struct gl_context *context, int32_t width, int32_t height);

#endif
