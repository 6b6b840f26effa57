/* SPDX-License-Identifier: MIT */
/*
 * Kernels of libraries.
 *
 * Design notes: looking one up tells only that it is there, as its code need not be loaded for that. Where its
 * parameters lie and its attributes are asked for together when they are needed first, which is at a launch mostly;
 * then the driver loads the code anyway. Attributes are a device's own. NVIDIA's driver tells them without a context
 * as well, but not the parameters: then nothing is kept, and the host is asked again.
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

static CUresult
kernel_request(struct cuda_guest_thread *self, const struct cuda_guest_function *kernel, int device,
               struct cuda_guest_function_answer *answer)
{
    answer->offset_count = CUDA_KERNEL_INFO_OFFSETS_MAX;
    answer->size_count = CUDA_KERNEL_INFO_SIZES_MAX;
    answer->attribute_count = CUDA_KERNEL_INFO_ATTRIBUTES_MAX;
    return cuda_guest_result(cuda_kernel_info_on(&cuda_guest.client, self->lane, kernel->object.handle,
                                                 cuda_guest.device[device].ordinal, &answer->laid_out, answer->offsets,
                                                 &answer->offset_count, answer->sizes, &answer->size_count,
                                                 answer->attributes, &answer->attribute_count));
}

CUresult
cuda_guest_kernel_ask(struct cuda_guest_thread *self, struct cuda_guest_function *kernel, int device)
{
    struct cuda_guest_function_answer *answer = malloc(sizeof(*answer));
    CUresult result = answer ? kernel_request(self, kernel, device, answer) : CUDA_ERROR_OUT_OF_MEMORY;

    if (result == CUDA_SUCCESS && !answer->laid_out)
        result = CUDA_ERROR_INVALID_CONTEXT;
    if (result == CUDA_SUCCESS)
        result = cuda_guest_function_keep(kernel, device, answer);
    free(answer);
    return result;
}

/* ---- Entry points ---------------------------------------------------------------------------- */

/* A kernel and a device that there are. */
static CUresult
kernel_enter_on(CUkernel handle, CUdevice device, struct cuda_guest_thread **self, struct cuda_guest_function **kernel)
{
    CUresult result = cuda_guest_enter_outside(self);

    if (result != CUDA_SUCCESS)
        return result;
    *kernel = cuda_guest_kernel_find(handle);
    if (!*kernel)
        return CUDA_ERROR_INVALID_HANDLE;
    return cuda_guest_device(device) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

/* What is known of the kernel, or what the host says of it now. */
static CUresult
attribute_get(struct cuda_guest_thread *self, struct cuda_guest_function *kernel, int device,
              CUfunction_attribute attribute, int *value)
{
    const struct cuda_guest_attributes *known = atomic_load(&kernel->attributes[device]);
    struct cuda_guest_function_answer *answer;
    CUresult result;

    if (known) {
        if (!value || (unsigned)attribute >= (unsigned)known->count)
            return CUDA_ERROR_INVALID_VALUE;
        *value = cuda_guest_function_attribute(kernel, device, attribute);
        return CUDA_SUCCESS;
    }
    answer = malloc(sizeof(*answer));
    result = answer ? kernel_request(self, kernel, device, answer) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS && answer->laid_out)
        result = cuda_guest_function_keep(kernel, device, answer);
    if (result == CUDA_SUCCESS && (!value || (unsigned)attribute >= answer->attribute_count))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *value = answer->attributes[attribute];
    free(answer);
    return result;
}

ENTRY
cuKernelGetAttribute(int *value, CUfunction_attribute attribute, CUkernel handle, CUdevice device)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *kernel;
    CUresult result = kernel_enter_on(handle, device, &self, &kernel);

    return result == CUDA_SUCCESS ? attribute_get(self, kernel, device, attribute, value) : result;
}

/* One that it has already is no news: libraries set them before each launch. */
ENTRY
cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel handle, CUdevice device)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_function *kernel;
    struct cuda_guest_attributes *known;
    CUresult result = kernel_enter_on(handle, device, &self, &kernel);
    int old;

    if (result == CUDA_SUCCESS)
        result = attribute_get(self, kernel, device, attribute, &old);
    if (result != CUDA_SUCCESS || old == value)
        return result;
    result = cuda_guest_result(cuda_kernel_set_attribute_on(&cuda_guest.client, self->lane, kernel->object.handle,
                                                            (int)attribute, value, cuda_guest.device[device].ordinal));
    known = atomic_load(&kernel->attributes[device]);
    if (result == CUDA_SUCCESS && !(known && cuda_guest_attribute_checked(known, device, attribute, value)))
        result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS && known)
        cuda_guest_attribute_set(known, attribute, value);
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
    struct cuda_guest_thread *self;
    struct cuda_guest_function *kernel;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    kernel = cuda_guest_kernel_find(handle);
    if (!kernel)
        return CUDA_ERROR_INVALID_HANDLE;
    result = cuda_guest_function_learn(self, kernel, cuda_guest_current(self)->device);
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
