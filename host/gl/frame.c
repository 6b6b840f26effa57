/* SPDX-License-Identifier: MIT */
/*
 * A frame goes to the guest: what has been drawn is read straight into the arena, top row first.
 *
 * Design notes: it is read in the program's own context, whose bindings and pixel storage are put back. Where that
 * cannot be (ES has no turning round, and pixels may be changed on their way), it is read in a context of the lane's own,
 * which has the state that this needs and never another; but to change over Mesa copies the whole picture, twice. Where
 * the driver cannot turn it round as it reads, it is copied upside down to a renderbuffer first.
 *
 * The completion word is set in any case, also of a frame that could not be had: somebody waits for it.
 */
#include "frame.h"

#include <errno.h>
#include <string.h>

#include <GL/gl.h>
#include <GL/glext.h>

#include "gl-host.h"

#include "commands.h"

#define PACK_INVERT_MESA 0x8758

#define FRAME_FUNCTIONS(F)                                                          \
    F(void (*)(void), Finish)                                                       \
    F(void (*)(GLenum, GLint), PixelStorei)                                         \
    F(void (*)(GLint, GLint, GLsizei, GLsizei, GLenum, GLenum, void *), ReadPixels) \
    F(void (*)(GLenum), ReadBuffer)                                                 \
    F(PFNGLBINDBUFFERPROC, BindBuffer)                                              \
    F(PFNGLGENFRAMEBUFFERSPROC, GenFramebuffers)                                    \
    F(PFNGLBINDFRAMEBUFFERPROC, BindFramebuffer)                                    \
    F(PFNGLGENRENDERBUFFERSPROC, GenRenderbuffers)                                  \
    F(PFNGLBINDRENDERBUFFERPROC, BindRenderbuffer)                                  \
    F(PFNGLRENDERBUFFERSTORAGEPROC, RenderbufferStorage)                            \
    F(PFNGLFRAMEBUFFERRENDERBUFFERPROC, FramebufferRenderbuffer)                    \
    F(PFNGLBLITFRAMEBUFFERPROC, BlitFramebuffer)

static struct {
#define FRAME_FIELD(type, name) __typeof__(type) name;
    FRAME_FUNCTIONS(FRAME_FIELD)
#undef FRAME_FIELD
} gl;

static bool blit;

bool
gl_frame_load(bool always_blit)
{
    blit = always_blit;
#define FRAME_LOAD(type, name)                                                        \
    gl.name = (__typeof__(type))gl_host_function("gl" #name);                         \
    if (!gl.name) {                                                                   \
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "gl: this driver's OpenGL has no gl" #name); \
        return false;                                                                 \
    }
    FRAME_FUNCTIONS(FRAME_LOAD)
#undef FRAME_LOAD
    return true;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* The reader's context is current: what it needs besides what a new context has. */
static void
prepare(struct gl_lane *lane)
{
    if (!blit) {
        gl.PixelStorei(PACK_INVERT_MESA, GL_TRUE);
        return;
    }
    gl.GenFramebuffers(1, &lane->turned.framebuffer);
    gl.GenRenderbuffers(1, &lane->turned.renderbuffer);
    gl.BindRenderbuffer(GL_RENDERBUFFER, lane->turned.renderbuffer);
    gl.BindFramebuffer(GL_DRAW_FRAMEBUFFER, lane->turned.framebuffer);
    gl.FramebufferRenderbuffer(GL_DRAW_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_RENDERBUFFER, lane->turned.renderbuffer);
}

static void
turn(struct gl_lane *lane, GLint width, GLint height)
{
    if (lane->turned.width != width || lane->turned.height != height) {
        gl.RenderbufferStorage(GL_RENDERBUFFER, GL_RGBA8, width, height);
        lane->turned.width = width;
        lane->turned.height = height;
    }
    gl.BindFramebuffer(GL_READ_FRAMEBUFFER, 0);
    gl.BlitFramebuffer(0, 0, width, height, 0, height, width, 0, GL_COLOR_BUFFER_BIT, GL_NEAREST);
    gl.BindFramebuffer(GL_READ_FRAMEBUFFER, lane->turned.framebuffer);
}

static bool
enter(const struct gl_egl *egl, struct gl_lane *lane, EGLSurface surface)
{
    bool first = lane->frames == EGL_NO_CONTEXT;

    if (first)
        lane->frames = gl_egl_context(egl, GL_API_COMPAT, 1, 0, 0, EGL_NO_CONTEXT);
    if (lane->frames == EGL_NO_CONTEXT || !gl_egl_current(egl, surface, surface, lane->frames))
        return false;
    if (first)
        prepare(lane);
    return true;
}

/* May what is drawn be read in the context that is current? ES has no turning round. */
static bool
reads_here(const struct gl_lane *lane, const struct gl_surface_host *from)
{
    const struct gl_context_host *context = lane->current;

    return !blit && context && lane->read == from && (context->api == GL_API_COMPAT || context->api == GL_API_CORE) &&
           !context->commands.transfers;
}

/* Stores as a frame wants them, or (@p back) as the program has them. */
static void
set_stores(const struct gl_pixel_store *pack, bool swapped, bool back)
{
    gl.PixelStorei(PACK_INVERT_MESA, !back);
    if (swapped)
        gl.PixelStorei(GL_PACK_SWAP_BYTES, back);
    if (pack->alignment > 4)
        gl.PixelStorei(GL_PACK_ALIGNMENT, back ? pack->alignment : 4);
    if (pack->row_length != 0)
        gl.PixelStorei(GL_PACK_ROW_LENGTH, back ? pack->row_length : 0);
    if (pack->skip_rows != 0)
        gl.PixelStorei(GL_PACK_SKIP_ROWS, back ? pack->skip_rows : 0);
    if (pack->skip_pixels != 0)
        gl.PixelStorei(GL_PACK_SKIP_PIXELS, back ? pack->skip_pixels : 0);
}

static void
read_here(const struct gl_lane *lane, GLint width, GLint height, void *to)
{
    const struct gl_pixel_store *pack = gl_pack_store(lane->current);
    bool swapped = gl_get(GL_PACK_SWAP_BYTES) != 0;
    GLuint framebuffer = (GLuint)gl_get(GL_READ_FRAMEBUFFER_BINDING);
    GLuint buffer = (GLuint)gl_get(GL_PIXEL_PACK_BUFFER_BINDING);
    bool none;

    if (framebuffer != 0)
        gl.BindFramebuffer(GL_READ_FRAMEBUFFER, 0);
    if (buffer != 0)
        gl.BindBuffer(GL_PIXEL_PACK_BUFFER, 0);
    none = gl_get(GL_READ_BUFFER) == GL_NONE;
    if (none)
        gl.ReadBuffer(GL_BACK);
    set_stores(pack, swapped, false);
    gl.ReadPixels(0, 0, width, height, GL_BGRA, GL_UNSIGNED_BYTE, to);
    set_stores(pack, swapped, true);
    if (none)
        gl.ReadBuffer(GL_NONE);
    if (buffer != 0)
        gl.BindBuffer(GL_PIXEL_PACK_BUFFER, buffer);
    if (framebuffer != 0)
        gl.BindFramebuffer(GL_READ_FRAMEBUFFER, framebuffer);
}

static int
read_back(struct gl_lane *lane, const struct gl_surface_host *from, void *to)
{
    const struct gl_egl *egl = gl_egl_start();
    GLint width = (GLint)from->width, height = (GLint)from->height;

    if (reads_here(lane, from)) {
        read_here(lane, width, height, to);
        return 0;
    }
    /* Another context reads what this one has drawn. */
    if (lane->current)
        gl.Finish();
    if (!enter(egl, lane, from->native)) {
        gl_lane_make_current(lane);
        return GL_STATUS_NO_MEMORY;
    }
    if (blit)
        turn(lane, width, height);
    gl.ReadPixels(0, 0, width, height, GL_BGRA, GL_UNSIGNED_BYTE, to);
    gl_lane_make_current(lane);
    return 0;
}

/* ---- Entries --------------------------------------------------------------------------------- */

static void
signal_word(struct gl_host *host, _Atomic uint64_t *word, uint64_t number)
{
    gpuvchan_completion_signal(word, number);
    pthread_mutex_lock(&host->lock);
    if (host->waiting)
        pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
}

int
gl_host_frame(struct gpuvchan_request *request, gl_surface_object from, void *to, size_t to_bytes, uint32_t width,
              uint32_t height, uint32_t word, uint64_t number)
{
    _Atomic uint64_t *completion = gpuvchan_session_completion(request->session, word);
    struct gl_lane *lane = gl_lane_of(request);
    int status;

    if (!completion)
        return gpuvchan_request_corrupt(request, "frame: there is no completion word %u", word);
    if (to_bytes / 4 / (width ? width : 1) < height)
        return gpuvchan_request_corrupt(request, "frame: %zu bytes for %ux%u", to_bytes, width, height);
    if (from->width != width || from->height != height)
        status = GL_STATUS_BAD_MATCH; /* a resize that failed */
    else if (!gl_surface_is_ours(lane, from))
        status = GL_STATUS_BUSY;
    else
        status = read_back(lane, from, to);
    if (status != 0)
        memset(to, 0, (size_t)width * height * 4);
    signal_word(lane->host, completion, number);
    if (status != 0)
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "gl: a frame of %ux%u could not be had (status %d)", width, height, status);
    return 0; /* the guest cannot do anything about it, and its next call is about something else */
}

int
gl_host_frame_wait(struct gpuvchan_request *request, uint32_t word, uint64_t number)
{
    _Atomic uint64_t *completion = gpuvchan_session_completion(request->session, word);
    struct gl_host *host = gl_host_of(request);
    int status;

    if (!completion)
        return gpuvchan_request_corrupt(request, "frame_wait: there is no completion word %u", word);
    pthread_mutex_lock(&host->lock);
    host->waiting++;
    while (atomic_load(completion) < number && !host->interrupted)
        pthread_cond_wait(&host->changed, &host->lock);
    host->waiting--;
    status = atomic_load(completion) >= number ? 0 : -ESHUTDOWN;
    pthread_mutex_unlock(&host->lock);
    return status;
}
