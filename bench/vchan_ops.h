/* SPDX-License-Identifier: MIT */
/*
 * vchan_ops.h - the jobs of mechanism.h over an open libxenvchan, whichever: the
 * one over stand-ins in this program, or the real one in bench_xen.so. Blocking
 * or not, as control->blocking says.
 */
#ifndef BENCH_VCHAN_OPS_H
#define BENCH_VCHAN_OPS_H

#include <libxenvchan.h>

#include "mechanism.h"

/* The most that it can have, in each direction. */
#define BENCH_VCHAN_RING ((size_t)1 << 20)

/* As packets (send, recv) or as a stream (write, read), which alone can carry more than a ring. */
int bench_vchan_client(struct libxenvchan *control, bool stream, const struct bench_job *job);

int bench_vchan_server(struct libxenvchan *control, bool stream, const struct bench_job *job);

#endif
