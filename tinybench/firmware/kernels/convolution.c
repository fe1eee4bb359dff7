/* Convolution: two output positions and two output channels at a time. */
#include "tb_kernels.h"
#include "tb_runs.h"

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

#define CONVOLUTION tb_conv_2d
#include "tb_convolve.h"
