// SPDX-License-Identifier: MIT
// Divergence, loops, switch, recursion, calls through pointers.
#include <stdint.h>

__device__ __noinline__ int
fibonacci(int n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

struct pair {
	int first;
	double second;
	char tail[5];
};

__device__ __noinline__ struct pair
swap_pair(struct pair p, int add)
{
	struct pair r;

	r.first = (int)p.second + add;
	r.second = p.first;
	for (int i = 0; i < 5; i++)
		r.tail[i] = p.tail[4 - i];
	return r;
}

__device__ __noinline__ int twice(int a) { return 2 * a; }
__device__ __noinline__ int square(int a) { return a * a; }
__device__ __noinline__ int minus(int a) { return -a; }

typedef int (*function)(int);
__device__ function table[3] = { twice, square, minus };

__device__ __noinline__ int
select_case(int n)
{
	switch (n) {
	case 0: return 17;
	case 1: return n * 3 + 4;
	case 2: return 99;
	case 3: return -n;
	case 4: return n << 7;
	case 5: return 1234;
	case 6: return n ^ 0x55;
	case 7: return n * n * n;
	case 8: return 4321;
	case 9: return 0;
	default: return -1;
	}
}

__device__ __noinline__ int
collatz(unsigned int n)
{
	int steps = 0;

	while (n != 1) {
		if (n & 1)
			n = 3 * n + 1;
		else
			n >>= 1;
		steps++;
		if (steps > 1000)
			return -1;
	}
	return steps;
}

extern "C" __global__ void
run_control(int *out, unsigned int count)
{
	unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
	struct pair p;
	int sum = 0, *o = out + 8 * i;

	if (i >= count)
		return;
	o[0] = fibonacci((int)(i % 12));
	p.first = (int)i;
	p.second = i * 2;
	for (int k = 0; k < 5; k++)
		p.tail[k] = (char)(i + k);
	p = swap_pair(p, 7);
	o[1] = p.first + (int)p.second + p.tail[0] * 3 + p.tail[4];
	o[2] = table[i % 3]((int)i);
	o[3] = select_case((int)(i % 12));
	o[4] = collatz(i + 1);
	for (unsigned int k = 0; k < i % 37; k++) {
		if (k % 3 == 0)
			continue;
		if (k == 31)
			break;
		for (unsigned int j = k; j < 5; j++)
			sum += (int)(j * k);
		sum++;
	}
	o[5] = sum;
	if (i % 2)
		if (i % 4 == 1)
			o[6] = 1;
		else
			o[6] = i % 8 == 3 ? 2 : 3;
	else
		o[6] = 4;
	int buffer[16];
	for (int k = 0; k < 16; k++)
		buffer[(k * 5 + i) & 15] = k * k;
	o[7] = buffer[i & 15] + buffer[(i >> 4) & 15];
}

// Lanes of a warp take a lock one after the other.
extern "C" __global__ void
run_lock(int *lock, int *counter)
{
	bool done = false;

	while (!done) {
		if (atomicCAS(lock, 0, 1) == 0) {
			*(volatile int *)counter = *(volatile int *)counter + 1;
			__threadfence();
			atomicExch(lock, 0);
			done = true;
		}
	}
}
