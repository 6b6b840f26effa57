/* SPDX-License-Identifier: MIT */
/* Structs that begin with their version: what is not in the list is unknown to the host as well. */
#include <string.h>

#include "nvml_guest.h"

static nvmlReturn_t
exchange(struct gpuvchan_client *client, uint32_t wire, enum nvml_versioned query, void *data, size_t bytes)
{
    size_t filled = bytes;
    unsigned char answer[4096];
    nvmlReturn_t result =
        nvml_guest_result(nvml_versioned(client, wire, (uint32_t)query, data, bytes, answer, &filled));

    if (result == NVML_SUCCESS && filled != bytes)
        return NVML_ERROR_UNKNOWN;
    if (result == NVML_SUCCESS)
        memcpy(data, answer, bytes);
    return result;
}

static nvmlReturn_t
check(const void *data, uint32_t newest, uint32_t oldest, size_t *bytes)
{
    uint32_t version;

    if (!data)
        return NVML_ERROR_INVALID_ARGUMENT;
    memcpy(&version, data, sizeof(version));
    *bytes = nvml_version_bytes(version);
    return version == newest || version == oldest ? NVML_SUCCESS : NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
}

#define OF_DEVICE(function, type, newest, oldest)                                \
    ENTRY function(nvmlDevice_t device, type *data)                              \
    {                                                                            \
        struct gpuvchan_client *client;                                          \
        size_t bytes = 0;                                                        \
        uint32_t wire;                                                           \
        nvmlReturn_t result = nvml_guest_enter_device(device, &client, &wire);   \
                                                                                 \
        if (result == NVML_SUCCESS)                                              \
            result = check(data, newest, oldest, &bytes);                        \
        if (result == NVML_SUCCESS)                                              \
            result = exchange(client, wire, NVML_QUERY_##function, data, bytes); \
        return result;                                                           \
    }
NVML_VERSIONED_OF_DEVICE(OF_DEVICE)

#define OF_SYSTEM(function, type, newest, oldest)                             \
    ENTRY function(type *data)                                                \
    {                                                                         \
        struct gpuvchan_client *client;                                       \
        size_t bytes = 0;                                                     \
        nvmlReturn_t result = nvml_guest_enter(&client);                      \
                                                                              \
        if (result == NVML_SUCCESS)                                           \
            result = check(data, newest, oldest, &bytes);                     \
        if (result == NVML_SUCCESS)                                           \
            result = exchange(client, 0, NVML_QUERY_##function, data, bytes); \
        return result;                                                        \
    }
NVML_VERSIONED_OF_SYSTEM(OF_SYSTEM)
