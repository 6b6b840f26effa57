/* SPDX-License-Identifier: MIT */
/*
 * The driver's own state: devices, contexts, and the objects that handles
 * stand for.
 *
 * One lock guards everything here; every entry point takes it once, through
 * sim_begin or sim_enter, and gives it back through sim_end. Kernels run under
 * it: the device executes one thing at a time, in the order of the calls, and
 * every stream is in order with every other.
 *
 * A handle is the address of an object. It is looked up in a table before it is
 * followed, so that a stale or forged one is an error and nothing worse.
 */
#ifndef SIM_DRIVER_H
#define SIM_DRIVER_H

#include "exec.h"
#include "memory.h"

#include <stddef.h>

#define SIM_EXPORT __attribute__((visibility("default")))
#define SIM_MAX_DEVICES 4
#define SIM_MAX_PEERS 16
#define SIM_MAX_LEVELS 18
#define SIM_DRIVER_VERSION 13000
#define SIM_CAPABILITY 90  /* what the device claims, and the highest target it takes */
#define SIM_PTX_VERSION 90 /* the newest .version it reads */
#define SIM_STREAM_ATTRIBUTES 17

enum object_kind {
    OBJECT_CONTEXT = 1,
    OBJECT_MODULE,
    OBJECT_FUNCTION,
    OBJECT_STREAM,
    OBJECT_EVENT,
    OBJECT_LIBRARY,
    OBJECT_LINK,
    OBJECT_POOL,
    OBJECT_PHYSICAL,
    OBJECT_ARRAY,
    OBJECT_MIPMAP,
    OBJECT_TEXTURE,
    OBJECT_SURFACE,
    OBJECT_GRAPH,
    OBJECT_NODE,
    OBJECT_GRAPH_EXEC,
    OBJECT_USER,
    OBJECT_DESCRIPTION,
    OBJECT_TEXREF,
    OBJECT_SURFREF
};

#define SIM_LATER_FLAGS (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING) /* of arrays */

struct object {
    enum object_kind kind;
    struct sim_context *context;
    struct object *next, **link; /* among the objects of the context */
    void *payload;               /* freed with the object */
};

struct sim_context {
    struct object object;
    struct sim_context *root;       /* itself; of a green context, which has nothing but its place: the primary one */
    unsigned int first_unit, units; /* multiprocessors */
    unsigned long long id;
    int device;
    bool primary;
    unsigned int references; /* of a primary context; else by cuCtxAttach() */
    unsigned int flags;
    unsigned int api_version;
    CUresult error; /* a fault, for all calls from then on */
    CUfunc_cache cache_config;
    size_t limits[CU_LIMIT_MAX];
    unsigned long long peers[SIM_MAX_PEERS]; /* ids of contexts whose memory it may reach; 0: free */
    struct object *objects;
};

struct sim_module {
    struct object object;
    struct sim_code *code;
    uintptr_t globals; /* one range for all variables */
    struct module_variable {
        char *name;
        uintptr_t address;
        size_t size;
        bool managed;
        enum ptx_reference reference; /* then it is no variable to others */
    } * variables;
    uint32_t variable_count;
    struct sim_function_handle **functions; /* made when asked for */
    unsigned int target;                    /* of its PTX */
    struct sim_library *library;            /* goes with it, not by itself */
    struct sim_module *next;                /* of the library's */
};

struct sim_function_handle {
    struct object object;
    struct sim_module *module;
    uint32_t index;
    int max_dynamic_shared;
    int carveout;
    CUfunc_cache cache_config;
};

struct sim_stream {
    struct object object;
    struct sim_context
        *view; /* the context or green context it was made in; NULL: that was a green one, and has gone */
    unsigned int flags;
    int priority;
    unsigned long long id;
    CUlaunchAttributeValue attributes[SIM_STREAM_ATTRIBUTES]; /* by number */
};

struct sim_event {
    struct object object;
    unsigned int flags;
    bool recorded;
    uint64_t nanoseconds;
};

struct sim_array {
    struct object object;
    CUDA_ARRAY3D_DESCRIPTOR desc;
    uintptr_t memory;
    size_t row_bytes, rows, planes;
    bool level; /* goes with its mipmapped array */
};

struct sim_mipmap {
    struct object object;
    unsigned int count;
    struct sim_array *levels[SIM_MAX_LEVELS];
};

/* Or a surface. */
struct sim_texture {
    struct object object;
    unsigned long long number; /* what programs and kernels call it */
    CUDA_RESOURCE_DESC resource;
    CUDA_TEXTURE_DESC texture;
    CUDA_RESOURCE_VIEW_DESC view;
    bool has_view;
};

/*
 * A library is of no context. Its kernels are the functions of a module in a
 * context that nobody else has; where one is used, the library gets a module of
 * that context, and the kernel's function there stands in.
 */
struct sim_library {
    struct object object;
    struct sim_module *module;
    struct sim_module *instances;
    char *text; /* what they are made from */
    size_t length;
    CUresult broken; /* what its text is answered with when it is used; it has no module then */
};

struct sim_device {
    struct sim_context *primary;
    unsigned int primary_flags;
};

struct sim_driver {
    struct sim_memory *memory;
    int device_count;
    struct sim_device devices[SIM_MAX_DEVICES];
    struct sim_context *libraries; /* the context of their own modules, once there is one */
    unsigned long long next_id;
    uint64_t launches;
};

extern struct sim_driver sim_driver;

/* Lock, and check that cuInit was called. */
CUresult sim_begin(void);
/* The same, with the current context, which must be free of faults. */
CUresult sim_enter(struct sim_context **context);
/* Like sim_enter, whatever the context's state. */
CUresult sim_enter_any(struct sim_context **context);
/* Unlock; returns its argument. */
CUresult sim_end(CUresult result);

bool sim_object_add(struct object *object, enum object_kind kind, struct sim_context *context);
void sim_object_remove(struct object *object);
void *sim_object_find(const void *handle, enum object_kind kind);

/* Current contexts of the calling thread: with its place, which may be green, and what owns things. */
struct sim_context *sim_view(void);
struct sim_context *sim_current(void);
CUresult sim_push(struct sim_context *context);
CUresult sim_pop(struct sim_context **context);
CUresult sim_set_current(struct sim_context *context);

/* May kernels of the context reach the other's memory? */
bool sim_is_peer(const struct sim_context *context, const struct sim_context *of);
/* May the device reach what is allocated from the pool of another? */
bool sim_pool_reachable(const void *pool, int device);

CUresult sim_context_create(int device, unsigned int flags, struct sim_context **context);
void sim_context_destroy(struct sim_context *context);

/* NULL and the two special streams are of every context. */
CUresult sim_stream_check(CUstream stream);

/* Whether a copy may touch it all: device memory, or any memory if not device. */
bool sim_copy_reaches(uint64_t address, size_t size, bool device);

/*
 * Loads an image of at most size bytes: PTX text, or a fat binary. The log
 * receives what a compiler would say.
 */
CUresult sim_module_load(struct sim_context *context, const void *image, size_t size, struct ptx_log *log,
                         struct sim_module **module);
void sim_module_destroy(struct sim_module *module);
/* The module's texture and surface references go with it. */
void sim_references_forget(const struct sim_module *module);
CUresult sim_library_load(const void *image, struct ptx_log *log, struct sim_library **library);
void sim_library_destroy(struct sim_library *library);
/* The library's module in the context. */
CUresult sim_library_module(struct sim_library *library, struct sim_context *context, struct sim_module **module);
/* The function that a kernel is in the context; any other function is itself. */
CUresult sim_function_in(struct sim_context *context, struct sim_function_handle **function);
CUresult sim_module_function(struct sim_module *module, const char *name, struct sim_function_handle **handle);
CUresult sim_function_at(struct sim_module *module, uint32_t index, struct sim_function_handle **handle);
const struct sim_function *sim_function_of(const struct sim_function_handle *handle);

/* What nvcc embeds: it points at the fat binary, or at several to be linked. */
#define FATBIN_WRAPPER_MAGIC 0x466243b1u

struct fatbin_wrapper {
    uint32_t magic, version;
    const void *data;
    const void *const *more; /* version 2: up to NULL */
};

/*
 * The PTX inside an image; CUDA_SUCCESS with text and length set. It lies in
 * the image, or in memory that the caller frees.
 */
CUresult sim_image_find_ptx(const void *image, size_t size, const char **text, size_t *length, char **memory,
                            struct ptx_log *log);

/* An array's address space, where its memory is mapped later. */
CUresult sim_sparse_begin(struct sim_array *array, int device);
void sim_sparse_end(struct sim_array *array);
/* The file that is physical memory of the device, and its size, if it was made for arrays. */
bool sim_physical_tiles(CUmemGenericAllocationHandle handle, int device, int *file, size_t *size);

/* If the range that starts there is from a pool, it is no longer; before it is freed, outside the lock. */
void sim_pool_forget(CUdeviceptr start);
/* Device memory, also while a capture forbids cuMemFree(). */
CUresult sim_free(CUdeviceptr address);

uint64_t sim_now(void);

/* Is it that of a managed variable? */
bool sim_is_managed_variable(const struct sim_context *context, uintptr_t address);

/* Another name for a function of the same file. */
#define SIM_SYNONYM(name, function) extern __typeof__(function) name SIM_EXPORT __attribute__((alias(#function)))

#endif
