/* SPDX-License-Identifier: MIT */
/*
 * What a new supervisor finds of the workers of one that died: a file for each, named by its process.
 *
 * Design notes
 *
 * A worker holds a lock on its file for as long as it lives: "locked" is what says so, and neither a number
 * that another process has got since nor a file that was left behind deceives anybody. It has the file
 * open for reading alone. Files get their name when they are complete.
 */
#ifndef HOST_WORKER_FILE_H
#define HOST_WORKER_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include <gpuvchan/gpuvchan.h>

/** What a file says of a worker. */
struct worker_record {
    pid_t pid;
    char address[256];          /* of the listener that it came from */
    unsigned long long started; /* as the kernel counts it; 0: unknown */
    char program[32];           /* of a local guest */
    struct gpuvchan_peer peer;
};

/**
 * Opens the folder, and makes it if it is missing. Others must not be able to write there.
 * @return a descriptor, or -errno, logged.
 */
int worker_files_open(const char *folder);

/** In the worker, before it is one: writes and locks its file. @return the locked descriptor, or -errno, logged. */
int worker_file_write(int folder, const struct worker_record *record);

void worker_file_remove(int folder, pid_t pid);

/**
 * Calls @p visit for each file that can be read; @p lives: its worker does. Those that cannot be are logged, and
 * removed if no worker lives.
 */
void
worker_files_visit(int folder, void (*visit)(const struct worker_record *record, bool lives, void *user), void *user);

/** When a process has started, as the kernel counts it: 0 if there is no such process. */
unsigned long long worker_file_started(pid_t pid);

#endif
