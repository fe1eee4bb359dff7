/* What tb_engine.h asks for, around the one function that BakeNN generates (version 1 of its C ABI). */
#include "bknn_model.h"
#include "tb_bakenn.h"
#include "tb_engine.h"

_Static_assert(BKNN_MODEL_C_ABI_VERSION == 1U, "this version of BakeNN generates another interface");

#if defined(__APPLE__)
#define ARENA
#else
#define ARENA __attribute__((section(".tb_arena")))
#endif

/* BakeNN leaves input and output to its caller: they are activations, and count as such. */
ARENA static struct {
#if BKNN_MODEL_ARENA_SIZE > 0
    _Alignas(BKNN_MODEL_ARENA_ALIGNMENT) uint8_t arena[BKNN_MODEL_ARENA_SIZE];
#endif
    _Alignas(16) int8_t input[BKNN_MODEL_INPUT_BYTES];
    _Alignas(4) int8_t output[BKNN_MODEL_OUTPUT_BYTES];
} memory;

#if BKNN_MODEL_ARENA_SIZE > 0
#define BKNN_ARENA memory.arena
#else
#define BKNN_ARENA ((uint8_t *)0)
#endif

const char *tb_engine_name(void) {
    return TB_BAKENN_NAME;
}

const char *tb_engine_version(void) {
    return TB_BAKENN_VERSION;
}

tb_status tb_engine_init(void) {
    return TB_OK;
}

tb_tensor tb_engine_input(void) {
    return (tb_tensor){memory.input, sizeof memory.input, BKNN_MODEL_INPUT_SCALE, BKNN_MODEL_INPUT_ZERO_POINT,
                       TB_INT8};
}

tb_tensor tb_engine_output(void) {
    return (tb_tensor){memory.output, sizeof memory.output, BKNN_MODEL_OUTPUT_SCALE,
                       BKNN_MODEL_OUTPUT_ZERO_POINT, TB_INT8};
}

tb_status tb_engine_invoke(void) {
    bknn_model_infer(BKNN_ARENA, memory.input, memory.output);
    return TB_OK;
}

uint32_t tb_engine_arena_used(void) {
    return BKNN_MODEL_ARENA_SIZE + BKNN_MODEL_INPUT_BYTES + BKNN_MODEL_OUTPUT_BYTES;
}

uint32_t tb_engine_arena_reserved(void) {
    return sizeof memory;
}

/* All operators are calls inside one function: they cannot be told apart. */
uint32_t tb_engine_operator_count(void) {
    return 0;
}

const char *tb_engine_operator_name(uint32_t index) {
    (void)index;
    return "";
}
