/* SPDX-License-Identifier: MIT */
/* The library that answers: NVIDIA's libnvidia-ml.so.1, or what the simulated device says. One per process. */
#ifndef NVML_LIBRARY_H
#define NVML_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

#include "nvml_objects.h"

/* What every supported version has, and what may be missing: then its pointer is NULL. */
#define NVML_LIBRARY_NEEDED(X)       \
    X(nvmlInit_v2)                   \
    X(nvmlErrorString)               \
    X(nvmlSystemGetDriverVersion)    \
    X(nvmlSystemGetNVMLVersion)      \
    X(nvmlDeviceGetCount_v2)         \
    X(nvmlDeviceGetHandleByIndex_v2) \
    X(nvmlDeviceGetName)             \
    X(nvmlDeviceGetUUID)             \
    X(nvmlDeviceGetPciInfo_v3)

#define NVML_LIBRARY_OPTIONAL(X)                    \
    X(nvmlSystemGetCudaDriverVersion_v2)            \
    X(nvmlDeviceGetHandleByUUID)                    \
    X(nvmlDeviceGetSerial)                          \
    X(nvmlDeviceGetBrand)                           \
    X(nvmlDeviceGetMinorNumber)                     \
    X(nvmlDeviceGetArchitecture)                    \
    X(nvmlDeviceGetCudaComputeCapability)           \
    X(nvmlDeviceGetVbiosVersion)                    \
    X(nvmlDeviceGetBoardPartNumber)                 \
    X(nvmlDeviceGetInforomVersion)                  \
    X(nvmlDeviceGetInforomImageVersion)             \
    X(nvmlDeviceGetGspFirmwareVersion)              \
    X(nvmlDeviceGetFieldValues)                     \
    X(nvmlDeviceGetSamples)                         \
    X(nvmlDeviceGetSupportedMemoryClocks)           \
    X(nvmlDeviceGetSupportedGraphicsClocks)         \
    X(nvmlDeviceGetSupportedPerformanceStates)      \
    X(nvmlDeviceGetRetiredPages_v2)                 \
    X(nvmlDeviceGetComputeRunningProcesses_v3)      \
    X(nvmlDeviceGetGraphicsRunningProcesses_v3)     \
    X(nvmlDeviceGetMPSComputeRunningProcesses_v3)   \
    X(nvmlDeviceGetProcessUtilization)              \
    X(nvmlSystemGetConfComputeSettings)             \
    X(nvmlDeviceGetMemoryInfo_v2)                   \
    X(nvmlDeviceGetPciInfoExt)                      \
    X(nvmlDeviceGetTemperatureV)                    \
    X(nvmlDeviceGetMarginTemperature)               \
    X(nvmlDeviceGetClockOffsets)                    \
    X(nvmlDeviceGetFanSpeedRPM)                     \
    X(nvmlDeviceGetCoolerInfo)                      \
    X(nvmlDeviceGetPerformanceModes)                \
    X(nvmlDeviceGetCurrentClockFreqs)               \
    X(nvmlDeviceGetSramEccErrorStatus)              \
    X(nvmlDeviceGetNvLinkInfo)                      \
    X(nvmlDeviceGetNvlinkSupportedBwModes)          \
    X(nvmlDeviceGetNvlinkBwMode)                    \
    X(nvmlDeviceGetCapabilities)                    \
    X(nvmlDeviceGetRepairStatus)                    \
    X(nvmlDeviceGetAddressingMode)                  \
    X(nvmlDeviceGetBoardId)                         \
    X(nvmlDeviceGetMultiGpuBoard)                   \
    X(nvmlDeviceGetModuleId)                        \
    X(nvmlDeviceGetNumGpuCores)                     \
    X(nvmlDeviceGetMemoryBusWidth)                  \
    X(nvmlDeviceGetAttributes_v2)                   \
    X(nvmlDeviceGetC2cModeInfoV)                    \
    X(nvmlDeviceGetBusType)                         \
    X(nvmlDeviceGetPowerSource)                     \
    X(nvmlDeviceGetMaxPcieLinkGeneration)           \
    X(nvmlDeviceGetGpuMaxPcieLinkGeneration)        \
    X(nvmlDeviceGetMaxPcieLinkWidth)                \
    X(nvmlDeviceGetPcieLinkMaxSpeed)                \
    X(nvmlDeviceGetNumFans)                         \
    X(nvmlDeviceGetMinMaxFanSpeed)                  \
    X(nvmlDeviceGetTemperatureThreshold)            \
    X(nvmlDeviceGetMaxClockInfo)                    \
    X(nvmlDeviceGetMaxCustomerBoostClock)           \
    X(nvmlDeviceGetMinMaxClockOfPState)             \
    X(nvmlDeviceGetGpcClkMinMaxVfOffset)            \
    X(nvmlDeviceGetMemClkMinMaxVfOffset)            \
    X(nvmlDeviceGetPowerManagementLimitConstraints) \
    X(nvmlDeviceGetPowerManagementDefaultLimit)     \
    X(nvmlDeviceGetSupportedClocksEventReasons)     \
    X(nvmlDeviceGetMaxMigDeviceCount)               \
    X(nvmlSystemGetConfComputeCapabilities)         \
    X(nvmlDeviceGetPersistenceMode)                 \
    X(nvmlDeviceGetComputeMode)                     \
    X(nvmlDeviceGetDisplayMode)                     \
    X(nvmlDeviceGetDisplayActive)                   \
    X(nvmlDeviceGetEccMode)                         \
    X(nvmlDeviceGetDefaultEccMode)                  \
    X(nvmlDeviceGetGpuOperationMode)                \
    X(nvmlDeviceGetMigMode)                         \
    X(nvmlDeviceGetVirtualizationMode)              \
    X(nvmlDeviceGetHostVgpuMode)                    \
    X(nvmlDeviceGetGspFirmwareMode)                 \
    X(nvmlDeviceGetAPIRestriction)                  \
    X(nvmlDeviceGetPowerManagementMode)             \
    X(nvmlDeviceGetAutoBoostedClocksEnabled)        \
    X(nvmlDeviceGetFanControlPolicy_v2)             \
    X(nvmlSystemGetConfComputeState)                \
    X(nvmlSystemGetConfComputeGpusReadyState)       \
    X(nvmlDeviceGetMemoryInfo)                      \
    X(nvmlDeviceGetBAR1MemoryInfo)                  \
    X(nvmlDeviceGetConfComputeMemSizeInfo)          \
    X(nvmlDeviceGetConfComputeProtectedMemoryUsage) \
    X(nvmlDeviceGetUtilizationRates)                \
    X(nvmlDeviceGetEncoderUtilization)              \
    X(nvmlDeviceGetDecoderUtilization)              \
    X(nvmlDeviceGetJpgUtilization)                  \
    X(nvmlDeviceGetOfaUtilization)                  \
    X(nvmlDeviceGetEncoderCapacity)                 \
    X(nvmlDeviceGetEncoderStats)                    \
    X(nvmlDeviceGetFBCStats)                        \
    X(nvmlDeviceGetTemperature)                     \
    X(nvmlDeviceGetThermalSettings)                 \
    X(nvmlDeviceGetFanSpeed)                        \
    X(nvmlDeviceGetFanSpeed_v2)                     \
    X(nvmlDeviceGetTargetFanSpeed)                  \
    X(nvmlDeviceGetPowerUsage)                      \
    X(nvmlDeviceGetPowerManagementLimit)            \
    X(nvmlDeviceGetEnforcedPowerLimit)              \
    X(nvmlDeviceGetTotalEnergyConsumption)          \
    X(nvmlDeviceGetClockInfo)                       \
    X(nvmlDeviceGetClock)                           \
    X(nvmlDeviceGetApplicationsClock)               \
    X(nvmlDeviceGetDefaultApplicationsClock)        \
    X(nvmlDeviceGetAdaptiveClockInfoStatus)         \
    X(nvmlDeviceGetGpcClkVfOffset)                  \
    X(nvmlDeviceGetMemClkVfOffset)                  \
    X(nvmlDeviceGetCurrentClocksEventReasons)       \
    X(nvmlDeviceGetClkMonStatus)                    \
    X(nvmlDeviceGetPerformanceState)                \
    X(nvmlDeviceGetPowerState)                      \
    X(nvmlDeviceGetDynamicPstatesInfo)              \
    X(nvmlDeviceGetViolationStatus)                 \
    X(nvmlDeviceGetCurrPcieLinkGeneration)          \
    X(nvmlDeviceGetCurrPcieLinkWidth)               \
    X(nvmlDeviceGetPcieSpeed)                       \
    X(nvmlDeviceGetPcieThroughput)                  \
    X(nvmlDeviceGetPcieReplayCounter)               \
    X(nvmlDeviceGetTotalEccErrors)                  \
    X(nvmlDeviceGetDetailedEccErrors)               \
    X(nvmlDeviceGetMemoryErrorCounter)              \
    X(nvmlDeviceGetRetiredPagesPendingStatus)       \
    X(nvmlDeviceGetRemappedRows)                    \
    X(nvmlDeviceGetRemappedRows_v2)                 \
    X(nvmlDeviceGetRowRemapperHistogram)            \
    X(nvmlDeviceGetUnrepairableMemoryFlag_v1)       \
    X(nvmlDeviceGetNvLinkState)                     \
    X(nvmlDeviceGetNvLinkVersion)                   \
    X(nvmlDeviceGetNvLinkCapability)                \
    X(nvmlDeviceGetNvLinkErrorCounter)              \
    X(nvmlDeviceGetNvLinkRemoteDeviceType)          \
    X(nvmlDeviceGetNvLinkRemotePciInfo_v2)          \
    X(nvmlDeviceGetTopologyCommonAncestor)          \
    X(nvmlDeviceGetP2PStatus)                       \
    X(nvmlDeviceOnSameBoard)

struct nvml_library {
#define NVML_LIBRARY_FIELD(name) __typeof__(name) *name;
    NVML_LIBRARY_NEEDED(NVML_LIBRARY_FIELD)
    NVML_LIBRARY_OPTIONAL(NVML_LIBRARY_FIELD)
#undef NVML_LIBRARY_FIELD
    bool simulated;
    bool serials; /* guests may see serial numbers */
    int cuda_version;
    unsigned devices; /* those that a guest gets, in its order */
    nvmlDevice_t device[NVML_DEVICES];
    char driver[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE], library[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE];
    char path[4096]; /* of the file that was loaded */
};

/** @p choice: auto, simulated, or the path of a libnvidia-ml.so.1. Before the library is started. @return 0, -EINVAL. */
int nvml_library_choose(const char *choice);
/** May guests see serial numbers? "yes" or "no". @return 0, -EINVAL. */
int nvml_library_show_serials(const char *choice);
/**
 * Loads and initialises the library at the first call; the same table afterwards. Thread-safe.
 * NULL: none works here; the reason and the remedy are in the log.
 */
const struct nvml_library *nvml_library_start(void);

/* simulated.c */
/** Fills the table with functions that ask the simulated libcuda.so.1 at @p path. @return 0, -errno; @p why says it. */
int nvml_simulated_load(const char *path, struct nvml_library *table, char *why, size_t why_bytes);

#endif
