/* SPDX-License-Identifier: MIT */
/*
 * Memory and events shared with other processes, by tokens in place of the host driver's own handles. Whether that is
 * allowed is decided there.
 */
#include <string.h>

#include "guest.h"
#include "log.h"

#define REASON "memory and events are not shared between processes where the host's administrator has set ipc=no"

static CUresult
shared(int status)
{
    static _Atomic bool told;
    CUresult result = cuda_guest_result(status);

    if (result == CUDA_ERROR_NOT_SUPPORTED && !atomic_exchange(&told, true)) {
        gpuvchan_log(GPUVCHAN_LOG_DEBUG, "cuda: " REASON);
        cuda_guest_log(CU_LOG_LEVEL_ERROR, REASON);
    }
    return result;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* One opens or closes at a time, so that what is known here is what the host knows. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

ENTRY
cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr address)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_range range;
    size_t bytes = sizeof(*handle);
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || !cuda_guest_range_find(address, &range) || range.kind != CUDA_GUEST_DEVICE)
        return CUDA_ERROR_INVALID_VALUE;
    return shared(cuda_ipc_memory_handle_on(&cuda_guest.client, self->lane, range.start, range.bytes,
                                            (uint8_t *)handle->reserved, &bytes));
}

/* With the lock. */
static CUresult
open_memory(struct cuda_guest_thread *self, const CUipcMemHandle *handle, unsigned flags, CUdeviceptr *address)
{
    struct cuda_guest_range range = {.kind = CUDA_GUEST_SHARED, .context = cuda_guest_current(self)}, before;
    CUresult result = shared(cuda_ipc_memory_open_on(&cuda_guest.client, self->lane, (const uint8_t *)handle->reserved,
                                                     sizeof(handle->reserved), flags, address, &range.bytes));
    bool gone;

    if (result != CUDA_SUCCESS)
        return result;
    range.start = *address;
    if (cuda_guest_range_find(range.start, &before) && before.kind == CUDA_GUEST_SHARED && before.start == range.start)
        return CUDA_SUCCESS; /* it has been opened before */
    result = cuda_guest_range_add(&range);
    if (result != CUDA_SUCCESS)
        cuda_ipc_memory_close_on(&cuda_guest.client, self->lane, range.start, &gone);
    return result;
}

ENTRY
cuIpcOpenMemHandle_v2(CUdeviceptr *address, CUipcMemHandle handle, unsigned int flags)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!address || flags & ~(unsigned)CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_settle(self);
    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&lock);
    result = open_memory(self, &handle, flags, address);
    pthread_mutex_unlock(&lock);
    return result;
}
ENTRY_ALIAS(cuIpcOpenMemHandle, cuIpcOpenMemHandle_v2);

/* With the lock. */
static CUresult
close_memory(struct cuda_guest_thread *self, CUdeviceptr address)
{
    struct cuda_guest_range range;
    bool gone = false;
    CUresult result;

    if (!cuda_guest_range_find(address, &range) || range.kind != CUDA_GUEST_SHARED || range.start != address)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_result(cuda_ipc_memory_close_on(&cuda_guest.client, self->lane, address, &gone));
    if (result == CUDA_SUCCESS && gone)
        cuda_guest_range_take(address, CUDA_GUEST_SHARED, &range);
    return result;
}

ENTRY
cuIpcCloseMemHandle(CUdeviceptr address)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    pthread_mutex_lock(&lock);
    result = close_memory(self, address);
    pthread_mutex_unlock(&lock);
    return result;
}

/* ---- Events ---------------------------------------------------------------------------------- */

ENTRY
cuIpcGetEventHandle(CUipcEventHandle *handle, CUevent which)
{
    const struct cuda_guest_event *event;
    struct cuda_guest_thread *self;
    size_t bytes = sizeof(*handle);
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    event = cuda_guest_find(which, CUDA_HANDLE_EVENT);
    if (!event)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!handle || !(event->flags & CU_EVENT_INTERPROCESS))
        return CUDA_ERROR_INVALID_VALUE;
    return shared(cuda_ipc_event_handle_on(&cuda_guest.client, self->lane, event->object.handle,
                                           (uint8_t *)handle->reserved, &bytes));
}

ENTRY
cuIpcOpenEventHandle(CUevent *which, CUipcEventHandle handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_event *event;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!which)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_object_create(CUDA_HANDLE_EVENT, sizeof(*event), cuda_guest_current(self), &event);
    if (result != CUDA_SUCCESS)
        return result;
    event->flags = CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING;
    result = shared(cuda_ipc_event_open_on(&cuda_guest.client, self->lane, event->object.handle,
                                           (uint8_t *)handle.reserved, sizeof(handle.reserved)));
    if (result != CUDA_SUCCESS) {
        cuda_guest_object_undo(&event->object);
        return result;
    }
    *which = cuda_guest_handle(&event->object);
    return CUDA_SUCCESS;
}
