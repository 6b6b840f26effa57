/* SPDX-License-Identifier: MIT */
/* Modules: their images, their variables, and the names of what is in them. */
#include <stdlib.h>
#include <string.h>

#include "library.h"
#include "load.h"
#include "log.h"

/* ---- Loading --------------------------------------------------------------------------------- */

static CUresult
load_image(struct cuda_guest_thread *self, CUmodule *out, const void *image, size_t bytes,
           const struct cuda_guest_options *options)
{
    struct cuda_guest_module *module;
    CUresult result = cuda_guest_object_create(CUDA_HANDLE_MODULE, sizeof(*module), cuda_guest_current(self), &module);

    if (result != CUDA_SUCCESS)
        return result;
    cuda_guest_output_expect(self, image, bytes);
    result = cuda_guest_image_load(self, image, bytes, options, module->object.handle, cuda_module_load_on);
    if (result == CUDA_SUCCESS)
        *out = cuda_guest_handle(&module->object);
    else
        cuda_guest_object_undo(&module->object);
    return result;
}

ENTRY
cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int count, CUjit_option *names, void **values)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_options options = {0};
    struct cuda_guest_image found;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!module || !image)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_options_read(&options, count, names, values);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_image_find(image, &found);
    if (result != CUDA_SUCCESS)
        return result;
    result = load_image(self, module, found.data, found.bytes, &options);
    free(found.memory);
    return result;
}

ENTRY
cuModuleLoadData(CUmodule *module, const void *image)
{
    return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

ENTRY
cuModuleLoadFatBinary(CUmodule *module, const void *image)
{
    return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

ENTRY
cuModuleLoad(CUmodule *module, const char *name)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_options none = {0};
    CUresult result = cuda_guest_enter(&self);
    size_t bytes;
    char *image;

    if (result != CUDA_SUCCESS)
        return result;
    if (!module || !name)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_file_read(name, &image, &bytes);
    if (result != CUDA_SUCCESS)
        return result;
    result = load_image(self, module, image, bytes, &none);
    free(image);
    return result;
}

void
cuda_guest_module_drop(struct cuda_guest_module *module)
{
    struct cuda_guest_range variable;

    cuda_guest_library_forget(module);
    cuda_guest_functions_drop(&module->functions);
    cuda_guest_references_drop(module);
    while (cuda_guest_range_take_of(NULL, module, &variable))
        continue;
    cuda_guest_object_free(&module->object);
}

ENTRY
cuModuleUnload(CUmodule handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_module *module;
    CUresult result = cuda_guest_enter(&self);
    uint32_t wire;

    if (result != CUDA_SUCCESS)
        return result;
    module = cuda_guest_find(handle, CUDA_HANDLE_MODULE);
    if (module && module->library)
        return CUDA_ERROR_NOT_PERMITTED; /* it goes with its library */
    module = cuda_guest_take(handle, CUDA_HANDLE_MODULE);
    if (!module)
        return CUDA_ERROR_INVALID_HANDLE;
    wire = module->object.handle;
    cuda_guest_module_drop(module);
    return cuda_guest_result(cuda_module_unload_on(&cuda_guest.client, self->lane, wire));
}

/* ---- What is in a module --------------------------------------------------------------------- */

/* Kept, so that copies to it are known to be in range. */
static CUresult
variable_keep(struct cuda_guest_module *module, uint64_t address, uint64_t bytes)
{
    struct cuda_guest_range range = {.start = address,
                                     .bytes = bytes,
                                     .kind = CUDA_GUEST_GLOBAL,
                                     .context = module->object.context,
                                     .module = module};
    struct cuda_guest_range known;

    if (cuda_guest_range_find(address, &known) && known.start == address)
        return CUDA_SUCCESS;
    return cuda_guest_range_add(&range);
}

/*
 * The host's driver puts such a variable where the host's processor reaches it, which is nowhere in this process. A program
 * that got its address would read there, and end. So it hears at once, and aloud, since the runtime does not pass it on.
 */
static CUresult
refuse_managed(const char *name)
{
    static _Atomic bool told;

    if (!atomic_exchange(&told, true))
        gpuvchan_log(
            GPUVCHAN_LOG_WARNING,
            "cuda: variable %s is __managed__: the host has its memory, and this program's processor cannot reach "
            "it; use a __device__ variable, or a pointer to memory of cudaMallocManaged()",
            name);
    cuda_guest_log(CU_LOG_LEVEL_ERROR, "variable %s is __managed__, which is not served", name);
    return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult
cuda_guest_module_global(struct cuda_guest_thread *self, struct cuda_guest_module *module, const char *name,
                         CUdeviceptr *address, size_t *bytes)
{
    CUdeviceptr found = 0;
    bool managed = false;
    uint64_t size = 0;
    CUresult result = cuda_guest_settle(self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_module_global_on(&cuda_guest.client, self->lane, module->object.handle, name,
                                                         &found, &size, &managed));
    if (result == CUDA_SUCCESS && managed)
        result = refuse_managed(name);
    if (result == CUDA_SUCCESS)
        result = variable_keep(module, found, size);
    if (result != CUDA_SUCCESS)
        return result;
    if (address)
        *address = found;
    if (bytes)
        *bytes = size;
    return CUDA_SUCCESS;
}

ENTRY
cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes, CUmodule handle, const char *name)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_module *module;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    module = cuda_guest_find(handle, CUDA_HANDLE_MODULE);
    if (!module)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!name || (!address && !bytes))
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_module_global(self, module, name, address, bytes);
}

ENTRY
cuModuleGetFunctionCount(unsigned int *count, CUmodule handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_module *module;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    module = cuda_guest_find(handle, CUDA_HANDLE_MODULE);
    if (!module)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!count)
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_result(
        cuda_module_function_count_on(&cuda_guest.client, self->lane, module->object.handle, count));
}

struct functions {
    struct cuda_guest_module *module;
    CUfunction *handles;
};

static CUresult
functions_ask(struct cuda_guest_thread *self, void *context, uint32_t first, uint32_t *count, char *names,
              size_t *bytes)
{
    const struct functions *functions = context;

    return cuda_guest_result(cuda_module_function_names_on(
        &cuda_guest.client, self->lane, functions->module->object.handle, first, count, names, bytes));
}

static CUresult
functions_visit(struct cuda_guest_thread *self, void *context, uint32_t index, const char *name)
{
    const struct functions *functions = context;
    struct cuda_guest_function *function;
    CUresult result = cuda_guest_module_function(self, functions->module, name, &function);

    if (result == CUDA_SUCCESS)
        functions->handles[index] = cuda_guest_handle(&function->object);
    return result;
}

ENTRY
cuModuleEnumerateFunctions(CUfunction *handles, unsigned int count, CUmodule handle)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);
    struct functions functions = {.handles = handles};

    if (result != CUDA_SUCCESS)
        return result;
    functions.module = cuda_guest_find(handle, CUDA_HANDLE_MODULE);
    if (!functions.module)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!handles)
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_names_visit(self, count, functions_ask, functions_visit, &functions);
}

/* The runtime loads all that a program has at its start if it is told so. The host's driver loads as it thinks best. */
ENTRY
cuModuleGetLoadingMode(CUmoduleLoadingMode *mode)
{
    CUresult result = cuda_guest_ready();
    const char *wanted;

    if (result != CUDA_SUCCESS)
        return result;
    if (!mode)
        return CUDA_ERROR_INVALID_VALUE;
    wanted = getenv("CUDA_MODULE_LOADING");
    *mode = wanted && strcmp(wanted, "EAGER") == 0 ? CU_MODULE_EAGER_LOADING : CU_MODULE_LAZY_LOADING;
    return CUDA_SUCCESS;
}
