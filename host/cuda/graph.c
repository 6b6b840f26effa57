/* SPDX-License-Identifier: MIT */
/*
 * Graphs, their nodes and edges, and what is made executable of them.
 *
 * Design notes
 *
 * Graphs and nodes come into being also by capture and by cloning, so the host names them: with a number when the
 * guest hears of one for the first time. Two maps lead there: from the number to the object, and from what
 * the driver calls it. Both forget it when the object goes, be it alone or with its owner, before the driver
 * could use the address again.
 *
 * CUDA's graphs are not made for several threads at a time, and a guest is not to be trusted with that: all
 * that looks at them or changes them holds one lock. A launch of an executable graph has that graph's own
 * lock alone, since it may take as long as the device is busy. A graph that is being
 * captured into changes by launches and copies as well, and goes when the driver says so; it can be neither
 * destroyed nor instantiated until then.
 */
#include "cuda_plugin.h"

#include "journal.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* ---- Numbers --------------------------------------------------------------------------------- */

enum {
    KIND_GRAPH = 1,
    KIND_NODE
}; /* in the table of numbers */

static uint16_t
kind_of(const struct cuda_numbered *item)
{
    return item->object.kind == CUDA_OBJECT_GRAPH ? KIND_GRAPH : KIND_NODE;
}

static int
by_native(const void *a, const void *b)
{
    uintptr_t first = (uintptr_t)((const struct cuda_numbered *)a)->native;
    uintptr_t second = (uintptr_t)((const struct cuda_numbered *)b)->native;

    return first < second ? -1 : first > second;
}

static struct cuda_numbered *
known(struct cuda_host *host, const void *native)
{
    struct cuda_numbered key = {.native = (void *)(uintptr_t)native};
    struct cuda_numbered **found;

    pthread_mutex_lock(&host->lock);
    found = tfind(&key, &host->numbered, by_native);
    pthread_mutex_unlock(&host->lock);
    return found ? *found : NULL;
}

static bool
enlist(struct cuda_host *host, struct cuda_numbered *item)
{
    bool done;

    if (gpuvchan_handles_assign(host->numbers, kind_of(item), item, &item->number) != 0)
        return false;
    pthread_mutex_lock(&host->lock);
    done = tsearch(item, &host->numbered, by_native) != NULL;
    pthread_mutex_unlock(&host->lock);
    if (!done)
        gpuvchan_handles_remove(host->numbers, item->number, kind_of(item));
    return done;
}

struct cuda_numbered *
cuda_numbered_of(struct cuda_host *host, enum cuda_object_kind kind, void *native, struct cuda_object *owner)
{
    struct cuda_numbered *item = known(host, native);

    if (item)
        return item;
    item = (struct cuda_numbered *)cuda_object_create(host, kind);
    if (!item)
        return NULL;
    item->native = native;
    if (!enlist(host, item)) {
        cuda_object_destroy(host, &item->object);
        return NULL;
    }
    cuda_object_begin(host, &item->object, owner, NULL);
    return item;
}

struct cuda_numbered *
cuda_numbered_again(struct cuda_host *host, enum cuda_object_kind kind, void *native, struct cuda_object *owner,
                    uint32_t number)
{
    struct cuda_numbered *item = (struct cuda_numbered *)cuda_object_create(host, kind);
    bool done = false;

    if (!item)
        return NULL;
    item->native = native;
    if (gpuvchan_handles_insert(host->numbers, number, kind_of(item), item) == 0) {
        item->number = number;
        pthread_mutex_lock(&host->lock);
        done = tsearch(item, &host->numbered, by_native) != NULL;
        pthread_mutex_unlock(&host->lock);
    }
    if (done) {
        cuda_object_begin(host, &item->object, owner, NULL);
        return item;
    }
    if (item->number)
        gpuvchan_handles_remove(host->numbers, number, kind_of(item));
    item->number = 0;
    cuda_object_destroy(host, &item->object);
    return NULL;
}

struct cuda_numbered *
cuda_numbered_find(struct cuda_host *host, const void *native)
{
    return known(host, native);
}

struct cuda_graph *
cuda_graph_numbered(struct cuda_host *host, uint32_t number)
{
    return gpuvchan_handles_lookup(host->numbers, number, KIND_GRAPH);
}

uint32_t
cuda_numbered_known(struct cuda_host *host, const void *native)
{
    const struct cuda_numbered *item = native ? known(host, native) : NULL;

    return item ? item->number : 0;
}

void
cuda_numbered_forget(struct cuda_host *host, struct cuda_numbered *gone)
{
    if (!gone->number)
        return;
    gpuvchan_handles_remove(host->numbers, gone->number, kind_of(gone));
    tdelete(gone, &host->numbered, by_native);
    gone->number = 0;
}

void
cuda_graph_finish(struct cuda_graph *graph)
{
    free(graph->conditionals);
    graph->conditionals = NULL;
    graph->conditional_count = 0;
    graph->captured = graph->lasts = false;
    graph->version = graph->execs = 0;
    graph->origin = (struct cuda_source){0};
    cuda_kept_drop(graph);
}

void
cuda_graph_changed(struct cuda_graph *graph)
{
    struct cuda_object *object = &graph->is.object;

    for (; object; object = atomic_load_explicit(&object->owner, memory_order_relaxed))
        if (object->kind == CUDA_OBJECT_GRAPH)
            ((struct cuda_graph *)object)->version++;
}

/* An executable graph is made of it, or was updated by it: a fresh worker would need it for that. */
static struct cuda_source
source_begin(struct cuda_graph *graph)
{
    graph->execs++;
    return (struct cuda_source){graph->is.number, graph->version};
}

/* It is not needed for that any more; if the guest has destroyed it it goes now. With the graphs' lock. */
static void
source_end(struct cuda_host *host, struct cuda_source *source)
{
    struct cuda_graph *graph = gpuvchan_handles_lookup(host->numbers, source->graph, KIND_GRAPH);

    *source = (struct cuda_source){0};
    if (!graph || --graph->execs > 0 || !graph->lasts)
        return;
    host->native->cuGraphDestroy(graph->is.native);
    pthread_mutex_lock(&host->lock);
    cuda_numbered_forget(host, &graph->is);
    pthread_mutex_unlock(&host->lock);
    cuda_object_empty(host, &graph->is.object);
    cuda_object_destroy(host, &graph->is.object);
}

/* It is gone for the guest, and lasts for what was made of it. */
int
cuda_graph_let_last(struct cuda_lane *lane, struct cuda_graph *graph)
{
    cuda_leave(lane, 0);
    cuda_object_end(lane->host, lane, &graph->is.object);
    graph->lasts = true;
    return 0;
}

/* ---- Entering -------------------------------------------------------------------------------- */

/* With the lock, if it is 0. */
static int
begin(struct cuda_lane *lane)
{
    /* The newest of all functions here: who has it has the others. */
    if (!lane->host->native->cuGraphAddNode)
        return cuda_driver_lacks(lane->host->native, "cuGraphAddNode_v2");
    pthread_mutex_lock(&lane->host->graphs_lock);
    return 0;
}

static int
enter(struct cuda_lane *lane, struct cuda_object *first, struct cuda_object *second)
{
    int result = cuda_enter(lane, first, second);

    if (result != 0)
        pthread_mutex_unlock(&lane->host->graphs_lock);
    return result;
}

int
cuda_graph_enter(struct cuda_lane *lane, uint32_t number, struct cuda_graph **graph)
{
    int result = begin(lane);

    if (result != 0)
        return result;
    *graph = cuda_graph_find(lane, number);
    if (*graph)
        return enter(lane, &(*graph)->is.object, NULL);
    pthread_mutex_unlock(&lane->host->graphs_lock);
    return CUDA_ERROR_INVALID_VALUE;
}

int
cuda_node_enter(struct cuda_lane *lane, uint32_t number, struct cuda_graph_exec *exec, struct cuda_node **node)
{
    int result = begin(lane);

    if (result != 0)
        return result;
    *node = gpuvchan_handles_lookup(lane->host->numbers, number, KIND_NODE);
    if (*node && cuda_object_alive(&(*node)->is.object))
        return enter(lane, &(*node)->is.object, exec ? &exec->object : NULL);
    pthread_mutex_unlock(&lane->host->graphs_lock);
    return CUDA_ERROR_INVALID_VALUE;
}

int
cuda_graph_leave(struct cuda_lane *lane, int result)
{
    cuda_leave(lane, result);
    pthread_mutex_unlock(&lane->host->graphs_lock);
    return result;
}

struct cuda_graph *
cuda_graph_find(struct cuda_lane *lane, uint32_t number)
{
    struct cuda_graph *graph = gpuvchan_handles_lookup(lane->host->numbers, number, KIND_GRAPH);

    return graph && cuda_object_alive(&graph->is.object) ? graph : NULL;
}

bool
cuda_nodes_take(struct cuda_host *host, const struct cuda_graph *graph, const uint32_t *numbers, size_t count,
                CUgraphNode *natives)
{
    for (size_t i = 0; i < count; i++) {
        const struct cuda_node *node = gpuvchan_handles_lookup(host->numbers, numbers[i], KIND_NODE);

        if (!node || cuda_graph_of(node) != graph || !cuda_object_alive(&node->is.object))
            return false;
        natives[i] = node->is.native;
    }
    return true;
}

/* ---- Graphs ---------------------------------------------------------------------------------- */

/* Gives a graph that the driver has made its number, or has the driver destroy it. */
static int
graph_begin(struct cuda_lane *lane, CUgraph native, uint32_t *number)
{
    struct cuda_numbered *made = cuda_numbered_of(lane->host, CUDA_OBJECT_GRAPH, native, &lane->current->object);

    if (!made) {
        lane->host->native->cuGraphDestroy(native);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *number = made->number;
    return 0;
}

int
cuda_host_graph_create(struct gpuvchan_request *request, uint32_t *graph)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = begin(lane);
    CUgraph native;

    if (result == 0)
        result = enter(lane, NULL, NULL);
    if (result != 0)
        return result;
    result = cuda_native(request)->cuGraphCreate(&native, 0);
    if (result == CUDA_SUCCESS)
        result = graph_begin(lane, native, graph);
    return cuda_graph_leave(lane, result);
}

int
cuda_host_graph_clone(struct gpuvchan_request *request, uint32_t number, uint32_t *clone)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_graph *graph;
    int result = cuda_graph_enter(lane, number, &graph);
    CUgraph native;

    if (result != 0)
        return result;
    result = cuda_native(request)->cuGraphClone(&native, graph->is.native);
    if (result == CUDA_SUCCESS)
        result = graph_begin(lane, native, clone);
    if (result == CUDA_SUCCESS)
        cuda_graph_find(lane, *clone)->origin = (struct cuda_source){number, graph->version};
    return cuda_graph_leave(lane, result);
}

bool
cuda_graph_is_clone(const struct cuda_graph *clone, const struct cuda_graph *origin)
{
    return clone->origin.graph == origin->is.number && clone->origin.version == origin->version && clone->version == 0;
}

/* Forgets it first: no number leads to what the driver destroys. */
static int
close_numbered(struct cuda_lane *lane, struct cuda_numbered *item)
{
    int result;

    cuda_leave(lane, 0);
    pthread_mutex_lock(&lane->host->lock);
    cuda_numbered_forget(lane->host, item);
    pthread_mutex_unlock(&lane->host->lock);
    result = cuda_object_close(lane, &item->object);
    pthread_mutex_unlock(&lane->host->graphs_lock);
    return result;
}

static bool
is_inside(const struct cuda_graph *graph)
{
    const struct cuda_object *owner = atomic_load_explicit(&graph->is.object.owner, memory_order_relaxed);

    return owner && owner->kind == CUDA_OBJECT_NODE;
}

int
cuda_host_graph_destroy(struct gpuvchan_request *request, uint32_t number)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_graph *graph;
    int result = cuda_graph_enter(lane, number, &graph);

    if (result != 0)
        return result;
    if (graph->captured || is_inside(graph))
        return cuda_graph_leave(lane, CUDA_ERROR_INVALID_VALUE);
    if (graph->execs > 0)
        return cuda_graph_leave(lane, cuda_graph_let_last(lane, graph));
    return close_numbered(lane, &graph->is);
}

int
cuda_host_node_destroy(struct gpuvchan_request *request, uint32_t number)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_node *node;
    int result = cuda_node_enter(lane, number, NULL, &node);

    if (result != 0)
        return result;
    if (cuda_graph_of(node)->captured)
        return cuda_graph_leave(lane, CUDA_ERROR_INVALID_VALUE);
    cuda_graph_changed(cuda_graph_of(node));
    return close_numbered(lane, &node->is);
}

int
cuda_host_graph_conditional_handle(struct gpuvchan_request *request, uint32_t number, uint32_t value, uint32_t flags,
                                   uint64_t *made)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    CUgraphConditionalHandle *grown, handle;
    struct cuda_graph *graph;
    int result = cuda_graph_enter(lane, number, &graph);

    if (result != 0)
        return result;
    grown = realloc(graph->conditionals, (graph->conditional_count + 1u) * sizeof(*grown));
    if (!grown)
        return cuda_graph_leave(lane, CUDA_ERROR_OUT_OF_MEMORY);
    graph->conditionals = grown;
    result = cuda_native(request)->cuGraphConditionalHandleCreate(&handle, graph->is.native, cuda_lane_native(lane),
                                                                  value, flags);
    if (result == CUDA_SUCCESS)
        *made = grown[graph->conditional_count++] = handle;
    return cuda_graph_leave(lane, result);
}

/* ---- Lists ----------------------------------------------------------------------------------- */

/* The driver's list, of which @p first elements are left out and @p room at most are wanted. */
struct list {
    CUgraphNode *from, *to;
    CUgraphEdgeData *edges;
    size_t count;
};

static bool
list_make(struct list *list, size_t count)
{
    list->count = count;
    list->from = calloc(count + 1, sizeof(*list->from));
    list->to = calloc(count + 1, sizeof(*list->to));
    list->edges = calloc(count + 1, sizeof(*list->edges));
    return list->from && list->to && list->edges;
}

static void
list_free(struct list *list)
{
    free(list->from);
    free(list->to);
    free(list->edges);
}

static bool
list_numbers(struct cuda_host *host, struct cuda_graph *graph, CUgraphNode *natives, size_t count, uint32_t *out)
{
    for (size_t i = 0; i < count; i++) {
        struct cuda_numbered *node = cuda_numbered_of(host, CUDA_OBJECT_NODE, natives[i], &graph->is.object);

        if (!node)
            return false;
        out[i] = node->number;
    }
    return true;
}

/* How many of @p total there are behind the first ones, if @p room is all there is. */
static size_t
piece(size_t total, uint64_t first, size_t room)
{
    size_t rest = first < total ? total - (size_t)first : 0;

    return rest < room ? rest : room;
}

int
cuda_host_graph_nodes(struct gpuvchan_request *request, uint32_t number, bool roots, uint64_t first, uint64_t *total,
                      uint32_t *nodes, size_t *nodes_count)
{
    const struct cuda_driver *native = cuda_native(request);
    __typeof__(native->cuGraphGetNodes) get = roots ? native->cuGraphGetRootNodes : native->cuGraphGetNodes;
    struct cuda_lane *lane = cuda_lane_of(request);
    struct list list = {0};
    struct cuda_graph *graph;
    size_t count = 0;
    int result = cuda_graph_enter(lane, number, &graph);

    if (result != 0)
        return result;
    result = get(graph->is.native, NULL, &count);
    if (result == CUDA_SUCCESS && !list_make(&list, count))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS && count)
        result = get(graph->is.native, list.from, &count);
    *total = count;
    first = first < count ? first : count;
    *nodes_count = piece(count, first, *nodes_count);
    if (result == CUDA_SUCCESS && !list_numbers(lane->host, graph, list.from + first, *nodes_count, nodes))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    list_free(&list);
    return cuda_graph_leave(lane, result);
}

int
cuda_host_graph_edges(struct gpuvchan_request *request, uint32_t number, uint64_t first, uint64_t *total,
                      uint32_t *from, size_t *from_count, uint32_t *to, size_t *to_count, CUgraphEdgeData *edges,
                      size_t *edges_count)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct list list = {0};
    struct cuda_graph *graph;
    size_t count = 0, room = *from_count < *to_count ? *from_count : *to_count;
    int result = cuda_graph_enter(lane, number, &graph);

    if (result != 0)
        return result;
    result = native->cuGraphGetEdges(graph->is.native, NULL, NULL, NULL, &count);
    if (result == CUDA_SUCCESS && !list_make(&list, count))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS && count)
        result = native->cuGraphGetEdges(graph->is.native, list.from, list.to, list.edges, &count);
    *total = count;
    first = first < count ? first : count;
    *from_count = *to_count = *edges_count = piece(count, first, room < *edges_count ? room : *edges_count);
    if (result == CUDA_SUCCESS && (!list_numbers(lane->host, graph, list.from + first, *from_count, from) ||
                                   !list_numbers(lane->host, graph, list.to + first, *to_count, to)))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS && *edges_count)
        memcpy(edges, list.edges + first, *edges_count * sizeof(*edges));
    list_free(&list);
    return cuda_graph_leave(lane, result);
}

int
cuda_host_node_edges(struct gpuvchan_request *request, uint32_t number, bool dependents, uint64_t first,
                     uint64_t *total, uint32_t *nodes, size_t *nodes_count, CUgraphEdgeData *edges, size_t *edges_count)
{
    const struct cuda_driver *native = cuda_native(request);
    __typeof__(native->cuGraphNodeGetDependencies) get =
        dependents ? native->cuGraphNodeGetDependentNodes : native->cuGraphNodeGetDependencies;
    struct cuda_lane *lane = cuda_lane_of(request);
    struct list list = {0};
    struct cuda_node *node;
    size_t count = 0;
    int result = cuda_node_enter(lane, number, NULL, &node);

    if (result != 0)
        return result;
    result = get(node->is.native, NULL, NULL, &count);
    if (result == CUDA_SUCCESS && !list_make(&list, count))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS && count)
        result = get(node->is.native, list.from, list.edges, &count);
    *total = count;
    first = first < count ? first : count;
    *nodes_count = *edges_count = piece(count, first, *nodes_count < *edges_count ? *nodes_count : *edges_count);
    if (result == CUDA_SUCCESS &&
        !list_numbers(lane->host, cuda_graph_of(node), list.from + first, *nodes_count, nodes))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS && *edges_count)
        memcpy(edges, list.edges + first, *edges_count * sizeof(*edges));
    list_free(&list);
    return cuda_graph_leave(lane, result);
}

int
cuda_host_graph_change_edges(struct gpuvchan_request *request, uint32_t number, bool remove, const uint32_t *from,
                             size_t from_count, const uint32_t *to, size_t to_count, const CUgraphEdgeData *edges,
                             size_t edges_count)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUgraphNode sources[CUDA_GRAPH_CHANGE_EDGES_FROM_MAX], targets[CUDA_GRAPH_CHANGE_EDGES_FROM_MAX];
    const CUgraphEdgeData *data = edges_count ? edges : NULL;
    struct cuda_graph *graph;
    int result;

    if (from_count != to_count || (edges_count && edges_count != from_count))
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_graph_enter(lane, number, &graph);
    if (result != 0)
        return result;
    cuda_graph_changed(graph);
    if (!cuda_nodes_take(lane->host, graph, from, from_count, sources) ||
        !cuda_nodes_take(lane->host, graph, to, to_count, targets))
        result = CUDA_ERROR_INVALID_VALUE;
    else if (remove)
        result = native->cuGraphRemoveDependencies(graph->is.native, sources, targets, data, from_count);
    else
        result = native->cuGraphAddDependencies(graph->is.native, sources, targets, data, from_count);
    return cuda_graph_leave(lane, result);
}

/* ---- Nodes among graphs ---------------------------------------------------------------------- */

int
cuda_host_node_type(struct gpuvchan_request *request, uint32_t number, int32_t *type)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    CUgraphNodeType got = CU_GRAPH_NODE_TYPE_EMPTY;
    struct cuda_node *node;
    int result = cuda_node_enter(lane, number, NULL, &node);

    if (result != 0)
        return result;
    result = cuda_native(request)->cuGraphNodeGetType(node->is.native, &got);
    *type = node->staged ? CU_GRAPH_NODE_TYPE_MEMCPY : (int32_t)got;
    return cuda_graph_leave(lane, result);
}

static int
child_of(struct cuda_lane *lane, struct cuda_node *node, struct cuda_graph **child)
{
    CUgraph native;
    int result = lane->host->native->cuGraphChildGraphNodeGetGraph(node->is.native, &native);

    if (result == CUDA_SUCCESS) {
        *child = (struct cuda_graph *)cuda_numbered_of(lane->host, CUDA_OBJECT_GRAPH, native, &node->is.object);
        if (!*child)
            result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    return result;
}

int
cuda_host_node_child(struct gpuvchan_request *request, uint32_t number, uint32_t *graph)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_graph *child = NULL;
    struct cuda_node *node;
    int result = cuda_node_enter(lane, number, NULL, &node);

    if (result != 0)
        return result;
    result = node->staged ? CUDA_ERROR_INVALID_VALUE : child_of(lane, node, &child);
    if (result == CUDA_SUCCESS)
        *graph = child->is.number;
    return cuda_graph_leave(lane, result);
}

#define DEPTH 32 /* of graphs in graphs; who has more does not find what is deeper */

/* The graph in @p graph, or deeper, that has the driver's @p wanted as a node; NULL: none. */
static struct cuda_graph *
graph_with(struct cuda_lane *lane, struct cuda_graph *graph, CUgraphNode wanted, int depth)
{
    const struct cuda_driver *native = lane->host->native;
    struct cuda_graph *found = NULL, *child;
    size_t count = 0;
    CUgraphNode *nodes = NULL;

    if (native->cuGraphGetNodes(graph->is.native, NULL, &count) == CUDA_SUCCESS && count)
        nodes = calloc(count, sizeof(*nodes));
    if (!nodes || native->cuGraphGetNodes(graph->is.native, nodes, &count) != CUDA_SUCCESS)
        count = 0;
    for (size_t i = 0; i < count && !found; i++)
        if (nodes[i] == wanted)
            found = graph;
    for (size_t i = 0; i < count && !found && depth < DEPTH; i++) {
        CUgraphNodeType type;
        struct cuda_numbered *node;

        if (native->cuGraphNodeGetType(nodes[i], &type) != CUDA_SUCCESS || type != CU_GRAPH_NODE_TYPE_GRAPH)
            continue;
        node = cuda_numbered_of(lane->host, CUDA_OBJECT_NODE, nodes[i], &graph->is.object);
        if (node && child_of(lane, (struct cuda_node *)node, &child) == CUDA_SUCCESS)
            found = graph_with(lane, child, wanted, depth + 1);
    }
    free(nodes);
    return found;
}

static CUgraphNode *
nodes_of(const struct cuda_driver *native, const struct cuda_graph *graph, size_t *count)
{
    CUgraphNode *nodes = NULL;

    if (native->cuGraphGetNodes(graph->is.native, NULL, count) == CUDA_SUCCESS && *count)
        nodes = calloc(*count, sizeof(*nodes));
    if (nodes && native->cuGraphGetNodes(graph->is.native, nodes, count) == CUDA_SUCCESS)
        return nodes;
    free(nodes);
    return NULL;
}

/* A driver that has not made the clone itself, but been given both graphs by us, does not know it as one. */
static CUgraphNode
same_place(const struct cuda_driver *native, const struct cuda_node *node, const struct cuda_graph *clone)
{
    const struct cuda_graph *origin = cuda_graph_of(node);
    size_t count = 0, clone_count = 0;
    CUgraphNode *nodes = nodes_of(native, origin, &count), *clones = nodes_of(native, clone, &clone_count);
    CUgraphNode found = NULL;

    for (size_t i = 0; nodes && clones && count == clone_count && i < count; i++)
        if (nodes[i] == node->is.native)
            found = clones[i];
    free(nodes);
    free(clones);
    return found;
}

int
cuda_host_node_in_clone(struct gpuvchan_request *request, uint32_t number, uint32_t clone, uint32_t *found)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_numbered *item = NULL;
    struct cuda_graph *graph, *inner;
    struct cuda_node *node;
    CUgraphNode native;
    int result = cuda_node_enter(lane, number, NULL, &node);

    if (result != 0)
        return result;
    graph = cuda_graph_find(lane, clone);
    if (!graph)
        return cuda_graph_leave(lane, CUDA_ERROR_INVALID_VALUE);
    result = cuda_native(request)->cuGraphNodeFindInClone(&native, node->is.native, graph->is.native);
    if (result != CUDA_SUCCESS && cuda_graph_is_clone(graph, cuda_graph_of(node)) &&
        (native = same_place(cuda_native(request), node, graph)))
        result = CUDA_SUCCESS;
    if (result != CUDA_SUCCESS)
        return cuda_graph_leave(lane, result);
    inner = graph_with(lane, graph, native, 0);
    if (inner)
        item = cuda_numbered_of(lane->host, CUDA_OBJECT_NODE, native, &inner->is.object);
    if (!item)
        return cuda_graph_leave(lane, CUDA_ERROR_INVALID_VALUE);
    ((struct cuda_node *)item)->staged = node->staged;
    *found = item->number;
    return cuda_graph_leave(lane, 0);
}

/* ---- Attributes ------------------------------------------------------------------------------ */

int
cuda_host_node_get_attribute(struct gpuvchan_request *request, uint32_t number, int32_t attribute,
                             CUlaunchAttributeValue *value)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_node *node;
    int result = cuda_node_enter(lane, number, NULL, &node);

    if (result != 0)
        return result;
    if (attribute == CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE) /* it would tell an address of ours */
        return cuda_graph_leave(lane, CUDA_ERROR_NOT_SUPPORTED);
    return cuda_graph_leave(lane, cuda_native(request)->cuGraphKernelNodeGetAttribute(
                                      node->is.native, (CUkernelNodeAttrID)attribute, value));
}

int
cuda_host_node_set_attribute(struct gpuvchan_request *request, uint32_t number, int32_t attribute,
                             const CUlaunchAttributeValue *value)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_node *node;
    int result = cuda_node_enter(lane, number, NULL, &node);

    if (result != 0)
        return result;
    if (!cuda_attribute_fits(lane, attribute, value))
        return cuda_graph_leave(lane, CUDA_ERROR_INVALID_VALUE);
    cuda_graph_changed(cuda_graph_of(node));
    return cuda_graph_leave(lane, cuda_native(request)->cuGraphKernelNodeSetAttribute(
                                      node->is.native, (CUkernelNodeAttrID)attribute, value));
}

int
cuda_host_node_copy_attributes(struct gpuvchan_request *request, uint32_t to, uint32_t from)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    const struct cuda_node *source;
    struct cuda_node *node;
    int result = cuda_node_enter(lane, to, NULL, &node);

    if (result != 0)
        return result;
    source = gpuvchan_handles_lookup(lane->host->numbers, from, KIND_NODE);
    if (!source || !cuda_object_alive(&source->is.object))
        return cuda_graph_leave(lane, CUDA_ERROR_INVALID_VALUE);
    cuda_graph_changed(cuda_graph_of(node));
    return cuda_graph_leave(lane,
                            cuda_native(request)->cuGraphKernelNodeCopyAttributes(node->is.native, source->is.native));
}

/* ---- Executable graphs ----------------------------------------------------------------------- */

static int
instantiate(struct cuda_lane *lane, struct cuda_graph *graph, struct cuda_graph_exec *exec, uint64_t flags,
            struct cuda_stream *upload)
{
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = flags, .hUploadStream = cuda_stream_native(upload)};
    int result = lane->host->native->cuGraphInstantiateWithParams(&exec->native, graph->is.native, &params);

    lane->instantiate_result = (int32_t)params.result_out;
    lane->instantiate_node = result == CUDA_SUCCESS ? 0 : cuda_numbered_known(lane->host, params.hErrNode_out);
    return result;
}

int
cuda_host_graph_instantiate(struct gpuvchan_request *request, struct cuda_graph_exec **made, uint32_t number,
                            uint64_t flags, struct cuda_stream *upload)
{
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_graph_exec *exec = (struct cuda_graph_exec *)cuda_object_create(host, CUDA_OBJECT_GRAPH_EXEC);
    struct cuda_graph *graph;
    int result = exec ? cuda_graph_enter(lane, number, &graph) : CUDA_ERROR_OUT_OF_MEMORY;

    if (result == 0) {
        if (graph->captured || (upload && !cuda_lane_announce(lane, CUDA_SLOT_SECOND, &upload->object)))
            result = graph->captured ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
        else
            result = instantiate(lane, graph, exec, flags, upload);
        if (result == CUDA_SUCCESS) {
            pthread_mutex_init(&exec->lock, NULL);
            exec->made_of = source_begin(graph);
            exec->updated_by = (struct cuda_source){0};
            cuda_object_begin(host, &exec->object, &lane->current->object, request);
            *made = exec;
        }
        cuda_graph_leave(lane, 0);
    }
    if (result != 0 && exec)
        cuda_object_destroy(host, &exec->object);
    return result;
}

int
cuda_host_graph_instantiate_why(struct gpuvchan_request *request, int32_t *result, uint32_t *node)
{
    struct cuda_lane *lane = cuda_lane_of(request);

    *result = lane->instantiate_result;
    *node = lane->instantiate_node;
    return 0;
}

/* With the graphs' lock: the driver frees what functions of graphs wait for. */
static int
exec_close(struct cuda_lane *lane, struct cuda_graph_exec *exec)
{
    struct cuda_source made_of = exec->made_of, updated_by = exec->updated_by;
    int result;

    pthread_mutex_lock(&lane->host->graphs_lock);
    result = cuda_object_close(lane, &exec->object);
    if (result == 0) {
        source_end(lane->host, &made_of);
        source_end(lane->host, &updated_by);
    }
    pthread_mutex_unlock(&lane->host->graphs_lock);
    return result;
}

int
cuda_host_graph_exec_destroy(struct gpuvchan_request *request, struct cuda_graph_exec *gone)
{
    return exec_close(cuda_lane_of(request), gone);
}

void
cuda_discard_graph_exec(struct gpuvchan_request *request, struct cuda_graph_exec *object)
{
    exec_close(cuda_lane_of(request), object);
}

int
cuda_host_graph_exec_update(struct gpuvchan_request *request, struct cuda_graph_exec *exec, uint32_t number,
                            int32_t *status, int32_t *outcome, uint32_t *node, uint32_t *from)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    CUgraphExecUpdateResultInfo info = {0};
    struct cuda_graph *graph;
    int result = cuda_graph_enter(lane, number, &graph);

    if (result != 0)
        return result;
    if (!cuda_lane_announce(lane, CUDA_SLOT_SECOND, &exec->object))
        return cuda_graph_leave(lane, CUDA_ERROR_INVALID_HANDLE);
    pthread_mutex_lock(&exec->lock);
    *status = cuda_native(request)->cuGraphExecUpdate(exec->native, graph->is.native, &info);
    pthread_mutex_unlock(&exec->lock);
    if (*status == CUDA_SUCCESS) { /* it is as if it had been made of this one, and nothing set since */
        cuda_record_drop(lane->host, &exec->object, CUDA_OPCODE_NODE_SET, NULL, 0);
        source_end(lane->host, &exec->updated_by);
        exec->updated_by = source_begin(graph);
        cuda_record_keep(request, &exec->object, sizeof(uint32_t));
    }
    *outcome = (int32_t)info.result;
    *node = cuda_numbered_known(lane->host, info.errorNode);
    *from = cuda_numbered_known(lane->host, info.errorFromNode);
    return cuda_graph_leave(lane, 0);
}

int
cuda_host_graph_exec_enable(struct gpuvchan_request *request, struct cuda_graph_exec *exec, uint32_t number,
                            uint32_t enabled)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_node *node;
    int result = cuda_node_enter(lane, number, exec, &node);

    if (result != 0)
        return result;
    pthread_mutex_lock(&exec->lock);
    result = cuda_native(request)->cuGraphNodeSetEnabled(exec->native, node->is.native, enabled);
    pthread_mutex_unlock(&exec->lock);
    if (result == CUDA_SUCCESS)
        cuda_record_keep(request, &exec->object, 2 * sizeof(uint32_t));
    return cuda_graph_leave(lane, result);
}

int
cuda_host_graph_exec_enabled(struct gpuvchan_request *request, struct cuda_graph_exec *exec, uint32_t number,
                             uint32_t *enabled)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_node *node;
    int result = cuda_node_enter(lane, number, exec, &node);

    if (result != 0)
        return result;
    return cuda_graph_leave(lane, cuda_native(request)->cuGraphNodeGetEnabled(exec->native, node->is.native, enabled));
}

static int
exec_run(struct gpuvchan_request *request, struct cuda_graph_exec *exec, struct cuda_stream *on,
         __typeof__(cuGraphLaunch) *function)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    int result = cuda_enter(lane, &exec->object, on ? &on->object : NULL);

    if (result != 0)
        return result;
    pthread_mutex_lock(&exec->lock);
    result = function(exec->native, cuda_stream_native(on));
    pthread_mutex_unlock(&exec->lock);
    return cuda_leave(lane, result);
}

int
cuda_host_graph_launch(struct gpuvchan_request *request, struct cuda_graph_exec *exec, struct cuda_stream *on)
{
    return exec_run(request, exec, on, cuda_native(request)->cuGraphLaunch);
}

int
cuda_host_graph_upload(struct gpuvchan_request *request, struct cuda_graph_exec *exec, struct cuda_stream *on)
{
    return exec_run(request, exec, on, cuda_native(request)->cuGraphUpload);
}

/* ---- Memory of graphs ------------------------------------------------------------------------ */

static int
device_of(const struct cuda_driver *native, uint32_t device, CUdevice *number)
{
    if (!native->cuGraphAddNode)
        return cuda_driver_lacks(native, "cuDeviceGetGraphMemAttribute");
    if (device >= (uint32_t)native->devices)
        return CUDA_ERROR_INVALID_DEVICE;
    return native->cuDeviceGet(number, (int)device);
}

int
cuda_host_graph_memory_trim(struct gpuvchan_request *request, uint32_t device)
{
    CUdevice number;
    int result = device_of(cuda_native(request), device, &number);

    return result ? result : (int)cuda_native(request)->cuDeviceGraphMemTrim(number);
}

int
cuda_host_graph_memory_get(struct gpuvchan_request *request, uint32_t device, int32_t attribute, uint64_t *value)
{
    CUdevice number;
    int result = device_of(cuda_native(request), device, &number);

    return result ? result
                  : (int)cuda_native(request)->cuDeviceGetGraphMemAttribute(number, (CUgraphMem_attribute)attribute,
                                                                            value);
}

int
cuda_host_graph_memory_set(struct gpuvchan_request *request, uint32_t device, int32_t attribute, uint64_t value)
{
    CUdevice number;
    int result = device_of(cuda_native(request), device, &number);

    return result ? result
                  : (int)cuda_native(request)->cuDeviceSetGraphMemAttribute(number, (CUgraphMem_attribute)attribute,
                                                                            &value);
}
