/* SPDX-License-Identifier: MIT */
/* Streams: attributes, which only advise here; events of whole contexts; profiling, which nobody does. */
#include "graph.h"

#include <string.h>

static CUlaunchAttributeValue special[2][SIM_STREAM_ATTRIBUTES]; /* of the streams that every context has */

/* Lock, and the attributes of a stream that is there. */
static CUresult
enter(CUstream handle, CUlaunchAttributeValue **attributes)
{
    struct sim_context *context;
    struct sim_stream *stream;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    result = sim_stream_check(handle);
    if (result)
        return sim_end(result);
    stream = sim_object_find(handle, OBJECT_STREAM);
    *attributes = stream ? stream->attributes : special[handle == CU_STREAM_PER_THREAD];
    return CUDA_SUCCESS;
}

static bool
is_attribute(CUstreamAttrID attribute)
{
    return attribute == CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW ||
           attribute == CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY || attribute == CU_LAUNCH_ATTRIBUTE_PRIORITY ||
           attribute == CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP || attribute == CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN;
}

SIM_EXPORT CUresult
cuStreamGetAttribute(CUstream stream, CUstreamAttrID attribute, CUstreamAttrValue *value)
{
    CUlaunchAttributeValue *attributes = NULL;
    CUresult result = enter(stream, &attributes);

    if (result)
        return result;
    if (!value || !is_attribute(attribute))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *value = attributes[attribute];
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuStreamSetAttribute(CUstream stream, CUstreamAttrID attribute, const CUstreamAttrValue *value)
{
    CUlaunchAttributeValue *attributes = NULL;
    CUresult result = enter(stream, &attributes);

    if (result)
        return result;
    if (!value || !is_attribute(attribute))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    attributes[attribute] = *value;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuStreamCopyAttributes(CUstream to, CUstream from)
{
    CUlaunchAttributeValue *attributes = NULL, copy[SIM_STREAM_ATTRIBUTES];
    CUresult result = enter(from, &attributes);

    if (result)
        return result;
    memcpy(copy, attributes, sizeof copy);
    sim_end(CUDA_SUCCESS);
    result = enter(to, &attributes);
    if (result)
        return result;
    memcpy(attributes, copy, sizeof copy);
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuCtxRecordEvent(CUcontext handle, CUevent event)
{
    CUresult result = cuCtxSynchronize_v2(handle);

    return result ? result : cuEventRecord(event, CU_STREAM_PER_THREAD);
}

SIM_EXPORT CUresult
cuCtxWaitEvent(CUcontext handle, CUevent event)
{
    CUresult result = cuCtxSynchronize_v2(handle);

    return result ? result : cuEventQuery(event);
}

CUresult cuProfilerStart(void);
CUresult cuProfilerStop(void);

SIM_EXPORT CUresult
cuProfilerStart(void)
{
    return cuCtxSynchronize();
}

SIM_EXPORT CUresult
cuProfilerStop(void)
{
    return cuCtxSynchronize();
}
