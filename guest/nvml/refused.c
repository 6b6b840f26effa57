/* SPDX-License-Identifier: MIT */
/* The functions of refused.h: they say no whatever their arguments, once the library is initialised. */
#include "nvml_guest.h"
#include "refused.h"

#define REFUSE(name, error)                               \
    ENTRY name(void);                                     \
    ENTRY name(void)                                      \
    {                                                     \
        struct gpuvchan_client *client;                   \
        nvmlReturn_t result = nvml_guest_enter(&client);  \
                                                          \
        return result == NVML_SUCCESS ? (error) : result; \
    }
#define FORBID(name) REFUSE(name, NVML_ERROR_NO_PERMISSION)
#define LACK(name) REFUSE(name, NVML_ERROR_NOT_SUPPORTED)

NVML_GUEST_FORBIDDEN(FORBID)
NVML_GUEST_UNSUPPORTED(LACK)
