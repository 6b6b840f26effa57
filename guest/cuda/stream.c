/* SPDX-License-Identifier: MIT */
/* Streams: made by a post, since all that could be wrong with one is checked here. */
#include "guest.h"

static _Atomic uint64_t stream_ids = 2; /* 1 and 2 are the default streams' */

static int
clamp(int priority, const struct cuda_guest_context *context)
{
    if (priority < context->greatest) /* the smaller, the greater */
        return context->greatest;
    return priority > context->least ? context->least : priority;
}

ENTRY
cuStreamCreateWithPriority(CUstream *handle, unsigned int flags, int priority)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_stream *stream;
    CUresult result = cuda_guest_enter(&self);
    struct cuda_guest_context *context = cuda_guest_current(self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || flags & ~(unsigned)CU_STREAM_NON_BLOCKING)
        return CUDA_ERROR_INVALID_VALUE;
    if (priority != 0)
        result = cuda_guest_priorities(self, context);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_object_create(CUDA_HANDLE_STREAM, sizeof(*stream), context, &stream);
    if (result != CUDA_SUCCESS)
        return result;
    stream->view = cuda_guest_view(self);
    stream->flags = flags;
    stream->priority = priority != 0 ? clamp(priority, context) : 0;
    stream->id = atomic_fetch_add(&stream_ids, 1) + 1;
    if (flags & CU_STREAM_NON_BLOCKING)
        atomic_store(&context->independent, true);
    result = cuda_guest_result(
        cuda_stream_create_on(&cuda_guest.client, self->lane, stream->object.handle, flags, stream->priority));
    if (result == CUDA_SUCCESS)
        *handle = cuda_guest_handle(&stream->object);
    else
        cuda_guest_object_undo(&stream->object);
    return result;
}

ENTRY
cuStreamCreate(CUstream *handle, unsigned int flags)
{
    return cuStreamCreateWithPriority(handle, flags, 0);
}

ENTRY
cuStreamDestroy_v2(CUstream handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_stream *stream;
    CUresult result = cuda_guest_enter(&self);
    uint32_t wire;

    if (result != CUDA_SUCCESS)
        return result;
    stream = cuda_guest_find(handle, CUDA_HANDLE_STREAM);
    if (stream && atomic_load(&stream->view->wire) == 0)
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    stream = cuda_guest_take(handle, CUDA_HANDLE_STREAM);
    if (!stream)
        return CUDA_ERROR_INVALID_HANDLE;
    wire = stream->object.handle;
    cuda_guest_object_free(&stream->object);
    return cuda_guest_result(cuda_stream_destroy_on(&cuda_guest.client, self->lane, wire));
}
ENTRY_ALIAS(cuStreamDestroy, cuStreamDestroy_v2);

/* ---- Waiting and order ----------------------------------------------------------------------- */

ENTRY
cuStreamSynchronize(CUstream stream)
{
    struct cuda_guest_thread *self;
    uint32_t wire;
    CUresult result = cuda_guest_stream_enter(stream, &self, &wire);

    return result == CUDA_SUCCESS ? cuda_guest_wait_stream(self, wire) : result;
}

ENTRY
cuStreamSynchronize_ptsz(CUstream stream)
{
    return cuStreamSynchronize(cuda_guest_per_thread(stream));
}

ENTRY
cuStreamQuery(CUstream stream)
{
    struct cuda_guest_thread *self;
    uint32_t wire;
    CUresult result = cuda_guest_stream_enter(stream, &self, &wire);

    if (result != CUDA_SUCCESS)
        return result;
    return cuda_guest_query_stream(self, wire);
}

ENTRY
cuStreamQuery_ptsz(CUstream stream)
{
    return cuStreamQuery(cuda_guest_per_thread(stream));
}

ENTRY
cuStreamWaitEvent(CUstream stream, CUevent handle, unsigned int flags)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_event *event;
    uint32_t wire;
    CUresult result = cuda_guest_stream_enter(stream, &self, &wire);

    if (result != CUDA_SUCCESS)
        return result;
    event = cuda_guest_find(handle, CUDA_HANDLE_EVENT);
    if (!event)
        return CUDA_ERROR_INVALID_HANDLE;
    if (flags & ~(unsigned)CU_EVENT_WAIT_EXTERNAL)
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_result(
        cuda_stream_wait_event_on(&cuda_guest.client, self->lane, wire, event->object.handle, flags));
}

ENTRY
cuStreamWaitEvent_ptsz(CUstream stream, CUevent event, unsigned int flags)
{
    return cuStreamWaitEvent(cuda_guest_per_thread(stream), event, flags);
}

/* ---- What is kept ---------------------------------------------------------------------------- */

/* For the default streams *@p found is NULL. */
static CUresult
stream_find(CUstream stream, const void *out, struct cuda_guest_thread **self, const struct cuda_guest_stream **found)
{
    CUresult result = cuda_guest_enter(self);

    if (result != CUDA_SUCCESS)
        return result;
    *found = NULL;
    if ((uintptr_t)stream > CUDA_GUEST_WIRE_PER_THREAD) {
        *found = cuda_guest_find(stream, CUDA_HANDLE_STREAM);
        if (!*found)
            return CUDA_ERROR_INVALID_HANDLE;
    }
    return out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

ENTRY
cuStreamGetFlags(CUstream stream, unsigned int *flags)
{
    struct cuda_guest_thread *self;
    const struct cuda_guest_stream *found;
    CUresult result = stream_find(stream, flags, &self, &found);

    if (result == CUDA_SUCCESS)
        *flags = found ? found->flags : 0;
    return result;
}

ENTRY
cuStreamGetFlags_ptsz(CUstream stream, unsigned int *flags)
{
    return cuStreamGetFlags(cuda_guest_per_thread(stream), flags);
}

ENTRY
cuStreamGetPriority(CUstream stream, int *priority)
{
    struct cuda_guest_thread *self;
    const struct cuda_guest_stream *found;
    CUresult result = stream_find(stream, priority, &self, &found);

    if (result == CUDA_SUCCESS)
        *priority = found ? found->priority : 0;
    return result;
}

ENTRY
cuStreamGetPriority_ptsz(CUstream stream, int *priority)
{
    return cuStreamGetPriority(cuda_guest_per_thread(stream), priority);
}

ENTRY
cuStreamGetId(CUstream stream, unsigned long long *id)
{
    struct cuda_guest_thread *self;
    const struct cuda_guest_stream *found;
    CUresult result = stream_find(stream, id, &self, &found);

    if (result == CUDA_SUCCESS)
        *id = found ? found->id : stream == CU_STREAM_PER_THREAD ? 2 : 1;
    return result;
}

ENTRY
cuStreamGetId_ptsz(CUstream stream, unsigned long long *id)
{
    return cuStreamGetId(cuda_guest_per_thread(stream), id);
}
