/* SPDX-License-Identifier: MIT */
/*
 * Green contexts: parts of a device's multiprocessors.
 *
 * Design notes: a green context is another way to look at the device's primary context. What is made in it belongs to
 * that one, and its own are the multiprocessors and the streams. So it is a struct cuda_guest_context whose root is the
 * primary one. Threads have it on their stacks; everybody else asks for the root. The program's CUgreenCtx and CUcontext
 * of it are the same value.
 *
 * A CUdevResource is memory of the program's, which the driver would believe. Ours holds a number, the driver's own
 * stays with the host.
 */
#include <string.h>

#include "context.h"

#define FACTS 4u /* that records have of a part */
#define PARTS_MAX (CUDA_RESOURCE_DESCRIBE_NUMBERS_MAX - 1)

_Static_assert((PARTS_MAX + 1) * FACTS == CUDA_RESOURCE_SPLIT_FACTS_MAX, "the parts, and what remains");

/* ---- Parts ----------------------------------------------------------------------------------- */

static void
resource_write(CUdevResource *resource, const uint32_t facts[FACTS])
{
    uint64_t number = HANDLE_TAG << 32 | facts[0];

    memset(resource, 0, sizeof(*resource));
    resource->type = CU_DEV_RESOURCE_TYPE_SM;
    memcpy(resource->_internal_padding, &number, sizeof(number));
    resource->sm = (CUdevSmResource){facts[1], facts[2], facts[3]};
}

static CUresult
resource_read(const CUdevResource *resource, uint32_t *number)
{
    uint64_t value;

    if (resource->type != CU_DEV_RESOURCE_TYPE_SM)
        return CUDA_ERROR_INVALID_RESOURCE_TYPE;
    memcpy(&value, resource->_internal_padding, sizeof(value));
    *number = (uint32_t)value;
    return value >> 32 == HANDLE_TAG ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

ENTRY
cuDeviceGetDevResource(CUdevice number, CUdevResource *resource, CUdevResourceType type)
{
    struct cuda_guest_device *device = cuda_guest_device(number);
    uint32_t facts[FACTS] = {0};
    size_t count = FACTS;
    CUresult result = cuda_guest_ready();

    if (result != CUDA_SUCCESS)
        return result;
    if (!resource)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    result = cuda_guest_result(cuda_device_resource(&cuda_guest.client, device->ordinal, (int32_t)type, facts, &count));
    if (result == CUDA_SUCCESS)
        resource_write(resource, facts);
    return result;
}

/* Has the lane act in @p context until the next entry point. */
static CUresult
enter_for(struct cuda_guest_context *context, struct cuda_guest_thread **self)
{
    CUresult result = cuda_guest_enter_outside(self);
    uint32_t wire;

    if (result != CUDA_SUCCESS)
        return result;
    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    wire = atomic_load(&context->wire);
    return wire != 0 ? cuda_guest_tell(*self, wire) : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

ENTRY
cuCtxGetDevResource(CUcontext handle, CUdevResource *resource, CUdevResourceType type)
{
    CUresult result = cuda_guest_ready();
    struct cuda_guest_thread *self;
    uint32_t facts[FACTS] = {0};
    size_t count = FACTS;

    if (result != CUDA_SUCCESS)
        return result;
    if (!resource)
        return CUDA_ERROR_INVALID_VALUE;
    result = enter_for(handle ? cuda_guest_context_find(handle) : NULL, &self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_ctx_resource_on(&cuda_guest.client, self->lane, (int32_t)type, facts, &count));
    if (result == CUDA_SUCCESS)
        resource_write(resource, facts);
    return result;
}

/* Without @p parts they are counted alone. */
static CUresult
split(struct cuda_guest_thread *self, uint32_t number, CUdevResource *parts, unsigned int *count,
      CUdevResource *remaining, unsigned int flags, unsigned int least)
{
    uint32_t facts[CUDA_RESOURCE_SPLIT_FACTS_MAX] = {0};
    uint32_t wanted = parts && *count < PARTS_MAX ? *count : PARTS_MAX, made = 0;
    size_t fact_count = CUDA_RESOURCE_SPLIT_FACTS_MAX;
    CUresult result =
        cuda_guest_result(cuda_resource_split_on(&cuda_guest.client, self->lane, number, parts == NULL,
                                                 remaining != NULL, wanted, flags, least, &made, facts, &fact_count));

    if (result != CUDA_SUCCESS)
        return result;
    for (uint32_t i = 0; parts && i < made && i < wanted; i++)
        resource_write(&parts[i], facts + i * FACTS);
    if (remaining && fact_count >= FACTS && facts[fact_count - FACTS + 1] != 0)
        resource_write(remaining, facts + fact_count - FACTS);
    else if (remaining)
        memset(remaining, 0, sizeof(*remaining)); /* of no type: nothing remains */
    *count = made;
    return CUDA_SUCCESS;
}

ENTRY
cuDevSmResourceSplitByCount(CUdevResource *parts, unsigned int *count, const CUdevResource *input,
                            CUdevResource *remaining, unsigned int flags, unsigned int least)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter_outside(&self);
    uint32_t number;

    if (result != CUDA_SUCCESS)
        return result;
    if (!count || !input || (parts && *count == 0))
        return CUDA_ERROR_INVALID_VALUE;
    result = resource_read(input, &number);
    return result == CUDA_SUCCESS ? split(self, number, parts, count, remaining, flags, least) : result;
}

/* A description is the host's number as well. */
ENTRY
cuDevResourceGenerateDesc(CUdevResourceDesc *description, CUdevResource *resources, unsigned int count)
{
    uint32_t numbers[CUDA_RESOURCE_DESCRIBE_NUMBERS_MAX], made = 0;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!description || !resources || count == 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (count > CUDA_RESOURCE_DESCRIBE_NUMBERS_MAX)
        return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
    for (unsigned int i = 0; i < count && result == CUDA_SUCCESS; i++)
        result = resource_read(&resources[i], &numbers[i]);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_resource_describe_on(&cuda_guest.client, self->lane, numbers, count, &made));
    if (result == CUDA_SUCCESS)
        *description = (CUdevResourceDesc)(uintptr_t)(HANDLE_TAG << 32 | made);
    return result;
}

/* ---- Beginning and end ----------------------------------------------------------------------- */

static struct cuda_guest_context *
green_find(CUgreenCtx handle)
{
    struct cuda_guest_context *found = cuda_guest_context_find((CUcontext)handle);

    return found && found->root != found ? found : NULL;
}

static CUgreenCtx
green_handle(struct cuda_guest_context *view)
{
    return view && view->root != view ? cuda_guest_handle(&view->object) : NULL;
}

/* With the contexts' lock, and a user counted at the root. */
static CUresult
green_begin(struct cuda_guest_thread *self, struct cuda_guest_context *green, uint32_t description, unsigned int flags)
{
    uint32_t wire;
    CUresult result = cuda_guest_settle(self);

    if (result != CUDA_SUCCESS)
        return result;
    if (gpuvchan_handles_assign(cuda_guest.handles, CUDA_HANDLE_GREEN, green, &wire) != 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = cuda_guest_result(cuda_green_create_on(&cuda_guest.client, self->lane, wire,
                                                    atomic_load(&green->root->wire), description, flags));
    if (result != CUDA_SUCCESS) {
        gpuvchan_handles_remove(cuda_guest.handles, wire, CUDA_HANDLE_GREEN);
        return result;
    }
    cuda_guest_context_begin(green, wire);
    green->next_green = green->root->greens;
    green->root->greens = green;
    atomic_store(&green->root->independent, true); /* its streams do not wait for the primary context's */
    return CUDA_SUCCESS;
}

/* With the contexts' lock. */
static CUresult
green_create(struct cuda_guest_thread *self, CUdevice number, uint32_t description, unsigned int flags,
             struct cuda_guest_context **out, bool *ended)
{
    struct cuda_guest_device *device = cuda_guest_device(number);
    struct cuda_guest_context *green;
    CUresult result = cuda_guest_primary_retain(self, device, number);

    if (result != CUDA_SUCCESS)
        return result;
    result = cuda_guest_context_create(number, false, &green);
    if (result == CUDA_SUCCESS) {
        green->root = device->primary;
        result = green_begin(self, green, description, flags);
        if (result != CUDA_SUCCESS)
            cuda_guest_object_undo(&green->object);
    }
    if (result != CUDA_SUCCESS)
        cuda_guest_primary_release(device, ended);
    *out = green;
    return result;
}

ENTRY
cuGreenCtxCreate(CUgreenCtx *handle, CUdevResourceDesc description, CUdevice number, unsigned int flags)
{
    struct cuda_guest_context *green;
    struct cuda_guest_thread *self;
    bool ended = false;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || (uintptr_t)description >> 32 != HANDLE_TAG || flags != CU_GREEN_CTX_DEFAULT_STREAM)
        return CUDA_ERROR_INVALID_VALUE;
    if (!cuda_guest_device(number))
        return CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&cuda_guest_contexts_lock);
    result = green_create(self, number, (uint32_t)(uintptr_t)description, flags, &green, &ended);
    pthread_mutex_unlock(&cuda_guest_contexts_lock);
    if (ended)
        cuda_guest_context_ended(cuda_guest.device[number].primary);
    if (result == CUDA_SUCCESS)
        *handle = green_handle(green);
    return result;
}

/* With the contexts' lock. */
static CUresult
green_end(struct cuda_guest_thread *self, struct cuda_guest_context *green, bool *ended)
{
    struct cuda_guest_context **at = &green->root->greens;
    uint32_t wire = atomic_load(&green->wire);
    CUresult result;

    if (wire == 0)
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    result = cuda_guest_tell(self, 0);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_green_destroy_on(&cuda_guest.client, self->lane, wire));
    if (result != CUDA_SUCCESS)
        return result;
    atomic_store(&green->wire, 0);
    gpuvchan_handles_remove(cuda_guest.handles, wire, CUDA_HANDLE_GREEN);
    while (*at != green)
        at = &(*at)->next_green;
    *at = green->next_green;
    return cuda_guest_primary_release(&cuda_guest.device[green->device], ended);
}

ENTRY
cuGreenCtxDestroy(CUgreenCtx handle)
{
    struct cuda_guest_context *green = NULL;
    struct cuda_guest_thread *self;
    bool ended = false;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result == CUDA_SUCCESS)
        green = green_find(handle);
    if (result == CUDA_SUCCESS && !green)
        result = CUDA_ERROR_INVALID_CONTEXT;
    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&cuda_guest_contexts_lock);
    result = green_end(self, green, &ended);
    pthread_mutex_unlock(&cuda_guest_contexts_lock);
    if (ended)
        cuda_guest_context_ended(green->root);
    return result;
}

void
cuda_guest_greens_forget(struct cuda_guest_context *root)
{
    struct cuda_guest_context *green;

    while ((green = root->greens)) {
        root->greens = green->next_green;
        gpuvchan_handles_remove(cuda_guest.handles, atomic_exchange(&green->wire, 0), CUDA_HANDLE_GREEN);
    }
}

/* ---- Use ------------------------------------------------------------------------------------- */

/* The green context of @p handle, alive. */
static CUresult
green_ready(CUgreenCtx handle, struct cuda_guest_context **green)
{
    CUresult result = cuda_guest_ready();

    if (result != CUDA_SUCCESS)
        return result;
    *green = green_find(handle);
    if (!*green)
        return CUDA_ERROR_INVALID_CONTEXT;
    return atomic_load(&(*green)->wire) != 0 ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

ENTRY
cuCtxFromGreenCtx(CUcontext *context, CUgreenCtx handle)
{
    struct cuda_guest_context *green;
    CUresult result = green_ready(handle, &green);

    if (result == CUDA_SUCCESS && !context)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *context = cuda_guest_context_handle(green);
    return result;
}

ENTRY
cuGreenCtxGetDevResource(CUgreenCtx handle, CUdevResource *resource, CUdevResourceType type)
{
    struct cuda_guest_context *green;
    CUresult result = green_ready(handle, &green);

    return result == CUDA_SUCCESS ? cuCtxGetDevResource(cuda_guest_context_handle(green), resource, type) : result;
}

ENTRY
cuGreenCtxRecordEvent(CUgreenCtx handle, CUevent event)
{
    struct cuda_guest_context *green;
    CUresult result = green_ready(handle, &green);

    return result == CUDA_SUCCESS ? cuCtxRecordEvent(cuda_guest_context_handle(green), event) : result;
}

ENTRY
cuGreenCtxWaitEvent(CUgreenCtx handle, CUevent event)
{
    struct cuda_guest_context *green;
    CUresult result = green_ready(handle, &green);

    return result == CUDA_SUCCESS ? cuCtxWaitEvent(cuda_guest_context_handle(green), event) : result;
}

ENTRY
cuGreenCtxStreamCreate(CUstream *stream, CUgreenCtx handle, unsigned int flags, int priority)
{
    struct cuda_guest_thread *self = cuda_guest_self();
    struct cuda_guest_context *green;
    CUresult result = green_ready(handle, &green);

    if (result != CUDA_SUCCESS)
        return result;
    if (flags != CU_STREAM_NON_BLOCKING)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_push(self, green);
    if (result != CUDA_SUCCESS)
        return result;
    result = cuStreamCreateWithPriority(stream, flags, priority);
    self->depth--;
    return result;
}

ENTRY
cuGreenCtxGetId(CUgreenCtx handle, unsigned long long *id)
{
    CUresult result = cuda_guest_ready();
    struct cuda_guest_context *green;

    if (result != CUDA_SUCCESS)
        return result;
    result = green_ready(handle ? handle : green_handle(cuda_guest_view(cuda_guest_self())), &green);
    if (result == CUDA_SUCCESS && !id)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *id = green->id;
    return result;
}

/* ---- Of streams ------------------------------------------------------------------------------ */

/* Where a stream works: the context, or the green one, that it was made in; for the default ones the current one. */
static CUresult
stream_view(CUstream stream, struct cuda_guest_context **view)
{
    const struct cuda_guest_stream *found;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    *view = cuda_guest_view(self);
    if ((uintptr_t)stream <= CUDA_GUEST_WIRE_PER_THREAD)
        return CUDA_SUCCESS;
    found = cuda_guest_find(stream, CUDA_HANDLE_STREAM);
    if (!found)
        return CUDA_ERROR_INVALID_HANDLE;
    *view = found->view;
    return atomic_load(&found->view->wire) != 0 ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

ENTRY
cuStreamGetCtx(CUstream stream, CUcontext *context)
{
    struct cuda_guest_context *view;
    CUresult result = stream_view(stream, &view);

    if (result == CUDA_SUCCESS && !context)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *context = cuda_guest_context_handle(view);
    return result;
}

ENTRY
cuStreamGetCtx_ptsz(CUstream stream, CUcontext *context)
{
    return cuStreamGetCtx(cuda_guest_per_thread(stream), context);
}

/* A stream of a green context has the primary one here. */
ENTRY
cuStreamGetCtx_v2(CUstream stream, CUcontext *context, CUgreenCtx *green)
{
    struct cuda_guest_context *view;
    CUresult result = stream_view(stream, &view);

    if (result == CUDA_SUCCESS && !context)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    *context = cuda_guest_context_handle(view->root);
    if (green)
        *green = green_handle(view);
    return CUDA_SUCCESS;
}

ENTRY
cuStreamGetCtx_v2_ptsz(CUstream stream, CUcontext *context, CUgreenCtx *green)
{
    return cuStreamGetCtx_v2(cuda_guest_per_thread(stream), context, green);
}

ENTRY
cuStreamGetGreenCtx(CUstream stream, CUgreenCtx *green)
{
    struct cuda_guest_context *view;
    CUresult result = stream_view(stream, &view);

    if (result == CUDA_SUCCESS && !green)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *green = green_handle(view);
    return result;
}
