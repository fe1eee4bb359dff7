/* Softmax of int16: exponentials and one reciprocal for each row, both between entries of tables. */
#include "tb_int16.h"

/* Between two of 513 entries that are 128 apart. */
static int32_t looked_up(const int16_t *table, int32_t value) {
    const int32_t within = tb_within(value, INT16_MIN, INT16_MAX);
    const int16_t *entry = table + 256 + (within >> 7);
    const int32_t slope = (int16_t)(entry[1] - entry[0]);
    return (int16_t)(entry[0] + ((slope * (within & 127) + 64) >> 7));
}

static int32_t leading_zeros(uint32_t value) {
    int32_t count = 0;
    for (; count < 32 && (value >> 31) == 0; value <<= 1) {
        ++count;
    }
    return count;
}

static void softmax_row(const tb_softmax_layer_16 *layer, const int16_t *input, int16_t *output) {
    const tb_scale s = layer->scale;
    int32_t largest = INT16_MIN, sum = 0;
    for (int32_t c = 0; c < layer->channels; ++c) {
        largest = input[c] > largest ? input[c] : largest;
    }
    /* The output keeps the exponentials for a moment; it may be the input. */
    for (int32_t c = 0; c < layer->channels; ++c) {
        const int32_t difference = tb_scaled(input[c] - largest, s.multiplier, s.lift, s.shift);
        const int32_t exponential = looked_up(layer->exponentials, difference + INT16_MAX);
        output[c] = (int16_t)exponential;
        sum += exponential;
    }
    const int32_t headroom = leading_zeros((uint32_t)sum);
    const int32_t normal = (int32_t)((((int64_t)sum << (headroom - 1)) + (1 << 13)) >> 14);
    const int32_t reciprocal = looked_up(layer->reciprocals, normal - (1 << 15) - (1 << 16));
    const int32_t shift = 31 - headroom;
    for (int32_t c = 0; c < layer->channels; ++c) {
        const int32_t share = (output[c] * reciprocal + (INT32_C(1) << (shift - 1))) >> shift;
        output[c] = tb_within(share, 0, INT16_MAX);
    }
}

void tb_softmax_16(const tb_softmax_layer_16 *layer, const int16_t *input, int16_t *output) {
    for (int32_t row = 0; row < layer->rows; ++row) {
        softmax_row(layer, input + row * layer->channels, output + row * layer->channels);
    }
}
