/* SPDX-License-Identifier: MIT */
/*
 * What a program gives as an image: PTX text, a fat binary with PTX inside, or
 * machine code, which this device cannot run. Every length in a fat binary is
 * checked against the size that the caller vouches for.
 */
#include "driver.h"

#include <string.h>

#define FATBIN_MAGIC 0xba55ed50u
#define ELF_MAGIC 0x464c457fu
#define ELF_MACHINE 190
#define ENTRY_PTX 1
#define ENTRY_COMPRESSED 0xb000u /* flags: any way of compression */

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

/* Takes the newest PTX that the device may run; others stay unless none was. */
static void
consider(const struct fatbin_entry *entry, const char *payload, const char **text, size_t *length, uint32_t *best,
         bool *compressed)
{
    if (entry->kind != ENTRY_PTX || entry->architecture > SIM_CAPABILITY)
        return;
    if ((entry->flags & ENTRY_COMPRESSED) || entry->compressed_size) {
        *compressed = true;
        return;
    }
    if (*text && entry->architecture <= *best)
        return;
    *text = payload;
    *length = (size_t)entry->size;
    *best = entry->architecture;
}

static CUresult
find_in_fatbin(const unsigned char *image, size_t size, const char **text, size_t *length, struct ptx_log *log)
{
    struct fatbin_header header;
    struct fatbin_entry entry;
    uint32_t best = 0;
    bool compressed = false;
    size_t at, end;

    memcpy(&header, image, sizeof header);
    if (header.header_size < sizeof header || header.header_size > size || header.size > size - header.header_size)
        return CUDA_ERROR_INVALID_IMAGE;
    at = header.header_size;
    end = at + (size_t)header.size;
    *text = NULL;
    while (end - at >= sizeof entry) {
        memcpy(&entry, image + at, sizeof entry);
        if (entry.header_size < sizeof entry || entry.header_size > end - at ||
            entry.size > end - at - entry.header_size)
            return CUDA_ERROR_INVALID_IMAGE;
        consider(&entry, (const char *)image + at + entry.header_size, text, length, &best, &compressed);
        at += entry.header_size + (size_t)entry.size;
    }
    if (*text)
        return CUDA_SUCCESS;
    ptx_log_set(log, false, 0,
                compressed ? "the fat binary's PTX is compressed; build it with --no-compress"
                           : "the fat binary holds no PTX for this device");
    return CUDA_ERROR_NO_BINARY_FOR_GPU;
}

/* A 64-bit ELF file of the machine that CUDA's code is for. */
static bool
is_cubin(const unsigned char *image, size_t size)
{
    return size >= 64 && image[4] == 2 && image[18] == ELF_MACHINE && image[19] == 0;
}

CUresult
sim_image_find_ptx(const void *image, size_t size, const char **text, size_t *length, struct ptx_log *log)
{
    uint32_t magic;

    /* byte by byte: a text may be shorter than the magic */
    *length = strnlen(image, size < 4 ? size : 4);
    if (*length == 4) {
        memcpy(&magic, image, sizeof magic);
        if (magic == FATBIN_MAGIC) {
            if (size < sizeof(struct fatbin_header))
                return CUDA_ERROR_INVALID_IMAGE;
            return find_in_fatbin(image, size, text, length, log);
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
