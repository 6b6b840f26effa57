/* SPDX-License-Identifier: MIT */
/*
 * Pixels to and from the program's memory.
 *
 * Design notes: memory is copied as it lies, with the gaps that pixel storage makes, since the driver has the same
 * storage parameters. What comes back has the program's own bytes in the gaps, because they were sent along.
 */
#include <string.h>

#include "gl_guest.h"

/* ---- Storage parameters ---------------------------------------------------------------------- */

static int32_t *
store_field(struct gl_state *state, uint32_t pname)
{
    switch (pname) {
    case GL_PACK_ALIGNMENT:
        return &state->pack.alignment;
    case GL_PACK_ROW_LENGTH:
        return &state->pack.row_length;
    case GL_PACK_SKIP_ROWS:
        return &state->pack.skip_rows;
    case GL_PACK_SKIP_PIXELS:
        return &state->pack.skip_pixels;
    case GL_PACK_IMAGE_HEIGHT:
        return &state->pack.image_height;
    case GL_PACK_SKIP_IMAGES:
        return &state->pack.skip_images;
    case GL_UNPACK_ALIGNMENT:
        return &state->unpack.alignment;
    case GL_UNPACK_ROW_LENGTH:
        return &state->unpack.row_length;
    case GL_UNPACK_SKIP_ROWS:
        return &state->unpack.skip_rows;
    case GL_UNPACK_SKIP_PIXELS:
        return &state->unpack.skip_pixels;
    case GL_UNPACK_IMAGE_HEIGHT:
        return &state->unpack.image_height;
    case GL_UNPACK_SKIP_IMAGES:
        return &state->unpack.skip_images;
    default:
        return NULL;
    }
}

/* As the driver does, which says what is wrong with other values. */
static void
store(struct gl_state *state, uint32_t pname, int32_t param)
{
    int32_t *field = store_field(state, pname);
    bool alignment = pname == GL_PACK_ALIGNMENT || pname == GL_UNPACK_ALIGNMENT;

    if (field && (alignment ? param == 1 || param == 2 || param == 4 || param == 8 : param >= 0))
        *field = param;
}

void
glPixelStorei(uint32_t pname, int32_t param)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    store(gl->state, pname, param);
    status = gl_pixel_storei_on(&gl->client, gl->lane, pname, param);
    if (status != 0)
        gl_failed(gl, "glPixelStorei", status);
}

void
glPixelStoref(uint32_t pname, float param)
{
    glPixelStorei(pname, (int32_t)(param < 0 ? param - 0.5f : param + 0.5f));
}

/* ---- To the driver --------------------------------------------------------------------------- */

static bool
upload(struct gl_context *gl, struct gl_upload *upload, const void *data, uint64_t start, uint64_t end)
{
    char *memory;

    *upload = (struct gl_upload){.source = GL_SOURCE_NULL};
    if (!data)
        return true;
    memory = gl_pool_take(gl, end, &upload->memory);
    if (!memory)
        return false;
    upload->source = GL_SOURCE_ARENA;
    memcpy(memory + start, (const char *)data + start, end - start);
    return true;
}

static bool
from_buffer(struct gl_context *gl, struct gl_upload *upload, const void *data)
{
    if (gl->state->bound[GL_BOUND_PIXEL_UNPACK] == 0)
        return false;
    gl_maps_settle(gl);
    *upload = (struct gl_upload){.source = GL_SOURCE_BUFFER, .offset = (uintptr_t)data};
    return true;
}

bool
gl_upload_image(struct gl_context *gl, struct gl_upload *out, const void *pixels, unsigned dimensions, uint32_t format,
                uint32_t type, int32_t width, int32_t height, int32_t depth)
{
    struct gl_span span;

    if (from_buffer(gl, out, pixels))
        return true;
    /* With a format that is not known the driver is asked without pixels: it says what is wrong. */
    if (!gl_image_span(&gl->state->unpack, dimensions, format, type, width, height, depth, &span))
        span = (struct gl_span){0, 0};
    return upload(gl, out, pixels, span.start, span.end);
}

bool
gl_upload_stored(struct gl_context *gl, struct gl_upload *out, const void *data, int64_t bytes)
{
    return from_buffer(gl, out, data) || upload(gl, out, data, 0, gl_count(bytes));
}

bool
gl_upload_memory(struct gl_context *gl, struct gl_upload *out, const void *data, int64_t bytes)
{
    return upload(gl, out, data, 0, gl_count(bytes));
}

/* ---- Back ------------------------------------------------------------------------------------ */

static bool
download(struct gl_context *gl, struct gl_download *out, void *to, uint64_t bytes)
{
    out->bytes = to ? bytes : 0;
    out->to = to;
    out->from = gl_pool_take(gl, out->bytes, &out->memory);
    if (!out->from)
        return false;
    if (out->bytes != 0)
        memcpy(out->from, to, out->bytes);
    return true;
}

bool
gl_download_image(struct gl_context *gl, struct gl_download *out, void *pixels, unsigned dimensions, uint32_t format,
                  uint32_t type, int32_t width, int32_t height, int32_t depth)
{
    struct gl_span span;

    if (!gl_image_span(&gl->state->pack, dimensions, format, type, width, height, depth, &span))
        span = (struct gl_span){0, 0};
    return download(gl, out, pixels, span.end);
}

bool
gl_download_stored(struct gl_context *gl, struct gl_download *out, void *data, int64_t bytes)
{
    return download(gl, out, data, gl_count(bytes));
}

bool
gl_download_memory(struct gl_context *gl, struct gl_download *out, void *data, int64_t bytes)
{
    return download(gl, out, data, gl_count(bytes));
}

static bool
extent(struct gl_context *gl, uint32_t target, int32_t level, int32_t values[4])
{
    size_t count = 4;
    int status = gl_level_extent_on(&gl->client, gl->lane, target, level, values, &count);

    if (status != 0)
        gl_failed(gl, "an image's size", status);
    return status == 0 && count == 4;
}

bool
gl_download_level(struct gl_context *gl, struct gl_download *out, void *pixels, uint32_t target, int32_t level,
                  uint32_t format, uint32_t type)
{
    bool deep = target == GL_TEXTURE_3D || target == GL_TEXTURE_2D_ARRAY || target == GL_TEXTURE_CUBE_MAP_ARRAY;
    int32_t values[4] = {0};

    return extent(gl, target, level, values) && gl_download_image(gl, out, pixels, deep ? 3 : 2, format, type,
                                                                  values[0], values[1], values[2] > 0 ? values[2] : 1);
}

bool
gl_download_compressed(struct gl_context *gl, struct gl_download *out, void *data, uint32_t target, int32_t level)
{
    int32_t values[4] = {0};

    return extent(gl, target, level, values) && download(gl, out, data, gl_count(values[3]));
}

void
gl_download_end(struct gl_context *gl, struct gl_download *download, bool good)
{
    (void)gl;
    if (good && download->bytes != 0)
        gpuvchan_arena_read(download->to, download->from, download->bytes);
}

void
glReadPixels(int32_t x, int32_t y, int32_t width, int32_t height, uint32_t format, uint32_t type, void *pixels)
{
    struct gl_context *gl = gl_current;
    struct gl_download download;
    int status;

    if (!gl)
        return;
    if (gl_packs(gl)) {
        status = gl_read_pixels_offset_on(&gl->client, gl->lane, x, y, width, height, format, type,
                                          (uint64_t)(uintptr_t)pixels);
    } else {
        if (!gl_download_image(gl, &download, pixels, 2, format, type, width, height, 1))
            return;
        status = gl_read_pixels_on(&gl->client, gl->lane, x, y, width, height, format, type, download.memory);
        gl_download_end(gl, &download, status == 0);
    }
    if (status != 0)
        gl_failed(gl, "glReadPixels", status);
    gl_surface_flushed(gl);
}
