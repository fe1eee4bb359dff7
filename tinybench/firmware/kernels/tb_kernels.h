/* int8 kernels in portable C11: no heap, no library, no intrinsics.
 *
 * Tensors are row-major with channels last. The generator (tinybench/lowering) folds the input's zero point
 * into the biases and promises sizes that fit; kernels check nothing. */
#ifndef TB_KERNELS_H
#define TB_KERNELS_H

#include <stdint.h>

#include "tb_fixed_point.h"

/* Positions of the largest filter in the model: bounds arrays of pointers on the stack. */
#ifndef TB_MAX_TAPS
#define TB_MAX_TAPS 64
#endif

/* Bytes under the largest filter that is gathered before it is convolved: bounds an array on the stack. */
#ifndef TB_MAX_PATCH
#define TB_MAX_PATCH 256
#endif

/* How a window moves over an image; `pad_*` is what lies before the first row and column. */
typedef struct {
    int16_t input_height, input_width, input_channels;
    int16_t output_height, output_width, output_channels;
    int16_t filter_height, filter_width;
    int16_t stride_y, stride_x;
    int16_t dilation_y, dilation_x;
    int16_t pad_y, pad_x;
} tb_window;

/* `padding` is a row of input zero points, one for each input channel, that stands for what lies outside.
 * `bias` already holds -input_zero_point times the sum of the channel's weights. `gathered` asks tb_conv_2d
 * to copy what lies under the filter first, which pays where it lies in many short pieces. */
typedef struct {
    tb_window window;
    const int8_t *weights;
    const int32_t *bias;
    const int8_t *padding;
    int16_t gathered;
    tb_requantisation out;
} tb_convolution;

/* Weights: for each pair of output channels [filter_height][filter_width][input_channels][2]; an odd last
 * channel follows alone. */
void tb_conv_2d(const tb_convolution *layer, const int8_t *input, int8_t *output);

/* Weights: for each four channels [filter_height][filter_width][4]; the last one to three follow alone.
 * Output channel c reads input channel c. */
void tb_depthwise_conv_2d(const tb_convolution *layer, const int8_t *input, int8_t *output);

/* Weights: [output_channels][filter_height][filter_width]; several of them read each input channel. */
void tb_depthwise_conv_2d_multiplied(const tb_convolution *layer, const int8_t *input, int8_t *output);

/* Weights: for each four output channels [input_channels][4]; the last one to three follow alone. */
typedef struct {
    int32_t batches, input_channels, output_channels;
    const int8_t *weights;
    const int32_t *bias;
    tb_requantisation out;
} tb_dense;

void tb_fully_connected(const tb_dense *layer, const int8_t *input, int8_t *output);

void tb_average_pool_2d(const tb_window *window, const int8_t *input, int8_t *output);
void tb_max_pool_2d(const tb_window *window, const int8_t *input, int8_t *output);

/* The mean of `rows` rows of `channels` values each, for every one of `batches`. */
typedef struct {
    int32_t batches, rows, channels;
    int32_t bias;
    tb_scale scale;
    int16_t zero_point;
} tb_averaging;

void tb_mean(const tb_averaging *layer, const int8_t *input, int8_t *output);

/* Element by element; the second operand is repeated every `period` elements. */
typedef struct {
    int32_t size, period;
    int16_t zero_point_a, zero_point_b, zero_point;
    tb_scale scale_a, scale_b, scale;
} tb_elementwise;

void tb_add(const tb_elementwise *layer, const int8_t *a, const int8_t *b, int8_t *output);
void tb_mul(const tb_elementwise *layer, const int8_t *a, const int8_t *b, int8_t *output);

/* `exponentials[d]` is exp(-d * beta * input scale) in Q0.31; a larger difference counts as none. */
typedef struct {
    int32_t rows, channels;
    const int32_t *exponentials;
    int32_t differences;
} tb_softmax_layer;

void tb_softmax(const tb_softmax_layer *layer, const int8_t *input, int8_t *output);

/* Keeps every element within [lowest, highest]: what is left of a fused activation that the range of an int8
 * does not already give. */
void tb_clamp(int8_t lowest, int8_t highest, int32_t size, int8_t *tensor);

/* Any function of one int8: `table` is indexed by value + 128. */
void tb_lookup(const int8_t *table, int32_t size, const int8_t *input, int8_t *output);

/* Moves a block of up to four dimensions; steps are in elements. */
typedef struct {
    int32_t extent[4];
    int32_t from[4];
    int32_t to[4];
} tb_block;

void tb_move(const tb_block *block, const int8_t *input, int8_t *output);
void tb_fill(int8_t value, int32_t size, int8_t *output);

#endif
