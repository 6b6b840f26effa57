/* SPDX-License-Identifier: MIT */
/* What the guest asks once: the driver's version, and all about its devices. */
#include "cuda_plugin.h"

#include <string.h>

int
cuda_host_init(struct gpuvchan_request *request, uint32_t flags, int32_t *version, uint32_t *devices, bool *simulated)
{
    const struct cuda_driver *native = cuda_native(request);
    CUresult result = native->cuInit(flags); /* again: it has no effect but checks the flags */

    if (result != CUDA_SUCCESS)
        return result;
    *version = native->version;
    *devices = (uint32_t)native->devices;
    *simulated = native->simulated;
    return 0;
}

/* A guest shall not try what it would be refused. */
static bool
is_withheld(int attribute)
{
    switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES:
        return !cuda_ipc_allowed();
    default:
        return false;
    }
}

/* Index = number of the attribute. What this driver does not know stays 0, as it is for a device without it. */
static size_t
fill_attributes(const struct cuda_driver *native, CUdevice device, int32_t *attributes, size_t room)
{
    for (size_t i = 1; i < room; i++) {
        int value;

        if (!is_withheld((int)i) && native->cuDeviceGetAttribute(&value, (CUdevice_attribute)i, device) == CUDA_SUCCESS)
            attributes[i] = value;
    }
    return room;
}

int
cuda_host_device_info(struct gpuvchan_request *request, uint32_t device, char *name, size_t name_size, uint8_t *uuid,
                      size_t *uuid_count, uint64_t *bytes, int32_t *attributes, size_t *attributes_count)
{
    const struct cuda_driver *native = cuda_native(request);
    CUuuid whole = {0};
    size_t total = 0;
    CUdevice number;
    CUresult result;

    if (device >= (uint32_t)native->devices)
        return CUDA_ERROR_INVALID_DEVICE;
    result = native->cuDeviceGet(&number, (int)device);
    if (result == CUDA_SUCCESS)
        result = native->cuDeviceGetName(name, (int)name_size, number);
    if (result == CUDA_SUCCESS && native->cuDeviceGetUuid)
        result = native->cuDeviceGetUuid(&whole, number);
    if (result == CUDA_SUCCESS)
        result = native->cuDeviceTotalMem(&total, number);
    if (result != CUDA_SUCCESS)
        return result;
    if (*uuid_count > sizeof(whole))
        *uuid_count = sizeof(whole);
    memcpy(uuid, &whole, *uuid_count);
    *bytes = total;
    *attributes_count = fill_attributes(native, number, attributes, *attributes_count);
    return 0;
}

int
cuda_device_of(const struct cuda_driver *native, uint32_t number, CUdevice *device)
{
    if (number >= (uint32_t)native->devices)
        return CUDA_ERROR_INVALID_DEVICE;
    return native->cuDeviceGet(device, (int)number);
}

int
cuda_device_ordinal(const struct cuda_driver *native, CUdevice device, uint32_t *number)
{
    CUdevice found;

    for (*number = 0; *number < (uint32_t)native->devices; ++*number)
        if (native->cuDeviceGet(&found, (int)*number) == CUDA_SUCCESS && found == device)
            return 0;
    return CUDA_ERROR_INVALID_DEVICE;
}
