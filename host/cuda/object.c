/* SPDX-License-Identifier: MIT */
#include "cuda_plugin.h"

#include "journal.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const size_t object_bytes[CUDA_OBJECT_KINDS] = {
    [CUDA_OBJECT_CONTEXT] = sizeof(struct cuda_context),
    [CUDA_OBJECT_MODULE] = sizeof(struct cuda_module),
    [CUDA_OBJECT_FUNCTION] = sizeof(struct cuda_function),
    [CUDA_OBJECT_STREAM] = sizeof(struct cuda_stream),
    [CUDA_OBJECT_EVENT] = sizeof(struct cuda_event),
    [CUDA_OBJECT_RANGE] = sizeof(struct cuda_range),
    [CUDA_OBJECT_LIBRARY] = sizeof(struct cuda_library),
    [CUDA_OBJECT_LINK] = sizeof(struct cuda_link),
    [CUDA_OBJECT_POOL] = sizeof(struct cuda_pool),
    [CUDA_OBJECT_PHYSICAL] = sizeof(struct cuda_physical),
    [CUDA_OBJECT_ARRAY] = sizeof(struct cuda_array),
    [CUDA_OBJECT_MIPMAP] = sizeof(struct cuda_mipmap),
    [CUDA_OBJECT_TEXTURE] = sizeof(struct cuda_texture),
    [CUDA_OBJECT_SURFACE] = sizeof(struct cuda_surface),
    [CUDA_OBJECT_GRAPH] = sizeof(struct cuda_graph),
    [CUDA_OBJECT_NODE] = sizeof(struct cuda_node),
    [CUDA_OBJECT_GRAPH_EXEC] = sizeof(struct cuda_graph_exec),
    [CUDA_OBJECT_GREEN] = sizeof(struct cuda_green),
    [CUDA_OBJECT_TEXREF] = sizeof(struct cuda_reference),
    [CUDA_OBJECT_SURFREF] = sizeof(struct cuda_reference),
};

/* ---- Memory ---------------------------------------------------------------------------------- */

struct cuda_object *
cuda_object_create(struct cuda_host *host, enum cuda_object_kind kind)
{
    struct cuda_object *object;

    pthread_mutex_lock(&host->lock);
    object = host->unused[kind];
    if (object) {
        host->unused[kind] = object->next_free;
    } else if ((object = calloc(1, object_bytes[kind]))) {
        object->kind = kind;
        object->next_made = host->made;
        host->made = object;
    }
    if (object)
        object->made = true;
    pthread_mutex_unlock(&host->lock);
    return object;
}

/* With the lock. */
static void
unlink_object(struct cuda_object *object)
{
    struct cuda_object *owner = atomic_load_explicit(&object->owner, memory_order_relaxed);

    if (!owner)
        return;
    if (object->newer)
        object->newer->older = object->older;
    else
        owner->newest = object->older;
    if (object->older)
        object->older->newer = object->newer;
    object->older = object->newer = NULL;
    atomic_store_explicit(&object->owner, NULL, memory_order_release);
}

/* What an object has besides its own memory; with the lock, or when nobody else is left. */
static void
finish(struct cuda_host *host, struct cuda_object *object)
{
    cuda_records_free(object->records);
    object->records = NULL;
    if (object->kind == CUDA_OBJECT_RANGE)
        cuda_range_finish(host, (struct cuda_range *)object);
    else if (object->kind == CUDA_OBJECT_FUNCTION)
        cuda_function_finish((struct cuda_function *)object);
    else if (object->kind == CUDA_OBJECT_MODULE)
        cuda_module_finish((struct cuda_module *)object);
    else if (object->kind == CUDA_OBJECT_LIBRARY)
        cuda_library_finish((struct cuda_library *)object);
    else if (object->kind == CUDA_OBJECT_LINK)
        cuda_link_finish((struct cuda_link *)object);
    else if (object->kind == CUDA_OBJECT_GRAPH)
        cuda_graph_finish((struct cuda_graph *)object);
}

/* With the lock. */
static void
recycle(struct cuda_host *host, struct cuda_object *object)
{
    if (!object->made)
        return;
    object->made = false;
    atomic_store(&object->alive, false);
    unlink_object(object);
    finish(host, object);
    object->next_free = host->unused[object->kind];
    host->unused[object->kind] = object;
}

void
cuda_object_begin(struct cuda_host *host, struct cuda_object *object, struct cuda_object *owner,
                  const struct gpuvchan_request *request)
{
    object->handle = 0;
    if (request) /* the protocol's records that create something begin with its handle */
        memcpy(&object->handle, request->payload, sizeof(object->handle));
    pthread_mutex_lock(&host->lock);
    object->older = object->newer = NULL;
    if (owner) {
        object->older = owner->newest;
        if (object->older)
            object->older->newer = object;
        owner->newest = object;
    }
    atomic_store_explicit(&object->owner, owner, memory_order_relaxed);
    atomic_store_explicit(&object->alive, true, memory_order_release);
    pthread_mutex_unlock(&host->lock);
}

void
cuda_object_destroy(struct cuda_host *host, struct cuda_object *object)
{
    pthread_mutex_lock(&host->lock);
    recycle(host, object);
    pthread_mutex_unlock(&host->lock);
}

void
cuda_objects_visit(struct cuda_host *host, enum cuda_object_kind kind,
                   void (*visit)(struct cuda_host *host, struct cuda_object *object))
{
    for (struct cuda_object *object = host->made; object; object = object->next_made)
        if (object->kind == kind && atomic_load(&object->alive))
            visit(host, object);
}

void
cuda_objects_finish(struct cuda_host *host)
{
    while (host->made) {
        struct cuda_object *object = host->made;

        host->made = object->next_made;
        if (object->made)
            finish(host, object);
        free(object);
    }
}

/* ---- Use and end ----------------------------------------------------------------------------- */

bool
cuda_object_alive(const struct cuda_object *object)
{
    while (object) {
        if (!atomic_load_explicit(&object->alive, memory_order_acquire))
            return false;
        object = atomic_load_explicit(&object->owner, memory_order_acquire);
    }
    return true;
}

static bool
is_part_of(const struct cuda_object *object, const struct cuda_object *whole)
{
    while (object && object != whole)
        object = atomic_load_explicit(&object->owner, memory_order_acquire);
    return object != NULL;
}

static bool
lane_uses(const struct cuda_lane *lane, const struct cuda_lane *self, const struct cuda_object *object)
{
    for (uint32_t slot = 0; slot < CUDA_SLOTS && lane != self; slot++)
        if (is_part_of(atomic_load_explicit(&lane->uses[slot], memory_order_acquire), object))
            return true;
    return false;
}

static bool
is_used(struct cuda_host *host, const struct cuda_lane *self, const struct cuda_object *object)
{
    uint32_t known = atomic_load_explicit(&host->lanes_known, memory_order_acquire);

    for (uint32_t i = 0; i < known; i++)
        if (lane_uses(&host->lanes[i], self, object))
            return true;
    return lane_uses(cuda_own_lane(host), self, object);
}

bool
cuda_object_end(struct cuda_host *host, const struct cuda_lane *self, struct cuda_object *object)
{
    struct timespec pause = {.tv_nsec = 50000};
    unsigned tries = 0;

    if (!atomic_exchange(&object->alive, false))
        return false;
    /* Pairs with the fence in cuda_enter(): the lane sees that it is dead, or we see that the lane uses it. */
    atomic_thread_fence(memory_order_seq_cst);
    /* Look-ups of ranges announce what they found with this lock: after it, all that found it alive are seen. */
    pthread_rwlock_wrlock(&host->ranges.lock);
    pthread_rwlock_unlock(&host->ranges.lock);
    while (is_used(host, self, object)) {
        if (++tries < 64)
            sched_yield();
        else
            nanosleep(&pause, NULL);
    }
    return true;
}

/* With the lock: an object below @p owner that owns nothing; of those the newest branch's. */
static struct cuda_object *
newest_leaf(struct cuda_object *owner)
{
    struct cuda_object *object = owner->newest;

    while (object && object->newest)
        object = object->newest;
    return object;
}

uint16_t
cuda_object_handle_kind(enum cuda_object_kind kind)
{
    static const uint16_t kinds[CUDA_OBJECT_KINDS] = {
        [CUDA_OBJECT_CONTEXT] = CUDA_HANDLE_CONTEXT,   [CUDA_OBJECT_MODULE] = CUDA_HANDLE_MODULE,
        [CUDA_OBJECT_FUNCTION] = CUDA_HANDLE_FUNCTION, [CUDA_OBJECT_STREAM] = CUDA_HANDLE_STREAM,
        [CUDA_OBJECT_EVENT] = CUDA_HANDLE_EVENT,       [CUDA_OBJECT_LIBRARY] = CUDA_HANDLE_LIBRARY,
        [CUDA_OBJECT_LINK] = CUDA_HANDLE_LINK,         [CUDA_OBJECT_POOL] = CUDA_HANDLE_POOL,
        [CUDA_OBJECT_PHYSICAL] = CUDA_HANDLE_PHYSICAL, [CUDA_OBJECT_ARRAY] = CUDA_HANDLE_CUARRAY,
        [CUDA_OBJECT_MIPMAP] = CUDA_HANDLE_MIPMAP,     [CUDA_OBJECT_TEXTURE] = CUDA_HANDLE_TEXTURE,
        [CUDA_OBJECT_SURFACE] = CUDA_HANDLE_SURFACE,   [CUDA_OBJECT_GRAPH_EXEC] = CUDA_HANDLE_GRAPH_EXEC,
        [CUDA_OBJECT_GREEN] = CUDA_HANDLE_GREEN,       [CUDA_OBJECT_TEXREF] = CUDA_HANDLE_TEXREF,
        [CUDA_OBJECT_SURFREF] = CUDA_HANDLE_SURFREF,
    };

    return kinds[kind];
}

static void
unbind(struct cuda_host *host, struct cuda_object *object)
{
    uint16_t kind = cuda_object_handle_kind(object->kind);

    if (object->kind == CUDA_OBJECT_GRAPH || object->kind == CUDA_OBJECT_NODE)
        cuda_numbered_forget(host, (struct cuda_numbered *)object);
    if (object->handle && gpuvchan_handles_lookup(host->handles, object->handle, kind) == object)
        gpuvchan_handles_remove(host->handles, object->handle, kind);
}

void
cuda_object_empty(struct cuda_host *host, struct cuda_object *object)
{
    struct cuda_object *leaf;

    pthread_mutex_lock(&host->lock);
    while ((leaf = newest_leaf(object))) {
        atomic_store(&leaf->alive, false);
        if (leaf->kind == CUDA_OBJECT_RANGE)
            cuda_ranges_remove(&host->ranges, (struct cuda_range *)leaf);
        unbind(host, leaf);
        recycle(host, leaf);
    }
    pthread_mutex_unlock(&host->lock);
}

static int
destroy_native(const struct cuda_driver *native, struct cuda_object *object)
{
    switch (object->kind) {
    case CUDA_OBJECT_MODULE:
        if (((struct cuda_module *)object)->library)
            return 0; /* goes with the library */
        return native->cuModuleUnload(((struct cuda_module *)object)->native);
    case CUDA_OBJECT_LIBRARY:
        return native->cuLibraryUnload(((struct cuda_library *)object)->native);
    case CUDA_OBJECT_LINK:
        return native->cuLinkDestroy(((struct cuda_link *)object)->native);
    case CUDA_OBJECT_STREAM:
        return native->cuStreamDestroy(((struct cuda_stream *)object)->native);
    case CUDA_OBJECT_EVENT:
        return native->cuEventDestroy(((struct cuda_event *)object)->native);
    case CUDA_OBJECT_POOL:
        return native->cuMemPoolDestroy(((struct cuda_pool *)object)->native);
    case CUDA_OBJECT_PHYSICAL:
        return native->cuMemRelease(((struct cuda_physical *)object)->native);
    case CUDA_OBJECT_ARRAY:
        return ((struct cuda_array *)object)->part ? 0
                                                   : (int)native->cuArrayDestroy(((struct cuda_array *)object)->native);
    case CUDA_OBJECT_MIPMAP:
        return native->cuMipmappedArrayDestroy(((struct cuda_mipmap *)object)->native);
    case CUDA_OBJECT_TEXTURE:
        return native->cuTexObjectDestroy(((struct cuda_texture *)object)->native);
    case CUDA_OBJECT_SURFACE:
        return native->cuSurfObjectDestroy(((struct cuda_surface *)object)->native);
    case CUDA_OBJECT_TEXREF:
        return ((struct cuda_reference *)object)->named
                   ? 0
                   : (int)native->cuTexRefDestroy(((struct cuda_reference *)object)->texture);
    case CUDA_OBJECT_GRAPH:
        return native->cuGraphDestroy(((struct cuda_graph *)object)->is.native);
    case CUDA_OBJECT_NODE:
        return native->cuGraphDestroyNode(((struct cuda_node *)object)->is.native);
    case CUDA_OBJECT_GRAPH_EXEC:
        return native->cuGraphExecDestroy(((struct cuda_graph_exec *)object)->native);
    default:
        return 0; /* a function goes with its module; contexts, green ones too, and ranges have their own ways */
    }
}

int
cuda_object_close(struct cuda_lane *lane, struct cuda_object *object)
{
    bool usable = cuda_lane_announce(lane, CUDA_SLOT_FIRST, object);
    int result = CUDA_ERROR_INVALID_HANDLE;

    /* Also if its context goes at the same time: what another lane uses is not recycled under it. */
    if (cuda_object_end(lane->host, lane, object) && usable) {
        result = destroy_native(lane->host->native, object);
        if (result != 0) {
            atomic_store(&object->alive, true);
            return cuda_leave(lane, result);
        }
    }
    cuda_object_empty(lane->host, object);
    cuda_leave(lane, 0);
    cuda_object_destroy(lane->host, object);
    return result;
}

int
cuda_object_revoke(struct cuda_lane *lane, struct cuda_object *object)
{
    pthread_mutex_lock(&lane->host->lock);
    unbind(lane->host, object);
    pthread_mutex_unlock(&lane->host->lock);
    return cuda_object_close(lane, object);
}

/* ---- A lane's record ------------------------------------------------------------------------- */

bool
cuda_lane_announce(struct cuda_lane *lane, enum cuda_lane_slot slot, struct cuda_object *object)
{
    atomic_store_explicit(&lane->uses[slot], object, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    return cuda_object_alive(object);
}

int
cuda_enter(struct cuda_lane *lane, struct cuda_object *first, struct cuda_object *second)
{
    struct cuda_object *scope;

    if (!lane->current)
        return CUDA_ERROR_INVALID_CONTEXT;
    scope = cuda_lane_scope(lane);
    atomic_store_explicit(&lane->uses[CUDA_SLOT_CONTEXT], scope, memory_order_relaxed);
    atomic_store_explicit(&lane->uses[CUDA_SLOT_FIRST], first, memory_order_relaxed);
    atomic_store_explicit(&lane->uses[CUDA_SLOT_SECOND], second, memory_order_relaxed);
    /* Pairs with the fence in cuda_object_end(). */
    atomic_thread_fence(memory_order_seq_cst);
    if (!cuda_object_alive(scope))
        return cuda_leave(lane, CUDA_ERROR_CONTEXT_IS_DESTROYED);
    if (!cuda_object_alive(first) || !cuda_object_alive(second))
        return cuda_leave(lane, CUDA_ERROR_INVALID_HANDLE);
    return 0;
}

struct cuda_range *
cuda_lane_range(struct cuda_lane *lane, unsigned which, CUdeviceptr address, uint64_t bytes)
{
    struct cuda_ranges *ranges = &lane->host->ranges;
    struct cuda_range *range;

    pthread_rwlock_rdlock(&ranges->lock);
    range = cuda_ranges_find(ranges, address, bytes);
    if (range)
        atomic_store_explicit(&lane->uses[CUDA_SLOT_RANGE + which], cuda_range_used(range), memory_order_relaxed);
    pthread_rwlock_unlock(&ranges->lock);
    return range;
}

int
cuda_leave(struct cuda_lane *lane, int result)
{
    /* Release: what the record did to the objects comes before their end. */
    for (unsigned slot = 0; slot < CUDA_SLOTS; slot++)
        atomic_store_explicit(&lane->uses[slot], NULL, memory_order_release);
    return result;
}
