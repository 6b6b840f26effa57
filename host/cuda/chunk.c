/* SPDX-License-Identifier: MIT */
/*
 * Chunks: backed address space that a guest process divides by itself, so that its cuMemAlloc() needs nobody.
 *
 * Design notes: they come from a window that is reserved at a fixed address when the first is asked for, if the
 * driver gives it: then the guest's device addresses are the same in every run, are none that the guest's own
 * memory has, and can be had again after a restore. A chunk is part of the context that it was made in, as what is
 * allocated in it is for the guest; for the driver it is not, so it is unmapped when the context ends. Which parts of
 * a chunk are allocated is the guest's affair: all of it is the guest's. Other processes of the guest
 * that open a part of it get all of it; see ipc_chunk.c.
 */
#include "cuda_plugin.h"

#define WINDOW_START 0x400000000000ull
#define WINDOW_MOST (1ull << 40)
#define WINDOW_LEAST (1ull << 36)

static bool
can_lend(const struct cuda_driver *native, CUdevice device)
{
    int able = 0;

    return cuda_virtual_known(native) &&
           native->cuDeviceGetAttribute(&able, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, device) ==
               CUDA_SUCCESS &&
           able != 0 && (!cuda_ipc_insisted() || cuda_chunks_shareable(native, device));
}

/* As large as the driver lets it be. Without any, its own allocations must serve. With the lock. */
static int
window_reserve(struct cuda_host *host)
{
    for (uint64_t bytes = WINDOW_MOST; host->window_bytes == 0 && bytes >= WINDOW_LEAST; bytes /= 4)
        if (host->native->cuMemAddressReserve(&host->window, bytes, 0, WINDOW_START, 0) == CUDA_SUCCESS)
            host->window_bytes = bytes;
    return host->window_bytes != 0 ? 0 : CUDA_ERROR_NOT_SUPPORTED;
}

/* The list's place in front of which @p bytes of the window are free, at *@p start. NULL: nowhere. With the lock. */
static struct cuda_range **
window_find(struct cuda_host *host, uint64_t bytes, CUdeviceptr *start)
{
    struct cuda_range **at = &host->chunks;

    *start = host->window;
    for (; *at && (*at)->start - *start < bytes; at = &(*at)->next)
        *start = (*at)->start + (*at)->bytes;
    return bytes <= host->window + host->window_bytes - *start ? at : NULL;
}

/* Finds a place for it, which no other chunk gets from now on. */
static int
chunk_place(struct cuda_host *host, struct cuda_range *chunk)
{
    struct cuda_range **at = NULL;
    int result;

    pthread_mutex_lock(&host->lock);
    result = window_reserve(host);
    if (result == 0)
        at = window_find(host, chunk->bytes, &chunk->start);
    if (at) {
        chunk->next = *at;
        *at = chunk;
    }
    pthread_mutex_unlock(&host->lock);
    return result == 0 && !at ? CUDA_ERROR_OUT_OF_MEMORY : result;
}

static void
chunk_unplace(struct cuda_host *host, const struct cuda_range *chunk)
{
    struct cuda_range **at = &host->chunks;

    pthread_mutex_lock(&host->lock);
    while (*at && *at != chunk)
        at = &(*at)->next;
    if (*at)
        *at = chunk->next;
    pthread_mutex_unlock(&host->lock);
}

static CUmemAllocationProp
chunk_properties(const struct cuda_driver *native, CUdevice device)
{
    CUmemAllocationProp wanted = cuda_physical_properties(device);

    if (cuda_ipc_allowed() && cuda_chunks_shareable(native, device))
        wanted.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    return wanted;
}

static int
chunk_begin(struct cuda_lane *lane, struct cuda_range *chunk)
{
    struct cuda_host *host = lane->host;
    CUmemAllocationProp wanted = chunk_properties(host->native, lane->current->device);
    int result = cuda_physical_map(host->native, &wanted, chunk->start, chunk->bytes);

    if (result != CUDA_SUCCESS)
        return result;
    cuda_object_begin(host, &chunk->object, &lane->current->object, NULL);
    result = cuda_ranges_insert(&host->ranges, chunk);
    if (result != 0)
        host->native->cuMemUnmap(chunk->start, chunk->bytes);
    return result;
}

static int
chunk_create(struct cuda_lane *lane, uint64_t bytes, CUdeviceptr *address)
{
    struct cuda_host *host = lane->host;
    struct cuda_range *chunk = (struct cuda_range *)cuda_object_create(host, CUDA_OBJECT_RANGE);
    int result;

    if (!chunk)
        return CUDA_ERROR_OUT_OF_MEMORY;
    chunk->use = CUDA_RANGE_CHUNK;
    chunk->bytes = bytes;
    chunk->memory = NULL;
    chunk->offered = false;
    result = chunk_place(host, chunk);
    if (result == 0) {
        result = chunk_begin(lane, chunk);
        if (result == 0) {
            *address = chunk->start;
            return 0;
        }
        chunk_unplace(host, chunk);
    }
    cuda_object_destroy(host, &chunk->object);
    return result;
}

/* The list's place for it; NULL: it is not in the window, or another one is there. */
static struct cuda_range **
window_place(struct cuda_host *host, CUdeviceptr start, uint64_t bytes)
{
    struct cuda_range **at = &host->chunks;

    if (start - host->window >= host->window_bytes || bytes > host->window_bytes - (start - host->window) || bytes == 0)
        return NULL;
    for (; *at && (*at)->start < start; at = &(*at)->next)
        if (bytes > UINT64_MAX - start || start - (*at)->start < (*at)->bytes)
            return NULL;
    return *at && (*at)->start - start < bytes ? NULL : at;
}

int
cuda_chunk_again(struct cuda_lane *lane, CUdeviceptr start, uint64_t bytes, struct cuda_range **made)
{
    struct cuda_host *host = lane->host;
    struct cuda_range **at = window_place(host, start, bytes);
    struct cuda_range *chunk = at ? cuda_range_create(host, CUDA_RANGE_CHUNK, start, bytes) : NULL;
    int result;

    if (!chunk)
        return at ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE;
    chunk->next = *at;
    *at = chunk;
    result = chunk_begin(lane, chunk);
    if (result == 0) {
        *made = chunk;
        return 0;
    }
    *at = chunk->next;
    cuda_object_destroy(host, &chunk->object);
    return result;
}

int
cuda_host_chunk_create(struct gpuvchan_request *request, uint64_t bytes, CUdeviceptr *address)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUmemAllocationProp wanted;
    size_t grain = 0;
    int result = cuda_enter(lane, NULL, NULL);

    if (result != 0)
        return result;
    if (!can_lend(native, lane->current->device))
        return cuda_leave(lane, CUDA_ERROR_NOT_SUPPORTED);
    wanted = chunk_properties(native, lane->current->device);
    result = native->cuMemGetAllocationGranularity(&grain, &wanted, CU_MEM_ALLOC_GRANULARITY_MINIMUM);
    if (result == CUDA_SUCCESS && (bytes == 0 || grain == 0 || bytes % grain != 0))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = chunk_create(lane, bytes, address);
    return cuda_leave(lane, result);
}

int
cuda_host_chunk_destroy(struct gpuvchan_request *request, CUdeviceptr address)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_host *host = lane->host;
    struct cuda_range *chunk = cuda_lane_range(lane, 0, address, 1);
    int result;

    if (!chunk || chunk->use != CUDA_RANGE_CHUNK || chunk->start != address ||
        !cuda_ranges_remove(&host->ranges, chunk))
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    cuda_object_end(host, lane, &chunk->object);
    cuda_chunk_withdraw(host, chunk);
    result = host->native->cuMemUnmap(chunk->start, chunk->bytes);
    chunk_unplace(host, chunk);
    cuda_leave(lane, 0);
    cuda_object_destroy(host, &chunk->object);
    return result;
}

void
cuda_chunks_end(struct cuda_host *host, const struct cuda_context *context)
{
    struct cuda_range **at = &host->chunks, *chunk;

    pthread_mutex_lock(&host->lock);
    while ((chunk = *at)) {
        if (atomic_load(&chunk->object.owner) == &context->object) {
            *at = chunk->next;
            cuda_chunk_withdraw(host, chunk);
            host->native->cuMemUnmap(chunk->start, chunk->bytes);
        } else {
            at = &chunk->next;
        }
    }
    pthread_mutex_unlock(&host->lock);
}

void
cuda_window_end(struct cuda_host *host)
{
    if (host->window_bytes != 0)
        host->native->cuMemAddressFree(host->window, host->window_bytes);
}
