/* SPDX-License-Identifier: MIT */
/* Graphs and nodes as the application names them: by the host's numbers, and a tag that tells what they are. */
#ifndef CUDA_GUEST_GRAPH_H
#define CUDA_GUEST_GRAPH_H

#include "device.h"

#define GRAPH_TAG 0x6778ull
#define NODE_TAG 0x6779ull

static inline CUgraph
cuda_guest_graph_handle(uint32_t number)
{
    return number ? (CUgraph)(uintptr_t)(GRAPH_TAG << 32 | number) : NULL;
}

static inline CUgraphNode
cuda_guest_node_handle(uint32_t number)
{
    return number ? (CUgraphNode)(uintptr_t)(NODE_TAG << 32 | number) : NULL;
}

/** 0: it is no graph. Whether there is one of that number the host knows. */
static inline uint32_t
cuda_guest_graph_number(CUgraph graph)
{
    return (uintptr_t)graph >> 32 == GRAPH_TAG ? (uint32_t)(uintptr_t)graph : 0;
}

static inline uint32_t
cuda_guest_node_number(CUgraphNode node)
{
    return (uintptr_t)node >> 32 == NODE_TAG ? (uint32_t)(uintptr_t)node : 0;
}

/** False: one of them is no node. */
static inline bool
cuda_guest_node_numbers(const CUgraphNode *nodes, size_t count, uint32_t *numbers)
{
    if (count != 0 && !nodes)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!(numbers[i] = cuda_guest_node_number(nodes[i])))
            return false;
    return true;
}

/* graph.c */
/** @p count dependencies from @p from to @p to, however many. */
CUresult cuda_guest_change_edges(struct cuda_guest_thread *self, uint32_t graph, bool remove, const CUgraphNode *from,
                                 const CUgraphNode *to, const CUgraphEdgeData *edges, size_t count);

/* graph_buffer.c */
struct cuda_guest_graph_buffer;
/** A pinned buffer of @p bytes or more. */
CUresult cuda_guest_graph_buffer_take(struct cuda_guest_thread *self, size_t bytes,
                                      struct cuda_guest_graph_buffer **buffer);
struct gpuvchan_buffer *cuda_guest_graph_buffer_memory(const struct cuda_guest_graph_buffer *buffer);
/** When no graph has it any more; by any thread. */
void cuda_guest_graph_buffer_return(struct cuda_guest_graph_buffer *buffer);

/* graph_note.c */
/**
 * What the application was told of a node, in memory that stays as long as the node does or until it is asked for
 * again. Takes @p data over, which free() frees; NULL: nothing any more.
 */
void cuda_guest_note_set(uint32_t node, uint32_t graph, CUgraphNodeType type, void *data);
/** Copies out @p bytes of a note of that type. */
bool cuda_guest_note_get(uint32_t node, CUgraphNodeType type, void *out, size_t bytes);
/** Drops those of all nodes of @p graph. */
void cuda_guest_notes_drop(uint32_t graph);

#endif
