/* SPDX-License-Identifier: MIT */
/*
 * Modules, libraries and linking. A library's kernels are functions of a module
 * loaded at once into the current context, or the first device's primary one;
 * CUkernel and CUfunction are the same handles.
 */
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The logs of the caller, from the options of a load. */
struct jit_logs {
    char *info, *error;
    size_t info_size, error_size;
    void **info_size_p, **error_size_p;
};

static struct jit_logs
find_logs(unsigned int count, const CUjit_option *options, void **values)
{
    struct jit_logs logs = {0};
    unsigned int i;

    for (i = 0; options && values && i < count; i++)
        switch (options[i]) {
        case CU_JIT_INFO_LOG_BUFFER:
            logs.info = values[i];
            break;
        case CU_JIT_ERROR_LOG_BUFFER:
            logs.error = values[i];
            break;
        case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
            logs.info_size = (unsigned int)(uintptr_t)values[i];
            logs.info_size_p = &values[i];
            break;
        case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
            logs.error_size = (unsigned int)(uintptr_t)values[i];
            logs.error_size_p = &values[i];
            break;
        default:
            break;
        }
    return logs;
}

/* Sizes come back as what was written. */
static void
write_log(char *buffer, size_t size, void **size_p, const char *text)
{
    size_t written = 0;

    if (buffer && size) {
        snprintf(buffer, size, "%s", text);
        written = strlen(buffer);
    }
    if (size_p)
        *size_p = (void *)written;
}

static void
write_logs(const struct jit_logs *logs, const struct ptx_log *log)
{
    char text[sizeof log->text + 16] = "";

    if (log->text[0])
        snprintf(text, sizeof text, "error: %s\n", log->text);
    write_log(logs->error, logs->error_size, logs->error_size_p, text);
    write_log(logs->info, logs->info_size, logs->info_size_p, "");
}

static CUresult
load(struct sim_context *context, const void *image, const struct jit_logs *logs, struct sim_module **module)
{
    struct ptx_log log = {0};
    CUresult result = sim_module_load(context, image, SIZE_MAX, &log, module);

    write_logs(logs, &log);
    if (result && log.text[0])
        fprintf(stderr, "simulated device: %s\n", log.text);
    return result;
}

SIM_EXPORT CUresult
cuModuleLoadDataEx(CUmodule *handle, const void *image, unsigned int count, CUjit_option *options, void **values)
{
    struct sim_context *context;
    struct sim_module *module;
    struct jit_logs logs = find_logs(count, options, values);
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!handle || !image)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = load(context, image, &logs, &module);
    if (!result)
        *handle = (CUmodule)module;
    return sim_end(result);
}

SIM_EXPORT CUresult
cuModuleLoadData(CUmodule *handle, const void *image)
{
    return cuModuleLoadDataEx(handle, image, 0, NULL, NULL);
}

/* What nvcc embeds points at the fat binary itself. */
static const void *
unwrap(const void *image)
{
    struct fatbin_wrapper wrapper;

    memcpy(&wrapper.magic, image, sizeof wrapper.magic);
    if (wrapper.magic != FATBIN_WRAPPER_MAGIC)
        return image;
    memcpy(&wrapper, image, sizeof wrapper);
    return wrapper.data;
}

SIM_EXPORT CUresult
cuModuleLoadFatBinary(CUmodule *handle, const void *image)
{
    return cuModuleLoadData(handle, image ? unwrap(image) : NULL);
}

/* A whole file with a terminator, NULL when it cannot be read. */
static char *
read_file(const char *name)
{
    FILE *file = fopen(name, "rb");
    char *text = NULL, *grown;
    size_t used = 0, room = 0, n;

    if (!file)
        return NULL;
    do {
        if (room - used < 65536) {
            grown = realloc(text, (room = room * 2 + 131072) + 1);
            if (!grown)
                break;
            text = grown;
        }
        n = fread(text + used, 1, room - used, file);
        used += n;
    } while (n && used <= PTX_MAX_TEXT);
    if (text)
        text[used] = '\0';
    fclose(file);
    return text;
}

SIM_EXPORT CUresult
cuModuleLoad(CUmodule *handle, const char *name)
{
    CUresult result;
    char *text;

    if (!handle || !name)
        return CUDA_ERROR_INVALID_VALUE;
    text = read_file(name);
    if (!text)
        return CUDA_ERROR_FILE_NOT_FOUND;
    result = cuModuleLoadData(handle, text);
    free(text);
    return result;
}

/* Lock, and a module that is there. */
static CUresult
enter_module(CUmodule handle, struct sim_module **module)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    *module = sim_object_find(handle, OBJECT_MODULE);
    return *module ? CUDA_SUCCESS : sim_end(CUDA_ERROR_INVALID_HANDLE);
}

SIM_EXPORT CUresult
cuModuleUnload(CUmodule handle)
{
    struct sim_module *module;
    CUresult result = enter_module(handle, &module);

    if (result)
        return result;
    if (module->library)
        return sim_end(CUDA_ERROR_NOT_PERMITTED);
    sim_module_destroy(module);
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuModuleGetLoadingMode(CUmoduleLoadingMode *mode)
{
    CUresult result = sim_begin();

    if (result)
        return result;
    if (!mode)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *mode = CU_MODULE_EAGER_LOADING;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuModuleGetFunction(CUfunction *handle, CUmodule owner, const char *name)
{
    struct sim_module *module;
    struct sim_function_handle *function;
    CUresult result = enter_module(owner, &module);

    if (result)
        return result;
    if (!handle || !name)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = sim_module_function(module, name, &function);
    if (!result)
        *handle = (CUfunction)function;
    return sim_end(result);
}

/* Kernels of a module in their order; the function after the last is NULL. */
static uint32_t
next_kernel(const struct sim_module *module, uint32_t from)
{
    while (from < module->code->function_count &&
           !(module->code->functions[from].entry && module->code->functions[from].defined))
        from++;
    return from;
}

static unsigned int
count_kernels(const struct sim_module *module)
{
    unsigned int n = 0;
    uint32_t i;

    for (i = next_kernel(module, 0); i < module->code->function_count; i = next_kernel(module, i + 1))
        n++;
    return n;
}

static CUresult
enumerate(struct sim_module *module, CUfunction *handles, unsigned int count)
{
    struct sim_function_handle *function;
    unsigned int n = 0;
    CUresult result;
    uint32_t i;

    for (i = next_kernel(module, 0); i < module->code->function_count && n < count; i = next_kernel(module, i + 1)) {
        result = sim_function_at(module, i, &function);
        if (result)
            return result;
        handles[n++] = (CUfunction)function;
    }
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuModuleGetFunctionCount(unsigned int *count, CUmodule handle)
{
    struct sim_module *module;
    CUresult result = enter_module(handle, &module);

    if (result)
        return result;
    if (!count)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *count = count_kernels(module);
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuModuleEnumerateFunctions(CUfunction *handles, unsigned int count, CUmodule owner)
{
    struct sim_module *module;
    CUresult result = enter_module(owner, &module);

    if (result)
        return result;
    return sim_end(handles ? enumerate(module, handles, count) : CUDA_ERROR_INVALID_VALUE);
}

static CUresult
find_global(const struct sim_module *module, const char *name, CUdeviceptr *address, size_t *bytes)
{
    uint32_t i;

    for (i = 0; i < module->variable_count; i++)
        if (strcmp(module->variables[i].name, name) == 0 && !module->variables[i].reference) {
            if (address)
                *address = module->variables[i].address;
            if (bytes)
                *bytes = module->variables[i].size;
            return CUDA_SUCCESS;
        }
    return CUDA_ERROR_NOT_FOUND;
}

bool
sim_is_managed_variable(const struct sim_context *context, uintptr_t address)
{
    for (const struct object *object = context ? context->objects : NULL; object; object = object->next) {
        const struct sim_module *module = (const struct sim_module *)object;

        for (uint32_t i = 0; object->kind == OBJECT_MODULE && i < module->variable_count; i++)
            if (module->variables[i].managed && address - module->variables[i].address < module->variables[i].size)
                return true;
    }
    return false;
}

SIM_EXPORT CUresult
cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes, CUmodule handle, const char *name)
{
    struct sim_module *module;
    CUresult result = enter_module(handle, &module);

    if (result)
        return result;
    if (!name || (!address && !bytes))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    return sim_end(find_global(module, name, address, bytes));
}

/* Libraries. */

SIM_EXPORT CUresult
cuLibraryLoadData(CUlibrary *handle, const void *image, CUjit_option *jit_options, void **jit_values,
                  unsigned int jit_count, CUlibraryOption *options, void **values, unsigned int count)
{
    struct sim_library *library;
    struct jit_logs logs = find_logs(jit_count, jit_options, jit_values);
    struct ptx_log log = {0};
    CUresult result = sim_begin();

    (void)options;
    (void)values;
    (void)count;
    if (result)
        return result;
    if (!handle || !image)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = sim_library_load(image, &log, &library);
    write_logs(&logs, &log);
    if ((result || library->broken) && log.text[0])
        fprintf(stderr, "simulated device: %s\n", log.text);
    if (!result)
        *handle = (CUlibrary)library;
    return sim_end(result);
}

SIM_EXPORT CUresult
cuLibraryLoadFromFile(CUlibrary *handle, const char *name, CUjit_option *jit_options, void **jit_values,
                      unsigned int jit_count, CUlibraryOption *options, void **values, unsigned int count)
{
    CUresult result;
    char *text;

    if (!handle || !name)
        return CUDA_ERROR_INVALID_VALUE;
    text = read_file(name);
    if (!text)
        return CUDA_ERROR_FILE_NOT_FOUND;
    result = cuLibraryLoadData(handle, text, jit_options, jit_values, jit_count, options, values, count);
    free(text);
    return result;
}

static CUresult
begin_library(CUlibrary handle, struct sim_library **library)
{
    CUresult result = sim_begin();

    if (result)
        return result;
    *library = sim_object_find(handle, OBJECT_LIBRARY);
    return *library ? CUDA_SUCCESS : sim_end(CUDA_ERROR_INVALID_HANDLE);
}

/* One that is to be used. */
static CUresult
begin_compiled(CUlibrary handle, struct sim_library **library)
{
    CUresult result = begin_library(handle, library);

    if (result)
        return result;
    return (*library)->broken ? sim_end((*library)->broken) : CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuLibraryUnload(CUlibrary handle)
{
    struct sim_library *library;
    CUresult result = begin_library(handle, &library);

    if (result)
        return result;
    sim_library_destroy(library);
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuLibraryGetKernel(CUkernel *kernel, CUlibrary handle, const char *name)
{
    struct sim_library *library;
    struct sim_function_handle *function;
    CUresult result = begin_compiled(handle, &library);

    if (result)
        return result;
    if (!kernel || !name)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = sim_module_function(library->module, name, &function);
    if (!result)
        *kernel = (CUkernel)function;
    return sim_end(result);
}

SIM_EXPORT CUresult
cuLibraryGetKernelCount(unsigned int *count, CUlibrary handle)
{
    struct sim_library *library;
    CUresult result = begin_compiled(handle, &library);

    if (result)
        return result;
    if (!count)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *count = count_kernels(library->module);
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuLibraryEnumerateKernels(CUkernel *kernels, unsigned int count, CUlibrary handle)
{
    struct sim_library *library;
    CUresult result = begin_compiled(handle, &library);

    if (result)
        return result;
    return sim_end(kernels ? enumerate(library->module, (CUfunction *)kernels, count) : CUDA_ERROR_INVALID_VALUE);
}

/* The library's module in the current context. */
static CUresult
enter_instance(CUlibrary handle, struct sim_module **module)
{
    struct sim_context *context;
    struct sim_library *library;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    library = sim_object_find(handle, OBJECT_LIBRARY);
    result = library ? sim_library_module(library, context, module) : CUDA_ERROR_INVALID_HANDLE;
    return result ? sim_end(result) : CUDA_SUCCESS;
}

SIM_EXPORT CUresult
cuLibraryGetModule(CUmodule *handle, CUlibrary library)
{
    struct sim_module *module;
    CUresult result = enter_instance(library, &module);

    if (result)
        return result;
    if (!handle)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    *handle = (CUmodule)module;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuLibraryGetGlobal(CUdeviceptr *address, size_t *bytes, CUlibrary library, const char *name)
{
    struct sim_module *module;
    CUresult result = enter_instance(library, &module);

    if (result)
        return result;
    if (!name || (!address && !bytes))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    return sim_end(find_global(module, name, address, bytes));
}

/* All memory is the processor's as well. */
SIM_EXPORT CUresult
cuLibraryGetManaged(CUdeviceptr *address, size_t *bytes, CUlibrary library, const char *name)
{
    struct sim_module *module;
    CUdeviceptr found = 0;
    CUresult result = enter_instance(library, &module);

    if (result)
        return result;
    if (!name || (!address && !bytes))
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = find_global(module, name, &found, bytes);
    if (!result && !sim_is_managed_variable(module->object.context, found))
        result = CUDA_ERROR_NOT_FOUND;
    if (!result && address)
        *address = found;
    return sim_end(result);
}

/* Linking: pieces of PTX are kept and joined into one text, as fits one piece. */

struct sim_link {
    struct object object; /* its payload is the text */
    struct jit_logs logs;
};

SIM_EXPORT CUresult
cuLinkCreate_v2(unsigned int count, CUjit_option *options, void **values, CUlinkState *state)
{
    struct sim_context *context;
    struct sim_link *made;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    if (!state)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    made = calloc(1, sizeof *made);
    if (!made || !sim_object_add(&made->object, OBJECT_LINK, context)) {
        free(made);
        return sim_end(CUDA_ERROR_OUT_OF_MEMORY);
    }
    made->logs = find_logs(count, options, values);
    *state = (CUlinkState)made;
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuLinkCreate, cuLinkCreate_v2);

static CUresult
enter_link(CUlinkState handle, struct sim_link **link)
{
    struct sim_context *context;
    CUresult result = sim_enter(&context);

    if (result)
        return result;
    *link = sim_object_find(handle, OBJECT_LINK);
    return *link ? CUDA_SUCCESS : sim_end(CUDA_ERROR_INVALID_HANDLE);
}

SIM_EXPORT CUresult
cuLinkAddData_v2(CUlinkState handle, CUjitInputType type, void *data, size_t size, const char *name, unsigned int count,
                 CUjit_option *options, void **values)
{
    struct sim_link *link;
    CUresult result = enter_link(handle, &link);

    (void)name;
    (void)count;
    (void)options;
    (void)values;
    if (result)
        return result;
    if (!data || !size)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    if (type != CU_JIT_INPUT_PTX)
        return sim_end(CUDA_ERROR_NO_BINARY_FOR_GPU);
    if (link->object.payload)
        return sim_end(CUDA_ERROR_NOT_SUPPORTED);
    link->object.payload = malloc(size + 1);
    if (!link->object.payload)
        return sim_end(CUDA_ERROR_OUT_OF_MEMORY);
    memcpy(link->object.payload, data, size);
    ((char *)link->object.payload)[size] = '\0';
    return sim_end(CUDA_SUCCESS);
}
SIM_SYNONYM(cuLinkAddData, cuLinkAddData_v2);

SIM_EXPORT CUresult
cuLinkAddFile_v2(CUlinkState handle, CUjitInputType type, const char *path, unsigned int count, CUjit_option *options,
                 void **values)
{
    CUresult result;
    char *text;

    if (!path)
        return CUDA_ERROR_INVALID_VALUE;
    text = read_file(path);
    if (!text)
        return CUDA_ERROR_FILE_NOT_FOUND;
    result = cuLinkAddData_v2(handle, type, text, strlen(text) + 1, path, count, options, values);
    free(text);
    return result;
}
SIM_SYNONYM(cuLinkAddFile, cuLinkAddFile_v2);

/* The text itself is what this device takes as an image; it is tried here. */
SIM_EXPORT CUresult
cuLinkComplete(CUlinkState handle, void **image, size_t *size)
{
    struct sim_link *link;
    struct sim_module *module;
    CUresult result = enter_link(handle, &link);

    if (result)
        return result;
    if (!link->object.payload)
        return sim_end(CUDA_ERROR_INVALID_VALUE);
    result = load(link->object.context, link->object.payload, &link->logs, &module);
    if (result)
        return sim_end(result);
    sim_module_destroy(module);
    if (image)
        *image = link->object.payload;
    if (size)
        *size = strlen(link->object.payload) + 1;
    return sim_end(CUDA_SUCCESS);
}

SIM_EXPORT CUresult
cuLinkDestroy(CUlinkState handle)
{
    struct sim_link *link;
    CUresult result = enter_link(handle, &link);

    if (result)
        return result;
    sim_object_remove(&link->object);
    free(link->object.payload);
    free(link);
    return sim_end(CUDA_SUCCESS);
}
