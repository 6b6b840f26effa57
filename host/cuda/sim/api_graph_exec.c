/* SPDX-License-Identifier: MIT */
/* Executable graphs, and the user objects that graphs keep. */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

_Thread_local bool sim_replaying;

/* ---- User objects ---------------------------------------------------------------------------- */

struct sim_user {
    struct object object;
    unsigned long long count;
    CUhostFn destroy;
    void *data;
    struct sim_user *next; /* of those that are over */
};

static struct sim_user *over; /* with the lock */

static void
release(struct sim_user *user, unsigned int count)
{
    user->count -= count;
    if (user->count)
        return;
    sim_object_remove(&user->object);
    user->next = over;
    over = user;
}

CUresult
sim_end_users(CUresult result)
{
    struct sim_user *user, *list = over;

    over = NULL;
    sim_end(result);
    while ((user = list)) {
        list = user->next;
        user->destroy(user->data);
        free(user);
    }
    return result;
}

static struct sim_kept *
kept_of(struct sim_graph *graph, struct sim_user *user)
{
    struct sim_kept *kept;

    for (kept = graph->kept; kept; kept = kept->next)
        if (kept->user == user)
            return kept;
    kept = calloc(1, sizeof *kept);
    if (!kept)
        return NULL;
    kept->user = user;
    kept->next = graph->kept;
    graph->kept = kept;
    return kept;
}

bool
sim_kept_copy(struct sim_graph *to, const struct sim_graph *from)
{
    for (const struct sim_kept *kept = from->kept; kept; kept = kept->next) {
        struct sim_kept *copy = kept->count ? kept_of(to, kept->user) : NULL;

        if (!kept->count)
            continue;
        if (!copy)
            return false;
        copy->count += kept->count;
        kept->user->count += kept->count;
    }
    return true;
}

void
sim_kept_drop(struct sim_graph *graph)
{
    struct sim_kept *kept;

    while ((kept = graph->kept)) {
        graph->kept = kept->next;
        if (kept->count)
            release(kept->user, kept->count);
        free(kept);
    }
}

SIM_EXPORT CUresult
cuUserObjectCreate(CUuserObject *out, void *data, CUhostFn destroy, unsigned int count, unsigned int flags)
{
    struct sim_user *user;
    CUresult result = sim_begin();

    if (result)
        return result;
    if (!out || !destroy || !count || flags != CU_USER_OBJECT_NO_DESTRUCTOR_SYNC)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    user = calloc(1, sizeof *user);
    if (!user || !sim_object_add(&user->object, OBJECT_USER, NULL)) {
        free(user);
        return sim_end(CUDA_ERROR_OUT_OF_MEMORY);
    }
    user->count = count;
    user->destroy = destroy;
    user->data = data;
    *out = (CUuserObject)user;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuUserObjectRetain(CUuserObject object, unsigned int count)
{
    struct sim_user *user;
    CUresult result = sim_begin();

    if (result)
        return result;
    user = sim_object_find(object, OBJECT_USER);
    if (!user || !count)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    user->count += count;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuUserObjectRelease(CUuserObject object, unsigned int count)
{
    struct sim_user *user;
    CUresult result = sim_begin();

    if (result)
        return result;
    user = sim_object_find(object, OBJECT_USER);
    if (!user || !count || count > user->count)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    release(user, count);
    return sim_end_users(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuGraphRetainUserObject(CUgraph handle, CUuserObject object, unsigned int count, unsigned int flags)
{
    struct sim_graph *graph;
    struct sim_user *user;
    struct sim_kept *kept;
    CUresult result = sim_begin();

    if (result)
        return result;
    graph = sim_object_find(handle, OBJECT_GRAPH);
    user = sim_object_find(object, OBJECT_USER);
    if (!graph || !user || !count || flags & ~(unsigned int)CU_GRAPH_USER_OBJECT_MOVE)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    kept = kept_of(graph, user);
    if (!kept)
        return sim_end(CUDA_ERROR_OUT_OF_MEMORY);
    kept->count += count;
    if (!(flags & CU_GRAPH_USER_OBJECT_MOVE))
        user->count += count;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuGraphReleaseUserObject(CUgraph handle, CUuserObject object, unsigned int count)
{
    struct sim_graph *graph;
    struct sim_user *user;
    struct sim_kept *kept;
    CUresult result = sim_begin();

    if (result)
        return result;
    graph = sim_object_find(handle, OBJECT_GRAPH);
    user = sim_object_find(object, OBJECT_USER);
    kept = graph && user ? kept_of(graph, user) : NULL;
    if (!kept || count > kept->count)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    kept->count -= count;
    release(user, count);
    return sim_end_users(CUDA_SUCCESS);
}

/* ---- Making ---------------------------------------------------------------------------------- */

SIM_EXPORT CUresult
cuGraphInstantiateWithParams(CUgraphExec *out, CUgraph handle, CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
    struct sim_context *context;
    struct sim_graph *graph, *copy;
    struct sim_exec *exec;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    graph = sim_object_find(handle, OBJECT_GRAPH);
    if (!out || !params || !graph || graph->captured)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    params->hErrNode_out = NULL;
    params->result_out = CUDA_GRAPH_INSTANTIATE_ERROR;
    result = sim_graph_clone(graph, &copy);
    if (result)
        return sim_end(result);
    exec = calloc(1, sizeof *exec);
    if (!sim_graph_sort(copy) || !exec || !sim_object_add(&exec->object, OBJECT_GRAPH_EXEC, NULL)) {
        params->result_out = CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE;
        sim_graph_destroy(copy);
        free(exec);
        return sim_end_users(CUDA_ERROR_INVALID_VALUE);
    }
    exec->graph = copy;
    exec->context = context;
    params->result_out = CUDA_GRAPH_INSTANTIATE_SUCCESS;
    *out = (CUgraphExec)exec;
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuGraphInstantiateWithParams_ptsz, cuGraphInstantiateWithParams);

SIM_EXPORT CUresult
cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph graph, unsigned long long flags)
{
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = flags};

    return cuGraphInstantiateWithParams(out, graph, &params);
}

static CUresult
enter_exec(CUgraphExec handle, struct sim_exec **exec)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    *exec = sim_object_find(handle, OBJECT_GRAPH_EXEC);
    return *exec ? CUDA_SUCCESS : sim_end(CUDA_ERROR_INVALID_VALUE);
}

SIM_EXPORT CUresult
cuGraphExecDestroy(CUgraphExec handle)
{
    struct sim_exec *exec;
    CUresult result = sim_begin();

    if (result)
        return result;
    exec = sim_object_find(handle, OBJECT_GRAPH_EXEC);
    if (!exec)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    sim_object_remove(&exec->object);
    sim_graph_destroy(exec->graph);
    free(exec);
    return sim_end_users(CUDA_SUCCESS);
}

/* ---- Changing -------------------------------------------------------------------------------- */

static struct sim_node *
copy_in(const struct sim_exec *exec, const struct sim_node *original)
{
    for (size_t i = 0; i < exec->graph->count; i++)
        if (exec->graph->nodes[i]->original == original)
            return exec->graph->nodes[i];
    return NULL;
}

/* The same number of nodes, of the same kinds in the same order once sorted, with as many edges. */
static CUgraphExecUpdateResult
compare(const struct sim_graph *old, const struct sim_graph *new, const struct sim_node **different)
{
    *different = NULL;
    if (old->count != new->count)
        return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    for (size_t i = 0; i < old->count; i++) {
        *different = new->nodes[i]->original;
        if (old->nodes[i]->params.type != new->nodes[i]->params.type)
            return CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
        if (old->nodes[i]->before_count != new->nodes[i]->before_count)
            return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    }
    return CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

SIM_EXPORT CUresult
cuGraphExecUpdate_v2(CUgraphExec handle, CUgraph source, CUgraphExecUpdateResultInfo *info)
{
    const struct sim_node *different = NULL;
    struct sim_graph *graph, *copy;
    struct sim_exec *exec;
    CUresult result = enter_exec(handle, &exec);

    if (result)
        return result;
    graph = sim_object_find(source, OBJECT_GRAPH);
    if (!graph || !info)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    memset(info, 0, sizeof *info);
    result = sim_graph_clone(graph, &copy);
    if (result)
        return sim_end(result);
    info->result = sim_graph_sort(copy) ? compare(exec->graph, copy, &different) : CU_GRAPH_EXEC_UPDATE_ERROR;
    if (info->result != CU_GRAPH_EXEC_UPDATE_SUCCESS) {
        info->errorNode = (CUgraphNode)(uintptr_t)different;
        sim_graph_destroy(copy);
        return sim_end_users(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
    }
    for (size_t i = 0; i < copy->count; i++) /* nodes are still named as in the graph that it was made of */
        copy->nodes[i]->original = exec->graph->nodes[i]->original;
    sim_graph_destroy(exec->graph);
    exec->graph = copy;
    return sim_end_users(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuGraphNodeSetEnabled(CUgraphExec handle, CUgraphNode original, unsigned int enabled)
{
    struct sim_exec *exec;
    struct sim_node *node;
    CUresult result = enter_exec(handle, &exec);

    if (result)
        return result;
    node = copy_in(exec, sim_object_find(original, OBJECT_NODE));
    if (!node || node->params.type > CU_GRAPH_NODE_TYPE_MEMSET) /* kernels, copies and fills only */
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    node->enabled = enabled != 0;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuGraphNodeGetEnabled(CUgraphExec handle, CUgraphNode original, unsigned int *enabled)
{
    struct sim_exec *exec;
    struct sim_node *node;
    CUresult result = enter_exec(handle, &exec);

    if (result)
        return result;
    node = copy_in(exec, sim_object_find(original, OBJECT_NODE));
    if (!node || !enabled)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *enabled = node->enabled;
    return sim_end(CUDA_SUCCESS);
}

/* ---- Pageable memory ------------------------------------------------------------------------- */

/*
 * Memory that the driver does not know is read when the graph is launched, and written when all of it has run, which
 * a driver may do: who changes it in between gets to know.
 */
struct staged {
    struct staged *next;
    const struct sim_node *node;
    unsigned char *host, *packed; /* packed as it lies in memory */
    size_t bytes;
    bool out;
};

static _Thread_local struct staged *staged; /* of the launch that this thread is in */

static struct staged *
staged_find(const struct sim_node *node, bool out)
{
    struct staged *found = staged;

    while (found && (found->node != node || found->out != out))
        found = found->next;
    return found;
}

static CUresult
stage_end(const struct sim_node *node, const CUDA_MEMCPY3D *copy, bool out)
{
    size_t pitch = out ? copy->dstPitch : copy->srcPitch, height = out ? copy->dstHeight : copy->srcHeight;
    size_t x = out ? copy->dstXInBytes : copy->srcXInBytes, y = out ? copy->dstY : copy->srcY;
    unsigned char *host = out ? copy->dstHost : (unsigned char *)(uintptr_t)copy->srcHost;
    struct staged *made;
    struct range range;

    if ((out ? copy->dstMemoryType : copy->srcMemoryType) != CU_MEMORYTYPE_HOST ||
        sim_memory_range(sim_driver.memory, (uintptr_t)host, &range))
        return CUDA_SUCCESS;
    pitch = pitch ? pitch : x + copy->WidthInBytes;
    height = height ? height : y + copy->Height;
    made = calloc(1, sizeof *made);
    if (!made)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *made = (struct staged){.next = staged, .node = node, .out = out};
    made->bytes = pitch * (height * (copy->Depth - 1) + copy->Height - 1) + copy->WidthInBytes;
    made->host = host + pitch * (height * (out ? copy->dstZ : copy->srcZ) + y) + x;
    made->packed = malloc(made->bytes + 1);
    staged = made;
    if (!made->packed)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(made->packed, made->host, made->bytes);
    return CUDA_SUCCESS;
}

/* With the lock. */
static CUresult
stage(struct sim_node **nodes, size_t count)
{
    CUresult result = CUDA_SUCCESS;

    for (size_t i = 0; i < count && !result; i++) {
        const struct sim_node *node = nodes[i];
        const CUDA_MEMCPY3D *copy = &node->params.memcpy.copyParams;

        if (node->params.type == CU_GRAPH_NODE_TYPE_MEMCPY && copy->WidthInBytes && copy->Height && copy->Depth) {
            result = stage_end(node, copy, false);
            if (!result)
                result = stage_end(node, copy, true);
        }
        for (size_t k = 0; k < 64 && node->children[k] && !result; k++)
            result = stage(node->children[k]->nodes, node->children[k]->count);
    }
    return result;
}

static void
unstage(struct staged *before)
{
    struct staged *at;

    while ((at = staged) != before) {
        staged = at->next;
        if (at->out && at->packed)
            memcpy(at->host, at->packed, at->bytes);
        free(at->packed);
        free(at);
    }
}

static CUresult
run_memcpy(const struct sim_node *node)
{
    const struct staged *from = staged_find(node, false), *to = staged_find(node, true);
    CUDA_MEMCPY3D copy = node->params.memcpy.copyParams;

    if (from) {
        copy.srcHost = from->packed;
        copy.srcXInBytes = copy.srcY = copy.srcZ = 0;
    }
    if (to) {
        copy.dstHost = to->packed;
        copy.dstXInBytes = copy.dstY = copy.dstZ = 0;
    }
    return cuMemcpy3DAsync_v2(&copy, NULL);
}

/* ---- Running --------------------------------------------------------------------------------- */

static CUresult run_nodes(struct sim_node **nodes, size_t count);

static CUresult
run_kernel(const struct sim_node *node)
{
    const CUDA_KERNEL_NODE_PARAMS_v3 *k = &node->params.kernel;

    if (node->cooperative)
        return cuLaunchCooperativeKernel(k->func, k->gridDimX, k->gridDimY, k->gridDimZ, k->blockDimX, k->blockDimY,
                                         k->blockDimZ, k->sharedMemBytes, NULL, k->kernelParams);
    return cuLaunchKernel(k->func, k->gridDimX, k->gridDimY, k->gridDimZ, k->blockDimX, k->blockDimY, k->blockDimZ,
                          k->sharedMemBytes, NULL, k->kernelParams, NULL);
}

static CUresult
run_memset(const CUDA_MEMSET_NODE_PARAMS_v2 *m)
{
    size_t pitch = m->height > 1 ? m->pitch : m->width * m->elementSize;

    if (m->elementSize == 1)
        return cuMemsetD2D8Async(m->dst, pitch, (unsigned char)m->value, m->width, m->height, NULL);
    if (m->elementSize == 2)
        return cuMemsetD2D16Async(m->dst, pitch, (unsigned short)m->value, m->width, m->height, NULL);
    return cuMemsetD2D32Async(m->dst, pitch, m->value, m->width, m->height, NULL);
}

static CUresult
run_graph(struct sim_graph *graph)
{
    return sim_graph_sort(graph) ? run_nodes(graph->nodes, graph->count) : CUDA_ERROR_INVALID_VALUE;
}

static CUresult
run_conditional(const struct sim_node *node)
{
    uint32_t value = (uint32_t)node->params.conditional.handle;
    size_t body = node->params.conditional.type == CU_GRAPH_COND_TYPE_SWITCH ? value : value == 0;

    return body < node->params.conditional.size ? run_graph(node->children[body]) : CUDA_SUCCESS;
}

static CUresult
run_node(struct sim_node *node)
{
    CUgraphNodeParams *p = &node->params;

    switch (p->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return run_kernel(node);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return run_memcpy(node);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return run_memset(&p->memset);
    case CU_GRAPH_NODE_TYPE_HOST:
        return cuLaunchHostFunc(NULL, p->host.fn, p->host.userData);
    case CU_GRAPH_NODE_TYPE_GRAPH:
        return run_graph(node->children[0]);
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        return cuEventRecord(p->eventRecord.event, NULL);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return cuStreamBatchMemOp_v2(NULL, p->memOp.count, p->memOp.paramArray, p->memOp.flags);
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
        return run_conditional(node);
    default: /* waiting, allocating and freeing is done by being there */
        return CUDA_SUCCESS;
    }
}

static CUresult
run_nodes(struct sim_node **nodes, size_t count)
{
    CUresult result = CUDA_SUCCESS;

    for (size_t i = 0; i < count && !result; i++)
        if (nodes[i]->enabled)
            result = run_node(nodes[i]);
    return result;
}

SIM_EXPORT CUresult
cuGraphLaunch(CUgraphExec handle, CUstream stream)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_GRAPH};
    struct staged *outer = staged;
    struct sim_track *track;
    struct sim_exec *exec;
    CUresult result = enter_exec(handle, &exec);
    bool before = sim_replaying;

    if (result)
        return result;
    result = sim_stream_check(stream);
    if (result)
        return sim_end(result);
    track = sim_captured(stream);
    if (track) {
        params.graph.graph = (CUgraph)exec->graph;
        return sim_end(sim_capture(track, &params));
    }
    result = stage(exec->graph->nodes, exec->graph->count);
    sim_end(result);
    sim_replaying = true;
    if (!result)
        result = run_nodes(exec->graph->nodes, exec->graph->count);
    unstage(outer);
    sim_replaying = before;
    return result;
}
SIM_SYNONYM(cuGraphLaunch_ptsz, cuGraphLaunch);

SIM_EXPORT CUresult
cuGraphUpload(CUgraphExec handle, CUstream stream)
{
    struct sim_exec *exec;
    CUresult result = enter_exec(handle, &exec);

    return result ? result : sim_end(sim_stream_check(stream));
}
SIM_SYNONYM(cuGraphUpload_ptsz, cuGraphUpload);

/* ---- Memory, which graphs have from the time that their nodes are made ------------------------- */

SIM_EXPORT CUresult
cuDeviceGraphMemTrim(CUdevice device)
{
    CUresult result = sim_begin();

    return result ? result
                  : sim_end(device < 0 || device >= sim_driver.device_count ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuDeviceGetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attribute, void *value)
{
    CUresult result = cuDeviceGraphMemTrim(device);

    if (result)
        return result;
    if (!value || (unsigned int)attribute > CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH)
        return CUDA_ERROR_INVALID_VALUE;
    memset(value, 0, sizeof(cuuint64_t));
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuDeviceSetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attribute, void *value)
{
    CUresult result = cuDeviceGraphMemTrim(device);

    if (result)
        return result;
    if (!value || (attribute != CU_GRAPH_MEM_ATTR_USED_MEM_HIGH && attribute != CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}
