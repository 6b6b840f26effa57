/* SPDX-License-Identifier: MIT */
/* Values of options: reading and checking them by the table, and where they come from. */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gpuvchan/plugin.h>

#include "option_table.h"

char *
option_copy(const char *text)
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

int
option_unknown(const struct option_spec *table, const char *kind, const char *name, char *error)
{
    const char *words[OPTIONS_MAX + 1];
    const char *closest;
    size_t count = 0;

    for (const struct option_spec *spec = table; spec->name; spec++) {
        if (!(spec->flags & OPTION_COMMAND)) {
            words[count++] = spec->name;
        } else if (strcmp(spec->name, name) == 0) {
            snprintf(error, OPTIONS_ERROR, "'%s' is for the command line only", name);
            return -ENOENT;
        }
    }
    words[count] = NULL;
    closest = options_closest(name, words);
    snprintf(error, OPTIONS_ERROR, "unknown key '%s' in [%s]%s%s%s", name, kind, closest ? "; did you mean '" : "",
             closest ? closest : "", closest ? "'?" : "");
    return -ENOENT;
}

/* ---- Values ---------------------------------------------------------------------------------- */

void
text_list_clear(struct text_list *list)
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

void
text_list_add(struct text_list *list, const char *item)
{
    list_add(list, option_copy(item));
}

bool
text_list_has(const struct text_list *list, const char *item)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], item) == 0)
            return true;
    return false;
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
        return option_copy(path);
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
        return option_copy(address);
    whole = absolute(path);
    if (asprintf(&result, "%.*s%s", (int)(path - address), address, whole) < 0)
        abort();
    free(whole);
    return result;
}

int
option_check_text(const char *name, const char *value, char *error)
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
set_number(void *fields, const struct option_spec *spec, const char *value, char *error)
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
    *(int64_t *)option_field(fields, spec) = number;
    return 0;
}

static int
set_choice(void *fields, const struct option_spec *spec, const char *value, char *error)
{
    int used;

    for (int i = 0; spec->choices[i]; i++)
        if (strcmp(spec->choices[i], value) == 0) {
            *(int64_t *)option_field(fields, spec) = i;
            return 0;
        }
    used = snprintf(error, OPTIONS_ERROR, "%s: '%s' is none of", spec->name, value);
    for (int i = 0; spec->choices[i] && used < OPTIONS_ERROR; i++)
        used += snprintf(error + used, OPTIONS_ERROR - (size_t)used, "%s %s", i ? "," : "", spec->choices[i]);
    return -EINVAL;
}

static int
set_switch(void *fields, const struct option_spec *spec, const char *value, char *error)
{
    static const char *const words[] = {"no", "false", "off", "0", "yes", "true", "on", "1"};

    for (size_t i = 0; i < 8; i++)
        if (strcmp(words[i], value) == 0) {
            *(bool *)option_field(fields, spec) = i >= 4;
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
    char *text = option_copy(value), *rest = text, *word, *item;
    int result = 0;

    while (result == 0 && (word = strtok_r(rest, ", ", &rest))) {
        item = spec->type == OPTION_NAMES ? option_copy(word) : identity(spec, word);
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

static void
add_address(struct text_list *list, const char *value)
{
    char *address = absolute_address(value);

    if (text_list_has(list, address))
        free(address);
    else
        list_add(list, address);
}

static int
set_list(void *fields, const struct option_spec *spec, bool anew, const char *value, char *error)
{
    struct text_list *list = option_field(fields, spec);

    if (value[0] == '\0' && spec->type == OPTION_ADDRESSES) {
        snprintf(error, OPTIONS_ERROR, "%s: empty", spec->name);
        return -EINVAL;
    }
    if (anew || value[0] == '\0')
        text_list_clear(list);
    if (spec->type == OPTION_ADDRESSES)
        add_address(list, value);
    else if (spec->type != OPTION_PATHS)
        return add_words(list, spec, value, error);
    else if (value[0] != '\0')
        list_add(list, absolute(value));
    return 0;
}

int
option_set(void *fields, const struct option_spec *spec, uint8_t *from, const char *value, unsigned source, char *error)
{
    int result = option_check_text(spec->name, value, error);

    /* The command of --run goes into no file. */
    if (result != 0 && strcmp(spec->name, "run") != 0)
        return result;
    switch ((enum option_type)spec->type) {
    case OPTION_ALIAS:
        return -EINVAL; /* is resolved before */
    case OPTION_SWITCH:
        result = set_switch(fields, spec, value, error);
        break;
    case OPTION_NUMBER:
    case OPTION_SIZE:
    case OPTION_MODE:
        result = set_number(fields, spec, value, error);
        break;
    case OPTION_CHOICE:
        result = set_choice(fields, spec, value, error);
        break;
    case OPTION_NAMES:
    case OPTION_PATHS:
    case OPTION_ADDRESSES:
    case OPTION_USERS:
    case OPTION_GROUPS:
        result = set_list(fields, spec, *from != source, value, error);
        break;
    case OPTION_TEXT:
        replace(option_field(fields, spec), option_copy(value));
        result = 0;
        break;
    case OPTION_PATH:
        replace(option_field(fields, spec), absolute(value));
        break;
    }
    if (result == 0)
        *from = (uint8_t)source;
    return result;
}

int
options_set_spec(struct host_options *options, const struct option_spec *spec, const char *value, unsigned source,
                 char *error)
{
    char name[32];

    if (spec->type == OPTION_ALIAS) {
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(spec->standard, "="), spec->standard);
        value = strchr(spec->standard, '=') + 1;
        spec = option_find(name);
    }
    return option_set(options, spec, &options->source[spec - option_table], value, source, error);
}

int
options_set(struct host_options *options, const char *name, const char *value, unsigned source, char *error)
{
    const struct option_spec *spec = option_find(name);

    if (!spec || (source != SOURCE_COMMAND && (spec->flags & OPTION_COMMAND)))
        return option_unknown(option_table, "host", name, error);
    return options_set_spec(options, spec, value, source, error);
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
    return option_copy(GPUVCHAN_PLUGINDIR);
}

/* A Dom0's own mark: in a driver domain, nobody expects guests unless its administrator says so. */
static bool
is_dom0(void)
{
    char text[64] = "";
    FILE *file = fopen("/proc/xen/capabilities", "re");

    if (!file)
        return false;
    if (!fgets(text, sizeof(text), file))
        text[0] = '\0';
    fclose(file);
    return strstr(text, "control_d") != NULL;
}

static void
default_addresses(struct text_list *list)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char *address;

    if (geteuid() == 0 || !runtime || runtime[0] != '/')
        address = option_copy("/run/gpuvchan/host.sock");
    else if (asprintf(&address, "%s/gpuvchan/host.sock", runtime) < 0)
        abort();
    list_add(list, address);
    if (geteuid() == 0 && is_dom0())
        text_list_add(list, "xen:");
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
            options_set_spec(options, &option_table[i], option_table[i].standard, SOURCE_DEFAULT, error) != 0)
            abort();
    default_addresses(&options->addresses);
    list_add(&options->plugin_dirs, default_plugin_dir());
    if (plugin_dir && plugin_dir[0])
        options_set(options, "plugin-dir", plugin_dir, SOURCE_ENVIRONMENT, error);
    if (level) /* that of the library, which forgives a wrong one */
        options_set(options, "log-level", level, SOURCE_ENVIRONMENT, error);
}

void
option_clear(void *fields, const struct option_spec *table)
{
    for (const struct option_spec *spec = table; spec->name; spec++)
        switch ((enum option_type)spec->type) {
        case OPTION_TEXT:
        case OPTION_PATH:
            replace(option_field(fields, spec), NULL);
            break;
        case OPTION_NAMES:
        case OPTION_PATHS:
        case OPTION_ADDRESSES:
        case OPTION_USERS:
        case OPTION_GROUPS:
            text_list_clear(option_field(fields, spec));
            break;
        default:
            break;
        }
}

void
options_finish(struct host_options *options)
{
    option_clear(options, option_table);
    options_clear_sections(options);
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
