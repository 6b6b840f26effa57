/* SPDX-License-Identifier: MIT */
/* The system: versions, and kinds of hardware that a guest has none of. */
#include <string.h>

#include "nvml_guest.h"

/* ---- Versions -------------------------------------------------------------------------------- */

ENTRY
nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter(&client);

    return result == NVML_SUCCESS ? nvml_guest_text(nvml_guest.driver, version, length) : result;
}

ENTRY
nvmlSystemGetNVMLVersion(char *version, unsigned int length)
{
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter(&client);

    return result == NVML_SUCCESS ? nvml_guest_text(nvml_guest.library, version, length) : result;
}

ENTRY
nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter(&client);

    if (result != NVML_SUCCESS)
        return result;
    if (!version)
        return NVML_ERROR_INVALID_ARGUMENT;
    *version = nvml_guest.cuda_version;
    return NVML_SUCCESS;
}
ENTRY_ALIAS(nvmlSystemGetCudaDriverVersion, nvmlSystemGetCudaDriverVersion_v2);

/* A branch is what stands before the first point: r580 of 580.65.06. */
ENTRY
nvmlSystemGetDriverBranch(nvmlSystemDriverBranchInfo_v1_t *branch, unsigned int length)
{
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter(&client);
    size_t digits = strcspn(nvml_guest.driver, ".");

    if (result != NVML_SUCCESS)
        return result;
    if (!branch)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (branch->version != nvmlSystemDriverBranchInfo_v1)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (length < digits + 2 || sizeof(branch->branch) < digits + 2)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    branch->branch[0] = 'r';
    memcpy(branch->branch + 1, nvml_guest.driver, digits);
    branch->branch[digits + 1] = '\0';
    return NVML_SUCCESS;
}

/* ---- What there is none of ------------------------------------------------------------------- */

static nvmlReturn_t
none(unsigned int *count)
{
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter(&client);

    if (result != NVML_SUCCESS)
        return result;
    if (!count)
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = 0;
    return NVML_SUCCESS;
}

static nvmlReturn_t
no_such(void)
{
    struct gpuvchan_client *client;
    nvmlReturn_t result = nvml_guest_enter(&client);

    return result == NVML_SUCCESS ? NVML_ERROR_INVALID_ARGUMENT : result;
}

ENTRY
nvmlUnitGetCount(unsigned int *count)
{
    return none(count);
}

ENTRY
nvmlUnitGetHandleByIndex(unsigned int index, nvmlUnit_t *unit)
{
    (void)index;
    (void)unit;
    return no_such();
}

ENTRY
nvmlSystemGetHicVersion(unsigned int *count, nvmlHwbcEntry_t *entries)
{
    (void)entries;
    return none(count);
}

ENTRY
nvmlGetExcludedDeviceCount(unsigned int *count)
{
    return none(count);
}

ENTRY
nvmlGetExcludedDeviceInfoByIndex(unsigned int index, nvmlExcludedDeviceInfo_t *info)
{
    (void)index;
    (void)info;
    return no_such();
}
