/* NUCLEO-F767ZI: 216 MHz from the ST-LINK's 8 MHz, caches, USART3 to the ST-LINK's virtual COM port, marker on
 * Arduino D7.
 *
 * Addresses and bits: ST's CMSIS header stm32f767xx.h, by the names given. Pins: UM1974 (Nucleo-144, MB1137);
 * alternate functions: DS11532, alternate function mapping. */
#include <stddef.h>

#include "cortex_m/caches.h"
#include "registers.h"
#include "st/board.h"
#include "st/stm32f7_clock.h"
#include "tb_target.h"

#define USART3_BASE 0x40004800U /* APB1PERIPH_BASE + 0x4800 */
#define GPIOD_BASE 0x40020C00U  /* AHB1PERIPH_BASE + 0x0C00 */
#define GPIOF_BASE 0x40021400U  /* AHB1PERIPH_BASE + 0x1400 */

#define RCC_AHB1ENR_GPIODEN (1U << 3)
#define RCC_AHB1ENR_GPIOFEN (1U << 5)
#define RCC_APB1ENR_USART3EN (1U << 18)
#define RCC_DCKCFGR2_USART3SEL (3U << 4) /* 0: clocked by PCLK1 */

_Static_assert(TB_STM32F7_CORE_HZ == TB_CLOCK_HZ, "the clock is the one that the target promises");

enum { AF7_USART3 = 7 };

static const char *start_clock(void) {
    const char *missing = tb_stm32f7_start_clock();
    if (missing == NULL) {
        tb_caches_enable();
    }
    return missing;
}

static void enable(void) {
    tb_stm32f7_enable(TB_STM32F7_AHB1ENR, RCC_AHB1ENR_GPIODEN | RCC_AHB1ENR_GPIOFEN);
    tb_stm32f7_enable(TB_STM32F7_APB1ENR, RCC_APB1ENR_USART3EN);
    tb_register_change(TB_STM32F7_DCKCFGR2, RCC_DCKCFGR2_USART3SEL, 0);
}

/* PF13 is Arduino D7 on Zio connector CN10, free on this board; MLPerf Tiny marks with D7 as well. */
const tb_st_description tb_st_board = {
    .start_clock = start_clock,
    .enable = enable,
    .usart = {.address = USART3_BASE, .clock_hz = TB_STM32F7_PCLK1_HZ},
    .usart_slow_hz = TB_STM32F7_HSI_HZ,
    .tx = {.port = GPIOD_BASE, .number = 8},
    .rx = {.port = GPIOD_BASE, .number = 9},
    .function = AF7_USART3,
    .marker = {.port = GPIOF_BASE, .number = 13},
};
