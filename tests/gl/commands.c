/* SPDX-License-Identifier: MIT */
/*
 * Draws and asks with all kinds of commands, and prints a line for each: a sum of the picture, numbers, errors. The same
 * program says the same natively and forwarded.
 */
#define GL_GLEXT_PROTOTYPES
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <GL/gl.h>
#include <GL/glext.h>
#include <GL/glx.h>
#include <X11/Xlib.h>

#define SIDE 128

static uint32_t
sum_bytes(const void *data, size_t bytes)
{
    const unsigned char *at = data;
    uint32_t sum = 2166136261u;

    for (size_t i = 0; i < bytes; i++)
        sum = (sum ^ at[i]) * 16777619u;
    return sum;
}

static void
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
    static const GLfloat points[4][4] = {{-0.9f, -0.9f, 0, 7}, {-0.5f, 0.9f, 0, 7}, {0.5f, -0.9f, 0, 7}, {0.9f, 0.9f, 0, 7}};
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

struct vertex {
    GLfloat x, y;
    GLubyte color[4];
    GLfloat s, t;
};

static const struct vertex square[] = {
    {-0.8f, -0.8f, {255, 0, 0, 255}, 0, 0},
    {0.8f, -0.8f, {0, 255, 0, 255}, 1, 0},
    {0.8f, 0.8f, {0, 0, 255, 255}, 1, 1},
    {-0.8f, 0.8f, {255, 255, 0, 255}, 0, 1},
};

static void
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

/* ---- Shaders --------------------------------------------------------------------------------- */

static GLuint
shader(GLenum type, const char *first, const char *second)
{
    const char *strings[] = {first, second};
    GLuint name = glCreateShader(type);
    GLint good = 0;

    glShaderSource(name, 2, strings, NULL);
    glCompileShader(name);
    glGetShaderiv(name, GL_COMPILE_STATUS, &good);
    if (!good) {
        char log[1000] = "";
        GLsizei length = -1;

        glGetShaderInfoLog(name, sizeof(log), &length, log);
        printf("does not compile, log of %d: %s", length, log);
    }
    return name;
}

static GLuint
program(const char *vertex, const char *fragment)
{
    GLuint name = glCreateProgram(), first, second;
    GLint linked = 0, attached = -1;

    first = shader(GL_VERTEX_SHADER, "#version 130\n", vertex);
    second = shader(GL_FRAGMENT_SHADER, "#version 130\n", fragment);
    glAttachShader(name, first);
    glAttachShader(name, second);
    glBindAttribLocation(name, 0, "position");
    glDeleteShader(first);
    glLinkProgram(name);
    glGetProgramiv(name, GL_LINK_STATUS, &linked);
    glGetProgramiv(name, GL_ATTACHED_SHADERS, &attached);
    glDetachShader(name, first);
    printf("program: linked %d, %d attached, shaders %d %d\n", linked, attached, glIsShader(first), glIsShader(second));
    glDeleteShader(second);
    return name;
}

static void
shaders(void)
{
    static const GLfloat colors[] = {1, 0.2f, 0.1f, 1, 0.1f, 1, 0.5f, 1};
    static const GLfloat corners[] = {-0.9f, -0.9f, 0.9f, -0.7f, 0, 0.9f};
    GLuint name = program("in vec2 position; uniform mat4 turn; void main() { gl_Position = turn * vec4(position, 0, 1); }",
                          "uniform vec4 colors[2]; uniform int which; out vec4 color;"
                          " void main() { color = colors[which] * 0.5 + colors[1] * 0.5; }");
    GLint count = -1, location, size = -1, current = -1;
    GLenum type = 0;
    GLfloat value[4] = {0};
    char text[64] = "untouched";
    GLsizei length = -1;
    GLuint arrays, buffer;

    glUseProgram(name);
    glGetIntegerv(GL_CURRENT_PROGRAM, &current);
    glGetProgramiv(name, GL_ACTIVE_UNIFORMS, &count);
    glGetActiveUniform(name, 0, sizeof(text), &length, &size, &type, text);
    printf("uniforms: %d, the first %s (%d), %d of %#x, current %d\n", count, text, length, size, type,
           current == (GLint)name);
    glGetActiveUniform(name, 99, sizeof(text), &length, &size, &type, text);
    printf("no uniform: %#x, %s\n", glGetError(), text);
    location = glGetUniformLocation(name, "colors");
    glUniform4fv(location, 2, colors);
    glGetUniformfv(name, location, value);
    printf("uniform: %d %.2f %.2f, none: %d\n", location >= 0, (double)value[0], (double)value[1],
           glGetUniformLocation(name, "nothing"));
    glUniform1i(glGetUniformLocation(name, "which"), 0);
    glUniformMatrix4fv(glGetUniformLocation(name, "turn"), 1, GL_FALSE,
                       (const GLfloat[]){0.8f, 0.3f, 0, 0, -0.3f, 0.8f, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1});
    glGenVertexArrays(1, &arrays);
    glBindVertexArray(arrays);
    glGenBuffers(1, &buffer);
    glBindBuffer(GL_ARRAY_BUFFER, buffer);
    glBufferData(GL_ARRAY_BUFFER, sizeof(corners), corners, GL_STATIC_DRAW);
    glEnableVertexAttribArray(0);
    glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, NULL);
    glDrawArrays(GL_TRIANGLES, 0, 3);
    report("a program");
    glBindBuffer(GL_ARRAY_BUFFER, 0);
    glBindVertexArray(0);
    glDeleteVertexArrays(1, &arrays);
    glDeleteBuffers(1, &buffer);
    glEnableVertexAttribArray(0);
    glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, corners);
    glDrawArrays(GL_TRIANGLES, 0, 3);
    glDisableVertexAttribArray(0);
    report("a program, client arrays");
    glDeleteProgram(name);
    printf("deleted, in use: %d\n", glIsProgram(name));
    glUseProgram(0);
    printf("deleted: %d\n", glIsProgram(name));
    shader(GL_FRAGMENT_SHADER, "#version 130\n", "void main() { nonsense }");
    printf("no shader: %u, %#x\n", glCreateShader(0x1234), glGetError());
    glUseProgram(12345);
    printf("no program: %#x\n", glGetError());
}

static void
instances(void)
{
    static const GLfloat corners[] = {-0.1f, -0.1f, 0.1f, -0.1f, 0, 0.1f}, places[] = {-0.5f, -0.5f, 0.5f, -0.5f, 0, 0.5f};
    static const GLushort indices[] = {0, 1, 2};
    GLuint name = program("in vec2 position; in vec2 place; void main() { gl_Position = vec4(position + place, 0, 1); }",
                          "out vec4 color; void main() { color = vec4(0.2, 1, 0.4, 1); }");
    GLuint at = (GLuint)glGetAttribLocation(name, "place");

    glUseProgram(name);
    glEnableVertexAttribArray(0);
    glEnableVertexAttribArray(at);
    glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, corners);
    glVertexAttribPointer(at, 2, GL_FLOAT, GL_FALSE, 0, places);
    glVertexAttribDivisor(at, 1);
    glDrawArraysInstanced(GL_TRIANGLES, 0, 3, 3);
    report("instances");
    glDrawElementsInstancedBaseVertex(GL_TRIANGLES, 3, GL_UNSIGNED_SHORT, indices, 2, 0);
    report("instances by indices");
    glVertexAttribDivisor(at, 0);
    glDisableVertexAttribArray(at);
    glDisableVertexAttribArray(0);
    glUseProgram(0);
    glDeleteProgram(name);
}

/* ---- Framebuffers, queries, feedback, sync --------------------------------------------------- */

static void
framebuffers(void)
{
    GLuint framebuffer, texture, depth;
    GLint attached = -1, type = -1;

    glGenFramebuffers(1, &framebuffer);
    glGenTextures(1, &texture);
    glGenRenderbuffers(1, &depth);
    glBindTexture(GL_TEXTURE_2D, texture);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 64, 64, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
    glBindRenderbuffer(GL_RENDERBUFFER, depth);
    glRenderbufferStorage(GL_RENDERBUFFER, GL_DEPTH_COMPONENT24, 64, 64);
    glBindFramebuffer(GL_FRAMEBUFFER, framebuffer);
    glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, texture, 0);
    glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_DEPTH_ATTACHMENT, GL_RENDERBUFFER, depth);
    printf("framebuffer: %#x\n", glCheckFramebufferStatus(GL_FRAMEBUFFER));
    glGetFramebufferAttachmentParameteriv(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_FRAMEBUFFER_ATTACHMENT_OBJECT_NAME,
                                          &attached);
    glGetFramebufferAttachmentParameteriv(GL_FRAMEBUFFER, GL_DEPTH_ATTACHMENT, GL_FRAMEBUFFER_ATTACHMENT_OBJECT_TYPE,
                                          &type);
    printf("attached: %d %#x\n", attached == (GLint)texture, type);
    glViewport(0, 0, 64, 64);
    glClearColor(0.3f, 0.6f, 0.1f, 1);
    glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT);
    glColor3f(1, 0, 1);
    glRectf(-0.5f, -0.5f, 0.5f, 0.5f);
    glBindFramebuffer(GL_READ_FRAMEBUFFER, framebuffer);
    glBindFramebuffer(GL_DRAW_FRAMEBUFFER, 0);
    glBlitFramebuffer(0, 0, 64, 64, 10, 10, 100, 90, GL_COLOR_BUFFER_BIT, GL_NEAREST);
    glBindFramebuffer(GL_FRAMEBUFFER, 0);
    glViewport(0, 0, SIDE, SIDE);
    glClearColor(0, 0, 0, 1);
    report("a framebuffer");
    glDeleteFramebuffers(1, &framebuffer);
    glDeleteRenderbuffers(1, &depth);
    glDeleteTextures(1, &texture);
}

static void
queries(void)
{
    GLuint query, samples = 0, ready = 0;
    GLsync sync;
    GLint status = -1;
    GLsizei length = -1;

    glGenQueries(1, &query);
    glBeginQuery(GL_SAMPLES_PASSED, query);
    glRectf(-0.5f, -0.5f, 0.5f, 0.5f);
    glEndQuery(GL_SAMPLES_PASSED);
    glGetQueryObjectuiv(query, GL_QUERY_RESULT, &samples);
    glGetQueryObjectuiv(query, GL_QUERY_RESULT_AVAILABLE, &ready);
    printf("query: %u samples, ready %u, is one: %d\n", samples, ready, glIsQuery(query));
    glDeleteQueries(1, &query);
    sync = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
    printf("sync: %d\n", glIsSync(sync));
    printf("waited: %d\n", glClientWaitSync(sync, GL_SYNC_FLUSH_COMMANDS_BIT, 1000000000) != GL_WAIT_FAILED);
    glGetSynciv(sync, GL_SYNC_STATUS, 1, &length, &status);
    printf("status: %#x of %d\n", status, length);
    glDeleteSync(sync);
    report("queries");
}

static void
transform_feedback(void)
{
    static const char *const varyings[] = {"doubled"};
    static const GLfloat corners[] = {1, 2, 3, 4, 5, 6};
    GLfloat back[6] = {0};
    GLuint name = glCreateProgram(), buffer;
    GLuint vertex = shader(GL_VERTEX_SHADER, "#version 130\n",
                           "in vec2 position; out vec2 doubled; void main() { doubled = position * 2.0;"
                           " gl_Position = vec4(position, 0, 1); }");

    glAttachShader(name, vertex);
    glBindAttribLocation(name, 0, "position");
    glTransformFeedbackVaryings(name, 1, varyings, GL_INTERLEAVED_ATTRIBS);
    glLinkProgram(name);
    glGenBuffers(1, &buffer);
    glBindBufferBase(GL_TRANSFORM_FEEDBACK_BUFFER, 0, buffer);
    glBufferData(GL_TRANSFORM_FEEDBACK_BUFFER, sizeof(back), NULL, GL_STREAM_READ);
    glUseProgram(name);
    glEnable(GL_RASTERIZER_DISCARD);
    glEnableVertexAttribArray(0);
    glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, corners);
    glBeginTransformFeedback(GL_POINTS);
    glDrawArrays(GL_POINTS, 0, 3);
    glEndTransformFeedback();
    glDisable(GL_RASTERIZER_DISCARD);
    glGetBufferSubData(GL_TRANSFORM_FEEDBACK_BUFFER, 0, sizeof(back), back);
    printf("feedback: %.1f %.1f %.1f\n", (double)back[0], (double)back[1], (double)back[5]);
    glDisableVertexAttribArray(0);
    glUseProgram(0);
    glDeleteProgram(name);
    glDeleteShader(vertex);
    glDeleteBuffers(1, &buffer);
    report("transform feedback");
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
    immediate, matrices_and_lights, lists,     stipples,     evaluators, selection,          client_arrays, buffers,
    textures,  large_textures,      pixels,    shaders,      instances,  framebuffers,       queries,
    transform_feedback,             questions,
};

int
main(void)
{
    static int attributes[] = {GLX_RGBA,         GLX_DOUBLEBUFFER, GLX_RED_SIZE,   8, GLX_GREEN_SIZE, 8,
                               GLX_BLUE_SIZE,    8,                GLX_ALPHA_SIZE, 8, GLX_DEPTH_SIZE, 24, None};
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
