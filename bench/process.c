/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 5000

int
bench_beside(const char *name, char *path, size_t size)
{
    char here[256];
    ssize_t n = readlink("/proc/self/exe", here, sizeof(here) - 1);

    if (n < 0)
        return -errno;
    here[n] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(here, '/');

        if (!slash)
            return -ENOENT;
        *slash = '\0';
    }
    return snprintf(path, size, "%s/%s", here, name) < (int)size ? 0 : -ENAMETOOLONG;
}

bool
bench_is_installed(const char *program)
{
    const char *path = getenv("PATH");
    char *copy = strdup(path ? path : "/usr/bin:/bin");
    char *save = NULL;
    bool found = false;

    for (char *dir = copy ? strtok_r(copy, ":", &save) : NULL; dir && !found; dir = strtok_r(NULL, ":", &save)) {
        char *file;

        if (asprintf(&file, "%s/%s", dir, program) < 0)
            break;
        found = access(file, X_OK) == 0;
        free(file);
    }
    free(copy);
    return found;
}

void
bench_end(pid_t pid)
{
    kill(pid, SIGTERM);
    for (int i = 0; i < PATIENCE_MS / 10; i++) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return;
        poll(NULL, 0, 10);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
