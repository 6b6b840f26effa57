/* SPDX-License-Identifier: MIT */
/* Graphs, their lists of nodes and edges, and what is made executable of them. All of it is kept by the host. */
#include "graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Enters for work with a graph. */
static CUresult
graph_enter(CUgraph handle, struct cuda_guest_thread **self, uint32_t *graph)
{
    CUresult result = cuda_guest_enter(self);

    *graph = cuda_guest_graph_number(handle);
    if (result == CUDA_SUCCESS && *graph == 0)
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

static CUresult
node_enter(CUgraphNode handle, struct cuda_guest_thread **self, uint32_t *node)
{
    CUresult result = cuda_guest_enter(self);

    *node = cuda_guest_node_number(handle);
    if (result == CUDA_SUCCESS && *node == 0)
        result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

/* ---- Graphs ---------------------------------------------------------------------------------- */

ENTRY
cuGraphCreate(CUgraph *out, unsigned int flags)
{
    struct cuda_guest_thread *self;
    uint32_t graph = 0;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!out || flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_result(cuda_graph_create_on(&cuda_guest.client, self->lane, &graph));
    if (result == CUDA_SUCCESS)
        *out = cuda_guest_graph_handle(graph);
    return result;
}

ENTRY
cuGraphClone(CUgraph *out, CUgraph handle)
{
    struct cuda_guest_thread *self;
    uint32_t graph, clone = 0;
    CUresult result = graph_enter(handle, &self, &graph);

    if (result == CUDA_SUCCESS && !out)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_graph_clone_on(&cuda_guest.client, self->lane, graph, &clone));
    if (result == CUDA_SUCCESS)
        *out = cuda_guest_graph_handle(clone);
    return result;
}

ENTRY
cuGraphDestroy(CUgraph handle)
{
    struct cuda_guest_thread *self;
    uint32_t graph;
    CUresult result = graph_enter(handle, &self, &graph);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_graph_destroy_on(&cuda_guest.client, self->lane, graph));
    if (result == CUDA_SUCCESS)
        cuda_guest_notes_drop(graph);
    return result;
}

ENTRY
cuGraphDestroyNode(CUgraphNode handle)
{
    struct cuda_guest_thread *self;
    uint32_t node;
    CUresult result = node_enter(handle, &self, &node);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_node_destroy_on(&cuda_guest.client, self->lane, node));
    if (result == CUDA_SUCCESS)
        cuda_guest_note_set(node, 0, CU_GRAPH_NODE_TYPE_EMPTY, NULL);
    return result;
}

ENTRY
cuGraphConditionalHandleCreate(CUgraphConditionalHandle *out, CUgraph handle, CUcontext context, unsigned int value,
                               unsigned int flags)
{
    struct cuda_guest_thread *self;
    uint64_t made = 0;
    uint32_t graph;
    CUresult result = graph_enter(handle, &self, &graph);

    if (result != CUDA_SUCCESS)
        return result;
    if (!out || (context && context != cuda_guest_handle(&cuda_guest_view(self)->object)))
        return CUDA_ERROR_INVALID_VALUE;
    result =
        cuda_guest_result(cuda_graph_conditional_handle_on(&cuda_guest.client, self->lane, graph, value, flags, &made));
    if (result == CUDA_SUCCESS)
        *out = made;
    return result;
}

/* ---- Lists ----------------------------------------------------------------------------------- */

/* One of the host's lists as it comes, piece by piece. */
struct list {
    enum {
        LIST_NODES,
        LIST_ROOTS,
        LIST_EDGES,
        LIST_BEFORE,
        LIST_BEHIND
    } of;
    uint32_t whose;
    uint64_t total;
    size_t count; /* of the piece */
    uint32_t from[CUDA_GRAPH_NODES_NODES_MAX], to[CUDA_GRAPH_EDGES_TO_MAX];
    CUgraphEdgeData edges[CUDA_NODE_EDGES_EDGES_MAX];
};

static CUresult
list_ask(struct cuda_guest_thread *self, struct list *list, uint64_t first)
{
    const struct gpuvchan_client *client = &cuda_guest.client;
    size_t to, edges;
    int status;

    switch (list->of) {
    case LIST_NODES:
    case LIST_ROOTS:
        list->count = CUDA_GRAPH_NODES_NODES_MAX;
        status = cuda_graph_nodes_on(client, self->lane, list->whose, list->of == LIST_ROOTS, first, &list->total,
                                     list->from, &list->count);
        break;
    case LIST_EDGES:
        list->count = to = edges = CUDA_GRAPH_EDGES_TO_MAX;
        status = cuda_graph_edges_on(client, self->lane, list->whose, first, &list->total, list->from, &list->count,
                                     list->to, &to, list->edges, &edges);
        break;
    default:
        list->count = edges = CUDA_NODE_EDGES_EDGES_MAX;
        status = cuda_node_edges_on(client, self->lane, list->whose, list->of == LIST_BEHIND, first, &list->total,
                                    list->from, &list->count, list->edges, &edges);
        break;
    }
    return cuda_guest_result(status);
}

static bool
is_plain(const CUgraphEdgeData *edge)
{
    return edge->from_port == 0 && edge->to_port == 0 && edge->type == 0;
}

/* Fills what the application gave, from the element @p first on. */
static CUresult
list_give(const struct list *list, size_t first, size_t room, CUgraphNode *from, CUgraphNode *to,
          CUgraphEdgeData *edges)
{
    for (size_t i = 0; i < list->count && first + i < room; i++) {
        from[first + i] = cuda_guest_node_handle(list->from[i]);
        if (to)
            to[first + i] = cuda_guest_node_handle(list->to[i]);
        if (edges)
            edges[first + i] = list->edges[i];
        else if (list->of >= LIST_EDGES && !is_plain(&list->edges[i]))
            return CUDA_ERROR_LOSSY_QUERY;
    }
    return CUDA_SUCCESS;
}

/* CUDA's way: without memory the number is asked for; elements that there are not become NULL. */
static CUresult
list_get(struct cuda_guest_thread *self, struct list *list, CUgraphNode *from, CUgraphNode *to, CUgraphEdgeData *edges,
         size_t *count)
{
    size_t done = 0;
    CUresult result;

    do {
        result = list_ask(self, list, done);
        if (result == CUDA_SUCCESS && from)
            result = list_give(list, done, *count, from, to, edges);
        done += list->count;
    } while (result == CUDA_SUCCESS && from && list->count != 0 && done < list->total && done < *count);
    if (result != CUDA_SUCCESS)
        return result;
    for (size_t i = list->total; from && i < *count; i++) {
        from[i] = NULL;
        if (to)
            to[i] = NULL;
    }
    if (!from || *count > list->total)
        *count = list->total;
    return CUDA_SUCCESS;
}

static CUresult
list_of(int of, struct cuda_guest_thread *self, uint32_t whose, CUgraphNode *from, CUgraphNode *to,
        CUgraphEdgeData *edges, size_t *count)
{
    struct list *list;
    CUresult result;

    if (!count)
        return CUDA_ERROR_INVALID_VALUE;
    list = malloc(sizeof(*list));
    if (!list)
        return CUDA_ERROR_OUT_OF_MEMORY;
    list->of = (__typeof__(list->of))of;
    list->whose = whose;
    result = list_get(self, list, from, to, edges, count);
    free(list);
    return result;
}

ENTRY
cuGraphGetNodes(CUgraph handle, CUgraphNode *nodes, size_t *count)
{
    struct cuda_guest_thread *self;
    uint32_t graph;
    CUresult result = graph_enter(handle, &self, &graph);

    return result == CUDA_SUCCESS ? list_of(LIST_NODES, self, graph, nodes, NULL, NULL, count) : result;
}

ENTRY
cuGraphGetRootNodes(CUgraph handle, CUgraphNode *nodes, size_t *count)
{
    struct cuda_guest_thread *self;
    uint32_t graph;
    CUresult result = graph_enter(handle, &self, &graph);

    return result == CUDA_SUCCESS ? list_of(LIST_ROOTS, self, graph, nodes, NULL, NULL, count) : result;
}

ENTRY
cuGraphGetEdges_v2(CUgraph handle, CUgraphNode *from, CUgraphNode *to, CUgraphEdgeData *edges, size_t *count)
{
    struct cuda_guest_thread *self;
    uint32_t graph;
    CUresult result = graph_enter(handle, &self, &graph);

    if (result == CUDA_SUCCESS && !from != !to)
        result = CUDA_ERROR_INVALID_VALUE;
    return result == CUDA_SUCCESS ? list_of(LIST_EDGES, self, graph, from, to, edges, count) : result;
}

ENTRY
cuGraphGetEdges(CUgraph graph, CUgraphNode *from, CUgraphNode *to, size_t *count)
{
    return cuGraphGetEdges_v2(graph, from, to, NULL, count);
}

ENTRY
cuGraphNodeGetDependencies_v2(CUgraphNode handle, CUgraphNode *nodes, CUgraphEdgeData *edges, size_t *count)
{
    struct cuda_guest_thread *self;
    uint32_t node;
    CUresult result = node_enter(handle, &self, &node);

    return result == CUDA_SUCCESS ? list_of(LIST_BEFORE, self, node, nodes, NULL, edges, count) : result;
}

ENTRY
cuGraphNodeGetDependencies(CUgraphNode node, CUgraphNode *nodes, size_t *count)
{
    return cuGraphNodeGetDependencies_v2(node, nodes, NULL, count);
}

ENTRY
cuGraphNodeGetDependentNodes_v2(CUgraphNode handle, CUgraphNode *nodes, CUgraphEdgeData *edges, size_t *count)
{
    struct cuda_guest_thread *self;
    uint32_t node;
    CUresult result = node_enter(handle, &self, &node);

    return result == CUDA_SUCCESS ? list_of(LIST_BEHIND, self, node, nodes, NULL, edges, count) : result;
}

ENTRY
cuGraphNodeGetDependentNodes(CUgraphNode node, CUgraphNode *nodes, size_t *count)
{
    return cuGraphNodeGetDependentNodes_v2(node, nodes, NULL, count);
}

/* ---- Edges ----------------------------------------------------------------------------------- */

#define EDGES_AT_ONCE CUDA_GRAPH_CHANGE_EDGES_FROM_MAX

CUresult
cuda_guest_change_edges(struct cuda_guest_thread *self, uint32_t graph, bool remove, const CUgraphNode *from,
                        const CUgraphNode *to, const CUgraphEdgeData *edges, size_t count)
{
    uint32_t sources[EDGES_AT_ONCE], targets[EDGES_AT_ONCE];
    CUresult result = CUDA_SUCCESS;

    for (size_t first = 0; first < count && result == CUDA_SUCCESS; first += EDGES_AT_ONCE) {
        size_t piece = count - first < EDGES_AT_ONCE ? count - first : EDGES_AT_ONCE;

        if (!from || !to || !cuda_guest_node_numbers(from + first, piece, sources) ||
            !cuda_guest_node_numbers(to + first, piece, targets))
            return CUDA_ERROR_INVALID_VALUE;
        result = cuda_guest_result(cuda_graph_change_edges_on(&cuda_guest.client, self->lane, graph, remove, sources,
                                                              piece, targets, piece, edges ? edges + first : NULL,
                                                              edges ? piece : 0));
    }
    return result;
}

static CUresult
change(CUgraph handle, bool remove, const CUgraphNode *from, const CUgraphNode *to, const CUgraphEdgeData *edges,
       size_t count)
{
    struct cuda_guest_thread *self;
    uint32_t graph;
    CUresult result = graph_enter(handle, &self, &graph);

    return result == CUDA_SUCCESS ? cuda_guest_change_edges(self, graph, remove, from, to, edges, count) : result;
}

ENTRY
cuGraphAddDependencies_v2(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to, const CUgraphEdgeData *edges,
                          size_t count)
{
    return change(graph, false, from, to, edges, count);
}

ENTRY
cuGraphAddDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to, size_t count)
{
    return change(graph, false, from, to, NULL, count);
}

ENTRY
cuGraphRemoveDependencies_v2(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
                             const CUgraphEdgeData *edges, size_t count)
{
    return change(graph, true, from, to, edges, count);
}

ENTRY
cuGraphRemoveDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to, size_t count)
{
    return change(graph, true, from, to, NULL, count);
}

/* ---- Nodes among graphs ---------------------------------------------------------------------- */

ENTRY
cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType *type)
{
    struct cuda_guest_thread *self;
    int32_t got = 0;
    uint32_t node;
    CUresult result = node_enter(handle, &self, &node);

    if (result == CUDA_SUCCESS && !type)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_node_type_on(&cuda_guest.client, self->lane, node, &got));
    if (result == CUDA_SUCCESS)
        *type = (CUgraphNodeType)got;
    return result;
}

ENTRY
cuGraphChildGraphNodeGetGraph(CUgraphNode handle, CUgraph *out)
{
    struct cuda_guest_thread *self;
    uint32_t node, graph = 0;
    CUresult result = node_enter(handle, &self, &node);

    if (result == CUDA_SUCCESS && !out)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_node_child_on(&cuda_guest.client, self->lane, node, &graph));
    if (result == CUDA_SUCCESS)
        *out = cuda_guest_graph_handle(graph);
    return result;
}

ENTRY
cuGraphNodeFindInClone(CUgraphNode *out, CUgraphNode handle, CUgraph clone)
{
    struct cuda_guest_thread *self;
    uint32_t node, found = 0;
    CUresult result = node_enter(handle, &self, &node);

    if (result == CUDA_SUCCESS && (!out || !cuda_guest_graph_number(clone)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(
            cuda_node_in_clone_on(&cuda_guest.client, self->lane, node, cuda_guest_graph_number(clone), &found));
    if (result == CUDA_SUCCESS)
        *out = cuda_guest_node_handle(found);
    return result;
}

ENTRY
cuGraphKernelNodeGetAttribute(CUgraphNode handle, CUkernelNodeAttrID attribute, CUkernelNodeAttrValue *value)
{
    struct cuda_guest_thread *self;
    uint32_t node;
    CUresult result = node_enter(handle, &self, &node);

    if (result == CUDA_SUCCESS && !value)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(
        cuda_node_get_attribute_on(&cuda_guest.client, self->lane, node, (int32_t)attribute, value));
}

ENTRY
cuGraphKernelNodeSetAttribute(CUgraphNode handle, CUkernelNodeAttrID attribute, const CUkernelNodeAttrValue *value)
{
    struct cuda_guest_thread *self;
    uint32_t node;
    CUresult result = node_enter(handle, &self, &node);

    if (result == CUDA_SUCCESS && !value)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(
        cuda_node_set_attribute_on(&cuda_guest.client, self->lane, node, (int32_t)attribute, value));
}

ENTRY
cuGraphKernelNodeCopyAttributes(CUgraphNode to, CUgraphNode from)
{
    struct cuda_guest_thread *self;
    uint32_t node;
    CUresult result = node_enter(to, &self, &node);

    if (result == CUDA_SUCCESS && !cuda_guest_node_number(from))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(
        cuda_node_copy_attributes_on(&cuda_guest.client, self->lane, node, cuda_guest_node_number(from)));
}

/* ---- As a drawing ---------------------------------------------------------------------------- */

static const char *
type_name(CUgraphNodeType type)
{
    static const char *const names[] = {"KERNEL",    "MEMCPY",     "MEMSET",       "HOST",         "GRAPH",
                                        "EMPTY",     "WAIT_EVENT", "EVENT_RECORD", "SEMAS_SIGNAL", "SEMAS_WAIT",
                                        "MEM_ALLOC", "MEM_FREE",   "BATCH_MEM_OP", "CONDITIONAL"};

    return (size_t)type < sizeof(names) / sizeof(names[0]) ? names[type] : "UNKNOWN";
}

static CUresult
dot_nodes(FILE *file, CUgraph graph, CUgraphNode *nodes, size_t count)
{
    CUgraphNodeType type = CU_GRAPH_NODE_TYPE_EMPTY;
    CUresult result = cuGraphGetNodes(graph, nodes, &count);

    for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++) {
        result = cuGraphNodeGetType(nodes[i], &type);
        if (result == CUDA_SUCCESS)
            fprintf(file, "  \"node_%u\" [label=\"%s\"];\n", cuda_guest_node_number(nodes[i]), type_name(type));
    }
    return result;
}

static CUresult
dot_edges(FILE *file, CUgraph graph)
{
    size_t count = 0;
    CUresult result = cuGraphGetEdges_v2(graph, NULL, NULL, NULL, &count);
    CUgraphNode *from = calloc(2 * count + 1, sizeof(CUgraphNode));
    CUgraphEdgeData *data = calloc(count + 1, sizeof(*data));

    if (!from || !data)
        result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS)
        result = cuGraphGetEdges_v2(graph, from, from + count, data, &count);
    for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++)
        fprintf(file, "  \"node_%u\" -> \"node_%u\";\n", cuda_guest_node_number(from[i]),
                cuda_guest_node_number(from[count + i]));
    free(from);
    free(data);
    return result;
}

/* Nodes by kind and what depends on what; the flags ask for more, which the driver alone could draw. */
ENTRY
cuGraphDebugDotPrint(CUgraph graph, const char *path, unsigned int flags)
{
    size_t count = 0;
    CUresult result = cuGraphGetNodes(graph, NULL, &count);
    CUgraphNode *nodes;
    FILE *file;

    (void)flags;
    if (result != CUDA_SUCCESS)
        return result;
    file = path ? fopen(path, "w") : NULL;
    if (!file)
        return path ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_ERROR_INVALID_VALUE;
    nodes = calloc(count + 1, sizeof(CUgraphNode));
    fprintf(file, "digraph graph_%u {\n", cuda_guest_graph_number(graph));
    result = nodes ? dot_nodes(file, graph, nodes, count) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS)
        result = dot_edges(file, graph);
    fputs("}\n", file);
    free(nodes);
    return fclose(file) == 0 ? result : CUDA_ERROR_OPERATING_SYSTEM;
}

/* ---- Executable graphs ----------------------------------------------------------------------- */

/* Why the last one of this thread failed. */
static void
instantiate_why(struct cuda_guest_thread *self, CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
    int32_t outcome = CUDA_GRAPH_INSTANTIATE_ERROR;
    uint32_t node = 0;

    cuda_graph_instantiate_why_on(&cuda_guest.client, self->lane, &outcome, &node);
    params->result_out = (CUgraphInstantiateResult)outcome;
    params->hErrNode_out = cuda_guest_node_handle(node);
}

ENTRY
cuGraphInstantiateWithParams(CUgraphExec *out, CUgraph handle, CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_exec *exec;
    uint32_t graph, upload = 0;
    CUresult result = graph_enter(handle, &self, &graph);

    if (result == CUDA_SUCCESS && (!out || !params))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = cuda_guest_stream_wire(self, params->hUploadStream, &upload, NULL);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_object_create(CUDA_HANDLE_GRAPH_EXEC, sizeof(*exec), cuda_guest_current(self), &exec);
    if (result != CUDA_SUCCESS)
        return result;
    exec->flags = params->flags;
    result = cuda_guest_result(
        cuda_graph_instantiate_on(&cuda_guest.client, self->lane, exec->object.handle, graph, params->flags, upload));
    if (result != CUDA_SUCCESS) {
        cuda_guest_object_undo(&exec->object);
        instantiate_why(self, params);
        return result;
    }
    params->result_out = CUDA_GRAPH_INSTANTIATE_SUCCESS;
    params->hErrNode_out = NULL;
    *out = cuda_guest_handle(&exec->object);
    return CUDA_SUCCESS;
}

ENTRY
cuGraphInstantiateWithParams_ptsz(CUgraphExec *out, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
    if (params && params->flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD)
        params->hUploadStream = cuda_guest_per_thread(params->hUploadStream);
    return cuGraphInstantiateWithParams(out, graph, params);
}

ENTRY
cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph graph, unsigned long long flags)
{
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = flags};

    if (flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD) /* there is no stream to do that in */
        return CUDA_ERROR_INVALID_VALUE;
    return cuGraphInstantiateWithParams(out, graph, &params);
}

ENTRY
cuGraphInstantiate_v2(CUgraphExec *out, CUgraph graph, CUgraphNode *error_node, char *log, size_t log_bytes)
{
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = 0};
    CUresult result = cuGraphInstantiateWithParams(out, graph, &params);

    if (error_node)
        *error_node = params.hErrNode_out;
    if (log && log_bytes)
        log[0] = '\0';
    return result;
}

ENTRY
cuGraphInstantiate(CUgraphExec *out, CUgraph graph, CUgraphNode *error_node, char *log, size_t log_bytes)
{
    return cuGraphInstantiate_v2(out, graph, error_node, log, log_bytes);
}

static CUresult
exec_enter(CUgraphExec handle, struct cuda_guest_thread **self, struct cuda_guest_exec **exec)
{
    CUresult result = cuda_guest_enter(self);

    if (result != CUDA_SUCCESS)
        return result;
    *exec = cuda_guest_find(handle, CUDA_HANDLE_GRAPH_EXEC);
    return *exec ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

ENTRY
cuGraphExecDestroy(CUgraphExec handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_exec *exec;
    CUresult result = cuda_guest_enter(&self);
    uint32_t wire;

    if (result != CUDA_SUCCESS)
        return result;
    exec = cuda_guest_take(handle, CUDA_HANDLE_GRAPH_EXEC);
    if (!exec)
        return CUDA_ERROR_INVALID_VALUE;
    wire = exec->object.handle;
    cuda_guest_object_free(&exec->object);
    return cuda_guest_result(cuda_graph_exec_destroy_on(&cuda_guest.client, self->lane, wire));
}

ENTRY
cuGraphExecGetFlags(CUgraphExec handle, cuuint64_t *flags)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_exec *exec;
    CUresult result = exec_enter(handle, &self, &exec);

    if (result == CUDA_SUCCESS && !flags)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *flags = exec->flags & ~(uint64_t)CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD;
    return result;
}

ENTRY
cuGraphExecUpdate_v2(CUgraphExec handle, CUgraph graph, CUgraphExecUpdateResultInfo *info)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_exec *exec;
    int32_t status = 0, outcome = 0;
    uint32_t node = 0, from = 0;
    CUresult result = exec_enter(handle, &self, &exec);

    if (result == CUDA_SUCCESS && (!info || !cuda_guest_graph_number(graph)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_graph_exec_update_on(&cuda_guest.client, self->lane, exec->object.handle,
                                                             cuda_guest_graph_number(graph), &status, &outcome, &node,
                                                             &from));
    if (result != CUDA_SUCCESS)
        return result;
    info->result = (CUgraphExecUpdateResult)outcome;
    info->errorNode = cuda_guest_node_handle(node);
    info->errorFromNode = cuda_guest_node_handle(from);
    return (CUresult)status;
}

ENTRY
cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode *error_node, CUgraphExecUpdateResult *outcome)
{
    CUgraphExecUpdateResultInfo info = {0};
    CUresult result = cuGraphExecUpdate_v2(exec, graph, &info);

    if (error_node)
        *error_node = info.errorNode;
    if (outcome)
        *outcome = info.result;
    return result;
}

ENTRY
cuGraphNodeSetEnabled(CUgraphExec handle, CUgraphNode node, unsigned int enabled)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_exec *exec;
    CUresult result = exec_enter(handle, &self, &exec);

    if (result == CUDA_SUCCESS && !cuda_guest_node_number(node))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_graph_exec_enable_on(&cuda_guest.client, self->lane, exec->object.handle,
                                                       cuda_guest_node_number(node), enabled));
}

ENTRY
cuGraphNodeGetEnabled(CUgraphExec handle, CUgraphNode node, unsigned int *enabled)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_exec *exec;
    CUresult result = exec_enter(handle, &self, &exec);

    if (result == CUDA_SUCCESS && (!enabled || !cuda_guest_node_number(node)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_graph_exec_enabled_on(&cuda_guest.client, self->lane, exec->object.handle,
                                                        cuda_guest_node_number(node), enabled));
}

static CUresult
exec_stream_enter(CUgraphExec handle, CUstream stream, struct cuda_guest_thread **self, struct cuda_guest_exec **exec,
                  uint32_t *wire)
{
    CUresult result = exec_enter(handle, self, exec);

    return result == CUDA_SUCCESS ? cuda_guest_stream_wire(*self, stream, wire, NULL) : result;
}

ENTRY
cuGraphLaunch(CUgraphExec handle, CUstream stream)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_exec *exec;
    uint32_t wire;
    CUresult result = exec_stream_enter(handle, stream, &self, &exec, &wire);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_graph_launch_on(&cuda_guest.client, self->lane, exec->object.handle, wire));
}

ENTRY
cuGraphLaunch_ptsz(CUgraphExec exec, CUstream stream)
{
    return cuGraphLaunch(exec, cuda_guest_per_thread(stream));
}

ENTRY
cuGraphUpload(CUgraphExec handle, CUstream stream)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_exec *exec;
    uint32_t wire;
    CUresult result = exec_stream_enter(handle, stream, &self, &exec, &wire);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_result(cuda_graph_upload_on(&cuda_guest.client, self->lane, exec->object.handle, wire));
}

ENTRY
cuGraphUpload_ptsz(CUgraphExec exec, CUstream stream)
{
    return cuGraphUpload(exec, cuda_guest_per_thread(stream));
}

/* ---- Memory of graphs ------------------------------------------------------------------------ */

static CUresult
device_enter(CUdevice number, struct gpuvchan_lane **lane, uint32_t *ordinal)
{
    const struct cuda_guest_device *device;
    CUresult result = cuda_guest_ready();

    if (result != CUDA_SUCCESS)
        return result;
    device = cuda_guest_device(number);
    if (!device)
        return CUDA_ERROR_INVALID_DEVICE;
    *ordinal = device->ordinal;
    *lane = gpuvchan_lane_current(cuda_guest.channel);
    return *lane ? CUDA_SUCCESS : cuda_guest_result(gpuvchan_channel_error(cuda_guest.channel));
}

ENTRY
cuDeviceGraphMemTrim(CUdevice device)
{
    struct gpuvchan_lane *lane;
    uint32_t ordinal;
    CUresult result = device_enter(device, &lane, &ordinal);

    return result == CUDA_SUCCESS ? cuda_guest_result(cuda_graph_memory_trim_on(&cuda_guest.client, lane, ordinal))
                                  : result;
}

ENTRY
cuDeviceGetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attribute, void *value)
{
    struct gpuvchan_lane *lane;
    uint64_t got = 0;
    uint32_t ordinal;
    CUresult result = device_enter(device, &lane, &ordinal);

    if (result == CUDA_SUCCESS && !value)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result =
            cuda_guest_result(cuda_graph_memory_get_on(&cuda_guest.client, lane, ordinal, (int32_t)attribute, &got));
    if (result == CUDA_SUCCESS)
        memcpy(value, &got, sizeof(got));
    return result;
}

ENTRY
cuDeviceSetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attribute, void *value)
{
    struct gpuvchan_lane *lane;
    uint64_t wanted;
    uint32_t ordinal;
    CUresult result = device_enter(device, &lane, &ordinal);

    if (result == CUDA_SUCCESS && !value)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    memcpy(&wanted, value, sizeof(wanted));
    return cuda_guest_result(cuda_graph_memory_set_on(&cuda_guest.client, lane, ordinal, (int32_t)attribute, wanted));
}
