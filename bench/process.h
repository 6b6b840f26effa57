/* SPDX-License-Identifier: MIT */
/*
 * process.h - other programs: where they are, and their end.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Name of a file in the folder of this program's folder: PREFIX, or a build. 0 or -errno. */
int bench_beside(const char *name, char *path, size_t size);

/* Would a shell find it? */
bool bench_is_installed(const char *program);

/* Ends a child, by force where it takes long. */
void bench_end(pid_t pid);

#endif
