/* SPDX-License-Identifier: MIT */
/* Graphs made by hand: each kind of node, edges, copies, changes, what runs and what is refused. */
#include "test.h"

static CUdeviceptr log_memory;
static uint32_t words[65];
static CUcontext context;

static void
log_clear(void)
{
    NEED(cuMemsetD8_v2(log_memory, 0, sizeof(words)));
    NEED(cuCtxSynchronize());
}

static bool
log_is(unsigned count, const unsigned *values)
{
    bool right;

    NEED(cuCtxSynchronize());
    NEED(cuMemcpyDtoH_v2(words, log_memory, sizeof(words)));
    right = words[0] == count;
    for (unsigned i = 0; right && i < count; i++)
        right = words[i + 1] == values[i];
    if (!right)
        for (unsigned i = 0; i <= words[0] && i < 12; i++)
            printf("# word %u: %u\n", i, words[i]);
    return right;
}

/* A node that appends value to the log. */
struct append {
    unsigned value;
    void *parameters[2];
    CUDA_KERNEL_NODE_PARAMS params;
};

static CUDA_KERNEL_NODE_PARAMS *
append(struct append *node, unsigned value)
{
    node->value = value;
    node->parameters[0] = &log_memory;
    node->parameters[1] = &node->value;
    node->params = (CUDA_KERNEL_NODE_PARAMS){.func = test_kernel("append"),
                                             .gridDimX = 1,
                                             .gridDimY = 1,
                                             .gridDimZ = 1,
                                             .blockDimX = 1,
                                             .blockDimY = 1,
                                             .blockDimZ = 1,
                                             .kernelParams = node->parameters};
    return &node->params;
}

static CUgraphNode
add_append(CUgraph graph, CUgraphNode before, unsigned value)
{
    struct append params;
    CUgraphNode node;

    NEED(cuGraphAddKernelNode_v2(&node, graph, before ? &before : NULL, before != NULL, append(&params, value)));
    return node;
}

static CUgraph
graph_new(void)
{
    CUgraph graph;

    NEED(cuGraphCreate(&graph, 0));
    return graph;
}

static CUgraphExec
instantiate(CUgraph graph)
{
    CUgraphExec exec;

    NEED(cuGraphInstantiateWithFlags(&exec, graph, 0));
    return exec;
}

static void
run(CUgraphExec exec)
{
    NEED(cuGraphLaunch(exec, NULL));
    NEED(cuCtxSynchronize());
}

static bool
holds(const CUgraphNode *nodes, size_t count, CUgraphNode node)
{
    for (size_t i = 0; i < count; i++)
        if (nodes[i] == node)
            return true;
    return false;
}

/* ---- Structure ------------------------------------------------------------------------------- */

static void
lists(void)
{
    CUgraph graph = graph_new();
    CUgraphNode a = add_append(graph, NULL, 1), b = add_append(graph, a, 2), c = add_append(graph, a, 3), d, nodes[8];
    CUgraphNode both[2] = {b, c}, from[8], to[8];
    CUgraphEdgeData data[8];
    CUgraphNodeType type;
    size_t count;

    GIVES(CUDA_SUCCESS, cuGraphAddEmptyNode(&d, graph, both, 2));
    count = 8;
    GIVES(CUDA_SUCCESS, cuGraphGetNodes(graph, nodes, &count));
    ok(count == 4 && holds(nodes, 4, a) && holds(nodes, 4, b) && holds(nodes, 4, c) && holds(nodes, 4, d),
       "a graph lists its nodes");
    ok(nodes[4] == NULL && nodes[7] == NULL, "and NULL behind them");
    count = 2;
    GIVES(CUDA_SUCCESS, cuGraphGetNodes(graph, nodes, &count));
    ok(count == 2, "or as many as there is room for");
    count = 8;
    GIVES(CUDA_SUCCESS, cuGraphGetRootNodes(graph, nodes, &count));
    ok(count == 1 && nodes[0] == a, "one depends on nothing");
    count = 8;
    GIVES(CUDA_SUCCESS, cuGraphGetEdges_v2(graph, from, to, data, &count));
    ok(count == 4, "four edges join them");
    count = 8;
    GIVES(CUDA_SUCCESS, cuGraphNodeGetDependencies_v2(d, nodes, data, &count));
    ok(count == 2 && holds(nodes, 2, b) && holds(nodes, 2, c), "a node knows what it depends on");
    count = 8;
    GIVES(CUDA_SUCCESS, cuGraphNodeGetDependentNodes_v2(a, nodes, data, &count));
    ok(count == 2 && holds(nodes, 2, b) && holds(nodes, 2, c), "and what depends on it");
    GIVES(CUDA_SUCCESS, cuGraphAddDependencies_v2(graph, &a, &d, NULL, 1));
    GIVES(CUDA_SUCCESS, cuGraphRemoveDependencies_v2(graph, &b, &d, NULL, 1));
    count = 8;
    NEED(cuGraphNodeGetDependencies_v2(d, nodes, data, &count));
    ok(count == 2 && holds(nodes, 2, a) && holds(nodes, 2, c), "edges can be changed");
    GIVES(CUDA_SUCCESS, cuGraphNodeGetType(d, &type));
    ok(type == CU_GRAPH_NODE_TYPE_EMPTY, "a node knows its kind");
    GIVES(CUDA_SUCCESS, cuGraphDestroyNode(c));
    count = 0;
    NEED(cuGraphGetNodes(graph, NULL, &count));
    ok(count == 3, "a node can go");
    GIVES(CUDA_SUCCESS, cuGraphDestroy(graph));
}

static void
many(void)
{
    enum {
        NODES = 5000
    };
    CUgraph graph = graph_new();
    CUgraphNode *nodes = calloc(NODES, sizeof(CUgraphNode)), *listed = calloc(NODES, sizeof(CUgraphNode)), last;
    CUgraphEdgeData *data = calloc(NODES, sizeof(CUgraphEdgeData));
    size_t count = NODES;
    bool good = true;

    for (int i = 0; i < NODES - 1; i++)
        NEED(cuGraphAddEmptyNode(&nodes[i], graph, NULL, 0));
    GIVES(CUDA_SUCCESS, cuGraphAddEmptyNode(&last, graph, nodes, NODES - 1));
    GIVES(CUDA_SUCCESS, cuGraphGetNodes(graph, listed, &count));
    for (int i = 0; i < NODES; i++)
        for (int k = i + 1; k < NODES && k < i + 50; k++)
            good &= listed[i] != NULL && listed[i] != listed[k];
    ok(good && count == NODES, "a graph may be large");
    count = NODES;
    GIVES(CUDA_SUCCESS, cuGraphNodeGetDependencies_v2(last, listed, data, &count));
    ok(count == NODES - 1 && holds(listed, count, nodes[0]) && holds(listed, count, nodes[NODES - 2]),
       "and a node depend on very many");
    GIVES(CUDA_SUCCESS, cuGraphDestroy(graph));
    free(nodes);
    free(listed);
    free(data);
}

static void
order(void)
{
    static const unsigned values[] = {1, 2, 3, 4};
    CUgraph graph = graph_new(), clone;
    CUgraphNode d = add_append(graph, NULL, 4), c = add_append(graph, NULL, 3), b = add_append(graph, NULL, 2);
    CUgraphNode a = add_append(graph, NULL, 1), found = NULL;
    CUgraphNode from[] = {a, b, c}, to[] = {b, c, d};
    CUgraphExec exec;

    log_clear();
    GIVES(CUDA_SUCCESS, cuGraphAddDependencies_v2(graph, from, to, NULL, 3));
    GIVES(CUDA_SUCCESS, cuGraphClone(&clone, graph));
    GIVES(CUDA_SUCCESS, cuGraphNodeFindInClone(&found, b, clone));
    ok(found != NULL && found != b, "a clone has nodes of its own");
    exec = instantiate(graph);
    run(exec);
    ok(log_is(4, values), "nodes run in the order of their edges");
    GIVES(CUDA_SUCCESS, cuGraphExecDestroy(exec));
    GIVES(CUDA_SUCCESS, cuGraphDestroy(graph));
    log_clear();
    exec = instantiate(clone);
    GIVES(CUDA_SUCCESS, cuGraphDestroy(clone));
    run(exec);
    ok(log_is(4, values), "and those of a clone");
    GIVES(CUDA_SUCCESS, cuGraphExecDestroy(exec));
}

/* ---- Kinds ----------------------------------------------------------------------------------- */

static void
memory_nodes(void)
{
    enum {
        BYTES = 4096
    };
    unsigned char in[BYTES], out[BYTES], *pinned;
    CUDA_MEMSET_NODE_PARAMS fill = {.value = 0x5a, .elementSize = 1, .width = 100, .height = 1}, got_fill;
    CUDA_MEMCPY3D to_device = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                               .srcHost = in,
                               .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                               .WidthInBytes = BYTES,
                               .Height = 1,
                               .Depth = 1};
    CUDA_MEMCPY3D to_host = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                             .dstMemoryType = CU_MEMORYTYPE_HOST,
                             .dstHost = out,
                             .WidthInBytes = BYTES,
                             .Height = 1,
                             .Depth = 1};
    CUDA_MEMCPY3D to_pinned, got;
    CUgraph graph = graph_new();
    CUgraphNode copy_in, set, copy_out, copy_pinned;
    CUgraphNodeType type;
    CUdeviceptr memory;
    CUgraphExec exec;
    size_t count = 0;

    NEED(cuMemAlloc_v2(&memory, BYTES));
    NEED(cuMemHostAlloc((void **)&pinned, BYTES, 0));
    to_device.dstDevice = to_host.srcDevice = memory;
    to_pinned = to_host;
    to_pinned.dstHost = pinned;
    fill.dst = memory + 10;
    GIVES(CUDA_SUCCESS, cuGraphAddMemcpyNode(&copy_in, graph, NULL, 0, &to_device, context));
    GIVES(CUDA_SUCCESS, cuGraphAddMemsetNode(&set, graph, &copy_in, 1, &fill, context));
    GIVES(CUDA_SUCCESS, cuGraphAddMemcpyNode(&copy_out, graph, &set, 1, &to_host, context));
    GIVES(CUDA_SUCCESS, cuGraphAddMemcpyNode(&copy_pinned, graph, &set, 1, &to_pinned, context));
    NEED(cuGraphGetNodes(graph, NULL, &count));
    NEED(cuGraphNodeGetType(copy_in, &type));
    ok(count == 4 && type == CU_GRAPH_NODE_TYPE_MEMCPY, "a copy of pageable memory is one node, too");
    exec = instantiate(graph);
    for (unsigned round = 1; round < 3; round++) {
        test_pattern(in, BYTES, round);
        memset(out, 0, BYTES);
        run(exec);
        memset(in + 10, 0x5a, 100);
        ok(memcmp(in, out, BYTES) == 0 && memcmp(in, pinned, BYTES) == 0, "copies and fills run");
    }
    GIVES(CUDA_SUCCESS, cuGraphMemcpyNodeGetParams(copy_in, &got));
    ok(got.srcHost == in && got.dstDevice == memory && got.WidthInBytes == BYTES, "a copy can be asked what it does");
    GIVES(CUDA_SUCCESS, cuGraphMemcpyNodeGetParams(copy_pinned, &got));
    ok(got.dstHost == pinned && got.srcDevice == memory && got.WidthInBytes == BYTES, "one to pinned memory as well");
    GIVES(CUDA_SUCCESS, cuGraphMemsetNodeGetParams(set, &got_fill));
    ok(got_fill.dst == fill.dst && got_fill.value == 0x5a && got_fill.width == 100, "and a fill");

    fill.value = 0x77;
    GIVES(CUDA_SUCCESS, cuGraphExecMemsetNodeSetParams(exec, set, &fill, context));
    to_host.dstHost = in;
    GIVES(CUDA_SUCCESS, cuGraphExecMemcpyNodeSetParams(exec, copy_out, &to_host, context));
    test_pattern(in, BYTES, 5);
    memset(out, 0, BYTES);
    run(exec);
    ok(in[10] == 0x77 && in[109] == 0x77 && out[10] == 0, "both can be changed in the executable graph");
    GIVES(CUDA_SUCCESS, cuGraphMemsetNodeSetParams(set, &fill));
    GIVES(CUDA_SUCCESS, cuGraphMemcpyNodeSetParams(copy_out, &to_host));
    NEED(cuGraphExecDestroy(exec));
    exec = instantiate(graph);
    test_pattern(in, BYTES, 6);
    run(exec);
    ok(in[10] == 0x77 && in[109] == 0x77, "and in the graph itself");
    NEED(cuGraphExecDestroy(exec));
    NEED(cuGraphDestroy(graph));
    NEED(cuMemFreeHost(pinned));
    NEED(cuMemFree_v2(memory));
}

/* Pageable memory into a part of an array, that to the device, and a part of it back. */
static void
array_nodes(void)
{
    enum {
        WIDTH = 64,
        ROWS = 20
    };
    CUDA_ARRAY_DESCRIPTOR size = {100, 50, CU_AD_FORMAT_UNSIGNED_INT8, 1};
    unsigned char in[WIDTH * ROWS], out[WIDTH * ROWS], *pinned;
    CUDA_MEMCPY3D to_array = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                              .srcHost = in,
                              .srcPitch = WIDTH,
                              .dstXInBytes = 10,
                              .dstY = 5,
                              .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                              .WidthInBytes = WIDTH,
                              .Height = ROWS,
                              .Depth = 1};
    CUDA_MEMCPY3D to_device = {.srcXInBytes = 10,
                               .srcY = 5,
                               .srcMemoryType = CU_MEMORYTYPE_ARRAY,
                               .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                               .dstPitch = WIDTH,
                               .WidthInBytes = WIDTH,
                               .Height = ROWS,
                               .Depth = 1};
    CUDA_MEMCPY3D to_host = {.srcXInBytes = 11,
                             .srcY = 6,
                             .srcMemoryType = CU_MEMORYTYPE_ARRAY,
                             .dstMemoryType = CU_MEMORYTYPE_HOST,
                             .dstHost = out,
                             .dstPitch = WIDTH,
                             .WidthInBytes = WIDTH - 1,
                             .Height = ROWS - 1,
                             .Depth = 1};
    CUDA_MEMCPY3D got;
    CUgraph graph = graph_new();
    CUgraphNode first, second, third, fourth;
    CUdeviceptr memory;
    CUgraphExec exec;
    CUarray array;

    NEED(cuArrayCreate_v2(&array, &size));
    NEED(cuMemAlloc_v2(&memory, sizeof(in)));
    NEED(cuMemHostAlloc((void **)&pinned, sizeof(in), 0));
    to_array.dstArray = to_device.srcArray = to_host.srcArray = array;
    to_device.dstDevice = memory;
    GIVES(CUDA_SUCCESS, cuGraphAddMemcpyNode(&first, graph, NULL, 0, &to_array, context));
    GIVES(CUDA_SUCCESS, cuGraphAddMemcpyNode(&second, graph, &first, 1, &to_device, context));
    GIVES(CUDA_SUCCESS, cuGraphAddMemcpyNode(&third, graph, &first, 1, &to_host, context));
    to_host.dstHost = pinned;
    GIVES(CUDA_SUCCESS, cuGraphAddMemcpyNode(&fourth, graph, &first, 1, &to_host, context));
    exec = instantiate(graph);
    for (unsigned round = 1; round < 3; round++) {
        bool same = true;

        test_pattern(in, sizeof(in), round);
        memset(out, 0, sizeof(out));
        memset(pinned, 0, sizeof(in));
        run(exec);
        for (size_t i = 0; i < ROWS - 1; i++)
            same &= memcmp(out + i * WIDTH, in + (i + 1) * WIDTH + 1, WIDTH - 1) == 0 &&
                    memcmp(pinned + i * WIDTH, in + (i + 1) * WIDTH + 1, WIDTH - 1) == 0;
        NEED(cuMemcpyDtoH_v2(out, memory, sizeof(out)));
        ok(same && memcmp(in, out, sizeof(in)) == 0, "nodes copy to and from parts of an array");
    }
    GIVES(CUDA_SUCCESS, cuGraphMemcpyNodeGetParams(second, &got));
    ok(got.srcArray == array && got.srcXInBytes == 10 && got.srcY == 5 && got.dstDevice == memory,
       "and tell which, and where");
    NEED(cuGraphExecDestroy(exec));
    NEED(cuGraphDestroy(graph));
    NEED(cuMemFreeHost(pinned));
    NEED(cuMemFree_v2(memory));
    NEED(cuArrayDestroy(array));
}

static void
children(void)
{
    static const unsigned values[] = {1, 2, 3, 4};
    CUgraph inner = graph_new(), graph = graph_new(), seen = NULL, again = NULL;
    CUgraphNode first, child, last, nodes[4], a = add_append(inner, NULL, 2);
    CUgraphExec exec;
    size_t count = 4;

    log_clear();
    add_append(inner, a, 3);
    first = add_append(graph, NULL, 1);
    GIVES(CUDA_SUCCESS, cuGraphAddChildGraphNode(&child, graph, &first, 1, inner));
    last = add_append(graph, child, 4);
    ok(last != NULL, "a node may stand behind a graph");
    GIVES(CUDA_SUCCESS, cuGraphChildGraphNodeGetGraph(child, &seen));
    GIVES(CUDA_SUCCESS, cuGraphChildGraphNodeGetGraph(child, &again));
    ok(seen != NULL && seen == again && seen != inner, "which is a copy, and always the same one");
    GIVES(CUDA_SUCCESS, cuGraphGetNodes(seen, nodes, &count));
    ok(count == 2, "with nodes of its own");
    GIVES(CUDA_SUCCESS, cuGraphDestroy(inner));
    exec = instantiate(graph);
    run(exec);
    ok(log_is(4, values), "it runs in its place");
    NEED(cuGraphExecDestroy(exec));
    NEED(cuGraphDestroy(graph));
}

static void
event_nodes(void)
{
    CUgraph graph = graph_new();
    CUgraphNode record, wait, kernel;
    CUevent event, other, got = NULL;
    CUgraphExec exec;
    float milliseconds = -1;

    NEED(cuEventCreate(&event, 0));
    NEED(cuEventCreate(&other, 0));
    log_clear();
    GIVES(CUDA_SUCCESS, cuGraphAddEventRecordNode(&record, graph, NULL, 0, event));
    kernel = add_append(graph, record, 1);
    GIVES(CUDA_SUCCESS, cuGraphAddEventWaitNode(&wait, graph, &kernel, 1, event));
    GIVES(CUDA_SUCCESS, cuGraphEventRecordNodeGetEvent(record, &got));
    ok(got == event, "a node that records knows its event");
    got = NULL;
    GIVES(CUDA_SUCCESS, cuGraphEventWaitNodeGetEvent(wait, &got));
    ok(got == event, "and one that waits");
    exec = instantiate(graph);
    run(exec);
    NEED(cuEventRecord(other, NULL));
    NEED(cuEventSynchronize(other));
    GIVES(CUDA_SUCCESS, cuEventElapsedTime(&milliseconds, event, other));
    ok(milliseconds >= 0, "the graph has recorded it");
    GIVES(CUDA_SUCCESS, cuGraphExecEventRecordNodeSetEvent(exec, record, other));
    run(exec);
    GIVES(CUDA_SUCCESS, cuEventElapsedTime(&milliseconds, event, other));
    ok(milliseconds > 0, "or another one, if told so");
    NEED(cuGraphExecDestroy(exec));
    NEED(cuGraphDestroy(graph));
    NEED(cuEventDestroy_v2(event));
    NEED(cuEventDestroy_v2(other));
}

static void
word_nodes(void)
{
    CUstreamBatchMemOpParams operations[2], *listed;
    CUDA_BATCH_MEM_OP_NODE_PARAMS params = {.ctx = context, .count = 2, .paramArray = operations}, got;
    CUgraph graph = graph_new();
    CUdeviceptr memory;
    CUgraphNode node;
    CUgraphExec exec;
    uint32_t value[2] = {0};

    NEED(cuMemAlloc_v2(&memory, 64));
    memset(operations, 0, sizeof(operations));
    operations[0].writeValue.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32;
    operations[0].writeValue.address = memory;
    operations[0].writeValue.value = 41;
    operations[1] = operations[0];
    operations[1].writeValue.address = memory + 4;
    operations[1].writeValue.value = 42;
    GIVES(CUDA_SUCCESS, cuGraphAddBatchMemOpNode(&node, graph, NULL, 0, &params));
    memset(&got, 0, sizeof(got));
    GIVES(CUDA_SUCCESS, cuGraphBatchMemOpNodeGetParams(node, &got));
    listed = got.paramArray;
    ok(got.count == 2 && listed && listed[1].writeValue.value == 42, "a node of operations lists them");
    exec = instantiate(graph);
    run(exec);
    NEED(cuMemcpyDtoH_v2(value, memory, 8));
    ok(value[0] == 41 && value[1] == 42, "and does them");
    operations[0].writeValue.address = memory + 1000000000;
    NEED(cuGraphExecDestroy(exec));
    NEED(cuGraphDestroy(graph));

    operations[0].writeValue.address = memory;
    operations[0].writeValue.value = 7;
    GIVES(CUDA_SUCCESS, cuStreamBatchMemOp_v2(NULL, 2, operations, 0));
    GIVES(CUDA_SUCCESS, cuStreamWaitValue32_v2(NULL, memory, 7, CU_STREAM_WAIT_VALUE_EQ));
    GIVES(CUDA_SUCCESS, cuStreamWaitValue64_v2(NULL, memory, 7, CU_STREAM_WAIT_VALUE_GEQ));
    NEED(cuCtxSynchronize());
    NEED(cuMemcpyDtoH_v2(value, memory, 8));
    ok(value[0] == 7 && value[1] == 42, "streams do such operations as well");
    NEED(cuMemFree_v2(memory));
}

static void
memory_of_graphs(void)
{
    static const unsigned char expected[4] = {9, 9, 9, 9};
    unsigned char out[4] = {0};
    CUDA_MEM_ALLOC_NODE_PARAMS alloc;
    CUDA_MEMSET_NODE_PARAMS fill = {.value = 9, .elementSize = 1, .width = 4, .height = 1};
    CUDA_MEMCPY3D copy = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                          .dstMemoryType = CU_MEMORYTYPE_HOST,
                          .dstHost = out,
                          .WidthInBytes = 4,
                          .Height = 1,
                          .Depth = 1};
    CUgraphNode allocated, filled, copied, freed;
    CUgraph graph = graph_new();
    CUdeviceptr address = 0;
    cuuint64_t used = 1;
    CUgraphExec exec;

    memset(&alloc, 0, sizeof(alloc));
    alloc.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    alloc.poolProps.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    alloc.bytesize = 100000;
    GIVES(CUDA_SUCCESS, cuGraphAddMemAllocNode(&allocated, graph, NULL, 0, &alloc));
    ok(alloc.dptr != 0, "a node's memory has an address before the graph runs");
    fill.dst = copy.srcDevice = alloc.dptr;
    GIVES(CUDA_SUCCESS, cuGraphAddMemsetNode(&filled, graph, &allocated, 1, &fill, context));
    GIVES(CUDA_SUCCESS, cuGraphAddMemcpyNode(&copied, graph, &filled, 1, &copy, context));
    GIVES(CUDA_SUCCESS, cuGraphAddMemFreeNode(&freed, graph, &copied, 1, alloc.dptr));
    GIVES(CUDA_SUCCESS, cuGraphMemFreeNodeGetParams(freed, &address));
    ok(address == alloc.dptr, "the node that frees it knows that");
    exec = instantiate(graph);
    run(exec);
    memset(out, 0, 4);
    run(exec);
    ok(memcmp(out, expected, 4) == 0, "nodes between use it, at each launch");
    NEED(cuGraphExecDestroy(exec));
    NEED(cuGraphDestroy(graph));
    GIVES(CUDA_SUCCESS, cuDeviceGraphMemTrim(0));
    GIVES(CUDA_SUCCESS, cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, &used));
    ok(used == 0, "no graph has memory in the end");
}

static void
conditional(void)
{
    static const unsigned both[] = {1, 2}, one[] = {1};
    for (unsigned value = 0; value < 2; value++) {
        CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_CONDITIONAL};
        CUgraph graph = graph_new();
        CUgraphNode first = add_append(graph, NULL, 1), node;
        CUgraphConditionalHandle handle;
        CUgraphExec exec;

        log_clear();
        GIVES(CUDA_SUCCESS,
              cuGraphConditionalHandleCreate(&handle, graph, context, value, CU_GRAPH_COND_ASSIGN_DEFAULT));
        params.conditional.handle = handle;
        params.conditional.type = CU_GRAPH_COND_TYPE_IF;
        params.conditional.size = 1;
        params.conditional.ctx = context;
        GIVES(CUDA_SUCCESS, cuGraphAddNode_v2(&node, graph, &first, NULL, 1, &params));
        ok(params.conditional.phGraph_out && params.conditional.phGraph_out[0], "a condition has a body");
        add_append(params.conditional.phGraph_out[0], NULL, 2);
        exec = instantiate(graph);
        run(exec);
        ok(log_is(value ? 2 : 1, value ? both : one), value ? "which runs" : "or does not");
        NEED(cuGraphExecDestroy(exec));
        NEED(cuGraphDestroy(graph));
    }
}

/* ---- Changes --------------------------------------------------------------------------------- */

static void
kernels_change(void)
{
    static const unsigned first[] = {1, 2}, changed[] = {10, 2}, second[] = {10, 20}, disabled[] = {20};
    struct append params;
    CUDA_KERNEL_NODE_PARAMS got;
    CUgraph graph = graph_new(), other = graph_new();
    CUgraphNode a = add_append(graph, NULL, 1), b = add_append(graph, a, 2), c;
    CUgraphExecUpdateResultInfo info;
    CUkernelNodeAttrValue attribute;
    CUgraphExec exec = instantiate(graph);
    unsigned enabled = 7;

    log_clear();
    run(exec);
    ok(log_is(2, first), "parameters are those of the beginning");
    GIVES(CUDA_SUCCESS, cuGraphExecKernelNodeSetParams_v2(exec, a, append(&params, 10)));
    log_clear();
    run(exec);
    ok(log_is(2, changed), "or those that were set since");
    GIVES(CUDA_SUCCESS, cuGraphKernelNodeGetParams_v2(a, &got));
    ok(got.func == test_kernel("append") && got.gridDimX == 1 && got.kernelParams &&
           *(unsigned *)got.kernelParams[1] == 1 && *(CUdeviceptr *)got.kernelParams[0] == log_memory,
       "the graph itself has not changed");
    GIVES(CUDA_SUCCESS, cuGraphKernelNodeSetParams_v2(b, append(&params, 5)));
    GIVES(CUDA_SUCCESS, cuGraphKernelNodeGetParams_v2(b, &got));
    ok(*(unsigned *)got.kernelParams[1] == 5, "but can be changed as well");

    c = add_append(other, NULL, 10);
    add_append(other, c, 20);
    GIVES(CUDA_SUCCESS, cuGraphExecUpdate_v2(exec, other, &info));
    ok(info.result == CU_GRAPH_EXEC_UPDATE_SUCCESS, "another graph of the same shape updates it");
    log_clear();
    run(exec);
    ok(log_is(2, second), "to what that one does");
    add_append(other, NULL, 3);
    GIVES(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, cuGraphExecUpdate_v2(exec, other, &info));
    ok(info.result == CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, "one of another shape does not");
    log_clear();
    run(exec);
    ok(log_is(2, second), "and changes nothing");

    GIVES(CUDA_SUCCESS, cuGraphNodeSetEnabled(exec, a, 0));
    GIVES(CUDA_SUCCESS, cuGraphNodeGetEnabled(exec, a, &enabled));
    log_clear();
    run(exec);
    ok(enabled == 0 && log_is(1, disabled), "a node can be left out");
    memset(&attribute, 0, sizeof(attribute));
    GIVES(CUDA_SUCCESS, cuGraphKernelNodeGetAttribute(a, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &attribute));
    ok(attribute.cooperative == 0, "kernel nodes have attributes");
    attribute.cooperative = 1;
    GIVES(CUDA_SUCCESS, cuGraphKernelNodeSetAttribute(a, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &attribute));
    GIVES(CUDA_SUCCESS, cuGraphKernelNodeCopyAttributes(b, a));
    attribute.cooperative = 0;
    GIVES(CUDA_SUCCESS, cuGraphKernelNodeGetAttribute(b, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &attribute));
    ok(attribute.cooperative == 1, "which can be set and copied");
    NEED(cuGraphExecDestroy(exec));
    NEED(cuGraphDestroy(graph));
    NEED(cuGraphDestroy(other));
}

static void
refusals(void)
{
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = 0};
    CUDA_MEMSET_NODE_PARAMS fill = {.dst = 0x1000, .elementSize = 1, .width = 4, .height = 1};
    CUgraph graph = graph_new();
    CUgraphNode a = add_append(graph, NULL, 1), b = add_append(graph, a, 2), node;
    CUgraphExec exec;

    /* Found when it is made, or when it is to be executable. */
    ok(cuGraphAddDependencies_v2(graph, &b, &a, NULL, 1) == CUDA_ERROR_INVALID_VALUE ||
           (cuGraphInstantiateWithParams(&exec, graph, &params) == CUDA_ERROR_INVALID_VALUE &&
            params.result_out == CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE),
       "edges that go in circles are found");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuGraphCreate(NULL, 0));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuGraphAddMemsetNode(&node, graph, NULL, 0, &fill, context));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuGraphGetNodes(NULL, NULL, NULL));
    NEED(cuGraphDestroy(graph));
}

int
main(void)
{
    context = test_begin();
    NEED(cuMemAlloc_v2(&log_memory, sizeof(words)));
    lists();
    many();
    order();
    memory_nodes();
    array_nodes();
    children();
    event_nodes();
    word_nodes();
    memory_of_graphs();
    conditional();
    kernels_change();
    refusals();
    NEED(cuMemFree_v2(log_memory));
    NEED(cuCtxDestroy_v2(context));
    return test_end();
}
