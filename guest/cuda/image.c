/* SPDX-License-Identifier: MIT */
/*
 * How large a module image is: the API gives an address and no length.
 *
 * Design notes: the application is trusted not to lie about its image, but a damaged file should be an error and
 * not a crash, so headers are checked for sense before their sizes are believed. PTX is text and ends
 * with a NUL. An ELF image ends behind the last thing that its headers name. A fatbin says its size, and
 * another one may follow it at once; whether there is memory to look at is asked of the kernel.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "guest.h"

#include "cuda_fatbin.h"

#define IMAGE_MAX ((uint64_t)4 << 30)

static uint64_t
larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The end of @p count entries of @p bytes at @p offset, or IMAGE_MAX if that makes no sense. */
static uint64_t
table_end(uint64_t offset, uint64_t count, uint64_t bytes)
{
    return offset < IMAGE_MAX && count * bytes < IMAGE_MAX ? offset + count * bytes : IMAGE_MAX;
}

static size_t
elf_bytes(const unsigned char *image)
{
    Elf64_Ehdr head;
    uint64_t end;

    memcpy(&head, image, sizeof(head));
    if (head.e_ident[EI_CLASS] != ELFCLASS64 || (head.e_shnum && head.e_shentsize != sizeof(Elf64_Shdr)) ||
        (head.e_phnum && head.e_phentsize != sizeof(Elf64_Phdr)))
        return 0;
    end = larger(sizeof(head), table_end(head.e_shoff, head.e_shnum, sizeof(Elf64_Shdr)));
    end = larger(end, table_end(head.e_phoff, head.e_phnum, sizeof(Elf64_Phdr)));
    for (unsigned i = 0; i < head.e_shnum && end < IMAGE_MAX; i++) {
        Elf64_Shdr section;

        memcpy(&section, image + head.e_shoff + i * sizeof(section), sizeof(section));
        if (section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL)
            end = larger(end, table_end(section.sh_offset, 1, section.sh_size));
    }
    for (unsigned i = 0; i < head.e_phnum && end < IMAGE_MAX; i++) {
        Elf64_Phdr segment;

        memcpy(&segment, image + head.e_phoff + i * sizeof(segment), sizeof(segment));
        end = larger(end, table_end(segment.p_offset, 1, segment.p_filesz));
    }
    return end < IMAGE_MAX ? (size_t)end : 0;
}

/* Copies @p bytes from where perhaps nothing is mapped. */
static bool
read_safely(void *to, const void *from, size_t bytes)
{
    struct iovec local = {.iov_base = to, .iov_len = bytes};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)from, .iov_len = bytes};

    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)bytes;
}

/* Is the fatbin that of the wrapper before or behind this one? */
static bool
is_neighbours(const struct cuda_fatbin_wrapper *wrapper, const void *fatbin)
{
    struct cuda_fatbin_wrapper other;

    return wrapper && ((read_safely(&other, wrapper + 1, sizeof(other)) && other.magic == CUDA_WRAPPER_MAGIC &&
                        other.data == (uintptr_t)fatbin) ||
                       (read_safely(&other, wrapper - 1, sizeof(other)) && other.magic == CUDA_WRAPPER_MAGIC &&
                        other.data == (uintptr_t)fatbin));
}

/* @p wrapper is the application's, or NULL. */
static size_t
fatbin_bytes(const unsigned char *image, const struct cuda_fatbin_wrapper *wrapper)
{
    struct cuda_fatbin_header head;
    uint64_t end = 0;

    memcpy(&head, image, sizeof(head));
    do {
        if (head.header_bytes < sizeof(head) || head.bytes >= IMAGE_MAX || end >= IMAGE_MAX)
            return 0;
        end += head.header_bytes + head.bytes;
    } while (read_safely(&head, image + end, sizeof(head)) && head.magic == CUDA_FATBIN_MAGIC &&
             !is_neighbours(wrapper, image + end));
    return (size_t)end;
}

/* ---- Fatbins to be linked --------------------------------------------------------------------- */

#define LINKED_MAX 4096u

struct linked {
    size_t count; /* without the wrapper's own, which is the last one */
    struct {
        const unsigned char *data;
        size_t bytes;
    } fatbins[LINKED_MAX + 1];
};

static bool
linked_add(struct linked *linked, size_t index, const void *data)
{
    struct cuda_fatbin_header head;

    if (index > LINKED_MAX || !data)
        return false;
    memcpy(&head, data, sizeof(head));
    linked->fatbins[index].data = data;
    linked->fatbins[index].bytes = head.header_bytes + head.bytes;
    return head.magic == CUDA_FATBIN_MAGIC && head.header_bytes >= sizeof(head) && head.bytes < IMAGE_MAX;
}

static bool
linked_read(struct linked *linked, const struct cuda_fatbin_wrapper *wrapper)
{
    const void *const *more = (const void *const *)(uintptr_t)wrapper->list;

    for (linked->count = 0; more[linked->count]; linked->count++)
        if (!linked_add(linked, linked->count, more[linked->count]))
            return false;
    return linked_add(linked, linked->count, (const void *)(uintptr_t)wrapper->data);
}

static size_t
aligned(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

/* The wrapper's own layout: magic, version, data, list; the list, which ends with 0; the fatbins. */
static CUresult
linked_pack(const struct linked *linked, struct cuda_guest_image *out)
{
    size_t bytes = sizeof(struct cuda_fatbin_wrapper) + (linked->count + 1) * sizeof(uint64_t), at = bytes;
    struct cuda_fatbin_wrapper *wrapper;
    uint64_t *list;

    for (size_t i = 0; i <= linked->count; i++)
        bytes += aligned(linked->fatbins[i].bytes);
    wrapper = bytes < IMAGE_MAX ? calloc(1, bytes) : NULL;
    if (!wrapper)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *wrapper = (struct cuda_fatbin_wrapper){
        .magic = CUDA_WRAPPER_MAGIC, .version = CUDA_WRAPPER_LINKED, .list = sizeof(*wrapper)};
    list = (uint64_t *)(wrapper + 1);
    for (size_t i = 0; i <= linked->count; i++) {
        if (i < linked->count)
            list[i] = at;
        else
            wrapper->data = at;
        memcpy((unsigned char *)wrapper + at, linked->fatbins[i].data, linked->fatbins[i].bytes);
        at += aligned(linked->fatbins[i].bytes);
    }
    *out = (struct cuda_guest_image){.data = wrapper, .bytes = bytes, .memory = wrapper};
    return CUDA_SUCCESS;
}

static CUresult
linked_find(const struct cuda_fatbin_wrapper *wrapper, struct cuda_guest_image *out)
{
    struct linked *linked = malloc(sizeof(*linked));
    CUresult result;

    if (!linked)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = linked_read(linked, wrapper) ? linked_pack(linked, out) : CUDA_ERROR_INVALID_IMAGE;
    free(linked);
    return result;
}

/* ---- Any image ------------------------------------------------------------------------------- */

static size_t
image_bytes(const unsigned char *start, uint32_t magic, const struct cuda_fatbin_wrapper *wrapper)
{
    if (magic == CUDA_FATBIN_MAGIC)
        return fatbin_bytes(start, wrapper);
    if (memcmp(&magic, ELFMAG, SELFMAG) == 0)
        return elf_bytes(start);
    return strlen((const char *)start) + 1;
}

CUresult
cuda_guest_image_find(const void *image, struct cuda_guest_image *out)
{
    const unsigned char *start = image;
    const struct cuda_fatbin_wrapper *from = NULL;
    struct cuda_fatbin_wrapper wrapper;
    uint32_t magic = 0;

    /* Byte by byte up to a NUL, as a text may be shorter than a magic number. */
    for (unsigned i = 0; i < 4 && (i == 0 || start[i - 1] != 0); i++)
        magic |= (uint32_t)start[i] << 8 * i;
    if (magic == CUDA_WRAPPER_MAGIC) {
        from = image;
        memcpy(&wrapper, start, sizeof(wrapper));
        if (wrapper.version == CUDA_WRAPPER_LINKED && wrapper.list != 0)
            return linked_find(&wrapper, out);
        if (!wrapper.data)
            return CUDA_ERROR_INVALID_IMAGE;
        start = (const unsigned char *)(uintptr_t)wrapper.data;
        memcpy(&magic, start, sizeof(magic));
    }
    *out = (struct cuda_guest_image){.data = start, .bytes = image_bytes(start, magic, from)};
    return out->bytes != 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;
}
