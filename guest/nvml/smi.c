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

#define PLACES 512
#define PLACE_DEVICE_BY_INDEX 81
#define PLACE_PROCESSES_FIRST 213
#define PLACE_PROCESSES_LAST 215

typedef nvmlReturn_t place_func(void *first, void *second, void *third, void *fourth);

union place {
    uintptr_t bytes;
    place_func *function;
};

static nvmlReturn_t
lacking(void *first, void *second, void *third, void *fourth)
{
    (void)first;
    (void)second;
    (void)third;
    (void)fourth;
    return NVML_ERROR_NOT_SUPPORTED;
}

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

GPUVCHAN_EXPORT nvmlReturn_t
nvmlInternalGetExportTable(const void **table, const void *id)
{
    static const unsigned char known[16] = {0xc4, 0xfe, 0x3e, 0x6c, 0xc9, 0x8f, 0x6c, 0x4e,
                                            0xa3, 0x27, 0xee, 0x69, 0x6e, 0x12, 0xf7, 0xc4};
    static const union place places[PLACES] = {
        [0] = {.bytes = sizeof(places)},
        [1 ... PLACE_DEVICE_BY_INDEX - 1] = {.function = lacking},
        [PLACE_DEVICE_BY_INDEX] = {.function = device_by_index},
        [PLACE_DEVICE_BY_INDEX + 1 ... PLACE_PROCESSES_FIRST - 1] = {.function = lacking},
        [PLACE_PROCESSES_FIRST... PLACE_PROCESSES_LAST] = {.function = no_processes},
        [PLACE_PROCESSES_LAST + 1 ... PLACES - 1] = {.function = lacking},
    };

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
              "`make SMI_COMPAT=1` builds a library that has what it needs\n",
              stderr);
    return NVML_ERROR_FUNCTION_NOT_FOUND;
}

#endif
