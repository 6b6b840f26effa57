/* SPDX-License-Identifier: MIT */
/* Copies of bytes of arrays as they follow each other: cuMemcpyAtoH and its like. */
#include <string.h>

#include "array.h"
#include "place.h"

/* One end: an array from an offset on, or memory. */
struct end {
    struct cuda_guest_place place;
    uint64_t offset;
};

struct copy {
    struct end to, from;
    size_t bytes;
    uint32_t stream;
    bool wait;
};

static CUresult
post(struct cuda_guest_thread *self, const struct copy *copy)
{
    const struct end *memory = copy->to.place.kind == CUDA_GUEST_AT_ARRAY ? &copy->from : &copy->to;
    struct gpuvchan_reference arena = {0};
    CUdeviceptr device = 0;

    if (memory->place.kind == CUDA_GUEST_AT_ARENA)
        arena = (struct gpuvchan_reference){.offset = memory->place.offset, .bytes = copy->bytes};
    else if (memory->place.kind == CUDA_GUEST_AT_DEVICE)
        device = memory->place.device;
    return cuda_guest_result(cuda_copy_array_on(&cuda_guest.client, self->lane, copy->from.place.array,
                                                copy->to.place.array, copy->from.offset, copy->to.offset, device, arena,
                                                copy->bytes, copy->stream));
}

/* The part of @p copy at @p done, with a slot in place of the pageable end. */
static struct copy
piece_of(const struct copy *copy, size_t done, const struct cuda_guest_slot *slot)
{
    struct copy piece = *copy;
    struct end *packed = copy->to.place.kind == CUDA_GUEST_AT_ARRAY ? &piece.from : &piece.to;

    piece.bytes = copy->bytes - done < slot->bytes ? copy->bytes - done : slot->bytes;
    piece.to.offset += done;
    piece.from.offset += done;
    packed->place = (struct cuda_guest_place){.kind = CUDA_GUEST_AT_ARENA, .host = slot->data, .offset = slot->offset};
    return piece;
}

static CUresult
through_slots(struct cuda_guest_thread *self, const struct copy *copy)
{
    bool in = copy->from.place.kind == CUDA_GUEST_AT_PAGEABLE;
    CUresult result = cuda_guest_slots_ready(self, copy->bytes);
    struct cuda_guest_slot *slot;

    for (size_t done = 0; done < copy->bytes && result == CUDA_SUCCESS;) {
        result = cuda_guest_slot_take(self, &slot);
        if (result != CUDA_SUCCESS)
            break;
        struct copy piece = piece_of(copy, done, slot);

        if (in)
            memcpy(slot->data, copy->from.place.host + done, piece.bytes);
        result = post(self, &piece);
        if (result == CUDA_SUCCESS)
            result = cuda_guest_slot_mark(self, slot, copy->stream);
        if (result == CUDA_SUCCESS && !in)
            result = cuda_guest_slot_wait(self, slot);
        if (result == CUDA_SUCCESS && !in)
            memcpy(copy->to.place.host + done, slot->data, piece.bytes);
        done += piece.bytes;
    }
    return result == CUDA_SUCCESS && in && copy->wait ? cuda_guest_wait_staged(self, copy->stream, copy->bytes)
                                                      : result;
}

/* All of it through one buffer, which the graph keeps; see staging.c. */
static CUresult
captured_run(struct cuda_guest_thread *self, const struct copy *copy)
{
    bool in = copy->from.place.kind == CUDA_GUEST_AT_PAGEABLE;
    const struct cuda_guest_extent extent = {copy->bytes, 1, 1};
    struct copy packed = *copy;
    struct end *end = in ? &packed.from : &packed.to;
    const struct cuda_guest_area memory = {.at = end->place.host};
    uint32_t token;
    CUresult result = cuda_guest_task_stage(self, &memory, in, &extent, &token, &end->place.offset);

    if (result != CUDA_SUCCESS)
        return result;
    end->place.kind = CUDA_GUEST_AT_ARENA;
    if (in) {
        result = cuda_guest_task_post(self, token, copy->stream);
        return result == CUDA_SUCCESS ? post(self, &packed) : result;
    }
    result = post(self, &packed);
    if (result == CUDA_SUCCESS)
        return cuda_guest_task_post(self, token, copy->stream);
    cuda_guest_task_drop(token);
    return result;
}

static CUresult
end_array(struct end *end, CUarray handle, size_t offset)
{
    const struct cuda_guest_array *array = cuda_guest_array_find(handle);

    if (!array)
        return CUDA_ERROR_INVALID_HANDLE;
    *end = (struct end){.place = {.kind = CUDA_GUEST_AT_ARRAY, .array = array->object.handle}, .offset = offset};
    return CUDA_SUCCESS;
}

/* Memory of the processor or, if @p known, of the device. */
static CUresult
end_memory(struct end *end, uint64_t address, size_t bytes, bool known)
{
    CUresult result;

    end->offset = 0;
    result = cuda_guest_place_find(address, bytes, &end->place);
    if (result == CUDA_SUCCESS && known && end->place.kind == CUDA_GUEST_AT_PAGEABLE)
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

static CUresult
copy_enter(struct cuda_guest_thread **self, struct copy *copy, CUstream stream, size_t bytes, bool wait)
{
    CUresult result = cuda_guest_enter(self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_stream_wire(*self, stream, &copy->stream, NULL);
    copy->bytes = bytes;
    copy->wait = wait;
    return result;
}

static CUresult
copy_run(struct cuda_guest_thread *self, const struct copy *copy)
{
    bool captured;
    CUresult result = cuda_guest_captured(self, copy->stream, &captured);

    if (result != CUDA_SUCCESS)
        return result;
    if (!cuda_guest_place_reached(&copy->to.place) || !cuda_guest_place_reached(&copy->from.place))
        return captured && !copy->wait ? captured_run(self, copy) : through_slots(self, copy);
    result = post(self, copy);
    if (result == CUDA_SUCCESS && copy->wait &&
        (!cuda_guest_place_remote(&copy->to.place) || !cuda_guest_place_remote(&copy->from.place)))
        result = cuda_guest_wait_stream(self, copy->stream);
    return result;
}

static CUresult
array_to_array(CUarray to, size_t to_offset, CUarray from, size_t from_offset, size_t bytes, CUstream stream)
{
    struct cuda_guest_thread *self;
    struct copy copy;
    CUresult result = copy_enter(&self, &copy, stream, bytes, true);

    if (result == CUDA_SUCCESS)
        result = end_array(&copy.to, to, to_offset);
    if (result == CUDA_SUCCESS)
        result = end_array(&copy.from, from, from_offset);
    return result == CUDA_SUCCESS && bytes != 0 ? copy_run(self, &copy) : result;
}

static CUresult
memory_to_array(CUarray to, size_t offset, uint64_t from, size_t bytes, CUstream stream, bool wait, bool known)
{
    struct cuda_guest_thread *self;
    struct copy copy;
    CUresult result = copy_enter(&self, &copy, stream, bytes, wait);

    if (result == CUDA_SUCCESS)
        result = end_array(&copy.to, to, offset);
    if (result != CUDA_SUCCESS || bytes == 0)
        return result;
    result = end_memory(&copy.from, from, bytes, known);
    return result == CUDA_SUCCESS ? copy_run(self, &copy) : result;
}

static CUresult
array_to_memory(uint64_t to, CUarray from, size_t offset, size_t bytes, CUstream stream, bool wait, bool known)
{
    struct cuda_guest_thread *self;
    struct copy copy;
    CUresult result = copy_enter(&self, &copy, stream, bytes, wait);

    if (result == CUDA_SUCCESS)
        result = end_array(&copy.from, from, offset);
    if (result != CUDA_SUCCESS || bytes == 0)
        return result;
    result = end_memory(&copy.to, to, bytes, known);
    return result == CUDA_SUCCESS ? copy_run(self, &copy) : result;
}

/* ---- Entry points ---------------------------------------------------------------------------- */

ENTRY
cuMemcpyAtoA_v2(CUarray to, size_t to_offset, CUarray from, size_t from_offset, size_t bytes)
{
    return array_to_array(to, to_offset, from, from_offset, bytes, NULL);
}

ENTRY
cuMemcpyAtoA_v2_ptds(CUarray to, size_t to_offset, CUarray from, size_t from_offset, size_t bytes)
{
    return array_to_array(to, to_offset, from, from_offset, bytes, CU_STREAM_PER_THREAD);
}

ENTRY
cuMemcpyDtoA_v2(CUarray to, size_t offset, CUdeviceptr from, size_t bytes)
{
    return memory_to_array(to, offset, from, bytes, NULL, true, true);
}

ENTRY
cuMemcpyDtoA_v2_ptds(CUarray to, size_t offset, CUdeviceptr from, size_t bytes)
{
    return memory_to_array(to, offset, from, bytes, CU_STREAM_PER_THREAD, true, true);
}

ENTRY
cuMemcpyAtoD_v2(CUdeviceptr to, CUarray from, size_t offset, size_t bytes)
{
    return array_to_memory(to, from, offset, bytes, NULL, true, true);
}

ENTRY
cuMemcpyAtoD_v2_ptds(CUdeviceptr to, CUarray from, size_t offset, size_t bytes)
{
    return array_to_memory(to, from, offset, bytes, CU_STREAM_PER_THREAD, true, true);
}

ENTRY
cuMemcpyHtoA_v2(CUarray to, size_t offset, const void *from, size_t bytes)
{
    return memory_to_array(to, offset, (uintptr_t)from, bytes, NULL, true, false);
}

ENTRY
cuMemcpyHtoA_v2_ptds(CUarray to, size_t offset, const void *from, size_t bytes)
{
    return memory_to_array(to, offset, (uintptr_t)from, bytes, CU_STREAM_PER_THREAD, true, false);
}

ENTRY
cuMemcpyHtoAAsync_v2(CUarray to, size_t offset, const void *from, size_t bytes, CUstream stream)
{
    return memory_to_array(to, offset, (uintptr_t)from, bytes, stream, false, false);
}

ENTRY
cuMemcpyHtoAAsync_v2_ptsz(CUarray to, size_t offset, const void *from, size_t bytes, CUstream stream)
{
    return cuMemcpyHtoAAsync_v2(to, offset, from, bytes, cuda_guest_per_thread(stream));
}

ENTRY
cuMemcpyAtoH_v2(void *to, CUarray from, size_t offset, size_t bytes)
{
    return array_to_memory((uintptr_t)to, from, offset, bytes, NULL, true, false);
}

ENTRY
cuMemcpyAtoH_v2_ptds(void *to, CUarray from, size_t offset, size_t bytes)
{
    return array_to_memory((uintptr_t)to, from, offset, bytes, CU_STREAM_PER_THREAD, true, false);
}

ENTRY
cuMemcpyAtoHAsync_v2(void *to, CUarray from, size_t offset, size_t bytes, CUstream stream)
{
    return array_to_memory((uintptr_t)to, from, offset, bytes, stream, false, false);
}

ENTRY
cuMemcpyAtoHAsync_v2_ptsz(void *to, CUarray from, size_t offset, size_t bytes, CUstream stream)
{
    return cuMemcpyAtoHAsync_v2(to, from, offset, bytes, cuda_guest_per_thread(stream));
}
