/* SPDX-License-Identifier: MIT */
/*
 * What libgpuvchan-gl.so.0 offers to the libraries of GLX and EGL over it.
 *
 * Design notes: both have the same contexts and surfaces, and differ in how these are asked for. Nothing here knows of
 * Xlib: a window is the name of its display and a number. These functions are the only ones that the core exports,
 * under a prefix of their own, since all of a program's libraries share one space of names.
 */
#ifndef GL_CORE_H
#define GL_CORE_H

#include "context.h"

#define GL_CORE GPUVCHAN_EXPORT

enum gl_surface_kind {
    GL_SURFACE_WINDOW,
    GL_SURFACE_PIXMAP,
    GL_SURFACE_PBUFFER,
};

struct gl_surface;
struct gl_screen;

/**
 * Connects to the host, once in a process; a failure is remembered, and said in one line on stderr: the program then
 * uses another library. @return false: there is none.
 */
GL_CORE bool gpuvchan_gl_start(const char *interface);

/** What the host has. After gpuvchan_gl_start(). */
GL_CORE const struct gl_wire_info *gpuvchan_gl_info(void);
/** The kinds of pictures that it renders. */
GL_CORE const struct gl_wire_config *gpuvchan_gl_configs(uint32_t *count);
/** The function of GL of that name, or NULL. */
GL_CORE void *gpuvchan_gl_lookup(const char *name);
/** Has the connection to the host ended? Said in one line when it is first seen. */
GL_CORE bool gpuvchan_gl_lost(void);

/** What a context shall be. */
struct gl_context_wish {
    enum gl_api api;
    unsigned major, minor; /* at least */
    uint32_t flags;        /* enum gl_context_flags */
    struct gl_context *share;
};

/** A context, or NULL and in *@p status why not (enum gl_status). Asks the host. */
GL_CORE struct gl_context *gpuvchan_gl_context_create(const struct gl_context_wish *wish, int *status);
/** Where it is current it stays until it is no more. */
GL_CORE void gpuvchan_gl_context_destroy(struct gl_context *context);
/** What is current in the calling thread, or NULL. */
GL_CORE struct gl_context *gpuvchan_gl_context_current(void);
/**
 * Has the thread use @p context with two surfaces, or with none; NULL: no context.
 * @return 0; GL_STATUS_BUSY: one of them is current in another thread; GL_STATUS_NO_MEMORY: no lane is left for this one.
 */
GL_CORE int gpuvchan_gl_make_current(struct gl_context *context, struct gl_surface *draw, struct gl_surface *read);
/** Returns when all that the thread has drawn is done, and windows show it. */
GL_CORE void gpuvchan_gl_finish(void);

/** The X server of that name, NULL: $DISPLAY. One in a process for each; NULL: it cannot be reached. */
GL_CORE struct gl_screen *gpuvchan_gl_screen(const char *display);

/** A visual of its first screen with 8 bits a colour and that depth; 0: none. */
GL_CORE uint32_t gpuvchan_gl_screen_visual(struct gl_screen *screen, uint8_t depth);

/** What a surface shall be. */
struct gl_surface_wish {
    enum gl_surface_kind kind;
    struct gl_wire_config config;
    bool double_buffered;
    struct gl_screen *screen; /* of a window or pixmap */
    uint32_t xid;             /* its number */
    uint32_t width, height;   /* of a pbuffer */
};

/** A surface, or NULL: no memory, or no such window. */
GL_CORE struct gl_surface *gpuvchan_gl_surface_create(const struct gl_surface_wish *wish);
/** Where it is current it stays until it is no more. NULL is allowed. */
GL_CORE void gpuvchan_gl_surface_destroy(struct gl_surface *surface);
GL_CORE void gpuvchan_gl_surface_size(struct gl_surface *surface, uint32_t *width, uint32_t *height);
/** Is its window no more? */
GL_CORE bool gpuvchan_gl_surface_gone(struct gl_surface *surface);
/** Shows what has been drawn, when it is done: waits only while two pictures are on their way. @return false: it is gone. */
GL_CORE bool gpuvchan_gl_surface_swap(struct gl_surface *surface);
/** Pictures are at least that many sixtieths of a second apart; 0, which is the default: as fast as can be. */
GL_CORE void gpuvchan_gl_surface_set_interval(struct gl_surface *surface, int interval);
GL_CORE int gpuvchan_gl_surface_interval(const struct gl_surface *surface);

#endif
