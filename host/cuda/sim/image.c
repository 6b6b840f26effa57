/* SPDX-License-Identifier: MIT */
/*
 * What a program gives as an image: PTX text, a fat binary with PTX inside, or
 * machine code, which this device cannot run. Every length in a fat binary is
 * checked against the size that the caller vouches for. Texts in it may be
 * compressed, by zstd as nvcc does it unless told otherwise, or as an LZ4 block.
 */
#include "driver.h"

#include <stdlib.h>
#include <string.h>

#include <lz4.h>
#include <zstd.h>

#define FATBIN_MAGIC 0xba55ed50u
#define ELF_MAGIC 0x464c457fu
#define ELF_MACHINE 190
#define ENTRY_PTX 1
#define ENTRY_LZ4 0x2000u
#define ENTRY_ZSTD 0x8000u
#define ENTRY_COMPRESSED 0xb000u /* any way of compression */

struct fatbin_header {
    uint32_t magic;
    uint16_t version, header_size;
    uint64_t size;
};

struct fatbin_entry {
    uint16_t kind, version;
    uint32_t header_size;
    uint64_t size;
    uint32_t compressed_size, options;
    uint16_t minor, major;
    uint32_t architecture;
    uint32_t name_offset, name_length;
    uint64_t flags;
    uint64_t reserved;
    uint64_t uncompressed_size;
};

_Static_assert(sizeof(struct fatbin_header) == 16, "fat binary header");
_Static_assert(offsetof(struct fatbin_entry, architecture) == 28, "fat binary entry");
_Static_assert(offsetof(struct fatbin_entry, flags) == 40, "fat binary entry");

/* The newest PTX that the device may run. */
struct choice {
    struct fatbin_entry entry;
    const char *payload; /* NULL: none so far */
};

static void
consider(struct choice *choice, const struct fatbin_entry *entry, const char *payload)
{
    if (entry->kind != ENTRY_PTX || entry->architecture > SIM_CAPABILITY)
        return;
    if (choice->payload && entry->architecture <= choice->entry.architecture)
        return;
    choice->entry = *entry;
    choice->payload = payload;
}

static size_t
decompress(const struct fatbin_entry *entry, const char *from, char *to)
{
    size_t room = (size_t)entry->uncompressed_size, bytes = (size_t)entry->compressed_size;
    int got;

    if (bytes > entry->size)
        return 0;
    if (entry->flags & ENTRY_ZSTD) {
        size_t done = ZSTD_decompress(to, room, from, bytes);

        return ZSTD_isError(done) ? 0 : done;
    }
    if (!(entry->flags & ENTRY_LZ4) || bytes > LZ4_MAX_INPUT_SIZE)
        return 0;
    got = LZ4_decompress_safe(from, to, (int)bytes, (int)room);
    return got > 0 ? (size_t)got : 0;
}

static CUresult
give(const struct choice *choice, const char **text, size_t *length, char **memory, struct ptx_log *log)
{
    const struct fatbin_entry *entry = &choice->entry;

    if (!(entry->flags & ENTRY_COMPRESSED)) {
        *text = choice->payload;
        *length = strnlen(choice->payload, (size_t)entry->size); /* it is padded with zeros */
        return CUDA_SUCCESS;
    }
    if (entry->uncompressed_size == 0 || entry->uncompressed_size > PTX_MAX_TEXT)
        return CUDA_ERROR_INVALID_IMAGE;
    *memory = malloc((size_t)entry->uncompressed_size);
    if (!*memory)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *length = decompress(entry, choice->payload, *memory);
    *length = strnlen(*memory, *length);
    *text = *memory;
    if (*length)
        return CUDA_SUCCESS;
    free(*memory);
    *memory = NULL;
    ptx_log_set(log, false, 0, "the fat binary's PTX is compressed in a way that is not known, or damaged");
    return CUDA_ERROR_INVALID_IMAGE;
}

static CUresult
find_in_fatbin(const unsigned char *image, size_t size, const char **text, size_t *length, char **memory,
               struct ptx_log *log)
{
    struct fatbin_header header;
    struct fatbin_entry entry;
    struct choice choice = {.payload = NULL};
    size_t at, end;

    memcpy(&header, image, sizeof header);
    if (header.header_size < sizeof header || header.header_size > size || header.size > size - header.header_size)
        return CUDA_ERROR_INVALID_IMAGE;
    at = header.header_size;
    end = at + (size_t)header.size;
    while (end - at >= sizeof entry) {
        memcpy(&entry, image + at, sizeof entry);
        if (entry.header_size < sizeof entry || entry.header_size > end - at ||
            entry.size > end - at - entry.header_size)
            return CUDA_ERROR_INVALID_IMAGE;
        consider(&choice, &entry, (const char *)image + at + entry.header_size);
        at += entry.header_size + (size_t)entry.size;
    }
    if (choice.payload)
        return give(&choice, text, length, memory, log);
    ptx_log_set(log, false, 0, "the fat binary holds no PTX for this device");
    return CUDA_ERROR_NO_BINARY_FOR_GPU;
}

/* A 64-bit ELF file of the machine that CUDA's code is for. */
static bool
is_cubin(const unsigned char *image, size_t size)
{
    return size >= 64 && image[4] == 2 && image[18] == ELF_MACHINE && image[19] == 0;
}

CUresult
sim_image_find_ptx(const void *image, size_t size, const char **text, size_t *length, char **memory,
                   struct ptx_log *log)
{
    uint32_t magic;

    *memory = NULL;
    /* byte by byte: a text may be shorter than the magic */
    *length = strnlen(image, size < 4 ? size : 4);
    if (*length == 4) {
        memcpy(&magic, image, sizeof magic);
        if (magic == FATBIN_MAGIC) {
            if (size < sizeof(struct fatbin_header))
                return CUDA_ERROR_INVALID_IMAGE;
            return find_in_fatbin(image, size, text, length, memory, log);
        }
        if (magic == ELF_MAGIC) {
            if (!is_cubin(image, size))
                return CUDA_ERROR_INVALID_IMAGE;
            ptx_log_set(log, false, 0, "machine code cannot run on this device");
            return CUDA_ERROR_NO_BINARY_FOR_GPU;
        }
    }
    *text = image;
    *length = strnlen(image, size < PTX_MAX_TEXT ? size : PTX_MAX_TEXT + 1ul);
    return CUDA_SUCCESS;
}
