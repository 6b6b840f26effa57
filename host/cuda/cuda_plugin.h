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

/** Of a device. */
struct cuda_pool {
    struct cuda_object object;
    CUmemoryPool native;
    bool lasting; /* the device's own, which nobody destroys */
};

/** Memory of a device without an address. */
struct cuda_physical {
    struct cuda_object object;
    CUmemGenericAllocationHandle native;
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
    pthread_mutex_t lock; /* for what follows, and the tree of objects */
    struct cuda_context *newest;
    struct cuda_context **primaries; /* by device; NULL: not retained */
    struct cuda_range *registered;   /* parts of the arena, also those that are just being registered */
    struct cuda_range *reserved;     /* address space */
    CUdeviceptr suggested;           /* of it, to the next who does not care where; 0: to nobody yet */
    struct cuda_range *chunks;       /* by address, also those that are just being made */
    CUdeviceptr window;              /* where they lie */
    uint64_t window_bytes;           /* 0: there is none yet */
    struct cuda_object *made;
    struct cuda_object *unused[CUDA_OBJECT_KINDS];
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

/* memory.c */
/** Lets the guest use these addresses, as part of @p owner. @return a CUresult. */
int cuda_range_begin(struct cuda_host *host, struct cuda_object *owner, enum cuda_range_use use, CUdeviceptr start,
                     uint64_t bytes);
/** Takes the allocation that starts at @p address out of use, announced. NULL: there is none. */
struct cuda_range *cuda_allocation_take(struct cuda_lane *lane, CUdeviceptr address);
/** Leaves the record that has freed it with @p result, for which it may be in use again. Passes it through. */
int cuda_allocation_leave(struct cuda_lane *lane, struct cuda_range *range, int result);

/* pool.c */
/** The guest process ends: frees its pools, and what was allocated from any. Before its contexts end. */
void cuda_pools_end(struct cuda_host *host);

/* device.c */
/** The driver's name for the guest's device @p number. @return a CUresult. */
int cuda_device_of(const struct cuda_driver *native, uint32_t number, CUdevice *device);

/* virtual.c */
/** Has the driver the functions for it? Devices may not. */
bool cuda_virtual_known(const struct cuda_driver *native);
/** Memory of a device, as a guest may have it. */
CUmemAllocationProp cuda_physical_properties(CUdevice device);
/** The guest process ends: unmaps and frees all that it had reserved. */
void cuda_virtual_end(struct cuda_host *host);

/* chunk.c */
/** Takes the memory of the chunks that are part of @p context away, which is about to be destroyed. */
void cuda_chunks_end(struct cuda_host *host, const struct cuda_context *context);
/** The guest process ends: when there are no chunks any more. */
void cuda_window_end(struct cuda_host *host);

/* stream.c */
/** Binds the streams that have fixed handles. @return 0 or a negative errno value. */
int cuda_streams_init(struct cuda_host *host);

/* completion.c */
/** Registers the completion page in the calling thread's context, unless that is done. */
void cuda_completions_begin(struct cuda_host *host, struct cuda_context *context);
/** The context is about to go: another one takes the completion page over, if there is one. */
void cuda_completions_move(struct cuda_host *host, struct cuda_lane *self, struct cuda_context *from);

#endif
