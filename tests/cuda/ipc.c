/* SPDX-License-Identifier: MIT */
/*
 * Memory and events of one process in another one: this program is both. The second fills the memory of the first
 * and records its event.
 */
#include <sys/wait.h>

#include "test.h"

#define BYTES 100000u

struct shared {
    CUipcMemHandle memory;
    CUipcEventHandle event;
    bool events; /* the device has such */
};

static unsigned char bytes[BYTES], got[BYTES];

/* The second process, with the handles on its standard input: its exit status. */
static int
second(void)
{
    CUdeviceptr memory, again;
    struct shared shared;
    CUcontext context;
    CUevent event;

    if (read(0, &shared, sizeof(shared)) != (ssize_t)sizeof(shared) || cuInit(0) || cuCtxCreate_v2(&context, 0, 0))
        return 2;
    if (cuIpcOpenMemHandle_v2(&memory, shared.memory, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) ||
        (shared.events ? cuIpcOpenEventHandle(&event, shared.event) : cuEventCreate(&event, 0)))
        return 3;
    if (cuIpcOpenMemHandle_v2(&again, shared.memory, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) == CUDA_SUCCESS &&
        (again != memory || cuIpcCloseMemHandle(again)))
        return 4;
    if (cuMemcpyDtoH_v2(got, memory, BYTES))
        return 5;
    test_pattern(bytes, BYTES, 1);
    if (memcmp(got, bytes, BYTES) != 0)
        return 6;
    test_pattern(bytes, BYTES, 2);
    if (cuMemcpyHtoD_v2(memory, bytes, BYTES) || cuEventRecord(event, NULL) || cuEventSynchronize(event))
        return 7;
    if (cuIpcCloseMemHandle(memory) || cuIpcCloseMemHandle(memory) == CUDA_SUCCESS)
        return 8;
    if (cuMemcpyDtoH_v2(got, memory, BYTES) == CUDA_SUCCESS)
        return 9;
    return cuEventDestroy_v2(event) || cuCtxDestroy_v2(context) ? 10 : 0;
}

static int
run_second(const struct shared *shared)
{
    int ends[2], status = -1;
    pid_t child;

    if (pipe(ends) != 0)
        return -1;
    child = fork();
    if (child == 0) {
        dup2(ends[0], 0);
        close(ends[0]);
        close(ends[1]);
        execl("/proc/self/exe", "ipc", "second", (char *)NULL);
        _exit(99);
    }
    close(ends[0]);
    if (child > 0 && write(ends[1], shared, sizeof(*shared)) == (ssize_t)sizeof(*shared))
        waitpid(child, &status, 0);
    close(ends[1]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
main(int count, char **arguments)
{
    CUcontext context;
    struct shared shared;
    CUipcMemHandle again;
    CUdeviceptr memory;
    CUevent event, plain;
    CUresult result;

    (void)arguments;
    if (count > 1)
        return second();
    context = test_begin();
    NEED(cuMemAlloc_v2(&memory, BYTES));
    NEED(cuEventCreate(&event, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING));
    NEED(cuEventCreate(&plain, CU_EVENT_DISABLE_TIMING));
    result = cuIpcGetMemHandle(&shared.memory, memory);
    if (result == CUDA_ERROR_NOT_SUPPORTED) {
        ok(true, "memory of another process # skip nothing is shared here");
        return test_end();
    }
    is_result(result, CUDA_SUCCESS, "cuIpcGetMemHandle");
    result = cuIpcGetEventHandle(&shared.event, event);
    shared.events = result == CUDA_SUCCESS;
    ok(shared.events || result == CUDA_ERROR_NOT_SUPPORTED, "an event is shared, where the device has such");
    NEED(cuIpcGetMemHandle(&again, memory));
    ok(memcmp(&again, &shared.memory, sizeof(again)) == 0, "the same memory has the same handle");
    test_pattern(bytes, BYTES, 1);
    NEED(cuMemcpyHtoD_v2(memory, bytes, BYTES));
    NEED(cuCtxSynchronize());
    ok(run_second(&shared) == 0, "another process reads and writes the memory");
    GIVES(CUDA_SUCCESS, cuEventSynchronize(event));
    NEED(cuMemcpyDtoH_v2(got, memory, BYTES));
    test_pattern(bytes, BYTES, 2);
    ok(memcmp(got, bytes, BYTES) == 0, "what it wrote is here");
    ok(cuIpcGetEventHandle(&shared.event, plain) != CUDA_SUCCESS, "a plain event is not shared");
    NEED(cuMemFree_v2(memory));
    NEED(cuCtxDestroy_v2(context));
    return test_end();
}
