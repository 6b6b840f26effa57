/* SPDX-License-Identifier: MIT */
/* The protocols of sd_notify(3) and sd_listen_fds(3), which are meant to be spoken without libsystemd. */
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LISTEN_FDS_START 3

static struct sockaddr_un manager;
static socklen_t manager_bytes; /* 0: there is none */
static int listen_fds;

static void
find_manager(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t bytes = path ? strlen(path) : 0;

    if (bytes < 2 || bytes >= sizeof(manager.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    manager.sun_family = AF_UNIX;
    memcpy(manager.sun_path, path, bytes);
    manager_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes);
    if (path[0] == '@')
        manager.sun_path[0] = '\0'; /* an abstract name: its length ends it */
    else
        manager_bytes++;
}

static void
find_listen_fds(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");

    if (!pid || !count || strtol(pid, NULL, 10) != getpid())
        return;
    listen_fds = (int)strtol(count, NULL, 10);
    if (listen_fds < 0 || listen_fds > 64)
        listen_fds = 0;
    for (int fd = LISTEN_FDS_START; fd < LISTEN_FDS_START + listen_fds; fd++) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fcntl(fd, F_SETFL, O_NONBLOCK); /* accepting must not block; the service manager leaves that to us */
    }
}

void
notify_init(void)
{
    find_manager();
    find_listen_fds();
    /* They were meant for this process, not for workers and commands. */
    unsetenv("NOTIFY_SOCKET");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

void
notify_send(const char *format, ...)
{
    char text[512];
    va_list list;
    int fd;

    if (manager_bytes == 0)
        return;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&manager, manager_bytes) < 0)
        gpuvchan_log(GPUVCHAN_LOG_WARNING, "cannot tell the service manager: %s", strerror(errno));
    close(fd);
}

void
notify_reloading(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    notify_send("RELOADING=1\nMONOTONIC_USEC=%llu",
                (unsigned long long)now.tv_sec * 1000000u + (unsigned long long)now.tv_nsec / 1000);
}

int
notify_listen_fds(int *first)
{
    *first = LISTEN_FDS_START;
    return listen_fds;
}
