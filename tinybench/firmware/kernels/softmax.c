/* Softmax: exponentials from a table, one reciprocal for each row. */
#include "tb_kernels.h"

/* The accumulator of exponentials is Q12.19: 12 integer bits, so that up to 4095 ones can be added. */
enum { ACCUMULATOR_INTEGER_BITS = 12 };

static int32_t leading_zeros(uint32_t value) {
    int32_t count = 0;
    for (; count < 32 && (value >> 31) == 0; value <<= 1) {
        ++count;
    }
    return count;
}

/* 1 / (1 + x) for x in [0, 1), both Q0.31: three Newton-Raphson steps in Q2.29 on the half denominator,
 * as gemmlowp's one_over_one_plus_x_for_x_in_0_1. */
static int32_t reciprocal_of_one_plus(int32_t x) {
    const int32_t q2_48_over_17 = 1515870810, q2_32_over_17 = 1010580540, q2_one = INT32_C(1) << 29;
    const int32_t half_denominator = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
    int32_t guess = q2_48_over_17 + tb_high_product(half_denominator, -q2_32_over_17);
    for (int32_t step = 0; step < 3; ++step) {
        const int32_t error = q2_one - tb_high_product(half_denominator, guess);
        guess += 4 * tb_high_product(guess, error);
    }
    return guess >= q2_one * 2 ? INT32_MAX : 2 * guess;
}

/* Q0.31 to Q12.19, rounded to nearest, halves away from zero. */
static int32_t widened(int32_t exponential) {
    const int32_t half = INT32_C(1) << (ACCUMULATOR_INTEGER_BITS - 1);
    const int32_t rest = exponential & (2 * half - 1);
    return (exponential >> ACCUMULATOR_INTEGER_BITS) + (rest >= half ? 1 : 0);
}

void tb_softmax(const tb_softmax_layer *layer, const int8_t *input, int8_t *output) {
    for (int32_t row = 0; row < layer->rows; ++row) {
        int32_t largest = INT8_MIN, sum = 0;
        for (int32_t c = 0; c < layer->channels; ++c) {
            largest = input[c] > largest ? input[c] : largest;
        }
        for (int32_t c = 0; c < layer->channels; ++c) {
            const int32_t difference = largest - input[c];
            sum += difference < layer->differences ? widened(layer->exponentials[difference]) : 0;
        }
        const int32_t headroom = leading_zeros((uint32_t)sum) + 1;
        const uint32_t fraction = (uint32_t)sum << headroom;
        const int32_t scale = reciprocal_of_one_plus((int32_t)(fraction >> 1));
        const int32_t shift = ACCUMULATOR_INTEGER_BITS - headroom + 31 - 8 + 1;
        for (int32_t c = 0; c < layer->channels; ++c) {
            const int32_t difference = largest - input[c];
            int32_t value = INT8_MIN;
            if (difference < layer->differences) {
                const int32_t share = tb_high_product(scale, layer->exponentials[difference]);
                value += (share >> shift) + (int32_t)(((uint32_t)share >> (shift - 1)) & 1U);
            }
            *output++ = tb_saturated(value);
        }
        input += layer->channels;
    }
}
