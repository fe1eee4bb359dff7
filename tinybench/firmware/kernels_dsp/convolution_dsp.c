/* Convolution: two output positions and two output channels at a time, four elements of each a step. */
#include "tb_dsp.h"
#include "tb_runs.h"

/* Sums for positions a and b, channels 0 and 1. */
typedef struct {
    int32_t a0, a1, b0, b1;
} tile;

static inline tile dot_pair(tile sums, const int8_t *a, const int8_t *b, const int8_t *weights, int32_t n) {
    for (; n >= 4; n -= 4, a += 4, b += 4, weights += 8) {
        const tb_quad at_a = tb_load_quad(a), at_b = tb_load_quad(b);
        const tb_quad of_0 = tb_load_quad(weights);
        sums.a0 = tb_dot_quad(sums.a0, at_a, of_0);
        sums.b0 = tb_dot_quad(sums.b0, at_b, of_0);
        const tb_quad of_1 = tb_load_quad(weights + 4);
        sums.a1 = tb_dot_quad(sums.a1, at_a, of_1);
        sums.b1 = tb_dot_quad(sums.b1, at_b, of_1);
    }
    for (; n > 0; --n, ++a, ++b, weights += 2) {
        sums.a0 += *a * weights[0];
        sums.a1 += *a * weights[1];
        sums.b0 += *b * weights[0];
        sums.b1 += *b * weights[1];
    }
    return sums;
}

static inline tile dot_single(tile sums, const int8_t *a, const int8_t *b, const int8_t *weights, int32_t n) {
    for (; n >= 4; n -= 4, a += 4, b += 4, weights += 4) {
        const tb_quad w = tb_load_quad(weights);
        sums.a0 = tb_dot_quad(sums.a0, tb_load_quad(a), w);
        sums.b0 = tb_dot_quad(sums.b0, tb_load_quad(b), w);
    }
    for (; n > 0; --n) {
        const int32_t w = *weights++;
        sums.a0 += *a++ * w;
        sums.b0 += *b++ * w;
    }
    return sums;
}

#define CONVOLUTION tb_dsp_conv_2d
#include "tb_convolve.h"
