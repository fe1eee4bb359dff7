/* Where a convolution reads: the runs of contiguous input under two positions of its filter. */
#ifndef TB_RUNS_H
#define TB_RUNS_H

#include <stdbool.h>

#include "tb_kernels.h"

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

static inline position after(const tb_window *w, position p) {
    const bool row_ends = p.x + 1 == w->output_width;
    return (position){row_ends ? p.y + 1 : p.y, row_ends ? 0 : p.x + 1};
}

static inline position origin(const tb_window *w, position p) {
    return (position){p.y * w->stride_y - w->pad_y, p.x * w->stride_x - w->pad_x};
}

static inline bool is_inside(const tb_window *w, position o) {
    return o.y >= 0 && o.x >= 0 && o.y + (w->filter_height - 1) * w->dilation_y < w->input_height &&
           o.x + (w->filter_width - 1) < w->input_width && w->dilation_x == 1;
}

static inline void list_rows(const tb_window *w, const int8_t *input, position o, const int8_t **runs) {
    const int32_t row = w->dilation_y * w->input_width * w->input_channels;
    const int8_t *run = input + (o.y * w->input_width + o.x) * w->input_channels;
    for (int32_t y = 0; y < w->filter_height; ++y, run += row) {
        runs[y] = run;
    }
}

/* What lies at one position of the image, padding outside it. */
static inline const int8_t *tap_at(const tb_convolution *layer, const int8_t *input, int32_t y, int32_t x) {
    const tb_window *w = &layer->window;
    const bool inside = y >= 0 && y < w->input_height && x >= 0 && x < w->input_width;
    return inside ? input + (y * w->input_width + x) * w->input_channels : layer->padding;
}

static inline void list_taps(const tb_convolution *layer, const int8_t *input, position o, const int8_t **runs) {
    const tb_window *w = &layer->window;
    for (int32_t ky = 0, y = o.y; ky < w->filter_height; ++ky, y += w->dilation_y) {
        for (int32_t kx = 0, x = o.x; kx < w->filter_width; ++kx, x += w->dilation_x) {
            *runs++ = tap_at(layer, input, y, x);
        }
    }
}

static inline void gather(const tb_convolution *layer, const int8_t *input, position o, int8_t *patch) {
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

static inline void list_runs(const tb_convolution *layer, const int8_t *input, position a, position b,
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

#endif
