/* SPDX-License-Identifier: MIT */
/*
 * Texture and surface references: what a module declares can be bound and asked
 * about. Kernels that read them are refused when they are loaded.
 */
#include "driver.h"

#include <stdlib.h>
#include <string.h>

#define DIMENSIONS 3
#define FLAGS                                                                  \
    (CU_TRSF_READ_AS_INTEGER | CU_TRSF_NORMALIZED_COORDINATES | CU_TRSF_SRGB | \
     CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION | CU_TRSF_SEAMLESS_CUBEMAP)

/* A module's are its variables', and go with it. */
struct sim_reference {
    struct object object;
    const struct sim_module *module; /* NULL: made by cuTexRefCreate() */
    const char *name;
    CUarray_format format;
    int channels;
    CUaddress_mode modes[DIMENSIONS];
    CUfilter_mode filter, mipmap_filter;
    float bias, clamp[2], border[4];
    int anisotropy;
    unsigned int flags;
    CUarray array; /* what it is bound to: one of these, or nothing */
    CUmipmappedArray levels;
    CUdeviceptr address;
};

static CUresult
make(struct sim_context *context, enum object_kind kind, struct sim_reference **reference)
{
    struct sim_reference *made = calloc(1, sizeof *made);

    if (!made || !sim_object_add(&made->object, kind, context)) {
        free(made);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    made->format = CU_AD_FORMAT_FLOAT;
    made->channels = 1;
    for (int i = 0; i < DIMENSIONS; i++)
        made->modes[i] = CU_TR_ADDRESS_MODE_CLAMP;
    *reference = made;
    return CUDA_SUCCESS;
}

static struct sim_reference *
known(const struct sim_module *module, enum object_kind kind, const char *name)
{
    for (struct object *object = module->object.context->objects; object; object = object->next) {
        struct sim_reference *reference = (struct sim_reference *)object;

        if (object->kind == kind && reference->module == module && strcmp(reference->name, name) == 0)
            return reference;
    }
    return NULL;
}

static CUresult
of_module(void **handle, CUmodule module_handle, const char *name, enum object_kind kind)
{
    enum ptx_reference wanted = kind == OBJECT_TEXREF ? PTX_TEXREF : PTX_SURFREF;
    struct sim_context *context;
    const struct sim_module *module;
    struct sim_reference *reference;
    const struct module_variable *variable = NULL;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    module = sim_object_find(module_handle, OBJECT_MODULE);
    if (!module)
        return sim_end(CUDA_ERROR_INVALID_HANDLE);
    if (!handle || !name)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    for (uint32_t i = 0; i < module->variable_count; i++)
        if (module->variables[i].reference == wanted && strcmp(module->variables[i].name, name) == 0)
            variable = &module->variables[i];
    if (!variable)
        return sim_end(CUDA_ERROR_NOT_FOUND);
    reference = known(module, kind, name);
    if (!reference)
        result = make(module->object.context, kind, &reference);
    if (result)
        return sim_end(result);
    reference->module = module;
    reference->name = variable->name;
    *handle = reference;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuModuleGetTexRef(CUtexref *handle, CUmodule module, const char *name)
{
    return of_module((void **)handle, module, name, OBJECT_TEXREF);
}

SIM_EXPORT CUresult
cuModuleGetSurfRef(CUsurfref *handle, CUmodule module, const char *name)
{
    return of_module((void **)handle, module, name, OBJECT_SURFREF);
}

void
sim_references_forget(const struct sim_module *module)
{
    struct object *object = module->object.context->objects, *next;

    for (; object; object = next) {
        next = object->next;
        if ((object->kind == OBJECT_TEXREF || object->kind == OBJECT_SURFREF) &&
            ((struct sim_reference *)object)->module == module) {
            sim_object_remove(object);
            free(object);
        }
    }
}

SIM_EXPORT CUresult
cuTexRefCreate(CUtexref *handle)
{
    struct sim_context *context;
    struct sim_reference *reference;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    result = handle ? make(context, OBJECT_TEXREF, &reference) : CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *handle = (CUtexref)reference;
    return sim_end(result);
}

/* Lock, and a reference; what else must hold is the caller's. */
static CUresult
enter(const void *handle, enum object_kind kind, bool fits, struct sim_reference **reference)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    *reference = sim_object_find(handle, kind);
    return *reference && fits ? CUDA_SUCCESS : sim_end(CUDA_ERROR_INVALID_VALUE);
}

SIM_EXPORT CUresult
cuTexRefDestroy(CUtexref handle)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, true, &reference);

    if (result)
        return result;
    if (reference->module)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    sim_object_remove(&reference->object);
    free(reference);
    return sim_end(CUDA_SUCCESS);
}

/* What it is bound to. */

static void
bind(struct sim_reference *reference, CUarray array, CUmipmappedArray levels, CUdeviceptr address)
{
    reference->array = array;
    reference->levels = levels;
    reference->address = address;
}

SIM_EXPORT CUresult
cuTexRefSetArray(CUtexref handle, CUarray array_handle, unsigned int flags)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, !(flags & ~(unsigned)CU_TRSA_OVERRIDE_FORMAT), &reference);
    const struct sim_array *array;

    if (result)
        return result;
    array = sim_object_find(array_handle, OBJECT_ARRAY);
    if (!array)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    bind(reference, array_handle, NULL, 0);
    reference->format = array->desc.Format;
    reference->channels = (int)array->desc.NumChannels;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefSetMipmappedArray(CUtexref handle, CUmipmappedArray levels_handle, unsigned int flags)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, !(flags & ~(unsigned)CU_TRSA_OVERRIDE_FORMAT), &reference);
    const struct sim_mipmap *levels;

    if (result)
        return result;
    levels = sim_object_find(levels_handle, OBJECT_MIPMAP);
    if (!levels)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    bind(reference, NULL, levels_handle, 0);
    reference->format = levels->levels[0]->desc.Format;
    reference->channels = (int)levels->levels[0]->desc.NumChannels;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefSetAddress_v2(size_t *offset, CUtexref handle, CUdeviceptr address, size_t bytes)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, true, &reference);

    if (result)
        return result;
    if (address && !sim_copy_reaches(address, bytes, true))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    bind(reference, NULL, NULL, address);
    if (offset)
        *offset = 0;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefSetAddress2D_v3(CUtexref handle, const CUDA_ARRAY_DESCRIPTOR *desc, CUdeviceptr address, size_t pitch)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, desc != NULL, &reference);
    size_t extent;

    if (result)
        return result;
    if (!desc->Height || __builtin_mul_overflow(pitch, desc->Height - 1, &extent) ||
        !sim_copy_reaches(address, extent + 1, true))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    bind(reference, NULL, NULL, address);
    reference->format = desc->Format;
    reference->channels = (int)desc->NumChannels;
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuTexRefSetAddress2D_v2, cuTexRefSetAddress2D_v3);

SIM_EXPORT CUresult
cuSurfRefSetArray(CUsurfref handle, CUarray array_handle, unsigned int flags)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_SURFREF, flags == 0, &reference);
    const struct sim_array *array;

    if (result)
        return result;
    array = sim_object_find(array_handle, OBJECT_ARRAY);
    if (!array || !(array->desc.Flags & CUDA_ARRAY3D_SURFACE_LDST))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    bind(reference, array_handle, NULL, 0);
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuParamSetTexRef(CUfunction function, int unit, CUtexref handle)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, unit == CU_PARAM_TR_DEFAULT, &reference);

    if (result)
        return result;
    if (!sim_object_find(function, OBJECT_FUNCTION))
        return sim_end(CUDA_ERROR_INVALID_HANDLE);
    return sim_end(reference->module ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}

/* How it samples. */

SIM_EXPORT CUresult
cuTexRefSetFormat(CUtexref handle, CUarray_format format, int channels)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, channels == 1 || channels == 2 || channels == 4, &reference);

    if (result)
        return result;
    reference->format = format;
    reference->channels = channels;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefSetAddressMode(CUtexref handle, int dimension, CUaddress_mode mode)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF,
                            dimension >= 0 && dimension < DIMENSIONS && mode <= CU_TR_ADDRESS_MODE_BORDER, &reference);

    if (result)
        return result;
    reference->modes[dimension] = mode;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefSetFilterMode(CUtexref handle, CUfilter_mode mode)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, mode <= CU_TR_FILTER_MODE_LINEAR, &reference);

    if (result)
        return result;
    reference->filter = mode;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefSetMipmapFilterMode(CUtexref handle, CUfilter_mode mode)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, mode <= CU_TR_FILTER_MODE_LINEAR, &reference);

    if (result)
        return result;
    reference->mipmap_filter = mode;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefSetMipmapLevelBias(CUtexref handle, float bias)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, true, &reference);

    if (result)
        return result;
    reference->bias = bias;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefSetMipmapLevelClamp(CUtexref handle, float least, float most)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, true, &reference);

    if (result)
        return result;
    reference->clamp[0] = least;
    reference->clamp[1] = most;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefSetMaxAnisotropy(CUtexref handle, unsigned int most)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, true, &reference);

    if (result)
        return result;
    reference->anisotropy = (int)most;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefSetBorderColor(CUtexref handle, float *color)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, color != NULL, &reference);

    if (result)
        return result;
    memcpy(reference->border, color, sizeof reference->border);
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefSetFlags(CUtexref handle, unsigned int flags)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, !(flags & ~(unsigned int)FLAGS), &reference);

    if (result)
        return result;
    reference->flags = flags;
    return sim_end(CUDA_SUCCESS);
}

/* What is asked. */

SIM_EXPORT CUresult
cuTexRefGetFormat(CUarray_format *format, int *channels, CUtexref handle)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, format || channels, &reference);

    if (result)
        return result;
    if (format)
        *format = reference->format;
    if (channels)
        *channels = reference->channels;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefGetAddressMode(CUaddress_mode *mode, CUtexref handle, int dimension)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, mode && dimension >= 0 && dimension < DIMENSIONS, &reference);

    if (result)
        return result;
    *mode = reference->modes[dimension];
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefGetFilterMode(CUfilter_mode *mode, CUtexref handle)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, mode != NULL, &reference);

    if (result)
        return result;
    *mode = reference->filter;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefGetMipmapFilterMode(CUfilter_mode *mode, CUtexref handle)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, mode != NULL, &reference);

    if (result)
        return result;
    *mode = reference->mipmap_filter;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefGetMipmapLevelBias(float *bias, CUtexref handle)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, bias != NULL, &reference);

    if (result)
        return result;
    *bias = reference->bias;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefGetMipmapLevelClamp(float *least, float *most, CUtexref handle)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, least && most, &reference);

    if (result)
        return result;
    *least = reference->clamp[0];
    *most = reference->clamp[1];
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefGetMaxAnisotropy(int *most, CUtexref handle)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, most != NULL, &reference);

    if (result)
        return result;
    *most = reference->anisotropy;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefGetBorderColor(float *color, CUtexref handle)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, color != NULL, &reference);

    if (result)
        return result;
    memcpy(color, reference->border, sizeof reference->border);
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefGetFlags(unsigned int *flags, CUtexref handle)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, flags != NULL, &reference);

    if (result)
        return result;
    *flags = reference->flags;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefGetAddress_v2(CUdeviceptr *address, CUtexref handle)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, address != NULL, &reference);

    if (result)
        return result;
    if (!reference->address)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *address = reference->address;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefGetArray(CUarray *array, CUtexref handle)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, array != NULL, &reference);

    if (result)
        return result;
    if (!reference->array)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *array = reference->array;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuTexRefGetMipmappedArray(CUmipmappedArray *levels, CUtexref handle)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_TEXREF, levels != NULL, &reference);

    if (result)
        return result;
    if (!reference->levels)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *levels = reference->levels;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuSurfRefGetArray(CUarray *array, CUsurfref handle)
{
    struct sim_reference *reference;
    CUresult result = enter(handle, OBJECT_SURFREF, array != NULL, &reference);

    if (result)
        return result;
    if (!reference->array)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *array = reference->array;
    return sim_end(CUDA_SUCCESS);
}
