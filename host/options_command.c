/* SPDX-License-Identifier: MIT */
/* Options of the command line. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "option_table.h"

#define DOMAIN_PREFIX "domain:" /* no plugin's name has a colon */

static int
unknown(const char *name, char *error)
{
    const char *words[OPTIONS_MAX + 1];
    const char *closest;
    size_t count = option_count();

    for (size_t i = 0; i < count; i++)
        words[i] = option_table[i].name;
    words[count] = NULL;
    closest = options_closest(name, words);
    snprintf(error, OPTIONS_ERROR, "unknown option '--%s'%s%s%s", name, closest ? "; did you mean '--" : "",
             closest ? closest : "", closest ? "'?" : "");
    return -ENOENT;
}

/* The dot before the key in [@p text, @p equals): a domain's name may have dots, a plugin's key may. */
static const char *
find_dot(const char *text, const char *equals, bool last)
{
    const char *dot = NULL;

    for (const char *c = text; c < equals && (last || !dot); c++)
        if (*c == '.')
            dot = c;
    return dot;
}

static int
set_argument(struct host_options *options, const char *text, char *error)
{
    bool domain = strncmp(text, DOMAIN_PREFIX, strlen(DOMAIN_PREFIX)) == 0;
    const char *equals = strchr(text, '='), *begin = text + (domain ? strlen(DOMAIN_PREFIX) : 0);
    const char *dot = equals ? find_dot(begin, equals, domain) : NULL;
    char *name, *key;
    int result;

    if (!dot) {
        snprintf(error, OPTIONS_ERROR, "unexpected argument '%s': a %s", text,
                 domain ? "domain's setting looks like domain:NAME.key=value"
                        : "plugin's setting looks like PLUGIN.key=value");
        return -EINVAL;
    }
    name = strndup(begin, (size_t)(dot - begin));
    key = strndup(dot + 1, (size_t)(equals - dot - 1));
    if (!name || !key)
        abort();
    if (domain)
        result = options_set_domain(options, name, key, equals + 1, SOURCE_COMMAND, error);
    else
        result = options_set_plugin(options, name, key, equals + 1, SOURCE_COMMAND, "", error);
    free(name);
    free(key);
    return result;
}

static int
command_error(int code, char **argv, char *error)
{
    const char *word = argv[optind - 1];
    char name[64];

    if (code == ':') {
        snprintf(error, OPTIONS_ERROR, "option '%s' needs an argument", word);
    } else if (optopt > 0 && optopt < 256) {
        snprintf(error, OPTIONS_ERROR, "unknown option '-%c'", optopt);
    } else if (optopt >= 256) {
        snprintf(error, OPTIONS_ERROR, "option '--%s' takes no argument", option_table[optopt - 256].name);
    } else {
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
        return unknown(name, error);
    }
    return -EINVAL;
}

int
options_set_command(struct host_options *options, int argc, char **argv, char *error)
{
    struct option longs[OPTIONS_MAX + 1] = {0};
    char shorts[2 * OPTIONS_MAX + 3] = ":";
    char *letter = shorts + 1;
    int code, result = 0;

    for (size_t i = 0; i < option_count(); i++) {
        longs[i] = (struct option){option_table[i].name, option_table[i].argument ? required_argument : no_argument,
                                   NULL, 256 + (int)i};
        if (option_table[i].letter) {
            *letter++ = option_table[i].letter;
            if (option_table[i].argument)
                *letter++ = ':';
        }
    }
    opterr = 0;
    optind = 0;
    while (result == 0 && (code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        size_t i = (size_t)code - 256;

        if (code == '?' || code == ':')
            return command_error(code, argv, error);
        for (size_t k = 0; code < 256 && k < option_count(); k++)
            if (option_table[k].letter == code)
                i = k;
        result = options_set_spec(options, &option_table[i], option_table[i].argument ? optarg : "yes", SOURCE_COMMAND,
                                  error);
    }
    for (; result == 0 && optind < argc; optind++)
        result = set_argument(options, argv[optind], error);
    return result;
}
