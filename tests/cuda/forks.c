/* SPDX-License-Identifier: MIT */
/* The child of a fork gets CUDA's own error, and a child that is there first may use CUDA. */
#include <sys/wait.h>

#include "test.h"

static int
child(void)
{
    const char *name;
    CUdeviceptr memory;
    CUcontext context;
    int count, version;

    if (cuInit(0) != CUDA_ERROR_NOT_INITIALIZED)
        return 1;
    if (cuDeviceGetCount(&count) != CUDA_ERROR_NOT_INITIALIZED)
        return 2;
    if (cuMemAlloc_v2(&memory, 4) != CUDA_ERROR_NOT_INITIALIZED)
        return 3;
    if (cuCtxGetCurrent(&context) != CUDA_ERROR_NOT_INITIALIZED)
        return 4;
    if (cuCtxSynchronize() != CUDA_ERROR_NOT_INITIALIZED)
        return 5;
    if (cuDriverGetVersion(&version) != CUDA_SUCCESS)
        return 6;
    return cuGetErrorName(CUDA_SUCCESS, &name) == CUDA_SUCCESS ? 0 : 7;
}

static int
first_child(void)
{
    CUdeviceptr memory;
    CUcontext context;

    return cuInit(0) || cuCtxCreate_v2(&context, 0, 0) || cuMemAlloc_v2(&memory, 64) || cuMemFree_v2(memory) ||
           cuCtxDestroy_v2(context);
}

static int
forked(int (*function)(void))
{
    pid_t pid;
    int status;

    fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(function());
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
main(void)
{
    CUcontext context;
    CUdeviceptr memory;
    int result = forked(first_child);

    ok(result == 0, "a child may start CUDA if its parent has not");
    context = test_begin();
    NEED(cuMemAlloc_v2(&memory, 64));
    result = forked(child);
    ok(result == 0, "after cuInit it gets CUDA_ERROR_NOT_INITIALIZED (%d)", result);
    GIVES(CUDA_SUCCESS, cuMemsetD8_v2(memory, 1, 64));
    GIVES(CUDA_SUCCESS, cuCtxSynchronize());
    GIVES(CUDA_SUCCESS, cuMemFree_v2(memory));
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
