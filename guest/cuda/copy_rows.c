/* SPDX-License-Identifier: MIT */
/*
 * Copies of rows (cuMemcpy2D): one record if the device reaches both ends, else rows packed through slots.
 */
#include <string.h>

#include "place.h"

/* One end; its place is that of the first row. */
struct end {
    struct cuda_guest_place place;
    uint64_t pitch, extent;
};

struct rows {
    struct end to, from;
    size_t width, height;
    uint32_t stream;
    bool wait;
};

enum {
    WIRE_DEVICE,
    WIRE_ARENA
}; /* kinds in the record */

/* ---- Reading the description ----------------------------------------------------------------- */

static CUresult
end_read(struct end *end, CUmemorytype type, uint64_t host, uint64_t device, size_t x, size_t y, size_t pitch,
         size_t width, size_t height)
{
    uint64_t at = type == CU_MEMORYTYPE_HOST ? host : device, skip, row;
    CUresult result;

    if (type == CU_MEMORYTYPE_ARRAY)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (type != CU_MEMORYTYPE_HOST && type != CU_MEMORYTYPE_DEVICE && type != CU_MEMORYTYPE_UNIFIED)
        return CUDA_ERROR_INVALID_VALUE;
    if (__builtin_add_overflow(x, width, &row))
        return CUDA_ERROR_INVALID_VALUE;
    end->pitch = pitch != 0 ? pitch : row;
    if ((end->pitch < row && height > 1) || __builtin_mul_overflow(end->pitch, y, &skip) ||
        __builtin_add_overflow(skip, x, &skip) || __builtin_add_overflow(at, skip, &at) ||
        __builtin_mul_overflow(end->pitch, height - 1, &end->extent) ||
        __builtin_add_overflow(end->extent, width, &end->extent))
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_place_find(at, end->extent, &end->place);
    if (result == CUDA_SUCCESS && type == CU_MEMORYTYPE_DEVICE && end->place.kind == CUDA_GUEST_AT_PAGEABLE)
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

/* ---- Rows of the device and the arena -------------------------------------------------------- */

static uint8_t
wire_kind(const struct end *end)
{
    return end->place.kind == CUDA_GUEST_AT_DEVICE ? WIRE_DEVICE : WIRE_ARENA;
}

static struct gpuvchan_reference
wire_reference(const struct end *end)
{
    if (end->place.kind == CUDA_GUEST_AT_DEVICE)
        return (struct gpuvchan_reference){0};
    return (struct gpuvchan_reference){.offset = end->place.offset, .bytes = end->extent};
}

static CUresult
post(struct cuda_guest_thread *self, const struct rows *rows)
{
    return cuda_guest_result(cuda_copy_2d_on(&cuda_guest.client, self->lane, wire_kind(&rows->from),
                                             wire_kind(&rows->to), rows->from.place.device, rows->to.place.device,
                                             wire_reference(&rows->from), wire_reference(&rows->to), rows->from.pitch,
                                             rows->to.pitch, rows->width, rows->height, rows->stream));
}

/* ---- Rows of pageable memory ----------------------------------------------------------------- */

static void
copy_rows(unsigned char *to, size_t to_pitch, const unsigned char *from, size_t from_pitch, size_t width, size_t height)
{
    for (size_t i = 0; i < height; i++)
        memmove(to + i * to_pitch, from + i * from_pitch, width);
}

/* @p rows with its pageable end replaced by a slot, from row @p first on, as many rows as fit. */
static struct rows
piece(const struct rows *rows, size_t first, const struct cuda_guest_slot *slot)
{
    struct rows piece = *rows;
    struct end *packed = rows->from.place.kind == CUDA_GUEST_AT_PAGEABLE ? &piece.from : &piece.to;
    struct end *other = packed == &piece.from ? &piece.to : &piece.from;
    size_t most = CUDA_GUEST_SLOT_BYTES / rows->width;

    piece.height = rows->height - first < most ? rows->height - first : most;
    packed->place = (struct cuda_guest_place){.kind = CUDA_GUEST_AT_ARENA, .host = slot->data, .offset = slot->offset};
    packed->pitch = rows->width;
    packed->extent = rows->width * piece.height;
    other->place.device += first * other->pitch;
    other->extent = (piece.height - 1) * other->pitch + rows->width;
    return piece;
}

/* Rows so long that a slot does not hold one: each is a copy of its own. */
static CUresult
long_rows(struct cuda_guest_thread *self, const struct rows *rows)
{
    CUresult result = CUDA_SUCCESS;

    for (size_t i = 0; i < rows->height && result == CUDA_SUCCESS; i++) {
        if (rows->to.place.kind == CUDA_GUEST_AT_DEVICE)
            result = cuda_guest_stage_in(self, rows->to.place.device + i * rows->to.pitch,
                                         rows->from.place.host + i * rows->from.pitch, rows->width, rows->stream);
        else
            result = cuda_guest_stage_out(self, rows->to.place.host + i * rows->to.pitch,
                                          rows->from.place.device + i * rows->from.pitch, rows->width, rows->stream);
    }
    return result;
}

static CUresult
rows_in(struct cuda_guest_thread *self, const struct rows *rows)
{
    struct cuda_guest_slot *slot;
    CUresult result = CUDA_SUCCESS;

    for (size_t first = 0; first < rows->height && result == CUDA_SUCCESS;) {
        result = cuda_guest_slot_take(self, &slot);
        if (result != CUDA_SUCCESS)
            break;
        struct rows part = piece(rows, first, slot);

        copy_rows(slot->data, rows->width, rows->from.place.host + first * rows->from.pitch, rows->from.pitch,
                  rows->width, part.height);
        result = post(self, &part);
        if (result == CUDA_SUCCESS)
            result = cuda_guest_slot_mark(self, slot, rows->stream);
        first += part.height;
    }
    return result;
}

static CUresult
rows_out(struct cuda_guest_thread *self, const struct rows *rows)
{
    struct cuda_guest_slot *slot;
    CUresult result = CUDA_SUCCESS;

    for (size_t first = 0; first < rows->height && result == CUDA_SUCCESS;) {
        result = cuda_guest_slot_take(self, &slot);
        if (result != CUDA_SUCCESS)
            break;
        struct rows part = piece(rows, first, slot);

        result = post(self, &part);
        if (result == CUDA_SUCCESS)
            result = cuda_guest_slot_mark(self, slot, rows->stream);
        if (result == CUDA_SUCCESS)
            result = cuda_guest_slot_wait(self, slot);
        if (result == CUDA_SUCCESS)
            copy_rows(rows->to.place.host + first * rows->to.pitch, rows->to.pitch, slot->data, rows->width,
                      rows->width, part.height);
        first += part.height;
    }
    return result;
}

/* All rows in one buffer, which the graph keeps. */
static CUresult
rows_captured(struct cuda_guest_thread *self, const struct rows *rows)
{
    bool in = rows->to.place.kind == CUDA_GUEST_AT_DEVICE;
    struct rows packed = *rows;
    struct end *end = in ? &packed.from : &packed.to;
    const struct cuda_guest_box memory = {.at = end->place.host, .pitch = end->pitch};
    const struct cuda_guest_extent extent = {rows->width, rows->height, 1};
    uint32_t token;
    CUresult result = cuda_guest_task_stage(&memory, in, &extent, &token, &end->place.offset);

    if (result != CUDA_SUCCESS)
        return result;
    end->place.kind = CUDA_GUEST_AT_ARENA;
    end->pitch = rows->width;
    end->extent = rows->width * rows->height;
    if (in) {
        result = cuda_guest_task_post(self, token, rows->stream);
        return result == CUDA_SUCCESS ? post(self, &packed) : result;
    }
    result = post(self, &packed);
    if (result == CUDA_SUCCESS)
        return cuda_guest_task_post(self, token, rows->stream);
    cuda_guest_task_drop(token);
    return result;
}

static CUresult
rows_here(struct cuda_guest_thread *self, const struct rows *rows)
{
    const struct cuda_guest_box to = {.at = rows->to.place.host, .pitch = rows->to.pitch};
    const struct cuda_guest_box from = {.at = rows->from.place.host, .pitch = rows->from.pitch};
    const struct cuda_guest_extent extent = {rows->width, rows->height, 1};
    uint32_t token;
    CUresult result = cuda_guest_task_copy(&to, &from, &extent, NULL, &token);

    return result == CUDA_SUCCESS ? cuda_guest_task_post(self, token, rows->stream) : result;
}

/* ---- Dispatch -------------------------------------------------------------------------------- */

static CUresult
rows_run(struct cuda_guest_thread *self, const struct rows *rows)
{
    bool to_device = rows->to.place.kind == CUDA_GUEST_AT_DEVICE;
    bool from_device = rows->from.place.kind == CUDA_GUEST_AT_DEVICE;
    bool pageable = rows->to.place.kind == CUDA_GUEST_AT_PAGEABLE || rows->from.place.kind == CUDA_GUEST_AT_PAGEABLE;
    bool captured;
    CUresult result = cuda_guest_captured(self, rows->stream, &captured);

    if (result != CUDA_SUCCESS)
        return result;
    if (captured && !rows->wait && !to_device && !from_device)
        return rows_here(self, rows);
    if (captured && !rows->wait && pageable)
        return rows_captured(self, rows);
    if (!to_device && !from_device) {
        result = cuda_guest_wait_stream(self, rows->stream);
        if (result == CUDA_SUCCESS)
            copy_rows(rows->to.place.host, rows->to.pitch, rows->from.place.host, rows->from.pitch, rows->width,
                      rows->height);
        return result;
    }
    if (pageable) {
        if (rows->width > CUDA_GUEST_SLOT_BYTES)
            return long_rows(self, rows);
        return to_device ? rows_in(self, rows) : rows_out(self, rows);
    }
    result = post(self, rows);
    if (result == CUDA_SUCCESS && rows->wait && !(to_device && from_device))
        result = cuda_guest_wait_stream(self, rows->stream);
    return result;
}

static CUresult
copy_2d(const CUDA_MEMCPY2D *copy, CUstream stream, bool wait)
{
    struct cuda_guest_thread *self;
    struct rows rows = {.wait = wait};
    CUresult result = cuda_guest_enter(&self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_stream_wire(self, stream, &rows.stream, NULL);
    if (result != CUDA_SUCCESS)
        return result;
    if (!copy)
        return CUDA_ERROR_INVALID_VALUE;
    rows.width = copy->WidthInBytes;
    rows.height = copy->Height;
    if (rows.width == 0 || rows.height == 0)
        return CUDA_SUCCESS;
    result = end_read(&rows.from, copy->srcMemoryType, (uintptr_t)copy->srcHost, copy->srcDevice, copy->srcXInBytes,
                      copy->srcY, copy->srcPitch, rows.width, rows.height);
    if (result == CUDA_SUCCESS)
        result = end_read(&rows.to, copy->dstMemoryType, (uintptr_t)copy->dstHost, copy->dstDevice, copy->dstXInBytes,
                          copy->dstY, copy->dstPitch, rows.width, rows.height);
    return result == CUDA_SUCCESS ? rows_run(self, &rows) : result;
}

ENTRY
cuMemcpy2D_v2(const CUDA_MEMCPY2D *copy)
{
    return copy_2d(copy, NULL, true);
}
ENTRY_ALIAS(cuMemcpy2DUnaligned_v2, cuMemcpy2D_v2);

ENTRY
cuMemcpy2D_v2_ptds(const CUDA_MEMCPY2D *copy)
{
    return copy_2d(copy, CU_STREAM_PER_THREAD, true);
}
ENTRY_ALIAS(cuMemcpy2DUnaligned_v2_ptds, cuMemcpy2D_v2_ptds);

ENTRY
cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *copy, CUstream stream)
{
    return copy_2d(copy, stream, false);
}

ENTRY
cuMemcpy2DAsync_v2_ptsz(const CUDA_MEMCPY2D *copy, CUstream stream)
{
    return copy_2d(copy, cuda_guest_per_thread(stream), false);
}
