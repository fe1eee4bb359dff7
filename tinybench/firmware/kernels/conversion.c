/* From one type of numbers to another: QUANTIZE and DEQUANTIZE. */
#include "tb_conversion.h"

static inline int32_t requantised(const tb_requantising *layer, int32_t value) {
    const tb_scale s = layer->scale;
    return tb_scaled(value - layer->zero_point_from, s.multiplier, s.lift, s.shift) + layer->zero_point_to;
}

void tb_requantize_8_to_16(const tb_requantising *layer, const int8_t *input, int16_t *output) {
    for (int32_t i = 0; i < layer->size; ++i) {
        output[i] = tb_within(requantised(layer, input[i]), INT16_MIN, INT16_MAX);
    }
}

void tb_requantize_16_to_8(const tb_requantising *layer, const int16_t *input, int8_t *output) {
    for (int32_t i = 0; i < layer->size; ++i) {
        output[i] = (int8_t)tb_within(requantised(layer, input[i]), INT8_MIN, INT8_MAX);
    }
}

void tb_requantize_16_to_16(const tb_requantising *layer, const int16_t *input, int16_t *output) {
    for (int32_t i = 0; i < layer->size; ++i) {
        output[i] = tb_within(requantised(layer, input[i]), INT16_MIN, INT16_MAX);
    }
}

/* To nearest, halves away from zero; the quotient of a number that is none is 0. */
static inline int32_t quantised(const tb_quantising *layer, float value) {
    const float far = 1 << 20;
    const float quotient = tb_bounded(value / layer->scale, -far, far);
    const int32_t whole = quotient == quotient ? (int32_t)quotient : 0;
    const float rest = quotient - (float)whole;
    return whole + (rest >= 0.5F) - (rest <= -0.5F) + layer->zero_point;
}

void tb_quantize_to_8(const tb_quantising *layer, const float *input, int8_t *output) {
    for (int32_t i = 0; i < layer->size; ++i) {
        output[i] = (int8_t)tb_within(quantised(layer, input[i]), INT8_MIN, INT8_MAX);
    }
}

void tb_quantize_to_16(const tb_quantising *layer, const float *input, int16_t *output) {
    for (int32_t i = 0; i < layer->size; ++i) {
        output[i] = tb_within(quantised(layer, input[i]), INT16_MIN, INT16_MAX);
    }
}

/* A scale of 24 bits times an integer of at most 17: rounded once, as the reference's product of doubles is. */
void tb_dequantize_8(const tb_quantising *layer, const int8_t *input, float *output) {
    for (int32_t i = 0; i < layer->size; ++i) {
        output[i] = layer->scale * (float)(input[i] - layer->zero_point);
    }
}

void tb_dequantize_16(const tb_quantising *layer, const int16_t *input, float *output) {
    for (int32_t i = 0; i < layer->size; ++i) {
        output[i] = layer->scale * (float)(input[i] - layer->zero_point);
    }
}
