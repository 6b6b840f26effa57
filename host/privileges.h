/* SPDX-License-Identifier: MIT */
/* What a worker may do: less with each step that it has behind it. */
#ifndef HOST_PRIVILEGES_H
#define HOST_PRIVILEGES_H

#include "options.h"

/** Can workers become the user and group of @p options? @return 0 or -errno; @p error (OPTIONS_ERROR bytes) says why. */
int privileges_check(const struct host_options *options, char *error);

/** Gives up, for good, what no worker needs at any time: core files, and gaining privileges. */
void privileges_restrict(void);

/** Becomes the user and group of @p options, if any, and tries whether there is a way back. Returns as above. */
int privileges_drop(const struct host_options *options, char *error);

#endif
