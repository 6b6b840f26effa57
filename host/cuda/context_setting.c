/* SPDX-License-Identifier: MIT */
/* Settings of the current context that few programs touch, and old drivers lack. */
#include "cuda_plugin.h"

/* Makes the lane's context current, if the driver has the function. */
static int
enter(struct gpuvchan_request *request, bool has, const char *function)
{
    return has ? cuda_enter(cuda_lane_of(request), NULL, NULL) : cuda_driver_lacks(cuda_native(request), function);
}

int
cuda_host_ctx_get_shared_config(struct gpuvchan_request *request, int32_t *config)
{
    const struct cuda_driver *native = cuda_native(request);
    int result = enter(request, native->cuCtxGetSharedMemConfig, "cuCtxGetSharedMemConfig");
    CUsharedconfig got = CU_SHARED_MEM_CONFIG_DEFAULT_BANK_SIZE;

    if (result != 0)
        return result;
    result = native->cuCtxGetSharedMemConfig(&got);
    *config = (int32_t)got;
    return cuda_leave(cuda_lane_of(request), result);
}

int
cuda_host_ctx_set_shared_config(struct gpuvchan_request *request, int32_t config)
{
    const struct cuda_driver *native = cuda_native(request);
    int result = enter(request, native->cuCtxSetSharedMemConfig, "cuCtxSetSharedMemConfig");

    if (result != 0)
        return result;
    return cuda_leave(cuda_lane_of(request), native->cuCtxSetSharedMemConfig((CUsharedconfig)config));
}

int
cuda_host_ctx_set_flags(struct gpuvchan_request *request, uint32_t flags)
{
    const struct cuda_driver *native = cuda_native(request);
    int result = enter(request, native->cuCtxSetFlags, "cuCtxSetFlags");

    return result ? result : cuda_leave(cuda_lane_of(request), native->cuCtxSetFlags(flags));
}

int
cuda_host_ctx_reset_persisting(struct gpuvchan_request *request)
{
    const struct cuda_driver *native = cuda_native(request);
    int result = enter(request, native->cuCtxResetPersistingL2Cache, "cuCtxResetPersistingL2Cache");

    return result ? result : cuda_leave(cuda_lane_of(request), native->cuCtxResetPersistingL2Cache());
}

int
cuda_host_ctx_get_affinity(struct gpuvchan_request *request, int32_t kind, uint32_t *multiprocessors)
{
    const struct cuda_driver *native = cuda_native(request);
    int result = enter(request, native->cuCtxGetExecAffinity, "cuCtxGetExecAffinity");
    CUexecAffinityParam got = {0};

    if (result != 0)
        return result;
    result = native->cuCtxGetExecAffinity(&got, (CUexecAffinityType)kind);
    *multiprocessors = got.param.smCount.val;
    return cuda_leave(cuda_lane_of(request), result);
}
