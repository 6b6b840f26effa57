/* SPDX-License-Identifier: MIT */
/*
 * The guest's libcuda.so.1, inside: the process's and the threads' state, its objects, and what the files
 * of this folder use of each other.
 *
 * Design notes
 *
 * An entry point does what it can without the host: it checks handles, sizes and addresses against what
 * is kept here, so that errors which CUDA reports at once are reported at once, and then posts. Only what
 * needs an answer is a call.
 *
 * Handles. What the application holds is HANDLE_TAG << 32 and a 32-bit handle of the process's table: a value
 * that nothing is mapped at and that nobody follows. Stale and foreign values are found out by the table.
 *
 * Threads. A thread has a stack of current contexts, and a lane whose host thread has one as well.
 * cuda_guest_enter() makes them agree. Everything that threads share is in struct cuda_guest.
 *
 * Errors. A stub's positive result is a CUresult, a negative one the transport's; cuda_guest_result() turns
 * both into what the application gets, and remembers the two kinds that last: an end of the channel, and a
 * fault of the device, which CUDA answers to every later call of the process.
 */
#ifndef CUDA_GUEST_INTERNAL_H
#define CUDA_GUEST_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cuda-guest.h"

#define ENTRY GPUVCHAN_EXPORT CUresult
/** A second name of an entry point, for callers of another version. */
#define ENTRY_ALIAS(name, of) GPUVCHAN_EXPORT __typeof__(of) name __attribute__((alias(#of)))

#define HANDLE_TAG 0x6776ull
#define CUDA_GUEST_DEVICES 64
#define CUDA_GUEST_ATTRIBUTES 256

/* ---- Objects --------------------------------------------------------------------------------- */

/** What streams, events, modules, functions and contexts begin with. */
struct cuda_guest_object {
    uint32_t handle;
    uint16_t kind;                           /* enum cuda_handle_kind */
    struct cuda_guest_context *context;      /* that it lives in */
    struct cuda_guest_object *newer, *older; /* of the same context; with the objects' lock */
};

/**
 * A context. Never freed: threads' stacks keep pointers to contexts that others have destroyed, and CUDA
 * tells those apart from values that never were a context.
 */
struct cuda_guest_context {
    struct cuda_guest_object object; /* its handle is the application's */
    _Atomic uint32_t wire;           /* the host's, 0: destroyed, or a primary context that nobody retains */
    int device;
    unsigned flags;
    bool primary;
    _Atomic bool independent; /* has had streams that the legacy stream does not wait for */
    uint64_t id;
    pthread_mutex_t lock; /* for the range of priorities */
    bool priorities_known;
    int least, greatest;
    struct cuda_guest_object *newest; /* with the objects' lock */
};

struct cuda_guest_module {
    struct cuda_guest_object object;
    struct cuda_guest_function *functions; /* with the objects' lock */
};

struct cuda_guest_parameter {
    uint32_t offset, bytes;
};

struct cuda_guest_function {
    struct cuda_guest_object object;
    struct cuda_guest_module *module;
    struct cuda_guest_function *next;
    char *name;
    _Atomic int attributes[CU_FUNC_ATTRIBUTE_MAX];
    int attribute_count;
    uint32_t parameter_bytes; /* to the end of the last one */
    uint32_t parameter_count;
    bool gaps; /* between parameters */
    struct cuda_guest_parameter *parameters;
};

struct cuda_guest_stream {
    struct cuda_guest_object object;
    unsigned flags;
    int priority;
    uint64_t id;
};

struct cuda_guest_event {
    struct cuda_guest_object object;
    unsigned flags;
    _Atomic uint32_t recorded; /* how often it has been */
    _Atomic uint32_t reached;  /* which of these is known to have been reached */
    _Atomic bool elsewhere;    /* graphs record it as well, or other processes: the host must be asked */
};

/** An executable graph. Graphs and nodes are known to the host alone; the application has their numbers. */
struct cuda_guest_exec {
    struct cuda_guest_object object;
    uint64_t flags;
};

/* ---- Process --------------------------------------------------------------------------------- */

struct cuda_guest_device {
    uint32_t ordinal; /* the host's */
    char name[256];
    CUuuid uuid;
    uint64_t bytes;
    int attributes[CUDA_GUEST_ATTRIBUTES];
    int attribute_count; /* the last one's number, and 1 */
    /* The primary context: with the contexts' lock. */
    struct cuda_guest_context *primary;
    uint32_t primary_users;
    unsigned primary_flags;
};

enum cuda_guest_state {
    CUDA_GUEST_NEW, /* no cuInit yet, or it failed */
    CUDA_GUEST_READY,
    CUDA_GUEST_FORKED, /* the child of a fork */
    CUDA_GUEST_LOST,   /* the channel has ended */
    CUDA_GUEST_OVER,   /* the process is exiting */
};

struct cuda_guest {
    _Atomic int state;
    _Atomic int fault;    /* CUresult of a device fault; 0: none */
    _Atomic int captures; /* that are under way in the process */
    struct gpuvchan_channel *channel;
    struct gpuvchan_client client;
    struct gpuvchan_handles *handles;
    bool same_address; /* pointers into the arena mean the same on both sides */
    int version;
    int devices;
    struct cuda_guest_device device[CUDA_GUEST_DEVICES];
};

extern struct cuda_guest cuda_guest;

/* start.c */
/** What an entry point that needs no context returns first: 0 if cuInit() was called and all is well. */
CUresult cuda_guest_refusal(void);
/** A stub's result as the application gets it. */
CUresult cuda_guest_result(int status);

static inline CUresult
cuda_guest_ready(void)
{
    if (__builtin_expect(atomic_load_explicit(&cuda_guest.state, memory_order_acquire) == CUDA_GUEST_READY, 1))
        return CUDA_SUCCESS;
    return cuda_guest_refusal();
}

/* ---- Threads --------------------------------------------------------------------------------- */

struct cuda_guest_thread {
    struct gpuvchan_lane *lane; /* of the current or the last record; told is about it */
    uint32_t told;              /* the context that its host thread has made current */
    uint32_t depth, room;
    struct cuda_guest_context **stack; /* the last one is current; NULL entries do not occur */
    struct cuda_guest_bulk *bulk;
    uint32_t spin_saved; /* how often the time to poll for has been halved */
    bool known;          /* its end will be noticed */
    bool synchronous;    /* the lane's posts wait: something is being captured */
    bool serves;         /* it runs host functions, which may not use CUDA */
    CUstreamCaptureMode mode, told_mode;
    void *listed; /* what cuStreamGetCaptureInfo() gave out last */
};

/* context.c */
/** The calling thread's state. */
struct cuda_guest_thread *cuda_guest_self(void);
/** cuda_guest_enter()'s slow part: explains why not, or tells the lane its context. */
CUresult cuda_guest_agree(struct cuda_guest_thread *self);
/** The current context, or NULL. */
struct cuda_guest_context *cuda_guest_current(const struct cuda_guest_thread *self);
/** Finds the context of a handle; NULL: there was never one. */
struct cuda_guest_context *cuda_guest_context_find(CUcontext context);
/** Fills in the context's range of priorities; it must be the current one. */
CUresult cuda_guest_priorities(struct cuda_guest_thread *self, struct cuda_guest_context *context);

/**
 * For entry points that work in the current context: sees that there is one and that the lane acts in it.
 * On success @p self has its lane.
 */
static inline CUresult
cuda_guest_enter(struct cuda_guest_thread **self)
{
    struct cuda_guest_thread *thread = cuda_guest_self();
    struct gpuvchan_lane *lane;

    *self = thread;
    if (__builtin_expect(atomic_load_explicit(&cuda_guest.state, memory_order_acquire) == CUDA_GUEST_READY &&
                             atomic_load_explicit(&cuda_guest.fault, memory_order_relaxed) == 0 &&
                             atomic_load_explicit(&cuda_guest.captures, memory_order_relaxed) == 0 &&
                             !thread->synchronous && thread->depth != 0,
                         1)) {
        uint32_t wire = atomic_load_explicit(&thread->stack[thread->depth - 1]->wire, memory_order_relaxed);

        lane = gpuvchan_lane_current(cuda_guest.channel);
        if (__builtin_expect(wire != 0 && lane != NULL && lane == thread->lane && wire == thread->told, 1))
            return CUDA_SUCCESS;
    }
    return cuda_guest_agree(thread);
}

/** Waits for the thread's posts; what one failed with. For use before a call that makes something. */
static inline CUresult
cuda_guest_settle(struct cuda_guest_thread *self)
{
    return cuda_guest_result(cuda_settle_on(&cuda_guest.client, self->lane));
}

/* ---- Handles --------------------------------------------------------------------------------- */

static inline void *
cuda_guest_handle(const struct cuda_guest_object *object)
{
    return (void *)(uintptr_t)(HANDLE_TAG << 32 | object->handle);
}

/** The object behind a handle of the application, or NULL. */
static inline void *
cuda_guest_find(const void *handle, uint16_t kind)
{
    if ((uintptr_t)handle >> 32 != HANDLE_TAG)
        return NULL;
    return gpuvchan_handles_lookup(cuda_guest.handles, (uint32_t)(uintptr_t)handle, kind);
}

/** Takes a handle of the application out of use and returns the object; of two that race, one gets it. */
static inline void *
cuda_guest_take(const void *handle, uint16_t kind)
{
    if ((uintptr_t)handle >> 32 != HANDLE_TAG)
        return NULL;
    return gpuvchan_handles_remove(cuda_guest.handles, (uint32_t)(uintptr_t)handle, kind);
}

/* handle.c */
/** An object of @p bytes, all zero but its head, in @p context (NULL: a context itself). */
CUresult cuda_guest_object_create(uint16_t kind, size_t bytes, struct cuda_guest_context *context, void *out);
/** For an object that was taken. */
void cuda_guest_object_free(struct cuda_guest_object *object);
/** Takes back an object that the application has not been told of. */
void cuda_guest_object_undo(struct cuda_guest_object *object);
/** Takes the newest object in @p context, or NULL. */
struct cuda_guest_object *cuda_guest_object_take_newest(struct cuda_guest_context *context);
void cuda_guest_objects_lock(void);
void cuda_guest_objects_unlock(void);

/* ---- Streams, events, modules ---------------------------------------------------------------- */

enum {
    CUDA_GUEST_WIRE_DEFAULT,
    CUDA_GUEST_WIRE_LEGACY,
    CUDA_GUEST_WIRE_PER_THREAD
};

static inline CUstream
cuda_guest_per_thread(CUstream stream)
{
    return stream != NULL ? stream : CU_STREAM_PER_THREAD;
}

/**
 * The stream's handle for the host, and the context that it belongs to (the current one for the
 * special streams), which may be NULL if nobody asks.
 */
static inline CUresult
cuda_guest_stream_wire(struct cuda_guest_thread *self, CUstream stream, uint32_t *wire,
                       struct cuda_guest_context **context)
{
    const struct cuda_guest_stream *found;

    if ((uintptr_t)stream <= CUDA_GUEST_WIRE_PER_THREAD) {
        struct cuda_guest_context *current = self->stack[self->depth - 1];

        if (stream == CU_STREAM_PER_THREAD)
            atomic_store_explicit(&current->independent, true, memory_order_relaxed);
        *wire = (uint32_t)(uintptr_t)stream;
        if (context)
            *context = current;
        return CUDA_SUCCESS;
    }
    found = cuda_guest_find(stream, CUDA_HANDLE_STREAM);
    if (!found)
        return CUDA_ERROR_INVALID_HANDLE;
    *wire = found->object.handle;
    if (context)
        *context = found->object.context;
    return CUDA_SUCCESS;
}

/* module.c, function.c */
/** Frees a module that was taken and that the host has ended, with its functions and variables. */
void cuda_guest_module_drop(struct cuda_guest_module *module);
void cuda_guest_functions_drop(struct cuda_guest_module *module);

/* image.c */
/** How many bytes the module image at @p image has, and where it really begins; 0: it is none. */
size_t cuda_guest_image_bytes(const void **image);

/* ---- Memory ---------------------------------------------------------------------------------- */

enum cuda_guest_range_kind {
    CUDA_GUEST_DEVICE, /* cuMemAlloc */
    CUDA_GUEST_GLOBAL, /* a variable of a module */
    CUDA_GUEST_GRAPH,  /* allocated by a node of a graph, again at each launch */
    CUDA_GUEST_PINNED, /* cuMemHostAlloc, in the arena */
    CUDA_GUEST_ALIAS,  /* the device's address of pinned memory, where that is another one */
};

/** A range of addresses that the application got from us. */
struct cuda_guest_range {
    uint64_t start, bytes;
    enum cuda_guest_range_kind kind;
    unsigned flags;
    uint64_t id;
    struct cuda_guest_context *context;
    struct cuda_guest_module *module; /* of a variable */
    /* Pinned memory: */
    struct gpuvchan_buffer *buffer;
    unsigned char *host;
    uint64_t device; /* its address for the device */
};

/* range.c */
/** Enters a copy of @p range, which may overlap no other. */
CUresult cuda_guest_range_add(const struct cuda_guest_range *range);
/** Copies out the range that holds @p address. */
bool cuda_guest_range_find(uint64_t address, struct cuda_guest_range *out);
/** Takes out the range of @p kind that begins at @p address. Of two that race, one gets true. */
bool cuda_guest_range_take(uint64_t address, enum cuda_guest_range_kind kind, struct cuda_guest_range *out);
/** Takes out one range of @p context, or of @p module if that is not NULL; false: there is none left. */
bool cuda_guest_range_take_of(const struct cuda_guest_context *context, const struct cuda_guest_module *module,
                              struct cuda_guest_range *out);
/** May the device touch [@p address, +@p bytes)? 0 or CUDA_ERROR_INVALID_VALUE. */
CUresult cuda_guest_range_check(uint64_t address, uint64_t bytes);

/* ---- Waiting --------------------------------------------------------------------------------- */

#define CUDA_GUEST_SLOT_BYTES (1u << 20)
#define CUDA_GUEST_SLOTS 8u

/** A completion word, in which one mark at a time is under way. */
struct cuda_guest_word {
    bool taken; /* index is valid; else one waits by calls */
    uint32_t index;
    uint64_t marked; /* the value of the last mark */
};

/** A piece of arena memory that a copy is using until its word says otherwise. */
struct cuda_guest_slot {
    struct cuda_guest_word word;
    bool busy;
    bool orphan; /* the thread that knew the stream has ended */
    uint32_t stream;
    struct cuda_guest_context *context;
    uint32_t life; /* of the context: its handle on the host */
    unsigned char *data;
    uint64_t offset; /* in the arena */
};

/**
 * What a thread waits with and copies through. Threads take it over from threads that have ended, because
 * copies may still be under way.
 */
struct cuda_guest_bulk {
    struct cuda_guest_bulk *next;
    struct cuda_guest_word word;
    struct gpuvchan_buffer *buffer; /* of all slots; NULL until the first large copy */
    uint32_t pinned_life;           /* the context's in which it was pinned last */
    unsigned turn;
    struct cuda_guest_slot slots[CUDA_GUEST_SLOTS];
};

/* wait.c */
/** The thread's own; NULL: out of memory. */
struct cuda_guest_bulk *cuda_guest_bulk(struct cuda_guest_thread *self);
/** At the thread's end. */
void cuda_guest_bulk_return(struct cuda_guest_bulk *bulk);
/** Has the word change when the stream gets here. */
CUresult cuda_guest_mark(struct cuda_guest_thread *self, struct cuda_guest_word *word, uint32_t stream);
/** Waits for the last mark, which is in @p stream. */
CUresult cuda_guest_wait_mark(struct cuda_guest_thread *self, const struct cuda_guest_word *word, uint32_t stream);
/** Waits for all that is in @p stream. */
CUresult cuda_guest_wait_stream(struct cuda_guest_thread *self, uint32_t stream);
/* The same behind a copy of so many bytes, which is worth polling for longer. */
CUresult cuda_guest_wait_copy(struct cuda_guest_thread *self, uint32_t stream, size_t bytes);
/** Waits for all that is in the current context. */
CUresult cuda_guest_wait_context(struct cuda_guest_thread *self);

/* staging.c */
/** A slot that no copy uses, in *@p out. Waits for one if need be. */
CUresult cuda_guest_slot_take(struct cuda_guest_thread *self, struct cuda_guest_slot **out);
/** The slot is in use until @p stream gets here. */
CUresult cuda_guest_slot_mark(struct cuda_guest_thread *self, struct cuda_guest_slot *slot, uint32_t stream);
/** Waits until it is no longer. */
CUresult cuda_guest_slot_wait(struct cuda_guest_thread *self, struct cuda_guest_slot *slot);
/** Pageable memory to the device. All is read when it returns. */
CUresult
cuda_guest_stage_in(struct cuda_guest_thread *self, CUdeviceptr to, const void *from, size_t bytes, uint32_t stream);
/** The device to pageable memory. All is there when it returns. */
CUresult
cuda_guest_stage_out(struct cuda_guest_thread *self, void *to, CUdeviceptr from, size_t bytes, uint32_t stream);

/** The event is about to be recorded by what is not a post of this process that follows. */
static inline void
cuda_guest_event_elsewhere(struct cuda_guest_event *event)
{
    atomic_store_explicit(&event->elsewhere, true, memory_order_relaxed);
}

/* ---- Capture, graphs, host functions --------------------------------------------------------- */

/* capture.c */
/** Has the lane do as captures want it: posts wait while there is one, and the thread's mode is told. */
CUresult cuda_guest_capture_follow(struct cuda_guest_thread *self);
static inline bool
cuda_guest_capturing(void)
{
    return __builtin_expect(atomic_load_explicit(&cuda_guest.captures, memory_order_relaxed) != 0, 0);
}
/** Is the stream being captured? The host is asked only if any is. */
CUresult cuda_guest_captured(struct cuda_guest_thread *self, uint32_t stream, bool *captured);

/* callback.c */
/** Pageable memory that a copy in a graph reads or writes when the graph runs. */
struct cuda_guest_box {
    unsigned char *at;
    size_t pitch, plane; /* bytes from a row and from a plane to the next */
};
struct cuda_guest_extent {
    size_t width, rows, planes;
};
/** A token for copying between two boxes; @p buffer (NULL: none) goes with it. */
CUresult cuda_guest_task_copy(const struct cuda_guest_box *to, const struct cuda_guest_box *from,
                              const struct cuda_guest_extent *extent, struct gpuvchan_buffer *buffer, uint32_t *token);
CUresult cuda_guest_task_function(CUhostFn function, void *data, uint32_t *token);
/** What cuda_guest_task_function() was given; false: the token is none of its. */
bool cuda_guest_task_find(uint32_t token, CUhostFn *function, void **data);
/** A token for memory that a graph's node allocates; its range is then entered by cuda_guest_task_range_begin(). */
CUresult cuda_guest_task_range(uint32_t *token);
CUresult cuda_guest_task_range_begin(uint32_t token, const struct cuda_guest_range *range);
/** A token that the host has not been told of, or has refused. */
void cuda_guest_task_drop(uint32_t token);
/** Calls what @p token stands for when the stream gets here. Owns the token. */
CUresult cuda_guest_task_post(struct cuda_guest_thread *self, uint32_t token, uint32_t stream);
/** As cuda_guest_task_copy(), with a new buffer for one of the ends, packed; *@p offset is its place in the arena. */
CUresult cuda_guest_task_stage(const struct cuda_guest_box *memory, bool in, const struct cuda_guest_extent *extent,
                               uint32_t *token, uint64_t *offset);

/* launch.c */
/** Lays a kernel's parameters out in @p to, which has room for function->parameter_bytes. */
CUresult cuda_guest_parameters_pack(const struct cuda_guest_function *function, void *const *parameters,
                                    void *const *extra, unsigned char *to);

/* ---- Entry points under their other names, which cuda_api.h does not declare ------------------- */

#define CUDA_GUEST_PER_THREAD_ENTRIES(X)                         \
    X(cuLaunchKernel, cuLaunchKernel_ptsz)                       \
    X(cuLaunchCooperativeKernel, cuLaunchCooperativeKernel_ptsz) \
    X(cuMemsetD8_v2, cuMemsetD8_v2_ptds)                         \
    X(cuMemsetD8Async, cuMemsetD8Async_ptsz)                     \
    X(cuMemsetD16_v2, cuMemsetD16_v2_ptds)                       \
    X(cuMemsetD16Async, cuMemsetD16Async_ptsz)                   \
    X(cuMemsetD32_v2, cuMemsetD32_v2_ptds)                       \
    X(cuMemsetD32Async, cuMemsetD32Async_ptsz)                   \
    X(cuMemsetD2D8_v2, cuMemsetD2D8_v2_ptds)                     \
    X(cuMemsetD2D8Async, cuMemsetD2D8Async_ptsz)                 \
    X(cuMemsetD2D16_v2, cuMemsetD2D16_v2_ptds)                   \
    X(cuMemsetD2D16Async, cuMemsetD2D16Async_ptsz)               \
    X(cuMemsetD2D32_v2, cuMemsetD2D32_v2_ptds)                   \
    X(cuMemsetD2D32Async, cuMemsetD2D32Async_ptsz)               \
    X(cuMemcpyHtoD_v2, cuMemcpyHtoD_v2_ptds)                     \
    X(cuMemcpyHtoDAsync_v2, cuMemcpyHtoDAsync_v2_ptsz)           \
    X(cuMemcpyDtoH_v2, cuMemcpyDtoH_v2_ptds)                     \
    X(cuMemcpyDtoHAsync_v2, cuMemcpyDtoHAsync_v2_ptsz)           \
    X(cuMemcpyDtoD_v2, cuMemcpyDtoD_v2_ptds)                     \
    X(cuMemcpyDtoDAsync_v2, cuMemcpyDtoDAsync_v2_ptsz)           \
    X(cuMemcpy, cuMemcpy_ptds)                                   \
    X(cuMemcpyAsync, cuMemcpyAsync_ptsz)                         \
    X(cuMemcpy2D_v2, cuMemcpy2D_v2_ptds)                         \
    X(cuMemcpy2DUnaligned_v2, cuMemcpy2DUnaligned_v2_ptds)       \
    X(cuMemcpy2DAsync_v2, cuMemcpy2DAsync_v2_ptsz)               \
    X(cuStreamQuery, cuStreamQuery_ptsz)                         \
    X(cuStreamSynchronize, cuStreamSynchronize_ptsz)             \
    X(cuStreamWaitEvent, cuStreamWaitEvent_ptsz)                 \
    X(cuStreamWriteValue32_v2, cuStreamWriteValue32_v2_ptsz)     \
    X(cuStreamWriteValue64_v2, cuStreamWriteValue64_v2_ptsz)     \
    X(cuStreamGetFlags, cuStreamGetFlags_ptsz)                   \
    X(cuStreamGetPriority, cuStreamGetPriority_ptsz)             \
    X(cuStreamGetCtx, cuStreamGetCtx_ptsz)                       \
    X(cuStreamGetId, cuStreamGetId_ptsz)                         \
    X(cuEventRecord, cuEventRecord_ptsz)                         \
    X(cuEventRecordWithFlags, cuEventRecordWithFlags_ptsz)

/** Those of capture, graphs and values in memory. */
#define CUDA_GUEST_PER_THREAD_GRAPHS(X)                                                \
    X(cuStreamWaitValue32_v2, cuStreamWaitValue32_v2_ptsz)                             \
    X(cuStreamWaitValue64_v2, cuStreamWaitValue64_v2_ptsz)                             \
    X(cuStreamBatchMemOp_v2, cuStreamBatchMemOp_v2_ptsz)                               \
    X(cuStreamGetAttribute, cuStreamGetAttribute_ptsz)                                 \
    X(cuStreamSetAttribute, cuStreamSetAttribute_ptsz)                                 \
    X(cuStreamCopyAttributes, cuStreamCopyAttributes_ptsz)                             \
    X(cuStreamAttachMemAsync, cuStreamAttachMemAsync_ptsz)                             \
    X(cuStreamGetCtx_v2, cuStreamGetCtx_v2_ptsz)                                       \
    X(cuStreamGetDevice, cuStreamGetDevice_ptsz)                                       \
    X(cuStreamBeginCapture, cuStreamBeginCapture_ptsz)                                 \
    X(cuStreamBeginCapture_v2, cuStreamBeginCapture_v2_ptsz)                           \
    X(cuStreamBeginCaptureToGraph, cuStreamBeginCaptureToGraph_ptsz)                   \
    X(cuStreamEndCapture, cuStreamEndCapture_ptsz)                                     \
    X(cuStreamIsCapturing, cuStreamIsCapturing_ptsz)                                   \
    X(cuStreamGetCaptureInfo, cuStreamGetCaptureInfo_ptsz)                             \
    X(cuStreamGetCaptureInfo_v2, cuStreamGetCaptureInfo_v2_ptsz)                       \
    X(cuStreamGetCaptureInfo_v3, cuStreamGetCaptureInfo_v3_ptsz)                       \
    X(cuStreamUpdateCaptureDependencies, cuStreamUpdateCaptureDependencies_ptsz)       \
    X(cuStreamUpdateCaptureDependencies_v2, cuStreamUpdateCaptureDependencies_v2_ptsz) \
    X(cuLaunchHostFunc, cuLaunchHostFunc_ptsz)                                         \
    X(cuStreamAddCallback, cuStreamAddCallback_ptsz)                                   \
    X(cuGraphInstantiateWithParams, cuGraphInstantiateWithParams_ptsz)                 \
    X(cuGraphLaunch, cuGraphLaunch_ptsz)                                               \
    X(cuGraphUpload, cuGraphUpload_ptsz)

#define CUDA_GUEST_DECLARE(of, name) __typeof__(of) name;
CUDA_GUEST_PER_THREAD_ENTRIES(CUDA_GUEST_DECLARE)
CUDA_GUEST_PER_THREAD_GRAPHS(CUDA_GUEST_DECLARE)
CUDA_GUEST_DECLARE(cuCtxCreate_v2, cuCtxCreate)
CUDA_GUEST_DECLARE(cuCtxDestroy_v2, cuCtxDestroy)
CUDA_GUEST_DECLARE(cuCtxPushCurrent_v2, cuCtxPushCurrent)
CUDA_GUEST_DECLARE(cuCtxPopCurrent_v2, cuCtxPopCurrent)
CUDA_GUEST_DECLARE(cuDevicePrimaryCtxRelease_v2, cuDevicePrimaryCtxRelease)
CUDA_GUEST_DECLARE(cuDevicePrimaryCtxReset_v2, cuDevicePrimaryCtxReset)
CUDA_GUEST_DECLARE(cuDevicePrimaryCtxSetFlags_v2, cuDevicePrimaryCtxSetFlags)
CUDA_GUEST_DECLARE(cuStreamDestroy_v2, cuStreamDestroy)
CUDA_GUEST_DECLARE(cuEventDestroy_v2, cuEventDestroy)
CUDA_GUEST_DECLARE(cuMemHostRegister_v2, cuMemHostRegister)
CUDA_GUEST_DECLARE(cuStreamWaitValue32_v2, cuStreamWaitValue32_ptsz)
CUDA_GUEST_DECLARE(cuStreamWaitValue64_v2, cuStreamWaitValue64_ptsz)
CUDA_GUEST_DECLARE(cuStreamBatchMemOp_v2, cuStreamBatchMemOp_ptsz)
CUDA_GUEST_DECLARE(cuStreamWriteValue32_v2, cuStreamWriteValue32)
CUDA_GUEST_DECLARE(cuStreamWriteValue64_v2, cuStreamWriteValue64)
CUDA_GUEST_DECLARE(cuStreamWriteValue32_v2, cuStreamWriteValue32_ptsz)
CUDA_GUEST_DECLARE(cuStreamWriteValue64_v2, cuStreamWriteValue64_ptsz)
CUresult cuDeviceTotalMem(unsigned int *bytes, CUdevice device);
CUresult cuProfilerInitialize(const char *config, const char *output, int mode);
CUresult cuProfilerStart(void);
CUresult cuProfilerStop(void);
CUresult cuGraphAddKernelNode(CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                              const CUDA_KERNEL_NODE_PARAMS_v1 *params);
CUresult cuGraphKernelNodeGetParams(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS_v1 *params);
CUresult cuGraphKernelNodeSetParams(CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS_v1 *params);
CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS_v1 *params);
#undef CUDA_GUEST_DECLARE

/**
 * The first generation's functions with addresses and sizes of 32 bits. first.c says what they answer.
 */
#define CUDA_GUEST_FIRST_GENERATION(X)                                                                                 \
    X(cuModuleGetGlobal)                                                                                               \
    X(cuMemAlloc) X(cuMemAllocPitch) X(cuMemFree) X(cuMemGetInfo) X(cuMemAllocHost) X(cuMemHostGetDevicePointer)       \
        X(cuMemGetAddressRange) X(cuMemsetD8) X(cuMemsetD16) X(cuMemsetD32) X(cuMemsetD2D8) X(cuMemsetD2D16)           \
            X(cuMemsetD2D32) X(cuMemcpyHtoD) X(cuMemcpyHtoDAsync) X(cuMemcpyDtoH) X(cuMemcpyDtoHAsync) X(cuMemcpyDtoD) \
                X(cuMemcpyDtoDAsync) X(cuMemcpy2D) X(cuMemcpy2DUnaligned) X(cuMemcpy2DAsync)

#define CUDA_GUEST_DECLARE(name) CUresult name(void);
CUDA_GUEST_FIRST_GENERATION(CUDA_GUEST_DECLARE)
#undef CUDA_GUEST_DECLARE

#endif
