/* SPDX-License-Identifier: MIT */
/*
 * Memory and events that processes share by the driver's 64-byte handles.
 *
 * Design notes: the driver opens any handle of any process of its user, and nothing in a handle says which guest it
 * is of. So a guest never sees one: it has a token instead, for which only workers of the same guest give the handle out.
 * ipc=no refuses all of it.
 */
#include "cuda_plugin.h"

#include <string.h>
#include <unistd.h>

static bool allowed = true, insisted; /* set before the first guest is served */

/* What the driver counts and what is counted here must agree: one opens or closes at a time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void
cuda_ipc_allow(bool yes)
{
    allowed = insisted = yes;
}

bool
cuda_ipc_allowed(void)
{
    return allowed;
}

bool
cuda_ipc_insisted(void)
{
    return insisted;
}

int
cuda_ipc_refuse(void)
{
    static _Atomic bool told;

    if (!atomic_exchange(&told, true))
        gpuvchan_log(GPUVCHAN_LOG_WARNING,
                     "cuda: a guest wants to share memory or events between processes, which ipc=no refuses");
    return CUDA_ERROR_NOT_SUPPORTED;
}

/* Copies a token out in place of a driver's handle of @p bytes. */
static int
tell(int result, const struct gpuvchan_session_token *token, size_t bytes, uint8_t *out, size_t *out_count)
{
    if (result != CUDA_SUCCESS)
        return result;
    if (*out_count < bytes || bytes < sizeof(*token))
        return CUDA_ERROR_INVALID_VALUE;
    memset(out, 0, bytes);
    memcpy(out, token, sizeof(*token));
    *out_count = bytes;
    return 0;
}

/* The same for a handle that the driver has given with @p result. */
static int
give(struct cuda_lane *lane, int result, const void *handle, size_t bytes, uint8_t *out, size_t *out_count)
{
    struct gpuvchan_session_token token;

    atomic_store(&lane->host->shared, true);
    if (result == CUDA_SUCCESS && gpuvchan_session_share(lane->host->session, handle, bytes, -1, &token) != 0)
        result = CUDA_ERROR_OPERATING_SYSTEM;
    return tell(result, &token, bytes, out, out_count);
}

/* What a token of the guest's stands for. */
static int
take(struct gpuvchan_request *request, const uint8_t *given, size_t count, void *data, size_t *bytes)
{
    struct gpuvchan_session_token token;
    int fd = -1;

    if (count != sizeof(CUipcMemHandle))
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&token, given, sizeof(token));
    if (gpuvchan_session_take(request->session, &token, data, bytes, &fd) != 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (fd < 0)
        return 0;
    close(fd);
    return CUDA_ERROR_INVALID_VALUE;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static int
share_range(struct cuda_lane *lane, CUdeviceptr address, uint64_t bytes, uint8_t *handle, size_t *handle_count)
{
    const struct cuda_driver *native = lane->host->native;
    struct cuda_range *range = cuda_lane_range(lane, 0, address, bytes);
    struct gpuvchan_session_token token;
    CUipcMemHandle made;
    int result;

    if (range && range->use == CUDA_RANGE_CHUNK) {
        result = cuda_chunk_share(lane, range, address, bytes, &token);
        return tell(result, &token, sizeof(made), handle, handle_count);
    }
    if (!range || range->use != CUDA_RANGE_ALLOCATION)
        return CUDA_ERROR_INVALID_VALUE;
    if (!native->cuIpcGetMemHandle)
        return cuda_driver_lacks(native, "cuIpcGetMemHandle");
    result = native->cuIpcGetMemHandle(&made, address);
    return give(lane, result, &made, sizeof(made), handle, handle_count);
}

int
cuda_host_ipc_memory_handle(struct gpuvchan_request *request, CUdeviceptr address, uint64_t bytes, uint8_t *handle,
                            size_t *handle_count)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!allowed)
        return cuda_ipc_refuse();
    result = cuda_enter(lane, NULL, NULL);
    return result ? result : cuda_leave(lane, share_range(lane, address, bytes, handle, handle_count));
}

/* What a token stands for, mapped by the driver, perhaps for the second time. With the lock. */
static int
open_native(struct cuda_lane *lane, const void *data, size_t size, uint32_t flags, CUdeviceptr *at, uint64_t *bytes)
{
    const struct cuda_driver *native = lane->host->native;
    CUdeviceptr base = 0;
    CUipcMemHandle given;
    size_t whole = 0;
    int result;

    if (cuda_is_piece(data, size))
        return cuda_piece_open(lane, data, at, bytes);
    if (size != sizeof(given))
        return CUDA_ERROR_INVALID_VALUE;
    if (!native->cuIpcOpenMemHandle)
        return cuda_driver_lacks(native, "cuIpcOpenMemHandle");
    memcpy(&given, data, sizeof(given));
    result = native->cuIpcOpenMemHandle(at, given, flags);
    if (result != CUDA_SUCCESS)
        return result;
    result = native->cuMemGetAddressRange(&base, &whole, *at);
    if (result != CUDA_SUCCESS)
        native->cuIpcCloseMemHandle(*at);
    *bytes = whole - (*at - base);
    return result;
}

static CUresult
close_native(struct cuda_host *host, CUdeviceptr at)
{
    return cuda_piece_close(host, at) ? CUDA_SUCCESS : host->native->cuIpcCloseMemHandle(at);
}

/* Between enter and leave, with the lock. */
static int
opened(struct cuda_lane *lane, CUdeviceptr at, uint64_t bytes)
{
    struct cuda_range *range = cuda_lane_range(lane, 0, at, 1);

    if (range && range->use == CUDA_RANGE_IPC && range->start == at) {
        atomic_fetch_add(&range->opened, 1);
        return 0;
    }
    return cuda_range_begin(lane->host, &lane->current->object, CUDA_RANGE_IPC, at, bytes);
}

int
cuda_host_ipc_memory_open(struct gpuvchan_request *request, const uint8_t *handle, size_t handle_count, uint32_t flags,
                          CUdeviceptr *address, uint64_t *bytes)
{
    _Alignas(8) unsigned char data[GPUVCHAN_SHARE_BYTES];
    struct cuda_lane *lane = cuda_lane_of(request);
    size_t size = sizeof(data);
    int result;

    if (!allowed)
        return cuda_ipc_refuse();
    result = take(request, handle, handle_count, data, &size);
    if (result == 0)
        result = cuda_enter(lane, NULL, NULL);
    if (result != 0)
        return result;
    pthread_mutex_lock(&lock);
    result = open_native(lane, data, size, flags, address, bytes);
    if (result == CUDA_SUCCESS && (result = opened(lane, *address, *bytes)) != CUDA_SUCCESS)
        close_native(lane->host, *address);
    pthread_mutex_unlock(&lock);
    return cuda_leave(lane, result);
}

void
cuda_ipc_end(struct cuda_host *host, const struct cuda_context *context)
{
    pthread_mutex_lock(&lock);
    cuda_pieces_end(host, context);
    pthread_mutex_unlock(&lock);
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
    return close_native(lane->host, address);
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
        return cuda_ipc_refuse();
    if (!native->cuIpcGetEventHandle)
        return cuda_driver_lacks(native, "cuIpcGetEventHandle");
    result = cuda_enter(lane, &which->object, NULL);
    if (result != 0)
        return result;
    atomic_store(&lane->host->shared, true);
    result = native->cuIpcGetEventHandle(&made, which->native);
    return cuda_leave(lane, give(lane, result, &made, sizeof(made), handle, handle_count));
}

int
cuda_host_ipc_event_open(struct gpuvchan_request *request, struct cuda_event **made, const uint8_t *handle,
                         size_t handle_count)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_event *event;
    CUipcEventHandle given;
    size_t size = sizeof(given);
    int result;

    if (!allowed)
        return cuda_ipc_refuse();
    if (!host->native->cuIpcOpenEventHandle)
        return cuda_driver_lacks(host->native, "cuIpcOpenEventHandle");
    result = take(request, handle, handle_count, &given, &size);
    if (result != 0 || size != sizeof(given))
        return result ? result : CUDA_ERROR_INVALID_VALUE;
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
