/* SPDX-License-Identifier: MIT */
/*
 * daemon.h - a gpuvchan-host for what is measured.
 */
#ifndef BENCH_DAEMON_H
#define BENCH_DAEMON_H

#include <sys/types.h>

struct bench_daemon {
    pid_t pid; /* 0: GPUVCHAN_ADDRESS names one that runs */
    char address[64];
};

/*
 * Starts one with that plugin alone on a socket of its own; with GPUVCHAN_ADDRESS set that host is used. Returns when
 * it answers: 0, or -errno after it has said why. To be stopped in either case.
 */
int bench_daemon_start(struct bench_daemon *host, const char *plugin);

void bench_daemon_stop(struct bench_daemon *host);

#endif
