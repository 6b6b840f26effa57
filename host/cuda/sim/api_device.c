/* SPDX-License-Identifier: MIT */
/* Start, errors, devices and what they say of themselves. */
#include "driver.h"

#include "../../../libgpuvchan/protocol/cuda/cuda_copy.h"

#include <stdio.h>
#include <string.h>

static const char device_name[] = "gpuvchan simulated device (CPU)";

SIM_EXPORT CUresult
cuDriverGetVersion(int *version)
{
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    *version = SIM_DRIVER_VERSION;
    return CUDA_SUCCESS;
}

static const struct {
    CUresult value;
    const char *name, *text;
} results[] = {
#define RESULT_ROW(name, value, text) {name, #name, text},
    GPUVCHAN_CUDA_RESULTS(RESULT_ROW)
#undef RESULT_ROW
};

static int
find_result(CUresult error)
{
    size_t i;

    for (i = 0; i < sizeof results / sizeof results[0]; i++)
        if (results[i].value == error)
            return (int)i;
    return -1;
}

SIM_EXPORT CUresult
cuGetErrorName(CUresult error, const char **text)
{
    int i = find_result(error);

    if (!text)
        return CUDA_ERROR_INVALID_VALUE;
    *text = i < 0 ? NULL : results[i].name;
    return i < 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuGetErrorString(CUresult error, const char **text)
{
    int i = find_result(error);

    if (!text)
        return CUDA_ERROR_INVALID_VALUE;
    *text = i < 0 ? NULL : results[i].text;
    return i < 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static bool
is_device(CUdevice device)
{
    return device >= 0 && device < sim_driver.device_count;
}

/* Initialised, output wanted, device there: the preface of most of this file. */
static CUresult
check(const void *output, CUdevice device)
{
    CUresult result = sim_begin();

    if (result)
        return result;
    sim_end(CUDA_SUCCESS);
    if (!output)
        return CUDA_ERROR_INVALID_VALUE;
    return is_device(device) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

SIM_EXPORT CUresult
cuDeviceGet(CUdevice *device, int ordinal)
{
    CUresult result = check(device, ordinal);

    if (!result)
        *device = ordinal;
    return result;
}

SIM_EXPORT CUresult
cuDeviceGetCount(int *count)
{
    CUresult result = check(count, 0);

    if (!result)
        *count = sim_driver.device_count;
    return result;
}

SIM_EXPORT CUresult
cuDeviceGetName(char *name, int length, CUdevice device)
{
    CUresult result = check(name, device);

    if (result)
        return result;
    if (length <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    snprintf(name, (size_t)length, "%s", device_name);
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
    static const char base[16] = "gpuvchan-sim-\0\0";
    CUresult result = check(uuid, device);

    if (result)
        return result;
    memcpy(uuid->bytes, base, sizeof base);
    uuid->bytes[15] = (char)device;
    return CUDA_SUCCESS;
}
SIM_SYNONYM(cuDeviceGetUuid, cuDeviceGetUuid_v2);

SIM_EXPORT CUresult
cuDeviceGetLuid(char *luid, unsigned int *mask, CUdevice device)
{
    (void)luid;
    (void)mask;
    (void)device;
    return CUDA_ERROR_NOT_SUPPORTED; /* of Windows alone */
}

SIM_EXPORT CUresult
cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
    CUresult result = check(bytes, device);

    if (!result)
        *bytes = sim_memory_total(sim_driver.memory);
    return result;
}

/* Attributes that are not listed here are 0: the device lacks the feature. */
static const struct {
    CUdevice_attribute attribute;
    int value;
} attributes[] = {
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, SIM_MAX_THREADS},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 0x7fffffff},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, SIM_STATIC_SHARED},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, SIM_MAX_SHARED},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, SIM_MAX_SHARED + 1024},
    {CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK, 1024},
    {CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY, 65536},
    {CU_DEVICE_ATTRIBUTE_WARP_SIZE, SIM_LANES},
    {CU_DEVICE_ATTRIBUTE_MAX_PITCH, 0x7fffffff},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, 65536},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, 65536},
    {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1000000},
    {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 1000000},
    {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 64},
    {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 1 << 20},
    {CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 512},
    {CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT, 32},
    {CU_DEVICE_ATTRIBUTE_SURFACE_ALIGNMENT, 512},
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, 2048},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, 32},
    {CU_DEVICE_ATTRIBUTE_INTEGRATED, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, CU_COMPUTEMODE_DEFAULT},
    {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, SIM_CAPABILITY / 10},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, SIM_CAPABILITY % 10},
    {CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_GLOBAL_L1_CACHE_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_LOCAL_L1_CACHE_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 1},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS, 1},
    {CU_DEVICE_ATTRIBUTE_DIRECT_MANAGED_MEM_ACCESS_FROM_HOST, 1},
    {CU_DEVICE_ATTRIBUTE_HOST_NATIVE_ATOMIC_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO, 2},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM, 1},
    {CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, 1},
    {CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_SPARSE_CUDA_ARRAY_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_DEFERRED_MAPPING_CUDA_ARRAY_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_FLUSH_REMOTE_WRITES, 1},
    {CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_MEM_OPS_V1, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_WAIT_VALUE_NOR, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS_V1, 1},
    {CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_NUMA_ID, -1},
    {CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID, -1},
};

SIM_EXPORT CUresult
cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    CUresult result = check(value, device);
    size_t i;

    if (result)
        return result;
    if (attribute < 1 || attribute >= CU_DEVICE_ATTRIBUTE_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    *value = 0;
    if (attribute == CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID)
        *value = device;
    if (attribute == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
        *value = (int)sim_units(device);
    for (i = 0; i < sizeof attributes / sizeof attributes[0]; i++)
        if (attributes[i].attribute == attribute)
            *value = attributes[i].value;
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuDeviceGetProperties(CUdevprop *prop, CUdevice device)
{
    CUresult result = check(prop, device);

    if (result)
        return result;
    *prop = (CUdevprop){
        .maxThreadsPerBlock = SIM_MAX_THREADS,
        .maxThreadsDim = {1024, 1024, 64},
        .maxGridSize = {0x7fffffff, 65535, 65535},
        .sharedMemPerBlock = SIM_STATIC_SHARED,
        .totalConstantMemory = 65536,
        .SIMDWidth = SIM_LANES,
        .memPitch = 0x7fffffff,
        .regsPerBlock = 65536,
        .clockRate = 1000000,
        .textureAlign = 512,
    };
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuDeviceComputeCapability(int *major, int *minor, CUdevice device)
{
    CUresult result = check(major, device);

    if (!result && !minor)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    *major = SIM_CAPABILITY / 10;
    *minor = SIM_CAPABILITY % 10;
    return CUDA_SUCCESS;
}

/* The bus does not exist; the number tells the devices apart. */
SIM_EXPORT CUresult
cuDeviceGetPCIBusId(char *id, int length, CUdevice device)
{
    CUresult result = check(id, device);

    if (result)
        return result;
    if (length <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    snprintf(id, (size_t)length, "0000:00:%02X.0", (unsigned int)device);
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuDeviceGetByPCIBusId(CUdevice *device, const char *id)
{
    CUresult result = check(device, 0);
    unsigned int domain = 0, bus, slot, function = 0;

    if (result)
        return result;
    if (!id)
        return CUDA_ERROR_INVALID_VALUE;
    if (sscanf(id, "%x:%x:%x.%x", &domain, &bus, &slot, &function) < 3) {
        domain = 0;
        if (sscanf(id, "%x:%x.%x", &bus, &slot, &function) < 2)
            return CUDA_ERROR_INVALID_VALUE;
    }
    if (domain || bus || function || slot >= (unsigned int)sim_driver.device_count)
        return CUDA_ERROR_INVALID_DEVICE;
    *device = (CUdevice)slot;
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer)
{
    CUresult result = check(can, device);

    if (!result && !is_device(peer))
        result = CUDA_ERROR_INVALID_DEVICE;
    if (!result)
        *can = device != peer;
    return result;
}

SIM_EXPORT CUresult
cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute attribute, CUdevice device, CUdevice peer)
{
    CUresult result = check(value, device);

    if (result)
        return result;
    if (!is_device(peer) || device == peer)
        return CUDA_ERROR_INVALID_DEVICE;
    if (attribute < CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK ||
        attribute > CU_DEVICE_P2P_ATTRIBUTE_CUDA_ARRAY_ACCESS_SUPPORTED)
        return CUDA_ERROR_INVALID_VALUE;
    *value = attribute == CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED ||
             attribute == CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED;
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuDeviceGetTexture1DLinearMaxWidth(size_t *elements, CUarray_format format, unsigned channels, CUdevice device)
{
    CUresult result = check(elements, device);

    if (result)
        return result;
    if (cuda_element_bytes(format, channels) == 0 || channels > 4 || channels == 3)
        return CUDA_ERROR_INVALID_VALUE;
    *elements = (size_t)1 << 27;
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuDeviceGetExecAffinitySupport(int *supported, CUexecAffinityType type, CUdevice device)
{
    CUresult result = check(supported, device);

    (void)type;
    if (!result)
        *supported = 0;
    return result;
}
