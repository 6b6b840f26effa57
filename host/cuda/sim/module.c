/* SPDX-License-Identifier: MIT */
/*
 * Loading: the tree is parsed, variables get addresses, functions are compiled
 * against them, initial values are written; then the tree goes.
 *
 * A module with an instruction that the device lacks fails here, at the load,
 * with CUDA_ERROR_NOT_SUPPORTED, whether or not the kernel would ever run.
 */
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t
round_up(size_t value, size_t align)
{
    return (value + align - 1) & ~(align - 1);
}

static bool
takes_memory(const struct ptx_variable *variable)
{
    return variable->space == PTX_GLOBAL || variable->space == PTX_CONST;
}

static bool
is_same_definition(const struct ptx_variable *a, const struct ptx_variable *b)
{
    return takes_memory(b) && a->name == b->name && b->linkage != PTX_EXTERN;
}

/* An extern variable is the definition of the same name, if there is one. */
static bool
resolve_extern(const struct ptx_module *tree, uint32_t index, uint64_t *addresses, struct ptx_log *log)
{
    const struct ptx_variable *variables = tree->variables.data;
    uint32_t i;

    for (i = 0; i < tree->variables.count; i++)
        if (is_same_definition(&variables[index], &variables[i])) {
            addresses[index] = addresses[i];
            return true;
        }
    ptx_log_set(log, false, variables[index].line, "unresolved extern variable '%s'",
                ptx_names_text(&tree->names, variables[index].name));
    return false;
}

/* Offsets of all variables, and the bytes they take together. */
static CUresult
place_variables(const struct ptx_module *tree, uint64_t *addresses, size_t *total, struct ptx_log *log)
{
    const struct ptx_variable *variables = tree->variables.data;
    size_t end = 0;
    uint32_t i;

    for (i = 0; i < tree->variables.count; i++) {
        size_t align = variables[i].align;

        if (!takes_memory(&variables[i]) || variables[i].linkage == PTX_EXTERN)
            continue;
        if (align & (align - 1))
            align = 16;
        end = round_up(end, align < 16 ? 16 : align);
        addresses[i] = end;
        end += variables[i].size;
        if (end > PTX_MAX_VARIABLE)
            return CUDA_ERROR_OUT_OF_MEMORY;
    }
    for (i = 0; i < tree->variables.count; i++)
        if (takes_memory(&variables[i]) && variables[i].linkage == PTX_EXTERN &&
            !resolve_extern(tree, i, addresses, log))
            return CUDA_ERROR_INVALID_PTX;
    *total = end;
    return CUDA_SUCCESS;
}

static bool
symbol_address(const struct ptx_module *tree, const struct sim_code *code, const uint64_t *addresses, uint32_t name,
               uint64_t *address)
{
    const struct ptx_variable *variables = tree->variables.data;
    const char *text = ptx_names_text(&tree->names, name);
    uint32_t i;

    for (i = 0; i < tree->variables.count; i++)
        if (variables[i].name == name && takes_memory(&variables[i])) {
            *address = addresses[i];
            return true;
        }
    for (i = 0; i < code->function_count; i++)
        if (strcmp(code->functions[i].name, text) == 0) {
            *address = SIM_WINDOW_CODE | (uint64_t)i << 4;
            return true;
        }
    return false;
}

static bool
initialise(const struct ptx_module *tree, const struct sim_code *code, const uint64_t *addresses,
           const struct ptx_variable *variable, uint64_t address, struct ptx_log *log)
{
    uint32_t i;

    for (i = 0; i < variable->init_count; i++) {
        const struct ptx_initializer *item = &variable->init[i];
        uint64_t value = item->bits, symbol;

        if (item->symbol != PTX_NONE) {
            if (!symbol_address(tree, code, addresses, item->symbol, &symbol)) {
                ptx_log_set(log, false, variable->line, "unknown symbol '%s'",
                            ptx_names_text(&tree->names, item->symbol));
                return false;
            }
            value = (value + symbol) >> item->shift;
        }
        if (item->offset + item->size > variable->size || item->size > 8)
            continue;
        memcpy((void *)(uintptr_t)(address + item->offset), &value, item->size);
    }
    return true;
}

static bool
remember_variables(struct sim_module *module, const struct ptx_module *tree, const uint64_t *addresses)
{
    const struct ptx_variable *variables = tree->variables.data;
    uint32_t i;

    module->variables = calloc((size_t)tree->variables.count + 1, sizeof *module->variables);
    if (!module->variables)
        return false;
    for (i = 0; i < tree->variables.count; i++) {
        struct module_variable *place = &module->variables[module->variable_count];

        if (!takes_memory(&variables[i]) || variables[i].linkage == PTX_EXTERN)
            continue;
        place->name = strdup(ptx_names_text(&tree->names, variables[i].name));
        if (!place->name)
            return false;
        place->address = addresses[i];
        place->size = variables[i].size;
        place->reference = variables[i].reference;
        place->managed = variables[i].managed;
        module->variable_count++;
    }
    return true;
}

/* The tree's variables and code into the module. */
static CUresult
build(struct sim_module *module, struct sim_context *context, struct ptx_module *tree, struct ptx_log *log)
{
    struct sim_addresses names;
    uint64_t *addresses = calloc((size_t)tree->variables.count + 1, sizeof *addresses);
    size_t total = 0;
    CUresult result;
    uint32_t i;

    if (!addresses)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = place_variables(tree, addresses, &total, log);
    if (!result && total)
        result =
            sim_memory_alloc(sim_driver.memory, RANGE_MODULE, context->device, context, total, 0, &module->globals);
    if (result)
        goto free_addresses;
    for (i = 0; i < tree->variables.count; i++)
        addresses[i] += module->globals;
    names.variables = addresses;
    result = CUDA_ERROR_INVALID_PTX;
    module->code = sim_code_create(tree, &names, log);
    if (!module->code)
        goto free_addresses;
    for (i = 0; i < tree->variables.count; i++) {
        const struct ptx_variable *variable = PTX_AT(tree->variables, struct ptx_variable, i);

        if (takes_memory(variable) && !initialise(tree, module->code, addresses, variable, addresses[i], log))
            goto free_addresses;
    }
    module->functions = calloc((size_t)module->code->function_count + 1, sizeof *module->functions);
    result = module->functions && remember_variables(module, tree, addresses) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;

free_addresses:
    free(addresses);
    return result;
}

static CUresult
judge(const struct ptx_log *log)
{
    if (log->version > SIM_PTX_VERSION)
        return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
    if (log->version == 0)
        return CUDA_ERROR_INVALID_IMAGE; /* no PTX at all */
    if (log->target > SIM_CAPABILITY)
        return CUDA_ERROR_INVALID_PTX;
    return log->unsupported ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_PTX;
}

static CUresult
load_text(struct sim_context *context, const char *text, size_t length, struct ptx_log *log,
          struct sim_module **module_p)
{
    struct sim_module *module;
    struct ptx_module *tree;
    CUresult result;

    tree = ptx_module_parse(text, length, log);
    if (!tree)
        return judge(log);
    if (log->version > SIM_PTX_VERSION || log->target > SIM_CAPABILITY) {
        ptx_log_set(log, false, 1, "PTX %u.%u for sm_%u is newer than the device", log->version / 10, log->version % 10,
                    log->target);
        ptx_module_destroy(tree);
        return judge(log);
    }
    module = calloc(1, sizeof *module);
    result = CUDA_ERROR_OUT_OF_MEMORY;
    if (!module)
        goto destroy_tree;
    module->target = tree->target;
    result = build(module, context, tree, log);
    if (result == CUDA_ERROR_INVALID_PTX)
        result = judge(log);
    if (!result && !sim_object_add(&module->object, OBJECT_MODULE, context))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result)
        sim_module_destroy(module);
    else
        *module_p = module;

destroy_tree:
    ptx_module_destroy(tree);
    return result;
}

CUresult
sim_module_load(struct sim_context *context, const void *image, size_t size, struct ptx_log *log,
                struct sim_module **module_p)
{
    const char *text;
    char *memory;
    size_t length;
    CUresult result = sim_image_find_ptx(image, size, &text, &length, &memory, log);

    if (!result) {
        result = load_text(context, text, length, log, module_p);
        free(memory);
    }
    return result;
}

static void
forget_instance(struct sim_module *module)
{
    struct sim_module **at = module->library ? &module->library->instances : NULL;

    while (at && *at && *at != module)
        at = &(*at)->next;
    if (at && *at)
        *at = module->next;
}

void
sim_module_destroy(struct sim_module *module)
{
    uint32_t i;

    if (!module)
        return;
    forget_instance(module);
    if (module->object.kind)
        sim_references_forget(module);
    sim_object_remove(&module->object);
    for (i = 0; module->functions && i < module->code->function_count; i++)
        if (module->functions[i]) {
            sim_object_remove(&module->functions[i]->object);
            free(module->functions[i]);
        }
    free(module->functions);
    for (i = 0; i < module->variable_count; i++)
        free(module->variables[i].name);
    free(module->variables);
    if (module->globals)
        sim_memory_free(sim_driver.memory, RANGE_MODULE, module->globals);
    sim_code_destroy(module->code);
    free(module);
}

const struct sim_function *
sim_function_of(const struct sim_function_handle *handle)
{
    return &handle->module->code->functions[handle->index];
}

CUresult
sim_function_at(struct sim_module *module, uint32_t index, struct sim_function_handle **handle)
{
    struct sim_function_handle *made = module->functions[index];
    int room;

    if (!made) {
        made = calloc(1, sizeof *made);
        if (!made || !sim_object_add(&made->object, OBJECT_FUNCTION, module->object.context)) {
            free(made);
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
        made->module = module;
        made->index = index;
        made->carveout = -1;
        room = (int)SIM_STATIC_SHARED - (int)sim_function_of(made)->shared_bytes;
        made->max_dynamic_shared = room > 0 ? room : 0;
        module->functions[index] = made;
    }
    *handle = made;
    return CUDA_SUCCESS;
}

CUresult
sim_module_function(struct sim_module *module, const char *name, struct sim_function_handle **handle)
{
    uint32_t i;

    for (i = 0; i < module->code->function_count; i++) {
        const struct sim_function *function = &module->code->functions[i];

        if (function->entry && function->defined && strcmp(function->name, name) == 0)
            return sim_function_at(module, i, handle);
    }
    return CUDA_ERROR_NOT_FOUND;
}

/* Libraries. */

static CUresult
library_context(struct sim_context **context)
{
    CUresult result = CUDA_SUCCESS;

    if (!sim_driver.libraries)
        result = sim_context_create(0, 0, &sim_driver.libraries);
    *context = sim_driver.libraries;
    return result;
}

/* Pieces after the first one have no directives of a file's head, or they would not be one text. */
static void
blank_head(char *text)
{
    static const char *const directives[] = {".version", ".target", ".address_size"};
    char *line;
    size_t i;

    for (i = 0; i < sizeof directives / sizeof directives[0]; i++)
        for (line = strstr(text, directives[i]); line && *line && *line != '\n'; line++)
            *line = ' ';
}

static CUresult
append(struct sim_library *library, const char *text, size_t length)
{
    char *grown = realloc(library->text, library->length + length + 2);

    if (!grown)
        return CUDA_ERROR_OUT_OF_MEMORY;
    library->text = grown;
    memcpy(grown + library->length, text, length);
    memcpy(grown + library->length + length, "\n", 2);
    if (library->length)
        blank_head(grown + library->length);
    library->length += length + 1;
    return CUDA_SUCCESS;
}

/* What one image has; that it has nothing for this device is no error if another one has. */
static CUresult
collect(struct sim_library *library, const void *image, bool optional, struct ptx_log *log)
{
    const char *text;
    char *memory;
    size_t length;
    CUresult result = sim_image_find_ptx(image, SIZE_MAX, &text, &length, &memory, log);

    if (result)
        return optional && result == CUDA_ERROR_NO_BINARY_FOR_GPU ? CUDA_SUCCESS : result;
    result = append(library, text, length);
    free(memory);
    return result;
}

static CUresult
library_fill(struct sim_library *library, const void *image, struct ptx_log *log)
{
    struct sim_context *context;
    struct fatbin_wrapper wrapper = {0};
    CUresult result = library_context(&context);
    size_t i;

    memcpy(&wrapper.magic, image, sizeof wrapper.magic);
    if (wrapper.magic == FATBIN_WRAPPER_MAGIC)
        memcpy(&wrapper, image, sizeof wrapper);
    if (result)
        return result;
    if (wrapper.version == 2 && wrapper.more) {
        for (i = 0; wrapper.more[i] && !result; i++)
            result = collect(library, wrapper.more[i], true, log);
        if (!result && !library->text)
            result = CUDA_ERROR_NO_BINARY_FOR_GPU;
    } else {
        result = collect(library, wrapper.data ? wrapper.data : image, false, log);
    }
    return result ? result : load_text(context, library->text, library->length, log, &library->module);
}

/* PTX that is wrong is loaded as well, as NVIDIA's driver compiles it only when it is first used. */
CUresult
sim_library_load(const void *image, struct ptx_log *log, struct sim_library **library)
{
    struct sim_library *made = calloc(1, sizeof *made);
    CUresult result = made ? library_fill(made, image, log) : CUDA_ERROR_OUT_OF_MEMORY;

    if (result == CUDA_ERROR_INVALID_PTX) {
        made->broken = result;
        result = CUDA_SUCCESS;
    }
    if (!result && !sim_object_add(&made->object, OBJECT_LIBRARY, NULL))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result) {
        sim_library_destroy(made);
        return result;
    }
    if (made->module)
        made->module->library = made;
    *library = made;
    return CUDA_SUCCESS;
}

void
sim_library_destroy(struct sim_library *library)
{
    if (!library)
        return;
    while (library->instances)
        sim_module_destroy(library->instances);
    sim_module_destroy(library->module);
    sim_object_remove(&library->object);
    free(library->text);
    free(library);
}

CUresult
sim_library_module(struct sim_library *library, struct sim_context *context, struct sim_module **module)
{
    struct ptx_log log = {0};
    CUresult result;

    for (*module = library->instances; *module; *module = (*module)->next)
        if ((*module)->object.context == context)
            return CUDA_SUCCESS;
    result = load_text(context, library->text, library->length, &log, module);
    if (result)
        return result;
    (*module)->library = library;
    (*module)->next = library->instances;
    library->instances = *module;
    return CUDA_SUCCESS;
}

CUresult
sim_function_in(struct sim_context *context, struct sim_function_handle **function)
{
    const struct sim_function_handle *kernel = *function;
    struct sim_library *library = kernel->module->library;
    struct sim_module *module;
    CUresult result;

    if (!library || kernel->module != library->module)
        return CUDA_SUCCESS;
    result = sim_library_module(library, context, &module);
    if (!result)
        result = sim_function_at(module, kernel->index, function);
    if (result)
        return result;
    (*function)->max_dynamic_shared = kernel->max_dynamic_shared;
    (*function)->carveout = kernel->carveout;
    (*function)->cache_config = kernel->cache_config;
    return CUDA_SUCCESS;
}
