/* SPDX-License-Identifier: MIT */
/*
 * Copies of boxes between device memory, the arena and arrays. What lies in memory is looked up with all the
 * bytes between the box's first and last; where a box lies in an array the driver checks, which knows its size.
 */
#include "cuda_plugin.h"

struct end {
    const struct cuda_copy_end *said;
    void *arena;
    uint64_t arena_bytes;
    struct cuda_array *array;
    struct cuda_context *context;
};

struct box {
    uint64_t width, rows, planes;
};

/* Bytes from the first to the last. False if that overflows, or rows or planes overlap. */
static bool
extent_of(const struct cuda_copy_end *end, const struct box *box, uint64_t *bytes)
{
    uint64_t above;

    if (((box->rows > 1 || box->planes > 1) && end->pitch < box->width) || (box->planes > 1 && end->height < box->rows))
        return false;
    return !__builtin_mul_overflow(end->height, box->planes - 1, &above) &&
           !__builtin_add_overflow(above, box->rows - 1, &above) &&
           !__builtin_mul_overflow(above, end->pitch, &above) && !__builtin_add_overflow(above, box->width, bytes);
}

/* Is all that the copy touches at this end the guest's? Between enter and leave. */
static bool
end_fits(struct cuda_lane *lane, unsigned which, const struct end *end, const struct box *box)
{
    uint64_t bytes;

    switch (end->said->place) {
    case CUDA_COPY_DEVICE:
        return extent_of(end->said, box, &bytes) && cuda_lane_range(lane, which, end->said->address, bytes);
    case CUDA_COPY_ARENA:
        return end->arena && extent_of(end->said, box, &bytes) && bytes <= end->arena_bytes;
    case CUDA_COPY_ARRAY:
        return end->array != NULL;
    default:
        return false;
    }
}

static CUmemorytype
memory_type(const struct end *end)
{
    switch (end->said->place) {
    case CUDA_COPY_ARENA:
        return CU_MEMORYTYPE_HOST;
    case CUDA_COPY_ARRAY:
        return CU_MEMORYTYPE_ARRAY;
    default:
        return CU_MEMORYTYPE_DEVICE;
    }
}

static CUarray
array_native(const struct end *end)
{
    return end->array ? end->array->native : NULL;
}

/* Only an array's places count: those of memory are in the address. */
static uint64_t
inside(const struct end *end, uint64_t place)
{
    return end->said->place == CUDA_COPY_ARRAY ? place : 0;
}

static int
copy_2d(const struct cuda_driver *native, const struct end *from, const struct end *to, const struct box *box,
        CUstream stream)
{
    CUDA_MEMCPY2D copy = {
        .srcMemoryType = memory_type(from),
        .srcHost = from->arena,
        .srcDevice = from->said->address,
        .srcArray = array_native(from),
        .srcXInBytes = inside(from, from->said->x),
        .srcY = inside(from, from->said->y),
        .srcPitch = from->said->pitch,
        .dstMemoryType = memory_type(to),
        .dstHost = to->arena,
        .dstDevice = to->said->address,
        .dstArray = array_native(to),
        .dstXInBytes = inside(to, to->said->x),
        .dstY = inside(to, to->said->y),
        .dstPitch = to->said->pitch,
        .WidthInBytes = box->width,
        .Height = box->rows,
    };

    if (box->planes != 1)
        return CUDA_ERROR_INVALID_VALUE;
    return native->cuMemcpy2DAsync(&copy, stream);
}

/* The two structs of the API have these fields, in other places. */
#define FILL_3D(copy)                                      \
    do {                                                   \
        (copy)->srcMemoryType = memory_type(from);         \
        (copy)->srcHost = from->arena;                     \
        (copy)->srcDevice = from->said->address;           \
        (copy)->srcArray = array_native(from);             \
        (copy)->srcXInBytes = inside(from, from->said->x); \
        (copy)->srcY = inside(from, from->said->y);        \
        (copy)->srcZ = inside(from, from->said->z);        \
        (copy)->srcPitch = from->said->pitch;              \
        (copy)->srcHeight = from->said->height;            \
        (copy)->dstMemoryType = memory_type(to);           \
        (copy)->dstHost = to->arena;                       \
        (copy)->dstDevice = to->said->address;             \
        (copy)->dstArray = array_native(to);               \
        (copy)->dstXInBytes = inside(to, to->said->x);     \
        (copy)->dstY = inside(to, to->said->y);            \
        (copy)->dstZ = inside(to, to->said->z);            \
        (copy)->dstPitch = to->said->pitch;                \
        (copy)->dstHeight = to->said->height;              \
        (copy)->WidthInBytes = box->width;                 \
        (copy)->Height = box->rows;                        \
        (copy)->Depth = box->planes;                       \
    } while (0)

static int
copy_3d(const struct cuda_driver *native, const struct end *from, const struct end *to, const struct box *box,
        CUstream stream)
{
    CUDA_MEMCPY3D copy = {0};

    FILL_3D(&copy);
    return native->cuMemcpy3DAsync(&copy, stream);
}

static int
copy_3d_peer(struct cuda_lane *lane, const struct end *from, const struct end *to, const struct box *box,
             CUstream stream)
{
    /* Memory of the arena is in every context. */
    CUDA_MEMCPY3D_PEER copy = {
        .srcContext = (from->context ? from->context : lane->current)->native,
        .dstContext = (to->context ? to->context : lane->current)->native,
    };

    FILL_3D(&copy);
    return lane->host->native->cuMemcpy3DPeerAsync(&copy, stream);
}

/* Announces what the ends name beside memory: alive? */
static bool
announce(struct cuda_lane *lane, const struct end *from, const struct end *to)
{
    struct cuda_object *objects[] = {
        from->array ? &from->array->object : NULL,
        to->array ? &to->array->object : NULL,
        from->context ? &from->context->object : NULL,
        to->context ? &to->context->object : NULL,
    };

    for (unsigned i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
        if (objects[i] && !cuda_lane_announce(lane, CUDA_SLOT_SECOND + i, objects[i]))
            return false;
    return true;
}

static int
run(struct cuda_lane *lane, uint8_t form, const struct end *from, const struct end *to, const struct box *box,
    CUstream stream)
{
    switch (form) {
    case CUDA_COPY_2D:
        return copy_2d(lane->host->native, from, to, box, stream);
    case CUDA_COPY_3D:
        return copy_3d(lane->host->native, from, to, box, stream);
    case CUDA_COPY_3D_PEER:
        return copy_3d_peer(lane, from, to, box, stream);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

int
cuda_host_copy_box(struct gpuvchan_request *request, uint8_t form, const struct cuda_copy_end *from,
                   const struct cuda_copy_end *to, void *from_arena, size_t from_arena_bytes, void *to_arena,
                   size_t to_arena_bytes, struct cuda_array *from_array, struct cuda_array *to_array,
                   struct cuda_context *from_context, struct cuda_context *to_context, uint64_t width, uint64_t rows,
                   uint64_t planes, struct cuda_stream *on)
{
    const struct end source = {from, from_arena, from_arena_bytes, from_array, from_context};
    const struct end target = {to, to_arena, to_arena_bytes, to_array, to_context};
    const struct box box = {width, rows, planes};
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (width == 0 || rows == 0 || planes == 0)
        return 0;
    result = cuda_enter(lane, on ? &on->object : NULL, NULL);
    if (result != 0)
        return result;
    if (!announce(lane, &source, &target))
        result = CUDA_ERROR_INVALID_HANDLE;
    else if (!end_fits(lane, 0, &source, &box) || !end_fits(lane, 1, &target, &box))
        result = CUDA_ERROR_INVALID_VALUE;
    else
        result = run(lane, form, &source, &target, &box, cuda_stream_native(on));
    return cuda_leave(lane, result);
}

/* ---- Bytes of arrays ------------------------------------------------------------------------- */

/* Between an array and memory, of the device if @p arena is NULL. */
static int
copy_memory(const struct cuda_driver *native, const struct end *from, const struct end *to, uint64_t from_offset,
            uint64_t to_offset, CUdeviceptr device, void *arena, uint64_t bytes, CUstream stream)
{
    if (to->array && arena)
        return native->cuMemcpyHtoAAsync(to->array->native, to_offset, arena, bytes, stream);
    if (to->array)
        return native->cuMemcpyDtoA(to->array->native, to_offset, device, bytes);
    if (arena)
        return native->cuMemcpyAtoHAsync(arena, from->array->native, from_offset, bytes, stream);
    return native->cuMemcpyAtoD(device, from->array->native, from_offset, bytes);
}

/*
 * The driver has functions on streams for the arena alone. The others act on the legacy stream; on the per-thread
 * one, which they have a form of that no driver's table needs, they are waited for instead.
 */
int
cuda_host_copy_array(struct gpuvchan_request *request, struct cuda_array *from_array, struct cuda_array *to_array,
                     uint64_t from_offset, uint64_t to_offset, CUdeviceptr device, void *arena, size_t arena_bytes,
                     uint64_t bytes, struct cuda_stream *on)
{
    const struct end from = {.array = from_array}, to = {.array = to_array};
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUstream stream = cuda_stream_native(on);
    int result;

    if (bytes == 0)
        return 0;
    if ((!from_array && !to_array) || (arena && arena_bytes < bytes))
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_enter(lane, on ? &on->object : NULL, NULL);
    if (result != 0)
        return result;
    if (!announce(lane, &from, &to))
        return cuda_leave(lane, CUDA_ERROR_INVALID_HANDLE);
    if (!arena && stream != NULL && stream != CU_STREAM_LEGACY)
        result = native->cuStreamSynchronize(stream);
    if (result != CUDA_SUCCESS)
        return cuda_leave(lane, result);
    if (from_array && to_array)
        result = native->cuMemcpyAtoA(to_array->native, to_offset, from_array->native, from_offset, bytes);
    else if (!arena && !cuda_lane_range(lane, 0, device, bytes))
        result = CUDA_ERROR_INVALID_VALUE;
    else
        result = copy_memory(native, &from, &to, from_offset, to_offset, device, arena, bytes, stream);
    if (result == CUDA_SUCCESS && !arena && stream != NULL && stream != CU_STREAM_LEGACY)
        result = native->cuStreamSynchronize(CU_STREAM_LEGACY);
    return cuda_leave(lane, result);
}
