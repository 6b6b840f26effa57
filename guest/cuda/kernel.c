/* SPDX-License-Identifier: MIT */
/*
 * Kernels of libraries.
 *
 * Design notes: looking one up tells only that it is there, as its code need not be loaded for that. Where its
 * parameters lie and its attributes are asked for together when they are needed first, which is at a launch mostly;
 * then the driver loads the code anyway. Attributes are a device's own.
 */
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "library.h"

/* ---- Looking up ------------------------------------------------------------------------------ */

/* Of two threads that make the same one at once, the second gets the first one's; its own goes with the library. */
static struct cuda_guest_function *
kernel_enter(struct cuda_guest_library *library, struct cuda_guest_function *made)
{
    struct cuda_guest_function *kernel;

    cuda_guest_objects_lock();
    for (kernel = library->kernels; kernel; kernel = kernel->next)
        if (strcmp(kernel->name, made->name) == 0)
            break;
    if (kernel) {
        made->next = kernel->next;
        kernel->next = made;
    } else {
        made->next = library->kernels;
        library->kernels = kernel = made;
    }
    cuda_guest_objects_unlock();
    return kernel;
}

CUresult
cuda_guest_library_kernel(struct cuda_guest_thread *self, struct cuda_guest_library *library, const char *name,
                          struct cuda_guest_function **out)
{
    struct cuda_guest_function *kernel;
    CUresult result;

    *out = cuda_guest_function_known(&library->kernels, name);
    if (*out)
        return CUDA_SUCCESS;
    result = cuda_guest_function_create(NULL, name, &kernel);
    if (result != CUDA_SUCCESS)
        return result;
    kernel->library = library;
    result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_library_kernel_on(&cuda_guest.client, self->lane, kernel->object.handle,
                                                          library->object.handle, name));
    if (result == CUDA_SUCCESS)
        *out = kernel_enter(library, kernel);
    else
        cuda_guest_function_free(kernel);
    return result;
}

CUresult
cuda_guest_kernel_ask(struct cuda_guest_thread *self, struct cuda_guest_function *kernel, int device)
{
    struct cuda_guest_function_answer *answer = malloc(sizeof(*answer));
    CUresult result = answer ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;

    if (result == CUDA_SUCCESS) {
        answer->offset_count = CUDA_KERNEL_INFO_OFFSETS_MAX;
        answer->size_count = CUDA_KERNEL_INFO_SIZES_MAX;
        answer->attribute_count = CUDA_KERNEL_INFO_ATTRIBUTES_MAX;
        result = cuda_guest_result(cuda_kernel_info_on(
            &cuda_guest.client, self->lane, kernel->object.handle, cuda_guest.device[device].ordinal, answer->offsets,
            &answer->offset_count, answer->sizes, &answer->size_count, answer->attributes, &answer->attribute_count));
    }
    if (result == CUDA_SUCCESS)
        result = cuda_guest_function_keep(kernel, device, answer);
    free(answer);
    return result;
}

/* ---- Entry points ---------------------------------------------------------------------------- */

/* A kernel, known for the device. */
static CUresult
kernel_learn(CUkernel handle, CUdevice device, struct cuda_guest_thread **self, struct cuda_guest_function **kernel)
{
    CUresult result = cuda_guest_enter_outside(self);

    if (result != CUDA_SUCCESS)
        return result;
    *kernel = cuda_guest_kernel_find(handle);
    if (!*kernel)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!cuda_guest_device(device))
        return CUDA_ERROR_INVALID_DEVICE;
    return cuda_guest_function_learn(*self, *kernel, device);
}

ENTRY
cuKernelGetAttribute(int *value, CUfunction_attribute attribute, CUkernel handle, CUdevice device)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *kernel;
    CUresult result = kernel_learn(handle, device, &self, &kernel);

    if (result != CUDA_SUCCESS)
        return result;
    if (!value || (unsigned)attribute >= (unsigned)atomic_load(&kernel->attributes[device])->count)
        return CUDA_ERROR_INVALID_VALUE;
    *value = cuda_guest_function_attribute(kernel, device, attribute);
    return CUDA_SUCCESS;
}

/* One that it has already is no news: libraries set them before each launch. */
ENTRY
cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel handle, CUdevice device)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *kernel;
    struct cuda_guest_attributes *attributes;
    CUresult result = kernel_learn(handle, device, &self, &kernel);

    if (result != CUDA_SUCCESS)
        return result;
    attributes = atomic_load(&kernel->attributes[device]);
    if ((unsigned)attribute >= (unsigned)attributes->count)
        return CUDA_ERROR_INVALID_VALUE;
    if (atomic_load(&attributes->values[attribute]) == value)
        return CUDA_SUCCESS;
    result = cuda_guest_result(cuda_kernel_set_attribute_on(&cuda_guest.client, self->lane, kernel->object.handle,
                                                            (int)attribute, value, cuda_guest.device[device].ordinal));
    if (result == CUDA_SUCCESS)
        cuda_guest_attribute_set(attributes, attribute, value);
    return result;
}

ENTRY
cuKernelSetCacheConfig(CUkernel handle, CUfunc_cache config, CUdevice device)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter_outside(&self);
    const struct cuda_guest_function *kernel;

    if (result != CUDA_SUCCESS)
        return result;
    kernel = cuda_guest_kernel_find(handle);
    if (!kernel)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!cuda_guest_device(device))
        return CUDA_ERROR_INVALID_DEVICE;
    if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_result(cuda_kernel_set_cache_config_on(&cuda_guest.client, self->lane, kernel->object.handle,
                                                             (int)config, cuda_guest.device[device].ordinal));
}

ENTRY
cuKernelGetParamInfo(CUkernel handle, size_t index, size_t *offset, size_t *bytes)
{
    const struct cuda_guest_context *context = cuda_guest_current(cuda_guest_self());
    struct cuda_guest_thread *self;
    struct cuda_guest_function *kernel;
    CUresult result = kernel_learn(handle, context ? context->device : 0, &self, &kernel);

    if (result != CUDA_SUCCESS)
        return result;
    if (!offset || index >= kernel->parameter_count)
        return CUDA_ERROR_INVALID_VALUE;
    *offset = kernel->parameters[index].offset;
    if (bytes)
        *bytes = kernel->parameters[index].bytes;
    return CUDA_SUCCESS;
}

/* The function that it is in the current context. */
ENTRY
cuKernelGetFunction(CUfunction *function, CUkernel handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *kernel, *found;
    struct cuda_guest_module *module;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    kernel = cuda_guest_kernel_find(handle);
    if (!kernel)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!function)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_library_module(self, kernel->library, &module);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_module_function(self, module, kernel->name, &found);
    if (result == CUDA_SUCCESS)
        *function = cuda_guest_handle(&found->object);
    return result;
}

static CUresult
kernel_kept(CUkernel handle, const void *out, const struct cuda_guest_function **kernel)
{
    CUresult result = cuda_guest_ready();

    if (result != CUDA_SUCCESS)
        return result;
    *kernel = cuda_guest_kernel_find(handle);
    if (!*kernel)
        return CUDA_ERROR_INVALID_HANDLE;
    return out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

ENTRY
cuKernelGetLibrary(CUlibrary *library, CUkernel handle)
{
    const struct cuda_guest_function *kernel;
    CUresult result = kernel_kept(handle, library, &kernel);

    if (result == CUDA_SUCCESS)
        *library = cuda_guest_handle(&kernel->library->object);
    return result;
}

ENTRY
cuKernelGetName(const char **name, CUkernel handle)
{
    const struct cuda_guest_function *kernel;
    CUresult result = kernel_kept(handle, name, &kernel);

    if (result == CUDA_SUCCESS)
        *name = kernel->name;
    return result;
}
