/* Windows over images of int16. */
#include "tb_int16.h"

#define NUMBER int16_t
#define WEIGHT int8_t
#define SUM int64_t
#define LAYER tb_layer_16
#define NAMED(kernel) kernel##_16

static inline int16_t finished(const tb_layer_16 *layer, int32_t channel, int64_t sum) {
    const tb_scale scale = layer->scales[channel * layer->scale_step];
    return tb_within(tb_scaled_wide(sum + layer->bias[channel], scale), layer->lowest, layer->highest);
}

static inline int16_t averaged(int64_t sum, int32_t count) {
    const int32_t total = (int32_t)sum, half = count / 2;
    return (int16_t)((total > 0 ? total + half : total - half) / count);
}

#include "tb_plain.h"

void tb_mean_16(const tb_averaging *layer, const int16_t *input, int16_t *output) {
    const tb_scale s = layer->scale;
    for (int32_t batch = 0; batch < layer->batches; ++batch) {
        for (int32_t channel = 0; channel < layer->channels; ++channel) {
            int32_t sum = layer->bias;
            for (int32_t row = 0; row < layer->rows; ++row) {
                sum += input[row * layer->channels + channel];
            }
            const int32_t value = tb_scaled(sum, s.multiplier, s.lift, s.shift) + layer->zero_point;
            *output++ = tb_within(value, INT16_MIN, INT16_MAX);
        }
        input += layer->rows * layer->channels;
    }
}
