/* SPDX-License-Identifier: MIT */
/*
 * The private table that nvidia-smi asks for, in `make SMI_COMPAT=1` alone; all else in this library is NVML's public
 * interface.
 *
 * Design notes. That there is such a table, its identifier and what four of its places are for is public knowledge
 * (NVIDIA's mock of NVML in k8s-test-infra, and other forwarding projects). Place 0 says the table's size. Place 81
 * finds a device by its number; 213 to 215 list processes, of which a guest's nvidia-smi has none. All others say
 * NVML_ERROR_NOT_SUPPORTED, which nvidia-smi shows as N/A.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "nvml_guest.h"

nvmlReturn_t nvmlInternalGetExportTable(const void **table, const void *id);

#ifdef GPUVCHAN_SMI_COMPAT

#define PLACE_DEVICE_BY_INDEX 81
#define PLACE_PROCESSES_FIRST 213
#define PLACE_PROCESSES_LAST 215

typedef nvmlReturn_t place_func(void *first, void *second, void *third, void *fourth);

union place {
    uintptr_t bytes;
    place_func *function;
};

/* Which one a new nvidia-smi misses is seen with GPUVCHAN_LOG=debug. */
static nvmlReturn_t
lacking(unsigned place)
{
    gpuvchan_log(GPUVCHAN_LOG_DEBUG, "nvml: place %u of the private table was asked for", place);
    return NVML_ERROR_NOT_SUPPORTED;
}

/* A function for each of 32 times 16 places, so that each knows its own. */
/* clang-format off */
#define SIXTEEN(X, row) \
    X(row, 0) X(row, 1) X(row, 2) X(row, 3) X(row, 4) X(row, 5) X(row, 6) X(row, 7) \
    X(row, 8) X(row, 9) X(row, 10) X(row, 11) X(row, 12) X(row, 13) X(row, 14) X(row, 15)
#define ALL(X) \
    SIXTEEN(X, 0) SIXTEEN(X, 1) SIXTEEN(X, 2) SIXTEEN(X, 3) SIXTEEN(X, 4) SIXTEEN(X, 5) SIXTEEN(X, 6) SIXTEEN(X, 7) \
    SIXTEEN(X, 8) SIXTEEN(X, 9) SIXTEEN(X, 10) SIXTEEN(X, 11) SIXTEEN(X, 12) SIXTEEN(X, 13) SIXTEEN(X, 14) \
    SIXTEEN(X, 15) SIXTEEN(X, 16) SIXTEEN(X, 17) SIXTEEN(X, 18) SIXTEEN(X, 19) SIXTEEN(X, 20) SIXTEEN(X, 21) \
    SIXTEEN(X, 22) SIXTEEN(X, 23) SIXTEEN(X, 24) SIXTEEN(X, 25) SIXTEEN(X, 26) SIXTEEN(X, 27) SIXTEEN(X, 28) \
    SIXTEEN(X, 29) SIXTEEN(X, 30) SIXTEEN(X, 31)
/* clang-format on */

#define PLACE_FUNCTION(row, column)                                                                  \
    static nvmlReturn_t place_##row##_##column(void *first, void *second, void *third, void *fourth) \
    {                                                                                                \
        (void)first;                                                                                 \
        (void)second;                                                                                \
        (void)third;                                                                                 \
        (void)fourth;                                                                                \
        return lacking(row * 16 + column);                                                           \
    }
ALL(PLACE_FUNCTION)

static nvmlReturn_t
device_by_index(void *index, void *device, void *third, void *fourth)
{
    (void)third;
    (void)fourth;
    return nvmlDeviceGetHandleByIndex_v2((unsigned)(uintptr_t)index, device);
}

static nvmlReturn_t
no_processes(void *device, void *count, void *list, void *fourth)
{
    const struct nvml_device_info *info;
    nvmlReturn_t result = nvml_guest_ask(device, count, &info);

    (void)list;
    (void)fourth;
    if (result == NVML_SUCCESS)
        *(unsigned *)count = 0;
    return result;
}

static union place places[] = {
#define PLACE_ENTRY(row, column) {.function = place_##row##_##column},
    ALL(PLACE_ENTRY)
#undef PLACE_ENTRY
};

__attribute__((constructor)) static void
furnish(void)
{
    places[0].bytes = sizeof(places);
    places[PLACE_DEVICE_BY_INDEX].function = device_by_index;
    for (unsigned i = PLACE_PROCESSES_FIRST; i <= PLACE_PROCESSES_LAST; i++)
        places[i].function = no_processes;
}

GPUVCHAN_EXPORT nvmlReturn_t
nvmlInternalGetExportTable(const void **table, const void *id)
{
    static const unsigned char known[16] = {0xc4, 0xfe, 0x3e, 0x6c, 0xc9, 0x8f, 0x6c, 0x4e,
                                            0xa3, 0x27, 0xee, 0x69, 0x6e, 0x12, 0xf7, 0xc4};
    if (!table || !id)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (memcmp(id, known, sizeof(known)) != 0)
        return NVML_ERROR_FUNCTION_NOT_FOUND;
    *table = places;
    return NVML_SUCCESS;
}

#else

GPUVCHAN_EXPORT nvmlReturn_t
nvmlInternalGetExportTable(const void **table, const void *id)
{
    static _Atomic bool told;

    if (!table || !id)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (!atomic_exchange(&told, true))
        fputs("gpuvchan's libnvidia-ml.so.1: this program asks for private functions, as nvidia-smi does; "
              "`make SMI_COMPAT=1` builds a library with what is known of them\n",
              stderr);
    return NVML_ERROR_FUNCTION_NOT_FOUND;
}

#endif
