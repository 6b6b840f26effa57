/* SPDX-License-Identifier: MIT */
/*
 * Linking. Inputs are the host's when they have been added; what comes out is fetched into memory of the link, which
 * the application may read until it destroys the link. Logs go to the buffers that were named at the beginning.
 */
#include <stdlib.h>
#include <string.h>

#include "load.h"

struct link {
    struct cuda_guest_object object;
    struct cuda_guest_options options;
    void *made; /* what cuLinkComplete() has given out */
};

static void
logs_fetch(struct cuda_guest_thread *self, const struct link *link)
{
    char info[CUDA_LINK_LOG_INFO_LOG_MAX + 1] = "", error[CUDA_LINK_LOG_ERROR_LOG_MAX + 1] = "";

    if (!link->options.info_bytes && !link->options.error_bytes)
        return;
    if (cuda_link_log_on(&cuda_guest.client, self->lane, link->object.handle, info, sizeof(info), error,
                         sizeof(error)) != 0)
        return;
    if (info[0] != '\0' || error[0] != '\0')
        cuda_guest_options_logs(&link->options, info, error);
}

ENTRY
cuLinkCreate_v2(unsigned int count, CUjit_option *names, void **values, CUlinkState *state)
{
    struct cuda_guest_thread *self;
    struct link *link;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!state)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_object_create(CUDA_HANDLE_LINK, sizeof(*link), cuda_guest_current(self), &link);
    if (result != CUDA_SUCCESS)
        return result;
    result = cuda_guest_options_read(&link->options, count, names, values);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_link_create_on(
            &cuda_guest.client, self->lane, link->object.handle, link->options.names, link->options.count,
            link->options.values, link->options.count, cuda_guest_options_log_bytes(&link->options)));
    if (result == CUDA_SUCCESS)
        *state = cuda_guest_handle(&link->object);
    else
        cuda_guest_object_undo(&link->object);
    return result;
}
ENTRY_ALIAS(cuLinkCreate, cuLinkCreate_v2);

static CUresult
enter_link(CUlinkState handle, struct cuda_guest_thread **self, struct link **link)
{
    CUresult result = cuda_guest_enter(self);

    if (result != CUDA_SUCCESS)
        return result;
    *link = cuda_guest_find(handle, CUDA_HANDLE_LINK);
    return *link ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* ---- Inputs ---------------------------------------------------------------------------------- */

struct input {
    const struct link *link;
    CUjitInputType type;
    const char *name;
    struct cuda_guest_options options;
};

static CUresult
add_on_host(struct cuda_guest_thread *self, struct gpuvchan_reference data, void *context)
{
    const struct input *input = context;
    int status = cuda_link_add_on(&cuda_guest.client, self->lane, input->link->object.handle, (int32_t)input->type,
                                  data, input->name ? input->name : "", input->options.names, input->options.count,
                                  input->options.values, input->options.count);

    if (status >= 0)
        logs_fetch(self, input->link);
    return cuda_guest_result(status);
}

ENTRY
cuLinkAddData_v2(CUlinkState handle, CUjitInputType type, void *data, size_t bytes, const char *name,
                 unsigned int count, CUjit_option *names, void **values)
{
    struct cuda_guest_thread *self;
    struct input input = {.type = type, .name = name};
    struct link *link;
    CUresult result = enter_link(handle, &self, &link);

    if (result != CUDA_SUCCESS)
        return result;
    input.link = link;
    if (!data || bytes == 0 || (unsigned)type >= CU_JIT_NUM_INPUT_TYPES)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_options_read(&input.options, count, names, values);
    return result == CUDA_SUCCESS ? cuda_guest_image_send(self, data, bytes, add_on_host, &input) : result;
}
ENTRY_ALIAS(cuLinkAddData, cuLinkAddData_v2);

ENTRY
cuLinkAddFile_v2(CUlinkState handle, CUjitInputType type, const char *path, unsigned int count, CUjit_option *names,
                 void **values)
{
    struct cuda_guest_thread *self;
    struct link *link;
    CUresult result = enter_link(handle, &self, &link);
    size_t bytes;
    char *data;

    if (result != CUDA_SUCCESS)
        return result;
    if (!path)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_file_read(path, &data, &bytes);
    if (result != CUDA_SUCCESS)
        return result;
    /* Of a text the NUL is part, of others it is not. */
    result =
        cuLinkAddData_v2(handle, type, data, type == CU_JIT_INPUT_PTX ? bytes : bytes - 1, path, count, names, values);
    free(data);
    return result;
}
ENTRY_ALIAS(cuLinkAddFile, cuLinkAddFile_v2);

/* ---- The result ------------------------------------------------------------------------------ */

#define FETCH_BYTES ((size_t)1 << 20)

static CUresult
fetch(struct cuda_guest_thread *self, const struct link *link, unsigned char *to, size_t bytes)
{
    size_t piece = bytes < FETCH_BYTES ? bytes : FETCH_BYTES;
    struct gpuvchan_buffer *buffer;
    CUresult result = CUDA_SUCCESS;

    if (gpuvchan_buffer_create(cuda_guest.channel, piece, &buffer) != 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t at = 0; at < bytes && result == CUDA_SUCCESS; at += piece) {
        struct gpuvchan_reference part = {.offset = gpuvchan_buffer_offset(buffer)};

        part.bytes = bytes - at < piece ? bytes - at : piece;
        result = cuda_guest_result(cuda_link_fetch_on(&cuda_guest.client, self->lane, link->object.handle, at, part));
        if (result == CUDA_SUCCESS)
            gpuvchan_arena_read(to + at, gpuvchan_buffer_data(buffer), part.bytes);
    }
    gpuvchan_buffer_destroy(buffer);
    return result;
}

ENTRY
cuLinkComplete(CUlinkState handle, void **out, size_t *out_bytes)
{
    struct cuda_guest_thread *self;
    struct link *link;
    CUresult result = enter_link(handle, &self, &link);
    uint64_t bytes = 0;
    unsigned char *made;

    if (result != CUDA_SUCCESS)
        return result;
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_link_complete_on(&cuda_guest.client, self->lane, link->object.handle, &bytes));
    logs_fetch(self, link);
    if (result != CUDA_SUCCESS)
        return result;
    made = malloc(bytes + 1);
    result = made ? fetch(self, link, made, bytes) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result != CUDA_SUCCESS) {
        free(made);
        return result;
    }
    made[bytes] = '\0';
    free(link->made);
    *out = link->made = made;
    if (out_bytes)
        *out_bytes = bytes;
    return CUDA_SUCCESS;
}

void
cuda_guest_link_drop(struct cuda_guest_object *object)
{
    free(((struct link *)object)->made);
    cuda_guest_object_free(object);
}

ENTRY
cuLinkDestroy(CUlinkState handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_object *object;
    CUresult result = cuda_guest_enter(&self);
    uint32_t wire;

    if (result != CUDA_SUCCESS)
        return result;
    object = cuda_guest_take(handle, CUDA_HANDLE_LINK);
    if (!object)
        return CUDA_ERROR_INVALID_HANDLE;
    wire = object->handle;
    cuda_guest_link_drop(object);
    return cuda_guest_result(cuda_link_destroy_on(&cuda_guest.client, self->lane, wire));
}
