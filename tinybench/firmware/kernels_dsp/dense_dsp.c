/* Fully connected layers: four output channels at a time, four elements of each a step. */
#include "tb_dsp.h"

typedef struct {
    int32_t s0, s1, s2, s3;
} tile;

static inline tile dot_four(tile sums, const int8_t *input, const int8_t *weights, int32_t n) {
    for (; n >= 4; n -= 4, input += 4, weights += 16) {
        const tb_quad x = tb_load_quad(input);
        sums.s0 = tb_dot_quad(sums.s0, x, tb_load_quad(weights));
        sums.s1 = tb_dot_quad(sums.s1, x, tb_load_quad(weights + 4));
        sums.s2 = tb_dot_quad(sums.s2, x, tb_load_quad(weights + 8));
        sums.s3 = tb_dot_quad(sums.s3, x, tb_load_quad(weights + 12));
    }
    for (; n > 0; --n, ++input, weights += 4) {
        sums.s0 += *input * weights[0];
        sums.s1 += *input * weights[1];
        sums.s2 += *input * weights[2];
        sums.s3 += *input * weights[3];
    }
    return sums;
}

static inline int32_t dot(int32_t sum, const int8_t *input, const int8_t *weights, int32_t n) {
    for (; n >= 4; n -= 4, input += 4, weights += 4) {
        sum = tb_dot_quad(sum, tb_load_quad(input), tb_load_quad(weights));
    }
    for (; n > 0; --n) {
        sum += *input++ * *weights++;
    }
    return sum;
}

#define FULLY_CONNECTED tb_dsp_fully_connected
#include "tb_connect.h"
