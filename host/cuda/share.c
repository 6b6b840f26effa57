/* SPDX-License-Identifier: MIT */
/*
 * Physical memory and pools that processes share by descriptors.
 *
 * Design notes: the driver's descriptor never leaves the workers. It is offered to others of the same guest under a
 * token, together with what the driver does not tell who imports it: how large the memory is.
 */
#include "cuda_plugin.h"

#include <string.h>
#include <unistd.h>

enum kind {
    SHARED_PHYSICAL = 0x67760001,
    SHARED_POOL,
    SHARED_POINTER,
};

/* What goes from worker to worker, with a descriptor but for pointers. */
struct shared {
    uint32_t kind;
    uint32_t device;
    uint64_t bytes;
    CUmemPoolPtrExportData pointer;
};

static int
offer(struct gpuvchan_request *request, const struct shared *shared, int fd, uint8_t *token, size_t *token_count)
{
    struct gpuvchan_session_token made;

    if (*token_count < sizeof(made))
        return CUDA_ERROR_INVALID_VALUE;
    atomic_store(&cuda_host_of(request)->shared, true);
    if (gpuvchan_session_share(request->session, shared, sizeof(*shared), fd, &made) != 0)
        return CUDA_ERROR_OPERATING_SYSTEM;
    memcpy(token, made.bytes, sizeof(made));
    *token_count = sizeof(made);
    return 0;
}

/* @p fd: the caller's to close, or NULL if none is expected. */
static int
take(struct gpuvchan_request *request, enum kind kind, const uint8_t *token, size_t token_count, struct shared *shared,
     int *fd)
{
    struct gpuvchan_session_token given;
    size_t bytes = sizeof(*shared);
    int got = -1;

    if (!cuda_ipc_allowed())
        return cuda_ipc_refuse();
    if (token_count != sizeof(given))
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(given.bytes, token, sizeof(given));
    if (gpuvchan_session_take(request->session, &given, shared, &bytes, &got) != 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (bytes != sizeof(*shared) || shared->kind != (uint32_t)kind || (got >= 0) != (fd != NULL)) {
        if (got >= 0)
            close(got);
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (fd)
        *fd = got;
    return 0;
}

int
cuda_host_shared_end(struct gpuvchan_request *request, const uint8_t *token, size_t token_count)
{
    struct gpuvchan_session_token given;

    if (token_count != sizeof(given))
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(given.bytes, token, sizeof(given));
    gpuvchan_session_unshare(request->session, &given);
    return 0;
}

/* ---- Physical memory ------------------------------------------------------------------------- */

int
cuda_host_physical_export(struct gpuvchan_request *request, struct cuda_physical *from, uint8_t *token,
                          size_t *token_count)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct shared shared = {.kind = SHARED_PHYSICAL, .bytes = from->bytes};
    int fd = -1, result;

    if (!cuda_ipc_allowed())
        return cuda_ipc_refuse();
    if (!native->cuMemExportToShareableHandle)
        return cuda_driver_lacks(native, "cuMemExportToShareableHandle");
    if (!cuda_lane_announce(lane, CUDA_SLOT_FIRST, &from->object))
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    result = native->cuMemExportToShareableHandle(&fd, from->native, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
    if (result == CUDA_SUCCESS) {
        result = offer(request, &shared, fd, token, token_count);
        close(fd);
    }
    return cuda_leave(lane, result);
}

static int
physical_begin(struct gpuvchan_request *request, CUmemGenericAllocationHandle handle, uint64_t bytes,
               struct cuda_physical **made)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_physical *physical = (struct cuda_physical *)cuda_object_create(host, CUDA_OBJECT_PHYSICAL);

    if (!physical)
        return CUDA_ERROR_OUT_OF_MEMORY;
    physical->native = handle;
    physical->bytes = bytes;
    cuda_object_begin(host, &physical->object, NULL, request);
    *made = physical;
    return 0;
}

int
cuda_host_physical_import(struct gpuvchan_request *request, struct cuda_physical **made, const uint8_t *token,
                          size_t token_count, uint64_t *bytes, uint32_t *device, uint64_t *granularity,
                          bool *compressed)
{
    const struct cuda_driver *native = cuda_native(request);
    CUmemGenericAllocationHandle handle;
    CUmemAllocationProp properties = {0};
    struct shared shared;
    int fd, result;

    if (!native->cuMemImportFromShareableHandle || !native->cuMemGetAllocationPropertiesFromHandle)
        return cuda_driver_lacks(native, "cuMemImportFromShareableHandle");
    result = take(request, SHARED_PHYSICAL, token, token_count, &shared, &fd);
    if (result != 0)
        return result;
    result = native->cuMemImportFromShareableHandle(&handle, (void *)(uintptr_t)fd,
                                                    CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
    close(fd);
    if (result != CUDA_SUCCESS)
        return result;
    result = native->cuMemGetAllocationPropertiesFromHandle(&properties, handle);
    if (result == CUDA_SUCCESS)
        result = cuda_device_ordinal(native, properties.location.id, device);
    if (result == CUDA_SUCCESS)
        result = cuda_host_physical_granularity(request, *device, CU_MEM_ALLOC_GRANULARITY_MINIMUM, granularity);
    if (result == CUDA_SUCCESS)
        result = physical_begin(request, handle, shared.bytes, made);
    if (result != CUDA_SUCCESS)
        native->cuMemRelease(handle);
    *bytes = shared.bytes;
    *compressed = properties.allocFlags.compressionType == CU_MEM_ALLOCATION_COMP_GENERIC;
    return result;
}

/* ---- Pools ----------------------------------------------------------------------------------- */

int
cuda_host_pool_export(struct gpuvchan_request *request, struct cuda_pool *from, uint8_t *token, size_t *token_count)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct shared shared = {.kind = SHARED_POOL, .device = from->device};
    int fd = -1, result;

    if (!cuda_ipc_allowed())
        return cuda_ipc_refuse();
    if (!native->cuMemPoolExportToShareableHandle)
        return cuda_driver_lacks(native, "cuMemPoolExportToShareableHandle");
    if (!cuda_lane_announce(lane, CUDA_SLOT_FIRST, &from->object))
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    result = native->cuMemPoolExportToShareableHandle(&fd, from->native, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
    if (result == CUDA_SUCCESS) {
        result = offer(request, &shared, fd, token, token_count);
        close(fd);
    }
    return cuda_leave(lane, result);
}

int
cuda_host_pool_import(struct gpuvchan_request *request, struct cuda_pool **made, const uint8_t *token,
                      size_t token_count, uint32_t *device)
{
    const struct cuda_driver *native = cuda_native(request);
    struct shared shared;
    CUmemoryPool pool;
    int fd, result;

    if (!native->cuMemPoolImportFromShareableHandle || !native->cuMemPoolDestroy)
        return cuda_driver_lacks(native, "cuMemPoolImportFromShareableHandle");
    result = take(request, SHARED_POOL, token, token_count, &shared, &fd);
    if (result != 0)
        return result;
    result = native->cuMemPoolImportFromShareableHandle(&pool, (void *)(uintptr_t)fd,
                                                        CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
    close(fd);
    if (result != CUDA_SUCCESS)
        return result;
    result = cuda_pool_begin(request, pool, shared.device, false, made);
    if (result != 0)
        native->cuMemPoolDestroy(pool);
    *device = shared.device;
    return result;
}

int
cuda_host_pool_pointer_export(struct gpuvchan_request *request, CUdeviceptr address, uint8_t *token,
                              size_t *token_count)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct shared shared = {.kind = SHARED_POINTER};
    const struct cuda_range *range;
    int result;

    if (!cuda_ipc_allowed())
        return cuda_ipc_refuse();
    if (!native->cuMemPoolExportPointer)
        return cuda_driver_lacks(native, "cuMemPoolExportPointer");
    range = cuda_lane_range(lane, 0, address, 1);
    if (!range || range->use != CUDA_RANGE_POOLED || range->start != address)
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    shared.bytes = range->bytes;
    result = native->cuMemPoolExportPointer(&shared.pointer, address);
    if (result == CUDA_SUCCESS)
        result = offer(request, &shared, -1, token, token_count);
    return cuda_leave(lane, result);
}

int
cuda_host_pool_pointer_import(struct gpuvchan_request *request, struct cuda_pool *from, const uint8_t *token,
                              size_t token_count, CUdeviceptr *address, uint64_t *bytes)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct shared shared;
    CUdeviceptr at = 0;
    int result;

    if (!native->cuMemPoolImportPointer)
        return cuda_driver_lacks(native, "cuMemPoolImportPointer");
    result = take(request, SHARED_POINTER, token, token_count, &shared, NULL);
    if (result != 0)
        return result;
    if (!cuda_lane_announce(lane, CUDA_SLOT_FIRST, &from->object))
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    result = native->cuMemPoolImportPointer(&at, from->native, &shared.pointer);
    if (result == CUDA_SUCCESS) {
        result = cuda_range_begin(lane->host, NULL, CUDA_RANGE_POOLED, at, shared.bytes);
        if (result != 0)
            native->cuMemFree(at);
    }
    *address = at;
    *bytes = shared.bytes;
    return cuda_leave(lane, result);
}
