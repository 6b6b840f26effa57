/* SPDX-License-Identifier: MIT */
/*
 * PTX text to a tree. The parser knows the shape of declarations and
 * statements; what an opcode means, and whether its operands fit, is the
 * resolver's business.
 *
 * Names may be used before they are declared (labels, functions), so nothing
 * is looked up here: every instruction keeps its scope.
 */
#include "ptx_parser.h"

#include <stdlib.h>
#include <string.h>

static bool
push_scope(struct parser *p)
{
    struct ptx_scope *scope;

    if (++p->depth > PTX_MAX_NESTING)
        return parser_fail(p, "blocks nest too deep");
    scope = ptx_array_add(&p->module->arena, &p->module->scopes, sizeof *scope);
    if (!scope)
        return parser_fail(p, "out of memory");
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

/* Statements. */

static bool parse_operand(struct parser *p, struct ptx_operand *operand, bool nested);

static bool
parse_operand_list(struct parser *p, struct ptx_operand *operand, char close)
{
    struct ptx_operand elements[PTX_MAX_OPERANDS];
    struct ptx_operand *copy;
    uint32_t n = 0;

    operand->kind = PTX_OPERAND_LIST;
    parser_advance(p);
    while (!parser_sees(p, close)) {
        if (n && !parser_expect(p, ','))
            return false;
        if (n == PTX_MAX_OPERANDS)
            return parser_fail(p, "too many operands");
        memset(&elements[n], 0, sizeof elements[n]);
        if (!parse_operand(p, &elements[n], true))
            return false;
        n++;
    }
    parser_advance(p);
    copy = ptx_arena_alloc(&p->module->arena, n * sizeof *copy + 1);
    if (!copy)
        return parser_fail(p, "out of memory");
    memcpy(copy, elements, n * sizeof *copy);
    operand->elements = copy;
    operand->count = n;
    return true;
}

static bool
parse_offset(struct parser *p, struct ptx_operand *operand)
{
    while (parser_sees(p, '+') || parser_sees(p, '-')) {
        bool minus = parser_sees(p, '-');
        uint64_t value;

        parser_advance(p);
        if (!parser_take_integer(p, &value))
            return false;
        operand->value += minus ? 0 - value : value;
    }
    return true;
}

static bool
parse_address(struct parser *p, struct ptx_operand *operand)
{
    operand->kind = PTX_OPERAND_ADDRESS;
    parser_advance(p);
    if (p->token.kind == PTX_TOKEN_NAME) {
        if (!parser_take_name(p, &operand->name) || !parse_offset(p, operand))
            return false;
    } else if (!parser_take_integer(p, &operand->value)) {
        return false;
    }
    if (parser_sees(p, ',')) {
        ptx_log_set(p->log, true, p->token.line, "tensor and texture addresses are not supported");
        return false;
    }
    return parser_expect(p, ']');
}

static bool
parse_number_operand(struct parser *p, struct ptx_operand *operand)
{
    bool negative = parser_accept(p, '-');

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
        return parser_fail(p, "expected an operand");
    }
    parser_advance(p);
    return true;
}

static bool
parse_operand(struct parser *p, struct ptx_operand *operand, bool nested)
{
    operand->name = PTX_NONE;
    if (!nested && parser_sees(p, '{'))
        return parse_operand_list(p, operand, '}');
    if (!nested && parser_sees(p, '('))
        return parse_operand_list(p, operand, ')');
    if (parser_sees(p, '['))
        return parse_address(p, operand);
    if (parser_accept(p, '!'))
        operand->negated = true;
    if (p->token.kind != PTX_TOKEN_NAME)
        return parse_number_operand(p, operand);
    if (parser_is_text(&p->token, "_")) {
        operand->kind = PTX_OPERAND_SINK;
        parser_advance(p);
        return true;
    }
    operand->kind = PTX_OPERAND_NAME;
    return parser_take_name(p, &operand->name) && parse_offset(p, operand);
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
        return parser_fail(p, "out of memory");
    memcpy(opcode, p->token.text, p->token.length);
    instruction->opcode = opcode;
    parser_advance(p);
    while (!parser_sees(p, ';')) {
        bool paired = false;

        if (n && !(paired = parser_accept(p, '|')) && !parser_expect(p, ','))
            return false;
        if (n == PTX_MAX_OPERANDS)
            return parser_fail(p, "too many operands");
        memset(&operands[n], 0, sizeof operands[n]);
        if (!parse_operand(p, &operands[n], false))
            return false;
        operands[n++].paired = paired;
    }
    parser_advance(p);
    copy = ptx_arena_alloc(&p->module->arena, n * sizeof *copy + 1);
    if (!copy)
        return parser_fail(p, "out of memory");
    memcpy(copy, operands, n * sizeof *copy);
    instruction->operands = copy;
    instruction->count = n;
    return true;
}

static bool
parse_guarded(struct parser *p)
{
    struct ptx_instruction instruction = {.guard = PTX_NONE};
    struct ptx_instruction *place;

    if (parser_accept(p, '@')) {
        instruction.guard_negated = parser_accept(p, '!');
        if (!parser_take_name(p, &instruction.guard))
            return false;
    }
    if (p->token.kind != PTX_TOKEN_NAME)
        return parser_fail(p, "expected an instruction");
    if (!parse_instruction(p, &instruction))
        return false;
    place = ptx_array_add(&p->module->arena, &p->function->instructions, sizeof *place);
    if (!place)
        return parser_fail(p, "out of memory");
    *place = instruction;
    return true;
}

static bool
parse_targets(struct parser *p, struct ptx_label *label)
{
    struct ptx_array list = {0};

    parser_advance(p);
    do {
        uint32_t *place = ptx_array_add(&p->module->arena, &list, sizeof *place);

        if (!place)
            return parser_fail(p, "out of memory");
        if (!parser_take_name(p, place))
            return false;
    } while (parser_accept(p, ','));
    label->targets = list.data;
    label->target_count = list.count;
    return parser_expect(p, ';');
}

static bool
parse_label(struct parser *p, uint32_t name)
{
    struct ptx_label label = {.name = name, .scope = p->scope, .at = p->function->instructions.count};
    struct ptx_label *place;

    if (parser_sees_directive(p, ".branchtargets") || parser_sees_directive(p, ".calltargets")) {
        if (!parse_targets(p, &label))
            return false;
    } else if (parser_sees_directive(p, ".callprototype")) {
        if (!parser_skip_to(p, ';'))
            return false;
    }
    place = ptx_array_add(&p->module->arena, &p->function->labels, sizeof *place);
    if (!place)
        return parser_fail(p, "out of memory");
    *place = label;
    return true;
}

static bool
parse_body_directive(struct parser *p)
{
    enum ptx_space space;

    if (parser_sees_space(p, &space))
        return parser_variables(p, space, PTX_PRIVATE,
                                space == PTX_GLOBAL || space == PTX_CONST ? &p->module->variables
                                                                          : &p->function->variables);
    if (parser_sees_directive(p, ".loc") || parser_sees_directive(p, ".file")) {
        parser_skip_line(p);
        return true;
    }
    if (parser_sees_directive(p, ".pragma"))
        return parser_skip_to(p, ';');
    return parser_fail(p, "unknown directive");
}

static bool
parse_statement(struct parser *p)
{
    struct ptx_lexer saved = p->lexer;
    struct ptx_token next;
    uint32_t name;

    if (p->token.kind == PTX_TOKEN_DIRECTIVE)
        return parse_body_directive(p);
    if (parser_accept(p, ';'))
        return true;
    if (p->token.kind == PTX_TOKEN_NAME) {
        ptx_lexer_next(&p->lexer, &next);
        if (next.kind == PTX_TOKEN_PUNCTUATION && next.punctuation == ':') {
            p->lexer = saved;
            if (!parser_take_name(p, &name) || !parser_expect(p, ':'))
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

    parser_advance(p);
    for (;;) {
        if (parser_sees(p, '{')) {
            if (!push_scope(p))
                return false;
            parser_advance(p);
        } else if (parser_sees(p, '}')) {
            parser_advance(p);
            if (p->depth == outer)
                return true;
            pop_scope(p);
        } else if (p->token.kind == PTX_TOKEN_END) {
            return parser_fail(p, "unexpected end of function");
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

        if (i == 3 || !parser_take_integer(p, &value))
            return parser_fail(p, "expected up to three integers");
        triple[i++] = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
    } while (parser_accept(p, ','));
    return true;
}

static bool
parse_function_directives(struct parser *p, struct ptx_function *function)
{
    uint32_t ignored[3];

    while (p->token.kind == PTX_TOKEN_DIRECTIVE) {
        struct ptx_token directive = p->token;

        parser_advance(p);
        if (parser_is_text(&directive, ".maxntid")) {
            if (!parse_triple(p, function->max_threads))
                return false;
        } else if (parser_is_text(&directive, ".reqntid")) {
            if (!parse_triple(p, function->required_threads))
                return false;
        } else if (parser_is_text(&directive, ".pragma")) {
            if (!parser_skip_to(p, ';'))
                return false;
        } else if (parser_is_text(&directive, ".noreturn")) {
            function->noreturn = true;
        } else if (parser_is_text(&directive, ".attribute")) {
            if (!parser_sees(p, '('))
                return parser_fail(p, "expected '('");
            if (!parser_skip_parentheses(p))
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
    struct ptx_function function = {.entry = entry, .linkage = linkage, .line = p->token.line};
    struct ptx_function *place;

    parser_advance(p);
    if (!push_scope(p))
        return false;
    function.scope = p->scope;
    /* .func .attribute(...) (ret) name */
    while (parser_accept_directive(p, ".attribute"))
        if (!parser_sees(p, '(') || !parser_skip_parentheses(p))
            return parser_fail(p, "bad attribute");
    if (!entry && parser_sees(p, '(') && !parser_parameters(p, &function.returns))
        return false;
    if (!parser_take_name(p, &function.name))
        return false;
    if (parser_sees(p, '(') && !parser_parameters(p, &function.params))
        return false;
    if (!parse_function_directives(p, &function))
        return false;
    if (!parser_accept(p, ';')) {
        if (!parser_sees(p, '{'))
            return parser_fail(p, "expected a body");
        p->function = &function;
        function.defined = true;
        if (!parse_body(p))
            return false;
        p->function = NULL;
    }
    pop_scope(p);
    place = ptx_array_add(&p->module->arena, &p->module->functions, sizeof *place);
    if (!place)
        return parser_fail(p, "out of memory");
    *place = function;
    return true;
}

static bool
parse_version(struct parser *p)
{
    double value;

    parser_advance(p);
    if (p->token.kind != PTX_TOKEN_FLOAT)
        return parser_fail(p, "expected a version");
    memcpy(&value, &p->token.bits, 8);
    if (!(value >= 1 && value < 100))
        return parser_fail(p, "bad version");
    p->module->version = p->log->version = (unsigned int)(value * 10 + 0.5);
    parser_advance(p);
    return true;
}

static bool
parse_target(struct parser *p)
{
    parser_advance(p);
    do {
        if (p->token.kind != PTX_TOKEN_NAME)
            return parser_fail(p, "expected a target");
        if (p->token.length > 3 && memcmp(p->token.text, "sm_", 3) == 0) {
            unsigned int i, target = 0;

            for (i = 3; i < p->token.length && i < 7; i++)
                if (p->token.text[i] >= '0' && p->token.text[i] <= '9')
                    target = target * 10 + (unsigned int)(p->token.text[i] - '0');
            p->module->target = p->log->target = target;
        }
        parser_advance(p);
    } while (parser_accept(p, ','));
    return true;
}

static bool
parse_linkage(struct parser *p, enum ptx_linkage *linkage)
{
    static const struct {
        const char *name;
        enum ptx_linkage linkage;
    } words[] = {
        {".visible", PTX_VISIBLE},
        {".weak", PTX_WEAK},
        {".extern", PTX_EXTERN},
        {".common", PTX_COMMON},
    };
    size_t i;

    for (i = 0; i < sizeof words / sizeof words[0]; i++)
        if (parser_accept_directive(p, words[i].name)) {
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
    if (parser_sees_directive(p, ".entry"))
        return parse_function(p, linkage, true);
    if (parser_sees_directive(p, ".func"))
        return parse_function(p, linkage, false);
    if (parser_sees_space(p, &space) && space != PTX_REG && space != PTX_LOCAL)
        return parser_variables(p, space, linkage, &p->module->variables);
    if (parser_sees_directive(p, ".version"))
        return parse_version(p);
    if (parser_sees_directive(p, ".target"))
        return parse_target(p);
    if (parser_accept_directive(p, ".address_size")) {
        if (!parser_take_integer(p, &bits))
            return false;
        p->module->address_size = (unsigned int)(bits & 0xff);
        return true;
    }
    if (parser_sees_directive(p, ".file") || parser_sees_directive(p, ".loc")) {
        parser_skip_line(p);
        return true;
    }
    if (parser_sees_directive(p, ".pragma"))
        return parser_skip_to(p, ';');
    if (parser_sees_directive(p, ".section")) {
        while (!parser_sees(p, '{'))
            if (p->token.kind == PTX_TOKEN_END)
                return parser_fail(p, "unexpected end");
            else
                parser_advance(p);
        return parser_skip_braces(p);
    }
    return parser_fail(p, "unknown directive");
}

static bool
parse_module(struct parser *p)
{
    /* the version comes first, so that a newer one is told as such */
    if (!parser_sees_directive(p, ".version"))
        return parser_fail(p, "expected .version");
    while (p->token.kind != PTX_TOKEN_END)
        if (p->token.kind == PTX_TOKEN_DIRECTIVE) {
            if (!parse_module_directive(p))
                return false;
        } else if (!parser_accept(p, ';')) {
            return parser_fail(p, "expected a directive");
        }
    if (!p->module->target)
        return parser_fail(p, "no .target");
    return true;
}

struct ptx_module *
ptx_module_parse(const char *text, size_t length, struct ptx_log *log)
{
    struct parser p = {.lexer = {.at = text, .end = text + length, .line = 1}, .log = log};
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
    parser_advance(&p);
    if (!ptx_array_add(&module->arena, &module->scopes, sizeof(struct ptx_scope)) || !parse_module(&p)) {
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
