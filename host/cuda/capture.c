/* SPDX-License-Identifier: MIT */
/*
 * Capture: what a lane's streams are told then becomes nodes of a graph.
 *
 * The driver tells threads apart, as capture modes are theirs; a lane's thread stands for the guest's.
 */
#include "cuda_plugin.h"

void
cuda_lane_default_mode(struct cuda_lane *lane)
{
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

    lane->capture_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
    if (lane->host->native->cuThreadExchangeStreamCaptureMode)
        lane->host->native->cuThreadExchangeStreamCaptureMode(&mode);
}

int
cuda_host_thread_capture_mode(struct gpuvchan_request *request, uint32_t mode)
{
    const struct cuda_driver *native = cuda_native(request);
    CUstreamCaptureMode exchanged = (CUstreamCaptureMode)mode;
    int result;

    if (!native->cuThreadExchangeStreamCaptureMode)
        return cuda_driver_lacks(native, "cuThreadExchangeStreamCaptureMode");
    result = native->cuThreadExchangeStreamCaptureMode(&exchanged);
    if (result == CUDA_SUCCESS)
        cuda_lane_of(request)->capture_mode = mode;
    return result;
}

/* Captures also go where there are no graphs of the guest's yet: the lock, and a stream. */
static int
enter(struct cuda_lane *lane, struct cuda_stream *on)
{
    int result;

    if (!lane->host->native->cuStreamGetCaptureInfo)
        return cuda_driver_lacks(lane->host->native, "cuStreamGetCaptureInfo_v3");
    pthread_mutex_lock(&lane->host->graphs_lock);
    result = cuda_enter(lane, on ? &on->object : NULL, NULL);
    if (result != 0)
        pthread_mutex_unlock(&lane->host->graphs_lock);
    return result;
}

/* The graph that is being captured into, with all that the guest wants to know of it. */
struct capture {
    CUstreamCaptureStatus status;
    cuuint64_t id;
    CUgraph native;
    const CUgraphNode *dependencies;
    const CUgraphEdgeData *edges;
    size_t count;
    struct cuda_graph *graph;
};

static int
look(struct cuda_lane *lane, CUstream stream, struct capture *capture)
{
    *capture = (struct capture){.status = CU_STREAM_CAPTURE_STATUS_NONE};
    int result = lane->host->native->cuStreamGetCaptureInfo(stream, &capture->status, &capture->id, &capture->native,
                                                            &capture->dependencies, &capture->edges, &capture->count);

    if (result != CUDA_SUCCESS || capture->status != CU_STREAM_CAPTURE_STATUS_ACTIVE || !capture->native)
        return result;
    capture->graph =
        (struct cuda_graph *)cuda_numbered_of(lane->host, CUDA_OBJECT_GRAPH, capture->native, &lane->current->object);
    if (!capture->graph)
        return CUDA_ERROR_OUT_OF_MEMORY;
    capture->graph->captured = true;
    return 0;
}

int
cuda_host_stream_begin_capture(struct gpuvchan_request *request, struct cuda_stream *on, uint32_t mode, uint32_t number,
                               const uint32_t *dependencies, size_t dependencies_count, const CUgraphEdgeData *edges,
                               size_t edges_count)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUgraphNode natives[CUDA_STREAM_BEGIN_CAPTURE_DEPENDENCIES_MAX];
    struct capture capture;
    struct cuda_graph *graph;
    int result = enter(lane, on);

    if (result != 0)
        return result;
    if (number == 0) {
        result = native->cuStreamBeginCapture(cuda_stream_native(on), (CUstreamCaptureMode)mode);
    } else {
        graph = cuda_graph_find(lane, number);
        if (!graph || graph->captured || (edges_count && edges_count != dependencies_count) ||
            !cuda_nodes_take(lane->host, graph, dependencies, dependencies_count, natives))
            return cuda_graph_leave(lane, CUDA_ERROR_INVALID_VALUE);
        cuda_graph_changed(graph);
        result = native->cuStreamBeginCaptureToGraph(cuda_stream_native(on), graph->is.native, natives,
                                                     edges_count ? edges : NULL, dependencies_count,
                                                     (CUstreamCaptureMode)mode);
    }
    if (result == CUDA_SUCCESS)
        result = look(lane, cuda_stream_native(on), &capture); /* from now on it is known as captured into */
    return cuda_graph_leave(lane, result);
}

/* The guest's handle of a graph whose capture failed goes too, as the driver has destroyed it. */
static void
forget(struct cuda_lane *lane, struct cuda_graph *graph)
{
    struct cuda_host *host = lane->host;

    pthread_mutex_lock(&host->lock);
    cuda_numbered_forget(host, &graph->is);
    pthread_mutex_unlock(&host->lock);
    cuda_object_end(host, lane, &graph->is.object);
    cuda_object_empty(host, &graph->is.object);
    cuda_object_destroy(host, &graph->is.object);
}

/* Is it still so that nothing of this stream is captured? */
static bool
is_over(const struct cuda_driver *native, CUstream stream)
{
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;

    return native->cuStreamIsCapturing(stream, &status) == CUDA_SUCCESS && status == CU_STREAM_CAPTURE_STATUS_NONE;
}

int
cuda_host_stream_end_capture(struct gpuvchan_request *request, struct cuda_stream *on, int32_t *status,
                             uint32_t *number, bool *over)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUstream stream = cuda_stream_native(on);
    struct cuda_numbered *made = NULL;
    struct capture capture;
    CUgraph graph = NULL;
    int result = enter(lane, on);

    if (result != 0)
        return result;
    look(lane, stream, &capture);
    *status = native->cuStreamEndCapture(stream, &graph);
    *over = capture.status != CU_STREAM_CAPTURE_STATUS_NONE && is_over(native, stream);
    if (graph)
        made = cuda_numbered_of(lane->host, CUDA_OBJECT_GRAPH, graph, &lane->current->object);
    if (made) {
        ((struct cuda_graph *)made)->captured = false;
        *number = made->number;
    } else if (capture.graph && *over) {
        forget(lane, capture.graph);
    }
    return cuda_graph_leave(lane, 0);
}

int
cuda_host_stream_capture_info(struct gpuvchan_request *request, struct cuda_stream *on, int32_t *status, uint64_t *id,
                              uint32_t *number, uint32_t *dependencies, size_t *dependencies_count,
                              CUgraphEdgeData *edges, size_t *edges_count)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    size_t room = *dependencies_count < *edges_count ? *dependencies_count : *edges_count;
    struct capture capture;
    int result = enter(lane, on);

    if (result != 0)
        return result;
    result = look(lane, cuda_stream_native(on), &capture);
    if (result != CUDA_SUCCESS)
        return cuda_graph_leave(lane, result);
    *status = (int32_t)capture.status;
    *id = capture.id;
    *number = capture.graph ? capture.graph->is.number : 0;
    if (!capture.graph || room == 0)
        capture.count = 0;
    if (capture.count > room)
        return cuda_graph_leave(lane, CUDA_ERROR_NOT_SUPPORTED);
    *dependencies_count = *edges_count = capture.count;
    for (size_t i = 0; i < capture.count; i++) {
        const struct cuda_numbered *node =
            cuda_numbered_of(lane->host, CUDA_OBJECT_NODE, capture.dependencies[i], &capture.graph->is.object);

        if (!node)
            return cuda_graph_leave(lane, CUDA_ERROR_OUT_OF_MEMORY);
        dependencies[i] = node->number;
        if (capture.edges)
            edges[i] = capture.edges[i];
    }
    return cuda_graph_leave(lane, 0);
}

int
cuda_host_stream_capture_dependencies(struct gpuvchan_request *request, struct cuda_stream *on, uint32_t flags,
                                      const uint32_t *dependencies, size_t dependencies_count,
                                      const CUgraphEdgeData *edges, size_t edges_count)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    CUgraphNode natives[CUDA_STREAM_CAPTURE_DEPENDENCIES_DEPENDENCIES_MAX];
    struct capture capture;
    int result = enter(lane, on);

    if (result != 0)
        return result;
    result = look(lane, cuda_stream_native(on), &capture);
    if (result == CUDA_SUCCESS &&
        (!capture.graph ? dependencies_count != 0
                        : !cuda_nodes_take(lane->host, capture.graph, dependencies, dependencies_count, natives)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS && edges_count && edges_count != dependencies_count)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = cuda_native(request)->cuStreamUpdateCaptureDependencies(
            cuda_stream_native(on), natives, edges_count ? edges : NULL, dependencies_count, flags);
    return cuda_graph_leave(lane, result);
}
