/* SPDX-License-Identifier: MIT */
#include "image.h"

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cuda_api.h"
#include "cuda_fatbin.h"

#define TAIL 4096u /* zeros: ends a text, and stops a reader that goes on a little */

static bool
inside(uint64_t offset, uint64_t bytes, uint64_t all)
{
    return offset <= all && bytes <= all - offset;
}

static bool
elf_sections_fit(const unsigned char *image, size_t bytes, const Elf64_Ehdr *header)
{
    for (uint32_t i = 0; i < header->e_shnum; i++) {
        Elf64_Shdr section;

        memcpy(&section, image + header->e_shoff + (size_t)i * sizeof(section), sizeof(section));
        if (section.sh_type != SHT_NOBITS && !inside(section.sh_offset, section.sh_size, bytes))
            return false;
    }
    return true;
}

static bool
elf_segments_fit(const unsigned char *image, size_t bytes, const Elf64_Ehdr *header)
{
    for (uint32_t i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment;

        memcpy(&segment, image + header->e_phoff + (size_t)i * sizeof(segment), sizeof(segment));
        if (!inside(segment.p_offset, segment.p_filesz, bytes))
            return false;
    }
    return true;
}

static bool
elf_fits(const unsigned char *image, size_t bytes)
{
    Elf64_Ehdr header;

    if (bytes < sizeof(header))
        return false;
    memcpy(&header, image, sizeof(header));
    if (header.e_ident[EI_CLASS] != ELFCLASS64)
        return false;
    if (header.e_shnum > 0 && (header.e_shentsize != sizeof(Elf64_Shdr) ||
                               !inside(header.e_shoff, (uint64_t)header.e_shnum * sizeof(Elf64_Shdr), bytes)))
        return false;
    if (header.e_phnum > 0 && (header.e_phentsize != sizeof(Elf64_Phdr) ||
                               !inside(header.e_phoff, (uint64_t)header.e_phnum * sizeof(Elf64_Phdr), bytes)))
        return false;
    if (header.e_shnum > 0 && header.e_shstrndx >= header.e_shnum)
        return false;
    return elf_sections_fit(image, bytes, &header) && elf_segments_fit(image, bytes, &header);
}

/* Entries one behind the other; what is compressed in them is the driver's to judge. */
static bool
entries_fit(const unsigned char *image, uint64_t at, uint64_t end)
{
    while (at < end) {
        struct cuda_fatbin_entry entry;

        if (!inside(at, sizeof(entry), end))
            return false;
        memcpy(&entry, image + at, sizeof(entry));
        if (entry.header_bytes < sizeof(entry) || !inside(at, entry.header_bytes, end) ||
            !inside(at + entry.header_bytes, entry.bytes, end))
            return false;
        at += entry.header_bytes + entry.bytes;
    }
    return true;
}

/* One, and those that follow it at once. */
static bool
fatbins_fit(const unsigned char *image, size_t bytes)
{
    struct cuda_fatbin_header header;
    uint64_t at = 0;

    do {
        if (!inside(at, sizeof(header), bytes))
            return at != 0; /* too little for another one */
        memcpy(&header, image + at, sizeof(header));
        if (header.magic != CUDA_FATBIN_MAGIC)
            break;
        if (header.header_bytes < sizeof(header) || !inside(at, header.header_bytes, bytes) ||
            !inside(at + header.header_bytes, header.bytes, bytes) ||
            !entries_fit(image, at + header.header_bytes, at + header.header_bytes + header.bytes))
            return false;
        at += header.header_bytes + header.bytes;
    } while (at < bytes);
    return true;
}

static uint64_t
number_at(const unsigned char *image, uint64_t offset)
{
    uint64_t number;

    memcpy(&number, image + offset, sizeof(number));
    return number;
}

/* How many fatbins the list behind the wrapper names before its 0. False: it has no end. */
static bool
count_linked(const unsigned char *image, size_t bytes, uint64_t *count)
{
    for (*count = 0;; ++*count) {
        uint64_t at = sizeof(struct cuda_fatbin_wrapper) + *count * sizeof(uint64_t);

        if (!inside(at, sizeof(uint64_t), bytes))
            return false;
        if (number_at(image, at) == 0)
            return true;
    }
}

/* Each lies behind the list and reaches to the next one at most, the last one to the wrapper's own, that to the end. */
static bool
linked_fit(const unsigned char *image, size_t bytes, uint64_t count, uint64_t own)
{
    uint64_t least = sizeof(struct cuda_fatbin_wrapper) + (count + 1) * sizeof(uint64_t);

    for (uint64_t i = 0; i <= count; i++) {
        uint64_t list = sizeof(struct cuda_fatbin_wrapper) + i * sizeof(uint64_t);
        uint64_t at = i < count ? number_at(image, list) : own;
        uint64_t next = i == count ? bytes : i + 1 < count ? number_at(image, list + sizeof(uint64_t)) : own;

        if (at < least || at % 8 != 0 || next > bytes || at >= next || !fatbins_fit(image + at, next - at))
            return false;
        least = next;
    }
    return true;
}

/* Checks all, and only then puts pointers in the places of offsets. */
static bool
wrapper_resolve(unsigned char *image, size_t bytes)
{
    uint64_t begin = (uintptr_t)image, count;
    struct cuda_fatbin_wrapper wrapper;

    if (bytes < sizeof(wrapper))
        return false;
    memcpy(&wrapper, image, sizeof(wrapper));
    if (wrapper.version != CUDA_WRAPPER_LINKED || wrapper.list != sizeof(wrapper) ||
        !count_linked(image, bytes, &count) || !linked_fit(image, bytes, count, wrapper.data))
        return false;
    wrapper.data += begin;
    wrapper.list += begin;
    memcpy(image, &wrapper, sizeof(wrapper));
    for (uint64_t i = 0; i < count; i++) {
        uint64_t list = sizeof(wrapper) + i * sizeof(uint64_t), at = begin + number_at(image, list);

        memcpy(image + list, &at, sizeof(at));
    }
    return true;
}

bool
cuda_image_is_wrapper(const unsigned char *image, size_t bytes)
{
    uint32_t magic;

    if (bytes < sizeof(struct cuda_fatbin_wrapper))
        return false;
    memcpy(&magic, image, sizeof(magic));
    return magic == CUDA_WRAPPER_MAGIC;
}

void
cuda_image_unresolve(unsigned char *copy, const unsigned char *image)
{
    uint64_t begin = (uintptr_t)image, at;
    struct cuda_fatbin_wrapper wrapper;

    memcpy(&wrapper, copy, sizeof(wrapper));
    wrapper.data -= begin;
    wrapper.list -= begin;
    memcpy(copy, &wrapper, sizeof(wrapper));
    for (uint64_t list = sizeof(wrapper); (at = number_at(copy, list)) != 0; list += sizeof(uint64_t)) {
        at -= begin;
        memcpy(copy + list, &at, sizeof(at));
    }
}

bool
cuda_image_fits(unsigned char *image, size_t bytes)
{
    uint32_t magic = 0;

    if (bytes == 0)
        return false;
    memcpy(&magic, image, bytes < sizeof(magic) ? bytes : sizeof(magic));
    if (memcmp(&magic, ELFMAG, SELFMAG) == 0)
        return elf_fits(image, bytes);
    if (magic == CUDA_FATBIN_MAGIC)
        return fatbins_fit(image, bytes);
    if (magic == CUDA_WRAPPER_MAGIC)
        return wrapper_resolve(image, bytes);
    /* A text, that is PTX: the driver reads up to the NUL. No other binary is known to be safe. */
    return image[0] == '/' || image[0] == '.' || image[0] == '\t' || image[0] == '\r' || image[0] == '\n' ||
           image[0] == ' ';
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Before an image. */
struct front {
    size_t mapped; /* bytes from a page before the image on; 0: it is of the heap */
    unsigned char rest[64 - sizeof(size_t)];
};

#define PAGE 4096u

static struct front *
front_of(void *image)
{
    return (struct front *)image - 1;
}

void *
cuda_image_memory(size_t bytes)
{
    struct front *front = bytes < SIZE_MAX - TAIL - sizeof(*front) ? malloc(sizeof(*front) + bytes + TAIL) : NULL;

    if (!front)
        return NULL;
    front->mapped = 0;
    memset((unsigned char *)(front + 1) + bytes, 0, TAIL);
    return front + 1;
}

void *
cuda_image_map(int fd, size_t bytes)
{
    size_t pages = (bytes + PAGE - 1) / PAGE * PAGE, all = PAGE + pages + TAIL;
    unsigned char *memory;

    memory = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    if (mmap(memory + PAGE, pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED) {
        munmap(memory, all);
        return NULL;
    }
    madvise(memory + PAGE, pages, MADV_POPULATE_READ); /* at once, where the kernel can; it is no matter if not */
    front_of(memory + PAGE)->mapped = all;
    return memory + PAGE;
}

void
cuda_image_free(void *image)
{
    if (!image)
        return;
    if (front_of(image)->mapped > 0)
        munmap((unsigned char *)image - PAGE, front_of(image)->mapped);
    else
        free(front_of(image));
}
