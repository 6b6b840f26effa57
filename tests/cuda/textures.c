/* SPDX-License-Identifier: MIT */
/*
 * Textures and surfaces, of arrays and of memory, and kernels that use them where the device has the instructions;
 * tensor maps.
 */
#include "test.h"

#define WIDTH 64u
#define HEIGHT 16u
#define PIXELS (WIDTH * HEIGHT)

/* One thread per pixel: x = tid, y = ctaid. */
#define PTX_HEAD(name)                                                    \
    ".version 6.4\n.target sm_75\n.address_size 64\n"                     \
    ".visible .entry " name "(.param .u64 view, .param .u64 data)\n{\n"   \
    "    .reg .b32 %r<5>;\n    .reg .f32 %f<5>;\n    .reg .b64 %rd<5>;\n" \
    "    ld.param.u64 %rd1, [view];\n    ld.param.u64 %rd2, [data];\n"    \
    "    mov.u32 %r1, %tid.x;\n    mov.u32 %r2, %ctaid.x;\n"              \
    "    mad.lo.u32 %r3, %r2, 64, %r1;\n    mul.wide.u32 %rd3, %r3, 4;\n" \
    "    cvta.to.global.u64 %rd2, %rd2;\n    add.u64 %rd4, %rd2, %rd3;\n"

static const char fetch_2d[] = PTX_HEAD("fetch") "    tex.2d.v4.f32.s32 {%f1, %f2, %f3, %f4}, [%rd1, {%r1, %r2}];\n"
                                                 "    st.global.f32 [%rd4], %f1;\n    ret;\n}\n";
static const char fetch_1d[] = PTX_HEAD("fetch") "    tex.1d.v4.f32.s32 {%f1, %f2, %f3, %f4}, [%rd1, {%r3}];\n"
                                                 "    st.global.f32 [%rd4], %f1;\n    ret;\n}\n";
static const char store_2d[] = PTX_HEAD("store") "    shl.b32 %r4, %r1, 2;\n    ld.global.b32 %r3, [%rd4];\n"
                                                 "    sust.b.2d.b32.trap [%rd1, {%r4, %r2}], {%r3};\n    ret;\n}\n";

static CUdeviceptr data;
static float source[PIXELS], got[PIXELS];

static CUDA_TEXTURE_DESC
point_sampled(void)
{
    CUDA_TEXTURE_DESC description = {0};

    for (int i = 0; i < 3; i++)
        description.addressMode[i] = CU_TR_ADDRESS_MODE_CLAMP;
    description.filterMode = CU_TR_FILTER_MODE_POINT;
    return description;
}

/* False: the device does not know the instruction. */
static bool
run(const char *ptx, const char *name, unsigned long long view)
{
    void *parameters[] = {&view, &data};
    CUfunction function;
    CUmodule module;
    CUresult result = cuModuleLoadData(&module, ptx);

    if (result != CUDA_SUCCESS) {
        ok(true, "%s # skip this device has no such instructions", name);
        return false;
    }
    NEED(cuModuleGetFunction(&function, module, name));
    GIVES(CUDA_SUCCESS, test_launch(function, HEIGHT, WIDTH, NULL, parameters));
    GIVES(CUDA_SUCCESS, cuCtxSynchronize());
    NEED(cuModuleUnload(module));
    return true;
}

static void
check_fetch(const char *ptx, CUtexObject texture, const char *what)
{
    NEED(cuMemsetD8_v2(data, 0, sizeof(got)));
    if (!run(ptx, "fetch", texture))
        return;
    NEED(cuMemcpyDtoH_v2(got, data, sizeof(got)));
    ok(memcmp(got, source, sizeof(got)) == 0, "a kernel reads %s", what);
}

static CUarray
filled_array(unsigned flags)
{
    CUDA_ARRAY3D_DESCRIPTOR description = {WIDTH, HEIGHT, 0, CU_AD_FORMAT_FLOAT, 1, flags};
    CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                          .srcHost = source,
                          .srcPitch = WIDTH * 4,
                          .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                          .WidthInBytes = WIDTH * 4,
                          .Height = HEIGHT};
    CUarray array;

    NEED(cuArray3DCreate_v2(&array, &description));
    copy.dstArray = array;
    NEED(cuMemcpy2D_v2(&copy));
    return array;
}

static void
test_array(void)
{
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY}, resource_got;
    CUDA_TEXTURE_DESC description = point_sampled(), description_got;
    CUDA_RESOURCE_VIEW_DESC view = {0};
    CUarray array = filled_array(0);
    CUtexObject texture, other;

    resource.res.array.hArray = array;
    GIVES(CUDA_SUCCESS, cuTexObjectCreate(&texture, &resource, &description, NULL));
    GIVES(CUDA_SUCCESS, cuTexObjectCreate(&other, &resource, &description, NULL));
    ok(texture != other, "two textures are two");
    GIVES(CUDA_SUCCESS, cuTexObjectGetResourceDesc(&resource_got, texture));
    ok(resource_got.resType == CU_RESOURCE_TYPE_ARRAY && resource_got.res.array.hArray == array,
       "a texture knows its array");
    GIVES(CUDA_SUCCESS, cuTexObjectGetTextureDesc(&description_got, texture));
    ok(description_got.addressMode[1] == CU_TR_ADDRESS_MODE_CLAMP, "and how it is sampled");
    /* An error, as it is documented; the driver of the H200 has success, and nothing to tell. */
    ok(cuTexObjectGetResourceViewDesc(&view, texture) != CUDA_SUCCESS || view.format == CU_RES_VIEW_FORMAT_NONE,
       "it has no view");
    check_fetch(fetch_2d, texture, "an array");
    GIVES(CUDA_SUCCESS, cuTexObjectDestroy(texture));
    check_fetch(fetch_2d, other, "it by the other texture");
    GIVES(CUDA_SUCCESS, cuTexObjectDestroy(other));
    NEED(cuArrayDestroy(array));
}

static void
test_memory(void)
{
    CUDA_RESOURCE_DESC linear = {.resType = CU_RESOURCE_TYPE_LINEAR};
    CUDA_RESOURCE_DESC flat = {.resType = CU_RESOURCE_TYPE_PITCH2D};
    CUDA_TEXTURE_DESC description = point_sampled();
    CUtexObject texture = 0;
    CUdeviceptr memory, rows;
    size_t pitch;

    NEED(cuMemAlloc_v2(&memory, sizeof(source)));
    NEED(cuMemcpyHtoD_v2(memory, source, sizeof(source)));
    linear.res.linear.devPtr = memory;
    linear.res.linear.format = CU_AD_FORMAT_FLOAT;
    linear.res.linear.numChannels = 1;
    linear.res.linear.sizeInBytes = sizeof(source);
    GIVES(CUDA_SUCCESS, cuTexObjectCreate(&texture, &linear, &description, NULL));
    check_fetch(fetch_1d, texture, "memory");
    GIVES(CUDA_SUCCESS, cuTexObjectDestroy(texture));
    NEED(cuMemAllocPitch_v2(&rows, &pitch, WIDTH * 4, HEIGHT, 4));
    for (unsigned i = 0; i < HEIGHT; i++)
        NEED(cuMemcpyHtoD_v2(rows + i * pitch, source + i * WIDTH, WIDTH * 4));
    flat.res.pitch2D.devPtr = rows;
    flat.res.pitch2D.format = CU_AD_FORMAT_FLOAT;
    flat.res.pitch2D.numChannels = 1;
    flat.res.pitch2D.width = WIDTH;
    flat.res.pitch2D.height = HEIGHT;
    flat.res.pitch2D.pitchInBytes = pitch;
    GIVES(CUDA_SUCCESS, cuTexObjectCreate(&texture, &flat, &description, NULL));
    check_fetch(fetch_2d, texture, "rows of memory");
    GIVES(CUDA_SUCCESS, cuTexObjectDestroy(texture));
    NEED(cuMemFree_v2(rows));
    NEED(cuMemFree_v2(memory));
}

static void
test_surface(void)
{
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY}, resource_got;
    CUarray array = filled_array(CUDA_ARRAY3D_SURFACE_LDST);
    CUsurfObject surface;

    resource.res.array.hArray = array;
    GIVES(CUDA_SUCCESS, cuSurfObjectCreate(&surface, &resource));
    GIVES(CUDA_SUCCESS, cuSurfObjectGetResourceDesc(&resource_got, surface));
    ok(resource_got.res.array.hArray == array, "a surface knows its array");
    for (unsigned i = 0; i < PIXELS; i++)
        got[i] = (float)i * 3;
    NEED(cuMemcpyHtoD_v2(data, got, sizeof(got)));
    if (run(store_2d, "store", surface)) {
        CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_ARRAY,
                              .srcArray = array,
                              .dstMemoryType = CU_MEMORYTYPE_HOST,
                              .dstHost = got,
                              .dstPitch = WIDTH * 4,
                              .WidthInBytes = WIDTH * 4,
                              .Height = HEIGHT};
        bool same = true;

        memset(got, 0, sizeof(got));
        NEED(cuMemcpy2D_v2(&copy));
        for (unsigned i = 0; i < PIXELS; i++)
            same &= got[i] == (float)i * 3;
        ok(same, "a kernel writes a surface");
    }
    GIVES(CUDA_SUCCESS, cuSurfObjectDestroy(surface));
    NEED(cuArrayDestroy(array));
}

static void
test_mipmap(void)
{
    CUDA_ARRAY3D_DESCRIPTOR size = {WIDTH, HEIGHT, 0, CU_AD_FORMAT_FLOAT, 1, 0};
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY};
    CUDA_RESOURCE_VIEW_DESC view = {.format = CU_RES_VIEW_FORMAT_FLOAT_1X32,
                                    .width = WIDTH,
                                    .height = HEIGHT,
                                    .firstMipmapLevel = 0,
                                    .lastMipmapLevel = 1},
                            view_got = {0};
    CUDA_TEXTURE_DESC description = point_sampled();
    CUmipmappedArray mipmap;
    CUtexObject texture;

    description.maxMipmapLevelClamp = 1;
    description.flags = CU_TRSF_NORMALIZED_COORDINATES;
    NEED(cuMipmappedArrayCreate(&mipmap, &size, 2));
    resource.res.mipmap.hMipmappedArray = mipmap;
    GIVES(CUDA_SUCCESS, cuTexObjectCreate(&texture, &resource, &description, &view));
    GIVES(CUDA_SUCCESS, cuTexObjectGetResourceViewDesc(&view_got, texture));
    ok(view_got.width == WIDTH && view_got.lastMipmapLevel == 1, "a texture knows its view");
    GIVES(CUDA_SUCCESS, cuTexObjectDestroy(texture));
    NEED(cuMipmappedArrayDestroy(mipmap));
}

/* Maps of the same arguments are the same, of others they are others. */
static void
test_tensor_maps(void)
{
    cuuint64_t dimensions[2] = {WIDTH, HEIGHT}, strides[1] = {WIDTH * 4};
    cuuint32_t box[2] = {16, 8}, steps[2] = {1, 1}, ones[4] = {1, 1, 1, 1};
    const cuuint64_t image[4] = {32, 4, 4, 2}, image_strides[3] = {128, 512, 2048};
    const int lower[2] = {-1, -1}, upper[2] = {-1, -1};
    CUtensorMap first, again, moved;
    CUresult result;

    memset(&first, 0x11, sizeof(first));
    memset(&again, 0x22, sizeof(again));
    result = cuTensorMapEncodeTiled(&first, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2, (void *)(uintptr_t)data, dimensions,
                                    strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
                                    CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    is_result(result, CUDA_SUCCESS, "cuTensorMapEncodeTiled");
    for (int i = 0; i < 2; i++) {
        GIVES(CUDA_SUCCESS,
              cuTensorMapEncodeTiled(i ? &moved : &again, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2,
                                     (void *)(uintptr_t)(data + 1024 * (unsigned)i), dimensions, strides, box, steps,
                                     CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
                                     CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
    }
    ok(memcmp(&first, &again, sizeof(first)) == 0, "the same arguments make the same map");
    ok(memcmp(&first, &moved, sizeof(first)) != 0, "another address makes another");
    GIVES(CUDA_SUCCESS, cuTensorMapReplaceAddress(&first, (void *)(uintptr_t)(data + 1024)));
    ok(memcmp(&first, &moved, sizeof(first)) == 0, "which replacing the address makes too");
    GIVES(CUDA_SUCCESS, cuTensorMapEncodeIm2col(&first, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 4, (void *)(uintptr_t)data,
                                                image, image_strides, lower, upper, 32, 16, ones,
                                                CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
                                                CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
    ok(memcmp(&first, &moved, sizeof(first)) != 0, "a map of columns is another one");
    dimensions[0] = 0;
    GIVES(CUDA_ERROR_INVALID_VALUE,
          cuTensorMapEncodeTiled(&first, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2, (void *)(uintptr_t)data, dimensions,
                                 strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
                                 CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
}

int
main(void)
{
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY};
    CUDA_TEXTURE_DESC description = point_sampled();
    CUcontext context = test_begin();
    CUtexObject texture;

    for (unsigned i = 0; i < PIXELS; i++)
        source[i] = (float)i + 0.5f;
    NEED(cuMemAlloc_v2(&data, sizeof(source)));
    test_array();
    test_memory();
    test_surface();
    test_mipmap();
    test_tensor_maps();
    GIVES(CUDA_ERROR_INVALID_VALUE, cuTexObjectCreate(&texture, NULL, &description, NULL));
    resource.res.array.hArray = filled_array(0);
    NEED(cuTexObjectCreate(&texture, &resource, &description, NULL)); /* goes with the context */
    NEED(cuCtxDestroy_v2(context));
    return test_end();
}
