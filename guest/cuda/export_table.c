/* SPDX-License-Identifier: MIT */
/*
 * The tables that the CUDA runtime asks for are not in this build: cudart_compat.c has them. One of them runtimes can
 * do without, and ask for before all else; asking for another one tells a runtime.
 */
#include <stdio.h>
#include <string.h>

#include "guest.h"

ENTRY
cuGetExportTable(const void **table, const CUuuid *which)
{
    static const unsigned char optional[16] = {0xf8, 0xcf, 0xf9, 0x51, 0x21, 0x46, 0x8b, 0x4e,
                                               0xb9, 0xe2, 0xfb, 0x46, 0x9e, 0x7c, 0x0d, 0xd9};
    static _Atomic bool told;

    if (!table || !which)
        return CUDA_ERROR_INVALID_VALUE;
    *table = NULL;
    if (memcmp(which->bytes, optional, sizeof(optional)) != 0 && !atomic_exchange(&told, true))
        fputs("gpuvchan's libcuda.so.1: this program uses the CUDA runtime, which needs a libcuda.so.1 built with "
              "`make CUDART_COMPAT=1`; programs of the driver API run as they are\n",
              stderr);
    return CUDA_ERROR_NOT_FOUND;
}
