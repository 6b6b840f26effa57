/* SPDX-License-Identifier: MIT */
/*
 * Functions that are known and not served: each is there, and says why it does nothing.
 *
 * Design notes: the scanner lists them, so an entry of the protocol is all that a refusal takes. They are weak:
 * where a file of this folder has the function itself, because it must look at arguments before it refuses, that one
 * counts. The reason is told once per function, to GPUVCHAN_LOG=debug and to CUDA's own log.
 */
#include "refusal.h"

#include "log.h"

static CUresult
refuse(const char *function, const char *reason, _Atomic bool *told)
{
    CUresult result = cuda_guest_ready();

    if (result != CUDA_SUCCESS)
        return result;
    if (!atomic_exchange(told, true)) {
        gpuvchan_log(GPUVCHAN_LOG_DEBUG, "%s is refused: %s", function, reason);
        cuda_guest_log(CU_LOG_LEVEL_ERROR, "%s is refused: %s", function, reason);
    }
    return CUDA_ERROR_NOT_SUPPORTED;
}

#define REFUSE(symbol, reason)                                                      \
    GPUVCHAN_EXPORT __attribute__((weak)) CUresult CUDA_GUEST_REFUSAL(symbol)(void) \
    {                                                                               \
        static _Atomic bool told;                                                   \
                                                                                    \
        return refuse(#symbol, reason, &told);                                      \
    }

CUDA_REFUSED_SYMBOLS(REFUSE)
