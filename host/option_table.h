/* SPDX-License-Identifier: MIT */
/* The table of options, for the files that read and print by it. */
#ifndef HOST_OPTION_TABLE_H
#define HOST_OPTION_TABLE_H

#include "options.h"

enum option_type {
    OPTION_SWITCH, /* bool; yes or no in files, no argument on the command line */
    OPTION_ALIAS,  /* stands for another option with a value */
    OPTION_TEXT,
    OPTION_PATH,    /* made absolute */
    OPTION_ADDRESS, /* a path, or local:PATH */
    OPTION_NAMES,   /* list, separated by commas */
    OPTION_PATHS,   /* list, one a time */
    OPTION_USERS,   /* list of names and numbers */
    OPTION_GROUPS,
    OPTION_NUMBER,
    OPTION_SIZE,
    OPTION_MODE, /* octal */
    OPTION_CHOICE,
};

enum option_flag {
    OPTION_COMMAND = 1, /* command line only */
    OPTION_FIXED = 2,   /* a running host does not change it */
};

struct option_spec {
    const char *name;
    char letter;
    uint8_t type, flags;
    size_t offset;
    const char *argument; /* in --help */
    const char *standard; /* default; of an alias: "name=value" */
    int64_t min, max;
    const char *const *choices;
    const char *help;
};

#define OPTIONS_MAX 48

/* In the order of --help and --dump-config; a name of NULL ends it. */
extern const struct option_spec option_table[];

/* How many there are. */
size_t option_count(void);

/** The entry of that name, or NULL. */
const struct option_spec *option_find(const char *name);

/* Its place in struct host_options. */
static inline void *
option_field(const struct host_options *options, const struct option_spec *spec)
{
    return (char *)(uintptr_t)options + spec->offset;
}

/** A number as a file has it. */
void option_number_text(const struct option_spec *spec, int64_t number, char *text, size_t bytes);

#endif
