/* SPDX-License-Identifier: MIT */
/* The addresses that regions have on both sides. */
#ifndef GPUVCHAN_WINDOW_H
#define GPUVCHAN_WINDOW_H

#include <stdint.h>

/**
 * Reserves @p bytes of addresses, inaccessible, to map a region over. Guest, @p wanted 0: at a random place
 * of the window in which guest and worker find the same place free. Host: at @p wanted, which the guest
 * chose, but within the window only and never over something of ours. Anywhere if that fails.
 * @return NULL: there are no addresses left.
 */
void *gpuvchan__window_reserve(uint64_t wanted, uint64_t bytes);

#endif
