/* SPDX-License-Identifier: MIT */
/*
 * The first generation of entry points, whose addresses and sizes have 32 bits (cuMemAlloc, where today's is
 * cuMemAlloc_v2). They work in contexts of their own generation, which nobody makes any more; in today's the
 * driver answers CUDA_ERROR_INVALID_CONTEXT, and so do these, whatever their arguments.
 */
#include "guest.h"

#define FIRST(name)                                                          \
    ENTRY name(void)                                                         \
    {                                                                        \
        CUresult result = cuda_guest_ready();                                \
                                                                             \
        return result != CUDA_SUCCESS ? result : CUDA_ERROR_INVALID_CONTEXT; \
    }

CUDA_GUEST_FIRST_GENERATION(FIRST)
