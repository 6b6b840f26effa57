/* SPDX-License-Identifier: MIT */
/* Functions of the program that streams and graphs call, in their order; and what graphs keep alive. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "test.h"

enum {
    COUNT = 50
};

static CUdeviceptr word;
static uint32_t *seen; /* pinned */
static _Atomic unsigned calls, destroyed;
static _Atomic bool late, right;
static CUcontext context;

static CUresult
add(unsigned value, CUstream stream)
{
    unsigned count = 1;
    void *parameters[] = {&word, &count, &value};

    return test_launch(test_kernel("add"), 1, 1, stream, parameters);
}

static void
reset(void)
{
    NEED(cuMemsetD8_v2(word, 0, 4));
    NEED(cuCtxSynchronize());
    *seen = 0;
    atomic_store(&calls, 0);
    atomic_store(&right, true);
}

static bool
within(unsigned seconds, const _Atomic unsigned *counter, unsigned wanted)
{
    struct timespec pause = {.tv_nsec = 1000000};

    for (unsigned i = 0; i < seconds * 1000 && atomic_load(counter) != wanted; i++)
        nanosleep(&pause, NULL);
    return atomic_load(counter) == wanted;
}

/* What the stream did before is there: each call finds one more. */
static void
look(void *data)
{
    unsigned number = atomic_fetch_add(&calls, 1) + 1;

    (void)data;
    if (*seen != number)
        atomic_store(&right, false);
}

static void
in_streams(CUstream stream)
{
    bool good = true;

    reset();
    for (unsigned i = 0; i < COUNT; i++) {
        good &= add(1, stream) == CUDA_SUCCESS;
        good &= cuMemcpyDtoHAsync_v2(seen, word, 4, stream) == CUDA_SUCCESS;
        good &= cuLaunchHostFunc(stream, look, NULL) == CUDA_SUCCESS;
    }
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    ok(good && atomic_load(&calls) == COUNT, "a stream calls each function, and waiting ends behind the last one");
    ok(atomic_load(&right), "each finds what came before it, and nothing that comes behind");
}

static void
slow(void *data)
{
    struct timespec pause = {.tv_nsec = 50000000};

    (void)data;
    nanosleep(&pause, NULL);
    atomic_store(&late, true);
}

static void
look_late(void *data)
{
    (void)data;
    if (!atomic_load(&late))
        atomic_store(&right, false);
    atomic_fetch_add(&calls, 1);
}

/* A stream waits for a function that takes its time, another thread posts meanwhile. */
static void
stream_waits(CUstream stream)
{
    reset();
    atomic_store(&late, false);
    GIVES(CUDA_SUCCESS, cuLaunchHostFunc(stream, slow, NULL));
    GIVES(CUDA_SUCCESS, add(1, stream));
    GIVES(CUDA_SUCCESS, cuLaunchHostFunc(stream, look_late, NULL));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    ok(atomic_load(&calls) == 1 && atomic_load(&right), "what follows a function waits for its end");
    /* More than a driver queues. */
    for (unsigned i = 0; i < 3000; i++)
        if (add(1, stream) != CUDA_SUCCESS || (i % 100 == 0 && cuLaunchHostFunc(stream, look_late, NULL)))
            atomic_store(&right, false);
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    ok(atomic_load(&calls) == 31 && atomic_load(&right), "many functions among many launches");
}

static void
old_way(CUstream stream, CUresult status, void *data)
{
    if (status != CUDA_SUCCESS || data != &calls || stream == NULL)
        atomic_store(&right, false);
    atomic_fetch_add(&calls, 1);
}

static void
callbacks(CUstream stream)
{
    reset();
    GIVES(CUDA_SUCCESS, cuStreamAddCallback(stream, old_way, &calls, 0));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    ok(atomic_load(&calls) == 1 && atomic_load(&right), "a callback gets its stream, what became of it, and its data");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuStreamAddCallback(stream, old_way, &calls, 1));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuLaunchHostFunc(stream, NULL, NULL));
}

/* Captured and added by hand, in graphs that are launched again and again. */
static void
in_graphs(CUstream stream)
{
    CUDA_HOST_NODE_PARAMS params = {.fn = look, .userData = &calls}, got;
    CUgraph captured, graph;
    CUgraphNode first, second;
    CUgraphExec exec;

    reset();
    GIVES(CUDA_SUCCESS, cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    GIVES(CUDA_SUCCESS, add(1, stream));
    GIVES(CUDA_SUCCESS, cuMemcpyDtoHAsync_v2(seen, word, 4, stream));
    GIVES(CUDA_SUCCESS, cuLaunchHostFunc(stream, look, &calls));
    GIVES(CUDA_SUCCESS, cuStreamEndCapture(stream, &captured));
    ok(atomic_load(&calls) == 0, "a captured function is not called yet");
    NEED(cuGraphInstantiateWithFlags(&exec, captured, 0));
    NEED(cuGraphDestroy(captured));
    for (unsigned i = 0; i < COUNT; i++)
        NEED(cuGraphLaunch(exec, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    ok(atomic_load(&calls) == COUNT && atomic_load(&right), "but at each launch, in its place");
    NEED(cuGraphExecDestroy(exec));

    atomic_store(&calls, 0);
    atomic_store(&late, false);
    NEED(cuGraphCreate(&graph, 0));
    params.fn = slow;
    GIVES(CUDA_SUCCESS, cuGraphAddHostNode(&first, graph, NULL, 0, &params));
    params.fn = look_late;
    GIVES(CUDA_SUCCESS, cuGraphAddHostNode(&second, graph, &first, 1, &params));
    GIVES(CUDA_SUCCESS, cuGraphHostNodeGetParams(second, &got));
    ok(got.fn == look_late && got.userData == &calls, "a node knows its function");
    NEED(cuGraphInstantiateWithFlags(&exec, graph, 0));
    NEED(cuGraphLaunch(exec, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    ok(atomic_load(&calls) == 1 && atomic_load(&right), "functions of a graph are called in its order");
    params.fn = look_late;
    GIVES(CUDA_SUCCESS, cuGraphExecHostNodeSetParams(exec, first, &params));
    NEED(cuGraphLaunch(exec, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    ok(atomic_load(&calls) == 3, "or those that they were changed to");
    NEED(cuGraphExecDestroy(exec));
    NEED(cuGraphDestroy(graph));
}

static void
destroy(void *data)
{
    (void)data;
    atomic_fetch_add(&destroyed, 1);
}

static void
user_objects(CUstream stream)
{
    CUuserObject alone, kept;
    CUgraph graph, clone;
    CUgraphExec exec;

    GIVES(CUDA_SUCCESS, cuUserObjectCreate(&alone, NULL, destroy, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
    GIVES(CUDA_SUCCESS, cuUserObjectRetain(alone, 2));
    GIVES(CUDA_SUCCESS, cuUserObjectRelease(alone, 2));
    ok(atomic_load(&destroyed) == 0, "an object lives as long as somebody has it");
    GIVES(CUDA_SUCCESS, cuUserObjectRelease(alone, 1));
    ok(within(5, &destroyed, 1), "and ends then");

    atomic_store(&destroyed, 0);
    NEED(cuGraphCreate(&graph, 0));
    GIVES(CUDA_SUCCESS, cuUserObjectCreate(&kept, NULL, destroy, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
    GIVES(CUDA_SUCCESS, cuGraphRetainUserObject(graph, kept, 2, 0));
    GIVES(CUDA_SUCCESS, cuGraphRetainUserObject(graph, kept, 1, CU_GRAPH_USER_OBJECT_MOVE));
    GIVES(CUDA_SUCCESS, cuGraphReleaseUserObject(graph, kept, 1));
    NEED(cuGraphClone(&clone, graph));
    NEED(cuGraphInstantiateWithFlags(&exec, graph, 0));
    NEED(cuGraphDestroy(graph));
    NEED(cuGraphLaunch(exec, stream));
    NEED(cuStreamSynchronize(stream));
    NEED(cuGraphExecDestroy(exec));
    NEED(cuCtxSynchronize());
    ok(atomic_load(&destroyed) == 0, "a graph's objects live as long as its copies");
    NEED(cuGraphDestroy(clone));
    ok(within(5, &destroyed, 1), "and end with the last one");
}

int
main(void)
{
    CUstream stream;

    context = test_begin();
    NEED(cuMemAlloc_v2(&word, 4));
    NEED(cuMemHostAlloc((void **)&seen, 4, 0));
    NEED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    in_streams(stream);
    stream_waits(stream);
    callbacks(stream);
    in_graphs(stream);
    user_objects(stream);
    NEED(cuStreamDestroy_v2(stream));
    NEED(cuMemFreeHost(seen));
    NEED(cuMemFree_v2(word));
    NEED(cuCtxDestroy_v2(context));
    return test_end();
}
