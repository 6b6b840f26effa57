/* SPDX-License-Identifier: MIT */
/*
 * Contexts: the roots of all that a guest process has.
 *
 * The driver keeps a current context per thread, so a lane's thread has that of its guest thread; functions
 * here that need another for a moment put it back.
 */
#include "cuda_plugin.h"

/* ---- Making ---------------------------------------------------------------------------------- */

/* False: it is the primary context of a device whose primary context is there already. */
static bool
enlist(struct cuda_host *host, struct cuda_context *context)
{
    bool taken;

    pthread_mutex_lock(&host->lock);
    taken = context->primary && host->primaries[context->device];
    if (!taken) {
        context->newer = NULL;
        context->older = host->newest;
        if (context->older)
            context->older->newer = context;
        host->newest = context;
        if (context->primary)
            host->primaries[context->device] = context;
    }
    pthread_mutex_unlock(&host->lock);
    return !taken;
}

static int
context_create(const struct gpuvchan_request *request, CUcontext native, CUdevice device, bool primary,
               struct cuda_context **made)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_context *context = (struct cuda_context *)cuda_object_create(host, CUDA_OBJECT_CONTEXT);
    int reads = 0;

    if (!context)
        return CUDA_ERROR_OUT_OF_MEMORY;
    host->native->cuDeviceGetAttribute(&reads, CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS, device);
    context->native = native;
    context->device = device;
    context->primary = primary;
    context->began = NULL;
    context->reads_pageable = reads != 0;
    if (!enlist(host, context)) {
        cuda_object_destroy(host, &context->object);
        return CUDA_ERROR_CONTEXT_ALREADY_IN_USE; /* the guest counts its retains and sends the first alone */
    }
    cuda_object_begin(host, &context->object, NULL, request);
    *made = context;
    return 0;
}

static void
put_back_current(struct cuda_host *host, const struct cuda_lane *lane)
{
    bool alive = lane && lane->current && cuda_object_alive(cuda_lane_scope(lane));

    host->native->cuCtxSetCurrent(alive ? cuda_lane_native(lane) : NULL);
}

static void
begin(struct cuda_host *host, struct cuda_lane *lane, struct cuda_context *context)
{
    host->native->cuCtxSetCurrent(context->native);
    cuda_completions_begin(host, context);
    put_back_current(host, lane);
}

int
cuda_host_primary_retain(struct gpuvchan_request *request, struct cuda_context **made, uint32_t device)
{
    struct cuda_host *host = cuda_host_of(request);
    const struct cuda_driver *native = host->native;
    CUcontext context;
    CUdevice number;
    int result;

    if (device >= (uint32_t)native->devices)
        return CUDA_ERROR_INVALID_DEVICE;
    result = native->cuDeviceGet(&number, (int)device);
    if (result == CUDA_SUCCESS)
        result = cuda_warm_retain(native, &context, device, number);
    if (result != CUDA_SUCCESS)
        return result;
    result = context_create(request, context, number, true, made);
    if (result != 0) {
        native->cuDevicePrimaryCtxRelease(number);
        return result;
    }
    begin(host, cuda_lane_of(request), *made);
    return 0;
}

int
cuda_host_ctx_create(struct gpuvchan_request *request, struct cuda_context **made, uint32_t flags, uint32_t device)
{
    struct cuda_host *host = cuda_host_of(request);
    const struct cuda_driver *native = host->native;
    CUcontext context;
    CUdevice number;
    int result;

    if (device >= (uint32_t)native->devices)
        return CUDA_ERROR_INVALID_DEVICE;
    cuda_warm_end(native);
    result = native->cuDeviceGet(&number, (int)device);
    if (result == CUDA_SUCCESS)
        result = native->cuCtxCreate(&context, flags, number); /* and makes it current: begin() puts that back */
    if (result != CUDA_SUCCESS)
        return result;
    result = context_create(request, context, number, false, made);
    if (result != 0) {
        native->cuCtxDestroy(context);
        put_back_current(host, cuda_lane_of(request));
        return result;
    }
    begin(host, cuda_lane_of(request), *made);
    return 0;
}

int
cuda_host_primary_set_flags(struct gpuvchan_request *request, uint32_t device, uint32_t flags)
{
    const struct cuda_driver *native = cuda_native(request);
    CUdevice number;
    CUresult result;

    if (device >= (uint32_t)native->devices)
        return CUDA_ERROR_INVALID_DEVICE;
    if (flags & ~(uint32_t)CU_CTX_SCHED_MASK)
        cuda_warm_end(native); /* how to wait may change at any time; all else a context has from its beginning */
    result = native->cuDeviceGet(&number, (int)device);
    return result == CUDA_SUCCESS ? native->cuDevicePrimaryCtxSetFlags(number, flags) : result;
}

/* ---- Ending ---------------------------------------------------------------------------------- */

static int
destroy_native(struct cuda_host *host, const struct cuda_context *context, bool reset)
{
    const struct cuda_driver *native = host->native;
    CUresult result;

    if (!context->primary)
        return native->cuCtxDestroy(context->native);
    if (!reset)
        return native->cuDevicePrimaryCtxRelease(context->device);
    result = native->cuDevicePrimaryCtxReset(context->device);
    /* Gives back the one retain that it had, where a reset does not do that by itself. */
    native->cuDevicePrimaryCtxRelease(context->device);
    return result;
}

static struct cuda_range *
take_registered(struct cuda_host *host, const struct cuda_context *context)
{
    struct cuda_range **at = &host->registered, *range;

    pthread_mutex_lock(&host->lock);
    while (*at && atomic_load(&(*at)->object.owner) != &context->object)
        at = &(*at)->next;
    range = *at;
    if (range)
        *at = range->next;
    pthread_mutex_unlock(&host->lock);
    return range;
}

static void
unlist(struct cuda_host *host, struct cuda_context *context)
{
    pthread_mutex_lock(&host->lock);
    if (context->newer)
        context->newer->older = context->older;
    else
        host->newest = context->older;
    if (context->older)
        context->older->newer = context->newer;
    if (context->primary)
        host->primaries[context->device] = NULL;
    pthread_mutex_unlock(&host->lock);
}

int
cuda_context_end(struct cuda_host *host, struct cuda_lane *self, struct cuda_context *context, bool reset)
{
    struct cuda_range *range;
    int result;

    if (!cuda_object_end(host, self, &context->object))
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    /* Its errors are of no interest here: after a fault all that follows fails, and still frees. */
    host->native->cuCtxSetCurrent(context->native);
    host->native->cuCtxSynchronize();
    cuda_completions_move(host, self, context);
    cuda_chunks_end(host, context);
    /* Registrations are of the process as much as of the context; all else goes with the context. */
    while ((range = take_registered(host, context)))
        host->native->cuMemHostUnregister(range->memory);
    cuda_greens_end(host, context);
    cuda_ipc_end(host, context);
    host->native->cuCtxSetCurrent(NULL);
    result = destroy_native(host, context, reset);
    cuda_output_settle(host);
    unlist(host, context); /* not before: a primary context that is retained meanwhile would be released for it */
    put_back_current(host, self);
    cuda_object_empty(host, &context->object);
    cuda_object_destroy(host, &context->object);
    return result;
}

static int
end(struct gpuvchan_request *request, struct cuda_context *gone, bool primary, bool reset)
{
    struct cuda_lane *lane = cuda_lane_of(request);

    /* The other kind keeps its context, which nobody can name any more, until the guest process ends. */
    if (gone->primary != primary)
        return CUDA_ERROR_INVALID_CONTEXT;
    return cuda_context_end(lane->host, lane, gone, reset);
}

int
cuda_host_primary_release(struct gpuvchan_request *request, struct cuda_context *gone, uint32_t device)
{
    (void)device; /* the handle says it */
    return end(request, gone, true, false);
}

int
cuda_host_primary_reset(struct gpuvchan_request *request, struct cuda_context *gone, uint32_t device)
{
    (void)device;
    return end(request, gone, true, true);
}

int
cuda_host_ctx_destroy(struct gpuvchan_request *request, struct cuda_context *gone)
{
    return end(request, gone, false, false);
}

void
cuda_discard_context(struct gpuvchan_request *request, struct cuda_context *object)
{
    cuda_context_end(cuda_host_of(request), cuda_lane_of(request), object, false);
}

/* ---- Being current --------------------------------------------------------------------------- */

int
cuda_lane_set_current(struct cuda_lane *lane, struct cuda_context *now, struct cuda_green *green)
{
    CUcontext native = green ? green->context : now ? now->native : NULL;
    CUresult result = lane->host->native->cuCtxSetCurrent(native);

    if (result == CUDA_SUCCESS) {
        lane->current = now;
        lane->green = green;
    }
    return result;
}

int
cuda_host_ctx_set_current(struct gpuvchan_request *request, struct cuda_context *now)
{
    struct cuda_lane *lane = cuda_lane_of(request);

    if (now && !cuda_lane_announce(lane, CUDA_SLOT_CONTEXT, &now->object))
        return cuda_leave(lane, CUDA_ERROR_CONTEXT_IS_DESTROYED);
    return cuda_leave(lane, cuda_lane_set_current(lane, now, NULL));
}

int
cuda_host_ctx_synchronize(struct gpuvchan_request *request)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, NULL, NULL);

    if (result != 0)
        return result;
    result = cuda_native(request)->cuCtxSynchronize();
    cuda_output_settle(lane->host);
    return cuda_leave(lane, result);
}

int
cuda_host_ctx_get_limit(struct gpuvchan_request *request, int32_t limit, uint64_t *value)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, NULL, NULL);
    size_t got = 0;

    if (result != 0)
        return result;
    result = cuda_native(request)->cuCtxGetLimit(&got, (CUlimit)limit);
    *value = got;
    return cuda_leave(lane, result);
}

int
cuda_host_ctx_set_limit(struct gpuvchan_request *request, int32_t limit, uint64_t value)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, NULL, NULL);

    return result ? result : cuda_leave(lane, cuda_native(request)->cuCtxSetLimit((CUlimit)limit, value));
}

int
cuda_host_ctx_get_cache_config(struct gpuvchan_request *request, int32_t *config)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, NULL, NULL);
    CUfunc_cache got = CU_FUNC_CACHE_PREFER_NONE;

    if (result != 0)
        return result;
    result = cuda_native(request)->cuCtxGetCacheConfig(&got);
    *config = (int32_t)got;
    return cuda_leave(lane, result);
}

int
cuda_host_ctx_set_cache_config(struct gpuvchan_request *request, int32_t config)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, NULL, NULL);

    return result ? result : cuda_leave(lane, cuda_native(request)->cuCtxSetCacheConfig((CUfunc_cache)config));
}

int
cuda_host_ctx_priority_range(struct gpuvchan_request *request, int32_t *least, int32_t *greatest)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, NULL, NULL);

    return result ? result : cuda_leave(lane, cuda_native(request)->cuCtxGetStreamPriorityRange(least, greatest));
}
