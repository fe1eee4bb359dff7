/* NUCLEO-H743ZI: 400 MHz from the ST-LINK's 8 MHz, caches, USART3 to the ST-LINK's virtual COM port, marker on
 * Arduino D7. 400 MHz at voltage scale 1 is the most that every revision of the chip takes: 480 MHz needs scale 0,
 * which revision Y does not have (ES0392; DS12110, general operating conditions).
 *
 * Addresses and bits: ST's CMSIS header stm32h743xx.h, by the names given. Pins: UM1974 (Nucleo-144, MB1137);
 * alternate functions: DS12110. */
#include <stddef.h>

#include "cortex_m/caches.h"
#include "registers.h"
#include "st/board.h"
#include "st/stm32h7_clock.h"
#include "tb_target.h"

#define USART3_BASE 0x40004800U /* D2_APB1PERIPH_BASE + 0x4800 */
#define GPIOD_BASE 0x58020C00U  /* D3_AHB1PERIPH_BASE + 0x0C00 */
#define GPIOF_BASE 0x58021400U  /* D3_AHB1PERIPH_BASE + 0x1400 */

#define RCC_AHB4ENR_GPIODEN (1U << 3)
#define RCC_AHB4ENR_GPIOFEN (1U << 5)
#define RCC_APB1LENR_USART3EN (1U << 18)
#define RCC_D2CCIP2R_USART28SEL 0x7U /* 0: rcc_pclk1 */

/* 4 MHz * 200 = 800 MHz, divided by 2. AXI runs at 200 MHz: 2 wait states and delay 2 from 185 to 210 MHz at scale 1
 * (RM0433 table 17). */
enum { MULTIPLIER = 200, WAIT_STATES = 2, WRITE_DELAY = 2 };
_Static_assert(TB_STM32H7_PLL_INPUT_HZ / TB_STM32H7_PLL_DIVIDER * MULTIPLIER == TB_CLOCK_HZ,
               "the clock is the one that the target promises");

enum { AF7_USART3 = 7 };

static const char *start_clock(void) {
    const tb_stm32h7_clock wanted = {
        .multiplier = MULTIPLIER, .wait_states = WAIT_STATES, .write_delay = WRITE_DELAY, .scale_0 = false};
    const char *missing = tb_stm32h7_start_clock(wanted);
    if (missing == NULL) {
        tb_caches_enable();
    }
    return missing;
}

static void enable(void) {
    tb_stm32h7_enable(TB_STM32H7_AHB4ENR, RCC_AHB4ENR_GPIODEN | RCC_AHB4ENR_GPIOFEN);
    tb_stm32h7_enable(TB_STM32H7_APB1LENR, RCC_APB1LENR_USART3EN);
    tb_register_change(TB_STM32H7_D2CCIP2R, RCC_D2CCIP2R_USART28SEL, 0);
}

/* PF13 is Arduino D7 on Zio connector CN10 of MB1137 (NUCLEO-H743ZI); on the NUCLEO-H743ZI2 it is on CN11. */
const tb_st_description tb_st_board = {
    .start_clock = start_clock,
    .enable = enable,
    .usart = {.address = USART3_BASE, .clock_hz = TB_CLOCK_HZ / TB_STM32H7_PCLK1_DIVIDER},
    .usart_slow_hz = TB_STM32H7_HSI_HZ,
    .tx = {.port = GPIOD_BASE, .number = 8},
    .rx = {.port = GPIOD_BASE, .number = 9},
    .function = AF7_USART3,
    .marker = {.port = GPIOF_BASE, .number = 13},
};
