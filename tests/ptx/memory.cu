// SPDX-License-Identifier: MIT
// Variables with initial values, constants, vectors, structures, local arrays.
#include <stdint.h>

struct mixed {
	char a;
	short b;
	int c;
	double d;
	float4 e;
	uint8_t f[7];
};

__constant__ int primes[10] = { 2, 3, 5, 7, 11, 13, 17, 19, 23, 29 };
__constant__ struct mixed constant_mixed = { 1, -2, 3, 4.5, { 1, 2, 3, 4 }, { 7, 6, 5, 4, 3, 2, 1 } };
__device__ int numbers[4] = { 10, -20, 30, -40 };
__device__ int *pointer = &numbers[2];
__device__ const char text[] = "text of the device";
__device__ const char *words[3] = { "one", "two", text };
__device__ double matrix[2][3] = { { 1, 2, 3 }, { 4, 5, 6 } };
__device__ uint64_t counter;
__device__ float zeroes[100];

extern "C" __global__ void
run_memory(struct mixed m, uint4 *vectors, double2 *doubles, uint16_t *shorts, uint64_t *out)
{
	uint32_t i = threadIdx.x;
	uint4 v = vectors[i];
	double2 w = doubles[i];
	uint16_t local[33];
	uint64_t sum = 0;

	vectors[i] = make_uint4(v.w, v.z, v.y, v.x);
	doubles[i] = make_double2(w.y * 2, w.x + 1);
	for (uint32_t k = 0; k < 33; k++)
		local[k] = (uint16_t)(shorts[k] + k * i);
	for (uint32_t k = 0; k < 33; k++)
		sum = sum * 31 + local[(k * 7 + i) % 33];
	out[8 * i] = sum;
	out[8 * i + 1] = (uint64_t)(int64_t)(m.a + m.b + m.c) + (uint64_t)m.d + (uint64_t)m.e.z +
			 m.f[i % 7];
	out[8 * i + 2] = (uint64_t)(int64_t)(primes[i % 10] + numbers[i % 4] + *pointer +
					      constant_mixed.b + constant_mixed.f[i % 7]) +
			 (uint64_t)(constant_mixed.d * 2 + constant_mixed.e.w);
	out[8 * i + 3] = (uint64_t)words[i % 3][i % 3] + text[i % 18];
	out[8 * i + 4] = (uint64_t)(matrix[i % 2][i % 3] * 100) + (uint64_t)zeroes[i];
	if (i == 0)
		counter += 5;
	// generic addresses of every space
	__shared__ uint32_t box[64];
	uint32_t own = i * 3;
	uint32_t *generic = i % 3 == 0 ? &own : i % 3 == 1 ? &box[i] : (uint32_t *)&out[8 * i + 5];
	box[i] = 1000 + i;
	out[8 * i + 5] = 5000 + i;
	*generic += 1;
	out[8 * i + 6] = own + box[i];
	out[8 * i + 7] = (uint64_t)__isShared(generic) | (uint64_t)__isLocal(generic) << 1 |
			 (uint64_t)__isGlobal(generic) << 2;
}
