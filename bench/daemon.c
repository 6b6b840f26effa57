/* SPDX-License-Identifier: MIT */
#include "daemon.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gpuvchan/gpuvchan.h>

#include "process.h"

static int
wait_until_it_answers(const struct bench_daemon *host)
{
    struct gpuvchan_channel *channel = NULL;
    int error = -ETIMEDOUT;

    for (int tries = 0; tries < 500 && error != 0; tries++) {
        error = gpuvchan_channel_connect(host->address, NULL, &channel);
        if (error != 0 && waitpid(host->pid, NULL, WNOHANG) != 0)
            break;
        if (error != 0)
            poll(NULL, 0, 10);
    }
    gpuvchan_channel_close(channel);
    if (error != 0)
        fprintf(stderr, "gpuvchan-bench: %s\n", gpuvchan_error_text());
    return error;
}

int
bench_daemon_start(struct bench_daemon *host, const char *plugin)
{
    const char *address = getenv("GPUVCHAN_ADDRESS");
    char program[300];
    int error = bench_beside("bin/gpuvchan-host", program, sizeof(program));

    if (address) {
        snprintf(host->address, sizeof(host->address), "%s", address);
        return 0;
    }
    if (error != 0)
        return error;
    snprintf(host->address, sizeof(host->address), "/tmp/gpuvchan-bench-%ld.sock", (long)getpid());
    host->pid = fork();
    if (host->pid < 0)
        return -errno;
    if (host->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        execl(program, "gpuvchan-host", "--address", host->address, "--plugins", plugin, "--log-level", "warning",
              (char *)NULL);
        fprintf(stderr, "gpuvchan-bench: cannot start %s: %s\n", program, strerror(errno));
        _exit(127);
    }
    return wait_until_it_answers(host);
}

void
bench_daemon_stop(struct bench_daemon *host)
{
    if (host->pid <= 0)
        return;
    bench_end(host->pid);
    host->pid = 0;
}
