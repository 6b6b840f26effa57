/* SPDX-License-Identifier: MIT */
/*
 * The plugin loader.
 *
 * Design notes
 *
 * A plugin is trusted code, but may be broken or built for another version: each way to be so has its
 * own message. Plugins are loaded where they serve, in workers; the supervisor never has one in its
 * address space. At the start it has a child try them, so that a mistake is told to who starts the host
 * and not to the first guest.
 */
#include "plugin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_TIMEOUT_MS 30000

#define COVERS(plugin, field) ((plugin)->size >= offsetof(struct gpuvchan_plugin, field) + sizeof((plugin)->field))

/* ---- Finding --------------------------------------------------------------------------------- */

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool
is_name(const char *name)
{
    size_t bytes = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

    return bytes > 0 && bytes < 32 && name[bytes] == '\0';
}

static size_t
scan_folder(const char *folder, char ***names, size_t count)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        size_t bytes = strlen(entry->d_name);
        char **grown, *name;

        if (bytes < 4 || strcmp(entry->d_name + bytes - 3, ".so") != 0 || entry->d_name[0] == '.')
            continue;
        name = strndup(entry->d_name, bytes - 3);
        grown = realloc(*names, (count + 2) * sizeof(*grown));
        if (!name || !grown)
            abort();
        grown[count++] = name;
        *names = grown;
    }
    if (dir)
        closedir(dir);
    return count;
}

char **
plugin_names(const struct host_options *options)
{
    char **names = calloc(1, sizeof(*names));
    size_t count = 0, kept = 0;

    if (!names)
        abort();
    for (size_t i = 0; i < options->plugin_dirs.count; i++)
        count = scan_folder(options->plugin_dirs.items[i], &names, count);
    qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 0; i < count; i++)
        if (kept > 0 && strcmp(names[kept - 1], names[i]) == 0)
            free(names[i]);
        else
            names[kept++] = names[i];
    names[kept] = NULL;
    return names;
}

void
plugin_names_free(char **names)
{
    for (size_t i = 0; names && names[i]; i++)
        free(names[i]);
    free(names);
}

static char *
find_file(const struct host_options *options, const char *name)
{
    char *path;

    for (size_t i = 0; i < options->plugin_dirs.count; i++) {
        if (asprintf(&path, "%s/%s.so", options->plugin_dirs.items[i], name) < 0)
            abort();
        if (access(path, F_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

static int
not_found(const struct host_options *options, const char *name, char *error)
{
    char **names = plugin_names(options);
    const char *closest = options_closest(name, (const char *const *)names);
    int used = snprintf(error, OPTIONS_ERROR, "there is no plugin '%s' in", name);

    for (size_t i = 0; i < options->plugin_dirs.count && used < OPTIONS_ERROR; i++)
        used +=
            snprintf(error + used, OPTIONS_ERROR - (size_t)used, "%s %s", i ? "," : "", options->plugin_dirs.items[i]);
    if (closest && used < OPTIONS_ERROR)
        snprintf(error + used, OPTIONS_ERROR - (size_t)used, "; did you mean '%s'?", closest);
    plugin_names_free(names);
    return -ENOENT;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static const char *
missing_field(const struct gpuvchan_plugin *api)
{
    if (!api->name)
        return "name";
    if (!api->dispatch)
        return "dispatch";
    if (!api->open)
        return "open";
    return api->close ? NULL : "close";
}

static int
check_copy(const struct gpuvchan_plugin *api, const char *name, const char *path, char *error)
{
    const char *missing = missing_field(api);

    if (missing)
        snprintf(error, OPTIONS_ERROR, "%s: the plugin lacks the mandatory field '%s'", path, missing);
    else if (!is_name(api->name))
        snprintf(error, OPTIONS_ERROR, "%s: the plugin's name '%s' is not 1 to 31 of the characters a-z 0-9 _ -", path,
                 api->name);
    else if (strcmp(api->name, name) != 0)
        snprintf(error, OPTIONS_ERROR, "%s: the plugin calls itself '%s': rename the file to %s.so", path, api->name,
                 api->name);
    else if (!api->dispatch->protocol.name || !api->dispatch->entries || api->dispatch->protocol.entries == 0)
        snprintf(error, OPTIONS_ERROR, "%s: the plugin's dispatch table is empty", path);
    else if (strcmp(api->dispatch->protocol.name, name) != 0)
        snprintf(error, OPTIONS_ERROR, "%s: plugin '%s' serves a protocol of another name, '%s'", path, name,
                 api->dispatch->protocol.name);
    else if (!api->resume != !api->suspend)
        snprintf(error, OPTIONS_ERROR, "%s: the plugin has only one of suspend and resume", path);
    else
        return 0;
    return -EINVAL;
}

static int
take_copy(const struct gpuvchan_plugin *theirs, const char *name, struct host_plugin *plugin, char *error)
{
    size_t bytes;

    if (!theirs)
        snprintf(error, OPTIONS_ERROR, "%s: gpuvchan_plugin_entry() returned NULL", plugin->path);
    else if (!COVERS(theirs, api) || theirs->size > 65536)
        snprintf(error, OPTIONS_ERROR, "%s: the plugin's struct says a size of %zu bytes: use GPUVCHAN_PLUGIN_REGISTER",
                 plugin->path, theirs->size);
    else if (theirs->api > GPUVCHAN_PLUGIN_API)
        snprintf(error, OPTIONS_ERROR, "%s: the plugin needs plugin API %u, this host has %u: update gpuvchan-host",
                 plugin->path, theirs->api, GPUVCHAN_PLUGIN_API);
    else if (theirs->api < 1)
        snprintf(error, OPTIONS_ERROR, "%s: the plugin says plugin API %u, which never was", plugin->path, theirs->api);
    else {
        bytes = theirs->size < sizeof(plugin->api) ? theirs->size : sizeof(plugin->api);
        memset(&plugin->api, 0, sizeof(plugin->api));
        memcpy(&plugin->api, theirs, bytes);
        plugin->api.size = sizeof(plugin->api);
        return check_copy(&plugin->api, name, plugin->path, error);
    }
    return -EINVAL;
}

int
plugin_open(const struct host_options *options, const char *name, struct host_plugin *plugin, char *error)
{
    const struct gpuvchan_plugin *(*entry)(void);
    int result = -EINVAL;
    void *symbol;

    *plugin = (struct host_plugin){0};
    if (!is_name(name)) {
        snprintf(error, OPTIONS_ERROR, "'%s' is no name of a plugin: a-z 0-9 _ - only", name);
        return -EINVAL;
    }
    plugin->path = find_file(options, name);
    if (!plugin->path)
        return not_found(options, name, error);
    plugin->library = dlopen(plugin->path, RTLD_NOW | RTLD_LOCAL);
    if (!plugin->library) {
        snprintf(error, OPTIONS_ERROR, "%s", dlerror());
    } else if (!(symbol = dlsym(plugin->library, "gpuvchan_plugin_entry"))) {
        snprintf(error, OPTIONS_ERROR, "%s: not a plugin of gpuvchan: it has no symbol gpuvchan_plugin_entry",
                 plugin->path);
    } else {
        memcpy(&entry, &symbol, sizeof(entry));
        result = take_copy(entry(), name, plugin, error);
    }
    if (result != 0)
        plugin_close(plugin);
    return result;
}

void
plugin_close(struct host_plugin *plugin)
{
    if (plugin->loaded && plugin->api.unload)
        plugin->api.unload();
    if (plugin->library)
        dlclose(plugin->library);
    free(plugin->path);
    *plugin = (struct host_plugin){0};
}

/* ---- Loading --------------------------------------------------------------------------------- */

/* What a plugin's function failed with: it may have said more by gpuvchan_log() itself. */
static const char *
reason(int result)
{
    return result < 0 ? strerror(-result) : "it says no more";
}

static int
configure(const struct host_plugin *plugin, const struct plugin_setting *setting, char *error)
{
    const char *name = plugin->api.name, *help = plugin->api.config_help;
    int result;

    if (!plugin->api.config) {
        snprintf(error, OPTIONS_ERROR, "%splugin %s: takes no settings, but '%s' is given", setting->origin, name,
                 setting->key);
        return -EINVAL;
    }
    result = plugin->api.config(setting->key, setting->value);
    if (result == 0)
        return 0;
    if (result == -ENOENT)
        snprintf(error, OPTIONS_ERROR, "%splugin %s: unknown setting '%s'%s%s", setting->origin, name, setting->key,
                 help ? "; it has: " : "", help ? help : "");
    else
        snprintf(error, OPTIONS_ERROR, "%splugin %s: '%s = %s' is refused: %s", setting->origin, name, setting->key,
                 setting->value, reason(result));
    return -EINVAL;
}

int
plugin_load(struct host_plugin *plugin, const struct host_options *options, char *error)
{
    const char *name = plugin->api.name;
    bool configured = false;
    int result = plugin->api.load ? plugin->api.load() : 0;

    if (result != 0) {
        snprintf(error, OPTIONS_ERROR, "plugin %s: loading failed: %s", name, reason(result));
        return -EINVAL;
    }
    plugin->loaded = true;
    for (size_t i = 0; i < options->setting_count; i++) {
        if (strcmp(options->settings[i].plugin, name) != 0)
            continue;
        configured = true;
        if (configure(plugin, &options->settings[i], error) != 0)
            return -ENOTSUP;
    }
    result = plugin->api.config_complete ? plugin->api.config_complete() : 0;
    if (result != 0) {
        snprintf(error, OPTIONS_ERROR, "plugin %s: its configuration is not complete: %s", name, reason(result));
        return configured ? -ENOTSUP : -EINVAL;
    }
    return 0;
}

static bool
is_offered(const struct host_options *options, char *const *names, const char *name)
{
    for (size_t i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    for (size_t i = 0; i < options->plugins.count; i++)
        if (strcmp(options->plugins.items[i], name) == 0)
            return true;
    return false;
}

/* Settings of a plugin that is nowhere are a misspelling. */
static int
check_settings(const struct host_options *options, char *const *names)
{
    for (size_t i = 0; i < options->setting_count; i++) {
        const struct plugin_setting *setting = &options->settings[i];
        char error[OPTIONS_ERROR];

        if (is_offered(options, names, setting->plugin))
            continue;
        not_found(options, setting->plugin, error);
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "%s%s", setting->origin, error);
        return -EINVAL;
    }
    return 0;
}

static int
check_domains(const struct host_options *options, char *const *names)
{
    char error[OPTIONS_ERROR];

    for (size_t i = 0; i < options->domain_count; i++)
        for (size_t k = 0; k < options->domains[i].plugins.count; k++) {
            const char *name = options->domains[i].plugins.items[k];

            if (is_offered(options, names, name))
                continue;
            not_found(options, name, error);
            gpuvchan_log(GPUVCHAN_LOG_ERROR, "[domain %s]: %s", options->domains[i].domain, error);
            return -EINVAL;
        }
    return 0;
}

static int
load_one(struct host_plugins *plugins, const struct host_options *options, const char *name, char *error)
{
    struct host_plugin *grown = realloc(plugins->items, (plugins->count + 1) * sizeof(*grown));
    struct host_plugin *plugin;
    int result;

    if (!grown)
        abort();
    plugins->items = grown;
    plugin = &grown[plugins->count];
    result = plugin_open(options, name, plugin, error);
    if (result != 0)
        return result;
    result = plugin_load(plugin, options, error);
    if (result != 0)
        plugin_close(plugin);
    else
        plugins->count++;
    return result;
}

int
plugins_load(struct host_plugins *plugins, const struct host_options *options, bool tolerant)
{
    char **found = plugin_names(options);
    bool chosen = options->plugins.count > 0;
    int result = tolerant ? 0 : check_settings(options, found);
    char error[OPTIONS_ERROR];

    *plugins = (struct host_plugins){0};
    if (result == 0 && !tolerant)
        result = check_domains(options, found);
    for (size_t i = 0; result == 0 && (chosen ? i < options->plugins.count : found[i] != NULL); i++) {
        const char *name = chosen ? options->plugins.items[i] : found[i];
        int failed = load_one(plugins, options, name, error);
        bool fatal = !tolerant && (chosen || failed == -ENOTSUP);

        if (failed == 0)
            continue;
        gpuvchan_log(fatal ? GPUVCHAN_LOG_ERROR : GPUVCHAN_LOG_WARNING, "%s%s", error, fatal ? "" : "; not offered");
        if (fatal)
            result = -EINVAL;
    }
    plugin_names_free(found);
    if (result != 0)
        plugins_unload(plugins);
    return result;
}

void
plugins_unload(struct host_plugins *plugins)
{
    while (plugins->count > 0)
        plugin_close(&plugins->items[--plugins->count]);
    free(plugins->items);
    *plugins = (struct host_plugins){0};
}

void
plugins_warm(const struct host_plugins *plugins)
{
    for (size_t i = 0; i < plugins->count; i++)
        if (plugins->items[i].api.warm)
            plugins->items[i].api.warm();
}

static int
check_here(const struct host_options *options)
{
    struct host_plugins plugins;

    if (plugins_load(&plugins, options, false) != 0)
        return 1;
    if (plugins.count == 0)
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "no plugins to offer: there are none that load in %s%s",
                     options->plugin_dirs.count ? options->plugin_dirs.items[0] : "(no folder)",
                     options->plugin_dirs.count > 1 ? " and the other folders" : "");
    for (size_t i = 0; i < plugins.count; i++)
        gpuvchan_log(GPUVCHAN_LOG_INFO, "offers plugin %s %s (%s)", plugins.items[i].api.name,
                     plugins.items[i].api.version ? plugins.items[i].api.version : "", plugins.items[i].path);
    plugins_unload(&plugins);
    return 0;
}

int
plugins_check(const struct host_options *options)
{
    struct pollfd ended = {.events = POLLIN};
    pid_t pid;
    int status;

    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(check_here(options));
    }
    ended.fd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    if (ended.fd < 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "cannot start a process to try the plugins: %s", strerror(errno));
        if (pid > 0) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
        }
        return -EINVAL;
    }
    if (poll(&ended, 1, CHECK_TIMEOUT_MS) <= 0) {
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "the plugins took longer than %d s to load", CHECK_TIMEOUT_MS / 1000);
        kill(pid, SIGKILL);
    }
    close(ended.fd);
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "a plugin crashed while it was loaded: signal %d (%s)", WTERMSIG(status),
                     strsignal(WTERMSIG(status)));
    return status == 0 ? 0 : -EINVAL;
}

/* ---- Showing --------------------------------------------------------------------------------- */

static void
print_field(const char *key, const char *value)
{
    if (value)
        printf("%s=%s\n", key, value);
}

static void
print_entries(const struct gpuvchan_dispatch *dispatch)
{
    unsigned count = 0;

    for (uint32_t i = 0; i < dispatch->protocol.entries; i++)
        count += dispatch->entries[i].name != NULL;
    printf("entries=%u\n", count);
    for (uint32_t i = 0; i < dispatch->protocol.entries; i++)
        if (dispatch->entries[i].name)
            printf("entry_%u=%s\n", i, dispatch->entries[i].name);
}

/* A line per setting; continued lines would look like keys. */
static void
print_help(const char *help)
{
    while (help && *help) {
        size_t bytes = strcspn(help, "\n");

        if (bytes > 0)
            printf("config=%.*s\n", (int)bytes, help);
        help += bytes + (help[bytes] == '\n');
    }
}

int
plugin_dump(const struct host_options *options, const char *name)
{
    struct host_plugin plugin;
    char error[OPTIONS_ERROR];
    int result = plugin_open(options, name, &plugin, error);

    if (result == 0) {
        print_field("name", plugin.api.name);
        print_field("path", plugin.path);
        print_field("version", plugin.api.version);
        print_field("description", plugin.api.description);
        printf("api=%u\n", plugin.api.api);
        printf("protocol_version=%u\n", plugin.api.dispatch->protocol.version);
        printf("protocol_hash=%016llx\n", (unsigned long long)plugin.api.dispatch->protocol.hash);
        printf("suspend=%s\n", plugin.api.suspend ? "yes" : "no");
        print_entries(plugin.api.dispatch);
        print_help(plugin.api.config_help);
        result = plugin_load(&plugin, options, error);
        if (result == 0 && plugin.api.dump)
            plugin.api.dump();
        fflush(stdout);
        plugin_close(&plugin);
    }
    if (result != 0)
        gpuvchan_log(GPUVCHAN_LOG_ERROR, "%s", error);
    return result != 0;
}

int
plugins_list(const struct host_options *options)
{
    char **names = plugin_names(options);
    struct host_plugin plugin;
    char error[OPTIONS_ERROR];
    int broken = 0;

    for (size_t i = 0; names[i]; i++) {
        if (plugin_open(options, names[i], &plugin, error) != 0) {
            gpuvchan_log(GPUVCHAN_LOG_ERROR, "%s", error);
            broken = 1;
            continue;
        }
        printf("%-12s %-8s %s\n", plugin.api.name, plugin.api.version ? plugin.api.version : "-",
               plugin.api.description ? plugin.api.description : plugin.path);
        plugin_close(&plugin);
    }
    plugin_names_free(names);
    return broken;
}
