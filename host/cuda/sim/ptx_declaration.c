/* SPDX-License-Identifier: MIT */
/* Declarations: variables with their types, dimensions and initial values. */
#include "ptx_parser.h"

#include <string.h>

static const struct {
    const char *name;
    enum ptx_space space;
} spaces[] = {
    {".reg", PTX_REG},     {".global", PTX_GLOBAL}, {".shared", PTX_SHARED},
    {".local", PTX_LOCAL}, {".const", PTX_CONST},   {".param", PTX_PARAM},
};

bool
parser_sees_space(const struct parser *p, enum ptx_space *space)
{
    size_t i;

    for (i = 0; i < sizeof spaces / sizeof spaces[0]; i++)
        if (parser_sees_directive(p, spaces[i].name)) {
            *space = spaces[i].space;
            return true;
        }
    return false;
}

/* (.managed), or others, which change nothing. */
static bool
parse_attributes(struct parser *p, struct ptx_variable *variable)
{
    struct parser ahead = *p;

    parser_advance(&ahead);
    variable->managed = parser_is_text(&ahead.token, ".managed");
    return parser_skip_parentheses(p);
}

/* .align, type, .v2, .ptr and attributes, in any order, up to the name. */
static bool
parse_variable_type(struct parser *p, struct ptx_variable *variable)
{
    unsigned int lanes = 1;
    uint64_t align = 0;

    while (p->token.kind == PTX_TOKEN_DIRECTIVE) {
        enum ptx_type type = ptx_type_find(p->token.text + 1, p->token.length - 1);

        if (parser_is_text(&p->token, ".align")) {
            parser_advance(p);
            if (!parser_take_integer(p, &align))
                return false;
            if (align == 0 || align > 4096 || (align & (align - 1)))
                return parser_fail(p, "bad alignment");
            continue;
        }
        if (parser_is_text(&p->token, ".attribute")) {
            parser_advance(p);
            if (!parser_sees(p, '('))
                return parser_fail(p, "expected '('");
            if (!parse_attributes(p, variable))
                return false;
            continue;
        }
        if (type != PTX_NOTYPE)
            variable->type = type;
        else if (parser_is_text(&p->token, ".v2"))
            lanes = 2;
        else if (parser_is_text(&p->token, ".v4"))
            lanes = 4;
        else if (variable->space == PTX_GLOBAL &&
                 (parser_is_text(&p->token, ".texref") || parser_is_text(&p->token, ".surfref"))) {
            variable->type = PTX_B64;
            variable->reference = parser_is_text(&p->token, ".texref") ? PTX_TEXREF : PTX_SURFREF;
        } else if (parser_is_text(&p->token, ".texref") || parser_is_text(&p->token, ".surfref") ||
                   parser_is_text(&p->token, ".samplerref")) {
            ptx_log_set(p->log, true, p->token.line, "type '%.*s' is not supported", (int)p->token.length,
                        p->token.text);
            return false;
        } else if (!parser_is_text(&p->token, ".ptr"))
            return parser_fail(p, "unknown type");
        if (parser_is_text(&p->token, ".ptr")) {
            /* .ptr .global .align 8: says where it points, nothing of itself */
            parser_advance(p);
            while (p->token.kind == PTX_TOKEN_DIRECTIVE) {
                bool is_align = parser_is_text(&p->token, ".align");
                uint64_t unused;

                parser_advance(p);
                if (is_align && !parser_take_integer(p, &unused))
                    return false;
            }
            continue;
        }
        parser_advance(p);
    }
    if (variable->type == PTX_NOTYPE)
        return parser_fail(p, "declaration without type");
    variable->size = (uint64_t)ptx_type_size(variable->type) * lanes;
    variable->align = align ? (unsigned int)align : (unsigned int)variable->size;
    return true;
}

static bool
parse_dimensions(struct parser *p, struct ptx_variable *variable)
{
    while (parser_accept(p, '[')) {
        uint64_t n = 0;

        if (!parser_sees(p, ']') && !parser_take_integer(p, &n))
            return false;
        if (n && variable->size > PTX_MAX_VARIABLE / n)
            return parser_fail(p, "variable too large");
        variable->size *= n;
        if (!parser_expect(p, ']'))
            return false;
    }
    return true;
}

static bool
add_initializer(struct parser *p, struct ptx_array *list, struct ptx_initializer item)
{
    struct ptx_initializer *place = ptx_array_add(&p->module->arena, list, sizeof *place);

    if (!place)
        return parser_fail(p, "out of memory");
    *place = item;
    return true;
}

/* symbol, generic(symbol), each with + offset; 0xFF00(symbol) picks one byte. */
static bool
parse_symbol_value(struct parser *p, struct ptx_initializer *item)
{
    bool parenthesis = false;

    if (p->token.kind == PTX_TOKEN_NAME && parser_is_text(&p->token, "generic")) {
        item->generic = true;
        parser_advance(p);
    }
    parenthesis = parser_accept(p, '(');
    if (p->token.kind == PTX_TOKEN_NAME && parser_is_text(&p->token, "generic")) {
        item->generic = true;
        parser_advance(p);
        if (!parser_expect(p, '(') || !parser_take_name(p, &item->symbol) || !parser_expect(p, ')'))
            return false;
    } else if (!parser_take_name(p, &item->symbol)) {
        return false;
    }
    if (parser_sees(p, '+') || parser_sees(p, '-')) {
        bool minus = parser_sees(p, '-');

        parser_advance(p);
        if (!parser_take_integer(p, &item->bits))
            return false;
        if (minus)
            item->bits = 0 - item->bits;
    }
    if (parenthesis && !parser_expect(p, ')'))
        return false;
    if (parser_sees(p, '+')) {
        uint64_t more;

        parser_advance(p);
        if (!parser_take_integer(p, &more))
            return false;
        item->bits += more;
    }
    return true;
}

static bool
parse_value(struct parser *p, const struct ptx_variable *variable, struct ptx_initializer *item)
{
    bool negative = parser_accept(p, '-');
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
        parser_advance(p);
        if (!parser_sees(p, '('))
            return true;
        item->bits = 0;
        if (!mask)
            return parser_fail(p, "bad mask");
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
        return parser_fail(p, "expected a value");
    }
    if (negative)
        item->bits ^= 1ull << (variable->type == PTX_F64 ? 63 : 31);
    parser_advance(p);
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
    struct ptx_array list = {0};
    uint64_t offset = 0;

    do {
        while (parser_sees(p, '{')) {
            if (++depth > PTX_MAX_NESTING)
                return parser_fail(p, "initialiser nests too deep");
            parser_advance(p);
        }
        if (!parser_sees(p, '}')) {
            struct ptx_initializer item = {.offset = offset, .size = element};

            if (!parse_value(p, variable, &item))
                return false;
            if (item.bits || item.symbol != PTX_NONE)
                if (!add_initializer(p, &list, item))
                    return false;
            offset += element;
        }
        while (depth && parser_sees(p, '}')) {
            depth--;
            parser_advance(p);
        }
    } while (depth ? parser_expect(p, ',') : parser_accept(p, ','));
    if (depth)
        return false;
    if (variable->size == 0)
        variable->size = offset;
    if (offset > variable->size)
        return parser_fail(p, "more initialisers than elements");
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

        if (!parser_take_name(p, &variable.name))
            return false;
        if (parser_accept(p, '<')) {
            if (!parser_take_integer(p, &n) || !parser_expect(p, '>'))
                return false;
            if (n > UINT32_MAX / 2)
                return parser_fail(p, "too many registers");
            variable.registers = (uint32_t)n;
        }
        if (!parse_dimensions(p, &variable))
            return false;
        if (parser_accept(p, '=') && !parse_initializer(p, &variable))
            return false;
        place = ptx_array_add(&p->module->arena, list, sizeof *place);
        if (!place)
            return parser_fail(p, "out of memory");
        *place = variable;
    } while (parser_accept(p, ','));
    return true;
}

bool
parser_variables(struct parser *p, enum ptx_space space, enum ptx_linkage linkage, struct ptx_array *list)
{
    struct ptx_variable base = {.space = space, .linkage = linkage, .line = p->token.line, .scope = p->scope};

    parser_advance(p); /* the space */
    if (p->token.kind == PTX_TOKEN_PUNCTUATION && parser_sees(p, '['))
        return parser_fail(p, "constant banks are not supported");
    return parse_variable_type(p, &base) && parse_declarators(p, list, &base) && parser_expect(p, ';');
}

/* ( .param .u64 a, .param .align 8 .b8 b[16] ) */
bool
parser_parameters(struct parser *p, struct ptx_array *list)
{
    if (!parser_expect(p, '('))
        return false;
    if (parser_accept(p, ')'))
        return true;
    do {
        struct ptx_variable variable = {.line = p->token.line, .scope = p->scope};
        struct ptx_variable *place;

        if (!parser_sees_space(p, &variable.space) || (variable.space != PTX_PARAM && variable.space != PTX_REG))
            return parser_fail(p, "expected .param or .reg");
        parser_advance(p);
        if (!parse_variable_type(p, &variable) || !parser_take_name(p, &variable.name) ||
            !parse_dimensions(p, &variable))
            return false;
        if (list->count >= 4096)
            return parser_fail(p, "too many parameters");
        place = ptx_array_add(&p->module->arena, list, sizeof *place);
        if (!place)
            return parser_fail(p, "out of memory");
        *place = variable;
    } while (parser_accept(p, ','));
    return parser_expect(p, ')');
}
