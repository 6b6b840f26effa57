/* SPDX-License-Identifier: MIT */
/* Every forwarded entry point on every device, with arguments and results that tell one from all others. */
#include "forwarded.h"
#include "fake_nvml.h"
#include "test.h"

static nvmlDevice_t devices[FAKE_DEVICES];
static unsigned count;

#define NUMBER(function, device, a, b, c) \
    forwarded_number(#function, device, (uint32_t)(a), (uint32_t)(b), (uint32_t)(c))

/* All devices of one function: TRY is a call and what it must have given, with device and self. */
#define EACH(function, TRY)                    \
    do {                                       \
        bool passed = true;                    \
                                               \
        for (unsigned i = 0; i < count; i++) { \
            nvmlDevice_t device = devices[i];  \
            uint32_t self = i + 1;             \
                                               \
            passed &= (TRY);                   \
            (void)device;                      \
            (void)self;                        \
        }                                      \
        ok(passed, #function);                 \
    } while (0)

#define DEVICE_OUT1(function, T)                                                              \
    {                                                                                         \
        T x = 0;                                                                              \
        EACH(function, function(device, &x) == 0 && x == (T)NUMBER(function, self, 0, 0, 1)); \
        GIVES(NVML_ERROR_INVALID_ARGUMENT, function(NULL, &x));                               \
        GIVES(NVML_ERROR_INVALID_ARGUMENT, function(devices[0], NULL));                       \
    }
#define DEVICE_OUT2(function, T, U)                                                                \
    {                                                                                              \
        T x = 0;                                                                                   \
        U y = 0;                                                                                   \
        EACH(function, function(device, &x, &y) == 0 && x == (T)NUMBER(function, self, 0, 0, 1) && \
                           y == (U)NUMBER(function, self, 0, 0, 2));                               \
    }
#define DEVICE_OUT3(function, T, U, V)                                                                          \
    {                                                                                                           \
        T x = 0;                                                                                                \
        U y = 0;                                                                                                \
        V z = 0;                                                                                                \
        EACH(function, function(device, &x, &y, &z) == 0 && x == (T)NUMBER(function, self, 0, 0, 1) &&          \
                           y == (U)NUMBER(function, self, 0, 0, 2) && z == (V)NUMBER(function, self, 0, 0, 3)); \
    }
#define DEVICE_OUT4(function, T, U, V, W)                                                                        \
    {                                                                                                            \
        T x = 0;                                                                                                 \
        U y = 0;                                                                                                 \
        V z = 0;                                                                                                 \
        W w = 0;                                                                                                 \
        EACH(function, function(device, &x, &y, &z, &w) == 0 && x == (T)NUMBER(function, self, 0, 0, 1) &&       \
                           y == (U)NUMBER(function, self, 0, 0, 2) && z == (V)NUMBER(function, self, 0, 0, 3) && \
                           w == (W)NUMBER(function, self, 0, 0, 4));                                             \
    }
#define DEVICE_IN1_OUT1(function, A, T)                                                             \
    {                                                                                               \
        T x = 0;                                                                                    \
        EACH(function, function(device, (A)5, &x) == 0 && x == (T)NUMBER(function, self, 5, 0, 1)); \
    }
#define DEVICE_IN2_OUT1(function, A, B, T)                                                                \
    {                                                                                                     \
        T x = 0;                                                                                          \
        EACH(function, function(device, (A)5, (B)3, &x) == 0 && x == (T)NUMBER(function, self, 5, 3, 1)); \
    }
#define DEVICE_IN3_OUT1(function, A, B, C, T)                                                                   \
    {                                                                                                           \
        T x = 0;                                                                                                \
        EACH(function, function(device, (A)5, (B)3, (C)2, &x) == 0 && x == (T)NUMBER(function, self, 5, 3, 3)); \
    }
#define DEVICE_IN2_OUT2(function, A, B, T, U)                                                                  \
    {                                                                                                          \
        T x = 0;                                                                                               \
        U y = 0;                                                                                               \
        EACH(function, function(device, (A)5, (B)3, &x, &y) == 0 && x == (T)NUMBER(function, self, 5, 3, 1) && \
                           y == (U)NUMBER(function, self, 5, 3, 2));                                           \
    }
#define STRUCT(function, T, CALL, a, b)                                                                          \
    {                                                                                                            \
        T data, wanted;                                                                                          \
        memset(&data, 0, sizeof(data));                                                                          \
        EACH(function, (CALL) == 0 && (forwarded_fill(&wanted, sizeof(wanted), NUMBER(function, self, a, b, 1)), \
                                       memcmp(&data, &wanted, sizeof(data)) == 0));                              \
    }
#define DEVICE_STRUCT(function, T) STRUCT(function, T, function(device, &data), 0, 0)
#define DEVICE_IN1_STRUCT(function, A, T) STRUCT(function, T, function(device, (A)5, &data), 5, 0)
#define DEVICE_IN2_STRUCT(function, A, B, T) STRUCT(function, T, function(device, (A)5, (B)3, &data), 5, 3)
#define SYSTEM_STRUCT(function, T)                                                        \
    {                                                                                     \
        T data, wanted;                                                                   \
        memset(&data, 0, sizeof(data));                                                   \
        forwarded_fill(&wanted, sizeof(wanted), NUMBER(function, 0, 0, 0, 1));            \
        ok(function(&data) == 0 && memcmp(&data, &wanted, sizeof(data)) == 0, #function); \
    }
#define SYSTEM_OUT1(function, T)                                                  \
    {                                                                             \
        T x = 0;                                                                  \
        ok(function(&x) == 0 && x == (T)NUMBER(function, 0, 0, 0, 1), #function); \
    }
#define PAIR_OUT1(function, T)                                                                            \
    {                                                                                                     \
        T x = 0;                                                                                          \
        EACH(function, function(device, devices[2], &x) == 0 && x == (T)NUMBER(function, self, 3, 0, 1)); \
        GIVES(NVML_ERROR_INVALID_ARGUMENT, function(devices[0], NULL, &x));                               \
    }
#define PAIR_IN1_OUT1(function, A, T)                                                                           \
    {                                                                                                           \
        T x = 0;                                                                                                \
        EACH(function, function(device, devices[2], (A)2, &x) == 0 && x == (T)NUMBER(function, self, 3, 2, 1)); \
    }

/* ---- Structs with a version: each is followed by bytes that must stay --------------------------- */

static bool
try_versioned(const char *function, uint32_t self, uint32_t version, unsigned char *data)
{
    unsigned char wanted[8192];
    uint32_t bytes = nvml_version_bytes(version);

    memset(wanted, 0xa5, sizeof(wanted));
    memcpy(wanted, &version, sizeof(version));
    forwarded_fill(wanted + sizeof(version), bytes - sizeof(version), forwarded_number(function, self, version, 0, 1));
    return memcmp(data, wanted, sizeof(wanted)) == 0;
}

static void *
prepare(uint32_t version, unsigned char *data)
{
    memset(data, 0xa5, 8192);
    memcpy(data, &version, sizeof(version));
    return data;
}

#define VERSIONED_DEVICE(function, type, newest, oldest)                                                          \
    EACH(function, function(device, prepare(newest, data)) == 0 && try_versioned(#function, self, newest, data)); \
    EACH(function, function(device, prepare(oldest, data)) == 0 && try_versioned(#function, self, oldest, data)); \
    GIVES(NVML_ERROR_ARGUMENT_VERSION_MISMATCH, function(devices[0], prepare(newest + 8, data)));                 \
    GIVES(NVML_ERROR_ARGUMENT_VERSION_MISMATCH, function(devices[0], prepare(0, data)));                          \
    GIVES(NVML_ERROR_INVALID_ARGUMENT, function(devices[0], NULL));                                               \
    GIVES(NVML_ERROR_INVALID_ARGUMENT, function(NULL, prepare(newest, data)));
#define VERSIONED_SYSTEM(function, type, newest, oldest) \
    ok(function(prepare(newest, data)) == 0 && try_versioned(#function, 0, newest, data), #function);

static void
test_forwarded(void)
{
    static _Alignas(16) unsigned char data[8192];

    FORWARDED_DEVICE_OUT1(DEVICE_OUT1)
    FORWARDED_DEVICE_OUT2(DEVICE_OUT2)
    FORWARDED_DEVICE_OUT3(DEVICE_OUT3)
    FORWARDED_DEVICE_OUT4(DEVICE_OUT4)
    FORWARDED_DEVICE_IN1_OUT1(DEVICE_IN1_OUT1)
    FORWARDED_DEVICE_IN2_OUT1(DEVICE_IN2_OUT1)
    FORWARDED_DEVICE_IN3_OUT1(DEVICE_IN3_OUT1)
    FORWARDED_DEVICE_IN2_OUT2(DEVICE_IN2_OUT2)
    FORWARDED_DEVICE_STRUCT(DEVICE_STRUCT)
    FORWARDED_DEVICE_IN1_STRUCT(DEVICE_IN1_STRUCT)
    FORWARDED_DEVICE_IN2_STRUCT(DEVICE_IN2_STRUCT)
    FORWARDED_SYSTEM_STRUCT(SYSTEM_STRUCT)
    FORWARDED_SYSTEM_OUT1(SYSTEM_OUT1)
    FORWARDED_PAIR_OUT1(PAIR_OUT1)
    FORWARDED_PAIR_IN1_OUT1(PAIR_IN1_OUT1)
    NVML_VERSIONED_OF_DEVICE(VERSIONED_DEVICE)
    NVML_VERSIONED_OF_SYSTEM(VERSIONED_SYSTEM)
}

/* ---- What is kept, and texts -------------------------------------------------------------------- */

#define IS_TEXT(wanted, number, ...)                          \
    do {                                                      \
        char expected[96];                                    \
                                                              \
        snprintf(expected, sizeof(expected), wanted, number); \
        memset(text, 0, sizeof(text));                        \
        GIVES(NVML_SUCCESS, __VA_ARGS__);                     \
        is_text(text, expected, #__VA_ARGS__);                \
    } while (0)

static void
test_kept(void)
{
    char text[96];
    nvmlBrandType_t brand = 0;
    unsigned number = 0;
    int major = 0, minor = 0;

    IS_TEXT(FAKE_DRIVER, 0, nvmlSystemGetDriverVersion(text, sizeof(text)));
    IS_TEXT(FAKE_NVML, 0, nvmlSystemGetNVMLVersion(text, sizeof(text)));
    IS_TEXT(FAKE_NAME, 2, nvmlDeviceGetName(devices[1], text, sizeof(text)));
    IS_TEXT(FAKE_UUID, 3, nvmlDeviceGetUUID(devices[2], text, sizeof(text)));
    IS_TEXT(FAKE_VBIOS, 1, nvmlDeviceGetVbiosVersion(devices[0], text, sizeof(text)));
    IS_TEXT(FAKE_IMAGE, 2, nvmlDeviceGetInforomImageVersion(devices[1], text, sizeof(text)));
    IS_TEXT(FAKE_INFOROM, 22, nvmlDeviceGetInforomVersion(devices[1], NVML_INFOROM_POWER, text, sizeof(text)));
    IS_TEXT(FAKE_GSP, 3, nvmlDeviceGetGspFirmwareVersion(devices[2], text));
    GIVES(NVML_ERROR_INSUFFICIENT_SIZE, nvmlDeviceGetName(devices[0], text, 10));
    GIVES(NVML_ERROR_INSUFFICIENT_SIZE, nvmlDeviceGetVbiosVersion(devices[0], text, 4));
    GIVES(NVML_ERROR_INVALID_ARGUMENT, nvmlDeviceGetVbiosVersion(devices[0], NULL, 40));
    ok(nvmlDeviceGetBrand(devices[1], &brand) == 0 && brand == 3, "brand");
    ok(nvmlDeviceGetMinorNumber(devices[2], &number) == 0 && number == 13, "minor number");
    ok(nvmlDeviceGetArchitecture(devices[0], &number) == 0 && number == 9, "architecture");
    GIVES(NVML_ERROR_NOT_SUPPORTED, nvmlDeviceGetArchitecture(devices[1], &number));
    ok(nvmlDeviceGetCudaComputeCapability(devices[1], &major, &minor) == 0 && major == 9 && minor == 2, "capability");
    ok(nvmlSystemGetCudaDriverVersion_v2(&major) == 0 && major == 13000, "the CUDA version is ours where it is older");
}

static void
test_serials(bool shown)
{
    nvmlDevice_t device = NULL;
    char text[96] = "";

    if (shown) {
        IS_TEXT(FAKE_SERIAL, 2, nvmlDeviceGetSerial(devices[1], text, sizeof(text)));
        IS_TEXT(FAKE_PART, 2, nvmlDeviceGetBoardPartNumber(devices[1], text, sizeof(text)));
        ok(nvmlDeviceGetHandleBySerial("165003", &device) == 0 && device == devices[2], "found by its serial number");
        return;
    }
    GIVES(NVML_ERROR_NOT_SUPPORTED, nvmlDeviceGetSerial(devices[1], text, sizeof(text)));
    GIVES(NVML_ERROR_NOT_SUPPORTED, nvmlDeviceGetBoardPartNumber(devices[1], text, sizeof(text)));
    GIVES(NVML_ERROR_NOT_FOUND, nvmlDeviceGetHandleBySerial("165003", &device));
}

static void
test_found(void)
{
    nvmlUUID_v1_t uuid = {.version = nvmlUUID_v1, .type = NVML_UUID_TYPE_ASCII};
    static const unsigned char bytes[16] = {0,    0,    0,    2,    1, 0x23, 0x45, 0x67,
                                            0x89, 0xab, 0xcd, 0xef, 1, 0x23, 0x45, 0x67};
    nvmlDevice_t device = NULL;
    char text[96];

    snprintf(text, sizeof(text), FAKE_UUID, 2);
    ok(nvmlDeviceGetHandleByUUID(text, &device) == 0 && device == devices[1], "found by its UUID");
    strcpy(uuid.value.str, text);
    device = NULL;
    ok(nvmlDeviceGetHandleByUUIDV(&uuid, &device) == 0 && device == devices[1], "found by its UUID as text");
    uuid.type = NVML_UUID_TYPE_BINARY;
    memcpy(uuid.value.bytes, bytes, sizeof(bytes));
    device = NULL;
    ok(nvmlDeviceGetHandleByUUIDV(&uuid, &device) == 0 && device == devices[1], "found by its UUID as bytes");
    uuid.value.bytes[15]++;
    GIVES(NVML_ERROR_NOT_FOUND, nvmlDeviceGetHandleByUUIDV(&uuid, &device));
    uuid.version++;
    GIVES(NVML_ERROR_ARGUMENT_VERSION_MISMATCH, nvmlDeviceGetHandleByUUIDV(&uuid, &device));
    GIVES(NVML_ERROR_NOT_FOUND, nvmlDeviceGetHandleByUUID("GPU-none", &device));
    ok(nvmlDeviceGetHandleByPciBusId_v2("00000003:43:03.0", &device) == 0 && device == devices[2],
       "found by its place");
    ok(nvmlDeviceGetHandleByPciBusId_v2("0002:42:03.0", &device) == 0 && device == devices[1],
       "found by a shorter one");
    GIVES(NVML_ERROR_NOT_FOUND, nvmlDeviceGetHandleByPciBusId_v2("42:03.0", &device));
    GIVES(NVML_ERROR_INVALID_ARGUMENT, nvmlDeviceGetHandleByPciBusId_v2("first", &device));
}

/* What a caller of each generation has no room for stays. */
static void
test_pci(void)
{
    union {
        nvmlPciInfo_t pci;
        unsigned char bytes[128];
    } room;

    memset(&room, 0xa5, sizeof(room));
    ok(nvmlDeviceGetPciInfo_v3(devices[1], &room.pci) == 0 && room.pci.bus == 0x42 && room.pci.domain == 2 &&
           room.pci.pciSubSystemId == 0x16c110de && strcmp(room.pci.busId, "00000002:42:03.0") == 0 &&
           room.bytes[sizeof(nvmlPciInfo_t)] == 0xa5,
       "PCI information");
    memset(&room, 0xa5, sizeof(room));
    ok(nvmlDeviceGetPciInfo_v2(devices[1], &room.pci) == 0 && room.pci.pciSubSystemId == 0x16c110de &&
           room.bytes[36] == 0xa5,
       "PCI information of the second generation");
    memset(&room, 0xa5, sizeof(room));
    ok(nvmlDeviceGetPciInfo(devices[1], &room.pci) == 0 && room.pci.pciDeviceId == 0x233510de && room.bytes[32] == 0xa5,
       "PCI information of the first generation");
}

/* ---- Lists -------------------------------------------------------------------------------------- */

static void
test_fields(void)
{
    enum {
        FIELDS = 300
    };
    static nvmlFieldValue_t values[FIELDS];
    bool right = true;

    for (unsigned i = 0; i < FIELDS; i++)
        values[i] = (nvmlFieldValue_t){.fieldId = i, .scopeId = i % 5, .timestamp = 77, .value.ullVal = ~0ull};
    GIVES(NVML_SUCCESS, nvmlDeviceGetFieldValues(devices[2], FIELDS, values));
    for (unsigned i = 0; i < FIELDS; i++)
        right &= values[i].fieldId == i && values[i].nvmlReturn == (i == 7 ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS) &&
                 values[i].value.ullVal == forwarded_number("field", 3, i, i % 5, 0);
    ok(right, "field values, more than go into one record");
    GIVES(NVML_ERROR_INVALID_ARGUMENT, nvmlDeviceGetFieldValues(devices[2], 0, values));
    GIVES(NVML_ERROR_INVALID_ARGUMENT, nvmlDeviceGetFieldValues(devices[2], 1, NULL));
}

static void
test_samples(void)
{
    static nvmlSample_t samples[FAKE_SAMPLES];
    nvmlValueType_t kind = NVML_VALUE_TYPE_COUNT;
    unsigned there = 0;

    ok(nvmlDeviceGetSamples(devices[0], NVML_MEMORY_CLK_SAMPLES, 0, &kind, &there, NULL) == 0 && there >= 100,
       "how many samples there can be");
    there = 10;
    GIVES(NVML_SUCCESS, nvmlDeviceGetSamples(devices[0], NVML_MEMORY_CLK_SAMPLES, 5000, &kind, &there, samples));
    ok(there == 10 && kind == NVML_VALUE_TYPE_UNSIGNED_INT && samples[9].timeStamp == 5000 + FAKE_SAMPLES - 1 &&
           samples[0].sampleValue.ullVal ==
               forwarded_number("sample", 1, NVML_MEMORY_CLK_SAMPLES, FAKE_SAMPLES - 10, 0),
       "the newest samples");
    there = FAKE_SAMPLES;
    GIVES(NVML_SUCCESS, nvmlDeviceGetSamples(devices[0], NVML_MEMORY_CLK_SAMPLES, 0, &kind, &there, samples));
    ok(there == 512 && samples[511].timeStamp == FAKE_SAMPLES - 1, "as many as a reply holds");
}

static void
test_clocks(void)
{
    unsigned clocks[128], there = 0;
    nvmlPstates_t states[NVML_MAX_GPU_PERF_PSTATES];
    unsigned long long addresses[8], times[8];

    ok(nvmlDeviceGetSupportedMemoryClocks(devices[0], &there, NULL) == NVML_ERROR_INSUFFICIENT_SIZE && there == 2,
       "how many memory clocks");
    there = 0;
    ok(nvmlDeviceGetRetiredPages(devices[0], 0, &there, NULL) == NVML_ERROR_INSUFFICIENT_SIZE && there == 3,
       "how many retired pages");
    there = 1;
    GIVES(NVML_ERROR_INSUFFICIENT_SIZE, nvmlDeviceGetSupportedMemoryClocks(devices[0], &there, clocks));
    ok(there == 2, "and how many there are");
    there = 128;
    ok(nvmlDeviceGetSupportedMemoryClocks(devices[0], &there, clocks) == 0 && there == 2 && clocks[1] == 1593,
       "clocks");
    there = 128;
    ok(nvmlDeviceGetSupportedGraphicsClocks(devices[0], 3201, &there, clocks) == 0 && there == 100 &&
           clocks[99] == 1980 - 15 * 99,
       "graphics clocks");
    GIVES(NVML_ERROR_NOT_FOUND, nvmlDeviceGetSupportedGraphicsClocks(devices[0], 1, &there, clocks));
    ok(nvmlDeviceGetSupportedPerformanceStates(devices[0], states, sizeof(states)) == 0 && states[0] == NVML_PSTATE_0 &&
           states[1] == NVML_PSTATE_8 && states[2] == NVML_PSTATE_UNKNOWN && states[15] == NVML_PSTATE_UNKNOWN,
       "performance states");
    GIVES(NVML_ERROR_INSUFFICIENT_SIZE, nvmlDeviceGetSupportedPerformanceStates(devices[0], states, 4));
    there = 8;
    ok(nvmlDeviceGetRetiredPages_v2(devices[0], 1, &there, addresses, times) == 0 && there == 3 &&
           addresses[2] == 0x200000002ull && times[2] == 1700000002,
       "retired pages");
    there = 8;
    ok(nvmlDeviceGetRetiredPages(devices[0], 0, &there, addresses) == 0 && there == 3 && addresses[0] == 0x100000000ull,
       "retired pages of the first generation");
}

/* ---- Processes: of the host's 300 the guest sees its own ---------------------------------------- */

static void
test_processes(void)
{
    nvmlProcessInfo_v2_t list[4];
    nvmlProcessInfo_v1_t first[4];
    nvmlProcessUtilizationSample_t samples[8];
    unsigned there = 0;
    char name[256];

    GIVES(NVML_ERROR_INSUFFICIENT_SIZE, nvmlDeviceGetComputeRunningProcesses_v3(devices[0], &there, NULL));
    ok(there == 1, "one process");
    there = 4;
    ok(nvmlDeviceGetComputeRunningProcesses_v3(devices[0], &there, list) == 0 && there == 1 &&
           list[0].pid == (unsigned)getpid() && list[0].usedGpuMemory == 4096ull * (FAKE_OWN + 1) &&
           list[0].gpuInstanceId == 0xffffffffu,
       "a guest sees its own process, under its own number");
    there = 4;
    memset(first, 0xa5, sizeof(first));
    ok(nvmlDeviceGetComputeRunningProcesses(devices[0], &there, first) == 0 && there == 1 &&
           first[0].pid == (unsigned)getpid() && first[0].usedGpuMemory == 4096ull * (FAKE_OWN + 1) &&
           first[1].pid == 0xa5a5a5a5u,
       "in the first generation's layout");
    there = 4;
    ok(nvmlDeviceGetComputeRunningProcesses_v2(devices[1], &there, list) == 0 && there == 0, "none where it is not");
    there = 4;
    ok(nvmlDeviceGetGraphicsRunningProcesses_v3(devices[0], &there, list) == 0 && there == 0, "no graphics process");
    there = 4;
    ok(nvmlDeviceGetMPSComputeRunningProcesses_v3(devices[0], &there, list) == 0 && there == 0, "no MPS process");
    there = 0;
    GIVES(NVML_ERROR_INSUFFICIENT_SIZE, nvmlDeviceGetProcessUtilization(devices[0], NULL, &there, 50));
    ok(there == 2, "two samples of it");
    there = 8;
    ok(nvmlDeviceGetProcessUtilization(devices[0], samples, &there, 50) == 0 && there == 2 &&
           samples[0].pid == (unsigned)getpid() && samples[0].smUtil == 11 && samples[1].pid == (unsigned)getpid() &&
           samples[1].timeStamp == 53,
       "utilization by its own process alone");
    ok(nvmlSystemGetProcessName((unsigned)getpid(), name, sizeof(name)) == 0 && strstr(name, "forwarded"), "its name");
    GIVES(NVML_ERROR_NOT_FOUND, nvmlSystemGetProcessName(4000000, name, sizeof(name)));
}

/* ---- nvidia-smi's table, where the library was built with it ------------------------------------- */

static void
test_smi_table(void)
{
    static const unsigned char known[16] = {0xc4, 0xfe, 0x3e, 0x6c, 0xc9, 0x8f, 0x6c, 0x4e,
                                            0xa3, 0x27, 0xee, 0x69, 0x6e, 0x12, 0xf7, 0xc4};
    nvmlReturn_t nvmlInternalGetExportTable(const void **, const void *);
    nvmlReturn_t (*const *functions)(void *, void *, void *, void *);
    const void *table = NULL, *other = NULL;
    nvmlReturn_t result = nvmlInternalGetExportTable(&table, known);
    nvmlDevice_t device = NULL;
    unsigned there = 250;

    GIVES(NVML_ERROR_FUNCTION_NOT_FOUND, nvmlInternalGetExportTable(&other, "0123456789abcdef"));
    GIVES(NVML_ERROR_INVALID_ARGUMENT, nvmlInternalGetExportTable(NULL, known));
    if (result == NVML_ERROR_FUNCTION_NOT_FOUND) {
        ok(table == NULL, "no private table in this build");
        return;
    }
    if (!ok(result == NVML_SUCCESS && table && *(const uintptr_t *)table == 4096, "a table"))
        return;
    functions = table;
    ok(functions[81]((void *)1, &device, (void *)0x22, NULL) == 0 && device == devices[1], "its device by number");
    ok(functions[213](devices[0], &there, NULL, NULL) == 0 && there == 0, "its processes");
    ok(functions[230](devices[0], &there, NULL, NULL) == NVML_ERROR_NOT_SUPPORTED, "what is not known of it");
    ok(functions[511](NULL, NULL, NULL, NULL) == NVML_ERROR_NOT_SUPPORTED, "its last place");
}

/* ---- Refused ------------------------------------------------------------------------------------ */

#define DECLARE(name) nvmlReturn_t name(void);
NVML_GUEST_FORBIDDEN(DECLARE)
NVML_GUEST_UNSUPPORTED(DECLARE)

static void
test_refused(void)
{
#define FORBIDDEN(name) GIVES(NVML_ERROR_NO_PERMISSION, name());
#define UNSUPPORTED(name) GIVES(NVML_ERROR_NOT_SUPPORTED, name());
    NVML_GUEST_FORBIDDEN(FORBIDDEN)
    NVML_GUEST_UNSUPPORTED(UNSUPPORTED)
}

int
main(int argc, char **argv)
{
    bool serials = argc > 1 && strcmp(argv[1], "serials") == 0;

    if (!GIVES(NVML_SUCCESS, nvmlInit_v2()))
        return done();
    ok(nvmlDeviceGetCount_v2(&count) == 0 && count == FAKE_DEVICES, "three devices");
    for (unsigned i = 0; i < count && i < FAKE_DEVICES; i++)
        GIVES(NVML_SUCCESS, nvmlDeviceGetHandleByIndex_v2(i, &devices[i]));
    if (count == FAKE_DEVICES) {
        test_forwarded();
        test_kept();
        test_serials(serials);
        test_found();
        test_pci();
        test_fields();
        test_samples();
        test_clocks();
        test_processes();
        test_smi_table();
        test_refused();
    }
    GIVES(NVML_SUCCESS, nvmlShutdown());
    return done();
}
