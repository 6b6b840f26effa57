/* SPDX-License-Identifier: MIT */
/* Arrays. The driver destroys levels and planes with the whole, which owns them here as well. */
#include "cuda_plugin.h"

/* ---- Making ---------------------------------------------------------------------------------- */

static int
describe(const struct cuda_driver *native, const struct cuda_array *array, CUDA_ARRAY3D_DESCRIPTOR *description)
{
    return native->cuArray3DGetDescriptor(description, array->native);
}

int
cuda_host_array_create(struct gpuvchan_request *request, struct cuda_array **made, CUDA_ARRAY3D_DESCRIPTOR *description)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_array *array = (struct cuda_array *)cuda_object_create(host, CUDA_OBJECT_ARRAY);
    int result = array ? cuda_enter(lane, NULL, NULL) : CUDA_ERROR_OUT_OF_MEMORY;

    if (result == 0) {
        result = host->native->cuArray3DCreate(&array->native, description);
        if (result == CUDA_SUCCESS && (result = describe(host->native, array, description)) != CUDA_SUCCESS)
            host->native->cuArrayDestroy(array->native);
        if (result == CUDA_SUCCESS) {
            array->part = false;
            cuda_object_begin(host, &array->object, &lane->current->object, request);
            *made = array;
        }
        cuda_leave(lane, 0);
    }
    if (result != 0 && array)
        cuda_object_destroy(host, &array->object);
    return result;
}

int
cuda_host_mipmap_create(struct gpuvchan_request *request, struct cuda_mipmap **made,
                        const CUDA_ARRAY3D_DESCRIPTOR *description, uint32_t levels)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_mipmap *mipmap = (struct cuda_mipmap *)cuda_object_create(host, CUDA_OBJECT_MIPMAP);
    int result = mipmap ? cuda_enter(lane, NULL, NULL) : CUDA_ERROR_OUT_OF_MEMORY;

    if (result == 0) {
        result = host->native->cuMipmappedArrayCreate(&mipmap->native, description, levels);
        if (result == CUDA_SUCCESS) {
            cuda_object_begin(host, &mipmap->object, &lane->current->object, request);
            *made = mipmap;
        }
        cuda_leave(lane, 0);
    }
    if (result != 0 && mipmap)
        cuda_object_destroy(host, &mipmap->object);
    return result;
}

/* ---- Parts ----------------------------------------------------------------------------------- */

/* Between enter and leave: a part of @p whole, which the driver has named. */
static int
part_begin(struct gpuvchan_request *request, struct cuda_object *whole, CUarray native, struct cuda_array **made,
           CUDA_ARRAY3D_DESCRIPTOR *description)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_array *array = (struct cuda_array *)cuda_object_create(host, CUDA_OBJECT_ARRAY);
    int result;

    if (!array)
        return CUDA_ERROR_OUT_OF_MEMORY;
    array->native = native;
    array->part = true;
    result = describe(host->native, array, description);
    if (result != CUDA_SUCCESS) {
        cuda_object_destroy(host, &array->object);
        return result;
    }
    cuda_object_begin(host, &array->object, whole, request);
    *made = array;
    return 0;
}

int
cuda_host_array_plane(struct gpuvchan_request *request, struct cuda_array **made, struct cuda_array *from,
                      uint32_t plane, CUDA_ARRAY3D_DESCRIPTOR *description)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUarray array;
    int result;

    if (!native->cuArrayGetPlane)
        return cuda_driver_lacks(native, "cuArrayGetPlane");
    result = cuda_enter(lane, &from->object, NULL);
    if (result != 0)
        return result;
    result = native->cuArrayGetPlane(&array, from->native, plane);
    if (result == CUDA_SUCCESS)
        result = part_begin(request, &from->object, array, made, description);
    return cuda_leave(lane, result);
}

int
cuda_host_mipmap_level(struct gpuvchan_request *request, struct cuda_array **made, struct cuda_mipmap *from,
                       uint32_t level, CUDA_ARRAY3D_DESCRIPTOR *description)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &from->object, NULL);
    CUarray array;

    if (result != 0)
        return result;
    result = cuda_native(request)->cuMipmappedArrayGetLevel(&array, from->native, level);
    if (result == CUDA_SUCCESS)
        result = part_begin(request, &from->object, array, made, description);
    return cuda_leave(lane, result);
}

/* ---- Ending ---------------------------------------------------------------------------------- */

int
cuda_host_array_destroy(struct gpuvchan_request *request, struct cuda_array *gone)
{
    return cuda_object_close(cuda_lane_of(request), &gone->object);
}

void
cuda_discard_cuarray(struct gpuvchan_request *request, struct cuda_array *object)
{
    cuda_object_close(cuda_lane_of(request), &object->object);
}

int
cuda_host_mipmap_destroy(struct gpuvchan_request *request, struct cuda_mipmap *gone)
{
    return cuda_object_close(cuda_lane_of(request), &gone->object);
}

void
cuda_discard_mipmap(struct gpuvchan_request *request, struct cuda_mipmap *object)
{
    cuda_object_close(cuda_lane_of(request), &object->object);
}

/* ---- Questions ------------------------------------------------------------------------------- */

static int
device_number(const struct cuda_driver *native, uint32_t device, CUdevice *number)
{
    return device < (uint32_t)native->devices ? (int)native->cuDeviceGet(number, (int)device)
                                              : CUDA_ERROR_INVALID_DEVICE;
}

int
cuda_host_array_requirements(struct gpuvchan_request *request, struct cuda_array *from, uint32_t device,
                             CUDA_ARRAY_MEMORY_REQUIREMENTS *requirements)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUdevice number;
    int result = device_number(native, device, &number);

    if (!native->cuArrayGetMemoryRequirements)
        return cuda_driver_lacks(native, "cuArrayGetMemoryRequirements");
    if (result == 0)
        result = cuda_enter(lane, &from->object, NULL);
    if (result != 0)
        return result;
    return cuda_leave(lane, native->cuArrayGetMemoryRequirements(requirements, from->native, number));
}

int
cuda_host_mipmap_requirements(struct gpuvchan_request *request, struct cuda_mipmap *from, uint32_t device,
                              CUDA_ARRAY_MEMORY_REQUIREMENTS *requirements)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUdevice number;
    int result = device_number(native, device, &number);

    if (!native->cuMipmappedArrayGetMemoryRequirements)
        return cuda_driver_lacks(native, "cuMipmappedArrayGetMemoryRequirements");
    if (result == 0)
        result = cuda_enter(lane, &from->object, NULL);
    if (result != 0)
        return result;
    return cuda_leave(lane, native->cuMipmappedArrayGetMemoryRequirements(requirements, from->native, number));
}

int
cuda_host_array_sparse(struct gpuvchan_request *request, struct cuda_array *from,
                       CUDA_ARRAY_SPARSE_PROPERTIES *properties)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!native->cuArrayGetSparseProperties)
        return cuda_driver_lacks(native, "cuArrayGetSparseProperties");
    result = cuda_enter(lane, &from->object, NULL);
    return result ? result : cuda_leave(lane, native->cuArrayGetSparseProperties(properties, from->native));
}

int
cuda_host_mipmap_sparse(struct gpuvchan_request *request, struct cuda_mipmap *from,
                        CUDA_ARRAY_SPARSE_PROPERTIES *properties)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!native->cuMipmappedArrayGetSparseProperties)
        return cuda_driver_lacks(native, "cuMipmappedArrayGetSparseProperties");
    result = cuda_enter(lane, &from->object, NULL);
    return result ? result : cuda_leave(lane, native->cuMipmappedArrayGetSparseProperties(properties, from->native));
}

/* ---- Memory that is mapped later ------------------------------------------------------------- */

int
cuda_host_array_map(struct gpuvchan_request *request, const CUarrayMapInfo *entry, struct cuda_array *array,
                    struct cuda_mipmap *levels, struct cuda_physical *from, uint32_t device, struct cuda_stream *on)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUarrayMapInfo checked = *entry;
    CUdevice number;
    int result;

    if (!native->cuMemMapArrayAsync)
        return cuda_driver_lacks(native, "cuMemMapArrayAsync");
    result = cuda_device_of(native, device, &number);
    if (result != 0 || !array == !levels || number >= 32)
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    if (array) {
        checked.resourceType = CU_RESOURCE_TYPE_ARRAY;
        checked.resource.array = array->native;
    } else {
        checked.resourceType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY;
        checked.resource.mipmap = levels->native;
    }
    checked.memHandleType = CU_MEM_HANDLE_TYPE_GENERIC;
    checked.memHandle.memHandle = from ? from->native : 0;
    checked.deviceBitMask = 1u << number;
    result = cuda_enter(lane, array ? &array->object : &levels->object, on ? &on->object : NULL);
    if (result != 0)
        return result;
    if (from && !cuda_lane_announce(lane, CUDA_SLOT_THIRD, &from->object))
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    return cuda_leave(lane, native->cuMemMapArrayAsync(&checked, 1, cuda_stream_native(on)));
}
