/* SPDX-License-Identifier: MIT */
/*
 * Addresses on the bus. The struct has grown twice: the first generation ends before pciSubSystemId, the second
 * before the longer busId, and callers have no more room than theirs.
 */
#include <stdio.h>
#include <string.h>

#include "nvml_guest.h"

#define PCI_FIRST_BYTES offsetof(nvmlPciInfo_t, pciSubSystemId)
#define PCI_SECOND_BYTES offsetof(nvmlPciInfo_t, busId)

static nvmlReturn_t
give(nvmlDevice_t device, void *pci, size_t bytes)
{
    const struct nvml_device_info *info;
    nvmlReturn_t result = nvml_guest_ask(device, pci, &info);

    if (result == NVML_SUCCESS)
        result = (nvmlReturn_t)info->pci_status;
    if (result == NVML_SUCCESS)
        memcpy(pci, &info->pci, bytes);
    return result;
}

ENTRY
nvmlDeviceGetPciInfo(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    return give(device, pci, PCI_FIRST_BYTES);
}

ENTRY
nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    return give(device, pci, PCI_SECOND_BYTES);
}

ENTRY
nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    return give(device, pci, sizeof(*pci));
}

ENTRY
nvmlDeviceGetNvLinkRemotePciInfo(nvmlDevice_t device, unsigned int link, nvmlPciInfo_t *pci)
{
    struct gpuvchan_client *client;
    nvmlPciInfo_t whole;
    uint32_t wire;
    nvmlReturn_t result = nvml_guest_enter_device(device, &client, &wire);

    if (result == NVML_SUCCESS && !pci)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        result = nvml_guest_result(nvml_nvlink_remote(client, wire, link, &whole));
    if (result == NVML_SUCCESS)
        memcpy(pci, &whole, PCI_SECOND_BYTES);
    return result;
}

/* domain:bus:device.function in hexadecimal; the domain and the function may be missing. */
static bool
parse(const char *text, unsigned *domain, unsigned *bus, unsigned *device)
{
    *domain = 0;
    return sscanf(text, "%x:%x:%x", domain, bus, device) == 3 || (*domain = 0, sscanf(text, "%x:%x", bus, device) == 2);
}

ENTRY
nvmlDeviceGetHandleByPciBusId_v2(const char *id, nvmlDevice_t *device)
{
    unsigned domain, bus, number;
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter(&client);

    if (result != NVML_SUCCESS)
        return result;
    if (!id || !device || !parse(id, &domain, &bus, &number))
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned i = 0; i < nvml_guest.devices; i++) {
        const struct nvml_device_info *info = &nvml_guest.device[i];

        if (info->pci_status == NVML_SUCCESS && info->pci.domain == domain && info->pci.bus == bus &&
            info->pci.device == number) {
            *device = nvml_guest_handle(i);
            return NVML_SUCCESS;
        }
    }
    return NVML_ERROR_NOT_FOUND;
}
ENTRY_ALIAS(nvmlDeviceGetHandleByPciBusId, nvmlDeviceGetHandleByPciBusId_v2);
