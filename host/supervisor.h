/* SPDX-License-Identifier: MIT */
/* The supervisor: accepts guests, starts a worker for each, and sees how they end. */
#ifndef HOST_SUPERVISOR_H
#define HOST_SUPERVISOR_H

#include "captive.h"
#include "options.h"

struct supervisor;

/**
 * Begins to listen at @p addresses and on the service manager's sockets, see listeners_open(), and adopts the
 * workers of an earlier supervisor at the same addresses that @p state_dir names. Both are valid until
 * supervisor_destroy(). @p argc and @p argv are read again at SIGHUP. Owns @p options from now on. Blocks SIGTERM,
 * SIGINT, SIGHUP and SIGCHLD. @return 0 or -errno, logged.
 */
int supervisor_create(struct host_options *options, const struct text_list *addresses, const char *state_dir, int argc,
                      char **argv, struct supervisor **out);

/** Serves until a signal, or the end of the command of --run, ends it. @return the exit status. */
int supervisor_run(struct supervisor *supervisor, struct captive *captive);

/** Takes the address away; workers have ended or are given up. NULL is allowed. */
void supervisor_destroy(struct supervisor *supervisor);

#endif
