/* NUCLEO-F767ZI: 216 MHz from the ST-LINK's 8 MHz, caches, USART3 to the ST-LINK's virtual COM port, marker on
 * Arduino D7.
 *
 * Addresses and bits: ST's CMSIS header stm32f767xx.h, by the names given. Pins: UM1974 (Nucleo-144, MB1137);
 * alternate functions: DS11532, alternate function mapping. */
#include <stddef.h>

#include "cortex_m/caches.h"
#include "registers.h"
#include "st/gpio.h"
#include "st/stm32f7_clock.h"
#include "st/usart_v2.h"
#include "tb_port.h"
#include "tb_target.h"
#include "text.h"

#define USART3_BASE 0x40004800U /* APB1PERIPH_BASE + 0x4800 */
#define GPIOD_BASE 0x40020C00U  /* AHB1PERIPH_BASE + 0x0C00 */
#define GPIOF_BASE 0x40021400U  /* AHB1PERIPH_BASE + 0x1400 */

#define RCC_AHB1ENR_GPIODEN (1U << 3)
#define RCC_AHB1ENR_GPIOFEN (1U << 5)
#define RCC_APB1ENR_USART3EN (1U << 18)
#define RCC_DCKCFGR2_USART3SEL (3U << 4) /* 0: clocked by PCLK1 */

_Static_assert(TB_STM32F7_CORE_HZ == TB_CLOCK_HZ, "the clock is the one that the target promises");

enum { AF7_USART3 = 7 };
static const tb_pin TX = {.port = GPIOD_BASE, .number = 8};
static const tb_pin RX = {.port = GPIOD_BASE, .number = 9};
/* PF13 is Arduino D7 on Zio connector CN10, free on this board; MLPerf Tiny marks with D7 as well. */
static const tb_pin MARKER = {.port = GPIOF_BASE, .number = 13};

static tb_usart usart = {.address = USART3_BASE, .clock_hz = TB_STM32F7_PCLK1_HZ};

static void start_serial_port(void) {
    tb_stm32f7_enable(TB_STM32F7_AHB1ENR, RCC_AHB1ENR_GPIODEN);
    tb_stm32f7_enable(TB_STM32F7_APB1ENR, RCC_APB1ENR_USART3EN);
    tb_register_change(TB_STM32F7_DCKCFGR2, RCC_DCKCFGR2_USART3SEL, 0);
    tb_gpio_connect(TX, AF7_USART3);
    tb_gpio_connect(RX, AF7_USART3);
    tb_usart_start(&usart, TB_BAUD);
}

/* Says what is missing, at the speed that HSI can make, and never returns: no number may come from a clock that
 * is not the one promised. */
static void stop(const char *missing) {
    usart.clock_hz = TB_STM32F7_HSI_HZ;
    start_serial_port();
    tb_say(missing);
    for (;;) {
    }
}

void tb_port_init(void) {
    const char *missing = tb_stm32f7_start_clock();
    if (missing != NULL) {
        stop(missing);
    }
    tb_caches_enable();
    tb_stm32f7_enable(TB_STM32F7_AHB1ENR, RCC_AHB1ENR_GPIOFEN);
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
