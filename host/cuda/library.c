/* SPDX-License-Identifier: MIT */
/*
 * Libraries: images of no context, and their kernels.
 *
 * Design notes: what a library has in a context, its variables and the functions that its kernels are there, belongs to
 * a module of that context, which the driver ends with either. The library therefore knows its modules, and ends
 * them before it goes itself. The image stays as long as the library: the driver reads from it whenever it loads a
 * kernel, and makes no copy of its own.
 */
#include "cuda_plugin.h"

#include <stdlib.h>

#include "image.h"

#define KERNEL_ATTRIBUTES 16u /* numbers that this version of the API knows */

/* ---- Beginning ------------------------------------------------------------------------------- */

static CUresult
load_native(const struct cuda_driver *native, struct cuda_library *library, struct cuda_load_options *options)
{
    CUlibraryOption preserved = CU_LIBRARY_BINARY_IS_PRESERVED;
    void *yes = (void *)1;

    return native->cuLibraryLoadData(&library->native, library->image, options->names, options->values, options->count,
                                     &preserved, &yes, 1);
}

static int
load(struct gpuvchan_request *request, void *image, size_t image_bytes, struct cuda_load_options *options,
     struct cuda_library **made)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_library *library = (struct cuda_library *)cuda_object_create(host, CUDA_OBJECT_LIBRARY);
    int result;

    if (!library) {
        cuda_image_free(image);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    library->image = image;
    library->image_bytes = image_bytes;
    result = load_native(host->native, library, options);
    if (result != CUDA_SUCCESS) {
        cuda_object_destroy(host, &library->object);
        return result;
    }
    cuda_object_begin(host, &library->object, NULL, request);
    *made = library;
    return 0;
}

int
cuda_host_library_load(struct gpuvchan_request *request, struct cuda_library **made, void *image, size_t image_bytes,
                       const uint32_t *names, size_t names_count, const uint64_t *values, size_t values_count,
                       uint32_t log_bytes)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_load_options options = {.count = 0};
    int result = cuda_options_take(&options, names, names_count, values, values_count);
    void *copy;

    if (!native->cuLibraryLoadData || !native->cuLibraryUnload)
        return cuda_driver_lacks(native, "cuLibraryLoadData");
    if (result != 0)
        return result;
    cuda_lane_forget_logs(lane);
    if (!cuda_options_logs(&options, log_bytes, &lane->info_log, &lane->error_log))
        return CUDA_ERROR_OUT_OF_MEMORY;
    copy = cuda_lane_image(lane, image, &image_bytes, &result);
    return copy ? load(request, copy, image_bytes, &options, made) : result;
}

/* ---- Ending ---------------------------------------------------------------------------------- */

void
cuda_library_finish(struct cuda_library *library)
{
    cuda_image_free(library->image);
    library->image = NULL;
    library->modules = NULL;
}

void
cuda_module_finish(struct cuda_module *module)
{
    struct cuda_module **at;

    cuda_image_free(module->image);
    module->image = NULL;
    if (!module->library)
        return;
    for (at = &module->library->modules; *at && *at != module; at = &(*at)->next)
        continue;
    if (*at)
        *at = module->next;
    module->library = NULL;
}

/* A module of the library, announced; NULL: it has none any more. */
static struct cuda_module *
newest_module(struct cuda_lane *lane, struct cuda_library *library)
{
    struct cuda_module *module;

    pthread_mutex_lock(&lane->host->lock);
    module = library->modules;
    if (module)
        cuda_lane_announce(lane, CUDA_SLOT_SECOND, &module->object);
    pthread_mutex_unlock(&lane->host->lock);
    return module;
}

/* The library is dead. A module that goes with its context at the same time is waited for. */
static void
end_modules(struct cuda_lane *lane, struct cuda_library *library)
{
    struct cuda_module *module;

    while ((module = newest_module(lane, library))) {
        cuda_object_revoke(lane, &module->object);
        cuda_leave(lane, 0);
    }
}

/* Its handle is gone, so no other lane ends it. On an error the driver has it still, and reads its image. */
static int
end(struct cuda_lane *lane, struct cuda_library *library)
{
    int result;

    cuda_object_end(lane->host, lane, &library->object);
    end_modules(lane, library);
    result = lane->host->native->cuLibraryUnload(library->native);
    cuda_object_empty(lane->host, &library->object);
    if (result == CUDA_SUCCESS)
        cuda_object_destroy(lane->host, &library->object);
    return result;
}

int
cuda_host_library_unload(struct gpuvchan_request *request, struct cuda_library *gone)
{
    return end(cuda_lane_of(request), gone);
}

void
cuda_discard_library(struct gpuvchan_request *request, struct cuda_library *object)
{
    end(cuda_lane_of(request), object);
}

void
cuda_libraries_end(struct cuda_host *host)
{
    for (struct cuda_object *object = host->made; object; object = object->next_made) {
        struct cuda_library *library = (struct cuda_library *)object;

        if (object->kind == CUDA_OBJECT_LIBRARY && object->made && atomic_exchange(&object->alive, false)) {
            while (library->modules)
                cuda_module_finish(library->modules);
            host->native->cuLibraryUnload(library->native);
            cuda_object_empty(host, object);
            cuda_object_destroy(host, object);
        }
    }
}

/* ---- Modules --------------------------------------------------------------------------------- */

static CUresult
module_native(const struct cuda_driver *native, struct cuda_module *module, struct cuda_library *from)
{
    if (!native->cuLibraryGetModule)
        return (CUresult)cuda_driver_lacks(native, "cuLibraryGetModule");
    return native->cuLibraryGetModule(&module->native, from->native);
}

int
cuda_host_library_module(struct gpuvchan_request *request, struct cuda_module **made, struct cuda_library *from)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_module *module = (struct cuda_module *)cuda_object_create(host, CUDA_OBJECT_MODULE);
    int result = module ? cuda_enter(lane, &from->object, NULL) : CUDA_ERROR_OUT_OF_MEMORY;

    if (result == 0) {
        result = module_native(host->native, module, from);
        if (result == CUDA_SUCCESS) {
            cuda_object_begin(host, &module->object, &lane->current->object, request);
            pthread_mutex_lock(&host->lock);
            module->library = from;
            module->next = from->modules;
            from->modules = module;
            pthread_mutex_unlock(&host->lock);
            *made = module;
        }
        cuda_leave(lane, 0);
    }
    if (result != 0 && module)
        cuda_object_destroy(host, &module->object);
    return result;
}

/* ---- Kernels --------------------------------------------------------------------------------- */

/* Begins a record about something that is of no context. */
static int
enter_outside(struct cuda_lane *lane, struct cuda_object *object)
{
    if (cuda_lane_announce(lane, CUDA_SLOT_FIRST, object))
        return 0;
    return cuda_leave(lane, CUDA_ERROR_INVALID_HANDLE);
}

int
cuda_host_library_kernel(struct gpuvchan_request *request, struct cuda_function **made, struct cuda_library *from,
                         const char *name)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_function *kernel = (struct cuda_function *)cuda_object_create(host, CUDA_OBJECT_FUNCTION);
    int result = kernel ? enter_outside(lane, &from->object) : CUDA_ERROR_OUT_OF_MEMORY;

    if (result == 0) {
        result = host->native->cuLibraryGetKernel((CUkernel *)&kernel->native, from->native, name);
        if (result == CUDA_SUCCESS) {
            kernel->kernel = true;
            cuda_object_begin(host, &kernel->object, &from->object, request);
            *made = kernel;
        }
        cuda_leave(lane, 0);
    }
    if (result != 0 && kernel)
        cuda_object_destroy(host, &kernel->object);
    return result;
}

static CUresult
names_fill(const struct cuda_driver *native, const CUkernel *kernels, uint32_t count, uint32_t first, char *names,
           size_t *bytes)
{
    CUresult result = CUDA_SUCCESS;
    size_t room = *bytes;

    *bytes = 0;
    for (uint32_t i = first; i < count && result == CUDA_SUCCESS; i++) {
        const char *name;

        result = native->cuKernelGetName(&name, kernels[i]);
        if (result == CUDA_SUCCESS && !cuda_names_add(names, room, bytes, name))
            break;
    }
    return result;
}

static CUresult
kernel_names(const struct cuda_driver *native, CUlibrary library, uint32_t first, uint32_t *count, char *names,
             size_t *bytes)
{
    CUresult result = native->cuLibraryGetKernelCount(count, library);
    CUkernel *kernels;

    if (result != CUDA_SUCCESS || *count == 0 || *bytes == 0) {
        *bytes = 0;
        return result;
    }
    kernels = calloc(*count, sizeof(*kernels));
    if (!kernels)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = native->cuLibraryEnumerateKernels(kernels, *count, library);
    if (result == CUDA_SUCCESS)
        result = names_fill(native, kernels, *count, first, names, bytes);
    free(kernels);
    return result;
}

int
cuda_host_library_kernel_names(struct gpuvchan_request *request, struct cuda_library *from, uint32_t first,
                               uint32_t *count, void *names, size_t *names_bytes)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!native->cuLibraryGetKernelCount || !native->cuLibraryEnumerateKernels || !native->cuKernelGetName)
        return cuda_driver_lacks(native, "cuLibraryEnumerateKernels");
    result = enter_outside(lane, &from->object);
    if (result != 0)
        return result;
    return cuda_leave(lane, kernel_names(native, from->native, first, count, names, names_bytes));
}

static CUresult
parameter_ask(const struct cuda_driver *native, const struct cuda_function *function, size_t index, size_t *offset,
              size_t *bytes)
{
    return native->cuKernelGetParamInfo((CUkernel)function->native, index, offset, bytes);
}

/* Lanes may ask for one kernel at once: each reads for itself, and the first one's is kept. */
static int
read_layout(struct cuda_host *host, struct cuda_function *kernel, uint32_t *offsets, size_t *offsets_count,
            uint32_t *sizes, size_t *sizes_count)
{
    struct cuda_function read = {.native = kernel->native};
    int result = cuda_function_layout(host->native, &read, parameter_ask, offsets, offsets_count, sizes, sizes_count);

    if (result != 0) {
        free(read.parameter_offsets);
        return result;
    }
    pthread_mutex_lock(&host->lock);
    if (!atomic_load(&kernel->known)) {
        kernel->parameter_bytes = read.parameter_bytes;
        kernel->parameter_count = read.parameter_count;
        kernel->parameter_offsets = read.parameter_offsets;
        read.parameter_offsets = NULL;
        atomic_store_explicit(&kernel->known, true, memory_order_release);
    }
    pthread_mutex_unlock(&host->lock);
    free(read.parameter_offsets);
    return 0;
}

/* That the first one cannot be read tells why none can: that there is no code for the device, say. */
static CUresult
read_attributes(const struct cuda_driver *native, CUkernel kernel, CUdevice device, int32_t *attributes, size_t *count)
{
    *count = *count < KERNEL_ATTRIBUTES ? *count : KERNEL_ATTRIBUTES;
    for (size_t i = 0; i < *count; i++) {
        int value;
        CUresult result = native->cuKernelGetAttribute(&value, (CUfunction_attribute)i, kernel, device);

        if (result == CUDA_SUCCESS)
            attributes[i] = value;
        else if (i == 0)
            return result;
    }
    return CUDA_SUCCESS;
}

/* A kernel and a device; the record is entered. */
static int
enter_kernel(struct gpuvchan_request *request, struct cuda_function *kernel, uint32_t device, CUdevice *number)
{
    const struct cuda_driver *native = cuda_native(request);
    int result;

    if (device >= (uint32_t)native->devices)
        return CUDA_ERROR_INVALID_DEVICE;
    result = native->cuDeviceGet(number, (int)device);
    if (result == CUDA_SUCCESS)
        result = enter_outside(cuda_lane_of(request), &kernel->object);
    if (result == 0 && !kernel->kernel)
        return cuda_leave(cuda_lane_of(request), CUDA_ERROR_INVALID_HANDLE);
    return result;
}

int
cuda_host_kernel_info(struct gpuvchan_request *request, struct cuda_function *kernel, uint32_t device, bool *laid_out,
                      uint32_t *offsets, size_t *offsets_count, uint32_t *sizes, size_t *sizes_count,
                      int32_t *attributes, size_t *attributes_count)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUdevice number;
    int result;

    if (!native->cuKernelGetParamInfo || !native->cuKernelGetAttribute)
        return cuda_driver_lacks(native, "cuKernelGetParamInfo");
    result = enter_kernel(request, kernel, device, &number);
    if (result != 0)
        return result;
    result = read_attributes(native, (CUkernel)kernel->native, number, attributes, attributes_count);
    if (result == CUDA_SUCCESS)
        result = read_layout(lane->host, kernel, offsets, offsets_count, sizes, sizes_count);
    *laid_out = result == CUDA_SUCCESS;
    if (result == CUDA_ERROR_INVALID_CONTEXT) { /* attributes need none */
        *offsets_count = *sizes_count = 0;
        result = CUDA_SUCCESS;
    }
    return cuda_leave(lane, result);
}

int
cuda_host_kernel_set_attribute(struct gpuvchan_request *request, struct cuda_function *kernel, int32_t attribute,
                               int32_t value, uint32_t device)
{
    const struct cuda_driver *native = cuda_native(request);
    CUdevice number;
    int result;

    if (!native->cuKernelSetAttribute)
        return cuda_driver_lacks(native, "cuKernelSetAttribute");
    result = enter_kernel(request, kernel, device, &number);
    if (result != 0)
        return result;
    result = native->cuKernelSetAttribute((CUfunction_attribute)attribute, value, (CUkernel)kernel->native, number);
    return cuda_leave(cuda_lane_of(request), result);
}

int
cuda_host_kernel_set_cache_config(struct gpuvchan_request *request, struct cuda_function *kernel, int32_t config,
                                  uint32_t device)
{
    const struct cuda_driver *native = cuda_native(request);
    CUdevice number;
    int result;

    if (!native->cuKernelSetCacheConfig)
        return cuda_driver_lacks(native, "cuKernelSetCacheConfig");
    result = enter_kernel(request, kernel, device, &number);
    if (result != 0)
        return result;
    result = native->cuKernelSetCacheConfig((CUkernel)kernel->native, (CUfunc_cache)config, number);
    return cuda_leave(cuda_lane_of(request), result);
}
