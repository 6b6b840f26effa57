/* SPDX-License-Identifier: MIT */
/* Sync objects, and labels and messages of KHR_debug. */
#include <errno.h>
#include <string.h>

#include "gl-host.h"

#include "commands.h"

/* A wait in the driver lasts at most so long: then the guest asks again, and the lane can end. */
#define WAIT_NS 100000000u

int
gl_host_fence_sync(struct gpuvchan_request *request, uint32_t sync, uint32_t condition, uint32_t flags)
{
    struct gl_context_host *context = gl_context_of(request);
    void *driver;
    int error;

    if (!context || !GL_HAS(request, FenceSync))
        return 0;
    driver = gl_functions->FenceSync(condition, flags);
    if (!driver)
        return 0;
    error = sync == 0 ? -EEXIST : gl_names_insert_sync(context->group, sync, driver);
    if (error == 0)
        return 0;
    gl_functions->DeleteSync(driver);
    return error == -EEXIST ? gpuvchan_request_corrupt(request, "fence_sync: %u is there already", sync) : error;
}

int
gl_host_delete_sync(struct gpuvchan_request *request, uint32_t sync)
{
    struct gl_context_host *context = gl_context_of(request);
    void *driver = context ? gl_names_remove_sync(context->group, sync) : NULL;

    if (driver)
        gl_functions->DeleteSync(driver);
    return 0;
}

int
gl_host_client_wait_sync(struct gpuvchan_request *request, uint32_t sync, uint32_t flags, uint64_t timeout,
                         uint32_t *value)
{
    struct gl_context_host *context = gl_context_of(request);
    void *driver = context ? gl_names_find_sync(context->group, sync) : NULL;

    *value = GL_WAIT_FAILED;
    if (driver)
        *value = gl_functions->ClientWaitSync(driver, flags, timeout < WAIT_NS ? timeout : WAIT_NS);
    return 0;
}

int
gl_host_wait_sync(struct gpuvchan_request *request, uint32_t sync, uint32_t flags, uint64_t timeout)
{
    struct gl_context_host *context = gl_context_of(request);
    void *driver = context ? gl_names_find_sync(context->group, sync) : NULL;

    if (driver)
        gl_functions->WaitSync(driver, flags, timeout);
    return 0;
}

int
gl_host_get_synciv(struct gpuvchan_request *request, uint32_t sync, uint32_t pname, int32_t count, int32_t *values,
                   size_t *values_count)
{
    struct gl_context_host *context = gl_context_of(request);
    void *driver = context ? gl_names_find_sync(context->group, sync) : NULL;
    int32_t all[16], length = 0;

    if (driver) {
        int32_t most = count < 16 ? count : 16;

        gl_functions->GetSynciv(driver, pname, most, &length, all);
    }
    if (length < 0 || (size_t)length > *values_count)
        length = 0;
    memcpy(values, all, (size_t)length * sizeof(*values));
    *values_count = (size_t)length;
    return 0;
}

/* ---- Labels and messages --------------------------------------------------------------------- */

/* What the driver calls what the guest calls @p name: which kind it is, the identifier says. */
static uint32_t
labelled(const struct gl_context_host *context, uint32_t identifier, uint32_t name)
{
    static const struct {
        uint32_t identifier;
        enum gl_space space;
    } kinds[] = {
        {GL_BUFFER, GL_SPACE_BUFFER},
        {GL_SHADER, GL_SPACE_PROGRAM},
        {GL_PROGRAM, GL_SPACE_PROGRAM},
        {GL_VERTEX_ARRAY, GL_SPACE_VERTEX_ARRAY},
        {GL_QUERY, GL_SPACE_QUERY},
        {GL_PROGRAM_PIPELINE, GL_SPACE_PIPELINE},
        {GL_TRANSFORM_FEEDBACK, GL_SPACE_FEEDBACK},
        {GL_SAMPLER, GL_SPACE_SAMPLER},
        {GL_TEXTURE, GL_SPACE_TEXTURE},
        {GL_RENDERBUFFER, GL_SPACE_RENDERBUFFER},
        {GL_FRAMEBUFFER, GL_SPACE_FRAMEBUFFER},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (kinds[i].identifier == identifier)
            return gl_name(context, kinds[i].space, name);
    return name;
}

int
gl_host_object_label(struct gpuvchan_request *request, uint32_t identifier, uint32_t name, int32_t length,
                     const void *label, size_t label_bytes)
{
    struct gl_context_host *context = gl_context_of(request);

    if (context && GL_HAS(request, ObjectLabel))
        gl_functions->ObjectLabel(identifier, labelled(context, identifier, name), (int32_t)label_bytes,
                                  length < 0 ? NULL : label);
    return 0;
}

int
gl_host_get_object_label(struct gpuvchan_request *request, uint32_t identifier, uint32_t name, char *label,
                         size_t label_size)
{
    struct gl_context_host *context = gl_context_of(request);

    if (context && GL_HAS(request, GetObjectLabel))
        gl_functions->GetObjectLabel(identifier, labelled(context, identifier, name), (int32_t)label_size, NULL, label);
    return 0;
}

int
gl_host_push_debug_group(struct gpuvchan_request *request, uint32_t source, uint32_t id, const void *message,
                         size_t message_bytes)
{
    if (gl_context_of(request) && GL_HAS(request, PushDebugGroup))
        gl_functions->PushDebugGroup(source, id, (int32_t)message_bytes, message);
    return 0;
}

int
gl_host_debug_message_insert(struct gpuvchan_request *request, uint32_t source, uint32_t type, uint32_t id,
                             uint32_t severity, const void *message, size_t message_bytes)
{
    if (gl_context_of(request) && GL_HAS(request, DebugMessageInsert))
        gl_functions->DebugMessageInsert(source, type, id, severity, (int32_t)message_bytes, message);
    return 0;
}
