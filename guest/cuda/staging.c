/* SPDX-License-Identifier: MIT */
/*
 * Copies of pageable memory, which the device cannot reach: through slots in the arena, in pieces, so that the
 * processor fills or empties some while the device works on others.
 *
 * Design notes: a thread's slots begin small, which is enough for the small reads that many programs do, and are
 * replaced by large ones at its first large copy. No thread takes more than a part of the arena for them, which
 * on Xen may be 4 MiB in all; where even that is not free they get smaller, down to a page each.
 *
 * Large copies are split among helper threads (copiers.c): the calling thread posts pieces, waits for the device,
 * and copies whatever no helper has begun when it comes to need it.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "context.h"
#include "copiers.h"

#define SLOT_LEAST 4096u
#define SLOT_SMALL 65536u
#define SLOT_LARGE (1u << 19)               /* small enough for several threads to end at about the same time */
#define LARGE_COPY ((size_t)SLOT_SMALL * 8) /* from here on large slots pay */
#define ARENA_PART 8u                       /* of the arena is the most that one thread's slots take */

/* ---- Slots ----------------------------------------------------------------------------------- */

static bool
slots_allocate(struct cuda_guest_bulk *bulk, size_t bytes)
{
    size_t most = gpuvchan_arena_size(cuda_guest.channel) / ARENA_PART / CUDA_GUEST_SLOTS;

    while (bytes > most && bytes > SLOT_LEAST)
        bytes /= 2;
    while (gpuvchan_buffer_create(cuda_guest.channel, bytes * CUDA_GUEST_SLOTS, &bulk->buffer) != 0) {
        bytes /= 2;
        if (bytes < SLOT_LEAST)
            return false;
    }
    bulk->slot_bytes = bytes;
    return true;
}

static CUresult
slots_create(struct cuda_guest_bulk *bulk, size_t bytes)
{
    bool again = bulk->slot_bytes != 0; /* then the words are there */

    if (!slots_allocate(bulk, bytes))
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (unsigned i = 0; i < CUDA_GUEST_SLOTS; i++) {
        struct cuda_guest_slot *slot = &bulk->slots[i];

        slot->bytes = bulk->slot_bytes;
        slot->data = (unsigned char *)gpuvchan_buffer_data(bulk->buffer) + i * bulk->slot_bytes;
        slot->offset = gpuvchan_buffer_offset(bulk->buffer) + i * bulk->slot_bytes;
        if (!again)
            slot->word.taken = gpuvchan_completion_create(cuda_guest.channel, &slot->word.index) == 0;
    }
    bulk->pinned_in = NULL;
    bulk->wanted = bytes;
    return CUDA_SUCCESS;
}

static struct gpuvchan_reference
all_slots(const struct cuda_guest_bulk *bulk)
{
    return (struct gpuvchan_reference){.offset = gpuvchan_buffer_offset(bulk->buffer),
                                       .bytes = gpuvchan_buffer_size(bulk->buffer)};
}

/* Are they, still? They are not if the context in which they were has ended. */
static bool
is_pinned(const struct cuda_guest_bulk *bulk)
{
    return bulk->pinned_in && atomic_load(&bulk->pinned_in->wire) == bulk->pinned_life;
}

/*
 * Pins the slots for all devices. That it fails is no matter, as then the host's driver copies as it does from
 * any memory.
 */
static CUresult
slots_pin(struct cuda_guest_thread *self, struct cuda_guest_bulk *bulk)
{
    CUdeviceptr address = 0;
    CUresult result = cuda_guest_settle(self);

    if (result != CUDA_SUCCESS)
        return result;
    if (cuda_guest_capturing()) /* it might end a capture of another thread: later */
        return CUDA_SUCCESS;
    bulk->pinned_in = cuda_guest_current(self);
    bulk->pinned_life = atomic_load(&bulk->pinned_in->wire);
    if (cuda_host_register_on(&cuda_guest.client, self->lane, all_slots(bulk), CU_MEMHOSTALLOC_PORTABLE, &address) < 0)
        return cuda_guest_result(gpuvchan_channel_error(cuda_guest.channel));
    return CUDA_SUCCESS;
}

/* Gives the slots back, which no copy uses any more; they stay if the host cannot unpin them. */
static CUresult
slots_drop(struct cuda_guest_thread *self, struct cuda_guest_bulk *bulk)
{
    CUresult result = CUDA_SUCCESS;
    int status = 0;

    for (unsigned i = 0; i < CUDA_GUEST_SLOTS && result == CUDA_SUCCESS; i++)
        result = cuda_guest_slot_wait(self, &bulk->slots[i]);
    if (result == CUDA_SUCCESS && is_pinned(bulk))
        result = cuda_guest_settle(self);
    if (result != CUDA_SUCCESS)
        return result;
    if (is_pinned(bulk))
        status = cuda_host_unregister_on(&cuda_guest.client, self->lane, all_slots(bulk));
    if (status < 0)
        return cuda_guest_result(gpuvchan_channel_error(cuda_guest.channel));
    if (status != 0 && status != CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED) {
        bulk->wanted = SLOT_LARGE;
        return CUDA_SUCCESS;
    }
    gpuvchan_buffer_destroy(bulk->buffer);
    bulk->buffer = NULL;
    return CUDA_SUCCESS;
}

CUresult
cuda_guest_slots_ready(struct cuda_guest_thread *self, size_t bytes)
{
    size_t wanted = bytes > LARGE_COPY ? SLOT_LARGE : SLOT_SMALL;
    struct cuda_guest_bulk *bulk = cuda_guest_bulk(self);
    CUresult result = bulk ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;

    if (bulk && bulk->buffer && wanted > bulk->wanted && !cuda_guest_capturing())
        result = slots_drop(self, bulk);
    if (result == CUDA_SUCCESS && !bulk->buffer)
        result = slots_create(bulk, wanted);
    if (result == CUDA_SUCCESS && !is_pinned(bulk))
        result = slots_pin(self, bulk);
    return result;
}

size_t
cuda_guest_slot_bytes(const struct cuda_guest_thread *self)
{
    return self->bulk->slot_bytes;
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

/* Its stream may be one of the default ones, which are others in every context: waits in its own. */
static CUresult
slot_wait_in(struct cuda_guest_thread *self, const struct cuda_guest_slot *slot)
{
    uint32_t told = self->told;
    CUresult result, back;

    if (slot->life == told)
        return cuda_guest_wait_mark(self, &slot->word, slot->stream);
    if (atomic_load(&slot->context->wire) != slot->life) /* it has gone, with all that was under way */
        return CUDA_SUCCESS;
    result = cuda_guest_tell(self, slot->life);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_wait_mark(self, &slot->word, slot->stream);
    back = cuda_guest_tell(self, told);
    return result == CUDA_SUCCESS ? back : result;
}

CUresult
cuda_guest_slot_wait(struct cuda_guest_thread *self, struct cuda_guest_slot *slot)
{
    CUresult result = CUDA_SUCCESS;

    if (!slot->busy)
        return CUDA_SUCCESS;
    if (!slot->orphan)
        result = slot_wait_in(self, slot);
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
    struct cuda_guest_slot *slot = &self->bulk->slots[self->bulk->turn++ % CUDA_GUEST_SLOTS];
    CUresult result = cuda_guest_slot_wait(self, slot);

    if (result == CUDA_SUCCESS)
        *out = slot;
    return result;
}

CUresult
cuda_guest_slot_mark(struct cuda_guest_thread *self, struct cuda_guest_slot *slot, uint32_t stream)
{
    slot->busy = true;
    slot->stream = stream;
    slot->context = cuda_guest_view(self);
    slot->life = self->told;
    return cuda_guest_mark(self, &slot->word, stream);
}

static struct gpuvchan_reference
slot_reference(const struct cuda_guest_slot *slot, size_t bytes)
{
    return (struct gpuvchan_reference){.offset = slot->offset, .bytes = bytes};
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

/* A copy in pieces; piece i goes through the slot that is taken i-th from its beginning on. */
struct staged {
    CUdeviceptr device;
    unsigned char *host;
    size_t bytes, piece, count;
    uint32_t stream;
    bool shared; /* with helpers */
    struct cuda_guest_slot *slots[CUDA_GUEST_SLOTS];
    struct cuda_guest_copier_job jobs[CUDA_GUEST_SLOTS];
};

static void
staged_begin(struct cuda_guest_thread *self, struct staged *copy)
{
    copy->piece = cuda_guest_slot_bytes(self);
    copy->count = (copy->bytes + copy->piece - 1) / copy->piece;
    copy->shared = cuda_guest_copiers_start(copy->bytes);
}

static size_t
piece_bytes(const struct staged *copy, size_t i)
{
    size_t done = i * copy->piece;

    return copy->bytes - done < copy->piece ? copy->bytes - done : copy->piece;
}

/* The processor's part of piece @p i: begins it, by a helper if there are some. */
static void
piece_copy_begin(struct cuda_guest_thread *self, struct staged *copy, size_t i, bool in)
{
    struct cuda_guest_copier_job *job = &copy->jobs[i % CUDA_GUEST_SLOTS];
    unsigned char *slot = copy->slots[i % CUDA_GUEST_SLOTS]->data, *host = copy->host + i * copy->piece;

    *job = (struct cuda_guest_copier_job){.lane = in ? self->lane : NULL,
                                          .to = in ? slot : host,
                                          .from = in ? host : slot,
                                          .bytes = piece_bytes(copy, i)};
    if (copy->shared)
        cuda_guest_copier_begin(job);
}

/* And has it done. */
static void
piece_copy_end(struct staged *copy, size_t i)
{
    struct cuda_guest_copier_job *job = &copy->jobs[i % CUDA_GUEST_SLOTS];

    if (copy->shared)
        cuda_guest_copier_end(job);
    else
        cuda_guest_copier_run(job);
}

/* ---- Captured -------------------------------------------------------------------------------- */

/*
 * A graph copies what is in the memory when it runs: the guest's own processor does that, between the memory and
 * a buffer that lives as long as the graph.
 */
static CUresult
captured_in(struct cuda_guest_thread *self, CUdeviceptr to, const void *from, size_t bytes, uint32_t stream)
{
    const struct cuda_guest_area memory = {.at = (unsigned char *)(uintptr_t)from};
    const struct cuda_guest_extent extent = {bytes, 1, 1};
    struct gpuvchan_reference buffer = {.bytes = bytes};
    uint32_t token;
    CUresult result = cuda_guest_task_stage(self, &memory, true, &extent, &token, &buffer.offset);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_task_post(self, token, stream);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_copy_in_on(&cuda_guest.client, self->lane, to, buffer, stream));
    return result;
}

static CUresult
captured_out(struct cuda_guest_thread *self, void *to, CUdeviceptr from, size_t bytes, uint32_t stream)
{
    const struct cuda_guest_area memory = {.at = to};
    const struct cuda_guest_extent extent = {bytes, 1, 1};
    struct gpuvchan_reference buffer = {.bytes = bytes};
    uint32_t token;
    CUresult result = cuda_guest_task_stage(self, &memory, false, &extent, &token, &buffer.offset);

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
piece_in_post(struct cuda_guest_thread *self, struct staged *copy, size_t i)
{
    struct cuda_guest_slot *slot = copy->slots[i % CUDA_GUEST_SLOTS];
    CUresult result = cuda_guest_result(cuda_copy_in_on(&cuda_guest.client, self->lane, copy->device + i * copy->piece,
                                                        slot_reference(slot, piece_bytes(copy, i)), copy->stream));

    return result == CUDA_SUCCESS ? cuda_guest_slot_mark(self, slot, copy->stream) : result;
}

/* What a helper has begun reads the caller's memory: it ends before the caller goes on, also after an error. */
static CUresult
pieces_in(struct cuda_guest_thread *self, struct staged *copy)
{
    const size_t ahead = copy->shared ? CUDA_GUEST_SLOTS : 1;
    CUresult result = CUDA_SUCCESS;
    size_t begun = 0;

    for (size_t i = 0; i < copy->count && result == CUDA_SUCCESS; i++) {
        for (; begun < copy->count && begun < i + ahead && result == CUDA_SUCCESS; begun++) {
            result = cuda_guest_slot_take(self, &copy->slots[begun % CUDA_GUEST_SLOTS]);
            if (result != CUDA_SUCCESS)
                break;
            piece_copy_begin(self, copy, begun, true);
        }
        if (result == CUDA_SUCCESS) {
            piece_copy_end(copy, i);
            result = piece_in_post(self, copy, i);
        }
        if (result != CUDA_SUCCESS)
            for (size_t left = i; copy->shared && left < begun; left++)
                piece_copy_end(copy, left);
    }
    return result;
}

/* Is there no slot, because the program has pinned the whole arena? That is not to be its copies' matter. */
static bool
is_crowded(CUresult result)
{
    return result == CUDA_ERROR_OUT_OF_MEMORY && gpuvchan_channel_error(cuda_guest.channel) == 0;
}

/* Without a slot, in records: slow. */
static CUresult
in_records(struct cuda_guest_thread *self, CUdeviceptr to, const unsigned char *from, size_t bytes, uint32_t stream)
{
    CUresult result = CUDA_SUCCESS;

    while (bytes != 0 && result == CUDA_SUCCESS) {
        size_t piece = bytes < CUDA_COPY_IN_SMALL_DATA_MAX ? bytes : CUDA_COPY_IN_SMALL_DATA_MAX;

        result = cuda_guest_result(cuda_copy_in_small_on(&cuda_guest.client, self->lane, to, stream, from, piece));
        to += piece;
        from += piece;
        bytes -= piece;
    }
    return result;
}

CUresult
cuda_guest_stage_in(struct cuda_guest_thread *self, CUdeviceptr to, const void *from, size_t bytes, uint32_t stream)
{
    struct staged copy = {.device = to, .host = (unsigned char *)(uintptr_t)from, .bytes = bytes, .stream = stream};
    bool captured;
    uint32_t distance;
    CUresult result = cuda_guest_captured(self, stream, &captured);

    if (result != CUDA_SUCCESS)
        return result;
    if (captured)
        return captured_in(self, to, from, bytes, stream);
    if (bytes <= CUDA_COPY_IN_SMALL_DATA_MAX)
        return in_records(self, to, from, bytes, stream);
    result = cuda_guest_slots_ready(self, bytes);
    if (is_crowded(result))
        return in_records(self, to, from, bytes, stream);
    if (result == CUDA_SUCCESS) /* by which the stores to the slots are chosen */
        result = cuda_guest_result(gpuvchan_lane_distance(self->lane, &distance));
    if (result != CUDA_SUCCESS)
        return result;
    staged_begin(self, &copy);
    return pieces_in(self, &copy);
}

/* ---- Out ------------------------------------------------------------------------------------- */

static CUresult
piece_out_post(struct cuda_guest_thread *self, struct staged *copy, size_t i)
{
    struct cuda_guest_slot **slot = &copy->slots[i % CUDA_GUEST_SLOTS];
    CUresult result = cuda_guest_slot_take(self, slot);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_copy_out_on(&cuda_guest.client, self->lane, copy->device + i * copy->piece,
                                                    slot_reference(*slot, piece_bytes(copy, i)), copy->stream));
    return result == CUDA_SUCCESS ? cuda_guest_slot_mark(self, *slot, copy->stream) : result;
}

/*
 * A piece is posted, then fetched by the device, then copied, by a helper if there are some; its slot is free for
 * another one when it has been copied. Half of the slots are with the device.
 */
static CUresult
pieces_out(struct cuda_guest_thread *self, struct staged *copy)
{
    const size_t ahead = CUDA_GUEST_SLOTS / 2, behind = copy->shared ? CUDA_GUEST_SLOTS - ahead : 1;
    size_t posted = 0, fetched = 0, copied = 0;
    CUresult result = CUDA_SUCCESS;

    while (copied < copy->count) {
        if (result == CUDA_SUCCESS && posted < copy->count && posted - fetched < ahead &&
            posted - copied < CUDA_GUEST_SLOTS) {
            result = piece_out_post(self, copy, posted);
            posted += result == CUDA_SUCCESS;
        } else if (result == CUDA_SUCCESS && fetched < posted && fetched - copied < behind) {
            result = cuda_guest_slot_wait(self, copy->slots[fetched % CUDA_GUEST_SLOTS]);
            if (result == CUDA_SUCCESS)
                piece_copy_begin(self, copy, fetched++, false);
        } else if (copied < fetched) {
            piece_copy_end(copy, copied++);
        } else {
            break; /* after an error nothing is left that a helper has */
        }
    }
    return result;
}

static CUresult
out_records(struct cuda_guest_thread *self, unsigned char *to, CUdeviceptr from, size_t bytes, uint32_t stream)
{
    CUresult result = CUDA_SUCCESS;

    while (bytes != 0 && result == CUDA_SUCCESS) {
        size_t piece = bytes < CUDA_COPY_OUT_SMALL_DATA_MAX ? bytes : CUDA_COPY_OUT_SMALL_DATA_MAX, got = piece;

        result = cuda_guest_result(cuda_copy_out_small_on(&cuda_guest.client, self->lane, from, stream, to, &got));
        if (result == CUDA_SUCCESS && got != piece)
            result = CUDA_ERROR_UNKNOWN;
        to += piece;
        from += piece;
        bytes -= piece;
    }
    return result;
}

CUresult
cuda_guest_stage_out(struct cuda_guest_thread *self, void *to, CUdeviceptr from, size_t bytes, uint32_t stream)
{
    struct staged copy = {.device = from, .host = to, .bytes = bytes, .stream = stream};
    bool captured;
    CUresult result = cuda_guest_captured(self, stream, &captured);

    if (result == CUDA_SUCCESS && captured)
        return captured_out(self, to, from, bytes, stream);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_slots_ready(self, bytes);
    if (is_crowded(result))
        return out_records(self, to, from, bytes, stream);
    if (result != CUDA_SUCCESS)
        return result;
    staged_begin(self, &copy);
    return pieces_out(self, &copy);
}
