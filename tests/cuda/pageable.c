/* SPDX-License-Identifier: MIT */
/*
 * Pageable memory in copies of all sizes, also with little memory to copy through: what was copied, from several
 * threads, and that it has been read or written when the function returns.
 */
#include <dirent.h>
#include <pthread.h>

#include "test.h"

#define MOST (20u << 20)

static const size_t sizes[] = {1,      4096,    16384,   16385,          65536,          65537,    524288,
                               524289, 1048576, 1048577, (4u << 20) - 1, (4u << 20) + 7, 9000000u, MOST};
static CUcontext context;

static void *
nothing(void *argument)
{
    return argument;
}

/* Behind the first thread of all, for which a sanitizer may start one of its own. */
static unsigned
count_threads(void)
{
    DIR *folder = opendir("/proc/self/task");
    unsigned count = 0;

    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

/* In and out again, at places that are not aligned. */
static bool
round_trip(unsigned char *bytes, unsigned char *back, CUdeviceptr memory, size_t size, unsigned seed, CUstream stream)
{
    test_pattern(bytes + 3, size, seed);
    memset(back, 0x44, size + 8);
    if (stream)
        NEED(cuMemcpyHtoDAsync_v2(memory + 1, bytes + 3, size, stream));
    else
        NEED(cuMemcpyHtoD_v2(memory + 1, bytes + 3, size));
    memset(bytes + 3, 0x33, size); /* has been read */
    if (stream)
        NEED(cuMemcpyDtoHAsync_v2(back + 5, memory + 1, size, stream));
    else
        NEED(cuMemcpyDtoH_v2(back + 5, memory + 1, size));
    if (stream)
        NEED(cuStreamSynchronize(stream));
    test_pattern(bytes + 3, size, seed);
    return memcmp(bytes + 3, back + 5, size) == 0 && back[4] == 0x44 && back[5 + size] == 0x44;
}

struct buffers {
    CUdeviceptr memory;
    unsigned char *bytes, *back;
};

static struct buffers
buffers_make(void)
{
    struct buffers buffers = {.bytes = malloc(MOST + 16), .back = malloc(MOST + 16)};

    if (!buffers.bytes || !buffers.back)
        need(CUDA_ERROR_OUT_OF_MEMORY, "malloc");
    NEED(cuMemAlloc_v2(&buffers.memory, MOST + 16));
    return buffers;
}

static void
buffers_free(struct buffers *buffers)
{
    NEED(cuMemFree_v2(buffers->memory));
    free(buffers->bytes);
    free(buffers->back);
}

static void *
one_of_several(void *argument)
{
    unsigned which = *(const unsigned *)argument;
    struct buffers buffers;
    bool good = true;
    CUstream stream;

    NEED(cuCtxSetCurrent(context));
    NEED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    buffers = buffers_make();
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && good; i++)
        good = round_trip(buffers.bytes, buffers.back, buffers.memory, sizes[i], which * 100 + i, stream);
    NEED(cuStreamDestroy_v2(stream));
    buffers_free(&buffers);
    return good ? argument : NULL;
}

/* Up to so much that the copies have none left where it is little. */
static void
pin_much(void)
{
    size_t bytes = 1u << 20, total = 0;
    void *pinned;

    while (total < (8u << 20) && bytes >= 4096)
        if (cuMemHostAlloc(&pinned, bytes, 0) == CUDA_SUCCESS)
            total += bytes;
        else
            bytes /= 2;
    ok(true, "much memory is pinned");
}

/* Rows too. */
static void
test_rows(struct buffers *buffers)
{
    unsigned char *bytes = buffers->bytes, *back = buffers->back;
    CUDA_MEMCPY2D in = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                        .srcHost = bytes,
                        .srcPitch = 1100,
                        .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                        .dstDevice = buffers->memory,
                        .dstPitch = 1024,
                        .WidthInBytes = 1000,
                        .Height = 300};
    CUDA_MEMCPY2D out = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                         .srcDevice = buffers->memory,
                         .srcPitch = 1024,
                         .dstMemoryType = CU_MEMORYTYPE_HOST,
                         .dstHost = back,
                         .dstPitch = 1000,
                         .WidthInBytes = 1000,
                         .Height = 300};
    bool same = true;

    test_pattern(bytes, 1100 * 300, 9);
    GIVES(CUDA_SUCCESS, cuMemcpy2D_v2(&in));
    GIVES(CUDA_SUCCESS, cuMemcpy2D_v2(&out));
    for (unsigned i = 0; i < 300; i++)
        same &= memcmp(bytes + i * 1100, back + i * 1000, 1000) == 0;
    ok(same, "rows");
}

/* Planes and rows without gaps, many of them. */
static void
test_packed(struct buffers *buffers)
{
    CUDA_MEMCPY3D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                          .srcHost = buffers->bytes,
                          .srcPitch = 1000,
                          .srcHeight = 1000,
                          .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                          .dstDevice = buffers->memory,
                          .dstPitch = 1000,
                          .dstHeight = 1000,
                          .WidthInBytes = 1000,
                          .Height = 1000,
                          .Depth = 9};

    test_pattern(buffers->bytes, 9000000, 10);
    GIVES(CUDA_SUCCESS, cuMemcpy3D_v2(&copy));
    memset(buffers->back, 0, 9000000);
    copy.srcMemoryType = CU_MEMORYTYPE_DEVICE;
    copy.srcDevice = buffers->memory;
    copy.dstMemoryType = CU_MEMORYTYPE_HOST;
    copy.dstHost = buffers->back;
    GIVES(CUDA_SUCCESS, cuMemcpy3D_v2(&copy));
    ok(memcmp(buffers->bytes, buffers->back, 9000000) == 0, "planes without gaps");
}

/* From a thread that has copied nothing yet. */
static void *
rows_of_another(void *buffers)
{
    NEED(cuCtxSetCurrent(context));
    test_rows(buffers);
    return NULL;
}

static void
test_threads(void)
{
    unsigned which[3] = {1, 2, 3};
    pthread_t threads[3];
    void *good;

    for (unsigned i = 0; i < 3; i++)
        if (pthread_create(&threads[i], NULL, one_of_several, &which[i]) != 0)
            need(CUDA_ERROR_OPERATING_SYSTEM, "pthread_create");
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], &good);
        ok(good != NULL, "thread %u of several", i);
    }
}

int
main(void)
{
    struct buffers buffers;
    pthread_t thread;
    unsigned before;
    CUstream stream;

    context = test_begin();
    buffers = buffers_make();
    NEED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    if (pthread_create(&thread, NULL, nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
        need(CUDA_ERROR_OPERATING_SYSTEM, "pthread_create");
    before = count_threads();
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (sizes[i] == 9000000u) /* the copies before it were no large ones, or were not by a driver of its own */
            ok(count_threads() <= before + 4, "at most four threads help");
        ok(round_trip(buffers.bytes, buffers.back, buffers.memory, sizes[i], i, NULL), "%zu bytes", sizes[i]);
        ok(round_trip(buffers.bytes, buffers.back, buffers.memory, sizes[i], i + 20, stream), "%zu bytes on a stream",
           sizes[i]);
        if (sizes[i] == 1048577)
            ok(count_threads() == before, "small copies start no thread");
    }
    NEED(cuStreamDestroy_v2(stream));
    test_rows(&buffers);
    test_packed(&buffers);
    pin_much();
    if (pthread_create(&thread, NULL, rows_of_another, &buffers) != 0 || pthread_join(thread, NULL) != 0)
        need(CUDA_ERROR_OPERATING_SYSTEM, "pthread_create");
    buffers_free(&buffers);
    test_threads();
    for (unsigned i = 0; i < 40 && count_threads() > before; i++)
        usleep(100000);
    ok(count_threads() <= before, "the threads that helped have ended");
    NEED(cuCtxDestroy_v2(context));
    return test_end();
}
