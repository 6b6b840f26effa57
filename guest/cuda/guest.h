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

#include "heap.h"

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
    /* Itself. Of a green context: the primary context that it is a part of, which has all that is made in it. */
    struct cuda_guest_context *root;
    struct cuda_guest_context *greens, *next_green; /* of the root; with the contexts' lock */
    int device;
    unsigned flags;
    bool primary;
    uint32_t attached;        /* by cuCtxAttach(), besides who made it; with the contexts' lock */
    _Atomic bool independent; /* has had streams that the legacy stream does not wait for */
    uint64_t id;
    pthread_mutex_t lock; /* for the range of priorities */
    bool priorities_known;
    int least, greatest;
    struct cuda_guest_object *newest; /* with the objects' lock */
    /* What libraries keep with the context, see cudart_compat.c; storage_drop is called when a life of it ends. */
    _Atomic(struct cuda_guest_storage *) storage;
    void (*storage_drop)(struct cuda_guest_context *context);
    /* With chunk.c's lock: */
    struct cuda_guest_heap heap;
    _Atomic uint64_t
        quiet; /* what had been published when the device was done with all of it; 0: unknown; see wait.c */
    struct cuda_guest_context *next_lender;
    struct cuda_guest_late *late; /* freed, but not waited for yet */
    bool lends;
};

struct cuda_guest_module {
    struct cuda_guest_object object;
    struct cuda_guest_function *functions;   /* with the objects' lock */
    struct cuda_guest_reference *references; /* the same; see reference.c */
    struct cuda_guest_library *library;      /* whose module it is in its context, or NULL */
    struct cuda_guest_module *next;          /* of the library's; with the objects' lock */
};

/** A library. It is in no context, but has a module in each in which one was asked for. */
struct cuda_guest_library {
    struct cuda_guest_object object;
    struct cuda_guest_module *modules;   /* with the objects' lock */
    struct cuda_guest_function *kernels; /* the same */
};

struct cuda_guest_parameter {
    uint32_t offset, bytes;
};

#define CUDA_GUEST_OCCUPANCIES 4

/** A kernel's attributes on a device. */
struct cuda_guest_attributes {
    int count;
    _Atomic int values[CU_FUNC_ATTRIBUTE_MAX];
    _Atomic uint64_t occupancies[CUDA_GUEST_OCCUPANCIES]; /* see occupancy.c; 0: none */
    _Atomic uint32_t turn;
};

/**
 * A function of a module, or a kernel of a library: that one has no context and no module, and what is kept of it
 * is known for a device once its attributes there are. Launches take both.
 */
struct cuda_guest_function {
    struct cuda_guest_object object;
    struct cuda_guest_module *module;   /* NULL: a kernel */
    struct cuda_guest_library *library; /* of a kernel, else NULL */
    struct cuda_guest_function *next;
    char *name;
    uint32_t parameter_bytes; /* to the end of the last one */
    uint32_t parameter_count;
    bool gaps;    /* between parameters */
    bool borrows; /* its attributes are a kernel's */
    struct cuda_guest_parameter *parameters;
    struct cuda_guest_first *first;                       /* what the first generation's functions have set */
    _Atomic(struct cuda_guest_attributes *) attributes[]; /* by device; NULL: not asked for yet */
};

struct cuda_guest_stream {
    struct cuda_guest_object object;
    struct cuda_guest_context *view; /* the context, or the green one that it was made in */
    unsigned flags;
    int priority;
    uint64_t id;
};

/** A completion word, in which one mark at a time is under way. */
struct cuda_guest_word {
    bool taken; /* index is valid; else one waits by calls */
    uint32_t index;
    uint64_t marked; /* the value of the last mark */
};

struct cuda_guest_event {
    struct cuda_guest_object object;
    unsigned flags;
    _Atomic uint32_t recorded; /* how often it has been */
    _Atomic uint32_t reached;  /* which of these is known to have been reached */
    _Atomic bool elsewhere;    /* graphs record it as well, or other processes: the host must be asked */
    /* For who asks: see event.c. */
    _Atomic bool asked;
    _Atomic uint32_t in_vain;
    _Atomic uint64_t mark;
    struct cuda_guest_word word; /* with event.c's lock */
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
    uint64_t quiet; /* what had been published when quiet_stream was done with all of it; 0: unknown */
    uint32_t quiet_stream;
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
/** The context that the program has made current, which may be a green one; or NULL. */
struct cuda_guest_context *cuda_guest_view(const struct cuda_guest_thread *self);
/** The context that objects of the program are in: the current one, or a green context's primary one; or NULL. */
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
        struct cuda_guest_context *current = self->stack[self->depth - 1]->root;

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
    if (__builtin_expect(atomic_load_explicit(&found->view->wire, memory_order_relaxed) == 0, 0))
        return CUDA_ERROR_CONTEXT_IS_DESTROYED; /* a green one's: its streams are the program's to destroy before */
    *wire = found->object.handle;
    if (context)
        *context = found->object.context;
    return CUDA_SUCCESS;
}

/** Enters a call that works on @p stream. */
static inline CUresult
cuda_guest_stream_enter(CUstream stream, struct cuda_guest_thread **self, uint32_t *wire)
{
    CUresult result = cuda_guest_enter(self);

    return result == CUDA_SUCCESS ? cuda_guest_stream_wire(*self, stream, wire, NULL) : result;
}

/* module.c, function.c */
/** Frees a module that was taken and that the host has ended, with its functions and variables. */
void cuda_guest_module_drop(struct cuda_guest_module *module);
/** Ends the texture and surface references of a module. */
void cuda_guest_references_drop(struct cuda_guest_module *module);
/** Ends all functions of the list. */
void cuda_guest_functions_drop(struct cuda_guest_function **list);
/** The function of that name in the list, or NULL. */
struct cuda_guest_function *cuda_guest_function_known(struct cuda_guest_function *const *list, const char *name);
/** Where a kernel's parameters lie, and its attributes, as records give them. */
struct cuda_guest_function_answer {
    uint32_t offsets[CUDA_KERNEL_INFO_OFFSETS_MAX], sizes[CUDA_KERNEL_INFO_SIZES_MAX];
    int32_t attributes[CUDA_KERNEL_INFO_ATTRIBUTES_MAX];
    size_t offset_count, size_count, attribute_count;
    bool laid_out; /* of kernels: the host knows the parameters */
};
/** Keeps it. The function may be in use by other threads, unless it is a new one. */
CUresult cuda_guest_function_keep(struct cuda_guest_function *function, int device,
                                  const struct cuda_guest_function_answer *answer);
/** The device that a function is asked about for: that of its module, or for a kernel the current one. */
int cuda_guest_function_device(const struct cuda_guest_thread *self, const struct cuda_guest_function *function);
/** Enters, with the function or kernel behind a handle, and its attributes on that device. */
CUresult cuda_guest_function_enter(CUfunction handle, struct cuda_guest_thread **self,
                                   struct cuda_guest_function **function, struct cuda_guest_attributes **attributes);
/** A function or kernel that nobody knows yet. */
CUresult
cuda_guest_function_create(struct cuda_guest_context *context, const char *name, struct cuda_guest_function **out);
void cuda_guest_function_free(struct cuda_guest_function *function);
/** Finds or makes the function of that name. */
CUresult cuda_guest_module_function(struct cuda_guest_thread *self, struct cuda_guest_module *module, const char *name,
                                    struct cuda_guest_function **out);

/* library.c, kernel.c */
/** The library's kernel of that name. */
CUresult cuda_guest_library_kernel(struct cuda_guest_thread *self, struct cuda_guest_library *library, const char *name,
                                   struct cuda_guest_function **out);
/** The module that the library has in the current context. */
CUresult cuda_guest_library_module(struct cuda_guest_thread *self, struct cuda_guest_library *library,
                                   struct cuda_guest_module **out);
/** The slow part of the function below: asks the host. */
CUresult cuda_guest_kernel_ask(struct cuda_guest_thread *self, struct cuda_guest_function *kernel, int device);

/** An attribute was set: keeps that, and forgets what depended on it. */
static inline void
cuda_guest_attribute_set(struct cuda_guest_attributes *attributes, CUfunction_attribute attribute, int value)
{
    atomic_store_explicit(&attributes->values[attribute], value, memory_order_relaxed);
    for (unsigned i = 0; i < CUDA_GUEST_OCCUPANCIES; i++)
        atomic_store_explicit(&attributes->occupancies[i], 0, memory_order_relaxed);
}

/** True: the driver will take this value of an attribute, so that nobody needs to wait for what it says. */
bool cuda_guest_attribute_checked(const struct cuda_guest_attributes *attributes, int device,
                                  CUfunction_attribute attribute, int value);

/** Sees that what is kept of the function is known for the device. */
static inline CUresult
cuda_guest_function_learn(struct cuda_guest_thread *self, struct cuda_guest_function *function, int device)
{
    if (__builtin_expect(atomic_load_explicit(&function->attributes[device], memory_order_acquire) != NULL, 1))
        return CUDA_SUCCESS;
    return function->library ? cuda_guest_kernel_ask(self, function, device) : CUDA_ERROR_INVALID_HANDLE;
}

/** An attribute of a function that is known for the device. */
static inline int
cuda_guest_function_attribute(const struct cuda_guest_function *function, int device, CUfunction_attribute attribute)
{
    const struct cuda_guest_attributes *attributes =
        atomic_load_explicit(&function->attributes[device], memory_order_acquire);

    return atomic_load_explicit(&attributes->values[attribute], memory_order_relaxed);
}

/* link.c */
/** Frees a link that was taken and that the host has ended. */
void cuda_guest_link_drop(struct cuda_guest_object *object);

/* texture.c */
/** Frees a texture or surface that was taken and that the host has ended. */
void cuda_guest_view_drop(struct cuda_guest_object *object);

/* output.c */
struct cuda_guest_output {
    uint32_t word;         /* counts what has come */
    _Atomic bool comes;    /* at all */
    _Atomic bool waits;    /* for it: an image has been loaded that prints */
    _Atomic uint64_t seen; /* of the word */
};
extern struct cuda_guest_output cuda_guest_output;
/** An image is about to be loaded. */
void cuda_guest_output_expect(struct cuda_guest_thread *self, const void *image, size_t bytes);
/** Writes what has been printed to the program's own files. Passes @p result through, or what a post has met. */
CUresult cuda_guest_output_fetch(struct cuda_guest_thread *self, uint64_t count, CUresult result);
/**
 * For what has waited for the device, and got @p result: writes what kernels have printed before. What a failed
 * assertion says may have come a moment later than the error that a post has met.
 */
static inline CUresult
cuda_guest_output_write(struct cuda_guest_thread *self, CUresult result)
{
    uint64_t count;

    if (!atomic_load_explicit(&cuda_guest_output.comes, memory_order_relaxed))
        return result;
    count = gpuvchan_completion_read(cuda_guest.channel, cuda_guest_output.word);
    if (__builtin_expect(count == atomic_load_explicit(&cuda_guest_output.seen, memory_order_relaxed) &&
                             result != CUDA_ERROR_ASSERT,
                         1))
        return result;
    return cuda_guest_output_fetch(self, count, result);
}

/* image.c */
struct cuda_guest_image {
    const void *data;
    size_t bytes;
    void *memory; /* to be freed when the image has gone */
};
/** Where the image at @p image really begins, and its size, which is not 0. */
CUresult cuda_guest_image_find(const void *image, struct cuda_guest_image *out);

/* ---- Memory ---------------------------------------------------------------------------------- */

enum cuda_guest_range_kind {
    CUDA_GUEST_DEVICE,     /* cuMemAlloc */
    CUDA_GUEST_POOLED,     /* cuMemAllocAsync: of no context */
    CUDA_GUEST_MAPPED,     /* cuMemMap: of no context; those side by side can be used as one */
    CUDA_GUEST_GLOBAL,     /* a variable of a module */
    CUDA_GUEST_GRAPH,      /* allocated by a node of a graph, again at each launch */
    CUDA_GUEST_PINNED,     /* cuMemHostAlloc, in the arena */
    CUDA_GUEST_ALIAS,      /* the device's address of pinned memory, where that is another one */
    CUDA_GUEST_SHARED,     /* another process's, opened here */
    CUDA_GUEST_MANAGED,    /* cuMemAllocManaged, in the arena */
    CUDA_GUEST_REGISTERED, /* memory of the program whose pages are now the arena's */
};

/** A range of addresses that the application got from us. */
struct cuda_guest_range {
    uint64_t start, bytes;
    enum cuda_guest_range_kind kind;
    unsigned flags;
    uint64_t id;
    struct cuda_guest_context *context;   /* NULL: of a device alone */
    int device_number;                    /* if it is of no context */
    bool in_chunk;                        /* the driver knows nothing of it */
    uint32_t others;                      /* of a graph's: nodes that allocate it, but one */
    uint32_t pool;                        /* pooled: its handle; 0: the device's own */
    struct cuda_guest_physical *physical; /* mapped: what */
    struct cuda_guest_module *module;     /* of a variable */
    /* Pinned memory: */
    struct gpuvchan_buffer *buffer;
    unsigned char *host;
    uint64_t offset; /* in the arena */
    uint64_t device; /* its address for the device */
};

/** Does it lie in the arena? */
static inline bool
cuda_guest_range_is_pinned(const struct cuda_guest_range *range)
{
    return range->kind == CUDA_GUEST_PINNED || range->kind == CUDA_GUEST_ALIAS || range->kind == CUDA_GUEST_MANAGED ||
           range->kind == CUDA_GUEST_REGISTERED;
}

/** The device that it is on, or was pinned for. */
static inline int
cuda_guest_range_device(const struct cuda_guest_range *range)
{
    return range->context ? range->context->device : range->device_number;
}

/* range.c */
/** Enters a copy of @p range, which may overlap no other. */
CUresult cuda_guest_range_add(const struct cuda_guest_range *range);
/**
 * The same for memory of a graph, whose nodes may allocate the same addresses one after the other: the ranges become
 * one, which lasts as long as the last of them.
 */
CUresult cuda_guest_range_join(const struct cuda_guest_range *range);
void cuda_guest_range_leave(uint64_t address);
/** Copies out the range that holds @p address. */
bool cuda_guest_range_find(uint64_t address, struct cuda_guest_range *out);
/** Takes out the range of @p kind that begins at @p address. Of two that race, one gets true. */
bool cuda_guest_range_take(uint64_t address, enum cuda_guest_range_kind kind, struct cuda_guest_range *out);
/** Is [@p address, +@p bytes) all in @p range, which holds its beginning, or in mappings that follow it? */
bool cuda_guest_range_holds(const struct cuda_guest_range *range, uint64_t address, uint64_t bytes);
/** Has a range of @p kind a byte of [@p address, +@p bytes), in which no other kind has? */
bool cuda_guest_range_touches(uint64_t address, uint64_t bytes, enum cuda_guest_range_kind kind);
/** Has any range a byte of [@p address, +@p bytes)? */
bool cuda_guest_range_touched(uint64_t address, uint64_t bytes);
/** Takes out one range of @p context, or of @p module if that is not NULL; false: there is none left. */
bool cuda_guest_range_take_of(const struct cuda_guest_context *context, const struct cuda_guest_module *module,
                              struct cuda_guest_range *out);
/** May the device touch [@p address, +@p bytes)? 0 or CUDA_ERROR_INVALID_VALUE. */
CUresult cuda_guest_range_check(uint64_t address, uint64_t bytes);

/* host_memory.c */
/** Memory of the arena that the device reaches, of kind PINNED or MANAGED. */
CUresult cuda_guest_arena_alloc(struct cuda_guest_thread *self, enum cuda_guest_range_kind kind, size_t bytes,
                                unsigned flags, void **pointer);
/** Frees what was taken, once the device is done with it. */
CUresult cuda_guest_arena_free(struct cuda_guest_thread *self, const struct cuda_guest_range *range);

/** Pins the pages of @p buffer, which hold @p bytes at @p pointer, for a range of kind REGISTERED; and lets go of them. */
CUresult cuda_guest_arena_pin(struct cuda_guest_thread *self, void *pointer, size_t bytes, unsigned flags,
                              struct gpuvchan_buffer *buffer);
/** With CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED it is still pinned, and in the table again. */
CUresult cuda_guest_arena_unpin(struct cuda_guest_thread *self, const struct cuda_guest_range *range);
/** The arena is too small for what @p function asks: says so once. Returns CUDA_ERROR_OUT_OF_MEMORY. */
CUresult cuda_guest_arena_exhausted(const char *function, size_t bytes);

/* register.c */
/** Can the arena's pages take the place of the program's? */
bool cuda_guest_can_register(void);
/** The range's context has ended: the program's pages are its own again. */
void cuda_guest_registered_drop(const struct cuda_guest_range *range);

/* managed.c */
/** CUDA_ERROR_INVALID_VALUE: no managed allocation begins there. */
CUresult cuda_guest_managed_free(struct cuda_guest_thread *self, CUdeviceptr address);

/* ---- Waiting --------------------------------------------------------------------------------- */

#define CUDA_GUEST_SLOTS 16u

/** A piece of arena memory that a copy is using until its word says otherwise. */
struct cuda_guest_slot {
    struct cuda_guest_word word;
    bool busy;
    bool orphan; /* the thread that knew the stream has ended */
    uint32_t stream;
    struct cuda_guest_context *context;
    uint32_t life; /* of the context: its handle on the host */
    unsigned char *data;
    size_t bytes;
    uint64_t offset; /* in the arena */
};

/**
 * What a thread waits with and copies through. Threads take it over from threads that have ended, because
 * copies may still be under way.
 */
struct cuda_guest_bulk {
    struct cuda_guest_bulk *next;
    struct cuda_guest_word word;
    struct gpuvchan_buffer *buffer;       /* of all slots; NULL until the first copy that needs one */
    size_t slot_bytes, wanted;            /* of each slot: what it has, and what was asked for */
    struct cuda_guest_context *pinned_in; /* for all contexts, as long as this one lives; NULL: not yet */
    uint32_t pinned_life;                 /* its handle on the host then */
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
/** cuStreamQuery() of a stream that the thread may use. */
CUresult cuda_guest_query_stream(struct cuda_guest_thread *self, uint32_t stream);
/** Waits for all that is in @p stream. */
CUresult cuda_guest_wait_stream(struct cuda_guest_thread *self, uint32_t stream);
/* The same behind a copy of so many bytes, which is worth polling for longer. */
CUresult cuda_guest_wait_copy(struct cuda_guest_thread *self, uint32_t stream, size_t bytes);
/** Behind a synchronous copy of @p bytes from pageable memory: waits if other streams may rely on it. */
CUresult cuda_guest_wait_staged(struct cuda_guest_thread *self, uint32_t stream, size_t bytes);
/** Waits for all that is in the current context. */
CUresult cuda_guest_wait_context(struct cuda_guest_thread *self);

/* staging.c */
/** Sees that the thread has slots, pinned in the current context, for a copy of @p bytes in all. */
CUresult cuda_guest_slots_ready(struct cuda_guest_thread *self, size_t bytes);
/** What a slot holds then. */
size_t cuda_guest_slot_bytes(const struct cuda_guest_thread *self);
/** A slot that no copy uses, in *@p out; behind cuda_guest_slots_ready(). Waits for one if need be. */
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

/* event.c */
/** Frees an event that was taken and that the host has ended. */
void cuda_guest_event_drop(struct cuda_guest_event *event);
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
/** Around what this library does for itself while something is captured: captures do not mind it. */
CUresult cuda_guest_capture_relax(struct cuda_guest_thread *self);
CUresult cuda_guest_capture_restore(struct cuda_guest_thread *self);
static inline bool
cuda_guest_capturing(void)
{
    return __builtin_expect(atomic_load_explicit(&cuda_guest.captures, memory_order_relaxed) != 0, 0);
}
/** Is the stream being captured? The host is asked only if any is. */
CUresult cuda_guest_captured(struct cuda_guest_thread *self, uint32_t stream, bool *captured);

/* callback.c */
/** Pageable memory that a copy in a graph reads or writes when the graph runs. */
struct cuda_guest_area {
    unsigned char *at;
    size_t pitch, plane; /* bytes from a row and from a plane to the next */
};
struct cuda_guest_extent {
    size_t width, rows, planes;
};
/** A token for copying between two boxes. */
CUresult cuda_guest_task_copy(const struct cuda_guest_area *to, const struct cuda_guest_area *from,
                              const struct cuda_guest_extent *extent, uint32_t *token);
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
/** As cuda_guest_task_copy(), with a pinned buffer for one of the ends, packed; *@p offset is its place in the arena. */
CUresult cuda_guest_task_stage(struct cuda_guest_thread *self, const struct cuda_guest_area *memory, bool in,
                               const struct cuda_guest_extent *extent, uint32_t *token, uint64_t *offset);

/* launch.c */
/** Lays a kernel's parameters out in @p to, which has room for function->parameter_bytes. */
CUresult cuda_guest_parameters_pack(const struct cuda_guest_function *function, void *const *parameters,
                                    void *const *extra, unsigned char *to);

/* ---- Entry points under their other names, which cuda_api.h does not declare ------------------- */

#define CUDA_GUEST_PER_THREAD_ENTRIES(X)                                               \
    X(cuLaunchKernel, cuLaunchKernel_ptsz)                                             \
    X(cuLaunchKernelEx, cuLaunchKernelEx_ptsz)                                         \
    X(cuLaunchCooperativeKernel, cuLaunchCooperativeKernel_ptsz)                       \
    X(cuMemsetD8_v2, cuMemsetD8_v2_ptds)                                               \
    X(cuMemsetD8Async, cuMemsetD8Async_ptsz)                                           \
    X(cuMemsetD16_v2, cuMemsetD16_v2_ptds)                                             \
    X(cuMemsetD16Async, cuMemsetD16Async_ptsz)                                         \
    X(cuMemsetD32_v2, cuMemsetD32_v2_ptds)                                             \
    X(cuMemsetD32Async, cuMemsetD32Async_ptsz)                                         \
    X(cuMemsetD2D8_v2, cuMemsetD2D8_v2_ptds)                                           \
    X(cuMemsetD2D8Async, cuMemsetD2D8Async_ptsz)                                       \
    X(cuMemsetD2D16_v2, cuMemsetD2D16_v2_ptds)                                         \
    X(cuMemsetD2D16Async, cuMemsetD2D16Async_ptsz)                                     \
    X(cuMemsetD2D32_v2, cuMemsetD2D32_v2_ptds)                                         \
    X(cuMemsetD2D32Async, cuMemsetD2D32Async_ptsz)                                     \
    X(cuMemcpyHtoD_v2, cuMemcpyHtoD_v2_ptds)                                           \
    X(cuMemcpyHtoDAsync_v2, cuMemcpyHtoDAsync_v2_ptsz)                                 \
    X(cuMemcpyDtoH_v2, cuMemcpyDtoH_v2_ptds)                                           \
    X(cuMemcpyDtoHAsync_v2, cuMemcpyDtoHAsync_v2_ptsz)                                 \
    X(cuMemcpyDtoD_v2, cuMemcpyDtoD_v2_ptds)                                           \
    X(cuMemcpyDtoDAsync_v2, cuMemcpyDtoDAsync_v2_ptsz)                                 \
    X(cuMemcpy, cuMemcpy_ptds)                                                         \
    X(cuMemcpyAsync, cuMemcpyAsync_ptsz)                                               \
    X(cuMemcpyPeer, cuMemcpyPeer_ptds)                                                 \
    X(cuMemcpyPeerAsync, cuMemcpyPeerAsync_ptsz)                                       \
    X(cuMemcpy2D_v2, cuMemcpy2D_v2_ptds)                                               \
    X(cuMemcpy2DUnaligned_v2, cuMemcpy2DUnaligned_v2_ptds)                             \
    X(cuMemcpy2DAsync_v2, cuMemcpy2DAsync_v2_ptsz)                                     \
    X(cuMemcpy3D_v2, cuMemcpy3D_v2_ptds)                                               \
    X(cuMemcpy3DAsync_v2, cuMemcpy3DAsync_v2_ptsz)                                     \
    X(cuMemcpy3DPeer, cuMemcpy3DPeer_ptds)                                             \
    X(cuMemcpy3DPeerAsync, cuMemcpy3DPeerAsync_ptsz)                                   \
    X(cuMemcpyAtoA_v2, cuMemcpyAtoA_v2_ptds)                                           \
    X(cuMemcpyAtoD_v2, cuMemcpyAtoD_v2_ptds)                                           \
    X(cuMemcpyDtoA_v2, cuMemcpyDtoA_v2_ptds)                                           \
    X(cuMemcpyAtoH_v2, cuMemcpyAtoH_v2_ptds)                                           \
    X(cuMemcpyAtoHAsync_v2, cuMemcpyAtoHAsync_v2_ptsz)                                 \
    X(cuMemcpyHtoA_v2, cuMemcpyHtoA_v2_ptds)                                           \
    X(cuMemcpyHtoAAsync_v2, cuMemcpyHtoAAsync_v2_ptsz)                                 \
    X(cuStreamQuery, cuStreamQuery_ptsz)                                               \
    X(cuStreamSynchronize, cuStreamSynchronize_ptsz)                                   \
    X(cuStreamWaitEvent, cuStreamWaitEvent_ptsz)                                       \
    X(cuStreamWriteValue32_v2, cuStreamWriteValue32_v2_ptsz)                           \
    X(cuStreamWriteValue64_v2, cuStreamWriteValue64_v2_ptsz)                           \
    X(cuStreamGetFlags, cuStreamGetFlags_ptsz)                                         \
    X(cuStreamGetPriority, cuStreamGetPriority_ptsz)                                   \
    X(cuStreamGetCtx, cuStreamGetCtx_ptsz)                                             \
    X(cuStreamGetId, cuStreamGetId_ptsz)                                               \
    X(cuEventRecord, cuEventRecord_ptsz)                                               \
    X(cuEventRecordWithFlags, cuEventRecordWithFlags_ptsz)                             \
    X(cuMemAllocAsync, cuMemAllocAsync_ptsz)                                           \
    X(cuMemAllocFromPoolAsync, cuMemAllocFromPoolAsync_ptsz)                           \
    X(cuMemFreeAsync, cuMemFreeAsync_ptsz)                                             \
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
    X(cuGraphUpload, cuGraphUpload_ptsz)                                               \
    X(cuMemPrefetchAsync, cuMemPrefetchAsync_ptsz)                                     \
    X(cuMemPrefetchAsync_v2, cuMemPrefetchAsync_v2_ptsz)                               \
    X(cuMemPrefetchBatchAsync, cuMemPrefetchBatchAsync_ptsz)                           \
    X(cuMemDiscardBatchAsync, cuMemDiscardBatchAsync_ptsz)                             \
    X(cuMemDiscardAndPrefetchBatchAsync, cuMemDiscardAndPrefetchBatchAsync_ptsz)       \
    X(cuMemBatchDecompressAsync, cuMemBatchDecompressAsync_ptsz)                       \
    X(cuMemMapArrayAsync, cuMemMapArrayAsync_ptsz)                                     \
    X(cuMemcpyBatchAsync, cuMemcpyBatchAsync_ptsz)                                     \
    X(cuMemcpyBatchAsync_v2, cuMemcpyBatchAsync_v2_ptsz)                               \
    X(cuMemcpy3DBatchAsync, cuMemcpy3DBatchAsync_ptsz)                                 \
    X(cuMemcpy3DBatchAsync_v2, cuMemcpy3DBatchAsync_v2_ptsz)

#define CUDA_GUEST_DECLARE(of, name) __typeof__(of) name;
CUDA_GUEST_PER_THREAD_ENTRIES(CUDA_GUEST_DECLARE)
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
#define CUDA_GUEST_FIRST_GENERATION(X) \
    X(cuModuleGetGlobal)               \
    X(cuMemAlloc)                      \
    X(cuMemAllocPitch)                 \
    X(cuMemFree)                       \
    X(cuMemGetInfo)                    \
    X(cuMemAllocHost)                  \
    X(cuMemHostGetDevicePointer)       \
    X(cuMemGetAddressRange)            \
    X(cuMemsetD8)                      \
    X(cuMemsetD16)                     \
    X(cuMemsetD32)                     \
    X(cuMemsetD2D8)                    \
    X(cuMemsetD2D16)                   \
    X(cuMemsetD2D32)                   \
    X(cuMemcpyHtoD)                    \
    X(cuMemcpyHtoDAsync)               \
    X(cuMemcpyDtoH)                    \
    X(cuMemcpyDtoHAsync)               \
    X(cuMemcpyDtoD)                    \
    X(cuMemcpyDtoDAsync)               \
    X(cuMemcpy2D)                      \
    X(cuMemcpy2DUnaligned)             \
    X(cuMemcpy2DAsync)                 \
    X(cuMemcpy3D)                      \
    X(cuMemcpy3DAsync)                 \
    X(cuMemcpyAtoD)                    \
    X(cuMemcpyDtoA)                    \
    X(cuArrayCreate)                   \
    X(cuArray3DCreate)                 \
    X(cuArrayGetDescriptor)            \
    X(cuArray3DGetDescriptor)          \
    X(cuTexRefSetAddress)              \
    X(cuTexRefSetAddress2D)            \
    X(cuTexRefGetAddress)

#define CUDA_GUEST_DECLARE(name) CUresult name(void);
CUDA_GUEST_FIRST_GENERATION(CUDA_GUEST_DECLARE)
#undef CUDA_GUEST_DECLARE

#endif
