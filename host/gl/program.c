/* SPDX-License-Identifier: MIT */
/*
 * Shaders and programs.
 *
 * Design notes: a shader or program that has been deleted lives on where it is attached or used, and its name with it.
 * So a name goes when the driver says that there is no such object any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gl-host.h"

#include "commands.h"

static int
made(struct gl_context_host *context, struct gpuvchan_request *request, uint32_t name, uint32_t driver)
{
    return gl_names_made(context, request, GL_SPACE_PROGRAM, &name, &driver, 1);
}

int
gl_host_create_shader(struct gpuvchan_request *request, uint32_t type, uint32_t shader)
{
    struct gl_context_host *context = gl_context_of(request);

    if (!context || !GL_HAS(request, CreateShader))
        return 0;
    return made(context, request, shader, gl_functions->CreateShader(type));
}

int
gl_host_create_program(struct gpuvchan_request *request, uint32_t program)
{
    struct gl_context_host *context = gl_context_of(request);

    if (!context || !GL_HAS(request, CreateProgram))
        return 0;
    return made(context, request, program, gl_functions->CreateProgram());
}

int
gl_host_delete_program(struct gpuvchan_request *request, uint32_t name, uint32_t kind)
{
    struct gl_context_host *context = gl_context_of(request);
    uint32_t driver;

    if (!context || !GL_HAS(request, DeleteProgram))
        return 0;
    driver = gl_name(context, GL_SPACE_PROGRAM, name);
    if (kind == 1 || (kind == 2 && gl_functions->IsShader(driver)))
        gl_functions->DeleteShader(driver);
    else
        gl_functions->DeleteProgram(driver);
    if (driver != 0 && driver != GL_NO_NAME && !gl_functions->IsShader(driver) && !gl_functions->IsProgram(driver))
        gl_names_remove(context->group, GL_SPACE_PROGRAM, name);
    return 0;
}

int
gl_host_shader_source(struct gpuvchan_request *request, uint32_t shader, void *text, size_t text_bytes)
{
    struct gl_context_host *context = gl_context_of(request);
    const char *string = text;
    int32_t length = (int32_t)text_bytes;

    if (!context || !GL_HAS(request, ShaderSource))
        return 0;
    if (text_bytes > INT32_MAX)
        return gpuvchan_request_corrupt(request, "shader_source: %zu bytes", text_bytes);
    gl_functions->ShaderSource(gl_name(context, GL_SPACE_PROGRAM, shader), 1, &string, &length);
    return 0;
}

enum text {
    TEXT_SHADER_LOG,
    TEXT_PROGRAM_LOG,
    TEXT_SHADER_SOURCE,
    TEXT_PROGRAM_ARB, /* of what is bound to the target that the name is */
};

/* The driver writes as much as there is: nothing, if that does not fit. */
static int
program_string(uint32_t target, void *text, int32_t size, int32_t *length, size_t *length_count)
{
    int32_t bytes = -1;

    if (gl_functions->GetProgramivARB)
        gl_functions->GetProgramivARB(target, GL_PROGRAM_LENGTH_ARB, &bytes);
    if (bytes >= 0 && bytes <= size)
        gl_functions->GetProgramStringARB(target, GL_PROGRAM_STRING_ARB, text);
    length[0] = bytes;
    *length_count = bytes >= 0 && bytes <= size;
    return 0;
}

int
gl_host_program_text(struct gpuvchan_request *request, uint32_t what, uint32_t name, void *text, size_t text_bytes,
                     int32_t *length, size_t *length_count)
{
    struct gl_context_host *context = gl_context_of(request);
    int32_t size = text_bytes > INT32_MAX ? INT32_MAX : (int32_t)text_bytes, filled = -1;
    uint32_t driver;

    if (!context || !GL_HAS(request, GetShaderInfoLog) || *length_count == 0) {
        *length_count = 0;
        return 0;
    }
    if (what == TEXT_PROGRAM_ARB)
        return program_string(name, text, size, length, length_count);
    driver = gl_name(context, GL_SPACE_PROGRAM, name);
    if (what == TEXT_SHADER_LOG)
        gl_functions->GetShaderInfoLog(driver, size, &filled, text);
    else if (what == TEXT_PROGRAM_LOG)
        gl_functions->GetProgramInfoLog(driver, size, &filled, text);
    else if (what == TEXT_SHADER_SOURCE)
        gl_functions->GetShaderSource(driver, size, &filled, text);
    length[0] = filled;
    *length_count = filled >= 0;
    return 0;
}

/* Pointers to @p count strings that lie one behind the other, in scratch memory. NULL: there are not so many. */
static const char *const *
split(struct gpuvchan_request *request, int32_t count, const void *names, size_t bytes)
{
    const char **pointers = gl_scratch(request, 0, gl_count(count) * sizeof(*pointers));
    const char *at = names, *end = at + bytes;

    for (size_t i = 0; pointers && i < gl_count(count); i++) {
        const char *nul = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;

        if (!nul)
            return NULL;
        pointers[i] = at;
        at = nul + 1;
    }
    return pointers;
}

int
gl_host_uniform_indices(struct gpuvchan_request *request, uint32_t program, int32_t count, const void *names,
                        size_t names_bytes, uint32_t *indices, size_t *indices_count)
{
    struct gl_context_host *context = gl_context_of(request);
    const char *const *pointers;
    uint32_t *all;

    if (!context || !GL_HAS(request, GetUniformIndices)) {
        *indices_count = 0;
        return 0;
    }
    pointers = split(request, count, names, names_bytes);
    all = gl_scratch(request, 1, gl_count(count) * sizeof(*all));
    if (!pointers || !all || *indices_count < gl_count(count))
        return gl_short(request, "glGetUniformIndices: names or indices", *indices_count, gl_count(count));
    gl_canary(all, gl_count(count) * sizeof(*all));
    gl_functions->GetUniformIndices(gl_name(context, GL_SPACE_PROGRAM, program), count, pointers, all);
    gl_changed(indices, indices_count, all, gl_count(count), sizeof(*all));
    return 0;
}

int
gl_host_feedback_varyings(struct gpuvchan_request *request, uint32_t program, int32_t count, uint32_t mode,
                          const void *names, size_t names_bytes)
{
    struct gl_context_host *context = gl_context_of(request);
    const char *const *pointers;

    if (!context || !GL_HAS(request, TransformFeedbackVaryings))
        return 0;
    pointers = split(request, count, names, names_bytes);
    if (!pointers)
        return gl_short(request, "glTransformFeedbackVaryings: names", names_bytes, gl_count(count));
    gl_functions->TransformFeedbackVaryings(gl_name(context, GL_SPACE_PROGRAM, program), count, pointers, mode);
    return 0;
}

int
gl_host_shader_program(struct gpuvchan_request *request, uint32_t type, uint32_t program, void *text, size_t text_bytes)
{
    struct gl_context_host *context = gl_context_of(request);
    const char *string;
    uint32_t driver;
    char *copy;

    if (!context || !GL_HAS(request, CreateShaderProgramv))
        return 0;
    if (text_bytes == 0)
        return gpuvchan_request_corrupt(request, "shader_program: no text");
    copy = strndup(text, text_bytes); /* it must end, whatever the guest does meanwhile */
    if (!copy)
        return -ENOMEM;
    string = copy;
    driver = gl_functions->CreateShaderProgramv(type, 1, &string);
    free(copy);
    return made(context, request, program, driver);
}
