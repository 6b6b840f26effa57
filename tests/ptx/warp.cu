// SPDX-License-Identifier: MIT
// What the lanes of a warp do together; a part needs sm_80.
#include <stdint.h>

#define ALL 0xffffffffu

extern "C" __global__ void
run_warp(uint32_t *out)
{
	uint32_t lane = threadIdx.x & 31, t = threadIdx.x, value = t * 7 + 3, mask;
	uint32_t *o = out + 24 * t;
	int all = 0;

	o[0] = __shfl_sync(ALL, value, 5);
	o[1] = __shfl_sync(ALL, value, (int)(lane ^ 9), 16);
	o[2] = __shfl_up_sync(ALL, value, 3);
	o[3] = __shfl_up_sync(ALL, value, 2, 8);
	o[4] = __shfl_down_sync(ALL, value, 4);
	o[5] = __shfl_down_sync(ALL, value, 1, 4);
	o[6] = __shfl_xor_sync(ALL, value, 16);
	o[7] = __shfl_xor_sync(ALL, value, 3, 8);
	o[8] = __ballot_sync(ALL, value % 3 == 0);
	o[9] = (uint32_t)__all_sync(ALL, value > 2) | (uint32_t)__any_sync(ALL, lane == 31) << 1 |
	       (uint32_t)__all_sync(ALL, lane > 2) << 2 | (uint32_t)__any_sync(ALL, value == 1) << 3;
	o[10] = __match_any_sync(ALL, lane % 5);
	o[11] = __match_all_sync(ALL, t / 32, &all) ^ (uint32_t)all;
	// members of a half only
	mask = lane < 16 ? 0xffffu : 0xffff0000u;
	if (lane < 16) {
		o[12] = __shfl_sync(mask, value, 15);
		o[13] = __ballot_sync(mask, lane & 1);
	} else {
		o[12] = __shfl_xor_sync(mask, value, 1);
		o[13] = __ballot_sync(mask, lane & 2);
	}
	__syncwarp();
	o[14] = __activemask();
	uint32_t eq, lt, le, gt, ge, id;
	asm("mov.u32 %0, %%lanemask_eq;" : "=r"(eq));
	asm("mov.u32 %0, %%lanemask_lt;" : "=r"(lt));
	asm("mov.u32 %0, %%lanemask_le;" : "=r"(le));
	asm("mov.u32 %0, %%lanemask_gt;" : "=r"(gt));
	asm("mov.u32 %0, %%lanemask_ge;" : "=r"(ge));
	asm("mov.u32 %0, %%laneid;" : "=r"(id));
	o[15] = eq + lt * 3 + le * 5 + gt * 7 + ge * 11 + id;
	// lanes come to the same shuffle at different times
	uint32_t loops = lane % 7, x = value;
	for (uint32_t k = 0; k < loops; k++)
		x = x * 5 + k;
	o[16] = __shfl_down_sync(ALL, x, 1);
	float f = (float)lane;
	for (int step = 16; step; step >>= 1)
		f += __shfl_xor_sync(ALL, f, step);
	o[17] = (uint32_t)f;
	o[18] = (uint32_t)(__shfl_sync(ALL, (unsigned long long)value << 33, 3) >> 32);
#if __CUDA_ARCH__ >= 800
	o[19] = __reduce_add_sync(ALL, value);
	o[20] = __reduce_min_sync(ALL, value);
	o[21] = (uint32_t)__reduce_max_sync(ALL, -(int)value);
	o[22] = __reduce_or_sync(ALL, 1u << lane % 9);
	o[23] = __reduce_xor_sync(ALL, value);
#endif
}
