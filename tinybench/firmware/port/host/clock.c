/* The ticks of this computer are the nanoseconds of its monotonic clock. */
#include <time.h>

#include "tb_port.h"

enum { NANOSECONDS = 1000000000 };

uint32_t tb_port_ticks(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * NANOSECONDS + (uint64_t)now.tv_nsec);
}

uint32_t tb_port_ticks_per_second(void) {
    return NANOSECONDS;
}
