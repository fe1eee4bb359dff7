/* Windows over images of float32. */
#include "tb_float32.h"

#define NUMBER float
#define WEIGHT float
#define SUM float
#define LAYER tb_layer_f32
#define NAMED(kernel) kernel##_f32

static inline float finished(const tb_layer_f32 *layer, int32_t channel, float sum) {
    return tb_bounded(sum + layer->bias[channel], layer->lowest, layer->highest);
}

static inline float averaged(float sum, int32_t count) {
    return sum / (float)count;
}

#include "tb_plain.h"

void tb_mean_f32(const tb_averaging_f32 *layer, const float *input, float *output) {
    for (int32_t batch = 0; batch < layer->batches; ++batch) {
        for (int32_t channel = 0; channel < layer->channels; ++channel) {
            float sum = 0;
            for (int32_t row = 0; row < layer->rows; ++row) {
                sum += input[row * layer->channels + channel];
            }
            *output++ = sum / (float)layer->rows;
        }
        input += layer->rows * layer->channels;
    }
}
