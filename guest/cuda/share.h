/* SPDX-License-Identifier: MIT */
/* Descriptors that stand for what another process of the guest may import; share.c tells how. */
#ifndef CUDA_GUEST_SHARE_H
#define CUDA_GUEST_SHARE_H

#include "guest.h"

#define CUDA_GUEST_TOKEN 32u

enum cuda_guest_share_kind {
    CUDA_GUEST_SHARE_PHYSICAL = 1,
    CUDA_GUEST_SHARE_POOL,
};

/** A descriptor for the program, that stands for @p token as long as somebody has it. */
CUresult cuda_guest_share_descriptor(struct cuda_guest_thread *self, enum cuda_guest_share_kind kind,
                                     const uint8_t token[CUDA_GUEST_TOKEN], int *fd);
/** The token that such a descriptor stands for, which another process may have made. */
CUresult cuda_guest_share_token(int fd, enum cuda_guest_share_kind kind, uint8_t token[CUDA_GUEST_TOKEN]);
/** Tells the host what nobody has a descriptor of any more. */
void cuda_guest_share_sweep(struct cuda_guest_thread *self);
/** Tells the program why nothing is shared, if @p result says so. Passes it through. */
CUresult cuda_guest_share_result(CUresult result);

#endif
