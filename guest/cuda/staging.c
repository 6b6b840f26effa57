/* SPDX-License-Identifier: MIT */
/*
 * Copies of pageable memory, which the device cannot reach: through slots in the arena, in pieces, so that the
 * processor fills or empties one while the device works on others.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "guest.h"

/* ---- Slots ----------------------------------------------------------------------------------- */

static CUresult
slots_create(struct cuda_guest_bulk *bulk)
{
    if (gpuvchan_buffer_create(cuda_guest.channel, (size_t)CUDA_GUEST_SLOTS * CUDA_GUEST_SLOT_BYTES, &bulk->buffer))
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (unsigned i = 0; i < CUDA_GUEST_SLOTS; i++) {
        struct cuda_guest_slot *slot = &bulk->slots[i];

        slot->data = (unsigned char *)gpuvchan_buffer_data(bulk->buffer) + (size_t)i * CUDA_GUEST_SLOT_BYTES;
        slot->offset = gpuvchan_buffer_offset(bulk->buffer) + (uint64_t)i * CUDA_GUEST_SLOT_BYTES;
        slot->word.taken = gpuvchan_completion_create(cuda_guest.channel, &slot->word.index) == 0;
    }
    return CUDA_SUCCESS;
}

/*
 * Pins the slots for the device, once per life of a context. That it fails is no matter, as then the
 * host's driver copies as it does from any memory.
 */
static CUresult
slots_pin(struct cuda_guest_thread *self, struct cuda_guest_bulk *bulk)
{
    struct gpuvchan_reference all = {.offset = gpuvchan_buffer_offset(bulk->buffer),
                                     .bytes = gpuvchan_buffer_size(bulk->buffer)};
    CUdeviceptr address = 0;
    CUresult result = cuda_guest_settle(self);

    if (result != CUDA_SUCCESS)
        return result;
    if (cuda_guest_capturing()) /* it might end a capture of another thread: later */
        return CUDA_SUCCESS;
    bulk->pinned_life = self->told;
    if (cuda_host_register_on(&cuda_guest.client, self->lane, all, CU_MEMHOSTALLOC_PORTABLE, &address) < 0)
        return cuda_guest_result(gpuvchan_channel_error(cuda_guest.channel));
    return CUDA_SUCCESS;
}

/* For a slot whose stream cannot be asked about any more: looks at the word now and then. */
static void
slot_poll(const struct cuda_guest_slot *slot)
{
    const struct timespec pause = {.tv_nsec = 100000};

    while (slot->word.taken && gpuvchan_completion_read(cuda_guest.channel, slot->word.index) < slot->word.marked &&
           atomic_load(&slot->context->wire) == slot->life && atomic_load(&cuda_guest.fault) == 0 &&
           gpuvchan_channel_error(cuda_guest.channel) == 0)
        nanosleep(&pause, NULL);
}

CUresult
cuda_guest_slot_wait(struct cuda_guest_thread *self, struct cuda_guest_slot *slot)
{
    CUresult result = CUDA_SUCCESS;

    if (!slot->busy)
        return CUDA_SUCCESS;
    if (!slot->orphan)
        result = cuda_guest_wait_mark(self, &slot->word, slot->stream);
    if (slot->orphan || result == CUDA_ERROR_INVALID_HANDLE) { /* or the stream was destroyed meanwhile */
        slot_poll(slot);
        result = CUDA_SUCCESS;
    }
    slot->busy = slot->orphan = false;
    return result;
}

CUresult
cuda_guest_slot_take(struct cuda_guest_thread *self, struct cuda_guest_slot **out)
{
    struct cuda_guest_bulk *bulk = cuda_guest_bulk(self);
    CUresult result = bulk ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    struct cuda_guest_slot *slot;

    if (bulk && !bulk->buffer)
        result = slots_create(bulk);
    if (result == CUDA_SUCCESS && bulk->pinned_life != self->told)
        result = slots_pin(self, bulk);
    if (result != CUDA_SUCCESS)
        return result;
    slot = &bulk->slots[bulk->turn++ % CUDA_GUEST_SLOTS];
    result = cuda_guest_slot_wait(self, slot);
    if (result == CUDA_SUCCESS)
        *out = slot;
    return result;
}

CUresult
cuda_guest_slot_mark(struct cuda_guest_thread *self, struct cuda_guest_slot *slot, uint32_t stream)
{
    slot->busy = true;
    slot->stream = stream;
    slot->context = cuda_guest_current(self);
    slot->life = self->told;
    return cuda_guest_mark(self, &slot->word, stream);
}

static struct gpuvchan_reference
slot_reference(const struct cuda_guest_slot *slot, size_t bytes)
{
    return (struct gpuvchan_reference){.offset = slot->offset, .bytes = bytes};
}

/* ---- Captured -------------------------------------------------------------------------------- */

/*
 * A graph copies what is in the memory when it runs: the guest's own processor does that, between the memory and
 * a buffer that lives as long as the graph.
 */
static CUresult
captured_in(struct cuda_guest_thread *self, CUdeviceptr to, const void *from, size_t bytes, uint32_t stream)
{
    const struct cuda_guest_box memory = {.at = (unsigned char *)(uintptr_t)from};
    const struct cuda_guest_extent extent = {bytes, 1, 1};
    struct gpuvchan_reference buffer = {.bytes = bytes};
    uint32_t token;
    CUresult result = cuda_guest_task_stage(&memory, true, &extent, &token, &buffer.offset);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_task_post(self, token, stream);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_copy_in_on(&cuda_guest.client, self->lane, to, buffer, stream));
    return result;
}

static CUresult
captured_out(struct cuda_guest_thread *self, void *to, CUdeviceptr from, size_t bytes, uint32_t stream)
{
    const struct cuda_guest_box memory = {.at = to};
    const struct cuda_guest_extent extent = {bytes, 1, 1};
    struct gpuvchan_reference buffer = {.bytes = bytes};
    uint32_t token;
    CUresult result = cuda_guest_task_stage(&memory, false, &extent, &token, &buffer.offset);

    if (result != CUDA_SUCCESS)
        return result;
    result = cuda_guest_result(cuda_copy_out_on(&cuda_guest.client, self->lane, from, buffer, stream));
    if (result == CUDA_SUCCESS)
        return cuda_guest_task_post(self, token, stream);
    cuda_guest_task_drop(token);
    return result;
}

/* ---- In -------------------------------------------------------------------------------------- */

static CUresult
piece_in(struct cuda_guest_thread *self, CUdeviceptr to, const unsigned char *from, size_t bytes, uint32_t stream)
{
    struct cuda_guest_slot *slot;
    CUresult result = cuda_guest_slot_take(self, &slot);

    if (result != CUDA_SUCCESS)
        return result;
    gpuvchan_arena_write(self->lane, slot->data, from, bytes);
    result =
        cuda_guest_result(cuda_copy_in_on(&cuda_guest.client, self->lane, to, slot_reference(slot, bytes), stream));
    return result == CUDA_SUCCESS ? cuda_guest_slot_mark(self, slot, stream) : result;
}

CUresult
cuda_guest_stage_in(struct cuda_guest_thread *self, CUdeviceptr to, const void *from, size_t bytes, uint32_t stream)
{
    const unsigned char *at = from;
    bool captured;
    CUresult result = cuda_guest_captured(self, stream, &captured);
    uint32_t distance;

    if (result != CUDA_SUCCESS)
        return result;
    if (captured)
        return captured_in(self, to, from, bytes, stream);
    if (bytes <= CUDA_COPY_IN_SMALL_DATA_MAX)
        return cuda_guest_result(cuda_copy_in_small_on(&cuda_guest.client, self->lane, to, stream, from, bytes));
    result = cuda_guest_result(gpuvchan_lane_distance(self->lane, &distance));
    while (bytes != 0 && result == CUDA_SUCCESS) {
        size_t piece = bytes < CUDA_GUEST_SLOT_BYTES ? bytes : CUDA_GUEST_SLOT_BYTES;

        result = piece_in(self, to, at, piece, stream);
        to += piece;
        at += piece;
        bytes -= piece;
    }
    return result;
}

/* ---- Out ------------------------------------------------------------------------------------- */

static CUresult
piece_out_begin(struct cuda_guest_thread *self, struct cuda_guest_slot **slot, CUdeviceptr from, size_t bytes,
                uint32_t stream)
{
    CUresult result = cuda_guest_slot_take(self, slot);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(
            cuda_copy_out_on(&cuda_guest.client, self->lane, from, slot_reference(*slot, bytes), stream));
    return result == CUDA_SUCCESS ? cuda_guest_slot_mark(self, *slot, stream) : result;
}

static size_t
piece_bytes(size_t piece, size_t bytes)
{
    size_t done = piece * CUDA_GUEST_SLOT_BYTES;

    return bytes - done < CUDA_GUEST_SLOT_BYTES ? bytes - done : CUDA_GUEST_SLOT_BYTES;
}

/* Half of the slots are asked for ahead of the one that is being emptied. */
CUresult
cuda_guest_stage_out(struct cuda_guest_thread *self, void *to, CUdeviceptr from, size_t bytes, uint32_t stream)
{
    const size_t pieces = (bytes + CUDA_GUEST_SLOT_BYTES - 1) / CUDA_GUEST_SLOT_BYTES, ahead = CUDA_GUEST_SLOTS / 2;
    struct cuda_guest_slot *slots[CUDA_GUEST_SLOTS];
    bool captured;
    CUresult result = cuda_guest_captured(self, stream, &captured);

    if (result == CUDA_SUCCESS && captured)
        return captured_out(self, to, from, bytes, stream);
    for (size_t begun = 0, ended = 0; ended < pieces && result == CUDA_SUCCESS;) {
        if (begun < pieces && begun - ended < ahead) {
            result = piece_out_begin(self, &slots[begun % CUDA_GUEST_SLOTS], from + begun * CUDA_GUEST_SLOT_BYTES,
                                     piece_bytes(begun, bytes), stream);
            begun++;
            continue;
        }
        struct cuda_guest_slot *slot = slots[ended % CUDA_GUEST_SLOTS];

        result = cuda_guest_slot_wait(self, slot);
        if (result == CUDA_SUCCESS)
            memcpy((unsigned char *)to + ended * CUDA_GUEST_SLOT_BYTES, slot->data, piece_bytes(ended, bytes));
        ended++;
    }
    return result;
}
