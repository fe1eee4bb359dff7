/* Ticks from TIMER0 of Nordic's chips at 1 MHz, for cores without a cycle counter (NRF_TIMER_Type and TIMER_* of nrf51.h,
 * nrf51_bitfields.h): of the nRF51's timers the only one with 32 bits. It starts when it is first read. */
#include "registers.h"
#include "tb_port.h"

#define NRF_TIMER0_BASE 0x40008000U

#define TASKS_START (NRF_TIMER0_BASE + 0x000U)
#define TASKS_CAPTURE_0 (NRF_TIMER0_BASE + 0x040U)
#define MODE (NRF_TIMER0_BASE + 0x504U)
#define BITMODE (NRF_TIMER0_BASE + 0x508U)
#define PRESCALER (NRF_TIMER0_BASE + 0x510U)
#define CC_0 (NRF_TIMER0_BASE + 0x540U)
#define MODE_MODE_Timer 0U
#define BITMODE_BITMODE_32Bit 3U

/* 16 MHz / 2^4. */
enum { PRESCALER_OF_1_MHZ = 4, TICKS_PER_SECOND = 1000000 };

static bool started;

static void start(void) {
    tb_register_put(MODE, MODE_MODE_Timer);
    tb_register_put(BITMODE, BITMODE_BITMODE_32Bit);
    tb_register_put(PRESCALER, PRESCALER_OF_1_MHZ);
    tb_register_put(TASKS_START, 1);
    started = true;
}

uint32_t tb_port_ticks(void) {
    if (!started) {
        start();
    }
    tb_register_put(TASKS_CAPTURE_0, 1);
    return tb_register_get(CC_0);
}

uint32_t tb_port_ticks_per_second(void) {
    return TICKS_PER_SECOND;
}
