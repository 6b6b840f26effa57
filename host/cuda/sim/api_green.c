/* SPDX-License-Identifier: MIT */
/*
 * Green contexts: a primary context as seen with some of the multiprocessors,
 * on which launches in it run their blocks.
 */
#include "driver.h"

#include <stdlib.h>
#include <string.h>

#define PART_MAGIC 0x74726170u

/* What a CUdevResource keeps in its private bytes. */
struct part {
    uint32_t magic, device, first, count;
    uint64_t split; /* which one it came from; 0: none */
};

/* Never freed, as there is no function that would. */
struct description {
    struct object object;
    struct part whole;
};

static void
part_write(CUdevResource *resource, const struct part *part)
{
    memset(resource, 0, sizeof *resource);
    resource->type = CU_DEV_RESOURCE_TYPE_SM;
    memcpy(resource->_internal_padding, part, sizeof *part);
    resource->sm = (CUdevSmResource){part->count, 1, 1};
}

static CUresult
part_read(const CUdevResource *resource, struct part *part)
{
    if (resource->type != CU_DEV_RESOURCE_TYPE_SM)
        return CUDA_ERROR_INVALID_RESOURCE_TYPE;
    memcpy(part, resource->_internal_padding, sizeof *part);
    if (part->magic != PART_MAGIC || part->device >= (uint32_t)sim_driver.device_count ||
        part->first >= sim_units((int)part->device) || part->count == 0 ||
        part->count > sim_units((int)part->device) - part->first)
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

static CUresult
tell_part(CUdevResource *resource, CUdevResourceType type, int device, uint32_t first, uint32_t count)
{
    struct part part = {PART_MAGIC, (uint32_t)device, first, count, 0};

    if (!resource)
        return CUDA_ERROR_INVALID_VALUE;
    if (type != CU_DEV_RESOURCE_TYPE_SM)
        return CUDA_ERROR_INVALID_RESOURCE_TYPE;
    part_write(resource, &part);
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuDeviceGetDevResource(CUdevice device, CUdevResource *resource, CUdevResourceType type)
{
    CUresult result = sim_begin();

    if (result)
        return result;
    if (device < 0 || device >= sim_driver.device_count)
        return sim_end(CUDA_ERROR_INVALID_DEVICE);
    return sim_end(tell_part(resource, type, device, 0, sim_units(device)));
}

SIM_EXPORT CUresult
cuCtxGetDevResource(CUcontext handle, CUdevResource *resource, CUdevResourceType type)
{
    CUresult result = sim_begin();
    const struct sim_context *context;

    if (result)
        return result;
    context = handle ? sim_object_find(handle, OBJECT_CONTEXT) : NULL;
    if (!context)
        return sim_end(CUDA_ERROR_INVALID_CONTEXT);
    return sim_end(tell_part(resource, type, context->device, context->first_unit, context->units));
}

/* Lock, and a green context that is there. */
static CUresult
enter_green(CUgreenCtx handle, struct sim_context **green)
{
    CUresult result = sim_begin();

    if (result)
        return result;
    *green = sim_object_find(handle, OBJECT_CONTEXT);
    return *green && (*green)->root != *green ? CUDA_SUCCESS : sim_end(CUDA_ERROR_INVALID_CONTEXT);
}

SIM_EXPORT CUresult
cuGreenCtxGetDevResource(CUgreenCtx handle, CUdevResource *resource, CUdevResourceType type)
{
    struct sim_context *green;
    CUresult result = enter_green(handle, &green);

    return result ? result : sim_end(tell_part(resource, type, green->device, green->first_unit, green->units));
}

/* How many parts of how many multiprocessors. */
static CUresult
plan(const struct part *whole, unsigned int least, unsigned int *parts, unsigned int *each)
{
    if (whole->split)
        return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
    if (least > whole->count)
        return CUDA_ERROR_INVALID_VALUE;
    *each = least ? least : 1;
    *parts = whole->count / *each;
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuDevSmResourceSplitByCount(CUdevResource *result_p, unsigned int *count, const CUdevResource *input,
                            CUdevResource *remaining, unsigned int flags, unsigned int least)
{
    CUresult result = sim_begin();
    unsigned int parts, each, i;
    struct part part, rest;

    if (result)
        return result;
    if (!count || !input || (result_p && !*count) || flags > 3)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = part_read(input, &part);
    if (!result)
        result = plan(&part, least, &parts, &each);
    if (result)
        return sim_end(result);
    if (result_p && *count < parts)
        parts = *count;
    rest = part;
    rest.first += parts * each;
    rest.count -= parts * each;
    rest.split = part.split = sim_driver.next_id++;
    part.count = each;
    for (i = 0; result_p && i < parts; i++, part.first += each)
        part_write(&result_p[i], &part);
    if (remaining && rest.count)
        part_write(remaining, &rest);
    else if (remaining)
        memset(remaining, 0, sizeof *remaining);
    *count = parts;
    return sim_end(CUDA_SUCCESS);
}

/* All of them as one; parts that do not follow each other cannot be. */
static CUresult
join(const CUdevResource *resources, unsigned int count, struct part *whole)
{
    unsigned int i;

    for (i = 0; i < count; i++) {
        struct part part;
        CUresult result = part_read(&resources[i], &part);

        if (result)
            return result;
        if (i == 0) {
            *whole = part;
            continue;
        }
        if (part.device != whole->device || part.split != whole->split || !part.split ||
            part.first != whole->first + whole->count)
            return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
        whole->count += part.count;
    }
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuDevResourceGenerateDesc(CUdevResourceDesc *handle, CUdevResource *resources, unsigned int count)
{
    CUresult result = sim_begin();
    struct description *description;
    struct part whole;

    if (result)
        return result;
    if (!handle || !resources || !count)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = join(resources, count, &whole);
    if (result)
        return sim_end(result);
    description = calloc(1, sizeof *description);
    if (!description || !sim_object_add(&description->object, OBJECT_DESCRIPTION, NULL)) {
        free(description);
        return sim_end(CUDA_ERROR_OUT_OF_MEMORY);
    }
    description->whole = whole;
    *handle = (CUdevResourceDesc)description;
    return sim_end(CUDA_SUCCESS);
}

/* Contexts. */

static CUresult
green_create(const struct part *part, struct sim_context *root, CUgreenCtx *handle)
{
    struct sim_context *green = calloc(1, sizeof *green);

    if (!green || !sim_object_add(&green->object, OBJECT_CONTEXT, root)) {
        free(green);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    green->root = root;
    green->id = sim_driver.next_id++;
    green->device = root->device;
    green->api_version = root->api_version;
    green->first_unit = part->first;
    green->units = part->count;
    *handle = (CUgreenCtx)green;
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuGreenCtxCreate(CUgreenCtx *handle, CUdevResourceDesc desc, CUdevice device, unsigned int flags)
{
    const struct description *description;
    CUcontext root;
    CUresult result = sim_begin();

    if (result)
        return result;
    description = sim_object_find(desc, OBJECT_DESCRIPTION);
    sim_end(CUDA_SUCCESS);
    if (!handle || !description || flags != CU_GREEN_CTX_DEFAULT_STREAM)
        return CUDA_ERROR_INVALID_VALUE;
    if (device != (CUdevice)description->whole.device)
        return CUDA_ERROR_INVALID_DEVICE;
    result = cuDevicePrimaryCtxRetain(&root, device);
    if (result)
        return result;
    result = sim_begin();
    if (!result)
        result = sim_end(green_create(&description->whole, (struct sim_context *)root, handle));
    if (result)
        cuDevicePrimaryCtxRelease(device);
    return result;
}

SIM_EXPORT CUresult
cuGreenCtxDestroy(CUgreenCtx handle)
{
    struct sim_context *green;
    CUresult result = enter_green(handle, &green);
    CUdevice device;
    struct object *object;

    if (result)
        return result;
    /* Its streams stay, and are of no use. */
    for (object = green->root->objects; object; object = object->next)
        if (object->kind == OBJECT_STREAM && ((struct sim_stream *)object)->view == green)
            ((struct sim_stream *)object)->view = NULL;
    device = green->device;
    sim_object_remove(&green->object);
    free(green);
    sim_end(CUDA_SUCCESS);
    return cuDevicePrimaryCtxRelease(device);
}

SIM_EXPORT CUresult
cuCtxFromGreenCtx(CUcontext *context, CUgreenCtx handle)
{
    struct sim_context *green;
    CUresult result = enter_green(handle, &green);

    if (result)
        return result;
    if (!context)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *context = (CUcontext)green;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuGreenCtxGetId(CUgreenCtx handle, unsigned long long *id)
{
    struct sim_context *green;
    CUresult result;

    if (!handle) {
        result = sim_begin();
        if (result)
            return result;
        handle = (CUgreenCtx)sim_view();
        sim_end(CUDA_SUCCESS);
    }
    result = enter_green(handle, &green);
    if (result)
        return result;
    if (!id)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *id = green->id;
    return sim_end(CUDA_SUCCESS);
}

/* What is done in a green context is done when its call returns, as all is. */
SIM_EXPORT CUresult
cuGreenCtxRecordEvent(CUgreenCtx handle, CUevent event)
{
    return cuCtxRecordEvent((CUcontext)handle, event);
}

SIM_EXPORT CUresult
cuGreenCtxWaitEvent(CUgreenCtx handle, CUevent event)
{
    return cuCtxWaitEvent((CUcontext)handle, event);
}

SIM_EXPORT CUresult
cuGreenCtxStreamCreate(CUstream *stream, CUgreenCtx handle, unsigned int flags, int priority)
{
    struct sim_context *green;
    CUresult result = enter_green(handle, &green);

    if (result)
        return result;
    if (flags != CU_STREAM_NON_BLOCKING)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = sim_push(green);
    sim_end(CUDA_SUCCESS);
    if (result)
        return result;
    result = cuStreamCreateWithPriority(stream, flags, priority);
    cuCtxPopCurrent_v2(NULL);
    return result;
}

/* Of streams. */

/* Lock, and what the stream is in. */
static CUresult
enter_view(CUstream handle, struct sim_context **view)
{
    struct sim_context *context;
    const struct sim_stream *stream;
    CUresult result = sim_enter(&context);

    if (!result)
        result = sim_stream_check(handle);
    if (result)
        return result;
    stream = sim_object_find(handle, OBJECT_STREAM);
    *view = stream ? stream->view : sim_view();
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuStreamGetCtx(CUstream stream, CUcontext *context)
{
    struct sim_context *view;
    CUresult result = enter_view(stream, &view);

    if (result)
        return result;
    if (!context)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *context = (CUcontext)view;
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuStreamGetCtx_ptsz, cuStreamGetCtx);

SIM_EXPORT CUresult
cuStreamGetCtx_v2(CUstream stream, CUcontext *context, CUgreenCtx *green)
{
    struct sim_context *view;
    CUresult result = enter_view(stream, &view);

    if (result)
        return result;
    if (!context)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *context = (CUcontext)view->root;
    if (green)
        *green = view->root != view ? (CUgreenCtx)view : NULL;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuStreamGetGreenCtx(CUstream stream, CUgreenCtx *green)
{
    struct sim_context *view;
    CUresult result = enter_view(stream, &view);

    if (result)
        return result;
    if (!green)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *green = view->root != view ? (CUgreenCtx)view : NULL;
    return sim_end(CUDA_SUCCESS);
}
