/* SPDX-License-Identifier: MIT */
/*
 * Beginnings and ends without a window: threads that end with a context current, and children of a fork. Prints what
 * it finds, a line each.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <GL/gl.h>

#define THREADS 40

static EGLDisplay
display(void)
{
    EGLDisplay dpy = eglGetPlatformDisplay(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, NULL);

    eglInitialize(dpy, NULL, NULL);
    eglBindAPI(EGL_OPENGL_API);
    return dpy;
}

static EGLContext
begin(EGLDisplay dpy)
{
    EGLContext context = eglCreateContext(dpy, EGL_NO_CONFIG_KHR, EGL_NO_CONTEXT, NULL);

    return eglMakeCurrent(dpy, EGL_NO_SURFACE, EGL_NO_SURFACE, context) ? context : EGL_NO_CONTEXT;
}

static void *
leave_current(void *context)
{
    *(EGLContext *)context = begin(display());
    glEnable(GL_BLEND);
    return NULL;
}

/* Another thread goes on where one has ended: all is as that has left it. */
static int
take_over(EGLDisplay dpy)
{
    EGLContext context;
    pthread_t thread;
    int good;

    pthread_create(&thread, NULL, leave_current, &context);
    pthread_join(thread, NULL);
    good = eglMakeCurrent(dpy, EGL_NO_SURFACE, EGL_NO_SURFACE, context) && glIsEnabled(GL_BLEND);
    eglMakeCurrent(dpy, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
    eglDestroyContext(dpy, context);
    return good;
}

static void
child(EGLDisplay dpy)
{
    EGLContext context;

    glEnable(GL_BLEND); /* of the parent's: may do nothing, and nothing bad */
    eglMakeCurrent(dpy, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
    context = begin(dpy);
    printf("child: %s\n", context != EGL_NO_CONTEXT && glGetString(GL_VENDOR) ? "a context of its own" : "none");
    exit(0);
}

int
main(void)
{
    EGLDisplay dpy = display();
    int good = 0, status;
    EGLContext context;

    for (int i = 0; i < THREADS; i++)
        good += take_over(dpy);
    printf("contexts of threads that have ended: %d of %d\n", good, THREADS);
    context = begin(dpy);
    glEnable(GL_DITHER);
    fflush(stdout);
    if (fork() == 0)
        child(dpy);
    wait(&status);
    printf("child: status %d\n", status);
    printf("parent: %s\n", glIsEnabled(GL_DITHER) && eglGetCurrentContext() == context ? "as before" : "not as before");
    eglTerminate(dpy);
    puts("end");
    return 0;
}
