/* SPDX-License-Identifier: MIT */
/*
 * Memory and events that processes share by the driver's 64-byte handles.
 *
 * Design notes: the driver opens any handle of any process of its user, and nothing in a handle says which guest it
 * is of. So guests get and open them only where the administrator says that all guests trust each other (ipc=yes).
 */
#include "cuda_plugin.h"

#include <string.h>

static bool allowed; /* set before the first guest is served */

/* What the driver counts and what is counted here must agree: one opens or closes at a time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void
cuda_ipc_allow(bool yes)
{
    allowed = yes;
}

bool
cuda_ipc_allowed(void)
{
    return allowed;
}

static int
refuse(void)
{
    static _Atomic bool told;

    if (!atomic_exchange(&told, true))
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "cuda: a guest wants to share memory or events between processes, which is "
                                           "refused: ipc=yes allows it to all guests, who must trust each other then");
    return CUDA_ERROR_NOT_SUPPORTED;
}

/* Copies a handle out. */
static int
give(int result, const void *handle, size_t bytes, uint8_t *out, size_t *out_count)
{
    if (result != CUDA_SUCCESS)
        return result;
    if (*out_count < bytes)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(out, handle, bytes);
    *out_count = bytes;
    return 0;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

int
cuda_host_ipc_memory_handle(struct gpuvchan_request *request, CUdeviceptr address, uint8_t *handle,
                            size_t *handle_count)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_range *range;
    CUipcMemHandle made;
    int result;

    if (!allowed)
        return refuse();
    if (!native->cuIpcGetMemHandle)
        return cuda_driver_lacks(native, "cuIpcGetMemHandle");
    result = cuda_enter(lane, NULL, NULL);
    if (result != 0)
        return result;
    range = cuda_lane_range(lane, 0, address, 1);
    if (!range || range->use != CUDA_RANGE_ALLOCATION)
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    atomic_store(&lane->host->shared, true);
    result = native->cuIpcGetMemHandle(&made, address);
    return cuda_leave(lane, give(result, &made, sizeof(made), handle, handle_count));
}

/* The driver has mapped it, perhaps for the second time. Between enter and leave. */
static int
opened(struct cuda_lane *lane, CUdeviceptr at, uint64_t *bytes)
{
    const struct cuda_driver *native = lane->host->native;
    struct cuda_range *range = cuda_lane_range(lane, 0, at, 1);
    CUdeviceptr base = 0;
    size_t size = 0;
    int result;

    if (range && range->use == CUDA_RANGE_IPC && range->start == at) {
        atomic_fetch_add(&range->opened, 1);
        *bytes = range->bytes;
        return 0;
    }
    result = native->cuMemGetAddressRange(&base, &size, at);
    if (result != CUDA_SUCCESS)
        return result;
    *bytes = size - (at - base);
    return cuda_range_begin(lane->host, &lane->current->object, CUDA_RANGE_IPC, at, *bytes);
}

int
cuda_host_ipc_memory_open(struct gpuvchan_request *request, const uint8_t *handle, size_t handle_count, uint32_t flags,
                          CUdeviceptr *address, uint64_t *bytes)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUipcMemHandle given;
    CUdeviceptr at = 0;
    int result;

    if (!allowed)
        return refuse();
    if (!native->cuIpcOpenMemHandle)
        return cuda_driver_lacks(native, "cuIpcOpenMemHandle");
    if (handle_count != sizeof(given))
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&given, handle, sizeof(given));
    result = cuda_enter(lane, NULL, NULL);
    if (result != 0)
        return result;
    pthread_mutex_lock(&lock);
    result = native->cuIpcOpenMemHandle(&at, given, flags);
    if (result == CUDA_SUCCESS && (result = opened(lane, at, bytes)) != CUDA_SUCCESS)
        native->cuIpcCloseMemHandle(at);
    pthread_mutex_unlock(&lock);
    *address = at;
    return cuda_leave(lane, result);
}

/* Between enter and leave, with the lock. The range that is gone then is in *@p last. */
static int
close_one(struct cuda_lane *lane, CUdeviceptr address, struct cuda_range **last)
{
    struct cuda_range *range = cuda_lane_range(lane, 0, address, 1);

    if (!range || range->use != CUDA_RANGE_IPC || range->start != address)
        return CUDA_ERROR_INVALID_VALUE;
    if (atomic_load(&range->opened) != 0) {
        atomic_fetch_sub(&range->opened, 1);
    } else {
        cuda_ranges_remove(&lane->host->ranges, range);
        cuda_object_end(lane->host, lane, &range->object);
        *last = range;
    }
    return lane->host->native->cuIpcCloseMemHandle(address);
}

int
cuda_host_ipc_memory_close(struct gpuvchan_request *request, CUdeviceptr address, bool *gone)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, NULL, NULL);
    struct cuda_range *last = NULL;

    if (result != 0)
        return result;
    pthread_mutex_lock(&lock);
    result = close_one(lane, address, &last);
    pthread_mutex_unlock(&lock);
    *gone = last != NULL;
    cuda_leave(lane, 0);
    if (last)
        cuda_object_destroy(lane->host, &last->object);
    return result;
}

/* ---- Events ---------------------------------------------------------------------------------- */

int
cuda_host_ipc_event_handle(struct gpuvchan_request *request, struct cuda_event *which, uint8_t *handle,
                           size_t *handle_count)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUipcEventHandle made;
    int result;

    if (!allowed)
        return refuse();
    if (!native->cuIpcGetEventHandle)
        return cuda_driver_lacks(native, "cuIpcGetEventHandle");
    result = cuda_enter(lane, &which->object, NULL);
    if (result != 0)
        return result;
    atomic_store(&lane->host->shared, true);
    result = native->cuIpcGetEventHandle(&made, which->native);
    return cuda_leave(lane, give(result, &made, sizeof(made), handle, handle_count));
}

int
cuda_host_ipc_event_open(struct gpuvchan_request *request, struct cuda_event **made, const uint8_t *handle,
                         size_t handle_count)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_event *event;
    CUipcEventHandle given;
    int result;

    if (!allowed)
        return refuse();
    if (!host->native->cuIpcOpenEventHandle)
        return cuda_driver_lacks(host->native, "cuIpcOpenEventHandle");
    if (handle_count != sizeof(given))
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&given, handle, sizeof(given));
    event = (struct cuda_event *)cuda_object_create(host, CUDA_OBJECT_EVENT);
    result = event ? cuda_enter(lane, NULL, NULL) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result == 0) {
        result = host->native->cuIpcOpenEventHandle(&event->native, given);
        if (result == CUDA_SUCCESS) {
            atomic_store(&event->kept, false);
            cuda_object_begin(host, &event->object, &lane->current->object, request);
            *made = event;
        }
        cuda_leave(lane, 0);
    }
    if (result != 0 && event)
        cuda_object_destroy(host, &event->object);
    return result;
}
