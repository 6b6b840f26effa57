/* SPDX-License-Identifier: MIT */
#include "variables.h"

#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"

#define HEAP "malloc" /* what device code calls for it */

static int
add(struct cuda_variables *variables, const char *name, size_t length)
{
    if (variables->count == variables->room) {
        size_t room = variables->room ? variables->room * 2 : 16;
        char **grown = realloc(variables->names, room * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        variables->names = grown;
        variables->room = room;
    }
    variables->names[variables->count] = strndup(name, length);
    return variables->names[variables->count++] ? 0 : -ENOMEM;
}

/* ---- PTX ------------------------------------------------------------------------------------- */

/* A text with its place in it. */
struct text {
    const char *at, *end;
};

static bool
is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           c == '%';
}

static bool
begins(const struct text *text, const char *what)
{
    size_t bytes = strlen(what);

    return (size_t)(text->end - text->at) >= bytes && memcmp(text->at, what, bytes) == 0;
}

static void
pass_to(struct text *text, const char *what)
{
    while (text->at < text->end && !begins(text, what))
        text->at++;
    if (text->at < text->end)
        text->at += strlen(what);
}

/* The next word (a directive with its dot), or sign; its length, 0: the end. */
static size_t
token(struct text *text)
{
    const char *start;

    for (;;) {
        while (text->at < text->end && strchr(" \t\r\n\f\v", *text->at) && *text->at)
            text->at++;
        if (begins(text, "//"))
            pass_to(text, "\n");
        else if (begins(text, "/*"))
            pass_to(text, "*/");
        else
            break;
    }
    start = text->at;
    if (text->at == text->end || *text->at == '\0')
        return 0;
    if (*text->at == '"') {
        text->at++;
        pass_to(text, "\"");
    } else {
        text->at++;
        if (is_word(*start) || *start == '.')
            while (text->at < text->end && is_word(*text->at))
                text->at++;
    }
    return (size_t)(text->at - start);
}

static bool
is(const struct text *text, size_t length, const char *what)
{
    return strlen(what) == length && memcmp(text->at - length, what, length) == 0;
}

/* Behind .global or .const: the names up to the semicolon, without what initialises them. */
static int
declaration(struct text *text, struct cuda_variables *variables)
{
    unsigned depth = 0;
    bool named = false, number = false;
    int error = 0;

    for (size_t length; error == 0 && (length = token(text)) > 0;) {
        char first = text->at[-(ptrdiff_t)length];

        if (is(text, length, ";"))
            break;
        if (strchr("{[(", first))
            depth++;
        else if (strchr("}])", first))
            depth -= depth > 0;
        else if (depth == 0 && first == ',')
            named = false;
        else if (depth == 0 && !named && is_word(first) && !number) {
            error = add(variables, text->at - length, length);
            named = true;
        }
        number = is(text, length, ".align") || is(text, length, ".alignas");
    }
    return error;
}

static int
read_text(struct cuda_variables *variables, const unsigned char *data, size_t bytes)
{
    struct text text = {(const char *)data, (const char *)data + bytes};
    unsigned depth = 0;
    int error = 0;

    for (size_t length; error == 0 && (length = token(&text)) > 0;) {
        char first = text.at[-(ptrdiff_t)length];

        if (first == '{')
            depth++;
        else if (first == '}')
            depth -= depth > 0;
        else if (depth == 0 && (is(&text, length, ".global") || is(&text, length, ".const")))
            error = declaration(&text, variables);
        else if (is(&text, length, HEAP))
            variables->heap = true;
    }
    return error;
}

/* ---- Machine code ---------------------------------------------------------------------------- */

static bool
inside(uint64_t offset, uint64_t bytes, uint64_t all)
{
    return offset <= all && bytes <= all - offset;
}

static int
read_symbols(struct cuda_variables *variables, const unsigned char *data, const Elf64_Shdr *table,
             const Elf64_Shdr *names)
{
    int error = 0;

    for (uint64_t at = 0; error == 0 && table->sh_size - at >= sizeof(Elf64_Sym); at += sizeof(Elf64_Sym)) {
        const char *name;
        Elf64_Sym symbol;
        size_t length;

        memcpy(&symbol, data + table->sh_offset + at, sizeof(symbol));
        if (symbol.st_name >= names->sh_size)
            continue;
        name = (const char *)data + names->sh_offset + symbol.st_name;
        length = strnlen(name, (size_t)names->sh_size - symbol.st_name);
        if (length == names->sh_size - symbol.st_name || length == 0)
            continue;
        if (ELF64_ST_TYPE(symbol.st_info) == STT_OBJECT && symbol.st_shndx != SHN_UNDEF)
            error = add(variables, name, length);
        else if (strcmp(name, HEAP) == 0)
            variables->heap = true;
    }
    return error;
}

static int
read_code(struct cuda_variables *variables, const unsigned char *data, size_t bytes)
{
    Elf64_Ehdr header;
    int error = 0;

    if (bytes < sizeof(header) || memcmp(data, ELFMAG, SELFMAG) != 0)
        return -ENOTSUP;
    memcpy(&header, data, sizeof(header));
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_shentsize != sizeof(Elf64_Shdr) ||
        !inside(header.e_shoff, (uint64_t)header.e_shnum * sizeof(Elf64_Shdr), bytes))
        return -ENOTSUP;
    for (uint32_t i = 0; i < header.e_shnum && error == 0; i++) {
        Elf64_Shdr table, names;

        memcpy(&table, data + header.e_shoff + (size_t)i * sizeof(table), sizeof(table));
        if (table.sh_type != SHT_SYMTAB || table.sh_link >= header.e_shnum)
            continue;
        memcpy(&names, data + header.e_shoff + (size_t)table.sh_link * sizeof(names), sizeof(names));
        if (!inside(table.sh_offset, table.sh_size, bytes) || !inside(names.sh_offset, names.sh_size, bytes))
            return -EBADMSG;
        error = read_symbols(variables, data, &table, &names);
    }
    return error;
}

/* ---- Images ---------------------------------------------------------------------------------- */

static int
visit(void *context, const struct cuda_image_part *part)
{
    return part->text ? read_text(context, part->data, part->bytes) : read_code(context, part->data, part->bytes);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
leave_each_once(struct cuda_variables *variables)
{
    size_t kept = 0;

    if (variables->count > 0)
        qsort(variables->names, variables->count, sizeof(*variables->names), by_name);
    for (size_t i = 0; i < variables->count; i++)
        if (kept > 0 && strcmp(variables->names[kept - 1], variables->names[i]) == 0)
            free(variables->names[i]);
        else
            variables->names[kept++] = variables->names[i];
    variables->count = kept;
}

int
cuda_variables_read(const unsigned char *image, size_t bytes, struct cuda_variables *variables)
{
    int error;

    *variables = (struct cuda_variables){.names = NULL};
    error = cuda_image_visit(image, bytes, visit, variables);
    if (error == 0)
        leave_each_once(variables);
    else
        cuda_variables_finish(variables);
    return error;
}

void
cuda_variables_finish(struct cuda_variables *variables)
{
    for (size_t i = 0; i < variables->count; i++)
        free(variables->names[i]);
    free(variables->names);
    *variables = (struct cuda_variables){.names = NULL};
}
