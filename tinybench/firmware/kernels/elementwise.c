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
            const int32_t sum = scaled(*a++ - l.zero_point_a, l.scale_a) + scaled(b[i] - l.zero_point_b, l.scale_b);
            *output++ = (int8_t)tb_clamped(scaled(sum, l.scale) + l.zero_point, l.lowest, l.highest);
        }
    }
}

void tb_mul(const tb_elementwise *layer, const int8_t *a, const int8_t *b, int8_t *output) {
    const tb_elementwise l = *layer;
    for (int32_t begin = 0; begin < l.size; begin += l.period) {
        for (int32_t i = 0; i < l.period; ++i) {
            const int32_t product = (*a++ - l.zero_point_a) * (b[i] - l.zero_point_b);
            *output++ = (int8_t)tb_clamped(scaled(product, l.scale) + l.zero_point, l.lowest, l.highest);
        }
    }
}

void tb_lookup(const int8_t *table, int32_t size, const int8_t *input, int8_t *output) {
    for (int32_t i = 0; i < size; ++i) {
        output[i] = table[input[i] + 128];
    }
}
