/* SPDX-License-Identifier: MIT */
/* Device memory that the host has lent in chunks, so that most allocations need nobody. */
#ifndef CUDA_GUEST_CHUNK_H
#define CUDA_GUEST_CHUNK_H

#include "context.h"

/**
 * Memory of the current context from a chunk. CUDA_ERROR_NOT_SUPPORTED: the driver's own allocation must serve.
 */
CUresult cuda_guest_chunk_alloc(struct cuda_guest_thread *self, uint64_t bytes, CUdeviceptr *address);
/** Gives it back, once the device is done with all that was posted in its context. */
CUresult cuda_guest_chunk_free(struct cuda_guest_thread *self, const struct cuda_guest_range *range);
/** Gives back the chunks that are not in use, for an allocation that has failed. False: there were none. */
bool cuda_guest_chunks_trim(struct cuda_guest_thread *self);
/** Bytes of the device that are in chunks and not allocated. */
uint64_t cuda_guest_chunks_unused(int device);
/** The context has ended, and with it its chunks. */
void cuda_guest_chunks_forget(struct cuda_guest_context *context);

#endif
