/* SPDX-License-Identifier: MIT */
/*
 * The first generation of entry points, whose addresses and sizes have 32 bits (cuMemAlloc, where today's is
 * cuMemAlloc_v2). They work in contexts of their own generation, which nobody makes any more; in today's the
 * driver answers CUDA_ERROR_INVALID_CONTEXT, and so do these, whatever their arguments.
 */
#include "guest.h"

static CUresult
answer(void)
{
    CUresult result = cuda_guest_ready();

    return result != CUDA_SUCCESS ? result : CUDA_ERROR_INVALID_CONTEXT;
}

#define FIRST(name)      \
    ENTRY name(void)     \
    {                    \
        return answer(); \
    }

CUDA_GUEST_FIRST_GENERATION(FIRST)

/* And those that cuda_api.h declares. */

ENTRY
cuMemcpyAtoA(CUarray to, unsigned int to_offset, CUarray from, unsigned int from_offset, unsigned int bytes)
{
    (void)to, (void)to_offset, (void)from, (void)from_offset, (void)bytes;
    return answer();
}

ENTRY
cuMemcpyAtoH(void *to, CUarray from, unsigned int offset, unsigned int bytes)
{
    (void)to, (void)from, (void)offset, (void)bytes;
    return answer();
}

ENTRY
cuMemcpyHtoA(CUarray to, unsigned int offset, const void *from, unsigned int bytes)
{
    (void)to, (void)offset, (void)from, (void)bytes;
    return answer();
}

ENTRY
cuMemcpyAtoHAsync(void *to, CUarray from, unsigned int offset, unsigned int bytes, CUstream stream)
{
    (void)stream;
    return cuMemcpyAtoH(to, from, offset, bytes);
}

ENTRY
cuMemcpyHtoAAsync(CUarray to, unsigned int offset, const void *from, unsigned int bytes, CUstream stream)
{
    (void)stream;
    return cuMemcpyHtoA(to, offset, from, bytes);
}
