/* Windows over images, written once for numbers of any type; the generator promises sizes that fit.
 *
 * The includer defines NUMBER and WEIGHT, the types of elements and weights; SUM, what products are added up in;
 * LAYER, a struct with `window` and `weights` in the model's own order; NAMED(kernel), a kernel's name; and two
 * functions, `finished(layer, channel, sum)` and `averaged(sum, count)`, that make an element of a sum. Sums are
 * taken in the order of rows, columns, channels, which is the reference's: floats depend on it. */

/* The part of a filter that lies inside the image, and where its first row and column would lie. */
typedef struct {
    int32_t top, left;
    int32_t y_begin, y_end, x_begin, x_end;
} covered;

static int32_t begin_inside(int32_t origin, int32_t dilation) {
    return origin >= 0 ? 0 : (dilation - 1 - origin) / dilation;
}

static int32_t end_inside(int32_t origin, int32_t dilation, int32_t size, int32_t extent) {
    const int32_t end = origin < extent ? (extent - origin + dilation - 1) / dilation : 0;
    return end < size ? end : size;
}

static covered cover(const tb_window *w, int32_t y, int32_t x) {
    const int32_t top = y * w->stride_y - w->pad_y, left = x * w->stride_x - w->pad_x;
    return (covered){
        .top = top,
        .left = left,
        .y_begin = begin_inside(top, w->dilation_y),
        .y_end = end_inside(top, w->dilation_y, w->filter_height, w->input_height),
        .x_begin = begin_inside(left, w->dilation_x),
        .x_end = end_inside(left, w->dilation_x, w->filter_width, w->input_width),
    };
}

/* Where an input element under the filter lies, first channel. */
static inline int32_t input_at(const tb_window *w, const covered *c, int32_t filter_y, int32_t filter_x) {
    const int32_t y = c->top + filter_y * w->dilation_y, x = c->left + filter_x * w->dilation_x;
    return (y * w->input_width + x) * w->input_channels;
}

static inline SUM dot(SUM sum, const NUMBER *input, const WEIGHT *weights, int32_t count) {
    for (; count > 0; --count) {
        sum += (SUM)*input++ * (SUM)*weights++;
    }
    return sum;
}

static SUM convolved(const tb_window *w, const covered *c, const NUMBER *input, const WEIGHT *filter) {
    /* Columns side by side are one run. */
    const int32_t columns = w->dilation_x == 1 ? c->x_end - c->x_begin : 1;
    SUM sum = 0;
    for (int32_t y = c->y_begin; y < c->y_end; ++y) {
        for (int32_t x = c->x_begin; x < c->x_end; x += columns) {
            const WEIGHT *weights = filter + (y * w->filter_width + x) * w->input_channels;
            sum = dot(sum, input + input_at(w, c, y, x), weights, columns * w->input_channels);
        }
    }
    return sum;
}

/* Weights: [output_channels][filter_height][filter_width][input_channels]. */
void NAMED(tb_conv_2d)(const LAYER *layer, const NUMBER *input, NUMBER *output) {
    const tb_window *w = &layer->window;
    const int32_t depth = w->filter_height * w->filter_width * w->input_channels;
    for (int32_t y = 0; y < w->output_height; ++y) {
        for (int32_t x = 0; x < w->output_width; ++x) {
            const covered c = cover(w, y, x);
            for (int32_t channel = 0; channel < w->output_channels; ++channel) {
                const WEIGHT *filter = layer->weights + channel * depth;
                *output++ = finished(layer, channel, convolved(w, &c, input, filter));
            }
        }
    }
}

/* Weights: [filter_height][filter_width][output_channels]; several of them may read each input channel. */
void NAMED(tb_depthwise_conv_2d)(const LAYER *layer, const NUMBER *input, NUMBER *output) {
    const tb_window *w = &layer->window;
    const int32_t multiplier = w->output_channels / w->input_channels;
    for (int32_t y = 0; y < w->output_height; ++y) {
        for (int32_t x = 0; x < w->output_width; ++x) {
            const covered c = cover(w, y, x);
            for (int32_t channel = 0; channel < w->output_channels; ++channel) {
                SUM sum = 0;
                for (int32_t ky = c.y_begin; ky < c.y_end; ++ky) {
                    for (int32_t kx = c.x_begin; kx < c.x_end; ++kx) {
                        const int32_t tap = (ky * w->filter_width + kx) * w->output_channels;
                        const NUMBER value = input[input_at(w, &c, ky, kx) + channel / multiplier];
                        sum += (SUM)value * (SUM)layer->weights[tap + channel];
                    }
                }
                *output++ = finished(layer, channel, sum);
            }
        }
    }
}

void NAMED(tb_average_pool_2d)(const tb_window *w, const NUMBER *input, NUMBER *output) {
    for (int32_t y = 0; y < w->output_height; ++y) {
        for (int32_t x = 0; x < w->output_width; ++x) {
            const covered c = cover(w, y, x);
            const int32_t count = (c.y_end - c.y_begin) * (c.x_end - c.x_begin);
            for (int32_t channel = 0; channel < w->output_channels; ++channel) {
                SUM sum = 0;
                for (int32_t ky = c.y_begin; ky < c.y_end; ++ky) {
                    for (int32_t kx = c.x_begin; kx < c.x_end; ++kx) {
                        sum += (SUM)input[input_at(w, &c, ky, kx) + channel];
                    }
                }
                *output++ = averaged(sum, count);
            }
        }
    }
}

void NAMED(tb_max_pool_2d)(const tb_window *w, const NUMBER *input, NUMBER *output) {
    for (int32_t y = 0; y < w->output_height; ++y) {
        for (int32_t x = 0; x < w->output_width; ++x) {
            const covered c = cover(w, y, x);
            for (int32_t channel = 0; channel < w->output_channels; ++channel) {
                NUMBER largest = input[input_at(w, &c, c.y_begin, c.x_begin) + channel];
                for (int32_t ky = c.y_begin; ky < c.y_end; ++ky) {
                    for (int32_t kx = c.x_begin; kx < c.x_end; ++kx) {
                        const NUMBER value = input[input_at(w, &c, ky, kx) + channel];
                        largest = value > largest ? value : largest;
                    }
                }
                *output++ = largest;
            }
        }
    }
}
