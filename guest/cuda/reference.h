/* SPDX-License-Identifier: MIT */
/* Texture and surface references; reference.c tells what they are. */
#ifndef CUDA_GUEST_REFERENCE_H
#define CUDA_GUEST_REFERENCE_H

#include "guest.h"

struct cuda_guest_reference {
    struct cuda_guest_object object;
    struct cuda_guest_reference *next; /* of the module's; with the objects' lock */
    struct cuda_reference_state state; /* of textures; for one thread at a time, as the program's own order has it */
    CUarray array;                     /* what it is bound to: one of these, or nothing */
    CUmipmappedArray levels;
    CUdeviceptr address;
    bool named; /* by a module */
    char name[];
};

/** Enters, with the reference of that kind (CUDA_HANDLE_TEXREF, CUDA_HANDLE_SURFREF) behind a handle. */
CUresult cuda_guest_reference_enter(const void *handle, uint16_t kind, struct cuda_guest_thread **self,
                                    struct cuda_guest_reference **reference);

#endif
