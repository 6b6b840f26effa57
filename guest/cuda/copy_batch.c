/* SPDX-License-Identifier: MIT */
/*
 * Batches of copies: all are checked before the first is posted. They may be made in any order, so one after the
 * other is right. Pageable memory that is to be read in the stream's order is read when the stream gets there,
 * which is waited for.
 */
#include "array.h"
#include "box.h"

#define NO_INDEX SIZE_MAX /* the error is of none of the copies */

static CUresult
batch_enter(struct cuda_guest_thread **self, CUstream stream, size_t count, uint32_t *wire, size_t *failed)
{
    CUresult result = cuda_guest_enter(self);

    if (failed)
        *failed = NO_INDEX;
    if (result != CUDA_SUCCESS)
        return result;
    if (stream == NULL || stream == CU_STREAM_LEGACY || count == 0)
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_stream_wire(*self, stream, wire, NULL);
}

static bool
is_order(CUmemcpySrcAccessOrder order)
{
    return order == CU_MEMCPY_SRC_ACCESS_ORDER_STREAM || order == CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL ||
           order == CU_MEMCPY_SRC_ACCESS_ORDER_ANY;
}

/* Before a copy from @p from. */
static CUresult
wait_for_source(struct cuda_guest_thread *self, const struct cuda_guest_place *from, CUmemcpySrcAccessOrder order,
                uint32_t stream)
{
    if (cuda_guest_place_reached(from) || order != CU_MEMCPY_SRC_ACCESS_ORDER_STREAM)
        return CUDA_SUCCESS;
    return cuda_guest_wait_stream(self, stream);
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

struct batch {
    const CUdeviceptr *to, *from;
    const size_t *sizes;
    size_t count;
    const CUmemcpyAttributes *attributes;
    const size_t *begins; /* the first copy that each is for */
    size_t attribute_count;
};

static bool
attributes_good(const struct batch *batch)
{
    if (!batch->attributes || !batch->begins || batch->attribute_count == 0 || batch->attribute_count > batch->count ||
        batch->begins[0] != 0)
        return false;
    for (size_t i = 0; i < batch->attribute_count; i++)
        if (!is_order(batch->attributes[i].srcAccessOrder) || batch->begins[i] >= batch->count ||
            (i > 0 && batch->begins[i] <= batch->begins[i - 1]))
            return false;
    return true;
}

static CUresult
find_places(const struct batch *batch, size_t i, struct cuda_guest_place *to, struct cuda_guest_place *from)
{
    CUresult result = cuda_guest_place_find(batch->to[i], batch->sizes[i], to);

    return result == CUDA_SUCCESS ? cuda_guest_place_find(batch->from[i], batch->sizes[i], from) : result;
}

static CUresult
pieces_check(const struct batch *batch, size_t *failed)
{
    struct cuda_guest_place to, from;

    if (!batch->to || !batch->from || !batch->sizes || !attributes_good(batch))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->sizes[i] == 0 || find_places(batch, i, &to, &from) != CUDA_SUCCESS) {
            if (failed)
                *failed = i;
            return CUDA_ERROR_INVALID_VALUE;
        }
    return CUDA_SUCCESS;
}

static CUresult
pieces_run(struct cuda_guest_thread *self, const struct batch *batch, uint32_t stream, size_t *failed)
{
    CUresult result = CUDA_SUCCESS;
    size_t attribute = 0;

    for (size_t i = 0; i < batch->count && result == CUDA_SUCCESS; i++) {
        struct cuda_guest_place to, from;

        if (attribute + 1 < batch->attribute_count && batch->begins[attribute + 1] == i)
            attribute++;
        result = find_places(batch, i, &to, &from);
        if (result == CUDA_SUCCESS)
            result = wait_for_source(self, &from, batch->attributes[attribute].srcAccessOrder, stream);
        if (result == CUDA_SUCCESS)
            result = cuda_guest_copy(self, &to, &from, batch->sizes[i], stream);
        if (result != CUDA_SUCCESS && failed)
            *failed = i;
    }
    return result;
}

static CUresult
copy_pieces(const struct batch *batch, size_t *failed, CUstream stream)
{
    struct cuda_guest_thread *self;
    uint32_t wire;
    CUresult result = batch_enter(&self, stream, batch->count, &wire, failed);

    if (result == CUDA_SUCCESS)
        result = pieces_check(batch, failed);
    return result == CUDA_SUCCESS ? pieces_run(self, batch, wire, failed) : result;
}

ENTRY
cuMemcpyBatchAsync(CUdeviceptr *to, CUdeviceptr *from, size_t *sizes, size_t count, CUmemcpyAttributes *attributes,
                   size_t *begins, size_t attribute_count, size_t *failed, CUstream stream)
{
    const struct batch batch = {to, from, sizes, count, attributes, begins, attribute_count};

    return copy_pieces(&batch, failed, stream);
}

ENTRY
cuMemcpyBatchAsync_ptsz(CUdeviceptr *to, CUdeviceptr *from, size_t *sizes, size_t count, CUmemcpyAttributes *attributes,
                        size_t *begins, size_t attribute_count, size_t *failed, CUstream stream)
{
    const struct batch batch = {to, from, sizes, count, attributes, begins, attribute_count};

    return copy_pieces(&batch, failed, cuda_guest_per_thread(stream));
}

ENTRY
cuMemcpyBatchAsync_v2(CUdeviceptr *to, CUdeviceptr *from, size_t *sizes, size_t count, CUmemcpyAttributes *attributes,
                      size_t *begins, size_t attribute_count, CUstream stream)
{
    return cuMemcpyBatchAsync(to, from, sizes, count, attributes, begins, attribute_count, NULL, stream);
}

ENTRY
cuMemcpyBatchAsync_v2_ptsz(CUdeviceptr *to, CUdeviceptr *from, size_t *sizes, size_t count,
                           CUmemcpyAttributes *attributes, size_t *begins, size_t attribute_count, CUstream stream)
{
    return cuMemcpyBatchAsync_ptsz(to, from, sizes, count, attributes, begins, attribute_count, NULL, stream);
}

/* ---- Boxes ----------------------------------------------------------------------------------- */

/* Bytes of what an operand counts in; 1: memory; 0: there is no such array, or nobody knows. */
static uint32_t
element_bytes(const CUmemcpy3DOperand *operand)
{
    const struct cuda_guest_array *array;

    if (operand->type != CU_MEMCPY_OPERAND_TYPE_ARRAY)
        return 1;
    array = cuda_guest_array_find(operand->op.array.array);
    return array ? array->element_bytes : 0;
}

/* False: not what the API describes, or too much to count. */
static bool
describe(const CUmemcpy3DOperand *operand, const CUextent3D *extent, uint32_t element,
         struct cuda_guest_end_description *said)
{
    if (operand->type == CU_MEMCPY_OPERAND_TYPE_POINTER) {
        uint64_t row = operand->op.ptr.rowLength ? operand->op.ptr.rowLength : extent->width;

        *said = (struct cuda_guest_end_description){.type = CU_MEMORYTYPE_UNIFIED,
                                                    .device = operand->op.ptr.ptr,
                                                    .height = operand->op.ptr.layerHeight ? operand->op.ptr.layerHeight
                                                                                          : extent->height};
        return !__builtin_mul_overflow(row, element, &said->pitch);
    }
    *said = (struct cuda_guest_end_description){.type = CU_MEMORYTYPE_ARRAY,
                                                .array = operand->op.array.array,
                                                .y = operand->op.array.offset.y,
                                                .z = operand->op.array.offset.z};
    return operand->type == CU_MEMCPY_OPERAND_TYPE_ARRAY &&
           !__builtin_mul_overflow(operand->op.array.offset.x, element, &said->x);
}

/* Both count in elements of the array, if there is one. */
static CUresult
box_read(const CUDA_MEMCPY3D_BATCH_OP *op, uint32_t stream, struct cuda_guest_transfer *box)
{
    uint32_t from_element = element_bytes(&op->src), to_element = element_bytes(&op->dst);
    uint32_t element = from_element > to_element ? from_element : to_element;
    struct cuda_guest_end_description from, to;
    uint64_t bytes;
    CUresult result;

    *box = (struct cuda_guest_transfer){
        .form = CUDA_COPY_3D, .rows = op->extent.height, .planes = op->extent.depth, .stream = stream};
    if (from_element == 0 || to_element == 0 || !is_order(op->srcAccessOrder) || op->extent.width == 0 ||
        op->extent.height == 0 || op->extent.depth == 0 ||
        __builtin_mul_overflow(op->extent.width, element, &box->width) ||
        __builtin_mul_overflow(box->width, box->rows, &bytes) || __builtin_mul_overflow(bytes, box->planes, &bytes) ||
        !describe(&op->src, &op->extent, element, &from) || !describe(&op->dst, &op->extent, element, &to))
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_end_read(&box->from, &from, box);
    return result == CUDA_SUCCESS ? cuda_guest_end_read(&box->to, &to, box) : result;
}

static CUresult
copy_boxes(size_t count, const CUDA_MEMCPY3D_BATCH_OP *ops, size_t *failed, unsigned long long flags, CUstream stream)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_transfer box;
    uint32_t wire;
    CUresult result = batch_enter(&self, stream, count, &wire, failed);
    size_t i;

    if (result == CUDA_SUCCESS && (!ops || flags != 0))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    for (i = 0; i < count && result == CUDA_SUCCESS; i++)
        result = box_read(&ops[i], wire, &box);
    if (result == CUDA_SUCCESS)
        for (i = 0; i < count && result == CUDA_SUCCESS; i++) {
            result = box_read(&ops[i], wire, &box);
            if (result == CUDA_SUCCESS)
                result = wait_for_source(self, &box.from.place, ops[i].srcAccessOrder, wire);
            if (result == CUDA_SUCCESS)
                result = cuda_guest_transfer_run(self, &box);
        }
    if (result != CUDA_SUCCESS && failed)
        *failed = i - 1;
    return result;
}

ENTRY
cuMemcpy3DBatchAsync(size_t count, CUDA_MEMCPY3D_BATCH_OP *ops, size_t *failed, unsigned long long flags,
                     CUstream stream)
{
    return copy_boxes(count, ops, failed, flags, stream);
}

ENTRY
cuMemcpy3DBatchAsync_ptsz(size_t count, CUDA_MEMCPY3D_BATCH_OP *ops, size_t *failed, unsigned long long flags,
                          CUstream stream)
{
    return copy_boxes(count, ops, failed, flags, cuda_guest_per_thread(stream));
}

ENTRY
cuMemcpy3DBatchAsync_v2(size_t count, CUDA_MEMCPY3D_BATCH_OP *ops, unsigned long long flags, CUstream stream)
{
    return copy_boxes(count, ops, NULL, flags, stream);
}

ENTRY
cuMemcpy3DBatchAsync_v2_ptsz(size_t count, CUDA_MEMCPY3D_BATCH_OP *ops, unsigned long long flags, CUstream stream)
{
    return copy_boxes(count, ops, NULL, flags, cuda_guest_per_thread(stream));
}
