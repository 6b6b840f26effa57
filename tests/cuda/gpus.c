/* SPDX-License-Identifier: MIT */
/*
 * Two devices in one process: work on both, each other's memory, and what both use. With one device nothing is done.
 */
#include <dlfcn.h>
#include <sys/wait.h>

#include "test.h"

#define WORDS 5000u
#define BYTES (WORDS * 4)
#define ROUNDS 200u

struct gpu {
    CUcontext context;
    CUstream stream;
    CUfunction add, append;
    CUdeviceptr data;
};

static struct gpu gpus[2];
static uint32_t source[WORDS], got[WORDS];
static bool peers; /* each reaches the other's memory */

static void
use(const struct gpu *gpu)
{
    NEED(cuCtxSetCurrent(gpu->context));
}

static void
begin(struct gpu *gpu, CUdevice device)
{
    CUmodule module;

    NEED(cuCtxCreate_v2(&gpu->context, 0, device));
    NEED(cuModuleLoadData(&module, kernels));
    NEED(cuModuleGetFunction(&gpu->add, module, "add"));
    NEED(cuModuleGetFunction(&gpu->append, module, "append"));
    NEED(cuStreamCreate(&gpu->stream, CU_STREAM_NON_BLOCKING));
    NEED(cuMemAlloc_v2(&gpu->data, BYTES));
    NEED(cuMemsetD32_v2(gpu->data, 0, WORDS));
    NEED(cuCtxSynchronize());
}

static CUresult
add(const struct gpu *gpu, CUdeviceptr data, uint32_t value)
{
    uint32_t count = WORDS;
    void *parameters[] = {&data, &count, &value};

    use(gpu);
    return test_launch(gpu->add, (WORDS + 255) / 256, 256, gpu->stream, parameters);
}

static bool
all_are(const uint32_t *words, uint32_t value)
{
    for (unsigned i = 0; i < WORDS; i++)
        if (words[i] != value)
            return false;
    return true;
}

static bool
holds(const struct gpu *gpu, CUdeviceptr data, uint32_t value)
{
    use(gpu);
    memset(got, 0xee, sizeof(got));
    NEED(cuStreamSynchronize(gpu->stream));
    NEED(cuMemcpyDtoH_v2(got, data, BYTES));
    return all_are(got, value);
}

static void
launches(void)
{
    for (unsigned i = 0; i < ROUNDS; i++)
        for (unsigned g = 0; g < 2; g++)
            NEED(add(&gpus[g], gpus[g].data, 1 + g));
    ok(holds(&gpus[0], gpus[0].data, ROUNDS), "launches in turn: the first device has done all of its own");
    ok(holds(&gpus[1], gpus[1].data, 2 * ROUNDS), "and the second");
}

/* A function is asked about as that of its own device, whichever context is current. */
static void
occupancy(void)
{
    int grids[2], blocks[2], grid = 0, block = 0;

    for (unsigned g = 0; g < 2; g++) {
        use(&gpus[g]);
        NEED(cuOccupancyMaxPotentialBlockSize(&grids[g], &blocks[g], gpus[g].add, NULL, 0, 0));
    }
    for (unsigned g = 0; g < 2; g++) {
        use(&gpus[!g]);
        GIVES(CUDA_SUCCESS, cuOccupancyMaxPotentialBlockSize(&grid, &block, gpus[g].add, NULL, 0, 0));
        ok(grid == grids[g] && block == blocks[g], "the occupancy of device %u's function is asked for from elsewhere",
           g);
    }
}

static void
copies(void)
{
    for (unsigned i = 0; i < WORDS; i++)
        source[i] = i * 31;
    use(&gpus[0]);
    NEED(cuMemcpyHtoD_v2(gpus[0].data, source, BYTES));
    GIVES(CUDA_SUCCESS,
          cuMemcpyPeerAsync(gpus[1].data, gpus[1].context, gpus[0].data, gpus[0].context, BYTES, gpus[0].stream));
    NEED(cuStreamSynchronize(gpus[0].stream));
    use(&gpus[1]);
    NEED(cuMemcpyDtoH_v2(got, gpus[1].data, BYTES));
    ok(memcmp(got, source, BYTES) == 0, "memory is copied to the other device");
    GIVES(CUDA_SUCCESS, cuMemcpyPeer(gpus[0].data, gpus[0].context, gpus[1].data, gpus[1].context, BYTES));
}

/* The devices take turns at a list that moves between them; each waits for the other's event. */
static void
events(void)
{
    CUevent ready[2];
    CUdeviceptr lists[2];
    bool in_order = true;

    for (unsigned g = 0; g < 2; g++) {
        use(&gpus[g]);
        NEED(cuEventCreate(&ready[g], CU_EVENT_DISABLE_TIMING));
        NEED(cuMemAlloc_v2(&lists[g], BYTES));
        NEED(cuMemsetD32_v2(lists[g], 0, WORDS));
        NEED(cuCtxSynchronize());
    }
    for (uint32_t i = 0; i < ROUNDS; i++) {
        unsigned here = i % 2, there = !here;
        void *parameters[] = {&lists[here], &i};

        use(&gpus[here]);
        if (i > 0)
            NEED(cuStreamWaitEvent(gpus[here].stream, ready[there], 0));
        NEED(test_launch(gpus[here].append, 1, 1, gpus[here].stream, parameters));
        NEED(cuMemcpyPeerAsync(lists[there], gpus[there].context, lists[here], gpus[here].context, BYTES,
                               gpus[here].stream));
        NEED(cuEventRecord(ready[here], gpus[here].stream));
    }
    NEED(cuStreamSynchronize(gpus[(ROUNDS - 1) % 2].stream));
    NEED(cuMemcpyDtoH_v2(got, lists[(ROUNDS - 1) % 2], BYTES));
    for (uint32_t i = 0; i < ROUNDS; i++)
        in_order = in_order && got[i + 1] == i;
    ok(got[0] == ROUNDS && in_order, "each device waits for the other's events");
    for (unsigned g = 0; g < 2; g++) {
        use(&gpus[g]);
        NEED(cuEventDestroy_v2(ready[g]));
        NEED(cuMemFree_v2(lists[g]));
    }
}

static void
peer_memory(void)
{
    for (unsigned g = 0; g < 2; g++) {
        use(&gpus[g]);
        GIVES(CUDA_SUCCESS, cuCtxEnablePeerAccess(gpus[!g].context, 0));
    }
    use(&gpus[1]);
    NEED(cuMemsetD32_v2(gpus[1].data, 5, WORDS));
    NEED(cuCtxSynchronize());
    GIVES(CUDA_SUCCESS, add(&gpus[0], gpus[1].data, 6));
    NEED(cuStreamSynchronize(gpus[0].stream));
    ok(holds(&gpus[1], gpus[1].data, 11), "a kernel reads and writes the other device's memory");
    for (unsigned g = 0; g < 2; g++) {
        use(&gpus[g]);
        GIVES(CUDA_SUCCESS, cuCtxDisablePeerAccess(gpus[!g].context));
    }
}

/* Both in turn at the same memory. */
static void
both_add(CUdeviceptr data, const char *what)
{
    for (unsigned g = 0; g < 2; g++) {
        GIVES(CUDA_SUCCESS, add(&gpus[g], data, 10 + g));
        GIVES(CUDA_SUCCESS, cuStreamSynchronize(gpus[g].stream));
    }
    ok(holds(&gpus[0], data, 21), "both devices use %s", what);
}

static void
host_memory(void)
{
    CUdeviceptr managed;
    void *pinned;

    use(&gpus[0]);
    NEED(cuMemHostAlloc(&pinned, BYTES, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP));
    memset(pinned, 0, BYTES);
    for (unsigned g = 0; g < 2; g++) {
        CUdeviceptr data;

        use(&gpus[g]);
        GIVES(CUDA_SUCCESS, cuMemHostGetDevicePointer_v2(&data, pinned, 0));
        GIVES(CUDA_SUCCESS, add(&gpus[g], data, 10 + g));
        GIVES(CUDA_SUCCESS, cuStreamSynchronize(gpus[g].stream));
    }
    ok(all_are(pinned, 21), "both devices use pinned memory");
    use(&gpus[0]);
    NEED(cuMemFreeHost(pinned));
    NEED(cuMemAllocManaged(&managed, BYTES, CU_MEM_ATTACH_GLOBAL));
    memset((void *)(uintptr_t)managed, 0, BYTES);
    both_add(managed, "managed memory");
    ok(all_are((const uint32_t *)(uintptr_t)managed, 21), "and so does the processor");
    NEED(cuMemFree_v2(managed));
}

static void
pools(void)
{
    CUmemPoolProps properties = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                 .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0}};
    CUmemAccessDesc grant = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 1},
                             .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemAccess_flags flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    CUmemoryPool pool;
    CUdeviceptr data;

    use(&gpus[0]);
    NEED(cuMemPoolCreate(&pool, &properties));
    GIVES(CUDA_SUCCESS, cuMemPoolGetAccess(&flags, pool, &grant.location));
    ok(flags == CU_MEM_ACCESS_FLAGS_PROT_NONE, "a pool is its own device's alone");
    GIVES(CUDA_SUCCESS, cuMemPoolSetAccess(pool, &grant, 1));
    GIVES(CUDA_SUCCESS, cuMemPoolGetAccess(&flags, pool, &grant.location));
    ok(flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE, "until another is let in");
    NEED(cuMemAllocFromPoolAsync(&data, BYTES, pool, gpus[0].stream));
    NEED(cuMemsetD32Async(data, 0, WORDS, gpus[0].stream));
    NEED(cuStreamSynchronize(gpus[0].stream));
    both_add(data, "a pool");
    NEED(cuMemFreeAsync(data, gpus[0].stream));
    NEED(cuStreamSynchronize(gpus[0].stream));
    NEED(cuMemPoolDestroy(pool));
}

static void
mapped(void)
{
    CUmemAllocationProp properties = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                      .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 1}};
    CUmemAccessDesc grants[2] = {
        {.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}, .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE},
        {.location = {CU_MEM_LOCATION_TYPE_DEVICE, 1}, .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE}};
    CUmemGenericAllocationHandle handle;
    unsigned long long flags = 0;
    CUdeviceptr data;
    size_t size;

    use(&gpus[0]);
    NEED(cuMemGetAllocationGranularity(&size, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    NEED(cuMemCreate(&handle, size, &properties, 0));
    NEED(cuMemAddressReserve(&data, size, 0, 0, 0));
    NEED(cuMemMap(data, size, 0, handle, 0));
    GIVES(CUDA_SUCCESS, cuMemSetAccess(data, size, grants, 2));
    GIVES(CUDA_SUCCESS, cuMemGetAccess(&flags, &grants[0].location, data));
    ok(flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE, "a mapping may be reached from both");
    NEED(cuMemsetD32_v2(data, 0, WORDS));
    NEED(cuCtxSynchronize());
    both_add(data, "a mapping");
    NEED(cuMemUnmap(data, size));
    NEED(cuMemAddressFree(data, size));
    NEED(cuMemRelease(handle));
}

/* ---- CUDA_VISIBLE_DEVICES, which another process has ------------------------------------------- */

static void
print_uuids(void)
{
    int count = 0;

    if (cuInit(0) || cuDeviceGetCount(&count))
        return;
    for (int i = 0; i < count && i < 2; i++) {
        CUuuid uuid;

        if (cuDeviceGetUuid_v2(&uuid, i) == CUDA_SUCCESS)
            fwrite(uuid.bytes, sizeof(uuid.bytes), 1, stdout);
    }
}

static void
order(void)
{
    CUuuid mine[2], others[2];
    char name[64] = "", command[64];
    bool swapped, ignored;
    FILE *other;

    for (int i = 0; i < 2; i++)
        NEED(cuDeviceGetUuid_v2(&mine[i], i));
    NEED(cuDeviceGetName(name, sizeof(name), 0));
    snprintf(command, sizeof(command), "CUDA_VISIBLE_DEVICES=1,0 exec /proc/%d/exe uuids", (int)getpid());
    other = popen(command, "r");
    if (!other || fread(others, sizeof(others), 1, other) != 1)
        memset(others, 0, sizeof(others));
    if (other)
        pclose(other);
    swapped = memcmp(&mine[0], &others[1], sizeof(mine[0])) == 0 && memcmp(&mine[1], &others[0], sizeof(mine[0])) == 0;
    /* The simulated device by itself has no such setting. */
    ignored = strstr(name, "simulated") && !dlsym(RTLD_DEFAULT, "gpuvchan_guest_libcuda");
    ok(swapped || ignored, "CUDA_VISIBLE_DEVICES puts the devices into another order");
}

int
main(int count, char **arguments)
{
    int devices = 0, can[2] = {0, 0};

    (void)arguments;
    if (count > 1) {
        print_uuids();
        return 0;
    }
    alarm(240);
    NEED(cuInit(0));
    NEED(cuDeviceGetCount(&devices));
    if (devices < 2) {
        ok(true, "two devices # skip there is one");
        return test_end();
    }
    for (int g = 0; g < 2; g++) {
        begin(&gpus[g], g);
        NEED(cuDeviceCanAccessPeer(&can[g], g, !g));
    }
    peers = can[0] && can[1];
    launches();
    occupancy();
    copies();
    events();
    host_memory();
    if (peers) {
        peer_memory();
        pools();
        mapped();
    } else {
        ok(true, "each other's memory # skip the devices do not reach it");
    }
    order();
    for (int g = 1; g >= 0; g--)
        GIVES(CUDA_SUCCESS, cuCtxDestroy_v2(gpus[g].context));
    return test_end();
}
