/* Fixed-point scaling, to the bit as TensorFlow Lite Micro rounds: twice.
 *
 * A real multiplier is written as multiplier * 2^-31 * 2^exponent. Its reference first takes the high half of
 * the doubled 64-bit product, rounded to nearest (gemmlowp's SaturatingRoundingDoublingHighMul), and then
 * divides by a power of two, halves away from zero (RoundingDivideByPOT). The generator promises that no
 * intermediate value leaves 32 bits, or refuses the model. */
#ifndef TB_FIXED_POINT_H
#define TB_FIXED_POINT_H

#include <stdint.h>

/* `lift` is one more than the left shift before the multiplication: the doubling is folded into it. */
typedef struct {
    int32_t multiplier;
    int16_t lift;
    int16_t shift;
} tb_scale;

/* The high half of 2 * a * b, rounded to nearest. */
static inline int32_t tb_high_product(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + (INT64_C(1) << 30)) >> 31);
}

/* value / 2^shift, rounded to nearest, halves away from zero; |value| < 2^30. Twice the quotient is rounded
 * down (that of a negative value a little lower), so that adding one and halving it rounds to nearest. */
static inline int32_t tb_divide_by_power(int32_t value, int32_t shift) {
    return (((2 * value + (value >> 31)) >> shift) + 1) >> 1;
}

static inline int32_t tb_scaled(int32_t value, int32_t multiplier, int32_t lift, int32_t shift) {
    const int64_t product = (int64_t)(int32_t)((uint32_t)value << lift) * multiplier;
    const int32_t high = (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31);
    return tb_divide_by_power(high, shift);
}

/* How an accumulator becomes an int8: one scale for all channels (scale_step 0) or one for each (1). */
typedef struct {
    const tb_scale *scales;
    int16_t scale_step;
    int16_t zero_point;
} tb_requantisation;

/* The nearest int8: what does not survive narrowing becomes the limit on its side. */
static inline int8_t tb_saturated(int32_t value) {
    return (int8_t)(value == (int8_t)value ? value : (value >> 31) ^ INT8_MAX);
}

/* Takes its arguments by value: a store through an int8_t pointer could change what a pointer points to, and
 * everything would be loaded again for the next channel. */
static inline int8_t tb_requantised(tb_requantisation out, tb_scale scale, int32_t sum) {
    return tb_saturated(tb_scaled(sum, scale.multiplier, scale.lift, scale.shift) + out.zero_point);
}

#endif
