/* SPDX-License-Identifier: MIT */
/*
 * Arrays. Their descriptions are kept, so that copies can be checked here.
 *
 * Design notes: a level of a mipmapped array and a plane of an array are arrays that the driver hands out and
 * destroys with the whole. Asked for twice it is the same one, so the whole remembers the handles of its parts.
 */
#include "array.h"
#include "device.h"

bool
cuda_guest_array_holds(const struct cuda_guest_array *array, const uint64_t begin[3], const uint64_t extent[3])
{
    const CUDA_ARRAY3D_DESCRIPTOR *has = &array->description;
    const uint64_t sizes[3] = {has->Width * array->element_bytes, has->Height ? has->Height : 1,
                               has->Depth ? has->Depth : 1};

    if (array->element_bytes == 0)
        return true;
    for (int i = 0; i < 3; i++)
        if (extent[i] > sizes[i] || begin[i] > sizes[i] - extent[i])
            return false;
    return true;
}

/* ---- Making ---------------------------------------------------------------------------------- */

static CUresult
array_object(struct cuda_guest_thread *self, struct cuda_guest_array **out)
{
    return cuda_guest_object_create(CUDA_HANDLE_CUARRAY, sizeof(**out), cuda_guest_current(self), out);
}

/* The host has answered with what the array is. */
static void
array_describe(struct cuda_guest_array *array, const CUDA_ARRAY3D_DESCRIPTOR *description)
{
    array->description = *description;
    array->element_bytes = cuda_element_bytes(description->Format, description->NumChannels);
}

static CUresult
create_array(CUarray *handle, const CUDA_ARRAY3D_DESCRIPTOR *wanted)
{
    CUDA_ARRAY3D_DESCRIPTOR description = *wanted;
    struct cuda_guest_thread *self = cuda_guest_self();
    struct cuda_guest_array *array;
    CUresult result = cuda_guest_settle(self);

    if (result == CUDA_SUCCESS)
        result = array_object(self, &array);
    if (result != CUDA_SUCCESS)
        return result;
    result =
        cuda_guest_result(cuda_array_create_on(&cuda_guest.client, self->lane, array->object.handle, &description));
    if (result != CUDA_SUCCESS) {
        cuda_guest_object_undo(&array->object);
        return result;
    }
    array_describe(array, &description);
    *handle = cuda_guest_handle(&array->object);
    return CUDA_SUCCESS;
}

ENTRY
cuArray3DCreate_v2(CUarray *handle, const CUDA_ARRAY3D_DESCRIPTOR *description)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || !description)
        return CUDA_ERROR_INVALID_VALUE;
    return create_array(handle, description);
}

ENTRY
cuArrayCreate_v2(CUarray *handle, const CUDA_ARRAY_DESCRIPTOR *description)
{
    CUDA_ARRAY3D_DESCRIPTOR whole = {0};

    if (description)
        whole = (CUDA_ARRAY3D_DESCRIPTOR){.Width = description->Width,
                                          .Height = description->Height,
                                          .Format = description->Format,
                                          .NumChannels = description->NumChannels};
    return cuArray3DCreate_v2(handle, description ? &whole : NULL);
}

ENTRY
cuMipmappedArrayCreate(CUmipmappedArray *handle, const CUDA_ARRAY3D_DESCRIPTOR *description, unsigned int levels)
{
    struct cuda_guest_mipmap *mipmap;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || !description)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_object_create(CUDA_HANDLE_MIPMAP, sizeof(*mipmap), cuda_guest_current(self), &mipmap);
    if (result != CUDA_SUCCESS)
        return result;
    result = cuda_guest_result(
        cuda_mipmap_create_on(&cuda_guest.client, self->lane, mipmap->object.handle, description, levels));
    if (result != CUDA_SUCCESS) {
        cuda_guest_object_undo(&mipmap->object);
        return result;
    }
    mipmap->description = *description;
    mipmap->levels = levels;
    *handle = cuda_guest_handle(&mipmap->object);
    return CUDA_SUCCESS;
}

/* ---- Parts ----------------------------------------------------------------------------------- */

static pthread_mutex_t parts_lock = PTHREAD_MUTEX_INITIALIZER;

/* With the lock: the part whose handle is at @p known, which is asked for if it is not known yet. */
static CUresult
part_find(struct cuda_guest_thread *self, const struct cuda_guest_object *whole, uint32_t which, uint32_t *known,
          CUarray *handle)
{
    const struct gpuvchan_client *client = &cuda_guest.client;
    CUDA_ARRAY3D_DESCRIPTOR description;
    struct cuda_guest_array *part = NULL;
    CUresult result = CUDA_SUCCESS;
    int status;

    if (*known != 0)
        part = gpuvchan_handles_lookup(cuda_guest.handles, *known, CUDA_HANDLE_CUARRAY);
    if (!part) {
        result = array_object(self, &part);
        if (result != CUDA_SUCCESS)
            return result;
        status = whole->kind == CUDA_HANDLE_MIPMAP
                     ? cuda_mipmap_level_on(client, self->lane, part->object.handle, whole->handle, which, &description)
                     : cuda_array_plane_on(client, self->lane, part->object.handle, whole->handle, which, &description);
        result = cuda_guest_result(status);
        if (result != CUDA_SUCCESS) {
            cuda_guest_object_undo(&part->object);
            return result;
        }
        array_describe(part, &description);
        part->part = true;
        *known = part->object.handle;
    }
    *handle = cuda_guest_handle(&part->object);
    return result;
}

/* The host has ended them with the whole. */
static void
parts_drop(const uint32_t *parts, uint32_t count)
{
    struct cuda_guest_object *part;

    for (uint32_t i = 0; i < count; i++) {
        if (parts[i] == 0)
            continue;
        part = gpuvchan_handles_remove(cuda_guest.handles, parts[i], CUDA_HANDLE_CUARRAY);
        if (part)
            cuda_guest_object_free(part);
    }
}

ENTRY
cuMipmappedArrayGetLevel(CUarray *handle, CUmipmappedArray of, unsigned int level)
{
    struct cuda_guest_mipmap *mipmap;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    mipmap = cuda_guest_find(of, CUDA_HANDLE_MIPMAP);
    if (!mipmap)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!handle || level >= mipmap->levels || level >= CUDA_GUEST_LEVELS)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&parts_lock);
    result = part_find(self, &mipmap->object, level, &mipmap->parts[level], handle);
    pthread_mutex_unlock(&parts_lock);
    return result;
}

ENTRY
cuArrayGetPlane(CUarray *handle, CUarray of, unsigned int plane)
{
    struct cuda_guest_array *array;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    array = cuda_guest_array_find(of);
    if (!array)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!handle || plane >= CUDA_GUEST_PLANES)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&parts_lock);
    result = part_find(self, &array->object, plane, &array->parts[plane], handle);
    pthread_mutex_unlock(&parts_lock);
    return result;
}

/* ---- Ending ---------------------------------------------------------------------------------- */

ENTRY
cuArrayDestroy(CUarray handle)
{
    struct cuda_guest_array *array;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);
    uint32_t wire;

    if (result != CUDA_SUCCESS)
        return result;
    array = cuda_guest_array_find(handle);
    if (!array || array->part || !cuda_guest_take(handle, CUDA_HANDLE_CUARRAY))
        return CUDA_ERROR_INVALID_HANDLE;
    wire = array->object.handle;
    parts_drop(array->parts, CUDA_GUEST_PLANES);
    cuda_guest_object_free(&array->object);
    return cuda_guest_result(cuda_array_destroy_on(&cuda_guest.client, self->lane, wire));
}

ENTRY
cuMipmappedArrayDestroy(CUmipmappedArray handle)
{
    struct cuda_guest_mipmap *mipmap;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);
    uint32_t wire;

    if (result != CUDA_SUCCESS)
        return result;
    mipmap = cuda_guest_take(handle, CUDA_HANDLE_MIPMAP);
    if (!mipmap)
        return CUDA_ERROR_INVALID_HANDLE;
    wire = mipmap->object.handle;
    parts_drop(mipmap->parts, CUDA_GUEST_LEVELS);
    cuda_guest_object_free(&mipmap->object);
    return cuda_guest_result(cuda_mipmap_destroy_on(&cuda_guest.client, self->lane, wire));
}

/* ---- What they are --------------------------------------------------------------------------- */

/* An array of the application, and a thread in a context, if @p out is there. */
static CUresult
array_enter(struct cuda_guest_thread **self, CUarray handle, const void *out, const struct cuda_guest_array **array)
{
    CUresult result = cuda_guest_enter(self);

    if (result != CUDA_SUCCESS)
        return result;
    *array = cuda_guest_array_find(handle);
    if (!*array)
        return CUDA_ERROR_INVALID_HANDLE;
    return out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult
mipmap_enter(struct cuda_guest_thread **self, CUmipmappedArray handle, const void *out,
             const struct cuda_guest_mipmap **mipmap)
{
    CUresult result = cuda_guest_enter(self);

    if (result != CUDA_SUCCESS)
        return result;
    *mipmap = cuda_guest_find(handle, CUDA_HANDLE_MIPMAP);
    if (!*mipmap)
        return CUDA_ERROR_INVALID_HANDLE;
    return out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

ENTRY
cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR *description, CUarray handle)
{
    const struct cuda_guest_array *array;
    struct cuda_guest_thread *self;
    CUresult result = array_enter(&self, handle, description, &array);

    if (result == CUDA_SUCCESS)
        *description = array->description;
    return result;
}

ENTRY
cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR *description, CUarray handle)
{
    const struct cuda_guest_array *array;
    struct cuda_guest_thread *self;
    CUresult result = array_enter(&self, handle, description, &array);

    if (result == CUDA_SUCCESS)
        *description = (CUDA_ARRAY_DESCRIPTOR){.Width = array->description.Width,
                                               .Height = array->description.Height,
                                               .Format = array->description.Format,
                                               .NumChannels = array->description.NumChannels};
    return result;
}

ENTRY
cuArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *requirements, CUarray handle, CUdevice number)
{
    const struct cuda_guest_device *device = cuda_guest_device(number);
    const struct cuda_guest_array *array;
    struct cuda_guest_thread *self;
    CUresult result = array_enter(&self, handle, requirements, &array);

    if (result != CUDA_SUCCESS)
        return result;
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    return cuda_guest_result(cuda_array_requirements_on(&cuda_guest.client, self->lane, array->object.handle,
                                                        device->ordinal, requirements));
}

ENTRY
cuMipmappedArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *requirements, CUmipmappedArray handle,
                                      CUdevice number)
{
    const struct cuda_guest_device *device = cuda_guest_device(number);
    const struct cuda_guest_mipmap *mipmap;
    struct cuda_guest_thread *self;
    CUresult result = mipmap_enter(&self, handle, requirements, &mipmap);

    if (result != CUDA_SUCCESS)
        return result;
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    return cuda_guest_result(cuda_mipmap_requirements_on(&cuda_guest.client, self->lane, mipmap->object.handle,
                                                         device->ordinal, requirements));
}

ENTRY
cuArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES *properties, CUarray handle)
{
    const struct cuda_guest_array *array;
    struct cuda_guest_thread *self;
    CUresult result = array_enter(&self, handle, properties, &array);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_array_sparse_on(&cuda_guest.client, self->lane, array->object.handle, properties));
}

ENTRY
cuMipmappedArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES *properties, CUmipmappedArray handle)
{
    const struct cuda_guest_mipmap *mipmap;
    struct cuda_guest_thread *self;
    CUresult result = mipmap_enter(&self, handle, properties, &mipmap);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_mipmap_sparse_on(&cuda_guest.client, self->lane, mipmap->object.handle, properties));
}
