/* SPDX-License-Identifier: MIT */
/* Questions whose answers are strings, or names of objects. */
#include <string.h>

#include "gl-host.h"

#include "commands.h"

static const struct {
    uint32_t pname;
    enum gl_space space;
} name_pnames[] = {
    {GL_ARRAY_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_ELEMENT_ARRAY_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_PIXEL_PACK_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_PIXEL_UNPACK_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_UNIFORM_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_TRANSFORM_FEEDBACK_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_TEXTURE_BUFFER, GL_SPACE_BUFFER},
    {GL_TEXTURE_BUFFER_DATA_STORE_BINDING, GL_SPACE_BUFFER},
    {GL_COPY_READ_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_COPY_WRITE_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_DRAW_INDIRECT_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_DISPATCH_INDIRECT_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_SHADER_STORAGE_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_ATOMIC_COUNTER_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_QUERY_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_PARAMETER_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_VERTEX_BINDING_BUFFER, GL_SPACE_BUFFER},
    {GL_VERTEX_ARRAY_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_NORMAL_ARRAY_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_COLOR_ARRAY_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_INDEX_ARRAY_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_TEXTURE_COORD_ARRAY_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_EDGE_FLAG_ARRAY_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_SECONDARY_COLOR_ARRAY_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_FOG_COORD_ARRAY_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_VERTEX_ATTRIB_ARRAY_BUFFER_BINDING, GL_SPACE_BUFFER},
    {GL_TEXTURE_BINDING_1D, GL_SPACE_TEXTURE},
    {GL_TEXTURE_BINDING_2D, GL_SPACE_TEXTURE},
    {GL_TEXTURE_BINDING_3D, GL_SPACE_TEXTURE},
    {GL_TEXTURE_BINDING_1D_ARRAY, GL_SPACE_TEXTURE},
    {GL_TEXTURE_BINDING_2D_ARRAY, GL_SPACE_TEXTURE},
    {GL_TEXTURE_BINDING_CUBE_MAP, GL_SPACE_TEXTURE},
    {GL_TEXTURE_BINDING_CUBE_MAP_ARRAY, GL_SPACE_TEXTURE},
    {GL_TEXTURE_BINDING_RECTANGLE, GL_SPACE_TEXTURE},
    {GL_TEXTURE_BINDING_BUFFER, GL_SPACE_TEXTURE},
    {GL_TEXTURE_BINDING_2D_MULTISAMPLE, GL_SPACE_TEXTURE},
    {GL_TEXTURE_BINDING_2D_MULTISAMPLE_ARRAY, GL_SPACE_TEXTURE},
    {GL_TEXTURE_BINDING_EXTERNAL_OES, GL_SPACE_TEXTURE},
    {GL_IMAGE_BINDING_NAME, GL_SPACE_TEXTURE},
    {GL_SAMPLER_BINDING, GL_SPACE_SAMPLER},
    {GL_DRAW_FRAMEBUFFER_BINDING, GL_SPACE_FRAMEBUFFER},
    {GL_READ_FRAMEBUFFER_BINDING, GL_SPACE_FRAMEBUFFER},
    {GL_RENDERBUFFER_BINDING, GL_SPACE_RENDERBUFFER},
    {GL_VERTEX_ARRAY_BINDING, GL_SPACE_VERTEX_ARRAY},
    {GL_TRANSFORM_FEEDBACK_BINDING, GL_SPACE_FEEDBACK},
    {GL_PROGRAM_PIPELINE_BINDING, GL_SPACE_PIPELINE},
    {GL_CURRENT_PROGRAM, GL_SPACE_PROGRAM},
    {GL_ACTIVE_PROGRAM, GL_SPACE_PROGRAM},
    {GL_VERTEX_SHADER, GL_SPACE_PROGRAM},
    {GL_FRAGMENT_SHADER, GL_SPACE_PROGRAM},
    {GL_GEOMETRY_SHADER, GL_SPACE_PROGRAM},
    {GL_TESS_CONTROL_SHADER, GL_SPACE_PROGRAM},
    {GL_TESS_EVALUATION_SHADER, GL_SPACE_PROGRAM},
    {GL_COMPUTE_SHADER, GL_SPACE_PROGRAM},
    {GL_CURRENT_QUERY, GL_SPACE_QUERY},
    {GL_PROGRAM_BINDING_ARB, GL_SPACE_PROGRAM_ARB},
};

bool
gl_pname_space(uint32_t pname, enum gl_space *space)
{
    for (size_t i = 0; i < sizeof(name_pnames) / sizeof(name_pnames[0]); i++) {
        if (name_pnames[i].pname == pname) {
            *space = name_pnames[i].space;
            return true;
        }
    }
    return false;
}

/* What is attached can be a texture or a renderbuffer. */
static int
attachment_parameter(struct gl_context_host *context, uint32_t pname, uint32_t type, int32_t value, int32_t *params,
                     size_t *params_count)
{
    if (*params_count < 1) {
        *params_count = 0;
        return 0;
    }
    params[0] = value;
    *params_count = 1;
    if (pname == GL_FRAMEBUFFER_ATTACHMENT_OBJECT_NAME && (type == GL_TEXTURE || type == GL_RENDERBUFFER))
        params[0] = (int32_t)gl_name_back(context, type == GL_TEXTURE ? GL_SPACE_TEXTURE : GL_SPACE_RENDERBUFFER,
                                          (uint32_t)value);
    return 0;
}

int
gl_host_get_framebuffer_attachment_parameteriv(struct gpuvchan_request *request, uint32_t target, uint32_t attachment,
                                               uint32_t pname, int32_t *params, size_t *params_count)
{
    struct gl_context_host *context = gl_context_of(request);
    int32_t value[4], type[4] = {0};
    size_t filled = 1;

    if (!context || !GL_HAS(request, GetFramebufferAttachmentParameteriv)) {
        *params_count = 0;
        return 0;
    }
    gl_canary(value, sizeof(value));
    gl_functions->GetFramebufferAttachmentParameteriv(target, attachment, pname, value);
    gl_changed(type, &filled, value, 4, sizeof(value[0]));
    if (filled == 0) {
        *params_count = 0;
        return 0;
    }
    if (pname == GL_FRAMEBUFFER_ATTACHMENT_OBJECT_NAME)
        gl_functions->GetFramebufferAttachmentParameteriv(target, attachment, GL_FRAMEBUFFER_ATTACHMENT_OBJECT_TYPE,
                                                          type);
    return attachment_parameter(context, pname, (uint32_t)type[0], value[0], params, params_count);
}

int
gl_host_get_named_framebuffer_attachment_parameteriv(struct gpuvchan_request *request, uint32_t framebuffer,
                                                     uint32_t attachment, uint32_t pname, int32_t *params,
                                                     size_t *params_count)
{
    struct gl_context_host *context = gl_context_of(request);
    int32_t value[4], type[4] = {0};
    size_t filled = 1;
    uint32_t driver;

    if (!context || !GL_HAS(request, GetNamedFramebufferAttachmentParameteriv)) {
        *params_count = 0;
        return 0;
    }
    driver = gl_name(context, GL_SPACE_FRAMEBUFFER, framebuffer);
    gl_canary(value, sizeof(value));
    gl_functions->GetNamedFramebufferAttachmentParameteriv(driver, attachment, pname, value);
    gl_changed(type, &filled, value, 4, sizeof(value[0]));
    if (filled == 0) {
        *params_count = 0;
        return 0;
    }
    if (pname == GL_FRAMEBUFFER_ATTACHMENT_OBJECT_NAME)
        gl_functions->GetNamedFramebufferAttachmentParameteriv(driver, attachment,
                                                               GL_FRAMEBUFFER_ATTACHMENT_OBJECT_TYPE, type);
    return attachment_parameter(context, pname, (uint32_t)type[0], value[0], params, params_count);
}

/* ---- Errors ---------------------------------------------------------------------------------- */

int
gl_host_raise_error(struct gpuvchan_request *request, uint32_t error)
{
    struct gl_context_host *context = gl_context_of(request);
    uint32_t before;

    if (!context || context->commands.error != GL_NO_ERROR)
        return 0;
    before = gl_functions->GetError();
    context->commands.error = before != GL_NO_ERROR ? before : error;
    return 0;
}

int
gl_host_get_error(struct gpuvchan_request *request, uint32_t *value)
{
    struct gl_context_host *context = gl_context_of(request);

    *value = GL_NO_ERROR;
    if (!context)
        return 0;
    *value = gl_functions->GetError();
    if (context->commands.error != GL_NO_ERROR)
        *value = context->commands.error;
    context->commands.error = GL_NO_ERROR;
    return 0;
}

/* ---- Strings --------------------------------------------------------------------------------- */

static void
append(char *text, size_t text_size, size_t *length, const char *word)
{
    size_t bytes = word ? strlen(word) : 0;

    if (bytes == 0 || *length + bytes + 2 > text_size)
        return;
    if (*length > 0)
        text[(*length)++] = ' ';
    memcpy(text + *length, word, bytes + 1);
    *length += bytes;
}

int
gl_host_strings(struct gpuvchan_request *request, uint32_t name, char *text, size_t text_size)
{
    struct gl_context_host *context = gl_context_of(request);
    size_t length = 0;

    if (!context)
        return 0;
    if (name != 0) {
        append(text, text_size, &length, (const char *)gl_functions->GetString(name));
    } else if (context->api == GL_API_ES1 || gl_get(GL_NUM_EXTENSIONS) == 0) {
        append(text, text_size, &length, (const char *)gl_functions->GetString(GL_EXTENSIONS));
    } else {
        for (int32_t i = 0, count = gl_get(GL_NUM_EXTENSIONS); i < count; i++)
            append(text, text_size, &length, (const char *)gl_functions->GetStringi(GL_EXTENSIONS, (uint32_t)i));
    }
    return 0;
}
