/* SPDX-License-Identifier: MIT */
/*
 * From the tree to operations: every function is compiled by itself, then the
 * shared memory of each kernel is laid out, of all that it can reach.
 */
#include "resolve.h"

#include <stdlib.h>
#include <string.h>

/* Instructions. */

static const struct op_set *const sets[] = {
    &ops_int, &ops_compare, &ops_float, &ops_half, &ops_cvt, &ops_memory, &ops_atomic, &ops_warp, &ops_control,
};

#define SETS (sizeof sets / sizeof sets[0])

static const struct op_family *
find_family(const char *mnemonic)
{
    const struct op_family *family;
    size_t i;

    for (i = 0; i < SETS; i++)
        for (family = sets[i]->families; family->mnemonic; family++)
            if (family->mnemonic[0] == mnemonic[0] && strcmp(family->mnemonic, mnemonic) == 0)
                return family;
    return NULL;
}

static const struct op_row *
find_row(const struct mods *mods)
{
    const struct op_row *row;
    size_t i;

    if (!mods->type_count)
        return NULL;
    for (i = 0; i < SETS; i++)
        for (row = sets[i]->rows; row->key; row++)
            if ((row->types >> mods->types[0] & 1) && row->key[0] == mods->key[0] && strcmp(row->key, mods->key) == 0)
                return row;
    return NULL;
}

static bool
decode_row(struct decoder *d, const struct op_row *row)
{
    enum ptx_type type = d->mods.types[0];
    uint32_t *places[3] = {&d->op.a, &d->op.b, &d->op.c};
    unsigned int i;

    d->op.fn = row->fn;
    d->op.type = (uint8_t)type;
    if (type >= PTX_F16 && type <= PTX_F64) {
        d->op.mode = (uint8_t)((d->mods.ftz ? FP_FTZ : 0) | (d->mods.sat ? FP_SAT : 0) | (d->mods.relu ? FP_RELU : 0));
        if (d->mods.round > ROUND_RN)
            d->op.mode |= (uint8_t)((unsigned int)d->mods.round << FP_ROUND_SHIFT);
    }
    if (!take_destination(d, &d->op.d))
        return false;
    for (i = 0; i < row->sources; i++)
        if (!take_source(d, type, places[i]))
            return false;
    return true;
}

static bool
has_list(const struct ptx_instruction *in)
{
    uint32_t i;

    for (i = 0; i < in->count; i++)
        if (in->operands[i].kind == PTX_OPERAND_LIST)
            return true;
    return false;
}

static bool
decode_guard(struct decoder *d)
{
    struct symbol *symbol;

    if (d->in->guard == PTX_NONE)
        return true;
    symbol = resolver_find_symbol(d->resolver, d->in->guard, d->in->scope);
    if (!symbol || symbol->kind != SYMBOL_REGISTER)
        return decode_unknown_name(d, d->in->guard);
    d->op.guard = symbol->slot;
    if (d->in->guard_negated)
        d->op.flags |= OP_GUARD_NOT;
    return true;
}

static bool
decode_instruction(struct resolver *r, const struct ptx_instruction *in)
{
    struct decoder d = {.resolver = r, .in = in, .op = resolver_blank_op(in)};
    const struct op_family *family;
    const struct op_row *row;
    struct op *place;
    size_t mnemonic = strcspn(in->opcode, ".");
    char name[32];

    if (!mods_parse(&d.mods, in->opcode) || mnemonic >= sizeof name - 2)
        return decode_unsupported(&d);
    memcpy(name, in->opcode, mnemonic);
    name[mnemonic] = '\0';
    if (strcmp(name, "mov") == 0 && has_list(in))
        strcpy(name, "mov{}");
    family = find_family(name);
    if (family) {
        if (!family->decode(&d))
            return false;
    } else {
        row = find_row(&d.mods);
        if (!row)
            return decode_unsupported(&d);
        if (!decode_row(&d, row))
            return false;
    }
    if (more_operands(&d) && !mods_has(&d.mods, "L2::cache_hint"))
        return decode_bad(&d, "too many operands");
    if (!decode_guard(&d))
        return false;
    place = resolver_vector_add(&r->ops, sizeof *place);
    if (!place)
        return resolver_out_of_memory(r);
    *place = d.op;
    return true;
}

/* Declarations. */

static bool
place_local(struct resolver *r, const struct ptx_variable *variable, uint64_t *offset)
{
    uint64_t start = ((uint64_t)r->local_size + variable->align - 1) & ~(uint64_t)(variable->align - 1);

    if (start + variable->size > SIM_MAX_LOCAL) {
        ptx_log_set(r->log, false, variable->line, "too much local memory");
        return false;
    }
    *offset = start;
    r->local_size = (uint32_t)(start + variable->size);
    return true;
}

static bool
is_power_of_two(unsigned int n)
{
    return n && !(n & (n - 1));
}

static bool
declare_local(struct resolver *r, const struct ptx_variable *variable)
{
    struct symbol symbol = {.variable = variable};

    if (variable->space == PTX_REG) {
        if (variable->size > 8) {
            ptx_log_set(r->log, true, variable->line, "registers of %llu bytes are not supported",
                        (unsigned long long)variable->size);
            return false;
        }
        symbol.kind = variable->registers ? SYMBOL_REGISTERS : SYMBOL_REGISTER;
        if (!variable->registers && !resolver_new_slot(r, &symbol.slot))
            return false;
    } else if (variable->space == PTX_SHARED) {
        symbol.kind = SYMBOL_SHARED;
        symbol.value = r->code->shared_variables++;
    } else {
        symbol.kind = SYMBOL_FRAME;
        if (!is_power_of_two(variable->align) || !place_local(r, variable, &symbol.value))
            return false;
    }
    return resolver_add_symbol(r, &r->locals, variable->name, variable->scope, symbol) != NULL;
}

/* Parameters of a kernel lie in its buffer, of other functions in the frame. */
static bool
declare_params(struct resolver *r, const struct ptx_array *list, const struct sim_param *places)
{
    uint32_t i;

    for (i = 0; i < list->count; i++) {
        const struct ptx_variable *variable = PTX_AT(*list, struct ptx_variable, i);
        struct symbol symbol = {
            .kind = r->function->entry ? SYMBOL_PARAM : SYMBOL_FRAME, .variable = variable, .value = places[i].offset};

        if (!resolver_add_symbol(r, &r->locals, variable->name, variable->scope, symbol))
            return false;
    }
    return true;
}

static bool
place_params(struct resolver *r, const struct ptx_array *list, struct sim_param **params, uint32_t *count,
             uint64_t *end)
{
    uint32_t i;

    *params = calloc(list->count + 1, sizeof **params);
    if (!*params)
        return resolver_out_of_memory(r);
    *count = list->count;
    for (i = 0; i < list->count; i++) {
        const struct ptx_variable *variable = PTX_AT(*list, struct ptx_variable, i);

        if (variable->space != PTX_PARAM) {
            ptx_log_set(r->log, true, variable->line, "parameters in registers are not supported");
            return false;
        }
        if (!is_power_of_two(variable->align)) {
            ptx_log_set(r->log, false, variable->line, "bad alignment");
            return false;
        }
        *end = (*end + variable->align - 1) & ~(uint64_t)(variable->align - 1);
        if (*end + variable->size > SIM_MAX_PARAMS) {
            ptx_log_set(r->log, false, variable->line, "too many bytes of parameters");
            return false;
        }
        (*params)[i].offset = (uint32_t)*end;
        (*params)[i].size = (uint32_t)variable->size;
        *end += variable->size;
    }
    return true;
}

/* What callers must know of a function before any body is compiled. */
static bool
prepare_function(struct resolver *r, uint32_t index)
{
    const struct ptx_function *source = r->sources[index];
    struct sim_function *function = &r->code->functions[index];
    uint64_t end = 0;

    function->name = strdup(resolver_text(r, source->name));
    if (!function->name)
        return resolver_out_of_memory(r);
    function->entry = source->entry;
    function->defined = source->defined;
    memcpy(function->max_threads, source->max_threads, sizeof function->max_threads);
    memcpy(function->required_threads, source->required_threads, sizeof function->required_threads);
    if (!source->defined)
        function->builtin = sim_builtin_find(function->name);
    if (!place_params(r, &source->returns, &function->returns, &function->return_count, &end))
        return false;
    if (!place_params(r, &source->params, &function->params, &function->param_count, &end))
        return false;
    function->param_bytes = (uint32_t)end;
    return true;
}

static bool
declare_labels(struct resolver *r)
{
    uint32_t i;

    for (i = 0; i < r->source->labels.count; i++) {
        const struct ptx_label *label = PTX_AT(r->source->labels, struct ptx_label, i);

        if (!ptx_map_put(&r->labels, resolver_pair(label->name, label->scope), i))
            return resolver_out_of_memory(r);
    }
    return true;
}

static bool
take_over(struct vector *from, size_t element, void **to, uint32_t *count)
{
    *to = NULL;
    *count = from->count;
    if (!from->count)
        return true;
    *to = malloc((size_t)from->count * element);
    if (*to)
        memcpy(*to, from->data, (size_t)from->count * element);
    from->count = 0;
    return *to != NULL;
}

static void
fix_targets(struct resolver *r)
{
    const uint32_t *fixups = r->fixups.data, *list_fixups = r->list_fixups.data;
    const struct ptx_label *labels = r->source->labels.data;
    struct op *ops = r->ops.data;
    uint32_t *lists = r->lists.data, i;

    for (i = 0; i < r->fixups.count; i++)
        ops[fixups[i]].target = r->at[labels[ops[fixups[i]].target].at];
    for (i = 0; i < r->list_fixups.count; i++)
        lists[list_fixups[i]] = r->at[labels[lists[list_fixups[i]]].at];
    r->fixups.count = r->list_fixups.count = 0;
}

static void
forget_function(struct resolver *r)
{
    ptx_map_finish(&r->locals);
    ptx_map_finish(&r->labels);
    ptx_map_finish(&r->constants);
    r->symbols.count = r->module_symbols;
    r->ones_slot = PTX_NONE;
    free(r->at);
    r->at = NULL;
}

static bool
compile_body(struct resolver *r)
{
    const struct ptx_function *source = r->source;
    struct op end = resolver_blank_op(NULL), *place;
    uint32_t i;

    for (i = 0; i < source->variables.count; i++)
        if (!declare_local(r, PTX_AT(source->variables, struct ptx_variable, i)))
            return false;
    r->at = calloc((size_t)source->instructions.count + 1, sizeof *r->at);
    if (!r->at)
        return resolver_out_of_memory(r);
    for (i = 0; i < source->instructions.count; i++) {
        r->at[i] = r->ops.count;
        if (!decode_instruction(r, PTX_AT(source->instructions, struct ptx_instruction, i)))
            return false;
    }
    r->at[i] = r->ops.count;
    end.fn = op_end;
    end.flags = OP_CONTROL;
    place = resolver_vector_add(&r->ops, sizeof *place);
    if (!place)
        return resolver_out_of_memory(r);
    *place = end;
    fix_targets(r);
    return true;
}

static bool
compile_function(struct resolver *r, uint32_t index)
{
    struct sim_function *function = &r->code->functions[index];
    bool ok;

    r->source = r->sources[index];
    r->function = function;
    r->slots = 0;
    r->local_size = function->entry ? 0 : function->param_bytes;
    function->start = r->ops.count;
    ok = declare_params(r, &r->source->returns, function->returns) &&
         declare_params(r, &r->source->params, function->params) && declare_labels(r) && compile_body(r);
    function->slots = r->slots ? r->slots : 1;
    function->registers = r->source->variables.count;
    function->local_size = (r->local_size + 63) & ~63u;
    ok = ok &&
         take_over(&r->constant_list, sizeof(struct sim_constant), (void **)&function->constants,
                   &function->constant_count) &&
         take_over(&r->calls, sizeof(uint32_t), (void **)&function->calls, &function->call_count) &&
         take_over(&r->shared, sizeof(uint32_t), (void **)&function->shared, &function->shared_count);
    forget_function(r);
    return ok;
}

/* The module's own names. */

static bool
declare_variables(struct resolver *r)
{
    uint32_t i;

    for (i = 0; i < r->module->variables.count; i++) {
        const struct ptx_variable *variable = PTX_AT(r->module->variables, struct ptx_variable, i);
        struct symbol symbol = {.kind = SYMBOL_VARIABLE, .variable = variable};

        if (variable->space == PTX_SHARED) {
            symbol.kind = SYMBOL_SHARED;
            symbol.value = r->code->shared_variables++;
        } else {
            symbol.value = r->addresses->variables[i];
        }
        if (!resolver_add_symbol(r, &r->names, variable->name, variable->scope, symbol))
            return false;
    }
    r->module_symbols = r->symbols.count;
    return true;
}

static bool
declare_functions(struct resolver *r)
{
    uint32_t i, count = r->module->functions.count;

    r->sources = calloc((size_t)count + 1, sizeof *r->sources);
    r->code->functions = calloc((size_t)count + 1, sizeof *r->code->functions);
    if (!r->sources || !r->code->functions)
        return resolver_out_of_memory(r);
    for (i = 0; i < count; i++) {
        const struct ptx_function *source = PTX_AT(r->module->functions, struct ptx_function, i);
        uint32_t known = ptx_map_get(&r->functions, resolver_pair(source->name, 0));

        if (known == PTX_NONE) {
            known = r->code->function_count++;
            if (!ptx_map_put(&r->functions, resolver_pair(source->name, 0), known))
                return resolver_out_of_memory(r);
        } else if (r->sources[known]->defined) {
            if (source->defined) {
                ptx_log_set(r->log, false, source->line, "'%s' is defined twice", resolver_text(r, source->name));
                return false;
            }
            continue;
        }
        r->sources[known] = source;
    }
    for (i = 0; i < r->code->function_count; i++)
        if (!prepare_function(r, i))
            return false;
    return true;
}

/* Shared memory of kernels: of all that can be reached from each. */

static const struct ptx_variable **
shared_variables(struct resolver *r)
{
    const struct ptx_variable **list = calloc((size_t)r->code->shared_variables + 1, sizeof *list);
    uint32_t i, f, n = 0;

    if (!list)
        return NULL;
    for (i = 0; i < r->module->variables.count; i++)
        if (PTX_AT(r->module->variables, struct ptx_variable, i)->space == PTX_SHARED)
            list[n++] = PTX_AT(r->module->variables, struct ptx_variable, i);
    for (f = 0; f < r->code->function_count; f++) {
        const struct ptx_array *variables = &r->sources[f]->variables;

        for (i = 0; i < variables->count; i++)
            if (PTX_AT(*variables, struct ptx_variable, i)->space == PTX_SHARED)
                list[n++] = PTX_AT(*variables, struct ptx_variable, i);
    }
    return list;
}

static void
reach(const struct sim_code *code, uint32_t kernel, bool *seen, uint32_t *queue, bool *used)
{
    uint32_t head = 0, tail = 0, i;

    memset(seen, 0, code->function_count * sizeof *seen);
    memset(used, 0, code->shared_variables * sizeof *used);
    queue[tail++] = kernel;
    seen[kernel] = true;
    while (head < tail) {
        const struct sim_function *function = &code->functions[queue[head++]];

        for (i = 0; i < function->shared_count; i++)
            used[function->shared[i]] = true;
        for (i = 0; i < function->call_count; i++)
            if (!seen[function->calls[i]]) {
                seen[function->calls[i]] = true;
                queue[tail++] = function->calls[i];
            }
        for (i = 0; function->indirect && i < code->function_count; i++)
            if (!seen[i] && !code->functions[i].entry) {
                seen[i] = true;
                queue[tail++] = i;
            }
    }
}

static bool
place_shared(struct resolver *r, struct sim_function *kernel, const bool *used, const struct ptx_variable **variables)
{
    uint64_t end = 0, dynamic;
    uint32_t i;
    bool has_dynamic = false;

    kernel->shared_offsets = calloc((size_t)r->code->shared_variables + 1, sizeof(uint32_t));
    if (!kernel->shared_offsets)
        return resolver_out_of_memory(r);
    for (i = 0; i < r->code->shared_variables; i++) {
        unsigned int align = is_power_of_two(variables[i]->align) ? variables[i]->align : 16;

        if (!used[i] || variables[i]->size == 0) {
            has_dynamic |= used[i];
            continue;
        }
        end = (end + align - 1) & ~(uint64_t)(align - 1);
        kernel->shared_offsets[i] = (uint32_t)end;
        end += variables[i]->size;
        if (end > SIM_STATIC_SHARED) {
            ptx_log_set(r->log, false, variables[i]->line, "'%s' uses too much shared data (%llu bytes, %u at most)",
                        kernel->name, (unsigned long long)end, SIM_STATIC_SHARED);
            return false;
        }
    }
    dynamic = has_dynamic ? (end + 15) & ~15ull : end;
    for (i = 0; i < r->code->shared_variables; i++)
        if (used[i] && variables[i]->size == 0)
            kernel->shared_offsets[i] = (uint32_t)dynamic;
    kernel->shared_bytes = (uint32_t)dynamic;
    return true;
}

static bool
layout_shared(struct resolver *r)
{
    struct sim_code *code = r->code;
    const struct ptx_variable **variables = shared_variables(r);
    bool *seen = calloc((size_t)code->function_count + 1, sizeof *seen);
    bool *used = calloc((size_t)code->shared_variables + 1, sizeof *used);
    uint32_t *queue = calloc((size_t)code->function_count + 1, sizeof *queue), i;
    bool ok = variables && seen && used && queue;

    for (i = 0; ok && i < code->function_count; i++)
        if (code->functions[i].entry && code->functions[i].defined) {
            reach(code, i, seen, queue, used);
            ok = place_shared(r, &code->functions[i], used, variables);
        }
    free(variables);
    free(seen);
    free(used);
    free(queue);
    return ok;
}

static bool
compile_functions(struct resolver *r)
{
    uint32_t i;

    for (i = 0; i < r->code->function_count; i++)
        if (r->sources[i]->defined && !compile_function(r, i))
            return false;
    if (!take_over(&r->ops, sizeof(struct op), (void **)&r->code->ops, &r->code->op_count) ||
        !take_over(&r->lists, sizeof(uint32_t), (void **)&r->code->lists, &r->code->list_count))
        return resolver_out_of_memory(r);
    return layout_shared(r);
}

static void
resolver_finish(struct resolver *r)
{
    struct vector *vectors[] = {&r->symbols, &r->ops,    &r->lists,  &r->constant_list,
                                &r->calls,   &r->shared, &r->fixups, &r->list_fixups};
    size_t i;

    forget_function(r);
    ptx_map_finish(&r->names);
    ptx_map_finish(&r->functions);
    for (i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        free(vectors[i]->data);
    free(r->sources);
}

struct sim_code *
sim_code_create(struct ptx_module *module, const struct sim_addresses *addresses, struct ptx_log *log)
{
    struct resolver r = {.module = module, .log = log, .addresses = addresses, .ones_slot = PTX_NONE};
    bool ok;

    r.code = calloc(1, sizeof *r.code);
    if (!r.code)
        return NULL;
    ok = declare_variables(&r) && declare_functions(&r) && compile_functions(&r);
    resolver_finish(&r);
    if (!ok) {
        sim_code_destroy(r.code);
        return NULL;
    }
    return r.code;
}

void
sim_code_destroy(struct sim_code *code)
{
    uint32_t i;

    if (!code)
        return;
    for (i = 0; i < code->function_count; i++) {
        struct sim_function *function = &code->functions[i];

        free(function->name);
        free(function->constants);
        free(function->params);
        free(function->returns);
        free(function->calls);
        free(function->shared);
        free(function->shared_offsets);
    }
    free(code->functions);
    free(code->ops);
    free(code->lists);
    free(code);
}
