/* SPDX-License-Identifier: MIT */
/* CUDA's log of errors, which cuLogs...() give out. */
#ifndef CUDA_GUEST_LOG_H
#define CUDA_GUEST_LOG_H

#include "guest.h"

/** Adds a line, and calls who has registered for it. */
void cuda_guest_log(CUlogLevel level, const char *format, ...) GPUVCHAN_PRINTF(2, 3);

#endif
