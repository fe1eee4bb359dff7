/* NUCLEO-L4R5ZI, MLPerf Tiny's reference board: 120 MHz from MSI held by the 32.768 kHz crystal, ART, LPUART1 to
 * the ST-LINK's virtual COM port, marker on Arduino D7.
 *
 * Addresses and bits: ST's CMSIS header stm32l4r5xx.h, by the names given. Pins: UM2179 (Nucleo-144, MB1312);
 * alternate functions: DS12023, alternate function mapping. */
#include <stddef.h>

#include "st/gpio.h"
#include "st/stm32l4_clock.h"
#include "st/usart_v2.h"
#include "registers.h"
#include "tb_port.h"
#include "tb_target.h"
#include "text.h"

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
static const tb_pin TX = {.port = GPIOG_BASE, .number = 7};
static const tb_pin RX = {.port = GPIOG_BASE, .number = 8};
static const tb_pin MARKER = {.port = GPIOF_BASE, .number = 13}; /* D7 on Zio connector CN10 */

static tb_usart usart = {.address = LPUART1_BASE, .clock_hz = TB_CLOCK_HZ, .low_power = true};

static void start_serial_port(void) {
    tb_stm32l4_accept_vddio2();
    tb_stm32l4_enable(TB_STM32L4_AHB2ENR, RCC_AHB2ENR_GPIOGEN);
    tb_stm32l4_enable(TB_STM32L4_APB1ENR2, RCC_APB1ENR2_LPUART1EN);
    tb_register_change(TB_STM32L4_CCIPR, RCC_CCIPR_LPUART1SEL, 0);
    tb_gpio_connect(TX, AF8_LPUART1);
    tb_gpio_connect(RX, AF8_LPUART1);
    tb_usart_start(&usart, TB_BAUD);
}

/* Says what is missing, at the speed that MSI can make, and never returns: no number may come from a clock that
 * is not the one promised. */
static void stop(const char *missing) {
    usart.clock_hz = TB_STM32L4_MSI_HZ;
    start_serial_port();
    tb_say(missing);
    for (;;) {
    }
}

void tb_port_init(void) {
    const tb_stm32l4_clock wanted = {.multiplier = MULTIPLIER, .wait_states = WAIT_STATES,
                                     .boost = TB_CLOCK_HZ > FASTEST_WITHOUT_BOOST_HZ};
    const char *missing = tb_stm32l4_start_clock(wanted);
    if (missing != NULL) {
        stop(missing);
    }
    tb_stm32l4_enable(TB_STM32L4_AHB2ENR, RCC_AHB2ENR_GPIOFEN);
    tb_gpio_drive(MARKER);
    start_serial_port();
}

int tb_port_read(void) {
    return tb_usart_read(&usart);
}

void tb_port_write(const char *data, uint32_t length) {
    tb_usart_write(&usart, data, length);
}

bool tb_port_baud_possible(uint32_t baud) {
    return baud <= TB_FASTEST_BAUD && tb_usart_baud_possible(&usart, baud);
}

void tb_port_set_baud(uint32_t baud) {
    tb_usart_start(&usart, baud);
}

void tb_port_marker(bool high) {
    tb_gpio_set(MARKER, high);
}
