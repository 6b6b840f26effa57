/* SPDX-License-Identifier: MIT */
/* Other programs, found by PATH and never run by a shell. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static long long
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static int
spawn(const char *const *arguments, int output, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int error;

    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    error = posix_spawnp(pid, arguments[0], &actions, &attributes, (char *const *)arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return -error;
}

/* Reads to the end, or for so long: what does not fit is thrown away. */
static int
drain(int fd, char *output, size_t bytes, int seconds)
{
    long long end = now_ms() + seconds * 1000ll;
    size_t used = 0;

    for (;;) {
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};
        long long left = end - now_ms();
        char spill[1024];
        ssize_t got;

        if (left <= 0)
            return -ETIMEDOUT;
        if (poll(&pollfd, 1, (int)left) <= 0)
            continue;
        got = used + 1 < bytes ? read(fd, output + used, bytes - used - 1) : read(fd, spill, sizeof(spill));
        if (got == 0 || (got < 0 && errno != EINTR))
            return 0;
        if (got > 0 && used + 1 < bytes)
            used += (size_t)got;
        output[used] = '\0';
    }
}

int
process_run(const char *const *arguments, char *output, size_t bytes, int seconds)
{
    int ends[2], status, error;
    pid_t pid;

    output[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    error = spawn(arguments, ends[1], &pid);
    close(ends[1]);
    if (error == 0) {
        error = drain(ends[0], output, bytes, seconds);
        if (error != 0)
            kill(-pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    close(ends[0]);
    if (error != 0)
        return error;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

const char *
last_line(char *text)
{
    size_t bytes = strlen(text);
    char *line;

    while (bytes > 0 && strchr(" \n\t", text[bytes - 1]))
        text[--bytes] = '\0';
    line = strrchr(text, '\n');
    return line ? line + 1 : text;
}
