/* SPDX-License-Identifier: MIT */
/* Several devices: access from one to another's memory and copies between them, and what is asked of one now and then. */
#include "cuda_plugin.h"

/* ---- Questions ------------------------------------------------------------------------------- */

/* The driver's numbers of two devices. */
static int
device_pair(const struct cuda_driver *native, uint32_t first, uint32_t second, CUdevice numbers[2])
{
    int result;

    if (first >= (uint32_t)native->devices || second >= (uint32_t)native->devices)
        return CUDA_ERROR_INVALID_DEVICE;
    result = native->cuDeviceGet(&numbers[0], (int)first);
    return result == CUDA_SUCCESS ? (int)native->cuDeviceGet(&numbers[1], (int)second) : result;
}

int
cuda_host_peer_can_access(struct gpuvchan_request *request, uint32_t device, uint32_t peer, int32_t *can)
{
    const struct cuda_driver *native = cuda_native(request);
    CUdevice numbers[2];
    int result = device_pair(native, device, peer, numbers);

    return result ? result : (int)native->cuDeviceCanAccessPeer(can, numbers[0], numbers[1]);
}

int
cuda_host_peer_attribute(struct gpuvchan_request *request, int32_t attribute, uint32_t device, uint32_t peer,
                         int32_t *value)
{
    const struct cuda_driver *native = cuda_native(request);
    CUdevice numbers[2];
    int result = device_pair(native, device, peer, numbers);

    if (result != 0)
        return result;
    return native->cuDeviceGetP2PAttribute(value, (CUdevice_P2PAttribute)attribute, numbers[0], numbers[1]);
}

int
cuda_host_device_luid(struct gpuvchan_request *request, uint32_t device, uint8_t *luid, size_t *luid_count,
                      uint32_t *mask)
{
    const struct cuda_driver *native = cuda_native(request);
    CUdevice numbers[2];
    int result = device_pair(native, device, device, numbers);

    if (result != 0)
        return result;
    if (*luid_count < 8)
        return CUDA_ERROR_INVALID_VALUE;
    *luid_count = 8;
    return native->cuDeviceGetLuid ? (int)native->cuDeviceGetLuid((char *)luid, mask, numbers[0])
                                   : CUDA_ERROR_NOT_SUPPORTED;
}

int
cuda_host_device_linear_width(struct gpuvchan_request *request, uint32_t device, int32_t format, uint32_t channels,
                              uint64_t *elements)
{
    const struct cuda_driver *native = cuda_native(request);
    CUdevice numbers[2];
    size_t most = 0;
    int result = device_pair(native, device, device, numbers);

    if (result != 0)
        return result;
    if (!native->cuDeviceGetTexture1DLinearMaxWidth)
        return cuda_driver_lacks(native, "cuDeviceGetTexture1DLinearMaxWidth");
    result = native->cuDeviceGetTexture1DLinearMaxWidth(&most, (CUarray_format)format, channels, numbers[0]);
    *elements = most;
    return result;
}

int
cuda_host_device_host_atomics(struct gpuvchan_request *request, uint32_t device, const int32_t *operations,
                              size_t operations_count, uint32_t *capabilities, size_t *capabilities_count)
{
    const struct cuda_driver *native = cuda_native(request);
    CUdevice numbers[2];
    int result = device_pair(native, device, device, numbers);

    if (result != 0)
        return result;
    if (*capabilities_count < operations_count)
        return CUDA_ERROR_INVALID_VALUE;
    if (!native->cuDeviceGetHostAtomicCapabilities)
        return cuda_driver_lacks(native, "cuDeviceGetHostAtomicCapabilities");
    *capabilities_count = operations_count;
    return native->cuDeviceGetHostAtomicCapabilities(capabilities, (const CUatomicOperation *)operations,
                                                     (unsigned)operations_count, numbers[0]);
}

int
cuda_host_device_peer_atomics(struct gpuvchan_request *request, uint32_t device, uint32_t peer,
                              const int32_t *operations, size_t operations_count, uint32_t *capabilities,
                              size_t *capabilities_count)
{
    const struct cuda_driver *native = cuda_native(request);
    CUdevice numbers[2];
    int result = device_pair(native, device, peer, numbers);

    if (result != 0)
        return result;
    if (*capabilities_count < operations_count)
        return CUDA_ERROR_INVALID_VALUE;
    if (!native->cuDeviceGetP2PAtomicCapabilities)
        return cuda_driver_lacks(native, "cuDeviceGetP2PAtomicCapabilities");
    *capabilities_count = operations_count;
    return native->cuDeviceGetP2PAtomicCapabilities(capabilities, (const CUatomicOperation *)operations,
                                                    (unsigned)operations_count, numbers[0], numbers[1]);
}

int
cuda_host_flush_rdma_writes(struct gpuvchan_request *request, int32_t target, int32_t scope)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!native->cuFlushGPUDirectRDMAWrites)
        return cuda_driver_lacks(native, "cuFlushGPUDirectRDMAWrites");
    result = cuda_enter(lane, NULL, NULL);
    if (result != 0)
        return result;
    return cuda_leave(lane, native->cuFlushGPUDirectRDMAWrites((CUflushGPUDirectRDMAWritesTarget)target,
                                                               (CUflushGPUDirectRDMAWritesScope)scope));
}

/* ---- Access and copies ----------------------------------------------------------------------- */

int
cuda_host_peer_enable(struct gpuvchan_request *request, struct cuda_context *peer, uint32_t flags)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &peer->object, NULL);

    return result ? result : cuda_leave(lane, cuda_native(request)->cuCtxEnablePeerAccess(peer->native, flags));
}

int
cuda_host_peer_disable(struct gpuvchan_request *request, struct cuda_context *peer)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &peer->object, NULL);

    return result ? result : cuda_leave(lane, cuda_native(request)->cuCtxDisablePeerAccess(peer->native));
}

int
cuda_host_copy_peer(struct gpuvchan_request *request, CUdeviceptr to, struct cuda_context *to_context, CUdeviceptr from,
                    struct cuda_context *from_context, uint64_t bytes, bool ordered, struct cuda_stream *on)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &to_context->object, &from_context->object);

    if (result != 0)
        return result;
    if (on && !cuda_lane_announce(lane, CUDA_SLOT_THIRD, &on->object))
        result = CUDA_ERROR_INVALID_HANDLE;
    else if (bytes == 0)
        result = 0;
    else if (!cuda_lane_range(lane, 0, to, bytes) || !cuda_lane_range(lane, 1, from, bytes))
        result = CUDA_ERROR_INVALID_VALUE;
    else if (ordered)
        result = native->cuMemcpyPeer(to, to_context->native, from, from_context->native, bytes);
    else
        result = native->cuMemcpyPeerAsync(to, to_context->native, from, from_context->native, bytes,
                                           cuda_stream_native(on));
    return cuda_leave(lane, result);
}
