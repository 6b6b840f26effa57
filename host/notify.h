/* SPDX-License-Identifier: MIT */
/* The service manager: telling it our state, and taking over sockets that it listens on. */
#ifndef HOST_NOTIFY_H
#define HOST_NOTIFY_H

#include <gpuvchan/gpuvchan.h>

/** Reads and removes what the service manager put into the environment. Call it first of all. */
void notify_init(void);

/** Sends "NAME=value" lines, as sd_notify(3) does; nothing happens without a service manager. */
void notify_send(const char *format, ...) GPUVCHAN_PRINTF(1, 2);

/** READY=1 after a re-reading of the configuration needs RELOADING=1 before it. */
void notify_reloading(void);

/** How many listening sockets were passed, from *@p first on. They are the caller's. */
int notify_listen_fds(int *first);

#endif
