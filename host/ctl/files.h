/* SPDX-License-Identifier: MIT */
/* Files of the system, below the root of the context; paths are made as by printf. */
#ifndef GPUVCHAN_CTL_FILES_H
#define GPUVCHAN_CTL_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "ctl.h"

/* The whole name of a path. Too long ones become "/", which is no file. */
__attribute__((format(printf, 3, 4))) void
file_name(const struct ctl *ctl, char name[PATH_MAX], const char *format, ...);

__attribute__((format(printf, 2, 3))) bool file_exists(const struct ctl *ctl, const char *format, ...);

/* The first line; "" if there is none. */
__attribute__((format(printf, 4, 5))) void
file_line(const struct ctl *ctl, char *text, size_t bytes, const char *format, ...);

/* The last part of what a link points to; "" if it is none. */
__attribute__((format(printf, 4, 5))) void
file_link(const struct ctl *ctl, char *text, size_t bytes, const char *format, ...);

/* The names in a folder, in order, without those that begin with a dot; ends with NULL. For names_free(). */
__attribute__((format(printf, 2, 3))) char **file_names(const struct ctl *ctl, const char *format, ...);
void names_free(char **names);

/* All of a file, with a NUL behind it, for free(); NULL with errno. */
char *file_text(const char *name, size_t *bytes);

/* Replaces a file at once, by a new one of the same mode, so that no half of it is ever seen. 0 or -errno. */
int file_replace(const char *name, const char *text, size_t bytes, unsigned mode);

/* The one way in which drivers are changed: writes to a file of /sys. 0 or -errno. */
__attribute__((format(printf, 3, 4))) int
sysfs_write(const struct ctl *ctl, const char *value, const char *format, ...);

#endif
