/* Where a depthwise convolution reads: the input under each position of its filter. */
#ifndef TB_TAPS_H
#define TB_TAPS_H

#include <stdbool.h>

#include "tb_kernels.h"

/* The input under each position of the filter, channel by channel; padding outside the image. */
typedef struct {
    const int8_t *taps[TB_MAX_TAPS];
    int32_t offsets[TB_MAX_TAPS]; /* of the taps from the first one */
    int32_t count;
} tap_list;

static inline void list_offsets(const tb_window *w, tap_list *list) {
    list->count = 0;
    for (int32_t y = 0; y < w->filter_height; ++y) {
        for (int32_t x = 0; x < w->filter_width; ++x) {
            const int32_t pixel = y * w->dilation_y * w->input_width + x * w->dilation_x;
            list->offsets[list->count++] = pixel * w->input_channels;
        }
    }
}

static inline void list_inside(const int8_t *first, tap_list *list) {
    for (int32_t t = 0; t < list->count; ++t) {
        list->taps[t] = first + list->offsets[t];
    }
}

static inline void list_at_border(const tb_convolution *layer, const int8_t *input, int32_t top, int32_t left,
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

static inline void list_taps(const tb_convolution *layer, const int8_t *input, int32_t y, int32_t x,
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

#endif
