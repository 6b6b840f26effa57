/* SPDX-License-Identifier: MIT */
/*
 * The driver's beginning.
 *
 * Design notes: a GPU is looked for among EGL's devices first; then come Mesa's surfaceless platform, which renders on
 * the CPU where there is no GPU, and what is left of the devices. The library that guests have may be installed here,
 * too: it must not be what libEGL loads, and looks for GPUVCHAN_HOST in the environment.
 */
#include "egl.h"

#include <GL/gl.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "frame.h"
#include "gl_plugin.h"

#define DEVICES 16

static struct gl_egl egl_driver;
static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
static bool always_copy;
static char chosen[64] = "auto", library[256] = "libEGL.so.1";

int
gl_egl_config(const char *key, const char *value)
{
    bool device = strncmp(value, "device:", 7) == 0 && value[7] >= '0' && value[7] <= '9';

    if (strcmp(key, "library") == 0 && strlen(value) < sizeof(library)) {
        strcpy(library, value);
        return 0;
    }
    if (strcmp(key, "turn") == 0 && (strcmp(value, "auto") == 0 || strcmp(value, "copy") == 0)) {
        always_copy = value[0] == 'c';
        return 0;
    }
    if (strcmp(key, "platform") != 0)
        return -ENOENT;
    if (strcmp(value, "auto") != 0 && strcmp(value, "surfaceless") != 0 && !device) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "gl: platform is '%s'; it can be auto, surfaceless or device:NUMBER", value);
        return -EINVAL;
    }
    snprintf(chosen, sizeof(chosen), "%s", value);
    return 0;
}

bool
gl_egl_has(const char *list, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = list ? strstr(list, name) : NULL; at; at = strstr(at + length, name))
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

void *
gl_host_function(const char *name)
{
    return egl_driver.GetProcAddress ? (void *)egl_driver.GetProcAddress(name) : NULL;
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* llvmpipe starts as many threads as there are processors, beside ours that feeds it. */
static void
set_threads(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    char number[24];

    snprintf(number, sizeof(number), "%ld", processors > 2 ? processors - 1 : 0);
    setenv("LP_NUM_THREADS", number, 0);
}

static bool
open_library(struct gl_egl *egl)
{
    void *handle;

    setenv("GPUVCHAN_HOST", "1", 1);
    set_threads();
    handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR,
                     "gl: there is no EGL here: %s. Install the GPU's driver with its EGL, or Mesa (libegl1)",
                     dlerror());
        return false;
    }
#define LOAD(type, name)                                                                                   \
    egl->name = (type)dlsym(handle, "egl" #name);                                                          \
    if (!egl->name) {                                                                                      \
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "gl: %s has no egl" #name ": EGL 1.5 is what it takes", library); \
        return false;                                                                                      \
    }
    GL_EGL_FUNCTIONS(LOAD)
#undef LOAD
    return true;
}

static bool
initialize(struct gl_egl *egl, EGLenum platform, void *native, const char *text)
{
    egl->display = egl->GetPlatformDisplay(platform, native, NULL);
    if (egl->display == EGL_NO_DISPLAY || !egl->Initialize(egl->display, NULL, NULL))
        return false;
    snprintf(egl->platform, sizeof(egl->platform), "%s", text);
    return true;
}

static bool
open_surfaceless(struct gl_egl *egl, const char *client)
{
    return gl_egl_has(client, "EGL_MESA_platform_surfaceless") &&
           initialize(egl, EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, "surfaceless");
}

/* The device of that number; -1: the first of a GPU; -2: the first of all. */
static bool
open_device(struct gl_egl *egl, const char *client, int number)
{
    PFNEGLQUERYDEVICESEXTPROC query = (PFNEGLQUERYDEVICESEXTPROC)egl->GetProcAddress("eglQueryDevicesEXT");
    PFNEGLQUERYDEVICESTRINGEXTPROC string =
        (PFNEGLQUERYDEVICESTRINGEXTPROC)egl->GetProcAddress("eglQueryDeviceStringEXT");
    EGLDeviceEXT devices[DEVICES];
    EGLint count = 0;
    char text[32];

    if (!gl_egl_has(client, "EGL_EXT_platform_device") || !query || !string || !query(DEVICES, devices, &count))
        return false;
    for (int i = 0; i < count; i++) {
        bool software = gl_egl_has(string(devices[i], EGL_EXTENSIONS), "EGL_MESA_device_software");

        if (number >= 0 ? i != number : number == -1 && software)
            continue;
        snprintf(text, sizeof(text), "device:%d", i);
        if (initialize(egl, EGL_PLATFORM_DEVICE_EXT, devices[i], text))
            return true;
    }
    return false;
}

static bool
open_display(struct gl_egl *egl)
{
    const char *client = egl->QueryString(EGL_NO_DISPLAY, EGL_EXTENSIONS);
    bool found;

    if (strcmp(chosen, "surfaceless") == 0)
        found = open_surfaceless(egl, client);
    else if (strncmp(chosen, "device:", 7) == 0)
        found = open_device(egl, client, atoi(chosen + 7));
    else
        found = open_device(egl, client, -1) || open_surfaceless(egl, client) || open_device(egl, client, -2);
    if (!found)
        gpuvchan_log(GPUVCHAN_LOG_ERROR,
                     "gl: EGL is here, but no driver that it could render with (platform = %s, error 0x%x, \"%s\"). "
                     "Install the GPU's driver with its EGL, or Mesa (libegl-mesa0, libgl1-mesa-dri)",
                     chosen, egl->GetError(), client ? client : "");
    return found;
}

/* ---- Contexts -------------------------------------------------------------------------------- */

EGLContext
gl_egl_context(const struct gl_egl *egl, enum gl_api api, unsigned major, unsigned minor, uint32_t flags,
               EGLContext share)
{
    bool es = api == GL_API_ES1 || api == GL_API_ES2;
    EGLint list[20], n = 0;

    list[n++] = EGL_CONTEXT_MAJOR_VERSION;
    list[n++] = (EGLint)major;
    list[n++] = EGL_CONTEXT_MINOR_VERSION;
    list[n++] = (EGLint)minor;
    if (!es && (major > 3 || (major == 3 && minor >= 2))) {
        list[n++] = EGL_CONTEXT_OPENGL_PROFILE_MASK;
        list[n++] =
            api == GL_API_CORE ? EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT : EGL_CONTEXT_OPENGL_COMPATIBILITY_PROFILE_BIT;
    }
    if (!es && flags & GL_FLAG_FORWARD && major >= 3) {
        list[n++] = EGL_CONTEXT_OPENGL_FORWARD_COMPATIBLE;
        list[n++] = EGL_TRUE;
    }
    if (flags & GL_FLAG_DEBUG) {
        list[n++] = EGL_CONTEXT_OPENGL_DEBUG;
        list[n++] = EGL_TRUE;
    }
    /* Whatever the program has asked for: what it draws from is checked. Nor may it have errors go unseen. */
    if (egl->robust && api != GL_API_ES1) {
        list[n++] = es ? EGL_CONTEXT_OPENGL_ROBUST_ACCESS_EXT : EGL_CONTEXT_OPENGL_ROBUST_ACCESS;
        list[n++] = EGL_TRUE;
        if (flags & GL_FLAG_RESET_LOSES) {
            list[n++] = es ? EGL_CONTEXT_OPENGL_RESET_NOTIFICATION_STRATEGY_EXT
                           : EGL_CONTEXT_OPENGL_RESET_NOTIFICATION_STRATEGY;
            list[n++] = EGL_LOSE_CONTEXT_ON_RESET;
        }
    }
    list[n] = EGL_NONE;
    if (!egl->BindAPI(es ? EGL_OPENGL_ES_API : EGL_OPENGL_API))
        return EGL_NO_CONTEXT;
    return egl->CreateContext(egl->display, EGL_NO_CONFIG_KHR, share, list);
}

EGLSurface
gl_egl_pbuffer(const struct gl_egl *egl, EGLConfig config, uint32_t width, uint32_t height)
{
    const EGLint list[] = {EGL_WIDTH, (EGLint)width, EGL_HEIGHT, (EGLint)height, EGL_NONE};

    return egl->CreatePbufferSurface(egl->display, config, list);
}

bool
gl_egl_current(const struct gl_egl *egl, EGLSurface draw, EGLSurface read, EGLContext context)
{
    return egl->MakeCurrent(egl->display, draw, read, context);
}

/* ---- What it can do -------------------------------------------------------------------------- */

static uint16_t
version_of(const char *text)
{
    unsigned major, minor;

    while (text && *text && (*text < '0' || *text > '9')) /* "OpenGL ES 3.2", "OpenGL ES-CM 1.1" */
        text++;
    return text && sscanf(text, "%u.%u", &major, &minor) == 2 ? (uint16_t)(major << 8 | minor) : 0;
}

static void
ask_context(struct gl_egl *egl, enum gl_api api)
{
    const GLubyte *(*get_string)(GLenum) = (const GLubyte *(*)(GLenum))gl_host_function("glGetString");
    void (*get_integers)(GLenum, GLint *) = (void (*)(GLenum, GLint *))gl_host_function("glGetIntegerv");
    GLint size[2] = {0, 0};
    const char *text;

    text = (const char *)get_string(GL_RENDERER);
    snprintf(egl->info.renderer, sizeof(egl->info.renderer), "%s", text ? text : "");
    text = (const char *)get_string(GL_VENDOR);
    snprintf(egl->info.vendor, sizeof(egl->info.vendor), "%s", text ? text : "");
    if (api != GL_API_COMPAT)
        return;
    get_integers(GL_MAX_VIEWPORT_DIMS, size);
    egl->info.max_width = (uint32_t)size[0];
    egl->info.max_height = (uint32_t)size[1];
    egl->blit = always_copy || !gl_egl_has((const char *)get_string(GL_EXTENSIONS), "GL_MESA_pack_invert");
}

/* With a context of each API in turn. */
static void
ask(struct gl_egl *egl)
{
    static const struct {
        enum gl_api api;
        unsigned major, minor;
    } apis[GL_APIS] = {{GL_API_CORE, 3, 2}, {GL_API_ES1, 1, 0}, {GL_API_ES2, 2, 0}, {GL_API_COMPAT, 1, 0}};
    const GLubyte *(*get_string)(GLenum) = (const GLubyte *(*)(GLenum))gl_host_function("glGetString");

    for (unsigned i = 0; i < GL_APIS && get_string; i++) {
        EGLContext context = gl_egl_context(egl, apis[i].api, apis[i].major, apis[i].minor, 0, EGL_NO_CONTEXT);

        if (context == EGL_NO_CONTEXT)
            continue;
        if (gl_egl_current(egl, EGL_NO_SURFACE, EGL_NO_SURFACE, context)) {
            egl->info.version[__builtin_ctz(apis[i].api)] = version_of((const char *)get_string(GL_VERSION));
            ask_context(egl, apis[i].api);
        }
        gl_egl_current(egl, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
        egl->DestroyContext(egl->display, context);
    }
    egl->info.flags = GL_FLAG_DEBUG | GL_FLAG_FORWARD | GL_FLAG_NO_ERROR;
    if (egl->robust)
        egl->info.flags |= GL_FLAG_ROBUST | GL_FLAG_RESET_LOSES;
}

static bool
start(struct gl_egl *egl)
{
    const char *text;

    if (!open_library(egl) || !open_display(egl))
        return false;
    text = egl->QueryString(egl->display, EGL_VENDOR);
    snprintf(egl->vendor, sizeof(egl->vendor), "%s", text ? text : "");
    text = egl->QueryString(egl->display, EGL_EXTENSIONS);
    snprintf(egl->extensions, sizeof(egl->extensions), "%s", text ? text : "");
    if (!gl_egl_has(egl->extensions, "EGL_KHR_no_config_context") ||
        !gl_egl_has(egl->extensions, "EGL_KHR_surfaceless_context")) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR,
                     "gl: this driver's EGL lacks EGL_KHR_no_config_context or EGL_KHR_surfaceless_context: %s",
                     egl->extensions);
        return false;
    }
    egl->robust = gl_egl_has(egl->extensions, "EGL_EXT_create_context_robustness");
    gl_egl_find_configs(egl);
    ask(egl);
    if (egl->config_count == 0 || egl->info.version[0] == 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "gl: this driver's EGL (%s) has no OpenGL, or no picture of 8 bits a colour",
                     egl->vendor);
        return false;
    }
    gl_functions_load();
    return gl_frame_load(egl->blit);
}

const struct gl_egl *
gl_egl_start(void)
{
    static enum {
        NEW,
        STARTED,
        FAILED
    } state;
    const struct gl_egl *result;

    pthread_mutex_lock(&starting);
    if (state == NEW)
        state = start(&egl_driver) ? STARTED : FAILED;
    else if (state == FAILED)
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "gl: there is no driver, as was said before");
    result = state == STARTED ? &egl_driver : NULL;
    pthread_mutex_unlock(&starting);
    return result;
}
