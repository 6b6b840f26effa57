/* SPDX-License-Identifier: MIT */
/* Contexts of GLX. */
#include <stdlib.h>
#include <string.h>

#include "glx.h"

#include <GL/glxext.h>

static __thread struct glx_context *current;

/* ---- Creating -------------------------------------------------------------------------------- */

static struct glx_context *
make(Display *dpy, const struct glx_config *config, int screen, const struct gl_context_wish *wish, int request)
{
    struct glx_context *context = calloc(1, sizeof(*context));
    int status = GL_STATUS_NO_MEMORY;

    if (context)
        context->gl = gpuvchan_gl_context_create(wish, &status);
    if (context && context->gl) {
        context->display = glx_display_of(dpy);
        context->config = config;
        context->screen = screen;
        context->id = glx_id(dpy);
        return context;
    }
    free(context);
    if (status == GL_STATUS_BAD_MATCH)
        glx_error(dpy, GLXBadFBConfig, 0, request, false);
    else
        glx_error(dpy, status == GL_STATUS_BAD_SHARE ? BadMatch : BadAlloc, 0, request, true);
    return NULL;
}

static struct gl_context *
shared(GLXContext share)
{
    return share ? ((struct glx_context *)share)->gl : NULL;
}

static GLXContext
make_old(Display *dpy, const struct glx_config *config, GLXContext share, int request)
{
    const struct gl_context_wish wish = {.api = GL_API_COMPAT, .major = 1, .minor = 0, .share = shared(share)};

    return (GLXContext)make(dpy, config, config->screen, &wish, request);
}

GLXContext
glx_CreateContext(Display *dpy, XVisualInfo *visual, GLXContext share, Bool direct)
{
    const struct glx_config *config =
        visual ? glx_config_of_visual(glx_display_of(dpy), visual->screen, visual->visualid) : NULL;

    (void)direct;
    if (config)
        return make_old(dpy, config, share, X_GLXCreateContext);
    glx_error(dpy, BadValue, visual ? visual->visualid : 0, X_GLXCreateContext, true);
    return NULL;
}

GLXContext
glx_CreateNewContext(Display *dpy, GLXFBConfig fbconfig, int type, GLXContext share, Bool direct)
{
    const struct glx_config *config = glx_config_of(glx_display_of(dpy), fbconfig);

    (void)direct;
    if (!config)
        glx_error(dpy, GLXBadFBConfig, 0, X_GLXCreateNewContext, false);
    else if (type != GLX_RGBA_TYPE)
        glx_error(dpy, type == GLX_COLOR_INDEX_TYPE ? BadMatch : BadValue, 0, X_GLXCreateNewContext, true);
    else
        return make_old(dpy, config, share, X_GLXCreateNewContext);
    return NULL;
}

GLXContext
glx_CreateContextWithConfigSGIX(Display *dpy, GLXFBConfig config, int type, GLXContext share, Bool direct)
{
    return glx_CreateNewContext(dpy, config, type, share, direct);
}

/* The attributes as they stand. */
struct attributes {
    int major, minor, flags, profile, reset, no_error, type;
    int screen; /* without a config */
    bool bad;
};

static struct attributes
read_attributes(const int *list)
{
    struct attributes all = {.major = 1,
                             .profile = GLX_CONTEXT_CORE_PROFILE_BIT_ARB,
                             .reset = GLX_NO_RESET_NOTIFICATION_ARB,
                             .type = GLX_RGBA_TYPE};
    const struct {
        int attribute, *value;
    } known[] = {
        {GLX_CONTEXT_MAJOR_VERSION_ARB, &all.major},
        {GLX_CONTEXT_MINOR_VERSION_ARB, &all.minor},
        {GLX_CONTEXT_FLAGS_ARB, &all.flags},
        {GLX_CONTEXT_PROFILE_MASK_ARB, &all.profile},
        {GLX_CONTEXT_RESET_NOTIFICATION_STRATEGY_ARB, &all.reset},
        {GLX_CONTEXT_OPENGL_NO_ERROR_ARB, &all.no_error},
        {GLX_RENDER_TYPE, &all.type},
        {GLX_SCREEN, &all.screen},
    };

    for (; list && list[0] != None; list += 2) {
        size_t i = 0;

        while (i < sizeof(known) / sizeof(known[0]) && known[i].attribute != list[0])
            i++;
        if (i < sizeof(known) / sizeof(known[0]))
            *known[i].value = list[1];
        else if (list[0] != GLX_CONTEXT_RELEASE_BEHAVIOR_ARB)
            all.bad = true;
    }
    return all;
}

/* @return 0, or the error of GLX_ARB_create_context; *@p core: of X itself. */
static int
wish_of(const struct attributes *all, struct gl_context_wish *wish, bool *core)
{
    const int flags =
        GLX_CONTEXT_DEBUG_BIT_ARB | GLX_CONTEXT_FORWARD_COMPATIBLE_BIT_ARB | GLX_CONTEXT_ROBUST_ACCESS_BIT_ARB;
    bool es = all->profile == GLX_CONTEXT_ES2_PROFILE_BIT_EXT,
         third = all->major > 3 || (all->major == 3 && all->minor >= 2);

    *core = true;
    if (all->bad || all->flags & ~flags)
        return BadValue;
    if (all->type != GLX_RGBA_TYPE)
        return BadMatch;
    if (all->major < 1 || all->minor < 0 || all->major > 99 || all->minor > 99 ||
        (all->flags & GLX_CONTEXT_FORWARD_COMPATIBLE_BIT_ARB && all->major < 3))
        return BadMatch;
    *core = false;
    if (all->profile != GLX_CONTEXT_CORE_PROFILE_BIT_ARB && all->profile != GLX_CONTEXT_COMPATIBILITY_PROFILE_BIT_ARB &&
        !es)
        return GLXBadProfileARB;
    wish->major = (unsigned)all->major;
    wish->minor = (unsigned)all->minor;
    wish->api = es ? (all->major == 1 ? GL_API_ES1 : GL_API_ES2)
                : third && all->profile == GLX_CONTEXT_CORE_PROFILE_BIT_ARB ? GL_API_CORE
                                                                            : GL_API_COMPAT;
    wish->flags = (all->flags & GLX_CONTEXT_DEBUG_BIT_ARB ? GL_FLAG_DEBUG : 0) |
                  (all->flags & GLX_CONTEXT_FORWARD_COMPATIBLE_BIT_ARB ? GL_FLAG_FORWARD : 0) |
                  (all->flags & GLX_CONTEXT_ROBUST_ACCESS_BIT_ARB ? GL_FLAG_ROBUST : 0) |
                  (all->no_error ? GL_FLAG_NO_ERROR : 0) |
                  (all->reset == GLX_LOSE_CONTEXT_ON_RESET_ARB ? GL_FLAG_RESET_LOSES : 0);
    return 0;
}

GLXContext
glx_CreateContextAttribsARB(Display *dpy, GLXFBConfig fbconfig, GLXContext share, Bool direct, const int *list)
{
    struct attributes all = read_attributes(list);
    const struct glx_config *config = glx_config_of(glx_display_of(dpy), fbconfig);
    struct gl_context_wish wish = {.share = shared(share)};
    bool core;
    int error = wish_of(&all, &wish, &core);

    (void)direct;
    if (fbconfig && !config) {
        error = GLXBadFBConfig;
        core = false;
    }
    if (error == 0)
        return (GLXContext)make(dpy, config, config ? config->screen : all.screen, &wish, 34);
    glx_error(dpy, error, 0, 34, core);
    return NULL;
}

void
glx_DestroyContext(Display *dpy, GLXContext handle)
{
    struct glx_context *context = (struct glx_context *)handle;

    (void)dpy;
    if (!context)
        return;
    gpuvchan_gl_context_destroy(context->gl);
    if (context == current)
        current = NULL; /* libGLX has let go of it, or does so next */
    free(context);
}

void
glx_CopyContext(Display *dpy, GLXContext from, GLXContext to, unsigned long mask)
{
    (void)from;
    (void)to;
    (void)mask;
    /* The state is the host's driver's, which has no such function. */
    glx_error(dpy, BadMatch, 0, X_GLXCopyContext, true);
}

/* ---- Current --------------------------------------------------------------------------------- */

Bool
glx_MakeContextCurrent(Display *dpy, GLXDrawable draw, GLXDrawable read, GLXContext handle)
{
    struct glx_context *context = (struct glx_context *)handle;
    struct glx_display *display = glx_display_of(dpy);
    struct gl_surface *to = NULL, *from = NULL;
    int status;

    if (!context) {
        gpuvchan_gl_make_current(NULL, NULL, NULL);
        current = NULL;
        return True;
    }
    if (!display || !draw != !read) {
        glx_error(dpy, BadMatch, 0, X_GLXMakeContextCurrent, true);
        return False;
    }
    if (draw) {
        to = glx_surface_of(display, draw, context->config);
        from = read == draw ? to : glx_surface_of(display, read, context->config);
        if (!to || !from) {
            glx_error(dpy, GLXBadDrawable, to ? read : draw, X_GLXMakeContextCurrent, false);
            return False;
        }
    }
    status = gpuvchan_gl_make_current(context->gl, to, from);
    if (status != 0) {
        glx_error(dpy, status == GL_STATUS_BUSY ? BadAccess : BadAlloc, draw, X_GLXMakeContextCurrent, true);
        return False;
    }
    context->draw = draw;
    context->read = read;
    current = context;
    return True;
}

Bool
glx_MakeCurrent(Display *dpy, GLXDrawable drawable, GLXContext context)
{
    return glx_MakeContextCurrent(dpy, drawable, drawable, context);
}

Bool
glx_MakeCurrentReadSGI(Display *dpy, GLXDrawable draw, GLXDrawable read, GLXContext context)
{
    return glx_MakeContextCurrent(dpy, draw, read, context);
}

Bool
glx_IsDirect(Display *dpy, GLXContext context)
{
    (void)dpy;
    return context != NULL;
}

int
glx_QueryContext(Display *dpy, GLXContext handle, int attribute, int *value)
{
    const struct glx_context *context = (const struct glx_context *)handle;

    (void)dpy;
    if (!context)
        return GLXBadContext;
    switch (attribute) {
    case GLX_FBCONFIG_ID:
        *value = context->config ? (int)context->config->id : 0;
        return 0;
    case GLX_RENDER_TYPE:
        *value = GLX_RGBA_TYPE;
        return 0;
    case GLX_SCREEN:
        *value = context->screen;
        return 0;
    default:
        return GLX_BAD_ATTRIBUTE;
    }
}

void
glx_WaitGL(void)
{
    gpuvchan_gl_finish();
}

void
glx_WaitX(void)
{
    if (current && current->display->dpy)
        XSync(current->display->dpy, False);
}

/* ---- Swap intervals -------------------------------------------------------------------------- */

static struct gl_surface *
current_surface(void)
{
    return current && current->draw && current->display->dpy
               ? glx_surface_of(current->display, current->draw, current->config)
               : NULL;
}

void
glx_SwapIntervalEXT(Display *dpy, GLXDrawable drawable, int interval)
{
    struct gl_surface *surface = glx_surface_of(glx_display_of(dpy), drawable, current ? current->config : NULL);

    if (interval < 0)
        glx_error(dpy, BadValue, 0, 17, true);
    else if (surface)
        gpuvchan_gl_surface_set_interval(surface, interval);
}

int
glx_SwapIntervalMESA(unsigned int interval)
{
    struct gl_surface *surface = current_surface();

    if (!surface)
        return GLX_BAD_CONTEXT;
    if (interval > 0x7fffffff)
        return GLX_BAD_VALUE;
    gpuvchan_gl_surface_set_interval(surface, (int)interval);
    return 0;
}

int
glx_SwapIntervalSGI(int interval)
{
    return interval <= 0 ? GLX_BAD_VALUE : glx_SwapIntervalMESA((unsigned int)interval);
}

int
glx_GetSwapIntervalMESA(void)
{
    struct gl_surface *surface = current_surface();

    return surface ? gpuvchan_gl_surface_interval(surface) : 0;
}

void
glx_UseXFont(Font font, int first, int count, int base)
{
    if (current && current->display->dpy)
        glx_font_lists(current->display->dpy, font, first, count, base);
}
