/* SPDX-License-Identifier: MIT */
/*
 * From the tree to operations: names become slots, offsets and addresses,
 * labels become indices.
 *
 * Invariant: a slot in an operation was given out by new_slot for the same
 * function, an offset lies in a variable's place, a target inside the code.
 * The machine relies on it and checks none of it again.
 */
#include "decode.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SLOTS (1u << 18)
#define MAX_LOCAL SIM_MAX_LOCAL

enum symbol_kind { SYMBOL_REGISTERS, SYMBOL_REGISTER, SYMBOL_VARIABLE, SYMBOL_SHARED,
		   SYMBOL_FRAME, SYMBOL_PARAM };

struct symbol {
	enum symbol_kind kind;
	const struct ptx_variable *variable;
	uint32_t slot;     /* register */
	uint64_t value;    /* address, offset, or number of the shared variable */
};

/* A growing array outside the arena. */
struct vector {
	void *data;
	uint32_t count, capacity;
};

struct resolver {
	struct ptx_module *module;
	struct ptx_log *log;
	const struct sim_addresses *addresses;
	struct sim_code *code;
	const struct ptx_function **sources; /* by function number */
	const struct ptx_function *source;   /* now */
	struct sim_function *function;
	struct ptx_map names;     /* (name, scope) to symbol: module */
	struct ptx_map locals;    /* the same of the function, emptied after each */
	struct ptx_map functions; /* name to function number */
	struct ptx_map labels;    /* (name, scope) to label number */
	struct ptx_map constants; /* value to slot */
	uint32_t ones_slot;       /* of the value that a map cannot hold */
	struct vector symbols, ops, lists, constant_list, calls, shared;
	struct vector fixups;     /* ops whose target is a label */
	struct vector list_fixups;
	uint32_t module_symbols;
	uint32_t slots, local_size;
	uint32_t *at;             /* instruction to op */
};

static void *
vector_add(struct vector *v, size_t element)
{
	if (v->count == v->capacity) {
		uint32_t capacity = v->capacity ? v->capacity * 2 : 64;
		void *data = v->capacity > UINT32_MAX / 4
			     ? NULL : realloc(v->data, (size_t)capacity * element);

		if (!data)
			return NULL;
		v->data = data;
		v->capacity = capacity;
	}
	memset((char *)v->data + (size_t)v->count * element, 0, element);
	return (char *)v->data + (size_t)v->count++ * element;
}

static bool
vector_push(struct vector *v, uint32_t value)
{
	uint32_t *place = vector_add(v, sizeof value);

	if (place)
		*place = value;
	return place != NULL;
}

static bool
out_of_memory(struct resolver *r)
{
	ptx_log_set(r->log, false, 0, "out of memory");
	return false;
}

static const char *
text_of(const struct resolver *r, uint32_t name)
{
	return ptx_names_text(&r->module->names, name);
}

/* Names. */

static uint64_t
pair(uint32_t name, uint32_t scope)
{
	return (uint64_t)name << 32 | scope;
}

static struct symbol *
symbol_at(const struct resolver *r, uint32_t index)
{
	return index == PTX_NONE ? NULL : &((struct symbol *)r->symbols.data)[index];
}

static struct symbol *
add_symbol(struct resolver *r, struct ptx_map *map, uint32_t name, uint32_t scope,
	   struct symbol symbol)
{
	struct symbol *place = vector_add(&r->symbols, sizeof *place);

	if (!place || !ptx_map_put(map, pair(name, scope), r->symbols.count - 1)) {
		out_of_memory(r);
		return NULL;
	}
	*place = symbol;
	return place;
}

static bool
new_slot(struct resolver *r, uint32_t *slot)
{
	if (r->slots >= MAX_SLOTS) {
		ptx_log_set(r->log, true, r->source->line, "more than %u registers in '%s'",
			    MAX_SLOTS, r->function->name);
		return false;
	}
	*slot = r->slots++ * SIM_LANES;
	return true;
}

static struct symbol *
find_in_scope(const struct resolver *r, uint32_t name, uint32_t scope)
{
	uint32_t index = ptx_map_get(&r->locals, pair(name, scope));

	if (index == PTX_NONE)
		index = ptx_map_get(&r->names, pair(name, scope));
	return symbol_at(r, index);
}

/* "%r12" of a declaration "%r<20>": the prefix's name and the number. */
static bool
split_number(struct resolver *r, uint32_t name, uint32_t *prefix, uint32_t *number)
{
	const char *text = text_of(r, name);
	size_t length = strlen(text), digits = length;

	while (digits && text[digits - 1] >= '0' && text[digits - 1] <= '9')
		digits--;
	if (digits == length || length - digits > 9 ||
	    (text[digits] == '0' && length - digits > 1))
		return false;
	*number = (uint32_t)strtoul(text + digits, NULL, 10);
	*prefix = ptx_names_intern(&r->module->names, &r->module->arena, text, digits);
	return *prefix != PTX_NONE;
}

static struct symbol *
find_symbol(struct resolver *r, uint32_t name, uint32_t scope)
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
		if (!symbol || symbol->kind != SYMBOL_REGISTERS ||
		    number >= symbol->variable->registers)
			continue;
		range = *symbol;
		range.kind = SYMBOL_REGISTER;
		if (!new_slot(r, &range.slot))
			return NULL;
		return add_symbol(r, &r->locals, name, scope, range);
	}
}

/* Decoders' tools. */

bool
decode_unsupported(struct decoder *d)
{
	ptx_log_set(d->resolver->log, true, d->in->line, "instruction '%s' is not supported",
		    d->in->opcode);
	return false;
}

bool
decode_bad(struct decoder *d, const char *what)
{
	ptx_log_set(d->resolver->log, false, d->in->line, "%s in '%s'", what, d->in->opcode);
	return false;
}

static bool
unknown_name(struct decoder *d, uint32_t name)
{
	ptx_log_set(d->resolver->log, false, d->in->line, "unknown symbol '%s'",
		    text_of(d->resolver, name));
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

static struct op
blank_op(const struct ptx_instruction *in)
{
	struct op op = {
		.guard = SIM_NO_SLOT, .d = SIM_NO_SLOT, .d2 = SIM_NO_SLOT, .a = SIM_NO_SLOT,
		.b = SIM_NO_SLOT, .c = SIM_NO_SLOT, .target = SIM_NO_SLOT,
		.line = in ? in->line : 0
	};

	return op;
}

bool
decode_emit_before(struct decoder *d, const struct op *op)
{
	struct op *place = vector_add(&d->resolver->ops, sizeof *place);

	if (!place)
		return out_of_memory(d->resolver);
	*place = *op;
	place->line = d->in->line;
	return true;
}

bool
decode_temporary(struct decoder *d, uint32_t *slot)
{
	return new_slot(d->resolver, slot);
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
	if (!new_slot(r, slot))
		return false;
	constant = vector_add(&r->constant_list, sizeof *constant);
	if (!constant)
		return out_of_memory(r);
	constant->slot = *slot;
	constant->value = value;
	if (value == UINT64_MAX)
		r->ones_slot = *slot;
	else if (!ptx_map_put(&r->constants, value, *slot))
		return out_of_memory(r);
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
	return vector_push(list, value) || out_of_memory(r);
}

/* The address of a variable, a function, or a special register's value. */
static bool
take_symbol_value(struct decoder *d, const struct ptx_operand *operand,
		  const struct symbol *symbol, uint32_t *slot)
{
	struct resolver *r = d->resolver;
	struct op op = blank_op(d->in);

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
	const char *text = text_of(r, name);
	struct op op = blank_op(d->in);
	uint32_t function = ptx_map_get(&r->functions, pair(name, 0));

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
			return unknown_name(d, name);
		ptx_log_set(r->log, true, d->in->line, "register '%s' is not supported", text);
		return false;
	}
	if (!decode_temporary(d, &op.d))
		return false;
	*slot = op.d;
	return decode_emit_before(d, &op);
}

static bool
source_slot(struct decoder *d, const struct ptx_operand *operand, enum ptx_type type,
	    uint32_t *slot)
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
	symbol = find_symbol(d->resolver, operand->name, d->in->scope);
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
	struct op op = blank_op(d->in);

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
	symbol = find_symbol(d->resolver, operand->name, d->in->scope);
	if (!symbol)
		return unknown_name(d, operand->name);
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
		if (!vector_push(&d->resolver->lists, slots[i]))
			return out_of_memory(d->resolver);
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
	symbol = find_symbol(r, operand->name, d->in->scope);
	if (!symbol)
		return unknown_name(d, operand->name);
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
		uint32_t label = ptx_map_get(&r->labels, pair(name, scope));

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
		return unknown_name(d, operand->name);
	d->op.target = label;
	return vector_push(&d->resolver->fixups, d->resolver->ops.count) ||
	       out_of_memory(d->resolver);
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
		return unknown_name(d, operand->name);
	table = PTX_AT(r->source->labels, struct ptx_label, label);
	d->op.list = r->lists.count;
	d->op.symbol = table->target_count;
	for (i = 0; i < table->target_count; i++) {
		label = find_label(r, table->targets[i], table->scope);
		if (label == PTX_NONE)
			return unknown_name(d, table->targets[i]);
		if (!vector_push(&r->list_fixups, r->lists.count) ||
		    !vector_push(&r->lists, label))
			return out_of_memory(r);
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
		struct symbol *symbol = argument->kind == PTX_OPERAND_NAME
					? find_symbol(r, argument->name, d->in->scope) : NULL;

		if (!symbol || symbol->kind != SYMBOL_FRAME || argument->value)
			return decode_bad(d, "argument is no .param variable");
		if (!vector_push(&r->lists, (uint32_t)symbol->value) ||
		    !vector_push(&r->lists, (uint32_t)symbol->variable->size))
			return out_of_memory(r);
	}
	return true;
}

static bool
resolve_callee(struct decoder *d, const struct ptx_operand *callee, uint32_t results,
	       uint32_t params)
{
	struct resolver *r = d->resolver;
	uint32_t index = ptx_map_get(&r->functions, pair(callee->name, 0));
	const struct sim_function *function;
	struct symbol *symbol;

	if (index == PTX_NONE) {
		symbol = find_symbol(r, callee->name, d->in->scope);
		if (!symbol)
			return unknown_name(d, callee->name);
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
		ptx_log_set(r->log, false, d->in->line, "unresolved extern function '%s'",
			    function->name);
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
	return (vector_push(&r->lists, results ? results->count : 0) || out_of_memory(r)) &&
	       (vector_push(&r->lists, params ? params->count : 0) || out_of_memory(r)) &&
	       push_arguments(d, results) && push_arguments(d, params) &&
	       resolve_callee(d, callee, results ? results->count : 0,
			      params ? params->count : 0);
}

/* Instructions. */

static const struct op_set *const sets[] = {
	&ops_int, &ops_float, &ops_half, &ops_cvt, &ops_memory, &ops_atomic, &ops_warp,
	&ops_control,
};

#define SETS (sizeof sets / sizeof sets[0])

static const struct op_family *
find_family(const char *mnemonic)
{
	const struct op_family *family;
	size_t i;

	for (i = 0; i < SETS; i++)
		for (family = sets[i]->families; family->mnemonic; family++)
			if (family->mnemonic[0] == mnemonic[0] &&
			    strcmp(family->mnemonic, mnemonic) == 0)
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
			if ((row->types >> mods->types[0] & 1) && row->key[0] == mods->key[0] &&
			    strcmp(row->key, mods->key) == 0)
				return row;
	return NULL;
}

static bool
decode_row(struct decoder *d, const struct op_row *row)
{
	enum ptx_type type = d->mods.types[0];
	uint32_t *places[3] = { &d->op.a, &d->op.b, &d->op.c };
	unsigned int i;

	d->op.fn = row->fn;
	d->op.type = (uint8_t)type;
	if (type >= PTX_F16 && type <= PTX_F64) {
		d->op.mode = (uint8_t)((d->mods.ftz ? FP_FTZ : 0) | (d->mods.sat ? FP_SAT : 0) |
				       (d->mods.relu ? FP_RELU : 0));
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
	symbol = find_symbol(d->resolver, d->in->guard, d->in->scope);
	if (!symbol || symbol->kind != SYMBOL_REGISTER)
		return unknown_name(d, d->in->guard);
	d->op.guard = symbol->slot;
	if (d->in->guard_negated)
		d->op.flags |= OP_GUARD_NOT;
	return true;
}

static bool
decode_instruction(struct resolver *r, const struct ptx_instruction *in)
{
	struct decoder d = { .resolver = r, .in = in, .op = blank_op(in) };
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
	place = vector_add(&r->ops, sizeof *place);
	if (!place)
		return out_of_memory(r);
	*place = d.op;
	return true;
}

/* Declarations. */

static bool
place_local(struct resolver *r, const struct ptx_variable *variable, uint64_t *offset)
{
	uint64_t start = ((uint64_t)r->local_size + variable->align - 1) &
			 ~(uint64_t)(variable->align - 1);

	if (start + variable->size > MAX_LOCAL) {
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
	struct symbol symbol = { .variable = variable };

	if (variable->space == PTX_REG) {
		if (variable->size > 8) {
			ptx_log_set(r->log, true, variable->line,
				    "registers of %llu bytes are not supported",
				    (unsigned long long)variable->size);
			return false;
		}
		symbol.kind = variable->registers ? SYMBOL_REGISTERS : SYMBOL_REGISTER;
		if (!variable->registers && !new_slot(r, &symbol.slot))
			return false;
	} else if (variable->space == PTX_SHARED) {
		symbol.kind = SYMBOL_SHARED;
		symbol.value = r->code->shared_variables++;
	} else {
		symbol.kind = SYMBOL_FRAME;
		if (!is_power_of_two(variable->align) ||
		    !place_local(r, variable, &symbol.value))
			return false;
	}
	return add_symbol(r, &r->locals, variable->name, variable->scope, symbol) != NULL;
}

/* Parameters of a kernel lie in its buffer, of other functions in the frame. */
static bool
declare_params(struct resolver *r, const struct ptx_array *list, const struct sim_param *places)
{
	uint32_t i;

	for (i = 0; i < list->count; i++) {
		const struct ptx_variable *variable = PTX_AT(*list, struct ptx_variable, i);
		struct symbol symbol = {
			.kind = r->function->entry ? SYMBOL_PARAM : SYMBOL_FRAME,
			.variable = variable, .value = places[i].offset
		};

		if (!add_symbol(r, &r->locals, variable->name, variable->scope, symbol))
			return false;
	}
	return true;
}

static bool
place_params(struct resolver *r, const struct ptx_array *list, struct sim_param **params,
	     uint32_t *count, uint64_t *end)
{
	uint32_t i;

	*params = calloc(list->count + 1, sizeof **params);
	if (!*params)
		return out_of_memory(r);
	*count = list->count;
	for (i = 0; i < list->count; i++) {
		const struct ptx_variable *variable = PTX_AT(*list, struct ptx_variable, i);

		if (variable->space != PTX_PARAM) {
			ptx_log_set(r->log, true, variable->line,
				    "parameters in registers are not supported");
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

	function->name = strdup(text_of(r, source->name));
	if (!function->name)
		return out_of_memory(r);
	function->entry = source->entry;
	function->defined = source->defined;
	memcpy(function->max_threads, source->max_threads, sizeof function->max_threads);
	memcpy(function->required_threads, source->required_threads,
	       sizeof function->required_threads);
	if (!source->defined)
		function->builtin = sim_builtin_find(function->name);
	if (!place_params(r, &source->returns, &function->returns, &function->return_count,
			  &end))
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

		if (!ptx_map_put(&r->labels, pair(label->name, label->scope), i))
			return out_of_memory(r);
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
	struct op end = blank_op(NULL), *place;
	uint32_t i;

	for (i = 0; i < source->variables.count; i++)
		if (!declare_local(r, PTX_AT(source->variables, struct ptx_variable, i)))
			return false;
	r->at = calloc((size_t)source->instructions.count + 1, sizeof *r->at);
	if (!r->at)
		return out_of_memory(r);
	for (i = 0; i < source->instructions.count; i++) {
		r->at[i] = r->ops.count;
		if (!decode_instruction(r, PTX_AT(source->instructions, struct ptx_instruction, i)))
			return false;
	}
	r->at[i] = r->ops.count;
	end.fn = op_end;
	end.flags = OP_CONTROL;
	place = vector_add(&r->ops, sizeof *place);
	if (!place)
		return out_of_memory(r);
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
	     declare_params(r, &r->source->params, function->params) && declare_labels(r) &&
	     compile_body(r);
	function->slots = r->slots ? r->slots : 1;
	function->registers = r->source->variables.count;
	function->local_size = (r->local_size + 63) & ~63u;
	ok = ok &&
	     take_over(&r->constant_list, sizeof(struct sim_constant),
		       (void **)&function->constants, &function->constant_count) &&
	     take_over(&r->calls, sizeof(uint32_t), (void **)&function->calls,
		       &function->call_count) &&
	     take_over(&r->shared, sizeof(uint32_t), (void **)&function->shared,
		       &function->shared_count);
	forget_function(r);
	return ok;
}

/* The module's own names. */

static bool
declare_variables(struct resolver *r)
{
	uint32_t i;

	for (i = 0; i < r->module->variables.count; i++) {
		const struct ptx_variable *variable =
			PTX_AT(r->module->variables, struct ptx_variable, i);
		struct symbol symbol = { .kind = SYMBOL_VARIABLE, .variable = variable };

		if (variable->space == PTX_SHARED) {
			symbol.kind = SYMBOL_SHARED;
			symbol.value = r->code->shared_variables++;
		} else {
			symbol.value = r->addresses->variables[i];
		}
		if (!add_symbol(r, &r->names, variable->name, variable->scope, symbol))
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
		return out_of_memory(r);
	for (i = 0; i < count; i++) {
		const struct ptx_function *source =
			PTX_AT(r->module->functions, struct ptx_function, i);
		uint32_t known = ptx_map_get(&r->functions, pair(source->name, 0));

		if (known == PTX_NONE) {
			known = r->code->function_count++;
			if (!ptx_map_put(&r->functions, pair(source->name, 0), known))
				return out_of_memory(r);
		} else if (r->sources[known]->defined) {
			if (source->defined) {
				ptx_log_set(r->log, false, source->line, "'%s' is defined twice",
					    text_of(r, source->name));
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
	const struct ptx_variable **list =
		calloc((size_t)r->code->shared_variables + 1, sizeof *list);
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
place_shared(struct resolver *r, struct sim_function *kernel, const bool *used,
	     const struct ptx_variable **variables)
{
	uint64_t end = 0, dynamic;
	uint32_t i;
	bool has_dynamic = false;

	kernel->shared_offsets = calloc((size_t)r->code->shared_variables + 1, sizeof(uint32_t));
	if (!kernel->shared_offsets)
		return out_of_memory(r);
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
			ptx_log_set(r->log, false, variables[i]->line,
				    "'%s' uses too much shared data (%llu bytes, %u at most)",
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
	    !take_over(&r->lists, sizeof(uint32_t), (void **)&r->code->lists,
		       &r->code->list_count))
		return out_of_memory(r);
	return layout_shared(r);
}

static void
resolver_finish(struct resolver *r)
{
	struct vector *vectors[] = { &r->symbols, &r->ops, &r->lists, &r->constant_list,
				     &r->calls, &r->shared, &r->fixups, &r->list_fixups };
	size_t i;

	forget_function(r);
	ptx_map_finish(&r->names);
	ptx_map_finish(&r->functions);
	for (i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
		free(vectors[i]->data);
	free(r->sources);
}

struct sim_code *
sim_code_create(struct ptx_module *module, const struct sim_addresses *addresses,
		struct ptx_log *log)
{
	struct resolver r = {
		.module = module, .log = log, .addresses = addresses, .ones_slot = PTX_NONE
	};
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
