/* SPDX-License-Identifier: MIT */
/* Where the configuration comes from: files, and the copy that a worker is handed. */
#ifndef HOST_CONFIG_H
#define HOST_CONFIG_H

#include "options.h"

/**
 * The configuration in effect: defaults, environment, files, then the command line. Fills in @p options,
 * which the caller finishes in any case. @return 0 or -EINVAL, and @p error says what is wrong where.
 */
int config_read(struct host_options *options, int argc, char **argv, char *error);

/** The configuration as a sealed file in memory, for a worker. @return a descriptor or -errno. */
int config_hand_over(const struct host_options *options);

/** Worker: reads what config_hand_over() made. Does not close @p fd. Returns as config_read(). */
int config_take_over(struct host_options *options, int fd, char *error);

#endif
