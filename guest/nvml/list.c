/* SPDX-License-Identifier: MIT */
/*
 * Lists. NVML's way with most of them: the caller says how many there is room for and gets how many there are;
 * with too little room, which may be none at all, nothing else and NVML_ERROR_INSUFFICIENT_SIZE.
 */
#include <string.h>

#include "nvml_guest.h"

/* ---- Field values ---------------------------------------------------------------------------- */

ENTRY
nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t *values)
{
    struct gpuvchan_client *client;
    uint32_t wire;
    nvmlReturn_t result = nvml_guest_enter_device(device, &client, &wire);

    if (result == NVML_SUCCESS && (count < 1 || !values))
        result = NVML_ERROR_INVALID_ARGUMENT;
    for (size_t left = result == NVML_SUCCESS ? (size_t)count : 0; left > 0 && result == NVML_SUCCESS;) {
        size_t now = left < NVML_FIELD_VALUES_WANTED_MAX ? left : NVML_FIELD_VALUES_WANTED_MAX, got = now;

        result = nvml_guest_result(nvml_field_values(client, wire, values, now, values, &got));
        if (result == NVML_SUCCESS && got != now)
            result = NVML_ERROR_UNKNOWN;
        values += now;
        left -= now;
    }
    return result;
}

/* ---- Samples --------------------------------------------------------------------------------- */

ENTRY
nvmlDeviceGetSamples(nvmlDevice_t device, nvmlSamplingType_t type, unsigned long long since, nvmlValueType_t *kind,
                     unsigned int *count, nvmlSample_t *samples)
{
    struct gpuvchan_client *client;
    uint32_t wire;
    size_t got;
    nvmlReturn_t result = nvml_guest_enter_device(device, &client, &wire);

    if (result == NVML_SUCCESS && (!kind || !count || (samples && *count == 0)))
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result != NVML_SUCCESS)
        return result;
    if (!samples) { /* how many there can be */
        *count = NVML_SAMPLES_SAMPLES_MAX;
        return NVML_SUCCESS;
    }
    got = *count;
    result = nvml_guest_result(nvml_samples(client, wire, type, since, kind, samples, &got));
    if (result == NVML_SUCCESS)
        *count = (unsigned int)got;
    return result;
}

/* ---- Clocks and states ----------------------------------------------------------------------- */

static nvmlReturn_t
clocks_give(const uint32_t *clocks, size_t there, unsigned int *count, unsigned int *out)
{
    size_t room = *count;

    *count = (unsigned int)there;
    if (room < there)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    if (there > 0 && !out)
        return NVML_ERROR_INVALID_ARGUMENT;
    memcpy(out, clocks, there * sizeof(*out));
    return NVML_SUCCESS;
}

ENTRY
nvmlDeviceGetSupportedMemoryClocks(nvmlDevice_t device, unsigned int *count, unsigned int *clocks)
{
    uint32_t all[NVML_MEMORY_CLOCKS_CLOCKS_MAX], wire;
    size_t there = NVML_MEMORY_CLOCKS_CLOCKS_MAX;
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter_device(device, &client, &wire);

    if (result == NVML_SUCCESS && !count)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        result = nvml_guest_result(nvml_memory_clocks(client, wire, all, &there));
    return result == NVML_SUCCESS ? clocks_give(all, there, count, clocks) : result;
}

ENTRY
nvmlDeviceGetSupportedGraphicsClocks(nvmlDevice_t device, unsigned int memory_clock, unsigned int *count,
                                     unsigned int *clocks)
{
    uint32_t all[NVML_GRAPHICS_CLOCKS_CLOCKS_MAX], wire;
    size_t there = NVML_GRAPHICS_CLOCKS_CLOCKS_MAX;
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter_device(device, &client, &wire);

    if (result == NVML_SUCCESS && !count)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        result = nvml_guest_result(nvml_graphics_clocks(client, wire, memory_clock, all, &there));
    return result == NVML_SUCCESS ? clocks_give(all, there, count, clocks) : result;
}

/* Here the room is in bytes, and what is left of it is filled up. */
ENTRY
nvmlDeviceGetSupportedPerformanceStates(nvmlDevice_t device, nvmlPstates_t *states, unsigned int size)
{
    uint32_t all[NVML_PERFORMANCE_STATES_STATES_MAX], wire;
    size_t there = NVML_PERFORMANCE_STATES_STATES_MAX;
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter_device(device, &client, &wire);

    if (result == NVML_SUCCESS && !states)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        result = nvml_guest_result(nvml_performance_states(client, wire, all, &there));
    if (result != NVML_SUCCESS)
        return result;
    if (size / sizeof(*states) < there)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    for (size_t i = 0; i < size / sizeof(*states); i++)
        states[i] = i < there ? (nvmlPstates_t)all[i] : NVML_PSTATE_UNKNOWN;
    return NVML_SUCCESS;
}

/* ---- Retired pages --------------------------------------------------------------------------- */

static nvmlReturn_t
retired(nvmlDevice_t device, nvmlPageRetirementCause_t cause, unsigned int *count, unsigned long long *addresses,
        unsigned long long *times)
{
    nvml_u64 all[NVML_RETIRED_PAGES_ADDRESSES_MAX], when[NVML_RETIRED_PAGES_TIMES_MAX];
    size_t there = NVML_RETIRED_PAGES_ADDRESSES_MAX, timed = NVML_RETIRED_PAGES_TIMES_MAX, room;
    struct gpuvchan_client *client;
    uint32_t wire;
    nvmlReturn_t result = nvml_guest_enter_device(device, &client, &wire);

    if (result == NVML_SUCCESS && !count)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        result = nvml_guest_result(nvml_retired_pages(client, wire, cause, all, &there, when, &timed));
    if (result != NVML_SUCCESS)
        return result;
    room = *count;
    *count = (unsigned int)there;
    if (room < there)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    if (there > 0 && !addresses)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (size_t i = 0; i < there; i++) {
        addresses[i] = all[i];
        if (times)
            times[i] = i < timed ? when[i] : 0;
    }
    return NVML_SUCCESS;
}

ENTRY
nvmlDeviceGetRetiredPages(nvmlDevice_t device, nvmlPageRetirementCause_t cause, unsigned int *count,
                          unsigned long long *addresses)
{
    return retired(device, cause, count, addresses, NULL);
}

ENTRY
nvmlDeviceGetRetiredPages_v2(nvmlDevice_t device, nvmlPageRetirementCause_t cause, unsigned int *count,
                             unsigned long long *addresses, unsigned long long *times)
{
    return retired(device, cause, count, addresses, times);
}
