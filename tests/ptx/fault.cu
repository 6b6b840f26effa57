// SPDX-License-Identifier: MIT
// Kernels that go wrong, and one that prints.
#include <assert.h>
#include <stdint.h>
#include <stdio.h>

extern "C" __global__ void
write_to(uint32_t *address, uint32_t value)
{
	*address = value + threadIdx.x;
}

extern "C" __global__ void
trap_now(int when)
{
	if ((int)threadIdx.x == when)
		asm volatile("trap;");
}

extern "C" __global__ void
assert_less(int limit)
{
	assert((int)threadIdx.x < limit);
}

extern "C" __global__ void __launch_bounds__(64)
bounded(uint32_t *out)
{
	out[threadIdx.x] = 1;
}

extern "C" __global__ void
never_meet(uint32_t *out)
{
	if (threadIdx.x < 32)
		asm volatile("bar.sync 1, 64;");
	else
		asm volatile("bar.sync 2, 64;");
	out[threadIdx.x] = 1;
}

extern "C" __global__ void
print(int a, double b)
{
	printf("thread %u: %d %5.2f %s %llx %c%%\n", threadIdx.x, a, b, "text",
	       0x123456789abcdefull, 'x');
}

extern "C" __global__ void
heap(uint32_t *out)
{
	uint32_t *p = (uint32_t *)malloc(16 * sizeof *p), sum = 0;

	for (int i = 0; i < 16; i++)
		p[i] = (uint32_t)i * threadIdx.x;
	for (int i = 0; i < 16; i++)
		sum += p[i];
	out[threadIdx.x] = sum;
	free(p);
}
