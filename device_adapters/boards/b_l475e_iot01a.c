/* B-L475E-IOT01A: 80 MHz from MSI held by the 32.768 kHz crystal, ART, USART1 to the ST-LINK's virtual COM port,
 * marker on Arduino D7.
 *
 * Addresses and bits: ST's CMSIS header stm32l475xx.h, by the names given. Pins: UM2153 (MB1297), ARDUINO connectors
 * and virtual COM port; alternate functions: DS10969, alternate function mapping. */
#include "registers.h"
#include "st/board.h"
#include "st/stm32l4_clock.h"
#include "tb_target.h"

#define USART1_BASE 0x40013800U /* APB2PERIPH_BASE (0x40010000) + 0x3800 */
#define GPIOA_BASE 0x48000000U  /* AHB2PERIPH_BASE + 0x0000 */
#define GPIOB_BASE 0x48000400U  /* AHB2PERIPH_BASE + 0x0400 */

#define RCC_AHB2ENR_GPIOAEN (1U << 0)
#define RCC_AHB2ENR_GPIOBEN (1U << 1)
#define RCC_APB2ENR_USART1EN (1U << 14)
#define RCC_CCIPR_USART1SEL (3U << 0) /* 0: clocked by PCLK2, which is the core's clock here */

/* 4 MHz * 40 = 160 MHz (VCO: 64 to 344 MHz), divided by 2. Wait states: RM0351 3.3.3, range 1. */
enum { DIVIDER = 2, MULTIPLIER = TB_CLOCK_HZ / (TB_STM32L4_MSI_HZ / DIVIDER), WAIT_STATES = TB_FLASH_WAIT_STATES };
_Static_assert(TB_STM32L4_MSI_HZ / DIVIDER * MULTIPLIER == TB_CLOCK_HZ, "the clock is the one that the target promises");

enum { AF7_USART1 = 7 };

static const char *start_clock(void) {
    const tb_stm32l4_clock wanted = {.multiplier = MULTIPLIER, .wait_states = WAIT_STATES, .boost = false};
    return tb_stm32l4_start_clock(wanted);
}

static void enable(void) {
    tb_stm32l4_enable(TB_STM32L4_AHB2ENR, RCC_AHB2ENR_GPIOAEN | RCC_AHB2ENR_GPIOBEN);
    tb_stm32l4_enable(TB_STM32L4_APB2ENR, RCC_APB2ENR_USART1EN);
    tb_register_change(TB_STM32L4_CCIPR, RCC_CCIPR_USART1SEL, 0);
}

/* The marker is ARD_D7. */
const tb_st_description tb_st_board = {
    .start_clock = start_clock,
    .enable = enable,
    .usart = {.address = USART1_BASE, .clock_hz = TB_CLOCK_HZ},
    .usart_slow_hz = TB_STM32L4_MSI_HZ,
    .tx = {.port = GPIOB_BASE, .number = 6},
    .rx = {.port = GPIOB_BASE, .number = 7},
    .function = AF7_USART1,
    .marker = {.port = GPIOA_BASE, .number = 4},
};
