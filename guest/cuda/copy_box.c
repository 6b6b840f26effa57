/* SPDX-License-Identifier: MIT */
/*
 * Copies of boxes: one record if the device reaches both ends, else pieces packed through slots.
 *
 * A piece is as many whole planes as a slot holds, or as many rows of one plane, or a part of one row.
 */
#include <string.h>

#include "array.h"
#include "box.h"

/* ---- Reading the description ----------------------------------------------------------------- */

static CUresult
array_read(struct cuda_guest_end *end, const struct cuda_guest_end_description *said,
           const struct cuda_guest_transfer *box)
{
    const struct cuda_guest_array *array = cuda_guest_array_find(said->array);
    const uint64_t extent[3] = {box->width, box->rows, box->planes};

    if (!array)
        return CUDA_ERROR_INVALID_HANDLE;
    end->place = (struct cuda_guest_place){.kind = CUDA_GUEST_AT_ARRAY, .array = array->object.handle};
    end->begin[0] = said->x;
    end->begin[1] = said->y;
    end->begin[2] = said->z;
    return cuda_guest_array_holds(array, end->begin, extent) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Bytes from the first to the last of the box's, in memory. */
static bool
extent_of(const struct cuda_guest_end *end, size_t width, size_t rows, size_t planes, uint64_t *bytes)
{
    uint64_t above;

    return !__builtin_mul_overflow(end->height, planes - 1, &above) &&
           !__builtin_add_overflow(above, rows - 1, &above) && !__builtin_mul_overflow(above, end->pitch, &above) &&
           !__builtin_add_overflow(above, width, bytes);
}

static CUresult
memory_read(struct cuda_guest_end *end, const struct cuda_guest_end_description *said,
            const struct cuda_guest_transfer *box)
{
    uint64_t at = said->type == CU_MEMORYTYPE_HOST ? said->host : said->device, row, column, skip, bytes;
    CUresult result;

    if (__builtin_add_overflow(said->x, box->width, &row) || __builtin_add_overflow(said->y, box->rows, &column))
        return CUDA_ERROR_INVALID_VALUE;
    end->pitch = said->pitch != 0 ? said->pitch : row;
    end->height = said->height != 0 ? said->height : column;
    if ((end->pitch < row && (box->rows > 1 || box->planes > 1)) || (end->height < column && box->planes > 1) ||
        __builtin_mul_overflow(end->height, said->z, &skip) || __builtin_add_overflow(skip, said->y, &skip) ||
        __builtin_mul_overflow(skip, end->pitch, &skip) || __builtin_add_overflow(skip, said->x, &skip) ||
        __builtin_add_overflow(at, skip, &at) || !extent_of(end, box->width, box->rows, box->planes, &bytes))
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_place_find(at, bytes, &end->place);
    if (result == CUDA_SUCCESS && said->type == CU_MEMORYTYPE_DEVICE && end->place.kind == CUDA_GUEST_AT_PAGEABLE)
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

CUresult
cuda_guest_end_read(struct cuda_guest_end *end, const struct cuda_guest_end_description *said,
                    const struct cuda_guest_transfer *box)
{
    switch (said->type) {
    case CU_MEMORYTYPE_ARRAY:
        return array_read(end, said, box);
    case CU_MEMORYTYPE_HOST:
    case CU_MEMORYTYPE_DEVICE:
    case CU_MEMORYTYPE_UNIFIED:
        return memory_read(end, said, box);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

/* ---- What the device reaches ----------------------------------------------------------------- */

static struct cuda_copy_end
wire_end(const struct cuda_guest_end *end)
{
    static const uint32_t places[] = {[CUDA_GUEST_AT_DEVICE] = CUDA_COPY_DEVICE,
                                      [CUDA_GUEST_AT_ARENA] = CUDA_COPY_ARENA,
                                      [CUDA_GUEST_AT_ARRAY] = CUDA_COPY_ARRAY};

    return (struct cuda_copy_end){.place = places[end->place.kind],
                                  .address = end->place.device,
                                  .pitch = end->pitch,
                                  .height = end->height,
                                  .x = end->begin[0],
                                  .y = end->begin[1],
                                  .z = end->begin[2]};
}

struct gpuvchan_reference
cuda_guest_end_reference(const struct cuda_guest_end *end, const struct cuda_guest_transfer *box)
{
    uint64_t bytes;

    if (end->place.kind != CUDA_GUEST_AT_ARENA || !extent_of(end, box->width, box->rows, box->planes, &bytes))
        return (struct gpuvchan_reference){0};
    return (struct gpuvchan_reference){.offset = end->place.offset, .bytes = bytes};
}

static CUresult
post(struct cuda_guest_thread *self, const struct cuda_guest_transfer *box)
{
    struct cuda_copy_end from = wire_end(&box->from), to = wire_end(&box->to);

    return cuda_guest_result(cuda_copy_box_on(
        &cuda_guest.client, self->lane, box->form, &from, &to, cuda_guest_end_reference(&box->from, box),
        cuda_guest_end_reference(&box->to, box), box->from.place.array, box->to.place.array, box->from.context,
        box->to.context, box->width, box->rows, box->planes, box->stream));
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

struct shape {
    size_t width, rows, planes;
};

/* Where the next piece begins. */
struct cursor {
    size_t x, y, z;
};

static struct shape
piece_shape(const struct cuda_guest_transfer *box, size_t room)
{
    size_t rows = room / box->width;

    if (rows == 0)
        return (struct shape){room, 1, 1};
    if (rows < box->rows)
        return (struct shape){box->width, rows, 1};
    return (struct shape){box->width, box->rows, rows / box->rows};
}

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool
step(struct cursor *at, const struct cuda_guest_transfer *box, const struct shape *shape)
{
    at->x += shape->width;
    if (at->x < box->width)
        return true;
    at->x = 0;
    at->y += shape->rows;
    if (at->y < box->rows)
        return true;
    at->y = 0;
    at->z += shape->planes;
    return at->z < box->planes;
}

static void
end_move(struct cuda_guest_end *end, const struct cursor *by)
{
    uint64_t skip = (by->z * end->height + by->y) * end->pitch + by->x;

    switch (end->place.kind) {
    case CUDA_GUEST_AT_DEVICE:
        end->place.device += skip;
        break;
    case CUDA_GUEST_AT_ARRAY:
        end->begin[0] += by->x;
        end->begin[1] += by->y;
        end->begin[2] += by->z;
        break;
    default:
        end->place.host += skip;
        end->place.offset += skip;
    }
}

/* The part of @p box at @p at. */
static struct cuda_guest_transfer
piece_of(const struct cuda_guest_transfer *box, const struct shape *shape, const struct cursor *at)
{
    struct cuda_guest_transfer piece = *box;

    piece.width = least(box->width - at->x, shape->width);
    piece.rows = least(box->rows - at->y, shape->rows);
    piece.planes = least(box->planes - at->z, shape->planes);
    end_move(&piece.to, at);
    end_move(&piece.from, at);
    return piece;
}

/* A slot as an end, packed. */
static struct cuda_guest_end
slot_end(const struct cuda_guest_slot *slot, const struct cuda_guest_transfer *piece)
{
    return (struct cuda_guest_end){
        .place = {.kind = CUDA_GUEST_AT_ARENA, .host = slot->data, .offset = slot->offset},
        .pitch = piece->width,
        .height = piece->rows,
    };
}

/* By the processor. */
static void
copy_here(const struct cuda_guest_end *to, const struct cuda_guest_end *from, const struct cuda_guest_transfer *box)
{
    for (size_t z = 0; z < box->planes; z++)
        for (size_t y = 0; y < box->rows; y++)
            memmove(to->place.host + (z * to->height + y) * to->pitch,
                    from->place.host + (z * from->height + y) * from->pitch, box->width);
}

static CUresult
box_in(struct cuda_guest_thread *self, const struct cuda_guest_transfer *box)
{
    const struct shape shape = piece_shape(box, cuda_guest_slot_bytes(self));
    struct cuda_guest_slot *slot;
    struct cursor at = {0};
    CUresult result;

    do {
        struct cuda_guest_transfer piece = piece_of(box, &shape, &at);

        result = cuda_guest_slot_take(self, &slot);
        if (result != CUDA_SUCCESS)
            break;
        struct cuda_guest_end packed = slot_end(slot, &piece);

        copy_here(&packed, &piece.from, &piece);
        piece.from = packed;
        result = post(self, &piece);
        if (result == CUDA_SUCCESS)
            result = cuda_guest_slot_mark(self, slot, box->stream);
    } while (result == CUDA_SUCCESS && step(&at, box, &shape));
    return result;
}

/* A piece that was asked for. */
struct asked {
    struct cuda_guest_slot *slot;
    struct cuda_guest_transfer piece;
};

static CUresult
ask(struct cuda_guest_thread *self, const struct cuda_guest_transfer *piece, struct asked *asked)
{
    struct cuda_guest_transfer wanted = *piece;
    CUresult result = cuda_guest_slot_take(self, &asked->slot);

    if (result != CUDA_SUCCESS)
        return result;
    asked->piece = *piece;
    wanted.to = slot_end(asked->slot, piece);
    result = post(self, &wanted);
    return result == CUDA_SUCCESS ? cuda_guest_slot_mark(self, asked->slot, piece->stream) : result;
}

static CUresult
fetch(struct cuda_guest_thread *self, const struct asked *asked)
{
    struct cuda_guest_end packed = slot_end(asked->slot, &asked->piece);
    CUresult result = cuda_guest_slot_wait(self, asked->slot);

    if (result == CUDA_SUCCESS)
        copy_here(&asked->piece.to, &packed, &asked->piece);
    return result;
}

/* Half of the slots are asked for ahead of the one that is being emptied. */
static CUresult
box_out(struct cuda_guest_thread *self, const struct cuda_guest_transfer *box)
{
    const struct shape shape = piece_shape(box, cuda_guest_slot_bytes(self));
    struct asked asked[CUDA_GUEST_SLOTS / 2];
    CUresult result = CUDA_SUCCESS;
    unsigned begun = 0, ended = 0;
    struct cursor at = {0};
    bool more = true;

    while (result == CUDA_SUCCESS && (more || ended < begun)) {
        if (more && begun - ended < CUDA_GUEST_SLOTS / 2) {
            struct cuda_guest_transfer piece = piece_of(box, &shape, &at);

            result = ask(self, &piece, &asked[begun++ % (CUDA_GUEST_SLOTS / 2)]);
            more = step(&at, box, &shape);
        } else {
            result = fetch(self, &asked[ended++ % (CUDA_GUEST_SLOTS / 2)]);
        }
    }
    return result;
}

static bool
is_packed(const struct cuda_guest_end *end, const struct cuda_guest_transfer *box)
{
    return end->place.kind != CUDA_GUEST_AT_ARRAY && (box->rows == 1 || end->pitch == box->width) &&
           (box->planes == 1 || (end->pitch == box->width && end->height == box->rows));
}

/* Between memory and memory, without gaps: bytes, which are copied faster. */
static CUresult
copy_bytes(struct cuda_guest_thread *self, const struct cuda_guest_transfer *box)
{
    size_t bytes = box->width * box->rows * box->planes;

    if (box->to.place.kind == CUDA_GUEST_AT_DEVICE)
        return cuda_guest_stage_in(self, box->to.place.device, box->from.place.host, bytes, box->stream);
    return cuda_guest_stage_out(self, box->to.place.host, box->from.place.device, bytes, box->stream);
}

/* Without slots, whose memory is all taken, copies of memory are still possible: row by row. */
static CUresult
rows_alone(struct cuda_guest_thread *self, const struct cuda_guest_transfer *box)
{
    const struct shape row = {box->width, 1, 1};
    CUresult result = CUDA_SUCCESS;
    struct cursor at = {0};

    if (box->to.place.kind == CUDA_GUEST_AT_ARRAY || box->from.place.kind == CUDA_GUEST_AT_ARRAY)
        return CUDA_ERROR_OUT_OF_MEMORY;
    do {
        struct cuda_guest_transfer piece = piece_of(box, &row, &at);

        if (box->to.place.kind == CUDA_GUEST_AT_DEVICE)
            result = cuda_guest_stage_in(self, piece.to.place.device, piece.from.place.host, box->width, box->stream);
        else
            result = cuda_guest_stage_out(self, piece.to.place.host, piece.from.place.device, box->width, box->stream);
    } while (result == CUDA_SUCCESS && step(&at, box, &row));
    return result;
}

static CUresult
through_slots(struct cuda_guest_thread *self, const struct cuda_guest_transfer *box)
{
    CUresult result;

    if (is_packed(&box->to, box) && is_packed(&box->from, box))
        return copy_bytes(self, box);
    result = cuda_guest_slots_ready(self, box->width * box->rows * box->planes);
    if (result == CUDA_ERROR_OUT_OF_MEMORY)
        return rows_alone(self, box);
    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_place_reached(&box->from.place) ? box_out(self, box) : box_in(self, box);
}

/* ---- Captured -------------------------------------------------------------------------------- */

static struct cuda_guest_area
area_of(const struct cuda_guest_end *end)
{
    return (struct cuda_guest_area){
        .at = end->place.host, .pitch = end->pitch, .plane = end->pitch * (size_t)end->height};
}

static struct cuda_guest_extent
extent_captured(const struct cuda_guest_transfer *box)
{
    return (struct cuda_guest_extent){box->width, box->rows, box->planes};
}

/* All of it in one buffer, which the graph keeps; see staging.c. */
static CUresult
box_captured(struct cuda_guest_thread *self, const struct cuda_guest_transfer *box, bool in)
{
    struct cuda_guest_transfer packed = *box;
    struct cuda_guest_end *end = in ? &packed.from : &packed.to;
    const struct cuda_guest_area memory = area_of(end);
    const struct cuda_guest_extent extent = extent_captured(box);
    uint32_t token;
    CUresult result = cuda_guest_task_stage(self, &memory, in, &extent, &token, &end->place.offset);

    if (result != CUDA_SUCCESS)
        return result;
    end->place.kind = CUDA_GUEST_AT_ARENA;
    end->pitch = box->width;
    end->height = box->rows;
    if (in) {
        result = cuda_guest_task_post(self, token, box->stream);
        return result == CUDA_SUCCESS ? post(self, &packed) : result;
    }
    result = post(self, &packed);
    if (result == CUDA_SUCCESS)
        return cuda_guest_task_post(self, token, box->stream);
    cuda_guest_task_drop(token);
    return result;
}

static CUresult
box_here_captured(struct cuda_guest_thread *self, const struct cuda_guest_transfer *box)
{
    const struct cuda_guest_area to = area_of(&box->to), from = area_of(&box->from);
    const struct cuda_guest_extent extent = extent_captured(box);
    uint32_t token;
    CUresult result = cuda_guest_task_copy(&to, &from, &extent, &token);

    return result == CUDA_SUCCESS ? cuda_guest_task_post(self, token, box->stream) : result;
}

/* ---- Dispatch -------------------------------------------------------------------------------- */

CUresult
cuda_guest_transfer_run(struct cuda_guest_thread *self, const struct cuda_guest_transfer *box)
{
    bool to_remote = cuda_guest_place_remote(&box->to.place), from_remote = cuda_guest_place_remote(&box->from.place);
    bool captured;
    CUresult result = cuda_guest_captured(self, box->stream, &captured);

    if (result != CUDA_SUCCESS)
        return result;
    if (captured && !box->wait && !to_remote && !from_remote)
        return box_here_captured(self, box);
    if (captured && !box->wait && !cuda_guest_place_reached(&box->from.place))
        return box_captured(self, box, true);
    if (captured && !box->wait && !cuda_guest_place_reached(&box->to.place))
        return box_captured(self, box, false);
    if (!to_remote && !from_remote) {
        result = cuda_guest_wait_stream(self, box->stream);
        if (result == CUDA_SUCCESS)
            copy_here(&box->to, &box->from, box);
        return result;
    }
    if (!cuda_guest_place_reached(&box->from.place) || !cuda_guest_place_reached(&box->to.place)) {
        result = through_slots(self, box);
        if (result == CUDA_SUCCESS && box->wait && to_remote)
            result = cuda_guest_wait_staged(self, box->stream, box->width * box->rows * box->planes);
        return result;
    }
    result = post(self, box);
    if (result == CUDA_SUCCESS && box->wait && !(to_remote && from_remote))
        result = cuda_guest_wait_stream(self, box->stream);
    return result;
}
