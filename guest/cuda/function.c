/* SPDX-License-Identifier: MIT */
/*
 * Functions of modules: looked up once per module and name; their layout and attributes are kept. A kernel of a
 * library is one as well to those that only read what is kept.
 */
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "library.h"

/* ---- Lists ----------------------------------------------------------------------------------- */

struct cuda_guest_function *
cuda_guest_function_known(struct cuda_guest_function *const *list, const char *name)
{
    struct cuda_guest_function *function;

    cuda_guest_objects_lock();
    for (function = *list; function; function = function->next)
        if (strcmp(function->name, name) == 0)
            break;
    cuda_guest_objects_unlock();
    return function;
}

void
cuda_guest_function_free(struct cuda_guest_function *function)
{
    gpuvchan_handles_remove(cuda_guest.handles, function->object.handle, CUDA_HANDLE_FUNCTION);
    for (int i = 0; i < cuda_guest.devices && !function->borrows; i++)
        free(atomic_load(&function->attributes[i]));
    free(function->name);
    free(function->parameters);
    free(function->first);
    cuda_guest_object_free(&function->object);
}

void
cuda_guest_functions_drop(struct cuda_guest_function **list)
{
    struct cuda_guest_function *function;

    while ((function = *list)) {
        *list = function->next;
        cuda_guest_function_free(function);
    }
}

CUresult
cuda_guest_function_create(struct cuda_guest_context *context, const char *name, struct cuda_guest_function **out)
{
    size_t bytes = sizeof(struct cuda_guest_function) + (size_t)cuda_guest.devices * sizeof((*out)->attributes[0]);
    struct cuda_guest_function *function;
    CUresult result = cuda_guest_object_create(CUDA_HANDLE_FUNCTION, bytes, context, &function);

    if (result != CUDA_SUCCESS)
        return result;
    function->name = strdup(name);
    if (!function->name) {
        cuda_guest_function_free(function);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *out = function;
    return CUDA_SUCCESS;
}

/* ---- What the host says ---------------------------------------------------------------------- */

/* The parameters must come in the order of their places, as launches copy them so. */
static CUresult
layout_keep(struct cuda_guest_function *function, const struct cuda_guest_function_answer *answer)
{
    struct cuda_guest_parameter *parameters = calloc(answer->size_count + 1, sizeof(*parameters));
    uint64_t end = 0;
    bool gaps = false;

    if (!parameters)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < answer->size_count; i++) {
        uint64_t offset = answer->offsets[i], bytes = answer->sizes[i];

        if (offset < end || offset + bytes > CUDA_LAUNCH_KERNEL_PARAMETERS_MAX) {
            free(parameters);
            return CUDA_ERROR_INVALID_IMAGE;
        }
        parameters[i] = (struct cuda_guest_parameter){.offset = (uint32_t)offset, .bytes = (uint32_t)bytes};
        gaps |= offset != end;
        end = offset + bytes;
    }
    function->gaps = gaps;
    function->parameter_count = (uint32_t)answer->size_count;
    function->parameter_bytes = (uint32_t)end;
    function->parameters = parameters;
    return CUDA_SUCCESS;
}

static struct cuda_guest_attributes *
attributes_make(const struct cuda_guest_function_answer *answer)
{
    size_t count = answer->attribute_count < CU_FUNC_ATTRIBUTE_MAX ? answer->attribute_count : CU_FUNC_ATTRIBUTE_MAX;
    struct cuda_guest_attributes *attributes = calloc(1, sizeof(*attributes));

    if (!attributes)
        return NULL;
    attributes->count = (int)count;
    for (size_t i = 0; i < count; i++)
        atomic_store_explicit(&attributes->values[i], answer->attributes[i], memory_order_relaxed);
    return attributes;
}

/* With the objects' lock. Who sees the attributes sees the layout. */
static CUresult
keep(struct cuda_guest_function *function, int device, struct cuda_guest_attributes **attributes,
     const struct cuda_guest_function_answer *answer)
{
    CUresult result = CUDA_SUCCESS;

    if (atomic_load(&function->attributes[device]))
        return CUDA_SUCCESS; /* another thread was first */
    if (!function->parameters)
        result = layout_keep(function, answer);
    if (result == CUDA_SUCCESS) {
        atomic_store_explicit(&function->attributes[device], *attributes, memory_order_release);
        *attributes = NULL;
    }
    return result;
}

CUresult
cuda_guest_function_keep(struct cuda_guest_function *function, int device,
                         const struct cuda_guest_function_answer *answer)
{
    struct cuda_guest_attributes *attributes = attributes_make(answer);
    CUresult result;

    if (!attributes)
        return CUDA_ERROR_OUT_OF_MEMORY;
    cuda_guest_objects_lock();
    result = keep(function, device, &attributes, answer);
    cuda_guest_objects_unlock();
    free(attributes);
    return result;
}

/* ---- Looking up ------------------------------------------------------------------------------ */

/* Asks the host, which binds the handle if it finds the kernel. */
static CUresult
function_ask(struct cuda_guest_thread *self, struct cuda_guest_function *function)
{
    struct cuda_guest_function_answer *answer = malloc(sizeof(*answer));
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
    if (result == CUDA_SUCCESS)
        result = cuda_guest_function_keep(function, function->object.context->device, answer);
    free(answer);
    return result;
}

/* Attributes of a library's kernel are those of its functions. */
static CUresult
attributes_borrow(struct cuda_guest_thread *self, struct cuda_guest_function *function)
{
    int device = function->object.context->device;
    struct cuda_guest_function *kernel;
    CUresult result = cuda_guest_library_kernel(self, function->module->library, function->name, &kernel);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_function_learn(self, kernel, device);
    if (result != CUDA_SUCCESS)
        return result;
    free(atomic_load(&function->attributes[device]));
    atomic_store(&function->attributes[device], atomic_load(&kernel->attributes[device]));
    function->borrows = true;
    return CUDA_SUCCESS;
}

static CUresult
function_make(struct cuda_guest_thread *self, struct cuda_guest_module *module, const char *name,
              struct cuda_guest_function **out)
{
    struct cuda_guest_function *function;
    CUresult result = cuda_guest_function_create(module->object.context, name, &function);

    if (result != CUDA_SUCCESS)
        return result;
    function->module = module;
    result = function_ask(self, function);
    if (result == CUDA_SUCCESS && module->library)
        result = attributes_borrow(self, function);
    if (result != CUDA_SUCCESS) {
        cuda_guest_function_free(function);
        return result;
    }
    cuda_guest_objects_lock();
    function->next = module->functions;
    module->functions = function;
    cuda_guest_objects_unlock();
    *out = function;
    return CUDA_SUCCESS;
}

CUresult
cuda_guest_module_function(struct cuda_guest_thread *self, struct cuda_guest_module *module, const char *name,
                           struct cuda_guest_function **out)
{
    *out = cuda_guest_function_known(&module->functions, name);
    return *out ? CUDA_SUCCESS : function_make(self, module, name, out);
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
    result = cuda_guest_module_function(self, module, name, &function);
    if (result == CUDA_SUCCESS)
        *handle = cuda_guest_handle(&function->object);
    return result;
}

int
cuda_guest_function_device(const struct cuda_guest_thread *self, const struct cuda_guest_function *function)
{
    return (function->object.context ? function->object.context : cuda_guest_current(self))->device;
}

CUresult
cuda_guest_function_enter(CUfunction handle, struct cuda_guest_thread **self, struct cuda_guest_function **function,
                          struct cuda_guest_attributes **attributes)
{
    CUresult result = cuda_guest_enter(self);
    int device;

    if (result != CUDA_SUCCESS)
        return result;
    *function = cuda_guest_find(handle, CUDA_HANDLE_FUNCTION);
    if (!*function)
        return CUDA_ERROR_INVALID_HANDLE;
    device = cuda_guest_function_device(*self, *function);
    result = cuda_guest_function_learn(*self, *function, device);
    if (result == CUDA_SUCCESS)
        *attributes = atomic_load_explicit(&(*function)->attributes[device], memory_order_acquire);
    return result;
}

/* ---- What is kept ---------------------------------------------------------------------------- */

ENTRY
cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *function;
    struct cuda_guest_attributes *attributes;
    CUresult result = cuda_guest_function_enter(handle, &self, &function, &attributes);

    if (result != CUDA_SUCCESS)
        return result;
    if (!value || (unsigned)attribute >= (unsigned)attributes->count)
        return CUDA_ERROR_INVALID_VALUE;
    *value = atomic_load_explicit(&attributes->values[attribute], memory_order_relaxed);
    return CUDA_SUCCESS;
}

/* What libraries set before many a launch must not wait for the host. The rest is the driver's to judge. */
bool
cuda_guest_attribute_checked(const struct cuda_guest_attributes *attributes, int device, CUfunction_attribute attribute,
                             int value)
{
    int most = cuda_guest.device[device].attributes[CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN];

    if (attribute == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT)
        return value >= -1 && value <= 100;
    return attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES && value >= 0 &&
           value <= most - atomic_load(&attributes->values[CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES]);
}

ENTRY
cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *function;
    struct cuda_guest_attributes *attributes;
    CUresult result = cuda_guest_function_enter(handle, &self, &function, &attributes);
    bool checked;

    if (result != CUDA_SUCCESS)
        return result;
    if ((unsigned)attribute >= (unsigned)attributes->count)
        return CUDA_ERROR_INVALID_VALUE;
    if (function->library)
        return cuKernelSetAttribute(attribute, value, (CUkernel)handle, cuda_guest_current(self)->device);
    checked = cuda_guest_attribute_checked(attributes, cuda_guest_function_device(self, function), attribute, value);
    if (checked && value == atomic_load_explicit(&attributes->values[attribute], memory_order_relaxed))
        return CUDA_SUCCESS;
    result = cuda_guest_result(
        cuda_function_set_attribute_on(&cuda_guest.client, self->lane, function->object.handle, (int)attribute, value));
    if (result == CUDA_SUCCESS && !checked)
        result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        cuda_guest_attribute_set(attributes, attribute, value);
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
    if (function->library)
        return cuKernelSetCacheConfig((CUkernel)handle, config, cuda_guest_current(self)->device);
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

    if (result == CUDA_SUCCESS && function->library)
        return cuLibraryGetModule(module, cuda_guest_handle(&function->library->object));
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
    if (function->library)
        return cuKernelGetParamInfo((CUkernel)handle, index, offset, bytes);
    if (!offset || index >= function->parameter_count)
        return CUDA_ERROR_INVALID_VALUE;
    *offset = function->parameters[index].offset;
    if (bytes)
        *bytes = function->parameters[index].bytes;
    return CUDA_SUCCESS;
}

/* ---- Loading --------------------------------------------------------------------------------- */

ENTRY
cuFuncLoad(CUfunction handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *function;
    struct cuda_guest_attributes *attributes;
    CUresult result = cuda_guest_function_enter(handle, &self, &function, &attributes);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_function_load_on(&cuda_guest.client, self->lane, function->object.handle));
}

ENTRY
cuFuncIsLoaded(CUfunctionLoadingState *state, CUfunction handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *function;
    struct cuda_guest_attributes *attributes;
    CUresult result = cuda_guest_function_enter(handle, &self, &function, &attributes);
    int32_t loaded = 0;

    if (result != CUDA_SUCCESS)
        return result;
    if (!state)
        return CUDA_ERROR_INVALID_VALUE;
    result =
        cuda_guest_result(cuda_function_is_loaded_on(&cuda_guest.client, self->lane, function->object.handle, &loaded));
    if (result == CUDA_SUCCESS)
        *state = (CUfunctionLoadingState)loaded;
    return result;
}

ENTRY
cuFuncSetSharedMemConfig(CUfunction handle, CUsharedconfig config)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *function;
    struct cuda_guest_attributes *attributes;
    CUresult result = cuda_guest_function_enter(handle, &self, &function, &attributes);

    if (result != CUDA_SUCCESS)
        return result;
    if ((unsigned)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_result(
        cuda_function_set_shared_config_on(&cuda_guest.client, self->lane, function->object.handle, (int)config));
}
