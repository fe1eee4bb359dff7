/* Depthwise convolution: four channels at a time. */
#include <stdbool.h>

#include "tb_kernels.h"

/* Where the filter's positions lie in the input, padding where they lie outside. */
static void list_taps(const tb_convolution *layer, const int8_t *input, int32_t y, int32_t x, const int8_t **taps) {
    const tb_window *w = &layer->window;
    const int32_t first_x = x * w->stride_x - w->pad_x;
    int32_t in_y = y * w->stride_y - w->pad_y;
    for (int32_t ky = 0; ky < w->filter_height; ++ky, in_y += w->dilation_y) {
        const int8_t *row = input + in_y * w->input_width * w->input_channels;
        const bool row_inside = in_y >= 0 && in_y < w->input_height;
        int32_t in_x = first_x;
        for (int32_t kx = 0; kx < w->filter_width; ++kx, in_x += w->dilation_x) {
            const bool inside = row_inside && in_x >= 0 && in_x < w->input_width;
            *taps++ = inside ? row + in_x * w->input_channels : layer->padding;
        }
    }
}

static inline int8_t finished(const tb_requantisation *out, const tb_scale *scale, int32_t sum) {
    const int32_t value = tb_scaled(sum, scale->multiplier, scale->lift, scale->shift) + out->zero_point;
    return (int8_t)tb_clamped(value, out->lowest, out->highest);
}

void tb_depthwise_conv_2d(const tb_convolution *layer, const int8_t *input, int8_t *output) {
    const tb_window *w = &layer->window;
    const tb_requantisation *out = &layer->out;
    const int32_t channels = w->output_channels, tap_count = w->filter_height * w->filter_width;
    const int8_t *taps[TB_MAX_TAPS];
    for (int32_t y = 0; y < w->output_height; ++y) {
        for (int32_t x = 0; x < w->output_width; ++x) {
            list_taps(layer, input, y, x, taps);
            const tb_scale *scale = out->scales;
            const int32_t *bias = layer->bias;
            int32_t c = 0;
            for (; c + 4 <= channels; c += 4, bias += 4) {
                int32_t s0 = bias[0], s1 = bias[1], s2 = bias[2], s3 = bias[3];
                const int8_t *weights = layer->weights + c;
                for (int32_t t = 0; t < tap_count; ++t, weights += channels) {
                    const int8_t *tap = taps[t] + c;
                    s0 += tap[0] * weights[0];
                    s1 += tap[1] * weights[1];
                    s2 += tap[2] * weights[2];
                    s3 += tap[3] * weights[3];
                }
                *output++ = finished(out, scale, s0);
                scale += out->scale_step;
                *output++ = finished(out, scale, s1);
                scale += out->scale_step;
                *output++ = finished(out, scale, s2);
                scale += out->scale_step;
                *output++ = finished(out, scale, s3);
                scale += out->scale_step;
            }
            for (; c < channels; ++c, scale += out->scale_step) {
                int32_t sum = *bias++;
                const int8_t *weights = layer->weights + c;
                for (int32_t t = 0; t < tap_count; ++t, weights += channels) {
                    sum += taps[t][c] * *weights;
                }
                *output++ = finished(out, scale, sum);
            }
        }
    }
}

void tb_depthwise_conv_2d_multiplied(const tb_convolution *layer, const int8_t *input, int8_t *output) {
    const tb_window *w = &layer->window;
    const tb_requantisation *out = &layer->out;
    const int32_t channels = w->output_channels, tap_count = w->filter_height * w->filter_width;
    const int32_t multiplier = channels / w->input_channels;
    const int8_t *taps[TB_MAX_TAPS];
    for (int32_t y = 0; y < w->output_height; ++y) {
        for (int32_t x = 0; x < w->output_width; ++x) {
            list_taps(layer, input, y, x, taps);
            const tb_scale *scale = out->scales;
            int32_t in = 0, turn = 0;
            for (int32_t c = 0; c < channels; ++c, scale += out->scale_step) {
                int32_t sum = layer->bias[c];
                const int8_t *weights = layer->weights + c;
                for (int32_t t = 0; t < tap_count; ++t, weights += channels) {
                    sum += taps[t][in] * *weights;
                }
                *output++ = finished(out, scale, sum);
                if (++turn == multiplier) {
                    turn = 0;
                    ++in;
                }
            }
        }
    }
}
