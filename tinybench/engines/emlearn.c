/* What tb_engine.h asks for, around the network or forest that emlearn generates: its scores are float. */
#include "tb_emlearn.h"

#include <math.h>

#include "tb_engine.h"

#if defined(__APPLE__)
#define ARENA
#else
#define ARENA __attribute__((section(".tb_arena")))
#endif

ARENA static struct {
    _Alignas(16) tb_emlearn_feature features[TB_EMLEARN_INPUTS];
    _Alignas(4) float scores[TB_EMLEARN_OUTPUTS];
    _Alignas(16) int8_t input[TB_EMLEARN_INPUTS];
    _Alignas(4) int8_t output[TB_EMLEARN_OUTPUTS];
} memory;

const char *tb_engine_name(void) {
    return "emlearn";
}

const char *tb_engine_version(void) {
    return TB_EMLEARN_VERSION;
}

tb_status tb_engine_init(void) {
    return TB_OK;
}

tb_tensor tb_engine_input(void) {
    return (tb_tensor){memory.input, sizeof memory.input, TB_EMLEARN_INPUT_SCALE,
                       TB_EMLEARN_INPUT_ZERO_POINT, TB_INT8};
}

tb_tensor tb_engine_output(void) {
    return (tb_tensor){memory.output, sizeof memory.output, TB_EMLEARN_OUTPUT_SCALE,
                       TB_EMLEARN_OUTPUT_ZERO_POINT, TB_INT8};
}

static int8_t quantised(float value) {
    const float level = value / TB_EMLEARN_OUTPUT_SCALE + (float)TB_EMLEARN_OUTPUT_ZERO_POINT;
    const float low = (float)INT8_MIN;
    const float high = (float)INT8_MAX;
    return (int8_t)floorf((level < low ? low : level > high ? high : level) + 0.5F);
}

tb_status tb_engine_invoke(void) {
    for (uint32_t i = 0; i < TB_EMLEARN_INPUTS; i++) {
        memory.features[i] = tb_emlearn_feature_of(memory.input[i]);
    }
    if (tb_emlearn_run(memory.features, TB_EMLEARN_INPUTS, memory.scores, TB_EMLEARN_OUTPUTS) != 0) {
        return TB_ERR_OPERATOR;
    }
    for (uint32_t i = 0; i < TB_EMLEARN_OUTPUTS; i++) {
        memory.output[i] = quantised(memory.scores[i]);
    }
    return TB_OK;
}

uint32_t tb_engine_arena_used(void) {
    return sizeof memory + TB_EMLEARN_BUFFER_BYTES;
}

uint32_t tb_engine_arena_reserved(void) {
    return sizeof memory + TB_EMLEARN_BUFFER_BYTES;
}

/* Layers and trees are a loop over a table: they cannot be told apart. */
uint32_t tb_engine_operator_count(void) {
    return 0;
}

const char *tb_engine_operator_name(uint32_t index) {
    (void)index;
    return "";
}

#if defined(__clang__)
/* The wheel's compiler brings no C library for bare cores; emlearn names this function and does not call it in
 * the networks that are made here. */
float tanhf(float value) {
    const float bounded = value < -9.0F ? -9.0F : value > 9.0F ? 9.0F : value;
    const float power = expf(2.0F * bounded);
    return (power - 1.0F) / (power + 1.0F);
}
#endif
