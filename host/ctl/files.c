/* SPDX-License-Identifier: MIT */
/* Files of the system, below the root of the context. */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process.h"

static void
name_of(const struct ctl *ctl, char name[PATH_MAX], const char *format, va_list list)
{
    size_t used = (size_t)snprintf(name, PATH_MAX, "%s", ctl->root);

    if (used >= PATH_MAX || vsnprintf(name + used, PATH_MAX - used, format, list) >= (int)(PATH_MAX - used))
        strcpy(name, "/");
}

#define NAME_OF(name)                     \
    do {                                  \
        va_list list;                     \
        va_start(list, format);           \
        name_of(ctl, name, format, list); \
        va_end(list);                     \
    } while (0)

void
file_name(const struct ctl *ctl, char name[PATH_MAX], const char *format, ...)
{
    NAME_OF(name);
}

bool
file_exists(const struct ctl *ctl, const char *format, ...)
{
    char name[PATH_MAX];

    NAME_OF(name);
    return access(name, F_OK) == 0;
}

void
file_line(const struct ctl *ctl, char *text, size_t bytes, const char *format, ...)
{
    char name[PATH_MAX];
    ssize_t got = -1;
    int fd;

    NAME_OF(name);
    fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0) {
        got = read(fd, text, bytes - 1);
        close(fd);
    }
    text[got < 0 ? 0 : got] = '\0';
    text[strcspn(text, "\n")] = '\0';
}

void
file_link(const struct ctl *ctl, char *text, size_t bytes, const char *format, ...)
{
    char name[PATH_MAX], target[PATH_MAX];
    const char *slash;
    ssize_t got;

    NAME_OF(name);
    got = readlink(name, target, sizeof(target) - 1);
    target[got < 0 ? 0 : got] = '\0';
    slash = strrchr(target, '/');
    snprintf(text, bytes, "%s", slash ? slash + 1 : target);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **
file_names(const struct ctl *ctl, const char *format, ...)
{
    char name[PATH_MAX], **names = calloc(1, sizeof(*names));
    const struct dirent *entry;
    size_t count = 0;
    DIR *folder;

    NAME_OF(name);
    folder = opendir(name);
    while (names && folder && (entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        names = realloc(names, (count + 2) * sizeof(*names));
        if (!names || !(names[count++] = strdup(entry->d_name)))
            abort();
        names[count] = NULL;
    }
    if (folder)
        closedir(folder);
    if (!names)
        abort();
    qsort(names, count, sizeof(*names), compare_names);
    return names;
}

void
names_free(char **names)
{
    for (size_t i = 0; names && names[i]; i++)
        free(names[i]);
    free(names);
}

char *
file_text(const char *name, size_t *bytes)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    size_t room = 0, used = 0;
    char *text = NULL;
    ssize_t got;

    if (fd < 0)
        return NULL;
    do {
        room = used + 65536;
        text = realloc(text, room);
        if (!text)
            abort();
        got = read(fd, text + used, room - used - 1);
        used += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    close(fd);
    if (got < 0) {
        free(text);
        return NULL;
    }
    text[used] = '\0';
    *bytes = used;
    return text;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static int
write_all(int fd, const char *text, size_t bytes)
{
    while (bytes > 0) {
        ssize_t got = write(fd, text, bytes);

        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0) {
            text += got;
            bytes -= (size_t)got;
        }
    }
    return 0;
}

int
file_replace(const char *name, const char *text, size_t bytes, unsigned mode)
{
    char temporary[PATH_MAX];
    int fd, error;

    if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", name) >= (int)sizeof(temporary))
        return -ENAMETOOLONG;
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    error = write_all(fd, text, bytes);
    if (error == 0 && (fchmod(fd, mode) != 0 || fsync(fd) != 0))
        error = -errno;
    close(fd);
    if (error == 0 && rename(temporary, name) != 0)
        error = -errno;
    if (error != 0)
        unlink(temporary);
    return error;
}

/*
 * Nothing acts on what is written below a root of a test, where there is no kernel. The program "kernel" in
 * that root stands for it, if there is one: it is called with the path and the value, and can refuse.
 */
static int
kernel_of_test(const struct ctl *ctl, const char *name, const char *value)
{
    char program[PATH_MAX];
    const char *arguments[] = {program, name + strlen(ctl->root), value, NULL};
    char output[256];
    int status;

    file_name(ctl, program, "/kernel");
    if (access(program, X_OK) != 0)
        return 0;
    status = process_run(arguments, output, sizeof(output), 10);
    return status == 0 ? 0 : -EIO;
}

int
sysfs_write(const struct ctl *ctl, const char *value, const char *format, ...)
{
    char name[PATH_MAX];
    int fd, error;

    NAME_OF(name);
    fd = open(name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    /* In one write, which is what the kernel takes as the value; the driver's answer is its error. */
    error = write(fd, value, strlen(value)) < 0 ? -errno : 0;
    close(fd);
    return error == 0 && ctl->root[0] ? kernel_of_test(ctl, name, value) : error;
}
