/* SPDX-License-Identifier: MIT */
/* What the files about libraries, their kernels, and modules share. */
#ifndef CUDA_GUEST_LIBRARY_H
#define CUDA_GUEST_LIBRARY_H

#include "guest.h"

/** A variable of the module, which is kept. @p address or @p bytes may be NULL. */
CUresult cuda_guest_module_global(struct cuda_guest_thread *self, struct cuda_guest_module *module, const char *name,
                                  CUdeviceptr *address, size_t *bytes);
/** The module is about to go: its library, if it has one, knows it no more. */
void cuda_guest_library_forget(struct cuda_guest_module *module);

/**
 * Calls @p visit for the first @p count names that @p ask gets from the host, which gives as many as fit from number
 * @p first on, and how many there are altogether.
 */
CUresult cuda_guest_names_visit(struct cuda_guest_thread *self, uint32_t count,
                                CUresult (*ask)(struct cuda_guest_thread *self, void *context, uint32_t first,
                                                uint32_t *count, char *names, size_t *bytes),
                                CUresult (*visit)(struct cuda_guest_thread *self, void *context, uint32_t index,
                                                  const char *name),
                                void *context);

/** The kernel behind a handle, or NULL: a function of a module is none. */
static inline struct cuda_guest_function *
cuda_guest_kernel_find(CUkernel handle)
{
    struct cuda_guest_function *function = cuda_guest_find(handle, CUDA_HANDLE_FUNCTION);

    return function && function->library ? function : NULL;
}

#endif
