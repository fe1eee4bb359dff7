/* The walk over positions and channels, around the products of whoever includes this.
 *
 * The includer defines DEPTHWISE_CONVOLUTION, the function's name, the struct `tile` of four sums, one for each
 * of four channels, and `dot_four`, which adds the products under the filter to them. */

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

void DEPTHWISE_CONVOLUTION(const tb_convolution *layer, const int8_t *input, int8_t *output) {
    convolve_all(layer, input, output, convolve);
}
