/* SPDX-License-Identifier: MIT */
/* Libraries and their kernels, in several contexts; launches with attributes; linking; occupancy. */
#include "test.h"

#define COUNT 1000u
#define PADDING ((size_t)24 << 20) /* more than the arena of one of the runs */

static CUdeviceptr
numbers(void)
{
    CUdeviceptr data;

    NEED(cuMemAlloc_v2(&data, COUNT * 4));
    NEED(cuMemsetD32_v2(data, 7, COUNT));
    return data;
}

static bool
all_are(CUdeviceptr data, unsigned value)
{
    unsigned out[COUNT];

    if (cuMemcpyDtoH_v2(out, data, sizeof(out)) != CUDA_SUCCESS)
        return false;
    for (unsigned i = 0; i < COUNT; i++)
        if (out[i] != value) {
            printf("# %u is %u and not %u\n", i, out[i], value);
            return false;
        }
    return true;
}

/* "add" by whatever handle. */
static bool
adds(void *function, unsigned value)
{
    CUdeviceptr data = numbers();
    unsigned count = COUNT;
    void *parameters[] = {&data, &count, &value};
    bool good = cuLaunchKernel(function, (COUNT + 127) / 128, 1, 1, 128, 1, 1, 0, NULL, parameters, NULL) == 0 &&
                all_are(data, 7 + value);

    NEED(cuMemFree_v2(data));
    return good;
}

static bool
adds_packed(void *function)
{
    struct {
        CUdeviceptr data;
        unsigned count, value;
    } packed = {.data = numbers(), .count = COUNT, .value = 5};
    size_t bytes = sizeof(packed);
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &packed, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, CU_LAUNCH_PARAM_END};
    bool good = cuLaunchKernel(function, (COUNT + 127) / 128, 1, 1, 128, 1, 1, 0, NULL, NULL, extra) == 0 &&
                all_are(packed.data, 12);

    NEED(cuMemFree_v2(packed.data));
    return good;
}

/* ---- Kernels --------------------------------------------------------------------------------- */

static void
before_contexts(CUlibrary library)
{
    CUkernel add, again, narrow;
    CUlibrary found;
    const char *name = "";
    size_t offset = 99, bytes = 99;
    int value = -1;

    GIVES(CUDA_SUCCESS, cuLibraryGetKernel(&add, library, "add"));
    GIVES(CUDA_SUCCESS, cuLibraryGetKernel(&again, library, "add"));
    ok(add == again, "a kernel has one handle");
    GIVES(CUDA_ERROR_NOT_FOUND, cuLibraryGetKernel(&again, library, "nothing"));
    GIVES(CUDA_SUCCESS, cuKernelGetLibrary(&found, add));
    ok(found == library, "it knows its library");
    GIVES(CUDA_SUCCESS, cuKernelGetName(&name, add));
    ok(strcmp(name, "add") == 0, "and its name");
    GIVES(CUDA_ERROR_INVALID_CONTEXT, cuKernelGetParamInfo(add, 2, &offset, &bytes));
    GIVES(CUDA_SUCCESS, cuLibraryGetKernel(&narrow, library, "narrow"));
    GIVES(CUDA_SUCCESS, cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, narrow, 0));
    ok(value == 64, "attributes are told without a context");
    GIVES(CUDA_SUCCESS, cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 1000, add, 0));
    GIVES(CUDA_SUCCESS, cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, add, 0));
    ok(value == 1000, "and set");
    GIVES(CUDA_ERROR_INVALID_DEVICE, cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, add, 999));
    GIVES(CUDA_SUCCESS, cuKernelSetCacheConfig(add, CU_FUNC_CACHE_PREFER_L1, 0));
}

static void
names(CUlibrary library)
{
    unsigned count = 0, found = 0;
    CUkernel kernels_of[16];

    GIVES(CUDA_SUCCESS, cuLibraryGetKernelCount(&count, library));
    ok(count == 6, "six kernels");
    if (count != 6)
        return;
    GIVES(CUDA_SUCCESS, cuLibraryEnumerateKernels(kernels_of, count, library));
    for (unsigned i = 0; i < count; i++) {
        const char *name = NULL;
        CUkernel same;

        found += cuKernelGetName(&name, kernels_of[i]) == CUDA_SUCCESS &&
                 cuLibraryGetKernel(&same, library, name) == CUDA_SUCCESS && same == kernels_of[i];
    }
    ok(found == count, "all of them are found by their names");
}

static void
launches(CUlibrary library)
{
    CUkernel add;
    CUfunction function = NULL;
    CUmodule module;
    size_t offset = 99, bytes = 99;
    int value = -1;

    NEED(cuLibraryGetKernel(&add, library, "add"));
    GIVES(CUDA_SUCCESS, cuKernelGetParamInfo(add, 2, &offset, &bytes));
    ok(offset == 12 && bytes == 4, "a kernel has its parameters");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuKernelGetParamInfo(add, 3, &offset, &bytes));
    GIVES(CUDA_SUCCESS, cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, add, 0));
    ok(value == 1000, "and what was set without a context");
    ok(adds(add, 1), "it is launched");
    ok(adds(add, 2), "and again");
    ok(adds_packed(add), "with packed parameters");
    GIVES(CUDA_SUCCESS, cuKernelGetFunction(&function, add));
    ok(function && adds(function, 3), "as a function of the context");
    GIVES(CUDA_SUCCESS, cuLibraryGetModule(&module, library));
    GIVES(CUDA_SUCCESS, cuModuleGetFunction(&function, module, "add"));
    ok(adds(function, 4), "as a function of the library's module");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel((CUfunction)add, 0, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
}

static unsigned
ticks(CUlibrary library, CUdeviceptr counter)
{
    unsigned value = 0;
    CUkernel tick;

    NEED(cuLibraryGetKernel(&tick, library, "tick"));
    NEED(cuLaunchKernel((CUfunction)tick, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    NEED(cuMemcpyDtoH_v2(&value, counter, 4));
    return value;
}

static void
variables(CUlibrary library, unsigned begin)
{
    CUdeviceptr counter = 0, again = 0;
    size_t bytes = 0;

    GIVES(CUDA_SUCCESS, cuLibraryGetGlobal(&counter, &bytes, library, "counter"));
    ok(bytes == 4, "a variable has its size");
    GIVES(CUDA_SUCCESS, cuLibraryGetGlobal(&again, NULL, library, "counter"));
    ok(counter == again, "and its place");
    GIVES(CUDA_ERROR_NOT_FOUND, cuLibraryGetGlobal(&again, NULL, library, "nothing"));
    NEED(cuMemcpyHtoD_v2(counter, &begin, 4));
    ok(ticks(library, counter) == begin + 3, "kernels reach it");
}

/* What one context has is not the other's. */
static void
two_contexts(CUlibrary library, CUcontext first)
{
    CUcontext second;
    CUdeviceptr counter;
    CUkernel add;

    NEED(cuLibraryGetKernel(&add, library, "add"));
    variables(library, 40);
    NEED(cuCtxCreate_v2(&second, 0, 0));
    ok(adds(add, 6), "the same kernel runs in another context");
    variables(library, 100);
    NEED(cuCtxSetCurrent(first));
    NEED(cuLibraryGetGlobal(&counter, NULL, library, "counter"));
    ok(ticks(library, counter) == 46, "variables are the contexts' own");
    NEED(cuCtxDestroy_v2(second));
    NEED(cuCtxSetCurrent(first));
    ok(adds(add, 8), "the kernel outlives a context");
}

/* ---- Launches with attributes ---------------------------------------------------------------- */

static bool
adds_with(void *function, CUlaunchAttribute *attributes, unsigned count, unsigned value)
{
    CUdeviceptr data = numbers();
    unsigned all = COUNT;
    void *parameters[] = {&data, &all, &value};
    CUlaunchConfig config = {
        .gridDimX = (COUNT + 127) / 128,
        .gridDimY = 1,
        .gridDimZ = 1,
        .blockDimX = 128,
        .blockDimY = 1,
        .blockDimZ = 1,
        .attrs = attributes,
        .numAttrs = count,
    };
    bool good;

    for (unsigned i = 0; i < count; i++)
        if (attributes[i].id == CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW) {
            attributes[i].value.accessPolicyWindow.base_ptr = (void *)(uintptr_t)data;
            attributes[i].value.accessPolicyWindow.num_bytes = COUNT * 4;
        }
    good = cuLaunchKernelEx(&config, function, parameters, NULL) == CUDA_SUCCESS && all_are(data, 7 + value);
    NEED(cuMemFree_v2(data));
    return good;
}

static void
attributes(CUlibrary library)
{
    CUlaunchAttribute cluster = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION};
    CUlaunchAttribute several[3] = {{.id = CU_LAUNCH_ATTRIBUTE_IGNORE},
                                    {.id = CU_LAUNCH_ATTRIBUTE_PRIORITY},
                                    {.id = CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW}};
    CUlaunchAttribute event = {.id = CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT};
    CUlaunchAttribute cooperative = {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE};
    CUkernel add;

    NEED(cuLibraryGetKernel(&add, library, "add"));
    ok(adds_with(add, NULL, 0, 1), "a launch with no attributes");
    cluster.value.clusterDim.x = cluster.value.clusterDim.y = cluster.value.clusterDim.z = 1;
    ok(adds_with(add, &cluster, 1, 2), "with a cluster");
    several[2].value.accessPolicyWindow.hitRatio = 1.0f;
    several[2].value.accessPolicyWindow.hitProp = CU_ACCESS_PROPERTY_STREAMING;
    several[2].value.accessPolicyWindow.missProp = CU_ACCESS_PROPERTY_NORMAL;
    ok(adds_with(add, several, 3, 3), "with several");
    cooperative.value.cooperative = 1;
    ok(adds_with(add, &cooperative, 1, 4), "as a cooperative one");
    NEED(cuEventCreate(&event.value.launchCompletionEvent.event, CU_EVENT_DISABLE_TIMING));
    ok(adds_with(add, &event, 1, 5), "with an event");
    GIVES(CUDA_SUCCESS, cuEventSynchronize(event.value.launchCompletionEvent.event));
    NEED(cuEventDestroy_v2(event.value.launchCompletionEvent.event));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuLaunchKernelEx(NULL, (CUfunction)add, NULL, NULL));
}

/* ---- Linking --------------------------------------------------------------------------------- */

static void
linking(void)
{
    CUlinkState state;
    CUmodule module;
    CUfunction add;
    size_t bytes = 0;
    void *made = NULL;

    GIVES(CUDA_SUCCESS, cuLinkCreate_v2(0, NULL, NULL, &state));
    GIVES(CUDA_SUCCESS, cuLinkAddData_v2(state, CU_JIT_INPUT_PTX, (void *)(uintptr_t)kernels, sizeof(kernels),
                                         "kernels.ptx", 0, NULL, NULL));
    GIVES(CUDA_SUCCESS, cuLinkComplete(state, &made, &bytes));
    ok(made && bytes > 100, "the linker makes an image");
    GIVES(CUDA_SUCCESS, cuModuleLoadData(&module, made));
    GIVES(CUDA_SUCCESS, cuLinkDestroy(state));
    GIVES(CUDA_SUCCESS, cuModuleGetFunction(&add, module, "add"));
    ok(adds(add, 9), "which runs");
    GIVES(CUDA_SUCCESS, cuModuleUnload(module));
}

/* ---- Occupancy ------------------------------------------------------------------------------- */

static size_t
a_word_per_thread(int threads)
{
    return (size_t)threads * 4;
}

static void
occupancy(CUlibrary library)
{
    int blocks = 0, again = 0, grid = 0, block = 0, narrow_block = 0;
    int clusters = 0, size = 0;
    size_t dynamic = 0;
    CUlaunchAttribute cluster = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, .value.clusterDim = {1, 1, 1}};
    CUlaunchConfig config = {8, 1, 1, 128, 1, 1, 0, NULL, NULL, 1};
    CUkernel add, narrow;

    NEED(cuLibraryGetKernel(&add, library, "add"));
    NEED(cuLibraryGetKernel(&narrow, library, "narrow"));
    GIVES(CUDA_SUCCESS, cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, (CUfunction)add, 128, 0));
    GIVES(CUDA_SUCCESS, cuOccupancyMaxActiveBlocksPerMultiprocessor(&again, (CUfunction)add, 128, 0));
    ok(blocks > 1 && blocks == again, "so many blocks fit, also when asked again");
    GIVES(CUDA_SUCCESS, cuOccupancyMaxActiveBlocksPerMultiprocessor(&again, (CUfunction)add, 1024, 0));
    ok(again > 0 && again < blocks, "fewer of larger ones");
    GIVES(CUDA_SUCCESS, cuOccupancyMaxPotentialBlockSize(&grid, &block, (CUfunction)add, NULL, 0, 0));
    ok(grid > 0 && block >= 64, "a good size of blocks is found");
    GIVES(CUDA_SUCCESS,
          cuOccupancyMaxPotentialBlockSize(&grid, &narrow_block, (CUfunction)narrow, a_word_per_thread, 0, 0));
    ok(narrow_block > 0 && narrow_block <= 64, "within what the kernel allows");
    GIVES(CUDA_SUCCESS, cuOccupancyAvailableDynamicSMemPerBlock(&dynamic, (CUfunction)add, 2, 128));
    ok(dynamic > 0 && dynamic <= 1024, "and what memory is left to share: %zu of what was set", dynamic);
    GIVES(CUDA_SUCCESS, cuOccupancyAvailableDynamicSMemPerBlock(&dynamic, (CUfunction)narrow, 2, 64));
    ok(dynamic > 1024, "more where nothing was");
    config.attrs = &cluster;
    GIVES(CUDA_SUCCESS, cuOccupancyMaxActiveClusters(&clusters, (CUfunction)add, &config));
    ok(clusters > 1, "so many clusters of one block fit");
    config.attrs = NULL;
    config.numAttrs = 0;
    GIVES(CUDA_SUCCESS, cuOccupancyMaxPotentialClusterSize(&size, (CUfunction)add, &config));
    ok(size >= 1, "and a cluster may be so large");
}

/* ---- Images ---------------------------------------------------------------------------------- */

/* So large that it goes in pieces. */
static void
large(void)
{
    char *text = malloc(PADDING + sizeof(kernels) + 2);
    CUlibrary library;
    CUmodule module;
    CUkernel add;
    CUfunction function;

    if (!text)
        exit(1);
    memcpy(text, "//", 2);
    memset(text + 2, '.', PADDING - 3);
    text[PADDING - 1] = '\n';
    memcpy(text + PADDING, kernels, sizeof(kernels));
    GIVES(CUDA_SUCCESS, cuLibraryLoadData(&library, text, NULL, NULL, 0, NULL, NULL, 0));
    GIVES(CUDA_SUCCESS, cuLibraryGetKernel(&add, library, "add"));
    ok(adds(add, 10), "a large library works");
    GIVES(CUDA_SUCCESS, cuLibraryUnload(library));
    GIVES(CUDA_SUCCESS, cuModuleLoadData(&module, text));
    free(text);
    GIVES(CUDA_SUCCESS, cuModuleGetFunction(&function, module, "add"));
    ok(adds(function, 11), "and so does a large module");
    GIVES(CUDA_SUCCESS, cuModuleUnload(module));
}

static void
damaged(void)
{
    static const char broken[] = ".version 6.4\n.target sm_75\n.address_size 64\n.visible .entry x( { ret; }\n";
    CUlibrary library = NULL;
    CUmodule module;

    GIVES(CUDA_ERROR_INVALID_VALUE, cuLibraryLoadData(&library, NULL, NULL, NULL, 0, NULL, NULL, 0));
    GIVES(CUDA_SUCCESS, cuLibraryLoadData(&library, broken, NULL, NULL, 0, NULL, NULL, 0));
    GIVES(CUDA_ERROR_INVALID_PTX, cuLibraryGetModule(&module, library));
    GIVES(CUDA_SUCCESS, cuLibraryUnload(library));
    GIVES(CUDA_ERROR_FILE_NOT_FOUND, cuLibraryLoadFromFile(&library, "/nonexistent.ptx", NULL, NULL, 0, NULL, NULL, 0));
}

static void
churn(void)
{
    bool good = true;

    for (int i = 0; i < 50 && good; i++) {
        CUlibrary library;
        CUkernel tick;
        CUdeviceptr counter;

        good = cuLibraryLoadData(&library, kernels, NULL, NULL, 0, NULL, NULL, 0) == CUDA_SUCCESS &&
               cuLibraryGetKernel(&tick, library, "tick") == CUDA_SUCCESS &&
               cuLibraryGetGlobal(&counter, NULL, library, "counter") == CUDA_SUCCESS &&
               cuLaunchKernel((CUfunction)tick, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL) == CUDA_SUCCESS &&
               cuLibraryUnload(library) == CUDA_SUCCESS;
    }
    ok(good, "libraries come and go");
    GIVES(CUDA_SUCCESS, cuCtxSynchronize());
}

int
main(void)
{
    CUcontext context;
    CUlibrary library;

    alarm(getenv("TEST_SECONDS") ? (unsigned)atoi(getenv("TEST_SECONDS")) : 60);
    NEED(cuInit(0));
    GIVES(CUDA_SUCCESS, cuLibraryLoadData(&library, kernels, NULL, NULL, 0, NULL, NULL, 0));
    before_contexts(library);
    names(library);
    NEED(cuCtxCreate_v2(&context, 0, 0));
    launches(library);
    two_contexts(library, context);
    attributes(library);
    linking();
    occupancy(library);
    large();
    damaged();
    churn();
    GIVES(CUDA_SUCCESS, cuLibraryUnload(library));
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
