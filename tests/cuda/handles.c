/* SPDX-License-Identifier: MIT */
/* Handles that are stale, foreign or of another kind: an error, never more. Only for libraries that check. */
#include "test.h"

static void
foreign(const char *what, void *handle)
{
    unsigned value = 0, flags;
    unsigned long long id;
    void *parameters[] = {&value};
    CUfunction function;
    CUkernel kernel;
    CUdeviceptr address;
    size_t bytes;
    int attribute;

    printf("# %s\n", what);
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuLaunchKernel(handle, 1, 1, 1, 1, 1, 1, 0, NULL, parameters, NULL));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuFuncGetAttribute(&attribute, 0, handle));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuModuleGetFunction(&function, handle, "add"));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuModuleGetGlobal_v2(&address, &bytes, handle, "counter"));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuModuleUnload(handle));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuStreamSynchronize(handle));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuStreamQuery(handle));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuStreamGetFlags(handle, &flags));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuStreamGetId(handle, &id));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuStreamDestroy_v2(handle));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuEventRecord(handle, NULL));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuEventQuery(handle));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuEventSynchronize(handle));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuEventDestroy_v2(handle));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuStreamWaitEvent(NULL, handle, 0));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuLibraryGetKernel(&kernel, handle, "add"));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuLibraryUnload(handle));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuKernelGetAttribute(&attribute, 0, handle, 0));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuKernelGetFunction(&function, handle));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuLinkDestroy(handle));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuTexRefSetFlags(handle, 0));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuTexRefGetFlags(&flags, handle));
    GIVES(CUDA_ERROR_INVALID_CONTEXT, cuCtxSetCurrent(handle));
    GIVES(CUDA_ERROR_INVALID_CONTEXT, cuCtxPushCurrent_v2(handle));
    GIVES(CUDA_ERROR_INVALID_CONTEXT, cuCtxDestroy_v2(handle));
    GIVES(CUDA_ERROR_INVALID_CONTEXT, cuCtxGetId(handle, &id));
}

/* No memory where the function needs some; NVIDIA's driver writes there. */
static void
nowhere(void)
{
    CUstream stream;

    NEED(cuStreamCreate(&stream, 0));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuThreadExchangeStreamCaptureMode(NULL));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuStreamGetAttribute(stream, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, NULL));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuStreamBatchMemOp_v2(stream, 1, NULL, 0));
    NEED(cuStreamDestroy_v2(stream));
}

static CUgreenCtx
green_of(CUdevResource *part)
{
    CUdevResourceDesc description;
    CUgreenCtx green;

    NEED(cuDevResourceGenerateDesc(&description, part, 1));
    NEED(cuGreenCtxCreate(&green, description, 0, CU_GREEN_CTX_DEFAULT_STREAM));
    return green;
}

/* Parts that nobody has given out, and green contexts that have gone. */
static void
greens(void)
{
    CUdevResource part, forged;
    CUdevResourceDesc description;
    unsigned count = 1;
    CUgreenCtx green;
    CUcontext context;
    CUstream stream;

    memset(&forged, 0xa5, sizeof(forged));
    forged.type = CU_DEV_RESOURCE_TYPE_SM;
    GIVES(CUDA_ERROR_INVALID_VALUE, cuDevResourceGenerateDesc(&description, &forged, 1));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuDevSmResourceSplitByCount(&part, &count, &forged, NULL, 0, 1));
    GIVES(CUDA_ERROR_INVALID_VALUE,
          cuGreenCtxCreate(&green, (CUdevResourceDesc)&forged, 0, CU_GREEN_CTX_DEFAULT_STREAM));
    GIVES(CUDA_ERROR_INVALID_CONTEXT, cuGreenCtxDestroy((CUgreenCtx)&forged));
    GIVES(CUDA_ERROR_INVALID_CONTEXT, cuCtxFromGreenCtx(&context, (CUgreenCtx)&forged));
    NEED(cuDeviceGetDevResource(0, &part, CU_DEV_RESOURCE_TYPE_SM));
    green = green_of(&part);
    NEED(cuGreenCtxStreamCreate(&stream, green, CU_STREAM_NON_BLOCKING, 0));
    NEED(cuCtxFromGreenCtx(&context, green));
    NEED(cuCtxPushCurrent_v2(context));
    ok(cuCtxDestroy_v2(context) != CUDA_SUCCESS, "a green context is not destroyed as a context");
    NEED(cuGreenCtxDestroy(green));
    GIVES(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuCtxSynchronize());
    ok(cuGreenCtxDestroy(green) != CUDA_SUCCESS, "a green context goes once");
    ok(cuCtxFromGreenCtx(&context, green) != CUDA_SUCCESS, "and is of no use then");
    NEED(cuCtxPopCurrent_v2(NULL));
    ok(cuStreamSynchronize(stream) != CUDA_SUCCESS, "nor are its streams");
    ok(cuStreamDestroy_v2(stream) != CUDA_SUCCESS, "which are not to be destroyed any more");
    green = green_of(&part);
    NEED(cuDevicePrimaryCtxReset_v2(0));
    ok(cuGreenCtxGetId(green, &(unsigned long long){0}) != CUDA_SUCCESS, "a reset ends green contexts, too");
}

int
main(void)
{
    CUcontext context = test_begin(), destroyed;
    CUmodule module;
    CUfunction function;
    CUlibrary library;
    CUkernel kernel;
    CUstream stream;
    CUevent event;
    char mine[64];
    CUdeviceptr memory;

    NEED(cuModuleLoadData(&module, kernels));
    NEED(cuModuleGetFunction(&function, module, "tick"));
    NEED(cuStreamCreate(&stream, 0));
    NEED(cuEventCreate(&event, 0));
    nowhere();
    greens();
    foreign("the application's own memory", mine);
    foreign("a small number", (void *)0x1234);
    foreign("nothing like an address", (void *)~(uintptr_t)0);
    NEED(cuStreamDestroy_v2(stream));
    foreign("a stream that was destroyed", stream);
    NEED(cuEventDestroy_v2(event));
    foreign("an event that was destroyed", event);
    NEED(cuModuleUnload(module));
    foreign("a module that was unloaded", module);
    foreign("a kernel of it", function);
    NEED(cuLibraryLoadData(&library, kernels, NULL, NULL, 0, NULL, NULL, 0));
    NEED(cuLibraryGetKernel(&kernel, library, "tick"));
    NEED(cuKernelGetFunction(&function, kernel));
    NEED(cuLaunchKernel((CUfunction)kernel, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    NEED(cuLibraryUnload(library));
    foreign("a library that was unloaded", library);
    foreign("a kernel of that", kernel);
    foreign("the function that it was", function);
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuStreamSynchronize((CUstream)context));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuModuleUnload((CUmodule)context));
    NEED(cuCtxCreate_v2(&destroyed, 0, 0));
    NEED(cuModuleLoadData(&module, kernels));
    NEED(cuStreamCreate(&stream, 0));
    NEED(cuCtxDestroy_v2(destroyed));
    ok(cuCtxDestroy_v2(destroyed) != CUDA_SUCCESS, "a context goes once");
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuStreamSynchronize(stream));
    GIVES(CUDA_ERROR_INVALID_HANDLE, cuModuleUnload(module));
    GIVES(CUDA_SUCCESS, cuMemAlloc_v2(&memory, 64));
    GIVES(CUDA_SUCCESS, cuMemFree_v2(memory));
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
