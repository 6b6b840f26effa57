/* SPDX-License-Identifier: MIT */
/*
 * The test functions are written once, in the .h files, and compiled twice: by
 * nvcc for the device, and into run.c as the reference. What only PTX has is
 * inline assembly there and a plain model here.
 */
#ifndef PTX_COMMON_H
#define PTX_COMMON_H

#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define DEVICE __device__ static inline
#else
#include <math.h>
#define DEVICE static inline
#endif

DEVICE float
bits_to_float(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, 4);
    return value;
}

DEVICE uint32_t
float_to_bits(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, 4);
    return value != value ? 0x7fffffffu : bits;
}

DEVICE double
bits_to_double(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, 8);
    return value;
}

DEVICE uint64_t
double_to_bits(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, 8);
    return value != value ? 0x7ff8000000000000u : bits;
}

#endif
