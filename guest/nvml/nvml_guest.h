/* SPDX-License-Identifier: MIT */
/*
 * The guest's libnvidia-ml.so.1, inside.
 *
 * Design notes
 *
 * Most entry points are generated from the protocol file: one call each, with the checks that need no host. By hand
 * is what is kept here, what has a length or a count in NVML's own way, and what is refused.
 *
 * Handles. What the application holds is NVML_HANDLE_TAG << 32 and the device's handle on the host: a value that
 * nothing is mapped at. All of them are known from the start.
 *
 * Start and end. nvmlInit() and nvmlShutdown() are counted. The connection, which is the whole process's, outlives
 * them. The child of a fork connects anew at its first call: NVML, unlike CUDA, goes on after a fork.
 */
#ifndef NVML_GUEST_INTERNAL_H
#define NVML_GUEST_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nvml-guest.h"

#define ENTRY GPUVCHAN_EXPORT nvmlReturn_t
/** A second name of an entry point. */
#define ENTRY_ALIAS(name, of) GPUVCHAN_EXPORT __typeof__(of) name __attribute__((alias(#of)))

#define NVML_HANDLE_TAG 0x676eull

struct nvml_guest {
    _Atomic int users; /* nvmlInit() less nvmlShutdown() */
    struct gpuvchan_channel *channel;
    struct gpuvchan_client client;
    int cuda_version;
    char driver[80], library[80];
    unsigned devices;
    struct nvml_device_info device[NVML_DEVICES];
};

extern struct nvml_guest nvml_guest;

/* start.c */
/** What an entry point does first: NVML_SUCCESS and the client, or why it cannot go on. */
nvmlReturn_t nvml_guest_enter(struct gpuvchan_client **client);
/** A stub's result as the application gets it. */
nvmlReturn_t nvml_guest_result(int status);

/* device.c */
/** What is kept of a device; NULL: @p device is none. */
const struct nvml_device_info *nvml_guest_device(nvmlDevice_t device);
/** The handle of device @p index as the application holds it. */
nvmlDevice_t nvml_guest_handle(unsigned index);
/** The handle for the host. False: @p device is none. */
bool nvml_guest_wire(nvmlDevice_t device, uint32_t *wire);
/** As nvml_guest_enter(), and finds the device, once @p out is there too. */
nvmlReturn_t nvml_guest_ask(nvmlDevice_t device, const void *out, const struct nvml_device_info **info);
/** As nvml_guest_enter(), and finds the device's handle for the host. */
nvmlReturn_t nvml_guest_enter_device(nvmlDevice_t device, struct gpuvchan_client **client, uint32_t *wire);

/* text.c */
/** Copies @p text out, if it fits into @p length bytes with its end. */
nvmlReturn_t nvml_guest_text(const char *text, char *out, unsigned length);

/* ---- For the generated entry points ---------------------------------------------------------- */

#define NVML_ENTER(function)                              \
    struct gpuvchan_client *client;                       \
    do {                                                  \
        nvmlReturn_t entered = nvml_guest_enter(&client); \
                                                          \
        if (entered != NVML_SUCCESS)                      \
            return entered;                               \
    } while (0)
#define NVML_HANDLE(handle, value, wire)        \
    do {                                        \
        if (!nvml_guest_wire(value, wire))      \
            return NVML_ERROR_INVALID_ARGUMENT; \
    } while (0)
#define NVML_RESULT(function, status) nvml_guest_result(status)

#endif
