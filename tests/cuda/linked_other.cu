/* SPDX-License-Identifier: MIT */
__device__ int calls;

__device__ int
twice(int value)
{
    calls++;
    return 2 * value;
}
