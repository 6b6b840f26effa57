/* SPDX-License-Identifier: MIT */
/*
 * Graphs out of a snapshot. Their nodes pass the same checks as those that a guest adds. A graph inside of a node is
 * filled after the node has been made with an empty one.
 */
#include "suspend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph_node.h"

struct graph_read {
    CUgraph native;
    struct cuda_graph *known; /* NULL: the guest does not know it */
    uint32_t context;
    CUgraphNode *nodes;
    struct cuda_object **objects; /* of those, where the guest knows them */
    size_t count, room;
};

struct function_read {
    uint32_t token;
    CUDA_HOST_NODE_PARAMS made;
};

struct cuda_graphs_read {
    struct graph_read *graphs;
    size_t count, room;
    struct function_read *functions;
    size_t function_count, function_room;
};

static bool
grow(void *list, size_t count, size_t *room, size_t bytes)
{
    void *grown, **at = list;

    if (count < *room)
        return true;
    grown = realloc(*at, (*room ? *room * 2 : 16) * bytes);
    if (!grown)
        return false;
    *at = grown;
    *room = *room ? *room * 2 : 16;
    return true;
}

static struct cuda_graphs_read *
graphs_of(struct cuda_resuming *resuming)
{
    if (!resuming->graphs)
        resuming->graphs = calloc(1, sizeof(*resuming->graphs));
    return resuming->graphs;
}

void
cuda_graphs_read_finish(struct cuda_resuming *resuming)
{
    struct cuda_graphs_read *read = resuming->graphs;

    if (!read)
        return;
    for (size_t i = 0; i < read->count; i++) {
        free(read->graphs[i].nodes);
        free(read->graphs[i].objects);
    }
    free(read->graphs);
    free(read->functions);
    free(read);
    resuming->graphs = NULL;
}

/* ---- Graphs ---------------------------------------------------------------------------------- */

/* The graph inside of a node of another one. */
static int
inner_find(struct cuda_resuming *resuming, const struct suspend_graph *item, struct graph_read *made,
           struct cuda_object **owner)
{
    const struct cuda_graphs_read *read = resuming->graphs;
    const struct graph_read *outer = item->outer <= read->count ? &read->graphs[item->outer - 1] : NULL;
    CUgraphNodeType type;

    if (!outer || item->node >= outer->count ||
        resuming->host->native->cuGraphNodeGetType(outer->nodes[item->node], &type) != CUDA_SUCCESS ||
        type != CU_GRAPH_NODE_TYPE_GRAPH)
        return cuda_resume_damaged("a graph in a node that has none");
    *owner = outer->objects[item->node];
    made->context = outer->context;
    return cuda_resume_result(
        resuming, resuming->host->native->cuGraphChildGraphNodeGetGraph(outer->nodes[item->node], &made->native),
        "graph %u", item->number);
}

int
cuda_load_graph(struct cuda_resuming *resuming, const struct suspend_graph *item)
{
    const struct cuda_driver *native = resuming->host->native;
    struct cuda_graphs_read *read = graphs_of(resuming);
    struct graph_read made = {.context = item->context};
    struct cuda_object *owner = cuda_resume_find(resuming, CUDA_OBJECT_CONTEXT, item->context);
    int error = 0;

    if (!read || !grow(&read->graphs, read->count, &read->room, sizeof(*read->graphs)))
        return -ENOMEM;
    if (!native->cuGraphAddNode || (item->outer == 0 && (!owner || item->number == 0)))
        return cuda_resume_damaged("a graph of no context");
    if (item->outer)
        error = inner_find(resuming, item, &made, &owner);
    else
        error = cuda_resume_result(resuming, native->cuGraphCreate(&made.native, 0), "graph %u", item->number);
    if (error == 0 && item->number && owner) {
        made.known = (struct cuda_graph *)cuda_numbered_again(resuming->host, CUDA_OBJECT_GRAPH, made.native, owner,
                                                              item->number);
        if (!made.known) {
            if (!item->outer)
                native->cuGraphDestroy(made.native);
            error = cuda_resume_damaged("a graph's number is taken");
        } else {
            made.known->origin = (struct cuda_source){item->origin, 0};
        }
    }
    if (error == 0)
        read->graphs[read->count++] = made;
    return error;
}

int
cuda_load_gone(struct cuda_resuming *resuming, const struct suspend_gone *item)
{
    struct cuda_graph *graph = cuda_graph_numbered(resuming->host, item->graph);
    const struct cuda_object *owner = graph ? atomic_load(&graph->is.object.owner) : NULL;

    if (!graph || graph->lasts || graph->execs == 0 || !owner || owner->kind != CUDA_OBJECT_CONTEXT)
        return cuda_resume_damaged("a graph lasts that is not there");
    return cuda_graph_let_last(resuming->lane, graph);
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

/* Graphs that have the same function of the guest's have the same one of ours: its end is told once. */
static int
function_of(struct cuda_resuming *resuming, uint32_t token, CUgraph graph, CUDA_HOST_NODE_PARAMS *out)
{
    struct cuda_graphs_read *read = resuming->graphs;
    int result;

    for (size_t i = 0; i < read->function_count; i++)
        if (read->functions[i].token == token) {
            *out = read->functions[i].made;
            return cuda_callback_keep(resuming->host, out, graph);
        }
    if (!grow(&read->functions, read->function_count, &read->function_room, sizeof(*read->functions)))
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = cuda_callback_make(resuming->host, token, graph, out);
    if (result == CUDA_SUCCESS)
        read->functions[read->function_count++] = (struct function_read){token, *out};
    return result;
}

static int
add_function(struct cuda_resuming *resuming, const struct graph_read *graph, uint32_t token, CUgraphNode *node)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_HOST};
    CUDA_HOST_NODE_PARAMS function = {0};
    int result = function_of(resuming, token, graph->native, &function);

    if (result != CUDA_SUCCESS)
        return result;
    params.host.fn = function.fn;
    params.host.userData = function.userData;
    return resuming->host->native->cuGraphAddNode(node, graph->native, NULL, NULL, 0, &params);
}

static int
add_empty_graph(struct cuda_resuming *resuming, const struct graph_read *graph, CUgraphNode *node)
{
    const struct cuda_driver *native = resuming->host->native;
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_GRAPH};
    int result = native->cuGraphCreate(&params.graph.graph, 0);

    if (result != CUDA_SUCCESS)
        return result;
    result = native->cuGraphAddNode(node, graph->native, NULL, NULL, 0, &params);
    native->cuGraphDestroy(params.graph.graph);
    return result;
}

/* Memory of the arena from a place on, to its end. */
static void
arena_from(struct cuda_resuming *resuming, uint64_t place, void **at, size_t *bytes)
{
    uint64_t all;
    unsigned char *arena = gpuvchan_session_arena(resuming->host->session, &all);

    *at = NULL;
    *bytes = 0;
    if (place == 0 || place > all)
        return;
    *at = arena + (place - 1);
    *bytes = (size_t)(all - (place - 1));
}

static int
add_told(struct cuda_resuming *resuming, const struct graph_read *graph, const struct suspend_node *item,
         const unsigned char *more, CUgraphNode *node)
{
    struct cuda_graph unknown = {.is = {.native = graph->native}};
    CUstreamBatchMemOpParams operations[CUDA_NODE_SET_OPERATIONS_MAX];
    struct cuda_told told = {.params = &item->params,
                             .kernel = cuda_resume_find(resuming, CUDA_OBJECT_FUNCTION, item->kernel),
                             .event = cuda_resume_find(resuming, CUDA_OBJECT_EVENT, item->event),
                             .from_array = cuda_resume_find(resuming, CUDA_OBJECT_ARRAY, item->from_array),
                             .to_array = cuda_resume_find(resuming, CUDA_OBJECT_ARRAY, item->to_array),
                             .parameters = more,
                             .parameter_bytes = item->parameter_bytes,
                             .operations = operations,
                             .operation_count = item->operations};
    int result;

    memcpy(operations, more + item->parameter_bytes, item->operations * sizeof(operations[0]));
    arena_from(resuming, item->from, &told.from, &told.from_bytes);
    arena_from(resuming, item->to, &told.to, &told.to_bytes);
    result = cuda_enter(resuming->lane, NULL, NULL);
    if (result != 0)
        return result;
    result = cuda_node_add_told(resuming->lane, graph->known ? graph->known : &unknown, &told, node);
    return cuda_leave(resuming->lane, result);
}

static int
set_attributes(struct cuda_resuming *resuming, CUgraphNode node, const struct suspend_node *item,
               const unsigned char *more)
{
    const struct cuda_driver *native = resuming->host->native;
    int result = cuda_enter(resuming->lane, NULL, NULL);

    for (uint32_t i = 0; i < item->attributes && result == 0; i++) {
        struct suspend_node_attribute wanted;
        CUlaunchAttributeValue is;

        memcpy(&wanted, more + i * sizeof(wanted), sizeof(wanted));
        memset(&is, 0, sizeof(is));
        if (!cuda_attribute_fits(resuming->lane, wanted.attribute, &wanted.value))
            result = CUDA_ERROR_INVALID_VALUE;
        else if (native->cuGraphKernelNodeGetAttribute(node, (CUkernelNodeAttrID)wanted.attribute, &is) !=
                     CUDA_SUCCESS ||
                 memcmp(&is, &wanted.value, sizeof(is)) != 0)
            result = native->cuGraphKernelNodeSetAttribute(node, (CUkernelNodeAttrID)wanted.attribute, &wanted.value);
    }
    return cuda_leave(resuming->lane, result);
}

static int
add(struct cuda_resuming *resuming, const struct graph_read *graph, const struct suspend_node *item,
    const unsigned char *more, CUgraphNode *node)
{
    size_t used = item->parameter_bytes + item->operations * sizeof(CUstreamBatchMemOpParams);
    int result;

    if (item->params.type == CU_GRAPH_NODE_TYPE_HOST)
        return add_function(resuming, graph, item->token, node);
    if (item->params.type == CU_GRAPH_NODE_TYPE_GRAPH)
        return add_empty_graph(resuming, graph, node);
    result = add_told(resuming, graph, item, more, node);
    return result == 0 ? set_attributes(resuming, *node, item, more + used) : result;
}

int
cuda_load_node(struct cuda_resuming *resuming, const struct suspend_node *item, const unsigned char *more, size_t bytes)
{
    struct cuda_graphs_read *read = resuming->graphs;
    struct graph_read *graph = read && read->count > 0 ? &read->graphs[read->count - 1] : NULL;
    struct cuda_numbered *known = NULL;
    CUgraphNode node = NULL;
    size_t room;
    int error;

    if (!graph || item->operations > CUDA_NODE_SET_OPERATIONS_MAX || item->attributes > 8 ||
        bytes != item->parameter_bytes + item->operations * sizeof(CUstreamBatchMemOpParams) +
                     item->attributes * sizeof(struct suspend_node_attribute) ||
        item->params.type == CU_GRAPH_NODE_TYPE_MEM_ALLOC || item->params.type == CU_GRAPH_NODE_TYPE_CONDITIONAL ||
        !cuda_resume_context(resuming, graph->context))
        return cuda_resume_damaged("a node without a graph");
    room = graph->room;
    if (!grow(&graph->nodes, graph->count, &room, sizeof(*graph->nodes)) ||
        !grow(&graph->objects, graph->count, &graph->room, sizeof(*graph->objects)))
        return -ENOMEM;
    error = cuda_resume_result(resuming, add(resuming, graph, item, more, &node), "a node of type %d",
                               (int)item->params.type);
    if (error != 0)
        return error;
    if (item->number && graph->known) {
        known = cuda_numbered_again(resuming->host, CUDA_OBJECT_NODE, node, &graph->known->is.object, item->number);
        if (!known)
            return cuda_resume_damaged("a node's number is taken");
        ((struct cuda_node *)known)->staged = item->staged != 0;
    }
    graph->nodes[graph->count] = node;
    graph->objects[graph->count++] = known ? &known->object : NULL;
    return 0;
}

/* ---- Edges ----------------------------------------------------------------------------------- */

int
cuda_load_edges(struct cuda_resuming *resuming, const struct suspend_edges *item, const unsigned char *more,
                size_t bytes)
{
    const struct cuda_graphs_read *read = resuming->graphs;
    const struct graph_read *graph = read && item->graph < read->count ? &read->graphs[item->graph] : NULL;
    int error = 0;

    if (!graph || bytes != item->count * sizeof(struct suspend_edge))
        return cuda_resume_damaged("edges without a graph");
    for (uint32_t i = 0; i < item->count && error == 0; i++) {
        struct suspend_edge edge;

        memcpy(&edge, more + i * sizeof(edge), sizeof(edge));
        if (edge.from >= graph->count || edge.to >= graph->count)
            return cuda_resume_damaged("an edge without nodes");
        error = cuda_resume_result(resuming,
                                   resuming->host->native->cuGraphAddDependencies(
                                       graph->native, &graph->nodes[edge.from], &graph->nodes[edge.to], &edge.data, 1),
                                   "an edge");
    }
    return error;
}
