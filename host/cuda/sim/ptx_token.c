/* SPDX-License-Identifier: MIT */
/* Looking at tokens and skipping over them. */
#include "ptx_parser.h"

#include <string.h>

bool
parser_fail(struct parser *p, const char *what)
{
    int length = p->token.length > 40 ? 40 : (int)p->token.length;

    ptx_log_set(p->log, false, p->token.line, "%s at '%.*s'", what, length,
                p->token.kind == PTX_TOKEN_END ? "" : p->token.text);
    return false;
}

void
parser_advance(struct parser *p)
{
    ptx_lexer_next(&p->lexer, &p->token);
}

bool
parser_sees(const struct parser *p, char c)
{
    return p->token.kind == PTX_TOKEN_PUNCTUATION && p->token.punctuation == c;
}

bool
parser_accept(struct parser *p, char c)
{
    if (!parser_sees(p, c))
        return false;
    parser_advance(p);
    return true;
}

bool
parser_expect(struct parser *p, char c)
{
    char what[] = "expected 'x'";

    if (parser_accept(p, c))
        return true;
    what[10] = c;
    return parser_fail(p, what);
}

bool
parser_is_text(const struct ptx_token *token, const char *text)
{
    return strlen(text) == token->length && memcmp(token->text, text, token->length) == 0;
}

bool
parser_sees_directive(const struct parser *p, const char *text)
{
    return p->token.kind == PTX_TOKEN_DIRECTIVE && parser_is_text(&p->token, text);
}

bool
parser_accept_directive(struct parser *p, const char *text)
{
    if (!parser_sees_directive(p, text))
        return false;
    parser_advance(p);
    return true;
}

bool
parser_take_name(struct parser *p, uint32_t *name)
{
    if (p->token.kind != PTX_TOKEN_NAME)
        return parser_fail(p, "expected a name");
    *name = ptx_names_intern(&p->module->names, &p->module->arena, p->token.text, p->token.length);
    if (*name == PTX_NONE)
        return parser_fail(p, "out of memory");
    parser_advance(p);
    return true;
}

bool
parser_take_integer(struct parser *p, uint64_t *value)
{
    bool negative = parser_accept(p, '-');

    if (p->token.kind != PTX_TOKEN_INTEGER)
        return parser_fail(p, "expected an integer");
    *value = negative ? 0 - p->token.bits : p->token.bits;
    parser_advance(p);
    return true;
}

bool
parser_skip_to(struct parser *p, char c)
{
    while (!parser_sees(p, c)) {
        if (p->token.kind == PTX_TOKEN_END || p->token.kind == PTX_TOKEN_ERROR)
            return parser_fail(p, "unexpected end");
        parser_advance(p);
    }
    parser_advance(p);
    return true;
}

/* .loc and .file have no terminator but the end of their line. */
void
parser_skip_line(struct parser *p)
{
    unsigned int line = p->token.line;

    while (p->token.kind != PTX_TOKEN_END && p->token.line == line)
        parser_advance(p);
}

bool
parser_skip_braces(struct parser *p)
{
    unsigned int depth = 0;

    do {
        if (p->token.kind == PTX_TOKEN_END)
            return parser_fail(p, "unexpected end");
        depth += parser_sees(p, '{');
        depth -= parser_sees(p, '}');
        parser_advance(p);
    } while (depth);
    return true;
}

bool
parser_skip_parentheses(struct parser *p)
{
    unsigned int depth = 0;

    do {
        if (p->token.kind == PTX_TOKEN_END)
            return parser_fail(p, "unexpected end");
        depth += parser_sees(p, '(');
        depth -= parser_sees(p, ')');
        parser_advance(p);
    } while (depth);
    return true;
}
