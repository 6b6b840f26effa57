/* SPDX-License-Identifier: MIT */
/* Memory of the program that is registered: copied from and to, used by kernels, shared with no child, given back. */
#include <sys/wait.h>

#include "test.h"

#define BYTES ((size_t)3 << 20)
#define ODD 4100u

static unsigned char fixed[BYTES + 8192];

static bool
is_pattern(const unsigned char *bytes, size_t count, unsigned seed)
{
    unsigned char *wanted = malloc(count);
    bool same;

    test_pattern(wanted, count, seed);
    same = memcmp(bytes, wanted, count) == 0;
    free(wanted);
    return same;
}

/* Copies and a kernel, on @p pointer in @p whole, whose other bytes must stay. */
static void
use(const char *what, unsigned char *whole, size_t whole_bytes, unsigned char *pointer, size_t bytes)
{
    size_t before = (size_t)(pointer - whole), behind = whole_bytes - before - bytes;
    unsigned count = 5000, value = 1;
    CUdeviceptr memory, device = 0;
    void *parameters[] = {&device, &count, &value};
    uint32_t *words = (uint32_t *)(void *)pointer;
    unsigned flags = 0;
    CUstream stream;
    bool right = true;

    printf("# %s\n", what);
    memset(whole, 0xab, whole_bytes);
    test_pattern(pointer, bytes, 5);
    NEED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    NEED(cuMemAlloc_v2(&memory, bytes));
    GIVES(CUDA_SUCCESS, cuMemHostRegister_v2(pointer, bytes, CU_MEMHOSTREGISTER_DEVICEMAP));
    ok(is_pattern(pointer, bytes, 5), "its contents stay");
    GIVES(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, cuMemHostRegister_v2(pointer + 64, bytes - 64, 0));
    GIVES(CUDA_SUCCESS, cuMemHostGetFlags(&flags, pointer));
    GIVES(CUDA_SUCCESS, cuMemcpyHtoDAsync_v2(memory, pointer, bytes, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    memset(pointer, 0, bytes);
    GIVES(CUDA_SUCCESS, cuMemcpyDtoHAsync_v2(pointer, memory, bytes, stream));
    GIVES(CUDA_SUCCESS, cuStreamSynchronize(stream));
    ok(is_pattern(pointer, bytes, 5), "copies go both ways");
    GIVES(CUDA_SUCCESS, cuMemHostGetDevicePointer_v2(&device, pointer, 0));
    for (unsigned i = 0; i < count; i++)
        words[i] = i;
    GIVES(CUDA_SUCCESS, test_launch(test_kernel("add"), 20, 256, NULL, parameters));
    GIVES(CUDA_SUCCESS, cuCtxSynchronize());
    for (unsigned i = 0; i < count; i++)
        right &= words[i] == i + 1;
    ok(right, "a kernel has changed it");
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(pointer));
    GIVES(CUDA_SUCCESS, cuMemHostUnregister(pointer));
    ok(words[10] == 11 && words[4999] == 5000, "which stays when it is unregistered");
    GIVES(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister(pointer));
    for (size_t i = 0; i < before; i++)
        right &= whole[i] == 0xab;
    for (size_t i = 0; i < behind; i++)
        right &= pointer[bytes + i] == 0xab;
    ok(right, "what lies beside it stays");
    GIVES(CUDA_SUCCESS, cuMemcpyHtoD_v2(memory, pointer, bytes));
    NEED(cuMemFree_v2(memory));
    NEED(cuStreamDestroy_v2(stream));
}

static void
forks(unsigned char *memory)
{
    int status = 0;
    pid_t child;

    memset(memory, 1, BYTES);
    NEED(cuMemHostRegister_v2(memory, BYTES, 0));
    child = fork();
    if (child == 0) {
        memset(memory, 2, BYTES);
        _exit(memory[BYTES - 1] == 2 ? 7 : 8);
    }
    waitpid(child, &status, 0);
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 7, "a child has it too");
    ok(memory[0] == 1 && memory[BYTES - 1] == 1, "as a copy");
    NEED(cuMemHostUnregister(memory));
}

/* What a context had registered is the program's again. */
static void
ended(unsigned char *memory, CUcontext first)
{
    CUcontext other;

    NEED(cuCtxCreate_v2(&other, 0, 0));
    memset(memory, 3, BYTES);
    NEED(cuMemHostRegister_v2(memory, BYTES, CU_MEMHOSTREGISTER_PORTABLE));
    memset(memory, 4, BYTES / 2);
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(other));
    NEED(cuCtxSetCurrent(first));
    ok(memory[0] == 4 && memory[BYTES - 1] == 3, "memory outlives the context that it was registered in");
}

int
main(void)
{
    CUcontext context = test_begin();
    unsigned char *heap = malloc(BYTES + ODD), *aligned;
    int supported = 0, local;

    NEED(cuDeviceGetAttribute(&supported, CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED, 0));
    ok(supported == 1, "the device takes registered memory");
    if (posix_memalign((void **)&aligned, 4096, BYTES) != 0)
        return 1;
    use("whole pages", aligned, BYTES, aligned, BYTES);
    use("of the heap, at an odd place", heap, BYTES + ODD, heap + 36, BYTES - 100);
    use("a variable", fixed, sizeof(fixed), fixed + 4, BYTES);
    forks(aligned);
    ended(aligned, context);
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemHostRegister_v2(NULL, 4096, 0));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemHostRegister_v2(aligned, 0, 0));
    GIVES(CUDA_ERROR_INVALID_VALUE, cuMemHostRegister_v2(aligned, 4096, 0x100));
    GIVES(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister(&local));
    free(heap);
    free(aligned);
    GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(context));
    return test_end();
}
