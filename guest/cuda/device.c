/* SPDX-License-Identifier: MIT */
/* Devices: asked for once, then answered from what is kept. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

/*
 * What the host's driver offers and a guest does not get: the device does not reach the program's own memory by itself,
 * and some functions are not forwarded.
 */
static const int withheld[] = {
    CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS,
    CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES,
    CU_DEVICE_ATTRIBUTE_DIRECT_MANAGED_MEM_ACCESS_FROM_HOST,
    CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM,
    CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED,
    CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED,
    CU_DEVICE_ATTRIBUTE_HOST_NUMA_MEMORY_POOLS_SUPPORTED,
    CU_DEVICE_ATTRIBUTE_HOST_MEMORY_POOLS_SUPPORTED,
    CU_DEVICE_ATTRIBUTE_COOPERATIVE_MULTI_DEVICE_LAUNCH,
    CU_DEVICE_ATTRIBUTE_TIMELINE_SEMAPHORE_INTEROP_SUPPORTED,
    CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_SUPPORTED,
    CU_DEVICE_ATTRIBUTE_MEM_DECOMPRESS_ALGORITHM_MASK,
    CU_DEVICE_ATTRIBUTE_MEM_DECOMPRESS_MAXIMUM_LENGTH,
    CU_DEVICE_ATTRIBUTE_DMA_BUF_SUPPORTED,
    CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED,
};

static void
withhold(struct cuda_guest_device *device)
{
    for (size_t i = 0; i < sizeof(withheld) / sizeof(withheld[0]); i++)
        device->attributes[withheld[i]] = 0;
    if (!cuda_guest.same_address)
        device->attributes[CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING] = 0;
    /* It is in the arena: both reach it at any time. */
    device->attributes[CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY] = cuda_guest.same_address;
    device->attributes[CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS] = cuda_guest.same_address;
    /* Fabric handles are for other systems. */
    device->attributes[CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_FABRIC_SUPPORTED] = 0;
    device->attributes[CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES] &= CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    if (!cuda_guest_can_register())
        device->attributes[CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED] = 0;
}

static CUresult
device_load(struct cuda_guest_device *device, uint32_t ordinal)
{
    size_t uuid_bytes = sizeof(device->uuid), count = CUDA_GUEST_ATTRIBUTES;
    int status =
        cuda_device_info(&cuda_guest.client, ordinal, device->name, sizeof(device->name), (uint8_t *)device->uuid.bytes,
                         &uuid_bytes, &device->bytes, device->attributes, &count);

    if (status != 0)
        return cuda_guest_result(status);
    device->ordinal = ordinal;
    device->attribute_count = (int)count;
    withhold(device);
    return CUDA_SUCCESS;
}

/* ---- CUDA_DEVICE_ORDER: the host's driver puts the fastest first, or the devices in the order of the bus -------- */

static int
compare_places(const void *left, const void *right)
{
    static const int ranks[] = {CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID,
                                CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID};
    const struct cuda_guest_device *a = left, *b = right;

    for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++)
        if (a->attributes[ranks[i]] != b->attributes[ranks[i]])
            return a->attributes[ranks[i]] < b->attributes[ranks[i]] ? -1 : 1;
    return (a->ordinal > b->ordinal) - (a->ordinal < b->ordinal);
}

static void
put_in_order(struct cuda_guest_device *all, size_t count)
{
    const char *order = getenv("CUDA_DEVICE_ORDER");

    if (order && strcmp(order, "PCI_BUS_ID") == 0)
        qsort(all, count, sizeof(*all), compare_places);
}

/* ---- CUDA_VISIBLE_DEVICES: numbers or the beginnings of UUIDs; the first that does not exist ends the list ---- */

static void
uuid_text(const struct cuda_guest_device *device, char text[48])
{
    char *at = text + sprintf(text, "GPU-");

    for (int i = 0; i < 16; i++)
        at += sprintf(at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                      (unsigned char)device->uuid.bytes[i]);
}

static int
name_find(const char *name, size_t length, const struct cuda_guest_device *all, int count)
{
    char text[48], *end;
    long number = strtol(name, &end, 10);
    int found = -1;

    if (length > 0 && end == name + length)
        return number >= 0 && number < count ? (int)number : -1;
    for (int i = 0; i < count; i++) {
        uuid_text(&all[i], text);
        if (length <= 4 || strncmp(text, name, length) != 0)
            continue;
        if (found >= 0) /* ambiguous */
            return -1;
        found = i;
    }
    return found;
}

static bool
listed(int device, const int *list, int count)
{
    for (int i = 0; i < count; i++)
        if (list[i] == device)
            return true;
    return false;
}

static void
choose_visible(const struct cuda_guest_device *all, int count)
{
    const char *names = getenv("CUDA_VISIBLE_DEVICES");
    int list[CUDA_GUEST_DEVICES], chosen = 0;

    for (const char *at = names; at && *at && chosen < count;) {
        size_t length = strcspn(at, ",");
        int device = name_find(at, length, all, count);

        if (device < 0)
            break;
        if (listed(device, list, chosen)) { /* a device that is named twice makes the whole list void */
            chosen = 0;
            break;
        }
        list[chosen++] = device;
        at += length;
        at += *at == ',';
    }
    cuda_guest.devices = names ? chosen : count;
    for (int i = 0; i < cuda_guest.devices; i++)
        cuda_guest.device[i] = all[names ? list[i] : i];
}

CUresult
cuda_guest_devices_load(uint32_t count)
{
    struct cuda_guest_device *all;
    CUresult result = CUDA_SUCCESS;

    count = count < CUDA_GUEST_DEVICES ? count : CUDA_GUEST_DEVICES;
    all = calloc(CUDA_GUEST_DEVICES, sizeof(*all));
    if (!all)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < count && result == CUDA_SUCCESS; i++)
        result = device_load(&all[i], i);
    if (result == CUDA_SUCCESS) {
        put_in_order(all, count);
        choose_visible(all, (int)count);
    }
    free(all);
    return result;
}

int
cuda_guest_device_number(uint32_t ordinal)
{
    for (int i = 0; i < cuda_guest.devices; i++)
        if (cuda_guest.device[i].ordinal == ordinal)
            return i;
    return -1;
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* The device, once cuInit() was called and @p out is there. */
static CUresult
ask(const void *out, CUdevice number, const struct cuda_guest_device **device)
{
    CUresult result = cuda_guest_ready();

    if (result != CUDA_SUCCESS)
        return result;
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    *device = cuda_guest_device(number);
    return *device ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

ENTRY
cuDeviceGetCount(int *count)
{
    CUresult result = cuda_guest_ready();

    if (result != CUDA_SUCCESS)
        return result;
    if (!count)
        return CUDA_ERROR_INVALID_VALUE;
    *count = cuda_guest.devices;
    return CUDA_SUCCESS;
}

ENTRY
cuDeviceGet(CUdevice *device, int ordinal)
{
    const struct cuda_guest_device *found;
    CUresult result = ask(device, ordinal, &found);

    if (result == CUDA_SUCCESS)
        *device = ordinal;
    return result;
}

ENTRY
cuDeviceGetName(char *name, int length, CUdevice number)
{
    const struct cuda_guest_device *device;
    CUresult result = ask(name, number, &device);

    if (result != CUDA_SUCCESS)
        return result;
    if (length <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    snprintf(name, (size_t)length, "%s", device->name);
    return CUDA_SUCCESS;
}

ENTRY
cuDeviceGetUuid(CUuuid *uuid, CUdevice number)
{
    const struct cuda_guest_device *device;
    CUresult result = ask(uuid, number, &device);

    if (result == CUDA_SUCCESS)
        *uuid = device->uuid;
    return result;
}
ENTRY_ALIAS(cuDeviceGetUuid_v2, cuDeviceGetUuid);

ENTRY
cuDeviceTotalMem_v2(size_t *bytes, CUdevice number)
{
    const struct cuda_guest_device *device;
    CUresult result = ask(bytes, number, &device);

    if (result == CUDA_SUCCESS)
        *bytes = device->bytes;
    return result;
}

/* The first generation's: as much as 32 bits can say. */
ENTRY
cuDeviceTotalMem(unsigned int *bytes, CUdevice number)
{
    const struct cuda_guest_device *device;
    CUresult result = ask(bytes, number, &device);

    if (result == CUDA_SUCCESS)
        *bytes = device->bytes < UINT32_MAX ? (unsigned int)device->bytes : UINT32_MAX;
    return result;
}

ENTRY
cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice number)
{
    const struct cuda_guest_device *device;
    CUresult result = ask(value, number, &device);

    if (result != CUDA_SUCCESS)
        return result;
    if ((int)attribute < 1 || (int)attribute >= device->attribute_count)
        return CUDA_ERROR_INVALID_VALUE;
    *value = device->attributes[attribute];
    return CUDA_SUCCESS;
}

ENTRY
cuDeviceComputeCapability(int *major, int *minor, CUdevice number)
{
    const struct cuda_guest_device *device;
    CUresult result = ask(major, number, &device);

    if (result != CUDA_SUCCESS)
        return result;
    if (!minor)
        return CUDA_ERROR_INVALID_VALUE;
    *major = device->attributes[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR];
    *minor = device->attributes[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR];
    return CUDA_SUCCESS;
}

static int
pci_id(const struct cuda_guest_device *device, char *text, size_t bytes)
{
    return snprintf(text, bytes, "%04x:%02x:%02x.0", (unsigned)device->attributes[CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID],
                    (unsigned)device->attributes[CU_DEVICE_ATTRIBUTE_PCI_BUS_ID],
                    (unsigned)device->attributes[CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID]);
}

ENTRY
cuDeviceGetPCIBusId(char *text, int length, CUdevice number)
{
    const struct cuda_guest_device *device;
    CUresult result = ask(text, number, &device);

    if (result != CUDA_SUCCESS)
        return result;
    if (length <= 0 || pci_id(device, text, (size_t)length) >= length)
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

ENTRY
cuDeviceGetByPCIBusId(CUdevice *number, const char *text)
{
    unsigned domain = 0, bus, device, function = 0;
    CUresult result = cuda_guest_ready();

    if (result != CUDA_SUCCESS)
        return result;
    if (!number || !text)
        return CUDA_ERROR_INVALID_VALUE;
    if (sscanf(text, "%x:%x:%x.%x", &domain, &bus, &device, &function) < 3) {
        domain = 0;
        if (sscanf(text, "%x:%x.%x", &bus, &device, &function) < 2)
            return CUDA_ERROR_INVALID_VALUE;
    }
    for (int i = 0; i < cuda_guest.devices; i++) {
        const int *attributes = cuda_guest.device[i].attributes;

        if ((unsigned)attributes[CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID] == domain &&
            (unsigned)attributes[CU_DEVICE_ATTRIBUTE_PCI_BUS_ID] == bus &&
            (unsigned)attributes[CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID] == device) {
            *number = i;
            return CUDA_SUCCESS;
        }
    }
    return CUDA_ERROR_INVALID_DEVICE;
}

/* Of the first generation, and from the attributes. */
ENTRY
cuDeviceGetProperties(CUdevprop *properties, CUdevice number)
{
    const struct cuda_guest_device *device;
    CUresult result = ask(properties, number, &device);
    const int *attributes;

    if (result != CUDA_SUCCESS)
        return result;
    attributes = device->attributes;
    *properties = (CUdevprop){
        .maxThreadsPerBlock = attributes[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK],
        .maxThreadsDim = {attributes[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X],
                          attributes[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y],
                          attributes[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z]},
        .maxGridSize = {attributes[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X], attributes[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y],
                        attributes[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z]},
        .sharedMemPerBlock = attributes[CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK],
        .totalConstantMemory = attributes[CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY],
        .SIMDWidth = attributes[CU_DEVICE_ATTRIBUTE_WARP_SIZE],
        .memPitch = attributes[CU_DEVICE_ATTRIBUTE_MAX_PITCH],
        .regsPerBlock = attributes[CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK],
        .clockRate = attributes[CU_DEVICE_ATTRIBUTE_CLOCK_RATE],
        .textureAlign = attributes[CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT],
    };
    return CUDA_SUCCESS;
}

/* Contexts that are bound to some of the multiprocessors are not forwarded. */
ENTRY
cuDeviceGetExecAffinitySupport(int *supported, CUexecAffinityType type, CUdevice number)
{
    const struct cuda_guest_device *device;
    CUresult result = ask(supported, number, &device);

    if (result != CUDA_SUCCESS)
        return result;
    if (type >= CU_EXEC_AFFINITY_TYPE_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    *supported = 0;
    return CUDA_SUCCESS;
}
