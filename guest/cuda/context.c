/* SPDX-License-Identifier: MIT */
/*
 * Contexts: made, destroyed, waited for, and what is kept of them.
 *
 * Design notes: a destroyed context stays on the stacks of the threads that had it, where it answers
 * CUDA_ERROR_CONTEXT_IS_DESTROYED, until they pop it.
 */
#include "chunk.h"

#define PRIMARY_FLAGS_ALSO CU_CTX_MAP_HOST /* cuCtxGetFlags() says so of primary contexts */

pthread_mutex_t cuda_guest_contexts_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- Beginning and end ----------------------------------------------------------------------- */

CUresult
cuda_guest_context_create(int device, bool primary, struct cuda_guest_context **out)
{
    struct cuda_guest_context *context;
    CUresult result = cuda_guest_object_create(CUDA_HANDLE_CONTEXT, sizeof(*context), NULL, &context);

    if (result != CUDA_SUCCESS)
        return result;
    context->device = device;
    context->primary = primary;
    context->root = context;
    pthread_mutex_init(&context->lock, NULL);
    *out = context;
    return CUDA_SUCCESS;
}

void
cuda_guest_context_begin(struct cuda_guest_context *context, uint32_t wire)
{
    static _Atomic uint64_t ids;

    context->id = atomic_fetch_add(&ids, 1) + 1;
    atomic_store(&context->independent, false);
    atomic_store(&context->wire, wire);
}

CUresult
cuda_guest_context_wire(CUcontext handle, uint32_t *wire)
{
    const struct cuda_guest_context *context = cuda_guest_context_find(handle);

    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    *wire = atomic_load(&context->root->wire);
    return atomic_load(&context->wire) != 0 ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

/* Drops what was in the context, as the host has. */
static void
drop_contents(struct cuda_guest_context *context)
{
    struct cuda_guest_object *object;
    struct cuda_guest_range range;

    while ((object = cuda_guest_object_take_newest(context))) {
        if (object->kind == CUDA_HANDLE_MODULE)
            cuda_guest_module_drop((struct cuda_guest_module *)object);
        else if (object->kind == CUDA_HANDLE_EVENT)
            cuda_guest_event_drop((struct cuda_guest_event *)object);
        else if (object->kind == CUDA_HANDLE_LINK)
            cuda_guest_link_drop(object);
        else if (object->kind == CUDA_HANDLE_TEXTURE || object->kind == CUDA_HANDLE_SURFACE)
            cuda_guest_view_drop(object);
        else
            cuda_guest_object_free(object);
    }
    while (cuda_guest_range_take_of(context, NULL, &range)) {
        if (range.kind == CUDA_GUEST_REGISTERED)
            cuda_guest_registered_drop(&range);
        else
            gpuvchan_buffer_destroy(range.buffer);
    }
    cuda_guest_chunks_forget(context);
}

CUresult
cuda_guest_context_end(struct cuda_guest_thread *self, struct cuda_guest_context *context)
{
    uint32_t wire = atomic_exchange(&context->wire, 0);
    const struct gpuvchan_client *client = &cuda_guest.client;
    CUresult result = cuda_guest_tell(self, 0);
    int status;

    if (result != CUDA_SUCCESS)
        return result;
    if (context->primary)
        status = cuda_primary_release_on(client, self->lane, wire, cuda_guest.device[context->device].ordinal);
    else
        status = cuda_ctx_destroy_on(client, self->lane, wire);
    if (status < 0)
        return cuda_guest_result(status);
    cuda_guest_output_write(self, CUDA_SUCCESS);
    cuda_guest_greens_forget(context);
    drop_contents(context);
    if (context->primary)
        gpuvchan_handles_remove(cuda_guest.handles, wire, CUDA_HANDLE_CONTEXT);
    return CUDA_SUCCESS; /* also after a fault */
}

void
cuda_guest_context_ended(struct cuda_guest_context *context)
{
    if (context->storage_drop)
        context->storage_drop(context);
}

static CUresult
create_on_host(struct cuda_guest_context *context, unsigned flags, struct cuda_guest_thread *self)
{
    uint32_t wire = context->object.handle;
    CUresult result = cuda_guest_settle(self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_ctx_create_on(&cuda_guest.client, self->lane, wire, flags,
                                                      cuda_guest.device[context->device].ordinal));
    if (result == CUDA_SUCCESS)
        cuda_guest_context_begin(context, wire);
    return result;
}

ENTRY
cuCtxCreate_v2(CUcontext *handle, unsigned int flags, CUdevice device)
{
    struct cuda_guest_context *context;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || flags & ~(unsigned)CU_CTX_FLAGS_MASK)
        return CUDA_ERROR_INVALID_VALUE;
    if (!cuda_guest_device(device))
        return CUDA_ERROR_INVALID_DEVICE;
    result = cuda_guest_context_create(device, false, &context);
    if (result != CUDA_SUCCESS)
        return result;
    context->flags = flags;
    result = create_on_host(context, flags, self);
    if (result != CUDA_SUCCESS) {
        cuda_guest_object_undo(&context->object);
        return result;
    }
    *handle = cuda_guest_context_handle(context);
    return cuda_guest_push(self, context);
}
ENTRY_ALIAS(cuCtxCreate, cuCtxCreate_v2);

/* Parameters of affinity or of graphics would need the host's consent: plain contexts alone are made. */
ENTRY
cuCtxCreate_v3(CUcontext *handle, CUexecAffinityParam *affinity, int count, unsigned int flags, CUdevice device)
{
    if (affinity && count != 0)
        return CUDA_ERROR_NOT_SUPPORTED;
    return cuCtxCreate_v2(handle, flags, device);
}

ENTRY
cuCtxCreate_v4(CUcontext *handle, CUctxCreateParams *parameters, unsigned int flags, CUdevice device)
{
    if (parameters && (parameters->numExecAffinityParams != 0 || parameters->cigParams))
        return CUDA_ERROR_NOT_SUPPORTED;
    return cuCtxCreate_v2(handle, flags, device);
}

ENTRY
cuCtxDestroy_v2(CUcontext handle)
{
    CUresult result = cuda_guest_ready();
    struct cuda_guest_thread *self = cuda_guest_self();
    struct cuda_guest_context *context;

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    context = cuda_guest_context_find(handle);
    if (!context || context->root->primary)
        return CUDA_ERROR_INVALID_CONTEXT;
    pthread_mutex_lock(&cuda_guest_contexts_lock);
    result = atomic_load(&context->wire) == 0 ? CUDA_ERROR_CONTEXT_IS_DESTROYED : cuda_guest_context_end(self, context);
    pthread_mutex_unlock(&cuda_guest_contexts_lock);
    if (result == CUDA_SUCCESS && cuda_guest_current(self) == context)
        self->depth--;
    if (result == CUDA_SUCCESS)
        cuda_guest_context_ended(context);
    return result;
}
ENTRY_ALIAS(cuCtxDestroy, cuCtxDestroy_v2);

/* ---- Waiting --------------------------------------------------------------------------------- */

ENTRY
cuCtxSynchronize_v2(CUcontext handle)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result == CUDA_SUCCESS && handle && cuda_guest_context_find(handle) != cuda_guest_view(self)) {
        /* Another context's: through the stack, as there is one record for both. */
        result = cuCtxPushCurrent_v2(handle);
        if (result != CUDA_SUCCESS)
            return result;
        result = cuCtxSynchronize();
        self->depth--;
        return result;
    }
    return result == CUDA_SUCCESS ? cuda_guest_wait_context(self) : result;
}

ENTRY
cuCtxSynchronize(void)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    return result == CUDA_SUCCESS ? cuda_guest_wait_context(self) : result;
}

/* ---- What is kept ---------------------------------------------------------------------------- */

/* The context of @p handle, or the current one for NULL; it may be destroyed. */
static CUresult
context_or_current(CUcontext handle, struct cuda_guest_context **context)
{
    CUresult result = cuda_guest_ready();

    if (result != CUDA_SUCCESS)
        return result;
    *context = handle ? cuda_guest_context_find(handle) : cuda_guest_view(cuda_guest_self());
    return *context ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

ENTRY
cuCtxGetDevice_v2(CUdevice *device, CUcontext handle)
{
    struct cuda_guest_context *context;
    CUresult result = context_or_current(handle, &context);

    if (result != CUDA_SUCCESS)
        return result;
    if (!device)
        return CUDA_ERROR_INVALID_VALUE;
    *device = context->device;
    return CUDA_SUCCESS;
}

ENTRY
cuCtxGetDevice(CUdevice *device)
{
    return cuCtxGetDevice_v2(device, NULL);
}

ENTRY
cuCtxGetFlags(unsigned int *flags)
{
    struct cuda_guest_context *context;
    CUresult result = context_or_current(NULL, &context);

    if (result != CUDA_SUCCESS)
        return result;
    if (!flags)
        return CUDA_ERROR_INVALID_VALUE;
    *flags =
        context->root->primary ? cuda_guest.device[context->device].primary_flags | PRIMARY_FLAGS_ALSO : context->flags;
    return CUDA_SUCCESS;
}

ENTRY
cuCtxGetId(CUcontext handle, unsigned long long *id)
{
    struct cuda_guest_context *context;
    CUresult result = context_or_current(handle, &context);

    if (result != CUDA_SUCCESS)
        return result;
    if (!id)
        return CUDA_ERROR_INVALID_VALUE;
    *id = context->id;
    return CUDA_SUCCESS;
}

ENTRY
cuCtxGetApiVersion(CUcontext handle, unsigned int *version)
{
    struct cuda_guest_context *context;
    CUresult result = context_or_current(handle, &context);

    if (result != CUDA_SUCCESS)
        return result;
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    if (atomic_load(&context->wire) == 0)
        return CUDA_ERROR_INVALID_CONTEXT;
    *version = 3020; /* of today's contexts */
    return CUDA_SUCCESS;
}
