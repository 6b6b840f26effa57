/* SPDX-License-Identifier: MIT */
/*
 * The tables that the CUDA runtime and NVIDIA's libraries ask for; see cudart_compat.h.
 *
 * Design notes: each library that contains a runtime asks for all of them again, and calls some of them at nearly
 * every function of its own. All is therefore answered here, without the host and without a lock: storage of contexts
 * is a list that only grows, in which values come and go.
 *
 * A table begins with its size in bytes, but for the one of storage. What nobody has described answers
 * CUDA_ERROR_NOT_SUPPORTED, and so does every function of a table that is not known: libraries go on without.
 */
#include "cudart_compat.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "context.h"

typedef const void *slot;

#define FUNCTION(name) ((slot)(uintptr_t)(name))
#define BYTES(slots) ((slot)((slots) * sizeof(slot)))

static CUresult
not_supported(void)
{
    return CUDA_ERROR_NOT_SUPPORTED;
}
#define NOTHING FUNCTION(not_supported)

static void
nothing(void)
{
}

/* ---- The runtime's own ------------------------------------------------------------------------ */

static CUresult
module_from_wrapper(CUmodule *module, const void *wrapper)
{
    return cuModuleLoadData(module, wrapper);
}

static CUresult
module_from_wrapper_more(CUmodule *module, const void *wrapper, const void *a, const void *b, unsigned c)
{
    return a || b || c ? CUDA_ERROR_NOT_SUPPORTED : cuModuleLoadData(module, wrapper);
}

static CUresult
module_from_fatbin(const void *fatbin, CUmodule *module, const void *a, const void *b, unsigned c)
{
    return a || b || c ? CUDA_ERROR_NOT_SUPPORTED : cuModuleLoadData(module, fatbin);
}

static CUresult
load_compilers(void)
{
    return CUDA_SUCCESS;
}

static const slot runtime_table[13] = {
    BYTES(13),
    FUNCTION(module_from_wrapper),
    FUNCTION(cuda_guest_primary_handle),
    NOTHING,
    NOTHING,
    NOTHING,
    FUNCTION(module_from_wrapper_more),
    FUNCTION(nothing),
    FUNCTION(module_from_fatbin),
    NOTHING,
    NOTHING,
    NOTHING,
    FUNCTION(load_compilers),
};

/* ---- Tools: none is there -------------------------------------------------------------------- */

static CUresult
tools_context(CUcontext *context)
{
    return cuCtxGetCurrent(context);
}

static const slot tools_tls_table[4] = {BYTES(4), NOTHING, FUNCTION(tools_context), NOTHING};

/* Which functions a tool wants to hear of: all zero. */
static uint32_t hooks_wanted[1024], hooks_more[14];

static void
hooks_buffer(void **buffer, size_t *count)
{
    *buffer = hooks_wanted;
    *count = sizeof(hooks_wanted) / sizeof(hooks_wanted[0]);
}

static void
hooks_buffer_more(void **buffer, size_t *count)
{
    *buffer = hooks_more;
    *count = sizeof(hooks_more) / sizeof(hooks_more[0]);
}

static const slot hooks_table[7] = {
    BYTES(7),          FUNCTION(nothing), FUNCTION(hooks_buffer),      FUNCTION(nothing),
    FUNCTION(nothing), FUNCTION(nothing), FUNCTION(hooks_buffer_more),
};

/* ---- Storage of contexts --------------------------------------------------------------------- */

typedef void storage_end(CUcontext context, void *key, void *value);

/* An entry is one key's for ever, so that who looks needs no lock: its value comes and goes. */
struct cuda_guest_storage {
    void *key;
    _Atomic(void *) value; /* absent, when there is none */
    storage_end *end;      /* with the lock */
    struct cuda_guest_storage *next;
};

static char absent;
static pthread_mutex_t storage_lock = PTHREAD_MUTEX_INITIALIZER;

static struct cuda_guest_context *
storage_context(CUcontext handle)
{
    const struct cuda_guest_context *context;

    if (!handle || handle == (CUcontext)(intptr_t)-1)
        return cuda_guest_current(cuda_guest_self());
    context = cuda_guest_context_find(handle);
    return context ? context->root : NULL;
}

static struct cuda_guest_storage *
storage_find(const struct cuda_guest_context *context, const void *key)
{
    struct cuda_guest_storage *entry = atomic_load_explicit(&context->storage, memory_order_acquire);

    while (entry && entry->key != key)
        entry = entry->next;
    return entry;
}

static CUresult
storage_get(void **value, CUcontext handle, void *key)
{
    const struct cuda_guest_context *context = storage_context(handle);
    const struct cuda_guest_storage *entry;
    void *found;

    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    entry = storage_find(context, key);
    found = entry ? atomic_load_explicit(&entry->value, memory_order_acquire) : &absent;
    if (found == &absent)
        return CUDA_ERROR_INVALID_HANDLE;
    *value = found;
    return CUDA_SUCCESS;
}

/* The life of a context ends: whose values are in it hears of that. */
static void
storage_drop(struct cuda_guest_context *context)
{
    struct cuda_guest_storage *entry = atomic_load_explicit(&context->storage, memory_order_acquire);

    for (; entry; entry = entry->next) {
        storage_end *end;
        void *value;

        pthread_mutex_lock(&storage_lock);
        value = atomic_exchange(&entry->value, &absent);
        end = entry->end;
        pthread_mutex_unlock(&storage_lock);
        if (value != &absent && end)
            end(cuda_guest_context_handle(context), entry->key, value);
    }
}

/* With the lock. */
static struct cuda_guest_storage *
storage_make(struct cuda_guest_context *context, void *key)
{
    struct cuda_guest_storage *entry = calloc(1, sizeof(*entry));

    if (!entry)
        return NULL;
    entry->key = key;
    atomic_store_explicit(&entry->value, &absent, memory_order_relaxed);
    entry->next = atomic_load(&context->storage);
    atomic_store_explicit(&context->storage, entry, memory_order_release);
    context->storage_drop = storage_drop;
    return entry;
}

static CUresult
storage_put(CUcontext handle, void *key, void *value, storage_end *end)
{
    struct cuda_guest_context *context = storage_context(handle);
    struct cuda_guest_storage *entry;

    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    pthread_mutex_lock(&storage_lock);
    entry = storage_find(context, key);
    if (!entry)
        entry = storage_make(context, key);
    if (entry) {
        entry->end = end;
        atomic_store_explicit(&entry->value, value, memory_order_release);
    }
    pthread_mutex_unlock(&storage_lock);
    return entry ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult
storage_delete(CUcontext handle, void *key)
{
    struct cuda_guest_context *context = storage_context(handle);
    struct cuda_guest_storage *entry;
    void *old = &absent;

    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    pthread_mutex_lock(&storage_lock);
    entry = storage_find(context, key);
    if (entry)
        old = atomic_exchange(&entry->value, &absent);
    pthread_mutex_unlock(&storage_lock);
    return old != &absent ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static const slot storage_table[4] = {FUNCTION(storage_put), FUNCTION(storage_delete), FUNCTION(storage_get), NOTHING};

/* ---- Checks ---------------------------------------------------------------------------------- */

static CUresult
context_check(CUcontext context, uint32_t *state, void **more)
{
    (void)context;
    (void)more;
    *state = 0;
    return CUDA_SUCCESS;
}

static uint32_t
always_zero(void)
{
    return 0;
}

static const slot checks_table[17] = {
    BYTES(17),
    NOTHING,
    FUNCTION(context_check),
    FUNCTION(always_zero),
    NOTHING,
    NOTHING,
    NOTHING,
    NOTHING,
    NOTHING,
    NOTHING,
    NOTHING,
    NOTHING,
    NOTHING,
    NOTHING,
    NOTHING,
    NOTHING,
    NOTHING,
};

/*
 * The runtime has a number computed from what it can check itself, which it compares. Version, UUIDs and places of the
 * devices are those that this library answers elsewhere.
 */
static CUresult integrity(uint32_t version, uint64_t seconds, uint64_t out[2]);

static const slot integrity_table[3] = {BYTES(3), FUNCTION(integrity), NOTHING};

struct integrity_process {
    uint32_t driver_version, version, process, thread;
    const void *runtime_table, *integrity_table;
    slot function;
    uint64_t seconds;
};
_Static_assert(sizeof(struct integrity_process) == 48, "no padding");

struct integrity_device {
    CUuuid uuid;
    int32_t domain, bus, device;
};
_Static_assert(sizeof(struct integrity_device) == 28, "no padding");

static CUresult
integrity(uint32_t version, uint64_t seconds, uint64_t out[2])
{
    static const uint8_t key[16] = {0x14, 0x6a, 0xdd, 0xae, 0x53, 0xa9, 0xa7, 0x52,
                                    0xaa, 0x08, 0x41, 0x36, 0x0b, 0xf5, 0x5a, 0x9f};
    struct integrity_process process = {
        .driver_version = (uint32_t)cuda_guest.version,
        .version = version,
        .process = (uint32_t)getpid(),
        .thread = (uint32_t)pthread_self(),
        .runtime_table = runtime_table,
        .integrity_table = integrity_table,
        .function = integrity_table[1],
        .seconds = seconds,
    };
    struct cuda_guest_hmac hmac;
    uint8_t digest[16];

    if (version % 10 < 2) {
        out[0] = version % 10 == 0 ? 0x3341181c03cb675cu : 0x1841181c03cb675cu;
        out[1] = 0x8ed383aa1f4cd1e8u;
        return CUDA_SUCCESS;
    }
    cuda_guest_hmac_begin(&hmac, key);
    cuda_guest_hmac_add(&hmac, &process, sizeof(process));
    for (int i = 0; i < cuda_guest.devices; i++) {
        const struct cuda_guest_device *device = &cuda_guest.device[i];
        struct integrity_device place = {
            .uuid = device->uuid,
            .domain = device->attributes[CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID],
            .bus = device->attributes[CU_DEVICE_ATTRIBUTE_PCI_BUS_ID],
            .device = device->attributes[CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID],
        };

        cuda_guest_hmac_add(&hmac, &place, sizeof(place));
    }
    cuda_guest_hmac_end(&hmac, digest);
    memcpy(out, digest, sizeof(digest));
    return CUDA_SUCCESS;
}

/* ---- What libraries ask for ------------------------------------------------------------------ */

static CUresult
library_context_id(CUcontext context, unsigned long long *id)
{
    return cuCtxGetId(context, id);
}

static CUresult
library_object_state(const void *object, uintptr_t key, uint64_t *state)
{
    (void)object;
    (void)key;
    *state = 0;
    return CUDA_SUCCESS;
}

/* Something per stream that its callers only hand back. */
static CUresult
library_stream_object(CUcontext context, CUstream stream, void **object)
{
    static char any;

    (void)context;
    (void)stream;
    *object = &any;
    return CUDA_SUCCESS;
}

#define LIBRARY_SLOTS 94
static slot library_table[LIBRARY_SLOTS];

/* Calls back for each function of the module; 1: it has. */
static int
module_visit(CUcontext context, CUmodule module, void (*visit)(void *with, CUfunction function, int index), void *with)
{
    unsigned int count = 0;
    CUfunction *functions;

    (void)context;
    if (cuModuleGetFunctionCount(&count, module) != CUDA_SUCCESS)
        return 0;
    functions = calloc(count + 1, sizeof(*functions));
    if (functions && cuModuleEnumerateFunctions(functions, count, module) == CUDA_SUCCESS)
        for (unsigned i = 0; i < count; i++)
            visit(with, functions[i], (int)i);
    else
        count = UINT32_MAX;
    free(functions);
    return count != UINT32_MAX;
}

static const slot module_table[8] = {BYTES(8), NOTHING, NOTHING, NOTHING,
                                     NOTHING,  NOTHING, NOTHING, FUNCTION(module_visit)};

static const slot context_create_table[2] = {BYTES(2), FUNCTION(cuCtxCreate_v2)};

/* ---- By UUID --------------------------------------------------------------------------------- */

#define UNKNOWN_SLOTS 128
static slot unknown_table[UNKNOWN_SLOTS];

__attribute__((constructor)) static void
fill(void)
{
    for (unsigned i = 1; i < LIBRARY_SLOTS; i++)
        library_table[i] = NOTHING;
    library_table[0] = BYTES(LIBRARY_SLOTS);
    library_table[4] = FUNCTION(library_context_id);
    library_table[39] = FUNCTION(library_object_state);
    library_table[51] = FUNCTION(library_stream_object);
    for (unsigned i = 1; i < UNKNOWN_SLOTS; i++)
        unknown_table[i] = NOTHING;
    unknown_table[0] = BYTES(UNKNOWN_SLOTS);
}

static const struct {
    uint8_t uuid[16];
    const slot *table; /* NULL: there is none, and who asks can do without */
} tables[] = {
    {{0x6b, 0xd5, 0xfb, 0x6c, 0x5b, 0xf4, 0xe7, 0x4a, 0x89, 0x87, 0xd9, 0x39, 0x12, 0xfd, 0x9d, 0xf9}, runtime_table},
    {{0x42, 0xd8, 0x5a, 0x81, 0x23, 0xf6, 0xcb, 0x47, 0x82, 0x98, 0xf6, 0xe7, 0x8a, 0x3a, 0xec, 0xdc}, tools_tls_table},
    {{0xa0, 0x94, 0x79, 0x8c, 0x2e, 0x74, 0x2e, 0x74, 0x93, 0xf2, 0x08, 0x00, 0x20, 0x0c, 0x0a, 0x66}, hooks_table},
    {{0xc6, 0x93, 0x33, 0x6e, 0x11, 0x21, 0xdf, 0x11, 0xa8, 0xc3, 0x68, 0xf3, 0x55, 0xd8, 0x95, 0x93}, storage_table},
    {{0x26, 0x3e, 0x88, 0x60, 0x7c, 0xd2, 0x61, 0x43, 0x92, 0xf6, 0xbb, 0xd5, 0x00, 0x6d, 0xfa, 0x7e}, checks_table},
    {{0xd4, 0x08, 0x20, 0x55, 0xbd, 0xe6, 0x70, 0x4b, 0x8d, 0x34, 0xba, 0x12, 0x3c, 0x66, 0xe1, 0xf2}, integrity_table},
    {{0x21, 0x31, 0x8c, 0x60, 0x97, 0x14, 0x32, 0x48, 0x8c, 0xa6, 0x41, 0xff, 0x73, 0x24, 0xc8, 0xf2}, library_table},
    {{0x6e, 0x16, 0x3f, 0xbe, 0xb9, 0x58, 0x44, 0x4d, 0x83, 0x5c, 0xe1, 0x82, 0xaf, 0xf1, 0x99, 0x1e}, module_table},
    {{0x0c, 0xa5, 0x0b, 0x8c, 0x10, 0x04, 0x92, 0x9a, 0x89, 0xa7, 0xd0, 0xdf, 0x10, 0xe7, 0x72, 0x86},
     context_create_table},
    {{0xf8, 0xcf, 0xf9, 0x51, 0x21, 0x46, 0x8b, 0x4e, 0xb9, 0xe2, 0xfb, 0x46, 0x9e, 0x7c, 0x0d, 0xd9}, NULL},
};

/* The tables of profilers begin with this; none of them works here, and they must know. */
static const uint8_t profiler[4] = {0x7c, 0xb6, 0x3f, 0x9b};

static void
tell(const CUuuid *which, const char *answer)
{
    const unsigned char *b = (const unsigned char *)which->bytes;

    gpuvchan_log(GPUVCHAN_LOG_DEBUG,
                 "cuda: table %02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x: %s", b[0], b[1],
                 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15], answer);
}

ENTRY
cuGetExportTable(const void **table, const CUuuid *which)
{
    if (!table || !which)
        return CUDA_ERROR_INVALID_VALUE;
    *table = memcmp(which->bytes, profiler, sizeof(profiler)) == 0 ? NULL : unknown_table;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        if (memcmp(which->bytes, tables[i].uuid, sizeof(tables[i].uuid)) == 0)
            *table = tables[i].table;
    tell(which, !*table ? "none" : *table == (const void *)unknown_table ? "not known" : "given");
    return *table ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
