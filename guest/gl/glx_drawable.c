/* SPDX-License-Identifier: MIT */
/*
 * Windows, pixmaps and pbuffers of GLX, by their numbers.
 *
 * Design notes: a window that is drawn on as it is gets its entry at its first use, and nobody says when it is over:
 * entries whose windows have gone are cleared away when another one is looked for.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "glx.h"

#include <GL/glxext.h>

struct drawable {
    struct glx_display *display;
    XID id;
    const struct glx_config *config;
    struct gl_surface *surface;
    unsigned long events;
    bool window; /* of the program's, entered by us */
    struct drawable *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct drawable *drawables;

static void
drawable_free(struct drawable *drawable)
{
    gpuvchan_gl_surface_destroy(drawable->surface);
    free(drawable);
}

/* With the lock. Takes out all for which that is so, into a list of their own. */
static struct drawable *
take_out(bool (*which)(const struct drawable *, const void *), const void *argument)
{
    struct drawable *out = NULL;

    for (struct drawable **at = &drawables; *at;) {
        struct drawable *drawable = *at;

        if (!which(drawable, argument)) {
            at = &drawable->next;
            continue;
        }
        *at = drawable->next;
        drawable->next = out;
        out = drawable;
    }
    return out;
}

static void
free_all(struct drawable *list)
{
    while (list) {
        struct drawable *next = list->next;

        drawable_free(list);
        list = next;
    }
}

static bool
is_of_display(const struct drawable *drawable, const void *display)
{
    return drawable->display == display;
}

static bool
is_gone(const struct drawable *drawable, const void *unused)
{
    (void)unused;
    return drawable->window && gpuvchan_gl_surface_gone(drawable->surface);
}

struct named {
    const struct glx_display *display;
    XID id;
};

static bool
is_named(const struct drawable *drawable, const void *argument)
{
    const struct named *named = argument;

    return drawable->display == named->display && drawable->id == named->id;
}

void
glx_drawables_drop(struct glx_display *display)
{
    struct drawable *list;

    pthread_mutex_lock(&lock);
    list = take_out(is_of_display, display);
    pthread_mutex_unlock(&lock);
    free_all(list);
}

/* With the lock. */
static struct drawable *
find(const struct glx_display *display, XID id)
{
    const struct named named = {display, id};
    struct drawable *drawable = drawables;

    while (drawable && !is_named(drawable, &named))
        drawable = drawable->next;
    return drawable;
}

/* ---- Making ---------------------------------------------------------------------------------- */

static struct drawable *
enter(struct glx_display *display, XID id, const struct glx_config *config, const struct gl_surface_wish *wish)
{
    struct drawable *drawable = calloc(1, sizeof(*drawable));

    if (!drawable)
        return NULL;
    drawable->display = display;
    drawable->id = id;
    drawable->config = config;
    drawable->surface = gpuvchan_gl_surface_create(wish);
    if (!drawable->surface) {
        free(drawable);
        return NULL;
    }
    pthread_mutex_lock(&lock);
    drawable->next = drawables;
    drawables = drawable;
    pthread_mutex_unlock(&lock);
    return drawable;
}

/* The config of a window's visual. */
static const struct glx_config *
config_of_window(struct glx_display *display, Window window)
{
    XWindowAttributes attributes;

    if (!XGetWindowAttributes(display->dpy, window, &attributes))
        return NULL;
    return glx_config_of_visual(display, XScreenNumberOfScreen(attributes.screen),
                                XVisualIDFromVisual(attributes.visual));
}

struct gl_surface *
glx_surface_of(struct glx_display *display, GLXDrawable id, const struct glx_config *config)
{
    struct gl_surface_wish wish = {.kind = GL_SURFACE_WINDOW, .xid = (uint32_t)id};
    struct drawable *drawable, *gone;

    if (!display)
        return NULL;
    pthread_mutex_lock(&lock);
    drawable = find(display, id);
    pthread_mutex_unlock(&lock);
    if (drawable && !is_gone(drawable, NULL))
        return drawable->surface;
    pthread_mutex_lock(&lock);
    gone = take_out(is_gone, NULL);
    pthread_mutex_unlock(&lock);
    free_all(gone);
    if (!config)
        config = config_of_window(display, id);
    wish.screen = glx_server(display);
    if (!config || !wish.screen)
        return NULL;
    wish.config = config->wire;
    wish.double_buffered = config->double_buffered;
    XSync(display->dpy, False); /* we ask for it on another connection */
    drawable = enter(display, id, config, &wish);
    if (drawable)
        drawable->window = true;
    return drawable ? drawable->surface : NULL;
}

static XID
make(Display *dpy, GLXFBConfig fbconfig, struct gl_surface_wish *wish, int request)
{
    struct glx_display *display = glx_display_of(dpy);
    const struct glx_config *config = glx_config_of(display, fbconfig);
    XID id;

    if (!config) {
        glx_error(dpy, GLXBadFBConfig, 0, request, false);
        return None;
    }
    wish->config = config->wire;
    if (wish->kind != GL_SURFACE_PBUFFER) {
        wish->screen = glx_server(display);
        XSync(dpy, False);
    }
    wish->double_buffered = wish->kind == GL_SURFACE_PIXMAP ? false : config->double_buffered;
    id = glx_id(dpy);
    if ((wish->kind == GL_SURFACE_PBUFFER || wish->screen) && enter(display, id, config, wish))
        return id;
    glx_error(dpy,
              wish->kind == GL_SURFACE_WINDOW   ? BadWindow
              : wish->kind == GL_SURFACE_PIXMAP ? BadPixmap
                                                : BadAlloc,
              wish->xid, request, true);
    return None;
}

GLXWindow
glx_CreateWindow(Display *dpy, GLXFBConfig config, Window window, const int *list)
{
    struct gl_surface_wish wish = {.kind = GL_SURFACE_WINDOW, .xid = (uint32_t)window};

    (void)list;
    return make(dpy, config, &wish, X_GLXCreateWindow);
}

GLXPixmap
glx_CreatePixmap(Display *dpy, GLXFBConfig config, Pixmap pixmap, const int *list)
{
    struct gl_surface_wish wish = {.kind = GL_SURFACE_PIXMAP, .xid = (uint32_t)pixmap};

    (void)list;
    return make(dpy, config, &wish, X_GLXCreatePixmap);
}

GLXPbuffer
glx_CreatePbuffer(Display *dpy, GLXFBConfig config, const int *list)
{
    struct gl_surface_wish wish = {.kind = GL_SURFACE_PBUFFER};

    for (; list && list[0] != None; list += 2) {
        uint32_t value = list[1] > 0 ? (uint32_t)list[1] : 0;

        if (list[0] == GLX_PBUFFER_WIDTH)
            wish.width = value;
        else if (list[0] == GLX_PBUFFER_HEIGHT)
            wish.height = value;
    }
    return make(dpy, config, &wish, X_GLXCreatePbuffer);
}

GLXPixmap
glx_CreateGLXPixmapWithConfigSGIX(Display *dpy, GLXFBConfig config, Pixmap pixmap)
{
    return glx_CreatePixmap(dpy, config, pixmap, NULL);
}

GLXPixmap
glx_CreateGLXPixmap(Display *dpy, XVisualInfo *visual, Pixmap pixmap)
{
    const struct glx_config *config =
        visual ? glx_config_of_visual(glx_display_of(dpy), visual->screen, visual->visualid) : NULL;

    return glx_CreatePixmap(dpy, (GLXFBConfig)config, pixmap, NULL);
}

/* ---- Destroying ------------------------------------------------------------------------------ */

static void
destroy(Display *dpy, XID id, int error, int request)
{
    const struct named named = {glx_display_of(dpy), id};
    struct drawable *list;

    pthread_mutex_lock(&lock);
    list = take_out(is_named, &named);
    pthread_mutex_unlock(&lock);
    if (!list)
        glx_error(dpy, error, id, request, false);
    free_all(list);
}

void
glx_DestroyWindow(Display *dpy, GLXWindow window)
{
    destroy(dpy, window, GLXBadWindow, X_GLXDestroyWindow);
}

void
glx_DestroyPixmap(Display *dpy, GLXPixmap pixmap)
{
    destroy(dpy, pixmap, GLXBadPixmap, X_GLXDestroyPixmap);
}

void
glx_DestroyPbuffer(Display *dpy, GLXPbuffer pbuffer)
{
    destroy(dpy, pbuffer, GLXBadPbuffer, X_GLXDestroyPbuffer);
}

void
glx_DestroyGLXPixmap(Display *dpy, GLXPixmap pixmap)
{
    glx_DestroyPixmap(dpy, pixmap);
}

/* ---- Use ------------------------------------------------------------------------------------- */

/*
 * GLX has no error for a picture that cannot be had. If the X server has gone the program is to meet that on its own
 * connection, and ends as Xlib has it; else, when it draws on, it shall not keep a processor busy with it.
 */
static void
rest(Display *dpy)
{
    const struct timespec sixtieth = {.tv_nsec = 16666667};

    if (!gpuvchan_gl_lost())
        XSync(dpy, False);
    nanosleep(&sixtieth, NULL);
}

void
glx_SwapBuffers(Display *dpy, GLXDrawable id)
{
    struct glx_display *display = glx_display_of(dpy);
    struct drawable *drawable;

    pthread_mutex_lock(&lock);
    drawable = find(display, id);
    pthread_mutex_unlock(&lock);
    /* A window that nothing has been drawn on has nothing to show. */
    if (drawable && !gpuvchan_gl_surface_swap(drawable->surface))
        rest(dpy);
}

void
glx_QueryDrawable(Display *dpy, GLXDrawable id, int attribute, unsigned int *value)
{
    struct glx_display *display = glx_display_of(dpy);
    struct gl_surface *surface = glx_surface_of(display, id, NULL);
    struct drawable *drawable;
    uint32_t width, height;

    *value = 0;
    if (!surface) {
        glx_error(dpy, GLXBadDrawable, id, X_GLXGetDrawableAttributes, false);
        return;
    }
    pthread_mutex_lock(&lock);
    drawable = find(display, id);
    pthread_mutex_unlock(&lock);
    gpuvchan_gl_surface_size(surface, &width, &height);
    switch (attribute) {
    case GLX_WIDTH:
        *value = width;
        break;
    case GLX_HEIGHT:
        *value = height;
        break;
    case GLX_PRESERVED_CONTENTS:
        *value = True;
        break;
    case GLX_FBCONFIG_ID:
        *value = drawable ? (unsigned)drawable->config->id : 0;
        break;
    case GLX_SWAP_INTERVAL_EXT:
        *value = (unsigned)gpuvchan_gl_surface_interval(surface);
        break;
    case GLX_MAX_SWAP_INTERVAL_EXT:
        *value = 0x7fffffff;
        break;
    default: /* GLX_LARGEST_PBUFFER, and what others have */
        break;
    }
}

void
glx_SelectEvent(Display *dpy, GLXDrawable id, unsigned long mask)
{
    struct drawable *drawable;

    pthread_mutex_lock(&lock);
    drawable = find(glx_display_of(dpy), id);
    if (drawable)
        drawable->events = mask; /* of clobbered pbuffers: ours never are */
    pthread_mutex_unlock(&lock);
}

void
glx_GetSelectedEvent(Display *dpy, GLXDrawable id, unsigned long *mask)
{
    struct drawable *drawable;

    pthread_mutex_lock(&lock);
    drawable = find(glx_display_of(dpy), id);
    *mask = drawable ? drawable->events : 0;
    pthread_mutex_unlock(&lock);
}
