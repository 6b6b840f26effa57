/* SPDX-License-Identifier: MIT */
/* Conversion between number formats, see exact.h. */
#include "exact.h"

struct format {
    int mantissa_bits; /* without the hidden one */
    int bias;
    uint64_t nan;
};

static const struct format *
format_of(enum ptx_type type)
{
    static const struct format f16 = {10, 15, 0x7fff}, bf16 = {7, 127, 0x7fff};
    static const struct format f32 = {23, 127, F32_NAN}, f64 = {52, 1023, F64_NAN};

    switch (type) {
    case PTX_F16:
    case PTX_F16X2:
        return &f16;
    case PTX_BF16:
    case PTX_BF16X2:
        return &bf16;
    case PTX_F32:
        return &f32;
    default:
        return &f64;
    }
}

static struct exact
normalise(bool negative, uint64_t mantissa, int exponent)
{
    struct exact value = {EXACT_ZERO, negative, 0, 0};
    int shift;

    if (!mantissa)
        return value;
    shift = __builtin_clzll(mantissa);
    value.class = EXACT_FINITE;
    value.mantissa = mantissa << shift;
    value.exponent = exponent - shift;
    return value;
}

struct exact
exact_from_integer(uint64_t value, bool with_sign)
{
    bool negative = with_sign && value >> 63;

    return normalise(negative, negative ? 0 - value : value, 0);
}

struct exact
exact_from_float(uint64_t bits, enum ptx_type type)
{
    const struct format *format = format_of(type);
    int exponent_bits = type == PTX_F64 ? 11 : type == PTX_F16 ? 5 : 8;
    int exponent = (int)(bits >> format->mantissa_bits & ((1u << exponent_bits) - 1));
    uint64_t mantissa = bits & ((1ull << format->mantissa_bits) - 1);
    bool negative = bits >> (format->mantissa_bits + exponent_bits) & 1;
    struct exact special = {EXACT_NAN, negative, 0, 0};

    if (exponent == (1 << exponent_bits) - 1) {
        special.class = mantissa ? EXACT_NAN : EXACT_INFINITE;
        return special;
    }
    if (exponent)
        mantissa |= 1ull << format->mantissa_bits;
    else
        exponent = 1;
    return normalise(negative, mantissa, exponent - format->bias - format->mantissa_bits);
}

/* Whether to add one to the kept bits; rest is what was cut, half its middle. */
static bool
rounds_up(enum sim_round round, bool negative, bool odd, uint64_t rest, uint64_t half)
{
    switch (round) {
    case ROUND_RZ:
        return false;
    case ROUND_RM:
        return negative && rest;
    case ROUND_RP:
        return !negative && rest;
    case ROUND_RNA:
        return rest >= half;
    default:
        return rest > half || (rest == half && odd);
    }
}

/* mantissa >> shift, rounded; shift may be 64 or more. */
static uint64_t
shift_rounded(uint64_t mantissa, int shift, bool negative, enum sim_round round)
{
    uint64_t kept, rest;

    if (shift <= 0)
        return mantissa;
    if (shift > 64)
        return rounds_up(round, negative, false, 1, 2);
    kept = shift == 64 ? 0 : mantissa >> shift;
    rest = shift == 64 ? mantissa : mantissa & ((1ull << shift) - 1);
    return kept + rounds_up(round, negative, kept & 1, rest, 1ull << (shift - 1));
}

uint64_t
exact_to_float(struct exact value, enum ptx_type type, enum sim_round round)
{
    const struct format *format = format_of(type);
    int bits = format->mantissa_bits, top = 2 * format->bias + 1, exponent, shift;
    uint64_t sign = (uint64_t)value.negative << (type == PTX_F64 ? 63 : type == PTX_F32 ? 31 : 15);
    uint64_t infinity = (uint64_t)top << bits, mantissa;

    switch (value.class) {
    case EXACT_NAN:
        return format->nan;
    case EXACT_INFINITE:
        return sign | infinity;
    case EXACT_ZERO:
        return sign;
    default:
        break;
    }
    exponent = value.exponent + 63 + format->bias; /* biased */
    shift = 63 - bits;
    if (exponent < 1) {
        shift += 1 - exponent;
        exponent = 1;
    }
    mantissa = shift_rounded(value.mantissa, shift, value.negative, round);
    /* a carry out of the mantissa grows the exponent by itself */
    mantissa += (uint64_t)(exponent - 1) << bits;
    if (exponent >= top || mantissa >= infinity) {
        bool finite =
            round == ROUND_RZ || (round == ROUND_RM && !value.negative) || (round == ROUND_RP && value.negative);

        return sign | (finite ? infinity - 1 : infinity);
    }
    return sign | mantissa;
}

uint64_t
exact_to_integer(struct exact value, unsigned int width, bool with_sign, enum sim_round round)
{
    uint64_t limit = with_sign ? 1ull << (width - 1) : width == 64 ? UINT64_MAX : (1ull << width) - 1;
    uint64_t magnitude;

    if (value.class == EXACT_ZERO || value.class == EXACT_NAN)
        return 0;
    if (value.class == EXACT_INFINITE || value.exponent > 0)
        magnitude = UINT64_MAX;
    else
        magnitude = shift_rounded(value.mantissa, -value.exponent, value.negative, round);
    if (!with_sign)
        return value.negative ? 0 : magnitude < limit ? magnitude : limit;
    if (value.negative)
        return 0 - (magnitude < limit ? magnitude : limit);
    return magnitude < limit - 1 ? magnitude : limit - 1;
}

struct exact
exact_to_integral(struct exact value, enum sim_round round)
{
    if (value.class != EXACT_FINITE || value.exponent >= 0)
        return value;
    return normalise(value.negative, shift_rounded(value.mantissa, -value.exponent, value.negative, round), 0);
}

double
half_to_double(uint64_t bits, enum ptx_type type)
{
    return as_f64(exact_to_float(exact_from_float(bits & 0xffff, type), PTX_F64, ROUND_RN));
}

uint64_t
double_to_half(double value, enum ptx_type type)
{
    return exact_to_float(exact_from_float(bits_f64(value), PTX_F64), type, ROUND_RN);
}
