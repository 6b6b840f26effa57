/* SPDX-License-Identifier: MIT */
/* What the library refuses: it is there, says CUDA_ERROR_NOT_SUPPORTED, and why. Of this library alone. */
#include <dlfcn.h>

#include "cuda-symbols.h"
#include "test.h"

struct refused {
    const char *name, *symbol;
    int since;
    unsigned flags;
};

static const struct refused refused[] = {
#define REFUSED(name, since, flags, symbol) {#name, #symbol, since, flags},
    CUDA_API_REFUSED_LIST(REFUSED)
#undef REFUSED
};
#define COUNT (sizeof(refused) / sizeof(refused[0]))

static int told;

/* They read no arguments. Functions that look at theirs before they refuse get zeros, and may say so. */
static CUresult
call(const struct refused *one)
{
    void *found = dlsym(RTLD_DEFAULT, one->symbol);
    CUresult (*function)(void *, size_t, void *, void *, void *, void *);

    if (!found)
        return CUDA_ERROR_NOT_FOUND;
    memcpy(&function, &found, sizeof(found));
    return function(NULL, 0, NULL, NULL, NULL, NULL);
}

static void
callback(void *data, CUlogLevel level, char *message, size_t length)
{
    told += data == &told && level == CU_LOG_LEVEL_ERROR && strlen(message) == length;
}

/* What may be said instead of @p wanted by functions that look at their arguments first. */
static bool
all_give(CUresult wanted, bool arguments_first)
{
    unsigned wrong = 0;

    for (size_t i = 0; i < COUNT; i++) {
        CUresult got = call(&refused[i]);

        if (got == wanted || (arguments_first && (got == CUDA_ERROR_INVALID_VALUE || got == CUDA_ERROR_INVALID_HANDLE)))
            continue;
        printf("# %s gives %s\n", refused[i].symbol, error_name(got));
        wrong++;
    }
    return wrong == 0;
}

static bool
all_found(void)
{
    unsigned wrong = 0;

    for (size_t i = 0; i < COUNT; i++) {
        void *function = NULL;
        cuuint64_t flags = refused[i].flags ? CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM : 0;
        CUresult result = cuGetProcAddress_v2(refused[i].name, &function, refused[i].since, flags, NULL);

        if (result == CUDA_SUCCESS && function && function == dlsym(RTLD_DEFAULT, refused[i].symbol))
            continue;
        printf("# %s of %d\n", refused[i].name, refused[i].since);
        wrong++;
    }
    return wrong == 0;
}

static void
logs(void)
{
    CUlogsCallbackHandle handle = NULL;
    CUlogIterator start = 99, behind;
    char text[26000] = "";
    size_t bytes = sizeof(text);

    GIVES(CUDA_SUCCESS, cuLogsCurrent(&start, 0));
    ok(start == 0, "nothing has been said yet");
    GIVES(CUDA_SUCCESS, cuLogsRegisterCallback(callback, &told, &handle));
    GIVES(CUDA_ERROR_NOT_SUPPORTED, cuGraphicsUnregisterResource(NULL));
    GIVES(CUDA_ERROR_NOT_SUPPORTED, cuGraphicsUnregisterResource(NULL));
    ok(told == 1, "a refusal is told once");
    GIVES(CUDA_SUCCESS, cuLogsUnregisterCallback(handle));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuLogsUnregisterCallback(handle));
    behind = start;
    GIVES(CUDA_SUCCESS, cuLogsDumpToMemory(&behind, text, &bytes, 0));
    ok(strstr(text, "cuGraphicsUnregisterResource is refused: ") && bytes == strlen(text), "the log says why");
    GIVES(CUDA_SUCCESS, cuLogsDumpToMemory(&behind, text, (bytes = sizeof(text), &bytes), 0));
    ok(text[0] == '\0' && bytes == 0, "and once only to who goes on from there");
    GIVES(CUDA_SUCCESS, cuLogsDumpToMemory(NULL, text, (bytes = 8, &bytes), 0));
    ok(text[0] == '\0' && bytes == 0, "no half of a line");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuLogsDumpToFile(NULL, "/nowhere/at/all", 0));
}

/* The program's processor would have to reach them. */
static void
managed_variables(void)
{
    static const char ptx[] = ".version 6.4\n.target sm_75\n.address_size 64\n"
                              ".visible .global .attribute(.managed) .align 4 .u32 both = 5;\n"
                              ".visible .global .align 4 .u32 plain = 6;\n"
                              ".visible .entry nothing()\n{\n    .reg .b32 %r<2>;\n    ld.global.u32 %r1, [both];\n"
                              "    st.global.u32 [plain], %r1;\n    ret;\n}\n";
    CUdeviceptr address;
    CUfunction function;
    CUlibrary library;
    CUmodule module;
    uint32_t got = 0;
    size_t bytes;

    NEED(cuModuleLoadData(&module, ptx));
    GIVES(CUDA_ERROR_NOT_SUPPORTED, cuModuleGetGlobal_v2(&address, &bytes, module, "both"));
    GIVES(CUDA_ERROR_NOT_SUPPORTED, cuModuleGetGlobal_v2(&address, &bytes, module, "both"));
    GIVES(CUDA_SUCCESS, cuModuleGetGlobal_v2(&address, &bytes, module, "plain"));
    NEED(cuModuleGetFunction(&function, module, "nothing"));
    NEED(test_launch(function, 1, 1, NULL, NULL));
    NEED(cuMemcpyDtoH_v2(&got, address, 4));
    ok(got == 5, "kernels have managed variables");
    NEED(cuModuleUnload(module));
    NEED(cuLibraryLoadData(&library, ptx, NULL, NULL, 0, NULL, NULL, 0));
    GIVES(CUDA_ERROR_NOT_SUPPORTED, cuLibraryGetManaged(&address, &bytes, library, "both"));
    GIVES(CUDA_ERROR_NOT_FOUND, cuLibraryGetManaged(&address, &bytes, library, "plain"));
    GIVES(CUDA_ERROR_NOT_FOUND, cuLibraryGetManaged(&address, &bytes, library, "neither"));
    NEED(cuLibraryUnload(library));
}

int
main(void)
{
    int value = 99;

    ok(COUNT > 50, "there are some");
    ok(all_give(CUDA_ERROR_NOT_INITIALIZED, false), "before cuInit() all say so");
    (void)test_begin();
    logs();
    ok(all_give(CUDA_ERROR_NOT_SUPPORTED, true), "all are refused");
    ok(all_found(), "cuGetProcAddress finds them");
    managed_variables();
    ok(told == 1, "who is not registered any more is not called");
    NEED(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_SUPPORTED, 0));
    ok(value == 0, "and the device does not offer what is");
    NEED(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MEM_DECOMPRESS_ALGORITHM_MASK, 0));
    ok(value == 0, "nor decompression");
    return test_end();
}
