/* SPDX-License-Identifier: MIT */
/*
 * Memory and pools that two processes share by descriptors: this program is both. The first sends the descriptors
 * over a socket, as programs do.
 */
#include <sys/socket.h>
#include <sys/wait.h>

#include "test.h"

#define BYTES 100000u

enum {
    MEMORY,
    POOL,
    DESCRIPTORS
};

struct letter {
    size_t bytes;
    int descriptors; /* that come with it */
    CUmemPoolPtrExportData pointer;
};

static unsigned char bytes[BYTES], got[BYTES];

/* ---- The socket ------------------------------------------------------------------------------ */

union control {
    struct cmsghdr align;
    char room[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
};

static bool
letter_send(int to, const struct letter *letter, const int *descriptors)
{
    union control control = {0};
    struct iovec part = {.iov_base = (void *)letter, .iov_len = sizeof(*letter)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_SPACE((size_t)letter->descriptors * sizeof(int))};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN((size_t)letter->descriptors * sizeof(int));
    memcpy(CMSG_DATA(head), descriptors, (size_t)letter->descriptors * sizeof(int));
    return sendmsg(to, &message, 0) == (ssize_t)sizeof(*letter);
}

static bool
letter_receive(int from, struct letter *letter, int descriptors[DESCRIPTORS])
{
    union control control;
    struct iovec part = {.iov_base = letter, .iov_len = sizeof(*letter)};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};

    if (recvmsg(from, &message, 0) != (ssize_t)sizeof(*letter) || !CMSG_FIRSTHDR(&message))
        return false;
    memcpy(descriptors, CMSG_DATA(CMSG_FIRSTHDR(&message)), (size_t)letter->descriptors * sizeof(int));
    return true;
}

/* ---- Memory at an address ---------------------------------------------------------------------- */

static CUresult
map(CUmemGenericAllocationHandle handle, size_t size, CUdeviceptr *address)
{
    CUmemAccessDesc grant = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
                             .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUresult result = cuMemAddressReserve(address, size, 0, 0, 0);

    if (result == CUDA_SUCCESS)
        result = cuMemMap(*address, size, 0, handle, 0);
    return result == CUDA_SUCCESS ? cuMemSetAccess(*address, size, &grant, 1) : result;
}

static CUresult
unmap(CUdeviceptr address, size_t size)
{
    CUresult result = cuMemUnmap(address, size);

    return result == CUDA_SUCCESS ? cuMemAddressFree(address, size) : result;
}

/* ---- The second process: its exit status says where it failed ---------------------------------- */

/* Reads what the first has written, and writes something else. */
static bool
is_exchanged(CUdeviceptr at)
{
    test_pattern(bytes, BYTES, 1);
    if (cuMemcpyDtoH_v2(got, at, BYTES) || memcmp(got, bytes, BYTES) != 0)
        return false;
    test_pattern(bytes, BYTES, 2);
    return cuMemcpyHtoD_v2(at, bytes, BYTES) == CUDA_SUCCESS && cuCtxSynchronize() == CUDA_SUCCESS;
}

static int
second_memory(int descriptor, size_t size)
{
    CUmemGenericAllocationHandle handle, again;
    CUmemAllocationProp properties;
    CUdeviceptr at;

    if (cuMemImportFromShareableHandle(&handle, (void *)(intptr_t)descriptor, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR))
        return 11;
    if (cuMemImportFromShareableHandle(&again, (void *)(intptr_t)descriptor, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR))
        return 12;
    close(descriptor);
    if (cuMemGetAllocationPropertiesFromHandle(&properties, handle) || properties.location.id != 0)
        return 13;
    if (map(handle, size, &at))
        return 14;
    if (!is_exchanged(at))
        return 15;
    return unmap(at, size) || cuMemRelease(handle) || cuMemRelease(again) ? 16 : 0;
}

static int
second_pool(int descriptor, CUmemPoolPtrExportData *pointer)
{
    CUmemoryPool pool;
    CUdeviceptr at;

    if (cuMemPoolImportFromShareableHandle(&pool, (void *)(intptr_t)descriptor,
                                           CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0))
        return 21;
    if (cuMemPoolImportPointer(&at, pool, pointer))
        return 22;
    if (!is_exchanged(at))
        return 23;
    if (cuMemFreeAsync(at, NULL) || cuCtxSynchronize() || cuMemPoolDestroy(pool))
        return 24;
    return 0;
}

static int
second(void)
{
    CUmemGenericAllocationHandle handle;
    int descriptors[DESCRIPTORS], result;
    struct letter letter;
    CUcontext context;

    if (!letter_receive(0, &letter, descriptors) || cuInit(0) || cuCtxCreate_v2(&context, 0, 0))
        return 2;
    if (cuMemImportFromShareableHandle(&handle, (void *)(intptr_t)0, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) ==
        CUDA_SUCCESS)
        return 3; /* a socket of the program's */
    result = second_memory(descriptors[MEMORY], letter.bytes);
    if (result == 0 && letter.descriptors > POOL)
        result = second_pool(descriptors[POOL], &letter.pointer);
    return result;
}

/* ---- The first process ----------------------------------------------------------------------- */

static int
run_second(const struct letter *letter, const int *descriptors)
{
    int ends[2], status = -1;
    pid_t child;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0)
        return -1;
    child = fork();
    if (child == 0) {
        dup2(ends[0], 0);
        close(ends[0]);
        close(ends[1]);
        execl("/proc/self/exe", "shared", "second", (char *)NULL);
        _exit(99);
    }
    close(ends[0]);
    if (child > 0 && letter_send(ends[1], letter, descriptors))
        waitpid(child, &status, 0);
    close(ends[1]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static size_t
granularity(const CUmemAllocationProp *properties)
{
    size_t grain;

    NEED(cuMemGetAllocationGranularity(&grain, properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    return grain;
}

static void
fill(CUdeviceptr at)
{
    test_pattern(bytes, BYTES, 1);
    NEED(cuMemcpyHtoD_v2(at, bytes, BYTES));
    NEED(cuCtxSynchronize());
}

static void
is_answered(CUdeviceptr at, const char *what)
{
    test_pattern(bytes, BYTES, 2);
    NEED(cuMemcpyDtoH_v2(got, at, BYTES));
    ok(memcmp(got, bytes, BYTES) == 0, "what the other process wrote to %s is here", what);
}

/* A pool and an allocation in it, for the letter. */
static CUdeviceptr
share_pool(CUmemoryPool *pool, struct letter *letter, int *descriptor)
{
    CUmemPoolProps properties = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                 .handleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                                 .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
    CUdeviceptr at;

    NEED(cuMemPoolCreate(pool, &properties));
    NEED(cuMemAllocFromPoolAsync(&at, BYTES, *pool, NULL));
    fill(at);
    NEED(cuMemPoolExportToShareableHandle(descriptor, *pool, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    NEED(cuMemPoolExportPointer(&letter->pointer, at));
    letter->descriptors = DESCRIPTORS;
    return at;
}

static void
refusals(CUmemGenericAllocationHandle handle, size_t size)
{
    CUmemAllocationProp plain = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                 .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
    CUmemGenericAllocationHandle other;
    int descriptor;

    NEED(cuMemCreate(&other, size, &plain, 0));
    ok(cuMemExportToShareableHandle(&descriptor, other, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0) != CUDA_SUCCESS,
       "memory that was not made for it is not shared");
    ok(cuMemExportToShareableHandle(&descriptor, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 1) != CUDA_SUCCESS,
       "there are no flags");
    NEED(cuMemRelease(other));
}

int
main(int count, char **arguments)
{
    CUmemAllocationProp properties = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                      .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                                      .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
    int descriptors[DESCRIPTORS], supported = 0, pools = 0;
    CUmemGenericAllocationHandle handle;
    struct letter letter = {.descriptors = 1};
    CUdeviceptr at, pooled = 0;
    CUmemoryPool pool;
    CUcontext context;

    (void)arguments;
    if (count > 1)
        return second();
    context = test_begin();
    NEED(cuDeviceGetAttribute(&supported, CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED, 0));
    NEED(cuDeviceGetAttribute(&pools, CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES, 0));
    if (!supported) {
        ok(true, "memory of another process # skip nothing is shared here");
        return test_end();
    }
    letter.bytes = (BYTES + granularity(&properties) - 1) / granularity(&properties) * granularity(&properties);
    GIVES(CUDA_SUCCESS, cuMemCreate(&handle, letter.bytes, &properties, 0));
    NEED(map(handle, letter.bytes, &at));
    fill(at);
    GIVES(CUDA_SUCCESS,
          cuMemExportToShareableHandle(&descriptors[MEMORY], handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    if (pools & CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
        pooled = share_pool(&pool, &letter, &descriptors[POOL]);
    count = run_second(&letter, descriptors);
    if (!ok(count == 0, "another process reads and writes the memory"))
        printf("# it ended with %d\n", count);
    is_answered(at, "memory");
    if (pooled) {
        is_answered(pooled, "a pool");
        NEED(cuMemFreeAsync(pooled, NULL));
        NEED(cuCtxSynchronize());
        GIVES(CUDA_SUCCESS, cuMemPoolDestroy(pool));
        close(descriptors[POOL]);
    }
    refusals(handle, letter.bytes);
    /* The descriptor keeps the memory. */
    GIVES(CUDA_SUCCESS, unmap(at, letter.bytes));
    GIVES(CUDA_SUCCESS, cuMemRelease(handle));
    GIVES(CUDA_SUCCESS, cuMemImportFromShareableHandle(&handle, (void *)(intptr_t)descriptors[MEMORY],
                                                       CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
    close(descriptors[MEMORY]);
    GIVES(CUDA_SUCCESS, map(handle, letter.bytes, &at));
    is_answered(at, "memory that nobody had");
    GIVES(CUDA_SUCCESS, unmap(at, letter.bytes));
    GIVES(CUDA_SUCCESS, cuMemRelease(handle));
    NEED(cuCtxDestroy_v2(context));
    return test_end();
}
