/* SPDX-License-Identifier: MIT */
/*
 * The process's beginning and end: cuInit(), what becomes of errors of the channel, fork and exit.
 *
 * Design notes: a failed start is not remembered, so that a program that waits for its host may try again. An
 * end of the channel and a fault of the device are: every later call says the same. After exit() has reached
 * this library nothing waits any more; calls then come from other threads or from destructors.
 */
#include <errno.h>
#include <stdio.h>

#include "device.h"

struct cuda_guest cuda_guest;

/* By this the host's plugin knows that it has found us in place of NVIDIA's library. */
extern const char gpuvchan_guest_libcuda[];
GPUVCHAN_EXPORT const char gpuvchan_guest_libcuda[] = GPUVCHAN_VERSION;

static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;

/* ---- Errors ---------------------------------------------------------------------------------- */

/* What the user has been told. */
static _Atomic bool unable, crowded, ended;

/* Once of its sort. */
static void
tell(_Atomic bool *told, const char *what)
{
    if (!atomic_exchange(told, true))
        fprintf(stderr, "gpuvchan's libcuda.so.1: %s\n", what);
}

/* The errors after which CUDA gives the same one to all that the process does on its devices. */
static bool
lasts(int status)
{
    switch (status) {
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_NVLINK_UNCORRECTABLE:
    case CUDA_ERROR_CONTAINED:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
        return true;
    default:
        return false;
    }
}

/* The channel has ended: everything on the host is gone. */
static CUresult
lost(int error)
{
    int ready = CUDA_GUEST_READY;
    char text[256];

    if (error == -ENOTCONN)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (atomic_compare_exchange_strong(&cuda_guest.state, &ready, CUDA_GUEST_LOST)) {
        snprintf(text, sizeof(text), "the connection to the GPU's host has ended: %s", gpuvchan_error_text());
        tell(&ended, text);
    }
    return atomic_load(&cuda_guest.state) == CUDA_GUEST_READY ? CUDA_ERROR_DEVICE_UNAVAILABLE : cuda_guest_refusal();
}

CUresult
cuda_guest_result(int status)
{
    int error, none = 0;

    if (__builtin_expect(status == 0, 1))
        return CUDA_SUCCESS;
    if (status > 0) {
        if (lasts(status))
            atomic_compare_exchange_strong(&cuda_guest.fault, &none, status);
        return (CUresult)status;
    }
    error = gpuvchan_channel_error(cuda_guest.channel);
    if (error != 0)
        return lost(error);
    switch (status) {
    case -EINVAL:
    case -E2BIG:
    case -EMSGSIZE:
        return CUDA_ERROR_INVALID_VALUE;
    case -EAGAIN: /* no lane is left for this thread */
        tell(&crowded, gpuvchan_error_text());
        return CUDA_ERROR_OUT_OF_MEMORY;
    case -ENOMEM:
        return CUDA_ERROR_OUT_OF_MEMORY;
    default:
        return CUDA_ERROR_UNKNOWN;
    }
}

CUresult
cuda_guest_refusal(void)
{
    switch (atomic_load(&cuda_guest.state)) {
    case CUDA_GUEST_READY:
        return CUDA_SUCCESS;
    case CUDA_GUEST_LOST:
        return CUDA_ERROR_DEVICE_UNAVAILABLE;
    case CUDA_GUEST_OVER:
        return CUDA_ERROR_DEINITIALIZED;
    default:
        return CUDA_ERROR_NOT_INITIALIZED;
    }
}

/* ---- Fork and exit --------------------------------------------------------------------------- */

static void
fork_child(void)
{
    if (cuda_guest.channel)
        atomic_store(&cuda_guest.state, CUDA_GUEST_FORKED);
}

__attribute__((destructor)) static void
finish(void)
{
    atomic_store(&cuda_guest.state, CUDA_GUEST_OVER);
}

/* ---- Start ----------------------------------------------------------------------------------- */

static CUresult
connect_host(bool loud)
{
    int error = gpuvchan_channel_shared(&cuda_guest.channel);

    if (error == 0)
        error = gpuvchan_client_open(cuda_guest.channel, &cuda_protocol, &cuda_guest.client);
    if (error == 0) {
        gpuvchan_client_name_entries(&cuda_guest.client, cuda_names);
        return CUDA_SUCCESS;
    }
    if (loud)
        tell(&unable, gpuvchan_error_text());
    return CUDA_ERROR_NO_DEVICE;
}

static CUresult
start(bool loud)
{
    bool simulated;
    uint32_t devices;
    int32_t version;
    int status;
    CUresult result;

    if (!cuda_guest.handles && gpuvchan_handles_create(&cuda_guest.handles) != 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = connect_host(loud);
    if (result != CUDA_SUCCESS)
        return result;
    status = cuda_init(&cuda_guest.client, 0, &version, &devices, &simulated);
    if (status != 0)
        return cuda_guest_result(status);
    cuda_guest.same_address = gpuvchan_arena_same_address(cuda_guest.channel);
    /* A runtime must not expect functions of a CUDA that this library does not know. */
    cuda_guest.version = version < CUDA_VERSION ? version : CUDA_VERSION;
    result = cuda_guest_devices_load(devices);
    if (result == CUDA_SUCCESS && cuda_guest.devices == 0)
        result = CUDA_ERROR_NO_DEVICE;
    return result;
}

/* Starts once; with the lock. */
static CUresult
start_once(bool loud)
{
    static bool handlers, started;
    CUresult result = CUDA_SUCCESS;

    if (!handlers) {
        handlers = true;
        /* Before the channel makes its key, so that a thread's end is noticed here first. */
        (void)cuda_guest_self();
        pthread_atfork(NULL, NULL, fork_child);
    }
    if (!started)
        result = start(loud);
    started |= result == CUDA_SUCCESS;
    return result;
}

ENTRY
cuInit(unsigned int flags)
{
    CUresult result;
    int new = CUDA_GUEST_NEW;

    if (flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (atomic_load(&cuda_guest.state) != CUDA_GUEST_NEW)
        return cuda_guest_refusal();
    pthread_mutex_lock(&starting);
    result = start_once(true);
    if (result == CUDA_SUCCESS)
        atomic_compare_exchange_strong(&cuda_guest.state, &new, CUDA_GUEST_READY);
    pthread_mutex_unlock(&starting);
    return result == CUDA_SUCCESS ? cuda_guest_refusal() : result;
}

/* Callable before cuInit(), and then the host's answer is wanted as well. */
ENTRY
cuDriverGetVersion(int *version)
{
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    if (cuda_guest.version == 0 && atomic_load(&cuda_guest.state) == CUDA_GUEST_NEW) {
        pthread_mutex_lock(&starting);
        (void)start_once(false);
        pthread_mutex_unlock(&starting);
    }
    *version = cuda_guest.version != 0 ? cuda_guest.version : CUDA_VERSION;
    return CUDA_SUCCESS;
}
