/* SPDX-License-Identifier: MIT */
/*
 * Texture and surface references: variables of a module that the program binds to arrays or memory. They are deprecated,
 * and old PTX has them.
 *
 * Design notes: what a reference is set to is kept here, so asking is local. Setting is a post; what CUDA refuses at
 * once is refused here. A module's reference is one object, however often the program asks for it.
 */
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "reference.h"

/* ---- Beginning and end ----------------------------------------------------------------------- */

static struct cuda_guest_reference *
known(struct cuda_guest_module *module, uint16_t kind, const char *name)
{
    struct cuda_guest_reference *found;

    cuda_guest_objects_lock();
    for (found = module->references; found; found = found->next)
        if (found->object.kind == kind && strcmp(found->name, name) == 0)
            break;
    cuda_guest_objects_unlock();
    return found;
}

/* Asks the host, which knows @p reference by its handle from then on. */
static CUresult
ask(struct cuda_guest_thread *self, const struct cuda_guest_module *module, struct cuda_guest_reference *reference)
{
    const struct gpuvchan_client *client = &cuda_guest.client;
    uint32_t handle = reference->object.handle;

    if (!module)
        return cuda_guest_result(cuda_texref_create_on(client, self->lane, handle, &reference->state));
    if (reference->object.kind == CUDA_HANDLE_SURFREF)
        return cuda_guest_result(
            cuda_surfref_get_on(client, self->lane, handle, module->object.handle, reference->name));
    return cuda_guest_result(
        cuda_texref_get_on(client, self->lane, handle, module->object.handle, reference->name, &reference->state));
}

/* Of @p module, or, if that is NULL, of the current context. */
static CUresult
reference_make(struct cuda_guest_thread *self, struct cuda_guest_module *module, uint16_t kind, const char *name,
               struct cuda_guest_reference **out)
{
    struct cuda_guest_context *context = module ? NULL : cuda_guest_current(self);
    struct cuda_guest_reference *reference;
    CUresult result = cuda_guest_settle(self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_object_create(kind, sizeof(*reference) + strlen(name) + 1, context, &reference);
    if (result != CUDA_SUCCESS)
        return result;
    reference->named = module != NULL;
    strcpy(reference->name, name);
    result = ask(self, module, reference);
    if (result != CUDA_SUCCESS) {
        cuda_guest_object_undo(&reference->object);
        return result;
    }
    if (module) {
        cuda_guest_objects_lock();
        reference->next = module->references;
        module->references = reference;
        cuda_guest_objects_unlock();
    }
    *out = reference;
    return CUDA_SUCCESS;
}

static CUresult
reference_of(CUmodule handle, uint16_t kind, const char *name, const void *out, struct cuda_guest_reference **reference)
{
    struct cuda_guest_module *module;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    module = cuda_guest_find(handle, CUDA_HANDLE_MODULE);
    if (!module)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!out || !name || name[0] == '\0')
        return CUDA_ERROR_INVALID_VALUE;
    *reference = known(module, kind, name);
    return *reference ? CUDA_SUCCESS : reference_make(self, module, kind, name, reference);
}

ENTRY
cuModuleGetTexRef(CUtexref *handle, CUmodule module, const char *name)
{
    struct cuda_guest_reference *reference;
    CUresult result = reference_of(module, CUDA_HANDLE_TEXREF, name, handle, &reference);

    if (result == CUDA_SUCCESS)
        *handle = cuda_guest_handle(&reference->object);
    return result;
}

ENTRY
cuModuleGetSurfRef(CUsurfref *handle, CUmodule module, const char *name)
{
    struct cuda_guest_reference *reference;
    CUresult result = reference_of(module, CUDA_HANDLE_SURFREF, name, handle, &reference);

    if (result == CUDA_SUCCESS)
        *handle = cuda_guest_handle(&reference->object);
    return result;
}

void
cuda_guest_references_drop(struct cuda_guest_module *module)
{
    struct cuda_guest_reference *reference;

    while ((reference = module->references)) {
        module->references = reference->next;
        cuda_guest_object_undo(&reference->object);
    }
}

ENTRY
cuTexRefCreate(CUtexref *handle)
{
    struct cuda_guest_reference *reference;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    result = reference_make(self, NULL, CUDA_HANDLE_TEXREF, "", &reference);
    if (result == CUDA_SUCCESS)
        *handle = cuda_guest_handle(&reference->object);
    return result;
}

CUresult
cuda_guest_reference_enter(const void *handle, uint16_t kind, struct cuda_guest_thread **self,
                           struct cuda_guest_reference **reference)
{
    CUresult result = cuda_guest_enter(self);

    if (result != CUDA_SUCCESS)
        return result;
    *reference = cuda_guest_find(handle, kind);
    return *reference ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* A module's goes with the module. */
ENTRY
cuTexRefDestroy(CUtexref handle)
{
    struct cuda_guest_reference *reference;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_reference_enter(handle, CUDA_HANDLE_TEXREF, &self, &reference);
    uint32_t wire;

    if (result == CUDA_SUCCESS && (reference->named || !cuda_guest_take(handle, CUDA_HANDLE_TEXREF)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    wire = reference->object.handle;
    cuda_guest_object_free(&reference->object);
    return cuda_guest_result(cuda_texref_destroy_on(&cuda_guest.client, self->lane, wire));
}

/* ---- What it is bound to --------------------------------------------------------------------- */

ENTRY
cuTexRefSetArray(CUtexref handle, CUarray array_handle, unsigned int flags)
{
    const struct cuda_guest_array *array;
    struct cuda_guest_reference *reference;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_reference_enter(handle, CUDA_HANDLE_TEXREF, &self, &reference);

    if (result != CUDA_SUCCESS)
        return result;
    array = cuda_guest_array_find(array_handle);
    if (!array || flags & ~(unsigned)CU_TRSA_OVERRIDE_FORMAT)
        return CUDA_ERROR_INVALID_VALUE;
    reference->array = array_handle;
    reference->levels = NULL;
    reference->address = 0;
    reference->state.format = (int32_t)array->description.Format;
    reference->state.channels = (int32_t)array->description.NumChannels;
    return cuda_guest_result(cuda_texref_set_array_on(&cuda_guest.client, self->lane, reference->object.handle,
                                                      array->object.handle, 0, flags));
}

ENTRY
cuTexRefSetMipmappedArray(CUtexref handle, CUmipmappedArray levels_handle, unsigned int flags)
{
    const struct cuda_guest_mipmap *levels;
    struct cuda_guest_reference *reference;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_reference_enter(handle, CUDA_HANDLE_TEXREF, &self, &reference);

    if (result != CUDA_SUCCESS)
        return result;
    levels = cuda_guest_find(levels_handle, CUDA_HANDLE_MIPMAP);
    if (!levels || flags & ~(unsigned)CU_TRSA_OVERRIDE_FORMAT)
        return CUDA_ERROR_INVALID_VALUE;
    reference->array = NULL;
    reference->levels = levels_handle;
    reference->address = 0;
    reference->state.format = (int32_t)levels->description.Format;
    reference->state.channels = (int32_t)levels->description.NumChannels;
    return cuda_guest_result(cuda_texref_set_array_on(&cuda_guest.client, self->lane, reference->object.handle, 0,
                                                      levels->object.handle, flags));
}

static void
bind_memory(struct cuda_guest_reference *reference, CUdeviceptr at)
{
    reference->array = NULL;
    reference->levels = NULL;
    reference->address = at;
}

/* NULL unbinds what there is. */
ENTRY
cuTexRefSetAddress_v2(size_t *offset, CUtexref handle, CUdeviceptr at, size_t bytes)
{
    struct cuda_guest_reference *reference;
    struct cuda_guest_thread *self;
    uint64_t behind = 0;
    CUresult result = cuda_guest_reference_enter(handle, CUDA_HANDLE_TEXREF, &self, &reference);

    if (result == CUDA_SUCCESS && at != 0)
        result = cuda_guest_range_check(at, bytes);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(
            cuda_texref_set_address_on(&cuda_guest.client, self->lane, reference->object.handle, at, bytes, &behind));
    if (result == CUDA_SUCCESS && behind != 0 && !offset)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    bind_memory(reference, at);
    if (offset)
        *offset = behind;
    return CUDA_SUCCESS;
}

ENTRY
cuTexRefSetAddress2D_v3(CUtexref handle, const CUDA_ARRAY_DESCRIPTOR *description, CUdeviceptr at, size_t pitch)
{
    struct cuda_guest_reference *reference;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_reference_enter(handle, CUDA_HANDLE_TEXREF, &self, &reference);

    if (result == CUDA_SUCCESS && !description)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = cuda_guest_range_check(at, 1);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_texref_set_address_2d_on(&cuda_guest.client, self->lane,
                                                                 reference->object.handle, description, at, pitch));
    if (result != CUDA_SUCCESS)
        return result;
    bind_memory(reference, at);
    reference->state.format = (int32_t)description->Format;
    reference->state.channels = (int32_t)description->NumChannels;
    return CUDA_SUCCESS;
}
ENTRY_ALIAS(cuTexRefSetAddress2D_v2, cuTexRefSetAddress2D_v3);

/* ---- Surfaces, parameters -------------------------------------------------------------------- */

ENTRY
cuSurfRefSetArray(CUsurfref handle, CUarray array_handle, unsigned int flags)
{
    const struct cuda_guest_array *array;
    struct cuda_guest_reference *reference;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_reference_enter(handle, CUDA_HANDLE_SURFREF, &self, &reference);

    if (result != CUDA_SUCCESS)
        return result;
    array = cuda_guest_array_find(array_handle);
    if (!array || flags != 0 || !(array->description.Flags & CUDA_ARRAY3D_SURFACE_LDST))
        return CUDA_ERROR_INVALID_VALUE;
    reference->array = array_handle;
    return cuda_guest_result(cuda_surfref_set_array_on(&cuda_guest.client, self->lane, reference->object.handle,
                                                       array->object.handle, flags));
}

ENTRY
cuSurfRefGetArray(CUarray *array, CUsurfref handle)
{
    struct cuda_guest_reference *reference;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_reference_enter(handle, CUDA_HANDLE_SURFREF, &self, &reference);

    if (result == CUDA_SUCCESS && (!array || !reference->array))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *array = reference->array;
    return result;
}

/* A kernel uses its module's references by their names, whether they were made parameters or not. */
ENTRY
cuParamSetTexRef(CUfunction function, int unit, CUtexref handle)
{
    struct cuda_guest_reference *reference;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_reference_enter(handle, CUDA_HANDLE_TEXREF, &self, &reference);

    if (result != CUDA_SUCCESS)
        return result;
    if (!cuda_guest_find(function, CUDA_HANDLE_FUNCTION))
        return CUDA_ERROR_INVALID_HANDLE;
    return unit == CU_PARAM_TR_DEFAULT && reference->named ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
