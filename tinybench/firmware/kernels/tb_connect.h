/* The walk over batches and output channels, around the products of whoever includes this.
 *
 * The includer defines FULLY_CONNECTED, the function's name, the struct `tile` of four sums, one for each of
 * four output channels, `dot_four`, which adds products to them, and `dot` for a channel by itself. */

static void connect(const tb_dense *layer, const int8_t *input, int8_t *output) {
    const tb_requantisation out = layer->out;
    const int32_t depth = layer->input_channels, step = out.scale_step;
    const int8_t *weights = layer->weights;
    const tb_scale *scale = out.scales;
    const int32_t *bias = layer->bias;
    int32_t channels = layer->output_channels;
    for (; channels >= 4; channels -= 4, bias += 4, weights += 4 * depth, scale += 4 * step, output += 4) {
        const tile start = {bias[0], bias[1], bias[2], bias[3]};
        const tile sums = dot_four(start, input, weights, depth);
        output[0] = tb_requantised(out, scale[0], sums.s0);
        output[1] = tb_requantised(out, scale[step], sums.s1);
        output[2] = tb_requantised(out, scale[2 * step], sums.s2);
        output[3] = tb_requantised(out, scale[3 * step], sums.s3);
    }
    for (; channels > 0; --channels, weights += depth, scale += step) {
        *output++ = tb_requantised(out, *scale, dot(*bias++, input, weights, depth));
    }
}

void FULLY_CONNECTED(const tb_dense *layer, const int8_t *input, int8_t *output) {
    for (int32_t batch = 0; batch < layer->batches; ++batch) {
        connect(layer, input, output);
        input += layer->input_channels;
        output += layer->output_channels;
    }
}
