#include "stack.h"

#include <stddef.h>

#include "tb_port.h"

enum { OWN_FRAME_WORDS = 16 }; /* left unpainted below the frame's address: whoever paints stands there */

static const uint32_t paint = 0x7BE7C41DU;

static uint32_t bytes_between(const uint32_t *lowest, const uint32_t *end) {
    return (uint32_t)((uintptr_t)end - (uintptr_t)lowest);
}

/* Never inlined, and its own frame lies deeper than its caller's. */
__attribute__((noinline)) void tb_stack_paint(void) {
    const tb_stack_area area = tb_port_stack();
    const uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    volatile uint32_t *word = area.lowest;
    while ((uintptr_t)word + OWN_FRAME_WORDS * sizeof *word < frame && (uintptr_t)word < (uintptr_t)area.end) {
        *word++ = paint;
    }
}

uint32_t tb_stack_reserved_bytes(void) {
    const tb_stack_area area = tb_port_stack();
    return bytes_between(area.lowest, area.end);
}

uint32_t tb_stack_used_bytes(void) {
    const tb_stack_area area = tb_port_stack();
    const volatile uint32_t *word = area.lowest;
    while ((uintptr_t)word < (uintptr_t)area.end && *word == paint) {
        word++;
    }
    return bytes_between((const uint32_t *)word, area.end);
}
