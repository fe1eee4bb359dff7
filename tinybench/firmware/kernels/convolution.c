/* Convolution: two output positions and two output channels at a time. */
#include <stdbool.h>

#include "tb_kernels.h"

/* Sums for positions a and b, channels 0 and 1. */
typedef struct {
    int32_t a0, a1, b0, b1;
} tile;

static inline tile multiply_add(tile sums, int32_t a, int32_t b, const int8_t *weights) {
    const int32_t w0 = weights[0], w1 = weights[1];
    sums.a0 += a * w0;
    sums.a1 += a * w1;
    sums.b0 += b * w0;
    sums.b1 += b * w1;
    return sums;
}

static inline tile dot_pair(tile sums, const int8_t *a, const int8_t *b, const int8_t *weights, int32_t n) {
    for (; n >= 4; n -= 4, a += 4, b += 4, weights += 8) {
        sums = multiply_add(sums, a[0], b[0], weights);
        sums = multiply_add(sums, a[1], b[1], weights + 2);
        sums = multiply_add(sums, a[2], b[2], weights + 4);
        sums = multiply_add(sums, a[3], b[3], weights + 6);
    }
    for (; n > 0; --n, ++a, ++b, weights += 2) {
        sums = multiply_add(sums, a[0], b[0], weights);
    }
    return sums;
}

static inline tile dot_single(tile sums, const int8_t *a, const int8_t *b, const int8_t *weights, int32_t n) {
    for (; n > 0; --n) {
        const int32_t w = *weights++;
        sums.a0 += *a++ * w;
        sums.b0 += *b++ * w;
    }
    return sums;
}

/* The runs of contiguous input that lie under the filter at positions a and b: one gathered copy; or whole
 * filter rows where both positions are inside the image; or one run for each position of the filter, with
 * padding outside. */
typedef struct {
    const int8_t *a[TB_MAX_TAPS];
    const int8_t *b[TB_MAX_TAPS];
    int32_t count;
    int32_t length;
    int8_t patch_a[TB_MAX_PATCH];
    int8_t patch_b[TB_MAX_PATCH];
} run_list;

typedef struct {
    int32_t y, x;
} position;

static position after(const tb_window *w, position p) {
    const bool row_ends = p.x + 1 == w->output_width;
    return (position){row_ends ? p.y + 1 : p.y, row_ends ? 0 : p.x + 1};
}

static position origin(const tb_window *w, position p) {
    return (position){p.y * w->stride_y - w->pad_y, p.x * w->stride_x - w->pad_x};
}

static bool is_inside(const tb_window *w, position o) {
    return o.y >= 0 && o.x >= 0 && o.y + (w->filter_height - 1) * w->dilation_y < w->input_height &&
           o.x + (w->filter_width - 1) < w->input_width && w->dilation_x == 1;
}

static void list_rows(const tb_window *w, const int8_t *input, position o, const int8_t **runs) {
    const int32_t row = w->dilation_y * w->input_width * w->input_channels;
    const int8_t *run = input + (o.y * w->input_width + o.x) * w->input_channels;
    for (int32_t y = 0; y < w->filter_height; ++y, run += row) {
        runs[y] = run;
    }
}

/* What lies at one position of the image, padding outside it. */
static const int8_t *tap_at(const tb_convolution *layer, const int8_t *input, int32_t y, int32_t x) {
    const tb_window *w = &layer->window;
    const bool inside = y >= 0 && y < w->input_height && x >= 0 && x < w->input_width;
    return inside ? input + (y * w->input_width + x) * w->input_channels : layer->padding;
}

static void list_taps(const tb_convolution *layer, const int8_t *input, position o, const int8_t **runs) {
    const tb_window *w = &layer->window;
    for (int32_t ky = 0, y = o.y; ky < w->filter_height; ++ky, y += w->dilation_y) {
        for (int32_t kx = 0, x = o.x; kx < w->filter_width; ++kx, x += w->dilation_x) {
            *runs++ = tap_at(layer, input, y, x);
        }
    }
}

static void gather(const tb_convolution *layer, const int8_t *input, position o, int8_t *patch) {
    const tb_window *w = &layer->window;
    for (int32_t ky = 0, y = o.y; ky < w->filter_height; ++ky, y += w->dilation_y) {
        for (int32_t kx = 0, x = o.x; kx < w->filter_width; ++kx, x += w->dilation_x) {
            const int8_t *run = tap_at(layer, input, y, x);
            for (int32_t c = 0; c < w->input_channels; ++c) {
                *patch++ = run[c];
            }
        }
    }
}

static void list_runs(const tb_convolution *layer, const int8_t *input, position a, position b,
                      run_list *runs) {
    const tb_window *w = &layer->window;
    a = origin(w, a);
    b = origin(w, b);
    if (layer->gathered) {
        runs->count = 1;
        runs->length = w->filter_height * w->filter_width * w->input_channels;
        gather(layer, input, a, runs->patch_a);
        gather(layer, input, b, runs->patch_b);
        runs->a[0] = runs->patch_a;
        runs->b[0] = runs->patch_b;
    } else if (is_inside(w, a) && is_inside(w, b)) {
        runs->count = w->filter_height;
        runs->length = w->filter_width * w->input_channels;
        list_rows(w, input, a, runs->a);
        list_rows(w, input, b, runs->b);
    } else {
        runs->count = w->filter_height * w->filter_width;
        runs->length = w->input_channels;
        list_taps(layer, input, a, runs->a);
        list_taps(layer, input, b, runs->b);
    }
}

static void convolve(const tb_convolution *layer, const run_list *runs, int8_t *a, int8_t *b) {
    const tb_requantisation out = layer->out;
    const int8_t *weights = layer->weights;
    const tb_scale *scale = out.scales;
    const int32_t *bias = layer->bias;
    int32_t channels = layer->window.output_channels;
    for (; channels >= 2; channels -= 2, bias += 2, a += 2, b += 2) {
        tile sums = {bias[0], bias[1], bias[0], bias[1]};
        for (int32_t r = 0; r < runs->count; ++r, weights += 2 * runs->length) {
            sums = dot_pair(sums, runs->a[r], runs->b[r], weights, runs->length);
        }
        const tb_scale scale_0 = *scale, scale_1 = scale[out.scale_step];
        scale += 2 * out.scale_step;
        a[0] = tb_requantised(out, scale_0, sums.a0);
        b[0] = tb_requantised(out, scale_0, sums.b0);
        a[1] = tb_requantised(out, scale_1, sums.a1);
        b[1] = tb_requantised(out, scale_1, sums.b1);
    }
    if (channels == 1) {
        tile sums = {bias[0], 0, bias[0], 0};
        for (int32_t r = 0; r < runs->count; ++r, weights += runs->length) {
            sums = dot_single(sums, runs->a[r], runs->b[r], weights, runs->length);
        }
        a[0] = tb_requantised(out, *scale, sums.a0);
        b[0] = tb_requantised(out, *scale, sums.b0);
    }
}

void tb_conv_2d(const tb_convolution *layer, const int8_t *input, int8_t *output) {
    const tb_window *w = &layer->window;
    run_list runs;
    position a = {0, 0};
    for (int32_t left = w->output_height * w->output_width; left > 0; left -= 2) {
        /* An odd last position is its own partner: computed twice, the same bytes written twice. */
        const position b = left > 1 ? after(w, a) : a;
        int8_t *output_b = left > 1 ? output + w->output_channels : output;
        list_runs(layer, input, a, b, &runs);
        convolve(layer, &runs, output, output_b);
        output += 2 * w->output_channels;
        a = after(w, b);
    }
}
