/* SPDX-License-Identifier: MIT */
/* The part of run.c that looks at the API: faults, errors, copies, streams. */
#ifndef RUN_API_H
#define RUN_API_H

static bool
fault_function(const char *name, CUmodule *module, CUfunction *f)
{
    return load_function("fault", name, module, f);
}

/* A fault comes at the next call that waits, and stays. */
static bool
expect_sticky(CUfunction f, unsigned int block, void **params, CUresult error)
{
    CUdeviceptr address;

    CU(cuLaunchKernel(f, 1, 1, 1, block, 1, 1, 0, NULL, params, NULL));
    CU_GIVES(cuCtxSynchronize(), error);
    CU_GIVES(cuMemAlloc_v2(&address, 16), error);
    CU_GIVES(cuLaunchKernel(f, 1, 1, 1, block, 1, 1, 0, NULL, params, NULL), error);
    CU_GIVES(cuCtxSynchronize(), error);
    return true;
}

static bool
test_illegal_address(void)
{
    CUdeviceptr address = 0x1000;
    uint32_t value = 1;
    CUmodule module;
    CUfunction f;
    void *params[] = {&address, &value};

    return fault_function("write_to", &module, &f) && expect_sticky(f, 1, params, CUDA_ERROR_ILLEGAL_ADDRESS);
}

static bool
test_misaligned(void)
{
    CUdeviceptr address;
    uint32_t value = 1;
    CUmodule module;
    CUfunction f;
    void *params[] = {&address, &value};

    if (!fault_function("write_to", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&address, 256));
    address += 2;
    return expect_sticky(f, 1, params, CUDA_ERROR_MISALIGNED_ADDRESS);
}

static bool
test_freed(void)
{
    CUdeviceptr address;
    uint32_t value = 1;
    CUmodule module;
    CUfunction f;
    void *params[] = {&address, &value};

    if (!fault_function("write_to", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&address, 64 << 20));
    if (!launch(f, 1, 1, 0, params))
        return false;
    CU(cuMemFree_v2(address));
    return expect_sticky(f, 1, params, CUDA_ERROR_ILLEGAL_ADDRESS);
}

static bool
test_trap(void)
{
    int when = 40;
    CUmodule module;
    CUfunction f;
    void *params[] = {&when};

    return fault_function("trap_now", &module, &f) && expect_sticky(f, 64, params, CUDA_ERROR_LAUNCH_FAILED);
}

static bool
test_assert(void)
{
    int limit = 10;
    CUmodule module;
    CUfunction f;
    void *params[] = {&limit};

    return fault_function("assert_less", &module, &f) && expect_sticky(f, 64, params, CUDA_ERROR_ASSERT);
}

static bool
test_deadlock(void)
{
    CUdeviceptr address;
    CUmodule module;
    CUfunction f;
    void *params[] = {&address};

    if (!fault_function("never_meet", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&address, 256));
    return expect_sticky(f, 64, params, CUDA_ERROR_LAUNCH_TIMEOUT);
}

static bool
test_print(void)
{
    int a = -12;
    double b = 2.718281828;
    CUmodule module;
    CUfunction f;
    void *params[] = {&a, &b};

    /* the text goes to standard output, as a comment of the TAP */
    printf("# the next line comes from the device: ");
    fflush(stdout);
    return fault_function("print", &module, &f) && launch(f, 1, 1, 0, params);
}

static bool
test_heap(void)
{
    uint32_t out[64], t;
    CUdeviceptr address;
    CUmodule module;
    CUfunction f;
    void *params[] = {&address};

    if (!fault_function("heap", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&address, sizeof out));
    if (!launch(f, 1, 64, 0, params))
        return false;
    CU(cuMemcpyDtoH_v2(out, address, sizeof out));
    for (t = 0; t < 64; t++)
        CHECK(out[t] == 120 * t, "thread %u: %u", t, out[t]);
    CU(cuMemFree_v2(address));
    return true;
}

static bool
test_launch_errors(void)
{
    CUdeviceptr address;
    CUmodule module;
    CUfunction f, g;
    int value = 0;
    void *params[] = {&address};
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &address, CU_LAUNCH_PARAM_BUFFER_SIZE, &(size_t){sizeof address},
                     CU_LAUNCH_PARAM_END};
    uint32_t word = 0;
    size_t offset = 1, size = 0;

    if (!fault_function("bounded", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&address, 4096));
    CU(cuMemsetD8_v2(address, 0, 4096));
    CU(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, f));
    CHECK(value == 64, "at most %d threads", value);
    CU_GIVES(cuLaunchKernel(f, 1, 1, 1, 65, 1, 1, 0, NULL, params, NULL), CUDA_ERROR_INVALID_VALUE);
    CU_GIVES(cuLaunchKernel(f, 0, 1, 1, 64, 1, 1, 0, NULL, params, NULL), CUDA_ERROR_INVALID_VALUE);
    CU_GIVES(cuLaunchKernel(f, 1, 1, 1, 0, 1, 1, 0, NULL, params, NULL), CUDA_ERROR_INVALID_VALUE);
    CU_GIVES(cuLaunchKernel(f, 1, 65536, 1, 1, 1, 1, 0, NULL, params, NULL), CUDA_ERROR_INVALID_VALUE);
    CU_GIVES(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 49153, NULL, params, NULL), CUDA_ERROR_INVALID_VALUE);
    CU_GIVES(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, params, extra), CUDA_ERROR_INVALID_VALUE);
    CU(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 65536));
    CU(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 65536, NULL, params, NULL));
    CU(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, CU_STREAM_PER_THREAD, NULL, extra));
    CU(cuCtxSynchronize());
    CU(cuMemcpyDtoH_v2(&word, address + 31 * 4, 4));
    CHECK(word == 1, "packed parameters: %u", word);
    CU(cuFuncGetParamInfo(f, 0, &offset, &size));
    CHECK(offset == 0 && size == 8, "parameter at %zu of %zu", offset, size);
    CU_GIVES(cuFuncGetParamInfo(f, 1, &offset, &size), CUDA_ERROR_INVALID_VALUE);
    CU_GIVES(cuModuleGetFunction(&g, module, "nobody"), CUDA_ERROR_NOT_FOUND);
    CU(cuMemFree_v2(address));
    return true;
}

static bool
test_load_errors(void)
{
    static const char broken[] = ".version 7.0\n.target sm_75\n.address_size 64\n"
                                 ".visible .entry f() {\n\tadd.s32 %r1, %r2;\n\tret;\n}\n";
    static const char newer[] = ".version 7.0\n.target sm_999\n.address_size 64\n.visible .entry f() { ret; }\n";
    static const char future[] = ".version 99.0\n.target sm_75\n.address_size 64\n.visible .entry f() { ret; }\n";
    char log[512] = "";
    CUjit_option options[2] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[2] = {log, (void *)(uintptr_t)sizeof log};
    CUmodule module;

    CU_GIVES(cuModuleLoadDataEx(&module, broken, 2, options, values), CUDA_ERROR_INVALID_PTX);
    CHECK(strstr(log, "line 5"), "log: %s", log);
    CU_GIVES(cuModuleLoadData(&module, newer), CUDA_ERROR_INVALID_PTX);
    CU_GIVES(cuModuleLoadData(&module, "nonsense"), CUDA_ERROR_INVALID_IMAGE);
    CU_GIVES(cuModuleLoadData(&module, future), CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
    CU_GIVES(cuModuleLoad(&module, "/nowhere/at.all"), CUDA_ERROR_FILE_NOT_FOUND);
    return true;
}

/* An instruction that the device lacks is named, in the log too. */
static bool
test_unsupported(void)
{
    static const char text[] = ".version 8.0\n.target sm_90a\n.address_size 64\n.visible .entry f() {\n"
                               "\twgmma.fence.sync.aligned;\n\tret;\n}\n";
    char log[512] = "";
    CUjit_option options[2] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[2] = {log, (void *)(uintptr_t)sizeof log};
    CUmodule module;

    CU_GIVES(cuModuleLoadDataEx(&module, text, 2, options, values), CUDA_ERROR_NOT_SUPPORTED);
    CHECK(strstr(log, "line 5: instruction 'wgmma.fence.sync.aligned' is not supported"), "log: %s", log);
    return true;
}

static bool
test_copies(void)
{
    static uint8_t in[64 * 48], out[64 * 48], *pinned;
    CUdeviceptr a, b, pitched, mapped;
    size_t pitch, i, x, y;
    CUDA_MEMCPY2D c = {0};
    CUstream stream;
    unsigned int type = 0;

    for (i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 7);
    CU(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CU(cuMemAlloc_v2(&a, sizeof in));
    CU(cuMemAlloc_v2(&b, sizeof in));
    CU(cuMemcpyHtoDAsync_v2(a, in, sizeof in, stream));
    CU(cuMemcpyDtoDAsync_v2(b, a, sizeof in, stream));
    CU(cuMemcpyDtoHAsync_v2(out, b, sizeof in, stream));
    CU(cuStreamSynchronize(stream));
    CHECK(memcmp(in, out, sizeof in) == 0, "copies there and back");
    CU(cuMemAllocPitch_v2(&pitched, &pitch, 64, 48, 4));
    CHECK(pitch >= 64, "pitch %zu", pitch);
    c.srcMemoryType = CU_MEMORYTYPE_HOST;
    c.srcHost = in;
    c.srcPitch = 64;
    c.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    c.dstDevice = pitched;
    c.dstPitch = pitch;
    c.WidthInBytes = 64;
    c.Height = 48;
    CU(cuMemcpy2D_v2(&c));
    CU(cuMemsetD2D16_v2(pitched + 2 * pitch + 8, pitch, 0xabcd, 3, 2));
    memset(&c, 0, sizeof c);
    c.srcMemoryType = CU_MEMORYTYPE_DEVICE;
    c.srcDevice = pitched;
    c.srcPitch = pitch;
    c.srcXInBytes = 4;
    c.srcY = 1;
    c.dstMemoryType = CU_MEMORYTYPE_HOST;
    c.dstHost = out;
    c.dstPitch = 32;
    c.WidthInBytes = 20;
    c.Height = 10;
    memset(out, 0, sizeof out);
    CU(cuMemcpy2D_v2(&c));
    for (y = 0; y < 10; y++)
        for (x = 0; x < 20; x++) {
            uint8_t expected = in[(y + 1) * 64 + x + 4];

            if ((y == 1 || y == 2) && x >= 4 && x < 10)
                expected = x & 1 ? 0xab : 0xcd;
            CHECK(out[y * 32 + x] == expected, "box at (%zu, %zu)", x, y);
        }
    CU(cuMemsetD32_v2(a, 0x01020304, 16));
    CU(cuMemsetD8_v2(a + 8, 0xee, 3));
    CU(cuMemcpyDtoH_v2(out, a, 64));
    CHECK(out[4] == 4 && out[7] == 1 && out[8] == 0xee && out[10] == 0xee && out[11] == 1, "fills");
    CU(cuMemHostAlloc((void **)&pinned, 4096, CU_MEMHOSTALLOC_DEVICEMAP));
    CU(cuMemHostGetDevicePointer_v2(&mapped, pinned, 0));
    CU(cuMemcpyDtoD_v2(mapped, a, 64));
    CU(cuCtxSynchronize());
    CHECK(memcmp(pinned, out, 64) == 0, "pinned memory");
    CU(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (uintptr_t)pinned));
    CHECK(type == CU_MEMORYTYPE_HOST, "pinned memory is of type %u", type);
    CU(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, b + 5));
    CHECK(type == CU_MEMORYTYPE_DEVICE, "device memory is of type %u", type);
    CU_GIVES(cuMemcpyHtoD_v2(a + sizeof in - 10, in, 4096ul << 20), CUDA_ERROR_INVALID_VALUE);
    CU_GIVES(cuMemFree_v2(a + 4), CUDA_ERROR_INVALID_VALUE);
    CU(cuMemFreeHost(pinned));
    CU(cuStreamDestroy_v2(stream));
    CU(cuMemFree_v2(a));
    CU(cuMemFree_v2(b));
    CU(cuMemFree_v2(pitched));
    return true;
}

static bool
test_registered(void)
{
    uint32_t *host = aligned_alloc(4096, 8192), value = 100;
    CUdeviceptr address;
    CUmodule module;
    CUfunction f;
    void *params[] = {&address, &value};

    if (!fault_function("write_to", &module, &f))
        return false;
    memset(host, 0, 8192);
    CU(cuMemHostRegister_v2(host, 8192, CU_MEMHOSTREGISTER_DEVICEMAP));
    CU_GIVES(cuMemHostRegister_v2(host, 8192, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    CU(cuMemHostGetDevicePointer_v2(&address, host, 0));
    if (!launch(f, 1, 1, 0, params))
        return false;
    CHECK(host[0] == 100, "the kernel wrote %u", host[0]);
    CU(cuMemHostUnregister(host));
    CU_GIVES(cuMemHostUnregister(host), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    free(host);
    return true;
}

static void
add_one(void *data)
{
    ++*(int *)data;
}

static bool
test_streams(void)
{
    CUstream stream;
    CUevent from, to;
    CUdeviceptr word;
    uint64_t value = 0;
    float ms = -1;
    int calls = 0;

    CU(cuStreamCreateWithPriority(&stream, 0, -1));
    CU(cuEventCreate(&from, 0));
    CU(cuEventCreate(&to, 0));
    CU(cuMemAlloc_v2(&word, 16));
    CU(cuEventRecord(from, stream));
    CU(cuLaunchHostFunc(stream, add_one, &calls));
    CU(cuStreamWriteValue64_v2(stream, word, 0x1122334455667788, 0));
    CU(cuStreamWaitValue64_v2(stream, word, 0x1122334455667788, CU_STREAM_WAIT_VALUE_EQ));
    CU(cuEventRecord(to, stream));
    CU(cuStreamWaitEvent(NULL, to, 0));
    CU(cuEventSynchronize(to));
    CU(cuEventElapsedTime_v2(&ms, from, to));
    CHECK(ms >= 0 && ms < 10000, "%g ms", (double)ms);
    CHECK(calls == 1, "%d calls", calls);
    CU(cuMemcpyDtoH_v2(&value, word, 8));
    CHECK(value == 0x1122334455667788, "wrote %llx", (unsigned long long)value);
    CU(cuStreamQuery(stream));
    CU(cuEventQuery(to));
    CU(cuEventDestroy_v2(from));
    CU(cuEventDestroy_v2(to));
    CU(cuStreamDestroy_v2(stream));
    CU(cuMemFree_v2(word));
    return true;
}

static bool
test_contexts(void)
{
    CUcontext outer, inner, current, primary;
    CUdevice device;
    unsigned int flags = 0;
    int active = 0;

    CU(cuCtxGetCurrent(&outer));
    CU(cuCtxGetDevice(&device));
    CU(cuCtxCreate_v2(&inner, CU_CTX_SCHED_YIELD, device));
    CU(cuCtxGetCurrent(&current));
    CHECK(current == inner, "the new context is current");
    CU(cuCtxGetFlags(&flags));
    CHECK(flags & CU_CTX_SCHED_YIELD, "flags %#x", flags);
    CU(cuCtxPopCurrent_v2(&current));
    CHECK(current == inner, "pop gives the context");
    CU(cuCtxGetCurrent(&current));
    CHECK(current == outer, "the outer one is current again");
    CU(cuCtxPushCurrent_v2(inner));
    CU(cuCtxDestroy_v2(inner));
    CU(cuCtxGetCurrent(&current));
    CHECK(current == outer, "destroying pops");
    CU(cuDevicePrimaryCtxRetain(&primary, device));
    CU(cuDevicePrimaryCtxGetState(device, &flags, &active));
    CHECK(active, "the primary context is active");
    CU(cuDevicePrimaryCtxRelease_v2(device));
    CU_GIVES(cuDeviceGet(&device, 1000), CUDA_ERROR_INVALID_DEVICE);
    return true;
}

static bool
test_entry_points(void)
{
    CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SUCCESS;
    CUresult (*version_of)(int *) = NULL;
    const char *text = NULL;
    int version = 0;
    void *entry = NULL;

    CU(cuGetProcAddress_v2("cuDriverGetVersion", &entry, 12000, 0, &status));
    CHECK(entry && status == CU_GET_PROC_ADDRESS_SUCCESS, "cuDriverGetVersion not found");
    memcpy(&version_of, &entry, sizeof entry);
    CU(version_of(&version));
    CHECK(version >= 12000, "version %d", version);
    cuGetProcAddress_v2("cuNobodyKnows", &entry, 12000, 0, &status);
    CHECK(!entry && status == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND, "found a strange name");
    CU(cuGetErrorString(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
    CHECK(strcmp(text, "an illegal memory access was encountered") == 0, "text: %s", text);
    return true;
}

static bool
test_library(void)
{
    CUlibrary library;
    CUkernel kernel;
    CUfunction f;
    CUdeviceptr address;
    char path[1024];
    void *params[] = {&address};
    uint32_t word = 0;

    snprintf(path, sizeof path, "%s/fault.ptx", folder);
    CU(cuLibraryLoadFromFile(&library, path, NULL, NULL, 0, NULL, NULL, 0));
    CU(cuLibraryGetKernel(&kernel, library, "bounded"));
    CU(cuKernelGetFunction(&f, kernel));
    CU(cuMemAlloc_v2(&address, 256));
    if (!launch((CUfunction)kernel, 1, 8, 0, params) || !launch(f, 1, 8, 0, params))
        return false;
    CU(cuMemcpyDtoH_v2(&word, address + 28, 4));
    CHECK(word == 1, "wrote %u", word);
    CU(cuLibraryUnload(library));
    CU(cuMemFree_v2(address));
    return true;
}

/* Handles of what is gone; a vendor's driver may not survive them. */
static bool
test_stale_handles(void)
{
    CUstream stream;
    CUevent event;
    CUmodule module;
    CUfunction f;
    CUdeviceptr address;
    void *params[] = {&address};

    if (!fault_function("bounded", &module, &f))
        return false;
    CU(cuMemAlloc_v2(&address, 256));
    CU(cuStreamCreate(&stream, 0));
    CU(cuStreamDestroy_v2(stream));
    CU_GIVES(cuStreamSynchronize(stream), CUDA_ERROR_INVALID_HANDLE);
    CU_GIVES(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, stream, params, NULL), CUDA_ERROR_INVALID_HANDLE);
    CU(cuEventCreate(&event, 0));
    CU(cuEventDestroy_v2(event));
    CU_GIVES(cuEventRecord(event, NULL), CUDA_ERROR_INVALID_HANDLE);
    CU(cuModuleUnload(module));
    CU_GIVES(cuModuleUnload(module), CUDA_ERROR_INVALID_HANDLE);
    CU_GIVES(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL), CUDA_ERROR_INVALID_HANDLE);
    return true;
}

static bool
test_out_of_memory(void)
{
    CUdeviceptr blocks[8], more;
    size_t available, total, now, n = 0;

    CU(cuMemGetInfo_v2(&available, &total));
    CU_GIVES(cuMemAlloc_v2(&more, total + 1), CUDA_ERROR_OUT_OF_MEMORY);
    while (n < 8 && cuMemAlloc_v2(&blocks[n], available / 8) == CUDA_SUCCESS)
        n++;
    CHECK(n == 8, "%zu of 8 parts", n);
    CU_GIVES(cuMemAlloc_v2(&more, available / 8), CUDA_ERROR_OUT_OF_MEMORY);
    while (n)
        CU(cuMemFree_v2(blocks[--n]));
    CU(cuMemGetInfo_v2(&now, &total));
    CHECK(now == available, "%zu bytes free, %zu before", now, available);
    return true;
}

#define RUN_API_TESTS                                                                                               \
    {"a write to no memory", test_illegal_address, APART}, {"a misaligned write", test_misaligned, APART},          \
        {"a write to freed memory", test_freed, APART}, {"trap", test_trap, APART}, {"assert", test_assert, APART}, \
        {"a barrier that is never complete", test_deadlock, APART | SIM_ONLY}, {"printf", test_print, 0},           \
        {"malloc in a kernel", test_heap, 0}, {"launches that are refused", test_launch_errors, 0},                 \
        {"modules that are refused", test_load_errors, 0},                                                          \
        {"an instruction that the device lacks", test_unsupported, SIM_ONLY}, {"copies and fills", test_copies, 0}, \
        {"registered host memory", test_registered, REGISTERS},                                                     \
        {"streams, events, values", test_streams, HOST_FUNCTIONS}, {"contexts", test_contexts, 0},                  \
        {"entry points by name", test_entry_points, 0}, {"libraries", test_library, LIBRARIES},                     \
        {"stale handles", test_stale_handles, SIM_ONLY},                                                            \
        {"the device's memory is spent", test_out_of_memory, SIM_ONLY},

#endif
