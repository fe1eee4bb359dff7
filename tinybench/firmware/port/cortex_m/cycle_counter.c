/* Ticks from the DWT's cycle counter (DDI 0403E, C1.8): Armv7-M and Armv8-M mainline, where it is present. */
#include "core_registers.h"
#include "registers.h"
#include "tb_port.h"
#include "tb_target.h"

/* A debugger that leaves takes TRCENA away, and the counter stands still: so each reading looks after it. */
static void start(void) {
    tb_register_change(TB_DCB_DEMCR, 0, TB_DCB_DEMCR_TRCENA);
    tb_register_put(TB_DWT_LAR, TB_DWT_LAR_KEY);
    tb_register_change(TB_DWT_CTRL, 0, TB_DWT_CTRL_CYCCNTENA);
    TB_BARRIER();
}

uint32_t tb_port_ticks(void) {
    if ((tb_register_get(TB_DCB_DEMCR) & TB_DCB_DEMCR_TRCENA) == 0 ||
        (tb_register_get(TB_DWT_CTRL) & TB_DWT_CTRL_CYCCNTENA) == 0) {
        start();
    }
    return tb_register_get(TB_DWT_CYCCNT);
}

uint32_t tb_port_ticks_per_second(void) {
    return TB_CLOCK_HZ;
}
