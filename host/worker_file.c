/* SPDX-License-Identifier: MIT */
/* Files about workers: "key=value" lines between a first and a last line that tell a whole file from half of one. */
#include "worker_file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_LINE "gpuvchan-worker 1"
#define LAST_LINE "end"
#define FILE_MAX 2048

/* ---- The lines ------------------------------------------------------------------------------- */

enum kind {
    KIND_TEXT,
    KIND_NUMBER, /* 32 bits */
    KIND_LONG,
};

static const struct field {
    const char *key;
    enum kind kind;
    size_t offset, bytes;
} fields[] = {
#define FIELD(key, kind, member)                                                                       \
    {                                                                                                  \
        key, kind, offsetof(struct worker_record, member), sizeof(((struct worker_record *)0)->member) \
    }
    FIELD("address", KIND_TEXT, address),    FIELD("started", KIND_LONG, started),
    FIELD("program", KIND_TEXT, program),    FIELD("domain", KIND_NUMBER, peer.domain),
    FIELD("uid", KIND_NUMBER, peer.uid),     FIELD("gid", KIND_NUMBER, peer.gid),
    FIELD("process", KIND_NUMBER, peer.pid), FIELD("name", KIND_TEXT, peer.name),
    FIELD("uuid", KIND_TEXT, peer.uuid),     FIELD("node", KIND_TEXT, peer.node),
#undef FIELD
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static void
print_text(FILE *file, const char *text)
{
    for (; *text; text++)
        fputc(iscntrl((unsigned char)*text) ? '?' : *text, file);
}

static void
print_record(FILE *file, const struct worker_record *record)
{
    fputs(FIRST_LINE "\n", file);
    for (size_t i = 0; i < FIELDS; i++) {
        const void *at = (const char *)record + fields[i].offset;

        fprintf(file, "%s=", fields[i].key);
        if (fields[i].kind == KIND_TEXT)
            print_text(file, at);
        else if (fields[i].kind == KIND_NUMBER)
            fprintf(file, "%d", *(const int32_t *)at);
        else
            fprintf(file, "%llu", *(const unsigned long long *)at);
        fputc('\n', file);
    }
    fputs(LAST_LINE "\n", file);
}

static bool
take_value(const struct field *field, const char *value, struct worker_record *record)
{
    void *at = (char *)record + field->offset;
    char *end = NULL;

    if (field->kind == KIND_TEXT)
        return snprintf(at, field->bytes, "%s", value) < (int)field->bytes;
    if (!isdigit((unsigned char)value[0]) && value[0] != '-')
        return false;
    errno = 0;
    if (field->kind == KIND_LONG) {
        *(unsigned long long *)at = strtoull(value, &end, 10);
    } else {
        long number = strtol(value, &end, 10);

        *(int32_t *)at = (int32_t)number;
        if (number < INT32_MIN || number > INT32_MAX)
            return false;
    }
    return errno == 0 && *end == '\0';
}

/* Each field once, in the order that they are written in. */
static bool
parse(char *text, struct worker_record *record)
{
    char *line = strtok_r(text, "\n", &text);

    if (!line || strcmp(line, FIRST_LINE) != 0)
        return false;
    for (size_t i = 0; i < FIELDS; i++) {
        size_t bytes = strlen(fields[i].key);

        line = strtok_r(NULL, "\n", &text);
        if (!line || strncmp(line, fields[i].key, bytes) != 0 || line[bytes] != '=' ||
            !take_value(&fields[i], line + bytes + 1, record))
            return false;
    }
    line = strtok_r(NULL, "\n", &text);
    return line && strcmp(line, LAST_LINE) == 0;
}

/* ---- The folder ------------------------------------------------------------------------------ */

static void
make_folders(const char *folder)
{
    const char *slash = strrchr(folder, '/');
    char parent[512];

    if (slash && slash > folder && snprintf(parent, sizeof(parent), "%.*s", (int)(slash - folder), folder) < 512)
        mkdir(parent, geteuid() == 0 ? 0755 : 0700);
    mkdir(folder, 0700);
}

int
worker_files_open(const char *folder)
{
    struct stat status;
    const char *why;
    int fd, error = EPERM;

    make_folders(folder);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        error = errno;
        why = strerror(error);
    } else if (status.st_uid != geteuid()) {
        why = "it belongs to somebody else";
    } else if (status.st_mode & 022) {
        why = "others may write there";
    } else {
        return fd;
    }
    gpuvchan_log(GPUVCHAN_LOG_WARNING, "%s: %s: if this host is killed, no new one will know of its workers", folder,
                 why);
    if (fd >= 0)
        close(fd);
    return -error;
}

unsigned long long
worker_file_started(pid_t pid)
{
    unsigned long long started = 0;
    char path[48], text[1024];
    const char *at;
    FILE *file;
    size_t bytes;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (!file)
        return 0;
    bytes = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[bytes] = '\0';
    /* The 22nd field; the second is a name in brackets, with anything in it. */
    at = strrchr(text, ')');
    for (int i = 2; at && i < 22; i++)
        at = strchr(at + 1, ' ');
    if (at)
        started = strtoull(at, NULL, 10);
    return started;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static int
fill(int fd, const struct worker_record *record)
{
    FILE *file = fdopen(fd, "w");

    if (!file) {
        close(fd);
        return -ENOMEM;
    }
    print_record(file, record);
    return fclose(file) == 0 ? 0 : -errno;
}

int
worker_file_write(int folder, const struct worker_record *record)
{
    char name[16], hidden[20];
    int locked = -1, writing, error;

    snprintf(name, sizeof(name), "%d", (int)record->pid);
    snprintf(hidden, sizeof(hidden), ".%s", name);
    unlinkat(folder, hidden, 0);
    writing = openat(folder, hidden, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (writing >= 0)
        locked = openat(folder, hidden, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    error = locked < 0 || flock(locked, LOCK_EX | LOCK_NB) != 0 ? -errno : 0;
    if (writing >= 0 && error == 0)
        error = fill(writing, record);
    else if (writing >= 0)
        close(writing);
    if (error == 0 && renameat(folder, hidden, folder, name) != 0)
        error = -errno;
    if (error == 0)
        return locked;
    gpuvchan_log(GPUVCHAN_LOG_WARNING, "worker %s leaves no file behind, and will not be adopted: %s", name,
                 strerror(-error));
    unlinkat(folder, hidden, 0);
    if (locked >= 0)
        close(locked);
    return error;
}

void
worker_file_remove(int folder, pid_t pid)
{
    char name[16];

    snprintf(name, sizeof(name), "%d", (int)pid);
    if (folder >= 0)
        unlinkat(folder, name, 0);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Of "12", or of ".12", which is half written; 0: not a name of ours. */
static pid_t
process_in(const char *name)
{
    size_t bytes = strspn(name + (name[0] == '.'), "0123456789");
    const char *digits = name + (name[0] == '.');

    return bytes > 0 && bytes < 10 && digits[bytes] == '\0' && digits[0] != '0' ? (pid_t)atoi(digits) : 0;
}

static bool
read_record(int fd, struct worker_record *record)
{
    char text[FILE_MAX];
    ssize_t bytes = read(fd, text, sizeof(text) - 1);

    if (bytes <= 0 || memchr(text, '\0', (size_t)bytes))
        return false;
    text[bytes] = '\0';
    return parse(text, record);
}

static void
look_at(int folder, const char *name, void (*visit)(const struct worker_record *, bool, void *), void *user)
{
    struct worker_record record = {.pid = process_in(name)};
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat status;
    bool lives;

    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "the file %s about a worker cannot be read", name);
        if (fd >= 0)
            close(fd);
        return;
    }
    lives = flock(fd, LOCK_EX | LOCK_NB) != 0;
    if (name[0] == '.') {
        if (!lives)
            unlinkat(folder, name, 0);
    } else if (read_record(fd, &record)) {
        visit(&record, lives, user);
    } else {
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "the file %s about a worker is damaged: it is %s", name,
                     lives ? "ignored, and its worker is left alone" : "removed");
        if (!lives)
            unlinkat(folder, name, 0);
    }
    close(fd);
}

void
worker_files_visit(int folder, void (*visit)(const struct worker_record *record, bool lives, void *user), void *user)
{
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry;

    if (!dir) {
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "cannot look for workers of an earlier host: %s", strerror(errno));
        if (copy >= 0)
            close(copy);
        return;
    }
    while ((entry = readdir(dir)))
        if (process_in(entry->d_name) > 0)
            look_at(folder, entry->d_name, visit, user);
    closedir(dir);
}
