/* SPDX-License-Identifier: MIT */
/* The configuration file of a domain, as xl reads it: looking at it, and its line of PCI devices. */
#ifndef GPUVCHAN_CTL_XL_CONFIG_H
#define GPUVCHAN_CTL_XL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "xl.h"

/* The value of a setting, without quotes and at most so long; "" if it is not set. 0 or -errno. */
int xl_config_value(const char *file, const char *name, char *value, size_t bytes);

/*
 * Puts functions ("0000:01:00.0" or "0000:01:00.0,permissive=1") into the list of PCI devices: in the place
 * of those with the same address, or at its end. The rest of the file stays, and so does its mode. What it
 * was before is kept in FILE.bak. A file that is right already is left alone: *changed tells. 0, or -errno
 * with the reason in `says`; then it is what it was.
 */
int xl_config_add_pci(const char *file, const char *const *entries, bool *changed, char says[XL_SAYS]);

#endif
