/* Fully connected layers: four output channels at a time. */
#include "tb_kernels.h"

typedef struct {
    int32_t s0, s1, s2, s3;
} tile;

static inline tile multiply_add(tile sums, int32_t value, const int8_t *weights) {
    sums.s0 += value * weights[0];
    sums.s1 += value * weights[1];
    sums.s2 += value * weights[2];
    sums.s3 += value * weights[3];
    return sums;
}

static inline tile dot_four(tile sums, const int8_t *input, const int8_t *weights, int32_t n) {
    for (; n >= 4; n -= 4, input += 4, weights += 16) {
        sums = multiply_add(sums, input[0], weights);
        sums = multiply_add(sums, input[1], weights + 4);
        sums = multiply_add(sums, input[2], weights + 8);
        sums = multiply_add(sums, input[3], weights + 12);
    }
    for (; n > 0; --n, ++input, weights += 4) {
        sums = multiply_add(sums, input[0], weights);
    }
    return sums;
}

static inline int32_t dot(int32_t sum, const int8_t *input, const int8_t *weights, int32_t n) {
    for (; n > 0; --n) {
        sum += *input++ * *weights++;
    }
    return sum;
}

#define FULLY_CONNECTED tb_fully_connected
#include "tb_connect.h"
