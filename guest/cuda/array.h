/* SPDX-License-Identifier: MIT */
/* Arrays, and mipmapped arrays with their levels. */
#ifndef CUDA_GUEST_ARRAY_H
#define CUDA_GUEST_ARRAY_H

#include "guest.h"

#define CUDA_GUEST_PLANES 3u
#define CUDA_GUEST_LEVELS 32u

/** What an array has that are arrays too: planes, or a mipmapped array's levels. Their handles, 0: not made yet. */
struct cuda_guest_array {
    struct cuda_guest_object object;
    CUDA_ARRAY3D_DESCRIPTOR description;
    uint32_t element_bytes; /* 0: of a format that is packed otherwise */
    bool part;              /* a plane or a level: goes with what it is a part of */
    uint32_t parts[CUDA_GUEST_PLANES];
};

struct cuda_guest_mipmap {
    struct cuda_guest_object object;
    CUDA_ARRAY3D_DESCRIPTOR description;
    uint32_t levels;
    uint32_t parts[CUDA_GUEST_LEVELS];
};

/** The array behind a handle of the application, or NULL. */
static inline struct cuda_guest_array *
cuda_guest_array_find(CUarray array)
{
    return cuda_guest_find(array, CUDA_HANDLE_CUARRAY);
}

/** What the host knows physical memory of the program by; 0: it is none. */
uint32_t cuda_guest_physical_wire(CUmemGenericAllocationHandle handle);
/** Is this box inside the array? @p x and @p width are in bytes. Also true if only the driver can tell. */
bool cuda_guest_array_holds(const struct cuda_guest_array *array, const uint64_t begin[3], const uint64_t extent[3]);

#endif
