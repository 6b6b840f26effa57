// SPDX-License-Identifier: MIT
// Half and bfloat16, alone and in pairs.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

extern "C" __global__ void
run_half(const float *in, float *out, unsigned int count)
{
	unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
	float *o = out + 16 * i;
	__half a, b, c;
	__half2 p, q;

	if (i >= count)
		return;
	a = __float2half(in[3 * i]);
	b = __float2half(in[3 * i + 1]);
	c = __float2half(in[3 * i + 2]);
	p = __halves2half2(a, b);
	q = __halves2half2(c, a);
	o[0] = __half2float(a);
	o[1] = __half2float(__hadd(a, b));
	o[2] = __half2float(__hsub(a, b));
	o[3] = __half2float(__hmul(a, b));
	o[4] = __half2float(__hfma(a, b, c));
	o[5] = __half2float(__hneg(a));
	o[6] = __half2float(__habs(a));
	o[7] = __half2float(__low2half(__hadd2(p, q)));
	o[8] = __half2float(__high2half(__hmul2(p, q)));
	o[9] = __half2float(__high2half(__hfma2(p, q, p)));
	o[10] = __hlt(a, b) ? 1 : 0;
	o[11] = __hbgt2(p, q) ? 1 : 0;
	o[12] = __half2int_rz(a);
	o[13] = __half2float(__int2half_rn((int)in[3 * i]));
	o[14] = __half2float(hsqrt(__habs(a)));
	o[15] = __half2float(__hadd_sat(a, b));
}

extern "C" __global__ void
run_bfloat(const float *in, float *out, unsigned int count)
{
	unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
	float *o = out + 6 * i;
	__nv_bfloat16 a, b, c;

	if (i >= count)
		return;
	a = __float2bfloat16(in[3 * i]);
	b = __float2bfloat16(in[3 * i + 1]);
	c = __float2bfloat16(in[3 * i + 2]);
	o[0] = __bfloat162float(a);
	o[1] = __bfloat162float(__hadd(a, b));
	o[2] = __bfloat162float(__hmul(a, b));
#if __CUDA_ARCH__ >= 800
	o[3] = __bfloat162float(__hfma(a, b, c));
#else
	o[3] = 0;
#endif
	o[4] = __bfloat162float(__hmax(a, b));
	o[5] = __hle(a, b) ? 1 : 0;
}
