/* SPDX-License-Identifier: MIT */
/* A kernel that calls and reads what another source has: the driver links the two. */
#include <cstdio>

extern __device__ int twice(int value);
extern __device__ int calls;

__global__ void
ask(int *out)
{
    *out = twice(21);
}

int
main()
{
    int *device, value = 0, count = 0;

    cudaMalloc(&device, sizeof(value));
    ask<<<1, 1>>>(device);
    cudaError_t error = cudaGetLastError();
    cudaMemcpy(&value, device, sizeof(value), cudaMemcpyDeviceToHost);
    cudaMemcpyFromSymbol(&count, calls, sizeof(count));
    printf("%s 1 - %s, %d, %d\n1..1\n", value == 42 && count == 1 ? "ok" : "not ok", cudaGetErrorName(error), value,
           count);
    return value != 42 || count != 1;
}
