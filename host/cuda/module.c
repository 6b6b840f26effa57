/* SPDX-License-Identifier: MIT */
/* Modules and their functions and globals. */
#include "cuda_plugin.h"

#include <stdlib.h>
#include <string.h>

#include "image.h"

#define FUNCTION_ATTRIBUTES 16u /* numbers that this version of the API knows */
#define PARAMETERS_MAX 4096u    /* no kernel has more: each has at least a byte of 32764 and drivers allow fewer */

/* ---- Options of the compiler ----------------------------------------------------------------- */

struct options {
    CUjit_option names[CUDA_MODULE_LOAD_OPTIONS_MAX + 4];
    void *values[CUDA_MODULE_LOAD_OPTIONS_MAX + 4];
    unsigned int count;
};

static void
add(struct options *options, CUjit_option name, uint64_t value)
{
    options->names[options->count] = name;
    options->values[options->count++] = (void *)(uintptr_t)value;
}

/* Options whose value is a number. All others hold pointers, or are not known: the driver would follow them. */
static bool
is_number(uint32_t option)
{
    static const bool numbers[CU_JIT_NUM_OPTIONS] = {
        [CU_JIT_MAX_REGISTERS] = true,
        [CU_JIT_THREADS_PER_BLOCK] = true,
        [CU_JIT_OPTIMIZATION_LEVEL] = true,
        [CU_JIT_TARGET_FROM_CUCONTEXT] = true,
        [CU_JIT_TARGET] = true,
        [CU_JIT_FALLBACK_STRATEGY] = true,
        [CU_JIT_GENERATE_DEBUG_INFO] = true,
        [CU_JIT_LOG_VERBOSE] = true,
        [CU_JIT_GENERATE_LINE_INFO] = true,
        [CU_JIT_CACHE_MODE] = true,
        [CU_JIT_FAST_COMPILE] = true,
        [CU_JIT_LTO] = true,
        [CU_JIT_FTZ] = true,
        [CU_JIT_PREC_DIV] = true,
        [CU_JIT_PREC_SQRT] = true,
        [CU_JIT_FMA] = true,
        [CU_JIT_POSITION_INDEPENDENT_CODE] = true,
        [CU_JIT_MIN_CTA_PER_SM] = true,
        [CU_JIT_MAX_THREADS_PER_BLOCK] = true,
        [CU_JIT_OVERRIDE_DIRECTIVE_VALUES] = true,
        [CU_JIT_SPLIT_COMPILE] = true,
        [CU_JIT_OPTIMIZE_UNUSED_DEVICE_VARIABLES] = true,
    };

    return option < CU_JIT_NUM_OPTIONS && numbers[option];
}

static int
take_options(struct options *options, const uint32_t *names, size_t names_count, const uint64_t *values,
             size_t values_count)
{
    if (names_count != values_count)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < names_count; i++) {
        if (is_number(names[i]))
            add(options, (CUjit_option)names[i], values[i]);
        else if (names[i] < CU_JIT_WALL_TIME || names[i] > CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
            return CUDA_ERROR_INVALID_VALUE;
        /* Times and logs are outputs: log_bytes and module_log() stand for the latter. */
    }
    return 0;
}

void
cuda_lane_forget_logs(struct cuda_lane *lane)
{
    free(lane->info_log);
    free(lane->error_log);
    lane->info_log = lane->error_log = NULL;
}

static bool
take_logs(struct cuda_lane *lane, struct options *options, uint32_t bytes)
{
    cuda_lane_forget_logs(lane);
    if (bytes == 0)
        return true;
    if (bytes > CUDA_LOG_MAX)
        bytes = CUDA_LOG_MAX;
    lane->info_log = calloc(1, CUDA_LOG_MAX);
    lane->error_log = calloc(1, CUDA_LOG_MAX);
    if (!lane->info_log || !lane->error_log)
        return false;
    add(options, CU_JIT_INFO_LOG_BUFFER, (uintptr_t)lane->info_log);
    add(options, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, bytes);
    add(options, CU_JIT_ERROR_LOG_BUFFER, (uintptr_t)lane->error_log);
    add(options, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, bytes);
    return true;
}

/* ---- Modules --------------------------------------------------------------------------------- */

static int
load(struct gpuvchan_request *request, const void *image, struct options *options, struct cuda_module **made)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_module *module = (struct cuda_module *)cuda_object_create(host, CUDA_OBJECT_MODULE);
    int result = module ? cuda_enter(lane, NULL, NULL) : CUDA_ERROR_OUT_OF_MEMORY;

    if (result == 0) {
        result =
            host->native->cuModuleLoadDataEx(&module->native, image, options->count, options->names, options->values);
        if (result == 0) {
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
    struct options options = {.count = 0};
    int result = take_options(&options, names, names_count, values, values_count);
    void *copy;

    if (result != 0)
        return result;
    if (!take_logs(lane, &options, log_bytes))
        return CUDA_ERROR_OUT_OF_MEMORY;
    copy = cuda_image_copy(image, image_bytes, &result);
    if (!copy)
        return result;
    result = load(request, copy, &options, made);
    free(copy);
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
                        CUdeviceptr *address, uint64_t *bytes)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &from->object, NULL);
    CUdeviceptr at = 0;
    size_t size = 0;

    if (result != 0)
        return result;
    result = cuda_native(request)->cuModuleGetGlobal(&at, &size, from->native, name);
    if (result == CUDA_SUCCESS)
        result = global_begin(lane->host, from, at, size);
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
}

/* Where the parameters lie, for the guest and for our own checks; ends with the driver's INVALID_VALUE. */
static int
read_layout(const struct cuda_driver *native, struct cuda_function *function, uint32_t *offsets, size_t *offsets_count,
            uint32_t *sizes, size_t *sizes_count)
{
    size_t at, bytes, count = 0, room = 0;
    CUresult result;

    while ((result = native->cuFuncGetParamInfo(function->native, count, &at, &bytes)) == CUDA_SUCCESS) {
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
            result = read_layout(native, function, offsets, offsets_count, sizes, sizes_count);
        if (result == CUDA_SUCCESS) {
            *attributes_count = read_attributes(native, function->native, attributes, *attributes_count);
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
    return cuda_leave(lane, cuda_native(request)->cuFuncSetCacheConfig(on->native, (CUfunc_cache)config));
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
