/* SPDX-License-Identifier: MIT */
/* Modules and their functions and globals. */
#include "cuda_plugin.h"

#include <stdlib.h>
#include <string.h>

#include "image.h"

#define FUNCTION_ATTRIBUTES 16u /* numbers that this version of the API knows */
#define PARAMETERS_MAX 4096u    /* no kernel has more: each has at least a byte of 32764 and drivers allow fewer */

/* ---- Modules --------------------------------------------------------------------------------- */

/* On success the module has the image: the driver has a copy of its own, a fresh worker will need this one. */
static int
load(struct gpuvchan_request *request, void *image, size_t image_bytes, struct cuda_load_options *options,
     struct cuda_module **made)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_module *module = (struct cuda_module *)cuda_object_create(host, CUDA_OBJECT_MODULE);
    int result = module ? cuda_enter(lane, NULL, NULL) : CUDA_ERROR_OUT_OF_MEMORY;

    if (result == 0) {
        result =
            host->native->cuModuleLoadDataEx(&module->native, image, options->count, options->names, options->values);
        if (result == 0) {
            module->image = image;
            module->image_bytes = image_bytes;
            cuda_object_begin(host, &module->object, &lane->current->object, request);
            *made = module;
        }
        cuda_leave(lane, 0);
    }
    if (result != 0 && module)
        cuda_object_destroy(host, &module->object);
    return result;
}

int
cuda_host_module_load(struct gpuvchan_request *request, struct cuda_module **made, void *image, size_t image_bytes,
                      const uint32_t *names, size_t names_count, const uint64_t *values, size_t values_count,
                      uint32_t log_bytes)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_load_options options = {.count = 0};
    int result = cuda_options_take(&options, names, names_count, values, values_count);
    void *copy;

    if (result != 0)
        return result;
    cuda_lane_forget_logs(lane);
    if (!cuda_options_logs(&options, log_bytes, &lane->info_log, &lane->error_log))
        return CUDA_ERROR_OUT_OF_MEMORY;
    copy = cuda_lane_image(lane, image, &image_bytes, &result);
    if (!copy)
        return result;
    result = load(request, copy, image_bytes, &options, made);
    if (result != 0)
        cuda_image_free(copy);
    return result;
}

int
cuda_host_module_log(struct gpuvchan_request *request, char *info_log, size_t info_log_size, char *error_log,
                     size_t error_log_size)
{
    struct cuda_lane *lane = cuda_lane_of(request);

    if (lane->info_log)
        strncpy(info_log, lane->info_log, info_log_size - 1); /* replies begin as zeros */
    if (lane->error_log)
        strncpy(error_log, lane->error_log, error_log_size - 1);
    cuda_lane_forget_logs(lane);
    return 0;
}

int
cuda_host_module_unload(struct gpuvchan_request *request, struct cuda_module *gone)
{
    return cuda_object_close(cuda_lane_of(request), &gone->object);
}

void
cuda_discard_module(struct gpuvchan_request *request, struct cuda_module *object)
{
    cuda_object_close(cuda_lane_of(request), &object->object);
}

int
cuda_host_module_function_count(struct gpuvchan_request *request, struct cuda_module *from, uint32_t *count)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!native->cuModuleGetFunctionCount)
        return cuda_driver_lacks(native, "cuModuleGetFunctionCount");
    result = cuda_enter(lane, &from->object, NULL);
    return result ? result : cuda_leave(lane, native->cuModuleGetFunctionCount(count, from->native));
}

bool
cuda_names_add(char *names, size_t room, size_t *used, const char *name)
{
    size_t bytes = strlen(name) + 1;

    if (bytes > room - *used)
        return false;
    memcpy(names + *used, name, bytes);
    *used += bytes;
    return true;
}

static CUresult
names_fill(const struct cuda_driver *native, const CUfunction *functions, uint32_t count, uint32_t first, char *names,
           size_t *bytes)
{
    CUresult result = CUDA_SUCCESS;
    size_t room = *bytes;

    *bytes = 0;
    for (uint32_t i = first; i < count && result == CUDA_SUCCESS; i++) {
        const char *name;

        result = native->cuFuncGetName(&name, functions[i]);
        if (result == CUDA_SUCCESS && !cuda_names_add(names, room, bytes, name))
            break;
    }
    return result;
}

static CUresult
functions_names(const struct cuda_driver *native, CUmodule module, uint32_t first, uint32_t *count, char *names,
                size_t *bytes)
{
    CUresult result = native->cuModuleGetFunctionCount(count, module);
    CUfunction *functions;

    if (result != CUDA_SUCCESS || *count == 0) {
        *bytes = 0;
        return result;
    }
    functions = calloc(*count, sizeof(*functions));
    if (!functions)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = native->cuModuleEnumerateFunctions(functions, *count, module);
    if (result == CUDA_SUCCESS)
        result = names_fill(native, functions, *count, first, names, bytes);
    free(functions);
    return result;
}

int
cuda_host_module_function_names(struct gpuvchan_request *request, struct cuda_module *from, uint32_t first,
                                uint32_t *count, void *names, size_t *names_bytes)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!native->cuModuleGetFunctionCount || !native->cuModuleEnumerateFunctions || !native->cuFuncGetName)
        return cuda_driver_lacks(native, "cuModuleEnumerateFunctions");
    result = cuda_enter(lane, &from->object, NULL);
    if (result != 0)
        return result;
    return cuda_leave(lane, functions_names(native, from->native, first, count, names, names_bytes));
}

/* The same global again is the range that is there. */
static int
global_begin(struct cuda_host *host, struct cuda_module *from, CUdeviceptr address, size_t bytes)
{
    struct cuda_range *known;
    bool same;

    if (bytes == 0)
        return 0;
    pthread_rwlock_rdlock(&host->ranges.lock);
    known = cuda_ranges_find(&host->ranges, address, bytes);
    same = known && known->use == CUDA_RANGE_GLOBAL && atomic_load(&known->object.owner) == &from->object;
    pthread_rwlock_unlock(&host->ranges.lock);
    return same ? 0 : cuda_range_begin(host, &from->object, CUDA_RANGE_GLOBAL, address, bytes);
}

int
cuda_host_module_global(struct gpuvchan_request *request, struct cuda_module *from, const char *name,
                        CUdeviceptr *address, uint64_t *bytes, bool *managed)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &from->object, NULL);
    unsigned int is_managed = 0;
    CUdeviceptr at = 0;
    size_t size = 0;

    if (result != 0)
        return result;
    result = native->cuModuleGetGlobal(&at, &size, from->native, name);
    if (result == CUDA_SUCCESS && native->cuPointerGetAttribute)
        native->cuPointerGetAttribute(&is_managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, at);
    if (result == CUDA_SUCCESS && !is_managed) /* the guest refuses it otherwise */
        result = global_begin(lane->host, from, at, size);
    *managed = is_managed != 0;
    *address = at;
    *bytes = size;
    return cuda_leave(lane, result);
}

/* ---- Functions ------------------------------------------------------------------------------- */

void
cuda_function_finish(struct cuda_function *function)
{
    free(function->parameter_offsets);
    function->parameter_offsets = NULL;
    function->parameter_count = function->parameter_bytes = 0;
    function->kernel = false;
    atomic_store(&function->known, false);
}

int
cuda_function_layout(const struct cuda_driver *native, struct cuda_function *function, cuda_parameter_ask *ask,
                     uint32_t *offsets, size_t *offsets_count, uint32_t *sizes, size_t *sizes_count)
{
    size_t at, bytes, count = 0, room = 0;
    CUresult result;

    while ((result = ask(native, function, count, &at, &bytes)) == CUDA_SUCCESS) {
        if (count == PARAMETERS_MAX || at > UINT32_MAX / 2 || bytes > UINT32_MAX / 2)
            return CUDA_ERROR_NOT_SUPPORTED;
        if (count == room) {
            uint32_t *grown = realloc(function->parameter_offsets, (room = room ? room * 2 : 16) * sizeof(*grown));

            if (!grown)
                return CUDA_ERROR_OUT_OF_MEMORY;
            function->parameter_offsets = grown;
        }
        function->parameter_offsets[count] = (uint32_t)at;
        if (at + bytes > function->parameter_bytes)
            function->parameter_bytes = (uint32_t)(at + bytes);
        if (count < *offsets_count)
            offsets[count] = (uint32_t)at;
        if (count < *sizes_count)
            sizes[count] = (uint32_t)bytes;
        count++;
    }
    function->parameter_count = (uint32_t)count;
    *offsets_count = count < *offsets_count ? count : *offsets_count;
    *sizes_count = count < *sizes_count ? count : *sizes_count;
    return result == CUDA_ERROR_INVALID_VALUE ? 0 : result;
}

static CUresult
parameter_ask(const struct cuda_driver *native, const struct cuda_function *function, size_t index, size_t *offset,
              size_t *bytes)
{
    return native->cuFuncGetParamInfo(function->native, index, offset, bytes);
}

static size_t
read_attributes(const struct cuda_driver *native, CUfunction function, int32_t *attributes, size_t room)
{
    size_t count = room < FUNCTION_ATTRIBUTES ? room : FUNCTION_ATTRIBUTES;

    for (size_t i = 0; i < count; i++) {
        int value;

        if (native->cuFuncGetAttribute(&value, (CUfunction_attribute)i, function) == CUDA_SUCCESS)
            attributes[i] = value;
    }
    return count;
}

int
cuda_host_module_function(struct gpuvchan_request *request, struct cuda_function **made, struct cuda_module *from,
                          const char *name, uint32_t *offsets, size_t *offsets_count, uint32_t *sizes,
                          size_t *sizes_count, int32_t *attributes, size_t *attributes_count)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_function *function;
    int result;

    if (!native->cuFuncGetParamInfo)
        return cuda_driver_lacks(native, "cuFuncGetParamInfo");
    function = (struct cuda_function *)cuda_object_create(host, CUDA_OBJECT_FUNCTION);
    if (!function)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = cuda_enter(lane, &from->object, NULL);
    if (result == 0) {
        result = native->cuModuleGetFunction(&function->native, from->native, name);
        if (result == CUDA_SUCCESS)
            result = cuda_function_layout(native, function, parameter_ask, offsets, offsets_count, sizes, sizes_count);
        if (result == CUDA_SUCCESS) {
            *attributes_count = read_attributes(native, function->native, attributes, *attributes_count);
            function->kernel = false;
            atomic_store(&function->known, true);
            cuda_object_begin(host, &function->object, &from->object, request);
            *made = function;
        }
        cuda_leave(lane, 0);
    }
    if (result != 0)
        cuda_object_destroy(host, &function->object);
    return result;
}

void
cuda_discard_function(struct gpuvchan_request *request, struct cuda_function *object)
{
    cuda_object_close(cuda_lane_of(request), &object->object);
}

int
cuda_host_function_set_attribute(struct gpuvchan_request *request, struct cuda_function *on, int32_t attribute,
                                 int32_t value)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &on->object, NULL);

    if (result != 0)
        return result;
    if (on->kernel)
        return cuda_leave(lane, CUDA_ERROR_INVALID_HANDLE);
    result = cuda_native(request)->cuFuncSetAttribute(on->native, (CUfunction_attribute)attribute, value);
    return cuda_leave(lane, result);
}

int
cuda_host_function_set_cache_config(struct gpuvchan_request *request, struct cuda_function *on, int32_t config)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &on->object, NULL);

    if (result != 0)
        return result;
    if (on->kernel)
        return cuda_leave(lane, CUDA_ERROR_INVALID_HANDLE);
    return cuda_leave(lane, cuda_native(request)->cuFuncSetCacheConfig(on->native, (CUfunc_cache)config));
}

int
cuda_host_function_set_shared_config(struct gpuvchan_request *request, struct cuda_function *on, int32_t config)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!native->cuFuncSetSharedMemConfig)
        return cuda_driver_lacks(native, "cuFuncSetSharedMemConfig");
    result = cuda_enter(lane, &on->object, NULL);
    if (result != 0)
        return result;
    if (on->kernel) /* what it has no form of for kernels; it has no effect on devices of today */
        return cuda_leave(lane, 0);
    return cuda_leave(lane, native->cuFuncSetSharedMemConfig(on->native, (CUsharedconfig)config));
}

/* The function that a kernel is in the current context; any other is itself. */
static CUresult
function_here(const struct cuda_driver *native, const struct cuda_function *on, CUfunction *function)
{
    *function = on->native;
    return on->kernel ? native->cuKernelGetFunction(function, (CUkernel)on->native) : CUDA_SUCCESS;
}

int
cuda_host_function_load(struct gpuvchan_request *request, struct cuda_function *on)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUfunction function;
    int result;

    if (!native->cuFuncLoad)
        return cuda_driver_lacks(native, "cuFuncLoad");
    result = cuda_enter(lane, &on->object, NULL);
    if (result != 0)
        return result;
    result = function_here(native, on, &function);
    return cuda_leave(lane, result == CUDA_SUCCESS ? native->cuFuncLoad(function) : (CUresult)result);
}

int
cuda_host_function_is_loaded(struct gpuvchan_request *request, struct cuda_function *on, int32_t *state)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUfunctionLoadingState loaded = CU_FUNCTION_LOADING_STATE_UNLOADED;
    CUfunction function;
    int result;

    if (!native->cuFuncIsLoaded)
        return cuda_driver_lacks(native, "cuFuncIsLoaded");
    result = cuda_enter(lane, &on->object, NULL);
    if (result != 0)
        return result;
    result = function_here(native, on, &function);
    if (result == CUDA_SUCCESS)
        result = native->cuFuncIsLoaded(&loaded, function);
    *state = (int32_t)loaded;
    return cuda_leave(lane, result);
}

int
cuda_host_occupancy_blocks(struct gpuvchan_request *request, struct cuda_function *on, int32_t block_size,
                           uint64_t dynamic_bytes, uint32_t flags, int32_t *blocks)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &on->object, NULL);

    if (result != 0)
        return result;
    return cuda_leave(lane, cuda_native(request)->cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
                                blocks, on->native, block_size, dynamic_bytes, flags));
}
