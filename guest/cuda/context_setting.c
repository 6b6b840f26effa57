/* SPDX-License-Identifier: MIT */
/* Settings of the current context that few programs touch, and its old counting of users. */
#include "context.h"

ENTRY
cuCtxGetSharedMemConfig(CUsharedconfig *config)
{
    struct cuda_guest_thread *self;
    int32_t found = 0;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_result(cuda_ctx_get_shared_config_on(&cuda_guest.client, self->lane, &found));
    if (result == CUDA_SUCCESS)
        *config = (CUsharedconfig)found;
    return result;
}

ENTRY
cuCtxSetSharedMemConfig(CUsharedconfig config)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_ctx_set_shared_config_on(&cuda_guest.client, self->lane, (int)config));
}

ENTRY
cuCtxSetFlags(unsigned int flags)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_context *context;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    result = cuda_guest_result(cuda_ctx_set_flags_on(&cuda_guest.client, self->lane, flags));
    if (result != CUDA_SUCCESS)
        return result;
    context = cuda_guest_current(self);
    pthread_mutex_lock(&cuda_guest_contexts_lock);
    *(context->primary ? &cuda_guest.device[context->device].primary_flags : &context->flags) = flags;
    pthread_mutex_unlock(&cuda_guest_contexts_lock);
    return CUDA_SUCCESS;
}

ENTRY
cuCtxResetPersistingL2Cache(void)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_ctx_reset_persisting_on(&cuda_guest.client, self->lane));
}

ENTRY
cuCtxGetExecAffinity(CUexecAffinityParam *affinity, CUexecAffinityType kind)
{
    struct cuda_guest_thread *self;
    uint32_t multiprocessors = 0;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!affinity)
        return CUDA_ERROR_INVALID_VALUE;
    result =
        cuda_guest_result(cuda_ctx_get_affinity_on(&cuda_guest.client, self->lane, (int32_t)kind, &multiprocessors));
    if (result == CUDA_SUCCESS)
        *affinity = (CUexecAffinityParam){.type = kind, .param.smCount.val = multiprocessors};
    return result;
}

/* ---- Users ----------------------------------------------------------------------------------- */

ENTRY
cuCtxAttach(CUcontext *handle, unsigned int flags)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_context *context;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    context = cuda_guest_current(self);
    if (context->primary)
        return CUDA_ERROR_INVALID_CONTEXT;
    pthread_mutex_lock(&cuda_guest_contexts_lock);
    context->attached++;
    pthread_mutex_unlock(&cuda_guest_contexts_lock);
    *handle = cuda_guest_context_handle(context);
    return CUDA_SUCCESS;
}

/* The last one destroys it. */
ENTRY
cuCtxDetach(CUcontext handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_context *context;
    bool last;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    context = cuda_guest_context_find(handle);
    if (!context || context->primary || context != cuda_guest_current(self))
        return CUDA_ERROR_INVALID_CONTEXT;
    pthread_mutex_lock(&cuda_guest_contexts_lock);
    last = context->attached == 0;
    if (!last)
        context->attached--;
    pthread_mutex_unlock(&cuda_guest_contexts_lock);
    return last ? cuCtxDestroy_v2(handle) : CUDA_SUCCESS;
}
