/* SPDX-License-Identifier: MIT */
/* Device memory, host memory for the device, and what a pointer is. */
#include "graph.h"

#include <string.h>

/* For what captures forbid. */
static CUresult
enter_unsafe(struct sim_context **context)
{
    CUresult result = sim_enter(context);

    if (result)
        return result;
    result = sim_capture_unsafe();
    return result ? sim_end(result) : CUDA_SUCCESS;
}

static CUresult
alloc(enum range_kind kind, size_t size, unsigned int flags, uintptr_t *start)
{
    struct sim_context *context;
    CUresult result = enter_unsafe(&context);

    if (result)
        return result;
    return sim_end(sim_memory_alloc(sim_driver.memory, kind, context->device, context, size, flags, start));
}

static CUresult
release(enum range_kind kind, uintptr_t start)
{
    struct sim_context *context;
    CUresult result = enter_unsafe(&context);

    if (result)
        return result;
    return sim_end(sim_memory_free(sim_driver.memory, kind, start));
}

SIM_EXPORT CUresult
cuMemGetInfo_v2(size_t *free_bytes, size_t *total)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (free_bytes)
        *free_bytes = sim_memory_free_bytes(sim_driver.memory, context->device);
    if (total)
        *total = sim_memory_total(sim_driver.memory);
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuMemAlloc_v2(CUdeviceptr *address, size_t size)
{
    uintptr_t start;
    CUresult result;

    if (!address)
        return CUDA_ERROR_INVALID_VALUE;
    result = alloc(RANGE_DEVICE, size, 0, &start);
    if (!result)
        *address = start;
    return result;
}

SIM_EXPORT CUresult
cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height, unsigned int element)
{
    size_t row;
    CUresult result;

    if (!address || !pitch || (element != 4 && element != 8 && element != 16) || width > SIZE_MAX / 4 || height == 0)
        return CUDA_ERROR_INVALID_VALUE;
    row = (width + 511) & ~(size_t)511;
    if (row && height > SIZE_MAX / 2 / row)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = cuMemAlloc_v2(address, row * height);
    if (!result)
        *pitch = row;
    return result;
}

SIM_EXPORT CUresult
cuMemAllocManaged(CUdeviceptr *address, size_t size, unsigned int flags)
{
    uintptr_t start;
    CUresult result;

    if (!address || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
        return CUDA_ERROR_INVALID_VALUE;
    result = alloc(RANGE_MANAGED, size, flags, &start);
    if (!result)
        *address = start;
    return result;
}

CUresult
sim_free(CUdeviceptr address)
{
    struct sim_context *context;
    CUresult result;

    sim_pool_forget(address);
    result = sim_enter(&context);
    return result ? result : sim_end(sim_memory_free(sim_driver.memory, RANGE_DEVICE, address));
}

SIM_EXPORT CUresult
cuMemFree_v2(CUdeviceptr address)
{
    struct sim_context *context;
    CUresult result;

    if (!address)
        return CUDA_SUCCESS;
    result = enter_unsafe(&context);
    if (result)
        return result;
    if (sim_graph_memory(address)) /* the graph allocates it again */
        return sim_end(CUDA_SUCCESS);
    sim_end(CUDA_SUCCESS);
    return sim_free(address);
}

/* The device's memory is that of one process: there is nothing to share. */

SIM_EXPORT CUresult
cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr address)
{
    (void)address;
    return handle ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
}

SIM_EXPORT CUresult
cuIpcOpenMemHandle_v2(CUdeviceptr *address, CUipcMemHandle handle, unsigned int flags)
{
    (void)handle;
    (void)flags;
    return address ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
}

SIM_EXPORT CUresult
cuIpcCloseMemHandle(CUdeviceptr address)
{
    (void)address;
    return CUDA_ERROR_INVALID_VALUE;
}

SIM_EXPORT CUresult
cuIpcGetEventHandle(CUipcEventHandle *handle, CUevent event)
{
    (void)event;
    return handle ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
}

SIM_EXPORT CUresult
cuIpcOpenEventHandle(CUevent *event, CUipcEventHandle handle)
{
    (void)handle;
    return event ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
}

SIM_EXPORT CUresult
cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size, CUdeviceptr address)
{
    struct sim_context *context;
    struct range range;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!sim_memory_range(sim_driver.memory, address, &range))
        return sim_end(CUDA_ERROR_NOT_FOUND);
    if (base)
        *base = range.start;
    if (size)
        *size = range.size;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuMemHostAlloc(void **address, size_t size, unsigned int flags)
{
    uintptr_t start;
    CUresult result;

    if (!address || (flags & ~(CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED)))
        return CUDA_ERROR_INVALID_VALUE;
    if (size == 0) {
        *address = NULL;
        return CUDA_SUCCESS;
    }
    result = alloc(RANGE_HOST, size, flags, &start);
    if (!result)
        *address = (void *)start;
    return result;
}

SIM_EXPORT CUresult
cuMemAllocHost_v2(void **address, size_t size)
{
    return cuMemHostAlloc(address, size, CU_MEMHOSTALLOC_DEVICEMAP);
}

SIM_EXPORT CUresult
cuMemFreeHost(void *address)
{
    if (!address)
        return CUDA_SUCCESS;
    return release(RANGE_HOST, (uintptr_t)address);
}

SIM_EXPORT CUresult
cuMemHostRegister_v2(void *address, size_t size, unsigned int flags)
{
    struct sim_context *context;
    CUresult result = enter_unsafe(&context);

    if (result)
        return result;
    if (flags & ~(CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_IOMEMORY |
                  CU_MEMHOSTREGISTER_READ_ONLY))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    return sim_end(sim_memory_register(sim_driver.memory, context->device, context, address, size, flags));
}
SIM_SYNONYM(cuMemHostRegister, cuMemHostRegister_v2);

SIM_EXPORT CUresult
cuMemHostUnregister(void *address)
{
    CUresult result = release(RANGE_REGISTERED, (uintptr_t)address);

    return result == CUDA_ERROR_INVALID_VALUE && address ? CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED : result;
}

/* Host memory that the device may reach, and its range. */
static CUresult
enter_host(const void *address, struct range *range)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!sim_memory_range(sim_driver.memory, (uintptr_t)address, range) ||
        (range->kind != RANGE_HOST && range->kind != RANGE_REGISTERED))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuMemHostGetDevicePointer_v2(CUdeviceptr *device, void *host, unsigned int flags)
{
    struct range range;
    CUresult result;

    if (!device || flags)
        return CUDA_ERROR_INVALID_VALUE;
    result = enter_host(host, &range);
    if (result)
        return result;
    *device = (uintptr_t)host;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuMemHostGetFlags(unsigned int *flags, void *host)
{
    struct range range;
    CUresult result;

    if (!flags)
        return CUDA_ERROR_INVALID_VALUE;
    result = enter_host(host, &range);
    if (result)
        return result;
    *flags = range.flags | CU_MEMHOSTALLOC_DEVICEMAP;
    return sim_end(CUDA_SUCCESS);
}

/* Attributes of pointers. */

/* One attribute of a range; NULL for memory that the driver does not know. */
static CUresult
write_attribute(void *data, CUpointer_attribute attribute, const struct range *range, CUdeviceptr address)
{
    bool host = range && (range->kind == RANGE_HOST || range->kind == RANGE_REGISTERED);
    bool seen = host || (range && range->kind == RANGE_MANAGED);

    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
        *(CUcontext *)data = range ? (CUcontext)range->context : NULL;
        break;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        *(unsigned int *)data = !range ? 0 : host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
        break;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
        *(CUdeviceptr *)data = range ? address : 0;
        break;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        *(void **)data = seen ? (void *)(uintptr_t)address : NULL;
        break;
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
        *(unsigned long long *)data = range ? range->id : 0;
        break;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
        *(unsigned int *)data =
            range && (range->kind == RANGE_MANAGED ||
                      (range->kind == RANGE_MODULE && sim_is_managed_variable(range->context, address)));
        break;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        *(int *)data = range ? range->device : CU_DEVICE_INVALID;
        break;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
        *(CUdeviceptr *)data = range ? range->start : 0;
        break;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
        *(size_t *)data = range ? range->size : 0;
        break;
    case CU_POINTER_ATTRIBUTE_MAPPED:
        *(unsigned int *)data = range != NULL;
        break;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
        *(unsigned int *)data = 0;
        break;
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
        *(unsigned long long *)data = 0;
        break;
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
        *(unsigned int *)data = range ? CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE : 0;
        break;
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
        *(void **)data = range && range->kind == RANGE_POOLED ? range->pool : NULL;
        break;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr address)
{
    struct sim_context *context;
    struct range range;
    CUresult result = sim_enter_any(&context);

    if (result)
        return result;
    if (!data || !sim_memory_range(sim_driver.memory, address, &range))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    return sim_end(write_attribute(data, attribute, &range, address));
}

SIM_EXPORT CUresult
cuPointerGetAttributes(unsigned int count, CUpointer_attribute *attributes, void **data, CUdeviceptr address)
{
    struct sim_context *context;
    struct range range;
    CUresult result = sim_enter_any(&context);
    unsigned int i;
    bool known;

    if (result)
        return result;
    if (!attributes || !data)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    known = sim_memory_range(sim_driver.memory, address, &range);
    for (i = 0; i < count && !result; i++)
        result = data[i] ? write_attribute(data[i], attributes[i], known ? &range : NULL, address)
                         : CUDA_ERROR_INVALID_VALUE;
    return sim_end(result);
}

SIM_EXPORT CUresult
cuPointerSetAttribute(const void *value, CUpointer_attribute attribute, CUdeviceptr address)
{
    struct sim_context *context;
    struct range range;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!value || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS ||
        !sim_memory_range(sim_driver.memory, address, &range))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    return sim_end(CUDA_SUCCESS); /* every copy is synchronous already */
}
