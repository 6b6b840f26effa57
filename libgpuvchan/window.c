/* SPDX-License-Identifier: MIT */
#include "window.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/random.h>

#define WINDOW_START 0x600000000000ull
#define WINDOW_BYTES 0x0f0000000000ull
#define WINDOW_STEP 0x40000000ull
#define PAGE 4096u

#ifdef __has_feature
#define TSAN_CLANG __has_feature(thread_sanitizer)
#else
#define TSAN_CLANG 0
#endif
#if defined(__SANITIZE_THREAD__) || TSAN_CLANG
#define WINDOW_USABLE false /* ThreadSanitizer has its own memory there */
#else
#define WINDOW_USABLE true
#endif

#define PLACE (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

static void *
reserve_at(uint64_t base, uint64_t bytes)
{
    void *at = mmap((void *)(uintptr_t)base, bytes, PROT_NONE, PLACE | MAP_FIXED_NOREPLACE, -1, 0);

    if (at != MAP_FAILED && (uintptr_t)at != base) { /* a kernel before 4.17 takes it as a hint */
        munmap(at, bytes);
        at = MAP_FAILED;
    }
    return at;
}

static bool
inside(uint64_t base, uint64_t bytes)
{
    return base % PAGE == 0 && base >= WINDOW_START && base < WINDOW_START + WINDOW_BYTES &&
           bytes <= WINDOW_STEP * 1024;
}

void *
gpuvchan__window_reserve(uint64_t wanted, uint64_t bytes)
{
    void *at = MAP_FAILED;

    if (WINDOW_USABLE && wanted != 0 && inside(wanted, bytes))
        at = reserve_at(wanted, bytes);
    for (int tries = 0; WINDOW_USABLE && wanted == 0 && tries < 16 && at == MAP_FAILED; tries++) {
        uint64_t random;

        if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
            break;
        at = reserve_at(WINDOW_START + random % (WINDOW_BYTES / WINDOW_STEP) * WINDOW_STEP, bytes);
    }
    if (at == MAP_FAILED)
        at = mmap(NULL, bytes, PROT_NONE, PLACE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}
