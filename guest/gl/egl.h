/* SPDX-License-Identifier: MIT */
/*
 * libEGL_gpuvchan.so.0: what libEGL finds EGL's functions in.
 *
 * Design notes: handles are addresses of our structs, and believed only if they are found in their display's lists. A
 * thread's error is kept until it is asked for, as EGL has it.
 */
#ifndef GL_EGL_H
#define GL_EGL_H

#include <stdbool.h>
#include <stdint.h>

#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <glvnd/libeglabi.h>

#include "core.h"

struct egl_config {
    struct gl_wire_config wire;
    EGLint id;
    uint32_t visual; /* 0: no window can have it */
};

struct egl_surface {
    struct gl_surface *gl;
    const struct egl_config *config;
    enum gl_surface_kind kind;
    EGLint swap_behavior;
    struct egl_surface *next;
};

struct egl_context {
    struct gl_context *gl;
    const struct egl_config *config; /* NULL: without one */
    EGLenum api;
    enum gl_api kind;
    EGLint version; /* major, as it was asked for */
    struct egl_surface *draw, *read;
    struct egl_context *next;
};

struct egl_display {
    EGLenum platform;
    void *native;
    struct gl_screen *screen; /* NULL: without an X server */
    bool initialized;
    struct egl_config *configs;
    EGLint config_count;
    struct egl_surface *surfaces; /* with the lock of egl.c, as all lists */
    struct egl_context *contexts;
    EGLint syncs; /* given out */
    struct egl_display *next;
};

/** Sets the thread's error. @return EGL_FALSE, which is also no handle. */
EGLBoolean egl_fail(EGLint error);
/** Sets the thread's error to none. @return EGL_TRUE. */
EGLBoolean egl_done(void);

void egl_lock(void);
void egl_unlock(void);

/** The display behind a handle, NULL and the error set unless it is initialized. */
struct egl_display *egl_display_of(EGLDisplay handle);
/** The same for its objects. */
const struct egl_config *egl_config_of(const struct egl_display *display, EGLConfig handle);
struct egl_surface *egl_surface_of(struct egl_display *display, EGLSurface handle);
struct egl_context *egl_context_of(struct egl_display *display, EGLContext handle);

bool egl_configs_make(struct egl_display *display);
void egl_contexts_drop(struct egl_display *display);
void egl_surfaces_drop(struct egl_display *display);
/** What is current in the thread, or NULL. */
struct egl_context *egl_current(void);

/** The function of that name, or NULL. */
void *egl_function(const char *name);
void *egl_dispatch_function(const char *name);
void egl_dispatch_index(const char *name, int index);

extern const __EGLapiExports *egl_exports;
extern __EGLvendorInfo *egl_vendor;

/* Functions of EGL that are found by their names, with a prefix that is our own: libEGL has those names. */
#define EGL_TABLE(F)                  \
    F(BindAPI)                        \
    F(BindTexImage)                   \
    F(ChooseConfig)                   \
    F(ClientWaitSync)                 \
    F(CopyBuffers)                    \
    F(CreateContext)                  \
    F(CreatePbufferFromClientBuffer)  \
    F(CreatePbufferSurface)           \
    F(CreatePixmapSurface)            \
    F(CreatePlatformPixmapSurface)    \
    F(CreatePlatformPixmapSurfaceEXT) \
    F(CreatePlatformWindowSurface)    \
    F(CreatePlatformWindowSurfaceEXT) \
    F(CreateSync)                     \
    F(CreateWindowSurface)            \
    F(DestroyContext)                 \
    F(DestroySurface)                 \
    F(DestroySync)                    \
    F(GetConfigAttrib)                \
    F(GetConfigs)                     \
    F(GetError)                       \
    F(GetSyncAttrib)                  \
    F(Initialize)                     \
    F(MakeCurrent)                    \
    F(QueryContext)                   \
    F(QueryDeviceAttribEXT)           \
    F(QueryDeviceStringEXT)           \
    F(QueryDevicesEXT)                \
    F(QueryDisplayAttribEXT)          \
    F(QueryString)                    \
    F(QuerySurface)                   \
    F(ReleaseTexImage)                \
    F(ReleaseThread)                  \
    F(SurfaceAttrib)                  \
    F(SwapBuffers)                    \
    F(SwapInterval)                   \
    F(Terminate)                      \
    F(WaitClient)                     \
    F(WaitGL)                         \
    F(WaitNative)                     \
    F(WaitSync)

EGLBoolean egl_BindAPI(EGLenum api);
EGLBoolean egl_BindTexImage(EGLDisplay handle, EGLSurface surface, EGLint buffer);
EGLBoolean egl_ChooseConfig(EGLDisplay handle, const EGLint *list, EGLConfig *configs, EGLint size, EGLint *count);
EGLint egl_ClientWaitSync(EGLDisplay handle, EGLSync sync, EGLint flags, EGLTime timeout);
EGLBoolean egl_CopyBuffers(EGLDisplay handle, EGLSurface surface, EGLNativePixmapType target);
EGLContext egl_CreateContext(EGLDisplay handle, EGLConfig config, EGLContext share, const EGLint *list);
EGLSurface egl_CreatePbufferFromClientBuffer(EGLDisplay handle, EGLenum type, EGLClientBuffer buffer, EGLConfig config,
                                             const EGLint *list);
EGLSurface egl_CreatePbufferSurface(EGLDisplay handle, EGLConfig config, const EGLint *list);
EGLSurface egl_CreatePixmapSurface(EGLDisplay handle, EGLConfig config, EGLNativePixmapType pixmap, const EGLint *list);
EGLSurface egl_CreatePlatformPixmapSurface(EGLDisplay handle, EGLConfig config, void *pixmap, const EGLAttrib *list);
EGLSurface egl_CreatePlatformPixmapSurfaceEXT(EGLDisplay handle, EGLConfig config, void *pixmap, const EGLint *list);
EGLSurface egl_CreatePlatformWindowSurface(EGLDisplay handle, EGLConfig config, void *window, const EGLAttrib *list);
EGLSurface egl_CreatePlatformWindowSurfaceEXT(EGLDisplay handle, EGLConfig config, void *window, const EGLint *list);
EGLSync egl_CreateSync(EGLDisplay handle, EGLenum type, const EGLAttrib *list);
EGLSurface egl_CreateWindowSurface(EGLDisplay handle, EGLConfig config, EGLNativeWindowType window, const EGLint *list);
EGLBoolean egl_DestroyContext(EGLDisplay handle, EGLContext context);
EGLBoolean egl_DestroySurface(EGLDisplay handle, EGLSurface surface);
EGLBoolean egl_DestroySync(EGLDisplay handle, EGLSync sync);
EGLBoolean egl_GetConfigAttrib(EGLDisplay handle, EGLConfig config, EGLint attribute, EGLint *value);
EGLBoolean egl_GetConfigs(EGLDisplay handle, EGLConfig *configs, EGLint size, EGLint *count);
EGLint egl_GetError(void);
EGLBoolean egl_GetSyncAttrib(EGLDisplay handle, EGLSync sync, EGLint attribute, EGLAttrib *value);
EGLBoolean egl_Initialize(EGLDisplay handle, EGLint *major, EGLint *minor);
EGLBoolean egl_MakeCurrent(EGLDisplay handle, EGLSurface draw, EGLSurface read, EGLContext context);
EGLBoolean egl_QueryContext(EGLDisplay handle, EGLContext context, EGLint attribute, EGLint *value);
EGLBoolean egl_QueryDeviceAttribEXT(EGLDeviceEXT device, EGLint attribute, EGLAttrib *value);
const char *egl_QueryDeviceStringEXT(EGLDeviceEXT device, EGLint name);
EGLBoolean egl_QueryDevicesEXT(EGLint size, EGLDeviceEXT *devices, EGLint *count);
EGLBoolean egl_QueryDisplayAttribEXT(EGLDisplay handle, EGLint attribute, EGLAttrib *value);
const char *egl_QueryString(EGLDisplay handle, EGLint name);
EGLBoolean egl_QuerySurface(EGLDisplay handle, EGLSurface surface, EGLint attribute, EGLint *value);
EGLBoolean egl_ReleaseTexImage(EGLDisplay handle, EGLSurface surface, EGLint buffer);
EGLBoolean egl_ReleaseThread(void);
EGLBoolean egl_SurfaceAttrib(EGLDisplay handle, EGLSurface surface, EGLint attribute, EGLint value);
EGLBoolean egl_SwapBuffers(EGLDisplay handle, EGLSurface surface);
EGLBoolean egl_SwapInterval(EGLDisplay handle, EGLint interval);
EGLBoolean egl_Terminate(EGLDisplay handle);
EGLBoolean egl_WaitClient(void);
EGLBoolean egl_WaitGL(void);
EGLBoolean egl_WaitNative(EGLint engine);
EGLBoolean egl_WaitSync(EGLDisplay handle, EGLSync sync, EGLint flags);

#endif
