/* SPDX-License-Identifier: MIT */
/*
 * Processes. A guest sees its own process alone, under the number that it has in the guest: numbers and memory of
 * others, the host's and other guests', are none of its business.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nvml_guest.h"

#define NO_INSTANCE 0xffffffffu

/* At most one process: @p entry is filled in if there is room for it. */
static nvmlReturn_t
list(nvmlDevice_t device, enum nvml_process_list which, unsigned int *count, nvmlProcessInfo_v2_t *entry, bool room)
{
    struct gpuvchan_client *client;
    nvml_u64 bytes = 0;
    uint32_t wire;
    bool present = false;
    nvmlReturn_t result = nvml_guest_enter_device(device, &client, &wire);

    if (result == NVML_SUCCESS && (!count || (*count != 0 && !room)))
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        result = nvml_guest_result(nvml_own_memory(client, wire, (uint32_t)which, &present, &bytes));
    if (result != NVML_SUCCESS)
        return result;
    result = present && *count == 0 ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
    *count = present;
    *entry = (nvmlProcessInfo_v2_t){(unsigned int)getpid(), bytes, NO_INSTANCE, NO_INSTANCE};
    return result;
}

/* The first generation's entries are shorter. */
static nvmlReturn_t
list_first(nvmlDevice_t device, enum nvml_process_list which, unsigned int *count, nvmlProcessInfo_v1_t *processes)
{
    nvmlProcessInfo_v2_t entry;
    nvmlReturn_t result = list(device, which, count, &entry, processes != NULL);

    if (result == NVML_SUCCESS && *count != 0)
        *processes = (nvmlProcessInfo_v1_t){entry.pid, entry.usedGpuMemory};
    return result;
}

static nvmlReturn_t
list_second(nvmlDevice_t device, enum nvml_process_list which, unsigned int *count, nvmlProcessInfo_v2_t *processes)
{
    nvmlProcessInfo_v2_t entry;
    nvmlReturn_t result = list(device, which, count, &entry, processes != NULL);

    if (result == NVML_SUCCESS && *count != 0)
        *processes = entry;
    return result;
}

#define LISTS(name, which)                                                                     \
    ENTRY name(nvmlDevice_t device, unsigned int *count, nvmlProcessInfo_v1_t *processes)      \
    {                                                                                          \
        return list_first(device, which, count, processes);                                    \
    }                                                                                          \
    ENTRY name##_v2(nvmlDevice_t device, unsigned int *count, nvmlProcessInfo_v2_t *processes) \
    {                                                                                          \
        return list_second(device, which, count, processes);                                   \
    }                                                                                          \
    ENTRY_ALIAS(name##_v3, name##_v2)

LISTS(nvmlDeviceGetComputeRunningProcesses, NVML_PROCESSES_COMPUTE);
LISTS(nvmlDeviceGetGraphicsRunningProcesses, NVML_PROCESSES_GRAPHICS);
LISTS(nvmlDeviceGetMPSComputeRunningProcesses, NVML_PROCESSES_MPS);

ENTRY
nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *samples, unsigned int *count,
                                unsigned long long since)
{
    nvmlProcessUtilizationSample_t own[NVML_OWN_UTILIZATION_SAMPLES_MAX];
    size_t there = NVML_OWN_UTILIZATION_SAMPLES_MAX, room;
    struct gpuvchan_client *client;
    uint32_t wire;
    nvmlReturn_t result = nvml_guest_enter_device(device, &client, &wire);

    if (result == NVML_SUCCESS && !count)
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS)
        result = nvml_guest_result(nvml_own_utilization(client, wire, since, own, &there));
    if (result != NVML_SUCCESS)
        return result;
    room = *count;
    *count = (unsigned int)there;
    if (!samples || room < there)
        return there != 0 ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
    for (size_t i = 0; i < there; i++) {
        samples[i] = own[i];
        samples[i].pid = (unsigned int)getpid();
    }
    return NVML_SUCCESS;
}

/* The program's name as it was started, of any process of the guest. */
ENTRY
nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int length)
{
    char path[32], text[4096];
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter(&client);
    ssize_t bytes;
    int file;

    if (result != NVML_SUCCESS)
        return result;
    if (!name || length == 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return NVML_ERROR_NOT_FOUND;
    bytes = read(file, text, sizeof(text) - 1);
    close(file);
    if (bytes <= 0)
        return NVML_ERROR_NOT_FOUND;
    text[bytes] = '\0';
    snprintf(name, length, "%s", text);
    return NVML_SUCCESS;
}
