/* int16, element by element. */
#include <stdbool.h>

#include "tb_int16.h"

static inline int32_t scaled(int32_t value, tb_scale scale) {
    return tb_scaled(value, scale.multiplier, scale.lift, scale.shift);
}

/* As tb_scaled without a left shift, for any int32: products of two int16 leave no room for one. */
static inline int32_t scaled_product(int32_t product, tb_scale scale) {
    const int64_t high = tb_high_product(product, scale.multiplier);
    return (int32_t)((((2 * high + (high >> 63)) >> scale.shift) + 1) >> 1);
}

/* `lift` of the operands' scales holds the 15 bits of headroom that the reference shifts in. */
void tb_add_16(const tb_elementwise *layer, const int16_t *a, const int16_t *b, int16_t *output) {
    for (int32_t begin = 0; begin < layer->size; begin += layer->period) {
        for (int32_t i = 0; i < layer->period; ++i) {
            const int32_t sum = scaled(*a++, layer->scale_a) + scaled(b[i], layer->scale_b);
            *output++ = tb_within(scaled(sum, layer->scale), INT16_MIN, INT16_MAX);
        }
    }
}

void tb_mul_16(const tb_elementwise *layer, const int16_t *a, const int16_t *b, int16_t *output) {
    for (int32_t begin = 0; begin < layer->size; begin += layer->period) {
        for (int32_t i = 0; i < layer->period; ++i) {
            *output++ = tb_within(scaled_product(*a++ * b[i], layer->scale), INT16_MIN, INT16_MAX);
        }
    }
}

void tb_clamp_16(int16_t lowest, int16_t highest, int32_t size, int16_t *tensor) {
    for (int32_t i = 0; i < size; ++i) {
        tensor[i] = tb_within(tensor[i], lowest, highest);
    }
}

void tb_two_slopes_16(const tb_slopes_16 *layer, const int16_t *input, int16_t *output) {
    for (int32_t i = 0; i < layer->size; ++i) {
        const int32_t value = scaled(input[i], input[i] < 0 ? layer->below : layer->above);
        output[i] = tb_within(value, layer->lowest, INT16_MAX);
    }
}

static inline int32_t curve_position(const tb_curve_16 *layer, int16_t value) {
    const int32_t half = layer->shift > 0 ? INT32_C(1) << (layer->shift - 1) : 0;
    return (value * layer->multiplier + half) >> layer->shift;
}

enum { LAST_ENTRY = 255 };

/* Between two entries of the table, which are 2^bits apart; Q16.bits. */
static inline int32_t curve_between(const tb_curve_16 *layer, int32_t distance, int32_t bits) {
    const int32_t entry = distance >> bits, rest = distance & ((INT32_C(1) << bits) - 1);
    const int32_t from = layer->table[entry], to = layer->table[entry + 1];
    return (from << bits) + rest * (to - from);
}

void tb_logistic_16(const tb_curve_16 *layer, const int16_t *input, int16_t *output) {
    for (int32_t i = 0; i < layer->size; ++i) {
        const int32_t position = curve_position(layer, input[i]);
        const int32_t distance = position < 0 ? -position : position;
        const bool is_beyond = distance >> 9 >= LAST_ENTRY;
        const int32_t value = is_beyond ? INT32_C(0x7FFF) << 10 : curve_between(layer, distance, 9);
        const int32_t rounding = 1 << 9, one = INT32_C(1) << 25;
        output[i] = (int16_t)((position >= 0 ? value + rounding : one - value + rounding - 1) >> 10);
    }
}

/* tanh(x) = 2 logistic(2x) - 1 */
void tb_tanh_16(const tb_curve_16 *layer, const int16_t *input, int16_t *output) {
    for (int32_t i = 0; i < layer->size; ++i) {
        const int32_t position = curve_position(layer, input[i]);
        const int32_t distance = position < 0 ? -position : position;
        const bool is_beyond = distance >> 8 >= LAST_ENTRY;
        const int32_t value = is_beyond ? INT32_C(0xFFFF) << 8 : curve_between(layer, distance, 8);
        const int32_t rounding = 1 << 7, half = INT32_C(1) << 23;
        output[i] = (int16_t)((position >= 0 ? value - half + rounding : half - value + rounding - 1) >> 8);
    }
}
