/* SPDX-License-Identifier: MIT */
/* Stream capture: what becomes nodes, what is refused meanwhile, and what a graph reads when it runs. */
#include <pthread.h>

#include "test.h"

static CUdeviceptr log_memory;
static uint32_t words[65];

static CUresult
append(unsigned value, CUstream stream)
{
    void *parameters[] = {&log_memory, &value};

    return test_launch(test_kernel("append"), 1, 1, stream, parameters);
}

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
    return right;
}

static CUstreamCaptureStatus
status_of(CUstream stream)
{
    CUstreamCaptureStatus status = (CUstreamCaptureStatus)77;

    NEED(cuStreamIsCapturing(stream, &status));
    return status;
}

static size_t
node_count(CUgraph graph)
{
    size_t count = 999;

    NEED(cuGraphGetNodes(graph, NULL, &count));
    return count;
}

static CUgraphExec
instantiate(CUgraph graph)
{
    CUgraphExec exec;

    NEED(cuGraphInstantiateWithFlags(&exec, graph, 0));
    return exec;
}

static void
replay(CUstream stream)
{
    static const unsigned once[] = {1, 2, 3}, thrice[] = {1, 2, 3, 1, 2, 3, 1, 2, 3};
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    const CUgraphNode *dependencies = NULL;
    unsigned long long id = 0, again = 0;
    CUgraph graph = NULL, seen = NULL;
    CUgraphExec exec;
    size_t count = 0;

    log_clear();
    ok(status_of(stream) == CU_STREAM_CAPTURE_STATUS_NONE, "no stream is captured at first");
    GIVES(CUDA_SUCCESS, cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    ok(status_of(stream) == CU_STREAM_CAPTURE_STATUS_ACTIVE, "then it is");
    GIVES(CUDA_SUCCESS, append(1, stream));
    GIVES(CUDA_SUCCESS, append(2, stream));
    GIVES(CUDA_SUCCESS, cuStreamGetCaptureInfo_v2(stream, &status, (cuuint64_t *)&id, &seen, &dependencies, &count));
    ok(status == CU_STREAM_CAPTURE_STATUS_ACTIVE && id != 0 && seen && count == 1 && dependencies[0],
       "it stands at its last node");
    ok(node_count(seen) == 2, "the graph can be looked at meanwhile");
    GIVES(CUDA_SUCCESS, append(3, stream));
    GIVES(CUDA_SUCCESS, cuStreamGetCaptureInfo_v2(stream, &status, (cuuint64_t *)&again, NULL, NULL, NULL));
    ok(id == again, "a capture has one number");
    GIVES(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    ok(graph == seen, "and makes the graph that was seen");
    ok(status_of(stream) == CU_STREAM_CAPTURE_STATUS_NONE, "after its end no stream is captured");
    ok(node_count(graph) == 3, "each launch is a node");
    ok(log_is(0, NULL), "nothing has run");
    exec = instantiate(graph);
    GIVES(CUDA_SUCCESS, cuGraphDestroy(graph));
    GIVES(CUDA_SUCCESS, cuGraphLaunch(exec, stream));
    ok(log_is(3, once), "a launch runs all of it");
    GIVES(CUDA_SUCCESS, cuGraphUpload(exec, stream));
    GIVES(CUDA_SUCCESS, cuGraphLaunch(exec, stream));
    GIVES(CUDA_SUCCESS, cuGraphLaunch(exec, stream));
    ok(log_is(9, thrice), "as often as it is launched");
    GIVES(CUDA_SUCCESS, cuGraphExecDestroy(exec));
}

static void
fork_and_join(CUstream first)
{
    static const unsigned values[] = {1, 2, 3, 4};
    CUstream second;
    CUevent fork, join;
    CUgraph graph;
    CUgraphExec exec;
    size_t edges = 0;

    NEED(cuStreamCreate(&second, CU_STREAM_NON_BLOCKING));
    NEED(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
    NEED(cuEventCreate(&join, CU_EVENT_DISABLE_TIMING));
    log_clear();
    GIVES(CUDA_SUCCESS, cuStreamBeginCapture_v2(first, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    GIVES(CUDA_SUCCESS, append(1, first));
    GIVES(CUDA_SUCCESS, cuEventRecord(fork, first));
    ok(status_of(second) == CU_STREAM_CAPTURE_STATUS_NONE, "another stream is not captured");
    GIVES(CUDA_SUCCESS, cuStreamWaitEvent(second, fork, 0));
    ok(status_of(second) == CU_STREAM_CAPTURE_STATUS_ACTIVE, "until it waits for a captured event");
    GIVES(CUDA_SUCCESS, append(2, second));
    GIVES(CUDA_SUCCESS, append(3, second));
    GIVES(CUDA_SUCCESS, cuEventRecord(join, second));
    GIVES(CUDA_SUCCESS, cuStreamWaitEvent(first, join, 0));
    GIVES(CUDA_SUCCESS, append(4, first));
    GIVES(CUDA_SUCCESS, cuStreamEndCapture(first, &graph));
    NEED(cuGraphGetEdges_v2(graph, NULL, NULL, NULL, &edges));
    ok(node_count(graph) == 4 && edges >= 3, "both streams' work is in the graph");
    exec = instantiate(graph);
    GIVES(CUDA_SUCCESS, cuGraphLaunch(exec, first));
    ok(log_is(4, values), "in the order that events made");
    GIVES(CUDA_SUCCESS, cuGraphExecDestroy(exec));
    GIVES(CUDA_SUCCESS, cuGraphDestroy(graph));

    GIVES(CUDA_SUCCESS, cuStreamBeginCapture_v2(first, CU_STREAM_CAPTURE_MODE_RELAXED));
    GIVES(CUDA_SUCCESS, append(1, first));
    GIVES(CUDA_SUCCESS, cuEventRecord(fork, first));
    GIVES(CUDA_SUCCESS, cuStreamWaitEvent(second, fork, 0));
    GIVES(CUDA_SUCCESS, append(2, second));
    GIVES(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, cuStreamEndCapture(first, &graph));
    ok(graph == NULL && status_of(first) == CU_STREAM_CAPTURE_STATUS_NONE,
       "which ends the capture, and makes no graph");
    NEED(cuEventDestroy_v2(fork));
    NEED(cuEventDestroy_v2(join));
    NEED(cuStreamDestroy_v2(second));
}

/* Copies of pinned and of pageable memory, which a graph reads and writes when it runs. */
static void
copies(CUstream stream)
{
    enum {
        BYTES = 300000,
        WIDTH = 100,
        ROWS = 60
    };
    CUDA_ARRAY_DESCRIPTOR line = {WIDTH, 0, CU_AD_FORMAT_UNSIGNED_INT8, 1};
    unsigned char *in = malloc(BYTES), *out = malloc(BYTES), *rows = malloc(WIDTH * ROWS), *pinned, part[WIDTH];
    uint32_t small = 0, small_out = 0;
    CUdeviceptr memory, word;
    CUgraphExec exec;
    CUgraph graph;
    CUarray array;
    bool good = true;
    CUDA_MEMCPY2D box = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                         .srcPitch = 2 * WIDTH,
                         .dstMemoryType = CU_MEMORYTYPE_HOST,
                         .dstHost = rows,
                         .dstPitch = WIDTH,
                         .WidthInBytes = WIDTH,
                         .Height = ROWS};

    NEED(cuMemAlloc_v2(&memory, BYTES));
    NEED(cuMemAlloc_v2(&word, 4));
    NEED(cuMemHostAlloc((void **)&pinned, BYTES, 0));
    NEED(cuArrayCreate_v2(&array, &line));
    box.srcDevice = memory;
    GIVES(CUDA_SUCCESS, cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    GIVES(CUDA_SUCCESS, cuMemcpyHtoDAsync_v2(word, &small, 4, stream));
    GIVES(CUDA_SUCCESS, cuMemcpyHtoDAsync_v2(memory, in, BYTES, stream));
    GIVES(CUDA_SUCCESS, cuMemsetD8Async(memory + 5, 0xab, 3, stream));
    GIVES(CUDA_SUCCESS, cuMemcpyDtoHAsync_v2(pinned, memory, BYTES, stream));
    GIVES(CUDA_SUCCESS, cuMemcpyDtoHAsync_v2(out, memory, BYTES, stream));
    GIVES(CUDA_SUCCESS, cuMemcpy2DAsync_v2(&box, stream));
    GIVES(CUDA_SUCCESS, cuMemcpyDtoHAsync_v2(&small_out, word, 4, stream));
    GIVES(CUDA_SUCCESS, cuMemcpyHtoAAsync_v2(array, 0, in, WIDTH, stream));
    GIVES(CUDA_SUCCESS, cuMemcpyAtoHAsync_v2(part, array, 10, WIDTH - 10, stream));
    GIVES(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    exec = instantiate(graph);
    NEED(cuGraphDestroy(graph));
    for (unsigned round = 1; round <= 3; round++) {
        test_pattern(in, BYTES, round);
        memset(out, 0, BYTES);
        memset(pinned, 0, BYTES);
        memset(rows, 0, WIDTH * ROWS);
        small = 1000 + round;
        GIVES(CUDA_SUCCESS, cuGraphLaunch(exec, stream));
        GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
        ok(memcmp(part, in + 10, WIDTH - 10) == 0, "and to an array and back");
        memset(in + 5, 0xab, 3);
        good = memcmp(in, out, BYTES) == 0 && memcmp(in, pinned, BYTES) == 0;
        ok(good && small_out == 1000 + round, "a launch copies what is there then, and waiting ends behind it");
        for (unsigned i = 0; i < ROWS; i++)
            good &= memcmp(rows + i * WIDTH, in + i * 2 * WIDTH, WIDTH) == 0;
        ok(good, "rows as well");
    }
    NEED(cuGraphExecDestroy(exec));
    NEED(cuArrayDestroy(array));
    NEED(cuMemFreeHost(pinned));
    NEED(cuMemFree_v2(memory));
    NEED(cuMemFree_v2(word));
    free(in);
    free(out);
    free(rows);
}

static void
refusals(CUstream stream)
{
    CUstream blocking;
    CUgraph graph = (CUgraph)1;
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    CUstreamCaptureStatus status;

    GIVES(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamBeginCapture_v2(NULL, CU_STREAM_CAPTURE_MODE_GLOBAL));
    GIVES(CUDA_SUCCESS, cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    GIVES(CUDA_SUCCESS, append(1, stream));
    GIVES(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamSynchronize(stream));
    ok(status_of(stream) == CU_STREAM_CAPTURE_STATUS_INVALIDATED, "waiting for a captured stream ends the capture");
    GIVES(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, append(1, stream));
    GIVES(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(stream, &graph));
    ok(graph == NULL, "and there is no graph");

    NEED(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    GIVES(CUDA_SUCCESS, cuStreamBeginCapture_v2(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
    GIVES(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, append(1, NULL));
    GIVES(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(blocking, &graph));
    NEED(cuStreamDestroy_v2(blocking));

    GIVES(CUDA_SUCCESS, cuThreadExchangeStreamCaptureMode(&mode));
    ok(mode == CU_STREAM_CAPTURE_MODE_GLOBAL, "threads begin with the global mode");
    GIVES(CUDA_SUCCESS, cuThreadExchangeStreamCaptureMode(&mode));
    ok(mode == CU_STREAM_CAPTURE_MODE_RELAXED, "and have what they were given");
    GIVES(CUDA_SUCCESS, cuStreamGetCaptureInfo_v2(stream, &status, NULL, NULL, NULL, NULL));
    ok(status == CU_STREAM_CAPTURE_STATUS_NONE, "all captures are over");
}

/* Memory in the order of the stream: a graph's own, at the same address in each launch. */
static void
allocations(CUstream stream)
{
    enum {
        WORDS = 40000
    };
    uint32_t *first_out, *second_out, value = 0;
    CUdeviceptr first = 0, second = 0, third = 0;
    bool good = true;
    CUgraphExec exec;
    CUgraph graph;

    NEED(cuMemHostAlloc((void **)&first_out, WORDS * 4, 0));
    NEED(cuMemHostAlloc((void **)&second_out, WORDS * 4, 0));
    GIVES(CUDA_SUCCESS, cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    GIVES(CUDA_SUCCESS, cuMemAllocAsync(&first, WORDS * 4, stream));
    GIVES(CUDA_SUCCESS, cuMemsetD32Async(first, 11, WORDS, stream));
    GIVES(CUDA_SUCCESS, cuMemcpyDtoHAsync_v2(first_out, first, WORDS * 4, stream));
    GIVES(CUDA_SUCCESS, cuMemFreeAsync(first, stream));
    GIVES(CUDA_SUCCESS, cuMemAllocAsync(&second, WORDS * 2, stream)); /* perhaps in the same place */
    GIVES(CUDA_SUCCESS, cuMemsetD32Async(second, 12, WORDS / 2, stream));
    GIVES(CUDA_SUCCESS, cuMemcpyDtoHAsync_v2(second_out, second, WORDS * 2, stream));
    GIVES(CUDA_SUCCESS, cuMemFreeAsync(second, stream));
    GIVES(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    ok(first && second && node_count(graph) == 8, "allocations and frees are nodes");
    exec = instantiate(graph);
    for (int round = 0; round < 2; round++) {
        memset(first_out, 0, WORDS * 4);
        memset(second_out, 0, WORDS * 4);
        GIVES(CUDA_SUCCESS, cuGraphLaunch(exec, stream));
        GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
        for (size_t i = 0; i < WORDS; i++)
            good &= first_out[i] == 11 && second_out[i] == (i < WORDS / 2 ? 12 : 0);
        ok(good, "whose memory the nodes between use");
    }
    NEED(cuGraphDestroy(graph));
    GIVES(CUDA_SUCCESS, cuGraphLaunch(exec, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    NEED(cuGraphExecDestroy(exec));

    GIVES(CUDA_SUCCESS, cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    GIVES(CUDA_SUCCESS, cuMemAllocAsync(&third, 64, stream));
    GIVES(CUDA_SUCCESS, cuMemsetD32Async(third, 13, 16, stream));
    GIVES(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    exec = instantiate(graph);
    for (int round = 0; round < 2; round++) {
        GIVES(CUDA_SUCCESS, cuGraphLaunch(exec, stream));
        GIVES(CUDA_SUCCESS, cuMemcpyDtoHAsync_v2(&value, third, 4, stream));
        GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
        ok(value == 13, "what a graph leaves allocated can be used behind it");
        GIVES(CUDA_SUCCESS, cuMemFreeAsync(third, stream));
        GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    }
    NEED(cuGraphExecDestroy(exec));
    NEED(cuGraphDestroy(graph));
    NEED(cuMemFreeHost(first_out));
    NEED(cuMemFreeHost(second_out));
}

/* Memory: what the thread may do depends on its mode and the captures'. */
static void
memory_meanwhile(CUstream stream)
{
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    CUdeviceptr before, memory = 0, again;
    uint32_t value = 0, *pinned;
    bool gone;
    CUgraph graph;

    NEED(cuMemAlloc_v2(&before, 1 << 16));
    GIVES(CUDA_SUCCESS, cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    GIVES(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemAlloc_v2(&memory, 1 << 16));
    GIVES(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(stream, &graph));

    GIVES(CUDA_SUCCESS, cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    GIVES(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemFree_v2(before));
    GIVES(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(stream, &graph));
    NEED(cuMemsetD32_v2(before, 77, 1));
    NEED(cuMemcpyDtoH_v2(&value, before, 4));
    ok(value == 77, "memory that could not be freed is still there");

    NEED(cuMemHostAlloc((void **)&pinned, 4096, 0));
    GIVES(CUDA_SUCCESS, cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    gone = cuMemFreeHost(pinned) == CUDA_SUCCESS; /* not every driver need refuse it */
    cuStreamEndCapture(stream, &graph);
    if (gone)
        NEED(cuMemHostAlloc((void **)&pinned, 4096, 0));
    NEED(cuMemcpyDtoHAsync_v2(pinned, before, 4, stream));
    NEED(cuStreamSynchronize(stream));
    ok(*pinned == 77, "and so is pinned memory");
    NEED(cuMemFreeHost(pinned));

    NEED(cuThreadExchangeStreamCaptureMode(&mode));
    GIVES(CUDA_SUCCESS, cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    GIVES(CUDA_SUCCESS, append(1, stream));
    GIVES(CUDA_SUCCESS, cuMemAlloc_v2(&memory, 1 << 16));
    GIVES(CUDA_SUCCESS, cuMemFree_v2(before));
    GIVES(CUDA_SUCCESS, cuMemFree_v2(memory));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemFree_v2(before));
    GIVES(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    ok(node_count(graph) == 1, "a relaxed thread allocates and frees while it captures");
    NEED(cuThreadExchangeStreamCaptureMode(&mode));
    NEED(cuGraphDestroy(graph));
    NEED(cuMemAlloc_v2(&again, 1 << 16));
    NEED(cuMemFree_v2(again));
}

/* Another thread's work goes on as ever meanwhile. */
static void *
other_thread(void *context)
{
    unsigned char in[50000], out[50000];
    CUdeviceptr memory;
    CUstream stream;
    bool good;

    NEED(cuCtxSetCurrent(context));
    NEED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    NEED(cuMemAlloc_v2(&memory, sizeof(in)));
    test_pattern(in, sizeof(in), 9);
    good = cuMemcpyHtoDAsync_v2(memory, in, sizeof(in), stream) == CUDA_SUCCESS &&
           cuMemcpyDtoHAsync_v2(out, memory, sizeof(in), stream) == CUDA_SUCCESS &&
           cuStreamSynchronize(stream) == CUDA_SUCCESS;
    good = good && memcmp(in, out, sizeof(in)) == 0;
    NEED(cuMemFree_v2(memory));
    NEED(cuStreamDestroy_v2(stream));
    return good ? context : NULL;
}

static void
threads(CUcontext context, CUstream stream)
{
    static const unsigned values[] = {7, 8};
    CUgraph graph;
    CUgraphExec exec;
    pthread_t thread;
    void *good;

    log_clear();
    GIVES(CUDA_SUCCESS, cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    GIVES(CUDA_SUCCESS, append(7, stream));
    pthread_create(&thread, NULL, other_thread, context);
    pthread_join(thread, &good);
    ok(good != NULL, "another thread copies and waits while this one captures");
    GIVES(CUDA_SUCCESS, append(8, stream));
    GIVES(CUDA_SUCCESS, cuStreamEndCapture(stream, &graph));
    ok(node_count(graph) == 2, "and nothing of that is captured");
    exec = instantiate(graph);
    GIVES(CUDA_SUCCESS, cuGraphLaunch(exec, stream));
    ok(log_is(2, values), "the graph has what was");
    NEED(cuGraphExecDestroy(exec));
    NEED(cuGraphDestroy(graph));
}

/* Into a graph that is there, behind a node of it; and nodes added by hand in between. */
static void
by_hand(CUstream stream)
{
    static const unsigned values[] = {1, 2, 3, 4};
    unsigned value = 1;
    void *parameters[] = {&log_memory, &value};
    CUDA_KERNEL_NODE_PARAMS kernel = {.func = test_kernel("append"),
                                      .gridDimX = 1,
                                      .gridDimY = 1,
                                      .gridDimZ = 1,
                                      .blockDimX = 1,
                                      .blockDimY = 1,
                                      .blockDimZ = 1,
                                      .kernelParams = parameters};
    CUstreamCaptureStatus status;
    const CUgraphNode *at = NULL;
    CUgraph graph, ended, seen;
    CUgraphNode node, last;
    CUgraphExec exec;
    size_t count = 0;

    log_clear();
    NEED(cuGraphCreate(&graph, 0));
    NEED(cuGraphAddKernelNode_v2(&node, graph, NULL, 0, &kernel));
    GIVES(CUDA_SUCCESS,
          cuStreamBeginCaptureToGraph(stream, graph, &node, NULL, 1, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    GIVES(CUDA_SUCCESS, append(2, stream));
    NEED(cuStreamGetCaptureInfo_v2(stream, &status, NULL, &seen, &at, &count));
    ok(seen == graph && count == 1 && at[0] != node, "capture goes on in the graph that it was given");
    value = 3;
    last = at[0];
    GIVES(CUDA_SUCCESS, cuGraphAddKernelNode_v2(&node, graph, &last, 1, &kernel));
    GIVES(CUDA_SUCCESS,
          cuStreamUpdateCaptureDependencies_v2(stream, &node, NULL, 1, CU_STREAM_SET_CAPTURE_DEPENDENCIES));
    GIVES(CUDA_SUCCESS, append(4, stream));
    GIVES(CUDA_SUCCESS, cuStreamEndCapture(stream, &ended));
    ok(ended == graph && node_count(graph) == 4, "and ends with it");
    exec = instantiate(graph);
    GIVES(CUDA_SUCCESS, cuGraphLaunch(exec, stream));
    ok(log_is(4, values), "nodes added by hand have their place among those captured");
    NEED(cuGraphExecDestroy(exec));
    NEED(cuGraphDestroy(graph));
}

int
main(void)
{
    CUcontext context = test_begin();
    CUstream stream;

    NEED(cuMemAlloc_v2(&log_memory, sizeof(words)));
    NEED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    replay(stream);
    fork_and_join(stream);
    copies(stream);
    refusals(stream);
    allocations(stream);
    memory_meanwhile(stream);
    threads(context, stream);
    by_hand(stream);
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    NEED(cuStreamDestroy_v2(stream));
    NEED(cuMemFree_v2(log_memory));
    NEED(cuCtxDestroy_v2(context));
    return test_end();
}
