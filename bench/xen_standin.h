/* SPDX-License-Identifier: MIT */
/*
 * xen_standin.h - a world without Xen for libxenvchan's own ring code.
 *
 * libxenvchan.a is linked unmodified; xen_standin.c answers the calls that it
 * makes to grant tables, event channels and xenstore: pages of a memfd, a pair
 * of eventfds, a small table in shared memory. What is measured is therefore
 * libxenvchan's rings and notification protocol over eventfds. Real event
 * channels cost more: unmasking is free here and a hypercall there.
 *
 * One world holds one channel. The tool makes it before the fork; each of the
 * two processes enters it before it calls libxenvchan.
 */
#ifndef BENCH_XEN_STANDIN_H
#define BENCH_XEN_STANDIN_H

struct xen_world;

int xen_world_create(struct xen_world **world_p);

/* The calling process's copies of its fds and mappings. */
void xen_world_destroy(struct xen_world *world);

void xen_world_enter(struct xen_world *world);

#endif
