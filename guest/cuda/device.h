/* SPDX-License-Identifier: MIT */
/* The devices, as the host described them at the start. */
#ifndef CUDA_GUEST_DEVICE_H
#define CUDA_GUEST_DEVICE_H

#include "guest.h"

/** Asks the host for its @p count devices, and keeps those that CUDA_VISIBLE_DEVICES lets the program see. */
CUresult cuda_guest_devices_load(uint32_t count);

/** The device, or NULL if there is none of that number. */
static inline struct cuda_guest_device *
cuda_guest_device(CUdevice device)
{
    return device >= 0 && device < cuda_guest.devices ? &cuda_guest.device[device] : NULL;
}

/** The program's number of the host's device @p ordinal; -1: it does not see that one. */
int cuda_guest_device_number(uint32_t ordinal);

#endif
