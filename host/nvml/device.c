/* SPDX-License-Identifier: MIT */
/* What the guest asks once, and texts that need more than the library's own function. */
#include "nvml_plugin.h"

#include <stdio.h>
#include <string.h>

#include "nvml-host.h"

int
nvml_host_init(struct gpuvchan_request *request, uint32_t *devices, int32_t *cuda_version, char *driver,
               size_t driver_size, char *library, size_t library_size)
{
    const struct nvml_library *native = nvml_native(request);

    *devices = native->devices;
    *cuda_version = native->cuda_version;
    snprintf(driver, driver_size, "%s", native->driver);
    snprintf(library, library_size, "%s", native->library);
    return NVML_SUCCESS;
}

static void
ask_capability(struct gpuvchan_request *request, nvmlDevice_t device, struct nvml_device_info *info)
{
    int major = 0, minor = 0, status = NVML_ASK(request, nvmlDeviceGetCudaComputeCapability, device, &major, &minor);

    info->major_capability = (struct nvml_fact){status, (uint32_t)major};
    info->minor_capability = (struct nvml_fact){status, (uint32_t)minor};
}

/* Serial numbers are the host's affair, unless its administrator says otherwise. */
static int
ask_serial(struct gpuvchan_request *request, nvmlDevice_t device, char *serial, unsigned size)
{
    if (!nvml_native(request)->serials)
        return NVML_ERROR_NOT_SUPPORTED;
    return NVML_ASK(request, nvmlDeviceGetSerial, device, serial, size);
}

int
nvml_host_device_info(struct gpuvchan_request *request, nvmlDevice_t device, struct nvml_device_info *info)
{
    nvmlBrandType_t brand = NVML_BRAND_UNKNOWN;

    info->name_status = NVML_ASK(request, nvmlDeviceGetName, device, info->name, sizeof(info->name));
    info->uuid_status = NVML_ASK(request, nvmlDeviceGetUUID, device, info->uuid, sizeof(info->uuid));
    info->serial_status = ask_serial(request, device, info->serial, sizeof(info->serial));
    info->pci_status = NVML_ASK(request, nvmlDeviceGetPciInfo_v3, device, &info->pci);
    info->brand.status = NVML_ASK(request, nvmlDeviceGetBrand, device, &brand);
    info->brand.value = brand;
    info->minor.status = NVML_ASK(request, nvmlDeviceGetMinorNumber, device, &info->minor.value);
    info->architecture.status = NVML_ASK(request, nvmlDeviceGetArchitecture, device, &info->architecture.value);
    ask_capability(request, device, info);
    return NVML_SUCCESS;
}

int
nvml_host_part_number(struct gpuvchan_request *request, nvmlDevice_t device, char *number, size_t number_size)
{
    if (!nvml_native(request)->serials)
        return NVML_ERROR_NOT_SUPPORTED;
    return NVML_ASK(request, nvmlDeviceGetBoardPartNumber, device, number, (unsigned)number_size);
}

/* The library is not told how much room there is. */
int
nvml_host_gsp_version(struct gpuvchan_request *request, nvmlDevice_t device, char *version, size_t version_size)
{
    char whole[NVML_GSP_FIRMWARE_VERSION_BUF_SIZE + 1] = "";
    int status = NVML_ASK(request, nvmlDeviceGetGspFirmwareVersion, device, whole);

    if (status == NVML_SUCCESS && strlen(whole) >= version_size)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    snprintf(version, version_size, "%s", whole);
    return status;
}
