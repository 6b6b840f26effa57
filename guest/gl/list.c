/* SPDX-License-Identifier: MIT */
/* Display lists, evaluators, selection and feedback. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gl_guest.h"

uint32_t
glGenLists(int32_t range)
{
    struct gl_context *gl = gl_current;

    if (!gl)
        return 0;
    if (range < 0) {
        gl_error_set(GL_INVALID_VALUE);
        return 0;
    }
    return range == 0 ? 0 : gl_names_gen_range(gl, GL_SPACE_LIST, (uint32_t)range);
}

uint8_t
glIsList(uint32_t list)
{
    struct gl_context *gl = gl_current;

    return gl && gl_names_taken(gl, GL_SPACE_LIST, list);
}

void
glNewList(uint32_t list, uint32_t mode)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    gl_names_use(gl, GL_SPACE_LIST, list);
    status = gl_new_list_on(&gl->client, gl->lane, list, mode);
    if (status != 0)
        gl_failed(gl, "glNewList", status);
}

void
glDeleteLists(uint32_t list, int32_t range)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    status = gl_delete_lists_on(&gl->client, gl->lane, list, range);
    if (status != 0)
        gl_failed(gl, "glDeleteLists", status);
    for (uint32_t i = 0; i < gl_count(range) && list + i < GL_NAMES_MAX; i++) {
        uint32_t name = list + i;

        gl_names_free(gl, GL_SPACE_LIST, 1, &name);
    }
}

void
glCallLists(int32_t n, uint32_t type, const void *lists)
{
    struct gl_context *gl = gl_current;
    size_t bytes = gl_list_bytes(type), portion;

    if (!gl)
        return;
    do {
        int status;

        portion = bytes == 0 ? 0 : 60000 / bytes;
        portion = gl_count(n) < portion ? gl_count(n) : portion;
        status = gl_call_lists_on(&gl->client, gl->lane, n < 0 ? n : (int32_t)portion, type, lists, portion * bytes);
        if (status != 0)
            gl_failed(gl, "glCallLists", status);
        n -= (int32_t)portion;
        lists = (const char *)lists + portion * bytes;
    } while (n > 0 && portion > 0);
}

/* ---- Evaluators ------------------------------------------------------------------------------ */

#define POINTS_BYTES 60000u

/* Points with their gaps taken out. NULL, with the error set: there are too many, or no such map. */
static void *
pack_points(uint32_t target, const void *points, size_t number, int32_t ustride, int32_t uorder, int32_t vstride,
            int32_t vorder, size_t *count)
{
    size_t values = gl_map_values(target), bytes = values * number, total;
    char *packed, *at;

    *count = 0;
    if (values == 0) {
        gl_error_set(GL_INVALID_ENUM);
        return NULL;
    }
    if (uorder < 1 || vorder < 1 || ustride < (int32_t)values || (vorder > 1 && vstride < (int32_t)values) ||
        gl_count(uorder) * gl_count(vorder) * bytes > POINTS_BYTES) {
        gl_error_set(GL_INVALID_VALUE);
        return NULL;
    }
    total = gl_count(uorder) * gl_count(vorder) * bytes;
    packed = at = malloc(total);
    if (!packed) {
        gl_error_set(GL_OUT_OF_MEMORY);
        return NULL;
    }
    for (int32_t u = 0; u < uorder; u++) {
        for (int32_t v = 0; v < vorder; v++, at += bytes) {
            int64_t from = (int64_t)u * ustride + (int64_t)v * vstride;

            memcpy(at, (const char *)points + from * (int64_t)number, bytes);
        }
    }
    *count = total / number;
    return packed;
}

static void
sent(struct gl_context *gl, void *packed, int status)
{
    free(packed);
    if (status != 0)
        gl_failed(gl, "glMap", status);
}

void
glMap1f(uint32_t target, float u1, float u2, int32_t stride, int32_t order, const float *points)
{
    struct gl_context *gl = gl_current;
    size_t count;
    float *packed = gl ? pack_points(target, points, sizeof(*points), stride, order, 0, 1, &count) : NULL;

    if (packed)
        sent(gl, packed, gl_map1f_on(&gl->client, gl->lane, target, u1, u2, order, packed, count));
}

void
glMap1d(uint32_t target, double u1, double u2, int32_t stride, int32_t order, const double *points)
{
    struct gl_context *gl = gl_current;
    size_t count;
    double *packed = gl ? pack_points(target, points, sizeof(*points), stride, order, 0, 1, &count) : NULL;

    if (packed)
        sent(gl, packed, gl_map1d_on(&gl->client, gl->lane, target, u1, u2, order, packed, count));
}

void
glMap2f(uint32_t target, float u1, float u2, int32_t ustride, int32_t uorder, float v1, float v2, int32_t vstride,
        int32_t vorder, const float *points)
{
    struct gl_context *gl = gl_current;
    size_t count;
    float *packed = gl ? pack_points(target, points, sizeof(*points), ustride, uorder, vstride, vorder, &count) : NULL;

    if (packed)
        sent(gl, packed, gl_map2f_on(&gl->client, gl->lane, target, u1, u2, uorder, v1, v2, vorder, packed, count));
}

void
glMap2d(uint32_t target, double u1, double u2, int32_t ustride, int32_t uorder, double v1, double v2, int32_t vstride,
        int32_t vorder, const double *points)
{
    struct gl_context *gl = gl_current;
    size_t count;
    double *packed = gl ? pack_points(target, points, sizeof(*points), ustride, uorder, vstride, vorder, &count) : NULL;

    if (packed)
        sent(gl, packed, gl_map2d_on(&gl->client, gl->lane, target, u1, u2, uorder, v1, v2, vorder, packed, count));
}

/* ---- Selection and feedback ------------------------------------------------------------------ */

void
glFeedbackBuffer(int32_t size, uint32_t type, float *buffer)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    if (size >= 0 && gl->state->render_mode != GL_FEEDBACK) {
        gl->state->feedback = buffer;
        gl->state->feedback_size = size;
    }
    status = gl_feedback_buffer_on(&gl->client, gl->lane, size, type);
    if (status != 0)
        gl_failed(gl, "glFeedbackBuffer", status);
}

void
glSelectBuffer(int32_t size, uint32_t *buffer)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    if (size >= 0 && gl->state->render_mode != GL_SELECT) {
        gl->state->selection = buffer;
        gl->state->selection_size = size;
    }
    status = gl_select_buffer_on(&gl->client, gl->lane, size);
    if (status != 0)
        gl_failed(gl, "glSelectBuffer", status);
}

int32_t
glRenderMode(uint32_t mode)
{
    struct gl_context *gl = gl_current;
    struct gpuvchan_reference reference;
    struct gl_state *state;
    size_t bytes = 0;
    int32_t value = 0;
    void *to = NULL, *memory;
    int status;

    if (!gl)
        return 0;
    state = gl->state;
    if (state->render_mode == GL_FEEDBACK) {
        to = state->feedback;
        bytes = gl_count(state->feedback_size) * 4;
    } else if (state->render_mode == GL_SELECT) {
        to = state->selection;
        bytes = gl_count(state->selection_size) * 4;
    }
    memory = gl_pool_take(gl, bytes, &reference);
    if (!memory)
        return 0;
    if (to)
        memcpy(memory, to, bytes);
    status = gl_render_mode_on(&gl->client, gl->lane, mode, &value, reference);
    if (status != 0) {
        gl_failed(gl, "glRenderMode", status);
        return 0;
    }
    if (to)
        memcpy(to, memory, bytes);
    if (mode == GL_RENDER || mode == GL_FEEDBACK || mode == GL_SELECT)
        state->render_mode = mode;
    return value;
}

uint8_t
glAreTexturesResident(int32_t n, const uint32_t *textures, uint8_t *residences)
{
    (void)n;
    (void)textures;
    (void)residences; /* not written if all are */
    return gl_current != NULL;
}
