/* The report of a fault (docs/wire.md), on a stack of its own: the program's may be what is broken. */
#include "fault.h"

#include <stdint.h>

#include "core_registers.h"
#include "registers.h"
#include "tb_port.h"
#include "text.h"

enum {
    FAULT_STACK_WORDS = 128,
    WORD_HEX_DIGITS = 8,
    /* What the processor pushed, in words from the stack pointer (DDI 0403E, B1.5.6). */
    FRAME_LR = 5,
    FRAME_PC = 6,
    FRAME_PSR = 7,
    FRAME_WORDS = 8
};

extern uint32_t tb_stack_start[], tb_stack_end[];

void tb_fault_report(const uint32_t *frame);

__attribute__((used)) uint64_t tb_fault_stack[FAULT_STACK_WORDS / 2];

/* Takes the stack that was in use as argument and goes on with a good one. Armv6-M instructions only. Bit 2 of
 * LR tells the process stack from the main one (DDI 0403E, B1.5.8). */
__attribute__((naked, used)) void tb_fault_entry(void) {
    __asm volatile(
        "mov r1, lr\n\t"
        "movs r2, #4\n\t"
        "mrs r0, msp\n\t"
        "tst r1, r2\n\t"
        "beq 1f\n\t"
        "mrs r0, psp\n"
        "1:\n\t"
        "ldr r1, =tb_fault_stack + %c0\n\t"
        "msr msp, r1\n\t"
        "bl tb_fault_report\n\t"
        ".ltorg"
        :
        : "i"(FAULT_STACK_WORDS * sizeof(uint32_t)));
}

static void put_register(const char *name, uint32_t value) {
    tb_put(name);
    tb_put_hex(value, WORD_HEX_DIGITS);
}

/* Zeros if the frame is not on the stack: then the stack pointer had run away, or pushing was what failed. */
static uint32_t framed(const uint32_t *frame, uint32_t index) {
    const uintptr_t at = (uintptr_t)frame;
    const uintptr_t end = (uintptr_t)tb_stack_end;
    const bool whole = at >= (uintptr_t)tb_stack_start && at <= end && end - at >= FRAME_WORDS * sizeof *frame;
    return whole ? frame[index] : 0;
}

__attribute__((used, noreturn)) void tb_fault_report(const uint32_t *frame) {
    tb_port_marker(false);
    tb_abandon_line();
    put_register("e-tb-fault-[pc=", framed(frame, FRAME_PC));
    put_register(" lr=", framed(frame, FRAME_LR));
    put_register(" psr=", framed(frame, FRAME_PSR));
    put_register(" cfsr=", tb_register_get(TB_SCB_CFSR));
    put_register(" hfsr=", tb_register_get(TB_SCB_HFSR));
    put_register(" mmfar=", tb_register_get(TB_SCB_MMFAR));
    put_register(" bfar=", tb_register_get(TB_SCB_BFAR));
    tb_say("]");
    tb_say("m-ready");
    /* Not WFI: a debugger finds an awake core on every chip. */
    for (;;) {
    }
}
