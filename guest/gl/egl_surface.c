/* SPDX-License-Identifier: MIT */
/* Surfaces of EGL. */
#include <stdlib.h>

#include <X11/Xlib.h>
#include <xcb/xcb.h>

#include "egl.h"

struct egl_surface *
egl_surface_of(struct egl_display *display, EGLSurface handle)
{
    struct egl_surface *surface;

    egl_lock();
    for (surface = display->surfaces; surface && surface != handle; surface = surface->next)
        ;
    egl_unlock();
    if (!surface)
        egl_fail(EGL_BAD_SURFACE);
    return surface;
}

/* ---- Creating -------------------------------------------------------------------------------- */

/* A list of attributes, of either width. */
struct attributes {
    EGLint width, height;
    bool single, bad;
};

static void
read_attribute(struct attributes *all, enum gl_surface_kind kind, EGLAttrib name, EGLAttrib value)
{
    switch (name) {
    case EGL_WIDTH:
    case EGL_HEIGHT:
        all->bad |= kind != GL_SURFACE_PBUFFER || value < 0;
        *(name == EGL_WIDTH ? &all->width : &all->height) = (EGLint)value;
        break;
    case EGL_RENDER_BUFFER:
        all->bad |= kind != GL_SURFACE_WINDOW || (value != EGL_SINGLE_BUFFER && value != EGL_BACK_BUFFER);
        all->single = value == EGL_SINGLE_BUFFER;
        break;
    case EGL_LARGEST_PBUFFER:
    case EGL_TEXTURE_FORMAT:
    case EGL_TEXTURE_TARGET:
    case EGL_MIPMAP_TEXTURE:
        all->bad |=
            kind != GL_SURFACE_PBUFFER || (name != EGL_LARGEST_PBUFFER && value != EGL_NO_TEXTURE && value != 0);
        break;
    case EGL_VG_COLORSPACE:
    case EGL_VG_ALPHA_FORMAT:
        break;
    case EGL_GL_COLORSPACE:
        all->bad |= value != EGL_GL_COLORSPACE_LINEAR;
        break;
    default:
        all->bad = true;
    }
}

static struct attributes
read_ints(const EGLint *list, enum gl_surface_kind kind)
{
    struct attributes all = {0};

    for (; list && list[0] != EGL_NONE; list += 2)
        read_attribute(&all, kind, list[0], list[1]);
    return all;
}

static struct attributes
read_attribs(const EGLAttrib *list, enum gl_surface_kind kind)
{
    struct attributes all = {0};

    for (; list && list[0] != EGL_NONE; list += 2)
        read_attribute(&all, kind, list[0], list[1]);
    return all;
}

/* Our connection is to know what the program has just made on its own, and may not have sent yet. */
static void
settle(const struct egl_display *display)
{
    xcb_connection_t *connection = display->native;

    if (!connection)
        return;
    if (display->platform == EGL_PLATFORM_X11_KHR)
        XSync(display->native, False);
    else
        free(xcb_get_input_focus_reply(connection, xcb_get_input_focus(connection), NULL));
}

static EGLSurface
make(EGLDisplay handle, EGLConfig config, enum gl_surface_kind kind, uint32_t xid, struct attributes all)
{
    struct egl_display *display = egl_display_of(handle);
    const struct egl_config *ours = display ? egl_config_of(display, config) : NULL;
    struct gl_surface_wish wish = {.kind = kind, .xid = xid};
    struct egl_surface *surface;

    if (!ours)
        return EGL_NO_SURFACE;
    if (all.bad || (kind != GL_SURFACE_PBUFFER && (!display->screen || ours->visual == 0))) {
        egl_fail(all.bad ? EGL_BAD_ATTRIBUTE : EGL_BAD_MATCH);
        return EGL_NO_SURFACE;
    }
    wish.config = ours->wire;
    wish.double_buffered = kind == GL_SURFACE_WINDOW && !all.single;
    wish.screen = kind == GL_SURFACE_PBUFFER ? NULL : display->screen;
    wish.width = (uint32_t)all.width;
    wish.height = (uint32_t)all.height;
    if (kind != GL_SURFACE_PBUFFER)
        settle(display);
    surface = calloc(1, sizeof(*surface));
    if (!surface || !(surface->gl = gpuvchan_gl_surface_create(&wish))) {
        free(surface);
        egl_fail(kind == GL_SURFACE_WINDOW   ? EGL_BAD_NATIVE_WINDOW
                 : kind == GL_SURFACE_PIXMAP ? EGL_BAD_NATIVE_PIXMAP
                                             : EGL_BAD_ALLOC);
        return EGL_NO_SURFACE;
    }
    surface->config = ours;
    surface->kind = kind;
    surface->swap_behavior = EGL_BUFFER_PRESERVED;
    egl_lock();
    surface->next = display->surfaces;
    display->surfaces = surface;
    egl_unlock();
    egl_done();
    return surface;
}

EGLSurface
egl_CreateWindowSurface(EGLDisplay handle, EGLConfig config, EGLNativeWindowType window, const EGLint *list)
{
    return make(handle, config, GL_SURFACE_WINDOW, (uint32_t)window, read_ints(list, GL_SURFACE_WINDOW));
}

EGLSurface
egl_CreatePixmapSurface(EGLDisplay handle, EGLConfig config, EGLNativePixmapType pixmap, const EGLint *list)
{
    return make(handle, config, GL_SURFACE_PIXMAP, (uint32_t)pixmap, read_ints(list, GL_SURFACE_PIXMAP));
}

EGLSurface
egl_CreatePbufferSurface(EGLDisplay handle, EGLConfig config, const EGLint *list)
{
    return make(handle, config, GL_SURFACE_PBUFFER, 0, read_ints(list, GL_SURFACE_PBUFFER));
}

/* Here a window comes by its address: an unsigned long of Xlib's, a uint32_t of xcb's. */
static uint32_t
pointed(EGLDisplay handle, const void *native)
{
    const struct egl_display *display = egl_display_of(handle);

    if (!display || !native)
        return 0;
    return display->platform == EGL_PLATFORM_XCB_EXT ? *(const uint32_t *)native : (uint32_t) * (const Window *)native;
}

EGLSurface
egl_CreatePlatformWindowSurface(EGLDisplay handle, EGLConfig config, void *window, const EGLAttrib *list)
{
    return make(handle, config, GL_SURFACE_WINDOW, pointed(handle, window), read_attribs(list, GL_SURFACE_WINDOW));
}

EGLSurface
egl_CreatePlatformPixmapSurface(EGLDisplay handle, EGLConfig config, void *pixmap, const EGLAttrib *list)
{
    return make(handle, config, GL_SURFACE_PIXMAP, pointed(handle, pixmap), read_attribs(list, GL_SURFACE_PIXMAP));
}

EGLSurface
egl_CreatePlatformWindowSurfaceEXT(EGLDisplay handle, EGLConfig config, void *window, const EGLint *list)
{
    return make(handle, config, GL_SURFACE_WINDOW, pointed(handle, window), read_ints(list, GL_SURFACE_WINDOW));
}

EGLSurface
egl_CreatePlatformPixmapSurfaceEXT(EGLDisplay handle, EGLConfig config, void *pixmap, const EGLint *list)
{
    return make(handle, config, GL_SURFACE_PIXMAP, pointed(handle, pixmap), read_ints(list, GL_SURFACE_PIXMAP));
}

EGLSurface
egl_CreatePbufferFromClientBuffer(EGLDisplay handle, EGLenum type, EGLClientBuffer buffer, EGLConfig config,
                                  const EGLint *list)
{
    (void)type; /* OpenVG's, which is not here */
    (void)buffer;
    (void)config;
    (void)list;
    if (egl_display_of(handle))
        egl_fail(EGL_BAD_PARAMETER);
    return EGL_NO_SURFACE;
}

/* ---- Destroying ------------------------------------------------------------------------------ */

static void
release(struct egl_surface *surface)
{
    struct egl_context *current = egl_current();

    if (current && current->draw == surface)
        current->draw = NULL;
    if (current && current->read == surface)
        current->read = NULL;
    gpuvchan_gl_surface_destroy(surface->gl);
    free(surface);
}

EGLBoolean
egl_DestroySurface(EGLDisplay handle, EGLSurface surface)
{
    struct egl_display *display = egl_display_of(handle);
    struct egl_surface *ours = display ? egl_surface_of(display, surface) : NULL;

    if (!ours)
        return EGL_FALSE;
    egl_lock();
    for (struct egl_surface **at = &display->surfaces; *at; at = &(*at)->next)
        if (*at == ours) {
            *at = ours->next;
            break;
        }
    egl_unlock();
    release(ours);
    return egl_done();
}

void
egl_surfaces_drop(struct egl_display *display)
{
    while (display->surfaces) {
        struct egl_surface *surface = display->surfaces;

        egl_lock();
        display->surfaces = surface->next;
        egl_unlock();
        release(surface);
    }
}

/* ---- Use ------------------------------------------------------------------------------------- */

EGLBoolean
egl_SwapBuffers(EGLDisplay handle, EGLSurface surface)
{
    struct egl_display *display = egl_display_of(handle);
    struct egl_surface *ours = display ? egl_surface_of(display, surface) : NULL;

    if (!ours)
        return EGL_FALSE;
    if (gpuvchan_gl_surface_swap(ours->gl))
        return egl_done();
    return egl_fail(gpuvchan_gl_lost() ? EGL_CONTEXT_LOST : EGL_BAD_NATIVE_WINDOW);
}

EGLBoolean
egl_SwapInterval(EGLDisplay handle, EGLint interval)
{
    struct egl_context *current = egl_current();

    if (!egl_display_of(handle))
        return EGL_FALSE;
    if (!current)
        return egl_fail(EGL_BAD_CONTEXT);
    if (!current->draw)
        return egl_fail(EGL_BAD_SURFACE);
    gpuvchan_gl_surface_set_interval(current->draw->gl, interval < 0 ? 0 : interval > 1000 ? 1000 : interval);
    return egl_done();
}

EGLBoolean
egl_QuerySurface(EGLDisplay handle, EGLSurface surface, EGLint attribute, EGLint *value)
{
    struct egl_display *display = egl_display_of(handle);
    struct egl_surface *ours = display ? egl_surface_of(display, surface) : NULL;
    uint32_t width, height;

    if (!ours)
        return EGL_FALSE;
    switch (attribute) {
    case EGL_WIDTH:
    case EGL_HEIGHT:
        gpuvchan_gl_surface_size(ours->gl, &width, &height);
        *value = (EGLint)(attribute == EGL_WIDTH ? width : height);
        break;
    case EGL_CONFIG_ID:
        *value = ours->config->id;
        break;
    case EGL_RENDER_BUFFER:
        *value = ours->kind == GL_SURFACE_PIXMAP ? EGL_SINGLE_BUFFER : EGL_BACK_BUFFER;
        break;
    case EGL_SWAP_BEHAVIOR:
        *value = ours->swap_behavior;
        break;
    case EGL_MULTISAMPLE_RESOLVE:
        *value = EGL_MULTISAMPLE_RESOLVE_DEFAULT;
        break;
    case EGL_LARGEST_PBUFFER:
    case EGL_MIPMAP_TEXTURE:
    case EGL_MIPMAP_LEVEL:
        if (ours->kind == GL_SURFACE_PBUFFER)
            *value = 0;
        break;
    case EGL_TEXTURE_FORMAT:
    case EGL_TEXTURE_TARGET:
        if (ours->kind == GL_SURFACE_PBUFFER)
            *value = EGL_NO_TEXTURE;
        break;
    case EGL_HORIZONTAL_RESOLUTION:
    case EGL_VERTICAL_RESOLUTION:
    case EGL_PIXEL_ASPECT_RATIO:
        *value = EGL_UNKNOWN;
        break;
    case EGL_GL_COLORSPACE:
        *value = EGL_GL_COLORSPACE_LINEAR;
        break;
    default:
        return egl_fail(EGL_BAD_ATTRIBUTE);
    }
    return egl_done();
}

EGLBoolean
egl_SurfaceAttrib(EGLDisplay handle, EGLSurface surface, EGLint attribute, EGLint value)
{
    struct egl_display *display = egl_display_of(handle);
    struct egl_surface *ours = display ? egl_surface_of(display, surface) : NULL;

    if (!ours)
        return EGL_FALSE;
    if (attribute == EGL_SWAP_BEHAVIOR && (value == EGL_BUFFER_PRESERVED || value == EGL_BUFFER_DESTROYED))
        ours->swap_behavior = value;
    else if (attribute == EGL_MULTISAMPLE_RESOLVE && value != EGL_MULTISAMPLE_RESOLVE_DEFAULT)
        return egl_fail(EGL_BAD_MATCH);
    else if (attribute != EGL_MULTISAMPLE_RESOLVE && attribute != EGL_MIPMAP_LEVEL)
        return egl_fail(attribute == EGL_SWAP_BEHAVIOR ? EGL_BAD_PARAMETER : EGL_BAD_ATTRIBUTE);
    return egl_done();
}

EGLBoolean
egl_BindTexImage(EGLDisplay handle, EGLSurface surface, EGLint buffer)
{
    struct egl_display *display = egl_display_of(handle);

    (void)buffer;
    /* No config says that it can. */
    return display && egl_surface_of(display, surface) ? egl_fail(EGL_BAD_MATCH) : EGL_FALSE;
}

EGLBoolean
egl_ReleaseTexImage(EGLDisplay handle, EGLSurface surface, EGLint buffer)
{
    return egl_BindTexImage(handle, surface, buffer);
}

EGLBoolean
egl_CopyBuffers(EGLDisplay handle, EGLSurface surface, EGLNativePixmapType target)
{
    struct egl_display *display = egl_display_of(handle);

    (void)target;
    return display && egl_surface_of(display, surface) ? egl_fail(EGL_BAD_NATIVE_PIXMAP) : EGL_FALSE;
}
