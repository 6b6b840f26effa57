/* SPDX-License-Identifier: MIT */
/*
 * What this library has and does not do. Memory that was not allocated in the arena cannot be shared with the
 * host; the device's attribute HOST_REGISTER_SUPPORTED says so to programs that ask.
 */
#include "guest.h"

ENTRY
cuMemHostRegister_v2(void *pointer, size_t bytes, unsigned int flags)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_range range;
    CUresult result = cuda_guest_enter(&self);

    (void)flags;
    if (result != CUDA_SUCCESS)
        return result;
    if (!pointer || bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (cuda_guest_range_find((uintptr_t)pointer, &range))
        return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    return CUDA_ERROR_NOT_SUPPORTED;
}
ENTRY_ALIAS(cuMemHostRegister, cuMemHostRegister_v2);

ENTRY
cuMemHostUnregister(void *pointer)
{
    struct cuda_guest_thread *self;
    struct cuda_guest_range range;
    CUresult result = cuda_guest_enter(&self);

    if (result != CUDA_SUCCESS)
        return result;
    if (!pointer || cuda_guest_range_find((uintptr_t)pointer, &range))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
}
