/* SPDX-License-Identifier: MIT */
/*
 * A libnvidia-ml.so.1 that makes its answers from its arguments, for tests/test-nvml.sh. It ends the process when it
 * is asked to change something, or handed a device or a struct's version that cannot be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gpuvchan/gpuvchan.h>

#include "../nvml/forwarded.h"
#include "fake_nvml.h"

#define FAKE GPUVCHAN_EXPORT nvmlReturn_t

static char places[FAKE_DEVICES];

static void
refuse(const char *function, const char *why)
{
    fprintf(stderr, "the fake libnvidia-ml.so.1: %s: %s\n", function, why);
    abort();
}

/* The device's number, from 1. */
static uint32_t
number_of(nvmlDevice_t device, const char *function)
{
    size_t index = (size_t)((char *)device - places);

    if (index >= FAKE_DEVICES)
        refuse(function, "no device");
    return (uint32_t)index + 1;
}

/* ---- Forwarded as they are ------------------------------------------------------------------- */

#define NUMBER(function, device, a, b, c) \
    forwarded_number(#function, device, (uint32_t)(a), (uint32_t)(b), (uint32_t)(c))
#define OF(function) uint32_t self = number_of(device, #function)

#define DEVICE_OUT1(function, T)                 \
    FAKE function(nvmlDevice_t device, T *x)     \
    {                                            \
        OF(function);                            \
        *x = (T)NUMBER(function, self, 0, 0, 1); \
        return NVML_SUCCESS;                     \
    }
FORWARDED_DEVICE_OUT1(DEVICE_OUT1)

#define DEVICE_OUT2(function, T, U)                \
    FAKE function(nvmlDevice_t device, T *x, U *y) \
    {                                              \
        OF(function);                              \
        *x = (T)NUMBER(function, self, 0, 0, 1);   \
        *y = (U)NUMBER(function, self, 0, 0, 2);   \
        return NVML_SUCCESS;                       \
    }
FORWARDED_DEVICE_OUT2(DEVICE_OUT2)

#define DEVICE_OUT3(function, T, U, V)                   \
    FAKE function(nvmlDevice_t device, T *x, U *y, V *z) \
    {                                                    \
        OF(function);                                    \
        *x = (T)NUMBER(function, self, 0, 0, 1);         \
        *y = (U)NUMBER(function, self, 0, 0, 2);         \
        *z = (V)NUMBER(function, self, 0, 0, 3);         \
        return NVML_SUCCESS;                             \
    }
FORWARDED_DEVICE_OUT3(DEVICE_OUT3)

#define DEVICE_OUT4(function, T, U, V, W)                      \
    FAKE function(nvmlDevice_t device, T *x, U *y, V *z, W *w) \
    {                                                          \
        OF(function);                                          \
        *x = (T)NUMBER(function, self, 0, 0, 1);               \
        *y = (U)NUMBER(function, self, 0, 0, 2);               \
        *z = (V)NUMBER(function, self, 0, 0, 3);               \
        *w = (W)NUMBER(function, self, 0, 0, 4);               \
        return NVML_SUCCESS;                                   \
    }
FORWARDED_DEVICE_OUT4(DEVICE_OUT4)

#define DEVICE_IN1_OUT1(function, A, T)           \
    FAKE function(nvmlDevice_t device, A a, T *x) \
    {                                             \
        OF(function);                             \
        *x = (T)NUMBER(function, self, a, 0, 1);  \
        return NVML_SUCCESS;                      \
    }
FORWARDED_DEVICE_IN1_OUT1(DEVICE_IN1_OUT1)

#define DEVICE_IN2_OUT1(function, A, B, T)             \
    FAKE function(nvmlDevice_t device, A a, B b, T *x) \
    {                                                  \
        OF(function);                                  \
        *x = (T)NUMBER(function, self, a, b, 1);       \
        return NVML_SUCCESS;                           \
    }
FORWARDED_DEVICE_IN2_OUT1(DEVICE_IN2_OUT1)

#define DEVICE_IN3_OUT1(function, A, B, C, T)                  \
    FAKE function(nvmlDevice_t device, A a, B b, C c, T *x)    \
    {                                                          \
        OF(function);                                          \
        *x = (T)NUMBER(function, self, a, b, (uint32_t)c + 1); \
        return NVML_SUCCESS;                                   \
    }
FORWARDED_DEVICE_IN3_OUT1(DEVICE_IN3_OUT1)

#define DEVICE_IN2_OUT2(function, A, B, T, U)                \
    FAKE function(nvmlDevice_t device, A a, B b, T *x, U *y) \
    {                                                        \
        OF(function);                                        \
        *x = (T)NUMBER(function, self, a, b, 1);             \
        *y = (U)NUMBER(function, self, a, b, 2);             \
        return NVML_SUCCESS;                                 \
    }
FORWARDED_DEVICE_IN2_OUT2(DEVICE_IN2_OUT2)

#define DEVICE_STRUCT(function, T)                                            \
    FAKE function(nvmlDevice_t device, T *data)                               \
    {                                                                         \
        OF(function);                                                         \
        forwarded_fill(data, sizeof(*data), NUMBER(function, self, 0, 0, 1)); \
        return NVML_SUCCESS;                                                  \
    }
FORWARDED_DEVICE_STRUCT(DEVICE_STRUCT)

#define DEVICE_IN1_STRUCT(function, A, T)                                     \
    FAKE function(nvmlDevice_t device, A a, T *data)                          \
    {                                                                         \
        OF(function);                                                         \
        forwarded_fill(data, sizeof(*data), NUMBER(function, self, a, 0, 1)); \
        return NVML_SUCCESS;                                                  \
    }
FORWARDED_DEVICE_IN1_STRUCT(DEVICE_IN1_STRUCT)

#define DEVICE_IN2_STRUCT(function, A, B, T)                                  \
    FAKE function(nvmlDevice_t device, A a, B b, T *data)                     \
    {                                                                         \
        OF(function);                                                         \
        forwarded_fill(data, sizeof(*data), NUMBER(function, self, a, b, 1)); \
        return NVML_SUCCESS;                                                  \
    }
FORWARDED_DEVICE_IN2_STRUCT(DEVICE_IN2_STRUCT)

#define SYSTEM_STRUCT(function, T)                                         \
    FAKE function(T *data)                                                 \
    {                                                                      \
        forwarded_fill(data, sizeof(*data), NUMBER(function, 0, 0, 0, 1)); \
        return NVML_SUCCESS;                                               \
    }
FORWARDED_SYSTEM_STRUCT(SYSTEM_STRUCT)

#define SYSTEM_OUT1(function, T)              \
    FAKE function(T *x)                       \
    {                                         \
        *x = (T)NUMBER(function, 0, 0, 0, 1); \
        return NVML_SUCCESS;                  \
    }
FORWARDED_SYSTEM_OUT1(SYSTEM_OUT1)

#define PAIR_OUT1(function, T)                                             \
    FAKE function(nvmlDevice_t device, nvmlDevice_t other, T *x)           \
    {                                                                      \
        OF(function);                                                      \
        *x = (T)NUMBER(function, self, number_of(other, #function), 0, 1); \
        return NVML_SUCCESS;                                               \
    }
FORWARDED_PAIR_OUT1(PAIR_OUT1)

#define PAIR_IN1_OUT1(function, A, T)                                      \
    FAKE function(nvmlDevice_t device, nvmlDevice_t other, A a, T *x)      \
    {                                                                      \
        OF(function);                                                      \
        *x = (T)NUMBER(function, self, number_of(other, #function), a, 1); \
        return NVML_SUCCESS;                                               \
    }
FORWARDED_PAIR_IN1_OUT1(PAIR_IN1_OUT1)

/* ---- Structs with a version ------------------------------------------------------------------ */

static nvmlReturn_t
versioned(const char *function, uint32_t self, void *data, uint32_t newest, uint32_t oldest)
{
    uint32_t version;

    memcpy(&version, data, sizeof(version));
    if (version != newest && version != oldest)
        refuse(function, "a version that cannot be");
    forwarded_fill((char *)data + sizeof(version), nvml_version_bytes(version) - sizeof(version),
                   forwarded_number(function, self, version, 0, 1));
    return NVML_SUCCESS;
}

#define VERSIONED_DEVICE(function, type, newest, oldest)                                 \
    FAKE function(nvmlDevice_t device, type *data)                                       \
    {                                                                                    \
        return versioned(#function, number_of(device, #function), data, newest, oldest); \
    }
NVML_VERSIONED_OF_DEVICE(VERSIONED_DEVICE)
#define VERSIONED_SYSTEM(function, type, newest, oldest)      \
    FAKE function(type *data)                                 \
    {                                                         \
        return versioned(#function, 0, data, newest, oldest); \
    }
NVML_VERSIONED_OF_SYSTEM(VERSIONED_SYSTEM)

/* ---- Start and texts ------------------------------------------------------------------------- */

FAKE
nvmlInit_v2(void)
{
    return NVML_SUCCESS;
}

FAKE
nvmlShutdown(void)
{
    return NVML_SUCCESS;
}

GPUVCHAN_EXPORT const char *
nvmlErrorString(nvmlReturn_t result)
{
    (void)result;
    return "of the fake library";
}

static nvmlReturn_t
say(char *out, unsigned length, const char *format, unsigned number)
{
    return snprintf(out, length, format, number) < (int)length ? NVML_SUCCESS : NVML_ERROR_INSUFFICIENT_SIZE;
}

FAKE
nvmlSystemGetDriverVersion(char *version, unsigned length)
{
    return say(version, length, FAKE_DRIVER, 0);
}

FAKE
nvmlSystemGetNVMLVersion(char *version, unsigned length)
{
    return say(version, length, FAKE_NVML, 0);
}

FAKE
nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    *version = 99000;
    return NVML_SUCCESS;
}

FAKE
nvmlDeviceGetCount_v2(unsigned *count)
{
    *count = FAKE_DEVICES;
    return NVML_SUCCESS;
}

FAKE
nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device)
{
    *device = (nvmlDevice_t)(void *)&places[index];
    return NVML_SUCCESS;
}

#define TEXT(function, format)                                          \
    FAKE function(nvmlDevice_t device, char *text, unsigned length)     \
    {                                                                   \
        return say(text, length, format, number_of(device, #function)); \
    }
TEXT(nvmlDeviceGetName, FAKE_NAME)
TEXT(nvmlDeviceGetUUID, FAKE_UUID)
TEXT(nvmlDeviceGetSerial, FAKE_SERIAL)
TEXT(nvmlDeviceGetVbiosVersion, FAKE_VBIOS)
TEXT(nvmlDeviceGetBoardPartNumber, FAKE_PART)
TEXT(nvmlDeviceGetInforomImageVersion, FAKE_IMAGE)

FAKE
nvmlDeviceGetInforomVersion(nvmlDevice_t device, nvmlInforomObject_t object, char *version, unsigned length)
{
    return say(version, length, FAKE_INFOROM, number_of(device, "nvmlDeviceGetInforomVersion") * 10 + object);
}

FAKE
nvmlDeviceGetGspFirmwareVersion(nvmlDevice_t device, char *version)
{
    return say(version, NVML_GSP_FIRMWARE_VERSION_BUF_SIZE, FAKE_GSP, number_of(device, "GspFirmwareVersion"));
}

FAKE
nvmlDeviceGetBrand(nvmlDevice_t device, nvmlBrandType_t *brand)
{
    *brand = (nvmlBrandType_t)(number_of(device, "nvmlDeviceGetBrand") + 1);
    return NVML_SUCCESS;
}

FAKE
nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned *minor)
{
    *minor = number_of(device, "nvmlDeviceGetMinorNumber") + 10;
    return NVML_SUCCESS;
}

FAKE
nvmlDeviceGetArchitecture(nvmlDevice_t device, nvmlDeviceArchitecture_t *architecture)
{
    return number_of(device, "nvmlDeviceGetArchitecture") == 1 ? (*architecture = 9, NVML_SUCCESS)
                                                               : NVML_ERROR_NOT_SUPPORTED;
}

FAKE
nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor)
{
    *major = 9;
    *minor = (int)number_of(device, "nvmlDeviceGetCudaComputeCapability");
    return NVML_SUCCESS;
}

FAKE
nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    unsigned self = number_of(device, "nvmlDeviceGetPciInfo_v3");

    *pci = (nvmlPciInfo_t){.domain = self, .bus = 0x40 + self, .device = 3, .pciDeviceId = 0x233510de};
    pci->pciSubSystemId = 0x16c110de;
    snprintf(pci->busIdLegacy, sizeof(pci->busIdLegacy), "%04X:%02X:03.0", self, pci->bus);
    snprintf(pci->busId, sizeof(pci->busId), "%08X:%02X:03.0", self, pci->bus);
    return NVML_SUCCESS;
}

/* ---- Lists ----------------------------------------------------------------------------------- */

FAKE
nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t *values)
{
    uint32_t self = number_of(device, "nvmlDeviceGetFieldValues");

    for (int i = 0; i < count; i++) {
        if (values[i].value.ullVal != 0 || values[i].timestamp != 0)
            refuse("nvmlDeviceGetFieldValues", "what the guest wrote came through");
        values[i].valueType = NVML_VALUE_TYPE_UNSIGNED_LONG_LONG;
        values[i].nvmlReturn = values[i].fieldId == 7 ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS;
        values[i].value.ullVal = forwarded_number("field", self, values[i].fieldId, values[i].scopeId, 0);
    }
    return NVML_SUCCESS;
}

FAKE
nvmlDeviceGetSamples(nvmlDevice_t device, nvmlSamplingType_t type, unsigned long long since, nvmlValueType_t *kind,
                     unsigned *count, nvmlSample_t *samples)
{
    uint32_t self = number_of(device, "nvmlDeviceGetSamples");

    *kind = NVML_VALUE_TYPE_UNSIGNED_INT;
    if (samples && *count < FAKE_SAMPLES)
        refuse("nvmlDeviceGetSamples", "too little room");
    *count = FAKE_SAMPLES;
    for (unsigned i = 0; samples && i < FAKE_SAMPLES; i++)
        samples[i] = (nvmlSample_t){since + i, {.ullVal = forwarded_number("sample", self, type, i, 0)}};
    return NVML_SUCCESS;
}

FAKE
nvmlDeviceGetSupportedMemoryClocks(nvmlDevice_t device, unsigned *count, unsigned *clocks)
{
    (void)number_of(device, "nvmlDeviceGetSupportedMemoryClocks");
    *count = 2;
    clocks[0] = 3201;
    clocks[1] = 1593;
    return NVML_SUCCESS;
}

FAKE
nvmlDeviceGetSupportedGraphicsClocks(nvmlDevice_t device, unsigned memory_clock, unsigned *count, unsigned *clocks)
{
    (void)number_of(device, "nvmlDeviceGetSupportedGraphicsClocks");
    if (memory_clock != 3201)
        return NVML_ERROR_NOT_FOUND;
    for (*count = 0; *count < 100; (*count)++)
        clocks[*count] = 1980 - 15 * *count;
    return NVML_SUCCESS;
}

FAKE
nvmlDeviceGetSupportedPerformanceStates(nvmlDevice_t device, nvmlPstates_t *states, unsigned bytes)
{
    (void)number_of(device, "nvmlDeviceGetSupportedPerformanceStates");
    for (unsigned i = 0; i < bytes / sizeof(*states); i++)
        states[i] = i == 0 ? NVML_PSTATE_0 : i == 1 ? NVML_PSTATE_8 : NVML_PSTATE_UNKNOWN;
    return NVML_SUCCESS;
}

FAKE
nvmlDeviceGetRetiredPages_v2(nvmlDevice_t device, nvmlPageRetirementCause_t cause, unsigned *count,
                             unsigned long long *addresses, unsigned long long *times)
{
    (void)number_of(device, "nvmlDeviceGetRetiredPages_v2");
    *count = 3;
    for (unsigned i = 0; i < 3; i++) {
        addresses[i] = 0x100000000ull * (cause + 1) + i;
        times[i] = 1700000000 + i;
    }
    return NVML_SUCCESS;
}

/* The host's processes are many, and one of them is the worker. */
static nvmlReturn_t
processes(unsigned *count, nvmlProcessInfo_t *all, unsigned there, unsigned own)
{
    unsigned room = *count;

    *count = there;
    if (room < there)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < there; i++)
        all[i] = (nvmlProcessInfo_t){i == own ? (unsigned)getpid() : 1000000 + i, 4096ull * (i + 1), 1, 2};
    return NVML_SUCCESS;
}

FAKE
nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *all)
{
    return processes(count, all, FAKE_PROCESSES, number_of(device, "ComputeRunningProcesses") == 1 ? FAKE_OWN : ~0u);
}

FAKE
nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *all)
{
    (void)number_of(device, "GraphicsRunningProcesses");
    return processes(count, all, 5, ~0u);
}

FAKE
nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *all)
{
    (void)number_of(device, "MPSComputeRunningProcesses");
    return processes(count, all, 0, ~0u);
}

FAKE
nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *samples, unsigned *count,
                                unsigned long long since)
{
    unsigned room = *count;

    (void)number_of(device, "nvmlDeviceGetProcessUtilization");
    *count = 5;
    if (!samples || room < 5)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < 5; i++)
        samples[i] = (nvmlProcessUtilizationSample_t){
            i % 2 == 0 ? 1000000 + i : (unsigned)getpid(), since + i, 10 + i, 20 + i, 0, 0};
    return NVML_SUCCESS;
}

/* ---- What may never come --------------------------------------------------------------------- */

#define NEVER(function)                                \
    FAKE function(void);                               \
    FAKE function(void)                                \
    {                                                  \
        refuse(#function, "a guest changes the host"); \
        return NVML_SUCCESS;                           \
    }
NVML_GUEST_FORBIDDEN(NEVER)
