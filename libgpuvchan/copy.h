/* SPDX-License-Identifier: MIT */
/* Copies into and out of memory that another core writes and reads. */
#ifndef GPUVCHAN_COPY_H
#define GPUVCHAN_COPY_H

#include <stddef.h>

/** Ordinary loads and stores: what is written stays in the caches. */
void gpuvchan__copy_plain(void *to, const void *from, size_t bytes);

/** Stores that leave this core's cache at once, complete when it returns; where there are none, as above. */
void gpuvchan__copy_streaming(void *to, const void *from, size_t bytes);

#endif
