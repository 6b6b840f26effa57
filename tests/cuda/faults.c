/* SPDX-License-Identifier: MIT */
/* A kernel that writes where nothing is: the error lasts for the process, and harms no other one. */
#include <sys/wait.h>

#include "test.h"

static CUresult
write_at(CUdeviceptr address)
{
    static CUfunction busy;
    unsigned rounds = 1;
    void *parameters[] = {&address, &rounds};

    if (!busy)
        busy = test_kernel("busy");
    return test_launch(busy, 1, 1, NULL, parameters);
}

static int
healthy(void)
{
    CUcontext context = test_begin();
    CUdeviceptr data;
    uint32_t got = 0;

    NEED(cuMemAlloc_v2(&data, 4));
    NEED(write_at(data));
    NEED(cuMemcpyDtoH_v2(&got, data, 4));
    NEED(cuMemFree_v2(data));
    NEED(cuCtxDestroy_v2(context));
    return got != 1;
}

/* This program again, as a process that has never seen the fault. */
static bool
others_work(const char *program)
{
    pid_t child = fork();
    int status = -1;

    if (child == 0) {
        execl(program, program, "healthy", (char *)NULL);
        _exit(127);
    }
    waitpid(child, &status, 0);
    return status == 0;
}

int
main(int argc, char **argv)
{
    CUcontext context, current;
    CUdeviceptr data, more;
    CUstream stream;
    CUevent event;
    char bytes[16] = "";
    int count;

    if (argc > 1)
        return healthy();
    context = test_begin();
    NEED(cuMemAlloc_v2(&data, 64));
    NEED(cuStreamCreate(&stream, 0));
    NEED(cuEventCreate(&event, 0));
    GIVES(CUDA_SUCCESS, write_at(data));
    GIVES(CUDA_SUCCESS, cuCtxSynchronize());
    GIVES(CUDA_SUCCESS, write_at(0x10));
    GIVES(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
    GIVES(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
    GIVES(CUDA_ERROR_ILLEGAL_ADDRESS, cuMemcpyHtoD_v2(data, bytes, sizeof(bytes)));
    GIVES(CUDA_ERROR_ILLEGAL_ADDRESS, cuMemcpyDtoH_v2(bytes, data, sizeof(bytes)));
    GIVES(CUDA_ERROR_ILLEGAL_ADDRESS, cuMemAlloc_v2(&more, 64));
    GIVES(CUDA_ERROR_ILLEGAL_ADDRESS, write_at(data));
    GIVES(CUDA_ERROR_ILLEGAL_ADDRESS, cuStreamSynchronize(stream));
    GIVES(CUDA_ERROR_ILLEGAL_ADDRESS, cuStreamQuery(NULL));
    GIVES(CUDA_ERROR_ILLEGAL_ADDRESS, cuEventQuery(event));
    GIVES(CUDA_ERROR_ILLEGAL_ADDRESS, cuEventCreate(&event, 0));
    GIVES(CUDA_ERROR_ILLEGAL_ADDRESS, cuMemFree_v2(data));
    GIVES(CUDA_SUCCESS, cuDeviceGetCount(&count));
    GIVES(CUDA_SUCCESS, cuCtxGetCurrent(&current));
    ok(current == context, "the context is still current");
    ok(others_work(argv[0]), "another process finds the device well");
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
