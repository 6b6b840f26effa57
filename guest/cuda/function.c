/* SPDX-License-Identifier: MIT */
/* Kernels: looked up once per module and name; their layout and attributes are kept. */
#include <stdlib.h>
#include <string.h>

#include "guest.h"

/* ---- Looking up ------------------------------------------------------------------------------ */

static struct cuda_guest_function *
known(struct cuda_guest_module *module, const char *name)
{
    struct cuda_guest_function *function;

    cuda_guest_objects_lock();
    for (function = module->functions; function; function = function->next)
        if (strcmp(function->name, name) == 0)
            break;
    cuda_guest_objects_unlock();
    return function;
}

static void
function_free(struct cuda_guest_function *function)
{
    free(function->name);
    free(function->parameters);
    cuda_guest_object_free(&function->object);
}

/* What the host says about a kernel. */
struct answer {
    uint32_t offsets[CUDA_MODULE_FUNCTION_OFFSETS_MAX], sizes[CUDA_MODULE_FUNCTION_SIZES_MAX];
    int32_t attributes[CUDA_MODULE_FUNCTION_ATTRIBUTES_MAX];
    size_t offset_count, size_count, attribute_count;
};

/* The parameters must come in the order of their places, as launches copy them so. */
static CUresult
layout_keep(struct cuda_guest_function *function, const struct answer *answer)
{
    uint64_t end = 0;

    function->parameters = calloc(answer->size_count + 1, sizeof(*function->parameters));
    if (!function->parameters)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < answer->size_count; i++) {
        uint64_t offset = answer->offsets[i], bytes = answer->sizes[i];

        if (offset < end || offset + bytes > CUDA_LAUNCH_KERNEL_PARAMETERS_MAX)
            return CUDA_ERROR_INVALID_IMAGE;
        function->parameters[i] = (struct cuda_guest_parameter){.offset = (uint32_t)offset, .bytes = (uint32_t)bytes};
        function->gaps |= offset != end;
        end = offset + bytes;
    }
    function->parameter_count = (uint32_t)answer->size_count;
    function->parameter_bytes = (uint32_t)end;
    return CUDA_SUCCESS;
}

static void
attributes_keep(struct cuda_guest_function *function, const struct answer *answer)
{
    size_t count = answer->attribute_count < CU_FUNC_ATTRIBUTE_MAX ? answer->attribute_count : CU_FUNC_ATTRIBUTE_MAX;

    for (size_t i = 0; i < count; i++)
        atomic_store_explicit(&function->attributes[i], answer->attributes[i], memory_order_relaxed);
    function->attribute_count = (int)count;
}

/* Asks the host, which binds the handle if it finds the kernel. */
static CUresult
function_ask(struct cuda_guest_thread *self, struct cuda_guest_function *function)
{
    struct answer *answer = malloc(sizeof(*answer));
    CUresult result = answer ? cuda_guest_settle(self) : CUDA_ERROR_OUT_OF_MEMORY;

    if (result == CUDA_SUCCESS) {
        answer->offset_count = CUDA_MODULE_FUNCTION_OFFSETS_MAX;
        answer->size_count = CUDA_MODULE_FUNCTION_SIZES_MAX;
        answer->attribute_count = CUDA_MODULE_FUNCTION_ATTRIBUTES_MAX;
        result = cuda_guest_result(cuda_module_function_on(
            &cuda_guest.client, self->lane, function->object.handle, function->module->object.handle, function->name,
            answer->offsets, &answer->offset_count, answer->sizes, &answer->size_count, answer->attributes,
            &answer->attribute_count));
    }
    if (result == CUDA_SUCCESS) {
        attributes_keep(function, answer);
        result = layout_keep(function, answer);
    }
    free(answer);
    return result;
}

static CUresult
function_make(struct cuda_guest_thread *self, struct cuda_guest_module *module, const char *name,
              struct cuda_guest_function **out)
{
    struct cuda_guest_function *function;
    CUresult result =
        cuda_guest_object_create(CUDA_HANDLE_FUNCTION, sizeof(*function), module->object.context, &function);

    if (result != CUDA_SUCCESS)
        return result;
    function->module = module;
    function->name = strdup(name);
    result = function->name ? function_ask(self, function) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result != CUDA_SUCCESS) {
        gpuvchan_handles_remove(cuda_guest.handles, function->object.handle, CUDA_HANDLE_FUNCTION);
        function_free(function);
        return result;
    }
    cuda_guest_objects_lock();
    function->next = module->functions;
    module->functions = function;
    cuda_guest_objects_unlock();
    *out = function;
    return CUDA_SUCCESS;
}

ENTRY
cuModuleGetFunction(CUfunction *handle, CUmodule module_handle, const char *name)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_module *module;
    struct cuda_guest_function *function;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    module = cuda_guest_find(module_handle, CUDA_HANDLE_MODULE);
    if (!module)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!handle || !name || name[0] == '\0')
        return CUDA_ERROR_INVALID_VALUE;
    function = known(module, name);
    if (!function)
        result = function_make(self, module, name, &function);
    if (result == CUDA_SUCCESS)
        *handle = cuda_guest_handle(&function->object);
    return result;
}

void
cuda_guest_functions_drop(struct cuda_guest_module *module)
{
    struct cuda_guest_function *function;

    while ((function = module->functions)) {
        module->functions = function->next;
        gpuvchan_handles_remove(cuda_guest.handles, function->object.handle, CUDA_HANDLE_FUNCTION);
        function_free(function);
    }
}

/* ---- What is kept ---------------------------------------------------------------------------- */

ENTRY
cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *function;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    function = cuda_guest_find(handle, CUDA_HANDLE_FUNCTION);
    if (!function)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!value || (int)attribute < 0 || (int)attribute >= function->attribute_count)
        return CUDA_ERROR_INVALID_VALUE;
    *value = atomic_load_explicit(&function->attributes[attribute], memory_order_relaxed);
    return CUDA_SUCCESS;
}

ENTRY
cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *function;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    function = cuda_guest_find(handle, CUDA_HANDLE_FUNCTION);
    if (!function)
        return CUDA_ERROR_INVALID_HANDLE;
    if ((int)attribute < 0 || (int)attribute >= function->attribute_count)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_result(
        cuda_function_set_attribute_on(&cuda_guest.client, self->lane, function->object.handle, (int)attribute, value));
    if (result == CUDA_SUCCESS)
        atomic_store_explicit(&function->attributes[attribute], value, memory_order_relaxed);
    return result;
}

ENTRY
cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache config)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *function;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    function = cuda_guest_find(handle, CUDA_HANDLE_FUNCTION);
    if (!function)
        return CUDA_ERROR_INVALID_HANDLE;
    if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_result(
        cuda_function_set_cache_config_on(&cuda_guest.client, self->lane, function->object.handle, (int)config));
}

/* These three say INVALID_VALUE where others say INVALID_HANDLE, and need no context. */
static const struct cuda_guest_function *
function_ready(CUfunction handle, CUresult *result)
{
    const struct cuda_guest_function *function = NULL;

    *result = cuda_guest_ready();
    if (*result == CUDA_SUCCESS) {
        function = cuda_guest_find(handle, CUDA_HANDLE_FUNCTION);
        *result = function ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    }
    return function;
}

ENTRY
cuFuncGetName(const char **name, CUfunction handle)
{
    CUresult result;
    const struct cuda_guest_function *function = function_ready(handle, &result);

    if (result == CUDA_SUCCESS && !name)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *name = function->name;
    return result;
}

ENTRY
cuFuncGetModule(CUmodule *module, CUfunction handle)
{
    CUresult result;
    const struct cuda_guest_function *function = function_ready(handle, &result);

    if (result == CUDA_SUCCESS && !module)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *module = cuda_guest_handle(&function->module->object);
    return result;
}

ENTRY
cuFuncGetParamInfo(CUfunction handle, size_t index, size_t *offset, size_t *bytes)
{
    CUresult result;
    const struct cuda_guest_function *function = function_ready(handle, &result);

    if (result != CUDA_SUCCESS)
        return result;
    if (!offset || index >= function->parameter_count)
        return CUDA_ERROR_INVALID_VALUE;
    *offset = function->parameters[index].offset;
    if (bytes)
        *bytes = function->parameters[index].bytes;
    return CUDA_SUCCESS;
}

/* ---- Occupancy ------------------------------------------------------------------------------- */

ENTRY
cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction handle, int block_size,
                                                     size_t dynamic_bytes, unsigned int flags)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *function;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    function = cuda_guest_find(handle, CUDA_HANDLE_FUNCTION);
    if (!function)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!blocks || block_size <= 0 || flags & ~1u)
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_result(cuda_occupancy_blocks_on(&cuda_guest.client, self->lane, function->object.handle,
                                                      block_size, dynamic_bytes, flags, blocks));
}

ENTRY
cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction handle, int block_size, size_t dynamic_bytes)
{
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, handle, block_size, dynamic_bytes, 0);
}
