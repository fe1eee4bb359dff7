/* Kernels for float32, in portable C11 without a mathematical library.
 *
 * Operations and their order are the reference's, so that results are equal to the bit wherever arithmetic is
 * IEEE 754's and nothing is contracted (-ffp-contract=off). */
#ifndef TB_FLOAT32_H
#define TB_FLOAT32_H

#include "tb_kernels.h"

/* As std::min(std::max(value, lowest), highest). */
static inline float tb_bounded(float value, float lowest, float highest) {
    const float raised = value < lowest ? lowest : value;
    return highest < raised ? highest : raised;
}

/* Convolutions, and fully connected layers as convolutions of 1 x 1 over a column of batches. */
typedef struct {
    tb_window window;
    const float *weights;
    const float *bias;
    float lowest, highest;
} tb_layer_f32;

void tb_conv_2d_f32(const tb_layer_f32 *layer, const float *input, float *output);
void tb_depthwise_conv_2d_f32(const tb_layer_f32 *layer, const float *input, float *output);
void tb_average_pool_2d_f32(const tb_window *window, const float *input, float *output);
void tb_max_pool_2d_f32(const tb_window *window, const float *input, float *output);

/* The mean of `rows` rows of `channels` values each, for every one of `batches`. */
typedef struct {
    int32_t batches, rows, channels;
} tb_averaging_f32;

void tb_mean_f32(const tb_averaging_f32 *layer, const float *input, float *output);

/* Element by element; the second operand is repeated every `period` elements. */
typedef struct {
    int32_t size, period;
    float lowest, highest;
} tb_elementwise_f32;

void tb_add_f32(const tb_elementwise_f32 *layer, const float *a, const float *b, float *output);
void tb_mul_f32(const tb_elementwise_f32 *layer, const float *a, const float *b, float *output);
void tb_clamp_f32(float lowest, float highest, int32_t size, float *tensor);

/* Values between `lowest` and `highest`: RELU, RELU6. */
void tb_bound_f32(float lowest, float highest, int32_t size, const float *input, float *output);
void tb_leaky_relu_f32(float slope, int32_t size, const float *input, float *output);
void tb_hard_swish_f32(int32_t size, const float *input, float *output);
void tb_logistic_f32(int32_t size, const float *input, float *output);

typedef struct {
    int32_t rows, channels;
    float beta;
} tb_softmax_layer_f32;

void tb_softmax_f32(const tb_softmax_layer_f32 *layer, const float *input, float *output);

/* exp(x), wrong by no more than 0.502 units in the last place. */
float tb_exponential(float x);

void tb_move_f32(const tb_block *block, const float *input, float *output);
void tb_fill_f32(float value, int32_t size, float *output);

#endif
