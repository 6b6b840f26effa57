/* SPDX-License-Identifier: MIT */
/*
 * The hosts of the conformance suite and of the hostile guests, for those that run in another domain.
 * Usage: test_host PREFIX LOG [PID PIDS_LOG]. PREFIX is "xen:" or "local:/a/folder"; it serves at PREFIX/plain,
 * /limited, /refusing, /sleepy, and /monitor, by which tests ask about this process. With PID it serves only
 * the monitor, which then tells about that process, a gpuvchan-host, and its log. Prints READY; ends by SIGTERM.
 * Its workers are test_host SERVICE FD ARGUMENTS.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"
#include "monitor.h"

static char addresses[TEST_SERVICES][96];
static char **arguments;

static void
become(const struct test_service *service, int fd)
{
    char number[12], *command[8] = {arguments[0], (char *)service->address, number};

    for (int i = 1; arguments[i]; i++)
        command[i + 2] = arguments[i];
    snprintf(number, sizeof(number), "%d", fd);
    fcntl(fd, F_SETFD, 0);
    execv("/proc/self/exe", command);
    perror("test_host");
}

/* Those who use it wait for a line, test_host_serve() writes a byte. */
static void
announce(const int ready[2])
{
    char byte;

    if (fork() != 0)
        return;
    close(ready[1]);
    if (read(ready[0], &byte, 1) == 1)
        (void)!write(STDOUT_FILENO, "READY\n", 6);
    _exit(0);
}

/* What main() has been given, as a host or as a worker. */
struct asked {
    const char *prefix, *log, *pid, *pids_log;
    const char *service; /* a worker's */
    int fd;
};

static bool
understood(int argc, char **argv, struct asked *asked)
{
    bool worker = argc > 3 && strchr(argv[1], '/') && sscanf(argv[2], "%d", &asked->fd) == 1;
    char **rest = worker ? argv + 3 : argv + 1;
    int count = (int)(argv + argc - rest);

    if (worker)
        asked->service = argv[1];
    if (count != 2 && count != 4)
        return false;
    asked->prefix = rest[0];
    asked->log = rest[1];
    asked->pid = count > 2 ? rest[2] : NULL;
    asked->pids_log = count > 2 ? rest[3] : NULL;
    return true;
}

int
main(int argc, char **argv)
{
    struct test_service services[] = {
        {.address = "monitor", .options.monitor = true},
        {.address = "plain"},
        {.address = "limited", .options.limits = {.lanes = 4, .arena_bytes = 2 << 20}},
        {.address = "refusing", .options.refuse = "closed for the holidays"},
        {.address = "sleepy", .options.limits = {.spin_us = -1}},
    };
    struct asked asked = {.fd = -1};
    struct test_host self = {.elsewhere = false};
    size_t count;
    int ready[2];

    if (!understood(argc, argv, &asked)) {
        fprintf(stderr, "Usage: test_host PREFIX LOG [PID PIDS_LOG]\n");
        return 2;
    }
    arguments = argv;
    count = asked.pid ? 1 : sizeof(services) / sizeof(services[0]);
    self.pid = asked.pid ? atoi(asked.pid) : asked.service ? getppid() : getpid();
    snprintf(self.log, sizeof(self.log), "%s", asked.pid ? asked.pids_log : asked.log);
    monitor_watch(&self);
    for (size_t i = 0; i < count; i++) {
        snprintf(addresses[i], sizeof(addresses[i]), "%.60s/%s", asked.prefix, services[i].address);
        services[i].address = addresses[i];
        services[i].become = become;
        services[i].options.limits.size = sizeof(services[i].options.limits);
        if (asked.service && strcmp(asked.service, addresses[i]) == 0)
            return test_host_work(&services[i], asked.fd, asked.log);
    }
    if (asked.service || pipe(ready) != 0)
        return 2;
    announce(ready);
    close(ready[0]);
    return test_host_serve(services, count, asked.log, ready[1]);
}
