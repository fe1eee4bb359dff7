/* exp of a float, by way of doubles. */
#include "tb_float32.h"

enum { STEPS = 32, DOUBLE_BIAS = 1023, DOUBLE_FRACTION_BITS = 52 };

/* 2^(i / 32), the nearest doubles. */
static const double powers[STEPS] = {
    1.0, 1.0218971486541166, 1.0442737824274138, 1.0671404006768237,
    1.0905077326652577, 1.1143867425958924, 1.1387886347566916, 1.1637248587775775,
    1.189207115002721, 1.215247359980469, 1.241857812073484, 1.2690509571917332,
    1.2968395546510096, 1.3252366431597413, 1.3542555469368927, 1.383909881963832,
    1.4142135623730951, 1.4451808069770467, 1.4768261459394993, 1.5091644275934228,
    1.5422108254079407, 1.5759808451078865, 1.6104903319492543, 1.645755478153965,
    1.681792830507429, 1.718619298122478, 1.7562521603732995, 1.7947090750031072,
    1.8340080864093424, 1.8741676341103, 1.9152065613971474, 1.9571441241754002,
};

static double power_of_two(int32_t exponent) {
    const union {
        uint64_t bits;
        double value;
    } power = {.bits = (uint64_t)(exponent + DOUBLE_BIAS) << DOUBLE_FRACTION_BITS};
    return power.value;
}

/* exp(x) for |x| < 700, right to 33 bits: 2^(k / 32) by table, and 2^(r / 32) for the rest r in [-1/2, 1/2] by a
 * polynomial. Method and coefficients are those of expf in Arm's optimized routines, which glibc and newlib
 * have: the same floats come out. */
static double exponential(double x) {
    /* The coefficients are for multiples of ln 2; a step is 1/32 of it. */
    const double c3 = 0.05550361559341535 / 32 / 32 / 32, c2 = 0.2402284522445722 / 32 / 32;
    const double c1 = 0.6931471806916203 / 32, steps_over_ln2 = 1.4426950408889634 * 32;
    const double steps = steps_over_ln2 * x;
    const int32_t k = (int32_t)(steps < 0 ? steps - 0.5 : steps + 0.5);
    const double r = steps - k;
    const double scale = powers[(uint32_t)k % STEPS] * power_of_two((k - (int32_t)((uint32_t)k % STEPS)) / STEPS);
    return ((c3 * r + c2) * (r * r) + (c1 * r + 1)) * scale;
}

float tb_exponential(float x) {
    /* Beyond these a float has no room for the result; written so that what is no number stays none. */
    if (x > 88.7228394F) {
        return 1 / 0.0F;
    }
    if (x < -103.972084F) {
        return 0;
    }
    return x == x ? (float)exponential(x) : x;
}
