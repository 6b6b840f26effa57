/* SPDX-License-Identifier: MIT */
/*
 * What a machine's NVML says, for comparing natively and forwarded on a real GPU: a line "function device status" and
 * then values for every forwarded question that needs no argument but its device, or one that counts from 0.
 */
#include "forwarded.h"
#include "nvml_objects.h"
#include "test.h"

#define ARGUMENTS 4

/* A driver may be older than the newest of them. */
#define WEAK(function, ...) extern __typeof__(function) function __attribute__((weak));
FORWARDED_DEVICE_OUT1(WEAK)
FORWARDED_DEVICE_OUT2(WEAK)
FORWARDED_DEVICE_OUT3(WEAK)
FORWARDED_DEVICE_OUT4(WEAK)
FORWARDED_DEVICE_IN1_OUT1(WEAK)
FORWARDED_DEVICE_IN2_OUT1(WEAK)
FORWARDED_DEVICE_STRUCT(WEAK)
NVML_VERSIONED_OF_DEVICE(WEAK)

static unsigned count;
static nvmlDevice_t devices[NVML_DEVICES];

static void
line(const char *function, unsigned device, nvmlReturn_t result)
{
    if (result == NVML_SUCCESS)
        printf("%s %u ok", function, device);
    else
        printf("%s %u error %d", function, device, (int)result);
}

#define VALUE(result, x)          \
    if ((result) == NVML_SUCCESS) \
        printf(" %lld", (long long)(x));

#define EACH(function, CALL, VALUES)                                               \
    for (unsigned i = 0; i < count; i++) {                                         \
        nvmlReturn_t result = (function) ? (CALL) : NVML_ERROR_FUNCTION_NOT_FOUND; \
                                                                                   \
        line(#function, i, result);                                                \
        VALUES;                                                                    \
        puts("");                                                                  \
    }
#define DEVICE_OUT1(function, T)                                    \
    {                                                               \
        T x = 0;                                                    \
        EACH(function, function(devices[i], &x), VALUE(result, x)); \
    }
#define DEVICE_OUT2(function, T, U)                                                      \
    {                                                                                    \
        T x = 0;                                                                         \
        U y = 0;                                                                         \
        EACH(function, function(devices[i], &x, &y), VALUE(result, x) VALUE(result, y)); \
    }
#define DEVICE_OUT3(function, T, U, V)                                                                        \
    {                                                                                                         \
        T x = 0;                                                                                              \
        U y = 0;                                                                                              \
        V z = 0;                                                                                              \
        EACH(function, function(devices[i], &x, &y, &z), VALUE(result, x) VALUE(result, y) VALUE(result, z)); \
    }
#define DEVICE_OUT4(function, T, U, V, W)                                          \
    {                                                                              \
        T x = 0;                                                                   \
        U y = 0;                                                                   \
        V z = 0;                                                                   \
        W w = 0;                                                                   \
        EACH(function, function(devices[i], &x, &y, &z, &w),                       \
             VALUE(result, x) VALUE(result, y) VALUE(result, z) VALUE(result, w)); \
    }
#define DEVICE_IN1_OUT1(function, A, T)                                                       \
    for (unsigned a = 0; a < ARGUMENTS; a++) {                                                \
        T x = 0;                                                                              \
        EACH(function, function(devices[i], (A)a, &x), printf(" [%u]", a); VALUE(result, x)); \
    }
#define DEVICE_IN2_OUT1(function, A, B, T)                                                                      \
    for (unsigned a = 0; a < ARGUMENTS; a++) {                                                                  \
        T x = 0;                                                                                                \
        EACH(function, function(devices[i], (A)(a % 2), (B)(a / 2), &x), printf(" [%u]", a); VALUE(result, x)); \
    }

/* The first eight bytes of a struct. */
static void
head(nvmlReturn_t result, const void *data, size_t bytes)
{
    const unsigned char *at = data;

    for (size_t i = 0; result == NVML_SUCCESS && i < bytes && i < 24; i++)
        printf("%s%02x", i == 0 ? " " : "", at[i]);
}
#define DEVICE_STRUCT(function, T)                                                      \
    {                                                                                   \
        T data;                                                                         \
        memset(&data, 0, sizeof(data));                                                 \
        EACH(function, function(devices[i], &data), head(result, &data, sizeof(data))); \
    }
#define VERSIONED(function, type, newest, oldest)                                       \
    {                                                                                   \
        type data;                                                                      \
        memset(&data, 0, sizeof(data));                                                 \
        *(unsigned *)(void *)&data = newest;                                            \
        EACH(function, function(devices[i], &data), head(result, &data, sizeof(data))); \
    }

#define TEXT(function)                                                                 \
    {                                                                                  \
        char text[96] = "";                                                            \
        EACH(function, function(devices[i], text, sizeof(text)), printf(" %s", text)); \
    }

int
main(void)
{
    nvmlReturn_t result = nvmlInit_v2();
    char text[96] = "";
    int version = 0;

    if (result != NVML_SUCCESS)
        return printf("nvmlInit_v2 %s\n", nvmlErrorString(result)), 1;
    nvmlDeviceGetCount_v2(&count);
    for (unsigned i = 0; i < count; i++)
        nvmlDeviceGetHandleByIndex_v2(i, &devices[i]);
    nvmlSystemGetDriverVersion(text, sizeof(text));
    printf("driver - ok %s\n", text);
    nvmlSystemGetCudaDriverVersion_v2(&version);
    printf("cuda - ok %d\ndevices - ok %u\n", version, count);
    TEXT(nvmlDeviceGetName)
    TEXT(nvmlDeviceGetUUID)
    TEXT(nvmlDeviceGetVbiosVersion)
    TEXT(nvmlDeviceGetInforomImageVersion)
    DEVICE_OUT1(nvmlDeviceGetBrand, nvmlBrandType_t)
    DEVICE_OUT1(nvmlDeviceGetMinorNumber, unsigned)
    DEVICE_OUT1(nvmlDeviceGetArchitecture, nvmlDeviceArchitecture_t)
    DEVICE_OUT2(nvmlDeviceGetCudaComputeCapability, int, int)
    DEVICE_STRUCT(nvmlDeviceGetPciInfo_v3, nvmlPciInfo_t)
    FORWARDED_DEVICE_OUT1(DEVICE_OUT1)
    FORWARDED_DEVICE_OUT2(DEVICE_OUT2)
    FORWARDED_DEVICE_OUT3(DEVICE_OUT3)
    FORWARDED_DEVICE_OUT4(DEVICE_OUT4)
    FORWARDED_DEVICE_IN1_OUT1(DEVICE_IN1_OUT1)
    FORWARDED_DEVICE_IN2_OUT1(DEVICE_IN2_OUT1)
    FORWARDED_DEVICE_STRUCT(DEVICE_STRUCT)
    NVML_VERSIONED_OF_DEVICE(VERSIONED)
    nvmlShutdown();
    return 0;
}
