/* SPDX-License-Identifier: MIT */
/* Nodes as records tell them, and as the driver tells them. */
#ifndef CUDA_GRAPH_NODE_H
#define CUDA_GRAPH_NODE_H

#include "cuda_plugin.h"

/** A node as a record has it. */
struct cuda_told {
    const CUgraphNodeParams *params;
    struct cuda_function *kernel;
    struct cuda_event *event;
    uint32_t child, token;
    void *from, *to;
    size_t from_bytes, to_bytes;
    struct cuda_array *from_array, *to_array;
    const unsigned char *parameters;
    size_t parameter_bytes;
    const CUstreamBatchMemOpParams *operations;
    size_t operation_count;
    const CUmemAccessDesc *access;
    size_t access_count;
};

/** A node as the driver has it, in the guest's terms: handles, and places in the arena and 1. */
struct cuda_looked {
    CUgraphNodeParams *params;
    uint32_t kernel, event, token, from_array, to_array;
    uint64_t from, to;
    unsigned char *parameters;
    size_t parameter_bytes; /* room, then how many */
    CUstreamBatchMemOpParams *operations;
    size_t operation_count; /* the same */
};

/** Adds it with nothing before it, checked like a guest's. Between enter and leave. @return a CUresult. */
int
cuda_node_add_told(struct cuda_lane *lane, struct cuda_graph *graph, const struct cuda_told *told, CUgraphNode *native);
/** What a node of that type does. @return a CUresult. */
int cuda_node_look(struct cuda_lane *lane, CUgraphNode node, CUgraphNodeType type, struct cuda_looked *looked);

#endif
