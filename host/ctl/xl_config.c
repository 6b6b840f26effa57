/* SPDX-License-Identifier: MIT */
/* The configuration file of a domain: looking at it, and its line of PCI devices. */
#include "xl_config.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "files.h"

#define ADDRESS_LENGTH 12 /* of "0000:01:00.0" */

/* ---- Reading --------------------------------------------------------------------------------- */

/* Behind "NAME =" at the begin of a line, or NULL; goes on behind `from`. */
static const char *
find_setting(const char *from, const char *name)
{
    size_t length = strlen(name);

    for (const char *line = from; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *at = line + strspn(line, " \t");

        if (strncmp(at, name, length) != 0)
            continue;
        at += length;
        at += strspn(at, " \t");
        if (*at == '=')
            return at + 1;
    }
    return NULL;
}

/* Behind a text in quotes, or NULL if it does not end. */
static const char *
skip_text(const char *at)
{
    char quote = *at++;

    while (*at && *at != quote && *at != '\n')
        at += *at == '\\' && at[1] ? 2 : 1;
    return *at == quote ? at + 1 : NULL;
}

int
xl_config_value(const char *file, const char *name, char *value, size_t bytes)
{
    size_t all;
    char *text = file_text(file, &all);
    const char *at;

    value[0] = '\0';
    if (!text)
        return -errno;
    at = find_setting(text, name);
    if (at) {
        at += strspn(at, " \t\"'");
        snprintf(value, bytes, "%.*s", (int)strcspn(at, "\"' \t\n#;"), at);
    }
    free(text);
    return 0;
}

/* ---- The list -------------------------------------------------------------------------------- */

/* Whether a text of the list, between its quotes, is about one of ours. */
static bool
replaces(const char *const *entries, const char *text, size_t length)
{
    for (size_t i = 0; entries[i]; i++) {
        const char *address = entries[i];
        size_t skip = length >= ADDRESS_LENGTH - 5 && text[2] == ':' ? 5 : 0; /* the domain may be left out */

        if (skip && strncmp(address, "0000:", 5) != 0)
            continue;
        if (length >= ADDRESS_LENGTH - skip && strncasecmp(text, address + skip, ADDRESS_LENGTH - skip) == 0)
            return true;
    }
    return false;
}

/* Writes the texts of an old list that stay. Returns what is behind it, or NULL if it cannot be understood. */
static const char *
copy_list(FILE *out, const char *at, const char *const *entries, size_t *count)
{
    at += strspn(at, " \t");
    if (*at++ != '[')
        return NULL;
    while (*at && *at != ']') {
        const char *end;

        if (*at == '#') {
            at += strcspn(at, "\n");
        } else if (isspace((unsigned char)*at) || *at == ',') {
            at++;
        } else if ((*at != '\'' && *at != '"') || !(end = skip_text(at))) {
            return NULL;
        } else {
            if (!replaces(entries, at + 1, (size_t)(end - at) - 2))
                fprintf(out, "%s%.*s", (*count)++ ? ", " : "", (int)(end - at), at);
            at = end;
        }
    }
    return *at == ']' ? at + 1 : NULL;
}

static void
write_entries(FILE *out, const char *const *entries, size_t count)
{
    for (size_t i = 0; entries[i]; i++)
        fprintf(out, "%s'%s'", count + i ? ", " : "", entries[i]);
    fputc(']', out);
}

/* The new text, for free(), or NULL with the reason. */
static char *
edit(const char *text, const char *const *entries, char says[XL_SAYS])
{
    const char *at = find_setting(text, "pci"), *rest;
    size_t bytes, length = strlen(text), count = 0;
    char *edited = NULL;
    FILE *out = open_memstream(&edited, &bytes);

    if (!out)
        abort();
    if (!at) {
        fprintf(out, "%s%spci = [", text, length && text[length - 1] != '\n' ? "\n" : "");
        write_entries(out, entries, 0);
        fputc('\n', out);
        fclose(out);
        return edited;
    }
    fprintf(out, "%.*s [", (int)(at - text), text);
    rest = copy_list(out, at, entries, &count);
    if (rest) {
        write_entries(out, entries, count);
        fputs(rest, out);
    }
    fclose(out);
    if (rest && !find_setting(rest, "pci"))
        return edited;
    snprintf(says, XL_SAYS, "%s",
             rest ? "there are several lists of PCI devices (pci = [...])"
                  : "its list of PCI devices (pci = [...]) cannot be understood");
    free(edited);
    return NULL;
}

int
xl_config_add_pci(const char *file, const char *const *entries, bool *changed, char says[XL_SAYS])
{
    char *real = realpath(file, NULL), backup[PATH_MAX];
    struct stat status;
    char *text = NULL, *edited = NULL;
    size_t bytes;
    int error = -EINVAL;

    *changed = false;
    if (!real || stat(real, &status) != 0 || !(text = file_text(real, &bytes))) {
        error = -errno;
        snprintf(says, XL_SAYS, "%s", strerror(-error));
        goto free_name;
    }
    if (strlen(text) != bytes) {
        snprintf(says, XL_SAYS, "it is no text");
        goto free_text;
    }
    edited = edit(text, entries, says);
    if (!edited)
        goto free_text;
    error = 0;
    if (strcmp(edited, text) != 0) {
        snprintf(backup, sizeof(backup), "%.4000s.bak", real);
        error = file_replace(backup, text, bytes, status.st_mode & 07777);
        if (error == 0)
            error = file_replace(real, edited, strlen(edited), status.st_mode & 07777);
        *changed = error == 0;
        if (error != 0)
            snprintf(says, XL_SAYS, "%s", strerror(-error));
    }
    free(edited);
free_text:
    free(text);
free_name:
    free(real);
    return error;
}
