/* The port's 32-bit counter, carried on to 64 bits. */
#ifndef TB_CLOCK_H
#define TB_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* The counter, carried on. Must be called at least once in 2^32 ticks (19 s at 216 MHz, 8.9 s at 480 MHz):
 * the idle loop does so, and a window does so after every inference. One inference must be shorter than that. */
uint64_t tb_clock_ticks(void);

/* The same in whole microseconds modulo 2^32, as the protocol wants them. */
uint32_t tb_clock_microseconds(uint64_t ticks);

/* Runs a loop of known length; its ticks, 0 if the counter stands still. */
uint32_t tb_clock_across_loop(uint32_t iterations);

/* Whether `milliseconds` have passed since `start`. */
bool tb_clock_passed(uint64_t start, uint32_t milliseconds);

#endif
