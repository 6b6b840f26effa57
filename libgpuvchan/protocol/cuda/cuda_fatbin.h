/* SPDX-License-Identifier: MIT */
/*
 * Layouts of module images, as nvcc writes them; facts that are seen in its output. A fatbin is a header and entries,
 * each with its payload; others may follow it at once. A wrapper points to one, or to several that are to be linked.
 */
#ifndef CUDA_FATBIN_H
#define CUDA_FATBIN_H

#include <stddef.h>
#include <stdint.h>

#define CUDA_WRAPPER_MAGIC 0x466243b1u
#define CUDA_WRAPPER_LINKED 2u /* version of one with a list */
#define CUDA_FATBIN_MAGIC 0xba55ed50u

#define CUDA_FATBIN_PTX 1u /* kinds of entries; others are for other compilers */
#define CUDA_FATBIN_ELF 2u
#define CUDA_FATBIN_LZ4 0x2000u /* flags of entries: how they are packed */
#define CUDA_FATBIN_ZSTD 0x8000u
#define CUDA_FATBIN_PACKED 0xb000u /* in any way */

struct cuda_fatbin_wrapper {
    uint32_t magic, version;
    uint64_t data; /* address of the last, or only, fatbin */
    uint64_t list; /* address of a list of the others' addresses, which ends with 0 */
};
_Static_assert(sizeof(void *) == sizeof(uint64_t), "addresses");

struct cuda_fatbin_header {
    uint32_t magic;
    uint16_t version, header_bytes;
    uint64_t bytes; /* behind the header */
};

/** Entries that are not packed may be shorter: CUDA_FATBIN_ENTRY_BYTES at least. */
struct cuda_fatbin_entry {
    uint16_t kind, version;
    uint32_t header_bytes;
    uint64_t bytes; /* behind the header */
    uint32_t packed_bytes, options;
    uint16_t minor, major;
    uint32_t architecture, name_offset, name_bytes;
    uint64_t flags, reserved, unpacked_bytes;
};
#define CUDA_FATBIN_ENTRY_BYTES 16u

_Static_assert(sizeof(struct cuda_fatbin_wrapper) == 24, "a fatbin's wrapper");
_Static_assert(sizeof(struct cuda_fatbin_header) == 16, "a fatbin's header");
_Static_assert(offsetof(struct cuda_fatbin_entry, architecture) == 28 &&
                   offsetof(struct cuda_fatbin_entry, flags) == 40 && sizeof(struct cuda_fatbin_entry) == 64,
               "a fatbin's entry");

#endif
