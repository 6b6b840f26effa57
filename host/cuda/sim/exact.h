/* SPDX-License-Identifier: MIT */
/*
 * Numbers of any format without loss: sign, 64 bits of mantissa, exponent.
 * Every conversion goes from a format to this and from this, rounded once, to
 * the other; formats differ only in two numbers.
 */
#ifndef SIM_EXACT_H
#define SIM_EXACT_H

#include "ops.h"

enum exact_class {
    EXACT_ZERO,
    EXACT_FINITE,
    EXACT_INFINITE,
    EXACT_NAN
};

/* mantissa * 2^exponent; the top bit of a finite mantissa is set */
struct exact {
    enum exact_class class;
    bool negative;
    uint64_t mantissa;
    int exponent;
};

struct exact exact_from_integer(uint64_t value, bool with_sign);
struct exact exact_from_float(uint64_t bits, enum ptx_type type);
uint64_t exact_to_float(struct exact value, enum ptx_type type, enum sim_round round);
/* Saturates; NaN is for exact_to_integer's caller to judge. */
uint64_t exact_to_integer(struct exact value, unsigned int width, bool with_sign, enum sim_round round);
struct exact exact_to_integral(struct exact value, enum sim_round round);

/* f16 and bf16 to double, which holds both, and back rounded to nearest. */
double half_to_double(uint64_t bits, enum ptx_type type);
uint64_t double_to_half(double value, enum ptx_type type);

#endif
