/* SPDX-License-Identifier: MIT */
/*
 * xenstore, by libxenstore as it is found at run time: gpuvchanctl runs where Xen's libraries are missing,
 * and says so. Below the root of a test the folder "xenstore" stands for it, with a file for each node.
 */
#ifndef GPUVCHAN_CTL_XEN_LIBS_H
#define GPUVCHAN_CTL_XEN_LIBS_H

#include "ctl.h"

struct xenstore;

/*
 * 0; -ENOENT without the library; -ETIMEDOUT when nobody answers, which the kernel's device does not tell;
 * another -errno when it refuses. It is closed by the process's end if it did not answer.
 */
int xenstore_open(const struct ctl *ctl, struct xenstore **out);
void xenstore_close(struct xenstore *xenstore);

/* For free(); NULL if there is no such node, or it may not be read. */
__attribute__((format(printf, 2, 3))) char *xenstore_read(struct xenstore *xenstore, const char *format, ...);

/* For names_free(); empty if there is no such node. */
__attribute__((format(printf, 2, 3))) char **xenstore_list(struct xenstore *xenstore, const char *format, ...);

/* The number of the domain that this runs in, or -1. */
int xenstore_own_domain(struct xenstore *xenstore);

#endif
