/* SPDX-License-Identifier: MIT */
/*
 * X servers, each on a connection of our own: the program's may be in another thread's hands, and events on it are the
 * program's.
 */
#include "screen.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct gl_screen *screens;

static void
find_shm(struct gl_screen *screen)
{
    const xcb_query_extension_reply_t *extension = xcb_get_extension_data(screen->connection, &xcb_shm_id);
    xcb_shm_query_version_reply_t *version;

    if (!extension || !extension->present)
        return;
    screen->shm_event = (uint8_t)(extension->first_event + XCB_SHM_COMPLETION);
    version = xcb_shm_query_version_reply(screen->connection, xcb_shm_query_version(screen->connection), NULL);
    screen->shared =
        version && (version->major_version > 1 || (version->major_version == 1 && version->minor_version >= 2));
    free(version);
}

static void
screen_free(struct gl_screen *screen)
{
    if (screen->connection)
        xcb_disconnect(screen->connection);
    free(screen->name);
    free(screen);
}

static struct gl_screen *
screen_open(const char *name)
{
    struct gl_screen *screen = calloc(1, sizeof(*screen));

    if (!screen)
        return NULL;
    screen->name = strdup(name);
    screen->connection = xcb_connect(name, &screen->number);
    if (!screen->name || xcb_connection_has_error(screen->connection)) {
        screen_free(screen);
        return NULL;
    }
    pthread_mutex_init(&screen->lock, NULL);
    pthread_cond_init(&screen->queued, NULL);
    pthread_cond_init(&screen->freed, NULL);
    screen->last = &screen->first;
    find_shm(screen);
    return screen;
}

struct gl_screen *
gpuvchan_gl_screen(const char *display)
{
    const char *name = display ? display : getenv("DISPLAY");
    struct gl_screen *screen;

    if (!name)
        return NULL;
    pthread_mutex_lock(&lock);
    for (screen = screens; screen; screen = screen->next)
        if (strcmp(screen->name, name) == 0 && !atomic_load(&screen->lost))
            break;
    if (!screen && (screen = screen_open(name))) {
        screen->next = screens;
        screens = screen;
    }
    pthread_mutex_unlock(&lock);
    return screen;
}

/* Of the visuals of one depth: the root's own before all others. */
static uint32_t
visual_of(const xcb_screen_t *screen, const xcb_depth_t *depth)
{
    const xcb_visualtype_t *visuals = xcb_depth_visuals(depth);
    uint32_t found = 0;

    for (int i = 0; i < xcb_depth_visuals_length(depth); i++)
        if (visuals[i]._class == XCB_VISUAL_CLASS_TRUE_COLOR && visuals[i].red_mask == 0xff0000 &&
            visuals[i].green_mask == 0xff00 && visuals[i].blue_mask == 0xff &&
            (!found || visuals[i].visual_id == screen->root_visual))
            found = visuals[i].visual_id;
    return found;
}

uint32_t
gpuvchan_gl_screen_visual(struct gl_screen *screen, uint8_t depth)
{
    xcb_screen_iterator_t at = xcb_setup_roots_iterator(xcb_get_setup(screen->connection));

    for (int i = 0; i < screen->number && at.rem > 1; i++)
        xcb_screen_next(&at);
    for (xcb_depth_iterator_t depths = xcb_screen_allowed_depths_iterator(at.data); depths.rem > 0;
         xcb_depth_next(&depths))
        if (depths.data->depth == depth)
            return visual_of(at.data, depths.data);
    return 0;
}

void
gl_screens_forget(void)
{
    pthread_mutex_init(&lock, NULL);
    for (struct gl_screen *screen = screens; screen; screen = screen->next)
        atomic_store(&screen->lost, true);
    screens = NULL;
}

/* ---- Windows --------------------------------------------------------------------------------- */

static void
set_size(struct gl_surface *surface, uint32_t width, uint32_t height)
{
    atomic_store_explicit(&surface->size, (uint64_t)width << 32 | height, memory_order_relaxed);
}

bool
gl_screen_look(struct gl_surface *surface)
{
    xcb_connection_t *connection = surface->screen->connection;
    xcb_get_geometry_reply_t *geometry;

    if (atomic_load(&surface->gone) || atomic_load(&surface->screen->lost))
        return false;
    geometry = xcb_get_geometry_reply(connection, xcb_get_geometry(connection, surface->xid), NULL);
    if (!geometry)
        return false;
    set_size(surface, geometry->width, geometry->height);
    surface->depth = geometry->depth;
    free(geometry);
    return true;
}

bool
gl_screen_add(struct gl_surface *surface)
{
    struct gl_screen *screen = surface->screen;
    const uint32_t events = XCB_EVENT_MASK_STRUCTURE_NOTIFY, exposures = 0;

    if (atomic_load(&screen->lost))
        return false;
    /* Before its size is asked for, so that no change goes unseen. */
    if (surface->kind == GL_SURFACE_WINDOW)
        xcb_change_window_attributes(screen->connection, surface->xid, XCB_CW_EVENT_MASK, &events);
    if (!gl_screen_look(surface))
        return false;
    surface->gc = xcb_generate_id(screen->connection);
    xcb_create_gc(screen->connection, surface->gc, surface->xid, XCB_GC_GRAPHICS_EXPOSURES, &exposures);
    pthread_mutex_lock(&screen->lock);
    surface->next = screen->surfaces;
    screen->surfaces = surface;
    pthread_mutex_unlock(&screen->lock);
    return true;
}

void
gl_screen_remove(struct gl_surface *surface)
{
    struct gl_screen *screen = surface->screen;

    pthread_mutex_lock(&screen->lock);
    for (struct gl_surface **at = &screen->surfaces; *at; at = &(*at)->next)
        if (*at == surface) {
            *at = surface->next;
            break;
        }
    pthread_mutex_unlock(&screen->lock);
    xcb_free_gc(screen->connection, surface->gc);
    xcb_flush(screen->connection);
}

/* ---- Events, with the screen's lock ---------------------------------------------------------- */

static struct gl_surface *
surface_of(const struct gl_screen *screen, uint32_t xid, struct gl_surface *after)
{
    struct gl_surface *surface = after ? after->next : screen->surfaces;

    while (surface && (surface->kind != GL_SURFACE_WINDOW || surface->xid != xid))
        surface = surface->next;
    return surface;
}

static void
segment_done(struct gl_screen *screen, xcb_shm_seg_t id)
{
    for (struct gl_surface *surface = screen->surfaces; surface; surface = surface->next)
        for (unsigned i = 0; i < GL_SLOTS; i++)
            if (surface->segments[i].id == id)
                surface->segments[i].reading = false;
}

/* A request has failed: if it was for a picture the window has gone, or its memory is not the server's to read. */
static void
segment_failed(struct gl_screen *screen, uint32_t sequence)
{
    for (struct gl_surface *surface = screen->surfaces; surface; surface = surface->next)
        for (unsigned i = 0; i < GL_SLOTS; i++)
            if (surface->segments[i].reading && surface->segments[i].sequence == sequence) {
                surface->segments[i].reading = false;
                atomic_store(&surface->gone, true);
            }
}

static void
take_event(struct gl_screen *screen, const xcb_generic_event_t *event)
{
    uint8_t type = event->response_type & 0x7f;
    struct gl_surface *surface = NULL;

    if (type == 0) {
        segment_failed(screen, event->full_sequence);
    } else if (type == screen->shm_event && screen->shared) {
        segment_done(screen, ((const xcb_shm_completion_event_t *)event)->shmseg);
    } else if (type == XCB_CONFIGURE_NOTIFY) {
        const xcb_configure_notify_event_t *configure = (const xcb_configure_notify_event_t *)event;

        while ((surface = surface_of(screen, configure->window, surface)))
            set_size(surface, configure->width, configure->height);
    } else if (type == XCB_DESTROY_NOTIFY) {
        while ((surface = surface_of(screen, ((const xcb_destroy_notify_event_t *)event)->window, surface)))
            atomic_store(&surface->gone, true);
    }
}

static void
take_all(struct gl_screen *screen)
{
    xcb_generic_event_t *event;

    pthread_mutex_lock(&screen->lock);
    while ((event = xcb_poll_for_event(screen->connection))) {
        take_event(screen, event);
        free(event);
    }
    if (xcb_connection_has_error(screen->connection))
        atomic_store(&screen->lost, true);
    pthread_mutex_unlock(&screen->lock);
}

void
gl_screen_events(struct gl_screen *screen)
{
    take_all(screen);
}

void
gl_screen_wait(struct gl_screen *screen, const struct gl_segment *segment)
{
    struct pollfd poll_fd = {.fd = xcb_get_file_descriptor(screen->connection), .events = POLLIN};

    take_all(screen);
    while (segment->reading && !atomic_load(&screen->lost)) {
        /* What another thread has read for its reply is in xcb's queue, and not seen by poll(). */
        poll(&poll_fd, 1, 20);
        take_all(screen);
    }
}
