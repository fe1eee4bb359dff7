/* Pooling: the part of each window that lies inside the image, channel by channel. */
#include "tb_kernels.h"

/* A window's part inside the image: its first element, and how many rows and columns. */
typedef struct {
    const int8_t *first;
    int32_t rows, columns;
} patch;

static patch clipped(const tb_window *w, const int8_t *input, int32_t y, int32_t x) {
    const int32_t top = y * w->stride_y - w->pad_y, left = x * w->stride_x - w->pad_x;
    const int32_t bottom = top + w->filter_height, right = left + w->filter_width;
    const int32_t y0 = top > 0 ? top : 0, y1 = bottom < w->input_height ? bottom : w->input_height;
    const int32_t x0 = left > 0 ? left : 0, x1 = right < w->input_width ? right : w->input_width;
    return (patch){input + (y0 * w->input_width + x0) * w->input_channels, y1 - y0, x1 - x0};
}

static int32_t sum_over(const tb_window *w, patch p, int32_t channel) {
    const int32_t step = w->input_channels, row = step * w->input_width;
    int32_t sum = 0;
    const int8_t *line = p.first + channel;
    for (int32_t y = 0; y < p.rows; ++y, line += row) {
        const int8_t *element = line;
        for (int32_t x = 0; x < p.columns; ++x, element += step) {
            sum += *element;
        }
    }
    return sum;
}

static int32_t largest_of(const tb_window *w, patch p, int32_t channel) {
    const int32_t step = w->input_channels, row = step * w->input_width;
    int32_t largest = INT8_MIN;
    const int8_t *line = p.first + channel;
    for (int32_t y = 0; y < p.rows; ++y, line += row) {
        const int8_t *element = line;
        for (int32_t x = 0; x < p.columns; ++x, element += step) {
            largest = *element > largest ? *element : largest;
        }
    }
    return largest;
}

void tb_average_pool_2d(const tb_window *w, const int8_t *input, int8_t *output) {
    for (int32_t y = 0; y < w->output_height; ++y) {
        for (int32_t x = 0; x < w->output_width; ++x) {
            const patch p = clipped(w, input, y, x);
            const int32_t count = p.rows * p.columns;
            for (int32_t c = 0; c < w->output_channels; ++c) {
                const int32_t sum = sum_over(w, p, c);
                const int32_t mean = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
                *output++ = (int8_t)mean;
            }
        }
    }
}

void tb_max_pool_2d(const tb_window *w, const int8_t *input, int8_t *output) {
    for (int32_t y = 0; y < w->output_height; ++y) {
        for (int32_t x = 0; x < w->output_width; ++x) {
            const patch p = clipped(w, input, y, x);
            for (int32_t c = 0; c < w->output_channels; ++c) {
                *output++ = (int8_t)largest_of(w, p, c);
            }
        }
    }
}

void tb_mean(const tb_averaging *layer, const int8_t *input, int8_t *output) {
    for (int32_t batch = 0; batch < layer->batches; ++batch) {
        for (int32_t c = 0; c < layer->channels; ++c) {
            int32_t sum = layer->bias;
            const int8_t *element = input + c;
            for (int32_t row = 0; row < layer->rows; ++row, element += layer->channels) {
                sum += *element;
            }
            const tb_scale s = layer->scale;
            *output++ = tb_saturated(tb_scaled(sum, s.multiplier, s.lift, s.shift) + layer->zero_point);
        }
        input += layer->rows * layer->channels;
    }
}
