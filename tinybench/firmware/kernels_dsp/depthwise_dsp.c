/* Depthwise convolution: four channels at a time, each a product of halfwords (SMLABB, SMLATT). */
#include "tb_dsp.h"
#include "tb_taps.h"

typedef struct {
    int32_t s0, s1, s2, s3;
} tile;

static inline tile multiply_add(tile sums, const int8_t *tap, const int8_t *weights) {
    const tb_quad x = tb_load_quad(tap), w = tb_load_quad(weights);
    sums.s0 = __smlabb(x.even, w.even, sums.s0);
    sums.s1 = __smlabb(x.odd, w.odd, sums.s1);
    sums.s2 = __smlatt(x.even, w.even, sums.s2);
    sums.s3 = __smlatt(x.odd, w.odd, sums.s3);
    return sums;
}

static inline tile dot_four(tile sums, const int8_t *const *taps, int32_t count, int32_t channel,
                            const int8_t *weights) {
    for (; count >= 3; count -= 3, taps += 3, weights += 12) {
        sums = multiply_add(sums, taps[0] + channel, weights);
        sums = multiply_add(sums, taps[1] + channel, weights + 4);
        sums = multiply_add(sums, taps[2] + channel, weights + 8);
    }
    for (; count > 0; --count, ++taps, weights += 4) {
        sums = multiply_add(sums, taps[0] + channel, weights);
    }
    return sums;
}

#define DEPTHWISE_CONVOLUTION tb_dsp_depthwise_conv_2d
#include "tb_depthwise.h"
