// SPDX-License-Identifier: MIT
// Atomic operations on global and shared memory.
#include <stdint.h>

struct cells {
	uint32_t add, sub, min_u, max_u, and_, or_, xor_, inc, dec, exch, cas;
	int32_t min_s, max_s;
	float add_f;
	unsigned long long add_l, min_l, max_l, or_l, cas_l;
	long long max_sl;
	double add_d;
};

extern "C" __global__ void
run_atomic(struct cells *c, uint32_t *tickets)
{
	uint32_t i = blockIdx.x * blockDim.x + threadIdx.x, old, assumed;
	unsigned long long lold, lassumed;

	tickets[i] = atomicAdd(&c->add, 1);
	atomicSub(&c->sub, i);
	atomicMin(&c->min_u, i * 2654435761u);
	atomicMax(&c->max_u, i * 2654435761u);
	atomicMin(&c->min_s, (int)(i * 2654435761u));
	atomicMax(&c->max_s, (int)(i * 2654435761u));
	atomicAnd(&c->and_, ~(1u << i % 11));
	atomicOr(&c->or_, 1u << i % 29);
	atomicXor(&c->xor_, i * 77);
	atomicInc(&c->inc, 9);
	atomicDec(&c->dec, 12);
	atomicAdd(&c->add_f, 0.5f);
	atomicAdd(&c->add_l, (unsigned long long)i << 30);
	atomicMin(&c->min_l, (unsigned long long)(i + 5) << 33);
	atomicMax(&c->max_l, (unsigned long long)i << 40);
	atomicMax(&c->max_sl, (long long)i - 1000);
	atomicOr(&c->or_l, 1ull << i % 61);
	atomicAdd(&c->add_d, 0.25);
	if (i == 0)
		atomicExch(&c->exch, 4711);
	old = c->cas;
	do {
		assumed = old;
		old = atomicCAS(&c->cas, assumed, assumed + 3);
	} while (old != assumed);
	lold = c->cas_l;
	do {
		lassumed = lold;
		lold = atomicCAS(&c->cas_l, lassumed, lassumed * 3 + 1);
	} while (lold != lassumed);
}

extern "C" __global__ void
run_histogram(const uint8_t *in, uint32_t *out, uint32_t count)
{
	__shared__ uint32_t bins[256];

	bins[threadIdx.x] = 0;
	__syncthreads();
	for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count;
	     i += gridDim.x * blockDim.x)
		atomicAdd(&bins[in[i]], 1);
	__syncthreads();
	atomicAdd(&out[threadIdx.x], bins[threadIdx.x]);
}
