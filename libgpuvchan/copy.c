/* SPDX-License-Identifier: MIT */
/*
 * Copies between cores.
 *
 * Design notes: libc's memcpy() uses string instructions or streaming stores from some size on, which is right
 * for memory of one's own. For lines that another core has just written it is not: copying 64 KiB at a time out
 * of an arena between two cores of one cache, memcpy() was at 9 to 30 GB/s from run to run, the loop below at
 * 27 to 32 (Zen 4).
 */
#include "copy.h"

#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <gpuvchan/gpuvchan.h>

/* May alias anything, and lie anywhere. */
typedef uint64_t word_pair __attribute__((vector_size(16), aligned(1), may_alias));

#define LINE 64u

void
gpuvchan__copy_plain(void *to, const void *from, size_t bytes)
{
    word_pair *target = to;
    const word_pair *source = from;

    for (; bytes >= LINE; target += 4, source += 4, bytes -= LINE) {
        word_pair a = source[0], b = source[1], c = source[2], d = source[3];

        target[0] = a;
        target[1] = b;
        target[2] = c;
        target[3] = d;
    }
    memcpy(target, source, bytes);
}

#if defined(__SSE2__)
void
gpuvchan__copy_streaming(void *to, const void *from, size_t bytes)
{
    unsigned char *target = to;
    const unsigned char *source = from;
    size_t head = (16 - ((uintptr_t)to & 15)) & 15;

    head = head < bytes ? head : bytes;
    memcpy(target, source, head);
    target += head, source += head, bytes -= head;
    for (; bytes >= LINE; target += LINE, source += LINE, bytes -= LINE)
        for (size_t i = 0; i < LINE; i += 16)
            _mm_stream_si128((__m128i *)(void *)(target + i),
                             _mm_loadu_si128((const __m128i *)(const void *)(source + i)));
    memcpy(target, source, bytes);
    _mm_sfence(); /* streamed stores are weakly ordered: before the record that refers to them */
}
#else
void
gpuvchan__copy_streaming(void *to, const void *from, size_t bytes)
{
    gpuvchan__copy_plain(to, from, bytes);
}
#endif

void
gpuvchan_arena_read(void *to, const void *from, size_t bytes)
{
    gpuvchan__copy_plain(to, from, bytes);
}
