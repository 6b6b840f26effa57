/* SPDX-License-Identifier: MIT */
/*
 * The guest's process in the lists of processes: to NVIDIA's library it is this worker. All others are dropped here,
 * and this one's number is the host's affair.
 */
#include "nvml_plugin.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nvml-host.h"

#define PROCESSES_MAX 65536u
#define PROCESSES_FIRST 64u

static int
ask(struct gpuvchan_request *request, nvmlDevice_t device, uint32_t list, unsigned *count, nvmlProcessInfo_t *all)
{
    switch (list) {
    case NVML_PROCESSES_COMPUTE:
        return NVML_ASK(request, nvmlDeviceGetComputeRunningProcesses_v3, device, count, all);
    case NVML_PROCESSES_GRAPHICS:
        return NVML_ASK(request, nvmlDeviceGetGraphicsRunningProcesses_v3, device, count, all);
    case NVML_PROCESSES_MPS:
        return NVML_ASK(request, nvmlDeviceGetMPSComputeRunningProcesses_v3, device, count, all);
    default:
        return NVML_ERROR_INVALID_ARGUMENT;
    }
}

/* A list of any length, for the caller to free. */
static int
ask_all(struct gpuvchan_request *request, nvmlDevice_t device, uint32_t list, unsigned *count, nvmlProcessInfo_t **all)
{
    int status = NVML_ERROR_INSUFFICIENT_SIZE;

    *all = NULL;
    for (unsigned room = PROCESSES_FIRST; status == NVML_ERROR_INSUFFICIENT_SIZE && room <= PROCESSES_MAX; room *= 4) {
        free(*all);
        *all = calloc(room, sizeof(**all));
        if (!*all)
            return NVML_ERROR_MEMORY;
        *count = room;
        status = ask(request, device, list, count, *all);
        *count = *count < room ? *count : room;
    }
    return status;
}

int
nvml_host_own_memory(struct gpuvchan_request *request, nvmlDevice_t device, uint32_t list, bool *present,
                     nvml_u64 *bytes)
{
    nvmlProcessInfo_t *all;
    unsigned count = 0;
    int status = ask_all(request, device, list, &count, &all);

    for (unsigned i = 0; status == NVML_SUCCESS && i < count; i++) {
        if (all[i].pid == (unsigned)getpid()) {
            *present = true;
            *bytes = all[i].usedGpuMemory;
        }
    }
    free(all);
    return status;
}

static size_t
keep_own(const nvmlProcessUtilizationSample_t *all, size_t count, nvmlProcessUtilizationSample_t *samples, size_t room)
{
    size_t kept = 0;

    for (size_t i = 0; i < count && kept < room; i++) {
        if (all[i].pid == (unsigned)getpid()) {
            memcpy(&samples[kept], &all[i], sizeof(*samples));
            samples[kept++].pid = 0; /* the guest's library knows its own */
        }
    }
    return kept;
}

int
nvml_host_own_utilization(struct gpuvchan_request *request, nvmlDevice_t device, nvml_u64 since,
                          nvmlProcessUtilizationSample_t *samples, size_t *samples_count)
{
    nvmlProcessUtilizationSample_t *all;
    unsigned count = 0, room;
    int status = NVML_ASK(request, nvmlDeviceGetProcessUtilization, device, NULL, &count, since);

    if (status != NVML_ERROR_INSUFFICIENT_SIZE && status != NVML_SUCCESS)
        return status;
    room = count < PROCESSES_MAX ? count : PROCESSES_MAX;
    all = calloc(room + 1, sizeof(*all));
    if (!all)
        return NVML_ERROR_MEMORY;
    count = room;
    if (room > 0)
        status = NVML_ASK(request, nvmlDeviceGetProcessUtilization, device, all, &count, since);
    count = count < room ? count : room;
    *samples_count = status == NVML_SUCCESS ? keep_own(all, count, samples, *samples_count) : 0;
    free(all);
    return status;
}
