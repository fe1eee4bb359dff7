/* The smallest engine there is, for tests of the firmware around it: each output is the input's value plus 1,
 * wrapped. Like a real engine it overwrites its input. The first byte of an input may be an order: to fail, to
 * fault, to overflow the stack, or to use some of it and answer where, as the first four bytes of the output. */
#include <stddef.h>
#include <string.h>

#include "tb_engine.h"
#include "tb_workload.h"

enum { ORDER_FAIL = 0x71, ORDER_FAULT = 0x72, ORDER_STACK = 0x73, ORDER_OVERFLOW = 0x74 };
enum { STACK_USER_BYTES = 1234, DESCENTS = 100000 };


#if defined(__arm__)
__attribute__((section(".tb_arena")))
#endif
static _Alignas(16) int8_t arena[TB_INPUT_ELEMENTS];
static int8_t output[TB_INPUT_ELEMENTS];
static uintptr_t deepest;

tb_status tb_op_000(void);
tb_status tb_op_001(void);
void tiny_use_stack(void);
uint32_t tiny_descend(uint32_t depth);

const char *tb_engine_name(void) {
    return "tiny";
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
    return (tb_tensor){
        .data = output, .bytes = sizeof output, .scale = 0.25F, .zero_point = -128, .type = TB_INT8};
}

/* A leaf that writes to the deepest of 1,234 bytes of its own. */
__attribute__((noinline)) void tiny_use_stack(void) {
    volatile uint8_t used[STACK_USER_BYTES];
    deepest = (uintptr_t)used;
    for (uint32_t i = 0; i < sizeof used; i++) {
        used[i] = (uint8_t)i;
    }
}

__attribute__((noinline)) uint32_t tiny_descend(uint32_t depth) {
    volatile uint32_t frame[64];
    frame[0] = depth;
    return depth == 0 ? frame[0] : tiny_descend(depth - 1U) + frame[0];
}

__attribute__((noinline)) tb_status tb_op_000(void) {
    const uint8_t order = (uint8_t)arena[0];
    deepest = 0;
    if (order == ORDER_FAULT) {
        *(volatile uint32_t *)(uintptr_t)0xCCCCCCCCU = 1;
    } else if (order == ORDER_STACK) {
        tiny_use_stack();
    } else if (order == ORDER_OVERFLOW) {
        (void)tiny_descend(DESCENTS);
    }
    return order == ORDER_FAIL ? TB_ERR_OPERATOR : TB_OK;
}

__attribute__((noinline)) tb_status tb_op_001(void) {
    for (uint32_t i = 0; i < sizeof arena; i++) {
        output[i] = (int8_t)(uint8_t)((uint8_t)arena[i] + 1U);
    }
    if (deepest != 0) {
        memcpy(output, &deepest, sizeof(uint32_t));
    }
    memset(arena, 0, sizeof arena);
    return TB_OK;
}

tb_status tb_engine_invoke(void) {
    tb_status status = TB_OK;
    TB_OPERATOR(0, status = tb_op_000());
    if (status == TB_OK) {
        TB_OPERATOR(1, status = tb_op_001());
    }
    return status;
}

uint32_t tb_engine_arena_used(void) {
    return sizeof arena;
}

uint32_t tb_engine_arena_reserved(void) {
    return sizeof arena;
}

uint32_t tb_engine_operator_count(void) {
    return 2;
}

const char *tb_engine_operator_name(uint32_t index) {
    return index == 0 ? "orders" : "increment";
}
