/* SPDX-License-Identifier: MIT */
/*
 * Configuration files in INI form: a [host] section with the names of the long options, a section
 * [plugin NAME] for each plugin's own settings, and [domain NAME] for what holds for that one. The first error ends the reading, with its file and line.
 */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ini.h>

#define CONFIG_FILE GPUVCHAN_SYSCONFDIR "/gpuvchan/gpuvchan-host.conf"
#define CONFIG_FOLDER GPUVCHAN_SYSCONFDIR "/gpuvchan/gpuvchan-host.d"

struct reading {
    struct host_options *options;
    FILE *file;
    const char *name;
    unsigned source;
    int line;
    int failed; /* the line of the first error, 0: none */
    char *error;
};

static int
fail(struct reading *reading, const char *reason)
{
    reading->failed = reading->line;
    snprintf(reading->error, OPTIONS_ERROR, "%s:%d: %.400s", reading->name, reading->line, reason);
    return 0;
}

/* The name in "KIND NAME", or NULL. */
static const char *
name_in(const char *section, const char *kind)
{
    size_t bytes = strlen(kind);

    if (strncmp(section, kind, bytes) != 0 || !isblank((unsigned char)section[bytes]))
        return NULL;
    section += bytes;
    return section + strspn(section, " \t");
}

/* Sections are checked here already: the library tells of them only with their first key. */
static int
check_section(struct reading *reading, const char *line)
{
    static const char *const sections[] = {"host", "plugin", "domain", NULL};
    char section[48], reason[160];
    const char *end = strchr(line, ']'), *closest;

    if (!end || end - line - 1 >= (long)sizeof(section))
        return fail(reading, "a section looks like [host], [plugin NAME] or [domain NAME]");
    snprintf(section, sizeof(section), "%.*s", (int)(end - line - 1), line + 1);
    if (strcmp(section, "host") == 0 || name_in(section, "plugin") || name_in(section, "domain"))
        return 1;
    closest = options_closest(section, sections);
    if (closest)
        snprintf(reason, sizeof(reason), "unknown section [%s]; did you mean [%s%s]?", section, closest,
                 strcmp(closest, "host") != 0 ? " NAME" : "");
    else
        snprintf(reason, sizeof(reason), "unknown section [%s]", section);
    return fail(reading, reason);
}

/*
 * Called for each line: counts them, and keeps from the library what it would misread: lines that it
 * would cut, and blanks at the beginning, which it takes for a continuation of the line before.
 */
static char *
next_line(char *buffer, int bytes, void *stream)
{
    struct reading *reading = stream;
    char *line = NULL, *start;
    size_t room = 0;
    ssize_t length;

    if (reading->failed || (length = getline(&line, &room, reading->file)) < 0) {
        free(line);
        return NULL;
    }
    reading->line++;
    start = line + strspn(line, " \t");
    length -= start - line;
    while (length > 0 && isspace((unsigned char)start[length - 1]))
        length--;
    buffer[0] = '\0';
    if (*start == '#' || *start == ';')
        length = 0;
    if (length > OPTIONS_LINE_MAX || length >= bytes)
        fail(reading, "the line is too long");
    else if (memchr(start, '\0', (size_t)length))
        fail(reading, "there is a NUL character");
    else if (start[0] != '[' || check_section(reading, start))
        memcpy(buffer, start, (size_t)length);
    if (reading->failed)
        length = 0;
    buffer[length] = '\0';
    free(line);
    return buffer;
}

static int
take_value(void *user, const char *section, const char *key, const char *value)
{
    struct reading *reading = user;
    const char *plugin = name_in(section, "plugin"), *domain = name_in(section, "domain");
    char error[OPTIONS_ERROR], origin[OPTIONS_ERROR];
    int result;

    if (reading->failed)
        return 0;
    if (section[0] == '\0')
        return fail(reading, "a key before the first section; begin with [host]");
    snprintf(origin, sizeof(origin), "%s:%d: ", reading->name, reading->line);
    if (plugin)
        result = options_set_plugin(reading->options, plugin, key, value, reading->source, origin, error);
    else if (domain)
        result = options_set_domain(reading->options, domain, key, value, reading->source, error);
    else
        result = options_set(reading->options, key, value, reading->source, error);
    return result == 0 ? 1 : fail(reading, error);
}

static int
read_stream(struct host_options *options, FILE *file, const char *name, unsigned source, char *error)
{
    struct reading reading = {options, file, name, source, 0, 0, error};
    int line = ini_parse_stream(next_line, &reading, take_value, &reading);

    /* The library goes on behind a line that it cannot read, and returns the first. */
    if (line > 0 && (!reading.failed || line < reading.failed))
        snprintf(error, OPTIONS_ERROR, "%s:%d: neither 'key = value' nor [section] nor # comment", name, line);
    else if (line < 0 || ferror(file))
        snprintf(error, OPTIONS_ERROR, "%s: cannot be read", name);
    else if (!reading.failed)
        return 0;
    return -EINVAL;
}

static int
read_file(struct host_options *options, const char *name, unsigned source, char *error)
{
    FILE *file = fopen(name, "re");
    struct stat status;
    int result = -EINVAL;

    if (!file) {
        snprintf(error, OPTIONS_ERROR, "%s: %s", name, strerror(errno));
        return -EINVAL;
    }
    if (fstat(fileno(file), &status) == 0 && S_ISDIR(status.st_mode))
        snprintf(error, OPTIONS_ERROR, "%s: is a folder", name);
    else
        result = read_stream(options, file, name, source, error);
    fclose(file);
    return result;
}

static int
is_conf(const struct dirent *entry)
{
    size_t bytes = strlen(entry->d_name);

    return entry->d_name[0] != '.' && bytes > 5 && strcmp(entry->d_name + bytes - 5, ".conf") == 0;
}

static int
read_standard_files(struct host_options *options, char *error)
{
    struct dirent **entries;
    unsigned source = SOURCE_FILE;
    char name[512];
    int result = 0, count;

    if (access(CONFIG_FILE, F_OK) == 0)
        result = read_file(options, CONFIG_FILE, source++, error);
    count = scandir(CONFIG_FOLDER, &entries, is_conf, alphasort);
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), CONFIG_FOLDER "/%s", entries[i]->d_name);
        free(entries[i]);
        if (result == 0)
            result = read_file(options, name, source < SOURCE_COMMAND - 1 ? source++ : source, error);
    }
    if (count >= 0)
        free(entries);
    return result;
}

int
config_read(struct host_options *options, int argc, char **argv, char *error)
{
    struct host_options command;
    int result;

    /* The command line comes last but says which files to read: it is read twice. */
    options_init(options);
    options_init(&command);
    result = options_set_command(&command, argc, argv, error);
    if (result == 0 && !command.help && !command.version) {
        for (size_t i = 0; result == 0 && i < command.config.count; i++)
            result = read_file(options, command.config.items[i], SOURCE_FILE + (unsigned)i, error);
        if (command.config.count == 0)
            result = read_standard_files(options, error);
    }
    options_finish(&command);
    if (result == 0)
        result = options_set_command(options, argc, argv, error);
    if (result == 0 && options->run && options_source(options, "log-level") == SOURCE_DEFAULT)
        result = options_set(options, "log-level", "warning", SOURCE_DEFAULT, error); /* the command's output counts */
    if (result == 0 && options->run && options_source(options, "spare-workers") == SOURCE_DEFAULT)
        result = options_set(options, "spare-workers", "0", SOURCE_DEFAULT, error); /* the first guest comes at once */
    if (result == 0)
        result = options_check(options, error);
    return result == 0 ? 0 : -EINVAL;
}

/* ---- From the supervisor to a worker --------------------------------------------------------- */

/* A worker needs not know who else may come, and what they may. */
static struct host_options
for_worker(const struct host_options *options)
{
    struct host_options part = *options;

    part.domains = NULL;
    part.domain_count = 0;
    part.allow_domains = part.allow_uids = part.allow_gids = (struct text_list){0};
    return part;
}

int
config_hand_over(const struct host_options *options)
{
    struct host_options part = for_worker(options);
    int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    int fd = memfd_create("gpuvchan-host.conf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    FILE *file = copy < 0 ? NULL : fdopen(copy, "w");
    int error = errno;

    if (file) {
        options_dump(&part, file, false);
        error = fclose(file) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0 ? 0 : errno;
        if (error == 0)
            return fd;
    } else if (copy >= 0) {
        close(copy);
    }
    if (fd >= 0)
        close(fd);
    return -error;
}

int
config_take_over(struct host_options *options, int fd, char *error)
{
    struct stat status;
    FILE *file;
    void *text;
    int result;

    options_init(options);
    /* All workers share the descriptor's position: map it instead of reading. */
    if (fstat(fd, &status) != 0 || status.st_size == 0 ||
        (text = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED) {
        snprintf(error, OPTIONS_ERROR, "no configuration was handed over");
        return -EINVAL;
    }
    file = fmemopen(text, (size_t)status.st_size, "r");
    if (!file)
        abort();
    result = read_stream(options, file, "configuration", SOURCE_FILE, error);
    fclose(file);
    munmap(text, (size_t)status.st_size);
    return result;
}
