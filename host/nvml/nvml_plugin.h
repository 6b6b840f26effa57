/* SPDX-License-Identifier: MIT */
/*
 * nvml.so, inside: a guest process has a table of the devices that it may ask about, and nothing else.
 *
 * Design notes
 *
 * What the guest sends are handles of devices and numbers, which NVIDIA's library checks, and structs whose version,
 * and with it their size, is checked here: a version that is larger than the struct's room would have the library
 * write behind it. What comes back is about the devices, never about other processes.
 */
#ifndef NVML_PLUGIN_H
#define NVML_PLUGIN_H

#include <gpuvchan/plugin.h>

#include "library.h"

struct nvml_host {
    const struct nvml_library *library;
    struct gpuvchan_handles *handles;
};

static inline const struct nvml_library *
nvml_native(const struct gpuvchan_request *request)
{
    return ((const struct nvml_host *)request->state)->library;
}

/** What a function that the library has not is answered with. */
static inline int
nvml_lacks(const struct nvml_library *library)
{
    return library->simulated ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_FUNCTION_NOT_FOUND;
}

/** The status of the library's @p function, called with the arguments behind it. */
#define NVML_ASK(request, function, ...)                                               \
    (nvml_native(request)->function ? (int)nvml_native(request)->function(__VA_ARGS__) \
                                    : nvml_lacks(nvml_native(request)))

#endif
