/* SPDX-License-Identifier: MIT */
/*
 * Textures and surfaces.
 *
 * Design notes: a kernel's parameters hold the driver's own number of a texture, so the guest gets that. It can
 * put others there as well; what those name is of its own context, the only one that its kernels run in.
 */
#include "cuda_plugin.h"

/* ---- Resources ------------------------------------------------------------------------------- */

/* Bytes from the first to the last of a flat texture in memory. False if that overflows, or rows overlap. */
static bool
pitched_extent(const CUDA_RESOURCE_DESC *said, uint64_t *bytes)
{
    uint64_t row;

    if (__builtin_mul_overflow(said->res.pitch2D.width,
                               cuda_element_bytes(said->res.pitch2D.format, said->res.pitch2D.numChannels), &row))
        return false;
    return row != 0 && cuda_rows_extent(said->res.pitch2D.pitchInBytes, row, said->res.pitch2D.height, bytes);
}

/* What the guest said, with what it named in place of its handles. Between enter and leave. */
static int
resource_read(struct cuda_lane *lane, const CUDA_RESOURCE_DESC *said, const struct cuda_array *array,
              const struct cuda_mipmap *levels, CUDA_RESOURCE_DESC *resource)
{
    uint64_t bytes;

    *resource = (CUDA_RESOURCE_DESC){.resType = said->resType, .flags = said->flags};
    switch (said->resType) {
    case CU_RESOURCE_TYPE_ARRAY:
        if (!array)
            return CUDA_ERROR_INVALID_HANDLE;
        resource->res.array.hArray = array->native;
        return 0;
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
        if (!levels)
            return CUDA_ERROR_INVALID_HANDLE;
        resource->res.mipmap.hMipmappedArray = levels->native;
        return 0;
    case CU_RESOURCE_TYPE_LINEAR:
        /* Where it ends the driver does not look at: programs say more than they have, and the device checks. */
        resource->res.linear = said->res.linear;
        if (cuda_made_up(said->res.linear.devPtr, 1))
            return 0;
        return cuda_lane_range(lane, 0, said->res.linear.devPtr, 1) ? 0 : CUDA_ERROR_INVALID_VALUE;
    case CU_RESOURCE_TYPE_PITCH2D:
        resource->res.pitch2D = said->res.pitch2D;
        return pitched_extent(said, &bytes) && cuda_lane_range(lane, 0, said->res.pitch2D.devPtr, bytes)
                   ? 0
                   : CUDA_ERROR_INVALID_VALUE;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

/* ---- Textures -------------------------------------------------------------------------------- */

int
cuda_host_texture_create(struct gpuvchan_request *request, struct cuda_texture **made,
                         const CUDA_RESOURCE_DESC *resource, struct cuda_array *array, struct cuda_mipmap *levels,
                         const CUDA_TEXTURE_DESC *description, bool viewed, const CUDA_RESOURCE_VIEW_DESC *view,
                         uint64_t *value)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_texture *texture = (struct cuda_texture *)cuda_object_create(host, CUDA_OBJECT_TEXTURE);
    CUDA_RESOURCE_DESC checked;
    int result = texture ? cuda_enter(lane, array ? &array->object : NULL, levels ? &levels->object : NULL)
                         : CUDA_ERROR_OUT_OF_MEMORY;

    if (result == 0) {
        result = resource_read(lane, resource, array, levels, &checked);
        if (result == 0)
            result = host->native->cuTexObjectCreate(&texture->native, &checked, description, viewed ? view : NULL);
        if (result == CUDA_SUCCESS) {
            cuda_object_begin(host, &texture->object, &lane->current->object, request);
            *made = texture;
            *value = texture->native;
        }
        cuda_leave(lane, 0);
    }
    if (result != 0 && texture)
        cuda_object_destroy(host, &texture->object);
    return result;
}

int
cuda_host_texture_destroy(struct gpuvchan_request *request, struct cuda_texture *gone)
{
    return cuda_object_close(cuda_lane_of(request), &gone->object);
}

void
cuda_discard_texture(struct gpuvchan_request *request, struct cuda_texture *object)
{
    cuda_object_close(cuda_lane_of(request), &object->object);
}

/* ---- Surfaces -------------------------------------------------------------------------------- */

int
cuda_host_surface_create(struct gpuvchan_request *request, struct cuda_surface **made, struct cuda_array *array,
                         uint32_t flags, uint64_t *value)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_surface *surface = (struct cuda_surface *)cuda_object_create(host, CUDA_OBJECT_SURFACE);
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY, .flags = flags};
    int result = surface ? cuda_enter(lane, &array->object, NULL) : CUDA_ERROR_OUT_OF_MEMORY;

    if (result == 0) {
        resource.res.array.hArray = array->native;
        result = host->native->cuSurfObjectCreate(&surface->native, &resource);
        if (result == CUDA_SUCCESS) {
            cuda_object_begin(host, &surface->object, &lane->current->object, request);
            *made = surface;
            *value = surface->native;
        }
        cuda_leave(lane, 0);
    }
    if (result != 0 && surface)
        cuda_object_destroy(host, &surface->object);
    return result;
}

int
cuda_host_surface_destroy(struct gpuvchan_request *request, struct cuda_surface *gone)
{
    return cuda_object_close(cuda_lane_of(request), &gone->object);
}

void
cuda_discard_surface(struct gpuvchan_request *request, struct cuda_surface *object)
{
    cuda_object_close(cuda_lane_of(request), &object->object);
}
