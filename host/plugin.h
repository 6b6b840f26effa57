/* SPDX-License-Identifier: MIT */
/* Loads plugins, checks that they are what they say, and hands them their settings. */
#ifndef HOST_PLUGIN_H
#define HOST_PLUGIN_H

#include <gpuvchan/plugin.h>

#include "options.h"

struct host_plugin {
    struct gpuvchan_plugin api; /* a copy: what the plugin's size does not cover is NULL */
    char *path;
    void *library;
    bool loaded;
};

struct host_plugins {
    struct host_plugin *items;
    size_t count;
};

/** Names of all plugins in the folders, sorted, each once. NULL-terminated; free with plugin_names_free(). */
char **plugin_names(const struct host_options *options);
void plugin_names_free(char **names);

/**
 * Opens and checks plugin @p name without calling it. @return 0, -ENOENT: there is no such file, or
 * -EINVAL; @p error (OPTIONS_ERROR bytes) says why. plugin_close() takes it back.
 */
int plugin_open(const struct host_options *options, const char *name, struct host_plugin *plugin, char *error);

/**
 * Calls load, config for each of its settings, and config_complete. @return 0, -EINVAL: it cannot work here,
 * or -ENOTSUP: settings were given, and it does not accept them. @p error as above.
 */
int plugin_load(struct host_plugin *plugin, const struct host_options *options, char *error);

/** Calls unload where load succeeded, and closes the file. */
void plugin_close(struct host_plugin *plugin);

/**
 * Loads all plugins that are to be offered. Those that were asked for by name, and settings that are
 * given, must be right; of the others, what does not load is logged and left out. With @p tolerant
 * nothing is an error.
 * @return 0 or -EINVAL, logged.
 */
int plugins_load(struct host_plugins *plugins, const struct host_options *options, bool tolerant);
void plugins_unload(struct host_plugins *plugins);

/** Has them do beforehand what they can do without a guest. */
void plugins_warm(const struct host_plugins *plugins);

/** Tries plugins_load() in a process of its own, which may take 30 s. @return 0 or -EINVAL, logged. */
int plugins_check(const struct host_options *options);

/** --dump-plugin and --list-plugins. @return the exit status. */
int plugin_dump(const struct host_options *options, const char *name);
int plugins_list(const struct host_options *options);

#endif
