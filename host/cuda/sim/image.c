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

#include "../unpack.h"

#define ELF_MAGIC 0x464c457fu
#define ELF_MACHINE 190

/* The newest PTX that the device may run. */
struct choice {
    struct cuda_fatbin_entry entry;
    const char *payload; /* NULL: none so far */
};

static void
consider(struct choice *choice, const struct cuda_fatbin_entry *entry, const char *payload)
{
    if (entry->kind != CUDA_FATBIN_PTX || entry->architecture > SIM_CAPABILITY)
        return;
    if (choice->payload && entry->architecture <= choice->entry.architecture)
        return;
    choice->entry = *entry;
    choice->payload = payload;
}

static CUresult
give(const struct choice *choice, const char **text, size_t *length, char **memory, struct ptx_log *log)
{
    const struct cuda_fatbin_entry *entry = &choice->entry;

    if (!(entry->flags & CUDA_FATBIN_PACKED)) {
        *text = choice->payload;
        *length = strnlen(choice->payload, (size_t)entry->bytes); /* it is padded with zeros */
        return CUDA_SUCCESS;
    }
    if (entry->unpacked_bytes == 0 || entry->unpacked_bytes > PTX_MAX_TEXT)
        return CUDA_ERROR_INVALID_IMAGE;
    *memory = malloc((size_t)entry->unpacked_bytes);
    if (!*memory)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *length = cuda_fatbin_unpack(entry, choice->payload, *memory);
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
    struct cuda_fatbin_header header;
    struct cuda_fatbin_entry entry;
    struct choice choice = {.payload = NULL};
    size_t at, end;

    memcpy(&header, image, sizeof header);
    if (header.header_bytes < sizeof header || header.header_bytes > size || header.bytes > size - header.header_bytes)
        return CUDA_ERROR_INVALID_IMAGE;
    at = header.header_bytes;
    end = at + (size_t)header.bytes;
    while (end - at >= sizeof entry) {
        memcpy(&entry, image + at, sizeof entry);
        if (entry.header_bytes < sizeof entry || entry.header_bytes > end - at ||
            entry.bytes > end - at - entry.header_bytes)
            return CUDA_ERROR_INVALID_IMAGE;
        consider(&choice, &entry, (const char *)image + at + entry.header_bytes);
        at += entry.header_bytes + (size_t)entry.bytes;
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
        if (magic == CUDA_FATBIN_MAGIC) {
            if (size < sizeof(struct cuda_fatbin_header))
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
