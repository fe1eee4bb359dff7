/* Four int8 at a time with the SIMD instructions of Armv7E-M (DDI 0403E, A7.7; names as in ACLE, IHI 0053D, 10).
 *
 * A word of four int8 becomes two words of two int16 each, elements 0 and 2, and 1 and 3: the order does not
 * matter to a sum of products as long as both factors have it. */
#ifndef TB_DSP_H
#define TB_DSP_H

#include <arm_acle.h>
#include <stdint.h>
#include <string.h>

#include "tb_kernels.h"

typedef struct {
    int16x2_t even, odd;
} tb_quad;

/* SXTB16 of a word rotated by 8: an instruction that GCC does not make of its two intrinsics. */
static inline int16x2_t tb_odd_bytes(int8x4_t word) {
    int16x2_t odd;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(word));
    return odd;
}

/* Four elements from any address. */
static inline tb_quad tb_load_quad(const int8_t *from) {
    int8x4_t word;
    memcpy(&word, from, sizeof word);
    return (tb_quad){__sxtb16(word), tb_odd_bytes(word)};
}

/* sum + a . b */
static inline int32_t tb_dot_quad(int32_t sum, tb_quad a, tb_quad b) {
    return __smlad(a.odd, b.odd, __smlad(a.even, b.even, sum));
}

/* Weights of all three: what the portable kernels read element by element, in blocks of four elements of the
 * filter: for each group of output channels (two, or four if fully connected) four elements of each; the
 * elements and the channels that are left over lie as the portable kernels have them. */

/* Channels in multiples of four, or gathered. */
void tb_dsp_conv_2d(const tb_convolution *layer, const int8_t *input, int8_t *output);

/* Weights as tb_depthwise_conv_2d has them. */
void tb_dsp_depthwise_conv_2d(const tb_convolution *layer, const int8_t *input, int8_t *output);

void tb_dsp_fully_connected(const tb_dense *layer, const int8_t *input, int8_t *output);

#endif
