/* SPDX-License-Identifier: MIT */
/* Renewing a worker: the same process goes on as a program that was started anew, and its guest with it. */
#ifndef HOST_RENEWAL_H
#define HOST_RENEWAL_H

#include <stdbool.h>

#include <gpuvchan/gpuvchan.h>

/**
 * Before anything else is opened: makes what a renewal needs, unless this process has it from the program whose place it
 * takes. @return whether it takes one's place.
 */
bool renewal_prepare(void);

/**
 * The session has been interrupted for it: moves it to a fresh start of this program. Returns only if that was not
 * done; the reason has been logged and told to who asked, and the session goes on.
 */
void renewal_attempt(struct gpuvchan_session *session);

/** The whole life of the process that tries whether a worker's place could be taken. @return its exit status. */
int renewal_rehearsal_main(void);

/** In the fresh one: the session that was left, with its plugins to be offered. @return 0 or -errno, logged. */
int renewal_take_over(const struct gpuvchan_session_limits *limits, struct gpuvchan_session **out);

/** In the fresh one, the last step: logs how it went, tells it to who asked, and frees the snapshot. */
void renewal_done(int error);

#endif
