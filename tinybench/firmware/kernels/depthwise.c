/* Depthwise convolution: four channels at a time. */
#include <stdbool.h>

#include "tb_kernels.h"

/* The input under each position of the filter, channel by channel; padding outside the image. */
typedef struct {
    const int8_t *taps[TB_MAX_TAPS];
    int32_t offsets[TB_MAX_TAPS]; /* of the taps from the first one */
    int32_t count;
} tap_list;

static void list_offsets(const tb_window *w, tap_list *list) {
    list->count = 0;
    for (int32_t y = 0; y < w->filter_height; ++y) {
        for (int32_t x = 0; x < w->filter_width; ++x) {
            const int32_t pixel = y * w->dilation_y * w->input_width + x * w->dilation_x;
            list->offsets[list->count++] = pixel * w->input_channels;
        }
    }
}

static void list_inside(const int8_t *first, tap_list *list) {
    for (int32_t t = 0; t < list->count; ++t) {
        list->taps[t] = first + list->offsets[t];
    }
}

static void list_at_border(const tb_convolution *layer, const int8_t *input, int32_t top, int32_t left,
                           tap_list *list) {
    const tb_window *w = &layer->window;
    const int8_t **tap = list->taps;
    for (int32_t ky = 0, y = top; ky < w->filter_height; ++ky, y += w->dilation_y) {
        for (int32_t kx = 0, x = left; kx < w->filter_width; ++kx, x += w->dilation_x) {
            const bool inside = y >= 0 && y < w->input_height && x >= 0 && x < w->input_width;
            *tap++ = inside ? input + (y * w->input_width + x) * w->input_channels : layer->padding;
        }
    }
}

static void list_taps(const tb_convolution *layer, const int8_t *input, int32_t y, int32_t x,
                      tap_list *list) {
    const tb_window *w = &layer->window;
    const int32_t top = y * w->stride_y - w->pad_y, left = x * w->stride_x - w->pad_x;
    const int32_t bottom = top + (w->filter_height - 1) * w->dilation_y;
    const int32_t right = left + (w->filter_width - 1) * w->dilation_x;
    if (top >= 0 && left >= 0 && bottom < w->input_height && right < w->input_width) {
        list_inside(input + (top * w->input_width + left) * w->input_channels, list);
    } else {
        list_at_border(layer, input, top, left, list);
    }
}

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

static inline int32_t dot(int32_t sum, const int8_t *const *taps, int32_t count, int32_t channel,
                          const int8_t *weights) {
    for (; count > 0; --count) {
        sum += (*taps++)[channel] * *weights++;
    }
    return sum;
}

static void convolve(const tb_convolution *layer, const tap_list *list, int8_t *output) {
    const tb_requantisation out = layer->out;
    const int32_t channels = layer->window.output_channels, count = list->count, step = out.scale_step;
    const int8_t *weights = layer->weights;
    const tb_scale *scale = out.scales;
    const int32_t *bias = layer->bias;
    int32_t c = 0;
    for (; c + 4 <= channels; c += 4, weights += 4 * count, scale += 4 * step) {
        const tile start = {bias[c], bias[c + 1], bias[c + 2], bias[c + 3]};
        const tile sums = dot_four(start, list->taps, count, c, weights);
        output[c] = tb_requantised(out, scale[0], sums.s0);
        output[c + 1] = tb_requantised(out, scale[step], sums.s1);
        output[c + 2] = tb_requantised(out, scale[2 * step], sums.s2);
        output[c + 3] = tb_requantised(out, scale[3 * step], sums.s3);
    }
    for (; c < channels; ++c, weights += count, scale += step) {
        output[c] = tb_requantised(out, *scale, dot(bias[c], list->taps, count, c, weights));
    }
}

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

typedef void convolver(const tb_convolution *layer, const tap_list *list, int8_t *output);

static void convolve_all(const tb_convolution *layer, const int8_t *input, int8_t *output,
                         convolver *convolver_) {
    const tb_window *w = &layer->window;
    tap_list list;
    list_offsets(w, &list);
    for (int32_t y = 0; y < w->output_height; ++y) {
        for (int32_t x = 0; x < w->output_width; ++x, output += w->output_channels) {
            list_taps(layer, input, y, x, &list);
            convolver_(layer, &list, output);
        }
    }
}

void tb_depthwise_conv_2d(const tb_convolution *layer, const int8_t *input, int8_t *output) {
    convolve_all(layer, input, output, convolve);
}

void tb_depthwise_conv_2d_multiplied(const tb_convolution *layer, const int8_t *input, int8_t *output) {
    convolve_all(layer, input, output, convolve_multiplied);
}
