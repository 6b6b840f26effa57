/* SPDX-License-Identifier: MIT */
/*
 * Threads: each has a stack of current contexts, and a lane that is told when the current one changes.
 */
#include <errno.h>
#include <stdlib.h>

#include "context.h"

static _Thread_local struct cuda_guest_thread self_state;
static pthread_key_t self_key;
static pthread_once_t self_once = PTHREAD_ONCE_INIT;

/* ---- Threads --------------------------------------------------------------------------------- */

static void
thread_finish(void *thread)
{
    struct cuda_guest_thread *self = thread;

    cuda_guest_bulk_return(self->bulk);
    free(self->stack);
    free(self->listed);
    *self = (struct cuda_guest_thread){0};
}

static void
make_key(void)
{
    pthread_key_create(&self_key, thread_finish);
}

struct cuda_guest_thread *
cuda_guest_self(void)
{
    if (__builtin_expect(!self_state.known, 0)) {
        pthread_once(&self_once, make_key);
        self_state.known = pthread_setspecific(self_key, &self_state) == 0;
    }
    return &self_state;
}

struct cuda_guest_context *
cuda_guest_view(const struct cuda_guest_thread *self)
{
    return self->depth != 0 ? self->stack[self->depth - 1] : NULL;
}

struct cuda_guest_context *
cuda_guest_current(const struct cuda_guest_thread *self)
{
    return self->depth != 0 ? self->stack[self->depth - 1]->root : NULL;
}

static int
set_current(struct gpuvchan_lane *lane, uint32_t wire)
{
    if (wire != 0 && gpuvchan_handles_lookup(cuda_guest.handles, wire, CUDA_HANDLE_GREEN))
        return cuda_green_set_current_on(&cuda_guest.client, lane, wire);
    return cuda_ctx_set_current_on(&cuda_guest.client, lane, wire);
}

CUresult
cuda_guest_tell(struct cuda_guest_thread *self, uint32_t wire)
{
    struct gpuvchan_lane *lane = gpuvchan_lane_current(cuda_guest.channel);
    CUresult result;

    if (!lane)
        return cuda_guest_result(
            gpuvchan_channel_error(cuda_guest.channel) != 0 ? gpuvchan_channel_error(cuda_guest.channel) : -EAGAIN);
    if (lane != self->lane) {
        self->told = 0; /* as the host has it for a lane that begins, or begins again */
        self->told_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
        gpuvchan_lane_set_synchronous(lane, self->synchronous);
    }
    self->lane = lane;
    if (cuda_guest_capturing() || self->synchronous) {
        result = cuda_guest_capture_follow(self);
        if (result != CUDA_SUCCESS)
            return result;
    }
    if (self->told == wire)
        return CUDA_SUCCESS;
    result = cuda_guest_result(set_current(lane, wire));
    if (result == CUDA_SUCCESS)
        self->told = wire;
    return result;
}

CUresult
cuda_guest_agree(struct cuda_guest_thread *self)
{
    struct cuda_guest_context *context = cuda_guest_view(self);
    CUresult result = cuda_guest_ready();
    uint32_t wire;

    if (result != CUDA_SUCCESS)
        return result;
    if (self->serves)
        return CUDA_ERROR_NOT_PERMITTED;
    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    wire = atomic_load(&context->wire);
    if (wire == 0)
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    if (atomic_load(&cuda_guest.fault) != 0)
        return (CUresult)atomic_load(&cuda_guest.fault);
    return cuda_guest_tell(self, wire);
}

CUresult
cuda_guest_enter_outside(struct cuda_guest_thread **self)
{
    CUresult result = cuda_guest_ready();

    *self = cuda_guest_self();
    if (result == CUDA_SUCCESS)
        result = (CUresult)atomic_load(&cuda_guest.fault);
    if (result == CUDA_SUCCESS) {
        uint32_t told = (*self)->lane == gpuvchan_lane_current(cuda_guest.channel) ? (*self)->told : 0;

        result = cuda_guest_tell(*self, told);
    }
    return result;
}

/* ---- The stack ------------------------------------------------------------------------------- */

CUresult
cuda_guest_push(struct cuda_guest_thread *self, struct cuda_guest_context *context)
{
    if (self->depth == self->room) {
        uint32_t room = self->room ? self->room * 2 : 8;
        void *stack = realloc(self->stack, room * sizeof(*self->stack));

        if (!stack)
            return CUDA_ERROR_OUT_OF_MEMORY;
        self->stack = stack;
        self->room = room;
    }
    self->stack[self->depth++] = context;
    return CUDA_SUCCESS;
}

struct cuda_guest_context *
cuda_guest_context_find(CUcontext context)
{
    return cuda_guest_find(context, CUDA_HANDLE_CONTEXT);
}

ENTRY
cuCtxPushCurrent_v2(CUcontext handle)
{
    CUresult result = cuda_guest_ready();
    struct cuda_guest_context *context;

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    context = cuda_guest_context_find(handle);
    return context ? cuda_guest_push(cuda_guest_self(), context) : CUDA_ERROR_INVALID_CONTEXT;
}
ENTRY_ALIAS(cuCtxPushCurrent, cuCtxPushCurrent_v2);

ENTRY
cuCtxPopCurrent_v2(CUcontext *handle)
{
    CUresult result = cuda_guest_ready();
    struct cuda_guest_thread *self = cuda_guest_self();

    if (result != CUDA_SUCCESS)
        return result;
    if (self->depth == 0)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (handle)
        *handle = cuda_guest_context_handle(cuda_guest_view(self));
    self->depth--;
    return CUDA_SUCCESS;
}
ENTRY_ALIAS(cuCtxPopCurrent, cuCtxPopCurrent_v2);

ENTRY
cuCtxSetCurrent(CUcontext handle)
{
    CUresult result = cuda_guest_ready();
    struct cuda_guest_thread *self = cuda_guest_self();
    struct cuda_guest_context *context;

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle) {
        self->depth -= self->depth != 0;
        return CUDA_SUCCESS;
    }
    context = cuda_guest_context_find(handle);
    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (self->depth == 0)
        return cuda_guest_push(self, context);
    self->stack[self->depth - 1] = context;
    return CUDA_SUCCESS;
}

ENTRY
cuCtxGetCurrent(CUcontext *handle)
{
    CUresult result = cuda_guest_ready();

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    *handle = cuda_guest_context_handle(cuda_guest_view(cuda_guest_self()));
    return CUDA_SUCCESS;
}
