/* SPDX-License-Identifier: MIT */
/* The host's own listening socket. */
#ifndef HOST_LISTEN_H
#define HOST_LISTEN_H

#include <gpuvchan/gpuvchan.h>

#include "options.h"

/** Listens at @p address, with the permissions and the group that @p options say. @return 0 or -errno, logged. */
int host_listen(const char *address, const struct host_options *options, struct gpuvchan_listener **out);

#endif
