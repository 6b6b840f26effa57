/* SPDX-License-Identifier: MIT */
/* Options as text: the configuration as a file, and --help. */
#include <string.h>

#include <gpuvchan/gpuvchan.h>

#include "option_table.h"

void
option_number_text(const struct option_spec *spec, int64_t number, char *text, size_t bytes)
{
    static const char units[] = "TGMK";

    if (spec->type == OPTION_CHOICE) {
        snprintf(text, bytes, "%s", spec->choices[number]);
        return;
    }
    if (spec->type == OPTION_MODE) {
        snprintf(text, bytes, "%04llo", (unsigned long long)number);
        return;
    }
    for (unsigned i = 0; spec->type == OPTION_SIZE && i < 4; i++) {
        unsigned shift = 40 - 10 * i;

        if (number >> shift > 0 && ((number >> shift) << shift) == number) {
            snprintf(text, bytes, "%lld%c", (long long)(number >> shift), units[i]);
            return;
        }
    }
    snprintf(text, bytes, "%lld", (long long)number);
}

/* Prints @p text in lines of at most @p width characters, each further one behind @p indent. */
static void
wrap(FILE *file, const char *text, const char *indent, size_t width)
{
    size_t column = 0;

    while (*text) {
        size_t word = strcspn(text, " ");

        if (column > 0 && column + 1 + word > width) {
            fprintf(file, "\n%s", indent);
            column = 0;
        }
        column += (size_t)fprintf(file, "%s%.*s", column ? " " : "", (int)word, text);
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', file);
}

#define HELP_INDENT "                               "

static void
help_group(FILE *file, bool command)
{
    for (const struct option_spec *spec = option_table; spec->name; spec++) {
        bool with_default = spec->standard && spec->standard[0] && spec->argument;
        char left[64], text[512];

        if (command != ((spec->flags & OPTION_COMMAND) != 0))
            continue;
        snprintf(left, sizeof(left), "  %c%c%s --%s%s%s", spec->letter ? '-' : ' ', spec->letter ? spec->letter : ' ',
                 spec->letter ? "," : " ", spec->name, spec->argument ? "=" : "", spec->argument ? spec->argument : "");
        snprintf(text, sizeof(text), "%s%s%s%s", spec->help, with_default ? " (default: " : "",
                 with_default ? spec->standard : "", with_default ? ")" : "");
        fprintf(file, "%-30s%s", left, strlen(left) <= 30 ? " " : "\n" HELP_INDENT);
        wrap(file, text, HELP_INDENT, 49);
    }
}

void
options_help(FILE *file)
{
    fputs("Usage: gpuvchan-host [OPTIONS] [PLUGIN.key=value ...]\n"
          "                     [domain:NAME.key=value ...]\n\n"
          "Executes the GPU commands of guests, each guest process in a worker of its own.\n\n"
          "These may also stand in section [host] of a configuration file, as name = value,\n"
          "a plugin's settings in a section [plugin NAME], and what holds for one domain\n"
          "of Xen in a section [domain NAME]:\n",
          file);
    help_group(file, false);
    fputs("\nThese are for the command line only:\n", file);
    help_group(file, true);
    fputs("\nThe command line overrides the files. See gpuvchan-host(8).\n", file);
}

static void
print_value(const void *fields, const struct option_spec *spec, FILE *file)
{
    const struct text_list *list = option_field(fields, spec);
    char number[32];

    switch ((enum option_type)spec->type) {
    case OPTION_SWITCH:
        fprintf(file, "%s = %s\n", spec->name, *(bool *)option_field(fields, spec) ? "yes" : "no");
        break;
    case OPTION_NUMBER:
    case OPTION_SIZE:
    case OPTION_MODE:
    case OPTION_CHOICE:
        option_number_text(spec, *(int64_t *)option_field(fields, spec), number, sizeof(number));
        fprintf(file, "%s = %s\n", spec->name, number);
        break;
    case OPTION_NAMES:
    case OPTION_PATHS:
    case OPTION_ADDRESSES:
    case OPTION_USERS:
    case OPTION_GROUPS:
        if (list->count == 0)
            fprintf(file, "%s =\n", spec->name);
        for (size_t i = 0; i < list->count; i++)
            fprintf(file, "%s = %s\n", spec->name, list->items[i]);
        break;
    default:
        fprintf(file, "%s =%s%s\n", spec->name, **(char **)option_field(fields, spec) ? " " : "",
                *(char **)option_field(fields, spec));
    }
}

static void
dump_settings(const struct host_options *options, FILE *file)
{
    for (size_t i = 0; i < options->setting_count; i++) {
        const char *plugin = options->settings[i].plugin;
        bool seen = false;

        for (size_t k = 0; k < i; k++)
            seen |= strcmp(options->settings[k].plugin, plugin) == 0;
        if (seen)
            continue;
        fprintf(file, "\n[plugin %s]\n", plugin);
        for (size_t k = i; k < options->setting_count; k++)
            if (strcmp(options->settings[k].plugin, plugin) == 0)
                fprintf(file, "%s =%s%s\n", options->settings[k].key, *options->settings[k].value ? " " : "",
                        options->settings[k].value);
    }
}

static void
dump_domains(const struct host_options *options, FILE *file)
{
    for (size_t i = 0; i < options->domain_count; i++) {
        fprintf(file, "\n[domain %s]\n", options->domains[i].domain);
        for (size_t key = 0; key < DOMAIN_KEYS; key++)
            if (options->domains[i].source[key] != 0)
                print_value(&options->domains[i], &domain_table[key], file);
    }
}

void
options_dump(const struct host_options *options, FILE *file, bool comments)
{
    if (comments)
        fprintf(file, "# Configuration of gpuvchan-host %s\n\n", GPUVCHAN_VERSION);
    fputs("[host]\n", file);
    for (const struct option_spec *spec = option_table; spec->name; spec++) {
        if (spec->flags & OPTION_COMMAND)
            continue;
        if (comments) {
            fputs("\n# ", file);
            wrap(file, spec->help, "# ", 96);
        }
        print_value(options, spec, file);
    }
    dump_settings(options, file);
    dump_domains(options, file);
}

static bool
is_same_list(const struct text_list *a, const struct text_list *b)
{
    bool same = a->count == b->count;

    for (size_t i = 0; same && i < a->count; i++)
        same = strcmp(a->items[i], b->items[i]) == 0;
    return same;
}

static bool
is_same(const struct option_spec *spec, const void *a, const void *b)
{
    switch ((enum option_type)spec->type) {
    case OPTION_SWITCH:
        return *(const bool *)a == *(const bool *)b;
    case OPTION_MODE:
        return *(const int64_t *)a == *(const int64_t *)b;
    case OPTION_ADDRESSES:
        return is_same_list(a, b);
    default:
        return strcmp(*(char *const *)a, *(char *const *)b) == 0;
    }
}

void
options_compare_fixed(const struct host_options *old, const struct host_options *fresh, void (*visit)(const char *name))
{
    for (const struct option_spec *spec = option_table; spec->name; spec++)
        if ((spec->flags & OPTION_FIXED) && !is_same(spec, option_field(old, spec), option_field(fresh, spec)))
            visit(spec->name);
}
