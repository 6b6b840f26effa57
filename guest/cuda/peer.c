/* SPDX-License-Identifier: MIT */
/* Several devices: who may reach whose memory, and copies between the memories of two contexts. */
#include "context.h"

/* ---- Two devices ----------------------------------------------------------------------------- */

/* A call that needs no context: the two devices, once cuInit() was called and @p out is there. */
static CUresult
pair_enter(struct cuda_guest_thread **self, const void *out, CUdevice first, CUdevice second,
           const struct cuda_guest_device *devices[2])
{
    CUresult result = cuda_guest_enter_outside(self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!out)
        return CUDA_ERROR_INVALID_VALUE;
    devices[0] = cuda_guest_device(first);
    devices[1] = cuda_guest_device(second);
    return devices[0] && devices[1] ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

ENTRY
cuDeviceCanAccessPeer(int *can, CUdevice number, CUdevice peer)
{
    const struct cuda_guest_device *devices[2];
    struct cuda_guest_thread *self;
    CUresult result = pair_enter(&self, can, number, peer, devices);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(
        cuda_peer_can_access_on(&cuda_guest.client, self->lane, devices[0]->ordinal, devices[1]->ordinal, can));
}

ENTRY
cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute attribute, CUdevice number, CUdevice peer)
{
    const struct cuda_guest_device *devices[2];
    struct cuda_guest_thread *self;
    CUresult result = pair_enter(&self, value, number, peer, devices);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_peer_attribute_on(&cuda_guest.client, self->lane, (int32_t)attribute,
                                                    devices[0]->ordinal, devices[1]->ordinal, value));
}

ENTRY
cuDeviceGetP2PAtomicCapabilities(unsigned int *capabilities, const CUatomicOperation *operations, unsigned int count,
                                 CUdevice number, CUdevice peer)
{
    const struct cuda_guest_device *devices[2];
    struct cuda_guest_thread *self;
    size_t answered = count;
    CUresult result = pair_enter(&self, capabilities, number, peer, devices);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_device_peer_atomics_on(&cuda_guest.client, self->lane, devices[0]->ordinal,
                                                         devices[1]->ordinal, (const int32_t *)operations, count,
                                                         capabilities, &answered));
}

/* ---- One device, asked for what is not kept -------------------------------------------------- */

ENTRY
cuDeviceGetHostAtomicCapabilities(unsigned int *capabilities, const CUatomicOperation *operations, unsigned int count,
                                  CUdevice number)
{
    const struct cuda_guest_device *devices[2];
    struct cuda_guest_thread *self;
    size_t answered = count;
    CUresult result = pair_enter(&self, capabilities, number, number, devices);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_device_host_atomics_on(&cuda_guest.client, self->lane, devices[0]->ordinal,
                                                         (const int32_t *)operations, count, capabilities, &answered));
}

ENTRY
cuDeviceGetLuid(char *luid, unsigned int *mask, CUdevice number)
{
    const struct cuda_guest_device *devices[2];
    struct cuda_guest_thread *self;
    size_t bytes = 8;
    CUresult result = pair_enter(&self, luid, number, number, devices);

    if (result != CUDA_SUCCESS)
        return result;
    if (!mask)
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_result(
        cuda_device_luid_on(&cuda_guest.client, self->lane, devices[0]->ordinal, (uint8_t *)luid, &bytes, mask));
}

ENTRY
cuDeviceGetTexture1DLinearMaxWidth(size_t *elements, CUarray_format format, unsigned channels, CUdevice number)
{
    const struct cuda_guest_device *devices[2];
    struct cuda_guest_thread *self;
    uint64_t most = 0;
    CUresult result = pair_enter(&self, elements, number, number, devices);

    if (result != CUDA_SUCCESS)
        return result;
    result = cuda_guest_result(cuda_device_linear_width_on(&cuda_guest.client, self->lane, devices[0]->ordinal,
                                                           (int32_t)format, channels, &most));
    if (result == CUDA_SUCCESS)
        *elements = most;
    return result;
}

ENTRY
cuFlushGPUDirectRDMAWrites(CUflushGPUDirectRDMAWritesTarget target, CUflushGPUDirectRDMAWritesScope scope)
{
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(
        cuda_flush_rdma_writes_on(&cuda_guest.client, self->lane, (int32_t)target, (int32_t)scope));
}

/* ---- Access ---------------------------------------------------------------------------------- */

ENTRY
cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags)
{
    struct cuda_guest_thread *self;
    uint32_t wire;
    CUresult result = cuda_guest_enter(&self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_context_wire(peer, &wire);
    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_peer_enable_on(&cuda_guest.client, self->lane, wire, flags));
}

ENTRY
cuCtxDisablePeerAccess(CUcontext peer)
{
    struct cuda_guest_thread *self;
    uint32_t wire;
    CUresult result = cuda_guest_enter(&self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_context_wire(peer, &wire);
    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_peer_disable_on(&cuda_guest.client, self->lane, wire));
}

/* ---- Copies ---------------------------------------------------------------------------------- */

struct peer_end {
    CUdeviceptr address;
    CUcontext context;
};

static CUresult
copy_peer(struct peer_end to, struct peer_end from, size_t bytes, CUstream stream, bool ordered)
{
    struct cuda_guest_thread *self;
    uint32_t wire, to_wire, from_wire;
    CUresult result = cuda_guest_enter(&self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_stream_wire(self, stream, &wire, NULL);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_context_wire(to.context, &to_wire);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_context_wire(from.context, &from_wire);
    if (result != CUDA_SUCCESS || bytes == 0)
        return result;
    result = cuda_guest_range_check(to.address, bytes);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_range_check(from.address, bytes);
    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_copy_peer_on(&cuda_guest.client, self->lane, to.address, to_wire, from.address,
                                               from_wire, bytes, ordered, wire));
}

ENTRY
cuMemcpyPeer(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t bytes)
{
    return copy_peer((struct peer_end){to, to_context}, (struct peer_end){from, from_context}, bytes, NULL, true);
}

ENTRY
cuMemcpyPeer_ptds(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t bytes)
{
    return copy_peer((struct peer_end){to, to_context}, (struct peer_end){from, from_context}, bytes,
                     CU_STREAM_PER_THREAD, false);
}

ENTRY
cuMemcpyPeerAsync(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t bytes,
                  CUstream stream)
{
    return copy_peer((struct peer_end){to, to_context}, (struct peer_end){from, from_context}, bytes, stream, false);
}

ENTRY
cuMemcpyPeerAsync_ptsz(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t bytes,
                       CUstream stream)
{
    return cuMemcpyPeerAsync(to, to_context, from, from_context, bytes, cuda_guest_per_thread(stream));
}

/* ---- What a guest is not told of ------------------------------------------------------------- */

ENTRY
cuDeviceRegisterAsyncNotification(CUdevice number, CUasyncCallback function, void *data, CUasyncCallbackHandle *handle)
{
    CUresult result = cuda_guest_ready();

    (void)data;
    if (result != CUDA_SUCCESS)
        return result;
    if (!cuda_guest_device(number))
        return CUDA_ERROR_INVALID_DEVICE;
    return function && handle ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
}

ENTRY
cuDeviceUnregisterAsyncNotification(CUdevice number, CUasyncCallbackHandle handle)
{
    CUresult result = cuda_guest_ready();

    (void)handle;
    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_device(number) ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_DEVICE;
}
