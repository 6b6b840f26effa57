/* SPDX-License-Identifier: MIT */
/*
 * gl_program.c - what is measured of OpenGL without anybody else's program.
 *
 * Design notes: libX11 and libGL are opened when it runs, so that the tool itself needs neither; to be built with
 * their headers. Frames are told apart by their colour, and a draw call follows a change of state, so that no driver
 * can leave out any. The triangles lie outside the view: what is measured is the way to the driver and into it.
 */
#include "gl_program.h"

#include <stdio.h>

#ifdef HAVE_GL

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GL_GLEXT_PROTOTYPES
#include <GL/glx.h>
#include <X11/Xlib.h>
#include <X11/Xutil.h>

#define WARM_UP_NS 200000000u
#define DRAWS 500u /* between looks at the clock; two records each, which a lane has room for */

#define X_FUNCTIONS(F) \
    F(XOpenDisplay)    \
    F(XCreateColormap) \
    F(XCreateWindow)   \
    F(XMapWindow)      \
    F(XNextEvent)

#define GL_FUNCTIONS(F)    \
    F(glXChooseVisual)     \
    F(glXCreateContext)    \
    F(glXMakeCurrent)      \
    F(glXSwapBuffers)      \
    F(glXGetProcAddress)   \
    F(glGetString)         \
    F(glGetError)          \
    F(glClearColor)        \
    F(glClear)             \
    F(glFinish)            \
    F(glDepthFunc)         \
    F(glEnable)            \
    F(glEnableClientState) \
    F(glVertexPointer)     \
    F(glDrawArrays)        \
    F(glGenBuffers)        \
    F(glBindBuffer)        \
    F(glBufferData)

static struct {
#define POINTER(name) __typeof__(name) *name;
    X_FUNCTIONS(POINTER)
    GL_FUNCTIONS(POINTER)
#undef POINTER
} to;

static Display *dpy;
static Window window;

static bool
load(void)
{
    void *x11 = dlopen("libX11.so.6", RTLD_NOW | RTLD_GLOBAL), *gl = dlopen("libGL.so.1", RTLD_NOW | RTLD_GLOBAL);

    if (!x11 || !gl) {
        printf("%s\n", dlerror());
        return false;
    }
#define LOAD_X(name) to.name = (__typeof__(to.name))dlsym(x11, #name);
#define LOAD_GL(name) to.name = (__typeof__(to.name))dlsym(gl, #name);
#define CHECK(name)                                        \
    if (!to.name) {                                        \
        printf("this libGL or libX11 has no " #name "\n"); \
        return false;                                      \
    }
    X_FUNCTIONS(LOAD_X)
    GL_FUNCTIONS(LOAD_GL)
    X_FUNCTIONS(CHECK)
    GL_FUNCTIONS(CHECK)
#undef LOAD_X
#undef LOAD_GL
#undef CHECK
    return true;
}

/* ---- A window -------------------------------------------------------------------------------- */

static void
open_window(XVisualInfo *visual, unsigned width, unsigned height)
{
    XSetWindowAttributes attributes = {.event_mask = StructureNotifyMask};
    Window root = RootWindow(dpy, visual->screen);
    XEvent event;

    attributes.colormap = to.XCreateColormap(dpy, root, visual->visual, AllocNone);
    window = to.XCreateWindow(dpy, root, 0, 0, width, height, 0, visual->depth, InputOutput, visual->visual,
                              CWColormap | CWEventMask | CWBackPixel | CWBorderPixel, &attributes);
    to.XMapWindow(dpy, window);
    do
        to.XNextEvent(dpy, &event);
    while (event.type != MapNotify);
}

/* Frames as fast as they come. */
static void
swap_at_once(void)
{
    void (*swap_interval)(Display *, GLXDrawable, int) =
        (__typeof__(swap_interval))to.glXGetProcAddress((const GLubyte *)"glXSwapIntervalEXT");
    const char *(*extensions)(Display *, int) =
        (__typeof__(extensions))to.glXGetProcAddress((const GLubyte *)"glXQueryExtensionsString");

    if (swap_interval && extensions && strstr(extensions(dpy, DefaultScreen(dpy)), "GLX_EXT_swap_control"))
        swap_interval(dpy, window, 0);
}

static bool
begin(unsigned width, unsigned height)
{
    int wish[] = {GLX_RGBA, GLX_DOUBLEBUFFER, GLX_RED_SIZE, 8, GLX_DEPTH_SIZE, 16, None};
    XVisualInfo *visual;
    GLXContext context;

    dpy = to.XOpenDisplay(NULL);
    visual = dpy ? to.glXChooseVisual(dpy, DefaultScreen(dpy), wish) : NULL;
    context = visual ? to.glXCreateContext(dpy, visual, NULL, True) : NULL;
    if (!context) {
        printf("%s\n", !dpy ? "no X server" : !visual ? "no visual with 24 bits and depth" : "no context");
        return false;
    }
    open_window(visual, width, height);
    if (!to.glXMakeCurrent(dpy, window, context)) {
        printf("glXMakeCurrent fails\n");
        return false;
    }
    swap_at_once();
    printf("GL_RENDERER: %s\n", (const char *)to.glGetString(GL_RENDERER));
    fflush(stdout);
    return true;
}

/* ---- Work ------------------------------------------------------------------------------------ */

static uint64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* All of these return how many per second, of what they do for so long. */
static double
clear(uint64_t ns)
{
    uint64_t begin = now_ns(), end;
    unsigned frames = 0;

    do {
        to.glClearColor((float)(frames & 255) / 255, 0.5F, 0.25F, 1);
        to.glClear(GL_COLOR_BUFFER_BIT);
        to.glXSwapBuffers(dpy, window);
        frames++;
    } while (now_ns() - begin < ns);
    to.glFinish();
    end = now_ns();
    return frames * 1e9 / (double)(end - begin);
}

static void
make_triangle(void)
{
    static const float outside[] = {2, 2, 0, 3, 2, 0, 2, 3, 0};
    GLuint buffer;

    to.glGenBuffers(1, &buffer);
    to.glBindBuffer(GL_ARRAY_BUFFER, buffer);
    to.glBufferData(GL_ARRAY_BUFFER, sizeof(outside), outside, GL_STATIC_DRAW);
    to.glVertexPointer(3, GL_FLOAT, 0, NULL);
    to.glEnableClientState(GL_VERTEX_ARRAY);
    to.glEnable(GL_DEPTH_TEST);
}

static void
draw_some(void)
{
    for (unsigned i = 0; i < DRAWS; i++) {
        to.glDepthFunc(i & 1 ? GL_LESS : GL_LEQUAL);
        to.glDrawArrays(GL_TRIANGLES, 0, 3);
    }
}

/* Until they are drawn. */
static double
draw(uint64_t ns)
{
    uint64_t begin = now_ns(), draws = 0;

    do {
        draw_some();
        draws += DRAWS;
    } while (now_ns() - begin < ns);
    to.glFinish();
    return (double)draws * 1e9 / (double)(now_ns() - begin);
}

/* What it takes the program alone. */
static double
post(uint64_t ns)
{
    uint64_t begin = now_ns(), draws = 0, inside = 0;

    do {
        uint64_t at = now_ns();

        draw_some();
        inside += now_ns() - at;
        draws += DRAWS;
        to.glFinish();
    } while (now_ns() - begin < ns);
    return (double)draws * 1e9 / (double)inside;
}

static const struct {
    const char *name;
    double (*run)(uint64_t ns);
    double unit;
} works[] = {{"clear", clear, 1}, {"draws", draw, 1e6}, {"posted", post, 1e6}};

int
bench_gl_program(int argc, char **argv)
{
    unsigned width, height, work = 0;
    double seconds, rate;

    while (work < sizeof(works) / sizeof(works[0]) && argc > 0 && strcmp(works[work].name, argv[0]) != 0)
        work++;
    if (argc != 3 || work == sizeof(works) / sizeof(works[0]) || sscanf(argv[1], "%ux%u", &width, &height) != 2 ||
        sscanf(argv[2], "%lf", &seconds) != 1) {
        printf("clear|draws|posted WIDTHxHEIGHT SECONDS\n");
        return 2;
    }
    if (!load() || !begin(width, height))
        return 1;
    make_triangle();
    works[work].run(WARM_UP_NS);
    rate = works[work].run((uint64_t)(seconds * 1e9)) / works[work].unit;
    if (to.glGetError() != GL_NO_ERROR) {
        printf("OpenGL had an error\n");
        return 1;
    }
    printf("FPS: %f\n", rate);
    return 0;
}

#else

int
bench_gl_program(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("this tool was built without the headers of OpenGL and X11: install libgl-dev and libx11-dev\n");
    return 1;
}

#endif
