/* SPDX-License-Identifier: MIT */
/*
 * What lies in memory, variables and arrays: copied out piece by piece, and back.
 *
 * Design notes: physical memory is mapped somewhere for that, since it may be mapped nowhere, several times, or so that
 * nobody may read it. Chunks are copied as they are: which parts of one are allocated only the guest knows.
 */
#include "suspend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "journal.h"
#include "variables.h"

#include "cuda-guest.h"

static int
copy_failed(struct cuda_host *host, CUresult result, const char *what, uint64_t where)
{
    return cuda_suspend_refuse(-EIO, "%s %#llx cannot be read: %s", what, (unsigned long long)where,
                               cuda_driver_error(host->native, result));
}

/* ---- Memory: out ----------------------------------------------------------------------------- */

static int
save_bytes(struct cuda_saving *saving, CUdeviceptr start, uint64_t bytes)
{
    struct cuda_host *host = saving->host;

    while (bytes > 0) {
        size_t part = bytes < SUSPEND_BUFFER ? (size_t)bytes : SUSPEND_BUFFER;
        CUresult result = host->native->cuMemcpyDtoH(saving->buffer, start, part);
        int error;

        if (result != CUDA_SUCCESS)
            return copy_failed(host, result, "memory at", start);
        error = gpuvchan_snapshot_write(saving->snapshot, saving->buffer, part);
        if (error != 0)
            return error;
        start += part;
        bytes -= part;
    }
    return 0;
}

static int
save_range(struct cuda_saving *saving, const struct cuda_range *range)
{
    struct cuda_host *host = saving->host;
    const struct cuda_object *owner = atomic_load(&range->object.owner);
    const struct cuda_context *context = owner ? (const struct cuda_context *)owner : host->newest;
    struct suspend_contents contents = {.start = range->start, .bytes = range->bytes};
    int error;

    if (range->use != CUDA_RANGE_CHUNK && range->use != CUDA_RANGE_ALLOCATION && range->use != CUDA_RANGE_POOLED)
        return 0;
    contents.context = context->object.handle;
    host->native->cuCtxSetCurrent(context->native);
    error = cuda_save(saving, SUSPEND_CONTENTS, &contents, sizeof(contents), NULL, 0);
    return error ? error : save_bytes(saving, contents.start, contents.bytes);
}

/* ---- Physical memory ------------------------------------------------------------------------- */

/* Where it can be reached for a moment. @return a CUresult. */
static int
window_open(struct cuda_host *host, const struct cuda_physical *physical, uint64_t bytes, CUdevice device,
            CUdeviceptr *at)
{
    const struct cuda_driver *native = host->native;
    CUmemAccessDesc access = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device},
                              .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    int result = native->cuMemAddressReserve(at, bytes, 0, 0, 0);

    if (result != CUDA_SUCCESS)
        return result;
    result = native->cuMemMap(*at, bytes, 0, physical->native, 0);
    if (result == CUDA_SUCCESS && (result = native->cuMemSetAccess(*at, bytes, &access, 1)) != CUDA_SUCCESS)
        native->cuMemUnmap(*at, bytes);
    if (result != CUDA_SUCCESS)
        native->cuMemAddressFree(*at, bytes);
    return result;
}

static void
window_close(struct cuda_host *host, CUdeviceptr at, uint64_t bytes)
{
    host->native->cuMemUnmap(at, bytes);
    host->native->cuMemAddressFree(at, bytes);
}

/* What its record says; a context of its device, if there is one, becomes current. */
static int
physical_enter(struct cuda_host *host, const struct cuda_physical *physical, uint64_t *bytes, CUdevice *device)
{
    struct cuda_physical_create_request request;
    struct cuda_context *context = host->newest;

    memcpy(&request, physical->object.records->data, sizeof(request));
    *bytes = request.bytes;
    if (!context || cuda_device_of(host->native, request.device, device) != 0)
        return CUDA_ERROR_INVALID_CONTEXT;
    for (struct cuda_context *each = host->newest; each; each = each->older)
        if (each->device == *device)
            context = each;
    return host->native->cuCtxSetCurrent(context->native);
}

static int
save_physical(struct cuda_saving *saving, const struct cuda_physical *physical)
{
    struct cuda_host *host = saving->host;
    struct suspend_physical item = {.physical = physical->object.handle};
    CUdeviceptr at = 0;
    CUdevice device;
    int error, result = physical_enter(host, physical, &item.bytes, &device);

    if (result == CUDA_SUCCESS)
        result = window_open(host, physical, item.bytes, device, &at);
    if (result != CUDA_SUCCESS)
        return copy_failed(host, (CUresult)result, "physical memory", physical->object.handle);
    error = cuda_save(saving, SUSPEND_PHYSICAL, &item, sizeof(item), NULL, 0);
    if (error == 0)
        error = save_bytes(saving, at, item.bytes);
    window_close(host, at, item.bytes);
    return error;
}

/* ---- Variables ------------------------------------------------------------------------------- */

struct module {
    const struct cuda_context *context;
    CUmodule native;
    uint32_t handle, library; /* one of them */
};

static int
save_variable(struct cuda_saving *saving, const struct module *module, const char *name)
{
    const struct cuda_driver *native = saving->host->native;
    struct suspend_variable item = {.context = module->context->object.handle,
                                    .module = module->handle,
                                    .library = module->library,
                                    .name_bytes = (uint32_t)strlen(name) + 1};
    CUdeviceptr at;
    size_t bytes;
    int error;

    if (native->cuModuleGetGlobal(&at, &bytes, module->native, name) != CUDA_SUCCESS || bytes == 0)
        return 0; /* the code that was chosen has none of that name */
    item.bytes = bytes;
    error = cuda_save(saving, SUSPEND_VARIABLE, &item, sizeof(item), name, item.name_bytes);
    return error ? error : save_bytes(saving, at, bytes);
}

static int
save_variables(struct cuda_saving *saving, const struct module *module, const struct cuda_variables *variables)
{
    int error = 0;

    saving->host->native->cuCtxSetCurrent(module->context->native);
    for (size_t i = 0; i < variables->count && error == 0; i++)
        error = save_variable(saving, module, variables->names[i]);
    return error;
}

/* A library has variables in each context that something of it has been used in: which these are only it knows. */
static int
save_library(struct cuda_saving *saving, const struct cuda_library *library, const struct cuda_variables *variables)
{
    const struct cuda_driver *native = saving->host->native;
    struct module module = {.library = library->object.handle};
    int error = 0;

    if (variables->count == 0)
        return 0;
    if (!native->cuLibraryGetModule)
        return cuda_suspend_refuse(-ENOTSUP, "the driver does not tell the variables of library %#x", module.library);
    for (module.context = saving->host->newest; module.context && error == 0; module.context = module.context->older)
        if (native->cuCtxSetCurrent(module.context->native) == CUDA_SUCCESS &&
            native->cuLibraryGetModule(&module.native, library->native) == CUDA_SUCCESS)
            error = save_variables(saving, &module, variables);
    return error;
}

static int
save_image_variables(struct cuda_saving *saving, const struct cuda_object *object)
{
    const struct cuda_module *module = (const struct cuda_module *)object;
    const struct cuda_library *library = (const struct cuda_library *)object;
    bool is_module = object->kind == CUDA_OBJECT_MODULE;
    const char *what = is_module ? "module" : "library";
    struct cuda_variables variables;
    int error;

    if (is_module && !module->image)
        return 0; /* its library's */
    error = cuda_variables_read(is_module ? module->image : library->image,
                                is_module ? module->image_bytes : library->image_bytes, &variables);
    if (error != 0)
        return cuda_suspend_refuse(error, "the image of %s %#x cannot be searched for variables: %s", what,
                                   object->handle, strerror(-error));
    if (variables.heap)
        error = cuda_suspend_refuse(-ENOTSUP, "code of %s %#x allocates memory by itself, with malloc", what,
                                    object->handle);
    else if (is_module)
        error = save_variables(
            saving,
            &(struct module){(struct cuda_context *)atomic_load(&object->owner), module->native, object->handle, 0},
            &variables);
    else
        error = save_library(saving, library, &variables);
    cuda_variables_finish(&variables);
    return error;
}

/* ---- Arrays ---------------------------------------------------------------------------------- */

/* As it is copied: rows of bytes, one after the other. */
struct shape {
    size_t width, rows, planes;
};

/* False: that is no array whose contents can be copied. */
static bool
shape_of(const struct cuda_driver *native, CUarray array, struct shape *shape)
{
    CUDA_ARRAY3D_DESCRIPTOR found;

    if (native->cuArray3DGetDescriptor(&found, array) != CUDA_SUCCESS ||
        found.Flags & (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING))
        return false;
    shape->width = found.Width * cuda_element_bytes(found.Format, found.NumChannels);
    shape->rows = found.Height ? found.Height : 1;
    shape->planes = found.Depth ? found.Depth : 1;
    return shape->width != 0 && shape->width <= SUSPEND_BUFFER;
}

static uint64_t
shape_bytes(const struct shape *shape)
{
    return (uint64_t)shape->width * shape->rows * shape->planes;
}

/* So many rows of a plane as fit into the buffer, out or in. */
static CUresult
copy_rows(const struct cuda_driver *native, CUarray array, const struct shape *shape, size_t plane, size_t row,
          size_t rows, void *buffer, bool out)
{
    CUDA_MEMCPY3D copy = {.srcPitch = shape->width,
                          .dstPitch = shape->width,
                          .srcHeight = rows,
                          .dstHeight = rows,
                          .WidthInBytes = shape->width,
                          .Height = rows,
                          .Depth = 1};
    CUresult result;

    if (out) {
        copy.srcMemoryType = CU_MEMORYTYPE_ARRAY;
        copy.srcArray = array;
        copy.srcY = row;
        copy.srcZ = plane;
        copy.dstMemoryType = CU_MEMORYTYPE_HOST;
        copy.dstHost = buffer;
    } else {
        copy.srcMemoryType = CU_MEMORYTYPE_HOST;
        copy.srcHost = buffer;
        copy.dstMemoryType = CU_MEMORYTYPE_ARRAY;
        copy.dstArray = array;
        copy.dstY = row;
        copy.dstZ = plane;
    }
    result = native->cuMemcpy3DAsync(&copy, CU_STREAM_LEGACY);
    return result == CUDA_SUCCESS ? native->cuStreamSynchronize(CU_STREAM_LEGACY) : result;
}

typedef int piece_function(struct gpuvchan_snapshot *snapshot, unsigned char *buffer, size_t bytes);

static int
write_piece(struct gpuvchan_snapshot *snapshot, unsigned char *buffer, size_t bytes)
{
    return gpuvchan_snapshot_write(snapshot, buffer, bytes);
}

static int
read_piece(struct gpuvchan_snapshot *snapshot, unsigned char *buffer, size_t bytes)
{
    return gpuvchan_snapshot_read(snapshot, buffer, bytes);
}

/* All of an array. *@p result says what the driver said, if that is the trouble. */
static int
copy_array(struct cuda_host *host, struct gpuvchan_snapshot *snapshot, unsigned char *buffer, CUarray array,
           const struct shape *shape, bool out, CUresult *result)
{
    size_t most = SUSPEND_BUFFER / shape->width;
    int error = 0;

    *result = CUDA_SUCCESS;
    for (size_t plane = 0; plane < shape->planes; plane++)
        for (size_t row = 0; row < shape->rows; row += most) {
            size_t rows = shape->rows - row < most ? shape->rows - row : most, bytes = rows * shape->width;

            if (!out)
                error = read_piece(snapshot, buffer, bytes);
            if (error == 0)
                *result = copy_rows(host->native, array, shape, plane, row, rows, buffer, out);
            if (error == 0 && *result == CUDA_SUCCESS && out)
                error = write_piece(snapshot, buffer, bytes);
            if (error != 0 || *result != CUDA_SUCCESS)
                return error;
        }
    return 0;
}

static int
save_array(struct cuda_saving *saving, struct suspend_array *item, CUarray array)
{
    struct cuda_host *host = saving->host;
    struct shape shape;
    CUresult result;
    int error;

    if (!shape_of(host->native, array, &shape))
        return cuda_suspend_refuse(-ENOTSUP, "array %#x is sparse, or of a format that cannot be copied",
                                   item->array ? item->array : item->mipmap);
    item->bytes = shape_bytes(&shape);
    error = cuda_save(saving, SUSPEND_ARRAY, item, sizeof(*item), NULL, 0);
    if (error != 0)
        return error;
    error = copy_array(host, saving->snapshot, saving->buffer, array, &shape, true, &result);
    return result == CUDA_SUCCESS ? error : copy_failed(host, result, "array", item->array);
}

/* All its levels, whether the guest has named them or not. */
static int
save_mipmap(struct cuda_saving *saving, const struct cuda_mipmap *mipmap)
{
    struct suspend_array item = {.mipmap = mipmap->object.handle, .context = cuda_owner_handle(&mipmap->object)};
    struct cuda_mipmap_create_request request;
    int error = 0;

    memcpy(&request, mipmap->object.records->data, sizeof(request));
    for (item.level = 0; item.level < request.levels && error == 0; item.level++) {
        CUarray array;
        CUresult result = saving->host->native->cuMipmappedArrayGetLevel(&array, mipmap->native, item.level);

        error = result == CUDA_SUCCESS ? save_array(saving, &item, array)
                                       : copy_failed(saving->host, result, "mipmapped array", item.mipmap);
    }
    return error;
}

static int
save_array_object(struct cuda_saving *saving, const struct cuda_object *object)
{
    const struct cuda_array *array = (const struct cuda_array *)object;
    const struct cuda_context *context = (const struct cuda_context *)atomic_load(&object->owner);
    struct suspend_array item = {.array = object->handle};

    if (object->kind == CUDA_OBJECT_ARRAY && array->part)
        return 0; /* of a whole */
    saving->host->native->cuCtxSetCurrent(context->native);
    item.context = context->object.handle;
    return object->kind == CUDA_OBJECT_ARRAY ? save_array(saving, &item, array->native)
                                             : save_mipmap(saving, (const struct cuda_mipmap *)object);
}

/* ---- All of it: out -------------------------------------------------------------------------- */

static int
save_object(struct cuda_saving *saving, const struct cuda_object *object)
{
    switch (object->kind) {
    case CUDA_OBJECT_RANGE:
        return save_range(saving, (const struct cuda_range *)object);
    case CUDA_OBJECT_PHYSICAL:
        return save_physical(saving, (const struct cuda_physical *)object);
    case CUDA_OBJECT_MODULE:
    case CUDA_OBJECT_LIBRARY:
        return save_image_variables(saving, object);
    case CUDA_OBJECT_ARRAY:
    case CUDA_OBJECT_MIPMAP:
        return save_array_object(saving, object);
    default:
        return 0;
    }
}

int
cuda_save_contents(struct cuda_saving *saving)
{
    int error = 0;

    for (struct cuda_object *object = saving->host->made; object && error == 0; object = object->next_made)
        if (object->made && cuda_object_alive(object))
            error = save_object(saving, object);
    return error;
}

/* ---- And back -------------------------------------------------------------------------------- */

static int
load_bytes(struct cuda_resuming *resuming, CUdeviceptr start, uint64_t bytes)
{
    while (bytes > 0) {
        size_t part = bytes < SUSPEND_BUFFER ? (size_t)bytes : SUSPEND_BUFFER;
        int error = gpuvchan_snapshot_read(resuming->snapshot, resuming->buffer, part);

        if (error == 0)
            error = cuda_resume_result(resuming, resuming->host->native->cuMemcpyHtoD(start, resuming->buffer, part),
                                       "contents of %#llx", start);
        if (error != 0)
            return error;
        start += part;
        bytes -= part;
    }
    return 0;
}

int
cuda_load_contents(struct cuda_resuming *resuming, const struct suspend_contents *contents)
{
    struct cuda_ranges *ranges = &resuming->host->ranges;
    const struct cuda_range *range;

    pthread_rwlock_rdlock(&ranges->lock);
    range = cuda_ranges_find(ranges, contents->start, contents->bytes);
    pthread_rwlock_unlock(&ranges->lock);
    if (!range || contents->bytes == 0 || !cuda_resume_context(resuming, contents->context))
        return cuda_resume_damaged("contents of memory that is not there");
    return load_bytes(resuming, contents->start, contents->bytes);
}

int
cuda_load_physical(struct cuda_resuming *resuming, const struct suspend_physical *item)
{
    struct cuda_host *host = resuming->host;
    const struct cuda_physical *physical = cuda_resume_find(resuming, CUDA_OBJECT_PHYSICAL, item->physical);
    uint64_t bytes = 0;
    CUdeviceptr at = 0;
    CUdevice device;
    int error, result;

    if (!physical)
        return cuda_resume_damaged("contents of physical memory that is not there");
    result = physical_enter(host, physical, &bytes, &device);
    if (bytes != item->bytes)
        return cuda_resume_damaged("contents of physical memory of another size");
    if (result == CUDA_SUCCESS)
        result = window_open(host, physical, bytes, device, &at);
    error = cuda_resume_result(resuming, result, "physical memory %#x", item->physical);
    if (error != 0)
        return error;
    error = load_bytes(resuming, at, bytes);
    window_close(host, at, bytes);
    return error;
}

int
cuda_load_variable(struct cuda_resuming *resuming, const struct suspend_variable *variable, const char *name)
{
    const struct cuda_driver *native = resuming->host->native;
    const struct cuda_module *module = cuda_resume_find(resuming, CUDA_OBJECT_MODULE, variable->module);
    const struct cuda_library *library = cuda_resume_find(resuming, CUDA_OBJECT_LIBRARY, variable->library);
    CUmodule from = module ? module->native : NULL;
    CUdeviceptr at = 0;
    size_t bytes = 0;
    int error, result = CUDA_SUCCESS;

    if ((!module && (!library || !native->cuLibraryGetModule)) || !cuda_resume_context(resuming, variable->context))
        return cuda_resume_damaged("a variable of a module that is not there");
    if (!module)
        result = native->cuLibraryGetModule(&from, library->native);
    if (result == CUDA_SUCCESS)
        result = native->cuModuleGetGlobal(&at, &bytes, from, name);
    error = cuda_resume_result(resuming, result, "variable %s", name);
    if (error != 0)
        return error;
    return bytes == variable->bytes ? load_bytes(resuming, at, bytes)
                                    : cuda_resume_damaged("a variable of another size");
}

int
cuda_load_array(struct cuda_resuming *resuming, const struct suspend_array *item)
{
    struct cuda_host *host = resuming->host;
    const struct cuda_array *array = cuda_resume_find(resuming, CUDA_OBJECT_ARRAY, item->array);
    const struct cuda_mipmap *mipmap = cuda_resume_find(resuming, CUDA_OBJECT_MIPMAP, item->mipmap);
    CUresult result = CUDA_SUCCESS;
    CUarray native = NULL;
    struct shape shape;
    int error;

    if ((!array && !mipmap) || !cuda_resume_context(resuming, item->context))
        return cuda_resume_damaged("contents of an array that is not there");
    if (array)
        native = array->native;
    else
        result = host->native->cuMipmappedArrayGetLevel(&native, mipmap->native, item->level);
    if (result != CUDA_SUCCESS)
        return cuda_resume_result(resuming, result, "level %u", item->level);
    if (!shape_of(host->native, native, &shape) || shape_bytes(&shape) != item->bytes)
        return cuda_resume_damaged("contents of an array of another size");
    error = copy_array(host, resuming->snapshot, resuming->buffer, native, &shape, false, &result);
    return error ? error : cuda_resume_result(resuming, result, "array %#x", item->array);
}
