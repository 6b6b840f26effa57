/* SPDX-License-Identifier: MIT */
/*
 * PTX text to tokens. Reads only between at and end; the text needs no
 * terminator.
 */
#include "ptx.h"

#include <stdlib.h>
#include <string.h>

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c == '%';
}

static bool
is_name(char c)
{
    return is_name_start(c) || is_digit(c);
}

static int
hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static void
skip_space(struct ptx_lexer *lexer)
{
    while (lexer->at < lexer->end) {
        char c = *lexer->at;
        size_t left = (size_t)(lexer->end - lexer->at);

        if (c == '\n') {
            lexer->line++;
            lexer->at++;
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v') {
            lexer->at++;
        } else if (c == '/' && left > 1 && lexer->at[1] == '/') {
            while (lexer->at < lexer->end && *lexer->at != '\n')
                lexer->at++;
        } else if (c == '/' && left > 1 && lexer->at[1] == '*') {
            lexer->at += 2;
            while (lexer->end - lexer->at >= 2 && !(lexer->at[0] == '*' && lexer->at[1] == '/')) {
                lexer->line += *lexer->at == '\n';
                lexer->at++;
            }
            lexer->at = lexer->end - lexer->at >= 2 ? lexer->at + 2 : lexer->end;
        } else {
            return;
        }
    }
}

/* 0f3f800000 and 0d3ff0000000000000: the bits themselves. */
static bool
lex_float_bits(struct ptx_lexer *lexer, struct ptx_token *token)
{
    bool single = lexer->at[1] == 'f' || lexer->at[1] == 'F';
    unsigned int digits = single ? 8 : 16, i;

    if ((size_t)(lexer->end - lexer->at) < digits + 2)
        return false;
    token->bits = 0;
    for (i = 0; i < digits; i++) {
        int digit = hex_digit(lexer->at[2 + i]);

        if (digit < 0)
            return false;
        token->bits = token->bits << 4 | (unsigned int)digit;
    }
    lexer->at += digits + 2;
    token->kind = single ? PTX_TOKEN_FLOAT32 : PTX_TOKEN_FLOAT;
    return true;
}

static bool
lex_decimal_float(struct ptx_lexer *lexer, struct ptx_token *token)
{
    char text[64];
    size_t n = 0;
    double value;

    while (lexer->at + n < lexer->end && n < sizeof text - 1) {
        char c = lexer->at[n];

        if (!is_digit(c) && c != '.' && c != 'e' && c != 'E' &&
            !((c == '-' || c == '+') && n && (text[n - 1] | 32) == 'e'))
            break;
        text[n++] = c;
    }
    text[n] = '\0';
    value = strtod(text, NULL);
    memcpy(&token->bits, &value, sizeof value);
    lexer->at += n;
    token->kind = PTX_TOKEN_FLOAT;
    return true;
}

static bool
lex_integer(struct ptx_lexer *lexer, struct ptx_token *token)
{
    unsigned int base = 10;

    if (lexer->at[0] == '0' && lexer->end - lexer->at > 1) {
        char c = (char)(lexer->at[1] | 32);

        if (c == 'x' || c == 'b') {
            base = c == 'x' ? 16 : 2;
            lexer->at += 2;
        } else if (is_digit(lexer->at[1])) {
            base = 8;
        }
    }
    token->bits = 0;
    for (; lexer->at < lexer->end; lexer->at++) {
        int digit = hex_digit(*lexer->at);

        if (digit < 0 || (unsigned int)digit >= base)
            break;
        token->bits = token->bits * base + (unsigned int)digit;
    }
    if (lexer->at < lexer->end && *lexer->at == 'U')
        lexer->at++;
    token->kind = PTX_TOKEN_INTEGER;
    return true;
}

static bool
lex_number(struct ptx_lexer *lexer, struct ptx_token *token)
{
    const char *p = lexer->at;

    if (p[0] == '0' && lexer->end - p > 1 && ((p[1] | 32) == 'f' || (p[1] | 32) == 'd'))
        return lex_float_bits(lexer, token);
    if (p[0] == '0' && lexer->end - p > 1 && ((p[1] | 32) == 'x' || (p[1] | 32) == 'b'))
        return lex_integer(lexer, token);
    while (p < lexer->end && is_digit(*p))
        p++;
    if (p < lexer->end && (*p == '.' || (*p | 32) == 'e'))
        return lex_decimal_float(lexer, token);
    return lex_integer(lexer, token);
}

static void
lex_name(struct ptx_lexer *lexer, struct ptx_token *token)
{
    bool special = *lexer->at == '%';

    token->kind = PTX_TOKEN_NAME;
    while (lexer->at < lexer->end && is_name(*lexer->at))
        lexer->at++;
    /* %tid.x is one name */
    if (special && lexer->end - lexer->at >= 2 && lexer->at[0] == '.' && strchr("xyzw", lexer->at[1]) &&
        (lexer->end - lexer->at == 2 || !is_name(lexer->at[2])))
        lexer->at += 2;
}

static void
lex_string(struct ptx_lexer *lexer, struct ptx_token *token)
{
    token->text = ++lexer->at;
    while (lexer->at < lexer->end && *lexer->at != '"') {
        lexer->line += *lexer->at == '\n';
        lexer->at++;
    }
    token->kind = lexer->at < lexer->end ? PTX_TOKEN_STRING : PTX_TOKEN_ERROR;
    token->length = (size_t)(lexer->at - token->text);
    if (lexer->at < lexer->end)
        lexer->at++;
}

void
ptx_lexer_next(struct ptx_lexer *lexer, struct ptx_token *token)
{
    char c;

    skip_space(lexer);
    memset(token, 0, sizeof *token);
    token->line = lexer->line;
    token->text = lexer->at;
    if (lexer->at >= lexer->end || *lexer->at == '\0') {
        lexer->at = lexer->end;
        token->kind = PTX_TOKEN_END;
        return;
    }
    c = *lexer->at;
    if (c == '"') {
        lex_string(lexer, token);
        return;
    }
    if (is_digit(c)) {
        if (!lex_number(lexer, token)) {
            token->kind = PTX_TOKEN_ERROR;
            lexer->at++; /* every token moves on */
        }
    } else if (is_name_start(c)) {
        lex_name(lexer, token);
    } else if (c == '.' && lexer->end - lexer->at > 1 && is_name_start(lexer->at[1])) {
        lexer->at++;
        while (lexer->at < lexer->end && is_name(*lexer->at))
            lexer->at++;
        token->kind = PTX_TOKEN_DIRECTIVE;
    } else {
        token->kind = PTX_TOKEN_PUNCTUATION;
        token->punctuation = c;
        lexer->at++;
    }
    token->length = (size_t)(lexer->at - token->text);
}

void
ptx_lexer_extend_opcode(struct ptx_lexer *lexer, struct ptx_token *token)
{
    while (lexer->at < lexer->end && (is_name(*lexer->at) || *lexer->at == '.' || *lexer->at == ':'))
        lexer->at++;
    token->length = (size_t)(lexer->at - token->text);
}
