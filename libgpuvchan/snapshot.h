/* SPDX-License-Identifier: MIT */
/*
 * A snapshot: what a session and its plugins leave to those who go on in their place. A stream of bytes over
 * a descriptor, in sections; what plugins may do with it is in <gpuvchan/plugin.h>.
 *
 * Design notes
 *
 * A header says what it is and in which version, then come pieces: a head of 16 bytes with kind and size, and
 * so many bytes. A section is a piece with its name, pieces of data and a piece with the sum of their sizes;
 * behind the last one comes a piece that counts the sections. So nothing needs to be known in advance, a pipe
 * serves as well as a file, and one that ends early is told from a whole one. What a piece of data carries may
 * be packed one day: that is another kind, which a reader that does not know it refuses.
 *
 * The first error stays: whoever writes may look at the end alone. The error is logged once, where it is found.
 */
#ifndef GPUVCHAN_SNAPSHOT_H
#define GPUVCHAN_SNAPSHOT_H

#include <gpuvchan/plugin.h>

/** Longest name of a section, with its end. */
#define SNAPSHOT_NAME 32u

/** Begins a snapshot at the descriptor's position, which stays the caller's. @return 0 or -errno. */
int gpuvchan__snapshot_write_to(int fd, struct gpuvchan_snapshot **out);
/** The same for reading. @return 0; -EBADMSG: not a snapshot; -EPROTONOSUPPORT: of a later version. */
int gpuvchan__snapshot_read_from(int fd, struct gpuvchan_snapshot **out);
/** Frees it. One that was not finished stays incomplete. NULL is allowed. */
void gpuvchan__snapshot_destroy(struct gpuvchan_snapshot *snapshot);

/** Writing: begins section @p name. Reading: goes into the next one, which must be this; -EBADMSG: it is another. */
int gpuvchan__snapshot_begin(struct gpuvchan_snapshot *snapshot, const char *name);
/** Ends the section. Reading: all of it must have been read, else -EBADMSG. */
int gpuvchan__snapshot_end(struct gpuvchan_snapshot *snapshot);
/** Writing: completes it. Reading: nothing must be left. @return 0 or the first error that there was. */
int gpuvchan__snapshot_finish(struct gpuvchan_snapshot *snapshot);

/** Looks through a whole snapshot in a file, from the position on, which stays. @return 0 or as reading it would. */
int gpuvchan__snapshot_check(int fd);

#endif
