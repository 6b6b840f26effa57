/* SPDX-License-Identifier: MIT */
/*
 * Draws and asks with all kinds of commands, and prints a line for each: a sum of the picture, numbers, errors. The same
 * program says the same natively and forwarded.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

#include <GL/glx.h>
#include <X11/Xlib.h>

uint32_t
sum_bytes(const void *data, size_t bytes)
{
    const unsigned char *at = data;
    uint32_t sum = 2166136261u;

    for (size_t i = 0; i < bytes; i++)
        sum = (sum ^ at[i]) * 16777619u;
    return sum;
}

void
report(const char *name)
{
    static unsigned char pixels[SIDE * SIDE * 4];
    size_t lit = 0;

    memset(pixels, 0x55, sizeof(pixels));
    glReadPixels(0, 0, SIDE, SIDE, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
    for (size_t i = 0; i < sizeof(pixels); i += 4)
        lit += (pixels[i] | pixels[i + 1] | pixels[i + 2]) != 0;
    printf("%s: picture %08x, %zu lit, error %#x\n", name, sum_bytes(pixels, sizeof(pixels)), lit, glGetError());
    fflush(stdout);
    glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT | GL_STENCIL_BUFFER_BIT);
}

/* ---- OpenGL 1 -------------------------------------------------------------------------------- */

static void
immediate(void)
{
    static const GLfloat red[3] = {1, 0, 0};
    static const GLdouble corner[2] = {0.5, 0.5};

    glBegin(GL_TRIANGLES);
    glColor3fv(red);
    glVertex2f(-0.5f, -0.5f);
    glColor3ub(0, 255, 0);
    glVertex2i(0, -1);
    glColor4f(0, 0, 1, 1);
    glVertex2dv(corner);
    glEnd();
    glRectf(-0.9f, 0.5f, -0.2f, 0.9f);
    report("immediate");
}

static void
matrices_and_lights(void)
{
    static const GLfloat position[4] = {1, 1, 2, 0}, blue[4] = {0.2f, 0.3f, 0.9f, 1};
    static const GLdouble matrix[16] = {0.8, 0, 0, 0, 0, 0.8, 0, 0, 0, 0, 0.8, 0, 0, 0, 0, 1};
    GLfloat back[16] = {0};

    glPushAttrib(GL_ALL_ATTRIB_BITS);
    glMatrixMode(GL_MODELVIEW);
    glPushMatrix();
    glLoadMatrixd(matrix);
    glRotatef(30, 0, 0, 1);
    glTranslated(0.1, 0.1, 0);
    glEnable(GL_LIGHTING);
    glEnable(GL_LIGHT0);
    glLightfv(GL_LIGHT0, GL_POSITION, position);
    glMaterialfv(GL_FRONT_AND_BACK, GL_AMBIENT_AND_DIFFUSE, blue);
    glNormal3f(0.3f, 0.3f, 0.9f);
    glRectf(-0.5f, -0.5f, 0.5f, 0.5f);
    glGetFloatv(GL_MODELVIEW_MATRIX, back);
    printf("modelview %.4f %.4f %.4f\n", (double)back[0], (double)back[1], (double)back[12]);
    glGetLightfv(GL_LIGHT0, GL_POSITION, back);
    printf("light %.3f %.3f %.3f %.3f\n", (double)back[0], (double)back[1], (double)back[2], (double)back[3]);
    glPopMatrix();
    glPopAttrib();
    report("matrices and lights");
}

static void
lists(void)
{
    static const GLubyte letters[] = {'a', 'b'};
    GLuint base = glGenLists(4), names[2] = {base + 2, base + 3};

    for (GLuint i = 0; i < 4; i++) {
        glNewList(base + i, GL_COMPILE);
        glColor3f(0.25f * (float)(i + 1), 0.5f, 1 - 0.2f * (float)i);
        glRectf(-0.9f + 0.4f * (float)i, -0.5f, -0.6f + 0.4f * (float)i, 0.5f);
        glEndList();
    }
    glListBase(base - 'a');
    glCallLists(2, GL_UNSIGNED_BYTE, letters);
    glListBase(0);
    glCallLists(2, GL_UNSIGNED_INT, names);
    printf("lists: %d %d %d\n", glIsList(base), glIsList(base + 3), glIsList(base + 4));
    report("lists");
    glDeleteLists(base, 4);
    glCallList(base);
    printf("deleted: %d\n", glIsList(base));
    report("deleted lists");
}

static void
stipples(void)
{
    GLubyte pattern[128], back[128] = {0};
    static const GLubyte bitmap[] = {0xff, 0x81, 0xbd, 0xa5, 0xa5, 0xbd, 0x81, 0xff};

    for (int i = 0; i < 128; i++)
        pattern[i] = (GLubyte)(i * 37);
    glEnable(GL_POLYGON_STIPPLE);
    glPolygonStipple(pattern);
    glGetPolygonStipple(back);
    glRectf(-0.8f, -0.8f, 0.8f, 0.8f);
    glDisable(GL_POLYGON_STIPPLE);
    glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
    glRasterPos2f(-0.5f, 0.2f);
    glBitmap(8, 8, 0, 0, 10, 0, bitmap);
    glBitmap(8, 8, 0, 0, 10, 0, bitmap);
    glPixelStorei(GL_UNPACK_ALIGNMENT, 4);
    printf("stipple %08x\n", sum_bytes(back, sizeof(back)));
    report("stipples");
}

static void
evaluators(void)
{
    static const GLfloat points[4][4] = {
        {-0.9f, -0.9f, 0, 7}, {-0.5f, 0.9f, 0, 7}, {0.5f, -0.9f, 0, 7}, {0.9f, 0.9f, 0, 7}};
    GLdouble surface[2][2][3] = {{{-0.4, -0.4, 0}, {-0.4, 0.4, 0}}, {{0.4, -0.4, 0}, {0.4, 0.4, 0}}};

    glColor3f(1, 1, 0);
    glMap1f(GL_MAP1_VERTEX_3, 0, 1, 4, 4, &points[0][0]);
    glEnable(GL_MAP1_VERTEX_3);
    glMapGrid1f(20, 0, 1);
    glEvalMesh1(GL_LINE, 0, 20);
    glDisable(GL_MAP1_VERTEX_3);
    glMap2d(GL_MAP2_VERTEX_3, 0, 1, 6, 2, 0, 1, 3, 2, &surface[0][0][0]);
    glEnable(GL_MAP2_VERTEX_3);
    glMapGrid2f(4, 0, 1, 4, 0, 1);
    glEvalMesh2(GL_FILL, 0, 4, 0, 4);
    glDisable(GL_MAP2_VERTEX_3);
    report("evaluators");
}

static void
selection(void)
{
    GLuint hits[64] = {0};
    GLfloat record[64] = {0};
    GLint count;

    glSelectBuffer(64, hits);
    glRenderMode(GL_SELECT);
    glInitNames();
    glPushName(7);
    glRectf(-0.5f, -0.5f, 0.5f, 0.5f);
    glLoadName(9);
    glRectf(0, 0, 0.5f, 0.5f);
    count = glRenderMode(GL_RENDER);
    printf("selection: %d hits: %u %u\n", count, hits[3], hits[7]);
    glFeedbackBuffer(64, GL_2D, record);
    glRenderMode(GL_FEEDBACK);
    glBegin(GL_POINTS);
    glVertex2f(0, 0);
    glEnd();
    count = glRenderMode(GL_RENDER);
    printf("feedback: %d numbers: %.1f %.1f %.1f\n", count, (double)record[0], (double)record[1], (double)record[2]);
    report("selection");
}

/* ---- Arrays ---------------------------------------------------------------------------------- */

const struct vertex square[4] = {
    {-0.8f, -0.8f, {255, 0, 0, 255}, 0, 0},
    {0.8f, -0.8f, {0, 255, 0, 255}, 1, 0},
    {0.8f, 0.8f, {0, 0, 255, 255}, 1, 1},
    {-0.8f, 0.8f, {255, 255, 0, 255}, 0, 1},
};

void
point(const struct vertex *vertices)
{
    glEnableClientState(GL_VERTEX_ARRAY);
    glEnableClientState(GL_COLOR_ARRAY);
    glVertexPointer(2, GL_FLOAT, sizeof(struct vertex), &vertices->x);
    glColorPointer(4, GL_UNSIGNED_BYTE, sizeof(struct vertex), vertices->color);
}

static void
client_arrays(void)
{
    static const GLubyte bytes[] = {0, 1, 2};
    static const GLushort shorts[] = {0, 2, 3};
    static const GLuint words[] = {1, 2, 3};
    static struct vertex many[3000];
    static const GLint firsts[] = {0, 1};
    static const GLsizei counts[] = {3, 3};
    const void *pointers[] = {shorts, shorts};

    glPushClientAttrib(GL_CLIENT_ALL_ATTRIB_BITS);
    point(square);
    glDrawArrays(GL_QUADS, 0, 4);
    report("client arrays");
    glDrawElements(GL_TRIANGLES, 3, GL_UNSIGNED_BYTE, bytes);
    report("client indices, bytes");
    glDrawElements(GL_TRIANGLES, 3, GL_UNSIGNED_SHORT, shorts);
    report("client indices, shorts");
    glDrawRangeElements(GL_TRIANGLES, 1, 3, 3, GL_UNSIGNED_INT, words);
    report("client indices, a range");
    glMultiDrawArrays(GL_TRIANGLES, firsts, counts, 2);
    report("client arrays, many");
    glMultiDrawElements(GL_TRIANGLES, counts, GL_UNSIGNED_SHORT, pointers, 2);
    report("client indices, many");
    for (int i = 0; i < 3000; i++)
        many[i] = square[i % 4];
    point(many);
    for (int i = 0; i < 400; i++)
        glDrawArrays(GL_TRIANGLES, 2500 + i % 4, 3);
    report("client arrays, far from the start");
    glInterleavedArrays(GL_V2F, 0, (const GLfloat[]){-1, -1, 1, -1, 0, 1});
    glColor3f(0, 1, 1);
    glDrawArrays(GL_TRIANGLES, 0, 3);
    report("interleaved arrays");
    glPopClientAttrib();
}

static void
buffers(void)
{
    static const GLushort indices[] = {0, 1, 2, 0, 2, 3};
    GLuint names[2], list = glGenLists(1);
    struct vertex back[4] = {0};
    struct vertex *mapped;
    GLint bound = -1, size = -1;

    glGenBuffers(2, names);
    glBindBuffer(GL_ARRAY_BUFFER, names[0]);
    glBufferData(GL_ARRAY_BUFFER, sizeof(square), square, GL_STATIC_DRAW);
    glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, names[1]);
    glBufferData(GL_ELEMENT_ARRAY_BUFFER, sizeof(indices), indices, GL_STATIC_DRAW);
    point(NULL);
    glDrawElements(GL_TRIANGLES, 6, GL_UNSIGNED_SHORT, NULL);
    report("buffers");
    mapped = glMapBuffer(GL_ARRAY_BUFFER, GL_READ_WRITE);
    printf("mapped: %d, %.2f\n", mapped != NULL, mapped ? (double)mapped[2].x : -1);
    if (mapped)
        mapped[2].x = 0.1f;
    printf("unmapped: %d\n", glUnmapBuffer(GL_ARRAY_BUFFER));
    glDrawElements(GL_TRIANGLES, 6, GL_UNSIGNED_SHORT, NULL);
    report("a mapped buffer");
    mapped = glMapBufferRange(GL_ARRAY_BUFFER, sizeof(*mapped), 2 * sizeof(*mapped),
                              GL_MAP_WRITE_BIT | GL_MAP_FLUSH_EXPLICIT_BIT);
    if (mapped) {
        mapped[1].y = -0.2f;
        glFlushMappedBufferRange(GL_ARRAY_BUFFER, sizeof(*mapped), sizeof(*mapped));
    }
    glUnmapBuffer(GL_ARRAY_BUFFER);
    glGetBufferSubData(GL_ARRAY_BUFFER, 0, sizeof(back), back);
    glGetBufferParameteriv(GL_ARRAY_BUFFER, GL_BUFFER_SIZE, &size);
    glGetIntegerv(GL_ARRAY_BUFFER_BINDING, &bound);
    printf("buffer: %08x, %d bytes, bound: %d\n", sum_bytes(back, sizeof(back)), size, bound == (GLint)names[0]);
    glNewList(list, GL_COMPILE);
    glDrawElements(GL_TRIANGLES, 6, GL_UNSIGNED_SHORT, NULL);
    glEndList();
    glBindBuffer(GL_ARRAY_BUFFER, 0);
    point(square); /* vertices in memory, indices in a buffer */
    glDrawElements(GL_TRIANGLES, 6, GL_UNSIGNED_SHORT, NULL);
    report("client arrays, indices in a buffer");
    glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, 0);
    glDisableClientState(GL_VERTEX_ARRAY);
    glDisableClientState(GL_COLOR_ARRAY);
    glCallList(list);
    glDeleteLists(list, 1);
    printf("buffers: %d %d\n", glIsBuffer(names[0]), glIsBuffer(9999));
    glDeleteBuffers(2, names);
    printf("deleted: %d\n", glIsBuffer(names[0]));
    report("a list of a draw");
}

/* ---- Pixels ---------------------------------------------------------------------------------- */

static GLubyte image[64 * 64 * 4];

static void
textured(const char *name)
{
    glEnable(GL_TEXTURE_2D);
    glColor3f(1, 1, 1);
    glBegin(GL_QUADS);
    glTexCoord2f(0, 0);
    glVertex2f(-0.9f, -0.9f);
    glTexCoord2f(1, 0);
    glVertex2f(0.9f, -0.9f);
    glTexCoord2f(1, 1);
    glVertex2f(0.9f, 0.9f);
    glTexCoord2f(0, 1);
    glVertex2f(-0.9f, 0.9f);
    glEnd();
    glDisable(GL_TEXTURE_2D);
    report(name);
}

static void
textures(void)
{
    GLuint name, unpack;
    GLint width = -1, bound = -1;
    static GLubyte back[64 * 64 * 4];

    for (size_t i = 0; i < sizeof(image); i++)
        image[i] = (GLubyte)(i * 7 + i / 256 * 3);
    glGenTextures(1, &name);
    glBindTexture(GL_TEXTURE_2D, name);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, GL_NEAREST);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 64, 64, 0, GL_RGBA, GL_UNSIGNED_BYTE, image);
    textured("a texture");
    glPixelStorei(GL_UNPACK_ROW_LENGTH, 64);
    glPixelStorei(GL_UNPACK_SKIP_ROWS, 5);
    glPixelStorei(GL_UNPACK_SKIP_PIXELS, 3);
    glTexSubImage2D(GL_TEXTURE_2D, 0, 10, 20, 30, 31, GL_BGRA, GL_UNSIGNED_INT_8_8_8_8_REV, image);
    glPixelStorei(GL_UNPACK_ROW_LENGTH, 0);
    glPixelStorei(GL_UNPACK_SKIP_ROWS, 0);
    glPixelStorei(GL_UNPACK_SKIP_PIXELS, 0);
    textured("a part of a texture");
    glTexSubImage2D(GL_TEXTURE_2D, 0, 0, 0, 13, 9, GL_RGB, GL_UNSIGNED_BYTE, image);
    glTexSubImage2D(GL_TEXTURE_2D, 0, 20, 0, 13, 9, GL_RGB, GL_UNSIGNED_SHORT_5_6_5, image);
    glTexSubImage2D(GL_TEXTURE_2D, 0, 40, 0, 13, 9, GL_LUMINANCE, GL_FLOAT, image);
    textured("other formats");
    glGenBuffers(1, &unpack);
    glBindBuffer(GL_PIXEL_UNPACK_BUFFER, unpack);
    glBufferData(GL_PIXEL_UNPACK_BUFFER, sizeof(image), image, GL_STREAM_DRAW);
    glTexSubImage2D(GL_TEXTURE_2D, 0, 0, 32, 32, 32, GL_RGBA, GL_UNSIGNED_BYTE, (const void *)256);
    glTexSubImage2D(GL_TEXTURE_2D, 0, 0, 0, 64, 64, GL_RGBA, GL_UNSIGNED_BYTE, (const void *)65536);
    printf("beyond the buffer: %#x\n", glGetError());
    glBindBuffer(GL_PIXEL_UNPACK_BUFFER, 0);
    glDeleteBuffers(1, &unpack);
    textured("from a buffer");
    glGetTexImage(GL_TEXTURE_2D, 0, GL_RGBA, GL_UNSIGNED_BYTE, back);
    glGetTexLevelParameteriv(GL_TEXTURE_2D, 0, GL_TEXTURE_WIDTH, &width);
    glGetIntegerv(GL_TEXTURE_BINDING_2D, &bound);
    printf("read back: %08x, width %d, bound %d\n", sum_bytes(back, sizeof(back)), width, bound == (GLint)name);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 64, 64, 0, GL_RGBA, GL_UNSIGNED_SHORT_5_6_5, image);
    printf("a format that does not fit: %#x\n", glGetError());
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, -1, 64, 0, GL_RGBA, GL_UNSIGNED_BYTE, image);
    printf("a negative size: %#x\n", glGetError());
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 64, 64, 0, 0x1234, GL_UNSIGNED_BYTE, image);
    printf("no format: %#x\n", glGetError());
    glBindTexture(GL_TEXTURE_2D, 4711); /* the program's own name */
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 64, 64, 0, GL_RGBA, GL_UNSIGNED_BYTE, image);
    printf("textures: %d %d %d\n", glIsTexture(name), glIsTexture(4711), glIsTexture(4712));
    glBindTexture(GL_TEXTURE_2D, 0);
    glDeleteTextures(1, &name);
}

static void
large_textures(void)
{
    size_t side = 1024;
    GLubyte *pixels = malloc(side * side * 4);
    GLuint name;

    glGenTextures(1, &name);
    glBindTexture(GL_TEXTURE_2D, name);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_LINEAR);
    for (unsigned round = 0; round < 5; round++) {
        memset(pixels, (int)(40 * round + 10), side * side * 4);
        glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, (GLsizei)side, (GLsizei)side, 0, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
    }
    free(pixels);
    textured("large textures");
    glDeleteTextures(1, &name);
}

static void
pixels(void)
{
    static GLubyte packed[40 * 40 * 4];
    GLuint pack;

    glRasterPos2f(-0.9f, -0.9f);
    glPixelZoom(1.5f, 1.5f);
    glDrawPixels(64, 64, GL_RGBA, GL_UNSIGNED_BYTE, image);
    glPixelZoom(1, 1);
    memset(packed, 0xab, sizeof(packed));
    glPixelStorei(GL_PACK_ROW_LENGTH, 40);
    glPixelStorei(GL_PACK_SKIP_PIXELS, 2);
    glPixelStorei(GL_PACK_SKIP_ROWS, 3);
    glReadPixels(10, 10, 20, 20, GL_BGRA, GL_UNSIGNED_BYTE, packed);
    glPixelStorei(GL_PACK_ROW_LENGTH, 0);
    glPixelStorei(GL_PACK_SKIP_PIXELS, 0);
    glPixelStorei(GL_PACK_SKIP_ROWS, 0);
    printf("read with gaps: %08x\n", sum_bytes(packed, sizeof(packed)));
    glGenBuffers(1, &pack);
    glBindBuffer(GL_PIXEL_PACK_BUFFER, pack);
    glBufferData(GL_PIXEL_PACK_BUFFER, sizeof(packed), NULL, GL_STREAM_READ);
    glReadPixels(5, 5, 40, 40, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
    glGetBufferSubData(GL_PIXEL_PACK_BUFFER, 0, sizeof(packed), packed);
    glBindBuffer(GL_PIXEL_PACK_BUFFER, 0);
    glDeleteBuffers(1, &pack);
    printf("read to a buffer: %08x\n", sum_bytes(packed, sizeof(packed)));
    glRasterPos2f(0, 0);
    glCopyPixels(10, 10, 30, 30, GL_COLOR);
    report("pixels");
}

static void
questions(void)
{
    GLint four[4] = {-1, -1, -1, -1}, one = -1;
    GLboolean flags[4] = {9, 9, 9, 9};
    GLfloat color[4] = {0};

    glGetIntegerv(GL_VIEWPORT, four);
    printf("viewport: %d %d %d %d\n", four[0], four[1], four[2], four[3]);
    glGetIntegerv(GL_MAX_TEXTURE_SIZE, &one);
    printf("largest texture: %d\n", one);
    glGetBooleanv(GL_COLOR_WRITEMASK, flags);
    printf("mask: %d %d %d %d\n", flags[0], flags[1], flags[2], flags[3]);
    glColor4f(0.25f, 0.5f, 0.75f, 1);
    glGetFloatv(GL_CURRENT_COLOR, color);
    printf("colour: %.2f %.2f %.2f\n", (double)color[0], (double)color[1], (double)color[2]);
    glGetIntegerv(GL_DOUBLEBUFFER, &one);
    printf("two buffers: %d\n", one);
    glGetIntegerv(GL_DRAW_BUFFER, &one);
    printf("drawn to: %#x\n", one);
    one = 4711;
    glGetIntegerv(0x1234, &one);
    printf("nothing: %d, %#x\n", one, glGetError());
    printf("lit: %d, depth: %d\n", glIsEnabled(GL_LIGHTING), glIsEnabled(GL_DEPTH_TEST));
    printf("version: %s\n", (const char *)glGetString(GL_SHADING_LANGUAGE_VERSION));
    glBegin(GL_POINTS);
    glEnd();
    glEnd();
    printf("end: %#x\n", glGetError());
}

static void (*const scenes[])(void) = {
    immediate,     matrices_and_lights,
    lists,         stipples,
    evaluators,    selection,
    client_arrays, buffers,
    textures,      large_textures,
    pixels,        shaders,
    instances,     framebuffers,
    queries,       transform_feedback,
    persistent,    assembly,
    questions,
};

int
main(void)
{
    static int attributes[] = {
        GLX_RGBA, GLX_DOUBLEBUFFER, GLX_RED_SIZE, 8,   GLX_GREEN_SIZE, 8, GLX_BLUE_SIZE, 8, GLX_ALPHA_SIZE,
        8,        GLX_DEPTH_SIZE,   24,           None};
    Display *display = XOpenDisplay(NULL);
    XVisualInfo *visual = display ? glXChooseVisual(display, DefaultScreen(display), attributes) : NULL;
    XSetWindowAttributes values = {.border_pixel = 0};
    GLXContext context;
    Window window, root;

    if (!visual)
        return 2;
    root = RootWindow(display, visual->screen);
    values.colormap = XCreateColormap(display, root, visual->visual, AllocNone);
    window = XCreateWindow(display, root, 0, 0, SIDE, SIDE, 0, visual->depth, InputOutput, visual->visual,
                           CWBorderPixel | CWColormap, &values);
    XMapWindow(display, window);
    context = glXCreateContext(display, visual, NULL, True);
    if (!context || !glXMakeCurrent(display, window, context))
        return 3;
    glViewport(0, 0, SIDE, SIDE);
    glClearColor(0, 0, 0, 1);
    glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT);
    for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++)
        scenes[i]();
    glXMakeCurrent(display, None, NULL);
    glXDestroyContext(display, context);
    XCloseDisplay(display);
    return 0;
}
