/* SPDX-License-Identifier: MIT */
/* Modules: images staged in the arena, the compiler's options and logs, and variables. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"

/* ---- Options of the compiler ------------------------------------------------------------------- */

/* What travels, and what is filled in here when the host has answered. */
struct options {
    uint32_t names[CUDA_MODULE_LOAD_OPTIONS_MAX];
    uint64_t values[CUDA_MODULE_LOAD_OPTIONS_MAX];
    size_t count;
    char *info, *error;
    void **info_bytes, **error_bytes; /* room; then what was written */
    void **wall_time;
};

static bool
has_pointer(CUjit_option option)
{
    return option == CU_JIT_GLOBAL_SYMBOL_NAMES || option == CU_JIT_GLOBAL_SYMBOL_ADDRESSES ||
           option == CU_JIT_REFERENCED_KERNEL_NAMES || option == CU_JIT_REFERENCED_VARIABLE_NAMES;
}

static CUresult
option_sort(struct options *options, CUjit_option option, void **value)
{
    if ((unsigned)option >= CU_JIT_NUM_OPTIONS)
        return CUDA_ERROR_INVALID_VALUE;
    if (has_pointer(option))
        return CUDA_ERROR_NOT_SUPPORTED;
    if (option == CU_JIT_INFO_LOG_BUFFER)
        options->info = *value;
    else if (option == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES)
        options->info_bytes = value;
    else if (option == CU_JIT_ERROR_LOG_BUFFER)
        options->error = *value;
    else if (option == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
        options->error_bytes = value;
    else if (option == CU_JIT_WALL_TIME)
        options->wall_time = value;
    else if (options->count == CUDA_MODULE_LOAD_OPTIONS_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    else {
        options->names[options->count] = (uint32_t)option;
        options->values[options->count++] = (uintptr_t)*value;
    }
    return CUDA_SUCCESS;
}

static size_t
log_room(const char *buffer, void **bytes)
{
    return buffer && bytes ? (size_t)(uint32_t)(uintptr_t)*bytes : 0;
}

static void
log_give(char *buffer, void **bytes, const char *text)
{
    size_t room = log_room(buffer, bytes), length = strlen(text);

    if (bytes)
        *bytes = NULL;
    if (room == 0)
        return;
    length = length < room ? length : room - 1;
    memcpy(buffer, text, length);
    buffer[length] = '\0';
    *bytes = (void *)(uintptr_t)length;
}

static void
logs_fetch(struct cuda_guest_thread *self, const struct options *options)
{
    char info[CUDA_MODULE_LOG_INFO_LOG_MAX + 1] = "", error[CUDA_MODULE_LOG_ERROR_LOG_MAX + 1] = "";

    if (!options->info_bytes && !options->error_bytes)
        return;
    cuda_module_log_on(&cuda_guest.client, self->lane, info, sizeof(info), error, sizeof(error));
    log_give(options->info, options->info_bytes, info);
    log_give(options->error, options->error_bytes, error);
}

/* ---- Loading --------------------------------------------------------------------------------- */

static CUresult
load_on_host(struct cuda_guest_thread *self, uint32_t handle, struct gpuvchan_reference image,
             const struct options *options)
{
    size_t info = log_room(options->info, options->info_bytes), error = log_room(options->error, options->error_bytes);
    CUresult result = cuda_guest_settle(self);
    int status;

    if (result != CUDA_SUCCESS)
        return result;
    status = cuda_module_load_on(&cuda_guest.client, self->lane, handle, image, options->names, options->count,
                                 options->values, options->count, (uint32_t)(info > error ? info : error));
    if (status >= 0)
        logs_fetch(self, options);
    return cuda_guest_result(status);
}

static CUresult
load(struct cuda_guest_thread *self, CUmodule *out, const void *image, size_t bytes, const struct options *options)
{
    struct cuda_guest_module *module;
    struct gpuvchan_buffer *buffer;
    CUresult result;

    if (bytes == 0)
        return CUDA_ERROR_INVALID_IMAGE;
    if (gpuvchan_buffer_create(cuda_guest.channel, bytes, &buffer) != 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    gpuvchan_arena_write(self->lane, gpuvchan_buffer_data(buffer), image, bytes);
    result = cuda_guest_object_create(CUDA_HANDLE_MODULE, sizeof(*module), cuda_guest_current(self), &module);
    if (result == CUDA_SUCCESS) {
        struct gpuvchan_reference reference = {.offset = gpuvchan_buffer_offset(buffer), .bytes = bytes};

        result = load_on_host(self, module->object.handle, reference, options);
        if (result == CUDA_SUCCESS)
            *out = cuda_guest_handle(&module->object);
        else
            cuda_guest_object_undo(&module->object);
    }
    gpuvchan_buffer_destroy(buffer);
    return result;
}

ENTRY
cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int count, CUjit_option *names, void **values)
{
    struct cuda_guest_thread *self;
    struct options options = {0};
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!module || !image || (count != 0 && (!names || !values)))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count && result == CUDA_SUCCESS; i++)
        result = option_sort(&options, names[i], &values[i]);
    if (result != CUDA_SUCCESS)
        return result;
    if (options.wall_time)
        *options.wall_time = NULL;
    size_t bytes = cuda_guest_image_bytes(&image);

    return load(self, module, image, bytes, &options);
}

ENTRY
cuModuleLoadData(CUmodule *module, const void *image)
{
    return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

ENTRY
cuModuleLoadFatBinary(CUmodule *module, const void *image)
{
    return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

/* The whole file and a NUL behind it, for the caller to free. */
static CUresult
file_read(const char *name, char **out, size_t *bytes)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    CUresult result = CUDA_ERROR_FILE_NOT_FOUND;
    struct stat info;
    size_t done = 0;
    ssize_t got = 1;
    char *text;

    if (fd < 0)
        return result;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        result = CUDA_ERROR_OUT_OF_MEMORY;
        text = malloc((size_t)info.st_size + 1);
        while (text && done < (size_t)info.st_size && got > 0) {
            got = read(fd, text + done, (size_t)info.st_size - done);
            if (got > 0)
                done += (size_t)got;
            else if (got < 0 && errno == EINTR)
                got = 1;
        }
        if (text) {
            text[done] = '\0';
            *out = text;
            *bytes = done + 1;
            result = CUDA_SUCCESS;
        }
    }
    close(fd);
    return result;
}

ENTRY
cuModuleLoad(CUmodule *module, const char *name)
{
    struct cuda_guest_thread *self;
    struct options none = {0};
    CUresult result = cuda_guest_enter(&self);
    size_t bytes;
    char *image;

    if (result != CUDA_SUCCESS)
        return result;
    if (!module || !name)
        return CUDA_ERROR_INVALID_VALUE;
    result = file_read(name, &image, &bytes);
    if (result != CUDA_SUCCESS)
        return result;
    result = load(self, module, image, bytes, &none);
    free(image);
    return result;
}

void
cuda_guest_module_drop(struct cuda_guest_module *module)
{
    struct cuda_guest_range variable;

    cuda_guest_functions_drop(module);
    while (cuda_guest_range_take_of(NULL, module, &variable))
        continue;
    cuda_guest_object_free(&module->object);
}

ENTRY
cuModuleUnload(CUmodule handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_module *module;
    CUresult result = cuda_guest_enter(&self);
    uint32_t wire;

    if (result != CUDA_SUCCESS)
        return result;
    module = cuda_guest_take(handle, CUDA_HANDLE_MODULE);
    if (!module)
        return CUDA_ERROR_INVALID_HANDLE;
    wire = module->object.handle;
    cuda_guest_module_drop(module);
    return cuda_guest_result(cuda_module_unload_on(&cuda_guest.client, self->lane, wire));
}

/* ---- What is in a module --------------------------------------------------------------------- */

/* Kept, so that copies to it are known to be in range. */
static CUresult
variable_keep(struct cuda_guest_module *module, uint64_t address, uint64_t bytes)
{
    struct cuda_guest_range range = {.start = address,
                                     .bytes = bytes,
                                     .kind = CUDA_GUEST_GLOBAL,
                                     .context = module->object.context,
                                     .module = module};
    struct cuda_guest_range known;

    if (cuda_guest_range_find(address, &known) && known.start == address)
        return CUDA_SUCCESS;
    return cuda_guest_range_add(&range);
}

ENTRY
cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes, CUmodule handle, const char *name)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_module *module;
    CUdeviceptr found = 0;
    uint64_t size = 0;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    module = cuda_guest_find(handle, CUDA_HANDLE_MODULE);
    if (!module)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!name || (!address && !bytes))
        return CUDA_ERROR_INVALID_VALUE;
    result = cuda_guest_settle(self);
    if (result == CUDA_SUCCESS)
        result = cuda_guest_result(
            cuda_module_global_on(&cuda_guest.client, self->lane, module->object.handle, name, &found, &size));
    if (result == CUDA_SUCCESS)
        result = variable_keep(module, found, size);
    if (result != CUDA_SUCCESS)
        return result;
    if (address)
        *address = found;
    if (bytes)
        *bytes = size;
    return CUDA_SUCCESS;
}

ENTRY
cuModuleGetFunctionCount(unsigned int *count, CUmodule handle)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_module *module;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    module = cuda_guest_find(handle, CUDA_HANDLE_MODULE);
    if (!module)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!count)
        return CUDA_ERROR_INVALID_VALUE;
    return cuda_guest_result(
        cuda_module_function_count_on(&cuda_guest.client, self->lane, module->object.handle, count));
}

ENTRY
cuModuleGetLoadingMode(CUmoduleLoadingMode *mode)
{
    CUresult result = cuda_guest_ready();

    if (result != CUDA_SUCCESS)
        return result;
    if (!mode)
        return CUDA_ERROR_INVALID_VALUE;
    *mode = CU_MODULE_LAZY_LOADING;
    return CUDA_SUCCESS;
}
