/* SPDX-License-Identifier: MIT */
/* Lists of numbers: the library fills memory of our own, of which the guest gets what it has room for. */
#include "nvml_plugin.h"

#include <stdlib.h>
#include <string.h>

#include "nvml-host.h"

#define SAMPLES_MAX 65536u
#define PAGES_MAX 512u

int
nvml_host_field_values(struct gpuvchan_request *request, nvmlDevice_t device, const nvmlFieldValue_t *wanted,
                       size_t wanted_count, nvmlFieldValue_t *values, size_t *values_count)
{
    if (wanted_count == 0 || *values_count < wanted_count)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (size_t i = 0; i < wanted_count; i++)
        values[i] = (nvmlFieldValue_t){.fieldId = wanted[i].fieldId, .scopeId = wanted[i].scopeId};
    *values_count = wanted_count;
    return NVML_ASK(request, nvmlDeviceGetFieldValues, device, (int)wanted_count, values);
}

/* The newest of @p count samples, as many as there is room for. */
static void
give_newest(const nvmlSample_t *all, size_t count, nvmlSample_t *samples, size_t *room)
{
    size_t given = count < *room ? count : *room;

    memcpy(samples, all + (count - given), given * sizeof(*samples));
    *room = given;
}

int
nvml_host_samples(struct gpuvchan_request *request, nvmlDevice_t device, nvmlSamplingType_t type, nvml_u64 since,
                  nvmlValueType_t *kind, nvmlSample_t *samples, size_t *samples_count)
{
    unsigned count = 0, room;
    nvmlSample_t *all;
    int status = NVML_ASK(request, nvmlDeviceGetSamples, device, type, since, kind, &count, NULL);

    if (status != NVML_SUCCESS)
        return status;
    room = count < SAMPLES_MAX ? count : SAMPLES_MAX;
    all = calloc(room + 1, sizeof(*all));
    if (!all)
        return NVML_ERROR_MEMORY;
    count = room;
    status = NVML_ASK(request, nvmlDeviceGetSamples, device, type, since, kind, &count, all);
    if (status == NVML_SUCCESS)
        give_newest(all, count < room ? count : room, samples, samples_count);
    free(all);
    return status;
}

int
nvml_host_memory_clocks(struct gpuvchan_request *request, nvmlDevice_t device, uint32_t *clocks, size_t *clocks_count)
{
    unsigned count = (unsigned)*clocks_count;
    int status = NVML_ASK(request, nvmlDeviceGetSupportedMemoryClocks, device, &count, clocks);

    *clocks_count = count < *clocks_count ? count : *clocks_count;
    return status;
}

int
nvml_host_graphics_clocks(struct gpuvchan_request *request, nvmlDevice_t device, uint32_t memory_clock,
                          uint32_t *clocks, size_t *clocks_count)
{
    unsigned count = (unsigned)*clocks_count;
    int status = NVML_ASK(request, nvmlDeviceGetSupportedGraphicsClocks, device, memory_clock, &count, clocks);

    *clocks_count = count < *clocks_count ? count : *clocks_count;
    return status;
}

int
nvml_host_performance_states(struct gpuvchan_request *request, nvmlDevice_t device, uint32_t *states,
                             size_t *states_count)
{
    nvmlPstates_t all[NVML_MAX_GPU_PERF_PSTATES];
    size_t count = 0;
    int status = NVML_ASK(request, nvmlDeviceGetSupportedPerformanceStates, device, all, sizeof(all));

    while (status == NVML_SUCCESS && count < *states_count && count < NVML_MAX_GPU_PERF_PSTATES &&
           all[count] != NVML_PSTATE_UNKNOWN) {
        states[count] = all[count];
        count++;
    }
    *states_count = count;
    return status;
}

int
nvml_host_retired_pages(struct gpuvchan_request *request, nvmlDevice_t device, nvmlPageRetirementCause_t cause,
                        nvml_u64 *addresses, size_t *addresses_count, nvml_u64 *times, size_t *times_count)
{
    nvml_u64 where[PAGES_MAX], when[PAGES_MAX];
    unsigned count = PAGES_MAX;
    int status = NVML_ASK(request, nvmlDeviceGetRetiredPages_v2, device, cause, &count, where, when);

    if (status != NVML_SUCCESS)
        return status;
    count = count < PAGES_MAX ? count : PAGES_MAX;
    *addresses_count = count < *addresses_count ? count : *addresses_count;
    *times_count = count < *times_count ? count : *times_count;
    memcpy(addresses, where, *addresses_count * sizeof(*where));
    memcpy(times, when, *times_count * sizeof(*when));
    return NVML_SUCCESS;
}
