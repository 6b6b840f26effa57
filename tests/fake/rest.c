/* SPDX-License-Identifier: MIT */
/*
 * The functions that libcuda.c lacks, for the fuzzer: generated from cuda_api.h (tests/cuda/fake/generate.py), they
 * succeed, and check what they are handed as libcuda.c does. A handle must be one that this driver has made and not
 * destroyed, an address of the device somebody's. Memory is of one size; for more there is none.
 */
#include "recorder.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcuda.h"

#define HANDLE_BASE 0x5a5a000000000000ull /* no address: who follows it is found out */
#define HANDLES 65536u
extern struct fake_cuda fake_cuda;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *kinds[HANDLES]; /* NULL: never made or destroyed */
static unsigned handles;
static const char *running;
static uint64_t last;
static CUdeviceptr last_address, made; /* of the device */
static long long largest;              /* number among the arguments: no size of memory is larger */

static bool
word_in(const char *const *words, const char *name)
{
    for (; *words; words++)
        if (strstr(name, *words))
            return true;
    return false;
}

static void
refuse(const char *what, uint64_t value)
{
    fprintf(stderr, "fake libcuda: %s: %s 0x%llx is nobody's\n", running, what, (unsigned long long)value);
    abort();
}

void
recorder_begin(const char *function)
{
    pthread_mutex_lock(&lock);
    running = function;
    last = last_address = made = 0;
    largest = 0;
}

CUresult
recorder_end(void)
{
    static const char *const ends[] = {"Destroy", "Unload", "Release", NULL}, *const frees[] = {"Free", NULL};
    CUresult result = CUDA_SUCCESS;

    if (fake_cuda.fail && strcmp(fake_cuda.fail, running) == 0) {
        fake_cuda.fail = NULL;
        result = (CUresult)fake_cuda.fail_result;
    } else if (last && word_in(ends, running)) {
        kinds[last - HANDLE_BASE] = NULL;
    } else if (last_address && word_in(frees, running)) {
        fake_cuda_give_back(last_address);
    } else if (made && (largest > FAKE_TAKEN_BYTES || largest < 0)) {
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (made && result != CUDA_SUCCESS)
        fake_cuda_give_back(made);
    pthread_mutex_unlock(&lock);
    return result;
}

void
recorder_number(long long value)
{
    largest = value < 0 || value > largest ? value : largest;
}

void
recorder_text(const char *text)
{
    if (text && strlen(text) > (1u << 16)) /* read to its end */
        refuse("a text of so many bytes", strlen(text));
}

void
recorder_handle(uint64_t handle)
{
    if (handle <= 2 || fake_cuda_owns((void *)(uintptr_t)handle))
        return;
    if (handle < HANDLE_BASE || handle - HANDLE_BASE >= HANDLES || !kinds[handle - HANDLE_BASE])
        refuse("handle", handle);
    last = handle;
}

void
recorder_made(uint64_t handle)
{
    (void)handle;
}

void
recorder_address(CUdeviceptr address)
{
    if (address != 0 && !fake_cuda_has(address))
        refuse("address", address);
    last_address = address;
}

uint64_t
recorder_make(const char *kind)
{
    handles = (handles + 1) % HANDLES; /* the oldest are long forgotten */
    kinds[handles] = kind;
    return HANDLE_BASE + handles;
}

/* Without memory left it is 0, as an error would leave it. */
CUdeviceptr
recorder_allocate(void)
{
    made = fake_cuda_take();
    return made;
}

/* Arrays are libcuda.c's, which has no planes. */
RECORDER_EXPORT CUresult
cuArrayGetPlane(CUarray *plane, CUarray array, unsigned int index)
{
    (void)plane;
    (void)array;
    (void)index;
    return CUDA_ERROR_NOT_SUPPORTED;
}
