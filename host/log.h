/* SPDX-License-Identifier: MIT */
/* Where the lines of gpuvchan_log() go in the host: stderr, the journal or syslog. */
#ifndef HOST_LOG_H
#define HOST_LOG_H

#include "options.h"

/**
 * Sends gpuvchan_log() where @p options say. @p who goes in front of each line ("" or "worker 12").
 * @p early: the host has not started yet, and who started it still reads stderr.
 */
void log_open(const struct host_options *options, const char *who, bool early);

/** Goes on with what stderr is now, also when that is replaced: a plugin may give its driver another one. */
void log_keep(void);

/** Makes stderr again what the log goes to, for a program that takes this one's place. */
void log_give_back(void);

/** True if lines go to stderr. */
bool log_is_stderr(void);

/** Writes a line to stderr if that is where the log goes; for signal handlers. */
void log_from_signal(const char *text);

#endif
