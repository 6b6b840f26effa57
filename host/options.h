/* SPDX-License-Identifier: MIT */
/*
 * Options of gpuvchan-host: one table of names, types, defaults and help, for the command line, the
 * configuration files, --help and --dump-config.
 *
 * Design notes
 *
 * A value comes from a source; a source with a higher number overrides one with a lower one. Lists grow
 * within a source and start anew with a higher one. Everything that can be said in a file can be said on
 * the command line under the same name, and the other way round unless the table says otherwise.
 */
#ifndef HOST_OPTIONS_H
#define HOST_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define OPTIONS_ERROR 512    /* bytes for a message */
#define OPTIONS_LINE_MAX 196 /* "name = value": what a line of a configuration file holds */

enum option_source {
    SOURCE_DEFAULT = 0,
    SOURCE_ENVIRONMENT = 1,
    SOURCE_FILE = 2, /* the first file; each further one counts one more */
    SOURCE_COMMAND = 255,
};

enum option_log {
    LOG_AUTO,
    LOG_STDERR,
    LOG_SYSLOG,
    LOG_NULL
};

struct text_list {
    char **items;
    size_t count;
};

/** A line of a [plugin NAME] section, or NAME.key=value of the command line. */
struct plugin_setting {
    char *plugin, *key, *value;
    char *origin; /* for messages: "FILE:LINE: " or "" */
    unsigned source;
};

/** The keys of a section [domain NAME]. */
enum domain_key {
    DOMAIN_ALLOW,
    DOMAIN_PLUGINS,
    DOMAIN_MAX_PROCESSES,
    DOMAIN_MAX_ARENA,
    DOMAIN_MAX_LANES,
    DOMAIN_KEYS
};

/** What a section [domain NAME] says of a Xen domain. Keys that it does not give are as in [host]. */
struct domain_section {
    char *domain; /* its name, UUID or number */
    bool allow;
    struct text_list plugins;
    int64_t max_processes, max_arena, max_lanes;
    uint8_t source[DOMAIN_KEYS]; /* 0: not given */
};

struct host_options {
    struct text_list addresses;
    int64_t socket_mode;
    char *socket_group;
    struct text_list plugin_dirs, plugins;
    struct text_list allow_uids, allow_gids; /* numbers, as text */
    struct text_list allow_domains;          /* names, UUIDs and numbers; "all" */
    int64_t max_processes, max_domain_processes, max_arena, max_lanes;
    int64_t spin_us;
    int64_t spare_workers;
    int64_t keep;
    char *user, *group; /* of workers; "": that of the host */
    char *state_dir;    /* "": beside the socket */
    char *pidfile;
    bool daemon;
    int64_t log;       /* enum option_log */
    int64_t log_level; /* see options_log_level() */
    bool trace;
    struct plugin_setting *settings;
    size_t setting_count;
    struct domain_section *domains;
    size_t domain_count;

    /* Of the command line alone. */
    struct text_list config;
    bool help, version, dump_config, list_plugins, exit_with_parent;
    char *dump_plugin;
    char *run;

    uint8_t source[48]; /* of each entry of the table */
};

/** Fills in defaults and what the environment says. */
void options_init(struct host_options *options);
void options_finish(struct host_options *options);

/**
 * Sets option @p name of section [host] from text. @return 0; -ENOENT: there is no such option;
 * -EINVAL: bad value. @p error (OPTIONS_ERROR bytes) then holds the reason.
 */
int options_set(struct host_options *options, const char *name, const char *value, unsigned source, char *error);

/** Adds a plugin's setting; @p origin as in struct plugin_setting. Errors as above. */
int options_set_plugin(struct host_options *options, const char *plugin, const char *key, const char *value,
                       unsigned source, const char *origin, char *error);

/** Sets a key of section [domain @p domain]. Errors as above. */
int options_set_domain(struct host_options *options, const char *domain, const char *key, const char *value,
                       unsigned source, char *error);

/** Reads a command line. Errors as above. */
int options_set_command(struct host_options *options, int argc, char **argv, char *error);

/** What contradicts each other. Errors as above. */
int options_check(const struct host_options *options, char *error);

/** Where the value of @p name came from. */
unsigned options_source(const struct host_options *options, const char *name);

/** The log level as enum gpuvchan_log_level. */
int options_log_level(const struct host_options *options);

/** Adds a copy of @p item. */
void text_list_add(struct text_list *list, const char *item);
bool text_list_has(const struct text_list *list, const char *item);
void text_list_clear(struct text_list *list);

/** Writes the configuration as a file; @p comments: with the help of each key. */
void options_dump(const struct host_options *options, FILE *file, bool comments);
void options_help(FILE *file);

/** Calls @p visit for each key that only a new start applies and that differs between the two. */
void options_compare_fixed(const struct host_options *old, const struct host_options *fresh,
                           void (*visit)(const char *name));

/** The word of @p words (NULL-terminated) that @p word was probably meant to be, or NULL. */
const char *options_closest(const char *word, const char *const *words);

#endif
