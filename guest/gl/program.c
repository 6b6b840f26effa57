/* SPDX-License-Identifier: MIT */
/* Shaders and programs: what has strings by pointers, and texts of any length. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gl_guest.h"

enum text {
    TEXT_SHADER_LOG,
    TEXT_PROGRAM_LOG,
    TEXT_SHADER_SOURCE,
    TEXT_PROGRAM_ARB,
};

enum kind {
    KIND_PROGRAM,
    KIND_SHADER,
    KIND_ANY,
};

static bool
is_shader_type(uint32_t type)
{
    return type == GL_VERTEX_SHADER || type == GL_FRAGMENT_SHADER || type == GL_GEOMETRY_SHADER ||
           type == GL_TESS_CONTROL_SHADER || type == GL_TESS_EVALUATION_SHADER || type == GL_COMPUTE_SHADER;
}

uint32_t
glCreateShader(uint32_t type)
{
    struct gl_context *gl = gl_current;
    uint32_t shader;
    int status;

    if (!gl)
        return 0;
    if (!is_shader_type(type)) {
        gl_error_set(GL_INVALID_ENUM);
        return 0;
    }
    if (!gl_names_gen(gl, GL_SPACE_PROGRAM, 1, &shader))
        return 0;
    status = gl_create_shader_on(&gl->client, gl->lane, type, shader);
    if (status != 0)
        gl_failed(gl, "glCreateShader", status);
    return shader;
}

uint32_t
glCreateProgram(void)
{
    struct gl_context *gl = gl_current;
    uint32_t program;
    int status;

    if (!gl || !gl_names_gen(gl, GL_SPACE_PROGRAM, 1, &program))
        return 0;
    status = gl_create_program_on(&gl->client, gl->lane, program);
    if (status != 0)
        gl_failed(gl, "glCreateProgram", status);
    return program;
}

/* The name is not given again: where the object is used it lives on under it. */
static void delete (const char *command, uint32_t name, enum kind kind)
{
    struct gl_context *gl = gl_current;
    int status;

    if (!gl)
        return;
    status = gl_delete_program_on(&gl->client, gl->lane, name, kind);
    if (status != 0)
        gl_failed(gl, command, status);
}

void
glDeleteShader(uint32_t shader)
{
    delete ("glDeleteShader", shader, KIND_SHADER);
}

void
glDeleteProgram(uint32_t program)
{
    delete ("glDeleteProgram", program, KIND_PROGRAM);
}

void
glDeleteObjectARB(uint32_t obj)
{
    delete ("glDeleteObjectARB", obj, KIND_ANY);
}

/* ---- Strings --------------------------------------------------------------------------------- */

static size_t
string_bytes(const char *string, const int32_t *length, int32_t number)
{
    return length && length[number] >= 0 ? (size_t)length[number] : string ? strlen(string) : 0;
}

/* All strings one behind the other in the arena, and @p extra bytes of 0. */
static bool
join(struct gl_context *gl, int32_t count, const char *const *strings, const int32_t *lengths, size_t extra,
     struct gpuvchan_reference *reference)
{
    size_t total = extra;
    char *at;

    for (int32_t i = 0; i < count; i++)
        total += string_bytes(strings[i], lengths, i);
    at = gl_pool_take(gl, total, reference);
    if (!at)
        return false;
    reference->bytes = total;
    for (int32_t i = 0; i < count; i++) {
        size_t bytes = string_bytes(strings[i], lengths, i);

        if (bytes != 0)
            memcpy(at, strings[i], bytes);
        at += bytes;
    }
    memset(at, 0, extra);
    return true;
}

void
glShaderSource(uint32_t shader, int32_t count, const char *const *string_, const int32_t *length)
{
    struct gl_context *gl = gl_current;
    struct gpuvchan_reference text;
    int status;

    if (!gl)
        return;
    if (count < 0 || !string_) {
        gl_error_set(GL_INVALID_VALUE);
        return;
    }
    if (!join(gl, count, string_, length, 0, &text))
        return;
    status = gl_shader_source_on(&gl->client, gl->lane, shader, text);
    if (status != 0)
        gl_failed(gl, "glShaderSource", status);
}

uint32_t
glCreateShaderProgramv(uint32_t type, int32_t count, const char *const *strings)
{
    struct gl_context *gl = gl_current;
    struct gpuvchan_reference text;
    uint32_t program;
    int status;

    if (!gl)
        return 0;
    if (!is_shader_type(type) || count < 0) {
        gl_error_set(count < 0 ? GL_INVALID_VALUE : GL_INVALID_ENUM);
        return 0;
    }
    if (!join(gl, count, strings, NULL, 1, &text) || !gl_names_gen(gl, GL_SPACE_PROGRAM, 1, &program))
        return 0;
    status = gl_shader_program_on(&gl->client, gl->lane, type, program, text);
    if (status != 0)
        gl_failed(gl, "glCreateShaderProgramv", status);
    return program;
}

/* Names with their NULs, for the records that carry them so. */
static char *
pack_names(int32_t count, const char *const *names, size_t *bytes)
{
    char *packed, *at;

    *bytes = 0;
    for (int32_t i = 0; i < count; i++)
        *bytes += strlen(names[i]) + 1;
    packed = at = malloc(*bytes + 1);
    for (int32_t i = 0; packed && i < count; i++)
        at = stpcpy(at, names[i]) + 1;
    return packed;
}

void
glTransformFeedbackVaryings(uint32_t program, int32_t count, const char *const *varyings, uint32_t bufferMode)
{
    struct gl_context *gl = gl_current;
    size_t bytes;
    char *names;
    int status;

    if (!gl)
        return;
    names = pack_names(count, varyings, &bytes);
    status = names ? gl_feedback_varyings_on(&gl->client, gl->lane, program, count, bufferMode, names, bytes) : -ENOMEM;
    free(names);
    if (status != 0)
        gl_failed(gl, "glTransformFeedbackVaryings", status);
}

void
glGetUniformIndices(uint32_t program, int32_t uniformCount, const char *const *uniformNames, uint32_t *uniformIndices)
{
    struct gl_context *gl = gl_current;
    size_t bytes, filled = gl_count(uniformCount);
    char *names;
    int status;

    if (!gl)
        return;
    names = pack_names(uniformCount, uniformNames, &bytes);
    status = !names          ? -ENOMEM
             : filled > 1024 ? -E2BIG
                             : gl_uniform_indices_on(&gl->client, gl->lane, program, uniformCount, names, bytes,
                                                     uniformIndices, &filled);
    free(names);
    if (status != 0)
        gl_failed(gl, "glGetUniformIndices", status);
}

/* ---- Texts ----------------------------------------------------------------------------------- */

static void
get_text(const char *command, enum text what, uint32_t name, int32_t size, int32_t *length, char *text)
{
    struct gl_context *gl = gl_current;
    struct gpuvchan_reference reference;
    size_t count = 1;
    int32_t filled = 0;
    char *memory;
    int status;

    if (!gl)
        return;
    if (size < 0) {
        gl_error_set(GL_INVALID_VALUE);
        return;
    }
    memory = gl_pool_take(gl, (uint64_t)size, &reference);
    if (!memory)
        return;
    reference.bytes = (uint64_t)size;
    status = gl_program_text_on(&gl->client, gl->lane, what, name, reference, &filled, &count);
    if (status != 0)
        gl_failed(gl, command, status);
    if (status != 0 || count == 0 || filled >= size) {
        if (length && count != 0)
            *length = 0;
        if (size > 0 && text && count != 0)
            text[0] = '\0';
        return;
    }
    if (text) {
        memcpy(text, memory, (size_t)filled);
        text[filled] = '\0';
    }
    if (length)
        *length = filled;
}

void
glGetShaderInfoLog(uint32_t shader, int32_t bufSize, int32_t *length, char *infoLog)
{
    get_text("glGetShaderInfoLog", TEXT_SHADER_LOG, shader, bufSize, length, infoLog);
}

void
glGetProgramInfoLog(uint32_t program, int32_t bufSize, int32_t *length, char *infoLog)
{
    get_text("glGetProgramInfoLog", TEXT_PROGRAM_LOG, program, bufSize, length, infoLog);
}

void
glGetShaderSource(uint32_t shader, int32_t bufSize, int32_t *length, char *source)
{
    get_text("glGetShaderSource", TEXT_SHADER_SOURCE, shader, bufSize, length, source);
}

void
glGetProgramStringARB(uint32_t target, uint32_t pname, void *string_)
{
    struct gl_context *gl = gl_current;
    struct gpuvchan_reference reference;
    int32_t length = 0;
    size_t count = 1;
    void *memory;
    int status;

    if (!gl)
        return;
    if (pname != GL_PROGRAM_STRING_ARB) {
        gl_error_set(GL_INVALID_ENUM);
        return;
    }
    glGetProgramivARB(target, GL_PROGRAM_LENGTH_ARB, &length);
    memory = gl_pool_take(gl, gl_count(length), &reference);
    if (!memory)
        return;
    status = gl_program_text_on(&gl->client, gl->lane, TEXT_PROGRAM_ARB, target, reference, &length, &count);
    if (status != 0)
        gl_failed(gl, "glGetProgramStringARB", status);
    else if (count != 0)
        memcpy(string_, memory, gl_count(length) < reference.bytes ? gl_count(length) : reference.bytes);
}

/* ---- ARB_shader_objects ---------------------------------------------------------------------- */

uint32_t
glGetHandleARB(uint32_t pname)
{
    int32_t program = 0;

    if (pname == GL_PROGRAM_OBJECT_ARB)
        glGetIntegerv(GL_CURRENT_PROGRAM, &program);
    else
        gl_error_set(GL_INVALID_ENUM);
    return (uint32_t)program;
}

void
glGetInfoLogARB(uint32_t obj, int32_t maxLength, int32_t *length, char *infoLog)
{
    if (glIsShader(obj))
        glGetShaderInfoLog(obj, maxLength, length, infoLog);
    else
        glGetProgramInfoLog(obj, maxLength, length, infoLog);
}

void
glGetAttachedObjectsARB(uint32_t containerObj, int32_t maxCount, int32_t *count, uint32_t *obj)
{
    glGetAttachedShaders(containerObj, maxCount, count, obj);
}

void
glGetObjectParameterivARB(uint32_t obj, uint32_t pname, int32_t *params)
{
    bool shader = glIsShader(obj);

    if (pname == GL_OBJECT_TYPE_ARB)
        *params = shader ? GL_SHADER_OBJECT_ARB : GL_PROGRAM_OBJECT_ARB;
    else if (shader)
        glGetShaderiv(obj, pname, params);
    else
        glGetProgramiv(obj, pname, params);
}

void
glGetObjectParameterfvARB(uint32_t obj, uint32_t pname, float *params)
{
    int32_t value = 0;

    glGetObjectParameterivARB(obj, pname, &value);
    *params = (float)value;
}
