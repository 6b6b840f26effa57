/* SPDX-License-Identifier: MIT */
/*
 * Operands: names become slots, offsets and addresses, labels become indices.
 *
 * Invariant: a slot in an operation was given out by new_slot for the same
 * function, an offset lies in a variable's place, a target inside the code.
 * The machine relies on it and checks none of it again.
 */
#include "resolve.h"

#include <stdlib.h>
#include <string.h>

void *
resolver_vector_add(struct vector *v, size_t element)
{
    if (v->count == v->capacity) {
        uint32_t capacity = v->capacity ? v->capacity * 2 : 64;
        void *data = v->capacity > UINT32_MAX / 4 ? NULL : realloc(v->data, (size_t)capacity * element);

        if (!data)
            return NULL;
        v->data = data;
        v->capacity = capacity;
    }
    memset((char *)v->data + (size_t)v->count * element, 0, element);
    return (char *)v->data + (size_t)v->count++ * element;
}

bool
resolver_vector_push(struct vector *v, uint32_t value)
{
    uint32_t *place = resolver_vector_add(v, sizeof value);

    if (place)
        *place = value;
    return place != NULL;
}

bool
resolver_out_of_memory(struct resolver *r)
{
    ptx_log_set(r->log, false, 0, "out of memory");
    return false;
}

const char *
resolver_text(const struct resolver *r, uint32_t name)
{
    return ptx_names_text(&r->module->names, name);
}

/* Names. */

uint64_t
resolver_pair(uint32_t name, uint32_t scope)
{
    return (uint64_t)name << 32 | scope;
}

static struct symbol *
symbol_at(const struct resolver *r, uint32_t index)
{
    return index == PTX_NONE ? NULL : &((struct symbol *)r->symbols.data)[index];
}

struct symbol *
resolver_add_symbol(struct resolver *r, struct ptx_map *map, uint32_t name, uint32_t scope, struct symbol symbol)
{
    struct symbol *place = resolver_vector_add(&r->symbols, sizeof *place);

    if (!place || !ptx_map_put(map, resolver_pair(name, scope), r->symbols.count - 1)) {
        resolver_out_of_memory(r);
        return NULL;
    }
    *place = symbol;
    return place;
}

bool
resolver_new_slot(struct resolver *r, uint32_t *slot)
{
    if (r->slots >= RESOLVER_MAX_SLOTS) {
        ptx_log_set(r->log, true, r->source->line, "more than %u registers in '%s'", RESOLVER_MAX_SLOTS,
                    r->function->name);
        return false;
    }
    *slot = r->slots++ * SIM_LANES;
    return true;
}

static struct symbol *
find_in_scope(const struct resolver *r, uint32_t name, uint32_t scope)
{
    uint32_t index = ptx_map_get(&r->locals, resolver_pair(name, scope));

    if (index == PTX_NONE)
        index = ptx_map_get(&r->names, resolver_pair(name, scope));
    return symbol_at(r, index);
}

/* "%r12" of a declaration "%r<20>": the prefix's name and the number. */
static bool
split_number(struct resolver *r, uint32_t name, uint32_t *prefix, uint32_t *number)
{
    const char *text = resolver_text(r, name);
    size_t length = strlen(text), digits = length;

    while (digits && text[digits - 1] >= '0' && text[digits - 1] <= '9')
        digits--;
    if (digits == length || length - digits > 9 || (text[digits] == '0' && length - digits > 1))
        return false;
    *number = (uint32_t)strtoul(text + digits, NULL, 10);
    *prefix = ptx_names_intern(&r->module->names, &r->module->arena, text, digits);
    return *prefix != PTX_NONE;
}

struct symbol *
resolver_find_symbol(struct resolver *r, uint32_t name, uint32_t scope)
{
    uint32_t prefix = PTX_NONE, number = 0;
    bool split = false;

    for (;; scope = PTX_AT(r->module->scopes, struct ptx_scope, scope)->parent) {
        struct symbol *symbol = find_in_scope(r, name, scope), range;

        if (symbol)
            return symbol;
        if (scope == 0)
            return NULL;
        if (!split && !split_number(r, name, &prefix, &number))
            prefix = PTX_NONE;
        split = true;
        symbol = prefix == PTX_NONE ? NULL : find_in_scope(r, prefix, scope);
        if (!symbol || symbol->kind != SYMBOL_REGISTERS || number >= symbol->variable->registers)
            continue;
        range = *symbol;
        range.kind = SYMBOL_REGISTER;
        if (!resolver_new_slot(r, &range.slot))
            return NULL;
        return resolver_add_symbol(r, &r->locals, name, scope, range);
    }
}

/* Decoders' tools. */

bool
decode_unsupported(struct decoder *d)
{
    ptx_log_set(d->resolver->log, true, d->in->line, "instruction '%s' is not supported", d->in->opcode);
    return false;
}

bool
decode_bad(struct decoder *d, const char *what)
{
    ptx_log_set(d->resolver->log, false, d->in->line, "%s in '%s'", what, d->in->opcode);
    return false;
}

bool
decode_unknown_name(struct decoder *d, uint32_t name)
{
    ptx_log_set(d->resolver->log, false, d->in->line, "unknown symbol '%s'", resolver_text(d->resolver, name));
    return false;
}

bool
decode_in_kernel(const struct decoder *d)
{
    return d->resolver->function->entry;
}

bool
more_operands(const struct decoder *d)
{
    return d->next < d->in->count;
}

const struct ptx_operand *
peek_operand(const struct decoder *d)
{
    return more_operands(d) ? &d->in->operands[d->next] : NULL;
}

bool
next_is_paired(const struct decoder *d)
{
    return more_operands(d) && d->in->operands[d->next].paired;
}

static const struct ptx_operand *
take(struct decoder *d)
{
    if (!more_operands(d)) {
        decode_bad(d, "too few operands");
        return NULL;
    }
    return &d->in->operands[d->next++];
}

struct op
resolver_blank_op(const struct ptx_instruction *in)
{
    struct op op = {.guard = SIM_NO_SLOT,
                    .d = SIM_NO_SLOT,
                    .d2 = SIM_NO_SLOT,
                    .a = SIM_NO_SLOT,
                    .b = SIM_NO_SLOT,
                    .c = SIM_NO_SLOT,
                    .target = SIM_NO_SLOT,
                    .line = in ? in->line : 0};

    return op;
}

bool
decode_emit_before(struct decoder *d, const struct op *op)
{
    struct op *place = resolver_vector_add(&d->resolver->ops, sizeof *place);

    if (!place)
        return resolver_out_of_memory(d->resolver);
    *place = *op;
    place->line = d->in->line;
    return true;
}

bool
decode_temporary(struct decoder *d, uint32_t *slot)
{
    return resolver_new_slot(d->resolver, slot);
}

bool
decode_constant(struct decoder *d, uint64_t value, uint32_t *slot)
{
    struct resolver *r = d->resolver;
    struct sim_constant *constant;
    uint32_t known = value == UINT64_MAX ? r->ones_slot : ptx_map_get(&r->constants, value);

    if (known != PTX_NONE) {
        *slot = known;
        return true;
    }
    if (!resolver_new_slot(r, slot))
        return false;
    constant = resolver_vector_add(&r->constant_list, sizeof *constant);
    if (!constant)
        return resolver_out_of_memory(r);
    constant->slot = *slot;
    constant->value = value;
    if (value == UINT64_MAX)
        r->ones_slot = *slot;
    else if (!ptx_map_put(&r->constants, value, *slot))
        return resolver_out_of_memory(r);
    return true;
}

/* The bits of a literal where a type is wanted. */
static uint64_t
literal(const struct ptx_operand *operand, enum ptx_type type)
{
    uint64_t bits = operand->value;
    uint32_t low = (uint32_t)bits;
    double wide;
    float narrow;

    if (operand->kind == PTX_OPERAND_FLOAT && type == PTX_F32) {
        memcpy(&wide, &bits, 8);
        narrow = (float)wide;
        memcpy(&low, &narrow, 4);
        return low;
    }
    if (operand->kind == PTX_OPERAND_FLOAT32 && type == PTX_F64) {
        memcpy(&narrow, &low, 4);
        wide = narrow;
        memcpy(&bits, &wide, 8);
    }
    if (operand->kind == PTX_OPERAND_INTEGER && type == PTX_F32) {
        narrow = (float)(int64_t)bits;
        memcpy(&low, &narrow, 4);
        return low;
    }
    if (operand->kind == PTX_OPERAND_INTEGER && type == PTX_F64) {
        wide = (double)(int64_t)bits;
        memcpy(&bits, &wide, 8);
    }
    return bits;
}

static bool
note(struct resolver *r, struct vector *list, uint32_t value)
{
    uint32_t i, *items = list->data;

    for (i = 0; i < list->count; i++)
        if (items[i] == value)
            return true;
    return resolver_vector_push(list, value) || resolver_out_of_memory(r);
}

/* The address of a variable, a function, or a special register's value. */
static bool
take_symbol_value(struct decoder *d, const struct ptx_operand *operand, const struct symbol *symbol, uint32_t *slot)
{
    struct resolver *r = d->resolver;
    struct op op = resolver_blank_op(d->in);

    switch (symbol->kind) {
    case SYMBOL_VARIABLE:
        return decode_constant(d, symbol->value + operand->value, slot);
    case SYMBOL_PARAM:
        return decode_constant(d, symbol->value + operand->value, slot);
    case SYMBOL_SHARED:
        op.fn = op_shared_address;
        op.symbol = (uint32_t)symbol->value;
        op.imm = operand->value;
        if (!note(r, &r->shared, op.symbol))
            return false;
        break;
    case SYMBOL_FRAME:
        op.fn = op_frame_address;
        op.imm = symbol->value + operand->value;
        break;
    default:
        return decode_bad(d, "register with an offset");
    }
    if (!decode_temporary(d, &op.d))
        return false;
    *slot = op.d;
    return decode_emit_before(d, &op);
}

static bool
take_special(struct decoder *d, uint32_t name, uint32_t *slot)
{
    struct resolver *r = d->resolver;
    const char *text = resolver_text(r, name);
    struct op op = resolver_blank_op(d->in);
    uint32_t function = ptx_map_get(&r->functions, resolver_pair(name, 0));

    if (strcmp(text, "WARP_SZ") == 0)
        return decode_constant(d, SIM_LANES, slot);
    if (function != PTX_NONE) {
        if (!note(r, &r->calls, function))
            return false;
        return decode_constant(d, SIM_WINDOW_CODE | (uint64_t)function << 4, slot);
    }
    op.fn = op_special_find(text, &op.symbol);
    if (!op.fn) {
        if (text[0] != '%')
            return decode_unknown_name(d, name);
        ptx_log_set(r->log, true, d->in->line, "register '%s' is not supported", text);
        return false;
    }
    if (!decode_temporary(d, &op.d))
        return false;
    *slot = op.d;
    return decode_emit_before(d, &op);
}

static bool
source_slot(struct decoder *d, const struct ptx_operand *operand, enum ptx_type type, uint32_t *slot)
{
    struct symbol *symbol;

    switch (operand->kind) {
    case PTX_OPERAND_INTEGER:
    case PTX_OPERAND_FLOAT:
    case PTX_OPERAND_FLOAT32:
        if (type == PTX_PRED)
            return decode_constant(d, operand->value ? SIM_FULL : 0, slot);
        return decode_constant(d, literal(operand, type), slot);
    case PTX_OPERAND_NAME:
        break;
    default:
        return decode_bad(d, "operand of the wrong kind");
    }
    symbol = resolver_find_symbol(d->resolver, operand->name, d->in->scope);
    if (!symbol)
        return take_special(d, operand->name, slot);
    if (symbol->kind == SYMBOL_REGISTER && operand->value == 0) {
        *slot = symbol->slot;
        return true;
    }
    return take_symbol_value(d, operand, symbol, slot);
}

bool
take_source(struct decoder *d, enum ptx_type type, uint32_t *slot)
{
    const struct ptx_operand *operand = take(d);

    if (!operand)
        return false;
    if (type == PTX_PRED) {
        d->next--;
        return take_predicate(d, slot);
    }
    return source_slot(d, operand, type, slot);
}

bool
take_predicate(struct decoder *d, uint32_t *slot)
{
    const struct ptx_operand *operand = take(d);
    struct op op = resolver_blank_op(d->in);

    if (!operand || !source_slot(d, operand, PTX_PRED, &op.a))
        return false;
    *slot = op.a;
    if (!operand->negated)
        return true;
    op.fn = op_move_not_predicate;
    if (!decode_temporary(d, &op.d))
        return false;
    *slot = op.d;
    return decode_emit_before(d, &op);
}

static bool
destination_slot(struct decoder *d, const struct ptx_operand *operand, uint32_t *slot)
{
    struct symbol *symbol;

    if (operand->kind == PTX_OPERAND_SINK)
        return decode_temporary(d, slot);
    if (operand->kind != PTX_OPERAND_NAME || operand->value)
        return decode_bad(d, "destination is no register");
    symbol = resolver_find_symbol(d->resolver, operand->name, d->in->scope);
    if (!symbol)
        return decode_unknown_name(d, operand->name);
    if (symbol->kind != SYMBOL_REGISTER)
        return decode_bad(d, "destination is no register");
    *slot = symbol->slot;
    return true;
}

bool
take_destination(struct decoder *d, uint32_t *slot)
{
    const struct ptx_operand *operand = take(d);

    return operand && destination_slot(d, operand, slot);
}

/*
 * A list of slots. They are gathered first: naming one may add to the lists.
 * A list of one also goes to the plain field, where operations expect it.
 */
static bool
take_list(struct decoder *d, bool destination, enum ptx_type type, uint32_t *single)
{
    const struct ptx_operand *operand = take(d), *elements = operand;
    uint32_t slots[PTX_MAX_OPERANDS], n = 1, i;

    if (!operand)
        return false;
    if (operand->kind == PTX_OPERAND_LIST) {
        n = operand->count;
        elements = operand->elements;
    }
    if (n == 0 || n > 16)
        return decode_bad(d, "list of the wrong length");
    for (i = 0; i < n; i++)
        if (destination ? !destination_slot(d, &elements[i], &slots[i])
                        : !source_slot(d, &elements[i], type, &slots[i]))
            return false;
    d->op.list = d->resolver->lists.count;
    d->op.count = (uint8_t)n;
    *single = slots[0];
    for (i = 0; i < n; i++)
        if (!resolver_vector_push(&d->resolver->lists, slots[i]))
            return resolver_out_of_memory(d->resolver);
    return true;
}

bool
take_destination_list(struct decoder *d)
{
    uint32_t first;

    if (!take_list(d, true, PTX_NOTYPE, &first))
        return false;
    if (d->op.count == 1)
        d->op.d = first;
    return true;
}

bool
take_source_list(struct decoder *d, enum ptx_type type)
{
    return take_list(d, false, type, &d->op.b);
}

bool
take_address(struct decoder *d)
{
    const struct ptx_operand *operand = take(d);
    struct resolver *r = d->resolver;
    struct symbol *symbol;

    if (!operand)
        return false;
    if (operand->kind != PTX_OPERAND_ADDRESS)
        return decode_bad(d, "expected an address");
    d->op.imm = operand->value;
    if (d->op.space == PTX_CONST)
        d->op.space = PTX_GLOBAL;
    if (operand->name == PTX_NONE)
        return true;
    symbol = resolver_find_symbol(r, operand->name, d->in->scope);
    if (!symbol)
        return decode_unknown_name(d, operand->name);
    switch (symbol->kind) {
    case SYMBOL_REGISTER:
        d->op.a = symbol->slot;
        if (symbol->variable->size == 4)
            d->op.flags |= OP_ADDRESS32;
        /* what a device function calls parameters lies in its frame */
        if (d->op.space == PTX_PARAM && !r->function->entry)
            d->op.space = PTX_LOCAL;
        return true;
    case SYMBOL_VARIABLE:
        d->op.imm += symbol->value;
        d->op.space = PTX_GLOBAL;
        return true;
    case SYMBOL_SHARED:
        d->op.flags |= OP_SHARED_SYMBOL;
        d->op.symbol = (uint32_t)symbol->value;
        d->op.space = PTX_SHARED;
        return note(r, &r->shared, d->op.symbol);
    case SYMBOL_FRAME:
        d->op.flags |= OP_FRAME;
        d->op.imm += symbol->value;
        d->op.space = PTX_LOCAL;
        return true;
    case SYMBOL_PARAM:
        d->op.imm += symbol->value;
        d->op.space = PTX_PARAM;
        return true;
    default:
        return decode_bad(d, "address of the wrong kind");
    }
}

/* Labels. */

static uint32_t
find_label(const struct resolver *r, uint32_t name, uint32_t scope)
{
    for (;; scope = PTX_AT(r->module->scopes, struct ptx_scope, scope)->parent) {
        uint32_t label = ptx_map_get(&r->labels, resolver_pair(name, scope));

        if (label != PTX_NONE || scope == 0)
            return label;
    }
}

bool
take_label(struct decoder *d)
{
    const struct ptx_operand *operand = take(d);
    uint32_t label;

    if (!operand || operand->kind != PTX_OPERAND_NAME)
        return operand ? decode_bad(d, "expected a label") : false;
    label = find_label(d->resolver, operand->name, d->in->scope);
    if (label == PTX_NONE)
        return decode_unknown_name(d, operand->name);
    d->op.target = label;
    return resolver_vector_push(&d->resolver->fixups, d->resolver->ops.count) || resolver_out_of_memory(d->resolver);
}

bool
take_branch_table(struct decoder *d)
{
    const struct ptx_operand *operand = take(d);
    struct resolver *r = d->resolver;
    const struct ptx_label *table;
    uint32_t label, i;

    if (!operand || operand->kind != PTX_OPERAND_NAME)
        return operand ? decode_bad(d, "expected a table") : false;
    label = find_label(r, operand->name, d->in->scope);
    if (label == PTX_NONE)
        return decode_unknown_name(d, operand->name);
    table = PTX_AT(r->source->labels, struct ptx_label, label);
    d->op.list = r->lists.count;
    d->op.symbol = table->target_count;
    for (i = 0; i < table->target_count; i++) {
        label = find_label(r, table->targets[i], table->scope);
        if (label == PTX_NONE)
            return decode_unknown_name(d, table->targets[i]);
        if (!resolver_vector_push(&r->list_fixups, r->lists.count) || !resolver_vector_push(&r->lists, label))
            return resolver_out_of_memory(r);
    }
    return true;
}

/* Calls. */

static bool
push_arguments(struct decoder *d, const struct ptx_operand *list)
{
    struct resolver *r = d->resolver;
    uint32_t i;

    for (i = 0; list && i < list->count; i++) {
        const struct ptx_operand *argument = &list->elements[i];
        struct symbol *symbol =
            argument->kind == PTX_OPERAND_NAME ? resolver_find_symbol(r, argument->name, d->in->scope) : NULL;

        if (!symbol || symbol->kind != SYMBOL_FRAME || argument->value)
            return decode_bad(d, "argument is no .param variable");
        if (!resolver_vector_push(&r->lists, (uint32_t)symbol->value) ||
            !resolver_vector_push(&r->lists, (uint32_t)symbol->variable->size))
            return resolver_out_of_memory(r);
    }
    return true;
}

static bool
resolve_callee(struct decoder *d, const struct ptx_operand *callee, uint32_t results, uint32_t params)
{
    struct resolver *r = d->resolver;
    uint32_t index = ptx_map_get(&r->functions, resolver_pair(callee->name, 0));
    const struct sim_function *function;
    struct symbol *symbol;

    if (index == PTX_NONE) {
        symbol = resolver_find_symbol(r, callee->name, d->in->scope);
        if (!symbol)
            return decode_unknown_name(d, callee->name);
        if (symbol->kind != SYMBOL_REGISTER)
            return decode_bad(d, "callee is no function");
        d->op.a = symbol->slot;
        r->function->indirect = true;
        return true;
    }
    function = &r->code->functions[index];
    if (function->entry)
        return decode_bad(d, "call of a kernel");
    if (function->param_count != params || function->return_count < results)
        return decode_bad(d, "wrong number of arguments");
    if (!function->defined && !function->builtin) {
        ptx_log_set(r->log, false, d->in->line, "unresolved extern function '%s'", function->name);
        return false;
    }
    d->op.symbol = index;
    return note(r, &r->calls, index);
}

bool
take_call(struct decoder *d)
{
    const struct ptx_operand *operand = take(d), *results = NULL, *params = NULL;
    const struct ptx_operand *callee;
    struct resolver *r = d->resolver;

    if (operand && operand->kind == PTX_OPERAND_LIST) {
        results = operand;
        operand = take(d);
    }
    callee = operand;
    if (!callee || callee->kind != PTX_OPERAND_NAME)
        return operand ? decode_bad(d, "expected a function") : false;
    operand = peek_operand(d);
    if (operand && operand->kind == PTX_OPERAND_LIST) {
        params = operand;
        d->next++;
    }
    if (more_operands(d))
        d->next++; /* the prototype, or the list of targets */
    d->op.list = r->lists.count;
    if (!resolver_vector_push(&r->lists, results ? results->count : 0) ||
        !resolver_vector_push(&r->lists, params ? params->count : 0))
        return resolver_out_of_memory(r);
    return push_arguments(d, results) && push_arguments(d, params) &&
           resolve_callee(d, callee, results ? results->count : 0, params ? params->count : 0);
}
