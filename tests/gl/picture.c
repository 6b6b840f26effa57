/* SPDX-License-Identifier: MIT */
/*
 * Draws a picture that is always the same on a window, and says what the X server has got of it.
 *
 *      picture glx|egl [OPTION]
 *
 * prints the size of the window's picture and a checksum of its pixels. With an option it does something on the way:
 *
 *      resize      the window grows after the first frame: the second one fills it
 *      twice       two windows and two contexts of one share group, by turns; both checksums
 *      single      draws to the front, without a swap (glx)
 *      pixmap      on a pixmap (glx)
 *      destroy     the window is destroyed while frames are on their way; goes on with another one
 *      forever     draws frames for ever, and prints "drawing" after the first ones
 *      threads     a window and a context for each of four threads
 *      states      all that says how pixels are read is set when a picture is shown; and what it is afterwards
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <EGL/egl.h>
#define GL_GLEXT_PROTOTYPES
#include <GL/gl.h>
#include <GL/glext.h>
#include <GL/glx.h>
#include <X11/Xlib.h>
#include <X11/Xutil.h>

#define WIDTH 200
#define HEIGHT 150

struct window {
    Display *dpy;
    Window id;
    GLXContext context;
    GLXFBConfig config;
    EGLDisplay egl;
    EGLConfig egl_config;
    EGLContext egl_context;
    EGLSurface surface;
    bool is_egl;
};

static void
fail(const char *what)
{
    printf("%s fails\n", what);
    exit(1);
}

/* ---- Windows --------------------------------------------------------------------------------- */

static void
map(struct window *window, VisualID id)
{
    XVisualInfo wish = {.visualid = id}, *visual;
    XSetWindowAttributes attributes = {.event_mask = StructureNotifyMask, .background_pixel = 0, .border_pixel = 0};
    Window root = DefaultRootWindow(window->dpy);
    static atomic_int windows; /* side by side: of what is covered the server keeps nothing */
    XEvent event;
    int count;

    visual = XGetVisualInfo(window->dpy, VisualIDMask, &wish, &count);
    if (!visual)
        fail("XGetVisualInfo");
    attributes.colormap = XCreateColormap(window->dpy, root, visual->visual, AllocNone);
    window->id =
        XCreateWindow(window->dpy, root, atomic_fetch_add(&windows, 1) * WIDTH, 0, WIDTH, HEIGHT, 0, visual->depth,
                      InputOutput, visual->visual, CWColormap | CWEventMask | CWBackPixel | CWBorderPixel, &attributes);
    XMapWindow(window->dpy, window->id);
    do
        XNextEvent(window->dpy, &event);
    while (event.type != MapNotify);
    XFree(visual);
}

static void
begin_glx(struct window *window, bool twice, const struct window *share)
{
    const int list[] = {GLX_RED_SIZE, 8, GLX_DEPTH_SIZE, 16, GLX_DOUBLEBUFFER, twice, GLX_X_RENDERABLE, True, None};
    int count, visual;
    GLXFBConfig *configs = glXChooseFBConfig(window->dpy, DefaultScreen(window->dpy), list, &count);

    if (!configs)
        fail("glXChooseFBConfig");
    window->config = configs[0];
    glXGetFBConfigAttrib(window->dpy, window->config, GLX_VISUAL_ID, &visual);
    map(window, (VisualID)visual);
    window->context =
        glXCreateNewContext(window->dpy, window->config, GLX_RGBA_TYPE, share ? share->context : NULL, True);
    if (!window->context)
        fail("glXCreateNewContext");
    XFree(configs);
}

static void
begin_egl(struct window *window, const struct window *share)
{
    const EGLint list[] = {EGL_RED_SIZE, 8, EGL_DEPTH_SIZE, 16, EGL_RENDERABLE_TYPE, EGL_OPENGL_BIT, EGL_NONE};
    EGLint count, visual;

    window->egl = eglGetDisplay((EGLNativeDisplayType)window->dpy);
    eglInitialize(window->egl, NULL, NULL);
    eglBindAPI(EGL_OPENGL_API);
    if (!eglChooseConfig(window->egl, list, &window->egl_config, 1, &count) || count != 1)
        fail("eglChooseConfig");
    eglGetConfigAttrib(window->egl, window->egl_config, EGL_NATIVE_VISUAL_ID, &visual);
    map(window, (VisualID)visual);
    window->egl_context =
        eglCreateContext(window->egl, window->egl_config, share ? share->egl_context : EGL_NO_CONTEXT, NULL);
    window->surface = eglCreateWindowSurface(window->egl, window->egl_config, (EGLNativeWindowType)window->id, NULL);
    if (window->egl_context == EGL_NO_CONTEXT || window->surface == EGL_NO_SURFACE)
        fail("eglCreateContext or eglCreateWindowSurface");
}

static struct window
begin(bool egl, bool twice, const struct window *share)
{
    struct window window = {.dpy = XOpenDisplay(NULL), .is_egl = egl};

    if (!window.dpy)
        fail("XOpenDisplay");
    if (egl)
        begin_egl(&window, share);
    else
        begin_glx(&window, twice, share);
    return window;
}

static void
use(const struct window *window)
{
    if (window->is_egl ? !eglMakeCurrent(window->egl, window->surface, window->surface, window->egl_context)
                       : !glXMakeCurrent(window->dpy, window->id, window->context))
        fail("MakeCurrent");
}

static bool
swap(const struct window *window)
{
    if (window->is_egl)
        return eglSwapBuffers(window->egl, window->surface);
    glXSwapBuffers(window->dpy, window->id);
    return true;
}

static void
end(struct window *window)
{
    if (window->is_egl) {
        eglMakeCurrent(window->egl, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
        eglDestroySurface(window->egl, window->surface);
        eglDestroyContext(window->egl, window->egl_context);
        eglTerminate(window->egl);
    } else {
        glXMakeCurrent(window->dpy, None, NULL);
        glXDestroyContext(window->dpy, window->context);
    }
    XDestroyWindow(window->dpy, window->id);
    XCloseDisplay(window->dpy);
}

/* ---- The picture ----------------------------------------------------------------------------- */

/* Squares of their own colour each, cut out by scissors: the same to the last bit wherever it is drawn. */
static void
draw(int width, int height, int shift)
{
    glViewport(0, 0, width, height);
    glDisable(GL_SCISSOR_TEST);
    glClearColor(0, 0, 1, 1);
    glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT);
    glEnable(GL_SCISSOR_TEST);
    for (int i = 0; i < 8; i++) {
        glScissor(width * i / 8, height * ((i + shift) % 8) / 8, width / 8, height / 8);
        glClearColor((float)i / 15, (float)(15 - i) / 15, (float)(i % 3) / 15, 1);
        glClear(GL_COLOR_BUFFER_BIT);
    }
    glDisable(GL_SCISSOR_TEST);
}

/* What the server has, when all that was drawn is there. */
static uint64_t
checksum(Display *dpy, Drawable drawable, int width, int height)
{
    XImage *image = XGetImage(dpy, drawable, 0, 0, (unsigned)width, (unsigned)height, AllPlanes, ZPixmap);
    uint64_t sum = 14695981039346656037u;

    if (!image)
        fail("XGetImage");
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            sum = (sum ^ (XGetPixel(image, x, y) & 0xffffff)) * 1099511628211u;
    XDestroyImage(image);
    return sum;
}

static void
tell(const struct window *window, Drawable drawable, int width, int height)
{
    uint64_t before, now = 0;

    if (window->is_egl)
        eglWaitClient();
    else
        glXWaitGL();
    /* Until it stays as it is: a server that draws natively may be behind. */
    do {
        before = now;
        XSync(window->dpy, False);
        usleep(20000);
        now = checksum(window->dpy, drawable, width, height);
    } while (now != before);
    printf("%dx%d %016lx\n", width, height, (unsigned long)now);
}

/* ---- What is asked for ----------------------------------------------------------------------- */

static void
still(bool egl)
{
    struct window window = begin(egl, true, NULL);

    use(&window);
    for (int i = 0; i < 5; i++) {
        draw(WIDTH, HEIGHT, i);
        swap(&window);
    }
    tell(&window, window.id, WIDTH, HEIGHT);
    end(&window);
}

static void
resize(bool egl)
{
    struct window window = begin(egl, true, NULL);
    XEvent event;

    use(&window);
    draw(WIDTH, HEIGHT, 0);
    swap(&window);
    XResizeWindow(window.dpy, window.id, 2 * WIDTH, 2 * HEIGHT);
    do
        XNextEvent(window.dpy, &event);
    while (event.type != ConfigureNotify || event.xconfigure.width != 2 * WIDTH);
    draw(2 * WIDTH, 2 * HEIGHT, 3);
    swap(&window);
    tell(&window, window.id, 2 * WIDTH, 2 * HEIGHT);
    end(&window);
}

static void
twice(bool egl)
{
    struct window first = begin(egl, true, NULL), second = begin(egl, true, egl ? NULL : &first);

    for (int i = 0; i < 4; i++) {
        use(&first);
        draw(WIDTH, HEIGHT, i);
        swap(&first);
        use(&second);
        draw(WIDTH, HEIGHT, i + 4);
        swap(&second);
    }
    tell(&second, second.id, WIDTH, HEIGHT);
    use(&first);
    tell(&first, first.id, WIDTH, HEIGHT);
    end(&second);
    end(&first);
}

/* To show a picture the host may have to read it: the program's state is none of that. */
static void
states(bool egl)
{
    static const struct {
        GLenum name;
        GLint value;
    } stores[] = {{GL_PACK_ALIGNMENT, 8},
                  {GL_PACK_ROW_LENGTH, 333},
                  {GL_PACK_SKIP_ROWS, 3},
                  {GL_PACK_SKIP_PIXELS, 5},
                  {GL_PACK_SWAP_BYTES, 1}};
    static const GLenum looked_at[] = {
        GL_READ_FRAMEBUFFER_BINDING, GL_PIXEL_PACK_BUFFER_BINDING, GL_PACK_ALIGNMENT, GL_PACK_ROW_LENGTH,
        GL_PACK_SKIP_ROWS,           GL_PACK_SKIP_PIXELS,          GL_PACK_SWAP_BYTES};
    struct window window = begin(egl, true, NULL);
    GLuint framebuffer, buffer;
    GLint value;

    use(&window);
    glGenFramebuffers(1, &framebuffer);
    glGenBuffers(1, &buffer);
    glBindBuffer(GL_PIXEL_PACK_BUFFER, buffer);
    glBufferData(GL_PIXEL_PACK_BUFFER, 64, NULL, GL_STREAM_READ);
    for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++)
        glPixelStorei(stores[i].name, stores[i].value);
    for (int i = 0; i < 6; i++) {
        draw(WIDTH, HEIGHT, i);
        glBindFramebuffer(GL_READ_FRAMEBUFFER, i % 2 ? framebuffer : 0);
        if (i == 2)
            glReadBuffer(GL_NONE);
        if (i == 5)
            glPixelTransferf(GL_RED_BIAS, 0.5f);
        swap(&window);
        for (size_t k = 0; k < sizeof(looked_at) / sizeof(looked_at[0]); k++) {
            glGetIntegerv(looked_at[k], &value);
            printf("%d ", value);
        }
        glBindFramebuffer(GL_READ_FRAMEBUFFER, 0);
        glGetIntegerv(GL_READ_BUFFER, &value);
        printf("%s %#x\n", value == GL_NONE ? "none" : "one", glGetError());
        tell(&window, window.id, WIDTH, HEIGHT);
    }
    end(&window);
}

static void
single(bool egl)
{
    struct window window = begin(egl, false, NULL);

    use(&window);
    draw(WIDTH, HEIGHT, 2);
    glFlush();
    tell(&window, window.id, WIDTH, HEIGHT);
    end(&window);
}

static void
pixmap(bool egl)
{
    struct window window = begin(egl, false, NULL);
    XVisualInfo *visual = glXGetVisualFromFBConfig(window.dpy, window.config);
    Pixmap image = XCreatePixmap(window.dpy, window.id, WIDTH, HEIGHT, (unsigned)visual->depth);
    GLXPixmap drawable = glXCreatePixmap(window.dpy, window.config, image, NULL);

    if (!glXMakeCurrent(window.dpy, drawable, window.context))
        fail("glXMakeCurrent");
    draw(WIDTH, HEIGHT, 6);
    glFinish();
    tell(&window, image, WIDTH, HEIGHT);
    glXMakeCurrent(window.dpy, None, NULL);
    glXDestroyPixmap(window.dpy, drawable);
    end(&window);
}

static int
ignore(Display *dpy, XErrorEvent *error)
{
    (void)dpy;
    (void)error;
    return 0;
}

static void
destroy(bool egl)
{
    struct window window = begin(egl, true, NULL);

    XSetErrorHandler(ignore);
    use(&window);
    for (int i = 0; i < 100; i++) {
        draw(WIDTH, HEIGHT, i);
        swap(&window);
        if (i == 50) {
            XDestroyWindow(window.dpy, window.id);
            XFlush(window.dpy);
        }
    }
    still(egl);
}

static void
forever(bool egl)
{
    struct window window = begin(egl, true, NULL);
    unsigned refused = 0;

    use(&window);
    for (int i = 0; refused < 100; i++) {
        draw(WIDTH, HEIGHT, i);
        if (!swap(&window) && refused++ == 0)
            printf("refused, error 0x%x\n", eglGetError());
        if (i == 10)
            puts("drawing");
        fflush(stdout);
    }
    end(&window);
}

static void *
thread_still(void *egl)
{
    still(egl != NULL);
    return NULL;
}

static void
threads(bool egl)
{
    pthread_t all[4];

    for (int i = 0; i < 4; i++)
        pthread_create(&all[i], NULL, thread_still, egl ? &all : NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(all[i], NULL);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(bool egl);
    } all[] = {{"still", still},     {"resize", resize},   {"twice", twice},     {"single", single}, {"pixmap", pixmap},
               {"destroy", destroy}, {"forever", forever}, {"threads", threads}, {"states", states}};
    const char *what = argc > 2 ? argv[2] : "still";

    if (argc < 2)
        return 2;
    XInitThreads();
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(all[i].name, what) == 0) {
            all[i].run(strcmp(argv[1], "egl") == 0);
            return 0;
        }
    return 2;
}
