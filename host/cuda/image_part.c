/* SPDX-License-Identifier: MIT */
/*
 * What is inside an image: PTX texts and machine code, which a fatbin may have packed by zstd, as nvcc does it unless
 * told otherwise, or as LZ4 blocks.
 */
#include "image.h"

#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "unpack.h"

#define WRAPPER_OWN offsetof(struct cuda_fatbin_wrapper, data)
#define UNPACKED_MOST ((uint64_t)1 << 30)

typedef int visit_function(void *context, const struct cuda_image_part *part);

static int
visit_packed(const struct cuda_fatbin_entry *entry, struct cuda_image_part *part, visit_function *visit, void *context)
{
    unsigned char *memory;
    int error = -ENOTSUP;

    if (entry->unpacked_bytes == 0 || entry->unpacked_bytes > UNPACKED_MOST || entry->packed_bytes > part->bytes)
        return -ENOTSUP;
    memory = calloc(1, (size_t)entry->unpacked_bytes + 1); /* a text ends */
    if (!memory)
        return -ENOMEM;
    part->bytes = cuda_fatbin_unpack(entry, part->data, memory);
    part->data = memory;
    if (part->bytes > 0)
        error = visit(context, part);
    free(memory);
    return error;
}

static int
visit_entry(const unsigned char *at, const struct cuda_fatbin_entry *entry, visit_function *visit, void *context)
{
    struct cuda_image_part part = {at + entry->header_bytes, (size_t)entry->bytes, entry->kind == CUDA_FATBIN_PTX};

    if (entry->kind != CUDA_FATBIN_PTX && entry->kind != CUDA_FATBIN_ELF)
        return 0; /* for other compilers */
    if (entry->header_bytes >= sizeof(*entry) && entry->flags & CUDA_FATBIN_PACKED)
        return visit_packed(entry, &part, visit, context);
    return visit(context, &part);
}

/* One, and those that follow it at once; all has been checked when it was loaded. */
static int
visit_fatbins(const unsigned char *image, size_t bytes, visit_function *visit, void *context)
{
    struct cuda_fatbin_header header;
    size_t at = 0;
    int error = 0;

    while (error == 0 && bytes - at >= sizeof(header)) {
        size_t end;

        memcpy(&header, image + at, sizeof(header));
        if (header.magic != CUDA_FATBIN_MAGIC)
            break;
        if (header.bytes > bytes - at - sizeof(header) || header.header_bytes > bytes - at - header.bytes)
            return -EBADMSG;
        end = at + header.header_bytes + (size_t)header.bytes;
        for (at += header.header_bytes; at < end && error == 0;) {
            struct cuda_fatbin_entry entry = {.kind = 0};

            memcpy(&entry, image + at, end - at < sizeof(entry) ? end - at : sizeof(entry));
            if (entry.header_bytes < CUDA_FATBIN_ENTRY_BYTES || entry.header_bytes > end - at ||
                entry.bytes > end - at - entry.header_bytes)
                return -EBADMSG;
            error = visit_entry(image + at, &entry, visit, context);
            at += entry.header_bytes + (size_t)entry.bytes;
        }
    }
    return error;
}

/* Several that are to be linked: behind the wrapper stand pointers to all but the last one, then a 0. */
static int
visit_wrapped(const unsigned char *image, size_t bytes, visit_function *visit, void *context)
{
    uint64_t at, own, begin = (uintptr_t)image;
    int error = 0;

    if (bytes < sizeof(struct cuda_fatbin_wrapper))
        return -EBADMSG;
    memcpy(&own, image + WRAPPER_OWN, sizeof(own));
    for (size_t list = sizeof(struct cuda_fatbin_wrapper); error == 0; list += sizeof(at)) {
        if (list > bytes - sizeof(at))
            return -EBADMSG;
        memcpy(&at, image + list, sizeof(at));
        if (at == 0)
            break;
        error =
            at - begin < bytes ? visit_fatbins(image + (at - begin), bytes - (at - begin), visit, context) : -EBADMSG;
    }
    if (error != 0)
        return error;
    return own - begin < bytes ? visit_fatbins(image + (own - begin), bytes - (own - begin), visit, context) : -EBADMSG;
}

int
cuda_image_visit(const unsigned char *image, size_t bytes, visit_function *visit, void *context)
{
    struct cuda_image_part part = {.data = image, .bytes = bytes};
    uint32_t magic = 0;

    memcpy(&magic, image, bytes < sizeof(magic) ? bytes : sizeof(magic));
    if (magic == CUDA_FATBIN_MAGIC)
        return visit_fatbins(image, bytes, visit, context);
    if (magic == CUDA_WRAPPER_MAGIC)
        return visit_wrapped(image, bytes, visit, context);
    part.text = memcmp(&magic, ELFMAG, SELFMAG) != 0;
    return visit(context, &part);
}
