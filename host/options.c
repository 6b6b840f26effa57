/* SPDX-License-Identifier: MIT */
/* Values of options: reading and checking them by the table, and where they come from. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gpuvchan/plugin.h>

#include "option_table.h"

static char *
copy(const char *text)
{
    char *result = strdup(text);

    if (!result)
        abort();
    return result;
}

/* ---- Words that were meant ------------------------------------------------------------------- */

static size_t
distance(const char *a, const char *b)
{
    size_t row[64], n = strlen(b);

    if (n >= sizeof(row) / sizeof(row[0]))
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[n];
}

const char *
options_closest(const char *word, const char *const *words)
{
    size_t limit = strlen(word) / 3 + 1;
    const char *closest = NULL;

    for (; *words; words++) {
        size_t d = distance(word, *words);

        if (d <= limit) {
            limit = d;
            closest = *words;
            if (d > 0)
                limit = d - 1; /* of equals, the first */
        }
    }
    return closest;
}

static int
unknown(const char *kind, const char *name, bool command, char *error)
{
    const char *words[OPTIONS_MAX + 1];
    const char *closest;
    size_t count = 0;

    for (size_t i = 0; i < option_count(); i++)
        if (command || !(option_table[i].flags & OPTION_COMMAND))
            words[count++] = option_table[i].name;
    words[count] = NULL;
    closest = options_closest(name, words);
    if (command)
        snprintf(error, OPTIONS_ERROR, "unknown option '--%s'%s%s%s", name, closest ? "; did you mean '--" : "",
                 closest ? closest : "", closest ? "'?" : "");
    else if (option_find(name))
        snprintf(error, OPTIONS_ERROR, "'%s' is for the command line only", name);
    else
        snprintf(error, OPTIONS_ERROR, "unknown key '%s' in [%s]%s%s%s", name, kind, closest ? "; did you mean '" : "",
                 closest ? closest : "", closest ? "'?" : "");
    return -ENOENT;
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void
list_clear(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct text_list){0};
}

static void
list_add(struct text_list *list, char *item)
{
    char **items = realloc(list->items, (list->count + 1) * sizeof(*items));

    if (!items)
        abort();
    items[list->count++] = item;
    list->items = items;
}

static void
replace(char **text, char *value)
{
    free(*text);
    *text = value;
}

/* Relative paths mean the folder that the host was started in, also after it has left it. */
static char *
absolute(const char *path)
{
    static char folder[PATH_MAX];
    char *result;

    if (!folder[0] && !getcwd(folder, sizeof(folder)))
        folder[0] = '\0';
    if (path[0] == '\0' || path[0] == '/' || !folder[0])
        return copy(path);
    if (asprintf(&result, "%s/%s", folder, path) < 0)
        abort();
    return result;
}

static char *
absolute_address(const char *address)
{
    const char *path = strncmp(address, "local:", 6) == 0 ? address + 6 : address;
    char *whole, *result;

    if (path[0] == '/' || strchr(path, ':')) /* another transport's address is passed on as it is */
        return copy(address);
    whole = absolute(path);
    if (asprintf(&result, "%.*s%s", (int)(path - address), address, whole) < 0)
        abort();
    free(whole);
    return result;
}

/* A value must survive the way through a configuration file: that is how workers get it. */
static int
check_text(const char *name, const char *value, char *error)
{
    size_t bytes = strlen(value);

    for (size_t i = 0; i < bytes; i++)
        if (iscntrl((unsigned char)value[i]) || (value[i] == ';' && (i == 0 || isspace((unsigned char)value[i - 1])))) {
            snprintf(error, OPTIONS_ERROR, "%s: a value may not contain control characters or ' ;'", name);
            return -EINVAL;
        }
    if (bytes > 0 && (isspace((unsigned char)value[0]) || isspace((unsigned char)value[bytes - 1]))) {
        snprintf(error, OPTIONS_ERROR, "%s: a value may not begin or end with a blank", name);
        return -EINVAL;
    }
    if (strlen(name) + 3 + bytes > OPTIONS_LINE_MAX) {
        snprintf(error, OPTIONS_ERROR, "%s: the value is longer than %zu characters", name,
                 OPTIONS_LINE_MAX - 3 - strlen(name));
        return -EINVAL;
    }
    return 0;
}

static int
parse_number(const struct option_spec *spec, const char *value, int64_t *number)
{
    char *end;
    uint64_t bytes;

    if (spec->type == OPTION_SIZE) {
        if (gpuvchan_parse_size(value, &bytes) != 0 || bytes > INT64_MAX)
            return -EINVAL;
        *number = (int64_t)bytes;
    } else {
        errno = 0;
        *number = strtoll(value, &end, spec->type == OPTION_MODE ? 8 : 10);
        if (errno != 0 || end == value || *end != '\0' || isspace((unsigned char)value[0]))
            return -EINVAL;
    }
    return *number < spec->min || *number > spec->max ? -ERANGE : 0;
}

static int
set_number(struct host_options *options, const struct option_spec *spec, const char *value, char *error)
{
    static const char *const kinds[] = {
        [OPTION_NUMBER] = "a number", [OPTION_SIZE] = "a size", [OPTION_MODE] = "an octal mode"};
    char least[32], most[32];
    int64_t number;

    if (parse_number(spec, value, &number) != 0) {
        option_number_text(spec, spec->min, least, sizeof(least));
        option_number_text(spec, spec->max, most, sizeof(most));
        snprintf(error, OPTIONS_ERROR, "%s: '%s' is not %s from %s to %s", spec->name, value, kinds[spec->type], least,
                 most);
        return -EINVAL;
    }
    *(int64_t *)option_field(options, spec) = number;
    return 0;
}

static int
set_choice(struct host_options *options, const struct option_spec *spec, const char *value, char *error)
{
    int used;

    for (int i = 0; spec->choices[i]; i++)
        if (strcmp(spec->choices[i], value) == 0) {
            *(int64_t *)option_field(options, spec) = i;
            return 0;
        }
    used = snprintf(error, OPTIONS_ERROR, "%s: '%s' is none of", spec->name, value);
    for (int i = 0; spec->choices[i] && used < OPTIONS_ERROR; i++)
        used += snprintf(error + used, OPTIONS_ERROR - (size_t)used, "%s %s", i ? "," : "", spec->choices[i]);
    return -EINVAL;
}

static int
set_switch(struct host_options *options, const struct option_spec *spec, const char *value, char *error)
{
    static const char *const words[] = {"no", "false", "off", "0", "yes", "true", "on", "1"};

    for (size_t i = 0; i < 8; i++)
        if (strcmp(words[i], value) == 0) {
            *(bool *)option_field(options, spec) = i >= 4;
            return 0;
        }
    snprintf(error, OPTIONS_ERROR, "%s: '%s' is neither yes nor no", spec->name, value);
    return -EINVAL;
}

/* The number of a user or a group, as text; NULL: there is none. */
static char *
identity(const struct option_spec *spec, const char *word)
{
    const struct passwd *user;
    const struct group *group;
    unsigned long id;
    char *end, *text;

    errno = 0;
    id = strtoul(word, &end, 10);
    if (!isdigit((unsigned char)word[0]) || *end != '\0') {
        user = spec->type == OPTION_USERS ? getpwnam(word) : NULL;
        group = spec->type == OPTION_GROUPS ? getgrnam(word) : NULL;
        if (!user && !group)
            return NULL;
        id = user ? user->pw_uid : group->gr_gid;
    } else if (errno != 0 || id >= UINT32_MAX) {
        return NULL;
    }
    if (asprintf(&text, "%lu", id) < 0)
        abort();
    return text;
}

static int
add_words(struct text_list *list, const struct option_spec *spec, const char *value, char *error)
{
    char *text = copy(value), *rest = text, *word, *item;
    int result = 0;

    while (result == 0 && (word = strtok_r(rest, ", ", &rest))) {
        item = spec->type == OPTION_NAMES ? copy(word) : identity(spec, word);
        if (item) {
            list_add(list, item);
        } else {
            snprintf(error, OPTIONS_ERROR, "%s: there is no %s '%s'", spec->name,
                     spec->type == OPTION_USERS ? "user" : "group", word);
            result = -EINVAL;
        }
    }
    free(text);
    return result;
}

static int
set_list(struct host_options *options, const struct option_spec *spec, const char *value, unsigned source, char *error)
{
    struct text_list *list = option_field(options, spec);

    if (options->source[spec - option_table] != source || value[0] == '\0')
        list_clear(list);
    if (spec->type != OPTION_PATHS)
        return add_words(list, spec, value, error);
    if (value[0] != '\0')
        list_add(list, absolute(value));
    return 0;
}

static int
set(struct host_options *options, const struct option_spec *spec, const char *value, unsigned source, char *error)
{
    int result = check_text(spec->name, value, error);
    char name[32];

    /* The command of --run goes into no file. */
    if (result != 0 && strcmp(spec->name, "run") != 0)
        return result;
    switch ((enum option_type)spec->type) {
    case OPTION_ALIAS:
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(spec->standard, "="), spec->standard);
        return set(options, option_find(name), strchr(spec->standard, '=') + 1, source, error);
    case OPTION_SWITCH:
        result = set_switch(options, spec, value, error);
        break;
    case OPTION_NUMBER:
    case OPTION_SIZE:
    case OPTION_MODE:
        result = set_number(options, spec, value, error);
        break;
    case OPTION_CHOICE:
        result = set_choice(options, spec, value, error);
        break;
    case OPTION_NAMES:
    case OPTION_PATHS:
    case OPTION_USERS:
    case OPTION_GROUPS:
        result = set_list(options, spec, value, source, error);
        break;
    case OPTION_TEXT:
        replace(option_field(options, spec), copy(value));
        result = 0;
        break;
    case OPTION_PATH:
        replace(option_field(options, spec), absolute(value));
        break;
    case OPTION_ADDRESS:
        if (value[0] == '\0') {
            snprintf(error, OPTIONS_ERROR, "%s: empty", spec->name);
            return -EINVAL;
        }
        replace(option_field(options, spec), absolute_address(value));
        break;
    }
    if (result == 0)
        options->source[spec - option_table] = (uint8_t)source;
    return result;
}

int
options_set(struct host_options *options, const char *name, const char *value, unsigned source, char *error)
{
    const struct option_spec *spec = option_find(name);

    if (!spec || (source != SOURCE_COMMAND && (spec->flags & OPTION_COMMAND)))
        return unknown("host", name, false, error);
    return set(options, spec, value, source, error);
}

/* ---- Settings of plugins --------------------------------------------------------------------- */

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
    if (check_text(key, value, error) != 0)
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
    settings[kept] = (struct plugin_setting){copy(plugin), copy(key), copy(value), copy(origin), source};
    options->settings = settings;
    options->setting_count = kept + 1;
    return 0;
}

/* ---- Defaults -------------------------------------------------------------------------------- */

/* Also where the programs lie in a build tree or were moved as a whole: ../lib beside the binary's folder. */
static char *
default_plugin_dir(void)
{
    char path[PATH_MAX];
    ssize_t bytes = readlink("/proc/self/exe", path, sizeof(path) - 40);
    char *slash;

    if (bytes > 0) {
        path[bytes] = '\0';
        slash = strrchr(path, '/');
        strcpy(slash, "/../lib/gpuvchan/plugins");
        if (access(path, R_OK | X_OK) == 0 && (slash = realpath(path, NULL)))
            return slash;
    }
    return copy(GPUVCHAN_PLUGINDIR);
}

static char *
default_address(void)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char *result;

    if (geteuid() == 0)
        return copy("/run/gpuvchan/host.sock");
    if (runtime && runtime[0] == '/') {
        if (asprintf(&result, "%s/gpuvchan/host.sock", runtime) < 0)
            abort();
        return result;
    }
    return copy("/run/gpuvchan/host.sock");
}

void
options_init(struct host_options *options)
{
    const char *plugin_dir = getenv("GPUVCHAN_PLUGIN_DIR");
    const char *level = getenv("GPUVCHAN_LOG");
    char error[OPTIONS_ERROR];

    *options = (struct host_options){0};
    for (size_t i = 0; i < option_count(); i++)
        if (option_table[i].standard && option_table[i].type != OPTION_ALIAS &&
            set(options, &option_table[i], option_table[i].standard, SOURCE_DEFAULT, error) != 0)
            abort();
    options->address = default_address();
    list_add(&options->plugin_dirs, default_plugin_dir());
    if (plugin_dir && plugin_dir[0])
        options_set(options, "plugin-dir", plugin_dir, SOURCE_ENVIRONMENT, error);
    if (level) /* that of the library, which forgives a wrong one */
        options_set(options, "log-level", level, SOURCE_ENVIRONMENT, error);
}

void
options_finish(struct host_options *options)
{
    for (size_t i = 0; i < option_count(); i++)
        switch ((enum option_type)option_table[i].type) {
        case OPTION_TEXT:
        case OPTION_PATH:
        case OPTION_ADDRESS:
            replace(option_field(options, &option_table[i]), NULL);
            break;
        case OPTION_NAMES:
        case OPTION_PATHS:
        case OPTION_USERS:
        case OPTION_GROUPS:
            list_clear(option_field(options, &option_table[i]));
            break;
        default:
            break;
        }
    for (size_t i = 0; i < options->setting_count; i++)
        setting_free(&options->settings[i]);
    free(options->settings);
    *options = (struct host_options){0};
}

unsigned
options_source(const struct host_options *options, const char *name)
{
    return options->source[option_find(name) - option_table];
}

int
options_log_level(const struct host_options *options)
{
    static const int levels[] = {GPUVCHAN_LOG_ERROR, GPUVCHAN_LOG_WARNING, GPUVCHAN_LOG_INFO, GPUVCHAN_LOG_DEBUG};

    return levels[options->log_level];
}

int
options_check(const struct host_options *options, char *error)
{
    const char *with = options->run ? "--run" : options->exit_with_parent ? "--exit-with-parent" : NULL;

    if (options->daemon && with) {
        snprintf(error, OPTIONS_ERROR, "%s needs the foreground: it cannot go with daemon", with);
        return -EINVAL;
    }
    return 0;
}

/* ---- Command line ---------------------------------------------------------------------------- */

static int
set_argument(struct host_options *options, const char *text, char *error)
{
    const char *equals = strchr(text, '='), *dot = strchr(text, '.');
    char *plugin, *key;
    int result;

    if (!equals || !dot || dot > equals) {
        snprintf(error, OPTIONS_ERROR, "unexpected argument '%s': a plugin's setting looks like PLUGIN.key=value",
                 text);
        return -EINVAL;
    }
    plugin = strndup(text, (size_t)(dot - text));
    key = strndup(dot + 1, (size_t)(equals - dot - 1));
    if (!plugin || !key)
        abort();
    result = options_set_plugin(options, plugin, key, equals + 1, SOURCE_COMMAND, "", error);
    free(plugin);
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
        return unknown("", name, true, error);
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
        result = set(options, &option_table[i], option_table[i].argument ? optarg : "yes", SOURCE_COMMAND, error);
    }
    for (; result == 0 && optind < argc; optind++)
        result = set_argument(options, argv[optind], error);
    return result;
}
