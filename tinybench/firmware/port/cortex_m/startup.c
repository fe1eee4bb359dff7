/* From reset to main: vectors, floating point, data, constructors. Symbols come from the linker script
 * (tinybench/linker.py). */
#include <stdint.h>

#include "core_registers.h"
#include "fault.h"
#include "registers.h"
#include "tb_port.h"
#include "tb_target.h"

typedef void (*tb_function)(void);

extern uint32_t tb_stack_start[], tb_stack_end[];
extern uint32_t tb_data_start[], tb_data_end[];
extern const uint32_t tb_data_load[];
extern uint32_t tb_weights_start[], tb_weights_end[];
extern const uint32_t tb_weights_load[];
extern uint32_t tb_bss_start[], tb_bss_end[];
extern tb_function tb_constructors_start[], tb_constructors_end[];
extern const uint8_t tb_build_id_note[];

int main(void);
void tb_reset(void);

enum {
    SYSTEM_EXCEPTIONS = 16,
    NOTE_HEADER_BYTES = 16 /* sizes of name and description, type, "GNU\0" (System V ABI, note sections) */
};

/* The linker script puts it where the target wants the stack. */
__attribute__((used, section(".tb_stack"))) static _Alignas(8) uint8_t stack[TB_STACK_BYTES];

typedef union {
    uint32_t *stack;
    tb_function entry;
} tb_vector;

/* Interrupts stay disabled, so there are no vectors beyond the system's; every exception is a fault. */
__attribute__((used, section(".vectors"))) static const tb_vector vectors[SYSTEM_EXCEPTIONS] = {
    {.stack = tb_stack_end}, {.entry = tb_reset},
    {.entry = tb_fault_entry}, {.entry = tb_fault_entry}, {.entry = tb_fault_entry}, {.entry = tb_fault_entry},
    {.entry = tb_fault_entry}, {.entry = tb_fault_entry}, {.entry = tb_fault_entry}, {.entry = tb_fault_entry},
    {.entry = tb_fault_entry}, {.entry = tb_fault_entry}, {.entry = tb_fault_entry}, {.entry = tb_fault_entry},
    {.entry = tb_fault_entry}, {.entry = tb_fault_entry},
};

static void enable_floating_point(void) {
#if defined(__ARM_FP)
    tb_register_change(TB_SCB_CPACR, 0, TB_SCB_CPACR_CP10_CP11_FULL);
    TB_BARRIER();
#endif
}

static void copy(const uint32_t *from, uint32_t *to, const uint32_t *end) {
    while (to < end) {
        *to++ = *from++;
    }
}

/* Weights that the target wants in RAM are stored behind the text, as data are. */
static void copy_data(void) {
    copy(tb_data_load, tb_data_start, tb_data_end);
#if TB_WEIGHTS_IN_RAM
    copy(tb_weights_load, tb_weights_start, tb_weights_end);
#endif
}

static void clear_bss(void) {
    for (uint32_t *word = tb_bss_start; word < tb_bss_end; word++) {
        *word = 0;
    }
}

/* Engines written in C++ have static objects. */
static void run_constructors(void) {
    for (tb_function *constructor = tb_constructors_start; constructor < tb_constructors_end; constructor++) {
        (*constructor)();
    }
}

/* The processor may have started from an alias of the flash (STM32F7 boots at 0x00200000): the table that was
 * linked is the one that counts. Floating point first: the compiler may use its registers for any copy. */
__attribute__((used, noreturn)) void tb_reset(void) {
    enable_floating_point();
    tb_register_put(TB_SCB_VTOR, (uint32_t)vectors);
    copy_data();
    clear_bss();
    run_constructors();
    (void)main();
    for (;;) {
    }
}

tb_stack_area tb_port_stack(void) {
    return (tb_stack_area){.lowest = tb_stack_start, .end = tb_stack_end};
}

void tb_port_build_id(uint8_t id[TB_BUILD_ID_BYTES]) {
    for (uint32_t i = 0; i < TB_BUILD_ID_BYTES; i++) {
        id[i] = tb_build_id_note[NOTE_HEADER_BYTES + i];
    }
}
