/* SPDX-License-Identifier: MIT */
/* serve.h - the other side of --peer, in another domain of the same Xen. */
#ifndef BENCH_SERVE_H
#define BENCH_SERVE_H

#include "options.h"

/* Until SIGTERM or SIGINT, or for one client with --once. An exit status. */
int bench_serve(const struct bench_options *options);

#endif
