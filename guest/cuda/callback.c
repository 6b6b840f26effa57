/* SPDX-License-Identifier: MIT */
/*
 * Functions of the application that streams and graphs call, and its user objects.
 *
 * Design notes
 *
 * The host knows a function by a token. When the stream gets there it asks for it, in the answer to a call that a
 * thread of this library waits in; that thread runs the function and says so with its next call. The thread is
 * started when the first token is made, and its records wait for none of other threads, which may
 * themselves be waiting for what the function lets go on. CUDA forbids such functions to use CUDA, so one thread
 * is enough.
 *
 * A token lives until the host says that it was the last time, or that no graph has it any more.
 */
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "graph.h"

enum task_kind {
    TASK_FUNCTION,
    TASK_CALLBACK, /* of cuStreamAddCallback() */
    TASK_COPY,     /* of pageable memory */
    TASK_RANGE,    /* memory of a graph, which is known until the graph is gone */
    TASK_USER,     /* a user object */
};

struct task {
    uint32_t token;
    enum task_kind kind;
    CUhostFn function;
    CUstreamCallback callback;
    CUstream stream;
    void *data;
    struct cuda_guest_area to, from;
    struct cuda_guest_extent extent;
    struct cuda_guest_graph_buffer *buffer; /* or NULL */
    uint64_t start;                         /* of a range; 0: not entered yet */
};

enum {
    RUN = 1,
    LAST = 2
}; /* as the host's callback.c has them */

#define KIND_TASK 1u
#define KIND_USER 18u

static pthread_mutex_t tasks_lock = PTHREAD_MUTEX_INITIALIZER;
static struct gpuvchan_handles *tasks; /* tokens are its handles */
static bool serving;

static void user_finish(struct task *task);

/* ---- Running --------------------------------------------------------------------------------- */

static void
copy_box(const struct task *task)
{
    const struct cuda_guest_extent *extent = &task->extent;

    for (size_t plane = 0; plane < extent->planes; plane++)
        for (size_t row = 0; row < extent->rows; row++)
            memmove(task->to.at + plane * task->to.plane + row * task->to.pitch,
                    task->from.at + plane * task->from.plane + row * task->from.pitch, extent->width);
}

static void
run(const struct task *task, CUresult status)
{
    switch (task->kind) {
    case TASK_FUNCTION:
        task->function(task->data);
        break;
    case TASK_CALLBACK:
        task->callback(task->stream, status, task->data);
        break;
    case TASK_COPY:
        copy_box(task);
        break;
    default:
        break;
    }
}

static void
task_free(struct task *task)
{
    if (task->kind == TASK_RANGE && task->start)
        cuda_guest_range_leave(task->start);
    if (task->kind == TASK_USER)
        user_finish(task);
    if (task->buffer)
        cuda_guest_graph_buffer_return(task->buffer);
    free(task);
}

/* What the thread tells who starts it. */
struct start {
    sem_t known;
    bool good; /* it has a lane */
};

static void *
serve(void *argument)
{
    struct start *start = argument;
    struct cuda_guest_thread *self = cuda_guest_self();
    struct gpuvchan_lane *lane = gpuvchan_lane_current(cuda_guest.channel);
    uint64_t number = 0;
    uint32_t token, flags;
    int32_t status;

    self->serves = true;
    start->good = lane != NULL;
    sem_post(&start->known);
    if (!lane)
        return NULL;
    gpuvchan_lane_set_unordered(lane);
    while (cuda_host_function_next_on(&cuda_guest.client, lane, number, &number, &token, &flags, &status) == 0) {
        struct task *task = gpuvchan_handles_lookup(tasks, token, KIND_TASK);

        if (task && flags & RUN)
            run(task, (CUresult)status);
        if (!(flags & RUN))
            number = 0;
        if (task && flags & LAST && gpuvchan_handles_remove(tasks, token, KIND_TASK))
            task_free(task);
    }
    return NULL;
}

/* Signals are for the application's own threads. */
static bool
start_thread(void)
{
    struct start start = {.good = false};
    sigset_t all, before;
    pthread_t thread;
    bool started;

    sem_init(&start.known, 0, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    started = pthread_create(&thread, NULL, serve, &start) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started) {
        pthread_detach(thread);
        while (sem_wait(&start.known) != 0)
            ;
    }
    sem_destroy(&start.known);
    return started && start.good;
}

/* ---- Tokens ---------------------------------------------------------------------------------- */

static CUresult
task_begin(struct task *task, uint32_t *token)
{
    bool ready;

    pthread_mutex_lock(&tasks_lock);
    ready = tasks || gpuvchan_handles_create(&tasks) == 0;
    if (ready && !serving)
        serving = ready = start_thread();
    pthread_mutex_unlock(&tasks_lock);
    if (!ready || gpuvchan_handles_assign(tasks, KIND_TASK, task, &task->token) != 0) {
        free(task);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *token = task->token;
    return CUDA_SUCCESS;
}

static CUresult
task_make(const struct task *as, uint32_t *token)
{
    struct task *task = malloc(sizeof(*task));

    if (!task)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *task = *as;
    return task_begin(task, token);
}

CUresult
cuda_guest_task_function(CUhostFn function, void *data, uint32_t *token)
{
    return task_make(&(struct task){.kind = TASK_FUNCTION, .function = function, .data = data}, token);
}

bool
cuda_guest_task_find(uint32_t token, CUhostFn *function, void **data)
{
    const struct task *task = tasks ? gpuvchan_handles_lookup(tasks, token, KIND_TASK) : NULL;

    if (!task || task->kind != TASK_FUNCTION)
        return false;
    *function = task->function;
    *data = task->data;
    return true;
}

CUresult
cuda_guest_task_range(uint32_t *token)
{
    return task_make(&(struct task){.kind = TASK_RANGE}, token);
}

CUresult
cuda_guest_task_range_begin(uint32_t token, const struct cuda_guest_range *range)
{
    struct task *task = gpuvchan_handles_lookup(tasks, token, KIND_TASK);

    if (task)
        task->start = range->start;
    return cuda_guest_range_join(range);
}

CUresult
cuda_guest_task_copy(const struct cuda_guest_area *to, const struct cuda_guest_area *from,
                     const struct cuda_guest_extent *extent, uint32_t *token)
{
    return task_make(&(struct task){.kind = TASK_COPY, .to = *to, .from = *from, .extent = *extent}, token);
}

CUresult
cuda_guest_task_stage(struct cuda_guest_thread *self, const struct cuda_guest_area *memory, bool in,
                      const struct cuda_guest_extent *extent, uint32_t *token, uint64_t *offset)
{
    struct cuda_guest_area packed = {.pitch = extent->width, .plane = extent->width * extent->rows};
    struct task task = {.kind = TASK_COPY, .extent = *extent};
    CUresult result = cuda_guest_graph_buffer_take(self, packed.plane * extent->planes, &task.buffer);
    struct gpuvchan_buffer *buffer;

    if (result != CUDA_SUCCESS)
        return result;
    buffer = cuda_guest_graph_buffer_memory(task.buffer);
    packed.at = gpuvchan_buffer_data(buffer);
    *offset = gpuvchan_buffer_offset(buffer);
    task.to = in ? packed : *memory;
    task.from = in ? *memory : packed;
    result = task_make(&task, token);
    if (result != CUDA_SUCCESS)
        cuda_guest_graph_buffer_return(task.buffer);
    return result;
}

void
cuda_guest_task_drop(uint32_t token)
{
    struct task *task = gpuvchan_handles_remove(tasks, token, KIND_TASK);

    if (task)
        task_free(task);
}

/* A post that does not even get into the ring: the channel has ended, and so has the thread. */
CUresult
cuda_guest_task_post(struct cuda_guest_thread *self, uint32_t token, uint32_t stream)
{
    return cuda_guest_result(cuda_host_function_launch_on(&cuda_guest.client, self->lane, stream, token));
}

/* ---- Functions in streams -------------------------------------------------------------------- */

static CUresult
launch(CUstream stream, const struct task *as, bool callback)
{
    struct cuda_guest_thread *self;
    uint32_t wire, token;
    CUresult result = cuda_guest_enter(&self);

    if (result == CUDA_SUCCESS)
        result = cuda_guest_stream_wire(self, stream, &wire, NULL);
    if (result != CUDA_SUCCESS)
        return result;
    if (!as->function && !as->callback)
        return CUDA_ERROR_INVALID_VALUE;
    result = task_make(as, &token);
    if (result != CUDA_SUCCESS)
        return result;
    if (!callback)
        return cuda_guest_task_post(self, token, wire);
    return cuda_guest_result(cuda_host_function_callback_on(&cuda_guest.client, self->lane, wire, token));
}

ENTRY
cuLaunchHostFunc(CUstream stream, CUhostFn function, void *data)
{
    return launch(stream, &(struct task){.kind = TASK_FUNCTION, .function = function, .data = data}, false);
}

ENTRY
cuLaunchHostFunc_ptsz(CUstream stream, CUhostFn function, void *data)
{
    return cuLaunchHostFunc(cuda_guest_per_thread(stream), function, data);
}

ENTRY
cuStreamAddCallback(CUstream stream, CUstreamCallback callback, void *data, unsigned int flags)
{
    if (flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    return launch(stream, &(struct task){.kind = TASK_CALLBACK, .callback = callback, .stream = stream, .data = data},
                  true);
}

ENTRY
cuStreamAddCallback_ptsz(CUstream stream, CUstreamCallback callback, void *data, unsigned int flags)
{
    return cuStreamAddCallback(cuda_guest_per_thread(stream), callback, data, flags);
}

/* ---- User objects ---------------------------------------------------------------------------- */

/*
 * The application's own references are counted here. The host has an object, with one reference that stands for
 * all of them, from when a graph first retains it; its end is then the object's.
 */
struct user {
    uint32_t handle;
    uint32_t wire; /* the host's number, 0: no graph ever had it */
    uint64_t count;
    CUhostFn destroy;
    void *data;
};

static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;

static void
user_end(struct user *user)
{
    gpuvchan_handles_remove(cuda_guest.handles, user->handle, KIND_USER);
    user->destroy(user->data);
    free(user);
}

/* No graph has it any more, nor has the application. */
static void
user_finish(struct task *task)
{
    user_end(task->data);
}

/* Found with the lock, which stays. */
static struct user *
user_find(CUuserObject object)
{
    struct user *user;

    pthread_mutex_lock(&users_lock);
    user = cuda_guest_find(object, KIND_USER);
    if (!user)
        pthread_mutex_unlock(&users_lock);
    return user;
}

ENTRY
cuUserObjectCreate(CUuserObject *object, void *data, CUhostFn destroy, unsigned int count, unsigned int flags)
{
    struct user *user;
    CUresult result = cuda_guest_ready();

    if (result != CUDA_SUCCESS)
        return result;
    if (!object || !destroy || count == 0 || count > INT32_MAX || flags != CU_USER_OBJECT_NO_DESTRUCTOR_SYNC)
        return CUDA_ERROR_INVALID_VALUE;
    user = calloc(1, sizeof(*user));
    if (!user || gpuvchan_handles_assign(cuda_guest.handles, KIND_USER, user, &user->handle) != 0) {
        free(user);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    user->count = count;
    user->destroy = destroy;
    user->data = data;
    *object = (CUuserObject)(uintptr_t)(HANDLE_TAG << 32 | user->handle);
    return CUDA_SUCCESS;
}

ENTRY
cuUserObjectRetain(CUuserObject object, unsigned int count)
{
    struct user *user;
    CUresult result = cuda_guest_ready();

    if (result != CUDA_SUCCESS)
        return result;
    user = user_find(object);
    if (!user)
        return CUDA_ERROR_INVALID_VALUE;
    if (count != 0 && count <= INT32_MAX && user->count != 0)
        user->count += count;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_unlock(&users_lock);
    return result;
}

/* With the lock, which it gives back. */
static CUresult
user_release(struct cuda_guest_thread *self, struct user *user, unsigned count)
{
    uint32_t wire = user->wire;

    if (count == 0 || count > user->count) {
        pthread_mutex_unlock(&users_lock);
        return CUDA_ERROR_INVALID_VALUE;
    }
    user->count -= count;
    if (user->count != 0) {
        pthread_mutex_unlock(&users_lock);
        return CUDA_SUCCESS;
    }
    pthread_mutex_unlock(&users_lock);
    if (wire)
        return cuda_guest_result(cuda_user_object_release_on(&cuda_guest.client, self->lane, wire));
    user_end(user);
    return CUDA_SUCCESS;
}

ENTRY
cuUserObjectRelease(CUuserObject object, unsigned int count)
{
    struct cuda_guest_thread *self;
    struct user *user;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    user = user_find(object);
    return user ? user_release(self, user, count) : CUDA_ERROR_INVALID_VALUE;
}

static CUresult
user_send(struct cuda_guest_thread *self, struct user *user)
{
    uint32_t token;
    CUresult result;

    if (user->wire)
        return CUDA_SUCCESS;
    result = task_make(&(struct task){.kind = TASK_USER, .data = user}, &token);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_user_object_create_on(&cuda_guest.client, self->lane, token, &user->wire));
    if (result != CUDA_SUCCESS)
        free(gpuvchan_handles_remove(tasks, token, KIND_TASK));
    return result;
}

ENTRY
cuGraphRetainUserObject(CUgraph handle, CUuserObject object, unsigned int count, unsigned int flags)
{
    uint32_t graph = cuda_guest_graph_number(handle);
    struct cuda_guest_thread *self;
    struct user *user;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    user = graph && count != 0 && count <= INT32_MAX && !(flags & ~(unsigned)CU_GRAPH_USER_OBJECT_MOVE)
               ? user_find(object)
               : NULL;
    if (!user)
        return CUDA_ERROR_INVALID_VALUE;
    result = flags & CU_GRAPH_USER_OBJECT_MOVE && count > user->count ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    if (result == CUDA_SUCCESS)
        result = user_send(self, user);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(cuda_graph_keep_on(&cuda_guest.client, self->lane, graph, user->wire, count));
    if (result == CUDA_SUCCESS && flags & CU_GRAPH_USER_OBJECT_MOVE)
        return user_release(self, user, count);
    pthread_mutex_unlock(&users_lock);
    return result;
}

ENTRY
cuGraphReleaseUserObject(CUgraph handle, CUuserObject object, unsigned int count)
{
    uint32_t graph = cuda_guest_graph_number(handle), wire;
    struct cuda_guest_thread *self;
    struct user *user;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    user = graph ? user_find(object) : NULL;
    if (!user)
        return CUDA_ERROR_INVALID_VALUE;
    wire = user->wire;
    pthread_mutex_unlock(&users_lock);
    if (!wire)
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_result(cuda_graph_let_go_on(&cuda_guest.client, self->lane, graph, wire, count));
}
