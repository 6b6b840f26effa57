/* SPDX-License-Identifier: MIT */
/* Devices: found by what names them, and what of them is kept. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "nvml_guest.h"

/* ---- Handles --------------------------------------------------------------------------------- */

nvmlDevice_t
nvml_guest_handle(unsigned index)
{
    return (nvmlDevice_t)(uintptr_t)(NVML_HANDLE_TAG << 32 | (NVML_DEVICE_FIRST + index));
}

bool
nvml_guest_wire(nvmlDevice_t device, uint32_t *wire)
{
    uint32_t handle = (uint32_t)(uintptr_t)device;

    if ((uintptr_t)device >> 32 != NVML_HANDLE_TAG || handle - NVML_DEVICE_FIRST >= nvml_guest.devices)
        return false;
    *wire = handle;
    return true;
}

const struct nvml_device_info *
nvml_guest_device(nvmlDevice_t device)
{
    uint32_t wire;

    return nvml_guest_wire(device, &wire) ? &nvml_guest.device[wire - NVML_DEVICE_FIRST] : NULL;
}

nvmlReturn_t
nvml_guest_ask(nvmlDevice_t device, const void *out, const struct nvml_device_info **info)
{
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter(&client);

    if (result != NVML_SUCCESS)
        return result;
    *info = nvml_guest_device(device);
    return *info && out ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t
nvml_guest_enter_device(nvmlDevice_t device, struct gpuvchan_client **client, uint32_t *wire)
{
    nvmlReturn_t result = nvml_guest_enter(client);

    if (result != NVML_SUCCESS)
        return result;
    return nvml_guest_wire(device, wire) ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

/* ---- Finding --------------------------------------------------------------------------------- */

ENTRY
nvmlDeviceGetCount_v2(unsigned int *count)
{
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter(&client);

    if (result != NVML_SUCCESS)
        return result;
    if (!count)
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = nvml_guest.devices;
    return NVML_SUCCESS;
}
ENTRY_ALIAS(nvmlDeviceGetCount, nvmlDeviceGetCount_v2);

ENTRY
nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter(&client);

    if (result != NVML_SUCCESS)
        return result;
    if (!device || index >= nvml_guest.devices)
        return NVML_ERROR_INVALID_ARGUMENT;
    *device = nvml_guest_handle(index);
    return NVML_SUCCESS;
}
ENTRY_ALIAS(nvmlDeviceGetHandleByIndex, nvmlDeviceGetHandleByIndex_v2);

/* The first device that @p is says yes to. */
static nvmlReturn_t
find(const void *wanted, bool (*is)(const struct nvml_device_info *info, const void *wanted), nvmlDevice_t *device)
{
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter(&client);

    if (result != NVML_SUCCESS)
        return result;
    if (!wanted || !device)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned i = 0; i < nvml_guest.devices; i++) {
        if (is(&nvml_guest.device[i], wanted)) {
            *device = nvml_guest_handle(i);
            return NVML_SUCCESS;
        }
    }
    return NVML_ERROR_NOT_FOUND;
}

static bool
has_serial(const struct nvml_device_info *info, const void *serial)
{
    return info->serial_status == NVML_SUCCESS && strcmp(info->serial, serial) == 0;
}

ENTRY
nvmlDeviceGetHandleBySerial(const char *serial, nvmlDevice_t *device)
{
    return find(serial, has_serial, device);
}

static bool
has_uuid(const struct nvml_device_info *info, const void *uuid)
{
    return info->uuid_status == NVML_SUCCESS && strcasecmp(info->uuid, uuid) == 0;
}

ENTRY
nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
    return find(uuid, has_uuid, device);
}

/* "GPU-" and the bytes in hexadecimal, with hyphens. */
static void
uuid_bytes(const char *text, unsigned char bytes[NVML_DEVICE_UUID_BINARY_LEN])
{
    char digits[3] = "";
    size_t count = 0;

    memset(bytes, 0, NVML_DEVICE_UUID_BINARY_LEN);
    for (text += strncmp(text, "GPU-", 4) == 0 ? 4 : 0; text[0] && text[1] && count < NVML_DEVICE_UUID_BINARY_LEN;) {
        if (*text == '-') {
            text++;
            continue;
        }
        memcpy(digits, text, 2);
        bytes[count++] = (unsigned char)strtoul(digits, NULL, 16);
        text += 2;
    }
}

static bool
has_uuid_value(const struct nvml_device_info *info, const void *wanted)
{
    const nvmlUUID_v1_t *uuid = wanted;
    unsigned char bytes[NVML_DEVICE_UUID_BINARY_LEN];

    if (info->uuid_status != NVML_SUCCESS)
        return false;
    if (uuid->type == NVML_UUID_TYPE_ASCII)
        return strncasecmp(info->uuid, uuid->value.str, sizeof(uuid->value.str)) == 0;
    uuid_bytes(info->uuid, bytes);
    return memcmp(bytes, uuid->value.bytes, sizeof(bytes)) == 0;
}

ENTRY
nvmlDeviceGetHandleByUUIDV(const nvmlUUID_v1_t *uuid, nvmlDevice_t *device)
{
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter(&client);

    if (result != NVML_SUCCESS)
        return result;
    if (uuid && uuid->version != nvmlUUID_v1)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (uuid && uuid->type != NVML_UUID_TYPE_ASCII && uuid->type != NVML_UUID_TYPE_BINARY)
        return NVML_ERROR_INVALID_ARGUMENT;
    return find(uuid, has_uuid_value, device);
}

ENTRY
nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index)
{
    const struct nvml_device_info *info;
    nvmlReturn_t result = nvml_guest_ask(device, index, &info);

    if (result == NVML_SUCCESS)
        *index = (unsigned int)(info - nvml_guest.device);
    return result;
}

/* ---- What is kept ---------------------------------------------------------------------------- */

#define KEPT_TEXT(function, field)                                      \
    ENTRY function(nvmlDevice_t device, char *out, unsigned int length) \
    {                                                                   \
        const struct nvml_device_info *info;                            \
        nvmlReturn_t result = nvml_guest_ask(device, out, &info);       \
                                                                        \
        if (result == NVML_SUCCESS)                                     \
            result = (nvmlReturn_t)info->field##_status;                \
        if (result == NVML_SUCCESS)                                     \
            result = nvml_guest_text(info->field, out, length);         \
        return result;                                                  \
    }
KEPT_TEXT(nvmlDeviceGetName, name)
KEPT_TEXT(nvmlDeviceGetUUID, uuid)
KEPT_TEXT(nvmlDeviceGetSerial, serial)

#define KEPT_NUMBER(function, type, fact)                         \
    ENTRY function(nvmlDevice_t device, type *out)                \
    {                                                             \
        const struct nvml_device_info *info;                      \
        nvmlReturn_t result = nvml_guest_ask(device, out, &info); \
                                                                  \
        if (result == NVML_SUCCESS)                               \
            result = (nvmlReturn_t)info->fact.status;             \
        if (result == NVML_SUCCESS)                               \
            *out = (type)info->fact.value;                        \
        return result;                                            \
    }
KEPT_NUMBER(nvmlDeviceGetBrand, nvmlBrandType_t, brand)
KEPT_NUMBER(nvmlDeviceGetMinorNumber, unsigned int, minor)
KEPT_NUMBER(nvmlDeviceGetArchitecture, nvmlDeviceArchitecture_t, architecture)

ENTRY
nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor)
{
    const struct nvml_device_info *info;
    nvmlReturn_t result = nvml_guest_ask(device, major, &info);

    if (result == NVML_SUCCESS && !minor)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        result = (nvmlReturn_t)info->major_capability.status;
    if (result != NVML_SUCCESS)
        return result;
    *major = (int)info->major_capability.value;
    *minor = (int)info->minor_capability.value;
    return NVML_SUCCESS;
}

/* ---- MIG: a guest's devices have no parts ---------------------------------------------------- */

ENTRY
nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned int *is_mig)
{
    const struct nvml_device_info *info;
    nvmlReturn_t result = nvml_guest_ask(device, is_mig, &info);

    if (result == NVML_SUCCESS)
        *is_mig = 0;
    return result;
}

ENTRY
nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index, nvmlDevice_t *mig)
{
    const struct nvml_device_info *info;
    nvmlReturn_t result = nvml_guest_ask(device, mig, &info);

    (void)index;
    return result == NVML_SUCCESS ? NVML_ERROR_NOT_FOUND : result;
}

ENTRY
nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t mig, nvmlDevice_t *device)
{
    const struct nvml_device_info *info;
    nvmlReturn_t result = nvml_guest_ask(mig, device, &info);

    return result == NVML_SUCCESS ? NVML_ERROR_INVALID_ARGUMENT : result;
}
