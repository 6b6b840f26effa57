// SPDX-License-Identifier: MIT
// Shared memory, static and dynamic, and barriers of all kinds.
#include <stdint.h>

extern "C" __global__ void
run_reduce(const float *in, float *out, unsigned int count)
{
	__shared__ float sums[256];
	unsigned int t = threadIdx.x, i = blockIdx.x * 256 + t;

	sums[t] = i < count ? in[i] : 0;
	__syncthreads();
	for (unsigned int half = 128; half > 0; half >>= 1) {
		if (t < half)
			sums[t] += sums[t + half];
		__syncthreads();
	}
	if (t == 0)
		out[blockIdx.x] = sums[0];
}

extern __shared__ uint32_t dynamic[];

extern "C" __global__ void
run_transpose(const uint32_t *in, uint32_t *out, unsigned int n)
{
	unsigned int x = threadIdx.x, y = threadIdx.y;

	dynamic[y * (blockDim.x + 1) + x] =
		in[(blockIdx.y * blockDim.y + y) * n + blockIdx.x * blockDim.x + x];
	__syncthreads();
	out[(blockIdx.x * blockDim.x + y) * n + blockIdx.y * blockDim.y + x] =
		dynamic[x * (blockDim.x + 1) + y];
}

extern "C" __global__ void
run_counts(uint32_t *out)
{
	unsigned int t = threadIdx.x;
	__shared__ uint32_t box[2];
	uint32_t size;

	out[4 * t] = (uint32_t)__syncthreads_count(t % 3 == 0);
	out[4 * t + 1] = (uint32_t)__syncthreads_and(t < 96) | (uint32_t)__syncthreads_or(t == 5) << 4;
	// a producer warp and a consumer warp meet at a barrier of their own
	if (t < 64) {
		if (t < 32) {
			if (t == 0)
				box[0] = 77;
			asm volatile("bar.arrive 3, 64;" ::: "memory");
		} else {
			asm volatile("bar.sync 3, 64;" ::: "memory");
			if (t == 40)
				box[1] = box[0] + 1;
		}
	}
	__syncthreads();
	out[4 * t + 2] = box[1];
	asm("mov.u32 %0, %%dynamic_smem_size;" : "=r"(size));
	out[4 * t + 3] = size;
}

// Half of the threads leave; the rest still meet.
extern "C" __global__ void
run_leavers(uint32_t *out)
{
	unsigned int t = threadIdx.x;

	if (t & 1)
		return;
	__syncthreads();
	out[t / 2] = t * 3;
}
