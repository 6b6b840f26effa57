/* SPDX-License-Identifier: MIT */
/*
 * Streams: writing values to memory and waiting for them, lists of such operations, attributes; and what contexts
 * have of the kind.
 */
#include <string.h>

#include "context.h"

/* ---- Values in memory ------------------------------------------------------------------------ */

static CUresult
wait_value(CUstream stream, CUdeviceptr at, uint64_t value, bool is_wide, unsigned flags)
{
    struct cuda_guest_thread *self;
    unsigned bytes = is_wide ? 8 : 4;
    uint32_t wire;
    CUresult result = cuda_guest_stream_enter(stream, &self, &wire);

    if (result != CUDA_SUCCESS)
        return result;
    if (at % bytes != 0 || flags & ~(3u | CU_STREAM_WAIT_VALUE_FLUSH))
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_range_check(at, bytes);
    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(
        cuda_stream_wait_value_on(&cuda_guest.client, self->lane, wire, at, value, is_wide, flags));
}

ENTRY
cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr at, cuuint32_t value, unsigned int flags)
{
    return wait_value(stream, at, value, false, flags);
}
ENTRY_ALIAS(cuStreamWaitValue32, cuStreamWaitValue32_v2);

ENTRY
cuStreamWaitValue32_v2_ptsz(CUstream stream, CUdeviceptr at, cuuint32_t value, unsigned int flags)
{
    return wait_value(cuda_guest_per_thread(stream), at, value, false, flags);
}
ENTRY_ALIAS(cuStreamWaitValue32_ptsz, cuStreamWaitValue32_v2_ptsz);

ENTRY
cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr at, cuuint64_t value, unsigned int flags)
{
    return wait_value(stream, at, value, true, flags);
}
ENTRY_ALIAS(cuStreamWaitValue64, cuStreamWaitValue64_v2);

ENTRY
cuStreamWaitValue64_v2_ptsz(CUstream stream, CUdeviceptr at, cuuint64_t value, unsigned int flags)
{
    return wait_value(cuda_guest_per_thread(stream), at, value, true, flags);
}
ENTRY_ALIAS(cuStreamWaitValue64_ptsz, cuStreamWaitValue64_v2_ptsz);

static CUresult
write_value(CUstream stream, CUdeviceptr to, uint64_t value, bool is_wide, unsigned flags)
{
    struct cuda_guest_thread *self;
    unsigned bytes = is_wide ? 8 : 4;
    uint32_t wire;
    CUresult result = cuda_guest_stream_enter(stream, &self, &wire);

    if (result != CUDA_SUCCESS)
        return result;
    if (to % bytes != 0 || flags & ~(unsigned)CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_range_check(to, bytes);
    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(
        cuda_stream_write_value_on(&cuda_guest.client, self->lane, wire, to, value, is_wide, flags));
}

ENTRY
cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr to, cuuint32_t value, unsigned int flags)
{
    return write_value(stream, to, value, false, flags);
}
ENTRY_ALIAS(cuStreamWriteValue32, cuStreamWriteValue32_v2);

ENTRY
cuStreamWriteValue32_v2_ptsz(CUstream stream, CUdeviceptr to, cuuint32_t value, unsigned int flags)
{
    return write_value(cuda_guest_per_thread(stream), to, value, false, flags);
}
ENTRY_ALIAS(cuStreamWriteValue32_ptsz, cuStreamWriteValue32_v2_ptsz);

ENTRY
cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr to, cuuint64_t value, unsigned int flags)
{
    return write_value(stream, to, value, true, flags);
}
ENTRY_ALIAS(cuStreamWriteValue64, cuStreamWriteValue64_v2);

ENTRY
cuStreamWriteValue64_v2_ptsz(CUstream stream, CUdeviceptr to, cuuint64_t value, unsigned int flags)
{
    return write_value(cuda_guest_per_thread(stream), to, value, true, flags);
}
ENTRY_ALIAS(cuStreamWriteValue64_ptsz, cuStreamWriteValue64_v2_ptsz);

static CUresult
operation_check(const CUstreamBatchMemOpParams *operation)
{
    switch (operation->operation) {
    case CU_STREAM_MEM_OP_WAIT_VALUE_32:
    case CU_STREAM_MEM_OP_WRITE_VALUE_32:
        return cuda_guest_range_check(operation->writeValue.address, 4);
    case CU_STREAM_MEM_OP_WAIT_VALUE_64:
    case CU_STREAM_MEM_OP_WRITE_VALUE_64:
        return cuda_guest_range_check(operation->writeValue.address, 8);
    case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
    case CU_STREAM_MEM_OP_BARRIER:
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

ENTRY
cuStreamBatchMemOp_v2(CUstream stream, unsigned int count, CUstreamBatchMemOpParams *operations, unsigned int flags)
{
    struct cuda_guest_thread *self;
    uint32_t wire;
    CUresult result = cuda_guest_stream_enter(stream, &self, &wire);

    if (result != CUDA_SUCCESS)
        return result;
    if (!operations || flags != 0 || count > CUDA_STREAM_MEMORY_OPERATIONS_OPERATIONS_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count && result == CUDA_SUCCESS; i++)
        result = operation_check(&operations[i]);
    if (result != CUDA_SUCCESS || count == 0)
        return result;
    return cuda_guest_result(
        cuda_stream_memory_operations_on(&cuda_guest.client, self->lane, wire, flags, operations, count));
}
ENTRY_ALIAS(cuStreamBatchMemOp, cuStreamBatchMemOp_v2);

ENTRY
cuStreamBatchMemOp_v2_ptsz(CUstream stream, unsigned int count, CUstreamBatchMemOpParams *operations,
                           unsigned int flags)
{
    return cuStreamBatchMemOp_v2(cuda_guest_per_thread(stream), count, operations, flags);
}
ENTRY_ALIAS(cuStreamBatchMemOp_ptsz, cuStreamBatchMemOp_v2_ptsz);

/* Memory that is not managed the host's driver refuses. */
ENTRY
cuStreamAttachMemAsync(CUstream stream, CUdeviceptr address, size_t bytes, unsigned int flags)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_range range;
    uint32_t wire;
    CUresult result = cuda_guest_stream_enter(stream, &self, &wire);

    if (result != CUDA_SUCCESS)
        return result;
    if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST && flags != CU_MEM_ATTACH_SINGLE)
        return CUDA_ERROR_INVALID_VALUE;
    if (!cuda_guest_range_find(address, &range) || range.kind != CUDA_GUEST_MANAGED || range.start != address ||
        (bytes != 0 && bytes != range.bytes))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

ENTRY
cuStreamAttachMemAsync_ptsz(CUstream stream, CUdeviceptr address, size_t bytes, unsigned int flags)
{
    return cuStreamAttachMemAsync(cuda_guest_per_thread(stream), address, bytes, flags);
}

/* ---- Attributes ------------------------------------------------------------------------------ */

ENTRY
cuStreamGetAttribute(CUstream stream, CUstreamAttrID attribute, CUstreamAttrValue *value)
{
    struct cuda_guest_thread *self;
    uint32_t wire;
    CUresult result = cuda_guest_stream_enter(stream, &self, &wire);

    if (result != CUDA_SUCCESS)
        return result;
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_result(
        cuda_stream_get_attribute_on(&cuda_guest.client, self->lane, wire, (int32_t)attribute, value));
}

ENTRY
cuStreamGetAttribute_ptsz(CUstream stream, CUstreamAttrID attribute, CUstreamAttrValue *value)
{
    return cuStreamGetAttribute(cuda_guest_per_thread(stream), attribute, value);
}

ENTRY
cuStreamSetAttribute(CUstream stream, CUstreamAttrID attribute, const CUstreamAttrValue *value)
{
    struct cuda_guest_thread *self;
    uint32_t wire;
    CUresult result = cuda_guest_stream_enter(stream, &self, &wire);

    if (result != CUDA_SUCCESS)
        return result;
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_result(
        cuda_stream_set_attribute_on(&cuda_guest.client, self->lane, wire, (int32_t)attribute, value));
}

ENTRY
cuStreamSetAttribute_ptsz(CUstream stream, CUstreamAttrID attribute, const CUstreamAttrValue *value)
{
    return cuStreamSetAttribute(cuda_guest_per_thread(stream), attribute, value);
}

ENTRY
cuStreamCopyAttributes(CUstream to, CUstream from)
{
    struct cuda_guest_thread *self;
    uint32_t wire, source;
    CUresult result = cuda_guest_stream_enter(to, &self, &wire);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_stream_wire(self, from, &source, NULL);
    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_stream_copy_attributes_on(&cuda_guest.client, self->lane, wire, source));
}

ENTRY
cuStreamCopyAttributes_ptsz(CUstream to, CUstream from)
{
    return cuStreamCopyAttributes(cuda_guest_per_thread(to), cuda_guest_per_thread(from));
}

/* ---- What is kept ---------------------------------------------------------------------------- */

ENTRY
cuStreamGetDevice(CUstream stream, CUdevice *device)
{
    struct cuda_guest_context *context = NULL;
    struct cuda_guest_thread *self;
    uint32_t wire;
    CUresult result = cuda_guest_enter(&self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_stream_wire(self, stream, &wire, &context);
    if (result == CUDA_SUCCESS && !device)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *device = context->device;
    return result;
}

ENTRY
cuStreamGetDevice_ptsz(CUstream stream, CUdevice *device)
{
    return cuStreamGetDevice(cuda_guest_per_thread(stream), device);
}

/* ---- Contexts -------------------------------------------------------------------------------- */

/* Work of a context other than the current one is done in that for a moment. */
static CUresult
context_event(CUcontext handle, CUevent event_handle, uint32_t *wire, struct cuda_guest_thread **self)
{
    struct cuda_guest_context *context;
    struct cuda_guest_event *event;
    CUresult result = cuda_guest_enter(self);

    if (result != CUDA_SUCCESS)
        return result;
    context = handle ? cuda_guest_context_find(handle) : cuda_guest_view(*self);
    event = cuda_guest_find(event_handle, CUDA_HANDLE_EVENT);
    if (!context || !event)
        return context ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_CONTEXT;
    *wire = event->object.handle;
    return cuda_guest_tell(*self, atomic_load(&context->wire));
}

ENTRY
cuCtxRecordEvent(CUcontext context, CUevent event)
{
    struct cuda_guest_thread *self;
    uint32_t wire;
    CUresult result = context_event(context, event, &wire, &self);

    if (result == CUDA_SUCCESS)
        cuda_guest_event_elsewhere(cuda_guest_find(event, CUDA_HANDLE_EVENT));
    return result == CUDA_SUCCESS ? cuda_guest_result(cuda_ctx_record_event_on(&cuda_guest.client, self->lane, wire))
                                  : result;
}

ENTRY
cuCtxWaitEvent(CUcontext context, CUevent event)
{
    struct cuda_guest_thread *self;
    uint32_t wire;
    CUresult result = context_event(context, event, &wire, &self);

    return result == CUDA_SUCCESS ? cuda_guest_result(cuda_ctx_wait_event_on(&cuda_guest.client, self->lane, wire))
                                  : result;
}

/* Nobody profiles a guest's process, and then NVIDIA's driver says success as well. */
ENTRY
cuProfilerStart(void)
{
    struct cuda_guest_thread *self;

    return cuda_guest_enter(&self);
}

ENTRY
cuProfilerStop(void)
{
    struct cuda_guest_thread *self;

    return cuda_guest_enter(&self);
}

/* Output files of a profiler that CUDA has given up. */
ENTRY
cuProfilerInitialize(const char *config, const char *output, int mode)
{
    CUresult result = cuda_guest_ready();

    (void)config;
    (void)output;
    (void)mode;
    return result == CUDA_SUCCESS ? CUDA_ERROR_NOT_SUPPORTED : result;
}
