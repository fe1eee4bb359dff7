/* Ticks as a foreign firmware has them (templates/main_call/tinyml_benchmark.jinja of aidge-export-arm-cortexm
 * 0.10.1): the 32 bits of the cycle counter, divided into microseconds before their wrap was taken care of. They go
 * back to zero every 2^32 / 480 MHz = 8.95 s. */
#include "cortex_m/core_registers.h"
#include "registers.h"
#include "tb_port.h"
#include "tb_target.h"

enum { MICROSECONDS = 1000000 };

uint32_t tb_port_ticks(void) {
    tb_register_change(TB_DCB_DEMCR, 0, TB_DCB_DEMCR_TRCENA);
    tb_register_put(TB_DWT_LAR, TB_DWT_LAR_KEY);
    tb_register_change(TB_DWT_CTRL, 0, TB_DWT_CTRL_CYCCNTENA);
    return tb_register_get(TB_DWT_CYCCNT) / (TB_CLOCK_HZ / MICROSECONDS);
}

uint32_t tb_port_ticks_per_second(void) {
    return MICROSECONDS;
}
