/* SPDX-License-Identifier: MIT */
/*
 * What a spare worker does before it has a guest: it starts the driver and makes the primary context of the first
 * device, which take longer than all else that a program's start costs.
 *
 * Design notes: the context has one retain that is no guest's. The guest's first retain takes it over, so that from
 * there on the driver counts what it would have counted otherwise. It goes at once when the guest wants something that
 * a context of its own would have had from its beginning: other flags, another device, a context that is not primary.
 * A device that admits one process alone is not kept from others.
 */
#include "cuda_plugin.h"

#include <stdatomic.h>

static bool wanted = true;
static _Atomic(CUcontext) kept; /* of device 0 */

/* The first kernel of a process also pays for what loads and launches it. */
static const char ptx[] = ".version 6.0\n"
                          ".target sm_52\n"
                          ".address_size 64\n"
                          ".visible .entry warm()\n"
                          "{\n"
                          "    ret;\n"
                          "}\n";

void
cuda_warm_allow(bool yes)
{
    wanted = yes;
}

static void
run_kernel(const struct cuda_driver *native)
{
    CUfunction function;
    CUmodule module;

    if (native->cuModuleLoadDataEx(&module, ptx, 0, NULL, NULL) != CUDA_SUCCESS)
        return;
    if (native->cuModuleGetFunction(&function, module, "warm") == CUDA_SUCCESS &&
        native->cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL) == CUDA_SUCCESS)
        native->cuCtxSynchronize();
    native->cuModuleUnload(module);
}

static bool
admits_others(const struct cuda_driver *native, CUdevice device)
{
    int mode = CU_COMPUTEMODE_PROHIBITED;

    return native->cuDeviceGetAttribute(&mode, CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, device) == CUDA_SUCCESS &&
           mode == CU_COMPUTEMODE_DEFAULT;
}

void
cuda_warm(void)
{
    const struct cuda_driver *native = wanted ? cuda_driver_start() : NULL;
    CUcontext context;
    CUdevice device;

    if (!native || native->cuDeviceGet(&device, 0) != CUDA_SUCCESS || !admits_others(native, device) ||
        native->cuDevicePrimaryCtxRetain(&context, device) != CUDA_SUCCESS)
        return;
    if (native->cuCtxSetCurrent(context) == CUDA_SUCCESS)
        run_kernel(native);
    native->cuCtxSetCurrent(NULL);
    atomic_store(&kept, context);
}

CUresult
cuda_warm_retain(const struct cuda_driver *native, CUcontext *context, uint32_t number, CUdevice device)
{
    CUcontext taken = number == 0 ? atomic_exchange(&kept, NULL) : NULL;

    if (taken) {
        *context = taken;
        return CUDA_SUCCESS;
    }
    cuda_warm_end(native);
    return native->cuDevicePrimaryCtxRetain(context, device);
}

void
cuda_warm_end(const struct cuda_driver *native)
{
    CUdevice device;

    if (atomic_exchange(&kept, NULL) && native->cuDeviceGet(&device, 0) == CUDA_SUCCESS)
        native->cuDevicePrimaryCtxRelease(device);
}
