/* SPDX-License-Identifier: MIT */
/*
 * Copies of one piece: chosen by where the two ends are.
 *
 *                to the device            to pinned memory         to pageable memory
 * the device     post                     post, or a call          through slots, waited for
 * pinned         post, or a call          the processor            the processor
 * pageable       in the record, or slots  the processor            the processor
 *
 * The processor copies behind all that is in the stream. What is pageable has been read or written when the
 * function returns, which CUDA allows also for its asynchronous functions.
 */
#include <string.h>

#include "place.h"

/* Up to here one call that fills one slot is faster than a post, a mark and looking at it. */
#define OUT_BY_CALL 65536u
#define WAIT_BY_CALL 16384u /* pinned memory: up to here the copy is over before its mark would be */

/* ---- Places ---------------------------------------------------------------------------------- */

CUresult
cuda_guest_place_find(uint64_t address, uint64_t bytes, struct cuda_guest_place *out)
{
    struct cuda_guest_range range;

    if (address == 0)
        return CUDA_ERROR_INVALID_VALUE;
    *out = (struct cuda_guest_place){.kind = CUDA_GUEST_AT_PAGEABLE, .host = (void *)(uintptr_t)address};
    if (!cuda_guest_range_find(address, &range))
        return CUDA_SUCCESS;
    if (!cuda_guest_range_holds(&range, address, bytes))
        return CUDA_ERROR_INVALID_VALUE;
    if (!cuda_guest_range_is_pinned(&range)) {
        out->kind = CUDA_GUEST_AT_DEVICE;
        out->device = address;
        return CUDA_SUCCESS;
    }
    out->kind = CUDA_GUEST_AT_ARENA;
    out->host = range.host + (address - range.start);
    out->offset = range.offset + (address - range.start);
    return CUDA_SUCCESS;
}

/* ---- Kinds of copies ------------------------------------------------------------------------- */

struct copy {
    struct cuda_guest_place to, from;
    size_t bytes;
    uint32_t stream;
    bool wait; /* a synchronous function of the API */
};

static struct gpuvchan_reference
reference(const struct cuda_guest_place *place, size_t bytes)
{
    return (struct gpuvchan_reference){.offset = place->offset, .bytes = bytes};
}

/*
 * A synchronous copy of some size is posted and waited for at its completion word: the call's reply would wake
 * this thread by a doorbell, some 20 us late, where a driver in its own process polls.
 */
static CUresult
posted(struct cuda_guest_thread *self, const struct copy *copy, int status)
{
    if (status != 0 || !copy->wait || copy->bytes <= WAIT_BY_CALL)
        return cuda_guest_result(status);
    return cuda_guest_wait_copy(self, copy->stream, copy->bytes);
}

static CUresult
copy_in(struct cuda_guest_thread *self, const struct copy *copy)
{
    const struct gpuvchan_client *client = &cuda_guest.client;
    int status;

    if (copy->from.kind == CUDA_GUEST_AT_PAGEABLE) {
        CUresult result = cuda_guest_stage_in(self, copy->to.device, copy->from.host, copy->bytes, copy->stream);

        return result == CUDA_SUCCESS && copy->wait ? cuda_guest_wait_staged(self, copy->stream, copy->bytes) : result;
    }
    if (copy->wait && copy->bytes <= WAIT_BY_CALL)
        status = cuda_copy_in_wait_on(client, self->lane, copy->to.device, reference(&copy->from, copy->bytes),
                                      copy->stream == CUDA_GUEST_WIRE_PER_THREAD);
    else
        status =
            cuda_copy_in_on(client, self->lane, copy->to.device, reference(&copy->from, copy->bytes), copy->stream);
    return posted(self, copy, status);
}

/* A small synchronous read into pageable memory: one call, if a slot holds it. */
static CUresult
copy_out_call(struct cuda_guest_thread *self, const struct copy *copy)
{
    struct cuda_guest_slot *slot;
    CUresult result = cuda_guest_slots_ready(self, copy->bytes);

    if (result == CUDA_ERROR_OUT_OF_MEMORY || (result == CUDA_SUCCESS && copy->bytes > cuda_guest_slot_bytes(self)))
        return cuda_guest_stage_out(self, copy->to.host, copy->from.device, copy->bytes, copy->stream);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_slot_take(self, &slot);
    if (result != CUDA_SUCCESS)
        return result;
    result = cuda_guest_result(
        cuda_copy_out_wait_on(&cuda_guest.client, self->lane, copy->from.device,
                              (struct gpuvchan_reference){.offset = slot->offset, .bytes = copy->bytes},
                              copy->stream == CUDA_GUEST_WIRE_PER_THREAD));
    if (result == CUDA_SUCCESS)
        memcpy(copy->to.host, slot->data, copy->bytes);
    return result;
}

static CUresult
copy_out(struct cuda_guest_thread *self, const struct copy *copy)
{
    const struct gpuvchan_client *client = &cuda_guest.client;
    int status;

    if (copy->to.kind == CUDA_GUEST_AT_PAGEABLE) {
        if (copy->wait && copy->bytes <= OUT_BY_CALL)
            return copy_out_call(self, copy);
        return cuda_guest_stage_out(self, copy->to.host, copy->from.device, copy->bytes, copy->stream);
    }
    if (copy->wait && copy->bytes <= WAIT_BY_CALL)
        status = cuda_copy_out_wait_on(client, self->lane, copy->from.device, reference(&copy->to, copy->bytes),
                                       copy->stream == CUDA_GUEST_WIRE_PER_THREAD);
    else
        status =
            cuda_copy_out_on(client, self->lane, copy->from.device, reference(&copy->to, copy->bytes), copy->stream);
    return posted(self, copy, status);
}

static CUresult
copy_here_captured(struct cuda_guest_thread *self, const struct copy *copy)
{
    const struct cuda_guest_area to = {.at = copy->to.host}, from = {.at = copy->from.host};
    const struct cuda_guest_extent extent = {copy->bytes, 1, 1};
    uint32_t token;
    CUresult result = cuda_guest_task_copy(&to, &from, &extent, &token);

    return result == CUDA_SUCCESS ? cuda_guest_task_post(self, token, copy->stream) : result;
}

static CUresult
copy_here(struct cuda_guest_thread *self, const struct copy *copy)
{
    bool captured;
    CUresult result = cuda_guest_captured(self, copy->stream, &captured);

    if (result == CUDA_SUCCESS && captured && !copy->wait)
        return copy_here_captured(self, copy);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_wait_stream(self, copy->stream);

    if (result == CUDA_SUCCESS)
        memmove(copy->to.host, copy->from.host, copy->bytes);
    return result;
}

static CUresult
copy_run(struct cuda_guest_thread *self, const struct copy *copy)
{
    bool to_device = copy->to.kind == CUDA_GUEST_AT_DEVICE, from_device = copy->from.kind == CUDA_GUEST_AT_DEVICE;

    if (to_device && from_device)
        return cuda_guest_result(cuda_copy_across_on(&cuda_guest.client, self->lane, copy->to.device, copy->from.device,
                                                     copy->bytes, copy->stream));
    if (to_device)
        return copy_in(self, copy);
    return from_device ? copy_out(self, copy) : copy_here(self, copy);
}

CUresult
cuda_guest_copy(struct cuda_guest_thread *self, const struct cuda_guest_place *to, const struct cuda_guest_place *from,
                size_t bytes, uint32_t stream)
{
    const struct copy copy = {.to = *to, .from = *from, .bytes = bytes, .stream = stream};

    return copy_run(self, &copy);
}

/* ---- Entry points ---------------------------------------------------------------------------- */

/* Which ends must be memory that the device knows. */
enum {
    ANY = 0,
    TO_KNOWN = 1,
    FROM_KNOWN = 2
};

static CUresult
copy_begin(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream, bool wait, unsigned known)
{
    struct copy copy = {.bytes = bytes, .wait = wait};
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_stream_wire(self, stream, &copy.stream, NULL);
    if (result != CUDA_SUCCESS || bytes == 0)
        return result;
    result = cuda_guest_place_find(to, bytes, &copy.to);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_place_find(from, bytes, &copy.from);
    if (result != CUDA_SUCCESS)
        return result;
    if ((known & TO_KNOWN && copy.to.kind == CUDA_GUEST_AT_PAGEABLE) ||
        (known & FROM_KNOWN && copy.from.kind == CUDA_GUEST_AT_PAGEABLE))
        return CUDA_ERROR_INVALID_VALUE;
    result = copy_run(self, &copy);
    if (result == CUDA_SUCCESS && wait && atomic_load_explicit(&cuda_guest_output.waits, memory_order_relaxed))
        result = cuda_guest_wait_stream(self, copy.stream);
    return result;
}

static CUdeviceptr
address(const void *pointer)
{
    return (uintptr_t)pointer;
}

ENTRY
cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes)
{
    return copy_begin(to, address(from), bytes, NULL, true, TO_KNOWN);
}

ENTRY
cuMemcpyHtoD_v2_ptds(CUdeviceptr to, const void *from, size_t bytes)
{
    return copy_begin(to, address(from), bytes, CU_STREAM_PER_THREAD, true, TO_KNOWN);
}

ENTRY
cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream)
{
    return copy_begin(to, address(from), bytes, stream, false, TO_KNOWN);
}

ENTRY
cuMemcpyHtoDAsync_v2_ptsz(CUdeviceptr to, const void *from, size_t bytes, CUstream stream)
{
    return copy_begin(to, address(from), bytes, cuda_guest_per_thread(stream), false, TO_KNOWN);
}

ENTRY
cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes)
{
    return copy_begin(address(to), from, bytes, NULL, true, FROM_KNOWN);
}

ENTRY
cuMemcpyDtoH_v2_ptds(void *to, CUdeviceptr from, size_t bytes)
{
    return copy_begin(address(to), from, bytes, CU_STREAM_PER_THREAD, true, FROM_KNOWN);
}

ENTRY
cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    return copy_begin(address(to), from, bytes, stream, false, FROM_KNOWN);
}

ENTRY
cuMemcpyDtoHAsync_v2_ptsz(void *to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    return copy_begin(address(to), from, bytes, cuda_guest_per_thread(stream), false, FROM_KNOWN);
}

ENTRY
cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes)
{
    return copy_begin(to, from, bytes, NULL, true, TO_KNOWN | FROM_KNOWN);
}

ENTRY
cuMemcpyDtoD_v2_ptds(CUdeviceptr to, CUdeviceptr from, size_t bytes)
{
    return copy_begin(to, from, bytes, CU_STREAM_PER_THREAD, true, TO_KNOWN | FROM_KNOWN);
}

ENTRY
cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    return copy_begin(to, from, bytes, stream, false, TO_KNOWN | FROM_KNOWN);
}

ENTRY
cuMemcpyDtoDAsync_v2_ptsz(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    return copy_begin(to, from, bytes, cuda_guest_per_thread(stream), false, TO_KNOWN | FROM_KNOWN);
}

ENTRY
cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes)
{
    return copy_begin(to, from, bytes, NULL, true, ANY);
}

ENTRY
cuMemcpy_ptds(CUdeviceptr to, CUdeviceptr from, size_t bytes)
{
    return copy_begin(to, from, bytes, CU_STREAM_PER_THREAD, true, ANY);
}

ENTRY
cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    return copy_begin(to, from, bytes, stream, false, ANY);
}

ENTRY
cuMemcpyAsync_ptsz(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    return copy_begin(to, from, bytes, cuda_guest_per_thread(stream), false, ANY);
}
