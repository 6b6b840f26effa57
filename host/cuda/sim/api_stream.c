/* SPDX-License-Identifier: MIT */
/*
 * Streams and events. Work is done when its call returns, so a stream is always
 * idle and an event, once recorded, has happened; times are real.
 */
#include "graph.h"

#include <stdlib.h>

/* Lock, and a stream that is there. */
static CUresult
enter_stream(CUstream handle, struct sim_context **context)
{
    CUresult result = sim_enter(context);

    if (result)
        return result;
    result = sim_stream_check(handle);
    return result ? sim_end(result) : CUDA_SUCCESS;
}

/* NULL for the streams that every context has. */
static struct sim_stream *
stream_of(CUstream handle)
{
    return sim_object_find(handle, OBJECT_STREAM);
}

SIM_EXPORT CUresult
cuStreamCreateWithPriority(CUstream *handle, unsigned int flags, int priority)
{
    struct sim_context *context;
    struct sim_stream *stream;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!handle || flags & ~(unsigned int)CU_STREAM_NON_BLOCKING)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    stream = calloc(1, sizeof *stream);
    if (!stream || !sim_object_add(&stream->object, OBJECT_STREAM, context)) {
        free(stream);
        return sim_end(CUDA_ERROR_OUT_OF_MEMORY);
    }
    stream->view = sim_view();
    stream->flags = flags;
    stream->priority = priority > 0 ? 0 : priority < -5 ? -5 : priority;
    stream->id = sim_driver.next_id++;
    *handle = (CUstream)stream;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuStreamCreate(CUstream *handle, unsigned int flags)
{
    return cuStreamCreateWithPriority(handle, flags, 0);
}

SIM_EXPORT CUresult
cuStreamDestroy_v2(CUstream handle)
{
    struct sim_context *context;
    struct sim_stream *stream;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    stream = stream_of(handle);
    if (!stream)
        return sim_end(CUDA_ERROR_INVALID_HANDLE);
    if (!stream->view)
        return sim_end(CUDA_ERROR_CONTEXT_IS_DESTROYED);
    sim_object_remove(&stream->object);
    free(stream);
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuStreamDestroy, cuStreamDestroy_v2);

SIM_EXPORT CUresult
cuStreamQuery(CUstream handle)
{
    struct sim_context *context;
    CUresult result = enter_stream(handle, &context);
    struct sim_track *track;

    if (result)
        return result;
    track = sim_captured(handle);
    return sim_end(track ? sim_capture_refuse(track) : CUDA_SUCCESS);
}
SIM_SYNONYM(cuStreamQuery_ptsz, cuStreamQuery);

SIM_EXPORT CUresult
cuStreamSynchronize(CUstream handle)
{
    return cuStreamQuery(handle);
}
SIM_SYNONYM(cuStreamSynchronize_ptsz, cuStreamSynchronize);

SIM_EXPORT CUresult
cuStreamWaitEvent(CUstream handle, CUevent event, unsigned int flags)
{
    struct sim_context *context;
    CUresult result = enter_stream(handle, &context);

    if (result)
        return result;
    if (flags & ~(unsigned int)CU_EVENT_WAIT_EXTERNAL)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    if (!sim_object_find(event, OBJECT_EVENT))
        return sim_end(CUDA_ERROR_INVALID_HANDLE);
    if (flags & CU_EVENT_WAIT_EXTERNAL && sim_captured(handle)) {
        CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_WAIT_EVENT};

        params.eventWait.event = event;
        return sim_end(sim_capture(sim_captured(handle), &params));
    }
    sim_capture_wait(handle, sim_object_find(event, OBJECT_EVENT), &result);
    return sim_end(result);
}
SIM_SYNONYM(cuStreamWaitEvent_ptsz, cuStreamWaitEvent);

SIM_EXPORT CUresult
cuStreamGetFlags(CUstream handle, unsigned int *flags)
{
    struct sim_context *context;
    CUresult result = enter_stream(handle, &context);

    if (result)
        return result;
    if (!flags)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *flags = stream_of(handle) ? stream_of(handle)->flags : 0;
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuStreamGetFlags_ptsz, cuStreamGetFlags);

SIM_EXPORT CUresult
cuStreamGetPriority(CUstream handle, int *priority)
{
    struct sim_context *context;
    CUresult result = enter_stream(handle, &context);

    if (result)
        return result;
    if (!priority)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *priority = stream_of(handle) ? stream_of(handle)->priority : 0;
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuStreamGetPriority_ptsz, cuStreamGetPriority);

SIM_EXPORT CUresult
cuStreamGetDevice(CUstream handle, CUdevice *device)
{
    struct sim_context *context;
    CUresult result = enter_stream(handle, &context);

    if (result)
        return result;
    if (!device)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *device = stream_of(handle) ? stream_of(handle)->object.context->device : context->device;
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuStreamGetDevice_ptsz, cuStreamGetDevice);

SIM_EXPORT CUresult
cuStreamGetId(CUstream handle, unsigned long long *id)
{
    struct sim_context *context;
    CUresult result = enter_stream(handle, &context);

    if (result)
        return result;
    if (!id)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    /* the default stream is 1 by either name, the thread's own is 2 */
    *id = stream_of(handle) ? stream_of(handle)->id + 2 : handle == CU_STREAM_PER_THREAD ? 2 : 1;
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuStreamGetId_ptsz, cuStreamGetId);

SIM_EXPORT CUresult
cuStreamAttachMemAsync(CUstream handle, CUdeviceptr address, size_t length, unsigned int flags)
{
    struct sim_context *context;
    struct range range;
    CUresult result = enter_stream(handle, &context);

    (void)length;
    (void)flags;
    if (result)
        return result;
    return sim_end(sim_memory_range(sim_driver.memory, address, &range) && range.kind == RANGE_MANAGED
                       ? CUDA_SUCCESS
                       : CUDA_ERROR_INVALID_VALUE);
}
SIM_SYNONYM(cuStreamAttachMemAsync_ptsz, cuStreamAttachMemAsync);

/* The program's functions run at once, without the lock, in the caller's thread. */
SIM_EXPORT CUresult
cuLaunchHostFunc(CUstream handle, CUhostFn fn, void *data)
{
    struct sim_context *context;
    CUresult result = enter_stream(handle, &context);

    if (result)
        return result;
    if (fn && sim_captured(handle)) {
        CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_HOST};

        params.host.fn = fn;
        params.host.userData = data;
        return sim_end(sim_capture(sim_captured(handle), &params));
    }
    sim_end(CUDA_SUCCESS);
    if (!fn)
        return CUDA_ERROR_INVALID_VALUE;
    fn(data);
    return CUDA_SUCCESS;
}
SIM_SYNONYM(cuLaunchHostFunc_ptsz, cuLaunchHostFunc);

SIM_EXPORT CUresult
cuStreamAddCallback(CUstream handle, CUstreamCallback fn, void *data, unsigned int flags)
{
    struct sim_context *context;
    CUresult result = enter_stream(handle, &context);

    if (result)
        return result;
    if (sim_captured(handle))
        return sim_end(sim_capture_refuse(sim_captured(handle)));
    sim_end(CUDA_SUCCESS);
    if (!fn || flags)
        return CUDA_ERROR_INVALID_VALUE;
    fn(handle, CUDA_SUCCESS, data);
    return CUDA_SUCCESS;
}
SIM_SYNONYM(cuStreamAddCallback_ptsz, cuStreamAddCallback);

/* Values in memory. */

static void *
word_at(CUdeviceptr address, size_t size)
{
    uintptr_t start;
    size_t range;

    if (address % size || !sim_memory_find(sim_driver.memory, address, size, &start, &range))
        return NULL;
    return (void *)(uintptr_t)address;
}

static CUresult
capture_value(CUstream stream, CUstreamBatchMemOpType type, CUdeviceptr address, uint64_t value, unsigned int flags)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP};
    CUstreamBatchMemOpParams operation = {.writeValue = {.operation = type, .address = address, .flags = flags}};

    operation.writeValue.value64 = value;
    params.memOp.count = 1;
    params.memOp.paramArray = &operation;
    return sim_capture(sim_captured(stream), &params);
}

static CUresult
write_value(CUstream handle, CUdeviceptr address, uint64_t value, size_t size, unsigned int flags)
{
    struct sim_context *context;
    CUresult result = enter_stream(handle, &context);
    void *word;

    if (result)
        return result;
    word = word_at(address, size);
    if (!word || flags & ~(unsigned int)CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    if (sim_captured(handle))
        return sim_end(capture_value(handle,
                                     size == 4 ? CU_STREAM_MEM_OP_WRITE_VALUE_32 : CU_STREAM_MEM_OP_WRITE_VALUE_64,
                                     address, value, flags));
    if (size == 4)
        __atomic_store_n((uint32_t *)word, (uint32_t)value, __ATOMIC_RELEASE);
    else
        __atomic_store_n((uint64_t *)word, value, __ATOMIC_RELEASE);
    return sim_end(CUDA_SUCCESS);
}

static bool
holds(uint64_t now, uint64_t value, size_t size, unsigned int flags)
{
    switch (flags & 3) {
    case CU_STREAM_WAIT_VALUE_GEQ:
        return size == 4 ? (int32_t)((uint32_t)now - (uint32_t)value) >= 0 : (int64_t)(now - value) >= 0;
    case CU_STREAM_WAIT_VALUE_EQ:
        return now == value;
    case CU_STREAM_WAIT_VALUE_AND:
        return (now & value) != 0;
    default:
        return size == 4 ? (uint32_t) ~(now | value) != 0 : ~(now | value) != 0;
    }
}

/* A wait that is not over already would never end: the device has one queue. */
static CUresult
wait_value(CUstream handle, CUdeviceptr address, uint64_t value, size_t size, unsigned int flags)
{
    struct sim_context *context;
    CUresult result = enter_stream(handle, &context);
    uint64_t now;
    void *word;

    if (result)
        return result;
    word = word_at(address, size);
    if (!word || flags & ~(3u | CU_STREAM_WAIT_VALUE_FLUSH))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    if (sim_captured(handle))
        return sim_end(capture_value(handle,
                                     size == 4 ? CU_STREAM_MEM_OP_WAIT_VALUE_32 : CU_STREAM_MEM_OP_WAIT_VALUE_64,
                                     address, value, flags));
    now = size == 4 ? __atomic_load_n((uint32_t *)word, __ATOMIC_ACQUIRE)
                    : __atomic_load_n((uint64_t *)word, __ATOMIC_ACQUIRE);
    return sim_end(holds(now, value, size, flags) ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED);
}

SIM_EXPORT CUresult
cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags)
{
    return write_value(stream, address, value, 4, flags);
}
SIM_SYNONYM(cuStreamWriteValue32, cuStreamWriteValue32_v2);
SIM_SYNONYM(cuStreamWriteValue32_ptsz, cuStreamWriteValue32_v2);
SIM_SYNONYM(cuStreamWriteValue32_v2_ptsz, cuStreamWriteValue32_v2);

SIM_EXPORT CUresult
cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags)
{
    return write_value(stream, address, value, 8, flags);
}
SIM_SYNONYM(cuStreamWriteValue64, cuStreamWriteValue64_v2);
SIM_SYNONYM(cuStreamWriteValue64_ptsz, cuStreamWriteValue64_v2);
SIM_SYNONYM(cuStreamWriteValue64_v2_ptsz, cuStreamWriteValue64_v2);

SIM_EXPORT CUresult
cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags)
{
    return wait_value(stream, address, value, 4, flags);
}
SIM_SYNONYM(cuStreamWaitValue32, cuStreamWaitValue32_v2);
SIM_SYNONYM(cuStreamWaitValue32_ptsz, cuStreamWaitValue32_v2);
SIM_SYNONYM(cuStreamWaitValue32_v2_ptsz, cuStreamWaitValue32_v2);

SIM_EXPORT CUresult
cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags)
{
    return wait_value(stream, address, value, 8, flags);
}
SIM_SYNONYM(cuStreamWaitValue64, cuStreamWaitValue64_v2);
SIM_SYNONYM(cuStreamWaitValue64_ptsz, cuStreamWaitValue64_v2);
SIM_SYNONYM(cuStreamWaitValue64_v2_ptsz, cuStreamWaitValue64_v2);

static CUresult
batch_op(CUstream stream, const CUstreamBatchMemOpParams *op)
{
    switch (op->operation) {
    case CU_STREAM_MEM_OP_WAIT_VALUE_32:
        return wait_value(stream, op->waitValue.address, op->waitValue.value, 4, op->waitValue.flags);
    case CU_STREAM_MEM_OP_WAIT_VALUE_64:
        return wait_value(stream, op->waitValue.address, op->waitValue.value64, 8, op->waitValue.flags);
    case CU_STREAM_MEM_OP_WRITE_VALUE_32:
        return write_value(stream, op->writeValue.address, op->writeValue.value, 4, op->writeValue.flags);
    case CU_STREAM_MEM_OP_WRITE_VALUE_64:
        return write_value(stream, op->writeValue.address, op->writeValue.value64, 8, op->writeValue.flags);
    case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
    case CU_STREAM_MEM_OP_BARRIER:
        return cuStreamQuery(stream);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

SIM_EXPORT CUresult
cuStreamBatchMemOp_v2(CUstream stream, unsigned int count, CUstreamBatchMemOpParams *ops, unsigned int flags)
{
    CUresult result = CUDA_SUCCESS;
    unsigned int i;

    if (!ops || flags || count > 256)
        return CUDA_ERROR_INVALID_VALUE;
    for (i = 0; i < count && !result; i++)
        result = batch_op(stream, &ops[i]);
    return result;
}
SIM_SYNONYM(cuStreamBatchMemOp, cuStreamBatchMemOp_v2);
SIM_SYNONYM(cuStreamBatchMemOp_ptsz, cuStreamBatchMemOp_v2);
SIM_SYNONYM(cuStreamBatchMemOp_v2_ptsz, cuStreamBatchMemOp_v2);

/* Events. */

#define EVENT_FLAGS (CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS)

SIM_EXPORT CUresult
cuEventCreate(CUevent *handle, unsigned int flags)
{
    struct sim_context *context;
    struct sim_event *event;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!handle || flags & ~(unsigned int)EVENT_FLAGS)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    event = calloc(1, sizeof *event);
    if (!event || !sim_object_add(&event->object, OBJECT_EVENT, context)) {
        free(event);
        return sim_end(CUDA_ERROR_OUT_OF_MEMORY);
    }
    event->flags = flags;
    *handle = (CUevent)event;
    return sim_end(CUDA_SUCCESS);
}

static CUresult
enter_event(CUevent handle, struct sim_event **event)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    *event = sim_object_find(handle, OBJECT_EVENT);
    return *event ? CUDA_SUCCESS : sim_end(CUDA_ERROR_INVALID_HANDLE);
}

SIM_EXPORT CUresult
cuEventRecordWithFlags(CUevent handle, CUstream stream, unsigned int flags)
{
    struct sim_event *event;
    CUresult result = enter_event(handle, &event);

    if (result)
        return result;
    result = sim_stream_check(stream);
    if (!result && flags & ~(unsigned int)CU_EVENT_RECORD_EXTERNAL)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result && sim_captured(stream)) {
        CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_EVENT_RECORD};

        params.eventRecord.event = handle;
        return sim_end(flags ? sim_capture(sim_captured(stream), &params)
                             : sim_capture_record(sim_captured(stream), event));
    }
    if (!result) {
        free(event->object.payload);
        event->object.payload = NULL;
        event->recorded = true;
        event->nanoseconds = sim_now();
    }
    return sim_end(result);
}
SIM_SYNONYM(cuEventRecordWithFlags_ptsz, cuEventRecordWithFlags);

SIM_EXPORT CUresult
cuEventRecord(CUevent handle, CUstream stream)
{
    return cuEventRecordWithFlags(handle, stream, 0);
}
SIM_SYNONYM(cuEventRecord_ptsz, cuEventRecord);

SIM_EXPORT CUresult
cuEventQuery(CUevent handle)
{
    struct sim_event *event;
    CUresult result = enter_event(handle, &event);

    return result ? result : sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuEventSynchronize(CUevent handle)
{
    return cuEventQuery(handle);
}

SIM_EXPORT CUresult
cuEventDestroy_v2(CUevent handle)
{
    struct sim_event *event;
    CUresult result = enter_event(handle, &event);

    if (result)
        return result;
    sim_object_remove(&event->object);
    free(event->object.payload);
    free(event);
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuEventDestroy, cuEventDestroy_v2);

SIM_EXPORT CUresult
cuEventElapsedTime_v2(float *milliseconds, CUevent from, CUevent to)
{
    struct sim_event *start, *end;
    CUresult result = enter_event(from, &start);

    if (result)
        return result;
    end = sim_object_find(to, OBJECT_EVENT);
    if (!end || !start->recorded || !end->recorded || (start->flags | end->flags) & CU_EVENT_DISABLE_TIMING)
        return sim_end(CUDA_ERROR_INVALID_HANDLE);
    if (!milliseconds)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *milliseconds = (float)((double)(int64_t)(end->nanoseconds - start->nanoseconds) / 1e6);
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuEventElapsedTime, cuEventElapsedTime_v2);
