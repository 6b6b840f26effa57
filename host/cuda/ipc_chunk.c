/* SPDX-License-Identifier: MIT */
/*
 * Parts of chunks that other processes open as they open the driver's allocations.
 *
 * Design notes: the driver's own handles are of its allocations, and the guest's lie in chunks. So a chunk is offered by a
 * descriptor, once, and each part by a token of its own that says where in the chunk it lies; the same part has the same
 * token again. Who opens a part maps the whole chunk, once in each context: the guest's other processes see no more of
 * it than they could ask for.
 */
#include "cuda_plugin.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE 0x67767063u
#define CHUNK 0x67766368u

/* What workers tell each other: of a part, and with the descriptor of a chunk. */
struct piece {
    uint32_t kind, reserved;
    struct gpuvchan_session_token chunk; /* its descriptor's */
    uint64_t offset, bytes;
    uint64_t unused[2]; /* so that it is larger than a handle of the driver's */
};

struct offered {
    uint32_t kind, reserved;
    uint64_t bytes;
};

/* A chunk of another process, mapped here. */
struct cuda_imported {
    struct cuda_imported *next;
    struct cuda_context *context;
    struct gpuvchan_session_token token;
    CUdeviceptr start;
    uint64_t bytes;
    uint64_t uses; /* parts that are open, each as often as it was opened */
};

_Static_assert(sizeof(struct piece) != sizeof(CUipcMemHandle), "they are told apart by their sizes");

/* ---- Offering -------------------------------------------------------------------------------- */

bool
cuda_chunks_shareable(const struct cuda_driver *native, CUdevice device)
{
    int able = 0;

    return native->cuMemRetainAllocationHandle && native->cuMemExportToShareableHandle &&
           native->cuMemImportFromShareableHandle &&
           native->cuDeviceGetAttribute(&able, CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED,
                                        device) == CUDA_SUCCESS &&
           able != 0;
}

/* With the host's lock. */
static int
chunk_offer(struct cuda_host *host, struct cuda_range *chunk)
{
    struct offered offered = {.kind = CHUNK, .bytes = chunk->bytes};
    const struct cuda_driver *native = host->native;
    CUmemGenericAllocationHandle memory;
    int fd = -1, result;

    if (chunk->offered)
        return 0;
    if (!native->cuMemRetainAllocationHandle || !native->cuMemExportToShareableHandle)
        return cuda_driver_lacks(native, "cuMemExportToShareableHandle");
    result = native->cuMemRetainAllocationHandle(&memory, (void *)(uintptr_t)chunk->start);
    if (result != CUDA_SUCCESS)
        return result;
    result = native->cuMemExportToShareableHandle(&fd, memory, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
    native->cuMemRelease(memory);
    if (result != CUDA_SUCCESS)
        return result;
    atomic_store(&host->shared, true);
    if (gpuvchan_session_share(host->session, &offered, sizeof(offered), fd, &chunk->token) != 0)
        result = CUDA_ERROR_OPERATING_SYSTEM;
    close(fd);
    chunk->offered = result == 0;
    return result;
}

int
cuda_chunk_share(struct cuda_lane *lane, struct cuda_range *chunk, CUdeviceptr address, uint64_t bytes,
                 struct gpuvchan_session_token *token)
{
    struct piece piece = {.kind = PIECE, .offset = address - chunk->start, .bytes = bytes};
    int result;

    pthread_mutex_lock(&lane->host->lock);
    result = chunk_offer(lane->host, chunk);
    piece.chunk = chunk->token;
    pthread_mutex_unlock(&lane->host->lock);
    if (result == 0 && gpuvchan_session_share(lane->host->session, &piece, sizeof(piece), -1, token) != 0)
        result = CUDA_ERROR_OPERATING_SYSTEM;
    return result;
}

void
cuda_chunk_withdraw(struct cuda_host *host, struct cuda_range *chunk)
{
    if (chunk->offered)
        gpuvchan_session_unshare(host->session, &chunk->token);
    chunk->offered = false;
}

/* ---- Opening --------------------------------------------------------------------------------- */

bool
cuda_is_piece(const void *data, size_t bytes)
{
    return bytes == sizeof(struct piece) && ((const struct piece *)data)->kind == PIECE;
}

static int
map_memory(struct cuda_lane *lane, CUmemGenericAllocationHandle memory, struct cuda_imported *chunk)
{
    const struct cuda_driver *native = lane->host->native;
    CUmemAccessDesc access = {.location = cuda_physical_properties(lane->current->device).location,
                              .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    int result = native->cuMemAddressReserve(&chunk->start, chunk->bytes, 0, 0, 0);

    if (result != CUDA_SUCCESS)
        return result;
    result = native->cuMemMap(chunk->start, chunk->bytes, 0, memory, 0);
    if (result == CUDA_SUCCESS) {
        result = native->cuMemSetAccess(chunk->start, chunk->bytes, &access, 1);
        if (result != CUDA_SUCCESS)
            native->cuMemUnmap(chunk->start, chunk->bytes);
    }
    if (result != CUDA_SUCCESS)
        native->cuMemAddressFree(chunk->start, chunk->bytes);
    return result;
}

static int
chunk_import(struct cuda_lane *lane, const struct gpuvchan_session_token *token, struct cuda_imported *chunk)
{
    const struct cuda_driver *native = lane->host->native;
    CUmemGenericAllocationHandle memory;
    struct offered offered;
    size_t bytes = sizeof(offered);
    int fd = -1, result;

    if (!native->cuMemImportFromShareableHandle || !cuda_virtual_known(native))
        return cuda_driver_lacks(native, "cuMemImportFromShareableHandle");
    if (gpuvchan_session_take(lane->host->session, token, &offered, &bytes, &fd) != 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (fd < 0 || bytes != sizeof(offered) || offered.kind != CHUNK) {
        if (fd >= 0)
            close(fd);
        return CUDA_ERROR_INVALID_VALUE;
    }
    result = native->cuMemImportFromShareableHandle(&memory, (void *)(uintptr_t)fd,
                                                    CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
    close(fd);
    if (result != CUDA_SUCCESS)
        return result;
    chunk->bytes = offered.bytes;
    result = map_memory(lane, memory, chunk);
    native->cuMemRelease(memory); /* the mapping keeps it */
    return result;
}

static int
chunk_open(struct cuda_lane *lane, const struct gpuvchan_session_token *token, struct cuda_imported **out)
{
    struct cuda_imported *chunk;
    int result;

    for (chunk = lane->host->imported; chunk; chunk = chunk->next)
        if (chunk->context == lane->current && memcmp(&chunk->token, token, sizeof(*token)) == 0)
            break;
    if (!chunk) {
        chunk = calloc(1, sizeof(*chunk));
        result = chunk ? chunk_import(lane, token, chunk) : CUDA_ERROR_OUT_OF_MEMORY;
        if (result != 0) {
            free(chunk);
            return result;
        }
        chunk->context = lane->current;
        chunk->token = *token;
        chunk->next = lane->host->imported;
        lane->host->imported = chunk;
    }
    *out = chunk;
    return 0;
}

static void
unmap(struct cuda_host *host, struct cuda_imported **at)
{
    struct cuda_imported *chunk = *at;

    *at = chunk->next;
    host->native->cuMemUnmap(chunk->start, chunk->bytes);
    host->native->cuMemAddressFree(chunk->start, chunk->bytes);
    free(chunk);
}

int
cuda_piece_open(struct cuda_lane *lane, const void *data, CUdeviceptr *address, uint64_t *bytes)
{
    const struct piece *piece = data;
    struct cuda_imported *chunk;
    int result = chunk_open(lane, &piece->chunk, &chunk);

    if (result != 0)
        return result;
    chunk->uses++;
    if (piece->offset > chunk->bytes || piece->bytes > chunk->bytes - piece->offset) {
        cuda_piece_close(lane->host, chunk->start);
        return CUDA_ERROR_INVALID_VALUE;
    }
    *address = chunk->start + piece->offset;
    *bytes = piece->bytes;
    return 0;
}

bool
cuda_piece_close(struct cuda_host *host, CUdeviceptr address)
{
    struct cuda_imported **at = &host->imported;

    while (*at && address - (*at)->start >= (*at)->bytes)
        at = &(*at)->next;
    if (!*at)
        return false;
    if (--(*at)->uses == 0)
        unmap(host, at);
    return true;
}

void
cuda_pieces_end(struct cuda_host *host, const struct cuda_context *context)
{
    struct cuda_imported **at = &host->imported;

    while (*at) {
        if ((*at)->context == context)
            unmap(host, at);
        else
            at = &(*at)->next;
    }
}
