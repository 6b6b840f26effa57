/* SPDX-License-Identifier: MIT */
/*
 * Graphs: lists of nodes, each with what must run before it. An executable graph is a copy of one, sorted so that
 * each node stands behind those; a launch runs them one after the other. Everything here is with the driver's lock.
 */
#ifndef SIM_GRAPH_H
#define SIM_GRAPH_H

#include "driver.h"

struct sim_graph;

struct sim_edge {
    struct sim_node *from;
    CUgraphEdgeData data;
};

struct sim_node {
    struct object object;
    struct sim_graph *graph;
    CUgraphNodeParams params;
    unsigned char *values; /* what the params point to: kernel parameters, or operations */
    void **pointers;
    struct sim_graph *children[64]; /* of a child graph or a conditional node */
    struct sim_memory_node *memory; /* of an allocation */
    struct sim_edge *before;
    size_t before_count;
    struct sim_node *original; /* that this is a copy of */
    bool enabled, cooperative;
    int mark; /* while sorting */
};

struct sim_kept {
    struct sim_kept *next;
    struct sim_user *user;
    unsigned int count;
};

struct sim_graph {
    struct object object;
    struct sim_node *inside; /* whose child it is */
    struct sim_node **nodes;
    size_t count, room;
    struct sim_kept *kept;
    bool captured;
};

struct sim_exec {
    struct object object;
    struct sim_graph *graph;
    struct sim_context *context;
};

/* Copies what the params point to. */
CUresult sim_node_fill(struct sim_node *node, const CUgraphNodeParams *params);
void sim_node_clear(struct sim_node *node);
CUresult sim_graph_create(struct sim_graph **graph);
CUresult sim_graph_clone(const struct sim_graph *graph, struct sim_graph **clone);
void sim_graph_destroy(struct sim_graph *graph);
/* Puts each node behind those that it depends on; false if they go round in circles. */
bool sim_graph_sort(struct sim_graph *graph);
CUresult sim_graph_add(struct sim_graph *graph, const CUgraphNodeParams *params, struct sim_node *const *before,
                       const CUgraphEdgeData *edges, size_t count, struct sim_node **node);
CUresult sim_node_depend(struct sim_node *node, struct sim_node *on, const CUgraphEdgeData *data);

/* Does memory begin there that a node allocates? */
bool sim_graph_memory(CUdeviceptr address);
/* Has the node allocate what lies at @p freed, if that is enough. */
void sim_graph_memory_again(struct sim_node *node, CUdeviceptr freed);

/* User objects: a graph's copy keeps what the graph keeps. */
bool sim_kept_copy(struct sim_graph *to, const struct sim_graph *from);
void sim_kept_drop(struct sim_graph *graph);
/* Gives the lock back, and then calls the destroyers of what nobody keeps any more. */
CUresult sim_end_users(CUresult result);

/* Capture. */
struct sim_track; /* a stream that is being captured */
/* NULL: it is not. What a launch of a graph does is never captured. */
struct sim_track *sim_captured(CUstream stream);
CUresult sim_capture(struct sim_track *track, const CUgraphNodeParams *params);
CUresult sim_capture_alloc(struct sim_track *track, int device, size_t size, CUdeviceptr *address);
CUresult sim_capture_record(struct sim_track *track, struct sim_event *event);
/* True if it was recorded while captured: the stream waits for what it stands for, with *result. */
bool sim_capture_wait(CUstream stream, struct sim_event *event, CUresult *result);
/* What cannot be captured ends the capture. */
CUresult sim_capture_refuse(struct sim_track *track);
bool sim_capture_any(void);
/* Is a stream captured that the legacy stream would wait for? That ends the capture. */
bool sim_capture_implicit(void);
/* What captures forbid to a thread, by its mode and theirs: CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, and they end. */
CUresult sim_capture_unsafe(void);

extern _Thread_local bool sim_replaying;

#endif
