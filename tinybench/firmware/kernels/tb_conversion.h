/* Kernels between types of numbers. */
#ifndef TB_CONVERSION_H
#define TB_CONVERSION_H

#include "tb_float32.h"
#include "tb_int16.h"

/* From one scale of integers to another. */
typedef struct {
    int32_t size;
    int32_t zero_point_from, zero_point_to;
    tb_scale scale;
} tb_requantising;

void tb_requantize_8_to_16(const tb_requantising *layer, const int8_t *input, int16_t *output);
void tb_requantize_16_to_8(const tb_requantising *layer, const int16_t *input, int8_t *output);
void tb_requantize_16_to_16(const tb_requantising *layer, const int16_t *input, int16_t *output);

/* Between integers and what they stand for: scale * (value - zero_point). */
typedef struct {
    int32_t size;
    int32_t zero_point;
    float scale;
} tb_quantising;

void tb_quantize_to_8(const tb_quantising *layer, const float *input, int8_t *output);
void tb_quantize_to_16(const tb_quantising *layer, const float *input, int16_t *output);
void tb_dequantize_8(const tb_quantising *layer, const int8_t *input, float *output);
void tb_dequantize_16(const tb_quantising *layer, const int16_t *input, float *output);

#endif
