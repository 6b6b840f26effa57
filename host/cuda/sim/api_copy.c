/* SPDX-License-Identifier: MIT */
/*
 * Copies and fills. All of them are done when the call returns. A device
 * address must lie in memory that the driver knows, over its whole length; a
 * host address may be any but one in device memory that is not allocated.
 */
#include "graph.h"

#include "../../../libgpuvchan/protocol/cuda/cuda_copy.h"

#include <string.h>

static bool
is_device(CUdeviceptr address, size_t size)
{
    uintptr_t start;
    size_t range;

    return sim_memory_find(sim_driver.memory, address, size, &start, &range);
}

static bool
is_host(const void *address, size_t size)
{
    return address &&
           (sim_memory_is_foreign(sim_driver.memory, (uintptr_t)address, size) || is_device((uintptr_t)address, size));
}

bool
sim_copy_reaches(uint64_t address, size_t size, bool device)
{
    return device ? is_device(address, size) : is_host((void *)(uintptr_t)address, size);
}

enum {
    TO_DEVICE = 1,
    FROM_DEVICE = 2
};

static CUresult
capture_copy(uint64_t to, uint64_t from, size_t size, CUstream stream)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMCPY};

    params.memcpy.copyParams =
        (CUDA_MEMCPY3D){.srcMemoryType = is_device(from, size) ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST,
                        .srcHost = (void *)(uintptr_t)from,
                        .srcDevice = from,
                        .dstMemoryType = is_device(to, size) ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST,
                        .dstHost = (void *)(uintptr_t)to,
                        .dstDevice = to,
                        .WidthInBytes = size,
                        .Height = 1,
                        .Depth = 1};
    return sim_capture(sim_captured(stream), &params);
}

/* Which ends must be device memory is in ends. */
static CUresult
copy(uint64_t to, uint64_t from, size_t size, unsigned int ends, CUstream stream)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    result = sim_stream_check(stream);
    if (!result && size) {
        bool ok = (ends & TO_DEVICE ? is_device(to, size) : is_host((void *)(uintptr_t)to, size)) &&
                  (ends & FROM_DEVICE ? is_device(from, size) : is_host((void *)(uintptr_t)from, size));

        if (ok && sim_captured(stream))
            result = capture_copy(to, from, size, stream);
        else if (ok)
            memmove((void *)(uintptr_t)to, (void *)(uintptr_t)from, size);
        else
            result = CUDA_ERROR_INVALID_VALUE;
    }
    return sim_end(result);
}

SIM_EXPORT CUresult
cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t size)
{
    return copy(to, from, size, 0, NULL);
}
SIM_SYNONYM(cuMemcpy_ptds, cuMemcpy);

SIM_EXPORT CUresult
cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream)
{
    return copy(to, from, size, 0, stream);
}
SIM_SYNONYM(cuMemcpyAsync_ptsz, cuMemcpyAsync);

SIM_EXPORT CUresult
cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t size)
{
    return copy(to, (uintptr_t)from, size, TO_DEVICE, NULL);
}
SIM_SYNONYM(cuMemcpyHtoD_v2_ptds, cuMemcpyHtoD_v2);

SIM_EXPORT CUresult
cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t size)
{
    return copy((uintptr_t)to, from, size, FROM_DEVICE, NULL);
}
SIM_SYNONYM(cuMemcpyDtoH_v2_ptds, cuMemcpyDtoH_v2);

SIM_EXPORT CUresult
cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t size)
{
    return copy(to, from, size, TO_DEVICE | FROM_DEVICE, NULL);
}
SIM_SYNONYM(cuMemcpyDtoD_v2_ptds, cuMemcpyDtoD_v2);

SIM_EXPORT CUresult
cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t size, CUstream stream)
{
    return copy(to, (uintptr_t)from, size, TO_DEVICE, stream);
}
SIM_SYNONYM(cuMemcpyHtoDAsync_v2_ptsz, cuMemcpyHtoDAsync_v2);

SIM_EXPORT CUresult
cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size, CUstream stream)
{
    return copy((uintptr_t)to, from, size, FROM_DEVICE, stream);
}
SIM_SYNONYM(cuMemcpyDtoHAsync_v2_ptsz, cuMemcpyDtoHAsync_v2);

SIM_EXPORT CUresult
cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream)
{
    return copy(to, from, size, TO_DEVICE | FROM_DEVICE, stream);
}
SIM_SYNONYM(cuMemcpyDtoDAsync_v2_ptsz, cuMemcpyDtoDAsync_v2);

/* Boxes. */

struct box_end {
    CUmemorytype type;
    uint64_t base;
    size_t x, y, z, pitch, height;
    CUarray array;
};

/* An array's memory as the end's, when the box is inside it. */
static CUresult
box_in_array(struct box_end *end, size_t width, size_t rows, size_t planes)
{
    const struct sim_array *array;

    if (end->type != CU_MEMORYTYPE_ARRAY)
        return CUDA_SUCCESS;
    array = sim_object_find(end->array, OBJECT_ARRAY);
    if (!array)
        return CUDA_ERROR_INVALID_HANDLE;
    if (width > array->row_bytes || end->x > array->row_bytes - width || rows > array->rows ||
        end->y > array->rows - rows || planes > array->planes || end->z > array->planes - planes)
        return CUDA_ERROR_INVALID_VALUE;
    end->type = CU_MEMORYTYPE_DEVICE;
    end->base = array->memory;
    end->pitch = array->row_bytes;
    end->height = array->rows;
    return CUDA_SUCCESS;
}

/* The end's first byte; false when its extent does not fit what is there. */
static bool
box_start(const struct box_end *end, size_t width, size_t rows, size_t planes, uint64_t *start)
{
    size_t pitch = end->pitch, plane, offset, extent;

    if (width == 0 || rows == 0 || planes == 0)
        return true;
    if (end->x > pitch || width > pitch - end->x)
        return false;
    if (__builtin_mul_overflow(pitch, end->height, &plane) || __builtin_mul_overflow(plane, end->z, &offset) ||
        __builtin_mul_overflow(pitch, end->y, &extent) || __builtin_add_overflow(offset, extent, &offset) ||
        __builtin_add_overflow(offset, end->x, &offset) || __builtin_mul_overflow(plane, planes - 1, &extent) ||
        __builtin_mul_overflow(pitch, rows - 1, &plane) || __builtin_add_overflow(extent, plane, &extent) ||
        __builtin_add_overflow(extent, width, &extent) || __builtin_add_overflow(end->base, offset, start))
        return false;
    switch (end->type) {
    case CU_MEMORYTYPE_HOST:
        return is_host((void *)(uintptr_t)*start, extent);
    case CU_MEMORYTYPE_DEVICE:
        return is_device(*start, extent);
    case CU_MEMORYTYPE_UNIFIED:
        return is_host((void *)(uintptr_t)*start, extent);
    default:
        return false;
    }
}

static CUresult
copy_box(struct box_end *to, struct box_end *from, size_t width, size_t rows, size_t planes, CUstream stream)
{
    struct sim_context *context;
    uint64_t target = 0, source = 0;
    CUresult result = sim_enter(&context);
    size_t y, z;

    if (result)
        return result;
    result = sim_stream_check(stream);
    if (!result)
        result = box_in_array(to, width, rows, planes);
    if (!result)
        result = box_in_array(from, width, rows, planes);
    if (!result && (!box_start(to, width, rows, planes, &target) || !box_start(from, width, rows, planes, &source)))
        result = CUDA_ERROR_INVALID_VALUE;
    for (z = 0; !result && width && z < planes; z++)
        for (y = 0; y < rows; y++)
            memmove((void *)(uintptr_t)(target + (z * to->height + y) * to->pitch),
                    (void *)(uintptr_t)(source + (z * from->height + y) * from->pitch), width);
    return sim_end(result);
}

static uint64_t
base_of(CUmemorytype type, const void *host, CUdeviceptr device)
{
    return type == CU_MEMORYTYPE_HOST ? (uintptr_t)host : device;
}

/* A copy of rows is one of a single plane. */
static CUDA_MEMCPY3D
as_box(const CUDA_MEMCPY2D *c)
{
    return (CUDA_MEMCPY3D){.srcXInBytes = c->srcXInBytes,
                           .srcY = c->srcY,
                           .srcMemoryType = c->srcMemoryType,
                           .srcHost = c->srcHost,
                           .srcDevice = c->srcDevice,
                           .srcPitch = c->srcPitch,
                           .dstXInBytes = c->dstXInBytes,
                           .dstY = c->dstY,
                           .dstMemoryType = c->dstMemoryType,
                           .dstHost = c->dstHost,
                           .dstDevice = c->dstDevice,
                           .dstPitch = c->dstPitch,
                           .WidthInBytes = c->WidthInBytes,
                           .Height = c->Height,
                           .Depth = 1};
}

/* True: it is captured, or that fails. */
static bool
box_captured(const CUDA_MEMCPY3D *copy, CUstream stream, CUresult *result)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMCPY};
    struct sim_context *context;
    struct sim_track *track;

    *result = sim_enter(&context);
    if (*result)
        return true;
    *result = sim_stream_check(stream);
    track = *result ? NULL : sim_captured(stream);
    params.memcpy.copyParams = *copy;
    if (track)
        *result = sim_capture(track, &params);
    sim_end(*result);
    return *result || track;
}

static CUresult
copy_2d(const CUDA_MEMCPY2D *c, CUstream stream)
{
    struct box_end to, from;
    CUDA_MEMCPY3D box;
    CUresult result;

    if (!c)
        return CUDA_ERROR_INVALID_VALUE;
    box = as_box(c);
    if (box_captured(&box, stream, &result))
        return result;
    to = (struct box_end){c->dstMemoryType,
                          base_of(c->dstMemoryType, c->dstHost, c->dstDevice),
                          c->dstXInBytes,
                          c->dstY,
                          0,
                          c->dstPitch ? c->dstPitch : c->WidthInBytes,
                          0,
                          c->dstArray};
    from = (struct box_end){c->srcMemoryType,
                            base_of(c->srcMemoryType, c->srcHost, c->srcDevice),
                            c->srcXInBytes,
                            c->srcY,
                            0,
                            c->srcPitch ? c->srcPitch : c->WidthInBytes,
                            0,
                            c->srcArray};
    return copy_box(&to, &from, c->WidthInBytes, c->Height, 1, stream);
}

SIM_EXPORT CUresult
cuMemcpy2D_v2(const CUDA_MEMCPY2D *c)
{
    return copy_2d(c, NULL);
}
SIM_SYNONYM(cuMemcpy2D_v2_ptds, cuMemcpy2D_v2);

SIM_EXPORT CUresult
cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D *c)
{
    return copy_2d(c, NULL);
}
SIM_SYNONYM(cuMemcpy2DUnaligned_v2_ptds, cuMemcpy2DUnaligned_v2);

SIM_EXPORT CUresult
cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *c, CUstream stream)
{
    return copy_2d(c, stream);
}
SIM_SYNONYM(cuMemcpy2DAsync_v2_ptsz, cuMemcpy2DAsync_v2);

/* The two structs of the API have these fields, in other places. */
#define BOX_END(c, side)                                                                                         \
    ((struct box_end){(c)->side##MemoryType, base_of((c)->side##MemoryType, (c)->side##Host, (c)->side##Device), \
                      (c)->side##XInBytes, (c)->side##Y, (c)->side##Z,                                           \
                      (c)->side##Pitch ? (c)->side##Pitch : (c)->WidthInBytes,                                   \
                      (c)->side##Height ? (c)->side##Height : (c)->Height, (c)->side##Array})

SIM_EXPORT CUresult
cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *c, CUstream stream)
{
    struct box_end to, from;
    CUresult result;

    if (!c || c->srcLOD || c->dstLOD)
        return CUDA_ERROR_INVALID_VALUE;
    if (box_captured(c, stream, &result))
        return result;
    to = BOX_END(c, dst);
    from = BOX_END(c, src);
    return copy_box(&to, &from, c->WidthInBytes, c->Height, c->Depth, stream);
}
SIM_SYNONYM(cuMemcpy3DAsync_v2_ptsz, cuMemcpy3DAsync_v2);

/* All devices' memory lies in one space, so the contexts are only looked at. */
static CUresult
check_contexts(CUcontext first, CUcontext second)
{
    CUresult result = sim_begin();

    if (result)
        return result;
    return sim_end(sim_object_find(first, OBJECT_CONTEXT) && sim_object_find(second, OBJECT_CONTEXT)
                       ? CUDA_SUCCESS
                       : CUDA_ERROR_INVALID_CONTEXT);
}

static CUcontext
context_of(CUmemorytype type, CUcontext context, CUcontext otherwise)
{
    return type == CU_MEMORYTYPE_HOST ? otherwise : context;
}

SIM_EXPORT CUresult
cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *c, CUstream stream)
{
    struct box_end to, from;
    CUresult result;

    if (!c || c->srcLOD || c->dstLOD)
        return CUDA_ERROR_INVALID_VALUE;
    result = check_contexts(context_of(c->srcMemoryType, c->srcContext, c->dstContext),
                            context_of(c->dstMemoryType, c->dstContext, c->srcContext));
    if (result)
        return result;
    to = BOX_END(c, dst);
    from = BOX_END(c, src);
    return copy_box(&to, &from, c->WidthInBytes, c->Height, c->Depth, stream);
}
SIM_SYNONYM(cuMemcpy3DPeerAsync_ptsz, cuMemcpy3DPeerAsync);

SIM_EXPORT CUresult
cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER *c)
{
    return cuMemcpy3DPeerAsync(c, NULL);
}
SIM_SYNONYM(cuMemcpy3DPeer_ptds, cuMemcpy3DPeer);

SIM_EXPORT CUresult
cuMemcpyPeerAsync(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t size,
                  CUstream stream)
{
    CUresult result = check_contexts(to_context, from_context);

    return result ? result : copy(to, from, size, TO_DEVICE | FROM_DEVICE, stream);
}
SIM_SYNONYM(cuMemcpyPeerAsync_ptsz, cuMemcpyPeerAsync);

SIM_EXPORT CUresult
cuMemcpyPeer(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t size)
{
    return cuMemcpyPeerAsync(to, to_context, from, from_context, size, NULL);
}
SIM_SYNONYM(cuMemcpyPeer_ptds, cuMemcpyPeer);

SIM_EXPORT CUresult
cuMemcpy3D_v2(const CUDA_MEMCPY3D *c)
{
    return cuMemcpy3DAsync_v2(c, NULL);
}
SIM_SYNONYM(cuMemcpy3D_v2_ptds, cuMemcpy3D_v2);

/* Batches: one copy after the other. Those before a wrong one are made. */

static bool
is_batch_stream(CUstream stream)
{
    return stream && stream != CU_STREAM_LEGACY;
}

SIM_EXPORT CUresult
cuMemcpyBatchAsync_v2(CUdeviceptr *to, CUdeviceptr *from, size_t *sizes, size_t count, CUmemcpyAttributes *attributes,
                      size_t *begins, size_t attribute_count, CUstream stream)
{
    CUresult result = CUDA_SUCCESS;
    size_t i;

    if (!to || !from || !sizes || count == 0 || !attributes || !begins || attribute_count == 0 || begins[0] != 0 ||
        !is_batch_stream(stream))
        return CUDA_ERROR_INVALID_VALUE;
    for (i = 0; i < count && !result; i++)
        result = sizes[i] ? copy(to[i], from[i], sizes[i], 0, stream) : CUDA_ERROR_INVALID_VALUE;
    return result;
}
SIM_SYNONYM(cuMemcpyBatchAsync_v2_ptsz, cuMemcpyBatchAsync_v2);

static bool
batch_end(const CUmemcpy3DOperand *operand, const CUextent3D *extent, size_t element, struct box_end *end)
{
    memset(end, 0, sizeof *end);
    if (operand->type == CU_MEMCPY_OPERAND_TYPE_ARRAY) {
        end->type = CU_MEMORYTYPE_ARRAY;
        end->array = operand->op.array.array;
        end->x = operand->op.array.offset.x * element;
        end->y = operand->op.array.offset.y;
        end->z = operand->op.array.offset.z;
        return true;
    }
    end->type = CU_MEMORYTYPE_UNIFIED;
    end->base = operand->op.ptr.ptr;
    end->pitch = (operand->op.ptr.rowLength ? operand->op.ptr.rowLength : extent->width) * element;
    end->height = operand->op.ptr.layerHeight ? operand->op.ptr.layerHeight : extent->height;
    return operand->type == CU_MEMCPY_OPERAND_TYPE_POINTER;
}

static size_t
element_of(const CUmemcpy3DOperand *operand)
{
    CUDA_ARRAY3D_DESCRIPTOR desc;

    if (operand->type != CU_MEMCPY_OPERAND_TYPE_ARRAY ||
        cuArray3DGetDescriptor_v2(&desc, operand->op.array.array) != CUDA_SUCCESS)
        return 1;
    return cuda_element_bytes(desc.Format, desc.NumChannels);
}

SIM_EXPORT CUresult
cuMemcpy3DBatchAsync_v2(size_t count, CUDA_MEMCPY3D_BATCH_OP *ops, unsigned long long flags, CUstream stream)
{
    CUresult result = CUDA_SUCCESS;
    size_t i;

    if (!ops || count == 0 || flags || !is_batch_stream(stream))
        return CUDA_ERROR_INVALID_VALUE;
    for (i = 0; i < count && !result; i++) {
        size_t from_element = element_of(&ops[i].src), to_element = element_of(&ops[i].dst);
        size_t element = from_element > to_element ? from_element : to_element;
        struct box_end to, from;

        if (!batch_end(&ops[i].dst, &ops[i].extent, element, &to) ||
            !batch_end(&ops[i].src, &ops[i].extent, element, &from))
            return CUDA_ERROR_INVALID_VALUE;
        result = copy_box(&to, &from, ops[i].extent.width * element, ops[i].extent.height, ops[i].extent.depth, stream);
    }
    return result;
}
SIM_SYNONYM(cuMemcpy3DBatchAsync_v2_ptsz, cuMemcpy3DBatchAsync_v2);

/* Fills. */

static void
fill_row(unsigned char *to, uint32_t value, unsigned int element, size_t count)
{
    size_t i;

    if (element == 1)
        memset(to, (int)(value & 0xff), count);
    else
        for (i = 0; i < count; i++)
            memcpy(to + i * element, &value, element);
}

static CUresult
fill(CUdeviceptr to, size_t pitch, uint32_t value, unsigned int element, size_t width, size_t height, CUstream stream)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);
    size_t row, extent, y;

    if (result)
        return result;
    result = sim_stream_check(stream);
    if (result || !width || !height)
        return sim_end(result);
    if (__builtin_mul_overflow(width, element, &row) || to % element || (height > 1 && pitch < row) ||
        __builtin_mul_overflow(pitch, height - 1, &extent) || __builtin_add_overflow(extent, row, &extent) ||
        !is_device(to, extent))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    if (sim_captured(stream)) {
        CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMSET};

        params.memset = (CUDA_MEMSET_NODE_PARAMS_v2){
            .dst = to, .pitch = pitch, .value = value, .elementSize = element, .width = width, .height = height};
        return sim_end(sim_capture(sim_captured(stream), &params));
    }
    for (y = 0; y < height; y++)
        fill_row((unsigned char *)(uintptr_t)to + y * pitch, value, element, width);
    return sim_end(CUDA_SUCCESS);
}

#define FILLS(bits, type, element)                                                                                    \
    SIM_EXPORT CUresult cuMemsetD##bits##_v2(CUdeviceptr to, type value, size_t count)                                \
    {                                                                                                                 \
        return fill(to, 0, value, element, count, 1, NULL);                                                           \
    }                                                                                                                 \
    SIM_SYNONYM(cuMemsetD##bits##_v2_ptds, cuMemsetD##bits##_v2);                                                     \
    SIM_EXPORT CUresult cuMemsetD##bits##Async(CUdeviceptr to, type value, size_t count, CUstream stream)             \
    {                                                                                                                 \
        return fill(to, 0, value, element, count, 1, stream);                                                         \
    }                                                                                                                 \
    SIM_SYNONYM(cuMemsetD##bits##Async_ptsz, cuMemsetD##bits##Async);                                                 \
    SIM_EXPORT CUresult cuMemsetD2D##bits##_v2(CUdeviceptr to, size_t pitch, type value, size_t width, size_t height) \
    {                                                                                                                 \
        return fill(to, pitch, value, element, width, height, NULL);                                                  \
    }                                                                                                                 \
    SIM_SYNONYM(cuMemsetD2D##bits##_v2_ptds, cuMemsetD2D##bits##_v2);                                                 \
    SIM_EXPORT CUresult cuMemsetD2D##bits##Async(CUdeviceptr to, size_t pitch, type value, size_t width,              \
                                                 size_t height, CUstream stream)                                      \
    {                                                                                                                 \
        return fill(to, pitch, value, element, width, height, stream);                                                \
    }                                                                                                                 \
    SIM_SYNONYM(cuMemsetD2D##bits##Async_ptsz, cuMemsetD2D##bits##Async)

FILLS(8, unsigned char, 1);
FILLS(16, unsigned short, 2);
FILLS(32, unsigned int, 4);
