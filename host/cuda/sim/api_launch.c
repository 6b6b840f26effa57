/* SPDX-License-Identifier: MIT */
/*
 * Functions, their attributes, occupancy, launches. A launch checks what CUDA
 * checks at once, runs the kernel, and keeps a fault for the calls that follow.
 */
#include "graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static CUresult
enter_function(CUfunction handle, struct sim_context **context, struct sim_function_handle **function)
{
    CUresult result = sim_enter(context);

    if (result)
        return result;
    *function = sim_object_find(handle, OBJECT_FUNCTION);
    result = *function ? sim_function_in(*context, function) : CUDA_ERROR_INVALID_HANDLE;
    return result ? sim_end(result) : CUDA_SUCCESS;
}

static uint32_t
product(const uint32_t n[3])
{
    uint64_t threads = (uint64_t)n[0] * n[1] * n[2];

    return !n[0] || threads > SIM_MAX_THREADS ? SIM_MAX_THREADS : (uint32_t)threads;
}

/* .reqntid is as strict as it is; .maxntid bounds the product. */
static uint32_t
max_threads(const struct sim_function *function)
{
    if (function->required_threads[0])
        return product(function->required_threads);
    return product(function->max_threads);
}

static CUresult
get_attribute(const struct sim_function_handle *handle, CUfunction_attribute attribute, int *value)
{
    const struct sim_function *function = sim_function_of(handle);

    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
        *value = (int)max_threads(function);
        break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
        *value = (int)function->shared_bytes;
        break;
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
        *value = (int)function->local_size;
        break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS:
        *value = function->slots < 255 ? (int)function->slots : 255;
        break;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
        *value = (int)handle->module->target;
        break;
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
        *value = SIM_CAPABILITY;
        break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        *value = handle->max_dynamic_shared;
        break;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        *value = handle->carveout;
        break;
    case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
    case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA:
    case CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
    case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
        *value = 0;
        break;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction handle)
{
    struct sim_context *context;
    struct sim_function_handle *function;
    CUresult result = enter_function(handle, &context, &function);

    if (result)
        return result;
    return sim_end(value ? get_attribute(function, attribute, value) : CUDA_ERROR_INVALID_VALUE);
}

static CUresult
set_attribute(struct sim_function_handle *function, CUfunction_attribute attribute, int value)
{
    int most = (int)SIM_MAX_SHARED - (int)sim_function_of(function)->shared_bytes;
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        if (value < 0 || value > most)
            return CUDA_ERROR_INVALID_VALUE;
        function->max_dynamic_shared = value;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        if (value < -1 || value > 100)
            return CUDA_ERROR_INVALID_VALUE;
        function->carveout = value;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
    case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

SIM_EXPORT CUresult
cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value)
{
    struct sim_context *context;
    struct sim_function_handle *function;
    CUresult result = enter_function(handle, &context, &function);

    return result ? result : sim_end(set_attribute(function, attribute, value));
}

SIM_EXPORT CUresult
cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache config)
{
    struct sim_context *context;
    struct sim_function_handle *function;
    CUresult result = enter_function(handle, &context, &function);

    if (result)
        return result;
    if (config > CU_FUNC_CACHE_PREFER_EQUAL)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    function->cache_config = config;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuFuncSetSharedMemConfig(CUfunction handle, CUsharedconfig config)
{
    struct sim_context *context;
    struct sim_function_handle *function;
    CUresult result = enter_function(handle, &context, &function);

    if (result)
        return result;
    return sim_end(config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuFuncGetName(const char **name, CUfunction handle)
{
    struct sim_context *context;
    struct sim_function_handle *function;
    CUresult result = enter_function(handle, &context, &function);

    if (result)
        return result;
    if (!name)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *name = sim_function_of(function)->name;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuFuncGetModule(CUmodule *module, CUfunction handle)
{
    struct sim_context *context;
    struct sim_function_handle *function;
    CUresult result = enter_function(handle, &context, &function);

    if (result)
        return result;
    if (!module)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *module = (CUmodule)function->module;
    return sim_end(CUDA_SUCCESS);
}

static CUresult
param_info(const struct sim_function_handle *function, size_t index, size_t *offset, size_t *size)
{
    const struct sim_function *kernel = sim_function_of(function);

    if (!offset || index >= kernel->param_count)
        return CUDA_ERROR_INVALID_VALUE;
    *offset = kernel->params[index].offset;
    if (size)
        *size = kernel->params[index].size;
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuFuncGetParamInfo(CUfunction handle, size_t index, size_t *offset, size_t *size)
{
    struct sim_context *context;
    struct sim_function_handle *function;
    CUresult result = enter_function(handle, &context, &function);

    return result ? result : sim_end(param_info(function, index, offset, size));
}

SIM_EXPORT CUresult
cuFuncIsLoaded(CUfunctionLoadingState *state, CUfunction handle)
{
    struct sim_context *context;
    struct sim_function_handle *function;
    CUresult result = enter_function(handle, &context, &function);

    if (result)
        return result;
    if (!state)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *state = CU_FUNCTION_LOADING_STATE_LOADED;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuFuncLoad(CUfunction handle)
{
    struct sim_context *context;
    struct sim_function_handle *function;
    CUresult result = enter_function(handle, &context, &function);

    return result ? result : sim_end(CUDA_SUCCESS);
}

/* Kernels of libraries, which need no context. */

static CUresult
begin_kernel(CUkernel handle, struct sim_function_handle **function)
{
    CUresult result = sim_begin();

    if (result)
        return result;
    *function = sim_object_find(handle, OBJECT_FUNCTION);
    return *function && (*function)->module->library ? CUDA_SUCCESS : sim_end(CUDA_ERROR_INVALID_HANDLE);
}

static CUresult
begin_kernel_on(CUkernel handle, CUdevice device, struct sim_function_handle **function)
{
    CUresult result = begin_kernel(handle, function);

    if (!result && (device < 0 || device >= sim_driver.device_count))
        return sim_end(CUDA_ERROR_INVALID_DEVICE);
    return result;
}

SIM_EXPORT CUresult
cuKernelGetFunction(CUfunction *handle, CUkernel kernel)
{
    struct sim_context *context;
    struct sim_function_handle *function;
    CUresult result = enter_function((CUfunction)kernel, &context, &function);

    if (result)
        return result;
    if (!handle)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *handle = (CUfunction)function;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuKernelGetLibrary(CUlibrary *library, CUkernel kernel)
{
    struct sim_function_handle *function;
    CUresult result = begin_kernel(kernel, &function);

    if (result)
        return result;
    if (!library)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *library = (CUlibrary)function->module->library;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuKernelGetName(const char **name, CUkernel kernel)
{
    struct sim_function_handle *function;
    CUresult result = begin_kernel(kernel, &function);

    if (result)
        return result;
    if (!name)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *name = sim_function_of(function)->name;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuKernelGetParamInfo(CUkernel kernel, size_t index, size_t *offset, size_t *size)
{
    struct sim_function_handle *function;
    CUresult result = begin_kernel(kernel, &function);

    if (result)
        return result;
    return sim_end(sim_current() ? param_info(function, index, offset, size) : CUDA_ERROR_INVALID_CONTEXT);
}

SIM_EXPORT CUresult
cuKernelGetAttribute(int *value, CUfunction_attribute attribute, CUkernel kernel, CUdevice device)
{
    struct sim_function_handle *function;
    CUresult result = begin_kernel_on(kernel, device, &function);

    if (result)
        return result;
    return sim_end(value ? get_attribute(function, attribute, value) : CUDA_ERROR_INVALID_VALUE);
}

SIM_EXPORT CUresult
cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel kernel, CUdevice device)
{
    struct sim_function_handle *function;
    CUresult result = begin_kernel_on(kernel, device, &function);

    return result ? result : sim_end(set_attribute(function, attribute, value));
}

SIM_EXPORT CUresult
cuKernelSetCacheConfig(CUkernel kernel, CUfunc_cache config, CUdevice device)
{
    struct sim_function_handle *function;
    CUresult result = begin_kernel_on(kernel, device, &function);

    if (result)
        return result;
    if (config > CU_FUNC_CACHE_PREFER_EQUAL)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    function->cache_config = config;
    return sim_end(CUDA_SUCCESS);
}

/* Occupancy: threads, blocks and shared memory bound it. */

static int
active_blocks(const struct sim_function_handle *handle, int block_size, size_t dynamic)
{
    const struct sim_function *function = sim_function_of(handle);
    size_t shared = function->shared_bytes + dynamic + 1024;
    size_t threads = ((size_t)block_size + SIM_LANES - 1) / SIM_LANES * SIM_LANES;
    size_t blocks = 2048 / threads, by_shared = (SIM_MAX_SHARED + 1024) / shared;

    if ((uint32_t)block_size > max_threads(function) || dynamic > (size_t)handle->max_dynamic_shared)
        return 0;
    if (blocks > 32)
        blocks = 32;
    return (int)(blocks < by_shared ? blocks : by_shared);
}

SIM_EXPORT CUresult
cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction handle, int block_size, size_t dynamic,
                                                     unsigned int flags)
{
    struct sim_context *context;
    struct sim_function_handle *function;
    CUresult result = enter_function(handle, &context, &function);

    if (result)
        return result;
    if (!blocks || block_size <= 0 || flags & ~(unsigned int)CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *blocks = active_blocks(function, block_size, dynamic);
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction handle, int block_size, size_t dynamic)
{
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, handle, block_size, dynamic, 0);
}

SIM_EXPORT CUresult
cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid, int *block, CUfunction handle, CUoccupancyB2DSize dynamic_of,
                                          size_t dynamic, int limit, unsigned int flags)
{
    struct sim_context *context;
    struct sim_function_handle *function;
    CUresult result = enter_function(handle, &context, &function);
    int size, best = 0, best_blocks = 0, most;

    if (result)
        return result;
    if (!grid || !block || flags & ~(unsigned int)CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    most = (int)max_threads(sim_function_of(function));
    if (limit > 0 && limit < most)
        most = limit;
    for (size = most; size > 0; size -= size % SIM_LANES ? size % SIM_LANES : SIM_LANES) {
        int blocks = active_blocks(function, size, dynamic_of ? dynamic_of(size) : dynamic);

        if (blocks * size > best_blocks * best) {
            best = size;
            best_blocks = blocks;
        }
    }
    *grid = best_blocks * (int)sim_units(function->module->object.context->device);
    *block = best;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuOccupancyMaxPotentialBlockSize(int *grid, int *block, CUfunction handle, CUoccupancyB2DSize dynamic_of,
                                 size_t dynamic, int limit)
{
    return cuOccupancyMaxPotentialBlockSizeWithFlags(grid, block, handle, dynamic_of, dynamic, limit, 0);
}

SIM_EXPORT CUresult
cuOccupancyAvailableDynamicSMemPerBlock(size_t *dynamic, CUfunction handle, int blocks, int block_size)
{
    struct sim_context *context;
    struct sim_function_handle *function;
    CUresult result = enter_function(handle, &context, &function);
    size_t room, fixed;

    if (result)
        return result;
    if (!dynamic || blocks <= 0 || block_size <= 0)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    room = (SIM_MAX_SHARED + 1024) / (size_t)blocks;
    fixed = sim_function_of(function)->shared_bytes + 1024;
    *dynamic = room > fixed ? room - fixed : 0;
    if (*dynamic > (size_t)function->max_dynamic_shared)
        *dynamic = (size_t)function->max_dynamic_shared;
    return sim_end(CUDA_SUCCESS);
}

/* A cluster has one block here. */

static bool
is_one_block(const CUlaunchAttributeValue *value)
{
    return value->clusterDim.x == 1 && value->clusterDim.y == 1 && value->clusterDim.z == 1;
}

SIM_EXPORT CUresult
cuOccupancyMaxActiveClusters(int *clusters, CUfunction handle, const CUlaunchConfig *c)
{
    struct sim_context *context;
    struct sim_function_handle *function;
    CUresult result = enter_function(handle, &context, &function);
    unsigned int i;

    if (result)
        return result;
    if (!clusters || !c || (c->numAttrs && !c->attrs))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    for (i = 0; i < c->numAttrs; i++)
        if (c->attrs[i].id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION && !is_one_block(&c->attrs[i].value))
            return sim_end(CUDA_ERROR_INVALID_CLUSTER_SIZE);
    *clusters = active_blocks(function, (int)(c->blockDimX * c->blockDimY * c->blockDimZ), c->sharedMemBytes) *
                (int)sim_units(function->module->object.context->device);
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuOccupancyMaxPotentialClusterSize(int *size, CUfunction handle, const CUlaunchConfig *c)
{
    struct sim_context *context;
    struct sim_function_handle *function;
    CUresult result = enter_function(handle, &context, &function);

    if (result)
        return result;
    if (!size || !c)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *size = 1;
    return sim_end(CUDA_SUCCESS);
}

/* Launches. */

static bool
is_shape(const CUlaunchConfig *c)
{
    return c->gridDimX && c->gridDimX <= 0x7fffffff && c->gridDimY && c->gridDimY <= 65535 && c->gridDimZ &&
           c->gridDimZ <= 65535 && c->blockDimX && c->blockDimX <= 1024 && c->blockDimY && c->blockDimY <= 1024 &&
           c->blockDimZ && c->blockDimZ <= 64 &&
           (uint64_t)c->blockDimX * c->blockDimY * c->blockDimZ <= SIM_MAX_THREADS;
}

static CUresult
check_shape(const struct sim_function_handle *handle, const CUlaunchConfig *c)
{
    const struct sim_function *kernel = sim_function_of(handle);
    const uint32_t *required = kernel->required_threads;

    if (!is_shape(c) || c->sharedMemBytes > (unsigned int)handle->max_dynamic_shared)
        return CUDA_ERROR_INVALID_VALUE;
    if (c->blockDimX * c->blockDimY * c->blockDimZ > max_threads(kernel))
        return CUDA_ERROR_INVALID_VALUE;
    if (required[0] && (c->blockDimX != required[0] || c->blockDimY != required[1] || c->blockDimZ != required[2]))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

/* Ends at CU_LAUNCH_PARAM_END; a list without end is cut after a few. */
static CUresult
packed_params(void **extra, const void **buffer, size_t *size)
{
    const size_t *size_p = NULL;
    int i;

    *buffer = NULL;
    for (i = 0; i < 16 && extra[i] != CU_LAUNCH_PARAM_END; i += 2)
        if (extra[i] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            *buffer = extra[i + 1];
        else if (extra[i] == CU_LAUNCH_PARAM_BUFFER_SIZE)
            size_p = extra[i + 1];
        else
            return CUDA_ERROR_INVALID_VALUE;
    if (i >= 16 || (*buffer && !size_p))
        return CUDA_ERROR_INVALID_VALUE;
    *size = size_p ? *size_p : 0;
    return CUDA_SUCCESS;
}

static CUresult
gather_params(const struct sim_function *kernel, void **params, void **extra, unsigned char *buffer)
{
    const void *packed;
    size_t size;
    CUresult result;
    uint32_t i;

    if (params && extra)
        return CUDA_ERROR_INVALID_VALUE;
    if (extra) {
        result = packed_params(extra, &packed, &size);
        if (result)
            return result;
        if (!packed || size < kernel->param_bytes)
            return kernel->param_bytes ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
        memcpy(buffer, packed, kernel->param_bytes);
        return CUDA_SUCCESS;
    }
    if (!params)
        return kernel->param_count ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    for (i = 0; i < kernel->param_count; i++)
        memcpy(buffer + kernel->params[i].offset, params[i], kernel->params[i].size);
    return CUDA_SUCCESS;
}

#define WORKSPACE_BYTES 4096

/* The context or green context whose multiprocessors a stream has. */
static const struct sim_context *
place_of(CUstream handle)
{
    const struct sim_stream *stream = sim_object_find(handle, OBJECT_STREAM);

    return stream ? stream->view : sim_view();
}

/* All blocks of a cooperative launch must fit the device at once. */
static bool
fits(const struct sim_function_handle *handle, const CUlaunchConfig *c)
{
    int block = (int)(c->blockDimX * c->blockDimY * c->blockDimZ);
    uint64_t room = (uint64_t)active_blocks(handle, block, c->sharedMemBytes) * place_of(c->hStream)->units;

    return (uint64_t)c->gridDimX * c->gridDimY <= room && (uint64_t)c->gridDimX * c->gridDimY * c->gridDimZ <= room;
}

/* Its own memory, that of peers, and what was mapped or granted for it. */
static bool
reaches(const struct launch *launch, const struct range *range)
{
    switch (range->kind) {
    case RANGE_HOST:
    case RANGE_REGISTERED:
    case RANGE_MANAGED:
        return true;
    case RANGE_MAPPED:
        return range->reachable >> launch->ordinal & 1;
    case RANGE_POOLED:
        return range->device == launch->ordinal || sim_pool_reachable(range->pool, launch->ordinal);
    default:
        return range->device == launch->ordinal || sim_is_peer(launch->context, range->context);
    }
}

static CUresult
run(struct sim_context *context, const struct sim_function_handle *handle, const CUlaunchConfig *c, bool cooperative,
    unsigned char *params)
{
    struct launch launch = {
        .code = handle->module->code,
        .kernel = sim_function_of(handle),
        .grid = {c->gridDimX, c->gridDimY, c->gridDimZ},
        .block = {c->blockDimX, c->blockDimY, c->blockDimZ},
        .dynamic_shared = c->sharedMemBytes,
        .cooperative = cooperative,
        .params = params,
        .param_bytes = sim_function_of(handle)->param_bytes,
        .memory = sim_driver.memory,
        .ordinal = context->device,
        .context = context,
        .first_unit = place_of(c->hStream)->first_unit,
        .units = place_of(c->hStream)->units,
        .reaches = reaches,
        .grid_id = ++sim_driver.launches,
    };
    char message[256];
    uintptr_t workspace = 0;
    CUresult result;

    if (cooperative) {
        result =
            sim_memory_alloc(sim_driver.memory, RANGE_MODULE, context->device, context, WORKSPACE_BYTES, 0, &workspace);
        if (result)
            return result;
        launch.workspace = workspace;
    }
    context->error = sim_launch_run(&launch, message, sizeof message);
    if (context->error)
        fprintf(stderr, "%s\n", message);
    if (workspace)
        sim_memory_free(sim_driver.memory, RANGE_MODULE, workspace);
    return CUDA_SUCCESS;
}

static CUresult
capture(struct sim_track *track, struct sim_function_handle *handle, const CUlaunchConfig *c, bool cooperative,
        unsigned char *values)
{
    const struct sim_function *kernel = sim_function_of(handle);
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_KERNEL};
    void **pointers = calloc(kernel->param_count + 1ul, sizeof(void *));
    CUresult result;

    if (!pointers)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < kernel->param_count; i++)
        pointers[i] = values + kernel->params[i].offset;
    params.kernel = (CUDA_KERNEL_NODE_PARAMS_v3){.func = (CUfunction)handle,
                                                 .gridDimX = c->gridDimX,
                                                 .gridDimY = c->gridDimY,
                                                 .gridDimZ = c->gridDimZ,
                                                 .blockDimX = c->blockDimX,
                                                 .blockDimY = c->blockDimY,
                                                 .blockDimZ = c->blockDimZ,
                                                 .sharedMemBytes = c->sharedMemBytes,
                                                 .kernelParams = pointers};
    result = cooperative ? CUDA_ERROR_NOT_SUPPORTED : sim_capture(track, &params);
    free(pointers);
    return result;
}

static CUresult
launch(CUfunction f, const CUlaunchConfig *c, bool cooperative, void **params, void **extra)
{
    struct sim_context *context;
    struct sim_function_handle *function;
    unsigned char *buffer;
    CUresult result = enter_function(f, &context, &function);

    if (result)
        return result;
    if (function->object.context != context)
        return sim_end(CUDA_ERROR_INVALID_HANDLE);
    result = sim_stream_check(c->hStream);
    if (!result)
        result = check_shape(function, c);
    if (!result && cooperative && !fits(function, c))
        result = CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
    if (result)
        return sim_end(result);
    buffer = calloc(1, sim_function_of(function)->param_bytes + 64ul);
    if (!buffer)
        return sim_end(CUDA_ERROR_OUT_OF_MEMORY);
    result = gather_params(sim_function_of(function), params, extra, buffer);
    if (!result && sim_captured(c->hStream))
        result = capture(sim_captured(c->hStream), function, c, cooperative, buffer);
    else if (!result)
        result = run(context, function, c, cooperative, buffer);
    free(buffer);
    return sim_end(result);
}

SIM_EXPORT CUresult
cuLaunchKernel(CUfunction f, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z, unsigned int block_x,
               unsigned int block_y, unsigned int block_z, unsigned int shared, CUstream stream, void **params,
               void **extra)
{
    CUlaunchConfig c = {grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, stream, NULL, 0};

    return launch(f, &c, false, params, extra);
}
SIM_SYNONYM(cuLaunchKernel_ptsz, cuLaunchKernel);

SIM_EXPORT CUresult
cuLaunchCooperativeKernel(CUfunction f, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                          unsigned int block_x, unsigned int block_y, unsigned int block_z, unsigned int shared,
                          CUstream stream, void **params)
{
    CUlaunchConfig c = {grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, stream, NULL, 0};

    return launch(f, &c, true, params, NULL);
}
SIM_SYNONYM(cuLaunchCooperativeKernel_ptsz, cuLaunchCooperativeKernel);

SIM_EXPORT CUresult
cuLaunchKernelEx(const CUlaunchConfig *c, CUfunction f, void **params, void **extra)
{
    bool cooperative = false;
    unsigned int i;

    if (!c || (c->numAttrs && !c->attrs))
        return CUDA_ERROR_INVALID_VALUE;
    for (i = 0; i < c->numAttrs; i++)
        switch (c->attrs[i].id) {
        case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
            cooperative = c->attrs[i].value.cooperative != 0;
            break;
        case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
            if (!is_one_block(&c->attrs[i].value))
                return CUDA_ERROR_INVALID_CLUSTER_SIZE;
            break;
        default:
            break; /* the others only advise */
        }
    return launch(f, c, cooperative, params, extra);
}
SIM_SYNONYM(cuLaunchKernelEx_ptsz, cuLaunchKernelEx);
