/* SPDX-License-Identifier: MIT */
/*
 * Waits for values in memory and writes of them, and attributes of streams: what names memory is checked here.
 *
 * The operations in a record are a private copy, and lie as the driver takes them.
 */
#include "cuda_plugin.h"

#include <string.h>

static bool
word_fits(struct cuda_lane *lane, CUdeviceptr address, uint64_t bytes)
{
    return address % bytes == 0 && cuda_lane_range(lane, 0, address, bytes) != NULL;
}

static bool
operation_fits(struct cuda_lane *lane, const CUstreamBatchMemOpParams *operation)
{
    switch (operation->operation) {
    case CU_STREAM_MEM_OP_WAIT_VALUE_32:
    case CU_STREAM_MEM_OP_WRITE_VALUE_32:
        return word_fits(lane, operation->writeValue.address, 4) && operation->writeValue.alias == 0;
    case CU_STREAM_MEM_OP_WAIT_VALUE_64:
    case CU_STREAM_MEM_OP_WRITE_VALUE_64:
        return word_fits(lane, operation->writeValue.address, 8) && operation->writeValue.alias == 0;
    case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
    case CU_STREAM_MEM_OP_BARRIER:
        return true;
    default:
        return false;
    }
}

/* Only one range can be announced at a time; the GPU finds the others where they are, or has a fault. */
bool
cuda_operations_fit(struct cuda_lane *lane, const CUstreamBatchMemOpParams *operations, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!operation_fits(lane, &operations[i]))
            return false;
    return true;
}

int
cuda_host_stream_wait_value(struct gpuvchan_request *request, struct cuda_stream *on, CUdeviceptr at, uint64_t value,
                            bool wide, uint32_t flags)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!native->cuStreamWaitValue32 || !native->cuStreamWaitValue64)
        return cuda_driver_lacks(native, "cuStreamWaitValue");
    result = cuda_enter(lane, on ? &on->object : NULL, NULL);
    if (result != 0)
        return result;
    if (!word_fits(lane, at, wide ? 8 : 4))
        result = CUDA_ERROR_INVALID_VALUE;
    else if (wide)
        result = native->cuStreamWaitValue64(cuda_stream_native(on), at, value, flags);
    else
        result = native->cuStreamWaitValue32(cuda_stream_native(on), at, (uint32_t)value, flags);
    return cuda_leave(lane, result);
}

int
cuda_host_stream_memory_operations(struct gpuvchan_request *request, struct cuda_stream *on, uint32_t flags,
                                   const CUstreamBatchMemOpParams *operations, size_t operations_count)
{
    const struct cuda_driver *native = cuda_native(request);
    CUstreamBatchMemOpParams copies[CUDA_STREAM_MEMORY_OPERATIONS_OPERATIONS_MAX];
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!native->cuStreamBatchMemOp)
        return cuda_driver_lacks(native, "cuStreamBatchMemOp");
    result = cuda_enter(lane, on ? &on->object : NULL, NULL);
    if (result != 0)
        return result;
    if (!cuda_operations_fit(lane, operations, operations_count))
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    memcpy(copies, operations, operations_count * sizeof(*copies)); /* the driver wants them not constant */
    return cuda_leave(lane,
                      native->cuStreamBatchMemOp(cuda_stream_native(on), (unsigned)operations_count, copies, flags));
}

/* ---- Attributes ------------------------------------------------------------------------------ */

bool
cuda_attribute_fits(struct cuda_lane *lane, int32_t attribute, const CUlaunchAttributeValue *value)
{
    switch (attribute) {
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
        return value->accessPolicyWindow.num_bytes == 0 ||
               cuda_lane_range(lane, 0, (uintptr_t)value->accessPolicyWindow.base_ptr,
                               value->accessPolicyWindow.num_bytes) != NULL;
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    case CU_LAUNCH_ATTRIBUTE_NVLINK_UTIL_CENTRIC_SCHEDULING:
        return true;
    default: /* there are handles in it, or nobody here knows what */
        return false;
    }
}

int
cuda_host_stream_get_attribute(struct gpuvchan_request *request, struct cuda_stream *on, int32_t attribute,
                               CUlaunchAttributeValue *value)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!native->cuStreamGetAttribute)
        return cuda_driver_lacks(native, "cuStreamGetAttribute");
    result = cuda_enter(lane, on ? &on->object : NULL, NULL);
    if (result != 0)
        return result;
    return cuda_leave(lane, native->cuStreamGetAttribute(cuda_stream_native(on), (CUstreamAttrID)attribute, value));
}

int
cuda_host_stream_set_attribute(struct gpuvchan_request *request, struct cuda_stream *on, int32_t attribute,
                               const CUlaunchAttributeValue *value)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!native->cuStreamSetAttribute)
        return cuda_driver_lacks(native, "cuStreamSetAttribute");
    result = cuda_enter(lane, on ? &on->object : NULL, NULL);
    if (result != 0)
        return result;
    if (!cuda_attribute_fits(lane, attribute, value))
        return cuda_leave(lane, CUDA_ERROR_INVALID_VALUE);
    return cuda_leave(lane, native->cuStreamSetAttribute(cuda_stream_native(on), (CUstreamAttrID)attribute, value));
}

int
cuda_host_stream_copy_attributes(struct gpuvchan_request *request, struct cuda_stream *to, struct cuda_stream *from)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!native->cuStreamCopyAttributes)
        return cuda_driver_lacks(native, "cuStreamCopyAttributes");
    result = cuda_enter(lane, to ? &to->object : NULL, from ? &from->object : NULL);
    if (result != 0)
        return result;
    return cuda_leave(lane, native->cuStreamCopyAttributes(cuda_stream_native(to), cuda_stream_native(from)));
}

/* ---- A context's events ---------------------------------------------------------------------- */

int
cuda_host_ctx_record_event(struct gpuvchan_request *request, struct cuda_event *which)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!native->cuCtxRecordEvent)
        return cuda_driver_lacks(native, "cuCtxRecordEvent");
    result = cuda_enter(lane, &which->object, NULL);
    return result ? result : cuda_leave(lane, native->cuCtxRecordEvent(cuda_lane_native(lane), which->native));
}

int
cuda_host_ctx_wait_event(struct gpuvchan_request *request, struct cuda_event *after)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    int result;

    if (!native->cuCtxWaitEvent)
        return cuda_driver_lacks(native, "cuCtxWaitEvent");
    result = cuda_enter(lane, &after->object, NULL);
    return result ? result : cuda_leave(lane, native->cuCtxWaitEvent(cuda_lane_native(lane), after->native));
}
