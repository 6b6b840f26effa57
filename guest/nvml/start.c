/* SPDX-License-Identifier: MIT */
/*
 * The process's beginning: nvmlInit() and nvmlShutdown(), what becomes of errors of the channel, and fork.
 *
 * Design notes: a failed start is not remembered, so that a program that waits for its host may try again.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "cuda_api.h"
#include "nvml_guest.h"

struct nvml_guest nvml_guest;

/* By this the host's plugin knows that it has found us in place of NVIDIA's library. */
extern const char gpuvchan_guest_libnvidia_ml[];
GPUVCHAN_EXPORT const char gpuvchan_guest_libnvidia_ml[] = GPUVCHAN_VERSION;

static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool connected; /* to be read without the lock */

/* ---- Errors ---------------------------------------------------------------------------------- */

static void
tell(const char *what)
{
    static _Atomic bool told;

    if (!atomic_exchange(&told, true))
        fprintf(stderr, "gpuvchan's libnvidia-ml.so.1: %s\n", what);
}

nvmlReturn_t
nvml_guest_result(int status)
{
    if (status >= 0)
        return (nvmlReturn_t)status;
    if (gpuvchan_channel_error(nvml_guest.channel) != 0) {
        tell("the connection to the GPU's host has ended");
        return NVML_ERROR_GPU_IS_LOST;
    }
    switch (status) {
    case -EINVAL:
    case -E2BIG:
        return NVML_ERROR_INVALID_ARGUMENT;
    case -ENOMEM:
        return NVML_ERROR_MEMORY;
    case -EAGAIN: /* no lane is left for this thread */
        return NVML_ERROR_INSUFFICIENT_RESOURCES;
    default:
        return NVML_ERROR_UNKNOWN;
    }
}

/* ---- Connecting ------------------------------------------------------------------------------ */

static void
fork_child(void)
{
    atomic_store(&connected, false);
}

static nvmlReturn_t
devices_load(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct nvml_device_info *info = &nvml_guest.device[i];
        int status = nvml_device_info(&nvml_guest.client, NVML_DEVICE_FIRST + i, info);

        if (status != 0)
            return nvml_guest_result(status);
        info->name[sizeof(info->name) - 1] = '\0';
        info->uuid[sizeof(info->uuid) - 1] = '\0';
        info->serial[sizeof(info->serial) - 1] = '\0';
        info->pci.busIdLegacy[sizeof(info->pci.busIdLegacy) - 1] = '\0';
        info->pci.busId[sizeof(info->pci.busId) - 1] = '\0';
    }
    nvml_guest.devices = count;
    return NVML_SUCCESS;
}

static nvmlReturn_t
load(void)
{
    uint32_t devices;
    int32_t version;
    int status = nvml_init(&nvml_guest.client, &devices, &version, nvml_guest.driver, sizeof(nvml_guest.driver),
                           nvml_guest.library, sizeof(nvml_guest.library));

    if (status != 0)
        return nvml_guest_result(status);
    /* As the guest's libcuda.so.1 has it. */
    nvml_guest.cuda_version = version < CUDA_VERSION ? version : CUDA_VERSION;
    return devices_load(devices < NVML_DEVICES ? devices : NVML_DEVICES);
}

/* With the lock. */
static nvmlReturn_t
connect_host(void)
{
    static bool registered;
    nvmlReturn_t result;
    int error;

    if (atomic_load(&connected))
        return NVML_SUCCESS;
    if (!registered)
        registered = pthread_atfork(NULL, NULL, fork_child) == 0;
    error = gpuvchan_channel_shared(&nvml_guest.channel);
    if (error == 0)
        error = gpuvchan_client_open(nvml_guest.channel, &nvml_protocol, &nvml_guest.client);
    if (error != 0) {
        tell(gpuvchan_error_text());
        return error == -ENOENT && nvml_guest.channel ? NVML_ERROR_LIBRARY_NOT_FOUND : NVML_ERROR_DRIVER_NOT_LOADED;
    }
    gpuvchan_client_name_entries(&nvml_guest.client, nvml_names);
    result = load();
    if (result == NVML_SUCCESS)
        atomic_store_explicit(&connected, true, memory_order_release);
    return result;
}

static nvmlReturn_t
connect_once(void)
{
    nvmlReturn_t result;

    pthread_mutex_lock(&starting);
    result = connect_host();
    pthread_mutex_unlock(&starting);
    return result;
}

nvmlReturn_t
nvml_guest_enter(struct gpuvchan_client **client)
{
    if (atomic_load_explicit(&nvml_guest.users, memory_order_relaxed) == 0)
        return NVML_ERROR_UNINITIALIZED;
    *client = &nvml_guest.client;
    return atomic_load_explicit(&connected, memory_order_acquire) ? NVML_SUCCESS : connect_once();
}

/* ---- Entry points ---------------------------------------------------------------------------- */

ENTRY
nvmlInitWithFlags(unsigned int flags)
{
    nvmlReturn_t result = connect_once();

    if (result == NVML_SUCCESS && nvml_guest.devices == 0 && !(flags & NVML_INIT_FLAG_NO_GPUS))
        result = NVML_ERROR_DRIVER_NOT_LOADED;
    if (result == NVML_SUCCESS)
        atomic_fetch_add(&nvml_guest.users, 1);
    return result;
}

ENTRY
nvmlInit_v2(void)
{
    return nvmlInitWithFlags(0);
}
ENTRY_ALIAS(nvmlInit, nvmlInit_v2);

ENTRY
nvmlShutdown(void)
{
    int users = atomic_load(&nvml_guest.users);

    do {
        if (users == 0)
            return NVML_ERROR_UNINITIALIZED;
    } while (!atomic_compare_exchange_weak(&nvml_guest.users, &users, users - 1));
    return NVML_SUCCESS;
}

GPUVCHAN_EXPORT const char *
nvmlErrorString(nvmlReturn_t result)
{
    switch (result) {
#define RESULT_TEXT(name, value, text) \
    case name:                         \
        return text;
        GPUVCHAN_NVML_RESULTS(RESULT_TEXT)
#undef RESULT_TEXT
    }
    return "Unknown Error";
}
