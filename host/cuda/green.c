/* SPDX-License-Identifier: MIT */
/*
 * Green contexts, and the parts of multiprocessors that they are made of.
 *
 * Design notes: a green context is a part of a primary context, which owns what is made in it. What it has itself are
 * its streams. A lane acts in it while lane->green is set.
 *
 * The driver believes what is in a CUdevResource, and who has one never gives it back. So they stay here, by number, and
 * equal ones have the same number; there is an end to how many a guest can have.
 */
#include "cuda_plugin.h"

#include <stdlib.h>
#include <string.h>

#define NUMBERS_MAX 65536u
#define FACTS 4u /* that records have of a part */
#define PARTS_MAX (CUDA_RESOURCE_DESCRIBE_NUMBERS_MAX - 1)

/* ---- Numbers --------------------------------------------------------------------------------- */

/* Room for one more of @p bytes. With the lock. NULL: none. */
static void *
grow(void *list, uint32_t count, size_t bytes)
{
    if (count >= NUMBERS_MAX)
        return NULL;
    return (count & (count - 1)) != 0 ? list : realloc(list, (count ? 2 * (size_t)count : 1) * bytes);
}

/* The number of an equal one, or a new one. False: there are too many. With the lock. */
static bool
resource_number(struct cuda_host *host, const CUdevResource *resource, uint32_t *number)
{
    CUdevResource *list;

    for (*number = 0; *number < host->resource_count; ++*number)
        if (memcmp(&host->resources[*number], resource, sizeof(*resource)) == 0)
            return true;
    list = grow(host->resources, host->resource_count, sizeof(*list));
    if (!list)
        return false;
    host->resources = list;
    host->resources[host->resource_count++] = *resource;
    return true;
}

/* What the guest is told of a part. */
static int
resource_tell(struct cuda_host *host, const CUdevResource *resource, uint32_t facts[FACTS])
{
    bool done;

    pthread_mutex_lock(&host->lock);
    done = resource_number(host, resource, &facts[0]);
    pthread_mutex_unlock(&host->lock);
    if (!done) {
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "cuda: a guest has %u parts of multiprocessors, and gets no more",
                     NUMBERS_MAX);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    facts[1] = resource->sm.smCount;
    facts[2] = resource->sm.minSmPartitionSize;
    facts[3] = resource->sm.smCoscheduledAlignment;
    return 0;
}

static bool
resource_find(struct cuda_host *host, uint32_t number, CUdevResource *resource)
{
    bool found;

    pthread_mutex_lock(&host->lock);
    found = number < host->resource_count;
    if (found)
        *resource = host->resources[number];
    pthread_mutex_unlock(&host->lock);
    return found;
}

static bool
has_green(const struct cuda_driver *native)
{
    return native->cuDeviceGetDevResource && native->cuCtxGetDevResource && native->cuDevSmResourceSplitByCount &&
           native->cuDevResourceGenerateDesc && native->cuGreenCtxCreate && native->cuGreenCtxDestroy &&
           native->cuCtxFromGreenCtx;
}

static int
lacks_green(const struct cuda_driver *native)
{
    return cuda_driver_lacks(native, "cuGreenCtxCreate");
}

/* ---- Parts ----------------------------------------------------------------------------------- */

int
cuda_host_device_resource(struct gpuvchan_request *request, uint32_t device, int32_t type, uint32_t *facts,
                          size_t *facts_count)
{
    const struct cuda_driver *native = cuda_native(request);
    CUdevResource resource = {0};
    CUdevice number;
    int result;

    if (!has_green(native))
        return lacks_green(native);
    if (*facts_count < FACTS)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_device_of(native, device, &number);
    if (result == 0 && type != CU_DEV_RESOURCE_TYPE_SM)
        result = CUDA_ERROR_INVALID_RESOURCE_TYPE;
    if (result == 0)
        result = native->cuDeviceGetDevResource(number, &resource, (CUdevResourceType)type);
    *facts_count = FACTS;
    return result == 0 ? resource_tell(cuda_host_of(request), &resource, facts) : result;
}

int
cuda_host_ctx_resource(struct gpuvchan_request *request, int32_t type, uint32_t *facts, size_t *facts_count)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUdevResource resource = {0};
    int result;

    if (!has_green(native))
        return lacks_green(native);
    if (*facts_count < FACTS)
        return CUDA_ERROR_INVALID_VALUE;
    if (type != CU_DEV_RESOURCE_TYPE_SM)
        return CUDA_ERROR_INVALID_RESOURCE_TYPE;
    result = cuda_enter(lane, NULL, NULL);
    if (result != 0)
        return result;
    result = native->cuCtxGetDevResource(cuda_lane_native(lane), &resource, (CUdevResourceType)type);
    *facts_count = FACTS;
    return cuda_leave(lane, result == 0 ? resource_tell(lane->host, &resource, facts) : result);
}

/* @p facts has room for all parts and what remains. */
static int
split_tell(struct cuda_host *host, const CUdevResource *parts, uint32_t made, const CUdevResource *remaining,
           uint32_t *facts)
{
    int result = 0;

    for (uint32_t i = 0; i < made && result == 0; i++)
        result = resource_tell(host, &parts[i], facts + (size_t)i * FACTS);
    if (result == 0 && remaining && remaining->type == CU_DEV_RESOURCE_TYPE_SM)
        result = resource_tell(host, remaining, facts + (size_t)made * FACTS);
    return result;
}

int
cuda_host_resource_split(struct gpuvchan_request *request, uint32_t number, bool counts, bool remains, uint32_t wanted,
                         uint32_t flags, uint32_t least, uint32_t *made, uint32_t *facts, size_t *facts_count)
{
    const struct cuda_driver *native = cuda_native(request);
    CUdevResource input, parts[PARTS_MAX], remaining = {0};
    int result;

    if (!has_green(native))
        return lacks_green(native);
    if (!resource_find(cuda_host_of(request), number, &input) || wanted == 0 || wanted > PARTS_MAX ||
        *facts_count < ((size_t)wanted + 1) * FACTS)
        return CUDA_ERROR_INVALID_VALUE;
    memset(parts, 0, sizeof(parts)); /* with the gaps: equal ones shall be found */
    *made = wanted;
    result = native->cuDevSmResourceSplitByCount(counts ? NULL : parts, made, &input, remains ? &remaining : NULL,
                                                 flags, least);
    if (result != 0 || (counts && !remains)) {
        *facts_count = 0;
        return result;
    }
    if (!counts && *made > wanted)
        return CUDA_ERROR_UNKNOWN; /* the driver has written behind what it was given */
    *facts_count = ((counts ? 0 : (size_t)*made) + remains) * FACTS;
    return split_tell(cuda_host_of(request), parts, counts ? 0 : *made, remains ? &remaining : NULL, facts);
}

int
cuda_host_resource_describe(struct gpuvchan_request *request, const uint32_t *numbers, size_t numbers_count,
                            uint32_t *description)
{
    const struct cuda_driver *native = cuda_native(request);
    CUdevResource resources[CUDA_RESOURCE_DESCRIBE_NUMBERS_MAX];
    struct cuda_host *host = cuda_host_of(request);
    CUdevResourceDesc made, *list;
    int result;

    if (!has_green(native))
        return lacks_green(native);
    for (size_t i = 0; i < numbers_count; i++)
        if (!resource_find(host, numbers[i], &resources[i]))
            return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&host->lock); /* the driver keeps a description for ever: none is made that has no number */
    list = grow(host->descriptions, host->description_count, sizeof(*list));
    if (list)
        host->descriptions = list;
    result = list ? (int)native->cuDevResourceGenerateDesc(&made, resources, (unsigned)numbers_count)
                  : CUDA_ERROR_OUT_OF_MEMORY;
    if (result == 0) {
        *description = host->description_count;
        host->descriptions[host->description_count++] = made;
    }
    pthread_mutex_unlock(&host->lock);
    return result;
}

/* ---- Beginning and end ----------------------------------------------------------------------- */

static bool
description_find(struct cuda_host *host, uint32_t number, CUdevResourceDesc *description)
{
    bool found;

    pthread_mutex_lock(&host->lock);
    found = number < host->description_count;
    if (found)
        *description = host->descriptions[number];
    pthread_mutex_unlock(&host->lock);
    return found;
}

static int
create_native(const struct cuda_driver *native, struct cuda_green *green, CUdevResourceDesc description,
              CUdevice device, uint32_t flags)
{
    int result = native->cuGreenCtxCreate(&green->native, description, device, flags);

    if (result != 0)
        return result;
    result = native->cuCtxFromGreenCtx(&green->context, green->native);
    if (result != 0)
        native->cuGreenCtxDestroy(green->native);
    return result;
}

int
cuda_host_green_create(struct gpuvchan_request *request, struct cuda_green **made, struct cuda_context *of,
                       uint32_t description, uint32_t flags)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUdevResourceDesc found;
    struct cuda_green *green;
    int result = 0;

    if (!has_green(host->native))
        return lacks_green(host->native);
    if (!of->primary)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!description_find(host, description, &found))
        return CUDA_ERROR_INVALID_VALUE;
    green = (struct cuda_green *)cuda_object_create(host, CUDA_OBJECT_GREEN);
    if (!green)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (!cuda_lane_announce(lane, CUDA_SLOT_FIRST, &of->object))
        result = CUDA_ERROR_CONTEXT_IS_DESTROYED;
    if (result == 0)
        result = create_native(host->native, green, found, of->device, flags);
    if (result == 0) {
        green->primary = of;
        cuda_object_begin(host, &green->object, &of->object, request);
        *made = green;
    } else {
        cuda_object_destroy(host, &green->object);
    }
    return cuda_leave(lane, result);
}

static int
green_end(struct gpuvchan_request *request, struct cuda_green *green)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (lane->green == green) /* the guest makes none current before; a lane is in no context that has gone */
        cuda_lane_set_current(lane, NULL, NULL);
    if (!cuda_object_end(lane->host, lane, &green->object))
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    result = lane->host->native->cuGreenCtxDestroy(green->native);
    cuda_object_empty(lane->host, &green->object);
    cuda_object_destroy(lane->host, &green->object);
    return result;
}

int
cuda_host_green_destroy(struct gpuvchan_request *request, struct cuda_green *gone)
{
    return green_end(request, gone);
}

void
cuda_discard_green(struct gpuvchan_request *request, struct cuda_green *object)
{
    green_end(request, object);
}

void
cuda_greens_end(struct cuda_host *host, const struct cuda_context *context)
{
    struct cuda_object *object;

    pthread_mutex_lock(&host->lock);
    for (object = context->object.newest; object; object = object->older)
        if (object->kind == CUDA_OBJECT_GREEN && atomic_exchange(&object->alive, false))
            host->native->cuGreenCtxDestroy(((struct cuda_green *)object)->native);
    pthread_mutex_unlock(&host->lock);
}

int
cuda_host_green_set_current(struct gpuvchan_request *request, struct cuda_green *now)
{
    struct cuda_lane *lane = cuda_lane_of(request);

    if (!cuda_lane_announce(lane, CUDA_SLOT_CONTEXT, &now->object))
        return cuda_leave(lane, CUDA_ERROR_CONTEXT_IS_DESTROYED);
    return cuda_leave(lane, cuda_lane_set_current(lane, now->primary, now));
}
