/* The walk over positions and output channels, around the products of whoever includes this.
 *
 * The includer defines CONVOLUTION, the function's name, the struct `tile` of four sums (positions a and b,
 * channels 0 and 1), `dot_pair` for two output channels and `dot_single` for an odd last one. */

static void convolve(const tb_convolution *layer, const run_list *runs, int8_t *a, int8_t *b) {
    const tb_requantisation out = layer->out;
    const int8_t *weights = layer->weights;
    const tb_scale *scale = out.scales;
    const int32_t *bias = layer->bias;
    int32_t channels = layer->window.output_channels;
    for (; channels >= 2; channels -= 2, bias += 2, a += 2, b += 2) {
        tile sums = {bias[0], bias[1], bias[0], bias[1]};
        for (int32_t r = 0; r < runs->count; ++r, weights += 2 * runs->length) {
            sums = dot_pair(sums, runs->a[r], runs->b[r], weights, runs->length);
        }
        const tb_scale scale_0 = *scale, scale_1 = scale[out.scale_step];
        scale += 2 * out.scale_step;
        a[0] = tb_requantised(out, scale_0, sums.a0);
        b[0] = tb_requantised(out, scale_0, sums.b0);
        a[1] = tb_requantised(out, scale_1, sums.a1);
        b[1] = tb_requantised(out, scale_1, sums.b1);
    }
    if (channels == 1) {
        tile sums = {bias[0], 0, bias[0], 0};
        for (int32_t r = 0; r < runs->count; ++r, weights += runs->length) {
            sums = dot_single(sums, runs->a[r], runs->b[r], weights, runs->length);
        }
        a[0] = tb_requantised(out, *scale, sums.a0);
        b[0] = tb_requantised(out, *scale, sums.b0);
    }
}

void CONVOLUTION(const tb_convolution *layer, const int8_t *input, int8_t *output) {
    const tb_window *w = &layer->window;
    run_list runs;
    position a = {0, 0};
    for (int32_t left = w->output_height * w->output_width; left > 0; left -= 2) {
        /* An odd last position is its own partner: computed twice, the same bytes written twice. */
        const position b = left > 1 ? after(w, a) : a;
        int8_t *output_b = left > 1 ? output + w->output_channels : output;
        list_runs(layer, input, a, b, &runs);
        convolve(layer, &runs, output, output_b);
        output += 2 * w->output_channels;
        a = after(w, b);
    }
}
