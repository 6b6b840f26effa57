/* SPDX-License-Identifier: MIT */
/*
 * bulk.h - what a program does with bulk data itself, whatever carries it: each
 * mechanism that is compared writes and reads the same bytes in the same way.
 */
#ifndef BENCH_BULK_H
#define BENCH_BULK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BENCH_PAGE ((size_t)4096)

typedef uint64_t bench_quarter __attribute__((vector_size(16), may_alias));

/* Writes every byte. data is aligned to 64 bytes, and bytes is a multiple of 64. */
static inline void
bench_fill(void *data, size_t bytes, uint64_t number)
{
    bench_quarter *line = data, *end = line + bytes / sizeof(*line), value = {number, number};

    for (; line < end; line += 4)
        line[0] = line[1] = line[2] = line[3] = value;
    __asm__ volatile("" ::: "memory");
}

/* Reads every byte, with the same conditions. */
static inline void
bench_read(const void *data, size_t bytes)
{
    const bench_quarter *line = data, *end = line + bytes / sizeof(*line);
    bench_quarter a = {0}, b = {0}, c = {0}, d = {0};

    for (; line < end; line += 4)
        a ^= line[0], b ^= line[1], c ^= line[2], d ^= line[3];
    a ^= b ^ c ^ d;
    __asm__ volatile("" ::"m"(a)); /* read it all, whatever becomes of the sum */
}

/* One word of each page. */
static inline void
bench_pages_stamp(void *data, size_t bytes, uint64_t number)
{
    for (size_t at = 0; at < bytes; at += BENCH_PAGE)
        memcpy((char *)data + at, &number, sizeof(number));
}

static inline bool
bench_pages_stamped(const void *data, size_t bytes, uint64_t number)
{
    uint64_t found, wrong = 0;

    for (size_t at = 0; at < bytes; at += BENCH_PAGE) {
        memcpy(&found, (const char *)data + at, sizeof(found));
        wrong |= found ^ number;
    }
    return wrong == 0;
}

#endif
