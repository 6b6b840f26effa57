/* SPDX-License-Identifier: MIT */
/* Sections with a name: [plugin NAME] and [domain NAME]. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "option_table.h"

#define DOMAIN_NAME_MAX 40 /* what the name of a section has room for; a UUID has 36 characters */

/* ---- Plugins --------------------------------------------------------------------------------- */

static bool
is_word(const char *text, const char *also)
{
    const char *c = text;

    while (isalnum((unsigned char)*c) || (*c && strchr(also, *c)))
        c++;
    return c > text && *c == '\0' && strlen(text) < 40;
}

static void
setting_free(struct plugin_setting *setting)
{
    free(setting->plugin);
    free(setting->key);
    free(setting->value);
    free(setting->origin);
}

int
options_set_plugin(struct host_options *options, const char *plugin, const char *key, const char *value,
                   unsigned source, const char *origin, char *error)
{
    struct plugin_setting *settings;
    size_t kept = 0;

    if (!is_word(plugin, "_-")) {
        snprintf(error, OPTIONS_ERROR, "'%s' is no name of a plugin", plugin);
        return -EINVAL;
    }
    if (!is_word(key, "._-")) {
        snprintf(error, OPTIONS_ERROR, "'%s' is no name of a setting of plugin '%s'", key, plugin);
        return -EINVAL;
    }
    if (option_check_text(key, value, error) != 0)
        return -EINVAL;
    for (size_t i = 0; i < options->setting_count; i++) {
        struct plugin_setting *old = &options->settings[i];

        if (old->source < source && strcmp(old->plugin, plugin) == 0 && strcmp(old->key, key) == 0)
            setting_free(old);
        else
            options->settings[kept++] = *old;
    }
    options->setting_count = kept;
    settings = realloc(options->settings, (kept + 1) * sizeof(*settings));
    if (!settings)
        abort();
    settings[kept] =
        (struct plugin_setting){option_copy(plugin), option_copy(key), option_copy(value), option_copy(origin), source};
    options->settings = settings;
    options->setting_count = kept + 1;
    return 0;
}

/* ---- Domains --------------------------------------------------------------------------------- */

static bool
is_domain(const char *text)
{
    const char *c = text;

    while (isalnum((unsigned char)*c) || (*c && strchr("._+:@-", *c)))
        c++;
    return c > text && *c == '\0' && c - text <= DOMAIN_NAME_MAX;
}

static struct domain_section *
section_of(struct host_options *options, const char *domain)
{
    struct domain_section *grown;

    for (size_t i = 0; i < options->domain_count; i++)
        if (strcmp(options->domains[i].domain, domain) == 0)
            return &options->domains[i];
    grown = realloc(options->domains, (options->domain_count + 1) * sizeof(*grown));
    if (!grown)
        abort();
    options->domains = grown;
    grown += options->domain_count++;
    *grown = (struct domain_section){.domain = option_copy(domain), .allow = true};
    return grown;
}

int
options_set_domain(struct host_options *options, const char *domain, const char *key, const char *value,
                   unsigned source, char *error)
{
    const struct option_spec *spec = domain_table;
    struct domain_section *section;

    if (!is_domain(domain)) {
        snprintf(error, OPTIONS_ERROR,
                 "'%s' is no domain: up to %d of the characters a-z A-Z 0-9 . _ + : @ -; of another name, say its UUID",
                 domain, DOMAIN_NAME_MAX);
        return -EINVAL;
    }
    while (spec->name && strcmp(spec->name, key) != 0)
        spec++;
    if (!spec->name)
        return option_unknown(domain_table, "domain", key, error);
    section = section_of(options, domain);
    return option_set(section, spec, &section->source[spec - domain_table], value, source, error);
}

void
options_clear_sections(struct host_options *options)
{
    for (size_t i = 0; i < options->setting_count; i++)
        setting_free(&options->settings[i]);
    free(options->settings);
    for (size_t i = 0; i < options->domain_count; i++) {
        option_clear(&options->domains[i], domain_table);
        free(options->domains[i].domain);
    }
    free(options->domains);
}
