/* SPDX-License-Identifier: MIT */
/* The plugin's state: of a guest process, of a lane, and its objects. object.h tells how lanes share them. */
#ifndef CUDA_PLUGIN_H
#define CUDA_PLUGIN_H

#include <pthread.h>

#include "cuda-host.h"

#include "driver.h"
#include "object.h"
#include "ranges.h"

#define CUDA_LANES 64u
#define CUDA_LOG_MAX 6001u

struct cuda_context {
    struct cuda_object object; /* first, here and below */
    CUcontext native;
    CUdevice device;
    bool primary;
    bool reads_pageable; /* the device may read this process's ordinary memory later than the driver returns */
    struct cuda_context *older, *newer; /* with the host's lock: of all */
};

struct cuda_module {
    struct cuda_object object;
    CUmodule native;
};

/** A kernel; its parameters' layout says what a launch must bring. */
struct cuda_function {
    struct cuda_object object;
    CUfunction native;
    uint32_t parameter_bytes;
    uint32_t parameter_count;
    uint32_t *parameter_offsets;
};

struct cuda_stream {
    struct cuda_object object;
    CUstream native;
};

struct cuda_event {
    struct cuda_object object;
    CUevent native;
};

/** What has no handle but a number, which the host gives; see graph.c. */
struct cuda_numbered {
    struct cuda_object object;
    void *native;
    uint32_t number;
};

struct cuda_graph {
    struct cuda_numbered is; /* first */
    bool captured;           /* into, just now */
    struct cuda_kept *kept;  /* user objects; with the graphs' lock */
    CUgraphConditionalHandle *conditionals;
    uint32_t conditional_count;
};

struct cuda_node {
    struct cuda_numbered is;
    bool staged; /* a copy of pageable memory, which is a graph of two nodes; see graph_node.c */
};

struct cuda_graph_exec {
    struct cuda_object object;
    CUgraphExec native;
    pthread_mutex_t lock; /* one lane at a time launches it or changes it */
};

/** What a lane's record is using: its context, two objects, and two ranges of addresses. */
enum cuda_lane_slot {
    CUDA_SLOT_CONTEXT,
    CUDA_SLOT_FIRST,
    CUDA_SLOT_SECOND,
    CUDA_SLOT_RANGE,
    CUDA_SLOT_RANGES = 2,
    CUDA_SLOTS = CUDA_SLOT_RANGE + CUDA_SLOT_RANGES,
};

struct cuda_lane {
    /* Other lanes' threads look at these. */
    _Atomic(struct cuda_object *) uses[CUDA_SLOTS] __attribute__((aligned(64)));
    /* And only the lane's own thread at these. */
    struct cuda_host *host __attribute__((aligned(64)));
    struct cuda_context *current; /* what ctx_set_current named last; it may be dead */
    char *info_log, *error_log;   /* of the last module_load that asked for logs, or NULL */
    int32_t instantiate_result;   /* why the last graph_instantiate failed */
    uint32_t instantiate_node;
};

struct cuda_host {
    const struct cuda_driver *native;
    struct gpuvchan_session *session;
    struct gpuvchan_handles *handles;
    struct cuda_ranges ranges;
    struct cuda_lane lanes[CUDA_LANES];       /* here, since lanes look at each other whether they are open or not */
    _Atomic uint32_t lanes_known;             /* so many of them have ever been open */
    struct cuda_stream special[2];            /* the legacy and the per-thread default stream */
    _Atomic(struct cuda_range *) completions; /* NULL: the GPU cannot write the completion page */
    uint32_t linger_us;                       /* how long a lane polls for what comes after a mark; see plugin.c */
    _Atomic bool write_value_refused;
    pthread_mutex_t completions_lock;
    pthread_mutex_t graphs_lock;      /* all that looks at graphs or changes them, but launches; before other locks */
    struct gpuvchan_handles *numbers; /* of graphs, nodes and user objects */
    struct cuda_callbacks *callbacks; /* the guest's functions that are due */
    pthread_mutex_t lock;             /* for what follows, and the tree of objects */
    struct cuda_context *newest;
    struct cuda_context **primaries; /* by device; NULL: not retained */
    struct cuda_range *registered;   /* parts of the arena, also those that are just being registered */
    struct cuda_object *made;
    struct cuda_object *unused[CUDA_OBJECT_KINDS];
    void *numbered; /* a tree by what the driver calls them */
};

static inline struct cuda_host *
cuda_host_of(const struct gpuvchan_request *request)
{
    return request->state;
}

static inline struct cuda_lane *
cuda_lane_of(const struct gpuvchan_request *request)
{
    return request->lane_state;
}

static inline const struct cuda_driver *
cuda_native(const struct gpuvchan_request *request)
{
    return cuda_host_of(request)->native;
}

static inline CUstream
cuda_stream_native(const struct cuda_stream *stream)
{
    return stream ? stream->native : NULL;
}

/**
 * Begins a record's work: announces the lane's current context and up to two objects (NULL: none), and
 * finds them alive. @return 0, after which cuda_leave() must follow, or the CUresult that the guest gets.
 */
int cuda_enter(struct cuda_lane *lane, struct cuda_object *first, struct cuda_object *second);
/** Announces the range that holds [@p address, +@p bytes), in slot @p which (0, 1). Between enter and leave. */
struct cuda_range *cuda_lane_range(struct cuda_lane *lane, unsigned which, CUdeviceptr address, uint64_t bytes);
/** Announces @p object in @p slot. True if it is alive, which it then stays until cuda_leave(). */
bool cuda_lane_announce(struct cuda_lane *lane, enum cuda_lane_slot slot, struct cuda_object *object);
/** Ends the record's work. Passes @p result through. */
int cuda_leave(struct cuda_lane *lane, int result);

/* context.c */
/** Destroys @p context and all in it. @return what the driver said. */
int cuda_context_end(struct cuda_host *host, struct cuda_lane *self, struct cuda_context *context, bool reset);

/* module.c */
void cuda_lane_forget_logs(struct cuda_lane *lane);
void cuda_function_finish(struct cuda_function *function);

/* graph.c */
/**
 * The graph or node that the driver knows as @p native, as part of @p owner if it was not known before. With the
 * graphs' lock. NULL: out of memory.
 */
struct cuda_numbered *
cuda_numbered_of(struct cuda_host *host, enum cuda_object_kind kind, void *native, struct cuda_object *owner);
/** The number of what the driver calls @p native, if it is known; else 0. */
uint32_t cuda_numbered_known(struct cuda_host *host, const void *native);
/** Its number and its native handle mean nothing any more. With the host's lock. */
void cuda_numbered_forget(struct cuda_host *host, struct cuda_numbered *gone);
void cuda_graph_finish(struct cuda_graph *graph);
/** Takes the graphs' lock and enters with the graph of that number. @return 0, or the CUresult for the guest. */
int cuda_graph_enter(struct cuda_lane *lane, uint32_t number, struct cuda_graph **graph);
/** The same with a node, which its graph is announced with, and with an executable graph (NULL: none). */
int cuda_node_enter(struct cuda_lane *lane, uint32_t number, struct cuda_graph_exec *exec, struct cuda_node **node);
/** Leaves and gives the lock back. Passes @p result through. */
int cuda_graph_leave(struct cuda_lane *lane, int result);
/** The graph of that number, which must live. Between enter and leave. */
struct cuda_graph *cuda_graph_find(struct cuda_lane *lane, uint32_t number);
/** The graph that a node is in. */
static inline struct cuda_graph *
cuda_graph_of(const struct cuda_node *node)
{
    return (struct cuda_graph *)atomic_load_explicit(&node->is.object.owner, memory_order_relaxed);
}
/** Nodes of @p graph as the driver knows them. False: one is not in it. */
bool cuda_nodes_take(struct cuda_host *host, const struct cuda_graph *graph, const uint32_t *numbers, size_t count,
                     CUgraphNode *natives);

/* capture.c */
/** Puts the calling thread's capture mode back to what threads begin with. */
void cuda_lane_default_mode(struct cuda_lane *lane);

/* callback.c */
/** What the driver is to call (fn, userData) for the guest's function @p token, as long as @p graph (NULL: once). */
int cuda_callback_make(struct cuda_host *host, uint32_t token, CUgraph graph, CUDA_HOST_NODE_PARAMS *out);
/** Undoes that for a graph's function which did not get there, or for one that is not called. */
void cuda_callback_drop(struct cuda_host *host, const CUDA_HOST_NODE_PARAMS *made, CUgraph graph);
/** The token behind what the driver has, 0: none. */
uint32_t cuda_callback_token(const CUDA_HOST_NODE_PARAMS *params);
/** Lets the guest use memory that a node of @p graph allocates; @p token is told when that ends. @return a CUresult. */
int cuda_graph_range_begin(struct cuda_lane *lane, CUgraph graph, uint32_t token, CUdeviceptr start, uint64_t bytes);
/** The graph lets go of all user objects that the guest gave it. */
void cuda_kept_drop(struct cuda_graph *graph);
int cuda_callbacks_init(struct cuda_host *host);
void cuda_callbacks_interrupt(struct cuda_host *host);
void cuda_callbacks_finish(struct cuda_host *host);

/* memory_operation.c */
/** May the guest have the GPU do all of @p operations? Between enter and leave. */
bool cuda_operations_fit(struct cuda_lane *lane, const CUstreamBatchMemOpParams *operations, size_t count);
/** Does the value of a launch attribute name nothing but numbers and the guest's own memory? */
bool cuda_attribute_fits(struct cuda_lane *lane, int32_t attribute, const CUlaunchAttributeValue *value);

/* memory.c */
/** Lets the guest use these addresses, as part of @p owner. @return a CUresult. */
int cuda_range_begin(struct cuda_host *host, struct cuda_object *owner, enum cuda_range_use use, CUdeviceptr start,
                     uint64_t bytes);

/* stream.c */
/** Binds the streams that have fixed handles. @return 0 or a negative errno value. */
int cuda_streams_init(struct cuda_host *host);

/* completion.c */
/** Registers the completion page in the calling thread's context, unless that is done. */
void cuda_completions_begin(struct cuda_host *host, struct cuda_context *context);
/** The context is about to go: another one takes the completion page over, if there is one. */
void cuda_completions_move(struct cuda_host *host, struct cuda_lane *self, struct cuda_context *from);

#endif
