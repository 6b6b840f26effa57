/* SPDX-License-Identifier: MIT */
/* Entries of fatbins that are packed: by zstd, as nvcc does it unless told otherwise, or as an LZ4 block. */
#ifndef CUDA_UNPACK_H
#define CUDA_UNPACK_H

#include "cuda_fatbin.h"

/** Unpacks a payload to @p to, of entry->unpacked_bytes. @return its bytes; 0: packed in another way, or damaged. */
size_t cuda_fatbin_unpack(const struct cuda_fatbin_entry *entry, const void *from, void *to);

#endif
