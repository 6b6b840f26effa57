/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the parser share: ptx_token.c looks at tokens,
 * ptx_declaration.c reads variables and their values, ptx_parser.c the rest.
 * Functions that return bool give false with the log set.
 */
#ifndef SIM_PTX_PARSER_H
#define SIM_PTX_PARSER_H

#include "ptx.h"

struct parser {
    struct ptx_lexer lexer;
    struct ptx_token token; /* the one to look at next */
    struct ptx_module *module;
    struct ptx_log *log;
    struct ptx_function *function; /* NULL at module scope */
    uint32_t scope;
    unsigned int depth;
};

bool parser_fail(struct parser *p, const char *what);
void parser_advance(struct parser *p);
bool parser_sees(const struct parser *p, char c);
bool parser_accept(struct parser *p, char c);
bool parser_expect(struct parser *p, char c);
bool parser_is_text(const struct ptx_token *token, const char *text);
bool parser_sees_directive(const struct parser *p, const char *text);
bool parser_accept_directive(struct parser *p, const char *text);
bool parser_take_name(struct parser *p, uint32_t *name);
bool parser_take_integer(struct parser *p, uint64_t *value);
bool parser_skip_to(struct parser *p, char c);
void parser_skip_line(struct parser *p);
bool parser_skip_braces(struct parser *p);
bool parser_skip_parentheses(struct parser *p);
bool parser_sees_space(const struct parser *p, enum ptx_space *space);
bool parser_variables(struct parser *p, enum ptx_space space, enum ptx_linkage linkage, struct ptx_array *list);
bool parser_parameters(struct parser *p, struct ptx_array *list);

#endif
