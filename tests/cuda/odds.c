/* SPDX-License-Identifier: MIT */
/* Streams and contexts: attributes, what is kept of them, events of whole contexts, and old settings. */
#include "test.h"

CUresult cuProfilerStart(void);
CUresult cuProfilerStop(void);

static void
attributes(CUstream first, CUstream second)
{
    CUstreamAttrValue value;

    memset(&value, 0, sizeof(value));
    value.syncPolicy = CU_SYNC_POLICY_SPIN;
    GIVES(CUDA_SUCCESS, cuStreamSetAttribute(first, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
    value.syncPolicy = (CUsynchronizationPolicy)0;
    GIVES(CUDA_SUCCESS, cuStreamGetAttribute(first, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
    ok(value.syncPolicy == CU_SYNC_POLICY_SPIN, "a stream has what was set");
    value.syncPolicy = (CUsynchronizationPolicy)0;
    GIVES(CUDA_SUCCESS, cuStreamCopyAttributes(second, first));
    GIVES(CUDA_SUCCESS, cuStreamGetAttribute(second, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
    ok(value.syncPolicy == CU_SYNC_POLICY_SPIN, "and another one what was copied");
    GIVES(CUDA_ERROR_INVALID_VALUE,
          cuStreamSetAttribute(first, CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE, &value));
}

static void
kept(CUcontext context, CUstream stream)
{
    CUgreenCtx green = (CUgreenCtx)1;
    CUcontext got = NULL;
    CUdevice device = -1;

    GIVES(CUDA_SUCCESS, cuStreamGetCtx_v2(stream, &got, &green));
    ok(got == context && green == NULL, "a stream knows its context");
    GIVES(CUDA_SUCCESS, cuStreamGetDevice(stream, &device));
    ok(device == 0, "and its device");
}

static void
contexts(CUcontext context, CUstream stream)
{
    CUdeviceptr data;
    CUevent event;
    unsigned rounds = test_rounds(200000);
    void *parameters[] = {&data, &rounds};
    uint32_t got = 0;

    NEED(cuMemAlloc_v2(&data, 4));
    NEED(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    NEED(test_launch(test_kernel("busy"), 1, 1, stream, parameters));
    GIVES(CUDA_SUCCESS, cuCtxRecordEvent(context, event));
    GIVES(CUDA_SUCCESS, cuCtxWaitEvent(context, event));
    GIVES(CUDA_SUCCESS, cuEventSynchronize(event));
    GIVES(CUDA_SUCCESS, cuStreamQuery(stream));
    NEED(cuMemcpyDtoH_v2(&got, data, 4));
    ok(got == rounds, "an event of a context stands behind all its streams");
    GIVES(CUDA_SUCCESS, cuProfilerStart());
    GIVES(CUDA_SUCCESS, cuProfilerStop());
    GIVES(CUDA_SUCCESS, cuCtxResetPersistingL2Cache());
    NEED(cuEventDestroy_v2(event));
    NEED(cuMemFree_v2(data));
}

/* What the program writes the stream has been waiting for. */
static void
values(CUstream stream)
{
    CUdeviceptr word;
    uint32_t got[2] = {0};

    NEED(cuMemAlloc_v2(&word, 8));
    GIVES(CUDA_SUCCESS, cuStreamWriteValue32_v2(stream, word, 5, 0));
    GIVES(CUDA_SUCCESS, cuStreamWaitValue32_v2(stream, word, 5, CU_STREAM_WAIT_VALUE_EQ));
    GIVES(CUDA_SUCCESS, cuStreamWaitValue32_v2(stream, word, 4, CU_STREAM_WAIT_VALUE_GEQ));
    GIVES(CUDA_SUCCESS, cuStreamWaitValue32_v2(stream, word, 1, CU_STREAM_WAIT_VALUE_AND));
    GIVES(CUDA_SUCCESS, cuStreamWriteValue32_v2(stream, word + 4, 6, 0));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    NEED(cuMemcpyDtoH_v2(got, word, 8));
    ok(got[0] == 5 && got[1] == 6, "values are waited for and written");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuStreamWaitValue32_v2(stream, word + 2, 5, 0));
    NEED(cuMemFree_v2(word));
}

int
main(void)
{
    CUcontext context = test_begin();
    CUstream first, second;

    NEED(cuStreamCreate(&first, CU_STREAM_NON_BLOCKING));
    NEED(cuStreamCreate(&second, CU_STREAM_NON_BLOCKING));
    attributes(first, second);
    kept(context, first);
    contexts(context, first);
    values(first);
    NEED(cuStreamDestroy_v2(first));
    NEED(cuStreamDestroy_v2(second));
    NEED(cuCtxDestroy_v2(context));
    return test_end();
}
