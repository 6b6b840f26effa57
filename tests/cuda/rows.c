/* SPDX-License-Identifier: MIT */
/* Copies of rows between all kinds of memory, compared with a copy by the processor. */
#include "test.h"

#define SIDE 3000000u

enum kind {
    DEVICE,
    PINNED,
    PAGEABLE,
    KINDS
};

static const char *const kind_names[] = {"device", "pinned", "pageable"};
static CUdeviceptr device[2];
static unsigned char *pinned[2], *pageable[2], *expected;

static unsigned char *
host_of(enum kind kind, int side)
{
    return kind == PINNED ? pinned[side] : pageable[side];
}

static void
put(enum kind kind, int side, const unsigned char *bytes)
{
    if (kind == DEVICE)
        NEED(cuMemcpyHtoD_v2(device[side], bytes, SIDE));
    else
        memcpy(host_of(kind, side), bytes, SIDE);
}

static const unsigned char *
get(enum kind kind, unsigned char *room)
{
    if (kind != DEVICE)
        return host_of(kind, 1);
    NEED(cuMemcpyDtoH_v2(room, device[1], SIDE));
    return room;
}

static CUDA_MEMCPY2D
description(enum kind from, enum kind to, size_t width, size_t height, size_t from_pitch, size_t to_pitch)
{
    return (CUDA_MEMCPY2D){.srcXInBytes = 5,
                           .srcY = 2,
                           .srcMemoryType = from == DEVICE ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST,
                           .srcHost = from == DEVICE ? NULL : host_of(from, 0),
                           .srcDevice = device[0],
                           .srcPitch = from_pitch,
                           .dstXInBytes = 3,
                           .dstY = 1,
                           .dstMemoryType = to == DEVICE ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST,
                           .dstHost = to == DEVICE ? NULL : host_of(to, 1),
                           .dstDevice = device[1],
                           .dstPitch = to_pitch,
                           .WidthInBytes = width,
                           .Height = height};
}

static void
one(enum kind from, enum kind to, size_t width, size_t height, size_t from_pitch, size_t to_pitch, CUstream stream)
{
    static unsigned char source[SIDE], target[SIDE], room[SIDE];
    CUDA_MEMCPY2D copy = description(from, to, width, height, from_pitch, to_pitch);

    test_pattern(source, SIDE, (unsigned)(width + height));
    memset(target, 0x77, SIDE);
    memcpy(expected, target, SIDE);
    for (size_t i = 0; i < height; i++)
        memcpy(expected + (i + 1) * to_pitch + 3, source + (i + 2) * from_pitch + 5, width);
    put(from, 0, source);
    put(to, 1, target);
    if (stream) {
        NEED(cuMemcpy2DAsync_v2(&copy, stream));
        NEED(cuStreamSynchronize(stream));
    } else {
        NEED(cuMemcpy2D_v2(&copy));
    }
    ok(memcmp(get(to, room), expected, SIDE) == 0, "%s to %s, %zu x %zu, pitches %zu and %zu%s", kind_names[from],
       kind_names[to], width, height, from_pitch, to_pitch, stream ? ", on a stream" : "");
}

static void
refused(void)
{
    CUDA_MEMCPY2D copy = description(PAGEABLE, DEVICE, 100, 10, 200, 300);

    copy.srcPitch = 50;
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D_v2(&copy));
    copy.srcPitch = 200;
    copy.dstPitch = 50;
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D_v2(&copy));
    copy.dstPitch = SIDE;
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D_v2(&copy));
    copy.dstPitch = 300;
    copy.Height = 0;
    GIVES(CUDA_SUCCESS, cuMemcpy2D_v2(&copy));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D_v2(NULL));
}

int
main(void)
{
    CUcontext context = test_begin();
    CUstream stream;

    expected = malloc(SIDE);
    for (int i = 0; i < 2; i++) {
        NEED(cuMemAlloc_v2(&device[i], SIDE));
        NEED(cuMemHostAlloc((void **)&pinned[i], SIDE, 0));
        pageable[i] = malloc(SIDE);
    }
    NEED(cuStreamCreate(&stream, 0));
    for (int from = 0; from < KINDS; from++)
        for (int to = 0; to < KINDS; to++) {
            one(from, to, 1, 1, 64, 64, NULL);
            one(from, to, 100, 17, 128, 103, NULL);
            one(from, to, 777, 901, 1000, 2000, stream);
            one(from, to, 990000, 1, 990005, 990003, NULL);
        }
    refused();
    for (int i = 0; i < 2; i++) {
        NEED(cuMemFree_v2(device[i]));
        NEED(cuMemFreeHost(pinned[i]));
        free(pageable[i]);
    }
    free(expected);
    NEED(cuStreamDestroy_v2(stream));
    NEED(cuCtxDestroy_v2(context));
    return test_end();
}
