// SPDX-License-Identifier: MIT
// c = a + b

extern "C" __global__ void
vectoradd(const float *a, const float *b, float *c, unsigned int count)
{
	unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < count)
		c[i] = a[i] + b[i];
}
