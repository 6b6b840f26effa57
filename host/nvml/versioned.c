/* SPDX-License-Identifier: MIT */
/* Structs that begin with their version: only what is in the list, and in its size, reaches the library. */
#include "nvml_plugin.h"

#include <string.h>

#include "nvml-host.h"

#define VERSIONED_MAX 4096

#define FITS(function, type, newest, oldest) _Static_assert(sizeof(type) <= VERSIONED_MAX, #function);
NVML_VERSIONED_OF_DEVICE(FITS)
NVML_VERSIONED_OF_SYSTEM(FITS)
#undef FITS

/* May a guest send this, and is it as long as its version says? */
static int
check(uint32_t query, const void *given, size_t bytes)
{
    static const struct {
        uint32_t newest, oldest;
    } allowed[NVML_QUERIES] = {
#define ALLOW(function, type, newest, oldest) [NVML_QUERY_##function] = {newest, oldest},
        NVML_VERSIONED_OF_DEVICE(ALLOW) NVML_VERSIONED_OF_SYSTEM(ALLOW)
#undef ALLOW
    };
    uint32_t version;

    if (query >= NVML_QUERIES || bytes < sizeof(version))
        return NVML_ERROR_INVALID_ARGUMENT;
    memcpy(&version, given, sizeof(version));
    if (version != allowed[query].newest && version != allowed[query].oldest)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    return bytes == nvml_version_bytes(version) ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

static int
ask(struct gpuvchan_request *request, nvmlDevice_t device, uint32_t query, void *data)
{
    switch (query) {
#define ASK_DEVICE(function, type, newest, oldest) \
    case NVML_QUERY_##function:                    \
        return device ? NVML_ASK(request, function, device, data) : NVML_ERROR_INVALID_ARGUMENT;
        NVML_VERSIONED_OF_DEVICE(ASK_DEVICE)
#undef ASK_DEVICE
#define ASK_SYSTEM(function, type, newest, oldest) \
    case NVML_QUERY_##function:                    \
        return NVML_ASK(request, function, data);
        NVML_VERSIONED_OF_SYSTEM(ASK_SYSTEM)
#undef ASK_SYSTEM
    default:
        return NVML_ERROR_INVALID_ARGUMENT;
    }
}

int
nvml_host_versioned(struct gpuvchan_request *request, nvmlDevice_t device, uint32_t query, const void *given,
                    size_t given_bytes, void *filled, size_t *filled_bytes)
{
    _Alignas(16) unsigned char data[VERSIONED_MAX] = {0};
    int status = check(query, given, given_bytes);

    if (status == NVML_SUCCESS && *filled_bytes < given_bytes)
        status = NVML_ERROR_INSUFFICIENT_SIZE;
    if (status != NVML_SUCCESS)
        return status;
    memcpy(data, given, given_bytes);
    status = ask(request, device, query, data);
    memcpy(filled, data, given_bytes);
    *filled_bytes = given_bytes;
    return status;
}
