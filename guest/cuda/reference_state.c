/* SPDX-License-Identifier: MIT */
/* How texture references sample: what is set, and asked. */
#include <string.h>

#include "reference.h"

#define FLAGS                                                                  \
    (CU_TRSF_READ_AS_INTEGER | CU_TRSF_NORMALIZED_COORDINATES | CU_TRSF_SRGB | \
     CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION | CU_TRSF_SEAMLESS_CUBEMAP)

static bool
is_dimension(int dimension)
{
    return dimension >= 0 && dimension < (int)CUDA_REFERENCE_DIMENSIONS;
}

/* ---- What is set ----------------------------------------------------------------------------- */

/* Something of @p state is about to be set, for the reference that it is of. */
struct setting {
    struct cuda_guest_thread *self;
    struct cuda_guest_reference *reference;
    struct cuda_reference_state *state;
};

/* @p fits: CUDA takes the value. */
static CUresult
begin(CUtexref handle, bool fits, struct setting *setting)
{
    CUresult result = cuda_guest_reference_enter(handle, CUDA_HANDLE_TEXREF, &setting->self, &setting->reference);

    if (result != CUDA_SUCCESS)
        return result;
    setting->state = &setting->reference->state;
    return fits ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult
end(const struct setting *setting, uint32_t which)
{
    return cuda_guest_result(cuda_texref_set_on(&cuda_guest.client, setting->self->lane,
                                                setting->reference->object.handle, which, setting->state));
}

ENTRY
cuTexRefSetFormat(CUtexref handle, CUarray_format format, int channels)
{
    struct setting setting;
    CUresult result = begin(handle, channels == 1 || channels == 2 || channels == 4, &setting);

    if (result != CUDA_SUCCESS)
        return result;
    setting.state->format = (int32_t)format;
    setting.state->channels = channels;
    return end(&setting, CUDA_REFERENCE_FORMAT);
}

ENTRY
cuTexRefSetAddressMode(CUtexref handle, int dimension, CUaddress_mode mode)
{
    struct setting setting;
    CUresult result = begin(handle, is_dimension(dimension) && mode <= CU_TR_ADDRESS_MODE_BORDER, &setting);

    if (result != CUDA_SUCCESS)
        return result;
    setting.state->modes[dimension] = (int32_t)mode;
    return end(&setting, CUDA_REFERENCE_MODE + (uint32_t)dimension);
}

ENTRY
cuTexRefSetFilterMode(CUtexref handle, CUfilter_mode mode)
{
    struct setting setting;
    CUresult result = begin(handle, mode <= CU_TR_FILTER_MODE_LINEAR, &setting);

    if (result != CUDA_SUCCESS)
        return result;
    setting.state->filter = (int32_t)mode;
    return end(&setting, CUDA_REFERENCE_FILTER);
}

ENTRY
cuTexRefSetMipmapFilterMode(CUtexref handle, CUfilter_mode mode)
{
    struct setting setting;
    CUresult result = begin(handle, mode <= CU_TR_FILTER_MODE_LINEAR, &setting);

    if (result != CUDA_SUCCESS)
        return result;
    setting.state->mipmap_filter = (int32_t)mode;
    return end(&setting, CUDA_REFERENCE_MIPMAP_FILTER);
}

ENTRY
cuTexRefSetMipmapLevelBias(CUtexref handle, float bias)
{
    struct setting setting;
    CUresult result = begin(handle, true, &setting);

    if (result != CUDA_SUCCESS)
        return result;
    setting.state->bias = bias;
    return end(&setting, CUDA_REFERENCE_BIAS);
}

ENTRY
cuTexRefSetMipmapLevelClamp(CUtexref handle, float least, float most)
{
    struct setting setting;
    CUresult result = begin(handle, true, &setting);

    if (result != CUDA_SUCCESS)
        return result;
    setting.state->clamp[0] = least;
    setting.state->clamp[1] = most;
    return end(&setting, CUDA_REFERENCE_CLAMP);
}

ENTRY
cuTexRefSetMaxAnisotropy(CUtexref handle, unsigned int most)
{
    struct setting setting;
    CUresult result = begin(handle, true, &setting);

    if (result != CUDA_SUCCESS)
        return result;
    setting.state->anisotropy = (int32_t)most;
    return end(&setting, CUDA_REFERENCE_ANISOTROPY);
}

ENTRY
cuTexRefSetBorderColor(CUtexref handle, float *color)
{
    struct setting setting;
    CUresult result = begin(handle, color != NULL, &setting);

    if (result != CUDA_SUCCESS)
        return result;
    memcpy(setting.state->border, color, sizeof(setting.state->border));
    return end(&setting, CUDA_REFERENCE_BORDER);
}

ENTRY
cuTexRefSetFlags(CUtexref handle, unsigned int flags)
{
    struct setting setting;
    CUresult result = begin(handle, !(flags & ~(unsigned)FLAGS), &setting);

    if (result != CUDA_SUCCESS)
        return result;
    setting.state->flags = flags;
    return end(&setting, CUDA_REFERENCE_FLAGS);
}

/* ---- What is asked --------------------------------------------------------------------------- */

/* @p fits: there is an answer, and somewhere to write it. */
static CUresult
ask(CUtexref handle, bool fits, const struct cuda_guest_reference **reference)
{
    struct cuda_guest_reference *found;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_reference_enter(handle, CUDA_HANDLE_TEXREF, &self, &found);

    *reference = found;
    return result == CUDA_SUCCESS && !fits ? CUDA_ERROR_INVALID_VALUE : result;
}

ENTRY
cuTexRefGetFormat(CUarray_format *format, int *channels, CUtexref handle)
{
    const struct cuda_guest_reference *reference;
    CUresult result = ask(handle, format || channels, &reference);

    if (result != CUDA_SUCCESS)
        return result;
    if (format)
        *format = (CUarray_format)reference->state.format;
    if (channels)
        *channels = reference->state.channels;
    return CUDA_SUCCESS;
}

ENTRY
cuTexRefGetAddressMode(CUaddress_mode *mode, CUtexref handle, int dimension)
{
    const struct cuda_guest_reference *reference;
    CUresult result = ask(handle, mode && is_dimension(dimension), &reference);

    if (result != CUDA_SUCCESS)
        return result;
    *mode = (CUaddress_mode)reference->state.modes[dimension];
    return CUDA_SUCCESS;
}

ENTRY
cuTexRefGetFilterMode(CUfilter_mode *mode, CUtexref handle)
{
    const struct cuda_guest_reference *reference;
    CUresult result = ask(handle, mode != NULL, &reference);

    if (result != CUDA_SUCCESS)
        return result;
    *mode = (CUfilter_mode)reference->state.filter;
    return CUDA_SUCCESS;
}

ENTRY
cuTexRefGetMipmapFilterMode(CUfilter_mode *mode, CUtexref handle)
{
    const struct cuda_guest_reference *reference;
    CUresult result = ask(handle, mode != NULL, &reference);

    if (result != CUDA_SUCCESS)
        return result;
    *mode = (CUfilter_mode)reference->state.mipmap_filter;
    return CUDA_SUCCESS;
}

ENTRY
cuTexRefGetMipmapLevelBias(float *bias, CUtexref handle)
{
    const struct cuda_guest_reference *reference;
    CUresult result = ask(handle, bias != NULL, &reference);

    if (result != CUDA_SUCCESS)
        return result;
    *bias = reference->state.bias;
    return CUDA_SUCCESS;
}

ENTRY
cuTexRefGetMipmapLevelClamp(float *least, float *most, CUtexref handle)
{
    const struct cuda_guest_reference *reference;
    CUresult result = ask(handle, least && most, &reference);

    if (result != CUDA_SUCCESS)
        return result;
    *least = reference->state.clamp[0];
    *most = reference->state.clamp[1];
    return CUDA_SUCCESS;
}

ENTRY
cuTexRefGetMaxAnisotropy(int *most, CUtexref handle)
{
    const struct cuda_guest_reference *reference;
    CUresult result = ask(handle, most != NULL, &reference);

    if (result != CUDA_SUCCESS)
        return result;
    *most = reference->state.anisotropy;
    return CUDA_SUCCESS;
}

ENTRY
cuTexRefGetBorderColor(float *color, CUtexref handle)
{
    const struct cuda_guest_reference *reference;
    CUresult result = ask(handle, color != NULL, &reference);

    if (result != CUDA_SUCCESS)
        return result;
    memcpy(color, reference->state.border, sizeof(reference->state.border));
    return CUDA_SUCCESS;
}

ENTRY
cuTexRefGetFlags(unsigned int *flags, CUtexref handle)
{
    const struct cuda_guest_reference *reference;
    CUresult result = ask(handle, flags != NULL, &reference);

    if (result != CUDA_SUCCESS)
        return result;
    *flags = reference->state.flags;
    return CUDA_SUCCESS;
}

/* What it is bound to is one of three, or nothing. */

ENTRY
cuTexRefGetAddress_v2(CUdeviceptr *address, CUtexref handle)
{
    const struct cuda_guest_reference *reference;
    CUresult result = ask(handle, address != NULL, &reference);

    if (result == CUDA_SUCCESS && !reference->address)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *address = reference->address;
    return result;
}

ENTRY
cuTexRefGetArray(CUarray *array, CUtexref handle)
{
    const struct cuda_guest_reference *reference;
    CUresult result = ask(handle, array != NULL, &reference);

    if (result == CUDA_SUCCESS && !reference->array)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *array = reference->array;
    return result;
}

ENTRY
cuTexRefGetMipmappedArray(CUmipmappedArray *levels, CUtexref handle)
{
    const struct cuda_guest_reference *reference;
    CUresult result = ask(handle, levels != NULL, &reference);

    if (result == CUDA_SUCCESS && !reference->levels)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *levels = reference->levels;
    return result;
}
