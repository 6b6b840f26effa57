/* SPDX-License-Identifier: MIT */
/*
 * The driver: libEGL.so.1 as the machine has it, opened when the first guest asks, and what it can do.
 *
 * Design notes: nothing of EGL or GL is linked, so that the host's package needs neither. EGL's functions are wanted by
 * their names in a list; GL's come from eglGetProcAddress().
 */
#ifndef GL_EGL_H
#define GL_EGL_H

#include <stdbool.h>

#include <EGL/egl.h>
#include <EGL/eglext.h>

#include "gl_wire.h"

#define GL_EGL_FUNCTIONS(F)                                 \
    F(PFNEGLGETPROCADDRESSPROC, GetProcAddress)             \
    F(PFNEGLGETPLATFORMDISPLAYPROC, GetPlatformDisplay)     \
    F(PFNEGLINITIALIZEPROC, Initialize)                     \
    F(PFNEGLTERMINATEPROC, Terminate)                       \
    F(PFNEGLQUERYSTRINGPROC, QueryString)                   \
    F(PFNEGLGETERRORPROC, GetError)                         \
    F(PFNEGLBINDAPIPROC, BindAPI)                           \
    F(PFNEGLGETCONFIGSPROC, GetConfigs)                     \
    F(PFNEGLGETCONFIGATTRIBPROC, GetConfigAttrib)           \
    F(PFNEGLCREATECONTEXTPROC, CreateContext)               \
    F(PFNEGLDESTROYCONTEXTPROC, DestroyContext)             \
    F(PFNEGLCREATEPBUFFERSURFACEPROC, CreatePbufferSurface) \
    F(PFNEGLDESTROYSURFACEPROC, DestroySurface)             \
    F(PFNEGLMAKECURRENTPROC, MakeCurrent)                   \
    F(PFNEGLRELEASETHREADPROC, ReleaseThread)

struct gl_egl {
#define GL_EGL_FIELD(type, name) type name;
    GL_EGL_FUNCTIONS(GL_EGL_FIELD)
#undef GL_EGL_FIELD
    EGLDisplay display;
    char platform[64]; /* for people */
    char vendor[64], extensions[4096];
    bool robust; /* EGL_EXT_create_context_robustness */
    bool blit;   /* the driver does not turn pictures round as it reads them */
    struct gl_wire_info info;
    struct gl_wire_config configs[GL_HOST_CONFIGS];
    EGLConfig native[GL_HOST_CONFIGS]; /* of those */
    uint32_t config_count;
};

/** A line of the configuration. @return 0, -ENOENT: no such key; -EINVAL, logged. */
int gl_egl_config(const char *key, const char *value);

/** The driver, started by the first call; NULL, logged with what to do: there is none. Any thread. */
const struct gl_egl *gl_egl_start(void);

/** Is @p name one of the words of @p list? */
bool gl_egl_has(const char *list, const char *name);

/** A context of the driver's of at least that version, EGL_NO_CONTEXT where it has none; binds the API in this thread. */
EGLContext gl_egl_context(const struct gl_egl *egl, enum gl_api api, unsigned major, unsigned minor, uint32_t flags,
                          EGLContext share);

/** A surface of a config, or EGL_NO_SURFACE. */
EGLSurface gl_egl_pbuffer(const struct gl_egl *egl, EGLConfig config, uint32_t width, uint32_t height);

/** Fills in configs; of config.c. */
void gl_egl_find_configs(struct gl_egl *egl);

/** Has the calling thread use @p context with these surfaces, or none. @return false: the driver refuses. */
bool gl_egl_current(const struct gl_egl *egl, EGLSurface draw, EGLSurface read, EGLContext context);

#endif
