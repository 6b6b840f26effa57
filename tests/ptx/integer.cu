// SPDX-License-Identifier: MIT
#include "integer.h"

extern "C" __global__ void
run_integer(const uint32_t *in, uint64_t *out, unsigned int count)
{
	unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < count)
		integer(in + 4 * i, out + (uint64_t)INTEGER_RESULTS * i);
}
