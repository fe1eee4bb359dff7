/* B-L475E-IOT01A: 80 MHz from MSI held by the 32.768 kHz crystal, ART, USART1 to the ST-LINK's virtual COM port,
 * marker on Arduino D7.
 *
 * Addresses and bits: ST's CMSIS header stm32l475xx.h, by the names given. Pins: UM2153 (MB1297), ARDUINO connectors
 * and virtual COM port; alternate functions: DS10969, alternate function mapping. */
#include <stddef.h>

#include "registers.h"
#include "st/gpio.h"
#include "st/stm32l4_clock.h"
#include "st/usart_v2.h"
#include "tb_port.h"
#include "tb_target.h"
#include "text.h"

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
static const tb_pin TX = {.port = GPIOB_BASE, .number = 6};
static const tb_pin RX = {.port = GPIOB_BASE, .number = 7};
static const tb_pin MARKER = {.port = GPIOA_BASE, .number = 4}; /* ARD_D7 */

static tb_usart usart = {.address = USART1_BASE, .clock_hz = TB_CLOCK_HZ};

static void start_serial_port(void) {
    tb_stm32l4_enable(TB_STM32L4_AHB2ENR, RCC_AHB2ENR_GPIOBEN);
    tb_stm32l4_enable(TB_STM32L4_APB2ENR, RCC_APB2ENR_USART1EN);
    tb_register_change(TB_STM32L4_CCIPR, RCC_CCIPR_USART1SEL, 0);
    tb_gpio_connect(TX, AF7_USART1);
    tb_gpio_connect(RX, AF7_USART1);
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
    const tb_stm32l4_clock wanted = {.multiplier = MULTIPLIER, .wait_states = WAIT_STATES, .boost = false};
    const char *missing = tb_stm32l4_start_clock(wanted);
    if (missing != NULL) {
        stop(missing);
    }
    tb_stm32l4_enable(TB_STM32L4_AHB2ENR, RCC_AHB2ENR_GPIOAEN);
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
