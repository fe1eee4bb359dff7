/* Kernels for int16 activations and int8 weights, in portable C11; zero points are 0.
 *
 * Written to be right, not to be fast: sums of 64 bits, one element at a time. */
#ifndef TB_INT16_H
#define TB_INT16_H

#include "tb_kernels.h"

/* What a sum of 64 bits becomes. `lift` 0 marks a scale of 15 bits for such sums, applied with one rounding;
 * any other is a `tb_scale` for sums that fit in 32 bits. */
static inline int32_t tb_scaled_wide(int64_t sum, tb_scale scale) {
    if (scale.lift != 0) {
        return tb_scaled((int32_t)sum, scale.multiplier, scale.lift, scale.shift);
    }
    return (int32_t)((sum * scale.multiplier + (INT64_C(1) << (scale.shift - 1))) >> scale.shift);
}

static inline int16_t tb_within(int32_t value, int32_t lowest, int32_t highest) {
    const int32_t raised = value < lowest ? lowest : value;
    return (int16_t)(raised > highest ? highest : raised);
}

/* Convolutions, and fully connected layers as convolutions of 1 x 1 over a column of batches. */
typedef struct {
    tb_window window;
    const int8_t *weights;
    const int64_t *bias;
    const tb_scale *scales;
    int16_t scale_step;
    int16_t lowest, highest;
} tb_layer_16;

void tb_conv_2d_16(const tb_layer_16 *layer, const int16_t *input, int16_t *output);
void tb_depthwise_conv_2d_16(const tb_layer_16 *layer, const int16_t *input, int16_t *output);
void tb_average_pool_2d_16(const tb_window *window, const int16_t *input, int16_t *output);
void tb_max_pool_2d_16(const tb_window *window, const int16_t *input, int16_t *output);
void tb_mean_16(const tb_averaging *layer, const int16_t *input, int16_t *output);

void tb_add_16(const tb_elementwise *layer, const int16_t *a, const int16_t *b, int16_t *output);
void tb_mul_16(const tb_elementwise *layer, const int16_t *a, const int16_t *b, int16_t *output);
void tb_clamp_16(int16_t lowest, int16_t highest, int32_t size, int16_t *tensor);

/* Another slope on either side of zero: RELU and LEAKY_RELU. */
typedef struct {
    int32_t size;
    tb_scale below, above;
    int16_t lowest;
} tb_slopes_16;

void tb_two_slopes_16(const tb_slopes_16 *layer, const int16_t *input, int16_t *output);

/* The logistic function and the hyperbolic tangent, between entries of a table of 65536 / (1 + exp(-i / 24)).
 * The input times `multiplier`, divided by 2^shift and rounded, is in units of 1 / 12288. */
typedef struct {
    int32_t size;
    const int32_t *table;
    int32_t multiplier;
    int32_t shift;
} tb_curve_16;

void tb_logistic_16(const tb_curve_16 *layer, const int16_t *input, int16_t *output);
void tb_tanh_16(const tb_curve_16 *layer, const int16_t *input, int16_t *output);

/* `exponentials` has 513 values of exp(x) for x in [-10, 0], `reciprocals` of 1 / (1 + x) for x in [0, 1], Q0.15;
 * `scale` makes 65535 of a difference of 10. */
typedef struct {
    int32_t rows, channels;
    const int16_t *exponentials;
    const int16_t *reciprocals;
    tb_scale scale;
} tb_softmax_layer_16;

void tb_softmax_16(const tb_softmax_layer_16 *layer, const int16_t *input, int16_t *output);

void tb_move_16(const tb_block *block, const int16_t *input, int16_t *output);
void tb_fill_16(int16_t value, int32_t size, int16_t *output);

#endif
