/* SPDX-License-Identifier: MIT */
/*
 * See libcuda.h. Kernels are called k0 to k9, with as many parameters of 4 and 8 bytes in turn; globals g... A library
 * has the same. What a linker makes is 5000 bytes.
 */
#include "libcuda.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cuda_api.h"

#define EXPORT __attribute__((visibility("default")))
#define DEVICES 2
#define SLOTS 256u
#define SLOT_BYTES (1u << 20)
#define OBJECTS 65536u
#define GLOBAL_BYTES 256u

/* Those that are counted have their number in fake_cuda.live. */
enum kind {
    CONTEXT = FAKE_CONTEXTS,
    MODULE = FAKE_MODULES,
    STREAM = FAKE_STREAMS,
    EVENT = FAKE_EVENTS,
    LIBRARY = FAKE_LIBRARIES,
    LINK = FAKE_LINKS,
    FUNCTION = FAKE_LIVE,
    KERNEL,
    ARRAY,
    MIPMAP,
    TEXTURE,
    SURFACE
};

/* A handle is the address of one of these. They are never used again: a stale handle stays recognisable. */
struct object {
    enum kind kind;
    bool alive;
    struct object *context;
    struct object *module;  /* of a function; the mipmapped array of a level */
    struct object *library; /* of a kernel, and of a module that goes with it */
    const char *image;      /* of a library, which stays with it */
    unsigned char *linked;
    CUdevice device;
    bool primary;
    unsigned parameters;
    CUdeviceptr globals; /* of a module: a slot */
    CUDA_ARRAY3D_DESCRIPTOR array;
};

struct slot {
    bool used;
    bool globals; /* of a module, or of nobody's context */
    bool taken;   /* by fake_cuda_take() */
    size_t bytes;
    struct object *context;
};

struct registration {
    unsigned char *start;
    size_t bytes;
    struct object *context;
};

EXPORT struct fake_cuda fake_cuda;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct object *objects;
static unsigned object_count;
static struct object *primaries[DEVICES];
static unsigned primary_retains[DEVICES];
static unsigned char *device_memory;
static struct slot slots[SLOTS];
static struct registration registrations[SLOTS];
static _Thread_local struct object *currents[FAKE_THREADS];
static _Thread_local unsigned acting; /* as which thread */
#define current (currents[acting])

/* ---- What it says ---------------------------------------------------------------------------- */

static void __attribute__((format(printf, 1, 2), noreturn)) violation(const char *format, ...)
{
    va_list list;

    fprintf(stderr, "fake libcuda: ");
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\n");
    abort();
}

static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(fake_cuda.lines[fake_cuda.calls++ % FAKE_LINES], FAKE_LINE, format, list);
    va_end(list);
}

static bool
told_to_fail(const char *function, CUresult *result)
{
    if (!fake_cuda.fail || strcmp(fake_cuda.fail, function) != 0)
        return false;
    fake_cuda.fail = NULL;
    *result = (CUresult)fake_cuda.fail_result;
    return true;
}

/* All functions run one at a time. */
#define BEGIN(...)                       \
    CUresult result = CUDA_SUCCESS;      \
    pthread_mutex_lock(&lock);           \
    say(__VA_ARGS__);                    \
    if (told_to_fail(__func__, &result)) \
        goto out;
#define END                      \
    out:                         \
    pthread_mutex_unlock(&lock); \
    return result;
#define FAIL(value)       \
    do {                  \
        result = (value); \
        goto out;         \
    } while (0)
#define NEED_CONTEXT                               \
    do {                                           \
        if (!current)                              \
            FAIL(CUDA_ERROR_INVALID_CONTEXT);      \
        if (!current->alive)                       \
            FAIL(CUDA_ERROR_CONTEXT_IS_DESTROYED); \
        if (fake_cuda.fault)                       \
            FAIL((CUresult)fake_cuda.fault);       \
    } while (0)

/* ---- What exists ----------------------------------------------------------------------------- */

static struct object *
make(enum kind kind)
{
    struct object *object;

    if (!objects)
        objects = calloc(OBJECTS, sizeof(*objects));
    if (!objects || object_count == OBJECTS)
        return NULL;
    object = &objects[object_count++];
    *object = (struct object){.kind = kind, .alive = true, .context = current};
    if (kind < FUNCTION)
        fake_cuda.live[kind]++;
    return object;
}

static struct object *
check(void *handle, enum kind kind, const char *function)
{
    struct object *object = handle;

    if (!objects || object < objects || object >= objects + object_count ||
        ((char *)handle - (char *)objects) % (ptrdiff_t)sizeof(*objects) != 0)
        violation("%s: %p was never a handle", function, handle);
    if (object->kind != kind)
        violation("%s: a handle of kind %d where %d belongs", function, (int)object->kind, (int)kind);
    if (!object->alive)
        violation("%s: a handle of kind %d that is destroyed", function, (int)kind);
    return object;
}

/* What is launched: a function, or a library's kernel. */
static struct object *
check_launched(CUfunction handle, const char *function)
{
    const struct object *object = (const void *)handle;
    bool kernel = objects && object >= objects && object < objects + object_count && object->kind == KERNEL;

    return check(handle, kernel ? KERNEL : FUNCTION, function);
}

static void
check_stream(CUstream stream, const char *function)
{
    if (stream && stream != CU_STREAM_LEGACY && stream != CU_STREAM_PER_THREAD)
        check(stream, STREAM, function);
}

static void
drop(struct object *object)
{
    object->alive = false;
    if (object->kind < FUNCTION)
        fake_cuda.live[object->kind]--;
    for (unsigned i = 0; (object->kind == MODULE || object->kind == MIPMAP) && i < object_count; i++)
        if (objects[i].kind >= FUNCTION && objects[i].module == object)
            objects[i].alive = false;
    for (unsigned i = 0; object->kind == LIBRARY && i < object_count; i++)
        if (objects[i].alive && objects[i].library == object)
            drop(&objects[i]);
    if (object->kind == LINK)
        free(object->linked);
    if (object->kind == MODULE)
        slots[(object->globals - (uintptr_t)device_memory) / SLOT_BYTES].used = false;
}

static void
drop_context(struct object *context)
{
    for (unsigned i = 0; i < object_count; i++)
        if (objects[i].alive && objects[i].context == context && objects[i].kind < FUNCTION &&
            objects[i].kind != LIBRARY)
            drop(&objects[i]);
    for (unsigned i = 0; i < SLOTS; i++) {
        if (slots[i].used && slots[i].context == context) {
            slots[i].used = false;
            fake_cuda.live[FAKE_ALLOCATIONS]--;
        }
        if (registrations[i].start && registrations[i].context == context) {
            registrations[i].start = NULL;
            fake_cuda.live[FAKE_REGISTRATIONS]--;
            fake_cuda.registrations_left++;
        }
    }
    context->alive = false;
    fake_cuda.live[FAKE_CONTEXTS]--;
}

static CUdeviceptr
take_slot(size_t bytes, bool globals)
{
    if (!device_memory) {
        device_memory = mmap(NULL, (size_t)SLOTS * SLOT_BYTES, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (device_memory == MAP_FAILED)
            violation("no memory");
    }
    for (unsigned i = 0; bytes > 0 && bytes <= SLOT_BYTES && i < SLOTS; i++)
        if (!slots[i].used) {
            slots[i] =
                (struct slot){.used = true, .globals = globals, .bytes = bytes, .context = globals ? NULL : current};
            if (!globals)
                fake_cuda.live[FAKE_ALLOCATIONS]++;
            return (uintptr_t)device_memory + (size_t)i * SLOT_BYTES;
        }
    return 0;
}

#include "virtual.h"

static bool
has_device(CUdeviceptr address, size_t bytes)
{
    uintptr_t offset = address - (uintptr_t)device_memory;

    if (device_memory && offset < (size_t)SLOTS * SLOT_BYTES) {
        struct slot *slot = &slots[offset / SLOT_BYTES];

        if (slot->used && offset % SLOT_BYTES < slot->bytes && bytes <= slot->bytes - offset % SLOT_BYTES)
            return true;
    }
    for (unsigned i = 0; i < SLOTS; i++)
        if (registrations[i].start && address >= (uintptr_t)registrations[i].start &&
            address - (uintptr_t)registrations[i].start < registrations[i].bytes &&
            bytes <= registrations[i].bytes - (address - (uintptr_t)registrations[i].start))
            return true;
    return virtual_holds(address, bytes);
}

static void
check_device(CUdeviceptr address, size_t bytes, const char *function)
{
    if (bytes != 0 && !has_device(address, bytes))
        violation("%s: %zu bytes at device address 0x%llx are nobody's", function, bytes, address);
}

static void
check_host(const void *pointer, size_t bytes, const char *function)
{
    for (unsigned i = 0; i < FAKE_HOST_AREAS; i++) {
        uintptr_t start = (uintptr_t)fake_cuda.host[i].start, at = (uintptr_t)pointer;

        if (start && at >= start && at - start <= fake_cuda.host[i].bytes &&
            bytes <= fake_cuda.host[i].bytes - (at - start))
            return;
    }
    violation("%s: %zu bytes at host address %p are not the guest's", function, bytes, pointer);
}

/* ---- For others ------------------------------------------------------------------------------ */

bool
fake_cuda_owns(const void *handle)
{
    const struct object *object = handle;

    return virtual_owns(handle) ||
           (objects && object >= objects && object < objects + object_count &&
            ((const char *)handle - (const char *)objects) % (ptrdiff_t)sizeof(*objects) == 0 && object->alive);
}

bool
fake_cuda_has(uint64_t address)
{
    return has_device(address, 1);
}

uint64_t
fake_cuda_take(void)
{
    CUdeviceptr address = take_slot(FAKE_TAKEN_BYTES, true);

    if (address)
        slots[(address - (uintptr_t)device_memory) / SLOT_BYTES].taken = true;
    return address;
}

void
fake_cuda_give_back(uint64_t address)
{
    uint64_t offset = address - (uintptr_t)device_memory;

    if (device_memory && offset < (size_t)SLOTS * SLOT_BYTES && slots[offset / SLOT_BYTES].taken)
        slots[offset / SLOT_BYTES] = (struct slot){0};
}

/* ---- Between guest processes ----------------------------------------------------------------- */

EXPORT void
fake_cuda_reset(void)
{
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < SLOTS; i++)
        if (slots[i].taken)
            slots[i] = (struct slot){0};
    for (unsigned i = 0; i < FAKE_LIVE; i++)
        if (fake_cuda.live[i] != 0 && i != FAKE_POOLED) /* which the process's end frees where no context is left */
            violation("%u objects of kind %u have been left", fake_cuda.live[i], i);
    object_count = 0;
    fake_cuda.live[FAKE_POOLED] = 0;
    virtual_reset();
    fake_cuda.fault = 0;
    fake_cuda.fail = NULL;
    memset(currents, 0, sizeof(currents));
    pthread_mutex_unlock(&lock);
}

EXPORT void
fake_cuda_act_as(unsigned thread)
{
    acting = thread;
}

/* ---- The driver and devices ------------------------------------------------------------------ */

EXPORT CUresult
cuInit(unsigned int flags)
{
    return flags ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

EXPORT CUresult
cuDriverGetVersion(int *version)
{
    *version = 13000;
    return CUDA_SUCCESS;
}

EXPORT CUresult
cuGetErrorName(CUresult error, const char **name)
{
    (void)error;
    *name = "CUDA_ERROR_FAKE";
    return CUDA_SUCCESS;
}

EXPORT CUresult
cuDeviceGet(CUdevice *device, int ordinal)
{
    *device = ordinal;
    return ordinal >= 0 && ordinal < DEVICES ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

EXPORT CUresult
cuDeviceGetCount(int *count)
{
    *count = DEVICES;
    return CUDA_SUCCESS;
}

EXPORT CUresult
cuDeviceGetName(char *name, int bytes, CUdevice device)
{
    snprintf(name, (size_t)bytes, "Fake device %d", device);
    return CUDA_SUCCESS;
}

EXPORT CUresult
cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
    memset(uuid, 0x40 + device, sizeof(*uuid));
    return CUDA_SUCCESS;
}

EXPORT CUresult
cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
    (void)device;
    *bytes = (size_t)SLOTS * SLOT_BYTES;
    return CUDA_SUCCESS;
}

EXPORT CUresult
cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    (void)device;
    if (attribute >= CU_DEVICE_ATTRIBUTE_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    *value = attribute == CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS ? fake_cuda.pageable
             : attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_MODE         ? fake_cuda.mode
                                                                     : (int)attribute + 1000;
    return CUDA_SUCCESS;
}

/* ---- Contexts -------------------------------------------------------------------------------- */

EXPORT CUresult
cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
    BEGIN("cuDevicePrimaryCtxRetain %d", device)
    if (!primaries[device]) {
        primaries[device] = make(CONTEXT);
        if (!primaries[device])
            FAIL(CUDA_ERROR_OUT_OF_MEMORY);
        primaries[device]->context = NULL;
        primaries[device]->device = device;
        primaries[device]->primary = true;
    }
    primary_retains[device]++;
    *context = (CUcontext)(void *)primaries[device];
    END
}

static CUresult
release_primary(CUdevice device, bool all)
{
    if (!primaries[device] || primary_retains[device] == 0)
        return CUDA_ERROR_INVALID_CONTEXT;
    primary_retains[device] = all ? 0 : primary_retains[device] - 1;
    if (primary_retains[device] == 0) {
        drop_context(primaries[device]);
        primaries[device] = NULL;
    }
    return CUDA_SUCCESS;
}

EXPORT CUresult
cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
    BEGIN("cuDevicePrimaryCtxRelease %d", device)
    result = release_primary(device, false);
    END
}

EXPORT CUresult
cuDevicePrimaryCtxReset_v2(CUdevice device)
{
    BEGIN("cuDevicePrimaryCtxReset %d", device)
    result = release_primary(device, true);
    END
}

EXPORT CUresult
cuDevicePrimaryCtxSetFlags_v2(CUdevice device,
                              unsigned int flags){BEGIN("cuDevicePrimaryCtxSetFlags %d %u", device, flags) END}

EXPORT CUresult cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device)
{
    struct object *made;

    BEGIN("cuCtxCreate %u %d", flags, device)
    made = make(CONTEXT);
    if (!made)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    made->context = NULL;
    current = made;
    *context = (CUcontext)(void *)made;
    END
}

EXPORT CUresult
cuCtxDestroy_v2(CUcontext context)
{
    struct object *gone;

    BEGIN("cuCtxDestroy")
    gone = check(context, CONTEXT, __func__);
    if (gone->primary)
        FAIL(CUDA_ERROR_INVALID_CONTEXT);
    drop_context(gone);
    if (current == gone)
        current = NULL;
    END
}

EXPORT CUresult
cuCtxSetCurrent(CUcontext context)
{
    BEGIN("cuCtxSetCurrent %s", context ? "some" : "none")
    current = context ? check(context, CONTEXT, __func__) : NULL;
    END
}

EXPORT CUresult
cuCtxSynchronize(void)
{
    BEGIN("cuCtxSynchronize")
    NEED_CONTEXT;
    fake_cuda.synchronized++;
    END
}

EXPORT CUresult
cuCtxGetLimit(size_t *value, CUlimit limit)
{
    BEGIN("cuCtxGetLimit %d", (int)limit)
    NEED_CONTEXT;
    *value = 4096;
    END
}

EXPORT CUresult
cuCtxSetLimit(CUlimit limit, size_t value)
{
    BEGIN("cuCtxSetLimit %d %zu", (int)limit, value)
    NEED_CONTEXT;
    END
}

EXPORT CUresult
cuCtxGetCacheConfig(CUfunc_cache *config)
{
    BEGIN("cuCtxGetCacheConfig")
    NEED_CONTEXT;
    *config = CU_FUNC_CACHE_PREFER_L1;
    END
}

EXPORT CUresult
cuCtxSetCacheConfig(CUfunc_cache config)
{
    BEGIN("cuCtxSetCacheConfig %d", (int)config)
    NEED_CONTEXT;
    END
}

EXPORT CUresult
cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
    BEGIN("cuCtxGetStreamPriorityRange")
    NEED_CONTEXT;
    *least = 0;
    *greatest = -5;
    END
}

/* ---- Modules and functions ------------------------------------------------------------------- */

static void
write_logs(unsigned int count, const CUjit_option *names, void **values)
{
    size_t bytes[CU_JIT_NUM_OPTIONS] = {0};

    for (unsigned int i = 0; i < count; i++)
        if (names[i] < CU_JIT_NUM_OPTIONS)
            bytes[names[i]] = (size_t)(uintptr_t)values[i];
    for (unsigned int i = 0; i < count; i++) {
        if (names[i] == CU_JIT_INFO_LOG_BUFFER)
            snprintf(values[i], bytes[CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES], "info of the compiler");
        else if (names[i] == CU_JIT_ERROR_LOG_BUFFER)
            snprintf(values[i], bytes[CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES], "error of the compiler");
        else if (names[i] >= CU_JIT_GLOBAL_SYMBOL_NAMES && names[i] <= CU_JIT_GLOBAL_SYMBOL_COUNT)
            violation("cuModuleLoadDataEx: option %d holds a pointer of the guest", (int)names[i]);
    }
}

EXPORT CUresult
cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int count, CUjit_option *names, void **values)
{
    struct object *made;

    BEGIN("cuModuleLoadDataEx %u options, %zu bytes of text", count, strlen(image))
    NEED_CONTEXT;
    write_logs(count, names, values);
    if (strstr(image, "broken"))
        FAIL(CUDA_ERROR_INVALID_PTX);
    made = make(MODULE);
    if (!made)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    made->globals = take_slot(GLOBAL_BYTES, true);
    if (!made->globals) {
        made->alive = false;
        fake_cuda.live[FAKE_MODULES]--;
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    }
    *module = (CUmodule)(void *)made;
    END
}

EXPORT CUresult
cuModuleUnload(CUmodule module)
{
    struct object *gone;

    BEGIN("cuModuleUnload")
    gone = check(module, MODULE, __func__);
    if (gone->library)
        violation("cuModuleUnload: of a library");
    if (current != gone->context)
        FAIL(CUDA_ERROR_INVALID_CONTEXT);
    drop(gone);
    END
}

EXPORT CUresult
cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
    struct object *from, *made;

    BEGIN("cuModuleGetFunction %.40s", name)
    from = check(module, MODULE, __func__);
    if (name[0] != 'k' || name[1] < '0' || name[1] > '9' || name[2] != '\0')
        FAIL(CUDA_ERROR_NOT_FOUND);
    made = make(FUNCTION);
    if (!made)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    made->module = from;
    made->parameters = (unsigned)(name[1] - '0');
    *function = (CUfunction)(void *)made;
    END
}

EXPORT CUresult
cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes, CUmodule module, const char *name)
{
    struct object *from;

    BEGIN("cuModuleGetGlobal %.40s", name)
    from = check(module, MODULE, __func__);
    if (name[0] != 'g')
        FAIL(CUDA_ERROR_NOT_FOUND);
    *address = from->globals;
    *bytes = GLOBAL_BYTES;
    END
}

EXPORT CUresult
cuModuleGetFunctionCount(unsigned int *count, CUmodule module)
{
    BEGIN("cuModuleGetFunctionCount")
    check(module, MODULE, __func__);
    *count = 10;
    END
}

EXPORT CUresult
cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function)
{
    check(function, FUNCTION, __func__);
    *value = (int)attribute + 100;
    return CUDA_SUCCESS;
}

EXPORT CUresult
cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value)
{
    BEGIN("cuFuncSetAttribute %d %d", (int)attribute, value)
    check(function, FUNCTION, __func__);
    END
}

EXPORT CUresult
cuFuncSetCacheConfig(CUfunction function, CUfunc_cache config)
{
    BEGIN("cuFuncSetCacheConfig %d", (int)config)
    check(function, FUNCTION, __func__);
    END
}

/* Parameters of 4 and 8 bytes in turn, aligned as C does: offsets 0, 8, 16, 24, ... */
static size_t
layout_bytes(unsigned parameters)
{
    return parameters == 0 ? 0 : (parameters - 1) * 8 + (parameters % 2 ? 4 : 8);
}

EXPORT CUresult
cuFuncGetParamInfo(CUfunction function, size_t index, size_t *offset, size_t *bytes)
{
    struct object *of = check(function, FUNCTION, __func__);

    if (index >= of->parameters)
        return CUDA_ERROR_INVALID_VALUE;
    *offset = index * 8;
    *bytes = index % 2 ? 8 : 4;
    return CUDA_SUCCESS;
}

EXPORT CUresult
cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction function, int block_size, size_t dynamic,
                                                     unsigned int flags)
{
    BEGIN("cuOccupancy %d %zu %u", block_size, dynamic, flags)
    check_launched(function, __func__);
    *blocks = 8;
    END
}

static void
take_packed(const struct object *kernel, void **parameters, void **extra)
{
    fake_cuda.parameter_bytes = layout_bytes(kernel->parameters);
    if (parameters)
        violation("a launch: pointers to parameters where a buffer is expected");
    if (!extra) {
        if (kernel->parameters)
            violation("a launch: no parameters for %u", kernel->parameters);
        return;
    }
    if (extra[0] != CU_LAUNCH_PARAM_BUFFER_POINTER || extra[2] != CU_LAUNCH_PARAM_BUFFER_SIZE ||
        extra[4] != CU_LAUNCH_PARAM_END || *(size_t *)extra[3] != fake_cuda.parameter_bytes)
        violation("a launch: not the layout's %zu bytes", fake_cuda.parameter_bytes);
    check_host(extra[1], fake_cuda.parameter_bytes, __func__);
    memcpy(fake_cuda.parameters, extra[1], fake_cuda.parameter_bytes);
}

EXPORT CUresult
cuLaunchKernel(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx, unsigned int by,
               unsigned int bz, unsigned int shared, CUstream stream, void **parameters, void **extra)
{
    struct object *kernel;

    BEGIN("cuLaunchKernel %u %u %u %u %u %u %u", gx, gy, gz, bx, by, bz, shared)
    NEED_CONTEXT;
    kernel = check_launched(function, __func__);
    check_stream(stream, __func__);
    take_packed(kernel, parameters, extra);
    END
}

EXPORT CUresult
cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **parameters, void **extra)
{
    struct object *kernel;

    BEGIN("cuLaunchKernelEx %u %u, %u attributes", config->gridDimX, config->blockDimX, config->numAttrs)
    NEED_CONTEXT;
    kernel = check_launched(function, __func__);
    check_stream(config->hStream, __func__);
    for (unsigned i = 0; i < config->numAttrs; i++) {
        const CUlaunchAttribute *attribute = &config->attrs[i];

        if (attribute->id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT)
            check(attribute->value.programmaticEvent.event, EVENT, __func__);
        else if (attribute->id == CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT)
            check(attribute->value.launchCompletionEvent.event, EVENT, __func__);
        else if (attribute->id == CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW)
            check_device((uintptr_t)attribute->value.accessPolicyWindow.base_ptr,
                         attribute->value.accessPolicyWindow.num_bytes, __func__);
        else if (attribute->id == CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE)
            violation("cuLaunchKernelEx: a pointer of the guest");
    }
    take_packed(kernel, parameters, extra);
    END
}

EXPORT CUresult
cuLaunchCooperativeKernel(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx,
                          unsigned int by, unsigned int bz, unsigned int shared, CUstream stream, void **parameters)
{
    struct object *kernel;

    BEGIN("cuLaunchCooperativeKernel %u %u %u %u %u %u %u", gx, gy, gz, bx, by, bz, shared)
    NEED_CONTEXT;
    kernel = check_launched(function, __func__);
    check_stream(stream, __func__);
    fake_cuda.parameter_bytes = layout_bytes(kernel->parameters);
    for (unsigned i = 0; i < kernel->parameters; i++) {
        check_host(parameters[i], i % 2 ? 8 : 4, __func__);
        memcpy(fake_cuda.parameters + i * 8, parameters[i], i % 2 ? 8 : 4);
    }
    END
}

/* ---- Libraries ------------------------------------------------------------------------------- */

EXPORT CUresult
cuLibraryLoadData(CUlibrary *library, const void *image, CUjit_option *names, void **values, unsigned int count,
                  CUlibraryOption *options, void **option_values, unsigned int option_count)
{
    struct object *made;

    BEGIN("cuLibraryLoadData %u options, %zu bytes of text", count, strlen(image))
    if (option_count != 1 || options[0] != CU_LIBRARY_BINARY_IS_PRESERVED || !option_values[0])
        violation("cuLibraryLoadData: the image is not promised to stay");
    write_logs(count, names, values);
    if (strstr(image, "broken"))
        FAIL(CUDA_ERROR_INVALID_PTX);
    made = make(LIBRARY);
    if (!made)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    made->image = image;
    *library = (CUlibrary)(void *)made;
    END
}

EXPORT CUresult
cuLibraryUnload(CUlibrary library)
{
    BEGIN("cuLibraryUnload")
    drop(check(library, LIBRARY, __func__));
    END
}

EXPORT CUresult
cuLibraryGetKernel(CUkernel *kernel, CUlibrary library, const char *name)
{
    struct object *from, *made;

    BEGIN("cuLibraryGetKernel %.40s", name)
    from = check(library, LIBRARY, __func__);
    if (from->image[0] != '.') /* reads from it: it must be there still */
        violation("cuLibraryGetKernel: the image has changed");
    if (name[0] != 'k' || name[1] < '0' || name[1] > '9' || name[2] != '\0')
        FAIL(CUDA_ERROR_NOT_FOUND);
    made = make(KERNEL);
    if (!made)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    made->library = from;
    made->parameters = (unsigned)(name[1] - '0');
    *kernel = (CUkernel)(void *)made;
    END
}

EXPORT CUresult
cuLibraryGetModule(CUmodule *module, CUlibrary library)
{
    struct object *from, *made = NULL;

    BEGIN("cuLibraryGetModule")
    NEED_CONTEXT;
    from = check(library, LIBRARY, __func__);
    for (unsigned i = 0; i < object_count && !made; i++)
        if (objects[i].alive && objects[i].kind == MODULE && objects[i].library == from &&
            objects[i].context == current)
            made = &objects[i];
    if (!made && (made = make(MODULE))) {
        made->library = from;
        made->globals = take_slot(GLOBAL_BYTES, true);
    }
    if (!made || !made->globals)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    *module = (CUmodule)(void *)made;
    END
}

EXPORT CUresult
cuKernelGetParamInfo(CUkernel kernel, size_t index, size_t *offset, size_t *bytes)
{
    struct object *of = check(kernel, KERNEL, __func__);

    if (index >= of->parameters)
        return CUDA_ERROR_INVALID_VALUE;
    *offset = index * 8;
    *bytes = index % 2 ? 8 : 4;
    return CUDA_SUCCESS;
}

EXPORT CUresult
cuKernelGetAttribute(int *value, CUfunction_attribute attribute, CUkernel kernel, CUdevice device)
{
    check(kernel, KERNEL, __func__);
    *value = (int)attribute + 100 * (device + 1);
    return CUDA_SUCCESS;
}

EXPORT CUresult
cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel kernel, CUdevice device)
{
    BEGIN("cuKernelSetAttribute %d %d of device %d", (int)attribute, value, device)
    check(kernel, KERNEL, __func__);
    END
}

/* ---- Linking --------------------------------------------------------------------------------- */

EXPORT CUresult
cuLinkCreate_v2(unsigned int count, CUjit_option *names, void **values, CUlinkState *state)
{
    struct object *made;

    BEGIN("cuLinkCreate %u options", count)
    NEED_CONTEXT;
    write_logs(count, names, values);
    made = make(LINK);
    if (!made)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    *state = (CUlinkState)(void *)made;
    END
}

EXPORT CUresult
cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void *data, size_t bytes, const char *name, unsigned int count,
                 CUjit_option *names, void **values)
{
    BEGIN("cuLinkAddData %d, %zu bytes, %.40s", (int)type, bytes, name ? name : "nameless")
    check(state, LINK, __func__);
    write_logs(count, names, values);
    (void)data;
    END
}

EXPORT CUresult
cuLinkComplete(CUlinkState state, void **made, size_t *bytes)
{
    struct object *link;

    BEGIN("cuLinkComplete")
    link = check(state, LINK, __func__);
    *bytes = 5000;
    if (!link->linked && !(link->linked = malloc(*bytes)))
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    for (size_t i = 0; i < *bytes; i++)
        link->linked[i] = (unsigned char)(i % 251);
    *made = link->linked;
    END
}

EXPORT CUresult
cuLinkDestroy(CUlinkState state)
{
    BEGIN("cuLinkDestroy")
    drop(check(state, LINK, __func__));
    END
}

/* ---- Memory ---------------------------------------------------------------------------------- */

EXPORT CUresult
cuMemAlloc_v2(CUdeviceptr *address, size_t bytes)
{
    BEGIN("cuMemAlloc %zu", bytes)
    NEED_CONTEXT;
    if (bytes == 0)
        FAIL(CUDA_ERROR_INVALID_VALUE);
    *address = take_slot(bytes, false);
    if (!*address)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    END
}

EXPORT CUresult
cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height, unsigned int element)
{
    BEGIN("cuMemAllocPitch %zu %zu %u", width, height, element)
    NEED_CONTEXT;
    if (width == 0 || height == 0 || width > SLOT_BYTES - 511 || height > SLOT_BYTES)
        FAIL(CUDA_ERROR_INVALID_VALUE);
    *pitch = (width + 511) / 512 * 512;
    *address = take_slot(*pitch * height, false);
    if (!*address)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    END
}

EXPORT CUresult
cuMemFree_v2(CUdeviceptr address)
{
    size_t offset = address - (uintptr_t)device_memory;

    BEGIN("cuMemFree")
    NEED_CONTEXT;
    if (pooled_free(address))
        goto out;
    if (!device_memory || offset >= (size_t)SLOTS * SLOT_BYTES || offset % SLOT_BYTES != 0 ||
        !slots[offset / SLOT_BYTES].used || slots[offset / SLOT_BYTES].globals)
        violation("cuMemFree: 0x%llx is no allocation", address);
    slots[offset / SLOT_BYTES].used = false;
    fake_cuda.live[FAKE_ALLOCATIONS]--;
    END
}

EXPORT CUresult
cuMemGetInfo_v2(size_t *available, size_t *total)
{
    BEGIN("cuMemGetInfo")
    NEED_CONTEXT;
    *total = (size_t)SLOTS * SLOT_BYTES;
    *available = *total - (size_t)fake_cuda.live[FAKE_ALLOCATIONS] * SLOT_BYTES;
    END
}

EXPORT CUresult
cuMemHostRegister_v2(void *pointer, size_t bytes, unsigned int flags)
{
    struct registration *unused = NULL;

    BEGIN("cuMemHostRegister %zu %u", bytes, flags)
    NEED_CONTEXT;
    check_host(pointer, bytes, __func__);
    for (unsigned i = 0; i < SLOTS; i++) {
        struct registration *other = &registrations[i];

        if (!other->start)
            unused = other;
        else if ((unsigned char *)pointer < other->start + other->bytes &&
                 other->start < (unsigned char *)pointer + bytes)
            FAIL(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    }
    if (!unused)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    *unused = (struct registration){.start = pointer, .bytes = bytes, .context = current};
    fake_cuda.live[FAKE_REGISTRATIONS]++;
    END
}

EXPORT CUresult
cuMemHostUnregister(void *pointer)
{
    BEGIN("cuMemHostUnregister")
    result = CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    for (unsigned i = 0; pointer && i < SLOTS; i++)
        if (registrations[i].start == pointer) {
            registrations[i].start = NULL;
            fake_cuda.live[FAKE_REGISTRATIONS]--;
            result = CUDA_SUCCESS;
        }
    END
}

EXPORT CUresult
cuMemHostGetDevicePointer_v2(CUdeviceptr *address, void *pointer, unsigned int flags)
{
    BEGIN("cuMemHostGetDevicePointer %u", flags)
    NEED_CONTEXT;
    *address = (uintptr_t)pointer;
    END
}

static CUresult
set(const char *function, CUdeviceptr to, uint32_t value, size_t count, unsigned element, CUstream stream)
{
    CUresult result = CUDA_SUCCESS;

    pthread_mutex_lock(&lock);
    say("%s %u %zu", function, value, count);
    if (told_to_fail(function, &result))
        goto out;
    NEED_CONTEXT;
    check_device(to, count * element, function);
    check_stream(stream, function);
    for (size_t i = 0; i < count && !virtual_holds(to, 1); i++)
        memcpy((unsigned char *)(uintptr_t)to + i * element, &value, element);
    END
}

EXPORT CUresult
cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream)
{
    return set(__func__, to, value, count, 1, stream);
}

EXPORT CUresult
cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, CUstream stream)
{
    return set(__func__, to, value, count, 2, stream);
}

EXPORT CUresult
cuMemsetD32Async(CUdeviceptr to, unsigned int value, size_t count, CUstream stream)
{
    return set(__func__, to, value, count, 4, stream);
}

static CUresult
set_rows(const char *function, CUdeviceptr to, size_t pitch, uint32_t value, size_t width, size_t height,
         unsigned element, CUstream stream)
{
    CUresult result = CUDA_SUCCESS;

    for (size_t row = 0; row < height && result == CUDA_SUCCESS; row++)
        result = set(function, to + row * pitch, value, width, element, stream);
    return result;
}

EXPORT CUresult
cuMemsetD2D8Async(CUdeviceptr to, size_t pitch, unsigned char value, size_t width, size_t height, CUstream stream)
{
    return set_rows(__func__, to, pitch, value, width, height, 1, stream);
}

EXPORT CUresult
cuMemsetD2D16Async(CUdeviceptr to, size_t pitch, unsigned short value, size_t width, size_t height, CUstream stream)
{
    return set_rows(__func__, to, pitch, value, width, height, 2, stream);
}

EXPORT CUresult
cuMemsetD2D32Async(CUdeviceptr to, size_t pitch, unsigned int value, size_t width, size_t height, CUstream stream)
{
    return set_rows(__func__, to, pitch, value, width, height, 4, stream);
}

static CUresult
copy(const char *function, void *to, bool to_device, const void *from, bool from_device, size_t bytes, CUstream stream)
{
    CUresult result = CUDA_SUCCESS;

    pthread_mutex_lock(&lock);
    say("%s %zu", function, bytes);
    if (told_to_fail(function, &result))
        goto out;
    NEED_CONTEXT;
    check_stream(stream, function);
    if (to_device)
        check_device((uintptr_t)to, bytes, function);
    else
        check_host(to, bytes, function);
    if (from_device)
        check_device((uintptr_t)from, bytes, function);
    else
        check_host(from, bytes, function);
    memmove(to, from, bytes);
    END
}

EXPORT CUresult
cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes)
{
    return copy(__func__, (void *)(uintptr_t)to, true, from, false, bytes, NULL);
}

EXPORT CUresult
cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes)
{
    return copy(__func__, to, false, (void *)(uintptr_t)from, true, bytes, NULL);
}

EXPORT CUresult
cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream)
{
    return copy(__func__, (void *)(uintptr_t)to, true, from, false, bytes, stream);
}

EXPORT CUresult
cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    return copy(__func__, to, false, (void *)(uintptr_t)from, true, bytes, stream);
}

EXPORT CUresult
cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    return copy(__func__, (void *)(uintptr_t)to, true, (void *)(uintptr_t)from, true, bytes, stream);
}

static void
check_end(const char *function, CUmemorytype type, CUarray array, CUdeviceptr device, const void *host, size_t bytes)
{
    if (type == CU_MEMORYTYPE_ARRAY)
        check(array, ARRAY, function);
    else if (type == CU_MEMORYTYPE_DEVICE)
        check_device(device, bytes, function);
    else
        check_host(host, bytes, function);
}

static size_t
box_bytes(size_t pitch, size_t height, size_t width, size_t rows, size_t planes)
{
    return ((planes - 1) * height + rows - 1) * pitch + width;
}

static CUresult
copy_rows_of_arrays(const CUDA_MEMCPY2D *rows, CUstream stream)
{
    BEGIN("cuMemcpy2DAsync %zu %zu", rows->WidthInBytes, rows->Height)
    NEED_CONTEXT;
    check_stream(stream, __func__);
    check_end(__func__, rows->srcMemoryType, rows->srcArray, rows->srcDevice, rows->srcHost,
              box_bytes(rows->srcPitch, 1, rows->WidthInBytes, rows->Height, 1));
    check_end(__func__, rows->dstMemoryType, rows->dstArray, rows->dstDevice, rows->dstHost,
              box_bytes(rows->dstPitch, 1, rows->WidthInBytes, rows->Height, 1));
    END
}

EXPORT CUresult
cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *rows, CUstream stream)
{
    bool to_device = rows->dstMemoryType == CU_MEMORYTYPE_DEVICE,
         from_device = rows->srcMemoryType == CU_MEMORYTYPE_DEVICE;
    char *to = to_device ? (char *)(uintptr_t)rows->dstDevice : rows->dstHost;
    const char *from = from_device ? (const char *)(uintptr_t)rows->srcDevice : rows->srcHost;
    CUresult result = CUDA_SUCCESS;

    if (rows->srcMemoryType == CU_MEMORYTYPE_ARRAY || rows->dstMemoryType == CU_MEMORYTYPE_ARRAY)
        return copy_rows_of_arrays(rows, stream);
    for (size_t row = 0; row < rows->Height && result == CUDA_SUCCESS; row++)
        result = copy(__func__, to + row * rows->dstPitch, to_device, from + row * rows->srcPitch, from_device,
                      rows->WidthInBytes, stream);
    return result;
}

/* ---- Arrays ---------------------------------------------------------------------------------- */

#define CHECK_BOX(c)                                                                                     \
    do {                                                                                                 \
        check_end(__func__, (c)->srcMemoryType, (c)->srcArray, (c)->srcDevice, (c)->srcHost,             \
                  box_bytes((c)->srcPitch, (c)->srcHeight, (c)->WidthInBytes, (c)->Height, (c)->Depth)); \
        check_end(__func__, (c)->dstMemoryType, (c)->dstArray, (c)->dstDevice, (c)->dstHost,             \
                  box_bytes((c)->dstPitch, (c)->dstHeight, (c)->WidthInBytes, (c)->Height, (c)->Depth)); \
    } while (0)

EXPORT CUresult
cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *box, CUstream stream)
{
    BEGIN("cuMemcpy3DAsync %zu %zu %zu", box->WidthInBytes, box->Height, box->Depth)
    NEED_CONTEXT;
    check_stream(stream, __func__);
    CHECK_BOX(box);
    END
}

EXPORT CUresult
cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *box, CUstream stream)
{
    BEGIN("cuMemcpy3DPeerAsync %zu %zu %zu", box->WidthInBytes, box->Height, box->Depth)
    NEED_CONTEXT;
    check_stream(stream, __func__);
    check(box->srcContext, CONTEXT, __func__);
    check(box->dstContext, CONTEXT, __func__);
    CHECK_BOX(box);
    END
}

EXPORT CUresult
cuMemcpyPeerAsync(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t bytes,
                  CUstream stream)
{
    pthread_mutex_lock(&lock);
    check(to_context, CONTEXT, __func__);
    check(from_context, CONTEXT, __func__);
    pthread_mutex_unlock(&lock);
    return copy(__func__, (void *)(uintptr_t)to, true, (void *)(uintptr_t)from, true, bytes, stream);
}

EXPORT CUresult
cuMemcpyPeer(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t bytes)
{
    return cuMemcpyPeerAsync(to, to_context, from, from_context, bytes, NULL);
}

static CUresult
copy_array(const char *function, CUarray to, CUarray from, CUdeviceptr device, const void *host, size_t bytes)
{
    BEGIN("%s %zu", function, bytes)
    NEED_CONTEXT;
    if (to)
        check(to, ARRAY, function);
    if (from)
        check(from, ARRAY, function);
    if (device)
        check_device(device, bytes, function);
    if (host)
        check_host(host, bytes, function);
    END
}

EXPORT CUresult
cuMemcpyAtoA_v2(CUarray to, size_t to_offset, CUarray from, size_t from_offset, size_t bytes)
{
    (void)to_offset, (void)from_offset;
    return copy_array(__func__, to, from, 0, NULL, bytes);
}

EXPORT CUresult
cuMemcpyAtoD_v2(CUdeviceptr to, CUarray from, size_t offset, size_t bytes)
{
    (void)offset;
    return copy_array(__func__, NULL, from, to, NULL, bytes);
}

EXPORT CUresult
cuMemcpyDtoA_v2(CUarray to, size_t offset, CUdeviceptr from, size_t bytes)
{
    (void)offset;
    return copy_array(__func__, to, NULL, from, NULL, bytes);
}

EXPORT CUresult
cuMemcpyAtoHAsync_v2(void *to, CUarray from, size_t offset, size_t bytes, CUstream stream)
{
    (void)offset, (void)stream;
    return copy_array(__func__, NULL, from, 0, to, bytes);
}

EXPORT CUresult
cuMemcpyHtoAAsync_v2(CUarray to, size_t offset, const void *from, size_t bytes, CUstream stream)
{
    (void)offset, (void)stream;
    return copy_array(__func__, to, NULL, 0, from, bytes);
}

EXPORT CUresult
cuArray3DCreate_v2(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR *description)
{
    struct object *made;

    BEGIN("cuArray3DCreate %zu", description->Width)
    NEED_CONTEXT;
    made = make(ARRAY);
    if (!made)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    made->array = *description;
    *array = (CUarray)(void *)made;
    END
}

EXPORT CUresult
cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR *description, CUarray array)
{
    BEGIN("cuArray3DGetDescriptor")
    *description = check(array, ARRAY, __func__)->array;
    END
}

EXPORT CUresult
cuArrayDestroy(CUarray array)
{
    BEGIN("cuArrayDestroy")
    if (check(array, ARRAY, __func__)->module)
        violation("%s: of a level", __func__);
    drop(check(array, ARRAY, __func__));
    END
}

EXPORT CUresult
cuMipmappedArrayCreate(CUmipmappedArray *mipmap, const CUDA_ARRAY3D_DESCRIPTOR *description, unsigned int levels)
{
    struct object *made;

    BEGIN("cuMipmappedArrayCreate %u", levels)
    NEED_CONTEXT;
    made = make(MIPMAP);
    if (!made)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    made->array = *description;
    *mipmap = (CUmipmappedArray)(void *)made;
    END
}

EXPORT CUresult
cuMipmappedArrayGetLevel(CUarray *array, CUmipmappedArray mipmap, unsigned int level)
{
    struct object *made, *whole;

    BEGIN("cuMipmappedArrayGetLevel %u", level)
    whole = check(mipmap, MIPMAP, __func__);
    made = make(ARRAY);
    if (!made)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    made->array = whole->array;
    made->module = whole;
    *array = (CUarray)(void *)made;
    END
}

EXPORT CUresult
cuMipmappedArrayDestroy(CUmipmappedArray mipmap)
{
    BEGIN("cuMipmappedArrayDestroy")
    drop(check(mipmap, MIPMAP, __func__));
    END
}

static CUresult
make_view(const char *function, enum kind kind, const CUDA_RESOURCE_DESC *resource, unsigned long long *value)
{
    struct object *made;

    BEGIN("%s %d", function, (int)resource->resType)
    NEED_CONTEXT;
    if (resource->resType == CU_RESOURCE_TYPE_ARRAY)
        check(resource->res.array.hArray, ARRAY, function);
    else if (resource->resType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY)
        check(resource->res.mipmap.hMipmappedArray, MIPMAP, function);
    else if (resource->resType == CU_RESOURCE_TYPE_LINEAR)
        check_device(resource->res.linear.devPtr, 1, function);
    else
        check_device(resource->res.pitch2D.devPtr,
                     resource->res.pitch2D.pitchInBytes * (resource->res.pitch2D.height - 1) +
                         resource->res.pitch2D.width,
                     function);
    made = make(kind);
    if (!made)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    *value = (uintptr_t)made;
    END
}

EXPORT CUresult
cuTexObjectCreate(CUtexObject *texture, const CUDA_RESOURCE_DESC *resource, const CUDA_TEXTURE_DESC *description,
                  const CUDA_RESOURCE_VIEW_DESC *view)
{
    (void)description, (void)view;
    return make_view(__func__, TEXTURE, resource, texture);
}

EXPORT CUresult
cuTexObjectDestroy(CUtexObject texture)
{
    BEGIN("cuTexObjectDestroy")
    drop(check((void *)(uintptr_t)texture, TEXTURE, __func__));
    END
}

EXPORT CUresult
cuSurfObjectCreate(CUsurfObject *surface, const CUDA_RESOURCE_DESC *resource)
{
    return make_view(__func__, SURFACE, resource, surface);
}

EXPORT CUresult
cuSurfObjectDestroy(CUsurfObject surface)
{
    BEGIN("cuSurfObjectDestroy")
    drop(check((void *)(uintptr_t)surface, SURFACE, __func__));
    END
}

/* ---- Shared between processes ---------------------------------------------------------------- */

static struct slot *
slot_of(CUdeviceptr address)
{
    uintptr_t offset = address - (uintptr_t)device_memory;

    return device_memory && offset < (size_t)SLOTS * SLOT_BYTES ? &slots[offset / SLOT_BYTES] : NULL;
}

EXPORT CUresult
cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr address)
{
    struct slot *slot = slot_of(address);

    if (!slot || !slot->used)
        return CUDA_ERROR_INVALID_VALUE;
    *base = address - (address - (uintptr_t)device_memory) % SLOT_BYTES;
    *bytes = slot->bytes;
    return CUDA_SUCCESS;
}

EXPORT CUresult
cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr address)
{
    BEGIN("cuIpcGetMemHandle")
    NEED_CONTEXT;
    check_device(address, 1, __func__);
    memset(handle, 0x5a, sizeof(*handle));
    END
}

/* Opens 4096 bytes of nobody; a second time, the same. */
static CUdeviceptr shared;
static unsigned shared_users;

EXPORT CUresult
cuIpcOpenMemHandle_v2(CUdeviceptr *address, CUipcMemHandle handle, unsigned int flags)
{
    BEGIN("cuIpcOpenMemHandle %u", flags)
    NEED_CONTEXT;
    if (handle.reserved[0] != 0x5a)
        FAIL(CUDA_ERROR_INVALID_VALUE);
    if (shared_users++ == 0)
        shared = take_slot(4096, true);
    *address = shared;
    END
}

EXPORT CUresult
cuIpcCloseMemHandle(CUdeviceptr address)
{
    BEGIN("cuIpcCloseMemHandle")
    NEED_CONTEXT;
    if (shared_users == 0 || address != shared)
        violation("%s: 0x%llx was not opened", __func__, address);
    if (--shared_users == 0)
        slot_of(shared)->used = false;
    END
}

EXPORT CUresult
cuIpcGetEventHandle(CUipcEventHandle *handle, CUevent event)
{
    BEGIN("cuIpcGetEventHandle")
    check(event, EVENT, __func__);
    memset(handle, 0xa5, sizeof(*handle));
    END
}

EXPORT CUresult
cuIpcOpenEventHandle(CUevent *event, CUipcEventHandle handle)
{
    struct object *made;

    BEGIN("cuIpcOpenEventHandle %d", handle.reserved[0])
    NEED_CONTEXT;
    made = make(EVENT);
    if (!made)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    *event = (CUevent)(void *)made;
    END
}

/* ---- Two devices ----------------------------------------------------------------------------- */

EXPORT CUresult
cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer)
{
    *can = device != peer;
    return CUDA_SUCCESS;
}

EXPORT CUresult
cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute attribute, CUdevice device, CUdevice peer)
{
    *value = (int)attribute;
    return device == peer ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}

EXPORT CUresult
cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags)
{
    BEGIN("cuCtxEnablePeerAccess %u", flags)
    NEED_CONTEXT;
    check(peer, CONTEXT, __func__);
    END
}

EXPORT CUresult
cuCtxDisablePeerAccess(CUcontext peer)
{
    BEGIN("cuCtxDisablePeerAccess")
    NEED_CONTEXT;
    check(peer, CONTEXT, __func__);
    END
}

/* ---- Streams and events ---------------------------------------------------------------------- */

EXPORT CUresult
cuStreamCreateWithPriority(CUstream *stream, unsigned int flags, int priority)
{
    struct object *made;

    BEGIN("cuStreamCreateWithPriority %u %d", flags, priority)
    NEED_CONTEXT;
    made = make(STREAM);
    if (!made)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    *stream = (CUstream)(void *)made;
    END
}

EXPORT CUresult
cuStreamDestroy_v2(CUstream stream)
{
    BEGIN("cuStreamDestroy")
    drop(check(stream, STREAM, __func__));
    END
}

EXPORT CUresult
cuStreamQuery(CUstream stream)
{
    BEGIN("cuStreamQuery")
    NEED_CONTEXT;
    check_stream(stream, __func__);
    END
}

EXPORT CUresult
cuStreamSynchronize(CUstream stream)
{
    BEGIN("cuStreamSynchronize")
    NEED_CONTEXT;
    check_stream(stream, __func__);
    fake_cuda.synchronized++;
    END
}

EXPORT CUresult
cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags)
{
    BEGIN("cuStreamWaitEvent %u", flags)
    NEED_CONTEXT;
    check_stream(stream, __func__);
    check(event, EVENT, __func__);
    END
}

static CUresult
write_value(const char *function, CUstream stream, CUdeviceptr to, uint64_t value, size_t bytes)
{
    CUresult result = CUDA_SUCCESS;

    pthread_mutex_lock(&lock);
    say("%s %llu", function, (unsigned long long)value);
    if (told_to_fail(function, &result))
        goto out;
    NEED_CONTEXT;
    check_stream(stream, function);
    check_device(to, bytes, function);
    memcpy((void *)(uintptr_t)to, &value, bytes);
    END
}

EXPORT CUresult
cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr to, cuuint32_t value, unsigned int flags)
{
    (void)flags;
    return write_value(__func__, stream, to, value, 4);
}

EXPORT CUresult
cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr to, cuuint64_t value, unsigned int flags)
{
    (void)flags;
    return write_value(__func__, stream, to, value, 8);
}

EXPORT CUresult
cuEventCreate(CUevent *event, unsigned int flags)
{
    struct object *made;

    BEGIN("cuEventCreate %u", flags)
    NEED_CONTEXT;
    made = make(EVENT);
    if (!made)
        FAIL(CUDA_ERROR_OUT_OF_MEMORY);
    *event = (CUevent)(void *)made;
    END
}

EXPORT CUresult
cuEventDestroy_v2(CUevent event)
{
    BEGIN("cuEventDestroy")
    drop(check(event, EVENT, __func__));
    END
}

EXPORT CUresult
cuEventRecord(CUevent event, CUstream stream)
{
    BEGIN("cuEventRecord")
    NEED_CONTEXT;
    check(event, EVENT, __func__);
    check_stream(stream, __func__);
    END
}

EXPORT CUresult
cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned int flags)
{
    BEGIN("cuEventRecordWithFlags %u", flags)
    NEED_CONTEXT;
    check(event, EVENT, __func__);
    check_stream(stream, __func__);
    END
}

EXPORT CUresult
cuEventQuery(CUevent event)
{
    BEGIN("cuEventQuery")
    NEED_CONTEXT;
    check(event, EVENT, __func__);
    END
}

EXPORT CUresult
cuEventSynchronize(CUevent event)
{
    BEGIN("cuEventSynchronize")
    NEED_CONTEXT;
    check(event, EVENT, __func__);
    END
}

EXPORT CUresult
cuEventElapsedTime(float *milliseconds, CUevent first, CUevent second)
{
    BEGIN("cuEventElapsedTime")
    NEED_CONTEXT;
    check(first, EVENT, __func__);
    check(second, EVENT, __func__);
    *milliseconds = 1.5f;
    END
}
