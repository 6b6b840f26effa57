/* SPDX-License-Identifier: MIT */
/*
 * NVML of the simulated CUDA device: what its libcuda.so.1 says of it, in NVML's words, so that the two never
 * disagree. The library is the very one that the worker executes CUDA on, and memory is what that has allocated.
 * What a device on the CPU has not (temperature, power, fans, ECC) has no function, and is not supported.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gpuvchan/gpuvchan.h>

#include "cuda_api.h"
#include "library.h"

#define SIMULATED_FUNCTIONS(X)                    \
    X(cuInit, cuInit)                             \
    X(cuDriverGetVersion, cuDriverGetVersion)     \
    X(cuDeviceGetCount, cuDeviceGetCount)         \
    X(cuDeviceGetName, cuDeviceGetName)           \
    X(cuDeviceGetUuid, cuDeviceGetUuid_v2)        \
    X(cuDeviceGetAttribute, cuDeviceGetAttribute) \
    X(cuCtxCreate, cuCtxCreate_v2)                \
    X(cuCtxDestroy, cuCtxDestroy_v2)              \
    X(cuMemGetInfo, cuMemGetInfo_v2)

static struct {
#define SIMULATED_FIELD(name, symbol) __typeof__(symbol) *name;
    SIMULATED_FUNCTIONS(SIMULATED_FIELD)
#undef SIMULATED_FIELD
} cuda;

/* A device's handle is the address of its number's place here. */
static char places[NVML_DEVICES];

static CUdevice
number_of(nvmlDevice_t device)
{
    return (CUdevice)((char *)device - places);
}

static nvmlReturn_t
translate(CUresult result)
{
    return result == CUDA_SUCCESS ? NVML_SUCCESS : NVML_ERROR_UNKNOWN;
}

static unsigned
attribute(nvmlDevice_t device, CUdevice_attribute which)
{
    int value = 0;

    return cuda.cuDeviceGetAttribute(&value, which, number_of(device)) == CUDA_SUCCESS ? (unsigned)value : 0;
}

/* ---- The system ------------------------------------------------------------------------------ */

static nvmlReturn_t
init(void)
{
    return translate(cuda.cuInit(0));
}

static const char *
error_string(nvmlReturn_t result)
{
    (void)result;
    return "the simulated device does not start";
}

static nvmlReturn_t
driver_version(char *version, unsigned length)
{
    return snprintf(version, length, "%s", GPUVCHAN_VERSION) < (int)length ? NVML_SUCCESS
                                                                           : NVML_ERROR_INSUFFICIENT_SIZE;
}

static nvmlReturn_t
nvml_version(char *version, unsigned length)
{
    return snprintf(version, length, "13.%s", GPUVCHAN_VERSION) < (int)length ? NVML_SUCCESS
                                                                              : NVML_ERROR_INSUFFICIENT_SIZE;
}

static nvmlReturn_t
cuda_version(int *version)
{
    return translate(cuda.cuDriverGetVersion(version));
}

/* ---- Devices --------------------------------------------------------------------------------- */

static nvmlReturn_t
device_count(unsigned *count)
{
    int devices = 0;
    CUresult result = cuda.cuDeviceGetCount(&devices);

    *count = (unsigned)devices < NVML_DEVICES ? (unsigned)devices : NVML_DEVICES;
    return translate(result);
}

static nvmlReturn_t
device_by_index(unsigned index, nvmlDevice_t *device)
{
    if (index >= NVML_DEVICES)
        return NVML_ERROR_INVALID_ARGUMENT;
    *device = (nvmlDevice_t)(void *)&places[index];
    return NVML_SUCCESS;
}

static nvmlReturn_t
device_name(nvmlDevice_t device, char *name, unsigned length)
{
    return translate(cuda.cuDeviceGetName(name, (int)length, number_of(device)));
}

static nvmlReturn_t
device_uuid(nvmlDevice_t device, char *text, unsigned length)
{
    CUuuid uuid;
    nvmlReturn_t result = translate(cuda.cuDeviceGetUuid(&uuid, number_of(device)));
    char whole[48], *at = whole + sprintf(whole, "GPU-");

    if (result != NVML_SUCCESS)
        return result;
    for (int i = 0; i < 16; i++)
        at += sprintf(at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", (unsigned char)uuid.bytes[i]);
    return snprintf(text, length, "%s", whole) < (int)length ? NVML_SUCCESS : NVML_ERROR_INSUFFICIENT_SIZE;
}

static nvmlReturn_t
device_pci(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    memset(pci, 0, sizeof(*pci));
    pci->domain = attribute(device, CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID) & 0xffff;
    pci->bus = attribute(device, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID) & 0xff;
    pci->device = attribute(device, CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID) & 0x1f;
    snprintf(pci->busIdLegacy, sizeof(pci->busIdLegacy), "%04X:%02X:%02X.0", pci->domain & 0xffff, pci->bus & 0xff,
             pci->device & 0xff);
    snprintf(pci->busId, sizeof(pci->busId), "%08X:%02X:%02X.0", pci->domain, pci->bus, pci->device);
    return NVML_SUCCESS;
}

static nvmlReturn_t
device_capability(nvmlDevice_t device, int *major, int *minor)
{
    *major = (int)attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
    *minor = (int)attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    return NVML_SUCCESS;
}

static nvmlReturn_t
device_brand(nvmlDevice_t device, nvmlBrandType_t *brand)
{
    (void)device;
    *brand = NVML_BRAND_UNKNOWN;
    return NVML_SUCCESS;
}

static nvmlReturn_t
device_compute_mode(nvmlDevice_t device, nvmlComputeMode_t *mode)
{
    *mode = (nvmlComputeMode_t)attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_MODE);
    return NVML_SUCCESS;
}

static nvmlReturn_t
device_bus_width(nvmlDevice_t device, unsigned *bits)
{
    *bits = attribute(device, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
    return NVML_SUCCESS;
}

/* CUDA counts in kHz. */
static nvmlReturn_t
device_max_clock(nvmlDevice_t device, nvmlClockType_t type, unsigned *clock)
{
    if (type >= NVML_CLOCK_COUNT)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (type == NVML_CLOCK_VIDEO)
        return NVML_ERROR_NOT_SUPPORTED;
    *clock = attribute(device, type == NVML_CLOCK_MEM ? CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE
                                                      : CU_DEVICE_ATTRIBUTE_CLOCK_RATE) /
             1000;
    return NVML_SUCCESS;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* It is asked for in a context, of which this thread gets one for the moment above what it may have. */
static nvmlReturn_t
device_memory(nvmlDevice_t device, nvmlMemory_t *memory)
{
    CUcontext context;
    size_t free_bytes = 0, total = 0;
    CUresult result = cuda.cuCtxCreate(&context, 0, number_of(device));

    if (result != CUDA_SUCCESS)
        return translate(result);
    result = cuda.cuMemGetInfo(&free_bytes, &total);
    cuda.cuCtxDestroy(context);
    *memory = (nvmlMemory_t){.total = total, .free = free_bytes, .used = total - free_bytes};
    return translate(result);
}

static nvmlReturn_t
device_memory_second(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
    nvmlMemory_t plain;
    nvmlReturn_t result = device_memory(device, &plain);

    if (result != NVML_SUCCESS)
        return result;
    memory->total = plain.total;
    memory->reserved = 0;
    memory->free = plain.free;
    memory->used = plain.used;
    return NVML_SUCCESS;
}

/* It is this process's alone, and a process is listed while it has something. */
static nvmlReturn_t
device_processes(nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *processes)
{
    unsigned room = *count;
    nvmlMemory_t memory;
    nvmlReturn_t result = device_memory(device, &memory);

    if (result != NVML_SUCCESS)
        return result;
    *count = memory.used != 0;
    if (room < *count)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    if (*count != 0)
        processes[0] = (nvmlProcessInfo_t){(unsigned)getpid(), memory.used, UINT32_MAX, UINT32_MAX};
    return NVML_SUCCESS;
}

static nvmlReturn_t
device_no_processes(nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *processes)
{
    (void)device;
    (void)processes;
    *count = 0;
    return NVML_SUCCESS;
}

/* ---- Loading --------------------------------------------------------------------------------- */

static void
fill(struct nvml_library *table)
{
    table->simulated = true;
    table->nvmlInit_v2 = init;
    table->nvmlErrorString = error_string;
    table->nvmlSystemGetDriverVersion = driver_version;
    table->nvmlSystemGetNVMLVersion = nvml_version;
    table->nvmlSystemGetCudaDriverVersion_v2 = cuda_version;
    table->nvmlDeviceGetCount_v2 = device_count;
    table->nvmlDeviceGetHandleByIndex_v2 = device_by_index;
    table->nvmlDeviceGetName = device_name;
    table->nvmlDeviceGetUUID = device_uuid;
    table->nvmlDeviceGetPciInfo_v3 = device_pci;
    table->nvmlDeviceGetCudaComputeCapability = device_capability;
    table->nvmlDeviceGetBrand = device_brand;
    table->nvmlDeviceGetComputeMode = device_compute_mode;
    table->nvmlDeviceGetMemoryBusWidth = device_bus_width;
    table->nvmlDeviceGetMaxClockInfo = device_max_clock;
    table->nvmlDeviceGetMemoryInfo = device_memory;
    table->nvmlDeviceGetMemoryInfo_v2 = device_memory_second;
    table->nvmlDeviceGetComputeRunningProcesses_v3 = device_processes;
    table->nvmlDeviceGetGraphicsRunningProcesses_v3 = device_no_processes;
    table->nvmlDeviceGetMPSComputeRunningProcesses_v3 = device_no_processes;
}

int
nvml_simulated_load(const char *path, struct nvml_library *table, char *why, size_t why_bytes)
{
    void *file = dlopen(path, RTLD_NOW | RTLD_LOCAL), *symbol;
    const char *missing = NULL;

    if (!file) {
        snprintf(why, why_bytes, "%s", dlerror());
        return -ENOENT;
    }
#define SIMULATED_BIND(name, symbol_name)        \
    symbol = dlsym(file, #symbol_name);          \
    memcpy(&cuda.name, &symbol, sizeof(symbol)); \
    if (!symbol)                                 \
        missing = #symbol_name;
    SIMULATED_FUNCTIONS(SIMULATED_BIND)
#undef SIMULATED_BIND
    if (missing) {
        snprintf(why, why_bytes, "%.256s lacks %s", path, missing);
        dlclose(file);
        return -ENOENT;
    }
    snprintf(table->path, sizeof(table->path), "%s", path);
    fill(table);
    return 0;
}
