/* SPDX-License-Identifier: MIT */
/* Arrays without memory of their own: mapped tile by tile, or as a whole, where the device has such. */
#include "test.h"

#define WIDTH 256u
#define HEIGHT 256u

static uint32_t source[WIDTH * HEIGHT], got[WIDTH * HEIGHT];

static CUarray
make(unsigned flags)
{
    CUDA_ARRAY3D_DESCRIPTOR description = {WIDTH, HEIGHT, 0, CU_AD_FORMAT_UNSIGNED_INT32, 1, flags};
    CUarray array = NULL;

    GIVES(CUDA_SUCCESS, cuArray3DCreate_v2(&array, &description));
    return array;
}

static CUmemGenericAllocationHandle
memory(size_t bytes)
{
    CUmemAllocationProp properties = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                      .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
                                      .allocFlags.usage = CU_MEM_CREATE_USAGE_TILE_POOL};
    CUmemGenericAllocationHandle handle;
    size_t grain;

    NEED(cuMemGetAllocationGranularity(&grain, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    GIVES(CUDA_SUCCESS, cuMemCreate(&handle, (bytes + grain - 1) / grain * grain, &properties, 0));
    return handle;
}

/* Rows of the array, from memory or to it. */
static CUresult
rows(CUarray array, unsigned y, unsigned width, unsigned height, bool in)
{
    CUDA_MEMCPY2D copy = {.WidthInBytes = width * 4, .Height = height};

    if (in) {
        copy.srcMemoryType = CU_MEMORYTYPE_HOST;
        copy.srcHost = source + y * WIDTH;
        copy.srcPitch = WIDTH * 4;
        copy.dstMemoryType = CU_MEMORYTYPE_ARRAY;
        copy.dstArray = array;
        copy.dstY = y;
    } else {
        copy.srcMemoryType = CU_MEMORYTYPE_ARRAY;
        copy.srcArray = array;
        copy.srcY = y;
        copy.dstMemoryType = CU_MEMORYTYPE_HOST;
        copy.dstHost = got + y * WIDTH;
        copy.dstPitch = WIDTH * 4;
    }
    return cuMemcpy2D_v2(&copy);
}

static bool
is_copied(unsigned y, unsigned width, unsigned height)
{
    bool same = true;

    for (unsigned i = 0; i < height; i++)
        same = same && memcmp(source + (y + i) * WIDTH, got + (y + i) * WIDTH, width * 4) == 0;
    return same;
}

static void
tiles(CUstream stream)
{
    CUarray array = make(CUDA_ARRAY3D_SPARSE);
    CUDA_ARRAY_SPARSE_PROPERTIES properties = {0};
    CUmemGenericAllocationHandle handle = memory(1 << 20);
    CUarrayMapInfo info = {.resourceType = CU_RESOURCE_TYPE_ARRAY,
                           .resource.array = array,
                           .subresourceType = CU_ARRAY_SPARSE_SUBRESOURCE_TYPE_SPARSE_LEVEL,
                           .memOperationType = CU_MEM_OPERATION_TYPE_MAP,
                           .memHandleType = CU_MEM_HANDLE_TYPE_GENERIC,
                           .memHandle.memHandle = handle,
                           .deviceBitMask = 1};
    unsigned width, height;

    GIVES(CUDA_SUCCESS, cuArrayGetSparseProperties(&properties, array));
    width = properties.tileExtent.width;
    height = properties.tileExtent.height;
    ok(width > 0 && width <= WIDTH && height > 0 && height <= HEIGHT && properties.tileExtent.depth == 1,
       "an array has tiles");
    info.subresource.sparseLevel.extentWidth = width;
    info.subresource.sparseLevel.extentHeight = height;
    info.subresource.sparseLevel.extentDepth = 1;
    GIVES(CUDA_SUCCESS, cuMemMapArrayAsync(&info, 1, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    GIVES(CUDA_SUCCESS, rows(array, 0, width, height, true));
    GIVES(CUDA_SUCCESS, rows(array, 0, width, height, false));
    ok(is_copied(0, width, height), "a tile that is mapped has what was written");
    info.deviceBitMask = 0;
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemMapArrayAsync(&info, 1, stream));
    info.deviceBitMask = 1;
    info.memOperationType = CU_MEM_OPERATION_TYPE_UNMAP;
    info.memHandle.memHandle = 0;
    GIVES(CUDA_SUCCESS, cuMemMapArrayAsync(&info, 1, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    GIVES(CUDA_SUCCESS, cuMemRelease(handle));
    GIVES(CUDA_SUCCESS, cuArrayDestroy(array));
}

/* Two arrays, one behind the other in the same memory: what one has the other gets when it is mapped there. */
static void
whole(CUstream stream)
{
    CUarray array = make(CUDA_ARRAY3D_DEFERRED_MAPPING), other = make(CUDA_ARRAY3D_DEFERRED_MAPPING);
    CUDA_ARRAY_MEMORY_REQUIREMENTS needs = {0};
    CUmemGenericAllocationHandle handle;
    CUarrayMapInfo info = {.resourceType = CU_RESOURCE_TYPE_ARRAY,
                           .resource.array = array,
                           .memOperationType = CU_MEM_OPERATION_TYPE_MAP,
                           .memHandleType = CU_MEM_HANDLE_TYPE_GENERIC,
                           .deviceBitMask = 1};

    GIVES(CUDA_SUCCESS, cuArrayGetMemoryRequirements(&needs, array, 0));
    ok(needs.size >= sizeof(source) && needs.alignment > 0, "an array says what it needs");
    handle = memory(needs.size);
    info.memHandle.memHandle = handle;
    GIVES(CUDA_SUCCESS, cuMemMapArrayAsync(&info, 1, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    GIVES(CUDA_SUCCESS, rows(array, 0, WIDTH, HEIGHT, true));
    info.resource.array = other;
    GIVES(CUDA_SUCCESS, cuMemMapArrayAsync(&info, 1, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    memset(got, 0, sizeof(got));
    GIVES(CUDA_SUCCESS, rows(other, 0, WIDTH, HEIGHT, false));
    ok(is_copied(0, WIDTH, HEIGHT), "two arrays share memory");
    GIVES(CUDA_SUCCESS, cuArrayDestroy(other));
    GIVES(CUDA_SUCCESS, cuArrayDestroy(array));
    GIVES(CUDA_SUCCESS, cuMemRelease(handle));
}

int
main(void)
{
    CUcontext context = test_begin();
    int sparse = 0, deferred = 0;
    CUstream stream;

    for (unsigned i = 0; i < WIDTH * HEIGHT; i++)
        source[i] = i * 7919;
    NEED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    NEED(cuDeviceGetAttribute(&sparse, CU_DEVICE_ATTRIBUTE_SPARSE_CUDA_ARRAY_SUPPORTED, 0));
    NEED(cuDeviceGetAttribute(&deferred, CU_DEVICE_ATTRIBUTE_DEFERRED_MAPPING_CUDA_ARRAY_SUPPORTED, 0));
    if (sparse)
        tiles(stream);
    else
        ok(true, "tiles # skip this device has no sparse arrays");
    if (deferred)
        whole(stream);
    else
        ok(true, "deferred mapping # skip this device has none");
    GIVES(CUDA_SUCCESS, cuStreamDestroy_v2(stream));
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
