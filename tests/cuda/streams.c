/* SPDX-License-Identifier: MIT */
/* Streams and events: order, waiting, times, and what is refused. */
#include "test.h"

static CUdeviceptr log_memory;
static uint32_t words[4097];

static CUresult
append(unsigned value, CUstream stream)
{
    void *parameters[] = {&log_memory, &value};

    return test_launch(test_kernel("append"), 1, 1, stream, parameters);
}

static bool
log_is(unsigned count, const unsigned *values)
{
    bool right;

    NEED(cuMemcpyDtoH_v2(words, log_memory, sizeof(words)));
    right = words[0] == count;
    for (unsigned i = 0; right && i < count; i++)
        right = words[i + 1] == (values ? values[i] : i);
    return right;
}

static void
log_clear(void)
{
    NEED(cuMemsetD8_v2(log_memory, 0, sizeof(words)));
    NEED(cuCtxSynchronize());
}

static void
order(void)
{
    CUstream first, second;
    CUevent event;
    bool good = true;

    NEED(cuStreamCreate(&first, CU_STREAM_NON_BLOCKING));
    NEED(cuStreamCreate(&second, CU_STREAM_NON_BLOCKING));
    NEED(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    log_clear();
    for (unsigned i = 0; i < 1000; i++)
        good &= append(i, first) == CUDA_SUCCESS;
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(first));
    ok(good && log_is(1000, NULL), "a stream keeps its order");
    log_clear();
    for (unsigned i = 0; i < 400; i++) {
        CUstream mine = i % 2 ? second : first, other = i % 2 ? first : second;

        good &= append(i, mine) == CUDA_SUCCESS && cuEventRecord(event, mine) == CUDA_SUCCESS &&
                cuStreamWaitEvent(other, event, 0) == CUDA_SUCCESS;
    }
    GIVES(CUDA_SUCCESS, cuCtxSynchronize());
    ok(good && log_is(400, NULL), "events keep it between two");
    GIVES(CUDA_SUCCESS, cuStreamDestroy_v2(first));
    GIVES(CUDA_SUCCESS, cuStreamDestroy_v2(second));
    GIVES(CUDA_SUCCESS, cuEventDestroy_v2(event));
}

static void
waiting(void)
{
    CUdeviceptr data;
    unsigned rounds = test_rounds(2000000);
    CUstream stream;
    CUevent event;
    uint32_t got = 0;
    CUresult result;
    void *parameters[] = {&data, &rounds};

    NEED(cuMemAlloc_v2(&data, 4));
    NEED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    NEED(cuEventCreate(&event, 0));
    GIVES(CUDA_SUCCESS, test_launch(test_kernel("busy"), 1, 1, stream, parameters));
    GIVES(CUDA_SUCCESS, cuEventRecord(event, stream));
    result = cuEventQuery(event);
    ok(result == CUDA_ERROR_NOT_READY || result == CUDA_SUCCESS, "an event of a busy stream may not be there");
    result = cuStreamQuery(stream);
    ok(result == CUDA_ERROR_NOT_READY || result == CUDA_SUCCESS, "and the stream may be busy");
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    GIVES(CUDA_SUCCESS, cuStreamQuery(stream));
    GIVES(CUDA_SUCCESS, cuEventQuery(event));
    GIVES(CUDA_SUCCESS, cuEventQuery(event));
    NEED(cuMemcpyDtoH_v2(&got, data, 4));
    ok(got == rounds, "waiting ends when the kernel does");
    GIVES(CUDA_SUCCESS, test_launch(test_kernel("busy"), 1, 1, stream, parameters));
    GIVES(CUDA_SUCCESS, cuEventRecord(event, stream));
    GIVES(CUDA_SUCCESS, cuEventSynchronize(event));
    GIVES(CUDA_SUCCESS, cuEventDestroy_v2(event));
    GIVES(CUDA_SUCCESS, cuStreamDestroy_v2(stream));
    GIVES(CUDA_SUCCESS, cuMemFree_v2(data));
}

static void
times(void)
{
    CUevent first, second, untimed;
    float milliseconds = -1;

    NEED(cuEventCreate(&first, 0));
    NEED(cuEventCreate(&second, 0));
    NEED(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    GIVES(CUDA_SUCCESS, cuEventQuery(first));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&milliseconds, first, second));
    GIVES(CUDA_SUCCESS, cuEventRecord(first, NULL));
    GIVES(CUDA_SUCCESS, append(0, NULL));
    GIVES(CUDA_SUCCESS, cuEventRecord(second, NULL));
    GIVES(CUDA_SUCCESS, cuEventRecord(untimed, NULL));
    GIVES(CUDA_SUCCESS, cuEventSynchronize(second));
    GIVES(CUDA_SUCCESS, cuEventElapsedTime(&milliseconds, first, second));
    ok(milliseconds >= 0 && milliseconds < 10000, "time passes");
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&milliseconds, first, untimed));
    NEED(cuEventDestroy_v2(first));
    NEED(cuEventDestroy_v2(second));
    NEED(cuEventDestroy_v2(untimed));
}

static void
kept(CUcontext context)
{
    CUstream stream;
    CUcontext found;
    unsigned flags = 99;
    int least, greatest, priority = 99;
    unsigned long long id = 0, other_id = 0;

    GIVES(CUDA_SUCCESS, cuCtxGetStreamPriorityRange(&least, &greatest));
    GIVES(CUDA_SUCCESS, cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, greatest - 100));
    GIVES(CUDA_SUCCESS, cuStreamGetPriority(stream, &priority));
    ok(priority == greatest, "priorities are kept within their range");
    GIVES(CUDA_SUCCESS, cuStreamGetFlags(stream, &flags));
    ok(flags == CU_STREAM_NON_BLOCKING, "flags are kept");
    GIVES(CUDA_SUCCESS, cuStreamGetCtx(stream, &found));
    ok(found == context, "and the context");
    GIVES(CUDA_SUCCESS, cuStreamGetId(stream, &id));
    GIVES(CUDA_SUCCESS, cuStreamGetId(NULL, &other_id));
    ok(id != other_id, "each has an id");
    GIVES(CUDA_SUCCESS, cuStreamDestroy_v2(stream));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuStreamCreate(&stream, 2));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuStreamCreate(NULL, 0));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuStreamDestroy_v2(NULL));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuStreamDestroy_v2(CU_STREAM_LEGACY));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuEventDestroy_v2(NULL));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(CU_STREAM_LEGACY));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(CU_STREAM_PER_THREAD));
}

static void
values(void)
{
    CUdeviceptr data;
    uint64_t got[2] = {0};

    NEED(cuMemAlloc_v2(&data, 16));
    NEED(cuMemsetD8_v2(data, 0, 16));
    GIVES(CUDA_SUCCESS, cuStreamWriteValue32_v2(NULL, data, 77, 0));
    GIVES(CUDA_SUCCESS, cuStreamWriteValue64_v2(NULL, data + 8, 0x123456789abcdef0, 0));
    NEED(cuMemcpyDtoH_v2(got, data, 16));
    ok(got[0] == 77 && got[1] == 0x123456789abcdef0, "streams write values");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuStreamWriteValue32_v2(NULL, data + 1, 1, 0));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuStreamWriteValue64_v2(NULL, data + 4, 1, 0));
    NEED(cuMemFree_v2(data));
}

int
main(void)
{
    CUcontext context = test_begin();

    NEED(cuMemAlloc_v2(&log_memory, sizeof(words)));
    order();
    waiting();
    log_clear();
    times();
    kept(context);
    values();
    NEED(cuMemFree_v2(log_memory));
    NEED(cuCtxDestroy_v2(context));
    return test_end();
}
