/* SPDX-License-Identifier: MIT */
/* A context's state in the guest: its life, and errors. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gl_guest.h"

struct gl_state *
gl_state_create(struct gl_context *context)
{
    struct gl_state *state = calloc(1, sizeof(*state));

    if (!state)
        return NULL;
    state->names = gl_names_create();
    if (!state->names) {
        free(state);
        return NULL;
    }
    state->context = context;
    state->arrays = &state->arrays_default;
    state->pack.alignment = state->unpack.alignment = 4;
    state->render_mode = GL_RENDER;
    return state;
}

void
gl_state_destroy(struct gl_state *state)
{
    if (!state)
        return;
    gl_pool_destroy(state->pool);
    gl_table_finish(&state->arrays_table, free);
    gl_names_destroy(state->names);
    for (unsigned i = 0; i < sizeof(state->strings) / sizeof(state->strings[0]); i++)
        free(state->strings[i]);
    free(state->extensions);
    free(state->extension_names);
    free(state->client_stack);
    free(state);
}

/* ---- Errors ---------------------------------------------------------------------------------- */

void
gl_error_set(uint32_t error)
{
    struct gl_context *gl = gl_current;

    if (gl)
        (void)gl_raise_error_on(&gl->client, gl->lane, error);
}

void
gl_failed(struct gl_context *gl, const char *command, int status)
{
    if (gpuvchan_channel_error(gl->client.channel) != 0)
        return; /* that the host is gone has been said */
    if (status == -EINVAL) {
        gl_error_set(GL_INVALID_VALUE); /* a NULL where memory must be: others crash here */
        return;
    }
    gpuvchan_log(GPUVCHAN_LOG_WARNING, "gl: %s(): %s", command,
                 status == -E2BIG ? "more than a record can carry" : "the host could not take it");
    gl_error_set(GL_OUT_OF_MEMORY);
}

void
gl_unserved(const char *command, atomic_flag *said)
{
    if (!gl_current)
        return;
    if (!atomic_flag_test_and_set(said))
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "gl: %s() is not served yet; it does nothing", command);
    gl_error_set(GL_INVALID_OPERATION);
}

void
glFlush(void)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    gl_maps_settle(gl);
    status = gl_flush_on(&gl->client, gl->lane);
    if (status != 0)
        gl_failed(gl, "glFlush", status);
    gl_surface_flushed(gl);
}

void
glFinish(void)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    status = gl_finish_on(&gl->client, gl->lane);
    if (status == 0)
        status = gl_pool_wait_on(&gl->client, gl->lane); /* an answer behind it */
    if (status != 0)
        gl_failed(gl, "glFinish", status);
    if (gl->state->persistent_count != 0)
        gl_maps_fetch(gl);
    gl_surface_flushed(gl);
}

void
glViewport(int32_t x, int32_t y, int32_t width, int32_t height)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    gl_surface_viewport(gl, width, height);
    status = gl_viewport_on(&gl->client, gl->lane, x, y, width, height);
    if (status != 0)
        gl_failed(gl, "glViewport", status);
}

void
gl_state_current(struct gl_context *context, uint32_t width, uint32_t height)
{
    /* What is asked once is asked when the program does. */
    (void)context;
    (void)width;
    (void)height;
}

/* ---- Vectors --------------------------------------------------------------------------------- */

unsigned
gl_values(uint32_t pname)
{
    switch (pname) {
    case GL_AMBIENT:
    case GL_DIFFUSE:
    case GL_SPECULAR:
    case GL_EMISSION:
    case GL_AMBIENT_AND_DIFFUSE:
    case GL_POSITION:
    case GL_LIGHT_MODEL_AMBIENT:
    case GL_FOG_COLOR:
    case GL_TEXTURE_ENV_COLOR:
    case GL_TEXTURE_BORDER_COLOR:
    case GL_TEXTURE_SWIZZLE_RGBA:
    case GL_TEXTURE_CROP_RECT_OES:
    case GL_OBJECT_PLANE:
    case GL_EYE_PLANE:
    case GL_COLOR:
    case GL_PATCH_DEFAULT_OUTER_LEVEL:
        return 4;
    case GL_SPOT_DIRECTION:
    case GL_COLOR_INDEXES:
    case GL_POINT_DISTANCE_ATTENUATION:
        return 3;
    case GL_PATCH_DEFAULT_INNER_LEVEL:
        return 2;
    default:
        return 1;
    }
}
