/* SPDX-License-Identifier: MIT */
/*
 * A program of CUDA's runtime, as nvcc builds them: TAP, one check for each thing that such programs do. Built with
 * the runtime linked statically, and once more shared.
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <cooperative_groups.h>
#include <cuda_runtime.h>

namespace cg = cooperative_groups;

static int count, wrong;

static void
ok(bool passed, const char *name)
{
    printf("%sok %d - %s\n", passed ? "" : "not ", ++count, name);
    wrong += !passed;
}

#define NEED(call)                                                             \
    do {                                                                       \
        cudaError_t need_error = (call);                                       \
        if (need_error != cudaSuccess) {                                       \
            printf("Bail out! %s: %s\n", #call, cudaGetErrorName(need_error)); \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

__constant__ float factors[4];
__device__ int counter;

__global__ void
add(const float *a, const float *b, float *c, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        c[i] = a[i] + b[i];
}

__global__ void
scale(float *values, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        values[i] *= factors[i % 4];
}

__global__ void
count_all()
{
    atomicAdd(&counter, 1);
}

__global__ void
reverse(int *values)
{
    extern __shared__ int shared[];

    for (int i = threadIdx.x; i < 16384; i += blockDim.x)
        shared[i] = values[i];
    __syncthreads();
    for (int i = threadIdx.x; i < 16384; i += blockDim.x)
        values[i] = shared[16383 - i];
}

__global__ void
whole_grid(int *values, int *sum)
{
    cg::grid_group grid = cg::this_grid();

    values[grid.thread_rank()] = 1;
    grid.sync();
    if (grid.thread_rank() == 0)
        for (unsigned i = 0; i < grid.size(); i++)
            *sum += values[i];
}

__global__ void
sample(cudaTextureObject_t texture, float *out)
{
    out[threadIdx.x] = tex1Dfetch<float>(texture, (int)threadIdx.x);
}

struct large {
    int values[500];
};

__global__ void
by_value(struct large given, int *out)
{
    out[threadIdx.x] = given.values[threadIdx.x];
}

template <typename T>
static T *
on_device(size_t elements)
{
    T *pointer;

    NEED(cudaMalloc(&pointer, elements * sizeof(T)));
    return pointer;
}

static void
simple()
{
    const int n = 100003;
    std::vector<float> a(n), b(n), c(n);
    float *da = on_device<float>(n), *db = on_device<float>(n), *dc = on_device<float>(n);
    bool same = true;

    for (int i = 0; i < n; i++) {
        a[i] = (float)i;
        b[i] = (float)(3 * i);
    }
    NEED(cudaMemcpy(da, a.data(), n * 4, cudaMemcpyHostToDevice));
    NEED(cudaMemcpy(db, b.data(), n * 4, cudaMemcpyHostToDevice));
    add<<<(n + 255) / 256, 256>>>(da, db, dc, n);
    NEED(cudaGetLastError());
    NEED(cudaMemcpy(c.data(), dc, n * 4, cudaMemcpyDeviceToHost));
    for (int i = 0; i < n; i++)
        same &= c[i] == (float)i + (float)(3 * i);
    ok(same, "a kernel between copies");

    float four[] = {1, 2, 3, 4};
    NEED(cudaMemcpyToSymbol(factors, four, sizeof(four)));
    scale<<<(n + 255) / 256, 256>>>(dc, n);
    NEED(cudaMemcpy(c.data(), dc, n * 4, cudaMemcpyDefault));
    same = true;
    for (int i = 0; i < n; i++)
        same &= c[i] == ((float)i + (float)(3 * i)) * four[i % 4];
    ok(same, "constant memory");

    int total = 0;
    NEED(cudaMemcpyToSymbol(counter, &total, sizeof(total)));
    count_all<<<100, 100>>>();
    NEED(cudaMemcpyFromSymbol(&total, counter, sizeof(total)));
    ok(total == 10000, "a variable of the device, and atomics");
    NEED(cudaFree(da));
    NEED(cudaFree(db));
    NEED(cudaFree(dc));
}

static void
shared_memory()
{
    std::vector<int> values(16384);
    int *there = on_device<int>(values.size());
    bool same = true;

    for (int i = 0; i < 16384; i++)
        values[i] = i;
    NEED(cudaMemcpy(there, values.data(), 65536, cudaMemcpyHostToDevice));
    reverse<<<1, 256, 65536>>>(there);
    ok(cudaGetLastError() == cudaErrorInvalidValue, "64 KiB of shared memory must be asked for");
    NEED(cudaFuncSetAttribute(reverse, cudaFuncAttributeMaxDynamicSharedMemorySize, 65536));
    reverse<<<1, 256, 65536>>>(there);
    NEED(cudaMemcpy(values.data(), there, 65536, cudaMemcpyDeviceToHost));
    for (int i = 0; i < 16384; i++)
        same &= values[i] == 16383 - i;
    ok(same, "and is there then");
    NEED(cudaFree(there));
}

static void
cooperative()
{
    int *values, *sum = on_device<int>(1), blocks = 0, result = 0, one_block = 0;
    void *arguments[] = {&values, &sum};

    NEED(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&one_block, whole_grid, 128, 0));
    ok(one_block > 0, "occupancy");
    blocks = 8;
    values = on_device<int>((size_t)blocks * 128);
    NEED(cudaMemset(sum, 0, 4));
    NEED(cudaLaunchCooperativeKernel(whole_grid, dim3(blocks), dim3(128), arguments, 0, 0));
    NEED(cudaMemcpy(&result, sum, 4, cudaMemcpyDeviceToHost));
    ok(result == blocks * 128, "a grid that waits for itself");
    NEED(cudaFree(values));
    NEED(cudaFree(sum));
}

static void
large_parameter()
{
    struct large given;
    int *out = on_device<int>(500), back[500];

    for (int i = 0; i < 500; i++)
        given.values[i] = i * i;
    by_value<<<1, 500>>>(given, out);
    NEED(cudaMemcpy(back, out, sizeof(back), cudaMemcpyDeviceToHost));
    ok(memcmp(back, given.values, sizeof(back)) == 0, "a parameter of 2000 bytes");
    NEED(cudaFree(out));
}

static void CUDART_CB
called_back(void *data)
{
    ++*(int *)data;
}

static void
streams()
{
    const size_t bytes = 16 << 20;
    unsigned char *pinned, *there = on_device<unsigned char>(bytes), *pageable = (unsigned char *)malloc(bytes);
    cudaStream_t first, second;
    cudaEvent_t begin, end;
    float elapsed = -1;
    int calls = 0;

    NEED(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking));
    NEED(cudaStreamCreate(&second));
    NEED(cudaEventCreate(&begin));
    NEED(cudaEventCreate(&end));
    NEED(cudaMallocHost(&pinned, bytes));
    for (size_t i = 0; i < bytes; i++)
        pinned[i] = (unsigned char)(i * 7 + i / 256);
    NEED(cudaEventRecord(begin, first));
    NEED(cudaMemcpyAsync(there, pinned, bytes, cudaMemcpyHostToDevice, first));
    NEED(cudaEventRecord(end, first));
    NEED(cudaStreamWaitEvent(second, end, 0));
    NEED(cudaMemcpyAsync(pageable, there, bytes, cudaMemcpyDeviceToHost, second));
    NEED(cudaLaunchHostFunc(second, called_back, &calls));
    NEED(cudaStreamSynchronize(second));
    ok(memcmp(pinned, pageable, bytes) == 0, "copies through two streams");
    ok(calls == 1, "a function of the program in a stream");
    NEED(cudaEventElapsedTime(&elapsed, begin, end));
    ok(elapsed >= 0 && elapsed < 10000, "elapsed time");
    ok(cudaStreamQuery(first) == cudaSuccess && cudaEventQuery(end) == cudaSuccess, "nothing is left");
    NEED(cudaFreeHost(pinned));
    NEED(cudaFree(there));
    NEED(cudaEventDestroy(begin));
    NEED(cudaEventDestroy(end));
    NEED(cudaStreamDestroy(first));
    NEED(cudaStreamDestroy(second));
    free(pageable);
}

static void
pools()
{
    cudaStream_t stream;
    int supported = 0, value = 0;
    int *there;

    NEED(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, 0));
    if (!supported) {
        ok(true, "memory pools # SKIP the device has none");
        return;
    }
    NEED(cudaStreamCreate(&stream));
    NEED(cudaMallocAsync((void **)&there, 4 << 20, stream));
    NEED(cudaMemsetAsync(there, 0x11, 4 << 20, stream));
    NEED(cudaMemcpyAsync(&value, there + 77, 4, cudaMemcpyDeviceToHost, stream));
    NEED(cudaFreeAsync(there, stream));
    NEED(cudaStreamSynchronize(stream));
    ok(value == 0x11111111, "memory of a pool");
    NEED(cudaStreamDestroy(stream));
}

static void
managed()
{
    int supported = 0, *values;
    bool same = true;

    NEED(cudaDeviceGetAttribute(&supported, cudaDevAttrManagedMemory, 0));
    if (!supported) {
        ok(true, "managed memory # SKIP the device has none");
        return;
    }
    NEED(cudaMallocManaged(&values, 16384 * sizeof(int)));
    for (int i = 0; i < 16384; i++)
        values[i] = i;
    reverse<<<1, 256, 65536>>>(values);
    NEED(cudaDeviceSynchronize());
    for (int i = 0; i < 16384; i++)
        same &= values[i] == 16383 - i;
    ok(same, "managed memory");
    NEED(cudaFree(values));
}

static void
graph()
{
    const int n = 4096;
    float *a = on_device<float>(n), *b = on_device<float>(n), back = 0;
    std::vector<float> ones(n, 1.0f);
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    size_t nodes = 0;

    NEED(cudaMemcpy(a, ones.data(), n * 4, cudaMemcpyHostToDevice));
    NEED(cudaMemset(b, 0, n * 4));
    NEED(cudaStreamCreate(&stream));
    NEED(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    for (int i = 0; i < 10; i++)
        add<<<n / 256, 256, 0, stream>>>(a, b, b, n);
    NEED(cudaStreamEndCapture(stream, &graph));
    NEED(cudaGraphGetNodes(graph, NULL, &nodes));
    ok(nodes == 10, "what is captured is in the graph");
    NEED(cudaGraphInstantiate(&exec, graph, 0));
    for (int i = 0; i < 5; i++)
        NEED(cudaGraphLaunch(exec, stream));
    NEED(cudaStreamSynchronize(stream));
    NEED(cudaMemcpy(&back, b + n - 1, 4, cudaMemcpyDeviceToHost));
    ok(back == 50.0f, "and runs when it is launched");
    NEED(cudaGraphExecDestroy(exec));
    NEED(cudaGraphDestroy(graph));
    NEED(cudaStreamDestroy(stream));
    NEED(cudaFree(a));
    NEED(cudaFree(b));
}

static void
texture()
{
    cudaResourceDesc resource = {};
    cudaTextureDesc how = {};
    cudaTextureObject_t object;
    float *from = on_device<float>(64), *to = on_device<float>(64), values[64], back[64];

    for (int i = 0; i < 64; i++)
        values[i] = (float)i * 0.5f;
    NEED(cudaMemcpy(from, values, sizeof(values), cudaMemcpyHostToDevice));
    resource.resType = cudaResourceTypeLinear;
    resource.res.linear.devPtr = from;
    resource.res.linear.desc = cudaCreateChannelDesc<float>();
    resource.res.linear.sizeInBytes = sizeof(values);
    how.readMode = cudaReadModeElementType;
    NEED(cudaCreateTextureObject(&object, &resource, &how, NULL));
    sample<<<1, 64>>>(object, to);
    NEED(cudaMemcpy(back, to, sizeof(back), cudaMemcpyDeviceToHost));
    ok(memcmp(values, back, sizeof(back)) == 0, "a texture");
    NEED(cudaDestroyTextureObject(object));
    NEED(cudaFree(from));
    NEED(cudaFree(to));
}

static void
questions()
{
    cudaDeviceProp properties;
    cudaFuncAttributes function;
    cudaPointerAttributes pointer;
    size_t available = 0, total = 0;
    int *memory = on_device<int>(1), driver = 0, runtime = 0;

    NEED(cudaGetDeviceProperties(&properties, 0));
    printf("# %s, %d.%d, %d multiprocessors\n", properties.name, properties.major, properties.minor,
           properties.multiProcessorCount);
    ok(properties.totalGlobalMem > 0 && properties.warpSize == 32, "properties of the device");
    NEED(cudaFuncGetAttributes(&function, add));
    ok(function.maxThreadsPerBlock >= 256 && function.numRegs > 0, "attributes of a kernel");
    NEED(cudaPointerGetAttributes(&pointer, memory));
    ok(pointer.type == cudaMemoryTypeDevice && pointer.devicePointer == memory, "attributes of a pointer");
    NEED(cudaMemGetInfo(&available, &total));
    ok(available > 0 && available <= total, "memory that is left");
    NEED(cudaDriverGetVersion(&driver));
    NEED(cudaRuntimeGetVersion(&runtime));
    ok(driver >= runtime, "the driver serves the runtime");
    ok(cudaFree((void *)1) == cudaErrorInvalidValue && cudaGetLastError() == cudaErrorInvalidValue &&
           cudaGetLastError() == cudaSuccess,
       "an error is told, and once");
    NEED(cudaFree(memory));
}

int
main()
{
    questions();
    simple();
    shared_memory();
    cooperative();
    large_parameter();
    streams();
    pools();
    managed();
    graph();
    texture();
    NEED(cudaDeviceSynchronize());
    ok(cudaDeviceReset() == cudaSuccess, "the end");
    printf("1..%d\n", count);
    return wrong != 0;
}
