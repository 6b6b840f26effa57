// SPDX-License-Identifier: MIT
// c = a * b for row-major square matrices, in tiles that a block holds in
// shared memory. Launch with blocks of TILE x TILE threads that cover c.

#define TILE 16

extern "C" __global__ void
matmul(const float *a, const float *b, float *c, unsigned int n)
{
	__shared__ float left[TILE][TILE], right[TILE][TILE];
	unsigned int x = threadIdx.x, y = threadIdx.y;
	unsigned int column = blockIdx.x * TILE + x, row = blockIdx.y * TILE + y;
	float sum = 0;

	for (unsigned int k = 0; k < n; k += TILE) {
		left[y][x] = row < n && k + x < n ? a[row * n + k + x] : 0;
		right[y][x] = k + y < n && column < n ? b[(k + y) * n + column] : 0;
		__syncthreads();
		for (unsigned int i = 0; i < TILE; i++)
			sum += left[y][i] * right[i][x];
		__syncthreads();
	}
	if (row < n && column < n)
		c[row * n + column] = sum;
}
