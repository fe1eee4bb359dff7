/* Ticks from the RP2040's 1 MHz timer: its Cortex-M0+ has no DWT, and SysTick wraps after 0.13 s. The board sets the
 * tick that drives it (RP2040 data sheet 4.6; TIMER_TIMERAWL_OFFSET of hardware/regs/timer.h). */
#include "registers.h"
#include "tb_port.h"

#define TIMER_TIMERAWL 0x40054028U /* TIMER_BASE 0x40054000 */

enum { TICKS_PER_SECOND = 1000000 };

uint32_t tb_port_ticks(void) {
    return tb_register_get(TIMER_TIMERAWL);
}

uint32_t tb_port_ticks_per_second(void) {
    return TICKS_PER_SECOND;
}
