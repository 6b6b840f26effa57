/* SPDX-License-Identifier: MIT */
/*
 * What kernels print, which the host's driver gives to its own process: fetched, and written where the driver would
 * have written it.
 *
 * Design notes: the driver prints when it waits for the device, and a completion word counts what it has printed, so
 * a program whose kernels print nothing looks at one word after it has waited. The GPU's own marks, which waits look
 * at otherwise, do not have the driver wait: from the first image on that has a name of printing in it all waits are
 * calls. The name may be hidden in one that is compressed; then the text comes at the next call that waits, or when
 * the context ends.
 */
#include <stdio.h>
#include <string.h>

#include "guest.h"

#define SEARCHED_MOST ((size_t)64 << 20) /* larger images are libraries' */

struct cuda_guest_output cuda_guest_output;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* one fetches at a time, so that the order stays */
static bool begun;

static bool
has_name(const void *image, size_t bytes)
{
    static const char name[] = "vprintf";

    return bytes <= SEARCHED_MOST && memmem(image, bytes, name, sizeof(name) - 1) != NULL;
}

static void
begin(struct cuda_guest_thread *self)
{
    uint32_t word;

    pthread_mutex_lock(&lock);
    if (!begun && gpuvchan_completion_create(cuda_guest.channel, &word) == 0) {
        begun = true;
        if (cuda_output_begin_on(&cuda_guest.client, self->lane, word) == 0) {
            cuda_guest_output.word = word;
            atomic_store(&cuda_guest_output.comes, true);
        } else {
            gpuvchan_completion_destroy(cuda_guest.channel, word);
        }
    }
    pthread_mutex_unlock(&lock);
}

void
cuda_guest_output_expect(struct cuda_guest_thread *self, const void *image, size_t bytes)
{
    begin(self);
    if (atomic_load(&cuda_guest_output.comes) && !atomic_load(&cuda_guest_output.waits) && has_name(image, bytes))
        atomic_store(&cuda_guest_output.waits, true);
}

CUresult
cuda_guest_output_fetch(struct cuda_guest_thread *self, uint64_t count, CUresult result)
{
    char text[CUDA_OUTPUT_FETCH_TEXT_MAX];
    CUresult posted = cuda_guest_result(gpuvchan_lane_take_error(self->lane)); /* or the call would return it */
    bool more = true;

    pthread_mutex_lock(&lock);
    atomic_store(&cuda_guest_output.seen, count);
    while (more) {
        size_t bytes = sizeof(text);
        uint32_t file = 0;

        if (cuda_output_fetch_on(&cuda_guest.client, self->lane, &file, text, &bytes, &more) != 0)
            break;
        fwrite(text, 1, bytes, file == 2 ? stderr : stdout);
    }
    pthread_mutex_unlock(&lock);
    return result != CUDA_SUCCESS ? result : posted;
}
