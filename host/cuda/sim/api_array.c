/* SPDX-License-Identifier: MIT */
/*
 * Arrays: device memory of the driver's own, rows and planes without gaps.
 * Formats that are packed in blocks or planes are not there.
 */
#include "graph.h"

#include "../../../libgpuvchan/protocol/cuda/cuda_copy.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SIDE 131072u
#define SHAPE_FLAGS (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP)
#define KNOWN_FLAGS (SHAPE_FLAGS | CUDA_ARRAY3D_SURFACE_LDST | CUDA_ARRAY3D_TEXTURE_GATHER | SIM_LATER_FLAGS)

static bool
is_shape(const CUDA_ARRAY3D_DESCRIPTOR *desc)
{
    if (desc->Width == 0 || desc->Width > MAX_SIDE || desc->Height > MAX_SIDE || desc->Depth > MAX_SIDE)
        return false;
    if (desc->NumChannels != 1 && desc->NumChannels != 2 && desc->NumChannels != 4)
        return false;
    if (desc->Flags & CUDA_ARRAY3D_CUBEMAP)
        return desc->Width == desc->Height &&
               (desc->Flags & CUDA_ARRAY3D_LAYERED ? desc->Depth && desc->Depth % 6 == 0 : desc->Depth == 6);
    if (desc->Flags & CUDA_ARRAY3D_LAYERED)
        return desc->Depth != 0;
    return desc->Height != 0 || desc->Depth == 0;
}

static CUresult
check_desc(const CUDA_ARRAY3D_DESCRIPTOR *desc)
{
    if (desc->Flags & ~(unsigned int)KNOWN_FLAGS)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!is_shape(desc) || cuda_element_bytes(desc->Format, desc->NumChannels) == 0)
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

static size_t
or_one(size_t count)
{
    return count ? count : 1;
}

static void
free_memory(struct sim_array *array)
{
    if (array->desc.Flags & SIM_LATER_FLAGS)
        sim_sparse_end(array);
    else
        sim_memory_free(sim_driver.memory, RANGE_ARRAY, array->memory);
}

static CUresult
make_array(struct sim_context *context, const CUDA_ARRAY3D_DESCRIPTOR *desc, struct sim_array **array_p)
{
    struct sim_array *array = calloc(1, sizeof *array);
    CUresult result;

    if (!array)
        return CUDA_ERROR_OUT_OF_MEMORY;
    array->desc = *desc;
    array->row_bytes = desc->Width * cuda_element_bytes(desc->Format, desc->NumChannels);
    array->rows = or_one(desc->Height);
    array->planes = or_one(desc->Depth);
    if (desc->Flags & SIM_LATER_FLAGS)
        result = sim_sparse_begin(array, context->device);
    else
        result = sim_memory_alloc(sim_driver.memory, RANGE_ARRAY, context->device, context,
                                  array->row_bytes * array->rows * array->planes, 0, &array->memory);
    if (!result && !sim_object_add(&array->object, OBJECT_ARRAY, context)) {
        free_memory(array);
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (result)
        free(array);
    else
        *array_p = array;
    return result;
}

static void
drop_array(struct sim_array *array)
{
    free_memory(array);
    sim_object_remove(&array->object);
    free(array);
}

SIM_EXPORT CUresult
cuArray3DCreate_v2(CUarray *handle, const CUDA_ARRAY3D_DESCRIPTOR *desc)
{
    struct sim_context *context;
    struct sim_array *array;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!handle || !desc)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = check_desc(desc);
    if (!result)
        result = make_array(context, desc, &array);
    if (!result)
        *handle = (CUarray)array;
    return sim_end(result);
}

SIM_EXPORT CUresult
cuArrayCreate_v2(CUarray *handle, const CUDA_ARRAY_DESCRIPTOR *desc)
{
    CUDA_ARRAY3D_DESCRIPTOR whole = {0};

    if (!desc)
        return CUDA_ERROR_INVALID_VALUE;
    whole.Width = desc->Width;
    whole.Height = desc->Height;
    whole.Format = desc->Format;
    whole.NumChannels = desc->NumChannels;
    return cuArray3DCreate_v2(handle, &whole);
}

/* Lock, with a fault-free context and the object behind the handle. */
static CUresult
enter_object(const void *handle, enum object_kind kind, void *object)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);
    void *found;

    if (result)
        return result;
    found = sim_object_find(handle, kind);
    memcpy(object, &found, sizeof found);
    return found ? CUDA_SUCCESS : sim_end(CUDA_ERROR_INVALID_HANDLE);
}

SIM_EXPORT CUresult
cuArrayDestroy(CUarray handle)
{
    struct sim_array *array;
    CUresult result = enter_object(handle, OBJECT_ARRAY, &array);

    if (result)
        return result;
    if (array->level)
        return sim_end(CUDA_ERROR_INVALID_HANDLE);
    drop_array(array);
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR *desc, CUarray handle)
{
    struct sim_array *array;
    CUresult result = enter_object(handle, OBJECT_ARRAY, &array);

    if (result)
        return result;
    if (!desc)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *desc = array->desc;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR *desc, CUarray handle)
{
    CUDA_ARRAY3D_DESCRIPTOR whole;
    CUresult result = cuArray3DGetDescriptor_v2(&whole, handle);

    if (result)
        return result;
    if (!desc)
        return CUDA_ERROR_INVALID_VALUE;
    desc->Width = whole.Width;
    desc->Height = whole.Height;
    desc->Format = whole.Format;
    desc->NumChannels = whole.NumChannels;
    return CUDA_SUCCESS;
}

/* No format here has planes. */
SIM_EXPORT CUresult
cuArrayGetPlane(CUarray *plane, CUarray handle, unsigned int index)
{
    struct sim_array *array;
    CUresult result = enter_object(handle, OBJECT_ARRAY, &array);

    (void)plane;
    (void)index;
    return result ? result : sim_end(CUDA_ERROR_INVALID_VALUE);
}

/* Mipmapped arrays: each level is an array. */

/* Layers do not get fewer from level to level. */
static void
halve(CUDA_ARRAY3D_DESCRIPTOR *desc)
{
    desc->Width = or_one(desc->Width / 2);
    if (desc->Height)
        desc->Height = or_one(desc->Height / 2);
    if (desc->Depth && !(desc->Flags & SHAPE_FLAGS))
        desc->Depth = or_one(desc->Depth / 2);
}

static void
drop_mipmap(struct sim_mipmap *mipmap)
{
    while (mipmap->count)
        drop_array(mipmap->levels[--mipmap->count]);
    sim_object_remove(&mipmap->object);
    free(mipmap);
}

static CUresult
make_levels(struct sim_context *context, struct sim_mipmap *mipmap, CUDA_ARRAY3D_DESCRIPTOR desc, unsigned int count)
{
    CUresult result = CUDA_SUCCESS;

    while (!result && mipmap->count < count) {
        result = make_array(context, &desc, &mipmap->levels[mipmap->count]);
        if (!result)
            mipmap->levels[mipmap->count++]->level = true;
        halve(&desc);
    }
    return result;
}

SIM_EXPORT CUresult
cuMipmappedArrayCreate(CUmipmappedArray *handle, const CUDA_ARRAY3D_DESCRIPTOR *desc, unsigned int levels)
{
    struct sim_context *context;
    struct sim_mipmap *mipmap;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!handle || !desc || levels == 0)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = check_desc(desc);
    if (result)
        return sim_end(result);
    mipmap = calloc(1, sizeof *mipmap);
    if (!mipmap || !sim_object_add(&mipmap->object, OBJECT_MIPMAP, context)) {
        free(mipmap);
        return sim_end(CUDA_ERROR_OUT_OF_MEMORY);
    }
    result = make_levels(context, mipmap, *desc, levels < SIM_MAX_LEVELS ? levels : SIM_MAX_LEVELS);
    if (result)
        drop_mipmap(mipmap);
    else
        *handle = (CUmipmappedArray)mipmap;
    return sim_end(result);
}

SIM_EXPORT CUresult
cuMipmappedArrayGetLevel(CUarray *handle, CUmipmappedArray whole, unsigned int level)
{
    struct sim_mipmap *mipmap;
    CUresult result = enter_object(whole, OBJECT_MIPMAP, &mipmap);

    if (result)
        return result;
    if (!handle || level >= mipmap->count)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *handle = (CUarray)mipmap->levels[level];
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuMipmappedArrayDestroy(CUmipmappedArray handle)
{
    struct sim_mipmap *mipmap;
    CUresult result = enter_object(handle, OBJECT_MIPMAP, &mipmap);

    if (result)
        return result;
    drop_mipmap(mipmap);
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuMipmappedArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES *properties, CUmipmappedArray handle)
{
    struct sim_mipmap *mipmap;
    CUresult result = enter_object(handle, OBJECT_MIPMAP, &mipmap);

    (void)properties;
    return result ? result : sim_end(CUDA_ERROR_INVALID_VALUE);
}

SIM_EXPORT CUresult
cuMipmappedArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *requirements, CUmipmappedArray handle,
                                      CUdevice device)
{
    struct sim_mipmap *mipmap;
    CUresult result = enter_object(handle, OBJECT_MIPMAP, &mipmap);

    (void)requirements;
    (void)device;
    return result ? result : sim_end(CUDA_ERROR_INVALID_VALUE);
}

/* Bytes of arrays as they follow each other. */

/* The first of the bytes, or 0. */
static uintptr_t
bytes_at(CUarray handle, size_t offset, size_t size)
{
    const struct sim_array *array = sim_object_find(handle, OBJECT_ARRAY);
    size_t total;

    if (!array)
        return 0;
    total = array->row_bytes * array->rows * array->planes;
    return offset <= total && size <= total - offset ? array->memory + offset : 0;
}

/* One end of a copy: an array, or memory at an address. */
struct piece_end {
    CUarray array;
    size_t offset;
    uint64_t address;
    bool device;
};

static uintptr_t
find_end(const struct piece_end *end, size_t size)
{
    if (end->array)
        return bytes_at(end->array, end->offset, size);
    return sim_copy_reaches(end->address, size, end->device) ? (uintptr_t)end->address : 0;
}

static CUmemorytype
end_type(const struct piece_end *end)
{
    return end->array ? CU_MEMORYTYPE_ARRAY : end->device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
}

/* In the first row of the array. */
static CUresult
capture_piece(struct sim_track *track, const struct piece_end *to, const struct piece_end *from, size_t size)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMCPY};

    params.memcpy.copyParams = (CUDA_MEMCPY3D){.srcXInBytes = from->offset,
                                               .srcMemoryType = end_type(from),
                                               .srcHost = (const void *)(uintptr_t)from->address,
                                               .srcDevice = from->address,
                                               .srcArray = from->array,
                                               .dstXInBytes = to->offset,
                                               .dstMemoryType = end_type(to),
                                               .dstHost = (void *)(uintptr_t)to->address,
                                               .dstDevice = to->address,
                                               .dstArray = to->array,
                                               .WidthInBytes = size,
                                               .Height = 1,
                                               .Depth = 1};
    return sim_capture(track, &params);
}

static CUresult
copy_piece(struct piece_end to, struct piece_end from, size_t size, CUstream stream)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);
    uintptr_t target, source;

    if (result)
        return result;
    result = sim_stream_check(stream);
    if (result || size == 0)
        return sim_end(result);
    target = find_end(&to, size);
    source = find_end(&from, size);
    if (!target || !source)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    if (sim_captured(stream))
        return sim_end(capture_piece(sim_captured(stream), &to, &from, size));
    memmove((void *)target, (void *)source, size);
    return sim_end(CUDA_SUCCESS);
}

static struct piece_end
in_array(CUarray array, size_t offset)
{
    return (struct piece_end){array, offset, 0, false};
}

SIM_EXPORT CUresult
cuMemcpyAtoA_v2(CUarray to, size_t to_offset, CUarray from, size_t from_offset, size_t size)
{
    return copy_piece(in_array(to, to_offset), in_array(from, from_offset), size, NULL);
}
SIM_SYNONYM(cuMemcpyAtoA_v2_ptds, cuMemcpyAtoA_v2);

SIM_EXPORT CUresult
cuMemcpyAtoD_v2(CUdeviceptr to, CUarray from, size_t offset, size_t size)
{
    return copy_piece((struct piece_end){.address = to, .device = true}, in_array(from, offset), size, NULL);
}
SIM_SYNONYM(cuMemcpyAtoD_v2_ptds, cuMemcpyAtoD_v2);

SIM_EXPORT CUresult
cuMemcpyDtoA_v2(CUarray to, size_t offset, CUdeviceptr from, size_t size)
{
    return copy_piece(in_array(to, offset), (struct piece_end){.address = from, .device = true}, size, NULL);
}
SIM_SYNONYM(cuMemcpyDtoA_v2_ptds, cuMemcpyDtoA_v2);

SIM_EXPORT CUresult
cuMemcpyAtoHAsync_v2(void *to, CUarray from, size_t offset, size_t size, CUstream stream)
{
    return copy_piece((struct piece_end){.address = (uintptr_t)to}, in_array(from, offset), size, stream);
}
SIM_SYNONYM(cuMemcpyAtoHAsync_v2_ptsz, cuMemcpyAtoHAsync_v2);

SIM_EXPORT CUresult
cuMemcpyAtoH_v2(void *to, CUarray from, size_t offset, size_t size)
{
    return cuMemcpyAtoHAsync_v2(to, from, offset, size, NULL);
}
SIM_SYNONYM(cuMemcpyAtoH_v2_ptds, cuMemcpyAtoH_v2);

SIM_EXPORT CUresult
cuMemcpyHtoAAsync_v2(CUarray to, size_t offset, const void *from, size_t size, CUstream stream)
{
    return copy_piece(in_array(to, offset), (struct piece_end){.address = (uintptr_t)from}, size, stream);
}
SIM_SYNONYM(cuMemcpyHtoAAsync_v2_ptsz, cuMemcpyHtoAAsync_v2);

SIM_EXPORT CUresult
cuMemcpyHtoA_v2(CUarray to, size_t offset, const void *from, size_t size)
{
    return cuMemcpyHtoAAsync_v2(to, offset, from, size, NULL);
}
SIM_SYNONYM(cuMemcpyHtoA_v2_ptds, cuMemcpyHtoA_v2);

/* Textures and surfaces: what programs may ask about them. Kernels that read them are refused when they are loaded. */

/* Are the array or the memory that it says there, and of the current context's kind of use? */
static bool
is_resource(const CUDA_RESOURCE_DESC *resource, bool surface)
{
    size_t extent;

    switch (resource->resType) {
    case CU_RESOURCE_TYPE_ARRAY:
        return sim_object_find(resource->res.array.hArray, OBJECT_ARRAY);
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
        return !surface && sim_object_find(resource->res.mipmap.hMipmappedArray, OBJECT_MIPMAP);
    case CU_RESOURCE_TYPE_LINEAR:
        return !surface && sim_copy_reaches(resource->res.linear.devPtr, resource->res.linear.sizeInBytes, true);
    case CU_RESOURCE_TYPE_PITCH2D:
        return !surface &&
               !__builtin_mul_overflow(resource->res.pitch2D.pitchInBytes, resource->res.pitch2D.height - 1, &extent) &&
               sim_copy_reaches(resource->res.pitch2D.devPtr, extent + 1, true);
    default:
        return false;
    }
}

/*
 * Programs and kernels know textures and surfaces by small numbers. Those that went with their context are still in
 * the table, but no objects any more. With the driver's lock.
 */
static struct sim_texture **textures;
static size_t texture_room;

static struct sim_texture *
find_texture(unsigned long long number, enum object_kind kind)
{
    struct sim_texture *texture;

    if (number == 0 || number > texture_room)
        return NULL;
    texture = sim_object_find(textures[number - 1], kind);
    return texture && texture->number == number ? texture : NULL;
}

/* The lowest number that is free; 0: out of memory. */
static unsigned long long
number_texture(struct sim_texture *texture)
{
    size_t at = 0;

    while (at < texture_room && (find_texture(at + 1, OBJECT_TEXTURE) || find_texture(at + 1, OBJECT_SURFACE)))
        at++;
    if (at == texture_room) {
        size_t room = texture_room ? texture_room * 2 : 64;
        struct sim_texture **grown = realloc(textures, room * sizeof(struct sim_texture *));

        if (!grown)
            return 0;
        memset(grown + texture_room, 0, (room - texture_room) * sizeof(struct sim_texture *));
        textures = grown;
        texture_room = room;
    }
    textures[at] = texture;
    return at + 1;
}

static CUresult
make_texture(const CUDA_RESOURCE_DESC *resource, const CUDA_TEXTURE_DESC *texture, const CUDA_RESOURCE_VIEW_DESC *view,
             enum object_kind kind, unsigned long long *value)
{
    struct sim_context *context;
    struct sim_texture *made;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!value || !resource || (kind == OBJECT_TEXTURE && !texture) ||
        (view && resource->resType == CU_RESOURCE_TYPE_LINEAR) || !is_resource(resource, kind == OBJECT_SURFACE))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    made = calloc(1, sizeof *made);
    if (!made || !(made->number = number_texture(made)) || !sim_object_add(&made->object, kind, context)) {
        free(made);
        return sim_end(CUDA_ERROR_OUT_OF_MEMORY);
    }
    made->resource = *resource;
    if (texture)
        made->texture = *texture;
    if (view)
        made->view = *view;
    made->has_view = view != NULL;
    *value = made->number;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexObjectCreate(CUtexObject *value, const CUDA_RESOURCE_DESC *resource, const CUDA_TEXTURE_DESC *texture,
                  const CUDA_RESOURCE_VIEW_DESC *view)
{
    return make_texture(resource, texture, view, OBJECT_TEXTURE, value);
}

SIM_EXPORT CUresult
cuSurfObjectCreate(CUsurfObject *value, const CUDA_RESOURCE_DESC *resource)
{
    return make_texture(resource, NULL, NULL, OBJECT_SURFACE, value);
}

static CUresult
destroy_texture(unsigned long long value, enum object_kind kind)
{
    struct sim_context *context;
    struct sim_texture *texture;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    texture = find_texture(value, kind);
    if (!texture)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    sim_object_remove(&texture->object);
    free(texture);
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexObjectDestroy(CUtexObject value)
{
    return destroy_texture(value, OBJECT_TEXTURE);
}

SIM_EXPORT CUresult
cuSurfObjectDestroy(CUsurfObject value)
{
    return destroy_texture(value, OBJECT_SURFACE);
}

/* Lock, with the texture or surface. */
static CUresult
enter_texture(unsigned long long value, enum object_kind kind, const void *out, const struct sim_texture **texture)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    *texture = find_texture(value, kind);
    return *texture && out ? CUDA_SUCCESS : sim_end(CUDA_ERROR_INVALID_VALUE);
}

SIM_EXPORT CUresult
cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC *resource, CUtexObject value)
{
    const struct sim_texture *texture;
    CUresult result = enter_texture(value, OBJECT_TEXTURE, resource, &texture);

    if (result)
        return result;
    *resource = texture->resource;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC *desc, CUtexObject value)
{
    const struct sim_texture *texture;
    CUresult result = enter_texture(value, OBJECT_TEXTURE, desc, &texture);

    if (result)
        return result;
    *desc = texture->texture;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC *view, CUtexObject value)
{
    const struct sim_texture *texture;
    CUresult result = enter_texture(value, OBJECT_TEXTURE, view, &texture);

    if (result)
        return result;
    if (!texture->has_view)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *view = texture->view;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC *resource, CUsurfObject value)
{
    const struct sim_texture *texture;
    CUresult result = enter_texture(value, OBJECT_SURFACE, resource, &texture);

    if (result)
        return result;
    *resource = texture->resource;
    return sim_end(CUDA_SUCCESS);
}
