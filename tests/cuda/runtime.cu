/* SPDX-License-Identifier: MIT */
/*
 * A program of the CUDA runtime: <<<>>>, streams, events, copies, variables, attributes, occupancy. It runs natively
 * and forwarded with the same output, linked to the runtime statically or not.
 */
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <unistd.h>
#include <vector>

static int count, failed;

static bool
ok(bool passed, const char *what)
{
    printf("%sok %d - %s\n", passed ? "" : "not ", ++count, what);
    fflush(stdout);
    failed += !passed;
    return passed;
}

static bool
is(cudaError_t got, cudaError_t wanted, const char *call)
{
    if (got != wanted)
        printf("# got %s\n", cudaGetErrorName(got));
    return ok(got == wanted, call);
}

#define GIVES(wanted, call) is((call), (wanted), #call)
#define WORKS(call) is((call), cudaSuccess, #call)

__constant__ float factors[4];
__device__ int counter;
__device__ float table[64];

__global__ void
add(const float *a, const float *b, float *c, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        c[i] = a[i] + b[i];
}

__global__ void
scale(float *a, int n, int which)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        a[i] *= factors[which];
}

__global__ void
count_threads()
{
    atomicAdd(&counter, 1);
    if (blockIdx.x == 0 && threadIdx.x < 64)
        table[threadIdx.x] = threadIdx.x * 0.5f;
}

__global__ void
sum(const int *in, int *out, int n)
{
    extern __shared__ int part[];
    int total = 0;

    for (int i = threadIdx.x; i < n; i += blockDim.x)
        total += in[i];
    part[threadIdx.x] = total;
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0)
        *out = part[0];
}

template <typename T>
__global__ void
fill(T *data, T value, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        data[i] = value;
}

struct big {
    int values[200];
};

__global__ void
pick(big all, int which, int *out)
{
    *out = all.values[which];
}

static void
device()
{
    cudaDeviceProp properties;
    int devices = 0, current = -1, value = -1, runtime = 0, driver = 0;

    WORKS(cudaRuntimeGetVersion(&runtime));
    WORKS(cudaDriverGetVersion(&driver));
    ok(driver >= runtime / 1000 * 1000, "the driver is new enough for the runtime");
    WORKS(cudaGetDeviceCount(&devices));
    ok(devices >= 1, "there is a device");
    WORKS(cudaSetDevice(0));
    WORKS(cudaGetDevice(&current));
    ok(current == 0, "it is the first");
    WORKS(cudaGetDeviceProperties(&properties, 0));
    ok(properties.name[0] && properties.totalGlobalMem > 0 && properties.multiProcessorCount > 0 &&
           properties.warpSize == 32,
       "its properties make sense");
    WORKS(cudaDeviceGetAttribute(&value, cudaDevAttrComputeCapabilityMajor, 0));
    ok(value == properties.major, "and agree with its attributes");
    GIVES(cudaErrorInvalidDevice, cudaSetDevice(1000));
    GIVES(cudaErrorInvalidDevice, cudaGetLastError());
    WORKS(cudaGetLastError());
}

static void
vectors()
{
    const int n = 100000;
    std::vector<float> b(n), c(n);
    float *a = nullptr, *da = nullptr, *db = nullptr, *dc = nullptr;
    size_t bytes = n * sizeof(float), free_bytes = 0, all_bytes = 0;
    int wrong = 0;

    WORKS(cudaMallocHost(&a, bytes));
    WORKS(cudaMalloc(&da, bytes));
    WORKS(cudaMalloc(&db, bytes));
    WORKS(cudaMalloc(&dc, bytes));
    for (int i = 0; i < n; i++) {
        a[i] = (float)i;
        b[i] = 2.0f * i;
    }
    WORKS(cudaMemcpy(da, a, bytes, cudaMemcpyHostToDevice));
    WORKS(cudaMemcpy(db, b.data(), bytes, cudaMemcpyDefault));
    add<<<(n + 255) / 256, 256>>>(da, db, dc, n);
    WORKS(cudaGetLastError());
    WORKS(cudaMemcpy(c.data(), dc, bytes, cudaMemcpyDeviceToHost));
    for (int i = 0; i < n; i++)
        wrong += c[i] != 3.0f * i;
    ok(wrong == 0, "all sums are right");
    WORKS(cudaMemcpy(da, dc, bytes, cudaMemcpyDeviceToDevice));
    WORKS(cudaMemset(dc, 0, bytes));
    WORKS(cudaMemcpy(c.data(), da, bytes, cudaMemcpyDeviceToHost));
    ok(c[n - 1] == 3.0f * (n - 1), "a copy on the device");
    WORKS(cudaMemcpy(c.data(), dc, bytes, cudaMemcpyDeviceToHost));
    ok(c[0] == 0 && c[n - 1] == 0, "a fill");
    WORKS(cudaMemGetInfo(&free_bytes, &all_bytes));
    ok(free_bytes <= all_bytes && all_bytes > 0, "memory is counted");
    GIVES(cudaErrorMemoryAllocation, cudaMalloc(&da, (size_t)1 << 46));
    GIVES(cudaErrorMemoryAllocation, cudaGetLastError());
    WORKS(cudaFree(db));
    WORKS(cudaFree(dc));
    WORKS(cudaFreeHost(a));
    WORKS(cudaFree(nullptr));
}

static void
variables()
{
    const float values[4] = {1.0f, 2.0f, 0.5f, 10.0f};
    float host[256], *data = nullptr, half[64];
    void *address = nullptr;
    size_t bytes = 0;
    int zero = 0, got = -1;

    for (int i = 0; i < 256; i++)
        host[i] = (float)i;
    WORKS(cudaMemcpyToSymbol(factors, values, sizeof(values)));
    WORKS(cudaMalloc(&data, sizeof(host)));
    WORKS(cudaMemcpy(data, host, sizeof(host), cudaMemcpyHostToDevice));
    scale<<<2, 128>>>(data, 256, 3);
    scale<<<2, 128>>>(data, 256, 2);
    WORKS(cudaMemcpy(host, data, sizeof(host), cudaMemcpyDeviceToHost));
    ok(host[255] == 255 * 5.0f && host[1] == 5.0f, "kernels see constants");
    WORKS(cudaMemcpyToSymbol(counter, &zero, sizeof(zero)));
    count_threads<<<7, 96>>>();
    WORKS(cudaMemcpyFromSymbol(&got, counter, sizeof(got)));
    ok(got == 7 * 96, "and change variables");
    WORKS(cudaMemcpyFromSymbol(half, table, sizeof(half)));
    ok(half[63] == 31.5f, "all of them");
    WORKS(cudaGetSymbolAddress(&address, table));
    WORKS(cudaGetSymbolSize(&bytes, table));
    ok(address && bytes == sizeof(table), "which have an address and a size");
    WORKS(cudaFree(data));
}

static void
streams()
{
    const int n = 1 << 16, parts = 4;
    cudaStream_t stream[parts];
    cudaEvent_t begin, end, done;
    int *host = nullptr, *data = nullptr, *out = nullptr, sums[parts] = {};
    float milliseconds = -1;

    WORKS(cudaMallocHost(&host, n * sizeof(int)));
    WORKS(cudaMalloc(&data, n * sizeof(int)));
    WORKS(cudaMalloc(&out, parts * sizeof(int)));
    for (int i = 0; i < n; i++)
        host[i] = i % 7;
    WORKS(cudaEventCreate(&begin));
    WORKS(cudaEventCreate(&end));
    WORKS(cudaEventCreateWithFlags(&done, cudaEventDisableTiming));
    for (int i = 0; i < parts; i++)
        cudaStreamCreateWithFlags(&stream[i], i % 2 ? cudaStreamNonBlocking : cudaStreamDefault);
    WORKS(cudaEventRecord(begin, stream[0]));
    for (int i = 0; i < parts; i++) {
        int first = i * (n / parts), some = n / parts;

        cudaMemcpyAsync(data + first, host + first, some * sizeof(int), cudaMemcpyHostToDevice, stream[i]);
        sum<<<1, 128, 128 * sizeof(int), stream[i]>>>(data + first, out + i, some);
    }
    WORKS(cudaGetLastError());
    for (int i = 1; i < parts; i++) {
        cudaEventRecord(done, stream[i]);
        cudaStreamWaitEvent(stream[0], done, 0);
    }
    WORKS(cudaMemcpyAsync(sums, out, sizeof(sums), cudaMemcpyDeviceToHost, stream[0]));
    WORKS(cudaEventRecord(end, stream[0]));
    WORKS(cudaEventSynchronize(end));
    WORKS(cudaEventQuery(end));
    WORKS(cudaStreamSynchronize(stream[0]));
    WORKS(cudaEventElapsedTime(&milliseconds, begin, end));
    ok(milliseconds >= 0, "time passes");
    bool right = true;
    for (int i = 0; i < parts; i++) {
        int wanted = 0;

        for (int j = 0; j < n / parts; j++)
            wanted += host[i * (n / parts) + j];
        right &= sums[i] == wanted;
    }
    ok(right, "the sums of all streams are right");
    for (int i = 0; i < parts; i++)
        cudaStreamDestroy(stream[i]);
    WORKS(cudaEventDestroy(begin));
    WORKS(cudaEventDestroy(end));
    WORKS(cudaEventDestroy(done));
    WORKS(cudaFree(data));
    WORKS(cudaFree(out));
    WORKS(cudaFreeHost(host));
}

static void
kernels()
{
    cudaFuncAttributes attributes;
    int blocks = 0, grid = 0, block = 0, *out = nullptr, got = 0;
    big all;
    double *doubles = nullptr, last = 0;

    WORKS(cudaFuncGetAttributes(&attributes, sum));
    ok(attributes.maxThreadsPerBlock >= 128 && attributes.numRegs > 0, "a kernel's attributes");
    WORKS(cudaFuncSetAttribute(sum, cudaFuncAttributeMaxDynamicSharedMemorySize, 8192));
    WORKS(cudaFuncGetAttributes(&attributes, sum));
    ok(attributes.maxDynamicSharedSizeBytes == 8192, "one that was set");
    WORKS(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, sum, 128, 512));
    ok(blocks > 0, "blocks fit");
    WORKS(cudaOccupancyMaxPotentialBlockSize(&grid, &block, add, 0, 0));
    ok(grid > 0 && block > 0 && block <= 1024, "a size is proposed");
    WORKS(cudaMalloc(&out, sizeof(int)));
    for (int i = 0; i < 200; i++)
        all.values[i] = 1000 + i;
    pick<<<1, 1>>>(all, 123, out);
    WORKS(cudaMemcpy(&got, out, sizeof(got), cudaMemcpyDeviceToHost));
    ok(got == 1123, "a large parameter arrives");
    WORKS(cudaMalloc(&doubles, 1000 * sizeof(double)));
    fill<<<4, 250>>>(doubles, 2.5, 1000);
    WORKS(cudaMemcpy(&last, doubles + 999, sizeof(last), cudaMemcpyDeviceToHost));
    ok(last == 2.5, "a template's kernel runs");
    add<<<1, 2048>>>(nullptr, nullptr, nullptr, 0);
    ok(cudaGetLastError() != cudaSuccess, "too large a block is refused at once");
    void *arguments[] = {&doubles, &last, &got};
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute attribute = {};

    last = 3.5;
    got = 1000;
    config.gridDim = dim3(4);
    config.blockDim = dim3(250);
    attribute.id = cudaLaunchAttributePriority;
    config.attrs = &attribute;
    config.numAttrs = 1;
    WORKS(cudaLaunchKernelExC(&config, (const void *)fill<double>, arguments));
    WORKS(cudaLaunchKernel((const void *)fill<double>, dim3(1), dim3(1), arguments, 0, nullptr));
    WORKS(cudaMemcpy(&last, doubles + 500, sizeof(last), cudaMemcpyDeviceToHost));
    ok(last == 3.5, "a launch with an attribute");
    WORKS(cudaFree(doubles));
    WORKS(cudaFree(out));
}

static void
thread_body(int seed, bool *right)
{
    const int n = 5000;
    std::vector<int> host(n);
    int *data = nullptr;

    *right = cudaMalloc(&data, n * sizeof(int)) == cudaSuccess;
    for (int round = 0; round < 20 && *right; round++) {
        fill<<<(n + 127) / 128, 128>>>(data, seed + round, n);
        *right = cudaMemcpy(host.data(), data, n * sizeof(int), cudaMemcpyDeviceToHost) == cudaSuccess &&
                 host[0] == seed + round && host[n - 1] == seed + round;
    }
    cudaFree(data);
}

static void
threads()
{
    std::thread all[4];
    bool right[4];

    for (int i = 0; i < 4; i++)
        all[i] = std::thread(thread_body, i * 1000, &right[i]);
    for (auto &thread : all)
        thread.join();
    ok(right[0] && right[1] && right[2] && right[3], "threads work side by side");
}

static void
rows()
{
    int host[20][30], back[20][30], *data = nullptr;
    size_t pitch = 0;

    for (int y = 0; y < 20; y++)
        for (int x = 0; x < 30; x++)
            host[y][x] = y * 100 + x;
    WORKS(cudaMallocPitch(&data, &pitch, sizeof(host[0]), 20));
    WORKS(cudaMemcpy2D(data, pitch, host, sizeof(host[0]), sizeof(host[0]), 20, cudaMemcpyHostToDevice));
    WORKS(cudaMemcpy2D(back, sizeof(back[0]), data, pitch, sizeof(host[0]), 20, cudaMemcpyDeviceToHost));
    ok(memcmp(host, back, sizeof(host)) == 0, "rows come back");
    WORKS(cudaFree(data));
}

static void
pointers()
{
    cudaPointerAttributes attributes;
    int *data = nullptr, *host = nullptr;

    WORKS(cudaMalloc(&data, 100));
    WORKS(cudaMallocHost(&host, 100));
    WORKS(cudaPointerGetAttributes(&attributes, data));
    ok(attributes.type == cudaMemoryTypeDevice && attributes.devicePointer == data, "the device's memory is known");
    WORKS(cudaPointerGetAttributes(&attributes, host));
    ok(attributes.type == cudaMemoryTypeHost && attributes.hostPointer == host, "and the host's");
    WORKS(cudaFree(data));
    WORKS(cudaFreeHost(host));
}

int
main()
{
    int *data = nullptr;

    alarm(getenv("TEST_SECONDS") ? (unsigned)atoi(getenv("TEST_SECONDS")) : 60);
    device();
    vectors();
    variables();
    streams();
    kernels();
    threads();
    rows();
    pointers();
    WORKS(cudaDeviceSynchronize());
    WORKS(cudaDeviceReset());
    WORKS(cudaMalloc(&data, 1000));
    fill<<<1, 10>>>(data, 1, 10);
    WORKS(cudaDeviceSynchronize());
    printf("1..%d\n", count);
    return failed != 0;
}
