/* SPDX-License-Identifier: MIT */
/*
 * Start and end, handles, and the simulated device: what NVML says of it must be what CUDA says. Run as
 * "devices list" it prints the devices' names instead.
 */
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

#include "cuda_api.h"
#include "test.h"

/* ---- Before the start, and counting ------------------------------------------------------------- */

static void
test_start(void)
{
    nvmlReturn_t nvmlDeviceSetPersistenceMode(nvmlDevice_t, nvmlEnableState_t);
    nvmlReturn_t nvmlVgpuTypeGetName(unsigned, char *, unsigned *);
    nvmlDevice_t device = NULL;
    nvmlEventSet_t set;
    nvmlMemory_v2_t memory = {.version = nvmlMemory_v2};
    unsigned number = 77;
    char text[96];

    GIVES(NVML_ERROR_UNINITIALIZED, nvmlShutdown());
    GIVES(NVML_ERROR_UNINITIALIZED, nvmlDeviceGetCount_v2(&number));
    GIVES(NVML_ERROR_UNINITIALIZED, nvmlDeviceGetCount_v2(NULL));
    GIVES(NVML_ERROR_UNINITIALIZED, nvmlDeviceGetHandleByIndex_v2(0, &device));
    GIVES(NVML_ERROR_UNINITIALIZED, nvmlSystemGetDriverVersion(text, sizeof(text)));
    GIVES(NVML_ERROR_UNINITIALIZED, nvmlDeviceGetPowerUsage(device, &number));
    GIVES(NVML_ERROR_UNINITIALIZED, nvmlDeviceGetMemoryInfo_v2(device, &memory));
    GIVES(NVML_ERROR_UNINITIALIZED, nvmlDeviceSetPersistenceMode(device, NVML_FEATURE_ENABLED));
    GIVES(NVML_ERROR_UNINITIALIZED, nvmlVgpuTypeGetName(0, text, &number));
    GIVES(NVML_ERROR_UNINITIALIZED, nvmlEventSetCreate(&set));
    ok(number == 77, "nothing was written");
    ok(strcmp(nvmlErrorString(NVML_ERROR_NOT_SUPPORTED), "Not Supported") == 0, "error texts need no start");
    ok(strcmp(nvmlErrorString((nvmlReturn_t)12345), nvmlErrorString(NVML_ERROR_UNKNOWN)) == 0, "unknown errors");

    GIVES(NVML_SUCCESS, nvmlInit_v2());
    GIVES(NVML_SUCCESS, nvmlInit());
    GIVES(NVML_SUCCESS, nvmlInitWithFlags(NVML_INIT_FLAG_NO_GPUS));
    GIVES(NVML_SUCCESS, nvmlShutdown());
    GIVES(NVML_SUCCESS, nvmlShutdown());
    GIVES(NVML_SUCCESS, nvmlDeviceGetCount_v2(&number));
    GIVES(NVML_SUCCESS, nvmlShutdown());
    GIVES(NVML_ERROR_UNINITIALIZED, nvmlDeviceGetCount_v2(&number));
    GIVES(NVML_ERROR_UNINITIALIZED, nvmlShutdown());
    GIVES(NVML_SUCCESS, nvmlInit_v2());
}

/* ---- Handles ------------------------------------------------------------------------------------ */

static void
test_handles(nvmlDevice_t device)
{
    nvmlReturn_t nvmlDeviceSetPowerManagementLimit(nvmlDevice_t, unsigned);
    nvmlDevice_t foreign[] = {NULL,
                              (nvmlDevice_t)(void *)&device,
                              (nvmlDevice_t)((uintptr_t)device + 1),
                              (nvmlDevice_t)((uintptr_t)device - 1),
                              (nvmlDevice_t)((uintptr_t)device & 0xffffffff),
                              (nvmlDevice_t)((uintptr_t)device | 1u << 20),
                              (nvmlDevice_t)-1};
    nvmlMemory_v2_t memory = {.version = nvmlMemory_v2};
    nvmlMemory_t plain;
    unsigned number = 77;
    char text[96];

    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        ok(nvmlDeviceGetMemoryInfo(foreign[i], &plain) == NVML_ERROR_INVALID_ARGUMENT &&
               nvmlDeviceGetMemoryInfo_v2(foreign[i], &memory) == NVML_ERROR_INVALID_ARGUMENT &&
               nvmlDeviceGetName(foreign[i], text, sizeof(text)) == NVML_ERROR_INVALID_ARGUMENT &&
               nvmlDeviceGetIndex(foreign[i], &number) == NVML_ERROR_INVALID_ARGUMENT,
           "%p is no device", (void *)foreign[i]);
    GIVES(NVML_ERROR_INVALID_ARGUMENT, nvmlDeviceGetHandleByIndex_v2(1, &device));
    GIVES(NVML_ERROR_INVALID_ARGUMENT, nvmlDeviceGetHandleByIndex_v2(~0u, &device));
    GIVES(NVML_ERROR_INVALID_ARGUMENT, nvmlDeviceGetHandleByIndex_v2(0, NULL));
    GIVES(NVML_ERROR_INVALID_ARGUMENT, nvmlDeviceGetCount_v2(NULL));
    ok(nvmlDeviceGetIndex(device, &number) == 0 && number == 0, "the device's index");
    GIVES(NVML_ERROR_NO_PERMISSION, nvmlDeviceSetPowerManagementLimit(device, 1));
}

/* ---- As CUDA has it ----------------------------------------------------------------------------- */

static bool
same_memory(nvmlDevice_t device)
{
    nvmlMemory_v2_t second = {.version = nvmlMemory_v2};
    size_t free_bytes, total;
    nvmlMemory_t memory;
    bool same = cuMemGetInfo_v2(&free_bytes, &total) == 0 && nvmlDeviceGetMemoryInfo(device, &memory) == 0 &&
                nvmlDeviceGetMemoryInfo_v2(device, &second) == 0 && memory.total == total &&
                memory.free == free_bytes && memory.used == total - free_bytes && second.total == total &&
                second.free == free_bytes && second.used == memory.used;

    if (!same)
        printf("# CUDA: %zu of %zu free; NVML: %llu of %llu, %llu used\n", free_bytes, total, memory.free, memory.total,
               memory.used);
    return same;
}

static void
test_cuda(nvmlDevice_t device)
{
    int major = 0, minor = 0, cuda_major = 0, cuda_minor = 0, version = 0, cuda_version = 0;
    char name[96], cuda_name[96], uuid[96], cuda_uuid[64], bus[32], *at = cuda_uuid;
    nvmlProcessInfo_t process[2];
    nvmlComputeMode_t mode = NVML_COMPUTEMODE_COUNT;
    unsigned there = 2, clock = 0;
    nvmlPciInfo_t pci;
    CUcontext context;
    CUdeviceptr memory;
    CUuuid bytes;

    if (!ok(cuInit(0) == 0 && cuCtxCreate_v2(&context, 0, 0) == 0, "CUDA starts in the same process"))
        return;
    cuDeviceGetName(cuda_name, sizeof(cuda_name), 0);
    GIVES(NVML_SUCCESS, nvmlDeviceGetName(device, name, sizeof(name)));
    is_text(name, cuda_name, "name");
    cuDeviceGetUuid_v2(&bytes, 0);
    at += sprintf(at, "GPU-");
    for (int i = 0; i < 16; i++)
        at += sprintf(at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", (unsigned char)bytes.bytes[i]);
    GIVES(NVML_SUCCESS, nvmlDeviceGetUUID(device, uuid, sizeof(uuid)));
    is_text(uuid, cuda_uuid, "UUID");
    cuDeviceGetPCIBusId(bus, sizeof(bus), 0);
    ok(nvmlDeviceGetPciInfo_v3(device, &pci) == 0 && strcasecmp(pci.busIdLegacy, bus) == 0, "place on the bus: %s",
       bus);
    cuDeviceComputeCapability(&cuda_major, &cuda_minor, 0);
    ok(nvmlDeviceGetCudaComputeCapability(device, &major, &minor) == 0 && major == cuda_major && minor == cuda_minor,
       "compute capability");
    cuDriverGetVersion(&cuda_version);
    ok(nvmlSystemGetCudaDriverVersion(&version) == 0 && version == cuda_version, "CUDA's version");
    ok(nvmlDeviceGetComputeMode(device, &mode) == 0 && mode == NVML_COMPUTEMODE_DEFAULT, "compute mode");
    ok(nvmlDeviceGetMaxClockInfo(device, NVML_CLOCK_SM, &clock) == 0 && clock == 1000, "clock");
    ok(same_memory(device), "memory is as CUDA has it");
    there = 2;
    ok(nvmlDeviceGetComputeRunningProcesses_v3(device, &there, process) == 0 && there == 0, "no process has memory");
    ok(cuMemAlloc_v2(&memory, 64 << 20) == 0, "64 MiB are allocated");
    ok(same_memory(device), "memory is still as CUDA has it");
    there = 2;
    ok(nvmlDeviceGetComputeRunningProcesses_v3(device, &there, process) == 0 && there == 1 &&
           process[0].pid == (unsigned)getpid() && process[0].usedGpuMemory >= 64 << 20,
       "this process has memory");
    ok(cuMemFree_v2(memory) == 0 && cuCtxGetCurrent(&context) == 0 && context != NULL && cuCtxSynchronize() == 0,
       "CUDA's context is as it was");
}

/* What a device on the CPU has not. */
static void
test_lacking(nvmlDevice_t device)
{
    unsigned number;
    nvmlUtilization_t utilization;
    nvmlEnableState_t state;

    GIVES(NVML_ERROR_NOT_SUPPORTED, nvmlDeviceGetTemperature(device, NVML_TEMPERATURE_GPU, &number));
    GIVES(NVML_ERROR_NOT_SUPPORTED, nvmlDeviceGetPowerUsage(device, &number));
    GIVES(NVML_ERROR_NOT_SUPPORTED, nvmlDeviceGetFanSpeed(device, &number));
    GIVES(NVML_ERROR_NOT_SUPPORTED, nvmlDeviceGetUtilizationRates(device, &utilization));
    GIVES(NVML_ERROR_NOT_SUPPORTED, nvmlDeviceGetEccMode(device, &state, &state));
    GIVES(NVML_ERROR_NOT_SUPPORTED, nvmlDeviceGetSerial(device, (char[32]){0}, 32));
}

/* ---- Events, MIG, and what there is none of ----------------------------------------------------- */

static void
test_local(nvmlDevice_t device)
{
    nvmlEventSet_t set = NULL;
    nvmlEventData_t data;
    struct timespec before, after;
    unsigned long long types = 1;
    unsigned number = 1;
    nvmlDevice_t part;

    GIVES(NVML_SUCCESS, nvmlEventSetCreate(&set));
    ok(nvmlDeviceGetSupportedEventTypes(device, &types) == 0 && types == 0, "no events");
    GIVES(NVML_ERROR_NOT_SUPPORTED, nvmlDeviceRegisterEvents(device, 1, set));
    clock_gettime(CLOCK_MONOTONIC, &before);
    GIVES(NVML_ERROR_TIMEOUT, nvmlEventSetWait_v2(set, &data, 60));
    clock_gettime(CLOCK_MONOTONIC, &after);
    ok((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 59,
       "waiting takes its time");
    GIVES(NVML_SUCCESS, nvmlEventSetFree(set));
    GIVES(NVML_ERROR_INVALID_ARGUMENT, nvmlEventSetFree(set));
    GIVES(NVML_ERROR_INVALID_ARGUMENT, nvmlEventSetWait_v2(set, &data, 0));
    ok(nvmlDeviceIsMigDeviceHandle(device, &number) == 0 && number == 0, "no part of a device");
    GIVES(NVML_ERROR_NOT_FOUND, nvmlDeviceGetMigDeviceHandleByIndex(device, 0, &part));
    number = 1;
    ok(nvmlUnitGetCount(&number) == 0 && number == 0, "no units");
}

/* ---- Fork: NVML goes on, and so does a CUDA that the parent has not started --------------------- */

static int
in_child(nvmlDevice_t device, bool cuda)
{
    nvmlMemory_t memory;
    CUcontext context;
    unsigned count = 0;
    int failed = 0;

    failed |= nvmlDeviceGetMemoryInfo(device, &memory) != NVML_SUCCESS || memory.total == 0;
    failed |= nvmlDeviceGetCount_v2(&count) != NVML_SUCCESS || count != 1 ? 2 : 0;
    if (cuda)
        failed |= cuInit(0) != CUDA_SUCCESS || cuCtxCreate_v2(&context, 0, 0) != CUDA_SUCCESS ? 4 : 0;
    else
        failed |= cuInit(0) != CUDA_ERROR_NOT_INITIALIZED ? 4 : 0;
    failed |= nvmlShutdown() != NVML_SUCCESS ? 8 : 0;
    return failed;
}

static void
test_fork(nvmlDevice_t device, bool cuda)
{
    nvmlMemory_t memory;
    pid_t child = fork();
    int status = -1;

    if (child == 0)
        _exit(in_child(device, cuda));
    waitpid(child, &status, 0);
    ok(status == 0, "a child asks NVML, and CUDA %s", cuda ? "starts in it" : "refuses it");
    if (status != 0)
        printf("# status %d\n", status);
    GIVES(NVML_SUCCESS, nvmlDeviceGetMemoryInfo(device, &memory));
}

/* ---- Threads ------------------------------------------------------------------------------------ */

#define THREADS 8
#define ROUNDS 200

static void *
ask_often(void *device)
{
    nvmlMemory_t memory;
    char name[96];
    intptr_t failed = 0;

    for (int i = 0; i < ROUNDS; i++) {
        failed += nvmlInit_v2() != NVML_SUCCESS;
        failed += nvmlDeviceGetMemoryInfo(device, &memory) != NVML_SUCCESS || memory.total != memory.free + memory.used;
        failed += nvmlDeviceGetName(device, name, sizeof(name)) != NVML_SUCCESS;
        failed += nvmlShutdown() != NVML_SUCCESS;
    }
    return (void *)failed;
}

static void
test_threads(nvmlDevice_t device)
{
    pthread_t threads[THREADS];
    intptr_t failed = 0;

    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, ask_often, device);
    for (int i = 0; i < THREADS; i++) {
        void *result;

        pthread_join(threads[i], &result);
        failed += (intptr_t)result;
    }
    ok(failed == 0, "%d threads ask at once", THREADS);
}

static int
list(void)
{
    unsigned count = 0;
    nvmlReturn_t result = nvmlInit_v2();

    if (result != NVML_SUCCESS)
        return printf("%s\n", nvmlErrorString(result)), 1;
    nvmlDeviceGetCount_v2(&count);
    for (unsigned i = 0; i < count; i++) {
        nvmlDevice_t device;
        char name[96] = "";

        nvmlDeviceGetHandleByIndex_v2(i, &device);
        nvmlDeviceGetName(device, name, sizeof(name));
        printf("%s%s", i > 0 ? ", " : "", name);
    }
    puts("");
    return 0;
}

int
main(int argc, char **argv)
{
    nvmlDevice_t device = NULL;
    unsigned count = 0;

    if (argc > 1 && strcmp(argv[1], "list") == 0)
        return list();
    test_start();
    ok(nvmlDeviceGetCount_v2(&count) == 0 && count == 1, "one device");
    if (!GIVES(NVML_SUCCESS, nvmlDeviceGetHandleByIndex_v2(0, &device)))
        return done();
    test_handles(device);
    test_fork(device, true);
    test_cuda(device);
    test_fork(device, false);
    test_threads(device);
    test_lacking(device);
    test_local(device);
    GIVES(NVML_SUCCESS, nvmlShutdown());
    return done();
}
