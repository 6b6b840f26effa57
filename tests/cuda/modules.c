/* SPDX-License-Identifier: MIT */
/* Modules: kernels, variables, files, damaged images, logs, the order in which they go. */
#include <fcntl.h>

#include "test.h"

static void
variables(CUmodule module)
{
    CUdeviceptr counter, table, again;
    unsigned value = 40;
    unsigned char in[24], out[24];
    CUfunction tick;
    size_t bytes;

    GIVES(CUDA_SUCCESS, cuModuleGetGlobal_v2(&counter, &bytes, module, "counter"));
    ok(bytes == 4, "its size is told");
    GIVES(CUDA_SUCCESS, cuModuleGetGlobal_v2(&again, NULL, module, "counter"));
    ok(again == counter, "it stays where it is");
    GIVES(CUDA_SUCCESS, cuModuleGetGlobal_v2(NULL, &bytes, module, "table"));
    ok(bytes == 24, "a size alone can be asked for");
    GIVES(CUDA_ERROR_NOT_FOUND, cuModuleGetGlobal_v2(&again, &bytes, module, "nothing"));
    GIVES(CUDA_SUCCESS, cuMemcpyHtoD_v2(counter, &value, 4));
    GIVES(CUDA_SUCCESS, cuModuleGetFunction(&tick, module, "tick"));
    GIVES(CUDA_SUCCESS, cuLaunchKernel(tick, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    GIVES(CUDA_SUCCESS, cuMemcpyDtoH_v2(&value, counter, 4));
    ok(value == 43, "a kernel without parameters has changed it");
    NEED(cuModuleGetGlobal_v2(&table, &bytes, module, "table"));
    test_pattern(in, sizeof(in), 1);
    GIVES(CUDA_SUCCESS, cuMemcpyHtoD_v2(table, in, sizeof(in)));
    GIVES(CUDA_SUCCESS, cuMemcpyDtoH_v2(out, table, sizeof(out)));
    ok(memcmp(in, out, sizeof(in)) == 0, "bytes of a variable come back");
}

static void
functions(CUmodule module)
{
    CUfunction add, again;
    CUmodule found;
    size_t offset = 99, bytes = 99;
    int value = -1;

    GIVES(CUDA_SUCCESS, cuModuleGetFunction(&add, module, "add"));
    GIVES(CUDA_SUCCESS, cuModuleGetFunction(&again, module, "add"));
    ok(add == again, "a kernel has one handle");
    GIVES(CUDA_ERROR_NOT_FOUND, cuModuleGetFunction(&again, module, "nothing"));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuModuleGetFunction(&again, module, NULL));
    GIVES(CUDA_SUCCESS, cuFuncGetModule(&found, add));
    ok(found == module, "it knows its module");
    GIVES(CUDA_SUCCESS, cuFuncGetParamInfo(add, 2, &offset, &bytes));
    ok(offset == 12 && bytes == 4, "and its parameters");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuFuncGetParamInfo(add, 3, &offset, &bytes));
    GIVES(CUDA_SUCCESS, cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, add));
    ok(value == 1024, "up to 1024 threads");
    NEED(cuModuleGetFunction(&again, module, "narrow"));
    GIVES(CUDA_SUCCESS, cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, again));
    ok(value == 64, "or as the kernel says");
    GIVES(CUDA_SUCCESS, cuFuncSetAttribute(add, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 1000));
    GIVES(CUDA_SUCCESS, cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, add));
    ok(value == 1000, "an attribute that was set is kept");
}

static void
damaged(void)
{
    static const char broken[] = ".version 6.4\n.target sm_75\n.address_size 64\n.visible .entry x( { ret; }\n";
    char error[512] = "", info[512] = "";
    CUjit_option names[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, CU_JIT_INFO_LOG_BUFFER,
                            CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {error, (void *)sizeof(error), info, (void *)sizeof(info)};
    CUmodule module = (CUmodule)7;

    GIVES(CUDA_ERROR_INVALID_PTX, cuModuleLoadData(&module, broken));
    GIVES(CUDA_ERROR_INVALID_PTX, cuModuleLoadDataEx(&module, broken, 4, names, values));
    ok(strlen(error) > 10 && strstr(error, "line 4"), "the log says which line is wrong");
    ok((size_t)values[1] == strlen(error), "and how long it is");
    ok(module == (CUmodule)7, "no module is made");
    GIVES(CUDA_ERROR_INVALID_IMAGE, cuModuleLoadData(&module, ""));
    GIVES(CUDA_ERROR_INVALID_IMAGE, cuModuleLoadData(&module, "garbage"));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuModuleLoadData(&module, NULL));
    GIVES(CUDA_ERROR_FILE_NOT_FOUND, cuModuleLoad(&module, "/nonexistent.ptx"));
}

static void
file(void)
{
    char name[] = "/tmp/gpuvchan-test-XXXXXX";
    int fd = mkstemp(name);
    CUfunction add;
    CUmodule module;

    if (fd < 0 || write(fd, kernels, strlen(kernels)) != (ssize_t)strlen(kernels))
        exit(1);
    close(fd);
    GIVES(CUDA_SUCCESS, cuModuleLoad(&module, name));
    GIVES(CUDA_SUCCESS, cuModuleGetFunction(&add, module, "add"));
    GIVES(CUDA_SUCCESS, cuModuleUnload(module));
    unlink(name);
}

/* Many, so that handles are used again. */
static void
churn(void)
{
    bool good = true;

    for (int i = 0; i < 200 && good; i++) {
        CUfunction add, tick;
        CUmodule module;

        good = cuModuleLoadData(&module, kernels) == CUDA_SUCCESS &&
               cuModuleGetFunction(&add, module, "add") == CUDA_SUCCESS &&
               cuModuleGetFunction(&tick, module, "tick") == CUDA_SUCCESS &&
               cuLaunchKernel(tick, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL) == CUDA_SUCCESS &&
               cuModuleUnload(module) == CUDA_SUCCESS;
    }
    ok(good, "modules come and go");
    GIVES(CUDA_SUCCESS, cuCtxSynchronize());
}

int
main(void)
{
    CUcontext context = test_begin();
    CUmodule module;

    NEED(cuModuleLoadData(&module, kernels));
    variables(module);
    functions(module);
    damaged();
    file();
    churn();
    GIVES(CUDA_SUCCESS, cuModuleUnload(module));
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
