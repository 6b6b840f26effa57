// SPDX-License-Identifier: MIT
// Library functions of both precisions, as nvcc inlines them.
#include <stdint.h>

extern "C" __global__ void
run_math(const float *in, float *out, unsigned int count)
{
	unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
	float a, b, *o;

	if (i >= count)
		return;
	a = in[2 * i];
	b = in[2 * i + 1];
	o = out + 24 * i;
	o[0] = sinf(a);
	o[1] = cosf(a);
	o[2] = tanf(a);
	o[3] = expf(b);
	o[4] = exp2f(b);
	o[5] = logf(fabsf(a) + 1e-3f);
	o[6] = log2f(fabsf(a) + 1e-3f);
	o[7] = powf(fabsf(a) + 0.1f, b);
	o[8] = tanhf(b);
	o[9] = atan2f(a, b);
	o[10] = asinf(b / 8);
	o[11] = erff(b);
	o[12] = cbrtf(a);
	o[13] = rsqrtf(fabsf(a) + 0.5f);
	o[14] = hypotf(a, b);
	o[15] = fmodf(a, 3.7f);
	o[16] = __sinf(b);
	o[17] = __expf(b);
	o[18] = __logf(fabsf(a) + 1.5f);
	o[19] = __fdividef(a, fabsf(b) + 1);
	o[20] = sqrtf(fabsf(a));
	o[21] = lgammaf(fabsf(b) + 1);
	o[22] = log1pf(fabsf(b));
	o[23] = sinhf(b);
}

extern "C" __global__ void
run_math_double(const double *in, double *out, unsigned int count)
{
	unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
	double a, b, *o;

	if (i >= count)
		return;
	a = in[2 * i];
	b = in[2 * i + 1];
	o = out + 12 * i;
	o[0] = sin(a);
	o[1] = cos(a);
	o[2] = exp(b);
	o[3] = log(fabs(a) + 1e-3);
	o[4] = pow(fabs(a) + 0.1, b);
	o[5] = tanh(b);
	o[6] = atan2(a, b);
	o[7] = erf(b);
	o[8] = rsqrt(fabs(a) + 0.5);
	o[9] = cbrt(a);
	o[10] = fmod(a, 3.7);
	o[11] = a / (b + 10);
}
