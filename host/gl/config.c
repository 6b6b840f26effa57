/* SPDX-License-Identifier: MIT */
/*
 * Which of the driver's configs guests may have.
 *
 * Design notes: pictures of 8 bits a colour, whose bytes go to an X server as they are. Those without alpha are drawn
 * with it: Mesa copies a picture of BGRA as it is, but converts BGRX pixel by pixel (300x300: 11 and 120 us), and X
 * servers do not look at the fourth byte. A program that blends by the alpha of what is there, where it has
 * said that there is none, sees the difference.
 */
#include <stdbool.h>
#include <string.h>

#include "egl.h"

static EGLint
attribute(const struct gl_egl *egl, EGLConfig config, EGLint name)
{
    EGLint value = 0;

    egl->GetConfigAttrib(egl->display, config, name, &value);
    return value;
}

static bool
is_wanted(const struct gl_egl *egl, EGLConfig config)
{
    return attribute(egl, config, EGL_SURFACE_TYPE) & EGL_PBUFFER_BIT && attribute(egl, config, EGL_RED_SIZE) == 8 &&
           attribute(egl, config, EGL_GREEN_SIZE) == 8 && attribute(egl, config, EGL_BLUE_SIZE) == 8 &&
           attribute(egl, config, EGL_ALPHA_SIZE) == 8 &&
           attribute(egl, config, EGL_RENDERABLE_TYPE) & EGL_OPENGL_BIT &&
           attribute(egl, config, EGL_CONFIG_CAVEAT) != EGL_NON_CONFORMANT_CONFIG;
}

static uint8_t
apis_of(EGLint renderable)
{
    uint8_t apis = 0;

    if (renderable & EGL_OPENGL_BIT)
        apis |= GL_API_COMPAT | GL_API_CORE;
    if (renderable & EGL_OPENGL_ES_BIT)
        apis |= GL_API_ES1;
    if (renderable & (EGL_OPENGL_ES2_BIT | EGL_OPENGL_ES3_BIT))
        apis |= GL_API_ES2;
    return apis;
}

/* Unless there is one like it already. */
static void
add(struct gl_egl *egl, EGLConfig native, struct gl_wire_config config)
{
    for (uint32_t i = 0; i < egl->config_count; i++) {
        struct gl_wire_config other = egl->configs[i];

        other.number = 0;
        if (memcmp(&other, &config, sizeof(config)) == 0)
            return;
    }
    if (egl->config_count == GL_HOST_CONFIGS)
        return;
    config.number = (uint16_t)(egl->config_count + 1);
    egl->native[egl->config_count] = native;
    egl->configs[egl->config_count++] = config;
}

void
gl_egl_find_configs(struct gl_egl *egl)
{
    EGLConfig all[1024];
    EGLint count = 0;

    egl->GetConfigs(egl->display, all, (EGLint)(sizeof(all) / sizeof(all[0])), &count);
    for (EGLint i = 0; i < count; i++) {
        struct gl_wire_config config = {.red = 8, .green = 8, .blue = 8, .alpha = 8};

        if (!is_wanted(egl, all[i]))
            continue;
        config.depth = (uint8_t)attribute(egl, all[i], EGL_DEPTH_SIZE);
        config.stencil = (uint8_t)attribute(egl, all[i], EGL_STENCIL_SIZE);
        config.samples = (uint8_t)attribute(egl, all[i], EGL_SAMPLES);
        config.apis = apis_of(attribute(egl, all[i], EGL_RENDERABLE_TYPE));
        add(egl, all[i], config);
        config.alpha = 0;
        add(egl, all[i], config);
    }
}
