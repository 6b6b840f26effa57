// SPDX-License-Identifier: MIT
// What came with sm_80 and sm_90: asynchronous copies, grid barriers.
#include <cooperative_groups.h>
#include <cuda_pipeline.h>
#include <stdint.h>

namespace cg = cooperative_groups;

extern "C" __global__ void
run_async(const uint4 *in, uint32_t *out)
{
	__shared__ uint4 box[64];

	__pipeline_memcpy_async(&box[threadIdx.x], &in[threadIdx.x], sizeof(uint4));
	__pipeline_commit();
	__pipeline_wait_prior(0);
	__syncthreads();
	out[threadIdx.x] = box[63 - threadIdx.x].x + box[threadIdx.x].w;
}

extern "C" __global__ void
run_grid(uint32_t *cells, uint32_t rounds)
{
	cg::grid_group grid = cg::this_grid();
	uint32_t i = blockIdx.x * blockDim.x + threadIdx.x, n = gridDim.x * blockDim.x;

	for (uint32_t k = 0; k < rounds; k++) {
		uint32_t next = cells[(i + 1) % n];

		grid.sync();
		cells[i] += next;
		grid.sync();
	}
}

extern "C" __global__ void
run_tiles(uint32_t *out)
{
	auto tile = cg::tiled_partition<8>(cg::this_thread_block());
	uint32_t x = threadIdx.x;

	for (int step = 4; step; step >>= 1)
		x += tile.shfl_xor(x, step);
	tile.sync();
	if (threadIdx.x % 3 == 0) {
		auto active = cg::coalesced_threads();

		x += active.size() * 1000 + active.thread_rank() * 100000;
	}
	out[threadIdx.x] = x;
}
