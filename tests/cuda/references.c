/* SPDX-License-Identifier: MIT */
/* Texture and surface references of old PTX, and kernels that use them where the device has the instructions. */
#include "test.h"

#define WIDTH 64u
#define HEIGHT 16u
#define PIXELS (WIDTH * HEIGHT)

#define DECLARED                                        \
    ".version 6.4\n.target sm_75\n.address_size 64\n"   \
    ".global .texref image;\n.global .surfref plane;\n" \
    ".visible .global .align 4 .u32 number;\n"

/* One thread per pixel: x = tid, y = ctaid. */
#define HEAD(name)                                                                           \
    ".visible .entry " name "(.param .u64 data)\n{\n"                                        \
    "    .reg .b32 %r<5>;\n    .reg .f32 %f<5>;\n    .reg .b64 %rd<5>;\n"                    \
    "    ld.param.u64 %rd2, [data];\n    mov.u32 %r1, %tid.x;\n    mov.u32 %r2, %ctaid.x;\n" \
    "    mad.lo.u32 %r3, %r2, 64, %r1;\n    mul.wide.u32 %rd3, %r3, 4;\n"                    \
    "    cvta.to.global.u64 %rd2, %rd2;\n    add.u64 %rd4, %rd2, %rd3;\n"

static const char used_ptx[] = DECLARED HEAD(
    "flat") "    tex.2d.v4.f32.s32 {%f1, %f2, %f3, %f4}, [image, {%r1, %r2}];\n    st.global.f32 [%rd4], %f1;\n   "
            " ret;\n}\n" HEAD("line") "    tex.1d.v4.f32.s32 {%f1, %f2, %f3, %f4}, [image, {%r3}];\n    "
                                      "st.global.f32 [%rd4], %f1;\n    ret;\n}\n" HEAD(
                                          "store") "    shl.b32 %r4, %r1, 2;\n    ld.global.b32 %r3, [%rd4];\n"
                                                   "    sust.b.2d.b32.trap [plane, {%r4, %r2}], {%r3};\n    "
                                                   "ret;\n}\n";
static const char declared_ptx[] = DECLARED HEAD("flat") "    ret;\n}\n";

static CUmodule module;
static bool runs; /* the device has the instructions */
static CUdeviceptr data;
static float source[PIXELS], got[PIXELS];

static void
load(void)
{
    runs = cuModuleLoadData(&module, used_ptx) == CUDA_SUCCESS;
    if (!runs)
        NEED(cuModuleLoadData(&module, declared_ptx));
}

static void
run(const char *name)
{
    void *parameters[] = {&data};
    CUfunction function;

    NEED(cuModuleGetFunction(&function, module, name));
    GIVES(CUDA_SUCCESS, test_launch(function, HEIGHT, WIDTH, NULL, parameters));
    GIVES(CUDA_SUCCESS, cuCtxSynchronize());
}

static void
check(const char *kernel, const char *what)
{
    if (!runs) {
        ok(true, "a kernel reads %s # skip this device has no such instructions", what);
        return;
    }
    NEED(cuMemsetD8_v2(data, 0, sizeof(got)));
    run(kernel);
    NEED(cuMemcpyDtoH_v2(got, data, sizeof(got)));
    ok(memcmp(got, source, sizeof(got)) == 0, "a kernel reads %s", what);
}

static void
settings(CUtexref image)
{
    float border[4] = {1, 2, 3, 4}, seen[4] = {0}, least = 0, most = 0, bias = 0;
    CUfilter_mode filter = (CUfilter_mode)9;
    CUaddress_mode mode = (CUaddress_mode)9;
    CUarray_format format = (CUarray_format)0;
    unsigned flags = 99;
    int channels = 0, anisotropy = 0;

    GIVES(CUDA_SUCCESS, cuTexRefSetFilterMode(image, CU_TR_FILTER_MODE_LINEAR));
    GIVES(CUDA_SUCCESS, cuTexRefGetFilterMode(&filter, image));
    ok(filter == CU_TR_FILTER_MODE_LINEAR, "a filter that was set is");
    GIVES(CUDA_SUCCESS, cuTexRefSetAddressMode(image, 1, CU_TR_ADDRESS_MODE_BORDER));
    GIVES(CUDA_SUCCESS, cuTexRefGetAddressMode(&mode, image, 1));
    ok(mode == CU_TR_ADDRESS_MODE_BORDER, "and a mode");
    GIVES(CUDA_SUCCESS, cuTexRefSetBorderColor(image, border));
    GIVES(CUDA_SUCCESS, cuTexRefGetBorderColor(seen, image));
    ok(memcmp(seen, border, sizeof(seen)) == 0, "and a colour");
    GIVES(CUDA_SUCCESS, cuTexRefSetMipmapFilterMode(image, CU_TR_FILTER_MODE_LINEAR));
    GIVES(CUDA_SUCCESS, cuTexRefGetMipmapFilterMode(&filter, image));
    GIVES(CUDA_SUCCESS, cuTexRefSetMipmapLevelBias(image, 0.5f));
    GIVES(CUDA_SUCCESS, cuTexRefGetMipmapLevelBias(&bias, image));
    ok(bias == 0.5f, "and a bias");
    GIVES(CUDA_SUCCESS, cuTexRefSetMipmapLevelClamp(image, 1, 2));
    GIVES(CUDA_SUCCESS, cuTexRefGetMipmapLevelClamp(&least, &most, image));
    ok(least == 1 && most == 2, "and levels");
    GIVES(CUDA_SUCCESS, cuTexRefSetMaxAnisotropy(image, 4));
    GIVES(CUDA_SUCCESS, cuTexRefGetMaxAnisotropy(&anisotropy, image));
    ok(anisotropy == 4, "and an anisotropy");
    GIVES(CUDA_SUCCESS, cuTexRefSetFlags(image, CU_TRSF_NORMALIZED_COORDINATES));
    GIVES(CUDA_SUCCESS, cuTexRefGetFlags(&flags, image));
    ok(flags == CU_TRSF_NORMALIZED_COORDINATES, "and flags");
    GIVES(CUDA_SUCCESS, cuTexRefSetFormat(image, CU_AD_FORMAT_UNSIGNED_INT8, 4));
    GIVES(CUDA_SUCCESS, cuTexRefGetFormat(&format, &channels, image));
    ok(format == CU_AD_FORMAT_UNSIGNED_INT8 && channels == 4, "and a format");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuTexRefGetFlags(NULL, image));
}

/* Pixels as they are, for what follows. */
static void
plain(CUtexref image)
{
    GIVES(CUDA_SUCCESS, cuTexRefSetFlags(image, 0));
    GIVES(CUDA_SUCCESS, cuTexRefSetFilterMode(image, CU_TR_FILTER_MODE_POINT));
    GIVES(CUDA_SUCCESS, cuTexRefSetMipmapFilterMode(image, CU_TR_FILTER_MODE_POINT));
    GIVES(CUDA_SUCCESS, cuTexRefSetMipmapLevelBias(image, 0));
    GIVES(CUDA_SUCCESS, cuTexRefSetMipmapLevelClamp(image, 0, 0));
    GIVES(CUDA_SUCCESS, cuTexRefSetMaxAnisotropy(image, 1));
    for (int i = 0; i < 2; i++)
        GIVES(CUDA_SUCCESS, cuTexRefSetAddressMode(image, i, CU_TR_ADDRESS_MODE_CLAMP));
    GIVES(CUDA_SUCCESS, cuTexRefSetFormat(image, CU_AD_FORMAT_FLOAT, 1));
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
textures(CUtexref image)
{
    CUDA_ARRAY_DESCRIPTOR description = {WIDTH, HEIGHT, CU_AD_FORMAT_FLOAT, 1};
    CUdeviceptr memory, address = 0;
    CUarray array = filled_array(0), bound = NULL;
    CUarray_format format = (CUarray_format)0;
    size_t pitch, offset = 99;
    int channels = 0;

    NEED(cuMemAllocPitch_v2(&memory, &pitch, WIDTH * 4, HEIGHT, 4));
    GIVES(CUDA_SUCCESS, cuTexRefSetArray(image, array, CU_TRSA_OVERRIDE_FORMAT));
    GIVES(CUDA_SUCCESS, cuTexRefGetArray(&bound, image));
    ok(bound == array, "a reference knows its array");
    GIVES(CUDA_SUCCESS, cuTexRefGetFormat(&format, &channels, image));
    ok(format == CU_AD_FORMAT_FLOAT && channels == 1, "and has its format");
    check("flat", "an array");
    GIVES(CUDA_SUCCESS, cuTexRefSetArray(image, array, 0));

    for (unsigned i = 0; i < HEIGHT; i++)
        NEED(cuMemcpyHtoD_v2(memory + i * pitch, source + i * WIDTH, WIDTH * 4));
    GIVES(CUDA_SUCCESS, cuTexRefSetAddress2D_v3(image, &description, memory, pitch));
    GIVES(CUDA_SUCCESS, cuTexRefGetAddress_v2(&address, image));
    ok(address == memory, "a reference knows its memory");
    check("flat", "rows of memory");

    NEED(cuMemFree_v2(memory));
    NEED(cuMemAlloc_v2(&memory, sizeof(source)));
    NEED(cuMemcpyHtoD_v2(memory, source, sizeof(source)));
    GIVES(CUDA_SUCCESS, cuTexRefSetAddress_v2(&offset, image, memory, sizeof(source)));
    ok(offset == 0, "an allocation begins where a texture can");
    check("line", "memory");
    NEED(cuMemFree_v2(memory));
    NEED(cuArrayDestroy(array));
}

static void
surfaces(CUsurfref plane)
{
    CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_ARRAY,
                          .dstMemoryType = CU_MEMORYTYPE_HOST,
                          .dstHost = got,
                          .dstPitch = WIDTH * 4,
                          .WidthInBytes = WIDTH * 4,
                          .Height = HEIGHT};
    CUDA_ARRAY3D_DESCRIPTOR description = {WIDTH, HEIGHT, 0, CU_AD_FORMAT_FLOAT, 1, CUDA_ARRAY3D_SURFACE_LDST};
    CUarray bound = NULL, array;

    NEED(cuArray3DCreate_v2(&array, &description));
    GIVES(CUDA_SUCCESS, cuSurfRefSetArray(plane, array, 0));
    GIVES(CUDA_SUCCESS, cuSurfRefGetArray(&bound, plane));
    ok(bound == array, "a surface reference knows its array");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuSurfRefSetArray(plane, array, 1));
    if (runs) {
        NEED(cuMemcpyHtoD_v2(data, source, sizeof(source)));
        run("store");
        copy.srcArray = array;
        memset(got, 0, sizeof(got));
        NEED(cuMemcpy2D_v2(&copy));
    }
    ok(!runs || memcmp(got, source, sizeof(got)) == 0, "a kernel writes to it");
    NEED(cuArrayDestroy(array));
}

int
main(void)
{
    CUcontext context = test_begin();
    CUtexref image = NULL, again = NULL, own = NULL;
    CUsurfref plane = NULL;
    CUfunction function;

    for (unsigned i = 0; i < PIXELS; i++)
        source[i] = (float)i * 0.5f;
    NEED(cuMemAlloc_v2(&data, sizeof(got)));
    load();
    GIVES(CUDA_SUCCESS, cuModuleGetTexRef(&image, module, "image"));
    GIVES(CUDA_SUCCESS, cuModuleGetTexRef(&again, module, "image"));
    ok(image && image == again, "a module's reference is one");
    GIVES(CUDA_ERROR_NOT_FOUND, cuModuleGetTexRef(&again, module, "nothing"));
    GIVES(CUDA_ERROR_NOT_FOUND, cuModuleGetTexRef(&again, module, "number"));
    GIVES(CUDA_SUCCESS, cuModuleGetSurfRef(&plane, module, "plane"));
    NEED(cuModuleGetFunction(&function, module, "flat"));
    settings(image);
    plain(image);
    textures(image);
    surfaces(plane);
    GIVES(CUDA_SUCCESS, cuTexRefCreate(&own));
    GIVES(CUDA_SUCCESS, cuTexRefSetFormat(own, CU_AD_FORMAT_FLOAT, 1));
    GIVES(CUDA_SUCCESS, cuTexRefDestroy(own));
    GIVES(CUDA_SUCCESS, cuModuleUnload(module));
    NEED(cuMemFree_v2(data));
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
