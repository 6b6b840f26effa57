/* SPDX-License-Identifier: MIT */
/*
 * Surfaces, and the windows that show them.
 *
 * Design notes: a surface is an image on the host. One of a window has besides two slots of the arena, where the host
 * puts pictures, and a completion word by which it says so. Which of the slots is taken is the screen's lock's to know.
 */
#ifndef GL_SURFACE_H
#define GL_SURFACE_H

#include <pthread.h>

#include <xcb/shm.h>
#include <xcb/xcb.h>

#include "core.h"

#define GL_SLOTS 2

/** A picture on its way from the host to the X server. */
struct gl_slot {
    struct gpuvchan_buffer *buffer;
    uint32_t width, height;
    uint64_t number; /* that the word has when the picture is there */
    bool taken;      /* with the screen's lock: until it has been handed to the X server */
    struct gl_surface *surface;
    struct gl_slot *next; /* in the presenter's queue */
};

/** Memory that the X server sees. */
struct gl_segment {
    xcb_shm_seg_t id; /* 0: none */
    void *data;
    size_t bytes;
    bool reading;      /* the server has not said that it is done */
    uint32_t sequence; /* of the request that it reads for */
};

struct gl_surface {
    struct gpuvchan_client client;
    uint32_t handle;
    enum gl_surface_kind kind;
    struct gl_wire_config config;
    bool double_buffered;
    uint32_t width, height;  /* of the host's image */
    unsigned references;     /* with the lock of context.c: the program's, and contexts' */
    struct gl_context *user; /* that it is current with; as above */

    /* Of windows and pixmaps */
    struct gl_screen *screen;
    uint32_t xid;
    uint8_t depth;
    xcb_gcontext_t gc;
    _Atomic uint64_t size; /* of the window, as the server said last: width << 32 | height */
    atomic_bool gone;      /* there is no such window any more */
    atomic_int interval;
    uint64_t shown_ns; /* when the last picture was */
    uint32_t word;
    uint64_t number; /* of the last picture that was asked for */
    struct gl_slot slots[GL_SLOTS];
    struct gl_segment segments[GL_SLOTS]; /* the presenter's alone */
    uint64_t looked[4];                   /* sizes of viewports that were none of the window's */
    struct gl_surface *next;              /* of the screen's; with its lock */
};

/** An X server, on a connection of our own, and the thread that shows pictures there. */
struct gl_screen {
    char *name;
    xcb_connection_t *connection;
    int number;  /* of its screen, as the name says */
    bool shared; /* it takes memory by descriptor */
    uint8_t shm_event;
    pthread_mutex_t lock;
    pthread_cond_t queued; /* for the presenter */
    pthread_cond_t freed;  /* a slot is */
    struct gl_slot *first, **last;
    bool running;     /* the presenter */
    atomic_bool lost; /* the server has gone */
    struct gl_surface *surfaces;
    struct gl_screen *next;
};

/** After a fork: the connections are the parent's. */
void gl_screens_forget(void);

/** Asks the server for a window's size, and waits for the answer. @return false: no such window. */
bool gl_screen_look(struct gl_surface *surface);

/** Begins to show @p surface: its window's size and depth are found. @return 0, -ENOENT, -ENOMEM. */
int gl_present_begin(struct gl_surface *surface);
/** Shows it no more: waits for pictures that are on their way, and gives back what it had. */
void gl_present_end(struct gl_surface *surface);
/** Hands a picture of the host's over, which comes with the word's next number. @return 0 or -errno. */
int gl_present(struct gl_surface *surface, struct gpuvchan_lane *lane);
/** Waits until all pictures are on the server. */
void gl_present_finish(struct gl_surface *surface);

/** With the lock of context.c: one reference less; the caller then calls gl_surface_end() if that is true. */
bool gl_surface_unref(struct gl_surface *surface);
void gl_surface_end(struct gl_surface *surface);
/** The window's size is another one: so is the host's image. On the thread that draws. */
void gl_surface_fit(struct gl_surface *surface, struct gpuvchan_lane *lane);

#endif
