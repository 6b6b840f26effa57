/* SPDX-License-Identifier: MIT */
/* The functions that add or change one kind of node. */
#include "graph.h"

#include <string.h>

static CUresult
add(CUgraphNode *out, CUgraph graph, const CUgraphNode *before, size_t count, CUgraphNodeParams *params)
{
    return cuGraphAddNode_v2(out, graph, before, NULL, count, params);
}

/* Structures of one kind begin alike in all their versions. */
#define KIND(add_name, set_name, exec_set_name, type_, given, field)                                       \
    SIM_EXPORT CUresult add_name(CUgraphNode *out, CUgraph graph, const CUgraphNode *before, size_t count, \
                                 const given *told)                                                        \
    {                                                                                                      \
        CUgraphNodeParams params = {.type = type_};                                                        \
                                                                                                           \
        if (!told)                                                                                         \
            return CUDA_ERROR_INVALID_VALUE;                                                               \
        memcpy(&params.field, told, sizeof *told);                                                         \
        return add(out, graph, before, count, &params);                                                    \
    }                                                                                                      \
    SIM_EXPORT CUresult set_name(CUgraphNode node, const given *told)                                      \
    {                                                                                                      \
        CUgraphNodeParams params = {.type = type_};                                                        \
                                                                                                           \
        if (!told)                                                                                         \
            return CUDA_ERROR_INVALID_VALUE;                                                               \
        memcpy(&params.field, told, sizeof *told);                                                         \
        return cuGraphNodeSetParams(node, &params);                                                        \
    }                                                                                                      \
    SIM_EXPORT CUresult exec_set_name(CUgraphExec exec, CUgraphNode node, const given *told)               \
    {                                                                                                      \
        CUgraphNodeParams params = {.type = type_};                                                        \
                                                                                                           \
        if (!told)                                                                                         \
            return CUDA_ERROR_INVALID_VALUE;                                                               \
        memcpy(&params.field, told, sizeof *told);                                                         \
        return cuGraphExecNodeSetParams(exec, node, &params);                                              \
    }

KIND(cuGraphAddKernelNode_v2, cuGraphKernelNodeSetParams_v2, cuGraphExecKernelNodeSetParams_v2,
     CU_GRAPH_NODE_TYPE_KERNEL, CUDA_KERNEL_NODE_PARAMS, kernel)
KIND(cuGraphAddHostNode, cuGraphHostNodeSetParams, cuGraphExecHostNodeSetParams, CU_GRAPH_NODE_TYPE_HOST,
     CUDA_HOST_NODE_PARAMS, host)
KIND(cuGraphAddBatchMemOpNode, cuGraphBatchMemOpNodeSetParams, cuGraphExecBatchMemOpNodeSetParams,
     CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, CUDA_BATCH_MEM_OP_NODE_PARAMS, memOp)

SIM_EXPORT CUresult
cuGraphAddMemcpyNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *before, size_t count,
                     const CUDA_MEMCPY3D *copy, CUcontext context)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMCPY};

    if (!copy)
        return CUDA_ERROR_INVALID_VALUE;
    params.memcpy.copyCtx = context;
    params.memcpy.copyParams = *copy;
    return add(out, graph, before, count, &params);
}

SIM_EXPORT CUresult
cuGraphMemcpyNodeSetParams(CUgraphNode node, const CUDA_MEMCPY3D *copy)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMCPY};

    if (!copy)
        return CUDA_ERROR_INVALID_VALUE;
    params.memcpy.copyParams = *copy;
    return cuGraphNodeSetParams(node, &params);
}

SIM_EXPORT CUresult
cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMCPY3D *copy, CUcontext context)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMCPY};

    if (!copy)
        return CUDA_ERROR_INVALID_VALUE;
    params.memcpy.copyCtx = context;
    params.memcpy.copyParams = *copy;
    return cuGraphExecNodeSetParams(exec, node, &params);
}

SIM_EXPORT CUresult
cuGraphAddMemsetNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *before, size_t count,
                     const CUDA_MEMSET_NODE_PARAMS *told, CUcontext context)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMSET};

    if (!told)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&params.memset, told, sizeof *told);
    params.memset.ctx = context;
    return add(out, graph, before, count, &params);
}

SIM_EXPORT CUresult
cuGraphMemsetNodeSetParams(CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS *told)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMSET};

    if (!told)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&params.memset, told, sizeof *told);
    return cuGraphNodeSetParams(node, &params);
}

SIM_EXPORT CUresult
cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS *told,
                               CUcontext context)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMSET};

    if (!told)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&params.memset, told, sizeof *told);
    params.memset.ctx = context;
    return cuGraphExecNodeSetParams(exec, node, &params);
}

SIM_EXPORT CUresult
cuGraphAddChildGraphNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *before, size_t count, CUgraph child)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_GRAPH};

    params.graph.graph = child;
    return add(out, graph, before, count, &params);
}

SIM_EXPORT CUresult
cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraph child)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_GRAPH};

    params.graph.graph = child;
    return cuGraphExecNodeSetParams(exec, node, &params);
}

SIM_EXPORT CUresult
cuGraphAddEmptyNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *before, size_t count)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_EMPTY};

    return add(out, graph, before, count, &params);
}

SIM_EXPORT CUresult
cuGraphAddEventRecordNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *before, size_t count, CUevent event)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_EVENT_RECORD};

    params.eventRecord.event = event;
    return add(out, graph, before, count, &params);
}

SIM_EXPORT CUresult
cuGraphAddEventWaitNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *before, size_t count, CUevent event)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_WAIT_EVENT};

    params.eventWait.event = event;
    return add(out, graph, before, count, &params);
}

SIM_EXPORT CUresult
cuGraphExecEventRecordNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_EVENT_RECORD};

    params.eventRecord.event = event;
    return cuGraphExecNodeSetParams(exec, node, &params);
}

SIM_EXPORT CUresult
cuGraphAddMemAllocNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *before, size_t count,
                       CUDA_MEM_ALLOC_NODE_PARAMS *told)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEM_ALLOC};
    CUresult result;

    if (!told)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&params.alloc, told, sizeof *told);
    result = add(out, graph, before, count, &params);
    if (!result)
        told->dptr = params.alloc.dptr;
    return result;
}

SIM_EXPORT CUresult
cuGraphAddMemFreeNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *before, size_t count, CUdeviceptr address)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEM_FREE};

    params.free.dptr = address;
    return add(out, graph, before, count, &params);
}
