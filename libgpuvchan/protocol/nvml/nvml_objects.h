/* SPDX-License-Identifier: MIT */
/* What guest and host say to each other beside NVML's own types. */
#ifndef GPUVCHAN_NVML_OBJECTS_H
#define GPUVCHAN_NVML_OBJECTS_H

#include <stdint.h>

#include "nvml_api.h"

/** The handle of device 0. */
#define NVML_DEVICE_FIRST 16u
#define NVML_DEVICES 64u

/** A number of the host's library, or why there is none. */
struct nvml_fact {
    int32_t status; /* nvmlReturn_t */
    uint32_t value;
};

struct nvml_device_info {
    int32_t name_status, uuid_status, serial_status, pci_status;
    char name[NVML_DEVICE_NAME_V2_BUFFER_SIZE];
    char uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE];
    char serial[32];
    nvmlPciInfo_t pci;
    struct nvml_fact brand, minor, architecture;
    struct nvml_fact major_capability, minor_capability;
};

/** Whose processes nvml_own_memory looks through. */
enum nvml_process_list {
    NVML_PROCESSES_COMPUTE,
    NVML_PROCESSES_GRAPHICS,
    NVML_PROCESSES_MPS,
    NVML_PROCESS_LISTS,
};

/*
 * Structs that begin with their version: function, type of the newest version, and the versions that pass, which
 * say the structs' sizes. The guest and the host have the same list.
 */
#define NVML_VERSIONED_OF_DEVICE(X)                                                                                   \
    X(nvmlDeviceGetMemoryInfo_v2, nvmlMemory_v2_t, nvmlMemory_v2, nvmlMemory_v2)                                      \
    X(nvmlDeviceGetPciInfoExt, nvmlPciInfoExt_v1_t, nvmlPciInfoExt_v1, nvmlPciInfoExt_v1)                             \
    X(nvmlDeviceGetTemperatureV, nvmlTemperature_v1_t, nvmlTemperature_v1, nvmlTemperature_v1)                        \
    X(nvmlDeviceGetMarginTemperature, nvmlMarginTemperature_v1_t, nvmlMarginTemperature_v1, nvmlMarginTemperature_v1) \
    X(nvmlDeviceGetClockOffsets, nvmlClockOffset_v1_t, nvmlClockOffset_v1, nvmlClockOffset_v1)                        \
    X(nvmlDeviceGetFanSpeedRPM, nvmlFanSpeedInfo_v1_t, nvmlFanSpeedInfo_v1, nvmlFanSpeedInfo_v1)                      \
    X(nvmlDeviceGetCoolerInfo, nvmlCoolerInfo_v1_t, nvmlCoolerInfo_v1, nvmlCoolerInfo_v1)                             \
    X(nvmlDeviceGetPerformanceModes, nvmlDevicePerfModes_v1_t, nvmlDevicePerfModes_v1, nvmlDevicePerfModes_v1)        \
    X(nvmlDeviceGetCurrentClockFreqs, nvmlDeviceCurrentClockFreqs_v1_t, nvmlDeviceCurrentClockFreqs_v1,               \
      nvmlDeviceCurrentClockFreqs_v1)                                                                                 \
    X(nvmlDeviceGetSramEccErrorStatus, nvmlEccSramErrorStatus_v1_t, nvmlEccSramErrorStatus_v1,                        \
      nvmlEccSramErrorStatus_v1)                                                                                      \
    X(nvmlDeviceGetNvLinkInfo, nvmlNvLinkInfo_v2_t, nvmlNvLinkInfo_v2, nvmlNvLinkInfo_v1)                             \
    X(nvmlDeviceGetNvlinkSupportedBwModes, nvmlNvlinkSupportedBwModes_v1_t, nvmlNvlinkSupportedBwModes_v1,            \
      nvmlNvlinkSupportedBwModes_v1)                                                                                  \
    X(nvmlDeviceGetNvlinkBwMode, nvmlNvlinkGetBwMode_v1_t, nvmlNvlinkGetBwMode_v1, nvmlNvlinkGetBwMode_v1)            \
    X(nvmlDeviceGetCapabilities, nvmlDeviceCapabilities_v1_t, nvmlDeviceCapabilities_v1, nvmlDeviceCapabilities_v1)   \
    X(nvmlDeviceGetRepairStatus, nvmlRepairStatus_v1_t, nvmlRepairStatus_v1, nvmlRepairStatus_v1)                     \
    X(nvmlDeviceGetAddressingMode, nvmlDeviceAddressingMode_v1_t, nvmlDeviceAddressingMode_v1,                        \
      nvmlDeviceAddressingMode_v1)

#define NVML_VERSIONED_OF_SYSTEM(X)                                                                           \
    X(nvmlSystemGetConfComputeSettings, nvmlSystemConfComputeSettings_v1_t, nvmlSystemConfComputeSettings_v1, \
      nvmlSystemConfComputeSettings_v1)

enum nvml_versioned {
#define NVML_VERSIONED_NUMBER(function, type, newest, oldest) NVML_QUERY_##function,
    NVML_VERSIONED_OF_DEVICE(NVML_VERSIONED_NUMBER)
    NVML_VERSIONED_OF_SYSTEM(NVML_VERSIONED_NUMBER)
#undef NVML_VERSIONED_NUMBER
        NVML_QUERIES
};

/** Bytes of the struct of a version. */
static inline uint32_t
nvml_version_bytes(uint32_t version)
{
    return version & 0xffffffu;
}

#endif
