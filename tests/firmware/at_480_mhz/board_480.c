/* A NUCLEO-H743ZI of revision V at 480 MHz: voltage scale 0, the PLL at 960 MHz, four wait states. Otherwise as
 * nucleo_h743zi.c. */
#include <stddef.h>

#include "cortex_m/caches.h"
#include "registers.h"
#include "st/board.h"
#include "st/stm32h7_clock.h"
#include "tb_target.h"

#define USART3_BASE 0x40004800U
#define GPIOD_BASE 0x58020C00U
#define GPIOF_BASE 0x58021400U

#define RCC_AHB4ENR_GPIODEN (1U << 3)
#define RCC_AHB4ENR_GPIOFEN (1U << 5)
#define RCC_APB1LENR_USART3EN (1U << 18)

/* AXI runs at 240 MHz (RM0433 table 17, scale 0). */
enum { MULTIPLIER = 240, WAIT_STATES = 4, WRITE_DELAY = 2 };
_Static_assert(TB_STM32H7_PLL_INPUT_HZ / TB_STM32H7_PLL_DIVIDER * MULTIPLIER == TB_CLOCK_HZ,
               "the clock is the one that the target promises");

enum { AF7_USART3 = 7 };

static const char *start_clock(void) {
    const tb_stm32h7_clock wanted = {
        .multiplier = MULTIPLIER, .wait_states = WAIT_STATES, .write_delay = WRITE_DELAY, .scale_0 = true};
    const char *missing = tb_stm32h7_start_clock(wanted);
    if (missing == NULL) {
        tb_caches_enable();
    }
    return missing;
}

static void enable(void) {
    tb_stm32h7_enable(TB_STM32H7_AHB4ENR, RCC_AHB4ENR_GPIODEN | RCC_AHB4ENR_GPIOFEN);
    tb_stm32h7_enable(TB_STM32H7_APB1LENR, RCC_APB1LENR_USART3EN);
}

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
