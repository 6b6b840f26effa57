/* SPDX-License-Identifier: MIT */
/* Entry points by name. */
#include "api_list.h"
#include "driver.h"

#include <string.h>

static const struct {
    const char *name;
    int version;
    void (*function)(void);
} entries[] = {
#define ENTRY(name, version, function) {#name, version, (void (*)(void))function},
    SIM_API_LIST(ENTRY)
#undef ENTRY
};

/* A name that is not there is told by the status, not by the result. */
SIM_EXPORT CUresult
cuGetProcAddress_v2(const char *symbol, void **function, int version, cuuint64_t flags,
                    CUdriverProcAddressQueryResult *status)
{
    CUdriverProcAddressQueryResult found = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    size_t i;

    if (!symbol || !function ||
        flags & ~(cuuint64_t)(CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM))
        return CUDA_ERROR_INVALID_VALUE;
    *function = NULL;
    for (i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        if (strcmp(entries[i].name, symbol) != 0)
            continue;
        if (entries[i].version <= version) {
            memcpy(function, &entries[i].function, sizeof *function);
            found = CU_GET_PROC_ADDRESS_SUCCESS;
        } else if (!*function) {
            found = CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT;
        }
    }
    if (status)
        *status = found;
    return CUDA_SUCCESS;
}
SIM_SYNONYM(cuGetProcAddress_v2_ptsz, cuGetProcAddress_v2);

SIM_EXPORT CUresult
cuGetProcAddress(const char *symbol, void **function, int version, cuuint64_t flags)
{
    CUresult result = cuGetProcAddress_v2(symbol, function, version, flags, NULL);

    return !result && !*function ? CUDA_ERROR_NOT_FOUND : result;
}

/* There are no private tables. */
SIM_EXPORT CUresult
cuGetExportTable(const void **table, const CUuuid *id)
{
    if (!table || !id)
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_ERROR_NOT_FOUND;
}
