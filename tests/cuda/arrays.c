/* SPDX-License-Identifier: MIT */
/* Arrays: what they are, and copies between them and all kinds of memory, compared with copies by the processor. */
#include "test.h"

#define WIDE 1500u /* elements of 4 bytes */
#define HIGH 700u
#define BYTES (WIDE * HIGH * 4u) /* more than the slots that a pageable copy goes through */

enum kind {
    DEVICE,
    PINNED,
    PAGEABLE,
    KINDS
};

static const char *const kind_names[] = {"device", "pinned", "pageable"};
static CUdeviceptr device;
static unsigned char *pinned, pageable[BYTES], source[BYTES], got[BYTES];

static CUarray
make(size_t width, size_t height, size_t depth, CUarray_format format, unsigned channels, unsigned flags)
{
    CUDA_ARRAY3D_DESCRIPTOR description = {width, height, depth, format, channels, flags};
    CUarray array;

    NEED(cuArray3DCreate_v2(&array, &description));
    return array;
}

/* ---- What they are --------------------------------------------------------------------------- */

static void
test_descriptions(void)
{
    CUDA_ARRAY_DESCRIPTOR flat = {40, 30, CU_AD_FORMAT_FLOAT, 2}, flat_got = {0};
    CUDA_ARRAY3D_DESCRIPTOR wrong = {16, 16, 0, CU_AD_FORMAT_FLOAT, 3, 0}, whole = {0};
    CUarray array, layered = make(32, 16, 5, CU_AD_FORMAT_UNSIGNED_INT8, 4, CUDA_ARRAY3D_LAYERED);

    GIVES(CUDA_SUCCESS, cuArrayCreate_v2(&array, &flat));
    GIVES(CUDA_SUCCESS, cuArrayGetDescriptor_v2(&flat_got, array));
    ok(memcmp(&flat, &flat_got, sizeof(flat)) == 0, "an array is described as it was made");
    GIVES(CUDA_SUCCESS, cuArray3DGetDescriptor_v2(&whole, array));
    ok(whole.Width == 40 && whole.Height == 30 && whole.Depth == 0 && whole.NumChannels == 2, "also in three");
    GIVES(CUDA_SUCCESS, cuArray3DGetDescriptor_v2(&whole, layered));
    ok(whole.Depth == 5 && whole.Flags == CUDA_ARRAY3D_LAYERED, "layers and flags are kept");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuArray3DCreate_v2(&array, &wrong));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuArray3DCreate_v2(NULL, &wrong));
    GIVES(CUDA_SUCCESS, cuArrayDestroy(layered));
    GIVES(CUDA_SUCCESS, cuArrayDestroy(array));
}

/* ---- Boxes ----------------------------------------------------------------------------------- */

static unsigned char *
memory_of(enum kind kind)
{
    return kind == PINNED ? pinned : pageable;
}

static void
put(enum kind kind, const unsigned char *bytes)
{
    if (kind == DEVICE)
        NEED(cuMemcpyHtoD_v2(device, bytes, BYTES));
    else
        memcpy(memory_of(kind), bytes, BYTES);
}

static const unsigned char *
get(enum kind kind)
{
    if (kind != DEVICE)
        return memory_of(kind);
    NEED(cuMemcpyDtoH_v2(got, device, BYTES));
    return got;
}

static void
copy_box(CUDA_MEMCPY3D *copy, CUstream stream)
{
    if (!stream) {
        NEED(cuMemcpy3D_v2(copy));
        return;
    }
    NEED(cuMemcpy3DAsync_v2(copy, stream));
    NEED(cuStreamSynchronize(stream));
}

/* Memory of @p from into the box of a 3D array, and that to memory of @p to. */
static void
test_box(enum kind from, enum kind to, CUstream stream)
{
    const size_t width = 300, rows = 200, planes = 9, pitch = 320, height = 210;
    CUarray array = make(100, 240, 16, CU_AD_FORMAT_UNSIGNED_INT32, 1, 0);
    CUDA_MEMCPY3D in = {.srcXInBytes = 4,
                        .srcY = 2,
                        .srcZ = 1,
                        .srcMemoryType = from == DEVICE ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST,
                        .srcHost = memory_of(from),
                        .srcDevice = device,
                        .srcPitch = pitch,
                        .srcHeight = height,
                        .dstXInBytes = 80,
                        .dstY = 11,
                        .dstZ = 3,
                        .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                        .dstArray = array,
                        .WidthInBytes = width,
                        .Height = rows,
                        .Depth = planes};
    CUDA_MEMCPY3D out = {.srcXInBytes = 80,
                         .srcY = 11,
                         .srcZ = 3,
                         .srcMemoryType = CU_MEMORYTYPE_ARRAY,
                         .srcArray = array,
                         .dstXInBytes = 8,
                         .dstY = 1,
                         .dstZ = 0,
                         .dstMemoryType = to == DEVICE ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST,
                         .dstHost = memory_of(to),
                         .dstDevice = device,
                         .dstPitch = pitch,
                         .dstHeight = height,
                         .WidthInBytes = width,
                         .Height = rows,
                         .Depth = planes};
    const unsigned char *end;
    bool same = true, kept;

    test_pattern(source, BYTES, (unsigned)(from * 4 + to));
    put(from, source);
    copy_box(&in, stream);
    memset(got, 0x55, BYTES);
    put(to, got);
    copy_box(&out, stream);
    end = get(to);
    kept = end[0] == 0x55 && end[pitch + 7] == 0x55 && end[pitch + 8 + width] == 0x55;
    for (size_t z = 0; z < planes; z++)
        for (size_t y = 0; y < rows; y++)
            same &= memcmp(end + (z * height + y + 1) * pitch + 8, source + ((z + 1) * height + y + 2) * pitch + 4,
                           width) == 0;
    ok(same && kept, "%s to a box of an array to %s%s", kind_names[from], kind_names[to],
       stream ? ", on a stream" : "");
    NEED(cuArrayDestroy(array));
}

/* A large flat array: more than the slots hold, in rows that are as wide. */
static void
test_rows(enum kind from, enum kind to, CUstream stream)
{
    CUarray array = make(WIDE, HIGH, 0, CU_AD_FORMAT_SIGNED_INT32, 1, 0);
    CUDA_MEMCPY2D in = {.srcMemoryType = from == DEVICE ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST,
                        .srcHost = memory_of(from),
                        .srcDevice = device,
                        .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                        .dstArray = array,
                        .WidthInBytes = WIDE * 4,
                        .Height = HIGH};
    CUDA_MEMCPY2D out = {.srcMemoryType = CU_MEMORYTYPE_ARRAY,
                         .srcArray = array,
                         .dstMemoryType = to == DEVICE ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST,
                         .dstHost = memory_of(to),
                         .dstDevice = device,
                         .WidthInBytes = WIDE * 4,
                         .Height = HIGH};

    in.srcPitch = out.dstPitch = WIDE * 4;
    test_pattern(source, BYTES, (unsigned)(from * 4 + to) + 50);
    put(from, source);
    if (stream)
        NEED(cuMemcpy2DAsync_v2(&in, stream));
    else
        NEED(cuMemcpy2D_v2(&in));
    if (from == PAGEABLE) /* has been read when the function returns */
        memset(pageable, 0x66, BYTES);
    if (stream)
        NEED(cuStreamSynchronize(stream));
    memset(got, 0x55, BYTES);
    put(to, got);
    if (stream) {
        NEED(cuMemcpy2DAsync_v2(&out, stream));
        NEED(cuStreamSynchronize(stream));
    } else {
        NEED(cuMemcpy2D_v2(&out));
    }
    ok(memcmp(get(to), source, BYTES) == 0, "%s to rows of an array to %s%s", kind_names[from], kind_names[to],
       stream ? ", on a stream" : "");
    NEED(cuArrayDestroy(array));
}

/* Planes of memory, without arrays. */
static void
test_planes(enum kind from)
{
    CUDA_MEMCPY3D copy = {.srcMemoryType = from == DEVICE ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST,
                          .srcHost = memory_of(from),
                          .srcDevice = device,
                          .srcPitch = 512,
                          .srcHeight = 12,
                          .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                          .dstPitch = 512,
                          .dstHeight = 10,
                          .WidthInBytes = 500,
                          .Height = 10,
                          .Depth = 7};
    CUdeviceptr other;
    bool same = true;

    NEED(cuMemAlloc_v2(&other, 512 * 10 * 7));
    copy.dstDevice = other;
    test_pattern(source, BYTES, from + 70);
    put(from, source);
    GIVES(CUDA_SUCCESS, cuMemcpy3D_v2(&copy));
    NEED(cuMemcpyDtoH_v2(got, other, 512 * 10 * 7));
    for (size_t z = 0; z < 7; z++)
        for (size_t y = 0; y < 10; y++)
            same &= memcmp(got + (z * 10 + y) * 512, source + (z * 12 + y) * 512, 500) == 0;
    ok(same, "planes of %s memory to the device", kind_names[from]);
    NEED(cuMemFree_v2(other));
}

static void
test_limits(void)
{
    CUarray array = make(16, 8, 0, CU_AD_FORMAT_UNSIGNED_INT8, 1, 0);
    CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                          .srcHost = source,
                          .srcPitch = 32,
                          .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                          .dstArray = array,
                          .WidthInBytes = 17,
                          .Height = 1};

    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D_v2(&copy));
    copy.WidthInBytes = 16;
    copy.dstY = 8;
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D_v2(&copy));
    copy.dstY = 7;
    GIVES(CUDA_SUCCESS, cuMemcpy2D_v2(&copy));
    NEED(cuArrayDestroy(array));
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static void
test_bytes(void)
{
    CUarray one = make(30000, 0, 0, CU_AD_FORMAT_UNSIGNED_INT32, 1, 0),
            two = make(30000, 0, 0, CU_AD_FORMAT_FLOAT, 1, 0);
    CUstream stream;

    NEED(cuStreamCreate(&stream, 0));
    test_pattern(source, 120000, 90);
    memcpy(pageable, source, 120000);
    GIVES(CUDA_SUCCESS, cuMemcpyHtoA_v2(one, 0, pageable, 120000));
    GIVES(CUDA_SUCCESS, cuMemcpyAtoA_v2(two, 400, one, 0, 80000));
    GIVES(CUDA_SUCCESS, cuMemcpyAtoD_v2(device, two, 400, 80000));
    GIVES(CUDA_SUCCESS, cuMemcpyDtoA_v2(one, 4, device, 80000));
    memset(pinned, 0, 120000);
    GIVES(CUDA_SUCCESS, cuMemcpyAtoHAsync_v2(pinned, one, 4, 80000, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    ok(memcmp(pinned, source, 80000) == 0, "bytes have gone over two arrays and the device");
    memset(pageable, 0, 120000);
    GIVES(CUDA_SUCCESS, cuMemcpyAtoH_v2(pageable, one, 80004, 39996));
    ok(memcmp(pageable, source + 80004, 39996) == 0, "and the others are as they were");
    test_pattern(pinned, 120000, 91);
    GIVES(CUDA_SUCCESS, cuMemcpyHtoAAsync_v2(two, 0, pinned, 120000, stream));
    GIVES(CUDA_SUCCESS, cuMemcpyAtoHAsync_v2(pageable, two, 0, 120000, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    ok(memcmp(pageable, pinned, 120000) == 0, "pinned and pageable memory on a stream");
    NEED(cuStreamDestroy_v2(stream));
    NEED(cuArrayDestroy(one));
    NEED(cuArrayDestroy(two));
}

/* ---- Mipmapped arrays ------------------------------------------------------------------------ */

static void
test_mipmaps(void)
{
    CUDA_ARRAY3D_DESCRIPTOR description = {64, 32, 0, CU_AD_FORMAT_UNSIGNED_INT8, 1, 0}, level = {0};
    CUarray levels[3], again;
    CUmipmappedArray mipmap;
    CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                          .srcHost = source,
                          .srcPitch = 32,
                          .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                          .WidthInBytes = 32,
                          .Height = 16};

    GIVES(CUDA_SUCCESS, cuMipmappedArrayCreate(&mipmap, &description, 3));
    for (unsigned i = 0; i < 3; i++) {
        GIVES(CUDA_SUCCESS, cuMipmappedArrayGetLevel(&levels[i], mipmap, i));
        GIVES(CUDA_SUCCESS, cuArray3DGetDescriptor_v2(&level, levels[i]));
        ok(level.Width == 64u >> i && level.Height == 32u >> i, "level %u is half as large", i);
    }
    GIVES(CUDA_SUCCESS, cuMipmappedArrayGetLevel(&again, mipmap, 1));
    ok(again == levels[1], "a level is the same one every time");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMipmappedArrayGetLevel(&again, mipmap, 3));
    copy.dstArray = levels[1];
    GIVES(CUDA_SUCCESS, cuMemcpy2D_v2(&copy));
    copy.dstArray = levels[2];
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D_v2(&copy));
    GIVES(CUDA_SUCCESS, cuMipmappedArrayDestroy(mipmap));
}

int
main(void)
{
    CUcontext context = test_begin();
    CUstream stream;

    NEED(cuMemAlloc_v2(&device, BYTES));
    NEED(cuMemHostAlloc((void **)&pinned, BYTES, 0));
    NEED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    test_descriptions();
    for (enum kind from = DEVICE; from < KINDS; from++)
        for (enum kind to = DEVICE; to < KINDS; to++) {
            test_box(from, to, NULL);
            test_box(from, to, stream);
            test_rows(from, to, (from + to) % 2 ? stream : NULL);
        }
    test_planes(DEVICE);
    test_planes(PINNED);
    test_planes(PAGEABLE);
    test_limits();
    test_bytes();
    test_mipmaps();
    make(64, 64, 0, CU_AD_FORMAT_FLOAT, 4, 0); /* goes with the context */
    NEED(cuCtxDestroy_v2(context));
    return test_end();
}
