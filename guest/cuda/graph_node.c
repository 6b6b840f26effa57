/* SPDX-License-Identifier: MIT */
/*
 * Nodes: added, changed and looked at.
 *
 * Design notes: CUDA has a function for each kind of node, and newer ones for all kinds, whose structure has
 * everything. All of them come together here in that structure, and go out as one record, in which what
 * the structure points to follows it. Handles in it become the host's, addresses of pinned memory places in the
 * arena. A node that copies pageable memory takes a token with it; see callback.c.
 */
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "box.h"
#include "graph.h"

/* What goes with the structure. */
struct message {
    CUgraphNodeParams params;
    uint32_t kernel, event, child, token;
    struct gpuvchan_reference from, to;
    uint32_t from_array, to_array;
    unsigned char *parameters; /* freed in the end */
    size_t parameter_bytes;
    const CUstreamBatchMemOpParams *operations;
    size_t operation_count;
    const CUmemAccessDesc *access;
    size_t access_count;
};

/* ---- Each kind ------------------------------------------------------------------------------- */

/* The one place where a node's kernel is found by what the application calls it. */
static struct cuda_guest_function *
kernel_of(const CUDA_KERNEL_NODE_PARAMS_v3 *params)
{
    return cuda_guest_find(params->func ? (const void *)params->func : (const void *)params->kern,
                           CUDA_HANDLE_FUNCTION);
}

static CUresult
fill_kernel(struct message *message)
{
    CUDA_KERNEL_NODE_PARAMS_v3 *params = &message->params.kernel;
    struct cuda_guest_function *function = kernel_of(params);
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (!function)
        return params->func || params->kern ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = cuda_guest_function_learn(self, function, cuda_guest_function_device(self, function));
    if (result != CUDA_SUCCESS)
        return result;
    message->kernel = function->object.handle;
    message->parameter_bytes = function->parameter_bytes;
    message->parameters = malloc(function->parameter_bytes + 1ul);
    if (!message->parameters)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = cuda_guest_parameters_pack(function, params->kernelParams, params->extra, message->parameters);
    params->func = NULL;
    params->kern = NULL;
    params->ctx = NULL;
    params->kernelParams = params->extra = NULL;
    return result;
}

static CUresult
ends_read(const CUDA_MEMCPY3D *copy, struct cuda_guest_transfer *box)
{
    const struct cuda_guest_end_description from = {copy->srcMemoryType, (uintptr_t)copy->srcHost, copy->srcDevice,
                                                    copy->srcArray,      copy->srcXInBytes,        copy->srcY,
                                                    copy->srcZ,          copy->srcPitch,           copy->srcHeight};
    const struct cuda_guest_end_description to = {copy->dstMemoryType, (uintptr_t)copy->dstHost, copy->dstDevice,
                                                  copy->dstArray,      copy->dstXInBytes,        copy->dstY,
                                                  copy->dstZ,          copy->dstPitch,           copy->dstHeight};
    CUresult result;

    *box = (struct cuda_guest_transfer){.width = copy->WidthInBytes, .rows = copy->Height, .planes = copy->Depth};
    if (box->width == 0 || box->rows == 0 || box->planes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_end_read(&box->from, &from, box);
    return result == CUDA_SUCCESS ? cuda_guest_end_read(&box->to, &to, box) : result;
}

static struct cuda_guest_area
area_of(const struct cuda_guest_end *end)
{
    return (struct cuda_guest_area){
        .at = end->place.host, .pitch = end->pitch, .plane = end->pitch * (size_t)end->height};
}

/* The pageable end becomes a packed buffer in the arena. */
static CUresult
stage(struct message *message, struct cuda_guest_end *end, bool in, const struct cuda_guest_extent *extent)
{
    struct cuda_guest_area memory = area_of(end);
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_task_stage(self, &memory, in, extent, &message->token, &end->place.offset);
    end->place.kind = CUDA_GUEST_AT_ARENA;
    end->pitch = extent->width;
    end->height = extent->rows;
    return result;
}

static CUmemorytype
wire_type(const struct cuda_guest_end *end)
{
    if (end->place.kind == CUDA_GUEST_AT_ARRAY)
        return CU_MEMORYTYPE_ARRAY;
    return end->place.kind == CUDA_GUEST_AT_DEVICE ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
}

static void
fill_ends(struct message *message, const struct cuda_guest_transfer *box)
{
    const struct cuda_guest_end *from = &box->from, *to = &box->to;

    message->from = cuda_guest_end_reference(from, box);
    message->to = cuda_guest_end_reference(to, box);
    message->from_array = from->place.array;
    message->to_array = to->place.array;
    message->params.memcpy.copyParams = (CUDA_MEMCPY3D){.srcMemoryType = wire_type(from),
                                                        .srcDevice = from->place.device,
                                                        .srcXInBytes = from->begin[0],
                                                        .srcY = from->begin[1],
                                                        .srcZ = from->begin[2],
                                                        .srcPitch = from->pitch,
                                                        .srcHeight = from->height,
                                                        .dstMemoryType = wire_type(to),
                                                        .dstDevice = to->place.device,
                                                        .dstXInBytes = to->begin[0],
                                                        .dstY = to->begin[1],
                                                        .dstZ = to->begin[2],
                                                        .dstPitch = to->pitch,
                                                        .dstHeight = to->height,
                                                        .WidthInBytes = box->width,
                                                        .Height = box->rows,
                                                        .Depth = box->planes};
}

static CUresult
fill_memcpy(struct message *message)
{
    struct cuda_guest_transfer box = {0};
    struct cuda_guest_area to, from;
    CUresult result = ends_read(&message->params.memcpy.copyParams, &box);
    const struct cuda_guest_extent extent = {box.width, box.rows, box.planes};
    bool in = !cuda_guest_place_reached(&box.from.place), out = !cuda_guest_place_reached(&box.to.place);

    if (result != CUDA_SUCCESS)
        return result;
    if ((in || out) && !cuda_guest_place_remote(&box.from.place) && !cuda_guest_place_remote(&box.to.place)) {
        to = area_of(&box.to);
        from = area_of(&box.from);
        return cuda_guest_task_copy(&to, &from, &extent, &message->token);
    }
    if (in || out)
        result = stage(message, in ? &box.from : &box.to, in, &extent);
    if (result == CUDA_SUCCESS)
        fill_ends(message, &box);
    return result;
}

static CUresult
fill_event(struct message *message, CUevent handle)
{
    struct cuda_guest_event *event = cuda_guest_find(handle, CUDA_HANDLE_EVENT);

    if (!event)
        return CUDA_ERROR_INVALID_HANDLE;
    cuda_guest_event_elsewhere(event);
    message->event = event->object.handle;
    return CUDA_SUCCESS;
}

static CUresult
fill_operations(struct message *message)
{
    CUDA_BATCH_MEM_OP_NODE_PARAMS_v2 *params = &message->params.memOp;

    if (!params->paramArray || params->count > CUDA_NODE_ADD_OPERATIONS_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    message->operations = params->paramArray;
    message->operation_count = params->count;
    params->paramArray = NULL;
    params->ctx = NULL;
    return CUDA_SUCCESS;
}

static CUresult
fill_alloc(struct message *message)
{
    CUDA_MEM_ALLOC_NODE_PARAMS_v2 *params = &message->params.alloc;

    if (params->accessDescCount != 0 && !params->accessDescs)
        return CUDA_ERROR_INVALID_VALUE;
    message->access = params->accessDescs;
    message->access_count = params->accessDescCount;
    params->accessDescs = NULL;
    params->poolProps.win32SecurityAttributes = NULL;
    return cuda_guest_task_range(&message->token);
}

static CUresult
fill_host(struct message *message)
{
    CUDA_HOST_NODE_PARAMS_v2 params = message->params.host;

    memset(&message->params.host, 0, sizeof(message->params.host));
    return params.fn ? cuda_guest_task_function(params.fn, params.userData, &message->token) : CUDA_ERROR_INVALID_VALUE;
}

static CUresult
fill(const CUgraphNodeParams *params, struct message *message)
{
    *message = (struct message){.params = *params};
    switch (params->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return fill_kernel(message);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return fill_memcpy(message);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        message->params.memset.ctx = NULL;
        return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_HOST:
        return fill_host(message);
    case CU_GRAPH_NODE_TYPE_GRAPH:
        message->child = cuda_guest_graph_number(params->graph.graph);
        message->params.graph.graph = NULL;
        return message->child ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_GRAPH_NODE_TYPE_EMPTY:
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
        return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
        message->params.eventWait.event = NULL;
        return fill_event(message, params->eventWait.event);
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        message->params.eventRecord.event = NULL;
        return fill_event(message, params->eventRecord.event);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return fill_operations(message);
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
        return fill_alloc(message);
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
        message->params.conditional.phGraph_out = NULL;
        message->params.conditional.ctx = NULL;
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_NOT_SUPPORTED;
    }
}

/* What the application may ask for again, and the host does not have. */
static void
note(uint32_t node, uint32_t graph, const CUgraphNodeParams *params, uint32_t token)
{
    CUDA_MEMCPY3D *copy;

    if (params->type != CU_GRAPH_NODE_TYPE_MEMCPY)
        return;
    copy = token ? malloc(sizeof(*copy)) : NULL;
    if (copy)
        *copy = params->memcpy.copyParams;
    cuda_guest_note_set(node, graph, CU_GRAPH_NODE_TYPE_MEMCPY, copy);
}

/* ---- Adding ---------------------------------------------------------------------------------- */

/* The memory that the new node allocates has this address in all launches. */
static CUresult
alloc_begin(struct cuda_guest_thread *self, const struct message *message, CUgraphNodeParams *params,
            CUdeviceptr address)
{
    params->alloc.dptr = address;
    return cuda_guest_task_range_begin(message->token, &(struct cuda_guest_range){.start = address,
                                                                                  .bytes = params->alloc.bytesize,
                                                                                  .kind = CUDA_GUEST_GRAPH,
                                                                                  .context = cuda_guest_current(self)});
}

#define BODIES CUDA_NODE_ADD_BODIES_MAX

/* CUDA has the list in memory of its own, as long as the node lives. */
static CUresult
bodies_begin(CUgraphNodeParams *params, uint32_t node, uint32_t graph, const uint32_t *bodies, size_t count)
{
    CUgraph *list = calloc(count + 1, sizeof(CUgraph));

    if (!list)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < count; i++)
        list[i] = cuda_guest_graph_handle(bodies[i]);
    cuda_guest_note_set(node, graph, CU_GRAPH_NODE_TYPE_CONDITIONAL, list);
    params->conditional.phGraph_out = list;
    return CUDA_SUCCESS;
}

static CUresult
added(struct cuda_guest_thread *self, const struct message *message, CUgraphNodeParams *params, uint32_t node,
      uint32_t graph, CUdeviceptr address, const uint32_t *bodies, size_t body_count)
{
    if (params->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
        return alloc_begin(self, message, params, address);
    if (params->type == CU_GRAPH_NODE_TYPE_CONDITIONAL)
        return bodies_begin(params, node, graph, bodies, body_count);
    note(node, graph, params, message->token);
    return CUDA_SUCCESS;
}

/* What does not fit in the record is added behind it. */
static CUresult
add_rest(struct cuda_guest_thread *self, uint32_t graph, uint32_t node, const CUgraphNode *dependencies,
         const CUgraphEdgeData *edges, size_t count)
{
    CUgraphNode *same = malloc(count * sizeof(CUgraphNode));
    CUresult result;

    if (!same)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < count; i++)
        same[i] = cuda_guest_node_handle(node);
    result = cuda_guest_change_edges(self, graph, false, dependencies, same, edges, count);
    free(same);
    return result;
}

#define BEFORE CUDA_NODE_ADD_DEPENDENCIES_MAX

static CUresult
add_sent(struct cuda_guest_thread *self, const struct message *message, uint32_t graph, const uint32_t *before,
         const CUgraphEdgeData *edges, size_t count, CUgraphNodeParams *params, uint32_t *node)
{
    uint32_t bodies[BODIES];
    size_t body_count = BODIES;
    CUdeviceptr address = 0;
    CUresult result = cuda_guest_result(cuda_node_add_on(
        &cuda_guest.client, self->lane, graph, before, count, edges, edges ? count : 0, &message->params,
        message->kernel, message->event, message->child, message->token, message->from, message->to,
        message->from_array, message->to_array, message->parameters, message->parameter_bytes, message->operations,
        message->operation_count, message->access, message->access_count, node, &address, bodies, &body_count));

    return result == CUDA_SUCCESS ? added(self, message, params, *node, graph, address, bodies, body_count) : result;
}

ENTRY
cuGraphAddNode_v2(CUgraphNode *out, CUgraph handle, const CUgraphNode *dependencies, const CUgraphEdgeData *edges,
                  size_t count, CUgraphNodeParams *params)
{
    uint32_t graph = cuda_guest_graph_number(handle), before[BEFORE], node = 0;
    size_t first = count < BEFORE ? count : BEFORE;
    struct cuda_guest_thread *self;
    struct message message;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!out || !params || graph == 0 || !cuda_guest_node_numbers(dependencies, first, before))
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS) {
        result = fill(params, &message);
        if (result == CUDA_SUCCESS)
            result = add_sent(self, &message, graph, before, edges, first, params, &node);
        free(message.parameters);
    }
    if (result == CUDA_SUCCESS && count > first)
        result = add_rest(self, graph, node, dependencies + first, edges ? edges + first : NULL, count - first);
    if (result == CUDA_SUCCESS)
        *out = cuda_guest_node_handle(node);
    return result;
}

ENTRY
cuGraphAddNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count,
               CUgraphNodeParams *params)
{
    return cuGraphAddNode_v2(out, graph, dependencies, NULL, count, params);
}

/* ---- Changing -------------------------------------------------------------------------------- */

static CUresult
set(CUgraphNode handle, uint32_t exec, const CUgraphNodeParams *params)
{
    uint32_t node = cuda_guest_node_number(handle);
    struct cuda_guest_thread *self;
    struct message message;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!params || node == 0)
        return CUDA_ERROR_INVALID_VALUE;
    result = fill(params, &message);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_node_set_on(
            &cuda_guest.client, self->lane, node, exec, &message.params, message.kernel, message.event, message.child,
            message.token, message.from, message.to, message.from_array, message.to_array, message.parameters,
            message.parameter_bytes, message.operations, message.operation_count));
    free(message.parameters);
    if (result == CUDA_SUCCESS && exec == 0)
        note(node, 0, params, message.token);
    return result;
}

static CUresult
exec_set(CUgraphExec handle, CUgraphNode node, const CUgraphNodeParams *params)
{
    const struct cuda_guest_exec *exec;
    CUresult result = cuda_guest_ready();

    if (result != CUDA_SUCCESS)
        return result;
    exec = cuda_guest_find(handle, CUDA_HANDLE_GRAPH_EXEC);
    return exec ? set(node, exec->object.handle, params) : CUDA_ERROR_INVALID_VALUE;
}

ENTRY
cuGraphNodeSetParams(CUgraphNode node, CUgraphNodeParams *params)
{
    return set(node, 0, params);
}

ENTRY
cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraphNodeParams *params)
{
    return exec_set(exec, node, params);
}

/* ---- Looking --------------------------------------------------------------------------------- */

struct answer {
    CUgraphNodeParams params;
    uint32_t graph, kernel, event, token;
    uint64_t from, to;
    uint32_t from_array, to_array;
    size_t parameter_bytes, operation_count;
    unsigned char parameters[CUDA_NODE_GET_PARAMETERS_MAX];
    CUstreamBatchMemOpParams operations[CUDA_NODE_GET_OPERATIONS_MAX];
};

/* On success the answer is the caller's to free. */
static CUresult
get(CUgraphNode handle, CUgraphNodeType type, const void *out, struct answer **answer)
{
    uint32_t node = cuda_guest_node_number(handle);
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_enter(&self);
    struct answer *got;

    if (result != CUDA_SUCCESS)
        return result;
    if (node == 0 || !out)
        return CUDA_ERROR_INVALID_VALUE;
    got = calloc(1, sizeof(*got));
    if (!got)
        return CUDA_ERROR_OUT_OF_MEMORY;
    got->parameter_bytes = type == CU_GRAPH_NODE_TYPE_KERNEL ? CUDA_NODE_GET_PARAMETERS_MAX : 0;
    got->operation_count = type == CU_GRAPH_NODE_TYPE_BATCH_MEM_OP ? CUDA_NODE_GET_OPERATIONS_MAX : 0;
    result = cuda_guest_result(cuda_node_get_on(&cuda_guest.client, self->lane, node, (int32_t)type, &got->params,
                                                &got->graph, &got->kernel, &got->event, &got->token, &got->from,
                                                &got->to, &got->from_array, &got->to_array, got->parameters,
                                                &got->parameter_bytes, got->operations, &got->operation_count));
    if (result != CUDA_SUCCESS) {
        free(got);
        return result;
    }
    *answer = got;
    return CUDA_SUCCESS;
}

/* A pointer per parameter and then the parameters, as the application gets them to keep. */
static void **
parameters_note(uint32_t node, const struct answer *answer, const struct cuda_guest_function *function)
{
    size_t count = function->parameter_count, bytes = function->parameter_bytes;
    void **pointers;
    unsigned char *values;

    if (count == 0 || answer->parameter_bytes != bytes)
        return NULL;
    pointers = malloc(count * sizeof(void *) + bytes);
    if (!pointers)
        return NULL;
    values = (unsigned char *)(pointers + count);
    memcpy(values, answer->parameters, bytes);
    for (size_t i = 0; i < count; i++)
        pointers[i] = values + function->parameters[i].offset;
    cuda_guest_note_set(node, answer->graph, CU_GRAPH_NODE_TYPE_KERNEL, pointers);
    return pointers;
}

ENTRY
cuGraphKernelNodeGetParams_v2(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS *out)
{
    const struct cuda_guest_function *function;
    struct answer *answer;
    CUresult result = get(node, CU_GRAPH_NODE_TYPE_KERNEL, out, &answer);

    if (result != CUDA_SUCCESS)
        return result;
    memcpy(out, &answer->params.kernel, sizeof(*out)); /* the third version has the same fields */
    out->kernelParams = out->extra = NULL;
    out->kern = NULL;
    out->func = NULL;
    function = gpuvchan_handles_lookup(cuda_guest.handles, answer->kernel, CUDA_HANDLE_FUNCTION);
    if (function) {
        if (function->library)
            out->kern = cuda_guest_handle(&function->object);
        else
            out->func = cuda_guest_handle(&function->object);
        out->ctx = function->library ? NULL : cuda_guest_handle(&function->object.context->object);
        out->kernelParams = parameters_note(cuda_guest_node_number(node), answer, function);
    }
    free(answer);
    return CUDA_SUCCESS;
}

/* Where arena memory that the host has told the place of lies here. */
static void *
arena_at(uint64_t place)
{
    static _Atomic(unsigned char *) base;
    unsigned char *start = atomic_load(&base);
    struct gpuvchan_buffer *buffer;

    if (place == 0)
        return NULL;
    if (!start && gpuvchan_buffer_create(cuda_guest.channel, 1, &buffer) == 0) {
        start = (unsigned char *)gpuvchan_buffer_data(buffer) - gpuvchan_buffer_offset(buffer);
        atomic_store(&base, start);
        gpuvchan_buffer_destroy(buffer);
    }
    return start ? start + (place - 1) : NULL;
}

static CUarray
array_of(uint32_t handle)
{
    const struct cuda_guest_array *array = gpuvchan_handles_lookup(cuda_guest.handles, handle, CUDA_HANDLE_CUARRAY);

    return array ? cuda_guest_handle(&array->object) : NULL;
}

ENTRY
cuGraphMemcpyNodeGetParams(CUgraphNode node, CUDA_MEMCPY3D *out)
{
    struct answer *answer;
    CUresult result;

    if (out && cuda_guest_note_get(cuda_guest_node_number(node), CU_GRAPH_NODE_TYPE_MEMCPY, out, sizeof(*out)))
        return CUDA_SUCCESS;
    result = get(node, CU_GRAPH_NODE_TYPE_MEMCPY, out, &answer);
    if (result != CUDA_SUCCESS)
        return result;
    *out = answer->params.memcpy.copyParams;
    out->srcHost = arena_at(answer->from);
    out->dstHost = arena_at(answer->to);
    out->srcArray = array_of(answer->from_array);
    out->dstArray = array_of(answer->to_array);
    free(answer);
    return CUDA_SUCCESS;
}

ENTRY
cuGraphMemsetNodeGetParams(CUgraphNode node, CUDA_MEMSET_NODE_PARAMS *out)
{
    struct answer *answer;
    CUresult result = get(node, CU_GRAPH_NODE_TYPE_MEMSET, out, &answer);

    if (result != CUDA_SUCCESS)
        return result;
    memcpy(out, &answer->params.memset, sizeof(*out)); /* which the second version begins with */
    free(answer);
    return CUDA_SUCCESS;
}

ENTRY
cuGraphHostNodeGetParams(CUgraphNode node, CUDA_HOST_NODE_PARAMS *out)
{
    struct answer *answer;
    CUresult result = get(node, CU_GRAPH_NODE_TYPE_HOST, out, &answer);

    if (result != CUDA_SUCCESS)
        return result;
    if (!cuda_guest_task_find(answer->token, &out->fn, &out->userData))
        result = CUDA_ERROR_INVALID_VALUE;
    free(answer);
    return result;
}

static CUresult
get_event(CUgraphNode node, CUgraphNodeType type, CUevent *out)
{
    const struct cuda_guest_event *event;
    struct answer *answer;
    CUresult result = get(node, type, out, &answer);

    if (result != CUDA_SUCCESS)
        return result;
    event = gpuvchan_handles_lookup(cuda_guest.handles, answer->event, CUDA_HANDLE_EVENT);
    free(answer);
    if (!event)
        return CUDA_ERROR_INVALID_VALUE;
    *out = cuda_guest_handle(&event->object);
    return CUDA_SUCCESS;
}

ENTRY
cuGraphEventRecordNodeGetEvent(CUgraphNode node, CUevent *out)
{
    return get_event(node, CU_GRAPH_NODE_TYPE_EVENT_RECORD, out);
}

ENTRY
cuGraphEventWaitNodeGetEvent(CUgraphNode node, CUevent *out)
{
    return get_event(node, CU_GRAPH_NODE_TYPE_WAIT_EVENT, out);
}

ENTRY
cuGraphBatchMemOpNodeGetParams(CUgraphNode node, CUDA_BATCH_MEM_OP_NODE_PARAMS *out)
{
    CUstreamBatchMemOpParams *operations;
    struct cuda_guest_thread *self;
    struct answer *answer;
    CUresult result = get(node, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, out, &answer);

    if (result != CUDA_SUCCESS)
        return result;
    result = cuda_guest_enter(&self);
    operations = malloc((answer->operation_count + 1) * sizeof(*operations));
    if (!operations || result != CUDA_SUCCESS) {
        free(operations);
        free(answer);
        return operations ? result : CUDA_ERROR_OUT_OF_MEMORY;
    }
    memcpy(operations, answer->operations, answer->operation_count * sizeof(*operations));
    *out = (CUDA_BATCH_MEM_OP_NODE_PARAMS){.ctx = cuda_guest_handle(&cuda_guest_view(self)->object),
                                           .count = (unsigned)answer->operation_count,
                                           .paramArray = operations,
                                           .flags = answer->params.memOp.flags};
    cuda_guest_note_set(cuda_guest_node_number(node), answer->graph, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, operations);
    free(answer);
    return CUDA_SUCCESS;
}

ENTRY
cuGraphMemAllocNodeGetParams(CUgraphNode node, CUDA_MEM_ALLOC_NODE_PARAMS *out)
{
    struct answer *answer;
    CUresult result = get(node, CU_GRAPH_NODE_TYPE_MEM_ALLOC, out, &answer);

    if (result != CUDA_SUCCESS)
        return result;
    memcpy(out, &answer->params.alloc, sizeof(*out)); /* both versions are alike */
    out->accessDescs = NULL;
    out->accessDescCount = 0;
    free(answer);
    return CUDA_SUCCESS;
}

ENTRY
cuGraphMemFreeNodeGetParams(CUgraphNode node, CUdeviceptr *out)
{
    struct answer *answer;
    CUresult result = get(node, CU_GRAPH_NODE_TYPE_MEM_FREE, out, &answer);

    if (result != CUDA_SUCCESS)
        return result;
    *out = answer->params.free.dptr;
    free(answer);
    return CUDA_SUCCESS;
}

/* ---- The functions for one kind -------------------------------------------------------------- */

static CUDA_KERNEL_NODE_PARAMS_v3
kernel_v1(const CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
    CUDA_KERNEL_NODE_PARAMS_v3 kernel = {0};

    memcpy(&kernel, params, sizeof(*params)); /* which the later versions begin with */
    return kernel;
}

static CUDA_KERNEL_NODE_PARAMS_v3
kernel_v2(const CUDA_KERNEL_NODE_PARAMS *params)
{
    CUDA_KERNEL_NODE_PARAMS_v3 kernel;

    memcpy(&kernel, params, sizeof(kernel));
    return kernel;
}

static CUDA_MEMSET_NODE_PARAMS_v2
memset_of(const CUDA_MEMSET_NODE_PARAMS *params)
{
    CUDA_MEMSET_NODE_PARAMS_v2 fill = {0};

    memcpy(&fill, params, sizeof(*params));
    return fill;
}

static CUDA_HOST_NODE_PARAMS_v2
host_of(const CUDA_HOST_NODE_PARAMS *params)
{
    return (CUDA_HOST_NODE_PARAMS_v2){.fn = params->fn, .userData = params->userData};
}

static CUDA_BATCH_MEM_OP_NODE_PARAMS_v2
operations_of(const CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
    return (CUDA_BATCH_MEM_OP_NODE_PARAMS_v2){
        .ctx = params->ctx, .count = params->count, .paramArray = params->paramArray, .flags = params->flags};
}

/* The adding one, the one for nodes and that for executable graphs, of kinds that are told by a structure. */
#define ADDS(name, type_, given, field, value)                                                                    \
    ENTRY name(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count, const given *told) \
    {                                                                                                             \
        CUgraphNodeParams params = {.type = type_};                                                               \
                                                                                                                  \
        if (!told)                                                                                                \
            return CUDA_ERROR_INVALID_VALUE;                                                                      \
        params.field = value(told);                                                                               \
        return cuGraphAddNode_v2(out, graph, dependencies, NULL, count, &params);                                 \
    }
#define SETS(name, type_, given, field, value)      \
    ENTRY name(CUgraphNode node, const given *told) \
    {                                               \
        CUgraphNodeParams params = {.type = type_}; \
                                                    \
        if (!told)                                  \
            return CUDA_ERROR_INVALID_VALUE;        \
        params.field = value(told);                 \
        return set(node, 0, &params);               \
    }
#define EXEC_SETS(name, type_, given, field, value)                   \
    ENTRY name(CUgraphExec exec, CUgraphNode node, const given *told) \
    {                                                                 \
        CUgraphNodeParams params = {.type = type_};                   \
                                                                      \
        if (!told)                                                    \
            return CUDA_ERROR_INVALID_VALUE;                          \
        params.field = value(told);                                   \
        return exec_set(exec, node, &params);                         \
    }
#define KIND(type_, given, field, value, add, set_, exec_set_) \
    ADDS(add, type_, given, field, value)                      \
    SETS(set_, type_, given, field, value)                     \
    EXEC_SETS(exec_set_, type_, given, field, value)

KIND(CU_GRAPH_NODE_TYPE_KERNEL, CUDA_KERNEL_NODE_PARAMS_v1, kernel, kernel_v1, cuGraphAddKernelNode,
     cuGraphKernelNodeSetParams, cuGraphExecKernelNodeSetParams)
KIND(CU_GRAPH_NODE_TYPE_KERNEL, CUDA_KERNEL_NODE_PARAMS, kernel, kernel_v2, cuGraphAddKernelNode_v2,
     cuGraphKernelNodeSetParams_v2, cuGraphExecKernelNodeSetParams_v2)
KIND(CU_GRAPH_NODE_TYPE_HOST, CUDA_HOST_NODE_PARAMS, host, host_of, cuGraphAddHostNode, cuGraphHostNodeSetParams,
     cuGraphExecHostNodeSetParams)
KIND(CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, CUDA_BATCH_MEM_OP_NODE_PARAMS, memOp, operations_of, cuGraphAddBatchMemOpNode,
     cuGraphBatchMemOpNodeSetParams, cuGraphExecBatchMemOpNodeSetParams)
SETS(cuGraphMemsetNodeSetParams, CU_GRAPH_NODE_TYPE_MEMSET, CUDA_MEMSET_NODE_PARAMS, memset, memset_of)

ENTRY
cuGraphKernelNodeGetParams(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS_v1 *out)
{
    CUDA_KERNEL_NODE_PARAMS params;
    CUresult result = out ? cuGraphKernelNodeGetParams_v2(node, &params) : CUDA_ERROR_INVALID_VALUE;

    if (result == CUDA_SUCCESS)
        memcpy(out, &params, sizeof(*out));
    return result;
}

/* The context that the application names for a copy or a fill must be the current one, which the host takes. */
static CUresult
context_check(CUcontext context)
{
    CUcontext current = NULL;
    CUresult result = cuCtxGetCurrent(&current);

    return result == CUDA_SUCCESS && context && context != current ? CUDA_ERROR_INVALID_CONTEXT : result;
}

ENTRY
cuGraphAddMemcpyNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                     const CUDA_MEMCPY3D *copy, CUcontext context)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMCPY};
    CUresult result = copy ? context_check(context) : CUDA_ERROR_INVALID_VALUE;

    if (result != CUDA_SUCCESS)
        return result;
    params.memcpy.copyParams = *copy;
    return cuGraphAddNode_v2(out, graph, dependencies, NULL, count, &params);
}

ENTRY
cuGraphMemcpyNodeSetParams(CUgraphNode node, const CUDA_MEMCPY3D *copy)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMCPY};

    if (!copy)
        return CUDA_ERROR_INVALID_VALUE;
    params.memcpy.copyParams = *copy;
    return set(node, 0, &params);
}

ENTRY
cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMCPY3D *copy, CUcontext context)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMCPY};
    CUresult result = copy ? context_check(context) : CUDA_ERROR_INVALID_VALUE;

    if (result != CUDA_SUCCESS)
        return result;
    params.memcpy.copyParams = *copy;
    return exec_set(exec, node, &params);
}

ENTRY
cuGraphAddMemsetNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                     const CUDA_MEMSET_NODE_PARAMS *told, CUcontext context)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMSET};
    CUresult result = told ? context_check(context) : CUDA_ERROR_INVALID_VALUE;

    if (result != CUDA_SUCCESS)
        return result;
    params.memset = memset_of(told);
    return cuGraphAddNode_v2(out, graph, dependencies, NULL, count, &params);
}

ENTRY
cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS *told,
                               CUcontext context)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEMSET};
    CUresult result = told ? context_check(context) : CUDA_ERROR_INVALID_VALUE;

    if (result != CUDA_SUCCESS)
        return result;
    params.memset = memset_of(told);
    return exec_set(exec, node, &params);
}

ENTRY
cuGraphAddChildGraphNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count, CUgraph child)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_GRAPH};

    params.graph.graph = child;
    return cuGraphAddNode_v2(out, graph, dependencies, NULL, count, &params);
}

ENTRY
cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraph child)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_GRAPH};

    params.graph.graph = child;
    return exec_set(exec, node, &params);
}

ENTRY
cuGraphAddEmptyNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_EMPTY};

    return cuGraphAddNode_v2(out, graph, dependencies, NULL, count, &params);
}

ENTRY
cuGraphAddMemAllocNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                       CUDA_MEM_ALLOC_NODE_PARAMS *told)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEM_ALLOC};
    CUresult result;

    if (!told)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(&params.alloc, told, sizeof(*told));
    result = cuGraphAddNode_v2(out, graph, dependencies, NULL, count, &params);
    if (result == CUDA_SUCCESS)
        told->dptr = params.alloc.dptr;
    return result;
}

ENTRY
cuGraphAddMemFreeNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                      CUdeviceptr address)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEM_FREE};

    params.free.dptr = address;
    return cuGraphAddNode_v2(out, graph, dependencies, NULL, count, &params);
}

#define EVENTS(type_, field, add, set_, exec_set_)                                                           \
    ENTRY add(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count, CUevent event) \
    {                                                                                                        \
        CUgraphNodeParams params = {.type = type_};                                                          \
                                                                                                             \
        params.field.event = event;                                                                          \
        return cuGraphAddNode_v2(out, graph, dependencies, NULL, count, &params);                            \
    }                                                                                                        \
    ENTRY set_(CUgraphNode node, CUevent event)                                                              \
    {                                                                                                        \
        CUgraphNodeParams params = {.type = type_};                                                          \
                                                                                                             \
        params.field.event = event;                                                                          \
        return set(node, 0, &params);                                                                        \
    }                                                                                                        \
    ENTRY exec_set_(CUgraphExec exec, CUgraphNode node, CUevent event)                                       \
    {                                                                                                        \
        CUgraphNodeParams params = {.type = type_};                                                          \
                                                                                                             \
        params.field.event = event;                                                                          \
        return exec_set(exec, node, &params);                                                                \
    }

EVENTS(CU_GRAPH_NODE_TYPE_EVENT_RECORD, eventRecord, cuGraphAddEventRecordNode, cuGraphEventRecordNodeSetEvent,
       cuGraphExecEventRecordNodeSetEvent)
EVENTS(CU_GRAPH_NODE_TYPE_WAIT_EVENT, eventWait, cuGraphAddEventWaitNode, cuGraphEventWaitNodeSetEvent,
       cuGraphExecEventWaitNodeSetEvent)

/* ---- Semaphores of other APIs, which cannot be imported --------------------------------------- */

#define REFUSED(name, ...)                                                 \
    ENTRY name(__VA_ARGS__)                                                \
    {                                                                      \
        CUresult result = cuda_guest_ready();                              \
                                                                           \
        return result == CUDA_SUCCESS ? CUDA_ERROR_NOT_SUPPORTED : result; \
    }
#define UNUSED __attribute__((unused))

REFUSED(cuGraphAddExternalSemaphoresSignalNode, UNUSED CUgraphNode *out, UNUSED CUgraph graph,
        UNUSED const CUgraphNode *dependencies, UNUSED size_t count, UNUSED const CUDA_EXT_SEM_SIGNAL_NODE_PARAMS *told)
REFUSED(cuGraphExternalSemaphoresSignalNodeGetParams, UNUSED CUgraphNode node,
        UNUSED CUDA_EXT_SEM_SIGNAL_NODE_PARAMS *out)
REFUSED(cuGraphExternalSemaphoresSignalNodeSetParams, UNUSED CUgraphNode node,
        UNUSED const CUDA_EXT_SEM_SIGNAL_NODE_PARAMS *told)
REFUSED(cuGraphExecExternalSemaphoresSignalNodeSetParams, UNUSED CUgraphExec exec, UNUSED CUgraphNode node,
        UNUSED const CUDA_EXT_SEM_SIGNAL_NODE_PARAMS *told)
REFUSED(cuGraphAddExternalSemaphoresWaitNode, UNUSED CUgraphNode *out, UNUSED CUgraph graph,
        UNUSED const CUgraphNode *dependencies, UNUSED size_t count, UNUSED const CUDA_EXT_SEM_WAIT_NODE_PARAMS *told)
REFUSED(cuGraphExternalSemaphoresWaitNodeGetParams, UNUSED CUgraphNode node, UNUSED CUDA_EXT_SEM_WAIT_NODE_PARAMS *out)
REFUSED(cuGraphExternalSemaphoresWaitNodeSetParams, UNUSED CUgraphNode node,
        UNUSED const CUDA_EXT_SEM_WAIT_NODE_PARAMS *told)
REFUSED(cuGraphExecExternalSemaphoresWaitNodeSetParams, UNUSED CUgraphExec exec, UNUSED CUgraphNode node,
        UNUSED const CUDA_EXT_SEM_WAIT_NODE_PARAMS *told)
