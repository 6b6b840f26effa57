/* SPDX-License-Identifier: MIT */
/* EGLConfigs: the host's kinds of pictures, each with the X server's visual that can show it. */
#include <stdlib.h>

#include "egl.h"

/* Before all others those that eglChooseConfig() would name first. */
static int
by_order(const void *left, const void *right)
{
    const struct gl_wire_config *a = &((const struct egl_config *)left)->wire;
    const struct gl_wire_config *b = &((const struct egl_config *)right)->wire;
    int order = a->alpha - b->alpha;

    if (order == 0)
        order = a->samples - b->samples;
    if (order == 0)
        order = a->depth - b->depth;
    if (order == 0)
        order = a->stencil - b->stencil;
    return order != 0 ? order : a->number - b->number;
}

bool
egl_configs_make(struct egl_display *display)
{
    uint32_t count;
    const struct gl_wire_config *wires = gpuvchan_gl_configs(&count);
    struct egl_config *configs = calloc(count + 1, sizeof(*configs));
    uint32_t plain = display->screen ? gpuvchan_gl_screen_visual(display->screen, 24) : 0;
    uint32_t deep = display->screen ? gpuvchan_gl_screen_visual(display->screen, 32) : 0;

    if (!configs)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        configs[i].wire = wires[i];
        configs[i].visual = wires[i].alpha ? deep : plain;
    }
    qsort(configs, count, sizeof(*configs), by_order);
    for (uint32_t i = 0; i < count; i++)
        configs[i].id = (EGLint)i + 1;
    display->configs = configs;
    display->config_count = (EGLint)count;
    return true;
}

const struct egl_config *
egl_config_of(const struct egl_display *display, EGLConfig handle)
{
    for (EGLint i = 0; i < display->config_count; i++)
        if (handle == &display->configs[i])
            return handle;
    egl_fail(EGL_BAD_CONFIG);
    return NULL;
}

/* ---- Attributes ------------------------------------------------------------------------------ */

static EGLint
renderable(const struct egl_config *config)
{
    uint8_t apis = config->wire.apis;

    return (apis & GL_API_COMPAT ? EGL_OPENGL_BIT : 0) | (apis & GL_API_ES1 ? EGL_OPENGL_ES_BIT : 0) |
           (apis & GL_API_ES2 ? EGL_OPENGL_ES2_BIT | EGL_OPENGL_ES3_BIT : 0);
}

static bool
get(const struct egl_config *config, EGLint attribute, EGLint *value)
{
    const struct gl_wire_config *wire = &config->wire;
    const struct gl_wire_info *info = gpuvchan_gl_info();
    const struct {
        EGLint attribute, value;
    } all[] = {
        {EGL_BUFFER_SIZE, wire->red + wire->green + wire->blue + wire->alpha},
        {EGL_ALPHA_SIZE, wire->alpha},
        {EGL_BLUE_SIZE, wire->blue},
        {EGL_GREEN_SIZE, wire->green},
        {EGL_RED_SIZE, wire->red},
        {EGL_DEPTH_SIZE, wire->depth},
        {EGL_STENCIL_SIZE, wire->stencil},
        {EGL_CONFIG_CAVEAT, EGL_NONE},
        {EGL_CONFIG_ID, config->id},
        {EGL_LEVEL, 0},
        {EGL_MAX_PBUFFER_WIDTH, (EGLint)info->max_width},
        {EGL_MAX_PBUFFER_HEIGHT, (EGLint)info->max_height},
        {EGL_MAX_PBUFFER_PIXELS, (EGLint)(info->max_width * info->max_height)},
        {EGL_NATIVE_RENDERABLE, EGL_TRUE},
        {EGL_NATIVE_VISUAL_ID, (EGLint)config->visual},
        {EGL_NATIVE_VISUAL_TYPE, config->visual ? 4 : EGL_NONE}, /* X's TrueColor */
        {EGL_SAMPLES, wire->samples},
        {EGL_SAMPLE_BUFFERS, wire->samples != 0},
        {EGL_SURFACE_TYPE,
         EGL_PBUFFER_BIT | EGL_SWAP_BEHAVIOR_PRESERVED_BIT | (config->visual ? EGL_WINDOW_BIT | EGL_PIXMAP_BIT : 0)},
        {EGL_TRANSPARENT_TYPE, EGL_NONE},
        {EGL_TRANSPARENT_RED_VALUE, 0},
        {EGL_TRANSPARENT_GREEN_VALUE, 0},
        {EGL_TRANSPARENT_BLUE_VALUE, 0},
        {EGL_BIND_TO_TEXTURE_RGB, EGL_FALSE},
        {EGL_BIND_TO_TEXTURE_RGBA, EGL_FALSE},
        {EGL_MIN_SWAP_INTERVAL, 0},
        {EGL_MAX_SWAP_INTERVAL, 1000},
        {EGL_LUMINANCE_SIZE, 0},
        {EGL_ALPHA_MASK_SIZE, 0},
        {EGL_COLOR_BUFFER_TYPE, EGL_RGB_BUFFER},
        {EGL_RENDERABLE_TYPE, renderable(config)},
        {EGL_CONFORMANT, renderable(config)},
        {EGL_MATCH_NATIVE_PIXMAP, EGL_NONE},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].attribute == attribute) {
            *value = all[i].value;
            return true;
        }
    return false;
}

EGLBoolean
egl_GetConfigAttrib(EGLDisplay handle, EGLConfig config, EGLint attribute, EGLint *value)
{
    struct egl_display *display = egl_display_of(handle);
    const struct egl_config *ours = display ? egl_config_of(display, config) : NULL;

    if (!ours)
        return EGL_FALSE;
    return get(ours, attribute, value) ? egl_done() : egl_fail(EGL_BAD_ATTRIBUTE);
}

EGLBoolean
egl_GetConfigs(EGLDisplay handle, EGLConfig *configs, EGLint size, EGLint *count)
{
    struct egl_display *display = egl_display_of(handle);

    if (!display)
        return EGL_FALSE;
    if (!count)
        return egl_fail(EGL_BAD_PARAMETER);
    *count = configs && size < display->config_count ? size : display->config_count;
    for (EGLint i = 0; configs && i < *count; i++)
        configs[i] = &display->configs[i];
    return egl_done();
}

/* ---- Choosing -------------------------------------------------------------------------------- */

enum match {
    EXACT,
    AT_LEAST,
    MASK,
    IGNORED
};

static const struct {
    EGLint attribute, standard;
    enum match match;
} wishes[] = {
    {EGL_BUFFER_SIZE, 0, AT_LEAST},
    {EGL_ALPHA_SIZE, 0, AT_LEAST},
    {EGL_BLUE_SIZE, 0, AT_LEAST},
    {EGL_GREEN_SIZE, 0, AT_LEAST},
    {EGL_RED_SIZE, 0, AT_LEAST},
    {EGL_DEPTH_SIZE, 0, AT_LEAST},
    {EGL_STENCIL_SIZE, 0, AT_LEAST},
    {EGL_SAMPLES, 0, AT_LEAST},
    {EGL_SAMPLE_BUFFERS, 0, AT_LEAST},
    {EGL_LUMINANCE_SIZE, 0, AT_LEAST},
    {EGL_ALPHA_MASK_SIZE, 0, AT_LEAST},
    {EGL_CONFIG_CAVEAT, EGL_DONT_CARE, EXACT},
    {EGL_CONFIG_ID, EGL_DONT_CARE, EXACT},
    {EGL_LEVEL, 0, EXACT},
    {EGL_NATIVE_RENDERABLE, EGL_DONT_CARE, EXACT},
    {EGL_NATIVE_VISUAL_TYPE, EGL_DONT_CARE, EXACT},
    {EGL_TRANSPARENT_TYPE, EGL_NONE, EXACT},
    {EGL_TRANSPARENT_RED_VALUE, EGL_DONT_CARE, EXACT},
    {EGL_TRANSPARENT_GREEN_VALUE, EGL_DONT_CARE, EXACT},
    {EGL_TRANSPARENT_BLUE_VALUE, EGL_DONT_CARE, EXACT},
    {EGL_BIND_TO_TEXTURE_RGB, EGL_DONT_CARE, EXACT},
    {EGL_BIND_TO_TEXTURE_RGBA, EGL_DONT_CARE, EXACT},
    {EGL_MIN_SWAP_INTERVAL, EGL_DONT_CARE, EXACT},
    {EGL_MAX_SWAP_INTERVAL, EGL_DONT_CARE, EXACT},
    {EGL_COLOR_BUFFER_TYPE, EGL_RGB_BUFFER, EXACT},
    {EGL_SURFACE_TYPE, EGL_WINDOW_BIT, MASK},
    {EGL_RENDERABLE_TYPE, EGL_OPENGL_ES_BIT, MASK},
    {EGL_CONFORMANT, 0, MASK},
    {EGL_MATCH_NATIVE_PIXMAP, EGL_NONE, IGNORED},
    {EGL_NATIVE_VISUAL_ID, EGL_DONT_CARE, IGNORED},
    {EGL_MAX_PBUFFER_WIDTH, EGL_DONT_CARE, IGNORED},
    {EGL_MAX_PBUFFER_HEIGHT, EGL_DONT_CARE, IGNORED},
    {EGL_MAX_PBUFFER_PIXELS, EGL_DONT_CARE, IGNORED},
};

#define WISHES (sizeof(wishes) / sizeof(wishes[0]))

/* Values by the table above. @return false: there is no such attribute. */
static bool
read_list(const EGLint *list, EGLint *values)
{
    for (size_t i = 0; i < WISHES; i++)
        values[i] = wishes[i].standard;
    for (; list && list[0] != EGL_NONE; list += 2) {
        size_t i = 0;

        while (i < WISHES && wishes[i].attribute != list[0])
            i++;
        if (i == WISHES)
            return false;
        values[i] = list[1];
    }
    return true;
}

static bool
fits(const struct egl_config *config, const EGLint *values)
{
    for (size_t i = 0; i < WISHES; i++) {
        EGLint value;

        if (values[i] == EGL_DONT_CARE || wishes[i].match == IGNORED)
            continue;
        get(config, wishes[i].attribute, &value);
        if (wishes[i].match == EXACT  ? value != values[i]
            : wishes[i].match == MASK ? (value & values[i]) != values[i]
                                      : value < values[i])
            return false;
    }
    return true;
}

/* More colour before less, where colour is asked for: here only of alpha there is more and less. */
static EGLint
collect(const struct egl_display *display, const EGLint *values, bool alpha_first, const struct egl_config **found)
{
    EGLint count = 0;

    for (int pass = 0; pass < 2; pass++)
        for (EGLint i = 0; i < display->config_count; i++) {
            const struct egl_config *config = &display->configs[i];

            if ((config->wire.alpha != 0) == (alpha_first == (pass == 0)) && fits(config, values))
                found[count++] = config;
        }
    return count;
}

EGLBoolean
egl_ChooseConfig(EGLDisplay handle, const EGLint *list, EGLConfig *configs, EGLint size, EGLint *count)
{
    struct egl_display *display = egl_display_of(handle);
    const struct egl_config *found[GL_HOST_CONFIGS];
    EGLint values[WISHES], n;

    if (!display)
        return EGL_FALSE;
    if (!count)
        return egl_fail(EGL_BAD_PARAMETER);
    if (!read_list(list, values))
        return egl_fail(EGL_BAD_ATTRIBUTE);
    n = collect(display, values, values[1] > 0, found);
    *count = configs && size < n ? size : n;
    for (EGLint i = 0; configs && i < *count; i++)
        configs[i] = (EGLConfig)found[i];
    return egl_done();
}
