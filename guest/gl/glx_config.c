/* SPDX-License-Identifier: MIT */
/*
 * FBConfigs and visuals.
 *
 * Design notes: X knows nothing of our configs, only its visuals. Each of the more wanted configs gets a visual of its
 * own, as long as there are any, so that a program that goes by visuals gets what it has chosen. The rest
 * share the first one of their depth; there, what was chosen last counts.
 */
#include "glx.h"

#include <stdlib.h>
#include <string.h>

#include <GL/glxext.h>

/* ---- Making ---------------------------------------------------------------------------------- */

/* Visuals of a screen that 8-bit pictures can be shown in, of one depth; to be freed. */
static VisualID *
visuals_of(Display *dpy, int number, int depth, size_t *count)
{
    XVisualInfo wish = {.screen = number, .depth = depth, .class = TrueColor};
    VisualID first = XVisualIDFromVisual(DefaultVisual(dpy, number));
    int found = 0;
    XVisualInfo *all = XGetVisualInfo(dpy, VisualScreenMask | VisualDepthMask | VisualClassMask, &wish, &found);
    VisualID *list = calloc((size_t)found + 1, sizeof(*list));

    *count = 0;
    for (int i = 0; i < found && list; i++)
        if (all[i].red_mask == 0xff0000 && all[i].green_mask == 0xff00 && all[i].blue_mask == 0xff) {
            list[*count] = all[i].visualid;
            /* The program's windows have that one, unless it says otherwise. */
            if (all[i].visualid == first) {
                list[*count] = list[0];
                list[0] = first;
            }
            ++*count;
        }
    if (all)
        XFree(all);
    return list;
}

/* How many programs want one before all others: less is better. */
static int
rank(const struct gl_wire_config *wire, bool double_buffered, bool deep)
{
    return (wire->samples != 0) * 16 + (wire->depth != 24) * 8 + (wire->stencil != 8) * 4 + !double_buffered * 2 +
           (!deep && wire->alpha != 0);
}

static int
by_rank(const void *left, const void *right)
{
    const struct glx_config *a = left, *b = right;
    bool deep = a->visual_depth == 32;
    int order = rank(&a->wire, a->double_buffered, deep) - rank(&b->wire, b->double_buffered, deep);

    return order != 0 ? order : a->wire.number - b->wire.number;
}

/* Those of one depth of visuals, from @p to on. */
static size_t
make_depth(struct glx_display *display, int number, int depth, struct glx_config *to)
{
    size_t visual_count, count = 0;
    VisualID *visuals = visuals_of(display->dpy, number, depth, &visual_count);
    uint32_t wire_count;
    const struct gl_wire_config *wires = gpuvchan_gl_configs(&wire_count);

    if (!visuals)
        return 0;
    for (uint32_t i = 0; i < 2 * wire_count; i++)
        if (visual_count > 0 && (depth != 32 || wires[i / 2].alpha != 0))
            to[count++] = (struct glx_config){
                .wire = wires[i / 2], .double_buffered = i % 2 == 0, .visual_depth = depth, .screen = number};
    qsort(to, count, sizeof(*to), by_rank);
    for (size_t i = 0; i < count; i++) {
        to[i].owner = i < visual_count;
        to[i].visual = visuals[i < visual_count ? i : 0];
    }
    free(visuals);
    return count;
}

bool
glx_configs_make(struct glx_display *display, int number)
{
    struct glx_screen *screen = &display->screens[number];
    uint32_t wire_count;

    (void)gpuvchan_gl_configs(&wire_count);
    screen->configs = calloc((size_t)wire_count * 4 + 1, sizeof(*screen->configs));
    if (!screen->configs)
        return false;
    screen->count = make_depth(display, number, 24, screen->configs);
    screen->count += make_depth(display, number, 32, screen->configs + screen->count);
    for (size_t i = 0; i < screen->count; i++)
        screen->configs[i].id = i + 1;
    return true;
}

/* ---- Finding --------------------------------------------------------------------------------- */

const struct glx_config *
glx_config_of(struct glx_display *display, GLXFBConfig config)
{
    for (int i = 0; display && i < display->screen_count; i++) {
        const struct glx_screen *screen = &display->screens[i];

        for (size_t k = 0; k < screen->count; k++)
            if ((GLXFBConfig)&screen->configs[k] == config)
                return &screen->configs[k];
    }
    return NULL;
}

const struct glx_config *
glx_config_of_visual(struct glx_display *display, int number, VisualID visual)
{
    const struct glx_config *found = NULL;
    const struct glx_screen *screen;

    if (!display || number < 0 || number >= display->screen_count)
        return NULL;
    screen = &display->screens[number];
    if (screen->chosen && screen->chosen->visual == visual)
        return screen->chosen;
    for (size_t i = 0; i < screen->count; i++)
        if (screen->configs[i].visual == visual && (!found || screen->configs[i].owner))
            found = &screen->configs[i];
    return found;
}

/* ---- Attributes ------------------------------------------------------------------------------ */

int
glx_config_get(const struct glx_config *config, int attribute, int *value)
{
    const struct gl_wire_config *wire = &config->wire;
    const struct gl_wire_info *info = gpuvchan_gl_info();
    const struct {
        int attribute, value;
    } all[] = {
        {GLX_USE_GL, True},
        {GLX_RGBA, True},
        {GLX_BUFFER_SIZE, wire->red + wire->green + wire->blue + wire->alpha},
        {GLX_LEVEL, 0},
        {GLX_DOUBLEBUFFER, config->double_buffered},
        {GLX_STEREO, False},
        {GLX_AUX_BUFFERS, 0},
        {GLX_RED_SIZE, wire->red},
        {GLX_GREEN_SIZE, wire->green},
        {GLX_BLUE_SIZE, wire->blue},
        {GLX_ALPHA_SIZE, wire->alpha},
        {GLX_DEPTH_SIZE, wire->depth},
        {GLX_STENCIL_SIZE, wire->stencil},
        {GLX_ACCUM_RED_SIZE, 0},
        {GLX_ACCUM_GREEN_SIZE, 0},
        {GLX_ACCUM_BLUE_SIZE, 0},
        {GLX_ACCUM_ALPHA_SIZE, 0},
        {GLX_SAMPLE_BUFFERS, wire->samples != 0},
        {GLX_SAMPLES, wire->samples},
        {GLX_FBCONFIG_ID, (int)config->id},
        {GLX_SCREEN, config->screen},
        {GLX_X_VISUAL_TYPE, GLX_TRUE_COLOR},
        {GLX_VISUAL_ID, (int)config->visual},
        {GLX_CONFIG_CAVEAT, GLX_NONE},
        {GLX_TRANSPARENT_TYPE, GLX_NONE},
        {GLX_TRANSPARENT_INDEX_VALUE, 0},
        {GLX_TRANSPARENT_RED_VALUE, 0},
        {GLX_TRANSPARENT_GREEN_VALUE, 0},
        {GLX_TRANSPARENT_BLUE_VALUE, 0},
        {GLX_TRANSPARENT_ALPHA_VALUE, 0},
        {GLX_RENDER_TYPE, GLX_RGBA_BIT},
        {GLX_DRAWABLE_TYPE, GLX_WINDOW_BIT | GLX_PIXMAP_BIT | GLX_PBUFFER_BIT},
        {GLX_X_RENDERABLE, True},
        {GLX_MAX_PBUFFER_WIDTH, (int)info->max_width},
        {GLX_MAX_PBUFFER_HEIGHT, (int)info->max_height},
        {GLX_MAX_PBUFFER_PIXELS, (int)(info->max_width * info->max_height)},
        {GLX_FRAMEBUFFER_SRGB_CAPABLE_EXT, False},
        {GLX_BIND_TO_TEXTURE_RGB_EXT, False},
        {GLX_BIND_TO_TEXTURE_RGBA_EXT, False},
        {GLX_BIND_TO_MIPMAP_TEXTURE_EXT, False},
        {GLX_BIND_TO_TEXTURE_TARGETS_EXT, 0},
        {GLX_Y_INVERTED_EXT, False},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].attribute == attribute) {
            *value = all[i].value;
            return 0;
        }
    return GLX_BAD_ATTRIBUTE;
}

int
glx_GetFBConfigAttrib(Display *dpy, GLXFBConfig config, int attribute, int *value)
{
    const struct glx_config *ours = glx_config_of(glx_display_of(dpy), config);

    return ours ? glx_config_get(ours, attribute, value) : GLXBadFBConfig;
}

int
glx_GetConfig(Display *dpy, XVisualInfo *visual, int attribute, int *value)
{
    struct glx_display *display = glx_display_of(dpy);
    const struct glx_config *config;

    if (!visual || !display || visual->screen < 0 || visual->screen >= display->screen_count)
        return GLX_BAD_SCREEN;
    config = glx_config_of_visual(display, visual->screen, visual->visualid);
    if (config)
        return glx_config_get(config, attribute, value);
    if (attribute != GLX_USE_GL)
        return GLX_BAD_VISUAL;
    *value = False;
    return 0;
}

XVisualInfo *
glx_GetVisualFromFBConfig(Display *dpy, GLXFBConfig config)
{
    const struct glx_config *ours = glx_config_of(glx_display_of(dpy), config);
    XVisualInfo wish = {.visualid = ours ? ours->visual : 0, .screen = ours ? ours->screen : 0};
    int count;

    return ours ? XGetVisualInfo(dpy, VisualIDMask | VisualScreenMask, &wish, &count) : NULL;
}

GLXFBConfig *
glx_GetFBConfigs(Display *dpy, int number, int *count)
{
    struct glx_display *display = glx_display_of(dpy);
    struct glx_screen *screen;
    GLXFBConfig *list;

    *count = 0;
    if (!display || number < 0 || number >= display->screen_count)
        return NULL;
    screen = &display->screens[number];
    list = malloc((screen->count + 1) * sizeof(*list)); /* the program frees it by XFree(), which is free() */
    for (size_t i = 0; i < screen->count && list; i++)
        list[i] = (GLXFBConfig)&screen->configs[i];
    *count = list ? (int)screen->count : 0;
    return list;
}

/* ---- Choosing -------------------------------------------------------------------------------- */

enum match {
    EXACT,
    AT_LEAST,
    MASK
};

/* What is asked for, and what counts where it is not: in the order of glXChooseFBConfig()'s table. */
static const struct {
    int attribute, standard;
    enum match match;
} wishes[] = {
    {GLX_FBCONFIG_ID, (int)GLX_DONT_CARE, EXACT},
    {GLX_BUFFER_SIZE, 0, AT_LEAST},
    {GLX_LEVEL, 0, EXACT},
    {GLX_DOUBLEBUFFER, (int)GLX_DONT_CARE, EXACT},
    {GLX_STEREO, False, EXACT},
    {GLX_AUX_BUFFERS, 0, AT_LEAST},
    {GLX_RED_SIZE, 0, AT_LEAST},
    {GLX_GREEN_SIZE, 0, AT_LEAST},
    {GLX_BLUE_SIZE, 0, AT_LEAST},
    {GLX_ALPHA_SIZE, 0, AT_LEAST},
    {GLX_DEPTH_SIZE, 0, AT_LEAST},
    {GLX_STENCIL_SIZE, 0, AT_LEAST},
    {GLX_ACCUM_RED_SIZE, 0, AT_LEAST},
    {GLX_ACCUM_GREEN_SIZE, 0, AT_LEAST},
    {GLX_ACCUM_BLUE_SIZE, 0, AT_LEAST},
    {GLX_ACCUM_ALPHA_SIZE, 0, AT_LEAST},
    {GLX_SAMPLE_BUFFERS, 0, AT_LEAST},
    {GLX_SAMPLES, 0, AT_LEAST},
    {GLX_RENDER_TYPE, GLX_RGBA_BIT, MASK},
    {GLX_DRAWABLE_TYPE, GLX_WINDOW_BIT, MASK},
    {GLX_X_RENDERABLE, (int)GLX_DONT_CARE, EXACT},
    {GLX_X_VISUAL_TYPE, (int)GLX_DONT_CARE, EXACT},
    {GLX_VISUAL_ID, (int)GLX_DONT_CARE, EXACT},
    {GLX_CONFIG_CAVEAT, (int)GLX_DONT_CARE, EXACT},
    {GLX_TRANSPARENT_TYPE, GLX_NONE, EXACT},
    {GLX_FRAMEBUFFER_SRGB_CAPABLE_EXT, (int)GLX_DONT_CARE, EXACT},
    {GLX_BIND_TO_TEXTURE_RGB_EXT, (int)GLX_DONT_CARE, EXACT},
    {GLX_BIND_TO_TEXTURE_RGBA_EXT, (int)GLX_DONT_CARE, EXACT},
    {GLX_BIND_TO_MIPMAP_TEXTURE_EXT, (int)GLX_DONT_CARE, EXACT},
    {GLX_BIND_TO_TEXTURE_TARGETS_EXT, 0, MASK},
    {GLX_Y_INVERTED_EXT, (int)GLX_DONT_CARE, EXACT},
};

#define WISHES (sizeof(wishes) / sizeof(wishes[0]))

static size_t
wish_of(int attribute)
{
    size_t i = 0;

    while (i < WISHES && wishes[i].attribute != attribute)
        i++;
    return i;
}

static bool
fits(const struct glx_config *config, const int *values)
{
    for (size_t i = 0; i < WISHES; i++) {
        int value;

        if (values[i] == (int)GLX_DONT_CARE)
            continue;
        glx_config_get(config, wishes[i].attribute, &value);
        if (wishes[i].match == EXACT  ? value != values[i]
            : wishes[i].match == MASK ? (value & values[i]) != values[i]
                                      : value < values[i])
            return false;
    }
    return true;
}

static int
wanted_bits(const struct glx_config *config, const int *values)
{
    return (values[wish_of(GLX_RED_SIZE)] > 0 ? config->wire.red : 0) +
           (values[wish_of(GLX_GREEN_SIZE)] > 0 ? config->wire.green : 0) +
           (values[wish_of(GLX_BLUE_SIZE)] > 0 ? config->wire.blue : 0) +
           (values[wish_of(GLX_ALPHA_SIZE)] > 0 ? config->wire.alpha : 0);
}

/* Zero before all, then more before less: what is not asked for costs memory. */
static int
by_depth(int a, int b)
{
    return a == b ? 0 : a == 0 ? -1 : b == 0 ? 1 : b - a;
}

static int
compare(const struct glx_config *a, const struct glx_config *b, const int *values)
{
    int order = wanted_bits(b, values) - wanted_bits(a, values);

    if (order == 0)
        order = a->wire.alpha - b->wire.alpha;
    if (order == 0)
        order = a->double_buffered - b->double_buffered;
    if (order == 0)
        order = a->wire.samples - b->wire.samples;
    if (order == 0)
        order = by_depth(a->wire.depth, b->wire.depth);
    if (order == 0)
        order = a->wire.stencil - b->wire.stencil;
    return order != 0 ? order : (int)a->id - (int)b->id;
}

static int
by_wish(const void *left, const void *right, void *values)
{
    return compare(*(const struct glx_config *const *)left, *(const struct glx_config *const *)right, values);
}

GLXFBConfig *
glx_ChooseFBConfig(Display *dpy, int screen, const int *list, int *count)
{
    GLXFBConfig *configs = glx_GetFBConfigs(dpy, screen, count);
    int values[WISHES], found = 0;

    for (size_t i = 0; i < WISHES; i++)
        values[i] = wishes[i].standard;
    for (; list && list[0] != None; list += 2) {
        size_t i = wish_of(list[0]);

        if (i < WISHES)
            values[i] = list[1];
        else if (list[0] >= GLX_MAX_PBUFFER_WIDTH || list[0] < GLX_USE_GL) /* the others do not matter here */
            found = -1;
    }
    for (int i = 0; i < *count && found >= 0; i++)
        if (fits((const struct glx_config *)configs[i], values))
            configs[found++] = configs[i];
    if (found > 0)
        qsort_r(configs, (size_t)found, sizeof(*configs), by_wish, values);
    *count = found < 0 ? 0 : found;
    if (*count == 0) {
        free(configs);
        return NULL;
    }
    return configs;
}

/* A list of glXChooseVisual() as one of glXChooseFBConfig(). @return false: no RGBA. */
static bool
translate(const int *list, int *to, size_t room)
{
    int twice = False, stereo = False;
    bool rgba = false;
    size_t n = 0;

    for (; list && *list != None && n + 8 < room; list++)
        switch (*list) {
        case GLX_USE_GL:
            break;
        case GLX_RGBA:
            rgba = true;
            break;
        case GLX_DOUBLEBUFFER:
            twice = True;
            break;
        case GLX_STEREO:
            stereo = True;
            break;
        default:
            to[n++] = list[0];
            to[n++] = list[1];
            list++;
        }
    to[n++] = GLX_DOUBLEBUFFER;
    to[n++] = twice;
    to[n++] = GLX_STEREO;
    to[n++] = stereo;
    to[n] = None;
    return rgba;
}

XVisualInfo *
glx_ChooseVisual(Display *dpy, int screen, int *list)
{
    struct glx_display *display = glx_display_of(dpy);
    const struct glx_config *best;
    GLXFBConfig *configs;
    int translated[128], count;

    if (!translate(list, translated, sizeof(translated) / sizeof(translated[0])))
        return NULL;
    configs = glx_ChooseFBConfig(dpy, screen, translated, &count);
    if (!configs)
        return NULL;
    best = (const struct glx_config *)configs[0];
    /* One that has a visual of its own, if it is as good. */
    for (int i = 0; i < count; i++) {
        const struct glx_config *config = (const struct glx_config *)configs[i];

        if (config->owner && config->visual_depth == best->visual_depth && config->wire.alpha == best->wire.alpha &&
            config->wire.samples == best->wire.samples) {
            best = config;
            break;
        }
    }
    free(configs);
    display->screens[screen].chosen = best;
    return glx_GetVisualFromFBConfig(dpy, (GLXFBConfig)best);
}

/* ---- SGIX_fbconfig --------------------------------------------------------------------------- */

int
glx_GetFBConfigAttribSGIX(Display *dpy, GLXFBConfig config, int attribute, int *value)
{
    return glx_GetFBConfigAttrib(dpy, config, attribute, value);
}

GLXFBConfig *
glx_ChooseFBConfigSGIX(Display *dpy, int screen, int *list, int *count)
{
    return glx_ChooseFBConfig(dpy, screen, list, count);
}

XVisualInfo *
glx_GetVisualFromFBConfigSGIX(Display *dpy, GLXFBConfig config)
{
    return glx_GetVisualFromFBConfig(dpy, config);
}

GLXFBConfig
glx_GetFBConfigFromVisualSGIX(Display *dpy, XVisualInfo *visual)
{
    return visual ? (GLXFBConfig)glx_config_of_visual(glx_display_of(dpy), visual->screen, visual->visualid) : NULL;
}
