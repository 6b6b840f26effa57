/* SPDX-License-Identifier: MIT */
/* What libGLX asks first: __glx_Main(), and the functions by their names. Displays, and errors. */
#include "glx.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <X11/Xlibint.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct glx_display *displays;

const __GLXapiExports *glx_exports;

/* ---- Displays -------------------------------------------------------------------------------- */

static void
display_free(struct glx_display *display)
{
    for (int i = 0; i < display->screen_count; i++)
        free(display->screens[i].configs);
    free(display->screens);
    free(display);
}

/* The program closes it. */
static int
closed(Display *dpy, XExtCodes *codes)
{
    struct glx_display **at, *display = NULL;

    (void)codes;
    pthread_mutex_lock(&lock);
    for (at = &displays; *at; at = &(*at)->next)
        if ((*at)->dpy == dpy) {
            display = *at;
            *at = display->next;
            break;
        }
    pthread_mutex_unlock(&lock);
    if (display) {
        glx_drawables_drop(display);
        display->dpy = NULL; /* contexts may name it, and its configs, still */
    }
    return 0;
}

static struct glx_display *
display_make(Display *dpy)
{
    struct glx_display *display = calloc(1, sizeof(*display));
    XExtCodes *codes;

    if (!display)
        return NULL;
    display->dpy = dpy;
    display->screen_count = ScreenCount(dpy);
    display->screens = calloc((size_t)display->screen_count, sizeof(*display->screens));
    for (int i = 0; i < display->screen_count; i++)
        if (!display->screens || !glx_configs_make(display, i)) {
            display->screen_count = display->screens ? i : 0;
            display_free(display);
            return NULL;
        }
    codes = XAddExtension(dpy);
    if (codes)
        XESetCloseDisplay(dpy, codes->extension, closed);
    return display;
}

struct glx_display *
glx_display_of(Display *dpy)
{
    struct glx_display *display;

    if (!dpy)
        return NULL;
    pthread_mutex_lock(&lock);
    for (display = displays; display && display->dpy != dpy; display = display->next)
        ;
    if (!display && (display = display_make(dpy))) {
        display->next = displays;
        displays = display;
    }
    pthread_mutex_unlock(&lock);
    return display;
}

struct gl_screen *
glx_server(struct glx_display *display)
{
    pthread_mutex_lock(&lock);
    if (!display->screen)
        display->screen = gpuvchan_gl_screen(DisplayString(display->dpy));
    pthread_mutex_unlock(&lock);
    return display->screen;
}

void
glx_error(Display *dpy, int code, XID resource, int request, bool core)
{
    int major, event, first;
    xError error = {.type = X_Error};

    if (!XQueryExtension(dpy, "GLX", &major, &event, &first))
        return; /* nobody could tell what it means */
    error.errorCode = (CARD8)(core ? code : first + code);
    error.resourceID = (CARD32)resource;
    error.minorCode = (CARD16)request;
    error.majorCode = (CARD8)major;
    LockDisplay(dpy);
    error.sequenceNumber = (CARD16)dpy->request;
    _XError(dpy, &error);
    UnlockDisplay(dpy);
}

XID
glx_id(Display *dpy)
{
    XID id;

    LockDisplay(dpy);
    id = XAllocID(dpy);
    UnlockDisplay(dpy);
    SyncHandle();
    return id;
}

/* ---- libGLX ---------------------------------------------------------------------------------- */

void *
glx_function(const char *name)
{
    static const struct {
        const char *name;
        void *function;
    } functions[] = {
#define FUNCTION(name) {#name, (void *)glx_##name},
        GLX_TABLE(FUNCTION)
#undef FUNCTION
    };
    size_t low = 0, high = sizeof(functions) / sizeof(functions[0]);

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, functions[middle].name);

        if (order == 0)
            return functions[middle].function;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static Bool
is_screen_supported(Display *dpy, int screen)
{
    (void)dpy;
    (void)screen;
    return True;
}

static void *
get_function(const GLubyte *name)
{
    const char *text = (const char *)name;

    return strncmp(text, "glX", 3) == 0 ? glx_function(text + 3) : gpuvchan_gl_lookup(text);
}

static void *
get_dispatch(const GLubyte *name)
{
    const char *text = (const char *)name;

    return strncmp(text, "glX", 3) == 0 ? glx_dispatch_function(text + 3) : NULL;
}

static void
set_index(const GLubyte *name, int index)
{
    glx_dispatch_index((const char *)name + 3, index);
}

GPUVCHAN_EXPORT Bool __glx_Main(uint32_t version, const __GLXapiExports *exports, __GLXvendorInfo *vendor,
                                __GLXapiImports *imports);

GPUVCHAN_EXPORT Bool
__glx_Main(uint32_t version, const __GLXapiExports *exports, __GLXvendorInfo *vendor, __GLXapiImports *imports)
{
    (void)vendor;
    if (GLX_VENDOR_ABI_GET_MAJOR_VERSION(version) != GLX_VENDOR_ABI_MAJOR_VERSION || !gpuvchan_gl_start("GLX"))
        return False;
    glx_exports = exports;
    imports->isScreenSupported = is_screen_supported;
    imports->getProcAddress = get_function;
    imports->getDispatchAddress = get_dispatch;
    imports->setDispatchIndex = set_index;
    return True;
}
