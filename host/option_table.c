/* SPDX-License-Identifier: MIT */
/* The table of options. */
#include "option_table.h"

#include <string.h>

#include <gpuvchan/gpuvchan.h>

static const char *const log_choices[] = {"auto", "stderr", "syslog", "null", NULL};
static const char *const level_choices[] = {"error", "warning", "info", "debug", NULL};

#define AT(field) .offset = offsetof(struct host_options, field)
#define IN_DOMAIN(field) .offset = offsetof(struct domain_section, field)
#define ARENA_MIN 4096
#define ARENA_MAX (1ll << 40)
#define PROCESSES_MAX 65536
#define SPARES_MAX 64

const struct option_spec option_table[] = {
    {"help", 'h', OPTION_SWITCH, OPTION_COMMAND, AT(help), .help = "print this and exit"},
    {"version", 'V', OPTION_SWITCH, OPTION_COMMAND, AT(version), .help = "print the version and exit"},
    {"config", 'c', OPTION_PATHS, OPTION_COMMAND, AT(config), .argument = "FILE",
     .help = "read this file and no other; may repeat. Otherwise " GPUVCHAN_SYSCONFDIR
             "/gpuvchan/gpuvchan-host.conf and gpuvchan-host.d/*.conf beside it are read where they exist"},
    {"address", 'a', OPTION_ADDRESSES, OPTION_FIXED, AT(addresses), .argument = "ADDR",
     .help = "where guests connect; may repeat. A socket: PATH or local:PATH; guests in other domains of Xen: xen: "
             "or xen:/SERVICE"},
    {"socket-mode", 0, OPTION_MODE, OPTION_FIXED, AT(socket_mode), .argument = "MODE", .standard = "0660", .max = 0777,
     .help = "permissions of the socket, octal"},
    {"socket-group", 0, OPTION_TEXT, OPTION_FIXED, AT(socket_group), .argument = "GROUP", .standard = "",
     .help = "group that the socket belongs to; empty: the host's own"},
    {"allow-uids", 0, OPTION_USERS, 0, AT(allow_uids), .argument = "UID[,...]", .standard = "",
     .help = "users, by number or name, that may use the host; with allow-gids empty too: everyone who can open "
             "the socket"},
    {"allow-gids", 0, OPTION_GROUPS, 0, AT(allow_gids), .argument = "GID[,...]", .standard = "",
     .help = "groups, by number or name, whose members may use the host; the primary group of a process counts"},
    {"allow-domains", 0, OPTION_NAMES, 0, AT(allow_domains), .argument = "DOMAIN[,...]", .standard = "all",
     .help = "domains of Xen, by name, UUID or number, whose processes may use the host; all: every one"},
    {"max-processes", 0, OPTION_NUMBER, 0, AT(max_processes), .argument = "N", .standard = "64", .min = 1,
     .max = PROCESSES_MAX, .help = "guest processes that are served at a time"},
    {"max-processes-per-domain", 0, OPTION_NUMBER, 0, AT(max_domain_processes), .argument = "N", .standard = "16",
     .min = 1, .max = PROCESSES_MAX, .help = "processes of one domain of Xen that are served at a time"},
    {"max-arena", 0, OPTION_SIZE, 0, AT(max_arena), .argument = "SIZE", .standard = "64G", .min = ARENA_MIN,
     .max = ARENA_MAX, .help = "largest memory for bulk data that a guest process may share"},
    {"max-lanes", 0, OPTION_NUMBER, 0, AT(max_lanes), .argument = "N", .standard = "256", .min = 1,
     .max = GPUVCHAN_LANES_MAX, .help = "threads of a guest process that are served at a time"},
    {"spin-us", 0, OPTION_NUMBER, 0, AT(spin_us), .argument = "N", .standard = "50", .min = -1, .max = 1000000,
     .help = "microseconds that an idle lane spins before it sleeps; -1: never spin"},
    {"spare-workers", 0, OPTION_NUMBER, 0, AT(spare_workers), .argument = "N", .standard = "1", .max = SPARES_MAX,
     .help =
         "workers that wait for guests with their drivers started; 0: each starts when its guest comes. With --run: 0"},
    {"keep", 0, OPTION_SIZE, 0, AT(keep), .argument = "SIZE", .standard = "512M", .max = ARENA_MAX,
     .help = "memory for what guests' processes leave for the next ones of their domain or user, such as module "
             "images; 0: none"},
    {"plugin-dir", 'p', OPTION_PATHS, 0, AT(plugin_dirs), .argument = "DIR",
     .help = "folder with plugins; may repeat, the first that has a plugin wins"},
    {"plugins", 0, OPTION_NAMES, 0, AT(plugins), .argument = "NAME[,...]", .standard = "",
     .help = "plugins to offer, which must load; empty: all that are there and load"},
    {"user", 0, OPTION_TEXT, 0, AT(user), .argument = "USER", .standard = "",
     .help = "user that workers become once they share a guest's memory, with its groups; empty: the host's own"},
    {"group", 0, OPTION_TEXT, 0, AT(group), .argument = "GROUP", .standard = "",
     .help = "group that workers get then; empty: that of the user"},
    {"state-dir", 0, OPTION_PATH, OPTION_FIXED, AT(state_dir), .argument = "DIR", .standard = "",
     .help = "folder that tells a new host of the workers of one that died; empty: one beside the socket"},
    {"pidfile", 'P', OPTION_PATH, OPTION_FIXED, AT(pidfile), .argument = "FILE", .standard = "",
     .help = "file that holds the host's process number while guests can connect"},
    {"daemon", 'd', OPTION_SWITCH, OPTION_FIXED, AT(daemon), .standard = "no",
     .help = "serve in the background; the command returns when guests can connect"},
    {"foreground", 'f', OPTION_ALIAS, OPTION_COMMAND, .standard = "daemon=no",
     .help = "serve in the foreground, which is the default"},
    {"log", 0, OPTION_CHOICE, 0, AT(log), .argument = "WHERE", .standard = "auto", .choices = log_choices,
     .help = "auto, stderr, syslog or null; auto: syslog in the background, otherwise stderr"},
    {"log-level", 0, OPTION_CHOICE, 0, AT(log_level), .argument = "LEVEL", .standard = "info", .choices = level_choices,
     .help = "error, warning, info or debug"},
    {"verbose", 'v', OPTION_ALIAS, OPTION_COMMAND, .standard = "log-level=debug", .help = "as --log-level=debug"},
    {"trace", 0, OPTION_SWITCH, 0, AT(trace), .standard = "no", .help = "log every record that is executed"},
    {"run", 0, OPTION_TEXT, OPTION_COMMAND, AT(run), .argument = "COMMAND",
     .help = "run a shell command as a guest, at a private address unless --address is given; end with it and "
             "with its status"},
    {"exit-with-parent", 0, OPTION_SWITCH, OPTION_COMMAND, AT(exit_with_parent),
     .help = "stop when the process that started the host ends"},
    {"dump-config", 0, OPTION_SWITCH, OPTION_COMMAND, AT(dump_config),
     .help = "print the configuration in effect, as a file, and exit"},
    {"list-plugins", 0, OPTION_SWITCH, OPTION_COMMAND, AT(list_plugins), .help = "print the plugins found and exit"},
    {"dump-plugin", 0, OPTION_TEXT, OPTION_COMMAND, AT(dump_plugin), .argument = "NAME",
     .help = "print what is known of a plugin and exit"},
    {.name = NULL},
};

const struct option_spec domain_table[] = {
    [DOMAIN_ALLOW] = {"allow", 0, OPTION_SWITCH, 0, IN_DOMAIN(allow)},
    [DOMAIN_PLUGINS] = {"plugins", 0, OPTION_NAMES, 0, IN_DOMAIN(plugins)},
    [DOMAIN_MAX_PROCESSES] = {"max-processes", 0, OPTION_NUMBER, 0, IN_DOMAIN(max_processes), .min = 1,
                              .max = PROCESSES_MAX},
    [DOMAIN_MAX_ARENA] = {"max-arena", 0, OPTION_SIZE, 0, IN_DOMAIN(max_arena), .min = ARENA_MIN, .max = ARENA_MAX},
    [DOMAIN_MAX_LANES] = {"max-lanes", 0, OPTION_NUMBER, 0, IN_DOMAIN(max_lanes), .min = 1, .max = GPUVCHAN_LANES_MAX},
    [DOMAIN_KEYS] = {.name = NULL},
};

#define COUNT (sizeof(option_table) / sizeof(option_table[0]) - 1)
_Static_assert(COUNT <= OPTIONS_MAX && OPTIONS_MAX == sizeof(((struct host_options *)0)->source), "a source for each");

size_t
option_count(void)
{
    return COUNT;
}

const struct option_spec *
option_find(const char *name)
{
    for (size_t i = 0; i < COUNT; i++)
        if (strcmp(option_table[i].name, name) == 0)
            return &option_table[i];
    return NULL;
}
