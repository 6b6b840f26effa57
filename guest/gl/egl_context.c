/* SPDX-License-Identifier: MIT */
/* Contexts of EGL, and what is current; syncs, of which each is done when the program has it. */
#include <stdlib.h>

#include "egl.h"

static __thread EGLenum bound = EGL_OPENGL_ES_API;
static __thread struct egl_context *current;

struct egl_context *
egl_current(void)
{
    return current;
}

EGLBoolean
egl_BindAPI(EGLenum api)
{
    if (api != EGL_OPENGL_API && api != EGL_OPENGL_ES_API)
        return egl_fail(EGL_BAD_PARAMETER);
    bound = api;
    return egl_done();
}

/* ---- Creating -------------------------------------------------------------------------------- */

struct attributes {
    EGLint major, minor, profile, flags, debug, forward, robust, reset, no_error;
    EGLint robust_es, reset_es; /* of EGL_EXT_create_context_robustness */
    bool bad;
};

static struct attributes
read_attributes(const EGLint *list)
{
    struct attributes all = {.major = 1, .profile = EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT};
    const struct {
        EGLint attribute, *value;
    } known[] = {
        {EGL_CONTEXT_MAJOR_VERSION, &all.major},
        {EGL_CONTEXT_MINOR_VERSION, &all.minor},
        {EGL_CONTEXT_OPENGL_PROFILE_MASK, &all.profile},
        {EGL_CONTEXT_FLAGS_KHR, &all.flags},
        {EGL_CONTEXT_OPENGL_DEBUG, &all.debug},
        {EGL_CONTEXT_OPENGL_FORWARD_COMPATIBLE, &all.forward},
        {EGL_CONTEXT_OPENGL_ROBUST_ACCESS, &all.robust},
        {EGL_CONTEXT_OPENGL_ROBUST_ACCESS_EXT, &all.robust_es},
        {EGL_CONTEXT_OPENGL_RESET_NOTIFICATION_STRATEGY, &all.reset},
        {EGL_CONTEXT_OPENGL_RESET_NOTIFICATION_STRATEGY_EXT, &all.reset_es},
        {EGL_CONTEXT_OPENGL_NO_ERROR_KHR, &all.no_error},
    };

    for (; list && list[0] != EGL_NONE; list += 2) {
        size_t i = 0;

        while (i < sizeof(known) / sizeof(known[0]) && known[i].attribute != list[0])
            i++;
        if (i < sizeof(known) / sizeof(known[0]))
            *known[i].value = list[1];
        else
            all.bad = true;
    }
    return all;
}

static EGLint
wish_of(const struct attributes *all, struct gl_context_wish *wish)
{
    const EGLint flags = EGL_CONTEXT_OPENGL_DEBUG_BIT_KHR | EGL_CONTEXT_OPENGL_FORWARD_COMPATIBLE_BIT_KHR |
                         EGL_CONTEXT_OPENGL_ROBUST_ACCESS_BIT_KHR;
    bool core = all->major > 3 || (all->major == 3 && all->minor >= 2);

    if (all->bad || all->flags & ~flags)
        return EGL_BAD_ATTRIBUTE;
    if (all->major < 1 || all->minor < 0 || all->major > 99 || all->minor > 99)
        return EGL_BAD_MATCH;
    if (bound == EGL_OPENGL_API && all->profile != EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT &&
        all->profile != EGL_CONTEXT_OPENGL_COMPATIBILITY_PROFILE_BIT)
        return EGL_BAD_MATCH;
    wish->major = (unsigned)all->major;
    wish->minor = (unsigned)all->minor;
    if (bound == EGL_OPENGL_ES_API)
        wish->api = all->major == 1 ? GL_API_ES1 : GL_API_ES2;
    else
        wish->api = core && all->profile == EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT ? GL_API_CORE : GL_API_COMPAT;
    wish->flags =
        (all->debug || all->flags & EGL_CONTEXT_OPENGL_DEBUG_BIT_KHR ? GL_FLAG_DEBUG : 0) |
        (all->forward || all->flags & EGL_CONTEXT_OPENGL_FORWARD_COMPATIBLE_BIT_KHR ? GL_FLAG_FORWARD : 0) |
        (all->robust || all->robust_es || all->flags & EGL_CONTEXT_OPENGL_ROBUST_ACCESS_BIT_KHR ? GL_FLAG_ROBUST : 0) |
        (all->no_error ? GL_FLAG_NO_ERROR : 0) |
        (all->reset == EGL_LOSE_CONTEXT_ON_RESET || all->reset_es == EGL_LOSE_CONTEXT_ON_RESET_EXT ? GL_FLAG_RESET_LOSES
                                                                                                   : 0);
    return EGL_SUCCESS;
}

static EGLint
error_of(int status)
{
    switch (status) {
    case GL_STATUS_BAD_MATCH:
    case GL_STATUS_BAD_SHARE:
        return EGL_BAD_MATCH;
    case GL_STATUS_NO_MEMORY:
        return EGL_BAD_ALLOC;
    default:
        return gpuvchan_gl_lost() ? EGL_CONTEXT_LOST : EGL_BAD_ALLOC;
    }
}

EGLContext
egl_CreateContext(EGLDisplay handle, EGLConfig config, EGLContext share, const EGLint *list)
{
    struct egl_display *display = egl_display_of(handle);
    const struct egl_config *ours = NULL;
    struct attributes all = read_attributes(list);
    struct gl_context_wish wish = {0};
    struct egl_context *context, *with = NULL;
    EGLint error = wish_of(&all, &wish);
    int status;

    if (!display || (config != EGL_NO_CONFIG_KHR && !(ours = egl_config_of(display, config))) ||
        (share != EGL_NO_CONTEXT && !(with = egl_context_of(display, share))))
        return EGL_NO_CONTEXT;
    if (error != EGL_SUCCESS) {
        egl_fail(error);
        return EGL_NO_CONTEXT;
    }
    context = calloc(1, sizeof(*context));
    wish.share = with ? with->gl : NULL;
    status = GL_STATUS_NO_MEMORY;
    if (context)
        context->gl = gpuvchan_gl_context_create(&wish, &status);
    if (!context || !context->gl) {
        free(context);
        egl_fail(error_of(status));
        return EGL_NO_CONTEXT;
    }
    context->config = ours;
    context->api = bound;
    context->kind = wish.api;
    context->version = all.major;
    egl_lock();
    context->next = display->contexts;
    display->contexts = context;
    egl_unlock();
    egl_done();
    return context;
}

struct egl_context *
egl_context_of(struct egl_display *display, EGLContext handle)
{
    struct egl_context *context;

    egl_lock();
    for (context = display->contexts; context && context != handle; context = context->next)
        ;
    egl_unlock();
    if (!context)
        egl_fail(EGL_BAD_CONTEXT);
    return context;
}

/* libEGL keeps a handle as current after this; we forget it, and what is behind stays while it is used. */
EGLBoolean
egl_DestroyContext(EGLDisplay handle, EGLContext context)
{
    struct egl_display *display = egl_display_of(handle);
    struct egl_context *ours = display ? egl_context_of(display, context) : NULL;

    if (!ours)
        return EGL_FALSE;
    egl_lock();
    for (struct egl_context **at = &display->contexts; *at; at = &(*at)->next)
        if (*at == ours) {
            *at = ours->next;
            break;
        }
    egl_unlock();
    gpuvchan_gl_context_destroy(ours->gl);
    if (current == ours)
        current = NULL;
    free(ours);
    return egl_done();
}

void
egl_contexts_drop(struct egl_display *display)
{
    while (display->contexts) {
        struct egl_context *context = display->contexts;

        egl_lock();
        display->contexts = context->next;
        egl_unlock();
        gpuvchan_gl_context_destroy(context->gl);
        if (current == context)
            current = NULL;
        free(context);
    }
}

/* ---- Current --------------------------------------------------------------------------------- */

EGLBoolean
egl_MakeCurrent(EGLDisplay handle, EGLSurface draw, EGLSurface read, EGLContext context)
{
    struct egl_display *display;
    struct egl_surface *to = NULL, *from = NULL;
    struct egl_context *ours;
    int status;

    if (context == EGL_NO_CONTEXT) { /* of a display that has been terminated, too */
        if (draw != EGL_NO_SURFACE || read != EGL_NO_SURFACE)
            return egl_fail(EGL_BAD_MATCH);
        gpuvchan_gl_make_current(NULL, NULL, NULL);
        current = NULL;
        return egl_done();
    }
    if (!(display = egl_display_of(handle)) || !(ours = egl_context_of(display, context)) ||
        (draw != EGL_NO_SURFACE && !(to = egl_surface_of(display, draw))) ||
        (read != EGL_NO_SURFACE && !(from = egl_surface_of(display, read))))
        return EGL_FALSE;
    if (!to != !from)
        return egl_fail(EGL_BAD_MATCH);
    if (gpuvchan_gl_lost())
        return egl_fail(EGL_CONTEXT_LOST);
    status = gpuvchan_gl_make_current(ours->gl, to ? to->gl : NULL, from ? from->gl : NULL);
    if (status != 0)
        return egl_fail(status == GL_STATUS_BUSY ? EGL_BAD_ACCESS : EGL_BAD_ALLOC);
    ours->draw = to;
    ours->read = from;
    current = ours;
    return egl_done();
}

EGLBoolean
egl_ReleaseThread(void)
{
    gpuvchan_gl_make_current(NULL, NULL, NULL);
    current = NULL;
    bound = EGL_OPENGL_ES_API;
    return egl_done();
}

EGLBoolean
egl_QueryContext(EGLDisplay handle, EGLContext context, EGLint attribute, EGLint *value)
{
    struct egl_display *display = egl_display_of(handle);
    struct egl_context *ours = display ? egl_context_of(display, context) : NULL;

    if (!ours)
        return EGL_FALSE;
    switch (attribute) {
    case EGL_CONFIG_ID:
        *value = ours->config ? ours->config->id : 0;
        break;
    case EGL_CONTEXT_CLIENT_TYPE:
        *value = (EGLint)ours->api;
        break;
    case EGL_CONTEXT_CLIENT_VERSION:
        *value = ours->version;
        break;
    case EGL_RENDER_BUFFER:
        *value = ours->draw ? EGL_BACK_BUFFER : EGL_NONE;
        break;
    default:
        return egl_fail(EGL_BAD_ATTRIBUTE);
    }
    return egl_done();
}

EGLBoolean
egl_WaitClient(void)
{
    gpuvchan_gl_finish();
    return egl_done();
}

EGLBoolean
egl_WaitGL(void)
{
    return egl_WaitClient();
}

EGLBoolean
egl_WaitNative(EGLint engine)
{
    /* What X draws and what the host does meet in the X server, in the order in which they come there. */
    return engine == EGL_CORE_NATIVE_ENGINE ? egl_done() : egl_fail(EGL_BAD_PARAMETER);
}

/* ---- Syncs ----------------------------------------------------------------------------------- */

/*
 * Each one is made when all before it has been done. That is what it promises, if not early. Handles are numbers from 1
 * of what the display has given out.
 */
EGLSync
egl_CreateSync(EGLDisplay handle, EGLenum type, const EGLAttrib *list)
{
    struct egl_display *display = egl_display_of(handle);
    void (*finish)(void) = (void (*)(void))gpuvchan_gl_lookup("glFinish");
    EGLint number;

    if (!display)
        return EGL_NO_SYNC;
    if (type != EGL_SYNC_FENCE || (list && list[0] != EGL_NONE) || !current) {
        egl_fail(type != EGL_SYNC_FENCE || (list && list[0] != EGL_NONE) ? EGL_BAD_ATTRIBUTE : EGL_BAD_MATCH);
        return EGL_NO_SYNC;
    }
    if (finish)
        finish();
    egl_lock();
    number = ++display->syncs;
    egl_unlock();
    egl_done();
    return (EGLSync)(uintptr_t)number;
}

static bool
is_sync(EGLDisplay handle, EGLSync sync)
{
    struct egl_display *display = egl_display_of(handle);
    bool is = display && (uintptr_t)sync > 0 && (uintptr_t)sync <= (uintptr_t)display->syncs;

    if (display && !is)
        egl_fail(EGL_BAD_PARAMETER);
    return is;
}

EGLBoolean
egl_DestroySync(EGLDisplay handle, EGLSync sync)
{
    return is_sync(handle, sync) ? egl_done() : EGL_FALSE;
}

EGLint
egl_ClientWaitSync(EGLDisplay handle, EGLSync sync, EGLint flags, EGLTime timeout)
{
    (void)flags;
    (void)timeout;
    if (!is_sync(handle, sync))
        return EGL_FALSE;
    egl_done();
    return EGL_CONDITION_SATISFIED;
}

EGLBoolean
egl_WaitSync(EGLDisplay handle, EGLSync sync, EGLint flags)
{
    if (!is_sync(handle, sync))
        return EGL_FALSE;
    return flags == 0 ? egl_done() : egl_fail(EGL_BAD_PARAMETER);
}

EGLBoolean
egl_GetSyncAttrib(EGLDisplay handle, EGLSync sync, EGLint attribute, EGLAttrib *value)
{
    if (!is_sync(handle, sync))
        return EGL_FALSE;
    switch (attribute) {
    case EGL_SYNC_TYPE:
        *value = EGL_SYNC_FENCE;
        break;
    case EGL_SYNC_STATUS:
        *value = EGL_SIGNALED;
        break;
    case EGL_SYNC_CONDITION:
        *value = EGL_SYNC_PRIOR_COMMANDS_COMPLETE;
        break;
    default:
        return egl_fail(EGL_BAD_ATTRIBUTE);
    }
    return egl_done();
}
