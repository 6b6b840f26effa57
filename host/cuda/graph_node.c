/* SPDX-License-Identifier: MIT */
/*
 * Nodes: what they do, as the guest says it and as the driver takes it.
 *
 * Design notes
 *
 * A record has CUDA's own structure, of which only numbers are used; each address, handle and pointer is replaced
 * here by one that has been checked. What a node may touch is checked when it is described. Memory that
 * the guest frees later is no longer there when the graph runs, which the GPU then finds.
 *
 * A copy of pageable memory reads or writes it when the graph runs, and only the guest can reach it. Such a node is
 * a graph inside the graph: a function of the guest that copies between its memory and a buffer in the arena, and
 * the device's copy of that buffer. The guest still sees one node.
 *
 * Memory that a node allocates can be named as long as the driver keeps its address for the graph. A user object in
 * the graph says when that ends.
 */
#include "cuda_plugin.h"

#include "graph_node.h"
#include "journal.h"

#include <stdlib.h>
#include <string.h>

#define PARAMETERS 1024u
#define BODIES 64u

/* The same for the driver, with what its pointers point to. */
struct node {
    CUgraphNodeParams params;
    void *pointers[PARAMETERS];
    CUstreamBatchMemOpParams operations[CUDA_NODE_ADD_OPERATIONS_MAX];
    CUDA_HOST_NODE_PARAMS function;
    CUgraph function_in; /* NULL: there is no function of the guest's in it */
    CUgraph inner;       /* of a copy of pageable memory */
};

/* ---- Each kind ------------------------------------------------------------------------------- */

static int
fill_kernel(struct cuda_lane *lane, const struct cuda_told *told, struct node *node)
{
    const CUDA_KERNEL_NODE_PARAMS_v3 *shape = &told->params->kernel;
    const struct cuda_function *kernel = told->kernel;

    if (!kernel || !cuda_lane_announce(lane, CUDA_SLOT_RANGE, &told->kernel->object))
        return CUDA_ERROR_INVALID_HANDLE;
    if (told->parameter_bytes != kernel->parameter_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (kernel->parameter_count > PARAMETERS)
        return CUDA_ERROR_NOT_SUPPORTED;
    for (uint32_t i = 0; i < kernel->parameter_count; i++)
        node->pointers[i] = (unsigned char *)(uintptr_t)told->parameters + kernel->parameter_offsets[i];
    node->params.kernel = (CUDA_KERNEL_NODE_PARAMS_v3){
        .func = kernel->kernel ? NULL : kernel->native,
        .kern = kernel->kernel ? (CUkernel)(void *)kernel->native : NULL,
        .gridDimX = shape->gridDimX,
        .gridDimY = shape->gridDimY,
        .gridDimZ = shape->gridDimZ,
        .blockDimX = shape->blockDimX,
        .blockDimY = shape->blockDimY,
        .blockDimZ = shape->blockDimZ,
        .sharedMemBytes = shape->sharedMemBytes,
        .kernelParams = kernel->parameter_count ? node->pointers : NULL,
    };
    return 0;
}

/* Bytes from the first to the last that one end of a copy touches. */
static bool
end_extent(const CUDA_MEMCPY3D *copy, size_t pitch, size_t height, uint64_t *extent)
{
    uint64_t plane = 0, planes = 0;

    if (copy->WidthInBytes == 0 || copy->Height == 0 || copy->Depth == 0)
        return false;
    if (!cuda_rows_extent(pitch, copy->WidthInBytes, copy->Height, extent))
        return false;
    if (copy->Depth == 1)
        return true;
    return height >= copy->Height && pitch >= copy->WidthInBytes && !__builtin_mul_overflow(pitch, height, &plane) &&
           !__builtin_mul_overflow(plane, copy->Depth - 1, &planes) && !__builtin_add_overflow(planes, *extent, extent);
}

/*
 * The guest has added up places in rows and planes of memory. Where a box lies in an array the driver checks, which
 * knows its size.
 */
static int
fill_end(struct cuda_lane *lane, unsigned which, CUmemorytype type, CUdeviceptr device, size_t arena_bytes,
         struct cuda_array *array, bool fits, uint64_t extent)
{
    switch (type) {
    case CU_MEMORYTYPE_DEVICE:
        return fits && cuda_lane_range(lane, which, device, extent) ? 0 : CUDA_ERROR_INVALID_VALUE;
    case CU_MEMORYTYPE_HOST:
        return fits && extent <= arena_bytes ? 0 : CUDA_ERROR_INVALID_VALUE;
    case CU_MEMORYTYPE_ARRAY:
        return array && cuda_lane_announce(lane, CUDA_SLOT_THIRD + which, &array->object) ? 0
                                                                                          : CUDA_ERROR_INVALID_HANDLE;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

/* Only an array's places count. */
static size_t
inside(CUmemorytype type, size_t place)
{
    return type == CU_MEMORYTYPE_ARRAY ? place : 0;
}

static int
fill_memcpy(struct cuda_lane *lane, const struct cuda_told *told, CUDA_MEMCPY_NODE_PARAMS *out)
{
    const CUDA_MEMCPY3D *copy = &told->params->memcpy.copyParams;
    CUmemorytype from = copy->srcMemoryType, to = copy->dstMemoryType;
    uint64_t from_extent = 0, to_extent = 0;
    bool from_fits = end_extent(copy, copy->srcPitch, copy->srcHeight, &from_extent);
    bool to_fits = end_extent(copy, copy->dstPitch, copy->dstHeight, &to_extent);
    int result = fill_end(lane, 0, from, copy->srcDevice, told->from_bytes, told->from_array, from_fits, from_extent);

    if (result == 0)
        result = fill_end(lane, 1, to, copy->dstDevice, told->to_bytes, told->to_array, to_fits, to_extent);
    if (result != 0)
        return result;
    *out = (CUDA_MEMCPY_NODE_PARAMS){.copyCtx = cuda_lane_native(lane),
                                     .copyParams = {.srcMemoryType = from,
                                                    .srcHost = told->from,
                                                    .srcDevice = copy->srcDevice,
                                                    .srcArray = told->from_array ? told->from_array->native : NULL,
                                                    .srcXInBytes = inside(from, copy->srcXInBytes),
                                                    .srcY = inside(from, copy->srcY),
                                                    .srcZ = inside(from, copy->srcZ),
                                                    .srcPitch = copy->srcPitch,
                                                    .srcHeight = copy->srcHeight,
                                                    .dstMemoryType = to,
                                                    .dstHost = told->to,
                                                    .dstDevice = copy->dstDevice,
                                                    .dstArray = told->to_array ? told->to_array->native : NULL,
                                                    .dstXInBytes = inside(to, copy->dstXInBytes),
                                                    .dstY = inside(to, copy->dstY),
                                                    .dstZ = inside(to, copy->dstZ),
                                                    .dstPitch = copy->dstPitch,
                                                    .dstHeight = copy->dstHeight,
                                                    .WidthInBytes = copy->WidthInBytes,
                                                    .Height = copy->Height,
                                                    .Depth = copy->Depth}};
    return 0;
}

static int
fill_memset(struct cuda_lane *lane, const struct cuda_told *told, struct node *node)
{
    const CUDA_MEMSET_NODE_PARAMS_v2 *fill = &told->params->memset;
    uint64_t row, extent;

    if ((fill->elementSize != 1 && fill->elementSize != 2 && fill->elementSize != 4) ||
        __builtin_mul_overflow(fill->width, fill->elementSize, &row) ||
        !cuda_rows_extent(fill->pitch, row, fill->height, &extent) || extent == 0 ||
        !cuda_lane_range(lane, 0, fill->dst, extent))
        return CUDA_ERROR_INVALID_VALUE;
    node->params.memset = *fill;
    node->params.memset.ctx = cuda_lane_native(lane);
    return 0;
}

static int
fill_operations(struct cuda_lane *lane, const struct cuda_told *told, struct node *node)
{
    if (!cuda_operations_fit(lane, told->operations, told->operation_count))
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(node->operations, told->operations, told->operation_count * sizeof(*told->operations));
    node->params.memOp = (CUDA_BATCH_MEM_OP_NODE_PARAMS_v2){.ctx = cuda_lane_native(lane),
                                                            .count = (unsigned)told->operation_count,
                                                            .paramArray = node->operations,
                                                            .flags = told->params->memOp.flags};
    return 0;
}

static int
fill_event(struct cuda_lane *lane, const struct cuda_told *told, struct node *node)
{
    if (!told->event || !cuda_lane_announce(lane, CUDA_SLOT_RANGE, &told->event->object))
        return CUDA_ERROR_INVALID_HANDLE;
    if (told->params->type == CU_GRAPH_NODE_TYPE_WAIT_EVENT)
        node->params.eventWait.event = told->event->native;
    else
        node->params.eventRecord.event = told->event->native;
    return 0;
}

static int
fill_child(struct cuda_lane *lane, const struct cuda_told *told, struct node *node)
{
    struct cuda_graph *child = cuda_graph_find(lane, told->child);

    if (!child || child->captured)
        return CUDA_ERROR_INVALID_VALUE;
    /* A graph that moves into another one would have to move in our tree as well. */
    if (told->params->graph.ownership != CU_GRAPH_CHILD_GRAPH_OWNERSHIP_CLONE)
        return CUDA_ERROR_NOT_SUPPORTED;
    node->params.graph.graph = child->is.native;
    return 0;
}

static int
fill_alloc(struct cuda_lane *lane, const struct cuda_told *told, struct node *node)
{
    const CUDA_MEM_ALLOC_NODE_PARAMS_v2 *alloc = &told->params->alloc;

    (void)lane;
    if (alloc->poolProps.allocType != CU_MEM_ALLOCATION_TYPE_PINNED ||
        alloc->poolProps.location.type != CU_MEM_LOCATION_TYPE_DEVICE || alloc->poolProps.handleTypes != 0)
        return CUDA_ERROR_NOT_SUPPORTED;
    node->params.alloc = (CUDA_MEM_ALLOC_NODE_PARAMS_v2){
        .poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                      .location = alloc->poolProps.location,
                      .maxSize = alloc->poolProps.maxSize},
        .accessDescs = told->access_count ? told->access : NULL,
        .accessDescCount = told->access_count,
        .bytesize = alloc->bytesize,
    };
    return 0;
}

static int
fill_free(struct cuda_lane *lane, const struct cuda_told *told, struct node *node)
{
    CUdeviceptr address = told->params->free.dptr;
    const struct cuda_range *range = cuda_lane_range(lane, 0, address, 1);

    if (!range || range->use != CUDA_RANGE_GRAPH)
        return CUDA_ERROR_INVALID_VALUE;
    node->params.free.dptr = address;
    return 0;
}

static int
fill_conditional(struct cuda_lane *lane, const struct cuda_graph *graph, const struct cuda_told *told,
                 struct node *node)
{
    const CUDA_CONDITIONAL_NODE_PARAMS *conditional = &told->params->conditional;
    bool known = false;

    for (uint32_t i = 0; i < graph->conditional_count; i++)
        known |= graph->conditionals[i] == conditional->handle;
    if (!known || conditional->size == 0 || conditional->size > BODIES)
        return CUDA_ERROR_INVALID_VALUE;
    node->params.conditional = (CUDA_CONDITIONAL_NODE_PARAMS){.handle = conditional->handle,
                                                              .type = conditional->type,
                                                              .size = conditional->size,
                                                              .ctx = cuda_lane_native(lane)};
    return 0;
}

/* ---- Copies of pageable memory --------------------------------------------------------------- */

static int
add_after(const struct cuda_driver *native, CUgraph graph, CUgraphNode before, CUgraphNodeParams *params,
          CUgraphNode *out)
{
    return native->cuGraphAddNode(out, graph, before ? &before : NULL, NULL, before != NULL, params);
}

/* The function and the copy, in the order that the copy's direction asks for. No copy at all: both ends are pageable. */
static int
fill_staged(struct cuda_lane *lane, const struct cuda_told *told, struct node *node)
{
    const struct cuda_driver *native = lane->host->native;
    CUgraphNodeParams copy = {.type = CU_GRAPH_NODE_TYPE_MEMCPY}, function = {.type = CU_GRAPH_NODE_TYPE_HOST};
    bool copies = told->from_bytes || told->to_bytes, out = told->to_bytes != 0;
    CUgraphNode first = NULL, second;
    int result = copies ? fill_memcpy(lane, told, &copy.memcpy) : 0;

    if (result == 0)
        result = native->cuGraphCreate(&node->inner, 0);
    if (result == 0)
        result = cuda_callback_make(lane->host, told->token, node->inner, &node->function);
    if (result != 0)
        return result;
    function.host.fn = node->function.fn;
    function.host.userData = node->function.userData;
    result = add_after(native, node->inner, NULL, out ? &copy : &function, &first);
    if (result == 0 && copies)
        result = add_after(native, node->inner, first, out ? &function : &copy, &second);
    node->params.type = CU_GRAPH_NODE_TYPE_GRAPH;
    node->params.graph = (CUDA_CHILD_GRAPH_NODE_PARAMS){.graph = node->inner};
    return result;
}

static int
fill_host(struct cuda_lane *lane, struct cuda_graph *graph, const struct cuda_told *told, struct node *node)
{
    int result = cuda_callback_make(lane->host, told->token, graph ? graph->is.native : NULL, &node->function);

    if (result != 0)
        return result;
    node->function_in = graph ? graph->is.native : NULL;
    node->params.host = (CUDA_HOST_NODE_PARAMS_v2){.fn = node->function.fn, .userData = node->function.userData};
    return 0;
}

/* @p graph is the one that keeps a function; NULL: an executable graph, which cannot. */
static int
fill(struct cuda_lane *lane, struct cuda_graph *graph, const struct cuda_told *told, struct node *node)
{
    memset(&node->params, 0, sizeof(node->params));
    node->params.type = told->params->type;
    node->inner = node->function_in = NULL;
    node->function = (CUDA_HOST_NODE_PARAMS){0};
    switch (told->params->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return fill_kernel(lane, told, node);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return told->token ? fill_staged(lane, told, node) : fill_memcpy(lane, told, &node->params.memcpy);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return fill_memset(lane, told, node);
    case CU_GRAPH_NODE_TYPE_HOST:
        return fill_host(lane, graph, told, node);
    case CU_GRAPH_NODE_TYPE_GRAPH:
        return fill_child(lane, told, node);
    case CU_GRAPH_NODE_TYPE_EMPTY:
        return 0;
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        return fill_event(lane, told, node);
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
        return fill_alloc(lane, told, node);
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
        return fill_free(lane, told, node);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return fill_operations(lane, told, node);
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
        return graph ? fill_conditional(lane, graph, told, node) : CUDA_ERROR_NOT_SUPPORTED;
    default:
        return CUDA_ERROR_NOT_SUPPORTED;
    }
}

/* What is only for the driver to copy from, and after a failure what it has not taken. */
static void
fill_end_of(struct cuda_host *host, const struct node *node, int result)
{
    if (node->inner)
        host->native->cuGraphDestroy(node->inner);
    else if (result != 0 && node->function.userData)
        cuda_callback_drop(host, &node->function, node->function_in);
}

/* ---- Adding ---------------------------------------------------------------------------------- */

/* The driver has made it: its number, and what it has brought with it. */
static int
node_begin(struct cuda_lane *lane, struct cuda_graph *graph, CUgraphNode native, const struct cuda_told *told,
           const struct node *node, uint32_t *number, CUdeviceptr *address, uint32_t *bodies, size_t *bodies_count)
{
    struct cuda_numbered *made = cuda_numbered_of(lane->host, CUDA_OBJECT_NODE, native, &graph->is.object);
    size_t room = *bodies_count;

    *bodies_count = 0;
    if (!made)
        return CUDA_ERROR_OUT_OF_MEMORY;
    ((struct cuda_node *)made)->staged = node->inner != NULL;
    *number = made->number;
    if (told->params->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC) {
        *address = node->params.alloc.dptr;
        return cuda_graph_range_begin(lane, graph->is.native, told->token, *address, node->params.alloc.bytesize);
    }
    if (told->params->type != CU_GRAPH_NODE_TYPE_CONDITIONAL || !node->params.conditional.phGraph_out)
        return 0;
    for (; *bodies_count < room && *bodies_count < node->params.conditional.size; ++*bodies_count) {
        struct cuda_numbered *body = cuda_numbered_of(
            lane->host, CUDA_OBJECT_GRAPH, node->params.conditional.phGraph_out[*bodies_count], &made->object);

        if (!body)
            return CUDA_ERROR_OUT_OF_MEMORY;
        bodies[*bodies_count] = body->number;
    }
    return 0;
}

int
cuda_host_node_add(struct gpuvchan_request *request, uint32_t number, const uint32_t *dependencies,
                   size_t dependencies_count, const CUgraphEdgeData *edges, size_t edges_count,
                   const CUgraphNodeParams *params, struct cuda_function *kernel, struct cuda_event *event,
                   uint32_t child, uint32_t token, void *from, size_t from_bytes, void *to, size_t to_bytes,
                   struct cuda_array *from_array, struct cuda_array *to_array, const void *parameters,
                   size_t parameters_bytes, const CUstreamBatchMemOpParams *operations, size_t operations_count,
                   const CUmemAccessDesc *access, size_t access_count, uint32_t *made, CUdeviceptr *address,
                   uint32_t *bodies, size_t *bodies_count)
{
    const struct cuda_told told = {params,
                                   kernel,
                                   event,
                                   child,
                                   token,
                                   from,
                                   to,
                                   from_bytes,
                                   to_bytes,
                                   from_array,
                                   to_array,
                                   parameters,
                                   parameters_bytes,
                                   operations,
                                   operations_count,
                                   access,
                                   access_count};
    CUgraphNode before[CUDA_NODE_ADD_DEPENDENCIES_MAX], native = NULL;
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_graph *graph;
    struct node node;
    int result;

    if (edges_count && edges_count != dependencies_count)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_graph_enter(lane, number, &graph);
    if (result != 0)
        return result;
    if (!cuda_nodes_take(lane->host, graph, dependencies, dependencies_count, before))
        return cuda_graph_leave(lane, CUDA_ERROR_INVALID_VALUE);
    cuda_graph_changed(graph);
    result = fill(lane, graph, &told, &node);
    if (result == 0)
        result = cuda_native(request)->cuGraphAddNode(&native, graph->is.native, before, edges_count ? edges : NULL,
                                                      dependencies_count, &node.params);
    if (result == 0)
        result = node_begin(lane, graph, native, &told, &node, made, address, bodies, bodies_count);
    fill_end_of(lane->host, &node, result);
    return cuda_graph_leave(lane, result);
}

int
cuda_node_add_told(struct cuda_lane *lane, struct cuda_graph *graph, const struct cuda_told *told, CUgraphNode *native)
{
    struct node node;
    int result = fill(lane, graph, told, &node);

    if (result == 0)
        result = lane->host->native->cuGraphAddNode(native, graph->is.native, NULL, NULL, 0, &node.params);
    fill_end_of(lane->host, &node, result);
    return result;
}

/* ---- Changing -------------------------------------------------------------------------------- */

/* The two nodes inside a copy of pageable memory are changed one by one: what they are cannot change. */
static int
set_inside(struct cuda_lane *lane, struct cuda_node *outer, const struct cuda_told *told, struct node *node)
{
    const struct cuda_driver *native = lane->host->native;
    CUgraphNodeParams copy = {.type = CU_GRAPH_NODE_TYPE_MEMCPY}, function = {.type = CU_GRAPH_NODE_TYPE_HOST};
    bool copies = told->from_bytes || told->to_bytes;
    CUgraphNode inside[2];
    size_t count = 2;
    CUgraph inner;
    int result = copies ? fill_memcpy(lane, told, &copy.memcpy) : 0;

    if (result == 0)
        result = native->cuGraphChildGraphNodeGetGraph(outer->is.native, &inner);
    if (result == 0)
        result = native->cuGraphGetNodes(inner, inside, &count);
    if (result == 0 && count != 1u + copies)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == 0)
        result = cuda_callback_make(lane->host, told->token, inner, &node->function);
    if (result != 0)
        return result;
    node->function_in = inner;
    function.host.fn = node->function.fn;
    function.host.userData = node->function.userData;
    for (size_t i = 0; i < count && result == 0; i++) {
        CUgraphNodeType type = CU_GRAPH_NODE_TYPE_EMPTY;

        result = native->cuGraphNodeGetType(inside[i], &type);
        if (result == 0)
            result = native->cuGraphNodeSetParams(inside[i], type == CU_GRAPH_NODE_TYPE_HOST ? &function : &copy);
        if (result == 0 && type == CU_GRAPH_NODE_TYPE_HOST)
            node->function.userData = NULL; /* it is the node's now, whatever becomes of the other one */
    }
    return result;
}

static int
set(struct cuda_lane *lane, struct cuda_node *node, struct cuda_graph_exec *exec, const struct cuda_told *told,
    struct node *filled)
{
    const struct cuda_driver *native = lane->host->native;
    int result;

    if (node->staged != (told->params->type == CU_GRAPH_NODE_TYPE_MEMCPY && told->token != 0))
        return CUDA_ERROR_INVALID_VALUE;
    switch (told->params->type) {
    case CU_GRAPH_NODE_TYPE_GRAPH:
        if (exec)
            break;
        return CUDA_ERROR_NOT_SUPPORTED; /* its graph has its own nodes to change */
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
        return CUDA_ERROR_NOT_SUPPORTED;
    default:
        break;
    }
    if (node->staged && !exec)
        return set_inside(lane, node, told, filled);
    result = fill(lane, exec ? NULL : cuda_graph_of(node), told, filled);
    if (result != 0)
        return result;
    if (!exec)
        return native->cuGraphNodeSetParams(node->is.native, &filled->params);
    pthread_mutex_lock(&exec->lock);
    result = native->cuGraphExecNodeSetParams(exec->native, node->is.native, &filled->params);
    pthread_mutex_unlock(&exec->lock);
    return result;
}

int
cuda_host_node_set(struct gpuvchan_request *request, uint32_t number, struct cuda_graph_exec *exec,
                   const CUgraphNodeParams *params, struct cuda_function *kernel, struct cuda_event *event,
                   uint32_t child, uint32_t token, void *from, size_t from_bytes, void *to, size_t to_bytes,
                   struct cuda_array *from_array, struct cuda_array *to_array, const void *parameters,
                   size_t parameters_bytes, const CUstreamBatchMemOpParams *operations, size_t operations_count)
{
    const struct cuda_told told = {params,
                                   kernel,
                                   event,
                                   child,
                                   token,
                                   from,
                                   to,
                                   from_bytes,
                                   to_bytes,
                                   from_array,
                                   to_array,
                                   parameters,
                                   parameters_bytes,
                                   operations,
                                   operations_count,
                                   NULL,
                                   0};
    struct cuda_lane *lane = cuda_lane_of(request);
    struct node filled = {.inner = NULL};
    struct cuda_node *node;
    int result = cuda_node_enter(lane, number, exec, &node);

    if (result != 0)
        return result;
    result = set(lane, node, exec, &told, &filled);
    fill_end_of(lane->host, &filled, result);
    if (!exec)
        cuda_graph_changed(cuda_graph_of(node));
    else if (result == 0)
        cuda_record_keep(request, &exec->object, 2 * sizeof(uint32_t)); /* the node and the graph that it is set in */
    return cuda_graph_leave(lane, result);
}

/* ---- Looking --------------------------------------------------------------------------------- */

/* The guest's handle of what the driver calls @p native. Seldom asked for: all objects are looked at. */
static uint32_t
handle_of(struct cuda_host *host, enum cuda_object_kind kind, const void *native)
{
    uint32_t handle = 0;
    CUfunction function;

    pthread_mutex_lock(&host->lock);
    for (struct cuda_object *object = host->made; object && !handle; object = object->next_made) {
        const void *theirs = NULL;

        if (object->kind != kind || !object->made || !cuda_object_alive(object))
            continue;
        if (kind == CUDA_OBJECT_FUNCTION)
            theirs = ((struct cuda_function *)object)->native;
        /* The driver may tell of a kernel, or of what it is in the current context. */
        if (kind == CUDA_OBJECT_FUNCTION && ((struct cuda_function *)object)->kernel && theirs != native &&
            host->native->cuKernelGetFunction &&
            host->native->cuKernelGetFunction(&function, (CUkernel)(uintptr_t)theirs) == CUDA_SUCCESS &&
            function == native)
            theirs = native;
        else if (kind == CUDA_OBJECT_EVENT)
            theirs = ((struct cuda_event *)object)->native;
        else if (kind == CUDA_OBJECT_ARRAY)
            theirs = ((struct cuda_array *)object)->native;
        if (theirs == native)
            handle = object->handle;
    }
    pthread_mutex_unlock(&host->lock);
    return handle;
}

static int
get_kernel(struct cuda_lane *lane, CUgraphNode node, CUgraphNodeParams *out, uint32_t *kernel,
           unsigned char *parameters, size_t *bytes)
{
    const struct cuda_driver *native = lane->host->native;
    CUDA_KERNEL_NODE_PARAMS got = {0};
    size_t room = *bytes, at, size;
    int result = native->cuGraphKernelNodeGetParams(node, &got);

    *bytes = 0;
    if (result != CUDA_SUCCESS)
        return result;
    out->kernel = (CUDA_KERNEL_NODE_PARAMS_v3){.gridDimX = got.gridDimX,
                                               .gridDimY = got.gridDimY,
                                               .gridDimZ = got.gridDimZ,
                                               .blockDimX = got.blockDimX,
                                               .blockDimY = got.blockDimY,
                                               .blockDimZ = got.blockDimZ,
                                               .sharedMemBytes = got.sharedMemBytes};
    if (!got.func) /* the driver takes a kernel for a function where it asks for one */
        got.func = (CUfunction)(void *)got.kern;
    *kernel = handle_of(lane->host, CUDA_OBJECT_FUNCTION, got.func);
    for (size_t i = 0; got.kernelParams && native->cuFuncGetParamInfo(got.func, i, &at, &size) == CUDA_SUCCESS; i++) {
        if (at > room || size > room - at)
            return CUDA_ERROR_NOT_SUPPORTED;
        memcpy(parameters + at, got.kernelParams[i], size);
        if (at + size > *bytes)
            *bytes = at + size;
    }
    return 0;
}

/* Where in the arena, and 1; 0: not there. */
static uint64_t
arena_place(const struct cuda_host *host, const void *pointer)
{
    uint64_t bytes;
    uintptr_t start = (uintptr_t)gpuvchan_session_arena(host->session, &bytes), at = (uintptr_t)pointer;

    return at >= start && at - start < bytes ? at - start + 1 : 0;
}

static int
get_memcpy(struct cuda_lane *lane, CUgraphNode node, CUgraphNodeParams *out, uint64_t *from, uint64_t *to,
           uint32_t *from_array, uint32_t *to_array)
{
    CUDA_MEMCPY3D got = {0};
    int result = lane->host->native->cuGraphMemcpyNodeGetParams(node, &got);

    if (result != CUDA_SUCCESS)
        return result;
    if (got.srcMemoryType == CU_MEMORYTYPE_ARRAY)
        *from_array = handle_of(lane->host, CUDA_OBJECT_ARRAY, got.srcArray);
    if (got.dstMemoryType == CU_MEMORYTYPE_ARRAY)
        *to_array = handle_of(lane->host, CUDA_OBJECT_ARRAY, got.dstArray);
    *from = got.srcMemoryType == CU_MEMORYTYPE_HOST ? arena_place(lane->host, got.srcHost) : 0;
    *to = got.dstMemoryType == CU_MEMORYTYPE_HOST ? arena_place(lane->host, got.dstHost) : 0;
    got.srcHost = NULL; /* what is ours is not told */
    got.dstHost = NULL;
    got.srcArray = got.dstArray = NULL;
    out->memcpy.copyParams = got;
    return 0;
}

static int
get_memset(const struct cuda_driver *native, CUgraphNode node, CUgraphNodeParams *out)
{
    CUDA_MEMSET_NODE_PARAMS got = {0};
    int result = native->cuGraphMemsetNodeGetParams(node, &got);

    out->memset = (CUDA_MEMSET_NODE_PARAMS_v2){.dst = got.dst,
                                               .pitch = got.pitch,
                                               .value = got.value,
                                               .elementSize = got.elementSize,
                                               .width = got.width,
                                               .height = got.height};
    return result;
}

static int
get_event(struct cuda_lane *lane, CUgraphNode node, int32_t type, uint32_t *handle)
{
    const struct cuda_driver *native = lane->host->native;
    CUevent event = NULL;
    int result = type == CU_GRAPH_NODE_TYPE_WAIT_EVENT ? native->cuGraphEventWaitNodeGetEvent(node, &event)
                                                       : native->cuGraphEventRecordNodeGetEvent(node, &event);

    *handle = result == CUDA_SUCCESS ? handle_of(lane->host, CUDA_OBJECT_EVENT, event) : 0;
    return result;
}

static int
get_operations(const struct cuda_driver *native, CUgraphNode node, CUgraphNodeParams *out,
               CUstreamBatchMemOpParams *operations, size_t *count)
{
    CUDA_BATCH_MEM_OP_NODE_PARAMS got = {0};
    size_t room = *count;
    int result = native->cuGraphBatchMemOpNodeGetParams(node, &got);

    *count = 0;
    if (result != CUDA_SUCCESS)
        return result;
    if (got.count > room)
        return CUDA_ERROR_NOT_SUPPORTED;
    *count = got.count;
    memcpy(operations, got.paramArray, got.count * sizeof(*operations));
    out->memOp.count = got.count;
    out->memOp.flags = got.flags;
    return 0;
}

static int
get_alloc(const struct cuda_driver *native, CUgraphNode node, CUgraphNodeParams *out)
{
    CUDA_MEM_ALLOC_NODE_PARAMS got;
    int result;

    memset(&got, 0, sizeof(got));
    result = native->cuGraphMemAllocNodeGetParams(node, &got);
    out->alloc = (CUDA_MEM_ALLOC_NODE_PARAMS_v2){.bytesize = got.bytesize, .dptr = got.dptr};
    out->alloc.poolProps = got.poolProps;
    out->alloc.poolProps.win32SecurityAttributes = NULL;
    return result;
}

int
cuda_node_look(struct cuda_lane *lane, CUgraphNode node, CUgraphNodeType type, struct cuda_looked *looked)
{
    const struct cuda_driver *native = lane->host->native;
    size_t parameters = looked->parameter_bytes, operations = looked->operation_count;
    CUDA_HOST_NODE_PARAMS function = {0};
    int result;

    looked->parameter_bytes = looked->operation_count = 0;
    looked->params->type = type;
    switch (type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        looked->parameter_bytes = parameters;
        return get_kernel(lane, node, looked->params, &looked->kernel, looked->parameters, &looked->parameter_bytes);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return get_memcpy(lane, node, looked->params, &looked->from, &looked->to, &looked->from_array,
                          &looked->to_array);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return get_memset(native, node, looked->params);
    case CU_GRAPH_NODE_TYPE_HOST:
        result = native->cuGraphHostNodeGetParams(node, &function);
        looked->token = result == CUDA_SUCCESS ? cuda_callback_token(&function) : 0;
        return result;
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        return get_event(lane, node, type, &looked->event);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        looked->operation_count = operations;
        return get_operations(native, node, looked->params, looked->operations, &looked->operation_count);
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
        return get_alloc(native, node, looked->params);
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
        return native->cuGraphMemFreeNodeGetParams(node, &looked->params->free.dptr);
    default:
        return CUDA_ERROR_NOT_SUPPORTED;
    }
}

int
cuda_host_node_get(struct gpuvchan_request *request, uint32_t number, int32_t type, CUgraphNodeParams *out,
                   uint32_t *graph, uint32_t *kernel, uint32_t *event, uint32_t *token, uint64_t *from, uint64_t *to,
                   uint32_t *from_array, uint32_t *to_array, void *parameters, size_t *parameters_bytes,
                   CUstreamBatchMemOpParams *operations, size_t *operations_count)
{
    struct cuda_looked looked = {.params = out,
                                 .parameters = parameters,
                                 .parameter_bytes = *parameters_bytes,
                                 .operations = operations,
                                 .operation_count = *operations_count};
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_node *node;
    int result = cuda_node_enter(lane, number, NULL, &node);

    if (result != 0)
        return result;
    *graph = cuda_graph_of(node)->is.number;
    if (node->staged && type == CU_GRAPH_NODE_TYPE_MEMCPY)
        result = CUDA_ERROR_NOT_SUPPORTED;
    else
        result = cuda_node_look(lane, node->is.native, (CUgraphNodeType)type, &looked);
    *kernel = looked.kernel;
    *event = looked.event;
    *token = looked.token;
    *from = looked.from;
    *to = looked.to;
    *from_array = looked.from_array;
    *to_array = looked.to_array;
    *parameters_bytes = looked.parameter_bytes;
    *operations_count = looked.operation_count;
    return cuda_graph_leave(lane, result);
}
