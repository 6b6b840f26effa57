/* SPDX-License-Identifier: MIT */
/*
 * xen_peer.h - libgpuvchan beside libxenvchan, between this domain and another
 * one of the same Xen, where gpuvchan-bench serve runs.
 */
#ifndef BENCH_XEN_PEER_H
#define BENCH_XEN_PEER_H

#include "options.h"
#include "report.h"

/*
 * Prints what is measured where, measures, adds to the report and prints group
 * by group. Returns 0, or -errno after it has said why; description then is of
 * no use.
 */
int bench_peer_run(const struct bench_options *options, struct bench_report *report, char *description, size_t size);

#endif
