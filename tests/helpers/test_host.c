/* SPDX-License-Identifier: MIT */
/*
 * The hosts of the conformance suite and of the hostile guests, for those that run in another domain.
 * Usage: test_host PREFIX LOG [PID PIDS_LOG]. PREFIX is "xen:" or "local:/a/folder"; it serves at PREFIX/plain,
 * /limited, /refusing, /sleepy, and /monitor, by which tests ask about this process. With PID it serves only
 * the monitor, which then tells about that process, a gpuvchan-host, and its log. Prints READY; ends by SIGTERM.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"
#include "monitor.h"

static char addresses[TEST_SERVICES][96];

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
    size_t count = argc > 3 ? 1 : sizeof(services) / sizeof(services[0]);
    struct test_host self = {.pid = argc > 3 ? atoi(argv[3]) : getpid()};
    int ready[2];

    if (argc < 3 || argc == 4 || pipe(ready) != 0) {
        fprintf(stderr, "Usage: test_host PREFIX LOG [PID PIDS_LOG]\n");
        return 2;
    }
    snprintf(self.log, sizeof(self.log), "%s", argc > 3 ? argv[4] : argv[2]);
    monitor_watch(&self);
    for (size_t i = 0; i < count; i++) {
        snprintf(addresses[i], sizeof(addresses[i]), "%.60s/%s", argv[1], services[i].address);
        services[i].address = addresses[i];
        services[i].options.limits.size = sizeof(services[i].options.limits);
    }
    announce(ready);
    close(ready[0]);
    return test_host_serve(services, count, argv[2], ready[1]);
}
