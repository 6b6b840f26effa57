/* SPDX-License-Identifier: MIT */
/* The local transport's listening side; the rest is behind transport.h. */
#ifndef GPUVCHAN_TRANSPORT_LOCAL_H
#define GPUVCHAN_TRANSPORT_LOCAL_H

#include "transport.h"

/** Bind a seqpacket socket at @p path; replaces a socket that nobody listens on. Returns the fd or -errno. */
int gpuvchan__local_listen(const char *path);

/** Tell a guest that has just been accepted why it cannot stay. Blocks at most 100 ms. */
void gpuvchan__local_refuse(int fd, const struct wire_welcome *welcome);

#endif
