/* SPDX-License-Identifier: MIT */
/* Texts: NVML wants room for the whole text and its end, or says NVML_ERROR_INSUFFICIENT_SIZE. */
#include <string.h>

#include "nvml_guest.h"

#define TEXT_BYTES 80 /* as the protocol has it */

nvmlReturn_t
nvml_guest_text(const char *text, char *out, unsigned length)
{
    size_t bytes = strlen(text) + 1;

    if (!out)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (bytes > length)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    memcpy(out, text, bytes);
    return NVML_SUCCESS;
}

/* A text that the host is asked for: CALL is the stub's call, which fills text. */
#define ASKED_TEXT(CALL, out, length)                                                \
    do {                                                                             \
        char text[TEXT_BYTES];                                                       \
        struct gpuvchan_client *client;                                              \
        uint32_t wire;                                                               \
        nvmlReturn_t result = nvml_guest_enter_device(device, &client, &wire);       \
                                                                                     \
        if (result == NVML_SUCCESS && !(out))                                        \
            result = NVML_ERROR_INVALID_ARGUMENT;                                    \
        if (result == NVML_SUCCESS)                                                  \
            result = nvml_guest_result(CALL);                                        \
        return result == NVML_SUCCESS ? nvml_guest_text(text, out, length) : result; \
    } while (0)

ENTRY
nvmlDeviceGetVbiosVersion(nvmlDevice_t device, char *version, unsigned int length)
{
    ASKED_TEXT(nvml_vbios_version(client, wire, text, sizeof(text)), version, length);
}

ENTRY
nvmlDeviceGetBoardPartNumber(nvmlDevice_t device, char *number, unsigned int length)
{
    ASKED_TEXT(nvml_part_number(client, wire, text, sizeof(text)), number, length);
}

ENTRY
nvmlDeviceGetInforomVersion(nvmlDevice_t device, nvmlInforomObject_t object, char *version, unsigned int length)
{
    ASKED_TEXT(nvml_inforom_version(client, wire, object, text, sizeof(text)), version, length);
}

ENTRY
nvmlDeviceGetInforomImageVersion(nvmlDevice_t device, char *version, unsigned int length)
{
    ASKED_TEXT(nvml_inforom_image_version(client, wire, text, sizeof(text)), version, length);
}

ENTRY
nvmlDeviceGetGspFirmwareVersion(nvmlDevice_t device, char *version)
{
    ASKED_TEXT(nvml_gsp_version(client, wire, text, sizeof(text)), version, NVML_GSP_FIRMWARE_VERSION_BUF_SIZE);
}
