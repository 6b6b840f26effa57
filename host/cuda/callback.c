/* SPDX-License-Identifier: MIT */
/*
 * The guest's functions: those that streams and graphs call, and the destroyers of its user objects.
 *
 * Design notes
 *
 * The driver calls us in a thread of its own, and the stream goes on when we return. So that thread queues the
 * guest's token and sleeps until the guest has run the function. The guest has a thread that waits in
 * host_function_next() for what is due, and says there what it has done; its lane waits for no other,
 * since lanes may be blocked until that function has run.
 *
 * A function of a stream is called once and forgotten. One of a graph lives as long as the graph, its clones
 * and what is made executable of them: the driver keeps count of user objects in just that way, so
 * each such function is in one, whose end tells the guest that its token is free. An executable graph alone
 * cannot be given one: what is set there stays until the guest process ends.
 *
 * When the guest is gone nobody waits any more: the driver's calls return at once.
 */
#include "suspend.h"

#include <errno.h>
#include <stdlib.h>

enum {
    RUN = 1, /* call it and say so */
    LAST = 2 /* it will not be asked for again */
};

/* On the stack of the thread that waits for it, or allocated if nobody waits. */
struct due {
    struct due *next;
    uint64_t number;
    uint32_t token, flags;
    CUresult status;
    bool waits, done;
};

struct cuda_callbacks {
    pthread_mutex_t lock;
    pthread_cond_t due, done;
    pthread_mutex_t memory_lock; /* for the ranges of graphs' memory; before the other one */
    struct due *first, **end;    /* not told yet */
    struct due *running;
    struct function *forever; /* those of executable graphs */
    uint64_t numbers;
    uint32_t made; /* functions and user objects that the driver has */
    bool over;     /* the guest is gone */
    bool paused;   /* who waits for the next one is to come back */
    bool closed;   /* and so is the host that this was of */
};

/* What the driver hands back to us. */
struct function {
    struct cuda_callbacks *callbacks;
    uint32_t token;
    CUuserObject keeper;   /* of a graph's */
    struct function *next; /* of an executable graph's */
};

struct user {
    struct function is;
    struct cuda_host *host;
    CUuserObject native;
    uint32_t number;
    bool held; /* by the guest itself; with the graphs' lock */
    bool lost; /* while resuming: not held by the guest when all is there again */
};

struct cuda_kept {
    struct cuda_kept *next;
    struct user *user;
    uint32_t count;
};

#define KIND_USER 3u /* in the table of numbers */

/* ---- The queue ------------------------------------------------------------------------------- */

/* With the lock. */
static void
queue(struct cuda_callbacks *callbacks, struct due *due)
{
    due->number = ++callbacks->numbers;
    due->next = NULL;
    *callbacks->end = due;
    callbacks->end = &due->next;
    pthread_cond_signal(&callbacks->due);
}

static void
run(struct cuda_callbacks *callbacks, uint32_t token, uint32_t flags, CUresult status)
{
    struct due due = {.token = token, .flags = RUN | flags, .status = status, .waits = true};

    pthread_mutex_lock(&callbacks->lock);
    if (!callbacks->over)
        queue(callbacks, &due);
    while (!due.done && !callbacks->over)
        pthread_cond_wait(&callbacks->done, &callbacks->lock);
    pthread_mutex_unlock(&callbacks->lock);
}

/* With the lock. */
static void
unmake(struct cuda_callbacks *callbacks)
{
    bool last = --callbacks->made == 0 && callbacks->closed;

    pthread_mutex_unlock(&callbacks->lock);
    if (last)
        free(callbacks);
}

/* The driver has dropped it: tells the guest, @p telling. */
static void
end(struct cuda_callbacks *callbacks, uint32_t token, bool telling)
{
    struct due *due = telling ? calloc(1, sizeof(*due)) : NULL;

    pthread_mutex_lock(&callbacks->lock);
    if (due && !callbacks->over) {
        due->token = token;
        due->flags = LAST;
        queue(callbacks, due);
    } else {
        free(due);
    }
    unmake(callbacks);
}

static void
mark_done(struct cuda_callbacks *callbacks, uint64_t number)
{
    for (struct due **at = &callbacks->running; *at; at = &(*at)->next)
        if ((*at)->number == number) {
            (*at)->done = true;
            *at = (*at)->next;
            pthread_cond_broadcast(&callbacks->done);
            return;
        }
}

static struct due *
take(struct cuda_callbacks *callbacks)
{
    struct due *due = callbacks->first;

    callbacks->first = due->next;
    if (!callbacks->first)
        callbacks->end = &callbacks->first;
    return due;
}

int
cuda_host_host_function_next(struct gpuvchan_request *request, uint64_t done, uint64_t *number, uint32_t *token,
                             uint32_t *flags, int32_t *status)
{
    struct cuda_callbacks *callbacks = cuda_host_of(request)->callbacks;
    struct due *due;

    pthread_mutex_lock(&callbacks->lock);
    if (done)
        mark_done(callbacks, done);
    while (!callbacks->first && !callbacks->over && !callbacks->paused)
        pthread_cond_wait(&callbacks->due, &callbacks->lock);
    if (callbacks->over || !callbacks->first) {
        int result = callbacks->over ? CUDA_ERROR_DEINITIALIZED : -ERESTART;

        pthread_mutex_unlock(&callbacks->lock);
        return result;
    }
    due = take(callbacks);
    *number = due->number;
    *token = due->token;
    *flags = due->flags;
    *status = due->status;
    if (due->waits) {
        due->next = callbacks->running;
        callbacks->running = due;
    } else {
        free(due);
    }
    pthread_mutex_unlock(&callbacks->lock);
    return 0;
}

bool
cuda_callbacks_wait(struct cuda_host *host)
{
    struct cuda_callbacks *callbacks = host->callbacks;
    bool waits;

    pthread_mutex_lock(&callbacks->lock);
    waits = callbacks->running != NULL;
    for (const struct due *due = callbacks->first; due; due = due->next)
        waits |= due->waits;
    pthread_mutex_unlock(&callbacks->lock);
    return waits;
}

int
cuda_save_callbacks(struct cuda_saving *saving)
{
    int error = 0;

    for (const struct due *due = saving->host->callbacks->first; due && error == 0; due = due->next) {
        struct suspend_due item = {.token = due->token};

        error = cuda_save(saving, SUSPEND_DUE, &item, sizeof(item), NULL, 0);
    }
    return error;
}

int
cuda_load_due(struct cuda_resuming *resuming, const struct suspend_due *item)
{
    struct cuda_callbacks *callbacks = resuming->host->callbacks;
    struct due *due = calloc(1, sizeof(*due));

    if (!due)
        return -ENOMEM;
    due->token = item->token;
    due->flags = LAST;
    pthread_mutex_lock(&callbacks->lock);
    queue(callbacks, due);
    pthread_mutex_unlock(&callbacks->lock);
    return 0;
}

int
cuda_callbacks_init(struct cuda_host *host)
{
    struct cuda_callbacks *callbacks = calloc(1, sizeof(*callbacks));

    if (!callbacks)
        return -ENOMEM;
    pthread_mutex_init(&callbacks->lock, NULL);
    pthread_mutex_init(&callbacks->memory_lock, NULL);
    pthread_cond_init(&callbacks->due, NULL);
    pthread_cond_init(&callbacks->done, NULL);
    callbacks->end = &callbacks->first;
    host->callbacks = callbacks;
    return 0;
}

void
cuda_callbacks_pause(struct cuda_host *host, bool on)
{
    struct cuda_callbacks *callbacks = host->callbacks;

    pthread_mutex_lock(&callbacks->lock);
    callbacks->paused = on;
    pthread_cond_broadcast(&callbacks->due);
    pthread_mutex_unlock(&callbacks->lock);
}

void
cuda_callbacks_interrupt(struct cuda_host *host)
{
    struct cuda_callbacks *callbacks = host->callbacks;

    pthread_mutex_lock(&callbacks->lock);
    callbacks->over = true;
    pthread_cond_broadcast(&callbacks->due);
    pthread_cond_broadcast(&callbacks->done);
    pthread_mutex_unlock(&callbacks->lock);
}

/* The driver's own end of what a graph had may come later: then that frees the rest. */
void
cuda_callbacks_finish(struct cuda_host *host)
{
    struct cuda_callbacks *callbacks = host->callbacks;
    struct function *function;

    if (!callbacks)
        return;
    cuda_callbacks_interrupt(host);
    pthread_mutex_lock(&callbacks->memory_lock);
    pthread_mutex_lock(&callbacks->lock);
    while (callbacks->first) {
        struct due *due = take(callbacks);

        if (!due->waits)
            free(due);
    }
    while ((function = callbacks->forever)) { /* the contexts that could call them are gone */
        callbacks->forever = function->next;
        callbacks->made--;
        free(function);
    }
    callbacks->closed = true;
    pthread_mutex_unlock(&callbacks->memory_lock);
    callbacks->made++;
    unmake(callbacks);
}

/* ---- Functions ------------------------------------------------------------------------------- */

static void
run_once(void *data)
{
    struct function *function = data;

    run(function->callbacks, function->token, LAST, CUDA_SUCCESS);
    end(function->callbacks, function->token, false);
    free(function);
}

static void
run_callback(CUstream stream, CUresult status, void *data)
{
    struct function *function = data;

    (void)stream;
    run(function->callbacks, function->token, LAST, status);
    end(function->callbacks, function->token, false);
    free(function);
}

static void
run_kept(void *data)
{
    struct function *function = data;

    run(function->callbacks, function->token, 0, CUDA_SUCCESS);
}

static void
forget(void *data)
{
    struct function *function = data;

    end(function->callbacks, function->token, true);
    free(function);
}

static struct function *
function_make(struct cuda_host *host, uint32_t token)
{
    struct function *function = calloc(1, sizeof(*function));

    if (!function)
        return NULL;
    function->callbacks = host->callbacks;
    function->token = token;
    pthread_mutex_lock(&host->callbacks->lock);
    host->callbacks->made++;
    pthread_mutex_unlock(&host->callbacks->lock);
    return function;
}

int
cuda_callback_make(struct cuda_host *host, uint32_t token, CUgraph graph, CUDA_HOST_NODE_PARAMS *out)
{
    const struct cuda_driver *native = host->native;
    struct function *function = function_make(host, token);
    int result = CUDA_SUCCESS;

    if (!function)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (!graph) {
        *out = (CUDA_HOST_NODE_PARAMS){.fn = run_kept, .userData = function};
        pthread_mutex_lock(&host->callbacks->lock);
        function->next = host->callbacks->forever;
        host->callbacks->forever = function;
        pthread_mutex_unlock(&host->callbacks->lock);
        return 0;
    }
    result = native->cuUserObjectCreate(&function->keeper, function, forget, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC);
    if (result != CUDA_SUCCESS) {
        forget(function);
        return result;
    }
    result = native->cuGraphRetainUserObject(graph, function->keeper, 1, CU_GRAPH_USER_OBJECT_MOVE);
    if (result == CUDA_SUCCESS)
        *out = (CUDA_HOST_NODE_PARAMS){.fn = run_kept, .userData = function};
    else
        native->cuUserObjectRelease(function->keeper, 1);
    return result;
}

void
cuda_callback_drop(struct cuda_host *host, const CUDA_HOST_NODE_PARAMS *made, CUgraph graph)
{
    struct function *function = made->userData;
    struct function **at = &host->callbacks->forever;

    if (graph) {
        host->native->cuGraphReleaseUserObject(graph, function->keeper, 1);
        return;
    }
    pthread_mutex_lock(&host->callbacks->lock);
    while (*at != function)
        at = &(*at)->next;
    *at = function->next;
    pthread_mutex_unlock(&host->callbacks->lock);
    forget(function);
}

int
cuda_callback_keep(struct cuda_host *host, const CUDA_HOST_NODE_PARAMS *made, CUgraph graph)
{
    return host->native->cuGraphRetainUserObject(graph, ((struct function *)made->userData)->keeper, 1, 0);
}

uint32_t
cuda_callback_token(const CUDA_HOST_NODE_PARAMS *params)
{
    return params->fn == run_kept ? ((const struct function *)params->userData)->token : 0;
}

CUgraph
cuda_graph_captured(const struct cuda_driver *native, CUstream stream)
{
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    CUgraph graph = NULL;

    if (!native->cuStreamGetCaptureInfo ||
        native->cuStreamGetCaptureInfo(stream, &status, NULL, &graph, NULL, NULL, NULL) != CUDA_SUCCESS)
        return NULL;
    return status == CU_STREAM_CAPTURE_STATUS_ACTIVE ? graph : NULL;
}

static int
launch_captured(struct cuda_host *host, CUstream stream, CUgraph graph, uint32_t token)
{
    CUDA_HOST_NODE_PARAMS params;
    int result = cuda_callback_make(host, token, graph, &params);

    if (result != 0)
        return result;
    result = host->native->cuLaunchHostFunc(stream, params.fn, params.userData);
    if (result != CUDA_SUCCESS)
        cuda_callback_drop(host, &params, graph);
    return result;
}

int
cuda_host_host_function_launch(struct gpuvchan_request *request, struct cuda_stream *on, uint32_t token)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    CUstream stream = cuda_stream_native(on);
    struct function *function;
    CUgraph graph;
    int result;

    if (!native->cuLaunchHostFunc)
        return cuda_driver_lacks(native, "cuLaunchHostFunc");
    result = cuda_enter(lane, on ? &on->object : NULL, NULL);
    if (result != 0)
        return result;
    graph = cuda_graph_captured(native, stream);
    if (graph)
        return cuda_leave(lane, launch_captured(lane->host, stream, graph, token));
    function = function_make(lane->host, token);
    result = function ? (int)native->cuLaunchHostFunc(stream, run_once, function) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result != 0 && function)
        forget(function);
    return cuda_leave(lane, result);
}

int
cuda_host_host_function_callback(struct gpuvchan_request *request, struct cuda_stream *on, uint32_t token)
{
    const struct cuda_driver *native = cuda_native(request);
    struct cuda_lane *lane = cuda_lane_of(request);
    struct function *function;
    int result;

    if (!native->cuStreamAddCallback)
        return cuda_driver_lacks(native, "cuStreamAddCallback");
    result = cuda_enter(lane, on ? &on->object : NULL, NULL);
    if (result != 0)
        return result;
    function = function_make(lane->host, token);
    result = function ? (int)native->cuStreamAddCallback(cuda_stream_native(on), run_callback, function, 0)
                      : CUDA_ERROR_OUT_OF_MEMORY;
    if (result != 0 && function)
        forget(function);
    return cuda_leave(lane, result);
}

/* ---- Memory of graphs ------------------------------------------------------------------------ */

struct memory {
    struct function is;
    struct cuda_host *host;
    CUdeviceptr start;
    uint64_t bytes;
};

/*
 * Nodes of a graph may allocate the same addresses one after the other, in parts even: their ranges become one, which
 * lasts as long as the last of them. With the lock of memory.
 */
static int
range_join(struct cuda_lane *lane, CUdeviceptr start, uint64_t bytes)
{
    struct cuda_host *host = lane->host;
    CUdeviceptr end = start + bytes;
    struct cuda_range *range;
    uint32_t others = 0;
    int result;

    while ((range = cuda_ranges_take(&host->ranges, start, end - start, CUDA_RANGE_GRAPH))) {
        others += 1 + atomic_load(&range->opened);
        if (range->start + range->bytes > end)
            end = range->start + range->bytes;
        if (range->start < start)
            start = range->start;
        cuda_object_end(host, lane, &range->object);
        cuda_object_destroy(host, &range->object);
    }
    result = cuda_range_begin(host, &lane->current->object, CUDA_RANGE_GRAPH, start, end - start);
    if (result != 0)
        return result;
    pthread_rwlock_rdlock(&host->ranges.lock);
    range = cuda_ranges_find(&host->ranges, start, end - start);
    if (range)
        atomic_store(&range->opened, others);
    pthread_rwlock_unlock(&host->ranges.lock);
    return 0;
}

/* The range may have gone with its context. */
static void
range_end(struct cuda_host *host, CUdeviceptr start, uint64_t bytes)
{
    struct cuda_range *range;

    pthread_rwlock_rdlock(&host->ranges.lock);
    range = cuda_ranges_find(&host->ranges, start, bytes);
    pthread_rwlock_unlock(&host->ranges.lock);
    if (!range || range->use != CUDA_RANGE_GRAPH)
        return;
    if (atomic_load(&range->opened) != 0) {
        atomic_fetch_sub(&range->opened, 1);
        return;
    }
    if (!cuda_ranges_remove(&host->ranges, range))
        return;
    cuda_object_end(host, NULL, &range->object);
    cuda_object_destroy(host, &range->object);
}

static void
memory_gone(void *data)
{
    struct memory *memory = data;

    pthread_mutex_lock(&memory->is.callbacks->memory_lock);
    if (!memory->is.callbacks->closed)
        range_end(memory->host, memory->start, memory->bytes);
    pthread_mutex_unlock(&memory->is.callbacks->memory_lock);
    forget(memory);
}

int
cuda_graph_range_begin(struct cuda_lane *lane, CUgraph graph, uint32_t token, CUdeviceptr start, uint64_t bytes)
{
    struct cuda_host *host = lane->host;
    struct memory *memory = calloc(1, sizeof(*memory));
    CUuserObject keeper;
    int result;

    if (!memory)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *memory = (struct memory){{.callbacks = host->callbacks, .token = token}, host, start, bytes};
    result = host->native->cuUserObjectCreate(&keeper, memory, memory_gone, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC);
    if (result != CUDA_SUCCESS) {
        free(memory);
        return result;
    }
    pthread_mutex_lock(&host->callbacks->lock);
    host->callbacks->made++;
    pthread_mutex_unlock(&host->callbacks->lock);
    pthread_mutex_lock(&host->callbacks->memory_lock);
    result = range_join(lane, start, bytes);
    pthread_mutex_unlock(&host->callbacks->memory_lock);
    if (result == 0)
        result = host->native->cuGraphRetainUserObject(graph, keeper, 1, CU_GRAPH_USER_OBJECT_MOVE);
    if (result != 0)
        host->native->cuUserObjectRelease(keeper, 1);
    return result;
}

/* ---- User objects ---------------------------------------------------------------------------- */

static void
user_gone(void *data)
{
    struct user *user = data;

    /* After its end the host's table is gone. */
    pthread_mutex_lock(&user->is.callbacks->lock);
    if (!user->is.callbacks->closed)
        gpuvchan_handles_remove(user->host->numbers, user->number, KIND_USER);
    pthread_mutex_unlock(&user->is.callbacks->lock);
    forget(user);
}

/* Its number has been entered into the table. */
static int
user_begin(struct cuda_host *host, struct user *user, uint32_t token)
{
    int result;

    user->is = (struct function){.callbacks = host->callbacks, .token = token};
    user->host = host;
    user->held = true;
    result = host->native->cuUserObjectCreate(&user->native, user, user_gone, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC);
    if (result != CUDA_SUCCESS) {
        gpuvchan_handles_remove(host->numbers, user->number, KIND_USER);
        free(user);
        return result;
    }
    pthread_mutex_lock(&host->callbacks->lock);
    host->callbacks->made++;
    pthread_mutex_unlock(&host->callbacks->lock);
    return 0;
}

int
cuda_host_user_object_create(struct gpuvchan_request *request, uint32_t token, uint32_t *object)
{
    struct cuda_host *host = cuda_host_of(request);
    struct user *user = calloc(1, sizeof(*user));

    if (!host->native->cuUserObjectCreate) {
        free(user);
        return cuda_driver_lacks(host->native, "cuUserObjectCreate");
    }
    if (!user || gpuvchan_handles_assign(host->numbers, KIND_USER, user, &user->number) != 0) {
        free(user);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *object = user->number;
    return user_begin(host, user, token);
}

static int
user_let_go(struct cuda_host *host, struct user *user)
{
    user->held = false;
    return host->native->cuUserObjectRelease(user->native, 1);
}

int
cuda_host_user_object_release(struct gpuvchan_request *request, uint32_t object)
{
    struct cuda_host *host = cuda_host_of(request);
    struct user *user;
    int result = CUDA_ERROR_INVALID_VALUE;

    pthread_mutex_lock(&host->graphs_lock);
    user = gpuvchan_handles_lookup(host->numbers, object, KIND_USER);
    if (user && user->held)
        result = user_let_go(host, user);
    pthread_mutex_unlock(&host->graphs_lock);
    return result;
}

static struct cuda_kept *
kept_by(const struct cuda_graph *graph, uint32_t object)
{
    for (struct cuda_kept *kept = graph->kept; kept; kept = kept->next)
        if (kept->count != 0 && kept->user->number == object)
            return kept;
    return NULL;
}

/* An object that is sure to live: the guest holds it, or the graph does. */
static struct cuda_kept *
kept_find(struct cuda_host *host, struct cuda_graph *graph, uint32_t object)
{
    struct cuda_kept *kept = kept_by(graph, object);
    struct user *user;

    if (kept)
        return kept;
    user = gpuvchan_handles_lookup(host->numbers, object, KIND_USER);
    if (!user || !user->held || !(kept = calloc(1, sizeof(*kept))))
        return NULL;
    *kept = (struct cuda_kept){.next = graph->kept, .user = user};
    graph->kept = kept;
    return kept;
}

void
cuda_kept_drop(struct cuda_graph *graph)
{
    struct cuda_kept *kept;

    while ((kept = graph->kept)) {
        graph->kept = kept->next;
        free(kept);
    }
}

int
cuda_host_graph_keep(struct gpuvchan_request *request, uint32_t number, uint32_t object, uint32_t count)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_graph *graph;
    struct cuda_kept *kept;
    uint32_t sum;
    int result = cuda_graph_enter(lane, number, &graph);

    if (result != 0)
        return result;
    kept = kept_find(lane->host, graph, object);
    if (!kept || count == 0 || __builtin_add_overflow(kept->count, count, &sum) || sum > INT32_MAX)
        return cuda_graph_leave(lane, CUDA_ERROR_INVALID_VALUE);
    result = cuda_native(request)->cuGraphRetainUserObject(graph->is.native, kept->user->native, count, 0);
    if (result == CUDA_SUCCESS)
        kept->count = sum;
    return cuda_graph_leave(lane, result);
}

int
cuda_host_graph_let_go(struct gpuvchan_request *request, uint32_t number, uint32_t object, uint32_t count)
{
    struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_graph *graph;
    struct cuda_kept *kept;
    int result = cuda_graph_enter(lane, number, &graph);

    if (result != 0)
        return result;
    kept = kept_by(graph, object);
    if (!kept || count == 0 || count > kept->count)
        return cuda_graph_leave(lane, CUDA_ERROR_INVALID_VALUE);
    kept->count -= count; /* before the driver ends what it may be the last one of */
    return cuda_graph_leave(
        lane, cuda_native(request)->cuGraphReleaseUserObject(graph->is.native, kept->user->native, count));
}

/* ---- Suspending and resuming ----------------------------------------------------------------- */

struct users {
    struct cuda_saving *saving;
    int error;
};

static void
save_user(void *context, uint32_t number, uint16_t kind, void *object)
{
    struct users *users = context;
    const struct user *user = object;
    struct suspend_user item = {.number = number};

    if (kind != KIND_USER || users->error != 0)
        return;
    item.token = user->is.token;
    item.held = user->held;
    users->error = cuda_save(users->saving, SUSPEND_USER, &item, sizeof(item), NULL, 0);
}

int
cuda_save_users(struct cuda_saving *saving)
{
    struct users users = {saving, 0};

    gpuvchan_handles_visit(saving->host->numbers, save_user, &users);
    return users.error;
}

int
cuda_load_user(struct cuda_resuming *resuming, const struct suspend_user *item)
{
    struct cuda_host *host = resuming->host;
    struct user *user = calloc(1, sizeof(*user));
    int result;

    if (!user || !host->native->cuUserObjectCreate) {
        free(user);
        return -ENOMEM;
    }
    user->number = item->number;
    if (gpuvchan_handles_insert(host->numbers, item->number, KIND_USER, user) != 0) {
        free(user);
        return cuda_resume_damaged("a user object's number is taken");
    }
    result = user_begin(host, user, item->token);
    if (result == 0)
        user->lost = item->held == 0;
    return cuda_resume_result(resuming, result, "user object %u", item->number);
}

int
cuda_save_kept(struct cuda_saving *saving, const struct cuda_graph *graph)
{
    int error = 0;

    for (const struct cuda_kept *kept = graph->kept; kept && error == 0; kept = kept->next) {
        struct suspend_kept item = {graph->is.number, kept->user->number, kept->count, 0};

        if (kept->count != 0)
            error = cuda_save(saving, SUSPEND_KEPT, &item, sizeof(item), NULL, 0);
    }
    return error;
}

int
cuda_load_kept(struct cuda_resuming *resuming, struct cuda_graph *graph, const struct suspend_kept *item)
{
    struct cuda_host *host = resuming->host;
    struct cuda_kept *kept = kept_find(host, graph, item->user);
    int result;

    if (!kept || item->count == 0 || item->count > INT32_MAX || kept->count != 0)
        return cuda_resume_damaged("a graph keeps a user object that is not there");
    result = host->native->cuGraphRetainUserObject(graph->is.native, kept->user->native, item->count, 0);
    if (result == CUDA_SUCCESS)
        kept->count = item->count;
    return cuda_resume_result(resuming, result, "user object %u", item->user);
}

/* The guest holds it no more, but a graph does. What graphs inside of nodes keep is not known: then it stays. */
static void
release_lost(void *context, uint32_t number, uint16_t kind, void *object)
{
    struct cuda_resuming *resuming = context;
    struct user *user = object;
    bool kept = false;

    if (kind != KIND_USER || !user->lost)
        return;
    for (struct cuda_object *each = resuming->host->made; each; each = each->next_made)
        kept |= each->kind == CUDA_OBJECT_GRAPH && each->made && kept_by((struct cuda_graph *)each, number);
    if (kept)
        user_let_go(resuming->host, user);
    else
        user->held = false;
    user->lost = false;
}

void
cuda_users_settle(struct cuda_resuming *resuming)
{
    gpuvchan_handles_visit(resuming->host->numbers, release_lost, resuming);
}
