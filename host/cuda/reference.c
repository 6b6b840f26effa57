/* SPDX-License-Identifier: MIT */
/*
 * Texture and surface references.
 *
 * Design notes: all of them have been in every driver for long, and may be in none to come: who lacks one lacks all. A
 * module's reference goes with the module, one that was made by itself with its context.
 */
#include "cuda_plugin.h"

static bool
has_references(const struct cuda_driver *native)
{
    return native->cuModuleGetTexRef && native->cuTexRefCreate && native->cuTexRefDestroy && native->cuTexRefSetArray &&
           native->cuTexRefSetMipmappedArray && native->cuTexRefSetAddress && native->cuTexRefSetAddress2D &&
           native->cuTexRefSetFormat && native->cuTexRefSetAddressMode && native->cuTexRefSetFilterMode &&
           native->cuTexRefSetMipmapFilterMode && native->cuTexRefSetMipmapLevelBias &&
           native->cuTexRefSetMipmapLevelClamp && native->cuTexRefSetMaxAnisotropy && native->cuTexRefSetBorderColor &&
           native->cuTexRefSetFlags && native->cuTexRefGetFormat && native->cuTexRefGetAddressMode &&
           native->cuTexRefGetFilterMode && native->cuTexRefGetMipmapFilterMode && native->cuTexRefGetMipmapLevelBias &&
           native->cuTexRefGetMipmapLevelClamp && native->cuTexRefGetMaxAnisotropy && native->cuTexRefGetBorderColor &&
           native->cuTexRefGetFlags && native->cuModuleGetSurfRef && native->cuSurfRefSetArray;
}

/* ---- Beginning and end ----------------------------------------------------------------------- */

/* What a reference does not say of itself stays 0. */
static void
state_read(const struct cuda_driver *native, CUtexref texture, struct cuda_reference_state *state)
{
    CUarray_format format = CU_AD_FORMAT_UNSIGNED_INT8;
    CUfilter_mode filter = CU_TR_FILTER_MODE_POINT, mipmap_filter = CU_TR_FILTER_MODE_POINT;
    CUaddress_mode mode;

    native->cuTexRefGetFormat(&format, &state->channels, texture);
    native->cuTexRefGetFilterMode(&filter, texture);
    native->cuTexRefGetMipmapFilterMode(&mipmap_filter, texture);
    native->cuTexRefGetMipmapLevelBias(&state->bias, texture);
    native->cuTexRefGetMipmapLevelClamp(&state->clamp[0], &state->clamp[1], texture);
    native->cuTexRefGetMaxAnisotropy(&state->anisotropy, texture);
    native->cuTexRefGetBorderColor(state->border, texture);
    native->cuTexRefGetFlags(&state->flags, texture);
    for (int i = 0; i < (int)CUDA_REFERENCE_DIMENSIONS; i++)
        if (native->cuTexRefGetAddressMode(&mode, texture, i) == CUDA_SUCCESS)
            state->modes[i] = (int32_t)mode;
    state->format = (int32_t)format;
    state->filter = (int32_t)filter;
    state->mipmap_filter = (int32_t)mipmap_filter;
}

static CUresult
find_native(const struct cuda_driver *native, struct cuda_reference *reference, const struct cuda_module *from,
            const char *name)
{
    reference->texture = NULL;
    reference->surface = NULL;
    reference->named = from != NULL;
    if (!from)
        return native->cuTexRefCreate(&reference->texture);
    return reference->object.kind == CUDA_OBJECT_TEXREF
               ? native->cuModuleGetTexRef(&reference->texture, from->native, name)
               : native->cuModuleGetSurfRef(&reference->surface, from->native, name);
}

/* Of @p from, or, if that is NULL, of the current context. @p state: of a texture's. */
static int
reference_make(struct gpuvchan_request *request, enum cuda_object_kind kind, struct cuda_module *from, const char *name,
               struct cuda_reference **made, struct cuda_reference_state *state)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_reference *reference;
    int result;

    if (!has_references(host->native))
        return cuda_driver_lacks(host->native, "cuModuleGetTexRef");
    reference = (struct cuda_reference *)cuda_object_create(host, kind);
    result = reference ? cuda_enter(lane, from ? &from->object : NULL, NULL) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result == 0) {
        result = find_native(host->native, reference, from, name);
        if (result == CUDA_SUCCESS) {
            if (state)
                state_read(host->native, reference->texture, state);
            cuda_object_begin(host, &reference->object, from ? &from->object : &lane->current->object, request);
            *made = reference;
        }
        cuda_leave(lane, 0);
    }
    if (result != 0 && reference)
        cuda_object_destroy(host, &reference->object);
    return result;
}

int
cuda_host_texref_get(struct gpuvchan_request *request, struct cuda_reference **made, struct cuda_module *from,
                     const char *name, struct cuda_reference_state *state)
{
    return reference_make(request, CUDA_OBJECT_TEXREF, from, name, made, state);
}

int
cuda_host_texref_create(struct gpuvchan_request *request, struct cuda_reference **made,
                        struct cuda_reference_state *state)
{
    return reference_make(request, CUDA_OBJECT_TEXREF, NULL, NULL, made, state);
}

int
cuda_host_surfref_get(struct gpuvchan_request *request, struct cuda_reference **made, struct cuda_module *from,
                      const char *name)
{
    return reference_make(request, CUDA_OBJECT_SURFREF, from, name, made, NULL);
}

int
cuda_host_texref_destroy(struct gpuvchan_request *request, struct cuda_reference *gone)
{
    return cuda_object_close(cuda_lane_of(request), &gone->object);
}

void
cuda_discard_texref(struct gpuvchan_request *request, struct cuda_reference *object)
{
    cuda_object_close(cuda_lane_of(request), &object->object);
}

void
cuda_discard_surfref(struct gpuvchan_request *request, struct cuda_reference *object)
{
    cuda_object_close(cuda_lane_of(request), &object->object);
}

/* ---- What is set ----------------------------------------------------------------------------- */

static CUresult
set(const struct cuda_driver *native, CUtexref texture, uint32_t which, const struct cuda_reference_state *state)
{
    float border[4];

    switch (which) {
    case CUDA_REFERENCE_FORMAT:
        return native->cuTexRefSetFormat(texture, (CUarray_format)state->format, state->channels);
    case CUDA_REFERENCE_MODE:
    case CUDA_REFERENCE_MODE + 1:
    case CUDA_REFERENCE_MODE + 2:
        which -= CUDA_REFERENCE_MODE;
        return native->cuTexRefSetAddressMode(texture, (int)which, (CUaddress_mode)state->modes[which]);
    case CUDA_REFERENCE_FILTER:
        return native->cuTexRefSetFilterMode(texture, (CUfilter_mode)state->filter);
    case CUDA_REFERENCE_MIPMAP_FILTER:
        return native->cuTexRefSetMipmapFilterMode(texture, (CUfilter_mode)state->mipmap_filter);
    case CUDA_REFERENCE_BIAS:
        return native->cuTexRefSetMipmapLevelBias(texture, state->bias);
    case CUDA_REFERENCE_CLAMP:
        return native->cuTexRefSetMipmapLevelClamp(texture, state->clamp[0], state->clamp[1]);
    case CUDA_REFERENCE_ANISOTROPY:
        return native->cuTexRefSetMaxAnisotropy(texture, (unsigned int)state->anisotropy);
    case CUDA_REFERENCE_BORDER:
        for (int i = 0; i < 4; i++)
            border[i] = state->border[i];
        return native->cuTexRefSetBorderColor(texture, border);
    case CUDA_REFERENCE_FLAGS:
        return native->cuTexRefSetFlags(texture, state->flags);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

int
cuda_host_texref_set(struct gpuvchan_request *request, struct cuda_reference *on, uint32_t which,
                     const struct cuda_reference_state *state)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &on->object, NULL);

    return result ? result : cuda_leave(lane, set(cuda_native(request), on->texture, which, state));
}

/* ---- What it is bound to --------------------------------------------------------------------- */

int
cuda_host_texref_set_array(struct gpuvchan_request *request, struct cuda_reference *on, struct cuda_array *array,
                           struct cuda_mipmap *levels, uint32_t flags)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!array == !levels)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_enter(lane, &on->object, array ? &array->object : &levels->object);
    if (result != 0)
        return result;
    return cuda_leave(lane, array ? native->cuTexRefSetArray(on->texture, array->native, flags)
                                  : native->cuTexRefSetMipmappedArray(on->texture, levels->native, flags));
}

int
cuda_host_texref_set_address(struct gpuvchan_request *request, struct cuda_reference *on, CUdeviceptr at,
                             uint64_t bytes, uint64_t *offset)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &on->object, NULL);
    size_t behind = 0;

    if (result != 0)
        return result;
    if (at != 0 && !cuda_lane_range(lane, 0, at, bytes))
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    result = cuda_native(request)->cuTexRefSetAddress(&behind, on->texture, at, bytes);
    *offset = behind;
    return cuda_leave(lane, result);
}

int
cuda_host_texref_set_address_2d(struct gpuvchan_request *request, struct cuda_reference *on,
                                const CUDA_ARRAY_DESCRIPTOR *description, CUdeviceptr at, uint64_t pitch)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    uint64_t row, bytes;
    int result;

    if (__builtin_mul_overflow(description->Width, cuda_element_bytes(description->Format, description->NumChannels),
                               &row) ||
        row == 0 || !cuda_rows_extent(pitch, row, description->Height, &bytes))
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_enter(lane, &on->object, NULL);
    if (result != 0)
        return result;
    if (!cuda_lane_range(lane, 0, at, bytes))
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    return cuda_leave(lane, cuda_native(request)->cuTexRefSetAddress2D(on->texture, description, at, pitch));
}

int
cuda_host_surfref_set_array(struct gpuvchan_request *request, struct cuda_reference *on, struct cuda_array *array,
                            uint32_t flags)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &on->object, &array->object);

    return result ? result
                  : cuda_leave(lane, cuda_native(request)->cuSurfRefSetArray(on->surface, array->native, flags));
}
