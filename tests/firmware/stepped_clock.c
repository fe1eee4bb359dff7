/* A clock for tests: whoever looks at it moves it on. It can be told to stand still. */
#include "tb_port.h"

#ifndef TICKS_PER_LOOK
#define TICKS_PER_LOOK 1000
#endif

enum { TICKS_PER_SECOND = 1000000 };

uint32_t tb_port_ticks(void) {
    static uint32_t ticks;
    ticks += TICKS_PER_LOOK;
    return ticks;
}

uint32_t tb_port_ticks_per_second(void) {
    return TICKS_PER_SECOND;
}
