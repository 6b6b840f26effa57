/* SPDX-License-Identifier: MIT */
/* Graphs: nodes, edges, copies. */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

struct sim_memory_node {
    struct sim_memory_node *next;
    uintptr_t address;
    size_t bytes;
    unsigned int users;
};

static struct sim_memory_node *memories; /* with the lock */

bool
sim_graph_memory(CUdeviceptr address)
{
    const struct sim_memory_node *memory = memories;

    while (memory && memory->address != address)
        memory = memory->next;
    return memory != NULL;
}

static void
memory_end(struct sim_memory_node *memory)
{
    struct sim_memory_node **at = &memories;

    if (--memory->users != 0)
        return;
    while (*at != memory)
        at = &(*at)->next;
    *at = memory->next;
    sim_memory_free(sim_driver.memory, RANGE_DEVICE, memory->address);
    free(memory);
}

void
sim_graph_memory_again(struct sim_node *node, CUdeviceptr freed)
{
    struct sim_memory_node *memory = memories;

    while (memory && memory->address != freed)
        memory = memory->next;
    if (!memory || memory->bytes < node->memory->bytes)
        return;
    memory->users++;
    memory_end(node->memory);
    node->memory = memory;
    node->params.alloc.dptr = memory->address;
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

void
sim_node_clear(struct sim_node *node)
{
    for (size_t i = 0; i < sizeof node->children / sizeof node->children[0]; i++)
        if (node->children[i])
            sim_graph_destroy(node->children[i]);
    memset(node->children, 0, sizeof node->children);
    free(node->values);
    free(node->pointers);
    node->values = NULL;
    node->pointers = NULL;
    if (node->memory)
        memory_end(node->memory);
    node->memory = NULL;
}

static CUresult
fill_kernel(struct sim_node *node, const CUgraphNodeParams *params)
{
    struct sim_function_handle *handle = sim_object_find(
        params->kernel.func ? (const void *)params->kernel.func : (const void *)params->kernel.kern, OBJECT_FUNCTION);
    const struct sim_function *kernel;

    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    kernel = sim_function_of(handle);
    if (kernel->param_count && !params->kernel.kernelParams)
        return CUDA_ERROR_INVALID_VALUE;
    if (!params->kernel.gridDimX || !params->kernel.blockDimX || params->kernel.blockDimX > 1024)
        return CUDA_ERROR_INVALID_VALUE;
    node->values = calloc(1, kernel->param_bytes + 8ul);
    node->pointers = calloc(kernel->param_count + 1ul, sizeof(void *));
    if (!node->values || !node->pointers)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < kernel->param_count; i++) {
        node->pointers[i] = node->values + kernel->params[i].offset;
        memcpy(node->pointers[i], params->kernel.kernelParams[i], kernel->params[i].size);
    }
    node->params.kernel.func = (CUfunction)handle;
    node->params.kernel.kern = NULL;
    node->params.kernel.kernelParams = node->pointers;
    return CUDA_SUCCESS;
}

static CUresult
fill_memset(const CUDA_MEMSET_NODE_PARAMS_v2 *fill)
{
    uintptr_t start;
    size_t range;

    if (!fill->width || !fill->height || fill->width > SIZE_MAX / 4 || fill->pitch > SIZE_MAX / (fill->height + 1))
        return CUDA_ERROR_INVALID_VALUE;
    return sim_memory_find(sim_driver.memory, fill->dst,
                           fill->pitch * (fill->height - 1) + fill->width * fill->elementSize, &start, &range)
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_VALUE;
}

static CUresult
fill_operations(struct sim_node *node, const CUgraphNodeParams *params)
{
    size_t bytes = params->memOp.count * sizeof(CUstreamBatchMemOpParams);

    if (!params->memOp.paramArray || params->memOp.count > 256)
        return CUDA_ERROR_INVALID_VALUE;
    node->values = malloc(bytes + 1);
    if (!node->values)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(node->values, params->memOp.paramArray, bytes);
    node->params.memOp.paramArray = (CUstreamBatchMemOpParams *)(void *)node->values;
    return CUDA_SUCCESS;
}

static CUresult
fill_child(struct sim_node *node, const struct sim_graph *graph, size_t index)
{
    struct sim_graph *child;
    CUresult result = graph ? sim_graph_clone(graph, &child) : sim_graph_create(&child);

    if (result)
        return result;
    child->inside = node;
    node->children[index] = child;
    return CUDA_SUCCESS;
}

/* The memory is there from now on; the node's part of a launch is done by that. */
static CUresult
fill_alloc(struct sim_node *node, const CUgraphNodeParams *params)
{
    struct sim_context *context = sim_current();
    CUresult result;

    node->memory = calloc(1, sizeof *node->memory);
    if (!node->memory || !context) {
        free(node->memory);
        node->memory = NULL;
        return context ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_CONTEXT;
    }
    node->memory->users = 1;
    result = sim_memory_alloc(sim_driver.memory, RANGE_DEVICE, context->device, context, params->alloc.bytesize, 0,
                              &node->memory->address);
    if (result) {
        free(node->memory);
        node->memory = NULL;
        return result;
    }
    node->memory->bytes = params->alloc.bytesize;
    node->memory->next = memories;
    memories = node->memory;
    node->params.alloc.dptr = node->memory->address;
    return CUDA_SUCCESS;
}

/* The value that the handle begins with is all that there is: device code cannot set it here. */
static CUresult
fill_conditional(struct sim_node *node, const CUgraphNodeParams *params)
{
    CUresult result = CUDA_SUCCESS;

    if (params->conditional.type == CU_GRAPH_COND_TYPE_WHILE)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!params->conditional.size || params->conditional.size > 64)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned int i = 0; i < params->conditional.size && !result; i++)
        result = fill_child(node, NULL, i);
    node->params.conditional.phGraph_out = (CUgraph *)(void *)node->children;
    return result;
}

CUresult
sim_node_fill(struct sim_node *node, const CUgraphNodeParams *params)
{
    node->params = *params;
    switch (params->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return fill_kernel(node, params);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return fill_operations(node, params);
    case CU_GRAPH_NODE_TYPE_GRAPH: {
        const struct sim_graph *child = sim_object_find(params->graph.graph, OBJECT_GRAPH);

        return child ? fill_child(node, child, 0) : CUDA_ERROR_INVALID_VALUE;
    }
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
        return fill_alloc(node, params);
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
        return fill_conditional(node, params);
    case CU_GRAPH_NODE_TYPE_HOST:
        return params->host.fn ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
        return sim_object_find(params->eventWait.event, OBJECT_EVENT) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        return sim_object_find(params->eventRecord.event, OBJECT_EVENT) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return fill_memset(&params->memset);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
    case CU_GRAPH_NODE_TYPE_EMPTY:
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_NOT_SUPPORTED;
    }
}

CUresult
sim_node_depend(struct sim_node *node, struct sim_node *on, const CUgraphEdgeData *data)
{
    struct sim_edge *grown;

    for (size_t i = 0; i < node->before_count; i++)
        if (node->before[i].from == on)
            return CUDA_ERROR_INVALID_VALUE;
    if (on == node || on->graph != node->graph)
        return CUDA_ERROR_INVALID_VALUE;
    grown = realloc(node->before, (node->before_count + 1) * sizeof *grown);
    if (!grown)
        return CUDA_ERROR_OUT_OF_MEMORY;
    node->before = grown;
    grown[node->before_count] = (struct sim_edge){.from = on};
    if (data)
        grown[node->before_count].data = *data;
    node->before_count++;
    return CUDA_SUCCESS;
}

static void
node_free(struct sim_node *node)
{
    sim_object_remove(&node->object);
    sim_node_clear(node);
    free(node->before);
    free(node);
}

static struct sim_node *
node_new(struct sim_graph *graph)
{
    struct sim_node **grown, *node = calloc(1, sizeof *node);

    if (graph->count == graph->room) {
        size_t room = graph->room ? graph->room * 2 : 16;

        grown = realloc(graph->nodes, room * sizeof(struct sim_node *));
        if (!grown) {
            free(node);
            return NULL;
        }
        graph->nodes = grown;
        graph->room = room;
    }
    if (!node || !sim_object_add(&node->object, OBJECT_NODE, NULL)) {
        free(node);
        return NULL;
    }
    node->graph = graph;
    node->enabled = true;
    graph->nodes[graph->count++] = node;
    return node;
}

CUresult
sim_graph_add(struct sim_graph *graph, const CUgraphNodeParams *params, struct sim_node *const *before,
              const CUgraphEdgeData *edges, size_t count, struct sim_node **out)
{
    struct sim_node *node = node_new(graph);
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;

    if (node) {
        graph->count--; /* what becomes of its own child is the graph as it was */
        result = sim_node_fill(node, params);
    }
    for (size_t i = 0; i < count && !result; i++)
        result = sim_node_depend(node, before[i], edges ? &edges[i] : NULL);
    if (!result)
        graph->count++;
    else if (node)
        node_free(node);
    *out = node;
    return result;
}

/* ---- Graphs ---------------------------------------------------------------------------------- */

CUresult
sim_graph_create(struct sim_graph **out)
{
    struct sim_graph *graph = calloc(1, sizeof *graph);

    if (!graph || !sim_object_add(&graph->object, OBJECT_GRAPH, NULL)) {
        free(graph);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *out = graph;
    return CUDA_SUCCESS;
}

void
sim_graph_destroy(struct sim_graph *graph)
{
    sim_object_remove(&graph->object);
    for (size_t i = 0; i < graph->count; i++)
        node_free(graph->nodes[i]);
    sim_kept_drop(graph);
    free(graph->nodes);
    free(graph);
}

static struct sim_node *
copy_of(const struct sim_graph *graph, const struct sim_node *original)
{
    for (size_t i = 0; i < graph->count; i++)
        if (graph->nodes[i]->original == original)
            return graph->nodes[i];
    return NULL;
}

static CUresult
clone_node(struct sim_graph *graph, const struct sim_node *node)
{
    struct sim_node *copy = node_new(graph);
    CUresult result = CUDA_SUCCESS;

    if (!copy)
        return CUDA_ERROR_OUT_OF_MEMORY;
    copy->original = (struct sim_node *)(uintptr_t)node;
    copy->enabled = node->enabled;
    copy->cooperative = node->cooperative;
    if (node->params.type == CU_GRAPH_NODE_TYPE_MEM_ALLOC) {
        copy->params = node->params;
        copy->memory = node->memory;
        copy->memory->users++;
        return CUDA_SUCCESS;
    }
    if (node->params.type == CU_GRAPH_NODE_TYPE_CONDITIONAL || node->params.type == CU_GRAPH_NODE_TYPE_GRAPH) {
        copy->params = node->params;
        for (size_t i = 0; i < 64 && node->children[i] && !result; i++)
            result = fill_child(copy, node->children[i], i);
        if (node->params.type == CU_GRAPH_NODE_TYPE_CONDITIONAL)
            copy->params.conditional.phGraph_out = (CUgraph *)(void *)copy->children;
        return result;
    }
    return sim_node_fill(copy, &node->params);
}

CUresult
sim_graph_clone(const struct sim_graph *graph, struct sim_graph **out)
{
    struct sim_graph *clone;
    CUresult result = sim_graph_create(&clone);

    if (result)
        return result;
    if (!sim_kept_copy(clone, graph))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < graph->count && !result; i++)
        result = clone_node(clone, graph->nodes[i]);
    for (size_t i = 0; i < graph->count && !result; i++)
        for (size_t k = 0; k < graph->nodes[i]->before_count && !result; k++)
            result = sim_node_depend(clone->nodes[i], copy_of(clone, graph->nodes[i]->before[k].from),
                                     &graph->nodes[i]->before[k].data);
    if (result) {
        sim_graph_destroy(clone);
        return result;
    }
    *out = clone;
    return CUDA_SUCCESS;
}

static bool
visit(struct sim_node *node, struct sim_node **sorted, size_t *count)
{
    if (node->mark)
        return node->mark == 2; /* 1: it depends on itself */
    node->mark = 1;
    for (size_t i = 0; i < node->before_count; i++)
        if (!visit(node->before[i].from, sorted, count))
            return false;
    node->mark = 2;
    sorted[(*count)++] = node;
    return true;
}

bool
sim_graph_sort(struct sim_graph *graph)
{
    struct sim_node **sorted = calloc(graph->count + 1, sizeof(struct sim_node *));
    size_t count = 0;
    bool good = sorted != NULL;

    for (size_t i = 0; i < graph->count; i++)
        graph->nodes[i]->mark = 0;
    for (size_t i = 0; i < graph->count && good; i++)
        good = visit(graph->nodes[i], sorted, &count);
    if (good && count)
        memcpy(graph->nodes, sorted, count * sizeof(struct sim_node *));
    free(sorted);
    return good;
}

/* ---- Entry points ---------------------------------------------------------------------------- */

static CUresult
enter_graph(CUgraph handle, struct sim_graph **graph)
{
    CUresult result = sim_begin();

    if (result)
        return result;
    *graph = sim_object_find(handle, OBJECT_GRAPH);
    return *graph ? CUDA_SUCCESS : sim_end(CUDA_ERROR_INVALID_VALUE);
}

static CUresult
enter_node(CUgraphNode handle, struct sim_node **node)
{
    CUresult result = sim_begin();

    if (result)
        return result;
    *node = sim_object_find(handle, OBJECT_NODE);
    return *node ? CUDA_SUCCESS : sim_end(CUDA_ERROR_INVALID_VALUE);
}

SIM_EXPORT CUresult
cuGraphCreate(CUgraph *out, unsigned int flags)
{
    struct sim_graph *graph;
    CUresult result = sim_begin();

    if (result)
        return result;
    if (!out || flags)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = sim_graph_create(&graph);
    if (!result)
        *out = (CUgraph)graph;
    return sim_end(result);
}

SIM_EXPORT CUresult
cuGraphClone(CUgraph *out, CUgraph handle)
{
    struct sim_graph *graph, *clone;
    CUresult result = enter_graph(handle, &graph);

    if (result)
        return result;
    result = out ? sim_graph_clone(graph, &clone) : CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *out = (CUgraph)clone;
    return sim_end(result);
}

SIM_EXPORT CUresult
cuGraphDestroy(CUgraph handle)
{
    struct sim_graph *graph;
    CUresult result = enter_graph(handle, &graph);

    if (result)
        return result;
    if (graph->inside || graph->captured)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    sim_graph_destroy(graph);
    return sim_end_users(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuGraphDestroyNode(CUgraphNode handle)
{
    struct sim_node *node;
    CUresult result = enter_node(handle, &node);
    struct sim_graph *graph;
    size_t kept = 0;

    if (result)
        return result;
    if (node->params.type == CU_GRAPH_NODE_TYPE_MEM_ALLOC || node->params.type == CU_GRAPH_NODE_TYPE_MEM_FREE)
        return sim_end(CUDA_ERROR_NOT_SUPPORTED); /* as in CUDA: their graph needs them */
    graph = node->graph;
    for (size_t i = 0; i < graph->count; i++) {
        struct sim_node *other = graph->nodes[i];

        if (other == node)
            continue;
        for (size_t k = 0; k < other->before_count;)
            if (other->before[k].from == node)
                other->before[k] = other->before[--other->before_count];
            else
                k++;
        graph->nodes[kept++] = other;
    }
    graph->count = kept;
    node_free(node);
    return sim_end_users(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuGraphAddNode_v2(CUgraphNode *out, CUgraph handle, const CUgraphNode *before, const CUgraphEdgeData *edges,
                  size_t count, CUgraphNodeParams *params)
{
    struct sim_graph *graph;
    struct sim_node *node;
    CUresult result = enter_graph(handle, &graph);

    if (result)
        return result;
    if (!out || !params || (count && !before))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    for (size_t i = 0; i < count; i++)
        if (!sim_object_find(before[i], OBJECT_NODE))
            return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = sim_graph_add(graph, params, (struct sim_node *const *)(const void *)before, edges, count, &node);
    if (result)
        return sim_end(result);
    *out = (CUgraphNode)node;
    if (params->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
        params->alloc.dptr = node->params.alloc.dptr;
    if (params->type == CU_GRAPH_NODE_TYPE_CONDITIONAL)
        params->conditional.phGraph_out = node->params.conditional.phGraph_out;
    return sim_end(CUDA_SUCCESS);
}

/* A handle is its own value, and the flag that says whether each launch begins with it. */
SIM_EXPORT CUresult
cuGraphConditionalHandleCreate(CUgraphConditionalHandle *out, CUgraph handle, CUcontext context, unsigned int value,
                               unsigned int flags)
{
    struct sim_graph *graph;
    CUresult result = enter_graph(handle, &graph);

    (void)context;
    if (result)
        return result;
    if (!out || flags & ~(unsigned int)CU_GRAPH_COND_ASSIGN_DEFAULT)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *out = ++sim_driver.next_id << 32 | (flags ? value : 0);
    return sim_end(CUDA_SUCCESS);
}

/* Lists: as many as there is room for, and NULL behind the last one. */

static void
list(CUgraphNode *out, size_t room, size_t at, const struct sim_node *node)
{
    if (out && at < room)
        out[at] = (CUgraphNode)(uintptr_t)node;
}

static CUresult
list_end(CUgraphNode *out, size_t *room, size_t count)
{
    for (size_t i = count; out && i < *room; i++)
        out[i] = NULL;
    if (!out || *room > count)
        *room = count;
    return sim_end(CUDA_SUCCESS);
}

static CUresult
list_nodes(CUgraph handle, CUgraphNode *out, size_t *room, bool roots)
{
    struct sim_graph *graph;
    CUresult result = enter_graph(handle, &graph);
    size_t count = 0;

    if (result)
        return result;
    if (!room)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    for (size_t i = 0; i < graph->count; i++)
        if (!roots || graph->nodes[i]->before_count == 0)
            list(out, *room, count++, graph->nodes[i]);
    return list_end(out, room, count);
}

SIM_EXPORT CUresult
cuGraphGetNodes(CUgraph graph, CUgraphNode *nodes, size_t *count)
{
    return list_nodes(graph, nodes, count, false);
}

SIM_EXPORT CUresult
cuGraphGetRootNodes(CUgraph graph, CUgraphNode *nodes, size_t *count)
{
    return list_nodes(graph, nodes, count, true);
}

SIM_EXPORT CUresult
cuGraphGetEdges_v2(CUgraph handle, CUgraphNode *from, CUgraphNode *to, CUgraphEdgeData *edges, size_t *room)
{
    struct sim_graph *graph;
    CUresult result = enter_graph(handle, &graph);
    size_t count = 0;

    if (result)
        return result;
    if (!room)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    for (size_t i = 0; i < graph->count; i++)
        for (size_t k = 0; k < graph->nodes[i]->before_count; k++, count++) {
            list(from, *room, count, graph->nodes[i]->before[k].from);
            list(to, *room, count, graph->nodes[i]);
            if (edges && count < *room)
                edges[count] = graph->nodes[i]->before[k].data;
        }
    return list_end(from, room, count);
}

SIM_EXPORT CUresult
cuGraphNodeGetDependencies_v2(CUgraphNode handle, CUgraphNode *nodes, CUgraphEdgeData *edges, size_t *room)
{
    struct sim_node *node;
    CUresult result = enter_node(handle, &node);

    if (result)
        return result;
    if (!room)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    for (size_t k = 0; k < node->before_count; k++) {
        list(nodes, *room, k, node->before[k].from);
        if (edges && k < *room)
            edges[k] = node->before[k].data;
    }
    return list_end(nodes, room, node->before_count);
}

SIM_EXPORT CUresult
cuGraphNodeGetDependentNodes_v2(CUgraphNode handle, CUgraphNode *nodes, CUgraphEdgeData *edges, size_t *room)
{
    struct sim_node *node;
    CUresult result = enter_node(handle, &node);
    size_t count = 0;

    if (result)
        return result;
    if (!room)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    for (size_t i = 0; i < node->graph->count; i++)
        for (size_t k = 0; k < node->graph->nodes[i]->before_count; k++) {
            if (node->graph->nodes[i]->before[k].from != node)
                continue;
            if (edges && count < *room)
                edges[count] = node->graph->nodes[i]->before[k].data;
            list(nodes, *room, count++, node->graph->nodes[i]);
        }
    return list_end(nodes, room, count);
}

SIM_EXPORT CUresult
cuGraphAddDependencies_v2(CUgraph handle, const CUgraphNode *from, const CUgraphNode *to, const CUgraphEdgeData *edges,
                          size_t count)
{
    struct sim_graph *graph;
    CUresult result = enter_graph(handle, &graph);

    if (result)
        return result;
    for (size_t i = 0; i < count && !result; i++) {
        struct sim_node *source = sim_object_find(from[i], OBJECT_NODE);
        struct sim_node *target = sim_object_find(to[i], OBJECT_NODE);

        result = source && target && target->graph == graph ? sim_node_depend(target, source, edges ? &edges[i] : NULL)
                                                            : CUDA_ERROR_INVALID_VALUE;
    }
    return sim_end(result);
}

static bool
undepend(struct sim_node *node, const struct sim_node *on)
{
    for (size_t k = 0; k < node->before_count; k++)
        if (node->before[k].from == on) {
            node->before[k] = node->before[--node->before_count];
            return true;
        }
    return false;
}

SIM_EXPORT CUresult
cuGraphRemoveDependencies_v2(CUgraph handle, const CUgraphNode *from, const CUgraphNode *to,
                             const CUgraphEdgeData *edges, size_t count)
{
    struct sim_graph *graph;
    CUresult result = enter_graph(handle, &graph);

    (void)edges;
    if (result)
        return result;
    for (size_t i = 0; i < count && !result; i++) {
        struct sim_node *source = sim_object_find(from[i], OBJECT_NODE);
        struct sim_node *target = sim_object_find(to[i], OBJECT_NODE);

        result = source && target && target->graph == graph && undepend(target, source) ? CUDA_SUCCESS
                                                                                        : CUDA_ERROR_INVALID_VALUE;
    }
    return sim_end(result);
}

SIM_EXPORT CUresult
cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType *type)
{
    struct sim_node *node;
    CUresult result = enter_node(handle, &node);

    if (result)
        return result;
    if (!type)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *type = node->params.type;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuGraphChildGraphNodeGetGraph(CUgraphNode handle, CUgraph *out)
{
    struct sim_node *node;
    CUresult result = enter_node(handle, &node);

    if (result)
        return result;
    if (!out || node->params.type != CU_GRAPH_NODE_TYPE_GRAPH)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *out = (CUgraph)node->children[0];
    return sim_end(CUDA_SUCCESS);
}

static struct sim_node *
find_copy(const struct sim_graph *graph, const struct sim_node *original)
{
    struct sim_node *found = copy_of(graph, original);

    for (size_t i = 0; i < graph->count && !found; i++)
        for (size_t k = 0; k < 64 && graph->nodes[i]->children[k] && !found; k++)
            found = find_copy(graph->nodes[i]->children[k], original);
    return found;
}

SIM_EXPORT CUresult
cuGraphNodeFindInClone(CUgraphNode *out, CUgraphNode handle, CUgraph clone)
{
    struct sim_node *node, *found;
    CUresult result = enter_node(handle, &node);

    if (result)
        return result;
    if (!out || !sim_object_find(clone, OBJECT_GRAPH))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    found = find_copy((const struct sim_graph *)(const void *)clone, node);
    *out = (CUgraphNode)found;
    return sim_end(found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}

/* ---- Params ---------------------------------------------------------------------------------- */

static CUresult
set(struct sim_node *node, const CUgraphNodeParams *params)
{
    struct sim_node filled = {.params = {.type = CU_GRAPH_NODE_TYPE_EMPTY}};
    CUresult result;

    if (!params || params->type != node->params.type)
        return CUDA_ERROR_INVALID_VALUE;
    result = sim_node_fill(&filled, params);
    if (result) {
        sim_node_clear(&filled);
        return result;
    }
    sim_node_clear(node);
    node->params = filled.params;
    node->values = filled.values;
    node->pointers = filled.pointers;
    memcpy(node->children, filled.children, sizeof filled.children);
    if (node->children[0])
        node->children[0]->inside = node;
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuGraphNodeSetParams(CUgraphNode handle, CUgraphNodeParams *params)
{
    struct sim_node *node;
    CUresult result = enter_node(handle, &node);

    return result ? result : sim_end_users(set(node, params));
}

SIM_EXPORT CUresult
cuGraphExecNodeSetParams(CUgraphExec handle, CUgraphNode original, CUgraphNodeParams *params)
{
    struct sim_exec *exec;
    struct sim_node *node;
    CUresult result = enter_node(original, &node);

    if (result)
        return result;
    exec = sim_object_find(handle, OBJECT_GRAPH_EXEC);
    node = exec ? copy_of(exec->graph, node) : NULL;
    return sim_end_users(node ? set(node, params) : CUDA_ERROR_INVALID_VALUE);
}

#define GETTER(name, type_, out_type, field)                    \
    SIM_EXPORT CUresult name(CUgraphNode handle, out_type *out) \
    {                                                           \
        struct sim_node *node;                                  \
        CUresult result = enter_node(handle, &node);            \
                                                                \
        if (result)                                             \
            return result;                                      \
        if (!out || node->params.type != type_)                 \
            return sim_end(CUDA_ERROR_INVALID_VALUE);           \
        memcpy(out, &node->params.field, sizeof *out);          \
        return sim_end(CUDA_SUCCESS);                           \
    }
GETTER(cuGraphKernelNodeGetParams_v2, CU_GRAPH_NODE_TYPE_KERNEL, CUDA_KERNEL_NODE_PARAMS, kernel)
GETTER(cuGraphMemcpyNodeGetParams, CU_GRAPH_NODE_TYPE_MEMCPY, CUDA_MEMCPY3D, memcpy.copyParams)
GETTER(cuGraphMemsetNodeGetParams, CU_GRAPH_NODE_TYPE_MEMSET, CUDA_MEMSET_NODE_PARAMS, memset)
GETTER(cuGraphHostNodeGetParams, CU_GRAPH_NODE_TYPE_HOST, CUDA_HOST_NODE_PARAMS, host)
GETTER(cuGraphEventRecordNodeGetEvent, CU_GRAPH_NODE_TYPE_EVENT_RECORD, CUevent, eventRecord.event)
GETTER(cuGraphEventWaitNodeGetEvent, CU_GRAPH_NODE_TYPE_WAIT_EVENT, CUevent, eventWait.event)
GETTER(cuGraphBatchMemOpNodeGetParams, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, CUDA_BATCH_MEM_OP_NODE_PARAMS, memOp)
GETTER(cuGraphMemAllocNodeGetParams, CU_GRAPH_NODE_TYPE_MEM_ALLOC, CUDA_MEM_ALLOC_NODE_PARAMS, alloc)
GETTER(cuGraphMemFreeNodeGetParams, CU_GRAPH_NODE_TYPE_MEM_FREE, CUdeviceptr, free.dptr)

SIM_EXPORT CUresult
cuGraphKernelNodeGetAttribute(CUgraphNode handle, CUkernelNodeAttrID attribute, CUkernelNodeAttrValue *value)
{
    struct sim_node *node;
    CUresult result = enter_node(handle, &node);

    if (result)
        return result;
    if (!value || node->params.type != CU_GRAPH_NODE_TYPE_KERNEL || attribute != CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    memset(value, 0, sizeof *value);
    value->cooperative = node->cooperative;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuGraphKernelNodeSetAttribute(CUgraphNode handle, CUkernelNodeAttrID attribute, const CUkernelNodeAttrValue *value)
{
    struct sim_node *node;
    CUresult result = enter_node(handle, &node);

    if (result)
        return result;
    if (!value || node->params.type != CU_GRAPH_NODE_TYPE_KERNEL || attribute != CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    node->cooperative = value->cooperative != 0;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuGraphKernelNodeCopyAttributes(CUgraphNode to, CUgraphNode from)
{
    struct sim_node *node, *source;
    CUresult result = enter_node(to, &node);

    if (result)
        return result;
    source = sim_object_find(from, OBJECT_NODE);
    if (!source || source->params.type != CU_GRAPH_NODE_TYPE_KERNEL || node->params.type != CU_GRAPH_NODE_TYPE_KERNEL)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    node->cooperative = source->cooperative;
    return sim_end(CUDA_SUCCESS);
}
