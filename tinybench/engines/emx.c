/* What tb_engine.h asks for, around the one function that emx-onnx-cgen generates. */
#include "tb_emx.h"
#include "tb_engine.h"

#if defined(__APPLE__)
#define ARENA
#else
#define ARENA __attribute__((section(".tb_arena")))
#endif

enum { ALIGNMENT = 8 };

/* The generated function takes every larger activation from malloc and frees them all at its end: here they
 * lie one behind the other. The generated header says how many bytes they are. */
ARENA static struct {
    _Alignas(ALIGNMENT) uint8_t activations[TB_EMX_ACTIVATION_BYTES];
    _Alignas(16) int8_t input[TB_EMX_INPUT_BYTES];
    _Alignas(4) int8_t output[TB_EMX_OUTPUT_BYTES];
} memory;

static uint32_t taken;
static uint32_t most;
static tb_status health = TB_OK;

void *tb_emx_malloc(size_t bytes) {
    const size_t rounded = (bytes + ALIGNMENT - 1U) / ALIGNMENT * ALIGNMENT;
    if (rounded > sizeof memory.activations - taken) {
        health = TB_ERR_ARENA;
        return NULL;
    }
    void *const place = memory.activations + taken;
    taken += (uint32_t)rounded;
    most = taken > most ? taken : most;
    return place;
}

void tb_emx_free(void *place) {
    (void)place;
}

const char *tb_engine_name(void) {
    return "emx";
}

const char *tb_engine_version(void) {
    return TB_EMX_VERSION;
}

tb_status tb_engine_init(void) {
    return TB_OK;
}

tb_tensor tb_engine_input(void) {
    return (tb_tensor){memory.input, sizeof memory.input, TB_EMX_INPUT_SCALE, TB_EMX_INPUT_ZERO_POINT, TB_INT8};
}

tb_tensor tb_engine_output(void) {
    return (tb_tensor){memory.output, sizeof memory.output, TB_EMX_OUTPUT_SCALE, TB_EMX_OUTPUT_ZERO_POINT,
                       TB_INT8};
}

tb_status tb_engine_invoke(void) {
    taken = 0;
    tb_emx_run(memory.input, memory.output);
    return health;
}

uint32_t tb_engine_arena_used(void) {
    return most + TB_EMX_INPUT_BYTES + TB_EMX_OUTPUT_BYTES;
}

uint32_t tb_engine_arena_reserved(void) {
    return sizeof memory;
}

/* All operators are inlined into one function: they cannot be told apart. */
uint32_t tb_engine_operator_count(void) {
    return 0;
}

const char *tb_engine_operator_name(uint32_t index) {
    (void)index;
    return "";
}

#if defined(__clang__)
/* The wheel's compiler brings no C library for bare cores, and only a part of the mathematics: these three are
 * not in it. Adding and taking away 2^52, or 2^23, leaves no room for a fraction; halves become even. */
float nearbyintf(float value) {
    static const float room = 8388608.0F;
    if (!(value > -room && value < room)) {
        return value;
    }
    return value < 0.0F ? (value - room) + room : (value + room) - room;
}

double nearbyint(double value) {
    static const double room = 4503599627370496.0;
    if (!(value > -room && value < room)) {
        return value;
    }
    return value < 0.0 ? (value - room) + room : (value + room) - room;
}

long long llrint(double value) {
    return (long long)nearbyint(value);
}
#endif
