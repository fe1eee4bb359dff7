/* NUCLEO-L4R5ZI, MLPerf Tiny's reference board: 120 MHz from MSI held by the 32.768 kHz crystal, ART, LPUART1 to
 * the ST-LINK's virtual COM port, marker on Arduino D7.
 *
 * Addresses and bits: ST's CMSIS header stm32l4r5xx.h, by the names given. Pins: UM2179 (Nucleo-144, MB1312);
 * alternate functions: DS12023, alternate function mapping. */
#include "registers.h"
#include "st/board.h"
#include "st/stm32l4_clock.h"
#include "tb_target.h"

#define LPUART1_BASE 0x40008000U /* APB1PERIPH_BASE + 0x8000 */
#define GPIOF_BASE 0x48001400U   /* AHB2PERIPH_BASE + 0x1400 */
#define GPIOG_BASE 0x48001800U   /* AHB2PERIPH_BASE + 0x1800 */

#define RCC_AHB2ENR_GPIOFEN (1U << 5)
#define RCC_AHB2ENR_GPIOGEN (1U << 6)
#define RCC_APB1ENR2_LPUART1EN (1U << 0)
#define RCC_CCIPR_LPUART1SEL (3U << 10) /* 0: clocked by PCLK1, which is the core's clock here */

/* 4 MHz * 60 = 240 MHz (VCO: 64 to 344 MHz), divided by 2. Wait states: RM0432 table 12; boost beyond 80 MHz. */
enum { DIVIDER = 2, MULTIPLIER = TB_CLOCK_HZ / (TB_STM32L4_MSI_HZ / DIVIDER), WAIT_STATES = TB_FLASH_WAIT_STATES };
enum { FASTEST_WITHOUT_BOOST_HZ = 80000000 };
_Static_assert(TB_STM32L4_MSI_HZ / DIVIDER * MULTIPLIER == TB_CLOCK_HZ, "the clock is the one that the target promises");

enum { AF8_LPUART1 = 8 };

static const char *start_clock(void) {
    const tb_stm32l4_clock wanted = {.multiplier = MULTIPLIER, .wait_states = WAIT_STATES,
                                     .boost = TB_CLOCK_HZ > FASTEST_WITHOUT_BOOST_HZ};
    return tb_stm32l4_start_clock(wanted);
}

static void enable(void) {
    tb_stm32l4_accept_vddio2();
    tb_stm32l4_enable(TB_STM32L4_AHB2ENR, RCC_AHB2ENR_GPIOFEN | RCC_AHB2ENR_GPIOGEN);
    tb_stm32l4_enable(TB_STM32L4_APB1ENR2, RCC_APB1ENR2_LPUART1EN);
    tb_register_change(TB_STM32L4_CCIPR, RCC_CCIPR_LPUART1SEL, 0);
}

/* The marker is D7 on Zio connector CN10. */
const tb_st_description tb_st_board = {
    .start_clock = start_clock,
    .enable = enable,
    .usart = {.address = LPUART1_BASE, .clock_hz = TB_CLOCK_HZ, .low_power = true},
    .usart_slow_hz = TB_STM32L4_MSI_HZ,
    .tx = {.port = GPIOG_BASE, .number = 7},
    .rx = {.port = GPIOG_BASE, .number = 8},
    .function = AF8_LPUART1,
    .marker = {.port = GPIOF_BASE, .number = 13},
};
