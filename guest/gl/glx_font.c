/* SPDX-License-Identifier: MIT */
/*
 * glXUseXFont(): display lists of an X font's letters.
 *
 * Design notes: each letter is drawn on a pixmap of one bit by the X server and fetched; its list has it as a bitmap.
 */
#include <stdlib.h>

#include "glx.h"

#include <GL/gl.h>

struct font_gl {
    void (*NewList)(GLuint, GLenum);
    void (*EndList)(void);
    void (*Bitmap)(GLsizei, GLsizei, GLfloat, GLfloat, GLfloat, GLfloat, const GLubyte *);
    void (*PushClientAttrib)(GLbitfield);
    void (*PopClientAttrib)(void);
    void (*PixelStorei)(GLenum, GLint);
};

static bool
load(struct font_gl *gl)
{
#define LOAD(name) (gl->name = (__typeof__(gl->name))gpuvchan_gl_lookup("gl" #name))
    return LOAD(NewList) && LOAD(EndList) && LOAD(Bitmap) && LOAD(PushClientAttrib) && LOAD(PopClientAttrib) &&
           LOAD(PixelStorei);
#undef LOAD
}

static const XCharStruct *
metrics_of(const XFontStruct *font, unsigned letter)
{
    unsigned byte1 = letter >> 8, byte2 = letter & 0xff;
    unsigned columns = font->max_char_or_byte2 - font->min_char_or_byte2 + 1;

    if (byte1 < font->min_byte1 || byte1 > font->max_byte1 || byte2 < font->min_char_or_byte2 ||
        byte2 > font->max_char_or_byte2)
        return NULL;
    if (!font->per_char)
        return &font->min_bounds;
    return &font->per_char[(byte1 - font->min_byte1) * columns + byte2 - font->min_char_or_byte2];
}

/* The letter's bits, bottom row first, rows of whole bytes; to be freed. */
static GLubyte *
bits_of(Display *dpy, Pixmap pixmap, GC gc, unsigned letter, const XCharStruct *metrics, unsigned width,
        unsigned height)
{
    XChar2b text = {.byte1 = (unsigned char)(letter >> 8), .byte2 = (unsigned char)letter};
    unsigned row = (width + 7) / 8;
    GLubyte *bits = calloc(height, row);
    XImage *image;

    XSetForeground(dpy, gc, 0);
    XFillRectangle(dpy, pixmap, gc, 0, 0, width, height);
    XSetForeground(dpy, gc, 1);
    XDrawString16(dpy, pixmap, gc, -metrics->lbearing, metrics->ascent, &text, 1);
    image = XGetImage(dpy, pixmap, 0, 0, width, height, 1, XYPixmap);
    for (unsigned y = 0; bits && image && y < height; y++)
        for (unsigned x = 0; x < width; x++)
            if (XGetPixel(image, (int)x, (int)y))
                bits[(height - 1 - y) * row + x / 8] |= (GLubyte)(0x80 >> x % 8);
    if (image)
        XDestroyImage(image);
    return bits;
}

static void
define(const struct font_gl *gl, Display *dpy, Font font, unsigned letter, const XCharStruct *metrics)
{
    int width = metrics->rbearing - metrics->lbearing, height = metrics->ascent + metrics->descent;
    Pixmap pixmap;
    GLubyte *bits;
    GC gc;

    if (width <= 0 || height <= 0) {
        gl->Bitmap(0, 0, 0, 0, metrics->width, 0, NULL);
        return;
    }
    pixmap = XCreatePixmap(dpy, DefaultRootWindow(dpy), (unsigned)width, (unsigned)height, 1);
    gc = XCreateGC(dpy, pixmap, GCFont, &(XGCValues){.font = font});
    bits = bits_of(dpy, pixmap, gc, letter, metrics, (unsigned)width, (unsigned)height);
    if (bits)
        gl->Bitmap(width, height, (GLfloat)-metrics->lbearing, (GLfloat)metrics->descent, (GLfloat)metrics->width, 0,
                   bits);
    free(bits);
    XFreeGC(dpy, gc);
    XFreePixmap(dpy, pixmap);
}

void
glx_font_lists(Display *dpy, Font font, int first, int count, int base)
{
    XFontStruct *info = XQueryFont(dpy, font);
    struct font_gl gl;

    if (!info || !load(&gl)) {
        glx_error(dpy, BadFont, font, 12, true);
        return;
    }
    gl.PushClientAttrib(GL_CLIENT_PIXEL_STORE_BIT);
    gl.PixelStorei(GL_UNPACK_SWAP_BYTES, GL_FALSE);
    gl.PixelStorei(GL_UNPACK_LSB_FIRST, GL_FALSE);
    gl.PixelStorei(GL_UNPACK_ROW_LENGTH, 0);
    gl.PixelStorei(GL_UNPACK_SKIP_ROWS, 0);
    gl.PixelStorei(GL_UNPACK_SKIP_PIXELS, 0);
    gl.PixelStorei(GL_UNPACK_ALIGNMENT, 1);
    for (int i = 0; i < count; i++) {
        const XCharStruct *metrics = metrics_of(info, (unsigned)(first + i));

        gl.NewList((GLuint)(base + i), GL_COMPILE);
        if (metrics)
            define(&gl, dpy, font, (unsigned)(first + i), metrics);
        gl.EndList();
    }
    gl.PopClientAttrib();
    XFreeFontInfo(NULL, info, 1);
}
