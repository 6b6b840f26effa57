/* SPDX-License-Identifier: MIT */
/*
 * libGLX_gpuvchan.so.0: what libGLX finds GLX's functions in.
 *
 * Design notes: an FBConfig is one of the host's kinds of pictures on one of the X server's visuals. Drawables are numbers
 * of the X server's; what we have made of them is in a table. Functions that libGLX does not know are found by way of
 * dispatch stubs, which know whose the display, drawable or context is.
 */
#ifndef GL_GLX_H
#define GL_GLX_H

#include <stdbool.h>
#include <stdint.h>

#include <X11/Xlib.h>
#include <X11/Xmd.h>
#include <X11/Xutil.h>
#include <GL/glx.h>

#include <GL/glxproto.h>

#include <glvnd/libglxabi.h>

#include "core.h"

struct glx_display;

struct glx_config {
    struct gl_wire_config wire;
    XID id;
    bool double_buffered;
    VisualID visual; /* 0: none */
    int visual_depth;
    bool owner; /* of the visual: what it stands for by itself */
    int screen;
};

struct glx_screen {
    struct glx_config *configs;
    size_t count;
    const struct glx_config *chosen; /* last, for its visual */
};

/** A display that a program has open. */
struct glx_display {
    Display *dpy;
    struct gl_screen *screen; /* NULL until it is wanted */
    struct glx_screen *screens;
    int screen_count;
    struct glx_display *next;
};

struct glx_context {
    struct gl_context *gl;
    const struct glx_config *config; /* NULL: without one */
    struct glx_display *display;
    int screen;
    XID id;
    GLXDrawable draw, read;
};

/** What we know of @p dpy; NULL: no memory. */
struct glx_display *glx_display_of(Display *dpy);
/** Its X server, on a connection of our own; NULL: it cannot be reached. */
struct gl_screen *glx_server(struct glx_display *display);

/** Fills in the configs of a screen. @return false: no memory. */
bool glx_configs_make(struct glx_display *display, int number);
/** NULL unless it is one of ours. */
const struct glx_config *glx_config_of(struct glx_display *display, GLXFBConfig config);
/** What a visual stands for, or NULL. */
const struct glx_config *glx_config_of_visual(struct glx_display *display, int screen, VisualID visual);
/** An attribute of a config: 0, or GLX_BAD_ATTRIBUTE. */
int glx_config_get(const struct glx_config *config, int attribute, int *value);

/** A drawable's surface. Windows have one made, of @p config, when they are first used; others are NULL unless made. */
struct gl_surface *glx_surface_of(struct glx_display *display, GLXDrawable drawable, const struct glx_config *config);
/** The display has been closed: so are its drawables. */
void glx_drawables_drop(struct glx_display *display);

/** Tells the program of an error, as the X server would: @p core: of X itself, not of GLX. */
void glx_error(Display *dpy, int code, XID resource, int request, bool core);

/** A number for something new. */
XID glx_id(Display *dpy);

/** The function of that name, or NULL: by its table. */
void *glx_function(const char *name);
void *glx_dispatch_function(const char *name);
void glx_dispatch_index(const char *name, int index);

extern const __GLXapiExports *glx_exports;

#define GLX_EXTENSIONS_TEXT                                                                      \
    "GLX_ARB_context_flush_control GLX_ARB_create_context GLX_ARB_create_context_no_error "      \
    "GLX_ARB_create_context_profile GLX_ARB_create_context_robustness GLX_ARB_get_proc_address " \
    "GLX_ARB_multisample GLX_EXT_create_context_es_profile GLX_EXT_create_context_es2_profile "  \
    "GLX_EXT_no_config_context GLX_EXT_swap_control GLX_EXT_visual_info GLX_EXT_visual_rating "  \
    "GLX_MESA_query_renderer GLX_MESA_swap_control GLX_SGIX_fbconfig GLX_SGI_make_current_read " \
    "GLX_SGI_swap_control "

#define GLX_TABLE(F)                   \
    F(ChooseFBConfig)                  \
    F(ChooseFBConfigSGIX)              \
    F(ChooseVisual)                    \
    F(CopyContext)                     \
    F(CreateContext)                   \
    F(CreateContextAttribsARB)         \
    F(CreateContextWithConfigSGIX)     \
    F(CreateGLXPixmap)                 \
    F(CreateGLXPixmapWithConfigSGIX)   \
    F(CreateNewContext)                \
    F(CreatePbuffer)                   \
    F(CreatePixmap)                    \
    F(CreateWindow)                    \
    F(DestroyContext)                  \
    F(DestroyGLXPixmap)                \
    F(DestroyPbuffer)                  \
    F(DestroyPixmap)                   \
    F(DestroyWindow)                   \
    F(GetClientString)                 \
    F(GetConfig)                       \
    F(GetFBConfigAttrib)               \
    F(GetFBConfigAttribSGIX)           \
    F(GetFBConfigFromVisualSGIX)       \
    F(GetFBConfigs)                    \
    F(GetSelectedEvent)                \
    F(GetSwapIntervalMESA)             \
    F(GetVisualFromFBConfig)           \
    F(GetVisualFromFBConfigSGIX)       \
    F(IsDirect)                        \
    F(MakeContextCurrent)              \
    F(MakeCurrent)                     \
    F(MakeCurrentReadSGI)              \
    F(QueryContext)                    \
    F(QueryCurrentRendererIntegerMESA) \
    F(QueryCurrentRendererStringMESA)  \
    F(QueryDrawable)                   \
    F(QueryExtensionsString)           \
    F(QueryRendererIntegerMESA)        \
    F(QueryRendererStringMESA)         \
    F(QueryServerString)               \
    F(SelectEvent)                     \
    F(SwapBuffers)                     \
    F(SwapIntervalEXT)                 \
    F(SwapIntervalMESA)                \
    F(SwapIntervalSGI)                 \
    F(UseXFont)                        \
    F(WaitGL)                          \
    F(WaitX)

/** Makes the display lists of glXUseXFont() in the current context. */
void glx_font_lists(Display *dpy, Font font, int first, int count, int base);

/* As they are declared in GL/glx.h and glxext.h, with a prefix that is our own: libGLX has those names. */
XVisualInfo *glx_ChooseVisual(Display *dpy, int screen, int *list);
void glx_CopyContext(Display *dpy, GLXContext from, GLXContext to, unsigned long mask);
GLXContext glx_CreateContext(Display *dpy, XVisualInfo *visual, GLXContext share, Bool direct);
GLXPixmap glx_CreateGLXPixmap(Display *dpy, XVisualInfo *visual, Pixmap pixmap);
void glx_DestroyContext(Display *dpy, GLXContext context);
void glx_DestroyGLXPixmap(Display *dpy, GLXPixmap pixmap);
int glx_GetConfig(Display *dpy, XVisualInfo *visual, int attribute, int *value);
Bool glx_IsDirect(Display *dpy, GLXContext context);
Bool glx_MakeCurrent(Display *dpy, GLXDrawable drawable, GLXContext context);
void glx_SwapBuffers(Display *dpy, GLXDrawable drawable);
void glx_UseXFont(Font font, int first, int count, int base);
void glx_WaitGL(void);
void glx_WaitX(void);
const char *glx_QueryServerString(Display *dpy, int screen, int name);
const char *glx_GetClientString(Display *dpy, int name);
const char *glx_QueryExtensionsString(Display *dpy, int screen);
GLXFBConfig *glx_ChooseFBConfig(Display *dpy, int screen, const int *list, int *count);
GLXContext glx_CreateNewContext(Display *dpy, GLXFBConfig config, int type, GLXContext share, Bool direct);
GLXPbuffer glx_CreatePbuffer(Display *dpy, GLXFBConfig config, const int *list);
GLXPixmap glx_CreatePixmap(Display *dpy, GLXFBConfig config, Pixmap pixmap, const int *list);
GLXWindow glx_CreateWindow(Display *dpy, GLXFBConfig config, Window window, const int *list);
void glx_DestroyPbuffer(Display *dpy, GLXPbuffer pbuffer);
void glx_DestroyPixmap(Display *dpy, GLXPixmap pixmap);
void glx_DestroyWindow(Display *dpy, GLXWindow window);
int glx_GetFBConfigAttrib(Display *dpy, GLXFBConfig config, int attribute, int *value);
GLXFBConfig *glx_GetFBConfigs(Display *dpy, int screen, int *count);
void glx_GetSelectedEvent(Display *dpy, GLXDrawable drawable, unsigned long *mask);
XVisualInfo *glx_GetVisualFromFBConfig(Display *dpy, GLXFBConfig config);
Bool glx_MakeContextCurrent(Display *dpy, GLXDrawable draw, GLXDrawable read, GLXContext context);
int glx_QueryContext(Display *dpy, GLXContext context, int attribute, int *value);
void glx_QueryDrawable(Display *dpy, GLXDrawable drawable, int attribute, unsigned int *value);
void glx_SelectEvent(Display *dpy, GLXDrawable drawable, unsigned long mask);
GLXContext
glx_CreateContextAttribsARB(Display *dpy, GLXFBConfig config, GLXContext share, Bool direct, const int *list);
void glx_SwapIntervalEXT(Display *dpy, GLXDrawable drawable, int interval);
int glx_SwapIntervalSGI(int interval);
int glx_SwapIntervalMESA(unsigned int interval);
int glx_GetSwapIntervalMESA(void);
Bool glx_QueryRendererIntegerMESA(Display *dpy, int screen, int renderer, int attribute, unsigned int *value);
Bool glx_QueryCurrentRendererIntegerMESA(int attribute, unsigned int *value);
const char *glx_QueryRendererStringMESA(Display *dpy, int screen, int renderer, int attribute);
const char *glx_QueryCurrentRendererStringMESA(int attribute);
int glx_GetFBConfigAttribSGIX(Display *dpy, GLXFBConfig config, int attribute, int *value);
GLXFBConfig *glx_ChooseFBConfigSGIX(Display *dpy, int screen, int *list, int *count);
GLXPixmap glx_CreateGLXPixmapWithConfigSGIX(Display *dpy, GLXFBConfig config, Pixmap pixmap);
GLXContext glx_CreateContextWithConfigSGIX(Display *dpy, GLXFBConfig config, int type, GLXContext share, Bool direct);
XVisualInfo *glx_GetVisualFromFBConfigSGIX(Display *dpy, GLXFBConfig config);
GLXFBConfig glx_GetFBConfigFromVisualSGIX(Display *dpy, XVisualInfo *visual);
Bool glx_MakeCurrentReadSGI(Display *dpy, GLXDrawable draw, GLXDrawable read, GLXContext context);

#endif
