/* SPDX-License-Identifier: MIT */
/* What libEGL asks first: __egl_Main(), and the functions by their names. Displays, devices and errors. */
#include "egl.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <X11/Xlib.h>
#include <xcb/xcb.h>

#define CLIENT_EXTENSIONS                                                                            \
    "EGL_EXT_client_extensions EGL_EXT_device_base EGL_EXT_device_enumeration EGL_EXT_device_query " \
    "EGL_EXT_platform_base EGL_KHR_client_get_all_proc_addresses " PLATFORM_EXTENSIONS
#define PLATFORM_EXTENSIONS                                                                   \
    "EGL_EXT_platform_device EGL_EXT_platform_x11 EGL_EXT_platform_xcb EGL_KHR_platform_x11 " \
    "EGL_MESA_platform_surfaceless"
#define EXTENSIONS                                                                              \
    "EGL_EXT_create_context_robustness EGL_KHR_config_attribs EGL_KHR_create_context "          \
    "EGL_KHR_create_context_no_error EGL_KHR_get_all_proc_addresses EGL_KHR_no_config_context " \
    "EGL_KHR_surfaceless_context EGL_MESA_configless_context"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct egl_display *displays;
static int device; /* its address is the one device's handle */
static __thread EGLint error = EGL_SUCCESS;

const __EGLapiExports *egl_exports;
__EGLvendorInfo *egl_vendor;

/* ---- Errors ---------------------------------------------------------------------------------- */

EGLBoolean
egl_fail(EGLint what)
{
    error = what;
    return EGL_FALSE;
}

EGLBoolean
egl_done(void)
{
    error = EGL_SUCCESS;
    return EGL_TRUE;
}

EGLint
egl_GetError(void)
{
    EGLint last = error;

    error = EGL_SUCCESS;
    return last;
}

void
egl_lock(void)
{
    pthread_mutex_lock(&lock);
}

void
egl_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

/* ---- Displays -------------------------------------------------------------------------------- */

static struct egl_display *
find(EGLDisplay handle)
{
    struct egl_display *display;

    egl_lock();
    for (display = displays; display && display != handle; display = display->next)
        ;
    egl_unlock();
    return display;
}

struct egl_display *
egl_display_of(EGLDisplay handle)
{
    struct egl_display *display = find(handle);

    if (display && display->initialized)
        return display;
    egl_fail(display ? EGL_NOT_INITIALIZED : EGL_BAD_DISPLAY);
    return NULL;
}

/* The X server that a connection leads to, by the other end's address: xcb does not tell. */
static const char *
name_of_connection(xcb_connection_t *connection, char *name, size_t size)
{
    struct sockaddr_un address = {0};
    socklen_t bytes = sizeof(address) - 1;
    const char *path = address.sun_path;
    unsigned number;

    if (getpeername(xcb_get_file_descriptor(connection), (struct sockaddr *)&address, &bytes) != 0 ||
        address.sun_family != AF_UNIX)
        return NULL;
    path += path[0] == '\0'; /* an abstract one */
    if (!strstr(path, "/X") || sscanf(strstr(path, "/X"), "/X%u", &number) != 1)
        return NULL;
    snprintf(name, size, ":%u", number);
    return name;
}

/* @return false: it cannot be had. */
static bool
open_server(struct egl_display *display)
{
    char name[32];

    if (display->platform == EGL_PLATFORM_X11_KHR)
        display->screen = gpuvchan_gl_screen(display->native ? DisplayString((Display *)display->native) : NULL);
    else if (display->platform == EGL_PLATFORM_XCB_EXT)
        display->screen =
            gpuvchan_gl_screen(display->native ? name_of_connection(display->native, name, sizeof(name)) : NULL);
    else
        return true;
    return display->screen != NULL;
}

static EGLDisplay
get_display(EGLenum platform, void *native)
{
    struct egl_display *display;

    egl_lock();
    for (display = displays; display; display = display->next)
        if (display->platform == platform && display->native == native)
            break;
    if (!display && (display = calloc(1, sizeof(*display)))) {
        display->platform = platform;
        display->native = native;
        if (open_server(display)) {
            display->next = displays;
            displays = display;
        } else {
            free(display);
            display = NULL;
        }
    }
    egl_unlock();
    return display;
}

static EGLDisplay
get_platform_display(EGLenum platform, void *native, const EGLAttrib *list)
{
    (void)list;
    switch (platform) {
    case EGL_NONE: /* the default display */
        return get_display(getenv("DISPLAY") ? EGL_PLATFORM_X11_KHR : EGL_PLATFORM_SURFACELESS_MESA, native);
    case EGL_PLATFORM_DEVICE_EXT:
        return native == &device ? get_display(platform, native) : EGL_NO_DISPLAY;
    case EGL_PLATFORM_X11_KHR:
    case EGL_PLATFORM_XCB_EXT:
    case EGL_PLATFORM_SURFACELESS_MESA:
        return get_display(platform, native);
    default:
        return EGL_NO_DISPLAY;
    }
}

EGLBoolean
egl_Initialize(EGLDisplay handle, EGLint *major, EGLint *minor)
{
    struct egl_display *display = find(handle);

    if (!display)
        return egl_fail(EGL_BAD_DISPLAY);
    if (gpuvchan_gl_lost() || (!display->configs && !egl_configs_make(display)))
        return egl_fail(EGL_NOT_INITIALIZED);
    display->initialized = true;
    if (major)
        *major = 1;
    if (minor)
        *minor = 5;
    return egl_done();
}

EGLBoolean
egl_Terminate(EGLDisplay handle)
{
    struct egl_display *display = find(handle);

    if (!display)
        return egl_fail(EGL_BAD_DISPLAY);
    if (display->initialized) {
        display->initialized = false;
        egl_contexts_drop(display);
        egl_surfaces_drop(display);
    }
    return egl_done();
}

const char *
egl_QueryString(EGLDisplay handle, EGLint name)
{
    if (handle == EGL_NO_DISPLAY && name == EGL_EXTENSIONS)
        return CLIENT_EXTENSIONS;
    if (handle == EGL_NO_DISPLAY && name == EGL_VERSION)
        return "1.5";
    if (!egl_display_of(handle))
        return NULL;
    egl_done();
    switch (name) {
    case EGL_VENDOR:
        return "gpuvchan";
    case EGL_VERSION:
        return "1.5";
    case EGL_CLIENT_APIS:
        return "OpenGL OpenGL_ES";
    case EGL_EXTENSIONS:
        return EXTENSIONS;
    default:
        egl_fail(EGL_BAD_PARAMETER);
        return NULL;
    }
}

/* ---- The device ------------------------------------------------------------------------------ */

EGLBoolean
egl_QueryDevicesEXT(EGLint size, EGLDeviceEXT *devices, EGLint *count)
{
    if (!count || (devices && size <= 0))
        return egl_fail(EGL_BAD_PARAMETER);
    *count = 1;
    if (devices)
        devices[0] = &device;
    return egl_done();
}

const char *
egl_QueryDeviceStringEXT(EGLDeviceEXT handle, EGLint name)
{
    if (handle != &device || name != EGL_EXTENSIONS) {
        egl_fail(handle != &device ? EGL_BAD_DEVICE_EXT : EGL_BAD_PARAMETER);
        return NULL;
    }
    return "";
}

EGLBoolean
egl_QueryDeviceAttribEXT(EGLDeviceEXT handle, EGLint attribute, EGLAttrib *value)
{
    (void)attribute;
    (void)value;
    return egl_fail(handle != &device ? EGL_BAD_DEVICE_EXT : EGL_BAD_ATTRIBUTE);
}

EGLBoolean
egl_QueryDisplayAttribEXT(EGLDisplay handle, EGLint attribute, EGLAttrib *value)
{
    if (!egl_display_of(handle))
        return EGL_FALSE;
    if (attribute != EGL_DEVICE_EXT)
        return egl_fail(EGL_BAD_ATTRIBUTE);
    *value = (EGLAttrib)&device;
    return egl_done();
}

/* ---- libEGL ---------------------------------------------------------------------------------- */

void *
egl_function(const char *name)
{
    static const struct {
        const char *name;
        void *function;
    } functions[] = {
#define FUNCTION(name) {#name, (void *)egl_##name},
        EGL_TABLE(FUNCTION)
#undef FUNCTION
    };

    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        if (strcmp(functions[i].name, name) == 0)
            return functions[i].function;
    return NULL;
}

static void *
get_function(const char *name)
{
    return strncmp(name, "egl", 3) == 0 ? egl_function(name + 3) : gpuvchan_gl_lookup(name);
}

static void *
get_dispatch(const char *name)
{
    return strncmp(name, "egl", 3) == 0 ? egl_dispatch_function(name + 3) : NULL;
}

static void
set_index(const char *name, int index)
{
    egl_dispatch_index(name + 3, index);
}

static EGLBoolean
get_supports(EGLenum api)
{
    return api == EGL_OPENGL_API || api == EGL_OPENGL_ES_API;
}

static const char *
get_vendor_string(int name)
{
    return name == __EGL_VENDOR_STRING_PLATFORM_EXTENSIONS ? PLATFORM_EXTENSIONS : NULL;
}

GPUVCHAN_EXPORT EGLBoolean __egl_Main(uint32_t version, const __EGLapiExports *exports, __EGLvendorInfo *vendor,
                                      __EGLapiImports *imports);

GPUVCHAN_EXPORT EGLBoolean
__egl_Main(uint32_t version, const __EGLapiExports *exports, __EGLvendorInfo *vendor, __EGLapiImports *imports)
{
    if (EGL_VENDOR_ABI_GET_MAJOR_VERSION(version) != EGL_VENDOR_ABI_MAJOR_VERSION || !gpuvchan_gl_start("EGL"))
        return EGL_FALSE;
    egl_exports = exports;
    egl_vendor = vendor;
    imports->getPlatformDisplay = get_platform_display;
    imports->getSupportsAPI = get_supports;
    imports->getVendorString = get_vendor_string;
    imports->getProcAddress = get_function;
    imports->getDispatchAddress = get_dispatch;
    imports->setDispatchIndex = set_index;
    return EGL_TRUE;
}
