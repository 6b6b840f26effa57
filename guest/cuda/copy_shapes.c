/* SPDX-License-Identifier: MIT */
/* The functions that copy boxes: cuMemcpy2D, cuMemcpy3D, and between contexts. */
#include "box.h"
#include "context.h"

/* ---- Rows ------------------------------------------------------------------------------------ */

static CUresult
box_enter(struct cuda_guest_thread **self, CUstream stream, const void *said, struct cuda_guest_transfer *box)
{
    CUresult result = cuda_guest_enter(self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_stream_wire(*self, stream, &box->stream, NULL);
    if (result != CUDA_SUCCESS)
        return result;
    return said ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static bool
is_empty(const struct cuda_guest_transfer *box)
{
    return box->width == 0 || box->rows == 0 || box->planes == 0;
}

static CUresult
box_run(struct cuda_guest_thread *self, struct cuda_guest_transfer *box, const struct cuda_guest_end_description *from,
        const struct cuda_guest_end_description *to)
{
    uint64_t bytes;
    CUresult result;

    if (__builtin_mul_overflow(box->width, box->rows, &bytes) || __builtin_mul_overflow(bytes, box->planes, &bytes))
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_end_read(&box->from, from, box);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_end_read(&box->to, to, box);
    return result == CUDA_SUCCESS ? cuda_guest_transfer_run(self, box) : result;
}

static CUresult
copy_2d(const CUDA_MEMCPY2D *copy, CUstream stream, bool wait)
{
    struct cuda_guest_end_description from, to;
    struct cuda_guest_transfer box = {.form = CUDA_COPY_2D, .wait = wait, .planes = 1};
    struct cuda_guest_thread *self;
    CUresult result = box_enter(&self, stream, copy, &box);

    if (result != CUDA_SUCCESS)
        return result;
    box.width = copy->WidthInBytes;
    box.rows = copy->Height;
    if (is_empty(&box))
        return CUDA_SUCCESS;
    from = (struct cuda_guest_end_description){.type = copy->srcMemoryType,
                                               .host = (uintptr_t)copy->srcHost,
                                               .device = copy->srcDevice,
                                               .array = copy->srcArray,
                                               .x = copy->srcXInBytes,
                                               .y = copy->srcY,
                                               .pitch = copy->srcPitch};
    to = (struct cuda_guest_end_description){.type = copy->dstMemoryType,
                                             .host = (uintptr_t)copy->dstHost,
                                             .device = copy->dstDevice,
                                             .array = copy->dstArray,
                                             .x = copy->dstXInBytes,
                                             .y = copy->dstY,
                                             .pitch = copy->dstPitch};
    return box_run(self, &box, &from, &to);
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

/* ---- Planes ---------------------------------------------------------------------------------- */

/* The two structs of the API have the same fields here, in other places. */
#define END(copy, side)                        \
    ((struct cuda_guest_end_description){      \
        .type = (copy)->side##MemoryType,      \
        .host = (uintptr_t)(copy)->side##Host, \
        .device = (copy)->side##Device,        \
        .array = (copy)->side##Array,          \
        .x = (copy)->side##XInBytes,           \
        .y = (copy)->side##Y,                  \
        .z = (copy)->side##Z,                  \
        .pitch = (copy)->side##Pitch,          \
        .height = (copy)->side##Height,        \
    })

static CUresult
copy_3d(const CUDA_MEMCPY3D *copy, CUstream stream, bool wait)
{
    struct cuda_guest_end_description from, to;
    struct cuda_guest_transfer box = {.form = CUDA_COPY_3D, .wait = wait};
    struct cuda_guest_thread *self;
    CUresult result = box_enter(&self, stream, copy, &box);

    if (result != CUDA_SUCCESS)
        return result;
    if (copy->srcLOD != 0 || copy->dstLOD != 0)
        return CUDA_ERROR_INVALID_VALUE;
    box.width = copy->WidthInBytes;
    box.rows = copy->Height;
    box.planes = copy->Depth;
    if (is_empty(&box))
        return CUDA_SUCCESS;
    from = END(copy, src);
    to = END(copy, dst);
    return box_run(self, &box, &from, &to);
}

ENTRY
cuMemcpy3D_v2(const CUDA_MEMCPY3D *copy)
{
    return copy_3d(copy, NULL, true);
}

ENTRY
cuMemcpy3D_v2_ptds(const CUDA_MEMCPY3D *copy)
{
    return copy_3d(copy, CU_STREAM_PER_THREAD, true);
}

ENTRY
cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *copy, CUstream stream)
{
    return copy_3d(copy, stream, false);
}

ENTRY
cuMemcpy3DAsync_v2_ptsz(const CUDA_MEMCPY3D *copy, CUstream stream)
{
    return copy_3d(copy, cuda_guest_per_thread(stream), false);
}

/* ---- Between contexts ------------------------------------------------------------------------ */

/* Memory of the processor is in no context. */
static CUresult
peer_context(CUmemorytype type, CUcontext context, uint32_t *wire)
{
    *wire = 0;
    return type == CU_MEMORYTYPE_HOST ? CUDA_SUCCESS : cuda_guest_context_wire(context, wire);
}

static CUresult
copy_3d_peer(const CUDA_MEMCPY3D_PEER *copy, CUstream stream, bool wait)
{
    struct cuda_guest_end_description from, to;
    struct cuda_guest_transfer box = {.form = CUDA_COPY_3D_PEER, .wait = wait};
    struct cuda_guest_thread *self;
    CUresult result = box_enter(&self, stream, copy, &box);

    if (result != CUDA_SUCCESS)
        return result;
    if (copy->srcLOD != 0 || copy->dstLOD != 0)
        return CUDA_ERROR_INVALID_VALUE;
    result = peer_context(copy->srcMemoryType, copy->srcContext, &box.from.context);
    if (result == CUDA_SUCCESS)
        result = peer_context(copy->dstMemoryType, copy->dstContext, &box.to.context);
    box.width = copy->WidthInBytes;
    box.rows = copy->Height;
    box.planes = copy->Depth;
    if (result != CUDA_SUCCESS || is_empty(&box))
        return result;
    from = END(copy, src);
    to = END(copy, dst);
    return box_run(self, &box, &from, &to);
}

ENTRY
cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER *copy)
{
    return copy_3d_peer(copy, NULL, true);
}

ENTRY
cuMemcpy3DPeer_ptds(const CUDA_MEMCPY3D_PEER *copy)
{
    return copy_3d_peer(copy, CU_STREAM_PER_THREAD, true);
}

ENTRY
cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *copy, CUstream stream)
{
    return copy_3d_peer(copy, stream, false);
}

ENTRY
cuMemcpy3DPeerAsync_ptsz(const CUDA_MEMCPY3D_PEER *copy, CUstream stream)
{
    return copy_3d_peer(copy, cuda_guest_per_thread(stream), false);
}
