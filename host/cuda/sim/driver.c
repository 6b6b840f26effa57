/* SPDX-License-Identifier: MIT */
/* The driver's state, its lock, handles and current contexts; see driver.h. */
#include "graph.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_STACK 64

struct sim_driver sim_driver;

static pthread_mutex_t driver_lock = PTHREAD_MUTEX_INITIALIZER;
static bool initialised;
static bool forked; /* a child cannot go on with its parent's device */
static struct ptx_map objects;

/* The id tells a context from another that took its place in memory. */
static _Thread_local struct {
    struct sim_context *context;
    unsigned long long id;
} stack[MAX_STACK];
static _Thread_local unsigned int stack_depth;

uint64_t
sim_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
lock(void)
{
    pthread_mutex_lock(&driver_lock);
}

static void
unlock(void)
{
    pthread_mutex_unlock(&driver_lock);
}

static void
before_fork(void)
{
    pthread_mutex_lock(&driver_lock);
}

static void
after_fork(void)
{
    pthread_mutex_unlock(&driver_lock);
}

static void
in_child(void)
{
    forked = initialised;
    pthread_mutex_unlock(&driver_lock);
}

static unsigned long
setting(const char *name, unsigned long otherwise, unsigned long least, unsigned long most)
{
    const char *text = getenv(name);
    unsigned long value;

    if (!text || !*text)
        return otherwise;
    value = strtoul(text, NULL, 10);
    return value < least ? least : value > most ? most : value;
}

static CUresult
start(void)
{
    sim_driver.next_id = 1;
    sim_driver.memory = sim_memory_create((size_t)setting("GPUVCHAN_SIM_MEMORY_MIB", 1024, 1, 32768) << 20);
    if (!sim_driver.memory)
        return CUDA_ERROR_OUT_OF_MEMORY;
    initialised = pthread_atfork(before_fork, after_fork, in_child) == 0;
    return initialised ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

SIM_EXPORT CUresult
cuInit(unsigned int flags)
{
    CUresult result = CUDA_SUCCESS;

    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    lock();
    if (forked) {
        result = CUDA_ERROR_NOT_INITIALIZED;
    } else if (!initialised) {
        sim_driver.device_count = (int)setting("GPUVCHAN_SIM_DEVICES", 1, 0, SIM_MAX_DEVICES);
        result = sim_driver.device_count ? start() : CUDA_ERROR_NO_DEVICE;
    }
    unlock();
    return result;
}

CUresult
sim_begin(void)
{
    lock();
    if (initialised && !forked)
        return CUDA_SUCCESS;
    unlock();
    return CUDA_ERROR_NOT_INITIALIZED;
}

CUresult
sim_end(CUresult result)
{
    unlock();
    return result;
}

CUresult
sim_enter_any(struct sim_context **context)
{
    CUresult result = sim_begin();

    if (result)
        return result;
    *context = sim_current();
    if (*context)
        return CUDA_SUCCESS;
    return sim_end(stack_depth && stack[stack_depth - 1].context ? CUDA_ERROR_CONTEXT_IS_DESTROYED
                                                                 : CUDA_ERROR_INVALID_CONTEXT);
}

CUresult
sim_enter(struct sim_context **context)
{
    CUresult result = sim_enter_any(context);

    if (!result && (*context)->error)
        return sim_end((*context)->error);
    return result;
}

/* Objects. */

bool
sim_object_add(struct object *object, enum object_kind kind, struct sim_context *context)
{
    if (!ptx_map_put(&objects, (uintptr_t)object, kind))
        return false;
    object->kind = kind;
    object->context = context;
    if (context && &context->object != object) {
        object->next = context->objects;
        if (object->next)
            object->next->link = &object->next;
        object->link = &context->objects;
        context->objects = object;
    }
    return true;
}

void
sim_object_remove(struct object *object)
{
    if (!object->kind)
        return;
    /* kind 0 stays in the table: places there are never given back */
    ptx_map_put(&objects, (uintptr_t)object, 0);
    object->kind = 0;
    if (object->link) {
        *object->link = object->next;
        if (object->next)
            object->next->link = object->link;
        object->link = NULL;
    }
}

void *
sim_object_find(const void *handle, enum object_kind kind)
{
    if (!handle || ptx_map_get(&objects, (uintptr_t)handle) != (uint32_t)kind)
        return NULL;
    return (void *)(uintptr_t)handle;
}

CUresult
sim_stream_check(CUstream stream)
{
    const struct sim_stream *found;

    if (!stream || stream == CU_STREAM_LEGACY)
        return sim_capture_implicit() ? CUDA_ERROR_STREAM_CAPTURE_IMPLICIT : CUDA_SUCCESS;
    if (stream == CU_STREAM_PER_THREAD)
        return CUDA_SUCCESS;
    found = sim_object_find(stream, OBJECT_STREAM);
    if (!found)
        return CUDA_ERROR_INVALID_HANDLE;
    return found->view ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

/* Contexts. */

struct sim_context *
sim_view(void)
{
    struct sim_context *context;

    if (!stack_depth)
        return NULL;
    context = sim_object_find(stack[stack_depth - 1].context, OBJECT_CONTEXT);
    return context && context->id == stack[stack_depth - 1].id ? context : NULL;
}

struct sim_context *
sim_current(void)
{
    struct sim_context *view = sim_view();

    return view ? view->root : NULL;
}

CUresult
sim_push(struct sim_context *context)
{
    if (stack_depth == MAX_STACK)
        return CUDA_ERROR_OUT_OF_MEMORY;
    stack[stack_depth].context = context;
    stack[stack_depth++].id = context ? context->id : 0;
    return CUDA_SUCCESS;
}

CUresult
sim_pop(struct sim_context **context)
{
    if (!stack_depth)
        return CUDA_ERROR_INVALID_CONTEXT;
    *context = stack[--stack_depth].context;
    return CUDA_SUCCESS;
}

CUresult
sim_set_current(struct sim_context *context)
{
    if (stack_depth)
        stack_depth--;
    return context ? sim_push(context) : CUDA_SUCCESS;
}

CUresult
sim_context_create(int device, unsigned int flags, struct sim_context **context_p)
{
    struct sim_context *context = calloc(1, sizeof *context);

    if (!context || !sim_object_add(&context->object, OBJECT_CONTEXT, context)) {
        free(context);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    context->root = context;
    context->units = sim_units(device);
    context->id = sim_driver.next_id++;
    context->device = device;
    context->flags = flags;
    context->api_version = 3020;
    context->limits[CU_LIMIT_STACK_SIZE] = 1024;
    context->limits[CU_LIMIT_PRINTF_FIFO_SIZE] = 1 << 20;
    context->limits[CU_LIMIT_MALLOC_HEAP_SIZE] = 8 << 20;
    context->limits[CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT] = 2048;
    context->limits[CU_LIMIT_MAX_L2_FETCH_GRANULARITY] = 64;
    *context_p = context;
    return CUDA_SUCCESS;
}

static void
object_destroy(struct object *object)
{
    if (object->kind == OBJECT_MODULE) {
        sim_module_destroy((struct sim_module *)object);
        return;
    }
    if (object->kind == OBJECT_ARRAY && ((struct sim_array *)object)->desc.Flags & SIM_LATER_FLAGS)
        sim_sparse_end((struct sim_array *)object);
    sim_object_remove(object);
    free(object->payload);
    free(object);
}

static struct object *
next_to_destroy(struct sim_context *context)
{
    struct object *object;

    /* functions go with their modules */
    for (object = context->objects; object; object = object->next)
        if (object->kind != OBJECT_FUNCTION)
            return object;
    return NULL;
}

void
sim_context_destroy(struct sim_context *context)
{
    struct object *object;

    while ((object = next_to_destroy(context)))
        object_destroy(object);
    sim_memory_free_context(sim_driver.memory, context);
    sim_object_remove(&context->object);
    free(context);
}
