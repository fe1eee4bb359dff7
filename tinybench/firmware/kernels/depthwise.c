/* Depthwise convolution: four channels at a time. */
#include "tb_kernels.h"
#include "tb_taps.h"

typedef struct {
    int32_t s0, s1, s2, s3;
} tile;

static inline tile multiply_add(tile sums, const int8_t *tap, const int8_t *weights) {
    sums.s0 += tap[0] * weights[0];
    sums.s1 += tap[1] * weights[1];
    sums.s2 += tap[2] * weights[2];
    sums.s3 += tap[3] * weights[3];
    return sums;
}

static inline tile dot_four(tile sums, const int8_t *const *taps, int32_t count, int32_t channel,
                            const int8_t *weights) {
    for (; count > 0; --count, ++taps, weights += 4) {
        sums = multiply_add(sums, taps[0] + channel, weights);
    }
    return sums;
}

#define DEPTHWISE_CONVOLUTION tb_depthwise_conv_2d
#include "tb_depthwise.h"

/* Each input channel has `channels / input_channels` output channels of its own. */
static void convolve_multiplied(const tb_convolution *layer, const tap_list *list, int8_t *output) {
    const tb_requantisation out = layer->out;
    const int32_t multiplier = layer->window.output_channels / layer->window.input_channels;
    const int8_t *weights = layer->weights;
    const tb_scale *scale = out.scales;
    const int32_t *bias = layer->bias;
    for (int32_t c = 0; c < layer->window.input_channels; ++c) {
        for (int32_t m = 0; m < multiplier; ++m, weights += list->count, scale += out.scale_step) {
            *output++ = tb_requantised(out, *scale, dot(*bias++, list->taps, list->count, c, weights));
        }
    }
}

void tb_depthwise_conv_2d_multiplied(const tb_convolution *layer, const int8_t *input, int8_t *output) {
    convolve_all(layer, input, output, convolve_multiplied);
}
