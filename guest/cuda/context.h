/* SPDX-License-Identifier: MIT */
/* What the files about contexts share. */
#ifndef CUDA_GUEST_CONTEXT_H
#define CUDA_GUEST_CONTEXT_H

#include "device.h"

/**
 * Contexts' beginnings and ends, and the users of primary ones. Held during the calls to the host that begin
 * and end them: nobody else may do so meanwhile.
 */
extern pthread_mutex_t cuda_guest_contexts_lock;

static inline CUcontext
cuda_guest_context_handle(const struct cuda_guest_context *context)
{
    return context ? cuda_guest_handle(&context->object) : NULL;
}

/* thread.c */
/** Has the thread's lane act in the context that the host knows as @p wire; 0: in none. */
CUresult cuda_guest_tell(struct cuda_guest_thread *self, uint32_t wire);
/** For calls that need a lane and no context. */
CUresult cuda_guest_enter_outside(struct cuda_guest_thread **self);
CUresult cuda_guest_push(struct cuda_guest_thread *self, struct cuda_guest_context *context);

/* primary.c */
/** The device's primary context, which may have no life. */
CUresult cuda_guest_primary_handle(CUcontext *handle, CUdevice device);

/* context.c */
/** A life of the context has ended; without the contexts' lock. */
void cuda_guest_context_ended(struct cuda_guest_context *context);
/** A context for the application, which the host does not know yet. */
CUresult cuda_guest_context_create(int device, bool primary, struct cuda_guest_context **out);
/** The host has made it, as @p wire. */
void cuda_guest_context_begin(struct cuda_guest_context *context, uint32_t wire);
/** What the host knows a context of the application by; of a green one its primary context. */
CUresult cuda_guest_context_wire(CUcontext handle, uint32_t *wire);
/** Ends it on the host and drops what was in it. With the contexts' lock. */
CUresult cuda_guest_context_end(struct cuda_guest_thread *self, struct cuda_guest_context *context);

/* primary.c */
/** The device has a primary context, which has one user more. With the contexts' lock. */
CUresult cuda_guest_primary_retain(struct cuda_guest_thread *self, struct cuda_guest_device *device, CUdevice number);
/** One less; *@p ended: it was the last one, and cuda_guest_context_ended() is to follow. With the contexts' lock. */
CUresult cuda_guest_primary_release(struct cuda_guest_device *device, bool *ended);

/* green.c */
/** A primary context has ended, and all green contexts of it have. With the contexts' lock. */
void cuda_guest_greens_forget(struct cuda_guest_context *root);

#endif
