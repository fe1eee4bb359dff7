/* An engine whose inference takes 100 ms, whatever the board's ticks say: it watches the cycle counter itself. It asks
 * the serial port meanwhile, which a virtual board takes for idleness and lets the time pass quickly. */
#include <stddef.h>

#include "cortex_m/core_registers.h"
#include "registers.h"
#include "tb_engine.h"
#include "tb_port.h"
#include "tb_target.h"
#include "tb_workload.h"

enum { INFERENCES_PER_SECOND = 10 };

static _Alignas(16) __attribute__((section(".tb_arena"))) int8_t arena[TB_INPUT_ELEMENTS];

const char *tb_engine_name(void) {
    return "waiting";
}

const char *tb_engine_version(void) {
    return "1.0";
}

tb_status tb_engine_init(void) {
    return TB_OK;
}

tb_tensor tb_engine_input(void) {
    return (tb_tensor){.data = arena, .bytes = sizeof arena, .scale = 0.5F, .zero_point = 3, .type = TB_INT8};
}

tb_tensor tb_engine_output(void) {
    return (tb_tensor){.data = arena, .bytes = sizeof arena, .scale = 0.25F, .zero_point = -128, .type = TB_INT8};
}

tb_status tb_engine_invoke(void) {
    (void)tb_port_ticks();
    const uint32_t start = tb_register_get(TB_DWT_CYCCNT);
    while (tb_register_get(TB_DWT_CYCCNT) - start < TB_CLOCK_HZ / INFERENCES_PER_SECOND) {
        (void)tb_port_read();
    }
    return TB_OK;
}

uint32_t tb_engine_arena_used(void) {
    return sizeof arena;
}

uint32_t tb_engine_arena_reserved(void) {
    return sizeof arena;
}

uint32_t tb_engine_operator_count(void) {
    return 0;
}

const char *tb_engine_operator_name(uint32_t index) {
    (void)index;
    return "";
}
