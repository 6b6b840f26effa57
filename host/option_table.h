/* SPDX-License-Identifier: MIT */
/* The table of options, for the files that read and print by it. */
#ifndef HOST_OPTION_TABLE_H
#define HOST_OPTION_TABLE_H

#include "options.h"

enum option_type {
    OPTION_SWITCH, /* bool; yes or no in files, no argument on the command line */
    OPTION_ALIAS,  /* stands for another option with a value */
    OPTION_TEXT,
    OPTION_PATH,      /* made absolute */
    OPTION_NAMES,     /* list, separated by commas */
    OPTION_PATHS,     /* list, one a time */
    OPTION_ADDRESSES, /* list, one a time: a path, local:PATH, or what another transport calls its places */
    OPTION_USERS,     /* list of names and numbers */
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
    size_t offset;        /* in struct host_options, or struct domain_section */
    const char *argument; /* in --help */
    const char *standard; /* default; of an alias: "name=value" */
    int64_t min, max;
    const char *const *choices;
    const char *help;
};

#define OPTIONS_MAX 48

/* In the order of --help and --dump-config; a name of NULL ends it. */
extern const struct option_spec option_table[];

/* The keys of a section [domain NAME], by enum domain_key. */
extern const struct option_spec domain_table[];

/* How many there are. */
size_t option_count(void);

/** The entry of that name, or NULL. */
const struct option_spec *option_find(const char *name);

/* Its place in @p fields, a struct host_options or struct domain_section. */
static inline void *
option_field(const void *fields, const struct option_spec *spec)
{
    return (char *)(uintptr_t)fields + spec->offset;
}

/**
 * Sets a field of @p fields from text. *@p from is where its value came from so far. @return 0 or -EINVAL,
 * with the reason in @p error.
 */
int option_set(void *fields, const struct option_spec *spec, uint8_t *from, const char *value, unsigned source,
               char *error);

/** As option_set(), for an entry of option_table, which may be an alias. */
int options_set_spec(struct host_options *options, const struct option_spec *spec, const char *value, unsigned source,
                     char *error);

/** Frees the sections with a name. */
void options_clear_sections(struct host_options *options);

/** Says that @p kind has no key @p name in @p table, and which was probably meant. @return -ENOENT. */
int option_unknown(const struct option_spec *table, const char *kind, const char *name, char *error);

/** A value must survive the way through a configuration file: that is how workers get it. @return 0 or -EINVAL. */
int option_check_text(const char *name, const char *value, char *error);

/** Frees the texts and lists in @p fields. */
void option_clear(void *fields, const struct option_spec *table);

/** @return a copy on the heap; never NULL. */
char *option_copy(const char *text);

/** A number as a file has it. */
void option_number_text(const struct option_spec *spec, int64_t number, char *text, size_t bytes);

#endif
