/* Windows: stretches of inference with nothing else in them. */
#ifndef TB_MEASURE_H
#define TB_MEASURE_H

#include <stdint.h>

#include "tb_status.h"

/* Starts the engine; what it answers is answered again to every window that cannot be opened. */
tb_status tb_measure_begin(void);

/* One window of `count` inferences on one input, after `warmup` others. The input is written anew before each
 * inference, inside the window, as any application would have to. Says its lines as the protocol has them. */
void tb_measure_window(uint32_t count, uint32_t warmup);

/* `count` inferences timed one by one, writing the input excluded. */
void tb_measure_each(uint32_t count, uint32_t warmup);

/* How fast the clock runs, and whether it runs at all. */
void tb_measure_clock(void);

/* `m-lap-us-<n>`. */
void tb_measure_say_lap(uint64_t ticks);

#endif
