/* SPDX-License-Identifier: MIT */
/*
 * Graphs, as the driver tells of them: each with its nodes, its edges, and then the graphs inside of its nodes.
 *
 * Design notes: a graph that was captured has come into being without the guest's describing it, and the driver knows what
 * is in it. An executable graph tells nothing. It is made again of the graph that it was made of, which must be what
 * it was; what was set in it since is replayed.
 */
#include "suspend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph_node.h"
#include "journal.h"

#include "cuda-guest.h"

#define PARAMETERS_MOST 32768u
#define DEPTH 32 /* of graphs in graphs */

struct place {
    struct cuda_graph *root;
    CUgraph native;
    uint32_t number, outer, node;
    int depth;
};

static int
unreadable(const struct place *place, CUresult result, const struct cuda_driver *native)
{
    return cuda_suspend_refuse(-EIO, "graph %u cannot be read: %s", place->root->is.number,
                               cuda_driver_error(native, result));
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

/* Those of a kernel's node that are not nothing. */
static uint32_t
look_attributes(const struct cuda_driver *native, CUgraphNode node, struct suspend_node_attribute *attributes)
{
    static const CUlaunchAttributeID known[] = {
        CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW,
        CU_LAUNCH_ATTRIBUTE_COOPERATIVE,
        CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
        CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE,
        CU_LAUNCH_ATTRIBUTE_PRIORITY,
        CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP,
        CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN,
        CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT,
    };
    uint32_t count = 0;

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct suspend_node_attribute *attribute = &attributes[count];
        CUlaunchAttributeValue none;

        memset(&none, 0, sizeof(none));
        memset(attribute, 0, sizeof(*attribute));
        attribute->attribute = (int32_t)known[i];
        if (native->cuGraphKernelNodeGetAttribute(node, known[i], &attribute->value) == CUDA_SUCCESS &&
            memcmp(&attribute->value, &none, sizeof(none)) != 0)
            count++;
    }
    return count;
}

/* Memory that the driver calls by one address, whatever it is: what is in the arena is registered. */
static void
unify(CUDA_MEMCPY3D *copy)
{
    if (copy->srcMemoryType == CU_MEMORYTYPE_UNIFIED)
        copy->srcMemoryType = CU_MEMORYTYPE_DEVICE;
    if (copy->dstMemoryType == CU_MEMORYTYPE_UNIFIED)
        copy->dstMemoryType = CU_MEMORYTYPE_DEVICE;
}

static int
check_node(const struct place *place, const struct suspend_node *item)
{
    const CUDA_MEMCPY3D *copy = &item->params.memcpy.copyParams;
    const char *what = NULL;

    if (item->params.type == CU_GRAPH_NODE_TYPE_KERNEL && !item->kernel)
        what = "a kernel that is gone";
    else if ((item->params.type == CU_GRAPH_NODE_TYPE_WAIT_EVENT ||
              item->params.type == CU_GRAPH_NODE_TYPE_EVENT_RECORD) &&
             !item->event)
        what = "an event that is gone";
    else if (item->params.type == CU_GRAPH_NODE_TYPE_HOST && !item->token)
        what = "a function that is not the guest's";
    else if (item->params.type == CU_GRAPH_NODE_TYPE_MEMCPY &&
             ((copy->srcMemoryType == CU_MEMORYTYPE_HOST && !item->from) ||
              (copy->dstMemoryType == CU_MEMORYTYPE_HOST && !item->to) ||
              (copy->srcMemoryType == CU_MEMORYTYPE_ARRAY && !item->from_array) ||
              (copy->dstMemoryType == CU_MEMORYTYPE_ARRAY && !item->to_array)))
        what = "memory that is gone";
    return what ? cuda_suspend_refuse(-ENOTSUP, "graph %u is about %s", place->root->is.number, what) : 0;
}

static int
save_node(struct cuda_saving *saving, const struct place *place, CUgraphNode node, CUgraphNodeType type)
{
    const struct cuda_driver *native = saving->host->native;
    unsigned char more[PARAMETERS_MOST + CUDA_NODE_SET_OPERATIONS_MAX * sizeof(CUstreamBatchMemOpParams) +
                       8 * sizeof(struct suspend_node_attribute)];
    CUstreamBatchMemOpParams operations[CUDA_NODE_SET_OPERATIONS_MAX];
    struct suspend_node_attribute attributes[8];
    struct suspend_node item;
    struct cuda_looked looked = {.params = &item.params,
                                 .parameters = more,
                                 .parameter_bytes = PARAMETERS_MOST,
                                 .operations = operations,
                                 .operation_count = CUDA_NODE_SET_OPERATIONS_MAX};
    const struct cuda_numbered *known = cuda_numbered_find(saving->host, node);
    CUresult result = CUDA_SUCCESS;
    size_t used;
    int error;

    memset(&item, 0, sizeof(item));
    item.params.type = type;
    if (type == CU_GRAPH_NODE_TYPE_GRAPH || type == CU_GRAPH_NODE_TYPE_EMPTY)
        looked.parameter_bytes = looked.operation_count = 0;
    else
        result = (CUresult)cuda_node_look(cuda_own_lane(saving->host), node, type, &looked);
    if (result != CUDA_SUCCESS)
        return unreadable(place, result, native);
    if (type == CU_GRAPH_NODE_TYPE_MEMCPY)
        unify(&item.params.memcpy.copyParams);
    item.number = known ? known->number : 0;
    item.staged = known && ((const struct cuda_node *)known)->staged;
    item.kernel = looked.kernel;
    item.event = looked.event;
    item.token = looked.token;
    item.from_array = looked.from_array;
    item.to_array = looked.to_array;
    item.from = looked.from;
    item.to = looked.to;
    error = check_node(place, &item);
    if (error != 0)
        return error;
    item.parameter_bytes = (uint32_t)looked.parameter_bytes;
    item.operations = (uint32_t)looked.operation_count;
    item.attributes = type == CU_GRAPH_NODE_TYPE_KERNEL ? look_attributes(native, node, attributes) : 0;
    used = item.parameter_bytes;
    memcpy(more + used, operations, item.operations * sizeof(operations[0]));
    used += item.operations * sizeof(operations[0]);
    memcpy(more + used, attributes, item.attributes * sizeof(attributes[0]));
    used += item.attributes * sizeof(attributes[0]);
    return cuda_save(saving, SUSPEND_NODE, &item, sizeof(item), more, used);
}

/* ---- Edges ----------------------------------------------------------------------------------- */

struct indexed {
    CUgraphNode node;
    uint32_t index;
};

static int
by_node(const void *a, const void *b)
{
    const struct indexed *first = a, *second = b;

    return first->node < second->node ? -1 : first->node > second->node;
}

static uint32_t
index_of(const struct indexed *nodes, size_t count, CUgraphNode node)
{
    const struct indexed *found = bsearch(&(struct indexed){.node = node}, nodes, count, sizeof(*nodes), by_node);

    return found ? found->index : UINT32_MAX;
}

#define EDGES_AT_ONCE 65536u

static int
save_edge_list(struct cuda_saving *saving, uint32_t graph, const struct suspend_edge *edges, size_t count)
{
    int error = 0;

    for (size_t i = 0; i < count && error == 0; i += EDGES_AT_ONCE) {
        struct suspend_edges item = {graph, (uint32_t)(count - i < EDGES_AT_ONCE ? count - i : EDGES_AT_ONCE)};

        error = cuda_save(saving, SUSPEND_EDGES, &item, sizeof(item), edges + i, item.count * sizeof(*edges));
    }
    return error;
}

static int
save_edges(struct cuda_saving *saving, const struct place *place, uint32_t index, const CUgraphNode *nodes,
           size_t count)
{
    const struct cuda_driver *native = saving->host->native;
    size_t edge_count = 0;
    CUresult result = native->cuGraphGetEdges(place->native, NULL, NULL, NULL, &edge_count);
    struct indexed *indexed = calloc(count + 1, sizeof(*indexed));
    struct suspend_edge *edges = calloc(edge_count + 1, sizeof(*edges));
    CUgraphNode *ends = calloc(2 * edge_count + 1, sizeof(*ends));
    CUgraphEdgeData *data = calloc(edge_count + 1, sizeof(*data));
    int error = -ENOMEM;

    if (indexed && edges && ends && data) {
        if (result == CUDA_SUCCESS && edge_count > 0)
            result = native->cuGraphGetEdges(place->native, ends, ends + edge_count, data, &edge_count);
        for (size_t i = 0; i < count; i++)
            indexed[i] = (struct indexed){nodes[i], (uint32_t)i};
        if (count > 0)
            qsort(indexed, count, sizeof(*indexed), by_node);
        for (size_t i = 0; i < edge_count; i++)
            edges[i] = (struct suspend_edge){index_of(indexed, count, ends[i]),
                                             index_of(indexed, count, ends[edge_count + i]), data[i]};
        error = result == CUDA_SUCCESS ? save_edge_list(saving, index, edges, edge_count)
                                       : unreadable(place, result, native);
    }
    free(indexed);
    free(edges);
    free(ends);
    free(data);
    return error;
}

/* ---- Graphs ---------------------------------------------------------------------------------- */

static int save_graph(struct cuda_saving *saving, const struct place *place);

static int
save_nodes(struct cuda_saving *saving, const struct place *place, uint32_t index, const CUgraphNode *nodes,
           CUgraphNodeType *types, size_t count)
{
    const struct cuda_driver *native = saving->host->native;
    int error = 0;

    for (size_t i = 0; i < count && error == 0; i++) {
        CUresult result = native->cuGraphNodeGetType(nodes[i], &types[i]);

        if (result != CUDA_SUCCESS)
            return unreadable(place, result, native);
        if (types[i] == CU_GRAPH_NODE_TYPE_CONDITIONAL)
            return cuda_suspend_refuse(-ENOTSUP, "graph %u has a conditional node", place->root->is.number);
        if (types[i] == CU_GRAPH_NODE_TYPE_MEM_ALLOC || types[i] == CU_GRAPH_NODE_TYPE_MEM_FREE)
            return cuda_suspend_refuse(-ENOTSUP, "graph %u allocates memory", place->root->is.number);
        error = save_node(saving, place, nodes[i], types[i]);
    }
    if (error == 0)
        error = save_edges(saving, place, index, nodes, count);
    for (size_t i = 0; i < count && error == 0; i++) {
        struct place inner = {.root = place->root, .outer = index + 1, .node = (uint32_t)i, .depth = place->depth + 1};
        CUresult result;

        if (types[i] != CU_GRAPH_NODE_TYPE_GRAPH)
            continue;
        result = native->cuGraphChildGraphNodeGetGraph(nodes[i], &inner.native);
        inner.number = cuda_numbered_known(saving->host, inner.native);
        error = result == CUDA_SUCCESS ? save_graph(saving, &inner) : unreadable(place, result, native);
    }
    return error;
}

static int
save_graph(struct cuda_saving *saving, const struct place *place)
{
    const struct cuda_driver *native = saving->host->native;
    struct suspend_graph item = {.number = place->number,
                                 .context = cuda_owner_handle(&place->root->is.object),
                                 .outer = place->outer,
                                 .node = place->node};
    const struct cuda_graph *origin = cuda_graph_numbered(saving->host, place->root->origin.graph);
    uint32_t index = saving->graphs++;
    CUgraphNodeType *types = NULL;
    CUgraphNode *nodes = NULL;
    size_t count = 0;
    CUresult result = native->cuGraphGetNodes(place->native, NULL, &count);
    int error;

    if (place->depth > DEPTH)
        return cuda_suspend_refuse(-ENOTSUP, "graph %u has graphs in graphs more than %d deep", place->root->is.number,
                                   DEPTH);
    if (!place->outer && origin && cuda_graph_is_clone(place->root, origin))
        item.origin = origin->is.number;
    error = cuda_save(saving, SUSPEND_GRAPH, &item, sizeof(item), NULL, 0);
    if (error != 0)
        return error;
    nodes = calloc(count + 1, sizeof(*nodes));
    types = calloc(count + 1, sizeof(*types));
    if (result == CUDA_SUCCESS && count > 0 && nodes)
        result = native->cuGraphGetNodes(place->native, nodes, &count);
    if (!nodes || !types)
        error = cuda_suspend_refuse(-ENOMEM, "out of memory");
    else if (result != CUDA_SUCCESS)
        error = unreadable(place, result, native);
    else
        error = save_nodes(saving, place, index, nodes, types, count);
    free(nodes);
    free(types);
    return error;
}

/* It is there for the guest, or at least for what was made of it. */
static bool
is_root(const struct cuda_object *object)
{
    const struct cuda_graph *graph = (const struct cuda_graph *)object;
    const struct cuda_object *owner = atomic_load(&object->owner);

    return object->kind == CUDA_OBJECT_GRAPH && object->made && owner && owner->kind == CUDA_OBJECT_CONTEXT &&
           cuda_object_alive(owner) && (graph->lasts || atomic_load(&object->alive));
}

static int
save_root(struct cuda_saving *saving, struct cuda_graph *graph)
{
    struct place place = {.root = graph, .native = graph->is.native, .number = graph->is.number};
    struct cuda_context *context = (struct cuda_context *)atomic_load(&graph->is.object.owner);
    int error;

    if (graph->conditional_count > 0)
        return cuda_suspend_refuse(-ENOTSUP, "graph %u has a conditional handle", graph->is.number);
    saving->host->native->cuCtxSetCurrent(context->native);
    error = save_graph(saving, &place);
    return error ? error : cuda_save_kept(saving, graph);
}

/* ---- Executable graphs ----------------------------------------------------------------------- */

static bool
is_same(struct cuda_host *host, const struct cuda_source *source)
{
    const struct cuda_graph *graph = cuda_graph_numbered(host, source->graph);

    return source->graph == 0 || (graph && graph->version == source->version);
}

static bool
has(struct cuda_host *host, uint32_t handle, uint16_t kind)
{
    return handle == 0 || gpuvchan_handles_lookup(host->handles, handle, kind) != NULL;
}

/* What has been set in it must still be there. */
static bool
settings_live(struct cuda_host *host, const struct cuda_record *records)
{
    for (const struct cuda_record *record = records; record; record = record->next) {
        const struct cuda_node_set_request *set = (const void *)record->data;
        const struct cuda_graph *child;

        if (record->opcode != CUDA_OPCODE_NODE_SET)
            continue;
        child = set->child ? cuda_graph_numbered(host, set->child) : NULL;
        if (!has(host, set->kernel, CUDA_HANDLE_FUNCTION) || !has(host, set->event, CUDA_HANDLE_EVENT) ||
            !has(host, set->from_array, CUDA_HANDLE_CUARRAY) || !has(host, set->to_array, CUDA_HANDLE_CUARRAY) ||
            (set->child && (!child || !cuda_object_alive(&child->is.object))))
            return false;
    }
    return true;
}

static int
check_execs(struct cuda_host *host)
{
    for (struct cuda_object *object = host->made; object; object = object->next_made) {
        const struct cuda_graph_exec *exec = (const struct cuda_graph_exec *)object;

        if (object->kind != CUDA_OBJECT_GRAPH_EXEC || !object->made || !cuda_object_alive(object))
            continue;
        if (!is_same(host, &exec->made_of) || !is_same(host, &exec->updated_by))
            return cuda_suspend_refuse(-ENOTSUP, "executable graph %#x was made of a graph that has been changed since",
                                       object->handle);
        if (!settings_live(host, object->records))
            return cuda_suspend_refuse(-ENOTSUP, "in executable graph %#x something is set that is gone",
                                       object->handle);
    }
    return 0;
}

/* ---- All of them ----------------------------------------------------------------------------- */

int
cuda_save_graphs(struct cuda_saving *saving)
{
    int error = cuda_save_users(saving);

    if (error == 0)
        error = check_execs(saving->host);
    for (struct cuda_object *object = saving->host->made; object && error == 0; object = object->next_made)
        if (is_root(object))
            error = save_root(saving, (struct cuda_graph *)object);
    return error;
}

int
cuda_save_ghosts(struct cuda_saving *saving)
{
    int error = 0;

    for (struct cuda_object *object = saving->host->made; object && error == 0; object = object->next_made) {
        const struct cuda_graph *graph = (const struct cuda_graph *)object;
        struct suspend_gone item;

        if (!is_root(object) || !graph->lasts)
            continue;
        item = (struct suspend_gone){graph->is.number, 0};
        error = cuda_save(saving, SUSPEND_GONE, &item, sizeof(item), NULL, 0);
    }
    return error;
}
