/* SPDX-License-Identifier: MIT */
/* What is written, in its order; see suspend.h. */
#include "suspend.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool renew_allowed;

void
cuda_renew_allow(bool yes)
{
    renew_allowed = yes;
}

int
cuda_suspend_refuse(int error, const char *format, ...)
{
    char what[200];
    va_list list;

    va_start(list, format);
    vsnprintf(what, sizeof(what), format, list);
    va_end(list);
    gpuvchan_log(GPUVCHAN_LOG_ERROR, "cuda: cannot be suspended%s: %s", error == -EBUSY ? " now" : "", what);
    return error;
}

int
cuda_save(struct cuda_saving *saving, enum suspend_kind kind, const void *item, size_t bytes, const void *more,
          size_t more_bytes)
{
    struct suspend_item head = {.kind = kind, .bytes = (uint32_t)(bytes + more_bytes)};
    int error;

    if (more_bytes > SUSPEND_ITEM_MOST - bytes)
        return cuda_suspend_refuse(-E2BIG, "%zu bytes of one thing", more_bytes);
    saving->items++;
    error = gpuvchan_snapshot_write(saving->snapshot, &head, sizeof(head));
    if (error == 0)
        error = gpuvchan_snapshot_write(saving->snapshot, item, bytes);
    if (error == 0 && more_bytes > 0)
        error = gpuvchan_snapshot_write(saving->snapshot, more, more_bytes);
    return error;
}

static int
save_head(struct cuda_saving *saving)
{
    const struct cuda_driver *native = saving->host->native;
    struct suspend_head head = {.magic = SUSPEND_MAGIC,
                                .version = SUSPEND_VERSION,
                                .devices = (uint32_t)native->devices,
                                .driver_version = native->version,
                                .simulated = native->simulated};

    gpuvchan_session_arena(saving->host->session, &head.arena_bytes);
    return gpuvchan_snapshot_write(saving->snapshot, &head, sizeof(head));
}

/* ---- What there is --------------------------------------------------------------------------- */

uint32_t
cuda_owner_handle(const struct cuda_object *object)
{
    const struct cuda_object *owner = atomic_load(&object->owner);

    return owner ? owner->handle : 0;
}

static int
check_object(struct cuda_host *host, const struct cuda_object *object)
{
    uint16_t kind = cuda_object_handle_kind(object->kind);
    const struct cuda_range *range = (const struct cuda_range *)object;

    if (object->kind == CUDA_OBJECT_GREEN)
        return cuda_suspend_refuse(-ENOTSUP, "there is a green context, %#x", object->handle);
    if (object->kind == CUDA_OBJECT_TEXREF || object->kind == CUDA_OBJECT_SURFREF)
        return cuda_suspend_refuse(-ENOTSUP, "there is a texture or surface reference, %#x", object->handle);
    if (object->kind == CUDA_OBJECT_LINK)
        return cuda_suspend_refuse(-EBUSY, "linker %#x is at work", object->handle);
    if (object->kind == CUDA_OBJECT_RANGE && range->use == CUDA_RANGE_IPC)
        return cuda_suspend_refuse(-ENOTSUP, "memory of another process is open at %#llx", range->start);
    if (object->kind == CUDA_OBJECT_RANGE && range->use == CUDA_RANGE_GRAPH)
        return cuda_suspend_refuse(-ENOTSUP, "a graph has allocated memory, at %#llx", range->start);
    if (kind == 0)
        return 0;
    if (gpuvchan_handles_lookup(host->handles, object->handle, kind) != object)
        return cuda_suspend_refuse(-ENOTSUP, "what had handle %#x could not be destroyed", object->handle);
    if (!object->records)
        return cuda_suspend_refuse(-ENOTSUP, "what has handle %#x came from another process", object->handle);
    return 0;
}

/* First of all: to wait for the device would end them. */
static int
check_captures(struct cuda_host *host)
{
    for (const struct cuda_object *object = host->made; object; object = object->next_made)
        if (object->kind == CUDA_OBJECT_GRAPH && object->made && ((const struct cuda_graph *)object)->captured)
            return cuda_suspend_refuse(-EBUSY, "a stream is being captured into graph %u",
                                       ((const struct cuda_graph *)object)->is.number);
    return 0;
}

static int
check_objects(struct cuda_host *host)
{
    int error = 0;

    if (!host->native->simulated && !renew_allowed)
        return cuda_suspend_refuse(-ENOTSUP, "NVIDIA's driver gives a fresh process other addresses, with which the "
                                             "program would be lost; cuda.renew=yes tries it");
    if (host->records_lost)
        return cuda_suspend_refuse(-ENOMEM, "memory was short when something was made");
    if (host->resource_count > 0 || host->description_count > 0)
        return cuda_suspend_refuse(-ENOTSUP, "the guest knows parts of a device's multiprocessors");
    if (atomic_load(&host->shared))
        return cuda_suspend_refuse(-ENOTSUP, "memory or events have been given to other processes");
    for (struct cuda_object *object = host->made; object && error == 0; object = object->next_made)
        if (cuda_lives(object))
            error = check_object(host, object);
    return error;
}

/* ---- What the driver knows ------------------------------------------------------------------- */

static const CUlaunchAttributeID stream_attributes[] = {
    CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, CU_LAUNCH_ATTRIBUTE_PRIORITY,
    CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP, CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN};

static int
save_attributes(struct cuda_saving *saving, const struct cuda_context *context, uint32_t handle, CUstream stream)
{
    const struct cuda_driver *native = saving->host->native;
    int error = 0;

    for (size_t i = 0; i < sizeof(stream_attributes) / sizeof(stream_attributes[0]) && error == 0; i++) {
        struct suspend_attribute attribute = {
            .context = context->object.handle, .stream = handle, .attribute = (int32_t)stream_attributes[i]};
        const CUaccessPolicyWindow *window = &attribute.value.accessPolicyWindow;

        memset(&attribute.value, 0, sizeof(attribute.value));
        if (native->cuStreamGetAttribute(stream, stream_attributes[i], &attribute.value) != CUDA_SUCCESS ||
            (stream_attributes[i] == CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW && window->num_bytes == 0))
            continue;
        error = cuda_save(saving, SUSPEND_ATTRIBUTE, &attribute, sizeof(attribute), NULL, 0);
    }
    return error;
}

static int
save_streams(struct cuda_saving *saving)
{
    const struct cuda_driver *native = saving->host->native;
    int error = 0;

    if (!native->cuStreamGetAttribute)
        return 0;
    for (struct cuda_context *context = saving->host->newest; context && error == 0; context = context->older)
        if (native->cuCtxSetCurrent(context->native) == CUDA_SUCCESS)
            error = save_attributes(saving, context, 1, CU_STREAM_LEGACY);
    for (struct cuda_object *object = saving->host->made; object && error == 0; object = object->next_made) {
        const struct cuda_context *context = (struct cuda_context *)atomic_load(&object->owner);

        if (object->kind == CUDA_OBJECT_STREAM && cuda_lives(object) &&
            native->cuCtxSetCurrent(context->native) == CUDA_SUCCESS)
            error = save_attributes(saving, context, object->handle, ((struct cuda_stream *)object)->native);
    }
    return error;
}

/* Which device has chosen it, as number and 1; 0: none. */
static uint32_t
pool_chooser(const struct cuda_driver *native, CUmemoryPool pool)
{
    for (uint32_t i = 0; native->cuDeviceGetMemPool && i < (uint32_t)native->devices; i++) {
        CUmemoryPool chosen;
        CUdevice device;

        if (cuda_device_of(native, i, &device) == 0 && native->cuDeviceGetMemPool(&chosen, device) == CUDA_SUCCESS &&
            chosen == pool)
            return i + 1;
    }
    return 0;
}

static int
save_pool(struct cuda_saving *saving, const struct cuda_pool *pool)
{
    const struct cuda_driver *native = saving->host->native;
    uint32_t chooser = pool_chooser(native, pool->native), access[SUSPEND_DEVICES] = {0};
    struct suspend_pool item = {.high = cuda_pool_high(saving->host, pool),
                                .pool = pool->object.handle,
                                .chosen = chooser != 0,
                                .device = chooser ? chooser - 1 : 0,
                                .devices = (uint32_t)native->devices};

    for (uint32_t i = 0; i < item.devices; i++) {
        CUmemLocation location = {.type = CU_MEM_LOCATION_TYPE_DEVICE};
        CUmemAccess_flags flags = CU_MEM_ACCESS_FLAGS_PROT_NONE;

        if (native->cuMemPoolGetAccess && cuda_device_of(native, i, &location.id) == 0 &&
            native->cuMemPoolGetAccess(&flags, pool->native, &location) == CUDA_SUCCESS)
            access[i] = (uint32_t)flags;
    }
    return cuda_save(saving, SUSPEND_POOL, &item, sizeof(item), access, item.devices * sizeof(access[0]));
}

static int
save_pools(struct cuda_saving *saving)
{
    int error = 0;

    for (struct cuda_object *object = saving->host->made; object && error == 0; object = object->next_made)
        if (object->kind == CUDA_OBJECT_POOL && cuda_lives(object))
            error = save_pool(saving, (struct cuda_pool *)object);
    return error;
}

/* ---- Lanes ----------------------------------------------------------------------------------- */

static int
save_lane(struct cuda_saving *saving, uint32_t index)
{
    const struct cuda_lane *lane = &saving->host->lanes[index];
    bool alive = lane->current && cuda_object_alive(&lane->current->object);
    size_t info = lane->info_log ? strlen(lane->info_log) + 1 : 0;
    size_t errors = lane->error_log ? strlen(lane->error_log) + 1 : 0;
    struct suspend_lane item = {.staged_bytes = lane->staged.image ? lane->staged.bytes : 0,
                                .staged_filled = lane->staged.image ? lane->staged.filled : 0,
                                .index = index,
                                .context = alive ? lane->current->object.handle : 0,
                                .dead = lane->current && !alive,
                                .mode = lane->capture_mode,
                                .instantiate_result = lane->instantiate_result,
                                .instantiate_node = lane->instantiate_node,
                                .info_bytes = (uint32_t)info,
                                .error_bytes = (uint32_t)errors};
    unsigned char logs[2 * CUDA_LOG_MAX];
    int error;

    if (lane->staged.to_keep)
        return cuda_suspend_refuse(-EBUSY, "a large image is on its way");
    if (info > 0)
        memcpy(logs, lane->info_log, info);
    if (errors > 0)
        memcpy(logs + info, lane->error_log, errors);
    error = cuda_save(saving, SUSPEND_LANE, &item, sizeof(item), logs, info + errors);
    if (error == 0 && item.staged_filled > 0)
        error = gpuvchan_snapshot_write(saving->snapshot, lane->staged.image, item.staged_filled);
    return error;
}

static int
save_lanes(struct cuda_saving *saving)
{
    uint32_t known = atomic_load(&saving->host->lanes_known);
    int error = 0;

    for (uint32_t i = 0; i < known && error == 0; i++)
        error = save_lane(saving, i);
    return error;
}

/* ---- All ------------------------------------------------------------------------------------- */

static int
save_all(struct cuda_saving *saving)
{
    struct suspend_end end;
    int error = save_head(saving);

    if (error == 0)
        error = cuda_save_space(saving);
    if (error == 0)
        error = cuda_save_records(saving, SUSPEND_STAGE_CONTEXTS);
    if (error == 0)
        error = cuda_save_records(saving, SUSPEND_STAGE_PHYSICAL);
    if (error == 0)
        error = cuda_save_ranges(saving);
    if (error == 0)
        error = cuda_save_records(saving, SUSPEND_STAGE_REST);
    if (error == 0)
        error = save_streams(saving);
    if (error == 0)
        error = save_pools(saving);
    if (error == 0)
        error = cuda_save_graphs(saving);
    if (error == 0)
        error = cuda_save_records(saving, SUSPEND_STAGE_GRAPHS);
    if (error == 0)
        error = cuda_save_ghosts(saving);
    if (error == 0)
        error = cuda_save_contents(saving);
    if (error == 0)
        error = cuda_save_times(saving);
    if (error == 0)
        error = save_lanes(saving);
    if (error == 0)
        error = cuda_save_callbacks(saving);
    if (error == 0)
        error = cuda_save_output(saving);
    end.items = saving->items;
    return error ? error : cuda_save(saving, SUSPEND_END, &end, sizeof(end), NULL, 0);
}

int
cuda_suspend(void *state, struct gpuvchan_snapshot *snapshot)
{
    struct cuda_saving saving = {.host = state, .snapshot = snapshot, .buffer = malloc(SUSPEND_BUFFER)};
    struct cuda_host *host = state;
    int error = check_captures(host);

    if (error == 0)
        error = cuda_quiet(host);
    if (error == 0)
        error = check_objects(host);
    if (error == 0)
        error = saving.buffer ? save_all(&saving) : cuda_suspend_refuse(-ENOMEM, "out of memory");
    host->native->cuCtxSetCurrent(NULL);
    free(saving.buffer);
    return error;
}
