/* SPDX-License-Identifier: MIT */
/* Device memory, and what is known of an address. */
#include <string.h>

#include "chunk.h"
#include "pool.h"

/* ---- Allocation ------------------------------------------------------------------------------ */

static CUresult
keep(struct cuda_guest_thread *self, CUdeviceptr address, uint64_t bytes, bool in_chunk)
{
    struct cuda_guest_range range = {.start = address,
                                     .bytes = bytes,
                                     .kind = CUDA_GUEST_DEVICE,
                                     .context = cuda_guest_current(self),
                                     .in_chunk = in_chunk};
    CUresult result = cuda_guest_range_add(&range);

    if (result != CUDA_SUCCESS && in_chunk)
        cuda_guest_chunk_free(self, &range);
    else if (result != CUDA_SUCCESS)
        cuda_mem_free_on(&cuda_guest.client, self->lane, address);
    return result;
}

/* The driver's own. */
static CUresult
alloc_on_host(struct cuda_guest_thread *self, uint64_t bytes, CUdeviceptr *address)
{
    CUresult result = cuda_guest_settle(self);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_mem_alloc_on(&cuda_guest.client, self->lane, bytes, address));
}

ENTRY
cuMemAlloc_v2(CUdeviceptr *address, size_t bytes)
{
    struct cuda_guest_thread *self;
    CUdeviceptr found = 0;
    CUresult result = cuda_guest_enter(&self);
    bool in_chunk;

    if (result != CUDA_SUCCESS)
        return result;
    if (!address || bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_chunk_alloc(self, bytes, &found);
    in_chunk = result != CUDA_ERROR_NOT_SUPPORTED;
    if (!in_chunk)
        result = alloc_on_host(self, bytes, &found);
    if (result == CUDA_SUCCESS)
        result = keep(self, found, bytes, in_chunk);
    if (result == CUDA_SUCCESS)
        *address = found;
    return result;
}

ENTRY
cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height, unsigned int element)
{
    struct cuda_guest_thread *self;
    CUdeviceptr found = 0;
    uint64_t between = 0;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!address || !pitch || width == 0 || height == 0)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(
            cuda_mem_alloc_pitch_on(&cuda_guest.client, self->lane, width, height, element, &found, &between));
    if (result == CUDA_ERROR_OUT_OF_MEMORY && cuda_guest_chunks_trim(self))
        result = cuda_guest_result(
            cuda_mem_alloc_pitch_on(&cuda_guest.client, self->lane, width, height, element, &found, &between));
    if (result == CUDA_SUCCESS)
        result = keep(self, found, between * height, false);
    if (result != CUDA_SUCCESS)
        return result;
    *address = found;
    *pitch = between;
    return CUDA_SUCCESS;
}

/*
 * While something is being captured the driver alone knows whether this thread may free memory, and what becomes of
 * captures if not: it is asked with memory of its own.
 */
static CUresult
may_free(struct cuda_guest_thread *self)
{
    CUdeviceptr asked;
    CUresult result = cuda_guest_capturing() ? alloc_on_host(self, 1, &asked) : CUDA_ERROR_OUT_OF_MEMORY;

    if (result == CUDA_ERROR_OUT_OF_MEMORY)
        return CUDA_SUCCESS;
    return result == CUDA_SUCCESS ? cuda_guest_result(cuda_mem_free_on(&cuda_guest.client, self->lane, asked)) : result;
}

ENTRY
cuMemFree_v2(CUdeviceptr address)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_range range;
    CUresult result = cuda_guest_enter(&self);

    /* Runtimes free NULL to see whether there is a device. */
    if (address == 0 && result == CUDA_ERROR_INVALID_CONTEXT)
        return CUDA_SUCCESS;
    if (result == CUDA_SUCCESS && address != 0)
        result = may_free(self);
    if (result != CUDA_SUCCESS || address == 0)
        return result;
    /* What a graph has allocated it will allocate again: the address stays known as long as the graph. */
    if (!cuda_guest_range_take(address, CUDA_GUEST_DEVICE, &range) &&
        !cuda_guest_range_take(address, CUDA_GUEST_POOLED, &range) &&
        !(cuda_guest_range_find(address, &range) && range.kind == CUDA_GUEST_GRAPH))
        return cuda_guest_managed_free(self, address);
    if (range.in_chunk)
        return cuda_guest_chunk_free(self, &range);
    return cuda_guest_result(cuda_mem_free_on(&cuda_guest.client, self->lane, address));
}

ENTRY
cuMemGetInfo_v2(size_t *unused, size_t *total)
{
    struct cuda_guest_thread *self;
    uint64_t unused_bytes = 0, total_bytes = 0;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!unused || !total)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_result(cuda_mem_info_on(&cuda_guest.client, self->lane, &unused_bytes, &total_bytes));
    if (result != CUDA_SUCCESS)
        return result;
    *unused = unused_bytes + cuda_guest_chunks_unused(cuda_guest_current(self)->device);
    *total = total_bytes;
    return CUDA_SUCCESS;
}

/* ---- What is known of an address ------------------------------------------------------------- */

ENTRY
cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr address)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_range range;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS || (!base && !bytes))
        return result;
    if (!cuda_guest_range_find(address, &range) || range.kind == CUDA_GUEST_GLOBAL)
        return CUDA_ERROR_NOT_FOUND;
    if (base)
        *base = range.start;
    if (bytes)
        *bytes = range.bytes;
    return CUDA_SUCCESS;
}

/* An attribute is of one of these sizes, and what lies behind it in the caller's memory must stay. */
union value {
    uint64_t wide;
    uint32_t word;
    unsigned char byte;
};

struct answer {
    union value value;
    size_t bytes;
    CUresult result;
};

static struct answer
wide(uint64_t value)
{
    return (struct answer){.value = {.wide = value}, .bytes = 8};
}

static struct answer
word(uint32_t value)
{
    return (struct answer){.value = {.word = value}, .bytes = 4};
}

/* Of memory that is not ours the driver says so for some attributes, when asked for many at once. */
static struct answer
attribute_unknown(CUpointer_attribute attribute, CUdeviceptr address)
{
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        return wide(address);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        return word((uint32_t)-2);
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
    case CU_POINTER_ATTRIBUTE_MAPPED:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
        return word(0);
    default:
        return wide(0);
    }
}

static struct answer
attribute_of(CUpointer_attribute attribute, CUdeviceptr address, const struct cuda_guest_range *range)
{
    bool pinned = cuda_guest_range_is_pinned(range), managed = range->kind == CUDA_GUEST_MANAGED;
    uint64_t inside = address - range->start;

    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
        return wide(range->context ? (uintptr_t)cuda_guest_handle(&range->context->object) : 0);
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        return word(pinned && !managed ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE);
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
        return wide(pinned ? range->device + inside : address);
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        if (pinned)
            return wide((uintptr_t)range->host + inside);
        return (struct answer){.bytes = 8, .result = CUDA_ERROR_INVALID_VALUE};
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
        return wide(range->id);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        return word((uint32_t)cuda_guest_range_device(range));
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
        return wide(range->start);
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
        return wide(range->bytes);
    case CU_POINTER_ATTRIBUTE_MAPPED:
        return word(1);
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
        return word(!pinned);
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
        return word(CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE);
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
        return word(managed);
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
        return word(0);
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
        return wide(range->bytes);
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
        return wide(range->start);
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
        return wide(range->id);
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
        return wide(0);
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
        return wide(range->kind == CUDA_GUEST_POOLED ? (uintptr_t)cuda_guest_pool_of(range) : 0);
    default:
        return (struct answer){.result = CUDA_ERROR_INVALID_VALUE};
    }
}

ENTRY
cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr address)
{
    CUresult result = cuda_guest_ready();
    struct cuda_guest_range range;
    struct answer answer;

    if (result != CUDA_SUCCESS)
        return result;
    if (!data || !cuda_guest_range_find(address, &range))
        return CUDA_ERROR_INVALID_VALUE;
    answer = attribute_of(attribute, address, &range);
    memcpy(data, &answer.value, answer.bytes);
    return answer.result;
}

ENTRY
cuPointerGetAttributes(unsigned int count, CUpointer_attribute *attributes, void **data, CUdeviceptr address)
{
    CUresult result = cuda_guest_ready();
    struct cuda_guest_range range;
    bool known;

    if (result != CUDA_SUCCESS)
        return result;
    if (count == 0 || !attributes || !data)
        return CUDA_ERROR_INVALID_VALUE;
    known = cuda_guest_range_find(address, &range);
    for (unsigned i = 0; i < count; i++) {
        struct answer answer =
            known ? attribute_of(attributes[i], address, &range) : attribute_unknown(attributes[i], address);

        if (answer.bytes == 0)
            return CUDA_ERROR_INVALID_VALUE;
        memcpy(data[i], &answer.value, answer.bytes);
    }
    return CUDA_SUCCESS;
}

/* Whether synchronous functions wait for all of a copy of this memory: the driver knows what that takes. */
ENTRY
cuPointerSetAttribute(const void *value, CUpointer_attribute attribute, CUdeviceptr address)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_range range;
    CUresult result = cuda_guest_enter(&self);
    uint32_t wanted;

    if (result != CUDA_SUCCESS)
        return result;
    if (!value || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS || !cuda_guest_range_find(address, &range))
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&wanted, value, sizeof(wanted));
    return cuda_guest_result(cuda_pointer_set_attribute_on(
        &cuda_guest.client, self->lane,
        cuda_guest_range_is_pinned(&range) ? range.device + (address - range.start) : address, attribute, wanted != 0));
}

ENTRY
cuMemBatchDecompressAsync(CUmemDecompressParams *parameters, size_t count, unsigned int flags, size_t *failed,
                          CUstream stream)
{
    CUresult result = cuda_guest_ready();

    (void)failed;
    (void)stream;
    if (result != CUDA_SUCCESS)
        return result;
    return parameters && count > 0 && flags == 0 ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
}

ENTRY
cuMemBatchDecompressAsync_ptsz(CUmemDecompressParams *parameters, size_t count, unsigned int flags, size_t *failed,
                               CUstream stream)
{
    return cuMemBatchDecompressAsync(parameters, count, flags, failed, stream);
}
