/* SPDX-License-Identifier: MIT */
/*
 * Libraries: images that belong to no context. A kernel of theirs is launched in whichever context is current; a
 * variable lies in the module that the library has in a context, which is made when somebody asks for it.
 */
#include "library.h"

#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "load.h"

/* ---- Loading --------------------------------------------------------------------------------- */

static CUresult
load_image(struct cuda_guest_thread *self, CUlibrary *out, const void *image, size_t bytes,
           const struct cuda_guest_options *options)
{
    struct cuda_guest_library *library;
    CUresult result = cuda_guest_object_create(CUDA_HANDLE_LIBRARY, sizeof(*library), NULL, &library);

    if (result != CUDA_SUCCESS)
        return result;
    cuda_guest_output_expect(self, image, bytes);
    result = cuda_guest_image_load(self, image, bytes, options, library->object.handle, cuda_library_load_on);
    if (result == CUDA_SUCCESS)
        *out = cuda_guest_handle(&library->object);
    else
        cuda_guest_object_undo(&library->object);
    return result;
}

/* That the image stays where it is is of no use here: the host has its own. */
static CUresult
library_options_check(unsigned count, const CUlibraryOption *names, void *const *values)
{
    if (count != 0 && !names)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count; i++) {
        if ((unsigned)names[i] >= CU_LIBRARY_NUM_OPTIONS)
            return CUDA_ERROR_INVALID_VALUE;
        if (names[i] == CU_LIBRARY_HOST_UNIVERSAL_FUNCTION_AND_DATA_TABLE && values && values[i])
            return CUDA_ERROR_NOT_SUPPORTED;
    }
    return CUDA_SUCCESS;
}

ENTRY
cuLibraryLoadData(CUlibrary *library, const void *image, CUjit_option *jit_names, void **jit_values,
                  unsigned int jit_count, CUlibraryOption *names, void **values, unsigned int count)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_options options = {0};
    struct cuda_guest_image found;
    CUresult result = cuda_guest_enter_outside(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!library || !image)
        return CUDA_ERROR_INVALID_VALUE;
    result = library_options_check(count, names, values);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_options_read(&options, jit_count, jit_names, jit_values);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_image_find(image, &found);
    if (result != CUDA_SUCCESS)
        return result;
    result = load_image(self, library, found.data, found.bytes, &options);
    free(found.memory);
    return result;
}

ENTRY
cuLibraryLoadFromFile(CUlibrary *library, const char *name, CUjit_option *jit_names, void **jit_values,
                      unsigned int jit_count, CUlibraryOption *names, void **values, unsigned int count)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_options options = {0};
    CUresult result = cuda_guest_enter_outside(&self);
    size_t bytes;
    char *image;

    if (result != CUDA_SUCCESS)
        return result;
    if (!library || !name)
        return CUDA_ERROR_INVALID_VALUE;
    result = library_options_check(count, names, values);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_options_read(&options, jit_count, jit_names, jit_values);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_file_read(name, &image, &bytes);
    if (result != CUDA_SUCCESS)
        return result;
    result = load_image(self, library, image, bytes, &options);
    free(image);
    return result;
}

/* ---- Its modules ----------------------------------------------------------------------------- */

void
cuda_guest_library_forget(struct cuda_guest_module *module)
{
    struct cuda_guest_module **at;

    if (!module->library)
        return;
    cuda_guest_objects_lock();
    for (at = &module->library->modules; *at && *at != module; at = &(*at)->next)
        continue;
    if (*at)
        *at = module->next;
    module->library = NULL;
    cuda_guest_objects_unlock();
}

static struct cuda_guest_module *
module_known(const struct cuda_guest_library *library, const struct cuda_guest_context *context)
{
    struct cuda_guest_module *module;

    cuda_guest_objects_lock();
    for (module = library->modules; module && module->object.context != context; module = module->next)
        continue;
    cuda_guest_objects_unlock();
    return module;
}

/* Of two threads that make it at once the second one's is another handle of the same, and does no harm. */
CUresult
cuda_guest_library_module(struct cuda_guest_thread *self, struct cuda_guest_library *library,
                          struct cuda_guest_module **out)
{
    struct cuda_guest_context *context = cuda_guest_current(self);
    CUresult result = CUDA_SUCCESS;
    struct cuda_guest_module *module;

    *out = module_known(library, context);
    if (*out)
        return CUDA_SUCCESS;
    result = cuda_guest_object_create(CUDA_HANDLE_MODULE, sizeof(*module), context, &module);
    if (result != CUDA_SUCCESS)
        return result;
    result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(
            cuda_library_module_on(&cuda_guest.client, self->lane, module->object.handle, library->object.handle));
    if (result != CUDA_SUCCESS) {
        cuda_guest_object_undo(&module->object);
        return result;
    }
    cuda_guest_objects_lock();
    module->library = library;
    module->next = library->modules;
    library->modules = module;
    cuda_guest_objects_unlock();
    *out = module;
    return CUDA_SUCCESS;
}

static void
modules_drop(struct cuda_guest_library *library)
{
    struct cuda_guest_module *module;

    for (;;) {
        cuda_guest_objects_lock();
        /* One that cannot be taken is going with its context. */
        for (module = library->modules; module; module = module->next)
            if (gpuvchan_handles_remove(cuda_guest.handles, module->object.handle, CUDA_HANDLE_MODULE))
                break;
        cuda_guest_objects_unlock();
        if (!module)
            break;
        cuda_guest_module_drop(module);
    }
}

/* ---- Entry points ---------------------------------------------------------------------------- */

ENTRY
cuLibraryUnload(CUlibrary handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_library *library;
    CUresult result = cuda_guest_enter_outside(&self);
    uint32_t wire;

    if (result != CUDA_SUCCESS)
        return result;
    library = cuda_guest_take(handle, CUDA_HANDLE_LIBRARY);
    if (!library)
        return CUDA_ERROR_INVALID_HANDLE;
    wire = library->object.handle;
    modules_drop(library);
    cuda_guest_functions_drop(&library->kernels);
    cuda_guest_object_free(&library->object);
    return cuda_guest_result(cuda_library_unload_on(&cuda_guest.client, self->lane, wire));
}

/* For what needs no context. */
static CUresult
enter_library(CUlibrary handle, struct cuda_guest_thread **self, struct cuda_guest_library **library)
{
    CUresult result = cuda_guest_enter_outside(self);

    if (result != CUDA_SUCCESS)
        return result;
    *library = cuda_guest_find(handle, CUDA_HANDLE_LIBRARY);
    return *library ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* For what is in the current context. */
static CUresult
enter_module(CUlibrary handle, struct cuda_guest_thread **self, struct cuda_guest_library **library)
{
    CUresult result = cuda_guest_enter(self);

    if (result != CUDA_SUCCESS)
        return result;
    *library = cuda_guest_find(handle, CUDA_HANDLE_LIBRARY);
    return *library ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

ENTRY
cuLibraryGetKernel(CUkernel *kernel, CUlibrary handle, const char *name)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_library *library;
    struct cuda_guest_function *function;
    CUresult result = enter_library(handle, &self, &library);

    if (result != CUDA_SUCCESS)
        return result;
    if (!kernel || !name || name[0] == '\0')
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_library_kernel(self, library, name, &function);
    if (result == CUDA_SUCCESS)
        *kernel = cuda_guest_handle(&function->object);
    return result;
}

ENTRY
cuLibraryGetModule(CUmodule *module, CUlibrary handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_library *library;
    struct cuda_guest_module *found;
    CUresult result = enter_module(handle, &self, &library);

    if (result != CUDA_SUCCESS)
        return result;
    if (!module)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_library_module(self, library, &found);
    if (result == CUDA_SUCCESS)
        *module = cuda_guest_handle(&found->object);
    return result;
}

ENTRY
cuLibraryGetGlobal(CUdeviceptr *address, size_t *bytes, CUlibrary handle, const char *name)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_library *library;
    struct cuda_guest_module *module;
    CUresult result = enter_module(handle, &self, &library);

    if (result != CUDA_SUCCESS)
        return result;
    if (!name || (!address && !bytes))
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_library_module(self, library, &module);
    return result == CUDA_SUCCESS ? cuda_guest_module_global(self, module, name, address, bytes) : result;
}

/* Found as any variable is, and refused as managed; what is not is no managed variable. */
ENTRY
cuLibraryGetManaged(CUdeviceptr *address, size_t *bytes, CUlibrary library, const char *name)
{
    CUresult result = cuLibraryGetGlobal(address, bytes, library, name);

    return result == CUDA_SUCCESS ? CUDA_ERROR_NOT_FOUND : result;
}

/* ---- Names ----------------------------------------------------------------------------------- */

CUresult
cuda_guest_names_visit(struct cuda_guest_thread *self, uint32_t count,
                       CUresult (*ask)(struct cuda_guest_thread *self, void *context, uint32_t first, uint32_t *count,
                                       char *names, size_t *bytes),
                       CUresult (*visit)(struct cuda_guest_thread *self, void *context, uint32_t index,
                                         const char *name),
                       void *context)
{
    char names[CUDA_LIBRARY_KERNEL_NAMES_NAMES_MAX + 1];
    CUresult result = cuda_guest_settle(self);
    uint32_t index = 0, all = UINT32_MAX;

    while (index < count && index < all && result == CUDA_SUCCESS) {
        size_t bytes = sizeof(names) - 1;
        uint32_t before = index;

        result = ask(self, context, index, &all, names, &bytes);
        names[result == CUDA_SUCCESS ? bytes : 0] = '\0';
        for (const char *at = names; at < names + bytes && index < count && result == CUDA_SUCCESS; index++) {
            result = visit(self, context, index, at);
            at += strlen(at) + 1;
        }
        if (result == CUDA_SUCCESS && index == before)
            break;
    }
    return result;
}

struct kernels {
    struct cuda_guest_library *library;
    CUkernel *handles;
};

static CUresult
kernels_ask(struct cuda_guest_thread *self, void *context, uint32_t first, uint32_t *count, char *names, size_t *bytes)
{
    const struct kernels *kernels = context;

    return cuda_guest_result(cuda_library_kernel_names_on(&cuda_guest.client, self->lane,
                                                          kernels->library->object.handle, first, count, names, bytes));
}

static CUresult
kernels_visit(struct cuda_guest_thread *self, void *context, uint32_t index, const char *name)
{
    const struct kernels *kernels = context;
    struct cuda_guest_function *kernel;
    CUresult result = cuda_guest_library_kernel(self, kernels->library, name, &kernel);

    if (result == CUDA_SUCCESS)
        kernels->handles[index] = cuda_guest_handle(&kernel->object);
    return result;
}

ENTRY
cuLibraryEnumerateKernels(CUkernel *handles, unsigned int count, CUlibrary handle)
{
    struct cuda_guest_thread *self;
    struct kernels kernels = {.handles = handles};
    CUresult result = enter_library(handle, &self, &kernels.library);

    if (result != CUDA_SUCCESS)
        return result;
    if (!handles)
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_names_visit(self, count, kernels_ask, kernels_visit, &kernels);
}

ENTRY
cuLibraryGetKernelCount(unsigned int *count, CUlibrary handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_library *library;
    CUresult result = enter_library(handle, &self, &library);
    size_t none = 0;
    char name;

    if (result != CUDA_SUCCESS)
        return result;
    if (!count)
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_result(
        cuda_library_kernel_names_on(&cuda_guest.client, self->lane, library->object.handle, 0, count, &name, &none));
}
