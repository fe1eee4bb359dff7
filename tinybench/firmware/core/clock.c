#include "clock.h"

#include "tb_port.h"

enum { MILLISECONDS = 1000, MICROSECONDS = 1000000 };

static uint32_t last;
static uint64_t total;

uint64_t tb_clock_ticks(void) {
    const uint32_t now = tb_port_ticks();
    total += (uint32_t)(now - last);
    last = now;
    return total;
}

uint32_t tb_clock_microseconds(uint64_t ticks) {
    const uint32_t hz = tb_port_ticks_per_second();
    const uint64_t rest = ticks % hz;
    return (uint32_t)(ticks / hz * MICROSECONDS + rest * MICROSECONDS / hz);
}

uint32_t tb_clock_across_loop(uint32_t iterations) {
    volatile uint32_t left = iterations;
    const uint32_t start = tb_port_ticks();
    while (left > 0) {
        left = left - 1U;
    }
    return tb_port_ticks() - start;
}

bool tb_clock_passed(uint64_t start, uint32_t milliseconds) {
    const uint64_t limit = (uint64_t)tb_port_ticks_per_second() * milliseconds / MILLISECONDS;
    return tb_clock_ticks() - start > limit;
}
