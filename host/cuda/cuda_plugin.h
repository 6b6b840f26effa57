/* SPDX-License-Identifier: MIT */
/* The plugin's state: of a guest process, of a lane, and its objects. object.h tells how lanes share them. */
#ifndef CUDA_PLUGIN_H
#define CUDA_PLUGIN_H

#include <pthread.h>

#include "cuda-host.h"

#include "driver.h"
#include "object.h"
#include "ranges.h"

#define CUDA_LANES GPUVCHAN_LANES_MAX
#define CUDA_LOG_MAX 6001u

struct cuda_context {
    struct cuda_object object; /* first, here and below */
    CUcontext native;
    CUdevice device;
    bool primary;
    CUevent began;       /* when the worker was renewed; NULL: it has not been */
    uint64_t began_at;   /* nanoseconds */
    bool reads_pageable; /* the device may read this process's ordinary memory later than the driver returns */
    struct cuda_context *older, *newer; /* with the host's lock: of all */
};

struct cuda_module {
    struct cuda_object object;
    CUmodule native;
    void *image; /* that it was loaded from; NULL: it is a library's */
    size_t image_bytes;
    struct cuda_library *library; /* whose module it is in its context, or NULL */
    struct cuda_module *next;     /* of the library's; with the host's lock */
};

/** A kernel; its parameters' layout says what a launch must bring. */
struct cuda_function {
    struct cuda_object object;
    CUfunction native;  /* of a library: its CUkernel */
    bool kernel;        /* of a library */
    _Atomic bool known; /* what follows is */
    uint32_t parameter_bytes;
    uint32_t parameter_count;
    uint32_t *parameter_offsets;
};

/** A library. The driver reads from its image whenever it loads something of it. */
struct cuda_library {
    struct cuda_object object;
    CUlibrary native;
    void *image;
    size_t image_bytes;
    struct cuda_module *modules; /* with the host's lock */
};

/** Options of the compiler for the driver. */
struct cuda_load_options {
    CUjit_option names[CUDA_MODULE_LOAD_OPTIONS_MAX + 4];
    void *values[CUDA_MODULE_LOAD_OPTIONS_MAX + 4];
    unsigned int count;
};

/** A linker at work. */
struct cuda_link {
    struct cuda_object object;
    CUlinkState native;
    char *info_log, *error_log;       /* or NULL */
    struct cuda_load_options options; /* the driver writes to their values */
    const unsigned char *made;        /* what it has linked: the driver's */
    size_t made_bytes;
};

struct cuda_stream {
    struct cuda_object object;
    CUstream native;
};

struct cuda_event {
    struct cuda_object object;
    CUevent native;
    _Atomic bool kept; /* it is from before the worker was renewed; see times.c */
    struct cuda_kept_time {
        double since;    /* milliseconds before the moment */
        uint64_t moment; /* nanoseconds */
        float mark;      /* when the driver believes that it happened */
    } time;
};

/** Of a device. */
struct cuda_pool {
    struct cuda_object object;
    CUmemoryPool native;
    uint32_t device;      /* the guest's number */
    bool lasting;         /* the device's own, which nobody destroys */
    uint64_t high_before; /* the most that was in use before the worker was renewed */
};

/** Memory of a device without an address. */
struct cuda_physical {
    struct cuda_object object;
    CUmemGenericAllocationHandle native;
    uint64_t bytes;
};

struct cuda_array {
    struct cuda_object object;
    CUarray native;
    bool part; /* a plane or a level: the driver destroys it with the whole */
};

struct cuda_mipmap {
    struct cuda_object object;
    CUmipmappedArray native;
};

struct cuda_texture {
    struct cuda_object object;
    CUtexObject native;
};

struct cuda_surface {
    struct cuda_object object;
    CUsurfObject native;
};

/** A texture or surface reference. */
struct cuda_reference {
    struct cuda_object object;
    CUtexref texture; /* one of these */
    CUsurfref surface;
    bool named; /* of a module, with which it goes */
};

/** What has no handle but a number, which the host gives; see graph.c. */
struct cuda_numbered {
    struct cuda_object object;
    void *native;
    uint32_t number;
};

/** A graph as it was at a time. */
struct cuda_source {
    uint32_t graph; /* number; 0: none */
    uint32_t version;
};

struct cuda_graph {
    struct cuda_numbered is;   /* first */
    struct cuda_source origin; /* that it was cloned from */
    bool captured;             /* into, just now */
    bool lasts;                /* the guest has destroyed it, but what was made of it would need it */
    uint32_t version;          /* how often it was changed */
    uint32_t execs;            /* that were made of it or updated by it; with the graphs' lock */
    struct cuda_kept *kept;    /* user objects; with the graphs' lock */
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
    struct cuda_source made_of, updated_by; /* with the graphs' lock */
    pthread_mutex_t lock;                   /* one lane at a time launches it or changes it */
};

/** A part of a primary context; see green.c. */
struct cuda_green {
    struct cuda_object object;
    CUgreenCtx native;
    CUcontext context; /* it, to be made current */
    struct cuda_context *primary;
};

/** What a lane's record is using: its context, objects, and two ranges of addresses. */
enum cuda_lane_slot {
    CUDA_SLOT_CONTEXT,
    CUDA_SLOT_FIRST,
    CUDA_SLOT_SECOND,
    CUDA_SLOT_THIRD, /* from here on by cuda_lane_announce() */
    CUDA_SLOT_FOURTH,
    CUDA_SLOT_FIFTH,
    CUDA_SLOT_RANGE,
    CUDA_SLOT_RANGES = 2,
    CUDA_SLOTS = CUDA_SLOT_RANGE + CUDA_SLOT_RANGES,
};

/** An image that comes in pieces. */
struct cuda_staged {
    unsigned char *image; /* NULL: none, or it goes to fd */
    size_t bytes, filled;
    bool to_keep; /* fd is memory that others will see */
    int fd;
};

struct cuda_lane {
    /* Other lanes' threads look at these. */
    _Atomic(struct cuda_object *) uses[CUDA_SLOTS] __attribute__((aligned(64)));
    /* And only the lane's own thread at these. */
    struct cuda_host *host __attribute__((aligned(64)));
    struct cuda_context *current; /* what ctx_set_current named last; it may be dead */
    struct cuda_green *green;     /* of that context, what the lane acts in; or NULL */
    char *info_log, *error_log;   /* of the last load that asked for logs, or NULL */
    struct cuda_staged staged;
    uint32_t capture_mode;      /* of the lane's thread */
    int32_t instantiate_result; /* why the last graph_instantiate failed */
    uint32_t instantiate_node;
};

struct cuda_keeping;

struct cuda_host {
    const struct cuda_driver *native;
    struct gpuvchan_session *session;
    struct gpuvchan_handles *handles;
    struct cuda_ranges ranges;
    /* Here, since lanes look at each other whether they are open or not; and one that no guest has. */
    struct cuda_lane lanes[CUDA_LANES + 1];
    _Atomic uint32_t lanes_known;             /* so many of them have ever been open */
    struct cuda_stream special[2];            /* the legacy and the per-thread default stream */
    _Atomic(struct cuda_range *) completions; /* NULL: the GPU cannot write the completion page */
    uint32_t linger_us;                       /* how long a lane polls for what comes after a mark; see plugin.c */
    _Atomic bool write_value_refused;
    pthread_mutex_t completions_lock;
    pthread_mutex_t graphs_lock;      /* all that looks at graphs or changes them, but launches; before other locks */
    struct gpuvchan_handles *numbers; /* of graphs, nodes and user objects */
    struct cuda_callbacks *callbacks; /* the guest's functions that are due */
    struct cuda_keeping *keeping;     /* with the lock; NULL: nothing is being kept */
    _Atomic(struct cuda_output *) output; /* NULL: the guest has not asked for it */
    pthread_mutex_t lock;                 /* for what follows, and the tree of objects */
    struct cuda_context *newest;
    struct cuda_context **primaries; /* by device; NULL: not retained */
    struct cuda_range *registered;   /* parts of the arena, also those that are just being registered */
    struct cuda_range *reserved;     /* address space */
    CUdeviceptr suggested;           /* of it, to the next who does not care where; 0: to nobody yet */
    struct cuda_imported *imported;  /* chunks of other processes; one at a time looks, see ipc.c */
    struct cuda_place *places;       /* of allocations that are older than this process */
    struct cuda_range *chunks;       /* by address, also those that are just being made */
    CUdeviceptr window;              /* where they lie */
    uint64_t window_bytes;           /* 0: there is none yet */
    CUdevResource *resources;        /* parts of multiprocessors, by number */
    CUdevResourceDesc *descriptions;
    uint32_t resource_count, description_count;
    struct cuda_object *made;
    struct cuda_object *unused[CUDA_OBJECT_KINDS];
    struct cuda_waiter *waiter;  /* see quiet.c; for suspending only */
    _Atomic bool shared;         /* other processes may have opened memory or events of this one */
    struct cuda_record *records; /* of no object */
    uint64_t records_kept;       /* so many ever */
    bool records_lost;           /* there was no memory for one */
    void *numbered;              /* a tree by what the driver calls them */
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

/** The lane that is no guest's: for suspending and resuming. */
static inline struct cuda_lane *
cuda_own_lane(struct cuda_host *host)
{
    return &host->lanes[CUDA_LANES];
}

static inline const struct cuda_driver *
cuda_native(const struct gpuvchan_request *request)
{
    return cuda_host_of(request)->native;
}

/** What the lane's records are in: its context, or its green one. Both must be there. */
static inline struct cuda_object *
cuda_lane_scope(const struct cuda_lane *lane)
{
    return lane->green ? &lane->green->object : &lane->current->object;
}

/** The driver's name for that. */
static inline CUcontext
cuda_lane_native(const struct cuda_lane *lane)
{
    return lane->green ? lane->green->context : lane->current->native;
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

/* plugin.c */
/** A guest process without anything. @return 0 or a negative errno value. */
int cuda_host_create(struct gpuvchan_session *session, struct cuda_host **out);
/** Destroys all that it has. Nobody else is in it. */
void cuda_host_destroy(struct cuda_host *host);

/* context.c */
/** Destroys @p context and all in it. @return what the driver said. */
int cuda_context_end(struct cuda_host *host, struct cuda_lane *self, struct cuda_context *context, bool reset);

/* suspend.c */
/** May a worker be renewed that has NVIDIA's driver? */
void cuda_renew_allow(bool yes);

/* warm.c */
/** May a worker start the driver, and make a context, before it has a guest? */
void cuda_warm_allow(bool yes);
/** Does so. */
void cuda_warm(void);
/** Retains the primary context of device @p number, which the driver calls @p device. */
CUresult cuda_warm_retain(const struct cuda_driver *native, CUcontext *context, uint32_t number, CUdevice device);
/** Gives a context back that was made beforehand and that no guest has taken. */
void cuda_warm_end(const struct cuda_driver *native);

/** Has the lane act in @p now, and there in @p green (NULL: in all of it). Both are announced, or NULL. */
int cuda_lane_set_current(struct cuda_lane *lane, struct cuda_context *now, struct cuda_green *green);

/* green.c */
/** Ends the green contexts of a context that nobody uses any more. */
void cuda_greens_end(struct cuda_host *host, const struct cuda_context *context);

/* copy.c */
/** Can there be no memory of this process at the address? Then it may have been made up from NULL. */
bool cuda_made_up(CUdeviceptr address, uint64_t bytes);

/* load.c */
/** Takes what a record has of them. @return 0 or a CUresult. */
int cuda_options_take(struct cuda_load_options *options, const uint32_t *names, size_t names_count,
                      const uint64_t *values, size_t values_count);
/** Adds logs of @p bytes, in the memory that @p info and @p error get; for 0 bytes none. False: out of memory. */
bool cuda_options_logs(struct cuda_load_options *options, uint32_t bytes, char **info, char **error);
/** A checked private copy of the image at @p image, or the one that the lane has got in pieces; NULL: see @p result. */
void *cuda_lane_image(struct cuda_lane *lane, const void *image, size_t *bytes, int *result);
/** The same for data of any kind: not checked. */
void *cuda_lane_data(struct cuda_lane *lane, const void *data, size_t *bytes, int *result);
void cuda_lane_forget_logs(struct cuda_lane *lane);
void cuda_lane_forget_image(struct cuda_lane *lane);

/* keep.c */
/** Makes memory for an image that is to be kept for other processes of the guest's. False: it cannot be. */
bool cuda_keep_begin(struct cuda_host *host, struct cuda_staged *staged, size_t bytes);
/** The next piece of it. @return a CUresult. */
int cuda_keep_part(struct cuda_staged *staged, const void *part, size_t bytes);
/** It is filled: @return the image, for cuda_image_free(), while it is kept; NULL: out of memory. */
void *cuda_keep_filled(struct cuda_host *host, struct cuda_staged *staged);
/** The guest process ends: what is being kept gets a moment. */
void cuda_keep_finish(struct cuda_host *host);

/* module.c, library.c, link.c */
void cuda_function_finish(struct cuda_function *function);
void cuda_module_finish(struct cuda_module *module);
void cuda_library_finish(struct cuda_library *library);
void cuda_link_finish(struct cuda_link *link);
/** Asks for a parameter of a kernel; ends with CUDA_ERROR_INVALID_VALUE. */
typedef CUresult cuda_parameter_ask(const struct cuda_driver *native, const struct cuda_function *function,
                                    size_t index, size_t *offset, size_t *bytes);
/** Where the parameters lie, for the guest and for our own checks. The function must not be known yet. */
int cuda_function_layout(const struct cuda_driver *native, struct cuda_function *function, cuda_parameter_ask *ask,
                         uint32_t *offsets, size_t *offsets_count, uint32_t *sizes, size_t *sizes_count);
/** Puts a name behind those in @p names, of which @p used bytes are taken. False: it does not fit. */
bool cuda_names_add(char *names, size_t room, size_t *used, const char *name);
/** Ends all libraries. */
void cuda_libraries_end(struct cuda_host *host);

/* graph.c */
/**
 * The graph or node that the driver knows as @p native, as part of @p owner if it was not known before. With the
 * graphs' lock. NULL: out of memory.
 */
struct cuda_numbered *
cuda_numbered_of(struct cuda_host *host, enum cuda_object_kind kind, void *native, struct cuda_object *owner);
/** It gets that number again, in a fresh worker. NULL: that is taken, or out of memory. */
struct cuda_numbered *cuda_numbered_again(struct cuda_host *host, enum cuda_object_kind kind, void *native,
                                          struct cuda_object *owner, uint32_t number);
/** What the driver calls @p native; NULL: nothing that is known. */
struct cuda_numbered *cuda_numbered_find(struct cuda_host *host, const void *native);
/** The graph of that number, alive or only lasting. */
struct cuda_graph *cuda_graph_numbered(struct cuda_host *host, uint32_t number);
/** The number of what the driver calls @p native, if it is known; else 0. */
uint32_t cuda_numbered_known(struct cuda_host *host, const void *native);
/** Its number and its native handle mean nothing any more. With the host's lock. */
void cuda_numbered_forget(struct cuda_host *host, struct cuda_numbered *gone);
void cuda_graph_finish(struct cuda_graph *graph);
/** It is not what it was when it was made executable, nor are those that it is in. With the graphs' lock. */
void cuda_graph_changed(struct cuda_graph *graph);
/** Has one been cloned from the other, and neither been changed since? */
bool cuda_graph_is_clone(const struct cuda_graph *clone, const struct cuda_graph *origin);
/** Has it last without a number that the guest could use. */
int cuda_graph_let_last(struct cuda_lane *lane, struct cuda_graph *graph);
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
/** A graph keeps a function that another graph has already. @return a CUresult. */
int cuda_callback_keep(struct cuda_host *host, const CUDA_HOST_NODE_PARAMS *made, CUgraph graph);
/** The graph that @p stream is being captured into, or NULL. */
CUgraph cuda_graph_captured(const struct cuda_driver *native, CUstream stream);
/** Lets the guest use memory that a node of @p graph allocates; @p token is told when that ends. @return a CUresult. */
int cuda_graph_range_begin(struct cuda_lane *lane, CUgraph graph, uint32_t token, CUdeviceptr start, uint64_t bytes);
/** The graph lets go of all user objects that the guest gave it. */
void cuda_kept_drop(struct cuda_graph *graph);
/** Is there one that a stream, and so the device, waits for? */
bool cuda_callbacks_wait(struct cuda_host *host);
int cuda_callbacks_init(struct cuda_host *host);
void cuda_callbacks_interrupt(struct cuda_host *host);
/** The guest's thread that waits for the next function comes back, and waits again when the pause is over. */
void cuda_callbacks_pause(struct cuda_host *host, bool on);
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
/** The same in two steps. Without memory NULL; what cannot be entered is destroyed. */
struct cuda_range *
cuda_range_create(struct cuda_host *host, enum cuda_range_use use, CUdeviceptr start, uint64_t bytes);
int cuda_range_publish(struct cuda_host *host, struct cuda_object *owner, struct cuda_range *range);
/** What a range has besides its own memory. With the host's lock. */
void cuda_range_finish(struct cuda_host *host, struct cuda_range *range);
/** Takes the allocation that starts at @p address out of use, announced. NULL: there is none. */
struct cuda_range *cuda_allocation_take(struct cuda_lane *lane, CUdeviceptr address);
/** Leaves the record that has freed it with @p result, for which it may be in use again. Passes it through. */
int cuda_allocation_leave(struct cuda_lane *lane, struct cuda_range *range, int result);

/* pool.c */
/** A pool of the guest's device @p device; @p lasting: the device's own. @return 0 or a CUresult. */
int cuda_pool_begin(const struct gpuvchan_request *request, CUmemoryPool native, uint32_t device, bool lasting,
                    struct cuda_pool **made);
/** The most of it that was ever in use, as far as the guest knows. */
uint64_t cuda_pool_high(struct cuda_host *host, const struct cuda_pool *pool);
/** The guest process ends: frees its pools, and what was allocated from any. Before its contexts end. */
void cuda_pools_end(struct cuda_host *host);

/* device.c */
/** The driver's name for the guest's device @p number. @return a CUresult. */
int cuda_device_of(const struct cuda_driver *native, uint32_t number, CUdevice *device);
/** And the guest's number of what the driver calls @p device. @return a CUresult. */
int cuda_device_ordinal(const struct cuda_driver *native, CUdevice device, uint32_t *number);

/* virtual.c */
/** Has the driver the functions for it? Devices may not. */
bool cuda_virtual_known(const struct cuda_driver *native);
/** Memory of a device, as a guest may have it. */
CUmemAllocationProp cuda_physical_properties(CUdevice device);
/** Reserves just these addresses, or none. @return a CUresult. */
int cuda_reserve_exactly(const struct cuda_driver *native, CUdeviceptr start, uint64_t bytes);
/** Gives reserved addresses memory of @p device, which their mapping alone keeps, and which it may access. */
int cuda_physical_map(const struct cuda_driver *native, const CUmemAllocationProp *wanted, CUdeviceptr start,
                      uint64_t bytes);
/** Addresses that have been reserved are the guest's. @return a CUresult. */
int cuda_reservation_begin(struct cuda_host *host, CUdeviceptr address, uint64_t bytes);
/** What lies at @p offset of the memory of that handle has been mapped into @p reservation. @return a CUresult. */
int cuda_mapping_begin(struct cuda_host *host, struct cuda_object *reservation, CUdeviceptr address, uint64_t bytes,
                       uint32_t physical, uint64_t offset);
/** The guest process ends: unmaps and frees all that it had reserved. */
void cuda_virtual_end(struct cuda_host *host);

/* chunk.c */
/** One at a given address, in the window, of the lane's context. @return a CUresult. */
int cuda_chunk_again(struct cuda_lane *lane, CUdeviceptr start, uint64_t bytes, struct cuda_range **made);
/** Takes the memory of the chunks that are part of @p context away, which is about to be destroyed. */
void cuda_chunks_end(struct cuda_host *host, const struct cuda_context *context);
/** The guest process ends: when there are no chunks any more. */
void cuda_window_end(struct cuda_host *host);

/* ipc.c */
/** May guests share memory and events between processes? They all may share with each other then. */
void cuda_ipc_allow(bool yes);
bool cuda_ipc_allowed(void);
/** Has the administrator said so, too? Then also at the cost of speed. */
bool cuda_ipc_insisted(void);
/** Ends what was opened in a context that nobody uses any more. */
void cuda_ipc_end(struct cuda_host *host, const struct cuda_context *context);
/** Says once why processes share nothing. @return what the guest gets. */
int cuda_ipc_refuse(void);

/* ipc_chunk.c */
/** Can the driver give other processes chunks of the device? */
bool cuda_chunks_shareable(const struct cuda_driver *native, CUdevice device);
/** The token for a part of a chunk, which is announced. @return a CUresult. */
int cuda_chunk_share(struct cuda_lane *lane, struct cuda_range *chunk, CUdeviceptr address, uint64_t bytes,
                     struct gpuvchan_session_token *token);
/** No other process opens the chunk any more. */
void cuda_chunk_withdraw(struct cuda_host *host, struct cuda_range *chunk);
/** Is that what cuda_chunk_share() has offered? */
bool cuda_is_piece(const void *data, size_t bytes);
/** Maps the chunk of which @p data is a part, where it is not yet in this context. Between enter and leave; one at a time. */
int cuda_piece_open(struct cuda_lane *lane, const void *data, CUdeviceptr *address, uint64_t *bytes);
/** Undoes that. False: there is no such part. */
bool cuda_piece_close(struct cuda_host *host, CUdeviceptr address);
/** Unmaps what @p context has of them. */
void cuda_pieces_end(struct cuda_host *host, const struct cuda_context *context);

/* output.c */
/** What has been printed is there for the guest to fetch. For records that have waited for the device. */
void cuda_output_settle(struct cuda_host *host);
/** The guest process ends. */
void cuda_output_end(struct cuda_host *host);

/* quiet.c */
/** The guest process ends: what is waited for comes to its end. */
void cuda_quiet_end(struct cuda_host *host);

/* times.c */
/** Milliseconds from one event to the other, also if the worker has been renewed since they were recorded. */
CUresult
cuda_event_between(struct cuda_host *host, float *milliseconds, struct cuda_event *first, struct cuda_event *second);

/* stream.c */
/** Binds the streams that have fixed handles. @return 0 or a negative errno value. */
int cuda_streams_init(struct cuda_host *host);

/* completion.c */
/**
 * Has the GPU write a completion word when @p stream gets here. False: it cannot; else *@p result is a CUresult. Between
 * enter and leave.
 */
bool cuda_completion_write(struct cuda_lane *lane, CUstream stream, uint32_t index, uint64_t value, int *result);
/** Registers the completion page in the calling thread's context, unless that is done. */
void cuda_completions_begin(struct cuda_host *host, struct cuda_context *context);
/** The context is about to go: another one takes the completion page over, if there is one. */
void cuda_completions_move(struct cuda_host *host, struct cuda_lane *self, struct cuda_context *from);

#endif
