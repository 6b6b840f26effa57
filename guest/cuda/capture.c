/* SPDX-License-Identifier: MIT */
/*
 * Capture.
 *
 * Design notes: as long as nothing in the process is being captured, that is all there is to answer. While
 * something is, posts of all threads wait for the host, so that what CUDA refuses during capture is refused at
 * once, and by the call that it refuses. Captures end soon, and what they make is launched often.
 *
 * What this library does for itself must not be captured either: no mark goes into a stream meanwhile, and waiting
 * is left to the host, whose driver knows what may be waited for.
 */
#include <stdlib.h>

#include "graph.h"

static CUresult
tell_mode(struct cuda_guest_thread *self, CUstreamCaptureMode mode)
{
    CUresult result = cuda_guest_result(cuda_thread_capture_mode_on(&cuda_guest.client, self->lane, mode));

    if (result == CUDA_SUCCESS)
        self->told_mode = mode;
    return result;
}

CUresult
cuda_guest_capture_follow(struct cuda_guest_thread *self)
{
    bool on = cuda_guest_capturing();
    CUresult result = CUDA_SUCCESS;

    if (on != self->synchronous) {
        gpuvchan_lane_set_synchronous(self->lane, on);
        self->synchronous = on;
    }
    if (on && self->mode != self->told_mode)
        result = tell_mode(self, self->mode);
    return result;
}

CUresult
cuda_guest_capture_relax(struct cuda_guest_thread *self)
{
    return cuda_guest_capturing() ? tell_mode(self, CU_STREAM_CAPTURE_MODE_RELAXED) : CUDA_SUCCESS;
}

/* If captures have ended meanwhile the next one tells it. */
CUresult
cuda_guest_capture_restore(struct cuda_guest_thread *self)
{
    return cuda_guest_capturing() && self->mode != self->told_mode ? tell_mode(self, self->mode) : CUDA_SUCCESS;
}

ENTRY
cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
    struct cuda_guest_thread *self = cuda_guest_self();
    CUresult result = cuda_guest_ready();
    CUstreamCaptureMode before = self->mode;

    if (result != CUDA_SUCCESS)
        return result;
    if (!mode || (unsigned)*mode > CU_STREAM_CAPTURE_MODE_RELAXED)
        return CUDA_ERROR_INVALID_VALUE;
    self->mode = *mode; /* the lane is told when a record follows that it matters to */
    *mode = before;
    return CUDA_SUCCESS;
}

/* ---- Beginning and end ----------------------------------------------------------------------- */

/* @p graph 0: a new one. */
static CUresult
begin(CUstream stream, uint32_t graph, const CUgraphNode *dependencies, const CUgraphEdgeData *edges, size_t count,
      CUstreamCaptureMode mode)
{
    uint32_t numbers[CUDA_STREAM_BEGIN_CAPTURE_DEPENDENCIES_MAX];
    struct cuda_guest_thread *self;
    uint32_t wire;
    CUresult result = cuda_guest_stream_enter(stream, &self, &wire);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_settle(self);
    if (result != CUDA_SUCCESS)
        return result;
    if ((unsigned)mode > CU_STREAM_CAPTURE_MODE_RELAXED || count > CUDA_STREAM_BEGIN_CAPTURE_DEPENDENCIES_MAX ||
        !cuda_guest_node_numbers(dependencies, count, numbers))
        return CUDA_ERROR_INVALID_VALUE;
    atomic_fetch_add(&cuda_guest.captures, 1);
    result = cuda_guest_capture_follow(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_stream_begin_capture_on(&cuda_guest.client, self->lane, wire, mode, graph,
                                                                numbers, count, edges, edges ? count : 0));
    if (result != CUDA_SUCCESS)
        atomic_fetch_sub(&cuda_guest.captures, 1);
    return result;
}

ENTRY
cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode)
{
    return begin(stream, 0, NULL, NULL, 0, mode);
}

ENTRY
cuStreamBeginCapture_v2_ptsz(CUstream stream, CUstreamCaptureMode mode)
{
    return begin(cuda_guest_per_thread(stream), 0, NULL, NULL, 0, mode);
}

ENTRY
cuStreamBeginCapture(CUstream stream)
{
    return begin(stream, 0, NULL, NULL, 0, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

ENTRY
cuStreamBeginCapture_ptsz(CUstream stream)
{
    return begin(cuda_guest_per_thread(stream), 0, NULL, NULL, 0, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

ENTRY
cuStreamBeginCaptureToGraph(CUstream stream, CUgraph handle, const CUgraphNode *dependencies,
                            const CUgraphEdgeData *edges, size_t count, CUstreamCaptureMode mode)
{
    uint32_t graph = cuda_guest_graph_number(handle);

    if (graph == 0)
        return CUDA_ERROR_INVALID_VALUE;
    return begin(stream, graph, dependencies, edges, count, mode);
}

ENTRY
cuStreamBeginCaptureToGraph_ptsz(CUstream stream, CUgraph graph, const CUgraphNode *dependencies,
                                 const CUgraphEdgeData *edges, size_t count, CUstreamCaptureMode mode)
{
    return cuStreamBeginCaptureToGraph(cuda_guest_per_thread(stream), graph, dependencies, edges, count, mode);
}

ENTRY
cuStreamEndCapture(CUstream stream, CUgraph *out)
{
    struct cuda_guest_thread *self;
    uint32_t wire, graph = 0;
    int32_t status = 0;
    bool over = false;
    CUresult result = cuda_guest_stream_enter(stream, &self, &wire);

    if (result != CUDA_SUCCESS)
        return result;
    result =
        cuda_guest_result(cuda_stream_end_capture_on(&cuda_guest.client, self->lane, wire, &status, &graph, &over));
    if (result != CUDA_SUCCESS)
        return result;
    if (over)
        atomic_fetch_sub(&cuda_guest.captures, 1);
    if (out) /* who captures to a graph that is there has its handle */
        *out = cuda_guest_graph_handle(graph);
    return (CUresult)status;
}

ENTRY
cuStreamEndCapture_ptsz(CUstream stream, CUgraph *out)
{
    return cuStreamEndCapture(cuda_guest_per_thread(stream), out);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

/* What is given out to be read until the thread asks again. */
struct listed {
    CUgraphNode nodes[CUDA_STREAM_CAPTURE_INFO_DEPENDENCIES_MAX];
    CUgraphEdgeData edges[CUDA_STREAM_CAPTURE_INFO_EDGES_MAX];
    uint32_t numbers[CUDA_STREAM_CAPTURE_INFO_DEPENDENCIES_MAX];
};

struct info {
    int32_t status;
    uint64_t id;
    uint32_t graph;
    size_t count;
};

/* @p list NULL: dependencies are not wanted. */
static CUresult
ask(struct cuda_guest_thread *self, uint32_t wire, struct info *info, struct listed *list)
{
    size_t edges = list ? CUDA_STREAM_CAPTURE_INFO_EDGES_MAX : 0;

    *info = (struct info){.count = list ? CUDA_STREAM_CAPTURE_INFO_DEPENDENCIES_MAX : 0};
    return cuda_guest_result(cuda_stream_capture_info_on(&cuda_guest.client, self->lane, wire, &info->status, &info->id,
                                                         &info->graph, list ? list->numbers : NULL, &info->count,
                                                         list ? list->edges : NULL, &edges));
}

CUresult
cuda_guest_captured(struct cuda_guest_thread *self, uint32_t stream, bool *captured)
{
    struct info info;
    CUresult result;

    *captured = false;
    if (!cuda_guest_capturing())
        return CUDA_SUCCESS;
    result = ask(self, stream, &info, NULL);
    *captured = result == CUDA_SUCCESS && info.status == CU_STREAM_CAPTURE_STATUS_ACTIVE;
    return result;
}

static CUresult
look(CUstream stream, struct cuda_guest_thread **self, struct info *info, bool listing)
{
    uint32_t wire;
    CUresult result = cuda_guest_stream_enter(stream, self, &wire);

    *info = (struct info){.status = CU_STREAM_CAPTURE_STATUS_NONE};
    if (result != CUDA_SUCCESS || !cuda_guest_capturing())
        return result;
    if (listing && !(*self)->listed && !((*self)->listed = malloc(sizeof(struct listed))))
        return CUDA_ERROR_OUT_OF_MEMORY;
    return ask(*self, wire, info, listing ? (*self)->listed : NULL);
}

ENTRY
cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status)
{
    struct cuda_guest_thread *self;
    struct info info;
    CUresult result = look(stream, &self, &info, false);

    if (result == CUDA_SUCCESS && !status)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *status = (CUstreamCaptureStatus)info.status;
    return result;
}

ENTRY
cuStreamIsCapturing_ptsz(CUstream stream, CUstreamCaptureStatus *status)
{
    return cuStreamIsCapturing(cuda_guest_per_thread(stream), status);
}

static bool
is_plain(const CUgraphEdgeData *edge)
{
    return edge->from_port == 0 && edge->to_port == 0 && edge->type == 0;
}

ENTRY
cuStreamGetCaptureInfo_v3(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                          const CUgraphNode **dependencies, const CUgraphEdgeData **edges, size_t *count)
{
    struct cuda_guest_thread *self;
    struct listed *list;
    struct info info;
    CUresult result = look(stream, &self, &info, dependencies || edges || count);

    if (result == CUDA_SUCCESS && !status)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result != CUDA_SUCCESS)
        return result;
    list = self->listed;
    for (size_t i = 0; i < info.count; i++) {
        list->nodes[i] = cuda_guest_node_handle(list->numbers[i]);
        if (!edges && !is_plain(&list->edges[i]))
            return CUDA_ERROR_LOSSY_QUERY;
    }
    *status = (CUstreamCaptureStatus)info.status;
    if (info.status != CU_STREAM_CAPTURE_STATUS_ACTIVE) /* then the others stay as they are */
        return CUDA_SUCCESS;
    if (id)
        *id = info.id;
    if (graph)
        *graph = cuda_guest_graph_handle(info.graph);
    if (dependencies)
        *dependencies = list->nodes;
    if (edges)
        *edges = list->edges;
    if (count)
        *count = info.count;
    return CUDA_SUCCESS;
}

ENTRY
cuStreamGetCaptureInfo_v3_ptsz(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                               const CUgraphNode **dependencies, const CUgraphEdgeData **edges, size_t *count)
{
    return cuStreamGetCaptureInfo_v3(cuda_guest_per_thread(stream), status, id, graph, dependencies, edges, count);
}

ENTRY
cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                          const CUgraphNode **dependencies, size_t *count)
{
    return cuStreamGetCaptureInfo_v3(stream, status, id, graph, dependencies, NULL, count);
}

ENTRY
cuStreamGetCaptureInfo_v2_ptsz(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                               const CUgraphNode **dependencies, size_t *count)
{
    return cuStreamGetCaptureInfo_v3(cuda_guest_per_thread(stream), status, id, graph, dependencies, NULL, count);
}

ENTRY
cuStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id)
{
    return cuStreamGetCaptureInfo_v3(stream, status, id, NULL, NULL, NULL, NULL);
}

ENTRY
cuStreamGetCaptureInfo_ptsz(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id)
{
    return cuStreamGetCaptureInfo_v3(cuda_guest_per_thread(stream), status, id, NULL, NULL, NULL, NULL);
}

ENTRY
cuStreamUpdateCaptureDependencies_v2(CUstream stream, CUgraphNode *dependencies, const CUgraphEdgeData *edges,
                                     size_t count, unsigned int flags)
{
    uint32_t numbers[CUDA_STREAM_CAPTURE_DEPENDENCIES_DEPENDENCIES_MAX], wire;
    struct cuda_guest_thread *self;
    CUresult result = cuda_guest_stream_enter(stream, &self, &wire);

    if (result != CUDA_SUCCESS)
        return result;
    if (count > CUDA_STREAM_CAPTURE_DEPENDENCIES_DEPENDENCIES_MAX ||
        !cuda_guest_node_numbers(dependencies, count, numbers))
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_result(cuda_stream_capture_dependencies_on(&cuda_guest.client, self->lane, wire, flags, numbers,
                                                                 count, edges, edges ? count : 0));
}

ENTRY
cuStreamUpdateCaptureDependencies_v2_ptsz(CUstream stream, CUgraphNode *dependencies, const CUgraphEdgeData *edges,
                                          size_t count, unsigned int flags)
{
    return cuStreamUpdateCaptureDependencies_v2(cuda_guest_per_thread(stream), dependencies, edges, count, flags);
}

ENTRY
cuStreamUpdateCaptureDependencies(CUstream stream, CUgraphNode *dependencies, size_t count, unsigned int flags)
{
    return cuStreamUpdateCaptureDependencies_v2(stream, dependencies, NULL, count, flags);
}

ENTRY
cuStreamUpdateCaptureDependencies_ptsz(CUstream stream, CUgraphNode *dependencies, size_t count, unsigned int flags)
{
    return cuStreamUpdateCaptureDependencies_v2(cuda_guest_per_thread(stream), dependencies, NULL, count, flags);
}
