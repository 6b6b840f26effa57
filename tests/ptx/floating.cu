// SPDX-License-Identifier: MIT
#include "floating.h"

extern "C" __global__ void
run_floating(const uint32_t *in, uint64_t *out, unsigned int count)
{
	unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < count)
		floating(in + 4 * i, out + (uint64_t)FLOATING_RESULTS * i);
}
