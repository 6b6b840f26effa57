/* SPDX-License-Identifier: MIT */
/*
 * Functions of extensions that libEGL does not know: what programs get for their names finds out whose the display or
 * device is, and calls that vendor's function by the index that libEGL has given its name.
 */
#include <string.h>

#include "egl.h"

#define DISPATCHED(F)                 \
    F(CreatePlatformPixmapSurfaceEXT) \
    F(CreatePlatformWindowSurfaceEXT) \
    F(QueryDeviceAttribEXT)           \
    F(QueryDeviceStringEXT)

enum {
#define INDEX(name) INDEX_##name,
    DISPATCHED(INDEX)
#undef INDEX
    INDICES
};

static int indices[INDICES];

static __eglMustCastToProperFunctionPointerType
fetch(__EGLvendorInfo *vendor, int index, EGLint error)
{
    if (!vendor) {
        egl_exports->setEGLError(error);
        return NULL;
    }
    return egl_exports->setLastVendor(vendor) ? egl_exports->fetchDispatchEntry(vendor, indices[index]) : NULL;
}

/* That vendor's function of a name, of the type of ours. */
#define OF_DISPLAY(display, name) \
    ((__typeof__(&egl_##name))fetch(egl_exports->getVendorFromDisplay(display), INDEX_##name, EGL_BAD_DISPLAY))
#define OF_DEVICE(device, name) \
    ((__typeof__(&egl_##name))fetch(egl_exports->getVendorFromDevice(device), INDEX_##name, EGL_BAD_DEVICE_EXT))

static EGLSurface
dispatch_CreatePlatformPixmapSurfaceEXT(EGLDisplay handle, EGLConfig config, void *pixmap, const EGLint *list)
{
    __typeof__(&egl_CreatePlatformPixmapSurfaceEXT) f;

    egl_exports->threadInit();
    f = OF_DISPLAY(handle, CreatePlatformPixmapSurfaceEXT);
    return f ? f(handle, config, pixmap, list) : EGL_NO_SURFACE;
}

static EGLSurface
dispatch_CreatePlatformWindowSurfaceEXT(EGLDisplay handle, EGLConfig config, void *window, const EGLint *list)
{
    __typeof__(&egl_CreatePlatformWindowSurfaceEXT) f;

    egl_exports->threadInit();
    f = OF_DISPLAY(handle, CreatePlatformWindowSurfaceEXT);
    return f ? f(handle, config, window, list) : EGL_NO_SURFACE;
}

static EGLBoolean
dispatch_QueryDeviceAttribEXT(EGLDeviceEXT device, EGLint attribute, EGLAttrib *value)
{
    __typeof__(&egl_QueryDeviceAttribEXT) f;

    egl_exports->threadInit();
    f = OF_DEVICE(device, QueryDeviceAttribEXT);
    return f ? f(device, attribute, value) : EGL_FALSE;
}

static const char *
dispatch_QueryDeviceStringEXT(EGLDeviceEXT device, EGLint name)
{
    __typeof__(&egl_QueryDeviceStringEXT) f;

    egl_exports->threadInit();
    f = OF_DEVICE(device, QueryDeviceStringEXT);
    return f ? f(device, name) : NULL;
}

static int
index_of(const char *name, void **function)
{
    static const struct {
        const char *name;
        void *function;
    } all[] = {
#define ENTRY(name) {#name, (void *)dispatch_##name},
        DISPATCHED(ENTRY)
#undef ENTRY
    };

    for (int i = 0; i < INDICES; i++)
        if (strcmp(all[i].name, name) == 0) {
            *function = all[i].function;
            return i;
        }
    return -1;
}

void *
egl_dispatch_function(const char *name)
{
    void *function;

    return index_of(name, &function) >= 0 ? function : NULL;
}

void
egl_dispatch_index(const char *name, int index)
{
    void *function;
    int i = index_of(name, &function);

    if (i >= 0)
        indices[i] = index;
}
