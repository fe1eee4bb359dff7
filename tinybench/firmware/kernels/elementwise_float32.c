/* float32, element by element; softmax. */
#include "tb_float32.h"

void tb_add_f32(const tb_elementwise_f32 *layer, const float *a, const float *b, float *output) {
    for (int32_t begin = 0; begin < layer->size; begin += layer->period) {
        for (int32_t i = 0; i < layer->period; ++i) {
            *output++ = tb_bounded(*a++ + b[i], layer->lowest, layer->highest);
        }
    }
}

void tb_mul_f32(const tb_elementwise_f32 *layer, const float *a, const float *b, float *output) {
    for (int32_t begin = 0; begin < layer->size; begin += layer->period) {
        for (int32_t i = 0; i < layer->period; ++i) {
            *output++ = tb_bounded(*a++ * b[i], layer->lowest, layer->highest);
        }
    }
}

void tb_bound_f32(float lowest, float highest, int32_t size, const float *input, float *output) {
    for (int32_t i = 0; i < size; ++i) {
        output[i] = tb_bounded(input[i], lowest, highest);
    }
}

void tb_clamp_f32(float lowest, float highest, int32_t size, float *tensor) {
    tb_bound_f32(lowest, highest, size, tensor, tensor);
}

void tb_leaky_relu_f32(float slope, int32_t size, const float *input, float *output) {
    for (int32_t i = 0; i < size; ++i) {
        output[i] = input[i] > 0 ? input[i] : input[i] * slope;
    }
}

void tb_hard_swish_f32(int32_t size, const float *input, float *output) {
    for (int32_t i = 0; i < size; ++i) {
        output[i] = input[i] * tb_bounded(input[i] + 3, 0, 6) / 6;
    }
}

/* Beyond the first limit the function is 1, below the second one exp(x), to a float. */
void tb_logistic_f32(int32_t size, const float *input, float *output) {
    const float is_one = 16.619047164916992188F, is_exponential = -9;
    for (int32_t i = 0; i < size; ++i) {
        const float x = input[i];
        if (x > is_one) {
            output[i] = 1;
        } else if (x < is_exponential) {
            output[i] = tb_exponential(x);
        } else {
            output[i] = 1 / (1 + tb_exponential(-x));
        }
    }
}

void tb_softmax_f32(const tb_softmax_layer_f32 *layer, const float *input, float *output) {
    for (int32_t row = 0; row < layer->rows; ++row, input += layer->channels, output += layer->channels) {
        float largest = input[0], sum = 0;
        for (int32_t c = 1; c < layer->channels; ++c) {
            largest = input[c] > largest ? input[c] : largest;
        }
        for (int32_t c = 0; c < layer->channels; ++c) {
            output[c] = tb_exponential((input[c] - largest) * layer->beta);
            sum += output[c];
        }
        for (int32_t c = 0; c < layer->channels; ++c) {
            output[c] /= sum;
        }
    }
}
