/* Fully connected layers: four output channels at a time. */
#include "tb_kernels.h"

typedef struct {
    int32_t s0, s1, s2, s3;
} tile;

static inline tile multiply_add(tile sums, int32_t value, const int8_t *weights) {
    sums.s0 += value * weights[0];
    sums.s1 += value * weights[1];
    sums.s2 += value * weights[2];
    sums.s3 += value * weights[3];
    return sums;
}

static inline tile dot_four(tile sums, const int8_t *input, const int8_t *weights, int32_t n) {
    for (; n >= 4; n -= 4, input += 4, weights += 16) {
        sums = multiply_add(sums, input[0], weights);
        sums = multiply_add(sums, input[1], weights + 4);
        sums = multiply_add(sums, input[2], weights + 8);
        sums = multiply_add(sums, input[3], weights + 12);
    }
    for (; n > 0; --n, ++input, weights += 4) {
        sums = multiply_add(sums, input[0], weights);
    }
    return sums;
}

static inline int32_t dot(int32_t sum, const int8_t *input, const int8_t *weights, int32_t n) {
    for (; n > 0; --n) {
        sum += *input++ * *weights++;
    }
    return sum;
}

static void connect(const tb_dense *layer, const int8_t *input, int8_t *output) {
    const tb_requantisation out = layer->out;
    const int32_t depth = layer->input_channels, step = out.scale_step;
    const int8_t *weights = layer->weights;
    const tb_scale *scale = out.scales;
    const int32_t *bias = layer->bias;
    int32_t channels = layer->output_channels;
    for (; channels >= 4; channels -= 4, bias += 4, weights += 4 * depth, scale += 4 * step, output += 4) {
        const tile start = {bias[0], bias[1], bias[2], bias[3]};
        const tile sums = dot_four(start, input, weights, depth);
        output[0] = tb_requantised(out, scale[0], sums.s0);
        output[1] = tb_requantised(out, scale[step], sums.s1);
        output[2] = tb_requantised(out, scale[2 * step], sums.s2);
        output[3] = tb_requantised(out, scale[3 * step], sums.s3);
    }
    for (; channels > 0; --channels, weights += depth, scale += step) {
        *output++ = tb_requantised(out, *scale, dot(*bias++, input, weights, depth));
    }
}

void tb_fully_connected(const tb_dense *layer, const int8_t *input, int8_t *output) {
    for (int32_t batch = 0; batch < layer->batches; ++batch) {
        connect(layer, input, output);
        input += layer->input_channels;
        output += layer->output_channels;
    }
}
