/* SPDX-License-Identifier: MIT */
/*
 * Functions of extensions that libGLX does not know: what programs get for their names finds out whose the call is.
 *
 * Design notes: a display may have several vendors' screens. Each of these asks libGLX whose the screen, config or
 * drawable is, or the current context, and calls that vendor's function by the index that libGLX has given its name.
 */
#include <dlfcn.h>
#include <string.h>

#include "glx.h"

#define DISPATCHED(F)                  \
    F(SwapIntervalEXT)                 \
    F(SwapIntervalSGI)                 \
    F(SwapIntervalMESA)                \
    F(GetSwapIntervalMESA)             \
    F(QueryRendererIntegerMESA)        \
    F(QueryCurrentRendererIntegerMESA) \
    F(QueryRendererStringMESA)         \
    F(QueryCurrentRendererStringMESA)  \
    F(GetFBConfigAttribSGIX)           \
    F(ChooseFBConfigSGIX)              \
    F(CreateGLXPixmapWithConfigSGIX)   \
    F(CreateContextWithConfigSGIX)     \
    F(GetVisualFromFBConfigSGIX)       \
    F(GetFBConfigFromVisualSGIX)       \
    F(MakeCurrentReadSGI)

enum {
#define INDEX(name) INDEX_##name,
    DISPATCHED(INDEX)
#undef INDEX
    INDICES
};

static int indices[INDICES];

/* The function of that vendor's, of the type of ours; NULL: it has none. */
#define OF(vendor, name) ((__typeof__(&glx_##name))fetch(vendor, INDEX_##name))

static __GLXextFuncPtr
fetch(__GLXvendorInfo *vendor, int index)
{
    return vendor ? glx_exports->fetchDispatchEntry(vendor, indices[index]) : NULL;
}

static __GLXvendorInfo *
of_current(void)
{
    return glx_exports->getCurrentDynDispatch();
}

static void
dispatch_SwapIntervalEXT(Display *dpy, GLXDrawable drawable, int interval)
{
    __typeof__(&glx_SwapIntervalEXT) f = OF(glx_exports->vendorFromDrawable(dpy, drawable), SwapIntervalEXT);

    if (f)
        f(dpy, drawable, interval);
}

static int
dispatch_SwapIntervalSGI(int interval)
{
    __typeof__(&glx_SwapIntervalSGI) f = OF(of_current(), SwapIntervalSGI);

    return f ? f(interval) : GLX_BAD_CONTEXT;
}

static int
dispatch_SwapIntervalMESA(unsigned int interval)
{
    __typeof__(&glx_SwapIntervalMESA) f = OF(of_current(), SwapIntervalMESA);

    return f ? f(interval) : GLX_BAD_CONTEXT;
}

static int
dispatch_GetSwapIntervalMESA(void)
{
    __typeof__(&glx_GetSwapIntervalMESA) f = OF(of_current(), GetSwapIntervalMESA);

    return f ? f() : 0;
}

static Bool
dispatch_QueryRendererIntegerMESA(Display *dpy, int screen, int renderer, int attribute, unsigned int *value)
{
    __typeof__(&glx_QueryRendererIntegerMESA) f =
        OF(glx_exports->getDynDispatch(dpy, screen), QueryRendererIntegerMESA);

    return f ? f(dpy, screen, renderer, attribute, value) : False;
}

static Bool
dispatch_QueryCurrentRendererIntegerMESA(int attribute, unsigned int *value)
{
    __typeof__(&glx_QueryCurrentRendererIntegerMESA) f = OF(of_current(), QueryCurrentRendererIntegerMESA);

    return f ? f(attribute, value) : False;
}

static const char *
dispatch_QueryRendererStringMESA(Display *dpy, int screen, int renderer, int attribute)
{
    __typeof__(&glx_QueryRendererStringMESA) f = OF(glx_exports->getDynDispatch(dpy, screen), QueryRendererStringMESA);

    return f ? f(dpy, screen, renderer, attribute) : NULL;
}

static const char *
dispatch_QueryCurrentRendererStringMESA(int attribute)
{
    __typeof__(&glx_QueryCurrentRendererStringMESA) f = OF(of_current(), QueryCurrentRendererStringMESA);

    return f ? f(attribute) : NULL;
}

static int
dispatch_GetFBConfigAttribSGIX(Display *dpy, GLXFBConfig config, int attribute, int *value)
{
    __typeof__(&glx_GetFBConfigAttribSGIX) f = OF(glx_exports->vendorFromFBConfig(dpy, config), GetFBConfigAttribSGIX);

    return f ? f(dpy, config, attribute, value) : GLX_NO_EXTENSION;
}

static GLXFBConfig *
dispatch_ChooseFBConfigSGIX(Display *dpy, int screen, int *list, int *count)
{
    __GLXvendorInfo *vendor = glx_exports->getDynDispatch(dpy, screen);
    __typeof__(&glx_ChooseFBConfigSGIX) f = OF(vendor, ChooseFBConfigSGIX);
    GLXFBConfig *configs = f ? f(dpy, screen, list, count) : NULL;

    for (int i = 0; configs && i < *count; i++)
        if (glx_exports->addVendorFBConfigMapping(dpy, configs[i], vendor) != 0) {
            XFree(configs);
            return NULL;
        }
    return configs;
}

static GLXPixmap
dispatch_CreateGLXPixmapWithConfigSGIX(Display *dpy, GLXFBConfig config, Pixmap pixmap)
{
    __GLXvendorInfo *vendor = glx_exports->vendorFromFBConfig(dpy, config);
    __typeof__(&glx_CreateGLXPixmapWithConfigSGIX) f = OF(vendor, CreateGLXPixmapWithConfigSGIX);
    GLXPixmap made = f ? f(dpy, config, pixmap) : None;

    if (made != None)
        glx_exports->addVendorDrawableMapping(dpy, made, vendor);
    return made;
}

static GLXContext
dispatch_CreateContextWithConfigSGIX(Display *dpy, GLXFBConfig config, int type, GLXContext share, Bool direct)
{
    __GLXvendorInfo *vendor = glx_exports->vendorFromFBConfig(dpy, config);
    __typeof__(&glx_CreateContextWithConfigSGIX) f = OF(vendor, CreateContextWithConfigSGIX);
    GLXContext made = f ? f(dpy, config, type, share, direct) : NULL;

    if (made)
        glx_exports->addVendorContextMapping(dpy, made, vendor);
    return made;
}

static XVisualInfo *
dispatch_GetVisualFromFBConfigSGIX(Display *dpy, GLXFBConfig config)
{
    __typeof__(&glx_GetVisualFromFBConfigSGIX) f =
        OF(glx_exports->vendorFromFBConfig(dpy, config), GetVisualFromFBConfigSGIX);

    return f ? f(dpy, config) : NULL;
}

static GLXFBConfig
dispatch_GetFBConfigFromVisualSGIX(Display *dpy, XVisualInfo *visual)
{
    __GLXvendorInfo *vendor = visual ? glx_exports->getDynDispatch(dpy, visual->screen) : NULL;
    __typeof__(&glx_GetFBConfigFromVisualSGIX) f = OF(vendor, GetFBConfigFromVisualSGIX);
    GLXFBConfig config = f ? f(dpy, visual) : NULL;

    if (config)
        glx_exports->addVendorFBConfigMapping(dpy, config, vendor);
    return config;
}

static Bool
dispatch_MakeCurrentReadSGI(Display *dpy, GLXDrawable draw, GLXDrawable read, GLXContext context)
{
    /* libGLX, which must know what is current, has the same by another name. */
    void *library = dlopen("libGLX.so.0", RTLD_LAZY | RTLD_NOLOAD);
    __typeof__(&glx_MakeCurrentReadSGI) f = NULL;

    if (library)
        f = (__typeof__(f))dlsym(library, "glXMakeContextCurrent");
    return f ? f(dpy, draw, read, context) : False;
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
glx_dispatch_function(const char *name)
{
    void *function;

    return index_of(name, &function) >= 0 ? function : NULL;
}

void
glx_dispatch_index(const char *name, int index)
{
    void *function;
    int i = index_of(name, &function);

    if (i >= 0)
        indices[i] = index;
}
