/* Two tensors, element by element, and any function of one. */
#include "tb_kernels.h"

static inline int32_t scaled(int32_t value, tb_scale scale) {
    return tb_scaled(value, scale.multiplier, scale.lift, scale.shift);
}

/* `lift` of the operands' scales holds the 20 bits of headroom that the reference shifts in. */
void tb_add(const tb_elementwise *layer, const int8_t *a, const int8_t *b, int8_t *output) {
    const tb_elementwise l = *layer;
    for (int32_t begin = 0; begin < l.size; begin += l.period) {
        for (int32_t i = 0; i < l.period; ++i) {
            const int32_t one = scaled(*a++ - l.zero_point_a, l.scale_a);
            const int32_t other = scaled(b[i] - l.zero_point_b, l.scale_b);
            *output++ = tb_saturated(scaled(one + other, l.scale) + l.zero_point);
        }
    }
}

void tb_mul(const tb_elementwise *layer, const int8_t *a, const int8_t *b, int8_t *output) {
    const tb_elementwise l = *layer;
    for (int32_t begin = 0; begin < l.size; begin += l.period) {
        for (int32_t i = 0; i < l.period; ++i) {
            const int32_t product = (*a++ - l.zero_point_a) * (b[i] - l.zero_point_b);
            *output++ = tb_saturated(scaled(product, l.scale) + l.zero_point);
        }
    }
}

void tb_clamp(int8_t lowest, int8_t highest, int32_t size, int8_t *tensor) {
    for (int32_t i = 0; i < size; ++i) {
        const int8_t value = tensor[i] < lowest ? lowest : tensor[i];
        tensor[i] = value > highest ? highest : value;
    }
}

void tb_lookup(const int8_t *table, int32_t size, const int8_t *input, int8_t *output) {
    for (int32_t i = 0; i < size; ++i) {
        output[i] = table[input[i] + 128];
    }
}
