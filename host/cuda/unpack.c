/* SPDX-License-Identifier: MIT */
#include "unpack.h"

#include <lz4.h>
#include <zstd.h>

size_t
cuda_fatbin_unpack(const struct cuda_fatbin_entry *entry, const void *from, void *to)
{
    size_t room = (size_t)entry->unpacked_bytes, bytes = entry->packed_bytes;
    int got;

    if (bytes > entry->bytes)
        return 0;
    if (entry->flags & CUDA_FATBIN_ZSTD) {
        size_t done = ZSTD_decompress(to, room, from, bytes);

        return ZSTD_isError(done) ? 0 : done;
    }
    if (!(entry->flags & CUDA_FATBIN_LZ4) || bytes > LZ4_MAX_INPUT_SIZE || room > LZ4_MAX_INPUT_SIZE)
        return 0;
    got = LZ4_decompress_safe(from, to, (int)bytes, (int)room);
    return got > 0 ? (size_t)got : 0;
}
