/* SPDX-License-Identifier: MIT */
/* Linking: the driver's linker, the logs that it writes into memory of ours, and what comes out of it in pieces. */
#include "cuda_plugin.h"

#include <stdlib.h>
#include <string.h>

#include "image.h"

void
cuda_link_finish(struct cuda_link *link)
{
    free(link->info_log);
    free(link->error_log);
    link->info_log = link->error_log = NULL;
    link->made = NULL;
    link->made_bytes = 0;
}

/* The driver writes to values of the options until the link is destroyed, so they live with it. */
static CUresult
create_native(const struct cuda_driver *native, struct cuda_link *link, struct cuda_load_options *options)
{
    link->options = *options;
    return native->cuLinkCreate(link->options.count, link->options.names, link->options.values, &link->native);
}

int
cuda_host_link_create(struct gpuvchan_request *request, struct cuda_link **made, const uint32_t *names,
                      size_t names_count, const uint64_t *values, size_t values_count, uint32_t log_bytes)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_load_options options = {.count = 0};
    struct cuda_link *link;
    int result = cuda_options_take(&options, names, names_count, values, values_count);

    if (!host->native->cuLinkCreate || !host->native->cuLinkAddData || !host->native->cuLinkComplete ||
        !host->native->cuLinkDestroy)
        return cuda_driver_lacks(host->native, "cuLinkCreate");
    if (result != 0)
        return result;
    link = (struct cuda_link *)cuda_object_create(host, CUDA_OBJECT_LINK);
    if (!link)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = cuda_options_logs(&options, log_bytes, &link->info_log, &link->error_log) ? cuda_enter(lane, NULL, NULL)
                                                                                       : CUDA_ERROR_OUT_OF_MEMORY;
    if (result == 0) {
        result = create_native(host->native, link, &options);
        if (result == CUDA_SUCCESS) {
            cuda_object_begin(host, &link->object, &lane->current->object, request);
            *made = link;
        }
        cuda_leave(lane, 0);
    }
    if (result != 0)
        cuda_object_destroy(host, &link->object);
    return result;
}

int
cuda_host_link_destroy(struct gpuvchan_request *request, struct cuda_link *gone)
{
    return cuda_object_close(cuda_lane_of(request), &gone->object);
}

void
cuda_discard_link(struct gpuvchan_request *request, struct cuda_link *object)
{
    cuda_object_close(cuda_lane_of(request), &object->object);
}

/* What the driver reads without being told its size must be an image that ends where it says. */
static bool
is_input(int32_t type, unsigned char *data, size_t bytes)
{
    switch (type) {
    case CU_JIT_INPUT_CUBIN:
    case CU_JIT_INPUT_PTX:
    case CU_JIT_INPUT_FATBINARY:
        return cuda_image_fits(data, bytes);
    default:
        return type >= 0 && type < CU_JIT_NUM_INPUT_TYPES;
    }
}

int
cuda_host_link_add(struct gpuvchan_request *request, struct cuda_link *to, int32_t type, void *data, size_t data_bytes,
                   const char *name, const uint32_t *names, size_t names_count, const uint64_t *values,
                   size_t values_count)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_load_options options = {.count = 0};
    int result = cuda_options_take(&options, names, names_count, values, values_count);
    unsigned char *copy;

    if (result != 0)
        return result;
    copy = cuda_lane_data(lane, data, &data_bytes, &result);
    if (!copy)
        return result;
    result = is_input(type, copy, data_bytes) ? cuda_enter(lane, &to->object, NULL) : CUDA_ERROR_INVALID_IMAGE;
    if (result == 0)
        result = cuda_leave(lane, cuda_native(request)->cuLinkAddData(to->native, (CUjitInputType)type, copy,
                                                                      data_bytes, name[0] ? name : NULL, options.count,
                                                                      options.names, options.values));
    cuda_image_free(copy);
    return result;
}

int
cuda_host_link_complete(struct gpuvchan_request *request, struct cuda_link *from, uint64_t *bytes)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &from->object, NULL);
    void *made = NULL;
    size_t made_bytes = 0;

    if (result != 0)
        return result;
    result = cuda_native(request)->cuLinkComplete(from->native, &made, &made_bytes);
    if (result == CUDA_SUCCESS) {
        from->made = made;
        from->made_bytes = made_bytes;
        *bytes = made_bytes;
    }
    return cuda_leave(lane, result);
}

int
cuda_host_link_fetch(struct gpuvchan_request *request, struct cuda_link *from, uint64_t at, void *part,
                     size_t part_bytes)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &from->object, NULL);

    if (result != 0)
        return result;
    if (!from->made || at > from->made_bytes || part_bytes > from->made_bytes - at)
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    memcpy(part, from->made + at, part_bytes);
    return cuda_leave(lane, 0);
}

int
cuda_host_link_log(struct gpuvchan_request *request, struct cuda_link *from, char *info_log, size_t info_log_size,
                   char *error_log, size_t error_log_size)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &from->object, NULL);

    if (result != 0)
        return result;
    if (from->info_log)
        strncpy(info_log, from->info_log, info_log_size - 1); /* replies begin as zeros */
    if (from->error_log)
        strncpy(error_log, from->error_log, error_log_size - 1);
    return cuda_leave(lane, 0);
}
