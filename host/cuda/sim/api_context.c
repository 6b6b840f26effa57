/* SPDX-License-Identifier: MIT */
/* Primary contexts, contexts, and which of them a thread works in. */
#include "graph.h"

#define CTX_FLAGS CU_CTX_FLAGS_MASK

static bool
is_device(CUdevice device)
{
    return device >= 0 && device < sim_driver.device_count;
}

/* The three ways of waiting exclude each other. */
static bool
are_flags(unsigned int flags)
{
    unsigned int wait = flags & CU_CTX_SCHED_MASK;

    return !(flags & ~(unsigned int)CTX_FLAGS) && !(wait & (wait - 1));
}

/* Lock, and a device that is there. */
static CUresult
begin_device(CUdevice device)
{
    CUresult result = sim_begin();

    if (result)
        return result;
    return is_device(device) ? CUDA_SUCCESS : sim_end(CUDA_ERROR_INVALID_DEVICE);
}

SIM_EXPORT CUresult
cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice number)
{
    CUresult result = begin_device(number);
    struct sim_device *device;

    if (result)
        return result;
    if (!context)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    device = &sim_driver.devices[number];
    if (!device->primary) {
        result = sim_context_create(number, device->primary_flags, &device->primary);
        if (result)
            return sim_end(result);
        device->primary->primary = true;
    }
    device->primary->references++;
    *context = (CUcontext)device->primary;
    return sim_end(CUDA_SUCCESS);
}

static void
destroy_primary(struct sim_device *device)
{
    struct sim_context *context = device->primary;

    device->primary = NULL;
    sim_context_destroy(context);
}

SIM_EXPORT CUresult
cuDevicePrimaryCtxRelease_v2(CUdevice number)
{
    CUresult result = begin_device(number);
    struct sim_device *device;

    if (result)
        return result;
    device = &sim_driver.devices[number];
    if (!device->primary)
        return sim_end(CUDA_ERROR_INVALID_CONTEXT);
    if (--device->primary->references == 0)
        destroy_primary(device);
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuDevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2);

/* Those who retained it keep their references to a fresh, empty one. */
SIM_EXPORT CUresult
cuDevicePrimaryCtxReset_v2(CUdevice number)
{
    CUresult result = begin_device(number);
    struct sim_device *device;

    if (result)
        return result;
    device = &sim_driver.devices[number];
    if (device->primary)
        destroy_primary(device);
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuDevicePrimaryCtxReset, cuDevicePrimaryCtxReset_v2);

SIM_EXPORT CUresult
cuDevicePrimaryCtxSetFlags_v2(CUdevice number, unsigned int flags)
{
    CUresult result = begin_device(number);

    if (result)
        return result;
    if (!are_flags(flags))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    sim_driver.devices[number].primary_flags = flags;
    if (sim_driver.devices[number].primary)
        sim_driver.devices[number].primary->flags = flags;
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuDevicePrimaryCtxSetFlags, cuDevicePrimaryCtxSetFlags_v2);

SIM_EXPORT CUresult
cuDevicePrimaryCtxGetState(CUdevice number, unsigned int *flags, int *active)
{
    CUresult result = begin_device(number);

    if (result)
        return result;
    if (!flags || !active)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *flags = sim_driver.devices[number].primary_flags;
    *active = sim_driver.devices[number].primary != NULL;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device)
{
    CUresult result = begin_device(device);
    struct sim_context *made;

    if (result)
        return result;
    if (!context || !are_flags(flags))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = sim_context_create(device, flags, &made);
    if (result)
        return sim_end(result);
    result = sim_push(made);
    if (result) {
        sim_context_destroy(made);
        return sim_end(result);
    }
    *context = (CUcontext)made;
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuCtxCreate, cuCtxCreate_v2);

SIM_EXPORT CUresult
cuCtxCreate_v3(CUcontext *context, CUexecAffinityParam *params, int count, unsigned int flags, CUdevice device)
{
    if (params || count)
        return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
    return cuCtxCreate_v2(context, flags, device);
}

SIM_EXPORT CUresult
cuCtxCreate_v4(CUcontext *context, CUctxCreateParams *params, unsigned int flags, CUdevice device)
{
    if (params && params->cigParams)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (params && params->numExecAffinityParams)
        return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
    return cuCtxCreate_v2(context, flags, device);
}

SIM_EXPORT CUresult
cuCtxDestroy_v2(CUcontext handle)
{
    CUresult result = sim_begin();
    struct sim_context *context, *top;

    if (result)
        return result;
    context = sim_object_find(handle, OBJECT_CONTEXT);
    if (!context || context->root->primary)
        return sim_end(CUDA_ERROR_INVALID_CONTEXT);
    if (sim_view() == context)
        sim_pop(&top);
    sim_context_destroy(context);
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuCtxDestroy, cuCtxDestroy_v2);

SIM_EXPORT CUresult
cuCtxAttach(CUcontext *handle, unsigned int flags)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!handle || flags)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    if (context->primary)
        return sim_end(CUDA_ERROR_INVALID_CONTEXT);
    context->references++;
    *handle = (CUcontext)context;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuCtxDetach(CUcontext handle)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!handle || handle != (CUcontext)context || context->primary)
        return sim_end(CUDA_ERROR_INVALID_CONTEXT);
    if (context->references > 0) {
        context->references--;
        return sim_end(CUDA_SUCCESS);
    }
    sim_end(CUDA_SUCCESS);
    return cuCtxDestroy_v2(handle);
}

/* Affinity comes from a context's making, where it is refused: each has all multiprocessors. */
SIM_EXPORT CUresult
cuCtxGetExecAffinity(CUexecAffinityParam *affinity, CUexecAffinityType type)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!affinity || type != CU_EXEC_AFFINITY_TYPE_SM_COUNT)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *affinity = (CUexecAffinityParam){.type = type, .param.smCount.val = sim_units(context->device)};
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuCtxPushCurrent_v2(CUcontext handle)
{
    CUresult result = sim_begin();
    struct sim_context *context;

    if (result)
        return result;
    context = sim_object_find(handle, OBJECT_CONTEXT);
    return sim_end(context ? sim_push(context) : CUDA_ERROR_INVALID_CONTEXT);
}
SIM_SYNONYM(cuCtxPushCurrent, cuCtxPushCurrent_v2);

SIM_EXPORT CUresult
cuCtxPopCurrent_v2(CUcontext *handle)
{
    CUresult result = sim_begin();
    struct sim_context *context = NULL;

    if (result)
        return result;
    result = sim_pop(&context);
    if (!result && handle)
        *handle = (CUcontext)context;
    return sim_end(result);
}
SIM_SYNONYM(cuCtxPopCurrent, cuCtxPopCurrent_v2);

SIM_EXPORT CUresult
cuCtxSetCurrent(CUcontext handle)
{
    CUresult result = sim_begin();
    struct sim_context *context;

    if (result)
        return result;
    context = sim_object_find(handle, OBJECT_CONTEXT);
    if (handle && !context)
        return sim_end(CUDA_ERROR_INVALID_CONTEXT);
    return sim_end(sim_set_current(context));
}

SIM_EXPORT CUresult
cuCtxGetCurrent(CUcontext *handle)
{
    CUresult result = sim_begin();

    if (result)
        return result;
    if (!handle)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *handle = (CUcontext)sim_view();
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuCtxGetDevice(CUdevice *device)
{
    struct sim_context *context;
    CUresult result = sim_enter_any(&context);

    if (result)
        return result;
    if (!device)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *device = context->device;
    return sim_end(CUDA_SUCCESS);
}

/* The context of a handle, or the current one for NULL. */
static CUresult
enter_handle(CUcontext handle, struct sim_context **context)
{
    CUresult result;

    if (!handle)
        return sim_enter(context);
    result = sim_begin();
    if (result)
        return result;
    *context = sim_object_find(handle, OBJECT_CONTEXT);
    return *context ? CUDA_SUCCESS : sim_end(CUDA_ERROR_INVALID_CONTEXT);
}

SIM_EXPORT CUresult
cuCtxGetDevice_v2(CUdevice *device, CUcontext handle)
{
    struct sim_context *context;
    CUresult result = enter_handle(handle, &context);

    if (result)
        return result;
    if (!device)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *device = context->device;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuCtxGetApiVersion(CUcontext handle, unsigned int *version)
{
    struct sim_context *context;
    CUresult result = enter_handle(handle, &context);

    if (result)
        return result;
    if (!version)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *version = context->api_version;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuCtxGetId(CUcontext handle, unsigned long long *id)
{
    struct sim_context *context;
    CUresult result = enter_handle(handle, &context);

    if (result)
        return result;
    if (!id)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *id = context->id;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuCtxGetFlags(unsigned int *flags)
{
    struct sim_context *context;
    CUresult result = sim_enter_any(&context);

    if (result)
        return result;
    if (!flags)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *flags = context->flags;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuCtxSetFlags(unsigned int flags)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!are_flags(flags))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    context->flags = flags;
    return sim_end(CUDA_SUCCESS);
}

/* Everything has run when its call returned; what is left to tell is a fault. */
SIM_EXPORT CUresult
cuCtxSynchronize(void)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    return result ? result : sim_end(sim_capture_any() ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuCtxSynchronize_v2(CUcontext handle)
{
    struct sim_context *context;
    CUresult result = enter_handle(handle, &context);

    return result ? result : sim_end(context->root->error);
}

static bool
is_limit(CUlimit limit)
{
    return limit == CU_LIMIT_STACK_SIZE || limit == CU_LIMIT_PRINTF_FIFO_SIZE || limit == CU_LIMIT_MALLOC_HEAP_SIZE ||
           limit == CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT || limit == CU_LIMIT_MAX_L2_FETCH_GRANULARITY ||
           limit == CU_LIMIT_PERSISTING_L2_CACHE_SIZE;
}

SIM_EXPORT CUresult
cuCtxSetLimit(CUlimit limit, size_t value)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!is_limit(limit))
        return sim_end(limit < CU_LIMIT_MAX ? CUDA_ERROR_UNSUPPORTED_LIMIT : CUDA_ERROR_INVALID_VALUE);
    context->limits[limit] = value;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuCtxGetLimit(size_t *value, CUlimit limit)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!value || limit >= CU_LIMIT_MAX)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    if (!is_limit(limit))
        return sim_end(CUDA_ERROR_UNSUPPORTED_LIMIT);
    *value = context->limits[limit];
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuCtxGetCacheConfig(CUfunc_cache *config)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!config)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *config = context->cache_config;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuCtxSetCacheConfig(CUfunc_cache config)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (config > CU_FUNC_CACHE_PREFER_EQUAL)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    context->cache_config = config;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuCtxGetSharedMemConfig(CUsharedconfig *config)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!config)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *config = CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuCtxSetSharedMemConfig(CUsharedconfig config)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    return sim_end(config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (least)
        *least = 0;
    if (greatest)
        *greatest = -5;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuCtxResetPersistingL2Cache(void)
{
    return cuCtxSynchronize();
}

/* The place that holds the id, or NULL. */
static unsigned long long *
find_peer(struct sim_context *context, unsigned long long id)
{
    size_t i;

    for (i = 0; i < SIM_MAX_PEERS; i++)
        if (context->peers[i] == id)
            return &context->peers[i];
    return NULL;
}

static struct sim_context *
peer_find(CUcontext handle)
{
    struct sim_context *context = sim_object_find(handle, OBJECT_CONTEXT);

    return context ? context->root : NULL;
}

bool
sim_is_peer(const struct sim_context *context, const struct sim_context *of)
{
    for (size_t i = 0; of && i < SIM_MAX_PEERS; i++)
        if (context->peers[i] == of->id)
            return true;
    return false;
}

static CUresult
enable_peer(struct sim_context *context, const struct sim_context *other)
{
    unsigned long long *place;

    if (!other)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (other->device == context->device)
        return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
    if (find_peer(context, other->id))
        return CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
    place = find_peer(context, 0);
    if (!place)
        return CUDA_ERROR_TOO_MANY_PEERS;
    *place = other->id;
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    return sim_end(flags ? CUDA_ERROR_INVALID_VALUE : enable_peer(context, peer_find(peer)));
}

SIM_EXPORT CUresult
cuCtxDisablePeerAccess(CUcontext peer)
{
    struct sim_context *context;
    const struct sim_context *other;
    unsigned long long *place;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    other = peer_find(peer);
    if (!other)
        return sim_end(CUDA_ERROR_INVALID_CONTEXT);
    place = find_peer(context, other->id);
    if (!place)
        return sim_end(CUDA_ERROR_PEER_ACCESS_NOT_ENABLED);
    *place = 0;
    return sim_end(CUDA_SUCCESS);
}
