/* SPDX-License-Identifier: MIT */
/* Objects that the application names by handle, and the list of those in each context. */
#include <stdlib.h>

#include "guest.h"

static pthread_mutex_t objects_lock = PTHREAD_MUTEX_INITIALIZER;

void
cuda_guest_objects_lock(void)
{
    pthread_mutex_lock(&objects_lock);
}

void
cuda_guest_objects_unlock(void)
{
    pthread_mutex_unlock(&objects_lock);
}

static void
link_object(struct cuda_guest_object *object)
{
    cuda_guest_objects_lock();
    object->older = object->context->newest;
    if (object->older)
        object->older->newer = object;
    object->context->newest = object;
    cuda_guest_objects_unlock();
}

static void
unlink_object(struct cuda_guest_object *object)
{
    cuda_guest_objects_lock();
    if (object->newer)
        object->newer->older = object->older;
    else
        object->context->newest = object->older;
    if (object->older)
        object->older->newer = object->newer;
    cuda_guest_objects_unlock();
}

/* Contexts are in no context, nor is what belongs to a device or the process; functions are in the lists of what they are
 * part of. */
static bool
is_listed(const struct cuda_guest_object *object)
{
    return object->context && object->kind != CUDA_HANDLE_FUNCTION;
}

CUresult
cuda_guest_object_create(uint16_t kind, size_t bytes, struct cuda_guest_context *context, void *out)
{
    struct cuda_guest_object *object = calloc(1, bytes);

    if (!object)
        return CUDA_ERROR_OUT_OF_MEMORY;
    object->kind = kind;
    object->context = context;
    if (gpuvchan_handles_assign(cuda_guest.handles, kind, object, &object->handle) != 0) {
        free(object);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (is_listed(object))
        link_object(object);
    *(void **)out = object;
    return CUDA_SUCCESS;
}

void
cuda_guest_object_free(struct cuda_guest_object *object)
{
    if (is_listed(object))
        unlink_object(object);
    free(object);
}

void
cuda_guest_object_undo(struct cuda_guest_object *object)
{
    gpuvchan_handles_remove(cuda_guest.handles, object->handle, object->kind);
    cuda_guest_object_free(object);
}

struct cuda_guest_object *
cuda_guest_object_take_newest(struct cuda_guest_context *context)
{
    struct cuda_guest_object *object;

    cuda_guest_objects_lock();
    /* One that cannot be taken is being ended by another thread, which goes on to take it out of the list. */
    for (object = context->newest; object; object = object->older)
        if (gpuvchan_handles_remove(cuda_guest.handles, object->handle, object->kind))
            break;
    cuda_guest_objects_unlock();
    return object;
}
