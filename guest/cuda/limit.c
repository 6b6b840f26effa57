/* SPDX-License-Identifier: MIT */
/* Settings of the current context that the host knows. */
#include "context.h"

ENTRY
cuCtxGetLimit(size_t *value, CUlimit limit)
{
    struct cuda_guest_thread *self;
    uint64_t found = 0;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_result(cuda_ctx_get_limit_on(&cuda_guest.client, self->lane, (int)limit, &found));
    if (result == CUDA_SUCCESS)
        *value = found;
    return result;
}

ENTRY
cuCtxSetLimit(CUlimit limit, size_t value)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_ctx_set_limit_on(&cuda_guest.client, self->lane, (int)limit, value));
}

ENTRY
cuCtxGetCacheConfig(CUfunc_cache *config)
{
    struct cuda_guest_thread *self;
    int32_t found = 0;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_result(cuda_ctx_get_cache_config_on(&cuda_guest.client, self->lane, &found));
    if (result == CUDA_SUCCESS)
        *config = (CUfunc_cache)found;
    return result;
}

ENTRY
cuCtxSetCacheConfig(CUfunc_cache config)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_result(cuda_ctx_set_cache_config_on(&cuda_guest.client, self->lane, (int)config));
}

CUresult
cuda_guest_priorities(struct cuda_guest_thread *self, struct cuda_guest_context *context)
{
    CUresult result = CUDA_SUCCESS;

    pthread_mutex_lock(&context->lock);
    if (!context->priorities_known) {
        result = cuda_guest_result(
            cuda_ctx_priority_range_on(&cuda_guest.client, self->lane, &context->least, &context->greatest));
        context->priorities_known = result == CUDA_SUCCESS;
    }
    pthread_mutex_unlock(&context->lock);
    return result;
}

ENTRY
cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);
    struct cuda_guest_context *context = cuda_guest_current(self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_priorities(self, context);
    if (result != CUDA_SUCCESS)
        return result;
    if (least)
        *least = context->least;
    if (greatest)
        *greatest = context->greatest;
    return CUDA_SUCCESS;
}
