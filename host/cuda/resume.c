/* SPDX-License-Identifier: MIT */
/*
 * Resuming: what suspend.c has written is read and made again, item by item.
 *
 * Design notes: a snapshot is believed as little as a guest. Items have their sizes checked here; records go through
 * the generated checks and the handlers, and only those that a journal keeps; all else looks up what it names.
 */
#include "suspend.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"

int
cuda_resume_damaged(const char *what)
{
    gpuvchan_log(GPUVCHAN_LOG_ERROR, "cuda: cannot be resumed: the snapshot is damaged: %s", what);
    return -EBADMSG;
}

int
cuda_resume_differs(const char *format, ...)
{
    char what[200];
    va_list list;

    va_start(list, format);
    vsnprintf(what, sizeof(what), format, list);
    va_end(list);
    gpuvchan_log(GPUVCHAN_LOG_ERROR, "cuda: cannot be resumed: the driver does not give the same %s again", what);
    return -ENOTSUP;
}

int
cuda_resume_result(struct cuda_resuming *resuming, int result, const char *format, ...)
{
    char what[200];
    va_list list;

    if (result == 0)
        return 0;
    va_start(list, format);
    vsnprintf(what, sizeof(what), format, list);
    va_end(list);
    gpuvchan_log(GPUVCHAN_LOG_ERROR, "cuda: cannot be resumed: %s: %s", what,
                 result < 0 ? strerror(-result) : cuda_driver_error(resuming->host->native, (CUresult)result));
    return result < 0 ? result : -EIO;
}

void *
cuda_resume_find(struct cuda_resuming *resuming, enum cuda_object_kind kind, uint32_t handle)
{
    return handle ? gpuvchan_handles_lookup(resuming->host->handles, handle, cuda_object_handle_kind(kind)) : NULL;
}

bool
cuda_resume_context(struct cuda_resuming *resuming, uint32_t handle)
{
    struct cuda_context *context =
        handle ? cuda_resume_find(resuming, CUDA_OBJECT_CONTEXT, handle) : resuming->host->newest;

    if (!context || resuming->host->native->cuCtxSetCurrent(context->native) != CUDA_SUCCESS)
        return false;
    resuming->lane->current = context;
    return true;
}

/* ---- Streams and pools ----------------------------------------------------------------------- */

static int
load_attribute(struct cuda_resuming *resuming, const struct suspend_attribute *item)
{
    struct gpuvchan_request request = {
        .session = resuming->host->session, .state = resuming->host, .lane_state = resuming->lane};
    struct cuda_stream *stream = cuda_resume_find(resuming, CUDA_OBJECT_STREAM, item->stream);
    const struct cuda_driver *native = resuming->host->native;
    CUlaunchAttributeValue is;

    if (!stream || item->context == 0 || !cuda_resume_context(resuming, item->context))
        return cuda_resume_damaged("an attribute of a stream that is not there");
    memset(&is, 0, sizeof(is));
    if (native->cuStreamGetAttribute &&
        native->cuStreamGetAttribute(stream->native, (CUstreamAttrID)item->attribute, &is) == CUDA_SUCCESS &&
        memcmp(&is, &item->value, sizeof(is)) == 0)
        return 0; /* as all streams begin */
    return cuda_resume_result(resuming, cuda_host_stream_set_attribute(&request, stream, item->attribute, &item->value),
                              "attribute %d of stream %#x", item->attribute, item->stream);
}

static int
load_pool(struct cuda_resuming *resuming, const struct suspend_pool *item, const unsigned char *more, size_t bytes)
{
    const struct cuda_driver *native = resuming->host->native;
    struct cuda_pool *pool = cuda_resume_find(resuming, CUDA_OBJECT_POOL, item->pool);
    CUdevice device;
    int result = 0;

    if (!pool || item->devices > SUSPEND_DEVICES || bytes != item->devices * sizeof(uint32_t) ||
        cuda_device_of(native, item->device, &device) != 0)
        return cuda_resume_damaged("a pool that is not there");
    for (uint32_t i = 0; i < item->devices && result == 0 && native->cuMemPoolGetAccess; i++) {
        CUmemAccessDesc grant = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
        CUmemAccess_flags is = CU_MEM_ACCESS_FLAGS_PROT_NONE;
        uint32_t flags;

        memcpy(&flags, more + i * sizeof(flags), sizeof(flags));
        grant.flags = (CUmemAccess_flags)flags;
        if (cuda_device_of(native, i, &grant.location.id) == 0 &&
            native->cuMemPoolGetAccess(&is, pool->native, &grant.location) == CUDA_SUCCESS && is != grant.flags)
            result = native->cuMemPoolSetAccess(pool->native, &grant, 1);
    }
    pool->high_before = item->high;
    if (result == 0 && item->chosen && native->cuDeviceSetMemPool)
        result = native->cuDeviceSetMemPool(device, pool->native);
    return cuda_resume_result(resuming, result, "pool %#x", item->pool);
}

static int
load_kept(struct cuda_resuming *resuming, const struct suspend_kept *item)
{
    struct cuda_graph *graph = cuda_graph_numbered(resuming->host, item->graph);

    return graph ? cuda_load_kept(resuming, graph, item) : cuda_resume_damaged("a graph that is not there");
}

/* ---- Lanes ----------------------------------------------------------------------------------- */

static int
load_log(char **log, const unsigned char *more, size_t bytes)
{
    if (bytes == 0)
        return 0;
    if (bytes > CUDA_LOG_MAX || more[bytes - 1] != '\0')
        return cuda_resume_damaged("a log without an end");
    *log = calloc(1, CUDA_LOG_MAX);
    if (!*log)
        return -ENOMEM;
    memcpy(*log, more, bytes);
    return 0;
}

static int
load_staged(struct cuda_resuming *resuming, struct cuda_staged *staged, const struct suspend_lane *item)
{
    if (item->staged_bytes == 0)
        return 0;
    if (item->staged_bytes > SUSPEND_IMAGE_MOST || item->staged_filled > item->staged_bytes)
        return cuda_resume_damaged("a piece of an image of no size");
    staged->image = cuda_image_memory((size_t)item->staged_bytes);
    if (!staged->image)
        return -ENOMEM;
    staged->bytes = (size_t)item->staged_bytes;
    staged->filled = (size_t)item->staged_filled;
    return staged->filled > 0 ? gpuvchan_snapshot_read(resuming->snapshot, staged->image, staged->filled) : 0;
}

/* What was current and has been destroyed: none of the driver's. It is never alive. */
static struct cuda_context *
dead_context(struct cuda_host *host)
{
    return (struct cuda_context *)cuda_object_create(host, CUDA_OBJECT_CONTEXT);
}

static int
load_lane(struct cuda_resuming *resuming, const struct suspend_lane *item, const unsigned char *more, size_t bytes)
{
    struct cuda_host *host = resuming->host;
    struct cuda_lane *lane;
    int error;

    if (item->index >= CUDA_LANES || host->lanes[item->index].host ||
        (uint64_t)item->info_bytes + item->error_bytes != bytes)
        return cuda_resume_damaged("a lane that cannot be");
    lane = &host->lanes[item->index];
    lane->host = host;
    lane->current = item->dead ? dead_context(host) : cuda_resume_find(resuming, CUDA_OBJECT_CONTEXT, item->context);
    if (!lane->current && (item->dead || item->context))
        return cuda_resume_damaged("a lane in a context that is not there");
    lane->capture_mode = item->mode;
    lane->instantiate_result = item->instantiate_result;
    lane->instantiate_node = item->instantiate_node;
    error = load_log(&lane->info_log, more, item->info_bytes);
    if (error == 0)
        error = load_log(&lane->error_log, more + item->info_bytes, item->error_bytes);
    return error ? error : load_staged(resuming, &lane->staged, item);
}

/* ---- Items ----------------------------------------------------------------------------------- */

static int
load_end(struct cuda_resuming *resuming, const struct suspend_end *item)
{
    return item->items == resuming->items ? 0 : cuda_resume_damaged("items are missing");
}

/* Those of which a struct says all, and those with more behind it. */
#define PLAIN(name, function)                                                                                         \
    static int take_##name(struct cuda_resuming *resuming, const void *item, const unsigned char *more, size_t bytes) \
    {                                                                                                                 \
        (void)more;                                                                                                   \
        return bytes == 0 ? function(resuming, item) : cuda_resume_damaged("an item of another size");                \
    }
#define LONGER(name, function)                                                                                        \
    static int take_##name(struct cuda_resuming *resuming, const void *item, const unsigned char *more, size_t bytes) \
    {                                                                                                                 \
        return function(resuming, item, more, bytes);                                                                 \
    }

PLAIN(window, cuda_load_window)
PLAIN(reserved, cuda_load_reserved)
PLAIN(place, cuda_load_place)
LONGER(record, cuda_load_record)
PLAIN(chunk, cuda_load_chunk)
PLAIN(allocation, cuda_load_allocation)
LONGER(mapping, cuda_load_mapping)
PLAIN(registered, cuda_load_registered)
PLAIN(attribute, load_attribute)
LONGER(pool, load_pool)
PLAIN(user, cuda_load_user)
PLAIN(graph, cuda_load_graph)
LONGER(node, cuda_load_node)
LONGER(edges, cuda_load_edges)
PLAIN(kept, load_kept)
PLAIN(gone, cuda_load_gone)
PLAIN(contents, cuda_load_contents)
PLAIN(physical, cuda_load_physical)
PLAIN(array, cuda_load_array)
PLAIN(event, cuda_load_event)
LONGER(lane, load_lane)
PLAIN(due, cuda_load_due)
PLAIN(output, cuda_load_output)
PLAIN(end, load_end)

static int
take_variable(struct cuda_resuming *resuming, const void *item, const unsigned char *more, size_t bytes)
{
    const struct suspend_variable *variable = item;

    if (bytes == 0 || bytes != variable->name_bytes || more[bytes - 1] != '\0')
        return cuda_resume_damaged("a variable without a name");
    return cuda_load_variable(resuming, variable, (const char *)more);
}

static int
take_item(struct cuda_resuming *resuming, uint32_t kind, const unsigned char *body, size_t bytes)
{
    switch (kind) {
#define TAKE(NAME, name)                                                               \
    case SUSPEND_##NAME:                                                               \
        return bytes >= sizeof(struct suspend_##name)                                  \
                   ? take_##name(resuming, body, body + sizeof(struct suspend_##name), \
                                 bytes - sizeof(struct suspend_##name))                \
                   : cuda_resume_damaged("a short item");
        SUSPEND_ITEMS(TAKE)
#undef TAKE
    default:
        return cuda_resume_damaged("an item of no known kind");
    }
}

static int
load_items(struct cuda_resuming *resuming)
{
    struct suspend_item head = {.kind = SUSPEND_KINDS};
    unsigned char *body = NULL;
    size_t room = 0;
    int error = 0;

    while (error == 0 && head.kind != SUSPEND_END) {
        error = gpuvchan_snapshot_read(resuming->snapshot, &head, sizeof(head));
        if (error == 0 && head.bytes > SUSPEND_ITEM_MOST)
            error = cuda_resume_damaged("an item that is too large");
        if (error == 0 && head.bytes > room) {
            free(body);
            room = (head.bytes + 4095u) & ~(size_t)4095;
            body = aligned_alloc(64, room);
            error = body ? 0 : -ENOMEM;
        }
        if (error == 0)
            error = gpuvchan_snapshot_read(resuming->snapshot, body, head.bytes);
        if (error == 0)
            error = take_item(resuming, head.kind, body, head.bytes);
        resuming->items++;
    }
    free(body);
    return error;
}

static int
load_head(struct cuda_resuming *resuming)
{
    const struct cuda_driver *native = resuming->host->native;
    struct suspend_head head;
    uint64_t arena_bytes;
    int error = gpuvchan_snapshot_read(resuming->snapshot, &head, sizeof(head));

    if (error != 0)
        return error;
    gpuvchan_session_arena(resuming->host->session, &arena_bytes);
    if (head.magic != SUSPEND_MAGIC || head.arena_bytes != arena_bytes)
        return cuda_resume_damaged("it does not begin as one does");
    if (head.version != SUSPEND_VERSION) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "cuda: cannot be resumed: the snapshot is of version %u, this plugin reads %u",
                     head.version, SUSPEND_VERSION);
        return -EPROTONOSUPPORT;
    }
    if (head.devices != (uint32_t)native->devices || head.simulated != native->simulated ||
        native->devices > (int)SUSPEND_DEVICES)
        return cuda_resume_differs("devices: it has %d, %u are needed", native->devices, head.devices);
    return 0;
}

int
cuda_resume(struct gpuvchan_session *session, struct gpuvchan_snapshot *snapshot, void **state)
{
    struct cuda_resuming resuming = {.snapshot = snapshot};
    int error = cuda_host_create(session, &resuming.host);

    if (error != 0)
        return error;
    resuming.lane = cuda_own_lane(resuming.host);
    resuming.payload = aligned_alloc(64, SUSPEND_ITEM_MOST);
    resuming.reply = aligned_alloc(64, SUSPEND_REPLY_ROOM);
    resuming.buffer = malloc(SUSPEND_BUFFER);
    error = resuming.payload && resuming.reply && resuming.buffer ? load_head(&resuming) : -ENOMEM;
    if (error == 0)
        error = load_items(&resuming);
    cuda_users_settle(&resuming);
    cuda_graphs_read_finish(&resuming);
    cuda_lane_forget_image(resuming.lane);
    cuda_lane_forget_logs(resuming.lane);
    resuming.lane->current = NULL;
    resuming.host->native->cuCtxSetCurrent(NULL);
    free(resuming.payload);
    free(resuming.reply);
    free(resuming.buffer);
    if (error == 0)
        *state = resuming.host;
    else
        cuda_host_destroy(resuming.host);
    return error;
}
