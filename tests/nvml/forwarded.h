/* SPDX-License-Identifier: MIT */
/*
 * Every entry point that is forwarded as it is, by its shape: what it is about, how many numbers go in, what comes
 * out. The fake library defines them from this list, and the test calls them; both make the same numbers of name,
 * device and arguments, so that nothing can be exchanged or lost on the way.
 */
#ifndef NVML_FORWARDED_H
#define NVML_FORWARDED_H

#include <stdint.h>
#include <string.h>

#include "nvml_api.h"

#define FORWARDED_DEVICE_IN1_OUT1(X)                                                \
    X(nvmlDeviceGetTemperatureThreshold, nvmlTemperatureThresholds_t, unsigned int) \
    X(nvmlDeviceGetMaxClockInfo, nvmlClockType_t, unsigned int)                     \
    X(nvmlDeviceGetMaxCustomerBoostClock, nvmlClockType_t, unsigned int)            \
    X(nvmlDeviceGetAPIRestriction, nvmlRestrictedAPI_t, nvmlEnableState_t)          \
    X(nvmlDeviceGetFanControlPolicy_v2, unsigned int, nvmlFanControlPolicy_t)       \
    X(nvmlDeviceGetEncoderCapacity, nvmlEncoderType_t, unsigned int)                \
    X(nvmlDeviceGetTemperature, nvmlTemperatureSensors_t, unsigned int)             \
    X(nvmlDeviceGetFanSpeed_v2, unsigned int, unsigned int)                         \
    X(nvmlDeviceGetTargetFanSpeed, unsigned int, unsigned int)                      \
    X(nvmlDeviceGetClockInfo, nvmlClockType_t, unsigned int)                        \
    X(nvmlDeviceGetApplicationsClock, nvmlClockType_t, unsigned int)                \
    X(nvmlDeviceGetDefaultApplicationsClock, nvmlClockType_t, unsigned int)         \
    X(nvmlDeviceGetPcieThroughput, nvmlPcieUtilCounter_t, unsigned int)             \
    X(nvmlDeviceGetNvLinkState, unsigned int, nvmlEnableState_t)                    \
    X(nvmlDeviceGetNvLinkVersion, unsigned int, unsigned int)                       \
    X(nvmlDeviceGetNvLinkRemoteDeviceType, unsigned int, nvmlIntNvLinkDeviceType_t)

#define FORWARDED_DEVICE_IN1_STRUCT(X)                                         \
    X(nvmlDeviceGetThermalSettings, unsigned int, nvmlGpuThermalSettings_t)    \
    X(nvmlDeviceGetViolationStatus, nvmlPerfPolicyType_t, nvmlViolationTime_t) \
    X(nvmlDeviceGetNvLinkRemotePciInfo_v2, unsigned int, nvmlPciInfo_t)

#define FORWARDED_DEVICE_IN2_OUT1(X)                                                                \
    X(nvmlDeviceGetClock, nvmlClockType_t, nvmlClockId_t, unsigned int)                             \
    X(nvmlDeviceGetTotalEccErrors, nvmlMemoryErrorType_t, nvmlEccCounterType_t, unsigned long long) \
    X(nvmlDeviceGetNvLinkCapability, unsigned int, nvmlNvLinkCapability_t, unsigned int)            \
    X(nvmlDeviceGetNvLinkErrorCounter, unsigned int, nvmlNvLinkErrorCounter_t, unsigned long long)

#define FORWARDED_DEVICE_IN2_OUT2(X) \
    X(nvmlDeviceGetMinMaxClockOfPState, nvmlClockType_t, nvmlPstates_t, unsigned int, unsigned int)

#define FORWARDED_DEVICE_IN2_STRUCT(X) \
    X(nvmlDeviceGetDetailedEccErrors, nvmlMemoryErrorType_t, nvmlEccCounterType_t, nvmlEccErrorCounts_t)

#define FORWARDED_DEVICE_IN3_OUT1(X)                                                                      \
    X(nvmlDeviceGetMemoryErrorCounter, nvmlMemoryErrorType_t, nvmlEccCounterType_t, nvmlMemoryLocation_t, \
      unsigned long long)

#define FORWARDED_DEVICE_OUT1(X)                                    \
    X(nvmlDeviceGetBoardId, unsigned int)                           \
    X(nvmlDeviceGetMultiGpuBoard, unsigned int)                     \
    X(nvmlDeviceGetModuleId, unsigned int)                          \
    X(nvmlDeviceGetNumGpuCores, unsigned int)                       \
    X(nvmlDeviceGetMemoryBusWidth, unsigned int)                    \
    X(nvmlDeviceGetBusType, nvmlBusType_t)                          \
    X(nvmlDeviceGetPowerSource, nvmlPowerSource_t)                  \
    X(nvmlDeviceGetMaxPcieLinkGeneration, unsigned int)             \
    X(nvmlDeviceGetGpuMaxPcieLinkGeneration, unsigned int)          \
    X(nvmlDeviceGetMaxPcieLinkWidth, unsigned int)                  \
    X(nvmlDeviceGetPcieLinkMaxSpeed, unsigned int)                  \
    X(nvmlDeviceGetNumFans, unsigned int)                           \
    X(nvmlDeviceGetPowerManagementDefaultLimit, unsigned int)       \
    X(nvmlDeviceGetSupportedClocksEventReasons, unsigned long long) \
    X(nvmlDeviceGetMaxMigDeviceCount, unsigned int)                 \
    X(nvmlDeviceGetPersistenceMode, nvmlEnableState_t)              \
    X(nvmlDeviceGetComputeMode, nvmlComputeMode_t)                  \
    X(nvmlDeviceGetDisplayMode, nvmlEnableState_t)                  \
    X(nvmlDeviceGetDisplayActive, nvmlEnableState_t)                \
    X(nvmlDeviceGetDefaultEccMode, nvmlEnableState_t)               \
    X(nvmlDeviceGetVirtualizationMode, nvmlGpuVirtualizationMode_t) \
    X(nvmlDeviceGetHostVgpuMode, nvmlHostVgpuMode_t)                \
    X(nvmlDeviceGetPowerManagementMode, nvmlEnableState_t)          \
    X(nvmlDeviceGetFanSpeed, unsigned int)                          \
    X(nvmlDeviceGetPowerUsage, unsigned int)                        \
    X(nvmlDeviceGetPowerManagementLimit, unsigned int)              \
    X(nvmlDeviceGetEnforcedPowerLimit, unsigned int)                \
    X(nvmlDeviceGetTotalEnergyConsumption, unsigned long long)      \
    X(nvmlDeviceGetAdaptiveClockInfoStatus, unsigned int)           \
    X(nvmlDeviceGetGpcClkVfOffset, int)                             \
    X(nvmlDeviceGetMemClkVfOffset, int)                             \
    X(nvmlDeviceGetCurrentClocksEventReasons, unsigned long long)   \
    X(nvmlDeviceGetPerformanceState, nvmlPstates_t)                 \
    X(nvmlDeviceGetPowerState, nvmlPstates_t)                       \
    X(nvmlDeviceGetCurrPcieLinkGeneration, unsigned int)            \
    X(nvmlDeviceGetCurrPcieLinkWidth, unsigned int)                 \
    X(nvmlDeviceGetPcieSpeed, unsigned int)                         \
    X(nvmlDeviceGetPcieReplayCounter, unsigned int)                 \
    X(nvmlDeviceGetRetiredPagesPendingStatus, nvmlEnableState_t)

#define FORWARDED_DEVICE_OUT2(X)                                                     \
    X(nvmlDeviceGetMinMaxFanSpeed, unsigned int, unsigned int)                       \
    X(nvmlDeviceGetGpcClkMinMaxVfOffset, int, int)                                   \
    X(nvmlDeviceGetMemClkMinMaxVfOffset, int, int)                                   \
    X(nvmlDeviceGetPowerManagementLimitConstraints, unsigned int, unsigned int)      \
    X(nvmlDeviceGetEccMode, nvmlEnableState_t, nvmlEnableState_t)                    \
    X(nvmlDeviceGetGpuOperationMode, nvmlGpuOperationMode_t, nvmlGpuOperationMode_t) \
    X(nvmlDeviceGetMigMode, unsigned int, unsigned int)                              \
    X(nvmlDeviceGetGspFirmwareMode, unsigned int, unsigned int)                      \
    X(nvmlDeviceGetAutoBoostedClocksEnabled, nvmlEnableState_t, nvmlEnableState_t)   \
    X(nvmlDeviceGetEncoderUtilization, unsigned int, unsigned int)                   \
    X(nvmlDeviceGetDecoderUtilization, unsigned int, unsigned int)                   \
    X(nvmlDeviceGetJpgUtilization, unsigned int, unsigned int)                       \
    X(nvmlDeviceGetOfaUtilization, unsigned int, unsigned int)

#define FORWARDED_DEVICE_OUT3(X) X(nvmlDeviceGetEncoderStats, unsigned int, unsigned int, unsigned int)

#define FORWARDED_DEVICE_OUT4(X) X(nvmlDeviceGetRemappedRows, unsigned int, unsigned int, unsigned int, unsigned int)

#define FORWARDED_DEVICE_STRUCT(X)                                         \
    X(nvmlDeviceGetAttributes_v2, nvmlDeviceAttributes_t)                  \
    X(nvmlDeviceGetC2cModeInfoV, nvmlC2cModeInfo_v1_t)                     \
    X(nvmlDeviceGetMemoryInfo, nvmlMemory_t)                               \
    X(nvmlDeviceGetBAR1MemoryInfo, nvmlBAR1Memory_t)                       \
    X(nvmlDeviceGetConfComputeMemSizeInfo, nvmlConfComputeMemSizeInfo_t)   \
    X(nvmlDeviceGetConfComputeProtectedMemoryUsage, nvmlMemory_t)          \
    X(nvmlDeviceGetUtilizationRates, nvmlUtilization_t)                    \
    X(nvmlDeviceGetFBCStats, nvmlFBCStats_t)                               \
    X(nvmlDeviceGetClkMonStatus, nvmlClkMonStatus_t)                       \
    X(nvmlDeviceGetDynamicPstatesInfo, nvmlGpuDynamicPstatesInfo_t)        \
    X(nvmlDeviceGetRemappedRows_v2, nvmlRemappedRowsInfo_v2_t)             \
    X(nvmlDeviceGetRowRemapperHistogram, nvmlRowRemapperHistogramValues_t) \
    X(nvmlDeviceGetUnrepairableMemoryFlag_v1, nvmlUnrepairableMemoryStatus_v1_t)

#define FORWARDED_PAIR_IN1_OUT1(X) X(nvmlDeviceGetP2PStatus, nvmlGpuP2PCapsIndex_t, nvmlGpuP2PStatus_t)

#define FORWARDED_PAIR_OUT1(X)                                     \
    X(nvmlDeviceGetTopologyCommonAncestor, nvmlGpuTopologyLevel_t) \
    X(nvmlDeviceOnSameBoard, int)

#define FORWARDED_SYSTEM_OUT1(X) X(nvmlSystemGetConfComputeGpusReadyState, unsigned int)

#define FORWARDED_SYSTEM_STRUCT(X)                                       \
    X(nvmlSystemGetConfComputeCapabilities, nvmlConfComputeSystemCaps_t) \
    X(nvmlSystemGetConfComputeState, nvmlConfComputeSystemState_t)

/** A number of @p name, the device (or 0), and up to three arguments. */
static inline uint32_t
forwarded_number(const char *name, uint32_t device, uint32_t a, uint32_t b, uint32_t c)
{
    const uint32_t parts[] = {device, a, b, c};
    uint32_t hash = 2166136261u;

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    for (unsigned i = 0; i < 4; i++)
        hash = (hash ^ parts[i]) * 16777619u;
    return hash & 0x7fffffffu;
}

/** Fills a struct so that each byte has its own value. */
static inline void
forwarded_fill(void *data, size_t bytes, uint32_t number)
{
    unsigned char *at = data;

    for (size_t i = 0; i < bytes; i++)
        at[i] = (unsigned char)(number + i * 7);
}

#endif
