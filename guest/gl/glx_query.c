/* SPDX-License-Identifier: MIT */
/* What GLX tells about itself and the renderer. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "glx.h"

#include <GL/glxext.h>

static const char *
text_of(int name)
{
    switch (name) {
    case GLX_VENDOR:
        return "gpuvchan";
    case GLX_VERSION:
        return "1.4";
    case GLX_EXTENSIONS:
        return GLX_EXTENSIONS_TEXT;
    default:
        return NULL;
    }
}

const char *
glx_QueryServerString(Display *dpy, int screen, int name)
{
    (void)dpy;
    (void)screen;
    return text_of(name);
}

const char *
glx_GetClientString(Display *dpy, int name)
{
    (void)dpy;
    return text_of(name);
}

const char *
glx_QueryExtensionsString(Display *dpy, int screen)
{
    (void)dpy;
    (void)screen;
    return GLX_EXTENSIONS_TEXT;
}

/* ---- The renderer ---------------------------------------------------------------------------- */

Bool
glx_QueryCurrentRendererIntegerMESA(int attribute, unsigned int *value)
{
    const struct gl_wire_info *info = gpuvchan_gl_info();
    const struct {
        int attribute, version;
    } versions[] = {
        {GLX_RENDERER_OPENGL_COMPATIBILITY_PROFILE_VERSION_MESA, 0},
        {GLX_RENDERER_OPENGL_CORE_PROFILE_VERSION_MESA, 1},
        {GLX_RENDERER_OPENGL_ES_PROFILE_VERSION_MESA, 2},
        {GLX_RENDERER_OPENGL_ES2_PROFILE_VERSION_MESA, 3},
    };

    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
        if (versions[i].attribute == attribute) {
            value[0] = info->version[versions[i].version] >> 8;
            value[1] = info->version[versions[i].version] & 0xff;
            return True;
        }
    switch (attribute) {
    case GLX_RENDERER_VENDOR_ID_MESA:
        *value = info->vendor_id ? info->vendor_id : 0xffffffff;
        return True;
    case GLX_RENDERER_DEVICE_ID_MESA:
        *value = info->device_id ? info->device_id : 0xffffffff;
        return True;
    case GLX_RENDERER_VERSION_MESA:
        value[0] = GPUVCHAN_VERSION_MAJOR;
        value[1] = GPUVCHAN_VERSION_MINOR;
        value[2] = GPUVCHAN_VERSION_PATCH;
        return True;
    case GLX_RENDERER_ACCELERATED_MESA:
        *value = strstr(info->renderer, "llvmpipe") == NULL && strstr(info->renderer, "softpipe") == NULL;
        return True;
    case GLX_RENDERER_VIDEO_MEMORY_MESA:
        *value = info->memory_mb;
        return True;
    case GLX_RENDERER_UNIFIED_MEMORY_ARCHITECTURE_MESA:
        *value = False;
        return True;
    case GLX_RENDERER_PREFERRED_PROFILE_MESA:
        *value = GLX_CONTEXT_COMPATIBILITY_PROFILE_BIT_ARB;
        return True;
    default:
        return False;
    }
}

Bool
glx_QueryRendererIntegerMESA(Display *dpy, int screen, int renderer, int attribute, unsigned int *value)
{
    (void)dpy;
    (void)screen;
    return renderer == 0 && glx_QueryCurrentRendererIntegerMESA(attribute, value);
}

const char *
glx_QueryCurrentRendererStringMESA(int attribute)
{
    static char renderer[160];

    if (attribute == GLX_RENDERER_VENDOR_ID_MESA)
        return "gpuvchan";
    if (attribute != GLX_RENDERER_DEVICE_ID_MESA)
        return NULL;
    snprintf(renderer, sizeof(renderer), "gpuvchan (%s)", gpuvchan_gl_info()->renderer);
    return renderer;
}

const char *
glx_QueryRendererStringMESA(Display *dpy, int screen, int renderer, int attribute)
{
    (void)dpy;
    (void)screen;
    return renderer == 0 ? glx_QueryCurrentRendererStringMESA(attribute) : NULL;
}
