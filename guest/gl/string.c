/* SPDX-License-Identifier: MIT */
/* Strings, extensions, and the table of functions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gl_guest.h"

#include "gl-extensions.h"
#include "gl-lookup.h"

static int
compare_lookup(const void *name, const void *entry)
{
    return strcmp(name, ((const struct lookup *)entry)->name);
}

void *
gl_lookup(const char *name)
{
    const struct lookup *found =
        bsearch(name, lookups, sizeof(lookups) / sizeof(lookups[0]), sizeof(lookups[0]), compare_lookup);

    return found ? (void *)(uintptr_t)found->function : NULL;
}

static int
compare_extension(const void *name, const void *entry)
{
    return strcmp(name, *(const char *const *)entry);
}

bool
gl_extension_supported(const char *name, enum gl_api api)
{
    (void)api;
    return bsearch(name, served_extensions, sizeof(served_extensions) / sizeof(served_extensions[0]),
                   sizeof(served_extensions[0]), compare_extension) != NULL;
}

static char *
ask(struct gl_context *gl, uint32_t name)
{
    char text[GL_STRINGS_TEXT_MAX + 1] = "";
    int status = gl_strings_on(&gl->client, gl->lane, name, text, sizeof(text));

    if (status != 0) {
        gl_failed(gl, "glGetString", status);
        return NULL;
    }
    return strdup(text);
}

/* Those that the host has and we serve. */
static bool
read_extensions(struct gl_context *gl)
{
    struct gl_state *state = gl->state;
    char *all, *word, *rest, *at;
    size_t bytes;

    if (state->extensions)
        return true;
    all = ask(gl, 0);
    if (!all)
        return false;
    bytes = strlen(all) + 2;
    state->extensions = at = malloc(2 * bytes); /* with blanks, and then with NULs */
    state->extension_names = calloc(bytes / 2, sizeof(*state->extension_names));
    if (!at || !state->extension_names) {
        free(state->extensions);
        free(state->extension_names);
        state->extensions = NULL;
        state->extension_names = NULL;
        free(all);
        return false;
    }
    *at = '\0';
    for (word = strtok_r(all, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        if (gl_extension_supported(word, gl->api))
            at = stpcpy(stpcpy(at, word), " ");
    free(all);
    word = memcpy(state->extensions + bytes, state->extensions, bytes);
    for (word = strtok_r(word, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        state->extension_names[state->extension_count++] = word;
    return true;
}

static const uint8_t *
string(struct gl_context *gl, unsigned which, uint32_t name)
{
    char **at = &gl->state->strings[which];

    if (!*at)
        *at = ask(gl, name);
    return (const uint8_t *)*at;
}

/* The driver's, so that a bug report tells both. */
static const uint8_t *
renderer(struct gl_context *gl)
{
    char **at = &gl->state->strings[1];

    if (!*at && asprintf(at, "gpuvchan (%s)", gl_info()->renderer) < 0)
        *at = NULL;
    return (const uint8_t *)*at;
}

const uint8_t *
glGetString(uint32_t name)
{
    struct gl_context *gl = gl_current;

    if (!gl)
        return NULL;
    switch (name) {
    case GL_VENDOR:
        return (const uint8_t *)"gpuvchan";
    case GL_RENDERER:
        return renderer(gl);
    case GL_VERSION:
        return string(gl, 2, name);
    case GL_SHADING_LANGUAGE_VERSION:
        return string(gl, 3, name);
    case GL_PROGRAM_ERROR_STRING_ARB:
        free(gl->state->strings[4]);
        gl->state->strings[4] = NULL;
        return string(gl, 4, name);
    case GL_EXTENSIONS:
        if (gl->api != GL_API_CORE)
            return read_extensions(gl) ? (const uint8_t *)gl->state->extensions : NULL;
        break;
    default:
        break;
    }
    gl_error_set(GL_INVALID_ENUM);
    return NULL;
}

const uint8_t *
glGetStringi(uint32_t name, uint32_t index_)
{
    struct gl_context *gl = gl_current;

    if (!gl)
        return NULL;
    if (name != GL_EXTENSIONS) {
        gl_error_set(GL_INVALID_ENUM);
        return NULL;
    }
    if (!read_extensions(gl) || index_ >= (uint32_t)gl->state->extension_count) {
        gl_error_set(GL_INVALID_VALUE);
        return NULL;
    }
    return (const uint8_t *)gl->state->extension_names[index_];
}

/* ---- Numbers that are not the driver's ------------------------------------------------------- */

/* @return whether the guest answers that. */
static bool
answer(struct gl_context *gl, uint32_t pname, int64_t *value)
{
    switch (pname) {
    case GL_NUM_EXTENSIONS:
        *value = read_extensions(gl) ? gl->state->extension_count : 0;
        return true;
    case GL_DOUBLEBUFFER:
        *value = gl->double_buffered;
        return gl->api == GL_API_COMPAT || gl->api == GL_API_CORE;
    case GL_CONTEXT_FLAGS: /* the host's has what the program has not asked for */
        *value = (gl->flags & GL_FLAG_FORWARD ? GL_CONTEXT_FLAG_FORWARD_COMPATIBLE_BIT : 0) |
                 (gl->flags & GL_FLAG_DEBUG ? GL_CONTEXT_FLAG_DEBUG_BIT : 0) |
                 (gl->flags & GL_FLAG_ROBUST ? GL_CONTEXT_FLAG_ROBUST_ACCESS_BIT : 0) |
                 (gl->flags & GL_FLAG_NO_ERROR ? GL_CONTEXT_FLAG_NO_ERROR_BIT : 0);
        return gl->api == GL_API_COMPAT || gl->api == GL_API_CORE;
    case GL_FEEDBACK_BUFFER_SIZE:
        *value = gl->state->feedback_size;
        return gl->api == GL_API_COMPAT;
    case GL_SELECTION_BUFFER_SIZE:
        *value = gl->state->selection_size;
        return gl->api == GL_API_COMPAT;
    default:
        return false;
    }
}

/*
 * The host draws to a surface with one buffer, which stands for the back one: what the driver calls the front is the
 * back, unless the program has named the front itself.
 */
static bool
is_back(const struct gl_context *gl, uint32_t pname)
{
    if (!gl->double_buffered)
        return false;
    return pname == GL_READ_BUFFER ? !gl->state->reads_front
                                   : (pname == GL_DRAW_BUFFER || pname == GL_DRAW_BUFFER0) && !gl->state->draws_front;
}

#define GET(Name, entry, type, convert)                                        \
    void Name(uint32_t pname, type *data)                                      \
    {                                                                          \
        struct gl_context *gl = gl_current;                                    \
        size_t count = GL_##entry##_DATA_MAX;                                  \
        int64_t value;                                                         \
        int status;                                                            \
                                                                               \
        if (!gl)                                                               \
            return;                                                            \
        if (answer(gl, pname, &value)) {                                       \
            *data = (type)(convert);                                           \
            return;                                                            \
        }                                                                      \
        status = GET_STUB_##entry(&gl->client, gl->lane, pname, data, &count); \
        if (status != 0)                                                       \
            gl_failed(gl, #Name, status);                                      \
        else if (is_back(gl, pname) && *data == (type)GL_FRONT)                \
            *data = (type)GL_BACK;                                             \
    }
#define GET_STUB_GET_INTEGERV gl_get_integerv_on
#define GET_STUB_GET_FLOATV gl_get_floatv_on
#define GET_STUB_GET_DOUBLEV gl_get_doublev_on
#define GET_STUB_GET_BOOLEANV gl_get_booleanv_on
#define GET_STUB_GET_INTEGER64V gl_get_integer64v_on

GET(glGetIntegerv, GET_INTEGERV, int32_t, value)
GET(glGetFloatv, GET_FLOATV, float, value)
GET(glGetDoublev, GET_DOUBLEV, double, value)
GET(glGetBooleanv, GET_BOOLEANV, uint8_t, value != 0)
GET(glGetInteger64v, GET_INTEGER64V, int64_t, value)

static bool
is_front(uint32_t buffer)
{
    return buffer == GL_FRONT || buffer == GL_FRONT_LEFT || buffer == GL_FRONT_RIGHT || buffer == GL_FRONT_AND_BACK ||
           buffer == GL_LEFT || buffer == GL_RIGHT;
}

void
glDrawBuffer(uint32_t buf)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    gl->state->draws_front = is_front(buf);
    status = gl_draw_buffer_on(&gl->client, gl->lane, buf);
    if (status != 0)
        gl_failed(gl, "glDrawBuffer", status);
}

void
glReadBuffer(uint32_t src)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    gl->state->reads_front = is_front(src);
    status = gl_read_buffer_on(&gl->client, gl->lane, src);
    if (status != 0)
        gl_failed(gl, "glReadBuffer", status);
}
