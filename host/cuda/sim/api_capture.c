/* SPDX-License-Identifier: MIT */
/*
 * Capture: what a stream is told becomes nodes, each behind those that the stream stands at. Events take these
 * places from one stream to another, which is then captured as well.
 */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

struct capture {
    struct capture *next;
    struct sim_graph *graph;
    unsigned long long id;
    CUstreamCaptureMode mode;
    bool to_graph; /* one that was there before */
    bool invalid;
    const void *thread; /* that began it */
};

struct sim_track {
    struct sim_track *next;
    CUstream stream;
    const void *thread; /* of a per-thread default stream */
    struct capture *capture;
    bool origin;
    struct sim_edge *at; /* where it stands */
    size_t count;
};

/* What an event that was recorded during capture stands for. */
struct sim_mark {
    unsigned long long capture;
    size_t count;
    struct sim_edge at[];
};

static struct sim_track *tracks;
static struct capture *captures;
static _Thread_local CUstreamCaptureMode mode_here = CU_STREAM_CAPTURE_MODE_GLOBAL;

static const void *
this_thread(void)
{
    return &mode_here;
}

static struct sim_track *
track_of(CUstream stream)
{
    for (struct sim_track *track = tracks; track; track = track->next)
        if (track->stream == stream && (stream != CU_STREAM_PER_THREAD || track->thread == this_thread()))
            return track;
    return NULL;
}

struct sim_track *
sim_captured(CUstream stream)
{
    return sim_replaying || !tracks ? NULL : track_of(stream);
}

bool
sim_capture_any(void)
{
    return captures != NULL && !sim_replaying;
}

bool
sim_capture_implicit(void)
{
    bool found = false;

    for (struct sim_track *track = tracks; track && !sim_replaying; track = track->next) {
        const struct sim_stream *stream = sim_object_find(track->stream, OBJECT_STREAM);

        if (stream && stream->flags & CU_STREAM_NON_BLOCKING)
            continue;
        track->capture->invalid = true;
        found = true;
    }
    return found;
}

CUresult
sim_capture_unsafe(void)
{
    bool found = false;

    if (sim_replaying || mode_here == CU_STREAM_CAPTURE_MODE_RELAXED)
        return CUDA_SUCCESS;
    for (struct capture *capture = captures; capture; capture = capture->next) {
        bool minds = capture->thread == this_thread()
                         ? capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED
                         : capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL && mode_here == CU_STREAM_CAPTURE_MODE_GLOBAL;

        capture->invalid |= minds;
        found |= minds;
    }
    return found ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}

/* ---- Tracks ---------------------------------------------------------------------------------- */

static struct sim_track *
track_begin(CUstream stream, struct capture *capture)
{
    struct sim_track *track = calloc(1, sizeof *track);

    if (!track)
        return NULL;
    track->stream = stream;
    track->thread = this_thread();
    track->capture = capture;
    track->next = tracks;
    tracks = track;
    return track;
}

static bool
stands_at(const struct sim_track *track, const struct sim_node *node)
{
    for (size_t i = 0; i < track->count; i++)
        if (track->at[i].from == node)
            return true;
    return false;
}

static CUresult
stand_also_at(struct sim_track *track, const struct sim_edge *edges, size_t count)
{
    struct sim_edge *grown = realloc(track->at, (track->count + count + 1) * sizeof *grown);

    if (!grown)
        return CUDA_ERROR_OUT_OF_MEMORY;
    track->at = grown;
    for (size_t i = 0; i < count; i++)
        if (!stands_at(track, edges[i].from))
            track->at[track->count++] = edges[i];
    return CUDA_SUCCESS;
}

static void
end_capture(struct capture *capture)
{
    for (struct sim_track **at = &tracks; *at;) {
        struct sim_track *track = *at;

        if (track->capture != capture) {
            at = &track->next;
            continue;
        }
        *at = track->next;
        free(track->at);
        free(track);
    }
    for (struct capture **at = &captures; *at; at = &(*at)->next)
        if (*at == capture) {
            *at = capture->next;
            break;
        }
    free(capture);
}

CUresult
sim_capture_refuse(struct sim_track *track)
{
    track->capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult
sim_capture(struct sim_track *track, const CUgraphNodeParams *params)
{
    struct sim_edge edge = {0};
    struct sim_node **before;
    CUgraphEdgeData *data;
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;

    if (track->capture->invalid)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    before = calloc(track->count + 1, sizeof(struct sim_node *));
    data = calloc(track->count + 1, sizeof *data);
    for (size_t i = 0; before && data && i < track->count; i++) {
        before[i] = track->at[i].from;
        data[i] = track->at[i].data;
    }
    if (before && data)
        result = sim_graph_add(track->capture->graph, params, before, data, track->count, &edge.from);
    free(before);
    free(data);
    if (result)
        return result;
    track->count = 0;
    return stand_also_at(track, &edge, 1);
}

CUresult
sim_capture_alloc(struct sim_track *track, int device, size_t size, CUdeviceptr *address)
{
    CUgraphNodeParams params = {
        .type = CU_GRAPH_NODE_TYPE_MEM_ALLOC,
        .alloc = {.poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device}},
                  .bytesize = size},
    };
    const struct sim_node *before = track->count == 1 ? track->at[0].from : NULL;
    CUresult result = sim_capture(track, &params);

    if (result)
        return result;
    if (before && before->params.type == CU_GRAPH_NODE_TYPE_MEM_FREE)
        sim_graph_memory_again(track->at[0].from, before->params.free.dptr);
    *address = track->at[0].from->params.alloc.dptr;
    return CUDA_SUCCESS;
}

CUresult
sim_capture_record(struct sim_track *track, struct sim_event *event)
{
    struct sim_mark *mark;

    if (track->capture->invalid)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    mark = malloc(sizeof *mark + track->count * sizeof *mark->at);
    if (!mark)
        return CUDA_ERROR_OUT_OF_MEMORY;
    mark->capture = track->capture->id;
    mark->count = track->count;
    if (track->count)
        memcpy(mark->at, track->at, track->count * sizeof *mark->at);
    free(event->object.payload);
    event->object.payload = mark;
    return CUDA_SUCCESS;
}

bool
sim_capture_wait(CUstream stream, struct sim_event *event, CUresult *result)
{
    const struct sim_mark *mark = event->object.payload;
    struct sim_track *track = sim_captured(stream);
    struct capture *capture = captures;

    if (sim_replaying)
        return false;
    while (mark && capture && capture->id != mark->capture)
        capture = capture->next;
    if (!mark || !capture) {
        /* A capture cannot depend on what is not in it; outside there is nothing to wait for. */
        *result = track ? CUDA_ERROR_STREAM_CAPTURE_ISOLATION : CUDA_SUCCESS;
        if (track)
            track->capture->invalid = true;
        return track != NULL;
    }
    if (track && track->capture != capture) {
        track->capture->invalid = capture->invalid = true;
        *result = CUDA_ERROR_STREAM_CAPTURE_MERGE;
        return true;
    }
    if (!track)
        track = track_begin(stream, capture);
    *result = track ? stand_also_at(track, mark->at, mark->count) : CUDA_ERROR_OUT_OF_MEMORY;
    return true;
}

/* ---- Entry points ---------------------------------------------------------------------------- */

static CUresult
enter(CUstream stream)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    result = sim_stream_check(stream);
    return result ? sim_end(result) : CUDA_SUCCESS;
}

static CUresult
begin(CUstream stream, struct sim_graph *graph, CUstreamCaptureMode mode, struct sim_track **out)
{
    struct capture *capture;

    if (!stream || stream == CU_STREAM_LEGACY)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (track_of(stream) || (unsigned int)mode > CU_STREAM_CAPTURE_MODE_RELAXED || (graph && graph->captured))
        return CUDA_ERROR_INVALID_VALUE;
    capture = calloc(1, sizeof *capture);
    if (!capture)
        return CUDA_ERROR_OUT_OF_MEMORY;
    capture->to_graph = graph != NULL;
    capture->graph = graph;
    *out = graph || !sim_graph_create(&capture->graph) ? track_begin(stream, capture) : NULL;
    if (!*out) {
        if (capture->graph && !graph)
            sim_graph_destroy(capture->graph);
        free(capture);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    capture->graph->captured = true;
    capture->id = sim_driver.next_id++;
    capture->mode = mode;
    capture->thread = this_thread();
    capture->next = captures;
    captures = capture;
    (*out)->origin = true;
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode)
{
    struct sim_track *track;
    CUresult result = enter(stream);

    return result ? result : sim_end(begin(stream, NULL, mode, &track));
}
SIM_SYNONYM(cuStreamBeginCapture_v2_ptsz, cuStreamBeginCapture_v2);

SIM_EXPORT CUresult
cuStreamBeginCaptureToGraph(CUstream stream, CUgraph handle, const CUgraphNode *before, const CUgraphEdgeData *edges,
                            size_t count, CUstreamCaptureMode mode)
{
    struct sim_graph *graph;
    struct sim_track *track;
    CUresult result = enter(stream);

    if (result)
        return result;
    graph = sim_object_find(handle, OBJECT_GRAPH);
    result = graph ? begin(stream, graph, mode, &track) : CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && !result; i++) {
        struct sim_edge edge = {.from = sim_object_find(before[i], OBJECT_NODE)};

        if (edges)
            edge.data = edges[i];
        result = edge.from ? stand_also_at(track, &edge, 1) : CUDA_ERROR_INVALID_VALUE;
    }
    return sim_end(result);
}

/* Has all that is captured elsewhere come back to where it began? */
static bool
is_joined(const struct sim_track *origin)
{
    const struct sim_graph *graph = origin->capture->graph;

    for (struct sim_track *track = tracks; track; track = track->next)
        if (track != origin && track->capture == origin->capture)
            for (size_t i = 0; i < track->count; i++) {
                bool followed = stands_at(origin, track->at[i].from);

                for (size_t k = 0; k < graph->count && !followed; k++)
                    for (size_t n = 0; n < graph->nodes[k]->before_count; n++)
                        followed |= graph->nodes[k]->before[n].from == track->at[i].from;
                if (!followed)
                    return false;
            }
    return true;
}

SIM_EXPORT CUresult
cuStreamEndCapture(CUstream stream, CUgraph *out)
{
    struct sim_track *track;
    struct sim_graph *graph;
    CUresult result = enter(stream);
    bool keep;

    if (result)
        return result;
    track = track_of(stream);
    if (!out || !track)
        return sim_end(out ? CUDA_ERROR_ILLEGAL_STATE : CUDA_ERROR_INVALID_VALUE);
    *out = NULL;
    if (track->capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && track->capture->thread != this_thread())
        return sim_end(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
    if (track->capture->invalid)
        result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    else if (!track->origin)
        result = CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    else if (!is_joined(track))
        result = CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    graph = track->capture->graph;
    keep = !result || track->capture->to_graph;
    graph->captured = false;
    end_capture(track->capture);
    if (keep)
        *out = (CUgraph)graph;
    else
        sim_graph_destroy(graph);
    return sim_end_users(result);
}
SIM_SYNONYM(cuStreamEndCapture_ptsz, cuStreamEndCapture);

SIM_EXPORT CUresult
cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status)
{
    struct sim_track *track;
    CUresult result = enter(stream);

    if (result)
        return result;
    if (!status)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    track = track_of(stream);
    *status = !track                    ? CU_STREAM_CAPTURE_STATUS_NONE
              : track->capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                        : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuStreamIsCapturing_ptsz, cuStreamIsCapturing);

/* The lists are good until the thread asks again. */
static CUresult
give_places(const struct sim_track *track, const CUgraphNode **nodes, const CUgraphEdgeData **edges)
{
    static _Thread_local CUgraphNode *node_list;
    static _Thread_local CUgraphEdgeData *edge_list;

    free(node_list);
    free(edge_list);
    node_list = calloc(track->count + 1, sizeof(CUgraphNode));
    edge_list = calloc(track->count + 1, sizeof *edge_list);
    if (!node_list || !edge_list)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < track->count; i++) {
        node_list[i] = (CUgraphNode)track->at[i].from;
        edge_list[i] = track->at[i].data;
    }
    if (nodes)
        *nodes = node_list;
    if (edges)
        *edges = edge_list;
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuStreamGetCaptureInfo_v3(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                          const CUgraphNode **nodes, const CUgraphEdgeData **edges, size_t *count)
{
    const struct sim_track *track;
    CUresult result = cuStreamIsCapturing(stream, status);

    if (result || *status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
        return result;
    result = enter(stream);
    if (result)
        return result;
    track = track_of(stream);
    if (id)
        *id = track->capture->id;
    if (graph)
        *graph = (CUgraph)track->capture->graph;
    if (count)
        *count = track->count;
    return sim_end(nodes || edges ? give_places(track, nodes, edges) : CUDA_SUCCESS);
}
SIM_SYNONYM(cuStreamGetCaptureInfo_v3_ptsz, cuStreamGetCaptureInfo_v3);

SIM_EXPORT CUresult
cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                          const CUgraphNode **nodes, size_t *count)
{
    return cuStreamGetCaptureInfo_v3(stream, status, id, graph, nodes, NULL, count);
}
SIM_SYNONYM(cuStreamGetCaptureInfo_v2_ptsz, cuStreamGetCaptureInfo_v2);

SIM_EXPORT CUresult
cuStreamUpdateCaptureDependencies_v2(CUstream stream, CUgraphNode *nodes, const CUgraphEdgeData *edges, size_t count,
                                     unsigned int flags)
{
    struct sim_track *track;
    CUresult result = enter(stream);

    if (result)
        return result;
    track = track_of(stream);
    if (!track || flags > CU_STREAM_SET_CAPTURE_DEPENDENCIES)
        return sim_end(track ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_ILLEGAL_STATE);
    if (flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES)
        track->count = 0;
    for (size_t i = 0; i < count && !result; i++) {
        struct sim_edge edge = {.from = sim_object_find(nodes[i], OBJECT_NODE)};

        if (edges)
            edge.data = edges[i];
        result = edge.from ? stand_also_at(track, &edge, 1) : CUDA_ERROR_INVALID_VALUE;
    }
    return sim_end(result);
}
SIM_SYNONYM(cuStreamUpdateCaptureDependencies_v2_ptsz, cuStreamUpdateCaptureDependencies_v2);

SIM_EXPORT CUresult
cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
    CUstreamCaptureMode before = mode_here;

    if (!mode || *mode > CU_STREAM_CAPTURE_MODE_RELAXED)
        return CUDA_ERROR_INVALID_VALUE;
    mode_here = *mode;
    *mode = before;
    return CUDA_SUCCESS;
}
