/* SPDX-License-Identifier: MIT */
#include "journal.h"

#include "cuda_plugin.h"

#include <stdlib.h>
#include <string.h>

#include "cuda-guest.h"

enum place {
    NOWHERE,
    WITH_MADE,    /* the object that the record has created */
    WITH_FIRST,   /* the object whose handle is the payload's first word */
    WITH_CONTEXT, /* the lane's current one */
    WITH_PROCESS,
};

struct rule {
    enum place place;
    uint16_t kind;      /* of the handle */
    uint16_t key_bytes; /* 0: all stay */
    uint16_t also_at;   /* another word that must be the same; 0: none */
    bool told;          /* the guest knows numbers from the reply */
    uint16_t cancels;   /* instead of being kept it cancels that */
};

#define MADE(kind_name)                                     \
    {                                                       \
        .place = WITH_MADE, .kind = CUDA_HANDLE_##kind_name \
    }
#define MADE_TOLD(kind_name)                                              \
    {                                                                     \
        .place = WITH_MADE, .kind = CUDA_HANDLE_##kind_name, .told = true \
    }
#define SET(kind_name, key)                                                      \
    {                                                                            \
        .place = WITH_FIRST, .kind = CUDA_HANDLE_##kind_name, .key_bytes = (key) \
    }

static const struct rule rules[CUDA_OPCODES] = {
    [CUDA_OPCODE_PRIMARY_SET_FLAGS] = {.place = WITH_PROCESS, .key_bytes = 4},
    [CUDA_OPCODE_PRIMARY_RETAIN] = MADE(CONTEXT),
    [CUDA_OPCODE_CTX_CREATE] = MADE(CONTEXT),
    [CUDA_OPCODE_CTX_SET_LIMIT] = {.place = WITH_CONTEXT, .key_bytes = 4},
    [CUDA_OPCODE_CTX_SET_CACHE_CONFIG] = {.place = WITH_CONTEXT, .key_bytes = UINT16_MAX},
    [CUDA_OPCODE_CTX_SET_SHARED_CONFIG] = {.place = WITH_CONTEXT, .key_bytes = UINT16_MAX},
    [CUDA_OPCODE_CTX_SET_FLAGS] = {.place = WITH_CONTEXT, .key_bytes = UINT16_MAX},
    [CUDA_OPCODE_PEER_ENABLE] = {.place = WITH_CONTEXT, .key_bytes = 4},
    [CUDA_OPCODE_PEER_DISABLE] = {.place = WITH_CONTEXT, .key_bytes = 4, .cancels = CUDA_OPCODE_PEER_ENABLE},
    [CUDA_OPCODE_MODULE_LOAD] = MADE(MODULE),
    [CUDA_OPCODE_MODULE_FUNCTION] = MADE(FUNCTION),
    [CUDA_OPCODE_MODULE_GLOBAL] = {.place = WITH_FIRST,
                                   .kind = CUDA_HANDLE_MODULE,
                                   .key_bytes = UINT16_MAX,
                                   .told = true},
    [CUDA_OPCODE_FUNCTION_SET_ATTRIBUTE] = SET(FUNCTION, 8),
    [CUDA_OPCODE_FUNCTION_SET_CACHE_CONFIG] = SET(FUNCTION, 4),
    [CUDA_OPCODE_FUNCTION_SET_SHARED_CONFIG] = SET(FUNCTION, 4),
    [CUDA_OPCODE_FUNCTION_LOAD] = SET(FUNCTION, 4),
    [CUDA_OPCODE_LIBRARY_LOAD] = MADE(LIBRARY),
    [CUDA_OPCODE_LIBRARY_KERNEL] = MADE(FUNCTION),
    [CUDA_OPCODE_LIBRARY_MODULE] = MADE(MODULE),
    [CUDA_OPCODE_KERNEL_INFO] = SET(FUNCTION, 4),
    [CUDA_OPCODE_KERNEL_SET_ATTRIBUTE] = {.place = WITH_FIRST,
                                          .kind = CUDA_HANDLE_FUNCTION,
                                          .key_bytes = 8,
                                          .also_at = offsetof(struct cuda_kernel_set_attribute_request, device)},
    [CUDA_OPCODE_KERNEL_SET_CACHE_CONFIG] = {.place = WITH_FIRST,
                                             .kind = CUDA_HANDLE_FUNCTION,
                                             .key_bytes = 4,
                                             .also_at = offsetof(struct cuda_kernel_set_cache_config_request, device)},
    [CUDA_OPCODE_STREAM_CREATE] = MADE(STREAM),
    [CUDA_OPCODE_EVENT_CREATE] = MADE(EVENT),
    [CUDA_OPCODE_POOL_CREATE] = MADE(POOL),
    [CUDA_OPCODE_POOL_DEFAULT] = MADE(POOL),
    [CUDA_OPCODE_POOL_SET_ATTRIBUTE] = SET(POOL, 8),
    [CUDA_OPCODE_PHYSICAL_CREATE] = MADE_TOLD(PHYSICAL),
    [CUDA_OPCODE_ARRAY_CREATE] = MADE_TOLD(CUARRAY),
    [CUDA_OPCODE_ARRAY_PLANE] = MADE_TOLD(CUARRAY),
    [CUDA_OPCODE_MIPMAP_CREATE] = MADE(MIPMAP),
    [CUDA_OPCODE_MIPMAP_LEVEL] = MADE_TOLD(CUARRAY),
    [CUDA_OPCODE_TEXTURE_CREATE] = MADE_TOLD(TEXTURE),
    [CUDA_OPCODE_SURFACE_CREATE] = MADE_TOLD(SURFACE),
    [CUDA_OPCODE_GRAPH_INSTANTIATE] = MADE(GRAPH_EXEC),
};

/* ---- Keeping --------------------------------------------------------------------------------- */

void
cuda_records_free(struct cuda_record *records)
{
    struct cuda_record *record;

    while ((record = records)) {
        records = record->next;
        free(record);
    }
}

static struct cuda_record *
record_copy(const struct gpuvchan_request *request, const struct cuda_context *current, bool told)
{
    uint32_t reply_bytes = told ? request->reply_bytes : 0;
    struct cuda_record *record = malloc(sizeof(*record) + request->bytes + reply_bytes);

    if (!record)
        return NULL;
    *record = (struct cuda_record){.context = current ? current->object.handle : 0,
                                   .opcode = request->opcode,
                                   .bytes = request->bytes,
                                   .reply_bytes = reply_bytes};
    memcpy(record->data, request->payload, request->bytes);
    if (reply_bytes)
        memcpy(record->data + record->bytes, request->reply, reply_bytes);
    return record;
}

static bool
same_thing(const struct cuda_record *record, const struct cuda_record *other, uint32_t key_bytes, uint16_t also_at)
{
    if (record->opcode != other->opcode)
        return false;
    if (key_bytes > record->bytes) { /* all of it */
        uint32_t bytes = record->opcode == CUDA_OPCODE_MODULE_GLOBAL ? record->bytes : 0;

        return record->bytes == other->bytes && memcmp(record->data, other->data, bytes) == 0;
    }
    return other->bytes >= key_bytes && memcmp(record->data, other->data, key_bytes) == 0 &&
           (also_at == 0 || memcmp(record->data + also_at, other->data + also_at, sizeof(uint32_t)) == 0);
}

/* Puts it at the end of the list; what it supersedes goes. With the host's lock. */
static void
enlist(struct cuda_host *host, struct cuda_record **list, struct cuda_record *record, uint32_t key_bytes,
       uint16_t also_at)
{
    while (*list) {
        struct cuda_record *other = *list;

        if (key_bytes && same_thing(record, other, key_bytes, also_at)) {
            *list = other->next;
            free(other);
        } else {
            list = &other->next;
        }
    }
    record->number = ++host->records_kept;
    record->next = NULL;
    *list = record;
}

static void
keep(struct gpuvchan_request *request, struct cuda_object *object, struct cuda_record **list, uint32_t key_bytes,
     uint16_t also_at, bool told)
{
    struct cuda_host *host = cuda_host_of(request);
    const struct cuda_lane *lane = cuda_lane_of(request);
    struct cuda_record *record = record_copy(request, lane ? lane->current : NULL, told);

    pthread_mutex_lock(&host->lock);
    /* Another lane may have ended it by now: then there is nothing to be made again. */
    if (!record)
        host->records_lost = true;
    else if (!object || object->made || object->kind == CUDA_OBJECT_STREAM)
        enlist(host, list, record, key_bytes, also_at), record = NULL;
    pthread_mutex_unlock(&host->lock);
    free(record);
}

void
cuda_record_keep(struct gpuvchan_request *request, struct cuda_object *object, uint32_t key_bytes)
{
    keep(request, object, &object->records, key_bytes, 0, false);
}

void
cuda_record_drop(struct cuda_host *host, struct cuda_object *object, uint16_t opcode, const void *key, uint32_t bytes)
{
    struct cuda_record **at = &object->records;

    pthread_mutex_lock(&host->lock);
    while (*at) {
        struct cuda_record *record = *at;
        bool same = record->opcode == opcode && record->bytes >= bytes;

        if (same && (bytes == 0 || memcmp(record->data, key, bytes) == 0)) {
            *at = record->next;
            free(record);
        } else {
            at = &record->next;
        }
    }
    pthread_mutex_unlock(&host->lock);
}

/* ---- The table ------------------------------------------------------------------------------- */

static struct cuda_object *
object_of(const struct gpuvchan_request *request, const struct rule *rule)
{
    const struct cuda_lane *lane = cuda_lane_of(request);
    uint32_t handle;

    if (rule->place == WITH_CONTEXT)
        return lane->current ? &lane->current->object : NULL;
    memcpy(&handle, request->payload, sizeof(handle));
    return gpuvchan_handles_lookup(cuda_host_of(request)->handles, handle, rule->kind);
}

static int
execute_kept(struct gpuvchan_request *request)
{
    const struct rule *rule = &rules[request->opcode];
    int result = cuda_dispatch.entries[request->opcode].execute(request);
    struct cuda_host *host = cuda_host_of(request);
    struct cuda_object *object;

    if (result != 0)
        return result;
    if (rule->place == WITH_PROCESS) {
        keep(request, NULL, &host->records, rule->key_bytes, rule->also_at, rule->told);
        return 0;
    }
    object = object_of(request, rule);
    if (object && rule->cancels)
        cuda_record_drop(host, object, rule->cancels, request->payload, rule->key_bytes);
    else if (object)
        keep(request, object, &object->records, rule->key_bytes, rule->also_at, rule->told);
    return 0;
}

bool
cuda_record_is_kept(uint16_t opcode)
{
    return opcode < CUDA_OPCODES && rules[opcode].place != NOWHERE && !rules[opcode].cancels;
}

uint32_t
cuda_record_image_at(uint16_t opcode)
{
    if (opcode == CUDA_OPCODE_MODULE_LOAD)
        return offsetof(struct cuda_module_load_request, image);
    return opcode == CUDA_OPCODE_LIBRARY_LOAD ? offsetof(struct cuda_library_load_request, image) : 0;
}

static struct gpuvchan_entry entries[CUDA_OPCODES];
struct gpuvchan_dispatch cuda_kept_dispatch;

static void __attribute__((constructor)) fill(void)
{
    memcpy(entries, cuda_dispatch.entries, sizeof(entries));
    for (uint32_t i = 0; i < CUDA_OPCODES; i++)
        if (rules[i].place != NOWHERE)
            entries[i].execute = execute_kept;
    cuda_kept_dispatch = cuda_dispatch;
    cuda_kept_dispatch.entries = entries;
}
