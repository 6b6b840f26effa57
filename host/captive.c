/* SPDX-License-Identifier: MIT */
/* --run: the private address, and the command. */
#include "captive.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int
captive_prepare(struct captive *captive, char **address)
{
    const char *variables[] = {"XDG_RUNTIME_DIR", "TMPDIR"};
    const char *parent = "/tmp";

    for (int i = 1; i >= 0; i--) {
        const char *folder = getenv(variables[i]);

        /* Leave room: a socket's whole path has 107 characters at most. */
        if (folder && folder[0] == '/' && strlen(folder) < 64 && access(folder, W_OK | X_OK) == 0)
            parent = folder;
    }
    snprintf(captive->folder, sizeof(captive->folder), "%s/gpuvchan-XXXXXX", parent);
    if (!mkdtemp(captive->folder)) {
        captive->folder[0] = '\0';
        return -errno;
    }
    if (asprintf(address, "%s/host.sock", captive->folder) < 0)
        abort();
    return 0;
}

int
captive_start(struct captive *captive, const char *command, const char *address)
{
    sigset_t none;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_DFL);
        signal(SIGUSR2, SIG_DFL);
        setenv("GPUVCHAN_ADDRESS", address, 1);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    captive->pid = pid;
    return 0;
}

void
captive_finish(struct captive *captive)
{
    if (captive->folder[0])
        rmdir(captive->folder);
    captive->folder[0] = '\0';
}

int
captive_exit_status(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
