/* SPDX-License-Identifier: MIT */
/*
 * Primary contexts: one per device, counted in the guest.
 *
 * Design notes: a primary context keeps its handle for the application over all its lives, as the driver's does; the
 * host gets a handle per life. A reset ends a life as the last release does, and leaves the users counted.
 */
#include "context.h"

/* With the contexts' lock. */
static CUresult
primary_begin(struct cuda_guest_thread *self, struct cuda_guest_context *context)
{
    uint32_t wire;
    CUresult result = cuda_guest_settle(self);

    if (result != CUDA_SUCCESS)
        return result;
    if (gpuvchan_handles_assign(cuda_guest.handles, CUDA_HANDLE_CONTEXT, context, &wire) != 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = cuda_guest_result(
        cuda_primary_retain_on(&cuda_guest.client, self->lane, wire, cuda_guest.device[context->device].ordinal));
    if (result == CUDA_SUCCESS)
        cuda_guest_context_begin(context, wire);
    else
        gpuvchan_handles_remove(cuda_guest.handles, wire, CUDA_HANDLE_CONTEXT);
    return result;
}

CUresult
cuda_guest_primary_handle(CUcontext *handle, CUdevice number)
{
    CUresult result = cuda_guest_ready();
    struct cuda_guest_device *device = cuda_guest_device(number);

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&cuda_guest_contexts_lock);
    if (!device->primary)
        result = cuda_guest_context_create(number, true, &device->primary);
    pthread_mutex_unlock(&cuda_guest_contexts_lock);
    if (result == CUDA_SUCCESS)
        *handle = cuda_guest_context_handle(device->primary);
    return result;
}

CUresult
cuda_guest_primary_retain(struct cuda_guest_thread *self, struct cuda_guest_device *device, CUdevice number)
{
    CUresult result = CUDA_SUCCESS;

    if (!device->primary)
        result = cuda_guest_context_create(number, true, &device->primary);
    if (result == CUDA_SUCCESS && atomic_load(&device->primary->wire) == 0)
        result = primary_begin(self, device->primary);
    device->primary_users += result == CUDA_SUCCESS;
    return result;
}

ENTRY
cuDevicePrimaryCtxRetain(CUcontext *handle, CUdevice number)
{
    struct cuda_guest_device *device;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    device = cuda_guest_device(number);
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&cuda_guest_contexts_lock);
    result = cuda_guest_primary_retain(self, device, number);
    pthread_mutex_unlock(&cuda_guest_contexts_lock);
    if (result == CUDA_SUCCESS)
        *handle = cuda_guest_context_handle(device->primary);
    return result;
}

/* With the contexts' lock. */
static CUresult
primary_end(struct cuda_guest_device *device, bool *ended)
{
    struct cuda_guest_thread *self = cuda_guest_self();
    CUresult result;

    if (!device->primary || atomic_load(&device->primary->wire) == 0)
        return CUDA_SUCCESS;
    result = cuda_guest_context_end(self, device->primary);
    *ended = result == CUDA_SUCCESS;
    return result;
}

CUresult
cuda_guest_primary_release(struct cuda_guest_device *device, bool *ended)
{
    if (device->primary_users == 0)
        return CUDA_ERROR_INVALID_CONTEXT;
    return --device->primary_users == 0 ? primary_end(device, ended) : CUDA_SUCCESS;
}

ENTRY
cuDevicePrimaryCtxRelease_v2(CUdevice number)
{
    CUresult result = cuda_guest_ready();
    struct cuda_guest_device *device = cuda_guest_device(number);
    bool ended = false;

    if (result != CUDA_SUCCESS)
        return result;
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&cuda_guest_contexts_lock);
    result = cuda_guest_primary_release(device, &ended);
    pthread_mutex_unlock(&cuda_guest_contexts_lock);
    if (ended)
        cuda_guest_context_ended(device->primary);
    return result;
}
ENTRY_ALIAS(cuDevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2);

/* Its users stay counted; the next retain begins another life. */
ENTRY
cuDevicePrimaryCtxReset_v2(CUdevice number)
{
    CUresult result = cuda_guest_ready();
    struct cuda_guest_device *device = cuda_guest_device(number);
    bool ended = false;

    if (result != CUDA_SUCCESS)
        return result;
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&cuda_guest_contexts_lock);
    result = primary_end(device, &ended);
    pthread_mutex_unlock(&cuda_guest_contexts_lock);
    if (ended)
        cuda_guest_context_ended(device->primary);
    return result;
}
ENTRY_ALIAS(cuDevicePrimaryCtxReset, cuDevicePrimaryCtxReset_v2);

ENTRY
cuDevicePrimaryCtxSetFlags_v2(CUdevice number, unsigned int flags)
{
    struct cuda_guest_device *device;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    device = cuda_guest_device(number);
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    if (flags & ~(unsigned)CU_CTX_FLAGS_MASK)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_result(cuda_primary_set_flags_on(&cuda_guest.client, self->lane, device->ordinal, flags));
    if (result == CUDA_SUCCESS)
        device->primary_flags = flags;
    return result;
}
ENTRY_ALIAS(cuDevicePrimaryCtxSetFlags, cuDevicePrimaryCtxSetFlags_v2);

ENTRY
cuDevicePrimaryCtxGetState(CUdevice number, unsigned int *flags, int *active)
{
    CUresult result = cuda_guest_ready();
    struct cuda_guest_device *device = cuda_guest_device(number);

    if (result != CUDA_SUCCESS)
        return result;
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    if (!flags || !active)
        return CUDA_ERROR_INVALID_VALUE;
    *flags = device->primary_flags;
    *active = device->primary && atomic_load(&device->primary->wire) != 0;
    return CUDA_SUCCESS;
}
