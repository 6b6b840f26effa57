/* SPDX-License-Identifier: MIT */
/* Names that functions had before. */
#include "nvml_guest.h"

#define OLD_REASONS(name, now)                                   \
    ENTRY name(nvmlDevice_t device, unsigned long long *reasons) \
    {                                                            \
        return now(device, reasons);                             \
    }
OLD_REASONS(nvmlDeviceGetCurrentClocksThrottleReasons, nvmlDeviceGetCurrentClocksEventReasons)
OLD_REASONS(nvmlDeviceGetSupportedClocksThrottleReasons, nvmlDeviceGetSupportedClocksEventReasons)

extern __typeof__(nvmlGetExcludedDeviceCount) nvmlGetBlacklistDeviceCount;
ENTRY
nvmlGetBlacklistDeviceCount(unsigned int *count)
{
    return nvmlGetExcludedDeviceCount(count);
}

extern __typeof__(nvmlGetExcludedDeviceInfoByIndex) nvmlGetBlacklistDeviceInfoByIndex;
ENTRY
nvmlGetBlacklistDeviceInfoByIndex(unsigned int index, nvmlExcludedDeviceInfo_t *info)
{
    return nvmlGetExcludedDeviceInfoByIndex(index, info);
}
