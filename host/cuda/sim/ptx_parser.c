/* SPDX-License-Identifier: MIT */
/*
 * PTX text to a tree. The parser knows the shape of declarations and
 * statements; what an opcode means, and whether its operands fit, is the
 * resolver's business.
 *
 * Names may be used before they are declared (labels, functions), so nothing
 * is looked up here: every instruction keeps its scope.
 */
#include "ptx.h"

#include <stdlib.h>
#include <string.h>

struct parser {
	struct ptx_lexer lexer;
	struct ptx_token token; /* the one to look at next */
	struct ptx_module *module;
	struct ptx_log *log;
	struct ptx_function *function; /* NULL at module scope */
	uint32_t scope;
	unsigned int depth;
};

static bool
fail(struct parser *p, const char *what)
{
	int length = p->token.length > 40 ? 40 : (int)p->token.length;

	ptx_log_set(p->log, false, p->token.line, "%s at '%.*s'", what, length,
		    p->token.kind == PTX_TOKEN_END ? "" : p->token.text);
	return false;
}

static void
advance(struct parser *p)
{
	ptx_lexer_next(&p->lexer, &p->token);
}

static bool
is_punctuation(const struct parser *p, char c)
{
	return p->token.kind == PTX_TOKEN_PUNCTUATION && p->token.punctuation == c;
}

static bool
accept(struct parser *p, char c)
{
	if (!is_punctuation(p, c))
		return false;
	advance(p);
	return true;
}

static bool
expect(struct parser *p, char c)
{
	char what[] = "expected 'x'";

	if (accept(p, c))
		return true;
	what[10] = c;
	return fail(p, what);
}

static bool
is_text(const struct ptx_token *token, const char *text)
{
	return strlen(text) == token->length && memcmp(token->text, text, token->length) == 0;
}

static bool
is_directive(const struct parser *p, const char *text)
{
	return p->token.kind == PTX_TOKEN_DIRECTIVE && is_text(&p->token, text);
}

static bool
accept_directive(struct parser *p, const char *text)
{
	if (!is_directive(p, text))
		return false;
	advance(p);
	return true;
}

static bool
take_name(struct parser *p, uint32_t *name)
{
	if (p->token.kind != PTX_TOKEN_NAME)
		return fail(p, "expected a name");
	*name = ptx_names_intern(&p->module->names, &p->module->arena, p->token.text,
				 p->token.length);
	if (*name == PTX_NONE)
		return fail(p, "out of memory");
	advance(p);
	return true;
}

static bool
take_integer(struct parser *p, uint64_t *value)
{
	bool negative = accept(p, '-');

	if (p->token.kind != PTX_TOKEN_INTEGER)
		return fail(p, "expected an integer");
	*value = negative ? 0 - p->token.bits : p->token.bits;
	advance(p);
	return true;
}

static bool
skip_to(struct parser *p, char c)
{
	while (!is_punctuation(p, c)) {
		if (p->token.kind == PTX_TOKEN_END || p->token.kind == PTX_TOKEN_ERROR)
			return fail(p, "unexpected end");
		advance(p);
	}
	advance(p);
	return true;
}

/* .loc and .file have no terminator but the end of their line. */
static void
skip_line(struct parser *p)
{
	unsigned int line = p->token.line;

	while (p->token.kind != PTX_TOKEN_END && p->token.line == line)
		advance(p);
}

static bool
skip_braces(struct parser *p)
{
	unsigned int depth = 0;

	do {
		if (p->token.kind == PTX_TOKEN_END)
			return fail(p, "unexpected end");
		depth += is_punctuation(p, '{');
		depth -= is_punctuation(p, '}');
		advance(p);
	} while (depth);
	return true;
}

static bool
skip_parentheses(struct parser *p)
{
	unsigned int depth = 0;

	do {
		if (p->token.kind == PTX_TOKEN_END)
			return fail(p, "unexpected end");
		depth += is_punctuation(p, '(');
		depth -= is_punctuation(p, ')');
		advance(p);
	} while (depth);
	return true;
}

static bool
push_scope(struct parser *p)
{
	struct ptx_scope *scope;

	if (++p->depth > PTX_MAX_NESTING)
		return fail(p, "blocks nest too deep");
	scope = ptx_array_add(&p->module->arena, &p->module->scopes, sizeof *scope);
	if (!scope)
		return fail(p, "out of memory");
	scope->parent = p->scope;
	p->scope = p->module->scopes.count - 1;
	return true;
}

static void
pop_scope(struct parser *p)
{
	p->scope = PTX_AT(p->module->scopes, struct ptx_scope, p->scope)->parent;
	p->depth--;
}

/* Declarations. */

static const struct {
	const char *name;
	enum ptx_space space;
} spaces[] = {
	{ ".reg", PTX_REG }, { ".global", PTX_GLOBAL }, { ".shared", PTX_SHARED },
	{ ".local", PTX_LOCAL }, { ".const", PTX_CONST }, { ".param", PTX_PARAM },
};

static bool
is_space(const struct parser *p, enum ptx_space *space)
{
	size_t i;

	for (i = 0; i < sizeof spaces / sizeof spaces[0]; i++)
		if (is_directive(p, spaces[i].name)) {
			*space = spaces[i].space;
			return true;
		}
	return false;
}

/* .align, type, .v2, .ptr and attributes, in any order, up to the name. */
static bool
parse_variable_type(struct parser *p, struct ptx_variable *variable)
{
	unsigned int lanes = 1;
	uint64_t align = 0;

	while (p->token.kind == PTX_TOKEN_DIRECTIVE) {
		enum ptx_type type = ptx_type_find(p->token.text + 1, p->token.length - 1);

		if (is_text(&p->token, ".align")) {
			advance(p);
			if (!take_integer(p, &align))
				return false;
			if (align == 0 || align > 4096 || (align & (align - 1)))
				return fail(p, "bad alignment");
			continue;
		}
		if (is_text(&p->token, ".attribute")) {
			advance(p);
			if (!is_punctuation(p, '('))
				return fail(p, "expected '('");
			if (!skip_parentheses(p))
				return false;
			continue;
		}
		if (type != PTX_NOTYPE)
			variable->type = type;
		else if (is_text(&p->token, ".v2"))
			lanes = 2;
		else if (is_text(&p->token, ".v4"))
			lanes = 4;
		else if (is_text(&p->token, ".texref") || is_text(&p->token, ".surfref") ||
			 is_text(&p->token, ".samplerref")) {
			ptx_log_set(p->log, true, p->token.line, "type '%.*s' is not supported",
				    (int)p->token.length, p->token.text);
			return false;
		} else if (!is_text(&p->token, ".ptr"))
			return fail(p, "unknown type");
		if (is_text(&p->token, ".ptr")) {
			/* .ptr .global .align 8: says where it points, nothing of itself */
			advance(p);
			while (p->token.kind == PTX_TOKEN_DIRECTIVE) {
				bool is_align = is_text(&p->token, ".align");
				uint64_t unused;

				advance(p);
				if (is_align && !take_integer(p, &unused))
					return false;
			}
			continue;
		}
		advance(p);
	}
	if (variable->type == PTX_NOTYPE)
		return fail(p, "declaration without type");
	variable->size = (uint64_t)ptx_type_size(variable->type) * lanes;
	variable->align = align ? (unsigned int)align : (unsigned int)variable->size;
	return true;
}

static bool
parse_dimensions(struct parser *p, struct ptx_variable *variable)
{
	while (accept(p, '[')) {
		uint64_t n = 0;

		if (!is_punctuation(p, ']') && !take_integer(p, &n))
			return false;
		if (n && variable->size > PTX_MAX_VARIABLE / n)
			return fail(p, "variable too large");
		variable->size *= n;
		if (!expect(p, ']'))
			return false;
	}
	return true;
}

static bool
add_initializer(struct parser *p, struct ptx_array *list, struct ptx_initializer item)
{
	struct ptx_initializer *place =
		ptx_array_add(&p->module->arena, list, sizeof *place);

	if (!place)
		return fail(p, "out of memory");
	*place = item;
	return true;
}

/* symbol, generic(symbol), each with + offset; 0xFF00(symbol) picks one byte. */
static bool
parse_symbol_value(struct parser *p, struct ptx_initializer *item)
{
	bool parenthesis = false;

	if (p->token.kind == PTX_TOKEN_NAME && is_text(&p->token, "generic")) {
		item->generic = true;
		advance(p);
	}
	parenthesis = accept(p, '(');
	if (p->token.kind == PTX_TOKEN_NAME && is_text(&p->token, "generic")) {
		item->generic = true;
		advance(p);
		if (!expect(p, '(') || !take_name(p, &item->symbol) || !expect(p, ')'))
			return false;
	} else if (!take_name(p, &item->symbol)) {
		return false;
	}
	if (is_punctuation(p, '+') || is_punctuation(p, '-')) {
		bool minus = is_punctuation(p, '-');

		advance(p);
		if (!take_integer(p, &item->bits))
			return false;
		if (minus)
			item->bits = 0 - item->bits;
	}
	if (parenthesis && !expect(p, ')'))
		return false;
	if (is_punctuation(p, '+')) {
		uint64_t more;

		advance(p);
		if (!take_integer(p, &more))
			return false;
		item->bits += more;
	}
	return true;
}

static bool
parse_value(struct parser *p, const struct ptx_variable *variable, struct ptx_initializer *item)
{
	bool negative = accept(p, '-');
	uint64_t mask;
	double value;
	float single;

	item->symbol = PTX_NONE;
	switch (p->token.kind) {
	case PTX_TOKEN_NAME:
		return parse_symbol_value(p, item);
	case PTX_TOKEN_INTEGER:
		item->bits = negative ? 0 - p->token.bits : p->token.bits;
		mask = p->token.bits;
		advance(p);
		if (!is_punctuation(p, '('))
			return true;
		item->bits = 0;
		if (!mask)
			return fail(p, "bad mask");
		for (item->shift = 0; !(mask & 0xff); mask >>= 8)
			item->shift += 8;
		return parse_symbol_value(p, item);
	case PTX_TOKEN_FLOAT32:
		item->bits = p->token.bits;
		if (variable->type == PTX_F64) {
			uint32_t bits = (uint32_t)item->bits;

			memcpy(&single, &bits, 4);
			value = single;
			memcpy(&item->bits, &value, 8);
		}
		break;
	case PTX_TOKEN_FLOAT:
		item->bits = p->token.bits;
		if (variable->type == PTX_F32) {
			uint32_t bits;

			memcpy(&value, &item->bits, 8);
			single = (float)value;
			memcpy(&bits, &single, 4);
			item->bits = bits;
		}
		break;
	default:
		return fail(p, "expected a value");
	}
	if (negative)
		item->bits ^= 1ull << (variable->type == PTX_F64 ? 63 : 31);
	advance(p);
	return true;
}

/*
 * Nested braces only group: with [2][3] every inner brace begins a new row, and
 * compilers write rows in full, so a running offset places each value.
 */
static bool
parse_initializer(struct parser *p, struct ptx_variable *variable)
{
	unsigned int element = ptx_type_size(variable->type), depth = 0;
	struct ptx_array list = { 0 };
	uint64_t offset = 0;

	do {
		while (is_punctuation(p, '{')) {
			if (++depth > PTX_MAX_NESTING)
				return fail(p, "initialiser nests too deep");
			advance(p);
		}
		if (!is_punctuation(p, '}')) {
			struct ptx_initializer item = { .offset = offset, .size = element };

			if (!parse_value(p, variable, &item))
				return false;
			if (item.bits || item.symbol != PTX_NONE)
				if (!add_initializer(p, &list, item))
					return false;
			offset += element;
		}
		while (depth && is_punctuation(p, '}')) {
			depth--;
			advance(p);
		}
	} while (depth ? expect(p, ',') : accept(p, ','));
	if (depth)
		return false;
	if (variable->size == 0)
		variable->size = offset;
	if (offset > variable->size)
		return fail(p, "more initialisers than elements");
	variable->init = list.data;
	variable->init_count = list.count;
	return true;
}

/* One or more names of the type just read, each put into the list. */
static bool
parse_declarators(struct parser *p, struct ptx_array *list, const struct ptx_variable *base)
{
	do {
		struct ptx_variable variable = *base, *place;
		uint64_t n;

		if (!take_name(p, &variable.name))
			return false;
		if (accept(p, '<')) {
			if (!take_integer(p, &n) || !expect(p, '>'))
				return false;
			if (n > UINT32_MAX / 2)
				return fail(p, "too many registers");
			variable.registers = (uint32_t)n;
		}
		if (!parse_dimensions(p, &variable))
			return false;
		if (accept(p, '=') && !parse_initializer(p, &variable))
			return false;
		place = ptx_array_add(&p->module->arena, list, sizeof *place);
		if (!place)
			return fail(p, "out of memory");
		*place = variable;
	} while (accept(p, ','));
	return true;
}

static bool
parse_variables(struct parser *p, enum ptx_space space, enum ptx_linkage linkage,
		struct ptx_array *list)
{
	struct ptx_variable base = {
		.space = space, .linkage = linkage, .line = p->token.line, .scope = p->scope
	};

	advance(p); /* the space */
	if (p->token.kind == PTX_TOKEN_PUNCTUATION && is_punctuation(p, '['))
		return fail(p, "constant banks are not supported");
	return parse_variable_type(p, &base) && parse_declarators(p, list, &base) &&
	       expect(p, ';');
}

/* ( .param .u64 a, .param .align 8 .b8 b[16] ) */
static bool
parse_parameters(struct parser *p, struct ptx_array *list)
{
	if (!expect(p, '('))
		return false;
	if (accept(p, ')'))
		return true;
	do {
		struct ptx_variable variable = { .line = p->token.line, .scope = p->scope };
		struct ptx_variable *place;

		if (!is_space(p, &variable.space) ||
		    (variable.space != PTX_PARAM && variable.space != PTX_REG))
			return fail(p, "expected .param or .reg");
		advance(p);
		if (!parse_variable_type(p, &variable) || !take_name(p, &variable.name) ||
		    !parse_dimensions(p, &variable))
			return false;
		if (list->count >= 4096)
			return fail(p, "too many parameters");
		place = ptx_array_add(&p->module->arena, list, sizeof *place);
		if (!place)
			return fail(p, "out of memory");
		*place = variable;
	} while (accept(p, ','));
	return expect(p, ')');
}

/* Statements. */

static bool parse_operand(struct parser *p, struct ptx_operand *operand, bool nested);

static bool
parse_operand_list(struct parser *p, struct ptx_operand *operand, char close)
{
	struct ptx_operand elements[PTX_MAX_OPERANDS];
	struct ptx_operand *copy;
	uint32_t n = 0;

	operand->kind = PTX_OPERAND_LIST;
	advance(p);
	while (!is_punctuation(p, close)) {
		if (n && !expect(p, ','))
			return false;
		if (n == PTX_MAX_OPERANDS)
			return fail(p, "too many operands");
		memset(&elements[n], 0, sizeof elements[n]);
		if (!parse_operand(p, &elements[n], true))
			return false;
		n++;
	}
	advance(p);
	copy = ptx_arena_alloc(&p->module->arena, n * sizeof *copy + 1);
	if (!copy)
		return fail(p, "out of memory");
	memcpy(copy, elements, n * sizeof *copy);
	operand->elements = copy;
	operand->count = n;
	return true;
}

static bool
parse_offset(struct parser *p, struct ptx_operand *operand)
{
	while (is_punctuation(p, '+') || is_punctuation(p, '-')) {
		bool minus = is_punctuation(p, '-');
		uint64_t value;

		advance(p);
		if (!take_integer(p, &value))
			return false;
		operand->value += minus ? 0 - value : value;
	}
	return true;
}

static bool
parse_address(struct parser *p, struct ptx_operand *operand)
{
	operand->kind = PTX_OPERAND_ADDRESS;
	advance(p);
	if (p->token.kind == PTX_TOKEN_NAME) {
		if (!take_name(p, &operand->name) || !parse_offset(p, operand))
			return false;
	} else if (!take_integer(p, &operand->value)) {
		return false;
	}
	if (is_punctuation(p, ',')) {
		ptx_log_set(p->log, true, p->token.line,
			    "tensor and texture addresses are not supported");
		return false;
	}
	return expect(p, ']');
}

static bool
parse_number_operand(struct parser *p, struct ptx_operand *operand)
{
	bool negative = accept(p, '-');

	operand->value = p->token.bits;
	switch (p->token.kind) {
	case PTX_TOKEN_INTEGER:
		operand->kind = PTX_OPERAND_INTEGER;
		if (negative)
			operand->value = 0 - operand->value;
		break;
	case PTX_TOKEN_FLOAT:
		operand->kind = PTX_OPERAND_FLOAT;
		operand->value ^= (uint64_t)negative << 63;
		break;
	case PTX_TOKEN_FLOAT32:
		operand->kind = PTX_OPERAND_FLOAT32;
		operand->value ^= (uint64_t)negative << 31;
		break;
	default:
		return fail(p, "expected an operand");
	}
	advance(p);
	return true;
}

static bool
parse_operand(struct parser *p, struct ptx_operand *operand, bool nested)
{
	operand->name = PTX_NONE;
	if (!nested && is_punctuation(p, '{'))
		return parse_operand_list(p, operand, '}');
	if (!nested && is_punctuation(p, '('))
		return parse_operand_list(p, operand, ')');
	if (is_punctuation(p, '['))
		return parse_address(p, operand);
	if (accept(p, '!'))
		operand->negated = true;
	if (p->token.kind != PTX_TOKEN_NAME)
		return parse_number_operand(p, operand);
	if (is_text(&p->token, "_")) {
		operand->kind = PTX_OPERAND_SINK;
		advance(p);
		return true;
	}
	operand->kind = PTX_OPERAND_NAME;
	return take_name(p, &operand->name) && parse_offset(p, operand);
}

static bool
parse_instruction(struct parser *p, struct ptx_instruction *instruction)
{
	struct ptx_operand operands[PTX_MAX_OPERANDS];
	struct ptx_operand *copy;
	char *opcode;
	uint32_t n = 0;

	instruction->line = p->token.line;
	instruction->scope = p->scope;
	ptx_lexer_extend_opcode(&p->lexer, &p->token);
	opcode = ptx_arena_alloc(&p->module->arena, p->token.length + 1);
	if (!opcode)
		return fail(p, "out of memory");
	memcpy(opcode, p->token.text, p->token.length);
	instruction->opcode = opcode;
	advance(p);
	while (!is_punctuation(p, ';')) {
		bool paired = false;

		if (n && !(paired = accept(p, '|')) && !expect(p, ','))
			return false;
		if (n == PTX_MAX_OPERANDS)
			return fail(p, "too many operands");
		memset(&operands[n], 0, sizeof operands[n]);
		if (!parse_operand(p, &operands[n], false))
			return false;
		operands[n++].paired = paired;
	}
	advance(p);
	copy = ptx_arena_alloc(&p->module->arena, n * sizeof *copy + 1);
	if (!copy)
		return fail(p, "out of memory");
	memcpy(copy, operands, n * sizeof *copy);
	instruction->operands = copy;
	instruction->count = n;
	return true;
}

static bool
parse_guarded(struct parser *p)
{
	struct ptx_instruction instruction = { .guard = PTX_NONE };
	struct ptx_instruction *place;

	if (accept(p, '@')) {
		instruction.guard_negated = accept(p, '!');
		if (!take_name(p, &instruction.guard))
			return false;
	}
	if (p->token.kind != PTX_TOKEN_NAME)
		return fail(p, "expected an instruction");
	if (!parse_instruction(p, &instruction))
		return false;
	place = ptx_array_add(&p->module->arena, &p->function->instructions, sizeof *place);
	if (!place)
		return fail(p, "out of memory");
	*place = instruction;
	return true;
}

static bool
parse_targets(struct parser *p, struct ptx_label *label)
{
	struct ptx_array list = { 0 };

	advance(p);
	do {
		uint32_t *place = ptx_array_add(&p->module->arena, &list, sizeof *place);

		if (!place)
			return fail(p, "out of memory");
		if (!take_name(p, place))
			return false;
	} while (accept(p, ','));
	label->targets = list.data;
	label->target_count = list.count;
	return expect(p, ';');
}

static bool
parse_label(struct parser *p, uint32_t name)
{
	struct ptx_label label = {
		.name = name, .scope = p->scope, .at = p->function->instructions.count
	};
	struct ptx_label *place;

	if (is_directive(p, ".branchtargets") || is_directive(p, ".calltargets")) {
		if (!parse_targets(p, &label))
			return false;
	} else if (is_directive(p, ".callprototype")) {
		if (!skip_to(p, ';'))
			return false;
	}
	place = ptx_array_add(&p->module->arena, &p->function->labels, sizeof *place);
	if (!place)
		return fail(p, "out of memory");
	*place = label;
	return true;
}

static bool
parse_body_directive(struct parser *p)
{
	enum ptx_space space;

	if (is_space(p, &space))
		return parse_variables(p, space, PTX_PRIVATE,
				       space == PTX_GLOBAL || space == PTX_CONST
				       ? &p->module->variables : &p->function->variables);
	if (is_directive(p, ".loc") || is_directive(p, ".file")) {
		skip_line(p);
		return true;
	}
	if (is_directive(p, ".pragma"))
		return skip_to(p, ';');
	return fail(p, "unknown directive");
}

static bool
parse_statement(struct parser *p)
{
	struct ptx_lexer saved = p->lexer;
	struct ptx_token next;
	uint32_t name;

	if (p->token.kind == PTX_TOKEN_DIRECTIVE)
		return parse_body_directive(p);
	if (accept(p, ';'))
		return true;
	if (p->token.kind == PTX_TOKEN_NAME) {
		ptx_lexer_next(&p->lexer, &next);
		if (next.kind == PTX_TOKEN_PUNCTUATION && next.punctuation == ':') {
			p->lexer = saved;
			if (!take_name(p, &name) || !expect(p, ':'))
				return false;
			return parse_label(p, name);
		}
		p->lexer = saved;
	}
	return parse_guarded(p);
}

static bool
parse_body(struct parser *p)
{
	unsigned int outer = p->depth;

	advance(p);
	for (;;) {
		if (is_punctuation(p, '{')) {
			if (!push_scope(p))
				return false;
			advance(p);
		} else if (is_punctuation(p, '}')) {
			advance(p);
			if (p->depth == outer)
				return true;
			pop_scope(p);
		} else if (p->token.kind == PTX_TOKEN_END) {
			return fail(p, "unexpected end of function");
		} else if (!parse_statement(p)) {
			return false;
		}
	}
}

/* Functions. */

static bool
parse_triple(struct parser *p, uint32_t triple[3])
{
	int i = 0;

	triple[0] = triple[1] = triple[2] = 1;
	do {
		uint64_t value;

		if (i == 3 || !take_integer(p, &value))
			return fail(p, "expected up to three integers");
		triple[i++] = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
	} while (accept(p, ','));
	return true;
}

static bool
parse_function_directives(struct parser *p, struct ptx_function *function)
{
	uint32_t ignored[3];

	while (p->token.kind == PTX_TOKEN_DIRECTIVE) {
		struct ptx_token directive = p->token;

		advance(p);
		if (is_text(&directive, ".maxntid")) {
			if (!parse_triple(p, function->max_threads))
				return false;
		} else if (is_text(&directive, ".reqntid")) {
			if (!parse_triple(p, function->required_threads))
				return false;
		} else if (is_text(&directive, ".pragma")) {
			if (!skip_to(p, ';'))
				return false;
		} else if (is_text(&directive, ".noreturn")) {
			function->noreturn = true;
		} else if (is_text(&directive, ".attribute")) {
			if (!is_punctuation(p, '('))
				return fail(p, "expected '('");
			if (!skip_parentheses(p))
				return false;
		} else if (p->token.kind == PTX_TOKEN_INTEGER && !parse_triple(p, ignored)) {
			return false; /* .minnctapersm and others that only advise */
		}
	}
	return true;
}

static bool
parse_function(struct parser *p, enum ptx_linkage linkage, bool entry)
{
	struct ptx_function function = {
		.entry = entry, .linkage = linkage, .line = p->token.line
	};
	struct ptx_function *place;

	advance(p);
	if (!push_scope(p))
		return false;
	function.scope = p->scope;
	/* .func .attribute(...) (ret) name */
	while (accept_directive(p, ".attribute"))
		if (!is_punctuation(p, '(') || !skip_parentheses(p))
			return fail(p, "bad attribute");
	if (!entry && is_punctuation(p, '(') && !parse_parameters(p, &function.returns))
		return false;
	if (!take_name(p, &function.name))
		return false;
	if (is_punctuation(p, '(') && !parse_parameters(p, &function.params))
		return false;
	if (!parse_function_directives(p, &function))
		return false;
	if (!accept(p, ';')) {
		if (!is_punctuation(p, '{'))
			return fail(p, "expected a body");
		p->function = &function;
		function.defined = true;
		if (!parse_body(p))
			return false;
		p->function = NULL;
	}
	pop_scope(p);
	place = ptx_array_add(&p->module->arena, &p->module->functions, sizeof *place);
	if (!place)
		return fail(p, "out of memory");
	*place = function;
	return true;
}

static bool
parse_version(struct parser *p)
{
	double value;

	advance(p);
	if (p->token.kind != PTX_TOKEN_FLOAT)
		return fail(p, "expected a version");
	memcpy(&value, &p->token.bits, 8);
	if (!(value >= 1 && value < 100))
		return fail(p, "bad version");
	p->module->version = p->log->version = (unsigned int)(value * 10 + 0.5);
	advance(p);
	return true;
}

static bool
parse_target(struct parser *p)
{
	advance(p);
	do {
		if (p->token.kind != PTX_TOKEN_NAME)
			return fail(p, "expected a target");
		if (p->token.length > 3 && memcmp(p->token.text, "sm_", 3) == 0) {
			unsigned int i, target = 0;

			for (i = 3; i < p->token.length && i < 7; i++)
				if (p->token.text[i] >= '0' && p->token.text[i] <= '9')
					target = target * 10 + (unsigned int)(p->token.text[i] - '0');
			p->module->target = p->log->target = target;
		}
		advance(p);
	} while (accept(p, ','));
	return true;
}

static bool
parse_linkage(struct parser *p, enum ptx_linkage *linkage)
{
	static const struct {
		const char *name;
		enum ptx_linkage linkage;
	} words[] = {
		{ ".visible", PTX_VISIBLE }, { ".weak", PTX_WEAK }, { ".extern", PTX_EXTERN },
		{ ".common", PTX_COMMON },
	};
	size_t i;

	for (i = 0; i < sizeof words / sizeof words[0]; i++)
		if (accept_directive(p, words[i].name)) {
			*linkage = words[i].linkage;
			return true;
		}
	return false;
}

static bool
parse_module_directive(struct parser *p)
{
	enum ptx_linkage linkage = PTX_PRIVATE;
	enum ptx_space space;
	uint64_t bits;

	while (parse_linkage(p, &linkage))
		continue;
	if (is_directive(p, ".entry"))
		return parse_function(p, linkage, true);
	if (is_directive(p, ".func"))
		return parse_function(p, linkage, false);
	if (is_space(p, &space) && space != PTX_REG && space != PTX_LOCAL)
		return parse_variables(p, space, linkage, &p->module->variables);
	if (is_directive(p, ".version"))
		return parse_version(p);
	if (is_directive(p, ".target"))
		return parse_target(p);
	if (accept_directive(p, ".address_size")) {
		if (!take_integer(p, &bits))
			return false;
		p->module->address_size = (unsigned int)(bits & 0xff);
		return true;
	}
	if (is_directive(p, ".file") || is_directive(p, ".loc")) {
		skip_line(p);
		return true;
	}
	if (is_directive(p, ".pragma"))
		return skip_to(p, ';');
	if (is_directive(p, ".section")) {
		while (!is_punctuation(p, '{'))
			if (p->token.kind == PTX_TOKEN_END)
				return fail(p, "unexpected end");
			else
				advance(p);
		return skip_braces(p);
	}
	return fail(p, "unknown directive");
}

static bool
parse_module(struct parser *p)
{
	/* the version comes first, so that a newer one is told as such */
	if (!is_directive(p, ".version"))
		return fail(p, "expected .version");
	while (p->token.kind != PTX_TOKEN_END)
		if (p->token.kind == PTX_TOKEN_DIRECTIVE) {
			if (!parse_module_directive(p))
				return false;
		} else if (!accept(p, ';')) {
			return fail(p, "expected a directive");
		}
	if (!p->module->target)
		return fail(p, "no .target");
	return true;
}

struct ptx_module *
ptx_module_parse(const char *text, size_t length, struct ptx_log *log)
{
	struct parser p = {
		.lexer = { .at = text, .end = text + length, .line = 1 }, .log = log
	};
	struct ptx_module *module;

	if (length > PTX_MAX_TEXT) {
		ptx_log_set(log, false, 0, "more than %u bytes of PTX", PTX_MAX_TEXT);
		return NULL;
	}
	module = calloc(1, sizeof *module);
	if (!module)
		return NULL;
	p.module = module;
	module->address_size = 64;
	advance(&p);
	if (!ptx_array_add(&module->arena, &module->scopes, sizeof(struct ptx_scope)) ||
	    !parse_module(&p)) {
		ptx_module_destroy(module);
		return NULL;
	}
	PTX_AT(module->scopes, struct ptx_scope, 0)->parent = PTX_NONE;
	return module;
}

void
ptx_module_destroy(struct ptx_module *module)
{
	if (!module)
		return;
	ptx_arena_finish(&module->arena);
	free(module);
}
