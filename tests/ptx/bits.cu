// SPDX-License-Identifier: MIT
#include "bits.h"

extern "C" __global__ void
run_bits(const uint32_t *in, uint64_t *out, unsigned int count)
{
	unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < count)
		bits(in + 4 * i, out + (uint64_t)BITS_RESULTS * i);
}
