/* SPDX-License-Identifier: MIT */
/* A program of the CUDA runtime: y = a x + y for a million numbers, checked. `nvcc saxpy.cu` builds it. */
#include <cstdio>
#include <vector>

__global__ void
saxpy(int n, float a, const float *x, float *y)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        y[i] = a * x[i] + y[i];
}

int
main()
{
    const int n = 1 << 20;
    std::vector<float> x(n), y(n, 2.0f);
    cudaDeviceProp device;
    float *dx, *dy;
    int wrong = 0;

    for (int i = 0; i < n; i++)
        x[i] = (float)i;
    cudaGetDeviceProperties(&device, 0);
    cudaMalloc(&dx, n * sizeof(float));
    cudaMalloc(&dy, n * sizeof(float));
    cudaMemcpy(dx, x.data(), n * sizeof(float), cudaMemcpyHostToDevice);
    cudaMemcpy(dy, y.data(), n * sizeof(float), cudaMemcpyHostToDevice);
    saxpy<<<(n + 255) / 256, 256>>>(n, 0.5f, dx, dy);
    cudaMemcpy(y.data(), dy, n * sizeof(float), cudaMemcpyDeviceToHost);
    if (cudaError_t error = cudaGetLastError()) {
        fprintf(stderr, "saxpy: %s\n", cudaGetErrorString(error));
        return 1;
    }
    for (int i = 0; i < n; i++)
        wrong += y[i] != 0.5f * i + 2.0f;
    printf("saxpy of %d numbers on %s: %s\n", n, device.name, wrong ? "FAIL" : "PASS");
    cudaFree(dx);
    cudaFree(dy);
    return wrong != 0;
}
