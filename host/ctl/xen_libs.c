/* SPDX-License-Identifier: MIT */
/* xenstore, by libxenstore as it is found at run time. */
#include "xen_libs.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "files.h"

#define ANSWER_SECONDS 5
#define PATH_BYTES 512

struct xenstore {
    const struct ctl *ctl;
    void *handle; /* NULL: the folder of a test */
    int opened;   /* 0 or -errno, once `attempt` has ended */
    void *(*open)(unsigned long flags);
    void (*close)(void *handle);
    void *(*read)(void *handle, uint32_t transaction, const char *path, unsigned *bytes);
    char **(*directory)(void *handle, uint32_t transaction, const char *path, unsigned *count);
};

static bool
load(struct xenstore *xenstore)
{
    static const char *const names[] = {"libxenstore.so.4", "libxenstore.so.3.0", NULL};
    void *library = NULL;

    for (size_t i = 0; names[i] && !library; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return false;
    *(void **)&xenstore->open = dlsym(library, "xs_open");
    *(void **)&xenstore->close = dlsym(library, "xs_close");
    *(void **)&xenstore->read = dlsym(library, "xs_read");
    *(void **)&xenstore->directory = dlsym(library, "xs_directory");
    return xenstore->open && xenstore->close && xenstore->read && xenstore->directory;
}

/* The first question is part of opening: without xenstored the kernel's device opens, and is silent. */
static void *
attempt(void *argument)
{
    struct xenstore *xenstore = argument;
    unsigned bytes;

    xenstore->handle = xenstore->open(0);
    if (!xenstore->handle) {
        xenstore->opened = errno ? -errno : -ECONNREFUSED;
        return NULL;
    }
    free(xenstore->read(xenstore->handle, 0, "domid", &bytes));
    xenstore->opened = 0;
    return NULL;
}

static int
open_library(struct xenstore *xenstore)
{
    struct timespec end;
    pthread_t thread;

    if (!load(xenstore))
        return -ENOENT;
    if (pthread_create(&thread, NULL, attempt, xenstore) != 0)
        return -EAGAIN;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += ANSWER_SECONDS;
    if (pthread_timedjoin_np(thread, NULL, &end) != 0) {
        pthread_detach(thread);
        return -ETIMEDOUT;
    }
    return xenstore->opened;
}

int
xenstore_open(const struct ctl *ctl, struct xenstore **out)
{
    struct xenstore *xenstore = calloc(1, sizeof(*xenstore));
    int error;

    if (!xenstore)
        abort();
    xenstore->ctl = ctl;
    if (ctl->root[0])
        error = file_exists(ctl, "/xenstore") ? 0 : -ECONNREFUSED;
    else
        error = open_library(xenstore);
    if (error == 0)
        *out = xenstore;
    else if (error != -ETIMEDOUT) /* then the thread still has it */
        free(xenstore);
    return error;
}

void
xenstore_close(struct xenstore *xenstore)
{
    if (xenstore && xenstore->handle)
        xenstore->close(xenstore->handle);
    free(xenstore);
}

#define PATH_OF(path)                                \
    do {                                             \
        va_list list;                                \
        va_start(list, format);                      \
        vsnprintf(path, sizeof(path), format, list); \
        va_end(list);                                \
    } while (0)

char *
xenstore_read(struct xenstore *xenstore, const char *format, ...)
{
    char path[PATH_BYTES], text[1024];
    unsigned bytes;

    PATH_OF(path);
    if (xenstore->handle) /* with a NUL behind it, says libxenstore */
        return xenstore->read(xenstore->handle, 0, path, &bytes);
    if (!file_exists(xenstore->ctl, "/xenstore/%s", path))
        return NULL;
    file_line(xenstore->ctl, text, sizeof(text), "/xenstore/%s", path);
    return strdup(text);
}

char **
xenstore_list(struct xenstore *xenstore, const char *format, ...)
{
    char path[PATH_BYTES], **found, **names;
    unsigned count = 0;

    PATH_OF(path);
    if (!xenstore->handle)
        return file_names(xenstore->ctl, "/xenstore/%s", path);
    found = xenstore->directory(xenstore->handle, 0, path, &count);
    names = calloc((found ? count : 0) + 1, sizeof(*names));
    if (!names)
        abort();
    for (unsigned i = 0; found && i < count; i++)
        if (!(names[i] = strdup(found[i])))
            abort();
    free(found); /* all of it is one piece */
    return names;
}

int
xenstore_own_domain(struct xenstore *xenstore)
{
    char *text = xenstore_read(xenstore, "domid");
    int domain = text && text[0] >= '0' && text[0] <= '9' ? atoi(text) : -1;

    free(text);
    return domain;
}
